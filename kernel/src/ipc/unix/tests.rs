//! Unix sockets as their users see them, by abstract names and in pairs.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::fs::{Cred, FileOps, FsContext, OpenFlags, SliceSink, SliceSource};
use crate::ipc::eventfd::EventFd;
use crate::ipc::socket::{Files, SocketFile};

/// A caller whose paths begin in an empty tree of their own.
struct World {
    fs: Arc<FsContext>,
    cred: Arc<Cred>,
}

impl World {
    fn new() -> Self {
        let cred = Arc::new(Cred::root());
        let root = crate::fs::pseudo::socket_place(&cred);
        Self { fs: FsContext::new(root), cred }
    }

    fn caller(&self) -> Caller<'_> {
        Caller { fs: &self.fs, cred: &self.cred, pid: 42 }
    }

    fn send(&self, socket: &UnixSocket, bytes: &[u8]) -> Result<usize, Errno> {
        self.send_with(socket, bytes, Files::default(), None)
    }

    fn send_with(
        &self,
        socket: &UnixSocket,
        bytes: &[u8],
        files: Files,
        address: Option<&[u8]>,
    ) -> Result<usize, Errno> {
        let caller = self.caller();
        let mut message = Outgoing { address, files, credentials: caller.identity(), caller };
        socket.send(&mut SliceSource::new(bytes), &mut message)
    }

    fn file(&self, socket: &Arc<UnixSocket>) -> Arc<crate::fs::File> {
        let ops: Arc<dyn FileOps> = SocketFile::new(socket.clone(), &self.cred, &self.fs, 42);
        crate::fs::pseudo::anonymous_file(ops, "[test]", OpenFlags::O_RDWR, &self.cred)
    }

    /// A listener of this abstract name.
    fn listener(&self, kind: Kind, name: &[u8], backlog: i32) -> Arc<UnixSocket> {
        let listener = UnixSocket::new(kind);
        listener.bind(&self.caller(), &named(name)).expect("the name is free");
        listener.listen(&self.caller(), backlog).expect("it is bound");
        listener
    }

    fn connect(&self, socket: &UnixSocket, name: &[u8]) -> Result<bool, Errno> {
        let connecting = socket.connect(&self.caller(), &named(name))?;
        Ok(matches!(connecting, Connecting::Done))
    }
}

/// An abstract address.
fn named(name: &[u8]) -> Vec<u8> {
    [&1u16.to_ne_bytes()[..], &[0], name].concat()
}

fn receive(socket: &UnixSocket, len: usize) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; len];
    let got = socket.receive(&mut SliceSink::new(&mut buffer), MsgFlags::empty())?.len;
    buffer.truncate(got);
    Ok(buffer)
}

fn stream_pair() -> (Arc<UnixSocket>, Arc<UnixSocket>) {
    UnixSocket::pair(Kind::Stream, Ucred { pid: 1, uid: 2, gid: 3 })
}

#[test]
fn a_stream_joins_what_was_written_and_ends_with_its_peer() {
    let (world, (a, b)) = (World::new(), stream_pair());
    assert_eq!(world.send(&a, b"abc"), Ok(3));
    assert_eq!(world.send(&a, b"def"), Ok(3));
    assert_eq!(receive(&b, 4).as_deref(), Ok(&b"abcd"[..]));
    assert_eq!(receive(&b, 100).as_deref(), Ok(&b"ef"[..]));
    assert_eq!(receive(&b, 100), Err(Errno::EAGAIN));
    a.close();
    assert_eq!(receive(&b, 100).as_deref(), Ok(&b""[..]));
    assert_eq!(world.send(&b, b"x"), Err(Errno::EPIPE));
}

#[test]
fn closing_with_unread_data_resets_the_peer_once() {
    let (world, (a, b)) = (World::new(), stream_pair());
    assert_eq!(world.send(&a, b"abc"), Ok(3));
    b.close();
    assert!(a.readiness().contains(PollEvents::POLLERR | PollEvents::POLLHUP));
    assert_eq!(receive(&a, 1), Err(Errno::ECONNRESET));
    assert_eq!(receive(&a, 1).as_deref(), Ok(&b""[..]));
}

