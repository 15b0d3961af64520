//! [`Policy`]: what sched_setscheduler(2) was told of a thread.

use abi::sched::{SCHED_FIFO, SCHED_NORMAL, SCHED_RR};

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

impl Policy {
    /// What threads start with.
    pub const DEFAULT: Self = Self { kind: SCHED_NORMAL, priority: 0, reset_on_fork: false };

    /// The policy in one word.
    pub(super) const fn to_bits(self) -> u32 {
        self.kind | (self.priority as u32) << 8 | (self.reset_on_fork as u32) << 16
    }

    /// The reverse.
    pub(super) const fn from_bits(bits: u32) -> Self {
        Self { kind: bits & 0xff, priority: (bits >> 8 & 0xff) as u8, reset_on_fork: bits >> 16 & 1 != 0 }
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
