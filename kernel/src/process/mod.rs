//! Processes: the table, families, groups and sessions, waiting, limits, usage.
//!
//! Key types: [`Process`] (a thread group) and [`Thread`] (the shared half of a thread; its private half is a local of
//! its future, see `crate::thread`). The two refer to each other, so both live here.
//!
//! Who is related to whom, and which lock says so:
//! - [`PidTable`] (rank `PidTable`): numbers to threads, processes, groups, sessions.
//! - [`jobs`] (ranks `Membership`, `Group`): groups and sessions.
//! - [`family`] (ranks `Family`, `Parent`): parents, children, and what a child has to report.
//! - [`Process::threads`] (rank `Threads`): the living threads and how the process ends.

pub mod bpf;
pub mod clock;
pub mod core_file;
pub mod core_pattern;
mod cpu_timer;
mod dispatch;
pub mod dump;
pub mod elf;
pub mod family;
pub mod image;
pub mod itimer;
pub mod jobs;
pub mod limits;
mod locks;
pub mod mq_listener;
pub mod oom;
pub mod owner;
pub mod pid;
pub mod pidfd;
mod policy;
pub mod ptrace;
pub mod seccomp;
pub mod signal;
pub mod signalfd;
pub mod terminal;
mod thread;
pub mod timer;
mod usage;
pub mod user;
pub mod uts;
pub mod wait;

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering};

use family::Family;
use image::ProgramInfo;
use jobs::{Group, Membership};
use limits::Limits;
use runtime::WaitQueue;
use timer::Timers;

pub use dispatch::Dispatch;
pub use locks::{FutexKey, OwnedLocks};
pub use pid::{Pid, PidReservation, PidTable};
pub use policy::{Deadline, Policy};
pub use thread::{COMM_BYTES, DEFAULT_TIMER_SLACK_NS, Holdings, Thread, Wishes};
pub use usage::{Times, Usage};

use crate::arch;
use crate::fs::ReadyQueue;
use crate::mem::AddressSpace;
use crate::signal::{ExitStatus, ProcessSignals, Signal};
use crate::sync::{Rank, SpinGuard, SpinLock};

/// A thread group.
pub struct Process {
    /// Its number: the tid of its leader. Never changes.
    pub pid: Pid,
    /// The table it is entered in.
    pub table: Arc<PidTable>,
    /// When it began, in nanoseconds of the monotonic clock.
    pub start_ns: u64,
    /// Rank `Signal`: what its threads share of signals; whether and how it ends.
    pub signals: ProcessSignals,

    /// Rank `Threads`.
    threads: SpinLock<Threads>,
    /// Woken when a thread has left `threads`: an execve waits for the others to be gone.
    pub thread_left: WaitQueue,

    /// Rank `Family`: children.
    family: SpinLock<Family>,
    /// Rank `Parent`: changes with the old and the new parent's `family` held.
    parent: SpinLock<Weak<Process>>,
    /// The parent's number, for getppid(2); 0 without a parent. Changes with `parent`.
    parent_pid: AtomicI32,
    /// Woken when a child has something to report.
    pub child_events: WaitQueue,
    /// The signal its parent gets at its end; 0 for none. `SIGCHLD` again after exec and reparenting.
    exit_signal: AtomicU8,
    /// Its end is complete: every thread is gone. Woken once, for pidfds and the boot code.
    pub ended: ReadyQueue,
    /// Its wait status once ended; -1 before.
    status: AtomicI32,
    /// It has been waited for, or needed no waiting: its number is free again.
    reaped: AtomicBool,
    /// Takes in the orphans of its descendants (`PR_SET_CHILD_SUBREAPER`).
    pub is_subreaper: AtomicBool,
    /// It has executed a program since it was forked: its parent may not move it to another group any more.
    pub has_executed: AtomicBool,

    /// Rank `Membership`.
    membership: SpinLock<Membership>,

    /// Rank `Cred`.
    pub limits: SpinLock<Limits>,
    /// Rank `Cred`: what /proc tells of its program.
    program: SpinLock<ProgramInfo>,
    /// The real user, as its parent is to be told even when every thread is gone.
    pub uid: AtomicU32,
    /// Nanoseconds of processor time, page faults and switches of threads that have ended.
    pub past: Times,
    /// Its interval timers and POSIX timers.
    pub timers: Timers,
    /// Whether others of the same user may look into it (`PR_SET_DUMPABLE`): 1 if so.
    pub dumpable: AtomicU8,
    /// `/proc/<pid>/coredump_filter`: which memory a core file shows.
    pub core_filter: AtomicU32,
    /// `/proc/<pid>/oom_score_adj`: -1000..=1000.
    pub oom_score_adj: AtomicI32,
    /// Largest number of resident pages of address spaces left behind.
    pub max_rss_pages: AtomicU64,
}

/// The living threads of a process.
#[derive(Default)]
pub struct Threads {
    /// Threads that have not ended, by tid.
    pub live: BTreeMap<Pid, Arc<Thread>>,
    /// The status of the leader, if it has ended before others.
    pub leader_status: Option<ExitStatus>,
    /// Where threads on their way to the end leave their registers, once the process dumps core.
    pub dump: Option<Arc<dump::Dump>>,
    /// The leader, if it has ended with a tracer, who is to learn of the end of the whole.
    pub traced_leader: Option<ptrace::TracedLeader>,
}