#[test]
fn a_stream_takes_as_much_as_the_send_buffer_holds() {
    let (world, (a, b)) = (World::new(), stream_pair());
    let sent = world.send(&a, &[7; 1_000_000]).expect("some fits");
    assert!((100_000..1_000_000).contains(&sent));
    assert_eq!(world.send(&a, b"x"), Err(Errno::EAGAIN));
    assert!(!a.readiness().contains(PollEvents::POLLOUT));
    let mut received = 0;
    while let Ok(bytes) = receive(&b, 50_000) {
        received += bytes.len();
    }
    assert_eq!(received, sent);
    assert!(a.readiness().contains(PollEvents::POLLOUT));
    assert_eq!(a.unreceived(), 0);
}

#[test]
fn messages_keep_their_bounds_and_lose_what_does_not_fit() {
    let world = World::new();
    for kind in [Kind::Datagram, Kind::SequencedPacket] {
        let (a, b) = UnixSocket::pair(kind, Ucred::default());
        assert_eq!(world.send(&a, b"abcdef"), Ok(6));
        assert_eq!(world.send(&a, b""), Ok(0));
        assert_eq!(world.send(&a, b"gh"), Ok(2));
        let mut buffer = [0; 4];
        let cut = b.receive(&mut SliceSink::new(&mut buffer), MsgFlags::empty()).expect("it is there");
        assert_eq!((cut.len, cut.full_len, cut.flags), (4, 6, MsgFlags::MSG_TRUNC));
        assert_eq!(receive(&b, 10).as_deref(), Ok(&b""[..]));
        assert_eq!(receive(&b, 10).as_deref(), Ok(&b"gh"[..]));
        assert_eq!(world.send(&a, &vec![0; 300_000]), Err(Errno::EMSGSIZE));
    }
}

#[test]
fn peeking_takes_nothing() {
    let (world, (a, b)) = (World::new(), stream_pair());
    assert_eq!(world.send(&a, b"abc"), Ok(3));
    let mut buffer = [0; 10];
    let peeked = b.receive(&mut SliceSink::new(&mut buffer), MsgFlags::MSG_PEEK).expect("it is there");
    assert_eq!(peeked.len, 3);
    assert_eq!(receive(&b, 10).as_deref(), Ok(&b"abc"[..]));
}

#[test]
fn a_connection_stands_before_it_is_accepted() {
    let world = World::new();
    let listener = world.listener(Kind::Stream, b"early", 5);
    assert!(!listener.readiness().contains(PollEvents::POLLIN));
    let client = UnixSocket::new(Kind::Stream);
    assert!(client.readiness().contains(PollEvents::POLLHUP), "not connected");
    assert_eq!(world.connect(&client, b"early"), Ok(true));
    assert_eq!(world.send(&client, b"hello"), Ok(5));
    assert!(listener.readiness().contains(PollEvents::POLLIN));
    let server = listener.take_connection().expect("it waits");
    assert_eq!(receive(&server, 10).as_deref(), Ok(&b"hello"[..]));
    assert_eq!(server.local_address(), named(b"early"));
    assert_eq!(client.peer_address(), Ok(named(b"early")));
    assert_eq!(client.peer_credentials().pid, 42);
    assert_eq!(world.connect(&client, b"early"), Err(Errno::EISCONN));
    listener.close();
}

#[test]
fn a_full_backlog_has_the_client_wait_and_a_closed_listener_refuses() {
    let world = World::new();
    let listener = world.listener(Kind::Stream, b"full", 0);
    let clients: Vec<_> = (0..2).map(|_| UnixSocket::new(Kind::Stream)).collect();
    assert_eq!(world.connect(&clients[0], b"full"), Ok(true));
    assert_eq!(world.connect(&clients[1], b"full"), Ok(false));
    assert!(!listener.has_room());
    listener.close();
    assert_eq!(world.connect(&clients[1], b"full"), Err(Errno::ECONNREFUSED));
    assert_eq!(receive(&clients[0], 1), Err(Errno::ECONNRESET), "nobody accepted it");
}

#[test]
fn names_are_free_again_when_their_owner_is_closed() {
    let world = World::new();
    let first = world.listener(Kind::Stream, b"name", 1);
    let second = UnixSocket::new(Kind::Stream);
    assert_eq!(second.bind(&world.caller(), &named(b"name")), Err(Errno::EADDRINUSE));
    let client = UnixSocket::new(Kind::Stream);
    assert_eq!(world.connect(&client, b"name"), Ok(true));
    let server = first.take_connection().expect("it waits");
    first.close();
    assert_eq!(second.bind(&world.caller(), &named(b"name")), Ok(()));
    server.close();
    let third = UnixSocket::new(Kind::Stream);
    assert_eq!(third.bind(&world.caller(), &named(b"name")), Err(Errno::EADDRINUSE), "the far end did not own it");
    second.close();
}

