//! [`Cx`]: what a handler is given beside its arguments.

use alloc::sync::Arc;
use core::future::Future;

use crate::process::{Process, Thread};
use crate::thread::{Interruptible, Private};

/// The calling thread: its shared half and its private half. The thread's address space is current whenever a
/// handler runs, also after an await.
pub struct Cx<'a> {
    /// The shared half.
    pub thread: &'a Arc<Thread>,
    /// The private half: nobody else can reach it, so it needs no locks.
    pub private: &'a mut Private,
}

impl<'a> Cx<'a> {
    /// The caller's process.
    #[inline]
    pub fn process(&self) -> &'a Arc<Process> {
        &self.thread.process
    }

    /// Waits for `future` on behalf of the user: the future is polled first, then signals are looked for.
    /// An interruption drops the future and gives `Err(Interrupted)`.
    #[inline]
    pub fn interruptible<F: Future>(&self, future: F) -> Interruptible<'a, F> {
        Interruptible::new(self.thread, future)
    }

    /// Waits for `future` until the caller has to end: for waits that signals do not interrupt.
    #[inline]
    pub fn killable<F: Future>(&self, future: F) -> Interruptible<'a, F> {
        Interruptible::killable(self.thread, future)
    }
}
