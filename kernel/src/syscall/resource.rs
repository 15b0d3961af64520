//! Limits and usage: getrlimit(2), setrlimit(2), prlimit64(2), getrusage(2).

use abi::Errno;
use abi::resource::{RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD, Rlimit, Rusage};
use alloc::sync::Arc;

use super::{Cx, SyscallResult};
use crate::fs::Capabilities;
use crate::mem::{UserIn, UserOut};
use crate::process::Process;
use crate::process::limits::{Limit, Resource};
use crate::thread::exec::space_limits;

/// No table of descriptors may be allowed to be larger (`/proc/sys/fs/nr_open`).
const MAX_FILES: u64 = 1 << 20;

fn decode(limit: Rlimit) -> Limit {
    Limit { soft: limit.rlim_cur, hard: limit.rlim_max }
}

fn encode(limit: Limit) -> Rlimit {
    Rlimit { rlim_cur: limit.soft, rlim_max: limit.hard }
}

/// getrlimit(2). Errors: EINVAL, EFAULT.
pub fn sys_getrlimit(cx: &mut Cx<'_>, resource: u32, limit: UserOut<Rlimit>) -> SyscallResult {
    let old = exchange(cx, &cx.process().clone(), resource, None)?;
    limit.write(&encode(old))?;
    Ok(0)
}

/// setrlimit(2). Errors: EFAULT, EINVAL, EPERM.
pub fn sys_setrlimit(cx: &mut Cx<'_>, resource: u32, limit: UserIn<Rlimit>) -> SyscallResult {
    let new = limit.read()?;
    exchange(cx, &cx.process().clone(), resource, Some(decode(new)))?;
    Ok(0)
}

/// prlimit64(2). Errors: EFAULT, ESRCH, EPERM, EINVAL.
pub fn sys_prlimit64(
    cx: &mut Cx<'_>,
    pid: i32,
    resource: u32,
    new: UserIn<Rlimit>,
    old: UserOut<Rlimit>,
) -> SyscallResult {
    let new = new.read_optional()?.map(decode);
    let process = match pid {
        0 => cx.process().clone(),
        pid => cx.process().table.process_of(pid).ok_or(Errno::ESRCH)?,
    };
    check_access(cx, &process)?;
    let before = exchange(cx, &process, resource, new)?;
    old.write_optional(&encode(before))?;
    Ok(0)
}

/// Whether the caller may see and change another's limits (`check_prlimit_permission()`). Errors: EPERM.
fn check_access(cx: &Cx<'_>, process: &Arc<Process>) -> Result<(), Errno> {
    if Arc::ptr_eq(process, cx.process()) {
        return Ok(());
    }
    let mine = &cx.private.cred;
    let theirs = process.threads().live.values().next().map(|thread| thread.cred()).ok_or(Errno::ESRCH)?;
    let same = [theirs.uid, theirs.euid, theirs.suid].iter().all(|uid| *uid == mine.uid)
        && [theirs.gid, theirs.egid, theirs.sgid].iter().all(|gid| *gid == mine.gid);
    if same || mine.capable(Capabilities::SYS_RESOURCE) { Ok(()) } else { Err(Errno::EPERM) }
}

/// The old limit, replaced if there is a new one (`do_prlimit()`). Errors: EINVAL, EPERM.
fn exchange(cx: &Cx<'_>, process: &Arc<Process>, resource: u32, new: Option<Limit>) -> Result<Limit, Errno> {
    let resource = Resource::from_number(resource).ok_or(Errno::EINVAL)?;
    if let Some(new) = new {
        if new.soft > new.hard {
            return Err(Errno::EINVAL);
        }
        if resource == Resource::Files && new.hard > MAX_FILES {
            return Err(Errno::EPERM);
        }
    }
    let (old, all) = {
        let mut limits = process.limits.lock();
        let old = limits.get(resource);
        if let Some(new) = new {
            if new.hard > old.hard && !cx.private.cred.capable(Capabilities::SYS_RESOURCE) {
                return Err(Errno::EPERM);
            }
            limits.set(resource, new);
        }
        (old, *limits)
    };
    if let Some(new) = new {
        match resource {
            Resource::PendingSignals => process.signals.set_limit(new.soft),
            Resource::Cpu => process.watch_cpu_time(),
            Resource::Stack | Resource::Data | Resource::AddressSpace | Resource::LockedMemory => {
                let space = process.threads().live.values().next().and_then(|thread| thread.space());
                space.inspect(|space| space.set_limits(space_limits(&all)));
            }
            _ => {}
        }
    }
    Ok(old)
}

/// getrusage(2). Errors: EINVAL, EFAULT.
pub fn sys_getrusage(cx: &mut Cx<'_>, who: i32, usage: UserOut<Rusage>) -> SyscallResult {
    let process = cx.process();
    let mut value = match who {
        RUSAGE_SELF => process.usage(),
        RUSAGE_CHILDREN => process.reaped_usage(),
        RUSAGE_THREAD => cx.thread.times.get(),
        _ => return Err(Errno::EINVAL),
    };
    if who != RUSAGE_CHILDREN {
        value.max_rss_pages = value.max_rss_pages.max(cx.private.space.counts().peak_resident_pages);
    }
    usage.write(&value.to_rusage())?;
    Ok(0)
}
