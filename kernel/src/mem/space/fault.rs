//! Page faults: bringing pages in, copying on write, growing stacks.

use super::*;
use crate::mem::addr::page_down;
use crate::mem::backing::PageError;
use crate::mem::frame::{Frame, OutOfMemory};
use crate::mem::oom;
use crate::mem::page_table::{Entry, LEAF_TABLE_BYTES};
use crate::mem::vma::STACK_GUARD_BYTES;

/// Pages of an object brought in around one that was missing, as far as they are resident (`fault_around_bytes`).
const FAULT_AROUND_PAGES: u64 = 16;

impl From<OutOfMemory> for FaultError {
    fn from(_: OutOfMemory) -> Self {
        FaultError::NoMemory
    }
}

impl From<PageError> for FaultError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::PastEnd => FaultError::PastEnd,
            PageError::NoMemory => FaultError::NoMemory,
        }
    }
}

impl AddressSpace {
    /// Mends a fault at `addr`: afterwards the access can be tried again. Called for the user's page faults and by
    /// the copies of [`crate::mem::user`].
    pub fn fault(&self, addr: u64, access: Access) -> Result<(), FaultError> {
        let mut inner = self.inner.lock();
        let mut gather = Gather::new(self.cpus());
        inner.fault(page_down(addr), access, &mut gather)
    }

    /// Brings in all pages of `range`, private writable ones as a write would (`populate_vma_page_range`). Stops at the
    /// first page that cannot be had.
    pub(super) fn populate(&self, range: Range<u64>) -> Result<(), FaultError> {
        self.populate_with(range, |vma| match () {
            () if vma.prot.contains(Prot::WRITE) && !vma.is_shared() => Access::Write,
            () if vma.prot == Prot::EXEC => Access::Exec,
            () => Access::Read,
        })
    }

    /// Brings in all pages of `range` by the same kind of access. Stops at the first page that cannot be had.
    pub(super) fn populate_as(&self, range: Range<u64>, access: Access) -> Result<(), FaultError> {
        self.populate_with(range, |_| access)
    }

    fn populate_with(&self, range: Range<u64>, access_of: impl Fn(&Vma) -> Access) -> Result<(), FaultError> {
        let mut addr = range.start;
        while addr < range.end {
            // A range may be millions of pages long, and what it fails with then is never seen.
            if oom::is_caller_dying() {
                return Err(FaultError::NoMemory);
            }
            let mut inner = self.inner.lock();
            let mut gather = Gather::new(self.cpus());
            let vma = inner.vmas.at(addr).ok_or(FaultError::NotMapped)?;
            let access = access_of(vma);
            // The lock is released between tables, for the other threads' sake.
            let end = vma.end.min(range.end).min((addr & !(LEAF_TABLE_BYTES - 1)) + LEAF_TABLE_BYTES);
            while addr < end {
                inner.fault(addr, access, &mut gather)?;
                addr += PAGE_SIZE;
            }
        }
        Ok(())
    }
}

impl Inner {
    /// See [`AddressSpace::fault`]. `addr` is page aligned.
    #[inline]
    pub(super) fn fault(&mut self, addr: u64, access: Access, gather: &mut Gather<'_>) -> Result<(), FaultError> {
        let hot = self.hot;
        if access == Access::Write && hot.start <= addr && addr < hot.end && hot.prot.contains(Prot::WRITE) {
            let slot = self.table.slot_or_new(addr)?;
            if slot.get().is_empty() {
                slot.set(Entry::anonymous(Frame::zeroed()?, hot.prot));
                self.counts.resident(true, 1);
                return Ok(());
            }
        }
        self.fault_slow(addr, access, gather)
    }

