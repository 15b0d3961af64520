//! Datagrams: udp(7) between the sockets of this machine (`net/ipv4/udp.c`).
//!
//! Sending puts a message into the receiver's inbox at once, so a sender never waits; what a full inbox has no room for
//! is lost, as over any network. A connected sender learns that nobody is there (`ECONNREFUSED`) at its next call.
//!
//! Locks: the table of ports, then a socket's state (rank `Ipc`); never two sockets' at a time.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::Errno;
use abi::poll::PollEvents;
use abi::socket::{AF_INET, AF_INET6, AF_UNSPEC, IPPROTO_IPV6, IPPROTO_UDP, IPV6_V6ONLY, MsgFlags, Ucred};

use super::ports::{Place, Ports};
use super::tcp::FIRST_FREE_PORT;
use super::{CHANGED, Line, Options, READABLE, WRITABLE, address};
use crate::fs::{Capabilities, ReadyQueue, Sink, Source};
use crate::ipc::socket::{Buffer, Caller, Connecting, Incoming, Kind, Outgoing, Settings, Shut, Socket};
use crate::sync::{Rank, SpinLock};

/// The longest datagram over IPv4: what the length fields of its headers leave.
const MAX_BYTES: usize = 65_507;
/// Over IPv6.
const MAX_V6_BYTES: usize = 65_527;
/// What a datagram counts beside its bytes against the receiver's buffer (of the order of a `struct sk_buff`).
const OVERHEAD_BYTES: usize = 768;

static PORTS: Ports<UdpSocket> = Ports::new();

/// A UDP socket.
pub struct UdpSocket {
    is_v6: bool,
    this: Weak<UdpSocket>,
    ready: ReadyQueue,
    settings: Settings,
    options: Options,
    state: SpinLock<State>,
}

struct State {
    local: Option<Place>,
    /// The address it was bound to, which connecting may narrow; `None` if sending gave it a port.
    bound_to: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    inbox: VecDeque<Datagram>,
    /// What the inbox counts.
    charge: usize,
    read_shut: bool,
    write_shut: bool,
    error: Option<Errno>,
    closed: bool,
    uid: u32,
}

struct Datagram {
    buffer: Buffer,
    from: SocketAddr,
}

impl UdpSocket {
    /// A socket without address or peer.
    pub fn new(is_v6: bool) -> Arc<Self> {
        let state = State {
            local: None,
            bound_to: None,
            remote: None,
            inbox: VecDeque::new(),
            charge: 0,
            read_shut: false,
            write_shut: false,
            error: None,
            closed: false,
            uid: u32::MAX,
        };
        Arc::new_cyclic(|this| Self {
            is_v6,
            this: this.clone(),
            ready: ReadyQueue::new(),
            settings: Settings::default(),
            options: Options::default(),
            state: SpinLock::new(Rank::Ipc, state),
        })
    }

    /// Every UDP socket that is bound, as /proc/net/udp shows them.
    pub fn all() -> Vec<Line> {
        PORTS.all().iter().map(|socket| socket.line()).collect()
    }

    fn line(&self) -> Line {
        const ESTABLISHED: u8 = 1;
        const CLOSE: u8 = 7;
        let state = self.state.lock();
        let nobody = address::nobody(self.is_v6);
        Line {
            local: state.local.map_or(nobody, |place| place.at),
            remote: state.remote.unwrap_or(nobody),
            state: if state.remote.is_some() { ESTABLISHED } else { CLOSE },
            queues: (0, state.charge),
            is_v6: self.is_v6,
        }
    }

    /// Enters it in the table, if those who are there allow that (`udp_lib_get_port`). `EADDRINUSE`.
    fn take_port(&self, at: SocketAddr, caller: &Caller<'_>) -> Result<Place, Errno> {
        let uid = caller.identity().uid;
        let place = Place { at, v6_only: self.options.v6_only() };
        let place = PORTS.bind(&self.this, place, |other| {
            let both = |flag: fn(&Self) -> &AtomicBool| {
                flag(self).load(Ordering::Relaxed) && flag(other).load(Ordering::Relaxed)
            };
            both(|socket| &socket.settings.reuse_address)
                || (both(|socket| &socket.settings.reuse_port) && other.state.lock().uid == uid)
        })?;
        let mut state = self.state.lock();
        if state.local.is_some() {
            drop(state);
            PORTS.leave(&self.this, place.at.port());
            return Err(Errno::EINVAL);
        }
        state.local = Some(place);
        state.uid = uid;
        Ok(place)
    }

    /// Its own address, at a port of its own if it had none (`inet_autobind`). `EAGAIN` if no port is free.
    fn local_or_any(&self, caller: &Caller<'_>) -> Result<Place, Errno> {
        let own = self.state.lock().local;
        match own {
            Some(place) => Ok(place),
            None => self.take_port(address::nobody(self.is_v6), caller).map_err(|_| Errno::EAGAIN),
        }
    }

