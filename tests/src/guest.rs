//! The suite in the guest: programs packed into as few boots as they allow, and their answers taken apart again.
//!
//! A boot runs `userland/runner` as its program; it starts the others one by one, each with a time limit, and frames what they
//! wrote (see its source). When the kernel fails in the middle, the program it was running has failed, and the others go into
//! another boot. Programs that want a machine of their own are started by the kernel itself.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use xtask::build;
use xtask::channels::{Host, InputKind};
use xtask::initrd::{Initrd, Start};
use xtask::machine::{self, Boot};
use xtask::options::Options;
use xtask::report::End;

use crate::case::{self, Case};
use crate::frames;
use crate::oracle::{self, ENVIRONMENT, file_with};
use crate::verdict::{Outcome, Tally, judge};

/// The longest a machine may be silent beyond a program's own time, to start for instance.
const BOOT_TIME: Duration = Duration::from_secs(20);

/// Runs the suite and prints a line a program; failing programs show what differs.
pub fn suite(filters: &[String]) -> io::Result<Tally> {
    let cases = leave_out_known(case::all(filters)?, filters);
    let options = Options { profile: wished_profile(), ..Options::from_env().map_err(io::Error::other)? };
    let kernel = build::kernel(&options)?;
    let mut expected = BTreeMap::new();
    oracle::run(&cases, &mut |case, outcome, _| drop(expected.insert(case.name.clone(), outcome)))?;
    let mut tally = Tally::default();
    for batch in batches(&cases) {
        let mut judged = |case: &Case, outcome: Outcome, time: Duration| {
            let verdict = judge(case, expected.get(&case.name), &outcome);
            verdict.print(&format!("{} on {}", case.name, plural(batch.cpus)), time);
            tally += verdict.tally;
        };
        run_batch(&options, &kernel, &batch, &mut judged)?;
    }
    println!("guest: {} passed, {} failed", tally.passed, tally.failed);
    Ok(tally)
}

/// Leaves out, and says so, the programs that are known not to pass yet, unless a filter is just their name.
pub fn leave_out_known(cases: Vec<Case>, filters: &[String]) -> Vec<Case> {
    let (kept, left): (Vec<_>, Vec<_>) =
        cases.into_iter().partition(|case| case.not_yet.is_none() || filters.contains(&case.name));
    for case in left {
        println!("skip {}: {}", case.name, case.not_yet.unwrap_or_default());
    }
    kept
}

/// The suite's kernel has every check in it, unless the user wants another.
pub fn wished_profile() -> String {
    std::env::var("PROFILE").ok().filter(|profile| !profile.is_empty()).unwrap_or_else(|| "checked".into())
}

/// How a number of CPUs is written.
pub fn plural(cpus: u32) -> String {
    if cpus == 1 { "1 CPU".into() } else { format!("{cpus} CPUs") }
}

/// Programs that share a machine.
pub struct Batch {
    /// How many virtual CPUs.
    pub cpus: u32,
    /// How much memory, if not what all get.
    pub memory: Option<String>,
    /// The archive of a root file system that has the programs in it.
    pub root: Option<Vec<u8>>,
    /// The programs.
    pub cases: Vec<Case>,
}

/// One batch a number of CPUs; programs with a wish for memory, or to be alone, by themselves.
fn batches(cases: &[Case]) -> Vec<Batch> {
    let mut shared: BTreeMap<u32, Vec<Case>> = BTreeMap::new();
    let mut single = Vec::new();
    for case in cases {
        for &cpus in &case.cpus {
            if case.alone || case.share || case.memory.is_some() {
                single.push(Batch { cpus, memory: case.memory.clone(), root: None, cases: vec![case.clone()] });
            } else {
                shared.entry(cpus).or_default().push(case.clone());
            }
        }
    }
    shared.into_iter().map(|(cpus, cases)| Batch { cpus, memory: None, root: None, cases }).chain(single).collect()
}

/// Called with each answer as it comes.
pub type Judge<'a> = dyn FnMut(&Case, Outcome, Duration) + 'a;

/// Runs a batch in one boot, or in more when the kernel fails.
pub fn run_batch(options: &Options, kernel: &Path, batch: &Batch, judge: &mut Judge<'_>) -> io::Result<()> {
    if let ([case], None) = (batch.cases.as_slice(), &batch.root) {
        return run_alone(options, kernel, batch, case, judge);
    }
    let mut left = batch.cases.as_slice();
    while !left.is_empty() {
        let begun = Instant::now();
        let (answered, note) = run_together(options, kernel, batch, left, judge)?;
        left = &left[answered..];
        // No answer from this one: the machine died of it.
        if let Some((case, rest)) = left.split_first() {
            judge(case, Outcome { note, ..Outcome::default() }, begun.elapsed());
            left = rest;
        }
    }
    Ok(())
}

