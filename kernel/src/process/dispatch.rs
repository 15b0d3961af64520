//! Handing system calls back to the program that makes them (`PR_SET_SYSCALL_USER_DISPATCH`): which of a thread's calls
//! become SIGSYS. What the thread does about them is in `thread/dispatch.rs`.

use alloc::sync::Arc;
use core::ops::Range;

use super::Thread;
use super::ptrace::{unwatch_calls, watch_calls};

/// Which system calls a thread wants back. As long as there is one, system calls are looked at.
pub struct Dispatch {
    /// Calls from here are made.
    pub passes: Range<u64>,
    /// The address of the byte that says whether the others are made; 0: they are not.
    pub selector: u64,
}

impl Dispatch {
    /// All calls but those from `passes`, as the byte at `selector` has it.
    pub fn new(passes: Range<u64>, selector: u64) -> Arc<Self> {
        watch_calls();
        Arc::new(Self { passes, selector })
    }
}

impl Drop for Dispatch {
    fn drop(&mut self) {
        unwatch_calls();
    }
}

impl Thread {
    /// Which of its system calls it wants back.
    pub fn dispatch(&self) -> Option<Arc<Dispatch>> {
        if self.has_call_watcher(Self::DISPATCH) { self.rare(|rare| rare.dispatch.clone()).flatten() } else { None }
    }

    /// Sets which it wants back. No other thread ever has it from this one, nor the next program.
    pub fn set_dispatch(&self, dispatch: Option<Arc<Dispatch>>) {
        let has_some = dispatch.is_some();
        if has_some || self.has_call_watcher(Self::DISPATCH) {
            let old = self.change_rare(|rare| core::mem::replace(&mut rare.dispatch, dispatch));
            self.set_call_watcher(Self::DISPATCH, has_some);
            drop(old);
        }
    }
}
