//! epoll instances (epoll(7)).
//!
//! An [`Epoll`] holds [`Item`]s, one for each (descriptor, open file) it watches. An item is a `Watcher` on its
//! file's queue: a notification puts it on the instance's ready list, for which room was made when it was added,
//! so events cost no allocation. [`Epoll::harvest`] looks at the files on the list and reports what it finds.
//!
//! An item leaves with its open file (not with the descriptor): the file's queue takes it off when the last
//! reference goes. Instances that watch each other may not form cycles or deep chains: see [`nesting`].
//!
//! Locks: `items` (rank `EpollItems`) and the ready list (rank `Epoll`); neither is held while a file is looked at.

mod item;
mod nesting;

pub use item::Item;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::future::Future;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::poll::{EpollEvent, EpollFlags, PollEvents};

use crate::fs::{File, FileOps, FileTraits, ReadyQueue, Watcher};
use crate::sync::{Rank, SpinLock};

/// Flags an exclusive item may have beside its events (`EPOLLEXCLUSIVE_OK_BITS`).
const EXCLUSIVE_EVENTS: u32 = PollEvents::POLLIN.bits()
    | PollEvents::POLLOUT.bits()
    | PollEvents::POLLERR.bits()
    | PollEvents::POLLHUP.bits()
    | EpollFlags::EPOLLWAKEUP.bits()
    | EpollFlags::EPOLLET.bits()
    | EpollFlags::EPOLLEXCLUSIVE.bits();

/// What identifies an item: a descriptor and the open file it was at the time.
type Key = (i32, usize);

/// The object behind an epoll descriptor.
pub struct Epoll {
    /// Tells instances apart in the graph of nestings.
    id: u64,
    items: SpinLock<BTreeMap<Key, Arc<Item>>>,
    ready: SpinLock<VecDeque<Arc<Item>>>,
    queue: ReadyQueue,
}

fn key(fd: i32, file: *const File) -> Key {
    (fd, file as usize)
}

