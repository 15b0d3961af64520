//! Signals: actions, masks, waiting for them, sending them, returning from handlers.

use core::future::pending;

use abi::Errno;
use abi::fcntl::OpenFlags;
use abi::poll::SfdFlags;
use abi::signal::{SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGSET_BYTES, SigAction, SigInfo, StackT};
use abi::time::Timespec;

use super::args::{Flags, Pointer};
use super::{Cx, SyscallResult};
use crate::fs::pseudo::anonymous_file;
use crate::mem::{UserIn, UserOut, UserSlice};
use crate::process::Pid;
use crate::process::signal::Sender;
use crate::process::signalfd::SignalFd;
use crate::signal::{Action, AltStack, Info, RestartBlock, SaFlags, SigSet, Signal, code};
use crate::sync::executor;
use crate::thread::frame;
use crate::time;

/// The flags the kernel keeps; the others read back as clear, so that programs can probe (`UAPI_SA_FLAGS`).
const KEPT_FLAGS: SaFlags = SaFlags::all().difference(SaFlags::SA_UNSUPPORTED);

/// Refuses a signal set of another size than the kernel's.
fn check_set_size(bytes: usize) -> Result<(), Errno> {
    if bytes == SIGSET_BYTES as usize { Ok(()) } else { Err(Errno::EINVAL) }
}

fn read_set(set: Pointer) -> Result<SigSet, Errno> {
    UserIn::<u64>::new(set.0).read().map(SigSet::from_bits)
}

/// The signal to send: `None` for zero, which only checks. Errors: EINVAL.
fn sendable(number: i32) -> Result<Option<Signal>, Errno> {
    if number == 0 { Ok(None) } else { Signal::from_i32(number).map(Some).ok_or(Errno::EINVAL) }
}

/// rt_sigaction(2), in the order of `do_sigaction()`. Errors: EINVAL, EFAULT.
pub fn sys_rt_sigaction(cx: &mut Cx<'_>, number: i32, new: Pointer, old: Pointer, set_bytes: usize) -> SyscallResult {
    check_set_size(set_bytes)?;
    let new = UserIn::<SigAction>::new(new.0).read_optional()?;
    let signal = Signal::from_i32(number).ok_or(Errno::EINVAL)?;
    if new.is_some() && SigSet::UNBLOCKABLE.contains(signal) {
        return Err(Errno::EINVAL);
    }
    let new = new.map(|new| Action {
        handler: new.sa_handler,
        flags: SaFlags::from_bits_truncate(new.sa_flags) & KEPT_FLAGS,
        restorer: new.sa_restorer,
        mask: SigSet::from_bits(new.sa_mask).without(SigSet::UNBLOCKABLE),
    });
    let was = cx.process().signals.change_action(signal, new)?;
    let was = SigAction {
        sa_handler: was.handler,
        sa_flags: was.flags.bits(),
        sa_restorer: was.restorer,
        sa_mask: was.mask.bits(),
    };
    UserOut::<SigAction>::new(old.0).write_optional(&was)?;
    Ok(0)
}

