//! Descriptors: open, close, dup, fcntl, ioctl, flock (`fs/open.c`, `fs/file.c`, `fs/fcntl.c`, `fs/ioctl.c`).

use alloc::boxed::Box;
use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::{self, AT_FDCWD, CloseRangeFlags, DnMask, Flock, FlockOp, OPEN_HOW_SIZE_VER0, OpenFlags, OpenHow};

use super::args::{Flags, Pointer};
use super::files::PathName;
use super::pipe::pipe_of;
use super::{Cx, SyscallResult};
use crate::fs::open::{OpenRequest, open};
use crate::fs::{Cred, File, FileKind, FileTraits, SignalOwner, dnotify, lease, locks, sigio};
use crate::mem::{PAGE_SIZE, UserIn, UserOut, UserSlice, UserStr};
use crate::process::limits::Resource;

/// Opens and installs (`do_sys_openat2`). Waits where a FIFO's other end is missing; the descriptor's number is taken last.
async fn open_at(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, request: OpenRequest) -> SyscallResult {
    let file = open_or_full(cx, dirfd, path, &request)?;
    if file.traits().contains(FileTraits::OPEN_WAITS) {
        let nonblocking = file.nonblocking();
        match file.ops().finish_open(&file) {
            Err(Errno::EAGAIN) if !nonblocking => cx.interruptible(file.wait_open()).await??,
            Err(Errno::EAGAIN) => {}
            done => done?,
        }
    }
    cx.install(file, request.flags.contains(OpenFlags::O_CLOEXEC))
}

/// As [`open_now`], but where no descriptor is left, that is the error before any other, and nothing is made or cut
/// (`get_unused_fd_flags`).
fn open_or_full(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, request: &OpenRequest) -> Result<Arc<File>, Errno> {
    if request.flags.intersects(OpenFlags::O_CREAT | OpenFlags::O_TRUNC) {
        cx.check_room()?;
    }
    open_now(cx, dirfd, path, request).map_err(|error| match error {
        Errno::EIOCBQUEUED | Errno::EFAULT | Errno::ENAMETOOLONG => error,
        error => cx.check_room().err().unwrap_or(error),
    })
}

/// The part of an open that never waits; the path lives on the stack for it alone.
#[inline(never)]
fn open_now(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, request: &OpenRequest) -> Result<Arc<File>, Errno> {
    let mut name = PathName::EMPTY;
    name.fill(path)?;
    let start = cx.start(dirfd, &name, &cx.private.cred)?;
    let file = open(start, &name, request, cx.private.fs.umask(), &cx.private.cred)?;
    if file.traits().contains(FileTraits::TERMINAL) {
        file.ops().opened(&file, &cx.caller(), request.flags.contains(OpenFlags::O_NOCTTY))?;
    }
    Ok(file)
}

/// open(2), of anything but a FIFO.
pub fn open_at_once(cx: &mut Cx<'_>, path: UserStr, flags: Flags, mode: u32) -> Option<SyscallResult> {
    openat_at_once(cx, AT_FDCWD, path, flags, mode)
}

/// openat(2), of anything but a FIFO.
pub fn openat_at_once(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, flags: Flags, mode: u32) -> Option<SyscallResult> {
    let request = OpenRequest { may_wait: false, ..OpenRequest::from_open(flags.0, mode).ok()? };
    match open_or_full(cx, dirfd, path, &request) {
        Err(Errno::EAGAIN) => None,
        opened => Some(opened.and_then(|file| cx.install(file, request.flags.contains(OpenFlags::O_CLOEXEC)))),
    }
}

/// open(2). Waits for the other end of a FIFO.
pub async fn sys_open(cx: &mut Cx<'_>, path: UserStr, flags: Flags, mode: u32) -> SyscallResult {
    open_at(cx, AT_FDCWD, path, OpenRequest::from_open(flags.0, mode)?).await
}

/// openat(2).
pub async fn sys_openat(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, flags: Flags, mode: u32) -> SyscallResult {
    open_at(cx, dirfd, path, OpenRequest::from_open(flags.0, mode)?).await
}

/// creat(2).
pub async fn sys_creat(cx: &mut Cx<'_>, path: UserStr, mode: u32) -> SyscallResult {
    let flags = OpenFlags::O_CREAT | OpenFlags::O_WRONLY | OpenFlags::O_TRUNC;
    open_at(cx, AT_FDCWD, path, OpenRequest::from_open(flags.bits(), mode)?).await
}

