//! [`ThreadSignals`]: the signal state of one thread: mask, private queue, alternate stack, and the word of
//! work its way back to user mode checks.
//!
//! Others only ever add work and wake; the thread alone clears it. `blocked` is changed by the thread itself,
//! under its process's signal lock, so that the choice of a thread for a signal sees one consistent picture.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use core::task::Waker;

use abi::Errno;
use abi::signal::MINSIGSTKSZ;

use super::{Pending, RestartBlock, SigSet};
use crate::arch;
use crate::sync::{Rank, SpinLock};

bitflags::bitflags! {
    /// Work a thread has to do before it returns to user mode; added by others, cleared by the thread.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Work: u32 {
        /// A signal may be deliverable, the process is to stop, or its parent is to be told: the signal code
        /// looks (`TIF_SIGPENDING`).
        const SIGNAL = 1;
        /// The thread must exit: its process exits, or another thread executes a new program. Never cleared.
        const EXIT = 1 << 1;
        /// Something to do on the way to user mode that interrupts no wait: a temporary mask to undo, a newborn to show
        /// the tracer.
        const NOTIFY = 1 << 2;
        /// The thread may have lost its CPU, and what it keeps for restartable sequences is out of date.
        const RSEQ = 1 << 3;
    }
}

impl Work {
    /// What ends an interruptible wait.
    pub const INTERRUPTS: Work = Work::SIGNAL.union(Work::EXIT);
}

/// Bits of [`ThreadSignals::job`], guarded by the process's signal lock.
pub(super) mod job {
    /// A group stop waits for this thread (`JOBCTL_STOP_PENDING`).
    pub const STOP_PENDING: u32 = 1;
    /// A stop signal was taken and not overruled since (`JOBCTL_STOP_DEQUEUED`).
    pub const STOP_DEQUEUED: u32 = 2;
    /// The thread has stopped.
    pub const STOPPED: u32 = 4;
    /// All of a group stop.
    pub const STOP_ALL: u32 = STOP_PENDING | STOP_DEQUEUED | STOPPED | STOP_COUNTED;
    /// The thread has begun to exit and takes no more signals (`PF_EXITING`).
    pub const EXITING: u32 = 8;
    /// A tracer sees the thread's signals first.
    pub const TRACED: u32 = 16;
    /// Its tracer came by PTRACE_SEIZE: group stops are told from signals, and no SIGSTOP is ever made up.
    pub const SEIZED: u32 = 32;
    /// The thread is to stop for its tracer (`JOBCTL_TRAP_STOP`).
    pub const TRAP_STOP: u32 = 64;
    /// Its tracer is to learn that the group stop has begun or ended (`JOBCTL_TRAP_NOTIFY`).
    pub const TRAP_NOTIFY: u32 = 128;
    /// It has stopped for its tracer (`JOBCTL_TRACED`).
    pub const TRAPPED: u32 = 256;
    /// Its tracer waits for news of the group stop (PTRACE_LISTEN): a notification ends the stop.
    pub const LISTENING: u32 = 512;
    /// The group stop under way counts on it (`JOBCTL_STOP_CONSUME`).
    pub const STOP_COUNTED: u32 = 1024;
}

/// Stands for "no CPU" in [`ThreadSignals::cpu`].
const NOT_RUNNING: u32 = u32::MAX;

/// The number of the thread each CPU runs, or ran last.
static CURRENT: [AtomicI32; arch::MAX_CPUS] = [const { AtomicI32::new(0) }; arch::MAX_CPUS];

/// The number of the thread this CPU runs. Meaningful within a system call only.
pub fn current_tid() -> i32 {
    CURRENT[arch::cpu_index()].load(Ordering::Relaxed)
}

