//! [`Table`]: lists of entries by hash, which grows while in use.
//!
//! A table has levels of lists; each level has [`FACTOR`] times as many as the one before, and only the newest is used.
//! When lists get long a level is added. Nothing is moved then: a list of the new level takes its entries out of its
//! parent in the level before when it is first used. So growing has no pause, and takes no lock of the whole table.
//! Levels are never freed while the table lives: together they are at most a third more than the newest.
//!
//! Lock order: a list of an older level before one of a newer, in a level the lower index first.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::list::{Entry, Guard, Step, Verdict, Waiters};
use crate::lock::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering, fence};

/// How many lists of a level share a parent.
const FACTOR: usize = 4;

/// No level has more lists.
const MAX_LISTS: usize = 1 << 16;

/// A list this long makes the table look whether others are as well. (A model of the growing must be small.)
const LONG: usize = if cfg!(loom) { 2 } else { 8 };

/// So many lists are looked at, and the table grows if they have half of [`LONG`] on average.
const SAMPLE: usize = 16;

/// The entries of this list are still in its parent.
const FUTURE: u8 = 0;
/// The list is in use.
const LIVE: u8 = 1;
/// The entries of this list have gone to the next level.
const PAST: u8 = 2;

/// What can be kept in a table.
pub(crate) trait Hashed {
    /// A well mixed hash of the key.
    fn hash(&self) -> u64;
}

/// A list, on a cache line of its own.
#[repr(align(64))]
struct Bucket<T> {
    list: Waiters<T>,
    /// Changes under the list's lock.
    state: AtomicU8,
}

impl<T> Bucket<T> {
    fn is(&self, state: u8) -> bool {
        self.state.load(Ordering::Relaxed) == state
    }
}

/// A level of a table: so many lists, a power of two.
struct Level<T> {
    lists: Box<[Bucket<T>]>,
    /// The level before.
    older: Option<NonNull<Level<T>>>,
}

impl<T> Level<T> {
    #[inline]
    fn bucket(&self, hash: u64) -> &Bucket<T> {
        &self.lists[hash as usize & (self.lists.len() - 1)]
    }

    /// The level before, if there is one.
    fn older(&self) -> Option<&Self> {
        // SAFETY: levels are freed by the table's drop only, all at once.
        self.older.map(|older| unsafe { older.as_ref() })
    }
}

/// Lists of entries by hash.
pub(crate) struct Table<T> {
    /// The level in use. Made by `Box::into_raw`, freed by `drop`.
    newest: AtomicPtr<Level<T>>,
    /// Somebody is adding a level.
    growing: AtomicBool,
    _levels: PhantomData<Level<T>>,
}

// SAFETY: all a table has is its levels, whose lists are shared under their locks.
unsafe impl<T: Send> Send for Table<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Table<T> {}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        let mut next = NonNull::new(self.newest.load(Ordering::Acquire));
        while let Some(level) = next {
            // SAFETY: made by `Box::into_raw`; no entry borrows the table any more.
            next = unsafe { Box::from_raw(level.as_ptr()) }.older;
        }
    }
}

impl<T: Hashed> Table<T> {
    /// A table that starts with `count` lists, rounded up to a power of two.
    pub(crate) fn new(count: usize) -> Self {
        let lists = (0..count.next_power_of_two()).map(|_| bucket(LIVE)).collect();
        let first = Box::into_raw(Box::new(Level { lists, older: None }));
        Self { newest: AtomicPtr::new(first), growing: AtomicBool::new(false), _levels: PhantomData }
    }

