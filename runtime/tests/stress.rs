//! The executor on real threads, each playing a CPU: what neither the simulator nor `loom` can reach.
#![cfg(not(loom))]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use runtime::{CpuSet, Elapsed, Executor, KeyedWaitTable, Platform, TaskParams, WaitQueue, yield_now};

const CPUS: usize = 4;

std::thread_local! {
    static CPU: Cell<usize> = const { Cell::new(0) };
}

/// A pending interrupt and the alarm of a CPU.
#[derive(Default)]
struct Cpu {
    kicked: Mutex<bool>,
    arrived: Condvar,
    alarm_ns: AtomicU64,
}

struct Machine {
    start: Instant,
    cpus: [Cpu; CPUS],
}

impl Machine {
    /// Handles the alarm, as an interrupt in user mode or while idle would.
    fn interrupts(&self, executor: &'static Executor<Machine>) {
        let alarm_ns = &self.cpus[self.cpu()].alarm_ns;
        let due_ns = alarm_ns.load(Ordering::Relaxed);
        if due_ns != 0 && due_ns <= self.now_ns() {
            alarm_ns.store(0, Ordering::Relaxed);
            executor.on_alarm(self.cpu());
        }
    }
}

impl Platform for Machine {
    type Context = Arc<TaskParams>;

    fn cpu(&self) -> usize {
        CPU.get()
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn kick(&self, cpu: usize) {
        *self.cpus[cpu].kicked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.cpus[cpu].arrived.notify_one();
    }

    fn idle(&self) {
        let cpu = &self.cpus[self.cpu()];
        let due_ns = cpu.alarm_ns.load(Ordering::Relaxed);
        // At most a while, since the test's end comes without a kick.
        let limit_ns = 20_000_000;
        let wait_ns = if due_ns == 0 { limit_ns } else { due_ns.saturating_sub(self.now_ns()).min(limit_ns) };
        let kicked = cpu.kicked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = cpu.arrived.wait_timeout_while(kicked, Duration::from_nanos(wait_ns), |kicked| !*kicked);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }

    fn set_alarm(&self, deadline_ns: Option<u64>) {
        self.cpus[self.cpu()].alarm_ns.store(deadline_ns.unwrap_or(0).max(1), Ordering::Relaxed);
    }
}

/// Runs all CPUs until `left` is 0.
fn run(executor: &'static Executor<Machine>, left: &'static AtomicUsize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    std::thread::scope(|scope| {
        for cpu in 0..CPUS {
            scope.spawn(move || {
                CPU.set(cpu);
                while left.load(Ordering::Acquire) > 0 {
                    executor.platform().interrupts(executor);
                    if !executor.run_one(cpu) {
                        executor.run_idle(cpu);
                    }
                    assert!(Instant::now() < deadline, "{} tasks hang", left.load(Ordering::Relaxed));
                }
            });
        }
    });
}

#[test]
fn storms_of_wakes_timeouts_moves_and_spawns_leave_nobody_behind() {
    let machine = Machine { start: Instant::now(), cpus: Default::default() };
    let executor: &'static Executor<Machine> = Box::leak(Box::new(Executor::new(machine, CPUS)));
    (0..CPUS).for_each(|cpu| executor.bring_up(cpu));
    let left: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    let table: &'static KeyedWaitTable<usize, ()> = Box::leak(Box::new(KeyedWaitTable::new(4)));
    let units: &'static (AtomicUsize, WaitQueue) = Box::leak(Box::new((AtomicUsize::new(0), WaitQueue::new())));
    let counted: &'static (AtomicUsize, AtomicUsize) = Box::leak(Box::default());
    let take = || units.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).ok();

    const TASKS: usize = 64;
    const ROUNDS: usize = 300;
    left.store(TASKS * 2, Ordering::Relaxed);
    for task in 0..TASKS {
        let params = Arc::new(TaskParams::new(CpuSet::ALL, 0));
        let own = Arc::clone(&params);
        drop(executor.spawn(params, async move {
            for round in 0..ROUNDS {
                let key = (task + round) % 8;
                let mut wait = Box::pin(table.wait(key, (), || Ok::<(), ()>(())));
                let deadline_ns = executor.platform().now_ns() + 20_000;
                let met = match executor.timeout_at(deadline_ns, wait.as_mut()).await {
                    Ok(result) => result.is_ok(),
                    Err(Elapsed) => wait.as_mut().leave(),
                };
                counted.0.fetch_add(usize::from(met), Ordering::Relaxed);
                units.1.wait_until(take).await;
                if round % 16 == task % 16 {
                    executor.set_affinity(&own, CpuSet::from_bits(1 + (round as u64 % 15)));
                }
            }
            left.fetch_sub(1, Ordering::AcqRel);
        }));
        drop(executor.spawn(Arc::default(), async move {
            for round in 0..ROUNDS {
                units.0.fetch_add(1, Ordering::SeqCst);
                units.1.wake_one();
                let (key, other) = ((task * 3 + round) % 8, (task + round * 5) % 8);
                let done = table.requeue(&key, &other, 1, 1, || Ok::<(), ()>(())).expect("the check succeeds");
                counted.1.fetch_add(done.woken + table.wake(&other, 2, |()| true), Ordering::Relaxed);
                if executor.need_resched(executor.platform().cpu()) || round % 3 == 0 {
                    yield_now().await;
                }
                if round % 50 == 0 {
                    executor.spawn(Arc::default(), yield_now()).await;
                }
            }
            left.fetch_sub(1, Ordering::AcqRel);
        }));
    }
    run(executor, left);
    assert_eq!(counted.0.load(Ordering::Relaxed), counted.1.load(Ordering::Relaxed), "each wake met one wait");
    assert_eq!((units.0.load(Ordering::Relaxed), units.1.waiting()), (0, 0));
}
