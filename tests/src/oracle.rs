//! Linux's answers: the test programs run on the host, by the same runner as in the guest.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use xtask::build;

use crate::case::{self, Case};
use crate::frames::Reader;
use crate::verdict::{Outcome, Tally, judge};

/// The environment of a test program, there and here.
pub const ENVIRONMENT: [(&str, &str); 2] = [("HOME", "/"), ("PATH", "/usr/bin:/bin")];

/// Where the runner is, which `userland` builds.
pub fn runner() -> PathBuf {
    build::target().join("userland/runner")
}

/// Runs every program on this Linux and holds it against what its source says.
pub fn suite(filters: &[String]) -> io::Result<Tally> {
    let mut tally = Tally::default();
    run(&case::all(filters)?, &mut |case, outcome, time| {
        let verdict = judge(case, Some(&outcome), &outcome);
        verdict.print(&format!("{} on Linux", case.name), time);
        tally += verdict.tally;
    })?;
    Ok(tally)
}

/// Runs those of the programs that can run on this Linux, and hands on the answers as they come.
pub fn run(cases: &[Case], answer: &mut dyn FnMut(&Case, Outcome, Duration)) -> io::Result<()> {
    let cases: Vec<&Case> = cases.iter().filter(|case| !case.only_guest).collect();
    let folder = build::target().join("tests");
    fs::create_dir_all(&folder)?;
    let mut list = String::new();
    for (index, case) in cases.iter().enumerate() {
        let input = folder.join(format!("input-{index}"));
        fs::write(&input, &case.stdin)?;
        list.push_str(&case.line_of_list(&input));
    }
    let list_file = folder.join("list");
    fs::write(&list_file, list)?;

    let mut command = Command::new(runner());
    command.arg(&list_file);
    answers(command, &cases, answer)
}

/// Has a command run the runner on a list of these programs, and hands on the answers as they come.
pub fn answers(
    mut command: Command,
    cases: &[&Case],
    answer: &mut dyn FnMut(&Case, Outcome, Duration),
) -> io::Result<()> {
    command.env_clear().envs(ENVIRONMENT).current_dir("/");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().ok_or_else(|| io::Error::other("the runner has no output"))?;
    let (mut reader, mut buffer) = (Reader::default(), [0; 8192]);
    loop {
        let count = output.read(&mut buffer)?;
        for frame in reader.feed(&buffer[..count]) {
            if let Some(case) = cases.get(frame.index) {
                answer(case, Outcome::from(&frame), frame.time);
            }
        }
        if count == 0 {
            break;
        }
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the runner failed on Linux ({status})"))) }
}

impl Case {
    /// The runner's line for this program, with its input in a file.
    pub fn line_of_list(&self, input: &Path) -> String {
        let words =
            [self.timeout.as_millis().to_string(), input.display().to_string(), self.program.display().to_string()];
        [&words, self.args.as_slice()].concat().join("\t") + "\n"
    }
}

/// A file that holds these bytes, read from its start.
pub fn file_with(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("stdin", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}
