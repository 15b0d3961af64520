//! [`Backing`]: what stands behind a mapping that is not private anonymous memory.
//!
//! Implemented by the page cache of a file, by memfd and System V segments, by shared anonymous memory and by
//! devices. An address space calls it with its own lock held (rank `AddressSpace`), so implementations may take
//! locks of rank `PageCache` and above only, and never touch user memory.

use alloc::string::String;
use alloc::sync::Arc;

use abi::Errno;

use super::frame::Frame;
use super::rmap::Mappers;

/// Why a backing has no page to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageError {
    /// Past the end of the object: SIGBUS.
    PastEnd,
    /// No memory: the out-of-memory path.
    NoMemory,
}

/// An object whose pages can be mapped.
pub trait Backing: Send + Sync {
    /// The frame of page `index`, brought in if it was absent. `write` says that the caller will write to the
    /// object itself through a shared mapping (not to a private copy).
    fn page(&self, index: u64, write: bool) -> Result<Frame, PageError>;

    /// Whether page `index` is resident, for `mincore(2)` and fault-around.
    fn is_resident(&self, index: u64) -> bool;

    /// The frame of page `index` if it is resident: fault-around's one look at it.
    fn resident_page(&self, index: u64) -> Option<Frame> {
        if self.is_resident(index) { self.page(index, false).ok() } else { None }
    }

    /// The address spaces that map this object; truncation unmaps through it. Its address identifies the object: each
    /// open file of one inode may be a `Backing` of its own, and all of them have the inode's `Mappers`.
    fn mappers(&self) -> &Mappers;

    /// Called for each new mapping (also the copy at fork and the halves of a split): seals and `ETXTBSY` refuse
    /// here. Each success is paired with one [`Backing::unmapped`].
    fn mapped(&self, _shared: bool, _writable: bool) -> Result<(), Errno> {
        Ok(())
    }

    /// A mapping ended.
    fn unmapped(&self, _shared: bool, _writable: bool) {}

    /// What makes two backings one object to a merge of neighbours: an open file that is mapped twice is one (its
    /// `struct file`), two of one inode are two.
    fn merge_key(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// What `/proc/<pid>/maps` shows.
    fn identity(&self) -> BackingIdentity;

    /// Whether it is memory without a disk behind it, which /proc counts apart from files (`shmem`).
    fn is_memory(&self) -> bool {
        false
    }

    /// The size of a System V segment, which `shmdt(2)` looks for; `None` for everything else.
    fn segment_bytes(&self) -> Option<u64> {
        None
    }

    /// `msync(MS_SYNC)` and `madvise(MADV_REMOVE)` may act on pages `range`; memory-resident objects have nothing to do.
    fn sync(&self, _pages: core::ops::Range<u64>) -> Result<(), Errno> {
        Ok(())
    }

    /// `madvise(MADV_REMOVE)`: frees the pages and their contents.
    fn punch(&self, _pages: core::ops::Range<u64>) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}

/// A backing's columns in `/proc/<pid>/maps`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackingIdentity {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Path, or a name such as `/dev/zero (deleted)`.
    pub path: String,
}

/// A position in a backing, as a mapping holds it.
#[derive(Clone)]
pub struct BackingAt {
    /// The object.
    pub object: Arc<dyn Backing>,
    /// The object's page at the mapping's first page.
    pub first_page: u64,
}
