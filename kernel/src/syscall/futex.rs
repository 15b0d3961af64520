//! futex(2), futex_waitv(2).

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use abi::Errno;
use abi::futex::*;
use abi::time::{CLOCK_MONOTONIC, CLOCK_REALTIME, NSEC_PER_SEC, Timespec};
use alloc::boxed::Box;
use alloc::vec::Vec;

use super::args::{Flags, Pointer};
use super::{Cx, FromRegister, SyscallResult, TraceArgument};
use crate::arch;
use crate::mem::UserIn;
use crate::process::Thread;
use crate::thread::futex::pi;
use crate::thread::futex::waitv::{self, Expected};
use crate::thread::futex::{self, Futex, WaitEnd};
use crate::time::Clock;

/// The operation word: a command and its option bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FutexOp(u32);

impl FromRegister for FutexOp {
    #[inline(always)]
    fn from_register(value: u64) -> Self {
        Self(value as u32)
    }
}

impl TraceArgument for FutexOp {
    fn trace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match op_name(self.command()) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "{:#x}", self.command())?,
        }
        if self.is_private() {
            f.write_str("_PRIVATE")?;
        }
        if self.is_realtime() {
            f.write_str("|FUTEX_CLOCK_REALTIME")?;
        }
        Ok(())
    }
}

impl FutexOp {
    const fn command(self) -> u32 {
        self.0 & FUTEX_CMD_MASK
    }

    const fn is_private(self) -> bool {
        self.0 & FutexFlags::FUTEX_PRIVATE_FLAG.bits() != 0
    }

    const fn is_realtime(self) -> bool {
        self.0 & FutexFlags::FUTEX_CLOCK_REALTIME.bits() != 0
    }

    /// Whether the fourth argument is a timeout.
    const fn has_timeout(self) -> bool {
        matches!(
            self.command(),
            FUTEX_WAIT | FUTEX_LOCK_PI | FUTEX_LOCK_PI2 | FUTEX_WAIT_BITSET | FUTEX_WAIT_REQUEUE_PI
        )
    }

    /// Whether the command may wait, or tries what may.
    const fn may_wait(self) -> bool {
        self.has_timeout() || self.command() == FUTEX_TRYLOCK_PI
    }
}

/// futex(2), the commands that may wait: `FUTEX_WAIT*`, `FUTEX_LOCK_PI*`. Interrupted by signals, restarted as Linux does.
/// Errors: ENOSYS, EINVAL, EFAULT, EAGAIN, ETIMEDOUT, EINTR, EDEADLK, ESRCH. Order: `sys_futex()`, `do_futex()`.
pub fn sys_futex<'a>(
    cx: &'a mut Cx<'_>,
    address: Pointer,
    op: FutexOp,
    value: u32,
    timeout: Pointer,
    address2: Pointer,
    value3: u32,
) -> impl Future<Output = SyscallResult> + Send + use<'a> {
    let thread: &Thread = cx.thread;
    let call = match op.command() {
        FUTEX_WAIT => plain_wait(cx, address, op, timeout, FUTEX_BITSET_MATCH_ANY),
        FUTEX_WAIT_BITSET => plain_wait(cx, address, op, timeout, value3),
        _ => return Call::Lock { call: Box::pin(lock(thread, [address, address2], op, value, timeout)) },
    };
    match call {
        Ok((futex, bitset, deadline)) => Call::Wait { wait: futex::wait(thread, futex, value, bitset, deadline.ns) },
        Err(error) => Call::Failed { error },
    }
}

