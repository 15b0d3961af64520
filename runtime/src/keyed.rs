//! [`KeyedWaitTable`]: tasks that sleep under a key until somebody wakes that key. What futexes are made of.
//!
//! Unlike [`WaitQueue`](crate::WaitQueue), a wake is an event, counted exactly: it takes a waiter out and is
//! answered by that waiter's wait ending in success, even if a timeout or an interruption came in the same moment
//! ([`KeyedWait::leave`] tells). Waiters carry data of the caller's (a bitset, a thread id) that the waker may look
//! at and change, and may be moved to another key.
//!
//! Keys are hashed into lists with a lock each, the more the more wait. Closures given here run under the list's lock: the look at the
//! futex word and the queuing are one step for wakers of the same key. They must not use the table.

use core::future::Future;
use core::hash::{Hash, Hasher};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use crate::batch::WakeBatch;
use crate::list::{Entry, Step, Verdict};
use crate::lock::atomic::{Ordering, fence};
use crate::table::{Hashed, Table};

/// A waiting task, as the table sees it.
struct Sleeper<K, D> {
    key: K,
    data: D,
    /// The place in the order of those that queued, so that a wake meets nobody who came after it began.
    ticket: u64,
    waker: Option<Waker>,
}

/// Tasks sleeping under keys `K`, each with data `D`.
pub struct KeyedWaitTable<K, D> {
    lists: Table<Sleeper<K, D>>,
}

/// What [`KeyedWaitTable::requeue`] has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Requeued {
    /// Waiters woken.
    pub woken: usize,
    /// Waiters moved to the other key.
    pub moved: usize,
}

impl<K: Eq + Hash, D> KeyedWaitTable<K, D> {
    /// A table that starts with `lists` lists, rounded up to a power of two, and grows as waiters come.
    pub fn new(lists: usize) -> Self {
        Self { lists: Table::new(lists) }
    }

    /// Sleeps under `key` until woken. When first polled, queues the task and calls `check` as one step: an error
    /// takes it out again and is the result; if it is polled nevertheless, it tries again. Dropping the future leaves the
    /// table; call [`KeyedWait::leave`] before if it matters whether a wake had met it.
    pub fn wait<E, F>(&self, key: K, data: D, check: F) -> KeyedWait<'_, K, D, F>
    where
        F: FnMut() -> Result<(), E>,
    {
        let entry = self.lists.entry(Sleeper { key, data, ticket: 0, waker: None });
        KeyedWait { table: self, entry, check, is_queued: false }
    }

    /// Wakes up to `limit` tasks under `key` that `pick` chooses, the longest waiting first. Returns how many.
    pub fn wake(&self, key: &K, limit: usize, pick: impl FnMut(&mut D) -> bool) -> usize {
        let hash = hash(key);
        if !self.lists.anyone_waits(hash) {
            return 0;
        }
        if limit == 1 {
            return usize::from(self.wake_first(hash, key, pick));
        }
        self.wake_several(hash, key, limit, pick)
    }

    /// Wakes one task under `key`. Returns whether there was one.
    #[inline]
    fn wake_first(&self, hash: u64, key: &K, mut pick: impl FnMut(&mut D) -> bool) -> bool {
        let mut found = None;
        self.lists.lock(hash).scan(|sleeper| {
            if found.is_some() {
                return Verdict::Stop;
            }
            if sleeper.key != *key || !pick(&mut sleeper.data) {
                return Verdict::Keep;
            }
            found = Some(sleeper.waker.take());
            Verdict::Unlink
        });
        let woken = found.is_some();
        if let Some(waker) = found.flatten() {
            waker.wake();
        }
        woken
    }

    /// Wakes up to `limit` tasks under `key`, a batch under each taking of the lock. Returns how many.
    fn wake_several(&self, hash: u64, key: &K, limit: usize, mut pick: impl FnMut(&mut D) -> bool) -> usize {
        let mut woken = 0;
        let mut newest = None;
        loop {
            let mut batch = WakeBatch::new();
            let mut guard = self.lists.lock(hash);
            let newest = *newest.get_or_insert(guard.tickets());
            guard.scan(|sleeper| {
                if sleeper.ticket > newest || woken + batch.len() == limit || batch.is_full() {
                    return Verdict::Stop;
                }
                if sleeper.key != *key || !pick(&mut sleeper.data) {
                    return Verdict::Keep;
                }
                batch.push(sleeper.waker.take());
                Verdict::Unlink
            });
            drop(guard);
            woken += batch.len();
            let more = batch.is_full() && woken < limit;
            batch.wake();
            if !more {
                return woken;
            }
        }
    }

    /// In one step: calls `check`, and if it succeeds wakes up to `wake` tasks under `from` and moves up to `limit`
    /// more to `to`, the longest waiting first.
    pub fn requeue<E>(
        &self,
        from: &K,
        to: &K,
        wake: usize,
        limit: usize,
        check: impl FnOnce() -> Result<(), E>,
    ) -> Result<Requeued, E>
    where
        K: Clone,
    {
        let mut done = Requeued { woken: 0, moved: 0 };
        let mut check = Some(check);
        let mut newest = None;
        loop {
            let mut batch = WakeBatch::new();
            let mut pair = self.lists.lock_pair(hash(from), hash(to));
            if let Some(check) = check.take() {
                check()?;
            }
            let newest = *newest.get_or_insert(pair.tickets());
            pair.scan(|sleeper, ticket| {
                if sleeper.ticket > newest || batch.is_full() {
                    return Step::Here(Verdict::Stop);
                }
                if sleeper.key != *from {
                    return Step::Here(Verdict::Keep);
                }
                if done.woken < wake {
                    done.woken += 1;
                    batch.push(sleeper.waker.take());
                    return Step::Here(Verdict::Unlink);
                }
                if done.moved == limit {
                    return Step::Here(Verdict::Stop);
                }
                done.moved += 1;
                sleeper.key = to.clone();
                sleeper.ticket = ticket.unwrap_or(sleeper.ticket);
                Step::Move
            });
            drop(pair);
            let more = batch.is_full();
            batch.wake();
            if !more {
                return Ok(done);
            }
        }
    }

