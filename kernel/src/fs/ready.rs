//! [`ReadyQueue`]: who is told when a file's readiness changes.
//!
//! Two kinds are told. *Waiters* are tasks that sleep in [`ReadyQueue::wait_until`], each on a node inside its own
//! future. *Watchers* stay until they are taken off: an epoll item is one, and so is a poll(2) in progress; a
//! notification reaches them without an allocation.
//!
//! Protocol: the object's state lies under a lock of its own. Whoever changes it releases that lock and then calls
//! [`ReadyQueue::wake`]; whoever waits or watches first registers and then looks at the state. So one of the two
//! always sees the other, and the check for "nobody there" needs no lock.
//!
//! Locks: the list of watchers (rank `Watchers`) is held while they are told. An epoll instance that is watched
//! in its turn tells its own watchers from within, nested watched before watcher; epoll instances form no cycles.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::{File, PollEvents};
use crate::sync::{Rank, SpinLock};
use runtime::{WaitQueue, WaitUntil};

/// Somebody who is told of each change.
pub trait Watcher: Send + Sync {
    /// Some of `events` may have become true. Returns whether this will get somebody to look, which is what
    /// an exclusive watcher is asked to tell. Called with the queue's list of watchers locked.
    fn notify(self: Arc<Self>, events: PollEvents) -> bool;

    /// Whether the watcher is there for that open file, and goes with it.
    fn belongs_to(&self, _file: *const File) -> bool {
        false
    }

    /// Whether it is there for the file's `O_ASYNC`, and goes with that flag.
    fn is_asynchronous(&self) -> bool {
        false
    }

    /// The open file is being closed, and the watcher is off its queue.
    fn file_closed(self: Arc<Self>) {}
}

/// An entry in the list of watchers.
struct Registration {
    watcher: Arc<dyn Watcher>,
    exclusive: bool,
}

/// The queue of one object.
pub struct ReadyQueue {
    waiters: WaitQueue,
    watched: AtomicUsize,
    watchers: SpinLock<Vec<Registration>>,
}

impl ReadyQueue {
    /// A queue with nobody in it.
    pub fn new() -> Self {
        Self {
            waiters: WaitQueue::new(),
            watched: AtomicUsize::new(0),
            watchers: SpinLock::new(Rank::Watchers, Vec::new()),
        }
    }

    /// Waits until `condition` gives a value. It is asked after the waiter is registered, and again at each wake.
    #[inline]
    pub fn wait_until<R, F: FnMut() -> Option<R>>(&self, condition: F) -> WaitUntil<'_, F> {
        self.waiters.wait_until_woken(condition)
    }

    /// Tells everybody that some of `events` may have become true. The object's own lock is not held. No events at
    /// all means that which ones is not known.
    #[inline]
    pub fn wake(&self, events: PollEvents) {
        self.waiters.wake_all();
        self.wake_watchers(events);
    }

    /// As [`Self::wake`], but of the waiters only the one that has waited longest: for objects whose waiters all
    /// wait for the same, and where what is there can satisfy only one.
    #[inline]
    pub fn wake_one(&self, events: PollEvents) {
        self.waiters.wake_one();
        self.wake_watchers(events);
    }

    /// Whether a task sleeps here.
    pub fn has_waiters(&self) -> bool {
        self.waiters.waiting() != 0
    }

    /// As [`Self::wake`], but only the watchers: no sleeping reader or writer can go on who could not before.
    #[inline]
    pub fn wake_watchers(&self, events: PollEvents) {
        if self.watched.load(Ordering::Relaxed) != 0 {
            self.notify(events);
        }
    }

    #[cold]
    fn notify(&self, events: PollEvents) {
        let watchers = self.watchers.lock_nested();
        for entry in watchers.iter().filter(|entry| !entry.exclusive) {
            entry.watcher.clone().notify(events);
        }
        for entry in watchers.iter().filter(|entry| entry.exclusive) {
            if entry.watcher.clone().notify(events) {
                break;
            }
        }
    }

    /// Has `watcher` told of each change from now on. Of the exclusive ones, a change is told to the first alone
    /// that takes it.
    pub fn watch(&self, watcher: Arc<dyn Watcher>, exclusive: bool) {
        let mut watchers = self.watchers.lock();
        watchers.push(Registration { watcher, exclusive });
        self.watched.store(watchers.len(), Ordering::Relaxed);
    }

    /// Takes `watcher` off, once.
    pub fn unwatch(&self, watcher: &Arc<dyn Watcher>) {
        let removed = {
            let mut watchers = self.watchers.lock();
            let found =
                watchers.iter().position(|entry| core::ptr::addr_eq(Arc::as_ptr(&entry.watcher), Arc::as_ptr(watcher)));
            let removed = found.map(|index| watchers.remove(index));
            self.watched.store(watchers.len(), Ordering::Relaxed);
            removed
        };
        drop(removed);
    }
}

impl ReadyQueue {
    /// `file`, whose queue this is, is being closed: the watchers that belong to it go with it.
    #[inline]
    pub(super) fn file_closed(&self, file: *const File) {
        if self.watched.load(Ordering::Relaxed) != 0 {
            self.remove_watchers(|watcher| watcher.belongs_to(file));
        }
    }

    /// `file` has lost its `O_ASYNC`: nobody is signalled for it any more.
    pub(super) fn end_asynchronous(&self, file: *const File) {
        self.remove_watchers(|watcher| watcher.is_asynchronous() && watcher.belongs_to(file));
    }

    #[cold]
    fn remove_watchers(&self, goes: impl Fn(&dyn Watcher) -> bool) {
        loop {
            let removed = {
                let mut watchers = self.watchers.lock();
                let found = watchers.iter().position(|entry| goes(&*entry.watcher));
                let removed = found.map(|index| watchers.remove(index));
                self.watched.store(watchers.len(), Ordering::Relaxed);
                removed
            };
            let Some(entry) = removed else { return };
            entry.watcher.file_closed();
        }
    }
}

impl Default for ReadyQueue {
    fn default() -> Self {
        Self::new()
    }
}
