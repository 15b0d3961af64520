//! [`Signal`]: a valid signal number; [`SigSet`]: a set of them, laid out as Linux's `sigset_t`.

use core::fmt;
use core::ops::{BitAnd, BitOr, Not};

/// A signal number in `1..=64`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// What a signal does to a process that neither handles nor ignores it (signal(7), "Standard signals").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultAction {
    /// Nothing.
    Ignore,
    /// The process ends.
    Terminate,
    /// The process ends, reported as having dumped core when a core file was written.
    Core,
    /// All threads stop.
    Stop,
    /// The process continues if it was stopped. That is done when the signal is sent; delivery does nothing.
    Continue,
}

macro_rules! signals {
    ($($name:ident = $number:literal, $action:ident, $text:literal;)*) => {
        impl Signal {
            $(#[doc = $text] pub const $name: Signal = Signal($number);)*

            /// The symbolic name without `SIG`, or `None` for a real-time signal.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($number => Some(stringify!($name)),)* _ => None }
            }

            /// The default action. Real-time signals terminate.
            pub const fn default_action(self) -> DefaultAction {
                match self.0 { $($number => DefaultAction::$action,)* _ => DefaultAction::Terminate }
            }
        }
    };
}

signals! {
    HUP = 1, Terminate, "The controlling terminal hung up.";
    INT = 2, Terminate, "Interrupt from the keyboard.";
    QUIT = 3, Core, "Quit from the keyboard.";
    ILL = 4, Core, "Illegal instruction.";
    TRAP = 5, Core, "Breakpoint or trace trap.";
    ABRT = 6, Core, "abort(3).";
    BUS = 7, Core, "Bad memory access without backing.";
    FPE = 8, Core, "Arithmetic exception.";
    KILL = 9, Terminate, "Ends the process; cannot be handled, ignored or blocked.";
    USR1 = 10, Terminate, "For the user.";
    SEGV = 11, Core, "Invalid memory reference.";
    USR2 = 12, Terminate, "For the user.";
    PIPE = 13, Terminate, "Write to a pipe nobody reads.";
    ALRM = 14, Terminate, "alarm(2) or ITIMER_REAL expired.";
    TERM = 15, Terminate, "Termination request.";
    STKFLT = 16, Terminate, "Unused.";
    CHLD = 17, Ignore, "A child stopped, continued or ended.";
    CONT = 18, Continue, "Continue if stopped.";
    STOP = 19, Stop, "Stops the process; cannot be handled, ignored or blocked.";
    TSTP = 20, Stop, "Stop typed at the terminal.";
    TTIN = 21, Stop, "Background read from the terminal.";
    TTOU = 22, Stop, "Background write to the terminal.";
    URG = 23, Ignore, "Urgent data on a socket.";
    XCPU = 24, Core, "CPU time limit exceeded.";
    XFSZ = 25, Core, "File size limit exceeded.";
    VTALRM = 26, Terminate, "ITIMER_VIRTUAL expired.";
    PROF = 27, Terminate, "ITIMER_PROF expired.";
    WINCH = 28, Ignore, "The terminal's window changed size.";
    IO = 29, Terminate, "I/O possible.";
    PWR = 30, Terminate, "Power failure.";
    SYS = 31, Core, "Bad system call.";
}

impl Signal {
    /// The first real-time signal as the kernel counts; user libraries keep a few for themselves.
    pub const RTMIN: Signal = Signal(32);
    /// The last signal.
    pub const MAX: Signal = Signal(64);

    /// The signal of this number, if there is one (`valid_signal()` without zero).
    pub const fn new(number: u32) -> Option<Signal> {
        match number {
            1..=64 => Some(Signal(number as u8)),
            _ => None,
        }
    }

    /// The signal of a number as system calls pass it.
    pub const fn from_i32(number: i32) -> Option<Signal> {
        if number > 0 { Signal::new(number as u32) } else { None }
    }

