//! Every constant of this crate against the `linux-raw-sys` and `libc` crates.
//!
//! Some sixty have no counterpart there (kernel limits, `ARCH_` and signal frame numbers); they are from
//! the headers of Linux 6.1.

/// Asserts that the constants of a module have the reference's values.
macro_rules! same {
    ($($ours:ident)::+ = $($theirs:ident)::+: $($name:ident)*) => {{
        use $($ours)::+ as ours;
        use $($theirs)::+ as theirs;
        $(assert_eq!(ours::$name as u64, theirs::$name as u64, "{}", stringify!($name));)*
    }};
}

/// Asserts that the flags of a flag word have the reference's values.
macro_rules! same_flags {
    ($($ours:ident)::+ = $($theirs:ident)::+: $($name:ident)*) => {{
        use $($ours)::+ as Ours;
        use $($theirs)::+ as theirs;
        $(assert_eq!(Ours::$name.bits() as u64, theirs::$name as u64, "{}", stringify!($name));)*
    }};
}

#[test]
fn auxv_constants_are_those_of_linux() {
    same!(
        abi::auxv = linux_raw_sys::auxvec:
        AT_NULL AT_IGNORE AT_EXECFD AT_PHDR AT_PHENT AT_PHNUM AT_PAGESZ AT_BASE AT_FLAGS AT_ENTRY AT_NOTELF
        AT_UID AT_EUID AT_GID AT_EGID AT_PLATFORM AT_HWCAP AT_CLKTCK AT_SECURE AT_BASE_PLATFORM AT_RANDOM
        AT_HWCAP2 AT_RSEQ_FEATURE_SIZE AT_RSEQ_ALIGN AT_EXECFN AT_SYSINFO_EHDR AT_MINSIGSTKSZ
    );
}

#[test]
fn fcntl_constants_are_those_of_linux() {
    same_flags!(
        abi::fcntl::OpenFlags = linux_raw_sys::general:
        O_WRONLY O_RDWR O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_DSYNC O_DIRECT O_LARGEFILE
        O_DIRECTORY O_NOFOLLOW O_NOATIME O_CLOEXEC __O_SYNC O_PATH __O_TMPFILE
    );
    same_flags!(
        abi::fcntl::OpenFlags = libc:
        O_ASYNC
    );
    same!(
        abi::fcntl = linux_raw_sys::general:
        O_ACCMODE O_RDONLY O_SYNC O_TMPFILE AT_FDCWD AT_EACCESS AT_STATX_SYNC_TYPE AT_STATX_SYNC_AS_STAT
        F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL F_GETLK F_SETLK F_SETLKW F_SETOWN F_GETOWN F_SETSIG F_GETSIG
        F_SETOWN_EX F_GETOWN_EX F_OFD_GETLK F_OFD_SETLK F_OFD_SETLKW F_SETLEASE F_GETLEASE F_NOTIFY F_CANCELLK
        F_DUPFD_CLOEXEC F_SETPIPE_SZ F_GETPIPE_SZ F_ADD_SEALS F_GET_SEALS F_GET_RW_HINT F_SET_RW_HINT
        F_GET_FILE_RW_HINT F_SET_FILE_RW_HINT FD_CLOEXEC F_RDLCK F_WRLCK F_UNLCK F_OWNER_TID F_OWNER_PID
        F_OWNER_PGRP SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE POSIX_FADV_NORMAL POSIX_FADV_RANDOM
        POSIX_FADV_SEQUENTIAL POSIX_FADV_WILLNEED POSIX_FADV_DONTNEED POSIX_FADV_NOREUSE DT_UNKNOWN DT_FIFO
        DT_CHR DT_DIR DT_BLK DT_REG DT_LNK DT_SOCK PATH_MAX NAME_MAX
    );
    same_flags!(
        abi::fcntl::AtFlags = linux_raw_sys::general:
        AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_STATX_FORCE_SYNC
        AT_STATX_DONT_SYNC AT_RECURSIVE
    );
    same_flags!(
        abi::fcntl::AccessMode = linux_raw_sys::general:
        X_OK W_OK R_OK
    );
    same_flags!(
        abi::fcntl::Seals = linux_raw_sys::general:
        F_SEAL_SEAL F_SEAL_SHRINK F_SEAL_GROW F_SEAL_WRITE F_SEAL_FUTURE_WRITE
    );
    same_flags!(
        abi::fcntl::FlockOp = linux_raw_sys::general:
        LOCK_SH LOCK_EX LOCK_NB LOCK_UN
    );
    same_flags!(
        abi::fcntl::RenameFlags = linux_raw_sys::general:
        RENAME_NOREPLACE RENAME_EXCHANGE RENAME_WHITEOUT
    );
    same_flags!(
        abi::fcntl::CloseRangeFlags = libc:
        CLOSE_RANGE_UNSHARE CLOSE_RANGE_CLOEXEC
    );
    same_flags!(
        abi::fcntl::ResolveFlags = linux_raw_sys::general:
        RESOLVE_NO_XDEV RESOLVE_NO_MAGICLINKS RESOLVE_NO_SYMLINKS RESOLVE_BENEATH RESOLVE_IN_ROOT
        RESOLVE_CACHED
    );
    same_flags!(
        abi::fcntl::FallocMode = linux_raw_sys::general:
        FALLOC_FL_KEEP_SIZE FALLOC_FL_PUNCH_HOLE FALLOC_FL_NO_HIDE_STALE FALLOC_FL_COLLAPSE_RANGE
        FALLOC_FL_ZERO_RANGE FALLOC_FL_INSERT_RANGE FALLOC_FL_UNSHARE_RANGE
    );
    same_flags!(
        abi::fcntl::SyncFileRangeFlags = linux_raw_sys::general:
        SYNC_FILE_RANGE_WAIT_BEFORE SYNC_FILE_RANGE_WRITE SYNC_FILE_RANGE_WAIT_AFTER
    );
    same_flags!(
        abi::fcntl::SpliceFlags = linux_raw_sys::general:
        SPLICE_F_MOVE SPLICE_F_NONBLOCK SPLICE_F_MORE SPLICE_F_GIFT
    );
}

