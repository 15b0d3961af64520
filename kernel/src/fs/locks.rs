//! Record locks: fcntl(2)'s, owned by a process or an open file description, and flock(2)'s (`fs/locks.c`).
//!
//! Each inode has its own list (rank `FileLocks`) and a queue of those who wait for it to change. Processes that
//! wait for each other are found through [`WAITING`] (rank `LockGraph`): who waits for whom.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::fcntl::{F_RDLCK, F_UNLCK, F_WRLCK, Flock, SEEK_CUR, SEEK_END, SEEK_SET};
use runtime::WaitQueue;

use super::lease::{self, Leases};
use super::{AccessFlags, FdTable, File, Inode};
use crate::sync::{Rank, SpinLock};

/// The last byte a lock can cover: a lock up to here reaches any end of file.
const LAST_BYTE: u64 = i64::MAX as u64;
/// How long a chain of waiting processes is followed (`MAX_DEADLK_ITERATIONS`).
const MAX_CHAIN: usize = 10;

/// What a lock excludes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nothing: the lock is taken off.
    None,
    /// Writers.
    Read,
    /// Everybody.
    Write,
}

/// Whose lock it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A process's, by its descriptor table; and the pid F_GETLK shows.
    Table(u64, i32),
    /// An open file description's, by its address.
    Description(usize),
}

impl Owner {
    /// The owner a command of fcntl(2) acts for.
    pub fn of_command(description: bool, file: &Arc<File>, table: &FdTable, pid: i32) -> Self {
        if description { Self::of_file(file) } else { Self::Table(table.id(), pid) }
    }

    fn of_file(file: &File) -> Self {
        Self::Description(core::ptr::from_ref(file) as usize)
    }

    fn is(&self, other: &Owner) -> bool {
        match (self, other) {
            (Self::Table(mine, _), Self::Table(others, _)) => mine == others,
            _ => self == other,
        }
    }
}

/// Bytes `first ..= last`, and what is wanted for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    first: u64,
    last: u64,
    kind: Kind,
}

impl Range {
    /// From a user's `struct flock` (`flock_to_posix_lock`). `EINVAL`, `EOVERFLOW`; `EBADF` if the file is not open for
    /// what the lock is to protect.
    pub fn of_request(file: &File, request: &Flock, description: bool) -> Result<Self, Errno> {
        if description && request.l_pid != 0 {
            return Err(Errno::EINVAL);
        }
        let range = Self::from_user(file, request)?;
        match range.kind {
            Kind::Read if !file.flags().readable() => Err(Errno::EBADF),
            Kind::Write if !file.flags().writable() => Err(Errno::EBADF),
            _ => Ok(range),
        }
    }

    fn from_user(file: &File, request: &Flock) -> Result<Self, Errno> {
        let base = match u32::try_from(request.l_whence) {
            Ok(SEEK_SET) => 0,
            Ok(SEEK_CUR) => file.position(),
            Ok(SEEK_END) => file.ops().size_bytes(file),
            _ => return Err(Errno::EINVAL),
        };
        let start = (base as i64).checked_add(request.l_start).ok_or(Errno::EOVERFLOW)?;
        let (first, last) = match request.l_len {
            0 => (start, LAST_BYTE as i64),
            len if len > 0 => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?),
            len => (start.checked_add(len).ok_or(Errno::EINVAL)?, start - 1),
        };
        let kind = match u32::try_from(request.l_type) {
            Ok(F_RDLCK) => Kind::Read,
            Ok(F_WRLCK) => Kind::Write,
            Ok(F_UNLCK) => Kind::None,
            _ => return Err(Errno::EINVAL),
        };
        let first = u64::try_from(first).map_err(|_| Errno::EINVAL)?;
        Ok(Self { first, last: last as u64, kind })
    }

    fn overlaps(&self, other: &Range) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    fn touches(&self, other: &Range) -> bool {
        self.first <= other.last.saturating_add(1) && other.first <= self.last.saturating_add(1)
    }
}

fn exclude(a: Kind, b: Kind) -> bool {
    a == Kind::Write || b == Kind::Write
}

#[derive(Clone, Copy)]
struct Record {
    range: Range,
    owner: Owner,
}

#[derive(Default)]
struct Lists {
    records: Vec<Record>,
    /// flock(2)'s: whole files, by description.
    whole: Vec<(usize, Kind)>,
}

/// The locks on an inode.
pub struct FileLocks {
    lists: SpinLock<Lists>,
    /// Beside them, never with them: the leases.
    pub(super) leases: SpinLock<Leases>,
    /// Woken when a lock or a lease goes or gets weaker.
    pub(super) changed: WaitQueue,
}

impl Default for FileLocks {
    fn default() -> Self {
        Self {
            lists: SpinLock::new(Rank::FileLocks, Lists::default()),
            leases: SpinLock::new(Rank::FileLocks, Leases::new()),
            changed: WaitQueue::new(),
        }
    }
}

