//! The user half of a page table: four levels, built on demand, freed when a hole covers them.
//!
//! A leaf entry ([`Entry`]) either is empty or holds a frame. A held frame is counted by the entry, unless it is
//! *special* (the shared zero page, the vDSO). A *hidden* entry holds its frame while the mapping allows no access.
//!
//! Changes are made under the address space's lock; the CPU walks the tables at any time, and sets accessed and dirty
//! bits, hence atomics. Forgetting old translations is the caller's duty (see [`super::gather`]).

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release};

use super::addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr};
use super::frame::{Frame, OutOfMemory, Purpose};
use super::vma::Prot;
use crate::arch;
use crate::arch::paging::*;

/// The frame is not counted by the entry.
const SPECIAL: u64 = PTE_SOFTWARE_0;
/// Not present for the CPU, but holds a frame.
const HIDDEN: u64 = PTE_SOFTWARE_1;
/// The frame is private to the address space (or shared after a fork), not an object's.
const ANONYMOUS: u64 = PTE_SOFTWARE_2;

/// Bytes a leaf table maps.
pub(super) const LEAF_TABLE_BYTES: u64 = PAGE_SIZE * TABLE_ENTRIES as u64;

/// The value of a leaf entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(u64);

impl Entry {
    pub(super) const EMPTY: Entry = Entry(0);

    /// An entry that counts `frame`, private to the address space and writable if `prot` says so.
    pub(super) fn anonymous(frame: Frame, prot: Prot) -> Entry {
        Entry(frame.into_raw().0 | ANONYMOUS | PTE_DIRTY).with_prot(prot, true)
    }

    /// An entry that counts `frame`, which belongs to an object.
    pub(super) fn of_object(frame: Frame, prot: Prot, may_write: bool) -> Entry {
        Entry(frame.into_raw().0).with_prot(prot, may_write)
    }

    /// An entry that does not count its frame, never writable.
    pub(super) fn special(frame: &Frame, prot: Prot) -> Entry {
        Entry(frame.phys().0 | SPECIAL).with_prot(prot, false)
    }

    /// The same frame under a mapping that allows `prot`; writes only if `may_write` too. No permission hides it, any
    /// implies reading: x86 has nothing else.
    pub(super) fn with_prot(self, prot: Prot, may_write: bool) -> Entry {
        let kept = self.0 & (PTE_ADDRESS | SPECIAL | ANONYMOUS | PTE_DIRTY);
        if prot.is_empty() {
            return Entry(kept | HIDDEN);
        }
        // Accessed, and dirty if writable, from the start: the CPU need not write them. What was dirty stays so.
        let mut bits = kept | PTE_PRESENT | PTE_USER | PTE_ACCESSED;
        if may_write && prot.contains(Prot::WRITE) {
            bits |= PTE_WRITABLE | PTE_DIRTY;
        }
        if !prot.contains(Prot::EXEC) {
            bits |= PTE_NO_EXECUTE;
        }
        Entry(bits)
    }

    /// Without the permission to write.
    pub(super) fn read_only(self) -> Entry {
        Entry(self.0 & !PTE_WRITABLE)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[cfg(test)]
    pub(super) fn is_present(self) -> bool {
        self.0 & PTE_PRESENT != 0
    }

    pub(super) fn is_writable(self) -> bool {
        self.0 & PTE_WRITABLE != 0
    }

    pub(super) fn is_special(self) -> bool {
        self.0 & SPECIAL != 0
    }

    pub(super) fn is_anonymous(self) -> bool {
        self.0 & ANONYMOUS != 0
    }

    /// Whether it has been written to through this entry, or is no object's page.
    pub(super) fn is_dirty(self) -> bool {
        self.0 & PTE_DIRTY != 0
    }

    pub(super) fn phys(self) -> PhysAddr {
        PhysAddr(self.0 & PTE_ADDRESS)
    }
}

/// One place for an [`Entry`] in a leaf table.
#[repr(transparent)]
pub(super) struct Slot(AtomicU64);

impl Slot {
    #[inline]
    pub(super) fn get(&self) -> Entry {
        Entry(self.0.load(Relaxed))
    }

    /// Replaces the entry. What the old one counted is leaked unless the caller takes it over.
    #[inline]
    pub(super) fn set(&self, entry: Entry) {
        // Release: a walk that sees the entry sees what the frame was filled with.
        self.0.store(entry.0, Release);
    }

