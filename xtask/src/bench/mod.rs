//! `just bench`: the same benchmark program on RustOS and on Debian's Linux, in the same QEMU, and a table of both.
//!
//! One CPU under `-icount`: the time stamp counter counts guest instructions, so figures repeat to the digit. Two CPUs in
//! real time, because QEMU cannot count instructions of two CPUs. Both kernels get `-cpu max,-erms,-fsrm`: TCG counts
//! every byte of `rep stosb`, which would charge Linux double for its pages. [`aims`] knows what a line should cost,
//! [`profile`] where its instructions go.

mod aims;
pub mod profile;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::build;
use crate::channels::{Host, InputKind};
use crate::initrd::{Initrd, Start};
use crate::machine::{self, Boot};
use crate::options::Options;
use crate::userland;

/// Where the program lies in both guests.
const PROGRAM: &str = "/bench";
/// Without mitigations, zeroing on allocation and stack randomisation Linux is at its fastest.
const LINUX_WORDS: &str =
    "console=ttyS0 quiet panic=-1 mitigations=off init_on_alloc=0 randomize_kstack_offset=off rdinit=/bench";

/// Ticks by line. A line that the system refused has none.
type Figures = BTreeMap<String, Option<f64>>;

/// Which lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    OneCpu,
    TwoCpus,
}

/// Runs all lines, or those named, prints the table, and writes `docs/benchmarks.md` if all were run.
pub fn run(lines: &[String]) -> io::Result<()> {
    let rustos = build::kernel(&Options::default())?;
    let linux = linux_image()?;
    let program = program()?;
    let mut text = heading(&linux)?;
    for kind in [Kind::OneCpu, Kind::TwoCpus] {
        let ours = on_rustos(&rustos, &program, &options(kind), &arguments(kind, lines))?;
        let theirs = on_linux(&linux, &program, kind, lines)?;
        text.push_str(&match kind {
            Kind::OneCpu => counts_table(&ours, &theirs),
            Kind::TwoCpus => times_table(&ours, &theirs),
        });
    }
    if lines.is_empty() {
        text.push_str(&boot_times(&rustos, &linux, &program)?);
    }
    println!("{text}");
    if lines.is_empty() {
        fs::write(build::root().join("docs/benchmarks.md"), text)?;
    }
    Ok(())
}

fn program() -> io::Result<Vec<u8>> {
    let found = userland::build()?.into_iter().find(|program| program.name == "bench/bench");
    machine::read(&found.ok_or_else(|| io::Error::other("userland/bench/bench.c is gone"))?.path)
}

/// Debian's kernel: the installed one, or its package's, unpacked into `target`.
fn linux_image() -> io::Result<PathBuf> {
    let unpacked = build::target().join("linux");
    for folder in [Path::new("/boot").to_owned(), unpacked.join("boot")] {
        if let Some(image) = newest_image(&folder) {
            return Ok(image);
        }
    }
    fs::create_dir_all(&unpacked)?;
    let script = "package=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \\(linux-image-.*\\)/\\1/p' | head -n 1) \
                  && apt-get download \"$package\" && dpkg-deb -x linux-image-*.deb .";
    let mut shell = Command::new("sh");
    shell.current_dir(&unpacked).args(["-c", script]);
    build::run(shell, "fetching Debian's Linux to compare with")?;
    newest_image(&unpacked.join("boot")).ok_or_else(|| io::Error::other("Debian's package has no kernel image"))
}

fn newest_image(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))).max()
}

fn options(kind: Kind) -> Options {
    let (cpus, icount, seconds) = if kind == Kind::OneCpu { (1, true, 600) } else { (2, false, 120) };
    let timeout = Some(Duration::from_secs(seconds));
    Options { cpus, icount, timeout, cpu: "max,-erms,-fsrm".into(), ..Options::default() }
}

fn arguments(kind: Kind, lines: &[String]) -> Vec<String> {
    let mode = (kind == Kind::TwoCpus).then(|| "two".to_owned());
    mode.into_iter().chain(lines.iter().cloned()).collect()
}

fn on_rustos(kernel: &Path, program: &[u8], options: &Options, words: &[String]) -> io::Result<Figures> {
    let (initrd, command_line) = packed(program, options, words)?;
    measure(options, kernel, &initrd, &command_line)
}

/// The figures of these lines on RustOS with one CPU, by its release kernel: for the guard among the tests.
pub fn counts(lines: &[&str]) -> io::Result<BTreeMap<String, Option<f64>>> {
    let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
    let kernel = build::kernel(&Options::default())?;
    on_rustos(&kernel, &program()?, &options(Kind::OneCpu), &lines)
}

