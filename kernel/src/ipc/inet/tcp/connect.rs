//! Ports, listening, connecting, and closing.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use core::net::SocketAddr;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::socket::{AF_INET6, AF_UNSPEC, SOMAXCONN};

use super::super::{CHANGED, READABLE, address};
use super::{Listener, PORTS, Phase, Place, State, TcpSocket};
use crate::fs::Capabilities;
use crate::ipc::socket::{Caller, Connecting};

/// Ports below this are for the privileged (/proc/sys/net/ipv4/ip_unprivileged_port_start).
pub const FIRST_FREE_PORT: u16 = 1024;

impl State {
    /// Takes a connection's failure, for connect(2) to tell: after it another can be tried.
    pub(super) fn fail(&mut self) -> Errno {
        self.phase = Phase::Fresh;
        self.remote = None;
        self.error.take().unwrap_or(Errno::ECONNABORTED)
    }
}

impl TcpSocket {
    /// bind(2) (`__inet_bind`). `EADDRNOTAVAIL`, `EACCES`, `EINVAL` if it has an address, `EADDRINUSE`.
    pub(super) fn bind_to(&self, caller: &Caller<'_>, address: &[u8]) -> Result<(), Errno> {
        let wanted = address::decode(address, self.is_v6, true)?;
        let v6_only = self.options.v6_only();
        address::check_local(wanted.ip(), self.is_v6, v6_only)?;
        if (1..FIRST_FREE_PORT).contains(&wanted.port()) && !caller.cred.capable(Capabilities::NET_BIND_SERVICE) {
            return Err(Errno::EACCES);
        }
        {
            let state = self.state.lock();
            if !matches!(state.phase, Phase::Fresh) || state.local.is_some() {
                return Err(Errno::EINVAL);
            }
        }
        let place = self.take_port(Place { at: wanted, v6_only }, caller)?;
        let mut state = self.state.lock();
        if state.local.is_some() {
            drop(state);
            PORTS.leave(&self.this, place.at.port());
            return Err(Errno::EINVAL);
        }
        state.local = Some(place);
        state.bound_to = Some(place.at);
        state.bound = wanted.port() != 0;
        Ok(())
    }

    /// Enters it in the table, if those who are there allow that (`inet_csk_bind_conflict`). `EADDRINUSE`.
    fn take_port(&self, place: Place, caller: &Caller<'_>) -> Result<Place, Errno> {
        self.state.lock().identity = caller.identity();
        PORTS.bind(&self.this, place, |other| self.may_share_with(other, caller.identity().uid))
    }

    fn may_share_with(&self, other: &Self, uid: u32) -> bool {
        let both = |flag: fn(&Self) -> &core::sync::atomic::AtomicBool| {
            Self::switched(flag(self)) && Self::switched(flag(other))
        };
        let state = other.state.lock();
        if both(|socket| &socket.settings.reuse_port) && state.identity.uid == uid {
            return true;
        }
        both(|socket| &socket.settings.reuse_address) && !matches!(state.phase, Phase::Listening(_))
    }

    /// listen(2) (`inet_listen`). `EINVAL` if it is connected, `EADDRINUSE`.
    pub(super) fn start_listening(&self, caller: &Caller<'_>, backlog: i32) -> Result<(), Errno> {
        let backlog = usize::try_from(backlog).unwrap_or(usize::MAX).min(SOMAXCONN as usize);
        let local = {
            let mut state = self.state.lock();
            match &mut state.phase {
                Phase::Listening(listener) => {
                    listener.backlog = backlog;
                    return Ok(());
                }
                Phase::Fresh => state.local,
                _ => return Err(Errno::EINVAL),
            }
        };
        let place = match local {
            Some(place) => place,
            None => {
                let nobody = Place { at: address::nobody(self.is_v6), v6_only: self.options.v6_only() };
                self.take_port(nobody, caller)?
            }
        };
        let uid = caller.identity().uid;
        let shares = |other: &Self| {
            let both = Self::switched(&self.settings.reuse_port) && Self::switched(&other.settings.reuse_port);
            let state = other.state.lock();
            !matches!(state.phase, Phase::Listening(_)) || (both && state.identity.uid == uid)
        };
        if PORTS.is_refused(&self.this, &place, |other| !shares(other)) {
            return Err(Errno::EADDRINUSE);
        }
        let mut state = self.state.lock();
        state.local = Some(place);
        state.read_shut = false;
        state.phase = Phase::Listening(Listener { backlog, ..Listener::default() });
        drop(state);
        self.ready.wake(CHANGED);
        Ok(())
    }

