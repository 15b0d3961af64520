//! Streams: tcp(7) between the sockets of this machine (`net/ipv4/tcp.c`, `af_inet.c`).
//!
//! A [`TcpSocket`] has an inbox that its peer puts bytes into. Peers know each other weakly; a listener holds the far
//! ends of connections nobody has accepted yet, and those who wait for room in its queue.
//!
//! Locks: a socket's state (rank `Ipc`). Nothing locks two sockets at a time. Bytes move from and to user memory under
//! the receiver's lock.

mod connect;
mod transfer;

pub use connect::FIRST_FREE_PORT;

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::poll::PollEvents;
use abi::socket::{AF_INET, AF_INET6, IPPROTO_IPV6, IPPROTO_TCP, IPV6_V6ONLY, MsgFlags, TCP_MAXSEG, Ucred};

use super::address;
use super::ports::{Place, Ports};
use super::{Line, Options, READABLE, WRITABLE};
use crate::fs::{ReadyQueue, Sink, Source};
use crate::ipc::socket::{Buffer, Caller, Connecting, Incoming, Kind, Outgoing, Settings, Shut, Socket};
use crate::sync::{Rank, SpinLock};

/// The buffer sizes a socket starts with (/proc/sys/net/ipv4/tcp_wmem and tcp_rmem).
const SEND_BYTES: usize = 16_384;
const RECEIVE_BYTES: usize = 131_072;
/// The largest segment over loopback.
const SEGMENT_BYTES: i32 = 65_483;

/// Who is bound to which port.
static PORTS: Ports<TcpSocket> = Ports::new();

/// A TCP socket.
pub struct TcpSocket {
    is_v6: bool,
    this: Weak<TcpSocket>,
    ready: ReadyQueue,
    settings: Settings,
    options: Options,
    state: SpinLock<State>,
}

struct State {
    phase: Phase,
    local: Option<Place>,
    /// bind(2) gave it its port, so that it keeps it when a connection ends.
    bound: bool,
    /// The address it was bound to, which a connection may narrow.
    bound_to: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    peer: Weak<TcpSocket>,
    inbox: VecDeque<Buffer>,
    /// Bytes in the inbox.
    queued: usize,
    /// The peer sends no more (FIN).
    at_end: bool,
    read_shut: bool,
    write_shut: bool,
    error: Option<Errno>,
    /// connect(2) has said that the connection stands.
    told: bool,
    identity: Ucred,
}

enum Phase {
    /// Not connected.
    Fresh,
    /// Accepts connections.
    Listening(Listener),
    /// Waits for room in a listener's queue.
    Connecting,
    /// A connection that could not be made, which connect(2) has not told yet.
    Failed,
    /// Connected, perhaps with an end that sends no more.
    Connected,
    /// The connection was reset.
    Reset,
    /// No open file is left.
    Closed,
}

#[derive(Default)]
struct Listener {
    /// The far ends of connections that stand.
    queue: VecDeque<Arc<TcpSocket>>,
    /// Those that found the queue full.
    waiting: VecDeque<Weak<TcpSocket>>,
    backlog: usize,
}

impl TcpSocket {
    /// A socket without address or peer.
    pub fn new(is_v6: bool) -> Arc<Self> {
        Self::with(is_v6, Settings::with_sizes(SEND_BYTES, RECEIVE_BYTES), Options::default())
    }

    fn with(is_v6: bool, settings: Settings, options: Options) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            is_v6,
            this: this.clone(),
            ready: ReadyQueue::new(),
            settings,
            options,
            state: SpinLock::new(Rank::Ipc, State::new()),
        })
    }

    /// Every TCP socket that is bound, as /proc/net/tcp shows them.
    pub fn all() -> Vec<Line> {
        PORTS.all().iter().map(|socket| socket.line()).collect()
    }

    fn line(&self) -> Line {
        const ESTABLISHED: u8 = 1;
        const SYN_SENT: u8 = 2;
        const FIN_WAIT: u8 = 5;
        const CLOSE: u8 = 7;
        const CLOSE_WAIT: u8 = 8;
        const LISTEN: u8 = 10;
        let unsent = self.unreceived();
        let state = self.state.lock();
        let (number, queued) = match &state.phase {
            Phase::Listening(listener) => (LISTEN, listener.queue.len()),
            Phase::Connecting => (SYN_SENT, 0),
            Phase::Connected if state.at_end => (CLOSE_WAIT, state.queued),
            Phase::Connected if state.write_shut => (FIN_WAIT, state.queued),
            Phase::Connected => (ESTABLISHED, state.queued),
            _ => (CLOSE, 0),
        };
        let nobody = address::nobody(self.is_v6);
        let local = state.local.map_or(nobody, |place| place.at);
        let remote = state.remote.unwrap_or(nobody);
        Line { local, remote, state: number, queues: (unsent, queued), is_v6: self.is_v6 }
    }

    fn switched(flag: &core::sync::atomic::AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }
}

impl State {
    fn new() -> Self {
        Self {
            phase: Phase::Fresh,
            local: None,
            bound: false,
            bound_to: None,
            remote: None,
            peer: Weak::new(),
            inbox: VecDeque::new(),
            queued: 0,
            at_end: false,
            read_shut: false,
            write_shut: false,
            error: None,
            told: false,
            identity: Ucred { pid: 0, uid: u32::MAX, gid: u32::MAX },
        }
    }

