//! Whether two threads share something: kcmp(2).

use alloc::sync::Arc;

use abi::Errno;

use super::{Cx, SyscallResult};
use crate::arch;
use crate::fs::File;
use crate::ipc::epoll::Epoll;
use crate::ipc::sysv::sem;
use crate::mem::UserIn;
use crate::process::{Pid, Thread};

/// What is compared (`enum kcmp_type`).
const KCMP_FILE: u32 = 0;
const KCMP_VM: u32 = 1;
const KCMP_FILES: u32 = 2;
const KCMP_FS: u32 = 3;
const KCMP_SIGHAND: u32 = 4;
const KCMP_IO: u32 = 5;
const KCMP_SYSVSEM: u32 = 6;
const KCMP_EPOLL_TFD: u32 = 7;

/// kcmp(2): 0 if both threads have the same object, else 1 or 2, an order among objects that tells nothing else.
/// Errors: ESRCH, EPERM, EBADF, EFAULT, ENOENT, EINVAL. Order: `sys_kcmp()`.
pub fn sys_kcmp(cx: &mut Cx<'_>, pid1: i32, pid2: i32, kind: u32, index1: u64, index2: u64) -> SyscallResult {
    let first = cx.process().table.thread(pid1).ok_or(Errno::ESRCH)?;
    let second = cx.process().table.thread(pid2).ok_or(Errno::ESRCH)?;
    if !may_compare(cx, &first) || !may_compare(cx, &second) {
        return Err(Errno::EPERM);
    }
    let (one, other) = match kind {
        KCMP_FILE => (place(&file(&first, index1)?), place(&file(&second, index2)?)),
        KCMP_VM | KCMP_FILES | KCMP_FS | KCMP_SIGHAND => (object(&first, kind), object(&second, kind)),
        // Threads have no contexts for input and output of their own.
        KCMP_IO => (0, 0),
        KCMP_SYSVSEM => (undo_list(&first), undo_list(&second)),
        KCMP_EPOLL_TFD => {
            // `struct kcmp_epoll_slot`: the instance, the descriptor it watches, and which of those that were open as it.
            let [epoll, fd, index] = UserIn::<[u32; 3]>::new(index2).read()?;
            let file = file(&first, index1)?;
            (place(&file), place(&watched(&second, epoll, fd, index)?))
        }
        _ => return Err(Errno::EINVAL),
    };
    Ok(compare(one, other))
}

fn may_compare(cx: &Cx<'_>, thread: &Arc<Thread>) -> bool {
    Arc::ptr_eq(&thread.process, cx.process()) || thread.may_be_seen_by(&cx.private.cred)
}

fn place<T: ?Sized>(object: &Arc<T>) -> u64 {
    Arc::as_ptr(object).addr() as u64
}

/// The open file behind a descriptor. Errors: EBADF.
fn file(thread: &Thread, fd: u64) -> Result<Arc<File>, Errno> {
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    let files = thread.holdings().files.ok_or(Errno::EBADF)?;
    files.get_any(fd)
}

/// What an epoll instance of the thread's watches (`get_epoll_tfile_raw_ptr()`). Errors: EBADF, EINVAL, ENOENT.
fn watched(thread: &Thread, epoll: u32, fd: u32, index: u32) -> Result<Arc<File>, Errno> {
    let instance = file(thread, epoll.into())?;
    let instance = instance.downcast::<Epoll>().ok_or(Errno::EINVAL)?;
    let fd = i32::try_from(fd).map_err(|_| Errno::ENOENT)?;
    instance.target(fd, index as usize).ok_or(Errno::ENOENT)
}

/// Where the object is that the thread works with; 0 if it has let go of it.
fn object(thread: &Thread, kind: u32) -> u64 {
    let holdings = thread.holdings();
    match kind {
        KCMP_VM => holdings.space.as_ref().map_or(0, place),
        KCMP_FILES => holdings.files.as_ref().map_or(0, place),
        KCMP_FS => holdings.fs.as_ref().map_or(0, place),
        _ => place(&thread.process.signals.actions()),
    }
}

/// Semaphore operations to undo are kept by process; who has none has no list.
fn undo_list(thread: &Thread) -> u64 {
    let pid: Pid = thread.process.pid;
    if sem::has_undo(pid) { pid.unsigned_abs().into() } else { 0 }
}

/// An order that does not give addresses away (`kcmp_ptr()`).
fn compare(one: u64, other: u64) -> usize {
    static COOKIES: spin::Once<[u64; 2]> = spin::Once::new();
    let [mask, factor] = COOKIES.call_once(|| [arch::random_u64(), arch::random_u64() | 1]);
    let hide = |value: u64| (value ^ mask).wrapping_mul(*factor);
    match hide(one).cmp(&hide(other)) {
        core::cmp::Ordering::Equal => 0,
        core::cmp::Ordering::Less => 1,
        core::cmp::Ordering::Greater => 2,
    }
}
