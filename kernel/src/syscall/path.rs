//! Names: making, removing and renaming them; directories; where the process stands (`fs/namei.c`, `fs/readdir.c`).

use abi::Errno;
use abi::fcntl::{AT_FDCWD, AtFlags, Dirent64Header, RenameFlags};

use super::args::{Flags, Pointer};
use super::files::PathName;
use super::{Cx, SyscallResult};
use crate::fs::permission::{self, Permission};
use crate::fs::{Capabilities, DeviceId, DirEntry, DirSink, FileKind, LinkTarget, Path, create, remove, rename};
use crate::mem::{UserSlice, UserStr};

/// mkdir(2).
pub fn sys_mkdir(cx: &mut Cx<'_>, path: UserStr, mode: u32) -> SyscallResult {
    sys_mkdirat(cx, AT_FDCWD, path, mode)
}

/// mkdirat(2) (`do_mkdirat`).
pub fn sys_mkdirat(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, mode: u32) -> SyscallResult {
    let name = PathName::read(path)?;
    let parent = cx.resolve_parent(dirfd, &name)?;
    create::mkdir(parent, &cx.private.cred, &cx.private.fs, mode).map(|()| 0)
}

/// mknod(2).
pub fn sys_mknod(cx: &mut Cx<'_>, path: UserStr, mode: u32, device: u32) -> SyscallResult {
    sys_mknodat(cx, AT_FDCWD, path, mode, device)
}

/// mknodat(2) (`do_mknodat`). Device nodes need `CAP_MKNOD`.
pub fn sys_mknodat(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, mode: u32, device: u32) -> SyscallResult {
    let name = PathName::read(path)?;
    let parent = cx.resolve_parent(dirfd, &name)?;
    let device = DeviceId::decode(device.into());
    create::mknod(parent, &cx.private.cred, &cx.private.fs, mode, device).map(|()| 0)
}

/// symlink(2).
pub fn sys_symlink(cx: &mut Cx<'_>, text: UserStr, path: UserStr) -> SyscallResult {
    sys_symlinkat(cx, text, AT_FDCWD, path)
}

/// symlinkat(2) (`do_symlinkat`).
pub fn sys_symlinkat(cx: &mut Cx<'_>, text: UserStr, dirfd: i32, path: UserStr) -> SyscallResult {
    let text = PathName::read(text)?;
    let name = PathName::read(path)?;
    let parent = cx.resolve_parent(dirfd, &name)?;
    create::symlink(&text, parent, &cx.private.cred).map(|()| 0)
}

/// link(2).
pub fn sys_link(cx: &mut Cx<'_>, old: UserStr, new: UserStr) -> SyscallResult {
    sys_linkat(cx, AT_FDCWD, old, AT_FDCWD, new, Flags(0))
}

/// linkat(2) (`do_linkat`). `AT_EMPTY_PATH` needs `CAP_DAC_READ_SEARCH` (`ENOENT` without).
pub fn sys_linkat(
    cx: &mut Cx<'_>,
    old_dirfd: i32,
    old: UserStr,
    new_dirfd: i32,
    new: UserStr,
    flags: Flags,
) -> SyscallResult {
    let flags = at_flags(flags, AtFlags::AT_SYMLINK_FOLLOW | AtFlags::AT_EMPTY_PATH)?;
    let empty_ok = flags.contains(AtFlags::AT_EMPTY_PATH);
    if empty_ok && !cx.private.cred.capable(Capabilities::DAC_READ_SEARCH) {
        return Err(Errno::ENOENT);
    }
    let name = PathName::read_or_empty(old)?;
    let old = cx.resolve_or_self(old_dirfd, &name, flags.contains(AtFlags::AT_SYMLINK_FOLLOW), empty_ok)?;
    let name = PathName::read(new)?;
    let parent = cx.resolve_parent(new_dirfd, &name)?;
    create::link(&old, parent, &cx.private.cred).map(|()| 0)
}

/// unlink(2).
pub fn sys_unlink(cx: &mut Cx<'_>, path: UserStr) -> SyscallResult {
    sys_unlinkat(cx, AT_FDCWD, path, Flags(0))
}

/// rmdir(2).
pub fn sys_rmdir(cx: &mut Cx<'_>, path: UserStr) -> SyscallResult {
    sys_unlinkat(cx, AT_FDCWD, path, Flags(AtFlags::AT_REMOVEDIR.bits()))
}

