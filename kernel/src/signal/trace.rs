//! What a tracer changes in a thread's signals: job control under ptrace(2), after `ptrace_stop()`, `do_jobctl_trap()`
//! and `__ptrace_unlink()`.
//!
//! Who traces whom is none of this room's business (`process/ptrace.rs`): here a thread is traced or not, stopped for
//! its tracer or not, all under its process's signal lock.

use alloc::sync::Arc;

use super::process::{ProcessSignals, State, StopNews};
use super::take::Next;
use super::thread::{ThreadSignals, Work, job};
use super::{Budget, Info, SigSet, Signal};

/// Why a thread stops for its tracer, as far as job control goes by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trap {
    /// A signal, a system call or an event.
    Event,
    /// A group stop, as one who did not seize it sees it.
    Group,
    /// `PTRACE_EVENT_STOP`: a group stop, its end, or what the tracer asked for.
    Seized,
}

impl ProcessSignals {
    /// A tracer attaches. A thread that is stopped with its group stops for the tracer instead.
    pub fn attach(&self, thread: &Arc<ThreadSignals>, is_seized: bool) {
        let _state = self.lock();
        thread.set_traced(is_seized);
        if thread.has_job(job::STOPPED) {
            thread.clear_job(job::STOPPED);
            thread.set_job(job::TRAP_STOP);
            thread.post(Work::SIGNAL);
        }
    }

    /// The tracer lets go: what it had the thread do is over, and a group stop has it again.
    pub fn detach(&self, thread: &Arc<ThreadSignals>) {
        let state = self.lock();
        let trap = job::TRAP_STOP | job::TRAP_NOTIFY | job::LISTENING;
        thread.clear_job(job::TRACED | job::SEIZED | trap);
        if state.stop.is_in_force() && !thread.has_job(job::STOPPED | job::EXITING) {
            thread.set_job(job::STOP_PENDING);
        }
        thread.post(Work::SIGNAL);
    }

    /// PTRACE_INTERRUPT: the thread is to stop for its tracer.
    pub fn interrupt(&self, thread: &ThreadSignals) {
        let _state = self.lock();
        thread.set_job(job::TRAP_STOP);
        thread.post(Work::SIGNAL);
    }

    /// PTRACE_LISTEN: the stop ends when there is news of the group stop.
    pub fn listen(&self, thread: &ThreadSignals) {
        let _state = self.lock();
        thread.set_job(job::LISTENING);
        if thread.has_job(job::TRAP_NOTIFY) {
            thread.wake();
        }
    }

    /// The thread, the caller, stops for its tracer. The parent is to be told if that completes a group stop.
    pub fn begin_trap(&self, thread: &ThreadSignals, trap: Trap) -> Option<StopNews> {
        let mut state = self.lock();
        thread.clear_job(job::TRAP_STOP);
        if trap == Trap::Seized {
            thread.clear_job(job::TRAP_NOTIFY);
        }
        thread.set_job(job::TRAPPED);
        if trap != Trap::Event && thread.has_job(job::STOP_PENDING) {
            return state.participate_in_stop(thread, false);
        }
        None
    }

    /// The stop is over.
    pub fn end_trap(&self, thread: &ThreadSignals) {
        let state = self.lock();
        thread.clear_job(job::TRAPPED | job::LISTENING);
        state.recalculate(thread);
    }

    /// A signal that the tracer let through and that is blocked by now, or came with the thread's end: it stays
    /// pending.
    pub fn put_back(&self, thread: &Arc<ThreadSignals>, info: Info) {
        if let Some(signal) = info.signal() {
            // Like Linux, a real-time signal that finds no room is lost.
            let _ = self.send_to(thread, signal, info);
        }
    }

    /// The signals queued, of the thread or shared, from the `skip`th on, for PTRACE_PEEKSIGINFO.
    pub fn queued_from(&self, thread: &ThreadSignals, is_shared: bool, skip: u64, max: usize) -> alloc::vec::Vec<Info> {
        let state = self.lock();
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let own = thread.pending.lock();
        let queue = if is_shared { &state.pending } else { &*own };
        queue.entries().skip(skip).take(max).copied().collect()
    }
}

impl State {
    /// The trap a thread has to make: what of a group stop its tracer is to see (`do_jobctl_trap()`).
    pub(super) fn next_trap(&self, thread: &ThreadSignals) -> Next {
        let shows_stop = self.stop.is_in_force() || !thread.has_job(job::SEIZED);
        Next::Trap(self.stop.last.filter(|_| shows_stop))
    }
}

impl super::process::GroupStop {
    /// Whether the process has stopped or is about to.
    fn is_in_force(&self) -> bool {
        self.is_stopped || self.remaining > 0
    }
}

impl ThreadSignals {
    fn set_traced(&self, is_seized: bool) {
        self.set_job(job::TRACED | if is_seized { job::SEIZED } else { 0 });
    }

    /// A tracer has the thread from its birth, before anybody knows it: its first act is to stop
    /// (`ptrace_init_task()`).
    pub fn attach_newborn(&self, is_seized: bool) {
        self.set_traced(is_seized);
        if is_seized {
            self.set_job(job::TRAP_STOP);
        } else {
            let signal = Signal::STOP;
            self.pending.lock().push(signal, Info::unqueued(signal), &Budget::default(), 0);
        }
        self.add_work(Work::SIGNAL);
    }

    /// Whether its tracer seized it.
    pub fn is_seized(&self) -> bool {
        self.has_job(job::SEIZED)
    }

    /// Whether it waits in PTRACE_LISTEN, where its tracer cannot reach it.
    pub fn is_listening(&self) -> bool {
        self.has_job(job::LISTENING)
    }

    /// Whether what PTRACE_LISTEN waits for has come.
    pub fn has_heard(&self) -> bool {
        self.is_listening() && self.has_job(job::TRAP_NOTIFY | job::TRAP_STOP)
    }

    /// Whether `signal` is in the mask.
    pub fn blocks(&self, signal: Signal) -> bool {
        self.blocked().without(SigSet::UNBLOCKABLE).contains(signal)
    }
}
