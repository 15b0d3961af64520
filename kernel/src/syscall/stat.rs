//! What a file is, and changing that: stat, statx, access, chmod, chown, utimensat, truncate, statfs, ustat.

use abi::Errno;
use abi::fcntl::{AT_EACCESS, AT_FDCWD, AccessMode, AtFlags};
use abi::stat::{STATX__RESERVED, Stat, Statfs, Statx, StatxMask, Ustat};
use abi::time::{Timespec, Timeval};

use super::args::Flags;
use super::files::PathName;
use super::path::at_flags;
use super::{Cx, SyscallResult};
use crate::fs::attributes::{self, NewTime};
use crate::fs::permission::Permission;
use crate::fs::{DeviceId, Path, Timestamp, mount, stat};
use crate::mem::{UserIn, UserOut, UserStr};
use crate::signal::Signal;

/// The place a path with `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH` names.
fn place_at(cx: &Cx<'_>, dirfd: i32, path: UserStr, flags: AtFlags) -> Result<Path, Errno> {
    let mut name = PathName::EMPTY;
    name.fill(path)?;
    let follow = !flags.contains(AtFlags::AT_SYMLINK_NOFOLLOW);
    cx.resolve_or_self(dirfd, &name, follow, flags.contains(AtFlags::AT_EMPTY_PATH))
}

/// Writes what stat(2) says of a place. The answer stays where it is made: moving it would cost as much as writing it.
fn give(place: &Path, to: UserOut<Stat>) -> SyscallResult {
    match &stat::stat(place) {
        Ok(stat) => to.write(stat).map(|()| 0),
        Err(error) => Err(*error),
    }
}

/// stat(2).
pub fn sys_stat(cx: &mut Cx<'_>, path: UserStr, to: UserOut<Stat>) -> SyscallResult {
    let place = place_at(cx, AT_FDCWD, path, AtFlags::empty())?;
    give(&place, to)
}