impl Lists {
    /// The first lock of somebody else that `range` runs into.
    fn conflict(&self, range: &Range, owner: &Owner) -> Option<Record> {
        let conflicts = |held: &&Record| {
            !held.owner.is(owner) && held.range.overlaps(range) && exclude(held.range.kind, range.kind)
        };
        self.records.iter().filter(conflicts).min_by_key(|held| held.range.first).copied()
    }

    /// Replaces what the owner has in `range`, joining neighbours of one kind (`posix_lock_inode`).
    fn apply(&mut self, range: Range, owner: Owner) {
        let mut joined = range;
        let mut kept = Vec::new();
        for held in self.records.drain(..) {
            let same_kind = held.range.kind == range.kind;
            if !held.owner.is(&owner) {
                kept.push(held);
            } else if same_kind && held.range.touches(&range) {
                joined.first = joined.first.min(held.range.first);
                joined.last = joined.last.max(held.range.last);
            } else if held.range.overlaps(&range) {
                let (first, last) = (held.range.first, held.range.last);
                if first < range.first {
                    kept.push(Record { range: Range { last: range.first - 1, ..held.range }, ..held });
                }
                if last > range.last {
                    kept.push(Record { range: Range { first: range.last + 1, ..held.range }, ..held });
                }
            } else {
                kept.push(held);
            }
        }
        if joined.kind != Kind::None {
            kept.push(Record { range: joined, owner });
        }
        self.records = kept;
    }
}

/// Takes or takes off a lock at once. `EAGAIN` if another's is in the way.
pub fn set(file: &File, range: Range, owner: Owner) -> Result<(), Errno> {
    let locks = file.inode().locks_or_new();
    {
        let mut lists = locks.lists.lock();
        if range.kind != Kind::None && lists.conflict(&range, &owner).is_some() {
            return Err(Errno::EAGAIN);
        }
        lists.apply(range, owner);
    }
    if range.kind != Kind::Write {
        locks.changed.wake_all();
    }
    Ok(())
}

/// Takes a lock, waiting for those in the way. `EDEADLK` if their owner, perhaps through others, waits for this one.
pub async fn set_waiting(file: &File, range: Range, owner: Owner) -> Result<(), Errno> {
    let locks = file.inode().locks_or_new();
    loop {
        match set(file, range, owner) {
            Err(Errno::EAGAIN) => {}
            done => return done,
        }
        let Some(blocker) = locks.lists.lock().conflict(&range, &owner) else { continue };
        let _waiting = Waiting::enter(owner, blocker.owner)?;
        let gone = || {
            let lists = locks.lists.lock();
            let still = lists.conflict(&range, &owner).is_some_and(|now| now.owner.is(&blocker.owner));
            (!still).then_some(())
        };
        locks.changed.wait_until(gone).await;
    }
}

/// Which lock would be in the way (F_GETLK): the request with its type `F_UNLCK` if none.
pub fn test(file: &File, request: &Flock, owner: Owner) -> Result<Flock, Errno> {
    let range = Range::from_user(file, request)?;
    if range.kind == Kind::None || (matches!(owner, Owner::Description(_)) && request.l_pid != 0) {
        return Err(Errno::EINVAL);
    }
    let conflict = file.inode().locks().and_then(|locks| locks.lists.lock().conflict(&range, &owner));
    let Some(held) = conflict else { return Ok(Flock { l_type: F_UNLCK as i16, ..*request }) };
    let endless = held.range.last == LAST_BYTE;
    Ok(Flock {
        l_type: if held.range.kind == Kind::Read { F_RDLCK as i16 } else { F_WRLCK as i16 },
        l_whence: SEEK_SET as i16,
        l_start: held.range.first as i64,
        l_len: if endless { 0 } else { (held.range.last - held.range.first + 1) as i64 },
        l_pid: if let Owner::Table(_, pid) = held.owner { pid } else { -1 },
        ..*request
    })
}

/// flock(2), at once. A lock of another kind the description has goes first, as on Linux. `EAGAIN`.
pub fn flock(file: &File, kind: Kind) -> Result<(), Errno> {
    let locks = file.inode().locks_or_new();
    let me = core::ptr::from_ref(file) as usize;
    let (refused, weaker) = {
        let mut lists = locks.lists.lock();
        let had = lists.whole.iter().position(|(owner, _)| *owner == me);
        if had.is_some_and(|at| lists.whole[at].1 == kind) {
            return Ok(());
        }
        had.inspect(|&at| _ = lists.whole.swap_remove(at));
        let refused = kind != Kind::None && lists.whole.iter().any(|(_, held)| exclude(*held, kind));
        if !refused && kind != Kind::None {
            lists.whole.push((me, kind));
        }
        (refused, had.is_some())
    };
    if weaker {
        locks.changed.wake_all();
    }
    if refused { Err(Errno::EAGAIN) } else { Ok(()) }
}

/// flock(2), waiting.
pub async fn flock_waiting(file: &File, kind: Kind) -> Result<(), Errno> {
    let locks = file.inode().locks_or_new();
    let attempt = || match flock(file, kind) {
        Err(Errno::EAGAIN) => None,
        done => Some(done),
    };
    locks.changed.wait_until(attempt).await
}

