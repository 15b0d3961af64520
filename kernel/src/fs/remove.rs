//! Taking names away: unlink and rmdir (`fs/namei.c`).

use alloc::sync::Arc;

use abi::Errno;

use super::permission::{may_delete, want_write};
use super::resolve::{Last, Parent, lookup};
use super::{Cred, Dentry, FileKind, Path, notify};

/// unlink(2) (`do_unlinkat`).
pub fn unlink(parent: Parent<'_>, cred: &Cred) -> Result<(), Errno> {
    let Parent { dir, name: Last::Name(name), slash } = parent else { return Err(Errno::EISDIR) };
    want_write(&dir)?;
    let victim = lookup(&dir, &name)?;
    if slash {
        let is_dir = victim.inode().kind == FileKind::Directory;
        return Err(if is_dir { Errno::EISDIR } else { Errno::ENOTDIR });
    }
    {
        let mut children = dir.dentry.children();
        let victim = still_there(&children, &dir, &name, &victim)?;
        may_delete(&dir.dentry, children.is_dead(), &victim, false, cred)?;
        if victim.is_mount_point() {
            return Err(Errno::EBUSY);
        }
        dir.inode().ops().unlink(dir.inode(), &name, victim.inode())?;
        children.remove(&name);
        victim.mark_unlinked();
    }
    let inode = victim.inode();
    dir.inode().touch_modified();
    inode.drop_links(1);
    notify::removed(dir.inode(), &name, inode);
    Ok(())
}

/// rmdir(2) (`do_rmdir`).
pub fn rmdir(parent: Parent<'_>, cred: &Cred) -> Result<(), Errno> {
    let (dir, name) = match parent {
        Parent { name: Last::DotDot, .. } => return Err(Errno::ENOTEMPTY),
        Parent { name: Last::Dot, .. } => return Err(Errno::EINVAL),
        Parent { name: Last::Root, .. } => return Err(Errno::EBUSY),
        Parent { dir, name: Last::Name(name), .. } => (dir, name),
    };
    want_write(&dir)?;
    let victim = lookup(&dir, &name)?;
    {
        let mut children = dir.dentry.children();
        let victim = still_there(&children, &dir, &name, &victim)?;
        may_delete(&dir.dentry, children.is_dead(), &victim, true, cred)?;
        if victim.is_mount_point() {
            return Err(Errno::EBUSY);
        }
        let mut inside = victim.children_nested();
        if !inside.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        dir.inode().ops().rmdir(dir.inode(), &name, victim.inode())?;
        inside.mark_dead();
        drop(inside);
        children.remove(&name);
        victim.mark_unlinked();
    }
    dir.inode().update(|attributes| attributes.links = attributes.links.saturating_sub(1));
    dir.inode().touch_modified();
    victim.inode().drop_links(2);
    notify::removed(dir.inode(), &name, victim.inode());
    Ok(())
}

/// The victim as it is now that the directory is locked: it may have been replaced since it was looked up.
fn still_there(
    children: &super::dentry::Children,
    dir: &Path,
    name: &[u8],
    found: &Arc<Dentry>,
) -> Result<Arc<Dentry>, Errno> {
    match children.get(name) {
        Some(child) => Ok(child.clone()),
        None if dir.mount.fs().names_resident => Err(Errno::ENOENT),
        None => Ok(found.clone()),
    }
}
