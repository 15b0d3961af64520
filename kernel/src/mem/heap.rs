//! The kernel heap: the global allocator of the machine (on the host the standard library's is used).
//!
//! Three sizes of request, three ways:
//! - up to [`SMALL_MAX`] bytes: from this CPU's magazine of that size class, without a lock;
//! - up to [`MEDIUM_MAX`]: from `talc`, under the lock of rank `Heap`; magazines are filled and emptied there too;
//! - beyond: a [`Block`] of frames of its own, given back whole.
//!
//! `talc` grows by blocks of frames in the direct map. The heap may use the frames users may not, so small requests
//! fail only after [`super::frame::admit`] has long refused what would cause them.

use core::alloc::{GlobalAlloc, Layout};
use core::mem::forget;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};

use talc::DefaultBinning;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

use super::addr::PhysAddr;
use super::frame::Block;
use crate::arch::{self, MAX_CPUS};
use crate::sync::{PerCpu, Rank, SpinLock};

/// The largest request served from magazines.
const SMALL_MAX: usize = 2048;
/// The largest request served by `talc`.
const MEDIUM_MAX: usize = 32 << 10;
/// How much `talc` grows by, if there is that much.
const GROWTH_BYTES: u64 = 256 << 10;
/// The alignment of all size classes.
const SMALL_ALIGN: usize = 16;

/// Object sizes of the magazines. The last class is for what must be aligned to [`ALIGNED`] bytes: the vector registers of
/// a thread.
#[rustfmt::skip]
const CLASSES: [u16; 26] = [
    16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256, 320, 384, 448, 512, 640, 720, 768, 1024, 1280, 1536,
    2048, ALIGNED_BYTES,
];

/// The class of larger alignment, and its objects: XSAVE areas with the registers of AVX.
const ALIGNED_CLASS: usize = CLASSES.len() - 1;
const ALIGNED: usize = 64;
const ALIGNED_BYTES: u16 = 832;

/// The class of each size, in units of 16 bytes rounded up.
const CLASS_OF: [u8; SMALL_MAX / SMALL_ALIGN + 1] = {
    let mut table = [0; SMALL_MAX / SMALL_ALIGN + 1];
    let mut class = 0;
    let mut units = 0;
    while units < table.len() {
        if units * SMALL_ALIGN > CLASSES[class] as usize {
            class += 1;
        }
        table[units] = class as u8;
        units += 1;
    }
    table
};

/// Free objects of one class, linked through their first words.
#[derive(Clone, Copy)]
struct Magazine {
    head: *mut FreeObject,
    len: usize,
}

struct FreeObject {
    next: *mut FreeObject,
}

type Magazines = [Magazine; CLASSES.len()];

struct CpuMagazines(Magazines);

// SAFETY: free objects belong to the magazine, whichever CPU's it is.
unsafe impl Send for CpuMagazines {}

/// Frames for `talc`.
#[derive(Debug)]
struct Frames;

// SAFETY: `acquire` takes frames only, never the heap.
unsafe impl Source for Frames {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let least = layout.size() as u64 + layout.align() as u64 + 4096;
        let block = Block::of_bytes(GROWTH_BYTES).or_else(|_| Block::of_bytes(least)).map_err(|_| ())?;
        // SAFETY: the block is given to `talc` for good.
        unsafe { talc.claim(block.pointer(), block.len_bytes() as usize) }.ok_or(())?;
        HELD_BYTES.fetch_add(block.len_bytes() as i64, Relaxed);
        forget(block);
        Ok(())
    }
}

/// Bytes of frames the heap holds.
static HELD_BYTES: AtomicI64 = AtomicI64::new(0);
/// Objects of each class out of `talc`, those in magazines included. Changed with `talc` locked.
static OBJECTS: [AtomicUsize; CLASSES.len()] = [const { AtomicUsize::new(0) }; CLASSES.len()];
/// Bytes allocated less bytes released, by the CPU that did it.
static USED_BYTES: [AtomicI64; MAX_CPUS] = [const { AtomicI64::new(0) }; MAX_CPUS];

/// The heap: bytes handed out, and bytes of frames held for them.
pub fn statistics() -> (i64, i64) {
    (USED_BYTES.iter().map(|bytes| bytes.load(Relaxed)).sum(), HELD_BYTES.load(Relaxed))
}

/// The size classes of small objects and how many objects of each there are, those kept ready included.
pub fn classes() -> impl Iterator<Item = (usize, u64)> {
    let count = |class: usize| OBJECTS[class].load(Relaxed) as u64;
    CLASSES.iter().enumerate().map(move |(class, size)| (usize::from(*size), count(class)))
}

/// The allocator.
pub struct Heap {
    magazines: PerCpu<CpuMagazines>,
    talc: SpinLock<Talc<Frames, DefaultBinning>>,
}

#[cfg(target_os = "none")]
#[global_allocator]
static HEAP: Heap = Heap::new();

impl Heap {
    /// A heap without memory; it takes some when asked.
    pub const fn new() -> Self {
        const EMPTY: Magazine = Magazine { head: null_mut(), len: 0 };
        Self {
            magazines: PerCpu::new([const { CpuMagazines([EMPTY; CLASSES.len()]) }; MAX_CPUS]),
            talc: SpinLock::new(Rank::Heap, Talc::new(Frames)),
        }
    }

    fn refill(&self, magazine: &mut Magazine, class: usize) {
        let layout = class_layout(class);
        let before = magazine.len;
        let mut talc = self.talc.lock();
        for _ in 0..batch(class) {
            // SAFETY: the layout is not empty.
            let Some(object) = (unsafe { talc.allocate(layout) }) else { break };
            magazine.push(object.as_ptr());
        }
        OBJECTS[class].fetch_add(magazine.len - before, Relaxed);
    }

