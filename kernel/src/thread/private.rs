//! [`Private`]: the half of a thread that only the thread itself touches.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::mem;
use core::ops::Range;

use abi::Errno;

use super::rseq::Rseq;
use super::vfork::Released;
use crate::arch::sigframe::LastFault;
use crate::arch::{LiveState, UserContext};
use crate::fs::{Cred, FdTable, FsContext};
use crate::mem::AddressSpace;
use crate::process::{Holdings, Thread};
use crate::signal::ExitStatus;

/// Lives in the thread's future. No locks: what others may look at as well is kept twice, here and in the
/// thread's [`Holdings`], and changed in both by [`Private::hold`].
pub struct Private {
    /// The registers, while the thread is in the kernel.
    pub context: UserContext,
    /// Vector registers and segment bases. Not moved once the thread has run: the CPU knows its address.
    pub live: LiveState,
    /// Its memory.
    pub space: Arc<AddressSpace>,
    /// Its descriptors.
    pub files: Arc<FdTable>,
    /// Its root, directory and umask.
    pub fs: Arc<FsContext>,
    /// Who it is.
    pub cred: Arc<Cred>,
    /// Set by exit(2): the thread ends before it enters user mode again.
    pub exit: Option<ExitStatus>,
    /// The number of the system call whose result is in the registers, until user mode is entered: a signal may have
    /// it made again (`orig_rax`).
    pub call: Option<u64>,
    /// What signal frames show of its last fault.
    pub last_fault: LastFault,
    /// Where clone(2) wants the tid stored before the thread first runs (`CLONE_CHILD_SETTID`). 0: nowhere.
    pub set_child_tid: u64,
    /// A stack the kernel gave the thread because its creator gave none; unmapped at its end.
    pub own_stack: Option<Box<Range<u64>>>,
    /// Dropped when the thread has left its creator's memory: the creator, which is in vfork(2), goes on.
    pub vfork: Option<Released>,
    /// Its area for restartable sequences, if it has registered one.
    pub rseq: Option<Box<Rseq>>,
}

/// What a thread holds that has ended: an empty address space, and no files.
static NOTHING: spin::Once<(Arc<AddressSpace>, Arc<FdTable>)> = spin::Once::new();

/// Makes what ended threads hold, before the first thread runs: when one ends there may be no memory left. Errors: ENOMEM.
pub(super) fn prepare() -> Result<(), Errno> {
    NOTHING.try_call_once(|| Ok((AddressSpace::new()?, FdTable::new()))).map(|_| ())
}

impl Private {
    /// Replaces what the thread works with, here and where others see it.
    pub fn hold(&mut self, thread: &Thread, change: impl FnOnce(&mut Private)) {
        change(self);
        let old = thread.update_holdings(|holdings| core::mem::replace(holdings, self.holdings()));
        drop(old);
    }

    /// Lets go of memory and files, for ones that nobody uses.
    pub fn let_go(&mut self) {
        let nothing = NOTHING.get().expect("the first process prepared it");
        let old = (mem::replace(&mut self.space, nothing.0.clone()), mem::replace(&mut self.files, nothing.1.clone()));
        drop(old);
    }

    /// The copy for others to see.
    pub fn holdings(&self) -> Holdings {
        Holdings {
            space: Some(self.space.clone()),
            files: Some(self.files.clone()),
            fs: Some(self.fs.clone()),
            cred: self.cred.clone(),
        }
    }
}
