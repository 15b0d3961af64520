//! Leases: a holder is told before others open or cut a file in a way that would disturb it, and has some time to
//! give the lease back (`fs/locks.c`: `generic_setlease`, `__break_lease`).
//!
//! They lie beside an inode's record locks, under a lock of their own (rank `FileLocks`), held alone.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::Errno;
use abi::fcntl::{F_RDLCK, F_UNLCK, F_WRLCK};

use super::later::later;
use super::locks::Kind;
use super::sigio::{self, Reason};
use super::{AccessFlags, Capabilities, Cred, File, FileKind, Inode};
use crate::sync::{Setting, executor};
use crate::time::monotonic_ns;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Seconds a holder has (`/proc/sys/fs/lease-break-time`).
pub static BREAK_SECONDS: Setting = Setting::new(45, 0..=i32::MAX as i64);

/// A lease.
pub(super) struct Lease {
    file: Weak<File>,
    fd: i32,
    kind: Kind,
    /// What its holder is asked to make of it, and until when.
    wanted: Option<(Kind, u64)>,
}

/// The leases on an inode.
pub(super) type Leases = Vec<Lease>;

impl Lease {
    pub(super) fn is_of(&self, file: *const File) -> bool {
        core::ptr::eq(self.file.as_ptr(), file)
    }

    /// Whether an open for writing, or for reading alone, disturbs it.
    fn conflicts(&self, writes: bool) -> bool {
        writes || self.kind == Kind::Write
    }
}

/// Leases whose time is over become what they were asked to become (`time_out_leases`).
fn expire(leases: &mut Leases) {
    let now_ns = monotonic_ns();
    for lease in leases.iter_mut() {
        if let Some((kind, _)) = lease.wanted.filter(|(_, deadline_ns)| *deadline_ns <= now_ns) {
            (lease.kind, lease.wanted) = (kind, None);
        }
    }
    leases.retain(|lease| lease.kind != Kind::None);
}

/// fcntl(F_GETLEASE) (`fcntl_getlease`): what the file's lease is, or is asked to become.
pub fn get(file: &File) -> u32 {
    let held = file.inode().locks().and_then(|locks| {
        let mut leases = locks.leases.lock();
        expire(&mut leases);
        let mine = leases.iter().find(|lease| lease.is_of(file));
        mine.map(|lease| lease.wanted.map_or(lease.kind, |(kind, _)| kind))
    });
    match held {
        Some(Kind::Read) => F_RDLCK,
        Some(Kind::Write) => F_WRLCK,
        Some(Kind::None) | None => F_UNLCK,
    }
}

/// fcntl(F_SETLEASE). `EACCES` on another's file, `EINVAL` for what is no regular file or no lease, `EAGAIN` if the file is open
/// in a way that the lease is to be told of, or there is no lease to give back.
pub fn set(file: &Arc<File>, fd: i32, kind: u64, cred: &Cred) -> Result<(), Errno> {
    let inode = file.inode();
    if inode.attributes().uid != cred.fsuid && !cred.capable(Capabilities::LEASE) {
        return Err(Errno::EACCES);
    }
    if inode.kind != FileKind::Regular {
        return Err(Errno::EINVAL);
    }
    let kind = match u32::try_from(kind) {
        Ok(F_RDLCK) => Kind::Read,
        Ok(F_WRLCK) => Kind::Write,
        Ok(F_UNLCK) => return if end(inode, Arc::as_ptr(file)) { Ok(()) } else { Err(Errno::EAGAIN) },
        _ => return Err(Errno::EINVAL),
    };
    let locks = inode.locks_or_new();
    {
        let mut leases = locks.leases.lock();
        expire(&mut leases);
        let others = |lease: &&Lease| !lease.is_of(Arc::as_ptr(file));
        let in_the_way =
            |lease: &Lease| kind == Kind::Write || lease.wanted.is_some_and(|(wanted, _)| wanted == Kind::None);
        if open_otherwise(file, kind) || leases.iter().filter(others).any(in_the_way) {
            return Err(Errno::EAGAIN);
        }
        match leases.iter_mut().find(|lease| lease.is_of(Arc::as_ptr(file))) {
            Some(mine) => (mine.kind, mine.wanted) = (kind, None),
            None => leases.push(Lease { file: Arc::downgrade(file), fd, kind, wanted: None }),
        }
    }
    locks.changed.wake_all();
    Ok(())
}

/// Whether somebody has the file open in a way that excludes such a lease (`check_conflicting_open`): for writing, or but for
/// the holder at all.
fn open_otherwise(file: &File, kind: Kind) -> bool {
    let (writers, readers) = file.inode().openers();
    let writes = i32::from(file.flags().writable());
    if kind == Kind::Read { writers > 0 } else { writers != writes || readers != 1 - writes }
}

/// The file's lease ends. Says whether there was one.
pub(super) fn end(inode: &Inode, file: *const File) -> bool {
    let Some(locks) = inode.locks() else { return false };
    let ended = {
        let mut leases = locks.leases.lock();
        let before = leases.len();
        leases.retain(|lease| !lease.is_of(file));
        leases.len() < before
    };
    if ended {
        locks.changed.wake_all();
    }
    ended
}

/// Somebody opens the inode, or cuts it: holders in the way are told, and have [`BREAK_SECONDS`] (`__break_lease`). `EAGAIN`
/// for one who will not wait; else the call is made again when they have gone.
/// Deviates: until then it is only the thread's end that interrupts the wait.
#[inline]
pub(super) fn break_for(inode: &Arc<Inode>, writes: bool, waits: bool) -> Result<(), Errno> {
    if inode.locks().is_none() { Ok(()) } else { ask_holders(inode, writes, waits) }
}

#[cold]
fn ask_holders(inode: &Arc<Inode>, writes: bool, waits: bool) -> Result<(), Errno> {
    let locks = inode.locks_or_new();
    let deadline_ns = monotonic_ns().saturating_add((BREAK_SECONDS.count() as u64).saturating_mul(NS_PER_SECOND));
    let wanted = if writes { Kind::None } else { Kind::Read };
    let mut told = Vec::new();
    let latest_ns = {
        let mut leases = locks.leases.lock();
        expire(&mut leases);
        let mut latest_ns = None;
        for lease in leases.iter_mut().filter(|lease| lease.conflicts(writes)) {
            let known = lease.wanted.is_some_and(|(kind, _)| kind == wanted || kind == Kind::None);
            if !known {
                lease.wanted = Some((wanted, deadline_ns));
                told.push((lease.file.clone(), lease.fd));
            }
            latest_ns = latest_ns.max(lease.wanted.map(|(_, at_ns)| at_ns));
        }
        latest_ns
    };
    let Some(latest_ns) = latest_ns else { return Ok(()) };
    for (file, fd) in told {
        sigio::tell(file, fd, Reason::Message);
    }
    if !waits {
        return Err(Errno::EAGAIN);
    }
    let key = [b"lease".as_slice(), &(Arc::as_ptr(inode) as usize).to_ne_bytes()].concat();
    later(key, holders_gone(inode.clone(), writes, latest_ns))
}

/// Waits until no lease is in the way, or its holder's time is over.
async fn holders_gone(inode: Arc<Inode>, writes: bool, deadline_ns: u64) -> Result<(), Errno> {
    let locks = inode.locks_or_new();
    let gone = locks.changed.wait_until(|| {
        let in_the_way = locks.leases.lock().iter().any(|lease| lease.conflicts(writes));
        (!in_the_way).then_some(())
    });
    // When the time is over, the call that is made again finds the leases gone.
    let _ = executor::timeout_at(deadline_ns, gone).await;
    Ok(())
}
