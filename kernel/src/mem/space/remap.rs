//! `mremap(2)`: growing, shrinking and moving mappings; `remap_file_pages(2)`: showing other pages of the same object.

use super::*;
use crate::mem::addr::{is_page_aligned, page_up};
use crate::mem::page_table::LEAF_TABLE_BYTES;

/// A request of `mremap(2)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemapRequest {
    /// The mapping's address.
    pub addr: u64,
    /// Its length.
    pub old_len: u64,
    /// The length wanted.
    pub new_len: u64,
    /// `MREMAP_MAYMOVE`.
    pub may_move: bool,
    /// `MREMAP_FIXED`: the address wanted; what is there is unmapped.
    pub fixed: Option<u64>,
    /// `MREMAP_DONTUNMAP`: the old range stays mapped, empty. The new one goes where this says, if nothing is there.
    pub keep_old: Option<u64>,
}

impl AddressSpace {
    /// `mremap(2)`, in the order of Linux's `mremap`; gives the address after the call.
    ///
    /// Errors: EINVAL (alignment, lengths, flags, overlap), EFAULT (not one mapping), EAGAIN (`RLIMIT_MEMLOCK`), ENOMEM (over
    /// a limit, no room, or it would have to move and may not).
    pub fn remap(&self, request: &RemapRequest) -> Result<u64, Errno> {
        let moves = request.fixed.is_some() || request.keep_old.is_some();
        if (moves && !request.may_move) || (request.keep_old.is_some() && request.old_len != request.new_len) {
            return Err(Errno::EINVAL);
        }
        let (Some(old_len), Some(new_len)) = (page_up(request.old_len), page_up(request.new_len)) else {
            return Err(Errno::EINVAL);
        };
        if !is_page_aligned(request.addr) || new_len == 0 {
            return Err(Errno::EINVAL);
        }
        let request = RemapRequest { old_len, new_len, ..*request };
        frame::admit()?;
        // Room for what up to three unmappings take out, to be dropped after the lock.
        let mut removed = [const { None }; 3];
        let (addr, populate) = {
            let mut inner = self.inner.lock();
            let mut gather = Gather::new(self.cpus());
            if inner.vmas.at(request.addr).is_none() {
                return Err(Errno::EFAULT);
            }
            let result = if moves {
                inner.remap_to(&request, &mut gather, &mut removed)
            } else {
                inner.remap_anywhere(&request, &mut gather, &mut removed)
            };
            let fills = |addr: &u64| {
                let locked = inner.vmas.at(*addr).map(|vma| vma.flags & (VmFlags::LOCKED | VmFlags::LOCK_ON_FAULT));
                locked == Some(VmFlags::LOCKED)
            };
            let populate = result.as_ref().is_ok_and(|addr| new_len > old_len && fills(addr));
            (result, populate)
        };
        drop(removed);
        let addr = addr?;
        if populate {
            let _ = self.populate(addr + old_len..addr + new_len);
        }
        Ok(addr)
    }
}

