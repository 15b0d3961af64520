//! /dev/tty: whichever terminal controls the session of the process that opens it.

use alloc::sync::Arc;

use abi::Errno;
use abi::poll::PollEvents;
use spin::Once;

use super::{TtyFile, controlling};
use crate::fs::{Access, Caller, File, FileOps, FileTraits, ReadyQueue, Sink, Source};

/// An open file of /dev/tty. Which terminal it is becomes known when the open is completed; a failed open is
/// never used.
#[derive(Default)]
pub(super) struct OwnTerminal(Once<Arc<TtyFile>>);

impl OwnTerminal {
    fn terminal(&self) -> Result<&TtyFile, Errno> {
        self.0.get().map(|terminal| &**terminal).ok_or(Errno::ENXIO)
    }
}

impl FileOps for OwnTerminal {
    fn traits(&self) -> FileTraits {
        FileTraits::STREAM | FileTraits::TERMINAL
    }

    /// `ENXIO` without a controlling terminal.
    fn opened(&self, _file: &File, caller: &dyn Caller, _no_controlling: bool) -> Result<(), Errno> {
        let tty = controlling(caller.session()).ok_or(Errno::ENXIO)?;
        self.0.call_once(|| TtyFile::new(&tty, false));
        Ok(())
    }

    fn try_read(&self, file: &File, sink: &mut dyn Sink, offset: u64) -> Result<usize, Errno> {
        self.terminal()?.try_read(file, sink, offset)
    }

    fn read_patience(&self, file: &File) -> Option<(u64, Result<usize, Errno>)> {
        self.terminal().ok()?.read_patience(file)
    }

    fn try_write(&self, file: &File, source: &mut dyn Source, offset: u64) -> Result<usize, Errno> {
        self.terminal()?.try_write(file, source, offset)
    }

    fn readiness(&self, file: &File) -> PollEvents {
        self.terminal().map_or(PollEvents::POLLERR, |terminal| terminal.readiness(file))
    }

    fn wait_queue(&self) -> Option<&ReadyQueue> {
        self.terminal().ok()?.wait_queue()
    }

    fn job_control(&self, file: &File, caller: &dyn Caller, access: Access) -> Result<(), Errno> {
        self.terminal()?.job_control(file, caller, access)
    }

    fn ioctl(&self, file: &File, caller: &dyn Caller, request: u32, arg: u64) -> Result<usize, Errno> {
        self.terminal()?.ioctl(file, caller, request, arg)
    }

    fn release(&self, file: &File) {
        if let Ok(terminal) = self.terminal() {
            terminal.release(file);
        }
    }
}
