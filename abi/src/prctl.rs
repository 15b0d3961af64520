//! Odd properties of processes: prctl(2), arch_prctl(2), getrandom(2), capabilities(7),
//! personality(2), rseq(2), reboot(2).

consts! {
    /// Options of prctl(2).
    prctl_name: u32 {
        PR_SET_PDEATHSIG = 1,
        PR_GET_PDEATHSIG = 2,
        PR_GET_DUMPABLE = 3,
        PR_SET_DUMPABLE = 4,
        PR_GET_UNALIGN = 5,
        PR_SET_UNALIGN = 6,
        PR_GET_KEEPCAPS = 7,
        PR_SET_KEEPCAPS = 8,
        PR_GET_FPEMU = 9,
        PR_SET_FPEMU = 10,
        PR_GET_FPEXC = 11,
        PR_SET_FPEXC = 12,
        PR_GET_TIMING = 13,
        PR_SET_TIMING = 14,
        PR_SET_NAME = 15,
        PR_GET_NAME = 16,
        PR_GET_ENDIAN = 19,
        PR_SET_ENDIAN = 20,
        PR_GET_SECCOMP = 21,
        PR_SET_SECCOMP = 22,
        PR_CAPBSET_READ = 23,
        PR_CAPBSET_DROP = 24,
        PR_GET_TSC = 25,
        PR_SET_TSC = 26,
        PR_GET_SECUREBITS = 27,
        PR_SET_SECUREBITS = 28,
        PR_SET_TIMERSLACK = 29,
        PR_GET_TIMERSLACK = 30,
        PR_TASK_PERF_EVENTS_DISABLE = 31,
        PR_TASK_PERF_EVENTS_ENABLE = 32,
        PR_MCE_KILL = 33,
        PR_MCE_KILL_GET = 34,
        PR_SET_MM = 35,
        PR_SET_CHILD_SUBREAPER = 36,
        PR_GET_CHILD_SUBREAPER = 37,
        PR_SET_NO_NEW_PRIVS = 38,
        PR_GET_NO_NEW_PRIVS = 39,
        PR_GET_TID_ADDRESS = 40,
        PR_SET_THP_DISABLE = 41,
        PR_GET_THP_DISABLE = 42,
        PR_MPX_ENABLE_MANAGEMENT = 43,
        PR_MPX_DISABLE_MANAGEMENT = 44,
        PR_SET_FP_MODE = 45,
        PR_GET_FP_MODE = 46,
        PR_CAP_AMBIENT = 47,
        PR_SVE_SET_VL = 50,
        PR_SVE_GET_VL = 51,
        PR_GET_SPECULATION_CTRL = 52,
        PR_SET_SPECULATION_CTRL = 53,
        PR_PAC_RESET_KEYS = 54,
        PR_SET_TAGGED_ADDR_CTRL = 55,
        PR_GET_TAGGED_ADDR_CTRL = 56,
        PR_SET_IO_FLUSHER = 57,
        PR_GET_IO_FLUSHER = 58,
        PR_SET_SYSCALL_USER_DISPATCH = 59,
        PR_PAC_SET_ENABLED_KEYS = 60,
        PR_PAC_GET_ENABLED_KEYS = 61,
        PR_SCHED_CORE = 62,
        PR_SET_VMA = 1398164801,
        PR_SET_PTRACER = 1499557217,
    }
}

// Arguments of some options of prctl(2).
consts! {
    u64 {
        PR_TSC_ENABLE = 1,
        PR_TSC_SIGSEGV = 2,
        PR_CAP_AMBIENT_IS_SET = 1,
        PR_CAP_AMBIENT_RAISE = 2,
        PR_CAP_AMBIENT_LOWER = 3,
        PR_CAP_AMBIENT_CLEAR_ALL = 4,
        PR_SET_VMA_ANON_NAME = 0,
        PR_SYS_DISPATCH_OFF = 0,
        PR_SYS_DISPATCH_ON = 1,
        PR_MCE_KILL_CLEAR = 0,
        PR_MCE_KILL_SET = 1,
        PR_MCE_KILL_DEFAULT = 2,
        PR_SPEC_STORE_BYPASS = 0,
        PR_SPEC_INDIRECT_BRANCH = 1,
        PR_SPEC_L1D_FLUSH = 2,
        PR_SPEC_NOT_AFFECTED = 0,
        PR_SPEC_FORCE_DISABLE = 8,
        PR_SPEC_ENABLE = 2,
        PR_SPEC_DISABLE = 4,
    }
}

consts! {
    /// Operations of arch_prctl(2).
    arch_prctl_name: u32 {
        ARCH_SET_GS = 0x1001,
        ARCH_SET_FS = 0x1002,
        ARCH_GET_FS = 0x1003,
        ARCH_GET_GS = 0x1004,
        ARCH_GET_CPUID = 0x1011,
        ARCH_SET_CPUID = 0x1012,
        ARCH_GET_XCOMP_SUPP = 0x1021,
        ARCH_GET_XCOMP_PERM = 0x1022,
        ARCH_REQ_XCOMP_PERM = 0x1023,
        ARCH_GET_XCOMP_GUEST_PERM = 0x1024,
        ARCH_REQ_XCOMP_GUEST_PERM = 0x1025,
        ARCH_MAP_VDSO_X32 = 0x2001,
        ARCH_MAP_VDSO_32 = 0x2002,
        ARCH_MAP_VDSO_64 = 0x2003,
    }
}

