//! poll, select and their kin (`fs/select.c`).

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::poll::{PollEvents, Pollfd, SigsetArgpack};
use abi::prctl::STICKY_TIMEOUTS;
use abi::time::{Timespec, Timeval};

use super::args::Pointer;
use super::signal::set_temporary_mask;
use super::{Cx, SyscallResult};
use crate::ipc::poll::{Entry, UNASKED, wait_any};
use crate::mem::{UserIn, UserOut};
use crate::process::limits::Resource;
use crate::signal::{RestartBlock, SigSet};
use crate::sync::executor;
use crate::time::monotonic_ns;

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_US: u64 = 1_000;
const US_PER_S: i64 = 1_000_000;

/// When a wait ends, in nanoseconds of the monotonic clock. `None`: never.
pub(super) type Deadline = Option<u64>;

/// The deadline `timeout_ns` from now. Nothing is asked of the clock for a wait that is none.
pub(super) fn deadline(timeout_ns: Option<u64>) -> Deadline {
    timeout_ns.map(|ns| if ns == 0 { 0 } else { monotonic_ns().saturating_add(ns) })
}

/// A timeout in milliseconds, negative for none.
pub(super) fn from_milliseconds(timeout_ms: i32) -> Option<u64> {
    u64::try_from(timeout_ms).ok().map(|ms| ms * NS_PER_MS)
}

/// A timeout the user gives as a `timespec`, a null pointer for none. `EFAULT`, `EINVAL`.
pub(super) fn from_timespec(time: Pointer) -> Result<Option<u64>, Errno> {
    let time = UserIn::<Timespec>::new(time.0).read_optional()?;
    time.map(|time| time.to_ns().ok_or(Errno::EINVAL)).transpose()
}

/// Runs with the user's signal mask until the call is over, if the pointer is not null (`set_user_sigmask`).
/// `EINVAL` for a size that is not that of a mask, `EFAULT`.
pub(super) fn use_mask(cx: &Cx<'_>, mask: u64, size: usize) -> Result<(), Errno> {
    if mask == 0 {
        return Ok(());
    }
    if size != size_of::<u64>() {
        return Err(Errno::EINVAL);
    }
    let mask = SigSet::from_bits(UserIn::<u64>::new(mask).read()?).without(SigSet::UNBLOCKABLE);
    set_temporary_mask(cx, mask);
    Ok(())
}

/// Waits for `entries` until the deadline; 0 if it passes.
async fn wait(cx: &mut Cx<'_>, entries: &mut [Entry], deadline: Deadline) -> SyscallResult {
    let wait = executor::timeout_at(deadline.unwrap_or(u64::MAX), wait_any(entries));
    Ok(cx.interruptible(wait).await?.unwrap_or(0))
}

/// What the user wants of one file of poll(2).
fn wanted(entry: &Pollfd) -> PollEvents {
    PollEvents::from_bits_truncate(u32::from(entry.events)) | UNASKED
}

/// Looks at every file once, writes what it finds, and gives the number of files at which it found something.
fn look_once(cx: &Cx<'_>, fds: UserIn<Pollfd>, count: u32) -> Result<usize, Errno> {
    let mut found = 0;
    for index in 0..u64::from(count) {
        let claim = fds.element(index);
        let entry = claim.read()?;
        let events = match cx.file(entry.fd) {
            Ok(file) => file.readiness() & wanted(&entry),
            Err(_) if entry.fd < 0 => PollEvents::empty(),
            Err(_) => PollEvents::POLLNVAL,
        };
        write_found(claim, &entry, events)?;
        found += usize::from(!events.is_empty());
    }
    Ok(found)
}

fn write_found(claim: UserIn<Pollfd>, entry: &Pollfd, found: PollEvents) -> Result<(), Errno> {
    // Events of poll(2) are the low 16 bits.
    UserOut::<Pollfd>::new(claim.addr().0).write(&Pollfd { revents: found.bits() as u16, ..*entry })
}

/// The part of a poll that does not wait.
fn look_at_all(cx: &Cx<'_>, fds: Pointer, count: u32) -> SyscallResult {
    if u64::from(count) > cx.limit(Resource::Files) {
        return Err(Errno::EINVAL);
    }
    look_once(cx, UserIn::<Pollfd>::new(fds.0), count)
}

/// Looks, and waits if there is nothing (`do_sys_poll`). `EINVAL` for more files than the limit allows, `EFAULT`.
async fn poll_until(cx: &mut Cx<'_>, fds: Pointer, count: u32, deadline: Deadline) -> SyscallResult {
    let found = look_at_all(cx, fds, count)?;
    let fds = UserIn::<Pollfd>::new(fds.0);
    if found > 0 || deadline == Some(0) {
        return Ok(found);
    }
    poll_waiting(cx, fds, count, deadline).await
}

