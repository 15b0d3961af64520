//! What a thread's end must know of futexes: how they are named, and which locks others wait for the thread to release.

use alloc::vec::Vec;

use crate::mem::WordKey;
use crate::sync::{Rank, SpinLock};

/// What waiters and wakers of a futex word have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct FutexKey {
    /// The word.
    pub word: WordKey,
    /// Private operations (`FUTEX_PRIVATE_FLAG`) and others do not meet, as on Linux.
    pub private: bool,
}

/// Locks with priority inheritance that others wait for a thread to release.
pub struct OwnedLocks(SpinLock<State>);

#[derive(Default)]
struct State {
    keys: Vec<FutexKey>,
    /// The thread has passed its locks on and will release no more of this address space's.
    closed: bool,
}

impl OwnedLocks {
    /// None yet.
    pub fn new() -> Self {
        Self(SpinLock::new(Rank::Futex, State::default()))
    }

    /// Somebody waits for this lock.
    pub fn add(&self, key: FutexKey) {
        let mut state = self.0.lock();
        if !state.closed && !state.keys.contains(&key) {
            state.keys.push(key);
        }
    }

    /// The lock has been released.
    pub fn remove(&self, key: FutexKey) {
        self.0.lock().keys.retain(|other| *other != key);
    }

    /// Whether the thread is leaving its address space and has passed its locks on.
    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }

    /// The thread goes on in another address space, having passed on what it owned in the old one.
    pub fn reopen(&self) {
        self.0.lock().closed = false;
    }

    /// Takes all when the thread leaves its address space.
    pub fn close(&self) -> Vec<FutexKey> {
        let mut state = self.0.lock();
        state.closed = true;
        core::mem::take(&mut state.keys)
    }
}

impl Default for OwnedLocks {
    fn default() -> Self {
        Self::new()
    }
}
