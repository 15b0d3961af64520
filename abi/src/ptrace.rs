//! Tracing: ptrace(2).

consts! {
    /// Requests.
    ptrace_name: u32 {
        PTRACE_TRACEME = 0x0,
        PTRACE_PEEKTEXT = 0x1,
        PTRACE_PEEKDATA = 0x2,
        PTRACE_PEEKUSR = 0x3,
        PTRACE_POKETEXT = 0x4,
        PTRACE_POKEDATA = 0x5,
        PTRACE_POKEUSR = 0x6,
        PTRACE_CONT = 0x7,
        PTRACE_KILL = 0x8,
        PTRACE_SINGLESTEP = 0x9,
        PTRACE_GETREGS = 0xc,
        PTRACE_SETREGS = 0xd,
        PTRACE_GETFPREGS = 0xe,
        PTRACE_SETFPREGS = 0xf,
        PTRACE_ATTACH = 0x10,
        PTRACE_DETACH = 0x11,
        PTRACE_SYSCALL = 0x18,
        PTRACE_ARCH_PRCTL = 0x1e,
        PTRACE_SYSEMU = 0x1f,
        PTRACE_SYSEMU_SINGLESTEP = 0x20,
        PTRACE_SINGLEBLOCK = 0x21,
        PTRACE_SETOPTIONS = 0x4200,
        PTRACE_GETEVENTMSG = 0x4201,
        PTRACE_GETSIGINFO = 0x4202,
        PTRACE_SETSIGINFO = 0x4203,
        PTRACE_GETREGSET = 0x4204,
        PTRACE_SETREGSET = 0x4205,
        PTRACE_SEIZE = 0x4206,
        PTRACE_INTERRUPT = 0x4207,
        PTRACE_LISTEN = 0x4208,
        PTRACE_PEEKSIGINFO = 0x4209,
        PTRACE_GETSIGMASK = 0x420a,
        PTRACE_SETSIGMASK = 0x420b,
        PTRACE_SECCOMP_GET_FILTER = 0x420c,
        PTRACE_SECCOMP_GET_METADATA = 0x420d,
        PTRACE_GET_SYSCALL_INFO = 0x420e,
        PTRACE_GET_RSEQ_CONFIGURATION = 0x420f,
    }
}

flags! {
    /// Options.
    PtraceOptions: u32 {
        PTRACE_O_TRACESYSGOOD = 0x1,
        PTRACE_O_TRACEFORK = 0x2,
        PTRACE_O_TRACEVFORK = 0x4,
        PTRACE_O_TRACECLONE = 0x8,
        PTRACE_O_TRACEEXEC = 0x10,
        PTRACE_O_TRACEVFORKDONE = 0x20,
        PTRACE_O_TRACEEXIT = 0x40,
        PTRACE_O_TRACESECCOMP = 0x80,
        PTRACE_O_EXITKILL = 0x100000,
        PTRACE_O_SUSPEND_SECCOMP = 0x200000,
    }
}

// Events in a stop's status.
consts! {
    u8 {
        PTRACE_EVENT_FORK = 1,
        PTRACE_EVENT_VFORK = 2,
        PTRACE_EVENT_CLONE = 3,
        PTRACE_EVENT_EXEC = 4,
        PTRACE_EVENT_VFORK_DONE = 5,
        PTRACE_EVENT_EXIT = 6,
        PTRACE_EVENT_SECCOMP = 7,
        PTRACE_EVENT_STOP = 128,
    }
}

// `PtraceSyscallInfo::op`; messages of a system call stop.
consts! {
    u8 {
        PTRACE_SYSCALL_INFO_NONE = 0,
        PTRACE_SYSCALL_INFO_ENTRY = 1,
        PTRACE_SYSCALL_INFO_EXIT = 2,
        PTRACE_SYSCALL_INFO_SECCOMP = 3,
        PTRACE_EVENTMSG_SYSCALL_ENTRY = 1,
        PTRACE_EVENTMSG_SYSCALL_EXIT = 2,
    }
}

// Register sets of `PTRACE_GETREGSET`, and x86_64's audit architecture.
consts! {
    u32 {
        NT_PRSTATUS = 0x1,
        NT_PRFPREG = 0x2,
        NT_X86_XSTATE = 0x202,
        NT_SIGINFO = 0x53494749,
        AUDIT_ARCH_X86_64 = 0xc000003e,
    }
}

pods! {
    /// `struct user_regs_struct`.
    UserRegs {
        r15: u64, r14: u64, r13: u64, r12: u64, rbp: u64, rbx: u64, r11: u64, r10: u64, r9: u64, r8: u64,
        rax: u64, rcx: u64, rdx: u64, rsi: u64, rdi: u64,
        orig_rax: u64,
        rip: u64,
        cs: u64,
        eflags: u64,
        rsp: u64,
        ss: u64,
        fs_base: u64,
        gs_base: u64,
        ds: u64,
        es: u64,
        fs: u64,
        gs: u64,
    }

    /// `struct ptrace_syscall_info`: entry has `[nr, args…]`, exit `[rval, is_error]`.
    PtraceSyscallInfo {
        op: u8,
        pad: [u8; 3],
        arch: u32,
        instruction_pointer: u64,
        stack_pointer: u64,
        data: [u64; 8],
    }

    /// `struct ptrace_rseq_configuration`.
    PtraceRseqConfiguration { rseq_abi_pointer: u64, rseq_abi_size: u32, signature: u32, flags: u32, pad: u32, }

    /// `struct ptrace_peeksiginfo_args`.
    PtracePeeksiginfoArgs { off: u64, flags: u32, nr: i32, }
}