    /// connect(2) with `AF_UNSPEC` (`__udp_disconnect`).
    fn disconnect(&self) {
        let mut state = self.state.lock();
        state.remote = None;
        state.error = None;
        let (local, bound_to) = (state.local, state.bound_to);
        if let (Some(place), Some(bound_to)) = (local, bound_to) {
            let at = SocketAddr::new(bound_to.ip(), place.at.port());
            state.local = Some(Place { at, ..place });
            drop(state);
            PORTS.narrow(&self.this, at.port(), at.ip());
        } else if let Some(place) = state.local.take() {
            drop(state);
            PORTS.leave(&self.this, place.at.port());
        }
    }

    /// Where a message goes: the address given, or the peer. `EDESTADDRREQ`, `EINVAL`, `ENETUNREACH`.
    fn receiver(&self, message: &Outgoing<'_>) -> Result<(SocketAddr, bool), Errno> {
        let Some(given) = message.address else {
            let remote = self.state.lock().remote.ok_or(Errno::EDESTADDRREQ)?;
            return Ok((remote, true));
        };
        let to = address::decode(given, self.is_v6, false)?;
        if to.port() == 0 {
            return Err(Errno::EINVAL);
        }
        Ok((address::route(to, self.options.v6_only())?, false))
    }

    /// Puts a datagram into the inbox, if there is room; if not it is lost.
    fn take_in(&self, datagram: Datagram) {
        let mut state = self.state.lock();
        let charge = datagram.buffer.data().len() + OVERHEAD_BYTES;
        if state.closed || state.charge > self.settings.receive_bytes() {
            return;
        }
        state.charge += charge;
        state.inbox.push_back(datagram);
        drop(state);
        self.ready.wake(READABLE);
    }
}

/// Which of the sockets at `to` gets what comes from `from`: one connected there before one that is not.
fn find(to: SocketAddr, from: SocketAddr) -> Option<Arc<UdpSocket>> {
    PORTS.find(to, |socket| match socket.state.lock().remote {
        None => Some(0),
        Some(remote) => (remote == from).then_some(1),
    })
}

impl Socket for UdpSocket {
    fn family(&self) -> u32 {
        if self.is_v6 { AF_INET6 } else { AF_INET }
    }

    fn kind(&self) -> Kind {
        Kind::Datagram
    }

