//! System V shared memory: segments with numbers and keys (`ipc/shm.c`, `ipc/util.c`).
//!
//! A [`Segment`] is the object that mappings attach; the table, one for the machine, holds what the calls ask of it:
//! permissions, times, how many mappings there are. A segment that was removed lives on until its last mapping ends.
//!
//! Lock: the table's (rank `SharedMemory`), also taken when a mapping begins or ends, under an address space's lock.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::Errno;
use abi::ipc::{IPC_PRIVATE, IpcFlags, IpcPerm, SHM_DEST, SHM_LOCKED, SHMMAX, SHMMIN, SHMMNI, ShmInfo, ShmidDs};

use crate::fs::{Capabilities, Cred};
use crate::mem::{Backing, BackingIdentity, Frame, Mappers, PAGE_SIZE, PageError, SharedMemory};
use crate::sync::{Rank, SpinLock};
use crate::time::clock;

/// Bits of an identifier that index the table (`IPCMNI_SHIFT`); above them counts how often the index was used.
const INDEX_BITS: u32 = 15;

/// A segment's memory.
pub struct Segment {
    id: i32,
    size_bytes: u64,
    memory: Arc<SharedMemory>,
}

/// What the table knows of a segment.
struct Entry {
    segment: Arc<Segment>,
    status: ShmidDs,
}

struct Table {
    entries: BTreeMap<i32, Entry>,
    last_index: i32,
    sequence: i32,
}

static TABLE: SpinLock<Table> =
    SpinLock::new(Rank::SharedMemory, Table { entries: BTreeMap::new(), last_index: -1, sequence: 0 });

/// Finds or makes the segment of `key`, in the order of `ipcget()` and `newseg()`; gives its identifier. `mode` are the
/// permission bits of the call's flags.
///
/// Errors: ENOENT, EEXIST, EINVAL (too small or too large), EACCES, ENOSPC, ENOMEM.
pub fn get(key: i32, size_bytes: u64, flags: IpcFlags, mode: u32, pid: i32, cred: &Cred) -> Result<i32, Errno> {
    if key == IPC_PRIVATE {
        return create(key, size_bytes, mode, pid, cred);
    }
    let found = {
        let table = TABLE.lock();
        let entry = table.entries.values().find(|entry| entry.status.shm_perm.key == key);
        entry.map(|entry| (entry.segment.id, entry.status))
    };
    let Some((id, status)) = found else {
        return if flags.contains(IpcFlags::IPC_CREAT) {
            create(key, size_bytes, mode, pid, cred)
        } else {
            Err(Errno::ENOENT)
        };
    };
    if flags.contains(IpcFlags::IPC_CREAT | IpcFlags::IPC_EXCL) {
        return Err(Errno::EEXIST);
    }
    if size_bytes > status.shm_segsz {
        return Err(Errno::EINVAL);
    }
    check_permission(&status.shm_perm, mode, cred)?;
    Ok(id)
}

fn create(key: i32, size_bytes: u64, mode: u32, pid: i32, cred: &Cred) -> Result<i32, Errno> {
    if !(SHMMIN..=SHMMAX).contains(&size_bytes) {
        return Err(Errno::EINVAL);
    }
    let pages = size_bytes.div_ceil(PAGE_SIZE);
    if TABLE.lock().entries.len() as u64 >= SHMMNI {
        return Err(Errno::ENOSPC);
    }
    if pages > crate::mem::frame::total() as u64 {
        return Err(Errno::ENOMEM);
    }
    let identity = |id: i32| BackingIdentity {
        device: 1,
        inode: u64::from(id.unsigned_abs()),
        path: format!("/SYSV{key:08x} (deleted)"),
    };
    // The name needs the number, which is only known under the lock: take it first.
    let id = TABLE.lock().next_id();
    let memory = SharedMemory::named(pages, identity(id))?;
    let mut status = ShmidDs { shm_segsz: size_bytes, shm_cpid: pid, shm_ctime: now_s(), ..ShmidDs::default() };
    status.shm_perm = IpcPerm {
        key,
        uid: cred.euid,
        gid: cred.egid,
        cuid: cred.euid,
        cgid: cred.egid,
        mode: mode & 0o777,
        seq: u16::try_from(id >> INDEX_BITS).unwrap_or(u16::MAX),
        ..IpcPerm::default()
    };
    let segment = Arc::new(Segment { id, size_bytes, memory });
    TABLE.lock().entries.insert(id, Entry { segment, status });
    Ok(id)
}

/// The segment to attach, its permissions checked: to read, and to write unless `read_only`, and to execute if
/// `executes`. Errors: EINVAL, EACCES.
pub fn attach(id: i32, read_only: bool, executes: bool, cred: &Cred) -> Result<Arc<Segment>, Errno> {
    let table = TABLE.lock();
    let entry = table.entries.get(&id).ok_or(Errno::EINVAL)?;
    let wanted = if read_only { 0o444 } else { 0o666 } | if executes { 0o111 } else { 0 };
    check_permission(&entry.status.shm_perm, wanted, cred)?;
    Ok(entry.segment.clone())
}

