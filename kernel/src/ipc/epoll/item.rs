//! [`Item`]: one file watched by an epoll instance (`struct epitem`).

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use abi::poll::{EpollEvent, EpollFlags, PollEvents};

use super::{Epoll, key};
use crate::fs::{AccessFlags, File, Watcher};
use crate::ipc::poll::UNASKED;

/// The flags of an item, which are no events (`EP_PRIVATE_BITS`).
const FLAGS: u32 = EpollFlags::EPOLLWAKEUP.bits()
    | EpollFlags::EPOLLONESHOT.bits()
    | EpollFlags::EPOLLET.bits()
    | EpollFlags::EPOLLEXCLUSIVE.bits();

/// What only a file open for reading is told of.
const READER_EVENTS: PollEvents =
    PollEvents::POLLIN.union(PollEvents::POLLRDNORM).union(PollEvents::POLLRDBAND).union(PollEvents::POLLPRI);
/// What only a file open for writing is told of.
const WRITER_EVENTS: PollEvents = PollEvents::POLLOUT.union(PollEvents::POLLWRNORM).union(PollEvents::POLLWRBAND);

/// A file, what is wanted of it, and the word to report with it.
pub struct Item {
    epoll: Weak<Epoll>,
    file: Weak<File>,
    fd: i32,
    /// Events and flags as the user set them. A one-shot item that has fired keeps only the flags.
    events: AtomicU32,
    data: AtomicU64,
    /// Events of its file's direction: both ends of a pipe share a queue.
    direction: PollEvents,
    /// On the ready list. Changed under that list's lock only.
    queued: AtomicBool,
    /// No longer in the instance.
    retired: AtomicBool,
}

impl Item {
    /// An item that is in no instance yet.
    pub(super) fn new(epoll: &Arc<Epoll>, fd: i32, file: &Arc<File>, event: &EpollEvent) -> Arc<Self> {
        let mut direction = PollEvents::all();
        if !file.flags().readable() {
            direction.remove(READER_EVENTS);
        }
        if !file.flags().writable() {
            direction.remove(WRITER_EVENTS);
        }
        Arc::new(Self {
            epoll: Arc::downgrade(epoll),
            file: Arc::downgrade(file),
            fd,
            events: AtomicU32::new(event.events | UNASKED.bits()),
            data: AtomicU64::new(event.data()),
            direction,
            queued: AtomicBool::new(false),
            retired: AtomicBool::new(false),
        })
    }

    /// The file, if it is still open.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        self.file.upgrade()
    }

    /// Events, flags and word as they are now.
    pub(super) fn event(&self) -> EpollEvent {
        EpollEvent::new(self.events.load(Ordering::Relaxed), self.data.load(Ordering::Relaxed))
    }

    /// New events, flags and word.
    pub(super) fn set(&self, event: &EpollEvent) {
        self.data.store(event.data(), Ordering::Relaxed);
        self.events.store(event.events | UNASKED.bits(), Ordering::Release);
    }

    /// Whether of several exclusive items one is told at a time.
    pub(super) fn is_exclusive(&self) -> bool {
        self.has(EpollFlags::EPOLLEXCLUSIVE)
    }

    /// Marks the item as no longer in the instance.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Whether it has left the instance.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Notes whether it is on the ready list; gives what was noted before. The list's lock is held.
    pub(super) fn set_queued(&self, on: bool) -> bool {
        self.queued.swap(on, Ordering::Relaxed)
    }

    /// Looks at the file: the event to report, or `None` if nothing that is wanted is there. A one-shot item is
    /// spent by this.
    pub(super) fn look(&self) -> Option<EpollEvent> {
        let found = self.found();
        if found.is_empty() {
            return None;
        }
        if self.has(EpollFlags::EPOLLONESHOT) {
            self.events.fetch_and(FLAGS, Ordering::Relaxed);
        }
        Some(EpollEvent::new(found.bits(), self.data.load(Ordering::Relaxed)))
    }

    /// Whether something that is wanted is there.
    pub(super) fn is_ready(&self) -> bool {
        !self.found().is_empty()
    }

    /// Whether, once reported, it stays on the list: level-triggered.
    pub(super) fn stays_ready(&self) -> bool {
        self.events.load(Ordering::Relaxed) & (EpollFlags::EPOLLET.bits() | EpollFlags::EPOLLONESHOT.bits()) == 0
    }

    /// Puts the item on the ready list if something that is wanted is there now.
    pub(super) fn look_and_queue(self: &Arc<Self>, file: &Arc<File>) {
        if !(file.readiness() & self.wanted()).is_empty() {
            self.queue();
        }
    }

    fn queue(self: &Arc<Self>) -> bool {
        let Some(epoll) = self.epoll.upgrade() else { return false };
        let woken = epoll.queue.has_waiters();
        if epoll.put_ready(self, false) {
            epoll.queue.wake_one(PollEvents::POLLIN | PollEvents::POLLRDNORM);
        }
        woken
    }

    fn found(&self) -> PollEvents {
        if self.is_retired() {
            return PollEvents::empty();
        }
        self.file().map_or(PollEvents::empty(), |file| file.readiness() & self.wanted())
    }

    fn wanted(&self) -> PollEvents {
        PollEvents::from_bits_truncate(self.events.load(Ordering::Acquire))
    }

    fn has(&self, flag: EpollFlags) -> bool {
        self.events.load(Ordering::Relaxed) & flag.bits() != 0
    }
}

impl Watcher for Item {
    /// `ep_poll_callback`.
    fn notify(self: Arc<Self>, events: PollEvents) -> bool {
        let wanted = self.wanted() & self.direction;
        let concerned = !wanted.is_empty() && (events.is_empty() || events.intersects(wanted));
        concerned && self.queue()
    }

    fn belongs_to(&self, file: *const File) -> bool {
        core::ptr::eq(self.file.as_ptr(), file)
    }

    fn file_closed(self: Arc<Self>) {
        if let Some(epoll) = self.epoll.upgrade() {
            let removed = epoll.remove(key(self.fd, self.file.as_ptr()));
            drop(removed);
        }
    }
}
