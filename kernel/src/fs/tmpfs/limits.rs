//! [`Tmpfs`]: how much of its limits a tmpfs has used.

use alloc::string::String;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;

use super::Options;
use crate::fs::StatFs;
use crate::fs::content::{PAGE_BYTES, PageBudget};

/// A count with a limit; a limit of 0 is none.
struct Counted {
    used: AtomicU64,
    limit: AtomicU64,
}

impl Counted {
    fn new(limit: u64) -> Self {
        Self { used: AtomicU64::new(0), limit: AtomicU64::new(limit) }
    }

    #[inline]
    fn take(&self, count: u64) -> Result<(), Errno> {
        let limit = self.limit.load(Ordering::Relaxed);
        let before = self.used.fetch_add(count, Ordering::Relaxed);
        if limit != 0 && before + count > limit {
            self.used.fetch_sub(count, Ordering::Relaxed);
            return Err(Errno::ENOSPC);
        }
        Ok(())
    }

    fn take_always(&self, count: u64) {
        self.used.fetch_add(count, Ordering::Relaxed);
    }

    fn give(&self, count: u64) {
        self.used.fetch_sub(count, Ordering::Relaxed);
    }

    fn free(&self) -> u64 {
        self.limit.load(Ordering::Relaxed).saturating_sub(self.used.load(Ordering::Relaxed))
    }

    /// A new limit may not be below what is used, nor come where there was none (`shmem_reconfigure`).
    fn set_limit(&self, limit: u64) -> Result<(), Errno> {
        let old = self.limit.load(Ordering::Relaxed);
        if (limit != 0 && self.used.load(Ordering::Relaxed) > limit) || (old == 0 && limit != 0) {
            return Err(Errno::EINVAL);
        }
        self.limit.store(limit, Ordering::Relaxed);
        Ok(())
    }
}

/// The counts of one tmpfs.
pub struct Tmpfs {
    pages: Counted,
    inodes: Counted,
    shown: Options,
}

impl Tmpfs {
    /// Nothing used yet.
    pub fn new(options: &Options) -> Self {
        Self {
            pages: Counted::new(options.pages.unwrap_or(0)),
            inodes: Counted::new(options.inodes.unwrap_or(0)),
            shown: *options,
        }
    }

    /// An inode is made. `ENOSPC`.
    pub(super) fn take_inode(&self) -> Result<(), Errno> {
        self.inodes.take(1)
    }

    /// An inode is gone.
    pub(super) fn give_inode(&self) {
        self.inodes.give(1);
    }

    pub(super) fn statfs(&self, magic: u64) -> StatFs {
        StatFs {
            magic,
            block_bytes: PAGE_BYTES,
            blocks: self.pages.limit.load(Ordering::Relaxed),
            blocks_free: self.pages.free(),
            inodes: self.inodes.limit.load(Ordering::Relaxed),
            inodes_free: self.inodes.free(),
        }
    }

    /// `mount -o remount`: `EINVAL` for a limit below what is used.
    pub(super) fn reconfigure(&self, options: &Options) -> Result<(), Errno> {
        options.pages.map_or(Ok(()), |pages| self.pages.set_limit(pages))?;
        options.inodes.map_or(Ok(()), |inodes| self.inodes.set_limit(inodes))
    }

    pub(super) fn show_options(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = match self.pages.limit.load(Ordering::Relaxed) {
            0 => Ok(()),
            pages => write!(text, ",size={}k", pages * PAGE_BYTES / 1024),
        };
        let _ = match self.inodes.limit.load(Ordering::Relaxed) {
            0 => Ok(()),
            inodes => write!(text, ",nr_inodes={inodes}"),
        };
        if self.shown.mode != 0o1777 {
            let _ = write!(text, ",mode={:o}", self.shown.mode);
        }
        text
    }
}

impl PageBudget for Tmpfs {
    fn charge(&self, pages: u64) -> Result<(), Errno> {
        self.pages.take(pages)
    }

    fn charge_always(&self, pages: u64) {
        self.pages.take_always(pages);
    }

    fn uncharge(&self, pages: u64) {
        self.pages.give(pages);
    }
}
