//! [`Node`]: what a tmpfs inode holds, and the object behind its open files.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::Errno;
use abi::fcntl::{FallocMode, Seals};

use super::xattr::Xattrs;
use super::{Tmpfs, inode};
use crate::fs::content::{MAX_FILE_BYTES, PAGE_BYTES};
use crate::fs::resolve::Asker;
use crate::fs::{
    AccessFlags, Attributes, Content, Cred, DirSink, File, FileKind, FileOps, FileTraits, Inode, InodeOps, LinkTarget,
    MmapRequest, Mmapped, NewInode, OpenFlags, Sink, Source, Whence, dirents,
};
use crate::mem::{Backing, BackingIdentity, Frame, Mappers, PageError};
use crate::sync::{Rank, SpinLock};

/// What distinguishes the kinds.
enum Body {
    File(Content),
    Directory,
    Link(Arc<[u8]>),
    Special,
}

/// A file in memory.
pub struct Node {
    tmpfs: Arc<Tmpfs>,
    body: Body,
    xattrs: SpinLock<Option<Box<Xattrs>>>,
    /// `F_SEAL_*`; only memfds start without `F_SEAL_SEAL`.
    seals: AtomicU32,
}

impl Node {
    /// A directory. `ENOSPC`.
    pub fn directory(tmpfs: Arc<Tmpfs>) -> Result<Arc<Self>, Errno> {
        Self::new(tmpfs, Body::Directory)
    }

    /// A regular file. `ENOSPC`.
    pub fn file(tmpfs: Arc<Tmpfs>, content: Content) -> Result<Arc<Self>, Errno> {
        Self::new(tmpfs, Body::File(content))
    }

    fn new(tmpfs: Arc<Tmpfs>, body: Body) -> Result<Arc<Self>, Errno> {
        tmpfs.take_inode()?;
        let seals = AtomicU32::new(Seals::F_SEAL_SEAL.bits());
        Ok(Arc::new(Self { tmpfs, body, xattrs: SpinLock::new(Rank::Inode, None), seals }))
    }

    /// The content of a regular file.
    pub fn content(&self) -> Option<&Content> {
        match &self.body {
            Body::File(content) => Some(content),
            _ => None,
        }
    }

    fn regular(&self) -> Result<&Content, Errno> {
        self.content().ok_or(if matches!(self.body, Body::Directory) { Errno::EISDIR } else { Errno::EINVAL })
    }

    /// The seals in force.
    pub fn seals(&self) -> Seals {
        Seals::from_bits_retain(self.seals.load(Ordering::Acquire))
    }

    /// Sets the seals a new memfd starts with.
    pub fn set_seals(&self, seals: Seals) {
        self.seals.store(seals.bits(), Ordering::Release);
    }

    fn sealed(&self, seals: Seals) -> bool {
        self.seals().intersects(seals)
    }

    fn resize(&self, len: u64) -> Result<(), Errno> {
        let content = self.regular()?;
        if len > MAX_FILE_BYTES {
            return Err(Errno::EFBIG);
        }
        let size = content.size_bytes();
        if (len < size && self.sealed(Seals::F_SEAL_SHRINK)) || (len > size && self.sealed(Seals::F_SEAL_GROW)) {
            return Err(Errno::EPERM);
        }
        content.set_size(len);
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tmpfs.give_inode();
    }
}

impl InodeOps for Node {
    fn create(&self, dir: &Arc<Inode>, _name: &[u8], new: &NewInode<'_>) -> Result<Arc<Inode>, Errno> {
        let (body, links) = match new.kind {
            FileKind::Regular => (Body::File(Content::new(self.tmpfs.clone())), 1),
            FileKind::Directory => (Body::Directory, 2),
            FileKind::Symlink => (Body::Link(Arc::from(new.link)), 1),
            _ => (Body::Special, 1),
        };
        let node = Node::new(self.tmpfs.clone(), body)?;
        let attributes = Attributes::new(new.mode, new.uid, new.gid, links);
        Ok(inode(&dir.fs, new.kind, attributes, new.device, node))
    }

    fn link(&self, _dir: &Arc<Inode>, _name: &[u8], _inode: &Arc<Inode>) -> Result<(), Errno> {
        Ok(())
    }

    fn unlink(&self, _dir: &Arc<Inode>, _name: &[u8], _inode: &Arc<Inode>) -> Result<(), Errno> {
        Ok(())
    }

    fn rmdir(&self, _dir: &Arc<Inode>, _name: &[u8], _inode: &Arc<Inode>) -> Result<(), Errno> {
        Ok(())
    }

