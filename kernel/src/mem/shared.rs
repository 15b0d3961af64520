//! [`SharedMemory`]: memory with an identity but no file: shared anonymous mappings and System V segments.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::ops::Range;

use abi::Errno;

use super::backing::{Backing, BackingIdentity, PageError};
use super::frame::{self, Frame};
use super::rmap::Mappers;
use crate::sync::{Rank, SpinLock};

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
        Ok(self.resident.lock().entry(index).or_insert(new).clone())
    }

    fn is_resident(&self, index: u64) -> bool {
        self.resident.lock().contains_key(&index)
    }

    fn mappers(&self) -> &Mappers {
        &self.mappers
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
        self.mappers.unmap(self, pages);
        drop(punched);
        Ok(())
    }
}
