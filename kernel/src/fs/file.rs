//! [`File`]: an open file description, and [`FileOps`]: the object behind it.
//!
//! A `File` is what descriptors refer to: shared by dup(2), fork(2) and `SCM_RIGHTS`. Objects offer
//! non-blocking `try_read` and `try_write` and say what they are ready for; blocking is written once, here
//! ([`File::read`], [`File::write`]), and poll, epoll and `O_NONBLOCK` follow from the same two calls.
//!
//! Locks: the position of a seekable file is held (rank `FilePosition`) while it is read or written, so threads
//! that share a description never see one range twice (`fdget_pos`); a write to a regular file also holds the
//! inode's content lock. Neither is taken by the page-fault path.

use alloc::sync::Arc;
use core::any::Any;
use core::fmt;
use core::future::Future;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::Errno;

use super::flags::{OPENING_FLAGS, SETTABLE_FLAGS};
use super::poll::ALWAYS_READY;
use super::{AccessFlags, Cred, Inode, OpenFlags, Path, PollEvents, ReadyQueue, Sink, Source, dnotify, notify};
use crate::mem::Backing;
use crate::signal::Signal;
use crate::sync::{Rank, SpinGuard, SpinLock};

bitflags::bitflags! {
    /// What kind of object a file is, asked once when it is opened.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct FileTraits: u32 {
        /// lseek, pread and pwrite work, and reads move a position. Others get `ESPIPE`.
        const SEEKABLE = 1;
        /// Opening may wait: [`FileOps::finish_open`] is asked until it is satisfied (FIFOs).
        const OPEN_WAITS = 2;
        /// A terminal: [`FileOps::job_control`] is asked before reads and writes.
        const TERMINAL = 4;
        /// Can be watched by epoll; regular files and directories cannot (`EPERM`).
        const POLLABLE = 8;
        /// Writes hold the inode's content lock and obey `RLIMIT_FSIZE` (regular files).
        const REGULAR = 16;
        /// A write is one act: a short count is final, never a reason to wait and write the rest (eventfd, datagram sockets).
        const ONE_ACT = 32;
        /// lseek succeeds and moves nothing (`noop_llseek`): signalfd and its like, which pread still refuses.
        const SEEK_IS_IDLE = 64;
    }
}

impl FileTraits {
    /// Pipes, sockets, eventfd and their like.
    pub const STREAM: Self = Self::POLLABLE;
}

/// Who calls: what terminals and a few others must know of the process. `process` implements it.
pub trait Caller: Send + Sync {
    /// The process (thread group).
    fn pid(&self) -> u32;
    /// Its process group.
    fn process_group(&self) -> u32;
    /// Its session.
    fn session(&self) -> u32;
    /// Its credentials.
    fn cred(&self) -> &Arc<Cred>;
    /// Whether its thread blocks the signal or the process ignores it (`is_ignored`).
    fn ignores(&self, signal: Signal) -> bool;
    /// Itself, for those who know its type.
    fn as_any(&self) -> &dyn Any;
}

/// lseek(2)'s `whence`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whence {
    /// From the start.
    Set,
    /// From the position.
    Current,
    /// From the end.
    End,
    /// To the next data.
    Data,
    /// To the next hole.
    Hole,
}

/// The object behind an open file. Never blocks: what would, returns `EAGAIN` and wakes `wait_queue` when
/// its readiness changes. Methods get the open file, for its flags, its inode and its owner.
#[expect(unused_variables, reason = "defaults ignore their arguments")]
pub trait FileOps: Any + Send + Sync {
    /// What the object is. Constant.
    fn traits(&self) -> FileTraits {
        FileTraits::STREAM
    }

    /// Reads at `offset` (0 unless seekable) into `sink`. 0 is the end of file; `EAGAIN` asks to wait.
    fn try_read(&self, file: &File, sink: &mut dyn Sink, offset: u64) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Writes at `offset` (0 unless seekable) from `source`. `EAGAIN` asks to wait. A short count means that
    /// no more fits for now.
    fn try_write(&self, file: &File, source: &mut dyn Source, offset: u64) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// How long a read that has to wait does so, in nanoseconds, and what it gives when that is over (`VTIME`,
    /// `SO_RCVTIMEO`). `None`: it waits for ever.
    fn read_patience(&self, file: &File) -> Option<(u64, Result<usize, Errno>)> {
        None
    }

    /// What the file is ready for now.
    fn readiness(&self, file: &File) -> PollEvents {
        ALWAYS_READY
    }

    /// Woken at each change of readiness; `None` for what is always ready.
    fn wait_queue(&self) -> Option<&ReadyQueue> {
        None
    }

    /// Completes an open that may wait (`OPEN_WAITS`): `EAGAIN` until it may go on.
    fn finish_open(&self, file: &File) -> Result<(), Errno> {
        Ok(())
    }

    /// A terminal was opened: it may become the caller's controlling one, unless `no_controlling`.
    fn opened(&self, file: &File, caller: &dyn Caller, no_controlling: bool) -> Result<(), Errno> {
        Ok(())
    }

