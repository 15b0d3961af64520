//! [`Node`]: an inode whose file is at the server, and [`Share`]: the inodes in memory.
//!
//! A file has one inode as long as anybody has it in hand, so that locks and what watches it are found. Each lookup gives
//! it a fresh handle: an older one may stand for a name that is gone.
//!
//! Locks: all of rank `File`, one at a time.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::mem;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::fcntl::AtFlags;

use super::client::{Changes, Client, Fid, Stat};
use super::key;
use super::open::{OpenDirectory, OpenFile};
use super::pages::Pages;
use crate::fs::later::later;
use crate::fs::resolve::Asker;
use crate::fs::{
    Attributes, Cred, DeviceId, FileKind, FileOps, FileSystem, Inode, InodeOps, LinkTarget, NewInode, OpenFlags,
};
use crate::sync::{Rank, SpinLock};

/// A file that the server has found.
#[derive(Clone)]
pub struct Found {
    /// Its place.
    pub fid: Arc<Fid>,
    /// Its attributes.
    pub stat: Stat,
}

impl Found {
    /// The file at `fid`.
    pub async fn of(client: &Client, fid: Fid) -> Result<Self, Errno> {
        let stat = client.attributes(&fid).await?;
        Ok(Self { fid: Arc::new(fid), stat })
    }

    /// The entry `name` of the directory.
    async fn at(client: &Arc<Client>, dir: &Fid, name: &[u8]) -> Result<Self, Errno> {
        let fid = client.walk(dir, Some(name)).await?;
        Self::of(client, fid).await
    }
}

/// A connection and the inodes in memory.
pub struct Share {
    /// The server.
    pub client: Arc<Client>,
    /// By the server's number.
    inodes: SpinLock<BTreeMap<u64, Weak<Inode>>>,
}

impl Share {
    /// No inodes yet.
    pub fn new(client: Arc<Client>) -> Self {
        Self { client, inodes: SpinLock::new(Rank::File, BTreeMap::new()) }
    }

    /// The inode of a file, up to date.
    pub fn inode(self: &Arc<Self>, fs: &Arc<FileSystem>, found: &Found) -> Arc<Inode> {
        let number = found.stat.qid.path;
        let known = self.inodes.lock().get(&number).and_then(Weak::upgrade);
        // A number may come to be another file's while the first is still open.
        let known = known.filter(|inode| Some(inode.kind) == FileKind::from_mode(found.stat.mode));
        let node = known.as_ref().and_then(|inode| inode.downcast::<Node>());
        if let (Some(inode), Some(node)) = (&known, node) {
            let old = mem::replace(&mut *node.fid.lock(), found.fid.clone());
            drop(old);
            node.note(inode, &found.stat);
            return inode.clone();
        }
        let stat = &found.stat;
        let kind = FileKind::from_mode(stat.mode).unwrap_or(FileKind::Regular);
        let node = Arc::new(Node::new(self.clone(), found));
        let device = if matches!(kind, FileKind::CharDevice | FileKind::BlockDevice) {
            stat.device
        } else {
            DeviceId::default()
        };
        let inode = Inode::new(fs.clone(), number, kind, device, attributes_of(stat), node);
        let old = self.inodes.lock().insert(number, Arc::downgrade(&inode));
        drop(old);
        inode
    }
}

fn attributes_of(stat: &Stat) -> Attributes {
    Attributes {
        mode: (stat.mode & 0o7777) as u16,
        uid: stat.uid,
        gid: stat.gid,
        links: u32::try_from(stat.links).unwrap_or(u32::MAX),
        accessed: stat.accessed,
        modified: stat.modified,
        changed: stat.changed,
        created: stat.changed,
    }
}

/// A file at the server.
pub struct Node {
    share: Arc<Share>,
    number: u64,
    fid: SpinLock<Arc<Fid>>,
    size_bytes: AtomicU64,
    blocks_512: AtomicU64,
    /// Opened for reading and writing by the question that made the file, for the open(2) that made it: its mode may
    /// forbid another.
    made: SpinLock<Option<Arc<Fid>>>,
    /// What is mapped, or was last.
    pub(super) pages: SpinLock<Weak<Pages>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut inodes = self.share.inodes.lock();
        // Another inode may have the number by now.
        if inodes.get(&self.number).is_some_and(|inode| inode.strong_count() == 0) {
            inodes.remove(&self.number);
        }
    }
}

