//! Restartable sequences, rseq(2) (`kernel/rseq.c`): a thread lends the kernel a small area in which it finds the CPU it
//! runs on, and in which it says what stretch of instructions it is in that must not be disturbed. Whenever it has lost
//! the CPU, and before a handler runs, the area is brought up to date; if the thread is within its sequence, it goes on at
//! the sequence's abort handler.
//!
//! [`Work::RSEQ`] is the reminder: added when the thread's task gets a CPU, seen to on the way to user mode. A thread
//! without an area has none of it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::mem::offset_of;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::prctl::{ORIG_RSEQ_SIZE, RSEQ_ALIGN_BYTES, RSEQ_CPU_ID_UNINITIALIZED, Rseq as Area, RseqCs};
use abi::ptrace::PtraceRseqConfiguration;

use super::{Private, Thread};
use crate::arch;
use crate::mem::{USER_END, UserAddr, UserIn, UserOut};
use crate::signal::{Info, Signal, Work};

/// Where the fields lie.
const SEQUENCE: u64 = offset_of!(Area, rseq_cs) as u64;
const FLAGS: u64 = offset_of!(Area, flags) as u64;
const NODE: u64 = offset_of!(Area, node_id) as u64;

/// The area a thread has registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rseq {
    /// Where it is.
    pub address: u64,
    /// Its size as given.
    pub len: u32,
    /// What lies in front of every abort handler, so that no other code can be made one.
    pub signature: u32,
}

impl Rseq {
    /// As a tracer is shown it.
    pub fn configuration(&self) -> PtraceRseqConfiguration {
        PtraceRseqConfiguration {
            rseq_abi_pointer: self.address,
            rseq_abi_size: self.len,
            signature: self.signature,
            ..PtraceRseqConfiguration::default()
        }
    }
}

/// Registers an area. Errors: EINVAL, EPERM and EBUSY if there is one (of another place or size, of another signature, the
/// same), EINVAL, EFAULT.
pub fn register(thread: &Thread, private: &mut Private, new: Rseq) -> Result<(), Errno> {
    if let Some(old) = &private.rseq {
        return Err(check(old, new).err().unwrap_or(Errno::EBUSY));
    }
    let first_size = u64::from(ORIG_RSEQ_SIZE);
    let len = u64::from(new.len);
    let align = if len == first_size { first_size } else { RSEQ_ALIGN_BYTES };
    if len < first_size || !new.address.is_multiple_of(align) {
        return Err(Errno::EINVAL);
    }
    UserAddr(new.address).range(len)?;
    // The sequence of a thread that had the area before.
    if UserIn::<u64>::new(new.address + SEQUENCE).read()? != 0 {
        clear_sequence(new)?;
    }
    private.rseq = Some(Box::new(new));
    thread.has_rseq.store(true, Ordering::Relaxed);
    thread.signals.add_work(Work::RSEQ);
    Ok(())
}

/// Takes the area back. Errors: EINVAL if there is none or another, EPERM for another signature, EFAULT.
pub fn unregister(thread: &Thread, private: &mut Private, given: Rseq) -> Result<(), Errno> {
    let Some(old) = &private.rseq else { return Err(Errno::EINVAL) };
    check(old, given)?;
    write_ids(given, [0, RSEQ_CPU_ID_UNINITIALIZED], [0, 0])?;
    forget(thread, private);
    Ok(())
}

/// Whether `given` is the area `old`. Errors: EINVAL, EPERM.
fn check(old: &Rseq, given: Rseq) -> Result<(), Errno> {
    if old.address != given.address || old.len != given.len {
        return Err(Errno::EINVAL);
    }
    if old.signature != given.signature { Err(Errno::EPERM) } else { Ok(()) }
}

/// The thread has no area any more: its memory is another's.
pub fn forget(thread: &Thread, private: &mut Private) {
    private.rseq = None;
    thread.has_rseq.store(false, Ordering::Relaxed);
    thread.signals.clear_work(Work::RSEQ);
}

