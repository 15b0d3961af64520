//! Sending and receiving.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::socket::{MsgFlags, Ucred};

use super::message::{Message, OVERHEAD_BYTES};
use super::{Phase, READABLE, State, UnixSocket, WRITABLE, address};
use crate::fs::{Sink, Source};
use crate::ipc::socket::{Buffer, Incoming, Kind, Outgoing};

/// The largest piece of a stream that is put into the inbox at once.
const PIECE_BYTES: usize = 32 * 1024;

impl UnixSocket {
    // Sending.

    /// Sends on a stream (`unix_stream_sendmsg`): as much as fits. `EPIPE`, `ENOTCONN`, `EISCONN`, `EOPNOTSUPP`,
    /// `EAGAIN`.
    pub(super) fn send_bytes(&self, source: &mut dyn Source, message: &mut Outgoing<'_>) -> Result<usize, Errno> {
        let peer = {
            let state = self.state.lock();
            if message.address.is_some() {
                return Err(if state.is_connected() { Errno::EISCONN } else { Errno::EOPNOTSUPP });
            }
            if state.write_shut {
                return Err(Errno::EPIPE);
            }
            if !state.is_connected() {
                return Err(Errno::ENOTCONN);
            }
            state.peer.upgrade().ok_or(Errno::EPIPE)?
        };
        let mut sent = 0;
        while source.remaining() > 0 {
            let room = self.settings.send_bytes().saturating_sub(self.outstanding.load(Ordering::Relaxed));
            let piece = source.remaining().min(PIECE_BYTES).min(room);
            let done = if piece == 0 { Err(Errno::EAGAIN) } else { self.push_piece(&peer, source, piece, message) };
            match done {
                Ok(()) => sent += piece,
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// Puts a piece of a stream into the peer's inbox: behind the last one if it fits there.
    fn push_piece(
        &self,
        peer: &UnixSocket,
        source: &mut dyn Source,
        len: usize,
        message: &mut Outgoing<'_>,
    ) -> Result<(), Errno> {
        let mut state = peer.state.lock();
        if state.read_shut || state.is_closed() {
            return Err(Errno::EPIPE);
        }
        let credentials = message.credentials;
        let last = state.inbox.back_mut().filter(|last| {
            message.files.is_empty()
                && last.files.is_empty()
                && last.credentials == credentials
                && last.buffer.room() >= len
                && last.sender.ptr_eq(&self.this)
        });
        if let Some(last) = last {
            last.buffer.append(source, len)?;
            last.charge += len;
            self.outstanding.fetch_add(len, Ordering::Relaxed);
        } else {
            let spare = state.spare.take();
            let buffer = Buffer::fill(spare, source, len)?;
            let charge = len + OVERHEAD_BYTES;
            self.outstanding.fetch_add(charge, Ordering::Relaxed);
            let files = core::mem::take(&mut message.files);
            let sender = self.this.clone();
            state.inbox.push_back(Message { buffer, files, credentials, address: None, sender, charge });
        }
        drop(state);
        peer.ready.wake(READABLE);
        Ok(())
    }

    /// Sends one message (`unix_dgram_sendmsg`, `unix_seqpacket_sendmsg`): whole or not at all. `EMSGSIZE`,
    /// `ENOTCONN`, `ECONNREFUSED`, `EPERM`, `EPIPE`, `EAGAIN`.
    pub(super) fn send_message(&self, source: &mut dyn Source, message: &mut Outgoing<'_>) -> Result<usize, Errno> {
        const SPARED_BYTES: usize = 32;
        if self.kind == Kind::SequencedPacket && !self.state.lock().is_connected() {
            return Err(Errno::ENOTCONN);
        }
        let receiver = self.receiver(message)?;
        let len = source.remaining();
        if len > self.settings.send_bytes().saturating_sub(SPARED_BYTES) {
            return Err(Errno::EMSGSIZE);
        }
        if self.state.lock().write_shut {
            return Err(Errno::EPIPE);
        }
        if self.kind == Kind::Datagram && !receiver.may_get_from(self) {
            return Err(Errno::EPERM);
        }
        let charge = len + OVERHEAD_BYTES;
        let in_use = self.outstanding.load(Ordering::Relaxed);
        if in_use != 0 && in_use + charge > self.settings.send_bytes() {
            return Err(Errno::EAGAIN);
        }
        if self.kind == Kind::Datagram && receiver.is_full_for(self) {
            return Err(Errno::EAGAIN);
        }
        let address = self.state.lock().name.clone();
        let mut state = receiver.state.lock();
        if state.is_closed() {
            return Err(if self.kind == Kind::Datagram { Errno::ECONNREFUSED } else { Errno::EPIPE });
        }
        if state.read_shut {
            return Err(Errno::EPIPE);
        }
        let spare = state.spare.take();
        let buffer = Buffer::fill(spare, source, len)?;
        self.outstanding.fetch_add(charge, Ordering::Relaxed);
        let files = core::mem::take(&mut message.files);
        let (credentials, sender) = (message.credentials, self.this.clone());
        state.inbox.push_back(Message { buffer, files, credentials, address, sender, charge });
        drop(state);
        receiver.ready.wake(READABLE);
        Ok(len)
    }

    /// Whom a message goes to: the address given, or the peer. A datagram socket forgets a peer that is gone.
    fn receiver(&self, message: &Outgoing<'_>) -> Result<Arc<UnixSocket>, Errno> {
        if let Some(address) = message.address.filter(|_| self.kind == Kind::Datagram) {
            return address::find(self.kind, &message.caller, &address::decode(address)?);
        }
        let peer = {
            let state = self.state.lock();
            if !state.is_connected() {
                return Err(Errno::ENOTCONN);
            }
            state.peer.upgrade()
        };
        if let Some(peer) = peer.filter(|peer| !peer.state.lock().is_closed()) {
            return Ok(peer);
        }
        if self.kind != Kind::Datagram {
            return Err(Errno::EPIPE);
        }
        let mut state = self.state.lock();
        state.phase = Phase::Fresh;
        state.peer = Weak::new();
        Err(Errno::ECONNREFUSED)
    }

    // Receiving.

    /// Receives from a stream (`unix_stream_read_generic`). 0 at the end. Files end a reception: what was sent
    /// with them is not mixed with what came after. `EINVAL` unless connected, the pending error, `EAGAIN`.
    pub(super) fn receive_bytes(&self, sink: &mut dyn Sink, peek: bool) -> Result<Incoming, Errno> {
        let mut received = Incoming::default();
        loop {
            let mut state = self.state.lock();
            if !state.is_connected() {
                return Err(Errno::EINVAL);
            }
            if state.inbox.is_empty() && received.len == 0 && sink.remaining() > 0 {
                return Self::nothing_received(&mut state);
            }
            let step = if peek {
                self.peek_pieces(&mut state, sink, &mut received)
            } else {
                self.take_piece(&mut state, sink, &mut received)
            };
            drop(state);
            match step {
                Ok(None) => break,
                Ok(Some(emptied)) => self.recycle(emptied),
                Err(error) if received.len == 0 => return Err(error),
                Err(_) => break,
            }
            if !received.files.is_empty() {
                break;
            }
        }
        received.full_len = received.len;
        Ok(received)
    }

    /// Whether a piece may be received behind what was: from the same sender, if the receiver is told who sent.
    fn may_join(&self, received: &Incoming, piece: &Message) -> bool {
        let same = received.credentials.is_none_or(|seen: Ucred| seen == piece.credentials);
        same || !self.settings.passes_credentials()
    }

    /// Moves (what fits of) the first piece into the sink. Gives the piece if nothing of it is left.
    fn take_piece(
        &self,
        state: &mut State,
        sink: &mut dyn Sink,
        received: &mut Incoming,
    ) -> Result<Option<Message>, Errno> {
        let Some(piece) = state.inbox.front_mut().filter(|piece| self.may_join(received, piece)) else {
            return Ok(None);
        };
        if sink.remaining() == 0 {
            return Ok(None);
        }
        let put = piece.put(sink)?;
        received.len += put;
        received.credentials = Some(piece.credentials);
        received.files.append(&mut piece.files);
        let emptied = put == piece.len();
        piece.buffer.consume(put);
        Ok(if emptied { state.inbox.pop_front() } else { None })
    }

    /// Copies pieces into the sink, up to the first with files. They stay.
    fn peek_pieces(
        &self,
        state: &mut State,
        sink: &mut dyn Sink,
        received: &mut Incoming,
    ) -> Result<Option<Message>, Errno> {
        for piece in &state.inbox {
            if sink.remaining() == 0 || !self.may_join(received, piece) {
                break;
            }
            received.len += piece.put(sink)?;
            received.credentials = Some(piece.credentials);
            received.files.extend_from(&piece.files);
            if !piece.files.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    fn nothing_received(state: &mut State) -> Result<Incoming, Errno> {
        match state.error.take() {
            Some(error) => Err(error),
            None if state.read_shut => Ok(Incoming::default()),
            None => Err(Errno::EAGAIN),
        }
    }

    /// Gives the sender of an emptied message its room back, and keeps the buffer for the next.
    fn recycle(&self, mut emptied: Message) {
        let buffer = core::mem::take(&mut emptied.buffer);
        drop(emptied);
        if buffer.is_worth_keeping() {
            let old = self.state.lock().spare.replace(buffer);
            drop(old);
        }
    }

    /// Receives one message (`unix_dgram_recvmsg`): what does not fit is lost, unless it is only looked at.
    /// `ENOTCONN` on a connection-oriented socket without one, `EAGAIN`.
    pub(super) fn receive_message(&self, sink: &mut dyn Sink, peek: bool) -> Result<Incoming, Errno> {
        let mut state = self.state.lock();
        if self.kind == Kind::SequencedPacket && !state.is_connected() {
            return Err(Errno::ENOTCONN);
        }
        let Some(message) = state.inbox.front_mut() else { return Self::nothing_received(&mut state) };
        let full_len = message.len();
        let len = message.put(sink)?;
        let mut received = Incoming { len, full_len, ..Incoming::default() };
        received.credentials = Some(message.credentials);
        received.address = message.address.as_deref().map_or_else(Vec::new, |name| address::encode(Some(name)));
        received.flags.set(MsgFlags::MSG_TRUNC, len < full_len);
        if peek {
            received.files.extend_from(&message.files);
            return Ok(received);
        }
        let Some(mut message) = state.inbox.pop_front() else { return Ok(received) };
        let blocked = core::mem::take(&mut state.blocked);
        drop(state);
        received.files = core::mem::take(&mut message.files);
        for sender in blocked.iter().filter_map(Weak::upgrade) {
            sender.ready.wake(WRITABLE);
        }
        self.recycle(message);
        Ok(received)
    }
}
