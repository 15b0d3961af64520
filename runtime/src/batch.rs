//! [`WakeBatch`]: wakers collected under a lock, to be woken after it.

use core::task::Waker;

/// How many a batch holds.
pub(crate) const BATCH: usize = 16;

/// Up to [`BATCH`] wakers, on the stack.
pub(crate) struct WakeBatch {
    wakers: [Option<Waker>; BATCH],
    len: usize,
}

impl WakeBatch {
    pub(crate) fn new() -> Self {
        Self { wakers: [const { None }; BATCH], len: 0 }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == BATCH
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a task to wake. `None`, a waiter that left no waker, counts as well. The batch is not full.
    pub(crate) fn push(&mut self, waker: Option<Waker>) {
        self.wakers[self.len] = waker;
        self.len += 1;
    }

    /// Wakes them in the order they came. No lock is held.
    pub(crate) fn wake(mut self) {
        for waker in &mut self.wakers[..self.len] {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }
}
