//! Job control: what terminals and processes ask of each other (`tty_jobctrl.c`).
//!
//! The room of processes lies to the right of this one. It implements [`JobControl`], and calls the functions here
//! when sessions end. Sessions and groups are numbers here; 0 stands for none.
//!
//! Lock: the table of controlling terminals (rank `Terminals`), held alone.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};

use abi::Errno;
use spin::Once;

use super::Tty;
use crate::fs::Caller;
use crate::signal::Signal;
use crate::sync::{Rank, SpinLock};

/// What terminals need of the processes. The room of processes implements and [`install`]s it.
pub trait JobControl: Send + Sync {
    /// Sends `signal` to every process of the group, as the kernel.
    fn signal_group(&self, group: u32, signal: Signal);
    /// Sends `signal` to the leader of the session, as the kernel.
    fn signal_leader(&self, session: u32, signal: Signal);
    /// Whether the group is orphaned: nobody would continue it if it stopped (`is_current_pgrp_orphaned`).
    fn is_orphaned(&self, group: u32) -> bool;
    /// The session a group is in; `None` if there is no such group.
    fn session_of(&self, group: u32) -> Option<u32>;
}

static PROCESSES: Once<&'static dyn JobControl> = Once::new();

/// Says who knows the processes. Before that, no process has a terminal.
pub fn install(processes: &'static dyn JobControl) {
    PROCESSES.call_once(|| processes);
}

/// Who knows the processes, once installed.
fn processes() -> Option<&'static dyn JobControl> {
    PROCESSES.get().copied()
}

/// Controlling terminals by session.
static CONTROLLING: SpinLock<BTreeMap<u32, Weak<Tty>>> = SpinLock::new(Rank::Terminals, BTreeMap::new());

/// The session's controlling terminal.
pub fn controlling(session: u32) -> Option<Arc<Tty>> {
    CONTROLLING.lock().get(&session).and_then(Weak::upgrade)
}

/// The session's leader has ended (`disassociate_ctty`): the session loses its terminal, and the foreground group is told.
/// A serial line hangs up as well; a pty goes on for those who have it open.
pub fn leader_ended(session: u32) {
    if let Some(tty) = controlling(session) {
        tty.hang_up_session();
    }
}

/// Whether the caller is a session leader.
fn leads(caller: &dyn Caller) -> bool {
    caller.pid() == caller.session()
}

impl Tty {
    /// Whether it is the controlling terminal of the caller's session.
    pub fn controls(&self, caller: &dyn Caller) -> bool {
        self.job().session == caller.session()
    }

    /// A process in the background that reads, or changes something, is stopped by `signal` and `ERESTARTSYS`
    /// (`__tty_check_change`); `EIO` if it could not be continued.
    pub(super) fn check_foreground(&self, caller: &dyn Caller, signal: Signal) -> Result<(), Errno> {
        let job = self.job();
        let group = caller.process_group();
        if job.session != caller.session() || job.foreground == 0 || job.foreground == group {
            return Ok(());
        }
        let Some(processes) = processes() else { return Ok(()) };
        if caller.ignores(signal) {
            return if signal == Signal::TTIN { Err(Errno::EIO) } else { Ok(()) };
        }
        if processes.is_orphaned(group) {
            return Err(Errno::EIO);
        }
        processes.signal_group(group, signal);
        Err(Errno::ERESTARTSYS)
    }

    /// Opened without `O_NOCTTY`: becomes the controlling terminal of a session leader that has none
    /// (`tty_open_proc_set_tty`).
    pub(super) fn adopt_opener(self: &Arc<Self>, caller: &dyn Caller) {
        if leads(caller) && controlling(caller.session()).is_none() && self.job().session == 0 {
            self.control(caller);
        }
    }