/// One thread's signals. Shared by the thread and its process's [`ProcessSignals`](super::ProcessSignals).
pub struct ThreadSignals {
    /// Changes once in a life: a thread that executes a new program takes its leader's number.
    tid: AtomicI32,
    work: AtomicU32,
    /// The CPU polling the thread's task, so that it can be kicked out of user mode.
    cpu: AtomicU32,
    blocked: AtomicU64,
    /// While rt_sigtimedwait(2) unblocks what it waits for: the mask proper; else empty.
    pub(super) real_blocked: AtomicU64,
    pub(super) job: AtomicU32,
    /// Its place in its process's list; guarded by the process's lock.
    pub(super) slot: AtomicUsize,
    pub(super) pending: SpinLock<Pending>,
    own: SpinLock<Own>,
}

/// How to wake the thread, and what only the thread itself looks at.
#[derive(Default)]
struct Own {
    waker: Option<Waker>,
    alt_stack: AltStack,
    saved_mask: Option<SigSet>,
    /// Rarely there, and large.
    restart: Option<Box<RestartBlock>>,
}

/// The alternate signal stack, `stack_t`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AltStack {
    /// Lowest address.
    pub base: u64,
    /// `SS_DISABLE` and `SS_AUTODISARM`.
    pub flags: u32,
    /// Size.
    pub size_bytes: u64,
}

impl AltStack {
    /// The thread is on the stack now. Only ever reported.
    pub const SS_ONSTACK: u32 = 1;
    /// There is no alternate stack.
    pub const SS_DISABLE: u32 = 2;
    /// The stack is disarmed while a handler runs on it.
    pub const SS_AUTODISARM: u32 = 1 << 31;

    /// Whether `stack_pointer` lies within (`__on_sig_stack()`): above the base, up to the end included.
    pub const fn contains(&self, stack_pointer: u64) -> bool {
        stack_pointer > self.base && stack_pointer - self.base <= self.size_bytes
    }

    /// Whether a thread with this stack pointer runs on the stack (`on_sig_stack()`); never if it disarms itself.
    pub const fn is_in_use(&self, stack_pointer: u64) -> bool {
        self.flags & AltStack::SS_AUTODISARM == 0 && self.contains(stack_pointer)
    }

    /// `SS_ONSTACK`, `SS_DISABLE` or neither, as sigaltstack(2) reports (`sas_ss_flags()`).
    pub const fn status(&self, stack_pointer: u64) -> u32 {
        if self.size_bytes == 0 {
            AltStack::SS_DISABLE
        } else if self.is_in_use(stack_pointer) {
            AltStack::SS_ONSTACK
        } else {
            0
        }
    }
}

impl Default for AltStack {
    fn default() -> AltStack {
        AltStack { base: 0, flags: AltStack::SS_DISABLE, size_bytes: 0 }
    }
}

impl ThreadSignals {
    /// The state of a new thread `tid` that starts with the mask `blocked` (its creator's) and this alternate
    /// stack: none, but for a vfork child, which has its parent's.
    pub fn new(tid: i32, blocked: SigSet, alt_stack: AltStack) -> ThreadSignals {
        ThreadSignals {
            tid: AtomicI32::new(tid),
            work: AtomicU32::new(0),
            cpu: AtomicU32::new(NOT_RUNNING),
            blocked: AtomicU64::new(blocked.bits()),
            real_blocked: AtomicU64::new(0),
            job: AtomicU32::new(0),
            slot: AtomicUsize::new(0),
            pending: SpinLock::new(Rank::SignalThread, Pending::default()),
            own: SpinLock::new(Rank::Waker, Own { alt_stack, ..Own::default() }),
        }
    }

    /// The thread's number.
    #[inline]
    pub fn tid(&self) -> i32 {
        self.tid.load(Ordering::Relaxed)
    }

    /// Signals pending for this thread alone.
    pub fn own_pending(&self) -> SigSet {
        self.pending.lock().set()
    }

    /// Renumbers the thread, at exec.
    pub fn set_tid(&self, tid: i32) {
        let current = &CURRENT[arch::cpu_index()];
        if current.load(Ordering::Relaxed) == self.tid() {
            current.store(tid, Ordering::Relaxed);
        }
        self.tid.store(tid, Ordering::Relaxed);
    }

