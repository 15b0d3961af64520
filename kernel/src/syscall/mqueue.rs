//! POSIX message queues (`ipc/mqueue.c`).

use alloc::sync::Arc;

use abi::Errno;
use abi::mqueue::{MQ_PRIO_MAX, MqAttr};
use abi::signal::{SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SigEvent};
use abi::time::Timespec;

use super::args::Pointer;
use super::files::PathName;
use super::{Cx, SyscallResult};
use crate::fs::{AccessFlags, File, FileKind, OpenFlags, Timestamp};
use crate::ipc::mqueue::{self, Opening, Queue, Sender};
use crate::mem::{UserIn, UserOut, UserSlice, UserStr};
use crate::process::limits::Resource;
use crate::process::mq_listener::MqListener;
use crate::signal::Signal;
use crate::sync::executor;
use crate::time::Clock;

/// Bytes of the cookie that a thread to be started is told by (`NOTIFY_COOKIE_LEN`).
const COOKIE_BYTES: u64 = 32;

/// mq_open(2), in the order of `do_mq_open()`. The descriptor is closed at exec. `EFAULT`, `ENOENT`, `EACCES`,
/// `ENAMETOOLONG`, `EEXIST`, `EINVAL`, `ENOSPC`, `EMFILE`.
pub fn sys_mq_open(cx: &mut Cx<'_>, name: UserStr, flags: u32, mode: u32, attributes: UserIn<MqAttr>) -> SyscallResult {
    let attributes = attributes.read_optional()?;
    let name = PathName::read(name)?;
    let opening = Opening {
        flags: OpenFlags::from_bits_truncate(flags),
        mode: mode as u16 & 0o7777 & !cx.private.fs.umask(),
        attributes: attributes.as_ref(),
        cred: &cx.private.cred,
        limit_bytes: cx.limit(Resource::MessageQueues),
    };
    let file = mqueue::open(&name, &opening)?;
    cx.install(file, true)
}

/// mq_unlink(2). `EFAULT`, `EACCES`, `ENAMETOOLONG`, `ENOENT`, `EPERM`.
pub fn sys_mq_unlink(cx: &mut Cx<'_>, name: UserStr) -> SyscallResult {
    let name = PathName::read(name)?;
    mqueue::unlink(&name, &cx.private.cred).map(|()| 0)
}

/// The queue behind a descriptor. `EBADF`, also if `allowed` says no to how it was opened.
fn queue_file(cx: &Cx<'_>, fd: i32, allowed: fn(OpenFlags) -> bool) -> Result<Arc<File>, Errno> {
    let file = cx.file(fd)?;
    if file.downcast::<Queue>().is_some() && allowed(file.flags()) { Ok(file) } else { Err(Errno::EBADF) }
}

fn queue(file: &File) -> Result<&Queue, Errno> {
    file.downcast().ok_or(Errno::EBADF)
}

/// When a wait ends on the monotonic clock: the user gives a point of CLOCK_REALTIME, or a null pointer for never.
/// `EFAULT`, `EINVAL`.
fn deadline_ns(timeout: UserIn<Timespec>) -> Result<u64, Errno> {
    let Some(time) = timeout.read_optional()? else { return Ok(u64::MAX) };
    let at_ns = time.to_ns().ok_or(Errno::EINVAL)?;
    Ok(Clock::Realtime.to_monotonic_ns(at_ns))
}

/// mq_timedsend(2). Waits for room, and is restarted after a signal. `EFAULT`, `EINVAL`, `EBADF`, `EMSGSIZE`, `EAGAIN`,
/// `ETIMEDOUT`, `ENOMEM`.
pub async fn sys_mq_timedsend(
    cx: &mut Cx<'_>,
    fd: i32,
    text: Pointer,
    len: usize,
    priority: u32,
    timeout: UserIn<Timespec>,
) -> SyscallResult {
    let deadline_ns = deadline_ns(timeout)?;
    if priority >= MQ_PRIO_MAX {
        return Err(Errno::EINVAL);
    }
    let file = queue_file(cx, fd, OpenFlags::writable)?;
    let queue = queue(&file)?;
    if len > queue.message_bytes() {
        return Err(Errno::EMSGSIZE);
    }
    let message = UserSlice::new(text.0, len as u64).read_all()?;
    let sender = Sender { pid: cx.process().pid, uid: cx.private.cred.uid };
    if let Err(message) = queue.try_send(priority, message, sender) {
        if file.nonblocking() {
            return Err(Errno::EAGAIN);
        }
        let wait = executor::timeout_at(deadline_ns, queue.send(priority, message, sender));
        cx.interruptible(wait).await?.map_err(|_| Errno::ETIMEDOUT)?;
    }
    touch(&file);
    Ok(0)
}

