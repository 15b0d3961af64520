//! Where bytes come from and go to: [`Sink`] (a reader's buffer) and [`Source`] (a writer's data).
//!
//! The kernel's own slices implement them here; user memory (single buffers and iovecs) implements them in
//! `mem`'s user access layer's terms, in [`super::user_io`].

use abi::Errno;

use crate::mem::Frame;

/// What is copied at a time where bytes must pass through the kernel's stack.
const BOUNCE_BYTES: usize = 512;

/// Takes bytes: what `read` fills. `Send`, because a blocked reader keeps it across an await.
pub trait Sink: Send {
    /// Bytes that still fit.
    fn remaining(&self) -> usize;

    /// Takes as much of `bytes` as fits and returns how much that was. A fault after some bytes were taken
    /// reports those; a fault on the first is `EFAULT`.
    fn put(&mut self, bytes: &[u8]) -> Result<usize, Errno>;

    /// As [`Self::put`], from `len` bytes of a page that others may be writing.
    fn put_page(&mut self, page: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let mut bounce = [0; BOUNCE_BYTES];
        let mut done = 0;
        while done < len {
            let part = &mut bounce[..(len - done).min(BOUNCE_BYTES)];
            page.read(offset + done, part);
            match self.put(part) {
                Ok(taken) if taken == part.len() => done += taken,
                Ok(taken) => return Ok(done + taken),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Takes `len` zero bytes, or as many as fit.
    fn put_zeros(&mut self, len: usize) -> Result<usize, Errno> {
        const ZEROS: [u8; 512] = [0; 512];
        let mut done = 0;
        while done < len {
            let want = ZEROS.len().min(len - done);
            match self.put(&ZEROS[..want]) {
                Ok(n) => {
                    done += n;
                    if n < want {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }
}

/// Gives bytes: what `write` drains. `Send`, because a blocked writer keeps it across an await.
pub trait Source: Send {
    /// Bytes still to come.
    fn remaining(&self) -> usize;

    /// Moves as much as there is, and as `into` holds, and returns how much that was. A fault after some bytes
    /// were moved reports those; a fault on the first is `EFAULT`.
    fn take(&mut self, into: &mut [u8]) -> Result<usize, Errno>;

    /// As [`Self::take`], but the bytes are still to come afterwards: for objects that must see what they are
    /// given before they can say whether it would block (eventfd).
    fn peek(&self, into: &mut [u8]) -> Result<usize, Errno>;

    /// Gives no more than `len` further bytes.
    fn limit(&mut self, len: usize);

    /// As [`Self::take`], into `len` bytes of a page that others may be reading.
    fn take_page(&mut self, page: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let mut bounce = [0; BOUNCE_BYTES];
        let mut done = 0;
        while done < len {
            let part = &mut bounce[..(len - done).min(BOUNCE_BYTES)];
            match self.take(part) {
                Ok(taken) => {
                    page.write(offset + done, &part[..taken]);
                    done += taken;
                    if taken < part.len() {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }
}

/// A kernel buffer to be filled.
pub struct SliceSink<'a> {
    buffer: &'a mut [u8],
    filled: usize,
}

impl<'a> SliceSink<'a> {
    /// Fills `buffer` from its start.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, filled: 0 }
    }

    /// Bytes filled so far.
    pub fn filled(&self) -> usize {
        self.filled
    }
}

impl Sink for SliceSink<'_> {
    fn remaining(&self) -> usize {
        self.buffer.len() - self.filled
    }

    fn put(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let len = bytes.len().min(self.remaining());
        self.buffer[self.filled..self.filled + len].copy_from_slice(&bytes[..len]);
        self.filled += len;
        Ok(len)
    }
}

/// A kernel buffer to be drained.
pub struct SliceSource<'a> {
    bytes: &'a [u8],
    taken: usize,
}

impl<'a> SliceSource<'a> {
    /// Drains `bytes` from its start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, taken: 0 }
    }

    /// Bytes drained so far.
    pub fn taken(&self) -> usize {
        self.taken
    }
}

impl Source for SliceSource<'_> {
    fn remaining(&self) -> usize {
        self.bytes.len() - self.taken
    }

    fn take(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let len = into.len().min(self.remaining());
        into[..len].copy_from_slice(&self.bytes[self.taken..self.taken + len]);
        self.taken += len;
        Ok(len)
    }

    fn peek(&self, into: &mut [u8]) -> Result<usize, Errno> {
        SliceSource { bytes: self.bytes, taken: self.taken }.take(into)
    }

    fn limit(&mut self, len: usize) {
        self.bytes = &self.bytes[..self.bytes.len().min(self.taken + len)];
    }
}
