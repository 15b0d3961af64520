//! The executor's order, hand-offs, stealing, affinity and fairness, as the simulator shows them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use runtime::sim::{self, Event, Simulator};
use runtime::{CpuSet, WaitQueue, oneshot, yield_now};

#[test]
fn tasks_run_in_the_order_they_were_spawned() {
    let mut simulator = Simulator::orderly(1);
    for name in ["a", "b", "c"] {
        drop(simulator.spawn(name, yield_now()));
    }
    simulator.run().expect("all end");
    assert_eq!(simulator.polls(), ["0:a", "0:b", "0:c", "0:a", "0:b", "0:c"]);
}

#[test]
fn a_woken_task_runs_right_after_its_waker() {
    let mut simulator = Simulator::orderly(1);
    let (sender, receiver) = oneshot::channel();
    drop(simulator.spawn("sleeper", async move { assert_eq!(receiver.await, Ok(7)) }));
    drop(simulator.spawn("waker", async move { assert_eq!(sender.send(7), Ok(())) }));
    drop(simulator.spawn("other", async {}));
    simulator.run().expect("all end");
    assert_eq!(simulator.polls(), ["0:sleeper", "0:waker", "0:sleeper", "0:other"]);
}

#[test]
fn a_pair_that_wakes_each_other_does_not_starve_a_third() {
    let mut simulator = Simulator::orderly(1);
    let stop = Arc::new(AtomicBool::new(false));
    let turns = Arc::new(AtomicU64::new(0));
    let queue = Arc::new(WaitQueue::new());
    for parity in 0..2 {
        let (stop, turns, queue) = (Arc::clone(&stop), Arc::clone(&turns), Arc::clone(&queue));
        drop(simulator.spawn("pair", async move {
            while !stop.load(Ordering::Relaxed) {
                let mine = || (turns.load(Ordering::Relaxed) % 2 == parity).then_some(());
                queue.wait_until(|| mine().or(stop.load(Ordering::Relaxed).then_some(()))).await;
                turns.fetch_add(1, Ordering::Relaxed);
                queue.wake_all();
            }
        }));
    }
    let handle = simulator.handle();
    drop(simulator.spawn("third", async move {
        handle.work(10_000_000).await;
        stop.store(true, Ordering::Relaxed);
        queue.wake_all();
    }));
    let report = simulator.run().expect("all end");
    assert!(report.now_ns < 40_000_000, "the third got its share: {report:?}");
}

#[test]
fn a_ring_of_hand_overs_does_not_starve_other_woken_tasks() {
    let mut simulator = Simulator::orderly(1);
    let handle = simulator.handle();
    const MEMBERS: u64 = 50;
    let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let queues: Arc<Vec<_>> = Arc::new((0..MEMBERS).map(|_| WaitQueue::new()).collect());
    for member in 0..MEMBERS {
        let (stop, turns, queues) = (Arc::clone(&stop), Arc::clone(&turns), Arc::clone(&queues));
        drop(simulator.spawn("ring", async move {
            while !stop.load(Ordering::Relaxed) {
                let mine = || turns.load(Ordering::Relaxed) % MEMBERS == member || stop.load(Ordering::Relaxed);
                queues[member as usize].wait_until(|| mine().then_some(())).await;
                let next = turns.fetch_add(1, Ordering::Relaxed) + 1;
                queues[(next % MEMBERS) as usize].wake_one();
            }
        }));
    }
    let worst_ns = Arc::new(AtomicU64::new(0));
    let worst = Arc::clone(&worst_ns);
    drop(simulator.spawn("sleeper", async move {
        for _ in 0..20 {
            let due_ns = handle.now_ns() + 3_300_000;
            handle.sleep(3_300_000).await;
            worst.fetch_max(handle.now_ns() - due_ns, Ordering::Relaxed);
        }
        stop.store(true, Ordering::Relaxed);
        for queue in queues.iter() {
            queue.wake_all();
        }
    }));
    simulator.run().expect("all end");
    let worst_ns = worst_ns.load(Ordering::Relaxed);
    assert!(worst_ns <= 2 * runtime::BASE_SLICE_NS, "{worst_ns} ns late");
}