    /// A descriptor of the file is closed; the error, if any, is close(2)'s.
    fn flush(&self, file: &File) -> Result<(), Errno> {
        Ok(())
    }

    /// The last reference to the open file is gone.
    fn release(&self, file: &File) {}

    /// Whether the caller, perhaps in the background, may touch the terminal; may signal it and return
    /// `ERESTARTSYS` (`job_control`, `tty_check_change`).
    fn job_control(&self, file: &File, caller: &dyn Caller, access: Access) -> Result<(), Errno> {
        Ok(())
    }

    /// ioctl(2), past what is common to all files. `arg` may be a user address.
    fn ioctl(&self, file: &File, caller: &dyn Caller, request: u32, arg: u64) -> Result<usize, Errno> {
        Err(Errno::ENOTTY)
    }

    /// fcntl(2) commands that concern the object: pipe sizes, seals.
    fn fcntl(&self, file: &File, command: u32, arg: u64) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// The size of a seekable object's content, in bytes.
    fn size_bytes(&self, file: &File) -> u64 {
        0
    }

    /// The offset lseek(2) goes to from `position`. The default serves objects without holes.
    fn seek(&self, file: &File, position: u64, offset: i64, whence: Whence) -> Result<u64, Errno> {
        super::seek::within_size(self.size_bytes(file), position, offset, whence)
    }

    /// What a mapping is made of. `ENODEV`; `EPERM` if the object is sealed. The caller has compared the protection
    /// with how the file was opened.
    fn mmap(&self, file: &Arc<File>, request: &MmapRequest) -> Result<Mmapped, Errno> {
        Err(Errno::ENODEV)
    }

    /// Sets the size of the content.
    fn truncate(&self, file: &File, len: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// fallocate(2): `mode` has been checked against the flags Linux knows.
    fn fallocate(&self, file: &File, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Brings written data to the medium.
    fn sync(&self, file: &File, data_only: bool) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// Gives `entries` the directory's entries from `*position` on, advancing it past each one taken.
    fn read_dir(&self, file: &File, position: &mut u64, entries: &mut dyn DirSink) -> Result<(), Errno> {
        Err(Errno::ENOTDIR)
    }

    /// Lines of /proc/PID/fdinfo/FD particular to the object.
    fn fdinfo(&self, file: &File, out: &mut dyn fmt::Write) -> fmt::Result {
        Ok(())
    }
}

/// What mmap(2) asks a file for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MmapRequest {
    /// The first page of the object that is to be mapped.
    pub first_page: u64,
    /// How many pages.
    pub pages: u64,
    /// `MAP_SHARED`.
    pub shared: bool,
    /// `PROT_WRITE`.
    pub writes: bool,
}

/// What a file offers to be mapped.
pub struct Mmapped {
    /// The object; `None` stands for private anonymous memory (/dev/zero).
    pub object: Option<Arc<dyn Backing>>,
    /// mprotect(2) must not make a shared mapping writable, whatever the file was opened for.
    pub never_write: bool,
}

/// Reading or writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Data comes out.
    Read,
    /// Data goes in.
    Write,
    /// Settings change.
    Control,
}

/// One entry of a directory.
#[derive(Clone, Copy, Debug)]
pub struct DirEntry<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its inode number.
    pub inode: u64,
    /// Its type.
    pub kind: super::FileKind,
    /// Where reading goes on after it: its cookie, stable while other entries come and go.
    pub next_position: u64,
}

/// Takes directory entries; `false` when the next does not fit.
pub trait DirSink {
    /// Takes `entry`, or returns `false` and is asked no more.
    fn entry(&mut self, entry: DirEntry<'_>) -> bool;
}

/// Whom SIGIO goes to: fcntl(2)'s `F_SETOWN` and `F_SETSIG`.
#[derive(Clone, Debug, Default)]
pub struct SignalOwner {
    /// A process (positive), a process group (negative) or nobody (0).
    pub target: i32,
    /// `target` is a thread (`F_OWNER_TID`).
    pub thread: bool,
    /// The signal; 0 means SIGIO without details.
    pub signal: u8,
    /// Who asked: permission is checked with these identities.
    pub uid: u32,
    /// Its effective identity.
    pub euid: u32,
}

impl SignalOwner {
    /// As fcntl(F_GETOWN) gives it.
    pub fn as_getown(&self) -> i32 {
        self.target
    }
}

/// An open file description.
pub struct File {
    ops: Arc<dyn FileOps>,
    path: Path,
    cred: Arc<Cred>,
    traits: FileTraits,
    flags: AtomicU32,
    position: SpinLock<u64>,
    /// It counts among those who have the inode open for writing, if it is writable at all.
    is_writer: AtomicBool,
    signal_owner: SpinLock<SignalOwner>,
}

impl File {
    /// An open file at `path` with `flags` as open(2) got them. The acts among them (`O_CREAT`…) are forgotten.
    pub fn new(ops: Arc<dyn FileOps>, path: Path, flags: OpenFlags, cred: Arc<Cred>) -> Arc<Self> {
        let traits = ops.traits();
        let kept = flags.difference(OPENING_FLAGS.union(OpenFlags::O_CLOEXEC));
        Arc::new(Self {
            ops,
            path,
            cred,
            traits,
            flags: AtomicU32::new(kept.bits()),
            position: SpinLock::new(Rank::FilePosition, 0),
            is_writer: AtomicBool::new(true),
            signal_owner: SpinLock::new(Rank::File, SignalOwner::default()),
        })
    }

