//! [`Setting`]: a number that root can change while the kernel runs (sysctl, `/proc/sys`).

use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicI64, Ordering};

use abi::Errno;

/// A number with bounds. Lives in the room that obeys it; `procfs` shows it.
pub struct Setting {
    value: AtomicI64,
    bounds: RangeInclusive<i64>,
}

impl Setting {
    /// A setting that starts as `value` and stays within `bounds`.
    pub const fn new(value: i64, bounds: RangeInclusive<i64>) -> Self {
        Self { value: AtomicI64::new(value), bounds }
    }

    /// Its value now.
    #[inline]
    pub fn get(&self) -> i64 {
        self.value.load(Ordering::Relaxed)
    }

    /// Its value now, of one whose bounds hold no negative number.
    #[inline]
    pub fn count(&self) -> usize {
        usize::try_from(self.get()).unwrap_or(0)
    }

    /// Changes it. Errors: EINVAL beyond the bounds (`proc_dointvec_minmax()`).
    pub fn set(&self, value: i64) -> Result<(), Errno> {
        if !self.bounds.contains(&value) {
            return Err(Errno::EINVAL);
        }
        self.value.store(value, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_stays_within_its_bounds() {
        let setting = Setting::new(5, 0..=10);
        assert_eq!((setting.set(11), setting.set(-1), setting.count()), (Err(Errno::EINVAL), Err(Errno::EINVAL), 5));
        assert_eq!((setting.set(10), setting.get()), (Ok(()), 10));
    }
}
