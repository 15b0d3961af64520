//! Taking: what a thread with SIGNAL or EXIT work has to do next, as `get_signal()` of Linux decides.
//!
//! [`ProcessSignals::next`] never waits and never calls out of the room; the thread does what it says and asks
//! again, until it says [`Next::Resume`].

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;

use super::process::{ExitStatus, ProcessSignals, State, StopNews};
use super::thread::{ThreadSignals, Work, job};
use super::{Action, DefaultAction, Info, SIG_DFL, SIG_IGN, SigSet, Signal};

/// What a thread does next on its way to user mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Enter user mode.
    Resume,
    /// Enter user mode in this handler.
    Handle(Info, Action),
    /// Exit; so does the whole process, with this status.
    Exit(ExitStatus),
    /// Exit by a signal that leaves a core.
    Dump(Info),
    /// Exit alone: another thread executes a new program.
    ExitThread,
    /// Tell the parent, then ask again.
    Tell(StopNews),
    /// Tell the parent if there is news, wait until [`ThreadSignals::is_stopped`] is over, then ask again.
    Stop(Option<StopNews>),
    /// Stop the process by this signal unless its group is orphaned: [`ProcessSignals::stop_for`], then ask again.
    StopUnlessOrphaned(Signal),
    /// Traced: show the tracer this signal, then [`ProcessSignals::act_on`] what it makes of it.
    Trace(Info),
    /// Traced: stop for the tracer, which asked for it or is to see the group stop by this signal.
    Trap(Option<Signal>),
}

impl ProcessSignals {
    /// Decides what `thread`, the caller, does next.
    pub fn next(&self, thread: &Arc<ThreadSignals>) -> Next {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.next_urgent(thread) {
                return next;
            }
            let Some(info) = state.dequeue(thread, !thread.blocked()) else {
                state.recalculate(thread);
                return Next::Resume;
            };
            let is_final = |signal| signal == Signal::KILL || state.actions.get(signal).has(Action::FINAL);
            if thread.has_job(job::TRACED) && !info.signal().is_some_and(is_final) {
                // The tracer may make a stop signal of any other.
                thread.set_job(job::STOP_DEQUEUED);
                return Next::Trace(info);
            }
            if let Some(next) = state.act(thread, info) {
                return next;
            }
        }
    }

    /// Acts on a signal that the tracer let through. `None` if it does nothing: ask again.
    pub fn act_on(&self, thread: &Arc<ThreadSignals>, info: Info) -> Option<Next> {
        self.lock().act(thread, info)
    }

    /// Begins or joins a stop of the whole process by a stop signal just taken (`do_signal_stop()`); nothing if
    /// SIGCONT or the end came between. Ask again afterwards.
    pub fn stop_for(&self, thread: &Arc<ThreadSignals>, signal: Signal) {
        self.lock().begin_stop(thread, signal);
    }

    /// Takes a signal out of `wanted` for rt_sigtimedwait(2) or signalfd(2): the thread's own first
    /// (`dequeue_signal()`).
    pub fn take(&self, thread: &ThreadSignals, wanted: SigSet) -> Option<Info> {
        let mut state = self.lock();
        let info = state.dequeue(thread, wanted);
        state.recalculate(thread);
        info
    }

    /// Changes the action for a signal if `new` is given; gives the old one. A pending signal that is ignored from
    /// now on is discarded (`do_sigaction()`). Errors: EINVAL if the kernel kills by this signal already.
    pub fn change_action(&self, signal: Signal, new: Option<Action>) -> Result<Action, Errno> {
        let mut state = self.lock();
        let old = state.actions.get(signal);
        if old.has(Action::FINAL) {
            return Err(Errno::EINVAL);
        }
        if let Some(new) = new {
            state.actions.set(signal, new);
            if new.ignores(signal) {
                state.discard(SigSet::EMPTY.with(signal));
            }
        }
        Ok(old)
    }

    /// Signals pending for `thread` or for its process.
    pub fn pending_for(&self, thread: &ThreadSignals) -> SigSet {
        let state = self.lock();
        state.pending.set() | thread.pending.lock().set()
    }

    /// Replaces the mask of `thread`, the caller; gives the old one. Shared signals that it blocks from now on
    /// go to others (`__set_current_blocked()`).
    pub fn set_blocked(&self, thread: &ThreadSignals, blocked: SigSet) -> SigSet {
        let old = thread.blocked();
        if old == blocked {
            return old;
        }
        let state = self.lock();
        let looks = thread.work().contains(Work::SIGNAL);
        if looks && state.threads.len() > 1 {
            state.retarget(thread, blocked.without(old));
        }
        thread.store_blocked(blocked);
        // With nothing let through that was not before, what is deliverable does not become more.
        if looks || !old.without(blocked).is_empty() {
            state.recalculate(thread);
        }
        old
    }

    /// Unblocks what rt_sigtimedwait(2) waits for until [`ProcessSignals::end_timed_wait`]: the signals are
    /// still not ignored, nor do they kill at once.
    pub fn begin_timed_wait(&self, thread: &ThreadSignals, wanted: SigSet) {
        let state = self.lock();
        let blocked = thread.blocked();
        thread.real_blocked.store(blocked.bits(), Ordering::Relaxed);
        thread.store_blocked(blocked.without(wanted));
        state.recalculate(thread);
    }

    /// Undoes [`ProcessSignals::begin_timed_wait`] and takes what has come.
    pub fn end_timed_wait(&self, thread: &ThreadSignals, wanted: SigSet) -> Option<Info> {
        let mut state = self.lock();
        let blocked = SigSet::from_bits(thread.real_blocked.swap(0, Ordering::Relaxed));
        if state.threads.len() > 1 {
            state.retarget(thread, blocked.without(thread.blocked()));
        }
        thread.store_blocked(blocked);
        let info = state.dequeue(thread, wanted);
        state.recalculate(thread);
        info
    }
}

