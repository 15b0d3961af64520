//! Memory: mmap and its family, brk, advice, locking, residency, barriers.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::mman::*;
use abi::prctl::READ_IMPLIES_EXEC;

use super::args::Pointer;
use super::{Cx, SyscallResult};
use crate::fs::{AccessFlags, Capabilities, File, MmapRequest, MountFlags};
use crate::mem::space::{Advice, Only, RemapRequest};
use crate::mem::{BackingAt, MapRequest, PAGE_SHIFT, PAGE_SIZE, Placement, USER_END, UserSlice, VmFlags};

/// Pages whose residency is copied out at a time.
const RESIDENCY_CHUNK_PAGES: usize = 512;

/// mmap(2), `ksys_mmap_pgoff()` and `do_mmap()`. Never waits: every object that can be mapped is in memory.
///
/// Errors: EINVAL, EBADF, EACCES, EPERM, ENODEV, EOVERFLOW, EOPNOTSUPP, EEXIST, ENOMEM, EAGAIN.
/// Deviates: no huge page is ever reserved, so `MAP_HUGETLB` fails as on a Linux without any; objects refuse before the
/// address is chosen.
pub fn sys_mmap(
    cx: &mut Cx<'_>,
    Pointer(addr): Pointer,
    len: u64,
    prot: u64,
    flags: u64,
    fd: i32,
    offset: u64,
) -> SyscallResult {
    if offset % PAGE_SIZE != 0 {
        return Err(Errno::EINVAL);
    }
    let map = MapFlags::from_bits_retain(flags);
    let file = match map.contains(MapFlags::MAP_ANONYMOUS) {
        true => None,
        false => Some(cx.private.files.get(fd)?),
    };
    if map.contains(MapFlags::MAP_HUGETLB) {
        return Err(refusal_of_huge_pages(flags, file.is_some()));
    }
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let mut request = MapRequest {
        addr,
        len,
        prot: protection(cx, prot),
        placement: placement(map),
        flags: mapping_flags(map),
        populate: map.contains(MapFlags::MAP_POPULATE) && !map.contains(MapFlags::MAP_NONBLOCK),
        may_lock: cx.private.cred.capable(Capabilities::IPC_LOCK),
        ..MapRequest::default()
    };
    let kind = flags & MAP_TYPE;
    match &file {
        Some(file) => map_file(&mut request, file, kind, flags, offset)?,
        None => match kind {
            1 if map.contains(MapFlags::MAP_GROWSDOWN) => return Err(Errno::EINVAL),
            1 => request.flags |= VmFlags::SHARED,
            2 => {}
            _ => return Err(Errno::EINVAL),
        },
    }
    encode(cx.private.space.map(&request)?)
}

/// What access is asked for: what can be read can be executed, too, where the caller's personality says so.
fn protection(cx: &Cx<'_>, asked: u64) -> crate::mem::Prot {
    use crate::mem::Prot;
    let prot = Prot::from_bits_truncate(asked.to_le_bytes()[0]);
    let implies = prot.contains(Prot::READ) && cx.thread.personality.load(Ordering::Relaxed) & READ_IMPLIES_EXEC != 0;
    if implies { prot | Prot::EXEC } else { prot }
}