impl Inode {
    /// The locks that the process with descriptor table `table` has on the inode end: it closed a descriptor of it.
    pub fn locks_of_table_end(&self, table: u64) {
        self.locks_end(|record| matches!(record.owner, Owner::Table(id, _) if id == table), None);
    }

    /// The locks and the lease of an open file description end with it.
    pub fn locks_of_file_end(&self, file: &File) {
        lease::end(self, file);
        let me = Owner::of_file(file);
        self.locks_end(|record| record.owner == me, Some(core::ptr::from_ref(file) as usize));
    }

    fn locks_end(&self, ends: impl Fn(&Record) -> bool, description: Option<usize>) {
        let Some(locks) = self.locks() else { return };
        let some_ended = {
            let mut lists = locks.lists.lock();
            let before = lists.records.len() + lists.whole.len();
            lists.records.retain(|record| !ends(record));
            lists.whole.retain(|(owner, _)| Some(*owner) != description);
            lists.records.len() + lists.whole.len() < before
        };
        if some_ended {
            locks.changed.wake_all();
        }
    }
}

/// Which process waits for which, by descriptor table.
static WAITING: SpinLock<Vec<(u64, u64)>> = SpinLock::new(Rank::LockGraph, Vec::new());

/// An entry in [`WAITING`], as long as it lives.
struct Waiting(Option<(u64, u64)>);

impl Waiting {
    /// `EDEADLK` if `blocker` waits for `owner`. Descriptions' locks take no part, as on Linux.
    fn enter(owner: Owner, blocker: Owner) -> Result<Self, Errno> {
        let (Owner::Table(me, _), Owner::Table(other, _)) = (owner, blocker) else { return Ok(Self(None)) };
        let mut waiting = WAITING.lock();
        let mut at = other;
        for _ in 0..MAX_CHAIN {
            let Some(&(_, next)) = waiting.iter().find(|(waiter, _)| *waiter == at) else { break };
            if next == me {
                return Err(Errno::EDEADLK);
            }
            at = next;
        }
        waiting.push((me, other));
        Ok(Self(Some((me, other))))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(entry) = self.0 else { return };
        let mut waiting = WAITING.lock();
        if let Some(at) = waiting.iter().position(|other| *other == entry) {
            waiting.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64, kind: Kind) -> Range {
        Range { first, last, kind }
    }

    fn ranges_of(lists: &Lists, owner: Owner) -> Vec<(u64, u64, Kind)> {
        let mine = lists.records.iter().filter(|record| record.owner.is(&owner));
        let mut ranges: Vec<_> =
            mine.map(|record| (record.range.first, record.range.last, record.range.kind)).collect();
        ranges.sort_by_key(|range| range.0);
        ranges
    }

    #[test]
    fn unlocking_the_middle_splits_a_lock() {
        let (mut lists, me) = (Lists::default(), Owner::Table(1, 1));
        lists.apply(range(0, 99, Kind::Write), me);
        lists.apply(range(40, 59, Kind::None), me);
        assert_eq!(ranges_of(&lists, me), [(0, 39, Kind::Write), (60, 99, Kind::Write)]);
    }

    #[test]
    fn neighbours_of_one_kind_join() {
        let (mut lists, me) = (Lists::default(), Owner::Table(1, 1));
        lists.apply(range(0, 9, Kind::Read), me);
        lists.apply(range(20, 29, Kind::Read), me);
        lists.apply(range(10, 19, Kind::Read), me);
        assert_eq!(ranges_of(&lists, me), [(0, 29, Kind::Read)]);
        lists.apply(range(5, 7, Kind::Write), me);
        assert_eq!(ranges_of(&lists, me), [(0, 4, Kind::Read), (5, 7, Kind::Write), (8, 29, Kind::Read)]);
    }

    #[test]
    fn readers_share_and_writers_do_not() {
        let (mut lists, a, b) = (Lists::default(), Owner::Table(1, 1), Owner::Description(2));
        lists.apply(range(0, 9, Kind::Read), a);
        assert!(lists.conflict(&range(5, 5, Kind::Read), &b).is_none());
        assert!(lists.conflict(&range(5, 5, Kind::Write), &b).is_some());
        assert!(lists.conflict(&range(10, 15, Kind::Write), &b).is_none());
        assert!(lists.conflict(&range(5, 5, Kind::Write), &a).is_none());
    }

    #[test]
    fn two_processes_waiting_for_each_other_are_a_deadlock() {
        let (a, b, c) = (Owner::Table(901, 1), Owner::Table(902, 2), Owner::Table(903, 3));
        let first = Waiting::enter(a, b).expect("nobody waits yet");
        let second = Waiting::enter(b, c).expect("a chain is no circle");
        assert_eq!(Waiting::enter(c, a).map(drop), Err(Errno::EDEADLK));
        drop(second);
        assert!(Waiting::enter(c, a).is_ok());
        drop(first);
    }
}
