//! POSIX timers (timer_create(2)): expiry, overruns, and the one queue entry each has.
//!
//! A periodic timer is not set again when it expires but when its signal is taken, so a process that blocks the
//! signal costs nothing, and what it missed is counted as overrun (`posix_timer_fn()`, `posixtimer_rearm()`).
//!
//! Locks: a process's table (`ProcessTimers`); a timer's setting (`TimerState`), taken within the signal lock when
//! its entry leaves the queue. Signals are sent with neither held.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::Errno;

use super::Process;
use super::clock::CpuClock;
use super::cpu_timer::CpuWatch;
use super::itimer::{CpuItimers, RealTimer};
use crate::signal::{Charge, Info, QueuedTimer, Signal, ThreadSignals};
use crate::sync::{Rank, SpinLock};
use crate::time::{Alarm, Clock, ClockWatcher, Expire, clock};

/// How long a periodic timer whose signal is ignored rests: a tick of Linux at 250 Hz.
const REST_NS: u64 = 4_000_000;

/// A process's timers.
pub struct Timers {
    posix: SpinLock<Table>,
    /// ITIMER_REAL, once it has been used.
    pub(super) real: spin::Once<Arc<RealTimer>>,
    /// ITIMER_VIRTUAL and ITIMER_PROF.
    pub(super) cpu_itimers: CpuItimers,
    /// Looks after timers on CPU time, once there were any.
    pub(super) cpu_watch: spin::Once<Arc<CpuWatch>>,
    /// Whether any timer on CPU time is set.
    pub(super) has_cpu_timers: AtomicBool,
}

#[derive(Default)]
struct Table {
    next_id: i32,
    timers: BTreeMap<i32, Arc<PosixTimer>>,
}

/// What a timer counts.
#[derive(Clone)]
pub enum TimerClock {
    /// A system-wide clock.
    Wall(Clock),
    /// Somebody's CPU time.
    Cpu(CpuClock),
}

impl TimerClock {
    fn now_ns(&self) -> u64 {
        match self {
            TimerClock::Wall(clock) => clock.now_ns(),
            TimerClock::Cpu(clock) => clock.now_ns(),
        }
    }
}

/// Whom a timer tells.
#[derive(Clone)]
pub enum Notify {
    /// Nobody: it is read.
    Nobody,
    /// The process.
    Process(Signal, u64),
    /// One thread.
    Thread(Signal, u64, Weak<ThreadSignals>),
}

/// A setting, or what is left of one, in nanoseconds. A value of 0 is "not set".
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Setting {
    /// Until the next expiry.
    pub value_ns: u64,
    /// Between expiries after it; 0: only one.
    pub interval_ns: u64,
}

/// A POSIX timer.
pub struct PosixTimer {
    id: i32,
    clock: TimerClock,
    notify: Notify,
    process: Weak<Process>,
    alarm: Alarm,
    /// The deadline is a point of the clock, and comes at another time when the clock is set.
    is_absolute: AtomicBool,
    state: SpinLock<State>,
    _charge: Charge,
}

#[derive(Default)]
struct State {
    /// The next expiry on the timer's clock, or the last one while its signal is queued.
    deadline_ns: Option<u64>,
    interval_ns: u64,
    /// The entry is in a signal queue.
    is_queued: bool,
    /// The deadline is moved on when the entry is taken; cleared when the timer is set anew.
    rearms: bool,
    /// Periods missed since the entry was last taken.
    overrun: i64,
    /// What timer_getoverrun(2) says.
    last_overrun: i64,
}

impl State {
    /// Moves a periodic deadline past `now_ns`; gives the number of periods passed (`hrtimer_forward()`).
    fn forward(&mut self, now_ns: u64) -> u64 {
        let Some(deadline_ns) = self.deadline_ns.filter(|deadline_ns| *deadline_ns <= now_ns) else { return 0 };
        let periods = (now_ns - deadline_ns) / self.interval_ns.max(1) + 1;
        self.deadline_ns = Some(deadline_ns.saturating_add(periods.saturating_mul(self.interval_ns)));
        periods
    }
}

impl Timers {
    /// No timers.
    pub(super) fn new() -> Timers {
        Timers {
            posix: SpinLock::new(Rank::ProcessTimers, Table::default()),
            real: spin::Once::new(),
            cpu_itimers: CpuItimers::new(),
            cpu_watch: spin::Once::new(),
            has_cpu_timers: AtomicBool::new(false),
        }
    }

    /// The timer with this id. Errors: EINVAL.
    pub fn get(&self, id: i32) -> Result<Arc<PosixTimer>, Errno> {
        self.posix.lock().timers.get(&id).cloned().ok_or(Errno::EINVAL)
    }

    /// Deletes a timer (timer_delete(2)). A signal of it that is queued stays. Errors: EINVAL.
    pub fn delete(&self, id: i32) -> Result<(), Errno> {
        let timer = self.posix.lock().timers.remove(&id).ok_or(Errno::EINVAL)?;
        timer.disarm();
        Ok(())
    }

