//! The host's own tests: `cargo test` of the workspace, and the models of the runtime's races that `loom` explores. Their
//! output is passed on and their results are added up. Tests that hang are ended, with all that cargo has started, and count
//! as a failure.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use xtask::build;

use crate::verdict::Tally;

/// The longest that cargo may be silent: a line is written when a crate's tests have run, or a screen's width of them.
const SILENCE: Duration = Duration::from_secs(600);

/// Runs `cargo test` for every crate. A crate that does not compile counts as one failure, and so do tests that hang.
pub fn test(filters: &[String]) -> io::Result<Tally> {
    let mut workspace = build::cargo("test");
    workspace.args(["--quiet", "--workspace", "--no-fail-fast", "--"]).args(filters);
    let mut tally = run(workspace)?;
    tally += run(loom(filters))?;
    println!("host: {} passed, {} failed", tally.passed, tally.failed);
    Ok(tally)
}

/// The models. They want a flag for every crate, and so a folder of their own to be built in.
fn loom(filters: &[String]) -> Command {
    let mut cargo = build::cargo("test");
    cargo.args(["--quiet", "--package", "runtime", "--release", "--test", "loom", "--no-fail-fast"]);
    cargo.arg("--target-dir").arg(build::target().join("loom")).env("RUSTFLAGS", "--cfg loom");
    cargo.arg("--").args(filters);
    cargo
}

/// Runs a `cargo test`.
fn run(mut cargo: Command) -> io::Result<Tally> {
    let mut child = cargo.process_group(0).stdout(Stdio::piped()).spawn()?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        let lines = lines(output);
        loop {
            match lines.recv_timeout(SILENCE) {
                Ok(line) => tally += take_line(&line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    println!("FAIL cargo test (silent for {} s, ended)", SILENCE.as_secs());
                    end(&child);
                    tally.failed += 1;
                    break;
                }
            }
        }
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        println!("FAIL cargo test ({status})");
        tally.failed = 1;
    }
    Ok(tally)
}

/// Reads lines in a thread of its own, so that waiting for them can have an end.
fn lines(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// What a line of cargo's says of results; a line that says nothing is passed on.
fn take_line(line: &str) -> Tally {
    if let Some(results) = results(line) {
        return results;
    }
    if !line.is_empty() && !line.starts_with("running ") {
        println!("{line}");
    }
    Tally::default()
}

/// Kills cargo and the test programs below it: they are one process group.
fn end(child: &Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended just now; then there is nothing left to kill.
        let _ = kill_process_group(group, Signal::KILL);
    }
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
