//! [`SignalFd`]: a descriptor that reads signals (signalfd(2)).
//!
//! Like Linux's, it reads and polls the signals of whoever uses it, not of who made it: of the thread that runs on
//! this CPU, and of that thread's process. It asks a process to tell it of new signals when it is first used there.
//!
//! Lock: the mask is an atomic word; the queue's own locks are below the signal locks.

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::poll::{PollEvents, SignalfdSiginfo};
use abi::zerocopy::IntoBytes;

use super::{PidTable, Process, Thread};
use crate::fs::{File, FileOps, FileTraits, ReadyQueue, Sink};
use crate::signal::{Info, SigSet, Signal, SignalWatcher, code, current_tid};

/// Bytes of one signal in read(2).
const RECORD_BYTES: usize = size_of::<SignalfdSiginfo>();

/// The object behind a signalfd.
pub struct SignalFd {
    me: Weak<SignalFd>,
    table: Arc<PidTable>,
    /// The signals it reads.
    wanted: AtomicU64,
    ready: ReadyQueue,
}

impl SignalFd {
    /// A signalfd for these signals, made by a thread of `process`.
    pub fn new(process: &Process, wanted: SigSet) -> Arc<SignalFd> {
        Arc::new_cyclic(|me| SignalFd {
            me: me.clone(),
            table: process.table.clone(),
            wanted: AtomicU64::new(wanted.without(SigSet::UNBLOCKABLE).bits()),
            ready: ReadyQueue::new(),
        })
    }

    /// Changes the signals it reads.
    pub fn set_wanted(&self, wanted: SigSet) {
        self.wanted.store(wanted.without(SigSet::UNBLOCKABLE).bits(), Ordering::Relaxed);
        self.ready.wake(PollEvents::POLLIN);
    }

    fn wanted(&self) -> SigSet {
        SigSet::from_bits(self.wanted.load(Ordering::Relaxed))
    }

    /// The thread that uses it now, whose process tells it of signals from now on.
    fn user(&self) -> Option<Arc<Thread>> {
        let thread = self.table.thread(current_tid())?;
        let watcher: Weak<SignalFd> = self.me.clone();
        thread.process.signals.watch(watcher);
        Some(thread)
    }

    /// Takes a signal of the caller's.
    fn take(&self) -> Option<Info> {
        let thread = self.user()?;
        thread.process.signals.take(&thread.signals, self.wanted())
    }
}

impl SignalWatcher for SignalFd {
    fn signal_sent(&self, signal: Signal) {
        if self.wanted().contains(signal) {
            self.ready.wake(PollEvents::POLLIN);
        }
    }
}

impl FileOps for SignalFd {
    fn traits(&self) -> FileTraits {
        FileTraits::STREAM | FileTraits::SEEK_IS_IDLE
    }

    /// As many signals as are there and as fit (`signalfd_read`). `EINVAL` for less room than one takes.
    fn try_read(&self, _file: &File, sink: &mut dyn Sink, _offset: u64) -> Result<usize, Errno> {
        if sink.remaining() < RECORD_BYTES {
            return Err(Errno::EINVAL);
        }
        let mut done = 0;
        while sink.remaining() >= RECORD_BYTES {
            let Some(info) = self.take() else { break };
            match sink.put(record(&info).as_bytes()) {
                Ok(RECORD_BYTES) => done += RECORD_BYTES,
                _ if done > 0 => break,
                _ => return Err(Errno::EFAULT),
            }
        }
        if done == 0 { Err(Errno::EAGAIN) } else { Ok(done) }
    }

    fn readiness(&self, _file: &File) -> PollEvents {
        let Some(thread) = self.user() else { return PollEvents::empty() };
        let pending = thread.process.signals.pending_for(&thread.signals) & self.wanted();
        if pending.is_empty() { PollEvents::empty() } else { PollEvents::POLLIN }
    }

    fn wait_queue(&self) -> Option<&ReadyQueue> {
        Some(&self.ready)
    }

    /// The mask, as Linux has it: the signals it reads.
    fn fdinfo(&self, _file: &File, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        writeln!(out, "sigmask:\t{:016x}", self.wanted().bits())
    }
}

/// A signal as a reader sees it: which members are filled depends on where it comes from (`signalfd_copyinfo()`).
fn record(info: &Info) -> SignalfdSiginfo {
    let [first, second, third, fourth] = *info.fields();
    let (low, high) = (first as u32, (first >> 32) as u32);
    let base = SignalfdSiginfo {
        ssi_signo: info.signo.cast_unsigned(),
        ssi_errno: info.errno,
        ssi_code: info.code,
        ..SignalfdSiginfo::default()
    };
    let sent = SignalfdSiginfo { ssi_pid: low, ssi_uid: high, ..base };
    let is_own_code = (1..code::SI_KERNEL).contains(&info.code);
    match info.signal() {
        Some(Signal::CHLD) if is_own_code => {
            SignalfdSiginfo { ssi_status: second as i32, ssi_utime: third, ssi_stime: fourth, ..sent }
        }
        Some(Signal::SEGV | Signal::BUS | Signal::ILL | Signal::FPE | Signal::TRAP) if is_own_code => {
            SignalfdSiginfo { ssi_addr: first, ..base }
        }
        Some(Signal::SYS) if is_own_code => SignalfdSiginfo {
            ssi_call_addr: first,
            ssi_syscall: second as i32,
            ssi_arch: (second >> 32) as u32,
            ..base
        },
        Some(Signal::IO) if is_own_code => SignalfdSiginfo { ssi_band: low, ssi_fd: second as i32, ..base },
        _ if info.code == code::SI_TIMER => {
            SignalfdSiginfo { ssi_tid: low, ssi_overrun: high, ssi_ptr: second, ssi_int: second as i32, ..base }
        }
        _ if info.code < 0 => SignalfdSiginfo { ssi_ptr: second, ssi_int: second as i32, ..sent },
        _ => sent,
    }
}