#[test]
fn futex_constants_are_those_of_linux() {
    same!(
        abi::futex = linux_raw_sys::general:
        FUTEX_WAIT FUTEX_WAKE FUTEX_FD FUTEX_REQUEUE FUTEX_CMP_REQUEUE FUTEX_WAKE_OP FUTEX_LOCK_PI
        FUTEX_UNLOCK_PI FUTEX_TRYLOCK_PI FUTEX_WAIT_BITSET FUTEX_WAKE_BITSET FUTEX_WAIT_REQUEUE_PI
        FUTEX_CMP_REQUEUE_PI FUTEX_LOCK_PI2 FUTEX_WAITERS FUTEX_OWNER_DIED FUTEX_TID_MASK
        FUTEX_BITSET_MATCH_ANY ROBUST_LIST_LIMIT FUTEX_WAITV_MAX FUTEX_OP_SET FUTEX_OP_ADD FUTEX_OP_OR
        FUTEX_OP_ANDN FUTEX_OP_XOR FUTEX_OP_OPARG_SHIFT FUTEX_OP_CMP_EQ FUTEX_OP_CMP_NE FUTEX_OP_CMP_LT
        FUTEX_OP_CMP_LE FUTEX_OP_CMP_GT FUTEX_OP_CMP_GE FUTEX_32
    );
    same_flags!(
        abi::futex::FutexFlags = linux_raw_sys::general:
        FUTEX_PRIVATE_FLAG FUTEX_CLOCK_REALTIME
    );
}

#[test]
fn ipc_constants_are_those_of_linux() {
    same!(
        abi::ipc = libc:
        IPC_PRIVATE IPC_RMID IPC_SET IPC_STAT IPC_INFO SHM_LOCK SHM_UNLOCK GETPID GETVAL GETALL GETNCNT
        GETZCNT SETVAL SETALL SEM_STAT SEM_INFO SEM_STAT_ANY SHM_HUGETLB SHM_NORESERVE SEM_UNDO MSG_NOERROR
        MSG_EXCEPT MSG_COPY
    );
    same_flags!(
        abi::ipc::IpcFlags = libc:
        IPC_CREAT IPC_EXCL IPC_NOWAIT
    );
    same_flags!(
        abi::ipc::ShmatFlags = libc:
        SHM_RDONLY SHM_RND SHM_REMAP SHM_EXEC
    );
}

#[test]
fn mman_constants_are_those_of_linux() {
    same_flags!(
        abi::mman::Prot = linux_raw_sys::general:
        PROT_READ PROT_WRITE PROT_EXEC PROT_SEM PROT_GROWSDOWN PROT_GROWSUP
    );
    same_flags!(
        abi::mman::MapFlags = linux_raw_sys::general:
        MAP_SHARED MAP_PRIVATE MAP_FIXED MAP_ANONYMOUS MAP_32BIT MAP_GROWSDOWN MAP_DENYWRITE MAP_EXECUTABLE
        MAP_LOCKED MAP_NORESERVE MAP_POPULATE MAP_NONBLOCK MAP_STACK MAP_HUGETLB MAP_SYNC MAP_FIXED_NOREPLACE
        MAP_UNINITIALIZED
    );
    same!(
        abi::mman = linux_raw_sys::general:
        MAP_TYPE MAP_SHARED_VALIDATE MAP_HUGE_SHIFT MAP_HUGE_MASK MADV_NORMAL MADV_RANDOM MADV_SEQUENTIAL
        MADV_WILLNEED MADV_DONTNEED MADV_FREE MADV_REMOVE MADV_DONTFORK MADV_DOFORK MADV_HWPOISON
        MADV_SOFT_OFFLINE MADV_MERGEABLE MADV_UNMERGEABLE MADV_HUGEPAGE MADV_NOHUGEPAGE MADV_DONTDUMP
        MADV_DODUMP MADV_WIPEONFORK MADV_KEEPONFORK MADV_COLD MADV_PAGEOUT MADV_POPULATE_READ
        MADV_POPULATE_WRITE MADV_DONTNEED_LOCKED MADV_COLLAPSE
    );
    same_flags!(
        abi::mman::MremapFlags = linux_raw_sys::general:
        MREMAP_MAYMOVE MREMAP_FIXED MREMAP_DONTUNMAP
    );
    same_flags!(
        abi::mman::MsyncFlags = linux_raw_sys::general:
        MS_ASYNC MS_INVALIDATE MS_SYNC
    );
    same_flags!(
        abi::mman::MlockallFlags = linux_raw_sys::general:
        MCL_CURRENT MCL_FUTURE MCL_ONFAULT
    );
    same_flags!(
        abi::mman::Mlock2Flags = linux_raw_sys::general:
        MLOCK_ONFAULT
    );
    same_flags!(
        abi::mman::MemfdFlags = linux_raw_sys::general:
        MFD_CLOEXEC MFD_ALLOW_SEALING MFD_HUGETLB
    );
    same!(
        abi::mman = linux_raw_sys::general::membarrier_cmd:
        MEMBARRIER_CMD_QUERY MEMBARRIER_CMD_GLOBAL MEMBARRIER_CMD_GLOBAL_EXPEDITED
        MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED MEMBARRIER_CMD_PRIVATE_EXPEDITED
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ
    );
    same!(
        abi::mman = linux_raw_sys::general::membarrier_cmd_flag:
        MEMBARRIER_CMD_FLAG_CPU
    );
    same!(
        abi::mman = linux_raw_sys::mempolicy:
        MPOL_DEFAULT MPOL_PREFERRED MPOL_BIND MPOL_INTERLEAVE MPOL_LOCAL MPOL_PREFERRED_MANY
    );
}

