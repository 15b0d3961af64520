//! Sending: from a signal and its information to a thread that will take it.
//!
//! Follows `__send_signal_locked()`, `prepare_signal()` and `complete_signal()` of Linux: job control takes
//! effect at once, signals nobody will see are dropped, the rest is queued, one thread is picked and woken,
//! and a deadly signal starts the end of the process here.

use alloc::sync::{Arc, Weak};
use core::sync::atomic::Ordering;

use abi::Errno;

use super::process::{ExitStatus, ProcessSignals, State, StopNews};
use super::thread::{ThreadSignals, Work, job};
use super::{Action, DefaultAction, Info, Pushed, QueuedTimer, SIG_DFL, SigSet, Signal, code};

/// SIGCONT alone.
const CONT: SigSet = SigSet::of(&[Signal::CONT]);

impl ProcessSignals {
    /// Sends a signal to the process as a whole.
    ///
    /// EAGAIN if a real-time signal with information finds no room in the queue.
    pub fn send(&self, signal: Signal, info: Info) -> Result<(), Errno> {
        self.lock().send(None, signal, info)
    }

    /// Sends a signal to one thread of the process.
    pub fn send_to(&self, thread: &Arc<ThreadSignals>, signal: Signal, info: Info) -> Result<(), Errno> {
        self.lock().send(Some(thread), signal, info)
    }

    /// Sends a signal that an instruction of `thread` caused, or that must not be missed: if it is blocked or
    /// ignored, its action becomes the default, and it kills (`force_sig_info_to_task()`).
    pub fn force(&self, thread: &Arc<ThreadSignals>, signal: Signal, info: Info) {
        self.lock().force(thread, signal, info, false);
    }

    /// Kills with a signal whatever its action and without a stop for the tracer, as for a signal frame that could not be set
    /// up (`force_fatal_sig()`).
    pub fn force_fatal(&self, thread: &Arc<ThreadSignals>, signal: Signal) {
        self.force_fatal_with(thread, signal, Info::from_kernel(signal));
    }

    /// The same with more to tell.
    pub fn force_fatal_with(&self, thread: &Arc<ThreadSignals>, signal: Signal, info: Info) {
        self.lock().force(thread, signal, info, true);
    }

    /// Queues a POSIX timer's own entry (`send_sigqueue()`), to one thread or to the process. `false` if the
    /// signal is ignored and was dropped. The timer sees to it that its entry is queued at most once.
    pub fn send_timer(&self, to: Option<&Arc<ThreadSignals>>, info: Info, timer: Arc<dyn QueuedTimer>) -> bool {
        let Some(signal) = info.signal() else { return false };
        let mut state = self.lock();
        if !state.prepare(to, signal, false) {
            return false;
        }
        match to {
            Some(thread) => thread.pending.lock().push_timer(signal, info, timer),
            None => state.pending.push_timer(signal, info, timer),
        }
        state.complete(to, signal);
        true
    }
}

impl State {
    fn send(&mut self, to: Option<&Arc<ThreadSignals>>, signal: Signal, info: Info) -> Result<(), Errno> {
        let is_forced = info.code == code::SI_KERNEL;
        if !self.prepare(to, signal, is_forced) {
            return Ok(());
        }
        let (budget, limit) = (&self.budget, self.limit);
        let pushed = match to {
            Some(thread) => thread.pending.lock().push(signal, info, budget, limit),
            None => self.pending.push(signal, info, budget, limit),
        };
        match pushed {
            Pushed::Merged => Ok(()),
            Pushed::Full => Err(Errno::EAGAIN),
            Pushed::Queued | Pushed::SetOnly => {
                self.complete(to, signal);
                Ok(())
            }
        }
    }

    fn force(&mut self, thread: &Arc<ThreadSignals>, signal: Signal, info: Info, is_fatal: bool) {
        let mut action = self.actions.get(signal);
        let is_blocked = thread.blocked().contains(signal);
        if is_blocked || action.ignores_explicitly() || is_fatal {
            action.handler = SIG_DFL;
            action.flags.set(Action::FINAL, is_fatal);
            self.actions.set(signal, action);
            let mut blocked = thread.blocked();
            blocked.remove(signal);
            thread.store_blocked(blocked);
        }
        if action.handler == SIG_DFL && (is_fatal || !thread.has_job(job::TRACED)) {
            self.is_unkillable = false;
        }
        // A fault is never dropped: its information may be, never the signal.
        let _ = self.send(Some(thread), signal, info);
        self.recalculate(thread);
    }

    /// The effects of a signal at the moment it is sent; whether it is to be queued at all
    /// (`prepare_signal()`).
    fn prepare(&mut self, to: Option<&Arc<ThreadSignals>>, signal: Signal, is_forced: bool) -> bool {
        if self.exit.is_some() {
            return false;
        }
        if SigSet::STOPS.contains(signal) {
            self.discard(CONT);
        } else if signal == Signal::CONT {
            self.discard(SigSet::STOPS);
            self.resume();
        }
        let Some(thread) = to.or(self.threads.get(0)) else { return false };
        !self.is_ignored(thread, signal, is_forced)
    }

