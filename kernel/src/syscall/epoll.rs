//! epoll (`fs/eventpoll.c`).

use alloc::sync::Arc;
use core::future::Future;

use abi::Errno;
use abi::fcntl::OpenFlags;
use abi::poll::{EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EpollEvent};

use super::args::{Flags, Pointer};
use super::poll::{deadline, from_milliseconds, from_timespec, use_mask};
use super::{Cx, Prepared, SyscallResult};
use crate::fs::File;
use crate::fs::pseudo::anonymous_file;
use crate::ipc::epoll::Epoll;
use crate::mem::{UserIn, UserOut, UserSlice};
use crate::sync::executor;

/// Bytes of an event in the user's array.
const EVENT_BYTES: usize = size_of::<EpollEvent>();

/// epoll_create(2). The size is a hint of old, but not 0. `EINVAL`, `EMFILE`.
pub fn sys_epoll_create(cx: &mut Cx<'_>, size: i32) -> SyscallResult {
    if size <= 0 { Err(Errno::EINVAL) } else { create(cx, false) }
}

/// epoll_create1(2). `EINVAL`, `EMFILE`.
pub fn sys_epoll_create1(cx: &mut Cx<'_>, flags: Flags) -> SyscallResult {
    if flags.0 & !EPOLL_CLOEXEC != 0 { Err(Errno::EINVAL) } else { create(cx, flags.0 == EPOLL_CLOEXEC) }
}

fn create(cx: &mut Cx<'_>, close_on_exec: bool) -> SyscallResult {
    let file = anonymous_file(Epoll::new(), "[eventpoll]", OpenFlags::O_RDWR, &cx.private.cred);
    cx.install(file, close_on_exec)
}

/// The instance behind a file. `EINVAL` if it is none.
fn instance(file: &Arc<File>) -> Result<Arc<Epoll>, Errno> {
    file.downcast_arc::<Epoll>().ok_or(Errno::EINVAL)
}