#[test]
fn equal_hogs_on_a_cpu_get_equal_shares() {
    let mut simulator = Simulator::orderly(1);
    let handle = simulator.handle();
    let all: Vec<_> = (0..7).map(|_| sim::params(CpuSet::ALL, 0)).collect();
    for params in &all {
        drop(handle.spawn_with("hog", Arc::clone(params), handle.work(10_000_000_000)));
    }
    simulator.run_until(7_000_000_000);
    for params in &all {
        let share_ms = params.cpu_time_ns() / 1_000_000;
        assert!((950..=1050).contains(&share_ms), "{share_ms} ms of 1000");
    }
}

#[test]
fn three_hogs_on_two_cpus_get_equal_shares() {
    for seed in 0..5 {
        let mut simulator = Simulator::new(seed, 2);
        let handle = simulator.handle();
        let all: Vec<_> = (0..3).map(|_| sim::params(CpuSet::ALL, 0)).collect();
        for params in &all {
            drop(handle.spawn_with("hog", Arc::clone(params), handle.work(10_000_000_000)));
        }
        simulator.run_until(3_000_000_000);
        for params in &all {
            let share_ms = params.cpu_time_ns() / 1_000_000;
            assert!((1700..=2300).contains(&share_ms), "seed {seed}: {share_ms} ms of 2000");
        }
    }
}

#[test]
fn niceness_shifts_the_shares() {
    let mut simulator = Simulator::orderly(1);
    let handle = simulator.handle();
    let (normal, nice) = (sim::params(CpuSet::ALL, 0), sim::params(CpuSet::ALL, 5));
    for params in [&normal, &nice] {
        drop(handle.spawn_with("hog", Arc::clone(params), handle.work(10_000_000_000)));
    }
    simulator.run_until(3_000_000_000);
    let ratio = normal.cpu_time_ns() as f64 / nice.cpu_time_ns() as f64;
    assert!((2.5..3.5).contains(&ratio), "Linux's weights give 1024/335 = 3.06, not {ratio}");
}

#[test]
fn niceness_shifts_the_shares_even_if_alarms_come_late() {
    let mut simulator = Simulator::orderly(1);
    let handle = simulator.handle();
    let (normal, nice) = (sim::params(CpuSet::ALL, 0), sim::params(CpuSet::ALL, 10));
    for params in [&normal, &nice] {
        drop(handle.spawn_with("hog", Arc::clone(params), handle.work_in_chunks(10_000_000_000, 1_500_000)));
    }
    simulator.run_until(3_000_000_000);
    let ratio = normal.cpu_time_ns() as f64 / nice.cpu_time_ns() as f64;
    assert!((7.5..11.0).contains(&ratio), "Linux's weights give 1024/110 = 9.3, not {ratio}");
}

#[test]
fn a_woken_task_waits_at_most_a_slice_for_a_spinner() {
    let mut simulator = Simulator::orderly(1);
    let handle = simulator.handle();
    drop(simulator.spawn("spinner", handle.work(200_000_000)));
    let worst_ns = Arc::new(AtomicU64::new(0));
    let worst = Arc::clone(&worst_ns);
    drop(simulator.spawn("sleeper", async move {
        for _ in 0..20 {
            let due_ns = handle.now_ns() + 3_300_000;
            handle.sleep(3_300_000).await;
            worst.fetch_max(handle.now_ns() - due_ns, Ordering::Relaxed);
        }
    }));
    simulator.run().expect("all end");
    let worst_ns = worst_ns.load(Ordering::Relaxed);
    assert!(worst_ns <= runtime::BASE_SLICE_NS + 100_000, "{worst_ns} ns late");
}

