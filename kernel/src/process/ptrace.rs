//! Tracing, ptrace(2): who traces whom, and what tracer and tracee tell each other.
//!
//! A tracee is a thread, its tracer another one. Both know it: the tracee's [`Tracing`] (rank `Tracing`) names the tracer,
//! the tracer's process lists the tracee in its family (rank `Family`), which its waits go through. Both change together,
//! with the family locked first. A traced thread stops by leaving its registers in [`Tracing`] and waiting there until it is
//! resumed (`thread/trace.rs`); the tracer works on that copy, and never on the thread itself. What a stop means to job
//! control is in `signal/trace.rs`; the death of either side is at the end of this file.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::Errno;
use abi::ptrace::{PtraceOptions, PtraceRseqConfiguration, UserRegs};

use super::family::ChildEvent;
use super::{Pid, Process, Thread};
use crate::signal::{ExitStatus, Info, SIG_IGN, SaFlags, Signal, Trap};
use crate::sync::{Rank, SpinLock};

/// Reasons to look closer at every system call: traced threads, filters, and the kernel's own trace.
static WATCHES: AtomicUsize = AtomicUsize::new(0);

/// Whether any thread's system calls have to be looked at: the one question the hot path asks.
#[inline]
pub fn watches_calls() -> bool {
    WATCHES.load(Ordering::Relaxed) != 0
}

/// Has every system call looked at.
pub fn watch_calls() {
    WATCHES.fetch_add(1, Ordering::Relaxed);
}

/// One reason less.
pub(super) fn unwatch_calls() {
    WATCHES.fetch_sub(1, Ordering::Relaxed);
}

/// A thread's part in tracing.
pub struct Tracing {
    slot: SpinLock<Slot>,
}

/// Two words for a thread that nobody traces.
#[derive(Default)]
struct Slot {
    link: Option<Box<Link>>,
    /// Where it has stopped. Stays until the thread has taken it back, even if the tracer is gone by then.
    stop: Option<Box<Stop>>,
    /// The thread has ended: it traces nobody and is traced by nobody any more.
    is_over: bool,
}

/// What a traced thread knows of its tracer's wishes.
struct Link {
    tracer: Weak<Thread>,
    tracer_tid: Pid,
    options: PtraceOptions,
    mode: Mode,
    /// The system call it makes or made last.
    call: u64,
    /// A newborn to show the tracer: the event and the number.
    birth: Option<(u8, Pid)>,
    /// The tracer may trace programs that gain privileges.
    is_privileged: bool,
}

impl Link {
    fn new(tracer: &Arc<Thread>, options: PtraceOptions, is_privileged: bool) -> Box<Self> {
        watch_calls();
        Box::new(Self {
            tracer: Arc::downgrade(tracer),
            tracer_tid: tracer.tid(),
            options,
            mode: Mode::Continue,
            call: u64::MAX,
            birth: None,
            is_privileged,
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        unwatch_calls();
    }
}

/// How far a tracee runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// To its next signal or event.
    #[default]
    Continue,
    /// To its next system call, too.
    Calls,
    /// Through one instruction.
    Step,
}

/// A thread that has stopped for its tracer: all that the tracer may look at and change.
#[derive(Default)]
pub struct Stop {
    /// What wait reports: a signal, and above it what ptrace(2) adds.
    pub code: i32,
    /// `PTRACE_GETSIGINFO`; none in a group stop.
    pub info: Option<Info>,
    /// `PTRACE_GETEVENTMSG`.
    pub message: u64,
    /// The general registers and segment bases.
    pub registers: UserRegs,
    /// The XSAVE area in the standard format.
    pub xstate: Vec<u8>,
    /// Its area for restartable sequences.
    pub rseq: PtraceRseqConfiguration,
    /// The tracer has changed `xstate`.
    pub xstate_changed: bool,
    /// Only the tracer ends it, not even SIGKILL: the thread is on its way out already.
    pub is_last: bool,
    /// A wait has reported it.
    pub is_reported: bool,
    /// The signal to go on with, once the tracer has said so.
    pub resumed: Option<Option<Signal>>,
}

/// A tracee as its tracer's process lists it.
pub struct Tracee {
    /// The traced thread.
    pub thread: Arc<Thread>,
    /// The thread that traces it.
    by: Weak<Thread>,
    /// It has ended, with this status, and nobody has waited for it. If it is a leader, its whole process has.
    pub(super) ended: Option<ExitStatus>,
}

/// A traced leader that ended before other threads of its process.
pub struct TracedLeader {
    tracer: Weak<Thread>,
    leader: Arc<Thread>,
}

/// What a tracer attaches with.
#[derive(Clone, Copy, Default)]
pub struct Attach {
    /// By PTRACE_SEIZE: the tracee is not stopped.
    pub is_seized: bool,
    /// Options from the start.
    pub options: PtraceOptions,
    /// The tracer has `CAP_SYS_PTRACE`.
    pub is_privileged: bool,
}

impl Tracing {
    /// Of a thread that nobody traces.
    pub fn new() -> Self {
        Self { slot: SpinLock::new(Rank::Tracing, Slot::default()) }
    }

