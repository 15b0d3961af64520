//! System V semaphores (semop(2), `ipc/sem.c`).
//!
//! A set's operations are all done or none. Who has to wait tries again whenever the set changes.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::Errno;
use abi::ipc::{IpcFlags, IpcPerm, SEM_UNDO, SEMMNI, SEMMNS, SEMMSL, SEMOPM, SEMVMX, Sembuf, SemidDs, Seminfo};

use super::{ALTER, Object, READ, Registry, check, check_owner, now_s, update};
use crate::fs::Cred;
use crate::sync::{Rank, SpinLock, WaitQueue};

/// The sets.
pub static SETS: Registry<SemaphoreSet> = Registry::new();

/// Adjustments at exit that are outstanding: lets processes that end look no further when there are none.
static UNDOS: AtomicUsize = AtomicUsize::new(0);

/// A set of semaphores.
pub struct SemaphoreSet {
    state: SpinLock<State>,
    changed: WaitQueue,
}

#[derive(Clone, Copy, Default)]
struct Semaphore {
    value: i32,
    /// Who changed it last.
    pid: i32,
    /// How many wait for it to grow.
    waiting_growth: i32,
    /// How many wait for it to be zero.
    waiting_zero: i32,
}

struct State {
    permissions: IpcPerm,
    semaphores: Vec<Semaphore>,
    operated_s: i64,
    changed_s: i64,
    removed: bool,
    /// What is added to each semaphore when a process ends (`SEM_UNDO`).
    undo: BTreeMap<i32, Vec<i32>>,
}

/// What an operation waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Obstacle {
    index: usize,
    zero: bool,
    /// The operation would rather fail (`IPC_NOWAIT`).
    fails: bool,
}

/// Finds or makes a set (semget(2)). `EINVAL`, and those of [`Registry::get`].
pub fn get(key: i32, count: i32, flags: u32, cred: &Cred) -> Result<i32, Errno> {
    let count = usize::try_from(count).ok().filter(|count| *count as u64 <= SEMMSL).ok_or(Errno::EINVAL)?;
    let fits = |set: &SemaphoreSet| {
        if count > set.state.lock().semaphores.len() { Err(Errno::EINVAL) } else { Ok(()) }
    };
    SETS.get(key, flags, cred, SEMMNI, fits, |permissions| {
        if count == 0 { Err(Errno::EINVAL) } else { Ok(SemaphoreSet::new(count, permissions)) }
    })
}

/// `IPC_INFO`: the limits; `SEM_INFO`: with how much there is in two places (`semctl_info`).
pub fn info(in_use: bool) -> Seminfo {
    /// Bytes of a process's adjustments (`SEMUSZ`).
    const UNDO_BYTES: i32 = 20;
    let bounded = |value: u64| i32::try_from(value).unwrap_or(i32::MAX);
    let mut info = Seminfo {
        semmap: bounded(SEMMNS),
        semmni: bounded(SEMMNI),
        semmns: bounded(SEMMNS),
        semmnu: bounded(SEMMNS),
        semmsl: bounded(SEMMSL),
        semopm: bounded(SEMOPM),
        semume: bounded(SEMOPM),
        semusz: UNDO_BYTES,
        semvmx: bounded(SEMVMX),
        semaem: bounded(SEMVMX),
    };
    if in_use {
        let all = SETS.all();
        info.semusz = bounded(all.len() as u64);
        info.semaem = bounded(all.iter().map(|set| set.count() as u64).sum());
    }
    info
}

impl Object for SemaphoreSet {
    fn permissions(&self) -> IpcPerm {
        self.state.lock().permissions
    }
}

impl SemaphoreSet {
    fn new(count: usize, permissions: IpcPerm) -> Self {
        let state = State {
            permissions,
            semaphores: vec![Semaphore::default(); count],
            operated_s: 0,
            changed_s: now_s(),
            removed: false,
            undo: BTreeMap::new(),
        };
        Self { state: SpinLock::new(Rank::Ipc, state), changed: WaitQueue::new() }
    }

    /// Does the operations for process `pid`, waiting until all can be done (semop(2), `do_semtimedop`). `EFBIG`,
    /// `EACCES`, `ERANGE`, `EAGAIN`, `EIDRM`.
    pub async fn operate(self: &Arc<Self>, operations: &[Sembuf], pid: i32, cred: &Cred) -> Result<(), Errno> {
        self.check_operations(operations, cred)?;
        let mut mark = None;
        self.changed
            .wait_until(|| {
                let tried = self.try_operate(operations, pid);
                match tried {
                    Ok(None) => Some(Ok(())),
                    Ok(Some(obstacle)) if obstacle.fails => Some(Err(Errno::EAGAIN)),
                    Ok(Some(obstacle)) => {
                        if mark.is_none() {
                            mark = Some(Mark::new(self.clone(), obstacle));
                        }
                        None
                    }
                    Err(error) => Some(Err(error)),
                }
            })
            .await
    }