    /// Deletes all POSIX timers: at exec and at the end (`exit_itimers()`).
    pub fn delete_all(&self) {
        let timers = core::mem::take(&mut self.posix.lock().timers);
        timers.values().for_each(|timer| timer.disarm());
    }

    /// The timers on CPU time that are set.
    pub(super) fn on_cpu_time(&self) -> Vec<Arc<PosixTimer>> {
        let table = self.posix.lock();
        let is_set = |timer: &&Arc<PosixTimer>| matches!(timer.clock, TimerClock::Cpu(_)) && timer.is_armed();
        table.timers.values().filter(is_set).cloned().collect()
    }
}

impl Process {
    /// Makes a timer that is not set (timer_create(2)); `notify` is told its id, which is the value of its signal by
    /// default. Errors: EAGAIN when the user has too many signals queued.
    pub fn create_timer(self: &Arc<Self>, clock: TimerClock, notify: impl FnOnce(i32) -> Notify) -> Result<i32, Errno> {
        let charge = self.signals.charge().ok_or(Errno::EAGAIN)?;
        let mut table = self.timers.posix.lock();
        let id = table.next_id;
        table.next_id = id.wrapping_add(1) & i32::MAX;
        let timer = Arc::new(PosixTimer {
            id,
            clock,
            notify: notify(id),
            process: Arc::downgrade(self),
            alarm: Alarm::new(),
            is_absolute: AtomicBool::new(false),
            state: SpinLock::new(Rank::TimerState, State::default()),
            _charge: charge,
        });
        if matches!(&timer.clock, TimerClock::Wall(clock) if clock.follows_realtime()) {
            let watcher: Weak<PosixTimer> = Arc::downgrade(&timer);
            clock::watch(watcher);
        }
        table.timers.insert(id, timer);
        Ok(id)
    }
}

impl PosixTimer {
    /// Sets the timer (timer_settime(2)); gives what was left of the old setting.
    pub fn set(self: &Arc<Self>, new: Setting, is_absolute: bool) -> Setting {
        self.alarm.cancel();
        let old_now_ns = self.base().now_ns();
        self.is_absolute.store(is_absolute, Ordering::Relaxed);
        let now_ns = self.base().now_ns();
        let old = {
            let mut state = self.state.lock();
            let old = self.remaining(&mut state, old_now_ns);
            let deadline_ns = if is_absolute { new.value_ns } else { now_ns.saturating_add(new.value_ns) };
            state.deadline_ns = (new.value_ns != 0).then_some(deadline_ns);
            state.interval_ns = if new.value_ns == 0 { 0 } else { new.interval_ns };
            (state.rearms, state.overrun, state.last_overrun) = (false, 0, 0);
            old
        };
        self.arm();
        old
    }

    /// The clock its deadline is a point of: a length of time is not affected by setting the time of day.
    fn base(&self) -> TimerClock {
        match &self.clock {
            TimerClock::Wall(clock) if clock.follows_realtime() && !self.is_absolute.load(Ordering::Relaxed) => {
                TimerClock::Wall(Clock::Monotonic)
            }
            clock => clock.clone(),
        }
    }

    /// What is left of the setting (timer_gettime(2)).
    pub fn get(&self) -> Setting {
        let now_ns = self.base().now_ns();
        self.remaining(&mut self.state.lock(), now_ns)
    }

    /// Periods missed before the last signal taken (timer_getoverrun(2)).
    pub fn overrun(&self) -> i32 {
        saturate(self.state.lock().last_overrun)
    }

    /// See `common_timer_get()`: a timer that has expired and not yet been set again shows what it will be set to,
    /// one about to expire shows a nanosecond.
    fn remaining(&self, state: &mut State, now_ns: u64) -> Setting {
        let is_read = matches!(self.notify, Notify::Nobody);
        if state.interval_ns != 0 && (state.rearms || is_read) {
            state.overrun += state.forward(now_ns).cast_signed();
        }
        let value_ns = match state.deadline_ns {
            None => 0,
            Some(deadline_ns) if deadline_ns > now_ns => deadline_ns - now_ns,
            Some(_) => u64::from(!is_read),
        };
        Setting { value_ns, interval_ns: state.interval_ns }
    }

    pub(super) fn is_armed(&self) -> bool {
        let state = self.state.lock();
        state.deadline_ns.is_some() && !state.rearms && !matches!(self.notify, Notify::Nobody)
    }

    /// How much more CPU time is to pass until it expires, if it is set.
    pub(super) fn left_ns(&self) -> Option<u64> {
        let now_ns = self.clock.now_ns();
        let state = self.state.lock();
        state.deadline_ns.filter(|_| !state.rearms).map(|deadline_ns| deadline_ns.saturating_sub(now_ns))
    }

    fn disarm(&self) {
        self.alarm.cancel();
        let mut state = self.state.lock();
        (state.deadline_ns, state.rearms) = (None, false);
    }

