//! [`Gather`]: frames that left a page table, held until every CPU has forgotten the way to them.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst, fence};

use arrayvec::ArrayVec;

use super::addr::PAGE_SIZE;
use super::frame::Frame;
use crate::arch;

/// Frames held before the CPUs are asked to forget them.
const BATCH_FRAMES: usize = 128;

/// Frames on their way out, and the addresses whose translations must be forgotten first. Dropping it does that, then
/// frees the frames. It is dropped (so declared after it) before the space's lock is released: once that is free,
/// another thread may map something else at these addresses, and a CPU that remembered would write to the old frame. One request to the other CPUs serves up to [`BATCH_FRAMES`] frames.
pub(super) struct Gather<'a> {
    /// The CPUs that have the address space loaded.
    cpus: &'a AtomicU64,
    stale: Range<u64>,
    frames: ArrayVec<Frame, BATCH_FRAMES>,
}

impl<'a> Gather<'a> {
    pub(super) fn new(cpus: &'a AtomicU64) -> Self {
        Self { cpus, stale: u64::MAX..0, frames: ArrayVec::new() }
    }

    /// Notes that translations of `range` may be remembered.
    #[inline]
    pub(super) fn note(&mut self, range: Range<u64>) {
        self.stale.start = self.stale.start.min(range.start);
        self.stale.end = self.stale.end.max(range.end);
    }

    /// Takes a frame that was mapped at `addr`.
    #[inline]
    pub(super) fn push(&mut self, addr: u64, frame: Frame) {
        self.note(addr..addr + PAGE_SIZE);
        self.frames.push(frame);
        if self.frames.is_full() {
            self.finish();
        }
    }

    /// Has all CPUs forget, then frees.
    pub(super) fn finish(&mut self) {
        if self.stale.start < self.stale.end {
            // The changes to the tables come before the look at who has them loaded: see `Loaded::load`.
            fence(SeqCst);
            let cpus = self.cpus.load(SeqCst);
            if cpus != 0 {
                arch::flush_tlb(cpus, self.stale.clone());
            }
            self.stale = u64::MAX..0;
        }
        self.frames.clear();
    }
}

impl Drop for Gather<'_> {
    fn drop(&mut self) {
        self.finish();
    }
}
