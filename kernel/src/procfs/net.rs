//! /proc/net: sockets of the internet families.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use abi::Errno;

use super::node::Text;
use super::task::Task;
use crate::ipc::inet::Line;
use crate::ipc::inet::tcp::TcpSocket;
use crate::ipc::inet::udp::UdpSocket;

/// /proc/net/tcp.
pub fn tcp(text: &mut Text, _task: &Task) -> Result<(), Errno> {
    list(text, TcpSocket::all(), false, "retrnsmt   uid  timeout inode");
    Ok(())
}

/// /proc/net/tcp6.
pub fn tcp6(text: &mut Text, _task: &Task) -> Result<(), Errno> {
    list(text, TcpSocket::all(), true, "retrnsmt   uid  timeout inode");
    Ok(())
}

/// /proc/net/udp.
pub fn udp(text: &mut Text, _task: &Task) -> Result<(), Errno> {
    list(text, UdpSocket::all(), false, "retrnsmt   uid  timeout inode ref pointer drops");
    Ok(())
}

/// /proc/net/udp6.
pub fn udp6(text: &mut Text, _task: &Task) -> Result<(), Errno> {
    list(text, UdpSocket::all(), true, "retrnsmt   uid  timeout inode ref pointer drops");
    Ok(())
}

/// Addresses are words of the machine's order, in hexadecimal. Owners and inodes are not known here: 0.
fn list(text: &mut Text, lines: alloc::vec::Vec<Line>, is_v6: bool, rest: &str) {
    let width = if is_v6 { 37 } else { 13 };
    text.put(format_args!(
        "  sl  {:width$} {:width$} st tx_queue rx_queue tr tm->when {rest}\n",
        "local_address", "remote_address"
    ));
    for (index, line) in lines.iter().filter(|line| line.is_v6 == is_v6).enumerate() {
        text.put(format_args!("{index:4}: "));
        put_address(text, line.local, is_v6);
        put_address(text, line.remote, is_v6);
        let (unsent, queued) = line.queues;
        text.put(format_args!(
            "{:02X} {unsent:08X}:{queued:08X} 00:00000000 00000000     0        0 0 1 0000000000000000 0\n",
            line.state
        ));
    }
}

fn put_address(text: &mut Text, address: SocketAddr, is_v6: bool) {
    let bytes = match address.ip() {
        IpAddr::V4(ip) if is_v6 && ip == Ipv4Addr::UNSPECIFIED => [0; 16],
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    let from = if is_v6 { 0 } else { bytes.len() - size_of::<u32>() };
    for word in bytes[from..].chunks_exact(size_of::<u32>()) {
        text.put(format_args!("{:08X}", word.try_into().map_or(0, u32::from_ne_bytes)));
    }
    text.put(format_args!(":{:04X} ", address.port()));
}
