//! [`Timestamp`]: the times files carry.

use crate::time::clock::realtime_ns;

/// A point of the realtime clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Timestamp {
    /// Seconds since the Epoch.
    pub seconds: i64,
    /// Nanoseconds of that second, below 10^9.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// Now, by the realtime clock.
    pub fn now() -> Self {
        const NS_PER_SECOND: u64 = 1_000_000_000;
        let now_ns = realtime_ns();
        Self { seconds: (now_ns / NS_PER_SECOND) as i64, nanoseconds: (now_ns % NS_PER_SECOND) as u32 }
    }
}
