//! Starting the other CPUs.
//!
//! A CPU wakes in real mode at a page below 1 MiB. The trampoline copied there takes it straight to long mode on the
//! kernel's page tables and to its own stack. One CPU is started at a time; it reports by filling in its block.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use alloc::boxed::Box;
use x86_64::structures::paging::{PageTable, PageTableFlags};
use x86_64::{PhysAddr, registers::control::Cr3};

use super::cpu::{Cpu, MAX_CPUS};
use super::layout::{KERNEL_BASE, STACK_SLOT_BYTES, STACKS_BASE, kernel_pdpt, root_table};
use super::paging::phys_to_virt;
use super::{apic, clock, cpu};

/// Where the trampoline lies: a page below 1 MiB, which the frame allocator never gives out.
const TRAMPOLINE: u64 = 0x8000;

/// Offsets in the trampoline.
const ROOT: usize = 0x108;
const STACK: usize = 0x110;

/// Bytes of a further CPU's kernel stack.
pub(crate) const STACK_BYTES: u64 = 128 * 1024;

/// How long a CPU may take to come up.
const PATIENCE_NS: u64 = 1_000_000_000;

global_asm!(
    r#"
    .section .rodata.trampoline, "a", @progbits
    .code16
    .global rustos_trampoline
rustos_trampoline:
    cli
    cld
    xor ax, ax
    mov ds, ax
    lgdt [{at} + 0x100]
    mov eax, 0xa0                   /* PAE, PGE */
    mov cr4, eax
    mov eax, dword ptr [{at} + 0x108]
    mov cr3, eax
    mov ecx, 0xc0000080             /* EFER: SCE, LME, NXE */
    mov eax, 0x901
    xor edx, edx
    wrmsr
    mov eax, 0x80010011             /* PG, WP, ET, PE */
    mov cr0, eax
    .byte 0x66, 0xea                /* far jump */
    .long {at} + (rustos_trampoline_long_mode - rustos_trampoline)
    .word 0x10
    .code64
rustos_trampoline_long_mode:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov rsp, qword ptr [rip + rustos_trampoline_stack]
    xor ebp, ebp
    movabs rax, offset {start}
    call rax
    ud2
    /* Data at fixed offsets, as the 16-bit code finds it. */
    .org 0x100
    .word 23
    .long {at} + 0x118
    .org 0x108
rustos_trampoline_root:
    .quad 0
rustos_trampoline_stack:
    .quad 0
    .quad 0, 0, 0x00af9a000000ffff  /* 64-bit code at 0x10 */
    .global rustos_trampoline_end
rustos_trampoline_end:
    .text
    "#,
    at = const TRAMPOLINE,
    start = sym start,
);

unsafe extern "C" {
    static rustos_trampoline: u8;
    static rustos_trampoline_end: u8;
}

/// Page tables of the stacks: a directory and what covers a slot for each CPU.
const STACK_TABLES: usize = (MAX_CPUS as u64 * STACK_SLOT_BYTES / (2 << 20)) as usize;
#[repr(transparent)]
struct Tables(UnsafeCell<[PageTable; STACK_TABLES + 1]>);
// SAFETY: written by the boot CPU alone.
unsafe impl Sync for Tables {}
static STACK_MAP: Tables = Tables(UnsafeCell::new([const { PageTable::new() }; STACK_TABLES + 1]));

/// What the CPU being started is to do: its block, its index, and where it goes when it is set up.
static STARTING: AtomicPtr<Cpu> = AtomicPtr::new(core::ptr::null_mut());
static STARTING_INDEX: AtomicU64 = AtomicU64::new(0);
static MAIN: spin::Once<fn(usize) -> !> = spin::Once::new();

