//! The bytes between host and guest: one loop that polls the user's side and QEMU's side of every channel.
//!
//! The loop never blocks on the guest: what the guest has no room for yet waits in an [`Outlet`], and nothing more is read
//! from the user meanwhile. It does block on the user's side: a guest whose output nobody takes is held back.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::report::{End, Report};
use crate::terminal::Escape;

/// QEMU's ends of the channels, as seen from here.
pub struct Guest {
    /// COM1.
    pub console: UnixStream,
    /// COM2.
    pub link: UnixStream,
    /// Port 0xe9.
    pub report: UnixStream,
    /// Port 0xea.
    pub output: UnixStream,
    /// Port 0xeb.
    pub error: UnixStream,
    /// QEMU's own messages.
    pub emulator: UnixStream,
}

/// Where the user's input goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// To the console, watched for Ctrl-A X: the input is a terminal.
    Terminal,
    /// To the console as it is, and Ctrl-D at its end: a script for a terminal session.
    Script,
    /// To the program's standard input, by the link.
    Pipe,
}

/// The user's side.
pub struct Host<'a> {
    /// What the guest is given to read.
    pub input: BorrowedFd<'a>,
    /// How it is given.
    pub input_kind: InputKind,
    /// Takes the program's standard output.
    pub output: &'a mut dyn Write,
    /// Takes the program's standard error.
    pub error: &'a mut dyn Write,
    /// Takes what the guest writes to its terminal.
    pub console: &'a mut dyn Write,
    /// Takes log, trace and QEMU's words.
    pub log: &'a mut dyn Write,
    /// A byte arrives here when a signal should end the run; the function tells which signal.
    pub ended: Option<Event<'a, u8>>,
    /// A byte arrives here when the terminal has a new size; the function tells which.
    pub resized: Option<Event<'a, Option<(u16, u16)>>>,
}

/// Something that can happen on the host: a byte arrives in `arrival`, `value` tells more.
#[derive(Clone, Copy)]
pub struct Event<'a, T> {
    /// Becomes readable when it happens.
    pub arrival: &'a UnixStream,
    /// What happened, in full.
    pub value: &'a dyn Fn() -> T,
}

/// Bytes on their way to the guest.
struct Outlet<'a> {
    channel: &'a UnixStream,
    waiting: VecDeque<u8>,
}

impl Outlet<'_> {
    /// Writes what the guest takes now. A guest that has gone takes everything.
    fn flush(&mut self) {
        while !self.waiting.is_empty() {
            let (front, _) = self.waiting.as_slices();
            match self.channel.write(front) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.waiting.clear(),
            }
        }
    }
}

const CONTROL_D: u8 = 4;

/// A link frame: type, length, body.
fn frame(kind: u8, body: &[u8], link: &mut VecDeque<u8>) {
    let length = u16::try_from(body.len()).expect("reads are shorter than 64 KiB");
    link.push_back(kind);
    link.extend(length.to_le_bytes());
    link.extend(body);
}

/// Carries bytes until QEMU has closed all channels, the time is up, or the user leaves.
/// `image` is the kernel that runs, for the names in its back traces. `timeout` bounds the whole, `silence` the time without a byte
/// from the guest. `Ok(None)` means that QEMU ended without a report of the program's end.
pub fn carry(
    guest: &Guest,
    image: &Path,
    host: &mut Host<'_>,
    (timeout, silence): (Option<Duration>, Option<Duration>),
) -> io::Result<Option<End>> {
    for channel in [&guest.console, &guest.link, &guest.report, &guest.output, &guest.error, &guest.emulator] {
        channel.set_nonblocking(true)?;
    }
    let mut carrier = Carrier {
        console: Outlet { channel: &guest.console, waiting: VecDeque::new() },
        link: Outlet { channel: &guest.link, waiting: VecDeque::new() },
        report: Report::of(image),
        emulator: Report::of(image),
        escape: Escape::default(),
        input_open: true,
        spoken: false,
        open: [true; 5],
        end: timeout.map(|timeout| Instant::now() + timeout),
        silence,
        heard: Instant::now(),
    };
    let end = loop {
        if let Some(end) = carrier.step(guest, host)? {
            break Some(end);
        }
        if !carrier.open.contains(&true) {
            break None;
        }
    };
    carrier.emulator.finish(host.log)?;
    let told = carrier.report.finish(host.log)?;
    Ok(end.or(told))
}

/// The state of [`carry`].
struct Carrier<'a> {
    console: Outlet<'a>,
    link: Outlet<'a>,
    report: Report,
    emulator: Report,
    escape: Escape,
    input_open: bool,
    /// The console has written something.
    spoken: bool,
    /// Which of console, report, output, error, emulator QEMU still holds open.
    open: [bool; 5],
    /// When the time is up.
    end: Option<Instant>,
    /// How long the guest may write nothing, and when it last wrote.
    silence: Option<Duration>,
    heard: Instant,
}

