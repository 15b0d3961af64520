//! Races of the executor and of what tasks sleep on, explored by `loom`:
//! `RUSTFLAGS="--cfg loom" cargo test -p runtime --release --test loom`. It takes seconds.
#![cfg(loom)]

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use runtime::{CpuSet, Executor, KeyedWaitTable, Mutex, Platform, TaskParams, WaitQueue, oneshot};

fn model(threads_preempted: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(threads_preempted);
    builder.check(test);
}

/// Takes one unit if there is one.
fn take(units: &AtomicUsize) -> Option<()> {
    units.fetch_update(Ordering::AcqRel, Ordering::Acquire, |units| units.checked_sub(1)).ok().map(|_| ())
}

#[test]
fn a_wait_queue_loses_no_wake() {
    model(3, || {
        let shared = Arc::new((AtomicBool::new(false), WaitQueue::new()));
        let notifier = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            notifier.0.store(true, Ordering::Relaxed);
            notifier.1.wake_one();
        });
        block_on(shared.1.wait_until(|| shared.0.load(Ordering::Relaxed).then_some(())));
        thread.join().expect("no panic");
        assert_eq!(shared.1.waiting(), 0);
    });
}

#[test]
fn two_waiters_share_two_units() {
    model(2, || {
        let shared = Arc::new((AtomicUsize::new(0), WaitQueue::new()));
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || block_on(shared.1.wait_until(|| take(&shared.0))))
            })
            .collect();
        for _ in 0..2 {
            shared.0.fetch_add(1, Ordering::Release);
            shared.1.wake_one();
        }
        waiters.into_iter().for_each(|waiter| waiter.join().expect("no panic"));
        assert_eq!(shared.1.waiting(), 0);
    });
}

#[test]
fn wake_all_reaches_everybody_who_waited() {
    model(2, || {
        let shared = Arc::new((AtomicBool::new(false), WaitQueue::new()));
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    block_on(shared.1.wait_until(|| shared.0.load(Ordering::Relaxed).then_some(())));
                })
            })
            .collect();
        shared.0.store(true, Ordering::Relaxed);
        shared.1.wake_all();
        waiters.into_iter().for_each(|waiter| waiter.join().expect("no panic"));
    });
}

#[test]
fn a_dropped_wait_unlinks_and_passes_its_wake_on() {
    model(2, || {
        let shared = Arc::new((AtomicUsize::new(0), WaitQueue::new()));
        let patient = Arc::clone(&shared);
        let patient = thread::spawn(move || block_on(patient.1.wait_until(|| take(&patient.0))));
        let impatient = Arc::clone(&shared);
        let impatient = thread::spawn(move || {
            // Polls once, then goes: it must take a wake that met it to the other.
            let mut wait = Box::pin(impatient.1.wait_until(|| None::<()>));
            let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            drop(wait);
        });
        shared.0.fetch_add(1, Ordering::Release);
        shared.1.wake_one();
        impatient.join().expect("no panic");
        patient.join().expect("no panic");
        assert_eq!(shared.1.waiting(), 0);
    });
}

#[test]
fn a_keyed_wait_is_woken_or_sees_the_change() {
    model(3, || {
        let shared = Arc::new((AtomicBool::new(false), KeyedWaitTable::<u64, ()>::new(1)));
        let waker = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            waker.0.store(true, Ordering::Relaxed);
            waker.1.wake(&1, 1, |()| true)
        });
        let check = || if shared.0.load(Ordering::Relaxed) { Err(()) } else { Ok(()) };
        let waited = block_on(shared.1.wait(1, (), check)).is_ok();
        let woken = thread.join().expect("no panic");
        assert_eq!(usize::from(waited), woken, "counted exactly");
    });
}

#[test]
fn a_keyed_wait_that_leaves_knows_whether_it_was_woken() {
    model(3, || {
        let table = Arc::new(KeyedWaitTable::<u64, ()>::new(2));
        let waker = Arc::clone(&table);
        let thread = thread::spawn(move || {
            let moved = waker.requeue(&1, &2, 0, 1, || Ok::<(), ()>(())).expect("the check succeeds").moved;
            (moved, waker.wake(&2, 1, |()| true))
        });
        let mut wait = pin!(table.wait(1, (), || Ok::<(), ()>(())));
        let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let met = wait.as_mut().leave();
        let (moved, woken) = thread.join().expect("no panic");
        assert_eq!(usize::from(met), woken);
        assert!(woken <= moved);
        assert_eq!(table.wake(&1, 1, |()| true) + table.wake(&2, 1, |()| true), 0);
    });
}

/// A table of one list in which `count` wait, so that the next to come makes it grow.
fn crowded(table: &KeyedWaitTable<u64, ()>, count: u64) -> Vec<Pin<Box<impl Future<Output = Result<(), ()>>>>> {
    let queue = |key| {
        let mut wait = Box::pin(table.wait(key, (), || Ok::<(), ()>(())));
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        wait
    };
    (100..100 + count).map(queue).collect()
}