    fn rename(&self, _from: (&Arc<Inode>, &[u8]), _to: (&Arc<Inode>, &[u8])) -> Result<(), Errno> {
        Ok(())
    }

    fn read_link(&self, _inode: &Arc<Inode>, _asker: &Asker<'_>) -> Result<LinkTarget, Errno> {
        match &self.body {
            Body::Link(text) => Ok(LinkTarget::Text(text.clone())),
            _ => Err(Errno::EINVAL),
        }
    }

    fn open(
        self: Arc<Self>,
        _inode: &Arc<Inode>,
        flags: OpenFlags,
        _cred: &Arc<Cred>,
    ) -> Result<Arc<dyn FileOps>, Errno> {
        if flags.contains(OpenFlags::O_DIRECT) {
            return Err(Errno::EINVAL);
        }
        Ok(self)
    }

    fn size_bytes(&self) -> u64 {
        match &self.body {
            Body::File(content) => content.size_bytes(),
            Body::Link(text) => text.len() as u64,
            Body::Directory | Body::Special => 0,
        }
    }

    fn blocks_512(&self) -> u64 {
        self.content().map_or(0, |content| content.pages_used() * (PAGE_BYTES / 512))
    }

    fn truncate(&self, _inode: &Arc<Inode>, len: u64) -> Result<(), Errno> {
        self.resize(len)
    }

    fn xattr(&self, _inode: &Arc<Inode>, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.xattrs.lock().as_ref().map_or(Err(Errno::ENODATA), |xattrs| xattrs.get(name))
    }

    fn list_xattrs(&self, _inode: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        Ok(self.xattrs.lock().as_ref().map_or_else(Vec::new, |xattrs| xattrs.list()))
    }

    fn set_xattr(
        &self,
        _inode: &Arc<Inode>,
        name: &[u8],
        value: Option<&[u8]>,
        create: bool,
        replace: bool,
    ) -> Result<(), Errno> {
        self.xattrs.lock().get_or_insert_default().set(name, value, create, replace)
    }
}

impl FileOps for Node {
    fn traits(&self) -> FileTraits {
        match self.body {
            Body::File(_) => FileTraits::SEEKABLE | FileTraits::REGULAR,
            _ => FileTraits::SEEKABLE,
        }
    }

    fn try_read(&self, _file: &File, sink: &mut dyn Sink, offset: u64) -> Result<usize, Errno> {
        self.regular()?.read(sink, offset)
    }

    fn try_write(&self, _file: &File, source: &mut dyn Source, offset: u64) -> Result<usize, Errno> {
        let content = self.regular()?;
        if self.seals() != Seals::F_SEAL_SEAL {
            if self.sealed(Seals::F_SEAL_WRITE | Seals::F_SEAL_FUTURE_WRITE) {
                return Err(Errno::EPERM);
            }
            let end = offset.saturating_add(source.remaining() as u64);
            let size = content.size_bytes();
            if self.sealed(Seals::F_SEAL_GROW) && end > size {
                // Page by page, as Linux does: what is in whole pages before the end is written.
                let room = (size / PAGE_BYTES * PAGE_BYTES).checked_sub(offset).filter(|&room| room > 0);
                source.limit(usize::try_from(room.ok_or(Errno::EPERM)?).unwrap_or(usize::MAX));
            }
        }
        content.write(source, offset)
    }

    fn size_bytes(&self, _file: &File) -> u64 {
        InodeOps::size_bytes(self)
    }

    fn seek(&self, file: &File, position: u64, offset: i64, whence: Whence) -> Result<u64, Errno> {
        match &self.body {
            Body::File(content) => content.seek(position, offset, whence),
            _ => dirents::seek(file, position, offset, whence),
        }
    }

    fn truncate(&self, _file: &File, len: u64) -> Result<(), Errno> {
        self.resize(len)
    }

    /// `shmem_fallocate`: plain allocation, and holes with `KEEP_SIZE`.
    fn fallocate(&self, _file: &File, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        let content = self.content().ok_or(Errno::ENODEV)?;
        let keep_size = FallocMode::FALLOC_FL_KEEP_SIZE;
        let mode = FallocMode::from_bits_retain(mode);
        let end = offset + len;
        if mode == keep_size | FallocMode::FALLOC_FL_PUNCH_HOLE {
            if self.sealed(Seals::F_SEAL_WRITE | Seals::F_SEAL_FUTURE_WRITE) {
                return Err(Errno::EPERM);
            }
            return content.punch(offset, end);
        }
        if !keep_size.contains(mode) {
            return Err(Errno::EOPNOTSUPP);
        }
        let grows = !mode.contains(keep_size) && end > content.size_bytes();
        if grows && self.sealed(Seals::F_SEAL_GROW) {
            return Err(Errno::EPERM);
        }
        content.allocate(offset, end)?;
        if grows {
            content.set_size(end);
        }
        Ok(())
    }

