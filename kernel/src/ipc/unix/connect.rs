//! Names, connections and their end.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};

use abi::Errno;
use abi::socket::{AF_UNSPEC, SOMAXCONN};

use super::address::{self, Address};
use super::{CHANGED, Phase, READABLE, UnixSocket};
use crate::ipc::socket::{Caller, Connecting, Kind};

impl UnixSocket {
    /// bind(2) (`unix_bind`). `EINVAL` if it has a name, `EADDRINUSE`.
    pub(super) fn bind_to(&self, caller: &Caller<'_>, address: &[u8]) -> Result<(), Errno> {
        let address = address::decode(address)?;
        if self.state.lock().name.is_some() {
            return match address {
                Address::Unnamed => Ok(()),
                Address::Abstract(_) => Err(Errno::EINVAL),
                // As on Linux, the path is walked first.
                Address::Path(path) => address::check_free(caller, path).and(Err(Errno::EINVAL)),
            };
        }
        let this = self.strong().ok_or(Errno::EINVAL)?;
        let name = Arc::new(address::enter(&this, caller, &address)?);
        let mut state = self.state.lock();
        if state.name.is_some() {
            drop(state);
            address::leave(self, &name);
            return Err(Errno::EINVAL);
        }
        state.name = Some(name);
        Ok(())
    }

    /// Gives a sender without a name one, if its receivers are to learn names (`SOCK_PASSCRED`).
    fn name_if_asked(&self, caller: &Caller<'_>) -> Result<(), Errno> {
        if self.settings.passes_credentials() && self.state.lock().name.is_none() {
            let family = address::encode(None);
            return self.bind_to(caller, &family);
        }
        Ok(())
    }

    /// listen(2) (`unix_listen`). `EOPNOTSUPP`, `EINVAL` without a name or once connected.
    pub(super) fn start_listening(&self, caller: &Caller<'_>, backlog: i32) -> Result<(), Errno> {
        if self.kind == Kind::Datagram {
            return Err(Errno::EOPNOTSUPP);
        }
        let backlog = usize::try_from(backlog).unwrap_or(usize::MAX).min(SOMAXCONN as usize);
        let mut state = self.state.lock();
        if state.name.is_none() {
            return Err(Errno::EINVAL);
        }
        match &mut state.phase {
            Phase::Fresh => state.phase = Phase::Listening { queue: VecDeque::new(), backlog },
            Phase::Listening { backlog: old, .. } => *old = backlog,
            Phase::Connected | Phase::Closed => return Err(Errno::EINVAL),
        }
        state.peer_credentials = caller.identity();
        drop(state);
        self.ready.wake(CHANGED);
        Ok(())
    }

