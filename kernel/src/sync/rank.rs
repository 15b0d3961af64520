//! The lock order: a CPU takes locks in strictly ascending rank.

/// The place of a lock in the order. A lock may be taken only while every lock already held on this CPU
/// has a lower rank. Grouped by room, outermost first; leave a comment where the order is not obvious.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Rank {
    /// An open file description's position, while it is read or written. Outermost: reading a file of /proc looks at
    /// processes.
    FilePosition,
    // Names and relations of processes.
    /// Which group a process is in. Nested parent before newborn child.
    Membership,
    /// The process table's shards.
    PidTable,
    /// A process group's members.
    Group,
    /// A session's groups.
    Session,
    /// A process's parent and children. Nested parent first.
    Family,
    /// A process's pointer to its parent.
    Parent,
    /// A process's threads.
    Threads,
    /// What a thread works with.
    Holdings,
    /// Threads counted per user.
    Users,
    /// Who traces a thread, and where it has stopped for its tracer.
    Tracing,
    // What a process has.
    /// A process's signal state.
    Signal,
    /// A thread's queue of signals.
    SignalThread,
    /// A table of signal actions.
    SignalActions,
    /// Signals queued per user.
    SignalBudget,
    /// A process's tables of timers.
    ProcessTimers,
    /// A table of file descriptors.
    FdTable,
    /// A process's root, working directory and umask.
    FsContext,
    /// Credentials and limits.
    Cred,
    // Files.
    /// The shape of the trees: held by whoever moves a directory.
    Rename,
    /// The mount table.
    Mount,
    /// What a mount covers.
    MountPlace,
    /// A directory's entries. Nested ancestor first.
    Directory,
    /// A name's place in the tree.
    Dentry,
    /// A regular file's content, while it is written or cut.
    FileContent,
    /// An inode's attributes and what hangs on it.
    Inode,
    /// An open file description's other fields.
    File,
    /// Who watches an inode.
    Watches,
    /// An inotify instance.
    Inotify,
    /// Record locks on a file.
    FileLocks,
    /// Who waits for whose record lock.
    LockGraph,
    /// The generator of random bytes.
    Random,
    /// The registry of device drivers.
    Registry,
    /// The tables of System V semaphores and message queues.
    SysvTable,
    /// The table of unix sockets' abstract names, and the list of open files to be dropped.
    SocketNames,
    /// An epoll instance's items, and the graph of instances that watch each other.
    EpollItems,
    /// A pipe, socket, eventfd or other queue of bytes or messages.
    Ipc,
    /// Who watches a file's readiness. Nested watched before watcher.
    Watchers,
    /// An epoll instance's ready list.
    Epoll,
    /// The tables of controlling terminals and of ptys.
    Terminals,
    /// A terminal.
    Tty,
    /// A device.
    Device,
    // Waiting.
    /// A futex bucket.
    Futex,
    // Memory: everything above may fault on user memory only if listed as such in its own docs.
    /// An address space.
    AddressSpace,
    /// A page cache.
    PageCache,
    /// Reverse maps and shared memory objects.
    SharedMemory,
    // Leaves.
    /// How to wake a thread (copied under the lock, called after it), and what it keeps to itself of signals.
    Waker,
    /// Who is told when the clock is set.
    ClockWatchers,
    /// One timer's setting.
    TimerState,
    /// Deadlines.
    Timer,
    /// The kernel heap.
    Heap,
    /// The frame allocator.
    Frames,
    /// The kernel's log.
    KernelLog,
}
