//! The copy of an address space for `fork(2)`.

use super::*;

impl AddressSpace {
    /// A copy for a child: private pages are shared copy-on-write, shared mappings are shared, and what the parent
    /// marked is left out or emptied (`dup_mmap`). Pages of objects are left for the child's faults to find, unless the
    /// mapping has private copies among them. Errors: ENOMEM.
    pub fn fork(&self) -> Result<Arc<Self>, Errno> {
        let child = Self::new()?;
        // A new space is locked second; nobody else knows it.
        let mut inner = self.inner.lock();
        let mut gather = Gather::new(self.cpus());
        let mut child_inner = child.inner.lock_nested();
        child_inner.limits = inner.limits;
        child_inner.brk = inner.brk.clone();
        child_inner.mmap_base = inner.mmap_base;
        child_inner.layout = inner.layout;
        let result = inner.copy_to(&mut child_inner, &child.me, &mut gather);
        drop(child_inner);
        drop(gather);
        drop(inner);
        result.map(|()| child)
    }
}

impl Inner {
    fn copy_to(&mut self, child: &mut Inner, me: &Weak<AddressSpace>, gather: &mut Gather<'_>) -> Result<(), Errno> {
        for vma in self.vmas.iter().filter(|vma| !vma.flags.contains(VmFlags::DONT_FORK)) {
            let copy = vma.for_child(me)?;
            let has_pages = vma.flags.contains(VmFlags::HAS_PRIVATE_PAGES) && !vma.is_shared();
            child.account(&copy, 1);
            child.vmas.insert(copy);
            if self.counts.locked_pages > 0 {
                // Locks are not inherited: what they kept apart may be one mapping in the child.
                child.vmas.merge_at(vma.start);
            }
            if !has_pages || vma.flags.contains(VmFlags::WIPE_ON_FORK) {
                continue;
            }
            let shared = self.table.share_with(&mut child.table, vma.range())?;
            child.counts.resident(true, shared.anonymous as i64);
            child.counts.resident(false, shared.of_objects as i64);
            if shared.was_writable {
                gather.note(vma.range());
            }
        }
        Ok(())
    }
}
