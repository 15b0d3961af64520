//! [`AddressSpace`]: the memory of a process.
//!
//! - `map`: new mappings, unmapping, brk. `protect`, `remap`, `advise`, `lock`: the other calls on mappings.
//! - `fault`: bringing pages in. `fork`: the copy for a child. `remote`: access from outside. `report`,
//!   `smaps`: /proc.
//!
//! One lock (rank `AddressSpace`) guards all of a space. Under it, objects are asked for pages (their locks rank higher)
//! and frames are allocated; user memory is never touched, and nothing that may free an object is dropped: removed
//! mappings are handed out of the locked section first (`Removed`).

mod advise;
mod fault;
mod fork;
mod lock;
mod map;
#[cfg(test)]
mod model;
mod protect;
mod remap;
mod remote;
mod report;
mod smaps;
#[cfg(test)]
mod tests;

use alloc::sync::{Arc, Weak};
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use abi::Errno;

use super::addr::{MMAP_MIN_ADDR, PAGE_SHIFT, PAGE_SIZE, USER_END};
use super::backing::BackingAt;
use super::frame;
use super::gather::Gather;
use super::loaded::Loaded;
use super::page_table::{PageTable, used_groups};
use super::tree::VmaTree;
use super::vma::{Prot, VmFlags, Vma};
use crate::arch::{self, PageFaultError};
use crate::sync::{Rank, Setting, SpinLock};
pub use advise::{Advice, Only};
pub use remap::RemapRequest;
pub use remote::WordKey;
pub use report::{MapsLine, SpaceCounts};
pub use smaps::{SHARE_SCALE, SmapsTotals};

/// What an access wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Read,
    /// To write.
    Write,
    /// To fetch an instruction.
    Exec,
}

impl Access {
    /// What the access that faulted wanted.
    pub fn of_fault(error: PageFaultError) -> Self {
        if error.contains(PageFaultError::WRITE) {
            Access::Write
        } else if error.contains(PageFaultError::FETCH) {
            Access::Exec
        } else {
            Access::Read
        }
    }
}

/// Why a fault could not be mended, as the signal it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// Nothing is mapped there: SIGSEGV, `SEGV_MAPERR`.
    NotMapped,
    /// The mapping does not allow it: SIGSEGV, `SEGV_ACCERR`.
    NotAllowed,
    /// Past the end of the mapped object: SIGBUS, `BUS_ADRERR`.
    PastEnd,
    /// No memory: call `mem::oom::kill`, then try again.
    NoMemory,
}

/// Where a new mapping goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// The given address if it is free, anywhere else otherwise. 0: anywhere.
    #[default]
    Hint,
    /// The same, in the second GiB (`MAP_32BIT`).
    Low,
    /// Exactly there; what was there is unmapped.
    Fixed,
    /// Exactly there, or EEXIST.
    FixedNoReplace,
}

/// A request for a new mapping, as `mmap(2)` or the ELF loader makes it.
#[derive(Clone, Default)]
pub struct MapRequest {
    /// Where (see `placement`). Page aligned if fixed.
    pub addr: u64,
    /// Bytes; rounded up to whole pages.
    pub len: u64,
    /// What it allows.
    pub prot: Prot,
    /// How binding `addr` is.
    pub placement: Placement,
    /// The object mapped; `None` for anonymous memory (shared anonymous memory gets an object made for it).
    pub backing: Option<BackingAt>,
    /// `SHARED`, `GROWS_DOWN`, `LOCKED`, `NO_RESERVE`, `NEVER_WRITE`, `NEVER_EXEC`, `SPECIAL`.
    pub flags: VmFlags,
    /// `MAP_POPULATE`.
    pub populate: bool,
    /// `CAP_IPC_LOCK`.
    pub may_lock: bool,
}

/// Limits that bind an address space, in bytes (`u64::MAX`: none). Kept in the space: exec and `prlimit` set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceLimits {
    /// `RLIMIT_AS`.
    pub address_space: u64,
    /// `RLIMIT_DATA`.
    pub data: u64,
    /// `RLIMIT_STACK`.
    pub stack: u64,
    /// `RLIMIT_MEMLOCK`; `u64::MAX` with `CAP_IPC_LOCK`.
    pub locked: u64,
}

