//! /proc: processes and the system as files (proc(5)).
//!
//! Nothing is kept: each walk makes the inodes it needs from a `Node`, which says what there is (a text, a link or a
//! directory), and each first read makes the text. A directory is a table (`Entry`) or computed (`Directory`).
//!
//! - [`node`]: nodes, and how they become inodes and open files.
//! - `root`, `task`, `fd`: the directories; [`task::Task`] is the process or thread a file is about.
//! - `stat`, `status`, `memory`, `mounts`, `net`, `sysvipc`, `system`, `sys`: the texts.
//!
//! No locks of its own. Texts are made with only the file's position held (rank `FilePosition`).

mod fd;
mod meminfo;
mod memory;
mod mounts;
mod net;
mod node;
mod root;
mod slab;
mod smaps;
mod stat;
mod status;
mod sys;
mod system;
mod sysvipc;
mod task;

use alloc::boxed::Box;
use alloc::sync::Arc;

use abi::Errno;
use spin::Once;

pub use node::process_of;
pub use system::set_command_line;

use crate::fs::filesystems::{self, FileSystemType};
use crate::fs::{Dentry, FileSystem, FileSystemOps, Instance, StatFs};
use crate::process::PidTable;

/// `PROC_SUPER_MAGIC`.
const MAGIC: u64 = 0x9fa0;
/// The root's inode number (`PROC_ROOT_INO`).
const ROOT_INODE: u64 = 1;

/// The processes shown, once the kernel has said which.
static TABLE: Once<Arc<PidTable>> = Once::new();

struct ProcFs;

impl FileSystemOps for ProcFs {
    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs { magic: MAGIC, block_bytes: 4096, ..StatFs::default() })
    }
}

/// Makes /proc known to mount(2), showing the processes of `table`. Called once, at boot.
pub fn install(table: &Arc<PidTable>) {
    TABLE.call_once(|| table.clone());
    filesystems::register(FileSystemType { name: "proc", needs_device: false, open: |_, _, _| instance() });
}

/// The file system: the same one however often it is mounted.
pub fn instance() -> Result<Arc<Instance>, Errno> {
    static INSTANCE: Once<Arc<Instance>> = Once::new();
    INSTANCE
        .try_call_once(|| {
            let table = TABLE.get().ok_or(Errno::ENODEV)?;
            Ok(new(table.clone()))
        })
        .cloned()
}

/// A /proc of the processes of `table`.
fn new(table: Arc<PidTable>) -> Arc<Instance> {
    let fs = FileSystem::new("proc", false, Box::new(ProcFs));
    let root = node::inode(&fs, ROOT_INODE, root::node(table));
    Arc::new(Instance { fs, root: Dentry::root(root) })
}