    /// accept(2) (`inet_csk_accept`). `EINVAL` if it does not listen, `EAGAIN`.
    pub(super) fn take_connection(&self) -> Result<Arc<Self>, Errno> {
        let (accepted, next) = {
            let mut state = self.state.lock();
            let Phase::Listening(listener) = &mut state.phase else { return Err(Errno::EINVAL) };
            let accepted = listener.queue.pop_front().ok_or(Errno::EAGAIN)?;
            (accepted, listener.waiting.pop_front())
        };
        if let (Some(this), Some(next)) = (self.this.upgrade(), next.and_then(|next| next.upgrade())) {
            next.meet(&this);
        }
        Ok(accepted)
    }

    /// connect(2) (`__inet_stream_connect`, `tcp_v4_connect`).
    pub(super) fn connect_to(&self, caller: &Caller<'_>, address: &[u8]) -> Result<Connecting, Errno> {
        let family = address::family(address).ok_or(Errno::EINVAL)?;
        if family == AF_UNSPEC {
            self.disconnect();
            return Ok(Connecting::Done);
        }
        if let Some(done) = self.connection_so_far() {
            return done;
        }
        let to = address::decode(address, self.is_v6, false)?;
        if self.is_v6 && family != AF_INET6 {
            return Err(Errno::EAFNOSUPPORT);
        }
        let to = address::route(to, self.options.v6_only())?;
        self.prepare(caller, to)?;
        let listener = PORTS.find(to, |socket| matches!(socket.state.lock().phase, Phase::Listening(_)).then_some(0));
        match listener {
            Some(listener) => self.meet(&listener),
            None => self.lose_connection(),
        }
        Ok(Connecting::UnderWay(Errno::EINPROGRESS))
    }