/// lstat(2).
pub fn sys_lstat(cx: &mut Cx<'_>, path: UserStr, to: UserOut<Stat>) -> SyscallResult {
    let place = place_at(cx, AT_FDCWD, path, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    give(&place, to)
}

/// fstat(2). Works on `O_PATH` descriptors, too.
pub fn sys_fstat(cx: &mut Cx<'_>, fd: i32, to: UserOut<Stat>) -> SyscallResult {
    let file = cx.private.files.get_any(fd)?;
    give(file.path(), to)
}

/// newfstatat(2) (`vfs_fstatat`).
pub fn sys_newfstatat(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, to: UserOut<Stat>, flags: Flags) -> SyscallResult {
    let synchronisation = AtFlags::AT_STATX_FORCE_SYNC | AtFlags::AT_STATX_DONT_SYNC;
    let known = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT | AtFlags::AT_EMPTY_PATH | synchronisation;
    let place = place_at(cx, dirfd, path, at_flags(flags, known)?)?;
    give(&place, to)
}

/// statx(2) (`do_statx`). `EINVAL` for the reserved bit of the mask or both kinds of synchronisation.
pub fn sys_statx(
    cx: &mut Cx<'_>,
    dirfd: i32,
    path: UserStr,
    flags: Flags,
    mask: Flags,
    to: UserOut<Statx>,
) -> SyscallResult {
    let both = AtFlags::AT_STATX_FORCE_SYNC | AtFlags::AT_STATX_DONT_SYNC;
    let known = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT | AtFlags::AT_EMPTY_PATH | both;
    if mask.0 & STATX__RESERVED != 0 || AtFlags::from_bits_retain(flags.0).contains(both) {
        return Err(Errno::EINVAL);
    }
    let place = place_at(cx, dirfd, path, at_flags(flags, known)?)?;
    to.write(&stat::statx(&place, StatxMask::from_bits_retain(mask.0))?).map(|()| 0)
}

/// access(2).
pub fn sys_access(cx: &mut Cx<'_>, path: UserStr, mode: u32) -> SyscallResult {
    access_at(cx, AT_FDCWD, path, mode, AtFlags::empty(), false)
}

/// faccessat(2), whose flags the C library deals with.
pub fn sys_faccessat(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, mode: u32) -> SyscallResult {
    access_at(cx, dirfd, path, mode, AtFlags::empty(), false)
}

/// faccessat2(2) (`do_faccessat`).
pub fn sys_faccessat2(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, mode: u32, flags: Flags) -> SyscallResult {
    let effective = flags.0 & AT_EACCESS != 0;
    let known = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH;
    let flags = at_flags(Flags(flags.0 & !AT_EACCESS), known)?;
    access_at(cx, dirfd, path, mode, flags, effective)
}

fn access_at(cx: &Cx<'_>, dirfd: i32, path: UserStr, mode: u32, flags: AtFlags, effective: bool) -> SyscallResult {
    let mode = AccessMode::from_bits(mode).ok_or(Errno::EINVAL)?;
    let real;
    let cred = if effective {
        &*cx.private.cred
    } else {
        real = attributes::real_identity(&cx.private.cred);
        &real
    };
    let name = PathName::read_or_empty(path)?;
    let follow = !flags.contains(AtFlags::AT_SYMLINK_NOFOLLOW);
    let place = if name.is_empty() {
        cx.resolve_or_self(dirfd, &name, follow, flags.contains(AtFlags::AT_EMPTY_PATH))?
    } else {
        cx.start(dirfd, &name, cred)?.resolve(&name, follow)?
    };
    let want = Permission::from_bits_truncate(mode.bits() as u16);
    attributes::access(&place, want, cred).map(|()| 0)
}

/// chmod(2).
pub fn sys_chmod(cx: &mut Cx<'_>, path: UserStr, mode: u32) -> SyscallResult {
    sys_fchmodat(cx, AT_FDCWD, path, mode)
}

/// fchmod(2).
pub fn sys_fchmod(cx: &mut Cx<'_>, fd: i32, mode: u32) -> SyscallResult {
    let file = cx.file(fd)?;
    attributes::change_mode(file.path(), mode as u16, &cx.private.cred).map(|()| 0)
}

/// fchmodat(2), which knows no flags.
pub fn sys_fchmodat(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, mode: u32) -> SyscallResult {
    let place = place_at(cx, dirfd, path, AtFlags::empty())?;
    attributes::change_mode(&place, mode as u16, &cx.private.cred).map(|()| 0)
}

/// An identity for chown(2): -1 keeps the old one.
fn identity(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

/// chown(2).
pub fn sys_chown(cx: &mut Cx<'_>, path: UserStr, uid: u32, gid: u32) -> SyscallResult {
    sys_fchownat(cx, AT_FDCWD, path, uid, gid, Flags(0))
}

/// lchown(2).
pub fn sys_lchown(cx: &mut Cx<'_>, path: UserStr, uid: u32, gid: u32) -> SyscallResult {
    sys_fchownat(cx, AT_FDCWD, path, uid, gid, Flags(AtFlags::AT_SYMLINK_NOFOLLOW.bits()))
}

/// fchown(2).
pub fn sys_fchown(cx: &mut Cx<'_>, fd: i32, uid: u32, gid: u32) -> SyscallResult {
    let file = cx.file(fd)?;
    attributes::change_owner(file.path(), identity(uid), identity(gid), &cx.private.cred).map(|()| 0)
}

/// fchownat(2) (`do_fchownat`).
pub fn sys_fchownat(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, uid: u32, gid: u32, flags: Flags) -> SyscallResult {
    let flags = at_flags(flags, AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH)?;
    let place = place_at(cx, dirfd, path, flags)?;
    attributes::change_owner(&place, identity(uid), identity(gid), &cx.private.cred).map(|()| 0)
}

/// A time as utimensat(2) takes it. `EINVAL`.
fn new_time(time: Timespec) -> Result<NewTime, Errno> {
    const UTIME_NOW: i64 = (1 << 30) - 1;
    const UTIME_OMIT: i64 = (1 << 30) - 2;
    match time.tv_nsec {
        UTIME_NOW => Ok(NewTime::Now),
        UTIME_OMIT => Ok(NewTime::Keep),
        nanoseconds => match u32::try_from(nanoseconds) {
            Ok(nanoseconds) if nanoseconds < 1_000_000_000 => {
                Ok(NewTime::Given(Timestamp { seconds: time.tv_sec, nanoseconds }))
            }
            _ => Err(Errno::EINVAL),
        },
    }
}

/// utimensat(2) (`do_utimes`). A null path is `dirfd` itself. If both times are to be kept, nothing is even looked at.
pub fn sys_utimensat(
    cx: &mut Cx<'_>,
    dirfd: i32,
    path: UserStr,
    times: UserIn<[Timespec; 2]>,
    flags: Flags,
) -> SyscallResult {
    let [accessed, modified] = match times.read_optional()? {
        Some([accessed, modified]) => [new_time(accessed), new_time(modified)],
        None => [Ok(NewTime::Now), Ok(NewTime::Now)],
    };
    if (accessed, modified) == (Ok(NewTime::Keep), Ok(NewTime::Keep)) {
        return Ok(0);
    }
    let place = if path.0.is_null() && dirfd != AT_FDCWD {
        if flags.0 != 0 {
            return Err(Errno::EINVAL);
        }
        cx.file(dirfd)?.path().clone()
    } else {
        let flags = at_flags(flags, AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH)?;
        place_at(cx, dirfd, path, flags)?
    };
    attributes::change_times(&place, accessed?, modified?, &cx.private.cred).map(|()| 0)
}

/// Times in microseconds, as the older calls take them. `EINVAL`.
fn times_of(times: Option<[Timeval; 2]>) -> Result<[NewTime; 2], Errno> {
    let Some(times) = times else { return Ok([NewTime::Now; 2]) };
    let convert = |time: Timeval| match u32::try_from(time.tv_usec) {
        Ok(us) if us < 1_000_000 => Ok(NewTime::Given(Timestamp { seconds: time.tv_sec, nanoseconds: us * 1000 })),
        _ => Err(Errno::EINVAL),
    };
    let [accessed, modified] = times;
    Ok([convert(accessed)?, convert(modified)?])
}

/// utimes(2).
pub fn sys_utimes(cx: &mut Cx<'_>, path: UserStr, times: UserIn<[Timeval; 2]>) -> SyscallResult {
    sys_futimesat(cx, AT_FDCWD, path, times)
}

/// futimesat(2).
pub fn sys_futimesat(cx: &mut Cx<'_>, dirfd: i32, path: UserStr, times: UserIn<[Timeval; 2]>) -> SyscallResult {
    let [accessed, modified] = times_of(times.read_optional()?)?;
    let place = if path.0.is_null() && dirfd != AT_FDCWD {
        cx.file(dirfd)?.path().clone()
    } else {
        place_at(cx, dirfd, path, AtFlags::empty())?
    };
    attributes::change_times(&place, accessed, modified, &cx.private.cred).map(|()| 0)
}

/// utime(2): two times in seconds.
pub fn sys_utime(cx: &mut Cx<'_>, path: UserStr, times: UserIn<[i64; 2]>) -> SyscallResult {
    let given = |seconds| NewTime::Given(Timestamp { seconds, nanoseconds: 0 });
    let [accessed, modified] = times.read_optional()?.map_or([NewTime::Now; 2], |times| times.map(given));
    let place = place_at(cx, AT_FDCWD, path, AtFlags::empty())?;
    attributes::change_times(&place, accessed, modified, &cx.private.cred).map(|()| 0)
}

/// truncate(2) (`do_sys_truncate`). `EFBIG` comes with SIGXFSZ.
pub fn sys_truncate(cx: &mut Cx<'_>, path: UserStr, len: i64) -> SyscallResult {
    let len = u64::try_from(len).map_err(|_| Errno::EINVAL)?;
    let place = place_at(cx, AT_FDCWD, path, AtFlags::empty())?;
    let mut limit = cx.size_limit();
    let done = attributes::truncate(&place, len, &cx.private.cred, &mut limit);
    if limit.exceeded {
        cx.raise(Signal::XFSZ);
    }
    done.map(|()| 0)
}

/// statfs(2).
pub fn sys_statfs(cx: &mut Cx<'_>, path: UserStr, to: UserOut<Statfs>) -> SyscallResult {
    let place = place_at(cx, AT_FDCWD, path, AtFlags::empty())?;
    to.write(&stat::statfs(&place.mount)?).map(|()| 0)
}

/// fstatfs(2).
pub fn sys_fstatfs(cx: &mut Cx<'_>, fd: i32, to: UserOut<Statfs>) -> SyscallResult {
    let file = cx.private.files.get_any(fd)?;
    to.write(&stat::statfs(&file.path().mount)?).map(|()| 0)
}

/// ustat(2): the free room of the file system on a device. Errors: EINVAL if nothing mounted is on it, EFAULT. Order:
/// `sys_ustat()`.
pub fn sys_ustat(_cx: &mut Cx<'_>, device: u32, to: UserOut<Ustat>) -> SyscallResult {
    let device = DeviceId::decode(device.into());
    let mount = mount::all().into_iter().find(|mount| mount.fs().device == device).ok_or(Errno::EINVAL)?;
    let stat = mount.fs().ops().statfs()?;
    let free = Ustat { f_tfree: stat.blocks_free as u32, f_tinode: stat.inodes_free, ..Ustat::default() };
    to.write(&free).map(|()| 0)
}
