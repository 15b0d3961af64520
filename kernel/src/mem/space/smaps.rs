//! The sums of `/proc/<pid>/smaps`: what the pages of a mapping are, and how many share them.

use core::ops::{AddAssign, Range};

use super::AddressSpace;
use crate::mem::addr::PAGE_SIZE;

/// Sums over the pages of a mapping (`struct mem_size_stats`), in bytes; a page's proportional share in
/// [`SHARE_SCALE`]ths of a byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SmapsTotals {
    /// Present.
    pub resident: u64,
    /// Present, each page divided by the page tables that map it, scaled.
    pub share: u64,
    /// The part of `share` that was written.
    pub dirty_share: u64,
    /// The part of `share` that is private to the space.
    pub anonymous_share: u64,
    /// Mapped by others too, and never written by this space.
    pub shared_clean: u64,
    /// Mapped by others too, and written.
    pub shared_dirty: u64,
    /// Mapped by nobody else, and never written by this space.
    pub private_clean: u64,
    /// Mapped by nobody else, and written.
    pub private_dirty: u64,
    /// No object's page.
    pub anonymous: u64,
}

/// What shares are scaled by, so that the division loses nothing that is seen.
pub const SHARE_SCALE: u64 = 1 << 12;

impl SmapsTotals {
    /// Counts a page in (`smaps_page_accumulate`).
    fn count(&mut self, mappers: u64, is_dirty: bool, is_anonymous: bool) {
        let share = PAGE_SIZE * SHARE_SCALE / mappers;
        self.resident += PAGE_SIZE;
        self.share += share;
        if is_dirty {
            self.dirty_share += share;
        }
        if is_anonymous {
            self.anonymous += PAGE_SIZE;
            self.anonymous_share += share;
        }
        *match (mappers > 1, is_dirty) {
            (true, false) => &mut self.shared_clean,
            (true, true) => &mut self.shared_dirty,
            (false, false) => &mut self.private_clean,
            (false, true) => &mut self.private_dirty,
        } += PAGE_SIZE;
    }
}

impl AddAssign for SmapsTotals {
    fn add_assign(&mut self, other: Self) {
        self.resident += other.resident;
        self.share += other.share;
        self.dirty_share += other.dirty_share;
        self.anonymous_share += other.anonymous_share;
        self.shared_clean += other.shared_clean;
        self.shared_dirty += other.shared_dirty;
        self.private_clean += other.private_clean;
        self.private_dirty += other.private_dirty;
        self.anonymous += other.anonymous;
    }
}

impl AddressSpace {
    /// The sums of the mappings in `range`. The shared page of zeros counts as nothing, as on Linux.
    ///
    /// Deviates: of an object's page only this space's own writes are known, not those by write(2) or by others.
    pub fn smaps(&self, range: Range<u64>) -> SmapsTotals {
        let inner = self.inner.lock();
        let mut totals = SmapsTotals::default();
        for (_, slot) in inner.table.slots(range) {
            let entry = slot.get();
            if !entry.is_empty() && !entry.is_special() {
                totals.count(slot.mappers().max(1), entry.is_dirty(), entry.is_anonymous());
            }
        }
        totals
    }
}
