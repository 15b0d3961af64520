//! The kernel log: the `log` crate's records, as lines of the report (`docs/host-protocol.md`), and kept for syslog(2).

use alloc::format;
use core::sync::atomic::{AtomicUsize, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::CommandLine;
use crate::arch;
use crate::dev::kernel_log;

struct Report;

/// The least important records that the report shows, as a number of the `log` crate's.
static SHOWN: AtomicUsize = AtomicUsize::new(0);

impl Log for Report {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let now_us = arch::monotonic_ns() / 1000;
        kernel_log::record(number(record.level()), now_us, *record.args());
        if record.level() as usize > SHOWN.load(Ordering::Relaxed) {
            return;
        }
        let (s, us) = (now_us / 1_000_000, now_us % 1_000_000);
        arch::log_write(format!("\x01L[{s:5}.{us:06}] {}\n", record.args()).as_bytes());
    }

    fn flush(&self) {}
}

/// Linux's number of a level.
fn number(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// Sends records to the report, as `quiet` and `loglevel=` on the command line say. Those of some importance are kept in
/// any case.
pub(super) fn init(command_line: &CommandLine) {
    let shown = level(command_line);
    SHOWN.store(shown as usize, Ordering::Relaxed);
    log::set_max_level(shown.max(LevelFilter::Info));
    // A second logger could only be refused, and there is none.
    let _ = log::set_logger(&Report);
}

/// Linux's levels (`KERN_EMERG` 0 to `KERN_DEBUG` 7): messages below the number are shown. The default is 7.
fn level(command_line: &CommandLine) -> LevelFilter {
    const QUIET: u32 = 4;
    let quiet = command_line.get("quiet").map(|_| QUIET);
    let given = command_line.get("loglevel").and_then(|text| text.parse().ok());
    match given.or(quiet).unwrap_or(7) {
        0..=3 => LevelFilter::Off,
        4 => LevelFilter::Error,
        5 | 6 => LevelFilter::Warn,
        7 => LevelFilter::Info,
        _ => LevelFilter::Debug,
    }
}