#[test]
fn a_keyed_wake_finds_its_waiter_while_the_table_grows() {
    model(2, || {
        let shared = Arc::new((AtomicBool::new(false), KeyedWaitTable::<u64, ()>::new(1)));
        let waits = crowded(&shared.1, 1);
        let grower = Arc::clone(&shared);
        let grower = thread::spawn(move || {
            // Makes the table grow, and then brings the new list of key 1 into use.
            drop(crowded(&grower.1, 1));
            grower.1.wake(&1, 0, |()| true);
            grower.1.with_waiters(&1, |_| ());
        });
        let waker = Arc::clone(&shared);
        let waker = thread::spawn(move || {
            waker.0.store(true, Ordering::Relaxed);
            waker.1.wake(&1, 1, |()| true)
        });
        let check = || if shared.0.load(Ordering::Relaxed) { Err(()) } else { Ok(()) };
        let waited = block_on(shared.1.wait(1, (), check)).is_ok();
        grower.join().expect("no panic");
        assert_eq!(usize::from(waited), waker.join().expect("no panic"), "counted exactly");
        drop(waits);
    });
}

#[test]
fn a_keyed_wait_leaves_while_the_table_grows() {
    model(2, || {
        let table = Arc::new(KeyedWaitTable::<u64, ()>::new(1));
        let waits = crowded(&table, 1);
        let grower = Arc::clone(&table);
        let grower = thread::spawn(move || {
            drop(crowded(&grower, 1));
            grower.with_waiters(&1, |_| ());
        });
        let mut wait = pin!(table.wait(1, (), || Ok::<(), ()>(())));
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(!wait.as_mut().leave());
        grower.join().expect("no panic");
        drop(waits);
        assert_eq!(table.wake(&1, 1, |()| true), 0);
    });
}

#[test]
fn the_mutex_excludes_and_hands_over() {
    model(2, || {
        let mutex = Arc::new(Mutex::new(0));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let mutex = Arc::clone(&mutex);
                thread::spawn(move || *block_on(mutex.lock()) += 1)
            })
            .collect();
        *block_on(mutex.lock()) += 1;
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        assert_eq!(*mutex.try_lock().expect("free"), 3);
    });
}

#[test]
fn a_dropped_lock_future_hands_the_mutex_on() {
    model(2, || {
        let mutex = Arc::new(Mutex::new(()));
        let holder = Arc::clone(&mutex);
        let holder = thread::spawn(move || drop(block_on(holder.lock())));
        let mut lock = Box::pin(mutex.lock());
        let polled = lock.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(polled);
        drop(lock);
        holder.join().expect("no panic");
        assert!(mutex.try_lock().is_some());
    });
}

#[test]
fn oneshot_delivers_or_tells() {
    model(3, || {
        let (sender, receiver) = oneshot::channel();
        let thread = thread::spawn(move || sender.send(1));
        assert_eq!(block_on(receiver), Ok(1));
        assert_eq!(thread.join().expect("no panic"), Ok(()));
    });
    model(3, || {
        let (sender, receiver) = oneshot::channel::<()>();
        let thread = thread::spawn(move || drop(sender));
        assert!(block_on(receiver).is_err());
        thread.join().expect("no panic");
    });
}

// The executor: each model thread is a CPU.

/// A machine whose idle is a flag: a kick sets it, idling takes it.
struct Machine {
    kicked: [Kicked; 2],
    cpu_of: loom::sync::Mutex<Vec<(thread::ThreadId, usize)>>,
}

/// A pending interrupt, which idling waits for.
struct Kicked {
    pending: loom::sync::Mutex<bool>,
    arrived: loom::sync::Condvar,
}

impl Machine {
    fn new() -> Self {
        let kicked = || Kicked { pending: loom::sync::Mutex::new(false), arrived: loom::sync::Condvar::new() };
        Self { kicked: [kicked(), kicked()], cpu_of: loom::sync::Mutex::new(Vec::new()) }
    }
}

impl Platform for Machine {
    type Context = TaskParams;

    fn cpu(&self) -> usize {
        let this = thread::current().id();
        let cpus = self.cpu_of.lock().expect("no panic");
        cpus.iter().find(|(thread, _)| *thread == this).map_or(0, |(_, cpu)| *cpu)
    }

    fn now_ns(&self) -> u64 {
        0
    }

    fn kick(&self, cpu: usize) {
        *self.kicked[cpu].pending.lock().expect("no panic") = true;
        self.kicked[cpu].arrived.notify_one();
    }

    fn idle(&self) {
        let kicked = &self.kicked[self.cpu()];
        let mut pending = kicked.pending.lock().expect("no panic");
        while !*pending {
            pending = kicked.arrived.wait(pending).expect("no panic");
        }
        *pending = false;
    }

