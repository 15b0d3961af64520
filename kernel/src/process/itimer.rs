//! Interval timers (setitimer(2)): ITIMER_REAL on the monotonic clock, ITIMER_VIRTUAL and ITIMER_PROF on CPU time.
//!
//! Like a POSIX timer, a periodic ITIMER_REAL is set again when its SIGALRM is taken (`it_real_fn()`,
//! `dequeue_signal()`). Locks: settings are of rank `TimerState`.

use alloc::sync::{Arc, Weak};

use super::timer::{Setting, Timers, set_soon};
use super::{Process, Usage};
use crate::signal::{Info, QueuedTimer, Signal};
use crate::sync::{Rank, SpinLock};
use crate::time::{Alarm, Expire, monotonic_ns};

/// A deadline and what comes after it.
#[derive(Clone, Copy, Default)]
struct Interval {
    deadline_ns: Option<u64>,
    interval_ns: u64,
}

impl Interval {
    /// The setting from `now_ns` on.
    fn new(setting: Setting, now_ns: u64) -> Interval {
        let deadline_ns = (setting.value_ns != 0).then(|| now_ns.saturating_add(setting.value_ns));
        Interval { deadline_ns, interval_ns: setting.interval_ns }
    }

    /// What is left. A timer about to expire shows a microsecond, the least the call can tell.
    fn left(&self, now_ns: u64) -> Setting {
        let left_ns = |deadline_ns: u64| deadline_ns.saturating_sub(now_ns).max(1_000);
        Setting { value_ns: self.deadline_ns.map_or(0, left_ns), interval_ns: self.interval_ns }
    }

    fn is_due(&self, now_ns: u64) -> bool {
        self.deadline_ns.is_some_and(|deadline_ns| deadline_ns <= now_ns)
    }

    /// The deadline after `now_ns`, if there is another.
    fn advance(&mut self, now_ns: u64) {
        self.deadline_ns = self.deadline_ns.filter(|_| self.interval_ns != 0).map(|deadline_ns| {
            let periods = now_ns.saturating_sub(deadline_ns) / self.interval_ns + 1;
            deadline_ns.saturating_add(periods.saturating_mul(self.interval_ns))
        });
    }
}

/// ITIMER_REAL.
pub struct RealTimer {
    process: Weak<Process>,
    alarm: Alarm,
    state: SpinLock<RealState>,
}

#[derive(Default)]
struct RealState {
    timer: Interval,
    /// SIGALRM is queued; the deadline is the one that sent it.
    is_waiting: bool,
}

impl Process {
    /// Sets ITIMER_REAL; gives what was left. Without a value there is no period either (`do_setitimer`), other than with the
    /// timers on CPU time.
    pub fn set_real_timer(self: &Arc<Self>, setting: Setting) -> Setting {
        let make = || RealTimer {
            process: Arc::downgrade(self),
            alarm: Alarm::new(),
            state: SpinLock::new(Rank::TimerState, RealState::default()),
        };
        let setting = if setting.value_ns == 0 { Setting::default() } else { setting };
        self.timers.real.call_once(|| Arc::new(make())).set(setting)
    }

    /// What is left of ITIMER_REAL.
    pub fn real_timer(&self) -> Setting {
        self.timers.real.get().map_or(Setting::default(), |timer| timer.state.lock().timer.left(monotonic_ns()))
    }

    /// Sets ITIMER_VIRTUAL or ITIMER_PROF; gives what was left.
    pub fn set_cpu_itimer(self: &Arc<Self>, which: CpuItimer, setting: Setting) -> Setting {
        let old = self.timers.cpu_itimers.set(which, setting, &self.usage());
        if setting.value_ns != 0 {
            self.watch_cpu_time();
        }
        old
    }

    /// What is left of ITIMER_VIRTUAL or ITIMER_PROF.
    pub fn cpu_itimer(&self, which: CpuItimer) -> Setting {
        let used_ns = which.used_ns(&self.usage());
        self.timers.cpu_itimers.0.lock()[which as usize].left(used_ns)
    }
}

