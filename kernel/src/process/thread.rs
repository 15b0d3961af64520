//! [`Thread`]: the half of a thread that others may touch.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use core::task::Waker;

use abi::prctl::PR_MCE_KILL_DEFAULT;
use runtime::{TaskContext, TaskParams};

use super::dispatch::Dispatch;
use super::ptrace::Tracing;
use super::seccomp::Filter;
use super::user::Charge;
use super::uts::Namespace;
use super::{Deadline, OwnedLocks, Pid, Policy, Process, Times, Usage};
use crate::fs::{Capabilities, Cred, FdTable, FsContext};
use crate::mem::AddressSpace;
use crate::signal::{Signal, ThreadSignals, Work};
use crate::sync::{Rank, SpinLock};

/// The shared half of a thread.
pub struct Thread {
    /// The process it belongs to.
    pub process: Arc<Process>,
    /// Its signals, the work it has to do before it returns to user mode, and how to wake its task.
    pub signals: Arc<ThreadSignals>,
    /// Where its task may run, and its share.
    pub params: TaskParams,
    /// Processor time, faults, switches.
    pub times: Times,
    /// When it began, in nanoseconds of the monotonic clock.
    pub start_ns: u64,

    /// Cleared, and its futex woken, when the thread ends (set_tid_address(2)). 0: none.
    pub clear_child_tid: AtomicU64,
    /// The head of its robust list (set_robust_list(2)). 0: none.
    pub robust_list: AtomicU64,
    /// Sent to its process when its parent ends (`PR_SET_PDEATHSIG`). 0: none.
    parent_death_signal: AtomicU8,
    /// Its [`Policy`].
    policy: AtomicU16,
    /// Its execution domain and the flags that change how it is treated (personality(2)).
    pub personality: AtomicU32,
    /// How urgent its input and output are (ioprio_set(2)). Kept and reported. 0: never set.
    pub io_priority: AtomicU16,
    /// How late its timers may be (`PR_SET_TIMERSLACK`). Kept and reported.
    pub timer_slack_ns: AtomicU64,
    /// No execve raises its privileges any more (`PR_SET_NO_NEW_PRIVS`).
    pub no_new_privs: AtomicBool,

    /// It has an area for restartable sequences: its private half knows more.
    pub has_rseq: AtomicBool,
    /// It is on its way to the end, and past the place where it would wait for a core dump.
    pub is_past_dump: AtomicBool,
    /// Who looks at its system calls, [`Thread::FILTERS`] and [`Thread::DISPATCH`]: its account knows more.
    pub call_watchers: AtomicU8,

    /// Rank `Tracing`: its tracer, and where it has stopped for it.
    pub tracing: Tracing,
    /// Rank `Futex`: locks that others wait for it to release.
    pub owned_locks: OwnedLocks,
    /// Rank `Holdings`.
    shown: SpinLock<Shown>,
}

/// What others may see of a thread at any time.
struct Shown {
    /// What it works with; its own view is in the private half.
    holdings: Holdings,
    /// What rarely changes.
    account: Account,
    /// Its name (`PR_SET_NAME`), padded with zeros.
    comm: [u8; COMM_BYTES],
}

/// Room for a thread's name, the final NUL included (`TASK_COMM_LEN`).
pub const COMM_BYTES: usize = 16;

/// How late Linux's timers may be unless told otherwise.
pub const DEFAULT_TIMER_SLACK_NS: u64 = 50_000;

/// What a thread works with. Shared with other threads as clone(2) was told.
#[derive(Clone)]
pub struct Holdings {
    /// Its memory; none once it has begun to end.
    pub space: Option<Arc<AddressSpace>>,
    /// Its descriptors; none once it has begun to end.
    pub files: Option<Arc<FdTable>>,
    /// Its root, directory and umask; none once it has begun to end.
    pub fs: Option<Arc<FsContext>>,
    /// Who it is.
    pub cred: Arc<Cred>,
}

/// What a thread is held to.
struct Account {
    /// Its place in its user's account; none once it has ended.
    charge: Option<Charge>,
    /// What few threads have.
    rare: Option<Box<Rare>>,
}

/// What a thread wants of the machine, which its children want, too. Kept and reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wishes {
    /// What is to become of it at an error of memory, as `PR_MCE_KILL_GET` tells it.
    pub memory_error_policy: u8,
    /// It serves input and output (`PR_SET_IO_FLUSHER`).
    pub is_io_flusher: bool,
}

impl Default for Wishes {
    fn default() -> Self {
        Self { memory_error_policy: PR_MCE_KILL_DEFAULT as u8, is_io_flusher: false }
    }
}

/// What few threads have.
#[derive(Default)]
pub struct Rare {
    /// The filters its system calls go through.
    pub(super) filters: Option<Arc<Filter>>,
    /// The system calls it wants back.
    pub(super) dispatch: Option<Arc<Dispatch>>,
    /// What it asks for under the deadline policy.
    deadline: Option<Deadline>,
    /// What it wants of the machine.
    wishes: Wishes,
    /// The names it lives with, if not those of the machine.
    pub(super) uts: Option<Arc<Namespace>>,
}

