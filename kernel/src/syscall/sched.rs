//! Scheduling: sched_yield(2), affinity, policies and priorities, nice values.
//!
//! Policies are kept and reported. The executor shares time by nice value alone; a real-time policy counts as the strongest.

use abi::Errno;
use abi::resource::{PRIO_PGRP, PRIO_PROCESS, PRIO_USER};
use abi::sched::*;
use alloc::sync::Arc;
use alloc::vec::Vec;
use runtime::CpuSet;

use super::args::{Flags, Pointer};
use super::{Cx, SyscallResult};
use crate::fs::{Capabilities, Cred};
use crate::mem::{UserIn, UserOut, UserSlice};
use crate::process::limits::Resource;
use crate::process::{Deadline, Pid, Policy, Thread};
use crate::sync::executor;

/// sched_yield(2): lets the others that are ready run first, before the caller enters user mode again.
pub fn sys_sched_yield(_cx: &mut Cx<'_>) -> SyscallResult {
    if !executor::is_alone() {
        executor::here().ask_to_yield();
    }
    Ok(0)
}

/// The thread a scheduling call means: 0 is the caller. Errors: ESRCH.
fn find(cx: &Cx<'_>, tid: Pid) -> Result<Arc<Thread>, Errno> {
    match tid {
        0 => Ok(cx.thread.clone()),
        tid if tid < 0 => Err(Errno::ESRCH),
        tid => cx.process().table.thread(tid).ok_or(Errno::ESRCH),
    }
}

/// Whether the caller may change another's scheduling: the same user, or `CAP_SYS_NICE` (`check_same_owner()`).
fn may_change(cx: &Cx<'_>, thread: &Thread) -> bool {
    let (mine, theirs) = (&cx.private.cred, thread.cred());
    mine.euid == theirs.euid || mine.euid == theirs.uid || mine.capable(Capabilities::SYS_NICE)
}

/// sched_getaffinity(2): the CPUs the thread may run on, of those there are; gives the bytes written. Errors: EINVAL (too
/// small a buffer, or one of an odd size), ESRCH, EFAULT.
pub fn sys_sched_getaffinity(cx: &mut Cx<'_>, tid: i32, len: usize, mask: Pointer) -> SyscallResult {
    const MASK_BYTES: usize = size_of::<u64>();
    let cpus = executor::executor().online();
    if len < MASK_BYTES || len % MASK_BYTES != 0 {
        return Err(Errno::EINVAL);
    }
    let set = find(cx, tid)?.params.affinity().and(cpus);
    UserOut::<u64>::new(mask.0).write(&set.bits())?;
    Ok(MASK_BYTES)
}

/// sched_setaffinity(2). Errors: EFAULT, ESRCH, EPERM, EINVAL if no CPU of the set exists. Waits for its turn on an allowed
/// CPU if the caller restricts itself.
pub async fn sys_sched_setaffinity(cx: &mut Cx<'_>, tid: i32, len: usize, mask: Pointer) -> SyscallResult {
    let mut bits = [0; 8];
    let slice = UserSlice::new(mask.0, (len as u64).min(8));
    if slice.read_at(0, &mut bits) < slice.len as usize {
        return Err(Errno::EFAULT);
    }
    let thread = find(cx, tid)?;
    if !may_change(cx, &thread) {
        return Err(Errno::EPERM);
    }
    if !executor::executor().set_affinity(&thread.params, CpuSet::from_bits(u64::from_le_bytes(bits))) {
        return Err(Errno::EINVAL);
    }
    if Arc::ptr_eq(&thread, cx.thread) && executor::need_resched() {
        executor::yield_now().await;
    }
    Ok(0)
}

/// sched_getscheduler(2). Errors: EINVAL, ESRCH.
pub fn sys_sched_getscheduler(cx: &mut Cx<'_>, tid: i32) -> SyscallResult {
    let policy = not_negative(cx, tid)?.policy();
    let reset = if policy.reset_on_fork { SCHED_RESET_ON_FORK } else { 0 };
    Ok((policy.kind | reset) as usize)
}

/// sched_getparam(2). Errors: EINVAL, ESRCH, EFAULT.
pub fn sys_sched_getparam(cx: &mut Cx<'_>, tid: i32, param: UserOut<SchedParam>) -> SyscallResult {
    if param.is_null() {
        return Err(Errno::EINVAL);
    }
    let policy = not_negative(cx, tid)?.policy();
    param.write(&SchedParam { sched_priority: policy.priority.into() })?;
    Ok(0)
}

