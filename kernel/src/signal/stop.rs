//! Stopping, continuing and ending all threads of a process.
//!
//! A stop is a rendezvous: the thread that takes the stop signal marks all threads, each stops on its next way
//! to user mode, and the last one has news for the parent. The end is simpler: every thread gets EXIT work,
//! which is never taken back.

use alloc::sync::Arc;

use super::process::{ExitStatus, GroupStop, ProcessSignals, State, StopNews};
use super::thread::{ThreadSignals, Work, job};
use super::{SigSet, Signal};

impl ProcessSignals {
    /// Adds a thread. `false` if the process has begun to end, or if `creator` has signals to see to first: its
    /// clone fails with ERESTARTNOINTR (`copy_process()`).
    #[must_use = "a process that ends takes no more threads"]
    pub fn add_thread(&self, thread: Arc<ThreadSignals>, creator: Option<&ThreadSignals>) -> bool {
        let mut state = self.lock();
        if state.exit.is_some() || creator.is_some_and(|creator| creator.is_killed() || state.has_deliverable(creator))
        {
            return false;
        }
        state.threads.push(thread);
        true
    }

    /// The thread begins to exit: its share of signals and of a stop goes to the others (`exit_signals()`). The
    /// parent is to be told if the stop is complete now.
    pub fn begin_thread_exit(&self, thread: &Arc<ThreadSignals>) -> Option<StopNews> {
        let mut state = self.lock();
        thread.set_job(job::EXITING);
        if state.threads.len() == 1 || state.exit.is_some() {
            return None;
        }
        state.retarget(thread, !thread.blocked());
        if thread.has_job(job::STOP_PENDING) { state.participate_in_stop(thread, false) } else { None }
    }

    /// Removes a thread that is gone. Its own signals go with it.
    pub fn remove_thread(&self, thread: &Arc<ThreadSignals>) {
        let mut state = self.lock();
        thread.pending.lock().discard(SigSet::ALL);
        state.threads.remove(thread);
        state.next_target = 0;
    }

    /// Ends the process: every thread exits. The status given, or the one it ends with already
    /// (`do_group_exit()`).
    pub fn begin_exit(&self, status: ExitStatus) -> ExitStatus {
        self.lock().begin_exit(status)
    }

    /// The process, which ends by a signal, has left a core file. Gives what it ends with.
    pub fn note_dump(&self) -> Option<ExitStatus> {
        let mut state = self.lock();
        state.exit = state.exit.map(ExitStatus::with_core);
        state.exit
    }

    /// Ends all threads but `survivor`, which executes a new program (`zap_other_threads()`). `false` if the
    /// process ends anyway, or another thread came first.
    #[must_use = "only one thread may execute a new program"]
    pub fn end_other_threads(&self, survivor: &Arc<ThreadSignals>) -> bool {
        let mut state = self.lock();
        if state.exit.is_some() || survivor.is_killed() {
            return false;
        }
        state.stop.remaining = 0;
        for thread in state.threads.iter() {
            thread.clear_job(job::STOP_ALL);
            if !Arc::ptr_eq(thread, survivor) {
                thread.post(Work::EXIT);
            }
        }
        true
    }

    /// The signal that stopped the process, if nobody has waited for that stop yet (`wait_task_stopped()`).
    /// `consume` unless WNOWAIT.
    pub fn take_stopped(&self, consume: bool) -> Option<Signal> {
        let mut state = self.lock();
        if !state.stop.is_stopped {
            return None;
        }
        if consume { state.stop.signal.take() } else { state.stop.signal }
    }

    /// Whether the process was continued and nobody has waited for that yet (`wait_task_continued()`).
    pub fn take_continued(&self, consume: bool) -> bool {
        let mut state = self.lock();
        let is_continued = state.stop.is_continued;
        state.stop.is_continued &= !consume;
        is_continued
    }

    /// Whether all threads have stopped: state `T` in /proc, and what makes an orphaned group get SIGHUP.
    pub fn is_stopped(&self) -> bool {
        self.lock().stop.is_stopped
    }
}

impl State {
    /// See [`ProcessSignals::begin_exit`].
    pub(super) fn begin_exit(&mut self, status: ExitStatus) -> ExitStatus {
        if let Some(already) = self.exit {
            return already;
        }
        self.exit = Some(status);
        self.stop = GroupStop::default();
        for thread in self.threads.iter() {
            thread.clear_job(job::STOP_ALL);
            thread.post(Work::EXIT);
        }
        status
    }

    /// Marks all threads to stop (the first half of `do_signal_stop()`).
    pub(super) fn begin_stop(&mut self, thread: &Arc<ThreadSignals>, signal: Signal) {
        if !thread.has_job(job::STOP_DEQUEUED) || self.exit.is_some() || thread.is_killed() {
            return;
        }
        if !self.stop.is_stopped {
            self.stop.signal = Some(signal);
        }
        self.stop.last = Some(signal);
        self.stop.remaining = 0;
        for other in self.threads.iter() {
            if other.has_job(job::STOPPED | job::EXITING) {
                continue;
            }
            other.set_job(job::STOP_PENDING | job::STOP_COUNTED);
            self.stop.remaining += 1;
            if other.has_job(job::SEIZED) && !Arc::ptr_eq(other, thread) {
                other.set_job(job::TRAP_NOTIFY);
            }
            if Arc::ptr_eq(other, thread) {
                other.add_work(Work::SIGNAL);
            } else {
                other.post(Work::SIGNAL);
            }
        }
    }

    /// The thread stops, or exits instead; the last to do so has news (`task_participate_group_stop()`).
    pub(super) fn participate_in_stop(&mut self, thread: &ThreadSignals, stops: bool) -> Option<StopNews> {
        let is_counted = thread.has_job(job::STOP_COUNTED);
        thread.clear_job(job::STOP_PENDING | job::STOP_DEQUEUED | job::STOP_COUNTED);
        if stops {
            thread.set_job(job::STOPPED);
        }
        if is_counted {
            self.stop.remaining = self.stop.remaining.saturating_sub(1);
        }
        if self.stop.remaining > 0 || self.stop.is_stopped {
            return None;
        }
        self.stop.is_stopped = true;
        self.stop.is_continued = false;
        self.stop.signal.map(StopNews::Stopped)
    }
}

impl ThreadSignals {
    /// Whether the thread has to stay stopped. Its task is woken when that changes, and when it is killed.
    pub fn is_stopped(&self) -> bool {
        self.has_job(job::STOPPED) && !self.is_killed()
    }
}