/// openat2(2). `EINVAL` for a short structure or unknown bits, `E2BIG` for a longer one that is not zero in the rest.
pub async fn sys_openat2(
    cx: &mut Cx<'_>,
    dirfd: i32,
    path: UserStr,
    how: UserIn<OpenHow>,
    size: usize,
) -> SyscallResult {
    let request = read_how(how, size)?;
    open_at(cx, dirfd, path, request).await
}

fn read_how(how: UserIn<OpenHow>, size: usize) -> Result<OpenRequest, Errno> {
    if size < OPEN_HOW_SIZE_VER0 {
        return Err(Errno::EINVAL);
    }
    if size > crate::mem::PAGE_SIZE as usize {
        return Err(Errno::E2BIG);
    }
    let rest = UserSlice::new(how.addr().0.wrapping_add(OPEN_HOW_SIZE_VER0 as u64), (size - OPEN_HOW_SIZE_VER0) as u64);
    if rest.read_all()?.iter().any(|&byte| byte != 0) {
        return Err(Errno::E2BIG);
    }
    OpenRequest::from_how(&how.read()?)
}

/// close(2). The descriptor is free whatever the result.
pub fn sys_close(cx: &mut Cx<'_>, fd: i32) -> SyscallResult {
    let file = cx.private.files.close(fd)?;
    file.ops().flush(&file).map(|()| 0)
}

/// close_range(2). `EINVAL`.
pub fn sys_close_range(cx: &mut Cx<'_>, first: u32, last: u32, flags: Flags) -> SyscallResult {
    let flags = CloseRangeFlags::from_bits(flags.0).ok_or(Errno::EINVAL)?;
    if first > last {
        return Err(Errno::EINVAL);
    }
    if flags.contains(CloseRangeFlags::CLOSE_RANGE_UNSHARE) {
        let own = cx.private.files.fork();
        let thread = cx.thread.clone();
        cx.private.hold(&thread, |private| private.files = own);
    }
    if flags.contains(CloseRangeFlags::CLOSE_RANGE_CLOEXEC) {
        cx.private.files.set_close_on_exec_range(first, last);
    } else {
        cx.private.files.close_range(first, last);
    }
    Ok(0)
}

/// dup(2). `EBADF`, `EMFILE`.
pub fn sys_dup(cx: &mut Cx<'_>, fd: i32) -> SyscallResult {
    let file = cx.private.files.get_any(fd)?;
    cx.install(file, false)
}

/// dup2(2). `EBADF`.
pub fn sys_dup2(cx: &mut Cx<'_>, old: i32, new: i32) -> SyscallResult {
    if old == new {
        return cx.private.files.get_any(old).map(|_| new.unsigned_abs() as usize);
    }
    duplicate_to(cx, old, new, false)
}

/// dup3(2) (`ksys_dup3`). `EINVAL` if both are the same, or for unknown flags; `EBADF`.
pub fn sys_dup3(cx: &mut Cx<'_>, old: i32, new: i32, flags: Flags) -> SyscallResult {
    let close_on_exec = flags.0 == OpenFlags::O_CLOEXEC.bits();
    if (flags.0 != 0 && !close_on_exec) || old == new {
        return Err(Errno::EINVAL);
    }
    duplicate_to(cx, old, new, close_on_exec)
}

fn duplicate_to(cx: &mut Cx<'_>, old: i32, new: i32, close_on_exec: bool) -> SyscallResult {
    let limit = cx.limit(Resource::Files);
    let in_range = u64::try_from(new).is_ok_and(|new| new < limit);
    if !in_range {
        return Err(Errno::EBADF);
    }
    let file = cx.private.files.get_any(old)?;
    let replaced = cx.private.files.install_at(new, file, close_on_exec, limit)?;
    if let Some(replaced) = replaced {
        // As on Linux, an error of this implicit close is lost.
        let _ = replaced.ops().flush(&replaced);
    }
    Ok(new.unsigned_abs() as usize)
}

