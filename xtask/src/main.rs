//! The command behind the Justfile: `xtask build`, `xtask check`, `xtask bench`, `xtask profile LINE`,
//! `xtask run [OPTIONS] PROGRAM [ARGS…]`, `xtask gdb [OPTIONS] PROGRAM [ARGS…]`, `xtask qemu [OPTIONS]`,
//! `xtask image [OPTIONS]`.
//!
//! `run` takes the program to the guest at the host's own absolute path, starts it in a folder of the same name as the
//! current one, and ends as it ends. Options come by environment ([`xtask::options`]).

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use xtask::bench;
use xtask::build;
use xtask::channels::{Event, Host, InputKind};
use xtask::check;
use xtask::debug;
use xtask::image;
use xtask::initrd::{Initrd, Start};
use xtask::machine::{self, Boot};
use xtask::options::Options;
use xtask::report::End;
use xtask::rootfs;
use xtask::terminal::{self, LineWriter, RawTerminal};
use xtask::userland;

/// The status for bad arguments and for what fails before the guest runs.
const CANNOT_RUN: u8 = 126;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let done = match arguments.split_first() {
        Some((word, rest)) if word == "build" && rest.is_empty() => build_all(),
        Some((word, rest)) if word == "check" && rest.is_empty() => check_all(),
        Some((word, rest)) if word == "bench" => run_benchmarks(rest),
        Some((word, [line])) if word == "profile" => profile_benchmark(line),
        Some((word, rest)) if word == "run" && !rest.is_empty() => run_program(rest),
        Some((word, rest)) if word == "gdb" && !rest.is_empty() => debug_program(rest),
        Some((word, rest)) if word == "qemu" => boot_machine(rest),
        Some((word, rest)) if word == "image" => make_image(rest),
        _ => Err("usage: xtask build | check | bench [LINE…] | profile LINE | run|gdb [OPTIONS] PROGRAM [ARGS…] | qemu|image [OPTIONS]; \
             options: --rootfs FOLDER|ARCHIVE, --share FOLDER"
            .into()),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(message) => {
            eprintln!("rustos: {message}");
            ExitCode::from(CANNOT_RUN)
        }
    }
}

fn build_all() -> Result<u8, String> {
    let options = Options::from_env()?;
    let kernel = build::kernel(&options).map_err(said)?;
    let programs = userland::build().map_err(said)?;
    println!("kernel: {}", kernel.display());
    println!("programs: {} in {}", programs.len(), build::target().join("userland").display());
    Ok(0)
}

fn check_all() -> Result<u8, String> {
    let (passed, failed) = check::all().map_err(said)?;
    println!("{passed} passed, {failed} failed");
    Ok(u8::from(failed > 0))
}

fn run_benchmarks(lines: &[OsString]) -> Result<u8, String> {
    let lines: Vec<String> = lines.iter().map(|line| line.to_string_lossy().into_owned()).collect();
    bench::run(&lines).map_err(said)?;
    Ok(0)
}

fn profile_benchmark(line: &OsString) -> Result<u8, String> {
    bench::profile::run(&line.to_string_lossy()).map_err(said)?;
    Ok(0)
}

fn run_program(arguments: &[OsString]) -> Result<u8, String> {
    let mut options = Options::from_env()?;
    let arguments = options.take_arguments(arguments)?;
    let Packed { kernel, initrd, .. } = pack_program(&options, arguments)?;
    let kinds = [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()];
    let stdio = kinds.map(|terminal| if terminal { "tty" } else { "pipe" }).join(",");
    let input_kind = if kinds[0] { InputKind::Terminal } else { InputKind::Pipe };
    let command_line = format!("{} rustos.stdio={stdio}", options.command_line());
    boot_for_user(&options, &kernel, &initrd, command_line, input_kind)
}

