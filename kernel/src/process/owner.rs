//! The owners of open files, as files see them: whom SIGIO goes to (`fs/fcntl.c`: `send_sigio`).

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::{PidTable, Process};
use crate::fs::SignalOwner;
use crate::fs::sigio::{self, Owners};
use crate::signal::{Info, Signal, code};

/// The processes of one table.
struct Processes(Arc<PidTable>);

/// Makes the processes of `table` known to files. Called once, at boot.
pub fn install(table: &Arc<PidTable>) {
    sigio::install(Box::leak(Box::new(Processes(table.clone()))));
}

impl PidTable {
    /// Whether there is such a process (positive), process group (negative) or thread. Nobody (0) is there, too.
    pub fn has_owner(&self, target: i32, is_thread: bool) -> bool {
        match target {
            0 => true,
            _ if is_thread => self.thread(target).is_some(),
            1.. => self.process_of(target).is_some(),
            i32::MIN => false,
            _ => self.group(-target).is_some(),
        }
    }
}

/// `sigio_perm`: the identities of who made itself the owner count.
fn may_signal(owner: &SignalOwner, target: &Process) -> bool {
    let theirs = target.real_and_saved_user();
    owner.euid == 0 || theirs.contains(&owner.euid) || theirs.contains(&owner.uid)
}

/// What the owner is told: with a signal of its own choice, everything; with SIGIO, nothing.
fn info(owner: &SignalOwner, reason: i32, band: i64, fd: i32) -> Info {
    let Some(signal) = Signal::from_i32(i32::from(owner.signal)) else { return Info::from_kernel(Signal::IO) };
    let own_codes = [Signal::ILL, Signal::TRAP, Signal::BUS, Signal::FPE, Signal::SEGV, Signal::CHLD, Signal::SYS];
    let code = if own_codes.contains(&signal) { code::SI_SIGIO } else { reason };
    Info::poll(signal, code, band, fd)
}

impl Owners for Processes {
    fn tell(&self, owner: &SignalOwner, reason: i32, band: i64, fd: i32) {
        let info = info(owner, reason, band, fd);
        // One too many of a queued signal becomes SIGIO, which always finds room.
        let attempts = [info, Info::from_kernel(Signal::IO)];
        let send = |target: &Process, post: &dyn Fn(Signal, Info) -> bool| {
            let mut signals = attempts.iter().filter_map(|info| info.signal().map(|signal| (signal, *info)));
            may_signal(owner, target) && signals.any(|(signal, info)| post(signal, info))
        };
        let to_process = |target: &Arc<Process>| {
            send(target, &|signal, info| target.signals.send(signal, info).is_ok());
        };
        match owner.target {
            target if owner.thread => {
                if let Some(thread) = self.0.thread(target) {
                    let process = &thread.process;
                    send(process, &|signal, info| process.signals.send_to(&thread.signals, signal, info).is_ok());
                }
            }
            target if target > 0 => {
                if let Some(process) = self.0.process_of(target) {
                    to_process(&process);
                }
            }
            target => {
                if let Some(group) = self.0.group(target.wrapping_neg()) {
                    group.for_each(to_process);
                }
            }
        }
    }
}