    fn fault_slow(&mut self, addr: u64, access: Access, gather: &mut Gather<'_>) -> Result<(), FaultError> {
        let vma = match self.vmas.at_or_after(addr) {
            Some(vma) if vma.start <= addr => vma,
            Some(vma) if vma.flags.contains(VmFlags::GROWS_DOWN) => {
                let bottom = vma.start;
                self.grow_stack(bottom, addr)?;
                self.vmas.at(addr).ok_or(FaultError::NotMapped)?
            }
            _ => return Err(FaultError::NotMapped),
        };
        let allowed = match access {
            Access::Read => !vma.prot.is_empty(),
            Access::Write => vma.prot.contains(Prot::WRITE),
            Access::Exec => vma.prot.contains(Prot::EXEC),
        };
        if !allowed {
            return Err(FaultError::NotAllowed);
        }
        let entry = self.table.slot(addr).map_or(Entry::EMPTY, |slot| slot.get());
        if entry.is_empty() {
            return self.fill(addr, access);
        }
        if access == Access::Write && !entry.is_writable() {
            return self.make_writable(addr, entry, gather);
        }
        // Another thread was faster, or this CPU remembered an entry that has since come to allow more: the fault itself
        // made it forget that one.
        Ok(())
    }

    /// Puts a page where there is none.
    fn fill(&mut self, addr: u64, access: Access) -> Result<(), FaultError> {
        let vma = self.vmas.at(addr).ok_or(FaultError::NotMapped)?;
        let (prot, shared) = (vma.prot, vma.is_shared());
        let Some(mapping) = &vma.mapping else {
            let found = Hot { start: vma.start, end: vma.end, prot };
            self.fill_anonymous(addr, access, prot)?;
            if access == Access::Write {
                // From here on it has private pages, which `note_private` has noted.
                self.hot = found;
            }
            return Ok(());
        };
        let index = vma.page_index(addr);
        let write = access == Access::Write;
        let frame = mapping.object.page(index, write && shared)?;
        if write && !shared {
            let copy = Frame::copy_of(&frame)?;
            self.table.slot_or_new(addr)?.set(Entry::anonymous(copy, prot));
            self.counts.resident(true, 1);
            self.note_private(addr);
            return Ok(());
        }
        // A shared page is mapped for writing by the write that asks the object for it, not before.
        let around = (!write).then(|| around(addr, vma));
        self.table.slot_or_new(addr)?.set(Entry::of_object(frame, prot, write));
        self.counts.resident(false, 1);
        if let Some(around) = around {
            self.fill_around(around, prot);
        }
        Ok(())
    }

    fn fill_anonymous(&mut self, addr: u64, access: Access, prot: Prot) -> Result<(), FaultError> {
        let slot = self.table.slot_or_new(addr)?;
        if access == Access::Write {
            slot.set(Entry::anonymous(Frame::zeroed()?, prot));
            self.counts.resident(true, 1);
            self.note_private(addr);
        } else {
            slot.set(Entry::special(frame::zero_page(), prot));
        }
        Ok(())
    }

    /// Maps the pages of `range` that the object has resident and that are not mapped yet.
    fn fill_around(&mut self, range: Range<u64>, prot: Prot) {
        let Some(vma) = self.vmas.at(range.start) else { return };
        let Some(mapping) = &vma.mapping else { return };
        let mut mapped = 0;
        for (slot, index) in self.table.slots_in_leaf(range.clone()).iter().zip(vma.page_index(range.start)..) {
            if slot.get().is_empty()
                && let Some(frame) = mapping.object.resident_page(index)
            {
                slot.set(Entry::of_object(frame, prot, false));
                mapped += 1;
            }
        }
        self.counts.resident(false, mapped);
    }

