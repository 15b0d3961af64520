//! [`Executor`]: runs tasks on N CPUs. This file is a CPU's loop: pick, poll, expire timers, idle, preempt.
//! Where a woken task goes is in `place.rs`.
//!
//! Locks: one spin lock per run queue, one per timer heap; never two at a time, and none while anything is woken.
//! Fields of [`Cpu`] marked *own* are written by that CPU alone.

use alloc::boxed::Box;
use core::future::Future;
use core::task::Waker;

use crate::heap::TimerHeap;
use crate::lock::Lock;
use crate::lock::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use crate::queue::RunQueue;
use crate::spawn::{self, JoinHandle, Meta};
use crate::{CpuSet, Platform, TaskContext, TaskParams};

/// How long a task just woken waits for its waker's CPU before it is offered to an idle one. Most wakers sleep
/// themselves soon after, and a switch here is cheaper than an interrupt there.
const OFFER_AFTER_NS: u64 = 30_000;

/// How many timers expire for each taking of the lock.
const EXPIRE_BATCH: usize = 16;

/// Runs tasks on N CPUs.
pub struct Executor<P: Platform> {
    platform: P,
    /// A bit for each CPU that runs tasks.
    pub(crate) online: AtomicU64,
    /// A bit for each CPU that has found nothing to do. Whoever wakes it clears the bit.
    pub(crate) idle: AtomicU64,
    pub(crate) cpus: Box<[Cpu<P>]>,
}

/// One CPU's part of the executor, on cache lines of its own.
#[repr(align(128))]
pub(crate) struct Cpu<P: Platform> {
    pub(crate) queue: Lock<RunQueue<Meta<P>>>,
    /// The queue's length, and how many of it are for thieves. Written under the lock; read without it as hints.
    pub(crate) queued: AtomicUsize,
    pub(crate) stealable: AtomicUsize,
    /// The running task shall yield, since it may not be allowed to stay here.
    pub(crate) resched: AtomicBool,

    pub(crate) timers: TimerHeap,

    /// *Own*: whether a task is being polled.
    polling: AtomicBool,
    /// *Own*: the time as of the last poll's end, or of leaving idle.
    pub(crate) clock_ns: AtomicU64,
    /// *Own*: when the running task's slice ends.
    slice_end_ns: AtomicU64,
    /// *Own*: when the slot is offered to idle CPUs; 0: not decided, `u64::MAX`: done.
    pub(crate) offer_ns: AtomicU64,
    /// *Own*: what the platform's timer is set to; `u64::MAX`: nothing.
    alarm_ns: AtomicU64,
    /// *Own*: polls so far.
    polls: AtomicU64,
    /// *Own*: tasks taken from other CPUs so far.
    pub(crate) stolen: AtomicU64,
    /// *Own*: since when it idles; `u64::MAX`: it does not.
    idle_since_ns: AtomicU64,
    /// *Own*: time idled so far.
    idle_ns: AtomicU64,
}

/// What a CPU has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CpuStats {
    /// Polls of tasks.
    pub polls: u64,
    /// Tasks taken from other CPUs.
    pub stolen: u64,
    /// Time spent idle, now included.
    pub idle_ns: u64,
    /// Tasks queued now.
    pub queued: usize,
}

impl<P: Platform> Cpu<P> {
    fn new() -> Self {
        Self {
            queue: Lock::new(RunQueue::new()),
            queued: AtomicUsize::new(0),
            stealable: AtomicUsize::new(0),
            resched: AtomicBool::new(false),
            timers: TimerHeap::new(),
            polling: AtomicBool::new(false),
            clock_ns: AtomicU64::new(0),
            slice_end_ns: AtomicU64::new(0),
            offer_ns: AtomicU64::new(0),
            alarm_ns: AtomicU64::new(u64::MAX),
            polls: AtomicU64::new(0),
            stolen: AtomicU64::new(0),
            idle_since_ns: AtomicU64::new(u64::MAX),
            idle_ns: AtomicU64::new(0),
        }
    }

    /// How many tasks it has, queued or running.
    pub(crate) fn load(&self) -> usize {
        self.queued.load(Ordering::Relaxed) + usize::from(self.polling.load(Ordering::Relaxed))
    }