/// mq_timedreceive(2). Waits for a message, and is restarted after a signal. `EFAULT`, `EINVAL`, `EBADF`, `EMSGSIZE`,
/// `EAGAIN`, `ETIMEDOUT`. A message that cannot be written is lost, as on Linux.
pub async fn sys_mq_timedreceive(
    cx: &mut Cx<'_>,
    fd: i32,
    text: Pointer,
    len: usize,
    priority: UserOut<u32>,
    timeout: UserIn<Timespec>,
) -> SyscallResult {
    let deadline_ns = deadline_ns(timeout)?;
    let file = queue_file(cx, fd, OpenFlags::readable)?;
    let queue = queue(&file)?;
    if len < queue.message_bytes() {
        return Err(Errno::EMSGSIZE);
    }
    let (sent_with, message) = match queue.try_receive() {
        Some(received) => received,
        None if file.nonblocking() => return Err(Errno::EAGAIN),
        None => {
            let wait = executor::timeout_at(deadline_ns, queue.receive());
            cx.interruptible(wait).await?.map_err(|_| Errno::ETIMEDOUT)?
        }
    };
    touch(&file);
    priority.write_optional(&sent_with)?;
    let written = UserSlice::new(text.0, message.len() as u64).write_at(0, &message);
    if written == message.len() { Ok(written) } else { Err(Errno::EFAULT) }
}

/// Every transfer changes all times of the queue's inode.
fn touch(file: &File) {
    let now = Timestamp::now();
    file.inode().update(|times| (times.accessed, times.modified, times.changed) = (now, now, now));
}

/// mq_notify(2), in the order of `do_mq_notify()`. `EFAULT`, `EINVAL`, `EBADF`, `EBUSY`; `ENOTSOCK` or `EINVAL` for a thread
/// to be started, which takes a netlink socket.
pub fn sys_mq_notify(cx: &mut Cx<'_>, fd: i32, event: UserIn<SigEvent>) -> SyscallResult {
    let signal = match event.read_optional()? {
        None => {
            queue(&*queue_file(cx, fd, |_| true)?)?.end_listening();
            return Ok(0);
        }
        Some(event) => told_by(cx, &event)?,
    };
    let file = queue_file(cx, fd, |_| true)?;
    queue(&file)?.listen(MqListener::new(cx.process(), signal)).map(|()| 0)
}

/// The signal, if any, that an event asks for.
fn told_by(cx: &Cx<'_>, event: &SigEvent) -> Result<Option<(Signal, u64)>, Errno> {
    match event.sigev_notify.cast_unsigned() {
        SIGEV_NONE => Ok(None),
        SIGEV_SIGNAL if event.sigev_signo == 0 => Ok(None),
        SIGEV_SIGNAL => {
            let signal = Signal::from_i32(event.sigev_signo).ok_or(Errno::EINVAL)?;
            Ok(Some((signal, event.sigev_value)))
        }
        SIGEV_THREAD => {
            UserSlice::new(event.sigev_value, COOKIE_BYTES).read_all()?;
            let socket = cx.file(event.sigev_signo)?;
            Err(if socket.inode().kind == FileKind::Socket { Errno::EINVAL } else { Errno::ENOTSOCK })
        }
        _ => Err(Errno::EINVAL),
    }
}

/// mq_getsetattr(2): of a queue in being, only `O_NONBLOCK` changes. `EFAULT`, `EINVAL`, `EBADF`.
pub fn sys_mq_getsetattr(cx: &mut Cx<'_>, fd: i32, new: UserIn<MqAttr>, old: UserOut<MqAttr>) -> SyscallResult {
    let nonblock = i64::from(OpenFlags::O_NONBLOCK.bits());
    let new = new.read_optional()?;
    if new.is_some_and(|new| new.mq_flags & !nonblock != 0) {
        return Err(Errno::EINVAL);
    }
    let file = queue_file(cx, fd, |_| true)?;
    let flags = file.flags();
    let was = MqAttr { mq_flags: if file.nonblocking() { nonblock } else { 0 }, ..queue(&file)?.attributes() };
    if let Some(new) = new {
        let wanted = if new.mq_flags != 0 { OpenFlags::O_NONBLOCK } else { OpenFlags::empty() };
        file.set_flags(flags.difference(OpenFlags::O_NONBLOCK) | wanted);
    }
    old.write_optional(&was).map(|()| 0)
}
