//! The clocks of clock_gettime(2).
//!
//! One clock ticks: the machine's monotonic one, in nanoseconds since boot. CLOCK_REALTIME is that plus an
//! offset, the only thing that setting the time changes; CLOCK_TAI is CLOCK_REALTIME plus whole seconds. The machine
//! never sleeps, so CLOCK_BOOTTIME is CLOCK_MONOTONIC. Nothing slews, so CLOCK_MONOTONIC_RAW is, too.
//!
//! Who has converted a point of CLOCK_REALTIME into a monotonic deadline registers a [`ClockWatcher`] and converts
//! anew when the clock is set.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use abi::time::*;
use runtime::WaitQueue;

use crate::arch;
use crate::sync::{Rank, SpinLock};

/// CLOCK_REALTIME less CLOCK_MONOTONIC, once [`init`] or a setting of the clock has determined it.
static REALTIME_OFFSET_NS: AtomicU64 = AtomicU64::new(0);
/// CLOCK_TAI less CLOCK_REALTIME.
static TAI_OFFSET_S: AtomicI32 = AtomicI32::new(0);
/// How often the clock has been set.
static SETTINGS: AtomicU64 = AtomicU64::new(0);
static WATCHERS: SpinLock<Vec<Weak<dyn ClockWatcher>>> = SpinLock::new(Rank::ClockWatchers, Vec::new());

/// Resolution of the coarse clocks: a tick of Linux at 250 Hz.
const COARSE_NS: u64 = 4_000_000;

/// Someone with a deadline in terms of CLOCK_REALTIME.
pub trait ClockWatcher: Send + Sync {
    /// The clock has been set. No lock is held.
    fn clock_was_set(self: Arc<Self>);
}

/// Nanoseconds of CLOCK_MONOTONIC.
#[inline]
pub fn monotonic_ns() -> u64 {
    arch::monotonic_ns()
}

/// Nanoseconds of CLOCK_REALTIME, since the Epoch.
#[inline]
pub fn realtime_ns() -> u64 {
    arch::monotonic_ns().wrapping_add(REALTIME_OFFSET_NS.load(Ordering::Relaxed))
}

/// Takes the time of day from the machine. Called once, at boot.
pub fn init() {
    REALTIME_OFFSET_NS.store(arch::boot_time_unix_ns(), Ordering::Relaxed);
}

/// CLOCK_REALTIME less CLOCK_MONOTONIC, for the vDSO's data.
pub fn realtime_offset_ns() -> u64 {
    REALTIME_OFFSET_NS.load(Ordering::Relaxed)
}

/// Sets CLOCK_REALTIME and has all watchers convert their deadlines anew.
pub fn set_realtime_ns(now_ns: u64) {
    REALTIME_OFFSET_NS.store(now_ns.wrapping_sub(arch::monotonic_ns()), Ordering::Relaxed);
    super::vdso::note_setting();
    SETTINGS.fetch_add(1, Ordering::Release);
    let watchers = {
        let mut watchers = WATCHERS.lock();
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.clone()
    };
    for watcher in watchers.iter().filter_map(Weak::upgrade) {
        watcher.clock_was_set();
    }
    set_queue().wake_all();
}

/// Seconds that CLOCK_TAI is ahead of CLOCK_REALTIME.
pub fn tai_offset_s() -> i32 {
    TAI_OFFSET_S.load(Ordering::Relaxed)
}

/// Sets by how many seconds CLOCK_TAI is ahead.
pub fn set_tai_offset_s(seconds: i32) {
    TAI_OFFSET_S.store(seconds, Ordering::Relaxed);
}

/// How often CLOCK_REALTIME has been set.
pub fn settings() -> u64 {
    SETTINGS.load(Ordering::Acquire)
}

/// Waits until CLOCK_REALTIME has been set since [`settings`] gave `seen`.
pub async fn wait_for_setting(seen: u64) {
    set_queue().wait_until(|| (settings() != seen).then_some(())).await;
}

/// Has `watcher` told whenever CLOCK_REALTIME is set, for as long as it exists.
pub fn watch(watcher: Weak<dyn ClockWatcher>) {
    let mut watchers = WATCHERS.lock();
    watchers.retain(|watcher| watcher.strong_count() > 0);
    watchers.push(watcher);
}

