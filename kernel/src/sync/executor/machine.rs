//! The executor on the machine.

use alloc::sync::Arc;
use core::future::Future;

use runtime::{Executor, Platform, TaskContext, TaskParams};

use crate::arch;

/// What every task carries.
pub struct Context(pub Arc<dyn TaskContext>);

impl TaskContext for Context {
    #[inline]
    fn params(&self) -> &TaskParams {
        self.0.params()
    }

    #[inline]
    fn switch_in(&self, now_ns: u64) {
        self.0.switch_in(now_ns);
    }

    #[inline]
    fn switch_out(&self, now_ns: u64) {
        self.0.switch_out(now_ns);
    }
}

/// The machine under the executor.
pub struct Machine;

impl Platform for Machine {
    type Context = Context;

    #[inline]
    fn cpu(&self) -> usize {
        arch::cpu_index()
    }

    #[inline]
    fn now_ns(&self) -> u64 {
        arch::monotonic_ns()
    }

    fn kick(&self, cpu: usize) {
        arch::kick(1 << cpu);
    }

    fn idle(&self) {
        arch::idle();
        super::serve_interrupts();
    }

    fn set_alarm(&self, deadline_ns: Option<u64>) {
        arch::set_alarm(deadline_ns);
    }
}

static EXECUTOR: spin::Once<Executor<Machine>> = spin::Once::new();

/// Makes the executor for this many CPUs. Called once, at boot, before anything is spawned.
pub fn init(cpus: usize) {
    EXECUTOR.call_once(|| Executor::new(Machine, cpus));
    runtime::set_relax(arch::relax);
}

/// The executor.
#[inline]
pub fn executor() -> &'static Executor<Machine> {
    EXECUTOR.get().expect("the executor is made at boot, before there are tasks")
}

/// Starts a task that nobody waits for.
pub fn spawn(context: Arc<dyn TaskContext>, future: impl Future<Output = ()> + Send + 'static) {
    drop(executor().spawn(Context(context), future));
}

/// Whether no other task is ready on this CPU.
#[inline]
pub fn is_alone() -> bool {
    super::here().is_alone()
}
