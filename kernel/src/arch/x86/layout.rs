//! The kernel's half of every address space, and the walls around the image.
//!
//! | from | what |
//! |---|---|
//! | `0xffff_8000_0000_0000` | the direct map: all physical memory, never executable, the image's text read-only |
//! | `0xffff_ffff_8000_0000` | the kernel image: text read-only, all else never executable |
//! | `0xffff_ffff_c000_0000` | the other CPUs' kernel stacks, an unmapped page below each |

use core::cell::UnsafeCell;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::structures::paging::{PageTable, PageTableFlags};
use x86_64::{PhysAddr, registers::control::Cr3};

/// Where the kernel image's physical address 0 would be mapped.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

unsafe extern "C" {
    static __image_start: u8;
    static __image_end: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __data_start: u8;
    static rustos_boot_stack_guard: u8;
    static mut rustos_boot_pml4: PageTable;
    static mut rustos_boot_direct_pdpt: PageTable;
    static mut rustos_boot_kernel_pdpt: PageTable;
    static mut rustos_boot_kernel_pd: PageTable;
}

macro_rules! address_of {
    ($symbol:ident) => {
        (&raw const $symbol) as u64
    };
}

/// The physical addresses of the kernel image, its zeroed part included.
pub(crate) fn image_range() -> (u64, u64) {
    (address_of!(__image_start) - KERNEL_BASE, address_of!(__image_end) - KERNEL_BASE)
}

/// The addresses of the kernel's code.
pub(crate) fn text_range() -> Range<u64> {
    address_of!(__text_start)..address_of!(__text_end)
}

/// Where the other CPUs' kernel stacks begin.
pub(super) const STACKS_BASE: u64 = 0xffff_ffff_c000_0000;

/// The kernel's root table. Entries 256 and up are in every address space.
pub(super) fn root_table() -> &'static mut PageTable {
    // SAFETY: changed by the boot CPU alone, while it sets up the machine.
    unsafe { &mut *(&raw mut rustos_boot_pml4) }
}

/// The table of the last 512 GiB, where image and stacks lie.
pub(super) fn kernel_pdpt() -> &'static mut PageTable {
    // SAFETY: as for `root_table`.
    unsafe { &mut *(&raw mut rustos_boot_kernel_pdpt) }
}

/// The distance of two CPUs' kernel stacks: the stack and the unmapped pages below it.
pub(super) const STACK_SLOT_BYTES: u64 = 256 * 1024;

const TWO_MIB: u64 = 2 << 20;
/// Page tables of 2 MiB each that cover the image; the linker script checks that they do.
const TABLES: usize = 16;

#[repr(transparent)]
struct Tables(UnsafeCell<[PageTable; TABLES + 1]>);
// SAFETY: written by the boot CPU in `protect_image`, before others run.
unsafe impl Sync for Tables {}
static IMAGE_TABLES: Tables = Tables(UnsafeCell::new([const { PageTable::new() }; TABLES + 1]));

/// Maps the image page by page with the rights of its parts, unmaps the guard page below the boot stack, the rest
/// of the low gigabyte's second view and the loader's identity map, and makes the direct map's view of the text
/// read-only. Called once, by the boot CPU.
pub(crate) fn protect_image() {
    // SAFETY: the boot CPU is alone, and its own text, data and stack stay mapped as they are used.
    unsafe {
        let tables = &mut *IMAGE_TABLES.0.get();
        let (direct, image) = tables.split_first_mut().expect("there are several tables");
        map_image(image);
        map_first_gigabyte(direct);
        root_table()[0].set_unused();
        Cr3::write(Cr3::read().0, Cr3::read().1);
    }
    flush_global();
}

fn physical(table: *const PageTable) -> PhysAddr {
    PhysAddr::new(table as u64 - KERNEL_BASE)
}

/// # Safety
/// The boot CPU is alone.
unsafe fn map_image(tables: &mut [PageTable]) {
    let link = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
    // SAFETY: the caller's promise.
    let directory = unsafe { &mut *(&raw mut rustos_boot_kernel_pd) };
    for (index, entry) in directory.iter_mut().enumerate() {
        let Some(table) = tables.get_mut(index) else {
            entry.set_unused();
            continue;
        };
        let first = KERNEL_BASE + index as u64 * TWO_MIB;
        for (page, slot) in table.iter_mut().enumerate() {
            let address = first + page as u64 * 4096;
            if let Some(flags) = rights(address) {
                slot.set_addr(PhysAddr::new(address - KERNEL_BASE), flags);
            }
        }
        entry.set_addr(physical(table), link);
    }
}