    /// The object behind it.
    #[inline]
    pub fn ops(&self) -> &Arc<dyn FileOps> {
        &self.ops
    }

    /// The object behind it as the type it is, if it is a `T` (an epoll instance, a socket, a pipe end).
    pub fn downcast<T: FileOps>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.ops;
        any.downcast_ref()
    }

    /// As [`Self::downcast`], with a reference of its own.
    pub fn downcast_arc<T: FileOps>(&self) -> Option<Arc<T>> {
        let any: Arc<dyn Any + Send + Sync> = self.ops.clone();
        any.downcast().ok()
    }

    /// Where it was opened.
    #[inline]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its inode.
    #[inline]
    pub fn inode(&self) -> &Arc<Inode> {
        self.path.inode()
    }

    /// The credentials it was opened with.
    pub fn cred(&self) -> &Arc<Cred> {
        &self.cred
    }

    /// What kind of object it is.
    #[inline]
    pub fn traits(&self) -> FileTraits {
        self.traits
    }

    /// Its status flags and access mode, as fcntl(F_GETFL) gives them.
    #[inline]
    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Replaces the flags among `SETFL_MASK`.
    pub fn set_flags(&self, flags: OpenFlags) {
        let new = flags.intersection(SETTABLE_FLAGS).bits();
        let kept = !SETTABLE_FLAGS.bits();
        let replaced = self.flags.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some((old & kept) | new));
        debug_assert!(replaced.is_ok());
    }

    /// Says whether it has `O_ASYNC`.
    pub(super) fn mark_asynchronous(&self, on: bool) {
        if on {
            self.flags.fetch_or(OpenFlags::O_ASYNC.bits(), Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!OpenFlags::O_ASYNC.bits(), Ordering::Relaxed);
        }
    }

    /// Whether calls return `EAGAIN` instead of waiting.
    #[inline]
    pub fn nonblocking(&self) -> bool {
        self.flags().contains(OpenFlags::O_NONBLOCK)
    }

    /// Holds the position of a seekable file still.
    #[inline]
    pub(super) fn lock_position(&self) -> SpinGuard<'_, u64> {
        self.position.lock()
    }

    pub(super) fn try_lock_position(&self) -> Option<SpinGuard<'_, u64>> {
        self.position.try_lock()
    }

    /// Whom SIGIO goes to.
    pub fn signal_owner(&self) -> SignalOwner {
        self.signal_owner.lock().clone()
    }

    /// Sets whom SIGIO goes to.
    pub fn set_signal_owner(&self, owner: SignalOwner) {
        *self.signal_owner.lock() = owner;
    }

    /// What it is ready for now.
    pub fn readiness(&self) -> PollEvents {
        self.ops.readiness(self)
    }

    /// Waits until it is ready for any of `events` (the caller adds interruption by signals).
    pub fn wait_ready(&self, events: PollEvents) -> impl Future<Output = ()> + Send {
        // A block rather than an `async fn`: that would keep its arguments twice.
        async move {
            match self.ops.wait_queue() {
                Some(queue) => queue.wait_until(|| self.ops.readiness(self).intersects(events).then_some(())).await,
                // Nobody would ever wake us: only a signal ends this.
                None => core::future::pending().await,
            }
        }
    }

    /// Completes an open that may wait.
    pub async fn wait_open(&self) -> Result<(), Errno> {
        if !self.traits.contains(FileTraits::OPEN_WAITS) {
            return Ok(());
        }
        let Some(queue) = self.ops.wait_queue() else { return self.ops.finish_open(self) };
        queue
            .wait_until(|| match self.ops.finish_open(self) {
                Err(Errno::EAGAIN) => None,
                done => Some(done),
            })
            .await
    }
}

impl File {
    /// No longer keeps the file from being executed, writable though it is: a memfd as memfd_create(2) gives it.
    pub(super) fn end_writing(&self) {
        let counts = self.traits.contains(FileTraits::REGULAR) && self.flags().writable();
        if counts && self.is_writer.swap(false, Ordering::Relaxed) {
            self.inode().end_writing();
        }
    }

    /// What hangs on the description goes with it: its locks, its right to write.
    fn last_close(&self) {
        if self.flags().contains(OpenFlags::O_PATH) {
            return;
        }
        notify::closed(self);
        if dnotify::in_use() {
            dnotify::file_closed(self);
        }
        self.inode().locks_of_file_end(self);
        self.end_writing();
        if self.traits.contains(FileTraits::REGULAR) && !self.flags().writable() {
            self.inode().end_reading();
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.last_close();
        if let Some(queue) = self.ops.wait_queue() {
            queue.file_closed(self);
        }
        self.ops.release(self);
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("flags", &self.flags()).finish_non_exhaustive()
    }
}
