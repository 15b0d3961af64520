//! A program of the host on a pseudo-terminal, typed at and read as a person would.

use std::io::{self, Read, Write};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The longest a program may take to answer what was typed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal with a program on it; dropping it ends the program.
pub struct Terminal {
    pty: Pty,
    child: Child,
    /// All that the program has written.
    pub seen: Vec<u8>,
    /// How much of it has been looked at.
    read: usize,
}

impl Terminal {
    /// Starts the program on a terminal of this size.
    pub fn start(program: Command, rows: u16, columns: u16) -> io::Result<Self> {
        let (pty, terminal) = open().map_err(io::Error::other)?;
        pty.resize(Size::new(rows, columns)).map_err(io::Error::other)?;
        let child = program.spawn(terminal).map_err(io::Error::other)?;
        Ok(Self { pty, child, seen: Vec::new(), read: 0 })
    }

    /// Gives the terminal another size.
    pub fn resize(&self, rows: u16, columns: u16) -> io::Result<()> {
        self.pty.resize(Size::new(rows, columns)).map_err(io::Error::other)
    }

    /// Presses these keys, whatever they mean.
    pub fn press(&mut self, keys: &str) -> io::Result<()> {
        self.pty.write_all(keys.as_bytes())
    }

    /// Reads until `text` comes, and gives what stood before it. What came earlier does not count.
    pub fn wait_for(&mut self, text: &str) -> io::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let fresh = &self.seen[self.read..];
            if let Some(at) = fresh.windows(text.len()).position(|window| window == text.as_bytes()) {
                let before = String::from_utf8_lossy(&fresh[..at]).into_owned();
                self.read += at + text.len();
                return Ok(before);
            }
            if !self.take(deadline)? {
                let fresh = String::from_utf8_lossy(&self.seen[self.read..]).into_owned();
                return Err(io::Error::other(format!("waited for {text:?}, got {fresh:?}")));
            }
        }
    }

    /// Waits for the program's end.
    pub fn wait_for_end(&mut self) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        while self.take(deadline)? {}
        loop {
            match self.child.try_wait()? {
                Some(status) => return Ok(status),
                None if Instant::now() > deadline => return Err(io::Error::other("the program does not end")),
                None => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Reads once; false if the time is up or nobody has the terminal open any more.
    fn take(&mut self, deadline: Instant) -> io::Result<bool> {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).map_err(io::Error::other)?;
        if poll(&mut [PollFd::new(&self.pty, PollFlags::IN)], Some(&left))? == 0 {
            return Ok(false);
        }
        let mut buffer = [0; 4096];
        match self.pty.read(&mut buffer) {
            Ok(count) => {
                self.seen.extend(&buffer[..count]);
                Ok(count > 0)
            }
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_reaches_the_program_and_its_answer_comes_back() {
        let mut terminal = Terminal::start(Command::new("cat"), 24, 80).expect("cat starts");
        terminal.press("hello\r").expect("typed");
        assert_eq!(terminal.wait_for("\r\nhello\r\n").expect("cat answers"), "hello");
        terminal.press("\x04").expect("typed");
        assert!(terminal.wait_for_end().expect("cat ends").success());
    }

    #[test]
    fn a_program_that_ends_without_the_answer_is_an_error() {
        let mut terminal = Terminal::start(Command::new("true"), 24, 80).expect("true starts");
        assert!(terminal.wait_for("answer").is_err());
    }
}
