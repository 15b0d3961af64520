//! What ACPI's tables say about the machine: its CPUs and its I/O APIC.

use core::ptr::NonNull;

use acpi::madt::{Madt, MadtEntry};
use acpi::{AcpiHandler, AcpiTables, PhysicalMapping};
use alloc::vec::Vec;

use crate::arch::phys_to_virt;

/// Where an I/O APIC is if ACPI does not say.
const DEFAULT_IO_APIC: u64 = 0xfec0_0000;

/// CPUs and interrupt lines.
pub(super) struct Machine {
    /// Local APIC ids of the enabled CPUs, in ACPI's order.
    pub(super) apic_ids: Vec<u32>,
    /// Physical address of the I/O APIC that has the ISA lines.
    pub(super) io_apic: u64,
    /// For each ISA interrupt that is not on the line of its own number: (interrupt, line).
    overrides: Vec<(u8, u8)>,
}

impl Machine {
    /// The I/O APIC line of an ISA interrupt.
    pub(super) fn line(&self, isa_interrupt: u8) -> u8 {
        let found = self.overrides.iter().find(|(interrupt, _)| *interrupt == isa_interrupt);
        found.map_or(isa_interrupt, |(_, line)| *line)
    }
}

/// The direct map covers all tables.
#[derive(Clone)]
struct DirectMap;

impl AcpiHandler for DirectMap {
    unsafe fn map_physical_region<T>(&self, physical_address: usize, size: usize) -> PhysicalMapping<Self, T> {
        let start = phys_to_virt(physical_address as u64).cast::<T>();
        let start = NonNull::new(start).expect("the direct map is not at zero");
        // SAFETY: the direct map covers the region.
        unsafe { PhysicalMapping::new(physical_address, start, size, size, Self) }
    }

    fn unmap_physical_region<T>(_region: &PhysicalMapping<Self, T>) {}
}

/// Reads the tables behind the root pointer. Without them: one CPU, the default I/O APIC.
pub(super) fn read(rsdp: Option<u64>) -> Machine {
    let mut machine = Machine { apic_ids: Vec::new(), io_apic: DEFAULT_IO_APIC, overrides: Vec::new() };
    let Some(rsdp) = rsdp else { return machine };
    // SAFETY: the loader says that the root pointer is there; the direct map covers all tables.
    let Ok(tables) = (unsafe { AcpiTables::from_rsdp(DirectMap, rsdp as usize) }) else { return machine };
    let Ok(madt) = tables.find_table::<Madt>() else { return machine };
    for entry in madt.get().entries() {
        machine.note(&entry);
    }
    machine
}

impl Machine {
    fn note(&mut self, entry: &MadtEntry<'_>) {
        const ENABLED: u32 = 1;
        match entry {
            MadtEntry::LocalApic(cpu) if cpu.flags & ENABLED != 0 => self.apic_ids.push(cpu.apic_id.into()),
            MadtEntry::LocalX2Apic(cpu) if cpu.flags & ENABLED != 0 => self.apic_ids.push(cpu.x2apic_id),
            MadtEntry::IoApic(io_apic) if io_apic.global_system_interrupt_base == 0 => {
                self.io_apic = io_apic.io_apic_address.into();
            }
            MadtEntry::InterruptSourceOverride(source) => {
                self.overrides.push((source.irq, source.global_system_interrupt as u8));
            }
            _ => {}
        }
    }
}
