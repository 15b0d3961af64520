//! [`TimerFd`]: a timer whose expirations are read (timerfd_create(2)).
//!
//! Expirations are counted when somebody looks: an armed timer is a deadline and an interval, and its alarm only
//! wakes those who wait for the first expiration not yet read.
//!
//! Lock: the setting (rank `Ipc`).

use alloc::sync::{Arc, Weak};

use abi::Errno;
use abi::poll::PollEvents;
use abi::time::{Itimerspec, Timespec};

use crate::fs::{File, FileOps, FileTraits, ReadyQueue, Sink, Source};
use crate::sync::{Rank, SpinLock};
use crate::time::{Alarm, Clock, ClockWatcher, Expire, clock};

/// Bytes of the count in read(2).
const COUNT_BYTES: usize = size_of::<u64>();

/// A running timer, in nanoseconds of its clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Countdown {
    /// The next expiration not yet read.
    next_ns: u64,
    /// From one to the next; 0 for a single one.
    interval_ns: u64,
}

impl Countdown {
    /// Expirations by now.
    fn expirations(&self, now_ns: u64) -> u64 {
        match now_ns.checked_sub(self.next_ns) {
            None => 0,
            Some(late_ns) => late_ns.checked_div(self.interval_ns).unwrap_or(0).saturating_add(1),
        }
    }

    /// What is left once `count` expirations have been read; `None` if nothing will come any more.
    fn after(&self, count: u64) -> Option<Self> {
        match (count, self.interval_ns) {
            (0, _) => Some(*self),
            (_, 0) => None,
            _ => Some(Self { next_ns: self.next_ns.saturating_add(count.saturating_mul(self.interval_ns)), ..*self }),
        }
    }

    /// The time left and the interval, as timerfd_gettime(2) tells them: to the next expiration to come.
    fn remaining(&self, now_ns: u64) -> (u64, u64) {
        let next = self.after(self.expirations(now_ns));
        (next.map_or(0, |next| next.next_ns.saturating_sub(now_ns)), self.interval_ns)
    }
}

#[derive(Default)]
struct State {
    countdown: Option<Countdown>,
    /// The clock the countdown runs on: relative ones run on the monotonic clock whatever the timer's own is.
    absolute: bool,
    /// `TFD_TIMER_CANCEL_ON_SET`: how often the clock had been set when the timer was.
    seen_settings: Option<u64>,
}

/// The object behind a timerfd.
pub struct TimerFd {
    clock: Clock,
    state: SpinLock<State>,
    alarm: Alarm,
    ready: ReadyQueue,
}

/// How timerfd_settime(2) sets a timer.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The first expiration; 0 disarms.
    pub value_ns: u64,
    /// From one to the next; 0 for a single one.
    pub interval_ns: u64,
    /// The first is a point in time.
    pub absolute: bool,
    /// Reads fail once the clock is set.
    pub cancel_on_set: bool,
}

impl TimerFd {
    /// A timer that is not armed.
    pub fn new(clock: Clock) -> Arc<Self> {
        let timer = Arc::new(Self {
            clock,
            state: SpinLock::new(Rank::Ipc, State::default()),
            alarm: Alarm::new(),
            ready: ReadyQueue::new(),
        });
        if clock.follows_realtime() {
            let watcher: Weak<Self> = Arc::downgrade(&timer);
            clock::watch(watcher);
        }
        timer
    }

    /// Sets the timer, and gives the time left and the interval of before.
    pub fn set(self: &Arc<Self>, setting: Setting) -> Itimerspec {
        let old = self.remaining();
        let mut state = self.state.lock();
        state.absolute = setting.absolute;
        let now_ns = self.clock_of(&state).now_ns();
        let first_ns = if setting.absolute { setting.value_ns } else { now_ns.saturating_add(setting.value_ns) };
        let countdown = Countdown { next_ns: first_ns, interval_ns: setting.interval_ns };
        state.countdown = (setting.value_ns != 0).then_some(countdown);
        let cancels = setting.cancel_on_set && setting.absolute && self.clock.follows_realtime();
        state.seen_settings = cancels.then(clock::settings);
        drop(state);
        self.rearm();
        old
    }

    /// The time left and the interval.
    pub fn remaining(&self) -> Itimerspec {
        let state = self.state.lock();
        let now_ns = self.clock_of(&state).now_ns();
        let (value_ns, interval_ns) = state.countdown.map_or((0, 0), |countdown| countdown.remaining(now_ns));
        Itimerspec { it_interval: Timespec::from_ns(interval_ns), it_value: Timespec::from_ns(value_ns) }
    }

