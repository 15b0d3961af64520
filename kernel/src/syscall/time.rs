//! Telling and setting the time.

use abi::Errno;
use abi::time::*;

use super::args::Pointer;
use super::timer::{is_clock, is_descriptor};
use super::{Cx, SyscallResult};
use crate::fs::Capabilities;
use crate::mem::{UserIn, UserOut};
use crate::process::clock::CpuClock;
use crate::time::{Clock, clock, monotonic_ns, realtime_ns};

const NS_PER_US: u64 = 1_000;
/// Nanoseconds of a tick of times(2).
const TICK_NS: u64 = NSEC_PER_SEC as u64 / CLOCKS_PER_SEC;
/// The latest second the clock can be set to: thirty years before nanoseconds overflow (`TIME_SETTOD_SEC_MAX`).
const MAX_SET_S: i64 = i64::MAX / NSEC_PER_SEC - 30 * 365 * 24 * 3600;

// What adjtimex(2) is asked to do.
const ADJ_OFFSET_SINGLESHOT: u32 = 0x0001;
const ADJ_TAI: u32 = 0x0080;
const ADJ_SETOFFSET: u32 = 0x0100;
const ADJ_NANO: u32 = 0x2000;
const ADJ_OFFSET_READONLY: u32 = 0x2000;
const ADJ_TICK: u32 = 0x4000;
const ADJ_ADJTIME: u32 = 0x8000;
/// What ADJ_TICK takes, in microseconds.
const TICKS_US: core::ops::RangeInclusive<i64> = 9_000..=11_000;

/// clock_gettime(2). Errors: EINVAL, EFAULT.
pub fn sys_clock_gettime(cx: &mut Cx<'_>, id: i32, time: Pointer) -> SyscallResult {
    let now_ns = match Clock::from_id(id) {
        Some(clock) => clock.now_ns(),
        None => CpuClock::from_id(id, cx.thread, true).ok_or(Errno::EINVAL)?.now_ns(),
    };
    UserOut::<Timespec>::new(time.0).write(&Timespec::from_ns(now_ns))?;
    Ok(0)
}

/// clock_getres(2). Errors: EINVAL, EFAULT.
pub fn sys_clock_getres(cx: &mut Cx<'_>, id: i32, resolution: Pointer) -> SyscallResult {
    let resolution_ns = match Clock::from_id(id) {
        Some(clock) => clock.resolution_ns(),
        None => CpuClock::from_id(id, cx.thread, false).map(|_| 1).ok_or(Errno::EINVAL)?,
    };
    UserOut::<Timespec>::new(resolution.0).write_optional(&Timespec::from_ns(resolution_ns))?;
    Ok(0)
}

/// Sets the time of day. Errors: EINVAL, EPERM.
fn set_time(cx: &Cx<'_>, time: Timespec) -> SyscallResult {
    let now_ns = time.to_ns().filter(|_| time.tv_sec < MAX_SET_S).ok_or(Errno::EINVAL)?;
    if !cx.private.cred.capable(Capabilities::SYS_TIME) {
        return Err(Errno::EPERM);
    }
    clock::set_realtime_ns(now_ns);
    Ok(0)
}

