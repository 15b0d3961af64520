//! `just bench`: the same benchmark program on RustOS and on Debian's Linux, in the same QEMU, and a table of both.
//!
//! One CPU under `-icount`: the time stamp counter counts guest instructions, so figures repeat to the digit. Two CPUs in
//! real time, because QEMU cannot count instructions of two CPUs. Both kernels get `-cpu max,-erms,-fsrm`: TCG counts
//! every byte of `rep stosb`, which would charge Linux double for its pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

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
        let ours = on_rustos(&rustos, &program, kind, lines)?;
        let theirs = on_linux(&linux, &program, kind, lines)?;
        text.push_str(&table(kind, &ours, &theirs));
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
    let (cpus, icount) = if kind == Kind::OneCpu { (1, true) } else { (2, false) };
    let timeout = Some(Duration::from_secs(600));
    Options { cpus, icount, timeout, cpu: "max,-erms,-fsrm".into(), ..Options::default() }
}

fn arguments(kind: Kind, lines: &[String]) -> Vec<String> {
    let mode = (kind == Kind::TwoCpus).then(|| "two".to_owned());
    mode.into_iter().chain(lines.iter().cloned()).collect()
}

fn on_rustos(kernel: &Path, program: &[u8], kind: Kind, lines: &[String]) -> io::Result<Figures> {
    let words = [vec![PROGRAM.to_owned()], arguments(kind, lines)].concat();
    let argv: Vec<Vec<u8>> = words.into_iter().map(String::into_bytes).collect();
    let mut initrd = Initrd::default();
    initrd.file(Path::new(PROGRAM), 0o755, program)?;
    initrd.start(&Start { exec: Path::new(PROGRAM), argv: &argv, env: &[], cwd: Path::new("/") })?;
    let options = options(kind);
    let command_line = format!("{} rustos.stdio=pipe,pipe,pipe", options.command_line());
    measure(&options, kernel, &initrd.finish()?, &command_line)
}

fn on_linux(kernel: &Path, program: &[u8], kind: Kind, lines: &[String]) -> io::Result<Figures> {
    let mut initrd = Initrd::default();
    initrd.file(Path::new(PROGRAM), 0o755, program)?;
    initrd.folder(Path::new("/dev"))?;
    let command_line = format!("{LINUX_WORDS} -- {}", arguments(kind, lines).join(" "));
    measure(&options(kind), kernel, &initrd.finish()?, &command_line)
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
        "# Benchmarks\n\nMade by `./just bench` on {date} at commit {commit}: `userland/bench/bench.c` on RustOS and on {linux} \
         (Debian's), in the same QEMU (TCG), both with `-cpu max,-erms,-fsrm`, because TCG counts every byte of `rep stosb`.\n\
         Linux was given `mitigations=off init_on_alloc=0 randomize_kstack_offset=off`.\n"
    ))
}

fn table(kind: Kind, ours: &Figures, theirs: &Figures) -> String {
    let (title, unit) = match kind {
        Kind::OneCpu => ("One CPU: guest instructions an operation (`-icount shift=0,sleep=off`)", "instructions"),
        Kind::TwoCpus => ("Two CPUs: real time, in ticks of the time stamp counter", "ticks"),
    };
    let mut text = format!("\n## {title}\n\n| line | RustOS, {unit} | Linux, {unit} | ratio |\n|---|--:|--:|--:|\n");
    for (name, theirs) in theirs {
        let ours = ours.get(name).copied().flatten();
        let ratio = ours.zip(*theirs).map_or("-".to_owned(), |(ours, theirs)| format!("{:.2}", ours / theirs));
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0}"));
        writeln!(text, "| {name} | {} | {} | {ratio} |", number(ours), number(*theirs)).expect("a String takes all");
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
