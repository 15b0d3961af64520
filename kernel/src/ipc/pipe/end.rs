//! [`PipeEnd`]: one open file of a pipe, and how FIFOs are opened.

use alloc::boxed::Box;
use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::{F_GETPIPE_SZ, F_SETPIPE_SZ};
use abi::poll::PollEvents;
use abi::termios::FIONREAD;

use super::{Pipe, READABLE, State, WRITABLE};
use crate::fs::pseudo::Reopen;
use crate::fs::{
    AccessFlags, Caller, Capabilities, File, FileOps, FileTraits, Inode, OpenFlags, ReadyQueue, Sink, Source,
};
use crate::mem::UserOut;

/// An open file of a pipe.
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    reader: bool,
    writer: bool,
    /// An open FIFO, which may have to wait for its partner.
    fifo: bool,
    /// How often the pipe had been opened for writing when this was. A reader that found no writer reports no
    /// hang-up until that number has changed (`f_version`).
    writer_opens: u64,
    /// How often it had been opened for reading.
    reader_opens: u64,
    /// Whether there was no writer when this was opened.
    found_no_writer: bool,
}

impl PipeEnd {
    /// The two ends of a new pipe, to read from and to write to.
    pub fn pair() -> (Arc<Self>, Arc<Self>) {
        let pipe = Pipe::new();
        let read = Self::open(&pipe, OpenFlags::empty(), false);
        (read, Self::open(&pipe, OpenFlags::O_WRONLY, false))
    }

    /// An end of `pipe`, counted until it is released.
    fn open(pipe: &Arc<Pipe>, flags: OpenFlags, fifo: bool) -> Arc<Self> {
        let (reader, writer) = (flags.readable(), flags.writable());
        let mut state = pipe.state.lock();
        let found_no_writer = state.writers == 0;
        let partner_waits = (reader && state.readers == 0) || (writer && state.writers == 0);
        state.readers += usize::from(reader);
        state.reader_opens += u64::from(reader);
        state.writers += usize::from(writer);
        state.writer_opens += u64::from(writer);
        let (reader_opens, writer_opens) = (state.reader_opens, state.writer_opens);
        drop(state);
        if partner_waits && fifo {
            pipe.ready.wake(PollEvents::empty());
        }
        Arc::new(Self { pipe: pipe.clone(), reader, writer, fifo, writer_opens, reader_opens, found_no_writer })
    }

    /// How a pipe is opened once more, at its place in /proc/PID/fd (`fifo_open` for a pipe): without waiting for a
    /// partner.
    pub fn reopener(&self) -> Reopen {
        let pipe = self.pipe.clone();
        Box::new(move |flags| Ok(Self::open(&pipe, flags, false)))
    }

    /// The pipe itself.
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }

    /// Whether bytes can be read from this end.
    pub fn is_reader(&self) -> bool {
        self.reader
    }

    /// Whether bytes can be written to this end.
    pub fn is_writer(&self) -> bool {
        self.writer
    }

    fn hung_up(&self, state: &State) -> bool {
        let never_met = self.found_no_writer && self.fifo && state.writer_opens == self.writer_opens;
        state.writers == 0 && !never_met
    }
}

/// Opens the FIFO `inode` (`fifo_open`). `ENXIO` for a writer that will not wait and finds no reader. Waiting for
/// the partner is left to [`FileOps::finish_open`].
pub fn open_fifo(inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
    let attached = inode.attachment(|| Pipe::new());
    let pipe: Arc<Pipe> = attached.downcast().map_err(|_| Errno::ENXIO)?;
    let must_find_reader = flags.writable() && !flags.readable() && flags.contains(OpenFlags::O_NONBLOCK);
    if must_find_reader && pipe.state.lock().readers == 0 {
        return Err(Errno::ENXIO);
    }
    Ok(PipeEnd::open(&pipe, flags, true))
}

impl FileOps for PipeEnd {
    fn traits(&self) -> FileTraits {
        if self.fifo && self.reader != self.writer {
            FileTraits::STREAM | FileTraits::OPEN_WAITS
        } else {
            FileTraits::STREAM
        }
    }

    fn try_read(&self, _file: &File, sink: &mut dyn Sink, _offset: u64) -> Result<usize, Errno> {
        self.pipe.read(sink)
    }

    fn try_write(&self, file: &File, source: &mut dyn Source, _offset: u64) -> Result<usize, Errno> {
        self.pipe.write(source, file.flags().contains(OpenFlags::O_DIRECT))
    }

    /// `pipe_poll`.
    fn readiness(&self, _file: &File) -> PollEvents {
        let state = self.pipe.state.lock();
        let mut ready = PollEvents::empty();
        if self.reader {
            ready.set(READABLE, state.has_data());
            ready.set(PollEvents::POLLHUP, self.hung_up(&state));
        }
        if self.writer {
            ready.set(WRITABLE, !state.ring.is_full());
            ready.set(PollEvents::POLLERR, state.readers == 0);
        }
        ready
    }

    fn wait_queue(&self) -> Option<&ReadyQueue> {
        Some(&self.pipe.ready)
    }

    /// A reader waits for a writer and the other way round; one that came and went will do. `O_NONBLOCK` readers
    /// do not wait, and such writers were refused earlier.
    fn finish_open(&self, file: &File) -> Result<(), Errno> {
        let state = self.pipe.state.lock();
        let met = if self.reader {
            !self.found_no_writer || state.writer_opens != self.writer_opens || file.nonblocking()
        } else {
            state.readers > 0 || state.reader_opens != self.reader_opens
        };
        if met { Ok(()) } else { Err(Errno::EAGAIN) }
    }

    fn release(&self, _file: &File) {
        self.pipe.close(self.reader, self.writer);
    }

    fn ioctl(&self, _file: &File, _caller: &dyn Caller, request: u32, arg: u64) -> Result<usize, Errno> {
        match request {
            FIONREAD => UserOut::<i32>::new(arg).write(&i32::try_from(self.pipe.len()).unwrap_or(i32::MAX))?,
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    fn fcntl(&self, file: &File, command: u32, arg: u64) -> Result<usize, Errno> {
        match command {
            F_GETPIPE_SZ => Ok(self.pipe.capacity_bytes()),
            F_SETPIPE_SZ => {
                let privileged = file.cred().capable(Capabilities::SYS_RESOURCE);
                self.pipe.set_capacity_bytes(usize::try_from(arg).map_err(|_| Errno::EINVAL)?, privileged)
            }
            _ => Err(Errno::EINVAL),
        }
    }
}
