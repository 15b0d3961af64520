//! The birth of threads and processes: clone(2), clone3(2), fork(2), vfork(2) (`copy_process()`).
//!
//! [`clone`] is a plain function that starts the new thread's future; nothing in it waits. The checks come in
//! Linux's order, and everything made on the way undoes itself when a later step fails: nobody else can see the new thread
//! before [`publish`].

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::ptrace::{PTRACE_EVENT_CLONE, PTRACE_EVENT_FORK, PTRACE_EVENT_VFORK};
use abi::sched::CloneFlags;

use super::vfork::{VforkWait, vfork_pair};
use super::{Private, Thread, run};
use crate::arch::UserContext;
use crate::fs::{Capabilities, Cred};
use crate::mem::frame;
use crate::mem::{AddressSpace, MapRequest, PAGE_SIZE, Prot, USER_END, UserOut};
use crate::process::limits::{INFINITY, Resource};
use crate::process::user::Charge;
use crate::process::{Holdings, Pid, PidReservation, Process, pidfd};
use crate::signal::{ProcessSignals, ThreadSignals, Work};

/// What the caller of clone(2) asks for, decoded and valid in itself.
#[derive(Clone, Copy, Default)]
pub struct CloneRequest<'a> {
    /// What is shared, and more.
    pub flags: CloneFlags,
    /// Number of the signal for the parent at the child's end; 0 for none.
    pub exit_signal: u8,
    /// The child's stack pointer; 0 for the caller's.
    pub stack_pointer: u64,
    /// For `CLONE_PARENT_SETTID`.
    pub parent_tid: u64,
    /// For `CLONE_CHILD_SETTID` and `CLONE_CHILD_CLEARTID`.
    pub child_tid: u64,
    /// For `CLONE_PIDFD`.
    pub pidfd: u64,
    /// For `CLONE_SETTLS`.
    pub tls: u64,
    /// The number the child is to have, from the innermost namespace outwards; there is one namespace.
    pub set_tid: &'a [Pid],
}

/// What clone gives its caller.
pub struct Born {
    /// The child's number.
    pub tid: Pid,
    /// What a vfork parent waits for.
    pub vfork: Option<VforkWait>,
}

/// Bytes of the stack a thread gets whose creator shares its memory and names no stack.
const OWN_STACK_BYTES: u64 = 2 << 20;

/// Makes a thread, in the caller's process or in a new one, and starts it.
///
/// Extension: with `CLONE_VM` and without `CLONE_VFORK`, a stack pointer of 0 would have two threads on one stack. The new
/// thread gets a stack of 2 MiB above a guard page instead, unmapped at its end.
pub fn clone(thread: &Arc<Thread>, private: &mut Private, request: &CloneRequest<'_>) -> Result<Born, Errno> {
    let flags = request.flags;
    check_flags(thread, flags)?;
    if thread.interrupted() {
        return Err(Errno::ERESTARTNOINTR);
    }
    if thread.policy().has_deadline() && !thread.policy().reset_on_fork {
        return Err(Errno::EAGAIN);
    }
    let charge = charge_user(thread, private)?;
    let mut child = copy_private(thread, private, request)?;
    check_namespaces(&private.cred, flags)?;
    let (context, own_stack) = child_context(&child.space, private, request)?;
    child.context = context;
    child.own_stack = own_stack.map(Box::new);
    if flags.contains(CloneFlags::CLONE_SETTLS) {
        if request.tls >= USER_END {
            return Err(release_stack(&child, Errno::EPERM));
        }
        child.live.set_fs_base(request.tls);
    }
    let reservation = reserve_tid(thread, private, request.set_tid).map_err(|error| release_stack(&child, error))?;
    let tid = reservation.pid();
    let newborn = make_thread(thread, private, &child, flags, tid, charge);
    let pidfd = make_pidfd(private, request, &newborn).map_err(|error| release_stack(&child, error))?;
    let vfork = flags.contains(CloneFlags::CLONE_VFORK).then(vfork_pair);
    let (released, waits) = vfork.unzip();
    child.vfork = released;
    let newborn = Arc::new(newborn);
    if thread.signals.is_traced() {
        thread.share_tracer(&newborn, birth_event(request), flags.contains(CloneFlags::CLONE_PTRACE));
    }
    if let Err(error) = publish(thread, &newborn, request, reservation) {
        thread.unshare_tracer(&newborn);
        pidfd.inspect(|fd| _ = private.files.close(*fd));
        return Err(release_stack(&child, error));
    }
    if flags.contains(CloneFlags::CLONE_PARENT_SETTID) {
        // Linux ignores a bad address here.
        let _ = UserOut::<i32>::new(request.parent_tid).write(&tid);
    }
    run::start(newborn, child);
    Ok(Born { tid, vfork: waits })
}

