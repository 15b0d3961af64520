//! [`Vma`]: one mapping, a range of pages with the same properties.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::Range;

use abi::Errno;
use bitflags::bitflags;

use super::addr::{PAGE_SHIFT, PAGE_SIZE};
use super::rmap::Mapping;

bitflags! {
    /// What a mapping allows (`PROT_*`; the values are Linux's).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Prot: u8 {
        /// Reads.
        const READ = 1;
        /// Writes.
        const WRITE = 2;
        /// Instruction fetches.
        const EXEC = 4;
    }
}

bitflags! {
    /// A mapping's properties besides its protection (Linux's `VM_*`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct VmFlags: u32 {
        /// Writes go to the object and are seen by all who map it.
        const SHARED = 1 << 0;
        /// A stack: grows down to meet a fault.
        const GROWS_DOWN = 1 << 1;
        /// Kept resident, and counted against `RLIMIT_MEMLOCK`.
        const LOCKED = 1 << 2;
        /// `MADV_DONTFORK`: a forked child does not get it.
        const DONT_FORK = 1 << 3;
        /// `MADV_WIPEONFORK`: a forked child gets it empty.
        const WIPE_ON_FORK = 1 << 4;
        /// `MAP_NORESERVE`.
        const NO_RESERVE = 1 << 5;
        /// `MADV_HUGEPAGE`.
        const HUGE_PAGE = 1 << 6;
        /// `MADV_NOHUGEPAGE`.
        const NO_HUGE_PAGE = 1 << 7;
        /// `MADV_DONTDUMP`.
        const DONT_DUMP = 1 << 8;
        /// `MADV_SEQUENTIAL`.
        const SEQUENTIAL = 1 << 9;
        /// `MADV_RANDOM`.
        const RANDOM = 1 << 10;
        /// `mlock2(MLOCK_ONFAULT)`.
        const LOCK_ON_FAULT = 1 << 11;
        /// The kernel's own pages in user space (vDSO, its data): never written, never merged, never moved.
        const SPECIAL = 1 << 12;
        /// The data page next to the vDSO.
        const VVAR = 1 << 13;
        /// `mprotect(2)` may not add writing: a shared mapping of a file opened without it.
        const NEVER_WRITE = 1 << 14;
        /// `mprotect(2)` may not add execution: a file system mounted `noexec`.
        const NEVER_EXEC = 1 << 15;
        /// Private pages have been made in it, so a fork must copy its page tables (Linux's `anon_vma`).
        const HAS_PRIVATE_PAGES = 1 << 16;
        /// `MADV_MERGEABLE`.
        const MERGEABLE = 1 << 17;
    }
}

/// The gap kept free below a stack (`stack_guard_gap`).
pub const STACK_GUARD_BYTES: u64 = 256 * PAGE_SIZE;

/// One mapping.
pub struct Vma {
    /// First address.
    pub start: u64,
    /// Past the last address.
    pub end: u64,
    /// What it allows.
    pub prot: Prot,
    /// Everything else.
    pub flags: VmFlags,
    /// The object mapped; `None` for private anonymous memory.
    pub mapping: Option<Box<Mapping>>,
}

impl Vma {
    /// Its addresses.
    pub fn range(&self) -> Range<u64> {
        self.start..self.end
    }

    /// Its size in pages.
    pub fn pages(&self) -> u64 {
        (self.end - self.start) >> PAGE_SHIFT
    }

    /// Whether writes go to the object.
    pub fn is_shared(&self) -> bool {
        self.flags.contains(VmFlags::SHARED)
    }

    /// Whether it counts against `RLIMIT_DATA`: private, writable, no stack (`is_data_mapping`).
    pub fn is_data(&self) -> bool {
        self.prot.contains(Prot::WRITE) && !self.flags.intersects(VmFlags::SHARED | VmFlags::GROWS_DOWN)
    }

    /// The first address that is taken, the guard gap of a stack included (`vm_start_gap`).
    pub fn start_with_gap(&self) -> u64 {
        if self.flags.contains(VmFlags::GROWS_DOWN) { self.start.saturating_sub(STACK_GUARD_BYTES) } else { self.start }
    }

    /// The object's page behind `addr`.
    pub fn page_index(&self, addr: u64) -> u64 {
        let first = self.mapping.as_ref().map_or(0, |mapping| mapping.first_page);
        first + ((addr - self.start) >> PAGE_SHIFT)
    }

    /// Cuts off and gives back what lies at `addr` and above.
    pub fn split_off(&mut self, addr: u64) -> Vma {
        debug_assert!(self.start < addr && addr < self.end);
        let mapping = self.mapping.as_ref().map(|mapping| mapping.part(self.page_index(addr)));
        let upper = Vma { start: addr, end: self.end, prot: self.prot, flags: self.flags, mapping };
        self.end = addr;
        upper
    }

    /// Whether `next`, which starts where this ends, can be one mapping with it (`can_vma_merge_after`).
    pub fn can_merge(&self, next: &Vma) -> bool {
        let ignored = VmFlags::HAS_PRIVATE_PAGES;
        let same_object = match (&self.mapping, &next.mapping) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                let same = Arc::ptr_eq(&a.object, &b.object) || a.object.merge_key() == b.object.merge_key();
                same && self.page_index(next.start) == b.first_page
            }
            _ => false,
        };
        self.end == next.start
            && self.prot == next.prot
            && self.flags | ignored == next.flags | ignored
            && !self.flags.contains(VmFlags::SPECIAL)
            && same_object
    }

    /// The same mapping for a child at fork. Errors: the object's refusal.
    pub fn for_child(&self, space: &alloc::sync::Weak<super::AddressSpace>) -> Result<Vma, Errno> {
        let mapping = self.mapping.as_ref().map(|mapping| mapping.for_space(space)).transpose()?;
        let flags = self.flags - (VmFlags::LOCKED | VmFlags::LOCK_ON_FAULT);
        Ok(Vma { start: self.start, end: self.end, prot: self.prot, flags, mapping })
    }
}
