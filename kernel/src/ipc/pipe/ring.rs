//! [`Ring`]: the bytes in a pipe, as a row of pages (`struct pipe_buffer`).
//!
//! Pure: no locks, no waiting. The rules of what fits are Linux's (`pipe_write`): a write first fills up the last
//! page if its odd bytes fit there whole, then takes a fresh page for each 4096 bytes. From that follow the
//! atomicity of writes up to `PIPE_BUF` and what poll(2) calls writable.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use abi::Errno;

use crate::fs::{Sink, Source};

/// Bytes of a slot's page.
pub const PAGE_BYTES: usize = 4096;

/// A page of a pipe.
type Page = Box<[u8; PAGE_BYTES]>;

/// One page and the part of it that holds data.
pub struct Slot {
    page: Page,
    start: usize,
    end: usize,
    /// A packet of its own (`O_DIRECT`): read whole or cut, never joined.
    packet: bool,
}

impl Slot {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.page[self.start..self.end]
    }

    /// The whole page, to be filled from its start; [`Self::set_filled`] follows.
    pub fn page_mut(&mut self) -> &mut [u8] {
        &mut self.page[..]
    }

    /// Says how many bytes were filled.
    pub fn set_filled(&mut self, len: usize) {
        self.end = len.min(PAGE_BYTES);
    }

    /// Drops the first `len` bytes. Returns whether any are left.
    pub fn consume(&mut self, len: usize) -> bool {
        self.start = self.end.min(self.start + len);
        self.start < self.end
    }
}

/// The slots in use, oldest first, and pages to use again. A pipe keeps the pages it once needed until its last
/// user closes it: taking and clearing a fresh page would cost more than moving the bytes does.
pub struct Ring {
    slots: VecDeque<Slot>,
    capacity: usize,
    /// Slots that splice(2) holds outside: being filled, or being emptied elsewhere.
    outside: usize,
    spare: Vec<Page>,
}

impl Ring {
    /// A ring of up to `capacity` slots.
    pub fn new(capacity: usize) -> Self {
        Self { slots: VecDeque::new(), capacity, outside: 0, spare: Vec::new() }
    }

    /// Slots it may use.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Changes the number of slots; `EBUSY` if more are in use.
    pub fn set_capacity(&mut self, capacity: usize) -> Result<(), Errno> {
        if capacity < self.slots.len() + self.outside {
            return Err(Errno::EBUSY);
        }
        self.capacity = capacity;
        self.spare.truncate(capacity);
        Ok(())
    }

