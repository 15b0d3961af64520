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
        /// The memory it is for.
        only: Only,
    },
    /// `MADV_DONTNEED`: empties the pages now.
    DontNeed {
        /// `MADV_DONTNEED_LOCKED`: those of locked mappings too.
        even_locked: bool,
    },
    /// `MADV_FREE`: the contents may be lost.
    Free,
    /// `MADV_WILLNEED`: nothing to do where all is resident, but the range is checked.
    WillNeed,
    /// `MADV_COLD`, `MADV_PAGEOUT`: the same, and locked memory cannot be given up.
    Reclaim,
    /// `MADV_POPULATE_READ` and `MADV_POPULATE_WRITE`.
    Populate {
        /// As if written.
        write: bool,
    },
    /// `MADV_REMOVE`: frees the object's pages.
    Remove,
}

/// The memory that advice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// All; of another kind it is EINVAL.
    All,
    /// All but the kernel's own pages.
    Users,
    /// Private memory without an object.
    PrivateAnonymous,
    /// Private memory; other is passed over.
    Private,
}

impl AddressSpace {
    /// `madvise(2)`, in the order of Linux's `do_madvise`. A hole is reported after the rest of the range was advised.
    ///
    /// Errors: EINVAL (alignment, or a kind of memory the advice is not for), ENOMEM (a hole, no memory), EFAULT (cannot be
    /// populated), EACCES (cannot be removed), and the object's refusal.
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
            Advice::Populate { write } => self.advise_unlocked(addr..end, |part| self.populate_part(part, write)),
            Advice::Remove => self.advise_unlocked(addr..end, |part| self.remove_part(part)),
            _ => {
                let mut inner = self.inner.lock();
                let mut gather = Gather::new(self.cpus());
                inner.advise(addr..end, advice, &mut gather)
            }
        }
    }

    /// Advises about the part of each mapping in `range` without the lock held in between (`madvise_walk_vmas`).
    fn advise_unlocked(
        &self,
        range: Range<u64>,
        advise: impl Fn(Range<u64>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let mut cursor = range.start;
        let mut hole = false;
        while cursor < range.end {
            let next = self.inner.lock().vmas.at_or_after(cursor).map(Vma::range);
            let vma = next.filter(|vma| vma.start < range.end).ok_or(Errno::ENOMEM)?;
            hole |= vma.start > cursor;
            let part = cursor.max(vma.start)..vma.end.min(range.end);
            cursor = part.end;
            advise(part)?;
        }
        if hole { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    fn populate_part(&self, part: Range<u64>, write: bool) -> Result<(), Errno> {
        let (wanted, access) = if write { (Prot::WRITE, Access::Write) } else { (Prot::READ, Access::Read) };
        let forbids = |vma: &Vma| !vma.prot.contains(wanted) || vma.flags.contains(VmFlags::SPECIAL);
        if self.inner.lock().vmas.at(part.start).is_none_or(forbids) {
            return Err(Errno::EINVAL);
        }
        self.populate_as(part, access).map_err(|error| match error {
            FaultError::NotMapped | FaultError::NoMemory => Errno::ENOMEM,
            FaultError::NotAllowed => Errno::EINVAL,
            FaultError::PastEnd => Errno::EFAULT,
        })
    }

    /// `MADV_REMOVE`: of shared mappings that may be written (`vma_is_shared_maywrite`), whether they can be now or not.
    fn remove_part(&self, part: Range<u64>) -> Result<(), Errno> {
        let (object, pages) = {
            let inner = self.inner.lock();
            let vma = inner.vmas.at(part.start).ok_or(Errno::ENOMEM)?;
            let mapping = vma.mapping.as_ref().filter(|_| !vma.flags.contains(VmFlags::LOCKED)).ok_or(Errno::EINVAL)?;
            if !vma.is_shared() || vma.flags.contains(VmFlags::NEVER_WRITE) {
                return Err(Errno::EACCES);
            }
            let first = vma.page_index(part.start);
            (mapping.object.clone(), first..first + ((part.end - part.start) >> PAGE_SHIFT))
        };
        object.punch(pages)
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
            let is_special = vma.flags.contains(VmFlags::SPECIAL);
            let is_locked = vma.flags.contains(VmFlags::LOCKED);
            let anonymous = vma.mapping.is_none() && !is_special;
            match advice {
                Advice::Flags { set, clear, only } => {
                    let refuses = match only {
                        Only::All | Only::Private => false,
                        Only::Users => is_special,
                        Only::PrivateAnonymous => !anonymous,
                    };
                    if refuses {
                        return Err(Errno::EINVAL);
                    }
                    let passed_over = only == Only::Private && (vma.is_shared() || is_special);
                    if !passed_over && (vma.flags - clear) | set != vma.flags {
                        self.change_flags(part, set, clear)?;
                    }
                }
                Advice::WillNeed | Advice::Populate { .. } | Advice::Remove => {}
                _ if is_special => return Err(Errno::EINVAL),
                Advice::DontNeed { even_locked: false } | Advice::Free | Advice::Reclaim if is_locked => {
                    return Err(Errno::EINVAL);
                }
                Advice::Free if !anonymous => return Err(Errno::EINVAL),
                // Pages that may be lost any time are given up at once: no later pressure has to look for them.
                Advice::DontNeed { .. } | Advice::Free => self.zap(part, gather),
                Advice::Reclaim => {}
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
