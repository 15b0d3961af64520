//! The texts about the system: cpuinfo, stat, uptime and their like.

use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::Once;

use super::node::Text;
use crate::fs;
use crate::mem::frame;
use crate::process::{PidTable, uts};
use crate::sync::executor::executor;
use crate::time::{monotonic_ns, realtime_ns};

/// Nanoseconds of a clock tick (`USER_HZ` is 100).
const TICK_NS: u64 = 10_000_000;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// What the kernel was started with.
static COMMAND_LINE: Once<String> = Once::new();

/// Remembers the kernel's command line. Called once, at boot.
pub fn set_command_line(text: &str) {
    COMMAND_LINE.call_once(|| String::from(text));
}

/// The processes that are running or could.
fn runnable(table: &PidTable) -> usize {
    let runs = |process: &Arc<crate::process::Process>| {
        process.threads().live.values().filter(|thread| thread.signals.is_running()).count()
    };
    table.processes().iter().map(runs).sum()
}

/// The CPUs that run tasks.
fn cpus() -> impl Iterator<Item = usize> {
    let online = executor().online().bits();
    (0..64).filter(move |cpu| online >> cpu & 1 != 0)
}

/// An empty text.
pub fn nothing(_text: &mut Text, _table: &Arc<PidTable>) {}

/// The kernel's command line.
pub fn cmdline(text: &mut Text, _table: &Arc<PidTable>) {
    text.put(format_args!("{}\n", COMMAND_LINE.get().map_or("", String::as_str)));
}

/// A block of lines a CPU.
pub fn cpuinfo(text: &mut Text, _table: &Arc<PidTable>) {
    let count = cpus().count();
    for cpu in cpus() {
        let info = crate::arch::cpu_description();
        text.put(format_args!("processor\t: {cpu}\nvendor_id\t: {}\ncpu family\t: {}\n", info.vendor, info.family));
        text.put(format_args!(
            "model\t\t: {}\nmodel name\t: {}\nstepping\t: {}\n",
            info.model, info.name, info.stepping
        ));
        text.put(format_args!("cpu MHz\t\t: {}.{:03}\n", info.khz / 1000, info.khz % 1000));
        text.put(format_args!("physical id\t: 0\nsiblings\t: {count}\ncore id\t\t: {cpu}\ncpu cores\t: {count}\n"));
        text.put(format_args!("fpu\t\t: yes\nwp\t\t: yes\nflags\t\t: {}\n", info.flags));
        text.put(format_args!("bogomips\t: {}.00\nclflush size\t: 64\n\n", info.khz / 500));
    }
}

/// Registered drivers by major number.
pub fn devices(text: &mut Text, _table: &Arc<PidTable>) {
    text.bytes(b"Character devices:\n");
    for (_, major) in fs::device::majors().iter().filter(|(block, _)| !block) {
        let name = match major {
            1 => "mem",
            4 => "ttyS",
            5 => "/dev/tty",
            136 => "pts",
            _ => "other",
        };
        text.put(format_args!("{major:3} {name}\n"));
    }
    text.bytes(b"\nBlock devices:\n");
    for (_, major) in fs::device::majors().iter().filter(|(block, _)| *block) {
        text.put(format_args!("{major:3} blk\n"));
    }
}

/// What mount(2) knows.
pub fn filesystems(text: &mut Text, _table: &Arc<PidTable>) {
    for kind in fs::filesystems::all() {
        text.put(format_args!("{}\t{}\n", if kind.needs_device { "" } else { "nodev" }, kind.name));
    }
}

/// The load is what is running now: no averages are kept.
pub fn loadavg(text: &mut Text, table: &Arc<PidTable>) {
    let running = runnable(table);
    let threads = table.thread_count();
    text.put(format_args!("{running}.00 {running}.00 {running}.00 {running}/{threads} {}\n", table.last()));
}

/// No disks.
pub fn partitions(text: &mut Text, _table: &Arc<PidTable>) {
    text.bytes(b"major minor  #blocks  name\n\n");
}

/// Time in ticks since boot, by what the CPUs did, and counts.
pub fn stat(text: &mut Text, table: &Arc<PidTable>) {
    let now_ns = monotonic_ns();
    let (all_user, all_system) = ticks_used(table);
    let idle = |cpu: usize| executor().stats(cpu).idle_ns / TICK_NS;
    let count = cpus().count().max(1) as u64;
    let all_idle: u64 = cpus().map(idle).sum();
    text.put(format_args!("cpu  {all_user} 0 {all_system} {all_idle} 0 0 0 0 0 0\n"));
    for cpu in cpus() {
        // Which CPU a process used is not kept: its time counts as spread evenly.
        text.put(format_args!("cpu{cpu} {} 0 {} {} 0 0 0 0 0 0\n", all_user / count, all_system / count, idle(cpu)));
    }
    let polls: u64 = cpus().map(|cpu| executor().stats(cpu).polls).sum();
    let boot_s = realtime_ns().saturating_sub(now_ns) / NS_PER_SECOND;
    text.put(format_args!("intr 0\nctxt {polls}\nbtime {boot_s}\nprocesses {}\n", table.last()));
    text.put(format_args!("procs_running {}\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n", runnable(table)));
}

/// User and system time of all processes there are or were, in ticks. Those whose parents did not wait for them are
/// lost, so what was shown before is the least that is shown again.
fn ticks_used(table: &PidTable) -> (u64, u64) {
    static SHOWN: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    let mut used = [0; 2];
    for process in table.processes() {
        let (own, reaped) = (process.usage(), process.reaped_usage());
        used[0] += (own.user_ns + reaped.user_ns) / TICK_NS;
        used[1] += (own.system_ns + reaped.system_ns) / TICK_NS;
    }
    let least = |index: usize| SHOWN[index].fetch_max(used[index], Ordering::Relaxed).max(used[index]);
    (least(0), least(1))
}

/// No swap.
pub fn swaps(text: &mut Text, _table: &Arc<PidTable>) {
    text.bytes(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
}

/// Seconds since boot, and seconds all CPUs have idled.
pub fn uptime(text: &mut Text, _table: &Arc<PidTable>) {
    let now_ns = monotonic_ns();
    let idle_ns: u64 = cpus().map(|cpu| executor().stats(cpu).idle_ns).sum();
    let hundredths = |ns: u64| (ns / NS_PER_SECOND, ns % NS_PER_SECOND / TICK_NS);
    let ((s, cs), (idle_s, idle_cs)) = (hundredths(now_ns), hundredths(idle_ns));
    text.put(format_args!("{s}.{cs:02} {idle_s}.{idle_cs:02}\n"));
}

/// What uname(1) shows, in one line.
pub fn version(text: &mut Text, _table: &Arc<PidTable>) {
    text.put(format_args!("Linux version {} (rustos) {}\n", uts::RELEASE, uts::VERSION));
}

/// The few counters there are.
pub fn vmstat(text: &mut Text, _table: &Arc<PidTable>) {
    let (_, free) = frame::statistics();
    text.put(format_args!("nr_free_pages {free}\npgfault 0\npgmajfault 0\npswpin 0\npswpout 0\n"));
}