    fn set_alarm(&self, _deadline_ns: Option<u64>) {}
}

/// Runs CPU `cpu` until `done`.
fn run_cpu(executor: &'static Executor<Machine>, cpu: usize, done: &AtomicUsize, tasks: usize) {
    while done.load(Ordering::Acquire) < tasks {
        if !executor.run_one(cpu) {
            executor.run_idle(cpu);
        }
    }
    // The other one may idle.
    executor.platform().kick(1 - cpu);
}

fn executor() -> &'static Executor<Machine> {
    let executor: &'static _ = Box::leak(Box::new(Executor::new(Machine::new(), 2)));
    executor.bring_up(0);
    executor.bring_up(1);
    executor
}

fn register(executor: &Executor<Machine>, cpu: usize) {
    executor.platform().cpu_of.lock().expect("no panic").push((thread::current().id(), cpu));
}

/// A future that counts its polls, and asserts that none runs beside another.
struct Alone<F> {
    future: F,
    inside: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl<F: Future + Unpin> Future for Alone<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        assert!(!self.inside.swap(true, std::sync::atomic::Ordering::SeqCst), "polled on two CPUs at once");
        let polled = Pin::new(&mut self.future).poll(cx);
        self.inside.store(false, std::sync::atomic::Ordering::SeqCst);
        polled
    }
}

fn alone<F: Future + Send + 'static>(future: F) -> Alone<Pin<Box<dyn Future<Output = F::Output> + Send>>> {
    Alone { future: Box::pin(future), inside: Default::default() }
}

#[test]
fn two_cpus_run_every_task_once() {
    model(2, || {
        let executor = executor();
        register(executor, 0);
        let done = Arc::new(AtomicUsize::new(0));
        let other = Arc::clone(&done);
        for _ in 0..2 {
            let done = Arc::clone(&done);
            drop(executor.spawn(
                TaskParams::default(),
                alone(async move {
                    runtime::yield_now().await;
                    done.fetch_add(1, Ordering::AcqRel);
                }),
            ));
        }
        let thread = thread::spawn(move || {
            register(executor, 1);
            run_cpu(executor, 1, &other, 2);
        });
        run_cpu(executor, 0, &done, 2);
        thread.join().expect("no panic");
        assert_eq!(done.load(Ordering::Acquire), 2);
    });
}

#[test]
fn a_wake_from_another_cpu_meets_an_idle_one() {
    model(2, || {
        let executor = executor();
        register(executor, 0);
        let done = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = oneshot::channel();
        let finished = Arc::clone(&done);
        drop(executor.spawn(
            TaskParams::new(CpuSet::single(1), 0),
            alone(async move {
                assert_eq!(receiver.await, Ok(1));
                finished.fetch_add(1, Ordering::AcqRel);
            }),
        ));
        let finished = Arc::clone(&done);
        drop(executor.spawn(
            TaskParams::new(CpuSet::single(0), 0),
            alone(async move {
                assert_eq!(sender.send(1), Ok(()));
                finished.fetch_add(1, Ordering::AcqRel);
            }),
        ));
        let other = Arc::clone(&done);
        let thread = thread::spawn(move || {
            register(executor, 1);
            run_cpu(executor, 1, &other, 2);
        });
        run_cpu(executor, 0, &done, 2);
        thread.join().expect("no panic");
    });
}

#[test]
fn surplus_work_finds_a_cpu_that_is_going_idle() {
    model(3, || {
        let executor = executor();
        register(executor, 0);
        let done = Arc::new(AtomicUsize::new(0));
        let ran = Arc::new(Kicked { pending: loom::sync::Mutex::new(false), arrived: loom::sync::Condvar::new() });
        let (finished, child_ran) = (Arc::clone(&done), Arc::clone(&ran));
        drop(executor.spawn(
            TaskParams::default(),
            alone(async move {
                let finished_child = Arc::clone(&finished);
                let seen = Arc::clone(&child_ran);
                drop(executor.spawn(
                    TaskParams::new(CpuSet::ALL, 0),
                    alone(async move {
                        *seen.pending.lock().expect("no panic") = true;
                        seen.arrived.notify_one();
                        finished_child.fetch_add(1, Ordering::AcqRel);
                    }),
                ));
                // Keeps this CPU until the child has run on the other.
                let mut pending = child_ran.pending.lock().expect("no panic");
                while !*pending {
                    pending = child_ran.arrived.wait(pending).expect("no panic");
                }
                drop(pending);
                finished.fetch_add(1, Ordering::AcqRel);
            }),
        ));
        // The parent is started before the other CPU, which finds nothing but the child.
        let other = Arc::clone(&done);
        let thread = thread::spawn(move || {
            register(executor, 1);
            run_cpu(executor, 1, &other, 2);
        });
        run_cpu(executor, 0, &done, 2);
        thread.join().expect("no panic");
    });
}
