//! The kernel's own first process: pid 1 when no program is given that part. Its one thread has no memory and never
//! runs; it is there for those who ask about pid 1 or signal it. A task adopts and reaps orphans on its behalf.

use alloc::sync::Arc;

use abi::Errno;
use abi::wait::WaitOptions;
use runtime::TaskParams;

use crate::fs::Cred;
use crate::process::jobs::Group;
use crate::process::user::Charge;
use crate::process::wait::{WaitRequest, WaitTarget};
use crate::process::{Holdings, PidTable, Process, Thread};
use crate::signal::{Actions, AltStack, Budget, ProcessSignals, SigSet, ThreadSignals};
use crate::sync::executor;

/// Makes the process and starts its task. Errors: EAGAIN if the table is full.
pub fn start(table: &Arc<PidTable>) -> Result<Arc<Process>, Errno> {
    let reservation = table.allocate()?;
    let pid = reservation.pid();
    let signals = ProcessSignals::new(Arc::new(Actions::new()), Budget::of_user(0), 0);
    signals.set_unkillable();
    let process = Process::new(pid, table.clone(), Group::first(pid), signals);
    process.found_first_session();
    let thread = idle_thread(&process);
    reservation.enter_process(&process, Some(&thread));
    table.set_init(process.clone());
    executor::spawn(Arc::new(TaskParams::default()), reap(process.clone()));
    Ok(process)
}

/// A thread that never runs, which nobody traces and which traces nobody.
fn idle_thread(process: &Arc<Process>) -> Arc<Thread> {
    let signals = ThreadSignals::new(process.pid, SigSet::EMPTY, AltStack::default());
    let holdings = Holdings { space: None, files: None, fs: None, cred: Arc::new(Cred::root()) };
    let thread = Thread::new(process.clone(), signals, TaskParams::default(), holdings, Charge::of_user(0));
    thread.set_comm(b"init");
    let thread = Arc::new(thread);
    thread.release_tracees();
    // A process that nobody knows yet has not begun to end.
    let _ = process.signals.add_thread(thread.signals.clone(), None);
    process.threads().live.insert(process.pid, thread.clone());
    thread
}

/// Waits for children of any kind, for ever.
async fn reap(process: Arc<Process>) {
    let request =
        WaitRequest { target: WaitTarget::Any, options: WaitOptions::WEXITED | WaitOptions::__WALL, by: process.pid };
    loop {
        process.child_events.wait_until(|| process.look_for_child(&request).ok().flatten()).await;
    }
}
