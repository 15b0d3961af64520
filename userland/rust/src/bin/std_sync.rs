//! The standard library's synchronisation: `Mutex`, `Condvar`, `RwLock`, `Once`, `Barrier`, `mpsc`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock};
use std::thread;
use std::time::{Duration, Instant};

userland::tests! {
    a_mutex_excludes
    a_condvar_passes_turns
    a_condvar_wait_times_out
    a_rwlock_shares_and_excludes
    once_runs_once
    a_lazy_value_is_made_once
    a_barrier_holds_all_back
    a_channel_delivers_everything_in_order
    a_bounded_channel_holds_the_sender_back
    a_rendezvous_channel_meets
    a_closed_channel_says_so
    recv_times_out
}

fn a_mutex_excludes() {
    let total = Mutex::new(0u64);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..10_000).for_each(|_| *total.lock().expect("no panics") += 1));
        }
    });
    assert_eq!(total.into_inner().expect("no panics"), 80_000);
}

fn a_condvar_passes_turns() {
    let (turn, passed) = (Mutex::new(0usize), Condvar::new());
    thread::scope(|scope| {
        for me in 0..4 {
            let (turn, passed) = (&turn, &passed);
            scope.spawn(move || {
                for round in 0..500 {
                    let mine = passed.wait_while(turn.lock().expect("no panics"), |now| *now != round * 4 + me);
                    *mine.expect("no panics") += 1;
                    passed.notify_all();
                }
            });
        }
    });
    assert_eq!(turn.into_inner().expect("no panics"), 2000);
}

fn a_condvar_wait_times_out() {
    let (mutex, condvar) = (Mutex::new(()), Condvar::new());
    let start = Instant::now();
    let guard = mutex.lock().expect("no panics");
    let (_guard, result) = condvar.wait_timeout_while(guard, Duration::from_millis(20), |()| true).expect("no panics");
    assert!(result.timed_out() && start.elapsed() >= Duration::from_millis(20));
}

fn a_rwlock_shares_and_excludes() {
    let pair = RwLock::new((0u64, 0u64));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let mut pair = pair.write().expect("no panics");
                    pair.0 += 1;
                    pair.1 += 1;
                }
            });
            scope.spawn(|| {
                for _ in 0..2000 {
                    let pair = pair.read().expect("no panics");
                    assert_eq!(pair.0, pair.1);
                }
            });
        }
    });
    assert_eq!(*pair.read().expect("no panics"), (6000, 6000));
}

fn once_runs_once() {
    static ONCE: Once = Once::new();
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                ONCE.call_once(|| {
                    thread::sleep(Duration::from_millis(5));
                    RUNS.fetch_add(1, Ordering::Relaxed);
                });
                assert_eq!(RUNS.load(Ordering::Relaxed), 1);
            });
        }
    });
}

fn a_lazy_value_is_made_once() {
    static LAZY: LazyLock<String> = LazyLock::new(|| "made".to_owned());
    static CELL: OnceLock<usize> = OnceLock::new();
    thread::scope(|scope| {
        for i in 0..10 {
            scope.spawn(move || {
                assert_eq!(*LAZY, "made");
                CELL.get_or_init(|| i);
            });
        }
    });
    assert!(CELL.get().is_some_and(|&value| value < 10));
}

fn a_barrier_holds_all_back() {
    let (barrier, arrived, leaders) = (Barrier::new(6), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for round in 1..=100 {
                    arrived.fetch_add(1, Ordering::AcqRel);
                    leaders.fetch_add(usize::from(barrier.wait().is_leader()), Ordering::Relaxed);
                    assert_eq!(arrived.load(Ordering::Acquire), 6 * round);
                    barrier.wait();
                }
            });
        }
    });
    assert_eq!(leaders.into_inner(), 100);
}

fn a_channel_delivers_everything_in_order() {
    let (sender, receiver) = channel();
    let senders: Vec<_> = (0..4)
        .map(|who| {
            let sender = sender.clone();
            thread::spawn(move || (0..5000u32).for_each(|i| sender.send((who, i)).expect("the receiver lives")))
        })
        .collect();
    drop(sender);
    let mut next = [0u32; 4];
    for (who, i) in receiver {
        assert_eq!(i, std::mem::replace(&mut next[who], i + 1));
    }
    assert_eq!(next, [5000; 4]);
    senders.into_iter().for_each(|sender| sender.join().expect("no panics"));
}

fn a_bounded_channel_holds_the_sender_back() {
    let (sender, receiver) = sync_channel(2);
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let thread = thread::spawn(move || {
        for i in 0..100 {
            sender.send(i).expect("the receiver lives");
            count.fetch_add(1, Ordering::AcqRel);
        }
    });
    thread::sleep(Duration::from_millis(20));
    assert_eq!(sent.load(Ordering::Acquire), 2);
    assert!(receiver.iter().eq(0..100));
    thread.join().expect("no panics");
}

fn a_rendezvous_channel_meets() {
    let (sender, receiver) = sync_channel(0);
    let thread = thread::spawn(move || (0..1000).for_each(|i| sender.send(i).expect("the receiver lives")));
    assert_eq!(receiver.iter().sum::<i32>(), 499_500);
    thread.join().expect("no panics");
}

fn a_closed_channel_says_so() {
    let (sender, receiver) = channel::<()>();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    let (sender, receiver) = channel();
    drop(receiver);
    assert!(sender.send(()).is_err());
}

fn recv_times_out() {
    let (_sender, receiver) = channel::<()>();
    let start = Instant::now();
    assert_eq!(receiver.recv_timeout(Duration::from_millis(20)), Err(RecvTimeoutError::Timeout));
    assert!(start.elapsed() >= Duration::from_millis(20));
}
