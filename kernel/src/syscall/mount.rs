//! Mounts: mount(2), umount2(2) (`fs/namespace.c`), the kinds of file system: sysfs(2); and memfd_create(2), whose files are on a mount nobody sees.

use alloc::vec::Vec;

use abi::Errno;
use abi::fcntl::{AT_FDCWD, PATH_MAX};
use abi::mman::MemfdFlags;
use abi::mount::{MountFlags, UmountFlags};

use super::args::{Flags, Pointer};
use super::files::PathName;
use super::{Cx, SyscallResult};
use crate::fs::mounting::{self, MountRequest};
use crate::fs::{filesystems, pseudo};
use crate::mem::user::copy_out;
use crate::mem::{PAGE_SIZE, UserAddr, UserSlice, UserStr};

/// A string that may be absent. `EINVAL` if it is longer than a page.
fn optional(text: UserStr) -> Result<Vec<u8>, Errno> {
    if text.0.is_null() { Ok(Vec::new()) } else { text.read(PATH_MAX, Errno::EINVAL) }
}

/// Mount options: a page of text at most, cut at its zero; what lies beyond a fault counts as zeros (`copy_mount_options`).
/// `EFAULT` if nothing can be read.
fn options(data: Pointer) -> Result<Vec<u8>, Errno> {
    let mut page = alloc::vec![0; PAGE_SIZE as usize - 1];
    if data.0 != 0 {
        let mut read = UserSlice::new(data.0, page.len() as u64).read_at(0, &mut page);
        if read == 0 {
            let near = PAGE_SIZE - data.0 % PAGE_SIZE;
            read = UserSlice::new(data.0, near).read_at(0, &mut page);
        }
        if read == 0 {
            return Err(Errno::EFAULT);
        }
    }
    let len = page.iter().position(|&byte| byte == 0).unwrap_or(page.len());
    page.truncate(len);
    Ok(page)
}

/// mount(2) (`do_mount`). The magic number old programs put in the flags is ignored.
pub fn sys_mount(
    cx: &mut Cx<'_>,
    source: UserStr,
    target: UserStr,
    kind: UserStr,
    flags: u64,
    data: Pointer,
) -> SyscallResult {
    const MAGIC: u64 = 0xc0ed_0000;
    const MAGIC_MASK: u64 = 0xffff_0000;
    let kind = optional(kind)?;
    let source = optional(source)?;
    let options = options(data)?;
    let target = cx.resolve(AT_FDCWD, &PathName::read(target)?, true)?;
    let flags = if flags & MAGIC_MASK == MAGIC { flags & !MAGIC_MASK } else { flags };
    let flags = MountFlags::from_bits_truncate(flags);
    let source_is_place =
        flags.intersects(MountFlags::MS_BIND | MountFlags::MS_MOVE) && !flags.contains(MountFlags::MS_REMOUNT);
    let source_place =
        if source_is_place && !source.is_empty() { Some(cx.resolve(AT_FDCWD, &source, true)?) } else { None };
    let request = MountRequest { source: &source, source_place, target, kind: &kind, flags, options: &options };
    mounting::mount(request, &cx.private.cred).map(|()| 0)
}

/// umount2(2) (`ksys_umount`).
pub fn sys_umount2(cx: &mut Cx<'_>, target: UserStr, flags: Flags) -> SyscallResult {
    let flags = UmountFlags::from_bits(flags.0).ok_or(Errno::EINVAL)?;
    let follow = !flags.contains(UmountFlags::UMOUNT_NOFOLLOW);
    let target = cx.resolve(AT_FDCWD, &PathName::read(target)?, follow)?;
    mounting::unmount(&target, flags, &cx.private.cred).map(|()| 0)
}

/// sysfs(2): the kinds of file system by number and name. Errors: EINVAL, EFAULT. Order: `sys_sysfs()`.
pub fn sys_sysfs(_cx: &mut Cx<'_>, option: i32, first: u64, second: Pointer) -> SyscallResult {
    const NUMBER_OF_NAME: i32 = 1;
    const NAME_OF_NUMBER: i32 = 2;
    const COUNT: i32 = 3;
    let kinds = filesystems::all();
    match option {
        NUMBER_OF_NAME => {
            let name = PathName::read(UserStr::new(first))?;
            kinds.iter().position(|kind| kind.name.as_bytes() == &name[..]).ok_or(Errno::EINVAL)
        }
        NAME_OF_NUMBER => {
            let kind = usize::try_from(first).ok().and_then(|at| kinds.get(at)).ok_or(Errno::EINVAL)?;
            copy_out(UserAddr(second.0), kind.name.as_bytes())?;
            copy_out(UserAddr(second.0.wrapping_add(kind.name.len() as u64)), &[0])?;
            Ok(0)
        }
        COUNT => Ok(kinds.len()),
        _ => Err(Errno::EINVAL),
    }
}

/// memfd_create(2). `EINVAL` for unknown flags or a name over 249 bytes. Deviates: huge pages are `EINVAL`, as on a
/// kernel without them.
pub fn sys_memfd_create(cx: &mut Cx<'_>, name: UserStr, flags: Flags) -> SyscallResult {
    const MAX_NAME_BYTES: usize = 249;
    let flags = MemfdFlags::from_bits(flags.0).ok_or(Errno::EINVAL)?;
    if !(MemfdFlags::MFD_CLOEXEC | MemfdFlags::MFD_ALLOW_SEALING).contains(flags) {
        return Err(Errno::EINVAL);
    }
    let name = name.read(MAX_NAME_BYTES + 1, Errno::EINVAL)?;
    let sealable = flags.contains(MemfdFlags::MFD_ALLOW_SEALING);
    let file = pseudo::memory_file(&name, sealable, &cx.private.cred)?;
    cx.install(file, flags.contains(MemfdFlags::MFD_CLOEXEC))
}
