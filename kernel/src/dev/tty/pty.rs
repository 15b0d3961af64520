//! Pseudo-terminals (pty(7)): [`PtyMaster`], the other side of a terminal that has a program for a wire.
//!
//! Opening /dev/ptmx makes a pair: the file opened is the master, and the terminal appears as /dev/pts/N until
//! the master is closed. The table of pairs is what /dev/pts shows.
//!
//! Lock: the table (rank `Terminals`), held alone.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::Errno;
use abi::poll::PollEvents;
use abi::termios as words;

use super::line::Effects;
use super::terminal::{READABLE, WRITABLE, Wire};
use super::{Tty, TtyFile, devpts, ioctl};
use crate::fs::{Caller, Cred, DeviceId, File, FileOps, FileTraits, ReadyQueue, Sink, Source};
use crate::mem::{UserIn, UserOut};
use crate::sync::{Rank, SpinLock};

/// The major number of /dev/pts/N (`UNIX98_PTY_SLAVE_MAJOR`).
pub const TERMINAL_MAJOR: u32 = 136;

/// Pairs there can be at a time (/proc/sys/kernel/pty/max).
const MAX_PAIRS: usize = 4096;

/// A pair as /dev/pts sees it.
#[derive(Clone)]
pub struct Pair {
    tty: Weak<Tty>,
    /// Whose the node is.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

impl Pair {
    /// The terminal, while its master is open.
    pub fn terminal(&self) -> Option<Arc<Tty>> {
        self.tty.upgrade()
    }

    /// Lets the terminal be opened (`TIOCSPTLCK` with 0).
    pub fn unlock(&self) {
        if let Some(tty) = self.terminal() {
            tty.state().locked = false;
        }
    }
}

static PAIRS: SpinLock<BTreeMap<u32, Pair>> = SpinLock::new(Rank::Terminals, BTreeMap::new());

/// The numbers of the living pairs, ascending.
pub fn numbers() -> Vec<u32> {
    PAIRS.lock().keys().copied().collect()
}

/// The pair of that number.
pub fn pair(number: u32) -> Option<Pair> {
    PAIRS.lock().get(&number).cloned()
}

/// Opens the terminal of pair `number` (`pty_unix98_install`). `ENXIO` if there is none, `EIO` while it is locked
/// or once its master is gone, `EBUSY` if it is exclusive.
pub fn open_terminal(number: u32, cred: &Cred) -> Result<Arc<TtyFile>, Errno> {
    let tty = pair(number).and_then(|pair| pair.terminal()).ok_or(Errno::ENXIO)?;
    open_side(&tty, cred)
}

fn open_side(tty: &Arc<Tty>, cred: &Cred) -> Result<Arc<TtyFile>, Errno> {
    let state = tty.state();
    if state.locked || state.master_closed {
        return Err(Errno::EIO);
    }
    let refused = state.exclusive && !cred.capable(crate::fs::Capabilities::SYS_ADMIN);
    drop(state);
    if refused { Err(Errno::EBUSY) } else { Ok(TtyFile::new(tty, false)) }
}

/// The master side of a pty.
pub struct PtyMaster {
    tty: Arc<Tty>,
    number: u32,
}

impl PtyMaster {
    /// Makes a pair, the lowest number that is free (`ptmx_open`). `ENOSPC`.
    pub fn open(cred: &Cred) -> Result<Arc<Self>, Errno> {
        let mut pairs = PAIRS.lock();
        if pairs.len() >= MAX_PAIRS {
            return Err(Errno::ENOSPC);
        }
        let number = (0..).zip(pairs.keys()).find(|(free, taken)| free != *taken).map(|(free, _)| free);
        let number = number.unwrap_or(pairs.len() as u32);
        let tty = Tty::pty(DeviceId::new(TERMINAL_MAJOR, number));
        pairs.insert(number, Pair { tty: Arc::downgrade(&tty), uid: cred.fsuid, gid: cred.fsgid });
        drop(pairs);
        let master = Arc::new(Self { tty, number });
        devpts::enter(number, cred).inspect_err(|_| master.leave())?;
        Ok(master)
    }

    /// The number of the pair.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Opens the terminal of this pair, whatever /dev/pts shows (`TIOCGPTPEER`).
    pub fn open_peer(&self, cred: &Cred) -> Result<Arc<TtyFile>, Errno> {
        open_side(&self.tty, cred)
    }

