//! Page frames: who has which, and how many are left.
//!
//! - [`Frame`]: a counted reference to a frame. Its count lives in the frame's descriptor, so page table entries,
//!   page caches and copy-on-write share frames by type, and the last reference frees the frame.
//! - [`buddy`]: blocks of 2^n frames, under the lock of rank `Frames`. [`Block`] owns one.
//! - Each CPU keeps a few single frames of its own (`CACHES`), refilled and emptied in batches.
//!
//! A user never gets a frame with old contents: [`Frame::zeroed`] clears it, and the uncleared kind is for those who
//! overwrite it whole. Users leave a reserve to the kernel (see [`Purpose`]).

mod buddy;
mod descriptor;
#[cfg(test)]
mod tests;

use core::num::NonZeroU32;
use core::ops::Range;
use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, fence};

use super::UserBuffers;
use super::addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr};
use crate::arch::{self, MAX_CPUS};
use crate::sync::{PerCpu, Rank, SpinLock};
use buddy::{Buddy, CHUNK_FRAMES};
use descriptor::{DESCRIPTOR_BYTES, Descriptor, Descriptors, PRELOADED};

/// There is no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl From<OutOfMemory> for abi::Errno {
    fn from(_: OutOfMemory) -> Self {
        abi::Errno::ENOMEM
    }
}

/// What a frame is for, which decides how much must stay free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// User data and page caches: refused when only the reserve is left.
    User,
    /// Page tables, heap, stacks: may use the reserve, so that what has begun can be finished.
    Kernel,
}

/// A piece of the boot loader's memory map, by physical address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryRegion {
    /// Where.
    pub range: Range<u64>,
    /// `true`: free to use. `false`: filled by the boot loader with what users may map (the initramfs).
    pub usable: bool,
}

/// Single frames a CPU keeps.
const CACHE_FRAMES: usize = 128;
/// Frames moved between a CPU's cache and the allocator at a time.
const BATCH_FRAMES: usize = 64;

struct Cache {
    len: usize,
    frames: [u32; CACHE_FRAMES],
}

static BUDDY: SpinLock<Buddy> = SpinLock::new(Rank::Frames, Buddy::empty());
static CACHES: PerCpu<Cache> = PerCpu::new([const { Cache { len: 0, frames: [0; CACHE_FRAMES] } }; MAX_CPUS]);
/// How many frames each CPU's cache holds, for the statistics.
static CACHED: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];
/// The descriptor array, for those who hold no lock.
static DESCRIPTORS: AtomicPtr<Descriptor> = AtomicPtr::new(ptr::null_mut());
static DESCRIPTOR_COUNT: AtomicU32 = AtomicU32::new(0);
/// Frames there are, used or free.
static TOTAL: AtomicUsize = AtomicUsize::new(0);
/// Frames only the kernel may use.
static RESERVE: AtomicUsize = AtomicUsize::new(0);

/// Takes the machine's memory into use. Called once, by the boot CPU. Nothing proportional to its size is touched.
pub fn init(regions: &[MemoryRegion]) {
    let frames = |range: &Range<u64>| {
        // Frame 0 stays unused: it is no `NonZeroU32`.
        let start = range.start.div_ceil(PAGE_SIZE).max(1);
        let end = (range.end / PAGE_SIZE).min(u64::from(u32::MAX - CHUNK_FRAMES));
        start as u32..end.max(start) as u32
    };
    let highest = regions.iter().map(|region| frames(&region.range).end).max().unwrap_or(0);
    let count = highest.next_multiple_of(CHUNK_FRAMES);
    let array_frames = (u64::from(count) * DESCRIPTOR_BYTES).div_ceil(PAGE_SIZE) as u32;
    let usable = || regions.iter().filter(|region| region.usable).map(|region| frames(&region.range));
    let home = usable().max_by_key(ExactSizeIterator::len).filter(|home| home.len() > array_frames as usize);
    let home = home.expect("some region has room for the frame descriptors");

    // SAFETY: the start of `home` is usable memory, mapped, and left out of what the allocator is given.
    let descriptors = unsafe { Descriptors::new(u64::from(home.start) << PAGE_SHIFT, count) };
    let rest = usable().map(|mut region| {
        if region == home {
            region.start += array_frames;
        }
        region
    });
    let mut buddy = BUDDY.lock();
    buddy.start(descriptors, rest.filter(|region| region.start < region.end));
    TOTAL.store(buddy.free_frames(), Relaxed);
    RESERVE.store((buddy.free_frames() / 64).clamp(256, 4096), Relaxed);
    DESCRIPTOR_COUNT.store(count, Relaxed);
    DESCRIPTORS.store(descriptors.base(), Release);
    for region in regions.iter().filter(|region| !region.usable) {
        let range = region.range.start / PAGE_SIZE..region.range.end.div_ceil(PAGE_SIZE);
        for number in range.start.max(1)..range.end.min(u64::from(count)) {
            let descriptor = descriptors.get(number as u32);
            descriptor.refs.store(1, Relaxed);
            descriptor.state.store(PRELOADED, Relaxed);
        }
    }
}

