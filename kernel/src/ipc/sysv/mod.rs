//! System V semaphores and message queues: objects with numbers, keys and permissions (sysvipc(7), `ipc/util.c`).
//! Shared memory, which is mapped, is in `ipc/shm.rs`.
//!
//! A [`Registry`] holds the objects of one kind. An object lives on while somebody uses it, but once removed every
//! call on it fails.
//!
//! Locks: a registry's table (rank `SysvTable`), then an object's state (rank `Ipc`).

pub mod msg;
pub mod sem;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use abi::Errno;
use abi::ipc::{IPC_PRIVATE, IpcFlags, IpcPerm};

use crate::fs::{Capabilities, Cred};
use crate::sync::{Rank, SpinLock};
use crate::time::realtime_ns;

/// Bits of an identifier that index the table (`IPCMNI_SHIFT`); those above count how often the index was used.
const INDEX_BITS: u32 = 15;
/// How far the count goes before it starts again.
const SEQUENCES: i32 = i32::MAX >> INDEX_BITS;

/// Permission to read an object's state or take from it.
pub const READ: u32 = 0o444;
/// Permission to change an object.
pub const ALTER: u32 = 0o222;

/// An object with permissions.
pub trait Object: Send + Sync {
    /// Its permissions now.
    fn permissions(&self) -> IpcPerm;
}

struct Table<T> {
    objects: BTreeMap<i32, Arc<T>>,
    next_index: i32,
    sequence: i32,
}

/// The objects of one kind.
pub struct Registry<T>(SpinLock<Table<T>>);

impl<T: Object> Registry<T> {
    /// No objects yet.
    pub const fn new() -> Self {
        Self(SpinLock::new(Rank::SysvTable, Table { objects: BTreeMap::new(), next_index: 0, sequence: 0 }))
    }

    /// Finds or makes the object of `key` (`ipcget`), and gives its identifier. `fits` has the last word on an
    /// object that is there. `ENOENT`, `EEXIST`, `EACCES`, `ENOSPC` beyond `most` objects.
    pub fn get(
        &self,
        key: i32,
        flags: u32,
        cred: &Cred,
        most: u64,
        fits: impl FnOnce(&T) -> Result<(), Errno>,
        make: impl FnOnce(IpcPerm) -> Result<T, Errno>,
    ) -> Result<i32, Errno> {
        let mut table = self.0.lock();
        let known = |(_, object): &(&i32, &Arc<T>)| key != IPC_PRIVATE && object.permissions().key == key;
        let found = table.objects.iter().find(known).map(|(id, object)| (*id, object.clone()));
        let options = IpcFlags::from_bits_truncate(flags);
        match found {
            Some(_) if options.contains(IpcFlags::IPC_CREAT | IpcFlags::IPC_EXCL) => Err(Errno::EEXIST),
            Some((id, object)) => {
                fits(&object)?;
                check(&object.permissions(), flags, cred)?;
                Ok(id)
            }
            None if key != IPC_PRIVATE && !options.contains(IpcFlags::IPC_CREAT) => Err(Errno::ENOENT),
            None if table.objects.len() as u64 >= most => Err(Errno::ENOSPC),
            None => {
                let id = table.free_id();
                let object = Arc::new(make(fresh_permissions(key, id, flags, cred))?);
                table.objects.insert(id, object);
                Ok(id)
            }
        }
    }

    /// The object of that identifier. `EINVAL`.
    pub fn find(&self, id: i32) -> Result<Arc<T>, Errno> {
        self.0.lock().objects.get(&id).cloned().ok_or(Errno::EINVAL)
    }

    /// The object at that index of the table, and its identifier (the `STAT` commands by index). `EINVAL`.
    pub fn at_index(&self, index: i32) -> Result<(i32, Arc<T>), Errno> {
        let table = self.0.lock();
        let found = table.objects.iter().find(|(id, _)| **id & ((1 << INDEX_BITS) - 1) == index);
        found.map(|(id, object)| (*id, object.clone())).ok_or(Errno::EINVAL)
    }

    /// Takes an object out of the table.
    pub fn remove(&self, id: i32) {
        let removed = self.0.lock().objects.remove(&id);
        drop(removed);
    }

    /// Every object.
    pub fn all(&self) -> alloc::vec::Vec<Arc<T>> {
        self.0.lock().objects.values().cloned().collect()
    }

    /// Every object with its identifier, by index: /proc/sysvipc.
    pub fn entries(&self) -> alloc::vec::Vec<(i32, Arc<T>)> {
        let table = self.0.lock();
        let mut entries: alloc::vec::Vec<_> = table.objects.iter().map(|(id, object)| (*id, object.clone())).collect();
        entries.sort_by_key(|(id, _)| id & ((1 << INDEX_BITS) - 1));
        entries
    }

    /// The highest index in use; 0 if none is (the `INFO` commands give it).
    pub fn highest_index(&self) -> i32 {
        self.0.lock().objects.keys().map(|id| id & ((1 << INDEX_BITS) - 1)).max().unwrap_or(0)
    }
}

impl<T> Table<T> {
    /// An identifier nobody has: the lowest free index from the last one on.
    fn free_id(&mut self) -> i32 {
        loop {
            let index = self.next_index;
            self.next_index = (index + 1) & ((1 << INDEX_BITS) - 1);
            if self.next_index == 0 {
                self.sequence = (self.sequence + 1) % SEQUENCES;
            }
            let taken = self.objects.keys().any(|id| id & ((1 << INDEX_BITS) - 1) == index);
            if !taken {
                return self.sequence << INDEX_BITS | index;
            }
        }
    }
}

fn fresh_permissions(key: i32, id: i32, flags: u32, cred: &Cred) -> IpcPerm {
    IpcPerm {
        key,
        uid: cred.euid,
        gid: cred.egid,
        cuid: cred.euid,
        cgid: cred.egid,
        mode: flags & 0o777,
        seq: u16::try_from(id >> INDEX_BITS).unwrap_or(u16::MAX),
        ..IpcPerm::default()
    }
}

/// Whether the caller may do what the permission bits of `wanted` say (`ipcperms`). `EACCES`.
pub fn check(permissions: &IpcPerm, wanted: u32, cred: &Cred) -> Result<(), Errno> {
    let wanted = (wanted >> 6) | (wanted >> 3) | wanted;
    let granted = if cred.euid == permissions.uid || cred.euid == permissions.cuid {
        permissions.mode >> 6
    } else if cred.in_group(permissions.gid) || cred.in_group(permissions.cgid) {
        permissions.mode >> 3
    } else {
        permissions.mode
    };
    let denied = wanted & !granted & 0o7 != 0;
    if denied && !cred.capable(Capabilities::IPC_OWNER) { Err(Errno::EACCES) } else { Ok(()) }
}

/// Whether the caller may remove the object or change its permissions (`ipcctl_obtain_check`). `EPERM`.
pub fn check_owner(permissions: &IpcPerm, cred: &Cred) -> Result<(), Errno> {
    let owns = cred.euid == permissions.uid || cred.euid == permissions.cuid;
    if owns || cred.capable(Capabilities::SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
}

/// Takes over what `IPC_SET` may change.
fn update(permissions: &mut IpcPerm, new: &IpcPerm) {
    permissions.uid = new.uid;
    permissions.gid = new.gid;
    permissions.mode = (permissions.mode & !0o777) | (new.mode & 0o777);
}

/// The time of day in seconds.
fn now_s() -> i64 {
    const NS_PER_S: u64 = 1_000_000_000;
    (realtime_ns() / NS_PER_S).cast_signed()
}