/// What maps a file: its mode must allow it, and the object must be one that can be mapped.
fn map_file(request: &mut MapRequest, file: &Arc<File>, kind: u64, flags: u64, offset: u64) -> Result<(), Errno> {
    use crate::mem::Prot;
    let first_page = offset >> PAGE_SHIFT;
    let pages = request.len.div_ceil(PAGE_SIZE);
    if i64::try_from(first_page.saturating_add(pages) << PAGE_SHIFT).is_err() {
        return Err(Errno::EOVERFLOW);
    }
    let (readable, writable) = (file.flags().readable(), file.flags().writable());
    match kind {
        1 | 3 => {
            if kind == MAP_SHARED_VALIDATE && MapFlags::from_bits(flags & !MAP_TYPE).is_none_or(not_for_files) {
                return Err(Errno::EOPNOTSUPP);
            }
            if request.prot.contains(Prot::WRITE) && !writable {
                return Err(Errno::EACCES);
            }
            request.flags |= VmFlags::SHARED;
            request.flags.set(VmFlags::NEVER_WRITE, !writable);
        }
        2 => {}
        _ => return Err(Errno::EINVAL),
    }
    if !readable {
        return Err(Errno::EACCES);
    }
    if file.path().mount.flags().contains(MountFlags::NOEXEC) {
        if request.prot.contains(Prot::EXEC) {
            return Err(Errno::EPERM);
        }
        request.flags |= VmFlags::NEVER_EXEC;
    }
    let asked = MmapRequest {
        first_page,
        pages,
        shared: request.flags.contains(VmFlags::SHARED),
        writes: request.prot.contains(Prot::WRITE),
    };
    let offered = file.ops().mmap(file, &asked)?;
    if request.flags.contains(VmFlags::GROWS_DOWN) {
        return Err(Errno::EINVAL);
    }
    if asked.shared && offered.never_write {
        request.flags |= VmFlags::NEVER_WRITE;
    }
    request.backing = offered.object.map(|object| BackingAt { object, first_page });
    Ok(())
}

fn not_for_files(flags: MapFlags) -> bool {
    flags.contains(MapFlags::MAP_SYNC)
}

fn placement(map: MapFlags) -> Placement {
    if map.contains(MapFlags::MAP_FIXED_NOREPLACE) {
        Placement::FixedNoReplace
    } else if map.contains(MapFlags::MAP_FIXED) {
        Placement::Fixed
    } else if map.contains(MapFlags::MAP_32BIT) {
        Placement::Low
    } else {
        Placement::Hint
    }
}

fn mapping_flags(map: MapFlags) -> VmFlags {
    let mut flags = VmFlags::empty();
    flags.set(VmFlags::GROWS_DOWN, map.contains(MapFlags::MAP_GROWSDOWN));
    flags.set(VmFlags::LOCKED, map.contains(MapFlags::MAP_LOCKED));
    flags.set(VmFlags::NO_RESERVE, map.contains(MapFlags::MAP_NORESERVE));
    flags
}

/// `MAP_HUGETLB` where no huge page is reserved: a file is no hugetlbfs file, a size may not exist, and there is no page.
fn refusal_of_huge_pages(flags: u64, is_file: bool) -> Errno {
    let size_shift = (flags >> MAP_HUGE_SHIFT) & MAP_HUGE_MASK;
    if is_file || !matches!(size_shift, 0 | 21 | 30) { Errno::EINVAL } else { Errno::ENOMEM }
}

/// munmap(2), `__vm_munmap()`. Errors: EINVAL, ENOMEM.
pub fn sys_munmap(cx: &mut Cx<'_>, Pointer(addr): Pointer, len: u64) -> SyscallResult {
    cx.private.space.unmap(addr, len).map(|()| 0)
}

/// mprotect(2), `do_mprotect_pkey()`. Errors: EINVAL, ENOMEM, EACCES.
pub fn sys_mprotect(cx: &mut Cx<'_>, Pointer(addr): Pointer, len: u64, prot: u64) -> SyscallResult {
    let asked = Prot::from_bits_retain(prot);
    let both = Prot::PROT_GROWSDOWN | Prot::PROT_GROWSUP;
    let grows = asked & both;
    let known = Prot::PROT_READ | Prot::PROT_WRITE | Prot::PROT_EXEC | Prot::PROT_SEM;
    if grows == both {
        return Err(Errno::EINVAL);
    }
    if addr % PAGE_SIZE == 0 && (len == 0 || addr.checked_add(len).is_none()) {
        return if len == 0 { Ok(0) } else { Err(Errno::ENOMEM) };
    }
    if !known.contains(asked - both) || grows == Prot::PROT_GROWSUP {
        return Err(Errno::EINVAL);
    }
    let prot = protection(cx, prot);
    let space = &cx.private.space;
    match grows.is_empty() {
        true => space.protect(addr, len, prot)?,
        false => space.protect_stack(addr, len, prot)?,
    }
    Ok(0)
}

