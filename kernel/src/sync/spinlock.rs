//! [`SpinLock`]: `spin`'s mutex, relaxed by serving this CPU's remote requests, with a rank.

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

use spin::RelaxStrategy;
use spin::mutex::spin::{SpinMutex, SpinMutexGuard};

use super::Rank;
use crate::arch;

/// What a spinning CPU does between two looks: it pauses and serves requests other CPUs sent it (TLB
/// shootdown, live-state hand-over). Interrupts are off in the kernel, so a CPU that spun without serving
/// could deadlock with one that waits for its answer.
pub struct Relax;

impl RelaxStrategy for Relax {
    fn relax() {
        arch::relax();
    }
}

/// A mutual-exclusion lock for short sections that never await.
pub struct SpinLock<T: ?Sized> {
    #[cfg(debug_assertions)]
    rank: Rank,
    inner: SpinMutex<T, Relax>,
}

impl<T> SpinLock<T> {
    /// A lock of the given rank around `value`.
    #[cfg_attr(not(debug_assertions), expect(unused_variables, reason = "ranks are checked in debug builds only"))]
    pub const fn new(rank: Rank, value: T) -> Self {
        Self {
            #[cfg(debug_assertions)]
            rank,
            inner: SpinMutex::new(value),
        }
    }

    /// The value, the lock being consumed.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> SpinLock<T> {
    /// Takes the lock. Debug builds panic if a lock of the same or a higher rank is held by this CPU.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> SpinGuard<'_, T> {
        #[cfg(debug_assertions)]
        held::acquire(self.rank, false);
        self.wrap(self.inner.lock())
    }

    /// Takes the lock while a lock of the same rank is held: the caller follows an order of its own
    /// (parent before child, lower address first) that its docs state.
    #[inline]
    #[track_caller]
    pub fn lock_nested(&self) -> SpinGuard<'_, T> {
        #[cfg(debug_assertions)]
        held::acquire(self.rank, true);
        self.wrap(self.inner.lock())
    }

    /// Takes the lock if it is free. Needs no order, because it never waits.
    #[inline]
    pub fn try_lock(&self) -> Option<SpinGuard<'_, T>> {
        let guard = self.inner.try_lock()?;
        #[cfg(debug_assertions)]
        held::note(self.rank);
        Some(self.wrap(guard))
    }

    /// The value, through exclusive access to the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    #[inline]
    fn wrap<'a>(&'a self, guard: SpinMutexGuard<'a, T, Relax>) -> SpinGuard<'a, T> {
        SpinGuard {
            #[cfg(debug_assertions)]
            rank: self.rank,
            inner: ManuallyDrop::new(guard),
            not_send: PhantomData,
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}

/// Access to what a [`SpinLock`] guards. `!Send`: a future that holds one across an await is not `Send`,
/// and the executor takes only `Send` futures.
pub struct SpinGuard<'a, T: ?Sized> {
    #[cfg(debug_assertions)]
    rank: Rank,
    inner: ManuallyDrop<SpinMutexGuard<'a, T, Relax>>,
    not_send: PhantomData<*const ()>,
}

impl<T: ?Sized> Deref for SpinGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for SpinGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized> Drop for SpinGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `inner` is dropped here only, and nothing reads it afterwards.
        unsafe { ManuallyDrop::drop(&mut self.inner) };
        #[cfg(debug_assertions)]
        held::release(self.rank);
    }
}

/// Which ranks each CPU holds, in debug builds.
#[cfg(debug_assertions)]
mod held {
    use core::sync::atomic::{AtomicU64, Ordering};

    use super::Rank;
    use crate::arch;

    /// For each CPU, a bit per rank held. Only that CPU writes it, with interrupts off.
    static HELD: [AtomicU64; arch::MAX_CPUS] = [const { AtomicU64::new(0) }; arch::MAX_CPUS];

    fn bit(rank: Rank) -> u64 {
        1 << rank as u8
    }

    #[track_caller]
    pub(super) fn acquire(rank: Rank, nested: bool) {
        let held = HELD[arch::cpu_index()].load(Ordering::Relaxed);
        let too_high = if nested { !(bit(rank) * 2 - 1) } else { !(bit(rank) - 1) };
        assert!(held & too_high == 0, "lock order: {rank:?} taken while ranks {held:#b} are held");
        note(rank);
    }

    pub(super) fn note(rank: Rank) {
        HELD[arch::cpu_index()].fetch_or(bit(rank), Ordering::Relaxed);
    }

    /// Nested locks of one rank are counted as released with the first of them: a missed check at worst.
    pub(super) fn release(rank: Rank) {
        HELD[arch::cpu_index()].fetch_and(!bit(rank), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascending_ranks_are_accepted() {
        let (outer, inner) = (SpinLock::new(Rank::PidTable, 1), SpinLock::new(Rank::Frames, 2));
        let a = outer.lock();
        assert_eq!(*a + *inner.lock(), 3);
    }

    #[test]
    #[should_panic(expected = "lock order")]
    fn descending_ranks_are_refused() {
        let (outer, inner) = (SpinLock::new(Rank::PidTable, ()), SpinLock::new(Rank::Frames, ()));
        let _held = inner.lock();
        let _refused = outer.lock();
    }
}
