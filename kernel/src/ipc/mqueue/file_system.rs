//! The names of message queues: the file system `mqueue`, one flat directory, the same however often it is mounted.

use alloc::boxed::Box;
use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::{NAME_MAX, O_ACCMODE};
use abi::mqueue::MqAttr;
use spin::Once;

use super::Queue;
use super::limits::{Charge, default_attributes};
use crate::fs::create::make_with;
use crate::fs::filesystems::{self, FileSystemType};
use crate::fs::open::open_place;
use crate::fs::permission::{self, Permission};
use crate::fs::resolve::Start;
use crate::fs::{
    Attributes, Capabilities, Cred, Dentry, DeviceId, DirSink, File, FileKind, FileOps, FileSystem, FileSystemOps,
    FileTraits, FsContext, Inode, InodeOps, Instance, Mount, MountFlags, NewInode, OpenFlags, Path, StatFs, Whence,
    dirents, remove,
};

/// `MQUEUE_MAGIC`.
const MAGIC: u64 = 0x1980_0202;
/// What stat(2) says of a queue's size (`FILENT_SIZE`).
const FILE_BYTES: u64 = 80;
/// What a queue made by open(2) may take of its user's share: the default of `RLIMIT_MSGQUEUE`.
const DEFAULT_LIMIT_BYTES: u64 = 819_200;

struct Statistics;

impl FileSystemOps for Statistics {
    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs { magic: MAGIC, block_bytes: 4096, ..StatFs::default() })
    }
}

/// The directory.
struct Root;

impl InodeOps for Root {
    /// open(2) with `O_CREAT`: a queue of the default size.
    fn create(&self, dir: &Arc<Inode>, _name: &[u8], new: &NewInode<'_>) -> Result<Arc<Inode>, Errno> {
        if new.kind != FileKind::Regular {
            return Err(Errno::EPERM);
        }
        let attributes = default_attributes();
        let owner = Cred { uid: new.uid, effective: Capabilities::empty(), ..Cred::root() };
        let charge = Charge::new(&attributes, &owner, DEFAULT_LIMIT_BYTES)?;
        Ok(queue_inode(dir, Attributes::new(new.mode, new.uid, new.gid, 1), Queue::new(&attributes, charge)))
    }

    fn unlink(&self, _dir: &Arc<Inode>, _name: &[u8], _inode: &Arc<Inode>) -> Result<(), Errno> {
        Ok(())
    }

    fn open(
        self: Arc<Self>,
        _inode: &Arc<Inode>,
        _flags: OpenFlags,
        _cred: &Arc<Cred>,
    ) -> Result<Arc<dyn FileOps>, Errno> {
        Ok(self)
    }
}

impl FileOps for Root {
    fn traits(&self) -> FileTraits {
        FileTraits::SEEKABLE
    }

    fn try_read(&self, _: &File, _: &mut dyn crate::fs::Sink, _: u64) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn seek(&self, file: &File, position: u64, offset: i64, whence: Whence) -> Result<u64, Errno> {
        dirents::seek(file, position, offset, whence)
    }

    fn read_dir(&self, file: &File, position: &mut u64, entries: &mut dyn DirSink) -> Result<(), Errno> {
        dirents::list_children(file, position, entries)
    }
}

impl InodeOps for Queue {
    fn open(
        self: Arc<Self>,
        _inode: &Arc<Inode>,
        _flags: OpenFlags,
        _cred: &Arc<Cred>,
    ) -> Result<Arc<dyn FileOps>, Errno> {
        Ok(self)
    }

    fn size_bytes(&self) -> u64 {
        FILE_BYTES
    }
}

fn queue_inode(dir: &Inode, attributes: Attributes, queue: Queue) -> Arc<Inode> {
    let number = dir.fs.new_inode_number();
    Inode::new(dir.fs.clone(), number, FileKind::Regular, DeviceId::default(), attributes, Arc::new(queue))
}

fn instance() -> Arc<Instance> {
    static INSTANCE: Once<Arc<Instance>> = Once::new();
    let make = || {
        let fs = FileSystem::new("mqueue", true, Box::new(Statistics));
        let attributes = Attributes::new(0o1777, 0, 0, 2);
        let number = fs.new_inode_number();
        let root = Inode::new(fs.clone(), number, FileKind::Directory, DeviceId::default(), attributes, Arc::new(Root));
        Arc::new(Instance { fs, root: Dentry::root(root) })
    };
    INSTANCE.call_once(make).clone()
}

