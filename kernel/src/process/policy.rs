//! [`Policy`]: what sched_setscheduler(2) was told of a thread.

use abi::sched::{SCHED_DEADLINE, SCHED_FIFO, SCHED_NORMAL, SCHED_RR};

/// A thread's scheduling policy. Kept and reported; the nice value is what has an effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// `SCHED_*`.
    pub kind: u32,
    /// 1..=99 for the real-time policies, else 0.
    pub priority: u8,
    /// Children start with the default policy (`SCHED_RESET_ON_FORK`).
    pub reset_on_fork: bool,
}

/// What a thread of the deadline policy asks for: so much time, by then, in every period.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Deadline {
    /// Time it needs.
    pub runtime_ns: u64,
    /// From a period's start on, by when.
    pub deadline_ns: u64,
    /// How often.
    pub period_ns: u64,
    /// `SCHED_FLAG_RECLAIM` and `SCHED_FLAG_DL_OVERRUN`, as given.
    pub flags: u64,
}

impl Deadline {
    /// Whether it makes sense (`__checkparam_dl()`), and is within what the system allows.
    pub fn is_valid(&self) -> bool {
        const MIN_RUNTIME_NS: u64 = 1 << 10;
        const PERIODS_NS: core::ops::RangeInclusive<u64> = 100_000..=(1 << 22) * 1000;
        let is_high = |ns: u64| ns >> 63 != 0;
        self.deadline_ns != 0
            && self.runtime_ns >= MIN_RUNTIME_NS
            && !is_high(self.deadline_ns)
            && !is_high(self.period_ns)
            && self.period_ns >= self.deadline_ns
            && self.deadline_ns >= self.runtime_ns
            && PERIODS_NS.contains(&self.period_ns)
    }
}

impl Policy {
    /// What threads start with.
    pub const DEFAULT: Self = Self { kind: SCHED_NORMAL, priority: 0, reset_on_fork: false };

    /// The policy in two bytes: the priority takes seven bits, the kind three.
    pub(super) const fn to_bits(self) -> u16 {
        self.priority as u16 | (self.reset_on_fork as u16) << 7 | (self.kind as u16) << 8
    }

    /// The reverse.
    pub(super) const fn from_bits(bits: u16) -> Self {
        Self { kind: bits as u32 >> 8, priority: (bits & 0x7f) as u8, reset_on_fork: bits >> 7 & 1 != 0 }
    }

    /// Whether the thread has a [`Deadline`].
    pub const fn has_deadline(self) -> bool {
        self.kind == SCHED_DEADLINE
    }

    /// Whether it is a real-time policy.
    pub const fn is_real_time(self) -> bool {
        matches!(self.kind, SCHED_FIFO | SCHED_RR)
    }

    /// The policy of a child, and its nice value where the parent has `nice` (`sched_fork()`).
    pub const fn of_child(self, nice: i8) -> (Self, i8) {
        if !self.reset_on_fork {
            return (self, nice);
        }
        (Self::DEFAULT, if self.is_real_time() || nice < 0 { 0 } else { nice })
    }
}
