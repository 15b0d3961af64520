//! New mappings, unmapping and the program break.

use alloc::sync::Arc;
use core::ops::Range;

use abi::Errno;

use super::*;
use crate::mem::addr::{is_page_aligned, page_down, page_range, page_up};
use crate::mem::rmap::Mapping;
use crate::mem::shared::SharedMemory;

impl AddressSpace {
    /// `mmap(2)`, in the order of Linux's `do_mmap` and `mmap_region`; gives the address.
    ///
    /// Errors: EINVAL (empty, or not aligned), ENOMEM (too long, too many, over a limit), EEXIST, EPERM (may not lock, or
    /// below the lowest address), EAGAIN (over `RLIMIT_MEMLOCK`), and the object's refusal.
    pub fn map(&self, request: &MapRequest) -> Result<u64, Errno> {
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = page_up(request.len).filter(|len| *len <= USER_END).ok_or(Errno::ENOMEM)?;
        frame::admit()?;
        let anonymous_object = match request.backing {
            None if request.flags.contains(VmFlags::SHARED) => {
                let object: Arc<dyn crate::mem::Backing> = SharedMemory::anonymous(len >> PAGE_SHIFT)?;
                Some(BackingAt { object, first_page: 0 })
            }
            _ => None,
        };
        let backing = request.backing.as_ref().or(anonymous_object.as_ref());
        let (addr, removed, populate) = {
            let mut inner = self.inner.lock();
            let mut gather = Gather::new(self.cpus());
            let addr = inner.place(request, len)?;
            let flags = request.flags | inner.future_flags;
            if flags.contains(VmFlags::LOCKED) {
                inner.check_lockable(request, len)?;
            }
            let mut vma = Vma { start: addr, end: addr + len, prot: request.prot, flags, mapping: None };
            inner.check_limits(vma.range(), vma.is_data())?;
            check_overcommit(request, len)?;
            let never_written = flags.contains(VmFlags::NEVER_WRITE);
            vma.mapping = backing.map(|at| Mapping::new(at, &self.me, vma.is_shared(), !never_written)).transpose()?;
            let removed = inner.remove(vma.range(), &mut gather);
            inner.add(vma);
            let on_fault = flags.contains(VmFlags::LOCK_ON_FAULT);
            (addr, removed, request.populate || (flags.contains(VmFlags::LOCKED) && !on_fault))
        };
        drop(removed);
        if populate {
            // As on Linux, a failure to bring pages in does not fail the call.
            let _ = self.populate(addr..addr + len);
        }
        Ok(addr)
    }

    /// `munmap(2)`. Errors: EINVAL; ENOMEM if it would leave more than [`MAX_MAP_COUNT`] mappings.
    pub fn unmap(&self, addr: u64, len: u64) -> Result<(), Errno> {
        let range = page_range(addr, len)?;
        let removed = {
            let mut inner = self.inner.lock();
            let mut gather = Gather::new(self.cpus());
            inner.check_split(&range)?;
            inner.remove(range, &mut gather)
        };
        drop(removed);
        Ok(())
    }

    /// Unmaps everything: the old memory of a process that executes a new program in the same space.
    pub fn clear(&self) {
        let removed = {
            let mut inner = self.inner.lock();
            let mut gather = Gather::new(self.cpus());
            inner.remove(0..USER_END, &mut gather)
        };
        drop(removed);
    }

    /// `shmdt(2)`: unmaps what is left of the System V segment that was attached at `addr`, in the order of Linux's
    /// `ksys_shmdt`. Errors: EINVAL if none was.
    pub fn detach_segment(&self, addr: u64) -> Result<(), Errno> {
        if !is_page_aligned(addr) {
            return Err(Errno::EINVAL);
        }
        let mut removed = alloc::vec::Vec::new();
        {
            let mut inner = self.inner.lock();
            let mut gather = Gather::new(self.cpus());
            // Its mappings: those that show of the segment what an attachment at `addr` would show there.
            let segment_at = |vma: &Vma| {
                let mapping = vma.mapping.as_ref()?;
                let size = mapping.object.segment_bytes()?;
                (vma.start - addr == mapping.first_page << PAGE_SHIFT).then(|| (mapping.object.clone(), size))
            };
            let (object, size) = inner.vmas.in_range(addr..USER_END).find_map(segment_at).ok_or(Errno::EINVAL)?;
            let end = addr.saturating_add(page_up(size).unwrap_or(0)).min(USER_END);
            let is_part = |vma: &&Vma| segment_at(vma).is_some_and(|(other, _)| Arc::ptr_eq(&other, &object));
            let parts: alloc::vec::Vec<_> = inner.vmas.in_range(addr..end).filter(is_part).map(Vma::range).collect();
            for part in parts {
                removed.push(inner.remove(part, &mut gather));
            }
        }
        drop(removed);
        Ok(())
    }