    /// What shutdown(2) and the peer's end have shut, for reading and for writing.
    fn shut(&self) -> (bool, bool) {
        let over = matches!(self.phase, Phase::Reset | Phase::Failed | Phase::Closed);
        (over || self.read_shut || self.at_end, over || self.write_shut)
    }
}

impl Socket for TcpSocket {
    fn family(&self) -> u32 {
        if self.is_v6 { AF_INET6 } else { AF_INET }
    }

    fn kind(&self) -> Kind {
        Kind::Stream
    }

    fn protocol(&self) -> u32 {
        IPPROTO_TCP
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    /// `tcp_poll`.
    fn readiness(&self) -> PollEvents {
        let room = self.room();
        let state = self.state.lock();
        if let Phase::Listening(listener) = &state.phase {
            return if listener.queue.is_empty() { PollEvents::empty() } else { READABLE };
        }
        let (read_shut, write_shut) = state.shut();
        let mut events = PollEvents::empty();
        events.set(PollEvents::POLLERR, state.error.is_some());
        let over = !matches!(state.phase, Phase::Connected | Phase::Connecting);
        events.set(PollEvents::POLLHUP, over || (read_shut && write_shut));
        events.set(READABLE | PollEvents::POLLRDHUP, read_shut);
        if !matches!(state.phase, Phase::Connecting) {
            events.set(WRITABLE, write_shut || room.is_none_or(|(free, whole)| free * 3 >= whole));
            if state.queued > 0 {
                events |= READABLE;
            }
        }
        events
    }

    fn ready(&self) -> &ReadyQueue {
        &self.ready
    }

    fn bind(&self, caller: &Caller<'_>, address: &[u8]) -> Result<(), Errno> {
        self.bind_to(caller, address)
    }

    fn listen(&self, caller: &Caller<'_>, backlog: i32) -> Result<(), Errno> {
        self.start_listening(caller, backlog)
    }

    fn accept(&self) -> Result<Arc<dyn Socket>, Errno> {
        Ok(self.take_connection()?)
    }

    fn connect(&self, caller: &Caller<'_>, address: &[u8]) -> Result<Connecting, Errno> {
        self.connect_to(caller, address)
    }

    fn connected(&self) -> Result<(), Errno> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Connecting => Err(Errno::EAGAIN),
            Phase::Connected => {
                state.told = true;
                Ok(())
            }
            Phase::Failed => Err(state.fail()),
            _ => Err(state.error.take().unwrap_or(Errno::ECONNABORTED)),
        }
    }

    fn has_room(&self) -> bool {
        true
    }

    fn is_listening(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Listening(_))
    }

    fn local_address(&self) -> Vec<u8> {
        let local = self.state.lock().local;
        address::encode(local.map_or(address::nobody(self.is_v6), |place| place.at), self.is_v6)
    }

    fn peer_address(&self) -> Result<Vec<u8>, Errno> {
        let state = self.state.lock();
        let remote = state.remote.filter(|_| matches!(state.phase, Phase::Connected));
        Ok(address::encode(remote.ok_or(Errno::ENOTCONN)?, self.is_v6))
    }

    fn accepted_from(&self) -> Result<Vec<u8>, Errno> {
        let remote = self.state.lock().remote.ok_or(Errno::ECONNABORTED)?;
        Ok(address::encode(remote, self.is_v6))
    }

    fn peer_credentials(&self) -> Ucred {
        Ucred { pid: 0, uid: u32::MAX, gid: u32::MAX }
    }

    fn option(&self, level: u32, option: u32) -> Result<i32, Errno> {
        if (level, option) == (IPPROTO_TCP, TCP_MAXSEG) && matches!(self.state.lock().phase, Phase::Connected) {
            return Ok(SEGMENT_BYTES);
        }
        self.options.get(self.is_v6, IPPROTO_TCP, level, option)
    }

    fn set_option(&self, level: u32, option: u32, value: i32) -> Result<(), Errno> {
        if (level, option) == (IPPROTO_IPV6, IPV6_V6ONLY) && self.state.lock().local.is_some() {
            return Err(Errno::EINVAL);
        }
        self.options.set(self.is_v6, IPPROTO_TCP, level, option, value)
    }

    fn send(&self, source: &mut dyn Source, _message: &mut Outgoing<'_>) -> Result<usize, Errno> {
        self.send_bytes(source)
    }

    fn receive(&self, sink: &mut dyn Sink, flags: MsgFlags) -> Result<Incoming, Errno> {
        self.receive_bytes(sink, flags)
    }

    fn shutdown(&self, shut: Shut) -> Result<(), Errno> {
        self.shut_down(shut)
    }

    fn take_error(&self) -> Option<Errno> {
        self.state.lock().error.take()
    }

    fn receivable(&self) -> Result<usize, Errno> {
        let state = self.state.lock();
        if matches!(state.phase, Phase::Listening(_)) { Err(Errno::EINVAL) } else { Ok(state.queued) }
    }

    /// What the peer has not taken. Everything sent has arrived, so that Linux would say 0 where the peer's buffer
    /// takes it.
    fn unreceived(&self) -> usize {
        let peer = self.state.lock().peer.upgrade();
        let Some(peer) = peer else { return 0 };
        let queued = peer.state.lock().queued;
        queued.saturating_sub(peer.settings.receive_bytes())
    }

    fn close(&self) {
        self.disconnect_for_good();
    }
}
