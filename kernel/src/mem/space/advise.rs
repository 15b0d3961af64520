//! `madvise(2)`, `msync(2)` and `mincore(2)`.

use alloc::vec::Vec;

use super::*;
use crate::mem::addr::{is_page_aligned, page_up};

/// What `madvise(2)` can be told about a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Flags to set and to clear: `NORMAL`, `RANDOM`, `SEQUENTIAL`, `DONTFORK`, `DOFORK`, `WIPEONFORK`, `HUGEPAGE`, ….
    Flags {
        /// To set.
        set: VmFlags,
        /// To clear.
        clear: VmFlags,
        /// Only for private anonymous memory (`WIPEONFORK`).
        private_anonymous: bool,
    },
    /// `MADV_DONTNEED`: empties the pages now.
    DontNeed {
        /// `MADV_DONTNEED_LOCKED`: those of locked mappings too.
        even_locked: bool,
    },
    /// `MADV_FREE`: the contents may be lost.
    Free,
    /// `MADV_WILLNEED`, `MADV_COLD`, `MADV_PAGEOUT`: nothing to do where all is resident, but the range is checked.
    Nothing,
    /// `MADV_POPULATE_READ` and `MADV_POPULATE_WRITE`.
    Populate {
        /// As if written.
        write: bool,
    },
    /// `MADV_REMOVE`: frees the object's pages.
    Remove,
}

impl AddressSpace {
    /// `madvise(2)`, in the order of Linux's `do_madvise`. A hole is reported after the rest of the range was advised.
    ///
    /// Errors: EINVAL (alignment, or a kind of memory the advice is not for), ENOMEM (a hole), EFAULT (cannot be populated),
    /// EAGAIN, and the object's refusal.
    pub fn advise(&self, addr: u64, len: u64, advice: Advice) -> Result<(), Errno> {
        if !is_page_aligned(addr) {
            return Err(Errno::EINVAL);
        }
        let len = page_up(len).ok_or(Errno::EINVAL)?;
        let end = addr.checked_add(len).ok_or(Errno::EINVAL)?;
        if len == 0 {
            return Ok(());
        }
        match advice {
            Advice::Populate { write } => self.advise_populate(addr..end, write),
            Advice::Remove => self.advise_remove(addr..end),
            _ => {
                let mut inner = self.inner.lock();
                let mut gather = Gather::new(self.cpus());
                inner.advise(addr..end, advice, &mut gather)
            }
        }
    }

    fn advise_populate(&self, range: Range<u64>, write: bool) -> Result<(), Errno> {
        {
            let inner = self.inner.lock();
            let forbids = |vma: &Vma| if write { !vma.prot.contains(Prot::WRITE) } else { vma.prot.is_empty() };
            if !inner.covers(range.clone()) {
                return Err(Errno::ENOMEM);
            }
            if inner.vmas.in_range(range.clone()).any(|vma| forbids(vma) || vma.flags.contains(VmFlags::SPECIAL)) {
                return Err(Errno::EINVAL);
            }
        }
        self.populate_as(range, if write { Access::Write } else { Access::Read }).map_err(|error| match error {
            FaultError::NotMapped => Errno::ENOMEM,
            FaultError::NotAllowed => Errno::EINVAL,
            FaultError::PastEnd => Errno::EFAULT,
            FaultError::NoMemory => Errno::EAGAIN,
        })
    }

    /// `MADV_REMOVE`: shared, writable mappings of objects that can give pages back.
    fn advise_remove(&self, range: Range<u64>) -> Result<(), Errno> {
        let mut pieces = Vec::new();
        {
            let inner = self.inner.lock();
            for vma in inner.vmas.in_range(range.clone()) {
                if vma.flags.contains(VmFlags::LOCKED) {
                    return Err(Errno::EINVAL);
                }
                let mapping = vma.mapping.as_ref().ok_or(Errno::EINVAL)?;
                if !vma.is_shared() || !vma.prot.contains(Prot::WRITE) {
                    return Err(Errno::EACCES);
                }
                let part = range.start.max(vma.start)..range.end.min(vma.end);
                let pages = (part.end - part.start) >> PAGE_SHIFT;
                let first = vma.page_index(part.start);
                pieces.push((mapping.object.clone(), first..first + pages));
            }
        }
        pieces.into_iter().try_for_each(|(object, pages)| object.punch(pages))
    }