    /// Sets where the heap starts, still empty (exec).
    pub fn set_brk_start(&self, addr: u64) {
        let addr = page_up(addr).unwrap_or(USER_END);
        self.inner.lock().brk = addr..addr;
    }

    /// The heap: from its start to the break.
    pub fn brk_range(&self) -> Range<u64> {
        self.inner.lock().brk.clone()
    }

    /// `brk(2)`: moves the break if that is possible; gives the break after the call.
    pub fn brk(&self, addr: u64) -> u64 {
        let (brk, removed, populate) = {
            let mut inner = self.inner.lock();
            let mut gather = Gather::new(self.cpus());
            inner.move_brk(addr, &mut gather)
        };
        drop(removed);
        if let Some(range) = populate {
            let _ = self.populate(range);
        }
        brk
    }

    /// Unmaps the pages `pages` of `object` wherever they are mapped here, private copies included.
    pub(in crate::mem) fn unmap_object(&self, object: &dyn crate::mem::Backing, pages: Range<u64>) {
        let mut inner = self.inner.lock();
        let mut gather = Gather::new(self.cpus());
        let mut cursor = 0;
        while let Some(vma) = inner.vmas.at_or_after(cursor) {
            cursor = vma.end;
            let Some(mapping) = &vma.mapping else { continue };
            if !core::ptr::eq(mapping.object.mappers(), object.mappers()) {
                continue;
            }
            let first = pages.start.max(mapping.first_page);
            let last = pages.end.min(mapping.first_page + vma.pages());
            if first < last {
                let addr_of = |page: u64| vma.start + ((page - mapping.first_page) << PAGE_SHIFT);
                let stale = addr_of(first)..addr_of(last);
                inner.zap(stale, &mut gather);
            }
        }
    }
}

impl Inner {
    /// Where a new mapping of `len` bytes goes (`get_unmapped_area`).
    fn place(&self, request: &MapRequest, len: u64) -> Result<u64, Errno> {
        if self.vmas.len() > MAX_MAP_COUNT.count() {
            return Err(Errno::ENOMEM);
        }
        match request.placement {
            Placement::Hint => self.find_free(hint_of(request.addr), len),
            Placement::Low => self.find_low(hint_of(request.addr), len),
            Placement::Fixed | Placement::FixedNoReplace => {
                if request.addr > USER_END - len {
                    return Err(Errno::ENOMEM);
                }
                if !is_page_aligned(request.addr) {
                    return Err(Errno::EINVAL);
                }
                if request.addr < MMAP_MIN_ADDR {
                    return Err(Errno::EPERM);
                }
                let range = request.addr..request.addr + len;
                if request.placement == Placement::FixedNoReplace && self.vmas.in_range(range.clone()).next().is_some()
                {
                    return Err(Errno::EEXIST);
                }
                Ok(range.start)
            }
        }
    }

    fn check_lockable(&self, request: &MapRequest, len: u64) -> Result<(), Errno> {
        if request.flags.contains(VmFlags::LOCKED) && !request.may_lock && self.limits.locked == 0 {
            return Err(Errno::EPERM);
        }
        if request.may_lock || self.may_lock(len >> PAGE_SHIFT) { Ok(()) } else { Err(Errno::EAGAIN) }
    }

