//! Who is who: pids, parents, groups and sessions, pidfds.

use abi::Errno;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::sched::CloneFlags;
use abi::signal::SigInfo;

use super::args::{Flags, Pointer};
use super::{Cx, SyscallResult};
use crate::fs::{Capabilities, OpenFlags};
use crate::mem::UserIn;
use crate::process::limits::Resource;
use crate::process::signal::Sender;
use crate::process::{Pid, Process, pidfd, uts};
use crate::procfs;
use crate::signal::{Info, Signal, code};
use crate::thread::clone;

/// A pid as a return value. Pids are positive, so nothing is lost.
fn encode(pid: Pid) -> SyscallResult {
    Ok(pid.unsigned_abs() as usize)
}

/// getpid(2). Never fails.
pub fn sys_getpid(cx: &mut Cx<'_>) -> SyscallResult {
    encode(cx.process().pid)
}

/// gettid(2). Never fails.
pub fn sys_gettid(cx: &mut Cx<'_>) -> SyscallResult {
    encode(cx.thread.tid())
}

/// getppid(2). Never fails.
pub fn sys_getppid(cx: &mut Cx<'_>) -> SyscallResult {
    encode(cx.process().parent_pid())
}

/// The process meant by a pid, 0 being the caller's. A thread's number means its process. Errors: ESRCH.
fn find(cx: &Cx<'_>, pid: Pid) -> Result<Arc<Process>, Errno> {
    match pid {
        0 => Ok(cx.process().clone()),
        pid => cx.process().table.process_of(pid).ok_or(Errno::ESRCH),
    }
}

/// getpgrp(2). Never fails.
pub fn sys_getpgrp(cx: &mut Cx<'_>) -> SyscallResult {
    encode(cx.process().group().id)
}

/// getpgid(2). Errors: ESRCH.
pub fn sys_getpgid(cx: &mut Cx<'_>, pid: i32) -> SyscallResult {
    encode(find(cx, pid)?.group().id)
}

/// getsid(2). Errors: ESRCH.
pub fn sys_getsid(cx: &mut Cx<'_>, pid: i32) -> SyscallResult {
    encode(find(cx, pid)?.session().id)
}

/// setpgid(2). Errors: EINVAL, ESRCH, EPERM, EACCES. Order: `sys_setpgid()`.
pub fn sys_setpgid(cx: &mut Cx<'_>, pid: i32, group: i32) -> SyscallResult {
    let own = cx.process();
    let pid = if pid == 0 { own.pid } else { pid };
    let group = if group == 0 { pid } else { group };
    if group < 0 {
        return Err(Errno::EINVAL);
    }
    let target = own.table.process_of(pid).ok_or(Errno::ESRCH)?;
    if target.pid != pid {
        return Err(Errno::EINVAL);
    }
    let is_child = target.parent().is_some_and(|parent| Arc::ptr_eq(&parent, own));
    if is_child {
        if !Arc::ptr_eq(&target.session(), &own.session()) {
            return Err(Errno::EPERM);
        }
        if target.has_executed.load(Ordering::Relaxed) {
            return Err(Errno::EACCES);
        }
    } else if !Arc::ptr_eq(&target, own) {
        return Err(Errno::ESRCH);
    }
    target.join_group(group)?;
    Ok(0)
}

/// setsid(2). Errors: EPERM.
pub fn sys_setsid(cx: &mut Cx<'_>) -> SyscallResult {
    encode(cx.process().found_session()?.id)
}

/// pidfd_open(2). Errors: EINVAL (also for a thread that is no leader), ESRCH, EMFILE, ENFILE, ENOMEM.
pub fn sys_pidfd_open(cx: &mut Cx<'_>, pid: i32, flags: Flags) -> SyscallResult {
    let nonblocking = OpenFlags::O_NONBLOCK.bits();
    if flags.0 & !nonblocking != 0 || pid <= 0 {
        return Err(Errno::EINVAL);
    }
    let table = &cx.process().table;
    let process = match (table.process(pid), table.thread(pid)) {
        (Some(process), _) => process,
        (None, Some(_)) => return Err(Errno::EINVAL),
        (None, None) => return Err(Errno::ESRCH),
    };
    let file = pidfd::open(&process, flags.0 & nonblocking != 0, &cx.private.cred)?;
    let limit = cx.process().limits.lock().get(Resource::Files).soft;
    Ok(cx.private.files.install(file, true, limit)?.unsigned_abs() as usize)
}

/// pidfd_send_signal(2): by a pidfd, or by an open /proc/PID. Errors: EINVAL, EBADF, ESRCH, EPERM, EFAULT. Order: `sys_pidfd_send_signal()`.
pub fn sys_pidfd_send_signal(cx: &mut Cx<'_>, fd: i32, signal: i32, info: Pointer, flags: Flags) -> SyscallResult {
    if flags.0 != 0 {
        return Err(Errno::EINVAL);
    }
    let file = cx.private.files.get(fd)?;
    let process = pidfd::process_of(&file).or_else(|error| procfs::process_of(&file).ok_or(error))?;
    let number = signal;
    let signal = match number {
        0 => None,
        number => Some(Signal::from_i32(number).ok_or(Errno::EINVAL)?),
    };
    let info = match info.0 {
        0 => None,
        address => Some(read_info(cx, &process, address, number)?),
    };
    if process.is_reaped() {
        return Err(Errno::ESRCH);
    }
    let sender = Sender { process: cx.process(), cred: &cx.private.cred };
    let info = info.or_else(|| signal.map(|signal| sender.info(signal, code::SI_USER)));
    sender.send_to_process(process.pid, signal, info)?;
    Ok(0)
}

