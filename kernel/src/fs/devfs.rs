//! devtmpfs: the one /dev, filled with a node for each device that is registered.

use alloc::sync::Arc;

use abi::Errno;
use spin::Once;

use super::create::make;
use super::tmpfs::{self, Options};
use super::{Cred, Dentry, FileKind, Instance, Mount, MountFlags, NewInode, Path, device};

/// Links that programs expect (`udev` makes them on other systems).
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
];

/// Directories on which others are mounted, or which every user may write.
const DIRECTORIES: [(&str, u16); 2] = [("pts", 0o755), ("shm", 0o1777)];

/// The file system: the same one however often it is mounted. Devices registered by the first call are in it.
pub fn instance() -> Result<Arc<Instance>, Errno> {
    static INSTANCE: Once<Arc<Instance>> = Once::new();
    INSTANCE.try_call_once(make_instance).cloned()
}

fn make_instance() -> Result<Arc<Instance>, Errno> {
    let instance = tmpfs::new("devtmpfs", &Options { mode: 0o755, ..Options::default() })?;
    let mount = Mount::new(instance.clone(), instance.root.clone(), b"devtmpfs", MountFlags::empty());
    let root = mount.root_path();
    for node in device::nodes() {
        let new = NewInode { device: node.device, ..plain(node.kind, node.mode) };
        enter(&root, &node.name, &new)?;
    }
    for (name, target) in LINKS {
        enter(&root, name, &NewInode { link: target.as_bytes(), ..plain(FileKind::Symlink, 0o777) })?;
    }
    for (name, mode) in DIRECTORIES {
        enter(&root, name, &plain(FileKind::Directory, mode))?;
    }
    Ok(instance)
}

fn plain<'a>(kind: FileKind, mode: u16) -> NewInode<'a> {
    NewInode { kind, mode, uid: 0, gid: 0, device: Default::default(), link: &[] }
}

/// Makes `name`, which may have directories before it.
fn enter(root: &Path, name: &str, new: &NewInode<'_>) -> Result<Arc<Dentry>, Errno> {
    let cred = Cred::root();
    let mut dir = root.clone();
    let mut parts = name.split('/').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return make(&dir, part.as_bytes(), &cred, new);
        }
        dir.dentry = match dir.dentry.child(part.as_bytes()) {
            Some(child) => child,
            None => make(&dir, part.as_bytes(), &cred, &plain(FileKind::Directory, 0o755))?,
        };
    }
    Err(Errno::ENOENT)
}
