//! [`Tty`]: a terminal: its line discipline, whose it is, and the wire behind it.
//!
//! Bytes come up the wire through [`Tty::receive`]: from the serial line, or from the master of a pty. Output goes
//! down it at once on the console, and waits in the outbox for the master on a pty.
//!
//! Lock: the state (rank `Tty`), also while bytes move from and to user memory. Signals are sent and waiters woken
//! after it is released.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use abi::Errno;
use abi::poll::PollEvents;
use abi::termios as words;
use abi::termios::Winsize;

use super::job::{self, Job};
use super::line::{Effects, LineDiscipline};
use super::termios::{Char, Input, Local, Settings};
use crate::fs::{DeviceId, ReadyQueue, Sink, Source};
use crate::signal::Signal;
use crate::sync::{Rank, SpinGuard, SpinLock};

/// Received bytes that wait for room in the line discipline; a pty's master waits beyond that.
const BACKLOG_BYTES: usize = 8192;
/// The same on a serial line, where what does not fit is lost.
const SERIAL_BACKLOG_BYTES: usize = 65536;
/// Written bytes that wait for a pty's master to read them.
const OUTBOX_BYTES: usize = 12288;

/// What readers wait for.
pub(super) const READABLE: PollEvents = PollEvents::POLLIN.union(PollEvents::POLLRDNORM);
/// What writers wait for.
pub(super) const WRITABLE: PollEvents = PollEvents::POLLOUT.union(PollEvents::POLLWRNORM);
/// What everybody hears of when a line is cut.
const CUT: PollEvents = READABLE.union(WRITABLE).union(PollEvents::POLLERR).union(PollEvents::POLLHUP);

/// What is behind the terminal.
pub(super) enum Wire {
    /// A line that takes output at once.
    Serial(fn(&[u8])),
    /// The master of a pty.
    Master(ReadyQueue),
}

/// A terminal.
pub struct Tty {
    /// Its device number.
    pub device: DeviceId,
    pub(super) wire: Wire,
    pub(super) ready: ReadyQueue,
    state: SpinLock<State>,
}

pub(super) struct State {
    pub(super) line: LineDiscipline,
    /// Received, but the line discipline had no room.
    backlog: VecDeque<u8>,
    job: Job,
    pub(super) window: Winsize,
    /// `TIOCEXCL`: only the privileged may open it.
    pub(super) exclusive: bool,
    /// How often it was hung up: files opened before the last time are dead.
    pub(super) hangups: u32,
    pub(super) opens: usize,
    // Of ptys alone.
    pub(super) locked: bool,
    pub(super) master_closed: bool,
    /// The last file of the terminal itself was closed, and none has been opened since.
    pub(super) terminal_closed: bool,
    pub(super) packet: bool,
    pub(super) packet_status: u8,
}

impl Tty {
    /// A serial terminal whose output `write` sends.
    pub fn serial(device: DeviceId, write: fn(&[u8])) -> Arc<Self> {
        Self::new(device, Wire::Serial(write))
    }

    /// The terminal of a new pty, locked until its master unlocks it.
    pub(super) fn pty(device: DeviceId) -> Arc<Self> {
        Self::new(device, Wire::Master(ReadyQueue::new()))
    }

    fn new(device: DeviceId, wire: Wire) -> Arc<Self> {
        let mut settings = Settings::standard();
        if matches!(wire, Wire::Serial(_)) {
            settings.control_modes |= words::ControlModes::HUPCL.bits() | words::ControlModes::CLOCAL.bits();
        }
        let state = State {
            line: LineDiscipline::new(settings, OUTBOX_BYTES),
            backlog: VecDeque::new(),
            job: Job::default(),
            window: Winsize::default(),
            exclusive: false,
            hangups: 0,
            opens: 0,
            locked: matches!(wire, Wire::Master(_)),
            master_closed: false,
            terminal_closed: false,
            packet: false,
            packet_status: 0,
        };
        Arc::new(Self { device, wire, ready: ReadyQueue::new(), state: SpinLock::new(Rank::Tty, state) })
    }

    pub(super) fn state(&self) -> SpinGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn job(&self) -> Job {
        self.state.lock().job
    }

    /// Changes whose terminal it is.
    pub(super) fn update_job<R>(&self, change: impl FnOnce(&mut Job) -> R) -> R {
        change(&mut self.state.lock().job)
    }

    /// The controlled session and the foreground group, for /proc/PID/stat.
    pub fn ownership(&self) -> Job {
        self.job()
    }