    /// Changes the queue under its lock and publishes its lengths.
    #[inline]
    pub(crate) fn with_queue<R>(&self, change: impl FnOnce(&mut RunQueue<Meta<P>>) -> R) -> R {
        let mut queue = self.queue.lock();
        let result = change(&mut queue);
        self.queued.store(queue.len(), Ordering::Relaxed);
        self.stealable.store(queue.stealable(), Ordering::Relaxed);
        result
    }
}

/// Adds to a counter that only this CPU writes.
pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

/// One CPU of an executor, as the task that runs there sees it. Not to be kept across an await.
pub struct Here<'a, P: Platform> {
    executor: &'a Executor<P>,
    cpu: usize,
    state: &'a Cpu<P>,
}

impl<P: Platform> Here<'_, P> {
    /// Whether no other task is ready on this CPU.
    #[inline]
    pub fn is_alone(&self) -> bool {
        self.state.queued.load(Ordering::Relaxed) == 0
    }

    /// Has [`Here::need_resched`] tell the running task once to yield.
    #[inline]
    pub fn ask_to_yield(&self) {
        self.state.resched.store(true, Ordering::Relaxed);
    }

    /// See [`Executor::need_resched`].
    #[inline]
    pub fn need_resched(&self) -> bool {
        let is_alone = self.state.queued.load(Ordering::Relaxed) == 0 && !self.state.resched.load(Ordering::Relaxed);
        !is_alone && self.executor.should_yield(self.cpu)
    }
}

impl<P: Platform> Executor<P> {
    /// An executor for `cpus` CPUs (at most 64), none of which is online yet.
    pub fn new(platform: P, cpus: usize) -> Self {
        assert!((1..=64).contains(&cpus), "a CpuSet holds 64 CPUs");
        let cpus = (0..cpus).map(|_| Cpu::new()).collect();
        Self { platform, online: AtomicU64::new(0), idle: AtomicU64::new(0), cpus }
    }

    /// The machine.
    #[inline]
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// How many CPUs there is room for.
    pub fn cpu_count(&self) -> usize {
        self.cpus.len()
    }

    /// The CPUs that run tasks.
    pub fn online(&self) -> CpuSet {
        CpuSet::from_bits(self.online.load(Ordering::Acquire))
    }

    /// What CPU `cpu` has done so far.
    pub fn stats(&self, cpu: usize) -> CpuStats {
        let cpu = &self.cpus[cpu];
        let idle_since_ns = cpu.idle_since_ns.load(Ordering::Relaxed);
        let idling_ns = self.platform.now_ns().saturating_sub(idle_since_ns);
        CpuStats {
            polls: cpu.polls.load(Ordering::Relaxed),
            stolen: cpu.stolen.load(Ordering::Relaxed),
            idle_ns: cpu.idle_ns.load(Ordering::Relaxed) + idling_ns,
            queued: cpu.queued.load(Ordering::Relaxed),
        }
    }

    /// Makes a task of `future` and queues it on this CPU, behind tasks woken earlier.
    pub fn spawn<F>(&'static self, context: P::Context, future: F) -> JoinHandle<P, F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (task, handle) = spawn::spawn(self, context, future);
        self.place_new(task);
        handle
    }

    /// The bytes a task with a future of type `F` takes: the four words `async-task` keeps, what the executor and the
    /// caller keep with it, and the future.
    pub const fn task_bytes<F>() -> usize {
        let head = 4 * size_of::<usize>() + size_of::<Meta<P>>();
        let future = size_of::<(usize, F)>();
        head.next_multiple_of(align_of::<F>()) + future
    }

    /// Runs tasks on CPU `cpu`, which calls this, for ever.
    pub fn run(&'static self, cpu: usize) -> ! {
        self.bring_up(cpu);
        loop {
            if !self.run_one(cpu) {
                self.run_idle(cpu);
            }
        }
    }

    /// Counts CPU `cpu` among those that run tasks. Part of [`Executor::run`].
    pub fn bring_up(&self, cpu: usize) {
        self.cpus[cpu].clock_ns.store(self.platform.now_ns(), Ordering::Relaxed);
        self.online.fetch_or(1 << cpu, Ordering::AcqRel);
    }