impl AddressSpace {
    /// `remap_file_pages(2)`: shows `len` bytes of the object that is mapped shared at `addr` from page `first_page` on
    /// instead, as Linux has it: a new mapping over the old one. Errors: EINVAL (empty, wraps, or not all one object's,
    /// shared and alike), and those of [`AddressSpace::map`].
    pub fn remap_file_pages(&self, addr: u64, len: u64, first_page: u64, populate: bool) -> Result<(), Errno> {
        let start = addr & !(PAGE_SIZE - 1);
        let len = len & !(PAGE_SIZE - 1);
        let end = start.checked_add(len).filter(|end| *end > start).ok_or(Errno::EINVAL)?;
        first_page.checked_add(len >> PAGE_SHIFT).ok_or(Errno::EINVAL)?;
        let request = {
            let inner = self.inner.lock();
            let is_shared = |vma: &&Vma| vma.is_shared() && !vma.flags.contains(VmFlags::NEVER_WRITE);
            let vma = inner.vmas.at(start).filter(is_shared).ok_or(Errno::EINVAL)?;
            let object = vma.mapping.as_ref().map(|mapping| mapping.object.clone()).ok_or(Errno::EINVAL)?;
            let is_alike = |other: &Vma| {
                let same = other.mapping.as_ref().is_some_and(|at| at.object.merge_key() == object.merge_key());
                same && other.flags == vma.flags && other.prot == vma.prot
            };
            if !inner.covers(start..end) || !inner.vmas.in_range(start..end).all(is_alike) {
                return Err(Errno::EINVAL);
            }
            MapRequest {
                addr: start,
                len,
                prot: vma.prot,
                placement: Placement::Fixed,
                flags: vma.flags,
                populate,
                backing: Some(BackingAt { object, first_page }),
                ..MapRequest::default()
            }
        };
        self.map(&request).map(|_| ())
    }
}

impl Inner {
    fn remap_anywhere(
        &mut self,
        request: &RemapRequest,
        gather: &mut Gather<'_>,
        removed: &mut [Option<Removed>; 3],
    ) -> Result<u64, Errno> {
        let RemapRequest { addr, old_len, new_len, .. } = *request;
        if old_len >= new_len {
            if old_len > new_len {
                let tail =
                    addr + new_len..addr.checked_add(old_len).filter(|end| *end <= USER_END).ok_or(Errno::EINVAL)?;
                self.check_split(&tail)?;
                removed[0] = Some(self.remove(tail, gather));
            }
            return Ok(addr);
        }
        self.check_resize(request)?;
        let vma = self.vmas.at(addr).ok_or(Errno::EFAULT)?;
        if addr + old_len == vma.end && addr + new_len <= USER_END && self.is_free(vma.end..addr + new_len) {
            self.grow(addr, addr + new_len);
            return Ok(addr);
        }
        if !request.may_move {
            return Err(Errno::ENOMEM);
        }
        let target = self.find_free(0, new_len)?;
        self.move_mapping(request, target, gather, removed)
    }

    /// `MREMAP_FIXED` and `MREMAP_DONTUNMAP` (Linux's `mremap_to`).
    fn remap_to(
        &mut self,
        request: &RemapRequest,
        gather: &mut Gather<'_>,
        removed: &mut [Option<Removed>; 3],
    ) -> Result<u64, Errno> {
        let RemapRequest { addr, mut old_len, new_len, .. } = *request;
        if let Some(target) = request.fixed.or(request.keep_old) {
            let overlaps = addr.saturating_add(old_len) > target && target.saturating_add(new_len) > addr;
            if !is_page_aligned(target) || new_len > USER_END || target > USER_END - new_len || overlaps {
                return Err(Errno::EINVAL);
            }
        }
        if request.fixed.is_some_and(|target| target < MMAP_MIN_ADDR) {
            return Err(Errno::EPERM);
        }
        if self.vmas.len() + 5 >= MAX_MAP_COUNT.count() {
            return Err(Errno::ENOMEM);
        }
        if let Some(target) = request.fixed {
            removed[0] = Some(self.remove(target..target + new_len, gather));
        }
        if old_len > new_len {
            let tail = addr + new_len..addr.checked_add(old_len).filter(|end| *end <= USER_END).ok_or(Errno::EINVAL)?;
            removed[1] = Some(self.remove(tail, gather));
            old_len = new_len;
        }
        let request = RemapRequest { old_len, ..*request };
        self.check_resize(&request)?;
        if request.keep_old.is_some() && !self.may_expand(old_len >> PAGE_SHIFT, false) {
            return Err(Errno::ENOMEM);
        }
        let target = match request.fixed {
            Some(target) => target,
            None => self.find_free(request.keep_old.unwrap_or(0), new_len)?,
        };
        self.move_mapping(&request, target, gather, removed)
    }

