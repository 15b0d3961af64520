//! `mlock(2)` and its relatives. Nothing is ever swapped out: what remains is to bring pages in, and to count.

use super::*;
use crate::mem::addr::{page_down, page_up};

impl AddressSpace {
    /// `mlock2(2)`: locks the pages that hold the range; `on_fault` (`MLOCK_ONFAULT`) does not bring them in. `may_lock` is
    /// `CAP_IPC_LOCK`. Errors: EPERM, EINVAL (wraps), ENOMEM (a hole, or over the limit), EAGAIN (no memory).
    pub fn lock(&self, addr: u64, len: u64, on_fault: bool, may_lock: bool) -> Result<(), Errno> {
        let Some(range) = covering_pages(addr, len)? else { return Ok(()) };
        let mut inner = self.inner.lock();
        if !may_lock && inner.limits.locked == 0 {
            return Err(Errno::EPERM);
        }
        let already = |vma: &Vma| vma.flags.contains(VmFlags::LOCKED);
        let inside = |vma: &Vma| (vma.end.min(range.end) - vma.start.max(range.start)) >> PAGE_SHIFT;
        let counted: u64 = inner.vmas.in_range(range.clone()).filter(|vma| already(vma)).map(inside).sum();
        let pages = (range.end - range.start) >> PAGE_SHIFT;
        if !may_lock && !inner.may_lock(pages - counted) {
            return Err(Errno::ENOMEM);
        }
        let flags = VmFlags::LOCKED | if on_fault { VmFlags::LOCK_ON_FAULT } else { VmFlags::empty() };
        inner.set_lock_flags(range.clone(), flags)?;
        drop(inner);
        if on_fault { Ok(()) } else { self.populate_locked(range) }
    }

    /// `munlock(2)`. Errors: EINVAL, ENOMEM (a hole).
    pub fn unlock(&self, addr: u64, len: u64) -> Result<(), Errno> {
        let Some(range) = covering_pages(addr, len)? else { return Ok(()) };
        self.inner.lock().set_lock_flags(range, VmFlags::empty())
    }

    /// `mlockall(2)`: locks what is mapped (`current`), what will be (`future`), or both. Errors: EPERM, ENOMEM (limit).
    pub fn lock_all(&self, current: bool, future: bool, on_fault: bool, may_lock: bool) -> Result<(), Errno> {
        let mut inner = self.inner.lock();
        if !may_lock && inner.limits.locked == 0 {
            return Err(Errno::EPERM);
        }
        if current && !may_lock && inner.counts.total_pages > inner.limits.locked >> PAGE_SHIFT {
            return Err(Errno::ENOMEM);
        }
        let flags = VmFlags::LOCKED | if on_fault { VmFlags::LOCK_ON_FAULT } else { VmFlags::empty() };
        inner.future_flags = if future { flags } else { VmFlags::empty() };
        if !current {
            return Ok(());
        }
        inner.set_lock_flags_of_all(flags);
        drop(inner);
        if !on_fault {
            self.populate_all();
        }
        Ok(())
    }

    /// `munlockall(2)`.
    pub fn unlock_all(&self) {
        let mut inner = self.inner.lock();
        inner.future_flags = VmFlags::empty();
        inner.set_lock_flags_of_all(VmFlags::empty());
    }

    /// Brings in what was locked; Linux reports a page that cannot be had as ENOMEM, lack of memory as EAGAIN.
    fn populate_locked(&self, range: Range<u64>) -> Result<(), Errno> {
        match self.populate(range) {
            Ok(()) | Err(FaultError::NotAllowed) => Ok(()),
            Err(FaultError::NoMemory) => Err(Errno::EAGAIN),
            Err(FaultError::NotMapped | FaultError::PastEnd) => Err(Errno::ENOMEM),
        }
    }

    fn populate_all(&self) {
        let mut cursor = 0;
        while let Some(range) = {
            let inner = self.inner.lock();
            inner.vmas.at_or_after(cursor).map(Vma::range)
        } {
            cursor = range.end;
            let _ = self.populate(range);
        }
    }
}

impl Inner {
    /// Gives all mappings in `range` exactly these of the flags `LOCKED` and `LOCK_ON_FAULT`. Errors: ENOMEM at a hole; what
    /// comes before it is changed, as on Linux.
    fn set_lock_flags(&mut self, range: Range<u64>, flags: VmFlags) -> Result<(), Errno> {
        let mut cursor = range.start;
        while cursor < range.end {
            let vma = self.vmas.at(cursor).ok_or(Errno::ENOMEM)?;
            let part = cursor..vma.end.min(range.end);
            if part != vma.range() && self.vmas.len() >= MAX_MAP_COUNT.count() {
                return Err(Errno::ENOMEM);
            }
            self.set_lock_flags_of_part(part.clone(), flags);
            cursor = part.end;
        }
        Ok(())
    }

    fn set_lock_flags_of_all(&mut self, flags: VmFlags) {
        let mut cursor = 0;
        while let Some(range) = self.vmas.at_or_after(cursor).map(Vma::range) {
            cursor = range.end;
            self.set_lock_flags_of_part(range, flags);
        }
    }

    fn set_lock_flags_of_part(&mut self, part: Range<u64>, flags: VmFlags) {
        let vmas = self.vmas_mut();
        vmas.split_at(part.start);
        vmas.split_at(part.end);
        let was_locked = vmas.modify(part.start, |vma| {
            let was_locked = vma.flags.contains(VmFlags::LOCKED);
            if !vma.flags.contains(VmFlags::SPECIAL) {
                vma.flags = (vma.flags - (VmFlags::LOCKED | VmFlags::LOCK_ON_FAULT)) | flags;
            }
            (was_locked, vma.flags.contains(VmFlags::LOCKED))
        });
        vmas.merge_at(part.start);
        vmas.merge_at(part.end);
        let pages = (part.end - part.start) >> PAGE_SHIFT;
        match was_locked {
            Some((false, true)) => self.counts.locked_pages += pages,
            Some((true, false)) => self.counts.locked_pages -= pages,
            _ => {}
        }
    }

    /// Unlocks `range`, which is mapped.
    pub(super) fn unlock(&mut self, range: Range<u64>) {
        // No hole, and splitting at most once more than allowed.
        let _ = self.set_lock_flags(range, VmFlags::empty());
    }
}

/// The pages that hold `len` bytes at `addr`; `None` for none. Errors: EINVAL if that wraps.
fn covering_pages(addr: u64, len: u64) -> Result<Option<Range<u64>>, Errno> {
    let start = page_down(addr);
    let len = page_up(len.checked_add(addr - start).ok_or(Errno::EINVAL)?).ok_or(Errno::EINVAL)?;
    let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
    Ok((end > start).then_some(start..end))
}