    /// Takes the expirations not yet read: `EAGAIN` if there are none, `ECANCELED` once after the clock was set.
    fn take(self: &Arc<Self>) -> Result<u64, Errno> {
        let mut state = self.state.lock();
        if Self::is_canceled(&state) {
            state.seen_settings = Some(clock::settings());
            return Err(Errno::ECANCELED);
        }
        let now_ns = self.clock_of(&state).now_ns();
        let count = state.countdown.map_or(0, |countdown| countdown.expirations(now_ns));
        if count == 0 {
            return Err(Errno::EAGAIN);
        }
        state.countdown = state.countdown.and_then(|countdown| countdown.after(count));
        drop(state);
        self.rearm();
        Ok(count)
    }

    fn is_canceled(state: &State) -> bool {
        state.seen_settings.is_some_and(|seen| seen != clock::settings())
    }

    fn clock_of(&self, state: &State) -> Clock {
        if state.absolute { self.clock } else { Clock::Monotonic }
    }

    /// Has the alarm go off at the next expiration not yet read; tells at once if it has passed.
    fn rearm(self: &Arc<Self>) {
        let state = self.state.lock();
        let clock = self.clock_of(&state);
        let deadline_ns = state.countdown.map(|countdown| clock.to_monotonic_ns(countdown.next_ns));
        drop(state);
        match deadline_ns {
            None => self.alarm.cancel(),
            Some(deadline_ns) => {
                if self.alarm.set(self, deadline_ns) {
                    self.tell();
                }
            }
        }
    }

    fn tell(&self) {
        self.ready.wake(PollEvents::POLLIN);
    }

    fn has_expired(&self) -> bool {
        let state = self.state.lock();
        let now_ns = self.clock_of(&state).now_ns();
        Self::is_canceled(&state) || state.countdown.is_some_and(|countdown| countdown.expirations(now_ns) > 0)
    }
}

impl Expire for TimerFd {
    fn expire(self: Arc<Self>) {
        self.tell();
    }
}

impl ClockWatcher for TimerFd {
    fn clock_was_set(self: Arc<Self>) {
        self.rearm();
        self.tell();
    }
}

/// The object of an open file: what reads need is shared.
pub struct TimerFile(pub Arc<TimerFd>);

impl FileOps for TimerFile {
    fn traits(&self) -> FileTraits {
        FileTraits::STREAM | FileTraits::SEEK_IS_IDLE
    }

    /// `EINVAL` for a buffer of less than 8 bytes.
    fn try_read(&self, _file: &File, sink: &mut dyn Sink, _offset: u64) -> Result<usize, Errno> {
        if sink.remaining() < COUNT_BYTES {
            return Err(Errno::EINVAL);
        }
        let count = self.0.take()?;
        match sink.put(&count.to_ne_bytes())? {
            COUNT_BYTES => Ok(COUNT_BYTES),
            _ => Err(Errno::EFAULT),
        }
    }

    fn try_write(&self, _file: &File, _source: &mut dyn Source, _offset: u64) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    fn readiness(&self, _file: &File) -> PollEvents {
        if self.0.has_expired() { PollEvents::POLLIN } else { PollEvents::empty() }
    }

    fn wait_queue(&self) -> Option<&ReadyQueue> {
        Some(&self.0.ready)
    }

    fn release(&self, _file: &File) {
        self.0.alarm.cancel();
    }

    fn fdinfo(&self, _file: &File, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        let left = self.0.remaining();
        writeln!(out, "it_value: ({}, {})", left.it_value.tv_sec, left.it_value.tv_nsec)?;
        writeln!(out, "it_interval: ({}, {})", left.it_interval.tv_sec, left.it_interval.tv_nsec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_timer_expires_once() {
        let single = Countdown { next_ns: 100, interval_ns: 0 };
        assert_eq!(single.expirations(99), 0);
        assert_eq!(single.expirations(100), 1);
        assert_eq!(single.expirations(10_000), 1);
        assert_eq!(single.after(1), None);
        assert_eq!(single.remaining(40), (60, 0));
        assert_eq!(single.remaining(140), (0, 0));
    }

    #[test]
    fn a_periodic_timer_counts_what_was_missed_and_keeps_its_rhythm() {
        let periodic = Countdown { next_ns: 100, interval_ns: 10 };
        assert_eq!(periodic.expirations(135), 4);
        assert_eq!(periodic.after(4), Some(Countdown { next_ns: 140, interval_ns: 10 }));
        assert_eq!(periodic.remaining(135), (5, 10));
    }

    #[test]
    fn an_expiration_far_in_the_past_does_not_overflow() {
        let old = Countdown { next_ns: 0, interval_ns: 1 };
        let count = old.expirations(u64::MAX - 1);
        assert_eq!(count, u64::MAX);
        assert!(old.after(count).is_some());
    }
}
