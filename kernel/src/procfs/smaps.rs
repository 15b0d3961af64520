//! /proc/PID/smaps and smaps_rollup: what the pages of a task's mappings are, after their lines of maps.

use core::ops::Range;

use abi::Errno;

use super::memory::{show, space};
use super::node::Text;
use super::task::Task;
use crate::mem::space::{MapsLine, SHARE_SCALE, SmapsTotals};
use crate::mem::{Prot, VmFlags};

/// Sums of one mapping or of all, as they are shown.
#[derive(Default)]
struct Sums {
    pages: SmapsTotals,
    /// The shares of mappings of memory objects, and of locked mappings, scaled.
    memory_share: u64,
    locked_share: u64,
}

impl Sums {
    fn add(&mut self, line: &MapsLine, pages: SmapsTotals) {
        self.pages += pages;
        if line.is_memory {
            self.memory_share += pages.share - pages.anonymous_share;
        }
        if line.flags.contains(VmFlags::LOCKED) {
            self.locked_share += pages.share;
        }
    }

    /// The lines that both files have (`__show_smap`): Linux's, those of what there is none of included.
    fn show(&self, text: &mut Text, is_rollup: bool) {
        let pages = &self.pages;
        let mut put = |name: &str, bytes: u64| text.put(format_args!("{name:<16}{:8} kB\n", bytes / 1024));
        put("Rss:", pages.resident);
        put("Pss:", pages.share / SHARE_SCALE);
        put("Pss_Dirty:", pages.dirty_share / SHARE_SCALE);
        if is_rollup {
            let file_share = pages.share - pages.anonymous_share - self.memory_share;
            put("Pss_Anon:", pages.anonymous_share / SHARE_SCALE);
            put("Pss_File:", file_share / SHARE_SCALE);
            put("Pss_Shmem:", self.memory_share / SHARE_SCALE);
        }
        put("Shared_Clean:", pages.shared_clean);
        put("Shared_Dirty:", pages.shared_dirty);
        put("Private_Clean:", pages.private_clean);
        put("Private_Dirty:", pages.private_dirty);
        put("Referenced:", pages.resident);
        put("Anonymous:", pages.anonymous);
        for name in ["LazyFree:", "AnonHugePages:", "ShmemPmdMapped:", "FilePmdMapped:", "Shared_Hugetlb:"] {
            put(name, 0);
        }
        text.bytes(b"Private_Hugetlb:       0 kB\n");
        let mut put = |name: &str, bytes: u64| text.put(format_args!("{name:<16}{:8} kB\n", bytes / 1024));
        put("Swap:", 0);
        put("SwapPss:", 0);
        put("Locked:", self.locked_share / SHARE_SCALE);
    }
}

/// The mapping's properties, two letters each, in the order of Linux's bits (`show_smap_vma_flags`).
fn show_flags(text: &mut Text, line: &MapsLine) {
    let has = |flag| line.flags.contains(flag);
    let can = |prot| line.prot.contains(prot);
    let shared = has(VmFlags::SHARED);
    let special = has(VmFlags::SPECIAL);
    let counted = can(Prot::WRITE) && !shared && !has(VmFlags::NO_RESERVE);
    let letters = [
        (can(Prot::READ), "rd"),
        (can(Prot::WRITE), "wr"),
        (can(Prot::EXEC), "ex"),
        // A shared mapping that can never be written is as good as private.
        (shared && !has(VmFlags::NEVER_WRITE), "sh"),
        (true, "mr"),
        (!has(VmFlags::NEVER_WRITE) && !has(VmFlags::VVAR), "mw"),
        (!has(VmFlags::NEVER_EXEC) && !has(VmFlags::VVAR), "me"),
        (shared, "ms"),
        (has(VmFlags::GROWS_DOWN), "gd"),
        (has(VmFlags::VVAR), "pf"),
        (has(VmFlags::LOCKED), "lo"),
        (has(VmFlags::VVAR), "io"),
        (has(VmFlags::SEQUENTIAL), "sr"),
        (has(VmFlags::RANDOM), "rr"),
        (has(VmFlags::DONT_FORK), "dc"),
        (special, "de"),
        // Locked on fault: Linux has no letters for it.
        (has(VmFlags::LOCK_ON_FAULT), "??"),
        (counted, "ac"),
        (has(VmFlags::NO_RESERVE), "nr"),
        (has(VmFlags::WIPE_ON_FORK), "wf"),
        (has(VmFlags::DONT_DUMP) || has(VmFlags::VVAR), "dd"),
        (has(VmFlags::HUGE_PAGE), "hg"),
        (has(VmFlags::NO_HUGE_PAGE), "nh"),
        (has(VmFlags::MERGEABLE), "mg"),
    ];
    text.bytes(b"VmFlags: ");
    for (_, letters) in letters.iter().filter(|(has, _)| *has) {
        text.put(format_args!("{letters} "));
    }
    text.bytes(b"\n");
}

/// maps, with sums after each line (`show_smap`).
pub fn smaps(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let Some(space) = space(task) else { return Ok(()) };
    for line in space.maps() {
        show(text, &line);
        let size_kib = (line.range.end - line.range.start) / 1024;
        text.put(format_args!("Size:{size_kib:19} kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n"));
        let mut sums = Sums::default();
        sums.add(&line, space.smaps(line.range.clone()));
        sums.show(text, false);
        text.bytes(b"THPeligible:    0\n");
        show_flags(text, &line);
    }
    Ok(())
}

/// The sums of all mappings (`show_smaps_rollup`). `ESRCH` for a zombie.
pub fn smaps_rollup(text: &mut Text, task: &Task) -> Result<(), Errno> {
    /// The column in which the name begins.
    const NAME_COLUMN: usize = 73;
    let space = space(task).ok_or(Errno::ESRCH)?;
    let mut sums = Sums::default();
    let mut whole: Range<u64> = 0..0;
    for line in space.maps() {
        sums.add(&line, space.smaps(line.range.clone()));
        whole = if whole.is_empty() { line.range } else { whole.start..line.range.end };
    }
    let start = text.0.len();
    text.put(format_args!("{:08x}-{:08x} ---p 00000000 00:00 0 ", whole.start, whole.end));
    while text.0.len() - start < NAME_COLUMN {
        text.bytes(b" ");
    }
    text.bytes(b"[rollup]\n");
    sums.show(text, true);
    Ok(())
}
