//! timerfd (`fs/timerfd.c`).

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::OpenFlags;
use abi::time::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, Itimerspec, TfdFlags,
    TfdTimerFlags,
};

use super::args::Flags;
use super::{Cx, SyscallResult};
use crate::fs::Capabilities;
use crate::fs::pseudo::anonymous_file;
use crate::ipc::timerfd::{Setting, TimerFd, TimerFile};
use crate::mem::{UserIn, UserOut};
use crate::time::Clock;

/// timerfd_create(2). The machine never sleeps, so alarm clocks are their plain kin. `EINVAL`; `EPERM` for an
/// alarm clock; `EMFILE`.
pub fn sys_timerfd_create(cx: &mut Cx<'_>, clock: i32, flags: Flags) -> SyscallResult {
    let flags = TfdFlags::from_bits(flags.0).ok_or(Errno::EINVAL)?;
    let (clock, wakes) = match clock {
        CLOCK_MONOTONIC => (Clock::Monotonic, false),
        CLOCK_REALTIME => (Clock::Realtime, false),
        CLOCK_BOOTTIME => (Clock::Boottime, false),
        CLOCK_REALTIME_ALARM => (Clock::Realtime, true),
        CLOCK_BOOTTIME_ALARM => (Clock::Boottime, true),
        _ => return Err(Errno::EINVAL),
    };
    if wakes && !cx.private.cred.capable(Capabilities::WAKE_ALARM) {
        return Err(Errno::EPERM);
    }
    let mut open = OpenFlags::O_RDWR;
    open.set(OpenFlags::O_NONBLOCK, flags.contains(TfdFlags::TFD_NONBLOCK));
    let file = anonymous_file(Arc::new(TimerFile(TimerFd::new(clock))), "[timerfd]", open, &cx.private.cred);
    cx.install(file, flags.contains(TfdFlags::TFD_CLOEXEC))
}

/// The timer behind a descriptor. `EBADF`, `EINVAL` if it is none.
fn timer(cx: &Cx<'_>, fd: i32) -> Result<Arc<TimerFd>, Errno> {
    let file = cx.file(fd)?;
    file.downcast::<TimerFile>().map(|file| file.0.clone()).ok_or(Errno::EINVAL)
}

/// timerfd_settime(2) (`do_timerfd_settime`). `EFAULT`, `EINVAL`, `EBADF`.
pub fn sys_timerfd_settime(
    cx: &mut Cx<'_>,
    fd: i32,
    flags: Flags,
    new: UserIn<Itimerspec>,
    old: UserOut<Itimerspec>,
) -> SyscallResult {
    let new = new.read()?;
    let flags = TfdTimerFlags::from_bits(flags.0).ok_or(Errno::EINVAL)?;
    let setting = Setting {
        value_ns: new.it_value.to_ns().ok_or(Errno::EINVAL)?,
        interval_ns: new.it_interval.to_ns().ok_or(Errno::EINVAL)?,
        absolute: flags.contains(TfdTimerFlags::TFD_TIMER_ABSTIME),
        cancel_on_set: flags.contains(TfdTimerFlags::TFD_TIMER_CANCEL_ON_SET),
    };
    let before = timer(cx, fd)?.set(setting);
    old.write_optional(&before)?;
    Ok(0)
}

/// timerfd_gettime(2). `EBADF`, `EINVAL`, `EFAULT`.
pub fn sys_timerfd_gettime(cx: &mut Cx<'_>, fd: i32, current: UserOut<Itimerspec>) -> SyscallResult {
    let left = timer(cx, fd)?.remaining();
    current.write(&left)?;
    Ok(0)
}
