//! The one executor of the kernel, and the machine as it sees it.
//!
//! Everything that sleeps or runs as a task goes through here: [`spawn`], [`yield_now`], [`sleep_until`],
//! [`timeout_at`]. A task carries a context, whose hooks run around each of its polls.

#[cfg(not(target_os = "none"))]
mod host;
#[cfg(not(target_os = "none"))]
pub use host::*;

#[cfg(target_os = "none")]
mod machine;
#[cfg(target_os = "none")]
pub use machine::*;

use core::future::Future;

use runtime::Platform;

pub use runtime::yield_now;

static DEVICES: spin::Once<fn()> = spin::Once::new();

/// Says what serves the interrupts of devices. Called once, at boot.
pub fn set_device_service(service: fn()) {
    DEVICES.call_once(|| service);
}

/// Sleeps until the monotonic clock shows `deadline_ns`.
pub fn sleep_until(deadline_ns: u64) -> runtime::Sleep<'static, Machine> {
    executor().sleep_until(deadline_ns)
}

/// Gives a future until the monotonic time `deadline_ns`.
pub fn timeout_at<F: Future>(deadline_ns: u64, future: F) -> runtime::Timeout<'static, Machine, F> {
    executor().timeout_at(deadline_ns, future)
}

/// This CPU, for a caller that asks often whether it is to let others run, and awaits nothing meanwhile.
#[inline]
pub fn here() -> runtime::Here<'static, Machine> {
    let executor = executor();
    executor.here(executor.platform().cpu())
}

/// Whether the running task is to let others run before it enters user mode again.
#[inline]
pub fn need_resched() -> bool {
    let executor = executor();
    executor.need_resched(executor.platform().cpu())
}

/// Serves what has interrupted this CPU in user mode or while idle.
pub fn serve_interrupts() {
    let executor = executor();
    executor.on_alarm(executor.platform().cpu());
    if let Some(serve) = DEVICES.get() {
        serve();
    }
}
