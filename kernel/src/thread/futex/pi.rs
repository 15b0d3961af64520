//! Locks with priority inheritance: `FUTEX_LOCK_PI` and its kin.
//!
//! The word holds its owner's tid, so the kernel can hand the lock over: to the longest waiter at unlock, or when the owner
//! dies (marked `FUTEX_OWNER_DIED`). The hand-over and the word's change are one step under the lock of the key's list.
//! Threads all run at the same urgency but for their slices, so no priority is lent: what remains is that the lock is passed
//! on directly, and that a dead or wrong owner is noticed.
//!
//! A thread's `owned_locks` names the locks somebody waits for it to release, so that its end can pass them on.
//!
//! Deviates: `FUTEX_CMP_REQUEUE_PI` wakes the waiters it would move; each then queues for the lock by itself.

use core::pin::pin;

use abi::Errno;
use abi::futex::{FUTEX_BITSET_MATCH_ANY, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};

use super::{Futex, FutexKey, Role, WaitEnd, Waiter, sleep, table};
use crate::mem::{Access, UserWord};
use crate::process::{Pid, Thread};
use crate::sync::executor;
use crate::thread::Interruptible;

/// One who waits for a lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Contender {
    /// Its tid.
    tid: Pid,
    /// The tid of whom it waits for.
    owner: Pid,
    /// Whether it has been given the lock.
    grant: Grant,
}

/// Whether a waiter has been given its lock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grant {
    /// It still waits.
    Waiting,
    /// The lock is its own, and the word says so.
    Given,
    /// The owner died; the word is still to be changed, by the new owner: it may be shared memory that the old one saw
    /// elsewhere.
    OwnerDied,
}

/// What a look at the word under the list's lock led to.
enum Step {
    /// The lock is taken, or released.
    Done,
    /// It is this thread's.
    Owned(Pid),
    /// The word's page is not there just now.
    Absent,
    /// Refused for good.
    Refused(Errno),
}

/// Takes the lock, waiting for it if `wait`. Errors: EDEADLK if the caller has it, ESRCH if the owner does not exist, EAGAIN
/// (only without `wait`), EFAULT. Order: `futex_lock_pi()`.
pub async fn lock(thread: &Thread, futex: Futex, deadline_ns: u64, wait: bool) -> Result<WaitEnd, Errno> {
    loop {
        let owner = match table().with_waiters(&futex.key, |waiting| try_take(thread, futex.word, waiting.count())) {
            Step::Done => return Ok(WaitEnd::Woken),
            Step::Refused(error) => return Err(error),
            Step::Absent => {
                futex.word.bring_in(Access::Write)?;
                continue;
            }
            Step::Owned(_) if !wait => return Err(Errno::EAGAIN),
            Step::Owned(owner) => owner,
        };
        if let Some(end) = queue(thread, futex, owner, deadline_ns).await? {
            return Ok(end);
        }
        // Whoever changes the word all the time, or an owner about to end, must not keep this CPU or hold off a kill.
        if thread.interrupted() {
            return Ok(WaitEnd::Interrupted);
        }
        executor::yield_now().await;
    }
}

/// Takes the lock if it is free, else marks it as waited for.
fn try_take(thread: &Thread, word: UserWord, waiters: usize) -> Step {
    let tid = thread.tid().cast_unsigned();
    let mark = if waiters > 0 { FUTEX_WAITERS } else { 0 };
    let next = |value: u32| match value & FUTEX_TID_MASK {
        0 => value & FUTEX_OWNER_DIED | tid | mark,
        owner if owner == tid => value,
        _ => value | FUTEX_WAITERS,
    };
    let Some(old) = word.update_resident(next) else { return Step::Absent };
    match old & FUTEX_TID_MASK {
        0 => Step::Done,
        owner if owner == tid => Step::Refused(Errno::EDEADLK),
        owner if thread.process.table.thread(owner.cast_signed()).is_some() => Step::Owned(owner.cast_signed()),
        _ => Step::Refused(Errno::ESRCH),
    }
}

/// Sleeps until the lock is handed over. `None`: things changed before the thread was queued, look again.
async fn queue(thread: &Thread, futex: Futex, owner: Pid, deadline_ns: u64) -> Result<Option<WaitEnd>, Errno> {
    let holder = thread.process.table.thread(owner).ok_or(Errno::ESRCH)?;
    holder.owned_locks.add(futex.key);
    let still_theirs = || {
        let same = |value: u32| value & FUTEX_TID_MASK == owner.cast_unsigned() && value & FUTEX_WAITERS != 0;
        // An owner that has begun to end may have passed its locks on already.
        if futex.word.load_resident().is_some_and(same) && !holder.owned_locks.is_closed() { Ok(()) } else { Err(()) }
    };
    let contender = Contender { tid: thread.tid(), owner, grant: Grant::Waiting };
    let waiter = Waiter { bitset: FUTEX_BITSET_MATCH_ANY, role: Role::Pi(contender) };
    let mut queued = pin!(table().wait(futex.key, waiter, still_theirs));
    let slept = executor::timeout_at(deadline_ns, queued.as_mut());
    let end = match Interruptible::new(thread, slept).await {
        Ok(Ok(Ok(()))) => WaitEnd::Woken,
        Ok(Ok(Err(()))) => return Ok(None),
        Ok(Err(_elapsed)) => WaitEnd::TimedOut,
        Err(_interrupted) => WaitEnd::Interrupted,
    };
    if end != WaitEnd::Woken && !queued.as_mut().leave() {
        return Ok(Some(end));
    }
    let inherits = queued
        .parts()
        .is_some_and(|(_, waiter)| matches!(waiter.role, Role::Pi(Contender { grant: Grant::OwnerDied, .. })));
    thread.owned_locks.add(futex.key);
    if inherits {
        let tid = thread.tid().cast_unsigned();
        futex.word.update(|value| value & FUTEX_WAITERS | FUTEX_OWNER_DIED | tid)?;
    }
    Ok(Some(WaitEnd::Woken))
}

