//! tmpfs: files in memory. The initramfs, /tmp, /dev, /dev/shm and memfds are all of this kind.
//!
//! The dentry tree holds the names; a [`Node`] is what an inode holds besides: a regular file's [`Content`], a link's
//! text, extended attributes. [`Tmpfs`] counts pages and inodes against the limits `size=` and `nr_inodes=`.

mod limits;
mod node;
mod options;
mod xattr;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::sync::Arc;

use abi::Errno;

pub use limits::Tmpfs;
pub use node::Node;
pub use options::Options;

use super::{Attributes, Content, Dentry, DeviceId, FileKind, FileSystem, FileSystemOps, Inode, Instance, StatFs};

/// `TMPFS_MAGIC`.
const MAGIC: u64 = 0x0102_1994;

/// What the inodes of one tmpfs know of it as [`FileSystemOps`].
struct Mounted(Arc<Tmpfs>);

impl FileSystemOps for Mounted {
    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(self.0.statfs(MAGIC))
    }

    fn reconfigure(&self, options: &[u8]) -> Result<(), Errno> {
        self.0.reconfigure(&Options::parse(options)?)
    }

    fn show_options(&self) -> alloc::string::String {
        self.0.show_options()
    }
}

/// A new, empty tmpfs, shown as of type `kind` (`tmpfs`, `devtmpfs`, `rootfs`).
pub fn new(kind: &'static str, options: &Options) -> Result<Arc<Instance>, Errno> {
    let tmpfs = Arc::new(Tmpfs::new(options));
    let fs = FileSystem::new(kind, true, Box::new(Mounted(tmpfs.clone())));
    let attributes = Attributes::new(options.mode, options.uid, options.gid, 2);
    let root = inode(&fs, FileKind::Directory, attributes, DeviceId::default(), Node::directory(tmpfs)?);
    Ok(Arc::new(Instance { fs, root: Dentry::root(root) }))
}

/// The tmpfs that `fs` is. `EINVAL` if it is of another kind.
fn of(fs: &FileSystem) -> Result<&Arc<Tmpfs>, Errno> {
    fs.downcast::<Mounted>().map(|mounted| &mounted.0).ok_or(Errno::EINVAL)
}

/// A regular file in `fs` without a name, holding the bytes of `origin` in place.
pub fn file_inode(fs: &Arc<FileSystem>, attributes: Attributes, origin: &'static [u8]) -> Result<Arc<Inode>, Errno> {
    let tmpfs = of(fs)?;
    let content = Content::with_origin(tmpfs.clone(), origin);
    let node = Node::file(tmpfs.clone(), content)?;
    Ok(inode(fs, FileKind::Regular, attributes, DeviceId::default(), node))
}

fn inode(
    fs: &Arc<FileSystem>,
    kind: FileKind,
    attributes: Attributes,
    device: DeviceId,
    node: Arc<Node>,
) -> Arc<Inode> {
    Inode::new(fs.clone(), fs.new_inode_number(), kind, device, attributes, node)
}
