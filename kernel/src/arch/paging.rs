//! The bits of a page table entry (Intel SDM volume 3, section 4.5), for the machine and for the host's software walk.

/// The entry is valid.
pub const PTE_PRESENT: u64 = 1;
/// Writes are allowed.
pub const PTE_WRITABLE: u64 = 1 << 1;
/// User mode may use it.
pub const PTE_USER: u64 = 1 << 2;
/// The CPU has used it.
pub const PTE_ACCESSED: u64 = 1 << 5;
/// The CPU has written through it.
pub const PTE_DIRTY: u64 = 1 << 6;
/// A leaf above the last level.
pub const PTE_HUGE: u64 = 1 << 7;
/// First of three bits the CPU ignores.
pub const PTE_SOFTWARE_0: u64 = 1 << 9;
/// Second of three bits the CPU ignores.
pub const PTE_SOFTWARE_1: u64 = 1 << 10;
/// Third of three bits the CPU ignores.
pub const PTE_SOFTWARE_2: u64 = 1 << 11;
/// Instruction fetches are refused.
pub const PTE_NO_EXECUTE: u64 = 1 << 63;
/// The physical address.
pub const PTE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Entries of a table.
pub const TABLE_ENTRIES: usize = 512;
/// The first entry of a root table that belongs to the kernel.
pub const KERNEL_ROOT_ENTRY: usize = 256;
