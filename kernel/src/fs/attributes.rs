//! Changing attributes: chmod, chown, utimensat, truncate; asking for access (`fs/open.c`, `fs/attr.c`, `fs/utimes.c`).

use abi::Errno;

use super::inode::without_set_id;
use super::permission::{self, Permission, is_owner, want_write};
use super::{AccessFlags, Capabilities, Cred, File, FileKind, MountFlags, Path, SizeLimit, Timestamp, lease, notify};

/// chmod(2) (`chmod_common`, `setattr_prepare`). `EROFS`, `EPERM`.
pub fn change_mode(place: &Path, mode: u16, cred: &Cred) -> Result<(), Errno> {
    want_write(place)?;
    let inode = place.inode();
    if !is_owner(inode, cred) {
        return Err(Errno::EPERM);
    }
    if inode.kind == FileKind::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    let mut attributes = inode.attributes();
    attributes.mode = mode & 0o7777;
    if !cred.in_group(attributes.gid) && !cred.capable(Capabilities::FSETID) {
        attributes.mode &= !0o2000;
    }
    inode.ops().set_attributes(inode, &attributes)?;
    inode.update(|now| now.mode = attributes.mode);
    inode.touch_changed();
    notify::attributes_changed(place);
    Ok(())
}

/// chown(2): `None` leaves an identity as it is (`chown_common`). `EROFS`, `EPERM`.
pub fn change_owner(place: &Path, uid: Option<u32>, gid: Option<u32>, cred: &Cred) -> Result<(), Errno> {
    want_write(place)?;
    let inode = place.inode();
    let mut attributes = inode.attributes();
    let owns = attributes.uid == cred.fsuid;
    let may_chown = |uid| owns && uid == attributes.uid;
    let may_chgrp = |gid| owns && (gid == attributes.gid || cred.in_group(gid));
    if !cred.capable(Capabilities::CHOWN) && !(uid.is_none_or(may_chown) && gid.is_none_or(may_chgrp)) {
        return Err(Errno::EPERM);
    }
    attributes.uid = uid.unwrap_or(attributes.uid);
    attributes.gid = gid.unwrap_or(attributes.gid);
    if inode.kind != FileKind::Directory {
        attributes.mode = without_set_id(attributes.mode);
    }
    inode.ops().set_attributes(inode, &attributes)?;
    inode.update(|now| (now.uid, now.gid, now.mode) = (attributes.uid, attributes.gid, attributes.mode));
    inode.touch_changed();
    notify::attributes_changed(place);
    Ok(())
}

/// A time to be set by utimensat(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewTime {
    /// `UTIME_NOW`.
    Now,
    /// `UTIME_OMIT`.
    Keep,
    /// A given time.
    Given(Timestamp),
}

/// utimensat(2), accessed and modified (`vfs_utimes`). To set both to now, write permission is enough (`EACCES`); else
/// only the owner may (`EPERM`). `EROFS`.
pub fn change_times(place: &Path, accessed: NewTime, modified: NewTime, cred: &Cred) -> Result<(), Errno> {
    want_write(place)?;
    let inode = place.inode();
    if !is_owner(inode, cred) {
        if (accessed, modified) != (NewTime::Now, NewTime::Now) {
            return Err(Errno::EPERM);
        }
        permission::check(inode, cred, Permission::WRITE)?;
    }
    let now = Timestamp::now();
    let choose = |new, old| match new {
        NewTime::Now => now,
        NewTime::Keep => old,
        NewTime::Given(time) => time,
    };
    let mut attributes = inode.attributes();
    attributes.accessed = choose(accessed, attributes.accessed);
    attributes.modified = choose(modified, attributes.modified);
    inode.ops().set_attributes(inode, &attributes)?;
    inode.update(|set| (set.accessed, set.modified, set.changed) = (attributes.accessed, attributes.modified, now));
    notify::attributes_changed(place);
    Ok(())
}

/// truncate(2) (`vfs_truncate`). `EISDIR`, `EINVAL`, `EROFS`, `EACCES`, `ETXTBSY`, `EFBIG`.
pub fn truncate(place: &Path, len: u64, cred: &Cred, limit: &mut SizeLimit) -> Result<(), Errno> {
    let inode = place.inode();
    match inode.kind {
        FileKind::Regular => {}
        FileKind::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    want_write(place)?;
    permission::check(inode, cred, Permission::WRITE)?;
    lease::break_for(inode, true, true)?;
    inode.begin_writing()?;
    let done = check_new_size(inode.ops().size_bytes(), len, limit)
        .and_then(|()| inode.truncate_to(len, cred.capable(Capabilities::FSETID)));
    inode.end_writing();
    if done.is_ok() {
        notify::resized(place);
    }
    done
}

/// ftruncate(2) (`do_sys_ftruncate`). `EINVAL`, `EPERM`, `EFBIG`.
pub fn truncate_file(file: &File, len: u64, cred: &Cred, limit: &mut SizeLimit) -> Result<(), Errno> {
    if file.inode().kind != FileKind::Regular || !file.flags().writable() {
        return Err(Errno::EINVAL);
    }
    check_new_size(file.ops().size_bytes(file), len, limit)?;
    file.inode().truncate_to(len, cred.capable(Capabilities::FSETID))?;
    notify::modified(file);
    Ok(())
}

/// `inode_newsize_ok`: growing obeys `RLIMIT_FSIZE`.
fn check_new_size(size: u64, len: u64, limit: &mut SizeLimit) -> Result<(), Errno> {
    if len > size && len > limit.max_bytes {
        limit.exceeded = true;
        return Err(Errno::EFBIG);
    }
    Ok(())
}

/// access(2) with the identity to be asked about (`do_faccessat`). `EACCES`, `EROFS`.
pub fn access(place: &Path, want: Permission, cred: &Cred) -> Result<(), Errno> {
    let inode = place.inode();
    let noexec = place.mount.flags().contains(MountFlags::NOEXEC);
    if want.contains(Permission::EXEC) && inode.kind == FileKind::Regular && noexec {
        return Err(Errno::EACCES);
    }
    permission::check(inode, cred, want)?;
    if want.contains(Permission::WRITE) && inode.kind.lives_in_file_system() { want_write(place) } else { Ok(()) }
}

/// The identity access(2) asks about: the real one, with the capabilities it would have (`access_override_creds`).
pub fn real_identity(cred: &Cred) -> Cred {
    const NO_SETUID_FIXUP: u32 = 1 << 2;
    let mut real = cred.clone();
    (real.fsuid, real.fsgid) = (cred.uid, cred.gid);
    if cred.securebits & NO_SETUID_FIXUP == 0 {
        real.effective = if cred.uid == 0 { cred.permitted } else { Capabilities::empty() };
    }
    real
}
