//! The kernel's own first process: pid 1 when no program is given that part. It has no thread; a task adopts and
//! reaps orphans on its behalf.

use alloc::sync::Arc;

use abi::Errno;
use abi::wait::WaitOptions;
use runtime::TaskParams;

use crate::process::jobs::Group;
use crate::process::wait::{WaitRequest, WaitTarget};
use crate::process::{PidTable, Process};
use crate::signal::{Actions, Budget, ProcessSignals};
use crate::sync::executor;

/// Makes the process and starts its task. Errors: EAGAIN if the table is full.
pub fn start(table: &Arc<PidTable>) -> Result<Arc<Process>, Errno> {
    let reservation = table.allocate()?;
    let pid = reservation.pid();
    let signals = ProcessSignals::new(Arc::new(Actions::new()), Budget::of_user(0), 0);
    signals.set_unkillable();
    let process = Process::new(pid, table.clone(), Group::first(pid), signals);
    process.found_first_session();
    reservation.enter_process(&process, None);
    table.set_init(process.clone());
    executor::spawn(Arc::new(TaskParams::default()), reap(process.clone()));
    Ok(process)
}

/// Waits for children of any kind, for ever.
async fn reap(process: Arc<Process>) {
    let request =
        WaitRequest { target: WaitTarget::Any, options: WaitOptions::WEXITED | WaitOptions::__WALL, by: process.pid };
    loop {
        process.child_events.wait_until(|| process.look_for_child(&request).ok().flatten()).await;
    }
}
