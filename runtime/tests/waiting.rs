//! Wait queues, keyed waits, the mutex, oneshot and deadlines.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use runtime::sim::{self, Simulator};
use runtime::{Either, Elapsed, KeyedWaitTable, Mutex, Requeued, WaitQueue, oneshot, race, yield_now};

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counting() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count), Waker::from(count))
}

#[test]
fn a_wake_before_the_wait_is_not_needed_if_the_predicate_holds() {
    let queue = WaitQueue::new();
    let wait = pin!(queue.wait_until(|| Some(5)));
    assert_eq!(wait.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(5));
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn wakes_go_to_the_longest_waiting_and_a_dropped_wait_leaves() {
    let queue = WaitQueue::new();
    let (first, first_waker) = counting();
    let (second, second_waker) = counting();
    let mut dropped = Box::pin(queue.wait_until(|| None::<()>));
    let mut one = Box::pin(queue.wait_until(|| None::<()>));
    let mut two = Box::pin(queue.wait_until(|| None::<()>));
    assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(one.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
    assert!(two.as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());
    assert_eq!(queue.waiting(), 3);
    drop(dropped);
    assert_eq!(queue.waiting(), 2);
    assert!(queue.wake_one());
    assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (1, 0));
    // The one chosen goes away without having used the wake: the next gets it.
    drop(one);
    assert_eq!(second.0.load(Ordering::Relaxed), 1);
    drop(two);
    assert!(!queue.wake_one());
}

#[test]
fn wake_all_wakes_more_than_a_batch() {
    let queue = WaitQueue::new();
    let (count, waker) = counting();
    let mut waits: Vec<_> = (0..100).map(|_| Box::pin(queue.wait_until(|| None::<()>))).collect();
    for wait in &mut waits {
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(queue.wake_n(20), 20);
    assert_eq!(queue.wake_all(), 80);
    assert_eq!(count.0.load(Ordering::Relaxed), 100);
    drop(waits);
    assert_eq!(count.0.load(Ordering::Relaxed), 100);
}

#[test]
fn a_bounded_buffer_loses_nothing_on_any_schedule() {
    sim::explore(0..200, 3, |simulator| {
        let (level, got) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (space, items) = (Arc::new(WaitQueue::new()), Arc::new(WaitQueue::new()));
        for _ in 0..3 {
            let (filled, room, filled_up) = (Arc::clone(&level), Arc::clone(&space), Arc::clone(&items));
            drop(simulator.spawn("producer", async move {
                for _ in 0..20 {
                    room.wait_until(|| step(&filled, |level| (level < 4).then_some(level + 1))).await;
                    filled_up.wake_one();
                }
            }));
            let (level, space, items, got) =
                (Arc::clone(&level), Arc::clone(&space), Arc::clone(&items), Arc::clone(&got));
            drop(simulator.spawn("consumer", async move {
                for _ in 0..20 {
                    items.wait_until(|| step(&level, |level| level.checked_sub(1))).await;
                    space.wake_one();
                    got.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        move || assert_eq!(got.load(Ordering::Relaxed), 60)
    });
}

fn step(level: &AtomicU64, change: impl FnMut(u64) -> Option<u64>) -> Option<()> {
    level.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change).ok().map(|_| ())
}

#[test]
fn interrupted_waits_pass_their_wake_on() {
    sim::explore(0..300, 2, |simulator| {
        let handle = simulator.handle();
        let (units, queue) = (Arc::new(AtomicU64::new(0)), Arc::new(WaitQueue::new()));
        for patience_ns in [500, 1500, 3000] {
            let (units, queue) = (Arc::clone(&units), Arc::clone(&queue));
            drop(simulator.spawn("impatient", async move {
                let wait = queue.wait_until(|| step(&units, |units| units.checked_sub(1)));
                if let Either::First(()) = race(wait, handle.sleep(patience_ns)).await {
                    units.fetch_add(1, Ordering::SeqCst);
                    queue.wake_one();
                }
            }));
        }
        let (taken, waits) = (Arc::clone(&units), Arc::clone(&queue));
        drop(simulator.spawn("patient", async move {
            waits.wait_until(|| step(&taken, |units| units.checked_sub(1))).await;
        }));
        drop(simulator.spawn("giver", async move {
            handle.sleep(1000).await;
            units.fetch_add(1, Ordering::SeqCst);
            queue.wake_one();
        }));
        || {}
    });
}

/// A wait under `key` with `data`, queued.
macro_rules! queued {
    ($table:expr, $key:expr, $data:expr) => {{
        let mut wait = Box::pin($table.wait($key, $data, || Ok::<(), ()>(())));
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        wait
    }};
}

#[test]
fn keyed_wakes_are_counted_exactly_and_respect_key_and_choice() {
    let table = KeyedWaitTable::<u64, u32>::new(1);
    let mut waits: Vec<_> = (0..40).map(|index| queued!(table, 1, index)).collect();
    let other = queued!(table, 2, 0);
    assert_eq!(table.wake(&3, 10, |_| true), 0);
    assert_eq!(table.wake(&1, 2, |data| *data >= 10), 2);
    let woken: Vec<_> = waits.iter_mut().filter_map(|wait| wait.as_mut().parts().map(|(_, data)| *data)).collect();
    assert_eq!(woken, [10, 11]);
    assert_eq!(table.wake(&1, usize::MAX, |_| true), 38);
    assert_eq!(table.wake(&2, usize::MAX, |_| true), 1);
    drop(other);
}

#[test]
fn a_failed_check_queues_nothing() {
    let table = KeyedWaitTable::<u64, ()>::new(4);
    let mut wait = Box::pin(table.wait(1, (), || Err("changed")));
    assert_eq!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err("changed")));
    assert_eq!(table.wake(&1, 1, |_| true), 0);
}

#[test]
fn a_wake_beats_a_timeout_in_the_same_moment() {
    let table = KeyedWaitTable::<u64, ()>::new(4);
    let mut met = queued!(table, 1, ());
    let mut missed = queued!(table, 1, ());
    assert_eq!(table.wake(&1, 1, |_| true), 1);
    assert!(met.as_mut().leave());
    assert!(!missed.as_mut().leave());
    assert_eq!(table.wake(&1, 1, |_| true), 0);
}

#[test]
fn requeue_wakes_some_and_moves_some() {
    for lists in [1, 2, 64] {
        let table = KeyedWaitTable::<u64, u32>::new(lists);
        let mut waits: Vec<_> = (0..50).map(|index| queued!(table, 1, index)).collect();
        assert_eq!(table.requeue(&1, &2, 20, 25, || Err("changed")), Err("changed"));
        let done = table.requeue(&1, &2, 20, 25, || Ok::<(), ()>(()));
        assert_eq!(done, Ok(Requeued { woken: 20, moved: 25 }));
        assert_eq!(table.wake(&1, usize::MAX, |_| true), 5);
        drop(waits.swap_remove(30));
        assert_eq!(table.wake(&2, 3, |_| true), 3);
        assert_eq!(table.with_waiters(&2, |waiting| waiting.count()), 21);
        assert_eq!(table.with_waiters(&2, |waiting| waiting.wake_first(|data| *data)), Some(23));
        drop(waits);
        assert_eq!(table.wake(&2, usize::MAX, |_| true), 0);
    }
}

#[test]
fn a_table_that_grows_keeps_every_waiter_and_its_place() {
    let table = KeyedWaitTable::<u64, u64>::new(1);
    let mut waits = Vec::new();
    for key in 0..20_000 {
        for data in 0..1 + u64::from(key % 100 == 0) {
            waits.push((key, queued!(table, key, data)));
        }
    }
    // Some go, some move, all others are there, the first to come first.
    waits.retain(|(key, _)| key % 3 != 0);
    assert_eq!(table.wake(&3, 1, |_| true), 0);
    assert_eq!(table.requeue(&100, &200, 0, 9, || Ok::<(), ()>(())), Ok(Requeued { woken: 0, moved: 2 }));
    let mut order = Vec::new();
    while let Some(data) = table.with_waiters(&200, |waiting| waiting.wake_first(|data| *data)) {
        order.push(data);
    }
    assert_eq!(order, [0, 1, 0, 1]);
    for key in (0..20_000).filter(|key| ![100, 200].contains(key)) {
        let expected = if key % 3 == 0 { 0 } else { 1 + usize::from(key % 100 == 0) };
        assert_eq!(table.wake(&key, 9, |_| true), expected, "key {key}");
    }
    drop(waits);
}

#[test]
fn many_waiters_of_one_key_wake_in_order() {
    let table = KeyedWaitTable::<u64, u64>::new(1);
    let mut waits: Vec<_> = (0..1000).map(|index| queued!(table, 7, index)).collect();
    for index in 0..1000 {
        assert_eq!(table.wake(&7, 1, |data| *data == index), 1);
        assert!(waits[index as usize].as_mut().leave());
    }
}

#[test]
fn requeue_and_timeouts_lose_no_wake_on_any_schedule() {
    sim::explore(0..200, 3, |simulator| {
        let handle = simulator.handle();
        let table = Arc::new(KeyedWaitTable::<u64, ()>::new(8));
        let (woken, counted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for index in 0..6 {
            let (table, woken) = (Arc::clone(&table), Arc::clone(&woken));
            drop(simulator.spawn("waiter", async move {
                let mut wait = pin!(table.wait(1, (), || Ok::<(), ()>(())));
                let deadline_ns = 3000 + index * 1000;
                let met = match handle.executor().timeout_at(deadline_ns, wait.as_mut()).await {
                    Ok(result) => result.is_ok(),
                    Err(Elapsed) => wait.as_mut().leave(),
                };
                woken.fetch_add(usize::from(met), Ordering::Relaxed);
            }));
        }
        let total = Arc::clone(&counted);
        drop(simulator.spawn("waker", async move {
            for _ in 0..8 {
                let done = table.requeue(&1, &2, 1, 1, || Ok::<(), ()>(())).expect("the check succeeds");
                total.fetch_add(done.woken, Ordering::Relaxed);
                yield_now().await;
                total.fetch_add(table.wake(&2, 1, |()| true), Ordering::Relaxed);
                handle.sleep(700).await;
            }
        }));
        move || assert_eq!(woken.load(Ordering::Relaxed), counted.load(Ordering::Relaxed))
    });
}

#[test]
fn the_mutex_excludes_and_serves_in_order() {
    let mut simulator = Simulator::orderly(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    for index in 0..4 {
        let order = Arc::clone(&order);
        drop(simulator.spawn("locker", async move {
            let mut order = order.lock().await;
            yield_now().await;
            order.push(index);
        }));
    }
    simulator.run().expect("all end");
    assert_eq!(*order.try_lock().expect("nobody holds it"), [0, 1, 2, 3]);
}

#[test]
fn the_mutex_survives_waiters_that_give_up() {
    sim::explore(0..300, 3, |simulator| {
        let handle = simulator.handle();
        let (mutex, inside) = (Arc::new(Mutex::new(0_u32)), Arc::new(AtomicUsize::new(0)));
        for index in 0..8 {
            let (mutex, inside) = (Arc::clone(&mutex), Arc::clone(&inside));
            drop(simulator.spawn("locker", async move {
                for _ in 0..5 {
                    let patience = handle.sleep(if index % 2 == 0 { 2000 } else { 1_000_000_000 });
                    let Either::First(mut guard) = race(mutex.lock(), patience).await else { continue };
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "alone inside");
                    yield_now().await;
                    *guard += 1;
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            }));
        }
        move || assert!(*mutex.try_lock().expect("free again") >= 20)
    });
}

#[test]
fn oneshot_tells_of_a_sender_that_goes() {
    let mut simulator = Simulator::orderly(2);
    let (sender, receiver) = oneshot::channel::<()>();
    drop(simulator.spawn("receiver", async move { assert_eq!(receiver.await, Err(oneshot::Closed)) }));
    drop(simulator.spawn("sender", async move { drop(sender) }));
    let (sender, receiver) = oneshot::channel();
    drop(receiver);
    assert_eq!(sender.send(1), Err(1));
    simulator.run().expect("all end");
}

#[test]
fn sleeps_end_in_order_and_on_time() {
    let mut simulator = Simulator::orderly(1);
    let handle = simulator.handle();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    for delay in [30, 10, 20, 40, 10] {
        let order = Arc::clone(&order);
        drop(simulator.spawn("sleeper", async move {
            let due_ns = delay * 1_000_000;
            handle.executor().sleep_until(due_ns).await;
            let late_ns = handle.now_ns() - due_ns;
            assert!(late_ns <= 2000, "{late_ns} ns late");
            order.lock().expect("no panics").push(delay);
        }));
    }
    simulator.run().expect("all end");
    assert_eq!(*order.lock().expect("no panics"), [10, 10, 20, 30, 40]);
}

#[test]
fn cancelled_timers_leave_the_heap_in_order() {
    sim::explore(0..100, 2, |simulator| {
        let handle = simulator.handle();
        for task in 0..40_u64 {
            drop(simulator.spawn("sleeper", async move {
                for round in 0..5 {
                    let wanted_ns = (task * 7919 + round * 104_729) % 50_000;
                    let due_ns = handle.now_ns() + wanted_ns;
                    if task % 3 == 0 {
                        let result = handle.executor().timeout_at(due_ns / 2, handle.sleep(wanted_ns)).await;
                        assert!(result == Ok(()) || handle.now_ns() >= due_ns / 2);
                    } else {
                        handle.sleep(wanted_ns).await;
                        assert!(handle.now_ns() >= due_ns, "woken early");
                    }
                }
            }));
        }
        || {}
    });
}

#[test]
fn a_timeout_that_does_not_come_costs_no_time() {
    let mut simulator = Simulator::orderly(1);
    let handle = simulator.handle();
    drop(simulator.spawn("quick", async move {
        assert_eq!(handle.executor().timeout_at(u64::MAX, async { 1 }).await, Ok(1));
        assert_eq!(handle.executor().timeout_at(1_000_000_000, handle.sleep(10)).await, Ok(()));
        assert_eq!(
            handle.executor().timeout_at(handle.now_ns() + 10, std::future::pending::<()>()).await,
            Err(Elapsed)
        );
    }));
    let report = simulator.run().expect("all end");
    assert!(report.now_ns < 100_000, "{report:?}");
}
