//! The buddy allocator: blocks of 2^order frames, under one lock.
//!
//! Free blocks are linked through the frames' descriptors, so that allocation and release take a constant number of
//! steps and touch no free memory. Descriptors are initialised in chunks of [`CHUNK_FRAMES`] as a frontier advances
//! through each region: a guest with much memory boots as fast as one with little. (Of the published allocators,
//! `buddy_system_allocator` keeps its frames in heap-allocated sets, and those with bitmaps clear them at the start;
//! as descriptors are needed anyway for reference counts, the lists cost nothing more.)

use core::ops::Range;
use core::sync::atomic::Ordering::Relaxed;

use super::descriptor::{Descriptors, FREE, NONE, RESERVED};

/// The largest block: 4 MiB.
pub(super) const MAX_ORDER: u32 = 10;
/// Frames brought in at a time.
pub(super) const CHUNK_FRAMES: u32 = 1 << MAX_ORDER;
/// Regions the allocator has room for; smaller ones beyond are left unused.
const MAX_REGIONS: usize = 32;

/// Usable memory, by frame number; `start` is the frontier: what lies below has been brought in.
pub(super) type Region = Range<u32>;

pub(super) struct Buddy {
    pub(super) descriptors: Descriptors,
    /// The first free block of each order, or [`NONE`].
    heads: [u32; MAX_ORDER as usize + 1],
    /// A bit for each order that has a free block.
    orders: u32,
    /// What lies beyond the frontiers.
    untouched: [Region; MAX_REGIONS],
    /// Free frames, those beyond the frontiers included.
    free: usize,
}

impl Buddy {
    pub(super) const fn empty() -> Self {
        Self {
            descriptors: Descriptors::empty(),
            heads: [NONE; MAX_ORDER as usize + 1],
            orders: 0,
            untouched: [const { 0..0 }; MAX_REGIONS],
            free: 0,
        }
    }

    /// Sets the memory to manage. Chunks at the ends of regions get their descriptors here, because two regions may
    /// share one and a buddy may lie outside; all others when the frontier comes to them.
    pub(super) fn start(&mut self, descriptors: Descriptors, regions: impl Iterator<Item = Region>) {
        self.descriptors = descriptors;
        for (slot, region) in self.untouched.iter_mut().zip(regions) {
            for edge in [region.start, region.end - 1] {
                let chunk = edge & !(CHUNK_FRAMES - 1);
                self.descriptors.initialise(chunk..chunk + CHUNK_FRAMES);
            }
            self.free += region.len();
            *slot = region;
        }
    }

    /// Free frames.
    pub(super) fn free_frames(&self) -> usize {
        self.free
    }

    /// Takes a block of 2^`order` frames.
    pub(super) fn allocate(&mut self, order: u32) -> Option<u32> {
        while self.orders >> order == 0 {
            self.advance_frontier()?;
        }
        let mut found = order + (self.orders >> order).trailing_zeros();
        let block = self.heads[found as usize];
        self.unlink(block, found);
        while found > order {
            found -= 1;
            self.link(block + (1 << found), found);
        }
        self.free -= 1 << order;
        Some(block)
    }

    /// Gives a block back.
    pub(super) fn release(&mut self, block: u32, order: u32) {
        self.free += 1 << order;
        self.insert(block, order);
    }

    /// Links a block, merged with its buddy as long as that is free.
    fn insert(&mut self, mut block: u32, mut order: u32) {
        while order < MAX_ORDER {
            let buddy = block ^ (1 << order);
            if self.descriptors.get(buddy).state.load(Relaxed) != FREE | order {
                break;
            }
            self.unlink(buddy, order);
            block &= buddy;
            order += 1;
        }
        self.link(block, order);
    }

    /// Brings in the next chunk of some region, or reports that all memory has been brought in.
    fn advance_frontier(&mut self) -> Option<()> {
        let region = self.untouched.iter_mut().find(|region| region.start < region.end)?;
        let first = region.start;
        let chunk_end = (first & !(CHUNK_FRAMES - 1)) + CHUNK_FRAMES;
        let end = chunk_end.min(region.end);
        region.start = end;
        self.descriptors.initialise(first..end);
        // The largest aligned blocks that fit, from the bottom up.
        let mut block = first;
        while block < end {
            let order = block.trailing_zeros().min((end - block).ilog2()).min(MAX_ORDER);
            self.insert(block, order);
            block += 1 << order;
        }
        Some(())
    }

    fn link(&mut self, block: u32, order: u32) {
        let next = core::mem::replace(&mut self.heads[order as usize], block);
        let descriptor = self.descriptors.get(block);
        descriptor.state.store(FREE | order, Relaxed);
        descriptor.next.store(next, Relaxed);
        descriptor.previous.store(NONE, Relaxed);
        if next != NONE {
            self.descriptors.get(next).previous.store(block, Relaxed);
        }
        self.orders |= 1 << order;
    }

    fn unlink(&mut self, block: u32, order: u32) {
        let descriptor = self.descriptors.get(block);
        descriptor.state.store(RESERVED, Relaxed);
        let (next, previous) = (descriptor.next.load(Relaxed), descriptor.previous.load(Relaxed));
        if next != NONE {
            self.descriptors.get(next).previous.store(previous, Relaxed);
        }
        if previous != NONE {
            self.descriptors.get(previous).next.store(next, Relaxed);
        } else {
            self.heads[order as usize] = next;
            if next == NONE {
                self.orders &= !(1 << order);
            }
        }
    }
}
