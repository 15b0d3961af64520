//! [`RestartBlock`]: what restart_syscall(2) continues with after a stop or a signal without handler.

/// An interrupted wait with a relative timeout, its deadline made absolute. Kept in the thread until the
/// next signal is delivered.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum RestartBlock {
    /// Nothing to continue: EINTR.
    #[default]
    None,
    /// nanosleep(2) and clock_nanosleep(2).
    Nanosleep {
        /// The clock slept on, as the user named it.
        clock: i32,
        /// When to wake, in that clock's nanoseconds.
        deadline_ns: u64,
        /// Where the time left is written; 0 if nowhere.
        remaining: u64,
    },
    /// poll(2).
    Poll {
        /// The user's array.
        fds: u64,
        /// Its entries.
        count: u32,
        /// When to give up, in nanoseconds of CLOCK_MONOTONIC; `None` if never.
        deadline_ns: Option<u64>,
    },
    /// FUTEX_WAIT and FUTEX_WAIT_BITSET with a relative timeout.
    Futex {
        /// The futex.
        address: u64,
        /// The value expected.
        value: u32,
        /// The bits to be woken by.
        bitset: u32,
        /// Whether the futex is private and which clock counts: the operation's flags.
        flags: u32,
        /// When to give up, in nanoseconds of CLOCK_MONOTONIC.
        deadline_ns: u64,
    },
}
