//! A channel for one value.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::lock::Lock;

struct Shared<T> {
    value: Option<T>,
    /// The sender or the receiver is gone.
    closed: bool,
    receiver: Option<Waker>,
}

/// Two ends of a channel for one value.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Lock::new(Shared { value: None, closed: false, receiver: None }));
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared })
}

/// The end that gives the value. Dropping it unused lets the receiver know.
pub struct Sender<T> {
    shared: Arc<Lock<Shared<T>>>,
}

impl<T> Sender<T> {
    /// Gives the value, or gives it back if the receiver is gone.
    pub fn send(self, value: T) -> Result<(), T> {
        let mut shared = self.shared.lock();
        if shared.closed {
            return Err(value);
        }
        // The drop that follows wakes the receiver.
        shared.value = Some(value);
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut shared = self.shared.lock();
        shared.closed = true;
        let receiver = shared.receiver.take();
        drop(shared);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }
}

/// The end that waits for the value.
#[must_use = "futures do nothing unless polled"]
pub struct Receiver<T> {
    shared: Arc<Lock<Shared<T>>>,
}

/// The sender went without giving a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sender went without giving a value")
    }
}

impl<T> Receiver<T> {
    /// The value, if it is there.
    pub fn try_receive(&mut self) -> Option<T> {
        self.shared.lock().value.take()
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, Closed>> {
        let mut shared = self.shared.lock();
        if let Some(value) = shared.value.take() {
            return Poll::Ready(Ok(value));
        }
        if shared.closed {
            return Poll::Ready(Err(Closed));
        }
        let outdated = shared.receiver.replace(cx.waker().clone());
        drop(shared);
        drop(outdated);
        Poll::Pending
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut shared = self.shared.lock();
        shared.closed = true;
        let unread = (shared.value.take(), shared.receiver.take());
        drop(shared);
        drop(unread);
    }
}
