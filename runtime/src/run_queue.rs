//! [`TaskList`] and [`RunQueue`]: the tasks that are ready to run on one CPU.
//!
//! A list is linked through the tasks' own metadata: queuing a task neither allocates nor fails. The queue is
//! guarded by one spin lock per CPU rather than built lock-free: with interrupts off the lock is held for a few
//! instructions, an uncontended take is one atomic instruction (as a lock-free push needs too), and a plain list gives
//! what a work-stealing ring does not: no bound, classes, removal of half by a thief with a look at each affinity.

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};

use async_task::Runnable;

/// A task's place in a [`TaskList`]: the task behind it. Guarded by the lock around the list.
#[derive(Default)]
pub(crate) struct TaskLink(AtomicPtr<()>);

/// Metadata of tasks that can be listed.
pub(crate) trait Linked: Send + Sync + 'static {
    fn link(&self) -> &TaskLink;
}

/// A first-in-first-out list of runnable tasks.
pub(crate) struct TaskList<M: Linked> {
    first: Option<NonNull<()>>,
    last: Option<NonNull<()>>,
    len: usize,
    _tasks: PhantomData<Runnable<M>>,
}

// SAFETY: the pointers are owned `Runnable<M>`s, which are `Send` when `M` is `Send + Sync`.
unsafe impl<M: Linked> Send for TaskList<M> {}

impl<M: Linked> TaskList<M> {
    pub(crate) const fn new() -> Self {
        Self { first: None, last: None, len: 0, _tasks: PhantomData }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a task.
    #[inline]
    pub(crate) fn push_back(&mut self, task: Runnable<M>) {
        task.metadata().link().0.store(core::ptr::null_mut(), Ordering::Relaxed);
        let task = task.into_raw();
        match self.last {
            Some(last) => peek::<M>(last).metadata().link().0.store(task.as_ptr(), Ordering::Relaxed),
            None => self.first = Some(task),
        }
        self.last = Some(task);
        self.len += 1;
    }

    /// Takes out the first task.
    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<Runnable<M>> {
        let first = self.first?;
        // SAFETY: the list owns the `Runnable` that `push_back` turned into this pointer, and gives it up here.
        let task = unsafe { Runnable::<M>::from_raw(first) };
        self.first = NonNull::new(task.metadata().link().0.load(Ordering::Relaxed));
        if self.first.is_none() {
            self.last = None;
        }
        self.len -= 1;
        Some(task)
    }

    /// Moves up to `limit` of the tasks `may_take` allows, first ones first, to the back of `to`.
    pub(crate) fn take_some(&mut self, to: &mut Self, limit: usize, mut may_take: impl FnMut(&M) -> bool) {
        let mut kept = Self::new();
        let most = to.len + limit;
        // Looks at a bounded number, so that the lock is not held for long over tasks that may not be taken.
        for _ in 0..limit * 2 {
            if to.len == most {
                break;
            }
            let Some(task) = self.pop_front() else { break };
            if may_take(task.metadata()) { to.push_back(task) } else { kept.push_back(task) }
        }
        kept.append(self);
        core::mem::swap(self, &mut kept);
    }

    /// Moves all of `other` behind this list.
    pub(crate) fn append(&mut self, other: &mut Self) {
        let Some(first) = other.first.take() else { return };
        let (last, len) = (other.last.take(), core::mem::take(&mut other.len));
        match self.last {
            Some(tail) => peek::<M>(tail).metadata().link().0.store(first.as_ptr(), Ordering::Relaxed),
            None => self.first = Some(first),
        }
        self.last = last;
        self.len += len;
    }
}

impl<M: Linked> Drop for TaskList<M> {
    fn drop(&mut self) {
        while self.pop_front().is_some() {}
    }
}

/// A look at a listed task, which stays in the list.
#[inline]
fn peek<M>(task: NonNull<()>) -> ManuallyDrop<Runnable<M>> {
    // SAFETY: the caller's list owns the `Runnable`; this view of it is not dropped.
    ManuallyDrop::new(unsafe { Runnable::from_raw(task) })
}