/// epoll_ctl(2), in the order of `do_epoll_ctl`. `EFAULT`, `EBADF`, `EPERM`, `EINVAL`, `ELOOP`, `EEXIST`, `ENOENT`.
pub fn sys_epoll_ctl(cx: &mut Cx<'_>, epoll: i32, operation: u32, fd: i32, event: UserIn<EpollEvent>) -> SyscallResult {
    let event = if operation == EPOLL_CTL_DEL { EpollEvent::default() } else { event.read()? };
    let (epoll, target) = (cx.file(epoll)?, cx.file(fd)?);
    let given = (operation != EPOLL_CTL_DEL).then_some(&event);
    Epoll::check_pollable(&target)?;
    let epoll = instance(&epoll)?;
    epoll.check(&target, given, operation == EPOLL_CTL_MOD)?;
    match operation {
        EPOLL_CTL_ADD => epoll.add(fd, &target, &event)?,
        EPOLL_CTL_MOD => epoll.modify(fd, &target, &event)?,
        EPOLL_CTL_DEL => epoll.delete(fd, &target)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// How many events the user's array has room for. `EINVAL`, `EFAULT`.
fn room(events: Pointer, limit: i32) -> Result<usize, Errno> {
    let limit = usize::try_from(limit).ok().filter(|limit| (1..=i32::MAX as usize / EVENT_BYTES).contains(limit));
    let limit = limit.ok_or(Errno::EINVAL)?;
    UserSlice::new(events.0, (limit * EVENT_BYTES) as u64).check()?;
    Ok(limit)
}

/// Reports events if there are some, or if there need be none.
fn look(cx: &Cx<'_>, epoll: i32, events: Pointer, limit: i32, timeout_ms: i32) -> Option<SyscallResult> {
    let found = room(events, limit).and_then(|limit| {
        let file = cx.file(epoll)?;
        report(file.downcast::<Epoll>().ok_or(Errno::EINVAL)?, events, limit)
    });
    (found != Ok(0) || timeout_ms == 0).then_some(found)
}

/// epoll_wait(2), if it need not wait.
pub fn epoll_wait_at_once(
    cx: &mut Cx<'_>,
    epoll: i32,
    events: Pointer,
    limit: i32,
    timeout_ms: i32,
) -> Option<SyscallResult> {
    look(cx, epoll, events, limit, timeout_ms)
}

/// epoll_pwait(2), if it need not wait and has no mask.
pub fn epoll_pwait_at_once(
    cx: &mut Cx<'_>,
    epoll: i32,
    events: Pointer,
    limit: i32,
    timeout_ms: i32,
    mask: Pointer,
    _mask_bytes: usize,
) -> Option<SyscallResult> {
    if mask.0 == 0 { look(cx, epoll, events, limit, timeout_ms) } else { None }
}

/// Reports events, waiting for some until the deadline (`do_epoll_wait`). `EINVAL`, `EFAULT`, `EBADF`; `EINTR`
/// whatever the handler's flags.
fn wait<'a>(
    cx: &'a Cx<'_>,
    epoll: i32,
    events: Pointer,
    limit: i32,
    timeout_ns: Option<u64>,
) -> impl Future<Output = SyscallResult> + Send + 'a {
    // A block rather than an `async fn`: that would keep its arguments twice.
    async move {
        let limit = room(events, limit)?;
        let epoll = instance(&cx.file(epoll)?)?;
        let mut found = report(&epoll, events, limit)?;
        if found > 0 || timeout_ns == Some(0) {
            return Ok(found);
        }
        let deadline_ns = deadline(timeout_ns).unwrap_or(u64::MAX);
        loop {
            let wait = executor::timeout_at(deadline_ns, epoll.wait());
            let in_time = cx.interruptible(wait).await.map_err(|_| Errno::EINTR)?;
            found = report(&epoll, events, limit)?;
            if found > 0 || in_time.is_err() {
                return Ok(found);
            }
        }
    }
}

/// Writes up to `limit` events to the user's array.
fn report(epoll: &Epoll, events: Pointer, limit: usize) -> Result<usize, Errno> {
    let array = UserOut::<EpollEvent>::new(events.0);
    let mut index = 0;
    epoll.harvest(limit, |event| {
        array.element(index).write(&event)?;
        index += 1;
        Ok(())
    })
}

/// epoll_wait(2).
pub fn sys_epoll_wait<'a>(
    cx: &'a mut Cx<'_>,
    epoll: i32,
    events: Pointer,
    limit: i32,
    timeout_ms: i32,
) -> impl Future<Output = SyscallResult> + Send + 'a {
    wait(cx, epoll, events, limit, from_milliseconds(timeout_ms))
}

/// epoll_pwait(2). The signal mask holds from before the first look until the call is over.
pub fn sys_epoll_pwait<'a>(
    cx: &'a mut Cx<'_>,
    epoll: i32,
    events: Pointer,
    limit: i32,
    timeout_ms: i32,
    mask: Pointer,
    mask_bytes: usize,
) -> impl Future<Output = SyscallResult> + Send + 'a {
    match use_mask(cx, mask.0, mask_bytes) {
        Ok(()) => Prepared::Waits { future: wait(cx, epoll, events, limit, from_milliseconds(timeout_ms)) },
        Err(error) => Prepared::Refused { error },
    }
}

/// epoll_pwait2(2): with a timeout in nanoseconds.
pub async fn sys_epoll_pwait2(
    cx: &mut Cx<'_>,
    epoll: i32,
    events: Pointer,
    limit: i32,
    timeout: Pointer,
    mask: Pointer,
    mask_bytes: usize,
) -> SyscallResult {
    let timeout_ns = from_timespec(timeout)?;
    use_mask(cx, mask.0, mask_bytes)?;
    wait(cx, epoll, events, limit, timeout_ns).await
}
