//! Identities: user and group ids, supplementary groups, capabilities (credentials(7), capabilities(7)).
//!
//! A change makes a new [`Cred`] for the calling thread alone, as on Linux; libraries see to the other threads.

use abi::Errno;
use abi::prctl::{_LINUX_CAPABILITY_VERSION_1, _LINUX_CAPABILITY_VERSION_2, _LINUX_CAPABILITY_VERSION_3};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::args::Pointer;
use super::{Cx, SyscallResult};
use crate::fs::{Capabilities, Cred};
use crate::mem::{UserIn, UserOut};
use crate::process::user::Charge;
use crate::signal::Budget;

/// "Leave this id as it is" in the calls that set several.
const KEEP: u32 = u32::MAX;
/// The most supplementary groups (`NGROUPS_MAX`).
const MAX_GROUPS: i32 = 65_536;
/// `SECBIT_KEEP_CAPS`.
pub(super) const KEEP_CAPS: u32 = 1 << 4;
/// `SECBIT_NO_SETUID_FIXUP`.
const NO_SETUID_FIXUP: u32 = 1 << 2;

/// getuid(2).
pub fn sys_getuid(cx: &mut Cx<'_>) -> SyscallResult {
    Ok(cx.private.cred.uid as usize)
}

/// geteuid(2).
pub fn sys_geteuid(cx: &mut Cx<'_>) -> SyscallResult {
    Ok(cx.private.cred.euid as usize)
}

/// getgid(2).
pub fn sys_getgid(cx: &mut Cx<'_>) -> SyscallResult {
    Ok(cx.private.cred.gid as usize)
}

/// getegid(2).
pub fn sys_getegid(cx: &mut Cx<'_>) -> SyscallResult {
    Ok(cx.private.cred.egid as usize)
}

/// getresuid(2). Errors: EFAULT.
pub fn sys_getresuid(
    cx: &mut Cx<'_>,
    real: UserOut<u32>,
    effective: UserOut<u32>,
    saved: UserOut<u32>,
) -> SyscallResult {
    let cred = &cx.private.cred;
    real.write(&cred.uid)?;
    effective.write(&cred.euid)?;
    saved.write(&cred.suid)?;
    Ok(0)
}

/// getresgid(2). Errors: EFAULT.
pub fn sys_getresgid(
    cx: &mut Cx<'_>,
    real: UserOut<u32>,
    effective: UserOut<u32>,
    saved: UserOut<u32>,
) -> SyscallResult {
    let cred = &cx.private.cred;
    real.write(&cred.gid)?;
    effective.write(&cred.egid)?;
    saved.write(&cred.sgid)?;
    Ok(0)
}

/// Puts new credentials in force, and what follows from a change of user (`commit_creds()`, `set_user()`).
fn commit(cx: &mut Cx<'_>, new: Cred) {
    let old = cx.private.cred.clone();
    let user_changed = new.uid != old.uid;
    let identity_changed =
        new.euid != old.euid || new.egid != old.egid || new.fsuid != old.fsuid || new.fsgid != old.fsgid;
    if identity_changed || !old.permitted.contains(new.permitted) {
        cx.process().dumpable.store(0, Ordering::Relaxed);
        cx.thread.set_parent_death_signal(None);
    }
    let uid = new.uid;
    cx.private.hold(cx.thread, |private| private.cred = Arc::new(new));
    if user_changed {
        cx.thread.set_charge(Some(Charge::of_user(uid)));
        cx.process().uid.store(uid, Ordering::Relaxed);
        cx.process().signals.set_budget(Budget::of_user(uid));
    }
}

