//! [`TtyFile`]: an open file of a terminal.

use alloc::sync::Arc;

use abi::Errno;
use abi::poll::PollEvents;

use super::Tty;
use super::ioctl;
use super::output::Column;
use super::terminal::{READABLE, State, WRITABLE};
use super::termios::Local;
use crate::fs::{Access, AccessFlags, Caller, File, FileOps, FileTraits, ReadyQueue, Sink, Source};
use crate::signal::Signal;

/// What a file that was hung up reports (`hung_up_tty_poll`).
const HUNG_UP: PollEvents = READABLE.union(WRITABLE).union(PollEvents::POLLERR).union(PollEvents::POLLHUP);

/// An open file of a terminal. One that was open when the line was hung up is dead, unless it is /dev/console.
pub struct TtyFile {
    tty: Arc<Tty>,
    hangups: u32,
    console: bool,
}

impl TtyFile {
    /// A new open file. `console`: opened as /dev/console, which survives hang-ups.
    pub fn new(tty: &Arc<Tty>, console: bool) -> Arc<Self> {
        tty.opened();
        let hangups = tty.state().hangups;
        Arc::new(Self { tty: tty.clone(), hangups, console })
    }

    /// The terminal.
    pub fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }

    fn hung_up(&self, state: &State) -> bool {
        state.hangups != self.hangups && !self.console
    }
}

impl FileOps for TtyFile {
    fn traits(&self) -> FileTraits {
        FileTraits::STREAM | FileTraits::TERMINAL
    }

    /// A hung-up terminal is at its end.
    fn try_read(&self, file: &File, sink: &mut dyn Sink, _offset: u64) -> Result<usize, Errno> {
        if sink.remaining() == 0 || self.hung_up(&self.tty.state()) {
            return Ok(0);
        }
        self.tty.read(sink, file.nonblocking())
    }

    /// A raw read with `VMIN` 0 waits `VTIME` tenths of a second, and then gives nothing.
    fn read_patience(&self, _file: &File) -> Option<(u64, Result<usize, Errno>)> {
        self.tty.patience_ns().map(|patience_ns| (patience_ns, Ok(0)))
    }

    /// `EIO` once hung up.
    fn try_write(&self, _file: &File, source: &mut dyn Source, _offset: u64) -> Result<usize, Errno> {
        if self.hung_up(&self.tty.state()) {
            return Err(Errno::EIO);
        }
        self.tty.write(source)
    }

    /// `n_tty_poll`.
    fn readiness(&self, _file: &File) -> PollEvents {
        let state = self.tty.state();
        if self.hung_up(&state) {
            return HUNG_UP;
        }
        let mut events = PollEvents::empty();
        events.set(READABLE, state.line.is_readable());
        events.set(WRITABLE, state.line.write_room() >= Column::EXPANSION);
        events.set(PollEvents::POLLHUP, state.master_closed);
        events
    }

    fn wait_queue(&self) -> Option<&ReadyQueue> {
        Some(&self.tty.ready)
    }

    /// Becomes the controlling terminal of a session leader that has none (`tty_open`).
    fn opened(&self, file: &File, caller: &dyn Caller, no_controlling: bool) -> Result<(), Errno> {
        if !no_controlling && !self.console && file.flags().readable() {
            self.tty.adopt_opener(caller);
        }
        Ok(())
    }

    fn job_control(&self, _file: &File, caller: &dyn Caller, access: Access) -> Result<(), Errno> {
        let stops_writers = || self.tty.state().line.settings().local.contains(Local::TOSTOP);
        match access {
            Access::Read => self.tty.check_foreground(caller, Signal::TTIN),
            Access::Write if !stops_writers() => Ok(()),
            Access::Write | Access::Control => self.tty.check_foreground(caller, Signal::TTOU),
        }
    }

    fn ioctl(&self, file: &File, caller: &dyn Caller, request: u32, arg: u64) -> Result<usize, Errno> {
        if self.hung_up(&self.tty.state()) {
            return Err(if request == abi::termios::TIOCSPGRP { Errno::ENOTTY } else { Errno::EIO });
        }
        ioctl::terminal(&self.tty, file, caller, request, arg, false)
    }

    fn release(&self, _file: &File) {
        self.tty.closed();
    }
}
