//! /proc/meminfo: what the machine's memory is used for.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::node::Text;
use crate::fs;
use crate::mem::{frame, heap, shared};
use crate::process::PidTable;

/// Sums over all address spaces, in pages.
#[derive(Default)]
struct Spaces {
    anonymous: u64,
    of_objects: u64,
    tables: u64,
    promised: u64,
}

impl Spaces {
    fn sum(table: &PidTable) -> Self {
        let mut spaces = BTreeMap::new();
        for process in table.processes() {
            let thread = process.threads().live.values().next().cloned();
            if let Some(space) = thread.and_then(|thread| thread.holdings().space) {
                spaces.insert(space.id(), space);
            }
        }
        let mut sums = Self::default();
        for space in spaces.values() {
            let counts = space.counts();
            sums.anonymous += counts.anonymous_pages;
            sums.of_objects += counts.object_pages;
            sums.tables += space.table_bytes() / 4096;
            sums.promised += counts.data_pages + counts.stack_pages;
        }
        sums
    }
}

/// Memory in KiB (`meminfo_proc_show`).
///
/// Deviates: `AnonPages` and `Mapped` are the sums over all address spaces, as far as there are so many pages: what a fork
/// shares counts in both. Nothing is ever written back, swapped or reclaimed, so what that is about is 0.
pub fn meminfo(text: &mut Text, table: &Arc<PidTable>) {
    let (total, free) = frame::statistics();
    let (total, free) = (total as u64, free as u64);
    let available = free.saturating_sub(frame::reserve() as u64);
    let (used_bytes, held_bytes) = heap::statistics();
    let bytes_to_pages = |bytes: i64| u64::try_from(bytes).unwrap_or(0) / 4096;
    let slab = bytes_to_pages(held_bytes);
    let shared = shared::all_pages();
    let cached = fs::content_pages() + shared;
    let spaces = Spaces::sum(table);
    let used = total.saturating_sub(free);
    let anonymous = spaces.anonymous.min(used.saturating_sub(slab + cached + spaces.tables));
    let lines = [
        ("MemTotal:", total),
        ("MemFree:", free),
        ("MemAvailable:", available),
        ("Buffers:", 0),
        ("Cached:", cached),
        ("SwapCached:", 0),
        ("Active:", anonymous + cached),
        ("Inactive:", 0),
        ("Active(anon):", anonymous + cached),
        ("Inactive(anon):", 0),
        ("Active(file):", 0),
        ("Inactive(file):", 0),
        ("Unevictable:", 0),
        ("Mlocked:", 0),
        ("SwapTotal:", 0),
        ("SwapFree:", 0),
        ("Dirty:", 0),
        ("Writeback:", 0),
        ("AnonPages:", anonymous),
        ("Mapped:", spaces.of_objects.min(cached)),
        ("Shmem:", cached),
        ("KReclaimable:", 0),
        ("Slab:", slab),
        ("SReclaimable:", 0),
        ("SUnreclaim:", bytes_to_pages(used_bytes).min(slab)),
        ("KernelStack:", 0),
        ("PageTables:", spaces.tables),
        ("CommitLimit:", total),
        ("Committed_AS:", spaces.promised + shared),
    ];
    for (name, pages) in lines {
        text.put(format_args!("{name:<15} {:8} kB\n", pages * 4));
    }
    for name in ["HugePages_Total:", "HugePages_Free:", "HugePages_Rsvd:", "HugePages_Surp:"] {
        text.put(format_args!("{name:<15} {:8}\n", 0));
    }
    text.bytes(b"Hugepagesize:       2048 kB\nHugetlb:               0 kB\n");
}
