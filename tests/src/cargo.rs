//! The host's own tests: `cargo test` of the workspace, its output passed on and its results added up.

use std::io::{self, BufRead, BufReader};
use std::process::Stdio;

use xtask::build;

use crate::verdict::Tally;

/// Runs `cargo test` for every crate. A crate that does not compile counts as one failure.
pub fn test(filters: &[String]) -> io::Result<Tally> {
    let mut cargo = build::cargo("test");
    cargo.args(["--quiet", "--workspace", "--no-fail-fast", "--"]).args(filters);
    let mut child = cargo.stdout(Stdio::piped()).spawn()?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line?;
            match results(&line) {
                Some(results) => tally += results,
                None if line.is_empty() || line.starts_with("running ") => {}
                None => println!("{line}"),
            }
        }
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        println!("FAIL cargo test ({status})");
        tally.failed = 1;
    }
    println!("host: {} passed, {} failed", tally.passed, tally.failed);
    Ok(tally)
}

/// The counts of a line `test result: ok. 13 passed; 0 failed; …`.
fn results(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |what: &str| -> Option<usize> {
        let part = counts.split(';').map(str::trim).find(|part| part.ends_with(what))?;
        part.split(' ').next()?.parse().ok()
    };
    Some(Tally { passed: count(" passed")?, failed: count(" failed")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted() {
        let line = "test result: FAILED. 13 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(results(line), Some(Tally { passed: 13, failed: 2 }));
        assert_eq!(results("running 13 tests"), None);
    }
}