pin_project_lite::pin_project! {
    /// A command of futex(2) that may wait.
    #[project = CallProjection]
    enum Call<W, L> {
        /// It is refused.
        Failed { error: Errno },
        /// A wait for a wake.
        Wait { #[pin] wait: W },
        /// One that has to do with a lock: rare, and larger.
        Lock { call: Pin<Box<L>> },
    }
}

impl<W, L> Future for Call<W, L>
where
    W: Future<Output = Result<WaitEnd, Errno>>,
    L: Future<Output = SyscallResult>,
{
    type Output = SyscallResult;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SyscallResult> {
        match self.project() {
            CallProjection::Wait { wait } => wait.poll(cx).map(|end| wait_end(end?)),
            CallProjection::Lock { call } => call.as_mut().poll(cx),
            CallProjection::Failed { error } => Poll::Ready(Err(*error)),
        }
    }
}

/// What `FUTEX_WAIT` and `FUTEX_WAIT_BITSET` wait on, by which bits, and how long. Errors: EFAULT, EINVAL, ENOSYS.
fn plain_wait(
    cx: &Cx<'_>,
    address: Pointer,
    op: FutexOp,
    timeout: Pointer,
    bitset: u32,
) -> Result<(Futex, u32, Deadline), Errno> {
    let deadline = Deadline::read(op, timeout.0)?;
    if op.is_realtime() && op.command() == FUTEX_WAIT {
        return Err(Errno::ENOSYS);
    }
    Ok((awaited(cx, address.0, op, bitset)?, bitset, deadline))
}

/// The commands that take a lock with priority inheritance.
async fn lock(
    thread: &Thread,
    [address, address2]: [Pointer; 2],
    op: FutexOp,
    value: u32,
    timeout: Pointer,
) -> SyscallResult {
    let deadline = if op.has_timeout() { Deadline::read(op, timeout.0)? } else { Deadline::NONE };
    if op.is_realtime() && !matches!(op.command(), FUTEX_WAIT_REQUEUE_PI | FUTEX_LOCK_PI2) {
        return Err(Errno::ENOSYS);
    }
    let at = |address: Pointer| Futex::at(address.0, op.is_private());
    lock_end(match op.command() {
        FUTEX_WAIT_REQUEUE_PI if address.0 == address2.0 => return Err(Errno::EINVAL),
        FUTEX_WAIT_REQUEUE_PI => pi::wait_requeue(thread, at(address)?, value, deadline.ns, at(address2)?).await?,
        FUTEX_TRYLOCK_PI => pi::lock(thread, at(address)?, u64::MAX, false).await?,
        _ => pi::lock(thread, at(address)?, deadline.ns, true).await?,
    })
}

/// futex(2), the commands that never wait.
pub fn futex_at_once(
    cx: &mut Cx<'_>,
    address: Pointer,
    op: FutexOp,
    value: u32,
    timeout: Pointer,
    address2: Pointer,
    value3: u32,
) -> Option<SyscallResult> {
    if op.may_wait() {
        return None;
    }
    if op.is_realtime() {
        return Some(Err(Errno::ENOSYS));
    }
    Some(without_waiting(cx, [address.0, address2.0], op, value, timeout.0 as u32, value3))
}

/// The commands that never wait. `limit` is what Linux calls `val2`.
fn without_waiting(
    cx: &Cx<'_>,
    addresses: [u64; 2],
    op: FutexOp,
    value: u32,
    limit: u32,
    value3: u32,
) -> SyscallResult {
    let first = || Futex::in_space(&cx.private.space, addresses[0], op.is_private());
    let second = || Futex::in_space(&cx.private.space, addresses[1], op.is_private());
    let count = |number: u32| usize::try_from(number.cast_signed()).map_err(|_| Errno::EINVAL);
    // Linux wakes at least one, whatever the count.
    let to_wake = |number: u32| usize::try_from(number.cast_signed()).unwrap_or(0).max(1);
    match op.command() {
        FUTEX_WAKE => futex::wake(first()?, to_wake(value), FUTEX_BITSET_MATCH_ANY),
        FUTEX_WAKE_BITSET if value3 == 0 => Err(Errno::EINVAL),
        FUTEX_WAKE_BITSET => futex::wake(first()?, to_wake(value), value3),
        FUTEX_REQUEUE | FUTEX_CMP_REQUEUE => {
            let (wake, limit) = (count(value)?, count(limit)?);
            let expected = (op.command() == FUTEX_CMP_REQUEUE).then_some(value3);
            futex::requeue(first()?, second()?, wake, limit, expected)
        }
        FUTEX_WAKE_OP => wake_op(first()?, second()?, to_wake(value), to_wake(limit), value3),
        FUTEX_UNLOCK_PI => pi::unlock(cx.thread, first()?).map(|()| 0),
        FUTEX_CMP_REQUEUE_PI => {
            let (wake, limit) = (count(value)?, count(limit)?);
            if addresses[0] == addresses[1] || wake != 1 {
                return Err(Errno::EINVAL);
            }
            pi::requeue(first()?, second()?, limit, value3)
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// The futex of a wait.
#[inline]
fn awaited(cx: &Cx<'_>, address: u64, op: FutexOp, bitset: u32) -> Result<Futex, Errno> {
    if bitset == 0 { Err(Errno::EINVAL) } else { Futex::in_space(&cx.private.space, address, op.is_private()) }
}

/// What a wait gives.
fn wait_end(end: WaitEnd) -> SyscallResult {
    match end {
        WaitEnd::Woken => Ok(0),
        WaitEnd::TimedOut => Err(Errno::ETIMEDOUT),
        WaitEnd::Interrupted => Err(Errno::ERESTARTSYS),
        WaitEnd::Suspended => Err(Errno::ERESTART_RESTARTBLOCK),
    }
}

/// Continues an interrupted wait on behalf of restart_syscall(2).
pub async fn restart_wait(
    cx: &mut Cx<'_>,
    address: u64,
    value: u32,
    bitset: u32,
    flags: u32,
    deadline_ns: u64,
) -> SyscallResult {
    let futex = awaited(cx, address, FutexOp(flags), bitset)?;
    wait_end(futex::wait(cx.thread, futex, value, bitset, deadline_ns).await?)
}

/// What a lock's wait gives: a signal has the call made again, whatever its handler says.
fn lock_end(end: WaitEnd) -> SyscallResult {
    match end {
        WaitEnd::Woken => Ok(0),
        WaitEnd::TimedOut => Err(Errno::ETIMEDOUT),
        WaitEnd::Interrupted | WaitEnd::Suspended => Err(Errno::ERESTARTNOINTR),
    }
}

/// `FUTEX_WAKE_OP`: the operation and the comparison are packed into one word (`futex_atomic_op_inuser()`).
fn wake_op(first: Futex, second: Futex, wake_first: usize, wake_second: usize, encoded: u32) -> SyscallResult {
    let sign_extend = |bits: u32| (bits << 20).cast_signed() >> 20;
    let operation = encoded >> 28 & 7;
    let comparison = encoded >> 24 & 15;
    let shifts = encoded >> 31 != 0;
    let (argument, compared) = (sign_extend(encoded >> 12 & 0xfff), sign_extend(encoded & 0xfff));
    let argument = if shifts { 1_u32 << (argument & 31) } else { argument.cast_unsigned() };
    if operation > FUTEX_OP_XOR {
        return Err(Errno::ENOSYS);
    }
    let apply = |old: u32| match operation {
        FUTEX_OP_SET => argument,
        FUTEX_OP_ADD => old.wrapping_add(argument),
        FUTEX_OP_OR => old | argument,
        FUTEX_OP_ANDN => old & !argument,
        _ => old ^ argument,
    };
    let is_known = comparison <= FUTEX_OP_CMP_GE;
    let compare = |old: u32| {
        let old = old.cast_signed();
        match comparison {
            FUTEX_OP_CMP_EQ => old == compared,
            FUTEX_OP_CMP_NE => old != compared,
            FUTEX_OP_CMP_LT => old < compared,
            FUTEX_OP_CMP_LE => old <= compared,
            FUTEX_OP_CMP_GT => old > compared,
            _ => old >= compared,
        }
    };
    if !is_known {
        // Linux changes the word before it notices.
        second.word.update(apply)?;
        return Err(Errno::ENOSYS);
    }
    futex::wake_op(first, second, wake_first, wake_second, apply, compare)
}

/// When to give up, on the monotonic clock.
#[derive(Clone, Copy)]
struct Deadline {
    ns: u64,
}

impl Deadline {
    const NONE: Self = Self { ns: u64::MAX };

    /// The timeout of a command: relative for `FUTEX_WAIT`, a point of CLOCK_REALTIME for `FUTEX_LOCK_PI` and where the
    /// option says so, else of CLOCK_MONOTONIC. Errors: EFAULT, EINVAL.
    fn read(op: FutexOp, address: u64) -> Result<Self, Errno> {
        let Some(time) = UserIn::<Timespec>::new(address).read_optional()? else { return Ok(Self::NONE) };
        let ns = nanoseconds(time)?;
        let ns = match op.command() {
            FUTEX_WAIT => arch::monotonic_ns().saturating_add(ns),
            FUTEX_LOCK_PI => realtime_to_monotonic_ns(ns),
            _ if op.is_realtime() => realtime_to_monotonic_ns(ns),
            _ => ns,
        };
        // A deadline at the end of time still is one.
        Ok(Self { ns: ns.min(u64::MAX - 1) })
    }
}

/// A point of CLOCK_REALTIME on the monotonic clock.
fn realtime_to_monotonic_ns(ns: u64) -> u64 {
    Clock::Realtime.to_monotonic_ns(ns)
}

/// A valid time in nanoseconds, the far future cut to what fits. Errors: EINVAL.
fn nanoseconds(time: Timespec) -> Result<u64, Errno> {
    if time.tv_sec < 0 || !(0..NSEC_PER_SEC).contains(&time.tv_nsec) {
        return Err(Errno::EINVAL);
    }
    Ok(time
        .tv_sec
        .unsigned_abs()
        .saturating_mul(NSEC_PER_SEC.unsigned_abs())
        .saturating_add(time.tv_nsec.unsigned_abs()))
}

/// futex_waitv(2). Waits on up to 128 words; gives the index of one that was woken. Errors: EINVAL, EFAULT, EAGAIN, ETIMEDOUT,
/// EINTR. Order: `sys_futex_waitv()`.
pub async fn sys_futex_waitv(
    cx: &mut Cx<'_>,
    waiters: Pointer,
    count: u32,
    flags: Flags,
    timeout: UserIn<Timespec>,
    clock: i32,
) -> SyscallResult {
    if flags.0 != 0 || count == 0 || count > FUTEX_WAITV_MAX || waiters.0 == 0 {
        return Err(Errno::EINVAL);
    }
    let deadline_ns = match (timeout.is_null(), clock) {
        (true, _) => u64::MAX,
        (false, CLOCK_MONOTONIC) => nanoseconds(timeout.read()?)?,
        (false, CLOCK_REALTIME) => realtime_to_monotonic_ns(nanoseconds(timeout.read()?)?),
        _ => return Err(Errno::EINVAL),
    };
    let words = read_waiters(waiters.0, count)?;
    Box::pin(waitv::wait(cx.thread, &words, deadline_ns)).await
}

/// The words to wait on, checked one by one (`futex_parse_waitv()`).
fn read_waiters(address: u64, count: u32) -> Result<Vec<Expected>, Errno> {
    let mut parsed = Vec::with_capacity(count as usize);
    for index in 0..u64::from(count) {
        let waiter = UserIn::<FutexWaitv>::new(address).element(index).read()?;
        let private = FutexFlags::FUTEX_PRIVATE_FLAG.bits();
        if waiter.flags & !(private | FUTEX_32) != 0 || waiter.__reserved != 0 || waiter.flags & FUTEX_32 == 0 {
            return Err(Errno::EINVAL);
        }
        parsed.push(waiter);
    }
    let futex_of = |waiter: &FutexWaitv| {
        let private = waiter.flags & FutexFlags::FUTEX_PRIVATE_FLAG.bits() != 0;
        Ok(Expected { futex: Futex::at(waiter.uaddr, private)?, value: waiter.val as u32 })
    };
    parsed.iter().map(futex_of).collect()
}