/// Releases the lock, to the longest waiter if there is one. Errors: EPERM if it is not the caller's, EFAULT. Order:
/// `futex_unlock_pi()`.
pub fn unlock(thread: &Thread, futex: Futex) -> Result<(), Errno> {
    let tid = thread.tid().cast_unsigned();
    loop {
        let mut heir = None;
        let step = table().with_waiters(&futex.key, |waiting| {
            let Some(value) = futex.word.load_resident() else { return Step::Absent };
            if value & FUTEX_TID_MASK != tid {
                return Step::Refused(Errno::EPERM);
            }
            let mark = if waiting.count() > 1 { FUTEX_WAITERS } else { 0 };
            heir = waiting.wake_first(|waiter| waiter.take_lock(Grant::Given)).flatten();
            let word = heir.map_or(0, |heir: Pid| heir.cast_unsigned() | mark);
            // The word is this thread's to change: others only add the waiters bit, and those are counted.
            futex.word.update_resident(|_| word).map_or(Step::Absent, |_| Step::Done)
        });
        match step {
            Step::Refused(error) => return Err(error),
            Step::Absent => futex.word.bring_in(Access::Write)?,
            Step::Done | Step::Owned(_) => {
                thread.owned_locks.remove(futex.key);
                change_owner(&futex.key, heir);
                return Ok(());
            }
        }
    }
}

impl Waiter {
    /// Gives the lock to a contender, and gives its tid.
    fn take_lock(&mut self, how: Grant) -> Option<Pid> {
        let Role::Pi(contender) = &mut self.role else { return None };
        contender.grant = how;
        Some(contender.tid)
    }
}

/// Those who still wait for a lock wait for its new owner from now on.
fn change_owner(key: &FutexKey, heir: Option<Pid>) {
    let Some(heir) = heir else { return };
    table().wake(key, usize::MAX, |waiter| {
        if let Role::Pi(contender) = &mut waiter.role {
            contender.owner = heir;
        }
        false
    });
}

/// The thread leaves its address space: a lock that others wait for it to release goes to the longest waiter (`exit_pi_state_list()`).
pub fn abandon_owned(thread: &Thread) {
    let dead = thread.tid();
    for key in thread.owned_locks.close() {
        let mut heir = None;
        table().wake(&key, 1, |waiter| {
            let waits_for_dead = matches!(&waiter.role, Role::Pi(contender) if contender.owner == dead);
            if waits_for_dead {
                heir = waiter.take_lock(Grant::OwnerDied);
            }
            waits_for_dead
        });
        change_owner(&key, heir);
    }
}

/// Waits on the first futex to be sent on to the lock `second`, then takes that (`FUTEX_WAIT_REQUEUE_PI`). Errors: EAGAIN,
/// EFAULT, and those of [`lock`].
pub async fn wait_requeue(
    thread: &Thread,
    first: Futex,
    value: u32,
    deadline_ns: u64,
    second: Futex,
) -> Result<WaitEnd, Errno> {
    let waiter = Waiter { bitset: FUTEX_BITSET_MATCH_ANY, role: Role::RequeuePi(second.key) };
    match sleep(thread, first, value, waiter, deadline_ns).await? {
        WaitEnd::Woken => match lock(thread, second, deadline_ns, true).await? {
            WaitEnd::Interrupted => Err(Errno::EAGAIN),
            end => Ok(end),
        },
        end => Ok(end),
    }
}

/// Sends one waiter and up to `limit` more on to the lock they wait for (`FUTEX_CMP_REQUEUE_PI`). Errors: EAGAIN if the first
/// word is not `expected`, EINVAL if a waiter waits for something else, EFAULT.
pub fn requeue(first: Futex, second: Futex, limit: usize, expected: u32) -> Result<usize, Errno> {
    if first.word.load()? != expected {
        return Err(Errno::EAGAIN);
    }
    let mut mismatch = false;
    let sent = table().wake(&first.key, limit.saturating_add(1), |waiter| {
        mismatch |= waiter.role != Role::RequeuePi(second.key);
        !mismatch
    });
    if mismatch && sent == 0 { Err(Errno::EINVAL) } else { Ok(sent) }
}
