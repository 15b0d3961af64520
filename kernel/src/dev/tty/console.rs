//! The console: the terminal on the serial line, and the drivers that open terminals by device number.
//!
//! /dev/ttyS0 is the terminal; /dev/console is the same one, but survives hang-ups and never becomes anybody's
//! controlling terminal by being opened; /dev/tty is the caller's own.

use alloc::sync::Arc;

use abi::Errno;
use abi::termios::Winsize;
use spin::LazyLock;

use super::own::OwnTerminal;
use super::pty::{self, TERMINAL_MAJOR};
use super::{Tty, TtyFile, devpts};
use crate::arch;
use crate::fs::device::{self, Driver};
use crate::fs::{Capabilities, Cred, DeviceId, FileKind, FileOps, Inode, OpenFlags};

/// Serial lines: ttyS0 is minor 64 (`TTY_MAJOR`).
const SERIAL: DeviceId = DeviceId::new(4, 64);
/// /dev/tty, /dev/console and /dev/ptmx (`TTYAUX_MAJOR`).
const OWN_TERMINAL: DeviceId = DeviceId::new(5, 0);
const CONSOLE_DEVICE: DeviceId = DeviceId::new(5, 1);
pub(super) const PTY_MULTIPLEXER: DeviceId = DeviceId::new(5, 2);

/// Bytes taken from the line at a time.
const PART_BYTES: usize = 256;

static CONSOLE: LazyLock<Arc<Tty>> = LazyLock::new(|| Tty::serial(SERIAL, arch::console_write));

/// The terminal on the serial line.
pub fn console() -> &'static Arc<Tty> {
    &CONSOLE
}

/// The object behind a standard descriptor that is the console.
pub fn open_console() -> Arc<dyn FileOps> {
    TtyFile::new(console(), true)
}

/// Takes what the serial line has received.
pub fn receive() {
    let mut part = [0; PART_BYTES];
    loop {
        let len = arch::console_read(&mut part);
        if len == 0 {
            return;
        }
        console().receive(&part[..len]);
    }
}

/// The window that shows the console has this size now.
pub fn resize(rows: u16, columns: u16) {
    console().set_window(Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 });
}

/// Makes terminals known to open(2), their nodes to /dev, and /dev/pts to mount(2).
pub fn register() {
    devpts::register();
    for major in [SERIAL.major, CONSOLE_DEVICE.major, TERMINAL_MAJOR] {
        device::register(FileKind::CharDevice, major, Arc::new(Terminals));
    }
    let nodes = [
        ("tty", OWN_TERMINAL, 0o666),
        ("console", CONSOLE_DEVICE, 0o600),
        ("ttyS0", SERIAL, 0o620),
        ("ptmx", PTY_MULTIPLEXER, 0o666),
    ];
    for (name, device, mode) in nodes {
        device::add_node(name, FileKind::CharDevice, device, mode);
    }
}

/// Opens terminals (`tty_open`).
struct Terminals;

impl Driver for Terminals {
    /// `ENXIO` for a terminal that is not there, `EBUSY` for an exclusive one.
    fn open(
        &self,
        device: DeviceId,
        _inode: &Arc<Inode>,
        _flags: OpenFlags,
        cred: &Arc<Cred>,
    ) -> Result<Arc<dyn FileOps>, Errno> {
        let file = match device {
            OWN_TERMINAL => return Ok(Arc::new(OwnTerminal::default())),
            CONSOLE_DEVICE => return Ok(open_console()),
            PTY_MULTIPLEXER => return Ok(pty::PtyMaster::open(cred)?),
            SERIAL => open_tty(console(), cred)?,
            DeviceId { major: TERMINAL_MAJOR, minor } => pty::open_terminal(minor, cred)?,
            _ => return Err(Errno::ENXIO),
        };
        Ok(file)
    }
}

fn open_tty(tty: &Arc<Tty>, cred: &Cred) -> Result<Arc<TtyFile>, Errno> {
    let exclusive = tty.state().exclusive;
    if exclusive && !cred.capable(Capabilities::SYS_ADMIN) {
        return Err(Errno::EBUSY);
    }
    Ok(TtyFile::new(tty, false))
}
