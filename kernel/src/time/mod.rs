//! Clocks and deadlines.
//!
//! - [`clock`]: what the clocks of clock_gettime(2) show, all derived from the machine's one monotonic clock.
//! - [`Alarm`]: a deadline that calls a function, for timers that nobody awaits.
//! - [`vdso`]: the code and data that let user mode read the clocks by itself.
//!
//! A task that waits uses `sync::executor`'s sleeps and timeouts with [`Clock::to_monotonic_ns`].

mod alarm;
pub mod clock;
pub mod vdso;

pub use alarm::{Alarm, Expire};
pub use clock::{Clock, ClockWatcher, monotonic_ns, realtime_ns};
