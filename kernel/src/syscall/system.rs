//! The system as a whole, and odd properties of the caller: uname(2), sysinfo(2), sethostname(2), getcpu(2), getrandom(2),
//! arch_prctl(2), membarrier(2), personality(2), times(2).

use core::sync::atomic::Ordering;

use abi::Errno;
use abi::prctl::*;
use abi::resource::Sysinfo;
use abi::utsname::{NEW_UTS_LEN, NewUtsname};

use super::args::{Flags, Pointer};
use super::{Cx, SyscallResult};
use crate::arch;
use crate::fs::Capabilities;
use crate::mem::{self, PAGE_SIZE, USER_END, UserOut, UserSlice};

/// uname(2). Errors: EFAULT.
pub fn sys_uname(cx: &mut Cx<'_>, names: UserOut<NewUtsname>) -> SyscallResult {
    names.write(&cx.thread.uts().names_for(cx.thread.personality.load(Ordering::Relaxed)))?;
    Ok(0)
}

/// A name of at most 64 bytes from user memory. Errors: EPERM, EINVAL, EFAULT.
fn read_name<'a>(cx: &Cx<'_>, name: Pointer, len: i32, buffer: &'a mut [u8; NEW_UTS_LEN]) -> Result<&'a [u8], Errno> {
    if !cx.private.cred.capable(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let len = usize::try_from(len).ok().filter(|len| *len <= NEW_UTS_LEN).ok_or(Errno::EINVAL)?;
    mem::user::copy_in(mem::UserAddr(name.0), &mut buffer[..len])?;
    Ok(&buffer[..len])
}

/// sethostname(2). Errors: EPERM, EINVAL, EFAULT.
pub fn sys_sethostname(cx: &mut Cx<'_>, name: Pointer, len: i32) -> SyscallResult {
    cx.thread.uts().set_host(read_name(cx, name, len, &mut [0; NEW_UTS_LEN])?);
    Ok(0)
}

/// setdomainname(2). Errors: EPERM, EINVAL, EFAULT.
pub fn sys_setdomainname(cx: &mut Cx<'_>, name: Pointer, len: i32) -> SyscallResult {
    cx.thread.uts().set_domain(read_name(cx, name, len, &mut [0; NEW_UTS_LEN])?);
    Ok(0)
}

/// sysinfo(2). Errors: EFAULT.
pub fn sys_sysinfo(cx: &mut Cx<'_>, info: UserOut<Sysinfo>) -> SyscallResult {
    const NS_PER_S: u64 = 1_000_000_000;
    let (_, free) = mem::frame::statistics();
    let threads = cx.process().table.thread_count();
    info.write(&Sysinfo {
        uptime: (arch::monotonic_ns() / NS_PER_S) as i64,
        totalram: mem::frame::total() as u64 * PAGE_SIZE,
        freeram: free as u64 * PAGE_SIZE,
        procs: u16::try_from(threads).unwrap_or(u16::MAX),
        mem_unit: 1,
        ..Sysinfo::default()
    })?;
    Ok(0)
}

/// getcpu(2): the CPU the caller runs on, and memory node 0. Errors: EFAULT.
pub fn sys_getcpu(_cx: &mut Cx<'_>, cpu: UserOut<u32>, node: UserOut<u32>, _cache: Pointer) -> SyscallResult {
    cpu.write_optional(&(arch::cpu_index() as u32))?;
    node.write_optional(&0)?;
    Ok(0)
}

/// getrandom(2). Never waits: the machine's generator is ready from the start. Errors: EINVAL, EFAULT.
pub fn sys_getrandom(cx: &mut Cx<'_>, buffer: Pointer, len: usize, flags: Flags) -> SyscallResult {
    let flags = GrndFlags::from_bits(flags.0).ok_or(Errno::EINVAL)?;
    if flags.contains(GrndFlags::GRND_INSECURE | GrndFlags::GRND_RANDOM) {
        return Err(Errno::EINVAL);
    }
    let slice = UserSlice::new(buffer.0, (len as u64).min(i32::MAX as u64)).check()?;
    let mut done = 0;
    while done < slice.len {
        let mut words = [0; 32];
        let want = size_of_val(&words).min((slice.len - done) as usize);
        words[..want.div_ceil(size_of::<u64>())].fill_with(arch::random_u64);
        let bytes = abi::zerocopy::IntoBytes::as_bytes(&words);
        let written = slice.write_at(done, &bytes[..want]);
        done += written as u64;
        if written < want {
            break;
        }
        if done % PAGE_SIZE == 0 && cx.thread.interrupted() {
            break;
        }
    }
    if done == 0 && slice.len > 0 { Err(Errno::EFAULT) } else { Ok(done as usize) }
}

/// arch_prctl(2). Errors: EPERM for a base outside the user half, EFAULT, EINVAL; ENODEV for CPUID faulting, which this
/// kernel does not offer.
pub fn sys_arch_prctl(cx: &mut Cx<'_>, operation: u32, address: Pointer) -> SyscallResult {
    let (live, address) = (&cx.private.live, address.0);
    match operation {
        ARCH_SET_FS | ARCH_SET_GS if address >= USER_END => return Err(Errno::EPERM),
        ARCH_SET_FS => live.set_fs_base(address),
        ARCH_SET_GS => live.set_gs_base(address),
        ARCH_GET_FS => UserOut::<u64>::new(address).write(&live.fs_base())?,
        ARCH_GET_GS => UserOut::<u64>::new(address).write(&live.gs_base())?,
        ARCH_GET_CPUID => return Ok(1),
        ARCH_SET_CPUID => return Err(Errno::ENODEV),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// personality(2): gives the old one and takes any new one, of which `UNAME26`, `PER_LINUX32` (uname), `ADDR_NO_RANDOMIZE`
/// (execve), `READ_IMPLIES_EXEC` (mmap, mprotect) and `STICKY_TIMEOUTS` (select, poll) have an effect. Asked with all ones,
/// it tells. Never fails.
pub fn sys_personality(cx: &mut Cx<'_>, persona: u32) -> SyscallResult {
    let own = &cx.thread.personality;
    let old = match persona {
        u32::MAX => own.load(Ordering::Relaxed),
        new => own.swap(new, Ordering::Relaxed),
    };
    Ok(old as usize)
}
