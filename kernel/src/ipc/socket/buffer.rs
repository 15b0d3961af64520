//! [`Buffer`]: bytes in a socket's inbox.

use alloc::vec::Vec;

use abi::Errno;

use crate::fs::{Sink, Source};

/// The smallest buffer: small writes to a stream share one.
const MIN_BYTES: usize = 2048;

/// Bytes, of which a stretch holds data. Kept for the next message once it is empty.
#[derive(Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// A buffer filled with the next `len` bytes of `source`, using `spare` if that is large enough. `EFAULT`.
    pub fn fill(spare: Option<Buffer>, source: &mut dyn Source, len: usize) -> Result<Self, Errno> {
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
        let size = len.max(MIN_BYTES);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| Errno::ENOBUFS)?;
        bytes.resize(size, 0);
        Ok(Self { bytes, start: 0, end: 0 })
    }

    /// Adds the next `len` bytes of `source`, for which there is [room](Self::room). `EFAULT`, and nothing is added.
    pub fn append(&mut self, source: &mut dyn Source, len: usize) -> Result<(), Errno> {
        let taken = if len == 0 { 0 } else { source.take(&mut self.bytes[self.end..self.end + len])? };
        if taken < len {
            return Err(Errno::EFAULT);
        }
        self.end += len;
        Ok(())
    }

    /// Bytes that fit behind the data.
    pub fn room(&self) -> usize {
        self.bytes.len() - self.end
    }

    /// The data.
    pub fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Drops the first `len` bytes of the data.
    pub fn consume(&mut self, len: usize) {
        self.start = self.end.min(self.start + len);
    }

    /// Whether it is small enough to be kept.
    pub fn is_worth_keeping(&self) -> bool {
        (1..=2 * MIN_BYTES).contains(&self.bytes.len())
    }

    /// Puts as much as fits into the sink. The data stays.
    pub fn put(&self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let data = self.data();
        let len = data.len().min(sink.remaining());
        if len == 0 { Ok(0) } else { sink.put(&data[..len]) }
    }
}
