//! Files outside the tree: pipes, sockets, eventfd and their like (`pipefs`, `sockfs`, `anon_inodefs`), memfds.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::Seals;
use spin::Once;

use super::tmpfs::{self, Node, Options};
use super::{
    Attributes, Cred, Dentry, DeviceId, File, FileKind, FileOps, FileSystem, FileSystemOps, Inode, InodeOps, Instance,
    Mount, MountFlags, OpenFlags, Path, StatFs,
};

/// A file system that has no names: its mount is nowhere.
struct Nowhere {
    mount: Arc<Mount>,
}

struct NoNames {
    magic: u64,
}

impl FileSystemOps for NoNames {
    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs { magic: self.magic, block_bytes: 4096, ..StatFs::default() })
    }
}

/// Gives the object behind a further open file of something outside the tree.
pub type Reopen = Box<dyn Fn(OpenFlags) -> Result<Arc<dyn FileOps>, Errno> + Send + Sync>;

/// Inodes that are only ever reached through an open file, or once more through /proc/PID/fd: what that does, if
/// anything (`no_open`).
struct Outside(Option<Reopen>);

impl InodeOps for Outside {
    fn open(
        self: Arc<Self>,
        _inode: &Arc<Inode>,
        flags: OpenFlags,
        _cred: &Arc<Cred>,
    ) -> Result<Arc<dyn FileOps>, Errno> {
        self.0.as_ref().ok_or(Errno::ENXIO)?(flags)
    }
}

/// Whether the inode is outside the tree, and knows by itself how to be opened.
pub(super) fn is_outside(inode: &Inode) -> bool {
    inode.downcast::<Outside>().is_some()
}

impl Nowhere {
    fn new(kind: &'static str, magic: u64) -> Self {
        let fs = FileSystem::new(kind, true, Box::new(NoNames { magic }));
        let root = Dentry::root(inode(&fs, FileKind::Directory, 0o555, &Cred::root(), None));
        let instance = Arc::new(Instance { fs, root: root.clone() });
        Self { mount: Mount::new(instance, root, kind.as_bytes(), MountFlags::empty()) }
    }

    fn place(&self, name: &[u8], inode: Arc<Inode>) -> Path {
        Path { mount: self.mount.clone(), dentry: Dentry::unattached(name, inode) }
    }
}

fn inode(fs: &Arc<FileSystem>, kind: FileKind, mode: u16, cred: &Cred, reopen: Option<Reopen>) -> Arc<Inode> {
    let attributes = Attributes::new(mode, cred.fsuid, cred.fsgid, 1);
    Inode::new(fs.clone(), fs.new_inode_number(), kind, DeviceId::default(), attributes, Arc::new(Outside(reopen)))
}

/// A place for the two ends of a new pipe: one inode, which /proc shows as `pipe:[number]`. Opened there once more, the
/// pipe has a further end, which `reopen` gives.
pub fn pipe_place(cred: &Cred, reopen: Reopen) -> Path {
    static PIPES: Once<Nowhere> = Once::new();
    let pipes = PIPES.call_once(|| Nowhere::new("pipefs", 0x5049_5045));
    let inode = inode(pipes.mount.fs(), FileKind::Fifo, 0o600, cred, Some(reopen));
    pipes.place(format!("pipe:[{}]", inode.number).as_bytes(), inode)
}

/// A place for a namespace of this kind, which /proc shows as `kind:[number]`. Opened there, it is what `reopen` gives.
pub fn namespace_place(kind: &str, number: u64, reopen: Reopen) -> Path {
    static NAMESPACES: Once<Nowhere> = Once::new();
    let namespaces = NAMESPACES.call_once(|| Nowhere::new("nsfs", 0x6e73_6673));
    let attributes = Attributes::new(0o444, 0, 0, 1);
    let ops = Arc::new(Outside(Some(reopen)));
    let inode =
        Inode::new(namespaces.mount.fs().clone(), number, FileKind::Regular, DeviceId::default(), attributes, ops);
    namespaces.place(format!("{kind}:[{number}]").as_bytes(), inode)
}

/// A place for a new socket, which /proc shows as `socket:[number]`.
pub fn socket_place(cred: &Cred) -> Path {
    static SOCKETS: Once<Nowhere> = Once::new();
    let sockets = SOCKETS.call_once(|| Nowhere::new("sockfs", 0x534f_434b));
    let inode = inode(sockets.mount.fs(), FileKind::Socket, 0o777, cred, None);
    sockets.place(format!("socket:[{}]", inode.number).as_bytes(), inode)
}

/// An open file for an object without an inode of its own, which /proc shows as `anon_inode:` and `name`
/// (`[eventfd]`, `[eventpoll]`, `inotify`). All share one inode, as on Linux.
pub fn anonymous_file(ops: Arc<dyn FileOps>, name: &str, flags: OpenFlags, cred: &Arc<Cred>) -> Arc<File> {
    static ANONYMOUS: Once<(Nowhere, Arc<Inode>)> = Once::new();
    let (nowhere, inode) = ANONYMOUS.call_once(|| {
        let nowhere = Nowhere::new("anon_inodefs", 0x0904_1934);
        let shared = inode(nowhere.mount.fs(), FileKind::Anonymous, 0o600, &Cred::root(), None);
        (nowhere, shared)
    });
    let place = nowhere.place(format!("anon_inode:{name}").as_bytes(), inode.clone());
    File::new(ops, place, flags, cred.clone())
}

/// An unnamed tmpfs for what has no mount: memfds, shared anonymous memory (`shm_mnt`).
fn memory_mount() -> Result<&'static Arc<Mount>, Errno> {
    static MEMORY: Once<Arc<Mount>> = Once::new();
    MEMORY.try_call_once(|| {
        let instance = tmpfs::new("tmpfs", &Options::default())?;
        let root = instance.root.clone();
        Ok(Mount::new(instance, root, b"tmpfs", MountFlags::empty()))
    })
}

/// memfd_create(2): an empty file that /proc shows as `/memfd:name`; sealable or not.
pub fn memory_file(name: &[u8], sealable: bool, cred: &Arc<Cred>) -> Result<Arc<File>, Errno> {
    let mount = memory_mount()?;
    let attributes = Attributes::new(0o777, cred.fsuid, cred.fsgid, 0);
    let inode = tmpfs::file_inode(mount.fs(), attributes, &[])?;
    if let Some(node) = inode.downcast::<Node>().filter(|_| sealable) {
        node.set_seals(Seals::empty());
    }
    let shown = [b"/memfd:", name].concat();
    let dentry = Dentry::unattached(&shown, inode);
    dentry.mark_unlinked();
    let file = super::open::open_place(Path { mount: mount.clone(), dentry }, OpenFlags::O_RDWR, cred)?;
    // Linux does not count this descriptor as a writer, so that it can be executed.
    file.end_writing();
    Ok(file)
}