    /// What connect(2) says without trying anything.
    fn connection_so_far(&self) -> Option<Result<Connecting, Errno>> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Fresh => None,
            Phase::Connecting => Some(Ok(Connecting::UnderWay(Errno::EALREADY))),
            Phase::Connected if !state.told => {
                state.told = true;
                Some(Ok(Connecting::Done))
            }
            Phase::Failed => Some(Err(state.fail())),
            Phase::Reset if state.error.is_some() => Some(Err(state.error.take()?)),
            Phase::Listening(_) | Phase::Connected | Phase::Reset => Some(Err(Errno::EISCONN)),
            Phase::Closed => Some(Err(Errno::EINVAL)),
        }
    }

    /// Gives it the address it will be known by to the peer. `EADDRNOTAVAIL` if no port is free.
    fn prepare(&self, caller: &Caller<'_>, to: SocketAddr) -> Result<(), Errno> {
        let own = self.state.lock().local;
        let place = match own {
            Some(place) => place,
            None => {
                let nobody = Place { at: address::nobody(self.is_v6), v6_only: self.options.v6_only() };
                self.take_port(nobody, caller).map_err(|_| Errno::EADDRNOTAVAIL)?
            }
        };
        let mut at = place.at;
        if at.ip().is_unspecified() {
            at.set_ip(address::source_for(to.ip()));
            PORTS.narrow(&self.this, at.port(), at.ip());
        }
        let mut state = self.state.lock();
        state.local = Some(Place { at, ..place });
        state.remote = Some(to);
        state.phase = Phase::Connecting;
        state.told = false;
        (state.at_end, state.read_shut, state.write_shut) = (false, false, false);
        Ok(())
    }

    /// Connects it, which is [`Phase::Connecting`], to a socket that listens, or has it wait for room there.
    fn meet(&self, listener: &Arc<Self>) {
        let far_end = self.make_far_end(listener);
        let accepted = {
            let mut state = listener.state.lock();
            match &mut state.phase {
                Phase::Listening(listener) if listener.queue.len() <= listener.backlog => {
                    listener.queue.push_back(far_end.clone());
                    Some(true)
                }
                Phase::Listening(listener) => {
                    listener.waiting.push_back(self.this.clone());
                    Some(false)
                }
                _ => None,
            }
        };
        if accepted != Some(true) {
            far_end.release_port();
        }
        match accepted {
            Some(true) => {
                let mut state = self.state.lock();
                if matches!(state.phase, Phase::Connecting) {
                    state.phase = Phase::Connected;
                    state.peer = Arc::downgrade(&far_end);
                }
                drop(state);
                self.ready.wake(CHANGED);
                listener.ready.wake(READABLE);
            }
            Some(false) => {}
            None => self.lose_connection(),
        }
    }

    /// The socket that accept(2) will give.
    fn make_far_end(&self, listener: &Self) -> Arc<Self> {
        let far_end = Self::with(listener.is_v6, listener.settings.inherit(), listener.options.inherit());
        let (own, remote) = {
            let state = self.state.lock();
            (state.local.map(|place| place.at), state.remote)
        };
        let identity = listener.state.lock().identity;
        let mut state = far_end.state.lock();
        state.phase = Phase::Connected;
        state.told = true;
        state.local = remote.map(|at| Place { at, v6_only: false });
        state.bound = true;
        state.remote = own;
        state.peer = self.this.clone();
        state.identity = identity;
        let local = state.local;
        drop(state);
        if let Some(place) = local {
            PORTS.enter(&far_end.this, place);
        }
        far_end
    }

    /// Gives the port back.
    fn release_port(&self) {
        let local = self.state.lock().local.take();
        if let Some(place) = local {
            PORTS.leave(&self.this, place.at.port());
        }
    }

    /// A port that connect(2) chose goes with the connection; one that bind(2) chose stays, at the address it had.
    fn release_own_port(&self) {
        let mut state = self.state.lock();
        let (Some(place), Some(bound_to)) = (state.local, state.bound_to) else {
            drop(state);
            return self.release_port();
        };
        let at = SocketAddr::new(bound_to.ip(), place.at.port());
        state.local = Some(Place { at, ..place });
        drop(state);
        PORTS.narrow(&self.this, at.port(), at.ip());
    }

    /// connect(2) with `AF_UNSPEC` (`tcp_disconnect`): the connection is reset, and another can be made.
    fn disconnect(&self) {
        let listened = self.is_listening_now();
        if listened {
            self.stop_listening();
            return;
        }
        let peer = {
            let mut state = self.state.lock();
            state.phase = Phase::Fresh;
            state.remote = None;
            state.error = None;
            state.queued = 0;
            state.inbox = VecDeque::new();
            (state.at_end, state.read_shut, state.write_shut) = (false, false, false);
            core::mem::take(&mut state.peer)
        };
        self.release_own_port();
        if let Some(peer) = peer.upgrade() {
            peer.lose_connection();
        }
        self.ready.wake(CHANGED);
    }

    fn is_listening_now(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Listening(_))
    }

    /// A listener accepts no more: those it has are reset, those who wait are refused.
    pub(super) fn stop_listening(&self) {
        let old = {
            let mut state = self.state.lock();
            if !matches!(state.phase, Phase::Listening(_)) {
                return;
            }
            core::mem::replace(&mut state.phase, Phase::Fresh)
        };
        self.refuse_all(old);
        self.ready.wake(CHANGED);
    }

    fn refuse_all(&self, old: Phase) {
        let Phase::Listening(listener) = old else { return };
        for far_end in listener.queue {
            far_end.abandon();
        }
        for waiting in listener.waiting.iter().filter_map(Weak::upgrade) {
            waiting.lose_connection();
        }
    }

    /// The last open file is gone (`__tcp_close`): the peer hears the end, or a reset if something was left unread or
    /// lingering was forbidden.
    pub(super) fn disconnect_for_good(&self) {
        let resets = self.settings.linger_seconds.load(Ordering::Relaxed) == 0;
        let (old, peer, unread) = {
            let mut state = self.state.lock();
            let old = core::mem::replace(&mut state.phase, Phase::Closed);
            state.inbox = VecDeque::new();
            let unread = core::mem::take(&mut state.queued) > 0;
            (old, core::mem::take(&mut state.peer).upgrade(), unread)
        };
        self.release_port();
        match (old, peer) {
            (Phase::Connected, Some(peer)) if unread || resets => peer.lose_connection(),
            (Phase::Connected, Some(peer)) => peer.hear_end(),
            (listening, _) => self.refuse_all(listening),
        }
        self.ready.wake(CHANGED);
    }

    /// A connection that nobody will accept: its maker sees a reset.
    fn abandon(&self) {
        let peer = {
            let mut state = self.state.lock();
            state.phase = Phase::Closed;
            core::mem::take(&mut state.peer).upgrade()
        };
        self.release_port();
        if let Some(peer) = peer {
            peer.lose_connection();
        }
    }
}
