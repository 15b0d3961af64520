//! Birth and death: clone(2), clone3(2), fork(2), vfork(2), exit(2), exit_group(2), set_tid_address(2), robust lists,
//! restartable sequences.

use alloc::boxed::Box;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::futex::RobustListHead;
use abi::prctl::RSEQ_FLAG_UNREGISTER;
use abi::sched::{CLONE_ARGS_SIZE_VER0, CLONE_ARGS_SIZE_VER2, CSIGNAL, CloneArgs, CloneFlags};

use super::args::{Flags, Pointer};
use super::{Cx, SyscallResult};
use crate::mem::{PAGE_SIZE, USER_END, UserIn, UserOut, UserSlice};
use crate::process::Pid;
use crate::signal::ExitStatus;
use crate::thread::clone::{self, Born, CloneRequest};
use crate::thread::rseq::{self, Rseq};
use crate::thread::{VforkWait, trace};

/// The most namespaces a pid can be given in (`MAX_PID_NS_LEVEL`).
const MAX_PID_NAMESPACES: u64 = 32;
/// The last signal.
const LAST_SIGNAL: u64 = 64;

/// clone(2), as x86_64 orders its arguments. Waits for the child's release with `CLONE_VFORK`, until killed.
/// Errors: EINVAL, EAGAIN, ENOMEM, EPERM, and those of `CLONE_PIDFD`. Order: `sys_clone()`, `kernel_clone()`.
pub async fn sys_clone(
    cx: &mut Cx<'_>,
    flags: u64,
    stack: Pointer,
    parent_tid: Pointer,
    child_tid: Pointer,
    tls: u64,
) -> SyscallResult {
    let low = flags & 0xffff_ffff;
    let born = {
        let request = CloneRequest {
            flags: CloneFlags::from_bits_retain(low & !CSIGNAL),
            exit_signal: (low & CSIGNAL) as u8,
            stack_pointer: stack.0,
            parent_tid: parent_tid.0,
            child_tid: child_tid.0,
            pidfd: parent_tid.0,
            tls,
            set_tid: &[],
        };
        start(cx, &request)?
    };
    finish(cx, born).await
}

/// fork(2). Errors: EAGAIN, ENOMEM.
pub fn sys_fork(cx: &mut Cx<'_>) -> SyscallResult {
    let born = start(cx, &CloneRequest { exit_signal: SIGCHLD, ..CloneRequest::default() })?;
    Ok(born.tid.unsigned_abs() as usize)
}

/// vfork(2). Waits until the child has executed a program or ended, or the caller is killed. Errors: EAGAIN, ENOMEM.
pub async fn sys_vfork(cx: &mut Cx<'_>) -> SyscallResult {
    let flags = CloneFlags::CLONE_VFORK | CloneFlags::CLONE_VM;
    let born = start(cx, &CloneRequest { flags, exit_signal: SIGCHLD, ..CloneRequest::default() })?;
    finish(cx, born).await
}

/// clone3(2). Errors: EINVAL, E2BIG, EFAULT, and those of clone. Order: `copy_clone_args_from_user()`,
/// `clone3_args_valid()`.
pub async fn sys_clone3(cx: &mut Cx<'_>, args: Pointer, size: usize) -> SyscallResult {
    let born = {
        let (args, set_tid) = read_clone_args(args.0, size as u64)?;
        let request = clone3_request(&args, set_tid.as_slice())?;
        start(cx, &request)?
    };
    finish(cx, born).await
}

/// The number of SIGCHLD.
const SIGCHLD: u8 = abi::signal::SIGCHLD as u8;

/// `kernel_clone()`'s own check, then the mechanism.
fn start(cx: &mut Cx<'_>, request: &CloneRequest<'_>) -> Result<Born, Errno> {
    let both = CloneFlags::CLONE_PIDFD | CloneFlags::CLONE_PARENT_SETTID;
    if request.flags.contains(both) && request.pidfd == request.parent_tid {
        return Err(Errno::EINVAL);
    }
    clone::clone(cx.thread, cx.private, request)
}

/// Waits if the child borrows the caller's memory, and gives the child's number.
async fn finish(cx: &mut Cx<'_>, born: Born) -> SyscallResult {
    if let Some(vfork) = &born.vfork {
        // Whoever kills the caller gets what it wants; the child lives on.
        if cx.thread.signals.is_traced() {
            return Ok(traced_vfork(cx, vfork, born.tid).await);
        }
        let _ = cx.killable(vfork.wait()).await;
    }
    Ok(born.tid.unsigned_abs() as usize)
}

/// The wait of [`finish`] for a caller whose tracer sees it begin and end.
async fn traced_vfork(cx: &mut Cx<'_>, vfork: &VforkWait, tid: Pid) -> usize {
    Box::pin(trace::birth(cx.thread, cx.private)).await;
    if cx.killable(vfork.wait()).await.is_ok() {
        Box::pin(trace::vfork_done(cx.thread, cx.private, tid)).await;
    }
    tid.unsigned_abs() as usize
}

/// The numbers clone3's caller wants for the child.
struct SetTid {
    tids: [Pid; 32],
    len: usize,
}

impl SetTid {
    fn as_slice(&self) -> &[Pid] {
        &self.tids[..self.len]
    }
}