#[test]
fn mount_constants_are_those_of_linux() {
    same_flags!(
        abi::mount::MountFlags = linux_raw_sys::general:
        MS_RDONLY MS_NOSUID MS_NODEV MS_NOEXEC MS_SYNCHRONOUS MS_REMOUNT MS_MANDLOCK MS_DIRSYNC MS_NOSYMFOLLOW
        MS_NOATIME MS_NODIRATIME MS_BIND MS_MOVE MS_REC MS_SILENT MS_POSIXACL MS_UNBINDABLE MS_PRIVATE
        MS_SLAVE MS_SHARED MS_RELATIME MS_STRICTATIME MS_LAZYTIME
    );
    same_flags!(
        abi::mount::UmountFlags = linux_raw_sys::general:
        MNT_FORCE MNT_DETACH MNT_EXPIRE UMOUNT_NOFOLLOW
    );
    same_flags!(
        abi::mount::XattrFlags = linux_raw_sys::general:
        XATTR_CREATE XATTR_REPLACE
    );
    same!(
        abi::mount = linux_raw_sys::general:
        XATTR_NAME_MAX XATTR_SIZE_MAX XATTR_LIST_MAX
    );
}

#[test]
fn poll_constants_are_those_of_linux() {
    same_flags!(
        abi::poll::PollEvents = linux_raw_sys::general:
        POLLIN POLLPRI POLLOUT POLLERR POLLHUP POLLNVAL POLLRDNORM POLLRDBAND POLLWRNORM POLLWRBAND POLLMSG
        POLLRDHUP
    );
    same_flags!(
        abi::poll::EpollFlags = linux_raw_sys::general:
        EPOLLEXCLUSIVE EPOLLWAKEUP EPOLLONESHOT EPOLLET
    );
    same!(
        abi::poll = linux_raw_sys::general:
        EPOLL_CTL_ADD EPOLL_CTL_DEL EPOLL_CTL_MOD EPOLL_CLOEXEC
    );
    same_flags!(
        abi::poll::EfdFlags = linux_raw_sys::general:
        EFD_SEMAPHORE EFD_NONBLOCK EFD_CLOEXEC
    );
    same_flags!(
        abi::poll::SfdFlags = libc:
        SFD_NONBLOCK SFD_CLOEXEC
    );
    same!(
        abi::poll = libc:
        PIDFD_NONBLOCK
    );
    same_flags!(
        abi::poll::InFlags = linux_raw_sys::general:
        IN_NONBLOCK IN_CLOEXEC
    );
    same_flags!(
        abi::poll::InMask = linux_raw_sys::general:
        IN_ACCESS IN_MODIFY IN_ATTRIB IN_CLOSE_WRITE IN_CLOSE_NOWRITE IN_OPEN IN_MOVED_FROM IN_MOVED_TO
        IN_CREATE IN_DELETE IN_DELETE_SELF IN_MOVE_SELF IN_UNMOUNT IN_Q_OVERFLOW IN_IGNORED IN_ONLYDIR
        IN_DONT_FOLLOW IN_EXCL_UNLINK IN_MASK_CREATE IN_MASK_ADD IN_ISDIR IN_ONESHOT
    );
}

#[test]
fn prctl_constants_are_those_of_linux() {
    same!(
        abi::prctl = linux_raw_sys::prctl:
        PR_SET_PDEATHSIG PR_GET_PDEATHSIG PR_GET_DUMPABLE PR_SET_DUMPABLE PR_GET_UNALIGN PR_SET_UNALIGN
        PR_GET_KEEPCAPS PR_SET_KEEPCAPS PR_GET_FPEMU PR_SET_FPEMU PR_GET_FPEXC PR_SET_FPEXC PR_GET_TIMING
        PR_SET_TIMING PR_SET_NAME PR_GET_NAME PR_GET_ENDIAN PR_SET_ENDIAN PR_GET_SECCOMP PR_SET_SECCOMP
        PR_CAPBSET_READ PR_CAPBSET_DROP PR_GET_TSC PR_SET_TSC PR_GET_SECUREBITS PR_SET_SECUREBITS
        PR_SET_TIMERSLACK PR_GET_TIMERSLACK PR_TASK_PERF_EVENTS_DISABLE PR_TASK_PERF_EVENTS_ENABLE PR_MCE_KILL
        PR_MCE_KILL_GET PR_SET_MM PR_SET_CHILD_SUBREAPER PR_GET_CHILD_SUBREAPER PR_SET_NO_NEW_PRIVS
        PR_GET_NO_NEW_PRIVS PR_GET_TID_ADDRESS PR_SET_THP_DISABLE PR_GET_THP_DISABLE PR_MPX_ENABLE_MANAGEMENT
        PR_MPX_DISABLE_MANAGEMENT PR_SET_FP_MODE PR_GET_FP_MODE PR_CAP_AMBIENT PR_SVE_SET_VL PR_SVE_GET_VL
        PR_GET_SPECULATION_CTRL PR_SET_SPECULATION_CTRL PR_PAC_RESET_KEYS PR_SET_TAGGED_ADDR_CTRL
        PR_GET_TAGGED_ADDR_CTRL PR_SET_IO_FLUSHER PR_GET_IO_FLUSHER PR_SET_SYSCALL_USER_DISPATCH
        PR_PAC_SET_ENABLED_KEYS PR_PAC_GET_ENABLED_KEYS PR_SCHED_CORE PR_SET_VMA PR_SET_PTRACER PR_TSC_ENABLE
        PR_TSC_SIGSEGV PR_CAP_AMBIENT_IS_SET PR_CAP_AMBIENT_RAISE PR_CAP_AMBIENT_LOWER
        PR_CAP_AMBIENT_CLEAR_ALL PR_SET_VMA_ANON_NAME
    );
    same!(
        abi::prctl = linux_raw_sys::general:
        ARCH_SET_FS _LINUX_CAPABILITY_VERSION_1 _LINUX_CAPABILITY_VERSION_2 _LINUX_CAPABILITY_VERSION_3
        CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID
        CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW
        CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT
        CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD
        CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG
        CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE
        CAP_LAST_CAP LINUX_REBOOT_MAGIC1 LINUX_REBOOT_MAGIC2 LINUX_REBOOT_MAGIC2A LINUX_REBOOT_MAGIC2B
        LINUX_REBOOT_MAGIC2C LINUX_REBOOT_CMD_RESTART LINUX_REBOOT_CMD_HALT LINUX_REBOOT_CMD_CAD_ON
        LINUX_REBOOT_CMD_CAD_OFF LINUX_REBOOT_CMD_POWER_OFF LINUX_REBOOT_CMD_RESTART2
    );
    same_flags!(
        abi::prctl::GrndFlags = linux_raw_sys::general:
        GRND_NONBLOCK GRND_RANDOM GRND_INSECURE
    );
    same!(
        abi::prctl = libc:
        ADDR_NO_RANDOMIZE READ_IMPLIES_EXEC
    );
}

