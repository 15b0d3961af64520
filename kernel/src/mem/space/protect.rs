//! Changing what mappings allow.

use super::*;
use crate::mem::addr::{is_page_aligned, page_up};

impl AddressSpace {
    /// `mprotect(2)`, in the order of Linux's `do_mprotect_pkey`.
    ///
    /// Errors: EINVAL (not aligned), ENOMEM (a hole, too many mappings, `RLIMIT_DATA`), EACCES (a mapping may never allow
    /// it). As on Linux, what comes before the offending mapping is changed.
    pub fn protect(&self, addr: u64, len: u64, prot: Prot) -> Result<(), Errno> {
        self.protect_from(addr, len, prot, false)
    }

    /// `mprotect(2)` with `PROT_GROWSDOWN`: the change begins where the stack that holds `addr` starts.
    /// Errors: as [`AddressSpace::protect`]; EINVAL if that is no stack.
    pub fn protect_stack(&self, addr: u64, len: u64, prot: Prot) -> Result<(), Errno> {
        self.protect_from(addr, len, prot, true)
    }

    fn protect_from(&self, addr: u64, len: u64, prot: Prot, from_stack_start: bool) -> Result<(), Errno> {
        if !is_page_aligned(addr) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let end = page_up(len).and_then(|len| addr.checked_add(len)).filter(|end| *end > addr).ok_or(Errno::ENOMEM)?;
        let mut inner = self.inner.lock();
        let mut gather = Gather::new(self.cpus());
        let first = inner.vmas.at_or_after(addr).ok_or(Errno::ENOMEM)?;
        let start = if from_stack_start {
            if first.start >= end || !first.flags.contains(VmFlags::GROWS_DOWN) {
                return Err(Errno::EINVAL);
            }
            first.start
        } else {
            addr
        };
        inner.protect_range(start..end, prot, &mut gather)
    }
}

impl Inner {
    fn protect_range(&mut self, range: Range<u64>, prot: Prot, gather: &mut Gather<'_>) -> Result<(), Errno> {
        let mut cursor = range.start;
        while cursor < range.end {
            let vma = self.vmas.at(cursor).ok_or(Errno::ENOMEM)?;
            let part = cursor..vma.end.min(range.end);
            if vma.prot != prot {
                let never = (prot.contains(Prot::WRITE) && vma.flags.contains(VmFlags::NEVER_WRITE))
                    || (prot.contains(Prot::EXEC) && vma.flags.contains(VmFlags::NEVER_EXEC))
                    || (prot.contains(Prot::WRITE) && vma.flags.contains(VmFlags::SPECIAL));
                if never {
                    return Err(Errno::EACCES);
                }
                self.check_change(vma, &part, prot)?;
                self.change(part.clone(), prot, gather);
            }
            cursor = part.end;
        }
        Ok(())
    }

    /// Holds a change against `RLIMIT_DATA`, the number of mappings and overcommitment (`mprotect_fixup`).
    fn check_change(&self, vma: &Vma, part: &Range<u64>, prot: Prot) -> Result<(), Errno> {
        let pages = (part.end - part.start) >> PAGE_SHIFT;
        let becomes_data = Vma { start: part.start, end: part.end, prot, flags: vma.flags, mapping: None }.is_data();
        if becomes_data && !vma.is_data() {
            let limit = self.limits.data >> PAGE_SHIFT;
            if self.counts.data_pages + pages > limit || overcommits(pages) {
                return Err(Errno::ENOMEM);
            }
        }
        if *part != vma.range() && self.vmas.len() >= MAX_MAP_COUNT.count() {
            return Err(Errno::ENOMEM);
        }
        frame::admit()
    }

    /// Changes `part`, which lies in one mapping, to `prot`.
    fn change(&mut self, part: Range<u64>, prot: Prot, gather: &mut Gather<'_>) {
        let vmas = self.vmas_mut();
        vmas.split_at(part.start);
        vmas.split_at(part.end);
        let Some(mut vma) = vmas.modify(part.start, |vma| {
            let old = Vma { mapping: None, ..*vma };
            vma.prot = prot;
            old
        }) else {
            return;
        };
        self.account(&vma, -1);
        let loses = !(vma.prot - prot).is_empty();
        vma.prot = prot;
        self.account(&vma, 1);
        for (addr, slot) in self.table.slots(part.clone()) {
            let entry = slot.get();
            if entry.is_empty() {
                continue;
            }
            // Writing stays for those who had it; others get it by a fault, which knows whether to copy.
            slot.set(entry.with_prot(prot, entry.is_writable()));
            if loses {
                gather.note(addr..addr + PAGE_SIZE);
            }
        }
        let vmas = self.vmas_mut();
        vmas.merge_at(part.start);
        vmas.merge_at(part.end);
    }
}