#[test]
fn datagrams_carry_their_senders_name_and_a_full_inbox_blocks_others() {
    let world = World::new();
    let (receiver, sender) = (UnixSocket::new(Kind::Datagram), UnixSocket::new(Kind::Datagram));
    receiver.bind(&world.caller(), &named(b"inbox")).expect("free");
    sender.bind(&world.caller(), &named(b"sender")).expect("free");
    let address = named(b"inbox");
    let mut count = 0;
    while world.send_with(&sender, b"x", Files::default(), Some(&address)) == Ok(1) {
        count += 1;
    }
    assert_eq!(count, MAX_QUEUED_DATAGRAMS + 1);
    let mut buffer = [0; 4];
    let got = receiver.receive(&mut SliceSink::new(&mut buffer), MsgFlags::empty()).expect("it is there");
    assert_eq!(got.address, named(b"sender"));
    assert_eq!(world.send_with(&sender, b"y", Files::default(), Some(&address)), Ok(1));
    receiver.close();
    assert_eq!(world.send_with(&sender, b"z", Files::default(), Some(&address)), Err(Errno::ECONNREFUSED));
    sender.close();
}

#[test]
fn a_connected_datagram_socket_hears_only_its_peer() {
    let world = World::new();
    let (a, b) = UnixSocket::pair(Kind::Datagram, Ucred::default());
    a.bind(&world.caller(), &named(b"taken")).expect("free");
    let stranger = UnixSocket::new(Kind::Datagram);
    assert_eq!(world.connect(&stranger, b"taken"), Err(Errno::EPERM));
    assert_eq!(world.send(&b, b"ok"), Ok(2));
    b.close();
    assert_eq!(world.send(&a, b"x"), Err(Errno::ECONNREFUSED));
    assert_eq!(world.send(&a, b"x"), Err(Errno::ENOTCONN), "the peer is forgotten");
    a.close();
}

#[test]
fn shutting_one_direction_tells_the_peer() {
    let (world, (a, b)) = (World::new(), stream_pair());
    assert_eq!(world.send(&a, b"last"), Ok(4));
    assert_eq!(a.shutdown(Shut { read: false, write: true }), Ok(()));
    assert_eq!(world.send(&a, b"x"), Err(Errno::EPIPE));
    assert!(b.readiness().contains(PollEvents::POLLRDHUP | PollEvents::POLLIN));
    assert!(!b.readiness().contains(PollEvents::POLLHUP));
    assert_eq!(receive(&b, 10).as_deref(), Ok(&b"last"[..]));
    assert_eq!(receive(&b, 10).as_deref(), Ok(&b""[..]));
    assert_eq!(world.send(&b, b"back"), Ok(4));
    assert_eq!(receive(&a, 10).as_deref(), Ok(&b"back"[..]));
}

#[test]
fn files_travel_with_their_bytes_and_end_the_reception() {
    let (world, (a, b)) = (World::new(), stream_pair());
    let event = EventFd::new(5, false);
    let file = crate::fs::pseudo::anonymous_file(event, "[eventfd]", OpenFlags::O_RDWR, &world.cred);
    assert_eq!(world.send(&a, b"ab"), Ok(2));
    assert_eq!(world.send_with(&a, b"cd", Files::new(vec![file.clone()]), None), Ok(2));
    assert_eq!(world.send(&a, b"ef"), Ok(2));
    let mut buffer = [0; 10];
    let mut got = b.receive(&mut SliceSink::new(&mut buffer), MsgFlags::empty()).expect("it is there");
    assert_eq!(got.len, 4);
    let received = got.files.take_first().expect("one file");
    assert!(Arc::ptr_eq(&received, &file));
    assert_eq!(receive(&b, 10).as_deref(), Ok(&b"ef"[..]));
}

#[test]
fn a_chain_of_sockets_in_flight_is_dropped_without_recursion() {
    let world = World::new();
    let (mut carried, keep) = stream_pair();
    let _keep = world.file(&keep);
    for _ in 0..20_000 {
        let (carrier, inbox) = stream_pair();
        let file = world.file(&carried);
        let _sender = world.file(&carrier);
        assert_eq!(world.send_with(&carrier, b"x", Files::new(vec![file]), None), Ok(1));
        carried = inbox;
    }
    drop(world.file(&carried));
    drop(carried);
    assert!(keep.readiness().contains(PollEvents::POLLHUP));
}