#[test]
fn seccomp_constants_are_those_of_linux() {
    same!(
        abi::seccomp = linux_raw_sys::ptrace:
        SECCOMP_MODE_DISABLED SECCOMP_MODE_STRICT SECCOMP_MODE_FILTER SECCOMP_SET_MODE_STRICT
        SECCOMP_SET_MODE_FILTER SECCOMP_GET_ACTION_AVAIL SECCOMP_GET_NOTIF_SIZES
        SECCOMP_RET_KILL_PROCESS SECCOMP_RET_KILL_THREAD SECCOMP_RET_TRAP SECCOMP_RET_ERRNO SECCOMP_RET_USER_NOTIF
        SECCOMP_RET_TRACE SECCOMP_RET_LOG SECCOMP_RET_ALLOW SECCOMP_RET_ACTION_FULL SECCOMP_RET_DATA
        BPF_LD BPF_LDX BPF_ST BPF_STX BPF_ALU BPF_JMP BPF_RET BPF_MISC BPF_W BPF_IMM BPF_ABS BPF_MEM BPF_LEN
        BPF_ADD BPF_SUB BPF_MUL BPF_DIV BPF_OR BPF_AND BPF_LSH BPF_RSH BPF_NEG BPF_XOR BPF_JA BPF_JEQ BPF_JGT
        BPF_JGE BPF_JSET BPF_K BPF_X BPF_A BPF_TAX BPF_TXA BPF_MAXINSNS BPF_MEMWORDS
    );
    same_flags!(
        abi::seccomp::FilterFlags = linux_raw_sys::ptrace:
        SECCOMP_FILTER_FLAG_TSYNC SECCOMP_FILTER_FLAG_LOG SECCOMP_FILTER_FLAG_SPEC_ALLOW
        SECCOMP_FILTER_FLAG_TSYNC_ESRCH
    );
}

#[test]
fn ptrace_constants_are_those_of_linux() {
    same!(
        abi::ptrace = linux_raw_sys::ptrace:
        PTRACE_TRACEME PTRACE_PEEKTEXT PTRACE_PEEKDATA PTRACE_PEEKUSR PTRACE_POKETEXT PTRACE_POKEDATA
        PTRACE_POKEUSR PTRACE_CONT PTRACE_KILL PTRACE_SINGLESTEP PTRACE_GETREGS PTRACE_SETREGS
        PTRACE_GETFPREGS PTRACE_SETFPREGS PTRACE_ATTACH PTRACE_DETACH PTRACE_SYSCALL PTRACE_ARCH_PRCTL
        PTRACE_SYSEMU PTRACE_SYSEMU_SINGLESTEP PTRACE_SINGLEBLOCK PTRACE_SETOPTIONS PTRACE_GETEVENTMSG
        PTRACE_GETSIGINFO PTRACE_SETSIGINFO PTRACE_GETREGSET PTRACE_SETREGSET PTRACE_SEIZE PTRACE_INTERRUPT
        PTRACE_LISTEN PTRACE_PEEKSIGINFO PTRACE_GETSIGMASK PTRACE_SETSIGMASK PTRACE_SECCOMP_GET_FILTER
        PTRACE_SECCOMP_GET_METADATA
        PTRACE_GET_SYSCALL_INFO PTRACE_GET_RSEQ_CONFIGURATION PTRACE_EVENT_FORK PTRACE_EVENT_VFORK
        PTRACE_EVENT_CLONE PTRACE_EVENT_EXEC PTRACE_EVENT_VFORK_DONE PTRACE_EVENT_EXIT PTRACE_EVENT_SECCOMP
        PTRACE_EVENT_STOP PTRACE_SYSCALL_INFO_NONE PTRACE_SYSCALL_INFO_ENTRY PTRACE_SYSCALL_INFO_EXIT
        PTRACE_SYSCALL_INFO_SECCOMP PTRACE_EVENTMSG_SYSCALL_ENTRY PTRACE_EVENTMSG_SYSCALL_EXIT
        AUDIT_ARCH_X86_64
    );
    same_flags!(
        abi::ptrace::PtraceOptions = linux_raw_sys::ptrace:
        PTRACE_O_TRACESYSGOOD PTRACE_O_TRACEFORK PTRACE_O_TRACEVFORK PTRACE_O_TRACECLONE PTRACE_O_TRACEEXEC
        PTRACE_O_TRACEVFORKDONE PTRACE_O_TRACEEXIT PTRACE_O_TRACESECCOMP PTRACE_O_EXITKILL
        PTRACE_O_SUSPEND_SECCOMP
    );
    same!(
        abi::ptrace = linux_raw_sys::elf_uapi:
        NT_PRSTATUS NT_PRFPREG NT_X86_XSTATE NT_SIGINFO
    );
}