impl Default for SpaceLimits {
    /// Linux's defaults for the first process.
    fn default() -> Self {
        Self { address_space: u64::MAX, data: u64::MAX, stack: 8 << 20, locked: 8 << 20 }
    }
}

/// Where a program's parts lie (`struct mm_struct`), for `/proc/<pid>/stat` and `prctl(PR_SET_MM)`; 0 if unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramLayout {
    /// The text segment.
    pub code: (u64, u64),
    /// The data segment.
    pub data: (u64, u64),
    /// Where the stack pointer started.
    pub stack_start: u64,
    /// The argument strings.
    pub arguments: (u64, u64),
    /// The environment strings.
    pub environment: (u64, u64),
    /// The vDSO's first address.
    pub vdso: u64,
}

/// How many mappings a space may have (`vm.max_map_count`).
pub static MAX_MAP_COUNT: Setting = Setting::new(65530, 0..=i32::MAX as i64);

/// `vm.overcommit_memory`: 0 refuses what could never fit, 1 nothing.
pub static OVERCOMMIT: Setting = Setting::new(0, 0..=1);

/// Whether so many new pages are refused because they could never all be had.
fn overcommits(pages: u64) -> bool {
    OVERCOMMIT.get() == 0 && pages > frame::total() as u64
}

/// The memory of a process. Held by the processes that run in it; the last to let go frees the memory.
pub struct AddressSpace {
    id: u64,
    me: Weak<AddressSpace>,
    loaded: Arc<Loaded>,
    /// The barriers of `membarrier(2)` it asked for, as bits of their commands.
    barriers: AtomicU32,
    inner: SpinLock<Inner>,
}

/// What the lock guards.
struct Inner {
    vmas: VmaTree,
    table: PageTable,
    /// The mapping of the last anonymous fault, to find it again without a search. Cleared by `vmas_mut`.
    hot: Hot,
    counts: SpaceCounts,
    limits: SpaceLimits,
    /// What `mlockall(MCL_FUTURE)` adds to new mappings.
    future_flags: VmFlags,
    brk: Range<u64>,
    /// New mappings go below.
    mmap_base: u64,
    layout: ProgramLayout,
}

/// A private anonymous mapping that was found before.
#[derive(Clone, Copy)]
struct Hot {
    start: u64,
    end: u64,
    prot: Prot,
}

const COLD: Hot = Hot { start: 0, end: 0, prot: Prot::empty() };

/// Mappings taken out of a space, to be dropped after its lock is released.
#[must_use = "to be dropped after the lock"]
struct Removed(#[expect(dead_code, reason = "held to be dropped")] VmaTree);

impl AddressSpace {
    /// An empty address space. Errors: ENOMEM.
    pub fn new() -> Result<Arc<Self>, Errno> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        frame::admit()?;
        let table = PageTable::new()?;
        let inner = Inner {
            vmas: VmaTree::new(),
            hot: COLD,
            counts: SpaceCounts::default(),
            limits: SpaceLimits::default(),
            future_flags: VmFlags::empty(),
            brk: 0..0,
            mmap_base: USER_END - (128 << 20),
            layout: ProgramLayout::default(),
            table,
        };
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new_cyclic(|me| Self {
            id,
            me: me.clone(),
            loaded: Loaded::new(inner.table.root().clone(), me.clone()),
            barriers: AtomicU32::new(0),
            inner: SpinLock::new(Rank::AddressSpace, inner),
        }))
    }

    /// A number no other address space ever has: the identity of private futexes.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Makes this the current address space of this CPU, if it is not already.
    #[inline]
    pub fn activate(&self) {
        self.loaded.load();
    }

    /// Whether this is the current address space of this CPU.
    pub fn is_current(&self) -> bool {
        self.cpus().load(Ordering::Relaxed) & (1 << arch::cpu_index()) != 0
    }

    /// The CPUs that have it loaded, a bit each (for `membarrier(2)`).
    pub fn active_cpus(&self) -> u64 {
        self.cpus().load(Ordering::SeqCst)
    }

    /// Notes that the program wants a barrier (`MEMBARRIER_CMD_REGISTER_…`).
    pub fn register_barrier(&self, command: u32) {
        self.barriers.fetch_or(command, Ordering::Relaxed);
    }

    /// Whether the program asked for a barrier.
    pub fn has_registered_barrier(&self, command: u32) -> bool {
        self.barriers.load(Ordering::Relaxed) & command != 0
    }

    /// Has every CPU that runs in this space pass a full memory barrier, and its instruction stream synchronised:
    /// answering the interrupt does both.
    pub fn barrier(&self) {
        fence(Ordering::SeqCst);
        arch::flush_tlb(self.active_cpus() & !(1 << arch::cpu_index()), 0..PAGE_SIZE);
        fence(Ordering::SeqCst);
    }

    /// Replaces the limits.
    pub fn set_limits(&self, limits: SpaceLimits) {
        self.inner.lock().limits = limits;
    }

    /// The limits.
    pub fn limits(&self) -> SpaceLimits {
        self.inner.lock().limits
    }

    /// Sets below which address new mappings go (exec).
    pub fn set_mmap_base(&self, base: u64) {
        self.inner.lock().mmap_base = base;
    }

    /// Where the program's parts lie.
    pub fn layout(&self) -> ProgramLayout {
        self.inner.lock().layout
    }

    /// Notes where the program's parts lie.
    pub fn set_layout(&self, layout: ProgramLayout) {
        self.inner.lock().layout = layout;
    }

    fn cpus(&self) -> &AtomicU64 {
        &self.loaded.cpus
    }
}