    /// Switches packet mode (`TIOCPKT`).
    pub fn set_packet_mode(&self, on: bool) {
        let mut state = self.tty.state();
        state.packet = on;
        state.packet_status = 0;
    }

    /// The number is free again.
    fn leave(&self) {
        devpts::leave(self.number);
        let pair = PAIRS.lock().remove(&self.number);
        drop(pair);
    }

    fn ready(&self) -> Option<&ReadyQueue> {
        match &self.tty.wire {
            Wire::Master(ready) => Some(ready),
            Wire::Serial(_) => None,
        }
    }
}

impl FileOps for PtyMaster {
    fn traits(&self) -> FileTraits {
        FileTraits::STREAM
    }

    /// What the terminal has put out; in packet mode a status byte first. `EIO` once nobody has the terminal open.
    fn try_read(&self, _file: &File, sink: &mut dyn Sink, _offset: u64) -> Result<usize, Errno> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        let mut state = self.tty.state();
        if state.packet && state.packet_status != 0 {
            let status = core::mem::take(&mut state.packet_status);
            return sink.put(&[status]);
        }
        if state.line.outbox().is_empty() {
            return Err(if state.terminal_closed { Errno::EIO } else { Errno::EAGAIN });
        }
        let mut moved = 0;
        if state.packet {
            moved += sink.put(&[words::TIOCPKT_DATA])?;
        }
        let (first, second) = state.line.outbox().as_slices();
        let mut taken = sink.put(first)?;
        if taken == first.len() {
            taken += sink.put(second).unwrap_or(0);
        }
        moved += taken;
        state.line.outbox().drain(..taken);
        state.line.release_echo();
        self.tty.finish(state, Effects::WRITABLE);
        Ok(moved)
    }

    /// As typed at the terminal. `EAGAIN` while it has no room.
    fn try_write(&self, _file: &File, source: &mut dyn Source, _offset: u64) -> Result<usize, Errno> {
        let mut written = 0;
        let mut part = [0; 512];
        while source.remaining() > 0 {
            let room = self.tty.receive_room(&self.tty.state()).min(part.len());
            if room == 0 {
                return if written > 0 { Ok(written) } else { Err(Errno::EAGAIN) };
            }
            let len = match source.take(&mut part[..room]) {
                Ok(len) => len,
                Err(error) if written == 0 => return Err(error),
                Err(_) => break,
            };
            written += self.tty.receive(&part[..len]);
        }
        Ok(written)
    }

    fn readiness(&self, _file: &File) -> PollEvents {
        let mut state = self.tty.state();
        let status = state.packet && state.packet_status != 0;
        let mut events = PollEvents::empty();
        events.set(READABLE, status || !state.line.outbox().is_empty());
        events.set(PollEvents::POLLPRI, status);
        events.set(PollEvents::POLLHUP, state.terminal_closed);
        events.set(WRITABLE, self.tty.receive_room(&state) > 0);
        events
    }

    fn wait_queue(&self) -> Option<&ReadyQueue> {
        self.ready()
    }

    fn ioctl(&self, file: &File, caller: &dyn Caller, request: u32, arg: u64) -> Result<usize, Errno> {
        match request {
            words::TIOCGPTN => UserOut::<u32>::new(arg).write(&self.number)?,
            words::TIOCSPTLCK => {
                let lock = UserIn::<i32>::new(arg).read()? != 0;
                self.tty.state().locked = lock;
            }
            words::TIOCGPTLCK => return ioctl::put_int(arg, usize::from(self.tty.state().locked)),
            words::TIOCPKT => {
                let on = UserIn::<i32>::new(arg).read()? != 0;
                self.set_packet_mode(on);
            }
            words::TIOCGPKT => return ioctl::put_int(arg, usize::from(self.tty.state().packet)),
            words::TIOCSIG => return ioctl::signal_foreground(&self.tty, arg),
            words::FIONREAD => return ioctl::put_int(arg, self.tty.state().line.output_pending()),
            _ => return ioctl::terminal(&self.tty, file, caller, request, arg, true),
        }
        Ok(0)
    }

    /// The terminal hangs up, and /dev/pts/N is gone.
    fn release(&self, _file: &File) {
        self.leave();
        self.tty.master_closed();
    }
}
