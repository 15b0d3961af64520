//! Time: the time stamp counter as the monotonic clock, the real-time clock for the date, the APIC timer's rate.

use core::arch::x86_64::{__cpuid, _rdtsc};
use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::instructions::port::Port;

use super::apic;

const PIT_HZ: u64 = 1_193_182;
const PIT_CHANNEL_0: u16 = 0x40;
const PIT_COMMAND: u16 = 0x43;

/// Nanoseconds per TSC tick, as a 32.32 fixed-point number.
static NS_PER_TICK: AtomicU64 = AtomicU64::new(0);
/// The TSC when the clock was calibrated: monotonic time 0.
static TSC_AT_START: AtomicU64 = AtomicU64::new(0);
/// APIC timer ticks per nanosecond, as a 32.32 fixed-point number.
static APIC_TICKS_PER_NS: AtomicU64 = AtomicU64::new(0);
static BOOT_TIME_UNIX_NS: AtomicU64 = AtomicU64::new(0);

/// What a user of the raw counter (the vDSO) needs: `ns = (tsc - start) * mult >> 32`.
pub struct TscScale {
    /// The TSC at monotonic time 0.
    pub start: u64,
    /// Nanoseconds per tick, 32.32 fixed point.
    pub mult: u64,
}

#[inline]
fn tsc() -> u64 {
    // SAFETY: RDTSC exists on every x86_64.
    unsafe { _rdtsc() }
}

#[inline]
fn scale(value: u64, factor: u64) -> u64 {
    ((u128::from(value) * u128::from(factor)) >> 32) as u64
}

/// The time stamp counter.
#[inline]
pub fn ticks() -> u64 {
    tsc()
}

/// How long so many ticks of the time stamp counter are, in nanoseconds.
pub fn ticks_to_ns(ticks: u64) -> u64 {
    scale(ticks, NS_PER_TICK.load(Ordering::Relaxed))
}

/// Nanoseconds since the clock was set up.
#[inline]
pub fn monotonic_ns() -> u64 {
    scale(tsc().wrapping_sub(TSC_AT_START.load(Ordering::Relaxed)), NS_PER_TICK.load(Ordering::Relaxed))
}

/// The scale behind [`monotonic_ns`].
pub fn tsc_scale() -> TscScale {
    TscScale { start: TSC_AT_START.load(Ordering::Relaxed), mult: NS_PER_TICK.load(Ordering::Relaxed) }
}

/// Nanoseconds since the Unix epoch at which [`monotonic_ns`] was 0.
pub fn boot_time_unix_ns() -> u64 {
    BOOT_TIME_UNIX_NS.load(Ordering::Relaxed)
}

/// APIC timer ticks for a time span: at least one, at most what the timer holds (it is armed again then).
pub(super) fn apic_ticks(ns: u64) -> u32 {
    let ticks = scale(ns.min(1 << 31), APIC_TICKS_PER_NS.load(Ordering::Relaxed));
    ticks.clamp(1, u64::from(u32::MAX)) as u32
}

/// Calibrates TSC and APIC timer against the PIT, and reads the date. Takes about 4 ms.
pub(crate) fn init() {
    const SPAN_NS: u64 = 4_000_000;
    let measured = measure(SPAN_NS);
    let tsc_hz = round_under_emulation(measured.tsc * PIT_HZ / measured.pit);
    let apic_hz = round_under_emulation(measured.apic * PIT_HZ / measured.pit);
    NS_PER_TICK.store(((1_000_000_000_u128 << 32) / u128::from(tsc_hz)) as u64, Ordering::Relaxed);
    APIC_TICKS_PER_NS.store(((u128::from(apic_hz) << 32) / 1_000_000_000) as u64, Ordering::Relaxed);
    TSC_AT_START.store(tsc(), Ordering::Relaxed);
    BOOT_TIME_UNIX_NS.store(read_date() * 1_000_000_000, Ordering::Relaxed);
}

