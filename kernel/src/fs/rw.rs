//! Reading, writing and seeking open files (`fs/read_write.c`, `mm/filemap.c`: `generic_write_checks`).

use alloc::boxed::Box;

use abi::Errno;
use abi::uio::RwFlags;

use super::content::MAX_FILE_BYTES;
use super::{
    AccessFlags, Capabilities, File, FileKind, FileTraits, MountFlags, OpenFlags, READER_WAKES, ReadyQueue, Sink,
    Source, WRITER_WAKES, Whence, notify,
};
use crate::sync::executor;
use crate::time::monotonic_ns;

/// `RLIMIT_FSIZE`, and whether a write ran into it: then the caller sends SIGXFSZ.
#[derive(Clone, Copy, Debug)]
pub struct SizeLimit {
    /// No byte may be written at or past this offset.
    pub max_bytes: u64,
    /// A write was refused for that.
    pub exceeded: bool,
}

impl SizeLimit {
    /// The limit `max_bytes`, not yet met.
    pub fn new(max_bytes: u64) -> Self {
        Self { max_bytes, exceeded: false }
    }

    /// No limit.
    pub fn none() -> Self {
        Self::new(u64::MAX)
    }
}

/// Where a transfer takes place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// At the description's position, which moves.
    Position,
    /// At an offset; the position stays (pread, pwrite).
    Offset(u64),
}

impl File {
    /// Reads without waiting. `EBADF` if it is not open for reading, `ESPIPE`, `EAGAIN`.
    #[inline]
    pub fn try_read(&self, sink: &mut dyn Sink, at: At) -> Result<usize, Errno> {
        if !self.flags().readable() {
            return Err(Errno::EBADF);
        }
        let read = match at {
            _ if !self.traits().contains(FileTraits::SEEKABLE) => match at {
                At::Position => self.ops().try_read(self, sink, 0)?,
                At::Offset(_) => return Err(Errno::ESPIPE),
            },
            At::Position => {
                let mut position = self.lock_position();
                let read = self.ops().try_read(self, sink, *position)?;
                *position += read as u64;
                read
            }
            At::Offset(offset) => self.ops().try_read(self, sink, offset)?,
        };
        if read > 0 {
            self.was_read();
        }
        Ok(read)
    }

    /// Where a reader sleeps until [`Self::read_unless_empty`] gives something, if that is all there is to its wait.
    pub fn read_queue(&self) -> Option<&ReadyQueue> {
        let is_plain = !self.traits().contains(FileTraits::TERMINAL) && self.ops().read_patience(self).is_none();
        if is_plain { self.ops().wait_queue() } else { None }
    }

    /// Reads; `None` if there is nothing to read yet and the file is one that waits.
    #[inline]
    pub fn read_unless_empty(&self, sink: &mut dyn Sink, at: At) -> Option<Result<usize, Errno>> {
        match self.try_read(sink, at) {
            Err(Errno::EAGAIN) if !self.nonblocking() => None,
            done => Some(done),
        }
    }

    /// Reads, waiting until there is something to read or the file says that there never will be.
    pub async fn read(&self, sink: &mut dyn Sink, at: At, nowait: bool) -> Result<usize, Errno> {
        loop {
            match self.try_read(sink, at) {
                Err(Errno::EAGAIN) if !nowait && !self.nonblocking() => {}
                done => return done,
            }
            match self.ops().read_patience(self) {
                None => self.wait_ready(READER_WAKES).await,
                Some((patience_ns, over)) => {
                    let deadline_ns = monotonic_ns().saturating_add(patience_ns);
                    // Rare, and larger than all else here: not a part of every reader's future.
                    let wait = Box::pin(executor::timeout_at(deadline_ns, self.wait_ready(READER_WAKES)));
                    if wait.await.is_err() {
                        return over;
                    }
                }
            }
        }
    }

    /// Writes without waiting. `EBADF` if it is not open for writing, `ESPIPE`, `EFBIG`, `EAGAIN`.
    #[inline]
    pub fn try_write(
        &self,
        source: &mut dyn Source,
        at: At,
        flags: RwFlags,
        limit: &mut SizeLimit,
    ) -> Result<usize, Errno> {
        if !self.flags().writable() {
            return Err(Errno::EBADF);
        }
        let traits = self.traits();
        let written = if !traits.contains(FileTraits::SEEKABLE) {
            match at {
                At::Position => self.ops().try_write(self, source, 0)?,
                At::Offset(_) => return Err(Errno::ESPIPE),
            }
        } else {
            match at {
                At::Position => {
                    let mut position = self.lock_position();
                    let (written, end) = self.write_at(source, *position, flags, limit)?;
                    *position = end;
                    written
                }
                At::Offset(offset) => self.write_at(source, offset, flags, limit)?.0,
            }
        };
        if written > 0 {
            notify::modified(self);
        }
        Ok(written)
    }

