//! Pipes, sockets, eventfd, epoll and other ways to talk.
//!
//! Each object is a `FileOps`: non-blocking tries, its readiness, and a `ReadyQueue`; blocking is the file's.

pub mod epoll;
pub mod eventfd;
pub mod inet;
pub mod mqueue;
pub mod pipe;
pub mod poll;
pub mod shm;
pub mod socket;
pub mod sysv;
pub mod timerfd;
pub mod unix;

/// Makes FIFOs known to open(2), and the file system of message queues to mount(2). Called once, at boot.
pub fn init() {
    crate::fs::device::register_fifo_opener(pipe::open_fifo);
    mqueue::install();
}
