//! [`Mount`]: a file system's place in the tree, and [`FileSystem`]: what all its inodes share.
//!
//! There is one mount namespace. Its table maps (mount, dentry) to the mount on top of it; a dentry's count of
//! mounts says whether the table need be asked at all.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::Errno;

use super::{Dentry, DeviceId, Path, StatFs};
use crate::sync::{Rank, SpinLock};

bitflags::bitflags! {
    /// Properties of a mount (`MNT_*`), in statfs(2)'s bits (`ST_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct MountFlags: u32 {
        /// Nothing can be changed through it.
        const RDONLY = 1;
        /// Set-id bits have no effect.
        const NOSUID = 2;
        /// Devices cannot be opened.
        const NODEV = 4;
        /// Programs cannot be executed.
        const NOEXEC = 8;
        /// Access times are not kept.
        const NOATIME = 1024;
        /// Access times of directories are not kept.
        const NODIRATIME = 2048;
        /// Access times are kept only if older than the modification, or than a day.
        const RELATIME = 4096;
        /// Symbolic links are not followed.
        const NOSYMFOLLOW = 8192;
    }
}

/// What a mounted file system can do as a whole.
pub trait FileSystemOps: Any + Send + Sync {
    /// What statfs(2) shows.
    fn statfs(&self) -> Result<StatFs, Errno>;

    /// Changes options (`mount -o remount`).
    fn reconfigure(&self, _options: &[u8]) -> Result<(), Errno> {
        Ok(())
    }

    /// Options past the common ones, as /proc/mounts shows them: each preceded by a comma.
    fn show_options(&self) -> String {
        String::new()
    }

    /// Brings everything to the medium.
    fn sync(&self) {}
}

/// What the inodes of one file system share (`struct super_block`).
pub struct FileSystem {
    /// Its type: `tmpfs`, `proc`.
    pub kind: &'static str,
    /// `st_dev` of its inodes.
    pub device: DeviceId,
    /// Whether names may be kept in the dentry tree and all of them are there.
    pub names_resident: bool,
    /// Read-only as a whole, whatever its mounts say.
    read_only: AtomicU32,
    ops: Box<dyn FileSystemOps>,
    next_inode: AtomicU64,
}

impl FileSystem {
    /// A file system without a device of its own (`get_anon_bdev`).
    pub fn new(kind: &'static str, names_resident: bool, ops: Box<dyn FileSystemOps>) -> Arc<Self> {
        static NEXT_DEVICE: AtomicU32 = AtomicU32::new(1);
        let device = DeviceId::new(0, NEXT_DEVICE.fetch_add(1, Ordering::Relaxed));
        Arc::new(Self {
            kind,
            device,
            names_resident,
            read_only: AtomicU32::new(0),
            ops,
            next_inode: AtomicU64::new(1),
        })
    }

    /// What it can do.
    pub fn ops(&self) -> &dyn FileSystemOps {
        &*self.ops
    }

    /// Its operations as the type they are, if they are a `T`.
    pub fn downcast<T: FileSystemOps>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.ops;
        any.downcast_ref()
    }

    /// A number for a new inode.
    pub fn new_inode_number(&self) -> u64 {
        self.next_inode.fetch_add(1, Ordering::Relaxed)
    }

    /// Forbids or allows changes as a whole (`mount -o remount,ro`).
    pub fn set_read_only(&self, on: bool) {
        self.read_only.store(u32::from(on), Ordering::Relaxed);
    }

    /// Whether nothing in it may be changed.
    #[inline]
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed) != 0
    }
}

/// A file system and its tree, which goes when the last mount of it does.
pub struct Instance {
    /// What its inodes share.
    pub fs: Arc<FileSystem>,
    /// The root of its tree.
    pub root: Arc<Dentry>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.root.dismantle();
    }
}

/// A place where (part of) a file system's tree can be reached.
pub struct Mount {
    /// Its number in mountinfo.
    pub id: u32,
    /// The file system.
    pub instance: Arc<Instance>,
    /// The part of its tree that is seen here.
    pub root: Arc<Dentry>,
    /// What mount(2) was told as the source.
    pub source: Vec<u8>,
    flags: AtomicU32,
    /// What it covers; `None` at the top of the namespace, and once detached.
    covers: SpinLock<Option<Path>>,
}