/// What a birth is to a tracer (`kernel_clone()`).
fn birth_event(request: &CloneRequest<'_>) -> Option<u8> {
    if request.flags.contains(CloneFlags::CLONE_UNTRACED) {
        return None;
    }
    Some(if request.flags.contains(CloneFlags::CLONE_VFORK) {
        PTRACE_EVENT_VFORK
    } else if u32::from(request.exit_signal) != abi::signal::SIGCHLD {
        PTRACE_EVENT_CLONE
    } else {
        PTRACE_EVENT_FORK
    })
}

/// The combinations copy_process() refuses, in its order.
fn check_flags(thread: &Thread, flags: CloneFlags) -> Result<(), Errno> {
    let all = |wanted: CloneFlags| flags.contains(wanted);
    let refused = all(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS)
        || all(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_FS)
        || all(CloneFlags::CLONE_THREAD) && !all(CloneFlags::CLONE_SIGHAND)
        || all(CloneFlags::CLONE_SIGHAND) && !all(CloneFlags::CLONE_VM)
        || all(CloneFlags::CLONE_PARENT) && thread.process.is_init()
        || all(CloneFlags::CLONE_THREAD) && flags.intersects(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID)
        || all(CloneFlags::CLONE_PIDFD) && flags.intersects(CloneFlags::CLONE_DETACHED | CloneFlags::CLONE_THREAD);
    if refused { Err(Errno::EINVAL) } else { Ok(()) }
}

/// The flags that ask for a namespace.
pub fn namespaces() -> CloneFlags {
    CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWCGROUP
        | CloneFlags::CLONE_NEWTIME
}

