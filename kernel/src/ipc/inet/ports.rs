//! [`Ports`]: which sockets of a protocol are bound to which address and port (`inet_bind_bucket`).
//!
//! Lock: the table (rank `SocketNames`). A socket's own lock may be taken within it.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use abi::Errno;

use crate::sync::{Rank, SpinLock};

/// The ports a socket that asks for none gets one of (/proc/sys/net/ipv4/ip_local_port_range).
const EPHEMERAL: core::ops::RangeInclusive<u16> = 32768..=60999;

/// What a socket is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Address and port.
    pub at: SocketAddr,
    /// Its IPv6 wildcard is none of IPv4.
    pub v6_only: bool,
}

impl Place {
    /// Whether what is sent to `ip` is for it.
    pub fn covers(&self, ip: IpAddr) -> bool {
        match self.at.ip() {
            own if own == ip => true,
            IpAddr::V4(own) => own.is_unspecified() && ip.is_ipv4(),
            IpAddr::V6(own) => own.is_unspecified() && (ip.is_ipv6() || !self.v6_only),
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.covers(other.at.ip()) || other.covers(self.at.ip())
    }
}

/// A socket in the table.
pub struct Bound<S> {
    /// Where.
    pub place: Place,
    /// Which.
    pub socket: Weak<S>,
}

struct Table<S> {
    ports: BTreeMap<u16, Vec<Bound<S>>>,
    next_ephemeral: u16,
}

/// The bound sockets of a protocol.
pub struct Ports<S>(SpinLock<Table<S>>);

impl<S> Ports<S> {
    /// Nobody.
    pub const fn new() -> Self {
        Self(SpinLock::new(Rank::SocketNames, Table { ports: BTreeMap::new(), next_ephemeral: *EPHEMERAL.start() }))
    }

    /// Binds `socket` to the place, at any free port if that is 0, and gives the place it got. `may_share` says whether
    /// it may stand beside another that is there. `EADDRINUSE`.
    pub fn bind(&self, socket: &Weak<S>, place: Place, may_share: impl Fn(&S) -> bool) -> Result<Place, Errno> {
        let mut table = self.0.lock();
        if place.at.port() != 0 {
            if table.is_taken(&place, &may_share) {
                return Err(Errno::EADDRINUSE);
            }
            table.enter(socket, place);
            return Ok(place);
        }
        for _ in EPHEMERAL {
            let port = table.next_ephemeral;
            table.next_ephemeral = if port == *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            let place = Place { at: SocketAddr::new(place.at.ip(), port), ..place };
            if !table.ports.contains_key(&port) {
                table.enter(socket, place);
                return Ok(place);
            }
        }
        Err(Errno::EADDRINUSE)
    }

    /// Enters `socket` at the place, whoever is there: a connection that a listener accepts.
    pub fn enter(&self, socket: &Weak<S>, place: Place) {
        self.0.lock().enter(socket, place);
    }

    /// Whether a socket other than `socket` at an overlapping place refuses to share it.
    pub fn is_refused(&self, socket: &Weak<S>, place: &Place, refuses: impl Fn(&S) -> bool) -> bool {
        let table = self.0.lock();
        let Some(there) = table.ports.get(&place.at.port()) else { return false };
        let others = there.iter().filter(|bound| !bound.socket.ptr_eq(socket) && bound.place.overlaps(place));
        others.filter_map(|bound| bound.socket.upgrade()).any(|other| refuses(&other))
    }

    /// Moves `socket` to another address at its port: a connection narrows what it was bound to.
    pub fn narrow(&self, socket: &Weak<S>, port: u16, ip: IpAddr) {
        let mut table = self.0.lock();
        let Some(there) = table.ports.get_mut(&port) else { return };
        if let Some(bound) = there.iter_mut().find(|bound| bound.socket.ptr_eq(socket)) {
            bound.place.at.set_ip(ip);
        }
    }

    /// Takes `socket` off the port.
    pub fn leave(&self, socket: &Weak<S>, port: u16) {
        let mut table = self.0.lock();
        let Some(there) = table.ports.get_mut(&port) else { return };
        there.retain(|bound| !bound.socket.ptr_eq(socket));
        if there.is_empty() {
            table.ports.remove(&port);
        }
    }

    /// The socket for which what is sent to `to` is: of those that `score` gives a number the one with the highest, an
    /// exact address before a wildcard.
    pub fn find(&self, to: SocketAddr, score: impl Fn(&S) -> Option<u32>) -> Option<Arc<S>> {
        let table = self.0.lock();
        let there = table.ports.get(&to.port())?;
        let candidates = there.iter().filter(|bound| bound.place.covers(to.ip()));
        let scored = candidates.filter_map(|bound| {
            let socket = bound.socket.upgrade()?;
            let exact = u32::from(!bound.place.at.ip().is_unspecified());
            Some((score(&socket)? * 2 + exact, socket))
        });
        // Of equals the one bound last, as Linux's hash chains have it.
        scored.max_by_key(|(score, _)| *score).map(|(_, socket)| socket)
    }

    /// Every bound socket, by port.
    pub fn all(&self) -> Vec<Arc<S>> {
        let table = self.0.lock();
        table.ports.values().flatten().filter_map(|bound| bound.socket.upgrade()).collect()
    }
}

impl<S> Table<S> {
    fn is_taken(&self, place: &Place, may_share: &impl Fn(&S) -> bool) -> bool {
        let Some(there) = self.ports.get(&place.at.port()) else { return false };
        let overlapping = there.iter().filter(|bound| bound.place.overlaps(place));
        overlapping.filter_map(|bound| bound.socket.upgrade()).any(|other| !may_share(&other))
    }

    fn enter(&mut self, socket: &Weak<S>, place: Place) {
        self.ports.entry(place.at.port()).or_default().push(Bound { place, socket: socket.clone() });
    }
}
