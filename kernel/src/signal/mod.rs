//! Signals: pending sets and queues, actions, the choice of a thread, stopping and continuing, delivery.
//!
//! Key types: [`Signal`] and [`SigSet`]; [`Info`] (`siginfo_t`); [`ThreadSignals`] and [`ProcessSignals`], embedded
//! in threads and processes. This room knows no processes: who may signal whom and who is told about whom is in
//! `process/signal.rs`; the way of a thread back to user mode, where signals take effect, is in
//! `thread/signal.rs`; the frame a handler runs on is in `arch`.
//!
//! Locks: a process's state (rank `Signal`), then a thread's queue (`SignalThread`), then the table of actions
//! (`SignalActions`). What a thread has to do before it returns to user mode is one atomic word in
//! [`ThreadSignals`].

mod action;
pub mod info;
mod process;
mod queue;
mod restart;
mod send;
mod set;
mod stop;
mod take;
#[cfg(test)]
mod tests;
mod thread;
mod threads;
mod trace;

pub use action::{Action, Actions, SIG_DFL, SIG_IGN, SaFlags};
pub use info::{ChildChange, Info, code};
pub use process::{ExitStatus, ProcessSignals, SignalWatcher, StopNews};
pub use queue::{Budget, Charge, Pending, Pushed, QueuedTimer};
pub use restart::RestartBlock;
pub use set::{DefaultAction, SigSet, Signal};
pub use take::Next;
pub use thread::{AltStack, ThreadSignals, Work, current_tid};
pub use trace::Trap;
