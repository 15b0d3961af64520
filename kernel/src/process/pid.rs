//! [`PidTable`]: numbers to threads, processes, groups and sessions.
//!
//! Sharded by number, so that births and deaths on several CPUs rarely meet. A number is free again when
//! nothing goes by it any more: a group or session outlives the process it is named after.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use abi::Errno;

use super::jobs::{Group, Session};
use super::{Process, Thread};
use crate::sync::{Rank, Setting, SpinLock};

/// A process's, thread's, group's or session's number, as user space sees it. Positive in all that exists.
pub type Pid = i32;

/// Numbers lie below this at most (`PID_MAX_LIMIT`).
pub const PID_MAX: Pid = 4_194_304;

/// Numbers lie below this (`/proc/sys/kernel/pid_max`).
pub static PID_MAX_NOW: Setting = Setting::new(PID_MAX as i64, RESERVED_PIDS as i64 + 1..=PID_MAX as i64);

/// How many threads there may be (`/proc/sys/kernel/threads-max`), no less than `MIN_THREADS`. The kernel starts with what
/// [`limit_threads`] finds.
pub static THREADS_MAX: Setting = Setting::new(PID_MAX as i64, 20..=PID_MAX as i64);

/// Bytes of the kernel's memory that a sleeping thread takes, generously.
const THREAD_BYTES: u64 = 2560;

/// Sets how many threads there may be, so that they take up to half of memory (`set_max_threads()`). Called at boot.
pub fn limit_threads(memory_bytes: u64) {
    let threads = (memory_bytes / 2 / THREAD_BYTES).clamp(20, PID_MAX.unsigned_abs().into());
    let _ = THREADS_MAX.set(threads.cast_signed());
}

/// Where numbering starts again after the end; below are the first daemons' (`RESERVED_PIDS`).
const RESERVED_PIDS: Pid = 300;

const SHARDS: usize = 64;

/// What goes by a number. All empty: the number is reserved for a birth under way.
#[derive(Default)]
struct Entry {
    thread: Option<Arc<Thread>>,
    /// Apart, since most numbers are those of threads that are nothing else.
    more: Option<Box<More>>,
}

/// What goes by a number beside a thread.
#[derive(Default)]
struct More {
    process: Option<Arc<Process>>,
    group: Option<Arc<Group>>,
    session: Option<Arc<Session>>,
    /// A tracer has yet to wait for the thread that had the number.
    is_held: bool,
}

impl More {
    fn is_empty(&self) -> bool {
        self.process.is_none() && self.group.is_none() && self.session.is_none() && !self.is_held
    }
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.thread.is_none() && self.more.as_deref().is_none_or(More::is_empty)
    }

    /// What there is beside a thread, to be changed.
    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    fn process(&self) -> Option<&Arc<Process>> {
        self.more.as_ref()?.process.as_ref()
    }
}

type Shard = SpinLock<BTreeMap<Pid, Entry>>;

/// The table of everything with a number. There is one on the machine, and one for each simulated machine.
pub struct PidTable {
    shards: [Shard; SHARDS],
    /// The number given last.
    last: AtomicI32,
    /// Threads in existence.
    threads: AtomicUsize,
    /// The process that adopts orphans.
    init: spin::Once<Arc<Process>>,
}

/// A number nobody else can get. Dropped without having been entered, it is free again.
pub struct PidReservation {
    /// Taken when the number is entered.
    table: Option<Arc<PidTable>>,
    pid: Pid,
}