impl Mount {
    /// A mount of `root`, a dentry of `instance`, that is nowhere yet.
    pub fn new(instance: Arc<Instance>, root: Arc<Dentry>, source: &[u8], flags: MountFlags) -> Arc<Self> {
        static NEXT_ID: AtomicU32 = AtomicU32::new(20);
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            instance,
            root,
            source: source.to_vec(),
            flags: AtomicU32::new(flags.bits()),
            covers: SpinLock::new(Rank::MountPlace, None),
        })
    }

    /// What the inodes of its file system share.
    #[inline]
    pub fn fs(&self) -> &Arc<FileSystem> {
        &self.instance.fs
    }

    /// Its properties.
    #[inline]
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Changes its properties.
    pub fn set_flags(&self, flags: MountFlags) {
        self.flags.store(flags.bits(), Ordering::Relaxed);
    }

    /// What it covers.
    pub fn covers(&self) -> Option<Path> {
        self.covers.lock().clone()
    }

    /// Whether nothing may be changed through it.
    #[inline]
    pub fn is_read_only(&self) -> bool {
        self.flags().contains(MountFlags::RDONLY) || self.fs().is_read_only()
    }

    /// The name of its root within its file system: `/` but for bind mounts.
    pub fn root_name(&self) -> Vec<u8> {
        let mut names = Vec::new();
        let (mut parent, mut name) = self.root.place();
        while let Some(above) = parent {
            names.push(name);
            (parent, name) = above.place();
        }
        let mut text: Vec<u8> = names.iter().rev().flat_map(|name| [b"/", &name[..]].concat()).collect();
        if text.is_empty() {
            text.push(b'/');
        }
        text
    }

    /// Its root as a path.
    pub fn root_path(self: &Arc<Self>) -> Path {
        Path { mount: self.clone(), dentry: self.root.clone() }
    }
}

/// The mounts of the namespace, by the mount and the dentry they cover, and in the order they were made.
struct Table {
    top: Option<Arc<Mount>>,
    by_place: BTreeMap<(u32, usize), Arc<Mount>>,
    by_id: BTreeMap<u32, Arc<Mount>>,
}

static TABLE: SpinLock<Table> =
    SpinLock::new(Rank::Mount, Table { top: None, by_place: BTreeMap::new(), by_id: BTreeMap::new() });

fn key(place: &Path) -> (u32, usize) {
    (place.mount.id, Arc::as_ptr(&place.dentry) as usize)
}

/// What is mounted right on `place`.
pub fn mounted_on(place: &Path) -> Option<Arc<Mount>> {
    TABLE.lock().by_place.get(&key(place)).cloned()
}

/// Makes `mount` the top of the namespace.
pub fn attach_root(mount: &Arc<Mount>) {
    let mut table = TABLE.lock();
    table.by_id.insert(mount.id, mount.clone());
    let old = table.top.replace(mount.clone());
    drop(table);
    drop(old);
}

/// The top of the namespace.
pub fn top() -> Option<Path> {
    let top = TABLE.lock().top.clone();
    top.map(|mount| mount.root_path().topmost())
}

/// Puts `mount` on `place`, on which nothing is mounted.
pub fn attach(mount: &Arc<Mount>, place: Path) {
    let mut table = TABLE.lock();
    place.dentry.mounts.fetch_add(1, Ordering::Relaxed);
    table.by_place.insert(key(&place), mount.clone());
    table.by_id.insert(mount.id, mount.clone());
    let old = mount.covers.lock().replace(place);
    drop(table);
    drop(old);
}

/// Takes `mount` off what it covers; open files keep it.
pub fn detach(mount: &Arc<Mount>) {
    let mut table = TABLE.lock();
    let Some(place) = mount.covers.lock().take() else { return };
    let removed = (table.by_place.remove(&key(&place)), table.by_id.remove(&mount.id));
    place.dentry.mounts.fetch_sub(1, Ordering::Relaxed);
    drop(table);
    drop((removed, place));
}

/// Every mount, in the order they were made.
pub fn all() -> Vec<Arc<Mount>> {
    TABLE.lock().by_id.values().cloned().collect()
}

/// How many mounts there are.
pub fn count() -> usize {
    TABLE.lock().by_id.len()
}

/// The mounts that cover something in `mount`.
pub fn children_of(mount: &Mount) -> Vec<Arc<Mount>> {
    let table = TABLE.lock();
    let on_it = table.by_place.range((mount.id, 0)..=(mount.id, usize::MAX));
    on_it.map(|(_, child)| child.clone()).collect()
}