flags! {
    /// Flags of getrandom(2).
    GrndFlags: u32 {
        GRND_NONBLOCK = 0x1,
        GRND_RANDOM = 0x2,
        GRND_INSECURE = 0x4,
    }
}

// Versions of capget(2)'s header.
consts! {
    u32 {
        _LINUX_CAPABILITY_VERSION_1 = 0x19980330,
        _LINUX_CAPABILITY_VERSION_2 = 0x20071026,
        _LINUX_CAPABILITY_VERSION_3 = 0x20080522,
    }
}

consts! {
    /// Capabilities.
    cap_name: u32 {
        CAP_CHOWN = 0,
        CAP_DAC_OVERRIDE = 1,
        CAP_DAC_READ_SEARCH = 2,
        CAP_FOWNER = 3,
        CAP_FSETID = 4,
        CAP_KILL = 5,
        CAP_SETGID = 6,
        CAP_SETUID = 7,
        CAP_SETPCAP = 8,
        CAP_LINUX_IMMUTABLE = 9,
        CAP_NET_BIND_SERVICE = 10,
        CAP_NET_BROADCAST = 11,
        CAP_NET_ADMIN = 12,
        CAP_NET_RAW = 13,
        CAP_IPC_LOCK = 14,
        CAP_IPC_OWNER = 15,
        CAP_SYS_MODULE = 16,
        CAP_SYS_RAWIO = 17,
        CAP_SYS_CHROOT = 18,
        CAP_SYS_PTRACE = 19,
        CAP_SYS_PACCT = 20,
        CAP_SYS_ADMIN = 21,
        CAP_SYS_BOOT = 22,
        CAP_SYS_NICE = 23,
        CAP_SYS_RESOURCE = 24,
        CAP_SYS_TIME = 25,
        CAP_SYS_TTY_CONFIG = 26,
        CAP_MKNOD = 27,
        CAP_LEASE = 28,
        CAP_AUDIT_WRITE = 29,
        CAP_AUDIT_CONTROL = 30,
        CAP_SETFCAP = 31,
        CAP_MAC_OVERRIDE = 32,
        CAP_MAC_ADMIN = 33,
        CAP_SYSLOG = 34,
        CAP_WAKE_ALARM = 35,
        CAP_BLOCK_SUSPEND = 36,
        CAP_AUDIT_READ = 37,
        CAP_PERFMON = 38,
        CAP_BPF = 39,
        CAP_CHECKPOINT_RESTORE = 40,
        CAP_LAST_CAP = 40,
    }
}

// Personalities: execution domains in the low byte, and flags; those that a program of other privileges does not inherit.
consts! {
    u32 {
        PER_LINUX = 0x0,
        PER_LINUX32 = 0x8,
        PER_MASK = 0xff,
        UNAME26 = 0x20000,
        ADDR_NO_RANDOMIZE = 0x40000,
        MMAP_PAGE_ZERO = 0x100000,
        ADDR_COMPAT_LAYOUT = 0x200000,
        STICKY_TIMEOUTS = 0x4000000,
        PER_CLEAR_ON_SETID = 0x740000,
        READ_IMPLIES_EXEC = 0x400000,
    }
}

// Flag of rseq(2), the first size of its area, and the values of `cpu_id` before and without registration.
consts! {
    u32 {
        ORIG_RSEQ_SIZE = 32,
        RSEQ_FLAG_UNREGISTER = 1,
        RSEQ_CPU_ID_UNINITIALIZED = 4294967295,
        RSEQ_CPU_ID_REGISTRATION_FAILED = 4294967294,
    }
}

// Arguments of reboot(2).
consts! {
    u32 {
        LINUX_REBOOT_MAGIC1 = 0xfee1dead,
        LINUX_REBOOT_MAGIC2 = 0x28121969,
        LINUX_REBOOT_MAGIC2A = 0x5121996,
        LINUX_REBOOT_MAGIC2B = 0x16041998,
        LINUX_REBOOT_MAGIC2C = 0x20112000,
        LINUX_REBOOT_CMD_RESTART = 0x1234567,
        LINUX_REBOOT_CMD_HALT = 0xcdef0123,
        LINUX_REBOOT_CMD_CAD_ON = 0x89abcdef,
        LINUX_REBOOT_CMD_CAD_OFF = 0x0,
        LINUX_REBOOT_CMD_POWER_OFF = 0x4321fedc,
        LINUX_REBOOT_CMD_RESTART2 = 0xa1b2c3d4,
    }
}

/// Bytes of `struct rseq` up to its last field (`AT_RSEQ_FEATURE_SIZE`).
pub const RSEQ_FEATURE_BYTES: u64 = 28;
/// How `struct rseq` is aligned (`AT_RSEQ_ALIGN`).
pub const RSEQ_ALIGN_BYTES: u64 = 32;

/// The bytes of a thread's name with its zero (`PR_SET_NAME`, `comm`).
pub const TASK_COMM_LEN: usize = 16;

pods! {
    /// `struct __user_cap_header_struct`.
    CapHeader { version: u32, pid: i32, }

    /// `struct __user_cap_data_struct`: capabilities 0 to 31, or 32 to 63 in the second of a pair.
    CapData { effective: u32, permitted: u32, inheritable: u32, }

    /// `struct rseq` as Linux 6.3 has it. Aligned to 32 bytes by the user.
    Rseq { cpu_id_start: u32, cpu_id: u32, rseq_cs: u64, flags: u32, node_id: u32, mm_cid: u32, padding: u32, }

    /// `struct rseq_cs`.
    RseqCs { version: u32, flags: u32, start_ip: u64, post_commit_offset: u64, abort_ip: u64, }
}