/// Runs one program as the machine's own.
fn run_alone(options: &Options, kernel: &Path, batch: &Batch, case: &Case, judge: &mut Judge<'_>) -> io::Result<()> {
    let mut argv = vec![case.program.display().to_string().into_bytes()];
    argv.extend(case.args.iter().map(|argument| argument.clone().into_bytes()));
    let mut initrd = Initrd::default();
    initrd.file(&case.program, 0o755, &fs::read(&case.program)?)?;
    initrd.start(&Start { exec: &case.program, argv: &argv, env: &environment(), cwd: Path::new("/") })?;
    let folder = if case.share { Some(SharedFolder::new()?) } else { None };
    let options = Options { share: folder.as_ref().map(|folder| folder.0.clone()), ..options.clone() };
    let started = Instant::now();
    let mut output = Vec::new();
    let (end, seen) = boot(&options, kernel, batch, initrd, &case.stdin, case.timeout, &mut output)?;
    judge(
        case,
        Outcome { status: ended(end), output, error: seen.error, note: noted(end, &seen.log) },
        started.elapsed(),
    );
    Ok(())
}

/// An empty folder for a guest, taken away with all that is in it.
struct SharedFolder(PathBuf);

impl SharedFolder {
    fn new() -> io::Result<Self> {
        let path = build::target().join(format!("share-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for SharedFolder {
    fn drop(&mut self) {
        // What is left lies in the build's folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs programs in one boot by the runner. Gives how many were answered, the first so many of the list, and what the
/// machine itself had to say.
fn run_together(
    options: &Options,
    kernel: &Path,
    batch: &Batch,
    cases: &[Case],
    judge: &mut Judge<'_>,
) -> io::Result<(usize, String)> {
    let mut initrd = Initrd::on_top_of(batch.root.clone().unwrap_or_default());
    let mut list = String::new();
    for (index, case) in cases.iter().enumerate() {
        let input = format!("/suite/input/{index}");
        initrd.file(Path::new(&input), 0o444, &case.stdin)?;
        if batch.root.is_none() {
            initrd.file(&case.program, 0o755, &fs::read(&case.program)?)?;
        }
        list.push_str(&case.line_of_list(Path::new(&input)));
    }
    initrd.file(Path::new("/suite/runner"), 0o755, &fs::read(oracle::runner())?)?;
    initrd.file(Path::new("/suite/list"), 0o444, list.as_bytes())?;
    initrd.folder(Path::new("/tmp"))?;
    let argv = [b"/suite/runner".to_vec(), b"/suite/list".to_vec()];
    initrd.start(&Start { exec: Path::new("/suite/runner"), argv: &argv, env: &environment(), cwd: Path::new("/") })?;
    // The runner ends each program in its time: a machine that is silent for longer than any of them may run is lost.
    let longest = cases.iter().map(|case| case.timeout).max().unwrap_or_default();
    let mut answers = Answers { reader: frames::Reader::default(), cases, judge, count: 0 };
    let (end, seen) = boot(options, kernel, batch, initrd, &[], longest, &mut answers)?;
    // Only read if the runner has not come to the end of its list.
    let status = ended(end).map_or(String::new(), |status| format!("the runner ended with status {status}\n"));
    Ok((answers.count, format!("{status}{}{}", noted(end, &seen.log), String::from_utf8_lossy(&seen.error))))
}

/// Takes the runner's output and has each answer judged at once.
struct Answers<'a, 'b> {
    reader: frames::Reader,
    cases: &'a [Case],
    judge: &'a mut Judge<'b>,
    count: usize,
}

impl Write for Answers<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for frame in self.reader.feed(bytes) {
            let Some(case) = self.cases.get(frame.index) else { continue };
            (self.judge)(case, Outcome::from(&frame), frame.time);
            self.count += 1;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What came out of a machine besides the program's output.
#[derive(Default)]
struct Seen {
    error: Vec<u8>,
    log: Vec<u8>,
}

/// Boots a machine; it is ended when it has been silent for so long, and a while more.
fn boot(
    options: &Options,
    kernel: &Path,
    batch: &Batch,
    initrd: Initrd,
    stdin: &[u8],
    silence: Duration,
    output: &mut dyn Write,
) -> io::Result<(End, Seen)> {
    let options = Options {
        cpus: batch.cpus,
        memory: batch.memory.clone().unwrap_or_else(|| options.memory.clone()),
        silence: Some(silence + BOOT_TIME),
        ..options.clone()
    };
    let initrd = initrd.finish()?;
    let command_line = format!("{} rustos.stdio=pipe,pipe,pipe", options.command_line());
    let input = file_with(stdin)?;
    let (mut seen, mut console) = (Seen::default(), Vec::new());
    let mut host = Host {
        input: input.as_fd(),
        input_kind: InputKind::Pipe,
        output,
        error: &mut seen.error,
        console: &mut console,
        log: &mut seen.log,
        ended: None,
        resized: None,
    };
    let end = machine::run(&options, &Boot { kernel, initrd: Some(&initrd), command_line: &command_line }, &mut host)?;
    seen.log.extend(console);
    Ok((end, seen))
}

fn environment() -> Vec<Vec<u8>> {
    ENVIRONMENT.map(|(name, value)| format!("{name}={value}").into_bytes()).to_vec()
}

fn ended(end: End) -> Option<u8> {
    match end {
        End::Exit(_) | End::Signal(_) => Some(end.status()),
        End::Failed | End::TimedOut | End::Interrupted(_) => None,
    }
}

/// The log, with the reason first when the machine did not end by itself.
fn noted(end: End, log: &[u8]) -> String {
    let reason = match end {
        End::Exit(_) | End::Signal(_) => "",
        End::TimedOut => "the machine hangs, or the time was up\n",
        End::Failed | End::Interrupted(_) => "the kernel failed\n",
    };
    format!("{reason}{}", String::from_utf8_lossy(log))
}