/// Notes who attached or detached last.
pub fn note_user(id: i32, pid: i32) {
    if let Some(entry) = TABLE.lock().entries.get_mut(&id) {
        entry.status.shm_lpid = pid;
    }
}

/// `IPC_STAT`: the segment's status. `unchecked` (`SHM_STAT_ANY`) needs no permission. Errors: EINVAL, EACCES.
pub fn status(id: i32, unchecked: bool, cred: &Cred) -> Result<ShmidDs, Errno> {
    let table = TABLE.lock();
    let entry = table.entries.get(&id).ok_or(Errno::EINVAL)?;
    if !unchecked {
        check_permission(&entry.status.shm_perm, 0o444, cred)?;
    }
    Ok(entry.status)
}

/// `SHM_STAT`: the identifier of the segment at an index of the table. Errors: EINVAL.
pub fn id_at(index: i32) -> Result<i32, Errno> {
    let table = TABLE.lock();
    table.entries.keys().copied().find(|id| index_of(*id) == index).ok_or(Errno::EINVAL)
}

/// `IPC_SET`: changes owner and permissions. Errors: EINVAL, EPERM.
pub fn set(id: i32, new: &IpcPerm, cred: &Cred) -> Result<(), Errno> {
    let mut table = TABLE.lock();
    let entry = table.entries.get_mut(&id).ok_or(Errno::EINVAL)?;
    check_owner(&entry.status.shm_perm, cred)?;
    let perm = &mut entry.status.shm_perm;
    (perm.uid, perm.gid) = (new.uid, new.gid);
    perm.mode = (perm.mode & !0o777) | (new.mode & 0o777);
    entry.status.shm_ctime = now_s();
    Ok(())
}

/// `IPC_RMID`: removes the segment, at once or when its last mapping ends. Errors: EINVAL, EPERM.
pub fn remove(id: i32, cred: &Cred) -> Result<(), Errno> {
    let removed = {
        let mut table = TABLE.lock();
        let entry = table.entries.get_mut(&id).ok_or(Errno::EINVAL)?;
        check_owner(&entry.status.shm_perm, cred)?;
        entry.status.shm_perm.mode |= SHM_DEST;
        entry.status.shm_perm.key = IPC_PRIVATE;
        if entry.status.shm_nattch == 0 { table.entries.remove(&id) } else { None }
    };
    drop(removed);
    Ok(())
}

/// `SHM_LOCK` and `SHM_UNLOCK`: memory is resident anyway; the status shows it. Errors: EINVAL, EPERM.
pub fn lock(id: i32, locks: bool, cred: &Cred) -> Result<(), Errno> {
    let mut table = TABLE.lock();
    let entry = table.entries.get_mut(&id).ok_or(Errno::EINVAL)?;
    let perm = &mut entry.status.shm_perm;
    if !cred.capable(Capabilities::IPC_LOCK) && cred.euid != perm.uid && cred.euid != perm.cuid {
        return Err(Errno::EPERM);
    }
    perm.mode = if locks { perm.mode | SHM_LOCKED } else { perm.mode & !SHM_LOCKED };
    Ok(())
}

/// `SHM_INFO`: the sums over all segments, and the highest index in use.
pub fn totals() -> (ShmInfo, i32) {
    let table = TABLE.lock();
    let highest = table.entries.keys().map(|id| index_of(*id)).max().unwrap_or(0);
    let memories: Vec<Arc<SharedMemory>> = table.entries.values().map(|entry| entry.segment.memory.clone()).collect();
    drop(table); // The pages' lock comes before the table's, which is taken when a map goes.
    let mut info = ShmInfo { used_ids: memories.len() as i32, ..ShmInfo::default() };
    for memory in memories {
        info.shm_tot += memory.pages();
        info.shm_rss += memory.resident_pages();
    }
    (info, highest)
}

/// `ipcperms()`: whether all of `wanted`'s permissions, in whichever of its three places, are granted.
fn check_permission(perm: &IpcPerm, wanted: u32, cred: &Cred) -> Result<(), Errno> {
    let wanted = (wanted >> 6 | wanted >> 3 | wanted) & 0o7;
    let granted = if cred.euid == perm.cuid || cred.euid == perm.uid {
        perm.mode >> 6
    } else if cred.in_group(perm.cgid) || cred.in_group(perm.gid) {
        perm.mode >> 3
    } else {
        perm.mode
    };
    if wanted & !granted == 0 || cred.capable(Capabilities::IPC_OWNER) { Ok(()) } else { Err(Errno::EACCES) }
}

fn check_owner(perm: &IpcPerm, cred: &Cred) -> Result<(), Errno> {
    let owns = cred.euid == perm.cuid || cred.euid == perm.uid || cred.capable(Capabilities::SYS_ADMIN);
    if owns { Ok(()) } else { Err(Errno::EPERM) }
}

fn index_of(id: i32) -> i32 {
    id & ((1 << INDEX_BITS) - 1)
}

