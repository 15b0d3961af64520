//! Timers: interval timers, POSIX timers, and sleeping.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, pending};

use abi::Errno;
use abi::signal::{SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID, SigEvent};
use abi::time::*;

use super::args::Pointer;
use super::{Cx, Prepared, SyscallResult};
use crate::mem::{UserIn, UserOut};
use crate::process::clock::CpuClock;
use crate::process::itimer::CpuItimer;
use crate::process::timer::{Notify, Setting, TimerClock};
use crate::signal::{RestartBlock, Signal};
use crate::sync::executor;
use crate::time::{Clock, clock, monotonic_ns};

const NS_PER_S: u64 = NSEC_PER_SEC as u64;
const NS_PER_US: u64 = 1_000;

// Interval timers.

fn to_itimerval(setting: Setting) -> Itimerval {
    let timeval =
        |ns: u64| Timeval { tv_sec: (ns / NS_PER_S).cast_signed(), tv_usec: (ns % NS_PER_S / NS_PER_US).cast_signed() };
    Itimerval { it_interval: timeval(setting.interval_ns), it_value: timeval(setting.value_ns) }
}

fn from_itimerval(value: &Itimerval) -> Result<Setting, Errno> {
    let ns = |time: Timeval| {
        if time.tv_sec < 0 || !(0..1_000_000).contains(&time.tv_usec) {
            return Err(Errno::EINVAL);
        }
        let us = time.tv_usec.cast_unsigned();
        Ok(time.tv_sec.cast_unsigned().saturating_mul(NS_PER_S).saturating_add(us * NS_PER_US))
    };
    Ok(Setting { value_ns: ns(value.it_value)?, interval_ns: ns(value.it_interval)? })
}

/// getitimer(2). Errors: EINVAL, EFAULT.
pub fn sys_getitimer(cx: &mut Cx<'_>, which: u32, value: Pointer) -> SyscallResult {
    let process = cx.process();
    let setting = match which {
        ITIMER_REAL => process.real_timer(),
        ITIMER_VIRTUAL => process.cpu_itimer(CpuItimer::Virtual),
        ITIMER_PROF => process.cpu_itimer(CpuItimer::Prof),
        _ => return Err(Errno::EINVAL),
    };
    UserOut::<Itimerval>::new(value.0).write(&to_itimerval(setting))?;
    Ok(0)
}

/// setitimer(2); no new value stops the timer, as Linux still has it. Errors: EFAULT, EINVAL.
pub fn sys_setitimer(cx: &mut Cx<'_>, which: u32, new: Pointer, old: Pointer) -> SyscallResult {
    let new = UserIn::<Itimerval>::new(new.0).read_optional()?;
    let setting = new.map_or(Ok(Setting::default()), |new| from_itimerval(&new))?;
    let process = cx.process();
    let was = match which {
        ITIMER_REAL => process.set_real_timer(setting),
        ITIMER_VIRTUAL => process.set_cpu_itimer(CpuItimer::Virtual, setting),
        ITIMER_PROF => process.set_cpu_itimer(CpuItimer::Prof, setting),
        _ => return Err(Errno::EINVAL),
    };
    UserOut::<Itimerval>::new(old.0).write_optional(&to_itimerval(was))?;
    Ok(0)
}

/// alarm(2): gives the seconds that were left, rounded, and at least one if any time was. Never fails.
pub fn sys_alarm(cx: &mut Cx<'_>, seconds: u32) -> SyscallResult {
    let setting = Setting { value_ns: u64::from(seconds) * NS_PER_S, interval_ns: 0 };
    let left_ns = cx.process().set_real_timer(setting).value_ns;
    let (seconds, rest_ns) = (left_ns / NS_PER_S, left_ns % NS_PER_S);
    let rounds_up = seconds == 0 && rest_ns != 0 || rest_ns >= NS_PER_S / 2;
    Ok((seconds + u64::from(rounds_up)) as usize)
}

// POSIX timers.

fn to_itimerspec(setting: Setting) -> Itimerspec {
    Itimerspec { it_interval: Timespec::from_ns(setting.interval_ns), it_value: Timespec::from_ns(setting.value_ns) }
}

/// Whether the id names a clock by a descriptor; there is no device that would be one.
pub(super) fn is_descriptor(id: i32) -> bool {
    id < 0 && id.cast_unsigned() & (CPUCLOCK_PERTHREAD_MASK | CLOCKFD) == CLOCKFD
}

/// Whether the id is that of a clock, existing or not (`clockid_to_kclock()`).
pub(super) fn is_clock(id: i32) -> bool {
    id < CLOCK_THREAD_CPUTIME_ID
        || Clock::from_id(id).is_some()
        || matches!(id, CLOCK_THREAD_CPUTIME_ID | CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM)
}

