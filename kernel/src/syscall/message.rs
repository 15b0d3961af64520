//! Sending and receiving on sockets, with addresses and control messages (`net/socket.c`, `net/core/scm.c`).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::socket::{
    AF_UNIX, Cmsghdr, Mmsghdr, MsgFlags, Msghdr, SCM_CREDENTIALS, SCM_MAX_FD, SCM_RIGHTS, SOL_SOCKET, Ucred,
};
use abi::time::Timespec;
use abi::uio::MAX_RW_COUNT;
use abi::zerocopy::{FromBytes, IntoBytes};

use super::args::{Flags, Pointer};
use super::socket::{AddressIn, MAX_ADDRESS_BYTES, wait_on, write_address};
use super::{Cx, SyscallResult};
use crate::fs::{Capabilities, File, Sink, Source};
use crate::ipc::socket::{Files, Incoming, Kind, Outgoing, Socket};
use crate::mem::{UserBuffers, UserIn, UserOut, UserSlice};
use crate::signal::Signal;
use crate::time::monotonic_ns;

/// Messages of one sendmmsg(2) or recvmmsg(2) at most (`UIO_MAXIOV`).
const MAX_MESSAGES: u32 = 1024;
/// The most buffers of one message.
const MAX_BUFFERS: u64 = 1024;
/// The longest control data of one message that is sent (`sysctl_optmem_max`).
const MAX_CONTROL_BYTES: u64 = 20480;

/// Bytes of a control message's head.
const HEAD_BYTES: usize = size_of::<Cmsghdr>();
/// Control messages start at multiples of this.
const CONTROL_ALIGN: usize = 8;
/// Bytes of a descriptor in a control message.
const FD_BYTES: usize = size_of::<i32>();

/// What goes out, but for the bytes.
struct Letter {
    address: Option<AddressIn>,
    files: Files,
    credentials: Ucred,
}

impl Letter {
    /// A letter without control messages from the caller.
    fn plain(cx: &Cx<'_>, address: Option<AddressIn>) -> Self {
        Self { address, files: Files::default(), credentials: cx.socket_caller().identity() }
    }
}

/// Sends, waiting for room (`sock_sendmsg`). `EPIPE` on a connection comes with SIGPIPE unless `MSG_NOSIGNAL`.
async fn send(
    cx: &mut Cx<'_>,
    file: &Arc<File>,
    socket: &Arc<dyn Socket>,
    source: &mut UserBuffers,
    mut letter: Letter,
    flags: MsgFlags,
) -> SyscallResult {
    if flags.contains(MsgFlags::MSG_OOB) {
        return Err(Errno::EOPNOTSUPP);
    }
    let waits = !flags.contains(MsgFlags::MSG_DONTWAIT) && !file.nonblocking();
    let mut done = 0;
    let timeout_ns = socket.settings().send_timeout_ns();
    let result = wait_on(cx, &**socket, waits, timeout_ns, || {
        loop {
            let mut outgoing = Outgoing {
                address: letter.address.as_ref().map(AddressIn::bytes),
                files: core::mem::take(&mut letter.files),
                credentials: letter.credentials,
                caller: cx.socket_caller(),
            };
            let sent = socket.send(source, &mut outgoing);
            letter.files = core::mem::take(&mut outgoing.files);
            done += sent?;
            if socket.kind() != Kind::Stream || Source::remaining(source) == 0 {
                return Ok(());
            }
        }
    })
    .await;
    match result {
        Err(_) if done > 0 => Ok(done),
        Err(Errno::EPIPE) => {
            if socket.kind() == Kind::Stream && !flags.contains(MsgFlags::MSG_NOSIGNAL) {
                cx.raise(Signal::PIPE);
            }
            Err(Errno::EPIPE)
        }
        result => result.map(|()| done),
    }
}

