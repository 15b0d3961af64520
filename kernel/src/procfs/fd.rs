//! /proc/PID/fd and /proc/PID/fdinfo: the descriptors of a task.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::OpenFlags;

use super::node::{Body, Directory, Node, Text};
use super::root;
use super::task::Task;
use crate::fs::{AccessFlags, FdTable, File, FileKind, LinkTarget};

/// What stat(2) shows as a link's size, however long its text (`proc_fd_instantiate`).
const LINK_BYTES: u64 = 64;

fn table(task: &Task) -> Option<Arc<FdTable>> {
    task.holdings().ok()?.files
}

fn file(task: &Task, fd: i32) -> Result<Arc<File>, Errno> {
    table(task).ok_or(Errno::ENOENT)?.get_any(fd).map_err(|_| Errno::ENOENT)
}

/// Lists the open descriptors.
fn list(task: &Task, kind: FileKind, position: u64, give: &mut dyn FnMut(&[u8], FileKind, u64) -> bool) {
    let Some(table) = table(task) else { return };
    let mut from = u32::try_from(position).unwrap_or(u32::MAX);
    while let Some((fd, file)) = table.next_open(from) {
        drop(file);
        from = fd + 1;
        if !give(format!("{fd}").as_bytes(), kind, u64::from(from)) {
            return;
        }
    }
}

/// /proc/PID/fd: magic links to what the descriptors refer to.
pub struct Descriptors(pub Task);

impl Directory for Descriptors {
    fn lookup(&self, name: &[u8]) -> Option<Node> {
        let fd = root::number(name)?;
        let found = file(&self.0, fd).ok()?;
        let task = self.0.clone();
        let body = Body::Link(Box::new(move |asker| {
            task.check_access(asker.cred, asker.pid)?;
            Ok(LinkTarget::Place(file(&task, fd)?.path().clone()))
        }));
        Some(Node { size_bytes: LINK_BYTES, ..Node::new(body, link_mode(&found)) })
    }

    fn list(&self, position: u64, give: &mut dyn FnMut(&[u8], FileKind, u64) -> bool) {
        list(&self.0, FileKind::Symlink, position, give);
    }

    fn is_gone(&self) -> bool {
        self.0.is_gone()
    }
}

/// The link's mode tells how the file is open (`tid_fd_update_inode`).
fn link_mode(file: &File) -> u16 {
    let flags = file.flags();
    let read = if flags.readable() { 0o500 } else { 0 };
    let write = if flags.writable() { 0o300 } else { 0 };
    read | write
}

/// /proc/PID/fdinfo: a text about each descriptor.
pub struct DescriptorInfos(pub Task);

impl Directory for DescriptorInfos {
    fn lookup(&self, name: &[u8]) -> Option<Node> {
        let fd = root::number(name)?;
        file(&self.0, fd).ok()?;
        let task = self.0.clone();
        let body = Body::Text(Box::new(move |text: &mut Text| describe(text, &task, fd)));
        Some(Node::new(body, 0o444))
    }

    fn list(&self, position: u64, give: &mut dyn FnMut(&[u8], FileKind, u64) -> bool) {
        list(&self.0, FileKind::Regular, position, give);
    }

    fn is_gone(&self) -> bool {
        self.0.is_gone()
    }
}

/// proc(5): `pos`, `flags` (octal, close-on-exec included), `mnt_id`, `ino`, then what the object adds.
fn describe(text: &mut Text, task: &Task, fd: i32) -> Result<(), Errno> {
    let file = file(task, fd)?;
    let close_on_exec = table(task).is_some_and(|table| table.is_close_on_exec(fd) == Ok(true));
    let flags = file.flags().bits() | if close_on_exec { OpenFlags::O_CLOEXEC.bits() } else { 0 };
    // The position of this very file is held while its text is made.
    let position = file.position_now().unwrap_or(0);
    text.put(format_args!(
        "pos:\t{position}\nflags:\t0{flags:o}\nmnt_id:\t{}\nino:\t{}\n",
        file.path().mount.id,
        file.inode().number
    ));
    // Writing to a text cannot fail.
    let _ = file.ops().fdinfo(&file, text);
    Ok(())
}