/// The information a caller gives with a signal: of that signal, and pretending to come from the kernel or from
/// kill(2) only if it goes to the caller itself. Errors: EFAULT, EINVAL, EPERM.
fn read_info(cx: &Cx<'_>, process: &Arc<Process>, address: u64, signal: i32) -> Result<Info, Errno> {
    let info = Info::from_user(&UserIn::<SigInfo>::new(address).read()?).ok_or(Errno::E2BIG)?;
    if info.signo != signal {
        return Err(Errno::EINVAL);
    }
    let pretends = info.code >= 0 || info.code == code::SI_TKILL;
    if pretends && !Arc::ptr_eq(process, cx.process()) {
        return Err(Errno::EPERM);
    }
    Ok(info)
}

/// pidfd_getfd(2): a duplicate of another process's descriptor. Errors: EINVAL, EBADF, ESRCH, EPERM, EMFILE.
pub fn sys_pidfd_getfd(cx: &mut Cx<'_>, fd: i32, target: i32, flags: Flags) -> SyscallResult {
    if flags.0 != 0 {
        return Err(Errno::EINVAL);
    }
    let file = cx.private.files.get(fd)?;
    let process = pidfd::process_of(&file)?;
    let thread = process.threads().live.values().next().cloned().ok_or(Errno::ESRCH)?;
    if !thread.may_be_seen_by(&cx.private.cred) && !Arc::ptr_eq(&process, cx.process()) {
        return Err(Errno::EPERM);
    }
    let files = thread.holdings().files.ok_or(Errno::ESRCH)?;
    let file = files.get_any(target)?;
    let limit = cx.process().limits.lock().get(Resource::Files).soft;
    Ok(cx.private.files.install(file, true, limit)?.unsigned_abs() as usize)
}

/// unshare(2). Errors: EINVAL (unknown flags; what cannot be unshared by one of several threads), EPERM, ENOMEM. There are
/// namespaces of names alone: for others EINVAL after the privilege check. Order: `ksys_unshare()`.
pub fn sys_unshare(cx: &mut Cx<'_>, flags: u64) -> SyscallResult {
    let flags = CloneFlags::from_bits_retain(flags);
    let shares = CloneFlags::CLONE_THREAD
        | CloneFlags::CLONE_FS
        | CloneFlags::CLONE_SIGHAND
        | CloneFlags::CLONE_VM
        | CloneFlags::CLONE_FILES
        | CloneFlags::CLONE_SYSVSEM;
    if !(shares | clone::namespaces()).contains(flags) {
        return Err(Errno::EINVAL);
    }
    let alone = CloneFlags::CLONE_THREAD | CloneFlags::CLONE_SIGHAND | CloneFlags::CLONE_VM | CloneFlags::CLONE_NEWUSER;
    if flags.intersects(alone) && cx.process().threads().live.len() > 1 {
        return Err(Errno::EINVAL);
    }
    clone::check_namespaces(&cx.private.cred, flags)?;
    cx.private.hold(cx.thread, |private| {
        if flags.contains(CloneFlags::CLONE_FS) {
            private.fs = private.fs.fork();
        }
        if flags.contains(CloneFlags::CLONE_FILES) {
            private.files = private.files.fork();
        }
    });
    if flags.contains(CloneFlags::CLONE_NEWUTS) {
        cx.thread.set_uts(cx.thread.uts().fork());
    }
    Ok(0)
}

/// setns(2): the namespace of a file of /proc/PID/ns, or that of the process of a pidfd. Errors: EBADF, EINVAL (no such
/// file, or of another kind), ESRCH, EPERM. Order: `sys_setns()`.
pub fn sys_setns(cx: &mut Cx<'_>, fd: i32, kind: Flags) -> SyscallResult {
    let kind = CloneFlags::from_bits_retain(kind.0.into());
    let file = cx.private.files.get(fd)?;
    let namespace = match uts::of_file(&file) {
        Some(namespace) if kind.is_empty() || kind == CloneFlags::CLONE_NEWUTS => namespace,
        Some(_) => return Err(Errno::EINVAL),
        None => {
            let process = pidfd::process_of(&file).map_err(|_| Errno::EINVAL)?;
            if kind != CloneFlags::CLONE_NEWUTS {
                return Err(Errno::EINVAL);
            }
            let thread = process.threads().live.values().next().cloned().ok_or(Errno::ESRCH)?;
            if !thread.may_be_seen_by(&cx.private.cred) {
                return Err(Errno::EPERM);
            }
            thread.uts()
        }
    };
    if !cx.private.cred.capable(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    cx.thread.set_uts(namespace);
    Ok(0)
}