/// Has every CPU that has a user's address space loaded pass a full memory barrier.
pub fn barrier_everywhere() {
    fence(Ordering::SeqCst);
    arch::flush_tlb(super::loaded::cpus_with_users() & !(1 << arch::cpu_index()), 0..PAGE_SIZE);
    fence(Ordering::SeqCst);
}

impl Inner {
    /// The mappings, to change them.
    fn vmas_mut(&mut self) -> &mut VmaTree {
        self.hot = COLD;
        &mut self.vmas
    }

    /// Whether `pages` more pages of such a mapping keep to `RLIMIT_AS` and `RLIMIT_DATA` (`may_expand_vm`).
    fn may_expand(&self, pages: u64, is_data: bool) -> bool {
        let within = |used: u64, limit: u64| used + pages <= limit >> PAGE_SHIFT;
        within(self.counts.total_pages, self.limits.address_space)
            && (!is_data || within(self.counts.data_pages, self.limits.data))
    }

    /// Whether `pages` more locked pages keep to `RLIMIT_MEMLOCK`.
    fn may_lock(&self, pages: u64) -> bool {
        self.counts.locked_pages + pages <= self.limits.locked >> PAGE_SHIFT
    }

    /// Counts a mapping in (`sign` 1) or out (-1).
    fn account(&mut self, vma: &Vma, sign: i64) {
        let pages = sign * vma.pages() as i64;
        let counts = &mut self.counts;
        let add = |count: &mut u64| *count = count.wrapping_add_signed(pages);
        add(&mut counts.total_pages);
        if vma.is_data() {
            add(&mut counts.data_pages);
        }
        if vma.flags.contains(VmFlags::GROWS_DOWN) {
            add(&mut counts.stack_pages);
        } else if vma.prot.contains(Prot::EXEC) && !vma.prot.contains(Prot::WRITE) {
            add(&mut counts.exec_pages);
        }
        if vma.flags.contains(VmFlags::LOCKED) {
            add(&mut counts.locked_pages);
        }
        counts.peak_total_pages = counts.peak_total_pages.max(counts.total_pages);
    }

    /// Whether all of `range` is mapped without a hole.
    fn covers(&self, range: Range<u64>) -> bool {
        let mut cursor = range.start;
        for vma in self.vmas.in_range(range.clone()) {
            if vma.start > cursor {
                return false;
            }
            cursor = vma.end;
        }
        cursor >= range.end
    }