    fn tracer(&self) -> Option<Arc<Thread>> {
        self.slot.lock().link.as_ref()?.tracer.upgrade()
    }

    /// The tracer's number; 0 for none.
    pub fn tracer_tid(&self) -> Pid {
        self.slot.lock().link.as_ref().map_or(0, |link| link.tracer_tid)
    }

    /// Reads or changes the tracer's wishes, if there is a tracer.
    fn with_link<R>(&self, act: impl FnOnce(&mut Link) -> R) -> Option<R> {
        self.slot.lock().link.as_mut().map(|link| act(link))
    }

    /// How far the thread is to run.
    pub fn mode(&self) -> Mode {
        self.with_link(|link| link.mode).unwrap_or_default()
    }

    /// The tracer's options; none without a tracer.
    pub fn options(&self) -> PtraceOptions {
        self.with_link(|link| link.options).unwrap_or_default()
    }

    /// Whether a traced thread may gain privileges by execve(2) nevertheless.
    pub fn is_privileged(&self) -> bool {
        self.with_link(|link| link.is_privileged).unwrap_or(true)
    }

    /// The system call the thread makes or made last, for stops on its way.
    pub fn call(&self) -> u64 {
        self.with_link(|link| link.call).unwrap_or(u64::MAX)
    }

    /// Notes the system call the thread makes.
    pub fn set_call(&self, number: u64) {
        self.with_link(|link| link.call = number);
    }

    /// Has a newborn shown to the tracer, if it asked for such `event`s.
    fn note_birth(&self, event: u8, tid: Pid) {
        self.with_link(|link| link.birth = Some((event, tid)));
    }

    /// Takes the newborn to be shown: the event and its number.
    pub fn take_birth(&self) -> Option<(u8, Pid)> {
        self.with_link(|link| link.birth.take()).flatten()
    }

    /// Whether the stop is over: resumed, or ended by SIGKILL or by what PTRACE_LISTEN waits for.
    pub fn is_stop_over(&self, thread: &Thread) -> bool {
        let slot = self.slot.lock();
        slot.stop.as_ref().is_none_or(|stop| {
            stop.resumed.is_some() || !stop.is_last && thread.signals.is_killed() || thread.signals.has_heard()
        })
    }

    /// Takes the stop back, with what the tracer has changed, and the signal to go on with.
    pub fn take_stop(&self) -> Option<(Box<Stop>, Option<Signal>)> {
        let stop = self.slot.lock().stop.take()?;
        let signal = stop.resumed.flatten();
        Some((stop, signal))
    }
}

impl Default for Tracing {
    fn default() -> Self {
        Self::new()
    }
}

impl Slot {
    fn is_traced_by(&self, tracer: &Arc<Thread>) -> bool {
        self.link.as_ref().is_some_and(|link| core::ptr::eq(link.tracer.as_ptr(), Arc::as_ptr(tracer)))
    }

    /// The stop, unless the thread is about to go on.
    fn stopped(&mut self) -> Option<&mut Stop> {
        self.stop.as_deref_mut().filter(|stop| stop.resumed.is_none())
    }

    /// Ends the relation; a stopped thread goes on with `signal`, or with what stopped it if that was never reported.
    fn unlink(&mut self, signal: Option<Option<Signal>>) -> Option<Box<Link>> {
        if let Some(stop) = self.stopped() {
            let unseen = if stop.is_reported { None } else { Signal::from_i32(stop.code) };
            stop.resumed = Some(signal.unwrap_or(unseen));
        }
        self.link.take()
    }
}

/// Making and ending the relation.
impl Thread {
    /// Makes `self` the tracer of `target` (the core of `ptrace_attach()`). Errors: EPERM if it has one, or has ended.
    pub fn attach(self: &Arc<Self>, target: &Arc<Thread>, attach: Attach) -> Result<(), Errno> {
        let mut family = self.process.family.lock();
        if self.is_over() {
            return Err(Errno::ESRCH);
        }
        {
            let mut slot = target.tracing.slot.lock();
            if slot.is_over || slot.link.is_some() {
                return Err(Errno::EPERM);
            }
            slot.link = Some(Link::new(self, attach.options, attach.is_privileged));
            target.process.signals.attach(&target.signals, attach.is_seized);
        }
        family.tracees.push(Tracee { thread: target.clone(), by: Arc::downgrade(self), ended: None });
        Ok(())
    }

