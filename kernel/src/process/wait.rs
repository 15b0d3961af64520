//! Waiting for children: what waitid(2) and wait4(2) share.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::wait::WaitOptions;

use super::family::{Child, ChildEvent};
use super::jobs::Group;
use super::{Pid, Process, Usage};
use crate::signal::Signal;

/// Which children.
pub enum WaitTarget {
    /// All.
    Any,
    /// The one with this pid.
    Pid(Pid),
    /// Those in this group; `None`, a group that does not exist.
    Group(Option<Arc<Group>>),
    /// The one a pidfd refers to.
    Process(Arc<Process>),
}

/// What a wait found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitReport {
    /// The child.
    pub pid: Pid,
    /// Its real user.
    pub uid: u32,
    /// What happened to it.
    pub event: ChildEvent,
    /// What it and its waited-for children used.
    pub usage: Usage,
}

/// A wait as the caller asked for it.
pub struct WaitRequest {
    /// Which children.
    pub target: WaitTarget,
    /// Which events, and how to wait.
    pub options: WaitOptions,
    /// The calling thread.
    pub by: Pid,
}

impl WaitRequest {
    /// Whether the child can ever satisfy the request (`eligible_child()`); `group` are the members of the group asked for.
    fn covers(&self, child: &Child, group: &[Arc<Process>]) -> bool {
        let process = &child.process;
        let targeted = match &self.target {
            WaitTarget::Any => true,
            WaitTarget::Pid(pid) => process.pid == *pid,
            WaitTarget::Group(_) => group.iter().any(|member| Arc::ptr_eq(member, process)),
            WaitTarget::Process(wanted) => Arc::ptr_eq(wanted, process),
        };
        let kind = self.options.contains(WaitOptions::__WALL)
            || (process.exit_signal() != Some(Signal::CHLD)) == self.options.contains(WaitOptions::__WCLONE);
        let thread = !self.options.contains(WaitOptions::__WNOTHREAD) || child.by == self.by;
        targeted && kind && thread
    }

    /// The child's event, if it has one that the caller asked for (`wait_consider_child()`): the end first, which
    /// overrides stops. Stops and continuations are consumed here, the end is not.
    fn event_of(&self, child: &Child) -> Option<ChildEvent> {
        if let Some(status) = child.ended {
            return self.options.contains(WaitOptions::WEXITED).then_some(ChildEvent::Ended(status));
        }
        let consume = !self.options.contains(WaitOptions::WNOWAIT);
        let signals = &child.process.signals;
        let stopped = self.options.contains(WaitOptions::WSTOPPED).then(|| signals.take_stopped(consume)).flatten();
        let continued = || self.options.contains(WaitOptions::WCONTINUED) && signals.take_continued(consume);
        stopped.map(ChildEvent::Stopped).or_else(|| continued().then_some(ChildEvent::Continued))
    }
}

impl Process {
    /// Looks once: a child with an event to report, `None` if there are only children without. A child that has
    /// ended is reaped, by exactly one caller. Errors: ECHILD.
    pub fn look_for_child(&self, request: &WaitRequest) -> Result<Option<WaitReport>, Errno> {
        // Who is in a group ranks before who is in a family: looked up first.
        let group = match &request.target {
            WaitTarget::Group(Some(group)) => group.members(),
            _ => Vec::new(),
        };
        let mut family = self.family.lock();
        let mut eligible = false;
        let mut found = None;
        for child in family.children.values().filter(|child| request.covers(child, &group)) {
            eligible = true;
            if let Some(event) = request.event_of(child) {
                found = Some((child.process.clone(), event));
                break;
            }
        }
        let Some((child, event)) = found else {
            return if eligible { Ok(None) } else { Err(Errno::ECHILD) };
        };
        let mut usage = child.usage();
        usage += child.family.lock_nested().reaped;
        let reap = matches!(event, ChildEvent::Ended(_)) && !request.options.contains(WaitOptions::WNOWAIT);
        if reap {
            family.children.remove(&child.pid);
            family.reaped += usage;
        }
        drop(family);
        if reap {
            child.release();
        }
        Ok(Some(WaitReport { pid: child.pid, uid: child.uid(), event, usage }))
    }

    /// Waits until a child has something to report. Errors: ECHILD. The caller makes it interruptible.
    pub async fn wait_for_child(&self, request: &WaitRequest) -> Result<WaitReport, Errno> {
        self.child_events.wait_until(|| self.look_for_child(request).transpose()).await
    }
}
