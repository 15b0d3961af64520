//! [`ThreadList`]: the living threads of a process, the leader first while it lives.
//!
//! Any number of threads joins, leaves and is found by its place at the same small cost. The list is in pieces, since
//! a million of them in one would take more contiguous memory than there is to be had.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::ThreadSignals;

/// Threads to a piece: a page full.
const PIECE: usize = 512;

/// See the module. Guarded by the process's signal lock, like the `slot` of each thread in it.
#[derive(Default)]
pub(super) struct ThreadList {
    first: Vec<Arc<ThreadSignals>>,
    /// Pieces, each but the last full.
    more: Vec<Vec<Arc<ThreadSignals>>>,
}

impl ThreadList {
    /// How many there are.
    pub fn len(&self) -> usize {
        let Some(last) = self.more.last() else { return self.first.len() };
        self.more.len() * PIECE + last.len()
    }

    /// The thread in this place.
    pub fn get(&self, slot: usize) -> Option<&Arc<ThreadSignals>> {
        match slot.checked_sub(PIECE) {
            None => self.first.get(slot),
            Some(rest) => self.more.get(rest / PIECE)?.get(rest % PIECE),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ThreadSignals>> {
        self.first.iter().chain(self.more.iter().flatten())
    }

    /// Adds a thread at the end.
    pub fn push(&mut self, thread: Arc<ThreadSignals>) {
        let slot = self.len();
        thread.slot.store(slot, Ordering::Relaxed);
        if slot < PIECE {
            self.first.push(thread);
        } else if slot % PIECE == 0 {
            let mut piece = Vec::with_capacity(PIECE);
            piece.push(thread);
            self.more.push(piece);
        } else if let Some(last) = self.more.last_mut() {
            last.push(thread);
        }
    }

    /// Takes a thread out, if it is in the list. The last takes its place.
    pub fn remove(&mut self, thread: &Arc<ThreadSignals>) {
        let slot = thread.slot.load(Ordering::Relaxed);
        if !self.get(slot).is_some_and(|listed| Arc::ptr_eq(listed, thread)) {
            return;
        }
        let Some(last) = self.pop() else { return };
        if Arc::ptr_eq(&last, thread) {
            return;
        }
        last.slot.store(slot, Ordering::Relaxed);
        let place = match slot.checked_sub(PIECE) {
            None => &mut self.first[slot],
            Some(rest) => &mut self.more[rest / PIECE][rest % PIECE],
        };
        *place = last;
    }

    fn pop(&mut self) -> Option<Arc<ThreadSignals>> {
        let Some(last) = self.more.last_mut() else { return self.first.pop() };
        let thread = last.pop();
        if last.is_empty() {
            self.more.pop();
        }
        thread
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{AltStack, SigSet};

    #[test]
    fn threads_leave_in_any_order_and_the_others_stay() {
        let count = 2 * PIECE as i32 + 3;
        let new = |tid| Arc::new(ThreadSignals::new(tid, SigSet::EMPTY, AltStack::default()));
        let all: Vec<_> = (0..count).map(new).collect();
        let mut list = ThreadList::default();
        all.iter().for_each(|thread| list.push(thread.clone()));
        assert_eq!((list.len(), list.iter().count()), (all.len(), all.len()));
        // 7 and the prime 1031 are coprime, so all are met, in an order that jumps about.
        let (mut left, order) = (all.len(), (0..1031).map(|nth| nth * 7 % 1031));
        for thread in order.filter_map(|index: usize| all.get(index)) {
            list.remove(thread);
            list.remove(thread);
            left -= 1;
            assert_eq!(list.len(), left);
            assert!(list.iter().enumerate().all(|(at, other)| other.slot.load(Ordering::Relaxed) == at));
            assert!(!list.iter().any(|other| Arc::ptr_eq(other, thread)));
        }
        assert_eq!((left, list.get(0).is_none()), (0, true));
    }
}
