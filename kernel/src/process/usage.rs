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
    /// Its own time, in user mode and in all, in the machine's ticks: converted only when somebody asks. While time
    /// passes, the moment it began to is subtracted, which makes a counter negative: the time now is to be added.
    user_ticks: AtomicU64,
    total_ticks: AtomicU64,
    /// Time taken over from others.
    absorbed_user_ns: AtomicU64,
    absorbed_system_ns: AtomicU64,
    minor_faults: AtomicU64,
    major_faults: AtomicU64,
    voluntary_switches: AtomicU64,
    involuntary_switches: AtomicU64,
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

/// Adds to a counter that only the caller writes: no locked instruction.
#[inline]
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

/// What a counter of ticks comes to now.
fn until(ticks: u64, now: u64) -> u64 {
    // Another CPU's clock may be behind by a little.
    if ticks.cast_signed() < 0 { now.saturating_sub(ticks.wrapping_neg()) } else { ticks }
}

impl Times {
    /// The thread gets the CPU.
    #[inline]
    pub fn begin(&self) {
        bump(&self.total_ticks, arch::ticks().wrapping_neg());
    }

    /// The thread gives up the CPU.
    #[inline]
    pub fn end(&self) {
        bump(&self.total_ticks, arch::ticks());
    }

    /// The thread enters user mode.
    #[inline]
    pub fn enter_user(&self) {
        bump(&self.user_ticks, arch::ticks().wrapping_neg());
    }

    /// The thread is back from user mode.
    #[inline]
    pub fn leave_user(&self) {
        bump(&self.user_ticks, arch::ticks());
    }

    /// Ticks in user mode and in the kernel.
    fn ticks(&self) -> (u64, u64) {
        loop {
            let (user, total) = (self.user_ticks.load(Acquire), self.total_ticks.load(Acquire));
            let now = arch::ticks();
            if self.user_ticks.load(Acquire) == user && self.total_ticks.load(Acquire) == total {
                let user = until(user, now);
                return (user, until(total, now).saturating_sub(user));
            }
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

    /// The counters now, the time that is passing included.
    pub fn get(&self) -> Usage {
        let (user, system) = self.ticks();
        Usage {
            user_ns: self.absorbed_user_ns.load(Relaxed) + arch::ticks_to_ns(user),
            system_ns: self.absorbed_system_ns.load(Relaxed) + arch::ticks_to_ns(system),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_runs_is_read_as_of_now() {
        let since = 1000_u64;
        let running = 50_u64.wrapping_sub(since);
        assert_eq!((until(running, 1030), until(50, 1030)), (80, 50));
        assert_eq!(until(running, 900), 0, "a clock behind");
    }
}