/// pkey_mprotect(2) without protection keys: as mprotect(2) with the key -1. Errors: EINVAL, and those of mprotect.
pub fn sys_pkey_mprotect(cx: &mut Cx<'_>, addr: Pointer, len: u64, prot: u64, key: i32) -> SyscallResult {
    const NO_KEY: i32 = -1;
    if key != NO_KEY {
        return Err(Errno::EINVAL);
    }
    sys_mprotect(cx, addr, len, prot)
}

/// pkey_alloc(2) on a CPU that has none to give. Errors: EINVAL, ENOSPC.
pub fn sys_pkey_alloc(_cx: &mut Cx<'_>, flags: u64, rights: u64) -> SyscallResult {
    const PKEY_ACCESS_MASK: u64 = 3;
    if flags != 0 || rights & !PKEY_ACCESS_MASK != 0 { Err(Errno::EINVAL) } else { Err(Errno::ENOSPC) }
}

/// pkey_free(2): no key has been given. Errors: EINVAL.
pub fn sys_pkey_free(_cx: &mut Cx<'_>, _key: i32) -> SyscallResult {
    Err(Errno::EINVAL)
}

/// brk(2). Never fails: gives the break as it is afterwards.
pub fn sys_brk(cx: &mut Cx<'_>, Pointer(addr): Pointer) -> SyscallResult {
    encode(cx.private.space.brk(addr))
}

/// mremap(2). Errors: EINVAL, EFAULT, EAGAIN, ENOMEM.
pub fn sys_mremap(
    cx: &mut Cx<'_>,
    Pointer(addr): Pointer,
    old_len: u64,
    new_len: u64,
    flags: u64,
    new_addr: u64,
) -> SyscallResult {
    let flags = MremapFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let request = RemapRequest {
        addr,
        old_len,
        new_len,
        may_move: flags.contains(MremapFlags::MREMAP_MAYMOVE),
        fixed: flags.contains(MremapFlags::MREMAP_FIXED).then_some(new_addr),
        keep_old: flags.contains(MremapFlags::MREMAP_DONTUNMAP).then_some(new_addr),
    };
    encode(cx.private.space.remap(&request)?)
}

/// remap_file_pages(2), which Linux does by a mapping of its own, too. Errors: EINVAL, ENOMEM, EAGAIN.
pub fn sys_remap_file_pages(
    cx: &mut Cx<'_>,
    Pointer(addr): Pointer,
    len: u64,
    prot: u64,
    first_page: u64,
    flags: u64,
) -> SyscallResult {
    if prot != 0 {
        return Err(Errno::EINVAL);
    }
    let populate = !MapFlags::from_bits_retain(flags).contains(MapFlags::MAP_NONBLOCK);
    cx.private.space.remap_file_pages(addr, len, first_page, populate).map(|()| 0)
}

/// madvise(2), `do_madvise()`. Errors: EINVAL, ENOMEM, EFAULT, EACCES, EPERM, EOPNOTSUPP.
///
/// Deviates: `MADV_FREE` empties the pages at once. Advice on huge pages and merging is noted and has no effect;
/// `MADV_COLLAPSE`, `MADV_HWPOISON` and `MADV_SOFT_OFFLINE` are EINVAL, as on a Linux without huge pages and without memory
/// failures.
pub fn sys_madvise(cx: &mut Cx<'_>, Pointer(addr): Pointer, len: u64, advice: u32) -> SyscallResult {
    let advice = decode_advice(advice).ok_or(Errno::EINVAL)?;
    cx.private.space.advise(addr, len, advice).map(|()| 0)
}

