//! Pipes, moving bytes through them, and eventfds (`fs/pipe.c`, `fs/splice.c`, `fs/eventfd.c`).

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::{OpenFlags, SpliceFlags};
use abi::poll::EfdFlags;
use abi::uio::RwFlags;

use super::args::{Flags, Pointer};
use super::{Cx, SyscallResult};
use crate::fs::pseudo::{anonymous_file, pipe_place};
use crate::fs::{
    AccessFlags, At, File, FileKind, FileTraits, READER_WAKES, SizeLimit, SliceSink, SliceSource, WRITER_WAKES,
};
use crate::ipc::eventfd::EventFd;
use crate::ipc::pipe::{self, Pipe, PipeEnd};
use crate::mem::{UserBuffers, UserIn, UserOut};
use crate::signal::Signal;

/// pipe(2).
pub fn sys_pipe(cx: &mut Cx<'_>, fds: UserOut<[i32; 2]>) -> SyscallResult {
    make_pipe(cx, fds, OpenFlags::empty())
}

/// pipe2(2) (`do_pipe2`). `EINVAL`, `ENOPKG` for `O_NOTIFICATION_PIPE` (as on a Linux without watch queues), `EMFILE`, `EFAULT`.
pub fn sys_pipe2(cx: &mut Cx<'_>, fds: UserOut<[i32; 2]>, flags: Flags) -> SyscallResult {
    const O_NOTIFICATION_PIPE: OpenFlags = OpenFlags::O_EXCL;
    let known = OpenFlags::O_CLOEXEC | OpenFlags::O_NONBLOCK | OpenFlags::O_DIRECT | O_NOTIFICATION_PIPE;
    let flags = OpenFlags::from_bits(flags.0).filter(|flags| known.contains(*flags)).ok_or(Errno::EINVAL)?;
    if flags.contains(O_NOTIFICATION_PIPE) {
        return Err(Errno::ENOPKG);
    }
    make_pipe(cx, fds, flags)
}

fn make_pipe(cx: &mut Cx<'_>, fds: UserOut<[i32; 2]>, flags: OpenFlags) -> SyscallResult {
    let cred = &cx.private.cred;
    let (reader, writer) = PipeEnd::pair();
    let place = pipe_place(cred, reader.reopener());
    let kept = flags & OpenFlags::O_NONBLOCK;
    let reader = File::new(reader, place.clone(), kept, cred.clone());
    let writing = OpenFlags::O_WRONLY | (flags & (OpenFlags::O_NONBLOCK | OpenFlags::O_DIRECT));
    let writer = File::new(writer, place, writing, cred.clone());
    install_pair(cx, fds, [reader, writer], flags.contains(OpenFlags::O_CLOEXEC))
}

/// Gives both files descriptors and tells the user, or leaves nothing behind. `EMFILE`, `EFAULT`.
pub(super) fn install_pair(
    cx: &mut Cx<'_>,
    fds: UserOut<[i32; 2]>,
    files: [Arc<File>; 2],
    close_on_exec: bool,
) -> SyscallResult {
    let [first, second] = files;
    let encode = |fd: usize| i32::try_from(fd).map_err(|_| Errno::EMFILE);
    let first = encode(cx.install(first, close_on_exec)?)?;
    let second = cx.install(second, close_on_exec).and_then(encode);
    let told = second.and_then(|second| fds.write(&[first, second]));
    if told.is_err() {
        drop(cx.private.files.close(first));
        if let Ok(second) = second {
            drop(cx.private.files.close(second));
        }
    }
    told.map(|()| 0)
}

/// eventfd(2): without flags.
pub fn sys_eventfd(cx: &mut Cx<'_>, count: u32) -> SyscallResult {
    make_eventfd(cx, count, EfdFlags::empty())
}

/// eventfd2(2) (`do_eventfd`). `EINVAL`, `EMFILE`.
pub fn sys_eventfd2(cx: &mut Cx<'_>, count: u32, flags: Flags) -> SyscallResult {
    make_eventfd(cx, count, EfdFlags::from_bits(flags.0).ok_or(Errno::EINVAL)?)
}

fn make_eventfd(cx: &mut Cx<'_>, count: u32, flags: EfdFlags) -> SyscallResult {
    let event = EventFd::new(count, flags.contains(EfdFlags::EFD_SEMAPHORE));
    let mut open = OpenFlags::O_RDWR;
    open.set(OpenFlags::O_NONBLOCK, flags.contains(EfdFlags::EFD_NONBLOCK));
    let file = anonymous_file(event, "[eventfd]", open, &cx.private.cred);
    cx.install(file, flags.contains(EfdFlags::EFD_CLOEXEC))
}

/// The pipe behind a file, if one is.
pub(super) fn pipe_of(file: &File) -> Option<Arc<Pipe>> {
    file.downcast::<PipeEnd>().map(|end| end.pipe().clone())
}

