//! Making threads and processes, and scheduling them: clone(2), clone3(2), sched_setscheduler(2), sched_setattr(2).

flags! {
    /// clone(2): what parent and child share.
    ///
    /// The low byte of clone's first argument is the exit signal, see [`CSIGNAL`].
    CloneFlags: u64 {
        CLONE_NEWTIME = 0x80,
        CLONE_VM = 0x100,
        CLONE_FS = 0x200,
        CLONE_FILES = 0x400,
        CLONE_SIGHAND = 0x800,
        CLONE_PIDFD = 0x1000,
        CLONE_PTRACE = 0x2000,
        CLONE_VFORK = 0x4000,
        CLONE_PARENT = 0x8000,
        CLONE_THREAD = 0x10000,
        CLONE_NEWNS = 0x20000,
        CLONE_SYSVSEM = 0x40000,
        CLONE_SETTLS = 0x80000,
        CLONE_PARENT_SETTID = 0x100000,
        CLONE_CHILD_CLEARTID = 0x200000,
        CLONE_DETACHED = 0x400000,
        CLONE_UNTRACED = 0x800000,
        CLONE_CHILD_SETTID = 0x1000000,
        CLONE_NEWCGROUP = 0x2000000,
        CLONE_NEWUTS = 0x4000000,
        CLONE_NEWIPC = 0x8000000,
        CLONE_NEWUSER = 0x10000000,
        CLONE_NEWPID = 0x20000000,
        CLONE_NEWNET = 0x40000000,
        CLONE_IO = 0x80000000,
        CLONE_CLEAR_SIGHAND = 0x100000000,
        CLONE_INTO_CGROUP = 0x200000000,
    }
}

// The exit-signal byte of clone's first argument, and the sizes of `struct clone_args` in its three versions.
consts! {
    u64 {
        CSIGNAL = 0xff,
        CLONE_ARGS_SIZE_VER0 = 64,
        CLONE_ARGS_SIZE_VER1 = 80,
        CLONE_ARGS_SIZE_VER2 = 88,
    }
}

consts! {
    /// Scheduling policies.
    policy_name: u32 {
        SCHED_NORMAL = 0,
        SCHED_FIFO = 1,
        SCHED_RR = 2,
        SCHED_BATCH = 3,
        SCHED_IDLE = 5,
        SCHED_DEADLINE = 6,
    }
}

// May be added to a policy: children start with the default policy.
consts! {
    u32 {
        SCHED_RESET_ON_FORK = 0x40000000,
    }
}

flags! {
    /// `sched_attr::sched_flags`.
    SchedFlags: u64 {
        SCHED_FLAG_RESET_ON_FORK = 0x1,
        SCHED_FLAG_RECLAIM = 0x2,
        SCHED_FLAG_DL_OVERRUN = 0x4,
        SCHED_FLAG_KEEP_POLICY = 0x8,
        SCHED_FLAG_KEEP_PARAMS = 0x10,
        SCHED_FLAG_UTIL_CLAMP_MIN = 0x20,
        SCHED_FLAG_UTIL_CLAMP_MAX = 0x40,
    }
}

// The first published size of `struct sched_attr`, and the size with the utilisation clamps.
consts! {
    u32 {
        SCHED_ATTR_SIZE_VER0 = 48,
        SCHED_ATTR_SIZE_VER1 = 56,
    }
}

pods! {
    /// `struct clone_args`, at its largest (88 bytes). Addresses and descriptors are 64 bits wide here.
    CloneArgs {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }

    /// `struct sched_param`.
    SchedParam { sched_priority: i32, }

    /// `struct sched_attr` (56 bytes, with the utilisation clamps).
    SchedAttr {
        size: u32,
        sched_policy: u32,
        sched_flags: u64,
        sched_nice: i32,
        sched_priority: u32,
        sched_runtime: u64,
        sched_deadline: u64,
        sched_period: u64,
        sched_util_min: u32,
        sched_util_max: u32,
    }
}
