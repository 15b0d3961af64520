//! What /proc shows of an address space.

use alloc::vec::Vec;

use super::*;
use crate::mem::backing::BackingIdentity;

/// Pages counted, as mappings and as resident memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceCounts {
    /// Mapped.
    pub total_pages: u64,
    /// Mapped at the most so far.
    pub peak_total_pages: u64,
    /// Of private writable mappings that are no stack.
    pub data_pages: u64,
    /// Of stacks.
    pub stack_pages: u64,
    /// Of mappings that allow execution and no writing.
    pub exec_pages: u64,
    /// Of locked mappings.
    pub locked_pages: u64,
    /// Resident and private.
    pub anonymous_pages: u64,
    /// Resident and an object's.
    pub object_pages: u64,
    /// Resident at the most so far.
    pub peak_resident_pages: u64,
}

impl SpaceCounts {
    /// Resident pages.
    pub fn resident_pages(&self) -> u64 {
        self.anonymous_pages + self.object_pages
    }

    #[inline]
    pub(super) fn resident(&mut self, anonymous: bool, change: i64) {
        let count = if anonymous { &mut self.anonymous_pages } else { &mut self.object_pages };
        *count = count.wrapping_add_signed(change);
        self.peak_resident_pages = self.peak_resident_pages.max(self.anonymous_pages + self.object_pages);
    }
}

/// A line of `/proc/<pid>/maps`.
#[derive(Clone, Debug)]
pub struct MapsLine {
    /// The addresses.
    pub range: Range<u64>,
    /// What it allows.
    pub prot: Prot,
    /// Its other properties.
    pub flags: VmFlags,
    /// The offset in the object, in bytes.
    pub offset_bytes: u64,
    /// The object's identity; `None` for private anonymous memory.
    pub identity: Option<BackingIdentity>,
    /// Whether the object is memory without a disk behind it.
    pub is_memory: bool,
    /// `[heap]`, `[stack]`, `[vdso]` or `[vvar]`.
    pub label: Option<&'static str>,
}

impl AddressSpace {
    /// What is counted.
    pub fn counts(&self) -> SpaceCounts {
        self.inner.lock().counts
    }

    /// Bytes of page tables.
    pub fn table_bytes(&self) -> u64 {
        self.inner.lock().table.table_bytes()
    }

    /// How many mappings there are.
    pub fn map_count(&self) -> usize {
        self.inner.lock().vmas.len()
    }

    /// The mapping that holds `addr` or comes next: /proc reads a list of any length line by line.
    pub fn maps_line(&self, addr: u64) -> Option<MapsLine> {
        let inner = self.inner.lock();
        let vma = inner.vmas.at_or_after(addr)?;
        let mapping = vma.mapping.as_ref().map(|mapping| mapping.object.clone());
        let line = MapsLine {
            range: vma.range(),
            prot: vma.prot,
            flags: vma.flags,
            offset_bytes: vma.mapping.as_ref().map_or(0, |mapping| mapping.first_page << PAGE_SHIFT),
            identity: None,
            is_memory: vma.mapping.as_ref().is_some_and(|mapping| mapping.object.is_memory()),
            label: inner.label(vma),
        };
        drop(inner);
        // The object's name may take locks of its own.
        Some(MapsLine { identity: mapping.map(|object| object.identity()), ..line })
    }

    /// All mappings.
    pub fn maps(&self) -> Vec<MapsLine> {
        let mut cursor = 0;
        core::iter::from_fn(|| {
            let line = self.maps_line(cursor)?;
            cursor = line.range.end;
            Some(line)
        })
        .collect()
    }
}

impl Inner {
    fn label(&self, vma: &Vma) -> Option<&'static str> {
        if vma.flags.contains(VmFlags::VVAR) {
            Some("[vvar]")
        } else if vma.flags.contains(VmFlags::SPECIAL) {
            Some("[vdso]")
        } else if vma.mapping.is_some() {
            None
        } else if self.brk.start < self.brk.end && vma.start < self.brk.end && self.brk.start < vma.end {
            Some("[heap]")
        } else if vma.start <= self.layout.stack_start && self.layout.stack_start < vma.end {
            Some("[stack]")
        } else {
            None
        }
    }
}