    /// `msync(2)` of checked flags: `wait` is `MS_SYNC`, `invalidate` `MS_INVALIDATE`. Errors: EINVAL, ENOMEM (a hole), EBUSY (a
    /// locked mapping cannot be invalidated), EIO.
    pub fn sync(&self, addr: u64, len: u64, wait: bool, invalidate: bool) -> Result<(), Errno> {
        let len = page_up(len).ok_or(Errno::ENOMEM)?;
        let end = addr.checked_add(len).ok_or(Errno::ENOMEM)?;
        if end == addr {
            return Ok(());
        }
        let range = addr..end;
        let mut objects = Vec::new();
        let whole = {
            let inner = self.inner.lock();
            for vma in inner.vmas.in_range(range.clone()) {
                if invalidate && vma.flags.contains(VmFlags::LOCKED) {
                    return Err(Errno::EBUSY);
                }
                if let Some(mapping) = vma.mapping.as_ref().filter(|_| wait && vma.is_shared()) {
                    let part = addr.max(vma.start)..end.min(vma.end);
                    let first = vma.page_index(part.start);
                    objects.push((mapping.object.clone(), first..first + ((part.end - part.start) >> PAGE_SHIFT)));
                }
            }
            inner.covers(range)
        };
        objects.into_iter().try_for_each(|(object, pages)| object.sync(pages))?;
        if whole { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// `mincore(2)` for `pages.len()` pages from `addr` on: 1 for each that is resident. Errors: ENOMEM at a hole.
    pub fn residency(&self, addr: u64, pages: &mut [u8]) -> Result<(), Errno> {
        let inner = self.inner.lock();
        let end = addr + ((pages.len() as u64) << PAGE_SHIFT);
        if !inner.covers(addr..end) {
            return Err(Errno::ENOMEM);
        }
        pages.fill(0);
        let index_of = |at: u64| ((at - addr) >> PAGE_SHIFT) as usize;
        for vma in inner.vmas.in_range(addr..end) {
            let Some(mapping) = &vma.mapping else { continue };
            let part = addr.max(vma.start)..end.min(vma.end);
            for at in part.step_by(PAGE_SIZE as usize) {
                pages[index_of(at)] = u8::from(mapping.object.is_resident(vma.page_index(at)));
            }
        }
        for (at, slot) in inner.table.slots(addr..end) {
            if !slot.get().is_empty() {
                pages[index_of(at)] = 1;
            }
        }
        Ok(())
    }
}

impl Inner {
    fn advise(&mut self, range: Range<u64>, advice: Advice, gather: &mut Gather<'_>) -> Result<(), Errno> {
        let mut cursor = range.start;
        let mut hole = false;
        while cursor < range.end {
            let Some(vma) = self.vmas.at_or_after(cursor).filter(|vma| vma.start < range.end) else {
                return Err(Errno::ENOMEM);
            };
            hole |= vma.start > cursor;
            let part = cursor.max(vma.start)..vma.end.min(range.end);
            cursor = part.end;
            let anonymous = vma.mapping.is_none() && !vma.flags.contains(VmFlags::SPECIAL);
            match advice {
                Advice::Flags { set, clear, private_anonymous } => {
                    if private_anonymous && !anonymous {
                        return Err(Errno::EINVAL);
                    }
                    if (vma.flags - clear) | set != vma.flags {
                        self.change_flags(part, set, clear)?;
                    }
                }
                _ if vma.flags.contains(VmFlags::SPECIAL) => return Err(Errno::EINVAL),
                Advice::DontNeed { even_locked: false } | Advice::Free if vma.flags.contains(VmFlags::LOCKED) => {
                    return Err(Errno::EINVAL);
                }
                Advice::DontNeed { .. } => self.zap(part, gather),
                Advice::Free if !anonymous => return Err(Errno::EINVAL),
                // Pages that may be lost any time are given up at once: no later pressure has to look for them.
                Advice::Free => self.zap(part, gather),
                Advice::Nothing | Advice::Populate { .. } | Advice::Remove => {}
            }
        }
        if hole { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    fn change_flags(&mut self, part: Range<u64>, set: VmFlags, clear: VmFlags) -> Result<(), Errno> {
        let whole = self.vmas.at(part.start).is_some_and(|vma| vma.range() == part);
        if !whole && self.vmas.len() >= MAX_MAP_COUNT.count() {
            return Err(Errno::ENOMEM);
        }
        let vmas = self.vmas_mut();
        vmas.split_at(part.start);
        vmas.split_at(part.end);
        vmas.modify(part.start, |vma| vma.flags = (vma.flags - clear) | set);
        vmas.merge_at(part.start);
        vmas.merge_at(part.end);
        Ok(())
    }
}
