//! Pipes and FIFOs (pipe(7), fifo(7)).
//!
//! A [`Pipe`] is a [`Ring`] of pages with counts of its readers and writers; a [`PipeEnd`] is one open file of it.
//! pipe2(2) makes two ends, opening a FIFO one: both are the same object.
//!
//! Locks: the pipe's state (rank `Ipc`), held while bytes move, also from and to user memory: the page-fault path
//! takes no lock of that rank. Wakes happen after it is released.
//! SIGPIPE is raised by whoever called write(2), on `EPIPE`.

mod end;
mod ring;
mod splice;

pub use end::{PipeEnd, open_fifo};
pub use splice::{from_pipe, into_pipe, move_between, tee};

use alloc::sync::Arc;

use abi::Errno;
use abi::poll::PollEvents;

use crate::fs::{ReadyQueue, Sink, Source};
use crate::sync::{Rank, SpinLock};
use ring::{PAGE_BYTES, Ring};

/// Slots of a new pipe (`PIPE_DEF_BUFFERS`): 64 KiB.
const DEFAULT_SLOTS: usize = 16;

/// The capacity an unprivileged user may ask for (/proc/sys/fs/pipe-max-size).
pub const MAX_BYTES: usize = 1 << 20;

/// What readers wait for.
const READABLE: PollEvents = PollEvents::POLLIN.union(PollEvents::POLLRDNORM);
/// What writers wait for.
const WRITABLE: PollEvents = PollEvents::POLLOUT.union(PollEvents::POLLWRNORM);

/// A pipe.
pub struct Pipe {
    state: SpinLock<State>,
    ready: ReadyQueue,
}

struct State {
    ring: Ring,
    /// The first slot is out: splice(2) is writing it elsewhere. Readers wait for it to come back.
    first_is_out: bool,
    readers: usize,
    writers: usize,
    /// Opens for reading so far: how an opener knows that a partner came, even if it is gone again (`r_counter`).
    reader_opens: u64,
    /// Opens for writing so far (`w_counter`).
    writer_opens: u64,
}

impl State {
    fn has_data(&self) -> bool {
        !self.ring.is_empty() && !self.first_is_out
    }
}

impl Pipe {
    /// A pipe nobody has open.
    pub fn new() -> Arc<Self> {
        let state = State {
            ring: Ring::new(DEFAULT_SLOTS),
            first_is_out: false,
            readers: 0,
            writers: 0,
            reader_opens: 0,
            writer_opens: 0,
        };
        Arc::new(Self { state: SpinLock::new(Rank::Ipc, state), ready: ReadyQueue::new() })
    }

    /// Reads what there is (`pipe_read`): 0 at the end of file, `EAGAIN` if a writer may still come.
    pub fn read(&self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        let mut state = self.state.lock();
        if !state.has_data() {
            return if state.writers == 0 && !state.first_is_out { Ok(0) } else { Err(Errno::EAGAIN) };
        }
        let was_full = state.ring.is_full();
        let moved = state.ring.read(sink);
        drop(state);
        if was_full {
            self.ready.wake(WRITABLE);
        }
        moved
    }

    /// Writes what fits (`pipe_write`): `EPIPE` without readers, `EAGAIN` if it has to wait for room.
    pub fn write(&self, source: &mut dyn Source, packets: bool) -> Result<usize, Errno> {
        if source.remaining() == 0 {
            return Ok(0);
        }
        let mut state = self.state.lock();
        if state.readers == 0 {
            return Err(Errno::EPIPE);
        }
        let was_empty = state.ring.is_empty();
        let written = state.ring.write(source, packets);
        drop(state);
        self.wake_readers(was_empty, &written);
        written
    }

    /// Sleeping readers can go on only if the pipe was empty; watchers get an edge for every write.
    fn wake_readers(&self, was_empty: bool, written: &Result<usize, Errno>) {
        match written {
            Ok(_) if was_empty => self.ready.wake(READABLE),
            Ok(_) => self.ready.wake_watchers(READABLE),
            Err(_) => {}
        }
    }

    /// Bytes to read (`FIONREAD`).
    pub fn len(&self) -> usize {
        self.state.lock().ring.len()
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.state.lock().ring.is_empty()
    }

    /// The capacity in bytes (`F_GETPIPE_SZ`).
    pub fn capacity_bytes(&self) -> usize {
        self.state.lock().ring.capacity() * PAGE_BYTES
    }

    /// Changes the capacity (`F_SETPIPE_SZ`, `pipe_set_size`) and gives the one it got: a power of two of pages.
    /// `EINVAL` beyond 2 GiB, `EPERM` beyond [`MAX_BYTES`] unless privileged, `EBUSY` if more is in use.
    pub fn set_capacity_bytes(&self, bytes: usize, privileged: bool) -> Result<usize, Errno> {
        if bytes > 1 << 31 {
            return Err(Errno::EINVAL);
        }
        let slots = bytes.max(PAGE_BYTES).next_power_of_two() / PAGE_BYTES;
        let mut state = self.state.lock();
        if slots > state.ring.capacity() && slots * PAGE_BYTES > MAX_BYTES && !privileged {
            return Err(Errno::EPERM);
        }
        state.ring.set_capacity(slots)?;
        drop(state);
        self.ready.wake(WRITABLE);
        Ok(slots * PAGE_BYTES)
    }

    /// One open file fewer. Those left learn that they are alone; the last takes the data with it.
    fn close(&self, reader: bool, writer: bool) {
        let mut state = self.state.lock();
        state.readers -= usize::from(reader);
        state.writers -= usize::from(writer);
        if state.readers == 0 && state.writers == 0 {
            state.ring.clear();
            return;
        }
        let alone = (reader && state.readers == 0) || (writer && state.writers == 0);
        drop(state);
        if alone {
            self.ready.wake(READABLE | WRITABLE | PollEvents::POLLERR | PollEvents::POLLHUP);
        }
    }
}

#[cfg(test)]
mod tests;
