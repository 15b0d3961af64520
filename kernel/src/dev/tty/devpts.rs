//! devpts: the one /dev/pts, with a node for each pseudo-terminal whose master is open.
//!
//! Its tree lives in memory like a tmpfs's; nodes come and go with the pairs ([`super::pty`]).

use alloc::format;
use alloc::sync::Arc;

use abi::Errno;
use spin::Once;

use super::pty::TERMINAL_MAJOR;
use crate::fs::create::make;
use crate::fs::filesystems::{self, FileSystemType};
use crate::fs::tmpfs::{self, Options};
use crate::fs::{Cred, DeviceId, FileKind, Instance, Mount, MountFlags, NewInode, Path};

/// The mode of a terminal's node, and the group it belongs to (`mode=620,gid=5` where it is mounted).
const MODE: u16 = 0o620;
const TTY_GROUP: u32 = 5;

/// The file system: the same one however often it is mounted.
pub fn instance() -> Result<Arc<Instance>, Errno> {
    tree().map(|tree| tree.mount.instance.clone())
}

/// Makes it known to mount(2).
pub(super) fn register() {
    filesystems::register(FileSystemType { name: "devpts", needs_device: false, open: |_, _, _| instance() });
}

/// The root of the tree, through a mount of its own.
fn tree() -> Result<&'static Path, Errno> {
    static TREE: Once<Path> = Once::new();
    TREE.try_call_once(|| {
        let instance = tmpfs::new("devpts", &Options { mode: 0o755, ..Options::default() })?;
        let root = instance.root.clone();
        let root = Mount::new(instance, root, b"devpts", MountFlags::empty()).root_path();
        let multiplexer = NewInode {
            kind: FileKind::CharDevice,
            mode: 0o666,
            uid: 0,
            gid: 0,
            device: super::console::PTY_MULTIPLEXER,
            link: &[],
        };
        make(&root, b"ptmx", &Cred::root(), &multiplexer)?;
        Ok(root)
    })
}

/// Enters terminal `number`, which belongs to whoever opened the master.
pub(super) fn enter(number: u32, owner: &Cred) -> Result<(), Errno> {
    let node = NewInode {
        kind: FileKind::CharDevice,
        mode: MODE,
        uid: owner.fsuid,
        gid: TTY_GROUP,
        device: DeviceId::new(TERMINAL_MAJOR, number),
        link: &[],
    };
    make(tree()?, format!("{number}").as_bytes(), &Cred::root(), &node).map(drop)
}

/// Takes terminal `number` out.
pub(super) fn leave(number: u32) {
    let Ok(tree) = tree() else { return };
    let node = tree.dentry.children().remove(format!("{number}").as_bytes());
    if let Some(node) = node {
        node.mark_unlinked();
        node.inode().drop_links(1);
    }
}