    /// Has the deadline watched; one that has passed expires now.
    fn arm(self: &Arc<Self>) {
        if !self.is_armed() {
            return;
        }
        match &self.base() {
            TimerClock::Wall(clock) => {
                let Some(deadline_ns) = self.state.lock().deadline_ns else { return };
                if self.alarm.set(self, clock.to_monotonic_ns(deadline_ns)) {
                    self.clone().expire();
                }
            }
            TimerClock::Cpu(clock) => clock.process().watch_cpu_time(),
        }
    }

    /// Sends the signal, or counts one more overrun of the one still queued.
    fn notify(self: &Arc<Self>) {
        let Some(process) = self.process.upgrade() else { return };
        let send = |signal, value, to: Option<&Arc<ThreadSignals>>| {
            process.signals.send_timer(to, Info::timer(signal, self.id, 0, value), self.clone())
        };
        let is_sent = match &self.notify {
            Notify::Nobody => true,
            Notify::Process(signal, value) => send(*signal, *value, None),
            Notify::Thread(signal, value, thread) => {
                thread.upgrade().is_some_and(|thread| send(*signal, *value, Some(&thread)))
            }
        };
        if !is_sent {
            self.rest();
        }
    }

    /// The signal was ignored: a periodic timer goes on by itself.
    fn rest(self: &Arc<Self>) {
        let now_ns = self.base().now_ns();
        {
            let mut state = self.state.lock();
            (state.is_queued, state.rearms) = (false, false);
            if state.interval_ns == 0 {
                return;
            }
            state.overrun += state.forward(now_ns.saturating_add(REST_NS)).cast_signed();
        }
        self.arm();
    }
}

impl Expire for PosixTimer {
    fn expire(self: Arc<Self>) {
        let now_ns = self.base().now_ns();
        let was_queued = {
            let mut state = self.state.lock();
            if state.rearms || state.deadline_ns.is_none_or(|deadline_ns| deadline_ns > now_ns) {
                return;
            }
            if state.interval_ns == 0 {
                state.deadline_ns = None;
            } else {
                state.rearms = true;
            }
            let was_queued = core::mem::replace(&mut state.is_queued, true);
            state.overrun += i64::from(was_queued);
            was_queued
        };
        if !was_queued {
            self.notify();
        }
    }
}

impl QueuedTimer for PosixTimer {
    fn take(self: Arc<Self>) -> Option<i32> {
        let now_ns = self.base().now_ns_if_wall();
        let mut state = self.state.lock();
        state.is_queued = false;
        if state.rearms {
            state.rearms = false;
            // The expiry that sent the signal is itself one of the periods.
            let periods = now_ns.map_or(1, |now_ns| state.forward(now_ns)).cast_signed();
            if now_ns.is_none() {
                state.deadline_ns = state.deadline_ns.map(|deadline_ns| deadline_ns + state.interval_ns);
            }
            state.overrun += periods - 1;
        }
        state.last_overrun = core::mem::take(&mut state.overrun);
        let (overrun, deadline_ns) = (saturate(state.last_overrun), state.deadline_ns);
        drop(state);
        self.arm_from_queue(deadline_ns);
        Some(overrun)
    }
}

impl PosixTimer {
    /// Has the deadline watched with the signal lock held: nothing may expire at once, so a deadline just passed
    /// is watched for a moment later.
    fn arm_from_queue(self: &Arc<Self>, deadline_ns: Option<u64>) {
        match (&self.base(), deadline_ns) {
            (_, None) => {}
            (TimerClock::Cpu(clock), _) => clock.process().timers.has_cpu_timers.store(true, Ordering::Relaxed),
            (TimerClock::Wall(clock), Some(deadline_ns)) => {
                set_soon(&self.alarm, self, clock.to_monotonic_ns(deadline_ns))
            }
        }
    }
}

/// Sets an alarm for `deadline_ns`, or for as soon as it can be without calling now.
pub(super) fn set_soon<T: Expire>(alarm: &Alarm, owner: &Arc<T>, mut deadline_ns: u64) {
    let mut slack_ns = 1_000;
    while alarm.set(owner, deadline_ns) {
        deadline_ns = clock::monotonic_ns() + slack_ns;
        slack_ns *= 2;
    }
}

impl TimerClock {
    /// The time on a system-wide clock. CPU time cannot be read with the signal lock held.
    fn now_ns_if_wall(&self) -> Option<u64> {
        match self {
            TimerClock::Wall(clock) => Some(clock.now_ns()),
            TimerClock::Cpu(_) => None,
        }
    }
}

impl ClockWatcher for PosixTimer {
    /// An absolute deadline comes at another time now.
    fn clock_was_set(self: Arc<Self>) {
        if self.is_absolute.load(Ordering::Relaxed) {
            self.arm();
        }
    }
}

fn saturate(overrun: i64) -> i32 {
    i32::try_from(overrun.max(0)).unwrap_or(i32::MAX)
}
