//! Filters of system calls: seccomp(2), and the classic BPF they are written in.

// Modes, and operations of seccomp(2).
consts! {
    u32 {
        SECCOMP_MODE_DISABLED = 0,
        SECCOMP_MODE_STRICT = 1,
        SECCOMP_MODE_FILTER = 2,
        SECCOMP_SET_MODE_STRICT = 0,
        SECCOMP_SET_MODE_FILTER = 1,
        SECCOMP_GET_ACTION_AVAIL = 2,
        SECCOMP_GET_NOTIF_SIZES = 3,
    }
}

flags! {
    /// Flags of `SECCOMP_SET_MODE_FILTER`.
    FilterFlags: u32 {
        SECCOMP_FILTER_FLAG_TSYNC = 0x1,
        SECCOMP_FILTER_FLAG_LOG = 0x2,
        SECCOMP_FILTER_FLAG_SPEC_ALLOW = 0x4,
        SECCOMP_FILTER_FLAG_TSYNC_ESRCH = 0x10,
    }
}

consts! {
    /// What a filter may say about a call. As a signed number, the lower the stricter.
    action_name: u32 {
        SECCOMP_RET_KILL_PROCESS = 0x80000000,
        SECCOMP_RET_KILL_THREAD = 0,
        SECCOMP_RET_TRAP = 0x30000,
        SECCOMP_RET_ERRNO = 0x50000,
        SECCOMP_RET_USER_NOTIF = 0x7fc00000,
        SECCOMP_RET_TRACE = 0x7ff00000,
        SECCOMP_RET_LOG = 0x7ffc0000,
        SECCOMP_RET_ALLOW = 0x7fff0000,
    }
}

// The parts of a filter's word.
consts! {
    u32 {
        SECCOMP_RET_ACTION_FULL = 0xffff0000,
        SECCOMP_RET_DATA = 0xffff,
    }
}

// Classic BPF: the parts of an instruction's code, and limits.
consts! {
    u32 {
        BPF_LD = 0x00,
        BPF_LDX = 0x01,
        BPF_ST = 0x02,
        BPF_STX = 0x03,
        BPF_ALU = 0x04,
        BPF_JMP = 0x05,
        BPF_RET = 0x06,
        BPF_MISC = 0x07,
        BPF_W = 0x00,
        BPF_IMM = 0x00,
        BPF_ABS = 0x20,
        BPF_MEM = 0x60,
        BPF_LEN = 0x80,
        BPF_ADD = 0x00,
        BPF_SUB = 0x10,
        BPF_MUL = 0x20,
        BPF_DIV = 0x30,
        BPF_OR = 0x40,
        BPF_AND = 0x50,
        BPF_LSH = 0x60,
        BPF_RSH = 0x70,
        BPF_NEG = 0x80,
        BPF_XOR = 0xa0,
        BPF_JA = 0x00,
        BPF_JEQ = 0x10,
        BPF_JGT = 0x20,
        BPF_JGE = 0x30,
        BPF_JSET = 0x40,
        BPF_K = 0x00,
        BPF_X = 0x08,
        BPF_A = 0x10,
        BPF_TAX = 0x00,
        BPF_TXA = 0x80,
        BPF_MAXINSNS = 4096,
        BPF_MEMWORDS = 16,
    }
}

pods! {
    /// `struct sock_filter`: an instruction.
    SockFilter { code: u16, jt: u8, jf: u8, k: u32, }

    /// `struct sock_fprog`: a program in user memory.
    SockFprog { len: u16, padding: [u16; 3], filter: u64, }

    /// `struct seccomp_data`: what a filter sees of a call.
    SeccompData { nr: i32, arch: u32, instruction_pointer: u64, args: [u64; 6], }
}
