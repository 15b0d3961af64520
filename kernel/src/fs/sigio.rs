//! Signals that open files send their owners: `O_ASYNC`, and what leases and dnotify have to say (`fs/fcntl.c`:
//! `fcntl(F_SETOWN)`, `kill_fasync`, `send_sigio`).
//!
//! The room of processes lies to the right of this one; it implements [`Owners`] and [`install`]s it. Whoever has something
//! to tell may hold locks that come after those of signals, so a task of the kernel's sends the signal.

use alloc::sync::{Arc, Weak};

use abi::poll::PollEvents;
use abi::signal::{POLL_IN, POLL_MSG, POLL_OUT};
use runtime::TaskParams;
use spin::Once;

use super::inotify::Inotify;
use super::ready::Watcher;
use super::{AccessFlags, File, FileKind, FileTraits, OpenFlags, SignalOwner};
use crate::sync::executor;

/// What files need of the processes.
pub trait Owners: Send + Sync {
    /// Sends the owner its signal: why, which events, and the descriptor that the owner knows the file by.
    fn tell(&self, owner: &SignalOwner, reason: i32, band: i64, fd: i32);
}

static PROCESSES: Once<&'static dyn Owners> = Once::new();

/// Says who knows the processes. Before that, nobody is told anything.
pub fn install(processes: &'static dyn Owners) {
    PROCESSES.call_once(|| processes);
}

/// What happened, in the words of `si_code` and `si_band`.
#[derive(Clone, Copy)]
pub(super) enum Reason {
    Input,
    Output,
    /// A lease is to be given back, or a directory has changed.
    Message,
}

impl Reason {
    fn code(self) -> i32 {
        match self {
            Self::Input => POLL_IN,
            Self::Output => POLL_OUT,
            Self::Message => POLL_MSG,
        }
    }

    fn band(self) -> i64 {
        let events = match self {
            Self::Input => PollEvents::POLLIN | PollEvents::POLLRDNORM,
            Self::Output => PollEvents::POLLOUT | PollEvents::POLLWRNORM | PollEvents::POLLWRBAND,
            Self::Message => PollEvents::POLLIN | PollEvents::POLLRDNORM | PollEvents::POLLMSG,
        };
        i64::from(events.bits())
    }
}

/// Has the file's owner signalled, soon. The file may be gone by then, and its owner with it.
pub(super) fn tell(file: Weak<File>, fd: i32, reason: Reason) {
    let Some(processes) = PROCESSES.get() else { return };
    executor::spawn(Arc::new(TaskParams::default()), async move {
        let Some(file) = file.upgrade() else { return };
        let owner = file.signal_owner();
        drop(file);
        if owner.target != 0 {
            processes.tell(&owner, reason.code(), reason.band(), fd);
        }
    });
}

/// Tells of each change of a file with `O_ASYNC`.
struct Asynchronous {
    file: Weak<File>,
    fd: i32,
    reads: bool,
    writes: bool,
}

impl Watcher for Asynchronous {
    fn notify(self: Arc<Self>, events: PollEvents) -> bool {
        let input = PollEvents::POLLIN | PollEvents::POLLRDNORM | PollEvents::POLLRDHUP | PollEvents::POLLHUP;
        let output = PollEvents::POLLOUT | PollEvents::POLLWRNORM | PollEvents::POLLERR;
        if self.reads && events.intersects(input) {
            tell(self.file.clone(), self.fd, Reason::Input);
        } else if self.writes && events.intersects(output) {
            tell(self.file.clone(), self.fd, Reason::Output);
        }
        false
    }

    fn belongs_to(&self, file: *const File) -> bool {
        core::ptr::eq(self.file.as_ptr(), file)
    }

    fn is_asynchronous(&self) -> bool {
        true
    }
}

/// Turns `O_ASYNC` on or off, the file being `fd` to whoever asks. Says whether the file knows it at all.
/// Deviates: room for more output is told of pipes alone.
pub fn set_asynchronous(file: &Arc<File>, fd: i32, on: bool) -> bool {
    let kind = file.inode().kind;
    let knows = matches!(kind, FileKind::Fifo | FileKind::Socket)
        || file.traits().contains(FileTraits::TERMINAL)
        || file.downcast::<Inotify>().is_some();
    let Some(queue) = file.ops().wait_queue().filter(|_| knows) else { return false };
    if file.flags().contains(OpenFlags::O_ASYNC) == on {
        return true;
    }
    if on {
        let writes = kind == FileKind::Fifo && file.flags().writable();
        let watcher = Asynchronous { file: Arc::downgrade(file), fd, reads: file.flags().readable(), writes };
        queue.watch(Arc::new(watcher), false);
    } else {
        queue.end_asynchronous(Arc::as_ptr(file));
    }
    file.mark_asynchronous(on);
    true
}