    fn check_operations(&self, operations: &[Sembuf], cred: &Cred) -> Result<(), Errno> {
        let state = self.state.lock();
        if operations.iter().any(|operation| usize::from(operation.sem_num) >= state.semaphores.len()) {
            return Err(Errno::EFBIG);
        }
        let alters = operations.iter().any(|operation| operation.sem_op != 0);
        check(&state.permissions, if alters { ALTER } else { READ }, cred)
    }

    /// Does all operations, or none and says what is in the way (`perform_atomic_semop`).
    fn try_operate(&self, operations: &[Sembuf], pid: i32) -> Result<Option<Obstacle>, Errno> {
        let mut state = self.state.lock();
        if state.removed {
            return Err(Errno::EIDRM);
        }
        let before = state.semaphores.clone();
        let mut adjustments = vec![0; before.len()];
        let done = state.apply(operations, pid, &mut adjustments);
        if !matches!(done, Ok(None)) {
            state.semaphores = before;
            return done;
        }
        state.operated_s = now_s();
        if adjustments.iter().any(|adjustment| *adjustment != 0) {
            state.remember(pid, &adjustments);
        }
        drop(state);
        if operations.iter().any(|operation| operation.sem_op != 0) {
            self.changed.wake_all();
        }
        Ok(None)
    }

    /// The value of one semaphore, or another of its figures. `EINVAL`, `EACCES`.
    pub fn figure(&self, index: i32, which: Figure, cred: &Cred) -> Result<i32, Errno> {
        let state = self.readable(cred)?;
        let semaphore =
            usize::try_from(index).ok().and_then(|index| state.semaphores.get(index)).ok_or(Errno::EINVAL)?;
        Ok(match which {
            Figure::Value => semaphore.value,
            Figure::Pid => semaphore.pid,
            Figure::WaitingGrowth => semaphore.waiting_growth,
            Figure::WaitingZero => semaphore.waiting_zero,
        })
    }

    /// All values (`GETALL`). `EACCES`.
    pub fn values(&self, cred: &Cred) -> Result<Vec<u16>, Errno> {
        let state = self.readable(cred)?;
        // Values are at most SEMVMX.
        Ok(state.semaphores.iter().map(|semaphore| semaphore.value as u16).collect())
    }

    /// How many semaphores there are.
    pub fn count(&self) -> usize {
        self.state.lock().semaphores.len()
    }

    fn readable(&self, cred: &Cred) -> Result<crate::sync::SpinGuard<'_, State>, Errno> {
        let state = self.state.lock();
        check(&state.permissions, READ, cred)?;
        Ok(state)
    }

    /// Sets values from `first` on (`SETVAL`, `SETALL`), and forgets what was to be undone of them. `EACCES`,
    /// `EINVAL`, `ERANGE`, `EIDRM`.
    pub fn set_values(&self, first: i32, values: &[i32], pid: i32, cred: &Cred) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if values.iter().any(|value| !(0..=SEMVMX as i32).contains(value)) {
            return Err(Errno::ERANGE);
        }
        check(&state.permissions, ALTER, cred)?;
        if state.removed {
            return Err(Errno::EIDRM);
        }
        let first = usize::try_from(first).map_err(|_| Errno::EINVAL)?;
        let part = state.semaphores.get_mut(first..first + values.len()).ok_or(Errno::EINVAL)?;
        for (semaphore, value) in part.iter_mut().zip(values) {
            semaphore.value = *value;
            semaphore.pid = pid;
        }
        for undo in state.undo.values_mut() {
            undo[first..first + values.len()].fill(0);
        }
        state.changed_s = now_s();
        drop(state);
        self.changed.wake_all();
        Ok(())
    }

    /// `IPC_STAT`. `EACCES` unless `unchecked`.
    pub fn status(&self, unchecked: bool, cred: &Cred) -> Result<SemidDs, Errno> {
        let state = self.state.lock();
        if !unchecked {
            check(&state.permissions, READ, cred)?;
        }
        Ok(SemidDs {
            sem_perm: state.permissions,
            sem_otime: state.operated_s,
            sem_ctime: state.changed_s,
            sem_nsems: state.semaphores.len() as u64,
            ..SemidDs::default()
        })
    }

    /// `IPC_SET`. `EPERM`.
    pub fn set_permissions(&self, new: &IpcPerm, cred: &Cred) -> Result<(), Errno> {
        let mut state = self.state.lock();
        check_owner(&state.permissions, cred)?;
        update(&mut state.permissions, new);
        state.changed_s = now_s();
        Ok(())
    }
}

/// `IPC_RMID`: removes a set; who waits on it learns of that. `EINVAL`, `EPERM`.
pub fn remove(id: i32, cred: &Cred) -> Result<(), Errno> {
    let set = SETS.find(id)?;
    {
        let mut state = set.state.lock();
        check_owner(&state.permissions, cred)?;
        state.removed = true;
        UNDOS.fetch_sub(state.undo.len(), Ordering::Relaxed);
        state.undo.clear();
    }
    SETS.remove(id);
    set.changed.wake_all();
    Ok(())
}

/// Whether operations of the process are to be undone at its end.
pub fn has_undo(pid: i32) -> bool {
    UNDOS.load(Ordering::Relaxed) != 0 && SETS.all().iter().any(|set| set.state.lock().undo.contains_key(&pid))
}

