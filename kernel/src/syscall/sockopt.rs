//! Options of sockets: getsockopt, setsockopt (`net/core/sock.c`).

use core::sync::atomic::{AtomicBool, Ordering};

use abi::Errno;
use abi::socket::*;
use abi::time::Timeval;
use abi::zerocopy::IntoBytes;

use super::args::Pointer;
use super::{Cx, SyscallResult};
use crate::fs::Capabilities;
use crate::ipc::socket::{Settings, Socket};
use crate::mem::{UserIn, UserOut, UserSlice};

/// The timeout a negative one stands for: over at once.
const AT_ONCE_NS: u64 = 1;

/// The switches.
fn switch(settings: &Settings, option: u32) -> Option<&AtomicBool> {
    Some(match option {
        SO_REUSEADDR => &settings.reuse_address,
        SO_REUSEPORT => &settings.reuse_port,
        SO_KEEPALIVE => &settings.keep_alive,
        SO_BROADCAST => &settings.broadcast,
        SO_PASSCRED => &settings.pass_credentials,
        _ => return None,
    })
}

/// getsockopt(2) (`sock_getsockopt`). `EBADF`, `ENOTSOCK`, `EFAULT`, `EINVAL`, `ENOPROTOOPT`, `EOPNOTSUPP` for other
/// levels.
pub fn sys_getsockopt(
    cx: &mut Cx<'_>,
    fd: i32,
    level: u32,
    option: u32,
    value: Pointer,
    len: UserIn<i32>,
) -> SyscallResult {
    let (_, socket) = cx.socket(fd)?;
    let room = usize::try_from(len.read()?).map_err(|_| Errno::EINVAL)?;
    let answer = match option {
        _ if level != SOL_SOCKET => give(value, room, &socket.option(level, option)?.to_ne_bytes()),
        SO_PEERCRED => give(value, room, socket.peer_credentials().as_bytes()),
        SO_RCVTIMEO => give(value, room, timeval(socket.settings().receive_timeout_ns()).as_bytes()),
        SO_SNDTIMEO => give(value, room, timeval(socket.settings().send_timeout_ns()).as_bytes()),
        SO_LINGER => give(value, room, linger(socket.settings()).as_bytes()),
        _ => give(value, room, &number(&*socket, option)?.to_ne_bytes()),
    }?;
    UserOut::<i32>::new(len.addr().0).write(&i32::try_from(answer).unwrap_or(i32::MAX))?;
    Ok(0)
}

/// Writes what fits of an option's value, and gives how much that was. `EFAULT`.
fn give(to: Pointer, room: usize, value: &[u8]) -> Result<usize, Errno> {
    let part = &value[..value.len().min(room)];
    let copied = UserSlice::new(to.0, part.len() as u64).write_at(0, part);
    if copied == part.len() { Ok(copied) } else { Err(Errno::EFAULT) }
}

fn linger(settings: &Settings) -> Linger {
    let seconds = settings.linger_seconds.load(Ordering::Relaxed);
    Linger { l_onoff: i32::from(seconds >= 0), l_linger: seconds.max(0) }
}

fn timeval(timeout_ns: Option<u64>) -> Timeval {
    Timeval::from_ns(timeout_ns.unwrap_or(0))
}

/// The value of an option that is a number. `ENOPROTOOPT`.
fn number(socket: &dyn Socket, option: u32) -> Result<i32, Errno> {
    let settings = socket.settings();
    let size = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX);
    if let Some(switch) = switch(settings, option) {
        return Ok(i32::from(switch.load(Ordering::Relaxed)));
    }
    Ok(match option {
        SO_TYPE => (socket.kind() as u32).cast_signed(),
        SO_DOMAIN => socket.family().cast_signed(),
        SO_PROTOCOL => socket.protocol().cast_signed(),
        SO_ERROR => socket.take_error().map_or(0, |error| i32::from(error.number())),
        SO_ACCEPTCONN => i32::from(socket.is_listening()),
        SO_SNDBUF => size(settings.send_bytes()),
        SO_RCVBUF => size(settings.receive_bytes()),
        SO_RCVLOWAT => size(settings.receive_low_water.load(Ordering::Relaxed)),
        SO_SNDLOWAT => 1,
        SO_DEBUG | SO_DONTROUTE | SO_OOBINLINE | SO_NO_CHECK | SO_PRIORITY | SO_TIMESTAMP | SO_PASSSEC => 0,
        SO_PEEK_OFF => -1,
        _ => return Err(Errno::ENOPROTOOPT),
    })
}

