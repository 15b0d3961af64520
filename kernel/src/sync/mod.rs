//! Locks and sleeping.
//!
//! - [`SpinLock`]: short critical sections. The kernel runs with interrupts disabled, so there is one kind.
//!   Its guard is `!Send`, so the compiler refuses a future that holds one across an await.
//! - [`PerCpu`]: a value for each CPU, without a lock.
//! - [`Rank`]: the declared lock order, checked in debug builds.
//! - [`Setting`]: a number that root can change.
//! - Sleeping is only ever done on a `runtime::WaitQueue`, re-exported here.
//!
//! What may be held across an await: reference counts (`Arc`), pinned frames, `runtime::Mutex` guards.
//! Never a spin guard, never a pointer into user memory.

pub mod executor;
mod percpu;
mod rank;
mod setting;
mod spinlock;

pub use percpu::PerCpu;
pub use rank::Rank;
pub use runtime::WaitQueue;
pub use setting::Setting;
pub use spinlock::{Relax, SpinGuard, SpinLock};