pub(super) fn decode_advice(advice: u32) -> Option<Advice> {
    let of = |only: Only, set: VmFlags, clear: VmFlags| Advice::Flags { set, clear, only };
    let flags = |set: VmFlags, clear: VmFlags| of(Only::All, set, clear);
    let none = VmFlags::empty();
    let access = VmFlags::SEQUENTIAL | VmFlags::RANDOM;
    Some(match advice {
        MADV_NORMAL => flags(none, access),
        MADV_RANDOM => flags(VmFlags::RANDOM, access),
        MADV_SEQUENTIAL => flags(VmFlags::SEQUENTIAL, access),
        MADV_WILLNEED => Advice::WillNeed,
        MADV_COLD | MADV_PAGEOUT => Advice::Reclaim,
        MADV_MERGEABLE => of(Only::Private, VmFlags::MERGEABLE, none),
        MADV_UNMERGEABLE => of(Only::Private, none, VmFlags::MERGEABLE),
        MADV_DONTNEED => Advice::DontNeed { even_locked: false },
        MADV_DONTNEED_LOCKED => Advice::DontNeed { even_locked: true },
        MADV_FREE => Advice::Free,
        MADV_REMOVE => Advice::Remove,
        MADV_DONTFORK => flags(VmFlags::DONT_FORK, none),
        MADV_DOFORK => of(Only::Users, none, VmFlags::DONT_FORK),
        MADV_HUGEPAGE => flags(VmFlags::HUGE_PAGE, VmFlags::NO_HUGE_PAGE),
        MADV_NOHUGEPAGE => flags(VmFlags::NO_HUGE_PAGE, VmFlags::HUGE_PAGE),
        MADV_DONTDUMP => flags(VmFlags::DONT_DUMP, none),
        MADV_DODUMP => of(Only::Users, none, VmFlags::DONT_DUMP),
        MADV_WIPEONFORK => of(Only::PrivateAnonymous, VmFlags::WIPE_ON_FORK, none),
        MADV_KEEPONFORK => flags(none, VmFlags::WIPE_ON_FORK),
        MADV_POPULATE_READ => Advice::Populate { write: false },
        MADV_POPULATE_WRITE => Advice::Populate { write: true },
        _ => return None,
    })
}

/// msync(2). Errors: EINVAL, ENOMEM, EBUSY, EIO.
pub fn sys_msync(cx: &mut Cx<'_>, Pointer(addr): Pointer, len: u64, flags: u32) -> SyscallResult {
    let flags = MsyncFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if addr % PAGE_SIZE != 0 || flags.contains(MsyncFlags::MS_ASYNC | MsyncFlags::MS_SYNC) {
        return Err(Errno::EINVAL);
    }
    let (wait, invalidate) = (flags.contains(MsyncFlags::MS_SYNC), flags.contains(MsyncFlags::MS_INVALIDATE));
    cx.private.space.sync(addr, len, wait, invalidate).map(|()| 0)
}

/// mincore(2). Errors: EINVAL, ENOMEM, EFAULT.
pub fn sys_mincore(cx: &mut Cx<'_>, Pointer(addr): Pointer, len: u64, Pointer(vector): Pointer) -> SyscallResult {
    if addr % PAGE_SIZE != 0 {
        return Err(Errno::EINVAL);
    }
    if addr > USER_END || len > USER_END - addr {
        return Err(Errno::ENOMEM);
    }
    let pages = len.div_ceil(PAGE_SIZE);
    let vector = UserSlice::new(vector, pages).check()?;
    let mut chunk = [0; RESIDENCY_CHUNK_PAGES];
    let mut done = 0;
    while done < pages {
        let count = chunk.len().min(usize::try_from(pages - done).unwrap_or(usize::MAX));
        cx.private.space.residency(addr + (done << PAGE_SHIFT), &mut chunk[..count])?;
        if vector.write_at(done, &chunk[..count]) < count {
            return Err(Errno::EFAULT);
        }
        done += count as u64;
    }
    Ok(0)
}