/// The instructions from power on to the first program in a machine with so much memory (`64G`). Errors: also if the host
/// does not let QEMU map so much.
pub fn boot_count(memory: &str) -> io::Result<f64> {
    const LINE: &str = "boot_to_first_program";
    let kernel = build::kernel(&Options::default())?;
    let options = Options { memory: memory.into(), ..options(Kind::OneCpu) };
    let figures = on_rustos(&kernel, &program()?, &options, &[LINE.to_owned()])?;
    figures.get(LINE).copied().flatten().ok_or_else(|| io::Error::other(format!("nothing ran in {memory}")))
}

/// The initrd and the command line for the program on RustOS.
fn packed(program: &[u8], options: &Options, words: &[String]) -> io::Result<(Vec<u8>, String)> {
    let words = [&[PROGRAM.to_owned()], words].concat();
    let argv: Vec<Vec<u8>> = words.into_iter().map(String::into_bytes).collect();
    let mut initrd = Initrd::default();
    initrd.file(Path::new(PROGRAM), 0o755, program)?;
    initrd.start(&Start { exec: Path::new(PROGRAM), argv: &argv, env: &[], cwd: Path::new("/") })?;
    Ok((initrd.finish()?, format!("{} rustos.stdio=pipe,pipe,pipe", options.command_line())))
}

fn on_linux(kernel: &Path, program: &[u8], kind: Kind, lines: &[String]) -> io::Result<Figures> {
    let (initrd, command_line) = packed_for_linux(program, &arguments(kind, lines))?;
    measure(&for_linux(options(kind)), kernel, &initrd, &command_line)
}

/// On a microvm Linux finds nothing to calibrate its clock by; in real time, on a busy host, it gives up over that.
fn for_linux(options: Options) -> Options {
    let machine = if options.icount { "microvm" } else { "pc" };
    Options { machine: machine.into(), ..options }
}

fn packed_for_linux(program: &[u8], words: &[String]) -> io::Result<(Vec<u8>, String)> {
    let mut initrd = Initrd::default();
    initrd.file(Path::new(PROGRAM), 0o755, program)?;
    initrd.folder(Path::new("/dev"))?;
    Ok((initrd.finish()?, format!("{LINUX_WORDS} -- {}", words.join(" "))))
}

/// Seconds from QEMU's start to the first word of the first program, the best of three boots of each kernel.
fn boot_times(rustos: &Path, linux: &Path, program: &[u8]) -> io::Result<String> {
    let options = Options { icount: false, timeout: Some(Duration::from_secs(60)), ..options(Kind::OneCpu) };
    let words = ["hello".to_owned()];
    let (our_initrd, our_words) = packed(program, &options, &words)?;
    let (their_initrd, their_words) = packed_for_linux(program, &words)?;
    let best = |options: &Options, kernel: &Path, initrd: &[u8], command_line: &str| -> io::Result<f64> {
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            best = best.min(boot_time(options, &Boot { kernel, initrd: Some(initrd), command_line })?.as_secs_f64());
        }
        Ok(best)
    };
    let ours = best(&options, rustos, &our_initrd, &our_words)?;
    let theirs = best(&for_linux(options.clone()), linux, &their_initrd, &their_words)?;
    Ok(format!(
        "\n## Boot: seconds from QEMU's start to the first program's first word, the best of three\n\n\
         RustOS on QEMU's microvm, Linux on its pc, where it has a clock to calibrate by.\n\n\
         | RustOS | Linux | ratio | aim |\n|--:|--:|--:|--:|\n| {ours:.2} | {theirs:.2} | {:.2} | 0.3 s |\n",
        ours / theirs
    ))
}

/// Time until the program says `hello`.
fn boot_time(options: &Options, boot: &Boot<'_>) -> io::Result<Duration> {
    let begun = Instant::now();
    let (mut heard, mut heard_on_console) = (Heard::default(), Heard::default());
    let (mut error, mut log) = (Vec::new(), Vec::new());
    let nothing = File::open("/dev/null")?;
    let mut host = Host {
        input: nothing.as_fd(),
        input_kind: InputKind::Pipe,
        output: &mut heard,
        error: &mut error,
        console: &mut heard_on_console,
        log: &mut log,
        ended: None,
        resized: None,
    };
    machine::run(options, boot, &mut host)?;
    let at = heard.at.or(heard_on_console.at).ok_or_else(|| io::Error::other("the first program said nothing"))?;
    Ok(at - begun)
}

/// Notes when the word came.
#[derive(Default)]
struct Heard {
    text: Vec<u8>,
    at: Option<Instant>,
}

