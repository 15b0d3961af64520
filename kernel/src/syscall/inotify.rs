//! inotify(7).

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::{AT_FDCWD, OpenFlags};
use abi::poll::{InFlags, InMask};

use super::args::Flags;
use super::files::PathName;
use super::{Cx, SyscallResult};
use crate::fs::inotify::Inotify;
use crate::fs::permission::{self, Permission};
use crate::fs::{File, FileKind, pseudo};
use crate::mem::UserStr;

/// inotify_init(2).
pub fn sys_inotify_init(cx: &mut Cx<'_>) -> SyscallResult {
    sys_inotify_init1(cx, Flags(0))
}

/// inotify_init1(2). `EINVAL`, `EMFILE`.
pub fn sys_inotify_init1(cx: &mut Cx<'_>, flags: Flags) -> SyscallResult {
    let flags = InFlags::from_bits(flags.0).ok_or(Errno::EINVAL)?;
    let status = if flags.contains(InFlags::IN_NONBLOCK) { OpenFlags::O_NONBLOCK } else { OpenFlags::empty() };
    let file = pseudo::anonymous_file(Inotify::new(), "inotify", status, &cx.private.cred);
    cx.install(file, flags.contains(InFlags::IN_CLOEXEC))
}

/// The open file and the instance behind it. `EBADF`, `EINVAL`.
fn instance(cx: &Cx<'_>, fd: i32) -> Result<Arc<Inotify>, Errno> {
    let file: Arc<File> = cx.file(fd)?;
    let any: Arc<dyn core::any::Any + Send + Sync> = file.ops().clone();
    any.downcast().map_err(|_| Errno::EINVAL)
}

/// inotify_add_watch(2). `EINVAL`, `EBADF`, `ENOTDIR`, `EACCES`.
pub fn sys_inotify_add_watch(cx: &mut Cx<'_>, fd: i32, path: UserStr, mask: Flags) -> SyscallResult {
    let mask = InMask::from_bits(mask.0).filter(|mask| !mask.is_empty()).ok_or(Errno::EINVAL)?;
    let instance = instance(cx, fd)?;
    if mask.contains(InMask::IN_MASK_ADD | InMask::IN_MASK_CREATE) {
        return Err(Errno::EINVAL);
    }
    let place = cx.resolve(AT_FDCWD, &PathName::read(path)?, !mask.contains(InMask::IN_DONT_FOLLOW))?;
    if mask.contains(InMask::IN_ONLYDIR) && place.inode().kind != FileKind::Directory {
        return Err(Errno::ENOTDIR);
    }
    permission::check(place.inode(), &cx.private.cred, Permission::READ)?;
    instance.add(place.inode(), mask).map(|number| number.unsigned_abs() as usize)
}

/// inotify_rm_watch(2). `EBADF`, `EINVAL`.
pub fn sys_inotify_rm_watch(cx: &mut Cx<'_>, fd: i32, watch: i32) -> SyscallResult {
    instance(cx, fd)?.remove(watch).map(|()| 0)
}
