//! Files: descriptions, paths, mounts and the memory-resident file systems.
//!
//! From the user's end inwards:
//! - [`FdTable`]: descriptors; each refers to a [`File`], an open file description.
//! - [`File`] is opened at a [`Path`] and has behind it a [`FileOps`] object, whose `try_read`, `try_write`,
//!   `readiness` and `wait_queue` are all that blocking, polling and `O_NONBLOCK` need.
//! - [`Path`] is a [`Mount`] and a [`Dentry`], a name of an [`Inode`]; [`InodeOps`] is what a kind of file system does.
//! - [`ReadyQueue`] is what `wait_queue` gives: sleeping readers and writers, and the watchers of poll and epoll.
//! - [`Cred`] and [`FsContext`] say who acts and from where; they are passed in.
//! - [`Sink`] and [`Source`] are the buffers of reads and writes.
//!
//! Nothing here blocks but the async methods of [`File`] and of the record locks.
//! Locks, outermost first: `FilePosition`, `Rename`, `Mount`, `MountPlace`, `Directory` (ancestor first), `Dentry`,
//! `FileContent`, `Inode`, `File`.

pub mod attributes;
mod content;
mod context;
pub mod create;
mod cred;
mod dentry;
pub mod devfs;
pub mod device;
pub mod dirents;
pub mod dnotify;
mod fdtable;
mod file;
pub mod filesystems;
mod flags;
pub mod initramfs;
mod inode;
pub mod inotify;
mod io;
pub mod later;
pub mod lease;
pub mod locks;
pub mod mount;
#[cfg(test)]
mod mount_tests;
pub mod mounting;
pub mod notify;
pub mod open;
pub mod p9;
mod path;
pub mod permission;
mod poll;
pub mod pseudo;
mod ready;
pub mod remove;
pub mod rename;
pub mod resolve;
mod rw;
mod seek;
pub mod sigio;
pub mod stat;
mod time;
pub mod tmpfs;
mod user_io;
pub mod xattr;

pub use content::{Content, MAX_FILE_BYTES, PageBudget, content_pages};
pub use context::FsContext;
pub use cred::{Capabilities, Cred};
pub use dentry::Dentry;
pub use fdtable::{FdTable, MAX_DESCRIPTORS};
pub use file::{
    Access, Caller, DirEntry, DirSink, File, FileOps, FileTraits, MmapRequest, Mmapped, SignalOwner, Whence,
};
pub use flags::{AccessFlags, DeviceId, FileKind, OpenFlags};
pub use inode::{Attributes, Inode, InodeOps, LinkTarget, NewInode, StatFs};
pub use io::{Sink, SliceSink, SliceSource, Source};
pub use mount::{FileSystem, FileSystemOps, Instance, Mount, MountFlags};
pub use path::Path;
pub use poll::{ALWAYS_READY, PollEvents, READER_WAKES, WRITER_WAKES};
pub use ready::{ReadyQueue, Watcher};
pub use rw::{At, SizeLimit};
pub use seek::within_size as seek_within;
pub use time::Timestamp;