/// fcntl(2) (`do_fcntl`). `F_SETLKW` and `F_OFD_SETLKW` wait. `O_PATH` descriptors know the descriptor commands only.
pub async fn sys_fcntl(cx: &mut Cx<'_>, fd: i32, command: u32, arg: u64) -> SyscallResult {
    let file = cx.private.files.get_any(fd)?;
    let on_descriptor =
        matches!(command, fcntl::F_DUPFD | fcntl::F_DUPFD_CLOEXEC | fcntl::F_GETFD | fcntl::F_SETFD | fcntl::F_GETFL);
    if file.flags().contains(OpenFlags::O_PATH) && !on_descriptor {
        return Err(Errno::EBADF);
    }
    match command {
        fcntl::F_GETLK | fcntl::F_OFD_GETLK => get_lock(cx, &file, command, arg),
        fcntl::F_SETLK | fcntl::F_SETLKW | fcntl::F_OFD_SETLK | fcntl::F_OFD_SETLKW => {
            set_lock(cx, fd, &file, command, arg).await
        }
        _ => fcntl_now(cx, fd, &file, command, arg),
    }
}

/// The commands that never wait.
fn fcntl_now(cx: &mut Cx<'_>, fd: i32, file: &Arc<File>, command: u32, arg: u64) -> SyscallResult {
    let files = &cx.private.files;
    match command {
        fcntl::F_DUPFD | fcntl::F_DUPFD_CLOEXEC => {
            let close_on_exec = command == fcntl::F_DUPFD_CLOEXEC;
            let lowest = i32::try_from(arg as u32).map_err(|_| Errno::EINVAL)?;
            let new = files.install_from(lowest, file.clone(), close_on_exec, cx.limit(Resource::Files))?;
            Ok(new.unsigned_abs() as usize)
        }
        fcntl::F_GETFD => files.is_close_on_exec(fd).map(usize::from),
        fcntl::F_SETFD => files.mark_close_on_exec(fd, arg & u64::from(fcntl::FD_CLOEXEC) != 0).map(|()| 0),
        fcntl::F_GETFL => Ok(file.flags().bits() as usize),
        fcntl::F_SETFL => set_flags(file, fd, OpenFlags::from_bits_retain(arg as u32), &cx.private.cred),
        fcntl::F_GETOWN => Ok(file.signal_owner().as_getown() as isize as usize),
        fcntl::F_SETOWN => set_owner(cx, file, arg as u32 as i32, false),
        fcntl::F_GETOWN_EX => get_owner_ex(file, UserOut::new(arg)),
        fcntl::F_SETOWN_EX => set_owner_ex(cx, file, UserIn::new(arg)),
        fcntl::F_GETSIG => Ok(usize::from(file.signal_owner().signal)),
        fcntl::F_SETSIG => {
            let signal = u8::try_from(arg).ok().filter(|&signal| signal <= 64).ok_or(Errno::EINVAL)?;
            file.set_signal_owner(SignalOwner { signal, ..file.signal_owner() });
            Ok(0)
        }
        fcntl::F_GETLEASE => Ok(lease::get(file) as usize),
        fcntl::F_SETLEASE => {
            lease::set(file, fd, arg, &cx.private.cred)?;
            own_if_nobody_does(cx, file);
            Ok(0)
        }
        fcntl::F_NOTIFY => {
            dnotify::ask(file, fd, DnMask::from_bits_truncate(arg as u32))?;
            own_if_nobody_does(cx, file);
            Ok(0)
        }
        fcntl::F_GET_RW_HINT => UserOut::<u64>::new(arg).write(&u64::from(file.inode().write_hint())).map(|()| 0),
        fcntl::F_SET_RW_HINT => {
            let hint = u8::try_from(UserIn::<u64>::new(arg).read()?).map_err(|_| Errno::EINVAL)?;
            if hint > MAX_WRITE_HINT {
                return Err(Errno::EINVAL);
            }
            file.inode().set_write_hint(hint);
            Ok(0)
        }
        fcntl::F_GETPIPE_SZ | fcntl::F_SETPIPE_SZ if pipe_of(file).is_none() => Err(Errno::EBADF),
        _ => file.ops().fcntl(file, command, arg),
    }
}

/// `RWH_WRITE_LIFE_EXTREME`.
const MAX_WRITE_HINT: u8 = 5;

/// Leases and directory notification signal whoever asked for them, unless the file has an owner (`__f_setown`).
fn own_if_nobody_does(cx: &Cx<'_>, file: &File) {
    if file.signal_owner().target == 0 {
        let (target, cred) = (cx.process().pid, &cx.private.cred);
        let owner = SignalOwner { target, thread: false, uid: cred.uid, euid: cred.euid, ..file.signal_owner() };
        file.set_signal_owner(owner);
    }
}

