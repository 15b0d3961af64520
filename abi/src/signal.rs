//! Signals: numbers, dispositions, `siginfo_t` and its codes.
//!
//! The frame a handler runs on (`ucontext` and below) is in [`crate::ucontext`].

use crate::Pod;
use zerocopy::{FromBytes, IntoBytes};

consts! {
    /// Signal numbers, 1..=64. `SIGRTMIN` is the kernel's; C libraries take the first few from there
    /// (musl: 32 timers, 33 cancellation, 34 setuid).
    signal_name: u32 {
        SIGHUP = 1,
        SIGINT = 2,
        SIGQUIT = 3,
        SIGILL = 4,
        SIGTRAP = 5,
        SIGABRT = 6,
        SIGBUS = 7,
        SIGFPE = 8,
        SIGKILL = 9,
        SIGUSR1 = 10,
        SIGSEGV = 11,
        SIGUSR2 = 12,
        SIGPIPE = 13,
        SIGALRM = 14,
        SIGTERM = 15,
        SIGSTKFLT = 16,
        SIGCHLD = 17,
        SIGCONT = 18,
        SIGSTOP = 19,
        SIGTSTP = 20,
        SIGTTIN = 21,
        SIGTTOU = 22,
        SIGURG = 23,
        SIGXCPU = 24,
        SIGXFSZ = 25,
        SIGVTALRM = 26,
        SIGPROF = 27,
        SIGWINCH = 28,
        SIGIO = 29,
        SIGPWR = 30,
        SIGSYS = 31,
        SIGRTMIN = 32,
    }
}

// Names some signals have besides, the highest signal, and the bytes of a signal set.
consts! {
    u32 {
        SIGIOT = 6,
        SIGPOLL = 29,
        SIGUNUSED = 31,
        SIGRTMAX = 64,
        NSIG = 64,
        SIGSET_BYTES = 8,
    }
}

flags! {
    /// `sa_flags` of rt_sigaction(2). Unknown bits are kept out by the kernel, so that `SA_UNSUPPORTED` can probe.
    SaFlags: u64 {
        SA_NOCLDSTOP = 0x1,
        SA_NOCLDWAIT = 0x2,
        SA_SIGINFO = 0x4,
        SA_UNSUPPORTED = 0x400,
        SA_EXPOSE_TAGBITS = 0x800,
        SA_RESTORER = 0x4000000,
        SA_ONSTACK = 0x8000000,
        SA_RESTART = 0x10000000,
        SA_NODEFER = 0x40000000,
        SA_RESETHAND = 0x80000000,
    }
}

// Handlers that are none.
consts! {
    u64 {
        SIG_DFL = 0,
        SIG_IGN = 1,
        SIG_ERR = u64::MAX,
    }
}

consts! {
    /// How rt_sigprocmask(2) changes the mask.
    how_name: u32 {
        SIG_BLOCK = 0,
        SIG_UNBLOCK = 1,
        SIG_SETMASK = 2,
    }
}

flags! {
    /// `ss_flags` of sigaltstack(2).
    SsFlags: u32 {
        SS_ONSTACK = 1,
        SS_DISABLE = 2,
        SS_AUTODISARM = 0x8000_0000,
    }
}

// The least an alternate stack may have, and what one usually has.
consts! {
    usize {
        MINSIGSTKSZ = 2048,
        SIGSTKSZ = 8192,
    }
}

consts! {
    /// `si_code` for any signal: at or below 0 from a user, above from the kernel.
    si_code_name: i32 {
        SI_USER = 0,
        SI_KERNEL = 128,
        SI_QUEUE = -1,
        SI_TIMER = -2,
        SI_MESGQ = -3,
        SI_ASYNCIO = -4,
        SI_SIGIO = -5,
        SI_TKILL = -6,
        SI_DETHREAD = -7,
        SI_ASYNCNL = -60,
    }
}

// `si_code` of SIGILL.
consts! {
    i32 {
        ILL_ILLOPC = 1,
        ILL_ILLOPN = 2,
        ILL_ILLADR = 3,
        ILL_ILLTRP = 4,
        ILL_PRVOPC = 5,
        ILL_PRVREG = 6,
        ILL_COPROC = 7,
        ILL_BADSTK = 8,
    }
}

// `si_code` of SIGFPE.
consts! {
    i32 {
        FPE_INTDIV = 1,
        FPE_INTOVF = 2,
        FPE_FLTDIV = 3,
        FPE_FLTOVF = 4,
        FPE_FLTUND = 5,
        FPE_FLTRES = 6,
        FPE_FLTINV = 7,
        FPE_FLTSUB = 8,
        FPE_FLTUNK = 14,
    }
}

