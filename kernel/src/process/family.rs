//! Parents and children: birth into a family, what a child reports, orphans and their reapers.
//!
//! [`Family`] (rank `Family`) is a process's list of children with what each has to report; a child's own `parent` pointer
//! (rank `Parent`) changes only while the old and the new parent's families are locked, ancestor first. So: read the
//! pointer, lock that family, and if the child is in it, it stays until the lock is dropped ([`Process::with_parent`]).
//! Signals to a parent are sent with its family locked: a parent that has waited for a child has SIGCHLD pending.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::jobs::Group;
use super::ptrace::Tracee;
use super::{Pid, Process, Usage};
use crate::dev::tty;
use crate::fs::PollEvents;
use crate::ipc::sysv::sem;
use crate::signal::{ChildChange, ExitStatus, Info, SIG_IGN, SaFlags, Signal, StopNews, code};

/// A process's children.
#[derive(Default)]
pub struct Family {
    /// By pid.
    pub(super) children: BTreeMap<Pid, Child>,
    /// What the children that have been waited for used, and theirs.
    pub(super) reaped: Usage,
    /// The threads that threads of the process trace.
    pub(super) tracees: Vec<Tracee>,
    /// The process has handed its children over for good and adopts none.
    closed: bool,
}

/// A child as its parent sees it.
pub struct Child {
    /// The child.
    pub process: Arc<Process>,
    /// The parent's thread whose child it is (`__WNOTHREAD`, and whose end is the parent's death to the child).
    pub by: Pid,
    /// It has ended, with this status, and nobody has waited for it.
    pub ended: Option<ExitStatus>,
}

/// What a child reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChildEvent {
    /// Stopped by a signal.
    Stopped(Signal),
    /// Continued.
    Continued,
    /// Stopped for its tracer, the caller: a signal and what ptrace(2) puts above it.
    Trapped(i32),
    /// Ended, and every thread is gone.
    Ended(ExitStatus),
}

impl ChildEvent {
    /// `si_code` and `si_status` of the event.
    pub fn code_and_status(self) -> (i32, i32) {
        match self {
            ChildEvent::Stopped(signal) => (code::CLD_STOPPED, i32::from(signal.number())),
            ChildEvent::Continued => (code::CLD_CONTINUED, i32::from(Signal::CONT.number())),
            ChildEvent::Trapped(code) => (code::CLD_TRAPPED, code),
            ChildEvent::Ended(ExitStatus(status)) => match status & 0x7f {
                0 => (code::CLD_EXITED, status >> 8 & 0xff),
                signal if status & 0x80 != 0 => (code::CLD_DUMPED, signal),
                signal => (code::CLD_KILLED, signal),
            },
        }
    }

    /// The word wait4(2) stores.
    pub fn wait_word(self) -> i32 {
        match self {
            ChildEvent::Stopped(signal) => i32::from(signal.number()) << 8 | 0x7f,
            ChildEvent::Continued => 0xffff,
            ChildEvent::Trapped(code) => code << 8 | 0x7f,
            ChildEvent::Ended(ExitStatus(status)) => status,
        }
    }
}

impl From<StopNews> for ChildEvent {
    fn from(news: StopNews) -> Self {
        match news {
            StopNews::Stopped(signal) => ChildEvent::Stopped(signal),
            StopNews::Continued => ChildEvent::Continued,
        }
    }
}

/// What became of a child that has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// It waits for its parent to wait.
    Zombie,
    /// Its parent wants no zombies: it is gone.
    Reaped,
}

impl Process {
    /// The parent, if it has one that still exists.
    pub fn parent(&self) -> Option<Arc<Process>> {
        self.parent.lock().upgrade()
    }

    /// The parent's pid as getppid(2) gives it: 0 without one.
    pub fn parent_pid(&self) -> Pid {
        self.parent_pid.load(Ordering::Relaxed)
    }

    /// Makes `parent` its parent. Both the old and the new one's `family` is locked.
    fn set_parent(&self, parent: &Arc<Process>) {
        let old = core::mem::replace(&mut *self.parent.lock(), Arc::downgrade(parent));
        self.parent_pid.store(parent.pid, Ordering::Relaxed);
        drop(old);
    }

    /// What the children waited for have used.
    pub fn reaped_usage(&self) -> Usage {
        self.family.lock().reaped
    }

    /// The children at this moment.
    pub fn children(&self) -> Vec<Arc<Process>> {
        self.family.lock().children.values().map(|child| child.process.clone()).collect()
    }

    /// Enters a newborn process as a child of `self`, made by thread `by`. `false` if the process is ending. One made by a
    /// `sibling` (CLONE_PARENT) has that one's signal at its end: SIGCHLD, once their first parent is gone.
    pub fn adopt_newborn(self: &Arc<Self>, child: &Arc<Process>, by: Pid, sibling: Option<&Process>) -> bool {
        let mut family = self.family.lock();
        if family.closed {
            return false;
        }
        child.set_parent(self);
        if let Some(sibling) = sibling {
            child.set_exit_signal(sibling.exit_signal_number());
        }
        family.children.insert(child.pid, Child { process: child.clone(), by, ended: None });
        true
    }