impl Thread {
    /// Filters look at its system calls.
    pub const FILTERS: u8 = 1;
    /// It wants system calls back.
    pub const DISPATCH: u8 = 2;

    /// Whether one of those who look at system calls looks at its.
    pub fn has_call_watcher(&self, watcher: u8) -> bool {
        self.call_watchers.load(Ordering::Relaxed) & watcher != 0
    }

    /// Notes whether one looks at its calls.
    pub fn set_call_watcher(&self, watcher: u8, looks: bool) {
        if looks {
            self.call_watchers.fetch_or(watcher, Ordering::Relaxed);
        } else {
            self.call_watchers.fetch_and(!watcher, Ordering::Relaxed);
        }
    }

    /// What it wants of the machine.
    pub fn wishes(&self) -> Wishes {
        self.rare(|rare| rare.wishes).unwrap_or_default()
    }

    /// Sets what it wants.
    pub fn set_wishes(&self, wishes: Wishes) {
        self.change_rare(|rare| rare.wishes = wishes);
    }

    /// The shared half of a thread of `process`.
    pub fn new(
        process: Arc<Process>,
        signals: ThreadSignals,
        params: TaskParams,
        holdings: Holdings,
        charge: Charge,
    ) -> Self {
        Self {
            process,
            signals: Arc::new(signals),
            params,
            times: Times::default(),
            start_ns: crate::arch::monotonic_ns(),
            clear_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            parent_death_signal: AtomicU8::new(0),
            policy: AtomicU16::new(Policy::DEFAULT.to_bits()),
            personality: AtomicU32::new(0),
            io_priority: AtomicU16::new(0),
            timer_slack_ns: AtomicU64::new(DEFAULT_TIMER_SLACK_NS),
            no_new_privs: AtomicBool::new(false),
            has_rseq: AtomicBool::new(false),
            is_past_dump: AtomicBool::new(false),
            call_watchers: AtomicU8::new(0),
            tracing: Tracing::new(),
            owned_locks: OwnedLocks::new(),
            shown: SpinLock::new(
                Rank::Holdings,
                Shown { holdings, account: Account { charge: Some(charge), rare: None }, comm: [0; COMM_BYTES] },
            ),
        }
    }

    /// The thread's number. Changes once in a life: a thread that executes a new program takes its leader's.
    #[inline]
    pub fn tid(&self) -> Pid {
        self.signals.tid()
    }

    /// Whether it is the thread its process is named after.
    pub fn is_leader(&self) -> bool {
        self.tid() == self.process.pid
    }

    /// The work at hand.
    #[inline]
    pub fn work(&self) -> Work {
        self.signals.work()
    }

    /// Gives the thread work, and gets it out of user mode or of an interruptible wait to do it.
    pub fn post(&self, work: Work) {
        self.signals.post(work);
    }

    /// Takes work back, or marks it as done.
    pub fn clear(&self, work: Work) {
        self.signals.clear_work(work);
    }

    /// Whether an interruptible wait has to end.
    #[inline]
    pub fn interrupted(&self) -> bool {
        self.signals.is_interrupted()
    }

    /// Has the other threads of the process abort their restartable sequences, or those on one CPU alone: done when these
    /// CPUs have answered a barrier. Where it is no thread's turn nothing is to be done.
    pub fn abort_other_sequences(&self, cpu: Option<u32>) {
        let concerns = |thread: &&Arc<Thread>| {
            let runs_on = thread.signals.running_on();
            let is_other = !core::ptr::eq(Arc::as_ptr(thread), self);
            is_other
                && thread.has_rseq.load(Ordering::Relaxed)
                && runs_on.is_some_and(|on| cpu.is_none_or(|cpu| cpu == on))
        };
        let concerned: Vec<_> = self.process.threads().live.values().filter(concerns).cloned().collect();
        for thread in concerned {
            thread.post(Work::RSEQ);
        }
    }

    /// Has the thread's task polled again.
    pub fn wake(&self) {
        self.signals.wake();
    }

    /// Says how to wake the thread's task.
    pub fn set_waker(&self, waker: Option<Waker>) {
        self.signals.set_waker(waker);
    }

    /// What it works with at this moment.
    pub fn holdings(&self) -> Holdings {
        self.shown.lock().holdings.clone()
    }

    /// Changes what it works with. What `change` gives back is dropped after the lock.
    pub fn update_holdings<R>(&self, change: impl FnOnce(&mut Holdings) -> R) -> R {
        change(&mut self.shown.lock().holdings)
    }

    /// Its memory, unless it has begun to end.
    pub fn space(&self) -> Option<Arc<AddressSpace>> {
        self.shown.lock().holdings.space.clone()
    }

    /// Who it is.
    pub fn cred(&self) -> Arc<Cred> {
        self.shown.lock().holdings.cred.clone()
    }

