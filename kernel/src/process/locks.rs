//! What a thread's end must know of futexes: how they are named, and which locks others wait for the thread to release.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::mem::WordKey;
use crate::sync::{Rank, SpinLock};

/// What waiters and wakers of a futex word have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct FutexKey(WordKey);

impl FutexKey {
    /// The key of a word. Private operations (`FUTEX_PRIVATE_FLAG`) and others do not meet, as on Linux.
    pub fn new(word: WordKey, private: bool) -> Self {
        Self(word.marked(private))
    }

    /// Whether it is of private operations.
    pub fn is_private(self) -> bool {
        self.0.is_marked()
    }
}

/// Locks with priority inheritance that others wait for a thread to release.
pub struct OwnedLocks(SpinLock<State>);

/// Two words: few threads ever own such a lock.
#[expect(clippy::box_collection, reason = "a thread without locks pays for a word, not for three")]
enum State {
    /// The thread may come to own locks, and does own these.
    Open(Option<Box<Vec<FutexKey>>>),
    /// The thread has passed its locks on and will release no more of this address space's.
    Closed,
}

impl OwnedLocks {
    /// None yet.
    pub fn new() -> Self {
        Self(SpinLock::new(Rank::Futex, State::Open(None)))
    }

    /// Somebody waits for this lock.
    pub fn add(&self, key: FutexKey) {
        let mut state = self.0.lock();
        if let State::Open(keys) = &mut *state {
            let keys = keys.get_or_insert_default();
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }

    /// The lock has been released.
    pub fn remove(&self, key: FutexKey) {
        if let State::Open(Some(keys)) = &mut *self.0.lock() {
            keys.retain(|other| *other != key);
        }
    }

    /// Whether the thread is leaving its address space and has passed its locks on.
    pub fn is_closed(&self) -> bool {
        matches!(*self.0.lock(), State::Closed)
    }

    /// The thread goes on in another address space, having passed on what it owned in the old one.
    pub fn reopen(&self) {
        *self.0.lock() = State::Open(None);
    }

    /// Takes all when the thread leaves its address space.
    pub fn close(&self) -> Vec<FutexKey> {
        match core::mem::replace(&mut *self.0.lock(), State::Closed) {
            State::Open(Some(keys)) => *keys,
            _ => Vec::new(),
        }
    }
}

impl Default for OwnedLocks {
    fn default() -> Self {
        Self::new()
    }
}
