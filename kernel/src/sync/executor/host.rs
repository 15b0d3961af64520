//! The executor on the host: the one of the simulator that this thread of the test plays, so that whole lives of
//! threads run under a schedule drawn from a seed, with virtual time.

use alloc::sync::Arc;
use core::cell::Cell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use runtime::sim::{Handle, Simulator};
use runtime::{Executor, TaskContext};

use crate::arch;

pub use runtime::sim::Machine;

std::thread_local!(static CURRENT: Cell<Option<Handle>> = const { Cell::new(None) });

/// From now on this thread plays the machine of `handle`: its executor and its clock.
pub fn simulate(handle: Handle) {
    CURRENT.set(Some(handle));
    arch::set_clock(|| CURRENT.get().map_or(0, |handle| handle.now_ns()));
}

fn current() -> Handle {
    CURRENT.get().unwrap_or_else(|| {
        // Tests that set a timer but never let time pass.
        let handle = Simulator::orderly(1).handle();
        CURRENT.set(Some(handle));
        handle
    })
}

/// The executor.
pub fn executor() -> &'static Executor<Machine> {
    current().executor()
}

/// Starts a task that nobody waits for.
pub fn spawn(context: Arc<dyn TaskContext>, future: impl Future<Output = ()> + Send + 'static) {
    drop(current().spawn("task", Hooked { context, future }));
}

/// Whether a task that yields may go on at once: never here. Only between polls do the simulated CPUs take turns and does
/// virtual time pass, so a task that waits by yielding would wait for ever.
pub fn is_alone() -> bool {
    false
}

pin_project_lite::pin_project! {
    /// A task's future with the hooks of its context around each poll.
    struct Hooked<F> {
        context: Arc<dyn TaskContext>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Hooked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.context.switch_in(arch::monotonic_ns());
        let polled = this.future.poll(cx);
        this.context.switch_out(arch::monotonic_ns());
        polled
    }
}