impl Carrier<'_> {
    /// Waits for something to happen and deals with all that has. An end means: stop now.
    fn step(&mut self, guest: &Guest, host: &mut Host<'_>) -> io::Result<Option<End>> {
        let Some(happened) = self.wait(guest, host)? else {
            return Ok(Some(End::TimedOut));
        };
        if happened.ended {
            return Ok(host.ended.map(|event| End::Interrupted((event.value)())));
        }
        if happened.resized {
            self.resize(host)?;
        }
        if happened.input && self.take_input(host)? {
            return Ok(Some(End::Interrupted(0)));
        }
        self.console.flush();
        self.link.flush();
        self.take_output(guest, host)?;
        Ok(None)
    }

    /// Polls every descriptor of interest; `None` when the time is up.
    fn wait(&self, guest: &Guest, host: &Host<'_>) -> io::Result<Option<Happened>> {
        let mut fds = Vec::with_capacity(10);
        for (channel, open) in self.sources(guest).into_iter().zip(self.open) {
            if open {
                fds.push(PollFd::new(channel, PollFlags::IN));
            }
        }
        for outlet in [&self.console, &self.link] {
            if !outlet.waiting.is_empty() {
                fds.push(PollFd::new(outlet.channel, PollFlags::OUT));
            }
        }
        let ready = self.spoken || self.report.ready();
        let hungry = ready && self.input_open && self.console.waiting.is_empty() && self.link.waiting.is_empty();
        let input = watch(&mut fds, hungry.then_some(host.input));
        let ended = watch(&mut fds, host.ended.map(|event| event.arrival.as_fd()));
        let resized = watch(&mut fds, ready.then_some(host.resized).flatten().map(|event| event.arrival.as_fd()));
        let silent = self.silence.map(|silence| self.heard + silence);
        let deadline = [self.end, silent].into_iter().flatten().min();
        loop {
            let timeout = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return Ok(None),
                Some(left) => Some(Timespec::try_from(left).map_err(io::Error::other)?),
                None => None,
            };
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) => {}
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let at = |index: Option<usize>| index.is_some_and(|index| !fds[index].revents().is_empty());
        Ok(Some(Happened { input: at(input), ended: at(ended), resized: at(resized) }))
    }

    fn sources<'a>(&self, guest: &'a Guest) -> [&'a UnixStream; 5] {
        [&guest.console, &guest.report, &guest.output, &guest.error, &guest.emulator]
    }

    /// Reads the user's input once; true if the user wants to leave.
    fn take_input(&mut self, host: &Host<'_>) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        let bytes = match rustix::io::read(host.input, &mut buffer) {
            Ok(count) => &buffer[..count],
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(false),
            Err(_) => &[], // a terminal that hung up, a folder: nothing to read there
        };
        self.input_open = !bytes.is_empty();
        match host.input_kind {
            InputKind::Pipe => frame(b'I', bytes, &mut self.link.waiting),
            InputKind::Script if bytes.is_empty() => self.console.waiting.push_back(CONTROL_D),
            InputKind::Script => self.console.waiting.extend(bytes),
            InputKind::Terminal => {
                let mut passed = Vec::new();
                let leave = self.escape.filter(bytes, &mut passed);
                self.console.waiting.extend(passed);
                return Ok(leave);
            }
        }
        Ok(false)
    }

    fn resize(&mut self, host: &Host<'_>) -> io::Result<()> {
        let Some(event) = host.resized else { return Ok(()) };
        let mut arrival = event.arrival;
        let _count = arrival.read(&mut [0; 64])?;
        if let Some((rows, columns)) = (event.value)() {
            let [row_low, row_high] = rows.to_le_bytes();
            let [column_low, column_high] = columns.to_le_bytes();
            frame(b'W', &[row_low, row_high, column_low, column_high], &mut self.link.waiting);
        }
        Ok(())
    }

    /// Hands on what the guest has written.
    fn take_output(&mut self, guest: &Guest, host: &mut Host<'_>) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        for (index, mut channel) in self.sources(guest).into_iter().enumerate() {
            if !self.open[index] {
                continue;
            }
            let bytes = match channel.read(&mut buffer) {
                Ok(count) => &buffer[..count],
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                    continue;
                }
                Err(_) => &[],
            };
            if bytes.is_empty() {
                self.open[index] = false;
                continue;
            }
            self.heard = Instant::now();
            let direct: &mut dyn Write = match index {
                0 => {
                    self.spoken = true;
                    &mut *host.console
                }
                1 => {
                    self.report.feed(bytes, host.log)?;
                    continue;
                }
                2 => host.output,
                3 => host.error,
                _ => {
                    self.emulator.feed(bytes, host.log)?;
                    continue;
                }
            };
            direct.write_all(bytes)?;
            direct.flush()?;
        }
        Ok(())
    }
}

/// Adds a descriptor to those polled for input, and says where it stands in the list.
fn watch<'a>(fds: &mut Vec<PollFd<'a>>, fd: Option<BorrowedFd<'a>>) -> Option<usize> {
    fds.push(PollFd::from_borrowed_fd(fd?, PollFlags::IN));
    Some(fds.len() - 1)
}

/// What [`Carrier::wait`] saw besides the guest's output, which is tried anyway.
struct Happened {
    input: bool,
    ended: bool,
    resized: bool,
}
