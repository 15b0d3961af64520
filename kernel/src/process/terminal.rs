//! What terminals ask of the processes.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::signal::signal_group;
use super::{Pid, PidTable};
use crate::dev::tty::{self, JobControl};
use crate::signal::{Info, Signal};

/// The processes of one table, as terminals see them. Terminals count sessions and groups without a sign.
struct Processes(Arc<PidTable>);

/// Makes the processes of `table` known to terminals. Called once, at boot.
pub fn install(table: &Arc<PidTable>) {
    tty::install(Box::leak(Box::new(Processes(table.clone()))));
}

/// A number as the table has it. Numbers beyond its range name nothing.
fn pid(number: u32) -> Pid {
    Pid::try_from(number).unwrap_or(0)
}

impl JobControl for Processes {
    fn signal_group(&self, group: u32, signal: Signal) {
        if let Some(group) = self.0.group(pid(group)) {
            signal_group(&group, signal);
        }
    }

    fn signal_leader(&self, session: u32, signal: Signal) {
        if let Some(leader) = self.0.process(pid(session)) {
            // Signals from the kernel always find room.
            let _ = leader.signals.send(signal, Info::from_kernel(signal));
        }
    }

    fn is_orphaned(&self, group: u32) -> bool {
        self.0.group(pid(group)).is_none_or(|group| group.is_orphaned_without(None))
    }

    fn session_of(&self, group: u32) -> Option<u32> {
        self.0.group(pid(group)).map(|group| group.session.id.unsigned_abs())
    }
}