    /// Lets a write through to a page that is mapped read only although its mapping allows writes.
    fn make_writable(&mut self, addr: u64, entry: Entry, gather: &mut Gather<'_>) -> Result<(), FaultError> {
        let vma = self.vmas.at(addr).ok_or(FaultError::NotMapped)?;
        let prot = vma.prot;
        let slot = self.table.slot(addr).ok_or(FaultError::NotMapped)?;
        let new = if vma.is_shared() {
            let mapping = vma.mapping.as_ref().ok_or(FaultError::NotMapped)?;
            let frame = mapping.object.page(vma.page_index(addr), true)?;
            if frame.phys() == entry.phys() {
                slot.set(entry.with_prot(prot, true));
                return Ok(());
            }
            Entry::of_object(frame, prot, true)
        } else if entry.is_anonymous() && slot.is_sole_owner() {
            // The others that shared it are gone: no copy needed. A CPU that remembers the old entry faults again.
            slot.set(entry.with_prot(prot, true));
            return Ok(());
        } else if entry.is_special() {
            Entry::anonymous(Frame::zeroed()?, prot)
        } else {
            Entry::anonymous(Frame::copy_of(&slot.share())?, prot)
        };
        self.replace(addr, new, gather);
        Ok(())
    }

    /// Gives the page at `addr`, which is present, a frame that nothing else shares, without changing what it allows.
    pub(super) fn own(&mut self, addr: u64, gather: &mut Gather<'_>) -> Result<(), FaultError> {
        let prot = self.vmas.at(addr).ok_or(FaultError::NotMapped)?.prot;
        let slot = self.table.slot(addr).ok_or(FaultError::NotMapped)?;
        let entry = slot.get();
        if entry.is_anonymous() && slot.is_sole_owner() {
            return Ok(());
        }
        let frame = if entry.is_special() { Frame::zeroed()? } else { Frame::copy_of(&slot.share())? };
        self.replace(addr, Entry::anonymous(frame, prot), gather);
        Ok(())
    }

    /// Replaces the page at `addr`. All CPUs forget the old one before anyone writes to the new one, or a thread could
    /// still read the old.
    fn replace(&mut self, addr: u64, new: Entry, gather: &mut Gather<'_>) {
        let Some(slot) = self.table.slot(addr) else { return };
        let was_anonymous = slot.get().is_anonymous();
        gather.note(addr..addr + PAGE_SIZE);
        if let Some(old) = slot.take() {
            self.counts.resident(was_anonymous, -1);
            gather.push(addr, old);
        }
        gather.finish();
        slot.set(new);
        self.counts.resident(new.is_anonymous(), 1);
        if new.is_anonymous() {
            self.note_private(addr);
        }
    }

    /// Notes that the mapping at `addr` has private pages now.
    fn note_private(&mut self, addr: u64) {
        if self.vmas.at(addr).is_some_and(|vma| !vma.flags.contains(VmFlags::HAS_PRIVATE_PAGES)) {
            self.vmas.modify(addr, |vma| vma.flags |= VmFlags::HAS_PRIVATE_PAGES);
        }
    }

    /// Grows the stack that starts at `bottom` down to `addr` (`expand_downwards`, `acct_stack_growth`).
    fn grow_stack(&mut self, bottom: u64, addr: u64) -> Result<(), FaultError> {
        let vma = self.vmas.at(bottom).ok_or(FaultError::NotMapped)?;
        let grown = (bottom - addr) >> PAGE_SHIFT;
        let near = |below: &Vma| {
            !below.flags.contains(VmFlags::GROWS_DOWN) && !below.prot.is_empty() && addr - below.end < STACK_GUARD_BYTES
        };
        let locked = vma.flags.contains(VmFlags::LOCKED);
        let refused = addr < MMAP_MIN_ADDR
            || self.vmas.before(bottom).is_some_and(near)
            || !self.may_expand(grown, false)
            || vma.end - addr > self.limits.stack
            || (locked && !self.may_lock(grown));
        if refused {
            return Err(FaultError::NotMapped);
        }
        self.vmas_mut().modify(bottom, |vma| vma.start = addr);
        self.counts.total_pages += grown;
        self.counts.stack_pages += grown;
        self.counts.locked_pages += if locked { grown } else { 0 };
        Ok(())
    }
}

/// The aligned stretch around `addr` that its mapping and its leaf table hold.
fn around(addr: u64, vma: &Vma) -> Range<u64> {
    let stretch = FAULT_AROUND_PAGES * PAGE_SIZE;
    let start = addr & !(stretch - 1);
    start.max(vma.start)..(start + stretch).min(vma.end)
}
