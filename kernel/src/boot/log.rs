//! The kernel log: the `log` crate's records, as lines of the report (`docs/host-protocol.md`).

use alloc::format;

use log::{LevelFilter, Log, Metadata, Record};

use super::CommandLine;
use crate::arch;

struct Report;

impl Log for Report {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let now_us = arch::monotonic_ns() / 1000;
        let (s, us) = (now_us / 1_000_000, now_us % 1_000_000);
        arch::log_write(format!("\x01L[{s:5}.{us:06}] {}\n", record.args()).as_bytes());
    }

    fn flush(&self) {}
}

/// Sends records to the report, as `quiet` and `loglevel=` on the command line say.
pub(super) fn init(command_line: &CommandLine) {
    log::set_max_level(level(command_line));
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
