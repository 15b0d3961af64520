//! All tests, and their sum: `tests [--host | --guest | --counts | --linux] [FILTER…]`.
//!
//! The host part is `cargo test` of every crate. The guest part runs each program of `userland/tests` on the host's Linux
//! and on RustOS, on every number of CPUs it asks for, and wants the same output and status: Linux is the oracle.
//! The counts part holds what some operations, and boots with little and much memory, cost in guest instructions against what was recorded.
//! Between them scripts for real programs run the same way (`real`), a person's session at `just qemu` is typed
//! (`interactive`), and the disk image is booted (`image`).
//! `--linux` only holds the programs' runs on Linux against what their sources say: for whoever writes one.
//! A filter is a part of a program's name. The last line printed is `N passed, N failed`; the status is 1 if any failed.
//!
//! [`case`] reads what a program wants, [`oracle`] runs it on Linux, [`guest`] on RustOS, many programs a boot,
//! [`real`] does the same with scripts for Debian's programs, [`session`] types at `just qemu` on a [`terminal`],
//! [`image`] at the disk image's shell,
//! [`frames`] takes their answers apart, [`verdict`] compares, [`cargo`] runs the host's tests, [`counts`] guards the figures.

mod cargo;
mod case;
mod counts;
mod frames;
mod guest;
mod image;
mod oracle;
mod real;
mod session;
mod terminal;
mod verdict;

use std::env;
use std::io;
use std::process::ExitCode;

use crate::verdict::Tally;

fn main() -> ExitCode {
    let mut filters: Vec<String> = env::args().skip(1).collect();
    let part =
        if filters.first().is_some_and(|word| word.starts_with("--")) { filters.remove(0) } else { String::new() };
    match run(&part, &filters) {
        Ok(tally) => {
            println!("{} passed, {} failed", tally.passed, tally.failed);
            ExitCode::from(u8::from(tally.failed > 0))
        }
        Err(error) => {
            eprintln!("tests: {error}");
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

/// The parts that have a filter in their name.
fn named_parts(filters: &[String]) -> io::Result<Tally> {
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let mut tally = real::suite(filters)?;
    if wanted(session::NAME) {
        tally += session::suite(&guest::wished_profile())?;
    }
    if wanted(image::NAME) {
        tally += image::suite()?;
    }
    Ok(tally)
}

fn run(part: &str, filters: &[String]) -> io::Result<Tally> {
    match part {
        "--host" => cargo::test(filters),
        "--guest" => guest::suite(filters),
        "--counts" => counts::guard(),
        "--linux" => oracle::suite(filters),
        // A filter names programs of userland, and parts by their names.
        "" if !filters.is_empty() => Ok(guest::suite(filters)? + named_parts(filters)?),
        "" => Ok(cargo::test(filters)? + guest::suite(filters)? + named_parts(filters)? + counts::guard()?),
        other => Err(io::Error::other(format!("{other}: neither --host, --guest, --counts nor --linux"))),
    }
}
