//! User buffers as sinks and sources.

use abi::Errno;

use super::{Sink, Source};
use crate::mem::{Frame, UserBuffers};

/// A transfer that moved nothing though both sides had something to move met a fault.
fn moved(done: usize, wanted: usize) -> Result<usize, Errno> {
    if done == 0 && wanted > 0 { Err(Errno::EFAULT) } else { Ok(done) }
}

impl Sink for UserBuffers {
    fn remaining(&self) -> usize {
        self.remaining() as usize
    }

    fn put(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let wanted = bytes.len().min(Sink::remaining(self));
        moved(self.write(bytes), wanted)
    }

    fn put_page(&mut self, page: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let wanted = len.min(Sink::remaining(self));
        moved(page.copy_to_user(offset, len, self), wanted)
    }

    fn put_zeros(&mut self, len: usize) -> Result<usize, Errno> {
        let wanted = len.min(Sink::remaining(self));
        moved(self.write_zeros(len), wanted)
    }
}

impl Source for UserBuffers {
    fn remaining(&self) -> usize {
        self.remaining() as usize
    }

    fn take(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let wanted = into.len().min(Source::remaining(self));
        moved(self.read(into), wanted)
    }

    fn peek(&self, into: &mut [u8]) -> Result<usize, Errno> {
        Source::take(&mut self.clone(), into)
    }

    fn limit(&mut self, len: usize) {
        self.truncate(len as u64);
    }

    fn take_page(&mut self, page: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let wanted = len.min(Source::remaining(self));
        moved(page.copy_from_user(offset, len, self), wanted)
    }
}