#[test]
fn many_spinners_do_not_delay_a_sleeper_by_more_than_a_slice() {
    let mut simulator = Simulator::orderly(1);
    let handle = simulator.handle();
    for _ in 0..8 {
        drop(simulator.spawn("spinner", handle.work(100_000_000)));
    }
    let worst_ns = Arc::new(AtomicU64::new(0));
    let worst = Arc::clone(&worst_ns);
    drop(simulator.spawn("sleeper", async move {
        for _ in 0..50 {
            let due_ns = handle.now_ns() + 5_000_000;
            handle.sleep(5_000_000).await;
            worst.fetch_max(handle.now_ns() - due_ns, Ordering::Relaxed);
        }
    }));
    simulator.run().expect("all end");
    let worst_ns = worst_ns.load(Ordering::Relaxed);
    assert!(worst_ns <= runtime::BASE_SLICE_NS + 100_000, "{worst_ns} ns late");
}

#[test]
fn a_lone_hog_is_not_interrupted() {
    let mut simulator = Simulator::orderly(1);
    let handle = simulator.handle();
    drop(simulator.spawn("hog", async move {
        for _ in 0..100 {
            assert!(!handle.executor().need_resched(0), "nobody waits");
            handle.work(100_000).await;
        }
    }));
    simulator.run().expect("all end");
    assert_eq!(simulator.handle().executor().stats(0).stolen, 0);
}

#[test]
fn an_idle_cpu_takes_half_of_the_surplus() {
    let mut simulator = Simulator::orderly(2);
    let handle = simulator.handle();
    drop(simulator.spawn("parent", async move {
        for _ in 0..10 {
            drop(handle.spawn("child", handle.work(1_000_000)));
        }
        handle.work(1_000_000).await;
    }));
    simulator.run().expect("all end");
    let (first, second) = (handle.executor().stats(0), handle.executor().stats(1));
    assert!(second.stolen >= 5, "{first:?} {second:?}");
}

#[test]
fn a_hand_over_between_two_tasks_wakes_no_idle_cpu() {
    let mut simulator = Simulator::orderly(2);
    let queue = Arc::new(WaitQueue::new());
    let turns = Arc::new(AtomicU64::new(0));
    for parity in 0..2 {
        let (turns, queue) = (Arc::clone(&turns), Arc::clone(&queue));
        drop(simulator.handle().spawn_with("pair", sim::params(CpuSet::ALL, 0), async move {
            for _ in 0..100 {
                queue.wait_until(|| (turns.load(Ordering::Relaxed) % 2 == parity).then_some(())).await;
                turns.fetch_add(1, Ordering::Relaxed);
                queue.wake_one();
            }
        }));
    }
    simulator.run().expect("all end");
    let kicks = simulator.trace().iter().filter(|event| matches!(event, Event::Kick { .. })).count();
    assert!(kicks <= 2, "{kicks} interrupts for 200 hand-overs");
}

#[test]
fn a_waker_that_goes_on_has_its_task_taken_over() {
    let mut simulator = Simulator::orderly(2);
    let handle = simulator.handle();
    let (sender, receiver) = oneshot::channel();
    let seen_ns = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&seen_ns);
    drop(simulator.spawn("sleeper", async move {
        assert_eq!(receiver.await, Ok(()));
        seen.store(handle.now_ns(), Ordering::Relaxed);
    }));
    drop(simulator.spawn("waker", async move {
        handle.sleep(1_000_000).await;
        assert_eq!(sender.send(()), Ok(()));
        // In virtual time one poll is one step: the other CPU has its turn at the first yield.
        handle.work(100_000_000).await;
    }));
    simulator.run().expect("all end");
    let seen_ns = seen_ns.load(Ordering::Relaxed);
    assert!(seen_ns <= 1_000_000 + 3 * runtime::BASE_SLICE_NS, "taken over after {seen_ns} ns");
    assert!(simulator.trace().iter().any(|event| matches!(event, Event::Kick { .. })), "an idle CPU was told");
}

