//! The simulated machine: clock, alarms, interrupts, and the record of what happened.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::task::{Context, Poll};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pin_project_lite::pin_project;

use super::rng::Rng;
use crate::{Executor, Platform, TaskContext, TaskParams};

pub(super) type Params = Arc<TaskParams>;

/// How long a poll takes in an orderly run.
const POLL_NS: u64 = 1_000;

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A task was polled.
    Poll {
        /// Where.
        cpu: usize,
        /// Which.
        task: Arc<str>,
        /// When.
        now_ns: u64,
    },
    /// A CPU was interrupted by another.
    Kick {
        /// Which.
        cpu: usize,
    },
    /// A CPU went idle.
    Idle {
        /// Which.
        cpu: usize,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Poll { cpu, task, .. } => write!(f, "{cpu}:{task}"),
            Event::Kick { cpu } => write!(f, "kick {cpu}"),
            Event::Idle { cpu } => write!(f, "idle {cpu}"),
        }
    }
}

/// A number that one thread uses, shareable because the platform must be.
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn advance(&self, by: u64) {
        self.set(self.get() + by);
    }
}

/// The CPU whose turn it is.
pub(super) struct Turn(AtomicUsize);

impl Turn {
    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, cpu: usize) {
        self.0.store(cpu, Ordering::Relaxed);
    }
}

#[derive(Clone, Default)]
struct CpuState {
    parked: bool,
    kicked: bool,
    alarm_ns: Option<u64>,
}

struct State {
    cpus: Vec<CpuState>,
    trace: Vec<Event>,
    /// The names of all tasks, and whether each has ended.
    tasks: Vec<(Arc<str>, bool)>,
    /// How long polls take; `None`: all the same.
    rng: Option<Rng>,
}

/// The simulated machine.
pub struct Machine {
    pub(super) cpu: Turn,
    pub(super) now_ns: Counter,
    pub(super) polls: Counter,
    state: Mutex<State>,
}

impl Machine {
    pub(super) fn new(seed: Option<u64>, cpus: usize) -> Self {
        let state = State {
            cpus: alloc::vec![CpuState::default(); cpus],
            trace: Vec::new(),
            tasks: Vec::new(),
            rng: seed.map(|seed| Rng::new(!seed)),
        };
        Self {
            cpu: Turn(AtomicUsize::new(0)),
            now_ns: Counter(AtomicU64::new(0)),
            polls: Counter(AtomicU64::new(0)),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn new_task(&self, name: &str, params: Params) -> SimTask {
        let mut state = self.state();
        let name: Arc<str> = name.into();
        state.tasks.push((Arc::clone(&name), false));
        SimTask { index: state.tasks.len() - 1, name, params }
    }

    pub(super) fn trace(&self) -> Vec<Event> {
        self.state().trace.clone()
    }

    pub(super) fn unfinished(&self) -> Vec<String> {
        self.state().tasks.iter().filter(|(_, ended)| !ended).map(|(name, _)| name.to_string()).collect()
    }

    /// The CPUs that can do something now.
    pub(super) fn awake(&self) -> Vec<usize> {
        let now_ns = self.now_ns.get();
        let state = self.state();
        let can_run = |cpu: &CpuState| !cpu.parked || cpu.kicked || cpu.alarm_ns.is_some_and(|at| at <= now_ns);
        state.cpus.iter().enumerate().filter(|(_, cpu)| can_run(cpu)).map(|(index, _)| index).collect()
    }

    pub(super) fn next_alarm_ns(&self) -> Option<u64> {
        self.state().cpus.iter().filter_map(|cpu| cpu.alarm_ns).min()
    }

    /// Takes the alarm's interrupt, if the alarm is due.
    pub(super) fn take_alarm(&self, cpu: usize) -> bool {
        let now_ns = self.now_ns.get();
        self.state().cpus[cpu].alarm_ns.take_if(|at| *at <= now_ns).is_some()
    }

    /// Takes pending interrupts. Returns whether the CPU had been idle.
    pub(super) fn wake_up(&self, cpu: usize) -> bool {
        let cpu = &mut self.state().cpus[cpu];
        cpu.kicked = false;
        core::mem::take(&mut cpu.parked)
    }

    pub(super) fn park(&self, cpu: usize) {
        let mut state = self.state();
        state.cpus[cpu].parked = true;
        state.trace.push(Event::Idle { cpu });
    }

    /// A task is about to be polled: records it, and lets the time pass that it takes.
    fn note_poll(&self, task: &Arc<str>) {
        let mut state = self.state();
        let (cpu, now_ns) = (self.cpu.get(), self.now_ns.get());
        state.trace.push(Event::Poll { cpu, task: Arc::clone(task), now_ns });
        let cost_ns = state.rng.as_mut().map_or(POLL_NS, |rng| 1 + rng.below(2 * POLL_NS as usize) as u64);
        drop(state);
        self.polls.advance(1);
        self.now_ns.advance(cost_ns);
    }

    fn note_end(&self, task: usize) {
        self.state().tasks[task].1 = true;
    }
}

impl Platform for Machine {
    type Context = SimTask;

    fn cpu(&self) -> usize {
        self.cpu.get()
    }

    fn now_ns(&self) -> u64 {
        self.now_ns.get()
    }

    fn kick(&self, cpu: usize) {
        let mut state = self.state();
        state.cpus[cpu].kicked = true;
        state.trace.push(Event::Kick { cpu });
    }

    fn idle(&self) {
        unreachable!("the simulator idles a CPU by not giving it a turn");
    }

    fn set_alarm(&self, deadline_ns: Option<u64>) {
        self.state().cpus[self.cpu.get()].alarm_ns = deadline_ns;
    }
}

/// What a simulated task carries.
pub struct SimTask {
    index: usize,
    name: Arc<str>,
    params: Params,
}

impl TaskContext for SimTask {
    fn params(&self) -> &TaskParams {
        &self.params
    }
}

pin_project! {
    /// A task's future, whose polls and end are recorded.
    pub(super) struct Watched<F> {
        executor: &'static Executor<Machine>,
        name: Arc<str>,
        end: End,
        #[pin]
        future: F,
    }
}

/// Records a task's end when it is dropped, however that comes about.
struct End {
    executor: &'static Executor<Machine>,
    index: usize,
}

impl Drop for End {
    fn drop(&mut self) {
        self.executor.platform().note_end(self.index);
    }
}

impl<F> Watched<F> {
    pub(super) fn new(executor: &'static Executor<Machine>, task: &SimTask, future: F) -> Self {
        Self { executor, name: Arc::clone(&task.name), end: End { executor, index: task.index }, future }
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.executor.platform().note_poll(this.name);
        this.future.poll(cx)
    }
}
