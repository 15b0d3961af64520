//! Interrupts: the local APIC's alarm and inter-processor interrupts, the I/O APIC's device lines, idling.
//!
//! Interrupts only strike in user mode and in [`idle`]. They are acknowledged at once and noted in this CPU's
//! block; the executor's loop and the threads' loop take the notes with [`take_device_interrupts`].

use core::sync::atomic::Ordering;

use x2apic::ioapic::{IoApic, IrqFlags, IrqMode, RedirectionTableEntry};
use x2apic::lapic::{IpiAllShorthand, LocalApic, LocalApicBuilder, TimerDivide, TimerMode, xapic_base};
use x86_64::instructions::port::Port;

use super::clock;
use super::cpu::{Cpu, MAX_CPUS};
use super::paging::phys_to_virt;

/// The first vector of the device lines: line n of the I/O APIC arrives as vector `DEVICES + n`.
pub(super) const DEVICES: u8 = 0x20;
const DEVICE_LINES: u8 = 24;
const TIMER: u8 = 0xf0;
const KICK: u8 = 0xf1;
const ERROR: u8 = 0xfe;
const SPURIOUS: u8 = 0xff;

/// Enables this CPU's local APIC, its timer armed for nothing.
pub(crate) fn init_this_cpu() {
    let cpu = Cpu::current();
    let mut builder = LocalApicBuilder::new();
    // SAFETY: reading IA32_APIC_BASE has no effect.
    let base = unsafe { xapic_base() };
    builder
        .timer_vector(TIMER.into())
        .error_vector(ERROR.into())
        .spurious_vector(SPURIOUS.into())
        .timer_mode(TimerMode::OneShot)
        .timer_divide(TimerDivide::Div1)
        .timer_initial(0)
        .set_xapic_base(phys_to_virt(base) as u64);
    let mut apic = builder.build().expect("vectors and base are given");
    // SAFETY: the vectors have stubs, and the APIC's page is in the direct map.
    unsafe {
        apic.enable();
        apic.set_timer_initial(0);
        let id = apic.id();
        let id = if has_x2apic() { id } else { id >> 24 };
        cpu.apic_id.store(id, Ordering::Relaxed);
        *cpu.apic.get() = Some(apic);
    }
}

/// This CPU's local APIC id.
pub(crate) fn apic_id() -> u32 {
    Cpu::current().apic_id.load(Ordering::Relaxed)
}

/// A local APIC id as the destination field of an interrupt command: in xAPIC mode its topmost byte.
pub(super) fn destination(apic_id: u32) -> u32 {
    if has_x2apic() { apic_id } else { apic_id << 24 }
}

fn has_x2apic() -> bool {
    core::arch::x86_64::__cpuid(1).ecx & (1 << 21) != 0
}

/// Calls `f` with this CPU's local APIC.
#[inline]
pub(super) fn with_local<R>(f: impl FnOnce(&mut LocalApic) -> R) -> R {
    // SAFETY: only this CPU uses its APIC, and `f` does not come back here.
    let apic = unsafe { &mut *Cpu::current().apic.get() };
    f(apic.as_mut().expect("the local APIC is set up at boot"))
}

/// Silences the two 8259 interrupt controllers, whose lines the firmware leaves open: the I/O APIC takes their place.
pub(crate) fn mask_legacy_controllers() {
    for data_port in [0x21, 0xa1] {
        // SAFETY: masks all lines; nobody else uses the controllers.
        unsafe { Port::<u8>::new(data_port).write(0xff) };
    }
}

/// Puts a device line on this CPU: edge triggered, active high, as ISA lines are.
pub(crate) fn enable_device_line(io_apic_physical: u64, line: u8) {
    let cpu = Cpu::current();
    let mut entry = RedirectionTableEntry::default();
    entry.set_mode(IrqMode::Fixed);
    entry.set_flags(IrqFlags::empty());
    entry.set_vector(DEVICES + line);
    entry.set_dest(cpu.apic_id.load(Ordering::Relaxed) as u8);
    // SAFETY: the address is that of an I/O APIC (ACPI's MADT or its architectural default), mapped directly; only
    // the boot CPU programs it.
    unsafe {
        let mut io_apic = IoApic::new(phys_to_virt(io_apic_physical) as u64);
        io_apic.set_table_entry(line, entry);
        io_apic.enable_irq(line);
    }
}

/// Acknowledges an interrupt and notes what it was.
#[inline]
pub(super) fn note_interrupt(vector: u8) {
    let cpu = Cpu::current();
    match vector {
        SPURIOUS => return,
        TIMER => cpu.alarm_ns.set(u64::MAX),
        DEVICES.. if vector < DEVICES + DEVICE_LINES => {
            cpu.device_interrupts.set(cpu.device_interrupts.get() | 1 << (vector - DEVICES));
        }
        _ => {}
    }
    // SAFETY: an interrupt other than a spurious one is in service on this CPU.
    with_local(|apic| unsafe { apic.end_of_interrupt() });
}

/// The device lines (a bit each) that have interrupted this CPU since the last call.
#[inline]
pub fn take_device_interrupts() -> u32 {
    Cpu::current().device_interrupts.take()
}

/// Asks the CPUs in `mask` (a bit per index) to leave user mode or idle and look at what they have to do.
pub fn kick(mask: u64) {
    for index in (0..MAX_CPUS).filter(|index| mask & (1 << index) != 0) {
        let Some(cpu) = Cpu::of(index) else { continue };
        let destination = destination(cpu.apic_id.load(Ordering::Relaxed));
        // SAFETY: the vector has a stub that only acknowledges it.
        with_local(|apic| unsafe { apic.send_ipi(KICK, destination) });
    }
}

/// Waits for an interrupt. The caller has looked for work with interrupts off, so none is slept through.
pub fn idle() {
    let cpu = Cpu::current();
    let from_ns = clock::monotonic_ns();
    // SAFETY: the idle loop is a place where interrupts may strike (see the module docs). STI holds interrupts off
    // for one more instruction, so none falls between it and HLT.
    unsafe { core::arch::asm!("sti", "hlt", "cli", options(nomem, nostack)) };
    cpu.idle_ns.fetch_add(clock::monotonic_ns().saturating_sub(from_ns), Ordering::Relaxed);
    super::cpu::serve_requests(cpu);
}

/// Sets this CPU's one-shot alarm to the monotonic time `deadline_ns`, or switches it off.
pub fn set_alarm(deadline_ns: Option<u64>) {
    let cpu = Cpu::current();
    let deadline_ns = deadline_ns.unwrap_or(u64::MAX);
    if cpu.alarm_ns.replace(deadline_ns) == deadline_ns {
        return;
    }
    let ticks = match deadline_ns {
        u64::MAX => 0,
        deadline_ns => clock::apic_ticks(deadline_ns.saturating_sub(clock::monotonic_ns())),
    };
    // SAFETY: the timer's vector has a stub.
    with_local(|apic| unsafe { apic.set_timer_initial(ticks) });
}

/// Stops all other CPUs for good: the kernel has panicked.
pub(crate) fn stop_others() {
    // SAFETY: the reference is to this CPU's own APIC; during a panic a half-made change to it is tolerable.
    if let Some(apic) = unsafe { &mut *Cpu::current().apic.get() } {
        // SAFETY: an NMI ends in `stop_forever`.
        unsafe { apic.send_nmi_all(IpiAllShorthand::AllExcludingSelf) };
    }
}

/// Halts this CPU for good.
pub(crate) fn stop_forever() -> ! {
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}
