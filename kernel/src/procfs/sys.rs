//! /proc/sys: the kernel's settings (`Documentation/admin-guide/sysctl`).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use abi::{Errno, ipc};

use super::node::{Body, Entry, Table, Text};
use crate::dev::random;
use crate::fs::{Capabilities, Cred, FileKind};
use crate::ipc::mqueue;
use crate::process::uts::{self, Namespace};
use crate::process::{PidTable, core_pattern, pid};
use crate::signal::current_tid;

/// What the tree is about: the processes, one of which reads.
type Subject = Arc<PidTable>;

/// The names the calling thread lives with.
fn callers_names(table: &PidTable) -> Arc<Namespace> {
    table.thread(current_tid()).map_or_else(|| uts::first().clone(), |thread| thread.uts())
}

/// A directory of settings.
macro_rules! directory {
    ($name:literal, $entries:ident) => {
        Entry { name: $name, kind: FileKind::Directory, mode: 0o555, make: |table| directory(table, $entries) }
    };
}

/// /proc/sys itself.
pub fn root(table: &Subject) -> Body {
    const ENTRIES: &[Entry<Subject>] =
        &[directory!("fs", FS), directory!("kernel", KERNEL), directory!("net", NET), directory!("vm", VM)];
    directory(table, ENTRIES)
}

fn directory(table: &Subject, entries: &'static [Entry<Subject>]) -> Body {
    Body::Directory(Box::new(Table { subject: table.clone(), entries }))
}

/// A setting that says how the kernel is and cannot be changed.
macro_rules! fixed {
    ($name:literal, $value:expr) => {
        Entry {
            name: $name,
            kind: FileKind::Regular,
            mode: 0o444,
            make: |_| {
                Body::Text(Box::new(|text: &mut Text| {
                    text.put(format_args!("{}\n", $value));
                    Ok(())
                }))
            },
        }
    };
}

/// A number that root can change.
macro_rules! setting {
    ($name:literal, $setting:path) => {
        Entry {
            name: $name,
            kind: FileKind::Regular,
            mode: 0o644,
            make: |_| {
                Body::Setting(
                    Box::new(|text: &mut Text| {
                        text.put(format_args!("{}\n", $setting.get()));
                        Ok(())
                    }),
                    Box::new(|bytes: &[u8], _: &Cred| $setting.set(number(bytes)?)),
                )
            },
        }
    };
}

/// The number in a text (`proc_get_long()`): what follows it is left, as by a shell's `echo`. Errors: EINVAL.
fn number(bytes: &[u8]) -> Result<i64, Errno> {
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    let word = text.trim_start().split([' ', '\t', '\n', '\0']).next().unwrap_or_default();
    word.parse().map_err(|_| Errno::EINVAL)
}

/// A name that uname(2) gives and root can change.
macro_rules! name {
    ($name:literal, $field:ident, $set:path) => {
        Entry {
            name: $name,
            kind: FileKind::Regular,
            mode: 0o644,
            make: |table: &Subject| {
                let (shown, changed) = (table.clone(), table.clone());
                Body::Setting(
                    Box::new(move |text: &mut Text| {
                        let names = callers_names(&shown).names();
                        let end = names.$field.iter().position(|&byte| byte == 0).unwrap_or(names.$field.len());
                        text.bytes(&names.$field[..end]);
                        text.bytes(b"\n");
                        Ok(())
                    }),
                    Box::new(move |bytes: &[u8], cred: &Cred| {
                        const MAX_BYTES: usize = 64;
                        if !cred.capable(Capabilities::SYS_ADMIN) {
                            return Err(Errno::EPERM);
                        }
                        let line = bytes.split(|&byte| byte == b'\n' || byte == 0).next().unwrap_or_default();
                        $set(&callers_names(&changed), &line[..line.len().min(MAX_BYTES)]);
                        Ok(())
                    }),
                )
            },
        }
    };
}