// `si_code` of SIGSEGV.
consts! {
    i32 {
        SEGV_MAPERR = 1,
        SEGV_ACCERR = 2,
        SEGV_BNDERR = 3,
        SEGV_PKUERR = 4,
    }
}

// `si_code` of SIGBUS.
consts! {
    i32 {
        BUS_ADRALN = 1,
        BUS_ADRERR = 2,
        BUS_OBJERR = 3,
        BUS_MCEERR_AR = 4,
        BUS_MCEERR_AO = 5,
    }
}

// `si_code` of SIGTRAP.
consts! {
    i32 {
        TRAP_BRKPT = 1,
        TRAP_TRACE = 2,
        TRAP_BRANCH = 3,
        TRAP_HWBKPT = 4,
        TRAP_UNK = 5,
        TRAP_PERF = 6,
    }
}

// `si_code` of SIGPOLL.
consts! {
    i32 {
        POLL_IN = 1,
        POLL_OUT = 2,
        POLL_MSG = 3,
        POLL_ERR = 4,
        POLL_PRI = 5,
        POLL_HUP = 6,
    }
}

// `si_code` of SIGSYS.
consts! {
    i32 {
        SYS_SECCOMP = 1,
        SYS_USER_DISPATCH = 2,
    }
}

consts! {
    /// How a `sigevent` notifies (timer_create(2)).
    sigev_name: u32 {
        SIGEV_SIGNAL = 0,
        SIGEV_NONE = 1,
        SIGEV_THREAD = 2,
        SIGEV_THREAD_ID = 4,
    }
}

/// A signal set: bit `n - 1` is signal `n`.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
)]
#[repr(transparent)]
pub struct SigSet(pub u64);

impl SigSet {
    /// No signal.
    pub const EMPTY: SigSet = SigSet(0);
    /// Every signal.
    pub const FULL: SigSet = SigSet(u64::MAX);
    /// The two nobody can block, ignore or catch.
    pub const UNBLOCKABLE: SigSet = SigSet::of(&[SIGKILL, SIGSTOP]);
    /// Those that stop a process by default.
    pub const STOP: SigSet = SigSet::of(&[SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]);
    /// Those an instruction raises, delivered before others.
    pub const SYNCHRONOUS: SigSet = SigSet::of(&[SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS]);
    /// Those whose default is to do nothing. SIGCONT continues, then is ignored likewise.
    pub const IGNORED_BY_DEFAULT: SigSet = SigSet::of(&[SIGCONT, SIGCHLD, SIGWINCH, SIGURG]);
    /// Those whose default is death with a core dump.
    pub const CORE: SigSet =
        SigSet::of(&[SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGXCPU, SIGXFSZ]);

    /// The set of these signals, each 1..=64.
    pub const fn of(signals: &[u32]) -> SigSet {
        let (mut bits, mut i) = (0, 0);
        while i < signals.len() {
            bits |= 1 << (signals[i] - 1);
            i += 1;
        }
        SigSet(bits)
    }

    /// Whether signal `signal` (1..=64) is in the set; `false` for any other number.
    pub const fn contains(self, signal: u32) -> bool {
        signal >= 1 && signal <= NSIG && self.0 & (1 << (signal - 1)) != 0
    }

    /// Adds signal `signal`; a number outside 1..=64 is ignored.
    pub const fn insert(&mut self, signal: u32) {
        if signal >= 1 && signal <= NSIG {
            self.0 |= 1 << (signal - 1);
        }
    }

    /// Takes signal `signal` out; a number outside 1..=64 is ignored.
    pub const fn remove(&mut self, signal: u32) {
        if signal >= 1 && signal <= NSIG {
            self.0 &= !(1 << (signal - 1));
        }
    }

    /// Those in either set.
    pub const fn union(self, other: SigSet) -> SigSet {
        SigSet(self.0 | other.0)
    }

    /// Those in both sets.
    pub const fn intersection(self, other: SigSet) -> SigSet {
        SigSet(self.0 & other.0)
    }

    /// Those in this set and not in the other.
    pub const fn difference(self, other: SigSet) -> SigSet {
        SigSet(self.0 & !other.0)
    }

    /// Whether no signal is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lowest signal in the set.
    pub const fn first(self) -> Option<u32> {
        if self.0 == 0 { None } else { Some(self.0.trailing_zeros() + 1) }
    }