/// The part of a poll that waits.
async fn poll_waiting(cx: &mut Cx<'_>, fds: UserIn<Pollfd>, count: u32, deadline: Deadline) -> SyscallResult {
    let mut polled = Vec::new();
    let mut entries = Vec::new();
    for index in 0..u64::from(count) {
        let entry = fds.element(index).read()?;
        if entry.fd >= 0 {
            entries.push(Entry::new(cx.file(entry.fd).ok(), wanted(&entry)));
            polled.push((index, entry));
        }
    }
    let found = wait(cx, &mut entries, deadline).await?;
    for ((index, entry), looked) in polled.iter().zip(&entries) {
        write_found(fds.element(*index), entry, looked.found)?;
    }
    Ok(found)
}

/// poll(2), if it is only to look.
pub fn poll_at_once(cx: &mut Cx<'_>, fds: Pointer, count: u32, timeout_ms: i32) -> Option<SyscallResult> {
    (timeout_ms == 0).then(|| look_at_all(cx, fds, count))
}

/// poll(2). Waits for one of the files. A signal without handler lets it go on with the time that was left.
pub async fn sys_poll(cx: &mut Cx<'_>, fds: Pointer, count: u32, timeout_ms: i32) -> SyscallResult {
    resume_poll(cx, fds, count, deadline(from_milliseconds(timeout_ms))).await
}

