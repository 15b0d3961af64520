//! [`Message`]: what lies in a socket's inbox, and [`Buffer`], its bytes.

use alloc::sync::{Arc, Weak};

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::socket::Ucred;

use super::address::Name;
use super::{UnixSocket, WRITABLE};
use crate::fs::{Sink, Source};
use crate::ipc::socket::Files;

/// What a message counts beside its bytes, for bookkeeping of its own (of the order of a `struct sk_buff`).
pub(super) const OVERHEAD_BYTES: usize = 256;

/// The smallest buffer: small writes to a stream share one.
const MIN_BUFFER_BYTES: usize = 2048;

/// Bytes, of which a stretch holds data. Kept for the next message once it is empty.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// A buffer filled with the next `len` bytes of `source`, using `spare` if that is large enough. `EFAULT`.
    pub(super) fn fill(spare: Option<Buffer>, source: &mut dyn Source, len: usize) -> Result<Self, Errno> {
        let mut buffer = match spare {
            Some(spare) if spare.bytes.len() >= len => spare,
            _ => Self::with_room(len)?,
        };
        buffer.start = 0;
        buffer.end = 0;
        buffer.append(source, len)?;
        Ok(buffer)
    }

    fn with_room(len: usize) -> Result<Self, Errno> {
        let size = len.max(MIN_BUFFER_BYTES);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| Errno::ENOBUFS)?;
        bytes.resize(size, 0);
        Ok(Self { bytes, start: 0, end: 0 })
    }

    /// Adds the next `len` bytes of `source`, for which there is [room](Self::room). `EFAULT`, and nothing is added.
    pub(super) fn append(&mut self, source: &mut dyn Source, len: usize) -> Result<(), Errno> {
        let taken = if len == 0 { 0 } else { source.take(&mut self.bytes[self.end..self.end + len])? };
        if taken < len {
            return Err(Errno::EFAULT);
        }
        self.end += len;
        Ok(())
    }

    /// Bytes that fit behind the data.
    pub(super) fn room(&self) -> usize {
        self.bytes.len() - self.end
    }

    /// The data.
    pub(super) fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Drops the first `len` bytes of the data.
    pub(super) fn consume(&mut self, len: usize) {
        self.start = self.end.min(self.start + len);
    }

    /// Whether it is small enough to be kept.
    pub(super) fn is_worth_keeping(&self) -> bool {
        (1..=2 * MIN_BUFFER_BYTES).contains(&self.bytes.len())
    }
}

/// A message, or a stretch of a stream. Drop it with no lock held: its sender gets its room back.
pub(super) struct Message {
    pub(super) buffer: Buffer,
    pub(super) files: Files,
    pub(super) credentials: Ucred,
    /// The sender's address, on datagram sockets.
    pub(super) address: Option<Arc<Name>>,
    /// Whose send buffer it counts against.
    pub(super) sender: Weak<UnixSocket>,
    /// How much it counts.
    pub(super) charge: usize,
}

impl Message {
    /// Its bytes that are left.
    pub(super) fn len(&self) -> usize {
        self.buffer.data().len()
    }

    /// Puts as much as fits into the sink.
    pub(super) fn put(&self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let data = self.buffer.data();
        let len = data.len().min(sink.remaining());
        if len == 0 { Ok(0) } else { sink.put(&data[..len]) }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let Some(sender) = self.sender.upgrade() else { return };
        sender.outstanding.fetch_sub(self.charge, Ordering::Relaxed);
        if sender.is_writable() {
            sender.ready.wake(WRITABLE);
        }
    }
}
