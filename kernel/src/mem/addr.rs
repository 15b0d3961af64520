//! Addresses and page arithmetic.
//!
//! [`PhysAddr`] and [`UserAddr`] are newtypes over `u64`, so that one cannot be taken for the other; ranges are
//! `core::ops::Range`, half open.

use core::fmt;
use core::ops::Range;

use abi::Errno;

/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
/// Bytes of a page.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// The first address a user may not use (`TASK_SIZE_MAX`): the last page below the canonical hole stays empty,
/// so that no SYSCALL can sit right before a non-canonical address.
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;
/// The lowest address an ordinary user may map (`vm.mmap_min_addr`).
pub const MMAP_MIN_ADDR: u64 = 0x1_0000;

/// A physical address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct PhysAddr(pub u64);

impl fmt::Debug for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "phys:{:#x}", self.0)
    }
}

/// An address in the user half as a user gave it: unchecked, meaningful in one address space only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct UserAddr(pub u64);

impl UserAddr {
    /// Whether this is the null pointer.
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The address `bytes` further on, wrapping: a check follows at the access.
    pub const fn offset(self, bytes: u64) -> UserAddr {
        UserAddr(self.0.wrapping_add(bytes))
    }

    /// The range of `len` bytes from here, if all of it lies in the user half (Linux's `access_ok`). Cannot wrap.
    pub fn range(self, len: u64) -> Result<Range<u64>, Errno> {
        match self.0.checked_add(len) {
            Some(end) if end <= USER_END => Ok(self.0..end),
            _ => Err(Errno::EFAULT),
        }
    }
}

impl fmt::Debug for UserAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user:{:#x}", self.0)
    }
}

/// `addr` rounded down to a page boundary.
pub const fn page_down(addr: u64) -> u64 {
    addr & !(PAGE_SIZE - 1)
}

/// `len` rounded up to whole pages, or `None` if that overflows.
pub const fn page_up(len: u64) -> Option<u64> {
    match len.checked_add(PAGE_SIZE - 1) {
        Some(sum) => Some(page_down(sum)),
        None => None,
    }
}

/// Whether `addr` is a page boundary.
pub const fn is_page_aligned(addr: u64) -> bool {
    addr & (PAGE_SIZE - 1) == 0
}

/// The page-aligned user range `addr .. addr + len`, its length rounded up. Errors: EINVAL as `munmap(2)` gives it.
pub fn page_range(addr: u64, len: u64) -> Result<Range<u64>, Errno> {
    if !is_page_aligned(addr) || addr > USER_END || len > USER_END - addr {
        return Err(Errno::EINVAL);
    }
    match page_up(len) {
        Some(len) if len > 0 && len <= USER_END - addr => Ok(addr..addr + len),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_range_cannot_wrap_or_leave_the_user_half() {
        assert!(UserAddr(u64::MAX).range(1).is_err());
        assert!(UserAddr(8).range(u64::MAX).is_err());
        assert!(UserAddr(USER_END - 1).range(2).is_err());
        assert_eq!(UserAddr(USER_END - 1).range(1), Ok(USER_END - 1..USER_END));
        assert_eq!(UserAddr(0).range(0), Ok(0..0));
    }

    #[test]
    fn page_ranges_follow_munmap() {
        assert_eq!(page_range(0x1000, 1), Ok(0x1000..0x2000));
        assert_eq!(page_range(0x1001, 1), Err(Errno::EINVAL));
        assert_eq!(page_range(0x1000, 0), Err(Errno::EINVAL));
        assert_eq!(page_range(0x1000, u64::MAX), Err(Errno::EINVAL));
        assert_eq!(page_up(u64::MAX), None);
    }
}
