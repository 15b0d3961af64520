//! Unix sockets (unix(7), `net/unix/af_unix.c`).
//!
//! A [`UnixSocket`] has an inbox that its senders put messages into; connected peers know each other weakly, and
//! a listener holds the far ends of connections nobody has accepted yet. A message counts against its sender's
//! send buffer until it is received.
//!
//! Locks: a socket's state (rank `Ipc`). Nothing locks two sockets at a time. Bytes move from and to user memory
//! under the receiver's lock. Messages are dropped with no lock held: their senders are told, open files closed.

mod address;
mod connect;
mod message;
mod transfer;

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::Errno;
use abi::poll::PollEvents;
use abi::socket::{AF_UNIX, MsgFlags, Ucred};

use super::socket::{Buffer, Caller, Connecting, Incoming, Kind, Outgoing, Settings, Shut, Socket};
use crate::fs::{ReadyQueue, Sink, Source};
use crate::sync::{Rank, SpinLock};
use address::Name;
use message::Message;

/// What readers wait for.
const READABLE: PollEvents = PollEvents::POLLIN.union(PollEvents::POLLRDNORM);
/// What writers wait for.
const WRITABLE: PollEvents = PollEvents::POLLOUT.union(PollEvents::POLLWRNORM).union(PollEvents::POLLWRBAND);
/// What everybody hears of when a connection changes.
const CHANGED: PollEvents =
    READABLE.union(WRITABLE).union(PollEvents::POLLHUP).union(PollEvents::POLLRDHUP).union(PollEvents::POLLERR);

/// Messages in the inbox of a datagram socket from others than its own peer (`net.unix.max_dgram_qlen`).
const MAX_QUEUED_DATAGRAMS: usize = 10;

/// A unix socket.
pub struct UnixSocket {
    kind: Kind,
    this: Weak<UnixSocket>,
    ready: ReadyQueue,
    settings: Settings,
    /// Bytes sent and not received, messages' own size included.
    outstanding: AtomicUsize,
    state: SpinLock<State>,
}

struct State {
    name: Option<Arc<Name>>,
    phase: Phase,
    /// Whom messages go to: the other end of the connection, or a datagram socket's default.
    peer: Weak<UnixSocket>,
    peer_name: Option<Arc<Name>>,
    peer_credentials: Ucred,
    inbox: VecDeque<Message>,
    /// A buffer to use again.
    spare: Option<Buffer>,
    read_shut: bool,
    write_shut: bool,
    error: Option<Errno>,
    /// Datagram sockets that found the inbox full.
    blocked: Vec<Weak<UnixSocket>>,
}

enum Phase {
    /// Not connected.
    Fresh,
    /// Accepts connections: the far ends of those not accepted yet.
    Listening { queue: VecDeque<Arc<UnixSocket>>, backlog: usize },
    /// Connected, or a datagram socket with a default peer.
    Connected,
    /// Closed.
    Closed,
}

impl UnixSocket {
    /// A socket without address or peer.
    pub fn new(kind: Kind) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            kind,
            this: this.clone(),
            ready: ReadyQueue::new(),
            settings: Settings::default(),
            outstanding: AtomicUsize::new(0),
            state: SpinLock::new(Rank::Ipc, State::new()),
        })
    }

    /// Two sockets connected to each other (socketpair(2)), for `caller`.
    pub fn pair(kind: Kind, identity: Ucred) -> (Arc<Self>, Arc<Self>) {
        let (first, second) = (Self::new(kind), Self::new(kind));
        for (socket, peer) in [(&first, &second), (&second, &first)] {
            let mut state = socket.state.lock();
            state.phase = Phase::Connected;
            state.peer = Arc::downgrade(peer);
            state.peer_credentials = identity;
        }
        (first, second)
    }

    fn strong(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }

    /// Whether less than a quarter of the send buffer is in use (`unix_writable`).
    fn is_writable(&self) -> bool {
        self.outstanding.load(Ordering::Relaxed) * 4 <= self.settings.send_bytes()
    }

    /// Whether `sender`, a datagram socket, finds the inbox full. If it does it is told when that changes.
    fn is_full_for(&self, sender: &UnixSocket) -> bool {
        let mut state = self.state.lock();
        let full = state.inbox.len() > MAX_QUEUED_DATAGRAMS && !state.peer.ptr_eq(&sender.this);
        if full && !state.blocked.iter().any(|blocked| blocked.ptr_eq(&sender.this)) {
            state.blocked.push(sender.this.clone());
        }
        full
    }
}

