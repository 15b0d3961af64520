//! [`WaitQueue`]: where tasks sleep until something they look for has become true.
//!
//! The waiter gives a predicate and goes into the queue *before* it looks at it for the last time; the notifier
//! changes the state first and then wakes. One of the two always sees the other, so no wake is lost, and neither needs
//! to hold a lock of the other's. The predicate runs outside the queue's lock: it may take whatever locks it needs,
//! and a notifier may call `wake_*` while holding any of them.
//!
//! Fairness: [`WaitQueue::wake_one`] wakes the longest waiting task. A wake given to a task that then goes away
//! (interrupted, timed out, or satisfied by other means) is passed on to the next.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use crate::batch::{BATCH, WakeBatch};
use crate::list::{Entry, Waiters};
use crate::lock::atomic::{Ordering, fence};
use crate::lock::const_fn;

/// A waiting task, as the queue sees it.
#[derive(Default)]
struct Waiter {
    /// Taken by whoever wakes the task.
    waker: Option<Waker>,
    /// Whether the task was woken as the one of several: it must pass the wake on if it cannot use it.
    chosen: bool,
    /// Its own: whether it has looked just before it first comes here.
    has_looked: bool,
}

/// Tasks that sleep until a predicate holds.
pub struct WaitQueue {
    waiters: Waiters<Waiter>,
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl WaitQueue {
    const_fn! {
        /// An empty queue.
        pub fn new() -> Self {
            Self { waiters: Waiters::new() }
        }
    }

    /// Sleeps until `predicate` gives a value. It is called at least once, then after each wake; it must not block.
    /// Dropping the future leaves the queue.
    pub fn wait_until<R, F>(&self, predicate: F) -> WaitUntil<'_, F>
    where
        F: FnMut() -> Option<R>,
    {
        WaitUntil { entry: self.waiters.entry(Waiter::default()), queue: self, predicate }
    }

    /// The same for a caller that has just seen that there is no value yet: the first look is that of the queued task.
    pub fn wait_until_woken<R, F>(&self, predicate: F) -> WaitUntil<'_, F>
    where
        F: FnMut() -> Option<R>,
    {
        let waiter = Waiter { has_looked: true, ..Waiter::default() };
        WaitUntil { entry: self.waiters.entry(waiter), queue: self, predicate }
    }

    /// Wakes the longest waiting task. Returns whether a task was woken.
    /// Call it after the change it announces.
    pub fn wake_one(&self) -> bool {
        self.waiters.anyone_waits() && self.wake_one_waiter()
    }

    /// Wakes all tasks that wait now. Returns how many were woken.
    /// Call it after the change it announces.
    pub fn wake_all(&self) -> usize {
        if self.waiters.anyone_waits() { self.wake_waiters(usize::MAX, false) } else { 0 }
    }

    /// Wakes up to `count` tasks, the longest waiting first. Returns how many were woken.
    /// Call it after the change it announces.
    pub fn wake_n(&self, count: usize) -> usize {
        if self.waiters.anyone_waits() { self.wake_waiters(count, true) } else { 0 }
    }

    /// How many tasks waited a moment ago.
    pub fn waiting(&self) -> usize {
        self.waiters.len_hint()
    }

    /// Wakes one waiter as the chosen one.
    fn wake_one_waiter(&self) -> bool {
        self.wake_first(true)
    }

    /// Wakes the longest waiting task.
    fn wake_first(&self, chosen: bool) -> bool {
        let popped = self.waiters.lock().pop_front(|waiter| {
            waiter.chosen = chosen;
            waiter.waker.take()
        });
        let woken = popped.is_some();
        if let Some(waker) = popped.flatten() {
            waker.wake();
        }
        woken
    }

    /// Wakes up to `limit` of those that wait at the start, a batch under each taking of the lock.
    fn wake_waiters(&self, limit: usize, chosen: bool) -> usize {
        let waiting = self.waiters.lock().len();
        match limit.min(waiting) {
            0 => 0,
            1 => self.wake_first(chosen).into(),
            several => self.wake_several(several, chosen),
        }
    }

    #[cold]
    fn wake_several(&self, mut left: usize, chosen: bool) -> usize {
        let mut woken = 0;
        while left > 0 {
            let mut batch = WakeBatch::new();
            let mut guard = self.waiters.lock();
            while batch.len() < left.min(BATCH) {
                let popped = guard.pop_front(|waiter| {
                    waiter.chosen = chosen;
                    waiter.waker.take()
                });
                let Some(waker) = popped else { break };
                batch.push(waker);
            }
            drop(guard);
            woken += batch.len();
            left = if batch.len() == 0 { 0 } else { left - batch.len() };
            batch.wake();
        }
        woken
    }
}

pin_project! {
    /// The future of [`WaitQueue::wait_until`].
    #[must_use = "futures do nothing unless polled"]
    pub struct WaitUntil<'q, F> {
        #[pin]
        entry: Entry<'q, Waiter>,
        queue: &'q WaitQueue,
        predicate: F,
    }

    impl<F> PinnedDrop for WaitUntil<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            leave(this.entry, this.queue);
        }
    }
}

/// Takes a waiter out of the queue. If it had been chosen by `wake_one`, the next one gets that wake.
#[inline]
fn leave(mut entry: Pin<&mut Entry<'_, Waiter>>, queue: &WaitQueue) {
    if entry.is_linked() {
        entry.as_mut().lock().unlink();
    }
    let waiter = entry.unlinked_value().expect("unlinked above, and only its owner links it");
    if core::mem::take(&mut waiter.chosen) {
        pass_on(queue);
    }
}

#[cold]
fn pass_on(queue: &WaitQueue) {
    queue.wake_one_waiter();
}

impl<R, F> Future for WaitUntil<'_, F>
where
    F: FnMut() -> Option<R>,
{
    type Output = R;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let mut this = self.project();
        // The wake this task was chosen for, if any, is answered by the look that follows. No lock is needed: a task
        // that was woken is out of the queue. A wake that meets us after this line is passed on if we leave.
        let has_looked = this.entry.as_mut().unlinked_value().is_some_and(|waiter| {
            waiter.chosen = false;
            core::mem::take(&mut waiter.has_looked)
        });
        if !has_looked && let Some(found) = (this.predicate)() {
            leave(this.entry, this.queue);
            return Poll::Ready(found);
        }
        enqueue(this.entry.as_mut(), cx.waker());
        // Pairs with the fence in `Waiters::anyone_waits`.
        fence(Ordering::SeqCst);
        match (this.predicate)() {
            None => Poll::Pending,
            Some(found) => {
                leave(this.entry, this.queue);
                Poll::Ready(found)
            }
        }
    }
}

/// Puts a waiter into the queue with an up-to-date waker. A waiter that is in it keeps its place.
fn enqueue(entry: Pin<&mut Entry<'_, Waiter>>, waker: &Waker) {
    let mut guard = entry.lock();
    let known = &mut guard.value().waker;
    let fresh = known.as_ref().is_some_and(|known| known.will_wake(waker));
    let outdated = if fresh { None } else { known.replace(waker.clone()) };
    guard.push_back();
    drop(guard);
    // Dropping a waker may run code of its task: not under the lock.
    drop(outdated);
}