    /// Whether the mapping may become as long as asked (`vma_to_resize`).
    fn check_resize(&self, request: &RemapRequest) -> Result<(), Errno> {
        let RemapRequest { addr, old_len, new_len, .. } = *request;
        let vma = self.vmas.at(addr).ok_or(Errno::EFAULT)?;
        if old_len == 0 && !vma.is_shared() {
            return Err(Errno::EINVAL);
        }
        if request.keep_old.is_some() && vma.flags.contains(VmFlags::SPECIAL) {
            return Err(Errno::EINVAL);
        }
        if old_len > vma.end - addr {
            return Err(Errno::EFAULT);
        }
        if new_len == old_len {
            return Ok(());
        }
        if vma.flags.contains(VmFlags::SPECIAL) {
            return Err(Errno::EFAULT);
        }
        let more = (new_len - old_len) >> PAGE_SHIFT;
        if vma.flags.contains(VmFlags::LOCKED) && !self.may_lock(more) {
            return Err(Errno::EAGAIN);
        }
        let too_much = vma.is_data() && overcommits(more);
        if too_much || !self.may_expand(more, vma.is_data()) { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Lengthens the mapping at `addr` to `end`, into free space.
    fn grow(&mut self, addr: u64, end: u64) {
        let vmas = self.vmas_mut();
        let Some(added) = vmas.modify(addr, |vma| {
            let added = Vma { start: vma.end, end, prot: vma.prot, flags: vma.flags, mapping: None };
            vma.end = end;
            added
        }) else {
            return;
        };
        vmas.merge_at(end);
        self.account(&added, 1);
    }

    /// Moves `old_len` bytes at `addr` to `target`, as a mapping of `new_len` bytes (`move_vma`).
    fn move_mapping(
        &mut self,
        request: &RemapRequest,
        target: u64,
        gather: &mut Gather<'_>,
        removed: &mut [Option<Removed>; 3],
    ) -> Result<u64, Errno> {
        let RemapRequest { addr, old_len, new_len, .. } = *request;
        if self.vmas.len() + 3 >= MAX_MAP_COUNT.count() {
            return Err(Errno::ENOMEM);
        }
        // Make the tables first: then moving the entries cannot fail half way.
        let mut table_addr = target & !(LEAF_TABLE_BYTES - 1);
        while table_addr < target + old_len {
            self.table.slot_or_new(table_addr.max(target))?;
            table_addr += LEAF_TABLE_BYTES;
        }
        let vma = self.vmas.at(addr).ok_or(Errno::EFAULT)?;
        let mapping = vma.mapping.as_ref().map(|mapping| mapping.part(vma.page_index(addr)));
        let moved = Vma { start: target, end: target + new_len, prot: vma.prot, flags: vma.flags, mapping };
        self.move_entries(addr..addr + old_len, target, gather);
        // Before the old range goes: what is no mapping's loses its tables, and the new one's may be the same.
        self.add(moved);
        if request.keep_old.is_some() {
            // The old range stays, empty and not locked.
            if vma_is_locked(&self.vmas, addr) {
                self.unlock(addr..addr + old_len);
            }
        } else if old_len > 0 {
            removed[2] = Some(self.remove(addr..addr + old_len, gather));
        }
        Ok(target)
    }

    fn move_entries(&self, from: Range<u64>, target: u64, gather: &mut Gather<'_>) {
        for (addr, slot) in self.table.slots(from.clone()) {
            let entry = slot.get();
            if entry.is_empty() {
                continue;
            }
            if let Some(to) = self.table.slot(target + (addr - from.start)) {
                slot.move_to(to);
                gather.note(addr..addr + PAGE_SIZE);
            }
        }
        gather.finish();
    }
}

fn vma_is_locked(vmas: &VmaTree, addr: u64) -> bool {
    vmas.at(addr).is_some_and(|vma| vma.flags.contains(VmFlags::LOCKED))
}
