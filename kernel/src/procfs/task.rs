//! [`Task`]: the process or thread that files of /proc/PID are about, and that directory itself.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;

use abi::Errno;

use super::node::{Body, Directory, Entry, Node, Table, Text};
use super::{fd, memory, mounts, net as sockets, root, smaps, stat, status};
use crate::fs::{Cred, FileKind, LinkTarget, Path};
use crate::process::{Holdings, Pid, PidTable, Process, Thread};

/// A process, or one thread of it.
#[derive(Clone)]
pub struct Task {
    /// The process.
    pub process: Arc<Process>,
    /// The thread, for /proc/PID/task/TID; `None` for the process as a whole.
    pub only: Option<Arc<Thread>>,
}

impl Task {
    /// The task numbered so: a process, or the thread of one.
    pub fn find(table: &PidTable, pid: Pid) -> Option<Self> {
        if let Some(process) = table.process(pid) {
            return Some(Self { process, only: None });
        }
        let thread = table.thread(pid)?;
        Some(Self { process: thread.process.clone(), only: Some(thread) })
    }

    /// Its number.
    pub fn id(&self) -> Pid {
        self.only.as_ref().map_or(self.process.pid, |thread| thread.tid())
    }

    /// The thread that stands for it: the leader, or any other once that has ended. `None` for a zombie.
    pub fn thread(&self) -> Option<Arc<Thread>> {
        if let Some(thread) = &self.only {
            return Some(thread.clone());
        }
        let threads = self.process.threads();
        threads.live.get(&self.process.pid).or_else(|| threads.live.values().next()).cloned()
    }

    /// What it works with. `ESRCH` for a zombie.
    pub fn holdings(&self) -> Result<Holdings, Errno> {
        self.thread().map(|thread| thread.holdings()).ok_or(Errno::ESRCH)
    }

    /// Whether it has been waited for and is no more.
    pub fn is_gone(&self) -> bool {
        self.process.is_reaped()
    }

