//! Stand-ins for physical memory, the page table walk and user access when the library is built for the host.
//!
//! "Physical memory" is one large allocation that the host commits as it is touched. Page tables in it are built for
//! real, and user access walks them in software, so that mapping, faults and copies are tested as they are.

use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::alloc::{Layout, alloc_zeroed};
use std::sync::OnceLock;

use super::host::{MAX_CPUS, cpu_index};
use super::paging::*;
pub use super::uaccess::StringCopy;
use super::uaccess::in_user_half;

/// Bytes of the host's "physical memory".
pub const HOST_MEMORY_BYTES: u64 = 2 << 30;
const PAGE: u64 = 1 << 12;

/// The start of the allocation, as an integer: pointers to it may be made on any thread.
fn memory() -> u64 {
    static BASE: OnceLock<u64> = OnceLock::new();
    *BASE.get_or_init(|| {
        let layout = Layout::from_size_align(HOST_MEMORY_BYTES as usize, 2 << 20).expect("a constant layout");
        // SAFETY: the layout is not empty.
        let base = unsafe { alloc_zeroed(layout) };
        assert!(!base.is_null(), "the host has no {HOST_MEMORY_BYTES} bytes of address space");
        base as u64
    })
}

/// The host's "physical memory": what a boot loader would report as usable.
pub fn host_memory() -> Range<u64> {
    PAGE..HOST_MEMORY_BYTES
}

/// A pointer to physical address `phys`.
pub fn phys_to_virt(phys: u64) -> *mut u8 {
    assert!(phys < HOST_MEMORY_BYTES, "physical address {phys:#x} is outside the host's memory");
    (memory() + phys) as *mut u8
}

/// The physical address behind a pointer into the host's memory.
pub fn virt_to_phys(virt: *const u8) -> u64 {
    virt as u64 - memory()
}

/// The root each CPU has loaded.
static ROOTS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// The kernel's own root: none on the host.
pub fn kernel_root() -> u64 {
    0
}

/// Makes `root` the root of this CPU's software walks.
///
/// # Safety
/// As on the machine; nothing on the host depends on it.
pub unsafe fn load_root(root: u64) {
    ROOTS[cpu_index()].store(root, Ordering::Release);
}

/// Forgets translations: the software walk remembers none.
pub fn flush_tlb(_cpus: u64, _range: Range<u64>) {}

/// Fills the page at `page` with zeros.
///
/// # Safety
/// `page` is a page's worth of memory that nothing else uses.
pub unsafe fn zero_page(page: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { page.write_bytes(0, PAGE as usize) };
}

/// Copies a page.
///
/// # Safety
/// Both are pages, `to` being used by nothing else.
pub unsafe fn copy_page(to: *mut u8, from: *const u8) {
    // SAFETY: the caller's promise.
    unsafe { to.copy_from_nonoverlapping(from, PAGE as usize) };
}

/// Walks the tables as the CPU would in kernel mode with WP set; `None` is a page fault.
fn translate(addr: u64, write: bool) -> Option<*mut u8> {
    let mut table = ROOTS[cpu_index()].load(Ordering::Acquire);
    if table == 0 {
        return None;
    }
    for level in (0..4).rev() {
        let index = (addr >> (12 + 9 * level)) as usize % TABLE_ENTRIES;
        // SAFETY: an entry of a table in the host's memory; tables are only accessed atomically.
        let entry =
            unsafe { (*phys_to_virt(table).cast::<[AtomicU64; TABLE_ENTRIES]>())[index].load(Ordering::Acquire) };
        if entry & PTE_PRESENT == 0 || entry & PTE_USER == 0 || (write && entry & PTE_WRITABLE == 0) {
            return None;
        }
        let frame = entry & PTE_ADDRESS;
        if level == 0 || entry & PTE_HUGE != 0 {
            let offset = addr & ((1 << (12 + 9 * level)) - 1);
            return Some(phys_to_virt(frame + offset));
        }
        table = frame;
    }
    None
}

/// Applies `copy` to each stretch of user memory within a page; gives the bytes not reached because of a fault.
fn by_page(addr: u64, len: usize, write: bool, mut copy: impl FnMut(*mut u8, Range<usize>)) -> usize {
    if !in_user_half(addr, len) {
        return len;
    }
    let mut done = 0;
    while done < len {
        let at = addr + done as u64;
        let chunk = ((PAGE - at % PAGE) as usize).min(len - done);
        let Some(pointer) = translate(at, write) else { return len - done };
        copy(pointer, done..done + chunk);
        done += chunk;
    }
    0
}

/// Copies bytes in; gives how many, at the end, were not copied because of a fault.
pub fn copy_from_user(into: &mut [u8], from: u64) -> usize {
    // SAFETY: both sides are valid for the stretch's length.
    by_page(from, into.len(), false, |page, range| unsafe {
        page.copy_to_nonoverlapping(into[range.clone()].as_mut_ptr(), range.len());
    })
}

/// Copies bytes out; gives how many, at the end, were not copied because of a fault.
pub fn copy_to_user(to: u64, from: &[u8]) -> usize {
    // SAFETY: both sides are valid for the stretch's length.
    by_page(to, from.len(), true, |page, range| unsafe {
        page.copy_from_nonoverlapping(from[range.clone()].as_ptr(), range.len());
    })
}

/// Zeroes `len` bytes; gives how many, at the end, were not reached because of a fault.
pub fn clear_user(to: u64, len: usize) -> usize {
    // SAFETY: the page is valid for the stretch's length.
    by_page(to, len, true, |page, range| unsafe { page.write_bytes(0, range.len()) })
}

/// Copies a string in, up to its NUL (not copied), the end of `into`, or a fault.
pub fn copy_string_from_user(into: &mut [u8], from: u64) -> StringCopy {
    for index in 0..into.len() {
        if copy_from_user(&mut into[index..=index], from + index as u64) != 0 {
            return StringCopy::Fault(index);
        }
        if into[index] == 0 {
            return StringCopy::Whole(index);
        }
    }
    StringCopy::Full
}

fn word<R>(addr: u64, write: bool, access: impl FnOnce(&AtomicU32) -> R) -> Option<R> {
    if !in_user_half(addr, 4) {
        return None;
    }
    // SAFETY: an aligned word of the host's memory, accessed atomically; callers align `addr`.
    translate(addr, write).map(|pointer| access(unsafe { AtomicU32::from_ptr(pointer.cast()) }))
}

/// Reads a word of the user; `None` at a fault.
pub fn user_load_u32(addr: u64) -> Option<u32> {
    word(addr, false, |word| word.load(Ordering::SeqCst))
}

/// Replaces a word of the user and gives what it was; `None` at a fault.
pub fn user_swap_u32(addr: u64, value: u32) -> Option<u32> {
    word(addr, true, |word| word.swap(value, Ordering::SeqCst))
}

/// Replaces a word of the user if it is `old` and gives what it was; `None` at a fault.
pub fn user_compare_exchange_u32(addr: u64, old: u32, new: u32) -> Option<u32> {
    word(addr, true, |word| {
        word.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).unwrap_or_else(|found| found)
    })
}
