//! [`ProcessSignals`]: the signal state the threads of a process share, and the list of those threads.
//!
//! One lock, of rank `Signal`, guards it all (Linux's `siglock`): the shared queue, which table of actions is in
//! use, the group stop, the group exit. Under it the threads' own queues (`SignalThread`) and the table
//! (`SignalActions`) are taken.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::threads::ThreadList;
use super::{Actions, Budget, Charge, Pending, SigSet, Signal};
use crate::sync::{Rank, SpinGuard, SpinLock};

/// One process's signals.
pub struct ProcessSignals {
    state: SpinLock<State>,
}

/// What the lock guards.
pub(super) struct State {
    pub(super) pending: Pending,
    pub(super) actions: Arc<Actions>,
    /// The living threads; the leader first while it lives.
    pub(super) threads: ThreadList,
    /// Where the search for a thread to take a signal goes on (`curr_target`).
    pub(super) next_target: usize,
    /// Signals at their default do nothing, not even SIGKILL from within: the process is init.
    pub(super) is_unkillable: bool,
    pub(super) stop: GroupStop,
    /// The wait status the process ends with, once that is decided.
    pub(super) exit: Option<ExitStatus>,
    /// Whom queued signals are charged to.
    pub(super) budget: Budget,
    /// RLIMIT_SIGPENDING.
    pub(super) limit: u64,
    /// Told of every signal queued, for the process or for one of its threads.
    pub(super) watchers: Vec<Weak<dyn SignalWatcher>>,
}

/// Who wants to know of signals as they are queued.
pub trait SignalWatcher: Send + Sync {
    /// A signal was queued. The process's signal lock is held.
    fn signal_sent(&self, signal: Signal);
}

/// How a process ends, encoded as wait(2) reports it: the exit code shifted left by eight, or the number of the
/// deadly signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitStatus(pub i32);

impl ExitStatus {
    /// It called exit.
    pub const fn exited(code: i32) -> ExitStatus {
        ExitStatus((code & 0xff) << 8)
    }

    /// A signal killed it.
    pub const fn killed(signal: Signal) -> ExitStatus {
        ExitStatus(signal.number() as i32)
    }

    /// The same, and a core file was written.
    pub const fn with_core(self) -> ExitStatus {
        ExitStatus(self.0 | 0x80)
    }
}

/// A process's job-control state.
#[derive(Default)]
pub(super) struct GroupStop {
    /// Threads that have yet to stop (`group_stop_count`).
    pub(super) remaining: usize,
    /// All have stopped (`SIGNAL_STOP_STOPPED`).
    pub(super) is_stopped: bool,
    /// The process was continued and nobody has waited for that yet (`SIGNAL_STOP_CONTINUED`).
    pub(super) is_continued: bool,
    /// The signal that stopped it, until someone has waited for that (`group_exit_code`).
    pub(super) signal: Option<Signal>,
    /// The last signal that stopped it.
    pub(super) last: Option<Signal>,
    /// What the next thread that runs is to tell the parent (`SIGNAL_CLD_MASK`).
    pub(super) news: Option<StopNews>,
}

/// What a parent learns of a child's job control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopNews {
    /// It stopped, by this signal.
    Stopped(Signal),
    /// It continued.
    Continued,
}

impl ProcessSignals {
    /// The signals of a new process with these actions, no threads and nothing pending.
    pub fn new(actions: Arc<Actions>, budget: Budget, limit: u64) -> ProcessSignals {
        let state = State {
            pending: Pending::default(),
            actions,
            threads: ThreadList::default(),
            next_target: 0,
            is_unkillable: false,
            stop: GroupStop::default(),
            exit: None,
            budget,
            limit,
            watchers: Vec::new(),
        };
        ProcessSignals { state: SpinLock::new(Rank::Signal, state) }
    }

    pub(super) fn lock(&self) -> SpinGuard<'_, State> {
        self.state.lock()
    }

    /// Makes the process immune to signals at their default action: it is init.
    pub fn set_unkillable(&self) {
        self.lock().is_unkillable = true;
    }

    /// The table of actions, to be shared by CLONE_SIGHAND or duplicated.
    pub fn actions(&self) -> Arc<Actions> {
        self.lock().actions.clone()
    }

    /// What execve leaves of the actions: a table of the process's own, handlers at their default (`unshare_sighand()`,
    /// `flush_signal_handlers()`).
    pub fn reset_for_exec(&self) {
        let mut state = self.lock();
        if Arc::strong_count(&state.actions) > 1 {
            state.actions = Arc::new(state.actions.duplicate());
        }
        state.actions.reset(false);
    }

    /// Whom queued signals are charged to, after the real user changed.
    pub fn set_budget(&self, budget: Budget) {
        self.lock().budget = budget;
    }

    /// Sets RLIMIT_SIGPENDING.
    pub fn set_limit(&self, limit: u64) {
        self.lock().limit = limit;
    }

    /// Room for one queued signal, as a POSIX timer needs it for its entry; `None` at RLIMIT_SIGPENDING.
    pub fn charge(&self) -> Option<Charge> {
        let state = self.lock();
        state.budget.charge(state.limit)
    }

    /// Has `watcher` told of signals from now on, once, for as long as it exists.
    pub fn watch(&self, watcher: Weak<dyn SignalWatcher>) {
        let mut state = self.lock();
        if state.watchers.iter().any(|known| Weak::ptr_eq(known, &watcher)) {
            return;
        }
        state.watchers.retain(|known| known.strong_count() > 0);
        state.watchers.push(watcher);
    }

    /// Signals pending for the process as a whole.
    pub fn shared_pending(&self) -> SigSet {
        self.lock().pending.set()
    }

    /// The wait status the process is to end with, once that is decided.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.lock().exit
    }
}