/// The directory as mq_open(2) sees it, mounted or not.
fn root() -> Path {
    static MOUNT: Once<Arc<Mount>> = Once::new();
    let make = || {
        let instance = instance();
        Mount::new(instance.clone(), instance.root.clone(), b"mqueue", MountFlags::empty())
    };
    MOUNT.call_once(make).root_path()
}

/// Makes the file system known to mount(2). Called once, at boot.
pub fn install() {
    filesystems::register(FileSystemType { name: "mqueue", needs_device: false, open: |_, _, _| Ok(instance()) });
}

/// What mq_open(2) asks for, and in whose name.
pub struct Opening<'a> {
    /// The access mode, `O_CREAT`, `O_EXCL`, `O_NONBLOCK`.
    pub flags: OpenFlags,
    /// Permissions of a new queue, umask applied.
    pub mode: u16,
    /// Its size; the default if there is none.
    pub attributes: Option<&'a MqAttr>,
    /// Who opens.
    pub cred: &'a Arc<Cred>,
    /// `RLIMIT_MSGQUEUE`.
    pub limit_bytes: u64,
}

/// Opens a queue (`do_mq_open()`, `prepare_open()`). `EACCES` for a name that is no single component, `ENAMETOOLONG`,
/// `ENOENT`, `EEXIST`, `EINVAL`, `EMFILE`, `ENOSPC`.
pub fn open(name: &[u8], opening: &Opening<'_>) -> Result<Arc<File>, Errno> {
    check_name(name)?;
    let root = root();
    loop {
        let dentry = match root.dentry.child(name) {
            Some(dentry) => {
                may_open(&dentry, opening)?;
                dentry
            }
            None if !opening.flags.contains(OpenFlags::O_CREAT) => return Err(Errno::ENOENT),
            None => match make_queue(&root, name, opening) {
                // Somebody was faster.
                Err(Errno::EEXIST) => continue,
                made => made?,
            },
        };
        let place = Path { mount: root.mount.clone(), dentry };
        let flags = opening.flags.difference(OpenFlags::O_CREAT | OpenFlags::O_EXCL);
        return open_place(place, flags, opening.cred);
    }
}

fn may_open(dentry: &Dentry, opening: &Opening<'_>) -> Result<(), Errno> {
    if opening.flags.contains(OpenFlags::O_CREAT | OpenFlags::O_EXCL) {
        return Err(Errno::EEXIST);
    }
    let want = match opening.flags.bits() & O_ACCMODE {
        0 => Permission::READ,
        1 => Permission::WRITE,
        2 => Permission::READ | Permission::WRITE,
        _ => return Err(Errno::EINVAL),
    };
    permission::check(dentry.inode(), opening.cred, want)
}

fn make_queue(root: &Path, name: &[u8], opening: &Opening<'_>) -> Result<Arc<Dentry>, Errno> {
    let cred = opening.cred;
    make_with(root, name, cred, FileKind::Regular, || {
        let attributes = opening.attributes.copied().unwrap_or_else(default_attributes);
        let charge = Charge::new(&attributes, cred, opening.limit_bytes)?;
        let shown = Attributes::new(opening.mode, cred.fsuid, cred.fsgid, 1);
        Ok(queue_inode(root.inode(), shown, Queue::new(&attributes, charge)))
    })
}

/// Takes a queue's name away; the queue goes with its last descriptor. `EACCES`, `ENAMETOOLONG`, `ENOENT`, `EPERM`.
pub fn unlink(name: &[u8], cred: &Cred) -> Result<(), Errno> {
    check_name(name)?;
    let context = FsContext::new(root());
    let parent = Start::at_cwd(&context, cred).resolve_parent(name)?;
    remove::unlink(parent, cred)
}

/// `lookup_one_len()`'s rules.
fn check_name(name: &[u8]) -> Result<(), Errno> {
    if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
        return Err(Errno::EACCES);
    }
    if name.len() > NAME_MAX { Err(Errno::ENAMETOOLONG) } else { Ok(()) }
}