/// Receives, waiting for something (`sock_recvmsg`); with `MSG_WAITALL` for all of a stream that was asked for.
async fn receive(
    cx: &mut Cx<'_>,
    file: &Arc<File>,
    socket: &Arc<dyn Socket>,
    sink: &mut UserBuffers,
    flags: MsgFlags,
) -> Result<Incoming, Errno> {
    // Datagrams of the internet have nothing out of band, and do not look at the flag.
    if flags.contains(MsgFlags::MSG_OOB) && (socket.kind() == Kind::Stream || socket.family() == AF_UNIX) {
        return Err(if socket.kind() == Kind::Stream { Errno::EINVAL } else { Errno::EOPNOTSUPP });
    }
    if flags.contains(MsgFlags::MSG_ERRQUEUE) {
        return Err(Errno::EAGAIN);
    }
    let waits = !flags.contains(MsgFlags::MSG_DONTWAIT) && !file.nonblocking();
    let wants_all =
        socket.kind() == Kind::Stream && flags.contains(MsgFlags::MSG_WAITALL) && !flags.contains(MsgFlags::MSG_PEEK);
    let timeout_ns = socket.settings().receive_timeout_ns();
    let mut received = Incoming::default();
    let result = wait_on(cx, &**socket, waits, timeout_ns, || {
        loop {
            let mut more = socket.receive(sink, flags)?;
            let at_end = more.len == 0;
            more.len += received.len;
            more.full_len = more.full_len.max(more.len);
            let got_files = !more.files.is_empty();
            received = more;
            if !wants_all || at_end || got_files || Sink::remaining(sink) == 0 {
                return Ok(());
            }
        }
    })
    .await;
    match result {
        Err(error) if received.len == 0 => Err(error),
        _ => Ok(received),
    }
}

/// What recvfrom(2) and recvmsg(2) give: the bytes received, or with `MSG_TRUNC` those the message had.
fn received_len(socket: &dyn Socket, received: &Incoming, flags: MsgFlags) -> usize {
    let whole = flags.contains(MsgFlags::MSG_TRUNC) && socket.kind() != Kind::Stream;
    if whole { received.full_len } else { received.len }
}

/// Whom a message is from: its sender, or the other end of a stream, if that has a name.
fn sender(socket: &dyn Socket, received: &Incoming) -> Vec<u8> {
    const NAMELESS_BYTES: usize = 2;
    if !received.address.is_empty() || socket.kind() != Kind::Stream || socket.family() != AF_UNIX {
        return received.address.clone();
    }
    socket.peer_address().ok().filter(|address| address.len() > NAMELESS_BYTES).unwrap_or_default()
}

/// sendto(2). Waits for room. `EFAULT`, `EBADF`, `ENOTSOCK`, `EINVAL`, and what the socket says.
pub async fn sys_sendto(
    cx: &mut Cx<'_>,
    fd: i32,
    buffer: Pointer,
    len: usize,
    flags: Flags,
    address: Pointer,
    address_len: i32,
) -> SyscallResult {
    let mut source = UserBuffers::single(buffer.0, len.min(MAX_RW_COUNT) as u64)?;
    let (file, socket) = cx.socket(fd)?;
    let address = if address.0 == 0 { None } else { Some(AddressIn::read(address.0, address_len)?) };
    let letter = Letter::plain(cx, address);
    send(cx, &file, &socket, &mut source, letter, MsgFlags::from_bits_retain(flags.0)).await
}

/// recvfrom(2). Waits for something. `EFAULT`, `EBADF`, `ENOTSOCK`, and what the socket says.
pub async fn sys_recvfrom(
    cx: &mut Cx<'_>,
    fd: i32,
    buffer: Pointer,
    len: usize,
    flags: Flags,
    address: Pointer,
    address_len: Pointer,
) -> SyscallResult {
    let mut sink = UserBuffers::single(buffer.0, len.min(MAX_RW_COUNT) as u64)?;
    let (file, socket) = cx.socket(fd)?;
    let flags = MsgFlags::from_bits_retain(flags.0);
    let received = receive(cx, &file, &socket, &mut sink, flags).await?;
    if address.0 != 0 {
        write_address(&sender(&*socket, &received), address, address_len.0)?;
    }
    Ok(received_len(&*socket, &received, flags))
}