fn set_queue() -> &'static WaitQueue {
    static QUEUE: spin::LazyLock<WaitQueue> = spin::LazyLock::new(WaitQueue::new);
    &QUEUE
}

/// A system-wide clock. The CPU-time clocks of processes and threads are in `process`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// Time of day.
    Realtime,
    /// Time since boot.
    Monotonic,
    /// The same without adjustments.
    MonotonicRaw,
    /// Time of day as of the last tick.
    RealtimeCoarse,
    /// Time since boot as of the last tick.
    MonotonicCoarse,
    /// Time since boot, suspension included.
    Boottime,
    /// Atomic time.
    Tai,
}

impl Clock {
    /// The clock of this id. The alarm clocks are none: they need a real-time clock that can wake the machine.
    pub const fn from_id(id: i32) -> Option<Clock> {
        match id {
            CLOCK_REALTIME => Some(Clock::Realtime),
            CLOCK_MONOTONIC => Some(Clock::Monotonic),
            CLOCK_MONOTONIC_RAW => Some(Clock::MonotonicRaw),
            CLOCK_REALTIME_COARSE => Some(Clock::RealtimeCoarse),
            CLOCK_MONOTONIC_COARSE => Some(Clock::MonotonicCoarse),
            CLOCK_BOOTTIME => Some(Clock::Boottime),
            CLOCK_TAI => Some(Clock::Tai),
            _ => None,
        }
    }

    /// What the clock shows.
    pub fn now_ns(self) -> u64 {
        monotonic_ns().wrapping_add(self.offset_ns())
    }

    /// What clock_getres(2) says.
    pub const fn resolution_ns(self) -> u64 {
        match self {
            Clock::RealtimeCoarse | Clock::MonotonicCoarse => COARSE_NS,
            _ => 1,
        }
    }

    /// Whether setting the time of day moves the clock.
    pub const fn follows_realtime(self) -> bool {
        matches!(self, Clock::Realtime | Clock::RealtimeCoarse | Clock::Tai)
    }

    /// Whether one can sleep and set timers on it: not on the raw and the coarse ones.
    pub const fn has_timers(self) -> bool {
        matches!(self, Clock::Realtime | Clock::Monotonic | Clock::Boottime | Clock::Tai)
    }

    /// When the clock will show `at_ns`, on the monotonic clock and as things stand; at once if it has passed.
    pub fn to_monotonic_ns(self, at_ns: u64) -> u64 {
        at_ns.saturating_sub(self.offset_ns())
    }

    /// What is to be added to the monotonic clock.
    fn offset_ns(self) -> u64 {
        match self {
            Clock::Monotonic | Clock::MonotonicRaw | Clock::MonotonicCoarse | Clock::Boottime => 0,
            Clock::Realtime | Clock::RealtimeCoarse => realtime_offset_ns(),
            Clock::Tai => {
                let tai_ns = i64::from(tai_offset_s()) * NSEC_PER_SEC;
                realtime_offset_ns().wrapping_add_signed(tai_ns)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::AtomicBool;

    use super::*;

    struct Watcher(AtomicBool);

    impl ClockWatcher for Watcher {
        fn clock_was_set(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn setting_the_clock_moves_realtime_and_tai_and_tells_watchers() {
        let watcher = Arc::new(Watcher(AtomicBool::new(false)));
        let weak: Weak<Watcher> = Arc::downgrade(&watcher);
        watch(weak);
        let seen = settings();
        let monotonic = Clock::Monotonic.now_ns();
        set_realtime_ns(1_700_000_000_000_000_000);
        assert!(watcher.0.load(Ordering::Relaxed) && settings() != seen);
        assert!(Clock::Realtime.now_ns() >= 1_700_000_000_000_000_000);
        assert!(Clock::Monotonic.now_ns() - monotonic < 60_000_000_000);
        set_tai_offset_s(37);
        let realtime = Clock::Realtime.now_ns();
        assert!(Clock::Tai.now_ns() - realtime >= 37_000_000_000);
    }

    #[test]
    fn a_deadline_that_has_passed_is_now() {
        assert_eq!(Clock::Monotonic.to_monotonic_ns(5), 5);
        assert_eq!(Clock::from_id(CLOCK_REALTIME_ALARM), None);
    }
}
