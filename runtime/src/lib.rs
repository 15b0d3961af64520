//! The executor RustOS's threads run on. Knows nothing of Linux or of x86; runs on the host as well.
//!
//! - [`Executor`] runs tasks (futures) on N CPUs; [`Platform`] is what it needs of the machine.
//! - [`WaitQueue`] is what tasks sleep on; [`KeyedWaitTable`] the same by key and with exact counts, for futexes.
//! - [`Sleep`] and [`Timeout`] are deadlines.
//! - [`Mutex`], [`oneshot`], [`yield_now`], [`race`], [`Slot`]: small things built on these.
//! - [`sim`] runs the same executor under a seeded, deterministic schedule with virtual time.
//!
//! How a wake travels, what bounds starvation and how a CPU idles: `docs/executor.md`.
//!
//! Unsafe code is denied and opened, with its reason, only where it is listed below.
#![no_std]

extern crate alloc;

// For the simulator and for `loom`.
#[cfg(not(target_os = "none"))]
extern crate std;

mod lock;

#[expect(unsafe_code, reason = "intrusive pairing heap of pinned timers")]
mod heap;
#[expect(unsafe_code, reason = "intrusive list of pinned waiters")]
mod list;
#[expect(unsafe_code, reason = "the value behind the lock")]
mod mutex;
#[expect(unsafe_code, reason = "list of tasks linked through their metadata")]
mod run_queue;
#[expect(unsafe_code, reason = "a future whose type is forgotten, in place")]
mod slot;
#[expect(unsafe_code, reason = "a future that borrows the metadata stored with it")]
mod spawn;

#[expect(unsafe_code, reason = "entries that move between lists")]
mod table;

mod batch;
mod executor;
mod keyed;
pub mod oneshot;
mod place;
mod platform;
mod queue;
mod race;
#[cfg(all(not(target_os = "none"), not(loom)))]
pub mod sim;
mod task;
mod timer;
mod wait_queue;
mod yield_now;

pub use executor::{CpuStats, Executor, Here};
pub use keyed::{KeyedWait, KeyedWaitTable, Requeued, Waiting};
pub use lock::set_relax;
pub use mutex::{LockMutex, Mutex, MutexGuard};
pub use platform::Platform;
pub use race::{Either, Race, race};
pub use slot::Slot;
pub use spawn::JoinHandle;
pub use task::{BASE_SLICE_NS, CpuSet, TaskContext, TaskParams, slice_ns};
pub use timer::{Elapsed, Sleep, Timeout};
pub use wait_queue::{WaitQueue, WaitUntil};
pub use yield_now::{YieldNow, yield_now};
