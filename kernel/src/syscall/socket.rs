//! Sockets: making, naming, connecting and shutting them (`net/socket.c`). Options are in `sockopt`, transfers in
//! `message`.

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::OpenFlags;
use abi::socket::{
    AF_INET, AF_INET6, AF_UNIX, IPPROTO_TCP, IPPROTO_UDP, SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_DGRAM, SOCK_RAW,
    SOCK_SEQPACKET, SOCK_STREAM, SOCK_TYPE_MASK, SockFlags,
};

use super::args::{Flags, Pointer};
use super::pipe::install_pair;
use super::{Cx, SyscallResult};
use crate::fs::pseudo::socket_place;
use crate::fs::{Capabilities, File};
use crate::ipc::inet::tcp::TcpSocket;
use crate::ipc::inet::udp::UdpSocket;
use crate::ipc::socket::{Caller, Connecting, Kind, Shut, Socket, SocketFile};
use crate::ipc::unix::UnixSocket;
use crate::mem::{UserIn, UserOut, UserSlice};
use crate::sync::executor;
use crate::time::monotonic_ns;

/// The longest address (`struct sockaddr_storage`).
pub(super) const MAX_ADDRESS_BYTES: usize = 128;

/// An address a user gave, copied.
pub(super) struct AddressIn {
    bytes: [u8; MAX_ADDRESS_BYTES],
    len: usize,
}

