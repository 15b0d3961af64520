//! Sockets as the socket calls see them, whatever their family.
//!
//! A family implements [`Socket`]: non-blocking tries, as files have them. [`SocketFile`] makes an open file of one.
//! Blocking, timeouts, user addresses and control messages are the callers' (`syscall/socket.rs`).

mod buffer;
mod file;
mod flight;
mod settings;

pub use buffer::Buffer;
pub use file::SocketFile;
pub use flight::Files;
pub use settings::{MIN_RECEIVE_BYTES, MIN_SEND_BYTES, Settings};

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::poll::PollEvents;
use abi::socket::{MsgFlags, Ucred};

use crate::fs::{Cred, FsContext, ReadyQueue, Sink, Source};

/// Who makes a call on a socket.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// Where paths begin.
    pub fs: &'a FsContext,
    /// Its credentials.
    pub cred: &'a Arc<Cred>,
    /// Its process.
    pub pid: i32,
}

impl Caller<'_> {
    /// What others learn of it.
    pub fn identity(&self) -> Ucred {
        Ucred { pid: self.pid, uid: self.cred.euid, gid: self.cred.egid }
    }
}

/// How a socket carries data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u32)]
pub enum Kind {
    /// A stream of bytes over a connection.
    Stream = 1,
    /// Messages without a connection.
    Datagram = 2,
    /// Messages over a connection.
    SequencedPacket = 5,
}

impl Kind {
    /// Whether data needs a connection.
    pub fn connects(self) -> bool {
        self != Self::Datagram
    }
}

/// Which directions shutdown(2) shuts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shut {
    /// Receiving.
    pub read: bool,
    /// Sending.
    pub write: bool,
}

/// What is sent beside the bytes.
pub struct Outgoing<'a> {
    /// Whom to, if not the peer.
    pub address: Option<&'a [u8]>,
    /// Open files to hand over.
    pub files: Files,
    /// Who the receiver is told it is from.
    pub credentials: Ucred,
    /// The calling process's view of paths.
    pub caller: Caller<'a>,
}

/// What was received beside the bytes.
#[derive(Default)]
pub struct Incoming {
    /// Bytes put into the sink.
    pub len: usize,
    /// Bytes the message had.
    pub full_len: usize,
    /// Whom from: a socket address, empty if it has none.
    pub address: Vec<u8>,
    /// Open files handed over.
    pub files: Files,
    /// Who sent it.
    pub credentials: Option<Ucred>,
    /// `MSG_TRUNC`, `MSG_EOR`.
    pub flags: MsgFlags,
}

/// A connection under way.
pub enum Connecting {
    /// It stands.
    Done,
    /// It is under way: what a caller who does not wait is told (`EINPROGRESS`, `EALREADY`). The others wait for
    /// [`Socket::connected`].
    UnderWay(Errno),
    /// The listener's queue is full: try again when it [accepts](Socket::has_room).
    Busy(Arc<dyn Socket>),
}

/// A socket. Nothing here blocks: `EAGAIN` asks to wait on [`Socket::ready`] and to try again.
pub trait Socket: Send + Sync {
    /// Its address family.
    fn family(&self) -> u32;
    /// How it carries data.
    fn kind(&self) -> Kind;
    /// Its protocol.
    fn protocol(&self) -> u32 {
        0
    }
    /// Buffer sizes, timeouts and switches.
    fn settings(&self) -> &Settings;
    /// What it is ready for.
    fn readiness(&self) -> PollEvents;
    /// Woken when that changes.
    fn ready(&self) -> &ReadyQueue;

    /// Gives it an address.
    fn bind(&self, caller: &Caller<'_>, address: &[u8]) -> Result<(), Errno>;
    /// Has it accept connections.
    fn listen(&self, caller: &Caller<'_>, backlog: i32) -> Result<(), Errno>;
    /// Takes a connection.
    fn accept(&self) -> Result<Arc<dyn Socket>, Errno>;
    /// Connects it.
    fn connect(&self, caller: &Caller<'_>, address: &[u8]) -> Result<Connecting, Errno>;
    /// How a connection that was under way ended; `EAGAIN` while it is.
    fn connected(&self) -> Result<(), Errno> {
        Ok(())
    }
    /// Whether a listener takes a further connection into its queue, or will never again.
    fn has_room(&self) -> bool;
    /// Whether it listens.
    fn is_listening(&self) -> bool;
    /// Its own address.
    fn local_address(&self) -> Vec<u8>;
    /// Its peer's address. `ENOTCONN`.
    fn peer_address(&self) -> Result<Vec<u8>, Errno>;
    /// Whom accept(2) shows as the peer of a connection, even if that is gone again. `ECONNABORTED`.
    fn accepted_from(&self) -> Result<Vec<u8>, Errno> {
        self.peer_address().map_err(|_| Errno::ECONNABORTED)
    }
    /// The value of an option of a level of the family's own. `EOPNOTSUPP` without any, `ENOPROTOOPT`.
    fn option(&self, _level: u32, _option: u32) -> Result<i32, Errno> {
        Err(Errno::EOPNOTSUPP)
    }
    /// Sets such an option. `EOPNOTSUPP`, `ENOPROTOOPT`, `EINVAL`.
    fn set_option(&self, _level: u32, _option: u32, _value: i32) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
    /// Who connected, or listened.
    fn peer_credentials(&self) -> Ucred;

    /// Sends. What was sent of a stream counts even if no more fits; the files go with its first byte.
    fn send(&self, source: &mut dyn Source, message: &mut Outgoing<'_>) -> Result<usize, Errno>;
    /// Receives (`MSG_PEEK` and nothing else counts).
    fn receive(&self, sink: &mut dyn Sink, flags: MsgFlags) -> Result<Incoming, Errno>;
    /// Shuts directions. `ENOTCONN`.
    fn shutdown(&self, shut: Shut) -> Result<(), Errno>;
    /// Takes the pending error (`SO_ERROR`).
    fn take_error(&self) -> Option<Errno>;
    /// Bytes that can be received (`SIOCINQ`): of the first message, or of the stream.
    fn receivable(&self) -> Result<usize, Errno>;
    /// Bytes sent and not yet received (`SIOCOUTQ`).
    fn unreceived(&self) -> usize;
    /// The last open file of it is gone.
    fn close(&self);
}