impl State {
    fn new() -> Self {
        Self {
            name: None,
            phase: Phase::Fresh,
            peer: Weak::new(),
            peer_name: None,
            peer_credentials: Ucred { pid: 0, uid: u32::MAX, gid: u32::MAX },
            inbox: VecDeque::new(),
            spare: None,
            read_shut: false,
            write_shut: false,
            error: None,
            blocked: Vec::new(),
        }
    }

    fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected)
    }

    fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }
}

impl Socket for UnixSocket {
    fn family(&self) -> u32 {
        AF_UNIX
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    /// `unix_poll`, `unix_dgram_poll`.
    fn readiness(&self) -> PollEvents {
        let state = self.state.lock();
        let mut events = PollEvents::empty();
        events.set(PollEvents::POLLERR, state.error.is_some());
        events.set(PollEvents::POLLHUP, state.read_shut && state.write_shut);
        events.set(PollEvents::POLLRDHUP | READABLE, state.read_shut);
        let mut listening = false;
        match &state.phase {
            Phase::Listening { queue, .. } => {
                listening = true;
                events |= if queue.is_empty() { PollEvents::empty() } else { READABLE };
            }
            Phase::Fresh if self.kind.connects() => events |= PollEvents::POLLHUP,
            _ => {}
        }
        if !state.inbox.is_empty() {
            events |= READABLE;
        }
        let peer = if self.kind == Kind::Datagram { state.peer.upgrade() } else { None };
        drop(state);
        let blocked = peer.is_some_and(|peer| peer.is_full_for(self));
        events.set(WRITABLE, !listening && self.is_writable() && !blocked);
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

    fn has_room(&self) -> bool {
        match &self.state.lock().phase {
            Phase::Listening { queue, backlog } => queue.len() <= *backlog,
            _ => true,
        }
    }

    fn is_listening(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Listening { .. })
    }

    fn local_address(&self) -> Vec<u8> {
        address::encode(self.state.lock().name.as_deref())
    }

    fn peer_address(&self) -> Result<Vec<u8>, Errno> {
        let state = self.state.lock();
        if !state.is_connected() {
            return Err(Errno::ENOTCONN);
        }
        Ok(address::encode(state.peer_name.as_deref()))
    }

    fn peer_credentials(&self) -> Ucred {
        self.state.lock().peer_credentials
    }

    fn send(&self, source: &mut dyn Source, message: &mut Outgoing<'_>) -> Result<usize, Errno> {
        match self.kind {
            Kind::Stream => self.send_bytes(source, message),
            Kind::Datagram | Kind::SequencedPacket => self.send_message(source, message),
        }
    }

    fn receive(&self, sink: &mut dyn Sink, flags: MsgFlags) -> Result<Incoming, Errno> {
        let peek = flags.contains(MsgFlags::MSG_PEEK);
        match self.kind {
            Kind::Stream => self.receive_bytes(sink, peek),
            Kind::Datagram | Kind::SequencedPacket => self.receive_message(sink, peek),
        }
    }

    fn shutdown(&self, shut: Shut) -> Result<(), Errno> {
        let peer = {
            let mut state = self.state.lock();
            state.read_shut |= shut.read;
            state.write_shut |= shut.write;
            state.peer.upgrade()
        };
        if let Some(peer) = peer.filter(|_| self.kind.connects()) {
            let mut state = peer.state.lock();
            state.read_shut |= shut.write;
            state.write_shut |= shut.read;
            drop(state);
            peer.ready.wake(CHANGED);
        }
        self.ready.wake(CHANGED);
        Ok(())
    }

    fn take_error(&self) -> Option<Errno> {
        self.state.lock().error.take()
    }

    fn receivable(&self) -> Result<usize, Errno> {
        let state = self.state.lock();
        match (&state.phase, self.kind) {
            (Phase::Listening { .. }, _) => Err(Errno::EINVAL),
            (_, Kind::Stream) => Ok(state.inbox.iter().map(Message::len).sum()),
            _ => Ok(state.inbox.front().map_or(0, Message::len)),
        }
    }

    fn unreceived(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    fn close(&self) {
        self.disconnect_for_good();
    }
}

#[cfg(test)]
mod tests;
