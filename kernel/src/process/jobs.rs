//! Process groups and sessions (credentials(7), setpgid(2), setsid(2)).
//!
//! A process is in one [`Group`], a group in one [`Session`]. The locks: a process's `membership` (which group it is in; held
//! while it moves, and while it forks into its own group), then the pid table, then one group's list, then its session's.
//! A signal to a group is sent with the list locked, so that it and a fork exclude each other: the child either is in the
//! list, or its parent sees the signal before the child exists.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::Errno;

use super::{Pid, PidTable, Process};
use crate::sync::{Rank, SpinLock};

/// A process group.
pub struct Group {
    /// The pid of the process that founded it.
    pub id: Pid,
    /// The session it belongs to, for its whole life.
    pub session: Arc<Session>,
    /// Rank `Group`.
    members: SpinLock<Members>,
}

/// A group's processes by pid. A group is dead when its last member has left; nobody joins it any more.
#[derive(Default)]
struct Members {
    list: BTreeMap<Pid, Weak<Process>>,
    dead: bool,
}

/// A session.
pub struct Session {
    /// The pid of the process that founded it.
    pub id: Pid,
    /// Rank `Session`: its living groups.
    groups: SpinLock<usize>,
}

/// Which group a process is in.
pub struct Membership {
    group: Arc<Group>,
}

impl Membership {
    /// Membership of `group`, in whose list the process has yet to be entered.
    pub fn new(group: Arc<Group>) -> Self {
        Self { group }
    }
}

impl Session {
    /// A session lives as long as a group is in it.
    fn new(id: Pid) -> Arc<Self> {
        Arc::new(Self { id, groups: SpinLock::new(Rank::Session, 0) })
    }
}

impl Group {
    /// A group of a session that is not yet in any table, for the first process.
    pub fn first(id: Pid) -> Arc<Self> {
        Self::new(id, Session::new(id))
    }

    fn new(id: Pid, session: Arc<Session>) -> Arc<Self> {
        *session.groups.lock() += 1;
        Arc::new(Self { id, session, members: SpinLock::new(Rank::Group, Members::default()) })
    }

    /// Puts a process on the list, unless the group is dead.
    fn admit(&self, process: &Arc<Process>) -> bool {
        let mut members = self.members.lock();
        if !members.dead {
            members.list.insert(process.pid, Arc::downgrade(process));
        }
        !members.dead
    }

    /// The members at this moment.
    pub fn members(&self) -> Vec<Arc<Process>> {
        self.members.lock().list.values().filter_map(Weak::upgrade).collect()
    }

    /// Calls `visit` for every member, keeping forks of members and joiners out meanwhile.
    pub fn for_each(&self, mut visit: impl FnMut(&Arc<Process>)) {
        for member in self.members.lock().list.values().filter_map(Weak::upgrade) {
            visit(&member);
        }
    }

    /// Whether no member but `ignored` has a parent in another group of the session: nobody there would know how to
    /// go on with a stopped job (`will_become_orphaned_pgrp()`).
    pub fn is_orphaned_without(&self, ignored: Option<&Process>) -> bool {
        self.members().iter().all(|member| {
            let counts = !ignored.is_some_and(|ignored| core::ptr::eq(ignored, Arc::as_ptr(member)))
                && member.end_status().is_none();
            !counts || !self.is_controlled_through(member)
        })
    }

    /// Whether `member`'s parent is in another group of the same session.
    fn is_controlled_through(&self, member: &Process) -> bool {
        member.parent().is_some_and(|parent| {
            let group = parent.group();
            !parent.is_init() && group.id != self.id && Arc::ptr_eq(&group.session, &self.session)
        })
    }
}

impl Process {
    /// The group it is in.
    pub fn group(&self) -> Arc<Group> {
        self.membership.lock().group.clone()
    }

    /// Its session.
    pub fn session(&self) -> Arc<Session> {
        self.membership.lock().group.session.clone()
    }

    /// Whether it founded its session.
    pub fn is_session_leader(&self) -> bool {
        self.session().id == self.pid
    }

    /// Enters the first process of all in its own group and session.
    pub fn found_first_session(self: &Arc<Self>) {
        let group = self.group();
        group.admit(self);
        self.table.enter_group(&group);
        self.table.enter_session(&group.session);
    }

    /// Enters a newborn process in the group of `self`, its parent, unless `interrupted`: a signal sent to the
    /// group is either seen there, or comes after the child has been entered.
    pub fn enter_in_group_of(
        self: &Arc<Self>,
        parent: &Process,
        interrupted: impl FnOnce() -> bool,
    ) -> Result<(), Errno> {
        let theirs = parent.membership.lock();
        let mut members = theirs.group.members.lock();
        if interrupted() {
            return Err(Errno::ERESTARTNOINTR);
        }
        members.list.insert(self.pid, Arc::downgrade(self));
        drop(members);
        self.membership.lock_nested().group = theirs.group.clone();
        Ok(())
    }

    /// Takes a process that has been waited for, or was never born, out of its group.
    pub fn leave_group(&self) {
        let membership = self.membership.lock();
        leave(&self.table, &membership.group, self.pid);
    }

    /// Moves the process into group `id` of its session (setpgid(2) from its last checks on): one that exists there,
    /// or a new one named after the process. Errors: EPERM.
    pub fn join_group(self: &Arc<Self>, id: Pid) -> Result<(), Errno> {
        let mut membership = self.membership.lock();
        let session = membership.group.session.clone();
        if session.id == self.pid {
            return Err(Errno::EPERM);
        }
        if membership.group.id == id {
            return Ok(());
        }
        let joined = match self.table.group(id).filter(|group| Arc::ptr_eq(&group.session, &session)) {
            Some(group) if group.admit(self) => group,
            _ if id == self.pid => {
                let group = Group::new(id, session);
                group.admit(self);
                self.table.enter_group(&group);
                group
            }
            _ => return Err(Errno::EPERM),
        };
        let old = core::mem::replace(&mut membership.group, joined);
        leave(&self.table, &old, self.pid);
        Ok(())
    }

    /// Founds a session and a group, both named after the process (setsid(2)). Errors: EPERM if it leads a group
    /// already, or another process is still in a group of its number.
    pub fn found_session(self: &Arc<Self>) -> Result<Arc<Session>, Errno> {
        let mut membership = self.membership.lock();
        let taken = self.table.group(self.pid).is_some();
        if taken || membership.group.session.id == self.pid {
            return Err(Errno::EPERM);
        }
        let group = Group::first(self.pid);
        group.admit(self);
        let old = core::mem::replace(&mut membership.group, group.clone());
        self.table.enter_group(&group);
        self.table.enter_session(&group.session);
        leave(&self.table, &old, self.pid);
        Ok(group.session.clone())
    }
}

/// Takes `pid` off a group's list, and the group and its session off the table with the last.
fn leave(table: &PidTable, group: &Arc<Group>, pid: Pid) {
    let mut members = group.members.lock();
    members.list.remove(&pid);
    members.dead = members.list.is_empty();
    let last_group = members.dead && {
        let mut groups = group.session.groups.lock();
        *groups -= 1;
        *groups == 0
    };
    let dead = members.dead;
    drop(members);
    if dead {
        table.remove_group(group);
    }
    if last_group {
        table.remove_session(&group.session);
    }
}
