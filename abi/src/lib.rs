//! Linux's words on x86_64: system call numbers, errors, flags and `repr(C)` structures.
//!
//! Shared by the kernel, by the programs in `userland/` and by the host tests; no code beyond
//! conversions, no unsafe. One module per family, named as the families of the kernel are.
//! Everything here is held against the `libc` and `linux-raw-sys` crates by `tests/layout.rs`.
#![no_std]
#![forbid(unsafe_code)]

#[macro_use]
mod macros;

pub mod auxv;
pub mod errno;
pub mod fcntl;
pub mod futex;
pub mod ipc;
pub mod mman;
pub mod mount;
pub mod mqueue;
pub mod nr;
pub mod poll;
pub mod prctl;
pub mod ptrace;
pub mod resource;
pub mod sched;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod stat;
pub mod termios;
pub mod time;
pub mod ucontext;
pub mod uio;
pub mod utsname;
pub mod wait;

pub use errno::Errno;
pub use zerocopy;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Plain old data: no padding, no pointers with meaning to Rust, any bit pattern valid.
///
/// Exactly what may be copied to or from user memory as bytes. Implemented by itself for whatever
/// `zerocopy` has proved at compile time: derive its four traits rather than implementing this one.
/// `as_bytes`, `as_mut_bytes`, `read_from_bytes` and `new_zeroed` come with them.
pub trait Pod: Copy + FromBytes + IntoBytes + Immutable + KnownLayout + 'static {}

impl<T: Copy + FromBytes + IntoBytes + Immutable + KnownLayout + 'static> Pod for T {}
