//! [`Inode`]: a file as the file system knows it, and [`InodeOps`]: what a kind of file system does with it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, Ordering};

use abi::Errno;
use spin::Once;

use super::inotify::{WatchList, no_watches};
use super::locks::FileLocks;
use super::resolve::Asker;
use super::{Cred, DeviceId, FileKind, FileOps, FileSystem, OpenFlags, Path, Timestamp};
use crate::sync::{Rank, SpinGuard, SpinLock};

/// What stat(2) shows and chmod(2), chown(2) and utimensat(2) change.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    /// Permission, set-id and sticky bits: 0o7777.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Hard links.
    pub links: u32,
    /// Last access.
    pub accessed: Timestamp,
    /// Last change of content.
    pub modified: Timestamp,
    /// Last change of attributes.
    pub changed: Timestamp,
    /// Creation.
    pub created: Timestamp,
}

impl Attributes {
    /// Fresh attributes with all times now.
    pub fn new(mode: u16, uid: u32, gid: u32, links: u32) -> Self {
        let now = Timestamp::now();
        Self { mode, uid, gid, links, accessed: now, modified: now, changed: now, created: now }
    }
}

/// What a symbolic link leads to.
pub enum LinkTarget {
    /// A path to be walked.
    Text(Arc<[u8]>),
    /// A place itself: the magic links of /proc (`nd_jump_link`).
    Place(Path),
}

/// What statfs(2) tells of a file system, in its own block size.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatFs {
    /// `f_type`.
    pub magic: u64,
    /// `f_bsize`, `f_frsize`.
    pub block_bytes: u64,
    /// `f_blocks`.
    pub blocks: u64,
    /// `f_bfree`, `f_bavail`.
    pub blocks_free: u64,
    /// `f_files`.
    pub inodes: u64,
    /// `f_ffree`.
    pub inodes_free: u64,
}

/// A new inode's particulars, for the calls that make one.
pub struct NewInode<'a> {
    /// What it is.
    pub kind: FileKind,
    /// Its permission bits, umask applied.
    pub mode: u16,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its device number, if it is a device.
    pub device: DeviceId,
    /// Its text, if it is a symbolic link.
    pub link: &'a [u8],
}

/// What a kind of file system does with its inodes. The tree of names is the caller's ([`super::Dentry`]): it
/// has checked permissions, existence and types, and holds the directories' locks.
#[expect(unused_variables, reason = "defaults ignore their arguments")]
pub trait InodeOps: Any + Send + Sync {
    /// Finds `name` in the directory, in file systems whose names do not all live in the dentry tree.
    fn lookup(&self, dir: &Arc<Inode>, name: &[u8]) -> Result<Arc<Inode>, Errno> {
        Err(Errno::ENOENT)
    }

    /// Makes an inode to be entered in the directory as `name`.
    fn create(&self, dir: &Arc<Inode>, name: &[u8], new: &NewInode<'_>) -> Result<Arc<Inode>, Errno> {
        Err(Errno::EPERM)
    }