    /// Empties the slot and gives the frame its entry counted, if it counted one.
    #[inline]
    pub(super) fn take(&self) -> Option<Frame> {
        // A load and a store, not a swap: entries have the accessed and dirty bits set that the CPU could set.
        let entry = self.get();
        self.0.store(0, Relaxed);
        // SAFETY: the entry counted the frame, and has just been taken out of the table.
        (!entry.is_empty() && !entry.is_special()).then(|| unsafe { Frame::from_raw(entry.phys()) })
    }

    /// Moves the entry, with the frame it counts, to the empty slot `to`.
    pub(super) fn move_to(&self, to: &Slot) {
        debug_assert!(to.get().is_empty());
        let entry = self.get();
        self.set(Entry::EMPTY);
        to.set(entry);
    }

    /// A further reference to the frame of a non-empty entry that counts it.
    #[inline]
    pub(super) fn share(&self) -> Frame {
        let entry = self.get();
        debug_assert!(!entry.is_empty() && !entry.is_special());
        // SAFETY: the entry's own count is left in place: the reference made of it is forgotten.
        let held = core::mem::ManuallyDrop::new(unsafe { Frame::from_raw(entry.phys()) });
        Frame::clone(&held)
    }

    /// Whether the entry's is the only reference to its frame.
    #[inline]
    pub(super) fn is_sole_owner(&self) -> bool {
        let entry = self.get();
        // SAFETY: as in `share`.
        !entry.is_special() && unsafe { core::mem::ManuallyDrop::new(Frame::from_raw(entry.phys())) }.is_unique()
    }

    /// How many page tables map the frame of a non-empty entry that counts it: all references, without an object's own.
    pub(super) fn mappers(&self) -> u64 {
        let references = u64::from(self.share().references()) - 1;
        if self.get().is_anonymous() { references } else { references.saturating_sub(1).max(1) }
    }
}

/// The slots in groups, each with the place of its first, but for those that are empty as a whole, which cost one look
/// for eight: most of what is unmapped was never touched.
#[inline]
pub(super) fn used_groups(slots: &[Slot]) -> impl Iterator<Item = (usize, &[Slot])> {
    let (groups, rest) = slots.as_chunks::<8>();
    let is_used = |group: &[Slot; 8]| group.iter().fold(0, |bits, slot| bits | slot.get().0) != 0;
    let used = groups.iter().enumerate().filter(move |(_, group)| is_used(group));
    used.map(|(number, group)| (number * group.len(), group.as_slice())).chain([(slots.len() - rest.len(), rest)])
}

/// The tables of an address space. Dropping one frees the tables; the owner has emptied the leaves before.
pub(super) struct PageTable {
    root: Frame,
    /// Tables besides the root.
    tables: usize,
}

impl PageTable {
    /// An empty user half below the kernel's upper half.
    pub(super) fn new() -> Result<Self, OutOfMemory> {
        let root = Frame::zeroed_for(Purpose::User)?;
        let kernel_root = arch::kernel_root();
        if kernel_root != 0 {
            let kernel_half = KERNEL_ROOT_ENTRY * 8;
            // SAFETY: both are root tables in the direct map; the kernel's upper half is complete since the boot and
            // its entries never change; the new table is nobody else's yet.
            unsafe {
                let from = arch::phys_to_virt(kernel_root).add(kernel_half);
                root.pointer().add(kernel_half).copy_from_nonoverlapping(from, PAGE_SIZE as usize - kernel_half);
            }
        }
        Ok(Self { root, tables: 0 })
    }

    /// The root table, as the CPU wants it.
    pub(super) fn root(&self) -> &Frame {
        &self.root
    }

    /// Bytes of tables.
    pub(super) fn table_bytes(&self) -> u64 {
        (self.tables as u64 + 1) * PAGE_SIZE
    }

    /// The slot of `addr`, if its leaf table exists.
    #[inline]
    pub(super) fn slot(&self, addr: u64) -> Option<&Slot> {
        self.leaf(addr).map(|leaf| &leaf[index(addr, 0)])
    }

    /// The slot of `addr`; missing tables are made.
    #[inline]
    pub(super) fn slot_or_new(&mut self, addr: u64) -> Result<&Slot, OutOfMemory> {
        Ok(&self.leaf_or_new(addr)?[index(addr, 0)])
    }

    /// The leaf table that maps `addr`, if it exists.
    #[inline]
    fn leaf(&self, addr: u64) -> Option<&[Slot; TABLE_ENTRIES]> {
        let mut table = self.root.phys();
        for level in [3, 2, 1] {
            table = next_table(&table_at(table)[index(addr, level)])?;
        }
        Some(leaf_at(table))
    }