    fn sync(&self, _file: &File, _data_only: bool) -> Result<(), Errno> {
        Ok(())
    }

    /// `shmem_mmap`, `seal_check_write`: a sealed file is mapped by others only to be read, and stays so.
    fn mmap(&self, file: &Arc<File>, request: &MmapRequest) -> Result<Mmapped, Errno> {
        self.content().ok_or(Errno::ENODEV)?;
        let sealed = self.sealed(Seals::F_SEAL_WRITE) || self.sealed(Seals::F_SEAL_FUTURE_WRITE);
        if request.shared && sealed && request.writes {
            return Err(Errno::EPERM);
        }
        Ok(Mmapped { object: Some(Arc::new(MappedFile(file.clone()))), never_write: sealed })
    }

    fn fcntl(&self, _file: &File, command: u32, arg: u64) -> Result<usize, Errno> {
        match command {
            abi::fcntl::F_GET_SEALS if self.content().is_some() => Ok(self.seals().bits() as usize),
            abi::fcntl::F_ADD_SEALS if self.content().is_some() => self.add_seals(_file, arg),
            _ => Err(Errno::EINVAL),
        }
    }

    fn read_dir(&self, file: &File, position: &mut u64, entries: &mut dyn DirSink) -> Result<(), Errno> {
        match self.body {
            Body::Directory => dirents::list_children(file, position, entries),
            _ => Err(Errno::ENOTDIR),
        }
    }
}

impl Node {
    /// fcntl(F_ADD_SEALS) (`memfd_add_seals`). `EPERM`, `EINVAL`, `EBUSY`.
    fn add_seals(&self, file: &File, arg: u64) -> Result<usize, Errno> {
        if !file.flags().writable() {
            return Err(Errno::EPERM);
        }
        let seals = u32::try_from(arg).ok().and_then(Seals::from_bits).ok_or(Errno::EINVAL)?;
        let _content = file.inode().lock_content();
        if self.sealed(Seals::F_SEAL_SEAL) {
            return Err(Errno::EPERM);
        }
        if seals.contains(Seals::F_SEAL_WRITE) && self.content().is_some_and(Content::is_mapped_writable) {
            return Err(Errno::EBUSY);
        }
        self.seals.fetch_or(seals.bits(), Ordering::AcqRel);
        Ok(0)
    }
}

/// A mapped tmpfs file. It keeps the open file, which /proc/PID/maps names; its mappers are the content's, so that
/// all mappings of a file are found through any.
struct MappedFile(Arc<File>);

impl MappedFile {
    fn node(&self) -> &Node {
        self.0.downcast::<Node>().expect("made of an open tmpfs file")
    }

    fn content(&self) -> &Content {
        self.node().content().expect("only regular files are mapped")
    }
}

impl Backing for MappedFile {
    fn page(&self, index: u64, write: bool) -> Result<Frame, PageError> {
        self.content().page(index, write)
    }

    fn is_resident(&self, index: u64) -> bool {
        self.content().is_resident(index)
    }

    fn resident_page(&self, index: u64) -> Option<Frame> {
        self.content().resident_page(index)
    }

    fn mappers(&self) -> &Mappers {
        self.content().mappers()
    }

    fn mapped(&self, shared: bool, writable: bool) -> Result<(), Errno> {
        self.content().mapped(shared, writable)
    }

    fn unmapped(&self, shared: bool, writable: bool) {
        self.content().unmapped(shared, writable);
    }

    fn is_memory(&self) -> bool {
        true
    }

    fn merge_key(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    fn identity(&self) -> BackingIdentity {
        let inode = self.0.inode();
        let path = self.0.path().display();
        BackingIdentity {
            device: inode.fs.device.encode(),
            inode: inode.number,
            path: String::from_utf8_lossy(&path).into_owned(),
        }
    }

    fn punch(&self, pages: Range<u64>) -> Result<(), Errno> {
        let _content = self.0.inode().lock_content();
        if self.node().sealed(Seals::F_SEAL_WRITE) || self.node().sealed(Seals::F_SEAL_FUTURE_WRITE) {
            return Err(Errno::EPERM);
        }
        self.content().punch(pages.start * PAGE_BYTES, pages.end * PAGE_BYTES)
    }
}
