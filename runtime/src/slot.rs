//! [`Slot`]: room for one future of whatever type, in place: a box without the allocation, for a caller that awaits one of
//! many futures and shall be no larger than it says.
//!
//! Invariants, upheld in this file alone:
//! - S1: `kind` is `Some` only while `room` holds a future of that kind, written there whole.
//! - S2: a future in `room` is pinned: the slot is not moved while it is there, and it is dropped where it lies.

use core::future::Future;
use core::marker::{PhantomData, PhantomPinned};
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::task::{Context, Poll};

/// What can be done with a future whose type is forgotten. Both take its address.
struct Kind<T: 'static> {
    poll: unsafe fn(*mut (), &mut Context<'_>) -> Poll<T>,
    drop: unsafe fn(*mut ()),
}

/// So many bytes, aligned as futures are.
#[repr(C, align(8))]
struct Room<const BYTES: usize>([MaybeUninit<u8>; BYTES]);

/// Room for a future that gives a `T` and takes at most `BYTES` bytes. What it borrows lives for `'a`.
pub struct Slot<'a, T: 'static, const BYTES: usize> {
    kind: Option<&'static Kind<T>>,
    room: Room<BYTES>,
    _holds: PhantomData<dyn Future<Output = T> + Send + 'a>,
    _pinned: PhantomPinned,
}

// SAFETY: `put` takes futures that are `Send`, and nothing else is in a slot.
unsafe impl<T: 'static, const BYTES: usize> Send for Slot<'_, T, BYTES> {}

impl<'a, T: 'static, const BYTES: usize> Slot<'a, T, BYTES> {
    /// A slot without a future.
    #[inline]
    pub const fn empty() -> Self {
        let room = Room([MaybeUninit::uninit(); BYTES]);
        Self { kind: None, room, _holds: PhantomData, _pinned: PhantomPinned }
    }

    /// Puts `future` into the slot; one that was there is dropped before. That it fits is seen to when it is compiled.
    #[inline]
    pub fn put<F>(mut self: Pin<&mut Self>, future: F)
    where
        F: Future<Output = T> + Send + 'a,
    {
        const {
            assert!(size_of::<F>() <= BYTES, "the future is too large for its slot: box it");
            assert!(align_of::<F>() <= align_of::<Room<BYTES>>(), "the future is aligned more strictly than its slot");
        }
        self.as_mut().clear();
        // SAFETY: what is in the slot is not moved: there is nothing.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: the room is large enough and aligned, as asserted above.
        unsafe { (&raw mut this.room).cast::<F>().write(future) };
        this.kind = Some(const { &Kind { poll: poll::<F, T>, drop: drop_in_place::<F> } });
    }

    /// Drops the future, if there is one.
    #[inline]
    fn clear(self: Pin<&mut Self>) {
        // SAFETY: the future is not moved.
        let this = unsafe { self.get_unchecked_mut() };
        if let Some(kind) = this.kind.take() {
            // SAFETY: the room held a future of this kind (S1), and says no more that it does.
            unsafe { (kind.drop)((&raw mut this.room).cast()) };
        }
    }
}

/// # Safety
/// `future` is the address of a pinned `F`, and the caller's alone.
unsafe fn poll<F: Future<Output = T>, T: 'static>(future: *mut (), cx: &mut Context<'_>) -> Poll<T> {
    // SAFETY: the caller's promise.
    unsafe { Pin::new_unchecked(&mut *future.cast::<F>()) }.poll(cx)
}

/// # Safety
/// `future` is the address of an `F` that nobody uses afterwards.
unsafe fn drop_in_place<F>(future: *mut ()) {
    // SAFETY: the caller's promise.
    unsafe { future.cast::<F>().drop_in_place() };
}

impl<T: 'static, const BYTES: usize> Future for Slot<'_, T, BYTES> {
    type Output = T;

    /// The future's own. A slot without one is pending for ever.
    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // SAFETY: the future is not moved.
        let this = unsafe { self.get_unchecked_mut() };
        match this.kind {
            // SAFETY: the room holds a future of this kind (S1), which is pinned (S2); `self` is exclusive.
            Some(kind) => unsafe { (kind.poll)((&raw mut this.room).cast(), cx) },
            None => Poll::Pending,
        }
    }
}

impl<T: 'static, const BYTES: usize> Drop for Slot<'_, T, BYTES> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a value being dropped is not moved any more.
        unsafe { Pin::new_unchecked(self) }.clear();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::sync::Arc;
    use core::future::ready;
    use core::pin::pin;
    use core::task::Waker;

    use super::*;
    use crate::yield_now;

    fn polled<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn futures_of_several_types_take_turns_in_a_slot() {
        let borrowed = 2;
        let mut slot = pin!(Slot::<u32, 64>::empty());
        assert_eq!(polled(slot.as_mut()), Poll::Pending, "nothing is there");
        slot.as_mut().put(ready(1));
        assert_eq!(polled(slot.as_mut()), Poll::Ready(1));
        slot.as_mut().put(async { borrowed });
        assert_eq!(polled(slot.as_mut()), Poll::Ready(2));
        slot.as_mut().put(async {
            yield_now().await;
            3
        });
        assert_eq!(polled(slot.as_mut()), Poll::Pending);
        assert_eq!(polled(slot.as_mut()), Poll::Ready(3));
    }

    #[test]
    fn what_a_slot_holds_is_dropped_once() {
        let held = Arc::new(());
        let holder = |held: &Arc<()>| {
            let held = held.clone();
            async move {
                yield_now().await;
                drop(held);
            }
        };
        {
            let mut slot = pin!(Slot::<(), 64>::empty());
            slot.as_mut().put(holder(&held));
            slot.as_mut().put(holder(&held));
            assert_eq!(Arc::strong_count(&held), 2, "the first is gone");
            assert_eq!(polled(slot.as_mut()), Poll::Pending);
        }
        assert_eq!(Arc::strong_count(&held), 1, "the slot took the second along");
    }
}