    /// Whether the asker may look into it (`ptrace_may_access`). `EACCES`, `ESRCH`.
    pub fn check_access(&self, cred: &Cred, pid: Pid) -> Result<(), Errno> {
        let thread = self.thread().ok_or(Errno::ESRCH)?;
        if pid == self.process.pid || thread.may_be_seen_by(cred) { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// The owner of its files: its effective identity.
    fn owner(&self) -> (u32, u32) {
        self.thread().map_or((self.process.uid(), 0), |thread| {
            let cred = thread.cred();
            (cred.euid, cred.egid)
        })
    }

    /// The node of its directory.
    pub fn node(self) -> Node {
        let owner = self.owner();
        let watched = self.clone();
        let node = Node::new(Body::Directory(Box::new(TaskDirectory(self))), 0o555);
        Node { owner, still_valid: Some(Box::new(move || !watched.is_gone())), ..node }
    }
}

/// A text about a task.
macro_rules! text {
    ($name:literal, $mode:literal, $make:path) => {
        Entry {
            name: $name,
            kind: FileKind::Regular,
            mode: $mode,
            make: |task: &Task| {
                let task = task.clone();
                Body::Text(Box::new(move |text: &mut Text| $make(text, &task)))
            },
        }
    };
}

/// A text about a task that can be changed.
macro_rules! setting {
    ($name:literal, $make:path, $take:path) => {
        Entry {
            name: $name,
            kind: FileKind::Regular,
            mode: 0o644,
            make: |task: &Task| {
                let (shown, changed) = (task.clone(), task.clone());
                Body::Setting(
                    Box::new(move |text: &mut Text| $make(text, &shown)),
                    Box::new(move |bytes: &[u8], cred: &Cred| $take(bytes, &changed, cred)),
                )
            },
        }
    };
}

/// A link to a place the task holds.
macro_rules! place {
    ($name:literal, $find:path) => {
        Entry {
            name: $name,
            kind: FileKind::Symlink,
            mode: 0o777,
            make: |task: &Task| {
                let task = task.clone();
                Body::Link(Box::new(move |asker| {
                    task.check_access(asker.cred, asker.pid)?;
                    $find(&task).map(LinkTarget::Place)
                }))
            },
        }
    };
}

/// A directory of a task.
macro_rules! directory {
    ($name:literal, $mode:literal, $make:path) => {
        Entry {
            name: $name,
            kind: FileKind::Directory,
            mode: $mode,
            make: |task: &Task| Body::Directory(Box::new($make(task.clone()))),
        }
    };
}

const ENTRIES: &[Entry<Task>] = &[
    directory!("task", 0o555, Threads),
    directory!("fd", 0o500, fd::Descriptors),
    directory!("fdinfo", 0o555, fd::DescriptorInfos),
    directory!("net", 0o555, net),
    directory!("ns", 0o511, namespaces),
    place!("cwd", cwd),
    place!("root", root_of),
    place!("exe", exe),
    text!("auxv", 0o400, memory::auxv),
    text!("cgroup", 0o444, status::cgroup),
    text!("cmdline", 0o444, memory::cmdline),
    setting!("comm", status::comm, status::set_comm),
    setting!("coredump_filter", status::coredump_filter, status::set_coredump_filter),
    text!("environ", 0o400, memory::environ),
    text!("io", 0o400, status::io),
    text!("limits", 0o444, status::limits),
    text!("maps", 0o444, memory::maps),
    Entry { name: "mem", kind: FileKind::Regular, mode: 0o600, make: memory::contents },
    text!("mountinfo", 0o444, mounts::mountinfo),
    text!("mounts", 0o444, mounts::mounts),
    text!("oom_score", 0o444, status::oom_score),
    setting!("oom_score_adj", status::oom_score_adj, status::set_oom_score_adj),
    text!("personality", 0o400, status::personality),
    text!("schedstat", 0o444, stat::schedstat),
    text!("smaps", 0o444, smaps::smaps),
    text!("smaps_rollup", 0o444, smaps::smaps_rollup),
    text!("stat", 0o444, stat::stat),
    text!("statm", 0o444, memory::statm),
    text!("status", 0o444, status::status),
    text!("timerslack_ns", 0o444, status::timer_slack),
    text!("wchan", 0o444, stat::wchan),
];

/// What a thread's own directory has: all but the list of threads.
const THREAD_ENTRIES: &[Entry<Task>] = ENTRIES.split_first().expect("the list of threads comes first").1;

fn net(task: Task) -> Table<Task> {
    const NET: &[Entry<Task>] = &[
        text!("dev", 0o444, status::net_dev),
        text!("route", 0o444, status::nothing),
        text!("tcp", 0o444, sockets::tcp),
        text!("tcp6", 0o444, sockets::tcp6),
        text!("udp", 0o444, sockets::udp),
        text!("udp6", 0o444, sockets::udp6),
        text!("unix", 0o444, status::nothing),
    ];
    Table { subject: task, entries: NET }
}

fn namespaces(task: Task) -> Table<Task> {
    const NAMESPACES: &[Entry<Task>] = &[place!("uts", uts)];
    Table { subject: task, entries: NAMESPACES }
}

fn uts(task: &Task) -> Result<Path, Errno> {
    task.thread().map(|thread| thread.uts().place()).ok_or(Errno::ESRCH)
}

fn cwd(task: &Task) -> Result<Path, Errno> {
    task.holdings()?.fs.map(|fs| fs.cwd()).ok_or(Errno::ENOENT)
}

fn root_of(task: &Task) -> Result<Path, Errno> {
    task.holdings()?.fs.map(|fs| fs.root()).ok_or(Errno::ENOENT)
}

fn exe(task: &Task) -> Result<Path, Errno> {
    task.process.program().exe.map(|exe| exe.path().clone()).ok_or(Errno::ENOENT)
}

/// /proc/PID, or /proc/PID/task/TID.
struct TaskDirectory(Task);

impl TaskDirectory {
    fn table(&self) -> Table<Task> {
        let entries = if self.0.only.is_some() { THREAD_ENTRIES } else { ENTRIES };
        Table { subject: self.0.clone(), entries }
    }
}

impl Directory for TaskDirectory {
    fn lookup(&self, name: &[u8]) -> Option<Node> {
        if self.0.is_gone() {
            return None;
        }
        let node = self.table().lookup(name)?;
        Some(Node { owner: self.0.owner(), ..node })
    }

    fn list(&self, position: u64, give: &mut dyn FnMut(&[u8], FileKind, u64) -> bool) {
        self.table().list(position, give);
    }

    fn is_gone(&self) -> bool {
        self.0.is_gone()
    }

    fn process(&self) -> Option<&Arc<Process>> {
        self.0.only.is_none().then_some(&self.0.process)
    }
}

/// /proc/PID/task.
struct Threads(Task);

impl Directory for Threads {
    fn lookup(&self, name: &[u8]) -> Option<Node> {
        let tid = root::number(name)?;
        let thread = self.0.process.threads().live.get(&tid).cloned()?;
        Some(Task { process: self.0.process.clone(), only: Some(thread) }.node())
    }

    fn list(&self, position: u64, give: &mut dyn FnMut(&[u8], FileKind, u64) -> bool) {
        let mut from = Pid::try_from(position).unwrap_or(Pid::MAX);
        loop {
            let next = self.0.process.threads().live.range(from..).next().map(|(tid, _)| *tid);
            let Some(tid) = next else { return };
            from = tid.saturating_add(1);
            if !give(format!("{tid}").as_bytes(), FileKind::Directory, u64::from(from.unsigned_abs())) {
                return;
            }
        }
    }

    fn is_gone(&self) -> bool {
        self.0.is_gone()
    }
}
