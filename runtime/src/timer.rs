//! Deadlines: [`Sleep`] and [`Timeout`]. No allocation, no slack; dropping them disarms the timer from any CPU.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::heap::TimerEntry;
use crate::{Executor, Platform};

impl<P: Platform> Executor<P> {
    /// Sleeps until the platform's clock shows `deadline_ns`; `u64::MAX` is for ever.
    pub fn sleep_until(&self, deadline_ns: u64) -> Sleep<'_, P> {
        Sleep { executor: self, entry: TimerEntry::new(deadline_ns) }
    }

    /// Gives `future` until `deadline_ns` to finish. The future is polled first: a result beats the deadline.
    pub fn timeout_at<F: Future>(&self, deadline_ns: u64, future: F) -> Timeout<'_, P, F> {
        Timeout { future, sleep: self.sleep_until(deadline_ns) }
    }
}

pin_project! {
    /// The future of [`Executor::sleep_until`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Sleep<'e, P: Platform> {
        executor: &'e Executor<P>,
        #[pin]
        entry: TimerEntry<'e>,
    }
}

impl<P: Platform> Sleep<'_, P> {
    /// When it ends.
    pub fn deadline_ns(&self) -> u64 {
        self.entry.deadline_ns()
    }

    /// Moves the end; an armed timer is armed anew at the next poll.
    pub fn reset(self: Pin<&mut Self>, deadline_ns: u64) {
        self.project().entry.reset(deadline_ns);
    }
}

impl<P: Platform> Future for Sleep<'_, P> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Most sleep without end.
        if self.entry.deadline_ns() == u64::MAX { Poll::Pending } else { self.poll_timer(cx) }
    }
}

impl<P: Platform> Sleep<'_, P> {
    fn poll_timer(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.entry.was_armed() {
            return if this.entry.set_waker(cx.waker()) { Poll::Pending } else { Poll::Ready(()) };
        }
        let deadline_ns = this.entry.deadline_ns();
        if this.executor.platform().now_ns() >= deadline_ns {
            return Poll::Ready(());
        }
        let cpu = this.executor.platform().cpu();
        let executor: &_ = this.executor;
        this.entry.arm(&executor.cpus[cpu].timers, cx.waker().clone());
        executor.arm(cpu, deadline_ns);
        Poll::Pending
    }
}

/// The deadline has passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has passed")
    }
}

pin_project! {
    /// The future of [`Executor::timeout_at`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Timeout<'e, P: Platform, F> {
        #[pin]
        future: F,
        #[pin]
        sleep: Sleep<'e, P>,
    }
}

impl<P: Platform, F> Timeout<'_, P, F> {
    /// When the time is up.
    pub fn deadline_ns(&self) -> u64 {
        self.sleep.deadline_ns()
    }

    /// The future that is given the time.
    pub fn inner(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().future
    }
}

impl<P: Platform, F: Future> Future for Timeout<'_, P, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        this.sleep.poll(cx).map(|()| Err(Elapsed))
    }
}
