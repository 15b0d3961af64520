//! Signals between processes: who may signal whom, how a number names its targets, what job control does to
//! whole groups.

use alloc::sync::Arc;

use abi::Errno;

use super::jobs::Group;
use super::{Pid, Process, Thread};
use crate::fs::{Capabilities, Cred};
use crate::signal::{Info, Signal, code};

/// Who sends a signal, and what the receiver is told.
pub struct Sender<'a> {
    /// The sending process.
    pub process: &'a Arc<Process>,
    /// In whose name.
    pub cred: &'a Cred,
}

impl Sender<'_> {
    /// What kill(2) (`SI_USER`) or tkill(2) (`SI_TKILL`) tells the receiver.
    pub fn info(&self, signal: Signal, code: i32) -> Info {
        Info::from_process(signal, code, self.process.pid, self.cred.uid)
    }

    /// Whether the sender may send `signal` to `target` (`check_kill_permission()`). Errors: EPERM.
    fn check(
        &self,
        target: &Arc<Process>,
        signal: Option<Signal>,
        in_session: impl FnOnce() -> bool,
    ) -> Result<(), Errno> {
        let mine = self.cred;
        if Arc::ptr_eq(self.process, target) || mine.capable(Capabilities::KILL) {
            return Ok(());
        }
        let theirs = target.real_and_saved_user();
        let same_user = [mine.euid, mine.uid].iter().any(|user| theirs.contains(user));
        if same_user || signal == Some(Signal::CONT) && in_session() { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// Whether `target` is in the sender's session, which lets it continue stopped jobs whoever they are.
    fn shares_session(&self, target: &Process) -> bool {
        Arc::ptr_eq(&self.process.session(), &target.session())
    }

    /// Sends to a process; `None` only checks that it could be done. Errors: EPERM, EAGAIN.
    fn send(&self, target: &Arc<Process>, signal: Option<Signal>, info: Option<Info>) -> Result<(), Errno> {
        self.check(target, signal, || self.shares_session(target))?;
        deliver(target, signal, info)
    }

    /// Sends to the process `pid`, or to that of the thread `pid` (`kill_pid_info()`). Errors: ESRCH, EPERM, EAGAIN.
    pub fn send_to_process(&self, pid: Pid, signal: Option<Signal>, info: Option<Info>) -> Result<(), Errno> {
        let target = self.process.table.process_of(pid).ok_or(Errno::ESRCH)?;
        self.send(&target, signal, info)
    }

    /// The thread `tid`, of process `tgid` if given. Errors: ESRCH.
    pub fn find_thread(&self, tgid: Option<Pid>, tid: Pid) -> Result<Arc<Thread>, Errno> {
        let thread = self.process.table.thread(tid).ok_or(Errno::ESRCH)?;
        if tgid.is_none_or(|tgid| tgid == thread.process.pid) { Ok(thread) } else { Err(Errno::ESRCH) }
    }

    /// Sends to one thread (`do_send_specific()`). Errors: EPERM, EAGAIN.
    pub fn send_to_thread(&self, target: &Thread, signal: Option<Signal>, info: Option<Info>) -> Result<(), Errno> {
        self.check(&target.process, signal, || self.shares_session(&target.process))?;
        match (signal, info) {
            (Some(signal), Some(info)) => target.process.signals.send_to(&target.signals, signal, info),
            _ => Ok(()),
        }
    }

    /// Whether a signal could be sent to a leader that has ended. Errors: EPERM.
    pub fn check_ended(&self, target: &Arc<Process>, signal: Option<Signal>) -> Result<(), Errno> {
        self.check(target, signal, || self.shares_session(target))
    }

    /// Whether there is anyone that kill(2) means by `pid`. Errors: ESRCH.
    pub fn find(&self, pid: Pid) -> Result<(), Errno> {
        let exists = match pid {
            1.. => self.process.table.process_of(pid).is_some(),
            0 => true,
            -1 => self.others().next().is_some(),
            Pid::MIN => false,
            _ => self.process.table.group(-pid).is_some(),
        };
        if exists { Ok(()) } else { Err(Errno::ESRCH) }
    }

    /// Every process but init and the sender's own.
    fn others(&self) -> impl Iterator<Item = Arc<Process>> {
        let all = self.process.table.processes().into_iter();
        all.filter(|process| process.pid > 1 && !Arc::ptr_eq(process, self.process))
    }

    /// Sends to every member of a group; enough if one gets it (`__kill_pgrp_info()`). Errors: ESRCH, EPERM.
    pub fn send_to_group(&self, group: &Group, signal: Option<Signal>, info: Option<Info>) -> Result<(), Errno> {
        let in_session = Arc::ptr_eq(&self.process.session(), &group.session);
        let mut outcome = Err(Errno::ESRCH);
        group.for_each(|member| {
            let sent = self.check(member, signal, || in_session).and_then(|()| deliver(member, signal, info));
            if outcome.is_err() {
                outcome = sent;
            }
        });
        outcome
    }

    /// Sends to every process but init and the sender's own (`kill(-1, …)`). Errors: ESRCH if there is none.
    pub fn send_to_all(&self, signal: Option<Signal>, info: Option<Info>) -> Result<(), Errno> {
        let mut outcome = Err(Errno::ESRCH);
        for process in self.others() {
            match self.send(&process, signal, info) {
                Err(Errno::EPERM) if outcome == Err(Errno::ESRCH) => outcome = Ok(()),
                Err(Errno::EPERM) => {}
                sent => outcome = sent,
            }
        }
        outcome
    }

    /// Sends to whom kill(2) means by `pid` (`kill_something_info()`). Errors: ESRCH, EPERM, EAGAIN.
    pub fn send_by_number(&self, pid: Pid, signal: Option<Signal>, info: Option<Info>) -> Result<(), Errno> {
        match pid {
            1.. => self.send_to_process(pid, signal, info),
            0 => self.send_to_group(&self.process.group(), signal, info),
            -1 => self.send_to_all(signal, info),
            Pid::MIN => Err(Errno::ESRCH),
            _ => {
                let group = self.process.table.group(-pid).ok_or(Errno::ESRCH)?;
                self.send_to_group(&group, signal, info)
            }
        }
    }
}

/// Sends what is to be sent; nothing for signal number zero. Errors: EAGAIN.
fn deliver(target: &Process, signal: Option<Signal>, info: Option<Info>) -> Result<(), Errno> {
    match (signal, info) {
        (Some(signal), Some(info)) => target.signals.send(signal, info),
        _ => Ok(()),
    }
}

impl Process {
    /// The users that let others of theirs signal the process; of one that has ended, the real user alone is known.
    pub(super) fn real_and_saved_user(&self) -> [u32; 2] {
        let thread = self.threads().live.values().next().cloned();
        thread.map_or([self.uid(); 2], |thread| {
            let cred = thread.cred();
            [cred.uid, cred.suid]
        })
    }
}

impl Thread {
    /// Sends the thread a signal of its own doing, as SIGPIPE and SIGXFSZ are (`send_sig(…, current, 0)`).
    pub fn signal_self(&self, signal: Signal) {
        let info = Info::from_process(signal, code::SI_USER, self.process.pid, self.cred().uid);
        // Standard signals from SI_USER always find room.
        let _ = self.process.signals.send_to(&self.signals, signal, info);
    }
}

/// Sends the kernel's own signal to every member of a group: from the terminal, or for an orphaned group.
pub fn signal_group(group: &Group, signal: Signal) {
    group.for_each(|member| {
        // Signals from the kernel always find room.
        let _ = member.signals.send(signal, Info::from_kernel(signal));
    });
}