/// The buffers of a message. `EMSGSIZE` for too many, and as for any vector.
fn buffers(head: &Msghdr) -> Result<UserBuffers, Errno> {
    if head.msg_iovlen > MAX_BUFFERS {
        return Err(Errno::EMSGSIZE);
    }
    UserBuffers::vector(head.msg_iov, head.msg_iovlen)
}

/// sendmsg(2). Waits for room. `EBADF`, `ENOTSOCK`, `EFAULT`, `EMSGSIZE`, `EINVAL`, `ENOBUFS`, `EPERM` and what the
/// socket says.
pub async fn sys_sendmsg(cx: &mut Cx<'_>, fd: i32, message: UserIn<Msghdr>, flags: Flags) -> SyscallResult {
    let (file, socket) = cx.socket(fd)?;
    let head = message.read()?;
    send_one(cx, &file, &socket, &head, MsgFlags::from_bits_retain(flags.0)).await
}

async fn send_one(
    cx: &mut Cx<'_>,
    file: &Arc<File>,
    socket: &Arc<dyn Socket>,
    head: &Msghdr,
    flags: MsgFlags,
) -> SyscallResult {
    if head.msg_namelen < 0 {
        return Err(Errno::EINVAL);
    }
    let has_address = head.msg_name != 0 && head.msg_namelen != 0;
    let name_len = head.msg_namelen.min(MAX_ADDRESS_BYTES as i32);
    let address = if has_address { Some(AddressIn::read(head.msg_name, name_len)?) } else { None };
    let mut source = buffers(head)?;
    let mut letter = Letter::plain(cx, address);
    if head.msg_control != 0 && head.msg_controllen != 0 {
        read_control(cx, &mut letter, head)?;
    }
    send(cx, file, socket, &mut source, letter, flags).await
}

/// Reads the control messages (`__scm_send`). `ENOBUFS` if there is too much of them, `EINVAL`, `EBADF`, `EPERM`.
fn read_control(cx: &Cx<'_>, letter: &mut Letter, head: &Msghdr) -> Result<(), Errno> {
    if head.msg_controllen > MAX_CONTROL_BYTES {
        return Err(Errno::ENOBUFS);
    }
    let control = UserSlice::new(head.msg_control, head.msg_controllen).read_all()?;
    let mut rest = &control[..];
    let mut files = Vec::new();
    while let Ok((head, _)) = Cmsghdr::read_from_prefix(rest) {
        let len = usize::try_from(head.cmsg_len).map_err(|_| Errno::EINVAL)?;
        let Some(data) = rest.get(HEAD_BYTES..len) else { return Err(Errno::EINVAL) };
        if head.cmsg_level == SOL_SOCKET.cast_signed() {
            match head.cmsg_type.cast_unsigned() {
                SCM_RIGHTS => read_rights(cx, data, &mut files)?,
                SCM_CREDENTIALS => letter.credentials = read_credentials(cx, data)?,
                _ => return Err(Errno::EINVAL),
            }
        }
        rest = rest.get(len.next_multiple_of(CONTROL_ALIGN)..).unwrap_or(&[]);
    }
    letter.files = Files::new(files);
    Ok(())
}

/// Open files to hand over (`scm_fp_copy`). `EINVAL` for too many, `EBADF`.
fn read_rights(cx: &Cx<'_>, data: &[u8], files: &mut Vec<Arc<File>>) -> Result<(), Errno> {
    for fd in data.chunks_exact(FD_BYTES) {
        if files.len() >= SCM_MAX_FD as usize {
            return Err(Errno::EINVAL);
        }
        let fd = fd.try_into().map_or(-1, i32::from_ne_bytes);
        files.push(cx.file(fd)?);
    }
    Ok(())
}

/// Who the sender says it is (`scm_check_creds`). `EINVAL`; `EPERM` for another's identity.
fn read_credentials(cx: &Cx<'_>, data: &[u8]) -> Result<Ucred, Errno> {
    let claimed = Ucred::read_from_bytes(data).map_err(|_| Errno::EINVAL)?;
    let cred = &cx.private.cred;
    let pid = claimed.pid == cx.process().pid || cred.capable(Capabilities::SYS_ADMIN);
    let uid = [cred.uid, cred.euid, cred.suid].contains(&claimed.uid) || cred.capable(Capabilities::SETUID);
    let gid = [cred.gid, cred.egid, cred.sgid].contains(&claimed.gid) || cred.capable(Capabilities::SETGID);
    if pid && uid && gid { Ok(claimed) } else { Err(Errno::EPERM) }
}

