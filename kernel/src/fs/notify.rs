//! What happens to files, told to whoever watches them ([`super::inotify`], [`super::dnotify`]). Each call is one load while nobody does.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::poll::InMask;

use super::{AccessFlags, File, FileKind, Inode, OpenFlags, Path, dnotify, inotify};

/// Whether anybody watches anything.
#[inline]
fn in_use() -> bool {
    inotify::in_use() || dnotify::in_use()
}

/// Tells those who watch `inode`: `mask` happened to it, or, with a name, to that entry of it.
fn tell(inode: &Inode, mask: InMask, cookie: u32, name: &[u8]) {
    if dnotify::in_use() && !name.is_empty() {
        dnotify::tell(inode, mask);
    }
    if inotify::in_use() {
        inotify::tell(inode, mask, cookie, name);
    }
}

fn with_kind(mask: InMask, kind: FileKind) -> InMask {
    if kind == FileKind::Directory { mask | InMask::IN_ISDIR } else { mask }
}

/// Tells the watchers of the file and, with its name, those of its directory.
#[cold]
fn tell_both(place: &Path, mask: InMask) {
    let inode = place.inode();
    let mask = with_kind(mask, inode.kind);
    let (parent, name) = place.dentry.place();
    if let Some(parent) = parent {
        tell(parent.inode(), mask, 0, &name);
    }
    tell(inode, mask, 0, b"");
}

/// `name` was made in `dir`.
pub fn created(dir: &Arc<Inode>, name: &[u8], kind: FileKind) {
    if in_use() {
        tell(dir, with_kind(InMask::IN_CREATE, kind), 0, name);
    }
}

/// `name`, which stood for `inode`, was taken out of `dir`.
pub fn removed(dir: &Arc<Inode>, name: &[u8], inode: &Arc<Inode>) {
    if in_use() {
        if inode.kind != FileKind::Directory {
            tell(inode, InMask::IN_ATTRIB, 0, b"");
        }
        tell(dir, with_kind(InMask::IN_DELETE, inode.kind), 0, name);
    }
}

/// A name of `inode` moved.
pub fn moved(from: (&Arc<Inode>, &[u8]), to: (&Arc<Inode>, &[u8]), inode: &Arc<Inode>) {
    static COOKIE: AtomicU32 = AtomicU32::new(1);
    if in_use() {
        let cookie = COOKIE.fetch_add(1, Ordering::Relaxed);
        tell(from.0, with_kind(InMask::IN_MOVED_FROM, inode.kind), cookie, from.1);
        tell(to.0, with_kind(InMask::IN_MOVED_TO, inode.kind), cookie, to.1);
        tell(inode, InMask::IN_MOVE_SELF, 0, b"");
    }
}

/// The number of names changed.
pub fn links_changed(inode: &Arc<Inode>) {
    if in_use() {
        tell(inode, InMask::IN_ATTRIB, 0, b"");
    }
}

/// Attributes changed.
pub fn attributes_changed(place: &Path) {
    if in_use() {
        tell_both(place, InMask::IN_ATTRIB);
    }
}

/// A file was cut or extended by its name.
pub fn resized(place: &Path) {
    if in_use() {
        tell_both(place, InMask::IN_MODIFY);
    }
}

/// A file was opened.
pub fn opened(file: &File) {
    if in_use() && !file.flags().contains(OpenFlags::O_PATH) {
        tell_both(file.path(), InMask::IN_OPEN);
    }
}

/// An open file's last reference went.
pub fn closed(file: &File) {
    if in_use() {
        let mask = if file.flags().writable() { InMask::IN_CLOSE_WRITE } else { InMask::IN_CLOSE_NOWRITE };
        tell_both(file.path(), mask);
    }
}

/// A file was read.
#[inline]
pub fn accessed(file: &File) {
    if in_use() {
        tell_both(file.path(), InMask::IN_ACCESS);
    }
}

/// A file was written.
#[inline]
pub fn modified(file: &File) {
    if in_use() {
        tell_both(file.path(), InMask::IN_MODIFY);
    }
}

/// The last reference to an inode is going.
pub fn dropped(inode: &Inode) {
    if inotify::in_use() && inode.attributes().links == 0 {
        inotify::inode_gone(inode);
    }
}
