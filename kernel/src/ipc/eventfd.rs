//! [`EventFd`]: a counter to wait on (eventfd(2)).
//!
//! Lock: the counter (rank `Ipc`).

use alloc::sync::Arc;

use abi::Errno;
use abi::poll::PollEvents;

use crate::fs::{File, FileOps, FileTraits, ReadyQueue, Sink, Source};
use crate::sync::{Rank, SpinLock};

/// The greatest value writes can reach; one more is `POLLERR`, which only the kernel's own signalling can reach.
const MAX: u64 = u64::MAX - 1;

/// Bytes of a value in read(2) and write(2).
const VALUE_BYTES: usize = size_of::<u64>();

/// The object behind an eventfd.
pub struct EventFd {
    count: SpinLock<u64>,
    /// A read takes 1 rather than all.
    semaphore: bool,
    ready: ReadyQueue,
}

impl EventFd {
    /// An eventfd that starts at `count`.
    pub fn new(count: u32, semaphore: bool) -> Arc<Self> {
        Arc::new(Self { count: SpinLock::new(Rank::Ipc, u64::from(count)), semaphore, ready: ReadyQueue::new() })
    }

    /// Takes the count, or 1 of it; `EAGAIN` at 0 (`eventfd_ctx_do_read`).
    pub fn take(&self) -> Result<u64, Errno> {
        let mut count = self.count.lock();
        let taken = if self.semaphore { 1.min(*count) } else { *count };
        if taken == 0 {
            return Err(Errno::EAGAIN);
        }
        *count -= taken;
        drop(count);
        self.ready.wake(PollEvents::POLLOUT | PollEvents::POLLWRNORM);
        Ok(taken)
    }

    /// Adds to the count; `EAGAIN` if that would pass the limit, `EINVAL` for all ones (`eventfd_write`).
    pub fn add(&self, value: u64) -> Result<(), Errno> {
        if value == u64::MAX {
            return Err(Errno::EINVAL);
        }
        let mut count = self.count.lock();
        if value > MAX - *count {
            return Err(Errno::EAGAIN);
        }
        *count += value;
        drop(count);
        self.ready.wake(PollEvents::POLLIN | PollEvents::POLLRDNORM);
        Ok(())
    }

    /// What it is ready for (`eventfd_poll`).
    fn events(&self) -> PollEvents {
        let count = *self.count.lock();
        let mut events = PollEvents::empty();
        events.set(PollEvents::POLLIN, count > 0);
        events.set(PollEvents::POLLERR, count > MAX);
        events.set(PollEvents::POLLOUT, count < MAX);
        events
    }
}

impl FileOps for EventFd {
    fn traits(&self) -> FileTraits {
        FileTraits::STREAM | FileTraits::ONE_ACT | FileTraits::SEEK_IS_IDLE
    }

    /// `EINVAL` for a buffer of less than 8 bytes.
    fn try_read(&self, _file: &File, sink: &mut dyn Sink, _offset: u64) -> Result<usize, Errno> {
        if sink.remaining() < VALUE_BYTES {
            return Err(Errno::EINVAL);
        }
        let value = self.take()?;
        match sink.put(&value.to_ne_bytes())? {
            VALUE_BYTES => Ok(VALUE_BYTES),
            _ => Err(Errno::EFAULT),
        }
    }

    /// `EINVAL` for less than 8 bytes.
    fn try_write(&self, _file: &File, source: &mut dyn Source, _offset: u64) -> Result<usize, Errno> {
        if source.remaining() < VALUE_BYTES {
            return Err(Errno::EINVAL);
        }
        let mut value = [0; VALUE_BYTES];
        if source.peek(&mut value)? < VALUE_BYTES {
            return Err(Errno::EFAULT);
        }
        self.add(u64::from_ne_bytes(value))?;
        source.take(&mut value)
    }

    fn readiness(&self, _file: &File) -> PollEvents {
        self.events()
    }

    fn wait_queue(&self) -> Option<&ReadyQueue> {
        Some(&self.ready)
    }

    fn fdinfo(&self, _file: &File, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        writeln!(out, "eventfd-count: {:16x}", *self.count.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_takes_the_whole_count_and_then_would_block() {
        let event = EventFd::new(3, false);
        assert_eq!(event.add(4), Ok(()));
        assert_eq!(event.take(), Ok(7));
        assert_eq!(event.take(), Err(Errno::EAGAIN));
    }

    #[test]
    fn a_semaphore_gives_one_at_a_time() {
        let event = EventFd::new(2, true);
        assert_eq!((event.take(), event.take()), (Ok(1), Ok(1)));
        assert_eq!(event.take(), Err(Errno::EAGAIN));
    }

    #[test]
    fn a_write_that_would_overflow_would_block() {
        let event = EventFd::new(0, false);
        assert_eq!(event.add(u64::MAX - 1), Ok(()));
        assert_eq!(event.events(), PollEvents::POLLIN);
        assert_eq!(event.add(1), Err(Errno::EAGAIN));
        assert_eq!(event.add(u64::MAX), Err(Errno::EINVAL));
        assert_eq!(event.add(0), Ok(()));
    }

    #[test]
    fn it_is_writable_until_one_below_the_limit() {
        let event = EventFd::new(0, false);
        assert_eq!(event.events(), PollEvents::POLLOUT);
        assert_eq!(event.add(u64::MAX - 2), Ok(()));
        assert_eq!(event.events(), PollEvents::POLLIN | PollEvents::POLLOUT);
    }
}
