//! Waiting on behalf of a user, who may be sent a signal meanwhile.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use abi::Errno;

use crate::process::Thread;

/// A wait ended because the thread has a signal, or has to stop or exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

impl From<Interrupted> for Errno {
    /// The commonest translation: restart if the handler has `SA_RESTART`.
    fn from(_: Interrupted) -> Self {
        Errno::ERESTARTSYS
    }
}

pin_project_lite::pin_project! {
    /// The future of `Cx::interruptible` and `Cx::killable`.
    #[must_use = "futures do nothing unless polled"]
    pub struct Interruptible<'a, F> {
        thread: &'a Thread,
        by_kill_only: bool,
        #[pin]
        future: F,
    }
}

impl<'a, F: Future> Interruptible<'a, F> {
    /// `future`, until `thread` has a signal to see to.
    pub fn new(thread: &'a Thread, future: F) -> Self {
        Self { thread, by_kill_only: false, future }
    }

    /// `future`, until `thread` has to end.
    pub fn killable(thread: &'a Thread, future: F) -> Self {
        Self { thread, by_kill_only: true, future }
    }
}

impl<F: Future> Future for Interruptible<'_, F> {
    type Output = Result<F::Output, Interrupted>;

    /// The inner future first: an event that has come beats a signal, so that wait4 reports the child whose
    /// SIGCHLD woke it. Whoever posts work wakes the thread's task, so nothing needs registering here.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let ends = if *this.by_kill_only { this.thread.signals.is_killed() } else { this.thread.interrupted() };
        if ends { Poll::Ready(Err(Interrupted)) } else { Poll::Pending }
    }
}