/// The flags of splice(2) and its kin. `EINVAL`.
fn splice_flags(flags: Flags) -> Result<SpliceFlags, Errno> {
    SpliceFlags::from_bits(flags.0).ok_or(Errno::EINVAL)
}

/// An end of a transfer: its file, and where in it.
struct End {
    file: Arc<File>,
    /// The offset the user gave, which moves along.
    offset: Option<u64>,
}

impl End {
    fn at(&self) -> At {
        self.offset.map_or(At::Position, At::Offset)
    }

    fn moved(&mut self, len: usize) {
        if let Some(offset) = &mut self.offset {
            *offset += len as u64;
        }
    }
}

/// splice(2), in the order of `do_splice`. Waits for the pipe unless `SPLICE_F_NONBLOCK`, and for the other file
/// unless `O_NONBLOCK`. `EPIPE` comes with SIGPIPE.
pub async fn sys_splice(
    cx: &mut Cx<'_>,
    from: i32,
    from_offset: Pointer,
    to: i32,
    to_offset: Pointer,
    len: usize,
    flags: Flags,
) -> SyscallResult {
    if len == 0 {
        return Ok(0);
    }
    let flags = splice_flags(flags)?;
    let (from, to) = (cx.file(from)?, cx.file(to)?);
    let (from_pipe, to_pipe) = (pipe_of(&from), pipe_of(&to));
    if (from_pipe.is_some() && from_offset.0 != 0) || (to_pipe.is_some() && to_offset.0 != 0) {
        return Err(Errno::ESPIPE);
    }
    let mut from = End { offset: read_offset(from_offset)?, file: from };
    let mut to = End { offset: read_offset(to_offset)?, file: to };
    if !from.file.flags().readable() || !to.file.flags().writable() {
        return Err(Errno::EBADF);
    }
    let waits = !flags.contains(SpliceFlags::SPLICE_F_NONBLOCK);
    let moved = match (from_pipe, to_pipe) {
        (Some(source), Some(target)) => {
            let waits = waits && !from.file.nonblocking() && !to.file.nonblocking();
            between(cx, &from.file, &to.file, waits, || pipe::move_between(&source, &target, len)).await
        }
        (Some(source), None) => {
            check_offset(&to)?;
            check_splices(&to.file)?;
            if to.file.flags().contains(OpenFlags::O_APPEND) {
                return Err(Errno::EINVAL);
            }
            drain(cx, &from.file, &source, &mut to, len, waits && !from.file.nonblocking()).await
        }
        (None, Some(target)) => {
            check_offset(&from)?;
            check_splices(&from.file)?;
            fill(cx, &mut from, &to.file, &target, len, waits && !to.file.nonblocking()).await
        }
        (None, None) => Err(Errno::EINVAL),
    };
    let moved = moved.inspect_err(|error| raise_if_broken(cx, *error))?;
    write_offset(from_offset, &from)?;
    write_offset(to_offset, &to)?;
    Ok(moved)
}

fn raise_if_broken(cx: &Cx<'_>, error: Errno) {
    if error == Errno::EPIPE {
        cx.raise(Signal::PIPE);
    }
}

fn read_offset(offset: Pointer) -> Result<Option<u64>, Errno> {
    UserIn::<u64>::new(offset.0).read_optional()
}

fn write_offset(pointer: Pointer, end: &End) -> Result<(), Errno> {
    UserOut::<u64>::new(pointer.0).write_optional(&end.offset.unwrap_or(0))
}