fn not_negative(cx: &Cx<'_>, tid: Pid) -> Result<Arc<Thread>, Errno> {
    if tid < 0 { Err(Errno::EINVAL) } else { find(cx, tid) }
}

/// sched_setscheduler(2). Errors: EINVAL, EFAULT, ESRCH, EPERM.
pub fn sys_sched_setscheduler(cx: &mut Cx<'_>, tid: i32, policy: i32, param: UserIn<SchedParam>) -> SyscallResult {
    let policy = u32::try_from(policy).map_err(|_| Errno::EINVAL)?;
    set_policy(cx, tid, Some(policy), param)
}

/// sched_setparam(2). Errors: EINVAL, EFAULT, ESRCH, EPERM.
pub fn sys_sched_setparam(cx: &mut Cx<'_>, tid: i32, param: UserIn<SchedParam>) -> SyscallResult {
    set_policy(cx, tid, None, param)
}

fn set_policy(cx: &Cx<'_>, tid: Pid, kind: Option<u32>, param: UserIn<SchedParam>) -> SyscallResult {
    if param.is_null() || tid < 0 {
        return Err(Errno::EINVAL);
    }
    let priority = param.read()?.sched_priority;
    let thread = find(cx, tid)?;
    let old = thread.policy();
    let reset_on_fork = kind.map_or(old.reset_on_fork, |kind| kind & SCHED_RESET_ON_FORK != 0);
    let kind = kind.map_or(old.kind, |kind| kind & !SCHED_RESET_ON_FORK);
    let priority = u8::try_from(priority).map_err(|_| Errno::EINVAL)?;
    change_policy(cx, &thread, Policy { kind, priority, reset_on_fork }, None, Deadline::default())
}

/// `__sched_setscheduler()`: valid, then allowed, then done.
fn change_policy(cx: &Cx<'_>, thread: &Thread, new: Policy, nice: Option<i8>, deadline: Deadline) -> SyscallResult {
    let valid = match new.kind {
        SCHED_DEADLINE => new.priority == 0 && deadline.is_valid(),
        SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE => new.priority == 0,
        SCHED_FIFO | SCHED_RR => (1..=99).contains(&new.priority),
        _ => false,
    };
    if !valid {
        return Err(Errno::EINVAL);
    }
    if !cx.private.cred.capable(Capabilities::SYS_NICE) {
        check_unprivileged(cx, thread, new, nice)?;
    }
    if new.has_deadline()
        && !executor::executor().online().and(thread.params.affinity()).eq(&executor::executor().online())
    {
        return Err(Errno::EPERM);
    }
    thread.set_policy(new);
    thread.set_deadline(new.has_deadline().then_some(deadline));
    if let Some(nice) = nice {
        thread.params.set_nice(nice);
    }
    Ok(0)
}

