//! Memory: frames, heap, address spaces, user access.
//!
//! - [`addr`]: addresses and page arithmetic.
//! - [`frame`]: page frames, [`Frame`] being a counted reference to one.
//! - [`heap`]: the kernel's heap.
//! - [`space`]: [`AddressSpace`], the memory of a process: mappings, faults, fork.
//! - [`backing`]: [`Backing`], what stands behind file and shared mappings; [`rmap`] finds its mappers.
//!   [`shared`] is memory without a file behind it.
//! - [`aslr`]: where an address space's parts are placed. [`oom`]: what happens when memory runs out.
//! - [`user`]: typed claims on user memory ([`UserIn`], [`UserOut`], [`UserStr`], [`UserSlice`], [`UserBuffers`],
//!   [`UserWord`]) and the copies behind them.

pub mod addr;
pub mod aslr;
pub mod backing;
pub mod fixed;
#[expect(unsafe_code, reason = "descriptors and frames are reached by address")]
pub mod frame;
mod gather;
#[expect(unsafe_code, reason = "an allocator")]
pub mod heap;
#[expect(unsafe_code, reason = "the root register")]
mod loaded;
pub mod oom;
#[expect(unsafe_code, reason = "tables are reached by address, and entries count frames")]
mod page_table;
pub mod rmap;
pub mod shared;
pub mod space;
mod tree;
pub mod user;
pub mod vma;

pub use addr::{MMAP_MIN_ADDR, PAGE_SHIFT, PAGE_SIZE, PhysAddr, USER_END, UserAddr};
pub use backing::{Backing, BackingAt, BackingIdentity, PageError};
pub use fixed::FixedPages;
pub use frame::{Block, Frame, MemoryRegion, OutOfMemory, Purpose};
pub use loaded::{current_space, load_kernel_root};
pub use rmap::Mappers;
pub use shared::SharedMemory;
pub use space::{Access, AddressSpace, FaultError, MapRequest, Placement, SpaceLimits, WordKey};
pub use tree::MAPPING_BYTES;
pub use user::{UserBuffers, UserIn, UserOut, UserSlice, UserStr, UserWord};
pub use vma::{Prot, VmFlags};

/// Takes the machine's memory into use; the heap works from here on. Called once, by the boot CPU, with the direct map
/// in place.
pub fn init(regions: &[MemoryRegion]) {
    frame::init(regions);
}
