//! The guard of the figures: what five operations cost in guest instructions, held against what they cost when that was
//! last recorded. Counts, not times: they do not depend on the host, only on the compiler, hence the margin.

use std::io;

use xtask::bench;

use crate::verdict::Tally;

/// How much more than recorded an operation may cost.
const MARGIN: f64 = 0.10;

/// Lines of `userland/bench/bench.c` and their instructions, as `./just bench` gave them.
const RECORDED: [(&str, f64); 5] = [
    ("null_syscall", 133.0),
    ("futex_ping_pong", 3410.0),
    ("thread_create_join", 15953.0),
    ("touch_new_page", 943.0),
    ("signal_raise_handle", 2844.0),
];

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
    println!("counts: {} passed, {} failed", tally.passed, tally.failed);
    Ok(tally)
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