/// What a user without `CAP_SYS_NICE` may not do (`user_check_sched_setscheduler()`).
fn check_unprivileged(cx: &Cx<'_>, thread: &Thread, new: Policy, nice: Option<i8>) -> Result<(), Errno> {
    let old = thread.policy();
    if new.has_deadline() {
        return Err(Errno::EPERM);
    }
    let limits = *thread.process.limits.lock();
    if nice.is_some_and(|nice| nice < thread.params.nice() && !can_nice(limits.get(Resource::Nice).soft, nice)) {
        return Err(Errno::EPERM);
    }
    if matches!(new.kind, SCHED_FIFO | SCHED_RR) {
        let highest = limits.get(Resource::RealTimePriority).soft;
        if new.kind != old.kind && highest == 0 {
            return Err(Errno::EPERM);
        }
        if new.priority > old.priority && u64::from(new.priority) > highest {
            return Err(Errno::EPERM);
        }
    }
    let leaves_idle = old.kind == SCHED_IDLE && new.kind != SCHED_IDLE;
    if leaves_idle && !can_nice(limits.get(Resource::Nice).soft, thread.params.nice()) {
        return Err(Errno::EPERM);
    }
    if !may_change(cx, thread) || old.reset_on_fork && !new.reset_on_fork {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// Whether RLIMIT_NICE allows this nice value.
fn can_nice(limit: u64, nice: i8) -> bool {
    u64::from((20 - i16::from(nice)).unsigned_abs()) <= limit
}

/// sched_getattr(2). Errors: EINVAL, ESRCH, E2BIG, EFAULT.
pub fn sys_sched_getattr(cx: &mut Cx<'_>, tid: i32, attr: Pointer, size: u32, flags: Flags) -> SyscallResult {
    const PAGE: u32 = 4096;
    if attr.0 == 0 || tid < 0 || !(SCHED_ATTR_SIZE_VER0..=PAGE).contains(&size) || flags.0 != 0 {
        return Err(Errno::EINVAL);
    }
    let thread = find(cx, tid)?;
    let policy = thread.policy();
    let deadline = thread.deadline().unwrap_or_default();
    let has_nice = !policy.is_real_time() && !policy.has_deadline();
    let known = size.min(size_of::<SchedAttr>() as u32);
    let value = SchedAttr {
        size: known,
        sched_policy: policy.kind,
        sched_flags: deadline.flags
            | if policy.reset_on_fork { SchedFlags::SCHED_FLAG_RESET_ON_FORK.bits() } else { 0 },
        sched_nice: if has_nice { thread.params.nice().into() } else { 0 },
        sched_runtime: deadline.runtime_ns,
        sched_deadline: deadline.deadline_ns,
        sched_period: deadline.period_ns,
        sched_priority: policy.priority.into(),
        sched_util_max: if known > SCHED_ATTR_SIZE_VER0 { 1024 } else { 0 },
        ..SchedAttr::default()
    };
    let bytes = abi::zerocopy::IntoBytes::as_bytes(&value);
    crate::mem::user::copy_out(crate::mem::UserAddr(attr.0), &bytes[..known as usize])?;
    Ok(0)
}

/// sched_setattr(2). Errors: EINVAL, E2BIG, EFAULT, ESRCH, EPERM.
///
/// Deviates: a deadline is kept and reported, and nobody sees to it; so none is ever one too many (EBUSY).
pub fn sys_sched_setattr(cx: &mut Cx<'_>, tid: i32, attr: Pointer, flags: Flags) -> SyscallResult {
    const PAGE: u32 = 4096;
    if attr.0 == 0 || tid < 0 || flags.0 != 0 {
        return Err(Errno::EINVAL);
    }
    let size = match UserIn::<u32>::new(attr.0).read()? {
        0 => SCHED_ATTR_SIZE_VER0,
        size if (SCHED_ATTR_SIZE_VER0..=PAGE).contains(&size) => size,
        _ => {
            UserOut::<u32>::new(attr.0).write(&(size_of::<SchedAttr>() as u32))?;
            return Err(Errno::E2BIG);
        }
    };
    let attr: SchedAttr = super::copy_struct(attr.0, size.into())?;
    if attr.sched_policy.cast_signed() < 0 {
        return Err(Errno::EINVAL);
    }
    let wanted = SchedFlags::from_bits(attr.sched_flags).ok_or(Errno::EINVAL)?;
    let thread = find(cx, tid)?;
    let old = thread.policy();
    let kind = if wanted.contains(SchedFlags::SCHED_FLAG_KEEP_POLICY) { old.kind } else { attr.sched_policy };
    let reset_on_fork = wanted.contains(SchedFlags::SCHED_FLAG_RESET_ON_FORK);
    if wanted.contains(SchedFlags::SCHED_FLAG_KEEP_PARAMS) {
        let deadline = thread.deadline().unwrap_or_default();
        return change_policy(cx, &thread, Policy { kind, priority: old.priority, reset_on_fork }, None, deadline);
    }
    let priority = u8::try_from(attr.sched_priority).map_err(|_| Errno::EINVAL)?;
    let fair = matches!(kind, SCHED_NORMAL | SCHED_BATCH);
    let nice = fair.then_some(attr.sched_nice.clamp(-20, 19) as i8);
    change_policy(cx, &thread, Policy { kind, priority, reset_on_fork }, nice, deadline_of(&attr, wanted))
}

/// What a deadline policy asks for: a period that is not given is the deadline.
fn deadline_of(attr: &SchedAttr, flags: SchedFlags) -> Deadline {
    let kept = SchedFlags::SCHED_FLAG_RECLAIM | SchedFlags::SCHED_FLAG_DL_OVERRUN;
    Deadline {
        runtime_ns: attr.sched_runtime,
        deadline_ns: attr.sched_deadline,
        period_ns: if attr.sched_period == 0 { attr.sched_deadline } else { attr.sched_period },
        flags: flags.intersection(kept).bits(),
    }
}

/// sched_get_priority_max(2). Errors: EINVAL.
pub fn sys_sched_get_priority_max(_cx: &mut Cx<'_>, policy: i32) -> SyscallResult {
    priority_range(policy).map(|(_, highest)| highest)
}

/// sched_get_priority_min(2). Errors: EINVAL.
pub fn sys_sched_get_priority_min(_cx: &mut Cx<'_>, policy: i32) -> SyscallResult {
    priority_range(policy).map(|(lowest, _)| lowest)
}

fn priority_range(policy: i32) -> Result<(usize, usize), Errno> {
    match policy.cast_unsigned() {
        SCHED_FIFO | SCHED_RR => Ok((1, 99)),
        SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE | SCHED_DEADLINE => Ok((0, 0)),
        _ => Err(Errno::EINVAL),
    }
}

/// The slice of threads that take turns (`RR_TIMESLICE`; also `/proc/sys/kernel/sched_rr_timeslice_ms`).
const ROUND_ROBIN_SLICE_NS: u64 = 100_000_000;

/// sched_rr_get_interval(2): the slice of a thread. Errors: EINVAL, ESRCH, EFAULT.
pub fn sys_sched_rr_get_interval(cx: &mut Cx<'_>, tid: i32, interval: UserOut<abi::time::Timespec>) -> SyscallResult {
    let thread = not_negative(cx, tid)?;
    let slice_ns = match thread.policy().kind {
        SCHED_FIFO | SCHED_DEADLINE => 0,
        SCHED_RR => ROUND_ROBIN_SLICE_NS,
        _ => runtime::slice_ns(thread.params.nice()),
    };
    interval.write(&abi::time::Timespec { tv_sec: 0, tv_nsec: slice_ns as i64 })?;
    Ok(0)
}

/// The threads getpriority and setpriority mean. Errors: EINVAL, ESRCH if there are none.
pub(super) fn named(cx: &Cx<'_>, which: u32, who: i32) -> Result<impl Iterator<Item = Arc<Thread>> + use<>, Errno> {
    let (mut one, mut processes, mut of_user) = (None, Vec::new(), None);
    match which {
        PRIO_PROCESS => one = find(cx, who).ok(),
        PRIO_PGRP if who == 0 => processes = cx.process().group().members(),
        PRIO_PGRP => processes = cx.process().table.group(who).map_or(Vec::new(), |group| group.members()),
        PRIO_USER => {
            of_user = Some(if who == 0 { cx.private.cred.uid } else { who.cast_unsigned() });
            processes = cx.process().table.processes();
        }
        _ => return Err(Errno::EINVAL),
    }
    let all = one.into_iter().chain(processes.into_iter().flat_map(|process| process.each_thread()));
    let mut found = all.filter(move |thread| of_user.is_none_or(|uid| thread.cred().uid == uid)).peekable();
    if found.peek().is_none() { Err(Errno::ESRCH) } else { Ok(found) }
}

/// getpriority(2): 20 minus the lowest nice value. Errors: EINVAL, ESRCH.
pub fn sys_getpriority(cx: &mut Cx<'_>, which: u32, who: i32) -> SyscallResult {
    let threads = named(cx, which, who)?;
    let lowest = threads.map(|thread| thread.params.nice()).min().unwrap_or(0);
    Ok(usize::from((20 - i16::from(lowest)).unsigned_abs()))
}

/// setpriority(2). Errors: EINVAL, ESRCH, EPERM, EACCES. Order: `set_one_prio()`; the last error counts.
pub fn sys_setpriority(cx: &mut Cx<'_>, which: u32, who: i32, nice: i32) -> SyscallResult {
    let nice = nice.clamp(-20, 19) as i8;
    let mut result = Ok(0);
    for thread in named(cx, which, who)? {
        match set_nice(&cx.private.cred, &thread, nice) {
            Ok(()) => {}
            Err(error) => result = Err(error),
        }
    }
    result
}

fn set_nice(cred: &Cred, thread: &Thread, nice: i8) -> Result<(), Errno> {
    let theirs = thread.cred();
    let privileged = cred.capable(Capabilities::SYS_NICE);
    if theirs.uid != cred.euid && theirs.euid != cred.euid && !privileged {
        return Err(Errno::EPERM);
    }
    let limit = thread.process.limits.lock().get(Resource::Nice).soft;
    if nice < thread.params.nice() && !privileged && !can_nice(limit, nice) {
        return Err(Errno::EACCES);
    }
    thread.params.set_nice(nice);
    Ok(())
}
