//! What the executor knows of a task: [`TaskParams`] (where it may run, its share), [`TaskContext`] (hooks).

use alloc::sync::Arc;
use core::sync::atomic::{AtomicI8, AtomicI32, AtomicU32, AtomicU64, Ordering};

/// A set of CPUs, at most 64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuSet(u64);

impl CpuSet {
    /// Every CPU.
    pub const ALL: CpuSet = CpuSet(u64::MAX);
    /// No CPU.
    pub const NONE: CpuSet = CpuSet(0);

    /// The set of one CPU.
    pub const fn single(cpu: usize) -> Self {
        Self(1 << cpu)
    }

    /// The CPUs `0..count`.
    pub const fn first(count: usize) -> Self {
        Self(if count >= 64 { u64::MAX } else { (1 << count) - 1 })
    }

    /// The set with bit *n* meaning CPU *n*.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// A bit for each CPU.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether `cpu` is in the set.
    #[inline]
    pub const fn contains(self, cpu: usize) -> bool {
        self.0 >> cpu & 1 != 0
    }

    /// The CPUs in both sets.
    pub const fn and(self, other: CpuSet) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether no CPU is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lowest CPU of the set.
    pub const fn lowest(self) -> Option<usize> {
        if self.0 == 0 { None } else { Some(self.0.trailing_zeros() as usize) }
    }

    /// How many CPUs are in the set.
    pub const fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The CPUs of the set, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self;
        core::iter::from_fn(move || {
            let cpu = rest.lowest()?;
            rest.0 &= rest.0 - 1;
            Some(cpu)
        })
    }
}

/// The slice of a task of nice 0.
pub const BASE_SLICE_NS: u64 = 2_000_000;
/// No slice is shorter: a switch must stay cheap beside it.
const MIN_SLICE_NS: u64 = 100_000;
/// No slice is longer: the others wait for it.
const MAX_SLICE_NS: u64 = 20_000_000;

/// No more is taken from slices to come: of a long overrun most was hardly the task's doing.
const MAX_DEBT_NS: i32 = BASE_SLICE_NS as i32;

/// Linux's weights of nice -20..=19 (`sched_prio_to_weight`): each level is about 1.25 times the next.
const WEIGHTS: [u32; 40] = [
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904, 3906, 3121, 2501,
    1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
];

/// The slice of a task of `nice` (clamped to -20..=19): in proportion to Linux's weight, within 0.1 and 20 ms.
pub fn slice_ns(nice: i8) -> u64 {
    let level = (i32::from(nice.clamp(-20, 19)) + 20).unsigned_abs() as usize;
    (BASE_SLICE_NS * u64::from(WEIGHTS[level]) / 1024).clamp(MIN_SLICE_NS, MAX_SLICE_NS)
}

/// The scheduling side of a task: where it may run, how long at a time, and how long it ran.
///
/// Set by anyone; the rest is written by the CPU that runs the task.
pub struct TaskParams {
    affinity: AtomicU64,
    /// Time used, all polls.
    cpu_time_ns: AtomicU64,
    /// When the task last left a CPU.
    last_ran_ns: AtomicU64,
    /// What is left of the slice. 0: used up, to be refilled when the task queues behind the others. Less: overrun, which
    /// is taken from slices to come.
    slice_left_ns: AtomicI32,
    /// The CPU the task runs on or last ran on, plus [`RUNNING`] while it does.
    place: AtomicU32,
    nice: AtomicI8,
}

/// In [`TaskParams::place`]: the task is being polled.
const RUNNING: u32 = 1 << 31;

impl Default for TaskParams {
    fn default() -> Self {
        Self::new(CpuSet::ALL, 0)
    }
}

impl TaskParams {
    /// The parameters of a task that may run on `affinity` with niceness `nice`.
    pub fn new(affinity: CpuSet, nice: i8) -> Self {
        Self {
            affinity: AtomicU64::new(affinity.bits()),
            cpu_time_ns: AtomicU64::new(0),
            last_ran_ns: AtomicU64::new(0),
            slice_left_ns: AtomicI32::new(slice_ns(nice) as i32),
            place: AtomicU32::new(0),
            nice: AtomicI8::new(nice),
        }
    }

