//! Filters of system calls: seccomp(2), and prctl(2)'s way to it.

use abi::Errno;
use abi::seccomp::*;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::args::{Flags, Pointer};
use super::{Cx, SyscallResult};
use crate::fs::Capabilities;
use crate::mem::UserIn;
use crate::process::seccomp::Filter;

/// seccomp(2). Errors: EINVAL, EFAULT, EACCES, ENOMEM, EOPNOTSUPP, ESRCH. Order: `do_seccomp()`.
///
/// Deviates: nobody is told of calls (`SECCOMP_RET_USER_NOTIF`, `SECCOMP_FILTER_FLAG_NEW_LISTENER`), as on a Linux before
/// it could.
pub fn sys_seccomp(cx: &mut Cx<'_>, operation: u32, flags: Flags, argument: Pointer) -> SyscallResult {
    match operation {
        SECCOMP_SET_MODE_STRICT if flags.0 != 0 || argument.0 != 0 => Err(Errno::EINVAL),
        SECCOMP_SET_MODE_STRICT => set_strict(cx),
        SECCOMP_SET_MODE_FILTER => set_filter(cx, flags.0, argument.0),
        SECCOMP_GET_ACTION_AVAIL if flags.0 == 0 => match UserIn::<u32>::new(argument.0).read()? {
            SECCOMP_RET_USER_NOTIF => Err(Errno::EOPNOTSUPP),
            action => action_name(action).map(|_| 0).ok_or(Errno::EOPNOTSUPP),
        },
        _ => Err(Errno::EINVAL),
    }
}

/// `PR_SET_SECCOMP`. Errors: as [`sys_seccomp`].
pub fn set_mode(cx: &mut Cx<'_>, mode: u64, program: u64) -> SyscallResult {
    match u32::try_from(mode) {
        Ok(SECCOMP_MODE_STRICT) => set_strict(cx),
        Ok(SECCOMP_MODE_FILTER) => set_filter(cx, 0, program),
        _ => Err(Errno::EINVAL),
    }
}

fn set_strict(cx: &mut Cx<'_>) -> SyscallResult {
    cx.thread.become_strict().map(|()| 0)
}

/// `seccomp_set_mode_filter()`: 0, or with TSYNC the number of a thread that has filters of its own.
fn set_filter(cx: &mut Cx<'_>, flags: u32, program: u64) -> SyscallResult {
    let flags = FilterFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let program = UserIn::<SockFprog>::new(program).read()?;
    let len = u32::from(program.len);
    if len == 0 || len > BPF_MAXINSNS {
        return Err(Errno::EINVAL);
    }
    let promises = cx.thread.no_new_privs.load(Ordering::Relaxed);
    if !promises && !cx.private.cred.capable(Capabilities::SYS_ADMIN) {
        return Err(Errno::EACCES);
    }
    let instruction = |at| UserIn::<SockFilter>::new(program.filter).element(at).read();
    let code = (0..len.into()).map(instruction).collect::<Result<Vec<_>, _>>()?;
    let filter = Filter::of_program(code, flags.contains(FilterFlags::SECCOMP_FILTER_FLAG_LOG))?;
    let sync = flags.contains(FilterFlags::SECCOMP_FILTER_FLAG_TSYNC);
    match cx.thread.attach_filter(filter, sync)? {
        None => Ok(0),
        Some(_) if flags.contains(FilterFlags::SECCOMP_FILTER_FLAG_TSYNC_ESRCH) => Err(Errno::ESRCH),
        Some(stranger) => Ok(stranger.unsigned_abs() as usize),
    }
}