    /// An entry that is in no list yet.
    pub(crate) fn entry(&self, value: T) -> Entry<'_, T> {
        Entry::homeless(value)
    }

    /// The level in use.
    #[inline]
    fn newest(&self) -> &Level<T> {
        // SAFETY: levels are freed by the table's drop only.
        unsafe { &*self.newest.load(Ordering::Acquire) }
    }

    /// Takes the lock of the list for `hash`.
    pub(crate) fn lock(&self, hash: u64) -> Guard<'_, T> {
        loop {
            let level = self.newest();
            let bucket = level.bucket(hash);
            let guard = bucket.list.lock();
            if bucket.is(LIVE) {
                return guard;
            }
            drop(guard);
            bring_up(level, hash);
        }
    }

    /// Whether any entry is in the list for `hash`, looked at behind what the caller changed; see
    /// [`Waiters::anyone_waits`].
    #[inline]
    pub(crate) fn anyone_waits(&self, hash: u64) -> bool {
        if self.newest().bucket(hash).list.len_hint() != 0 {
            return true;
        }
        fence(Ordering::SeqCst);
        let bucket = self.newest().bucket(hash);
        // Live before and after: a list says that it has all its entries after it got them, and that they go before it
        // lets go of them.
        let was_live = bucket.state.load(Ordering::Acquire) == LIVE;
        !was_live || bucket.list.len_acquire() != 0 || !bucket.is(LIVE)
    }

    /// Takes the locks of the lists for two hashes.
    pub(crate) fn lock_pair(&self, from: u64, to: u64) -> PairGuard<'_, T> {
        loop {
            let level = self.newest();
            let (from_bucket, to_bucket) = (level.bucket(from), level.bucket(to));
            let pair = match core::ptr::from_ref(from_bucket).cmp(&core::ptr::from_ref(to_bucket)) {
                core::cmp::Ordering::Less => {
                    let from = from_bucket.list.lock();
                    PairGuard { from, to: Some(to_bucket.list.lock()) }
                }
                core::cmp::Ordering::Greater => {
                    let to = to_bucket.list.lock();
                    PairGuard { from: from_bucket.list.lock(), to: Some(to) }
                }
                core::cmp::Ordering::Equal => PairGuard { from: from_bucket.list.lock(), to: None },
            };
            if from_bucket.is(LIVE) && to_bucket.is(LIVE) {
                return pair;
            }
            drop(pair);
            bring_up(level, from);
            bring_up(level, to);
        }
    }

    /// Adds a level if this and other lists are long. The caller holds no lock and has seen a list of `len` entries.
    #[inline]
    pub(crate) fn consider_growing(&self, hash: u64, len: usize) {
        if len == LONG {
            self.grow_if_crowded(hash);
        }
    }

    #[cold]
    fn grow_if_crowded(&self, hash: u64) {
        let level = self.newest();
        let sample = level.lists.len().min(SAMPLE);
        let around = (0..sample as u64).map(|nth| level.bucket(hash.wrapping_add(nth)));
        let crowded = around.map(|bucket| bucket.list.len_hint()).sum::<usize>() >= sample * LONG / 2;
        let count = level.lists.len() * FACTOR;
        if !crowded || count > MAX_LISTS || self.growing.swap(true, Ordering::Acquire) {
            return;
        }
        if core::ptr::eq(self.newest(), level)
            && let Some(lists) = future_lists(count)
        {
            let next = Box::new(Level { lists, older: Some(NonNull::from(level)) });
            self.newest.store(Box::into_raw(next), Ordering::Release);
        }
        self.growing.store(false, Ordering::Release);
    }
}

/// Has the list for `hash` in `level` take over its entries, if they are still in its parent.
#[cold]
fn bring_up<T: Hashed>(level: &Level<T>, hash: u64) {
    let Some(older) = level.older().filter(|_| level.bucket(hash).is(FUTURE)) else { return };
    bring_up(older, hash);
    let parent = older.bucket(hash);
    let mut from = parent.list.lock();
    if !parent.is(LIVE) {
        return;
    }
    parent.state.store(PAST, Ordering::Relaxed);
    // Whoever sees the list empty, because of what follows, sees that it is past; see `anyone_waits`.
    fence(Ordering::Release);
    let (parents, mask) = (older.lists.len(), level.lists.len() - 1);
    for index in (0..FACTOR).map(|nth| (hash as usize & (parents - 1)) + nth * parents) {
        let child = &level.lists[index];
        let mut to = child.list.lock();
        let place = |entry: &mut T, _| {
            if entry.hash() as usize & mask == index { Step::Move } else { Step::Here(Verdict::Keep) }
        };
        // SAFETY: both lists are one table's, which outlives its entries and frees no list before.
        unsafe { from.scan_into(&mut to, place) };
        to.raise_tickets(from.tickets());
        child.state.store(LIVE, Ordering::Release);
    }
}

fn bucket<T>(state: u8) -> Bucket<T> {
    Bucket { list: Waiters::new(), state: AtomicU8::new(state) }
}

/// A level's lists, if there is memory for them. Without, the lists just stay long.
fn future_lists<T>(count: usize) -> Option<Box<[Bucket<T>]>> {
    let mut lists = Vec::new();
    lists.try_reserve_exact(count).ok()?;
    lists.extend((0..count).map(|_| bucket(FUTURE)));
    Some(lists.into_boxed_slice())
}

/// Two lists of one table whose locks are held, or one list taken for both.
pub(crate) struct PairGuard<'a, T> {
    from: Guard<'a, T>,
    /// `None` if it is the list `from`.
    to: Option<Guard<'a, T>>,
}

impl<T> PairGuard<'_, T> {
    /// The ticket of the newest entry of the first list.
    pub(crate) fn tickets(&self) -> u64 {
        self.from.tickets()
    }

    /// Shows the first list's entries from first to last, each with the ticket it gets if it moves and the lists are
    /// not one, and does with each what `visit` says.
    pub(crate) fn scan(&mut self, mut visit: impl FnMut(&mut T, Option<u64>) -> Step) {
        match &mut self.to {
            // SAFETY: both lists are one table's, which outlives its entries and frees no list before.
            Some(to) => unsafe { self.from.scan_into(to, |entry, ticket| visit(entry, Some(ticket))) },
            None => self.from.scan(|entry| match visit(entry, None) {
                Step::Here(verdict) => verdict,
                Step::Move => Verdict::Keep,
            }),
        }
    }
}