impl AddressIn {
    /// Copies the address in (`move_addr_to_kernel`). `EINVAL` for a length out of range, `EFAULT`.
    pub(super) fn read(address: u64, len: i32) -> Result<Self, Errno> {
        let len = usize::try_from(len).ok().filter(|len| *len <= MAX_ADDRESS_BYTES).ok_or(Errno::EINVAL)?;
        let mut bytes = [0; MAX_ADDRESS_BYTES];
        let copied = UserSlice::new(address, len as u64).read_at(0, &mut bytes[..len]);
        if copied == len { Ok(Self { bytes, len }) } else { Err(Errno::EFAULT) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Gives the user an address and its length (`move_addr_to_user`): what fits of the one, the whole of the other.
/// `EINVAL` for a negative room, `EFAULT`.
pub(super) fn write_address(address: &[u8], to: Pointer, len: u64) -> Result<(), Errno> {
    let room = UserIn::<i32>::new(len).read()?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let part = &address[..address.len().min(room)];
    if UserSlice::new(to.0, part.len() as u64).write_at(0, part) < part.len() {
        return Err(Errno::EFAULT);
    }
    UserOut::<i32>::new(len).write(&i32::try_from(address.len()).unwrap_or(i32::MAX))
}

impl Cx<'_> {
    /// The socket behind a descriptor, and its open file. `EBADF`, `ENOTSOCK`.
    pub(super) fn socket(&self, fd: i32) -> Result<(Arc<File>, Arc<dyn Socket>), Errno> {
        let file = self.file(fd)?;
        let socket = file.downcast::<SocketFile>().ok_or(Errno::ENOTSOCK)?.socket.clone();
        Ok((file, socket))
    }

    /// The caller, as sockets want to know it.
    pub(super) fn socket_caller(&self) -> Caller<'_> {
        Caller { fs: &self.private.fs, cred: &self.private.cred, pid: self.process().pid }
    }

    /// An open file of a socket.
    fn socket_file(&self, socket: Arc<dyn Socket>, flags: SockFlags) -> Arc<File> {
        let cred = &self.private.cred;
        let ops = SocketFile::new(socket, cred, &self.private.fs, self.process().pid);
        let mut open = OpenFlags::O_RDWR;
        open.set(OpenFlags::O_NONBLOCK, flags.contains(SockFlags::SOCK_NONBLOCK));
        File::new(ops, socket_place(cred), open, cred.clone())
    }
}

/// Tries until it succeeds, fails or the time is over, whenever the socket's readiness changes. `EAGAIN` for a
/// file that does not wait, and when the time is over; a call with a timeout is not restarted after a signal
/// (`sock_intr_errno`).
pub(super) async fn wait_on<T>(
    cx: &Cx<'_>,
    socket: &dyn Socket,
    waits: bool,
    timeout_ns: Option<u64>,
    mut attempt: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Errno> {
    match attempt() {
        Err(Errno::EAGAIN) if waits => {}
        done => return done,
    }
    let until = socket.ready().wait_until(|| match attempt() {
        Err(Errno::EAGAIN) => None,
        done => Some(done),
    });
    let deadline_ns = timeout_ns.map_or(u64::MAX, |ns| monotonic_ns().saturating_add(ns));
    match cx.interruptible(executor::timeout_at(deadline_ns, until)).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err(Errno::EAGAIN),
        Err(_) if timeout_ns.is_some() => Err(Errno::EINTR),
        Err(interrupted) => Err(interrupted.into()),
    }
}

/// Takes the type's flags off it. `EINVAL` for unknown ones.
fn split_type(kind: u32) -> Result<(u32, SockFlags), Errno> {
    let flags = SockFlags::from_bits(kind & !SOCK_TYPE_MASK).ok_or(Errno::EINVAL)?;
    Ok((kind & SOCK_TYPE_MASK, flags))
}

/// Checks what `__sock_create` does before it asks the family: `EAFNOSUPPORT`, `EINVAL`.
fn check_numbers(family: u32, kind: u32) -> Result<(), Errno> {
    /// Families and types that Linux has numbers for (`NPROTO`, `SOCK_MAX`).
    const FAMILIES: u32 = 46;
    const TYPES: u32 = 11;
    if family >= FAMILIES {
        return Err(Errno::EAFNOSUPPORT);
    }
    if kind >= TYPES { Err(Errno::EINVAL) } else { Ok(()) }
}

/// The kind of unix socket (`unix_create`): `EPROTONOSUPPORT`, `ESOCKTNOSUPPORT`.
fn unix_kind(kind: u32, protocol: u32) -> Result<Kind, Errno> {
    if protocol != 0 && protocol != AF_UNIX {
        return Err(Errno::EPROTONOSUPPORT);
    }
    match kind {
        SOCK_STREAM => Ok(Kind::Stream),
        SOCK_DGRAM | SOCK_RAW => Ok(Kind::Datagram),
        SOCK_SEQPACKET => Ok(Kind::SequencedPacket),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}

/// A socket of the internet families (`inet_create`): `EINVAL`, `ESOCKTNOSUPPORT`, `EPROTONOSUPPORT`, `EPERM`.
fn internet_socket(cx: &Cx<'_>, is_v6: bool, kind: u32, protocol: u32) -> Result<Arc<dyn Socket>, Errno> {
    /// Protocols that Linux has numbers for (`IPPROTO_MAX`, without the multipath ones).
    const PROTOCOLS: u32 = 256;
    if protocol >= PROTOCOLS {
        return Err(Errno::EINVAL);
    }
    match (kind, protocol) {
        (SOCK_STREAM, 0 | IPPROTO_TCP) => Ok(TcpSocket::new(is_v6)),
        (SOCK_DGRAM, 0 | IPPROTO_UDP) => Ok(UdpSocket::new(is_v6)),
        (SOCK_RAW, _) if !cx.private.cred.capable(Capabilities::NET_RAW) => Err(Errno::EPERM),
        (SOCK_STREAM | SOCK_DGRAM | SOCK_RAW, _) => Err(Errno::EPROTONOSUPPORT),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}

/// A new socket.
fn make(cx: &Cx<'_>, family: u32, kind: u32, protocol: u32) -> Result<Arc<dyn Socket>, Errno> {
    check_numbers(family, kind)?;
    match family {
        AF_UNIX => Ok(UnixSocket::new(unix_kind(kind, protocol)?)),
        AF_INET | AF_INET6 => internet_socket(cx, family == AF_INET6, kind, protocol),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// socket(2). `EINVAL`, `EAFNOSUPPORT`, `EPROTONOSUPPORT`, `ESOCKTNOSUPPORT`, `EMFILE`.
pub fn sys_socket(cx: &mut Cx<'_>, family: u32, kind: u32, protocol: u32) -> SyscallResult {
    let (kind, flags) = split_type(kind)?;
    let socket = make(cx, family, kind, protocol)?;
    let file = cx.socket_file(socket, flags);
    cx.install(file, flags.contains(SockFlags::SOCK_CLOEXEC))
}

/// socketpair(2). As socket(2); `EOPNOTSUPP` for families that cannot, `EFAULT`.
pub fn sys_socketpair(cx: &mut Cx<'_>, family: u32, kind: u32, protocol: u32, fds: UserOut<[i32; 2]>) -> SyscallResult {
    let (kind, flags) = split_type(kind)?;
    if family != AF_UNIX {
        return make(cx, family, kind, protocol).and(Err(Errno::EOPNOTSUPP));
    }
    check_numbers(family, kind)?;
    let kind = unix_kind(kind, protocol)?;
    let (first, second) = UnixSocket::pair(kind, cx.socket_caller().identity());
    let files = [cx.socket_file(first, flags), cx.socket_file(second, flags)];
    install_pair(cx, fds, files, flags.contains(SockFlags::SOCK_CLOEXEC))
}

/// bind(2). `EBADF`, `ENOTSOCK`, `EINVAL`, `EFAULT`, `EADDRINUSE`, and the errors of making a name in a directory.
pub fn sys_bind(cx: &mut Cx<'_>, fd: i32, address: Pointer, len: i32) -> SyscallResult {
    let (_, socket) = cx.socket(fd)?;
    let address = AddressIn::read(address.0, len)?;
    socket.bind(&cx.socket_caller(), address.bytes())?;
    Ok(0)
}

/// listen(2). `EBADF`, `ENOTSOCK`, `EOPNOTSUPP`, `EINVAL`.
pub fn sys_listen(cx: &mut Cx<'_>, fd: i32, backlog: i32) -> SyscallResult {
    let (_, socket) = cx.socket(fd)?;
    socket.listen(&cx.socket_caller(), backlog)?;
    Ok(0)
}

/// accept(2): without flags.
pub async fn sys_accept(cx: &mut Cx<'_>, fd: i32, address: Pointer, len: Pointer) -> SyscallResult {
    accept(cx, fd, address, len, SockFlags::empty()).await
}

/// accept4(2). Waits for a connection. `EINVAL`, `EBADF`, `ENOTSOCK`, `EOPNOTSUPP`, `EMFILE`, `EFAULT`.
pub async fn sys_accept4(cx: &mut Cx<'_>, fd: i32, address: Pointer, len: Pointer, flags: Flags) -> SyscallResult {
    let flags = SockFlags::from_bits(flags.0).ok_or(Errno::EINVAL)?;
    accept(cx, fd, address, len, flags).await
}

async fn accept(cx: &mut Cx<'_>, fd: i32, address: Pointer, len: Pointer, flags: SockFlags) -> SyscallResult {
    let (file, socket) = cx.socket(fd)?;
    let timeout_ns = socket.settings().receive_timeout_ns();
    let accepted = wait_on(cx, &*socket, !file.nonblocking(), timeout_ns, || socket.accept()).await?;
    let peer = accepted.accepted_from();
    let file = cx.socket_file(accepted, flags);
    if address.0 != 0 {
        write_address(&peer?, address, len.0)?;
    }
    cx.install(file, flags.contains(SockFlags::SOCK_CLOEXEC))
}

/// connect(2). Waits while the listener's queue is full. `EBADF`, `ENOTSOCK`, `EINVAL`, `EFAULT`, `ECONNREFUSED`,
/// `EPROTOTYPE`, `EISCONN`, `EPERM`, `EAGAIN`, `EINPROGRESS`, `EALREADY`, `EADDRNOTAVAIL`, `ENETUNREACH`, and the errors of walking a path.
pub async fn sys_connect(cx: &mut Cx<'_>, fd: i32, address: Pointer, len: i32) -> SyscallResult {
    let (file, socket) = cx.socket(fd)?;
    let address = AddressIn::read(address.0, len)?;
    let timeout_ns = socket.settings().send_timeout_ns();
    loop {
        let connecting = socket.connect(&cx.socket_caller(), address.bytes())?;
        let listener = match connecting {
            Connecting::Done => return Ok(0),
            Connecting::UnderWay(error) if file.nonblocking() => return Err(error),
            Connecting::UnderWay(error) => {
                let waited = wait_on(cx, &*socket, true, timeout_ns, || socket.connected()).await;
                return waited.map(|()| 0).map_err(|failure| if failure == Errno::EAGAIN { error } else { failure });
            }
            Connecting::Busy(listener) => listener,
        };
        let room = || if listener.has_room() { Ok(()) } else { Err(Errno::EAGAIN) };
        wait_on(cx, &*listener, !file.nonblocking(), timeout_ns, room).await?;
    }
}

/// getsockname(2). `EBADF`, `ENOTSOCK`, `EFAULT`, `EINVAL`.
pub fn sys_getsockname(cx: &mut Cx<'_>, fd: i32, address: Pointer, len: Pointer) -> SyscallResult {
    let (_, socket) = cx.socket(fd)?;
    write_address(&socket.local_address(), address, len.0)?;
    Ok(0)
}

/// getpeername(2). `EBADF`, `ENOTSOCK`, `ENOTCONN`, `EFAULT`, `EINVAL`.
pub fn sys_getpeername(cx: &mut Cx<'_>, fd: i32, address: Pointer, len: Pointer) -> SyscallResult {
    let (_, socket) = cx.socket(fd)?;
    write_address(&socket.peer_address()?, address, len.0)?;
    Ok(0)
}

/// shutdown(2). `EBADF`, `ENOTSOCK`, `EINVAL`, `ENOTCONN`.
pub fn sys_shutdown(cx: &mut Cx<'_>, fd: i32, how: u32) -> SyscallResult {
    let (_, socket) = cx.socket(fd)?;
    let shut = match how {
        SHUT_RD => Shut { read: true, write: false },
        SHUT_WR => Shut { read: false, write: true },
        SHUT_RDWR => Shut { read: true, write: true },
        _ => return Err(Errno::EINVAL),
    };
    socket.shutdown(shut)?;
    Ok(0)
}