/// poll(2) with its deadline known: also what restart_syscall(2) goes on with.
pub(super) async fn resume_poll(cx: &mut Cx<'_>, fds: Pointer, count: u32, deadline: Deadline) -> SyscallResult {
    match poll_until(cx, fds, count, deadline).await {
        Err(Errno::ERESTARTSYS) => {
            cx.thread.signals.set_restart(RestartBlock::Poll { fds: fds.0, count, deadline_ns: deadline });
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
        done => done,
    }
}

/// Ends a call with a relative timeout that the user sees shrink, and that a handled signal does not restart
/// (`poll_select_finish`). A time that cannot be written is no error.
fn finish(
    cx: &Cx<'_>,
    result: SyscallResult,
    deadline: Deadline,
    write: impl FnOnce(u64) -> Result<(), Errno>,
) -> SyscallResult {
    if cx.thread.personality.load(Ordering::Relaxed) & STICKY_TIMEOUTS != 0 {
        return result;
    }
    if let Some(deadline) = deadline {
        let left_ns = if deadline == 0 { 0 } else { deadline.saturating_sub(monotonic_ns()) };
        let _ = write(left_ns);
    }
    result.map_err(|error| if error == Errno::ERESTARTSYS { Errno::ERESTARTNOHAND } else { error })
}

/// ppoll(2). The signal mask holds from before the first look until the call is over.
pub async fn sys_ppoll(
    cx: &mut Cx<'_>,
    fds: Pointer,
    count: u32,
    timeout: Pointer,
    mask: Pointer,
    mask_bytes: usize,
) -> SyscallResult {
    let deadline = deadline(from_timespec(timeout)?);
    use_mask(cx, mask.0, mask_bytes)?;
    let result = poll_until(cx, fds, count, deadline).await;
    finish(cx, result, deadline, |left_ns| UserOut::new(timeout.0).write(&Timespec::from_ns(left_ns)))
}

/// What each of select(2)'s sets asks for (`POLLIN_SET`, `POLLOUT_SET`, `POLLEX_SET`).
const READ_SET: PollEvents = PollEvents::POLLIN
    .union(PollEvents::POLLRDNORM)
    .union(PollEvents::POLLRDBAND)
    .union(PollEvents::POLLHUP)
    .union(PollEvents::POLLERR);
const WRITE_SET: PollEvents =
    PollEvents::POLLOUT.union(PollEvents::POLLWRNORM).union(PollEvents::POLLWRBAND).union(PollEvents::POLLERR);
const EXCEPT_SET: PollEvents = PollEvents::POLLPRI;

/// The sets of select(2), as words of bits; absent ones are empty.
struct Sets {
    pointers: [u64; 3],
    words: [Vec<u64>; 3],
}

impl Sets {
    fn read(count: usize, pointers: [u64; 3]) -> Result<Self, Errno> {
        let mut words = [Vec::new(), Vec::new(), Vec::new()];
        for (set, &pointer) in words.iter_mut().zip(&pointers) {
            let claim = UserIn::<u64>::new(pointer);
            for index in 0..if pointer == 0 { 0 } else { count.div_ceil(64) as u64 } {
                set.push(claim.element(index).read()?);
            }
        }
        Ok(Self { pointers, words })
    }

    /// The sets that name `fd`.
    fn asked(&self, fd: usize) -> PollEvents {
        let named = |set: usize| self.words[set].get(fd / 64).is_some_and(|word| word >> (fd % 64) & 1 != 0);
        let sets = [(0, READ_SET), (1, WRITE_SET), (2, EXCEPT_SET)];
        sets.iter().filter(|(set, _)| named(*set)).fold(PollEvents::empty(), |asked, (_, events)| asked | *events)
    }

    /// Replaces the sets by what was found, and gives the number of bits in them.
    fn answer(&mut self, fds: &[usize], entries: &[Entry]) -> usize {
        let mut bits = 0;
        let asked = core::mem::take(&mut self.words);
        self.words = [vec![0; asked[0].len()], vec![0; asked[1].len()], vec![0; asked[2].len()]];
        for (&fd, entry) in fds.iter().zip(entries) {
            for (set, events) in [(0, READ_SET), (1, WRITE_SET), (2, EXCEPT_SET)] {
                let named = asked[set].get(fd / 64).is_some_and(|word| word >> (fd % 64) & 1 != 0);
                if named && entry.found.intersects(events) {
                    self.words[set][fd / 64] |= 1 << (fd % 64);
                    bits += 1;
                }
            }
        }
        bits
    }

    fn write(&self) -> Result<(), Errno> {
        for (set, &pointer) in self.words.iter().zip(&self.pointers) {
            for (index, word) in (0..).zip(set) {
                UserOut::<u64>::new(pointer).element(index).write(word)?;
            }
        }
        Ok(())
    }
}

/// `core_sys_select`: `EINVAL` for a negative count, `EBADF` for a bit without an open file, `EFAULT`.
async fn select_until(cx: &mut Cx<'_>, count: i32, pointers: [u64; 3], deadline: Deadline) -> SyscallResult {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?.min(cx.private.files.capacity());
    let mut sets = Sets::read(count, pointers)?;
    let (mut fds, mut entries) = (Vec::new(), Vec::new());
    for fd in 0..count {
        let asked = sets.asked(fd);
        if !asked.is_empty() {
            let file = cx.file(i32::try_from(fd).map_err(|_| Errno::EBADF)?)?;
            entries.push(Entry::new(Some(file), asked));
            fds.push(fd);
        }
    }
    let found = crate::ipc::poll::look(&mut entries);
    if found == 0 && deadline != Some(0) {
        wait(cx, &mut entries, deadline).await?;
    }
    let bits = sets.answer(&fds, &entries);
    sets.write()?;
    Ok(bits)
}

/// select(2) (`kern_select`). Waits for one of the files. The time that is left is written back.
pub async fn sys_select(
    cx: &mut Cx<'_>,
    count: i32,
    read: Pointer,
    write: Pointer,
    except: Pointer,
    timeout: Pointer,
) -> SyscallResult {
    let time = UserIn::<Timeval>::new(timeout.0).read_optional()?;
    let deadline = deadline(time.map(select_timeout).transpose()?);
    let result = select_until(cx, count, [read.0, write.0, except.0], deadline).await;
    finish(cx, result, deadline, |left_ns| UserOut::new(timeout.0).write(&Timeval::from_ns(left_ns)))
}

/// The timeout of select(2), whose microseconds may be more than a second. `EINVAL` if negative.
fn select_timeout(time: Timeval) -> Result<u64, Errno> {
    let seconds = time.tv_sec.checked_add(time.tv_usec / US_PER_S).ok_or(Errno::EINVAL)?;
    let rest_ns = (time.tv_usec % US_PER_S) * NS_PER_US.cast_signed();
    Timespec { tv_sec: seconds, tv_nsec: rest_ns }.to_ns().ok_or(Errno::EINVAL)
}

/// pselect6(2). As ppoll(2) is to poll(2); the sixth argument points to the mask and its size.
pub async fn sys_pselect6(
    cx: &mut Cx<'_>,
    count: i32,
    read: Pointer,
    write: Pointer,
    except: Pointer,
    timeout: Pointer,
    mask: UserIn<SigsetArgpack>,
) -> SyscallResult {
    let mask = mask.read_optional()?.unwrap_or_default();
    let deadline = deadline(from_timespec(timeout)?);
    use_mask(cx, mask.p, usize::try_from(mask.size).unwrap_or(usize::MAX))?;
    let result = select_until(cx, count, [read.0, write.0, except.0], deadline).await;
    finish(cx, result, deadline, |left_ns| UserOut::new(timeout.0).write(&Timespec::from_ns(left_ns)))
}