/// unlinkat(2) (`do_unlinkat`, `do_rmdir`).
pub fn sys_unlinkat(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, flags: Flags) -> SyscallResult {
    let flags = at_flags(flags, AtFlags::AT_REMOVEDIR)?;
    let name = PathName::read(path)?;
    let parent = cx.resolve_parent(dirfd, &name)?;
    if flags.contains(AtFlags::AT_REMOVEDIR) {
        remove::rmdir(parent, &cx.private.cred)?;
    } else {
        remove::unlink(parent, &cx.private.cred)?;
    }
    Ok(0)
}

/// rename(2).
pub fn sys_rename(cx: &mut Cx<'_>, old: UserStr, new: UserStr) -> SyscallResult {
    sys_renameat2(cx, AT_FDCWD, old, AT_FDCWD, new, Flags(0))
}

/// renameat(2).
pub fn sys_renameat(cx: &mut Cx<'_>, old_dirfd: i32, old: UserStr, new_dirfd: i32, new: UserStr) -> SyscallResult {
    sys_renameat2(cx, old_dirfd, old, new_dirfd, new, Flags(0))
}

/// renameat2(2) (`do_renameat2`). Deviates: `RENAME_WHITEOUT` is `EINVAL`, as on file systems without it.
pub fn sys_renameat2(
    cx: &mut Cx<'_>,
    old_dirfd: i32,
    old: UserStr,
    new_dirfd: i32,
    new: UserStr,
    flags: Flags,
) -> SyscallResult {
    let flags = RenameFlags::from_bits(flags.0).ok_or(Errno::EINVAL)?;
    let both = RenameFlags::RENAME_NOREPLACE | RenameFlags::RENAME_EXCHANGE;
    if flags.contains(both) || flags.contains(RenameFlags::RENAME_WHITEOUT) {
        return Err(Errno::EINVAL);
    }
    let (old, new) = (PathName::read(old)?, PathName::read(new)?);
    let from = cx.resolve_parent(old_dirfd, &old)?;
    let to = cx.resolve_parent(new_dirfd, &new)?;
    rename::rename(from, to, flags, &cx.private.cred).map(|()| 0)
}

/// readlink(2).
pub fn sys_readlink(cx: &mut Cx<'_>, path: UserStr, buffer: Pointer, len: i32) -> SyscallResult {
    sys_readlinkat(cx, AT_FDCWD, path, buffer, len)
}

/// readlinkat(2) (`do_readlinkat`). An empty path reads the link `dirfd` itself is, if it is one (`ENOENT` if not).
pub fn sys_readlinkat(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, buffer: Pointer, len: i32) -> SyscallResult {
    let len = u64::try_from(len).ok().filter(|&len| len > 0).ok_or(Errno::EINVAL)?;
    let name = PathName::read_or_empty(path)?;
    let place = cx.resolve_or_self(dirfd, &name, false, true)?;
    let inode = place.inode();
    if inode.kind != FileKind::Symlink {
        return Err(if name.is_empty() { Errno::ENOENT } else { Errno::EINVAL });
    }
    let text = match inode.ops().read_link(inode, &cx.asker())? {
        LinkTarget::Text(text) => text.to_vec(),
        LinkTarget::Place(place) => place.display_from(&cx.private.fs.root()),
    };
    let cut = &text[..text.len().min(len as usize)];
    let written = UserSlice::new(buffer.0, len).write_at(0, cut);
    if written < cut.len() { Err(Errno::EFAULT) } else { Ok(written) }
}

/// chdir(2) (`ksys_chdir`).
pub fn sys_chdir(cx: &mut Cx<'_>, path: UserStr) -> SyscallResult {
    let place = cx.resolve(AT_FDCWD, &PathName::read(path)?, true)?;
    go_to(cx, place)
}

/// fchdir(2).
pub fn sys_fchdir(cx: &mut Cx<'_>, fd: i32) -> SyscallResult {
    let place = cx.private.files.get_any(fd)?.path().clone();
    go_to(cx, place)
}

fn go_to(cx: &mut Cx<'_>, place: Path) -> SyscallResult {
    searchable(cx, &place)?;
    cx.private.fs.set_cwd(place);
    Ok(0)
}

/// Whether the place is a directory the caller may search. `ENOTDIR`, `EACCES`.
fn searchable(cx: &Cx<'_>, place: &Path) -> Result<(), Errno> {
    if place.inode().kind != FileKind::Directory {
        return Err(Errno::ENOTDIR);
    }
    permission::check(place.inode(), &cx.private.cred, Permission::EXEC)
}