/// Offsets mean something only to a seekable file, and are not negative: `EINVAL`.
fn check_offset(end: &End) -> Result<(), Errno> {
    let Some(offset) = end.offset else { return Ok(()) };
    let valid = end.file.traits().contains(FileTraits::SEEKABLE) && i64::try_from(offset).is_ok();
    if valid { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Whether bytes can be moved to and from the file at all; one behind an anonymous inode (an eventfd, a timerfd) has no
/// way to, nor has a directory (`warn_unsupported`). `EINVAL`, before it is known whether there is anything to move.
pub(super) fn check_splices(file: &File) -> Result<(), Errno> {
    if matches!(file.inode().kind, FileKind::Anonymous | FileKind::Directory) { Err(Errno::EINVAL) } else { Ok(()) }
}

/// Moves or copies from one pipe to another by `step`, waiting for data and for room.
async fn between(
    cx: &mut Cx<'_>,
    from: &File,
    to: &File,
    waits: bool,
    mut step: impl FnMut() -> Result<usize, Errno>,
) -> SyscallResult {
    loop {
        match step() {
            Err(Errno::EAGAIN) if waits => {
                cx.interruptible(from.wait_ready(READER_WAKES)).await?;
                cx.interruptible(to.wait_ready(WRITER_WAKES)).await?;
            }
            done => return done,
        }
    }
}

/// Moves from a pipe to a file that is none.
async fn drain(cx: &mut Cx<'_>, from: &File, pipe: &Arc<Pipe>, to: &mut End, len: usize, waits: bool) -> SyscallResult {
    let mut limit = cx.size_limit();
    loop {
        let moved = pipe::from_pipe(pipe, len, |bytes| write_part(to, bytes, &mut limit));
        match moved {
            Err(Errno::EAGAIN) if !from.readiness().intersects(READER_WAKES) => {
                if !waits {
                    return Err(Errno::EAGAIN);
                }
                cx.interruptible(from.wait_ready(READER_WAKES)).await?;
            }
            Err(Errno::EAGAIN) if !to.file.nonblocking() => {
                cx.interruptible(to.file.wait_ready(WRITER_WAKES)).await?;
            }
            Err(Errno::EFBIG) if limit.exceeded => {
                cx.raise(Signal::XFSZ);
                return Err(Errno::EFBIG);
            }
            done => return done,
        }
    }
}

fn write_part(to: &mut End, bytes: &[u8], limit: &mut SizeLimit) -> Result<usize, Errno> {
    let written = to.file.try_write(&mut SliceSource::new(bytes), to.at(), RwFlags::empty(), limit)?;
    to.moved(written);
    Ok(written)
}

/// Moves from a file that is no pipe to a pipe.
async fn fill(cx: &mut Cx<'_>, from: &mut End, to: &File, pipe: &Arc<Pipe>, len: usize, waits: bool) -> SyscallResult {
    loop {
        let moved = pipe::into_pipe(pipe, len, |buffer| {
            let read = from.file.try_read(&mut SliceSink::new(buffer), from.at())?;
            from.moved(read);
            Ok(read)
        });
        match moved {
            Err(Errno::EAGAIN) if !to.readiness().intersects(WRITER_WAKES) => {
                if !waits {
                    return Err(Errno::EAGAIN);
                }
                cx.interruptible(to.wait_ready(WRITER_WAKES)).await?;
            }
            Err(Errno::EAGAIN) if !from.file.nonblocking() => {
                cx.interruptible(from.file.wait_ready(READER_WAKES)).await?;
            }
            done => return done,
        }
    }
}

/// Moves from a socket to a pipe: sendfile(2)'s part (`splice_file_to_pipe`).
pub(super) async fn splice_into(cx: &mut Cx<'_>, from: Arc<File>, to: Arc<File>, len: usize) -> SyscallResult {
    let Some(pipe) = pipe_of(&to) else { return Err(Errno::EINVAL) };
    let waits = !to.nonblocking();
    let mut from = End { file: from, offset: None };
    let moved = fill(cx, &mut from, &to, &pipe, len, waits).await;
    moved.inspect_err(|error| raise_if_broken(cx, *error))
}

/// tee(2) (`do_tee`). Waits for data and for room unless `SPLICE_F_NONBLOCK`. `EPIPE` comes with SIGPIPE.
pub async fn sys_tee(cx: &mut Cx<'_>, from: i32, to: i32, len: usize, flags: Flags) -> SyscallResult {
    let flags = splice_flags(flags)?;
    if len == 0 {
        return Ok(0);
    }
    let (from, to) = (cx.file(from)?, cx.file(to)?);
    if !from.flags().readable() || !to.flags().writable() {
        return Err(Errno::EBADF);
    }
    let (Some(source), Some(target)) = (pipe_of(&from), pipe_of(&to)) else { return Err(Errno::EINVAL) };
    let waits = !flags.contains(SpliceFlags::SPLICE_F_NONBLOCK) && !from.nonblocking() && !to.nonblocking();
    let copied = between(cx, &from, &to, waits, || pipe::tee(&source, &target, len)).await;
    copied.inspect_err(|error| raise_if_broken(cx, *error))
}

/// vmsplice(2). The bytes are copied, whatever the flags: a later change of the user's memory does not show.
pub async fn sys_vmsplice(cx: &mut Cx<'_>, fd: i32, vector: Pointer, count: usize, flags: Flags) -> SyscallResult {
    let flags = splice_flags(flags)?;
    let file = cx.file(fd)?;
    let mut buffers = UserBuffers::vector(vector.0, count as u64)?;
    if buffers.is_empty() {
        return Ok(0);
    }
    let Some(pipe) = pipe_of(&file) else { return Err(Errno::EBADF) };
    let waits = !flags.contains(SpliceFlags::SPLICE_F_NONBLOCK) && !file.nonblocking();
    let writes = file.flags().writable();
    loop {
        let moved = if writes { pipe.write(&mut buffers, false) } else { pipe.read(&mut buffers) };
        match moved {
            Err(Errno::EAGAIN) if waits => {
                let wakes = if writes { WRITER_WAKES } else { READER_WAKES };
                cx.interruptible(file.wait_ready(wakes)).await?;
            }
            done => return done.inspect_err(|error| raise_if_broken(cx, *error)),
        }
    }
}