impl Node {
    fn new(share: Arc<Share>, found: &Found) -> Self {
        Self {
            share,
            number: found.stat.qid.path,
            fid: SpinLock::new(Rank::File, found.fid.clone()),
            size_bytes: AtomicU64::new(found.stat.size_bytes),
            blocks_512: AtomicU64::new(found.stat.blocks_512),
            made: SpinLock::new(Rank::File, None),
            pages: SpinLock::new(Rank::File, Weak::new()),
        }
    }

    /// Takes over what the server says.
    pub(super) fn note(&self, inode: &Inode, stat: &Stat) {
        self.size_bytes.store(stat.size_bytes, Ordering::Relaxed);
        self.blocks_512.store(stat.blocks_512, Ordering::Relaxed);
        let created = inode.attributes().created;
        inode.update(|attributes| *attributes = Attributes { created, ..attributes_of(stat) });
    }

    /// The file has at least this size: it was written to.
    pub(super) fn reaches(&self, size_bytes: u64) {
        self.size_bytes.fetch_max(size_bytes, Ordering::Relaxed);
    }

    /// The server.
    pub(super) fn client(&self) -> Arc<Client> {
        self.share.client.clone()
    }

    fn place(&self) -> Arc<Fid> {
        self.fid.lock().clone()
    }

    /// The place of another inode of the same file system.
    fn place_of(inode: &Inode) -> Result<Arc<Fid>, Errno> {
        inode.downcast::<Self>().map(Self::place).ok_or(Errno::EXDEV)
    }

    /// Asks for the attributes and notes them.
    fn ask_attributes(&self, inode: &Inode) -> Result<Stat, Errno> {
        let (client, fid) = (self.client(), self.place());
        let stat = later(key("stat", &[fid.number().into()], b""), async move { client.attributes(&fid).await })?;
        self.note(inode, &stat);
        Ok(stat)
    }

    fn change(&self, what: &str, changes: Changes) -> Result<(), Errno> {
        let (client, fid) = (self.client(), self.place());
        let work = async move { client.set_attributes(&fid, &changes).await };
        later(key(what, &[self.number], b""), work)
    }
}

/// Makes a file; gives it, and its open handle if it is a regular one.
async fn make(
    client: Arc<Client>,
    dir: Arc<Fid>,
    name: Vec<u8>,
    mode: u32,
    (kind, gid, device): (FileKind, u32, DeviceId),
    link: Vec<u8>,
) -> Result<(Found, Option<Arc<Fid>>), Errno> {
    let mut opened = None;
    match kind {
        FileKind::Directory => client.make_directory(&dir, &name, mode, gid).await?,
        FileKind::Symlink => client.make_symlink(&dir, &name, &link, gid).await?,
        FileKind::Regular => {
            let flags = OpenFlags::O_RDWR | OpenFlags::O_CREAT | OpenFlags::O_EXCL;
            let fid = client.walk(&dir, None).await?;
            client.create(&fid, &name, flags.bits(), mode, gid).await?;
            opened = Some(Arc::new(fid));
        }
        _ => client.make_node(&dir, &name, mode | kind.mode_bits(), device, gid).await?,
    }
    Ok((Found::at(&client, &dir, &name).await?, opened))
}

impl InodeOps for Node {
    fn lookup(&self, dir: &Arc<Inode>, name: &[u8]) -> Result<Arc<Inode>, Errno> {
        let (client, fid, text) = (self.client(), self.place(), name.to_vec());
        let work = async move { Found::at(&client, &fid, &text).await };
        let found = later(key("lookup", &[self.number], name), work)?;
        Ok(self.share.inode(&dir.fs, &found))
    }

    /// `EOPNOTSUPP` for a file without a name.
    fn create(&self, dir: &Arc<Inode>, name: &[u8], new: &NewInode<'_>) -> Result<Arc<Inode>, Errno> {
        if name.is_empty() {
            return Err(Errno::EOPNOTSUPP);
        }
        let particulars = (new.kind, new.gid, new.device);
        let work = make(self.client(), self.place(), name.to_vec(), new.mode.into(), particulars, new.link.to_vec());
        let (found, opened) = later(key("create", &[self.number], name), work)?;
        let inode = self.share.inode(&dir.fs, &found);
        if let Some(node) = inode.downcast::<Self>() {
            let old = mem::replace(&mut *node.made.lock(), opened);
            drop(old);
        }
        Ok(inode)
    }