/// mlock(2). Errors: EPERM, ENOMEM, EAGAIN, EINVAL.
pub fn sys_mlock(cx: &mut Cx<'_>, Pointer(addr): Pointer, len: u64) -> SyscallResult {
    sys_mlock2(cx, Pointer(addr), len, 0)
}

/// mlock2(2). Errors: EINVAL, EPERM, ENOMEM, EAGAIN.
pub fn sys_mlock2(cx: &mut Cx<'_>, Pointer(addr): Pointer, len: u64, flags: u32) -> SyscallResult {
    let flags = Mlock2Flags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let may_lock = cx.private.cred.capable(Capabilities::IPC_LOCK);
    cx.private.space.lock(addr, len, flags.contains(Mlock2Flags::MLOCK_ONFAULT), may_lock).map(|()| 0)
}

/// munlock(2). Errors: EINVAL, ENOMEM.
pub fn sys_munlock(cx: &mut Cx<'_>, Pointer(addr): Pointer, len: u64) -> SyscallResult {
    cx.private.space.unlock(addr, len).map(|()| 0)
}

/// mlockall(2). Errors: EINVAL, EPERM, ENOMEM.
pub fn sys_mlockall(cx: &mut Cx<'_>, flags: u32) -> SyscallResult {
    let flags = MlockallFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.is_empty() || flags == MlockallFlags::MCL_ONFAULT {
        return Err(Errno::EINVAL);
    }
    let has = |flag| flags.contains(flag);
    let may_lock = cx.private.cred.capable(Capabilities::IPC_LOCK);
    let (current, future) = (has(MlockallFlags::MCL_CURRENT), has(MlockallFlags::MCL_FUTURE));
    cx.private.space.lock_all(current, future, has(MlockallFlags::MCL_ONFAULT), may_lock).map(|()| 0)
}

/// munlockall(2). Never fails.
pub fn sys_munlockall(cx: &mut Cx<'_>) -> SyscallResult {
    cx.private.space.unlock_all();
    Ok(0)
}

/// membarrier(2). Never waits: the other CPUs answer an interrupt. Errors: EINVAL, EPERM (not registered).
///
/// Deviates: the barrier for restartable sequences aborts those of the caller's process, not those of other processes that
/// share its memory.
pub fn sys_membarrier(cx: &mut Cx<'_>, command: u32, flags: u32, cpu: i32) -> SyscallResult {
    const REGISTERING: u32 = MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED
        | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
        | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
        | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ;
    let one_cpu = command == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ && flags == MEMBARRIER_CMD_FLAG_CPU;
    if flags != 0 && !one_cpu {
        return Err(Errno::EINVAL);
    }
    let space = &cx.private.space;
    match command {
        MEMBARRIER_CMD_QUERY => {
            let supported = MEMBARRIER_CMD_GLOBAL
                | MEMBARRIER_CMD_GLOBAL_EXPEDITED
                | MEMBARRIER_CMD_PRIVATE_EXPEDITED
                | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE
                | MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ
                | REGISTERING;
            return encode(u64::from(supported));
        }
        MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED => crate::mem::space::barrier_everywhere(),
        MEMBARRIER_CMD_PRIVATE_EXPEDITED
        | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE
        | MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ => {
            // Each barrier's registration is the next bit.
            if !space.has_registered_barrier(command << 1) {
                return Err(Errno::EPERM);
            }
            if command == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ {
                cx.thread.abort_other_sequences(u32::try_from(cpu).ok().filter(|_| one_cpu));
            }
            space.barrier();
        }
        command if REGISTERING & command != 0 && command.is_power_of_two() => space.register_barrier(command),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// An address as a return value: `usize` is as wide.
fn encode(value: u64) -> SyscallResult {
    usize::try_from(value).map_err(|_| Errno::EOVERFLOW)
}