/// What a change of user ids means for the capabilities (`cap_emulate_setxuid()`).
fn adjust_capabilities(new: &mut Cred, old: &Cred) {
    if new.securebits & NO_SETUID_FIXUP != 0 {
        return;
    }
    let was_root = [old.uid, old.euid, old.suid].contains(&0);
    let is_root = [new.uid, new.euid, new.suid].contains(&0);
    if was_root && !is_root {
        if new.securebits & KEEP_CAPS == 0 {
            new.permitted = Capabilities::empty();
            new.effective = Capabilities::empty();
        }
        new.ambient = Capabilities::empty();
    }
    if old.euid == 0 && new.euid != 0 {
        new.effective = Capabilities::empty();
    }
    if old.euid != 0 && new.euid == 0 {
        new.effective = new.permitted;
    }
}

/// setuid(2). Errors: EINVAL, EPERM. Order: `__sys_setuid()`.
pub fn sys_setuid(cx: &mut Cx<'_>, uid: u32) -> SyscallResult {
    if uid == KEEP {
        return Err(Errno::EINVAL);
    }
    let old = cx.private.cred.clone();
    let mut new = (*old).clone();
    if old.capable(Capabilities::SETUID) {
        (new.uid, new.suid) = (uid, uid);
    } else if uid != old.uid && uid != old.suid {
        return Err(Errno::EPERM);
    }
    (new.euid, new.fsuid) = (uid, uid);
    adjust_capabilities(&mut new, &old);
    commit(cx, new);
    Ok(0)
}

/// setgid(2). Errors: EINVAL, EPERM.
pub fn sys_setgid(cx: &mut Cx<'_>, gid: u32) -> SyscallResult {
    if gid == KEEP {
        return Err(Errno::EINVAL);
    }
    let old = cx.private.cred.clone();
    let mut new = (*old).clone();
    if old.capable(Capabilities::SETGID) {
        (new.gid, new.sgid) = (gid, gid);
    } else if gid != old.gid && gid != old.sgid {
        return Err(Errno::EPERM);
    }
    (new.egid, new.fsgid) = (gid, gid);
    commit(cx, new);
    Ok(0)
}

/// setreuid(2). Errors: EPERM. Order: `__sys_setreuid()`.
pub fn sys_setreuid(cx: &mut Cx<'_>, real: u32, effective: u32) -> SyscallResult {
    let old = cx.private.cred.clone();
    let mut new = (*old).clone();
    let capable = old.capable(Capabilities::SETUID);
    if real != KEEP {
        if real != old.uid && real != old.euid && !capable {
            return Err(Errno::EPERM);
        }
        new.uid = real;
    }
    if effective != KEEP {
        if ![old.uid, old.euid, old.suid].contains(&effective) && !capable {
            return Err(Errno::EPERM);
        }
        new.euid = effective;
    }
    if real != KEEP || effective != KEEP && effective != old.uid {
        new.suid = new.euid;
    }
    new.fsuid = new.euid;
    adjust_capabilities(&mut new, &old);
    commit(cx, new);
    Ok(0)
}

/// setregid(2). Errors: EPERM.
pub fn sys_setregid(cx: &mut Cx<'_>, real: u32, effective: u32) -> SyscallResult {
    let old = cx.private.cred.clone();
    let mut new = (*old).clone();
    let capable = old.capable(Capabilities::SETGID);
    if real != KEEP {
        if real != old.gid && real != old.egid && !capable {
            return Err(Errno::EPERM);
        }
        new.gid = real;
    }
    if effective != KEEP {
        if ![old.gid, old.egid, old.sgid].contains(&effective) && !capable {
            return Err(Errno::EPERM);
        }
        new.egid = effective;
    }
    if real != KEEP || effective != KEEP && effective != old.gid {
        new.sgid = new.egid;
    }
    new.fsgid = new.egid;
    commit(cx, new);
    Ok(0)
}