#[test]
fn resource_constants_are_those_of_linux() {
    same!(
        abi::resource = linux_raw_sys::general:
        RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC RLIMIT_NOFILE
        RLIMIT_MEMLOCK RLIMIT_AS RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO
        RLIMIT_RTTIME RUSAGE_SELF RUSAGE_CHILDREN RUSAGE_THREAD RUSAGE_BOTH PRIO_PROCESS PRIO_PGRP PRIO_USER
    );
}

#[test]
fn sched_constants_are_those_of_linux() {
    same_flags!(
        abi::sched::CloneFlags = linux_raw_sys::general:
        CLONE_NEWTIME CLONE_VM CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_PIDFD CLONE_PTRACE CLONE_VFORK
        CLONE_PARENT CLONE_THREAD CLONE_NEWNS CLONE_SYSVSEM CLONE_SETTLS CLONE_PARENT_SETTID
        CLONE_CHILD_CLEARTID CLONE_DETACHED CLONE_UNTRACED CLONE_CHILD_SETTID CLONE_NEWCGROUP CLONE_NEWUTS
        CLONE_NEWIPC CLONE_NEWUSER CLONE_NEWPID CLONE_NEWNET CLONE_IO CLONE_CLEAR_SIGHAND CLONE_INTO_CGROUP
    );
    same!(
        abi::sched = linux_raw_sys::general:
        CSIGNAL CLONE_ARGS_SIZE_VER0 CLONE_ARGS_SIZE_VER1 CLONE_ARGS_SIZE_VER2 SCHED_NORMAL SCHED_FIFO
        SCHED_RR SCHED_BATCH SCHED_IDLE SCHED_DEADLINE SCHED_RESET_ON_FORK
    );
    same_flags!(
        abi::sched::SchedFlags = linux_raw_sys::general:
        SCHED_FLAG_RESET_ON_FORK SCHED_FLAG_RECLAIM SCHED_FLAG_DL_OVERRUN SCHED_FLAG_KEEP_POLICY
        SCHED_FLAG_KEEP_PARAMS SCHED_FLAG_UTIL_CLAMP_MIN SCHED_FLAG_UTIL_CLAMP_MAX
    );
}

#[test]
fn signal_constants_are_those_of_linux() {
    same!(
        abi::signal = linux_raw_sys::general:
        SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE
        SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ
        SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS SIGRTMIN SIGIOT SIGPOLL SIGUNUSED SIG_BLOCK SIG_UNBLOCK
        SIG_SETMASK MINSIGSTKSZ SIGSTKSZ SI_USER SI_KERNEL SI_QUEUE SI_TIMER SI_MESGQ SI_ASYNCIO SI_SIGIO
        SI_TKILL SI_DETHREAD SI_ASYNCNL ILL_ILLOPC ILL_ILLOPN ILL_ILLADR ILL_ILLTRP ILL_PRVOPC ILL_PRVREG
        ILL_COPROC ILL_BADSTK FPE_INTDIV FPE_INTOVF FPE_FLTDIV FPE_FLTOVF FPE_FLTUND FPE_FLTRES FPE_FLTINV
        FPE_FLTSUB FPE_FLTUNK SEGV_MAPERR SEGV_ACCERR SEGV_BNDERR SEGV_PKUERR BUS_ADRALN BUS_ADRERR BUS_OBJERR
        BUS_MCEERR_AR BUS_MCEERR_AO TRAP_BRKPT TRAP_TRACE TRAP_BRANCH TRAP_HWBKPT TRAP_UNK TRAP_PERF POLL_IN
        POLL_OUT POLL_MSG POLL_ERR POLL_PRI POLL_HUP SYS_SECCOMP SYS_USER_DISPATCH SIGEV_SIGNAL SIGEV_NONE
        SIGEV_THREAD SIGEV_THREAD_ID
    );
    same_flags!(
        abi::signal::SaFlags = linux_raw_sys::general:
        SA_NOCLDSTOP SA_NOCLDWAIT SA_SIGINFO SA_UNSUPPORTED SA_EXPOSE_TAGBITS SA_RESTORER SA_ONSTACK
        SA_RESTART SA_NODEFER SA_RESETHAND
    );
    same!(
        abi::signal = libc:
        SIG_DFL SIG_IGN SIG_ERR
    );
    same_flags!(
        abi::signal::SsFlags = linux_raw_sys::general:
        SS_ONSTACK SS_DISABLE SS_AUTODISARM
    );
}