/// clock_settime(2): CLOCK_REALTIME alone can be set; nobody may set the CPU time of a process or thread named by its
/// number. Errors: EINVAL, EFAULT, EPERM.
pub fn sys_clock_settime(cx: &mut Cx<'_>, id: i32, time: Pointer) -> SyscallResult {
    if id > CLOCK_REALTIME {
        return Err(Errno::EINVAL);
    }
    let time = UserIn::<Timespec>::new(time.0).read()?;
    match id {
        CLOCK_REALTIME => set_time(cx, time),
        _ if CpuClock::from_id(id, cx.thread, false).is_some() => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// gettimeofday(2). The kernel keeps no time zone: it reports Greenwich. Errors: EFAULT.
pub fn sys_gettimeofday(_cx: &mut Cx<'_>, time: Pointer, zone: Pointer) -> SyscallResult {
    let now = Timespec::from_ns(realtime_ns());
    let now = Timeval { tv_sec: now.tv_sec, tv_usec: now.tv_nsec / NS_PER_US.cast_signed() };
    UserOut::<Timeval>::new(time.0).write_optional(&now)?;
    UserOut::<Timezone>::new(zone.0).write_optional(&Timezone::default())?;
    Ok(0)
}

/// settimeofday(2). `Deviates:` a time zone is accepted and forgotten. Errors: EFAULT, EINVAL, EPERM.
pub fn sys_settimeofday(cx: &mut Cx<'_>, time: Pointer, zone: Pointer) -> SyscallResult {
    let time = UserIn::<Timeval>::new(time.0).read_optional()?;
    if time.is_some_and(|time| !(0..=1_000_000).contains(&time.tv_usec)) {
        return Err(Errno::EINVAL);
    }
    UserIn::<Timezone>::new(zone.0).read_optional()?;
    match time {
        Some(time) => set_time(cx, Timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_usec * NS_PER_US.cast_signed() }),
        None if cx.private.cred.capable(Capabilities::SYS_TIME) => Ok(0),
        None => Err(Errno::EPERM),
    }
}

/// time(2). Errors: EFAULT.
pub fn sys_time(_cx: &mut Cx<'_>, time: Pointer) -> SyscallResult {
    let seconds = Timespec::from_ns(realtime_ns()).tv_sec;
    UserOut::<i64>::new(time.0).write_optional(&seconds)?;
    Ok(seconds.cast_unsigned() as usize)
}

/// times(2): gives the ticks since boot. Errors: EFAULT.
pub fn sys_times(cx: &mut Cx<'_>, times: Pointer) -> SyscallResult {
    let ticks = |ns: u64| (ns / TICK_NS).cast_signed();
    let (own, children) = (cx.process().usage(), cx.process().reaped_usage());
    let times_now = Tms {
        tms_utime: ticks(own.user_ns),
        tms_stime: ticks(own.system_ns),
        tms_cutime: ticks(children.user_ns),
        tms_cstime: ticks(children.system_ns),
    };
    UserOut::<Tms>::new(times.0).write_optional(&times_now)?;
    Ok((monotonic_ns() / TICK_NS) as usize)
}

/// adjtimex(2). Errors: EFAULT, EPERM, EINVAL.
pub fn sys_adjtimex(cx: &mut Cx<'_>, buffer: Pointer) -> SyscallResult {
    let asked = UserIn::<Timex>::new(buffer.0).read()?;
    adjust(cx, &asked, buffer)
}

/// clock_adjtime(2). Errors: EINVAL, EOPNOTSUPP, EFAULT, EPERM.
pub fn sys_clock_adjtime(cx: &mut Cx<'_>, id: i32, buffer: Pointer) -> SyscallResult {
    let asked = UserIn::<Timex>::new(buffer.0).read()?;
    match id {
        CLOCK_REALTIME => adjust(cx, &asked, buffer),
        _ if is_clock(id) && !is_descriptor(id) => Err(Errno::EOPNOTSUPP),
        _ => Err(Errno::EINVAL),
    }
}

/// Whether the caller may make the changes, and whether they make sense (`timekeeping_validate_timex()`). Errors: EPERM,
/// EINVAL.
fn check_adjustment(cx: &Cx<'_>, asked: &Timex) -> Result<(), Errno> {
    let may_change = cx.private.cred.capable(Capabilities::SYS_TIME);
    if asked.modes & ADJ_ADJTIME != 0 {
        if asked.modes & ADJ_OFFSET_SINGLESHOT == 0 {
            return Err(Errno::EINVAL);
        }
        return if asked.modes & ADJ_OFFSET_READONLY != 0 || may_change { Ok(()) } else { Err(Errno::EPERM) };
    }
    if asked.modes != 0 && !may_change {
        return Err(Errno::EPERM);
    }
    if asked.modes & ADJ_TICK != 0 && !TICKS_US.contains(&asked.tick) { Err(Errno::EINVAL) } else { Ok(()) }
}

/// Sets by how much the clock is off or CLOCK_TAI is ahead, and reports a clock that nothing disciplines.
/// `Deviates:` frequency and slewing are accepted from the privileged and have no effect.
fn adjust(cx: &Cx<'_>, asked: &Timex, buffer: Pointer) -> SyscallResult {
    const STA_UNSYNC: i32 = 0x40;
    const TIME_ERROR: usize = 5;
    check_adjustment(cx, asked)?;
    if asked.modes & ADJ_SETOFFSET != 0 {
        let unit_ns = if asked.modes & ADJ_NANO != 0 { 1 } else { NS_PER_US.cast_signed() };
        let (seconds, part_ns) = (asked.time.tv_sec, asked.time.tv_usec.saturating_mul(unit_ns));
        if !(0..NSEC_PER_SEC).contains(&part_ns) {
            return Err(Errno::EINVAL);
        }
        let by_ns = seconds.saturating_mul(NSEC_PER_SEC).saturating_add(part_ns);
        clock::set_realtime_ns(realtime_ns().saturating_add_signed(by_ns));
    }
    if asked.modes & ADJ_TAI != 0 && (0..=100_000).contains(&asked.constant) {
        clock::set_tai_offset_s(i32::try_from(asked.constant).unwrap_or(0));
    }
    let now = Timespec::from_ns(realtime_ns());
    let reported = Timex {
        modes: asked.modes,
        maxerror: 16_000_000,
        esterror: 16_000_000,
        status: STA_UNSYNC,
        constant: 2,
        precision: 1,
        tolerance: 32_768_000,
        time: Timeval { tv_sec: now.tv_sec, tv_usec: now.tv_nsec / NS_PER_US.cast_signed() },
        tick: 10_000,
        tai: clock::tai_offset_s(),
        ..Timex::default()
    };
    UserOut::<Timex>::new(buffer.0).write(&reported)?;
    Ok(TIME_ERROR)
}
