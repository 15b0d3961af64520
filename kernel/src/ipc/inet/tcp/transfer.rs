//! Sending, receiving, and the end of it.

use abi::Errno;
use abi::socket::MsgFlags;

use super::super::{CHANGED, READABLE, WRITABLE};
use super::{Phase, RECEIVE_BYTES, State, TcpSocket};
use crate::fs::{Sink, Source};
use crate::ipc::socket::{Buffer, Incoming, Shut};

/// The largest piece that is put into the inbox at once.
const PIECE_BYTES: usize = 32 * 1024;

impl TcpSocket {
    /// How much room a connection has, and how much at all; `None` without a peer. What is under way counts against
    /// the sender's buffer and the receiver's.
    pub(super) fn room(&self) -> Option<(usize, usize)> {
        let peer = self.state.lock().peer.upgrade()?;
        let whole = self.settings.send_bytes() + peer.settings.receive_bytes();
        let queued = peer.state.lock().queued;
        Some((whole.saturating_sub(queued), whole))
    }

    /// Sends as much as fits (`tcp_sendmsg_locked`). The pending error, `EPIPE`, `EAGAIN`.
    pub(super) fn send_bytes(&self, source: &mut dyn Source) -> Result<usize, Errno> {
        let peer = {
            let mut state = self.state.lock();
            if matches!(state.phase, Phase::Connecting) {
                return Err(Errno::EAGAIN);
            }
            if state.error.is_some() || state.shut().1 || !matches!(state.phase, Phase::Connected) {
                return Err(state.error.take().unwrap_or(Errno::EPIPE));
            }
            state.peer.upgrade()
        };
        let mut sent = 0;
        while source.remaining() > 0 {
            let room = self.room().map_or(0, |(free, _)| free);
            let piece = source.remaining().min(PIECE_BYTES);
            let done = match &peer {
                Some(_) if room == 0 => Err(Errno::EAGAIN),
                Some(peer) => peer.take_in(source, piece.min(room)),
                None => Err(Errno::EPIPE),
            };
            match done {
                Ok(piece) => sent += piece,
                // The peer is closed: it answers what it is sent by a reset.
                Err(Errno::EPIPE) => {
                    let lost = self.lose(source)?;
                    self.lose_connection();
                    return Ok(sent + lost);
                }
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// Takes what would be under way when the peer's reset comes, and drops it. `EFAULT`, `ENOBUFS`.
    fn lose(&self, source: &mut dyn Source) -> Result<usize, Errno> {
        let len = source.remaining().min(self.settings.send_bytes() + RECEIVE_BYTES);
        let mut lost = 0;
        while lost < len {
            let piece = (len - lost).min(PIECE_BYTES);
            Buffer::fill(None, source, piece)?;
            lost += piece;
        }
        Ok(lost)
    }

    /// Puts the next `len` bytes of the peer's `source` into the inbox. `EPIPE` if nobody will ever read them.
    fn take_in(&self, source: &mut dyn Source, len: usize) -> Result<usize, Errno> {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Connected | Phase::Connecting) {
            return Err(Errno::EPIPE);
        }
        match state.inbox.back_mut().filter(|last| last.room() >= len) {
            Some(last) => last.append(source, len)?,
            None => {
                let buffer = Buffer::fill(None, source, len)?;
                state.inbox.push_back(buffer);
            }
        }
        state.queued += len;
        drop(state);
        self.ready.wake(READABLE);
        Ok(len)
    }

    /// A reset has come (`tcp_reset`).
    pub(super) fn lose_connection(&self) {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Connected | Phase::Connecting) {
            return;
        }
        state.error = Some(match state.phase {
            Phase::Connecting => Errno::ECONNREFUSED,
            _ if state.at_end => Errno::EPIPE,
            _ => Errno::ECONNRESET,
        });
        state.phase = if matches!(state.phase, Phase::Connecting) { Phase::Failed } else { Phase::Reset };
        drop(state);
        self.ready.wake(CHANGED);
    }

    /// The peer sends no more (`tcp_fin`).
    pub(super) fn hear_end(&self) {
        self.state.lock().at_end = true;
        self.ready.wake(CHANGED);
    }

    /// Receives (`tcp_recvmsg_locked`); with `MSG_TRUNC` the bytes are dropped. 0 at the end. The pending error,
    /// `ENOTCONN`, `EAGAIN`.
    pub(super) fn receive_bytes(&self, sink: &mut dyn Sink, flags: MsgFlags) -> Result<Incoming, Errno> {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Listening(_)) {
            return Err(Errno::ENOTCONN);
        }
        if state.queued == 0 {
            return nothing_received(&mut state).map(|()| Incoming::default());
        }
        let moved = if flags.contains(MsgFlags::MSG_PEEK) { peek(&state, sink) } else { take(&mut state, sink) };
        let peer = state.peer.upgrade();
        drop(state);
        if !flags.contains(MsgFlags::MSG_PEEK)
            && let Some(peer) = peer
        {
            peer.ready.wake(WRITABLE);
        }
        let len = moved?;
        Ok(Incoming { len, full_len: len, ..Incoming::default() })
    }

    /// shutdown(2) (`inet_shutdown`). `ENOTCONN`.
    pub(super) fn shut_down(&self, shut: Shut) -> Result<(), Errno> {
        let mut state = self.state.lock();
        let peer = match &mut state.phase {
            Phase::Connected => {
                state.read_shut |= shut.read;
                let ends = shut.write && !state.write_shut;
                state.write_shut |= shut.write;
                if ends { state.peer.upgrade() } else { None }
            }
            // A listener that is shut for reading is none any more.
            Phase::Listening(_) if shut.read => {
                drop(state);
                self.stop_listening();
                return Ok(());
            }
            Phase::Listening(_) => None,
            Phase::Connecting if shut.write || shut.read => {
                state.phase = Phase::Fresh;
                None
            }
            _ => return Err(Errno::ENOTCONN),
        };
        drop(state);
        if let Some(peer) = peer {
            peer.hear_end();
        }
        self.ready.wake(CHANGED);
        Ok(())
    }
}

fn nothing_received(state: &mut State) -> Result<(), Errno> {
    if state.at_end {
        return Ok(());
    }
    if let Some(error) = state.error.take() {
        return Err(error);
    }
    match state.phase {
        _ if state.read_shut => Ok(()),
        Phase::Reset | Phase::Failed | Phase::Closed => Ok(()),
        Phase::Fresh | Phase::Listening(_) => Err(Errno::ENOTCONN),
        Phase::Connected | Phase::Connecting => Err(Errno::EAGAIN),
    }
}

fn peek(state: &State, sink: &mut dyn Sink) -> Result<usize, Errno> {
    let mut moved = 0;
    for buffer in &state.inbox {
        match buffer.put(sink) {
            Ok(0) => break,
            Ok(put) => moved += put,
            Err(error) if moved == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(moved)
}

fn take(state: &mut State, sink: &mut dyn Sink) -> Result<usize, Errno> {
    let mut moved = 0;
    while let Some(buffer) = state.inbox.front_mut() {
        match buffer.put(sink) {
            Ok(0) => break,
            Ok(put) => {
                buffer.consume(put);
                moved += put;
            }
            Err(error) if moved == 0 => return Err(error),
            Err(_) => break,
        }
        if buffer.data().is_empty() {
            state.inbox.pop_front();
        }
    }
    state.queued -= moved;
    Ok(moved)
}
