//! Pseudo-terminals through open files, as their users see them.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use abi::Errno;
use abi::poll::PollEvents;
use abi::uio::RwFlags;

use super::*;
use crate::fs::pseudo::anonymous_file;
use crate::fs::{At, Cred, File, FileOps, OpenFlags, SizeLimit, SliceSink, SliceSource};

fn open(ops: Arc<dyn FileOps>) -> Arc<File> {
    anonymous_file(ops, "[test]", OpenFlags::O_RDWR, &Arc::new(Cred::root()))
}

/// The master, its file, and the terminal's file.
fn pair() -> (Arc<PtyMaster>, Arc<File>, Arc<File>) {
    let master = PtyMaster::open(&Cred::root()).expect("there is room");
    let master_file = open(master.clone());
    assert_eq!(pty::open_terminal(master.number(), &Cred::root()).err(), Some(Errno::EIO), "it is locked");
    pty::pair(master.number()).expect("it is in the table").unlock();
    let terminal = pty::open_terminal(master.number(), &Cred::root()).expect("it is unlocked");
    (master, master_file, open(terminal))
}

fn read(file: &File) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 100_000];
    let len = file.try_read(&mut SliceSink::new(&mut buffer), At::Position)?;
    buffer.truncate(len);
    Ok(buffer)
}

fn write(file: &File, bytes: &[u8]) -> Result<usize, Errno> {
    file.try_write(&mut SliceSource::new(bytes), At::Position, RwFlags::empty(), &mut SizeLimit::none())
}

#[test]
fn what_the_terminal_writes_the_master_reads_processed() {
    let (_master, master, terminal) = pair();
    assert_eq!(read(&master), Err(Errno::EAGAIN));
    assert_eq!(write(&terminal, b"hi\n"), Ok(3));
    assert_eq!(read(&master).as_deref(), Ok(&b"hi\r\n"[..]));
}

#[test]
fn what_the_master_writes_is_typed_and_echoed() {
    let (_master, master, terminal) = pair();
    assert_eq!(write(&master, b"ls\r"), Ok(3));
    assert_eq!(read(&terminal).as_deref(), Ok(&b"ls\n"[..]));
    assert_eq!(read(&master).as_deref(), Ok(&b"ls\r\n"[..]));
}

#[test]
fn a_full_terminal_holds_the_master_back_and_loses_nothing() {
    let (_master, master, terminal) = pair();
    let mut raw = Settings::standard();
    (raw.input, raw.local) = (Input::empty(), Local::empty());
    pty::pair(_master.number()).expect("it is in the table").terminal().expect("it lives").set(raw, false);
    let all: Vec<u8> = (0..40_000u32).map(|at| at as u8).collect();
    let (mut sent, mut received) = (0, Vec::new());
    while received.len() < all.len() {
        match write(&master, &all[sent..]) {
            Ok(count) => sent += count,
            Err(error) => assert!(error == Errno::EAGAIN || sent == all.len()),
        }
        received.extend(read(&terminal).expect("it was full"));
    }
    assert_eq!(received, all);
}

#[test]
fn the_master_learns_that_the_terminal_was_closed_after_reading_what_is_left() {
    let (_master, master, terminal) = pair();
    assert_eq!(write(&terminal, b"bye"), Ok(3));
    drop(terminal);
    assert!(master.readiness().contains(PollEvents::POLLHUP | PollEvents::POLLIN));
    assert_eq!(read(&master).as_deref(), Ok(&b"bye"[..]));
    assert_eq!(read(&master), Err(Errno::EIO));
}

#[test]
fn closing_the_master_hangs_the_terminal_up() {
    let (pty, master, terminal) = pair();
    let listed = pty::pair(pty.number()).expect("it is in the table");
    drop(master);
    assert!(terminal.readiness().contains(PollEvents::POLLHUP | PollEvents::POLLERR));
    assert_eq!(read(&terminal).as_deref(), Ok(&b""[..]));
    assert_eq!(write(&terminal, b"x"), Err(Errno::EIO));
    // Another test may have the number by now.
    let now = pty::pair(pty.number()).and_then(|pair| pair.terminal());
    assert!(now.is_none_or(|now| listed.terminal().is_none_or(|then| !Arc::ptr_eq(&now, &then))));
}

#[test]
fn packet_mode_tells_of_flushes_and_stops() {
    let (pty, master, terminal) = pair();
    pty.set_packet_mode(true);
    assert_eq!(write(&terminal, b"a"), Ok(1));
    assert_eq!(read(&master).as_deref(), Ok(&b"\0a"[..]));
    assert_eq!(write(&master, b"\x13"), Ok(1));
    assert!(master.readiness().contains(PollEvents::POLLPRI | PollEvents::POLLIN));
    assert_eq!(read(&master).as_deref(), Ok(&[abi::termios::TIOCPKT_STOP][..]));
}

#[test]
fn a_terminal_that_nobody_reads_from_fills_up() {
    let (_master, master, terminal) = pair();
    let written = write(&terminal, &[b'x'; 100_000]).expect("some fits");
    assert!(written < 100_000);
    assert!(!terminal.readiness().contains(PollEvents::POLLOUT));
    assert_eq!(write(&terminal, b"y"), Err(Errno::EAGAIN));
    assert_eq!(read(&master).map(|bytes| bytes.len()), Ok(written));
    assert!(terminal.readiness().contains(PollEvents::POLLOUT));
}