/// Gives the memory of a preloaded range to the allocator, as far as nobody else holds a reference to it.
pub fn release_preloaded(range: Range<u64>) {
    for number in range.start.div_ceil(PAGE_SIZE)..range.end / PAGE_SIZE {
        if let Some(frame) = Frame::preloaded(PhysAddr(number << PAGE_SHIFT)) {
            frame.descriptor().state.store(descriptor::RESERVED, Relaxed);
            TOTAL.fetch_add(1, Relaxed);
            // Besides the reference just taken, the one that stood for the boot loader.
            // SAFETY: that one belonged to the range, which the caller gives up.
            drop(unsafe { Frame::from_raw(frame.phys()) });
        }
    }
}

/// Frames: all there are, and the free ones.
pub fn statistics() -> (usize, usize) {
    let cached: usize = CACHED.iter().map(|count| count.load(Relaxed) as usize).sum();
    (TOTAL.load(Relaxed), BUDDY.lock().free_frames() + cached)
}

/// Frames there are, used or free.
pub fn total() -> usize {
    #[cfg(not(target_os = "none"))]
    drop(lock_started());
    TOTAL.load(Relaxed)
}

/// Free frames that users never get.
pub fn reserve() -> usize {
    RESERVE.load(Relaxed)
}

/// The frame of zeros that all reads of untouched anonymous memory share. Never written.
#[inline]
pub fn zero_page() -> &'static Frame {
    static ZERO_PAGE: spin::Once<Frame> = spin::Once::new();
    ZERO_PAGE.call_once(|| Frame::zeroed_for(Purpose::Kernel).unwrap_or_else(|_| panic!("no memory for one page")))
}

/// A reference to the frame of a special page table entry: one the kernel keeps for ever.
pub(super) fn frame_of_special(phys: PhysAddr) -> Frame {
    // SAFETY: such entries are made from a `&Frame` that lives for ever (the zero page, the vDSO); its own reference is
    // left in place.
    Frame::clone(&core::mem::ManuallyDrop::new(unsafe { Frame::from_raw(phys) }))
}

/// Refuses when memory is so low that nothing more should be begun on behalf of a user. What calls that make the
/// kernel's own data grow (a fork, a mapping, an open file) ask before they start, so that their small allocations,
/// which cannot report failure, find the reserve. Errors: ENOMEM.
pub fn admit() -> Result<(), abi::Errno> {
    if LOW.load(Relaxed) { Err(abi::Errno::ENOMEM) } else { Ok(()) }
}

/// Whether less than half of the reserve was left when the allocator was last asked.
static LOW: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);

fn note_level(free: usize) {
    let low = free < RESERVE.load(Relaxed) / 2;
    if low != LOW.load(Relaxed) {
        LOW.store(low, Relaxed);
    }
}

/// A counted reference to a page frame. Clones share it; the last to be dropped frees it.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame(NonZeroU32);

impl Frame {
    /// A new frame full of zeros, for user data or a page cache.
    #[inline]
    pub fn zeroed() -> Result<Frame, OutOfMemory> {
        Self::zeroed_for(Purpose::User)
    }

    /// A new frame full of zeros.
    #[inline]
    pub fn zeroed_for(purpose: Purpose) -> Result<Frame, OutOfMemory> {
        let frame = Self::uncleared(purpose)?;
        // SAFETY: the frame is new: nobody else has it.
        unsafe { arch::zero_page(frame.pointer()) };
        Ok(frame)
    }

    /// A new copy of `original`, for the one who writes to a shared page.
    pub fn copy_of(original: &Frame) -> Result<Frame, OutOfMemory> {
        let frame = Self::uncleared(Purpose::User)?;
        // SAFETY: the new frame is nobody else's; the original may be written meanwhile by users, who then race with
        // themselves.
        unsafe { arch::copy_page(frame.pointer(), original.pointer()) };
        Ok(frame)
    }

    /// A new frame with whatever it last held: the caller overwrites all of it before anyone else sees it.
    #[inline]
    fn uncleared(purpose: Purpose) -> Result<Frame, OutOfMemory> {
        let number = CACHES.with(|cache| cache.take(purpose))?;
        let frame = Frame(number);
        frame.descriptor().refs.store(1, Relaxed);
        Ok(frame)
    }