    /// Calls `act` with the lock of `key`'s list held and access to the waiters under `key`; what it wakes is woken
    /// afterwards. For hand-overs that must be one step with a change of the caller's (priority-inheriting futexes).
    pub fn with_waiters<R>(&self, key: &K, act: impl FnOnce(&mut Waiting<'_, K, D>) -> R) -> R {
        let guard = self.lists.lock(hash(key));
        let mut waiting = Waiting { guard, key, batch: WakeBatch::new() };
        let result = act(&mut waiting);
        let Waiting { guard, batch, .. } = waiting;
        drop(guard);
        batch.wake();
        result
    }
}

/// The waiters under one key, with the lock held.
pub struct Waiting<'a, K, D> {
    guard: crate::list::Guard<'a, Sleeper<K, D>>,
    key: &'a K,
    batch: WakeBatch,
}

impl<K: Eq, D> Waiting<'_, K, D> {
    /// How many wait.
    pub fn count(&mut self) -> usize {
        let mut count = 0;
        self.guard.scan(|sleeper| {
            count += usize::from(sleeper.key == *self.key);
            Verdict::Keep
        });
        count
    }

    /// Wakes the longest waiting one, after `give` has seen its data. At most a few in one go.
    pub fn wake_first<R>(&mut self, give: impl FnOnce(&mut D) -> R) -> Option<R> {
        let mut give = Some(give);
        let mut given = None;
        let (key, batch) = (self.key, &mut self.batch);
        self.guard.scan(|sleeper| {
            if given.is_some() || batch.is_full() {
                return Verdict::Stop;
            }
            if sleeper.key != *key {
                return Verdict::Keep;
            }
            given = give.take().map(|give| give(&mut sleeper.data));
            batch.push(sleeper.waker.take());
            Verdict::Unlink
        });
        given
    }
}

pin_project! {
    /// The future of [`KeyedWaitTable::wait`].
    #[must_use = "futures do nothing unless polled"]
    pub struct KeyedWait<'t, K, D, F> {
        table: &'t KeyedWaitTable<K, D>,
        #[pin]
        entry: Entry<'t, Sleeper<K, D>>,
        check: F,
        // Whether the task has been queued.
        is_queued: bool,
    }
}

impl<K, D, F> KeyedWait<'_, K, D, F> {
    /// Leaves the table. Returns whether a wake had met this wait: it has then been counted, and stands, whatever
    /// made the caller leave.
    pub fn leave(self: Pin<&mut Self>) -> bool {
        let mut this = self.project();
        if !*this.is_queued {
            return false;
        }
        if !this.entry.is_linked() {
            return true;
        }
        let mut guard = this.entry.as_mut().lock();
        let woken = !guard.is_linked();
        guard.unlink();
        woken
    }

    /// The key (the one moved to, if it was) and the data, unless the task is queued.
    pub fn parts(self: Pin<&mut Self>) -> Option<(&K, &mut D)> {
        let sleeper = self.project().entry.unlinked_value()?;
        Some((&sleeper.key, &mut sleeper.data))
    }
}

impl<K, D, E, F> Future for KeyedWait<'_, K, D, F>
where
    K: Eq + Hash,
    F: FnMut() -> Result<(), E>,
{
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let mut this = self.project();
        if *this.is_queued {
            return poll_again(this.entry, cx.waker()).map(Ok);
        }
        let sleeper = this.entry.as_mut().unlinked_value().expect("queued below, and once");
        sleeper.waker = Some(cx.waker().clone());
        let hash = hash(&sleeper.key);
        let mut guard = this.entry.lock_in(this.table.lists.lock(hash));
        let ticket = guard.push_back();
        guard.value().ticket = ticket;
        // Pairs with the fence in `Table::anyone_waits`.
        fence(Ordering::SeqCst);
        if let Err(error) = (this.check)() {
            guard.unlink();
            return Poll::Ready(Err(error));
        }
        *this.is_queued = true;
        let len = guard.len();
        drop(guard);
        this.table.lists.consider_growing(hash, len);
        Poll::Pending
    }
}

/// Whether a queued wait has been woken; if not, `waker` is the one to wake.
fn poll_again<K, D>(entry: Pin<&mut Entry<'_, Sleeper<K, D>>>, waker: &Waker) -> Poll<()> {
    // Without a lock: one that was woken is its owner's alone.
    if !entry.is_linked() {
        return Poll::Ready(());
    }
    let mut guard = entry.lock();
    if !guard.is_linked() {
        return Poll::Ready(());
    }
    let known = &mut guard.value().waker;
    let fresh = known.as_ref().is_some_and(|known| known.will_wake(waker));
    let outdated = if fresh { None } else { known.replace(waker.clone()) };
    drop(guard);
    drop(outdated);
    Poll::Pending
}

impl<K: Hash, D> Hashed for Sleeper<K, D> {
    fn hash(&self) -> u64 {
        hash(&self.key)
    }
}

fn hash<K: Hash>(key: &K) -> u64 {
    let mut hasher = Spread(0);
    key.hash(&mut hasher);
    // The upper half of a product is the better mixed one.
    hasher.finish() >> 32
}

/// A hash for keys that are a few machine words (rustc's Fx): each word is mixed in by one multiplication.
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
