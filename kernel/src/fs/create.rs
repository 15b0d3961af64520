//! Making names: mknod, mkdir, symlink, link (`fs/namei.c`).

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::NAME_MAX;

use super::permission::{may_create, want_write};
use super::resolve::{Last, Name, Parent, lookup};
use super::{Capabilities, Cred, Dentry, DeviceId, FileKind, FileSystem, FsContext, Inode, NewInode, Path, notify};

/// The largest number of names a file may have.
const MAX_LINKS: u32 = u32::MAX - 1;

/// A name that is free to be made (`filename_create`). `EEXIST`; `ENOENT` for a name with trailing slashes unless
/// it is for a directory; `EROFS`.
pub fn free_name(parent: Parent<'_>, for_dir: bool) -> Result<(Path, Name<'_>), Errno> {
    let Parent { dir, name: Last::Name(name), slash } = parent else { return Err(Errno::EEXIST) };
    match lookup(&dir, &name) {
        Ok(_) => return Err(Errno::EEXIST),
        Err(Errno::ENOENT) if slash && !for_dir => return Err(Errno::ENOENT),
        Err(Errno::ENOENT) => {}
        Err(error) => return Err(error),
    }
    want_write(&dir)?;
    Ok((dir, name))
}

/// The owner, group and mode of something made in `dir` by `cred` (`inode_init_owner`).
pub fn ownership<'a>(dir: &Inode, cred: &Cred, kind: FileKind, mode: u16) -> NewInode<'a> {
    let directory = dir.attributes();
    let mut mode = mode;
    let mut gid = cred.fsgid;
    if directory.mode & 0o2000 != 0 {
        gid = directory.gid;
        if kind == FileKind::Directory {
            mode |= 0o2000;
        } else if mode & 0o2010 == 0o2010 && !cred.in_group(gid) && !cred.capable(Capabilities::FSETID) {
            mode &= !0o2000;
        }
    }
    NewInode { kind, mode, uid: cred.fsuid, gid, device: DeviceId::default(), link: &[] }
}

/// Makes an inode and enters it in `dir` as `name`. Fails with `EEXIST` if somebody was faster.
pub fn make(dir: &Path, name: &[u8], cred: &Cred, new: &NewInode<'_>) -> Result<Arc<Dentry>, Errno> {
    make_with(dir, name, cred, new.kind, || dir.inode().ops().create(dir.inode(), name, new))
}

/// The same with the inode, of this kind, made by `create` once it may be.
pub fn make_with(
    dir: &Path,
    name: &[u8],
    cred: &Cred,
    kind: FileKind,
    create: impl FnOnce() -> Result<Arc<Inode>, Errno>,
) -> Result<Arc<Dentry>, Errno> {
    if name.len() > NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let parent = dir.inode();
    let dentry = {
        let mut children = dir.dentry.children();
        if children.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        may_create(&dir.dentry, children.is_dead(), cred)?;
        let dentry = Dentry::detached(&dir.dentry, name, create()?);
        if keeps_names(&parent.fs) {
            children.insert(dentry.clone());
        }
        dentry
    };
    parent.touch_modified();
    if kind == FileKind::Directory {
        parent.update(|attributes| attributes.links += 1);
    }
    notify::created(dir.inode(), name, kind);
    Ok(dentry)
}

fn keeps_names(fs: &Arc<FileSystem>) -> bool {
    fs.names_resident
}

/// mknod(2): `mode` has the type; the umask is applied here.
pub fn mknod(parent: Parent<'_>, cred: &Cred, context: &FsContext, mode: u32, device: DeviceId) -> Result<(), Errno> {
    let kind = match FileKind::from_mode(mode) {
        Some(FileKind::Directory) => return Err(Errno::EPERM),
        Some(FileKind::Symlink) | None => return Err(Errno::EINVAL),
        Some(kind) => kind,
    };
    let (dir, name) = free_name(parent, false)?;
    let is_device = matches!(kind, FileKind::CharDevice | FileKind::BlockDevice);
    let mode = mode as u16 & 0o7777 & !context.umask();
    let mut new = ownership(dir.inode(), cred, kind, mode);
    if is_device {
        may_create(&dir.dentry, dir.dentry.children().is_dead(), cred)?;
        if !cred.capable(Capabilities::MKNOD) {
            return Err(Errno::EPERM);
        }
        new.device = device;
    }
    make(&dir, &name, cred, &new).map(drop)
}

/// mkdir(2).
pub fn mkdir(parent: Parent<'_>, cred: &Cred, context: &FsContext, mode: u32) -> Result<(), Errno> {
    let (dir, name) = free_name(parent, true)?;
    let mode = mode as u16 & 0o1777 & !context.umask();
    let new = ownership(dir.inode(), cred, FileKind::Directory, mode);
    make(&dir, &name, cred, &new).map(drop)
}

/// symlink(2). An empty text has been refused (`ENOENT`).
pub fn symlink(text: &[u8], parent: Parent<'_>, cred: &Cred) -> Result<(), Errno> {
    let (dir, name) = free_name(parent, false)?;
    let mut new = ownership(dir.inode(), cred, FileKind::Symlink, 0o777);
    new.link = text;
    make(&dir, &name, cred, &new).map(drop)
}

/// link(2): a further name for the file at `old` (`vfs_link`).
pub fn link(old: &Path, parent: Parent<'_>, cred: &Cred) -> Result<(), Errno> {
    let (dir, name) = free_name(parent, false)?;
    if !Arc::ptr_eq(&old.mount, &dir.mount) {
        return Err(Errno::EXDEV);
    }
    if name.len() > NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let inode = old.inode();
    {
        let mut children = dir.dentry.children();
        if children.get(&name).is_some() {
            return Err(Errno::EEXIST);
        }
        may_create(&dir.dentry, children.is_dead(), cred)?;
        if inode.kind == FileKind::Directory {
            return Err(Errno::EPERM);
        }
        inode.add_link(MAX_LINKS)?;
        if let Err(error) = dir.inode().ops().link(dir.inode(), &name, inode) {
            inode.update(|attributes| attributes.links -= 1);
            return Err(error);
        }
        if keeps_names(&inode.fs) {
            children.insert(Dentry::detached(&dir.dentry, &name, inode.clone()));
        }
    }
    dir.inode().touch_modified();
    inode.touch_changed();
    notify::created(dir.inode(), &name, inode.kind);
    notify::links_changed(inode);
    Ok(())
}