    /// The CPUs the task may run on. Changed by [`Executor::set_affinity`](crate::Executor::set_affinity).
    #[inline]
    pub fn affinity(&self) -> CpuSet {
        CpuSet(self.affinity.load(Ordering::Relaxed))
    }

    /// The niceness.
    pub fn nice(&self) -> i8 {
        self.nice.load(Ordering::Relaxed)
    }

    /// Changes the niceness, from the next slice on.
    pub fn set_nice(&self, nice: i8) {
        self.nice.store(nice, Ordering::Relaxed);
    }

    /// CPU time used in all finished polls.
    pub fn cpu_time_ns(&self) -> u64 {
        self.cpu_time_ns.load(Ordering::Relaxed)
    }

    /// The CPU the task runs on or last ran on.
    pub fn last_cpu(&self) -> usize {
        (self.place.load(Ordering::Relaxed) & !RUNNING) as usize
    }

    /// Whether the task is being polled on `cpu`. Exact if asked by that CPU.
    pub(crate) fn runs_on(&self, cpu: usize) -> bool {
        self.place.load(Ordering::Relaxed) == cpu as u32 | RUNNING
    }

    pub(crate) fn store_affinity(&self, affinity: CpuSet) {
        self.affinity.store(affinity.bits(), Ordering::Relaxed);
    }

    /// Whether the slice is used up.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.slice_left_ns.load(Ordering::Relaxed) <= 0
    }

    #[inline]
    pub(crate) fn slice_left_ns(&self) -> u64 {
        u64::try_from(self.slice_left_ns.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// A whole new slice, whatever was before.
    #[inline]
    pub(crate) fn refill(&self) {
        self.slice_left_ns.store(slice_ns(self.nice()) as i32, Ordering::Relaxed);
    }

    /// A new slice for one that is used up, less what the old one was overrun by. Returns whether anything is left of it.
    #[inline]
    pub(crate) fn refill_less_debt(&self) -> bool {
        let left_ns = self.slice_left_ns.load(Ordering::Relaxed).min(0) + slice_ns(self.nice()) as i32;
        self.slice_left_ns.store(left_ns, Ordering::Relaxed);
        left_ns > 0
    }

    /// Whether the task has slept for at least a base slice at `now_ns`, which earns it a new slice.
    #[inline]
    pub(crate) fn has_rested(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.last_ran_ns.load(Ordering::Relaxed)) >= BASE_SLICE_NS
    }

    /// The task starts to run on `cpu`.
    #[inline]
    pub(crate) fn enter(&self, cpu: usize) {
        self.place.store(cpu as u32 | RUNNING, Ordering::Relaxed);
    }

    /// The task stops running on `cpu`, having been polled from `start_ns` to `end_ns`.
    #[inline]
    pub(crate) fn leave(&self, cpu: usize, start_ns: u64, end_ns: u64) {
        let ran_ns = end_ns.saturating_sub(start_ns);
        self.cpu_time_ns.store(self.cpu_time_ns.load(Ordering::Relaxed) + ran_ns, Ordering::Relaxed);
        let ran_ns = i32::try_from(ran_ns).unwrap_or(i32::MAX);
        let left_ns = self.slice_left_ns.load(Ordering::Relaxed).saturating_sub(ran_ns);
        self.slice_left_ns.store(left_ns.max(-MAX_DEBT_NS), Ordering::Relaxed);
        self.last_ran_ns.store(end_ns, Ordering::Relaxed);
        self.place.store(cpu as u32, Ordering::Relaxed);
    }
}

/// What a task carries: parameters, and hooks around each poll, run on the CPU that polls.
pub trait TaskContext: Send + Sync + 'static {
    /// The task's parameters.
    fn params(&self) -> &TaskParams;

    /// The task is about to be polled (a kernel loads its address space here).
    fn switch_in(&self, _now_ns: u64) {}

    /// The task has been polled.
    fn switch_out(&self, _now_ns: u64) {}
}

impl TaskContext for TaskParams {
    fn params(&self) -> &TaskParams {
        self
    }
}

impl<T: TaskContext> TaskContext for Arc<T> {
    #[inline]
    fn params(&self) -> &TaskParams {
        (**self).params()
    }

    #[inline]
    fn switch_in(&self, now_ns: u64) {
        (**self).switch_in(now_ns);
    }

    #[inline]
    fn switch_out(&self, now_ns: u64) {
        (**self).switch_out(now_ns);
    }
}