    /// Holds a new mapping against the limits; what it replaces counts as gone.
    fn check_limits(&self, range: Range<u64>, is_data: bool) -> Result<(), Errno> {
        let pages = (range.end - range.start) >> PAGE_SHIFT;
        if self.may_expand(pages, is_data) {
            return Ok(());
        }
        let overlap = |vma: &Vma| (vma.end.min(range.end) - vma.start.max(range.start)) >> PAGE_SHIFT;
        let replaced: u64 = self.vmas.in_range(range.clone()).map(overlap).sum();
        if self.may_expand(pages - replaced, is_data) { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Refuses to cut a hole that would leave too many mappings.
    pub(super) fn check_split(&self, range: &Range<u64>) -> Result<(), Errno> {
        let cuts_inside = self.vmas.at(range.start).is_some_and(|vma| vma.start < range.start && range.end < vma.end);
        if cuts_inside && self.vmas.len() >= MAX_MAP_COUNT.count() { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Adds a mapping into free space, joined with its neighbours if they are alike.
    pub(super) fn add(&mut self, vma: Vma) {
        self.account(&vma, 1);
        let range = vma.range();
        let lower_merges = self.vmas.before(range.start).is_some_and(|lower| lower.can_merge(&vma));
        let upper_merges = self.vmas.at(range.end).is_some_and(|upper| vma.can_merge(upper));
        let is_plain = vma.mapping.is_none();
        let vmas = self.vmas_mut();
        // Anonymous memory just widens its neighbour: a growing heap, or maps one below the other.
        match (lower_merges && is_plain, upper_merges && is_plain) {
            (true, both) => {
                vmas.modify(range.start - 1, |lower| {
                    lower.end = range.end;
                    // A moved mapping brings its private pages along.
                    lower.flags |= vma.flags;
                });
                if both {
                    vmas.merge_at(range.end);
                }
            }
            (false, true) => {
                vmas.modify(range.end, |upper| {
                    upper.start = range.start;
                    upper.flags |= vma.flags;
                });
            }
            (false, false) => {
                vmas.insert(vma);
                if lower_merges {
                    vmas.merge_at(range.start);
                }
                if upper_merges {
                    vmas.merge_at(range.end);
                }
            }
        }
    }

    /// See [`AddressSpace::brk`]. Gives the break, what was removed, and what is to be populated.
    fn move_brk(&mut self, addr: u64, gather: &mut Gather<'_>) -> (u64, Removed, Option<Range<u64>>) {
        let nothing = |brk| (brk, Removed(VmaTree::new()), None);
        let (start, old) = (self.brk.start, self.brk.end);
        let data = self.layout.data.1.saturating_sub(self.layout.data.0);
        let over_limit = |addr: u64| (addr - start).saturating_add(data) > self.limits.data;
        if start == 0 || addr < start || addr > USER_END || over_limit(addr) {
            return nothing(old);
        }
        let (Some(new_end), Some(old_end)) = (page_up(addr), page_up(old)) else { return nothing(old) };
        if new_end <= old_end {
            let removed =
                if new_end < old_end { self.remove(new_end..old_end, gather) } else { Removed(VmaTree::new()) };
            self.brk.end = addr;
            return (addr, removed, None);
        }
        let pages = (new_end - old_end) >> PAGE_SHIFT;
        let locked = self.future_flags.contains(VmFlags::LOCKED);
        let refused = !self.is_free(old_end..new_end + PAGE_SIZE)
            || !self.may_expand(pages, true)
            || self.vmas.len() > MAX_MAP_COUNT.count()
            || (locked && !self.may_lock(pages))
            || overcommits(pages)
            || frame::admit().is_err();
        if refused {
            return nothing(old);
        }
        let prot = Prot::READ | Prot::WRITE;
        self.add(Vma { start: old_end, end: new_end, prot, flags: self.future_flags, mapping: None });
        self.brk.end = addr;
        let populate = locked && !self.future_flags.contains(VmFlags::LOCK_ON_FAULT);
        (addr, Removed(VmaTree::new()), populate.then_some(old_end..new_end))
    }
}

/// The page of a hint, raised to the lowest address (`round_hint_to_min`); 0 for none.
fn hint_of(addr: u64) -> u64 {
    match page_down(addr) {
        0 => 0,
        hint => hint.max(MMAP_MIN_ADDR),
    }
}

/// Linux's default heuristic (`__vm_enough_memory`): only what could never fit is refused.
fn check_overcommit(request: &MapRequest, len: u64) -> Result<(), Errno> {
    let counted = match (&request.backing, request.flags.contains(VmFlags::SHARED)) {
        (Some(_), true) => false,
        (None, true) => true,
        (_, false) => request.prot.contains(Prot::WRITE),
    };
    if counted && !request.flags.contains(VmFlags::NO_RESERVE) && overcommits(len >> PAGE_SHIFT) {
        Err(Errno::ENOMEM)
    } else {
        Ok(())
    }
}
