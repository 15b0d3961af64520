//! How a future becomes a task: its metadata, the wrapper that keeps its accounts, and its handle.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use async_task::{Builder, Runnable, ScheduleInfo, Task, WithInfo};
use pin_project_lite::pin_project;

use crate::run_queue::{Linked, TaskLink};
use crate::{Executor, Platform, TaskContext};

/// What is stored with each task, beside its future.
pub(crate) struct Meta<P: Platform> {
    link: TaskLink,
    executor: &'static Executor<P>,
    pub(crate) context: P::Context,
}

impl<P: Platform> Meta<P> {
    /// Whether the task may run at its turn, or has overrun its slice by so much that this one is gone as well.
    #[inline]
    pub(crate) fn may_run(&self) -> bool {
        let params = self.context.params();
        !params.is_spent() || params.refill_less_debt()
    }
}

impl<P: Platform> Linked for Meta<P> {
    #[inline]
    fn link(&self) -> &TaskLink {
        &self.link
    }
}

pin_project! {
    /// A task's future, with the accounts and hooks around each poll. They are here rather than around
    /// `Runnable::run` because the metadata may be gone when that returns.
    struct Accounted<'m, P: Platform, F> {
        meta: &'m Meta<P>,
        #[pin]
        future: F,
    }
}

impl<P: Platform, F: Future> Future for Accounted<'_, P, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let (executor, context) = (this.meta.executor, &this.meta.context);
        let cpu = executor.platform().cpu();
        let start_ns = executor.begin_poll(cpu);
        context.switch_in(start_ns);
        let polled = this.future.poll(cx);
        let end_ns = executor.end_poll(cpu);
        context.switch_out(end_ns);
        context.params().leave(cpu, start_ns, end_ns);
        polled
    }
}

/// Makes a task of `future`; nothing runs it yet.
pub(crate) fn spawn<P, F>(
    executor: &'static Executor<P>,
    context: P::Context,
    future: F,
) -> (Runnable<Meta<P>>, JoinHandle<P, F::Output>)
where
    P: Platform,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let meta = Meta { link: TaskLink::default(), executor, context };
    // Captures nothing: else `async-task` would take a reference around each call to keep the captured alive.
    let schedule = WithInfo(|task: Runnable<Meta<P>>, info: ScheduleInfo| {
        let executor = task.metadata().executor;
        executor.schedule(task, info.woken_while_running);
    });
    // SAFETY: future and output are `Send` and `'static` but for the borrow of the metadata, which is stored with the
    // future and outlives it; the schedule function is `Send`, `Sync` and `'static`.
    let (runnable, task) =
        unsafe { Builder::new().metadata(meta).spawn_unchecked(move |meta| Accounted { meta, future }, schedule) };
    (runnable, JoinHandle { task: Some(task) })
}

/// Waits for a task's end. Dropping it lets the task run on.
#[must_use = "drop it to let the task run by itself"]
pub struct JoinHandle<P: Platform, T> {
    /// `None` only while being dropped or cancelled.
    task: Option<Task<T, Meta<P>>>,
}

impl<P: Platform, T> JoinHandle<P, T> {
    /// Ends the task at its next await; its future is dropped on the CPU that would have run it.
    pub fn cancel(mut self) {
        drop(self.task.take());
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(Task::is_finished)
    }
}

impl<P: Platform, T> Drop for JoinHandle<P, T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.detach();
        }
    }
}

impl<P: Platform, T> Future for JoinHandle<P, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let task = self.task.as_mut().expect("taken only when the handle goes");
        Pin::new(task).poll(cx)
    }
}
