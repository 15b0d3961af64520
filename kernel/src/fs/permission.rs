//! Whether a subject may do a thing to an inode (`fs/namei.c`: `inode_permission`, `may_create`, `may_delete`).

use abi::Errno;

use super::{Capabilities, Cred, Dentry, FileKind, Inode, Path};

bitflags::bitflags! {
    /// What is wanted of an inode: the bits of a mode's last digit.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Permission: u16 {
        /// Search a directory, execute a file.
        const EXEC = 1;
        /// Write.
        const WRITE = 2;
        /// Read.
        const READ = 4;
    }
}

/// Checks `want` against the inode's mode and the subject's identity and capabilities. `EACCES`, `EROFS`.
#[inline]
pub fn check(inode: &Inode, cred: &Cred, want: Permission) -> Result<(), Errno> {
    if want.contains(Permission::WRITE) && inode.fs.is_read_only() && inode.kind.lives_in_file_system() {
        return Err(Errno::EROFS);
    }
    let attributes = inode.attributes();
    let shift = if attributes.uid == cred.fsuid {
        6
    } else if cred.in_group(attributes.gid) {
        3
    } else {
        0
    };
    if want.bits() & !(attributes.mode >> shift) & 7 == 0 {
        return Ok(());
    }
    by_capability(inode.kind, attributes.mode, cred, want)
}

/// What the mode refuses, a capability may still grant (`generic_permission`).
fn by_capability(kind: FileKind, mode: u16, cred: &Cred, want: Permission) -> Result<(), Errno> {
    let only_reads = match kind {
        FileKind::Directory => !want.contains(Permission::WRITE),
        _ => want == Permission::READ,
    };
    let overridable = kind == FileKind::Directory || !want.contains(Permission::EXEC) || mode & 0o111 != 0;
    let granted = (only_reads && cred.capable(Capabilities::DAC_READ_SEARCH))
        || (overridable && cred.capable(Capabilities::DAC_OVERRIDE));
    if granted { Ok(()) } else { Err(Errno::EACCES) }
}

/// Whether the subject owns the inode or may act as if (`inode_owner_or_capable`).
pub fn is_owner(inode: &Inode, cred: &Cred) -> bool {
    inode.attributes().uid == cred.fsuid || cred.capable(Capabilities::FOWNER)
}

/// Whether the mount lets anything be changed (`mnt_want_write`). `EROFS`.
#[inline]
pub fn want_write(path: &Path) -> Result<(), Errno> {
    if path.mount.is_read_only() { Err(Errno::EROFS) } else { Ok(()) }
}

/// Whether the subject may enter a name in the directory (`may_create`, past its `EEXIST`).
pub fn may_create(dir: &Dentry, dead: bool, cred: &Cred) -> Result<(), Errno> {
    if dead {
        return Err(Errno::ENOENT);
    }
    check(dir.inode(), cred, Permission::WRITE | Permission::EXEC)
}

/// Whether the subject may take `victim` out of the directory (`may_delete`).
pub fn may_delete(dir: &Dentry, dead: bool, victim: &Dentry, want_dir: bool, cred: &Cred) -> Result<(), Errno> {
    check(dir.inode(), cred, Permission::WRITE | Permission::EXEC)?;
    if is_sticky(dir.inode(), victim.inode(), cred) {
        return Err(Errno::EPERM);
    }
    match (want_dir, victim.inode().kind == FileKind::Directory) {
        (true, false) => Err(Errno::ENOTDIR),
        (false, true) => Err(Errno::EISDIR),
        _ if dead => Err(Errno::ENOENT),
        _ => Ok(()),
    }
}

/// Whether the directory's sticky bit protects the victim from the subject (`check_sticky`).
fn is_sticky(dir: &Inode, victim: &Inode, cred: &Cred) -> bool {
    let directory = dir.attributes();
    directory.mode & 0o1000 != 0
        && directory.uid != cred.fsuid
        && victim.attributes().uid != cred.fsuid
        && !cred.capable(Capabilities::FOWNER)
}