    /// Makes the thread that made this one's process its tracer (`ptrace_traceme()`). Errors: EPERM if it has one. A
    /// parent that ends, or is the kernel's own, is none.
    pub fn trace_me(self: &Arc<Self>) -> Result<(), Errno> {
        if self.signals.is_traced() {
            return Err(Errno::EPERM);
        }
        let Some(tracer) = self.process.table.thread(self.process.parent_tid()) else { return Ok(()) };
        match tracer.attach(self, Attach { is_privileged: true, ..Attach::default() }) {
            Err(Errno::ESRCH) => Ok(()),
            attached => attached,
        }
    }

    /// A traced thread has made another, which nobody knows yet: its tracer gets that one, too, if it asked for `event`s
    /// or `always` (`ptrace_init_task()`).
    pub fn share_tracer(self: &Arc<Self>, newborn: &Arc<Thread>, event: Option<u8>, always: bool) {
        let Some(tracer) = self.tracing.tracer() else { return };
        let event = event.filter(|event| self.tracing.options().bits() & 1 << event != 0);
        if event.is_none() && !always {
            return;
        }
        let mut family = tracer.process.family.lock();
        let wishes = self.tracing.with_link(|link| (link.options, link.is_privileged));
        let Some((options, is_privileged)) = wishes.filter(|_| !tracer.is_over()) else { return };
        newborn.tracing.slot.lock().link = Some(Link::new(&tracer, options, is_privileged));
        newborn.signals.attach_newborn(self.signals.is_seized());
        family.tracees.push(Tracee { thread: newborn.clone(), by: Arc::downgrade(&tracer), ended: None });
        drop(family);
        if let Some(event) = event {
            self.tracing.note_birth(event, newborn.tid());
        }
    }

    /// Undoes [`Thread::share_tracer`]: the newborn will not be.
    pub fn unshare_tracer(self: &Arc<Self>, newborn: &Arc<Thread>) {
        if !newborn.signals.is_traced() {
            return;
        }
        self.tracing.take_birth();
        newborn.end_tracing(ExitStatus::exited(0));
        if let Some(tracer) = self.tracing.tracer() {
            tracer.process.forget_tracee(newborn);
        }
    }

    /// Whether it has ended as far as tracing goes.
    pub(super) fn is_over(&self) -> bool {
        self.tracing.slot.lock().is_over
    }

    /// Runs `act` on a tracee of the caller, with its stop if it is stopped (`ptrace_check_attach()`). Errors: ESRCH, if
    /// it is none.
    fn with_tracee<R>(self: &Arc<Self>, target: &Thread, act: impl FnOnce(&mut Slot) -> R) -> Result<R, Errno> {
        let mut slot = target.tracing.slot.lock();
        if slot.is_traced_by(self) { Ok(act(&mut slot)) } else { Err(Errno::ESRCH) }
    }

    /// Whether `target` is a tracee of the caller, stopped or not. Errors: ESRCH.
    pub fn check_tracee(self: &Arc<Self>, target: &Thread) -> Result<(), Errno> {
        self.with_tracee(target, |_| ())
    }

    /// Runs `act` on the stop of a tracee. The tracee stays stopped meanwhile. Errors: ESRCH unless it is one, and
    /// stopped where its tracer can reach it.
    pub fn with_stop<R>(self: &Arc<Self>, target: &Thread, act: impl FnOnce(&mut Stop) -> R) -> Result<R, Errno> {
        let act = |slot: &mut Slot| {
            let reachable = !target.signals.is_listening() && !target.signals.is_killed_but_for(slot);
            slot.stopped().filter(|_| reachable).map(act).ok_or(Errno::ESRCH)
        };
        self.with_tracee(target, act)?
    }

    /// Sets the options of a stopped tracee. Errors: ESRCH.
    pub fn set_trace_options(self: &Arc<Self>, target: &Thread, options: PtraceOptions) -> Result<(), Errno> {
        self.with_stop(target, |_| ())?;
        self.with_tracee(target, |slot| slot.link.as_mut().map(|link| link.options = options)).map(|_| ())
    }

