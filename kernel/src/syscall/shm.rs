//! System V shared memory.

use abi::Errno;
use abi::ipc::*;

use super::args::Pointer;
use super::{Cx, SyscallResult};
use crate::ipc::shm;
use crate::mem::{BackingAt, MapRequest, PAGE_SIZE, Placement, Prot, UserIn, UserOut, VmFlags};

/// shmget(2), `ksys_shmget()`. Errors: ENOENT, EEXIST, EINVAL, EACCES, ENOSPC, ENOMEM.
///
/// Deviates: no huge page is ever reserved, so `SHM_HUGETLB` fails with ENOMEM.
pub fn sys_shmget(cx: &mut Cx<'_>, key: i32, size: u64, flags: u32) -> SyscallResult {
    if flags & SHM_HUGETLB != 0 {
        return Err(Errno::ENOMEM);
    }
    let pid = cx.process().pid;
    let id = shm::get(key, size, IpcFlags::from_bits_truncate(flags), flags & 0o777, pid, &cx.private.cred)?;
    encode(id)
}

/// shmat(2), `do_shmat()`; gives the address. Errors: EINVAL, EACCES, EIDRM, ENOMEM.
pub fn sys_shmat(cx: &mut Cx<'_>, id: i32, Pointer(addr): Pointer, flags: u32) -> SyscallResult {
    let flags = ShmatFlags::from_bits_retain(flags);
    let mut addr = addr;
    if addr % PAGE_SIZE != 0 {
        if !flags.contains(ShmatFlags::SHM_RND) {
            return Err(Errno::EINVAL);
        }
        addr &= !(PAGE_SIZE - 1);
    }
    let replaces = flags.contains(ShmatFlags::SHM_REMAP);
    if addr == 0 && replaces {
        return Err(Errno::EINVAL);
    }
    let read_only = flags.contains(ShmatFlags::SHM_RDONLY);
    let executes = flags.contains(ShmatFlags::SHM_EXEC);
    let segment = shm::attach(id, read_only, executes, &cx.private.cred)?;
    let mut prot = Prot::READ;
    prot.set(Prot::WRITE, !read_only);
    prot.set(Prot::EXEC, executes);
    let mut map_flags = VmFlags::SHARED;
    map_flags.set(VmFlags::NEVER_WRITE, read_only);
    let request = MapRequest {
        addr,
        len: segment.size_bytes(),
        prot,
        placement: match (addr, replaces) {
            (0, _) => Placement::Hint,
            (_, true) => Placement::Fixed,
            (_, false) => Placement::FixedNoReplace,
        },
        backing: Some(BackingAt { object: segment, first_page: 0 }),
        flags: map_flags,
        ..MapRequest::default()
    };
    let placed = cx.private.space.map(&request).map_err(|error| match error {
        Errno::EEXIST => Errno::EINVAL,
        other => other,
    })?;
    shm::note_user(id, cx.process().pid);
    usize::try_from(placed).map_err(|_| Errno::ENOMEM)
}

/// shmdt(2), `ksys_shmdt()`. Errors: EINVAL.
pub fn sys_shmdt(cx: &mut Cx<'_>, Pointer(addr): Pointer) -> SyscallResult {
    cx.private.space.detach_segment(addr).map(|()| 0)
}

/// shmctl(2), `ksys_shmctl()`. Errors: EINVAL, EACCES, EPERM, EFAULT.
pub fn sys_shmctl(cx: &mut Cx<'_>, id: i32, command: u32, Pointer(buffer): Pointer) -> SyscallResult {
    let cred = cx.private.cred.clone();
    if i32::try_from(command).is_err() || id < 0 {
        return Err(Errno::EINVAL);
    }
    match command {
        IPC_STAT => {
            UserOut::new(buffer).write(&shm::status(id, false, &cred)?)?;
            Ok(0)
        }
        SHM_STAT | SHM_STAT_ANY => {
            let id = shm::id_at(id)?;
            UserOut::new(buffer).write(&shm::status(id, command == SHM_STAT_ANY, &cred)?)?;
            encode(id)
        }
        IPC_SET => {
            let new: ShmidDs = UserIn::new(buffer).read()?;
            shm::set(id, &new.shm_perm, &cred).map(|()| 0)
        }
        IPC_RMID => shm::remove(id, &cred).map(|()| 0),
        SHM_LOCK | SHM_UNLOCK => shm::lock(id, command == SHM_LOCK, &cred).map(|()| 0),
        IPC_INFO => {
            let limits = Shminfo {
                shmmax: SHMMAX,
                shmmin: SHMMIN,
                shmmni: SHMMNI,
                shmseg: SHMMNI,
                shmall: SHMALL,
                ..Shminfo::default()
            };
            UserOut::new(buffer).write(&limits)?;
            encode(shm::totals().1)
        }
        SHM_INFO => {
            let (info, highest) = shm::totals();
            UserOut::new(buffer).write(&info)?;
            encode(highest)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// An identifier as a return value. Identifiers are not negative.
fn encode(id: i32) -> SyscallResult {
    usize::try_from(id).map_err(|_| Errno::EINVAL)
}
