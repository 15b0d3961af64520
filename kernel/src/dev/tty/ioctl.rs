//! ioctl(2) on terminals (ioctl_tty(2); `tty_io.c`, `tty_ioctl.c`, `tty_jobctrl.c`).

use alloc::sync::Arc;

use abi::Errno;
use abi::termios as words;
use abi::termios::{Termios, Termios2, Winsize};

use super::Tty;
use super::job;
use super::termios::{Char, Settings};
use crate::fs::{AccessFlags, Caller, Capabilities, File};
use crate::mem::{UserIn, UserOut};
use crate::signal::Signal;

/// A request to a terminal, by itself or through its pty's `master`. `ENOTTY` for one that terminals do not know.
pub(super) fn terminal(
    tty: &Arc<Tty>,
    file: &File,
    caller: &dyn Caller,
    request: u32,
    arg: u64,
    master: bool,
) -> Result<usize, Errno> {
    match request {
        words::TCGETS..=words::TCSETAF | words::TCGETS2 | words::TCSETS2 | words::TCSETSW2 | words::TCSETSF2 => {
            settings(tty, caller, request, arg)
        }
        words::TCSBRK | words::TCSBRKP | words::TIOCSBRK | words::TIOCCBRK | words::TCXONC | words::TCFLSH => {
            tty.check_foreground(caller, Signal::TTOU)?;
            flow(tty, request, arg)
        }
        words::TIOCSCTTY | words::TIOCNOTTY | words::TIOCGPGRP | words::TIOCSPGRP | words::TIOCGSID => {
            job_control(tty, file, caller, request, arg, master)
        }
        words::TIOCGWINSZ => {
            let window = tty.state().window;
            UserOut::<Winsize>::new(arg).write(&window)?;
            Ok(0)
        }
        words::TIOCSWINSZ => {
            tty.set_window(UserIn::<Winsize>::new(arg).read()?);
            Ok(0)
        }
        words::FIONREAD => put_int(arg, tty.state().line.input_pending()),
        words::TIOCOUTQ => put_int(arg, 0),
        words::TIOCSTI => type_in(tty, caller, arg),
        words::TIOCEXCL | words::TIOCNXCL => {
            tty.state().exclusive = request == words::TIOCEXCL;
            Ok(0)
        }
        words::TIOCGEXCL => put_int(arg, usize::from(tty.state().exclusive)),
        words::TIOCGETD => put_int(arg, 0),
        words::TIOCSETD => set_discipline(arg),
        words::TIOCGDEV => put_int(arg, usize::try_from(tty.device.encode()).map_err(|_| Errno::EINVAL)?),
        words::TIOCVHANGUP => {
            require(caller, Capabilities::SYS_ADMIN)?;
            tty.hang_up();
            Ok(0)
        }
        _ => Err(Errno::ENOTTY),
    }
}

/// Writes an `int`.
pub(super) fn put_int(arg: u64, value: usize) -> Result<usize, Errno> {
    UserOut::<i32>::new(arg).write(&i32::try_from(value).unwrap_or(i32::MAX))?;
    Ok(0)
}

fn require(caller: &dyn Caller, capability: Capabilities) -> Result<(), Errno> {
    if caller.cred().capable(capability) { Ok(()) } else { Err(Errno::EPERM) }
}

/// Reading and changing the settings (`tty_mode_ioctl`). The old `TCGETA` family is not there: `ENOTTY`.
fn settings(tty: &Arc<Tty>, caller: &dyn Caller, request: u32, arg: u64) -> Result<usize, Errno> {
    let current = *tty.state().line.settings();
    let new = match request {
        words::TCGETS => {
            UserOut::<Termios>::new(arg).write(&Termios::from(&current))?;
            return Ok(0);
        }
        words::TCGETS2 => {
            UserOut::<Termios2>::new(arg).write(&Termios2::from(&current))?;
            return Ok(0);
        }
        words::TCSETS | words::TCSETSW | words::TCSETSF => {
            tty.check_foreground(caller, Signal::TTOU)?;
            current.with(&UserIn::<Termios>::new(arg).read()?)
        }
        words::TCSETS2 | words::TCSETSW2 | words::TCSETSF2 => {
            tty.check_foreground(caller, Signal::TTOU)?;
            Settings::from(&UserIn::<Termios2>::new(arg).read()?)
        }
        _ => return Err(Errno::ENOTTY),
    };
    tty.set(new, matches!(request, words::TCSETSF | words::TCSETSF2));
    Ok(0)
}