#[test]
fn socket_constants_are_those_of_linux() {
    same!(
        abi::socket = linux_raw_sys::net:
        AF_UNSPEC AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_VSOCK SOCK_STREAM SOCK_DGRAM SOCK_RAW
        SOCK_RDM SOCK_SEQPACKET SHUT_RD SHUT_WR SHUT_RDWR SOL_SOCKET SOL_TCP IPPROTO_IP IPPROTO_TCP
        IPPROTO_UDP SO_DEBUG SO_REUSEADDR SO_TYPE SO_ERROR SO_DONTROUTE SO_BROADCAST SO_SNDBUF SO_RCVBUF
        SO_KEEPALIVE SO_OOBINLINE SO_NO_CHECK SO_PRIORITY SO_LINGER SO_BSDCOMPAT SO_REUSEPORT SO_PASSCRED
        SO_PEERCRED SO_RCVLOWAT SO_SNDLOWAT SO_RCVTIMEO SO_SNDTIMEO SO_PEERNAME SO_TIMESTAMP SO_ACCEPTCONN
        SO_PEERSEC SO_SNDBUFFORCE SO_RCVBUFFORCE SO_PASSSEC SO_PROTOCOL SO_DOMAIN SO_PEEK_OFF SO_PEERGROUPS
        SCM_RIGHTS SCM_CREDENTIALS TCP_NODELAY
    );
    same!(
        abi::socket = libc:
        SOMAXCONN
    );
    same_flags!(
        abi::socket::SockFlags = libc:
        SOCK_NONBLOCK SOCK_CLOEXEC
    );
    same_flags!(
        abi::socket::MsgFlags = linux_raw_sys::net:
        MSG_OOB MSG_PEEK MSG_DONTROUTE MSG_CTRUNC MSG_TRUNC MSG_DONTWAIT MSG_EOR MSG_WAITALL MSG_CONFIRM
        MSG_ERRQUEUE MSG_NOSIGNAL MSG_MORE MSG_CMSG_CLOEXEC
    );
    same_flags!(
        abi::socket::MsgFlags = libc:
        MSG_WAITFORONE
    );
}

#[test]
fn stat_constants_are_those_of_linux() {
    same!(
        abi::stat = linux_raw_sys::general:
        S_IFSOCK S_IFLNK S_IFREG S_IFBLK S_IFDIR S_IFCHR S_IFIFO S_IFMT S_ISUID S_ISGID S_ISVTX S_IRWXU
        S_IRUSR S_IWUSR S_IXUSR S_IRWXG S_IRGRP S_IWGRP S_IXGRP S_IRWXO S_IROTH S_IWOTH S_IXOTH
        STATX_BASIC_STATS STATX_ALL STATX__RESERVED TMPFS_MAGIC RAMFS_MAGIC PROC_SUPER_MAGIC
        DEVPTS_SUPER_MAGIC PIPEFS_MAGIC SOCKFS_MAGIC ANON_INODE_FS_MAGIC EXT4_SUPER_MAGIC SYSFS_MAGIC
        V9FS_MAGIC
    );
    same_flags!(
        abi::stat::StatxMask = linux_raw_sys::general:
        STATX_TYPE STATX_MODE STATX_NLINK STATX_UID STATX_GID STATX_ATIME STATX_MTIME STATX_CTIME STATX_INO
        STATX_SIZE STATX_BLOCKS STATX_BTIME STATX_MNT_ID STATX_DIOALIGN
    );
    same_flags!(
        abi::stat::StatxAttributes = linux_raw_sys::general:
        STATX_ATTR_COMPRESSED STATX_ATTR_IMMUTABLE STATX_ATTR_APPEND STATX_ATTR_NODUMP STATX_ATTR_ENCRYPTED
        STATX_ATTR_AUTOMOUNT STATX_ATTR_MOUNT_ROOT STATX_ATTR_VERITY STATX_ATTR_DAX
    );
    same_flags!(
        abi::stat::StFlags = libc:
        ST_RDONLY ST_NOSUID ST_NODEV ST_NOEXEC ST_SYNCHRONOUS ST_MANDLOCK ST_NOATIME ST_NODIRATIME ST_RELATIME
    );
}

#[test]
fn termios_constants_are_those_of_linux() {
    same_flags!(
        abi::termios::InputModes = linux_raw_sys::general:
        IGNBRK BRKINT IGNPAR PARMRK INPCK ISTRIP INLCR IGNCR ICRNL IUCLC IXON IXANY IXOFF IMAXBEL IUTF8
    );
    same_flags!(
        abi::termios::OutputModes = linux_raw_sys::general:
        OPOST OLCUC ONLCR OCRNL ONOCR ONLRET OFILL OFDEL
    );
    same_flags!(
        abi::termios::ControlModes = linux_raw_sys::general:
        CS8 CSTOPB CREAD PARENB PARODD HUPCL CLOCAL CRTSCTS
    );
    same!(
        abi::termios = linux_raw_sys::general:
        CBAUD CSIZE CS5 CS6 CS7 B0 B9600 B38400 B115200 BOTHER TABDLY TAB3 XTABS NLDLY CRDLY VINTR VQUIT
        VERASE VKILL VEOF VTIME VMIN VSWTC VSTART VSTOP VSUSP VEOL VREPRINT VDISCARD VWERASE VLNEXT VEOL2 NCCS
        TCIFLUSH TCOFLUSH TCIOFLUSH TCOOFF TCOON TCIOFF TCION TIOCPKT_DATA TIOCPKT_FLUSHREAD
        TIOCPKT_FLUSHWRITE TIOCPKT_STOP TIOCPKT_START TIOCPKT_NOSTOP TIOCPKT_DOSTOP TIOCPKT_IOCTL
    );
    same_flags!(
        abi::termios::LocalModes = linux_raw_sys::general:
        ISIG ICANON XCASE ECHO ECHOE ECHOK ECHONL NOFLSH TOSTOP ECHOCTL ECHOPRT ECHOKE FLUSHO PENDIN IEXTEN
        EXTPROC
    );
    same!(
        abi::termios = linux_raw_sys::ioctl:
        TCGETS TCSETS TCSETSW TCSETSF TCGETS2 TCSETS2 TCSETSW2 TCSETSF2 TCGETA TCSETA TCSETAW TCSETAF TCSBRK
        TCXONC TCFLSH TIOCEXCL TIOCNXCL TIOCSCTTY TIOCGPGRP TIOCSPGRP TIOCOUTQ TIOCSTI TIOCGWINSZ TIOCSWINSZ
        TIOCMGET TIOCMBIS TIOCMBIC TIOCMSET TIOCGSOFTCAR TIOCSSOFTCAR FIONREAD TIOCLINUX TIOCCONS TIOCGSERIAL
        TIOCSSERIAL TIOCPKT FIONBIO TIOCNOTTY TIOCSETD TIOCGETD TCSBRKP TIOCSBRK TIOCCBRK TIOCGSID TIOCGRS485
        TIOCGPTN TIOCSPTLCK TIOCGDEV TIOCSIG TIOCVHANGUP TIOCGPKT TIOCGPTLCK TIOCGEXCL TIOCGPTPEER FIONCLEX
        FIOCLEX FIOASYNC FIOQSIZE FS_IOC_GETFLAGS FS_IOC_SETFLAGS FICLONE FIFREEZE FITHAW FIBMAP FIGETBSZ
    );
}

