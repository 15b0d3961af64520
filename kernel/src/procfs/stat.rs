//! /proc/PID/stat, schedstat and wchan.

use alloc::string::String;

use abi::Errno;
use abi::sched::{SCHED_FIFO, SCHED_RR};

use super::node::Text;
use super::task::Task;
use crate::dev::tty;
use crate::process::Usage;
use crate::process::limits::Resource;
use crate::signal::SigSet;

/// Nanoseconds of a clock tick (`USER_HZ` is 100).
const TICK_NS: u64 = 10_000_000;
/// Bytes of a page.
const PAGE_BYTES: u64 = 4096;

/// What a task is doing, by Linux's letters: R running, S sleeping, T stopped, t stopped by its tracer, Z zombie.
pub fn state(task: &Task) -> (char, &'static str) {
    if task.process.end_status().is_some() || task.thread().is_none() {
        return ('Z', "zombie");
    }
    let thread = task.thread();
    if thread.as_ref().is_some_and(|thread| thread.signals.is_trapped()) {
        return ('t', "tracing stop");
    }
    if task.process.signals.is_stopped() {
        return ('T', "stopped");
    }
    if thread.is_some_and(|thread| thread.signals.is_running()) { ('R', "running") } else { ('S', "sleeping") }
}

/// The name, its zeros cut.
pub fn comm(task: &Task) -> String {
    let comm = task.thread().map(|thread| thread.comm()).unwrap_or_default();
    let len = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
    String::from_utf8_lossy(&comm[..len]).into_owned()
}

/// What it has used: the whole process, or the one thread.
pub fn usage(task: &Task) -> Usage {
    match &task.only {
        Some(thread) => thread.usage_now(),
        None => task.process.usage(),
    }
}

/// Pending (for the thread, or shared where it is a process), blocked, ignored and handled signals.
pub fn signals(task: &Task) -> [SigSet; 5] {
    let (ignored, handled) = task.process.signals.actions().ignored_and_handled();
    let shared = task.process.signals.shared_pending();
    let Some(thread) = task.thread() else { return [SigSet::EMPTY, shared, SigSet::EMPTY, ignored, handled] };
    let own = thread.signals.own_pending();
    [own, shared, thread.signals.blocked(), ignored, handled]
}

/// proc(5): 52 numbers, the name in parentheses as the second.
pub fn stat(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let process = &task.process;
    let session = process.session().id;
    let terminal = u32::try_from(session).ok().and_then(tty::controlling);
    let (terminal_device, foreground) =
        terminal.map_or((0, -1), |tty| (tty.device.encode(), i64::from(tty.ownership().foreground)));
    let (usage, reaped) = (usage(task), process.reaped_usage());
    text.put(format_args!(
        "{} ({}) {} {} {} {session} {terminal_device} {foreground} {} {} {} {} {} {} {} {} {} ",
        task.id(),
        comm(task),
        state(task).0,
        process.parent_pid(),
        process.group().id,
        flags(task),
        usage.minor_faults,
        reaped.minor_faults,
        usage.major_faults,
        reaped.major_faults,
        usage.user_ns / TICK_NS,
        usage.system_ns / TICK_NS,
        reaped.user_ns / TICK_NS,
        reaped.system_ns / TICK_NS,
    ));
    scheduling(text, task);
    layout(text, task);
    Ok(())
}

/// `PF_FORKNOEXEC`, `PF_SUPERPRIV` and the rest mean nothing here but for the first.
fn flags(task: &Task) -> u32 {
    const FORKED_WITHOUT_EXEC: u32 = 0x40;
    let executed = task.process.has_executed.load(core::sync::atomic::Ordering::Relaxed);
    if executed { 0x40_0000 } else { 0x40_0000 | FORKED_WITHOUT_EXEC }
}

/// Fields 18 to 22: priority, nice, threads, nothing, start time.
fn scheduling(text: &mut Text, task: &Task) {
    let nice = task.thread().map_or(0, |thread| i64::from(thread.params.nice()));
    let policy = task.thread().map(|thread| thread.policy());
    let real_time = policy.filter(|policy| matches!(policy.kind, SCHED_FIFO | SCHED_RR));
    let priority = real_time.map_or(20 + nice, |policy| -1 - i64::from(policy.priority));
    let threads = task.process.threads().live.len();
    let start_ns = task.only.as_ref().map_or(task.process.start_ns, |thread| thread.start_ns);
    text.put(format_args!("{priority} {nice} {threads} 0 {} ", start_ns / TICK_NS));
}

/// Fields 23 to 52: memory, signals, the CPU, the policy, the program's layout.
fn layout(text: &mut Text, task: &Task) {
    let space = task.holdings().ok().and_then(|holdings| holdings.space);
    let counts = space.as_ref().map(|space| space.counts()).unwrap_or_default();
    let limit = task.process.limits.lock().get(Resource::ResidentSet).soft;
    let layout = space.as_ref().map(|space| space.layout()).unwrap_or_default();
    let brk = space.as_ref().map(|space| space.brk_range().start).unwrap_or_default();
    let program = task.process.program();
    text.put(format_args!(
        "{} {} {limit} {} {} {} 0 0 ",
        counts.total_pages * PAGE_BYTES,
        counts.resident_pages(),
        layout.code.0,
        layout.code.1,
        program.stack_start,
    ));
    let [own, shared, blocked, ignored, handled] = signals(task).map(SigSet::bits);
    // Only the first 31 signals have room here; the rest is in `status`.
    let low = |set: u64| set & 0x7fff_ffff;
    text.put(format_args!("{} {} {} {} 0 0 0 ", low(own | shared), low(blocked), low(ignored), low(handled)));
    let thread = task.thread();
    let cpu = thread.as_ref().map_or(0, |thread| thread.params.last_cpu());
    let policy = thread.map(|thread| thread.policy());
    let (priority, kind) = policy.map_or((0, 0), |policy| (policy.priority, policy.kind));
    let status = task.process.end_status().map_or(0, |status| status.0);
    let exit_signal = task.process.exit_signal_number();
    text.put(format_args!(
        "{exit_signal} {cpu} {priority} {kind} 0 0 0 {} {} {brk} {} {} {} {} {status}\n",
        layout.data.0,
        layout.data.1,
        program.arguments.start,
        program.arguments.end,
        program.environment.start,
        program.environment.end,
    ));
}

/// Time on a CPU, time waiting for one (not kept), slices.
pub fn schedstat(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let usage = usage(task);
    let slices = usage.voluntary_switches + usage.involuntary_switches;
    text.put(format_args!("{} 0 {slices}\n", usage.user_ns + usage.system_ns));
    Ok(())
}

/// Where it waits: 0 while it runs.
pub fn wchan(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let thread = task.thread().ok_or(Errno::ESRCH)?;
    text.put(format_args!("{}", if thread.signals.is_running() { "0" } else { "interruptible" }));
    Ok(())
}
