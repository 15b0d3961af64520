//! renameat2(2) (`fs/namei.c`: `do_renameat2`, `vfs_rename`).
//!
//! One lock, [`RENAME`], keeps the shape of all trees still while a name moves: without it two moves could each put
//! a directory below the other. Under it the two directories are locked, ancestor first, else by address.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::Errno;
use abi::fcntl::{NAME_MAX, RenameFlags};

use super::dentry::{Children, move_to};
use super::permission::{self, Permission, may_create, may_delete, want_write};
use super::resolve::{Last, Name, Parent, lookup};
use super::{Cred, Dentry, FileKind, Path, notify};
use crate::sync::{Rank, SpinGuard, SpinLock};

static RENAME: SpinLock<()> = SpinLock::new(Rank::Rename, ());

/// One end of a rename.
struct End<'a> {
    dir: Path,
    name: Name<'a>,
    slash: bool,
}

/// Moves the name `from` to `to`.
pub fn rename(from: Parent<'_>, to: Parent<'_>, flags: RenameFlags, cred: &Cred) -> Result<(), Errno> {
    let (noreplace, exchange) =
        (flags.contains(RenameFlags::RENAME_NOREPLACE), flags.contains(RenameFlags::RENAME_EXCHANGE));
    if !Arc::ptr_eq(&from.dir.mount, &to.dir.mount) {
        return Err(Errno::EXDEV);
    }
    // File systems that are elsewhere know no flags (`v9fs_vfs_rename`).
    if !flags.is_empty() && !from.dir.mount.fs().names_resident {
        return Err(Errno::EINVAL);
    }
    let Last::Name(old_name) = from.name else { return Err(Errno::EBUSY) };
    let Last::Name(new_name) = to.name else {
        return Err(if noreplace { Errno::EEXIST } else { Errno::EBUSY });
    };
    let from = End { dir: from.dir, name: old_name, slash: from.slash };
    let to = End { dir: to.dir, name: new_name, slash: to.slash };
    want_write(&from.dir)?;

    // A file system whose names are not all in the tree may look at processes to find one, or ask another machine: there the
    // names are looked up before the lock is taken, and (being declared first) let go after it.
    let (old, new);
    let mut shape = from.dir.mount.fs().names_resident.then(|| RENAME.lock());
    (old, new) = (lookup(&from.dir, &from.name)?, lookup_target(&to)?);
    shape.get_or_insert_with(|| RENAME.lock());
    check_ends(&from, &to, &old, new.as_ref(), noreplace, exchange)?;
    let moved = swap_names(&from, &to, &old, new.as_ref(), exchange, cred)?;
    drop(shape);
    if moved {
        notify::moved((from.dir.inode(), &from.name), (to.dir.inode(), &to.name), old.inode());
    }
    Ok(())
}

/// Beginnings and ends of moves.
static MOVES: AtomicUsize = AtomicUsize::new(0);

/// The beginnings and ends of moves so far: the same twice, and nothing was moved between (`rename_lock`).
pub fn moves() -> usize {
    MOVES.load(Ordering::SeqCst)
}

/// A move under way.
struct Move;

