//! The kinds of file system that mount(2) knows (`fs/filesystems.c`).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use spin::Once;

use super::devfs;
use super::p9;
use super::tmpfs::{self, Options};
use super::{Cred, Instance};
use crate::sync::{Rank, SpinLock};

/// Makes, or finds, the file system that a source and options name.
pub type Opener = fn(source: &[u8], options: &[u8], cred: &Cred) -> Result<Arc<Instance>, Errno>;

/// A kind of file system.
#[derive(Clone, Copy)]
pub struct FileSystemType {
    /// Its name.
    pub name: &'static str,
    /// It needs a block device as its source.
    pub needs_device: bool,
    /// Opens one.
    pub open: Opener,
}

static TYPES: SpinLock<Vec<FileSystemType>> = SpinLock::new(Rank::Registry, Vec::new());

/// Makes a kind known. `proc` and `dev` register theirs; those of this room are always there.
pub fn register(kind: FileSystemType) {
    TYPES.lock().push(kind);
}

/// Every kind there is: /proc/filesystems.
pub fn all() -> Vec<FileSystemType> {
    static OWN: Once<()> = Once::new();
    OWN.call_once(|| {
        register(FileSystemType { name: "tmpfs", needs_device: false, open: open_tmpfs });
        register(FileSystemType { name: "ramfs", needs_device: false, open: open_ramfs });
        register(FileSystemType { name: "9p", needs_device: false, open: p9::open });
        register(FileSystemType { name: "devtmpfs", needs_device: false, open: |_, _, _| devfs::instance() });
    });
    TYPES.lock().clone()
}

/// The kind called `name`. `ENODEV`.
pub fn find(name: &[u8]) -> Result<FileSystemType, Errno> {
    all().into_iter().find(|kind| kind.name.as_bytes() == name).ok_or(Errno::ENODEV)
}

/// A tmpfs may by default use half of memory (`shmem_default_max_blocks`), for pages and inodes alike.
fn open_tmpfs(_source: &[u8], options: &[u8], _cred: &Cred) -> Result<Arc<Instance>, Errno> {
    let mut options = Options::parse(options)?;
    let half = (crate::mem::frame::statistics().0 / 2) as u64;
    options.pages = options.pages.or(Some(half));
    options.inodes = options.inodes.or(Some(half));
    tmpfs::new("tmpfs", &options)
}

/// ramfs has no limits and ignores options it does not know.
fn open_ramfs(_source: &[u8], options: &[u8], _cred: &Cred) -> Result<Arc<Instance>, Errno> {
    let options = Options::parse(options).unwrap_or_default();
    tmpfs::new("ramfs", &Options { pages: None, inodes: None, mode: 0o755, ..options })
}
