//! Readiness: poll(2), select(2), epoll(7), eventfd(2), inotify(7), pidfd_open(2), signalfd(2).

flags! {
    /// Events of poll(2). epoll(7) has the same numbers under `EPOLL` names.
    PollEvents: u32 {
        POLLIN = 0x1,
        POLLPRI = 0x2,
        POLLOUT = 0x4,
        POLLERR = 0x8,
        POLLHUP = 0x10,
        POLLNVAL = 0x20,
        POLLRDNORM = 0x40,
        POLLRDBAND = 0x80,
        POLLWRNORM = 0x100,
        POLLWRBAND = 0x200,
        POLLMSG = 0x400,
        POLLRDHUP = 0x2000,
    }
}

flags! {
    /// Input flags of an epoll entry, above its events.
    EpollFlags: u32 {
        EPOLLEXCLUSIVE = 0x10000000,
        EPOLLWAKEUP = 0x20000000,
        EPOLLONESHOT = 0x40000000,
        EPOLLET = 0x80000000,
    }
}

consts! {
    /// Operations of epoll_ctl(2).
    epoll_op_name: u32 {
        EPOLL_CTL_ADD = 1,
        EPOLL_CTL_DEL = 2,
        EPOLL_CTL_MOD = 3,
    }
}

// Flag of epoll_create1(2).
consts! {
    u32 {
        EPOLL_CLOEXEC = 0x80000,
    }
}

flags! {
    /// Flags of eventfd2(2).
    EfdFlags: u32 {
        EFD_SEMAPHORE = 1,
        EFD_NONBLOCK = 0x800,
        EFD_CLOEXEC = 0x80000,
    }
}

flags! {
    /// Flags of signalfd4(2).
    SfdFlags: u32 {
        SFD_NONBLOCK = 0x800,
        SFD_CLOEXEC = 0x80000,
    }
}

// Flag of pidfd_open(2).
consts! {
    u32 {
        PIDFD_NONBLOCK = 0x800,
    }
}

flags! {
    /// Flags of inotify_init1(2).
    InFlags: u32 {
        IN_NONBLOCK = 0x800,
        IN_CLOEXEC = 0x80000,
    }
}

flags! {
    /// Events and options of an inotify watch.
    InMask: u32 {
        IN_ACCESS = 0x1,
        IN_MODIFY = 0x2,
        IN_ATTRIB = 0x4,
        IN_CLOSE_WRITE = 0x8,
        IN_CLOSE_NOWRITE = 0x10,
        IN_OPEN = 0x20,
        IN_MOVED_FROM = 0x40,
        IN_MOVED_TO = 0x80,
        IN_CREATE = 0x100,
        IN_DELETE = 0x200,
        IN_DELETE_SELF = 0x400,
        IN_MOVE_SELF = 0x800,
        IN_UNMOUNT = 0x2000,
        IN_Q_OVERFLOW = 0x4000,
        IN_IGNORED = 0x8000,
        IN_ONLYDIR = 0x1000000,
        IN_DONT_FOLLOW = 0x2000000,
        IN_EXCL_UNLINK = 0x4000000,
        IN_MASK_CREATE = 0x10000000,
        IN_MASK_ADD = 0x20000000,
        IN_ISDIR = 0x40000000,
        IN_ONESHOT = 0x80000000,
    }
}

/// The most descriptors of select(2) in a C library's `fd_set`.
pub const FD_SETSIZE: usize = 1024;

pods! {
    /// `struct pollfd`.
    Pollfd { fd: i32, events: u16, revents: u16, }

    /// `struct epoll_event`: packed on x86_64, 12 bytes; the data as two halves to keep alignment 4.
    EpollEvent { events: u32, data: [u32; 2], }

    /// The sixth argument of pselect6(2): a pointer to a mask and its size.
    SigsetArgpack { p: u64, size: u64, }

    /// `struct inotify_event`, before its name.
    InotifyEvent { wd: i32, mask: u32, cookie: u32, len: u32, }

    /// `struct signalfd_siginfo` (128 bytes).
    SignalfdSiginfo {
        ssi_signo: u32,
        ssi_errno: i32,
        ssi_code: i32,
        ssi_pid: u32,
        ssi_uid: u32,
        ssi_fd: i32,
        ssi_tid: u32,
        ssi_band: u32,
        ssi_overrun: u32,
        ssi_trapno: u32,
        ssi_status: i32,
        ssi_int: i32,
        ssi_ptr: u64,
        ssi_utime: u64,
        ssi_stime: u64,
        ssi_addr: u64,
        ssi_addr_lsb: u16,
        __pad2: u16,
        ssi_syscall: i32,
        ssi_call_addr: u64,
        ssi_arch: u32,
        __pad: [u8; 28],
    }
}

impl EpollEvent {
    /// The user's word, given back with the event.
    pub const fn data(self) -> u64 {
        self.data[0] as u64 | (self.data[1] as u64) << 32
    }

    /// An event with the user's word.
    pub const fn new(events: u32, data: u64) -> EpollEvent {
        EpollEvent { events, data: [data as u32, (data >> 32) as u32] }
    }
}