    /// Undoes [`Process::adopt_newborn`].
    pub fn disown_newborn(&self, child: Pid) {
        let removed = self.family.lock().children.remove(&child);
        drop(removed);
    }

    /// The thread of the parent whose child it is; 0 without a parent.
    pub fn parent_tid(&self) -> Pid {
        let by = |_: &Arc<Process>, family: &mut Family| family.children.get(&self.pid).map(|child| child.by);
        self.with_parent(by).and_then(|(_, by)| by).unwrap_or(0)
    }

    /// Runs `act` with the parent's family locked and `self` in it; not at all without a parent.
    fn with_parent<R>(&self, act: impl FnOnce(&Arc<Process>, &mut Family) -> R) -> Option<(Arc<Process>, R)> {
        loop {
            let parent = self.parent()?;
            let mut family = parent.family.lock();
            if family.children.contains_key(&self.pid) {
                let result = act(&parent, &mut family);
                drop(family);
                return Some((parent, result));
            }
            drop(family);
            if self.parent().is_none_or(|now| Arc::ptr_eq(&now, &parent)) {
                return None;
            }
        }
    }

    /// Tells the parent that the child has stopped or continued (`do_notify_parent_cldstop()`).
    pub fn report_to_parent(&self, news: StopNews) {
        let event = ChildEvent::from(news);
        let told = self.with_parent(|parent, _| {
            let action = parent.signals.actions().get(Signal::CHLD);
            if action.handler != SIG_IGN && !action.has(SaFlags::SA_NOCLDSTOP) {
                // SIGCHLD is a standard signal, which always finds room.
                let _ = parent.signals.send(Signal::CHLD, self.child_info(Signal::CHLD, event));
            }
        });
        if let Some((parent, ())) = told {
            parent.child_events.wake_all();
        }
    }

    /// Ends the process for its relatives, once its last thread is gone: hands its children over, tells its parent, and
    /// is reaped at once if the parent wants it so (`exit_notify()`). Its status becomes visible here.
    pub fn bury(self: &Arc<Self>, status: ExitStatus) {
        self.forget_executable();
        if self.is_session_leader() {
            tty::leader_ended(self.pid.unsigned_abs());
        }
        sem::process_ended(self.pid);
        self.hand_over_children();
        self.hang_up_orphaned_group();
        self.status.store(status.0, Ordering::Release);
        if !self.ends_for_tracer(status) {
            self.announce_end();
        }
        self.ended.wake(PollEvents::POLLIN);
    }

    /// Tells the parent of the end.
    pub(super) fn announce_end(&self) {
        let fate = self.with_parent(|parent, family| self.end_in(parent, family));
        if let Some((parent, fate)) = fate {
            parent.child_events.wake_all();
            if fate == Fate::Reaped {
                self.release();
            }
        }
    }

    /// Records the end with the parent, whose family is locked, and signals it (`do_notify_parent()`).
    fn end_in(&self, parent: &Arc<Process>, family: &mut Family) -> Fate {
        let status = self.end_status().unwrap_or(ExitStatus::exited(0));
        let action = parent.signals.actions().get(Signal::CHLD);
        let exit_signal = self.exit_signal();
        let ignored = action.handler == SIG_IGN;
        let unwanted = exit_signal == Some(Signal::CHLD) && (ignored || action.has(SaFlags::SA_NOCLDWAIT));
        if let Some(signal) = exit_signal.filter(|_| !(unwanted && ignored)) {
            // Like Linux, a real-time exit signal that finds no room is lost.
            let _ = parent.signals.send(signal, self.child_info(signal, ChildEvent::Ended(status)));
        }
        if unwanted {
            family.children.remove(&self.pid);
            return Fate::Reaped;
        }
        if let Some(child) = family.children.get_mut(&self.pid) {
            child.ended = Some(status);
        }
        Fate::Zombie
    }

    /// What the parent learns with the signal.
    pub(super) fn child_info(&self, signal: Signal, event: ChildEvent) -> Info {
        const TICK_NS: u64 = 10_000_000;
        let (code, status) = event.code_and_status();
        let usage = self.usage();
        let change = ChildChange {
            code,
            pid: self.pid,
            uid: self.uid(),
            status,
            user_ticks: usage.user_ns / TICK_NS,
            system_ticks: usage.system_ns / TICK_NS,
        };
        Info::child(signal, change)
    }

    /// Takes a process that has been waited for, or needs no waiting, out of all tables.
    pub(super) fn release(&self) {
        self.reaped.store(true, Ordering::Relaxed);
        self.leave_group();
        self.table.remove_process(self.pid);
    }

