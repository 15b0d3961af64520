//! The machine and its terminal: reboot(2), vhangup(2).

use abi::Errno;
use abi::prctl::*;

use super::{Cx, SyscallResult};
use crate::arch;
use crate::dev::tty;
use crate::fs::Capabilities;

/// reboot(2): ends the machine, of which a restart is left to whoever started it. Errors: EPERM, EINVAL.
/// Order: `sys_reboot()`.
pub fn sys_reboot(cx: &mut Cx<'_>, magic: u32, magic2: u32, command: u32) -> SyscallResult {
    if !cx.private.cred.capable(Capabilities::SYS_BOOT) {
        return Err(Errno::EPERM);
    }
    let known = [LINUX_REBOOT_MAGIC2, LINUX_REBOOT_MAGIC2A, LINUX_REBOOT_MAGIC2B, LINUX_REBOOT_MAGIC2C];
    if magic != LINUX_REBOOT_MAGIC1 || !known.contains(&magic2) {
        return Err(Errno::EINVAL);
    }
    match command {
        // No keyboard sends the three keys.
        LINUX_REBOOT_CMD_CAD_ON | LINUX_REBOOT_CMD_CAD_OFF => Ok(0),
        LINUX_REBOOT_CMD_RESTART | LINUX_REBOOT_CMD_HALT | LINUX_REBOOT_CMD_POWER_OFF => {
            arch::log_write(b"\x01X exit 0\n");
            arch::power_off()
        }
        _ => Err(Errno::EINVAL),
    }
}

/// vhangup(2): hangs up the caller's controlling terminal, if it has one. Errors: EPERM.
pub fn sys_vhangup(cx: &mut Cx<'_>) -> SyscallResult {
    if !cx.private.cred.capable(Capabilities::SYS_TTY_CONFIG) {
        return Err(Errno::EPERM);
    }
    if let Some(tty) = tty::controlling(cx.process().session().id.unsigned_abs()) {
        tty.hang_up();
    }
    Ok(0)
}
