//! Reverse maps: from an object to the address spaces that map it, so that truncation can unmap.
//!
//! Locks: [`Mappers`] has rank `SharedMemory` and is taken with an address space's lock held; to unmap, the spaces are
//! copied out first and locked one by one afterwards.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;

use abi::Errno;

use super::AddressSpace;
use super::backing::{Backing, BackingAt};
use crate::sync::{Rank, SpinLock};

/// The address spaces that map an object, and with how many mappings. Every [`Backing`] holds one.
pub struct Mappers {
    spaces: SpinLock<BTreeMap<usize, (Weak<AddressSpace>, usize)>>,
}

impl Mappers {
    /// No mappers.
    pub const fn new() -> Self {
        Self { spaces: SpinLock::new(Rank::SharedMemory, BTreeMap::new()) }
    }

    /// Whether anyone maps the object.
    pub fn is_empty(&self) -> bool {
        self.spaces.lock().is_empty()
    }

    /// Unmaps the object's pages `pages` everywhere, private copies included: it was truncated or punched. The object
    /// must refuse the pages already, so that no fault brings them back.
    pub fn unmap(&self, object: &dyn Backing, pages: Range<u64>) {
        let spaces: Vec<_> = self.spaces.lock().values().filter_map(|(space, _)| space.upgrade()).collect();
        for space in spaces {
            space.unmap_object(object, pages.clone());
        }
    }

    fn attach(&self, space: &Weak<AddressSpace>) {
        let mut spaces = self.spaces.lock();
        spaces.entry(space.as_ptr().addr()).or_insert_with(|| (space.clone(), 0)).1 += 1;
    }

    fn detach(&self, space: &Weak<AddressSpace>) {
        let mut spaces = self.spaces.lock();
        let key = space.as_ptr().addr();
        if let Some((_, count)) = spaces.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                spaces.remove(&key);
            }
        }
    }
}

impl Default for Mappers {
    fn default() -> Self {
        Self::new()
    }
}

/// A mapping's hold on its object: counted by the object and listed among its mappers for as long as it lives.
/// Dropping one may free the object, so it is done without any lock held.
pub struct Mapping {
    /// The object.
    pub object: Arc<dyn Backing>,
    /// The object's page at the mapping's first page.
    pub first_page: u64,
    space: Weak<AddressSpace>,
    shared: bool,
    /// May ever be written through, as the object was told.
    writable: bool,
}

impl Mapping {
    /// Maps `at` into `space`. Errors: the object's refusal.
    pub fn new(at: &BackingAt, space: &Weak<AddressSpace>, shared: bool, writable: bool) -> Result<Box<Self>, Errno> {
        at.object.mapped(shared, writable)?;
        at.object.mappers().attach(space);
        let object = at.object.clone();
        Ok(Box::new(Self { object, first_page: at.first_page, space: space.clone(), shared, writable }))
    }

    /// The position in the object.
    pub fn at(&self) -> BackingAt {
        BackingAt { object: self.object.clone(), first_page: self.first_page }
    }

    /// Another hold on the same object by the same space, from `first_page` on: part of a mapping that was split.
    pub fn part(&self, first_page: u64) -> Box<Self> {
        let at = BackingAt { object: self.object.clone(), first_page };
        let part = Self::new(&at, &self.space, self.shared, self.writable);
        part.unwrap_or_else(|_| unreachable!("an object that is mapped so takes a second such mapping"))
    }

    /// A hold by another space: a forked child. Errors: the object's refusal.
    pub fn for_space(&self, space: &Weak<AddressSpace>) -> Result<Box<Self>, Errno> {
        Self::new(&self.at(), space, self.shared, self.writable)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.object.mappers().detach(&self.space);
        self.object.unmapped(self.shared, self.writable);
    }
}
