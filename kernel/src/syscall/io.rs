//! Moving bytes: read, write and their vectored and positioned kin; lseek; sync (`fs/read_write.c`, `fs/sync.c`).

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;

use abi::Errno;
use abi::fcntl::{FallocMode, SyncFileRangeFlags};
use abi::uio::RwFlags;

use super::args::{Flags, Pointer};
use super::{Cx, Prepared, SyscallResult};
use crate::fs::{
    Access, AccessFlags, At, Capabilities, File, FileKind, FileTraits, Sink, SizeLimit, Source, Whence, attributes,
    mount,
};
use crate::mem::UserBuffers;
use crate::signal::Signal;

/// Reads into `sink`, waiting if need be. Restarted after a signal.
async fn read_file(cx: &Cx<'_>, file: &Arc<File>, sink: &mut dyn Sink, at: At, nowait: bool) -> SyscallResult {
    if file.traits().contains(FileTraits::TERMINAL) {
        file.ops().job_control(file, &cx.caller(), Access::Read)?;
    }
    cx.interruptible(file.read(sink, at, nowait)).await?
}

/// Writes from `source`, waiting if need be. What was written before a signal is reported; nothing written is restarted.
async fn write_file(
    cx: &mut Cx<'_>,
    file: &Arc<File>,
    source: &mut dyn Source,
    at: At,
    flags: RwFlags,
) -> SyscallResult {
    if file.traits().contains(FileTraits::TERMINAL) {
        file.ops().job_control(file, &cx.caller(), Access::Write)?;
    }
    let mut limit = cx.size_limit();
    let mut done = 0;
    let written = cx.interruptible(file.write(source, &mut done, at, flags, &mut limit)).await;
    let result = match written {
        Ok(result) => result,
        Err(_) if done > 0 => Ok(done),
        Err(interrupted) => Err(interrupted.into()),
    };
    raise_for(cx, result, &limit);
    result
}

/// Sends the signal that comes with a failed write.
fn raise_for(cx: &mut Cx<'_>, result: SyscallResult, limit: &SizeLimit) {
    match result {
        Err(Errno::EPIPE) => cx.raise(Signal::PIPE),
        Err(Errno::EFBIG) if limit.exceeded => cx.raise(Signal::XFSZ),
        _ => {}
    }
}

/// The most that a pipe takes in one piece (`PIPE_BUF`).
const PIPE_BUF: u64 = 4096;

/// Reads if that need not wait.
fn try_read(file: &File, sink: Result<UserBuffers, Errno>, at: At) -> Option<SyscallResult> {
    if file.traits().contains(FileTraits::TERMINAL) {
        return None;
    }
    match sink {
        Ok(mut sink) => file.read_unless_empty(&mut sink, at),
        Err(error) => Some(Err(error)),
    }
}

/// read(2), if it need not wait.
pub fn read_at_once(cx: &mut Cx<'_>, fd: i32, buffer: Pointer, count: usize) -> Option<SyscallResult> {
    match readable(cx, fd) {
        Ok(file) => try_read(&file, UserBuffers::single(buffer.0, count as u64), At::Position),
        Err(error) => Some(Err(error)),
    }
}

/// readv(2), if it need not wait.
pub fn readv_at_once(cx: &mut Cx<'_>, fd: i32, vector: Pointer, count: u64) -> Option<SyscallResult> {
    match readable(cx, fd) {
        Ok(file) => try_read(&file, UserBuffers::vector(vector.0, count), At::Position),
        Err(error) => Some(Err(error)),
    }
}

/// pread64(2), if it need not wait and has a file to read.
pub fn pread64_at_once(
    cx: &mut Cx<'_>,
    fd: i32,
    buffer: Pointer,
    count: usize,
    position: i64,
) -> Option<SyscallResult> {
    let at = offset(position).ok()?;
    let file = positioned(readable(cx, fd).ok()?).ok()?;
    // Where offsets end is left to the whole call.
    position.checked_add(i64::try_from(count).ok()?)?;
    try_read(&file, UserBuffers::single(buffer.0, count as u64), at)
}

