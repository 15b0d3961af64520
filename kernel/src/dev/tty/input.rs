//! [`InputQueue`]: what a terminal received and nobody has read yet.
//!
//! A ring of 4096 bytes with a mark per byte that ends a line, as `n_tty` keeps it (`struct n_tty_data`).
//! Positions count up for ever; a byte lives at its position modulo the ring's size.

use alloc::boxed::Box;

use abi::Errno;

use super::termios::DISABLED;
use crate::fs::Sink;

/// Bytes the queue holds (`N_TTY_BUF_SIZE`).
pub const CAPACITY_BYTES: usize = 4096;

/// The queue. In canonical mode, bytes below `line_end` are complete lines; the rest is still being edited.
pub struct InputQueue {
    bytes: Box<[u8; CAPACITY_BYTES]>,
    marks: [u64; CAPACITY_BYTES / 64],
    tail: usize,
    line_end: usize,
    head: usize,
}

impl InputQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self { bytes: Box::new([0; CAPACITY_BYTES]), marks: [0; CAPACITY_BYTES / 64], tail: 0, line_end: 0, head: 0 }
    }

    /// Bytes received and not read, unfinished line included.
    pub fn len(&self) -> usize {
        self.head - self.tail
    }

    /// Whether nothing at all waits.
    pub fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    /// Bytes that still fit.
    pub fn room(&self) -> usize {
        CAPACITY_BYTES - self.len()
    }

    /// Whether a complete line waits.
    pub fn has_line(&self) -> bool {
        self.line_end != self.tail
    }

    /// Bytes of the unfinished line.
    pub fn editing(&self) -> usize {
        self.head - self.line_end
    }

    /// The unfinished line's byte `from_end` places before its end; 0 is the last.
    pub fn edited(&self, from_end: usize) -> u8 {
        self.bytes[(self.head - 1 - from_end) % CAPACITY_BYTES]
    }

    /// Adds a byte to the unfinished line. Drops it if the queue is full.
    pub fn push(&mut self, byte: u8) {
        if self.room() > 0 {
            self.bytes[self.head % CAPACITY_BYTES] = byte;
            self.head += 1;
        }
    }

    /// Adds a byte that ends the line, and hands the line over. [`DISABLED`] ends it without a byte to read.
    pub fn push_line_end(&mut self, byte: u8) {
        if self.room() == 0 {
            self.head -= 1;
        }
        self.mark(self.head, true);
        self.push(byte);
        self.line_end = self.head;
    }

    /// Takes back the last `len` bytes of the unfinished line.
    pub fn erase(&mut self, len: usize) {
        self.head -= len.min(self.editing());
    }

    /// Throws everything away (`reset_buffer_flags`).
    pub fn clear(&mut self) {
        self.tail = self.head;
        self.line_end = self.head;
        self.marks = [0; CAPACITY_BYTES / 64];
    }

    /// Canonical mode was switched on or off: what waits becomes one line to be read as it is (and true is
    /// returned), or bytes without lines.
    pub fn change_mode(&mut self, canonical: bool) -> bool {
        self.marks = [0; CAPACITY_BYTES / 64];
        if canonical && !self.is_empty() {
            self.mark(self.head - 1, true);
            self.line_end = self.head;
            true
        } else {
            self.line_end = self.tail;
            false
        }
    }

    /// Bytes a reader in canonical mode could get, line ends without a byte not counted (`inq_canon`).
    pub fn line_bytes(&self) -> usize {
        (self.tail..self.line_end).filter(|&at| !(self.is_marked(at) && self.at(at) == DISABLED)).count()
    }

    /// Moves up to one line into `sink` (`canon_copy_from_read_buf`). A line end without a byte is consumed
    /// silently, also when it comes right after the last byte that fitted.
    ///
    /// `keep_last` says that the mark on the last byte is no true end, so that a zero byte there is data.
    pub fn read_line(&mut self, sink: &mut dyn Sink, keep_last: bool) -> Result<usize, Errno> {
        let limit = self.line_end.min(self.tail + sink.remaining());
        let end = (self.tail..limit).find(|&at| self.is_marked(at));
        let silent = |queue: &Self, at: usize| queue.at(at) == DISABLED && !keep_last;
        let stop = match end {
            Some(at) if silent(self, at) => at,
            Some(at) => at + 1,
            None => limit,
        };
        let moved = self.copy(sink, stop)?;
        self.tail += moved;
        if moved > 0 && end.is_some_and(|at| at < self.tail) {
            self.mark(self.tail - 1, false);
        } else if self.tail != self.line_end && self.is_marked(self.tail) && silent(self, self.tail) {
            self.mark(self.tail, false);
            self.tail += 1;
        }
        Ok(moved)
    }

    /// Moves whatever waits into `sink` (`copy_from_read_buf`).
    pub fn read_raw(&mut self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let stop = self.head.min(self.tail + sink.remaining());
        let moved = self.copy(sink, stop)?;
        self.tail += moved;
        self.line_end = self.line_end.max(self.tail);
        Ok(moved)
    }

    /// Copies the bytes from the tail up to `stop`, in at most two pieces.
    fn copy(&self, sink: &mut dyn Sink, stop: usize) -> Result<usize, Errno> {
        let mut at = self.tail;
        while at < stop {
            let start = at % CAPACITY_BYTES;
            let end = CAPACITY_BYTES.min(start + (stop - at));
            match sink.put(&self.bytes[start..end]) {
                Ok(moved) => {
                    at += moved;
                    if moved < end - start {
                        break;
                    }
                }
                Err(error) if at == self.tail => return Err(error),
                Err(_) => break,
            }
        }
        Ok(at - self.tail)
    }

    fn at(&self, position: usize) -> u8 {
        self.bytes[position % CAPACITY_BYTES]
    }

    fn is_marked(&self, position: usize) -> bool {
        let index = position % CAPACITY_BYTES;
        self.marks[index / 64] >> (index % 64) & 1 != 0
    }

    fn mark(&mut self, position: usize, on: bool) {
        let index = position % CAPACITY_BYTES;
        let bit = 1 << (index % 64);
        if on {
            self.marks[index / 64] |= bit;
        } else {
            self.marks[index / 64] &= !bit;
        }
    }
}

impl Default for InputQueue {
    fn default() -> Self {
        Self::new()
    }
}
