//! [`SharedMemory`]: memory with an identity but no file: shared anonymous mappings and System V segments.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use abi::Errno;

use super::backing::{Backing, BackingIdentity, PageError};
use super::frame::{self, Frame};
use super::rmap::Mappers;
use crate::sync::{Rank, SpinLock};

/// Pages of all such memory, for /proc/meminfo.
static ALL_PAGES: AtomicU64 = AtomicU64::new(0);

/// Pages of memory that are shared without a file.
pub fn all_pages() -> u64 {
    ALL_PAGES.load(Relaxed)
}

/// A fixed number of pages of zeros, made as they are touched. Lock: rank `PageCache`.
pub struct SharedMemory {
    pages: u64,
    resident: SpinLock<BTreeMap<u64, Frame>>,
    mappers: Mappers,
    identity: BackingIdentity,
}

impl SharedMemory {
    /// Memory for a shared anonymous mapping. Errors: ENOMEM.
    pub fn anonymous(pages: u64) -> Result<Arc<Self>, Errno> {
        Self::named(pages, BackingIdentity { path: String::from("/dev/zero (deleted)"), ..BackingIdentity::default() })
    }

    /// Memory that /proc shows as `identity`. Errors: ENOMEM.
    pub fn named(pages: u64, identity: BackingIdentity) -> Result<Arc<Self>, Errno> {
        frame::admit()?;
        let resident = SpinLock::new(Rank::PageCache, BTreeMap::new());
        Ok(Arc::new(Self { pages, resident, mappers: Mappers::new(), identity }))
    }

    /// Its size.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// How many of its pages have been touched.
    pub fn resident_pages(&self) -> u64 {
        self.resident.lock().len() as u64
    }
}

impl Backing for SharedMemory {
    fn page(&self, index: u64, _write: bool) -> Result<Frame, PageError> {
        if index >= self.pages {
            return Err(PageError::PastEnd);
        }
        if let Some(frame) = self.resident.lock().get(&index) {
            return Ok(frame.clone());
        }
        frame::admit().map_err(|_| PageError::NoMemory)?;
        let new = Frame::zeroed().map_err(|_| PageError::NoMemory)?;
        let mut resident = self.resident.lock();
        let frame = resident.entry(index).or_insert_with(|| {
            ALL_PAGES.fetch_add(1, Relaxed);
            new
        });
        Ok(frame.clone())
    }

    fn is_resident(&self, index: u64) -> bool {
        self.resident.lock().contains_key(&index)
    }

    fn mappers(&self) -> &Mappers {
        &self.mappers
    }

    fn is_memory(&self) -> bool {
        true
    }

    fn identity(&self) -> BackingIdentity {
        self.identity.clone()
    }

    fn punch(&self, pages: Range<u64>) -> Result<(), Errno> {
        let punched = {
            let mut resident = self.resident.lock();
            let mut punched = resident.split_off(&pages.start);
            resident.append(&mut punched.split_off(&pages.end));
            punched
        };
        ALL_PAGES.fetch_sub(punched.len() as u64, Relaxed);
        self.mappers.unmap(self, pages);
        drop(punched);
        Ok(())
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        ALL_PAGES.fetch_sub(self.resident.get_mut().len() as u64, Relaxed);
    }
}
