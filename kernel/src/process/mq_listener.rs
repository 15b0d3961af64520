//! A process that is told of messages in an empty queue (mq_notify(2)).

use alloc::sync::{Arc, Weak};

use abi::signal::{SI_MESGQ, SIGEV_NONE, SIGEV_SIGNAL};

use super::Process;
use crate::ipc::mqueue::{Listener, Sender};
use crate::signal::{Info, Signal, current_tid};

/// A process, and how it is told.
pub struct MqListener {
    process: Weak<Process>,
    /// The signal and its value; without one, the process only keeps others from being told.
    signal: Option<(Signal, u64)>,
}

impl MqListener {
    /// A listener that gets this signal with this value.
    pub fn new(process: &Arc<Process>, signal: Option<(Signal, u64)>) -> Arc<Self> {
        Arc::new(Self { process: Arc::downgrade(process), signal })
    }

    fn living(&self) -> Option<Arc<Process>> {
        self.process.upgrade().filter(|process| process.end_status().is_none())
    }
}

impl Listener for MqListener {
    fn tell(&self, sender: Sender) {
        let (Some(process), Some((signal, value))) = (self.living(), self.signal) else { return };
        // A queue of signals that is full loses it, as on Linux.
        let _ = process.signals.send(signal, Info::queued(signal, SI_MESGQ, sender.pid, sender.uid, value));
    }

    fn process(&self) -> Option<i32> {
        self.living().map(|process| process.pid)
    }

    fn is_caller(&self) -> bool {
        let process = self.process.upgrade();
        process.is_some_and(|process| {
            process.table.thread(current_tid()).is_some_and(|thread| Arc::ptr_eq(&thread.process, &process))
        })
    }

    fn shown(&self) -> (u32, u32) {
        match self.signal {
            Some((signal, _)) => (SIGEV_SIGNAL, signal.number().into()),
            None => (SIGEV_NONE, 0),
        }
    }
}
