//! [`PerCpu`]: a value for each CPU, reached without a lock.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::arch::{self, MAX_CPUS};

/// A `T` for each CPU. [`PerCpu::with`] lends the running CPU's own: the kernel is not preempted and runs with
/// interrupts off, so nothing else can reach it meanwhile. On the host, where test threads can share an index,
/// the slot's flag is a lock; on the machine it only catches re-entry, in debug builds.
pub struct PerCpu<T> {
    slots: [Slot<T>; MAX_CPUS],
}

#[repr(align(64))]
struct Slot<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: a slot's value is reached by one CPU at a time (see `with`), which may be any: hence `Send`.
unsafe impl<T: Send> Sync for PerCpu<T> {}

impl<T> PerCpu<T> {
    /// One value for each CPU.
    pub const fn new(values: [T; MAX_CPUS]) -> Self {
        let values = core::mem::ManuallyDrop::new(values);
        // SAFETY: every value is moved out of `values` exactly once, and `values` is never dropped. `Slot` wraps
        // each: arrays cannot be mapped in a constant, so the values are read one by one.
        unsafe {
            let mut slots = core::mem::MaybeUninit::<[Slot<T>; MAX_CPUS]>::uninit();
            let mut index = 0;
            while index < MAX_CPUS {
                let value = (&raw const values).cast::<T>().add(index).read();
                let slot = Slot { taken: AtomicBool::new(false), value: UnsafeCell::new(value) };
                slots.as_mut_ptr().cast::<Slot<T>>().add(index).write(slot);
                index += 1;
            }
            Self { slots: slots.assume_init() }
        }
    }

    /// Lends this CPU's value. Not to be called again from within `f`.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let slot = &self.slots[arch::cpu_index()];
        slot.enter();
        // SAFETY: `enter` made sure that nothing else holds the reference; on the machine nothing else runs on this
        // CPU before `f` returns.
        let result = f(unsafe { &mut *slot.value.get() });
        slot.taken.store(false, Ordering::Release);
        result
    }
}

impl<T> Slot<T> {
    #[cfg(not(target_os = "none"))]
    fn enter(&self) {
        while self.taken.swap(true, Ordering::Acquire) {
            arch::relax();
        }
    }

    #[cfg(target_os = "none")]
    #[inline(always)]
    fn enter(&self) {
        if cfg!(debug_assertions) {
            assert!(!self.taken.load(Ordering::Relaxed), "per-CPU value taken twice");
            self.taken.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_counts_on_its_own_or_under_the_flag() {
        static COUNTS: PerCpu<u64> = PerCpu::new([0; MAX_CPUS]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| COUNTS.with(|count| *count += 1)));
            }
        });
        // SAFETY: the threads are gone.
        let sum: u64 = COUNTS.slots.iter().map(|slot| unsafe { *slot.value.get() }).sum();
        assert_eq!(sum, 4000);
    }
}