/// recvmsg(2). Waits for something. `EBADF`, `ENOTSOCK`, `EFAULT`, `EMSGSIZE`, `EINVAL` and what the socket says.
pub async fn sys_recvmsg(cx: &mut Cx<'_>, fd: i32, message: UserIn<Msghdr>, flags: Flags) -> SyscallResult {
    let (file, socket) = cx.socket(fd)?;
    let mut head = message.read()?;
    let len = receive_one(cx, &file, &socket, &mut head, MsgFlags::from_bits_retain(flags.0)).await?;
    UserOut::<Msghdr>::new(message.addr().0).write(&head)?;
    Ok(len)
}

/// Receives a message, and tells its address, control messages and flags in `head`.
async fn receive_one(
    cx: &mut Cx<'_>,
    file: &Arc<File>,
    socket: &Arc<dyn Socket>,
    head: &mut Msghdr,
    flags: MsgFlags,
) -> SyscallResult {
    if head.msg_namelen < 0 {
        return Err(Errno::EINVAL);
    }
    let mut sink = buffers(head)?;
    let mut received = receive(cx, file, socket, &mut sink, flags).await?;
    let len = received_len(&**socket, &received, flags);
    if head.msg_name != 0 {
        let address = sender(&**socket, &received);
        let room = usize::try_from(head.msg_namelen).unwrap_or(0);
        let part = &address[..address.len().min(room)];
        if UserSlice::new(head.msg_name, part.len() as u64).write_at(0, part) < part.len() {
            return Err(Errno::EFAULT);
        }
        head.msg_namelen = i32::try_from(address.len()).unwrap_or(i32::MAX);
    }
    let mut told = received.flags;
    told |= write_control(cx, &**socket, head, &mut received, flags.contains(MsgFlags::MSG_CMSG_CLOEXEC))?;
    told.set(MsgFlags::MSG_CMSG_CLOEXEC, flags.contains(MsgFlags::MSG_CMSG_CLOEXEC));
    head.msg_flags = told.bits();
    Ok(len)
}

/// Writes the control messages, and leaves in `head` how long they are (`scm_recv`). `MSG_CTRUNC` if they did not
/// all fit: files without room are closed.
fn write_control(
    cx: &Cx<'_>,
    socket: &dyn Socket,
    head: &mut Msghdr,
    received: &mut Incoming,
    close_on_exec: bool,
) -> Result<MsgFlags, Errno> {
    let mut control = UserSlice::new(head.msg_control, if head.msg_control == 0 { 0 } else { head.msg_controllen });
    let given = control.len;
    let mut told = MsgFlags::empty();
    if let Some(credentials) = received.credentials.filter(|_| socket.settings().passes_credentials()) {
        told |= put_control(&mut control, SCM_CREDENTIALS, credentials.as_bytes())?;
    }
    let room = usize::try_from(control.len).unwrap_or(usize::MAX).saturating_sub(HEAD_BYTES) / FD_BYTES;
    let mut fds = Vec::new();
    while fds.len() < room
        && let Some(file) = received.files.take_first()
    {
        match cx.install(file, close_on_exec) {
            Ok(fd) => fds.push(i32::try_from(fd).unwrap_or(-1)),
            Err(_) => {
                told |= MsgFlags::MSG_CTRUNC;
                break;
            }
        }
    }
    if !received.files.is_empty() {
        told |= MsgFlags::MSG_CTRUNC;
    }
    if !fds.is_empty() {
        told |= put_control(&mut control, SCM_RIGHTS, fds.as_bytes())?;
    }
    head.msg_controllen = given - control.len;
    Ok(told)
}

