//! [`Files`]: open files on their way from one process to another (`SCM_RIGHTS`).
//!
//! Dropping the last reference to a socket discards its inbox, in which there may be further sockets: a chain of
//! any length. So files are dropped one after the other from one list, never one inside the other.
//!
//! Deviates: sockets that are kept alive only by messages in each other's inboxes are not found (Linux has a
//! garbage collector for them); they stay until the machine ends.
//!
//! Lock: the list (rank `SocketNames`), held alone.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::fs::File;
use crate::sync::{Rank, SpinLock};

static DOOMED: SpinLock<Vec<Arc<File>>> = SpinLock::new(Rank::SocketNames, Vec::new());
static DROPPING: AtomicBool = AtomicBool::new(false);

/// Open files in a message. Drop it with no lock held.
#[derive(Default)]
pub struct Files(Vec<Arc<File>>);

impl Files {
    /// These files.
    pub fn new(files: Vec<Arc<File>>) -> Self {
        Self(files)
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Further references to the same files, behind those that are here.
    pub fn extend_from(&mut self, other: &Files) {
        self.0.extend(other.0.iter().cloned());
    }

    /// Takes the files of `other`, behind those that are here.
    pub fn append(&mut self, other: &mut Files) {
        self.0.append(&mut other.0);
    }

    /// Takes the first file out.
    pub fn take_first(&mut self) -> Option<Arc<File>> {
        if self.0.is_empty() { None } else { Some(self.0.remove(0)) }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            drop_files(core::mem::take(&mut self.0));
        }
    }
}

/// Drops files. If somebody is at it already, that one drops these as well.
#[cold]
fn drop_files(files: Vec<Arc<File>>) {
    DOOMED.lock().extend(files);
    loop {
        if DROPPING.swap(true, Ordering::Acquire) {
            return;
        }
        while let Some(file) = next_doomed() {
            drop(file);
        }
        DROPPING.store(false, Ordering::Release);
        if DOOMED.lock().is_empty() {
            return;
        }
    }
}

fn next_doomed() -> Option<Arc<File>> {
    DOOMED.lock().pop()
}
