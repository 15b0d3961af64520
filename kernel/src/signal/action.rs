//! [`Action`]: what a process does on a signal; [`Actions`]: its table, shared by CLONE_SIGHAND.

pub use abi::signal::{SIG_DFL, SIG_IGN, SaFlags};

use super::{DefaultAction, SigSet, Signal};
use crate::sync::{Rank, SpinLock};

/// What to do on a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action {
    /// `SIG_DFL`, `SIG_IGN` or the handler's address.
    pub handler: u64,
    /// How to run the handler.
    pub flags: SaFlags,
    /// The address the handler returns to.
    pub restorer: u64,
    /// Blocked while the handler runs.
    pub mask: SigSet,
}

impl Action {
    /// What every signal starts with.
    pub const DEFAULT: Action = Action { handler: SIG_DFL, flags: SaFlags::empty(), restorer: 0, mask: SigSet::EMPTY };

    /// A flag of the kernel's own: it kills by this signal, and neither the program nor its tracer can do anything about it
    /// any more (`SA_IMMUTABLE`).
    pub const FINAL: SaFlags = SaFlags::from_bits_retain(0x80_0000);

    /// Whether a flag is set.
    pub fn has(&self, flag: SaFlags) -> bool {
        self.flags.contains(flag)
    }

    /// Whether there is a handler to run.
    pub const fn is_handled(&self) -> bool {
        self.handler > SIG_IGN
    }

    /// Whether the program asked for the signal to be ignored.
    pub const fn ignores_explicitly(&self) -> bool {
        self.handler == SIG_IGN
    }

    /// Whether `signal` has no effect under this action (`sig_handler_ignored()`).
    pub fn ignores(&self, signal: Signal) -> bool {
        match self.handler {
            SIG_IGN => true,
            SIG_DFL => matches!(signal.default_action(), DefaultAction::Ignore | DefaultAction::Continue),
            _ => false,
        }
    }
}

/// A table of actions, one for each signal. Its lock is taken inside the process's signal lock or alone.
pub struct Actions(SpinLock<[Action; 64]>);

impl Actions {
    /// Every signal at its default.
    pub fn new() -> Actions {
        Actions(SpinLock::new(Rank::SignalActions, [Action::DEFAULT; 64]))
    }

    /// A copy of its own, for fork and for exec out of a shared table.
    pub fn duplicate(&self) -> Actions {
        Actions(SpinLock::new(Rank::SignalActions, *self.0.lock()))
    }

    /// The action for `signal`.
    pub fn get(&self, signal: Signal) -> Action {
        self.0.lock()[signal.index()]
    }

    /// Sets the action for `signal` and returns the old one.
    pub fn set(&self, signal: Signal, action: Action) -> Action {
        core::mem::replace(&mut self.0.lock()[signal.index()], action)
    }

    /// The action to deliver `signal` with; a one-shot handler is reset in the same step.
    pub fn take_for_delivery(&self, signal: Signal) -> Action {
        let mut table = self.0.lock();
        let action = table[signal.index()];
        if action.is_handled() && action.has(SaFlags::SA_RESETHAND) {
            table[signal.index()].handler = SIG_DFL;
        }
        action
    }

    /// What exec leaves (`flush_signal_handlers()`): handlers become the default, ignored stays ignored;
    /// with `all`, ignored becomes the default, too.
    pub fn reset(&self, all: bool) {
        for action in self.0.lock().iter_mut() {
            let handler = if action.handler == SIG_IGN && !all { SIG_IGN } else { SIG_DFL };
            *action = Action { handler, ..Action::DEFAULT };
        }
    }

    /// The sets of ignored and of handled signals (`SigIgn`, `SigCgt` in /proc/pid/status).
    pub fn ignored_and_handled(&self) -> (SigSet, SigSet) {
        let (mut ignored, mut handled) = (SigSet::EMPTY, SigSet::EMPTY);
        for (signal, action) in (1..=64).filter_map(Signal::new).zip(self.0.lock().iter()) {
            match action.handler {
                SIG_DFL => {}
                SIG_IGN => ignored.insert(signal),
                _ => handled.insert(signal),
            }
        }
        (ignored, handled)
    }
}

impl Default for Actions {
    fn default() -> Actions {
        Actions::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_shot_handler_is_reset_when_it_is_delivered() {
        let actions = Actions::new();
        let action = Action { handler: 0x1000, flags: SaFlags::SA_RESETHAND | SaFlags::SA_SIGINFO, ..Action::DEFAULT };
        actions.set(Signal::USR1, action);
        assert_eq!(actions.take_for_delivery(Signal::USR1), action);
        assert_eq!(actions.get(Signal::USR1), Action { handler: SIG_DFL, ..action });
    }

    #[test]
    fn exec_resets_handlers_and_keeps_ignored_signals() {
        let actions = Actions::new();
        actions.set(Signal::USR1, Action { handler: 0x1000, ..Action::DEFAULT });
        actions.set(Signal::USR2, Action { handler: SIG_IGN, ..Action::DEFAULT });
        actions.reset(false);
        assert_eq!(actions.ignored_and_handled(), (SigSet::of(&[Signal::USR2]), SigSet::EMPTY));
    }

    #[test]
    fn the_default_of_sigchld_is_to_be_ignored_and_of_sigterm_is_not() {
        let default = Action::DEFAULT;
        assert!(default.ignores(Signal::CHLD) && default.ignores(Signal::CONT) && !default.ignores(Signal::TERM));
    }
}