impl Epoll {
    /// An instance that watches nothing.
    pub fn new() -> Arc<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            items: SpinLock::new(Rank::EpollItems, BTreeMap::new()),
            ready: SpinLock::new(Rank::Epoll, VecDeque::new()),
            queue: ReadyQueue::new(),
        })
    }

    /// `EPERM` for a file that cannot be polled. The first check of `do_epoll_ctl`.
    pub fn check_pollable(target: &File) -> Result<(), Errno> {
        if target.traits().contains(FileTraits::POLLABLE) { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// The further checks before any look at the instance's items: `EINVAL` for the instance itself and for what
    /// an exclusive item may not be.
    pub fn check(&self, target: &File, event: Option<&EpollEvent>, modify: bool) -> Result<(), Errno> {
        let nested = target.downcast::<Epoll>();
        if nested.is_some_and(|other| other.id == self.id) {
            return Err(Errno::EINVAL);
        }
        match event {
            Some(event) if event.events & EpollFlags::EPOLLEXCLUSIVE.bits() != 0 => {
                let allowed = !modify && nested.is_none() && event.events & !EXCLUSIVE_EVENTS == 0;
                if allowed { Ok(()) } else { Err(Errno::EINVAL) }
            }
            _ => Ok(()),
        }
    }

    /// `EPOLL_CTL_ADD`: `EEXIST`; `ELOOP` or `EINVAL` for a nesting that may not be.
    pub fn add(self: &Arc<Self>, fd: i32, target: &Arc<File>, event: &EpollEvent) -> Result<(), Errno> {
        let key = key(fd, Arc::as_ptr(target));
        if self.items.lock().contains_key(&key) {
            return Err(Errno::EEXIST);
        }
        if let Some(inner) = target.downcast::<Epoll>() {
            nesting::enter(self.id, inner.id)?;
        }
        let item = Item::new(self, fd, target, event);
        let lost_race = {
            let mut items = self.items.lock();
            let taken = items.contains_key(&key);
            if !taken {
                items.insert(key, item.clone());
            }
            let wanted = items.len();
            let mut ready = self.ready.lock();
            let missing = wanted.saturating_sub(ready.len());
            ready.reserve(missing);
            taken
        };
        if lost_race {
            self.leave_nesting(target);
            return Err(Errno::EEXIST);
        }
        if let Some(queue) = target.ops().wait_queue() {
            queue.watch(item.clone(), event.events & EpollFlags::EPOLLEXCLUSIVE.bits() != 0);
        }
        item.look_and_queue(target);
        Ok(())
    }

    /// `EPOLL_CTL_MOD`: `ENOENT`, `EINVAL` for an exclusive item.
    pub fn modify(&self, fd: i32, target: &Arc<File>, event: &EpollEvent) -> Result<(), Errno> {
        let found = self.items.lock().get(&key(fd, Arc::as_ptr(target))).cloned();
        let item = found.ok_or(Errno::ENOENT)?;
        if item.is_exclusive() {
            return Err(Errno::EINVAL);
        }
        item.set(event);
        item.look_and_queue(target);
        Ok(())
    }

    /// `EPOLL_CTL_DEL`: `ENOENT`.
    pub fn delete(&self, fd: i32, target: &Arc<File>) -> Result<(), Errno> {
        let item = self.remove(key(fd, Arc::as_ptr(target))).ok_or(Errno::ENOENT)?;
        if let Some(queue) = target.ops().wait_queue() {
            let watcher: Arc<dyn Watcher> = item;
            queue.unwatch(&watcher);
        }
        self.leave_nesting(target);
        Ok(())
    }

    /// The file watched as descriptor `fd`; of several that have been open as it, the `index`th.
    pub fn target(&self, fd: i32, index: usize) -> Option<Arc<File>> {
        let items = self.items.lock();
        let (_, item) = items.range((fd, 0)..=(fd, usize::MAX)).nth(index)?;
        item.file()
    }

    /// Takes an item out of the instance, though not off its file's queue.
    fn remove(&self, key: Key) -> Option<Arc<Item>> {
        let item = self.items.lock().remove(&key)?;
        item.retire();
        self.ready.lock().retain(|queued| !Arc::ptr_eq(queued, &item));
        Some(item)
    }

    fn leave_nesting(&self, target: &File) {
        if let Some(inner) = target.downcast::<Epoll>() {
            nesting::leave(self.id, inner.id);
        }
    }

    /// Reports up to `limit` events to `report` (`ep_send_events`), and gives how many. Level-triggered items go
    /// back to the end of the list, so that a small `limit` meets all in turn. An event that `report` fails on
    /// stays; its error is given only if it was the first.
    pub fn harvest(
        &self,
        limit: usize,
        mut report: impl FnMut(EpollEvent) -> Result<(), Errno>,
    ) -> Result<usize, Errno> {
        let mut reported = 0;
        let mut to_look_at = self.ready.lock().len();
        let mut failure = None;
        while to_look_at > 0 && reported < limit {
            to_look_at -= 1;
            let Some(item) = self.take_ready() else { break };
            let Some(event) = item.look() else { continue };
            if let Err(error) = report(event) {
                self.put_ready(&item, true);
                failure = Some(error);
                break;
            }
            reported += 1;
            if item.stays_ready() {
                self.put_ready(&item, false);
            }
        }
        if self.queue.has_waiters() && self.has_ready() {
            self.queue.wake_one(PollEvents::POLLIN | PollEvents::POLLRDNORM);
        }
        match failure {
            Some(error) if reported == 0 => Err(error),
            _ => Ok(reported),
        }
    }

    /// Waits until an item may be ready.
    pub fn wait(&self) -> impl Future<Output = ()> + Send {
        self.queue.wait_until(|| self.has_ready().then_some(()))
    }

    /// Whether an item may be ready.
    pub fn has_ready(&self) -> bool {
        !self.ready.lock().is_empty()
    }

    fn take_ready(&self) -> Option<Arc<Item>> {
        let mut ready = self.ready.lock();
        let item = ready.pop_front()?;
        item.set_queued(false);
        Some(item)
    }

    /// Puts an item on the list, unless it is on it or is gone. Returns whether it did.
    fn put_ready(&self, item: &Arc<Item>, first: bool) -> bool {
        let mut ready = self.ready.lock();
        if item.is_retired() || item.set_queued(true) {
            return false;
        }
        if first {
            ready.push_front(item.clone());
        } else {
            ready.push_back(item.clone());
        }
        true
    }
}

impl FileOps for Epoll {
    fn traits(&self) -> FileTraits {
        FileTraits::STREAM | FileTraits::SEEK_IS_IDLE
    }

    /// Readable if an item on the list is truly ready; those that are not leave it (`ep_eventpoll_poll`).
    fn readiness(&self, _file: &File) -> PollEvents {
        let mut to_look_at = self.ready.lock().len();
        while to_look_at > 0 {
            to_look_at -= 1;
            let Some(item) = self.take_ready() else { break };
            if item.is_ready() {
                self.put_ready(&item, true);
                return PollEvents::POLLIN | PollEvents::POLLRDNORM;
            }
        }
        PollEvents::empty()
    }

    fn wait_queue(&self) -> Option<&ReadyQueue> {
        Some(&self.queue)
    }

    /// The instance goes: its items leave the files they watch.
    fn release(&self, _file: &File) {
        let items = core::mem::take(&mut *self.items.lock());
        for item in items.into_values() {
            item.retire();
            if let Some(target) = item.file() {
                if let Some(queue) = target.ops().wait_queue() {
                    let watcher: Arc<dyn Watcher> = item.clone();
                    queue.unwatch(&watcher);
                }
                self.leave_nesting(&target);
            }
        }
        let ready = core::mem::take(&mut *self.ready.lock());
        drop(ready);
        nesting::forget(self.id);
    }

    fn fdinfo(&self, _file: &File, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        for ((fd, _), item) in &*self.items.lock() {
            let event = item.event();
            writeln!(out, "tfd: {fd:8} events: {:8x} data: {:16x}", event.events, event.data())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