    /// Writes all of `source`, waiting for room. `done` counts what was written, and is right also when the wait is
    /// given up. A regular file takes what it can at once.
    pub async fn write(
        &self,
        source: &mut dyn Source,
        done: &mut usize,
        at: At,
        flags: RwFlags,
        limit: &mut SizeLimit,
    ) -> Result<usize, Errno> {
        let waits = !flags.contains(RwFlags::RWF_NOWAIT);
        loop {
            match self.try_write(source, at, flags, limit) {
                Ok(written) => {
                    *done += written;
                    let streams = !self.traits().intersects(FileTraits::SEEKABLE | FileTraits::ONE_ACT);
                    if source.remaining() == 0 || written == 0 || !streams {
                        return Ok(*done);
                    }
                }
                Err(Errno::EAGAIN) if *done > 0 && (self.nonblocking() || !waits) => return Ok(*done),
                Err(Errno::EAGAIN) if waits && !self.nonblocking() => self.wait_ready(WRITER_WAKES).await,
                Err(_) if *done > 0 => return Ok(*done),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes to a seekable object; gives the count and the offset after it (`generic_file_write_iter`). `EINVAL` where
    /// offsets end (`rw_verify_area`).
    fn write_at(
        &self,
        source: &mut dyn Source,
        offset: u64,
        flags: RwFlags,
        limit: &mut SizeLimit,
    ) -> Result<(usize, u64), Errno> {
        if !self.traits().contains(FileTraits::REGULAR) {
            let written = self.ops().try_write(self, source, offset)?;
            return Ok((written, offset + written as u64));
        }
        if source.remaining() == 0 {
            return Ok((0, offset));
        }
        if offset.saturating_add(source.remaining() as u64) > MAX_FILE_BYTES {
            return Err(Errno::EINVAL);
        }
        let _content = self.inode().lock_content();
        let appends = flags.contains(RwFlags::RWF_APPEND) || self.flags().contains(OpenFlags::O_APPEND);
        let offset = if appends { self.ops().size_bytes(self) } else { offset };
        if offset >= limit.max_bytes {
            limit.exceeded = true;
            return Err(Errno::EFBIG);
        }
        let room = limit.max_bytes.min(MAX_FILE_BYTES).saturating_sub(offset);
        if room == 0 {
            return Err(Errno::EFBIG);
        }
        source.limit(usize::try_from(room).unwrap_or(usize::MAX));
        self.inode().written_by(self.cred().capable(Capabilities::FSETID));
        let written = self.ops().try_write(self, source, offset)?;
        Ok((written, offset + written as u64))
    }

    /// Moves the position. `ESPIPE`, `EINVAL`, `ENXIO`.
    pub fn seek(&self, offset: i64, whence: Whence) -> Result<u64, Errno> {
        if !self.traits().contains(FileTraits::SEEKABLE) {
            return if self.traits().contains(FileTraits::SEEK_IS_IDLE) { Ok(0) } else { Err(Errno::ESPIPE) };
        }
        let mut position = self.lock_position();
        let target = self.ops().seek(self, *position, offset, whence)?;
        *position = target;
        Ok(target)
    }

    /// The position.
    pub fn position(&self) -> u64 {
        *self.lock_position()
    }

    /// The position, unless it is just being used: for /proc/PID/fdinfo, which is read with a position held.
    pub fn position_now(&self) -> Option<u64> {
        self.try_lock_position().map(|position| *position)
    }

    /// The access time moves, unless flags say otherwise or, with `relatime`, nobody would learn anything (`touch_atime`).
    #[inline]
    fn was_read(&self) {
        if self.inode().kind.lives_in_file_system() {
            self.touch_accessed();
        }
        notify::accessed(self);
    }

    fn touch_accessed(&self) {
        let mount = self.path().mount.flags();
        let kept = !mount.contains(MountFlags::NOATIME)
            && !self.flags().contains(OpenFlags::O_NOATIME)
            && !self.path().mount.is_read_only()
            && !(mount.contains(MountFlags::NODIRATIME) && self.inode().kind == FileKind::Directory);
        if kept {
            self.inode().touch_accessed(mount.contains(MountFlags::RELATIME));
        }
    }

    /// Gives a directory's entries from the position on (`iterate_dir`). `ENOTDIR`, `ENOENT`.
    pub fn read_dir(&self, entries: &mut dyn super::DirSink) -> Result<(), Errno> {
        let mut position = self.lock_position();
        self.ops().read_dir(self, &mut position, entries)?;
        drop(position);
        self.was_read();
        Ok(())
    }
}