fn debug_program(arguments: &[OsString]) -> Result<u8, String> {
    let mut options = Options::from_env()?;
    let arguments = options.take_arguments(arguments)?;
    let Packed { program, kernel, initrd } = pack_program(&options, arguments)?;
    let command_line = format!("{} rustos.stdio=pipe,pipe,pipe", options.command_line());
    let boot = Boot { kernel: &kernel, initrd: Some(&initrd), command_line: &command_line };
    debug::run(&options, &boot, &program).map_err(said)?;
    Ok(0)
}

/// A program ready to be started as a machine's first.
struct Packed {
    program: PathBuf,
    kernel: PathBuf,
    initrd: Vec<u8>,
}

fn pack_program(options: &Options, arguments: &[OsString]) -> Result<Packed, String> {
    let Some(program) = arguments.first() else { return Err("no program to run".into()) };
    let from = env::var_os("RUSTOS_FROM").map_or_else(env::current_dir, |folder| Ok(folder.into())).map_err(said)?;
    let program = find_program(&from, program)?;
    let content = machine::read(&program).map_err(said)?;
    let kernel = build::kernel(options).map_err(said)?;

    let argv: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.clone().into_vec()).collect();
    let start = Start { exec: &program, argv: &argv, env: &program_environment(), cwd: &from };
    let mut initrd = Initrd::on_top_of(given_root_file_system(options)?.unwrap_or_default());
    initrd.file(&program, 0o755, &content).map_err(said)?;
    initrd.start(&start).map_err(said)?;
    let initrd = initrd.finish().map_err(said)?;
    Ok(Packed { program, kernel, initrd })
}

fn boot_machine(arguments: &[OsString]) -> Result<u8, String> {
    let mut options = Options::from_env()?;
    if let Some(word) = options.take_arguments(arguments)?.first() {
        return Err(format!(
            "{}: qemu takes options alone, --rootfs FOLDER|ARCHIVE and --share FOLDER",
            word.display()
        ));
    }
    let given = given_machine(&options)?;
    let kernel = build::kernel(&options).map_err(said)?;
    let initrd = match given {
        Some(initrd) => initrd,
        None => rootfs::default().map_err(said)?,
    };
    let input_kind = if io::stdin().is_terminal() { InputKind::Terminal } else { InputKind::Script };
    let command_line = format!("{} rustos.stdio=tty,tty,tty", options.command_line());
    boot_for_user(&options, &kernel, &initrd, command_line, input_kind)
}

fn make_image(arguments: &[OsString]) -> Result<u8, String> {
    let mut options = Options::from_env()?;
    if let Some(word) = options.take_arguments(arguments)?.first() {
        return Err(format!("{}: image takes the option --rootfs FOLDER|ARCHIVE alone", word.display()));
    }
    let image = image::make(&options, given_machine(&options)?).map_err(said)?;
    println!("{}", image.display());
    Ok(0)
}

/// Boots with this process's own standard streams and says with which status to end.
fn boot_for_user(
    options: &Options,
    kernel: &Path,
    initrd: &[u8],
    mut command_line: String,
    input_kind: InputKind,
) -> Result<u8, String> {
    if let Some((rows, columns)) = screen_size() {
        command_line.push_str(&format!(" rustos.winsize={rows}x{columns}"));
    }
    if let Some(term) = env::var("TERM").ok().filter(|term| term.bytes().all(|byte| byte.is_ascii_graphic())) {
        command_line.push_str(&format!(" TERM={term}"));
    }
    let signals = Signals::register().map_err(said)?;
    let (stdin, mut output, mut error) = (io::stdin(), io::stdout(), io::stderr());
    let raw = match input_kind {
        InputKind::Terminal => Some(RawTerminal::enter(stdin.as_fd()).map_err(said)?),
        InputKind::Script | InputKind::Pipe => None,
    };
    let mut log = LineWriter { inner: io::stderr(), raw: raw.is_some() && io::stderr().is_terminal() };
    let mut console = console_writer();
    let ended_by = || signals.last();
    let mut host = Host {
        input: stdin.as_fd(),
        input_kind,
        output: &mut output,
        error: &mut error,
        console: &mut *console,
        log: &mut log,
        ended: Some(Event { arrival: &signals.ended, value: &ended_by }),
        resized: Some(Event { arrival: &signals.resized, value: &screen_size }),
    };
    let boot = Boot { kernel, initrd: Some(initrd), command_line: &command_line };
    let end = machine::run(options, &boot, &mut host);
    drop(raw);
    let end = end.map_err(said)?;
    match end {
        End::Failed => eprintln!("rustos: the machine ended without word of the program: the kernel failed"),
        End::TimedOut => {
            eprintln!("rustos: ended after the {} s of TIMEOUT", options.timeout.unwrap_or_default().as_secs_f64())
        }
        End::Exit(_) | End::Signal(_) | End::Interrupted(_) => {}
    }
    Ok(end.status())
}

