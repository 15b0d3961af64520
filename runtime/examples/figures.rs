//! Sizes and speeds of the executor on the host: `cargo run --release -p runtime --example figures`.
//!
//! One CPU, no interrupts: what a wake, a switch and a spawn cost by themselves.

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::pending;
use std::mem::size_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use runtime::{Executor, KeyedWaitTable, Mutex, Platform, Sleep, TaskContext, TaskParams, WaitQueue, yield_now};

/// Counts the bytes that are allocated.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every call on to the system's allocator.
#[expect(unsafe_code, reason = "an allocator is unsafe to implement")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One CPU of the host. Its clock is a counter: reading one is not what is measured.
struct Host {
    clock_ns: AtomicU64,
}

impl Platform for Host {
    type Context = Arc<TaskParams>;

    fn cpu(&self) -> usize {
        0
    }

    fn now_ns(&self) -> u64 {
        let now_ns = self.clock_ns.load(Ordering::Relaxed) + 100;
        self.clock_ns.store(now_ns, Ordering::Relaxed);
        now_ns
    }

    fn kick(&self, _cpu: usize) {}

    fn idle(&self) {}

    fn set_alarm(&self, _deadline_ns: Option<u64>) {}
}

/// Runs what is queued and gives the nanoseconds it took, for each of `count`.
fn run(executor: &'static Executor<Host>, count: usize) -> f64 {
    let start = Instant::now();
    while executor.run_one(0) {}
    start.elapsed().as_nanos() as f64 / count as f64
}

fn main() {
    let executor: &'static Executor<Host> = Box::leak(Box::new(Executor::new(Host { clock_ns: AtomicU64::new(0) }, 1)));
    executor.bring_up(0);
    let params = || Arc::new(TaskParams::default());

    const TASKS: usize = 100_000;
    let shared = params();
    let (before, start) = (ALLOCATED.load(Ordering::Relaxed), Instant::now());
    for _ in 0..TASKS {
        drop(executor.spawn(Arc::clone(&shared), pending::<()>()));
    }
    let spawn_ns = start.elapsed().as_nanos() as f64 / TASKS as f64;
    let bytes = (ALLOCATED.load(Ordering::Relaxed) - before) / TASKS;
    run(executor, TASKS);

    const TURNS: usize = 2_000_000;
    for _ in 0..2 {
        drop(executor.spawn(params(), async {
            for _ in 0..TURNS / 2 {
                yield_now().await;
            }
        }));
    }
    let yield_ns = run(executor, TURNS);

    static TURN: AtomicUsize = AtomicUsize::new(0);
    static QUEUE: WaitQueue = WaitQueue::new();
    for parity in 0..2 {
        drop(executor.spawn(params(), async move {
            for _ in 0..TURNS / 2 {
                QUEUE.wait_until(|| (TURN.load(Ordering::Relaxed) % 2 == parity).then_some(())).await;
                TURN.fetch_add(1, Ordering::Relaxed);
                QUEUE.wake_one();
            }
        }));
    }
    let queue_ns = run(executor, TURNS);

    let table: &'static KeyedWaitTable<(usize, usize), u32> = Box::leak(Box::new(KeyedWaitTable::new(256)));
    for side in 0..2_usize {
        drop(executor.spawn(params(), async move {
            for _ in 0..TURNS / 2 {
                table.wake(&(1, 1 - side), 1, |_| true);
                let _ = table.wait((1, side), 0, || Ok::<(), ()>(())).await;
            }
            table.wake(&(1, 1 - side), 1, |_| true);
        }));
    }
    let keyed_ns = run(executor, TURNS);

    println!("bytes: TaskParams {}", size_of::<TaskParams>());
    println!("bytes: a task beside its future, allocated {bytes} (header 32, metadata 24, borrow of it 8)");
    println!("bytes: WaitQueue {}", size_of::<WaitQueue>());
    println!("bytes: a wait on it {}", waiting_bytes());
    println!("bytes: Sleep {}", size_of::<Sleep<'static, Host>>());
    println!("bytes: Mutex<()> {}", size_of::<Mutex<()>>());
    println!("ns: spawn {spawn_ns:.0}, yield to another {yield_ns:.1}");
    println!("ns: wake and sleep, WaitQueue {queue_ns:.1}, keyed {keyed_ns:.1}");
    assert!(shared.params().cpu_time_ns() > 0, "they ran");
}

/// The size of a wait whose predicate captures one reference.
fn waiting_bytes() -> usize {
    let (queue, value) = (WaitQueue::new(), AtomicUsize::new(0));
    size_of_val(&queue.wait_until(|| (value.load(Ordering::Relaxed) > 0).then_some(())))
}