/// Writes if that need not wait, what is taken whole or not at all: a regular file takes all it can, a pipe or a device does so
/// with little.
fn try_write(cx: &mut Cx<'_>, file: &File, source: Result<UserBuffers, Errno>, at: At) -> Option<SyscallResult> {
    let mut source = source.ok()?;
    let traits = file.traits();
    let kind = file.path().inode().kind;
    let few = source.remaining() <= PIPE_BUF
        && matches!(kind, FileKind::Fifo | FileKind::CharDevice | FileKind::Anonymous)
        && !traits.contains(FileTraits::TERMINAL);
    if !few && !traits.contains(FileTraits::REGULAR) {
        return None;
    }
    let mut limit = cx.size_limit();
    let result = file.try_write(&mut source, at, RwFlags::empty(), &mut limit);
    if result == Err(Errno::EAGAIN) && !file.nonblocking() {
        return None;
    }
    raise_for(cx, result, &limit);
    Some(result)
}

/// write(2), if it need not wait.
pub fn write_at_once(cx: &mut Cx<'_>, fd: i32, buffer: Pointer, count: usize) -> Option<SyscallResult> {
    let file = writable(cx, fd).ok()?;
    try_write(cx, &file, UserBuffers::single(buffer.0, count as u64), At::Position)
}

/// writev(2), if it need not wait.
pub fn writev_at_once(cx: &mut Cx<'_>, fd: i32, vector: Pointer, count: u64) -> Option<SyscallResult> {
    let file = writable(cx, fd).ok()?;
    try_write(cx, &file, UserBuffers::vector(vector.0, count), At::Position)
}

/// pwrite64(2), if it need not wait.
pub fn pwrite64_at_once(
    cx: &mut Cx<'_>,
    fd: i32,
    buffer: Pointer,
    count: usize,
    position: i64,
) -> Option<SyscallResult> {
    let at = offset(position).ok()?;
    let file = positioned(writable(cx, fd).ok()?).ok()?;
    try_write(cx, &file, UserBuffers::single(buffer.0, count as u64), at)
}

/// A file position given by the user. `EINVAL` if it is negative.
fn offset(position: i64) -> Result<At, Errno> {
    u64::try_from(position).map(At::Offset).map_err(|_| Errno::EINVAL)
}

/// As [`offset`], but -1 means the description's own position (preadv2(2)).
fn offset_or_position(position: i64) -> Result<At, Errno> {
    if position == -1 { Ok(At::Position) } else { offset(position) }
}

/// The flags of preadv2(2) and pwritev2(2). `EOPNOTSUPP` for unknown ones.
fn rw_flags(flags: Flags) -> Result<RwFlags, Errno> {
    RwFlags::from_bits(flags.0).ok_or(Errno::EOPNOTSUPP)
}

/// The open file, if it is open for reading (`EBADF`).
fn readable(cx: &Cx<'_>, fd: i32) -> Result<Arc<File>, Errno> {
    cx.file(fd).and_then(|file| if file.flags().readable() { Ok(file) } else { Err(Errno::EBADF) })
}

/// The open file, if it is open for writing (`EBADF`).
fn writable(cx: &Cx<'_>, fd: i32) -> Result<Arc<File>, Errno> {
    cx.file(fd).and_then(|file| if file.flags().writable() { Ok(file) } else { Err(Errno::EBADF) })
}

/// Whether all of a transfer lies where offsets reach (`rw_verify_area`). `EINVAL`.
fn check_reach(at: At, buffers: &UserBuffers) -> Result<(), Errno> {
    let At::Offset(offset) = at else { return Ok(()) };
    if i64::try_from(offset.saturating_add(buffers.remaining())).is_ok() { Ok(()) } else { Err(Errno::EINVAL) }
}

/// `RWF_NOWAIT` is for what can be waited for: files in memory do not know it (`FMODE_NOWAIT`). `EOPNOTSUPP`.
fn check_nowait(file: &File, flags: RwFlags) -> Result<(), Errno> {
    let refused = flags.contains(RwFlags::RWF_NOWAIT) && file.traits().contains(FileTraits::REGULAR);
    if refused { Err(Errno::EOPNOTSUPP) } else { Ok(()) }
}