    /// The leaf table that maps `addr`; missing tables are made.
    fn leaf_or_new(&mut self, addr: u64) -> Result<&[Slot; TABLE_ENTRIES], OutOfMemory> {
        let mut table = self.root.phys();
        for level in [3, 2, 1] {
            let entry = &table_at(table)[index(addr, level)];
            table = match next_table(entry) {
                Some(next) => next,
                None => {
                    let next = Frame::zeroed_for(Purpose::User)?.into_raw();
                    entry.store(next.0 | PTE_PRESENT | PTE_WRITABLE | PTE_USER | PTE_ACCESSED, Relaxed);
                    self.tables += 1;
                    next
                }
            };
        }
        Ok(leaf_at(table))
    }

    /// The leaf tables that exist in `range`, each with the address of its first slot given and only the slots inside.
    pub(super) fn leaves(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &[Slot])> {
        let mut cursor = range.start;
        core::iter::from_fn(move || {
            while cursor < range.end {
                let start = cursor;
                match self.leaf_or_hole(start) {
                    Ok(leaf) => {
                        cursor = ((start & !(LEAF_TABLE_BYTES - 1)) + LEAF_TABLE_BYTES).min(range.end);
                        let count = ((cursor - start) >> PAGE_SHIFT) as usize;
                        return Some((start, &leaf[index(start, 0)..][..count]));
                    }
                    Err(hole_end) => cursor = hole_end,
                }
            }
            None
        })
    }

    /// The slots in `range` that exist, with their addresses.
    pub(super) fn slots(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &Slot)> {
        self.leaves(range).flat_map(|(start, slots)| {
            slots.iter().enumerate().map(move |(index, slot)| (start + ((index as u64) << PAGE_SHIFT), slot))
        })
    }

    /// The slots of a range that lies in one leaf table; none if there is no such table.
    pub(super) fn slots_in_leaf(&self, range: Range<u64>) -> &[Slot] {
        let first = index(range.start, 0);
        let count = ((range.end - range.start) >> PAGE_SHIFT) as usize;
        self.leaf_or_hole(range.start).map_or(&[], |leaf| &leaf[first..first + count])
    }

    /// The leaf table of `addr`, or the end of the hole that `addr` lies in.
    fn leaf_or_hole(&self, addr: u64) -> Result<&[Slot; TABLE_ENTRIES], u64> {
        let mut table = self.root.phys();
        for level in [3, 2, 1] {
            let span = span_of(level);
            table = next_table(&table_at(table)[index(addr, level)]).ok_or((addr & !(span - 1)) + span)?;
        }
        Ok(leaf_at(table))
    }

    /// Shares what `range` of this table holds with the same range of `child`: each frame gets a further reference and,
    /// on both sides, becomes read only. Gives the number of anonymous and object frames shared and whether anything
    /// had been writable here.
    pub(super) fn share_with(&self, child: &mut PageTable, range: Range<u64>) -> Result<Shared, OutOfMemory> {
        let mut shared = Shared::default();
        for (start, slots) in self.leaves(range) {
            if slots.iter().all(|slot| slot.get().is_empty()) {
                continue;
            }
            let child_slots = &child.leaf_or_new(start)?[index(start, 0)..][..slots.len()];
            for (slot, child_slot) in slots.iter().zip(child_slots) {
                let entry = slot.get();
                if entry.is_empty() {
                    continue;
                }
                if !entry.is_special() {
                    slot.share().into_raw();
                    if entry.is_anonymous() { shared.anonymous += 1 } else { shared.of_objects += 1 }
                }
                if entry.is_writable() {
                    shared.was_writable = true;
                    slot.set(entry.read_only());
                }
                child_slot.set(entry.read_only());
            }
        }
        Ok(shared)
    }

    /// Frees the tables that map some of `range` and nothing but addresses in `hole`, in which no mapping is left and
    /// all slots are empty. `freed` gets each table: it must not be used anew before the CPUs have forgotten it.
    pub(super) fn free_tables(&mut self, range: Range<u64>, hole: Range<u64>, freed: &mut dyn FnMut(Frame)) {
        let root = self.root.phys();
        free_below(root, 3, 0, &range, &hole, &mut |frame| {
            self.tables -= 1;
            freed(frame);
        });
    }
}

/// What [`PageTable::share_with`] shared.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) anonymous: u64,
    pub(super) of_objects: u64,
    pub(super) was_writable: bool,
}