/// A process has ended: its adjustments are made (`exit_sem`).
pub fn process_ended(pid: i32) {
    if UNDOS.load(Ordering::Relaxed) == 0 {
        return;
    }
    for set in SETS.all() {
        let mut state = set.state.lock();
        let Some(undo) = state.undo.remove(&pid) else { continue };
        UNDOS.fetch_sub(1, Ordering::Relaxed);
        for (semaphore, adjustment) in state.semaphores.iter_mut().zip(undo) {
            if adjustment != 0 {
                semaphore.value = (semaphore.value + adjustment).clamp(0, SEMVMX as i32);
                semaphore.pid = pid;
            }
        }
        state.operated_s = now_s();
        drop(state);
        set.changed.wake_all();
    }
}

/// One of a semaphore's figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Figure {
    /// Its value (`GETVAL`).
    Value,
    /// Who changed it last (`GETPID`).
    Pid,
    /// How many wait for it to grow (`GETNCNT`).
    WaitingGrowth,
    /// How many wait for it to be zero (`GETZCNT`).
    WaitingZero,
}

impl State {
    /// Does the operations one after the other, until one is in the way of itself. The caller undoes them then.
    fn apply(&mut self, operations: &[Sembuf], pid: i32, adjustments: &mut [i32]) -> Result<Option<Obstacle>, Errno> {
        const MAX: i32 = SEMVMX as i32;
        for operation in operations {
            let index = usize::from(operation.sem_num);
            let by = i32::from(operation.sem_op);
            let flags = u32::from(operation.sem_flg.cast_unsigned());
            let fails = flags & IpcFlags::IPC_NOWAIT.bits() != 0;
            let semaphore = &mut self.semaphores[index];
            if (by == 0 && semaphore.value != 0) || semaphore.value + by < 0 {
                return Ok(Some(Obstacle { index, zero: by == 0, fails }));
            }
            if semaphore.value + by > MAX {
                return Err(Errno::ERANGE);
            }
            semaphore.value += by;
            semaphore.pid = pid;
            if flags & SEM_UNDO != 0 {
                adjustments[index] -= by;
                let total = adjustments[index] + self.undo.get(&pid).map_or(0, |undo| undo[index]);
                if !(-MAX - 1..=MAX).contains(&total) {
                    return Err(Errno::ERANGE);
                }
            }
        }
        Ok(None)
    }

    /// Adds to what is to be undone when the process ends.
    fn remember(&mut self, pid: i32, adjustments: &[i32]) {
        let undo = self.undo.entry(pid).or_insert_with(|| {
            UNDOS.fetch_add(1, Ordering::Relaxed);
            vec![0; adjustments.len()]
        });
        for (known, more) in undo.iter_mut().zip(adjustments) {
            *known += more;
        }
    }
}

/// Counts a waiter, for as long as it exists.
struct Mark {
    set: Arc<SemaphoreSet>,
    obstacle: Obstacle,
}

impl Mark {
    fn new(set: Arc<SemaphoreSet>, obstacle: Obstacle) -> Self {
        let mark = Self { set, obstacle };
        mark.count(1);
        mark
    }

    fn count(&self, by: i32) {
        let mut state = self.set.state.lock();
        let semaphore = &mut state.semaphores[self.obstacle.index];
        if self.obstacle.zero {
            semaphore.waiting_zero += by;
        } else {
            semaphore.waiting_growth += by;
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.count(-1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(number: u16, by: i16, flags: i16) -> Sembuf {
        Sembuf { sem_num: number, sem_op: by, sem_flg: flags }
    }

    fn set(values: &[i32]) -> Arc<SemaphoreSet> {
        let set = SemaphoreSet::new(values.len(), IpcPerm { mode: 0o600, ..IpcPerm::default() });
        set.set_values(0, values, 1, &Cred::root()).expect("they are in range");
        Arc::new(set)
    }

    fn values(set: &SemaphoreSet) -> Vec<u16> {
        set.values(&Cred::root()).expect("root may read")
    }

    #[test]
    fn operations_are_all_done_or_none() {
        let set = set(&[1, 0]);
        let both = [operation(0, -1, 0), operation(1, -1, 0)];
        let obstacle = Obstacle { index: 1, zero: false, fails: false };
        assert_eq!(set.try_operate(&both, 7), Ok(Some(obstacle)));
        assert_eq!(values(&set), [1, 0]);
        assert_eq!(set.try_operate(&[operation(1, 2, 0)], 7), Ok(None));
        assert_eq!(set.try_operate(&both, 7), Ok(None));
        assert_eq!(values(&set), [0, 1]);
    }

    #[test]
    fn waiting_for_zero_and_the_limit() {
        let set = set(&[5]);
        let obstacle = set.try_operate(&[operation(0, 0, IpcFlags::IPC_NOWAIT.bits() as i16)], 7);
        assert_eq!(obstacle, Ok(Some(Obstacle { index: 0, zero: true, fails: true })));
        assert_eq!(set.try_operate(&[operation(0, 32767, 0)], 7), Err(Errno::ERANGE));
        assert_eq!(values(&set), [5]);
    }
}
