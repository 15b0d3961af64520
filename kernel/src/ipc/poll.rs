//! Waiting for any of several files: the core of poll(2) and select(2).
//!
//! The caller looks first; only if nothing is ready does it build a list of [`Entry`]s and [`wait_any`]. A wait
//! costs one allocation for the watcher and one for the list, however often it wakes.
//!
//! Locks: the waker of a wait (rank `Epoll`), taken within the lists of watchers.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use abi::poll::PollEvents;

use crate::fs::{File, Watcher};
use crate::sync::{Rank, SpinLock};

/// Reported unasked.
pub const UNASKED: PollEvents = PollEvents::POLLERR.union(PollEvents::POLLHUP);

/// One file of a wait.
pub struct Entry {
    /// The file; `None` for what was not an open file, which counts as [`PollEvents::POLLNVAL`].
    pub file: Option<Arc<File>>,
    /// What is wanted of it, [`UNASKED`] included.
    pub wanted: PollEvents,
    /// What was found at the last look.
    pub found: PollEvents,
}

impl Entry {
    /// An entry not yet looked at.
    pub fn new(file: Option<Arc<File>>, wanted: PollEvents) -> Self {
        Self { file, wanted, found: PollEvents::empty() }
    }

    /// Looks (`do_pollfd`), and says whether it found anything.
    fn look(&mut self) -> bool {
        self.found = match &self.file {
            Some(file) => file.readiness() & self.wanted,
            None => PollEvents::POLLNVAL,
        };
        !self.found.is_empty()
    }
}

/// Looks at every entry, and gives the number at which something was found.
pub fn look(entries: &mut [Entry]) -> usize {
    entries.iter_mut().map(|entry| usize::from(entry.look())).sum()
}

/// Waits until something is found at one of `entries`, and gives the number of those (`do_poll`).
pub async fn wait_any(entries: &mut [Entry]) -> usize {
    let watch = Watch::start(entries);
    loop {
        let found = look(entries);
        if found > 0 {
            return found;
        }
        watch.waiter.notified().await;
    }
}

/// Who waits.
struct Waiter {
    told: AtomicBool,
    /// The waiting task's waker.
    waker: SpinLock<Option<Waker>>,
}

impl Waiter {
    /// Waits for a notification, unless one came since the last wait.
    async fn notified(&self) {
        poll_fn(|cx| self.poll_notified(cx)).await;
    }

    fn poll_notified(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waker = self.waker.lock();
        if self.told.swap(false, Ordering::Relaxed) {
            return Poll::Ready(());
        }
        let current = waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        let old = if current { None } else { waker.replace(cx.waker().clone()) };
        drop(waker);
        drop(old);
        Poll::Pending
    }
}

impl Watcher for Waiter {
    fn notify(self: Arc<Self>, _events: PollEvents) -> bool {
        let mut waker = self.waker.lock();
        let first = !self.told.swap(true, Ordering::Relaxed);
        let waker = if first { waker.take() } else { None };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

/// A waiter on the queues of several files, until dropped.
struct Watch {
    waiter: Arc<Waiter>,
    files: Vec<Arc<File>>,
}

impl Watch {
    fn start(entries: &[Entry]) -> Self {
        let waiter = Arc::new(Waiter { told: AtomicBool::new(false), waker: SpinLock::new(Rank::Epoll, None) });
        let files: Vec<Arc<File>> = entries.iter().filter_map(|entry| entry.file.clone()).collect();
        for queue in files.iter().filter_map(|file| file.ops().wait_queue()) {
            queue.watch(waiter.clone(), false);
        }
        Self { waiter, files }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let waiter: Arc<dyn Watcher> = self.waiter.clone();
        for queue in self.files.iter().filter_map(|file| file.ops().wait_queue()) {
            queue.unwatch(&waiter);
        }
    }
}