/// The rights of a page of the image, or `None` if it is to fault.
fn rights(address: u64) -> Option<PageTableFlags> {
    let read = PageTableFlags::PRESENT | PageTableFlags::GLOBAL | PageTableFlags::ACCESSED;
    let never_execute = PageTableFlags::NO_EXECUTE;
    let write = PageTableFlags::WRITABLE | PageTableFlags::DIRTY;
    match address {
        a if a == address_of!(rustos_boot_stack_guard) => None,
        a if (address_of!(__text_start)..address_of!(__text_end)).contains(&a) => Some(read),
        a if (address_of!(__text_end)..address_of!(__rodata_end)).contains(&a) => Some(read | never_execute),
        a if (address_of!(__data_start)..address_of!(__image_end)).contains(&a) => Some(read | write | never_execute),
        _ => None,
    }
}

/// The direct map's first gigabyte in pages of 2 MiB, that of the text read-only. That nothing of it can be executed
/// the root table's entry says: `smp.rs` maps the same table executable for a moment.
///
/// # Safety
/// The boot CPU is alone.
unsafe fn map_first_gigabyte(table: &mut PageTable) {
    let flags = PageTableFlags::PRESENT | PageTableFlags::GLOBAL | PageTableFlags::HUGE_PAGE | PageTableFlags::ACCESSED;
    let read_only = address_of!(__text_start) - KERNEL_BASE..address_of!(__data_start) - KERNEL_BASE;
    for (index, entry) in table.iter_mut().enumerate() {
        let address = index as u64 * TWO_MIB;
        let write = if read_only.contains(&address) {
            PageTableFlags::empty()
        } else {
            PageTableFlags::WRITABLE | PageTableFlags::DIRTY
        };
        entry.set_addr(PhysAddr::new(address), flags | write);
    }
    // SAFETY: the caller's promise.
    let directory = unsafe { &mut *(&raw mut rustos_boot_direct_pdpt) };
    directory[0].set_addr(physical(table), PageTableFlags::PRESENT | PageTableFlags::WRITABLE);
}

/// Forgets all translations, global ones too, by switching global pages off and on.
fn flush_global() {
    use x86_64::registers::control::{Cr4, Cr4Flags};
    // SAFETY: only the caching of translations changes.
    unsafe {
        Cr4::update(|cr4| cr4.remove(Cr4Flags::PAGE_GLOBAL));
        Cr4::update(|cr4| cr4.insert(Cr4Flags::PAGE_GLOBAL));
    }
}

/// The top of the stack that a double fault left behind; 0 if there was none.
static BROKEN_STACK: AtomicU64 = AtomicU64::new(0);

/// Has [`stack_above`] show the stack that overflowed rather than the one the double fault is handled on: from the first
/// page on that is surely mapped.
pub(super) fn note_broken_stack(stack_pointer: u64) {
    BROKEN_STACK.store(stack_pointer.next_multiple_of(4096), Ordering::Relaxed);
}

/// The words of the stack above the caller's frame, or of the one that overflowed, as far as it goes (at most 64 KiB).
pub(crate) fn stack_above() -> impl Iterator<Item = u64> {
    let here = 0_u64;
    let from = match BROKEN_STACK.load(Ordering::Relaxed) {
        0 => (&raw const here) as u64,
        broken => broken,
    };
    let until = stack_end(from);
    // SAFETY: the range lies within the stack in use, which is mapped to its end.
    (from..until).step_by(8).map(|at| unsafe { core::ptr::read_volatile(at as *const u64) })
}

fn stack_end(from: u64) -> u64 {
    let image_end = address_of!(__image_end);
    let limit = from + 64 * 1024;
    if from < image_end { limit.min(image_end) } else { limit.min((from | (STACK_SLOT_BYTES - 1)) + 1) }
}

/// Whether the instruction before `address` is a call: `e8 rel32`, or `ff /2` of two, three, six or seven bytes.
pub(crate) fn follows_call(address: u64) -> bool {
    if address < text_range().start + 8 {
        return false;
    }
    // SAFETY: the eight bytes before lie in the text.
    let byte = |back: u64| unsafe { *((address - back) as *const u8) };
    byte(5) == 0xe8 || [2, 3, 6, 7].iter().any(|&back| byte(back) == 0xff && byte(back - 1) & 0x38 == 0x10)
}
