//! A traced thread's stops: each is an await, in which the registers lie in [`Tracing`](crate::process::ptrace::Tracing) for
//! the tracer to read and change.
//!
//! Nothing here is on the way of a thread that nobody traces; the futures are boxed by those who await them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::Poll;

use abi::Errno;
use abi::ptrace::*;

use super::rseq::Rseq;
use super::{Private, Thread};
use crate::arch::UserContext;
use crate::arch::sigframe::{USER_CS, USER_SS};
use crate::process::Pid;
use crate::process::ptrace::{Mode, Stop};
use crate::signal::{ExitStatus, Info, Next, Signal, Trap, code};

/// `orig_rax` outside a system call.
const NO_CALL: u64 = u64::MAX;
/// RFLAGS.TF: a debug exception after each instruction.
const TF: u64 = 1 << 8;

/// Stops until the tracer resumes the thread, lets it go or dies, or the thread is killed. Gives the stop as the tracer left
/// it and the signal to go on with; `None` if nobody traces the thread any more. `call` is the number of the system call the
/// thread is in, and is updated.
async fn stop(
    thread: &Arc<Thread>,
    private: &mut Private,
    mut stop: Stop,
    trap: Trap,
    call: &mut u64,
) -> Option<(Box<Stop>, Option<Signal>)> {
    stop.registers = registers(private, thread.tracing.mode(), *call);
    stop.xstate = private.live.save_xstate();
    stop.rseq = private.rseq.as_deref().map(Rseq::configuration).unwrap_or_default();
    if !thread.begin_stop(Box::new(stop), trap) {
        return None;
    }
    poll_fn(|_| if thread.tracing.is_stop_over(thread) { Poll::Ready(()) } else { Poll::Pending }).await;
    let taken = thread.tracing.take_stop();
    thread.process.signals.end_trap(&thread.signals);
    if let Some((stop, _)) = &taken {
        *call = stop.registers.orig_rax;
        put_back(private, stop, thread.tracing.mode());
    }
    taken
}

/// The number of the system call the thread is in or has just made.
fn current_call(thread: &Thread, private: &Private) -> u64 {
    match private.call {
        Some(number) => number,
        None if private.context.vector == UserContext::SYSCALL => thread.tracing.call(),
        None => NO_CALL,
    }
}

/// The registers as the tracer sees them: without the flag that makes single steps.
fn registers(private: &Private, mode: Mode, call: u64) -> UserRegs {
    let context = &private.context;
    let flags = if mode == Mode::Step { context.rflags & !TF } else { context.rflags };
    UserRegs {
        r15: context.r15,
        r14: context.r14,
        r13: context.r13,
        r12: context.r12,
        rbp: context.rbp,
        rbx: context.rbx,
        r11: context.r11,
        r10: context.r10,
        r9: context.r9,
        r8: context.r8,
        rax: context.rax,
        rcx: context.rcx,
        rdx: context.rdx,
        rsi: context.rsi,
        rdi: context.rdi,
        orig_rax: call,
        rip: context.rip,
        cs: USER_CS,
        eflags: flags,
        rsp: context.rsp,
        ss: USER_SS,
        fs_base: private.live.fs_base(),
        gs_base: private.live.gs_base(),
        ..UserRegs::default()
    }
}

/// The registers of a thread that will not enter user mode again, for its core.
pub fn final_registers(thread: &Thread, private: &Private) -> UserRegs {
    registers(private, thread.tracing.mode(), current_call(thread, private))
}

/// The registers as the tracer left them. A system call that only a signal ended is made again if they still say so:
/// a debugger that sends the thread elsewhere sets `orig_rax` to -1.
fn put_back(private: &mut Private, stop: &Stop, mode: Mode) {
    let regs = &stop.registers;
    private.context = UserContext {
        r15: regs.r15,
        r14: regs.r14,
        r13: regs.r13,
        r12: regs.r12,
        rbp: regs.rbp,
        rbx: regs.rbx,
        r11: regs.r11,
        r10: regs.r10,
        r9: regs.r9,
        r8: regs.r8,
        rax: regs.rax,
        rcx: regs.rcx,
        rdx: regs.rdx,
        rsi: regs.rsi,
        rdi: regs.rdi,
        rip: regs.rip,
        rflags: regs.eflags | if mode == Mode::Step { TF } else { 0 },
        rsp: regs.rsp,
        ..private.context
    };
    if mode == Mode::Step {
        // SYSRET with the flag traps before the next instruction has run: go back by IRET.
        private.context.vector = 0;
    }
    private.live.set_fs_base(regs.fs_base);
    private.live.set_gs_base(regs.gs_base);
    if stop.xstate_changed {
        // The tracer was refused what XRSTOR would refuse.
        let _ = private.live.restore_xstate(&stop.xstate);
    }
    let restarts = [Errno::ERESTARTSYS, Errno::ERESTARTNOINTR, Errno::ERESTARTNOHAND, Errno::ERESTART_RESTARTBLOCK];
    let is_unfinished = restarts.iter().any(|error| regs.rax == error.to_return_value());
    private.call =
        Some(regs.orig_rax).filter(|number| is_unfinished && UserContext::call_number(*number).cast_signed() >= 0);
}