/// Breaks, flushing, holding and resuming. Output is never pending here, so draining is at once done, and the
/// lines here know no breaks.
fn flow(tty: &Arc<Tty>, request: u32, arg: u64) -> Result<usize, Errno> {
    let which = u32::try_from(arg).unwrap_or(u32::MAX);
    match (request, which) {
        (words::TCFLSH, words::TCIFLUSH) => tty.act(|line| line.flush_input()),
        (words::TCFLSH, words::TCOFLUSH) => tty.act(|line| line.flush_output()),
        (words::TCFLSH, words::TCIOFLUSH) => tty.act(|line| line.flush_input() | line.flush_output()),
        (words::TCXONC, words::TCOOFF) => tty.act(|line| line.stop()),
        (words::TCXONC, words::TCOON) => tty.act(|line| line.start()),
        (words::TCXONC, words::TCIOFF) => tty.act(|line| line.send(Char::Stop)),
        (words::TCXONC, words::TCION) => tty.act(|line| line.send(Char::Start)),
        (words::TCFLSH | words::TCXONC, _) => return Err(Errno::EINVAL),
        _ => {}
    }
    Ok(0)
}

fn job_control(
    tty: &Arc<Tty>,
    file: &File,
    caller: &dyn Caller,
    request: u32,
    arg: u64,
    master: bool,
) -> Result<usize, Errno> {
    match request {
        words::TIOCSCTTY => tty.set_controlling(caller, file.flags().readable(), arg == 1)?,
        words::TIOCNOTTY if master => return Err(Errno::ENOTTY),
        words::TIOCNOTTY => tty.give_up(caller)?,
        words::TIOCGPGRP => UserOut::<u32>::new(arg).write(&tty.foreground(caller, master)?)?,
        words::TIOCGSID => UserOut::<u32>::new(arg).write(&tty.session(caller, master)?)?,
        _ => {
            tty.check_foreground(caller, Signal::TTOU).map_err(|error| match error {
                Errno::EIO => Errno::ENOTTY,
                other => other,
            })?;
            tty.set_foreground(caller, UserIn::<i32>::new(arg).read()?)?;
        }
    }
    Ok(0)
}

/// `TIOCSTI`: a byte as if it had been typed. `EPERM` on another's terminal.
fn type_in(tty: &Arc<Tty>, caller: &dyn Caller, arg: u64) -> Result<usize, Errno> {
    if !tty.controls(caller) {
        require(caller, Capabilities::SYS_ADMIN)?;
    }
    let byte = UserIn::<u8>::new(arg).read()?;
    tty.receive(&[byte]);
    Ok(0)
}

/// `TIOCSETD`: there is one line discipline, number 0.
fn set_discipline(arg: u64) -> Result<usize, Errno> {
    match UserIn::<i32>::new(arg).read()? {
        0 => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// `TIOCSIG` on a master: a signal to the foreground group (`pty_signal`).
pub(super) fn signal_foreground(tty: &Tty, arg: u64) -> Result<usize, Errno> {
    let signal = u32::try_from(arg).ok().and_then(Signal::new);
    let signal = signal.filter(|signal| [Signal::INT, Signal::QUIT, Signal::TSTP].contains(signal));
    job::signal_group(tty.job().foreground, signal.ok_or(Errno::EINVAL)?);
    Ok(0)
}