#[test]
fn tasks_run_only_where_their_affinity_permits() {
    sim::explore(0..50, 4, |simulator| {
        let handle = simulator.handle();
        for task in 0..12_usize {
            let allowed = CpuSet::from_bits(1 + task as u64 % 15);
            drop(handle.spawn_with("bound", sim::params(allowed, 0), async move {
                for _ in 0..10 {
                    assert!(allowed.contains(handle.cpu()), "on CPU {} of {allowed:?}", handle.cpu());
                    handle.work(30_000).await;
                    yield_now().await;
                    assert!(allowed.contains(handle.cpu()), "on CPU {} of {allowed:?}", handle.cpu());
                    handle.sleep(10_000).await;
                }
            }));
        }
        || {}
    });
}

#[test]
fn a_change_of_affinity_moves_the_running_task() {
    let mut simulator = Simulator::orderly(2);
    let handle = simulator.handle();
    let params = sim::params(CpuSet::ALL, 0);
    let own = Arc::clone(&params);
    drop(handle.spawn_with("nomad", params, async move {
        for target in [1, 0, 1, 0] {
            assert!(handle.executor().set_affinity(&own, CpuSet::single(target)));
            if handle.executor().need_resched(handle.cpu()) {
                yield_now().await;
            }
            assert_eq!(handle.cpu(), target);
        }
        assert!(!handle.executor().set_affinity(&own, CpuSet::single(9)), "no such CPU");
    }));
    simulator.run().expect("all end");
}

#[test]
fn a_change_of_affinity_moves_a_queued_and_a_sleeping_task() {
    sim::explore(0..50, 3, |simulator| {
        let handle = simulator.handle();
        let params = sim::params(CpuSet::single(0), 0);
        let (own, changed) = (Arc::clone(&params), Arc::new(AtomicBool::new(false)));
        let seen = Arc::clone(&changed);
        drop(handle.spawn_with("bound", params, async move {
            while !seen.load(Ordering::Relaxed) {
                handle.work(100_000).await;
                yield_now().await;
                handle.sleep(50_000).await;
            }
            yield_now().await;
            assert_eq!(handle.cpu(), 2);
        }));
        drop(handle.spawn("mover", async move {
            handle.sleep(1_000_000).await;
            assert!(handle.executor().set_affinity(&own, CpuSet::single(2)));
            changed.store(true, Ordering::Relaxed);
        }));
        || {}
    });
}

#[test]
fn a_deadlock_is_reported_with_its_tasks() {
    let mut simulator = Simulator::new(3, 2);
    let queue = Arc::new(WaitQueue::new());
    drop(simulator.spawn("ends", async {}));
    drop(simulator.spawn("waits for ever", async move { queue.wait_until(|| None::<()>).await }));
    let stuck = simulator.run().expect_err("nobody wakes it");
    assert_eq!(stuck.tasks, ["waits for ever"]);
    assert!(!stuck.endless);
    assert_eq!(stuck.seed, Some(3));
}

#[test]
fn a_seed_is_a_schedule() {
    let trace = |seed| {
        let mut simulator = Simulator::new(seed, 3);
        let handle = simulator.handle();
        for task in 0..6 {
            drop(simulator.spawn(&format!("task {task}"), async move {
                for _ in 0..5 {
                    handle.sleep(1000).await;
                    yield_now().await;
                }
            }));
        }
        simulator.run().expect("all end");
        simulator.trace()
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}

#[test]
fn a_cancelled_task_ends_and_a_joined_one_gives_its_output() {
    let mut simulator = Simulator::orderly(2);
    let handle = simulator.handle();
    drop(simulator.spawn("parent", async move {
        let child = handle.spawn("child", async { 42 });
        assert_eq!(child.await, 42);
        let endless = handle.spawn("endless", std::future::pending::<()>());
        yield_now().await;
        endless.cancel();
    }));
    simulator.run().expect("the cancelled one has ended too");
}
