//! Pipes as their users see them.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::fs::{SliceSink, SliceSource};

fn ends() -> (Arc<PipeEnd>, Arc<PipeEnd>) {
    PipeEnd::pair()
}

fn read(pipe: &Pipe, len: usize) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; len];
    let got = pipe.read(&mut SliceSink::new(&mut buffer))?;
    buffer.truncate(got);
    Ok(buffer)
}

fn write(pipe: &Pipe, bytes: &[u8]) -> Result<usize, Errno> {
    pipe.write(&mut SliceSource::new(bytes), false)
}

#[test]
fn an_empty_pipe_with_a_writer_would_block() {
    let (read_end, _) = ends();
    assert_eq!(read(read_end.pipe(), 1), Err(Errno::EAGAIN));
}

#[test]
fn an_empty_pipe_without_writers_is_at_its_end() {
    let (read_end, write_end) = ends();
    assert_eq!(write(write_end.pipe(), b"x"), Ok(1));
    write_end.pipe().close(false, true);
    assert_eq!(read(read_end.pipe(), 10).as_deref(), Ok(&b"x"[..]));
    assert_eq!(read(read_end.pipe(), 10).as_deref(), Ok(&b""[..]));
}

#[test]
fn writing_without_readers_is_a_broken_pipe() {
    let (read_end, write_end) = ends();
    read_end.pipe().close(true, false);
    assert_eq!(write(write_end.pipe(), b"x"), Err(Errno::EPIPE));
}

#[test]
fn writing_nothing_succeeds_even_without_readers() {
    let (read_end, write_end) = ends();
    read_end.pipe().close(true, false);
    assert_eq!(write(write_end.pipe(), b""), Ok(0));
}

#[test]
fn the_capacity_is_rounded_up_to_a_power_of_two_of_pages() {
    let (end, _) = ends();
    assert_eq!(end.pipe().capacity_bytes(), 65536);
    assert_eq!(end.pipe().set_capacity_bytes(0, false), Ok(4096));
    assert_eq!(end.pipe().set_capacity_bytes(5000, false), Ok(8192));
    assert_eq!(end.pipe().set_capacity_bytes(MAX_BYTES + 1, false), Err(Errno::EPERM));
    assert_eq!(end.pipe().set_capacity_bytes(MAX_BYTES + 1, true), Ok(2 * MAX_BYTES));
    assert_eq!(end.pipe().set_capacity_bytes((1 << 31) + 1, true), Err(Errno::EINVAL));
}

#[test]
fn a_short_write_elsewhere_leaves_the_rest_in_the_pipe() {
    let (end, _writer) = ends();
    assert_eq!(write(end.pipe(), b"abcdef"), Ok(6));
    assert_eq!(from_pipe(end.pipe(), 100, |bytes| Ok(bytes.len().min(4))), Ok(4));
    assert_eq!(read(end.pipe(), 10).as_deref(), Ok(&b"ef"[..]));
    assert_eq!(from_pipe(end.pipe(), 100, |_| Ok(0)), Err(Errno::EAGAIN));
}

#[test]
fn a_failed_write_elsewhere_loses_nothing() {
    let (end, _writer) = ends();
    assert_eq!(write(end.pipe(), b"abc"), Ok(3));
    assert_eq!(from_pipe(end.pipe(), 100, |_| Err(Errno::ENOSPC)), Err(Errno::ENOSPC));
    assert_eq!(read(end.pipe(), 10).as_deref(), Ok(&b"abc"[..]));
}

#[test]
fn filling_from_elsewhere_stops_when_the_pipe_is_full() {
    let (end, _writer) = ends();
    assert_eq!(into_pipe(end.pipe(), 1 << 20, |buffer| Ok(buffer.len())), Ok(65536));
    assert_eq!(into_pipe(end.pipe(), 1, |buffer| Ok(buffer.len())), Err(Errno::EAGAIN));
    assert_eq!(end.pipe().len(), 65536);
}

#[test]
fn tee_leaves_what_it_copies() {
    let ((from, _w), (to, _x)) = (ends(), ends());
    assert_eq!(write(from.pipe(), b"abc"), Ok(3));
    assert_eq!(tee(from.pipe(), to.pipe(), 100), Ok(3));
    assert_eq!(move_between(from.pipe(), to.pipe(), 2), Ok(2));
    assert_eq!(read(to.pipe(), 10).as_deref(), Ok(&b"abcab"[..]));
    assert_eq!(read(from.pipe(), 10).as_deref(), Ok(&b"c"[..]));
    assert_eq!(tee(from.pipe(), from.pipe(), 1), Err(Errno::EINVAL));
}
