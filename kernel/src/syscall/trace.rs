//! One line a system call, as strace prints it: `[7] futex(0x7f20, FUTEX_WAIT_PRIVATE, 2, NULL) = 0`.
//!
//! Off unless the kernel's command line asks for it, when it costs nothing: calls are looked at only if [`ptrace::watches_calls`].

use alloc::string::String;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{SyscallResult, table};
use crate::arch;
use crate::process::{Pid, ptrace};

/// Whether any call is traced.
static ENABLED: AtomicBool = AtomicBool::new(false);

/// What marks a line of the report as a trace (`docs/host-protocol.md`).
const LINE: &str = "\x01T";

/// Numbers that a mask has room for; calls beyond are traced only when all are.
const MASKED_NUMBERS: usize = 512;

/// A bit per traced number.
static MASK: [AtomicU64; MASKED_NUMBERS / 64] = [const { AtomicU64::new(0) }; MASKED_NUMBERS / 64];

/// Starts tracing: `"1"` or `"all"` for every call, else names separated by commas. Unknown names are given back.
pub fn enable(selection: &str) -> impl Iterator<Item = &str> {
    let all = matches!(selection, "1" | "all");
    if all {
        MASK.iter().for_each(|word| word.store(u64::MAX, Ordering::Relaxed));
    }
    if !ENABLED.swap(true, Ordering::Relaxed) {
        ptrace::watch_calls();
    }
    selection.split(',').filter(move |name| !all && !enable_name(name))
}

fn enable_name(name: &str) -> bool {
    let row = table::SUPPORT.iter().find(|row| row.name == name);
    row.is_some_and(|row| {
        let word = MASK.get(row.number as usize / 64);
        word.inspect(|word| _ = word.fetch_or(1 << (row.number % 64), Ordering::Relaxed)).is_some()
    })
}

/// Whether the call is traced.
#[inline]
pub fn enabled(number: u64) -> bool {
    ENABLED.load(Ordering::Relaxed) && masked(number)
}

#[cold]
fn masked(number: u64) -> bool {
    let word = usize::try_from(number / 64).ok().and_then(|index| MASK.get(index));
    word.is_some_and(|word| word.load(Ordering::Relaxed) >> (number % 64) & 1 != 0)
}

/// The call as far as it is known when it begins: name and arguments.
#[cold]
pub fn begin(tid: Pid, number: u64, registers: &[u64; 6]) -> String {
    let mut line = String::new();
    // Writing to a String cannot fail.
    let _ = match table::name(number) {
        Some(name) => write!(line, "{LINE}[{tid}] {name}({})", Arguments(number, registers)),
        None => write!(line, "{LINE}[{tid}] syscall_{number:#x}({})", Arguments(number, registers)),
    };
    line
}

/// Prints the line, with the call's result or, if it does not return, a question mark.
#[cold]
pub fn end(mut line: String, result: Option<SyscallResult>) {
    // rt_sigreturn(2) gives back what the signal has interrupted: an error, it may be.
    let result = result.map(|result| result.and_then(|value| failure_in(value).map_or(Ok(value), Err)));
    let _ = match result {
        Some(Ok(value)) if value < 1 << 31 => writeln!(line, " = {value}"),
        Some(Ok(value)) => writeln!(line, " = {value:#x}"),
        Some(Err(error)) => writeln!(line, " = {}", Failure(error)),
        None => writeln!(line, " = ?"),
    };
    arch::log_write(line.as_bytes());
}

/// The error in a register.
fn failure_in(value: usize) -> Option<abi::Errno> {
    const ERRORS: usize = 4095;
    let number = value.wrapping_neg();
    if number <= ERRORS { abi::Errno::from_number(u16::try_from(number).unwrap_or(0)) } else { None }
}

/// The arguments of call number `.0`.
struct Arguments<'a>(u64, &'a [u64; 6]);

impl fmt::Display for Arguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        table::arguments(self.0, self.1, f)
    }
}

/// An error: `-1 ENOENT (No such file or directory)`, or `? ERESTARTSYS` for those that a signal decides about.
struct Failure(abi::Errno);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0.number() >= abi::Errno::ERESTARTSYS.number() { "?" } else { "-1" };
        write!(f, "{sign} {:?}", self.0)?;
        match self.0.text() {
            Some(text) if sign == "-1" => write!(f, " ({})", text.trim_end_matches('.')),
            _ => Ok(()),
        }
    }
}