    /// Bytes have come up the wire. Returns how many were taken: all of them on a serial line.
    pub fn receive(&self, bytes: &[u8]) -> usize {
        let mut state = self.state.lock();
        let (mut taken, effects) =
            if state.backlog.is_empty() { state.line.receive(bytes) } else { (0, Effects::empty()) };
        let limit = self.backlog_limit();
        let more = (bytes.len() - taken).min(limit.saturating_sub(state.backlog.len()));
        state.backlog.extend(&bytes[taken..taken + more]);
        taken += more;
        self.finish(state, effects);
        if matches!(self.wire, Wire::Serial(_)) { bytes.len() } else { taken }
    }

    fn backlog_limit(&self) -> usize {
        match self.wire {
            Wire::Serial(_) => SERIAL_BACKLOG_BYTES,
            Wire::Master(_) => BACKLOG_BYTES,
        }
    }

    /// Bytes the master could write now.
    pub(super) fn receive_room(&self, state: &State) -> usize {
        self.backlog_limit().saturating_sub(state.backlog.len())
    }

    /// Reads (`n_tty_read`): a line, or bytes as `VMIN` says. `EAGAIN` asks to wait.
    /// Deviates: with both `VMIN` and `VTIME` set, a read is content with the first bytes that come.
    pub(super) fn read(&self, sink: &mut dyn Sink, nonblocking: bool) -> Result<usize, Errno> {
        let mut state = self.state.lock();
        if !state.line.has_input(Self::read_minimum(&state, sink.remaining(), nonblocking)) {
            return Self::nothing_to_read(&state);
        }
        let moved = state.line.read(sink);
        let effects = self.feed_backlog(&mut state);
        self.finish(state, effects);
        moved
    }

    /// Bytes a raw read waits for.
    fn read_minimum(state: &State, wanted: usize, nonblocking: bool) -> usize {
        let settings = state.line.settings();
        let timed = settings.char(Char::Time) != 0;
        if timed || nonblocking { 1 } else { usize::from(settings.char(Char::Min)).clamp(1, wanted.max(1)) }
    }

    fn nothing_to_read(state: &State) -> Result<usize, Errno> {
        let settings = state.line.settings();
        let returns_at_once = settings.char(Char::Min) == 0 && settings.char(Char::Time) == 0;
        if state.master_closed {
            Err(Errno::EIO)
        } else if !state.line.by_line() && returns_at_once {
            Ok(0)
        } else {
            Err(Errno::EAGAIN)
        }
    }

    /// How long a raw read waits for its first byte; `None` for ever.
    pub(super) fn patience_ns(&self) -> Option<u64> {
        const TENTH_NS: u64 = 100_000_000;
        let state = self.state.lock();
        let settings = state.line.settings();
        let (minimum, time) = (settings.char(Char::Min), settings.char(Char::Time));
        (!state.line.by_line() && minimum == 0 && time != 0).then(|| u64::from(time) * TENTH_NS)
    }

    /// Gives received bytes that waited to the line discipline, as far as it has room now.
    fn feed_backlog(&self, state: &mut State) -> Effects {
        let mut effects = Effects::empty();
        while !state.backlog.is_empty() {
            let (first, _) = state.backlog.as_slices();
            let (taken, more) = state.line.receive(first);
            effects |= more;
            state.backlog.drain(..taken);
            if taken == 0 {
                break;
            }
        }
        effects
    }

