//! [`Dentry`]: a name in the tree and the inode it names.
//!
//! In the memory-resident file systems the tree of dentries *is* the directory structure; others fill it as
//! names are looked up. A directory holds its children, a child its parent: unlinking breaks the cycle, and
//! when a file system goes, [`Dentry::dismantle`] breaks them all.
//!
//! Locks: a directory's `children` (rank `Directory`, ancestor first), and the `place` of each dentry (rank
//! `Dentry`), a leaf below it. Places change only while the children of the parents concerned are locked.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashTable;

use super::Inode;
use crate::sync::{Rank, SpinGuard, SpinLock};

/// The first cookie given to an entry: `.` and `..` come before.
pub const FIRST_COOKIE: u64 = 2;

/// Where a dentry is.
struct Place {
    /// `None` for the root of a file system.
    parent: Option<Arc<Dentry>>,
    name: Arc<[u8]>,
    unlinked: bool,
}

/// A name and its inode.
pub struct Dentry {
    inode: Arc<Inode>,
    place: SpinLock<Place>,
    children: SpinLock<Children>,
    /// Mounts that cover this dentry.
    pub(super) mounts: AtomicU32,
}

/// A directory's entries.
#[derive(Default)]
pub struct Children {
    /// Absent until the first entry: most dentries are not directories.
    entries: Option<Box<Entries>>,
    /// The directory was removed: nothing may be entered any more.
    dead: bool,
}

#[derive(Default)]
struct Entries {
    by_name: HashTable<Entry>,
    by_cookie: BTreeMap<u64, Arc<Dentry>>,
    next_cookie: u64,
}

struct Entry {
    hash: u64,
    cookie: u64,
    name: Arc<[u8]>,
    dentry: Arc<Dentry>,
}

impl Dentry {
    /// The root of a file system.
    pub fn root(inode: Arc<Inode>) -> Arc<Self> {
        Self::at(None, Arc::from(*b"/"), inode)
    }

    /// A name in `parent` that is not (yet) among its children.
    pub fn detached(parent: &Arc<Dentry>, name: &[u8], inode: Arc<Inode>) -> Arc<Self> {
        Self::at(Some(parent.clone()), Arc::from(name), inode)
    }

    /// A name that stands alone, as those of pipes and memfds do.
    pub fn unattached(name: &[u8], inode: Arc<Inode>) -> Arc<Self> {
        Self::at(None, Arc::from(name), inode)
    }

    fn at(parent: Option<Arc<Dentry>>, name: Arc<[u8]>, inode: Arc<Inode>) -> Arc<Self> {
        Arc::new(Self {
            inode,
            place: SpinLock::new(Rank::Dentry, Place { parent, name, unlinked: false }),
            children: SpinLock::new(Rank::Directory, Children::default()),
            mounts: AtomicU32::new(0),
        })
    }

    /// What the name stands for.
    #[inline]
    pub fn inode(&self) -> &Arc<Inode> {
        &self.inode
    }

    /// The directory it is in; `None` for a root.
    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.place.lock().parent.clone()
    }

    /// Its name.
    pub fn name(&self) -> Arc<[u8]> {
        self.place.lock().name.clone()
    }

    /// Its directory and name, as they are together at one moment.
    pub fn place(&self) -> (Option<Arc<Dentry>>, Arc<[u8]>) {
        let place = self.place.lock();
        (place.parent.clone(), place.name.clone())
    }

    /// Whether the name is gone from the tree.
    pub fn is_unlinked(&self) -> bool {
        self.place.lock().unlinked
    }

    /// Marks the name as gone though it never was, or no longer is, in the tree.
    pub fn mark_unlinked(&self) {
        self.place.lock().unlinked = true;
    }

    /// Whether something is mounted here.
    #[inline]
    pub fn is_mount_point(&self) -> bool {
        self.mounts.load(Ordering::Relaxed) != 0
    }

    /// The directory's entries.
    #[inline]
    pub fn children(&self) -> SpinGuard<'_, Children> {
        self.children.lock()
    }

    /// As [`Self::children`], while those of an ancestor or, under the rename lock, of another directory are held.
    pub fn children_nested(&self) -> SpinGuard<'_, Children> {
        self.children.lock_nested()
    }

    /// The child called `name`.
    #[inline]
    pub fn child(&self, name: &[u8]) -> Option<Arc<Dentry>> {
        self.children.lock().get(name).cloned()
    }

    /// Whether `self` is `other` or lies below it. The caller holds the rename lock.
    pub fn is_below(self: &Arc<Self>, other: &Arc<Dentry>) -> bool {
        let mut at = self.clone();
        loop {
            if Arc::ptr_eq(&at, other) {
                return true;
            }
            let Some(parent) = at.parent() else { return false };
            at = parent;
        }
    }

    /// Takes the whole tree below apart: its file system goes.
    pub fn dismantle(self: &Arc<Self>) {
        let mut pending: Vec<Arc<Dentry>> = Vec::new();
        let mut next = Some(self.clone());
        while let Some(dentry) = next {
            let entries = dentry.children.lock().entries.take();
            if let Some(entries) = entries {
                pending.extend(entries.by_cookie.into_values());
            }
            next = pending.pop();
        }
    }
}

