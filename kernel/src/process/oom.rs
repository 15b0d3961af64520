//! Who dies when memory runs out (`mm/oom_kill.c`).
//!
//! Whoever finds no memory may hold any lock, so it only asks; a task of the kernel's picks the process and kills it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use runtime::{TaskParams, WaitQueue};
use spin::Once;

use super::{PidTable, Process};
use crate::mem::oom::{self, Killer};
use crate::signal::{Info, Signal, current_tid};
use crate::sync::executor;

static ASKED: AtomicBool = AtomicBool::new(false);
static QUEUE: Once<WaitQueue> = Once::new();
static TABLE: Once<Arc<PidTable>> = Once::new();

/// Has processes of `table` killed when memory runs out. Called once, at boot.
pub fn install(table: &Arc<PidTable>) {
    QUEUE.call_once(WaitQueue::new);
    TABLE.call_once(|| table.clone());
    oom::set_killer(Killer { kill: ask, is_caller_dying });
    executor::spawn(Arc::new(TaskParams::default()), serve(table.clone()));
}

/// Asks for a process to be killed.
fn ask() -> bool {
    ASKED.store(true, Ordering::Release);
    QUEUE.get().is_some_and(|queue| {
        queue.wake_one();
        true
    })
}

/// Whether the thread that runs on this CPU has to end.
fn is_caller_dying() -> bool {
    let caller = TABLE.get().and_then(|table| table.thread(current_tid()));
    caller.is_some_and(|thread| thread.signals.is_killed())
}

async fn serve(table: Arc<PidTable>) {
    let Some(queue) = QUEUE.get() else { return };
    loop {
        queue.wait_until(|| ASKED.swap(false, Ordering::AcqRel).then_some(())).await;
        kill_worst(&table);
    }
}

/// Kills the process that uses the most memory, as its `oom_score_adj` has it. One that is being killed already counts:
/// its memory is on its way back.
fn kill_worst(table: &PidTable) {
    let rated = table.processes().into_iter().filter_map(|process| Some((badness(&process)?, process)));
    let Some((_, worst)) = rated.max_by_key(|(badness, _)| *badness) else { return };
    log::warn!("out of memory: killing process {}", worst.pid);
    // SIGKILL needs no room in a queue.
    let _ = worst.signals.send(Signal::KILL, Info::from_kernel(Signal::KILL));
}

/// How much is gained by a process's end; `None` for one that is not to be killed: init, the kernel's own, and those
/// with the lowest `oom_score_adj`.
fn badness(process: &Arc<Process>) -> Option<u64> {
    if process.is_init() {
        return None;
    }
    let thread = process.threads().live.values().next().cloned()?;
    let space = thread.space()?;
    let adjust = process.oom_score_adj.load(Ordering::Relaxed);
    oom::badness(space.counts().resident_pages(), space.table_bytes(), adjust.into())
}
