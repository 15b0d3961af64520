//! Processor time and the counters of getrusage(2).

use core::ops::AddAssign;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{Acquire, Relaxed};

use abi::resource::Rusage;
use abi::time::Timeval;

use crate::arch;

/// Counters of one thread, written by that thread alone, read by anybody.
#[derive(Default)]
pub struct Times {
    /// Its own time, in the machine's ticks: converted only when somebody asks.
    user_ticks: AtomicU64,
    system_ticks: AtomicU64,
    /// Time taken over from others.
    absorbed_user_ns: AtomicU64,
    absorbed_system_ns: AtomicU64,
    minor_faults: AtomicU64,
    major_faults: AtomicU64,
    voluntary_switches: AtomicU64,
    involuntary_switches: AtomicU64,
    /// When the current stretch of user or system time began; the lowest bit says that it is user time.
    mark_ticks: AtomicU64,
}

/// A sum of [`Times`] at a moment.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Time in user mode.
    pub user_ns: u64,
    /// Time in the kernel.
    pub system_ns: u64,
    /// Page faults served from memory.
    pub minor_faults: u64,
    /// Page faults that waited for a device.
    pub major_faults: u64,
    /// Times it gave up the CPU to wait.
    pub voluntary_switches: u64,
    /// Times the CPU was taken from it.
    pub involuntary_switches: u64,
    /// The largest number of resident pages of any one address space.
    pub max_rss_pages: u64,
}

/// The bit of [`Times::mark_ticks`] that is set in user mode.
const IN_USER: u64 = 1;

/// Adds to a counter that only the caller writes: no locked instruction.
#[inline]
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Times {
    /// A stretch of time begins: the thread got the CPU.
    #[inline]
    pub fn begin(&self) {
        self.mark_ticks.store(arch::ticks() & !IN_USER, Relaxed);
    }

    /// The time since the last mark was spent in user mode; the kernel's begins.
    #[inline]
    pub fn mark_user(&self) {
        let now = arch::ticks();
        bump(&self.user_ticks, now.saturating_sub(self.mark_ticks.load(Relaxed)));
        self.mark_ticks.store(now & !IN_USER, Relaxed);
    }

    /// The time since the last mark was spent in the kernel; user mode's begins.
    #[inline]
    pub fn mark_system(&self) {
        let now = arch::ticks();
        bump(&self.system_ticks, now.saturating_sub(self.mark_ticks.load(Relaxed)));
        self.mark_ticks.store(now | IN_USER, Relaxed);
    }

    /// The counters now, the current stretch of time included if the thread is running.
    pub fn get_now(&self, is_running: bool) -> Usage {
        loop {
            let mark = self.mark_ticks.load(Acquire);
            let mut usage = self.get();
            if self.mark_ticks.load(Acquire) != mark {
                continue;
            }
            if is_running {
                let stretch_ns = arch::ticks_to_ns(arch::ticks().saturating_sub(mark));
                let counter = if mark & IN_USER != 0 { &mut usage.user_ns } else { &mut usage.system_ns };
                *counter += stretch_ns;
            }
            return usage;
        }
    }

    /// Counts a page fault.
    pub fn add_fault(&self) {
        bump(&self.minor_faults, 1);
    }

    /// Counts a switch away from the thread.
    pub fn add_switch(&self, voluntary: bool) {
        bump(if voluntary { &self.voluntary_switches } else { &self.involuntary_switches }, 1);
    }

    /// Processor time in all.
    pub fn total_ns(&self) -> u64 {
        let usage = self.get();
        usage.user_ns + usage.system_ns
    }

    /// The counters now.
    pub fn get(&self) -> Usage {
        Usage {
            user_ns: self.absorbed_user_ns.load(Relaxed) + arch::ticks_to_ns(self.user_ticks.load(Relaxed)),
            system_ns: self.absorbed_system_ns.load(Relaxed) + arch::ticks_to_ns(self.system_ticks.load(Relaxed)),
            minor_faults: self.minor_faults.load(Relaxed),
            major_faults: self.major_faults.load(Relaxed),
            voluntary_switches: self.voluntary_switches.load(Relaxed),
            involuntary_switches: self.involuntary_switches.load(Relaxed),
            max_rss_pages: 0,
        }
    }

    /// Adds another's counters. Several may add at once.
    pub fn absorb(&self, usage: &Usage) {
        self.absorbed_user_ns.fetch_add(usage.user_ns, Relaxed);
        self.absorbed_system_ns.fetch_add(usage.system_ns, Relaxed);
        self.minor_faults.fetch_add(usage.minor_faults, Relaxed);
        self.major_faults.fetch_add(usage.major_faults, Relaxed);
        self.voluntary_switches.fetch_add(usage.voluntary_switches, Relaxed);
        self.involuntary_switches.fetch_add(usage.involuntary_switches, Relaxed);
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.user_ns += other.user_ns;
        self.system_ns += other.system_ns;
        self.minor_faults += other.minor_faults;
        self.major_faults += other.major_faults;
        self.voluntary_switches += other.voluntary_switches;
        self.involuntary_switches += other.involuntary_switches;
        self.max_rss_pages = self.max_rss_pages.max(other.max_rss_pages);
    }
}

impl Usage {
    /// As getrusage(2) gives it.
    pub fn to_rusage(&self) -> Rusage {
        let time = |ns: u64| Timeval { tv_sec: (ns / 1_000_000_000) as i64, tv_usec: (ns / 1000 % 1_000_000) as i64 };
        Rusage {
            ru_utime: time(self.user_ns),
            ru_stime: time(self.system_ns),
            ru_maxrss: (self.max_rss_pages * 4) as i64,
            ru_minflt: self.minor_faults as i64,
            ru_majflt: self.major_faults as i64,
            ru_nvcsw: self.voluntary_switches as i64,
            ru_nivcsw: self.involuntary_switches as i64,
            ..Rusage::default()
        }
    }
}
