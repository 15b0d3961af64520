//! The spin lock and the atomics of this crate, and the seam where `loom` replaces them.
//!
//! The executor's callers run with interrupts off, so a plain spin lock suffices. What a CPU does between two
//! looks at a taken lock is decided by the kernel, once, through [`set_relax`].

#[cfg(not(loom))]
mod imp {
    pub(crate) use core::sync::atomic;
    use spin::mutex::spin::{SpinMutex, SpinMutexGuard};

    static RELAX: spin::Once<fn()> = spin::Once::new();

    /// Chooses what a CPU does between two looks at a taken lock; the first call counts. A kernel serves requests
    /// of other CPUs there, because the lock's holder may be waiting for the answer. Default: `spin_loop`.
    pub fn set_relax(relax: fn()) {
        RELAX.call_once(|| relax);
    }

    pub(crate) struct Relax;

    impl spin::RelaxStrategy for Relax {
        #[inline]
        fn relax() {
            match RELAX.get() {
                Some(relax) => relax(),
                None => core::hint::spin_loop(),
            }
        }
    }

    /// A spin lock.
    pub(crate) struct Lock<T>(SpinMutex<T, Relax>);
    pub(crate) type LockGuard<'a, T> = SpinMutexGuard<'a, T, Relax>;

    impl<T> Lock<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(SpinMutex::new(value))
        }

        #[inline]
        pub(crate) fn lock(&self) -> LockGuard<'_, T> {
            self.0.lock()
        }
    }
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::sync::atomic;

    /// Nothing to choose: `loom` decides when a blocked thread runs again.
    pub fn set_relax(_relax: fn()) {}

    /// `loom`'s mutex in the place of the spin lock.
    pub(crate) struct Lock<T>(loom::sync::Mutex<T>);
    pub(crate) type LockGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

    impl<T> Lock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> LockGuard<'_, T> {
            self.0.lock().expect("a model thread that panics ends the whole model")
        }
    }
}

pub use imp::set_relax;
pub(crate) use imp::{Lock, LockGuard, atomic};

/// Declares a constructor that is `const`, except under `loom`, whose primitives register themselves at run time.
macro_rules! const_fn {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $body:block) => {
        #[cfg(not(loom))]
        $(#[$attribute])* $visibility const fn $name($($argument: $type),*) -> $result $body
        #[cfg(loom)]
        $(#[$attribute])* $visibility fn $name($($argument: $type),*) -> $result $body
    };
}
pub(crate) use const_fn;
