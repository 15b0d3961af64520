//! What a filter's verdict does to the thread that makes the call (`__seccomp_filter()`).

use alloc::sync::Arc;

use abi::Errno;
use abi::ptrace::PtraceOptions;
use abi::seccomp::*;

use super::{Private, Thread, trace};
use crate::process::seccomp::{Filter, Verdict};
use crate::signal::{ExitStatus, Info, Signal, Work, code};

/// The largest error a filter can give.
const MAX_ERRNO: u32 = 4095;

/// Whether the call in the registers may be made with no more ado. Nobody traces the thread.
pub fn allows(thread: &Thread, private: &Private, number: u64) -> bool {
    thread.filters().is_none_or(|filters| filters.judge(&private.context, number) == Verdict::ALLOW)
}

/// Before a system call: the number of the one to make, if one is to be made. Otherwise the result is in the registers, or
/// the thread has a signal or its end to see to.
pub async fn enter_call(thread: &Arc<Thread>, private: &mut Private, number: u64) -> Option<u64> {
    let is_suspended = thread.tracing.options().contains(PtraceOptions::PTRACE_O_SUSPEND_SECCOMP);
    let Some(filters) = thread.filters().filter(|_| !is_suspended) else { return Some(number) };
    let verdict = filters.judge(&private.context, number);
    let word = match verdict {
        Verdict::Strict => return die(thread, private, Signal::KILL),
        Verdict::Word(word, is_logged) => {
            log(thread, number, word, is_logged);
            word
        }
    };
    if word & SECCOMP_RET_ACTION_FULL != SECCOMP_RET_TRACE {
        return obey(thread, private, number, word);
    }
    let message = u64::from(word & SECCOMP_RET_DATA);
    let number = trace::filtered_call(thread, private, number, message).await?;
    judge_again(thread, private, &filters, number)
}

/// The tracer may have put another call in the place of the one it was shown; a filter shows it none twice.
fn judge_again(thread: &Arc<Thread>, private: &mut Private, filters: &Arc<Filter>, number: u64) -> Option<u64> {
    match filters.judge(&private.context, number) {
        Verdict::Strict => die(thread, private, Signal::KILL),
        Verdict::Word(word, _) if word & SECCOMP_RET_ACTION_FULL == SECCOMP_RET_TRACE => Some(number),
        Verdict::Word(word, _) => obey(thread, private, number, word),
    }
}

/// Does what a filter's word says; gives the call to make, if it is to be made.
fn obey(thread: &Arc<Thread>, private: &mut Private, number: u64, word: u32) -> Option<u64> {
    let data = word & SECCOMP_RET_DATA;
    let signals = &thread.process.signals;
    // As rax had it: the call is not made.
    let info = Info::system_call(code::SYS_SECCOMP, private.context.rip, number as i32, data.cast_signed());
    match word & SECCOMP_RET_ACTION_FULL {
        SECCOMP_RET_ALLOW | SECCOMP_RET_LOG => return Some(number),
        SECCOMP_RET_ERRNO => private.context.rax = 0_u64.wrapping_sub(u64::from(data.min(MAX_ERRNO))),
        SECCOMP_RET_TRAP => {
            private.context.rax = number;
            signals.force(&thread.signals, Signal::SYS, info);
        }
        // Nobody listens.
        SECCOMP_RET_USER_NOTIF => private.context.rax = Errno::ENOSYS.to_return_value(),
        SECCOMP_RET_KILL_THREAD if !thread.process.has_one_thread() => return die(thread, private, Signal::SYS),
        _ => {
            private.context.rax = number;
            signals.force_fatal_with(&thread.signals, Signal::SYS, info);
        }
    }
    None
}

/// The thread ends, alone, as if by a signal.
fn die(thread: &Thread, private: &mut Private, signal: Signal) -> Option<u64> {
    private.exit = Some(ExitStatus::killed(signal));
    thread.signals.add_work(Work::NOTIFY);
    None
}

/// Deaths and what is asked for go to the log (`seccomp_log()`).
fn log(thread: &Thread, number: u64, word: u32, is_logged: bool) {
    let action = word & SECCOMP_RET_ACTION_FULL;
    let is_noteworthy = match action {
        SECCOMP_RET_ALLOW => false,
        SECCOMP_RET_TRAP | SECCOMP_RET_ERRNO | SECCOMP_RET_TRACE | SECCOMP_RET_USER_NOTIF => is_logged,
        _ => true,
    };
    if is_noteworthy {
        log::info!(
            "seccomp: thread {}, call {number}: {}",
            thread.tid(),
            action_name(action).unwrap_or("unknown action")
        );
    }
}