impl Move {
    fn begin() -> Self {
        MOVES.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Move {
    fn drop(&mut self) {
        MOVES.fetch_add(1, Ordering::SeqCst);
    }
}

/// What the new name stands for so far.
fn lookup_target(to: &End<'_>) -> Result<Option<Arc<Dentry>>, Errno> {
    match lookup(&to.dir, &to.name) {
        Ok(new) => Ok(Some(new)),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What can be said before the directories are locked, in Linux's order.
fn check_ends(
    from: &End<'_>,
    to: &End<'_>,
    old: &Arc<Dentry>,
    new: Option<&Arc<Dentry>>,
    noreplace: bool,
    exchange: bool,
) -> Result<(), Errno> {
    let is_dir = |dentry: &Arc<Dentry>| dentry.inode().kind == FileKind::Directory;
    if noreplace && new.is_some() {
        return Err(Errno::EEXIST);
    }
    if exchange {
        let new = new.ok_or(Errno::ENOENT)?;
        if !is_dir(new) && to.slash {
            return Err(Errno::ENOTDIR);
        }
    }
    if !is_dir(old) && (from.slash || (!exchange && to.slash)) {
        return Err(Errno::ENOTDIR);
    }
    if to.dir.dentry.is_below(old) {
        return Err(Errno::EINVAL);
    }
    if new.is_some_and(|new| from.dir.dentry.is_below(new)) {
        return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
    }
    Ok(())
}

/// Locks the directories and does it. `false`: both names were one file's, and nothing was done.
fn swap_names(
    from: &End<'_>,
    to: &End<'_>,
    old: &Arc<Dentry>,
    new: Option<&Arc<Dentry>>,
    exchange: bool,
    cred: &Cred,
) -> Result<bool, Errno> {
    if new.is_some_and(|new| Arc::ptr_eq(new.inode(), old.inode())) {
        return Ok(false);
    }
    let mut dirs = LockedDirs::lock(&from.dir.dentry, &to.dir.dentry);
    let resident = from.dir.mount.fs().names_resident;
    let unchanged = |children: &Children, name: &[u8], was: Option<&Arc<Dentry>>| {
        !resident || children.get(name).map(Arc::as_ptr) == was.map(Arc::as_ptr)
    };
    if !unchanged(dirs.from(), &from.name, Some(old)) || !unchanged(dirs.to(), &to.name, new) {
        return Err(Errno::ENOENT);
    }
    may_move(from, to, old, new, &mut dirs, exchange, cred)?;
    let (from_dir, to_dir) = (from.dir.inode(), to.dir.inode());
    let _move = Move::begin();
    from_dir.ops().rename((from_dir, &from.name), (to_dir, &to.name))?;
    if let Some(new) = new {
        dirs.to().remove(&to.name);
        if !exchange {
            retire(new);
        }
    }
    dirs.from().remove(&from.name);
    move_to(old, to.dir.dentry.clone(), &to.name);
    if resident {
        dirs.to().insert(old.clone());
    }
    if let Some(new) = new.filter(|_| exchange) {
        move_to(new, from.dir.dentry.clone(), &from.name);
        dirs.from().insert(new.clone());
    }
    drop(dirs);
    count_links(from, to, old, new, exchange);
    Ok(true)
}

/// Permissions and kinds (`vfs_rename`).
fn may_move(
    from: &End<'_>,
    to: &End<'_>,
    old: &Arc<Dentry>,
    new: Option<&Arc<Dentry>>,
    dirs: &mut LockedDirs<'_>,
    exchange: bool,
    cred: &Cred,
) -> Result<(), Errno> {
    let is_dir = |dentry: &Arc<Dentry>| dentry.inode().kind == FileKind::Directory;
    let same_dir = Arc::ptr_eq(&from.dir.dentry, &to.dir.dentry);
    may_delete(&from.dir.dentry, dirs.from().is_dead(), old, is_dir(old), cred)?;
    match new {
        None => may_create(&to.dir.dentry, dirs.to().is_dead(), cred)?,
        Some(new) => {
            let want_dir = if exchange { is_dir(new) } else { is_dir(old) };
            may_delete(&to.dir.dentry, dirs.to().is_dead(), new, want_dir, cred)?;
        }
    }
    if !same_dir {
        if is_dir(old) {
            permission::check(old.inode(), cred, Permission::WRITE)?;
        }
        if let Some(new) = new.filter(|new| exchange && is_dir(new)) {
            permission::check(new.inode(), cred, Permission::WRITE)?;
        }
    }
    if to.name.len() > NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if old.is_mount_point() || new.is_some_and(|new| new.is_mount_point()) {
        return Err(Errno::EBUSY);
    }
    if let Some(new) = new.filter(|new| !exchange && is_dir(new)) {
        let mut inside = new.children_nested();
        if !inside.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        inside.mark_dead();
    }
    Ok(())
}

/// The name that was in the way is gone.
fn retire(replaced: &Dentry) {
    replaced.mark_unlinked();
    let links = if replaced.inode().kind == FileKind::Directory { 2 } else { 1 };
    replaced.inode().drop_links(links);
}

/// Directories count their subdirectories; the times of all concerned are now.
fn count_links(from: &End<'_>, to: &End<'_>, old: &Dentry, new: Option<&Arc<Dentry>>, exchange: bool) {
    let is_dir = |dentry: &Dentry| dentry.inode().kind == FileKind::Directory;
    let (from_dir, to_dir) = (from.dir.inode(), to.dir.inode());
    let old_moves = i64::from(is_dir(old));
    let new_counts = i64::from(new.is_some_and(|new| is_dir(new)));
    let from_gains = if exchange { new_counts - old_moves } else { -old_moves };
    from_dir.update(|attributes| attributes.links = attributes.links.saturating_add_signed(from_gains as i32));
    to_dir.update(|attributes| {
        attributes.links = attributes.links.saturating_add_signed((old_moves - new_counts) as i32);
    });
    from_dir.touch_modified();
    to_dir.touch_modified();
    old.inode().touch_changed();
    if let Some(new) = new {
        new.inode().touch_changed();
    }
}

/// The entries of the two directories, which may be one.
struct LockedDirs<'a> {
    from: SpinGuard<'a, Children>,
    to: Option<SpinGuard<'a, Children>>,
}

impl<'a> LockedDirs<'a> {
    /// Locks both: the ancestor first, else by address. The caller holds [`RENAME`].
    fn lock(from: &'a Arc<Dentry>, to: &'a Arc<Dentry>) -> Self {
        if Arc::ptr_eq(from, to) {
            return Self { from: from.children(), to: None };
        }
        let from_first =
            to.is_below(from) || (!from.is_below(to) && (Arc::as_ptr(from) as usize) < (Arc::as_ptr(to) as usize));
        if from_first {
            let from = from.children();
            Self { from, to: Some(to.children_nested()) }
        } else {
            let to = to.children();
            Self { from: from.children_nested(), to: Some(to) }
        }
    }

    fn from(&mut self) -> &mut Children {
        &mut self.from
    }

    fn to(&mut self) -> &mut Children {
        self.to.as_mut().unwrap_or(&mut self.from)
    }
}
