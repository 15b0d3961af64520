//! Futexes (futex(2), futex(7)): sleeping on a word of user memory until somebody wakes that word.
//!
//! Waiters sleep in one [`KeyedWaitTable`] under the [`FutexKey`] of their word. The last look at the word and the queuing are one
//! step under the lock of the key's list, and so is the whole of a wake; thus none is lost. The word is then read without
//! faulting (its page is brought in beforehand and the step tried again if it has gone), since a fault takes locks of
//! its own. A wake is counted exactly: a waiter that was woken returns success even if a signal or its timeout came in
//! the same moment.
//!
//! [`pi`] has the locks with priority inheritance, [`waitv`] the wait on many words.

pub mod pi;
pub mod waitv;

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use abi::Errno;
use abi::futex::{FUTEX_BITSET_MATCH_ANY, FutexFlags};
use runtime::{KeyedWait, KeyedWaitTable, Timeout};

use super::Thread;
use crate::mem::{self, Access, AddressSpace, UserWord};
use crate::process::FutexKey;
use crate::signal::RestartBlock;
use crate::sync::executor::{self, Machine};

/// A waiter as wakers see it.
pub struct Waiter {
    /// The bits it can be woken by.
    bitset: u32,
    /// Who it is, and what it waits for.
    role: Role,
}

/// What a waiter waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A wake.
    Plain,
    /// A wake upon which it takes the lock with this key (`FUTEX_WAIT_REQUEUE_PI`).
    RequeuePi(FutexKey),
    /// A lock.
    Pi(pi::Contender),
}

/// Lists of waiters to begin with; the table grows as they get long.
const LISTS: usize = 256;

static TABLE: spin::Once<KeyedWaitTable<FutexKey, Waiter>> = spin::Once::new();

fn table() -> &'static KeyedWaitTable<FutexKey, Waiter> {
    TABLE.call_once(|| KeyedWaitTable::new(LISTS))
}

/// A word of the current address space to wait on or wake.
#[derive(Clone, Copy)]
pub struct Futex {
    /// The word.
    pub word: UserWord,
    /// Its key.
    pub key: FutexKey,
}

impl Futex {
    /// The futex at `address`. Errors: EINVAL if it is not aligned, EFAULT outside the user half or, if it may be shared,
    /// where nothing is mapped. Order: `get_futex_key()`.
    pub fn at(address: u64, private: bool) -> Result<Self, Errno> {
        Self::in_space(&*mem::current_space().ok_or(Errno::EFAULT)?, address, private)
    }

    /// The same for a caller that has the current space at hand.
    #[inline]
    pub fn in_space(space: &AddressSpace, address: u64, private: bool) -> Result<Self, Errno> {
        let word = UserWord::new(address)?;
        Ok(Self { word, key: FutexKey::new(space.word_key(address, !private)?, private) })
    }
}

/// Why the step of looking and queuing came to nothing.
pub enum Refused {
    /// The word has another value.
    Differs,
    /// The word's page is not there just now.
    Absent,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitEnd {
    /// Woken.
    Woken,
    /// The deadline came first.
    TimedOut,
    /// A signal came first.
    Interrupted,
    /// The same, of a plain wait with a deadline: restart_syscall(2) continues it with what is left of its time.
    Suspended,
}

/// Waits on a futex while it holds `value`, until woken by one of the bits, the monotonic time `deadline_ns`
/// (`u64::MAX`: none) or a signal. Errors: EAGAIN if the word has another value, EFAULT.
#[inline]
pub fn wait<'t>(
    thread: &'t Thread,
    futex: Futex,
    value: u32,
    bitset: u32,
    deadline_ns: u64,
) -> Sleep<'t, impl FnMut() -> Result<(), Refused> + Send + use<>> {
    sleep(thread, futex, value, Waiter { bitset, role: Role::Plain }, deadline_ns)
}

/// The same for a waiter of any role.
#[inline]
fn sleep<'t>(
    thread: &'t Thread,
    futex: Futex,
    value: u32,
    waiter: Waiter,
    deadline_ns: u64,
) -> Sleep<'t, impl FnMut() -> Result<(), Refused> + Send + use<>> {
    let check = move || match futex.word.load_resident() {
        None => Err(Refused::Absent),
        Some(found) if found != value => Err(Refused::Differs),
        Some(_) => Ok(()),
    };
    let queued = executor::timeout_at(deadline_ns, table().wait(futex.key, waiter, check));
    Sleep { thread, word: futex.word, value, queued }
}

