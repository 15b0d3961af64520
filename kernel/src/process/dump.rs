//! [`Dump`]: where the threads of a process that dumps core meet (`struct core_state`).
//!
//! Whether there is one, and which threads have been there, changes under the process's threads (rank `Threads`); what they
//! leave is under the dump's own lock (rank `Holdings`). The way through it is in `thread/coredump.rs`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use runtime::WaitQueue;

use super::core_file::ThreadState;
use super::{Process, Thread};
use crate::sync::{Rank, SpinLock};

/// A core dump under way.
pub struct Dump {
    states: SpinLock<Vec<ThreadState>>,
    is_finished: AtomicBool,
    finished: WaitQueue,
}

impl Dump {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            states: SpinLock::new(Rank::Holdings, Vec::new()),
            is_finished: AtomicBool::new(false),
            finished: WaitQueue::new(),
        })
    }

    /// A thread leaves its registers.
    pub fn leave(&self, state: ThreadState) {
        self.states.lock().push(state);
    }

    /// What the threads have left.
    pub fn take_states(&self) -> Vec<ThreadState> {
        core::mem::take(&mut *self.states.lock())
    }

    /// The file is written, or will not be.
    pub fn finish(&self) {
        self.is_finished.store(true, Ordering::Release);
        self.finished.wake_all();
    }

    /// Waits for [`Dump::finish`].
    pub async fn finished(&self) {
        self.finished.wait_until(|| self.is_finished.load(Ordering::Acquire).then_some(())).await;
    }
}

impl Process {
    /// Begins to dump core; `None` if another thread has begun already.
    pub fn begin_dump(&self) -> Option<Arc<Dump>> {
        let mut threads = self.threads();
        if threads.dump.is_some() {
            return None;
        }
        let dump = Dump::new();
        threads.dump = Some(dump.clone());
        Some(dump)
    }

    /// Whether every thread but `thread` is past the place where it would wait for a dump.
    pub fn is_left_to(&self, thread: &Arc<Thread>) -> bool {
        let is_past = |other: &Arc<Thread>| Arc::ptr_eq(other, thread) || other.is_past_dump.load(Ordering::Relaxed);
        self.threads().live.values().all(is_past)
    }
}

impl Thread {
    /// On the thread's, the caller's, way to its end: the dump to leave its registers in. Without one it waits for none that
    /// begins from now on.
    pub fn dump_to_join(&self) -> Option<Arc<Dump>> {
        let threads = self.process.threads();
        if threads.dump.is_none() {
            self.is_past_dump.store(true, Ordering::Relaxed);
        }
        threads.dump.clone()
    }

    /// The thread, the caller, has left its registers.
    pub fn leave_dump(&self) {
        let threads = self.process.threads();
        self.is_past_dump.store(true, Ordering::Relaxed);
        drop(threads);
        self.process.thread_left.wake_all();
    }
}