impl PidReservation {
    /// The number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Enters a thread under the number. The number is then freed by [`PidTable::remove_thread`].
    pub fn enter_thread(mut self, thread: &Arc<Thread>) {
        if let Some(table) = self.table.take() {
            table.entry(self.pid, |entry| entry.thread = Some(thread.clone()));
            table.threads.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Enters a process, and its leader if it has one. The number is then freed by [`PidTable::remove_process`].
    pub fn enter_process(mut self, process: &Arc<Process>, leader: Option<&Arc<Thread>>) {
        if let Some(table) = self.table.take() {
            table.entry(self.pid, |entry| {
                entry.more().process = Some(process.clone());
                entry.thread = leader.cloned();
            });
            table.threads.fetch_add(usize::from(leader.is_some()), Ordering::Relaxed);
        }
    }
}

impl Drop for PidReservation {
    fn drop(&mut self) {
        if let Some(table) = &self.table {
            table.update(self.pid, |_| {});
        }
    }
}

impl PidTable {
    /// An empty table.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: [const { SpinLock::new(Rank::PidTable, BTreeMap::new()) }; SHARDS],
            last: AtomicI32::new(0),
            threads: AtomicUsize::new(0),
            init: spin::Once::new(),
        })
    }

    /// Names the process that adopts orphans. Only the first call counts.
    pub fn set_init(&self, process: Arc<Process>) {
        self.init.call_once(|| process);
    }

    /// The process that adopts orphans, once there is one.
    pub fn init(&self) -> Option<Arc<Process>> {
        self.init.get().cloned()
    }

    /// Threads in existence.
    pub fn thread_count(&self) -> usize {
        self.threads.load(Ordering::Relaxed)
    }

    /// How many threads there may be (`/proc/sys/kernel/threads-max`).
    pub fn max_threads(&self) -> usize {
        THREADS_MAX.count()
    }

    /// Whether a number may be given to anything.
    pub fn is_valid(&self, pid: Pid) -> bool {
        (1..PID_MAX_NOW.get()).contains(&pid.into())
    }

    /// The number given last, for `/proc/loadavg`.
    pub fn last(&self) -> Pid {
        self.last.load(Ordering::Relaxed)
    }

    /// Reserves the next free number. Errors: EAGAIN when all are taken.
    pub fn allocate(self: &Arc<Self>) -> Result<PidReservation, Errno> {
        for _ in 0..PID_MAX_NOW.get() {
            if let Some(reservation) = self.reserve(self.next()) {
                return Ok(reservation);
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Reserves a number of the caller's choice. Errors: EINVAL out of range, EEXIST.
    pub fn allocate_exact(self: &Arc<Self>, pid: Pid) -> Result<PidReservation, Errno> {
        if !self.is_valid(pid) {
            return Err(Errno::EINVAL);
        }
        self.reserve(pid).ok_or(Errno::EEXIST)
    }

    /// The number after the last one, from the start again at the end.
    fn next(&self) -> Pid {
        let max = PID_MAX_NOW.get();
        let after = |last: Pid| if i64::from(last) + 1 < max { last + 1 } else { RESERVED_PIDS };
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(after(last)));
        after(last.unwrap_or(0))
    }

    fn reserve(self: &Arc<Self>, pid: Pid) -> Option<PidReservation> {
        let mut shard = self.shard(pid).lock();
        if shard.contains_key(&pid) {
            return None;
        }
        shard.insert(pid, Entry::default());
        Some(PidReservation { table: Some(self.clone()), pid })
    }

    /// The thread with this tid. The leader's number leads to no thread when the leader has ended.
    pub fn thread(&self, tid: Pid) -> Option<Arc<Thread>> {
        self.look(tid, |entry| entry.thread.clone())
    }

    /// The process with this pid, ended or not, until it has been waited for.
    pub fn process(&self, pid: Pid) -> Option<Arc<Process>> {
        self.look(pid, |entry| entry.process().cloned())
    }

    /// The process that `id` means, where a tid stands for its process (`pid_task(…)->group_leader`).
    pub fn process_of(&self, id: Pid) -> Option<Arc<Process>> {
        self.look(id, |entry| {
            entry.process().cloned().or_else(|| entry.thread.as_ref().map(|thread| thread.process.clone()))
        })
    }

    /// The group with this number.
    pub fn group(&self, id: Pid) -> Option<Arc<Group>> {
        self.look(id, |entry| entry.more.as_ref()?.group.clone())
    }

    /// The session with this number.
    pub fn session(&self, id: Pid) -> Option<Arc<Session>> {
        self.look(id, |entry| entry.more.as_ref()?.session.clone())
    }

    /// All processes, ended ones included, by ascending pid.
    pub fn processes(&self) -> Vec<Arc<Process>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.lock().values().filter_map(|entry| entry.process().cloned()));
        }
        all.sort_unstable_by_key(|process| process.pid);
        all
    }

    /// The first process whose pid is `from` or above, for readers of /proc that come back where they left off.
    pub fn next_process(&self, from: Pid) -> Option<Arc<Process>> {
        let first_of = |shard: &Shard| {
            let shard = shard.lock();
            shard.range(from..).find_map(|(_, entry)| entry.process().cloned())
        };
        self.shards.iter().filter_map(first_of).min_by_key(|process| process.pid)
    }

    /// Takes a thread that has ended out; the number is free unless its process, a group or a session has it.
    pub fn remove_thread(&self, tid: Pid) {
        let thread = self.update(tid, |entry| entry.thread.take());
        if thread.flatten().is_some() {
            self.threads.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Keeps a thread's number from others beyond its end, until [`PidTable::let_go`].
    pub(super) fn hold(&self, tid: Pid) {
        self.entry(tid, |entry| entry.more().is_held = true);
    }

    /// The number is free unless something else has it.
    pub(super) fn let_go(&self, tid: Pid) {
        self.update(tid, |entry| entry.more().is_held = false);
    }

    /// Has `thread` take over the number of its process's leader, which has ended, from its own (`de_thread()`).
    pub fn promote(&self, thread: &Arc<Thread>, own: Pid, leader: Pid) {
        self.entry(leader, |entry| entry.thread = Some(thread.clone()));
        self.update(own, |entry| entry.thread.take());
    }

    /// Takes a process that has been waited for out.
    pub fn remove_process(&self, pid: Pid) {
        self.update(pid, |entry| entry.more().process.take());
    }

    /// Enters a group under its number, in place of a dead one.
    pub fn enter_group(&self, group: &Arc<Group>) {
        self.entry(group.id, |entry| entry.more().group = Some(group.clone()));
    }

    /// Takes a group that has lost its last member out, unless another of the same number has taken its place.
    pub fn remove_group(&self, group: &Arc<Group>) {
        self.update(group.id, |entry| {
            let more = entry.more();
            if more.group.as_ref().is_some_and(|found| Arc::ptr_eq(found, group)) { more.group.take() } else { None }
        });
    }

    /// Enters a session under its number.
    pub fn enter_session(&self, session: &Arc<Session>) {
        self.entry(session.id, |entry| entry.more().session = Some(session.clone()));
    }

    /// Takes a session that has lost its last group out.
    pub fn remove_session(&self, session: &Arc<Session>) {
        self.update(session.id, |entry| {
            let more = entry.more();
            let same = more.session.as_ref().is_some_and(|found| Arc::ptr_eq(found, session));
            if same { more.session.take() } else { None }
        });
    }

    fn shard(&self, pid: Pid) -> &Shard {
        &self.shards[pid.unsigned_abs() as usize % SHARDS]
    }

    fn look<R>(&self, pid: Pid, read: impl FnOnce(&Entry) -> Option<R>) -> Option<R> {
        self.shard(pid).lock().get(&pid).and_then(read)
    }

    /// Changes an entry, which is made if need be.
    fn entry(&self, pid: Pid, change: impl FnOnce(&mut Entry)) {
        change(self.shard(pid).lock().entry(pid).or_default());
    }

    /// Changes an entry that may exist, and frees the number if nothing is left. What `change` took out is given
    /// back, so that it is dropped after the lock.
    fn update<R>(&self, pid: Pid, change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let mut shard = self.shard(pid).lock();
        let entry = shard.get_mut(&pid)?;
        let taken = change(entry);
        if entry.is_empty() {
            shard.remove(&pid);
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_that_is_dropped_frees_its_number() {
        let table = PidTable::new();
        let first = table.allocate().expect("room");
        assert_eq!(first.pid(), 1);
        assert_eq!(table.allocate_exact(1).err(), Some(Errno::EEXIST));
        drop(first);
        assert_eq!(table.allocate_exact(1).expect("free again").pid(), 1);
    }

    #[test]
    fn numbers_ascend_and_start_again_above_the_reserved_ones() {
        let table = PidTable::new();
        table.last.store(PID_MAX - 2, Ordering::Relaxed);
        assert_eq!(table.allocate().expect("room").pid(), PID_MAX - 1);
        assert_eq!(table.allocate().expect("room").pid(), RESERVED_PIDS);
    }
}
