//! System calls: the table, and one translation module per family.
//!
//! # To add a system call
//! 1. Write the handler in its family's module here, e.g. `syscall/file.rs`:
//!    `pub fn sys_dup(cx: &mut Cx<'_>, fd: i32) -> SyscallResult` if it can never wait, else
//!    `pub async fn sys_read(cx: &mut Cx<'_>, fd: i32, buffer: UserAddr, count: usize) -> SyscallResult`.
//!    A handler only translates: it decodes, calls one mechanism of another room and encodes the result. Its doc comment
//!    names the man page, the Linux function whose order of checks it follows, when it waits, and `Deviates:` where it does.
//! 2. Add its line to [`table`], in the family's section:
//!    `32 dup(fildes: i32) now file::sys_dup, full;`
//!    The kinds: `now` (a plain function: no future, no allocation; it runs before the registers that a function keeps
//!    have been stored), `whole` (the same for one that copies or replaces all registers), `wait` (async, in a slot of the thread's own
//!    future, which it must fit into or the build fails: keep its locals few), `boxed` (async, rare or fat: put in
//!    a box). A `wait` call that mostly need not wait may name, in brackets, a plain function that is tried first
//!    and gives `None`, having done nothing, when it would have to: `wait io::sys_read [io::read_at_once]`. The note: `full`, or `partial "what is missing and why"`.
//! 3. An argument's type is anything that is [`FromRegister`]. If a trace should show it by name, give it a type of
//!    its own with a [`TraceArgument`] (see [`args`]).
//!
//! # To wait
//! `cx.interruptible(future).await?` on behalf of a user: polls the future first, then looks for signals, and gives
//! `Err(Interrupted)`, which `?` turns into `ERESTARTSYS`; use `.map_err(|_| Errno::EINTR)` where Linux does not restart.
//! Never hold a spin guard across an await (the compiler refuses) nor while copying to or from user memory.
//!
//! [`call_now`], [`call_whole`] and [`call_wait`] are called by `thread/run.rs`, the one place where user mode is entered and left.

pub mod args;
pub mod copy;
pub mod cred;
mod cx;
pub mod epoll;
pub mod exec;
pub mod file;
mod files;
pub mod futex;
pub mod inotify;
pub mod io;
pub mod ioprio;
pub mod kcmp;
pub mod machine;
pub mod memory;
pub mod message;
pub mod mount;
pub mod mqueue;
mod names;
pub mod path;
pub mod pipe;
pub mod poll;
pub mod prctl;
pub mod process;
pub mod process_vm;
pub mod ptrace;
pub mod resource;
pub mod sched;
pub mod seccomp;
pub mod shm;
pub mod signal;
pub mod socket;
pub mod sockopt;
pub mod stat;
#[cfg(not(target_os = "none"))]
pub mod support;
pub mod syslog;
pub mod system;
pub mod sysv;
pub mod table;
pub mod thread;
pub mod time;
pub mod timer;
pub mod timerfd;
pub mod trace;
pub mod wait;
pub mod xattr;

pub use args::{FromRegister, TraceArgument};
pub use cx::Cx;
pub use table::{Waiting, call_now, call_wait, call_whole};

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use abi::{Errno, Pod};

use crate::mem::UserAddr;
use crate::mem::user::copy_in;
use crate::thread::Private;

/// What a handler gives: the value of `rax`, or an error.
pub type SyscallResult = Result<usize, Errno>;

pin_project_lite::pin_project! {
    /// A call whose arguments were looked at before there was a future, which has no need to keep them then.
    #[project = PreparedProjection]
    #[must_use = "futures do nothing unless polled"]
    enum Prepared<F> {
        /// It is refused.
        Refused { error: Errno },
        /// What is left of it.
        Waits { #[pin] future: F },
    }
}

impl<F: Future<Output = SyscallResult>> Future for Prepared<F> {
    type Output = SyscallResult;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SyscallResult> {
        match self.project() {
            PreparedProjection::Waits { future } => future.poll(cx),
            PreparedProjection::Refused { error } => Poll::Ready(Err(*error)),
        }
    }
}

/// A structure whose size its caller names, as newer calls have it (`copy_struct_from_user()`): a shorter one is filled up
/// with zeros, of a longer one the rest must be zero. Errors: E2BIG, EFAULT.
pub fn copy_struct<T: Pod>(address: u64, size: u64) -> Result<T, Errno> {
    let known = size_of::<T>() as u64;
    if size > known && !thread::is_zero_tail(address, known, size)? {
        return Err(Errno::E2BIG);
    }
    let mut value = T::new_zeroed();
    let bytes = value.as_mut_bytes();
    let len = known.min(size) as usize;
    copy_in(UserAddr(address), &mut bytes[..len])?;
    Ok(value)
}

/// Leaves the result of call `number` in the caller's registers. An error that only a signal can cause stays with the
/// number, until the way back to user mode has decided between EINTR and another try.
#[inline]
pub fn finish(private: &mut Private, number: u64, result: SyscallResult) {
    match result {
        Ok(value) => private.context.rax = value as u64,
        Err(error) => {
            private.context.rax = error.to_return_value();
            if error.number() >= Errno::ERESTARTSYS.number() {
                private.call = Some(number);
            }
        }
    }
}
