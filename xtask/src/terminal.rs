//! The user's terminal: raw while the guest has it, given back whatever happens, and the escape key that leaves.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

/// A terminal in raw mode; dropping it restores the modes it had.
pub struct RawTerminal {
    terminal: OwnedFd,
    before: Termios,
}

impl RawTerminal {
    /// Puts `terminal` into raw mode.
    pub fn enter(terminal: BorrowedFd<'_>) -> io::Result<Self> {
        let terminal = terminal.try_clone_to_owned()?;
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Drain, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that has gone away.
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// The size of a terminal as (rows, columns), if it is one and knows.
pub fn size(terminal: impl AsFd) -> Option<(u16, u16)> {
    if !isatty(&terminal) {
        return None;
    }
    let size = tcgetwinsize(&terminal).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Finds the escape Ctrl-A X in what is typed: as QEMU has it, Ctrl-A Ctrl-A is one Ctrl-A.
#[derive(Default)]
pub struct Escape {
    armed: bool,
}

const CTRL_A: u8 = 1;

impl Escape {
    /// Appends to `passed` what the guest is to see of `typed`; true if the user wants to leave.
    pub fn filter(&mut self, typed: &[u8], passed: &mut Vec<u8>) -> bool {
        for &byte in typed {
            match (std::mem::take(&mut self.armed), byte) {
                (true, b'x' | b'X') => return true,
                (true, CTRL_A) => passed.push(CTRL_A),
                (true, _) => passed.extend([CTRL_A, byte]),
                (false, CTRL_A) => self.armed = true,
                (false, _) => passed.push(byte),
            }
        }
        false
    }
}

/// Text for a terminal that may be raw: each line end also returns the carriage.
pub struct LineWriter<W> {
    /// Where the text goes.
    pub inner: W,
    /// Whether the terminal is raw.
    pub raw: bool,
}

impl<W: Write> Write for LineWriter<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if !self.raw {
            return self.inner.write(text);
        }
        for piece in text.split_inclusive(|&byte| byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(line) => {
                    self.inner.write_all(line)?;
                    self.inner.write_all(b"\r\n")?;
                }
                None => self.inner.write_all(piece)?,
            }
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let (mut escape, mut passed) = (Escape::default(), Vec::new());
        let leave = pieces.iter().any(|piece| escape.filter(piece, &mut passed));
        (passed, leave)
    }

    #[test]
    fn control_a_x_leaves_even_when_typed_slowly() {
        assert_eq!(typed(&[b"ls\r\x01", b"x"]), (b"ls\r".to_vec(), true));
    }

    #[test]
    fn control_a_twice_is_one_and_before_another_key_is_itself() {
        assert_eq!(typed(&[b"\x01\x01\x01e"]), (b"\x01\x01e".to_vec(), false));
    }

    #[test]
    fn a_raw_terminal_gets_its_carriage_returned() {
        let mut writer = LineWriter { inner: Vec::new(), raw: true };
        writer.write_all(b"a\nb").expect("a vector takes all");
        assert_eq!(writer.inner, b"a\r\nb");
    }
}
