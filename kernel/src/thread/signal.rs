//! A thread's way back to user mode when it has work: dying, stopping, telling its parent, entering handlers,
//! restarting interrupted calls. And the other direction: faults of the user become signals here.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::Poll;

use abi::{Errno, nr};

use super::frame;
use super::{Private, Thread, coredump, rseq, trace};
use crate::arch;
use crate::mem::FaultError;
use crate::signal::{Action, ExitStatus, Info, Next, SaFlags, Signal, StopNews, Work, code};

/// Bytes of the SYSCALL instruction, which a restart executes again.
const SYSCALL_BYTES: u64 = 2;

/// Whether the thread goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Into user mode.
    Resume,
    /// To its end, with this status.
    End(ExitStatus),
}

/// Does all the work a thread has before user mode (`exit_to_user_mode_loop()`, `arch_do_signal_or_restart()`).
/// Waits only while the thread is stopped.
pub async fn attend(thread: &Arc<Thread>, private: &mut Private) -> Verdict {
    if !was_interrupted(private) {
        restore_mask(thread);
    }
    if thread.signals.is_traced() {
        Box::pin(trace::birth(thread, private)).await;
    }
    let mut decided = None;
    loop {
        if let Some(status) = private.exit {
            return Verdict::End(status);
        }
        match decided.take().unwrap_or_else(|| thread.process.signals.next(&thread.signals)) {
            Next::Resume => {
                restart_call(private);
                restore_mask(thread);
                return Verdict::Resume;
            }
            Next::Handle(info, action) => {
                if handle(thread, private, &info, &action) {
                    Box::pin(trace::stepped_into_handler(thread, private)).await;
                }
                // Nothing else has come: no need to ask again, nor is a call left to restart or a mask to restore.
                if thread.work().difference(Work::RSEQ).is_empty() && private.exit.is_none() {
                    return Verdict::Resume;
                }
            }
            Next::Exit(status) => return Verdict::End(status),
            Next::Dump(info) => return Verdict::End(Box::pin(coredump::die(thread, private, info)).await),
            Next::ExitThread => return Verdict::End(ExitStatus::exited(0)),
            Next::Tell(news) => thread.process.report_to_parent(news),
            Next::Stop(news) => stop(thread, news).await,
            Next::StopUnlessOrphaned(signal) => {
                if !thread.process.group().is_orphaned_without(None) {
                    thread.process.signals.stop_for(&thread.signals, signal);
                }
            }
            Next::Trace(info) => decided = Box::pin(trace::signal(thread, private, info)).await,
            Next::Trap(signal) => Box::pin(trace::trap(thread, private, signal)).await,
        }
    }
}

/// Stays stopped until continued or killed. The last thread of the process to stop tells the parent.
async fn stop(thread: &Thread, news: Option<StopNews>) {
    if let Some(news) = news {
        thread.process.report_to_parent(news);
    }
    poll_fn(|_| if thread.signals.is_stopped() { Poll::Pending } else { Poll::Ready(()) }).await;
}

/// Enters a handler, or kills if its frame cannot be written (`handle_signal()`). Whether a single step of the tracer's
/// ended there.
fn handle(thread: &Arc<Thread>, private: &mut Private, info: &Info, action: &Action) -> bool {
    let Some(signal) = info.signal() else { return false };
    let is_stepped = trace::hide_step(thread, private);
    interrupt_call(private, action);
    rseq::deliver(thread, private, signal);
    let signals = &thread.signals;
    let saved_mask = signals.take_saved_mask().unwrap_or_else(|| signals.blocked());
    if frame::push(signals, private, info, action, saved_mask).is_err() {
        thread.process.signals.set_blocked(signals, saved_mask);
        if signal == Signal::SEGV {
            thread.process.signals.force_fatal(signals, Signal::SEGV);
        } else {
            thread.process.signals.force(signals, Signal::SEGV, Info::from_kernel(Signal::SEGV));
        }
        return false;
    }
    let mut blocked = signals.blocked() | action.mask;
    if !action.has(SaFlags::SA_NODEFER) {
        blocked.insert(signal);
    }
    thread.process.signals.set_blocked(signals, blocked);
    is_stepped
}

/// Makes an interrupted call fail or be made again after the handler.
fn interrupt_call(private: &mut Private, action: &Action) {
    let Some(number) = private.call.take() else { return };
    let failed = |code: Errno| private.context.rax == code.to_return_value();
    let restarts = failed(Errno::ERESTARTNOINTR) || failed(Errno::ERESTARTSYS) && action.has(SaFlags::SA_RESTART);
    if restarts {
        repeat_call(private, number);
    } else {
        private.context.rax = Errno::EINTR.to_return_value();
    }
}