impl Drop for Dentry {
    /// Drops a chain of ancestors that only this dentry kept one by one, rather than each inside the next.
    fn drop(&mut self) {
        let mut parent = self.place.get_mut().parent.take();
        while let Some(mut alone) = parent.and_then(Arc::into_inner) {
            parent = alone.place.get_mut().parent.take();
        }
    }
}

impl Children {
    /// The child called `name`.
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<&Arc<Dentry>> {
        let entries = self.entries.as_ref()?;
        let hash = hash_name(name);
        entries.by_name.find(hash, |entry| entry.hash == hash && *entry.name == *name).map(|entry| &entry.dentry)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.as_ref().is_none_or(|entries| entries.by_cookie.is_empty())
    }

    /// Whether the directory was removed.
    #[inline]
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// The directory is being removed.
    pub fn mark_dead(&mut self) {
        self.dead = true;
    }

    /// Enters `child`, whose name is not among the children.
    pub fn insert(&mut self, child: Arc<Dentry>) {
        let entries = self.entries.get_or_insert_default();
        let name = child.name();
        let hash = hash_name(&name);
        let cookie = entries.next_cookie.max(FIRST_COOKIE);
        entries.next_cookie = cookie + 1;
        entries.by_cookie.insert(cookie, child.clone());
        entries.by_name.insert_unique(hash, Entry { hash, cookie, name, dentry: child }, |entry| entry.hash);
    }

    /// Takes the child called `name` out, without marking it as unlinked.
    pub fn remove(&mut self, name: &[u8]) -> Option<Arc<Dentry>> {
        let entries = self.entries.as_mut()?;
        let hash = hash_name(name);
        let found = entries.by_name.find_entry(hash, |entry| entry.hash == hash && *entry.name == *name).ok()?;
        let (entry, _) = found.remove();
        entries.by_cookie.remove(&entry.cookie);
        Some(entry.dentry)
    }

    /// The first child whose cookie is at least `cookie`, and that cookie.
    pub fn from_cookie(&self, cookie: u64) -> impl Iterator<Item = (u64, &Arc<Dentry>)> {
        let entries = self.entries.as_ref();
        entries.into_iter().flat_map(move |entries| entries.by_cookie.range(cookie..)).map(|(at, child)| (*at, child))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, |entries| entries.by_cookie.len())
    }
}

/// Gives a dentry that is in no directory its new place. The caller holds the children of both directories.
pub(super) fn move_to(dentry: &Dentry, parent: Arc<Dentry>, name: &[u8]) {
    let mut place = dentry.place.lock();
    let old = place.parent.replace(parent);
    place.name = Arc::from(name);
    drop(place);
    drop(old);
}

/// A quick hash of a name: eight bytes a step. Names a user chooses can collide, which costs that user time.
#[inline]
pub fn hash_name(name: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = name.len() as u64;
    let mut chunks = name.chunks_exact(8);
    for chunk in &mut chunks {
        let word = chunk.try_into().map_or(0, u64::from_le_bytes);
        hash = (hash.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER);
    }
    let mut tail = 0;
    for byte in chunks.remainder() {
        tail = (tail << 8) | u64::from(*byte);
    }
    hash = (hash.rotate_left(5) ^ tail).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 32)
}