    /// Has a stopped tracee go on. Errors: ESRCH.
    pub fn resume(self: &Arc<Self>, target: &Thread, mode: Mode, signal: Option<Signal>) -> Result<(), Errno> {
        self.with_stop(target, |_| ())?;
        let resume = |slot: &mut Slot| {
            let stop = slot.stopped().ok_or(Errno::ESRCH)?;
            stop.resumed = Some(signal);
            slot.link.as_mut().map(|link| link.mode = mode).ok_or(Errno::ESRCH)
        };
        self.with_tracee(target, resume)??;
        target.wake();
        Ok(())
    }

    /// PTRACE_LISTEN: a seized thread in a group stop stays there, and its tracer hears of the stop's end. Errors: ESRCH,
    /// EIO in another stop.
    pub fn listen(self: &Arc<Self>, target: &Thread) -> Result<(), Errno> {
        let is_group_stop =
            self.with_stop(target, |stop| stop.info.is_some_and(|info| info.code >> 8 == EVENT_STOP))?;
        if !is_group_stop || !target.signals.is_seized() {
            return Err(Errno::EIO);
        }
        target.process.signals.listen(&target.signals);
        Ok(())
    }

    /// Lets a stopped tracee go, with `signal`. Errors: ESRCH.
    pub fn detach(self: &Arc<Self>, target: &Arc<Thread>, signal: Option<Signal>) -> Result<(), Errno> {
        self.with_stop(target, |_| ())?;
        let mut family = self.process.family.lock();
        let link = self.with_tracee(target, |slot| slot.unlink(Some(signal)))?;
        family.tracees.retain(|tracee| !Arc::ptr_eq(&tracee.thread, target));
        drop(family);
        drop(link);
        target.process.signals.detach(&target.signals);
        Ok(())
    }
}

/// `PTRACE_EVENT_STOP`, above a signal's number.
const EVENT_STOP: i32 = abi::ptrace::PTRACE_EVENT_STOP as i32;

impl crate::signal::ThreadSignals {
    /// Whether the thread is about to leave its stop because it is killed.
    fn is_killed_but_for(&self, slot: &Slot) -> bool {
        self.is_killed() && slot.stop.as_ref().is_none_or(|stop| !stop.is_last)
    }
}

/// Stopping, and telling of it.
impl Thread {
    /// Stops the calling thread for its tracer, who is told. `false` without a tracer, or if the thread is killed: it goes
    /// on. Afterwards the thread waits until [`Tracing::is_stop_over`] (`ptrace_stop()`).
    pub fn begin_stop(self: &Arc<Self>, stop: Box<Stop>, trap: Trap) -> bool {
        let Some(tracer) = self.tracing.tracer() else { return false };
        let mut code = stop.code;
        let family = tracer.process.family.lock();
        {
            let mut slot = self.tracing.slot.lock();
            if !slot.is_traced_by(&tracer) || !stop.is_last && self.signals.is_killed() {
                return false;
            }
            slot.stop = Some(stop);
        }
        let news = self.process.signals.begin_trap(&self.signals, trap);
        if trap == Trap::Event {
            code &= 0x7f;
        }
        self.tell_tracer(&tracer.process, trap, code);
        drop(family);
        tracer.process.child_events.wake_all();
        let is_elsewhere = self.process.parent().is_none_or(|parent| !Arc::ptr_eq(&parent, &tracer.process));
        if let Some(news) = news.filter(|_| is_elsewhere) {
            self.process.report_to_parent(news);
        }
        true
    }

    /// SIGCHLD for a tracer, whose family is locked (`do_notify_parent_cldstop()`).
    fn tell_tracer(&self, tracer: &Process, trap: Trap, code: i32) {
        let action = tracer.signals.actions().get(Signal::CHLD);
        if action.handler == SIG_IGN || action.has(SaFlags::SA_NOCLDSTOP) {
            return;
        }
        let event = match Signal::from_i32(code & 0x7f) {
            Some(signal) if trap != Trap::Event => ChildEvent::Stopped(signal),
            _ => ChildEvent::Trapped(code),
        };
        let info = self.process.child_info(Signal::CHLD, event).with_pid(self.tid());
        // A standard signal always finds room.
        let _ = tracer.signals.send(Signal::CHLD, info);
    }
}

impl Tracee {
    /// Whether the calling thread's wait is for this one: as for children, `__WNOTHREAD` leaves out those of others.
    pub(super) fn is_traced_by(&self, tid: Pid) -> bool {
        self.by.upgrade().is_some_and(|tracer| tracer.tid() == tid)
    }

