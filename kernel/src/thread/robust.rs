//! Robust futexes: the list of locks a thread holds, walked when it ends (set_robust_list(2), `exit_robust_list()`).

use abi::futex::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, ROBUST_LIST_LIMIT, RobustListHead};

use super::futex;
use crate::mem::{UserIn, UserWord};
use crate::process::Pid;

/// Marks every lock on the list as its owner having died, and wakes a waiter of each. The list lies in user memory and may
/// be anything: an entry that cannot be read ends the walk, as does the limit.
pub fn walk(tid: Pid, head_address: u64) {
    let Ok(head) = UserIn::<RobustListHead>::new(head_address).read() else { return };
    let lock_of = |entry: u64| entry.wrapping_add_signed(head.futex_offset);
    let (pending, pending_is_pi) = untag(head.list_op_pending);
    let (mut entry, mut is_pi) = untag(head.list.next);
    for _ in 0..ROBUST_LIST_LIMIT {
        if entry == head_address {
            break;
        }
        let next = UserIn::<u64>::new(entry).read();
        // A pending lock that is on the list already is not dealt with twice.
        if entry != pending && release(tid, lock_of(entry), is_pi, false).is_none() {
            return;
        }
        let Ok(next) = next else { return };
        (entry, is_pi) = untag(next);
    }
    if pending != 0 {
        release(tid, lock_of(pending), pending_is_pi, true);
    }
}

/// An entry's address, and whether it is of a lock with priority inheritance (bit 0).
fn untag(entry: u64) -> (u64, bool) {
    (entry & !1, entry & 1 != 0)
}

/// Marks a lock if the thread owns it, and wakes a waiter (`handle_futex_death()`). `None` ends the walk.
fn release(tid: Pid, address: u64, is_pi: bool, is_pending: bool) -> Option<()> {
    let word = UserWord::new(address).ok()?;
    let value = word.load().ok()?;
    // The owner may have died between clearing the word and waking, or before it could set itself as owner.
    if is_pending && !is_pi && value & FUTEX_TID_MASK == 0 {
        futex::wake_shared(address, 1);
        return Some(());
    }
    if value & FUTEX_TID_MASK != tid.cast_unsigned() & FUTEX_TID_MASK {
        return Some(());
    }
    let mark = |value: u32| {
        let mine = value & FUTEX_TID_MASK == tid.cast_unsigned() & FUTEX_TID_MASK;
        if mine { value & FUTEX_WAITERS | FUTEX_OWNER_DIED } else { value }
    };
    let old = word.update(mark).ok()?;
    if !is_pi && old & FUTEX_WAITERS != 0 {
        futex::wake_shared(address, 1);
    }
    Some(())
}
