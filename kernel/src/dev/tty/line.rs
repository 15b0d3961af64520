//! [`LineDiscipline`]: what happens to each byte between the wire and the program (`n_tty`, termios(3)).
//!
//! A pure state machine: bytes go in, and what has to be done about them comes out as [`Effects`] and as bytes
//! in the outbox. It knows no locks, processes or devices; [`super::Tty`] owns one and acts for it.

use alloc::collections::VecDeque;

use abi::Errno;

use super::input::InputQueue;
use super::output::Column;
use super::termios::{Char, DISABLED, Input, Local, Output, Settings};
use crate::fs::{Sink, Source};

/// Echo waiting for output to resume; more is dropped, as Linux drops it (`N_TTY_BUF_SIZE`).
const ECHO_LIMIT_BYTES: usize = 4096;

bitflags::bitflags! {
    /// What the owner of the discipline has to do now.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Effects: u32 {
        /// SIGINT to the foreground group.
        const INTERRUPT = 1;
        /// SIGQUIT to the foreground group.
        const QUIT = 2;
        /// SIGTSTP to the foreground group.
        const SUSPEND = 4;
        /// Readers may find something now.
        const READABLE = 8;
        /// Writers may find room now.
        const WRITABLE = 16;
        /// The input was flushed.
        const FLUSHED_INPUT = 32;
        /// The output was flushed.
        const FLUSHED_OUTPUT = 64;
        /// Output was held.
        const STOPPED = 128;
        /// Output goes on.
        const STARTED = 256;
    }
}

/// The discipline of one terminal.
pub struct LineDiscipline {
    settings: Settings,
    input: InputQueue,
    column: Column,
    /// Processed output on its way to the device or to the pty's master.
    outbox: VecDeque<u8>,
    /// How much the outbox may hold.
    outbox_limit: usize,
    /// Echo produced while output is held.
    held_echo: VecDeque<u8>,
    stopped: bool,
    literal_next: bool,
    erasing: bool,
    /// What waits came from before canonical mode: its last byte is no true line end.
    pushed: bool,
}

/// Where echo goes: to the outbox, or aside while output is held or does not fit.
macro_rules! echo_sink {
    ($self:ident) => {{
        let held = &mut $self.held_echo;
        let outbox = &mut $self.outbox;
        let direct = !$self.stopped && held.is_empty();
        let limit = $self.outbox_limit;
        move |byte: u8| {
            if direct && outbox.len() < limit {
                outbox.push_back(byte);
            } else if held.len() < ECHO_LIMIT_BYTES {
                held.push_back(byte);
            }
        }
    }};
}