    /// `TIOCSCTTY` (`tiocsctty`). `EPERM`.
    pub(super) fn set_controlling(
        self: &Arc<Self>,
        caller: &dyn Caller,
        readable: bool,
        steal: bool,
    ) -> Result<(), Errno> {
        let session = self.job().session;
        if leads(caller) && session == caller.session() {
            return Ok(());
        }
        if !leads(caller) || controlling(caller.session()).is_some() {
            return Err(Errno::EPERM);
        }
        let privileged = caller.cred().capable(crate::fs::Capabilities::SYS_ADMIN);
        if session != 0 {
            if !(steal && privileged) {
                return Err(Errno::EPERM);
            }
            CONTROLLING.lock().remove(&session);
        }
        if !readable && !privileged {
            return Err(Errno::EPERM);
        }
        self.control(caller);
        Ok(())
    }

    /// `TIOCNOTTY` (`disassociate_ctty`): `ENOTTY` if it is not the caller's terminal. A leader's session loses it,
    /// and the foreground group gets SIGHUP and SIGCONT.
    /// Deviates: for other members nothing changes, where Linux takes the terminal from that process alone.
    pub(super) fn give_up(&self, caller: &dyn Caller) -> Result<(), Errno> {
        if !self.controls(caller) {
            return Err(Errno::ENOTTY);
        }
        if leads(caller) {
            let job = self.take_job();
            signal_group(job.foreground, Signal::HUP);
            signal_group(job.foreground, Signal::CONT);
        }
        Ok(())
    }

    /// `TIOCGPGRP`: the foreground group, 0 for none. `ENOTTY` through the terminal itself if it is not the caller's.
    pub(super) fn foreground(&self, caller: &dyn Caller, master: bool) -> Result<u32, Errno> {
        if master || self.controls(caller) { Ok(self.job().foreground) } else { Err(Errno::ENOTTY) }
    }

    /// `TIOCGSID`: the session. `ENOTTY`.
    pub(super) fn session(&self, caller: &dyn Caller, master: bool) -> Result<u32, Errno> {
        let session = self.job().session;
        if session != 0 && (master || self.controls(caller)) { Ok(session) } else { Err(Errno::ENOTTY) }
    }

    /// `TIOCSPGRP` (`tiocspgrp`), after the check for the background: `EINVAL`, `ENOTTY`, `ESRCH`, `EPERM`.
    pub(super) fn set_foreground(&self, caller: &dyn Caller, group: i32) -> Result<(), Errno> {
        let group = u32::try_from(group).map_err(|_| Errno::EINVAL)?;
        if !self.controls(caller) {
            return Err(Errno::ENOTTY);
        }
        let session = processes().and_then(|processes| processes.session_of(group)).ok_or(Errno::ESRCH)?;
        if session != caller.session() {
            return Err(Errno::EPERM);
        }
        self.update_job(|job| job.foreground = group);
        Ok(())
    }

    /// Becomes the terminal of the caller's session, its group in the foreground.
    fn control(self: &Arc<Self>, caller: &dyn Caller) {
        let (session, foreground) = (caller.session(), caller.process_group());
        self.update_job(|job| *job = Job { session, foreground });
        CONTROLLING.lock().insert(session, Arc::downgrade(self));
    }

    /// Ends its being anybody's terminal, and gives what was.
    pub(super) fn take_job(&self) -> Job {
        let job = self.update_job(core::mem::take);
        CONTROLLING.lock().remove(&job.session);
        job
    }
}

/// Whose terminal it is.
#[derive(Clone, Copy, Default, Debug)]
pub struct Job {
    /// The session it controls, or 0.
    pub session: u32,
    /// The group in the foreground, or 0.
    pub foreground: u32,
}

/// Signals a group, if there is one.
pub(super) fn signal_group(group: u32, signal: Signal) {
    if let Some(processes) = processes().filter(|_| group != 0) {
        processes.signal_group(group, signal);
    }
}

/// Signals a session's leader, if there is one.
pub(super) fn signal_leader(session: u32, signal: Signal) {
    if let Some(processes) = processes().filter(|_| session != 0) {
        processes.signal_leader(session, signal);
    }
}
