//! Threads: birth ([`clone`]), life ([`run`]), death ([`exit`]), and a new life in the same body ([`exec`]).
//!
//! A thread has two halves: [`crate::process::Thread`], which others reach through an `Arc`, and [`Private`], a local of the
//! thread's future that only the thread itself touches.

pub mod clone;
mod coredump;
mod dispatch;
pub mod exec;
pub mod exec_file;
pub mod exit;
pub mod frame;
pub mod futex;
pub mod init;
mod interruptible;
mod private;
mod robust;
pub mod rseq;
pub mod run;
pub mod seccomp;
pub mod signal;
#[cfg(test)]
mod tests;
pub mod trace;
mod vfork;

pub use crate::process::Thread;
pub use interruptible::{Interrupted, Interruptible};
pub use private::Private;
pub use run::{shared_bytes, task_bytes};
pub use vfork::VforkWait;