/// Starts the CPU with local APIC id `apic_id` as CPU `index`, on a stack in the `STACK_BYTES` of memory at
/// physical address `stack`; it sets itself up
/// and calls `main(index)`. `false` if it does not come up within a second. Called by the boot CPU only.
pub(crate) fn start_cpu(index: usize, apic_id: u32, stack: u64, main: fn(usize) -> !) -> bool {
    MAIN.call_once(|| main);
    let block: &'static Cpu = Box::leak(Box::new(Cpu::new()));
    STARTING.store(core::ptr::from_ref(block).cast_mut(), Ordering::Release);
    STARTING_INDEX.store(index as u64, Ordering::Release);
    let stack_top = map_stack(index, stack);
    place_trampoline(stack_top);
    identity_map(true);
    // SAFETY: the trampoline is in place for the CPU to run.
    apic::with_local(|apic| unsafe {
        apic.send_init_ipi(apic::destination(apic_id));
        apic.send_sipi((TRAMPOLINE >> 12) as u8, apic::destination(apic_id));
        apic.send_sipi((TRAMPOLINE >> 12) as u8, apic::destination(apic_id));
    });
    let deadline_ns = clock::monotonic_ns() + PATIENCE_NS;
    while Cpu::of(index).is_none() && clock::monotonic_ns() < deadline_ns {
        cpu::relax();
    }
    identity_map(false);
    Cpu::of(index).is_some()
}

/// Maps a CPU's stack at the end of its slot and returns its top. The rest of the slot stays unmapped.
fn map_stack(index: usize, memory: u64) -> u64 {
    let link = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
    // SAFETY: only the boot CPU maps stacks.
    let (directory, tables) = unsafe { &mut *STACK_MAP.0.get() }.split_first_mut().expect("there are several tables");
    let physical = |table: &PageTable| PhysAddr::new(core::ptr::from_ref(table) as u64 - KERNEL_BASE);
    for (entry, table) in directory.iter_mut().zip(tables.iter()) {
        entry.set_addr(physical(table), link);
    }
    kernel_pdpt()[511].set_addr(physical(directory), link);
    let top = STACKS_BASE + (index as u64 + 1) * STACK_SLOT_BYTES;
    for offset in (0..STACK_BYTES).step_by(4096) {
        let slot = ((top - STACK_BYTES + offset - STACKS_BASE) >> 12) as usize;
        let flags = link | PageTableFlags::NO_EXECUTE | PageTableFlags::GLOBAL;
        tables[slot / 512][slot % 512].set_addr(PhysAddr::new(memory + offset), flags);
    }
    top
}

fn place_trampoline(stack_top: u64) {
    let start = &raw const rustos_trampoline;
    let bytes = &raw const rustos_trampoline_end as usize - start as usize;
    let place = phys_to_virt(TRAMPOLINE);
    // SAFETY: the page below 1 MiB is RAM that nothing else uses; the symbols delimit the trampoline.
    unsafe {
        place.copy_from_nonoverlapping(start, bytes);
        let root = Cr3::read().0.start_address().as_u64();
        place.add(ROOT).cast::<u64>().write_unaligned(root);
        place.add(STACK).cast::<u64>().write_unaligned(stack_top);
    }
}

/// Maps low memory where the trampoline expects it, or takes it away again.
fn identity_map(on: bool) {
    let root = root_table();
    if on {
        // The direct map's table, executable here: the trampoline runs from it.
        let direct = root[256].addr();
        root[0].set_addr(direct, PageTableFlags::PRESENT | PageTableFlags::WRITABLE);
    } else {
        root[0].set_unused();
    }
    let (frame, flags) = Cr3::read();
    // SAFETY: reloads the root in use.
    unsafe { Cr3::write(frame, flags) };
}

/// The first Rust of a further CPU.
extern "sysv64" fn start() -> ! {
    // SAFETY: the boot CPU leaked the block for this CPU and waits for it.
    let block = unsafe { &*STARTING.load(Ordering::Acquire) };
    let index = STARTING_INDEX.load(Ordering::Acquire) as usize;
    let main = *MAIN.get().expect("set before the first CPU is started");
    cpu::init_other_cpu(block, index);
    main(index)
}