    /// The signals in the set, lowest first.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (1..=NSIG).filter(move |&signal| self.contains(signal))
    }
}

impl core::fmt::Debug for SigSet {
    /// As strace has it: `[CHLD RTMIN+1]`, or `~[KILL]` where most are in.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (shown, sign) = if self.0.count_ones() > 32 { (SigSet(!self.0), "~") } else { (*self, "") };
        write!(f, "{sign}[")?;
        for (i, signal) in shown.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            match signal_name(signal) {
                Some(name) if signal < SIGRTMIN => write!(f, "{space}{}", name.trim_start_matches("SIG"))?,
                _ => write!(f, "{space}RT_{}", signal - SIGRTMIN)?,
            }
        }
        f.write_str("]")
    }
}

pods! {
    /// The kernel's `struct sigaction` (rt_sigaction(2)), not the C library's.
    SigAction { sa_handler: u64, sa_flags: u64, sa_restorer: u64, sa_mask: u64, }

    /// `stack_t` (sigaltstack(2)).
    StackT { ss_sp: u64, ss_flags: u32, __pad: u32, ss_size: u64, }

    /// `struct sigevent` (64 bytes). `sigev_notify_thread_id` stands first in the union.
    SigEvent { sigev_value: u64, sigev_signo: i32, sigev_notify: i32, sigev_notify_thread_id: i32, __pad: [u32; 11], }

    /// `siginfo_t`, 128 bytes: a header, and a union that [`SigInfo::view`] reads by source.
    SigInfo { si_signo: i32, si_errno: i32, si_code: i32, __pad: u32, fields: [u64; 14], }

    /// The union of a signal sent by kill(2), tkill(2) or rt_sigqueueinfo(2); the last has a value.
    SiSent { si_pid: i32, si_uid: u32, si_value: u64, }

    /// The union of a POSIX timer's signal.
    SiTimer { si_tid: i32, si_overrun: i32, si_value: u64, si_sys_private: i32, __pad: u32, }

    /// The union of SIGCHLD, and what waitid(2) gives.
    SiChild { si_pid: i32, si_uid: u32, si_status: i32, __pad: u32, si_utime: i64, si_stime: i64, }

    /// The union of SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP.
    SiFault { si_addr: u64, si_addr_lsb: u16, __pad: [u16; 3], si_lower: u64, si_upper: u64, }

    /// The union of SIGPOLL.
    SiPoll { si_band: i64, si_fd: i32, __pad: u32, }

    /// The union of SIGSYS.
    SiSys { si_call_addr: u64, si_syscall: i32, si_arch: u32, }
}

impl SigInfo {
    /// A `siginfo_t` of this signal and code with its union filled from the front, zero behind.
    pub fn new<T: Pod>(signal: u32, code: i32, union: T) -> SigInfo {
        let mut info = SigInfo { si_signo: signal.cast_signed(), si_code: code, ..SigInfo::default() };
        let (bytes, room) = (union.as_bytes(), info.fields.as_mut_bytes());
        let length = bytes.len().min(room.len());
        room[..length].copy_from_slice(&bytes[..length]);
        info
    }

    /// Sent by the kernel itself, with nothing to tell (`SI_KERNEL`).
    pub fn kernel(signal: u32) -> SigInfo {
        SigInfo::new(signal, SI_KERNEL, SiSent::default())
    }

    /// Sent by a process: `code` is `SI_USER` for kill(2), `SI_TKILL` for tkill(2) and tgkill(2).
    pub fn sent(signal: u32, code: i32, pid: i32, uid: u32) -> SigInfo {
        SigInfo::new(signal, code, SiSent { si_pid: pid, si_uid: uid, si_value: 0 })
    }

    /// SIGCHLD or what waitid(2) reports: `code` is a `CLD_` code.
    pub fn child(code: i32, child: SiChild) -> SigInfo {
        SigInfo::new(SIGCHLD, code, child)
    }

    /// Raised by an instruction at or about `address`.
    pub fn fault(signal: u32, code: i32, address: u64) -> SigInfo {
        SigInfo::new(signal, code, SiFault { si_addr: address, ..SiFault::default() })
    }

    /// The union read as the kind that the signal and code say it is.
    pub fn view<T: Pod>(&self) -> T {
        let mut view = T::new_zeroed();
        let (bytes, room) = (self.fields.as_bytes(), view.as_mut_bytes());
        let length = bytes.len().min(room.len());
        room[..length].copy_from_slice(&bytes[..length]);
        view
    }
}