    /// The number, `1..=64`.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The place in tables of 64 entries.
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }

    /// Whether several of this signal queue up, each with its own information.
    pub const fn is_realtime(self) -> bool {
        self.0 >= Signal::RTMIN.0
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "SIG{name}"),
            None => write!(f, "SIGRT{}", self.0 - Signal::RTMIN.0),
        }
    }
}

/// A set of signals: bit `n - 1` stands for signal `n`, as in Linux's 8-byte `sigset_t`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct SigSet(u64);

impl SigSet {
    /// No signal.
    pub const EMPTY: SigSet = SigSet(0);
    /// Every signal.
    pub const ALL: SigSet = SigSet(!0);
    /// SIGKILL and SIGSTOP, which no mask may hold.
    pub const UNBLOCKABLE: SigSet = SigSet::of(&[Signal::KILL, Signal::STOP]);
    /// The stop signals (`SIG_KERNEL_STOP_MASK`).
    pub const STOPS: SigSet = SigSet::of(&[Signal::STOP, Signal::TSTP, Signal::TTIN, Signal::TTOU]);
    /// Signals that an instruction causes, delivered before others (`SYNCHRONOUS_MASK`).
    pub const SYNCHRONOUS: SigSet =
        SigSet::of(&[Signal::SEGV, Signal::BUS, Signal::ILL, Signal::TRAP, Signal::FPE, Signal::SYS]);

    /// The set of these signals.
    pub const fn of(signals: &[Signal]) -> SigSet {
        let (mut bits, mut i) = (0, 0);
        while i < signals.len() {
            bits |= 1 << signals[i].index();
            i += 1;
        }
        SigSet(bits)
    }

    /// The set user space passed.
    pub const fn from_bits(bits: u64) -> SigSet {
        SigSet(bits)
    }

    /// The set as user space sees it.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether no signal is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `signal` is in the set.
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & (1 << signal.index()) != 0
    }

    /// Puts `signal` in.
    pub fn insert(&mut self, signal: Signal) {
        self.0 |= 1 << signal.index();
    }

    /// Takes `signal` out.
    pub fn remove(&mut self, signal: Signal) {
        self.0 &= !(1 << signal.index());
    }

    /// The set with `signal` in it.
    pub const fn with(self, signal: Signal) -> SigSet {
        SigSet(self.0 | 1 << signal.index())
    }

    /// What is in `self` but not in `other`.
    pub const fn without(self, other: SigSet) -> SigSet {
        SigSet(self.0 & !other.0)
    }

    /// The signal delivered first: a synchronous one, else the lowest number (`next_signal()`).
    pub const fn first(self) -> Option<Signal> {
        let synchronous = self.0 & SigSet::SYNCHRONOUS.0;
        let bits = if synchronous != 0 { synchronous } else { self.0 };
        Signal::new(bits.trailing_zeros() + 1)
    }
}

impl BitOr for SigSet {
    type Output = SigSet;
    fn bitor(self, other: SigSet) -> SigSet {
        SigSet(self.0 | other.0)
    }
}

impl BitAnd for SigSet {
    type Output = SigSet;
    fn bitand(self, other: SigSet) -> SigSet {
        SigSet(self.0 & other.0)
    }
}

impl Not for SigSet {
    type Output = SigSet;
    fn not(self) -> SigSet {
        SigSet(!self.0)
    }
}

impl fmt::Debug for SigSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = (1..=64).filter_map(Signal::new).filter(|signal| self.contains(*signal));
        f.debug_set().entries(members).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_sixty_five_are_no_signals() {
        assert_eq!((Signal::new(0), Signal::new(65), Signal::from_i32(-1)), (None, None, None));
    }

    #[test]
    fn synchronous_signals_come_first_and_then_the_lowest_number() {
        assert_eq!(SigSet::of(&[Signal::HUP, Signal::SEGV]).first(), Some(Signal::SEGV));
        assert_eq!(SigSet::of(&[Signal::TERM, Signal::HUP]).first(), Some(Signal::HUP));
        assert_eq!(SigSet::of(&[Signal::MAX]).first(), Some(Signal::MAX));
        assert_eq!(SigSet::EMPTY.first(), None);
    }
}
