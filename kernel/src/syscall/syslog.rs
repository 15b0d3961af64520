//! The kernel's log: syslog(2).

use abi::Errno;
use alloc::vec::Vec;

use super::args::Pointer;
use super::{Cx, SyscallResult};
use crate::dev::kernel_log::{self, RING_BYTES, Which};
use crate::fs::Capabilities;
use crate::mem::user::copy_out;
use crate::mem::{USER_END, UserAddr};

/// What is asked for (`SYSLOG_ACTION_…`).
const CLOSE: i32 = 0;
const OPEN: i32 = 1;
const READ: i32 = 2;
const READ_ALL: i32 = 3;
const READ_CLEAR: i32 = 4;
const CLEAR: i32 = 5;
const CONSOLE_OFF: i32 = 6;
const CONSOLE_ON: i32 = 7;
const CONSOLE_LEVEL: i32 = 8;
const SIZE_UNREAD: i32 = 9;
const SIZE_BUFFER: i32 = 10;

/// The level a console may be set to, the least among them.
const LEVELS: core::ops::RangeInclusive<i32> = 1..=8;

/// syslog(2). Errors: EPERM, EINVAL, EFAULT. Order: `do_syslog()`.
///
/// Deviates: reading what is unread does not wait when there is nothing; the console's level is checked, and nothing more.
pub fn sys_syslog(cx: &mut Cx<'_>, action: i32, buffer: Pointer, len: i32) -> SyscallResult {
    let is_privileged =
        cx.private.cred.capable(Capabilities::SYSLOG) || cx.private.cred.capable(Capabilities::SYS_ADMIN);
    if action != READ_ALL && action != SIZE_BUFFER && !is_privileged {
        return Err(Errno::EPERM);
    }
    match action {
        CLOSE | OPEN | CONSOLE_OFF | CONSOLE_ON => Ok(0),
        READ => read(Which::Unread, buffer, len),
        READ_ALL => read(Which::All, buffer, len),
        READ_CLEAR => read(Which::Clear, buffer, len),
        CLEAR => {
            kernel_log::clear();
            Ok(0)
        }
        CONSOLE_LEVEL if LEVELS.contains(&len) => Ok(0),
        SIZE_UNREAD => Ok(kernel_log::unread_bytes()),
        SIZE_BUFFER => Ok(RING_BYTES),
        _ => Err(Errno::EINVAL),
    }
}

fn read(which: Which, buffer: Pointer, len: i32) -> SyscallResult {
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    if buffer.0 == 0 {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    if buffer.0.saturating_add(len as u64) > USER_END {
        return Err(Errno::EFAULT);
    }
    let mut lines: Vec<u8> = alloc::vec![0; len.min(RING_BYTES)];
    let len = kernel_log::read(which, &mut lines);
    copy_out(UserAddr(buffer.0), &lines[..len])?;
    Ok(len)
}