/// Writes one control message and moves past it; what fits of it, if it does not (`put_cmsg`). `EFAULT`.
fn put_control(control: &mut UserSlice, kind: u32, data: &[u8]) -> Result<MsgFlags, Errno> {
    let room = usize::try_from(control.len).unwrap_or(usize::MAX);
    if room < HEAD_BYTES {
        return Ok(MsgFlags::MSG_CTRUNC);
    }
    let len = (HEAD_BYTES + data.len()).min(room);
    let head = Cmsghdr { cmsg_len: len as u64, cmsg_level: SOL_SOCKET.cast_signed(), cmsg_type: kind.cast_signed() };
    UserOut::<Cmsghdr>::new(control.addr.0).write(&head)?;
    let part = &data[..len - HEAD_BYTES];
    if control.write_at(HEAD_BYTES as u64, part) < part.len() {
        return Err(Errno::EFAULT);
    }
    let advance = (HEAD_BYTES + data.len()).next_multiple_of(CONTROL_ALIGN).min(room) as u64;
    *control = UserSlice::new(control.addr.0 + advance, control.len - advance);
    Ok(if part.len() < data.len() { MsgFlags::MSG_CTRUNC } else { MsgFlags::empty() })
}

/// sendmmsg(2): several messages; an error after the first is only told by the count. As sendmsg(2).
pub async fn sys_sendmmsg(
    cx: &mut Cx<'_>,
    fd: i32,
    messages: UserIn<Mmsghdr>,
    count: u32,
    flags: Flags,
) -> SyscallResult {
    let (file, socket) = cx.socket(fd)?;
    let flags = MsgFlags::from_bits_retain(flags.0);
    let mut done = 0;
    for index in 0..u64::from(count.min(MAX_MESSAGES)) {
        let claim = messages.element(index);
        let sent = match claim.read() {
            Ok(message) => send_one(cx, &file, &socket, &message.msg_hdr, flags).await,
            Err(error) => Err(error),
        };
        let told = sent.and_then(|len| write_len(claim, len));
        match told {
            Ok(()) => done += 1,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Writes how long a message of several was.
fn write_len(claim: UserIn<Mmsghdr>, len: usize) -> Result<(), Errno> {
    let field = claim.addr().0 + core::mem::offset_of!(Mmsghdr, msg_len) as u64;
    UserOut::<u32>::new(field).write(&u32::try_from(len).unwrap_or(u32::MAX))
}

/// recvmmsg(2): several messages, waiting for each until the time is over; with `MSG_WAITFORONE` for the first
/// alone. As recvmsg(2). As on Linux, the time is looked at between messages only.
pub async fn sys_recvmmsg(
    cx: &mut Cx<'_>,
    fd: i32,
    messages: UserIn<Mmsghdr>,
    count: u32,
    flags: Flags,
    timeout: UserIn<Timespec>,
) -> SyscallResult {
    let timeout_ns = timeout.read_optional()?.map(|time| time.to_ns().ok_or(Errno::EINVAL)).transpose()?;
    let deadline_ns = timeout_ns.map(|ns| monotonic_ns().saturating_add(ns));
    let (file, socket) = cx.socket(fd)?;
    let mut flags = MsgFlags::from_bits_retain(flags.0);
    let mut done = 0;
    for index in 0..u64::from(count.min(MAX_MESSAGES)) {
        let claim = messages.element(index);
        let received = match claim.read() {
            Ok(mut message) => {
                let each = flags.difference(MsgFlags::MSG_WAITFORONE);
                let len = receive_one(cx, &file, &socket, &mut message.msg_hdr, each).await;
                len.and_then(|len| {
                    UserOut::<Msghdr>::new(claim.addr().0).write(&message.msg_hdr)?;
                    write_len(claim, len)
                })
            }
            Err(error) => Err(error),
        };
        match received {
            Ok(()) => done += 1,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
        if flags.contains(MsgFlags::MSG_WAITFORONE) {
            flags |= MsgFlags::MSG_DONTWAIT;
        }
        if deadline_ns.is_some_and(|deadline_ns| monotonic_ns() >= deadline_ns) {
            break;
        }
    }
    if let Some(deadline_ns) = deadline_ns {
        let left = Timespec::from_ns(deadline_ns.saturating_sub(monotonic_ns()));
        UserOut::<Timespec>::new(timeout.addr().0).write(&left)?;
    }
    Ok(done)
}