    // The work word.

    /// What is to be done before user mode is entered again: empty on the hot path.
    #[inline]
    pub fn work(&self) -> Work {
        Work::from_bits_retain(self.work.load(Ordering::Acquire))
    }

    /// Whether an interruptible wait has to end.
    #[inline]
    pub fn is_interrupted(&self) -> bool {
        self.work().intersects(Work::INTERRUPTS)
    }

    /// Whether the thread must end (`fatal_signal_pending()`).
    #[inline]
    pub fn is_killed(&self) -> bool {
        self.work().contains(Work::EXIT)
    }

    /// Adds work without waking: for the thread itself.
    pub fn add_work(&self, work: Work) {
        self.work.fetch_or(work.bits(), Ordering::SeqCst);
    }

    /// Removes work. The thread itself only, under the lock that guards the reason.
    pub fn clear_work(&self, work: Work) {
        self.work.fetch_and(!work.difference(Work::EXIT).bits(), Ordering::SeqCst);
    }

    /// Gives the thread work, and gets it out of user mode or of an interruptible wait to do it
    /// (`signal_wake_up()`, `kick_process()`).
    pub fn post(&self, work: Work) {
        self.work.fetch_or(work.bits(), Ordering::SeqCst);
        self.wake();
    }

    /// Makes the thread look at its state anew: its task is polled again, and if another CPU runs it, that CPU
    /// is brought out of user mode. Nothing to do if this CPU runs it: it looks before it enters user mode.
    pub fn wake(&self) {
        let cpu = self.cpu.load(Ordering::SeqCst);
        if cpu == arch::cpu_index() as u32 {
            return;
        }
        let waker = self.own.lock().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
        if cpu != NOT_RUNNING {
            arch::kick(1 << cpu);
        }
    }

    /// Says how to wake the thread's task: at its first poll, and `None` at its end.
    pub fn set_waker(&self, waker: Option<Waker>) {
        let old = core::mem::replace(&mut self.own.lock().waker, waker);
        drop(old);
    }

    /// The thread's task starts to be polled on this CPU.
    #[inline]
    pub fn enter_cpu(&self) {
        CURRENT[arch::cpu_index()].store(self.tid(), Ordering::Relaxed);
        self.cpu.store(arch::cpu_index() as u32, Ordering::SeqCst);
    }

    /// The poll of the thread's task ends.
    #[inline]
    pub fn leave_cpu(&self) {
        self.cpu.store(NOT_RUNNING, Ordering::SeqCst);
    }

    /// Whether a CPU is polling the thread's task now (`task_curr()`).
    pub fn is_running(&self) -> bool {
        self.cpu.load(Ordering::Relaxed) != NOT_RUNNING
    }

    /// The CPU that is polling the thread's task now.
    pub fn running_on(&self) -> Option<u32> {
        Some(self.cpu.load(Ordering::SeqCst)).filter(|cpu| *cpu != NOT_RUNNING)
    }

    // The mask.

    /// The blocked signals.
    #[inline]
    pub fn blocked(&self) -> SigSet {
        SigSet::from_bits(self.blocked.load(Ordering::Relaxed))
    }

    /// Sets the mask. Through [`ProcessSignals::set_blocked`](super::ProcessSignals::set_blocked) only.
    pub(super) fn store_blocked(&self, blocked: SigSet) {
        self.blocked.store(blocked.without(SigSet::UNBLOCKABLE).bits(), Ordering::Relaxed);
    }

    /// Keeps the mask to go back to after a temporary one (`saved_sigmask`).
    pub fn save_mask(&self, mask: SigSet) {
        self.own.lock().saved_mask = Some(mask);
        self.add_work(Work::NOTIFY);
    }

    /// Takes the mask a temporary one stands in for, if one does.
    pub fn take_saved_mask(&self) -> Option<SigSet> {
        if !self.work().contains(Work::NOTIFY) {
            return None;
        }
        self.clear_work(Work::NOTIFY);
        self.own.lock().saved_mask.take()
    }

