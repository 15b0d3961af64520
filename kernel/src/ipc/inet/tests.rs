//! Ports and addresses, without sockets.

use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};

use abi::Errno;

use super::address::{decode, encode, route};
use super::ports::{Place, Ports};

fn at(text: &str) -> SocketAddr {
    text.parse().expect("a socket address")
}

fn place(text: &str) -> Place {
    Place { at: at(text), v6_only: false }
}

#[test]
fn addresses_survive_being_encoded_and_decoded() {
    for text in ["127.0.0.1:80", "0.0.0.0:0", "127.255.0.9:65535"] {
        assert_eq!(decode(&encode(at(text), false), false, true), Ok(at(text)));
    }
    for text in ["[::1]:80", "[::]:0"] {
        assert_eq!(decode(&encode(at(text), true), true, true), Ok(at(text)));
    }
    let mapped = encode(at("127.0.0.1:7"), true);
    assert_eq!(mapped.len(), 28);
    assert_eq!(decode(&mapped, true, true), Ok(at("127.0.0.1:7")));
}

#[test]
fn hostile_addresses_are_refused_whatever_their_length() {
    let mut bytes = encode(at("127.0.0.1:80"), false);
    for len in 0..16 {
        assert_eq!(decode(&bytes[..len], false, false), Err(Errno::EINVAL));
    }
    assert_eq!(decode(&bytes, true, true), Err(Errno::EINVAL));
    bytes[0] = 99;
    assert_eq!(decode(&bytes, false, false), Err(Errno::EAFNOSUPPORT));
    for text in ["8.8.8.8:53", "[2001:db8::1]:53", "255.255.255.255:9"] {
        assert_eq!(route(at(text), false), Err(Errno::ENETUNREACH));
    }
    assert_eq!(route(at("0.0.0.0:53"), false), Ok(at("127.0.0.1:53")));
}

#[test]
fn overlapping_places_exclude_each_other_and_others_do_not() {
    let ports: Ports<u32> = Ports::new();
    let [first, second, third] = [Arc::new(1), Arc::new(2), Arc::new(3)];
    let bind = |socket: &Arc<u32>, text: &str| ports.bind(&Arc::downgrade(socket), place(text), |_| false);
    assert!(bind(&first, "127.0.0.1:80").is_ok());
    assert_eq!(bind(&second, "0.0.0.0:80"), Err(Errno::EADDRINUSE));
    assert_eq!(bind(&second, "[::]:80"), Err(Errno::EADDRINUSE));
    assert!(bind(&second, "127.0.0.2:80").is_ok());
    assert!(bind(&third, "[::1]:80").is_ok());
    let found = ports.find(at("127.0.0.2:80"), |_| Some(0));
    assert_eq!(found.as_deref(), Some(&2));
    ports.leave(&Arc::downgrade(&first), 80);
    assert!(ports.find(at("127.0.0.1:80"), |_| Some(0)).is_none());
}

#[test]
fn ephemeral_ports_run_out_and_come_back() {
    let ports: Ports<u32> = Ports::new();
    let socket = Arc::new(0);
    let weak = Arc::downgrade(&socket);
    let mut last = 0;
    for _ in 32768..=60999 {
        last = ports.bind(&weak, place("0.0.0.0:0"), |_| false).expect("a free port").at.port();
    }
    assert_eq!(ports.bind(&weak, place("127.0.0.1:0"), |_| false), Err(Errno::EADDRINUSE));
    ports.leave(&weak, last);
    assert_eq!(ports.bind(&weak, place("127.0.0.1:0"), |_| false).map(|place| place.at.port()), Ok(last));
}

#[test]
fn an_exact_address_is_found_before_a_wildcard() {
    let ports: Ports<u32> = Ports::new();
    let [wild, exact] = [Arc::new(1), Arc::new(2)];
    assert!(ports.bind(&Arc::downgrade(&exact), place("127.0.0.1:9"), |_| true).is_ok());
    assert!(ports.bind(&Arc::downgrade(&wild), place("[::]:9"), |_| true).is_ok());
    assert_eq!(ports.find(at("127.0.0.1:9"), |_| Some(0)).as_deref(), Some(&2));
    assert_eq!(ports.find(at("127.0.0.3:9"), |_| Some(0)).as_deref(), Some(&1));
    assert_eq!(ports.find(at("[::1]:9"), |_| Some(0)).as_deref(), Some(&1));
    let narrowed: IpAddr = "127.0.0.3".parse().expect("an address");
    ports.narrow(&Arc::downgrade(&wild), 9, narrowed);
    assert!(ports.find(at("[::1]:9"), |_| Some(0)).is_none());
}