fn now_s() -> i64 {
    i64::try_from(clock::realtime_ns() / 1_000_000_000).unwrap_or(i64::MAX)
}

impl Table {
    /// The next identifier: the lowest free index, under a new number whenever indices start over.
    fn next_id(&mut self) -> i32 {
        let is_used = |index: i32| self.entries.keys().any(|id| index_of(*id) == index);
        let index = (0..).find(|index| !is_used(*index)).unwrap_or(0);
        if index <= self.last_index {
            self.sequence = (self.sequence + 1) & 0xffff;
        }
        self.last_index = index;
        self.sequence << INDEX_BITS | index
    }
}

impl Segment {
    /// Its identifier.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Its size as it was asked for.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

impl Backing for Segment {
    fn page(&self, index: u64, write: bool) -> Result<Frame, PageError> {
        self.memory.page(index, write)
    }

    fn is_resident(&self, index: u64) -> bool {
        self.memory.is_resident(index)
    }

    fn mappers(&self) -> &Mappers {
        self.memory.mappers()
    }

    fn mapped(&self, _shared: bool, _writable: bool) -> Result<(), Errno> {
        let mut table = TABLE.lock();
        // Removed since the attacher looked it up: as if it had not been found.
        let entry = table.entries.get_mut(&self.id).ok_or(Errno::EIDRM)?;
        entry.status.shm_nattch += 1;
        entry.status.shm_atime = now_s();
        Ok(())
    }

    fn unmapped(&self, _shared: bool, _writable: bool) {
        let mut table = TABLE.lock();
        let Some(entry) = table.entries.get_mut(&self.id) else { return };
        entry.status.shm_nattch -= 1;
        entry.status.shm_dtime = now_s();
        let is_last = entry.status.shm_nattch == 0 && entry.status.shm_perm.mode & SHM_DEST != 0;
        // The mapping that ends still holds the segment: nothing is freed under the lock.
        drop(is_last.then(|| table.entries.remove(&self.id)));
    }

    fn is_memory(&self) -> bool {
        true
    }

    fn identity(&self) -> BackingIdentity {
        self.memory.identity()
    }

    fn segment_bytes(&self) -> Option<u64> {
        Some(self.size_bytes)
    }

    fn punch(&self, pages: Range<u64>) -> Result<(), Errno> {
        self.memory.punch(pages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{AddressSpace, BackingAt, MapRequest, Prot, VmFlags};

    fn root() -> Cred {
        Cred::root()
    }

    #[test]
    fn a_segment_removed_while_attached_goes_with_its_last_mapping() {
        let id = get(IPC_PRIVATE, 5000, IpcFlags::empty(), 0o600, 7, &root()).expect("room");
        let segment = attach(id, false, false, &root()).expect("ours");
        let space = AddressSpace::new().expect("memory");
        let at = BackingAt { object: segment.clone(), first_page: 0 };
        let request = MapRequest {
            len: 5000,
            prot: Prot::READ | Prot::WRITE,
            flags: VmFlags::SHARED,
            backing: Some(at),
            ..MapRequest::default()
        };
        let addr = space.map(&request).expect("room");
        let child = space.fork().expect("memory");
        let seen = status(id, false, &root()).expect("there");
        assert_eq!((seen.shm_nattch, seen.shm_segsz, seen.shm_cpid), (2, 5000, 7));
        assert_eq!(remove(id, &root()), Ok(()));
        assert_eq!(space.detach_segment(addr), Ok(()));
        assert_eq!(space.detach_segment(addr), Err(Errno::EINVAL));
        assert!(status(id, false, &root()).is_ok_and(|status| status.shm_perm.mode & SHM_DEST != 0));
        drop(child);
        assert_eq!(status(id, false, &root()).err(), Some(Errno::EINVAL));
    }

    #[test]
    fn keys_find_segments_and_permissions_guard_them() {
        let key = 0x5253_0001;
        let (root, other) = (root(), Cred::user(1000, 1000));
        let create = IpcFlags::IPC_CREAT;
        assert_eq!(get(key, 100, IpcFlags::empty(), 0, 1, &root), Err(Errno::ENOENT));
        let id = get(key, 100, create, 0o640, 1, &root).expect("room");
        assert_eq!(get(key, 100, create, 0o600, 1, &root), Ok(id));
        assert_eq!(get(key, 101, create, 0o600, 1, &root), Err(Errno::EINVAL));
        assert_eq!(get(key, 100, create | IpcFlags::IPC_EXCL, 0o600, 1, &root), Err(Errno::EEXIST));
        assert_eq!(get(key, 100, IpcFlags::empty(), 0o400, 1, &other), Err(Errno::EACCES));
        assert_eq!(attach(id, true, false, &other).err(), Some(Errno::EACCES));
        assert_eq!(remove(id, &other), Err(Errno::EPERM));
        assert_eq!(remove(id, &root), Ok(()));
        assert_eq!(get(key, 0, create, 0o600, 1, &root), Err(Errno::EINVAL));
    }
}