/// fcntl(F_SETFL) (`setfl`). `EPERM` for `O_NOATIME` on another's file, `EINVAL` for `O_DIRECT` where it does not exist.
fn set_flags(file: &Arc<File>, fd: i32, flags: OpenFlags, cred: &Cred) -> SyscallResult {
    let gains = flags.difference(file.flags());
    if gains.contains(OpenFlags::O_NOATIME) && !crate::fs::permission::is_owner(file.inode(), cred) {
        return Err(Errno::EPERM);
    }
    if gains.contains(OpenFlags::O_DIRECT) && file.inode().kind != FileKind::Fifo {
        return Err(Errno::EINVAL);
    }
    // A file that does not know `O_ASYNC` does not show it, either.
    sigio::set_asynchronous(file, fd, flags.contains(OpenFlags::O_ASYNC));
    file.set_flags(flags);
    Ok(0)
}

/// fcntl(F_SETOWN) (`f_setown`). `EINVAL`, `ESRCH`.
fn set_owner(cx: &Cx<'_>, file: &File, target: i32, thread: bool) -> SyscallResult {
    if target == i32::MIN {
        return Err(Errno::EINVAL);
    }
    if !cx.process().table.has_owner(target, thread) {
        return Err(Errno::ESRCH);
    }
    let cred = &cx.private.cred;
    let owner = SignalOwner { target, thread, uid: cred.uid, euid: cred.euid, ..file.signal_owner() };
    file.set_signal_owner(owner);
    Ok(0)
}

fn set_owner_ex(cx: &Cx<'_>, file: &File, from: UserIn<fcntl::FOwnerEx>) -> SyscallResult {
    let owner = from.read()?;
    match u32::try_from(owner.r#type) {
        Ok(fcntl::F_OWNER_TID) => set_owner(cx, file, owner.pid, true),
        Ok(fcntl::F_OWNER_PID) => set_owner(cx, file, owner.pid, false),
        Ok(fcntl::F_OWNER_PGRP) => set_owner(cx, file, -owner.pid, false),
        _ => Err(Errno::EINVAL),
    }
}

