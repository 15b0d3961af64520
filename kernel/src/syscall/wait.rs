//! Waiting for children: wait4(2), waitid(2).

use abi::Errno;
use abi::resource::Rusage;
use abi::wait::{P_ALL, P_PGID, P_PID, P_PIDFD, WaitOptions};

use super::args::{Flags, Pointer};
use super::{Cx, SyscallResult};
use crate::fs::OpenFlags;
use crate::mem::UserOut;
use crate::process::pidfd;
use crate::process::wait::{WaitReport, WaitRequest, WaitTarget};

/// wait4(2). Waits unless `WNOHANG`; restarted after a signal as its handler says. Errors: EINVAL, ESRCH (for the pid
/// `INT_MIN`), ECHILD, EINTR, EFAULT. Order: `kernel_wait4()`.
pub async fn sys_wait4(
    cx: &mut Cx<'_>,
    pid: i32,
    status: UserOut<i32>,
    options: Flags,
    usage: UserOut<Rusage>,
) -> SyscallResult {
    let allowed = WaitOptions::WNOHANG
        | WaitOptions::WSTOPPED
        | WaitOptions::WCONTINUED
        | WaitOptions::__WNOTHREAD
        | WaitOptions::__WCLONE
        | WaitOptions::__WALL;
    let options = WaitOptions::from_bits(options.0).filter(|options| allowed.contains(*options));
    let options = options.ok_or(Errno::EINVAL)? | WaitOptions::WEXITED;
    let target = match pid {
        i32::MIN => return Err(Errno::ESRCH),
        -1 => WaitTarget::Any,
        0 => WaitTarget::Group(Some(cx.process().group())),
        pid if pid > 0 => WaitTarget::Pid(pid),
        pid => WaitTarget::Group(cx.process().table.group(-pid)),
    };
    let Some(report) = wait(cx, target, options).await? else { return Ok(0) };
    status.write_optional(&report.event.wait_word())?;
    usage.write_optional(&report.usage.to_rusage())?;
    Ok(report.pid.unsigned_abs() as usize)
}

/// waitid(2). Waits unless `WNOHANG`; restarted after a signal as its handler says. Errors: EINVAL, EBADF, ECHILD, EINTR,
/// EAGAIN (a non-blocking pidfd), EFAULT. Order: `kernel_waitid()`. `infop` is written even when there is an error.
pub async fn sys_waitid(
    cx: &mut Cx<'_>,
    id_type: u32,
    id: i32,
    info: Pointer,
    options: Flags,
    usage: UserOut<Rusage>,
) -> SyscallResult {
    let found = find(cx, id_type, id, options).await;
    if let Ok(Some(report)) = &found {
        usage.write_optional(&report.usage.to_rusage())?;
    }
    if info.0 != 0 {
        write_info(info.0, found.as_ref().ok().and_then(Option::as_ref))?;
    }
    found.map(|_| 0)
}

/// Everything of waitid but its results.
async fn find(cx: &mut Cx<'_>, id_type: u32, id: i32, options: Flags) -> Result<Option<WaitReport>, Errno> {
    let events = WaitOptions::WEXITED | WaitOptions::WSTOPPED | WaitOptions::WCONTINUED;
    let mut options = WaitOptions::from_bits(options.0).ok_or(Errno::EINVAL)?;
    if !options.intersects(events) {
        return Err(Errno::EINVAL);
    }
    let mut nonblocking = false;
    let target = match id_type {
        P_ALL => WaitTarget::Any,
        P_PID if id > 0 => WaitTarget::Pid(id),
        P_PGID if id > 0 => WaitTarget::Group(cx.process().table.group(id)),
        P_PGID if id == 0 => WaitTarget::Group(Some(cx.process().group())),
        P_PIDFD if id >= 0 => {
            let file = cx.private.files.get(id)?;
            nonblocking = file.flags().contains(OpenFlags::O_NONBLOCK);
            WaitTarget::Process(pidfd::process_of(&file)?)
        }
        _ => return Err(Errno::EINVAL),
    };
    let wanted_to_wait = !options.contains(WaitOptions::WNOHANG);
    options.set(WaitOptions::WNOHANG, nonblocking || !wanted_to_wait);
    match wait(cx, target, options).await? {
        None if nonblocking && wanted_to_wait => Err(Errno::EAGAIN),
        found => Ok(found),
    }
}

/// Looks, and waits if that is asked for.
async fn wait(cx: &mut Cx<'_>, target: WaitTarget, options: WaitOptions) -> Result<Option<WaitReport>, Errno> {
    let request = WaitRequest { target, options, by: cx.thread.tid() };
    if options.contains(WaitOptions::WNOHANG) {
        return cx.process().look_for_child(&request);
    }
    cx.interruptible(cx.process().wait_for_child(&request)).await?.map(Some)
}

/// The six words of `siginfo_t` that waitid writes; all zero if nothing was found.
fn write_info(address: u64, report: Option<&WaitReport>) -> Result<(), Errno> {
    let mut words = [0_i32; 7];
    if let Some(report) = report {
        let (code, status) = report.event.code_and_status();
        words = [abi::signal::SIGCHLD as i32, 0, code, 0, report.pid, report.uid.cast_signed(), status];
    }
    for (index, word) in words.iter().enumerate().filter(|(index, _)| *index != 3) {
        UserOut::<i32>::new(address).element(index as u64).write(word)?;
    }
    Ok(())
}
