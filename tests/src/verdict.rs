//! What a run gave, held against what it should have given.

use std::fmt::Write;
use std::ops::{Add, AddAssign};
use std::time::Duration;

use crate::case::Case;
use crate::frames::Frame;

/// Counts of behaviours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those as they should be.
    pub passed: usize,
    /// Those that are not.
    pub failed: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// What a run of a program gave.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Its status as a shell shows it; `None` if it did not end in time, or the kernel failed.
    pub status: Option<u8>,
    /// Its standard output.
    pub output: Vec<u8>,
    /// Its standard error.
    pub error: Vec<u8>,
    /// What else there is to say: the kernel's log, the reason why there is no status.
    pub note: String,
}

impl From<&Frame> for Outcome {
    fn from(frame: &Frame) -> Self {
        let note = if frame.status.is_none() { "the time was up".into() } else { String::new() };
        Self { status: frame.status, output: frame.output.clone(), error: frame.error.clone(), note }
    }
}

/// The comparison of one run: counts, and the text that explains the failures.
pub struct Verdict {
    /// Behaviours, one for each line `ok …` or `FAIL …` expected, else one for the program.
    pub tally: Tally,
    /// Empty if all is well.
    pub text: String,
}

impl Verdict {
    /// Prints a line for the run, and what went wrong in it.
    pub fn print(&self, run: &str, time: Duration) {
        let word = if self.tally.failed == 0 { "ok  " } else { "FAIL" };
        println!("{word} {run} ({:.2} s)", time.as_secs_f64());
        print!("{}", self.text);
    }
}

/// Holds a run against Linux's (`None` if the program cannot run there) and against what its source says.
pub fn judge(case: &Case, expected: Option<&Outcome>, got: &Outcome) -> Verdict {
    let got_lines = lines(&got.output);
    let expected_lines = expected.map_or_else(|| got_lines.clone(), |outcome| lines(&outcome.output));
    let mut text = String::new();
    let mut tally = Tally::default();
    for (index, line) in expected_lines.iter().enumerate() {
        let same = got_lines.get(index) == Some(line);
        let failure = line.starts_with("FAIL ");
        match same && !failure {
            true => tally.passed += usize::from(line.starts_with("ok ")),
            false => tally.failed += 1,
        }
        if same && failure {
            let _ = writeln!(text, "  {line}");
        } else if !same {
            let _ = writeln!(text, "  - {line}");
            let _ = writeln!(text, "  + {}", got_lines.get(index).map_or("(nothing)", String::as_str));
        }
    }
    for line in got_lines.iter().skip(expected_lines.len()) {
        tally.failed += 1;
        let _ = writeln!(text, "  + {line}");
    }
    let wanted = Some(case.status);
    if got.status != wanted {
        // A program that says FAIL ends with 1: that is no second failure.
        tally.failed = tally.failed.max(1);
        let _ = writeln!(text, "  status {}, not {}", shown(got.status), shown(wanted));
    }
    if tally == Tally::default() {
        tally.passed = 1;
    }
    if tally.failed > 0 {
        append_indented(&mut text, "stderr", &String::from_utf8_lossy(&got.error));
        append_indented(&mut text, "note", &got.note);
    }
    Verdict { tally, text }
}

fn lines(output: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(output).lines().map(str::to_owned).collect()
}

fn shown(status: Option<u8>) -> String {
    match status {
        Some(status) if status > 128 => format!("{status} (signal {})", status - 128),
        Some(status) => status.to_string(),
        None => "none".into(),
    }
}

/// The last lines of a longer text, under a title.
fn append_indented(text: &mut String, title: &str, more: &str) {
    const SHOWN: usize = 40;
    let all: Vec<&str> = more.lines().collect();
    for line in all.iter().skip(all.len().saturating_sub(SHOWN)) {
        let _ = writeln!(text, "  {title}: {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case() -> Case {
        Case {
            name: "x".into(),
            program: "x".into(),
            cpus: vec![1],
            args: Vec::new(),
            stdin: Vec::new(),
            status: 0,
            timeout: Duration::from_secs(1),
            memory: None,
            share: false,
            only_guest: false,
            not_yet: None,
            alone: false,
        }
    }

    fn outcome(output: &str, status: Option<u8>) -> Outcome {
        Outcome { status, output: output.into(), ..Outcome::default() }
    }

    #[test]
    fn equal_runs_pass_once_a_line() {
        let linux = outcome("ok a\nok b\n", Some(0));
        assert_eq!(judge(&case(), Some(&linux), &linux).tally, Tally { passed: 2, failed: 0 });
    }

    #[test]
    fn a_line_that_is_missing_fails() {
        let verdict = judge(&case(), Some(&outcome("ok a\nok b\n", Some(0))), &outcome("ok a\n", None));
        assert_eq!(verdict.tally, Tally { passed: 1, failed: 1 });
        assert!(verdict.text.contains("(nothing)"));
    }

    #[test]
    fn a_failure_on_both_sides_is_a_failure() {
        let both = outcome("ok a\nFAIL b: why\n", Some(1));
        assert_eq!(judge(&case(), Some(&both), &both).tally, Tally { passed: 1, failed: 1 });
    }

    #[test]
    fn a_silent_program_is_judged_by_its_status() {
        assert_eq!(judge(&case(), None, &outcome("", Some(0))).tally, Tally { passed: 1, failed: 0 });
        assert_eq!(judge(&case(), None, &outcome("", Some(139))).tally, Tally { passed: 0, failed: 1 });
    }
}
