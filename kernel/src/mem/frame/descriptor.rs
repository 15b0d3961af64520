//! The array of frame descriptors: 16 bytes for each frame, indexed by frame number.

use core::ops::Range;
use core::sync::atomic::AtomicU32;

use crate::arch;

/// No frame: the end of a list. Also why memory ends below 16 TiB.
pub(super) const NONE: u32 = u32::MAX;
/// `state`: not on a free list, either in use or not memory.
pub(super) const RESERVED: u32 = 0;
/// `state`: first frame of a free block; the order is in the low bits.
pub(super) const FREE: u32 = 0x100;
/// `state`: filled by the boot loader, and given to whoever asks by address.
pub(super) const PRELOADED: u32 = 0x200;

/// What the kernel keeps about a frame. All zero: not memory, or in use by nobody who counts.
#[repr(C, align(16))]
pub(super) struct Descriptor {
    /// References held by [`super::Frame`]s and page table entries.
    pub(super) refs: AtomicU32,
    /// [`FREE`] with an order, [`PRELOADED`] or [`RESERVED`]. Guarded by the allocator's lock.
    pub(super) state: AtomicU32,
    /// Neighbours on the free list. Guarded by the allocator's lock.
    pub(super) next: AtomicU32,
    pub(super) previous: AtomicU32,
}

pub(super) const DESCRIPTOR_BYTES: u64 = size_of::<Descriptor>() as u64;
const _: () = assert!(DESCRIPTOR_BYTES == 16);

/// The array. It lives in memory that was set aside at the start, and only initialised parts may be read.
#[derive(Clone, Copy)]
pub(super) struct Descriptors {
    /// A pointer into the direct map.
    base: *const Descriptor,
    count: u32,
}

// SAFETY: descriptors are made of atomics and live for ever.
unsafe impl Send for Descriptors {}
// SAFETY: as above.
unsafe impl Sync for Descriptors {}

impl Descriptors {
    pub(super) const fn empty() -> Self {
        Self { base: core::ptr::null(), count: 0 }
    }

    /// An array for `count` frames at physical address `phys`.
    ///
    /// # Safety
    /// The memory there is `count * DESCRIPTOR_BYTES` long, mapped, and used for nothing else, for ever.
    pub(super) unsafe fn new(phys: u64, count: u32) -> Self {
        Self { base: arch::phys_to_virt(phys).cast_const().cast(), count }
    }

    /// The first descriptor.
    pub(super) fn base(&self) -> *mut Descriptor {
        self.base.cast_mut()
    }

    /// Clears the descriptors of `frames`, as far as the array goes.
    pub(super) fn initialise(&self, frames: Range<u32>) {
        let end = frames.end.min(self.count);
        if frames.start < end {
            // SAFETY: inside the array, by `new`'s promise; zero is a valid descriptor. Callers (the allocator, under
            // its lock) initialise a descriptor before its frame is used.
            unsafe {
                self.base.cast_mut().add(frames.start as usize).write_bytes(0, (end - frames.start) as usize);
            }
        }
    }

    /// The descriptor of frame `number`.
    #[inline]
    pub(super) fn get(&self, number: u32) -> &'static Descriptor {
        assert!(number < self.count, "frame {number:#x} does not exist");
        // SAFETY: inside the array, by `new`'s promise; atomics may be shared.
        unsafe { &*self.base.add(number as usize) }
    }
}