    /// Writes (`n_tty_write`). `EIO` without a master, `EAGAIN` if there is no room.
    pub(super) fn write(&self, source: &mut dyn Source) -> Result<usize, Errno> {
        let mut written = 0;
        while source.remaining() > 0 {
            let mut state = self.state.lock();
            if state.master_closed {
                return if written > 0 { Ok(written) } else { Err(Errno::EIO) };
            }
            let taken = state.line.write(source);
            self.finish(state, Effects::empty());
            match taken {
                Ok(0) => return if written > 0 { Ok(written) } else { Err(Errno::EAGAIN) },
                Ok(count) => written += count,
                Err(error) if written == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(written)
    }

    /// New settings; `flush` throws away unread input first (`TCSETSF`).
    pub(super) fn set(&self, settings: Settings, flush: bool) {
        let mut state = self.state.lock();
        let mut effects = Effects::empty();
        if flush {
            state.backlog.clear();
            effects |= state.line.flush_input();
        }
        let old = *state.line.settings();
        effects |= state.line.set(settings);
        effects |= self.feed_backlog(&mut state);
        if state.packet {
            state.packet_status |= packet_status_of_change(&old, &settings);
        }
        self.finish(state, effects);
    }

    /// Does something to the line discipline, and what follows from it.
    pub(super) fn act(&self, action: impl FnOnce(&mut LineDiscipline) -> Effects) {
        let mut state = self.state.lock();
        let mut effects = action(&mut state.line);
        if effects.contains(Effects::FLUSHED_INPUT) {
            state.backlog.clear();
        }
        effects |= self.feed_backlog(&mut state);
        self.finish(state, effects);
    }

    /// The size the window has, or (`Some`) gets; the foreground group hears of a change.
    pub fn set_window(&self, window: Winsize) {
        let mut state = self.state.lock();
        let changed = state.window != window;
        state.window = window;
        let foreground = state.job.foreground;
        drop(state);
        if changed {
            job::signal_group(foreground, Signal::WINCH);
        }
    }

    /// Acts on effects, and on what has gathered in the outbox, and releases the state.
    pub(super) fn finish(&self, mut state: SpinGuard<'_, State>, effects: Effects) {
        if state.packet {
            state.packet_status |= packet_status_of(effects);
        }
        if let Wire::Serial(write) = self.wire {
            let (first, second) = state.line.outbox().as_slices();
            write(first);
            write(second);
            state.line.outbox().clear();
            state.line.release_echo();
        }
        let for_master = !state.line.outbox().is_empty() || state.packet_status != 0;
        let foreground = state.job.foreground;
        drop(state);
        for (effect, signal) in
            [(Effects::INTERRUPT, Signal::INT), (Effects::QUIT, Signal::QUIT), (Effects::SUSPEND, Signal::TSTP)]
        {
            if effects.contains(effect) {
                job::signal_group(foreground, signal);
            }
        }
        let mut events = PollEvents::empty();
        events.set(READABLE, effects.contains(Effects::READABLE));
        events.set(WRITABLE, effects.intersects(Effects::WRITABLE));
        if !events.is_empty() {
            self.ready.wake(events);
        }
        if let Wire::Master(ready) = &self.wire {
            let mut events = PollEvents::empty();
            events.set(READABLE, for_master);
            events.set(WRITABLE, effects.intersects(Effects::READABLE | Effects::FLUSHED_INPUT));
            if !events.is_empty() {
                ready.wake(events);
            }
        }
    }

    /// Cuts the line (`__tty_hangup`): open files of the terminal are dead, the session is told and loses it.
    pub fn hang_up(&self) {
        let session = self.cut();
        job::signal_leader(session.session, Signal::HUP);
        job::signal_leader(session.session, Signal::CONT);
    }

    /// As [`Self::hang_up`], because the session's leader ended: the foreground group is told instead, and a pty is not
    /// cut.
    pub(super) fn hang_up_session(&self) {
        if matches!(self.wire, Wire::Master(_)) {
            job::signal_group(self.take_job().foreground, Signal::HUP);
            return;
        }
        let session = self.cut();
        job::signal_group(session.foreground, Signal::HUP);
        job::signal_group(session.foreground, Signal::CONT);
    }

    fn cut(&self) -> Job {
        let job = self.take_job();
        let mut state = self.state.lock();
        state.hangups = state.hangups.wrapping_add(1);
        state.backlog.clear();
        let effects = state.line.flush_input() | state.line.set(Settings::standard());
        self.finish(state, effects);
        self.ready.wake(CUT);
        job
    }

    /// The pty's master is gone.
    pub(super) fn master_closed(&self) {
        self.state.lock().master_closed = true;
        self.hang_up();
    }

    /// A file of the terminal was opened.
    pub(super) fn opened(&self) {
        let mut state = self.state.lock();
        state.opens += 1;
        state.terminal_closed = false;
    }

    /// A file of the terminal was closed. With the last of them, a pty's master reads the end.
    pub(super) fn closed(&self) {
        let mut state = self.state.lock();
        state.opens -= 1;
        if state.opens > 0 {
            return;
        }
        state.terminal_closed = true;
        state.exclusive = false;
        drop(state);
        if let Wire::Master(ready) = &self.wire {
            ready.wake(CUT);
        }
    }
}

/// What a master in packet mode is told of effects (`TIOCPKT`).
fn packet_status_of(effects: Effects) -> u8 {
    let told = [
        (Effects::FLUSHED_INPUT, words::TIOCPKT_FLUSHREAD),
        (Effects::FLUSHED_OUTPUT, words::TIOCPKT_FLUSHWRITE),
        (Effects::STOPPED, words::TIOCPKT_STOP),
        (Effects::STARTED, words::TIOCPKT_START),
    ];
    told.iter().filter(|(effect, _)| effects.contains(*effect)).fold(0, |status, (_, bit)| status | bit)
}

/// What a master in packet mode is told of new settings (`pty_set_termios`).
fn packet_status_of_change(old: &Settings, new: &Settings) -> u8 {
    let flows = |settings: &Settings| {
        settings.input.contains(Input::IXON) && settings.char(Char::Stop) == 0x13 && settings.char(Char::Start) == 0x11
    };
    let mut status = match (flows(old), flows(new)) {
        (true, false) => words::TIOCPKT_NOSTOP,
        (false, true) => words::TIOCPKT_DOSTOP,
        _ => 0,
    };
    if (old.local | new.local).contains(Local::EXTPROC) {
        status |= words::TIOCPKT_IOCTL;
    }
    status
}
