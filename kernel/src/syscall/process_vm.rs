//! Another process's memory: process_vm_readv and process_vm_writev.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;

use super::args::Pointer;
use super::{Cx, SyscallResult};
use crate::mem::user::IOV_MAX;
use crate::mem::{Access, AddressSpace, PAGE_SIZE, UserBuffers, UserIn};

/// process_vm_readv(2), `process_vm_rw()`. Gives the bytes copied before the first fault on either side.
/// Errors: EINVAL, EFAULT, ESRCH, EPERM, ENOMEM.
pub fn sys_process_vm_readv(
    cx: &mut Cx<'_>,
    pid: i32,
    Pointer(local): Pointer,
    local_count: u64,
    Pointer(remote): Pointer,
    remote_count: u64,
    flags: u64,
) -> SyscallResult {
    transfer(cx, pid, (local, local_count), (remote, remote_count), flags, Access::Read)
}

/// process_vm_writev(2), `process_vm_rw()`. Errors: as [`sys_process_vm_readv`].
pub fn sys_process_vm_writev(
    cx: &mut Cx<'_>,
    pid: i32,
    Pointer(local): Pointer,
    local_count: u64,
    Pointer(remote): Pointer,
    remote_count: u64,
    flags: u64,
) -> SyscallResult {
    transfer(cx, pid, (local, local_count), (remote, remote_count), flags, Access::Write)
}

fn transfer(
    cx: &mut Cx<'_>,
    pid: i32,
    local: (u64, u64),
    remote: (u64, u64),
    flags: u64,
    access: Access,
) -> SyscallResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let mut local = UserBuffers::vector(local.0, local.1)?;
    if local.is_empty() {
        return Ok(0);
    }
    let remote = remote_ranges(remote.0, remote.1)?;
    if remote.iter().all(|[_, len]| *len == 0) {
        return Ok(0);
    }
    let thread = cx.process().table.thread(pid).ok_or(Errno::ESRCH)?;
    if !Arc::ptr_eq(&thread.process, cx.process()) && !thread.may_be_seen_by(&cx.private.cred) {
        return Err(Errno::EPERM);
    }
    let space = thread.space().ok_or(Errno::ESRCH)?;
    let mut done = 0;
    for [base, len] in remote {
        let wanted = len.min(local.remaining());
        let copied = copy(&space, base, wanted, &mut local, access);
        done += copied;
        if copied < wanted || local.is_empty() {
            break;
        }
    }
    if done == 0 { Err(Errno::EFAULT) } else { usize::try_from(done).map_err(|_| Errno::EFAULT) }
}

/// The remote vector, whose addresses mean nothing here. Errors: EINVAL, EFAULT, ENOMEM.
fn remote_ranges(addr: u64, count: u64) -> Result<Vec<[u64; 2]>, Errno> {
    if count > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let claim = UserIn::<[u64; 2]>::new(addr);
    let mut ranges = Vec::new();
    for index in 0..count {
        let range @ [_, len] = claim.element(index).read()?;
        if i64::try_from(len).is_err() {
            return Err(Errno::EINVAL);
        }
        ranges.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        ranges.push(range);
    }
    Ok(ranges)
}

/// Copies between `len` bytes at `base` of `space` and the caller's buffers; gives the bytes copied.
fn copy(space: &AddressSpace, base: u64, len: u64, local: &mut UserBuffers, access: Access) -> u64 {
    let mut done = 0;
    while done < len {
        let Some(at) = base.checked_add(done) else { break };
        let offset = at % PAGE_SIZE;
        let count = (PAGE_SIZE - offset).min(len - done);
        let Ok(frame) = space.frame_at(at, access) else { break };
        let (start, bytes) = (offset as usize, count as usize);
        let copied = match access {
            Access::Write => frame.copy_from_user(start, bytes, local),
            Access::Read | Access::Exec => frame.copy_to_user(start, bytes, local),
        };
        done += copied as u64;
        if copied < bytes {
            break;
        }
    }
    done
}
