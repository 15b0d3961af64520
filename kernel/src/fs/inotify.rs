//! inotify(7): watches on inodes, and the queue of what happened to them (`fs/notify/inotify`).
//!
//! An inode lists its watches; each leads to the [`Inotify`] instance it belongs to, which also lists it by number. Both
//! references are weak but the instance's, so that watches end with either. Locks: an inode's list (rank `Watches`), then
//! an instance's state (rank `Inotify`); readers are woken after both.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use abi::Errno;
use abi::poll::{InMask, InotifyEvent};
use abi::zerocopy::IntoBytes;

use super::{Caller, File, FileOps, FileTraits, Inode, PollEvents, ReadyQueue, Sink};
use crate::mem::UserOut;
use crate::sync::{Rank, SpinLock};

/// Events an instance keeps (`max_queued_events`).
const MAX_EVENTS: usize = 16384;
/// Watches an instance may have (`max_user_watches`).
const MAX_WATCHES: usize = 65536;
/// What a user may ask to be told.
const EVENTS: u32 = 0xfff;

/// How many watches there are at all: while there are none, nothing is looked at.
static WATCHES: AtomicUsize = AtomicUsize::new(0);

/// Whether anybody watches anything.
#[inline]
pub(super) fn in_use() -> bool {
    WATCHES.load(Ordering::Relaxed) != 0
}

/// A watch on an inode.
pub struct Watch {
    instance: Weak<Inotify>,
    inode: Weak<Inode>,
    number: i32,
    mask: AtomicU32,
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The watches on an inode.
pub type WatchList = SpinLock<Vec<Weak<Watch>>>;

/// An empty list.
pub(super) const fn no_watches() -> WatchList {
    SpinLock::new(Rank::Watches, Vec::new())
}

/// Something that happened.
#[derive(PartialEq, Eq)]
struct Event {
    watch: i32,
    mask: u32,
    cookie: u32,
    name: Vec<u8>,
}

impl Event {
    /// Bytes of the name as it is given: with zeros up to a multiple of the header's size.
    fn name_bytes(&self) -> usize {
        if self.name.is_empty() { 0 } else { (self.name.len() + 1).next_multiple_of(size_of::<InotifyEvent>()) }
    }

    fn encode(&self) -> Vec<u8> {
        let len = self.name_bytes();
        let header = InotifyEvent { wd: self.watch, mask: self.mask, cookie: self.cookie, len: len as u32 };
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(&self.name);
        bytes.resize(size_of::<InotifyEvent>() + len, 0);
        bytes
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<Event>,
    watches: BTreeMap<i32, Arc<Watch>>,
    last_number: i32,
}

/// An inotify instance.
pub struct Inotify {
    state: SpinLock<State>,
    ready: ReadyQueue,
}

impl Inotify {
    /// An instance that watches nothing.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { state: SpinLock::new(Rank::Inotify, State::default()), ready: ReadyQueue::new() })
    }

    /// inotify_add_watch(2): a new watch, or other events for the one there is. `EINVAL`, `EEXIST`, `ENOSPC`.
    pub fn add(self: &Arc<Self>, inode: &Arc<Inode>, mask: InMask) -> Result<i32, Errno> {
        if mask.bits() & EVENTS == 0 {
            return Err(Errno::EINVAL);
        }
        let known = mask.bits() & (EVENTS | (InMask::IN_ONESHOT | InMask::IN_EXCL_UNLINK).bits());
        let mut list = inode.watches().lock();
        let mine = |watch: &Arc<Watch>| core::ptr::eq(watch.instance.as_ptr(), Arc::as_ptr(self));
        if let Some(watch) = list.iter().filter_map(Weak::upgrade).find(mine) {
            if mask.contains(InMask::IN_MASK_CREATE) {
                return Err(Errno::EEXIST);
            }
            let kept = if mask.contains(InMask::IN_MASK_ADD) { watch.mask.load(Ordering::Relaxed) } else { 0 };
            watch.mask.store(kept | known, Ordering::Relaxed);
            return Ok(watch.number);
        }
        let mut state = self.state.lock();
        if state.watches.len() >= MAX_WATCHES {
            return Err(Errno::ENOSPC);
        }
        state.last_number = state.last_number.checked_add(1).ok_or(Errno::ENOSPC)?;
        let number = state.last_number;
        let (instance, mask) = (Arc::downgrade(self), AtomicU32::new(known));
        let watch = Arc::new(Watch { instance, inode: Arc::downgrade(inode), number, mask });
        WATCHES.fetch_add(1, Ordering::Relaxed);
        list.retain(|watch| watch.strong_count() > 0);
        list.push(Arc::downgrade(&watch));
        state.watches.insert(number, watch);
        Ok(number)
    }

