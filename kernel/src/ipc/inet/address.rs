//! Internet addresses: from and to `struct sockaddr_in` and `sockaddr_in6`, and which of them are in this machine.
//!
//! Inside, an address that IPv6 maps from IPv4 is the IPv4 address it stands for: both families meet in one table.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use abi::Errno;
use abi::socket::{AF_INET, AF_INET6, AF_UNSPEC, SockaddrIn, SockaddrIn6};
use abi::zerocopy::{FromBytes, IntoBytes};

/// The shortest `sockaddr_in6` that is taken: without the scope (`SIN6_LEN_RFC2133`).
const SHORT_V6_BYTES: usize = 24;
/// Bytes of an address's family.
const FAMILY_BYTES: usize = size_of::<u16>();

/// The family of an address as a user gave it; `None` if it is too short to have one.
pub fn family(address: &[u8]) -> Option<u32> {
    address.first_chunk::<FAMILY_BYTES>().map(|family| u32::from(u16::from_ne_bytes(*family)))
}

/// Takes a user's address apart for a socket of either family. `EINVAL` if it is too short, `EAFNOSUPPORT` if it is of
/// another family. An IPv4 address without a family is taken for bind(2) if it is 0.0.0.0, as old programs have it.
pub fn decode(address: &[u8], is_v6: bool, binds: bool) -> Result<SocketAddr, Errno> {
    let family = family(address).ok_or(Errno::EINVAL)?;
    if is_v6 && !(family == AF_INET && !binds) {
        if address.len() < SHORT_V6_BYTES {
            return Err(Errno::EINVAL);
        }
        if family != AF_INET6 {
            return Err(Errno::EAFNOSUPPORT);
        }
        let mut whole = [0; size_of::<SockaddrIn6>()];
        let len = address.len().min(whole.len());
        whole[..len].copy_from_slice(&address[..len]);
        let found = SockaddrIn6::read_from_bytes(&whole).map_err(|_| Errno::EINVAL)?;
        let ip = IpAddr::V6(Ipv6Addr::from(found.sin6_addr)).to_canonical();
        return Ok(SocketAddr::new(ip, u16::from_be_bytes(found.sin6_port)));
    }
    let (found, _) = SockaddrIn::read_from_prefix(address).map_err(|_| Errno::EINVAL)?;
    let ip = Ipv4Addr::from(found.sin_addr);
    let known = family == AF_INET || (binds && family == AF_UNSPEC && ip.is_unspecified());
    if !known {
        return Err(Errno::EAFNOSUPPORT);
    }
    Ok(SocketAddr::new(IpAddr::V4(ip), u16::from_be_bytes(found.sin_port)))
}

/// The address as a socket of that family shows it.
pub fn encode(address: SocketAddr, is_v6: bool) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    if is_v6 {
        let ip = match address.ip() {
            // The wildcard of an IPv6 socket is one for both.
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv6Addr::UNSPECIFIED,
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        // The families' numbers are small.
        let shown =
            SockaddrIn6 { sin6_family: AF_INET6 as u16, sin6_port: port, sin6_addr: ip.octets(), ..Default::default() };
        return shown.as_bytes().to_vec();
    }
    let ip = if let IpAddr::V4(ip) = address.ip() { ip } else { Ipv4Addr::UNSPECIFIED };
    SockaddrIn { sin_family: AF_INET as u16, sin_port: port, sin_addr: ip.octets(), ..Default::default() }
        .as_bytes()
        .to_vec()
}

/// The address of a socket that has none.
pub fn nobody(is_v6: bool) -> SocketAddr {
    let ip = if is_v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    SocketAddr::new(ip, 0)
}

/// Whether a socket may be bound to it. `EADDRNOTAVAIL`.
pub fn check_local(ip: IpAddr, is_v6: bool, v6_only: bool) -> Result<(), Errno> {
    let known = match ip {
        IpAddr::V4(_) if is_v6 && v6_only => return Err(Errno::EINVAL),
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified(),
    };
    if known { Ok(()) } else { Err(Errno::EADDRNOTAVAIL) }
}

/// Where what is sent to `to` arrives: the wildcard stands for this machine. `ENETUNREACH` for what is not here.
pub fn route(to: SocketAddr, v6_only: bool) -> Result<SocketAddr, Errno> {
    let ip = match to.ip() {
        IpAddr::V4(_) if v6_only => return Err(Errno::ENETUNREACH),
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip if ip.is_loopback() => ip,
        _ => return Err(Errno::ENETUNREACH),
    };
    Ok(SocketAddr::new(ip, to.port()))
}

/// The address of this machine from which `to` is reached.
pub fn source_for(to: IpAddr) -> IpAddr {
    if to.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) }
}
