//! GDT, TSS and IDT of each CPU, and the stacks of the exceptions that need their own.

use core::mem::offset_of;

use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, FS, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::{PrivilegeLevel, structures::idt::InterruptDescriptorTable};

use super::cpu::Cpu;

/// Linux's selectors (`arch/x86/include/asm/segment.h`): user programs and debuggers see them.
pub(super) const KERNEL_CODE: u16 = 0x10;
pub(super) const KERNEL_DATA: u16 = 0x18;
/// The base of SYSRET's selectors: 32-bit code here, data at +8, 64-bit code at +16.
pub(super) const USER_BASE: u16 = 0x20 | 3;
pub(super) const USER_DATA: u16 = 0x28 | 3;
pub(super) const USER_CODE: u16 = 0x30 | 3;
const TSS: u16 = 0x40;

const IST_STACK_BYTES: usize = 8 * 1024;

/// Interrupt stack table slots: exceptions that may strike while the stack pointer is the user's or is broken.
#[derive(Clone, Copy)]
#[repr(u16)]
pub(super) enum Ist {
    DoubleFault = 0,
    Nmi = 1,
    MachineCheck = 2,
}

#[repr(C, align(16))]
struct IstStack([u8; IST_STACK_BYTES]);

/// The tables and exception stacks of one CPU.
pub(super) struct CpuTables {
    gdt: GlobalDescriptorTable<16>,
    stacks: [IstStack; 3],
}

impl CpuTables {
    pub(super) const fn new() -> Self {
        Self { gdt: GlobalDescriptorTable::empty(), stacks: [const { IstStack([0; IST_STACK_BYTES]) }; 3] }
    }
}

static IDT: spin::Once<InterruptDescriptorTable> = spin::Once::new();

/// Builds the CPU's tables and loads them.
pub(super) fn load(cpu: &'static Cpu) {
    // SAFETY: called once for each CPU, on it, before anything else refers to its tables.
    let (tss, tables) = unsafe { (&mut *cpu.tss.get(), &mut *cpu.tables.get()) };
    for (slot, stack) in tables.stacks.iter_mut().enumerate() {
        // The top word is the address of the CPU's block, where `entry::trap_on_own_stack` looks for it.
        const TOP: usize = IST_STACK_BYTES - 16;
        stack.0[TOP..TOP + 8].copy_from_slice(&(core::ptr::from_ref(cpu) as u64).to_ne_bytes());
        tss.interrupt_stack_table[slot] = VirtAddr::from_ptr(stack) + TOP as u64;
    }
    // No I/O permission bitmap: user `in` and `out` fault.
    tss.iomap_base = size_of_val(tss) as u16;
    build_gdt(&mut tables.gdt, tss);
    let tables: &'static CpuTables = tables;
    tables.gdt.load();
    // SAFETY: the selectors name the segments `build_gdt` made; data segments are unused in long mode.
    unsafe {
        CS::set_reg(SegmentSelector(KERNEL_CODE));
        SS::set_reg(SegmentSelector(KERNEL_DATA));
        DS::set_reg(SegmentSelector(0));
        ES::set_reg(SegmentSelector(0));
        FS::set_reg(SegmentSelector(0));
        load_tss(SegmentSelector(TSS));
    }
    IDT.call_once(build_idt).load();
}

fn build_gdt(gdt: &mut GlobalDescriptorTable<16>, tss: &'static x86_64::structures::tss::TaskStateSegment) {
    /// A flat 32-bit user code segment, there for SYSRET's arithmetic alone and not usable: not present.
    const UNUSABLE: u64 = 0;
    *gdt = GlobalDescriptorTable::empty();
    let unused = Descriptor::UserSegment(UNUSABLE);
    let place = [
        (unused, 0x08),
        (Descriptor::kernel_code_segment(), KERNEL_CODE),
        (Descriptor::kernel_data_segment(), KERNEL_DATA),
        (unused, USER_BASE & !3),
        (Descriptor::user_data_segment(), USER_DATA & !3),
        (Descriptor::user_code_segment(), USER_CODE & !3),
        (unused, 0x38),
        (Descriptor::tss_segment(tss), TSS),
    ];
    for (descriptor, selector) in place {
        let got = gdt.append(descriptor);
        assert!(got.0 & !3 == selector, "the GDT is laid out as Linux's");
    }
}

fn build_idt() -> InterruptDescriptorTable {
    let mut idt = InterruptDescriptorTable::new();
    let entries = (&raw mut idt).cast::<[u64; 2]>();
    for (vector, stub) in super::entry::stubs().enumerate() {
        let (ist, dpl) = match vector {
            2 => (Ist::Nmi as u16 + 1, PrivilegeLevel::Ring0),
            3 | 4 => (0, PrivilegeLevel::Ring3),
            8 => (Ist::DoubleFault as u16 + 1, PrivilegeLevel::Ring0),
            18 => (Ist::MachineCheck as u16 + 1, PrivilegeLevel::Ring0),
            _ => (0, PrivilegeLevel::Ring0),
        };
        // SAFETY: the table has 256 entries of 16 bytes and there are 256 stubs.
        unsafe { entries.add(vector).write(gate(stub, ist, dpl)) };
    }
    idt
}

/// An interrupt gate (Intel SDM volume 3, figure 6-8): interrupts are off behind it.
fn gate(target: u64, ist: u16, dpl: PrivilegeLevel) -> [u64; 2] {
    const PRESENT_INTERRUPT_GATE: u64 = 0x8e00;
    let attributes = PRESENT_INTERRUPT_GATE | u64::from(ist) | (dpl as u64) << 13;
    let low = target & 0xffff | u64::from(KERNEL_CODE) << 16 | attributes << 32 | (target >> 16 & 0xffff) << 48;
    [low, target >> 32]
}

const _: () = assert!(offset_of!(x86_64::structures::tss::TaskStateSegment, privilege_stack_table) == 4);