/// rt_sigprocmask(2). Errors: EINVAL, EFAULT.
pub fn sys_rt_sigprocmask(cx: &mut Cx<'_>, how: u32, new: Pointer, old: Pointer, set_bytes: usize) -> SyscallResult {
    check_set_size(set_bytes)?;
    let signals = &cx.thread.signals;
    let was = signals.blocked();
    if new.0 != 0 {
        let set = read_set(new)?.without(SigSet::UNBLOCKABLE);
        let blocked = match how {
            SIG_BLOCK => was | set,
            SIG_UNBLOCK => was.without(set),
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        cx.process().signals.set_blocked(signals, blocked);
    }
    UserOut::<u64>::new(old.0).write_optional(&was.bits())?;
    Ok(0)
}

/// rt_sigpending(2): a shorter set than the kernel's is filled as far as it goes. Errors: EINVAL, EFAULT.
pub fn sys_rt_sigpending(cx: &mut Cx<'_>, set: Pointer, set_bytes: usize) -> SyscallResult {
    if set_bytes > SIGSET_BYTES as usize {
        return Err(Errno::EINVAL);
    }
    let signals = &cx.thread.signals;
    let pending = cx.process().signals.pending_for(signals) & signals.blocked();
    let bytes = &pending.bits().to_le_bytes()[..set_bytes];
    let copied = UserSlice::new(set.0, bytes.len() as u64).write_at(0, bytes);
    if copied == bytes.len() { Ok(0) } else { Err(Errno::EFAULT) }
}

/// rt_sigsuspend(2). Waits until a signal outside the mask is there. Errors: EINVAL, EFAULT, EINTR.
pub async fn sys_rt_sigsuspend(cx: &mut Cx<'_>, set: Pointer, set_bytes: usize) -> SyscallResult {
    check_set_size(set_bytes)?;
    let set = read_set(set)?;
    set_temporary_mask(cx, set);
    let _ = cx.interruptible(pending::<()>()).await;
    Err(Errno::ERESTARTNOHAND)
}

/// Replaces the caller's mask until the call is over: it is undone on the way to user mode, or, if a handler runs,
/// by its rt_sigreturn(2) (`set_user_sigmask()`). For calls that fail with ERESTARTNOHAND when interrupted.
pub fn set_temporary_mask(cx: &Cx<'_>, mask: SigSet) {
    let was = cx.process().signals.set_blocked(&cx.thread.signals, mask);
    cx.thread.signals.save_mask(was);
}

/// pause(2). Waits for a signal. Errors: EINTR.
pub async fn sys_pause(cx: &mut Cx<'_>) -> SyscallResult {
    let _ = cx.interruptible(pending::<()>()).await;
    Err(Errno::ERESTARTNOHAND)
}

/// rt_sigtimedwait(2), in the order of `do_sigtimedwait()`. Waits for one of the signals, for another that has
/// a handler, or for the time to pass. Errors: EINVAL, EFAULT, EAGAIN, EINTR.
pub async fn sys_rt_sigtimedwait(
    cx: &mut Cx<'_>,
    set: Pointer,
    info: Pointer,
    timeout: Pointer,
    set_bytes: usize,
) -> SyscallResult {
    check_set_size(set_bytes)?;
    let wanted = read_set(set)?.without(SigSet::UNBLOCKABLE);
    let timeout = UserIn::<Timespec>::new(timeout.0).read_optional()?;
    let timeout_ns = timeout.map(|timeout| timeout.to_ns().ok_or(Errno::EINVAL)).transpose()?;
    let (process, signals) = (&cx.process().signals, &cx.thread.signals);
    let mut taken = process.take(signals, wanted);
    let mut nothing = Errno::EAGAIN;
    if taken.is_none() && timeout_ns != Some(0) {
        let deadline_ns = timeout_ns.map_or(u64::MAX, |timeout_ns| time::monotonic_ns().saturating_add(timeout_ns));
        process.begin_timed_wait(signals, wanted);
        let is_timed_out = cx.interruptible(executor::timeout_at(deadline_ns, pending::<()>())).await.is_ok();
        taken = process.end_timed_wait(signals, wanted);
        nothing = if is_timed_out { Errno::EAGAIN } else { Errno::EINTR };
    }
    let taken = taken.ok_or(nothing)?;
    UserOut::<SigInfo>::new(info.0).write_optional(&taken.to_user())?;
    Ok(taken.signo.unsigned_abs() as usize)
}

/// Sends on behalf of the caller.
fn sender<'a>(cx: &'a Cx<'_>) -> Sender<'a> {
    Sender { process: cx.process(), cred: &cx.private.cred }
}

/// kill(2), in the order of `kill_something_info()`: the target first, then the signal's number. Errors: ESRCH,
/// EINVAL, EPERM.
pub fn sys_kill(cx: &mut Cx<'_>, pid: Pid, number: i32) -> SyscallResult {
    let sender = sender(cx);
    let Ok(signal) = sendable(number) else {
        // A number that is no signal is found out at the first target.
        sender.find(pid)?;
        return Err(Errno::EINVAL);
    };
    sender.send_by_number(pid, signal, signal.map(|signal| sender.info(signal, code::SI_USER)))?;
    Ok(0)
}

/// tkill(2). Errors: EINVAL, ESRCH, EPERM, EAGAIN.
pub fn sys_tkill(cx: &mut Cx<'_>, tid: Pid, number: i32) -> SyscallResult {
    if tid <= 0 {
        return Err(Errno::EINVAL);
    }
    send_to_thread(cx, None, tid, number)
}

/// tgkill(2). Errors: EINVAL, ESRCH, EPERM, EAGAIN.
pub fn sys_tgkill(cx: &mut Cx<'_>, tgid: Pid, tid: Pid, number: i32) -> SyscallResult {
    if tid <= 0 || tgid <= 0 {
        return Err(Errno::EINVAL);
    }
    send_to_thread(cx, Some(tgid), tid, number)
}

fn send_to_thread(cx: &Cx<'_>, tgid: Option<Pid>, tid: Pid, number: i32) -> SyscallResult {
    let sender = sender(cx);
    let target = match sender.find_thread(tgid, tid) {
        Ok(target) => target,
        // A leader that has ended is there until it has been waited for; whatever it is sent is lost.
        Err(error) => {
            let process =
                cx.process().table.process(tid).filter(|_| tgid.is_none_or(|tgid| tgid == tid)).ok_or(error)?;
            let signal = sendable(number)?;
            return sender.check_ended(&process, signal).map(|()| 0);
        }
    };
    let signal = sendable(number)?;
    sender.send_to_thread(&target, signal, signal.map(|signal| sender.info(signal, code::SI_TKILL)))?;
    Ok(0)
}

/// What rt_sigqueueinfo(2) and rt_tgsigqueueinfo(2) pass on. Only to itself may a process pretend that a signal
/// comes from the kernel, from kill(2) or tkill(2); `is_self` tells. Errors: EFAULT, E2BIG, EPERM.
fn read_info(info: Pointer, number: i32, is_self: bool) -> Result<Info, Errno> {
    let user = UserIn::<SigInfo>::new(info.0).read()?;
    let mut info = Info::from_user(&user).ok_or(Errno::E2BIG)?;
    info.signo = number;
    let is_forged = info.code >= 0 || info.code == code::SI_TKILL;
    if is_forged && !is_self { Err(Errno::EPERM) } else { Ok(info) }
}

/// rt_sigqueueinfo(2). Errors: EFAULT, E2BIG, EPERM, ESRCH, EINVAL, EAGAIN.
pub fn sys_rt_sigqueueinfo(cx: &mut Cx<'_>, pid: Pid, number: i32, info: Pointer) -> SyscallResult {
    let info = read_info(info, number, cx.thread.tid() == pid)?;
    let sender = sender(cx);
    if pid <= 0 {
        return Err(Errno::ESRCH);
    }
    sender.find(pid)?;
    sender.send_to_process(pid, sendable(number)?, Some(info))?;
    Ok(0)
}

/// rt_tgsigqueueinfo(2). Errors: EFAULT, E2BIG, EINVAL, EPERM, ESRCH, EAGAIN.
pub fn sys_rt_tgsigqueueinfo(cx: &mut Cx<'_>, tgid: Pid, tid: Pid, number: i32, info: Pointer) -> SyscallResult {
    if tid <= 0 || tgid <= 0 {
        UserIn::<SigInfo>::new(info.0).read()?;
        return Err(Errno::EINVAL);
    }
    let info = read_info(info, number, cx.thread.tid() == tid)?;
    let sender = sender(cx);
    let target = sender.find_thread(Some(tgid), tid)?;
    sender.send_to_thread(&target, sendable(number)?, Some(info))?;
    Ok(0)
}

/// sigaltstack(2), in the order of `do_sigaltstack()`. Errors: EFAULT, EPERM, EINVAL, ENOMEM.
pub fn sys_sigaltstack(cx: &mut Cx<'_>, new: Pointer, old: Pointer) -> SyscallResult {
    let new = UserIn::<StackT>::new(new.0).read_optional()?;
    let stack_pointer = cx.private.context.rsp;
    let signals = &cx.thread.signals;
    let was = signals.alt_stack();
    if let Some(new) = new {
        signals.change_alt_stack(AltStack::from(new), stack_pointer)?;
    }
    let flags = was.status(stack_pointer) | was.flags & AltStack::SS_AUTODISARM;
    UserOut::<StackT>::new(old.0).write_optional(&AltStack { flags, ..was }.into())?;
    Ok(0)
}

/// rt_sigreturn(2). Never fails: a frame that cannot be returned to is SIGSEGV.
pub fn sys_rt_sigreturn(cx: &mut Cx<'_>) -> SyscallResult {
    let (process, signals) = (&cx.process().signals, &cx.thread.signals);
    match frame::pop(process, signals, cx.private) {
        Ok(rax) => Ok(rax as usize),
        Err(_) => {
            process.force(signals, Signal::SEGV, Info::from_kernel(Signal::SEGV));
            Ok(0)
        }
    }
}

/// signalfd(2): without flags.
pub fn sys_signalfd(cx: &mut Cx<'_>, fd: i32, set: Pointer, set_bytes: usize) -> SyscallResult {
    make_signalfd(cx, fd, set, set_bytes, SfdFlags::empty())
}

/// signalfd4(2), in the order of `do_signalfd4()`. Errors: EINVAL, EFAULT, EBADF, EMFILE.
pub fn sys_signalfd4(cx: &mut Cx<'_>, fd: i32, set: Pointer, set_bytes: usize, flags: Flags) -> SyscallResult {
    check_set_size(set_bytes)?;
    read_set(set)?;
    let flags = SfdFlags::from_bits(flags.0).ok_or(Errno::EINVAL)?;
    make_signalfd(cx, fd, set, set_bytes, flags)
}

/// Makes a signalfd, or gives another set to one that exists.
fn make_signalfd(cx: &mut Cx<'_>, fd: i32, set: Pointer, set_bytes: usize, flags: SfdFlags) -> SyscallResult {
    check_set_size(set_bytes)?;
    let wanted = read_set(set)?;
    if fd != -1 {
        let file = cx.file(fd)?;
        file.downcast::<SignalFd>().ok_or(Errno::EINVAL)?.set_wanted(wanted);
        return Ok(fd.unsigned_abs() as usize);
    }
    let mut open = OpenFlags::O_RDWR;
    open.set(OpenFlags::O_NONBLOCK, flags.contains(SfdFlags::SFD_NONBLOCK));
    let signals = SignalFd::new(cx.process(), wanted);
    let file = anonymous_file(signals, "[signalfd]", open, &cx.private.cred);
    cx.install(file, flags.contains(SfdFlags::SFD_CLOEXEC))
}

/// restart_syscall(2): what a call that failed with ERESTART_RESTARTBLOCK left to be continued. Errors: EINTR if
/// nothing was left, and those of the call.
pub async fn sys_restart_syscall(cx: &mut Cx<'_>) -> SyscallResult {
    match cx.thread.signals.take_restart() {
        RestartBlock::Nanosleep { clock, deadline_ns, remaining } => {
            super::timer::continue_nanosleep(cx, clock, deadline_ns, remaining).await
        }
        RestartBlock::Poll { fds, count, deadline_ns } => {
            super::poll::resume_poll(cx, Pointer(fds), count, deadline_ns).await
        }
        RestartBlock::Futex { address, value, bitset, flags, deadline_ns } => {
            super::futex::restart_wait(cx, address, value, bitset, flags, deadline_ns).await
        }
        RestartBlock::None => Err(Errno::EINTR),
    }
}
