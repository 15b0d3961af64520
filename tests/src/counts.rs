//! The guard of the figures: what some operations cost in guest instructions, held against what they cost when that was
//! last recorded, and what a boot costs with much memory beside one with little. Counts, not times: they do not depend on
//! the host, only on the compiler, hence the margin.

use std::io;

use xtask::bench;

use crate::verdict::Tally;

/// How much more than recorded an operation may cost.
const MARGIN: f64 = 0.10;

/// Lines of `userland/bench/bench.c` and their instructions, as `./just bench` gave them.
const RECORDED: [(&str, f64); 8] = [
    ("null_syscall", 133.0),
    ("futex_ping_pong", 3410.0),
    ("thread_create_join", 15953.0),
    ("touch_new_page", 943.0),
    ("signal_raise_handle", 2844.0),
    ("mprotect_page", 2310.0),
    ("cow_break", 1353.0),
    ("fork_exit_wait", 40200.0),
];

/// How much dearer a boot may be with much memory than with little. The rest is what the tables of the direct map take.
const BOOT_MARGIN: f64 = 0.01;
/// Little memory; much; and how much to take where the host refuses that.
const MEMORY: [&str; 3] = ["256M", "64G", "4G"];

/// Boots the release kernel once and compares.
pub fn guard() -> io::Result<Tally> {
    let measured = bench::counts(&RECORDED.map(|(line, _)| line))?;
    let mut tally = Tally::default();
    for (line, recorded) in RECORDED {
        let count = measured.get(line).copied().flatten().unwrap_or(f64::INFINITY);
        let (holds, note) = judge(count, recorded);
        println!(
            "{} {line} takes {count:.0} instructions, recorded {recorded:.0}{note}",
            if holds { "ok  " } else { "FAIL" }
        );
        tally += Tally { passed: usize::from(holds), failed: usize::from(!holds) };
    }
    tally += guard_boot()?;
    println!("counts: {} passed, {} failed", tally.passed, tally.failed);
    Ok(tally)
}

/// A boot must not touch memory in proportion to how much there is.
fn guard_boot() -> io::Result<Tally> {
    let [little, much, less] = MEMORY;
    let base = bench::boot_count(little)?;
    let (much, count) = match bench::boot_count(much) {
        Ok(count) => (much, count),
        Err(error) => {
            println!("note: no machine of {much} on this host ({error}): {less} instead");
            (less, bench::boot_count(less)?)
        }
    };
    let holds = count <= base * (1.0 + BOOT_MARGIN);
    println!(
        "{} a boot takes {count:.0} instructions with {much} of memory, {base:.0} with {little}",
        if holds { "ok  " } else { "FAIL" }
    );
    Ok(Tally { passed: usize::from(holds), failed: usize::from(!holds) })
}

/// Whether a count is no regression, and what else to say of it.
fn judge(count: f64, recorded: f64) -> (bool, &'static str) {
    match count / recorded {
        ratio if ratio > 1.0 + MARGIN => (false, ": dearer by more than a tenth"),
        ratio if ratio < 1.0 - MARGIN => (true, ": cheaper by more than a tenth, record it in tests/src/counts.rs"),
        _ => (true, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_dearer_by_more_than_the_margin_fails() {
        assert!(judge(109.0, 100.0).0 && judge(50.0, 100.0).0);
        assert!(!judge(111.0, 100.0).0 && !judge(f64::INFINITY, 100.0).0);
    }
}
