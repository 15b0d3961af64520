//! [`Options`]: the numbers that setsockopt(2) sets on internet sockets beyond those of any socket. Over loopback they
//! change nothing, but for `IPV6_V6ONLY`: they are checked, kept and given back.

use core::sync::atomic::{AtomicI32, Ordering};

use abi::Errno;
use abi::socket::*;

/// An option: its level and number, what it starts as, and what it may be.
struct Known {
    level: u32,
    option: u32,
    start: i32,
    least: i32,
    most: i32,
    /// Anything but 0 is 1.
    switch: bool,
}

const fn number(level: u32, option: u32, start: i32, least: i32, most: i32) -> Known {
    Known { level, option, start, least, most, switch: false }
}

const fn switch(level: u32, option: u32, start: i32) -> Known {
    Known { level, option, start, least: i32::MIN, most: i32::MAX, switch: true }
}

/// `IPV6_V6ONLY` is the first.
const KNOWN: [Known; 24] = [
    switch(IPPROTO_IPV6, IPV6_V6ONLY, 0),
    switch(IPPROTO_TCP, TCP_NODELAY, 0),
    switch(IPPROTO_TCP, TCP_CORK, 0),
    switch(IPPROTO_TCP, TCP_QUICKACK, 1),
    number(IPPROTO_TCP, TCP_KEEPIDLE, 7200, 1, 32767),
    number(IPPROTO_TCP, TCP_KEEPINTVL, 75, 1, 32767),
    number(IPPROTO_TCP, TCP_KEEPCNT, 9, 1, 127),
    number(IPPROTO_TCP, TCP_SYNCNT, 6, 1, 127),
    number(IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, i32::MIN, i32::MAX),
    number(IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0, i32::MAX),
    number(IPPROTO_TCP, TCP_MAXSEG, 536, 88, 32767),
    number(IPPROTO_TCP, TCP_LINGER2, 60, i32::MIN, 120),
    number(IPPROTO_IP, IP_TOS, 0, i32::MIN, i32::MAX),
    number(IPPROTO_IP, IP_TTL, 64, -1, 255),
    number(IPPROTO_IP, IP_MTU_DISCOVER, 1, 0, 5),
    switch(IPPROTO_IP, IP_RECVERR, 0),
    switch(IPPROTO_IP, IP_FREEBIND, 0),
    switch(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0),
    number(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64, -1, 255),
    number(IPPROTO_IPV6, IPV6_TCLASS, 0, -1, 255),
    number(IPPROTO_IPV6, IPV6_MTU_DISCOVER, 1, 0, 5),
    switch(IPPROTO_IPV6, IPV6_RECVERR, 0),
    number(IPPROTO_IP, IP_MULTICAST_TTL, 1, -1, 255),
    switch(IPPROTO_IP, IP_MULTICAST_LOOP, 1),
];

/// The values.
pub struct Options([AtomicI32; KNOWN.len()]);

impl Default for Options {
    fn default() -> Self {
        Self(core::array::from_fn(|index| AtomicI32::new(KNOWN[index].start)))
    }
}

impl Options {
    /// A copy: what an accepted connection has from its listener.
    pub fn inherit(&self) -> Self {
        Self(core::array::from_fn(|index| AtomicI32::new(self.0[index].load(Ordering::Relaxed))))
    }

    /// Whether an IPv6 socket has nothing to do with IPv4.
    pub fn v6_only(&self) -> bool {
        self.0[0].load(Ordering::Relaxed) != 0
    }

    /// The option's value. `EOPNOTSUPP` for levels that are not the socket's, `ENOPROTOOPT`.
    pub fn get(&self, is_v6: bool, protocol: u32, level: u32, option: u32) -> Result<i32, Errno> {
        let own = level == IPPROTO_IP || level == protocol || (level == IPPROTO_IPV6 && is_v6);
        if !own {
            return Err(Errno::EOPNOTSUPP);
        }
        Ok(self.0[place(is_v6, protocol, level, option)?].load(Ordering::Relaxed))
    }

    /// Sets the option. `ENOPROTOOPT`, `EINVAL`.
    pub fn set(&self, is_v6: bool, protocol: u32, level: u32, option: u32, value: i32) -> Result<(), Errno> {
        let index = place(is_v6, protocol, level, option)?;
        let known = &KNOWN[index];
        if !(known.least..=known.most).contains(&value) || (option == IP_TTL && level == IPPROTO_IP && value == 0) {
            return Err(Errno::EINVAL);
        }
        let kept = match value {
            value if known.switch => i32::from(value != 0),
            // As if it had never been set.
            -1 if known.least == -1 => known.start,
            value => value,
        };
        self.0[index].store(kept, Ordering::Relaxed);
        Ok(())
    }
}

fn place(is_v6: bool, protocol: u32, level: u32, option: u32) -> Result<usize, Errno> {
    let has = match level {
        IPPROTO_TCP => protocol == IPPROTO_TCP,
        IPPROTO_IPV6 => is_v6,
        _ => true,
    };
    let index = KNOWN.iter().position(|known| known.level == level && known.option == option);
    index.filter(|_| has).ok_or(Errno::ENOPROTOOPT)
}