/// The clock a timer or a sleep counts by. Errors: EINVAL for no clock, EOPNOTSUPP for one without timers.
fn timer_clock(cx: &Cx<'_>, id: i32) -> Result<TimerClock, Errno> {
    if let Some(clock) = Clock::from_id(id) {
        return if clock.has_timers() { Ok(TimerClock::Wall(clock)) } else { Err(Errno::EOPNOTSUPP) };
    }
    if is_descriptor(id) || matches!(id, CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM) {
        return Err(Errno::EOPNOTSUPP);
    }
    CpuClock::from_id(id, cx.thread, false).map(TimerClock::Cpu).ok_or(Errno::EINVAL)
}

/// Whom an event names (`good_sigevent()`). Errors: EINVAL.
fn event_target(cx: &Cx<'_>, event: &SigEvent) -> Result<Notify, Errno> {
    let kind = event.sigev_notify.cast_unsigned();
    let signal = Signal::from_i32(event.sigev_signo).ok_or(Errno::EINVAL);
    if kind == SIGEV_NONE {
        return Ok(Notify::Nobody);
    }
    if kind == SIGEV_SIGNAL | SIGEV_THREAD_ID {
        let thread = cx.process().table.thread(event.sigev_notify_thread_id).ok_or(Errno::EINVAL)?;
        let is_ours = Arc::ptr_eq(&thread.process, cx.process());
        let target = Notify::Thread(signal?, event.sigev_value, Arc::downgrade(&thread.signals));
        return if is_ours { Ok(target) } else { Err(Errno::EINVAL) };
    }
    match kind {
        SIGEV_SIGNAL | SIGEV_THREAD => Ok(Notify::Process(signal?, event.sigev_value)),
        _ => Err(Errno::EINVAL),
    }
}

/// timer_create(2), in the order of `do_timer_create()`. Errors: EFAULT, EINVAL, EOPNOTSUPP, EAGAIN.
pub fn sys_timer_create(cx: &mut Cx<'_>, clock: i32, event: Pointer, id: Pointer) -> SyscallResult {
    let event = UserIn::<SigEvent>::new(event.0).read_optional()?;
    let clock = timer_clock(cx, clock)?;
    let target = event.map(|event| event_target(cx, &event)).transpose()?;
    let by_default = |id: i32| Notify::Process(Signal::ALRM, u64::from(id.cast_unsigned()));
    let process = cx.process();
    let created = process.create_timer(clock, |id| target.unwrap_or_else(|| by_default(id)))?;
    if let Err(fault) = UserOut::<i32>::new(id.0).write(&created) {
        process.timers.delete(created)?;
        return Err(fault);
    }
    Ok(0)
}

/// timer_settime(2). Errors: EINVAL, EFAULT.
pub fn sys_timer_settime(cx: &mut Cx<'_>, id: i32, flags: u32, new: Pointer, old: Pointer) -> SyscallResult {
    if new.0 == 0 {
        return Err(Errno::EINVAL);
    }
    let new = UserIn::<Itimerspec>::new(new.0).read()?;
    let value_ns = new.it_value.to_ns().ok_or(Errno::EINVAL)?;
    let interval_ns = new.it_interval.to_ns().ok_or(Errno::EINVAL)?;
    let timer = cx.process().timers.get(id)?;
    let was = timer.set(Setting { value_ns, interval_ns }, flags & TIMER_ABSTIME != 0);
    UserOut::<Itimerspec>::new(old.0).write_optional(&to_itimerspec(was))?;
    Ok(0)
}

/// timer_gettime(2). Errors: EINVAL, EFAULT.
pub fn sys_timer_gettime(cx: &mut Cx<'_>, id: i32, value: Pointer) -> SyscallResult {
    let setting = cx.process().timers.get(id)?.get();
    UserOut::<Itimerspec>::new(value.0).write(&to_itimerspec(setting))?;
    Ok(0)
}

/// timer_getoverrun(2). Errors: EINVAL.
pub fn sys_timer_getoverrun(cx: &mut Cx<'_>, id: i32) -> SyscallResult {
    Ok(cx.process().timers.get(id)?.overrun().unsigned_abs() as usize)
}

/// timer_delete(2). Errors: EINVAL.
pub fn sys_timer_delete(cx: &mut Cx<'_>, id: i32) -> SyscallResult {
    cx.process().timers.delete(id)?;
    Ok(0)
}

// Sleeping.

/// nanosleep(2). Waits for the time to pass or a signal. Errors: EFAULT, EINVAL, EINTR.
pub fn sys_nanosleep<'a>(
    cx: &'a mut Cx<'_>,
    duration: Pointer,
    remaining: Pointer,
) -> impl Future<Output = SyscallResult> + Send + 'a {
    match UserIn::<Timespec>::new(duration.0).read().and_then(|time| time.to_ns().ok_or(Errno::EINVAL)) {
        Ok(ns) => {
            let deadline_ns = monotonic_ns().saturating_add(ns);
            Prepared::Waits { future: continue_nanosleep(cx, CLOCK_MONOTONIC, deadline_ns, remaining.0) }
        }
        Err(error) => Prepared::Refused { error },
    }
}