    /// Enters `inode` in the directory under a further name.
    fn link(&self, dir: &Arc<Inode>, name: &[u8], inode: &Arc<Inode>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Takes the name of `inode`, not a directory, out of the directory.
    fn unlink(&self, dir: &Arc<Inode>, name: &[u8], inode: &Arc<Inode>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Takes the empty directory `inode` out of the directory.
    fn rmdir(&self, dir: &Arc<Inode>, name: &[u8], inode: &Arc<Inode>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Moves a name to another directory of the same file system.
    fn rename(&self, from: (&Arc<Inode>, &[u8]), to: (&Arc<Inode>, &[u8])) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// What the symbolic link leads to, for whoever asks.
    fn read_link(&self, inode: &Arc<Inode>, asker: &Asker<'_>) -> Result<LinkTarget, Errno> {
        Err(Errno::EINVAL)
    }

    /// The object behind a new open file. Devices, FIFOs and sockets do not come here.
    fn open(self: Arc<Self>, inode: &Arc<Inode>, flags: OpenFlags, cred: &Arc<Cred>)
    -> Result<Arc<dyn FileOps>, Errno>;

    /// The size of the content in bytes.
    fn size_bytes(&self) -> u64 {
        0
    }

    /// Storage used, in units of 512 bytes.
    fn blocks_512(&self) -> u64 {
        0
    }

    /// Sets the size of a regular file's content.
    fn truncate(&self, inode: &Arc<Inode>, len: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// May refuse a change of attributes, or pass it on to the medium.
    fn set_attributes(&self, inode: &Arc<Inode>, attributes: &Attributes) -> Result<(), Errno> {
        Ok(())
    }

    /// Refreshes attributes that others change, before they are shown.
    fn refresh(&self, inode: &Arc<Inode>) -> Result<(), Errno> {
        Ok(())
    }

    /// Whether the name found earlier still stands (`d_revalidate`).
    fn still_valid(&self, inode: &Arc<Inode>) -> bool {
        true
    }

    /// The value of an extended attribute. `ENODATA`; `EOPNOTSUPP` without support.
    fn xattr(&self, inode: &Arc<Inode>, name: &[u8]) -> Result<Vec<u8>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// The names of the extended attributes, each followed by a zero byte; none without support.
    fn list_xattrs(&self, inode: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        Ok(Vec::new())
    }

    /// Sets (or with `None` removes) an extended attribute. `create` and `replace` are setxattr(2)'s flags.
    fn set_xattr(
        &self,
        inode: &Arc<Inode>,
        name: &[u8],
        value: Option<&[u8]>,
        create: bool,
        replace: bool,
    ) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}

/// A file, directory, link, device, FIFO or socket, whatever its names.
pub struct Inode {
    /// The file system it belongs to.
    pub fs: Arc<FileSystem>,
    /// Its number there.
    pub number: u64,
    /// What it is.
    pub kind: FileKind,
    /// Which device, if it is one.
    pub device: DeviceId,
    ops: Arc<dyn InodeOps>,
    attributes: SpinLock<Attributes>,
    /// Held by whoever writes, cuts or extends a regular file's content (`i_rwsem`).
    content: SpinLock<()>,
    /// Whom the node leads to: the pipe of a FIFO, the listener of a socket.
    attachment: SpinLock<Option<Arc<dyn Any + Send + Sync>>>,
    locks: Once<FileLocks>,
    /// Who is told what happens to it.
    watches: WatchList,
    /// Open for writing (positive) or being executed (negative): `i_writecount`.
    writers: AtomicI32,
    /// Open for reading alone: `i_readcount`.
    readers: AtomicI32,
    /// How long what is written is expected to live: `i_write_hint`.
    write_hint: AtomicU8,
    /// May be given a name though it has none (`O_TMPFILE`).
    linkable: AtomicBool,
}

impl Inode {
    /// An inode of `fs`.
    pub fn new(
        fs: Arc<FileSystem>,
        number: u64,
        kind: FileKind,
        device: DeviceId,
        attributes: Attributes,
        ops: Arc<dyn InodeOps>,
    ) -> Arc<Self> {
        Arc::new(Self {
            fs,
            number,
            kind,
            device,
            ops,
            attributes: SpinLock::new(Rank::Inode, attributes),
            content: SpinLock::new(Rank::FileContent, ()),
            attachment: SpinLock::new(Rank::Inode, None),
            locks: Once::new(),
            watches: no_watches(),
            writers: AtomicI32::new(0),
            readers: AtomicI32::new(0),
            write_hint: AtomicU8::new(0),
            linkable: AtomicBool::new(false),
        })
    }

    /// What its file system does with it.
    #[inline]
    pub fn ops(&self) -> &Arc<dyn InodeOps> {
        &self.ops
    }

    /// Its operations as the type they are, if they are a `T`.
    pub fn downcast<T: InodeOps>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.ops;
        any.downcast_ref()
    }

    /// A copy of its attributes.
    #[inline]
    pub fn attributes(&self) -> Attributes {
        *self.attributes.lock()
    }

    /// Changes its attributes in place.
    pub fn update(&self, change: impl FnOnce(&mut Attributes)) {
        change(&mut self.attributes.lock());
    }

    /// Held while the content of a regular file is written, cut or extended.
    pub fn lock_content(&self) -> SpinGuard<'_, ()> {
        self.content.lock()
    }

    /// What hangs on the inode while it is in memory: a FIFO's pipe, a bound socket. The first caller for whom
    /// there is none makes it.
    pub fn attachment(&self, make: impl FnOnce() -> Arc<dyn Any + Send + Sync>) -> Arc<dyn Any + Send + Sync> {
        self.attachment.lock().get_or_insert_with(make).clone()
    }

    /// What hangs on the inode, if anything.
    pub fn attached(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.attachment.lock().clone()
    }

    /// Hangs `object` on the inode, or takes off what hangs there. Returns what hung there before.
    pub fn attach(&self, object: Option<Arc<dyn Any + Send + Sync>>) -> Option<Arc<dyn Any + Send + Sync>> {
        core::mem::replace(&mut *self.attachment.lock(), object)
    }

    /// Who is told what happens to it.
    pub(super) fn watches(&self) -> &WatchList {
        &self.watches
    }

    /// Its record locks, if any were ever taken.
    pub(super) fn locks(&self) -> Option<&FileLocks> {
        self.locks.get()
    }

    /// Its record locks.
    pub(super) fn locks_or_new(&self) -> &FileLocks {
        self.locks.call_once(FileLocks::default)
    }
}

impl Drop for Inode {
    fn drop(&mut self) {
        super::notify::dropped(self);
    }
}

/// Times.
impl Inode {
    /// The content was read. With `relatime` only a first read after a change, or one after a day, moves the time.
    #[inline]
    pub fn touch_accessed(&self, relatime: bool) {
        const DAY_SECONDS: i64 = 24 * 60 * 60;
        let mut attributes = self.attributes.lock();
        let newer = attributes.accessed > attributes.modified && attributes.accessed > attributes.changed;
        if relatime && newer {
            let now = Timestamp::now();
            if now.seconds - attributes.accessed.seconds < DAY_SECONDS {
                return;
            }
        }
        attributes.accessed = Timestamp::now();
    }

    /// The content changed.
    pub fn touch_modified(&self) {
        let now = Timestamp::now();
        let mut attributes = self.attributes.lock();
        attributes.modified = now;
        attributes.changed = now;
    }

    /// The attributes changed.
    pub fn touch_changed(&self) {
        let now = Timestamp::now();
        self.attributes.lock().changed = now;
    }

    /// The content is being changed: times move, and the set-id bits go unless the writer keeps them (`file_remove_privs`).
    pub fn written_by(&self, keeps_set_id: bool) {
        let now = Timestamp::now();
        let mut attributes = self.attributes.lock();
        attributes.modified = now;
        attributes.changed = now;
        if !keeps_set_id {
            attributes.mode = without_set_id(attributes.mode);
        }
    }
}

/// The mode after its file was changed by somebody without `CAP_FSETID` (`should_remove_suid`).
pub fn without_set_id(mode: u16) -> u16 {
    let mode = mode & !0o4000;
    if mode & 0o2010 == 0o2010 { mode & !0o2000 } else { mode }
}

/// Links.
impl Inode {
    /// One name more. `ENOENT` for a file that has lost its last one, `EMLINK`.
    pub fn add_link(&self, max_links: u32) -> Result<(), Errno> {
        let mut attributes = self.attributes.lock();
        if attributes.links == 0 && !self.linkable.swap(false, Ordering::Relaxed) {
            return Err(Errno::ENOENT);
        }
        if attributes.links >= max_links {
            return Err(Errno::EMLINK);
        }
        attributes.links += 1;
        Ok(())
    }

    /// `count` names fewer.
    pub fn drop_links(&self, count: u32) {
        let now = Timestamp::now();
        let mut attributes = self.attributes.lock();
        attributes.links = attributes.links.saturating_sub(count);
        attributes.changed = now;
    }

    /// Whether linkat(2) may name it though it has no name.
    pub fn set_linkable(&self, linkable: bool) {
        self.linkable.store(linkable, Ordering::Relaxed);
    }
}

/// Writing and executing exclude each other.
impl Inode {
    /// It is opened for writing. `ETXTBSY` while it is executed (`get_write_access`).
    pub fn begin_writing(&self) -> Result<(), Errno> {
        let more = |count: i32| (count >= 0).then_some(count + 1);
        self.writers.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).map(drop).map_err(|_| Errno::ETXTBSY)
    }

    /// An open file for writing is gone.
    pub fn end_writing(&self) {
        self.writers.fetch_sub(1, Ordering::AcqRel);
    }

    /// It is opened for reading alone.
    pub(super) fn begin_reading(&self) {
        self.readers.fetch_add(1, Ordering::AcqRel);
    }

    /// An open file for reading alone is gone.
    pub(super) fn end_reading(&self) {
        self.readers.fetch_sub(1, Ordering::AcqRel);
    }

    /// How many have it open for writing, and how many for reading alone.
    pub(super) fn openers(&self) -> (i32, i32) {
        (self.writers.load(Ordering::Acquire), self.readers.load(Ordering::Acquire))
    }

    /// What fcntl(F_SET_RW_HINT) has set.
    pub fn write_hint(&self) -> u8 {
        self.write_hint.load(Ordering::Relaxed)
    }

    /// Keeps how long what is written is expected to live.
    pub fn set_write_hint(&self, hint: u8) {
        self.write_hint.store(hint, Ordering::Relaxed);
    }

    /// It is executed. `ETXTBSY` while it is open for writing (`deny_write_access`).
    pub fn begin_executing(&self) -> Result<(), Errno> {
        let more = |count: i32| (count <= 0).then_some(count - 1);
        self.writers.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).map(drop).map_err(|_| Errno::ETXTBSY)
    }

    /// A program made of it is gone.
    pub fn end_executing(&self) {
        self.writers.fetch_add(1, Ordering::AcqRel);
    }

    /// Cuts or extends a regular file, checks done (`do_truncate`).
    pub fn truncate_to(self: &Arc<Self>, len: u64, keeps_set_id: bool) -> Result<(), Errno> {
        let _content = self.lock_content();
        self.ops.truncate(self, len)?;
        self.written_by(keeps_set_id);
        Ok(())
    }
}
