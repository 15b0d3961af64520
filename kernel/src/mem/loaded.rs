//! Which address space each CPU has loaded.
//!
//! A CPU keeps the tables of the last user address space loaded while it runs kernel tasks or idles. What it loaded
//! is a [`Loaded`], not the address space: when the last process lets go of the space, its memory is freed at once,
//! and only the empty root table stays until the CPU loads another.

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::AddressSpace;
use super::frame::Frame;
use crate::arch::{self, MAX_CPUS};
use crate::sync::PerCpu;

/// The part of an address space that outlives it while a CPU has it loaded.
pub(super) struct Loaded {
    root: Frame,
    /// A bit for each CPU that has the root loaded.
    pub(super) cpus: AtomicU64,
    space: Weak<AddressSpace>,
}

/// The CPUs that have any user's root loaded.
static CPUS_WITH_USERS: AtomicU64 = AtomicU64::new(0);
static LOADED: PerCpu<Option<Arc<Loaded>>> = PerCpu::new([const { None }; MAX_CPUS]);

impl Loaded {
    pub(super) fn new(root: Frame, space: Weak<AddressSpace>) -> Arc<Self> {
        Arc::new(Self { root, cpus: AtomicU64::new(0), space })
    }

    /// Loads the root on this CPU, unless it is loaded.
    #[inline]
    pub(super) fn load(self: &Arc<Self>) {
        let old = LOADED.with(|current| match current {
            Some(current) if Arc::ptr_eq(current, self) => None,
            _ => Some(self.switch_from(current)),
        });
        // Outside the closure: freeing the old root is nobody's business there.
        drop(old);
    }

    #[inline]
    fn switch_from(self: &Arc<Self>, current: &mut Option<Arc<Loaded>>) -> Option<Arc<Loaded>> {
        let me = 1 << arch::cpu_index();
        // The bit comes before the load: whoever changes the tables afterwards sees it and asks this CPU to forget;
        // who changed them before is seen by the load. See `Gather::finish`.
        self.cpus.fetch_or(me, SeqCst);
        // SAFETY: the root's upper half is the kernel's (`PageTable::new`); `current` keeps it alive while loaded.
        unsafe { arch::load_root(self.root.phys().0) };
        let old = current.replace(self.clone());
        match &old {
            Some(old) => old.cpus.fetch_and(!me, SeqCst),
            None => CPUS_WITH_USERS.fetch_or(me, SeqCst),
        };
        old
    }
}

/// The address space that is current on this CPU, if there is one and anyone still has it.
#[inline]
pub fn current_space() -> Option<Arc<AddressSpace>> {
    LOADED.with(|current| current.as_ref().and_then(|loaded| loaded.space.upgrade()))
}

/// The CPUs that have any user's address space loaded, a bit each.
pub(super) fn cpus_with_users() -> u64 {
    CPUS_WITH_USERS.load(SeqCst)
}

/// Leaves the user's tables for the kernel's own, so that this CPU need no longer be asked to forget translations:
/// for a CPU that goes idle for long, or executes a new program.
pub fn load_kernel_root() {
    let old = LOADED.with(|current| {
        let old = current.take()?;
        // SAFETY: the kernel's root is complete and lives for ever.
        unsafe { arch::load_root(arch::kernel_root()) };
        let others = !(1 << arch::cpu_index());
        old.cpus.fetch_and(others, SeqCst);
        CPUS_WITH_USERS.fetch_and(others, SeqCst);
        Some(old)
    });
    drop(old);
}