#[test]
fn time_constants_are_those_of_linux() {
    same!(
        abi::time = linux_raw_sys::general:
        CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID CLOCK_THREAD_CPUTIME_ID CLOCK_MONOTONIC_RAW
        CLOCK_REALTIME_COARSE CLOCK_MONOTONIC_COARSE CLOCK_BOOTTIME CLOCK_REALTIME_ALARM CLOCK_BOOTTIME_ALARM
        CLOCK_TAI TIMER_ABSTIME ITIMER_REAL ITIMER_VIRTUAL ITIMER_PROF UTIME_NOW UTIME_OMIT
    );
    same_flags!(
        abi::time::TfdFlags = linux_raw_sys::general:
        TFD_NONBLOCK TFD_CLOEXEC
    );
    same_flags!(
        abi::time::TfdTimerFlags = linux_raw_sys::general:
        TFD_TIMER_ABSTIME TFD_TIMER_CANCEL_ON_SET
    );
}

#[test]
fn uio_constants_are_those_of_linux() {
    same_flags!(
        abi::uio::RwFlags = linux_raw_sys::general:
        RWF_HIPRI RWF_DSYNC RWF_SYNC RWF_NOWAIT RWF_APPEND
    );
    same!(
        abi::uio = linux_raw_sys::general:
        UIO_MAXIOV
    );
}

#[test]
fn wait_constants_are_those_of_linux() {
    same!(
        abi::wait = linux_raw_sys::general:
        P_ALL P_PID P_PGID P_PIDFD CLD_EXITED CLD_KILLED CLD_DUMPED CLD_TRAPPED CLD_STOPPED CLD_CONTINUED
    );
    same_flags!(
        abi::wait::WaitOptions = linux_raw_sys::general:
        WNOHANG WSTOPPED WEXITED WCONTINUED WNOWAIT __WNOTHREAD __WALL __WCLONE
    );
}

macro_rules! numbers {
    ($($name:ident)*) => {
        $(assert_eq!(
            abi::nr::number(stringify!($name).strip_prefix("SYS_").expect("listed with the prefix")),
            usize::try_from(libc::$name).ok(),
            "{}", stringify!($name)
        );)*
    };
}

