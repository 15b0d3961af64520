//! The machine: everything that knows x86_64, and stand-ins that let the rest compile and be tested on the host.
//!
//! The kernel runs with interrupts disabled except in user mode and while idle, so interrupts arrive as values:
//! [`enter`] returns them as a [`Trap`], and [`idle`] returns after one.

mod context;
mod hwcap;
pub mod paging;
pub mod sigframe;
mod uaccess;

#[cfg(not(target_os = "none"))]
mod host_memory;
#[cfg(not(target_os = "none"))]
pub use host_memory::*;

#[cfg(not(target_os = "none"))]
mod host;
#[cfg(not(target_os = "none"))]
pub use host::*;

#[cfg(target_os = "none")]
mod x86;
#[cfg(target_os = "none")]
pub use x86::*;

pub use context::{PageFaultError, Trap, UserContext, UserMode};
pub use hwcap::{hwcap, hwcap2};