/// `struct clone_args` of whatever version, its numbers checked as far as Linux does while copying.
fn read_clone_args(address: u64, size: u64) -> Result<(CloneArgs, SetTid), Errno> {
    if size > PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    if size < CLONE_ARGS_SIZE_VER0 {
        return Err(Errno::EINVAL);
    }
    let args: CloneArgs = super::copy_struct(address, size)?;
    let set_tid_ok = args.set_tid_size <= MAX_PID_NAMESPACES && (args.set_tid == 0) == (args.set_tid_size == 0);
    if !set_tid_ok || args.exit_signal > LAST_SIGNAL {
        return Err(Errno::EINVAL);
    }
    let wants_cgroup = args.flags & CloneFlags::CLONE_INTO_CGROUP.bits() != 0;
    if wants_cgroup && (args.cgroup > i32::MAX as u64 || size < CLONE_ARGS_SIZE_VER2) {
        return Err(Errno::EINVAL);
    }
    let mut set_tid = SetTid { tids: [0; 32], len: args.set_tid_size as usize };
    for (index, tid) in set_tid.tids.iter_mut().take(set_tid.len).enumerate() {
        *tid = UserIn::<i32>::new(args.set_tid).element(index as u64).read()?;
    }
    Ok((args, set_tid))
}

/// `clone3_args_valid()`, and the request. There are no cgroups, so no descriptor refers to one: EBADF.
fn clone3_request<'a>(args: &CloneArgs, set_tid: &'a [Pid]) -> Result<CloneRequest<'a>, Errno> {
    let flags = CloneFlags::from_bits(args.flags).ok_or(Errno::EINVAL)?;
    let handlers = CloneFlags::CLONE_SIGHAND | CloneFlags::CLONE_CLEAR_SIGHAND;
    let bound = CloneFlags::CLONE_THREAD | CloneFlags::CLONE_PARENT;
    let stack_ok = match (args.stack, args.stack_size) {
        (0, size) => size == 0,
        (_, 0) => false,
        (stack, size) => stack.checked_add(size).is_some_and(|end| end <= USER_END),
    };
    if flags.contains(CloneFlags::CLONE_DETACHED)
        || flags.contains(handlers)
        || flags.intersects(bound) && args.exit_signal != 0
        || !stack_ok
    {
        return Err(Errno::EINVAL);
    }
    if flags.contains(CloneFlags::CLONE_INTO_CGROUP) {
        return Err(Errno::EBADF);
    }
    Ok(CloneRequest {
        flags,
        exit_signal: args.exit_signal as u8,
        stack_pointer: args.stack.wrapping_add(args.stack_size),
        parent_tid: args.parent_tid,
        child_tid: args.child_tid,
        pidfd: args.pidfd,
        tls: args.tls,
        set_tid,
    })
}

/// exit(2): ends the calling thread. Does not return.
pub fn sys_exit(cx: &mut Cx<'_>, status: i32) -> SyscallResult {
    cx.private.exit = Some(ExitStatus::exited(status));
    cx.thread.signals.add_work(crate::signal::Work::NOTIFY);
    Ok(0)
}

/// exit_group(2): ends the process. Does not return.
pub fn sys_exit_group(cx: &mut Cx<'_>, status: i32) -> SyscallResult {
    cx.private.exit = Some(cx.process().signals.begin_exit(ExitStatus::exited(status)));
    Ok(0)
}

/// set_tid_address(2): gives the caller's tid. Never fails.
pub fn sys_set_tid_address(cx: &mut Cx<'_>, address: Pointer) -> SyscallResult {
    cx.thread.clear_child_tid.store(address.0, Ordering::Relaxed);
    Ok(cx.thread.tid().unsigned_abs() as usize)
}

/// set_robust_list(2). Errors: EINVAL.
pub fn sys_set_robust_list(cx: &mut Cx<'_>, head: Pointer, len: usize) -> SyscallResult {
    if len != size_of::<RobustListHead>() {
        return Err(Errno::EINVAL);
    }
    cx.thread.robust_list.store(head.0, Ordering::Relaxed);
    Ok(0)
}

/// get_robust_list(2), of the caller (0) or of another thread the caller could trace. Errors: ESRCH, EPERM, EFAULT.
pub fn sys_get_robust_list(cx: &mut Cx<'_>, pid: i32, head: UserOut<u64>, len: UserOut<u64>) -> SyscallResult {
    let address = if pid == 0 {
        cx.thread.robust_list.load(Ordering::Relaxed)
    } else {
        let thread = cx.process().table.thread(pid).ok_or(Errno::ESRCH)?;
        if !thread.may_be_seen_by(&cx.private.cred) {
            return Err(Errno::EPERM);
        }
        thread.robust_list.load(Ordering::Relaxed)
    };
    len.write(&(size_of::<RobustListHead>() as u64))?;
    head.write(&address)?;
    Ok(0)
}

/// rseq(2): registers the caller's area for restartable sequences, or takes it back. Errors: EINVAL, EPERM, EBUSY, EFAULT.
/// Order: `sys_rseq()`.
pub fn sys_rseq(cx: &mut Cx<'_>, address: Pointer, len: u32, flags: Flags, signature: u32) -> SyscallResult {
    let area = Rseq { address: address.0, len, signature };
    match flags.0 {
        0 => rseq::register(cx.thread, cx.private, area)?,
        RSEQ_FLAG_UNREGISTER => rseq::unregister(cx.thread, cx.private, area)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// Whether all of a user structure beyond `known` bytes is zero.
pub(super) fn is_zero_tail(address: u64, known: u64, size: u64) -> Result<bool, Errno> {
    let tail = UserSlice::new(address.wrapping_add(known), size - known).check()?;
    let mut buffer = [0_u8; 64];
    let mut offset = 0;
    while offset < tail.len {
        let want = (tail.len - offset).min(buffer.len() as u64) as usize;
        if tail.read_at(offset, &mut buffer[..want]) < want {
            return Err(Errno::EFAULT);
        }
        if buffer[..want].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        offset += want as u64;
    }
    Ok(true)
}
