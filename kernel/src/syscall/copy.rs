//! From file to file without user memory between: sendfile(2), copy_file_range(2) (`fs/read_write.c`).

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::OpenFlags;
use abi::uio::{MAX_RW_COUNT, RwFlags};

use super::args::Flags;
use super::pipe::{check_splices, pipe_of, splice_into};
use super::{Cx, SyscallResult};
use crate::fs::{AccessFlags, At, File, FileKind, FileTraits, MAX_FILE_BYTES, SliceSink, SliceSource, Whence};
use crate::mem::{UserIn, UserOut};
use crate::signal::Signal;

/// Bytes that pass through the kernel at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Copies up to `len` bytes from offset `from_at` of `from`, waiting where `to` has no room. What was copied before an
/// error or a signal is reported.
async fn copy(cx: &mut Cx<'_>, from: &Arc<File>, from_at: u64, to: &Arc<File>, to_at: At, len: usize) -> SyscallResult {
    let mut buffer = alloc::vec![0; len.min(CHUNK_BYTES)];
    let mut limit = cx.size_limit();
    let mut copied = 0;
    let mut ended = Ok(());
    while copied < len && ended.is_ok() {
        let part = buffer.len().min(len - copied);
        let read = from.try_read(&mut SliceSink::new(&mut buffer[..part]), At::Offset(from_at + copied as u64));
        let read = match read {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => {
                ended = Err(error);
                break;
            }
        };
        let at = if let At::Offset(offset) = to_at { At::Offset(offset + copied as u64) } else { At::Position };
        let (mut source, mut done) = (SliceSource::new(&buffer[..read]), 0);
        let write = to.write(&mut source, &mut done, at, RwFlags::empty(), &mut limit);
        ended = match cx.interruptible(write).await {
            Ok(result) => result.map(drop),
            Err(interrupted) => Err(interrupted.into()),
        };
        copied += done;
        if done < read {
            break;
        }
    }
    match ended {
        Err(Errno::EPIPE) => cx.raise(Signal::PIPE),
        Err(Errno::EFBIG) if limit.exceeded => cx.raise(Signal::XFSZ),
        _ => {}
    }
    if copied > 0 { Ok(copied) } else { ended.map(|()| 0) }
}

/// An offset the user keeps, if there is one. `EFAULT`, `EINVAL`.
fn kept_offset(pointer: UserOut<i64>) -> Result<Option<u64>, Errno> {
    if pointer.is_null() {
        return Ok(None);
    }
    let offset = UserIn::<i64>::new(pointer.addr().0).read()?;
    u64::try_from(offset).map(Some).map_err(|_| Errno::EINVAL)
}

/// Moves on the user's offset, or the file's position.
fn advance(file: &File, pointer: UserOut<i64>, to: u64) -> Result<(), Errno> {
    if pointer.is_null() { file.seek(to as i64, Whence::Set).map(drop) } else { pointer.write(&(to as i64)) }
}

/// sendfile(2) (`do_sendfile`). From a regular file or a device that has positions to anything, and from a socket to a pipe. `EBADF`, `ESPIPE`, `EINVAL`.
pub async fn sys_sendfile(cx: &mut Cx<'_>, to: i32, from: i32, offset: UserOut<i64>, count: usize) -> SyscallResult {
    let kept = kept_offset(offset)?;
    let from = cx.file(from)?;
    if !from.flags().readable() {
        return Err(Errno::EBADF);
    }
    if kept.is_some() && !from.traits().contains(FileTraits::SEEKABLE) {
        return Err(Errno::ESPIPE);
    }
    let to = cx.file(to)?;
    if !to.flags().writable() {
        return Err(Errno::EBADF);
    }
    check_splices(&to)?;
    if i64::try_from(count).is_err() {
        return Err(Errno::EINVAL);
    }
    if from.inode().kind == FileKind::Socket && pipe_of(&to).is_some() {
        return splice_into(cx, from, to, count.min(MAX_RW_COUNT)).await;
    }
    let kind = from.inode().kind;
    let seekable = from.traits().contains(FileTraits::SEEKABLE);
    let readable_at =
        kind == FileKind::CharDevice && seekable || matches!(kind, FileKind::Regular | FileKind::BlockDevice);
    if !readable_at || to.flags().contains(OpenFlags::O_APPEND) {
        return Err(Errno::EINVAL);
    }
    let start = kept.unwrap_or_else(|| from.position());
    let copied = copy(cx, &from, start, &to, At::Position, count.min(MAX_RW_COUNT)).await?;
    advance(&from, offset, start + copied as u64)?;
    Ok(copied)
}

/// copy_file_range(2) (`vfs_copy_file_range`). Between regular files of one file system. `EBADF`, `EISDIR`, `EINVAL`,
/// `EXDEV`, `EOVERFLOW`, `EFBIG`.
pub async fn sys_copy_file_range(
    cx: &mut Cx<'_>,
    from: i32,
    from_offset: UserOut<i64>,
    to: i32,
    to_offset: UserOut<i64>,
    len: usize,
    flags: Flags,
) -> SyscallResult {
    let (from, to) = (cx.file(from)?, cx.file(to)?);
    let start = kept_offset(from_offset)?.unwrap_or_else(|| from.position());
    let target = kept_offset(to_offset)?.unwrap_or_else(|| to.position());
    let len = check_copy(&from, start, &to, target, len, flags)?.min(MAX_RW_COUNT);
    let copied = copy(cx, &from, start, &to, At::Offset(target), len).await?;
    advance(&from, from_offset, start + copied as u64)?;
    advance(&to, to_offset, target + copied as u64)?;
    Ok(copied)
}

/// How much there is to copy (`generic_copy_file_checks`): nothing from past the end of the source, and so nothing that
/// overlaps.
fn check_copy(from: &File, start: u64, to: &File, target: u64, len: usize, flags: Flags) -> Result<usize, Errno> {
    if flags.0 != 0 {
        return Err(Errno::EINVAL);
    }
    let kinds = [from.inode().kind, to.inode().kind];
    if kinds.contains(&FileKind::Directory) {
        return Err(Errno::EISDIR);
    }
    if kinds.iter().any(|kind| *kind != FileKind::Regular) {
        return Err(Errno::EINVAL);
    }
    if !from.flags().readable() || !to.flags().writable() || to.flags().contains(OpenFlags::O_APPEND) {
        return Err(Errno::EBADF);
    }
    if !Arc::ptr_eq(&from.inode().fs, &to.inode().fs) {
        return Err(Errno::EXDEV);
    }
    if start.checked_add(len as u64).is_none() || target.checked_add(len as u64).is_none() {
        return Err(Errno::EOVERFLOW);
    }
    let len = (len as u64).min(from.ops().size_bytes(from).saturating_sub(start));
    let room = MAX_FILE_BYTES.saturating_sub(target);
    if len > 0 && room == 0 {
        return Err(Errno::EFBIG);
    }
    let len = len.min(room);
    let same = Arc::ptr_eq(from.inode(), to.inode());
    let overlaps = same && start < target + len && target < start + len;
    if overlaps { Err(Errno::EINVAL) } else { Ok(usize::try_from(len).unwrap_or(usize::MAX)) }
}