    /// A frame of memory the boot loader filled (the initramfs), shared in place. `None` if `addr` is no such memory.
    pub fn preloaded(addr: PhysAddr) -> Option<Frame> {
        let number = u32::try_from(addr.0 >> PAGE_SHIFT).ok().and_then(NonZeroU32::new)?;
        if number.get() >= DESCRIPTOR_COUNT.load(Relaxed) {
            return None;
        }
        let descriptor = descriptor_of(number);
        (descriptor.state.load(Relaxed) == PRELOADED).then(|| {
            descriptor.refs.fetch_add(1, Relaxed);
            Frame(number)
        })
    }

    /// Its physical address.
    #[inline]
    pub fn phys(&self) -> PhysAddr {
        PhysAddr(u64::from(self.0.get()) << PAGE_SHIFT)
    }

    /// Whether this is the only reference. Once true it stays true until the holder makes another.
    #[inline]
    pub fn is_unique(&self) -> bool {
        self.descriptor().refs.load(Acquire) == 1
    }

    /// How many references there are.
    pub fn references(&self) -> u32 {
        self.descriptor().refs.load(Relaxed)
    }

    /// Turns the reference into a bare address, for a page table entry.
    #[inline]
    pub fn into_raw(self) -> PhysAddr {
        let phys = self.phys();
        core::mem::forget(self);
        phys
    }

    /// The reference a page table entry held.
    ///
    /// # Safety
    /// `phys` came from [`Frame::into_raw`], and the reference it stands for is given up by whoever kept it.
    #[inline]
    pub unsafe fn from_raw(phys: PhysAddr) -> Frame {
        let number = NonZeroU32::new((phys.0 >> PAGE_SHIFT) as u32);
        Frame(number.expect("frame 0 is never handed out"))
    }

    /// Copies out of the frame. Panics if the range leaves it.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        let from = self.stretch(offset, into.len());
        // SAFETY: `stretch` checked the range. Users may write it meanwhile: then the bytes are any of theirs.
        unsafe { ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
    }

    /// Copies into the frame. Panics if the range leaves it.
    pub fn write(&self, offset: usize, from: &[u8]) {
        let into = self.stretch(offset, from.len());
        // SAFETY: `stretch` checked the range; kernel memory never overlaps a user's or page cache's frame.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), into, from.len()) };
    }

    /// Stores a word at once, for readers that run meanwhile. Panics if `offset` is not aligned or outside.
    pub fn store_u64(&self, offset: usize, value: u64) {
        assert!(offset.is_multiple_of(8));
        let word = self.stretch(offset, 8).cast::<u64>();
        // SAFETY: `stretch` checked the range; the word is aligned, and whoever else reaches it does so atomically or is
        // a user.
        unsafe { core::sync::atomic::AtomicU64::from_ptr(word) }.store(value, Release);
    }

    /// Fills `len` bytes from `offset` on with zeros. Panics if the range leaves the frame.
    pub fn clear(&self, offset: usize, len: usize) {
        // SAFETY: `stretch` checked the range.
        unsafe { self.stretch(offset, len).write_bytes(0, len) };
    }

    /// Copies `len` bytes from `offset` on to the user; gives the bytes copied. Panics if the range leaves the frame.
    pub fn copy_to_user(&self, offset: usize, len: usize, to: &mut UserBuffers) -> usize {
        // SAFETY: `stretch` checked the range; the slice is only read by the user copy, byte for byte, so a
        // concurrent writer can at worst mix old and new bytes.
        to.write(unsafe { core::slice::from_raw_parts(self.stretch(offset, len), len) })
    }

    /// Copies up to `len` bytes from the user to `offset`; gives the bytes copied. Panics if the range leaves the frame.
    pub fn copy_from_user(&self, offset: usize, len: usize, from: &mut UserBuffers) -> usize {
        // SAFETY: as above, for writing.
        from.read(unsafe { core::slice::from_raw_parts_mut(self.stretch(offset, len), len) })
    }

    /// A pointer to the frame in the direct map.
    #[inline]
    pub(super) fn pointer(&self) -> *mut u8 {
        arch::phys_to_virt(self.phys().0)
    }

    fn stretch(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(offset <= PAGE_SIZE as usize && len <= PAGE_SIZE as usize - offset, "range leaves the frame");
        self.pointer().wrapping_add(offset)
    }

    #[inline]
    fn descriptor(&self) -> &'static Descriptor {
        descriptor_of(self.0)
    }
}

impl Clone for Frame {
    #[inline]
    fn clone(&self) -> Self {
        let before = self.descriptor().refs.fetch_add(1, Relaxed);
        // A frame is referenced from page tables mostly: 2^32 of them would take 32 GiB of tables.
        assert!(before < u32::MAX / 2, "reference count of {self:?} overflows");
        Frame(self.0)
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        let refs = &self.descriptor().refs;
        // The sole holder need not count down atomically: nobody else can be counting.
        if refs.load(Acquire) != 1 {
            if refs.fetch_sub(1, Release) != 1 {
                return;
            }
            fence(Acquire);
        } else {
            refs.store(0, Relaxed);
        }
        CACHES.with(|cache| cache.put(self.0));
    }
}