/// Only names have namespaces (`CLONE_NEWUTS`); others are refused as by a Linux built without them: after the privilege
/// check.
/// Errors: EPERM, EINVAL.
pub fn check_namespaces(cred: &Cred, flags: CloneFlags) -> Result<(), Errno> {
    if !flags.intersects(namespaces()) {
        return Ok(());
    }
    if !flags.contains(CloneFlags::CLONE_NEWUSER) && !cred.capable(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    if flags.intersects(namespaces() - CloneFlags::CLONE_NEWUTS) { Err(Errno::EINVAL) } else { Ok(()) }
}

/// RLIMIT_NPROC and the number of threads the machine takes. Errors: EAGAIN; ENOMEM when memory is all but used up.
fn charge_user(thread: &Thread, private: &Private) -> Result<Charge, Errno> {
    let charge = thread.charge_another();
    let limit = thread.process.limits.lock().get(Resource::Processes).soft;
    let exempt = private.cred.uid == 0
        || private.cred.capable(Capabilities::SYS_RESOURCE)
        || private.cred.capable(Capabilities::SYS_ADMIN);
    if charge.count() > limit && !exempt {
        return Err(Errno::EAGAIN);
    }
    if thread.process.table.thread_count() >= thread.process.table.max_threads() {
        return Err(Errno::EAGAIN);
    }
    frame::admit()?;
    Ok(charge)
}

/// The child's private half: its own or shared files, directory and memory. The registers follow.
fn copy_private(thread: &Thread, private: &Private, request: &CloneRequest<'_>) -> Result<Private, Errno> {
    let flags = request.flags;
    let files = if flags.contains(CloneFlags::CLONE_FILES) { private.files.clone() } else { private.files.fork() };
    let fs = if flags.contains(CloneFlags::CLONE_FS) { private.fs.clone() } else { private.fs.fork() };
    let space = if flags.contains(CloneFlags::CLONE_VM) { private.space.clone() } else { private.space.fork()? };
    let set_child_tid = if flags.contains(CloneFlags::CLONE_CHILD_SETTID) { request.child_tid } else { 0 };
    debug_assert!(thread.space().is_some_and(|seen| Arc::ptr_eq(&seen, &private.space)));
    Ok(Private {
        context: private.context,
        live: private.live.duplicate(),
        space,
        files,
        fs,
        cred: private.cred.clone(),
        exit: None,
        call: None,
        last_fault: private.last_fault,
        set_child_tid,
        own_stack: None,
        vfork: None,
        rseq: private.rseq.clone().filter(|_| !flags.contains(CloneFlags::CLONE_VM)),
    })
}

/// The child's registers, and the stack it was given if it needed one.
fn child_context(
    space: &AddressSpace,
    private: &Private,
    request: &CloneRequest<'_>,
) -> Result<(UserContext, Option<Range<u64>>), Errno> {
    let mut context = private.context;
    context.rax = 0;
    let shares_stack = request.flags & (CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK) == CloneFlags::CLONE_VM;
    if request.stack_pointer != 0 {
        context.rsp = request.stack_pointer;
    } else if shares_stack {
        let stack = map_own_stack(space)?;
        context.rsp = stack.end;
        return Ok((context, Some(stack)));
    }
    Ok((context, None))
}

/// A stack above a guard page.
fn map_own_stack(space: &AddressSpace) -> Result<Range<u64>, Errno> {
    let len = OWN_STACK_BYTES + PAGE_SIZE;
    let start = space.map(&MapRequest { len, prot: Prot::READ | Prot::WRITE, ..MapRequest::default() })?;
    let stack = start..start + len;
    match space.protect(start, PAGE_SIZE, Prot::empty()) {
        Ok(()) => Ok(stack),
        Err(error) => {
            let _ = space.unmap(stack.start, len);
            Err(error)
        }
    }
}

/// Takes back the stack made for a child that will not be, and passes the reason on.
fn release_stack(child: &Private, error: Errno) -> Errno {
    if let Some(stack) = &child.own_stack {
        let _ = child.space.unmap(stack.start, stack.end - stack.start);
    }
    error
}

/// The child's number: the next, or the one asked for (`alloc_pid()`).
fn reserve_tid(thread: &Thread, private: &Private, set_tid: &[Pid]) -> Result<PidReservation, Errno> {
    let table = &thread.process.table;
    match set_tid {
        [] => table.allocate(),
        [tid] => {
            if !table.is_valid(*tid) {
                return Err(Errno::EINVAL);
            }
            let capable = Capabilities::CHECKPOINT_RESTORE.union(Capabilities::SYS_ADMIN);
            if !private.cred.effective.intersects(capable) {
                return Err(Errno::EPERM);
            }
            table.allocate_exact(*tid)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// The child's shared half, in its creator's process or in a new one.
fn make_thread(
    thread: &Thread,
    private: &Private,
    child: &Private,
    flags: CloneFlags,
    tid: Pid,
    charge: Charge,
) -> Thread {
    let keeps_alt_stack = flags & (CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK) != CloneFlags::CLONE_VM;
    let alt_stack = if keeps_alt_stack { thread.signals.alt_stack() } else { Default::default() };
    let signals = ThreadSignals::new(tid, thread.signals.blocked(), alt_stack);
    let process = if flags.contains(CloneFlags::CLONE_THREAD) {
        thread.process.clone()
    } else {
        make_process(thread, private, flags, tid)
    };
    let holdings: Holdings = child.holdings();
    let newborn = Thread::new(process, signals, thread.child_params(), holdings, charge);
    newborn.inherit(thread);
    newborn.inherit_uts(thread, flags.contains(CloneFlags::CLONE_NEWUTS));
    newborn.has_rseq.store(child.rseq.is_some(), Ordering::Relaxed);
    if flags.contains(CloneFlags::CLONE_VM) && private.rseq.is_some() {
        // It is not the only thread of its memory any more.
        thread.signals.add_work(Work::RSEQ);
    }
    newborn
}

/// A new process after the image of the caller's.
fn make_process(thread: &Thread, private: &Private, flags: CloneFlags, pid: Pid) -> Arc<Process> {
    let parent = &thread.process;
    let actions = parent.signals.actions();
    let actions = if flags.contains(CloneFlags::CLONE_SIGHAND) { actions } else { Arc::new(actions.duplicate()) };
    if flags.contains(CloneFlags::CLONE_CLEAR_SIGHAND) {
        actions.reset(false);
    }
    let limits = *parent.limits.lock();
    let budget = crate::signal::Budget::of_user(private.cred.uid);
    let signals = ProcessSignals::new(actions, budget, limits.get(Resource::PendingSignals).soft);
    let process = Process::new(pid, parent.table.clone(), parent.group(), signals);
    process.inherit(parent);
    if limits.get(Resource::Cpu).soft != INFINITY {
        process.watch_cpu_time();
    }
    process
}

/// `CLONE_PIDFD`: a descriptor for the child, its number stored for the caller.
fn make_pidfd(private: &Private, request: &CloneRequest<'_>, newborn: &Thread) -> Result<Option<i32>, Errno> {
    if !request.flags.contains(CloneFlags::CLONE_PIDFD) {
        return Ok(None);
    }
    let limit = newborn.process.limits.lock().get(Resource::Files).soft;
    let file = pidfd::open(&newborn.process, false, &private.cred)?;
    let fd = private.files.install(file, true, limit)?;
    match UserOut::<i32>::new(request.pidfd).write(&fd) {
        Ok(()) => Ok(Some(fd)),
        Err(error) => {
            let _ = private.files.close(fd);
            Err(error)
        }
    }
}

/// Shows the new thread to the world. Errors: ERESTARTNOINTR if the caller has a signal to see to first, which may be one
/// that the child would have got had it existed.
fn publish(
    creator: &Arc<Thread>,
    newborn: &Arc<Thread>,
    request: &CloneRequest<'_>,
    reservation: PidReservation,
) -> Result<(), Errno> {
    let flags = request.flags;
    if flags.contains(CloneFlags::CLONE_CHILD_CLEARTID) {
        newborn.clear_child_tid.store(request.child_tid, Ordering::Relaxed);
    }
    let process = &newborn.process;
    if flags.contains(CloneFlags::CLONE_THREAD) {
        if !process.signals.add_thread(newborn.signals.clone(), Some(&creator.signals)) {
            return Err(Errno::ERESTARTNOINTR);
        }
        let mut threads = process.threads();
        newborn.inherit_filters(creator);
        threads.live.insert(newborn.tid(), newborn.clone());
        drop(threads);
        reservation.enter_thread(newborn);
        return Ok(());
    }
    newborn.inherit_filters(creator);
    if !process.signals.add_thread(newborn.signals.clone(), None) {
        return Err(Errno::ERESTARTNOINTR);
    }
    process.threads().live.insert(newborn.tid(), newborn.clone());
    let entered = enter_family(creator, process, request);
    if entered.is_err() {
        process.threads().live.clear();
        return entered;
    }
    reservation.enter_process(process, Some(newborn));
    Ok(())
}

/// Gives a new process its parent and its group.
fn enter_family(creator: &Thread, process: &Arc<Process>, request: &CloneRequest<'_>) -> Result<(), Errno> {
    let own = &creator.process;
    let shares_parent = request.flags.contains(CloneFlags::CLONE_PARENT);
    process.set_exit_signal(request.exit_signal);
    let sibling = shares_parent.then_some(&**own);
    let parent = loop {
        let parent = if shares_parent { own.parent().ok_or(Errno::EINVAL)? } else { own.clone() };
        let by = if shares_parent { own.parent_tid() } else { creator.tid() };
        if parent.adopt_newborn(process, by, sibling) {
            break parent;
        }
        if !shares_parent {
            return Err(Errno::ERESTARTNOINTR);
        }
    };
    process.enter_in_group_of(own, || creator.interrupted()).inspect_err(|_| parent.disown_newborn(process.pid))
}
