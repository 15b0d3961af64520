//! Page tables as the CPU sees them: the direct map, the root register, and the flush of single CPUs' TLBs.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// Where all physical memory is mapped, set up by the boot code.
pub const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;

/// The root the boot code made: its upper half is every address space's upper half.
static KERNEL_ROOT: AtomicU64 = AtomicU64::new(0);

/// The kernel's view of physical address `phys`.
#[inline]
pub fn phys_to_virt(phys: u64) -> *mut u8 {
    (DIRECT_MAP + phys) as *mut u8
}

/// The physical address behind a pointer into the direct map.
#[inline]
pub fn virt_to_phys(virt: *const u8) -> u64 {
    virt as u64 - DIRECT_MAP
}

/// The physical address of the kernel's own root table, which maps no user memory.
#[inline]
pub fn kernel_root() -> u64 {
    KERNEL_ROOT.load(Ordering::Relaxed)
}

/// Notes the loaded root as the kernel's own. Called once, by the boot CPU.
pub fn remember_kernel_root() {
    let root: u64;
    // SAFETY: reading CR3 has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) root, options(nomem, nostack, preserves_flags)) };
    KERNEL_ROOT.store(root & crate::arch::paging::PTE_ADDRESS, Ordering::Relaxed);
}

/// Loads the root table at `root` and so forgets all translations of the user half.
///
/// # Safety
/// `root` is a root table whose upper half is the kernel's, and it stays so until another is loaded.
#[inline]
pub unsafe fn load_root(root: u64) {
    // SAFETY: the caller's promise; the upper half, where code and stack lie, does not change.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Forgets this CPU's translation of the page at `addr`.
#[inline]
pub fn flush_page(addr: u64) {
    // SAFETY: forgetting a translation is always allowed.
    unsafe { asm!("invlpg [{}]", in(reg) addr, options(nostack, preserves_flags)) };
}

/// Forgets all of this CPU's translations of the user half.
#[inline]
pub fn flush_user() {
    // SAFETY: reloads the root that is loaded.
    unsafe { asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _, options(nostack, preserves_flags)) };
}

/// Fills the page at `page` with zeros.
///
/// # Safety
/// `page` is page aligned and a page's worth of memory that nothing else uses.
#[inline]
pub unsafe fn zero_page(page: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("rep stosq", inout("rcx") 512_u64 => _, inout("rdi") page => _, in("rax") 0_u64, options(nostack, preserves_flags));
    }
}

/// Copies a page.
///
/// # Safety
/// Both are page aligned pages, `to` being used by nothing else.
#[inline]
pub unsafe fn copy_page(to: *mut u8, from: *const u8) {
    // SAFETY: the caller's promise. A user may write `from` meanwhile, which the instruction does not mind.
    unsafe {
        asm!("rep movsq", inout("rcx") 512_u64 => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags));
    }
}
