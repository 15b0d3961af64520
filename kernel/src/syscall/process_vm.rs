//! Another process's memory: process_vm_readv(2), process_vm_writev(2), process_madvise(2), process_mrelease(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::mman::{MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED};

use super::args::Pointer;
use super::{Cx, SyscallResult, memory};
use crate::fs::Capabilities;
use crate::mem::user::IOV_MAX;
use crate::mem::{Access, AddressSpace, PAGE_SIZE, UserBuffers, UserIn};
use crate::process::pidfd;

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

/// process_madvise(2): advice about another process's memory, by a pidfd; gives the bytes advised about. Errors: EINVAL,
/// EFAULT, EBADF, ESRCH, EPERM, ENOMEM. Order: `sys_process_madvise()`.
pub fn sys_process_madvise(
    cx: &mut Cx<'_>,
    pidfd: i32,
    Pointer(vector): Pointer,
    count: u64,
    advice: u32,
    flags: u32,
) -> SyscallResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let ranges = remote_ranges(vector, count)?;
    let file = cx.private.files.get(pidfd)?;
    let process = pidfd::process_of(&file)?;
    if process.is_reaped() {
        return Err(Errno::ESRCH);
    }
    if !matches!(advice, MADV_COLD | MADV_PAGEOUT | MADV_WILLNEED) {
        return Err(Errno::EINVAL);
    }
    let advice = memory::decode_advice(advice).ok_or(Errno::EINVAL)?;
    let is_own = Arc::ptr_eq(&process, cx.process());
    let thread = process.threads().live.values().next().cloned().ok_or(Errno::ESRCH)?;
    if !is_own && !thread.may_be_seen_by(&cx.private.cred) {
        return Err(Errno::EPERM);
    }
    let space = thread.space().ok_or(Errno::ESRCH)?;
    if !is_own && !cx.private.cred.capable(Capabilities::SYS_NICE) {
        return Err(Errno::EPERM);
    }
    let mut done = 0;
    for [base, len] in ranges {
        match space.advise(base, len, advice) {
            Ok(()) => done += len,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    usize::try_from(done).map_err(|_| Errno::EINVAL)
}

/// process_mrelease(2): when it returns, the memory of a process that is being killed is free. A dying thread gives its
/// memory back at once here, so all there is to do is to wait for the last one. Errors: EINVAL (also for a process
/// that is not dying), EBADF, ESRCH, EINTR.
pub async fn sys_process_mrelease(cx: &mut Cx<'_>, pidfd: i32, flags: u32) -> SyscallResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let file = cx.private.files.get(pidfd)?;
    let process = pidfd::process_of(&file)?;
    if process.is_reaped() || process.end_status().is_some() {
        return Err(Errno::ESRCH);
    }
    if process.signals.exit_status().is_none() {
        return Err(Errno::EINVAL);
    }
    cx.killable(process.ended.wait_until(|| process.end_status())).await.map_err(|_| Errno::EINTR)?;
    Ok(0)
}