#[test]
fn system_call_numbers_are_those_of_linux() {
    numbers!(
        SYS_read SYS_write SYS_open SYS_close SYS_stat SYS_fstat SYS_lstat SYS_poll SYS_lseek SYS_mmap
        SYS_mprotect SYS_munmap SYS_brk SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_ioctl
        SYS_pread64 SYS_pwrite64 SYS_readv SYS_writev SYS_access SYS_pipe SYS_select SYS_sched_yield
        SYS_mremap SYS_msync SYS_mincore SYS_madvise SYS_shmget SYS_shmat SYS_shmctl SYS_dup SYS_dup2
        SYS_pause SYS_nanosleep SYS_getitimer SYS_alarm SYS_setitimer SYS_getpid SYS_sendfile SYS_socket
        SYS_connect SYS_accept SYS_sendto SYS_recvfrom SYS_sendmsg SYS_recvmsg SYS_shutdown SYS_bind
        SYS_listen SYS_getsockname SYS_getpeername SYS_socketpair SYS_setsockopt SYS_getsockopt SYS_clone
        SYS_fork SYS_vfork SYS_execve SYS_exit SYS_wait4 SYS_kill SYS_uname SYS_semget SYS_semop SYS_semctl
        SYS_shmdt SYS_msgget SYS_msgsnd SYS_msgrcv SYS_msgctl SYS_fcntl SYS_flock SYS_fsync SYS_fdatasync
        SYS_truncate SYS_ftruncate SYS_getdents SYS_getcwd SYS_chdir SYS_fchdir SYS_rename SYS_mkdir SYS_rmdir
        SYS_creat SYS_link SYS_unlink SYS_symlink SYS_readlink SYS_chmod SYS_fchmod SYS_chown SYS_fchown
        SYS_lchown SYS_umask SYS_gettimeofday SYS_getrlimit SYS_getrusage SYS_sysinfo SYS_times SYS_ptrace
        SYS_getuid SYS_syslog SYS_getgid SYS_setuid SYS_setgid SYS_geteuid SYS_getegid SYS_setpgid SYS_getppid
        SYS_getpgrp SYS_setsid SYS_setreuid SYS_setregid SYS_getgroups SYS_setgroups SYS_setresuid
        SYS_getresuid SYS_setresgid SYS_getresgid SYS_getpgid SYS_setfsuid SYS_setfsgid SYS_getsid SYS_capget
        SYS_capset SYS_rt_sigpending SYS_rt_sigtimedwait SYS_rt_sigqueueinfo SYS_rt_sigsuspend SYS_sigaltstack
        SYS_utime SYS_mknod SYS_uselib SYS_personality SYS_ustat SYS_statfs SYS_fstatfs SYS_sysfs
        SYS_getpriority SYS_setpriority SYS_sched_setparam SYS_sched_getparam SYS_sched_setscheduler
        SYS_sched_getscheduler SYS_sched_get_priority_max SYS_sched_get_priority_min SYS_sched_rr_get_interval
        SYS_mlock SYS_munlock SYS_mlockall SYS_munlockall SYS_vhangup SYS_modify_ldt SYS_pivot_root
        SYS__sysctl SYS_prctl SYS_arch_prctl SYS_adjtimex SYS_setrlimit SYS_chroot SYS_sync SYS_acct
        SYS_settimeofday SYS_mount SYS_umount2 SYS_swapon SYS_swapoff SYS_reboot SYS_sethostname
        SYS_setdomainname SYS_iopl SYS_ioperm SYS_init_module SYS_delete_module SYS_quotactl SYS_nfsservctl
        SYS_getpmsg SYS_putpmsg SYS_afs_syscall SYS_tuxcall SYS_security SYS_gettid SYS_readahead SYS_setxattr
        SYS_lsetxattr SYS_fsetxattr SYS_getxattr SYS_lgetxattr SYS_fgetxattr SYS_listxattr SYS_llistxattr
        SYS_flistxattr SYS_removexattr SYS_lremovexattr SYS_fremovexattr SYS_tkill SYS_time SYS_futex
        SYS_sched_setaffinity SYS_sched_getaffinity SYS_set_thread_area SYS_io_setup SYS_io_destroy
        SYS_io_getevents SYS_io_submit SYS_io_cancel SYS_get_thread_area SYS_lookup_dcookie SYS_epoll_create
        SYS_epoll_ctl_old SYS_epoll_wait_old SYS_remap_file_pages SYS_getdents64 SYS_set_tid_address
        SYS_restart_syscall SYS_semtimedop SYS_fadvise64 SYS_timer_create SYS_timer_settime SYS_timer_gettime
        SYS_timer_getoverrun SYS_timer_delete SYS_clock_settime SYS_clock_gettime SYS_clock_getres
        SYS_clock_nanosleep SYS_exit_group SYS_epoll_wait SYS_epoll_ctl SYS_tgkill SYS_utimes SYS_vserver
        SYS_mbind SYS_set_mempolicy SYS_get_mempolicy SYS_mq_open SYS_mq_unlink SYS_mq_timedsend
        SYS_mq_timedreceive SYS_mq_notify SYS_mq_getsetattr SYS_kexec_load SYS_waitid SYS_add_key
        SYS_request_key SYS_keyctl SYS_ioprio_set SYS_ioprio_get SYS_inotify_init SYS_inotify_add_watch
        SYS_inotify_rm_watch SYS_migrate_pages SYS_openat SYS_mkdirat SYS_mknodat SYS_fchownat SYS_futimesat
        SYS_newfstatat SYS_unlinkat SYS_renameat SYS_linkat SYS_symlinkat SYS_readlinkat SYS_fchmodat
        SYS_faccessat SYS_pselect6 SYS_ppoll SYS_unshare SYS_set_robust_list SYS_get_robust_list SYS_splice
        SYS_tee SYS_sync_file_range SYS_vmsplice SYS_move_pages SYS_utimensat SYS_epoll_pwait SYS_signalfd
        SYS_timerfd_create SYS_eventfd SYS_fallocate SYS_timerfd_settime SYS_timerfd_gettime SYS_accept4
        SYS_signalfd4 SYS_eventfd2 SYS_epoll_create1 SYS_dup3 SYS_pipe2 SYS_inotify_init1 SYS_preadv
        SYS_pwritev SYS_rt_tgsigqueueinfo SYS_perf_event_open SYS_recvmmsg SYS_fanotify_init SYS_fanotify_mark
        SYS_prlimit64 SYS_name_to_handle_at SYS_open_by_handle_at SYS_clock_adjtime SYS_syncfs SYS_sendmmsg
        SYS_setns SYS_getcpu SYS_process_vm_readv SYS_process_vm_writev SYS_kcmp SYS_finit_module
        SYS_sched_setattr SYS_sched_getattr SYS_renameat2 SYS_seccomp SYS_getrandom SYS_memfd_create
        SYS_kexec_file_load SYS_bpf SYS_execveat SYS_userfaultfd SYS_membarrier SYS_mlock2 SYS_copy_file_range
        SYS_preadv2 SYS_pwritev2 SYS_pkey_mprotect SYS_pkey_alloc SYS_pkey_free SYS_statx SYS_rseq
        SYS_pidfd_send_signal SYS_io_uring_setup SYS_io_uring_enter SYS_io_uring_register SYS_open_tree
        SYS_move_mount SYS_fsopen SYS_fsconfig SYS_fsmount SYS_fspick SYS_pidfd_open SYS_clone3
        SYS_close_range SYS_openat2 SYS_pidfd_getfd SYS_faccessat2 SYS_process_madvise SYS_epoll_pwait2
        SYS_mount_setattr SYS_quotactl_fd SYS_landlock_create_ruleset SYS_landlock_add_rule
        SYS_landlock_restrict_self SYS_memfd_secret SYS_process_mrelease SYS_futex_waitv
        SYS_set_mempolicy_home_node
    );
}

macro_rules! errors {
    ($($name:ident)*) => {
        $(assert_eq!(i32::from(abi::Errno::$name.number()), libc::$name);)*
    };
}

#[test]
fn error_numbers_are_those_of_linux() {
    errors!(
        EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK
        EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS
        EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENOMSG EIDRM ECHRNG
        EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT EBFONT
        ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT
        EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART
        ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT
        EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET
        ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED
        EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT
        ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE
        ERFKILL EHWPOISON
    );
}