    /// accept(2) (`unix_accept`). `EOPNOTSUPP`, `EINVAL` if it does not listen, `EAGAIN`.
    pub(super) fn take_connection(&self) -> Result<Arc<UnixSocket>, Errno> {
        if self.kind == Kind::Datagram {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut state = self.state.lock();
        let shut = state.read_shut;
        let Phase::Listening { queue, .. } = &mut state.phase else { return Err(Errno::EINVAL) };
        let accepted = match queue.pop_front() {
            Some(accepted) => accepted,
            None if shut => return Err(Errno::EINVAL),
            None => return Err(Errno::EAGAIN),
        };
        drop(state);
        // Those whose connection waits for room in the queue.
        self.ready.wake(CHANGED);
        Ok(accepted)
    }

    /// connect(2) (`unix_stream_connect`, `unix_dgram_connect`).
    pub(super) fn connect_to(&self, caller: &Caller<'_>, address: &[u8]) -> Result<Connecting, Errno> {
        let unspecified =
            address.first_chunk().is_some_and(|family| u32::from(u16::from_ne_bytes(*family)) == AF_UNSPEC);
        match self.kind {
            Kind::Datagram if unspecified => {
                self.set_default_peer(None);
                Ok(Connecting::Done)
            }
            Kind::Datagram => self.connect_datagrams(caller, address),
            Kind::Stream | Kind::SequencedPacket => self.connect_stream(caller, address),
        }
    }

    fn connect_datagrams(&self, caller: &Caller<'_>, address: &[u8]) -> Result<Connecting, Errno> {
        let address = address::decode(address)?;
        self.name_if_asked(caller)?;
        let other = address::find(self.kind, caller, &address)?;
        if !other.may_get_from(self) {
            return Err(Errno::EPERM);
        }
        self.set_default_peer(Some(&other));
        Ok(Connecting::Done)
    }

    fn set_default_peer(&self, other: Option<&Arc<UnixSocket>>) {
        let name = other.and_then(|other| other.state.lock().name.clone());
        let mut state = self.state.lock();
        state.phase = if other.is_some() { Phase::Connected } else { Phase::Fresh };
        state.peer = other.map_or(Weak::new(), Arc::downgrade);
        state.peer_name = name;
        drop(state);
        self.ready.wake(CHANGED);
    }

    /// Whether a datagram socket takes messages of `sender`: it has no peer, or that one (`unix_may_send`).
    pub(super) fn may_get_from(&self, sender: &UnixSocket) -> bool {
        let state = self.state.lock();
        !state.is_connected() || state.peer.ptr_eq(&sender.this)
    }

    fn connect_stream(&self, caller: &Caller<'_>, address: &[u8]) -> Result<Connecting, Errno> {
        let address = address::decode(address)?;
        self.name_if_asked(caller)?;
        let listener = address::find(self.kind, caller, &address)?;
        match &self.state.lock().phase {
            Phase::Fresh => {}
            Phase::Connected => return Err(Errno::EISCONN),
            Phase::Listening { .. } | Phase::Closed => return Err(Errno::EINVAL),
        }
        let far_end = self.make_far_end(caller, &listener);
        let (name, credentials) = {
            let mut state = listener.state.lock();
            let shut = state.read_shut;
            let (name, credentials) = (state.name.clone(), state.peer_credentials);
            match &mut state.phase {
                Phase::Listening { .. } if shut => return Err(Errno::ECONNREFUSED),
                Phase::Listening { queue, backlog } if queue.len() > *backlog => {
                    drop(state);
                    return Ok(Connecting::Busy(listener));
                }
                Phase::Listening { queue, .. } => queue.push_back(far_end.clone()),
                _ => return Err(Errno::ECONNREFUSED),
            }
            (name, credentials)
        };
        let mut state = self.state.lock();
        state.phase = Phase::Connected;
        state.peer = Arc::downgrade(&far_end);
        state.peer_name = name;
        state.peer_credentials = credentials;
        drop(state);
        self.ready.wake(CHANGED);
        listener.ready.wake(READABLE);
        Ok(Connecting::Done)
    }

    /// The socket that accept(2) will give: connected to `self`, with the listener's name.
    fn make_far_end(&self, caller: &Caller<'_>, listener: &UnixSocket) -> Arc<UnixSocket> {
        let far_end = UnixSocket::new(self.kind);
        let name = listener.state.lock().name.clone();
        let own_name = self.state.lock().name.clone();
        let passes = listener.settings.passes_credentials();
        far_end.settings.pass_credentials.store(passes, core::sync::atomic::Ordering::Relaxed);
        let mut state = far_end.state.lock();
        state.phase = Phase::Connected;
        state.name = name;
        state.peer = self.this.clone();
        state.peer_name = own_name;
        state.peer_credentials = caller.identity();
        drop(state);
        far_end
    }

    /// The last open file is gone (`unix_release_sock`). The peer of a connection learns of it: as a reset if
    /// something was left unread here.
    pub(super) fn disconnect_for_good(&self) {
        let (old, name, inbox, peer, blocked) = {
            let mut state = self.state.lock();
            state.read_shut = true;
            state.write_shut = true;
            let old = core::mem::replace(&mut state.phase, Phase::Closed);
            let peer = core::mem::take(&mut state.peer);
            let inbox = core::mem::take(&mut state.inbox);
            (old, state.name.take(), inbox, peer, core::mem::take(&mut state.blocked))
        };
        if let Some(name) = name {
            address::leave(self, &name);
        }
        let reset = !inbox.is_empty();
        if let Some(peer) = peer.upgrade().filter(|_| self.kind.connects()) {
            peer.lose_peer(reset);
        }
        if let Phase::Listening { queue, .. } = old {
            for far_end in queue {
                far_end.abandon();
            }
        }
        drop(inbox);
        self.ready.wake(CHANGED);
        for sender in blocked.iter().filter_map(Weak::upgrade) {
            sender.ready.wake(CHANGED);
        }
    }

    /// The other end was closed.
    fn lose_peer(&self, reset: bool) {
        let mut state = self.state.lock();
        state.read_shut = true;
        state.write_shut = true;
        if reset {
            state.error = Some(Errno::ECONNRESET);
        }
        drop(state);
        self.ready.wake(CHANGED);
    }

    /// A connection that nobody will accept: its maker sees a reset.
    fn abandon(&self) {
        let (peer, inbox) = {
            let mut state = self.state.lock();
            state.phase = Phase::Closed;
            state.name = None;
            (core::mem::take(&mut state.peer), core::mem::take(&mut state.inbox))
        };
        if let Some(peer) = peer.upgrade() {
            peer.lose_peer(true);
        }
        drop(inbox);
    }
}
