//! System V shared memory, semaphores and message queues: shmget(2), semget(2), msgget(2).

// The key that always makes a new object.
consts! {
    i32 {
        IPC_PRIVATE = 0,
    }
}

flags! {
    /// Flags of the `get` calls, with permission bits below.
    IpcFlags: u32 {
        IPC_CREAT = 0o1000,
        IPC_EXCL = 0o2000,
        IPC_NOWAIT = 0o4000,
    }
}

consts! {
    /// Commands of the `ctl` calls.
    ipc_cmd_name: u32 {
        IPC_RMID = 0,
        IPC_SET = 1,
        IPC_STAT = 2,
        IPC_INFO = 3,
        SHM_LOCK = 11,
        SHM_UNLOCK = 12,
        SHM_STAT = 13,
        SHM_INFO = 14,
        SHM_STAT_ANY = 15,
        GETPID = 11,
        GETVAL = 12,
        GETALL = 13,
        GETNCNT = 14,
        GETZCNT = 15,
        SETVAL = 16,
        SETALL = 17,
        SEM_STAT = 18,
        SEM_INFO = 19,
        SEM_STAT_ANY = 20,
        MSG_STAT = 11,
        MSG_INFO = 12,
        MSG_STAT_ANY = 13,
    }
}

flags! {
    /// Flags of shmat(2).
    ShmatFlags: u32 {
        SHM_RDONLY = 0o10000,
        SHM_RND = 0o20000,
        SHM_REMAP = 0o40000,
        SHM_EXEC = 0o100000,
    }
}

// `shm_perm.mode`, besides permissions, `shmget`'s huge pages; `semop`'s undo; `msgrcv`'s options.
consts! {
    u32 {
        SHM_DEST = 0o1000,
        SHM_LOCKED = 0o2000,
        SHM_HUGETLB = 0o4000,
        SHM_NORESERVE = 0o10000,
        SEM_UNDO = 0o10000,
        MSG_NOERROR = 0o10000,
        MSG_EXCEPT = 0o20000,
        MSG_COPY = 0o40000,
    }
}

// Default limits.
consts! {
    u64 {
        SHMMNI = 4096,
        SHMALL = 18446744073692774399,
        SHMMAX = 18446744073692774399,
        SHMMIN = 1,
        SEMMNI = 32000,
        SEMMSL = 32000,
        SEMOPM = 500,
        SEMVMX = 32767,
        SEMMNS = 1_024_000_000,
        MSGMNI = 32000,
        MSGMAX = 8192,
        MSGMNB = 16384,
    }
}

pods! {
    /// `struct ipc64_perm`.
    IpcPerm {
        key: i32,
        uid: u32,
        gid: u32,
        cuid: u32,
        cgid: u32,
        mode: u32,
        seq: u16,
        __pad1: u16,
        __pad2: u32,
        __unused1: u64,
        __unused2: u64,
    }

    /// `struct shmid64_ds`.
    ShmidDs {
        shm_perm: IpcPerm,
        shm_segsz: u64,
        shm_atime: i64,
        shm_dtime: i64,
        shm_ctime: i64,
        shm_cpid: i32,
        shm_lpid: i32,
        shm_nattch: u64,
        __unused4: u64,
        __unused5: u64,
    }

    /// `struct shminfo64`.
    Shminfo { shmmax: u64, shmmin: u64, shmmni: u64, shmseg: u64, shmall: u64, __unused: [u64; 4], }

    /// `struct shm_info`.
    ShmInfo {
        used_ids: i32,
        __pad: u32,
        shm_tot: u64,
        shm_rss: u64,
        shm_swp: u64,
        swap_attempts: u64,
        swap_successes: u64,
    }

    /// `struct sembuf`.
    Sembuf { sem_num: u16, sem_op: i16, sem_flg: i16, }

    /// `struct semid64_ds` of x86.
    SemidDs {
        sem_perm: IpcPerm,
        sem_otime: i64,
        __unused1: u64,
        sem_ctime: i64,
        __unused2: u64,
        sem_nsems: u64,
        __unused3: u64,
        __unused4: u64,
    }

    /// `struct seminfo`.
    Seminfo {
        semmap: i32,
        semmni: i32,
        semmns: i32,
        semmnu: i32,
        semmsl: i32,
        semopm: i32,
        semume: i32,
        semusz: i32,
        semvmx: i32,
        semaem: i32,
    }

    /// `struct msginfo`.
    Msginfo {
        msgpool: i32,
        msgmap: i32,
        msgmax: i32,
        msgmnb: i32,
        msgmni: i32,
        msgssz: i32,
        msgtql: i32,
        msgseg: u16,
        __pad: u16,
    }

    /// `struct msqid64_ds`.
    MsqidDs {
        msg_perm: IpcPerm,
        msg_stime: i64,
        msg_rtime: i64,
        msg_ctime: i64,
        msg_cbytes: u64,
        msg_qnum: u64,
        msg_qbytes: u64,
        msg_lspid: i32,
        msg_lrpid: i32,
        __unused4: u64,
        __unused5: u64,
    }
}
