//! A simulator: the executor itself, on virtual CPUs with virtual time, under a schedule drawn from a seed.
//!
//! One thread plays all CPUs, a poll at a time. The seed decides whose turn it is, how long polls take and in which
//! order queued tasks run; the clock jumps when everybody sleeps. So a seed is a schedule: a failure is repeated by
//! its seed. For the host only.
//!
//! - [`Simulator`] runs tasks until all have ended and reports those that never will ([`Stuck`]).
//! - [`Handle`] is what tasks use: the clock, sleeping, working, spawning.
//! - [`explore`] tries a test on many seeds and names the one that fails; `SIM_SEED=n` repeats it.

mod machine;
mod rng;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

pub use machine::{Event, Machine};
use rng::Rng;

use crate::{Executor, JoinHandle, Sleep, TaskParams, yield_now};

/// How many polls a run may take before it counts as endless.
const MAX_POLLS: u64 = 2_000_000;

/// A hog gives way to the simulator at least this often.
const WORK_STRETCH_NS: u64 = 2_000_000;

/// The time between two looks of a hog at whether it should yield.
const WORK_CHUNK_NS: u64 = 50_000;

/// The machine as tasks see it.
#[derive(Clone, Copy)]
pub struct Handle {
    executor: &'static Executor<Machine>,
}

impl Handle {
    /// The executor under test.
    pub fn executor(&self) -> &'static Executor<Machine> {
        self.executor
    }

    fn machine(&self) -> &'static Machine {
        self.executor.platform()
    }

    /// The CPU whose turn it is.
    pub fn cpu(&self) -> usize {
        self.machine().cpu.get()
    }

    /// The virtual time.
    pub fn now_ns(&self) -> u64 {
        self.machine().now_ns.get()
    }

    /// Sleeps for `duration_ns`.
    pub fn sleep(&self, duration_ns: u64) -> Sleep<'static, Machine> {
        self.executor.sleep_until(self.now_ns() + duration_ns)
    }

    /// Spawns a task that may run anywhere. The name is for traces.
    pub fn spawn<F>(&self, name: &str, future: F) -> JoinHandle<Machine, F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_with(name, machine::Params::default(), future)
    }

    /// Spawns a task with parameters of its own.
    pub fn spawn_with<F>(&self, name: &str, params: machine::Params, future: F) -> JoinHandle<Machine, F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let context = self.machine().new_task(name, params);
        let watched = machine::Watched::new(self.executor, &context, future);
        self.executor.spawn(context, watched)
    }

    /// Uses `duration_ns` of CPU time as a user program would: taking interrupts, and yielding when told to.
    pub async fn work(self, duration_ns: u64) {
        self.work_in_chunks(duration_ns, WORK_CHUNK_NS).await;
    }

    /// The same on a machine whose interrupts come late: an alarm is heard after the `chunk_ns` it falls into.
    pub async fn work_in_chunks(self, duration_ns: u64, chunk_ns: u64) {
        let mut left_ns = duration_ns;
        let mut since_ns = self.now_ns();
        while left_ns > 0 {
            let chunk_ns = left_ns.min(chunk_ns);
            self.machine().now_ns.advance(chunk_ns);
            left_ns -= chunk_ns;
            let cpu = self.cpu();
            if self.machine().take_alarm(cpu) {
                self.executor.on_alarm(cpu);
            }
            if self.executor.need_resched(cpu) || self.now_ns() - since_ns >= WORK_STRETCH_NS {
                yield_now().await;
                since_ns = self.now_ns();
            }
        }
    }
}

/// A machine under test.
pub struct Simulator {
    handle: Handle,
    seed: Option<u64>,
    rng: Rng,
    /// The CPU after the one stepped last, for orderly runs.
    turn: usize,
}

/// What a finished run was like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// How many polls it took.
    pub polls: u64,
    /// The virtual time it took.
    pub now_ns: u64,
}

/// Tasks were left that nothing will wake, or that go on for ever.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stuck {
    /// The seed, unless the run was orderly.
    pub seed: Option<u64>,
    /// The names of the tasks that have not ended.
    pub tasks: Vec<String>,
    /// The run was given up after many polls; otherwise nothing was runnable and no timer was armed.
    pub endless: bool,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.endless { "endless" } else { "deadlock" };
        write!(f, "{what} (seed {:?}): not ended: {}", self.seed, self.tasks.join(", "))
    }
}

impl Simulator {
    /// A machine of `cpus` CPUs whose schedule is drawn from `seed`.
    pub fn new(seed: u64, cpus: usize) -> Self {
        Self::with_seed(Some(seed), cpus)
    }

    /// A machine whose CPUs take turns and whose queues keep their order: for tests of the exact order.
    pub fn orderly(cpus: usize) -> Self {
        Self::with_seed(None, cpus)
    }

