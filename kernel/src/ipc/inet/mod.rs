//! Internet sockets over the loopback interface, the only one there is (ip(7), ipv6(7), tcp(7), udp(7)).
//!
//! Both ends of every connection are in this kernel, so nothing is ever put into packets: a segment is bytes moved into
//! the peer's inbox, a SYN is an entry in the listener's queue, a FIN and an RST are marks on the peer. A packet stack
//! (smoltcp was considered) would add checksums, timers, retransmission and a second set of buffers, and gives neither
//! Linux's accept queue nor its errors; here nothing can be lost, reordered or late.
//!
//! - [`address`]: socket addresses and which of them are here. [`ports`]: who is bound to what.
//! - [`tcp`]: streams. [`udp`]: datagrams. [`options`]: what setsockopt(2) keeps. [`interface`]: `lo` as ioctl(2) shows it.
//!
//! Deviates: a port is free as soon as its socket is closed (there is no `TIME_WAIT`); urgent data, simultaneous opens
//! and multicast are not there; addresses outside 127.0.0.0/8 and ::1 are unreachable.
//!
//! Locks: the table of ports (rank `SocketNames`), then one socket's state (rank `Ipc`); never two sockets' at a time.

pub mod address;
pub mod interface;
mod options;
mod ports;
pub mod tcp;
pub mod udp;

pub use options::Options;

use abi::poll::PollEvents;

/// What readers wait for.
const READABLE: PollEvents = PollEvents::POLLIN.union(PollEvents::POLLRDNORM);
/// What writers wait for.
const WRITABLE: PollEvents = PollEvents::POLLOUT.union(PollEvents::POLLWRNORM);
/// What everybody hears of when a connection changes.
const CHANGED: PollEvents =
    READABLE.union(WRITABLE).union(PollEvents::POLLHUP).union(PollEvents::POLLRDHUP).union(PollEvents::POLLERR);

/// A socket as /proc/net/tcp and /proc/net/udp show it.
pub struct Line {
    /// Its own address.
    pub local: core::net::SocketAddr,
    /// Its peer's, or nobody's.
    pub remote: core::net::SocketAddr,
    /// Its state's number in Linux.
    pub state: u8,
    /// Bytes sent and not taken, and bytes to receive.
    pub queues: (usize, usize),
    /// Of which family it is.
    pub is_v6: bool,
}

#[cfg(test)]
mod tests;