impl Process {
    /// A process without threads or children, not yet related to anybody, inside `group`.
    pub fn new(pid: Pid, table: Arc<PidTable>, group: Arc<Group>, signals: ProcessSignals) -> Arc<Self> {
        Arc::new(Self {
            pid,
            table,
            start_ns: arch::monotonic_ns(),
            signals,
            threads: SpinLock::new(Rank::Threads, Threads::default()),
            thread_left: WaitQueue::new(),
            family: SpinLock::new(Rank::Family, Family::default()),
            parent: SpinLock::new(Rank::Parent, Weak::new()),
            parent_pid: AtomicI32::new(0),
            child_events: WaitQueue::new(),
            exit_signal: AtomicU8::new(abi::signal::SIGCHLD as u8),
            ended: ReadyQueue::new(),
            status: AtomicI32::new(RUNNING),
            reaped: AtomicBool::new(false),
            is_subreaper: AtomicBool::new(false),
            has_executed: AtomicBool::new(false),
            membership: SpinLock::new(Rank::Membership, Membership::new(group)),
            limits: SpinLock::new(Rank::Cred, Limits::default()),
            program: SpinLock::new(Rank::Cred, ProgramInfo::default()),
            uid: AtomicU32::new(0),
            past: Times::default(),
            timers: Timers::new(),
            dumpable: AtomicU8::new(1),
            core_filter: AtomicU32::new(core_file::filter::DEFAULT),
            oom_score_adj: AtomicI32::new(0),
            max_rss_pages: AtomicU64::new(0),
        })
    }

    /// The threads and the phase.
    #[track_caller]
    pub fn threads(&self) -> SpinGuard<'_, Threads> {
        self.threads.lock()
    }

    /// Its threads one after the other, by tid, without a list of them all: there may be more than fit in one.
    pub fn each_thread(self: &Arc<Self>) -> impl Iterator<Item = Arc<Thread>> + use<> {
        let (process, mut from) = (self.clone(), 0);
        core::iter::from_fn(move || {
            let (tid, thread) =
                process.threads().live.range(from..).next().map(|(tid, thread)| (*tid, thread.clone()))?;
            from = tid.saturating_add(1);
            Some(thread)
        })
    }

    /// The signal the parent gets at the end, if it is a signal at all.
    pub fn exit_signal(&self) -> Option<Signal> {
        Signal::new(self.exit_signal_number().into())
    }

    /// The number of the signal the parent gets at the end, as clone(2) gave it.
    pub fn exit_signal_number(&self) -> u8 {
        self.exit_signal.load(Ordering::Relaxed)
    }

    /// Sets the signal the parent gets at the end. Numbers that are no signal mean none.
    pub fn set_exit_signal(&self, number: u8) {
        self.exit_signal.store(number, Ordering::Relaxed);
    }

    /// How it ended, once every thread is gone.
    pub fn end_status(&self) -> Option<ExitStatus> {
        match self.status.load(Ordering::Acquire) {
            RUNNING => None,
            status => Some(ExitStatus(status)),
        }
    }

    /// Whether it has been waited for and its number is free again.
    pub fn is_reaped(&self) -> bool {
        self.reaped.load(Ordering::Relaxed)
    }

    /// Takes on what a new process has from the one it was made by.
    pub fn inherit(&self, creator: &Process) {
        let limits = *creator.limits.lock();
        *self.limits.lock() = limits;
        self.oom_score_adj.store(creator.oom_score_adj.load(Ordering::Relaxed), Ordering::Relaxed);
        self.core_filter.store(creator.core_filter.load(Ordering::Relaxed), Ordering::Relaxed);
        self.uid.store(creator.uid(), Ordering::Relaxed);
        self.dumpable.store(creator.dumpable.load(Ordering::Relaxed), Ordering::Relaxed);
        self.set_program(creator.program());
    }

    /// What /proc tells of its program.
    pub fn program(&self) -> ProgramInfo {
        self.program.lock().clone()
    }

    /// Records what /proc is to tell of its program.
    pub fn set_program(&self, info: ProgramInfo) {
        let old = core::mem::replace(&mut *self.program.lock(), info);
        drop(old);
    }

    /// Lets go of its program's file, which may be written again by the time its end is known.
    fn forget_executable(&self) {
        let exe = self.program.lock().exe.take();
        drop(exe);
    }

    /// The real user.
    pub fn uid(&self) -> u32 {
        self.uid.load(Ordering::Relaxed)
    }

    /// Whether it is the process that adopts orphans and must not end.
    pub fn is_init(&self) -> bool {
        self.table.init().is_some_and(|init| core::ptr::eq(Arc::as_ptr(&init), self))
    }

    /// It is about to leave an address space: what of its size the process remembers (`setmax_mm_hiwater_rss()`).
    pub fn note_size(&self, space: &AddressSpace) {
        self.max_rss_pages.fetch_max(space.counts().peak_resident_pages, Ordering::Relaxed);
    }

    /// Its threads' processor time, faults and switches, ended ones included.
    pub fn usage(&self) -> Usage {
        let mut sum = self.past.get();
        for thread in self.threads.lock().live.values() {
            sum += thread.usage_now();
        }
        sum.max_rss_pages = self.max_rss_pages.load(Ordering::Relaxed);
        sum
    }
}

/// [`Process::status`] of a process that has not ended. No wait status has this value.
const RUNNING: i32 = -1;