/// clock_nanosleep(2), in the order of Linux's. Waits for the time to pass or a signal. Errors: EINVAL, EOPNOTSUPP,
/// EFAULT, EINTR.
pub async fn sys_clock_nanosleep(
    cx: &mut Cx<'_>,
    id: i32,
    flags: u32,
    request: Pointer,
    remaining: Pointer,
) -> SyscallResult {
    check_can_sleep(id)?;
    let request_ns = UserIn::<Timespec>::new(request.0).read()?.to_ns().ok_or(Errno::EINVAL)?;
    let is_absolute = flags & TIMER_ABSTIME != 0;
    match timer_clock(cx, id)? {
        TimerClock::Wall(clock) if is_absolute => Box::pin(sleep_until(cx, clock, request_ns)).await,
        TimerClock::Wall(_) => {
            let deadline_ns = monotonic_ns().saturating_add(request_ns);
            continue_nanosleep(cx, CLOCK_MONOTONIC, deadline_ns, remaining.0).await
        }
        TimerClock::Cpu(clock) => {
            if clock.is_of_thread(cx.thread) {
                return Err(Errno::EINVAL);
            }
            if is_absolute {
                let waited = Box::pin(wait_for_cpu_time(cx, &clock, request_ns)).await;
                return waited.map_err(|_| Errno::ERESTARTNOHAND);
            }
            let deadline_ns = clock.now_ns().saturating_add(request_ns);
            continue_nanosleep(cx, id, deadline_ns, remaining.0).await
        }
    }
}

/// Whether the clock is of a kind that can be slept on at all. Errors: EINVAL, EOPNOTSUPP.
fn check_can_sleep(id: i32) -> Result<(), Errno> {
    if !is_clock(id) {
        return Err(Errno::EINVAL);
    }
    let is_awake = id == CLOCK_THREAD_CPUTIME_ID || is_descriptor(id);
    let sleeps = !is_awake && Clock::from_id(id).is_none_or(|clock| clock.has_timers());
    if sleeps { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
}

/// Sleeps until a clock shows a time, however often it is set meanwhile.
async fn sleep_until(cx: &Cx<'_>, clock: Clock, at_ns: u64) -> SyscallResult {
    loop {
        let seen = clock::settings();
        let deadline_ns = clock.to_monotonic_ns(at_ns);
        let waits = executor::timeout_at(deadline_ns, clock::wait_for_setting(seen));
        let woken = cx.interruptible(waits).await.map_err(|_| Errno::ERESTARTNOHAND)?;
        if woken.is_err() || clock.now_ns() >= at_ns {
            return Ok(0);
        }
    }
}

/// A sleep with a length, from its start or from where a signal interrupted it. `deadline_ns` is on `clock`; what is
/// left when a handler interrupts is stored at `remaining`.
pub fn continue_nanosleep<'a>(
    cx: &'a Cx<'_>,
    clock: i32,
    deadline_ns: u64,
    remaining: u64,
) -> impl Future<Output = SyscallResult> + Send + 'a {
    // A block rather than an `async fn`: that would keep its arguments twice.
    async move {
        let left_ns = match CpuClock::from_id(clock, cx.thread, false) {
            Some(cpu) => match Box::pin(wait_for_cpu_time(cx, &cpu, deadline_ns)).await {
                Ok(_) => return Ok(0),
                Err(_) => deadline_ns.saturating_sub(cpu.now_ns()),
            },
            None => {
                let sleeps = executor::timeout_at(deadline_ns, pending::<()>());
                if cx.interruptible(sleeps).await.is_ok() {
                    return Ok(0);
                }
                deadline_ns.saturating_sub(monotonic_ns())
            }
        };
        if left_ns == 0 {
            return Ok(0);
        }
        UserOut::<Timespec>::new(remaining).write_optional(&Timespec::from_ns(left_ns))?;
        cx.thread.signals.set_restart(RestartBlock::Nanosleep { clock, deadline_ns, remaining });
        Err(Errno::ERESTART_RESTARTBLOCK)
    }
}

/// Waits until a process has used some CPU time, by looking again when it can first have. Errors: EINTR.
async fn wait_for_cpu_time(cx: &Cx<'_>, clock: &CpuClock, deadline_ns: u64) -> SyscallResult {
    /// The least time between two looks: a tick of Linux at 250 Hz.
    const LOOK_NS: u64 = 4_000_000;
    loop {
        let left_ns = deadline_ns.saturating_sub(clock.now_ns());
        if left_ns == 0 {
            return Ok(0);
        }
        let cpus = executor::executor().cpu_count() as u64;
        let look_ns = monotonic_ns().saturating_add((left_ns / cpus).max(LOOK_NS));
        cx.interruptible(executor::sleep_until(look_ns)).await.map_err(|_| Errno::EINTR)?;
    }
}