/// A stop that tells of something the thread does itself (`ptrace_do_notify()`).
fn notice(thread: &Thread, signal: Signal, code: i32, message: u64) -> Stop {
    let info = Info::from_process(signal, code, thread.tid(), thread.cred().uid);
    Stop { code, info: Some(info), message, ..Stop::default() }
}

/// SIGTRAP with an event above it.
fn event(event: u8) -> i32 {
    i32::from(Signal::TRAP.number()) | i32::from(event) << 8
}

/// Shows the tracer a signal; gives what the thread does next, if anything: what the tracer made of the signal has its
/// effect (`ptrace_signal()`).
pub async fn signal(thread: &Arc<Thread>, private: &mut Private, info: Info) -> Option<Next> {
    let signals = &thread.process.signals;
    let shown = Stop { code: info.signo, info: Some(info), ..Stop::default() };
    let mut call = current_call(thread, private);
    let tracer = thread.tracing.tracer_tid();
    let Some((stop, signal)) = stop(thread, private, shown, Trap::Event, &mut call).await else {
        return signals.act_on(&thread.signals, info);
    };
    let signal = signal?;
    let info = match stop.info.filter(|info| info.signal() == Some(signal)) {
        Some(info) => info,
        None => Info::from_process(signal, code::SI_USER, tracer, thread.cred().uid),
    };
    if thread.signals.blocks(signal) || thread.signals.is_killed() {
        signals.put_back(&thread.signals, info);
        return None;
    }
    signals.act_on(&thread.signals, info)
}

/// Stops with its group, or because the tracer asked for it (`do_jobctl_trap()`).
pub async fn trap(thread: &Arc<Thread>, private: &mut Private, signal: Option<Signal>) {
    let mut call = current_call(thread, private);
    if thread.signals.is_seized() {
        let signal = signal.unwrap_or(Signal::TRAP);
        let code = i32::from(signal.number()) | i32::from(PTRACE_EVENT_STOP) << 8;
        stop(thread, private, notice(thread, signal, code, 0), Trap::Seized, &mut call).await;
    } else {
        let code = i32::from(signal.unwrap_or(Signal::STOP).number());
        stop(thread, private, Stop { code, ..Stop::default() }, Trap::Group, &mut call).await;
    }
}

/// Stops for an event.
async fn report(thread: &Arc<Thread>, private: &mut Private, number: u8, message: u64) {
    let mut call = current_call(thread, private);
    stop(thread, private, notice(thread, Signal::TRAP, event(number), message), Trap::Event, &mut call).await;
}

/// Shows the tracer a thread or process that the caller has made, if it is to see it.
pub async fn birth(thread: &Arc<Thread>, private: &mut Private) {
    if let Some((event, tid)) = thread.tracing.take_birth() {
        report(thread, private, event, u64::from(tid.unsigned_abs())).await;
    }
}

/// The child has given its creator's memory back.
pub async fn vfork_done(thread: &Arc<Thread>, private: &mut Private, tid: Pid) {
    if thread.tracing.options().contains(PtraceOptions::PTRACE_O_TRACEVFORKDONE) {
        report(thread, private, PTRACE_EVENT_VFORK_DONE, u64::from(tid.unsigned_abs())).await;
    }
}

/// The thread has become a new program; `old` was its number. Without the event it is a plain SIGTRAP, unless the tracer
/// seized it.
pub async fn exec(thread: &Arc<Thread>, private: &mut Private, old: Pid) {
    if thread.tracing.options().contains(PtraceOptions::PTRACE_O_TRACEEXEC) {
        report(thread, private, PTRACE_EVENT_EXEC, u64::from(old.unsigned_abs())).await;
    } else if thread.signals.is_traced() && !thread.signals.is_seized() {
        thread.signal_self(Signal::TRAP);
    }
}

