//! Extended attributes: who may see and change which (`fs/xattr.c`).

use alloc::vec::Vec;

use abi::Errno;
use abi::mount::{XATTR_NAME_MAX, XattrFlags};

use super::permission::{self, Permission, is_owner, want_write};
use super::{Capabilities, Cred, FileKind, Path};

/// Whether the subject may read or write the attribute (`xattr_permission`). `ENODATA`, `EPERM`, `EACCES`, `EOPNOTSUPP`,
/// `EINVAL` for a name that ends where its kind does.
fn may_use(place: &Path, name: &[u8], writes: bool, cred: &Cred) -> Result<(), Errno> {
    if [b"security.".as_slice(), b"trusted.", b"user."].contains(&name) {
        return Err(Errno::EINVAL);
    }
    let inode = place.inode();
    let refusal = if writes { Errno::EPERM } else { Errno::ENODATA };
    if name.starts_with(b"security.") {
        let may = !writes || cred.capable(Capabilities::SYS_ADMIN);
        return if may { Ok(()) } else { Err(Errno::EPERM) };
    }
    if name.starts_with(b"trusted.") {
        return if cred.capable(Capabilities::SYS_ADMIN) { Ok(()) } else { Err(refusal) };
    }
    if !name.starts_with(b"user.") {
        return Err(Errno::EOPNOTSUPP);
    }
    if !matches!(inode.kind, FileKind::Regular | FileKind::Directory) {
        return Err(refusal);
    }
    let sticky = inode.kind == FileKind::Directory && inode.attributes().mode & 0o1000 != 0;
    if sticky && writes && !is_owner(inode, cred) {
        return Err(Errno::EPERM);
    }
    permission::check(inode, cred, if writes { Permission::WRITE } else { Permission::READ })
}

/// Checks a name's length. `ERANGE`.
pub fn check_name(name: &[u8]) -> Result<(), Errno> {
    if name.is_empty() || name.len() > XATTR_NAME_MAX { Err(Errno::ERANGE) } else { Ok(()) }
}

/// getxattr(2)'s value.
pub fn get(place: &Path, name: &[u8], cred: &Cred) -> Result<Vec<u8>, Errno> {
    may_use(place, name, false, cred)?;
    place.inode().ops().xattr(place.inode(), name)
}

/// setxattr(2).
pub fn set(place: &Path, name: &[u8], value: &[u8], flags: XattrFlags, cred: &Cred) -> Result<(), Errno> {
    want_write(place)?;
    may_use(place, name, true, cred)?;
    let (create, replace) = (flags.contains(XattrFlags::XATTR_CREATE), flags.contains(XattrFlags::XATTR_REPLACE));
    place.inode().ops().set_xattr(place.inode(), name, Some(value), create, replace)?;
    place.inode().touch_changed();
    Ok(())
}

/// removexattr(2).
pub fn remove(place: &Path, name: &[u8], cred: &Cred) -> Result<(), Errno> {
    want_write(place)?;
    may_use(place, name, true, cred)?;
    place.inode().ops().set_xattr(place.inode(), name, None, false, false)?;
    place.inode().touch_changed();
    Ok(())
}

/// listxattr(2)'s names: `trusted.` ones are shown to those who may use them.
pub fn list(place: &Path, cred: &Cred) -> Result<Vec<u8>, Errno> {
    let mut names = place.inode().ops().list_xattrs(place.inode())?;
    if !cred.capable(Capabilities::SYS_ADMIN) {
        let visible = names.split_inclusive(|&byte| byte == 0).filter(|name| !name.starts_with(b"trusted."));
        names = visible.flatten().copied().collect();
    }
    Ok(names)
}