/// The signals that concern a run: those that end it, and the one for a new window size.
struct Signals {
    ended: UnixStream,
    /// Which signal wrote to `ended` last.
    number: Arc<AtomicUsize>,
    resized: UnixStream,
}

impl Signals {
    fn register() -> io::Result<Self> {
        let (ended, notify_ended) = UnixStream::pair()?;
        let number = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let value = usize::try_from(signal).map_err(io::Error::other)?;
            signal_hook::flag::register_usize(signal, Arc::clone(&number), value)?;
            signal_hook::low_level::pipe::register(signal, notify_ended.try_clone()?)?;
        }
        let (resized, notify_resized) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(SIGWINCH, notify_resized)?;
        Ok(Self { ended, number, resized })
    }

    fn last(&self) -> u8 {
        u8::try_from(self.number.load(Ordering::SeqCst)).unwrap_or(0)
    }
}

fn screen_size() -> Option<(u16, u16)> {
    terminal::size(io::stdout()).or_else(|| terminal::size(io::stdin())).or_else(|| terminal::size(io::stderr()))
}

/// Where the guest's terminal shows: on the user's, or, with none in sight, on standard output.
fn console_writer() -> Box<dyn Write> {
    if io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Box::new(io::stdout());
    }
    match fs::OpenOptions::new().write(true).open("/dev/tty") {
        Ok(terminal) => Box::new(terminal),
        Err(_) => Box::new(io::stderr()),
    }
}

/// The program's absolute path on the host: as typed if that names a file, else found along PATH.
fn find_program(from: &Path, typed: &OsString) -> Result<PathBuf, String> {
    let path = from.join(typed);
    let along_path = || {
        let folders = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&folders).map(|folder| folder.join(typed)).find(|path| path.is_file())
    };
    let found = if path.is_file() || typed.as_bytes().contains(&b'/') { Some(path) } else { along_path() };
    let found = found.ok_or_else(|| format!("{}: neither a file nor a command", typed.display()))?;
    let folder = found.parent().unwrap_or(Path::new("/"));
    let folder = fs::canonicalize(folder).map_err(|error| format!("{}: {error}", found.display()))?;
    Ok(folder.join(found.file_name().unwrap_or_default()))
}

/// What a program finds in its environment: Linux's own for a first program, and the variables named in `PASS`.
fn program_environment() -> Vec<Vec<u8>> {
    let mut list =
        vec![b"HOME=/".to_vec(), b"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_vec()];
    let passed = env::var("PASS").unwrap_or_default();
    for name in ["TERM"].into_iter().chain(passed.split(',').filter(|name| !name.is_empty())) {
        if let Some(value) = env::var_os(name) {
            list.push([name.as_bytes(), b"=", value.as_bytes()].concat());
        }
    }
    list
}

/// The root file system the user named, as an archive.
fn given_root_file_system(options: &Options) -> Result<Option<Vec<u8>>, String> {
    options.rootfs.as_deref().map(rootfs::archive).transpose().map_err(said)
}

/// The same for a machine with a console.
fn given_machine(options: &Options) -> Result<Option<Vec<u8>>, String> {
    options.rootfs.as_deref().map(rootfs::with_init).transpose().map_err(said)
}

fn said(error: io::Error) -> String {
    error.to_string()
}