    /// Whether there is nothing to read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether no slot is free.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.slots.len() + self.outside >= self.capacity
    }

    /// Bytes to read.
    pub fn len(&self) -> usize {
        self.slots.iter().map(|slot| slot.bytes().len()).sum()
    }

    /// Throws everything away, spare pages included.
    pub fn clear(&mut self) {
        self.slots = VecDeque::new();
        self.spare = Vec::new();
    }

    /// Moves as much of `source` in as fits, at least one page's worth or nothing: `EAGAIN`. A fault reports what
    /// went in whole before it, or `EFAULT`.
    pub fn write(&mut self, source: &mut dyn Source, packets: bool) -> Result<usize, Errno> {
        let mut written = self.merge(source)?;
        while source.remaining() > 0 {
            if self.is_full() {
                return if written > 0 { Ok(written) } else { Err(Errno::EAGAIN) };
            }
            match self.fill_slot(source, packets) {
                Ok(len) => written += len,
                Err(error) if written == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(written)
    }

    /// Adds the odd bytes of a write to the last page, if they fit there.
    fn merge(&mut self, source: &mut dyn Source) -> Result<usize, Errno> {
        let odd = source.remaining() % PAGE_BYTES;
        let Some(last) = self.slots.back_mut() else { return Ok(0) };
        if odd == 0 || last.packet || last.end + odd > PAGE_BYTES {
            return Ok(0);
        }
        let taken = source.take(&mut last.page[last.end..last.end + odd])?;
        if taken < odd {
            return Err(Errno::EFAULT);
        }
        last.end += odd;
        Ok(odd)
    }

    /// Fills a fresh slot with up to a page.
    fn fill_slot(&mut self, source: &mut dyn Source, packet: bool) -> Result<usize, Errno> {
        let want = source.remaining().min(PAGE_BYTES);
        let mut page = self.spare.pop().unwrap_or_else(fresh_page);
        let taken = source.take(&mut page[..want]);
        if taken != Ok(want) {
            self.spare.push(page);
            return Err(Errno::EFAULT);
        }
        self.slots.push_back(Slot { page, start: 0, end: want, packet });
        Ok(want)
    }

    /// Moves as much out as there is and `sink` takes, one packet at most: `EAGAIN` if there is nothing.
    pub fn read(&mut self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let mut moved = 0;
        while sink.remaining() > 0
            && let Some(slot) = self.slots.front_mut()
        {
            let want = slot.bytes().len().min(sink.remaining());
            let put = match sink.put(&slot.bytes()[..want]) {
                Ok(len) => len,
                Err(error) if moved == 0 => return Err(error),
                Err(_) => return Ok(moved),
            };
            moved += put;
            if slot.packet && put == want {
                self.drop_first();
                return Ok(moved);
            }
            if !slot.consume(put) {
                self.drop_first();
            }
            if put < want {
                return Ok(moved);
            }
        }
        if moved == 0 { Err(Errno::EAGAIN) } else { Ok(moved) }
    }

    /// Takes the first slot out, for its bytes to go elsewhere. [`Self::put_back`] follows.
    pub fn take_first(&mut self) -> Option<Slot> {
        let slot = self.slots.pop_front()?;
        self.outside += 1;
        Some(slot)
    }

    /// Puts back what is left of the slot taken last, or, if nothing is, keeps its page.
    pub fn put_back(&mut self, slot: Slot) {
        self.outside -= 1;
        if slot.bytes().is_empty() {
            self.keep(slot.page);
        } else {
            self.slots.push_front(slot);
        }
    }

    /// Hands out an empty slot to be filled outside, if one is free. [`Self::append`] follows.
    pub fn hand_out(&mut self) -> Option<Slot> {
        if self.is_full() {
            return None;
        }
        self.outside += 1;
        let page = self.spare.pop().unwrap_or_else(fresh_page);
        Some(Slot { page, start: 0, end: 0, packet: false })
    }

    /// Appends a slot handed out earlier, if it was filled.
    pub fn append(&mut self, slot: Slot) {
        self.outside -= 1;
        if slot.bytes().is_empty() {
            self.keep(slot.page);
        } else {
            self.slots.push_back(slot);
        }
    }

    /// Appends up to `limit` bytes of `from`'s slot `index`, which keeps them (tee(2)). `None` when `from` has no
    /// such slot.
    pub fn copy_slot(&mut self, from: &Ring, index: usize, limit: usize) -> Option<usize> {
        let slot = from.slots.get(index)?;
        let len = slot.bytes().len().min(limit);
        let mut page = self.spare.pop().unwrap_or_else(fresh_page);
        page[..len].copy_from_slice(&slot.bytes()[..len]);
        self.slots.push_back(Slot { page, start: 0, end: len, packet: slot.packet });
        Some(len)
    }

    /// Moves the first slot, or `limit` bytes of it, to the end of `to` (splice(2) between pipes).
    pub fn move_slot(&mut self, to: &mut Ring, limit: usize) -> Option<usize> {
        let first = self.slots.front_mut()?;
        let len = first.bytes().len();
        if len > limit {
            to.copy_slot(self, 0, limit)?;
            self.slots.front_mut()?.consume(limit);
            return Some(limit);
        }
        to.slots.push_back(self.slots.pop_front()?);
        if let Some(page) = to.spare.pop() {
            self.keep(page);
        }
        Some(len)
    }

    fn drop_first(&mut self) {
        if let Some(slot) = self.slots.pop_front() {
            self.keep(slot.page);
        }
    }

    fn keep(&mut self, page: Page) {
        if self.spare.len() < self.capacity {
            self.spare.push(page);
        }
    }
}

/// A page that never held anything.
fn fresh_page() -> Page {
    Box::new([0; PAGE_BYTES])
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::fs::{SliceSink, SliceSource};

    fn write(ring: &mut Ring, len: usize, packets: bool) -> Result<usize, Errno> {
        let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
        ring.write(&mut SliceSource::new(&bytes), packets)
    }

    fn read(ring: &mut Ring, len: usize) -> Result<Vec<u8>, Errno> {
        let mut buffer = vec![0; len];
        let got = ring.read(&mut SliceSink::new(&mut buffer))?;
        buffer.truncate(got);
        Ok(buffer)
    }

    #[test]
    fn small_writes_share_a_page() {
        let mut ring = Ring::new(1);
        assert_eq!(write(&mut ring, 4000, false), Ok(4000));
        assert_eq!(write(&mut ring, 96, false), Ok(96));
        assert_eq!(write(&mut ring, 1, false), Err(Errno::EAGAIN));
        assert_eq!(ring.len(), 4096);
    }

    #[test]
    fn a_write_of_a_page_or_less_goes_in_whole_or_not_at_all() {
        let mut ring = Ring::new(2);
        assert_eq!(write(&mut ring, 3000, false), Ok(3000));
        assert_eq!(write(&mut ring, 3000, false), Ok(3000));
        assert_eq!(write(&mut ring, 2000, false), Err(Errno::EAGAIN));
        assert_eq!(ring.len(), 6000);
    }

    #[test]
    fn a_large_write_goes_in_as_far_as_it_fits() {
        let mut ring = Ring::new(16);
        assert_eq!(write(&mut ring, 100_000, false), Ok(65536));
        assert!(ring.is_full());
        assert_eq!(read(&mut ring, 100_000).map(|bytes| bytes.len()), Ok(65536));
        assert!(ring.is_empty());
    }

    #[test]
    fn a_partly_read_page_still_takes_its_slot() {
        let mut ring = Ring::new(1);
        assert_eq!(write(&mut ring, 4096, false), Ok(4096));
        assert_eq!(read(&mut ring, 4095).map(|bytes| bytes.len()), Ok(4095));
        assert!(ring.is_full());
        assert_eq!(write(&mut ring, 1, false), Err(Errno::EAGAIN));
    }

    #[test]
    fn bytes_come_out_in_the_order_they_went_in() {
        let mut ring = Ring::new(4);
        assert_eq!(ring.write(&mut SliceSource::new(b"abc"), false), Ok(3));
        assert_eq!(ring.write(&mut SliceSource::new(b"def"), false), Ok(3));
        assert_eq!(read(&mut ring, 4).as_deref(), Ok(&b"abcd"[..]));
        assert_eq!(read(&mut ring, 4).as_deref(), Ok(&b"ef"[..]));
        assert_eq!(read(&mut ring, 4), Err(Errno::EAGAIN));
    }

    #[test]
    fn a_packet_is_read_alone_and_its_rest_is_lost() {
        let mut ring = Ring::new(4);
        assert_eq!(write(&mut ring, 10, true), Ok(10));
        assert_eq!(write(&mut ring, 20, true), Ok(20));
        assert_eq!(read(&mut ring, 5).map(|bytes| bytes.len()), Ok(5));
        assert_eq!(read(&mut ring, 100).map(|bytes| bytes.len()), Ok(20));
        assert!(ring.is_empty());
    }

    #[test]
    fn a_write_beyond_a_page_makes_several_packets() {
        let mut ring = Ring::new(4);
        assert_eq!(write(&mut ring, 5000, true), Ok(5000));
        assert_eq!(read(&mut ring, 10_000).map(|bytes| bytes.len()), Ok(4096));
        assert_eq!(read(&mut ring, 10_000).map(|bytes| bytes.len()), Ok(904));
    }

    #[test]
    fn the_capacity_cannot_shrink_below_what_is_in_use() {
        let mut ring = Ring::new(4);
        assert_eq!(write(&mut ring, 5000, false), Ok(5000));
        assert_eq!(ring.set_capacity(1), Err(Errno::EBUSY));
        assert_eq!(ring.set_capacity(2), Ok(()));
    }

    #[test]
    fn tee_copies_and_splice_moves() {
        let (mut from, mut to) = (Ring::new(4), Ring::new(4));
        assert_eq!(from.write(&mut SliceSource::new(b"abcdef"), false), Ok(6));
        assert_eq!(to.copy_slot(&from, 0, 3), Some(3));
        assert_eq!(from.len(), 6);
        assert_eq!(from.move_slot(&mut to, 2), Some(2));
        assert_eq!(from.move_slot(&mut to, 100), Some(4));
        assert!(from.is_empty());
        assert_eq!(read(&mut to, 100).as_deref(), Ok(&b"abcabcdef"[..]));
    }
}
