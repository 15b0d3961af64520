//! [`Settings`]: what setsockopt(2) sets on any socket.

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

/// The buffer size a socket starts with (/proc/sys/net/core/wmem_default).
const DEFAULT_BYTES: usize = 212_992;
/// The largest size an unprivileged user may ask for (/proc/sys/net/core/wmem_max). Linux doubles what is asked.
pub const MAX_BYTES: usize = 212_992;
/// The smallest send buffer (`SOCK_MIN_SNDBUF`).
pub const MIN_SEND_BYTES: usize = 4608;
/// The smallest receive buffer (`SOCK_MIN_RCVBUF`).
pub const MIN_RECEIVE_BYTES: usize = 2304;

/// Buffer sizes, timeouts and switches.
#[derive(Debug)]
pub struct Settings {
    send_bytes: AtomicUsize,
    receive_bytes: AtomicUsize,
    /// How long a call waits to receive; 0 is for ever.
    receive_timeout_ns: AtomicU64,
    send_timeout_ns: AtomicU64,
    /// Receivers are told who sent (`SO_PASSCRED`).
    pub pass_credentials: AtomicBool,
    /// Others that say the same may be bound to the same address (`SO_REUSEADDR`).
    pub reuse_address: AtomicBool,
    /// As that, also for listeners (`SO_REUSEPORT`).
    pub reuse_port: AtomicBool,
    /// `SO_LINGER`: for how many seconds closing waits; negative if it is not set.
    pub linger_seconds: AtomicI32,
    /// Set and given back; no effect.
    pub keep_alive: AtomicBool,
    /// Set and given back; no effect.
    pub broadcast: AtomicBool,
    /// `SO_RCVLOWAT`: given back.
    pub receive_low_water: AtomicUsize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            send_bytes: AtomicUsize::new(DEFAULT_BYTES),
            receive_bytes: AtomicUsize::new(DEFAULT_BYTES),
            receive_timeout_ns: AtomicU64::new(0),
            send_timeout_ns: AtomicU64::new(0),
            pass_credentials: AtomicBool::new(false),
            reuse_address: AtomicBool::new(false),
            reuse_port: AtomicBool::new(false),
            linger_seconds: AtomicI32::new(-1),
            keep_alive: AtomicBool::new(false),
            broadcast: AtomicBool::new(false),
            receive_low_water: AtomicUsize::new(1),
        }
    }
}

impl Settings {
    /// Settings with other buffer sizes to start with.
    pub fn with_sizes(send_bytes: usize, receive_bytes: usize) -> Self {
        let settings = Self::default();
        settings.send_bytes.store(send_bytes, Ordering::Relaxed);
        settings.receive_bytes.store(receive_bytes, Ordering::Relaxed);
        settings
    }

    /// A copy: what an accepted connection has from its listener.
    pub fn inherit(&self) -> Self {
        let copy = Self::with_sizes(self.send_bytes(), self.receive_bytes());
        for (to, from) in [
            (&copy.pass_credentials, &self.pass_credentials),
            (&copy.reuse_address, &self.reuse_address),
            (&copy.reuse_port, &self.reuse_port),
            (&copy.keep_alive, &self.keep_alive),
        ] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        copy.linger_seconds.store(self.linger_seconds.load(Ordering::Relaxed), Ordering::Relaxed);
        copy.set_receive_timeout_ns(self.receive_timeout_ns.load(Ordering::Relaxed));
        copy.set_send_timeout_ns(self.send_timeout_ns.load(Ordering::Relaxed));
        copy
    }

    /// The send buffer's size.
    #[inline]
    pub fn send_bytes(&self) -> usize {
        self.send_bytes.load(Ordering::Relaxed)
    }

    /// The receive buffer's size.
    pub fn receive_bytes(&self) -> usize {
        self.receive_bytes.load(Ordering::Relaxed)
    }

    /// Sets the send buffer: twice what was asked, within bounds (`SO_SNDBUF`; `force`: `SO_SNDBUFFORCE`).
    pub fn set_send_bytes(&self, bytes: usize, force: bool) {
        let bytes = if force { bytes } else { bytes.min(MAX_BYTES) };
        self.send_bytes.store(bytes.saturating_mul(2).max(MIN_SEND_BYTES), Ordering::Relaxed);
    }

    /// Sets the receive buffer likewise.
    pub fn set_receive_bytes(&self, bytes: usize, force: bool) {
        let bytes = if force { bytes } else { bytes.min(MAX_BYTES) };
        self.receive_bytes.store(bytes.saturating_mul(2).max(MIN_RECEIVE_BYTES), Ordering::Relaxed);
    }

    /// How long a call waits to receive; `None` for ever.
    pub fn receive_timeout_ns(&self) -> Option<u64> {
        Some(self.receive_timeout_ns.load(Ordering::Relaxed)).filter(|ns| *ns != 0)
    }

    /// How long a call waits to send; `None` for ever.
    pub fn send_timeout_ns(&self) -> Option<u64> {
        Some(self.send_timeout_ns.load(Ordering::Relaxed)).filter(|ns| *ns != 0)
    }

    /// Sets the time to wait to receive; 0 is for ever.
    pub fn set_receive_timeout_ns(&self, ns: u64) {
        self.receive_timeout_ns.store(ns, Ordering::Relaxed);
    }

    /// Sets the time to wait to send; 0 is for ever.
    pub fn set_send_timeout_ns(&self, ns: u64) {
        self.send_timeout_ns.store(ns, Ordering::Relaxed);
    }

    /// Whether receivers are told who sent.
    #[inline]
    pub fn passes_credentials(&self) -> bool {
        self.pass_credentials.load(Ordering::Relaxed)
    }
}