/// Ticks of the TSC and of the APIC timer during (nearly) `span_ns`, and that span in ticks of the PIT.
///
/// Channel 0 counts down freely and is read with the latch command: it is there on every machine, microvm too,
/// where channel 2 has no gate. Its interrupt line stays masked.
fn measure(span_ns: u64) -> Measured {
    let span = (PIT_HZ * span_ns / 1_000_000_000) as u16;
    // SAFETY: the PIT is used here alone.
    unsafe {
        Port::<u8>::new(PIT_COMMAND).write(0b0011_0100);
        Port::<u8>::new(PIT_CHANNEL_0).write(0);
        Port::<u8>::new(PIT_CHANNEL_0).write(0);
    }
    // SAFETY: the timer's vector has a stub; the deadline is four seconds away.
    apic::with_local(|apic| unsafe { apic.set_timer_initial(u32::MAX) });
    // SAFETY: reading the count has no effect.
    let apic_count = || apic::with_local(|apic| unsafe { apic.timer_current() });
    let (pit_before, tsc_before, apic_before) = (pit_count(), tsc(), apic_count());
    let elapsed = |count: u16| pit_before.wrapping_sub(count);
    let mut pit_after = pit_count();
    while elapsed(pit_after) < span {
        pit_after = pit_count();
    }
    let (tsc_after, apic_after) = (tsc(), apic_count());
    // SAFETY: switches the timer off.
    apic::with_local(|apic| unsafe { apic.set_timer_initial(0) });
    Measured { pit: elapsed(pit_after).into(), tsc: tsc_after - tsc_before, apic: u64::from(apic_before - apic_after) }
}

/// Ticks of three clocks during one span.
struct Measured {
    pit: u64,
    tsc: u64,
    apic: u64,
}

fn pit_count() -> u16 {
    // SAFETY: latches and reads channel 0's count.
    unsafe {
        Port::<u8>::new(PIT_COMMAND).write(0);
        let low = Port::<u8>::new(PIT_CHANNEL_0).read();
        u16::from_le_bytes([low, Port::<u8>::new(PIT_CHANNEL_0).read()])
    }
}

/// QEMU's emulated clocks run at exactly 1 GHz (the TSC only when it counts instructions), so there a measured
/// value within half a per cent of that is taken for it.
fn round_under_emulation(hz: u64) -> u64 {
    const GHZ: u64 = 1_000_000_000;
    let hypervisor = __cpuid(0x4000_0000);
    let emulated = [hypervisor.ebx, hypervisor.ecx, hypervisor.edx]
        == [u32::from_le_bytes(*b"TCGT"), u32::from_le_bytes(*b"CGTC"), u32::from_le_bytes(*b"GTCG")];
    if emulated && hz.abs_diff(GHZ) < GHZ / 200 { GHZ } else { hz }
}

/// Seconds since the Unix epoch, from the CMOS real-time clock (24-hour or 12-hour, BCD or binary). Two equal
/// readings were not torn by the clock's update.
fn read_date() -> u64 {
    const REGISTERS: [u8; 7] = [0, 2, 4, 7, 8, 9, 0x0b];
    let mut reading = REGISTERS.map(cmos);
    loop {
        let again = REGISTERS.map(cmos);
        if again == reading {
            return seconds_since_epoch(reading);
        }
        reading = again;
    }
}

fn seconds_since_epoch([second, minute, hour, day, month, year, format]: [u8; 7]) -> u64 {
    let number = |value: u8| u64::from(if format & 4 != 0 { value } else { (value >> 4) * 10 + (value & 0xf) });
    let (afternoon, mut hours) = (hour & 0x80 != 0, number(hour & 0x7f));
    if format & 2 == 0 {
        hours = hours % 12 + if afternoon { 12 } else { 0 };
    }
    let days = days_since_epoch(2000 + number(year), number(month), number(day));
    days * 86_400 + hours * 3600 + number(minute) * 60 + number(second)
}

fn cmos(register: u8) -> u8 {
    const NMI_OFF: u8 = 0x80;
    // SAFETY: the CMOS is read by the boot CPU alone.
    unsafe {
        Port::<u8>::new(0x70).write(NMI_OFF | register);
        Port::<u8>::new(0x71).read()
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (H. Hinnant, "chrono-compatible date algorithms").
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * (month + if month > 2 { 0 } else { 12 } - 3) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