    /// Continues all threads, those stopped and those about to stop, and notes what the parent is to be told.
    fn resume(&mut self) {
        for thread in self.threads.iter() {
            thread.clear_job(job::STOP_PENDING | job::STOP_DEQUEUED | job::STOP_COUNTED);
            if thread.has_job(job::SEIZED) {
                thread.set_job(job::TRAP_NOTIFY);
                thread.post(Work::SIGNAL);
            }
            if thread.has_job(job::STOPPED) {
                thread.clear_job(job::STOPPED);
                thread.post(Work::SIGNAL);
            }
        }
        let news = if self.stop.is_stopped {
            StopNews::Continued
        } else if self.stop.remaining > 0 {
            StopNews::Stopped(self.stop.signal.unwrap_or(Signal::STOP))
        } else {
            return;
        };
        self.stop.news = Some(news);
        self.stop.is_stopped = false;
        self.stop.is_continued = true;
        self.stop.remaining = 0;
        self.stop.signal = None;
    }

    /// Forgets these signals everywhere in the process (`flush_sigqueue_mask()` over all threads).
    pub(super) fn discard(&mut self, discarded: SigSet) {
        self.pending.discard(discarded);
        for thread in self.threads.iter() {
            thread.pending.lock().discard(discarded);
        }
    }

    /// Whether a signal would do nothing and can be dropped at once (`sig_ignored()`). A blocked one may be
    /// handled by the time it is unblocked, and a tracer sees all.
    fn is_ignored(&self, thread: &ThreadSignals, signal: Signal, is_forced: bool) -> bool {
        let real_blocked = SigSet::from_bits(thread.real_blocked.load(Ordering::Relaxed));
        if (thread.blocked() | real_blocked).contains(signal) {
            return false;
        }
        if thread.has_job(job::TRACED) && signal != Signal::KILL {
            return false;
        }
        let action = self.actions.get(signal);
        let is_overriding = is_forced && SigSet::UNBLOCKABLE.contains(signal);
        if self.is_unkillable && action.handler == SIG_DFL && !is_overriding {
            return true;
        }
        action.ignores(signal)
    }

    /// Finds the thread to take a queued signal and wakes it; a deadly signal ends the process right here
    /// (`complete_signal()`).
    fn complete(&mut self, to: Option<&Arc<ThreadSignals>>, signal: Signal) {
        for watcher in self.watchers.iter().filter_map(Weak::upgrade) {
            watcher.signal_sent(signal);
        }
        let Some(main) = to.or(self.threads.get(0)).cloned() else { return };
        let Some(thread) = self.choose(&main, to.is_none(), signal) else { return };
        let real_blocked = SigSet::from_bits(thread.real_blocked.load(Ordering::Relaxed));
        let is_deadly = self.actions.get(signal).handler == SIG_DFL
            && signal.default_action() == DefaultAction::Terminate
            && !real_blocked.contains(signal)
            && (signal == Signal::KILL || !main.has_job(job::TRACED));
        if is_deadly {
            self.begin_exit(ExitStatus::killed(signal));
        } else {
            thread.post(Work::SIGNAL);
        }
    }

    /// The main thread or the one addressed if it wants the signal, else any that does, searched round from
    /// where the last search ended. `None` if all block it or look for signals anyway.
    fn choose(&mut self, main: &Arc<ThreadSignals>, is_shared: bool, signal: Signal) -> Option<Arc<ThreadSignals>> {
        if main.wants(signal) {
            return Some(main.clone());
        }
        if !is_shared {
            return None;
        }
        let count = self.threads.len();
        for step in 0..count {
            let at = (self.next_target + step) % count;
            if let Some(thread) = self.threads.get(at).filter(|thread| thread.wants(signal)) {
                self.next_target = at;
                return Some(thread.clone());
            }
        }
        None
    }

    /// Sets or clears the thread's SIGNAL work by what is pending. By the thread itself, or to add only.
    pub(super) fn recalculate(&self, thread: &ThreadSignals) {
        if self.has_deliverable(thread) {
            thread.add_work(Work::SIGNAL);
        } else {
            thread.clear_work(Work::SIGNAL);
        }
    }

    pub(super) fn has_deliverable(&self, thread: &ThreadSignals) -> bool {
        let pending = thread.pending.lock().set() | self.pending.set();
        let jobs = job::STOP_PENDING | job::TRAP_STOP | job::TRAP_NOTIFY;
        !pending.without(thread.blocked()).is_empty() || thread.has_job(jobs) || self.stop.news.is_some()
    }

    /// Wakes other threads for shared signals that `thread` will not take: it has just blocked them, or exits
    /// (`retarget_shared_pending()`).
    pub(super) fn retarget(&self, thread: &ThreadSignals, signals: SigSet) {
        let mut left = self.pending.set() & signals;
        for other in self.threads.iter() {
            if left.is_empty() {
                return;
            }
            let takes = left.without(other.blocked());
            if core::ptr::eq(&**other, thread) || other.has_job(job::EXITING) || takes.is_empty() {
                continue;
            }
            left = left & other.blocked();
            if !other.work().contains(Work::SIGNAL) {
                other.post(Work::SIGNAL);
            }
        }
    }
}

impl ThreadSignals {
    /// Whether the thread is a good one to take `signal` (`wants_signal()`).
    fn wants(&self, signal: Signal) -> bool {
        if self.blocked().contains(signal) || self.has_job(job::EXITING) {
            return false;
        }
        if signal == Signal::KILL {
            return true;
        }
        !self.has_job(job::STOPPED | job::TRAPPED) && (self.is_running() || !self.work().contains(Work::SIGNAL))
    }
}