/// setresuid(2). Errors: EPERM.
pub fn sys_setresuid(cx: &mut Cx<'_>, real: u32, effective: u32, saved: u32) -> SyscallResult {
    let old = cx.private.cred.clone();
    let mut new = (*old).clone();
    let known = [old.uid, old.euid, old.suid, KEEP];
    let unknown = [real, effective, saved].iter().any(|id| !known.contains(id));
    if unknown && !old.capable(Capabilities::SETUID) {
        return Err(Errno::EPERM);
    }
    replace(&mut new.uid, real);
    replace(&mut new.euid, effective);
    replace(&mut new.suid, saved);
    new.fsuid = new.euid;
    adjust_capabilities(&mut new, &old);
    commit(cx, new);
    Ok(0)
}

/// setresgid(2). Errors: EPERM.
pub fn sys_setresgid(cx: &mut Cx<'_>, real: u32, effective: u32, saved: u32) -> SyscallResult {
    let old = cx.private.cred.clone();
    let mut new = (*old).clone();
    let known = [old.gid, old.egid, old.sgid, KEEP];
    let unknown = [real, effective, saved].iter().any(|id| !known.contains(id));
    if unknown && !old.capable(Capabilities::SETGID) {
        return Err(Errno::EPERM);
    }
    replace(&mut new.gid, real);
    replace(&mut new.egid, effective);
    replace(&mut new.sgid, saved);
    new.fsgid = new.egid;
    commit(cx, new);
    Ok(0)
}

fn replace(id: &mut u32, new: u32) {
    if new != KEEP {
        *id = new;
    }
}

/// What follows the user id for file access when it becomes or ceases to be the superuser's (`cap_task_fix_setuid()`).
fn file_capabilities() -> Capabilities {
    Capabilities::CHOWN
        | Capabilities::DAC_OVERRIDE
        | Capabilities::DAC_READ_SEARCH
        | Capabilities::FOWNER
        | Capabilities::FSETID
        | Capabilities::MAC_OVERRIDE
        | Capabilities::LINUX_IMMUTABLE
        | Capabilities::MKNOD
}

/// setfsuid(2): gives the old id, whether or not it was changed.
pub fn sys_setfsuid(cx: &mut Cx<'_>, uid: u32) -> SyscallResult {
    let old = cx.private.cred.clone();
    let allowed = [old.uid, old.euid, old.suid, old.fsuid].contains(&uid) || old.capable(Capabilities::SETUID);
    if uid != KEEP && allowed && uid != old.fsuid {
        let mut new = (*old).clone();
        new.fsuid = uid;
        if new.securebits & NO_SETUID_FIXUP == 0 {
            if old.fsuid == 0 {
                new.effective -= file_capabilities();
            } else if uid == 0 {
                new.effective |= new.permitted & file_capabilities();
            }
        }
        commit(cx, new);
    }
    Ok(old.fsuid as usize)
}

/// setfsgid(2): gives the old id, whether or not it was changed.
pub fn sys_setfsgid(cx: &mut Cx<'_>, gid: u32) -> SyscallResult {
    let old = cx.private.cred.clone();
    let allowed = [old.gid, old.egid, old.sgid, old.fsgid].contains(&gid) || old.capable(Capabilities::SETGID);
    if gid != KEEP && allowed && gid != old.fsgid {
        commit(cx, Cred { fsgid: gid, ..(*old).clone() });
    }
    Ok(old.fsgid as usize)
}

/// getgroups(2). Errors: EINVAL, EFAULT.
pub fn sys_getgroups(cx: &mut Cx<'_>, size: i32, list: UserOut<u32>) -> SyscallResult {
    let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
    let groups = &cx.private.cred.groups;
    if size == 0 {
        return Ok(groups.len());
    }
    if groups.len() > size {
        return Err(Errno::EINVAL);
    }
    for (index, group) in groups.iter().enumerate() {
        list.element(index as u64).write(group)?;
    }
    Ok(groups.len())
}