impl LineDiscipline {
    /// A discipline whose outbox holds up to `outbox_limit` bytes.
    pub fn new(settings: Settings, outbox_limit: usize) -> Self {
        Self {
            settings,
            input: InputQueue::new(),
            column: Column::default(),
            outbox: VecDeque::new(),
            outbox_limit,
            held_echo: VecDeque::new(),
            stopped: false,
            literal_next: false,
            erasing: false,
            pushed: false,
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Processed output, for the device (or the pty's master) to drain.
    pub fn outbox(&mut self) -> &mut VecDeque<u8> {
        &mut self.outbox
    }

    /// Bytes written and not yet taken by the device (`TIOCOUTQ`).
    pub fn output_pending(&self) -> usize {
        self.outbox.len()
    }

    /// Whether output is held (Ctrl-S, `TCOOFF`).
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Bytes a writer could write now, before any expansion.
    pub fn write_room(&self) -> usize {
        if self.stopped { 0 } else { self.outbox_limit.saturating_sub(self.outbox.len()) }
    }

    /// New settings (`n_tty_set_termios`): what waits is re-cut when canonical mode changes.
    pub fn set(&mut self, settings: Settings) -> Effects {
        let old = core::mem::replace(&mut self.settings, settings);
        if (old.local ^ settings.local).intersects(Local::ICANON | Local::EXTPROC) {
            self.pushed = self.input.change_mode(settings.canonical());
            self.erasing = false;
            self.literal_next = false;
        }
        let resumed = if old.input.contains(Input::IXON) && !settings.input.contains(Input::IXON) {
            self.start()
        } else {
            Effects::empty()
        };
        resumed | Effects::READABLE | Effects::WRITABLE
    }

    /// Holds output (`stop_tty`).
    pub fn stop(&mut self) -> Effects {
        if core::mem::replace(&mut self.stopped, true) { Effects::empty() } else { Effects::STOPPED }
    }

    /// Lets output go on (`start_tty`), held echo first.
    pub fn start(&mut self) -> Effects {
        if !core::mem::replace(&mut self.stopped, false) {
            return Effects::empty();
        }
        self.release_echo();
        Effects::STARTED | Effects::WRITABLE
    }

    /// Sends the other side its start or stop character, past the output processing (`tty_send_xchar`).
    pub fn send(&mut self, which: Char) -> Effects {
        let byte = self.settings.char(which);
        if byte != DISABLED {
            self.outbox.push_back(byte);
        }
        Effects::empty()
    }

    /// Moves held echo to the outbox as far as it fits.
    pub fn release_echo(&mut self) {
        while !self.stopped && self.outbox.len() < self.outbox_limit {
            match self.held_echo.pop_front() {
                Some(byte) => self.outbox.push_back(byte),
                None => break,
            }
        }
    }

    /// Throws away what was received and not read.
    pub fn flush_input(&mut self) -> Effects {
        self.input.clear();
        self.erasing = false;
        self.literal_next = false;
        Effects::FLUSHED_INPUT
    }

    /// Throws away what was written and not sent.
    pub fn flush_output(&mut self) -> Effects {
        self.outbox.clear();
        self.held_echo.clear();
        Effects::FLUSHED_OUTPUT | Effects::WRITABLE
    }

    // Reading.

    /// Bytes FIONREAD reports.
    pub fn input_pending(&self) -> usize {
        if self.by_line() { self.input.line_bytes() } else { self.input.len() }
    }

    /// Whether a reader would get something: a line, or at least `minimum` bytes.
    pub fn has_input(&self, minimum: usize) -> bool {
        if self.by_line() { self.input.has_line() } else { self.input.len() >= minimum.max(1) }
    }

    /// Whether poll(2) reports input (`input_available_p`): VMIN counts if there is no VTIME.
    pub fn is_readable(&self) -> bool {
        let timed = self.settings.char(Char::Time) != 0;
        self.has_input(if timed { 1 } else { usize::from(self.settings.char(Char::Min)) })
    }

    /// Whether input is handed over by lines.
    pub fn by_line(&self) -> bool {
        self.settings.canonical() && !self.settings.local.contains(Local::EXTPROC)
    }

    /// Moves what a reader may have into `sink`: up to one line, or whatever there is.
    pub fn read(&mut self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        if self.by_line() {
            let pushed = core::mem::take(&mut self.pushed);
            self.input.read_line(sink, pushed)
        } else {
            self.input.read_raw(sink)
        }
    }

    // Writing.

    /// Processes bytes from `source` into the outbox until either has no more. Returns bytes taken.
    pub fn write(&mut self, source: &mut dyn Source) -> Result<usize, Errno> {
        self.release_echo();
        let mut written = 0;
        let mut chunk = [0; 256];
        loop {
            let expansion = if self.settings.output.contains(Output::OPOST) { Column::EXPANSION } else { 1 };
            let fits = (self.write_room() / expansion).min(chunk.len());
            if fits == 0 || source.remaining() == 0 {
                return Ok(written);
            }
            let len = match source.take(&mut chunk[..fits]) {
                Ok(len) => len,
                Err(error) if written == 0 => return Err(error),
                Err(_) => return Ok(written),
            };
            let outbox = &mut self.outbox;
            let mut emit = |byte| outbox.push_back(byte);
            for &byte in &chunk[..len] {
                self.column.process(&self.settings, byte, &mut emit);
            }
            written += len;
            if len < fits {
                return Ok(written);
            }
        }
    }

    // Receiving.

    /// Takes received bytes, as many as there is room for, and returns how many that were. A canonical line
    /// that overflows loses its last bytes instead of blocking the terminal (`n_tty_receive_buf_common`).
    pub fn receive(&mut self, bytes: &[u8]) -> (usize, Effects) {
        let mut effects = Effects::empty();
        for (taken, &byte) in bytes.iter().enumerate() {
            let room = self.input.room();
            if room <= 1 {
                if !self.settings.canonical() || self.input.has_line() {
                    return (taken, effects | self.readable_raw());
                }
                if room == 0 {
                    self.input.erase(1);
                }
            }
            effects |= self.receive_byte(byte);
        }
        (bytes.len(), effects | self.readable_raw())
    }

    fn readable_raw(&self) -> Effects {
        if !self.by_line() && !self.input.is_empty() { Effects::READABLE } else { Effects::empty() }
    }

    fn receive_byte(&mut self, byte: u8) -> Effects {
        let mut byte = byte;
        if self.settings.input.contains(Input::ISTRIP) {
            byte &= 0x7f;
        }
        if self.settings.input.contains(Input::IUCLC) && self.settings.local.contains(Local::IEXTEN) {
            byte = byte.to_ascii_lowercase();
        }
        if core::mem::take(&mut self.literal_next) {
            self.ordinary(byte, false);
            return Effects::empty();
        }
        if self.settings.local.contains(Local::EXTPROC) {
            self.input.push(byte);
            return Effects::empty();
        }
        if let Some(effects) = self.flow_control(byte).or_else(|| self.signal_character(byte)) {
            return effects;
        }
        let mut effects = Effects::empty();
        if self.stopped && self.settings.input.contains(Input::IXON | Input::IXANY) {
            effects |= self.start();
        }
        let byte_read = match byte {
            b'\r' if self.settings.input.contains(Input::IGNCR) => return effects,
            b'\r' if self.settings.input.contains(Input::ICRNL) => b'\n',
            b'\n' if self.settings.input.contains(Input::INLCR) => b'\r',
            other => other,
        };
        if self.settings.canonical()
            && let Some(more) = self.edit(byte_read)
        {
            return effects | more;
        }
        self.ordinary(byte_read, byte == b'\r');
        effects
    }

    /// Start and stop characters (`n_tty_receive_char_flow_ctrl`).
    fn flow_control(&mut self, byte: u8) -> Option<Effects> {
        if !self.settings.input.contains(Input::IXON) {
            return None;
        }
        if self.settings.is(Char::Start, byte) {
            return Some(self.start());
        }
        self.settings.is(Char::Stop, byte).then(|| self.stop())
    }

    /// Interrupt, quit and suspend characters (`n_tty_receive_signal_char`).
    fn signal_character(&mut self, byte: u8) -> Option<Effects> {
        if !self.settings.local.contains(Local::ISIG) {
            return None;
        }
        let signal = [(Char::Intr, Effects::INTERRUPT), (Char::Quit, Effects::QUIT), (Char::Susp, Effects::SUSPEND)]
            .into_iter()
            .find(|&(which, _)| self.settings.is(which, byte))?
            .1;
        let mut effects = signal;
        if !self.settings.local.contains(Local::NOFLSH) {
            effects |= self.flush_output() | self.flush_input();
        }
        if self.settings.input.contains(Input::IXON) {
            effects |= self.start();
        }
        if self.settings.local.contains(Local::ECHO) {
            self.echo(byte);
        }
        Some(effects)
    }

    /// Line editing. `None` if the byte is an ordinary one.
    fn edit(&mut self, byte: u8) -> Option<Effects> {
        let extended = self.settings.local.contains(Local::IEXTEN);
        let echo = self.settings.local.contains(Local::ECHO);
        if self.settings.is(Char::Erase, byte) {
            self.erase_character();
        } else if self.settings.is(Char::Kill, byte) {
            self.kill_line();
        } else if extended && self.settings.is(Char::Werase, byte) {
            self.erase_word();
        } else if extended && self.settings.is(Char::Lnext, byte) {
            self.literal_next = true;
            if echo {
                self.finish_erasing();
                if self.settings.local.contains(Local::ECHOCTL) {
                    self.echo_raw(b"^\x08");
                }
            }
        } else if extended && echo && self.settings.is(Char::Reprint, byte) {
            self.reprint(byte);
        } else if byte == b'\n' {
            if self.settings.local.intersects(Local::ECHO | Local::ECHONL) {
                self.echo_raw(b"\n");
            }
            self.input.push_line_end(byte);
            return Some(Effects::READABLE);
        } else if self.settings.is(Char::Eof, byte) {
            self.input.push_line_end(DISABLED);
            return Some(Effects::READABLE);
        } else if self.settings.is(Char::Eol, byte) || (extended && self.settings.is(Char::Eol2, byte)) {
            if echo {
                self.echo_typed(byte);
            }
            self.double_parity_mark(byte);
            self.input.push_line_end(byte);
            return Some(Effects::READABLE);
        } else {
            return None;
        }
        Some(Effects::empty())
    }

    /// A byte that is data (`n_tty_receive_char`). A newline echoes as such only if it was a carriage return.
    fn ordinary(&mut self, byte: u8, returned: bool) {
        if self.settings.local.contains(Local::ECHO) {
            self.finish_erasing();
            if byte == b'\n' && returned {
                self.echo_raw(b"\n");
            } else {
                self.echo_typed(byte);
            }
        }
        self.double_parity_mark(byte);
        self.input.push(byte);
    }

    fn double_parity_mark(&mut self, byte: u8) {
        if byte == 0xff && self.settings.input.contains(Input::PARMRK) {
            self.input.push(byte);
        }
    }

    // Erasing (`eraser`).

    fn erase_character(&mut self) {
        if let Some(len) = self.last_character() {
            self.rub_out(len, self.settings.local.contains(Local::ECHOE));
        }
        self.end_erasing();
    }

    fn erase_word(&mut self) {
        let mut seen_word = false;
        while let Some(len) = self.last_character() {
            let first = self.input.edited(len - 1);
            if first.is_ascii_alphanumeric() || first == b'_' {
                seen_word = true;
            } else if seen_word {
                break;
            }
            self.rub_out(len, true);
        }
        self.end_erasing();
    }

    fn kill_line(&mut self) {
        if self.input.editing() == 0 {
            return;
        }
        let local = self.settings.local;
        if !local.contains(Local::ECHO) {
            self.input.erase(self.input.editing());
        } else if !local.contains(Local::ECHOK | Local::ECHOKE | Local::ECHOE) {
            self.input.erase(self.input.editing());
            self.finish_erasing();
            self.echo(self.settings.char(Char::Kill));
            if local.contains(Local::ECHOK) {
                self.echo_raw(b"\n");
            }
        } else {
            while let Some(len) = self.last_character() {
                self.rub_out(len, true);
            }
            self.end_erasing();
        }
    }

    /// Bytes of the line's last character; `None` if nothing (or no whole character) is left to erase.
    fn last_character(&self) -> Option<usize> {
        let start = (0..self.input.editing()).find(|&at| !self.settings.is_continuation(self.input.edited(at)))?;
        Some(start + 1)
    }

    /// Erases the last `len` bytes, one character, from the line and from the screen.
    fn rub_out(&mut self, len: usize, on_screen: bool) {
        let first = self.input.edited(len - 1);
        let local = self.settings.local;
        if !local.contains(Local::ECHO) {
            return self.input.erase(len);
        }
        if local.contains(Local::ECHOPRT) {
            if !core::mem::replace(&mut self.erasing, true) {
                self.echo_raw(b"\\");
            }
            self.echo(first);
            for at in (0..len - 1).rev() {
                self.echo_raw(&[self.input.edited(at)]);
            }
            return self.input.erase(len);
        }
        self.input.erase(len);
        if !on_screen {
            self.echo(self.settings.char(Char::Erase));
        } else if first == b'\t' {
            self.rub_out_tab();
        } else {
            let control = first.is_ascii_control();
            let caret = local.contains(Local::ECHOCTL);
            if control && caret {
                self.echo_raw(b"\x08 \x08");
            }
            if !control || caret {
                self.echo_raw(b"\x08 \x08");
            }
        }
    }

    /// Moves the cursor back over a tab that was just erased from the line's end.
    fn rub_out_tab(&mut self) {
        let mut columns = 0;
        let mut after_tab = false;
        for at in 0..self.input.editing() {
            let byte = self.input.edited(at);
            if byte == b'\t' {
                after_tab = true;
                break;
            }
            columns += match byte.is_ascii_control() {
                true if self.settings.local.contains(Local::ECHOCTL) => 2,
                true => 0,
                false => usize::from(!self.settings.is_continuation(byte)),
            };
        }
        self.column.back_over_tab(columns, after_tab, &mut echo_sink!(self));
    }

    /// Ends an `ECHOPRT` erasure when nothing is left of the line.
    fn end_erasing(&mut self) {
        if self.input.editing() == 0 && self.settings.local.contains(Local::ECHO) {
            self.finish_erasing();
        }
    }

    fn finish_erasing(&mut self) {
        if core::mem::take(&mut self.erasing) {
            self.echo_raw(b"/");
        }
    }

    // Echoing.

    fn reprint(&mut self, byte: u8) {
        self.finish_erasing();
        self.echo(byte);
        self.echo_raw(b"\n");
        for at in (0..self.input.editing()).rev() {
            self.echo(self.input.edited(at));
        }
    }

    /// Echoes a byte that joins the line; the line's first remembers the column.
    fn echo_typed(&mut self, byte: u8) {
        if self.input.editing() == 0 {
            self.column.mark_edit_start();
        }
        self.echo(byte);
    }

    /// Echoes a byte, control characters as `^X` if `ECHOCTL` is set (`echo_char`).
    fn echo(&mut self, byte: u8) {
        if byte.is_ascii_control() && byte != b'\t' && self.settings.local.contains(Local::ECHOCTL) {
            self.column.caret(byte, &mut echo_sink!(self));
        } else {
            self.echo_raw(&[byte]);
        }
    }

    /// Echoes bytes as they are, output processing applied (`echo_char_raw`).
    fn echo_raw(&mut self, bytes: &[u8]) {
        let mut emit = echo_sink!(self);
        for &byte in bytes {
            self.column.process(&self.settings, byte, &mut emit);
        }
    }
}
