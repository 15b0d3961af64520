//! [`Alarm`]: a deadline that calls its owner.
//!
//! Built on the executor's sleeps: the sleep is polled once with a waker that, instead of waking a task, calls
//! [`Expire::expire`]. That happens where timers expire: on a CPU between two polls or in the service of an
//! interrupt from user mode, with no lock held. The owner looks at its own state to see what is due: a call may be
//! late, or left over from an earlier setting.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Waker};

use runtime::Sleep;

use crate::sync::executor::{self, Machine};
use crate::sync::{Rank, SpinLock};

/// Something with an [`Alarm`].
pub trait Expire: Send + Sync + 'static {
    /// The deadline has passed, or had passed for an earlier setting. No lock is held.
    fn expire(self: Arc<Self>);
}

/// One deadline. Allocates when first set, and never again.
pub struct Alarm(SpinLock<Option<Pin<Box<Sleep<'static, Machine>>>>>);

impl Alarm {
    /// An alarm that is not set.
    pub const fn new() -> Alarm {
        Alarm(SpinLock::new(Rank::Timer, None))
    }

    /// Has `owner` called at the monotonic time `deadline_ns`, in place of an earlier setting. `true`, and nothing
    /// is set, if that has passed already.
    #[must_use = "a deadline in the past calls nobody"]
    pub fn set<T: Expire>(&self, owner: &Arc<T>, deadline_ns: u64) -> bool {
        let waker = Waker::from(Arc::new(Caller(Arc::downgrade(owner))));
        let mut sleep = self.0.lock();
        let sleep = sleep.get_or_insert_with(|| Box::pin(executor::sleep_until(u64::MAX)));
        sleep.as_mut().reset(deadline_ns);
        sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
    }

    /// Clears the setting. A call may be under way.
    pub fn cancel(&self) {
        if let Some(sleep) = self.0.lock().as_mut() {
            sleep.as_mut().reset(u64::MAX);
        }
    }
}

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm::new()
    }
}

/// The waker that calls.
struct Caller<T: Expire>(Weak<T>);

impl<T: Expire> Wake for Caller<T> {
    fn wake(self: Arc<Self>) {
        if let Some(owner) = self.0.upgrade() {
            owner.expire();
        }
    }
}