    /// Expires timers and polls one task of CPU `cpu`, which calls this. Returns whether there was one.
    #[inline]
    pub fn run_one(&'static self, cpu: usize) -> bool {
        let here = &self.cpus[cpu];
        let now_ns = here.clock_ns.load(Ordering::Relaxed);
        if here.timers.next_ns() <= now_ns {
            self.expire(cpu, now_ns);
        }
        if here.queued.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let Some(task) = here.with_queue(|queue| queue.pop(now_ns, Meta::may_run)) else { return false };
        let params = task.metadata().context.params();
        params.enter(cpu);
        if !params.affinity().contains(cpu) {
            params.leave(cpu, now_ns, now_ns);
            self.place_away(cpu, task);
            return true;
        }
        if params.is_spent() {
            params.refill();
        }
        here.slice_end_ns.store(now_ns + params.slice_left_ns(), Ordering::Relaxed);
        here.offer_ns.store(0, Ordering::Relaxed);
        here.polling.store(true, Ordering::Relaxed);
        task.run();
        here.polling.store(false, Ordering::Relaxed);
        true
    }

    /// A poll starts on `cpu`; returns from when on the time is the task's.
    #[inline]
    pub(crate) fn begin_poll(&self, cpu: usize) -> u64 {
        let here = &self.cpus[cpu];
        count(&here.polls, 1);
        here.clock_ns.load(Ordering::Relaxed)
    }

    /// A poll has ended on `cpu`; returns when.
    #[inline]
    pub(crate) fn end_poll(&self, cpu: usize) -> u64 {
        let now_ns = self.platform.now_ns();
        self.cpus[cpu].clock_ns.store(now_ns, Ordering::Relaxed);
        now_ns
    }

    /// Steals work for CPU `cpu`, which calls this, or idles until something happens.
    pub fn run_idle(&self, cpu: usize) {
        if self.enter_idle(cpu) {
            self.platform.idle();
        }
        self.leave_idle(cpu);
    }

    /// Prepares CPU `cpu` for idling. Returns whether it may idle: there is nothing to do, and whoever changes that
    /// from now on interrupts it. Ended by [`Executor::leave_idle`].
    pub(crate) fn enter_idle(&self, cpu: usize) -> bool {
        let here = &self.cpus[cpu];
        // First say so, then look: whoever queues work looks for idle CPUs after queuing (see `place.rs`).
        self.idle.fetch_or(1 << cpu, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.steal(cpu) || here.queued.load(Ordering::Relaxed) != 0 {
            return false;
        }
        here.idle_since_ns.store(here.clock_ns.load(Ordering::Relaxed), Ordering::Relaxed);
        self.arm(cpu, here.timers.next_ns());
        true
    }

    /// CPU `cpu` goes on after [`Executor::enter_idle`].
    pub(crate) fn leave_idle(&self, cpu: usize) {
        let here = &self.cpus[cpu];
        if CpuSet::from_bits(self.idle.load(Ordering::Relaxed)).contains(cpu) {
            self.idle.fetch_and(!(1 << cpu), Ordering::SeqCst);
        }
        let since_ns = here.idle_since_ns.load(Ordering::Relaxed);
        here.idle_since_ns.store(u64::MAX, Ordering::Relaxed);
        let now_ns = self.end_poll(cpu);
        count(&here.idle_ns, now_ns.saturating_sub(since_ns));
    }

    /// Whether the task running on `cpu`, which calls this, should yield: its slice is over and another waits, or it
    /// may no longer run here. A yes may be said but once. Ask before each entry into user mode. While another waits, this keeps the alarm set, so
    /// that user mode is left in time.
    #[inline]
    pub fn need_resched(&self, cpu: usize) -> bool {
        self.here(cpu).need_resched()
    }

    /// `cpu`, whose task calls this, for asking often.
    #[inline]
    pub fn here(&self, cpu: usize) -> Here<'_, P> {
        Here { executor: self, cpu, state: &self.cpus[cpu] }
    }