    fn with_seed(seed: Option<u64>, cpus: usize) -> Self {
        // Tasks keep references to it; a test process has room for it.
        let executor: &'static _ =
            std::boxed::Box::leak(std::boxed::Box::new(Executor::new(Machine::new(seed, cpus), cpus)));
        for cpu in 0..cpus {
            executor.bring_up(cpu);
        }
        Self { handle: Handle { executor }, seed, rng: Rng::new(seed.unwrap_or(0)), turn: 0 }
    }

    /// What tasks use.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// See [`Handle::spawn`].
    pub fn spawn<F>(&self, name: &str, future: F) -> JoinHandle<Machine, F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(name, future)
    }

    /// What has happened so far.
    pub fn trace(&self) -> Vec<Event> {
        self.handle.machine().trace()
    }

    /// The polls so far, as `cpu:name`.
    pub fn polls(&self) -> Vec<String> {
        let polls = self.trace().into_iter().filter(|event| matches!(event, Event::Poll { .. }));
        polls.map(|event| std::format!("{event}")).collect()
    }

    /// Runs until every task has ended.
    pub fn run(&mut self) -> Result<Report, Stuck> {
        while self.step(u64::MAX) {
            if self.handle.machine().polls.get() > MAX_POLLS {
                return Err(self.stuck(true));
            }
        }
        let machine = self.handle.machine();
        if machine.unfinished().is_empty() {
            Ok(Report { polls: machine.polls.get(), now_ns: machine.now_ns.get() })
        } else {
            Err(self.stuck(false))
        }
    }

    /// Runs until virtual time `until_ns`, or until nothing more can happen.
    pub fn run_until(&mut self, until_ns: u64) {
        while self.handle.now_ns() < until_ns && self.step(until_ns) {}
    }

    fn stuck(&self, endless: bool) -> Stuck {
        Stuck { seed: self.seed, tasks: self.handle.machine().unfinished(), endless }
    }

    /// Lets one CPU do one thing, having moved the clock to the next alarm, at most to `until_ns`, if all CPUs idle.
    /// Returns whether anything can still happen.
    fn step(&mut self, until_ns: u64) -> bool {
        let machine = self.handle.machine();
        let mut awake = machine.awake();
        if awake.is_empty() {
            let Some(next_ns) = machine.next_alarm_ns() else { return false };
            machine.now_ns.set(next_ns.min(until_ns));
            awake = machine.awake();
        }
        let Some(cpu) = self.choose(&awake) else { return true };
        machine.cpu.set(cpu);
        self.step_cpu(cpu);
        true
    }

    fn choose(&mut self, awake: &[usize]) -> Option<usize> {
        if self.seed.is_some() {
            return awake.get(self.rng.below(awake.len().max(1))).copied();
        }
        let next = awake.iter().find(|&&cpu| cpu >= self.turn).or(awake.first()).copied()?;
        self.turn = next + 1;
        Some(next)
    }

    fn step_cpu(&mut self, cpu: usize) {
        let (machine, executor) = (self.handle.machine(), self.handle.executor);
        if machine.wake_up(cpu) {
            executor.leave_idle(cpu);
        }
        if machine.take_alarm(cpu) {
            executor.on_alarm(cpu);
        }
        if self.seed.is_some() && self.rng.below(4) == 0 {
            executor.reorder(cpu);
        }
        if !executor.run_one(cpu) {
            if executor.enter_idle(cpu) {
                machine.park(cpu);
            } else {
                executor.leave_idle(cpu);
            }
        }
    }
}

/// Runs a test on every seed of the range, or on the one that `SIM_SEED` names. `set_up` spawns the tasks and may return
/// a check for when all have ended. A failure names its seed.
pub fn explore<C: FnOnce()>(seeds: Range<u64>, cpus: usize, set_up: impl Fn(&Simulator) -> C) {
    let chosen = std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds = chosen.map_or(seeds, |seed| seed..seed + 1);
    for seed in seeds {
        let run = || {
            let mut simulator = Simulator::new(seed, cpus);
            let check = set_up(&simulator);
            if let Err(stuck) = simulator.run() {
                panic!("{stuck}");
            }
            check();
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            std::eprintln!("failed on seed {seed} with {cpus} CPUs; repeat it with SIM_SEED={seed}");
            resume_unwind(panic);
        }
    }
}

impl Executor<Machine> {
    /// Another order that a different timing of wakes could have brought about.
    fn reorder(&self, cpu: usize) {
        let now_ns = self.platform().now_ns.get();
        self.cpus[cpu].with_queue(|queue| queue.reorder(now_ns));
    }
}

/// Parameters for [`Handle::spawn_with`]: shared, so that a test can look at them.
pub type SharedParams = machine::Params;

/// Parameters of a task with the given affinity and niceness.
pub fn params(affinity: crate::CpuSet, nice: i8) -> SharedParams {
    alloc::sync::Arc::new(TaskParams::new(affinity, nice))
}