    fn link(&self, _dir: &Arc<Inode>, name: &[u8], inode: &Arc<Inode>) -> Result<(), Errno> {
        let (client, dir, file, text) = (self.client(), self.place(), Self::place_of(inode)?, name.to_vec());
        let work = async move { client.link(&dir, &text, &file).await };
        later(key("link", &[self.number, inode.number], name), work)
    }

    fn unlink(&self, _dir: &Arc<Inode>, name: &[u8], _inode: &Arc<Inode>) -> Result<(), Errno> {
        self.remove(name, 0)
    }

    fn rmdir(&self, _dir: &Arc<Inode>, name: &[u8], _inode: &Arc<Inode>) -> Result<(), Errno> {
        self.remove(name, AtFlags::AT_REMOVEDIR.bits())
    }

    fn rename(&self, from: (&Arc<Inode>, &[u8]), to: (&Arc<Inode>, &[u8])) -> Result<(), Errno> {
        let (client, from_dir, to_dir) = (self.client(), self.place(), Self::place_of(to.0)?);
        let names = (from.1.to_vec(), to.1.to_vec());
        let question = key("rename", &[self.number, to.0.number], &[from.1, b"/", to.1].concat());
        later(question, async move { client.rename((&from_dir, &names.0), (&to_dir, &names.1)).await })
    }

    fn read_link(&self, _inode: &Arc<Inode>, _asker: &Asker<'_>) -> Result<LinkTarget, Errno> {
        let (client, fid) = (self.client(), self.place());
        let work = async move { client.read_link(&fid).await };
        later(key("readlink", &[self.number], b""), work).map(LinkTarget::Text)
    }

    fn open(
        self: Arc<Self>,
        inode: &Arc<Inode>,
        flags: OpenFlags,
        _cred: &Arc<Cred>,
    ) -> Result<Arc<dyn FileOps>, Errno> {
        const PASSED: OpenFlags = OpenFlags::O_WRONLY
            .union(OpenFlags::O_RDWR)
            .union(OpenFlags::O_APPEND)
            .union(OpenFlags::O_DSYNC)
            .union(OpenFlags::O_DIRECTORY)
            .union(OpenFlags::O_NOFOLLOW);
        let made = self.made.lock().take();
        let fid = match made.filter(|_| !flags.contains(OpenFlags::O_APPEND)) {
            Some(made) => made,
            None => {
                let (client, place, bits) = (self.client(), self.place(), flags.intersection(PASSED).bits());
                let work = async move {
                    let fid = client.walk(&place, None).await?;
                    client.open(&fid, bits).await?;
                    Ok(Arc::new(fid))
                };
                later(key("open", &[self.number, bits.into()], b""), work)?
            }
        };
        Ok(match inode.kind {
            FileKind::Directory => Arc::new(OpenDirectory { node: self, fid }),
            _ => Arc::new(OpenFile { node: self, fid }),
        })
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Relaxed)
    }

    fn blocks_512(&self) -> u64 {
        self.blocks_512.load(Ordering::Relaxed)
    }

    fn truncate(&self, _inode: &Arc<Inode>, len: u64) -> Result<(), Errno> {
        self.change("truncate", Changes { size_bytes: Some(len), ..Changes::default() })?;
        self.size_bytes.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn set_attributes(&self, inode: &Arc<Inode>, attributes: &Attributes) -> Result<(), Errno> {
        let now = inode.attributes();
        let changed = |new: u32, old: u32| (new != old).then_some(new);
        let changes = Changes {
            mode: changed(attributes.mode.into(), now.mode.into()).map(|mode| mode | inode.kind.mode_bits()),
            uid: changed(attributes.uid, now.uid),
            gid: changed(attributes.gid, now.gid),
            size_bytes: None,
            accessed: (attributes.accessed != now.accessed).then_some(attributes.accessed),
            modified: (attributes.modified != now.modified).then_some(attributes.modified),
        };
        self.change("change", changes)
    }

    /// A file that is open but has no name any more cannot be asked about: it shows what was known last.
    fn refresh(&self, inode: &Arc<Inode>) -> Result<(), Errno> {
        match self.ask_attributes(inode) {
            Err(Errno::EIOCBQUEUED) => Err(Errno::EIOCBQUEUED),
            _ => Ok(()),
        }
    }
}

impl Node {
    fn remove(&self, name: &[u8], flags: u32) -> Result<(), Errno> {
        let (client, dir, text) = (self.client(), self.place(), name.to_vec());
        let work = async move { client.unlink(&dir, &text, flags).await };
        later(key("unlink", &[self.number], name), work)
    }
}
