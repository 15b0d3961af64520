//! The root of /proc: the texts about the system, and a directory for each process.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;

use abi::Errno;

use super::node::{Body, Directory, Entry, Node, Table, Text};
use super::task::Task;
use super::{meminfo, slab, sys, system, sysvipc};
use crate::fs::{FileKind, LinkTarget};
use crate::process::{Pid, PidTable};

/// The root directory's node.
pub fn node(table: Arc<PidTable>) -> Node {
    Node::new(
        Body::Directory(Box::new(Root { table: table.clone(), texts: Table { subject: table, entries: TEXTS } })),
        0o555,
    )
}

struct Root {
    table: Arc<PidTable>,
    texts: Table<Arc<PidTable>>,
}

/// A text about the system.
macro_rules! text {
    ($name:literal, $make:path) => {
        text!($name, $make, 0o444)
    };
    ($name:literal, $make:path, $mode:literal) => {
        Entry {
            name: $name,
            kind: FileKind::Regular,
            mode: $mode,
            make: |table: &Arc<PidTable>| {
                let table = table.clone();
                Body::Text(Box::new(move |text: &mut Text| -> Result<(), Errno> {
                    $make(text, &table);
                    Ok(())
                }))
            },
        }
    };
}

/// A link made for whoever asks.
macro_rules! own_link {
    ($name:literal, |$asker:ident| $target:expr) => {
        Entry {
            name: $name,
            kind: FileKind::Symlink,
            mode: 0o777,
            make: |_| {
                Body::Link(Box::new(|$asker| {
                    if $asker.pid == 0 {
                        return Err(Errno::ENOENT);
                    }
                    Ok(LinkTarget::Text(Arc::from($target.into_bytes())))
                }))
            },
        }
    };
}

const TEXTS: &[Entry<Arc<PidTable>>] = &[
    own_link!("self", |asker| format!("{}", asker.pid)),
    own_link!("thread-self", |asker| format!("{}/task/{}", asker.pid, asker.tid)),
    own_link!("mounts", |_asker| alloc::string::String::from("self/mounts")),
    own_link!("net", |_asker| alloc::string::String::from("self/net")),
    text!("cmdline", system::cmdline),
    text!("cpuinfo", system::cpuinfo),
    text!("devices", system::devices),
    text!("diskstats", system::nothing),
    text!("filesystems", system::filesystems),
    text!("loadavg", system::loadavg),
    text!("locks", system::nothing),
    text!("meminfo", meminfo::meminfo),
    text!("modules", system::nothing),
    text!("partitions", system::partitions),
    text!("slabinfo", slab::slabinfo, 0o400),
    text!("stat", system::stat),
    text!("swaps", system::swaps),
    text!("uptime", system::uptime),
    text!("version", system::version),
    text!("vmstat", system::vmstat),
    Entry { name: "sysvipc", kind: FileKind::Directory, mode: 0o555, make: sysv },
    Entry { name: "sys", kind: FileKind::Directory, mode: 0o555, make: sys::root },
];

/// /proc/sysvipc.
fn sysv(table: &Arc<PidTable>) -> Body {
    const ENTRIES: &[Entry<Arc<PidTable>>] =
        &[text!("msg", sysvipc::messages), text!("sem", sysvipc::semaphores), text!("shm", sysvipc::memory)];
    Body::Directory(Box::new(Table { subject: table.clone(), entries: ENTRIES }))
}

/// Listing positions below this are the table's; a process's is its pid above it.
const FIRST_PROCESS: u64 = 256;

impl Directory for Root {
    fn lookup(&self, name: &[u8]) -> Option<Node> {
        match number(name) {
            // A thread's number works here, too, though it is not listed.
            Some(pid) => Some(Task::find(&self.table, pid)?.node()),
            None => self.texts.lookup(name),
        }
    }

    fn list(&self, position: u64, give: &mut dyn FnMut(&[u8], FileKind, u64) -> bool) {
        let mut full = false;
        if position < FIRST_PROCESS {
            self.texts.list(position, &mut |name, kind, next| {
                full = !give(name, kind, next);
                !full
            });
        }
        let mut from = Pid::try_from(position.saturating_sub(FIRST_PROCESS)).unwrap_or(Pid::MAX);
        while let (false, Some(process)) = (full, self.table.next_process(from)) {
            let name = format!("{}", process.pid);
            from = process.pid.saturating_add(1);
            full = !give(name.as_bytes(), FileKind::Directory, FIRST_PROCESS + from.unsigned_abs() as u64);
        }
    }
}

/// A positive decimal number without leading zeros (`name_to_int`).
pub fn number(name: &[u8]) -> Option<Pid> {
    let text = core::str::from_utf8(name).ok().filter(|text| !text.starts_with(['0', '+', '-']) || *text == "0")?;
    text.parse().ok()
}