pin_project_lite::pin_project! {
    /// The future of [`wait`], written by hand: one state instead of one for each of the futures it is made of, and no
    /// second place for its arguments.
    #[must_use = "futures do nothing unless polled"]
    pub struct Sleep<'t, F> {
        thread: &'t Thread,
        word: UserWord,
        value: u32,
        #[pin]
        queued: Timeout<'static, Machine, KeyedWait<'static, FutexKey, Waiter, F>>,
    }
}

impl<F: FnMut() -> Result<(), Refused>> Future for Sleep<'_, F> {
    type Output = Result<WaitEnd, Errno>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let end = loop {
            match this.queued.as_mut().poll(cx) {
                Poll::Ready(Ok(Ok(()))) => return Poll::Ready(Ok(WaitEnd::Woken)),
                Poll::Ready(Ok(Err(Refused::Differs))) => return Poll::Ready(Err(Errno::EAGAIN)),
                Poll::Ready(Ok(Err(Refused::Absent))) => this.word.bring_in(Access::Read)?,
                Poll::Ready(Err(_elapsed)) => break WaitEnd::TimedOut,
                Poll::Pending if this.thread.interrupted() => break WaitEnd::Interrupted,
                Poll::Pending => return Poll::Pending,
            }
        };
        let deadline_ns = this.queued.deadline_ns();
        let mut waiter = this.queued.inner();
        if waiter.as_mut().leave() {
            return Poll::Ready(Ok(WaitEnd::Woken));
        }
        Poll::Ready(Ok(match waiter.parts() {
            Some((key, Waiter { bitset, role: Role::Plain }))
                if end == WaitEnd::Interrupted && deadline_ns != u64::MAX =>
            {
                suspend(this.thread, Futex { word: *this.word, key: *key }, *this.value, *bitset, deadline_ns)
            }
            _ => end,
        }))
    }
}

/// Notes how an interrupted wait goes on.
#[cold]
fn suspend(thread: &Thread, futex: Futex, value: u32, bitset: u32, deadline_ns: u64) -> WaitEnd {
    let flags = if futex.key.is_private() { FutexFlags::FUTEX_PRIVATE_FLAG.bits() } else { 0 };
    let address = futex.word.addr().0;
    thread.signals.set_restart(RestartBlock::Futex { address, value, bitset, flags, deadline_ns });
    WaitEnd::Suspended
}

/// Wakes up to `count` waiters that wait for one of the bits, the longest waiting first; gives how many. Errors: EINVAL if
/// one of them waits for a lock and can only be given that.
pub fn wake(futex: Futex, count: usize, bitset: u32) -> Result<usize, Errno> {
    let mut mismatch = false;
    let woken = table().wake(&futex.key, count, |waiter| {
        mismatch |= waiter.role != Role::Plain;
        !mismatch && waiter.bitset & bitset != 0
    });
    if mismatch && woken == 0 { Err(Errno::EINVAL) } else { Ok(woken) }
}

/// Wakes waiters on the shared futex at `address`, on behalf of a thread that ends. A bad address is nobody's futex.
pub fn wake_shared(address: u64, count: usize) {
    if let Ok(futex) = Futex::at(address, false) {
        let _ = wake(futex, count, FUTEX_BITSET_MATCH_ANY);
    }
}

/// Wakes up to `wake` waiters of one futex and moves up to `limit` more to another; gives both numbers together. With
/// `expected`, only if the first holds that value. Errors: EAGAIN if it does not, EFAULT.
pub fn requeue(from: Futex, to: Futex, wake: usize, limit: usize, expected: Option<u32>) -> Result<usize, Errno> {
    loop {
        let check = || match (expected, from.word.load_resident()) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Refused::Absent),
            (Some(expected), Some(found)) if found != expected => Err(Refused::Differs),
            _ => Ok(()),
        };
        match table().requeue(&from.key, &to.key, wake, limit, check) {
            Ok(done) => return Ok(done.woken + done.moved),
            Err(Refused::Differs) => return Err(Errno::EAGAIN),
            Err(Refused::Absent) => from.word.bring_in(Access::Read)?,
        }
    }
}

/// Changes the second word by `operation` and wakes waiters of the first, and, if `compare` says so of the second's old value,
/// of the second as well (`FUTEX_WAKE_OP`). Errors: EFAULT, EINVAL.
pub fn wake_op(
    first: Futex,
    second: Futex,
    wake_first: usize,
    wake_second: usize,
    operation: impl Fn(u32) -> u32,
    compare: impl Fn(u32) -> bool,
) -> Result<usize, Errno> {
    let old = second.word.update(operation)?;
    let mut woken = wake(first, wake_first, FUTEX_BITSET_MATCH_ANY)?;
    if compare(old) {
        woken += wake(second, wake_second, FUTEX_BITSET_MATCH_ANY)?;
    }
    Ok(woken)
}
