//! Reading directories: positions, and the listing of those whose entries are all in the dentry tree.

use abi::Errno;

use super::dentry::FIRST_COOKIE;
use super::{DirEntry, DirSink, File, FileKind, Whence};

/// The largest position: a seek there finds the end.
const END: u64 = i64::MAX as u64;

/// lseek(2) on a directory: to a position that was read, or the start (`dcache_dir_lseek`). `EINVAL`.
pub fn seek(_file: &File, position: u64, offset: i64, whence: Whence) -> Result<u64, Errno> {
    let base = match whence {
        Whence::Set => 0,
        Whence::Current => position as i64,
        _ => return Err(Errno::EINVAL),
    };
    base.checked_add(offset).and_then(|target| u64::try_from(target).ok()).ok_or(Errno::EINVAL)
}

/// Gives `.` and `..` if the position is before them. `false`: the sink is full.
pub fn dots(file: &File, position: &mut u64, entries: &mut dyn DirSink) -> bool {
    let here = &file.path().dentry;
    if *position == 0 {
        let entry = DirEntry { name: b".", inode: here.inode().number, kind: FileKind::Directory, next_position: 1 };
        if !entries.entry(entry) {
            return false;
        }
        *position = 1;
    }
    if *position == 1 {
        let parent = here.parent().map_or(here.inode().number, |parent| parent.inode().number);
        let entry = DirEntry { name: b"..", inode: parent, kind: FileKind::Directory, next_position: FIRST_COOKIE };
        if !entries.entry(entry) {
            return false;
        }
        *position = FIRST_COOKIE;
    }
    true
}

/// Lists a directory whose entries are all in the dentry tree. `ENOENT` once it is removed.
pub fn list_children(file: &File, position: &mut u64, entries: &mut dyn DirSink) -> Result<(), Errno> {
    let dentry = &file.path().dentry;
    if dentry.is_unlinked() {
        return Err(Errno::ENOENT);
    }
    if !dots(file, position, entries) || *position >= END {
        return Ok(());
    }
    let children = dentry.children();
    for (cookie, child) in children.from_cookie(*position) {
        let name = child.name();
        let inode = child.inode();
        let entry = DirEntry { name: &name, inode: inode.number, kind: inode.kind, next_position: cookie + 1 };
        if !entries.entry(entry) {
            break;
        }
        *position = cookie + 1;
    }
    Ok(())
}