/// The open file, if positions mean something to it (`ESPIPE`).
fn positioned(file: Arc<File>) -> Result<Arc<File>, Errno> {
    if file.traits().contains(FileTraits::SEEKABLE) { Ok(file) } else { Err(Errno::ESPIPE) }
}

/// read(2) (`ksys_read`). Waits for data unless `O_NONBLOCK`.
pub fn sys_read<'a>(
    cx: &'a mut Cx<'_>,
    fd: i32,
    buffer: Pointer,
    count: usize,
) -> impl Future<Output = SyscallResult> + Send + use<'a> {
    let prepared = readable(cx, fd).and_then(|file| Ok((file, UserBuffers::single(buffer.0, count as u64)?)));
    let (file, mut sink) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Prepared::Refused { error },
    };
    let cx = &*cx;
    let future = async move {
        match file.read_queue() {
            // One future, instead of one in another: this is how most readers wait.
            Some(queue) => {
                let read = queue.wait_until(|| file.read_unless_empty(&mut sink, At::Position));
                cx.interruptible(read).await?
            }
            None => Box::pin(read_file(cx, &file, &mut sink, At::Position, false)).await,
        }
    };
    Prepared::Waits { future }
}

/// write(2) (`ksys_write`). Waits for room unless `O_NONBLOCK`. `EPIPE` comes with SIGPIPE, `EFBIG` with SIGXFSZ.
pub async fn sys_write(cx: &mut Cx<'_>, fd: i32, buffer: Pointer, count: usize) -> SyscallResult {
    let file = writable(cx, fd)?;
    let mut source = UserBuffers::single(buffer.0, count as u64)?;
    write_file(cx, &file, &mut source, At::Position, RwFlags::empty()).await
}

/// pread64(2) (`ksys_pread64`).
pub async fn sys_pread64(cx: &mut Cx<'_>, fd: i32, buffer: Pointer, count: usize, position: i64) -> SyscallResult {
    let at = offset(position)?;
    let file = positioned(cx.file(fd)?)?;
    if !file.flags().readable() {
        return Err(Errno::EBADF);
    }
    let mut sink = UserBuffers::single(buffer.0, count as u64)?;
    check_reach(at, &sink)?;
    read_file(cx, &file, &mut sink, at, false).await
}

/// pwrite64(2) (`ksys_pwrite64`). With `O_APPEND` the data goes to the end, as on Linux.
pub async fn sys_pwrite64(cx: &mut Cx<'_>, fd: i32, buffer: Pointer, count: usize, position: i64) -> SyscallResult {
    let at = offset(position)?;
    let file = positioned(cx.file(fd)?)?;
    if !file.flags().writable() {
        return Err(Errno::EBADF);
    }
    let mut source = UserBuffers::single(buffer.0, count as u64)?;
    check_reach(at, &source)?;
    write_file(cx, &file, &mut source, at, RwFlags::empty()).await
}

/// readv(2) (`do_readv`).
pub async fn sys_readv(cx: &mut Cx<'_>, fd: i32, vector: Pointer, count: u64) -> SyscallResult {
    let file = readable(cx, fd)?;
    let mut sink = UserBuffers::vector(vector.0, count)?;
    read_file(cx, &file, &mut sink, At::Position, false).await
}

/// writev(2) (`do_writev`).
pub async fn sys_writev(cx: &mut Cx<'_>, fd: i32, vector: Pointer, count: u64) -> SyscallResult {
    let file = writable(cx, fd)?;
    let mut source = UserBuffers::vector(vector.0, count)?;
    write_file(cx, &file, &mut source, At::Position, RwFlags::empty()).await
}

/// preadv(2). The high half of the position is in the low one on 64-bit machines.
pub async fn sys_preadv(cx: &mut Cx<'_>, fd: i32, vector: Pointer, count: u64, position: i64) -> SyscallResult {
    let at = offset(position)?;
    let file = positioned(readable(cx, fd)?)?;
    let mut sink = UserBuffers::vector(vector.0, count)?;
    check_reach(at, &sink)?;
    read_file(cx, &file, &mut sink, at, false).await
}

