//! Waiting for children: what waitid(2) and wait4(2) share.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::wait::WaitOptions;

use super::family::{Child, ChildEvent, Family};
use super::jobs::Group;
use super::ptrace::Tracee;
use super::{Pid, Process, Thread, Usage};
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
    /// Whether a tracee, whatever its exit signal, can satisfy the request.
    fn covers_tracee(&self, tracee: &Tracee, group: &[Arc<Process>]) -> bool {
        let process = &tracee.thread.process;
        let targeted = match &self.target {
            WaitTarget::Any => true,
            WaitTarget::Pid(pid) => tracee.thread.tid() == *pid,
            WaitTarget::Group(_) => group.iter().any(|member| Arc::ptr_eq(member, process)),
            WaitTarget::Process(wanted) => Arc::ptr_eq(wanted, process) && tracee.thread.is_leader(),
        };
        targeted && (!self.options.contains(WaitOptions::__WNOTHREAD) || tracee.is_traced_by(self.by))
    }

    /// Whether a child, ended or not, can still have an event the caller asked for: of one that has ended, only its end is left.
    fn can_come(&self, has_ended: bool) -> bool {
        !has_ended || self.options.contains(WaitOptions::WEXITED)
    }

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
    /// Of a child that the process traces itself, the stops are those of the tracee.
    fn event_of(&self, child: &Child, tracees: &[Tracee]) -> Option<ChildEvent> {
        if let Some(status) = child.ended {
            return self.options.contains(WaitOptions::WEXITED).then_some(ChildEvent::Ended(status));
        }
        let consume = !self.options.contains(WaitOptions::WNOWAIT);
        let signals = &child.process.signals;
        let is_leader = |thread: &Thread| thread.is_leader() && Arc::ptr_eq(&thread.process, &child.process);
        let is_traced = tracees.iter().any(|tracee| is_leader(&tracee.thread));
        let wants_stop = self.options.contains(WaitOptions::WSTOPPED) && !is_traced;
        let stopped = wants_stop.then(|| signals.take_stopped(consume)).flatten();
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
            eligible |= request.can_come(child.ended.is_some());
            if let Some(event) = request.event_of(child, &family.tracees) {
                found = Some((child.process.clone(), event));
                break;
            }
        }
        if found.is_none() && !family.tracees.is_empty() {
            let (covers_any, report) = look_for_tracee(&mut family, request, &group);
            eligible |= covers_any;
            if let Some((report, tracee)) = report {
                drop(family);
                if let Some(tracee) = tracee {
                    tracee.bury();
                }
                return Ok(Some(report));
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

/// Looks through the tracees: whether any can satisfy the request, and an event of one of them. A tracee that has ended is
/// taken off the list and given back, to be buried.
fn look_for_tracee(
    family: &mut Family,
    request: &WaitRequest,
    group: &[Arc<Process>],
) -> (bool, Option<(WaitReport, Option<Tracee>)>) {
    let consume = !request.options.contains(WaitOptions::WNOWAIT);
    let wants_end = request.options.contains(WaitOptions::WEXITED);
    let mut covers_any = false;
    for index in 0..family.tracees.len() {
        let tracee = &family.tracees[index];
        if !request.covers_tracee(tracee, group) {
            continue;
        }
        covers_any |= request.can_come(tracee.ended.is_some());
        let Some(event) = tracee.event(wants_end, consume) else { continue };
        let process = &tracee.thread.process;
        let report = WaitReport { pid: tracee.thread.tid(), uid: process.uid(), event, usage: process.usage() };
        let has_ended = consume && matches!(event, ChildEvent::Ended(_));
        return (true, Some((report, has_ended.then(|| family.tracees.swap_remove(index)))));
    }
    (covers_any, None)
}