    fn empty(&self, magazine: &mut Magazine, class: usize) {
        let layout = class_layout(class);
        let before = magazine.len;
        let mut talc = self.talc.lock();
        for _ in 0..batch(class) {
            let Some(object) = magazine.pop() else { break };
            // SAFETY: `refill` allocated it with this layout, from this `talc`.
            unsafe { talc.deallocate(object.as_ptr(), layout) };
        }
        OBJECTS[class].fetch_sub(before - magazine.len, Relaxed);
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: the three ways hand out disjoint memory of at least the layout's size and alignment, and the layout decides
// the way, so release goes back the way allocation came.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let object = match way(layout) {
            Way::Magazine(class) => self.magazines.with(|CpuMagazines(magazines)| {
                let magazine = &mut magazines[class];
                if magazine.head.is_null() {
                    self.refill(magazine, class);
                }
                magazine.pop()
            }),
            // SAFETY: `GlobalAlloc`'s caller promises a layout that is not empty.
            Way::Talc => unsafe { self.talc.lock().allocate(layout) },
            Way::Block => Block::of_bytes(layout.size().max(layout.align()) as u64).ok().and_then(|block| {
                let pointer = NonNull::new(block.pointer());
                forget(block);
                pointer
            }),
        };
        let Some(object) = object else { return null_mut() };
        account(layout.size() as i64);
        object.as_ptr()
    }

    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        account(-(layout.size() as i64));
        match way(layout) {
            Way::Magazine(class) => self.magazines.with(|CpuMagazines(magazines)| {
                let magazine = &mut magazines[class];
                magazine.push(object);
                if magazine.len > 4 * batch(class) {
                    self.empty(magazine, class);
                }
            }),
            // SAFETY: allocated that way with this layout, by the caller's promise.
            Way::Talc => unsafe { self.talc.lock().deallocate(object, layout) },
            // SAFETY: `alloc` took apart a block of that size, and the caller gives it up.
            Way::Block => drop(unsafe {
                let order = Block::order_of(layout.size().max(layout.align()) as u64);
                Block::from_raw(PhysAddr(arch::virt_to_phys(object)), order)
            }),
        }
    }
}

enum Way {
    Magazine(usize),
    Talc,
    Block,
}

#[inline]
fn way(layout: Layout) -> Way {
    if layout.size() <= SMALL_MAX && layout.align() <= SMALL_ALIGN {
        Way::Magazine(CLASS_OF[layout.size().div_ceil(SMALL_ALIGN)] as usize)
    } else if layout.align() == ALIGNED && (513..=ALIGNED_BYTES as usize).contains(&layout.size()) {
        Way::Magazine(ALIGNED_CLASS)
    } else if layout.size() <= MEDIUM_MAX && layout.align() <= MEDIUM_MAX {
        Way::Talc
    } else {
        Way::Block
    }
}

fn class_layout(class: usize) -> Layout {
    let align = if class == ALIGNED_CLASS { ALIGNED } else { SMALL_ALIGN };
    Layout::from_size_align(CLASSES[class] as usize, align).expect("classes are small")
}

/// Objects moved between a magazine and `talc` at a time.
fn batch(class: usize) -> usize {
    (4096 / CLASSES[class] as usize).clamp(4, 32)
}

#[inline]
fn account(bytes: i64) {
    let used = &USED_BYTES[arch::cpu_index()];
    used.store(used.load(Relaxed) + bytes, Relaxed);
}

impl Magazine {
    #[inline]
    fn push(&mut self, object: *mut u8) {
        let object = object.cast::<FreeObject>();
        // SAFETY: a free object of at least 16 bytes, aligned to 16, that belongs to the magazine from here on.
        unsafe { object.write(FreeObject { next: self.head }) };
        self.head = object;
        self.len += 1;
    }

    #[inline]
    fn pop(&mut self) -> Option<NonNull<u8>> {
        let object = NonNull::new(self.head)?;
        // SAFETY: the magazine's free objects were written by `push`.
        self.head = unsafe { object.read().next };
        self.len -= 1;
        Some(object.cast())
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn random_requests_get_disjoint_aligned_memory() {
        static HEAP: Heap = Heap::new();
        let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut state = 88_172_645_463_325_252_u64;
        for round in 0..50_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if state % 2 == 0 || held.is_empty() {
                let size = 1 + (state >> 8) as usize % (1 << (4 + (state >> 40) % 14));
                let layout = Layout::from_size_align(size, 1 << ((state >> 50) % 13)).expect("small");
                // SAFETY: the layout is not empty.
                let object = unsafe { HEAP.alloc(layout) };
                assert!(!object.is_null() && object.addr() % layout.align() == 0);
                // SAFETY: it is ours.
                unsafe { object.write_bytes(round as u8, size) };
                held.push((object, layout, round as u8));
            } else {
                let (object, layout, fill) = held.swap_remove((state >> 20) as usize % held.len());
                // SAFETY: it is ours until the release.
                unsafe {
                    assert!(core::slice::from_raw_parts(object, layout.size()).iter().all(|byte| *byte == fill));
                    HEAP.dealloc(object, layout);
                }
            }
        }
        for (object, layout, _) in held {
            // SAFETY: it is ours.
            unsafe { HEAP.dealloc(object, layout) };
        }
        assert_eq!(statistics().0, 0);
    }

    #[test]
    fn each_class_holds_the_sizes_that_lead_to_it() {
        for size in 0..=SMALL_MAX {
            let class = CLASS_OF[size.div_ceil(SMALL_ALIGN)] as usize;
            assert!(CLASSES[class] as usize >= size);
            assert!(class == 0 || (CLASSES[class - 1] as usize) < size);
        }
    }
}