const KERNEL: &[Entry<Subject>] = &[
    fixed!("cap_last_cap", 40),
    Entry {
        name: "core_pattern",
        kind: FileKind::Regular,
        mode: 0o644,
        make: |_| {
            Body::Setting(
                Box::new(|text: &mut Text| {
                    text.bytes(&core_pattern::get());
                    text.bytes(b"\n");
                    Ok(())
                }),
                Box::new(|bytes: &[u8], _: &Cred| core_pattern::set(bytes)),
            )
        },
    },
    setting!("core_uses_pid", core_pattern::USES_PID),
    fixed!("ctrl-alt-del", 0),
    name!("domainname", domainname, Namespace::set_domain),
    name!("hostname", nodename, Namespace::set_host),
    fixed!("msgmax", ipc::MSGMAX),
    fixed!("msgmnb", ipc::MSGMNB),
    fixed!("msgmni", ipc::MSGMNI),
    fixed!("ngroups_max", 65536),
    fixed!("osrelease", uts::RELEASE),
    fixed!("ostype", "Linux"),
    fixed!("overflowgid", 65534),
    fixed!("overflowuid", 65534),
    fixed!("panic", 0),
    setting!("pid_max", pid::PID_MAX_NOW),
    fixed!("printk", "7\t4\t1\t7"),
    directory!("random", RANDOM),
    fixed!("randomize_va_space", 2),
    fixed!("sched_rr_timeslice_ms", 100),
    fixed!("sched_rt_period_us", 1_000_000),
    fixed!("sched_rt_runtime_us", 950_000),
    directory!("seccomp", SECCOMP),
    fixed!("sem", format_args!("{}\t{}\t{}\t{}", ipc::SEMMSL, ipc::SEMMNS, ipc::SEMOPM, ipc::SEMMNI)),
    fixed!("shmall", ipc::SHMALL),
    fixed!("shmmax", ipc::SHMMAX),
    fixed!("shmmni", ipc::SHMMNI),
    fixed!("tainted", 0),
    setting!("threads-max", pid::THREADS_MAX),
    fixed!("version", uts::VERSION),
];

const SECCOMP: &[Entry<Subject>] = &[fixed!("actions_avail", "kill_process kill_thread trap errno trace log allow")];

const RANDOM: &[Entry<Subject>] =
    &[fixed!("boot_id", boot_id()), fixed!("entropy_avail", 256), fixed!("poolsize", 256), fixed!("uuid", uuid())];

const FS: &[Entry<Subject>] = &[
    directory!("epoll", EPOLL),
    fixed!("file-max", u64::MAX / 2),
    fixed!("file-nr", "0\t0\t9223372036854775807"),
    directory!("inotify", INOTIFY),
    setting!("lease-break-time", crate::fs::lease::BREAK_SECONDS),
    setting!("mount-max", crate::fs::mounting::MAX_MOUNTS),
    directory!("mqueue", MQUEUE),
    fixed!("nr_open", crate::fs::MAX_DESCRIPTORS),
    fixed!("pipe-max-size", 1 << 20),
    fixed!("protected_hardlinks", 0),
    fixed!("protected_symlinks", 0),
    fixed!("suid_dumpable", 0),
];

const EPOLL: &[Entry<Subject>] = &[fixed!("max_user_watches", 1_000_000)];

const INOTIFY: &[Entry<Subject>] =
    &[fixed!("max_queued_events", 16384), fixed!("max_user_instances", 128), fixed!("max_user_watches", 65536)];

const MQUEUE: &[Entry<Subject>] = &[
    setting!("msg_default", mqueue::MESSAGES),
    setting!("msg_max", mqueue::MAX_MESSAGES),
    setting!("msgsize_default", mqueue::MESSAGE_BYTES),
    setting!("msgsize_max", mqueue::MAX_MESSAGE_BYTES),
    setting!("queues_max", mqueue::MAX_QUEUES),
];

const VM: &[Entry<Subject>] = &[
    setting!("max_map_count", crate::mem::space::MAX_MAP_COUNT),
    fixed!("min_free_kbytes", 4096),
    fixed!("mmap_min_addr", crate::mem::MMAP_MIN_ADDR),
    setting!("overcommit_memory", crate::mem::space::OVERCOMMIT),
    fixed!("overcommit_ratio", 50),
    fixed!("swappiness", 60),
];

const NET: &[Entry<Subject>] = &[directory!("core", NET_CORE)];

const NET_CORE: &[Entry<Subject>] = &[fixed!("somaxconn", 4096)];

/// A random identifier (RFC 4122, version 4).
fn uuid() -> String {
    let mut bytes = [0; 16];
    random::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex =
        |range: core::ops::Range<usize>| -> String { bytes[range].iter().map(|byte| format!("{byte:02x}")).collect() };
    format!("{}-{}-{}-{}-{}", hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16))
}

/// The identifier of this boot.
fn boot_id() -> String {
    static BOOT_ID: spin::Once<String> = spin::Once::new();
    BOOT_ID.call_once(uuid).clone()
}