/// The thread is about to end. Only the tracer ends this stop, or its death.
pub async fn exit(thread: &Arc<Thread>, private: &mut Private, status: ExitStatus) {
    if thread.tracing.options().contains(PtraceOptions::PTRACE_O_TRACEEXIT) {
        let message = u64::from(status.0.cast_unsigned());
        let mut call = current_call(thread, private);
        let last = Stop { is_last: true, ..notice(thread, Signal::TRAP, event(PTRACE_EVENT_EXIT), message) };
        stop(thread, private, last, Trap::Event, &mut call).await;
    }
}

/// A stop before or after a system call. The tracer's signal, if it gives one, is sent to the thread
/// (`ptrace_report_syscall()`).
async fn call_stop(thread: &Arc<Thread>, private: &mut Private, message: u8, call: &mut u64) {
    let good = thread.tracing.options().contains(PtraceOptions::PTRACE_O_TRACESYSGOOD);
    let code = i32::from(Signal::TRAP.number()) | if good { 0x80 } else { 0 };
    let shown = notice(thread, Signal::TRAP, code, u64::from(message));
    if let Some((_, Some(signal))) = stop(thread, private, shown, Trap::Event, call).await {
        // Signals from the kernel always find room.
        let _ = thread.process.signals.send_to(&thread.signals, signal, Info::from_kernel(signal));
    }
}

/// Before a system call: the number of the one to make, if one is to be made; the tracer may have chosen another, or none
/// by the number -1.
pub async fn enter_call(thread: &Arc<Thread>, private: &mut Private) -> Option<u64> {
    let mut number = private.context.rax;
    thread.tracing.set_call(number);
    if thread.tracing.mode() == Mode::Calls {
        private.context.rax = Errno::ENOSYS.to_return_value();
        call_stop(thread, private, PTRACE_EVENTMSG_SYSCALL_ENTRY, &mut number).await;
        private.call = None;
        thread.tracing.set_call(number);
        if UserContext::call_number(number) == NO_CALL || thread.signals.is_killed() {
            return None;
        }
        private.context.rax = number;
    }
    Some(UserContext::call_number(number))
}

/// A filter shows the tracer a call: the number of the one to make, if one is to be made. Without a tracer that wants to
/// see it the call is not there.
pub async fn filtered_call(thread: &Arc<Thread>, private: &mut Private, mut number: u64, message: u64) -> Option<u64> {
    private.context.rax = Errno::ENOSYS.to_return_value();
    if !thread.tracing.options().contains(PtraceOptions::PTRACE_O_TRACESECCOMP) {
        return None;
    }
    let shown = notice(thread, Signal::TRAP, event(PTRACE_EVENT_SECCOMP), message);
    stop(thread, private, shown, Trap::Event, &mut number).await;
    private.call = None;
    thread.tracing.set_call(number);
    if UserContext::call_number(number).cast_signed() < 0 || thread.signals.is_killed() {
        return None;
    }
    private.context.rax = number;
    Some(UserContext::call_number(number))
}

/// After a system call: what it has made, then its end.
pub async fn leave_call(thread: &Arc<Thread>, private: &mut Private) {
    birth(thread, private).await;
    match thread.tracing.mode() {
        Mode::Continue => {}
        Mode::Calls => {
            let mut call = private.call.unwrap_or(thread.tracing.call());
            call_stop(thread, private, PTRACE_EVENTMSG_SYSCALL_EXIT, &mut call).await;
        }
        Mode::Step => {
            let info = Info::fault(Signal::TRAP, code::TRAP_BRKPT, private.context.rip);
            thread.process.signals.force(&thread.signals, Signal::TRAP, info);
        }
    }
}

/// Before a handler's frame is written: the flag that makes single steps is not the program's. Whether there were any.
pub fn hide_step(thread: &Thread, private: &mut Private) -> bool {
    let steps = thread.signals.is_traced() && thread.tracing.mode() == Mode::Step;
    if steps {
        private.context.rflags &= !TF;
    }
    steps
}

/// A single step has led into a handler.
pub async fn stepped_into_handler(thread: &Arc<Thread>, private: &mut Private) {
    let mut call = NO_CALL;
    let code = i32::from(Signal::TRAP.number());
    stop(thread, private, notice(thread, Signal::TRAP, code, 0), Trap::Event, &mut call).await;
}
