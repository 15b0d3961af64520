//! [`Memory`]: how the driver crate gets memory that devices can reach.
//!
//! All memory is in the direct map, one piece of the heap is one piece of physical memory, and there is no IOMMU, so a
//! buffer is shared by telling its physical address.

use core::ptr::NonNull;

use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

use crate::arch;
use crate::mem::{self, Block};

/// The machine's memory.
pub struct Memory;

// SAFETY: `dma_alloc` gives whole zeroed blocks of frames that nobody else has; the other three only translate addresses
// within the direct map.
unsafe impl Hal for Memory {
    /// Address 0 says that there is no memory, as the crate has it.
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let bytes = pages * PAGE_SIZE;
        let block = Block::of_bytes(bytes as u64).ok();
        let start = block.as_ref().and_then(|block| NonNull::new(block.pointer()));
        let (Some(block), Some(start)) = (block, start) else { return (0, NonNull::dangling()) };
        // SAFETY: the block has at least that many bytes and is ours alone.
        unsafe { start.write_bytes(0, bytes) };
        let physical = block.phys().0;
        // Given back by `dma_dealloc`.
        core::mem::forget(block);
        (physical, start)
    }

    unsafe fn dma_dealloc(physical: PhysAddr, _start: NonNull<u8>, pages: usize) -> i32 {
        let order = Block::order_of((pages * PAGE_SIZE) as u64);
        // SAFETY: by the caller's promise `dma_alloc` made and forgot the block.
        drop(unsafe { Block::from_raw(mem::PhysAddr(physical), order) });
        0
    }

    unsafe fn mmio_phys_to_virt(physical: PhysAddr, _bytes: usize) -> NonNull<u8> {
        NonNull::new(arch::phys_to_virt(physical)).expect("the direct map is not at zero")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        arch::virt_to_phys(buffer.cast::<u8>().as_ptr())
    }

    unsafe fn unshare(_physical: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}