    /// inotify_rm_watch(2). `EINVAL`.
    pub fn remove(&self, number: i32) -> Result<(), Errno> {
        let watch = self.state.lock().watches.remove(&number).ok_or(Errno::EINVAL)?;
        if let Some(inode) = watch.inode.upgrade() {
            inode.watches().lock().retain(|other| !core::ptr::eq(other.as_ptr(), Arc::as_ptr(&watch)));
        }
        drop(watch);
        self.push(Event { watch: number, mask: InMask::IN_IGNORED.bits(), cookie: 0, name: Vec::new() });
        Ok(())
    }

    /// Queues an event, unless it repeats the last one; one too many is told as such.
    fn push(&self, event: Event) {
        {
            let mut state = self.state.lock();
            if state.queue.back() == Some(&event) {
                return;
            }
            match state.queue.len() {
                MAX_EVENTS.. => return,
                len if len == MAX_EVENTS - 1 => {
                    let mask = InMask::IN_Q_OVERFLOW.bits();
                    state.queue.push_back(Event { watch: -1, mask, cookie: 0, name: Vec::new() });
                }
                _ => state.queue.push_back(event),
            }
        }
        self.ready.wake(PollEvents::POLLIN | PollEvents::POLLRDNORM);
    }
}

impl FileOps for Inotify {
    fn traits(&self) -> FileTraits {
        FileTraits::STREAM | FileTraits::SEEK_IS_IDLE
    }

    /// As many whole events as fit. `EINVAL` if not even one does, `EAGAIN`.
    fn try_read(&self, _file: &File, sink: &mut dyn Sink, _offset: u64) -> Result<usize, Errno> {
        let mut done = 0;
        loop {
            let mut state = self.state.lock();
            let Some(event) = state.queue.front() else {
                return if done == 0 { Err(Errno::EAGAIN) } else { Ok(done) };
            };
            if size_of::<InotifyEvent>() + event.name_bytes() > sink.remaining() {
                return if done == 0 { Err(Errno::EINVAL) } else { Ok(done) };
            }
            let bytes = event.encode();
            state.queue.pop_front();
            drop(state);
            done += sink.put(&bytes)?;
        }
    }

    fn readiness(&self, _file: &File) -> PollEvents {
        if self.state.lock().queue.is_empty() {
            PollEvents::empty()
        } else {
            PollEvents::POLLIN | PollEvents::POLLRDNORM
        }
    }

    fn wait_queue(&self) -> Option<&ReadyQueue> {
        Some(&self.ready)
    }

    fn ioctl(&self, _file: &File, _caller: &dyn Caller, request: u32, arg: u64) -> Result<usize, Errno> {
        const FIONREAD: u32 = 0x541b;
        if request != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let bytes = |event: &Event| size_of::<InotifyEvent>() + event.name_bytes();
        let total: usize = self.state.lock().queue.iter().map(bytes).sum();
        UserOut::<i32>::new(arg).write(&(total as i32)).map(|()| 0)
    }
}

/// Tells those who watch `inode`: `mask` happened to it, or, with a name, to that entry of it.
pub(super) fn tell(inode: &Inode, mask: InMask, cookie: u32, name: &[u8]) {
    let interested: Vec<Arc<Watch>> = {
        let list = inode.watches().lock();
        let wants = |watch: &Arc<Watch>| watch.mask.load(Ordering::Relaxed) & mask.bits() & EVENTS != 0;
        list.iter().filter_map(Weak::upgrade).filter(wants).collect()
    };
    for watch in interested {
        let Some(instance) = watch.instance.upgrade() else { continue };
        instance.push(Event { watch: watch.number, mask: mask.bits(), cookie, name: name.to_vec() });
        if watch.mask.load(Ordering::Relaxed) & InMask::IN_ONESHOT.bits() != 0 {
            // It may have been removed meanwhile, which is as well.
            let _ = instance.remove(watch.number);
        }
    }
}

/// The inode is gone, and its watches with it.
pub(super) fn inode_gone(inode: &Inode) {
    tell(inode, InMask::IN_DELETE_SELF, 0, b"");
    let watches: Vec<Arc<Watch>> = inode.watches().lock().drain(..).filter_map(|watch| watch.upgrade()).collect();
    for watch in watches {
        if let Some(instance) = watch.instance.upgrade() {
            let _ = instance.remove(watch.number);
        }
    }
}
