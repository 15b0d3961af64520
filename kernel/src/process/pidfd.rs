//! File descriptors that refer to processes (pidfd_open(2)): readable once the process has ended.

use alloc::sync::Arc;
use core::fmt;

use abi::Errno;

use super::Process;
use crate::fs::pseudo::anonymous_file;
use crate::fs::{Cred, File, FileOps, FileTraits, OpenFlags, PollEvents, ReadyQueue};

/// The object behind a descriptor.
struct PidFd {
    process: Arc<Process>,
}

impl FileOps for PidFd {
    fn traits(&self) -> FileTraits {
        FileTraits::STREAM
    }

    fn readiness(&self, _file: &File) -> PollEvents {
        match self.process.end_status() {
            Some(_) if self.process.is_reaped() => PollEvents::POLLIN | PollEvents::POLLRDNORM | PollEvents::POLLHUP,
            Some(_) => PollEvents::POLLIN | PollEvents::POLLRDNORM,
            None => PollEvents::empty(),
        }
    }

    fn wait_queue(&self) -> Option<&ReadyQueue> {
        Some(&self.process.ended)
    }

    fn fdinfo(&self, _file: &File, out: &mut dyn fmt::Write) -> fmt::Result {
        let pid = if self.process.is_reaped() { -1 } else { self.process.pid };
        write!(out, "Pid:\t{pid}\nNSpid:\t{pid}\n")
    }
}

/// An open file that refers to `process`. With `nonblocking`, waitid(2) on it does not wait.
pub fn open(process: &Arc<Process>, nonblocking: bool, cred: &Arc<Cred>) -> Result<Arc<File>, Errno> {
    let ops = Arc::new(PidFd { process: process.clone() });
    let mut flags = OpenFlags::O_RDWR;
    flags.set(OpenFlags::O_NONBLOCK, nonblocking);
    Ok(anonymous_file(ops, "[pidfd]", flags, cred))
}

/// The process a descriptor refers to. Errors: EBADF if it refers to none.
pub fn process_of(file: &File) -> Result<Arc<Process>, Errno> {
    file.downcast::<PidFd>().map(|pidfd| pidfd.process.clone()).ok_or(Errno::EBADF)
}
