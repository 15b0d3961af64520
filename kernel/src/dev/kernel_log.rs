//! The kernel's log in memory, for syslog(2): the newest lines, each with its level and time as dmesg(1) expects them.
//!
//! Lock: rank `KernelLog`, below all others: whoever logs may hold any of them. Nothing is allocated here.

use core::fmt::{self, Write};

use crate::sync::{Rank, SpinLock};

/// Bytes that are kept (`CONFIG_LOG_BUF_SHIFT`).
pub const RING_BYTES: usize = 1 << 16;

/// The ring: byte `n` of all that was ever logged is at `n % RING_BYTES`.
struct Ring {
    bytes: [u8; RING_BYTES],
    /// Bytes ever logged.
    end: u64,
    /// Where reading them all begins, since the last clearing.
    cleared: u64,
    /// Where reading what is unread begins.
    read: u64,
}

static RING: SpinLock<Ring> =
    SpinLock::new(Rank::KernelLog, Ring { bytes: [0; RING_BYTES], end: 0, cleared: 0, read: 0 });

impl Ring {
    fn at(&self, place: u64) -> u8 {
        self.bytes[(place % RING_BYTES as u64) as usize]
    }

    /// The first line at or behind `from` that is still whole.
    fn line_from(&self, from: u64) -> u64 {
        let oldest = self.end.saturating_sub(RING_BYTES as u64);
        if from > oldest || oldest == 0 {
            return from;
        }
        (oldest..self.end).find(|&place| self.at(place) == b'\n').map_or(self.end, |place| place + 1)
    }

    /// The lines from `from` on; of more than fit into `max` bytes the newest.
    fn lines(&self, from: u64, max: usize) -> core::ops::Range<u64> {
        let mut start = self.line_from(from);
        while self.end - start > max as u64 {
            let line = (start..self.end).find(|&place| self.at(place) == b'\n');
            start = line.map_or(self.end, |place| place + 1);
        }
        start..self.end
    }
}

impl Write for Ring {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            self.bytes[(self.end % RING_BYTES as u64) as usize] = byte;
            self.end += 1;
        }
        Ok(())
    }
}

/// Adds a line of a level from 0 (the worst) to 7.
pub fn record(level: u8, now_us: u64, text: fmt::Arguments<'_>) {
    let (s, us) = (now_us / 1_000_000, now_us % 1_000_000);
    // The ring takes everything.
    let _ = writeln!(RING.lock(), "<{level}>[{s:5}.{us:06}] {text}");
}

/// Which lines are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// All since the last clearing.
    All,
    /// All since the last clearing; they are cleared.
    Clear,
    /// Those nobody has read so.
    Unread,
}

/// Copies lines to `buffer`; gives how many bytes.
pub fn read(which: Which, buffer: &mut [u8]) -> usize {
    let mut ring = RING.lock();
    let range = match which {
        Which::All | Which::Clear => ring.lines(ring.cleared, buffer.len()),
        Which::Unread => {
            let start = ring.line_from(ring.read);
            start..ring.end.min(start + buffer.len() as u64)
        }
    };
    let mut len = 0;
    for (place, byte) in range.clone().zip(buffer) {
        *byte = ring.at(place);
        len += 1;
    }
    match which {
        Which::All => {}
        Which::Clear => ring.cleared = ring.end,
        Which::Unread => ring.read = range.end,
    }
    len
}

/// Clears what [`Which::All`] gives.
pub fn clear() {
    let mut ring = RING.lock();
    ring.cleared = ring.end;
}

/// How many bytes are unread.
pub fn unread_bytes() -> usize {
    let ring = RING.lock();
    (ring.end - ring.line_from(ring.read)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(text: &str) -> Ring {
        let mut ring = Ring { bytes: [0; RING_BYTES], end: 0, cleared: 0, read: 0 };
        ring.write_str(text).expect("the ring takes everything");
        ring
    }

    #[test]
    fn of_more_lines_than_fit_the_newest_are_given() {
        let ring = ring("one\ntwo\nthree\n");
        assert_eq!(ring.lines(0, 100), 0..14);
        assert_eq!(ring.lines(0, 13), 4..14);
        assert_eq!(ring.lines(0, 6), 8..14);
        assert_eq!(ring.lines(0, 5), 14..14);
    }

    #[test]
    fn a_line_that_is_partly_overwritten_is_left_out() {
        let mut ring = ring("first\n");
        while ring.end <= RING_BYTES as u64 {
            ring.write_str("line\n").expect("the ring takes everything");
        }
        assert_eq!(ring.line_from(0), 6);
    }
}
