//! Timers on CPU time: ITIMER_VIRTUAL, ITIMER_PROF, POSIX timers on CPU-time clocks, RLIMIT_CPU.
//!
//! There is no tick to look at them. CPU time passes at most as fast as real time on each CPU, so an alarm is set for
//! the earliest moment at which a timer can be due given how many threads run; when it goes off, the timers are
//! looked at and the alarm is set anew. While no thread of the process runs, no alarm is set: the next to get a CPU
//! sets it.

use alloc::sync::{Arc, Weak};
use core::sync::atomic::Ordering;

use super::limits::Resource;
use super::timer::{Timers, set_soon};
use super::{Process, Usage};
use crate::arch;
use crate::signal::{ExitStatus, Info, Signal};
use crate::time::{Alarm, Expire};

/// The least time between two looks.
const MIN_LOOK_NS: u64 = 20_000;
const SECOND_NS: u64 = 1_000_000_000;

/// Has a process's timers on CPU time looked at.
pub struct CpuWatch {
    process: Weak<Process>,
    alarm: Alarm,
}

impl Expire for CpuWatch {
    fn expire(self: Arc<Self>) {
        if let Some(process) = self.process.upgrade() {
            process.look_at_cpu_timers();
        }
    }
}

impl Timers {
    /// A thread of `process` gets a CPU: its time passes from now on.
    #[inline]
    pub(super) fn thread_runs(&self, process: &Process, now_ns: u64) {
        if self.has_cpu_timers.load(Ordering::Relaxed) {
            process.expect_cpu_timers(now_ns);
        }
    }
}

impl Process {
    /// A timer on CPU time has been set, or RLIMIT_CPU.
    pub fn watch_cpu_time(self: &Arc<Self>) {
        let make = || Arc::new(CpuWatch { process: Arc::downgrade(self), alarm: Alarm::new() });
        self.timers.cpu_watch.call_once(make);
        self.timers.has_cpu_timers.store(true, Ordering::Relaxed);
        self.look_at_cpu_timers();
    }

    /// Fires what is due and waits for the rest.
    fn look_at_cpu_timers(&self) {
        let usage = self.usage();
        for signal in self.timers.cpu_itimers.expire(&usage) {
            // Standard signals from the kernel always find room.
            let _ = self.signals.send(signal, Info::from_kernel(signal));
        }
        for timer in self.timers.on_cpu_time() {
            if timer.left_ns() == Some(0) {
                timer.expire();
            }
        }
        self.enforce_cpu_limit(&usage);
        self.expect_cpu_timers(arch::monotonic_ns());
    }

    /// Sets the alarm for when the next timer may be due, if any thread runs.
    #[cold]
    fn expect_cpu_timers(&self, now_ns: u64) {
        let Some(watch) = self.timers.cpu_watch.get() else { return };
        let usage = self.usage();
        let itimers = self.timers.cpu_itimers.left_ns(&usage);
        let timers = self.timers.on_cpu_time();
        let posix = timers.iter().filter_map(|timer| timer.left_ns()).min();
        let Some(left_ns) = [itimers, posix, self.cpu_limit_left_ns(&usage)].into_iter().flatten().min() else {
            self.timers.has_cpu_timers.store(false, Ordering::Relaxed);
            return;
        };
        let running = self.threads().live.values().filter(|thread| thread.signals.is_running()).count() as u64;
        if let Some(share_ns) = left_ns.checked_div(running) {
            set_soon(&watch.alarm, watch, now_ns.saturating_add(share_ns.max(MIN_LOOK_NS)));
        }
    }

    /// CPU time until RLIMIT_CPU matters, if it is set.
    fn cpu_limit_left_ns(&self, usage: &Usage) -> Option<u64> {
        let limit = self.limits.lock().get(Resource::Cpu);
        let used_ns = usage.user_ns + usage.system_ns;
        let seconds = limit.soft.min(limit.hard);
        (seconds != super::limits::INFINITY).then(|| seconds.saturating_mul(SECOND_NS).saturating_sub(used_ns))
    }

    /// SIGXCPU at the soft limit and every second after, SIGKILL at the hard one (`check_process_timers()`).
    fn enforce_cpu_limit(&self, usage: &Usage) {
        let mut limits = self.limits.lock();
        let mut limit = limits.get(Resource::Cpu);
        let used_s = (usage.user_ns + usage.system_ns) / SECOND_NS;
        if used_s >= limit.hard {
            drop(limits);
            self.signals.begin_exit(ExitStatus::killed(Signal::KILL));
        } else if used_s >= limit.soft {
            limit.soft = used_s + 1;
            limits.set(Resource::Cpu, limit);
            drop(limits);
            // Standard signals from the kernel always find room.
            let _ = self.signals.send(Signal::XCPU, Info::from_kernel(Signal::XCPU));
        }
    }
}