/// Frees the tables under `table` (of `level`, mapping from `base` on) that touch `range` and lie wholly in `hole`.
fn free_below(
    table: PhysAddr,
    level: u32,
    base: u64,
    range: &Range<u64>,
    hole: &Range<u64>,
    freed: &mut dyn FnMut(Frame),
) {
    let span = span_of(level);
    let first = range.start.saturating_sub(base) / span;
    let last = (range.end - 1 - base) / span;
    for index in first..=last.min(TABLE_ENTRIES as u64 - 1) {
        let start = base + index * span;
        let entry = &table_at(table)[index as usize];
        let Some(next) = next_table(entry) else { continue };
        if level > 1 {
            free_below(next, level - 1, start, range, hole, freed);
        }
        if hole.start <= start && start + span <= hole.end {
            entry.store(0, Relaxed);
            // SAFETY: the entry held the table's only reference, made in `leaf_or_new`.
            freed(unsafe { Frame::from_raw(next) });
        }
    }
}

impl Drop for PageTable {
    fn drop(&mut self) {
        if self.tables > 0 {
            self.free_tables(0..USER_TABLES_END, 0..USER_TABLES_END, &mut drop);
        }
        debug_assert_eq!(self.tables, 0);
    }
}

/// The end of what the lower half of the root table maps.
const USER_TABLES_END: u64 = 1 << 47;

/// The bytes an entry of a table of `level` maps.
const fn span_of(level: u32) -> u64 {
    1 << (PAGE_SHIFT + 9 * level)
}

#[inline]
fn index(addr: u64, level: u32) -> usize {
    (addr >> (PAGE_SHIFT + 9 * level)) as usize % TABLE_ENTRIES
}

#[inline]
fn next_table(entry: &AtomicU64) -> Option<PhysAddr> {
    let value = entry.load(Relaxed);
    (value & PTE_PRESENT != 0).then_some(PhysAddr(value & PTE_ADDRESS))
}

#[inline]
fn table_at<'a>(phys: PhysAddr) -> &'a [AtomicU64; TABLE_ENTRIES] {
    // SAFETY: `phys` comes from the root or an entry above: a table this page table owns and frees only through
    // `&mut self`. Its entries are only ever accessed atomically.
    unsafe { &*arch::phys_to_virt(phys.0).cast() }
}

#[inline]
fn leaf_at<'a>(phys: PhysAddr) -> &'a [Slot; TABLE_ENTRIES] {
    // SAFETY: as in `table_at`; `Slot` is a transparent wrapper.
    unsafe { &*arch::phys_to_virt(phys.0).cast() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame::zeroed().expect("the host has memory")
    }

    #[test]
    fn a_slot_counts_its_frame() {
        let mut table = PageTable::new().expect("memory");
        let original = frame();
        let slot = table.slot_or_new(0x1234_5000).expect("memory");
        slot.set(Entry::anonymous(original.clone(), Prot::READ | Prot::WRITE));
        assert!(!slot.is_sole_owner());
        assert_eq!(original.references(), 2);
        assert_eq!(table.slots(0..1 << 40).filter(|(_, slot)| !slot.get().is_empty()).count(), 1);
        assert_eq!(table.slot(0x1234_5000).and_then(Slot::take), Some(original));
        assert!(table.slot(0x1234_5000).is_some_and(|slot| slot.get().is_empty()));
    }

    #[test]
    fn tables_are_freed_when_a_hole_covers_them() {
        let mut table = PageTable::new().expect("memory");
        for addr in [0, LEAF_TABLE_BYTES, 3 * LEAF_TABLE_BYTES, 1 << 40] {
            table.slot_or_new(addr).expect("memory");
        }
        assert_eq!(table.tables, 3 + 1 + 1 + 3);
        table.free_tables(0..4096, 0..LEAF_TABLE_BYTES + 4096, &mut drop);
        assert_eq!(table.tables, 7, "the second leaf lies only partly in the hole");
        table.free_tables(LEAF_TABLE_BYTES..1 << 30, LEAF_TABLE_BYTES..1 << 30, &mut drop);
        assert_eq!(table.tables, 5);
        table.free_tables(0..1 << 39, 0..1 << 39, &mut drop);
        assert_eq!(table.tables, 3);
    }

    #[test]
    fn sharing_makes_both_sides_read_only() {
        let (mut parent, mut child) = (PageTable::new().expect("memory"), PageTable::new().expect("memory"));
        let original = frame();
        parent.slot_or_new(0x5000).expect("memory").set(Entry::anonymous(original.clone(), Prot::READ | Prot::WRITE));
        let shared = parent.share_with(&mut child, 0..0x10_0000).expect("memory");
        assert!(shared.was_writable && shared.anonymous == 1);
        assert_eq!(original.references(), 3);
        for table in [&parent, &child] {
            let slot = table.slot(0x5000).expect("mapped");
            assert!(slot.get().is_present() && !slot.get().is_writable());
            slot.take();
        }
        assert!(original.is_unique());
    }
}
