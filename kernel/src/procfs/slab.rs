//! `/proc/slabinfo`: what the kernel's heap is used for, in Linux's format (slabinfo(5)).
//!
//! The first lines are kinds of objects, each with the size one takes; the `kmalloc` lines are the heap's size classes, which
//! hold those objects and all others.

use alloc::sync::Arc;

use super::node::Text;
use crate::arch;
use crate::mem::{self, heap};
use crate::process::PidTable;
use crate::thread;

/// The text.
pub fn slabinfo(text: &mut Text, table: &Arc<PidTable>) {
    text.bytes(
        b"slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>",
    );
    text.bytes(
        b" : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n",
    );
    let threads = table.thread_count() as u64;
    line(text, format_args!("task_struct"), threads, thread::task_bytes());
    line(text, format_args!("thread"), threads, thread::shared_bytes());
    line(text, format_args!("xsave"), threads, arch::xstate_size());
    let mappings = table.processes().into_iter().map(|process| {
        let space = process.threads().live.values().find_map(|thread| thread.space());
        space.map_or(0, |space| space.map_count() as u64)
    });
    line(text, format_args!("vm_area_struct"), mappings.sum(), mem::MAPPING_BYTES);
    for (size, count) in heap::classes() {
        line(text, format_args!("kmalloc-{size}"), count, size);
    }
}

/// Objects of one kind; how many are in use is not told from how many there are.
fn line(text: &mut Text, name: core::fmt::Arguments<'_>, count: u64, size: usize) {
    let per_page = (4096 / size.max(1)).max(1);
    let name = alloc::format!("{name}");
    text.put(format_args!("{name:<17} {count:6} {count:6} {size:6} {per_page:4} {:4} : tunables    0    0    0", 1));
    let pages = count.div_ceil(per_page as u64);
    text.put(format_args!(" : slabdata {pages:6} {pages:6} {:6}\n", 0));
}
