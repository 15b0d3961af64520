//! The guest's report (port 0xe9): lines of log, trace and exit status, told apart as `docs/host-protocol.md` says.

use std::io::{self, Write};
use std::path::Path;

use crate::symbols::BackTrace;

/// How a run in the guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The program ended by exit with this status.
    Exit(u8),
    /// The program died of this signal.
    Signal(u8),
    /// QEMU ended without word of the program: the kernel panicked, or the machine reset.
    Failed,
    /// The time was up.
    TimedOut,
    /// A signal to this tool, or Ctrl-A X, ended QEMU.
    Interrupted(u8),
}

impl End {
    /// The status a shell would show.
    pub fn status(self) -> u8 {
        match self {
            Self::Exit(status) => status,
            Self::Signal(signal) | Self::Interrupted(signal) => 128 | signal,
            Self::Failed => 125,
            Self::TimedOut => 124,
        }
    }
}

/// Splits the report into lines, hands text on and remembers the end.
pub struct Report {
    line: Vec<u8>,
    back_trace: BackTrace,
    ready: bool,
    end: Option<End>,
}

impl Report {
    /// The report of a machine that runs this kernel image.
    pub fn of(image: &Path) -> Self {
        Self { line: Vec::new(), back_trace: BackTrace::of(image), ready: false, end: None }
    }

    /// Whether the guest has said that it can take input.
    pub fn ready(&self) -> bool {
        self.ready
    }

    /// Takes the next bytes of the report; the text in them goes to `text`, a line a write.
    pub fn feed(&mut self, bytes: &[u8], text: &mut dyn Write) -> io::Result<()> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.take_line(text)?;
            }
        }
        Ok(())
    }

    /// The report is over: hands on a last line without its end, and says how the program ended.
    pub fn finish(&mut self, text: &mut dyn Write) -> io::Result<Option<End>> {
        if !self.line.is_empty() {
            self.line.push(b'\n');
            self.take_line(text)?;
        }
        text.write_all(self.back_trace.told().as_bytes())?;
        Ok(self.end)
    }

    fn take_line(&mut self, text: &mut dyn Write) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        if self.back_trace.take(&line) {
            return Ok(());
        }
        text.write_all(self.back_trace.told().as_bytes())?;
        match line.as_slice() {
            [1, b'L' | b'T', rest @ ..] => text.write_all(rest),
            [1, b'R', ..] => {
                self.ready = true;
                Ok(())
            }
            [1, b'X', rest @ ..] => match parse_end(rest) {
                Some(end) => {
                    self.end = Some(end);
                    Ok(())
                }
                None => text.write_all(&line),
            },
            _ => text.write_all(&line),
        }
    }
}

fn parse_end(text: &[u8]) -> Option<End> {
    let mut words = std::str::from_utf8(text).ok()?.split_whitespace();
    let kind = words.next()?;
    let value = words.next()?.parse().ok()?;
    match kind {
        "exit" => Some(End::Exit(value)),
        "signal" => Some(End::Signal(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pieces: &[&str]) -> (String, Option<End>) {
        let mut report = Report::of(Path::new("/nowhere"));
        let mut text = Vec::new();
        for piece in pieces {
            report.feed(piece.as_bytes(), &mut text).expect("a vector takes all");
        }
        let end = report.finish(&mut text).expect("a vector takes all");
        (String::from_utf8(text).expect("the test's own text"), end)
    }

    #[test]
    fn log_and_trace_lose_their_marks_and_the_end_is_kept() {
        let (text, end) = told(&["\x01Lbooted\n\x01T[2] getpid() = 2\n\x01X exit 42\n"]);
        assert_eq!(text, "booted\n[2] getpid() = 2\n");
        assert_eq!(end, Some(End::Exit(42)));
    }

    #[test]
    fn lines_may_come_in_pieces_and_the_last_without_an_end() {
        let (text, end) = told(&["\x01", "X sig", "nal 11\npan", "ic"]);
        assert_eq!(text, "panic\n");
        assert_eq!(end.map(End::status), Some(139));
    }

    #[test]
    fn the_guest_says_when_it_is_ready() {
        let mut report = Report::of(Path::new("/nowhere"));
        report.feed(b"early words\n", &mut Vec::new()).expect("a vector takes all");
        assert!(!report.ready());
        report.feed(b"\x01R\n", &mut Vec::new()).expect("a vector takes all");
        assert!(report.ready());
    }

    #[test]
    fn a_garbled_end_is_shown_and_not_believed() {
        assert_eq!(told(&["\x01X exit 300\n"]), ("\x01X exit 300\n".into(), None));
    }
}