/// setgroups(2). Errors: EPERM, EINVAL, EFAULT.
pub fn sys_setgroups(cx: &mut Cx<'_>, size: i32, list: UserIn<u32>) -> SyscallResult {
    let old = cx.private.cred.clone();
    if !old.capable(Capabilities::SETGID) {
        return Err(Errno::EPERM);
    }
    if !(0..=MAX_GROUPS).contains(&size) {
        return Err(Errno::EINVAL);
    }
    let mut groups = Vec::new();
    for index in 0..size.unsigned_abs() {
        match list.element(index.into()).read()? {
            KEEP => return Err(Errno::EINVAL),
            group => groups.push(group),
        }
    }
    groups.sort_unstable();
    commit(cx, Cred { groups: groups.into(), ..(*old).clone() });
    Ok(0)
}

/// How many words each set of capabilities has in this version of the interface; an unknown version is answered with the
/// newest (`cap_validate_magic()`). Errors: EINVAL, EFAULT.
fn set_words(header: Pointer) -> Result<usize, Errno> {
    match UserIn::<u32>::new(header.0).read()? {
        _LINUX_CAPABILITY_VERSION_1 => Ok(1),
        _LINUX_CAPABILITY_VERSION_2 | _LINUX_CAPABILITY_VERSION_3 => Ok(2),
        _ => {
            UserOut::<u32>::new(header.0).write(&_LINUX_CAPABILITY_VERSION_3)?;
            Err(Errno::EINVAL)
        }
    }
}

/// capget(2). Errors: EINVAL, ESRCH, EFAULT. A null `data` asks for the version alone.
pub fn sys_capget(cx: &mut Cx<'_>, header: Pointer, data: Pointer) -> SyscallResult {
    let words = match set_words(header) {
        Err(Errno::EINVAL) if data.0 == 0 => return Ok(0),
        words => words?,
    };
    let pid = UserIn::<i32>::new(header.0).element(1).read()?;
    let cred = match pid {
        pid if pid < 0 => return Err(Errno::EINVAL),
        0 => cx.private.cred.clone(),
        pid => cx.process().table.thread(pid).ok_or(Errno::ESRCH)?.cred(),
    };
    if data.0 == 0 {
        return Ok(0);
    }
    for word in 0..words {
        let sets = [cred.effective, cred.permitted, cred.inheritable];
        for (index, set) in sets.into_iter().enumerate() {
            let half = (set.bits() >> (32 * word)) as u32;
            UserOut::<u32>::new(data.0).element((word * 3 + index) as u64).write(&half)?;
        }
    }
    Ok(0)
}

/// capset(2), of the caller. Errors: EINVAL, EPERM, EFAULT. Order: `sys_capset()`, `cap_capset()`.
pub fn sys_capset(cx: &mut Cx<'_>, header: Pointer, data: Pointer) -> SyscallResult {
    let words = set_words(header)?;
    let pid = UserIn::<i32>::new(header.0).element(1).read()?;
    if pid != 0 && pid != cx.thread.tid() {
        return Err(Errno::EPERM);
    }
    let mut sets = [0_u64; 3];
    for word in 0..words {
        for (index, set) in sets.iter_mut().enumerate() {
            let half = UserIn::<u32>::new(data.0).element((word * 3 + index) as u64).read()?;
            *set |= u64::from(half) << (32 * word);
        }
    }
    let [effective, permitted, inheritable] = sets.map(Capabilities::from_bits_truncate);
    let old = cx.private.cred.clone();
    let inherits_more = !(old.inheritable | old.permitted).contains(inheritable) && !old.capable(Capabilities::SETPCAP);
    let exceeds_bound = !(old.inheritable | old.bounding).contains(inheritable);
    if inherits_more || exceeds_bound || !old.permitted.contains(permitted) || !permitted.contains(effective) {
        return Err(Errno::EPERM);
    }
    let ambient = old.ambient & permitted & inheritable;
    commit(cx, Cred { effective, permitted, inheritable, ambient, ..(*old).clone() });
    Ok(0)
}