/// Before user mode, of a thread that may have lost its CPU (`rseq_handle_notify_resume()`). `false` if its area or its
/// sequence is not sound: it has a SIGSEGV to see to now.
#[cold]
pub fn resume(thread: &Arc<Thread>, private: &mut Private) -> bool {
    // Before the CPU is looked at: whatever happens afterwards is work again.
    thread.signals.clear_work(Work::RSEQ);
    let is_sound = refresh(private).is_ok();
    if !is_sound {
        thread.process.signals.force(&thread.signals, Signal::SEGV, Info::from_kernel(Signal::SEGV));
    }
    is_sound
}

/// Before the frame of a handler for `signal` is written: the handler may use the area for a sequence of its own
/// (`rseq_signal_deliver()`).
pub fn deliver(thread: &Arc<Thread>, private: &mut Private, signal: Signal) {
    if private.rseq.is_none() || refresh(private).is_ok() {
        return;
    }
    if signal == Signal::SEGV {
        thread.process.signals.force_fatal(&thread.signals, Signal::SEGV);
    } else {
        thread.process.signals.force(&thread.signals, Signal::SEGV, Info::from_kernel(Signal::SEGV));
    }
}

/// Aborts the sequence the thread is in, if it is in one, and writes the CPU. Errors: EFAULT, EINVAL.
///
/// Deviates: the number among the threads of the same memory (`mm_cid`) is 0 for the only one, and else the CPU's: below
/// the number of CPUs, but not always below the number of threads.
fn refresh(private: &mut Private) -> Result<(), Errno> {
    let Some(area) = private.rseq.as_deref().copied() else { return Ok(()) };
    abort_sequence(private, area)?;
    let cpu = arch::cpu_index() as u32;
    let is_alone = Arc::strong_count(&private.space) <= HOLDERS_OF_ONE;
    write_ids(area, [cpu, cpu], [0, if is_alone { 0 } else { cpu }])
}

/// A thread holds its space in its private and in its shared half.
const HOLDERS_OF_ONE: usize = 2;

/// `cpu_id_start` and `cpu_id`; `node_id` and `mm_cid`. Errors: EFAULT.
fn write_ids(area: Rseq, cpu: [u32; 2], node: [u32; 2]) -> Result<(), Errno> {
    UserOut::<[u32; 2]>::new(area.address).write(&cpu)?;
    UserOut::<[u32; 2]>::new(area.address + NODE).write(&node)
}

fn clear_sequence(area: Rseq) -> Result<(), Errno> {
    UserOut::<u64>::new(area.address + SEQUENCE).write(&0)
}

/// `rseq_ip_fixup()`. Errors: EFAULT, EINVAL for a sequence that makes no sense.
fn abort_sequence(private: &mut Private, area: Rseq) -> Result<(), Errno> {
    let address = UserIn::<u64>::new(area.address + SEQUENCE).read()?;
    if address == 0 {
        return Ok(());
    }
    let sequence = UserIn::<RseqCs>::new(address).read()?;
    check_sequence(&sequence, area.signature)?;
    let is_inside = private.context.rip.wrapping_sub(sequence.start_ip) < sequence.post_commit_offset;
    // Once there were flags to have some events not abort.
    if is_inside && (sequence.flags != 0 || UserIn::<u32>::new(area.address + FLAGS).read()? != 0) {
        return Err(Errno::EINVAL);
    }
    clear_sequence(area)?;
    if is_inside {
        private.context.rip = sequence.abort_ip;
        // RCX and R11 need not be what SYSRET would make of them.
        private.context.vector = 0;
    }
    Ok(())
}

/// `rseq_get_rseq_cs()`. Errors: EINVAL, EFAULT.
fn check_sequence(sequence: &RseqCs, signature: u32) -> Result<(), Errno> {
    let end = sequence.start_ip.checked_add(sequence.post_commit_offset).ok_or(Errno::EINVAL)?;
    let is_outside = sequence.start_ip >= USER_END || end >= USER_END || sequence.abort_ip >= USER_END;
    let aborts_into_itself = sequence.abort_ip.wrapping_sub(sequence.start_ip) < sequence.post_commit_offset;
    if is_outside || sequence.version > 0 || aborts_into_itself {
        return Err(Errno::EINVAL);
    }
    let found = UserIn::<u32>::new(sequence.abort_ip.wrapping_sub(size_of::<u32>() as u64)).read()?;
    if found == signature { Ok(()) } else { Err(Errno::EINVAL) }
}
