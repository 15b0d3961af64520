//! Standard input, output and error of `just run` where the host's are no terminal: the host tool's link and its output
//! ports (`docs/host-protocol.md`). They behave as pipes to the host.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;

use abi::Errno;

use super::link::{Decoder, Piece};
use super::tty::console;
use crate::arch::{self, OutputPort};
use crate::fs::pseudo::Reopen;
use crate::fs::{AccessFlags, File, FileOps, FileTraits, PollEvents, ReadyQueue, Sink, Source};
use crate::sync::{Rank, SpinLock};

/// How much input is taken from the link ahead of the program. The UART holds the host back beyond that.
const INPUT_AHEAD_BYTES: usize = 64 * 1024;

/// Bytes moved at a time.
const PART_BYTES: usize = 512;

/// What has come over the link and has not been read.
struct Input {
    decoder: Decoder,
    bytes: VecDeque<u8>,
    at_end: bool,
}

static INPUT: SpinLock<Input> =
    SpinLock::new(Rank::Device, Input { decoder: Decoder::new(), bytes: VecDeque::new(), at_end: false });
static INPUT_READY: spin::LazyLock<ReadyQueue> = spin::LazyLock::new(ReadyQueue::new);

/// Takes what the link has received, and tells of it.
pub fn serve_link() {
    let mut part = [0; PART_BYTES];
    loop {
        let mut size = None;
        let len = {
            let mut input = INPUT.lock();
            let room = INPUT_AHEAD_BYTES.saturating_sub(input.bytes.len()).min(PART_BYTES);
            let len = arch::link_read(&mut part[..room]);
            let Input { decoder, bytes, at_end } = &mut *input;
            decoder.feed(&part[..len], |piece| match piece {
                Piece::Input(new) => bytes.extend(new),
                Piece::EndOfInput => *at_end = true,
                Piece::WindowSize { rows, columns } => size = Some((rows, columns)),
            });
            len
        };
        if let Some((rows, columns)) = size {
            console::resize(rows, columns);
        }
        if len == 0 {
            return;
        }
        INPUT_READY.wake(PollEvents::POLLIN | PollEvents::POLLRDNORM);
    }
}

/// Standard input that comes over the link.
pub struct HostInput;

impl FileOps for HostInput {
    fn traits(&self) -> FileTraits {
        FileTraits::STREAM
    }

    fn try_read(&self, _file: &File, sink: &mut dyn Sink, _offset: u64) -> Result<usize, Errno> {
        let taken = take(sink)?;
        // The UART may hold more, which came while there was no room.
        serve_link();
        Ok(taken)
    }

    fn readiness(&self, _file: &File) -> PollEvents {
        let input = INPUT.lock();
        let mut events = PollEvents::empty();
        events.set(PollEvents::POLLIN | PollEvents::POLLRDNORM, !input.bytes.is_empty());
        events.set(PollEvents::POLLHUP, input.at_end);
        events
    }

    fn wait_queue(&self) -> Option<&ReadyQueue> {
        Some(&INPUT_READY)
    }
}

/// Moves input into `sink`: 0 at its end, `EAGAIN` if none is there yet.
fn take(sink: &mut dyn Sink) -> Result<usize, Errno> {
    let mut input = INPUT.lock();
    if input.bytes.is_empty() {
        return if input.at_end || sink.remaining() == 0 { Ok(0) } else { Err(Errno::EAGAIN) };
    }
    let (first, _) = input.bytes.as_slices();
    let taken = sink.put(first)?;
    input.bytes.drain(..taken);
    Ok(taken)
}

/// Standard output or error that goes to one of the host tool's ports.
pub struct HostOutput(pub OutputPort);

impl FileOps for HostOutput {
    fn traits(&self) -> FileTraits {
        FileTraits::STREAM
    }

    fn try_write(&self, _file: &File, source: &mut dyn Source, _offset: u64) -> Result<usize, Errno> {
        let mut done = 0;
        while source.remaining() > 0 {
            let mut part = [0; PART_BYTES];
            match source.take(&mut part) {
                Ok(len) => {
                    arch::output_write(self.0, &part[..len]);
                    done += len;
                    if len < PART_BYTES {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn readiness(&self, _file: &File) -> PollEvents {
        PollEvents::POLLOUT | PollEvents::POLLWRNORM
    }
}

/// The object behind a standard descriptor (0, 1 or 2) that is no terminal.
pub fn standard(descriptor: usize) -> Arc<dyn FileOps> {
    match descriptor {
        0 => Arc::new(HostInput),
        1 => Arc::new(HostOutput(OutputPort::Stdout)),
        _ => Arc::new(HostOutput(OutputPort::Stderr)),
    }
}

/// How a standard descriptor is opened once more, through /dev/stdin and its like. The pipe's other end is the host's:
/// `EACCES` for whoever asks for that.
pub fn reopener(descriptor: usize) -> Reopen {
    Box::new(move |flags| {
        let other_end = if descriptor == 0 { flags.writable() } else { flags.readable() };
        if other_end { Err(Errno::EACCES) } else { Ok(standard(descriptor)) }
    })
}