/// pwritev(2).
pub async fn sys_pwritev(cx: &mut Cx<'_>, fd: i32, vector: Pointer, count: u64, position: i64) -> SyscallResult {
    let at = offset(position)?;
    let file = positioned(writable(cx, fd)?)?;
    let mut source = UserBuffers::vector(vector.0, count)?;
    check_reach(at, &source)?;
    write_file(cx, &file, &mut source, at, RwFlags::empty()).await
}

/// preadv2(2) (`do_preadv`). `RWF_NOWAIT` never waits; `RWF_APPEND` makes no sense and is ignored, as on Linux.
pub async fn sys_preadv2(
    cx: &mut Cx<'_>,
    fd: i32,
    vector: Pointer,
    count: u64,
    position: i64,
    _high: u64,
    flags: Flags,
) -> SyscallResult {
    let at = offset_or_position(position)?;
    let mut file = readable(cx, fd)?;
    if at != At::Position {
        file = positioned(file)?;
    }
    let mut sink = UserBuffers::vector(vector.0, count)?;
    let flags = rw_flags(flags)?;
    check_reach(at, &sink)?;
    check_nowait(&file, flags)?;
    read_file(cx, &file, &mut sink, at, flags.contains(RwFlags::RWF_NOWAIT)).await
}

/// pwritev2(2) (`do_pwritev`).
pub async fn sys_pwritev2(
    cx: &mut Cx<'_>,
    fd: i32,
    vector: Pointer,
    count: u64,
    position: i64,
    _high: u64,
    flags: Flags,
) -> SyscallResult {
    let at = offset_or_position(position)?;
    let mut file = writable(cx, fd)?;
    if at != At::Position {
        file = positioned(file)?;
    }
    let mut source = UserBuffers::vector(vector.0, count)?;
    let flags = rw_flags(flags)?;
    check_reach(at, &source)?;
    check_nowait(&file, flags)?;
    write_file(cx, &file, &mut source, at, flags).await
}

/// lseek(2) (`ksys_lseek`). `EBADF`, `EINVAL`, `ESPIPE`, `ENXIO`.
pub fn sys_lseek(cx: &mut Cx<'_>, fd: i32, offset: i64, whence: u32) -> SyscallResult {
    let file = cx.file(fd)?;
    let whence = match whence {
        abi::fcntl::SEEK_SET => Whence::Set,
        abi::fcntl::SEEK_CUR => Whence::Current,
        abi::fcntl::SEEK_END => Whence::End,
        abi::fcntl::SEEK_DATA => Whence::Data,
        abi::fcntl::SEEK_HOLE => Whence::Hole,
        _ => return Err(Errno::EINVAL),
    };
    file.seek(offset, whence).map(|position| position as usize)
}

/// ftruncate(2) (`do_sys_ftruncate`).
pub fn sys_ftruncate(cx: &mut Cx<'_>, fd: i32, len: i64) -> SyscallResult {
    let len = u64::try_from(len).map_err(|_| Errno::EINVAL)?;
    let file = cx.file(fd)?;
    let mut limit = cx.size_limit();
    let done = attributes::truncate_file(&file, len, &cx.private.cred, &mut limit);
    if limit.exceeded {
        cx.raise(Signal::XFSZ);
    }
    done.map(|()| 0)
}