    fn protocol(&self) -> u32 {
        IPPROTO_UDP
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    /// `datagram_poll`.
    fn readiness(&self) -> PollEvents {
        let state = self.state.lock();
        let mut events = WRITABLE | PollEvents::POLLWRBAND;
        events.set(PollEvents::POLLERR, state.error.is_some());
        events.set(READABLE | PollEvents::POLLRDHUP, state.read_shut);
        events.set(PollEvents::POLLHUP, state.read_shut && state.write_shut);
        if !state.inbox.is_empty() {
            events |= READABLE;
        }
        events
    }

    fn ready(&self) -> &ReadyQueue {
        &self.ready
    }

    /// As of a TCP socket (`__inet_bind`).
    fn bind(&self, caller: &Caller<'_>, address: &[u8]) -> Result<(), Errno> {
        let wanted = address::decode(address, self.is_v6, true)?;
        address::check_local(wanted.ip(), self.is_v6, self.options.v6_only())?;
        if (1..FIRST_FREE_PORT).contains(&wanted.port()) && !caller.cred.capable(Capabilities::NET_BIND_SERVICE) {
            return Err(Errno::EACCES);
        }
        if self.state.lock().local.is_some() {
            return Err(Errno::EINVAL);
        }
        let place = self.take_port(wanted, caller)?;
        self.state.lock().bound_to = Some(place.at);
        Ok(())
    }

    fn listen(&self, _caller: &Caller<'_>, _backlog: i32) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn accept(&self) -> Result<Arc<dyn Socket>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// `__ip4_datagram_connect`.
    fn connect(&self, caller: &Caller<'_>, address: &[u8]) -> Result<Connecting, Errno> {
        if address::family(address).ok_or(Errno::EINVAL)? == AF_UNSPEC {
            self.disconnect();
            return Ok(Connecting::Done);
        }
        let to = address::decode(address, self.is_v6, false)?;
        let to = address::route(to, self.options.v6_only())?;
        let place = self.local_or_any(caller)?;
        let mut at = place.at;
        if at.ip().is_unspecified() {
            at.set_ip(address::source_for(to.ip()));
            PORTS.narrow(&self.this, at.port(), at.ip());
        }
        let mut state = self.state.lock();
        state.local = Some(Place { at, ..place });
        state.remote = Some(to);
        Ok(Connecting::Done)
    }

    fn has_room(&self) -> bool {
        true
    }

    fn is_listening(&self) -> bool {
        false
    }

    fn local_address(&self) -> Vec<u8> {
        let local = self.state.lock().local;
        address::encode(local.map_or(address::nobody(self.is_v6), |place| place.at), self.is_v6)
    }

    fn peer_address(&self) -> Result<Vec<u8>, Errno> {
        let remote = self.state.lock().remote.ok_or(Errno::ENOTCONN)?;
        Ok(address::encode(remote, self.is_v6))
    }

    fn peer_credentials(&self) -> Ucred {
        Ucred { pid: 0, uid: u32::MAX, gid: u32::MAX }
    }

    fn option(&self, level: u32, option: u32) -> Result<i32, Errno> {
        self.options.get(self.is_v6, IPPROTO_UDP, level, option)
    }

    fn set_option(&self, level: u32, option: u32, value: i32) -> Result<(), Errno> {
        if (level, option) == (IPPROTO_IPV6, IPV6_V6ONLY) && self.state.lock().local.is_some() {
            return Err(Errno::EINVAL);
        }
        self.options.set(self.is_v6, IPPROTO_UDP, level, option, value)
    }

    /// `udp_sendmsg`. `EMSGSIZE`, `EDESTADDRREQ`, `EINVAL`, `ENETUNREACH`, `EPIPE`, the pending error.
    fn send(&self, source: &mut dyn Source, message: &mut Outgoing<'_>) -> Result<usize, Errno> {
        let len = source.remaining();
        if len > usize::from(u16::MAX) {
            return Err(Errno::EMSGSIZE);
        }
        let (to, connected) = self.receiver(message)?;
        if len > if to.is_ipv4() { MAX_BYTES } else { MAX_V6_BYTES } {
            return Err(Errno::EMSGSIZE);
        }
        let mut from = self.local_or_any(&message.caller)?.at;
        if from.ip().is_unspecified() {
            from.set_ip(address::source_for(to.ip()));
        }
        {
            let mut state = self.state.lock();
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            if state.write_shut {
                return Err(Errno::EPIPE);
            }
        }
        let buffer = Buffer::fill(None, source, len)?;
        match find(to, from) {
            Some(receiver) => receiver.take_in(Datagram { buffer, from }),
            // The answer would be an ICMP message, of which only a connected socket is told.
            None if connected => {
                self.state.lock().error = Some(Errno::ECONNREFUSED);
                self.ready.wake(CHANGED);
            }
            None => {}
        }
        Ok(len)
    }

    /// `udp_recvmsg`: what does not fit of a datagram is lost, unless it is only looked at. The pending error, `EAGAIN`.
    fn receive(&self, sink: &mut dyn Sink, flags: MsgFlags) -> Result<Incoming, Errno> {
        let mut state = self.state.lock();
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        let Some(first) = state.inbox.front() else {
            return if state.read_shut { Ok(Incoming::default()) } else { Err(Errno::EAGAIN) };
        };
        let full_len = first.buffer.data().len();
        let put = first.buffer.put(sink);
        let from = address::encode(first.from, self.is_v6);
        let taken = if flags.contains(MsgFlags::MSG_PEEK) { None } else { state.inbox.pop_front() };
        if taken.is_some() {
            state.charge -= full_len + OVERHEAD_BYTES;
        }
        drop(state);
        drop(taken);
        let len = put?;
        let mut received = Incoming { len, full_len, address: from, ..Incoming::default() };
        received.flags.set(MsgFlags::MSG_TRUNC, len < full_len);
        Ok(received)
    }

    fn shutdown(&self, shut: Shut) -> Result<(), Errno> {
        let mut state = self.state.lock();
        let connected = state.remote.is_some();
        state.read_shut |= shut.read;
        state.write_shut |= shut.write;
        drop(state);
        self.ready.wake(CHANGED);
        if connected { Ok(()) } else { Err(Errno::ENOTCONN) }
    }

    fn take_error(&self) -> Option<Errno> {
        self.state.lock().error.take()
    }

    fn receivable(&self) -> Result<usize, Errno> {
        Ok(self.state.lock().inbox.front().map_or(0, |first| first.buffer.data().len()))
    }

    fn unreceived(&self) -> usize {
        0
    }

    fn close(&self) {
        let local = {
            let mut state = self.state.lock();
            state.closed = true;
            state.inbox = VecDeque::new();
            state.charge = 0;
            state.local.take()
        };
        if let Some(place) = local {
            PORTS.leave(&self.this, place.at.port());
        }
        self.ready.wake(CHANGED);
    }
}