/// chroot(2) (`ksys_chroot`). `EPERM` without `CAP_SYS_CHROOT`.
pub fn sys_chroot(cx: &mut Cx<'_>, path: UserStr) -> SyscallResult {
    let place = cx.resolve(AT_FDCWD, &PathName::read(path)?, true)?;
    searchable(cx, &place)?;
    if !cx.private.cred.capable(Capabilities::SYS_CHROOT) {
        return Err(Errno::EPERM);
    }
    cx.private.fs.set_root(place);
    Ok(0)
}

/// getcwd(2): the length with its zero. `ENOENT` if the directory is gone; `ERANGE`; `(unreachable)` before a
/// directory outside the root, as on Linux.
pub fn sys_getcwd(cx: &mut Cx<'_>, buffer: Pointer, size: usize) -> SyscallResult {
    let (root, cwd) = cx.private.fs.root_and_cwd();
    if cwd.dentry.is_unlinked() {
        return Err(Errno::ENOENT);
    }
    let (mut name, reached) = cwd.name_from(&root);
    if !reached {
        name.splice(..0, *b"(unreachable)");
    }
    name.push(0);
    if name.len() > size {
        return Err(Errno::ERANGE);
    }
    let written = UserSlice::new(buffer.0, size as u64).write_at(0, &name);
    if written < name.len() { Err(Errno::EFAULT) } else { Ok(written) }
}

/// umask(2). Never fails.
pub fn sys_umask(cx: &mut Cx<'_>, mask: u32) -> SyscallResult {
    Ok(usize::from(cx.private.fs.set_umask(mask as u16)))
}

/// getdents64(2) (`ksys_getdents64`). `EINVAL` if not even one entry fits.
pub fn sys_getdents64(cx: &mut Cx<'_>, fd: i32, buffer: Pointer, count: u32) -> SyscallResult {
    list(cx, fd, buffer, count, Format::Long)
}

/// getdents(2): the older format, whose type stands behind the name.
pub fn sys_getdents(cx: &mut Cx<'_>, fd: i32, buffer: Pointer, count: u32) -> SyscallResult {
    list(cx, fd, buffer, count, Format::Short)
}

fn list(cx: &mut Cx<'_>, fd: i32, buffer: Pointer, count: u32, format: Format) -> SyscallResult {
    let file = cx.file(fd)?;
    let to = UserSlice::new(buffer.0, u64::from(count));
    let mut entries = UserEntries { to, used: 0, format, refused: None };
    file.read_dir(&mut entries)?;
    match entries.refused {
        Some(error) if entries.used == 0 => Err(error),
        _ => Ok(entries.used as usize),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Long,
    Short,
}

/// Directory entries on their way to the user.
struct UserEntries {
    to: UserSlice,
    used: u64,
    format: Format,
    /// Why the last entry was not taken.
    refused: Option<Errno>,
}

/// The largest encoded entry.
const ENTRY_BYTES: usize = 280;

impl UserEntries {
    fn encode(&self, entry: &DirEntry<'_>, into: &mut [u8; ENTRY_BYTES]) -> Option<usize> {
        use abi::zerocopy::IntoBytes;
        let position = entry.next_position as i64;
        let kind = entry.kind.dirent_type();
        let header = Dirent64Header::new(entry.inode, position, entry.name.len(), kind)?;
        let len = header.reclen();
        // Both formats have the same length: the short one lacks the type in front and has it at the end.
        let name_at = if self.format == Format::Long { 19 } else { 18 };
        into.get_mut(..len)?.fill(0);
        into[..name_at].copy_from_slice(&header.as_bytes()[..name_at]);
        into.get_mut(name_at..name_at + entry.name.len())?.copy_from_slice(entry.name);
        if self.format == Format::Short {
            into[len - 1] = kind;
        }
        Some(len)
    }
}

impl DirSink for UserEntries {
    fn entry(&mut self, entry: DirEntry<'_>) -> bool {
        let mut encoded = [0; ENTRY_BYTES];
        let len = self.encode(&entry, &mut encoded).unwrap_or(ENTRY_BYTES);
        if self.used + len as u64 > self.to.len {
            self.refused = Some(Errno::EINVAL);
            return false;
        }
        if self.to.write_at(self.used, &encoded[..len]) < len {
            self.refused = Some(Errno::EFAULT);
            return false;
        }
        self.used += len as u64;
        true
    }
}

/// Flags of a call ending in `at`, of which only `known` mean something. `EINVAL`.
pub fn at_flags(flags: Flags, known: AtFlags) -> Result<AtFlags, Errno> {
    AtFlags::from_bits(flags.0).filter(|flags| known.contains(*flags)).ok_or(Errno::EINVAL)
}