    /// Takes all mappings out of `range`, empties its pages and frees its tables.
    fn remove(&mut self, range: Range<u64>, gather: &mut Gather<'_>) -> Removed {
        let nothing = Removed(VmaTree::new());
        let first = match self.vmas.at_or_after(range.start) {
            Some(vma) if vma.start < range.end => vma,
            _ => return nothing,
        };
        let (touches_start, touches_end) = (first.start == range.start, first.end == range.end);
        let is_part = first.start <= range.start && range.end <= first.end && touches_start != touches_end;
        if is_part && first.mapping.is_none() {
            // An end of anonymous memory, as when a map is undone that was merged: no node comes or goes.
            let piece = Vma { start: range.start, end: range.end, mapping: None, ..*first };
            self.vmas_mut().modify(range.start, |vma| match touches_start {
                true => vma.start = range.end,
                false => vma.end = range.start,
            });
            self.account(&piece, -1);
            self.zap(piece.range(), gather);
            self.free_tables(piece.range(), None, gather);
            return nothing;
        }
        let is_one = touches_start && touches_end;
        let vmas = self.vmas_mut();
        let removed = if is_one {
            vmas.take_one(range.start)
        } else {
            vmas.split_at(range.start);
            vmas.split_at(range.end);
            vmas.take_range(range)
        };
        for vma in removed.iter() {
            self.account(vma, -1);
            self.zap(vma.range(), gather);
        }
        // All pages are gone first: mappings may share a table, which goes with the last of them.
        let mut rest = removed.iter().peekable();
        while let Some(vma) = rest.next() {
            self.free_tables(vma.range(), rest.peek().map(|next| next.start), gather);
        }
        drop(rest);
        Removed(removed)
    }

    /// Frees the tables of `range`, part of a hole now, that map nothing else; those that reach to `limit`, if given,
    /// are left for a later call.
    fn free_tables(&mut self, range: Range<u64>, limit: Option<u64>, gather: &mut Gather<'_>) {
        let below = self.vmas.before(range.start).map_or(0, |vma| vma.end);
        let next = || self.vmas.at_or_after(range.end).map_or(1 << 47, |vma| vma.start);
        let above = limit.unwrap_or_else(next);
        let first = range.start;
        self.table.free_tables(range, below..above, &mut |table| gather.push(first, table));
    }

    /// Empties the pages of `range`; the mappings stay.
    fn zap(&mut self, range: Range<u64>, gather: &mut Gather<'_>) {
        for (start, slots) in self.table.leaves(range) {
            for (first, group) in used_groups(slots) {
                for (index, slot) in group.iter().enumerate() {
                    let entry = slot.get();
                    if entry.is_empty() {
                        continue;
                    }
                    let addr = start + (((first + index) as u64) << PAGE_SHIFT);
                    match slot.take() {
                        Some(frame) => {
                            self.counts.resident(entry.is_anonymous(), -1);
                            gather.push(addr, frame);
                        }
                        None => gather.note(addr..addr + PAGE_SIZE),
                    }
                }
            }
        }
    }

    /// Finds a place for `len` bytes: at `hint` if that is given and free, else the highest below `mmap_base`, else the
    /// lowest above a third of the user half (`arch_get_unmapped_area_topdown`).
    fn find_free(&self, hint: u64, len: u64) -> Result<u64, Errno> {
        if len > USER_END - MMAP_MIN_ADDR {
            return Err(Errno::ENOMEM);
        }
        if hint >= MMAP_MIN_ADDR && hint <= USER_END - len && self.is_free(hint..hint + len) {
            return Ok(hint);
        }
        let below = self.vmas.highest_gap(len, MMAP_MIN_ADDR..self.mmap_base);
        let found = below.or_else(|| self.vmas.lowest_gap(len, super::addr::page_down(USER_END / 3)..USER_END));
        found.ok_or(Errno::ENOMEM)
    }

    /// The same below 2 GiB (`MAP_32BIT`: `find_start_end`).
    fn find_low(&self, hint: u64, len: u64) -> Result<u64, Errno> {
        const LOW: Range<u64> = 0x4000_0000..0x8000_0000;
        let fits = hint >= MMAP_MIN_ADDR && hint.checked_add(len).is_some_and(|end| end <= LOW.end);
        if fits && self.is_free(hint..hint + len) {
            return Ok(hint);
        }
        self.vmas.lowest_gap(len, LOW).ok_or(Errno::ENOMEM)
    }

    /// Whether nothing is mapped in `range` and no stack's guard gap reaches into it.
    fn is_free(&self, range: Range<u64>) -> bool {
        self.vmas.at_or_after(range.start).is_none_or(|vma| range.end <= vma.start_with_gap())
    }
}

impl Drop for AddressSpace {
    /// Frees all memory, in bulk. CPUs that still have the root loaded forget the translations first and keep an empty
    /// root.
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        let mut gather = Gather::new(&self.loaded.cpus);
        drop(inner.remove(0..USER_END, &mut gather));
    }
}