    /// Gives all children to the nearest living subreaper among the ancestors, or to init (`forget_original_parent()`).
    fn hand_over_children(self: &Arc<Self>) {
        loop {
            let reaper = self.find_reaper();
            let Some(reaper) = reaper.filter(|reaper| !Arc::ptr_eq(reaper, self)) else {
                self.family.lock().closed = true;
                return;
            };
            let mut theirs = reaper.family.lock();
            if theirs.closed {
                continue;
            }
            let mut mine = self.family.lock_nested();
            mine.closed = true;
            let children = core::mem::take(&mut mine.children);
            let by = reaper.any_tid();
            let mut orphans = Vec::with_capacity(children.len());
            for (pid, mut child) in children {
                child.process.set_parent(&reaper);
                child.by = by;
                orphans.push(child.process.clone());
                theirs.children.insert(pid, child);
            }
            drop(mine);
            let gone: Vec<_> = orphans.iter().filter(|orphan| orphan.arrive_at(&reaper, &mut theirs)).collect();
            drop(theirs);
            reaper.child_events.wake_all();
            gone.iter().for_each(|orphan| orphan.release());
            orphans.iter().for_each(|orphan| self.abandon(orphan));
            return;
        }
    }

    /// An orphan in its reaper's family (`reparent_leader()`): an ended one is announced again. Gives whether that
    /// made it disappear.
    fn arrive_at(&self, reaper: &Arc<Process>, family: &mut Family) -> bool {
        self.set_exit_signal(abi::signal::SIGCHLD as u8);
        let ended = family.children.get(&self.pid).is_some_and(|child| child.ended.is_some());
        ended && self.end_in(reaper, family) == Fate::Reaped
    }

    /// What the death of the parent means to a child beside a new parent: its threads' parent death signals, and
    /// the end of job control if nobody is left to continue its group.
    fn abandon(&self, orphan: &Arc<Process>) {
        orphan.send_parent_death_signals();
        let group = orphan.group();
        let was_controlled = {
            let mine = self.group();
            mine.id != group.id && Arc::ptr_eq(&mine.session, &group.session)
        };
        if was_controlled && group.is_orphaned_without(None) {
            group.hang_up_if_stopped();
        }
    }

    /// Its own group may have been controlled through this process's parent alone (`kill_orphaned_pgrp()`).
    fn hang_up_orphaned_group(&self) {
        let group = self.group();
        let controlled = self.parent().is_some_and(|parent| {
            let theirs = parent.group();
            theirs.id != group.id && Arc::ptr_eq(&theirs.session, &group.session)
        });
        if controlled && group.is_orphaned_without(Some(self)) {
            group.hang_up_if_stopped();
        }
    }

    /// The nearest ancestor that is a subreaper and still has threads, else init (`find_new_reaper()`).
    fn find_reaper(&self) -> Option<Arc<Process>> {
        let mut ancestor = self.parent();
        while let Some(process) = ancestor {
            if process.is_subreaper.load(Ordering::Relaxed) && !process.threads.lock().live.is_empty() {
                return Some(process);
            }
            ancestor = process.parent();
        }
        self.table.init()
    }

    /// A thread that can have children; for the kernel's own init, its pid.
    fn any_tid(&self) -> Pid {
        self.threads.lock().live.keys().next().copied().unwrap_or(self.pid)
    }

    /// Gives the children of a thread that ends to another of the same process, and sends them the parent death signals.
    pub fn inherit_from_thread(&self, ended: Pid) {
        let mut family = self.family.lock();
        if family.children.is_empty() {
            return;
        }
        let heir = self.any_tid();
        let mut left = Vec::new();
        for child in family.children.values_mut().filter(|child| child.by == ended) {
            child.by = heir;
            left.push(child.process.clone());
        }
        drop(family);
        left.iter().for_each(|child| child.send_parent_death_signals());
    }

    /// The signals its threads asked for with `PR_SET_PDEATHSIG`, as their parent has ended.
    fn send_parent_death_signals(&self) {
        let asked = |thread: &Arc<super::Thread>| thread.parent_death_signal();
        let wanted: Vec<Signal> = self.threads.lock().live.values().filter_map(asked).collect();
        for signal in wanted {
            // Like Linux, a real-time signal that finds no room is lost.
            let _ = self.signals.send(signal, Info::unqueued(signal));
        }
    }
}

impl Group {
    /// A group that has become orphaned: if one of its processes is stopped, all get SIGHUP and SIGCONT.
    fn hang_up_if_stopped(&self) {
        if !self.members().iter().any(|member| member.signals.is_stopped()) {
            return;
        }
        for signal in [Signal::HUP, Signal::CONT] {
            // Standard signals always find room.
            self.for_each(|member| _ = member.signals.send(signal, Info::from_kernel(signal)));
        }
    }
}
