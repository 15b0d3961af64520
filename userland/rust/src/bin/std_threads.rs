//! The standard library's threads: spawn, scope, park, thread locals, names, panics of threads.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

userland::tests! {
    a_thread_returns_its_value
    scoped_threads_borrow
    a_parked_thread_is_unparked
    an_unpark_before_the_park_is_kept
    a_park_times_out
    thread_locals_are_private_and_dropped
    threads_have_names_and_ids
    a_builder_sets_the_stack_size
    sleep_lasts_at_least_as_long
    available_parallelism_is_known
    five_hundred_threads_add_up
}

fn a_thread_returns_its_value() {
    let text = String::from("moved in");
    let thread = thread::spawn(move || text.len());
    assert_eq!(thread.join().expect("the thread does not panic"), 8);
}

fn scoped_threads_borrow() {
    let mut numbers: Vec<u64> = (0..100_000).collect();
    thread::scope(|scope| {
        for part in numbers.chunks_mut(10_000) {
            scope.spawn(move || part.iter_mut().for_each(|number| *number *= 2));
        }
    });
    assert_eq!(numbers.iter().sum::<u64>(), 100_000 * 99_999);
}

fn a_parked_thread_is_unparked() {
    let rounds = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&rounds);
    let thread = thread::spawn(move || {
        while counter.load(Ordering::Acquire) < 1000 {
            thread::park();
        }
    });
    for _ in 0..1000 {
        rounds.fetch_add(1, Ordering::Release);
        thread.thread().unpark();
    }
    thread.join().expect("the thread does not panic");
}

fn an_unpark_before_the_park_is_kept() {
    thread::current().unpark();
    let start = Instant::now();
    thread::park_timeout(Duration::from_secs(10));
    assert!(start.elapsed() < Duration::from_secs(5));
}

fn a_park_times_out() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(20) {
        thread::park_timeout(Duration::from_millis(20));
    }
}

fn thread_locals_are_private_and_dropped() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Counted(Cell<usize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPPED.fetch_add(self.0.get(), Ordering::Relaxed);
        }
    }
    thread_local!(static COUNTED: Counted = const { Counted(Cell::new(0)) });
    let threads: Vec<_> = (1..=10).map(|i| thread::spawn(move || COUNTED.with(|counted| counted.0.set(i)))).collect();
    for thread in threads {
        thread.join().expect("the thread does not panic");
    }
    assert_eq!(DROPPED.load(Ordering::Relaxed), 55);
}

fn threads_have_names_and_ids() {
    let thread = thread::Builder::new().name("worker".into()).spawn(|| {
        let comm = std::fs::read_to_string("/proc/thread-self/comm");
        // The file system may be absent; where it is there, it knows the name.
        assert!(comm.is_err() || comm.is_ok_and(|comm| comm == "worker\n"));
        (thread::current().id(), thread::current().name().map(String::from))
    });
    let (id, name) = thread.expect("a thread starts").join().expect("the thread does not panic");
    assert_ne!(id, thread::current().id());
    assert_eq!(name.as_deref(), Some("worker"));
}

fn a_builder_sets_the_stack_size() {
    fn deep(levels: usize) -> usize {
        let frame = std::hint::black_box([levels; 64]);
        if levels == 0 { 0 } else { deep(levels - 1) + usize::from(frame[63] == levels) }
    }
    let thread = thread::Builder::new().stack_size(32 << 20).spawn(|| deep(30_000));
    assert_eq!(thread.expect("a thread starts").join().expect("the thread does not panic"), 30_000);
}

fn sleep_lasts_at_least_as_long() {
    for ms in [1, 5, 20] {
        let (start, length) = (Instant::now(), Duration::from_millis(ms));
        thread::sleep(length);
        assert!(start.elapsed() >= length);
    }
}

fn available_parallelism_is_known() {
    assert!(thread::available_parallelism().is_ok_and(|count| count.get() >= 1));
}

fn five_hundred_threads_add_up() {
    let sum = AtomicUsize::new(0);
    thread::scope(|scope| {
        for i in 0..500 {
            let sum = &sum;
            scope.spawn(move || sum.fetch_add(i, Ordering::Relaxed));
        }
    });
    assert_eq!(sum.into_inner(), 499 * 500 / 2);
}
