//! How many threads each user has (RLIMIT_NPROC).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::sync::{Rank, SpinLock};

/// A user's threads, counted.
pub struct Account {
    threads: AtomicU64,
}

/// One thread's place in its user's account, returned on drop.
pub struct Charge(Arc<Account>);

impl Charge {
    /// A place for one more thread of the real user `uid`, whatever the count.
    pub fn of_user(uid: u32) -> Self {
        static USERS: SpinLock<BTreeMap<u32, Arc<Account>>> = SpinLock::new(Rank::Users, BTreeMap::new());
        let new = || Arc::new(Account { threads: AtomicU64::new(0) });
        let account = USERS.lock().entry(uid).or_insert_with(new).clone();
        Self::in_account(account)
    }

    /// One more place in the same account: for a thread of the same user.
    pub fn another(&self) -> Self {
        Self::in_account(self.0.clone())
    }

    fn in_account(account: Arc<Account>) -> Self {
        account.threads.fetch_add(1, Ordering::Relaxed);
        Self(account)
    }

    /// The user's threads now, this one included.
    pub fn count(&self) -> u64 {
        self.0.threads.load(Ordering::Relaxed)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.0.threads.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_returned_when_it_is_dropped() {
        let first = Charge::of_user(4242);
        let second = first.another();
        assert_eq!(first.count(), 2);
        drop(second);
        assert_eq!(first.count(), 1);
    }
}
