//! Priorities of input and output: ioprio_get(2), ioprio_set(2).
//!
//! Kept and reported; the kernel's devices have no queue in which they could count.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::resource::{
    IOPRIO_BE_NORM, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE, IOPRIO_CLASS_NONE, IOPRIO_CLASS_RT, IOPRIO_CLASS_SHIFT,
    IOPRIO_NR_LEVELS, IOPRIO_WHO_PGRP, IOPRIO_WHO_PROCESS, IOPRIO_WHO_USER, PRIO_PGRP, PRIO_PROCESS, PRIO_USER,
};

use super::{Cx, SyscallResult, sched};
use crate::fs::Capabilities;
use crate::process::Thread;

/// The threads meant, as for getpriority(2). Errors: EINVAL, ESRCH.
fn named(cx: &Cx<'_>, which: u32, who: i32) -> Result<impl Iterator<Item = Arc<Thread>> + use<>, Errno> {
    let which = match which {
        IOPRIO_WHO_PROCESS => PRIO_PROCESS,
        IOPRIO_WHO_PGRP => PRIO_PGRP,
        IOPRIO_WHO_USER => PRIO_USER,
        _ => return Err(Errno::EINVAL),
    };
    sched::named(cx, which, who)
}

/// ioprio_set(2). Errors: EINVAL, EPERM, ESRCH. Order: `ioprio_check_cap()`, `sys_ioprio_set()`.
pub fn sys_ioprio_set(cx: &mut Cx<'_>, which: u32, who: i32, priority: u32) -> SyscallResult {
    let (class, level) = (priority >> IOPRIO_CLASS_SHIFT, priority & ((1 << IOPRIO_CLASS_SHIFT) - 1));
    let nice = cx.private.cred.capable(Capabilities::SYS_NICE);
    match class {
        IOPRIO_CLASS_RT if !nice && !cx.private.cred.capable(Capabilities::SYS_ADMIN) => return Err(Errno::EPERM),
        IOPRIO_CLASS_RT | IOPRIO_CLASS_BE if level >= IOPRIO_NR_LEVELS => return Err(Errno::EINVAL),
        IOPRIO_CLASS_RT | IOPRIO_CLASS_BE | IOPRIO_CLASS_IDLE => {}
        IOPRIO_CLASS_NONE if level == 0 => {}
        _ => return Err(Errno::EINVAL),
    }
    let value = u16::try_from(priority).map_err(|_| Errno::EINVAL)?;
    for thread in named(cx, which, who)? {
        let (mine, theirs) = (&cx.private.cred, thread.cred());
        if theirs.uid != mine.euid && theirs.uid != mine.uid && !nice {
            return Err(Errno::EPERM);
        }
        thread.io_priority.store(value, Ordering::Relaxed);
    }
    Ok(0)
}

/// ioprio_get(2): the highest priority among those meant. Errors: EINVAL, ESRCH.
pub fn sys_ioprio_get(cx: &mut Cx<'_>, which: u32, who: i32) -> SyscallResult {
    let priorities = named(cx, which, who)?.map(|thread| thread.io_priority.load(Ordering::Relaxed));
    Ok(priorities.reduce(best).unwrap_or(0).into())
}

/// The higher of two (`ioprio_best()`); what was never set counts as the middle of the best-effort class.
fn best(one: u16, other: u16) -> u16 {
    const NORMAL: u16 = (IOPRIO_CLASS_BE << IOPRIO_CLASS_SHIFT | IOPRIO_BE_NORM) as u16;
    let valid = |value: u16| if u32::from(value) >> IOPRIO_CLASS_SHIFT == IOPRIO_CLASS_NONE { NORMAL } else { value };
    valid(one).min(valid(other))
}