    /// Whether a thread of these credentials may look into it (`ptrace_may_access()` with the real ids).
    pub fn may_be_seen_by(&self, cred: &Cred) -> bool {
        let own = self.cred();
        let same = [own.uid, own.euid, own.suid].iter().all(|uid| *uid == cred.uid)
            && [own.gid, own.egid, own.sgid].iter().all(|gid| *gid == cred.gid);
        let dumpable = self.process.dumpable.load(Ordering::Relaxed) == 1;
        same && dumpable || cred.capable(Capabilities::SYS_PTRACE)
    }

    /// Its name, padded with zeros.
    pub fn comm(&self) -> [u8; COMM_BYTES] {
        self.shown.lock().comm
    }

    /// Names it; a longer name is cut.
    pub fn set_comm(&self, name: &[u8]) {
        let mut comm = [0; COMM_BYTES];
        let len = name.iter().position(|byte| *byte == 0).unwrap_or(name.len()).min(COMM_BYTES - 1);
        comm[..len].copy_from_slice(&name[..len]);
        self.shown.lock().comm = comm;
    }

    /// The signal its process gets when its parent ends.
    pub fn parent_death_signal(&self) -> Option<Signal> {
        Signal::new(self.parent_death_signal.load(Ordering::Relaxed).into())
    }

    /// Sets the signal its process gets when its parent ends.
    pub fn set_parent_death_signal(&self, signal: Option<Signal>) {
        self.parent_death_signal.store(signal.map_or(0, |signal| signal.number()), Ordering::Relaxed);
    }

    /// Takes on what a new thread has from its creator and shares with nobody.
    pub fn inherit(&self, creator: &Thread) {
        let comm = creator.comm();
        self.shown.lock().comm = comm;
        let (policy, _) = creator.policy().of_child(creator.params.nice());
        self.set_policy(policy);
        self.personality.store(creator.personality.load(Ordering::Relaxed), Ordering::Relaxed);
        self.io_priority.store(creator.io_priority.load(Ordering::Relaxed), Ordering::Relaxed);
        self.timer_slack_ns.store(creator.timer_slack_ns.load(Ordering::Relaxed), Ordering::Relaxed);
        self.no_new_privs.store(creator.no_new_privs.load(Ordering::Relaxed), Ordering::Relaxed);
        let wishes = creator.wishes();
        if wishes != Wishes::default() {
            self.set_wishes(wishes);
        }
    }

    /// One more place in the account of the thread's user.
    pub fn charge_another(&self) -> Charge {
        let shown = self.shown.lock();
        shown.account.charge.as_ref().map_or_else(|| Charge::of_user(0), Charge::another)
    }

    /// Replaces the thread's place in an account: its user changed, or it ends.
    pub fn set_charge(&self, charge: Option<Charge>) {
        let old = core::mem::replace(&mut self.shown.lock().account.charge, charge);
        drop(old);
    }

    /// Reads what few threads have, if it has any of it.
    pub(super) fn rare<R>(&self, read: impl FnOnce(&Rare) -> R) -> Option<R> {
        self.shown.lock().account.rare.as_deref().map(read)
    }

    /// Changes what few threads have.
    pub(super) fn change_rare<R>(&self, change: impl FnOnce(&mut Rare) -> R) -> R {
        change(self.shown.lock().account.rare.get_or_insert_default())
    }

    /// What it has used by now, the stretch of time under way included.
    pub fn usage_now(&self) -> Usage {
        self.times.get()
    }

    /// The scheduling parameters a thread it creates starts with.
    pub fn child_params(&self) -> TaskParams {
        let (_, nice) = self.policy().of_child(self.params.nice());
        TaskParams::new(self.params.affinity(), nice)
    }

    /// Its scheduling policy.
    pub fn policy(&self) -> Policy {
        Policy::from_bits(self.policy.load(Ordering::Relaxed))
    }

    /// What it asks for under the deadline policy.
    pub fn deadline(&self) -> Option<Deadline> {
        self.rare(|rare| rare.deadline).flatten()
    }

    /// Sets what it asks for, or that it asks for nothing.
    pub fn set_deadline(&self, deadline: Option<Deadline>) {
        if deadline.is_some() || self.deadline().is_some() {
            self.change_rare(|rare| rare.deadline = deadline);
        }
    }

    /// Sets its scheduling policy.
    pub fn set_policy(&self, policy: Policy) {
        self.policy.store(policy.to_bits(), Ordering::Relaxed);
    }
}

impl TaskContext for Thread {
    fn params(&self) -> &TaskParams {
        &self.params
    }

    /// Loads the thread's address space and begins to count its time.
    fn switch_in(&self, now_ns: u64) {
        self.signals.enter_cpu();
        if self.has_rseq.load(Ordering::Relaxed) {
            self.signals.add_work(Work::RSEQ);
        }
        if let Some(space) = &self.shown.lock().holdings.space {
            space.activate();
        }
        self.times.begin();
        self.process.timers.thread_runs(&self.process, now_ns);
    }

    /// Whatever the thread did since it last left user mode was done in the kernel.
    fn switch_out(&self, _now_ns: u64) {
        self.times.end();
        self.signals.leave_cpu();
    }
}
