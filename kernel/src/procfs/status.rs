//! /proc/PID/status, and the smaller texts about a task: comm, limits, io, oom_score and their like.

use core::sync::atomic::Ordering;

use abi::Errno;
use abi::seccomp::{SECCOMP_MODE_DISABLED, SECCOMP_MODE_FILTER};

use super::node::Text;
use super::stat::{self, signals, state};
use super::task::Task;
use crate::fs::{Capabilities, Cred};
use crate::process::core_file::filter;
use crate::process::limits::{INFINITY, Resource};
use crate::process::seccomp::Filter;

/// proc(5): a field a line.
pub fn status(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let (letter, word) = state(task);
    let parent = task.process.parent_pid();
    let tracer = task.thread().map_or(0, |thread| thread.tracing.tracer_tid());
    let umask = task.holdings().ok().and_then(|holdings| holdings.fs).map(|fs| fs.umask());
    text.put(format_args!("Name:\t{}\n", stat::comm(task)));
    if let Some(umask) = umask {
        text.put(format_args!("Umask:\t{umask:04o}\n"));
    }
    text.put(format_args!("State:\t{letter} ({word})\nTgid:\t{}\nNgid:\t0\nPid:\t{}\n", task.process.pid, task.id()));
    text.put(format_args!("PPid:\t{parent}\nTracerPid:\t{tracer}\n"));
    let Some(thread) = task.thread() else { return finish(text, task) };
    let cred = thread.cred();
    text.put(format_args!("Uid:\t{}\t{}\t{}\t{}\n", cred.uid, cred.euid, cred.suid, cred.fsuid));
    text.put(format_args!("Gid:\t{}\t{}\t{}\t{}\n", cred.gid, cred.egid, cred.sgid, cred.fsgid));
    let slots = task.holdings()?.files.map_or(0, |files| files.capacity());
    text.put(format_args!("FDSize:\t{slots}\nGroups:\t"));
    cred.groups.iter().for_each(|group| text.put(format_args!("{group} ")));
    let (group, session) = (task.process.group().id, task.process.session().id);
    text.put(format_args!(
        "\nNStgid:\t{}\nNSpid:\t{}\nNSpgid:\t{group}\nNSsid:\t{session}\n",
        task.process.pid,
        task.id()
    ));
    memory(text, task);
    finish(text, task)?;
    capabilities(text, &cred);
    let no_new_privs = u8::from(thread.no_new_privs.load(Ordering::Relaxed));
    let filters = thread.filters();
    let mode = filters.as_ref().map_or(SECCOMP_MODE_DISABLED, |filters| filters.mode());
    let count = filters.iter().flat_map(Filter::chain).filter(|filter| filter.mode() == SECCOMP_MODE_FILTER).count();
    text.put(format_args!("NoNewPrivs:\t{no_new_privs}\nSeccomp:\t{mode}\nSeccomp_filters:\t{count}\n"));
    let affinity = thread.params.affinity().bits() & crate::sync::executor::executor().online().bits();
    text.put(format_args!("Cpus_allowed:\t{affinity:x}\nCpus_allowed_list:\t"));
    ranges(text, affinity);
    let usage = stat::usage(task);
    text.put(format_args!(
        "\nMems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t{}\nnonvoluntary_ctxt_switches:\t{}\n",
        usage.voluntary_switches, usage.involuntary_switches
    ));
    Ok(())
}

/// The `Vm` and `Rss` lines, in KiB. Absent for a zombie.
fn memory(text: &mut Text, task: &Task) {
    let Some(space) = task.holdings().ok().and_then(|holdings| holdings.space) else { return };
    let counts = space.counts();
    let library = counts.exec_pages;
    let lines = [
        ("VmPeak", counts.peak_total_pages),
        ("VmSize", counts.total_pages),
        ("VmLck", counts.locked_pages),
        ("VmPin", 0),
        ("VmHWM", counts.peak_resident_pages),
        ("VmRSS", counts.resident_pages()),
        ("RssAnon", counts.anonymous_pages),
        ("RssFile", counts.object_pages),
        ("RssShmem", 0),
        ("VmData", counts.data_pages),
        ("VmStk", counts.stack_pages),
        ("VmExe", library),
        ("VmLib", 0),
    ];
    for (name, pages) in lines {
        text.put(format_args!("{name}:\t{:8} kB\n", pages * 4));
    }
    text.put(format_args!(
        "VmPTE:\t{:8} kB\nVmSwap:\t{:8} kB\nCoreDumping:\t0\nTHP_enabled:\t0\n",
        space.table_bytes() / 1024,
        0
    ));
}