    #[cold]
    fn should_yield(&self, cpu: usize) -> bool {
        let here = &self.cpus[cpu];
        if here.resched.load(Ordering::Relaxed) && here.resched.swap(false, Ordering::Acquire) {
            return true;
        }
        let slice_end_ns = here.slice_end_ns.load(Ordering::Relaxed);
        if here.alarm_ns.load(Ordering::Relaxed) <= slice_end_ns && self.idle.load(Ordering::Relaxed) == 0 {
            // The alarm is set for the slice's end already and nobody is to be offered anything: no need to look at the clock.
            return false;
        }
        let now_ns = self.platform.now_ns();
        if now_ns >= slice_end_ns {
            return true;
        }
        let mut wanted_ns = slice_end_ns;
        if self.idle.load(Ordering::Relaxed) != 0 {
            match here.offer_ns.load(Ordering::Relaxed) {
                0 => {
                    here.offer_ns.store(now_ns + OFFER_AFTER_NS, Ordering::Relaxed);
                    wanted_ns = wanted_ns.min(now_ns + OFFER_AFTER_NS);
                }
                offer_ns if offer_ns <= now_ns => self.offer(cpu),
                offer_ns => wanted_ns = wanted_ns.min(offer_ns),
            }
        }
        self.arm(cpu, wanted_ns);
        false
    }

    /// The alarm of `cpu`, which calls this, has gone off: wakes those whose deadline has come.
    pub fn on_alarm(&self, cpu: usize) {
        let here = &self.cpus[cpu];
        here.alarm_ns.store(u64::MAX, Ordering::Relaxed);
        let (now_ns, polling) = (self.platform.now_ns(), here.polling.load(Ordering::Relaxed));
        if !polling {
            here.clock_ns.store(now_ns, Ordering::Relaxed);
        }
        if self.expire(cpu, now_ns) && polling {
            // What runs here was interrupted, not about to sleep: somebody else may take those woken.
            self.offer(cpu);
        }
        self.arm(cpu, here.timers.next_ns());
    }

    /// Wakes what is due on `cpu`. Returns whether anything was.
    #[cold]
    fn expire(&self, cpu: usize, now_ns: u64) -> bool {
        let mut any = false;
        loop {
            let mut wakers = [const { None }; EXPIRE_BATCH];
            let taken = self.cpus[cpu].timers.expire(now_ns, &mut wakers);
            any |= taken > 0;
            wakers.into_iter().flatten().for_each(Waker::wake);
            if taken < EXPIRE_BATCH {
                return any;
            }
        }
    }

    /// Makes the alarm of `cpu`, which calls this, go off by `deadline_ns`. It may go off earlier, for a deadline that
    /// has been given up: cheaper than to set it each time.
    #[inline]
    pub(crate) fn arm(&self, cpu: usize, deadline_ns: u64) {
        let alarm_ns = &self.cpus[cpu].alarm_ns;
        if deadline_ns < alarm_ns.load(Ordering::Relaxed) {
            alarm_ns.store(deadline_ns, Ordering::Relaxed);
            self.platform.set_alarm(Some(deadline_ns));
        }
    }

    /// Restricts a task to `affinity`. A queued task moves when its turn comes, a running one at once: it is made to
    /// trap, and [`Executor::need_resched`] tells it to yield. Returns whether a CPU of the set is online; if none is,
    /// nothing changes.
    pub fn set_affinity(&self, params: &TaskParams, affinity: CpuSet) -> bool {
        let online = self.online();
        if affinity.and(online).is_empty() {
            return false;
        }
        params.store_affinity(affinity);
        let here = self.platform.cpu();
        if params.runs_on(here) {
            self.cpus[here].resched.store(!affinity.contains(here), Ordering::Release);
            return true;
        }
        // Where it runs, or is just being started with a look at the old set, is not known without making each start
        // of a poll dearer. So every CPU it could be on looks; what runs there yields once for nothing.
        for cpu in online.iter().filter(|&cpu| !affinity.contains(cpu)) {
            self.cpus[cpu].resched.store(true, Ordering::Release);
            if cpu != here {
                self.platform.kick(cpu);
            }
        }
        true
    }
}