impl RealTimer {
    fn set(self: &Arc<Self>, setting: Setting) -> Setting {
        self.alarm.cancel();
        let now_ns = monotonic_ns();
        let (old, deadline_ns) = {
            let mut state = self.state.lock();
            let old = state.timer.left(now_ns);
            *state = RealState { timer: Interval::new(setting, now_ns), is_waiting: false };
            (old, state.timer.deadline_ns)
        };
        if let Some(deadline_ns) = deadline_ns {
            set_soon(&self.alarm, self, deadline_ns);
        }
        old
    }
}

impl Expire for RealTimer {
    fn expire(self: Arc<Self>) {
        let Some(process) = self.process.upgrade() else { return };
        {
            let mut state = self.state.lock();
            if state.is_waiting || !state.timer.is_due(monotonic_ns()) {
                return;
            }
            if state.timer.interval_ns == 0 {
                state.timer.deadline_ns = None;
            } else {
                state.is_waiting = true;
            }
        }
        process.signals.send_timer(None, Info::from_kernel(Signal::ALRM), self);
    }
}

impl QueuedTimer for RealTimer {
    /// SIGALRM is taken: the next period begins.
    fn take(self: Arc<Self>) -> Option<i32> {
        let deadline_ns = {
            let mut state = self.state.lock();
            if !core::mem::take(&mut state.is_waiting) {
                return Some(0);
            }
            state.timer.advance(monotonic_ns());
            state.timer.deadline_ns
        };
        if let Some(deadline_ns) = deadline_ns {
            set_soon(&self.alarm, &self, deadline_ns);
        }
        Some(0)
    }
}

/// Which timer on CPU time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CpuItimer {
    /// ITIMER_VIRTUAL: user time, SIGVTALRM.
    Virtual,
    /// ITIMER_PROF: user and system time, SIGPROF.
    Prof,
}

impl CpuItimer {
    const ALL: [CpuItimer; 2] = [CpuItimer::Virtual, CpuItimer::Prof];

    fn used_ns(self, usage: &Usage) -> u64 {
        match self {
            CpuItimer::Virtual => usage.user_ns,
            CpuItimer::Prof => usage.user_ns + usage.system_ns,
        }
    }

    fn signal(self) -> Signal {
        match self {
            CpuItimer::Virtual => Signal::VTALRM,
            CpuItimer::Prof => Signal::PROF,
        }
    }
}

/// ITIMER_VIRTUAL and ITIMER_PROF of a process.
pub(super) struct CpuItimers(SpinLock<[Interval; 2]>);

impl CpuItimers {
    pub(super) fn new() -> CpuItimers {
        CpuItimers(SpinLock::new(Rank::TimerState, [Interval::default(); 2]))
    }

    fn set(&self, which: CpuItimer, setting: Setting, usage: &Usage) -> Setting {
        let used_ns = which.used_ns(usage);
        let timer = &mut self.0.lock()[which as usize];
        let old = timer.left(used_ns);
        *timer = Interval::new(setting, used_ns);
        old
    }

    /// The signals of those that are due; each is set for its next period.
    pub(super) fn expire(&self, usage: &Usage) -> impl Iterator<Item = Signal> {
        let mut timers = self.0.lock();
        let due = CpuItimer::ALL.map(|which| {
            let (timer, used_ns) = (&mut timers[which as usize], which.used_ns(usage));
            let is_due = timer.is_due(used_ns);
            if is_due {
                timer.advance(used_ns);
            }
            is_due.then_some(which.signal())
        });
        due.into_iter().flatten()
    }

    /// CPU time until the first is due.
    pub(super) fn left_ns(&self, usage: &Usage) -> Option<u64> {
        let timers = self.0.lock();
        let left = |which: &CpuItimer| {
            let deadline_ns = timers[*which as usize].deadline_ns?;
            Some(deadline_ns.saturating_sub(which.used_ns(usage)))
        };
        CpuItimer::ALL.iter().filter_map(left).min()
    }
}

impl Timers {
    /// Ends ITIMER_REAL: the process does.
    pub fn stop_real_timer(&self) {
        if let Some(timer) = self.real.get() {
            timer.set(Setting::default());
        }
    }
}
