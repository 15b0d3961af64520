//! [`Mutex`]: a lock to be held across awaits. First come, first served: it is handed over, never raced for.

use core::cell::UnsafeCell;
use core::fmt;
use core::future::Future;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use crate::list::{Entry, Waiters};
use crate::lock::atomic::{AtomicBool, Ordering};
use crate::lock::const_fn;

/// A mutual-exclusion lock whose guard may be held across awaits.
pub struct Mutex<T: ?Sized> {
    /// Set from unlocked to locked by anyone; from locked to unlocked only under the lock of `waiters`, and only when
    /// nobody waits: else the lock stays locked and belongs to the waiter taken out.
    locked: AtomicBool,
    waiters: Waiters<Option<Waker>>,
    value: UnsafeCell<T>,
}

// SAFETY: the mutex gives access to the value to one guard at a time, on whatever CPU.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    const_fn! {
        /// An unlocked mutex around `value`.
        pub fn new(value: T) -> Self {
            Self { locked: AtomicBool::new(false), waiters: Waiters::new(), value: UnsafeCell::new(value) }
        }
    }

    /// The value, the mutex being consumed.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock and takes it. Dropping the future gives up the place in the queue.
    pub fn lock(&self) -> LockMutex<'_, T> {
        LockMutex { mutex: self, waiting: false, entry: self.waiters.entry(None) }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.acquire().then(|| MutexGuard { mutex: self })
    }

    fn acquire(&self) -> bool {
        self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Hands the lock to the first waiter, or unlocks.
    fn release(&self) {
        let mut waiters = self.waiters.lock();
        let next = waiters.pop_front(Option::take);
        if next.is_none() {
            self.locked.store(false, Ordering::Release);
        }
        drop(waiters);
        if let Some(waker) = next.flatten() {
            waker.wake();
        }
    }
}

pin_project! {
    /// The future of [`Mutex::lock`].
    #[must_use = "futures do nothing unless polled"]
    pub struct LockMutex<'m, T: ?Sized> {
        mutex: &'m Mutex<T>,
        // Whether the entry has been queued, so that the lock is ours once it is out of the queue.
        waiting: bool,
        #[pin]
        entry: Entry<'m, Option<Waker>>,
    }

    impl<T: ?Sized> PinnedDrop for LockMutex<'_, T> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if *this.waiting && !give_up(this.entry) {
                this.mutex.release();
            }
        }
    }
}

/// Leaves the queue. Returns whether the entry was still in it.
fn give_up(entry: Pin<&mut Entry<'_, Option<Waker>>>) -> bool {
    if !entry.is_linked() {
        return false;
    }
    let mut guard = entry.lock();
    let waited = guard.is_linked();
    guard.unlink();
    waited
}

impl<'m, T: ?Sized> Future for LockMutex<'m, T> {
    type Output = MutexGuard<'m, T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<MutexGuard<'m, T>> {
        let this = self.project();
        let mutex: &'m Mutex<T> = this.mutex;
        if *this.waiting {
            if this.entry.is_linked() {
                let mut guard = this.entry.lock();
                if guard.is_linked() {
                    let outdated = guard.value().replace(cx.waker().clone());
                    drop(guard);
                    drop(outdated);
                    return Poll::Pending;
                }
            }
            *this.waiting = false;
            return Poll::Ready(MutexGuard { mutex });
        }
        if mutex.acquire() {
            return Poll::Ready(MutexGuard { mutex });
        }
        let mut guard = this.entry.lock();
        // Again, under the lock that unlocking takes: from here on whoever unlocks finds us.
        if mutex.acquire() {
            return Poll::Ready(MutexGuard { mutex });
        }
        *guard.value() = Some(cx.waker().clone());
        guard.push_back();
        *this.waiting = true;
        Poll::Pending
    }
}

/// Access to what a [`Mutex`] guards.
pub struct MutexGuard<'m, T: ?Sized> {
    mutex: &'m Mutex<T>,
}

// SAFETY: a shared guard gives shared access to the value.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held by this guard alone.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held by this guard alone, and the guard is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.mutex.release();
    }
}

impl<T: ?Sized> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("locked", &self.locked.load(Ordering::Relaxed)).finish_non_exhaustive()
    }
}
