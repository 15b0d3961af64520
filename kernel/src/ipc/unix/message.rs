//! [`Message`]: what lies in a socket's inbox.

use alloc::sync::{Arc, Weak};
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::socket::Ucred;

use super::address::Name;
use super::{UnixSocket, WRITABLE};
use crate::fs::Sink;
use crate::ipc::socket::{Buffer, Files};

/// What a message counts beside its bytes, for bookkeeping of its own (of the order of a `struct sk_buff`).
pub(super) const OVERHEAD_BYTES: usize = 256;

/// A message, or a stretch of a stream. Drop it with no lock held: its sender gets its room back.
pub(super) struct Message {
    pub(super) buffer: Buffer,
    pub(super) files: Files,
    pub(super) credentials: Ucred,
    /// The sender's address, on datagram sockets.
    pub(super) address: Option<Arc<Name>>,
    /// Whose send buffer it counts against.
    pub(super) sender: Weak<UnixSocket>,
    /// How much it counts.
    pub(super) charge: usize,
}

impl Message {
    /// Its bytes that are left.
    pub(super) fn len(&self) -> usize {
        self.buffer.data().len()
    }

    /// Puts as much as fits into the sink.
    pub(super) fn put(&self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        self.buffer.put(sink)
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let Some(sender) = self.sender.upgrade() else { return };
        sender.outstanding.fetch_sub(self.charge, Ordering::Relaxed);
        if sender.is_writable() {
            sender.ready.wake(WRITABLE);
        }
    }
}