impl State {
    /// What comes before any signal: the end, news for the parent, a stop.
    fn next_urgent(&mut self, thread: &Arc<ThreadSignals>) -> Option<Next> {
        if let Some(status) = self.exit {
            return Some(Next::Exit(status));
        }
        if thread.is_killed() {
            return Some(Next::ExitThread);
        }
        if let Some(news) = self.stop.news.take() {
            return Some(Next::Tell(news));
        }
        if thread.has_job(job::STOP_PENDING) {
            if !thread.has_job(job::TRACED) {
                return Some(Next::Stop(self.participate_in_stop(thread, true)));
            }
            thread.set_job(job::TRAP_STOP);
        }
        if thread.has_job(job::TRAP_STOP | job::TRAP_NOTIFY) { Some(self.next_trap(thread)) } else { None }
    }

    fn dequeue(&mut self, thread: &ThreadSignals, wanted: SigSet) -> Option<Info> {
        let own = thread.pending.lock().pop(wanted);
        let info = own.or_else(|| self.pending.pop(wanted))?;
        if info.signal().is_some_and(|signal| SigSet::STOPS.contains(signal)) {
            thread.set_job(job::STOP_DEQUEUED);
        }
        Some(info)
    }

    /// What a dequeued signal does. `None`: nothing.
    fn act(&mut self, thread: &Arc<ThreadSignals>, info: Info) -> Option<Next> {
        let signal = info.signal()?;
        let action = self.actions.take_for_delivery(signal);
        match action.handler {
            SIG_IGN => return None,
            SIG_DFL => {}
            _ => {
                self.recalculate(thread);
                return Some(Next::Handle(info, action));
            }
        }
        let default = signal.default_action();
        if matches!(default, DefaultAction::Ignore | DefaultAction::Continue) {
            return None;
        }
        if self.is_unkillable && !SigSet::UNBLOCKABLE.contains(signal) {
            return None;
        }
        if default == DefaultAction::Core {
            return Some(Next::Dump(info));
        }
        if default != DefaultAction::Stop {
            return Some(Next::Exit(self.begin_exit(ExitStatus::killed(signal))));
        }
        if signal != Signal::STOP {
            return Some(Next::StopUnlessOrphaned(signal));
        }
        self.begin_stop(thread, signal);
        self.next_urgent(thread)
    }
}
