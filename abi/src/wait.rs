//! Waiting for children: wait4(2), waitid(2), and the encoding of a child's end in one word.

consts! {
    /// The first argument of waitid(2).
    idtype_name: u32 {
        P_ALL = 0,
        P_PID = 1,
        P_PGID = 2,
        P_PIDFD = 3,
    }
}

flags! {
    /// Options of wait4(2) and waitid(2).
    WaitOptions: u32 {
        WNOHANG = 0x1,
        WSTOPPED = 0x2,
        WEXITED = 0x4,
        WCONTINUED = 0x8,
        WNOWAIT = 0x1000000,
        __WNOTHREAD = 0x20000000,
        __WALL = 0x40000000,
        __WCLONE = 0x80000000,
    }
}

/// The name wait4(2) has for `WSTOPPED`.
pub const WUNTRACED: WaitOptions = WaitOptions::WSTOPPED;

consts! {
    /// `si_code` of SIGCHLD and waitid(2).
    cld_name: i32 {
        CLD_EXITED = 1,
        CLD_KILLED = 2,
        CLD_DUMPED = 3,
        CLD_TRAPPED = 4,
        CLD_STOPPED = 5,
        CLD_CONTINUED = 6,
    }
}

/// What a wait reports of a child: the `status` word of wait4(2) in a readable form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitStatus {
    /// Called exit(2) with this status, 0..256.
    Exited(u8),
    /// Killed by this signal; whether Linux would report a core dump.
    Signaled {
        /// The signal.
        signal: u8,
        /// `WCOREDUMP`.
        core: bool,
    },
    /// Stopped by this signal. A ptrace event stands in the bits above 16.
    Stopped {
        /// The signal, with 0x80 added for a traced system call under `PTRACE_O_TRACESYSGOOD`.
        signal: u8,
        /// `PTRACE_EVENT_*`, or 0.
        event: u8,
    },
    /// Continued by SIGCONT.
    Continued,
}

impl WaitStatus {
    /// The word of wait4(2).
    pub const fn encode(self) -> u32 {
        match self {
            WaitStatus::Exited(code) => (code as u32) << 8,
            WaitStatus::Signaled { signal, core } => signal as u32 | if core { 0x80 } else { 0 },
            WaitStatus::Stopped { signal, event } => 0x7f | (signal as u32) << 8 | (event as u32) << 16,
            WaitStatus::Continued => 0xffff,
        }
    }

    /// The reverse of [`WaitStatus::encode`].
    pub const fn decode(word: u32) -> WaitStatus {
        let low = (word & 0x7f) as u8;
        if word == 0xffff {
            WaitStatus::Continued
        } else if low == 0 {
            WaitStatus::Exited((word >> 8) as u8)
        } else if low == 0x7f {
            WaitStatus::Stopped { signal: (word >> 8) as u8, event: (word >> 16) as u8 }
        } else {
            WaitStatus::Signaled { signal: low, core: word & 0x80 != 0 }
        }
    }

    /// `si_code` of waitid(2): one of the `CLD_` codes.
    pub const fn cld_code(self) -> i32 {
        match self {
            WaitStatus::Exited(_) => CLD_EXITED,
            WaitStatus::Signaled { core: false, .. } => CLD_KILLED,
            WaitStatus::Signaled { core: true, .. } => CLD_DUMPED,
            WaitStatus::Stopped { event: 0, .. } => CLD_STOPPED,
            WaitStatus::Stopped { .. } => CLD_TRAPPED,
            WaitStatus::Continued => CLD_CONTINUED,
        }
    }

    /// `si_status` of waitid(2): the exit status, or the signal.
    pub const fn si_status(self) -> i32 {
        match self {
            WaitStatus::Exited(code) => code as i32,
            WaitStatus::Signaled { signal, .. } => signal as i32,
            WaitStatus::Stopped { signal, event } => signal as i32 | (event as i32) << 8,
            WaitStatus::Continued => crate::signal::SIGCONT as i32,
        }
    }
}