/// Threads and signals.
fn finish(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let threads = task.process.threads().live.len().max(1);
    let limit = task.process.limits.lock().get(Resource::PendingSignals).soft;
    let queued = crate::signal::Budget::of_user(task.process.uid()).queued();
    let [own, shared, blocked, ignored, handled] = signals(task).map(|set| set.bits());
    text.put(format_args!("Threads:\t{threads}\nSigQ:\t{queued}/{limit}\n"));
    text.put(format_args!("SigPnd:\t{own:016x}\nShdPnd:\t{shared:016x}\nSigBlk:\t{blocked:016x}\n"));
    text.put(format_args!("SigIgn:\t{ignored:016x}\nSigCgt:\t{handled:016x}\n"));
    Ok(())
}

fn capabilities(text: &mut Text, cred: &Cred) {
    let sets = [
        ("CapInh", cred.inheritable),
        ("CapPrm", cred.permitted),
        ("CapEff", cred.effective),
        ("CapBnd", cred.bounding),
        ("CapAmb", cred.ambient),
    ];
    for (name, set) in sets {
        text.put(format_args!("{name}:\t{:016x}\n", set.bits()));
    }
}

/// A set of CPUs as a list: `0-2,5`.
fn ranges(text: &mut Text, set: u64) {
    let mut separator = "";
    let mut rest = set;
    while rest != 0 {
        let first = rest.trailing_zeros();
        let len = (rest >> first).trailing_ones();
        let last = first + len - 1;
        text.put(format_args!("{separator}{first}"));
        if len > 1 {
            text.put(format_args!("-{last}"));
        }
        separator = ",";
        rest = if last >= 63 { 0 } else { rest & (u64::MAX << (last + 1)) };
    }
}

/// The name.
pub fn comm(text: &mut Text, task: &Task) -> Result<(), Errno> {
    text.put(format_args!("{}\n", stat::comm(task)));
    Ok(())
}

/// A thread is renamed by a thread of its own process, or by root.
pub fn set_comm(bytes: &[u8], task: &Task, _cred: &Cred) -> Result<(), Errno> {
    let thread = task.thread().ok_or(Errno::ESRCH)?;
    thread.set_comm(bytes.strip_suffix(b"\n").unwrap_or(bytes));
    Ok(())
}

