//! Sets of [`PollEvents`] with a meaning of their own.

pub use abi::poll::PollEvents;

/// What a file that never blocks is ready for (`DEFAULT_POLLMASK`).
pub const ALWAYS_READY: PollEvents =
    PollEvents::POLLIN.union(PollEvents::POLLOUT).union(PollEvents::POLLRDNORM).union(PollEvents::POLLWRNORM);

/// Any of these lets a reader go on: data, end of file or an error.
pub const READER_WAKES: PollEvents = PollEvents::POLLIN
    .union(PollEvents::POLLRDNORM)
    .union(PollEvents::POLLHUP)
    .union(PollEvents::POLLERR)
    .union(PollEvents::POLLRDHUP);

/// Any of these lets a writer go on: room or an error.
pub const WRITER_WAKES: PollEvents =
    PollEvents::POLLOUT.union(PollEvents::POLLWRNORM).union(PollEvents::POLLHUP).union(PollEvents::POLLERR);
