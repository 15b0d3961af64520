//! [`Platform`]: what the executor needs of the machine.

use crate::TaskContext;

/// The machine under an [`Executor`](crate::Executor).
///
/// All of it runs with interrupts off; interrupts arrive only in user mode and inside [`Platform::idle`], and are
/// handled there as values, so that a wake never interrupts the executor itself.
pub trait Platform: Send + Sync + Sized + 'static {
    /// What each task carries: its parameters and its hooks.
    type Context: TaskContext;

    /// The index of the CPU this runs on, below the executor's number of CPUs.
    fn cpu(&self) -> usize;

    /// A monotonic clock, one for all CPUs.
    fn now_ns(&self) -> u64;

    /// Makes CPU `cpu` leave [`Platform::idle`] or trap from user mode soon. If it does neither just now, the next
    /// entry into either returns at once (a pending interrupt).
    fn kick(&self, cpu: usize);

    /// Waits for an interrupt and handles it (`sti; hlt; cli`). One that has been pending since interrupts went off
    /// ends it at once. May return early for no reason.
    fn idle(&self);

    /// Sets this CPU's one-shot timer, which interrupts at `deadline_ns` or soon after (at once if it is past), in
    /// place of what it was set to. The handler calls [`Executor::on_alarm`](crate::Executor::on_alarm).
    fn set_alarm(&self, deadline_ns: Option<u64>);
}