/// setsockopt(2) (`sock_setsockopt`). `EBADF`, `ENOTSOCK`, `EINVAL`, `EFAULT`, `EDOM`, `EPERM`, `ENOPROTOOPT`,
/// `EOPNOTSUPP` for other levels.
pub fn sys_setsockopt(cx: &mut Cx<'_>, fd: i32, level: u32, option: u32, value: Pointer, len: i32) -> SyscallResult {
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    let (_, socket) = cx.socket(fd)?;
    if level != SOL_SOCKET {
        let value = read_number(level, value, len)?;
        return socket.set_option(level, option, value).map(|()| 0);
    }
    let settings = socket.settings();
    if len < size_of::<i32>() {
        return Err(Errno::EINVAL);
    }
    let number = UserIn::<i32>::new(value.0).read()?;
    if let Some(switch) = switch(settings, option) {
        switch.store(number != 0, Ordering::Relaxed);
        return Ok(0);
    }
    // As on Linux, a negative size is a large one before it is bounded.
    let bytes = number.cast_unsigned() as usize;
    let forced = matches!(option, SO_SNDBUFFORCE | SO_RCVBUFFORCE);
    if forced && !cx.private.cred.capable(Capabilities::NET_ADMIN) {
        return Err(Errno::EPERM);
    }
    match option {
        SO_SNDBUF | SO_SNDBUFFORCE => settings.set_send_bytes(bytes, forced),
        SO_RCVBUF | SO_RCVBUFFORCE => settings.set_receive_bytes(bytes, forced),
        SO_RCVLOWAT => settings.receive_low_water.store(number.max(1).cast_unsigned() as usize, Ordering::Relaxed),
        SO_RCVTIMEO => settings.set_receive_timeout_ns(read_timeout(value, len)?),
        SO_SNDTIMEO => settings.set_send_timeout_ns(read_timeout(value, len)?),
        SO_LINGER if len < size_of::<Linger>() => return Err(Errno::EINVAL),
        SO_LINGER => {
            let linger = UserIn::<Linger>::new(value.0).read()?;
            let seconds = if linger.l_onoff == 0 { -1 } else { linger.l_linger.max(0) };
            settings.linger_seconds.store(seconds, Ordering::Relaxed);
        }
        SO_DEBUG | SO_DONTROUTE | SO_OOBINLINE | SO_NO_CHECK | SO_PRIORITY | SO_TIMESTAMP => {}
        SO_TYPE | SO_PROTOCOL | SO_DOMAIN | SO_ERROR | SO_ACCEPTCONN => return Err(Errno::ENOPROTOOPT),
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(0)
}

/// The value of an option of a family's own; ip(7)'s may be single bytes. `EINVAL`, `EFAULT`.
fn read_number(level: u32, value: Pointer, len: usize) -> Result<i32, Errno> {
    if len >= size_of::<i32>() {
        return UserIn::<i32>::new(value.0).read();
    }
    if level != IPPROTO_IP || len == 0 {
        return Err(Errno::EINVAL);
    }
    UserIn::<u8>::new(value.0).read().map(i32::from)
}

/// A timeout in nanoseconds; 0 is for ever (`sock_set_timeout`). `EINVAL`, `EFAULT`, `EDOM`.
fn read_timeout(value: Pointer, len: usize) -> Result<u64, Errno> {
    if len < size_of::<Timeval>() {
        return Err(Errno::EINVAL);
    }
    let time = UserIn::<Timeval>::new(value.0).read()?;
    if !(0..1_000_000).contains(&time.tv_usec) {
        return Err(Errno::EDOM);
    }
    Ok(time.to_ns().unwrap_or(AT_ONCE_NS))
}