    // The thread's own.

    /// The alternate stack.
    pub fn alt_stack(&self) -> AltStack {
        self.own.lock().alt_stack
    }

    /// Sets the alternate stack.
    pub fn set_alt_stack(&self, alt_stack: AltStack) {
        self.own.lock().alt_stack = alt_stack;
    }

    /// Changes the alternate stack as sigaltstack(2) does, for a thread whose stack pointer is `stack_pointer`
    /// (`do_sigaltstack()`). Errors: EPERM while it is in use, EINVAL, ENOMEM.
    pub fn change_alt_stack(&self, wanted: AltStack, stack_pointer: u64) -> Result<(), Errno> {
        let mut own = self.own.lock();
        if own.alt_stack.is_in_use(stack_pointer) {
            return Err(Errno::EPERM);
        }
        match wanted.flags & !AltStack::SS_AUTODISARM {
            AltStack::SS_DISABLE => own.alt_stack = AltStack { base: 0, size_bytes: 0, ..wanted },
            0 | AltStack::SS_ONSTACK if wanted == own.alt_stack => {}
            0 | AltStack::SS_ONSTACK if wanted.size_bytes < MINSIGSTKSZ as u64 => return Err(Errno::ENOMEM),
            0 | AltStack::SS_ONSTACK => own.alt_stack = wanted,
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// Leaves what restart_syscall(2) is to continue with; the caller then fails with ERESTART_RESTARTBLOCK.
    pub fn set_restart(&self, restart: RestartBlock) {
        let old = self.own.lock().restart.replace(Box::new(restart));
        drop(old);
    }

    /// Takes what restart_syscall(2) is to continue with.
    pub fn take_restart(&self) -> RestartBlock {
        let restart = self.own.lock().restart.take();
        restart.map_or(RestartBlock::None, |restart| *restart)
    }

    /// Whether a tracer sees its signals first.
    #[inline]
    pub fn is_traced(&self) -> bool {
        self.has_job(job::TRACED)
    }

    /// Whether it has stopped for its tracer.
    pub fn is_trapped(&self) -> bool {
        self.has_job(job::TRAPPED)
    }

    // Job control bits, under the process's signal lock.

    pub(super) fn has_job(&self, bits: u32) -> bool {
        self.job.load(Ordering::Relaxed) & bits != 0
    }

    pub(super) fn set_job(&self, bits: u32) {
        self.job.fetch_or(bits, Ordering::Relaxed);
    }

    pub(super) fn clear_job(&self, bits: u32) {
        self.job.fetch_and(!bits, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_pointer_at_the_top_of_the_alternate_stack_is_on_it_and_one_at_the_base_is_not() {
        let stack = AltStack { base: 0x1000, flags: 0, size_bytes: 0x2000 };
        assert!(stack.is_in_use(0x3000) && stack.is_in_use(0x1001));
        assert!(!stack.is_in_use(0x1000) && !stack.is_in_use(0x3001));
    }

    #[test]
    fn a_stack_that_disarms_itself_never_counts_as_in_use() {
        let stack = AltStack { base: 0x1000, flags: AltStack::SS_AUTODISARM, size_bytes: 0x2000 };
        assert!(!stack.is_in_use(0x2000));
        assert_eq!(stack.status(0x2000), 0);
    }

    #[test]
    fn the_mask_never_holds_kill_or_stop_and_kill_work_is_never_cleared() {
        let thread = ThreadSignals::new(1, SigSet::EMPTY, AltStack::default());
        thread.store_blocked(SigSet::ALL);
        assert_eq!(thread.blocked(), !SigSet::UNBLOCKABLE);
        thread.add_work(Work::EXIT | Work::SIGNAL);
        thread.clear_work(Work::all());
        assert_eq!(thread.work(), Work::EXIT);
    }
}