/// `PR_CAPBSET_DROP`. Errors: EPERM, EINVAL.
pub(super) fn drop_bounding(cx: &mut Cx<'_>, number: u64) -> SyscallResult {
    let old = cx.private.cred.clone();
    if !old.capable(Capabilities::SETPCAP) {
        return Err(Errno::EPERM);
    }
    let bounding = old.bounding - capability(number)?;
    commit(cx, Cred { bounding, ..(*old).clone() });
    Ok(0)
}

/// The capability with this number. Errors: EINVAL.
pub(super) fn capability(number: u64) -> Result<Capabilities, Errno> {
    let bit = u32::try_from(number).ok().and_then(|number| 1_u64.checked_shl(number));
    bit.and_then(Capabilities::from_bits).ok_or(Errno::EINVAL)
}

/// `PR_CAP_AMBIENT`. Errors: EINVAL, EPERM.
pub(super) fn ambient(cx: &mut Cx<'_>, operation: u64, number: u64) -> SyscallResult {
    use abi::prctl::{PR_CAP_AMBIENT_CLEAR_ALL, PR_CAP_AMBIENT_IS_SET, PR_CAP_AMBIENT_LOWER, PR_CAP_AMBIENT_RAISE};
    /// `SECBIT_NO_CAP_AMBIENT_RAISE`.
    const NO_RAISE: u32 = 1 << 6;
    let old = cx.private.cred.clone();
    let ambient = match operation {
        PR_CAP_AMBIENT_CLEAR_ALL if number == 0 => Capabilities::empty(),
        PR_CAP_AMBIENT_IS_SET => return Ok(usize::from(old.ambient.contains(capability(number)?))),
        PR_CAP_AMBIENT_LOWER => old.ambient - capability(number)?,
        PR_CAP_AMBIENT_RAISE => {
            let wanted = capability(number)?;
            if !old.permitted.contains(wanted) || !old.inheritable.contains(wanted) || old.securebits & NO_RAISE != 0 {
                return Err(Errno::EPERM);
            }
            old.ambient | wanted
        }
        _ => return Err(Errno::EINVAL),
    };
    commit(cx, Cred { ambient, ..(*old).clone() });
    Ok(0)
}

/// `PR_SET_SECUREBITS`. Errors: EPERM (also to change a locked bit).
pub(super) fn set_secure_bits(cx: &mut Cx<'_>, bits: u64) -> SyscallResult {
    const ALL_BITS: u32 = 0x55;
    const ALL_LOCKS: u32 = 0xaa;
    let old = cx.private.cred.clone();
    let bits = u32::try_from(bits).map_err(|_| Errno::EPERM)?;
    let locked_changed = (old.securebits & ALL_LOCKS) >> 1 & (old.securebits ^ bits) != 0;
    let unlocks = old.securebits & ALL_LOCKS & !bits != 0;
    let unknown = bits & !(ALL_BITS | ALL_LOCKS) != 0;
    if locked_changed || unlocks || unknown || !old.capable(Capabilities::SETPCAP) {
        return Err(Errno::EPERM);
    }
    commit(cx, Cred { securebits: bits, ..(*old).clone() });
    Ok(0)
}

/// `PR_SET_KEEPCAPS`. Errors: EINVAL, EPERM.
pub(super) fn set_keep_caps(cx: &mut Cx<'_>, keep: u64) -> SyscallResult {
    /// `SECBIT_KEEP_CAPS_LOCKED`.
    const LOCKED: u32 = 1 << 5;
    let old = cx.private.cred.clone();
    if keep > 1 {
        return Err(Errno::EINVAL);
    }
    if old.securebits & LOCKED != 0 {
        return Err(Errno::EPERM);
    }
    let securebits = if keep == 1 { old.securebits | KEEP_CAPS } else { old.securebits & !KEEP_CAPS };
    commit(cx, Cred { securebits, ..(*old).clone() });
    Ok(0)
}