impl io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        if self.at.is_none() && self.text.windows(5).any(|word| word == b"hello") {
            self.at = Some(Instant::now());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Boots once and reads the figures from whatever the guest printed.
fn measure(options: &Options, kernel: &Path, initrd: &[u8], command_line: &str) -> io::Result<Figures> {
    let (mut output, mut console, mut error, mut log) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let nothing = File::open("/dev/null")?;
    let mut host = Host {
        input: nothing.as_fd(),
        input_kind: InputKind::Pipe,
        output: &mut output,
        error: &mut error,
        console: &mut console,
        log: &mut log,
        ended: None,
        resized: None,
    };
    machine::run(options, &Boot { kernel, initrd: Some(initrd), command_line }, &mut host)?;
    let said = [output, console].concat();
    let figures: Figures = String::from_utf8_lossy(&said).lines().filter_map(figure).collect();
    if figures.is_empty() {
        let log = [log, error].concat();
        return Err(io::Error::other(format!("{}: no figures\n{}", kernel.display(), String::from_utf8_lossy(&log))));
    }
    Ok(figures)
}

/// `name ticks` or `name -`.
fn figure(line: &str) -> Option<(String, Option<f64>)> {
    let (name, value) = line.trim_end().split_once(' ')?;
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    match value {
        "-" if is_name => Some((name.to_owned(), None)),
        value if is_name => Some((name.to_owned(), Some(value.parse().ok()?))),
        _ => None,
    }
}

fn heading(linux: &Path) -> io::Result<String> {
    let output = |program: &str, words: &[&str]| -> io::Result<String> {
        let output = Command::new(program).current_dir(build::root()).args(words).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = output("git", &["rev-parse", "--short", "HEAD"])?;
    let date = output("date", &["-u", "+%Y-%m-%d"])?;
    let linux = linux.file_name().unwrap_or_default().to_string_lossy().replace("vmlinuz-", "Linux ");
    Ok(format!(
        "# Benchmarks\n\n\
         Made by `./just bench` on {date} at commit {commit}: `userland/bench/bench.c` on RustOS and on {linux} (Debian's), \
         in the same QEMU (TCG) with 512 MiB.\n\n\
         What makes it fair: both kernels get `-cpu max,-erms,-fsrm`, because TCG counts every byte of `rep stosb`, which \
         would double what Linux pays for its pages. Linux is given `mitigations=off init_on_alloc=0 \
         randomize_kstack_offset=off`. One CPU is measured with `-icount shift=0,sleep=off -seed 1 -rtc base=…,clock=vm`, \
         so that the counter counts instructions and a figure repeats to the digit. QEMU cannot count those of two CPUs: \
         two are measured in time, which depends on what else the host does (its own CPUs are not pinned).\n\n\
         The aim is a ratio to Linux; no line should be above {}. `./just profile LINE` shows where the instructions of \
         a line go.\n",
        aims::CEILING
    ))
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.0}"))
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> Option<f64> {
    ours.zip(theirs).map(|(ours, theirs)| ours / theirs)
}

fn shown(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
}

fn counts_table(ours: &Figures, theirs: &Figures) -> String {
    let mut text = "\n## One CPU: guest instructions an operation\n\n\
                    | Line | RustOS | Linux | ratio | aim | |\n|---|--:|--:|--:|--:|---|\n"
        .to_owned();
    let (mut above, mut notes) = (0, String::new());
    for (name, &theirs) in theirs {
        let ours = ours.get(name).copied().flatten();
        let ratio = ratio(ours, theirs);
        let aim = aims::of(name);
        let missed = ratio.zip(aim).filter(|(ratio, aim)| *ratio > aim.ratio + 0.005);
        let mark = match missed {
            Some((ratio, _)) if ratio > aims::CEILING => "above all",
            Some(_) => "above",
            None => "",
        };
        if let Some((_, aim)) = missed {
            above += 1;
            writeln!(notes, "- {name}: {}.", aim.note).expect("a String takes all");
        }
        let aim = shown(aim.map(|aim| aim.ratio));
        writeln!(text, "| {name} | {} | {} | {} | {aim} | {mark} |", number(ours), number(theirs), shown(ratio))
            .expect("a String takes all");
    }
    if above > 0 {
        write!(text, "\n{above} lines are above their aim (\"above all\": above {}):\n\n{notes}", aims::CEILING)
            .expect("a String takes all");
    }
    text
}

fn times_table(ours: &Figures, theirs: &Figures) -> String {
    let mut text = "\n## Two CPUs: ticks of the time stamp counter an operation\n\n\
                    Each thread is pinned to a virtual CPU. Of the speed-ups, in hundredths, more is better: 200 is perfect.\n\n\
                    | Line | RustOS | Linux | ratio |\n|---|--:|--:|--:|\n"
        .to_owned();
    for (name, &theirs) in theirs {
        let ours = ours.get(name).copied().flatten();
        writeln!(text, "| {name} | {} | {} | {} |", number(ours), number(theirs), shown(ratio(ours, theirs)))
            .expect("a String takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_figures_are_passed_over() {
        assert_eq!(figure("null_syscall 105.0\r"), Some(("null_syscall".to_owned(), Some(105.0))));
        assert_eq!(figure("cow_break -"), Some(("cow_break".to_owned(), None)));
        assert_eq!(figure("[    0.1] Linux version"), None);
        assert_eq!(figure("hello world"), None);
    }
}
