//! Extended attributes (`fs/xattr.c`).

use alloc::vec::Vec;

use abi::Errno;
use abi::fcntl::AT_FDCWD;
use abi::mount::{XATTR_LIST_MAX, XATTR_NAME_MAX, XATTR_SIZE_MAX, XattrFlags};

use super::args::{Flags, Pointer};
use super::files::PathName;
use super::{Cx, SyscallResult};
use crate::fs::{Path, xattr};
use crate::mem::{UserSlice, UserStr};

fn by_path(cx: &Cx<'_>, path: UserStr, follow: bool) -> Result<Path, Errno> {
    cx.resolve(AT_FDCWD, &PathName::read(path)?, follow)
}

fn by_fd(cx: &Cx<'_>, fd: i32) -> Result<Path, Errno> {
    cx.file(fd).map(|file| file.path().clone())
}

/// The attribute's name. `ERANGE` for an empty or overlong one.
fn read_name(name: UserStr) -> Result<Vec<u8>, Errno> {
    let name = name.read(XATTR_NAME_MAX + 1, Errno::ERANGE)?;
    xattr::check_name(&name)?;
    Ok(name)
}

/// Gives `bytes` to the user; a size of 0 only asks for the length. `ERANGE`, `EFAULT`.
fn give(bytes: &[u8], buffer: Pointer, size: usize) -> SyscallResult {
    if size == 0 {
        return Ok(bytes.len());
    }
    if bytes.len() > size {
        return Err(Errno::ERANGE);
    }
    let written = UserSlice::new(buffer.0, size as u64).write_at(0, bytes);
    if written < bytes.len() { Err(Errno::EFAULT) } else { Ok(written) }
}

fn set(cx: &Cx<'_>, place: Result<Path, Errno>, name: UserStr, value: UserSlice, flags: Flags) -> SyscallResult {
    let flags = XattrFlags::from_bits(flags.0).ok_or(Errno::EINVAL)?;
    let place = place?;
    let name = read_name(name)?;
    if value.len > XATTR_SIZE_MAX as u64 {
        return Err(Errno::E2BIG);
    }
    xattr::set(&place, &name, &value.read_all()?, flags, &cx.private.cred).map(|()| 0)
}

fn get(cx: &Cx<'_>, place: Result<Path, Errno>, name: UserStr, buffer: Pointer, size: usize) -> SyscallResult {
    let place = place?;
    let name = read_name(name)?;
    give(&xattr::get(&place, &name, &cx.private.cred)?, buffer, size.min(XATTR_SIZE_MAX))
}

fn list(cx: &Cx<'_>, place: Result<Path, Errno>, buffer: Pointer, size: usize) -> SyscallResult {
    give(&xattr::list(&place?, &cx.private.cred)?, buffer, size.min(XATTR_LIST_MAX))
}

fn remove(cx: &Cx<'_>, place: Result<Path, Errno>, name: UserStr) -> SyscallResult {
    let place = place?;
    xattr::remove(&place, &read_name(name)?, &cx.private.cred).map(|()| 0)
}

/// setxattr(2).
pub fn sys_setxattr(
    cx: &mut Cx<'_>,
    path: UserStr,
    name: UserStr,
    value: Pointer,
    size: u64,
    flags: Flags,
) -> SyscallResult {
    set(cx, by_path(cx, path, true), name, UserSlice::new(value.0, size), flags)
}

/// lsetxattr(2).
pub fn sys_lsetxattr(
    cx: &mut Cx<'_>,
    path: UserStr,
    name: UserStr,
    value: Pointer,
    size: u64,
    flags: Flags,
) -> SyscallResult {
    set(cx, by_path(cx, path, false), name, UserSlice::new(value.0, size), flags)
}

/// fsetxattr(2).
pub fn sys_fsetxattr(
    cx: &mut Cx<'_>,
    fd: i32,
    name: UserStr,
    value: Pointer,
    size: u64,
    flags: Flags,
) -> SyscallResult {
    set(cx, by_fd(cx, fd), name, UserSlice::new(value.0, size), flags)
}

/// getxattr(2).
pub fn sys_getxattr(cx: &mut Cx<'_>, path: UserStr, name: UserStr, buffer: Pointer, size: usize) -> SyscallResult {
    get(cx, by_path(cx, path, true), name, buffer, size)
}

/// lgetxattr(2).
pub fn sys_lgetxattr(cx: &mut Cx<'_>, path: UserStr, name: UserStr, buffer: Pointer, size: usize) -> SyscallResult {
    get(cx, by_path(cx, path, false), name, buffer, size)
}

/// fgetxattr(2).
pub fn sys_fgetxattr(cx: &mut Cx<'_>, fd: i32, name: UserStr, buffer: Pointer, size: usize) -> SyscallResult {
    get(cx, by_fd(cx, fd), name, buffer, size)
}

/// listxattr(2).
pub fn sys_listxattr(cx: &mut Cx<'_>, path: UserStr, buffer: Pointer, size: usize) -> SyscallResult {
    list(cx, by_path(cx, path, true), buffer, size)
}

/// llistxattr(2).
pub fn sys_llistxattr(cx: &mut Cx<'_>, path: UserStr, buffer: Pointer, size: usize) -> SyscallResult {
    list(cx, by_path(cx, path, false), buffer, size)
}

/// flistxattr(2).
pub fn sys_flistxattr(cx: &mut Cx<'_>, fd: i32, buffer: Pointer, size: usize) -> SyscallResult {
    list(cx, by_fd(cx, fd), buffer, size)
}

/// removexattr(2).
pub fn sys_removexattr(cx: &mut Cx<'_>, path: UserStr, name: UserStr) -> SyscallResult {
    remove(cx, by_path(cx, path, true), name)
}

/// lremovexattr(2).
pub fn sys_lremovexattr(cx: &mut Cx<'_>, path: UserStr, name: UserStr) -> SyscallResult {
    remove(cx, by_path(cx, path, false), name)
}

/// fremovexattr(2).
pub fn sys_fremovexattr(cx: &mut Cx<'_>, fd: i32, name: UserStr) -> SyscallResult {
    remove(cx, by_fd(cx, fd), name)
}