    /// Its event: the end, if `wants_end`, or a stop, which is consumed if `consume`.
    pub(super) fn event(&self, wants_end: bool, consume: bool) -> Option<ChildEvent> {
        if let Some(status) = self.ended {
            return wants_end.then_some(ChildEvent::Ended(status));
        }
        let mut slot = self.thread.tracing.slot.lock();
        let stop = slot.stopped().filter(|stop| !stop.is_reported)?;
        stop.is_reported = consume;
        Some(ChildEvent::Trapped(stop.code))
    }
}

impl Drop for Tracee {
    /// The tracer has waited for its end, or never will: the number of a thread that is gone may be given to another.
    fn drop(&mut self) {
        if self.ended.is_some() && !self.thread.is_leader() {
            self.thread.process.table.let_go(self.thread.tid());
        }
    }
}

impl Tracee {
    /// The tracer has waited for its end: now a leader's parent learns of it.
    pub(super) fn bury(self) {
        if self.thread.is_leader() {
            self.thread.process.announce_end();
        }
    }
}

/// The end of tracers and tracees.
impl Thread {
    /// The thread ends and traces nobody any more: its tracees go on without it, or are killed if it asked for that
    /// (`exit_ptrace()`).
    pub fn release_tracees(self: &Arc<Self>) {
        self.tracing.slot.lock().is_over = true;
        let mine = |tracee: &mut Tracee| core::ptr::eq(tracee.by.as_ptr(), Arc::as_ptr(self));
        let tracees: Vec<_> = self.process.family.lock().tracees.extract_if(.., mine).collect();
        for tracee in tracees {
            let target = tracee.thread.clone();
            if target.tracing.options().contains(PtraceOptions::PTRACE_O_EXITKILL) {
                // Signals from the kernel always find room.
                let _ = target.process.signals.send(Signal::KILL, Info::from_kernel(Signal::KILL));
            }
            let link = target.tracing.slot.lock().unlink(None);
            if link.is_some() {
                target.process.signals.detach(&target.signals);
            }
            if tracee.ended.is_some() {
                tracee.bury();
            }
        }
    }

    /// The thread has ended and is traced no more: its tracer is told, of a leader when the whole process has ended.
    pub fn end_tracing(self: &Arc<Self>, status: ExitStatus) {
        let link = {
            let mut slot = self.tracing.slot.lock();
            slot.is_over = true;
            slot.link.take()
        };
        let Some(link) = link else { return };
        let tracer = link.tracer.clone();
        if self.is_leader() {
            self.process.threads().traced_leader = Some(TracedLeader { tracer, leader: self.clone() });
        } else if let Some(tracer) = tracer.upgrade() {
            let (table, tid) = (&self.process.table, self.tid());
            // Before the tracer can have waited.
            table.hold(tid);
            if !tracer.process.record_end(self, status) {
                table.let_go(tid);
            }
        }
    }
}

impl Process {
    /// Notes with the tracer that a tracee has ended. `false` if it is none any more.
    fn record_end(&self, thread: &Arc<Thread>, status: ExitStatus) -> bool {
        let mut family = self.family.lock();
        let Some(tracee) = family.tracees.iter_mut().find(|tracee| Arc::ptr_eq(&tracee.thread, thread)) else {
            return false;
        };
        tracee.ended = Some(status);
        let info = thread.process.child_info(Signal::CHLD, ChildEvent::Ended(status)).with_pid(thread.tid());
        // A standard signal always finds room.
        let _ = self.signals.send(Signal::CHLD, info);
        drop(family);
        self.child_events.wake_all();
        true
    }

    /// Takes a thread off the list of tracees.
    fn forget_tracee(&self, thread: &Arc<Thread>) {
        let gone: Vec<_> =
            self.family.lock().tracees.extract_if(.., |tracee| Arc::ptr_eq(&tracee.thread, thread)).collect();
        drop(gone);
    }

    /// The process has ended: if its leader was traced by other than its parent, that tracer learns of it first, and the
    /// parent once the tracer has waited (`exit_notify()` with `ptrace_reparented()`).
    pub(super) fn ends_for_tracer(&self, status: ExitStatus) -> bool {
        let Some(traced) = self.threads().traced_leader.take() else { return false };
        let Some(tracer) = traced.tracer.upgrade() else { return false };
        if self.parent().is_some_and(|parent| Arc::ptr_eq(&parent, &tracer.process)) {
            tracer.process.forget_tracee(&traced.leader);
            return false;
        }
        tracer.process.record_end(&traced.leader, status)
    }

    /// A thread has taken the place of the ended leader, at execve(2): the leader's tracer hears no more of it.
    pub fn forget_traced_leader(&self) {
        let traced = self.threads().traced_leader.take();
        if let Some(TracedLeader { tracer, leader }) = traced
            && let Some(tracer) = tracer.upgrade()
        {
            tracer.process.forget_tracee(&leader);
            tracer.process.child_events.wake_all();
        }
    }
}