/// A table of the limits.
pub fn limits(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let limits = *task.process.limits.lock();
    let rows = [
        ("Max cpu time", Resource::Cpu, "seconds"),
        ("Max file size", Resource::FileSize, "bytes"),
        ("Max data size", Resource::Data, "bytes"),
        ("Max stack size", Resource::Stack, "bytes"),
        ("Max core file size", Resource::Core, "bytes"),
        ("Max resident set", Resource::ResidentSet, "bytes"),
        ("Max processes", Resource::Processes, "processes"),
        ("Max open files", Resource::Files, "files"),
        ("Max locked memory", Resource::LockedMemory, "bytes"),
        ("Max address space", Resource::AddressSpace, "bytes"),
        ("Max file locks", Resource::Locks, "locks"),
        ("Max pending signals", Resource::PendingSignals, "signals"),
        ("Max msgqueue size", Resource::MessageQueues, "bytes"),
        ("Max nice priority", Resource::Nice, ""),
        ("Max realtime priority", Resource::RealTimePriority, ""),
        ("Max realtime timeout", Resource::RealTime, "us"),
    ];
    text.put(format_args!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units"));
    for (name, resource, unit) in rows {
        let limit = limits.get(resource);
        text.put(format_args!("{name:<25} "));
        for value in [limit.soft, limit.hard] {
            match value {
                INFINITY => text.put(format_args!("{:<20} ", "unlimited")),
                value => text.put(format_args!("{value:<20} ")),
            }
        }
        text.put(format_args!("{unit:<10}\n"));
    }
    Ok(())
}

/// There is one control group.
pub fn cgroup(text: &mut Text, _task: &Task) -> Result<(), Errno> {
    text.bytes(b"0::/\n");
    Ok(())
}

/// Bytes read and written are not counted.
pub fn io(text: &mut Text, _task: &Task) -> Result<(), Errno> {
    for name in ["rchar", "wchar", "syscr", "syscw", "read_bytes", "write_bytes", "cancelled_write_bytes"] {
        text.put(format_args!("{name}: 0\n"));
    }
    Ok(())
}

/// How good a victim it is when memory runs out, 0 to 2000.
pub fn oom_score(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let space = task.holdings().ok().and_then(|holdings| holdings.space);
    let pages = space.map_or(0, |space| space.counts().resident_pages());
    let total = (crate::mem::frame::total() as u64).max(1);
    let adjust = i64::from(task.process.oom_score_adj.load(Ordering::Relaxed));
    let score = (i64::try_from(pages * 1000 / total).unwrap_or(1000) + adjust + 1000).clamp(0, 2000) * 2 / 3;
    text.put(format_args!("{score}\n"));
    Ok(())
}

/// The adjustment, -1000 to 1000.
pub fn oom_score_adj(text: &mut Text, task: &Task) -> Result<(), Errno> {
    text.put(format_args!("{}\n", task.process.oom_score_adj.load(Ordering::Relaxed)));
    Ok(())
}

/// Lowering the adjustment takes `CAP_SYS_RESOURCE`. `EINVAL`, `EACCES`.
pub fn set_oom_score_adj(bytes: &[u8], task: &Task, cred: &Cred) -> Result<(), Errno> {
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    let value: i32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
    if !(-1000..=1000).contains(&value) {
        return Err(Errno::EINVAL);
    }
    let adjust = &task.process.oom_score_adj;
    if value < adjust.load(Ordering::Relaxed) && !cred.capable(Capabilities::SYS_RESOURCE) {
        return Err(Errno::EACCES);
    }
    adjust.store(value, Ordering::Relaxed);
    Ok(())
}

/// Which memory a core file shows. Nothing for a zombie.
pub fn coredump_filter(text: &mut Text, task: &Task) -> Result<(), Errno> {
    if task.thread().is_some() {
        text.put(format_args!("{:08x}\n", task.process.core_filter.load(Ordering::Relaxed)));
    }
    Ok(())
}

/// In any base, as C writes numbers (`kstrtouint()`). `EINVAL`, `ESRCH`.
pub fn set_coredump_filter(bytes: &[u8], task: &Task, _cred: &Cred) -> Result<(), Errno> {
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?.trim_end_matches('\0');
    let text = text.strip_suffix('\n').unwrap_or(text);
    let (digits, radix) = match (text.strip_prefix("0x").or(text.strip_prefix("0X")), text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    let value = u32::from_str_radix(digits, radix).map_err(|_| Errno::EINVAL)?;
    task.thread().ok_or(Errno::ESRCH)?;
    task.process.core_filter.store(value & filter::ALL, Ordering::Relaxed);
    Ok(())
}

/// The execution domain and its flags.
pub fn personality(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let thread = task.thread().ok_or(Errno::ESRCH)?;
    text.put(format_args!("{:08x}\n", thread.personality.load(Ordering::Relaxed)));
    Ok(())
}

/// How late its timers may be.
pub fn timer_slack(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let thread = task.thread().ok_or(Errno::ESRCH)?;
    text.put(format_args!("{}\n", thread.timer_slack_ns.load(Ordering::Relaxed)));
    Ok(())
}

/// The headings, over no interfaces.
pub fn net_dev(text: &mut Text, _task: &Task) -> Result<(), Errno> {
    text.bytes(b"Inter-|   Receive                                                |  Transmit\n");
    text.bytes(b" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n");
    Ok(())
}

/// An empty text.
pub fn nothing(_text: &mut Text, _task: &Task) -> Result<(), Errno> {
    Ok(())
}