/// Makes an interrupted call go on: there was no handler to run.
fn restart_call(private: &mut Private) {
    let Some(number) = private.call.take() else { return };
    let continues = private.context.rax == Errno::ERESTART_RESTARTBLOCK.to_return_value();
    repeat_call(private, if continues { nr::RESTART_SYSCALL as u64 } else { number });
}

/// Has the SYSCALL instruction executed again.
fn repeat_call(private: &mut Private, number: u64) {
    private.context.rax = number;
    private.context.rip = private.context.rip.wrapping_sub(SYSCALL_BYTES);
}

/// Whether a signal ended the system call: if the call had a mask of its own, handlers run under that one; else it
/// is over with the call (`restore_saved_sigmask_unless()`).
fn was_interrupted(private: &Private) -> bool {
    private.call.is_some() || private.context.rax == Errno::EINTR.to_return_value()
}

/// Ends a temporary mask that no handler's frame has taken over.
fn restore_mask(thread: &Thread) {
    if let Some(mask) = thread.signals.take_saved_mask() {
        thread.process.signals.set_blocked(&thread.signals, mask);
    }
}

/// A page fault that could not be mended becomes SIGSEGV or SIGBUS at its address.
pub fn fault(thread: &Arc<Thread>, private: &mut Private, address: u64, failure: FaultError) {
    let (signal, code) = match failure {
        FaultError::NotMapped => (Signal::SEGV, code::SEGV_MAPERR),
        FaultError::NotAllowed => (Signal::SEGV, code::SEGV_ACCERR),
        FaultError::PastEnd | FaultError::NoMemory => (Signal::BUS, code::BUS_ADRERR),
    };
    private.last_fault = arch::sigframe::LastFault { vector: PAGE_FAULT, error: private.context.error, address };
    thread.process.signals.force(&thread.signals, signal, Info::fault(signal, code, address));
}

/// Vector of the page fault.
const PAGE_FAULT: u64 = 14;

/// Any other exception becomes the signal Linux makes of it (`arch/x86/kernel/traps.c`).
pub fn exception(thread: &Arc<Thread>, private: &mut Private, vector: u8, error: u64) {
    let rip = private.context.rip;
    (private.last_fault.vector, private.last_fault.error) = (u64::from(vector), error);
    let info = match vector {
        0 => Info::fault(Signal::FPE, code::FPE_INTDIV, rip),
        1 => debug_trap(private, rip),
        3 => Info::from_kernel(Signal::TRAP),
        6 => Info::fault(Signal::ILL, code::ILL_ILLOPN, rip),
        11 | 12 => Info::from_kernel(Signal::BUS),
        16 | 19 => match float_code(private, vector) {
            Some(code) => Info::fault(Signal::FPE, code, rip),
            None => return,
        },
        17 => Info::fault(Signal::BUS, code::BUS_ADRALN, 0),
        _ => Info::from_kernel(Signal::SEGV),
    };
    if let Some(signal) = info.signal() {
        thread.process.signals.force(&thread.signals, signal, info);
    }
}

/// A single step ends with it; RFLAGS.TF tells it from a breakpoint of the INT1 instruction.
fn debug_trap(private: &Private, rip: u64) -> Info {
    const TF: u64 = 1 << 8;
    let code = if private.context.rflags & TF != 0 { code::TRAP_TRACE } else { code::TRAP_BRKPT };
    Info::fault(Signal::TRAP, code, rip)
}

/// Which floating-point exception is raised and not masked (`fpu__exception_code()`).
fn float_code(private: &Private, vector: u8) -> Option<i32> {
    let area = private.live.save_xstate();
    let half = |at: usize| u32::from(u16::from_le_bytes([area[at], area[at + 1]]));
    let raised = if vector == 16 {
        let (control, status) = (half(0), half(2));
        status & !control
    } else {
        let mxcsr = half(24);
        !(mxcsr >> 7) & mxcsr
    };
    let by_bit = [
        (0x01, code::FPE_FLTINV),
        (0x04, code::FPE_FLTDIV),
        (0x08, code::FPE_FLTOVF),
        (0x12, code::FPE_FLTUND),
        (0x20, code::FPE_FLTRES),
    ];
    by_bit.into_iter().find(|(bits, _)| raised & bits != 0).map(|(_, code)| code)
}

/// No memory for a page: the process is killed.
pub fn out_of_memory(thread: &Arc<Thread>) {
    thread.process.signals.begin_exit(ExitStatus::killed(Signal::KILL));
}
