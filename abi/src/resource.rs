//! Resources: getrlimit(2), prlimit64(2), getrusage(2), getpriority(2), sysinfo(2).

use crate::time::Timeval;

consts! {
    /// Resources with a limit.
    rlimit_name: u32 {
        RLIMIT_CPU = 0,
        RLIMIT_FSIZE = 1,
        RLIMIT_DATA = 2,
        RLIMIT_STACK = 3,
        RLIMIT_CORE = 4,
        RLIMIT_RSS = 5,
        RLIMIT_NPROC = 6,
        RLIMIT_NOFILE = 7,
        RLIMIT_MEMLOCK = 8,
        RLIMIT_AS = 9,
        RLIMIT_LOCKS = 10,
        RLIMIT_SIGPENDING = 11,
        RLIMIT_MSGQUEUE = 12,
        RLIMIT_NICE = 13,
        RLIMIT_RTPRIO = 14,
        RLIMIT_RTTIME = 15,
    }
}

/// How many resources there are.
pub const RLIM_NLIMITS: usize = 16;
/// No limit.
pub const RLIM_INFINITY: u64 = u64::MAX;

consts! {
    /// Whose usage getrusage(2) gives.
    rusage_who_name: i32 {
        RUSAGE_SELF = 0,
        RUSAGE_CHILDREN = -1,
        RUSAGE_THREAD = 1,
        RUSAGE_BOTH = -2,
    }
}

consts! {
    /// Whose priority getpriority(2) gives.
    priority_which_name: u32 {
        PRIO_PROCESS = 0,
        PRIO_PGRP = 1,
        PRIO_USER = 2,
    }
}

// Priorities of input and output (ioprio_set(2)): a class above thirteen bits of level, and who is meant.
consts! {
    u32 {
        IOPRIO_CLASS_SHIFT = 13,
        IOPRIO_CLASS_NONE = 0,
        IOPRIO_CLASS_RT = 1,
        IOPRIO_CLASS_BE = 2,
        IOPRIO_CLASS_IDLE = 3,
        IOPRIO_NR_LEVELS = 8,
        IOPRIO_BE_NORM = 4,
        IOPRIO_WHO_PROCESS = 1,
        IOPRIO_WHO_PGRP = 2,
        IOPRIO_WHO_USER = 3,
    }
}

pods! {
    /// `struct rlimit` and `struct rlimit64`.
    Rlimit { rlim_cur: u64, rlim_max: u64, }

    /// `struct rusage`.
    Rusage {
        ru_utime: Timeval,
        ru_stime: Timeval,
        /// In KiB.
        ru_maxrss: i64,
        ru_ixrss: i64,
        ru_idrss: i64,
        ru_isrss: i64,
        ru_minflt: i64,
        ru_majflt: i64,
        ru_nswap: i64,
        ru_inblock: i64,
        ru_oublock: i64,
        ru_msgsnd: i64,
        ru_msgrcv: i64,
        ru_nsignals: i64,
        ru_nvcsw: i64,
        ru_nivcsw: i64,
    }

    /// `struct sysinfo`.
    Sysinfo {
        uptime: i64,
        /// Fixed point, 16 bits of fraction.
        loads: [u64; 3],
        totalram: u64,
        freeram: u64,
        sharedram: u64,
        bufferram: u64,
        totalswap: u64,
        freeswap: u64,
        procs: u16,
        pad: u16,
        __pad1: u32,
        totalhigh: u64,
        freehigh: u64,
        mem_unit: u32,
        __pad2: u32,
    }
}