fn get_owner_ex(file: &File, to: UserOut<fcntl::FOwnerEx>) -> SyscallResult {
    let owner = file.signal_owner();
    let kind = match owner.target {
        _ if owner.thread => fcntl::F_OWNER_TID,
        target if target < 0 => fcntl::F_OWNER_PGRP,
        _ => fcntl::F_OWNER_PID,
    };
    to.write(&fcntl::FOwnerEx { r#type: kind as i32, pid: owner.target.abs() })?;
    Ok(0)
}

/// fcntl(F_GETLK), fcntl(F_OFD_GETLK) (`fcntl_getlk`): which lock is in the way. `EFAULT`, `EINVAL`.
fn get_lock(cx: &Cx<'_>, file: &Arc<File>, command: u32, arg: u64) -> SyscallResult {
    let request = UserIn::<Flock>::new(arg).read()?;
    let owner = locks::Owner::of_command(command == fcntl::F_OFD_GETLK, file, &cx.private.files, cx.process().pid);
    let answer = locks::test(file, &request, owner)?;
    UserOut::<Flock>::new(arg).write(&answer)?;
    Ok(0)
}

/// fcntl(F_SETLK) and its kin (`fcntl_setlk`). `EAGAIN` if another lock is in the way; `EDEADLK`, `EBADF`, `EINVAL`.
async fn set_lock(cx: &mut Cx<'_>, fd: i32, file: &Arc<File>, command: u32, arg: u64) -> SyscallResult {
    let request = UserIn::<Flock>::new(arg).read()?;
    let description = matches!(command, fcntl::F_OFD_SETLK | fcntl::F_OFD_SETLKW);
    let waits = matches!(command, fcntl::F_SETLKW | fcntl::F_OFD_SETLKW);
    let owner = locks::Owner::of_command(description, file, &cx.private.files, cx.process().pid);
    let range = locks::Range::of_request(file, &request, description)?;
    match locks::set(file, range, owner) {
        Err(Errno::EAGAIN) if waits => Box::pin(cx.interruptible(locks::set_waiting(file, range, owner))).await??,
        done => done?,
    }
    // A descriptor closed meanwhile by another thread took this process's locks with it, but not this one.
    let still = cx.private.files.get_any(fd).is_ok_and(|now| Arc::ptr_eq(&now, file));
    if !still && !description {
        file.inode().locks_of_table_end(cx.private.files.id());
        return Err(Errno::EBADF);
    }
    Ok(0)
}

/// flock(2). Waits unless `LOCK_NB`. `EBADF`, `EINVAL`, `EWOULDBLOCK`.
pub async fn sys_flock(cx: &mut Cx<'_>, fd: i32, operation: Flags) -> SyscallResult {
    // Mandatory locks never were any: a request for one is done, and does nothing.
    const LOCK_MAND: u32 = 32;
    if operation.0 & LOCK_MAND != 0 {
        return Ok(0);
    }
    let operation = FlockOp::from_bits(operation.0).ok_or(Errno::EINVAL)?;
    let waits = !operation.contains(FlockOp::LOCK_NB);
    let kind = match operation.difference(FlockOp::LOCK_NB) {
        FlockOp::LOCK_SH => locks::Kind::Read,
        FlockOp::LOCK_EX => locks::Kind::Write,
        FlockOp::LOCK_UN => locks::Kind::None,
        _ => return Err(Errno::EINVAL),
    };
    let file = cx.file(fd)?;
    match locks::flock(&file, kind) {
        Err(Errno::EAGAIN) if waits => cx.interruptible(locks::flock_waiting(&file, kind)).await??,
        done => done?,
    }
    Ok(0)
}

/// ioctl(2): first what all files know (`do_vfs_ioctl`), then the object. `EBADF`, `ENOTTY`.
pub fn sys_ioctl(cx: &mut Cx<'_>, fd: i32, request: u32, arg: Pointer) -> SyscallResult {
    const FIOCLEX: u32 = 0x5451;
    const FIONCLEX: u32 = 0x5450;
    const FIONBIO: u32 = 0x5421;
    const FIOASYNC: u32 = 0x5452;
    const FIONREAD: u32 = 0x541b;
    const FIOQSIZE: u32 = 0x5460;
    const FIGETBSZ: u32 = 2;
    const FICLONE: u32 = 0x4004_9409;
    const FICLONERANGE: u32 = 0x4020_940d;
    const FS_IOC_FIEMAP: u32 = 0xc020_660b;
    const FIOSETOWN: u32 = 0x8901;
    const SIOCSPGRP: u32 = 0x8902;
    const FIOGETOWN: u32 = 0x8903;
    const SIOCGPGRP: u32 = 0x8904;
    let file = cx.file(fd)?;
    let is_socket = file.inode().kind == FileKind::Socket;
    let lies_in_file_system = matches!(file.inode().kind, FileKind::Regular | FileKind::Directory);
    let set = |flag: OpenFlags| {
        let on = UserIn::<i32>::new(arg.0).read()? != 0;
        let flags = file.flags();
        file.set_flags(if on { flags | flag } else { flags.difference(flag) });
        Ok(0)
    };
    match request {
        FIOCLEX => cx.private.files.mark_close_on_exec(fd, true).map(|()| 0),
        FIONCLEX => cx.private.files.mark_close_on_exec(fd, false).map(|()| 0),
        FIONBIO => set(OpenFlags::O_NONBLOCK),
        FIOASYNC => {
            let on = UserIn::<i32>::new(arg.0).read()? != 0;
            let changes = file.flags().contains(OpenFlags::O_ASYNC) != on;
            if changes && !sigio::set_asynchronous(&file, fd, on) { Err(Errno::ENOTTY) } else { Ok(0) }
        }
        FIOSETOWN | SIOCSPGRP if is_socket => set_owner(cx, &file, UserIn::<i32>::new(arg.0).read()?, false),
        FIOGETOWN | SIOCGPGRP if is_socket => {
            UserOut::<i32>::new(arg.0).write(&file.signal_owner().as_getown()).map(|()| 0)
        }
        FIGETBSZ if lies_in_file_system => UserOut::<i32>::new(arg.0).write(&(PAGE_SIZE as i32)).map(|()| 0),
        FICLONE | FICLONERANGE | FS_IOC_FIEMAP if lies_in_file_system => Err(Errno::EOPNOTSUPP),
        FIONREAD if file.inode().kind == FileKind::Regular => {
            let left = file.ops().size_bytes(&file).saturating_sub(file.position());
            UserOut::<i32>::new(arg.0).write(&(left as i32)).map(|()| 0)
        }
        FIOQSIZE if matches!(file.inode().kind, FileKind::Regular | FileKind::Directory) => {
            UserOut::<i64>::new(arg.0).write(&(file.ops().size_bytes(&file) as i64)).map(|()| 0)
        }
        _ => file.ops().ioctl(&file, &cx.caller(), request, arg.0),
    }
}
