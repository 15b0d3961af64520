//! mount(2) and umount2(2) (`fs/namespace.c`: `path_mount`, `path_umount`), and pivoting.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use abi::Errno;
use abi::mount::{MountFlags as MountCall, UmountFlags};

use super::{Capabilities, Cred, FileKind, Instance, Mount, MountFlags, Path, filesystems, mount};
use crate::sync::Setting;

/// `/proc/sys/fs/mount-max`: how many mounts there may be.
pub static MAX_MOUNTS: Setting = Setting::new(100_000, 1..=i32::MAX as i64);

/// What mount(2) is asked for, the paths resolved.
pub struct MountRequest<'a> {
    /// The source as text: a device, or just a name to show.
    pub source: &'a [u8],
    /// The source as a place, for bind mounts and moves.
    pub source_place: Option<Path>,
    /// Where.
    pub target: Path,
    /// The kind of file system.
    pub kind: &'a [u8],
    /// What to do.
    pub flags: MountCall,
    /// The file system's options.
    pub options: &'a [u8],
}

/// Does what mount(2) is asked for. `EPERM`, `EINVAL`, `EBUSY`, `ENODEV`, `ENOTDIR`, `ELOOP`.
pub fn mount(request: MountRequest<'_>, cred: &Cred) -> Result<(), Errno> {
    if !cred.capable(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let flags = request.flags;
    let propagation = MountCall::MS_SHARED | MountCall::MS_PRIVATE | MountCall::MS_SLAVE | MountCall::MS_UNBINDABLE;
    if flags.contains(MountCall::MS_REMOUNT) {
        return remount(&request);
    }
    if flags.contains(MountCall::MS_BIND) {
        return bind(&request);
    }
    if flags.intersects(propagation) {
        // There is one namespace, so nothing ever propagates and every kind is as good as private.
        let others = flags.difference(propagation | MountCall::MS_REC | MountCall::MS_SILENT);
        return if others.is_empty() && is_mount_root(&request.target) { Ok(()) } else { Err(Errno::EINVAL) };
    }
    if flags.contains(MountCall::MS_MOVE) {
        return move_mount(&request);
    }
    if request.kind.is_empty() {
        return Err(Errno::EINVAL);
    }
    let kind = filesystems::find(request.kind)?;
    let instance = (kind.open)(request.source, request.options, cred)?;
    let root = instance.root.clone();
    let new = Mount::new(instance, root, request.source, mount_flags(flags));
    graft(&new, request.target)
}

/// A file system on top of the whole namespace: the root at boot.
pub fn mount_root(instance: Arc<Instance>, source: &[u8]) -> Path {
    let root = instance.root.clone();
    let new = Mount::new(instance, root, source, MountFlags::RELATIME);
    mount::attach_root(&new);
    new.root_path()
}

/// Mounts a whole file system on a place, for the kernel itself.
pub fn put(instance: Arc<Instance>, source: &[u8], target: Path) -> Result<(), Errno> {
    let root = instance.root.clone();
    graft(&Mount::new(instance, root, source, MountFlags::RELATIME), target)
}

/// Puts a mount on a place (`do_add_mount`). `ENOTDIR` if only one is a directory, `EBUSY` for the same file system twice,
/// `ENOSPC`.
fn graft(new: &Arc<Mount>, target: Path) -> Result<(), Errno> {
    let target = target.topmost();
    let covers_root = Arc::ptr_eq(&target.dentry, &target.mount.root);
    if covers_root && Arc::ptr_eq(&target.mount.instance, &new.instance) && Arc::ptr_eq(&target.dentry, &new.root) {
        return Err(Errno::EBUSY);
    }
    let (is_dir, onto_dir) = (new.root.inode().kind == FileKind::Directory, target.inode().kind == FileKind::Directory);
    if is_dir != onto_dir {
        return Err(Errno::ENOTDIR);
    }
    if target.dentry.is_unlinked() {
        return Err(Errno::ENOENT);
    }
    check_room(1)?;
    target.pin();
    mount::attach(new, target);
    Ok(())
}

fn is_mount_root(place: &Path) -> bool {
    Arc::ptr_eq(&place.dentry, &place.mount.root)
}

/// `mount -o remount` (`do_remount`, and `do_reconfigure_mnt` with `MS_BIND`). `EINVAL` unless the target is a mount's root.
fn remount(request: &MountRequest<'_>) -> Result<(), Errno> {
    if !is_mount_root(&request.target) {
        return Err(Errno::EINVAL);
    }
    let mount = &request.target.mount;
    let mut flags = mount_flags(request.flags);
    if !request.flags.contains(MountCall::MS_BIND) {
        mount.fs().ops().reconfigure(request.options)?;
        mount.fs().set_read_only(flags.contains(MountFlags::RDONLY));
        flags.remove(MountFlags::RDONLY);
    }
    mount.set_flags(flags);
    Ok(())
}

/// `mount --bind` (`do_loopback`): the same tree, seen at a second place; with `MS_REC` the mounts in it, too.
fn bind(request: &MountRequest<'_>) -> Result<(), Errno> {
    let source = request.source_place.as_ref().ok_or(Errno::ENOENT)?;
    let new = copy_of(&source.mount, source);
    // Copied before anything is on the target, which may lie within what is copied (`copy_tree`).
    let is_recursive = request.flags.contains(MountCall::MS_REC);
    let below = if is_recursive { copies_below(source, &new)? } else { Vec::new() };
    graft(&new, request.target.clone())?;
    for (copy, place) in below {
        mount::attach(&copy, place);
    }
    Ok(())
}

fn copy_of(mount: &Mount, from: &Path) -> Arc<Mount> {
    Mount::new(mount.instance.clone(), from.dentry.clone(), &mount.source, mount.flags())
}

/// Copies of the mounts below `top`, and their places on the copies of what they cover, of which that of `top` is `copy`.
/// `ENOSPC`.
fn copies_below(top: &Path, copy: &Arc<Mount>) -> Result<Vec<(Arc<Mount>, Path)>, Errno> {
    let mut copies = Vec::new();
    let mut pending = vec![(top.clone(), copy.clone())];
    while let Some((from, copy)) = pending.pop() {
        for child in mount::children_of(&from.mount) {
            let Some(covered) = child.covers().filter(|covered| covered.is_under(&from)) else { continue };
            // Above, there is the copy of the top.
            check_room(copies.len() + 2)?;
            let root = child.root_path();
            let child_copy = copy_of(&child, &root);
            copies.push((child_copy.clone(), Path { mount: copy.clone(), dentry: covered.dentry }));
            pending.push((root, child_copy));
        }
    }
    Ok(copies)
}

/// Whether the namespace takes so many mounts more (`count_mounts`). `ENOSPC`.
fn check_room(more: usize) -> Result<(), Errno> {
    if mount::count() + more > MAX_MOUNTS.count() { Err(Errno::ENOSPC) } else { Ok(()) }
}

/// `mount --move` (`do_move_mount_old`). `EINVAL` unless the source is a mount's root; `ELOOP` into itself.
fn move_mount(request: &MountRequest<'_>) -> Result<(), Errno> {
    let source = request.source_place.as_ref().ok_or(Errno::ENOENT)?;
    if !is_mount_root(source) || source.mount.covers().is_none() {
        return Err(Errno::EINVAL);
    }
    if request.target.is_under(source) {
        return Err(Errno::ELOOP);
    }
    if (source.inode().kind == FileKind::Directory) != (request.target.inode().kind == FileKind::Directory) {
        return Err(Errno::ENOTDIR);
    }
    mount::detach(&source.mount);
    graft(&source.mount, request.target.clone())
}

/// umount2(2). `EPERM`, `EINVAL` unless the target is a mount's root, `EBUSY` while it is in use.
pub fn unmount(target: &Path, flags: UmountFlags, cred: &Cred) -> Result<(), Errno> {
    if !cred.capable(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    if !is_mount_root(target) {
        return Err(Errno::EINVAL);
    }
    if flags.contains(UmountFlags::MNT_EXPIRE) && flags.intersects(UmountFlags::MNT_FORCE | UmountFlags::MNT_DETACH) {
        return Err(Errno::EINVAL);
    }
    let mount = &target.mount;
    if mount.covers().is_none() {
        // The root of the namespace: Linux makes it read-only at most.
        return Err(if flags.contains(UmountFlags::MNT_DETACH) { Errno::EINVAL } else { Errno::EBUSY });
    }
    if flags.contains(UmountFlags::MNT_DETACH) {
        detach_tree(mount);
        return Ok(());
    }
    // Held by the table twice, by the mount's number and by what it covers, and by the caller's path.
    const IDLE_REFERENCES: usize = 3;
    if Arc::strong_count(mount) > IDLE_REFERENCES || !mount::children_of(mount).is_empty() {
        return Err(Errno::EBUSY);
    }
    mount.fs().ops().sync();
    mount::detach(mount);
    Ok(())
}

fn detach_tree(top: &Arc<Mount>) {
    let mut tree = vec![top.clone()];
    let mut seen = 0;
    while let Some(mount) = tree.get(seen) {
        let children = mount::children_of(mount);
        tree.extend(children);
        seen += 1;
    }
    tree.iter().rev().for_each(mount::detach);
}

/// A mount's properties in mount(2)'s flags; `relatime` unless something else is asked for (`path_mount`).
fn mount_flags(call: MountCall) -> MountFlags {
    let pairs = [
        (MountCall::MS_RDONLY, MountFlags::RDONLY),
        (MountCall::MS_NOSUID, MountFlags::NOSUID),
        (MountCall::MS_NODEV, MountFlags::NODEV),
        (MountCall::MS_NOEXEC, MountFlags::NOEXEC),
        (MountCall::MS_NOATIME, MountFlags::NOATIME),
        (MountCall::MS_NODIRATIME, MountFlags::NODIRATIME),
        (MountCall::MS_NOSYMFOLLOW, MountFlags::NOSYMFOLLOW),
    ];
    let set = pairs.into_iter().filter(|(from, _)| call.contains(*from));
    let flags = set.fold(MountFlags::empty(), |flags, (_, to)| flags | to);
    let relatime = !call.intersects(MountCall::MS_NOATIME | MountCall::MS_STRICTATIME);
    if relatime { flags | MountFlags::RELATIME } else { flags }
}
