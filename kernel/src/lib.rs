//! RustOS: Linux behaviour on bare x86_64, where every user thread is a future.
//!
//! Rooms in import order; a room imports only rooms to its left (a test reads the `use crate::` lines):
//! `arch < sync < mem < time < {fs, ipc, dev, signal} < process < thread < procfs < syscall < boot`.
//! The one sanctioned back edge is `thread/run.rs -> syscall::dispatch`.
//!
//! Unsafe code is denied here and opened, with its reason, only where it is listed below.
#![no_std]

extern crate alloc;
#[cfg(not(target_os = "none"))]
extern crate std;

#[expect(unsafe_code, reason = "the machine: registers, tables, user mode")]
pub mod arch;
#[expect(unsafe_code, reason = "the lock guard's hand-made drop order")]
pub mod sync;

pub mod mem;
pub mod time;

// Within it, `dev/virtio/` shares memory with devices.
pub mod dev;
pub mod fs;
pub mod ipc;
pub mod signal;

pub mod process;
pub mod thread;

pub mod procfs;
pub mod syscall;

#[cfg(target_os = "none")]
pub mod boot;