/// fallocate(2) (`vfs_fallocate`). `EINVAL`, `EOPNOTSUPP`, `EBADF`, `ESPIPE`, `EISDIR`, `ENODEV`, `EFBIG`, `ENOSPC`.
pub fn sys_fallocate(cx: &mut Cx<'_>, fd: i32, mode: Flags, offset: i64, len: i64) -> SyscallResult {
    let file = cx.file(fd)?;
    let (start, bytes) = match (u64::try_from(offset), u64::try_from(len)) {
        (Ok(start), Ok(bytes)) if bytes > 0 => (start, bytes),
        _ => return Err(Errno::EINVAL),
    };
    let known = FallocMode::from_bits(mode.0).ok_or(Errno::EOPNOTSUPP)?;
    let punches = known.contains(FallocMode::FALLOC_FL_PUNCH_HOLE);
    let both = FallocMode::FALLOC_FL_PUNCH_HOLE | FallocMode::FALLOC_FL_ZERO_RANGE;
    if known.contains(both) || (punches && !known.contains(FallocMode::FALLOC_FL_KEEP_SIZE)) {
        return Err(Errno::EOPNOTSUPP);
    }
    if !file.flags().writable() {
        return Err(Errno::EBADF);
    }
    match file.inode().kind {
        FileKind::Regular => {}
        FileKind::Fifo => return Err(Errno::ESPIPE),
        FileKind::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::ENODEV),
    }
    let end = start.checked_add(bytes).filter(|&end| i64::try_from(end).is_ok()).ok_or(Errno::EFBIG)?;
    let limit = cx.size_limit().max_bytes;
    if !known.contains(FallocMode::FALLOC_FL_KEEP_SIZE) && end > file.ops().size_bytes(&file) && end > limit {
        cx.raise(Signal::XFSZ);
        return Err(Errno::EFBIG);
    }
    let _content = file.inode().lock_content();
    file.ops().fallocate(&file, mode.0, start, bytes)?;
    file.inode().written_by(cx.private.cred.capable(Capabilities::FSETID));
    Ok(0)
}

/// fsync(2). `EBADF`; `EINVAL` for what cannot be synchronised.
pub fn sys_fsync(cx: &mut Cx<'_>, fd: i32) -> SyscallResult {
    let file = cx.file(fd)?;
    file.ops().sync(&file, false).map(|()| 0)
}

/// fdatasync(2).
pub fn sys_fdatasync(cx: &mut Cx<'_>, fd: i32) -> SyscallResult {
    let file = cx.file(fd)?;
    file.ops().sync(&file, true).map(|()| 0)
}

/// sync(2). Never fails.
pub fn sys_sync(_cx: &mut Cx<'_>) -> SyscallResult {
    for mount in mount::all() {
        mount.fs().ops().sync();
    }
    Ok(0)
}

/// syncfs(2). `EBADF`.
pub fn sys_syncfs(cx: &mut Cx<'_>, fd: i32) -> SyscallResult {
    cx.file(fd)?.inode().fs.ops().sync();
    Ok(0)
}

/// sync_file_range(2). `EBADF`, `EINVAL`, `ESPIPE`.
pub fn sys_sync_file_range(cx: &mut Cx<'_>, fd: i32, offset: i64, len: i64, flags: Flags) -> SyscallResult {
    let file = cx.file(fd)?;
    let known = SyncFileRangeFlags::from_bits(flags.0).is_some();
    if !known || offset < 0 || len < 0 || offset.checked_add(len).is_none() {
        return Err(Errno::EINVAL);
    }
    match file.inode().kind {
        FileKind::Regular | FileKind::Directory | FileKind::Symlink | FileKind::BlockDevice => Ok(0),
        _ => Err(Errno::ESPIPE),
    }
}

/// posix_fadvise(2): advice on memory-resident files changes nothing. `EBADF`, `ESPIPE`, `EINVAL`.
pub fn sys_fadvise64(cx: &mut Cx<'_>, fd: i32, _offset: i64, len: i64, advice: u32) -> SyscallResult {
    let file = cx.file(fd)?;
    if file.inode().kind == FileKind::Fifo {
        return Err(Errno::ESPIPE);
    }
    if len < 0 || abi::fcntl::fadvise_name(advice).is_none() {
        return Err(Errno::EINVAL);
    }
    Ok(0)
}

/// readahead(2): everything is in memory already. `EBADF`, `EINVAL`.
pub fn sys_readahead(cx: &mut Cx<'_>, fd: i32, _offset: i64, _count: usize) -> SyscallResult {
    let file = readable(cx, fd)?;
    if file.inode().kind == FileKind::Regular { Ok(0) } else { Err(Errno::EINVAL) }
}