#[inline]
fn descriptor_of(number: NonZeroU32) -> &'static Descriptor {
    debug_assert!(number.get() < DESCRIPTOR_COUNT.load(Relaxed), "frame {number:#x} does not exist");
    // SAFETY: frame numbers in circulation are below the array's length; the array lives for ever. `Acquire` pairs
    // with `init`, and costs nothing on x86.
    unsafe { &*DESCRIPTORS.load(Acquire).add(number.get() as usize) }
}

impl Cache {
    #[inline]
    fn take(&mut self, purpose: Purpose) -> Result<NonZeroU32, OutOfMemory> {
        if self.len == 0 {
            self.refill(purpose)?;
        }
        self.len -= 1;
        self.note_len();
        NonZeroU32::new(self.frames[self.len]).ok_or(OutOfMemory)
    }

    #[inline]
    fn put(&mut self, frame: NonZeroU32) {
        if self.len == CACHE_FRAMES {
            self.empty();
        }
        self.frames[self.len] = frame.get();
        self.len += 1;
        self.note_len();
    }

    #[inline]
    fn note_len(&self) {
        CACHED[arch::cpu_index()].store(self.len as u32, Relaxed);
    }

    #[cold]
    fn refill(&mut self, purpose: Purpose) -> Result<(), OutOfMemory> {
        let mut buddy = lock_started();
        let reserve = if purpose == Purpose::User { RESERVE.load(Relaxed) } else { 0 };
        let spare = buddy.free_frames().saturating_sub(reserve);
        while self.len < spare.min(BATCH_FRAMES) {
            let Some(frame) = buddy.allocate(0) else { break };
            self.frames[self.len] = frame;
            self.len += 1;
        }
        note_level(buddy.free_frames());
        if self.len == 0 { Err(OutOfMemory) } else { Ok(()) }
    }

    /// Gives the older half back: the younger is warm.
    #[cold]
    fn empty(&mut self) {
        let mut buddy = BUDDY.lock();
        for frame in &self.frames[..BATCH_FRAMES] {
            buddy.release(*frame, 0);
        }
        note_level(buddy.free_frames());
        self.frames.copy_within(BATCH_FRAMES.., 0);
        self.len -= BATCH_FRAMES;
    }
}

/// A block of 2^order frames, contiguous and aligned to its size, with old contents. For the kernel's own use.
#[derive(Debug)]
pub struct Block {
    first: u32,
    order: u32,
}

impl Block {
    /// The largest order: 4 MiB.
    pub const MAX_ORDER: u32 = buddy::MAX_ORDER;

    /// A block of 2^`order` frames.
    pub fn new(order: u32) -> Result<Block, OutOfMemory> {
        if order > Self::MAX_ORDER {
            return Err(OutOfMemory);
        }
        let mut buddy = lock_started();
        let first = buddy.allocate(order);
        note_level(buddy.free_frames());
        first.map(|first| Block { first, order }).ok_or(OutOfMemory)
    }

    /// The smallest block of at least `len` bytes.
    pub fn of_bytes(len: u64) -> Result<Block, OutOfMemory> {
        Self::new(Self::order_of(len))
    }

    /// The order of the smallest block of at least `len` bytes.
    pub fn order_of(len: u64) -> u32 {
        len.div_ceil(PAGE_SIZE).max(1).checked_next_power_of_two().map_or(u32::MAX, u64::ilog2)
    }

    /// Its first address.
    pub fn phys(&self) -> PhysAddr {
        PhysAddr(u64::from(self.first) << PAGE_SHIFT)
    }

    /// Its size.
    pub fn len_bytes(&self) -> u64 {
        PAGE_SIZE << self.order
    }

    /// A pointer to it in the direct map.
    pub fn pointer(&self) -> *mut u8 {
        arch::phys_to_virt(self.phys().0)
    }

    /// The block that starts at `phys`, from its parts.
    ///
    /// # Safety
    /// A block of that order was taken apart by `mem::forget`, and nobody uses it any more.
    pub unsafe fn from_raw(phys: PhysAddr, order: u32) -> Block {
        Block { first: (phys.0 >> PAGE_SHIFT) as u32, order }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut buddy = BUDDY.lock();
        buddy.release(self.first, self.order);
        note_level(buddy.free_frames());
    }
}

/// The allocator, which on the host starts itself with the host's memory.
fn lock_started() -> crate::sync::SpinGuard<'static, Buddy> {
    #[cfg(not(target_os = "none"))]
    {
        static STARTED: std::sync::Once = std::sync::Once::new();
        STARTED.call_once(|| init(&[MemoryRegion { range: arch::host_memory(), usable: true }]));
    }
    BUDDY.lock()
}
