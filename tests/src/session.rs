//! A person's session at `just qemu`: the command itself on a pseudo-terminal, keys typed, answers read.
//!
//! Every behaviour is a line `ok` or `FAIL`, each in its turn on the one machine; the session ends with the first that gets
//! no answer, and those behind it count as failed. What was to be seen stands in `target/tests/session` afterwards.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use pty_process::blocking::Command;
use xtask::build;

use crate::terminal::Terminal;
use crate::verdict::Tally;

/// What a filter finds this part by.
pub const NAME: &str = "interactive";

const PROMPT: &str = "~ # ";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_Z: &str = "\x1a";
const BACKSPACE: &str = "\x7f";
const ESCAPE: &str = "\x1b";
const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";

/// Seconds after which the machine is ended, whatever it does.
const TIME_LIMIT: &str = "240";

type Behaviour = fn(&mut Session) -> io::Result<()>;

const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("a shell comes up", shell_comes_up),
    ("a command is run", command_is_run),
    ("backspace takes letters back", backspace),
    ("arrows edit the line and bring the last one back", arrows),
    ("the terminal has the size of the host's, also when that changes", size),
    ("commands are joined by pipes", pipes),
    ("ctrl-c ends a sleeping program", interrupt_a_sleeper),
    ("ctrl-c ends a program that computes", interrupt_a_loop),
    ("ctrl-d ends a program's input", end_of_input),
    ("ctrl-z stops a program, bg and fg continue it", job_control),
    ("ps shows the processes", processes),
    ("top shows the machine", top),
    ("/proc/self/fd shows the terminal", descriptors),
    ("vi edits a file by keystrokes", vi),
    ("exit powers off with status 0", exit),
];

/// Runs the session.
pub fn suite(profile: &str) -> io::Result<Tally> {
    let begun = Instant::now();
    let mut session = Session::start(profile)?;
    let mut tally = Tally::default();
    for (name, behaviour) in BEHAVIOURS {
        match behaviour(&mut session) {
            Ok(()) => {
                println!("ok   {NAME}: {name}");
                tally.passed += 1;
            }
            Err(error) => {
                println!("FAIL {NAME}: {name}\n  {error}");
                tally.failed = BEHAVIOURS.len() - tally.passed;
                break;
            }
        }
    }
    let record = build::target().join("tests");
    fs::create_dir_all(&record)?;
    fs::write(record.join("session"), &session.terminal.seen)?;
    let time = begun.elapsed().as_secs_f64();
    println!("{NAME}: {} passed, {} failed ({time:.2} s)", tally.passed, tally.failed);
    Ok(tally)
}

struct Session {
    terminal: Terminal,
}

impl Session {
    /// Starts the command behind `./just qemu` as the Justfile has it.
    fn start(profile: &str) -> io::Result<Self> {
        let command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let command = command.args(["run", "--quiet", "--package", "xtask", "--", "qemu"]).current_dir(build::root());
        let command = command.env("PROFILE", profile).env("TIMEOUT", TIME_LIMIT).env("TERM", "linux");
        Ok(Self { terminal: Terminal::start(command, 24, 80)? })
    }

    /// Presses keys and return, and gives what is shown until the next prompt, without the line typed.
    fn answer(&mut self, keys: &str) -> io::Result<String> {
        self.terminal.press(keys)?;
        self.terminal.press("\r")?;
        self.terminal.wait_for("\r\n")?;
        Ok(self.terminal.wait_for(PROMPT)?.replace("\r\n", "\n"))
    }

    /// Wants just this text as the answer.
    fn answers(&mut self, keys: &str, wanted: &str) -> io::Result<()> {
        let got = self.answer(keys)?;
        wants(got == wanted, keys, &got)
    }

    /// Starts a command that does not end by itself, and comes back when it runs.
    fn begin(&mut self, command: &str) -> io::Result<()> {
        self.terminal.press(&format!("echo be''gun; {command}\r"))?;
        self.terminal.wait_for("begun\r\n")?;
        thread::sleep(Duration::from_millis(300));
        Ok(())
    }
}

/// An error that shows the answer, unless it is as it should be.
fn wants(holds: bool, keys: &str, got: &str) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::other(format!("{keys:?} gave {got:?}"))) }
}

fn shell_comes_up(session: &mut Session) -> io::Result<()> {
    session.terminal.wait_for(PROMPT).map(drop)
}

fn command_is_run(session: &mut Session) -> io::Result<()> {
    session.answers("echo $((6 * 7))", "42\n")?;
    session.answers("uname -m", "x86_64\n")
}

fn backspace(session: &mut Session) -> io::Result<()> {
    session.answers(&format!("echo hexx{BACKSPACE}{BACKSPACE}llo"), "hello\n")
}

fn arrows(session: &mut Session) -> io::Result<()> {
    session.answers(&format!("echo 13{LEFT}2"), "123\n")?;
    session.answers(UP, "123\n")
}

fn size(session: &mut Session) -> io::Result<()> {
    session.answers("stty size", "24 80\n")?;
    session.begin("sh -c \"trap 'stty size; exit' WINCH; while :; do sleep 0.1; done\"")?;
    session.terminal.resize(30, 100)?;
    session.terminal.wait_for("30 100\r\n")?;
    session.terminal.wait_for(PROMPT).map(drop)
}

fn pipes(session: &mut Session) -> io::Result<()> {
    session.answers("seq 100 | grep 7 | tail -n 3 | tr '\\n' ' '; echo", "79 87 97 \n")
}

fn interrupt_a_sleeper(session: &mut Session) -> io::Result<()> {
    session.begin("sleep 1000")?;
    session.terminal.press(CTRL_C)?;
    session.terminal.wait_for(PROMPT)?;
    session.answers("echo $?", "130\n")
}

fn interrupt_a_loop(session: &mut Session) -> io::Result<()> {
    session.begin("sh -c 'while :; do :; done'")?;
    session.terminal.press(CTRL_C)?;
    session.terminal.wait_for(PROMPT)?;
    session.answers("echo $?", "130\n")
}

fn end_of_input(session: &mut Session) -> io::Result<()> {
    session.begin("wc -l")?;
    session.terminal.press(&format!("one\rtwo\r{CTRL_D}"))?;
    let answer = session.terminal.wait_for(PROMPT)?;
    wants(answer.ends_with("2\r\n"), "wc -l", &answer)
}

fn job_control(session: &mut Session) -> io::Result<()> {
    let is = |answer: &str, state: &str| answer.contains("[1]+") && answer.contains(state) && answer.contains("sleep");
    session.begin("sleep 1000")?;
    session.terminal.press(CTRL_Z)?;
    let stopped = session.terminal.wait_for(PROMPT)?;
    wants(is(&stopped, "Stopped"), "ctrl-z", &stopped)?;
    let jobs = session.answer("jobs")?;
    wants(is(&jobs, "Stopped"), "jobs", &jobs)?;
    session.answers("bg", "[1] sleep 1000\n")?;
    let jobs = session.answer("jobs")?;
    wants(is(&jobs, "Running"), "jobs", &jobs)?;
    session.terminal.press("fg\r")?;
    session.terminal.wait_for("\r\nsleep 1000\r\n")?;
    session.terminal.press(CTRL_C)?;
    session.terminal.wait_for(PROMPT)?;
    session.answers("jobs", "")
}

/// A program of busybox's that the shell runs without an exec shows its own name in braces.
fn processes(session: &mut Session) -> io::Result<()> {
    let answer = session.answer("ps")?;
    let has = |end: &str| answer.lines().any(|line| line.ends_with(end));
    let first = answer.lines().nth(1).unwrap_or_default();
    wants(first.trim_start().starts_with("1 ") && has(" -sh") && has(" {ps} -sh"), "ps", &answer)
}

fn top(session: &mut Session) -> io::Result<()> {
    let answer = session.answer("top -b -n 1")?;
    let has = |part: &str| answer.contains(part);
    wants(has("Mem: ") && has("CPU: ") && has("Load average: ") && has("top -b -n 1"), "top", &answer)
}

fn descriptors(session: &mut Session) -> io::Result<()> {
    let answer = session.answer("ls -l /proc/self/fd")?;
    let terminals = answer.lines().filter(|line| line.ends_with("-> /dev/console")).count();
    wants(terminals == 3 && answer.contains(" 3"), "ls -l /proc/self/fd", &answer)
}

fn vi(session: &mut Session) -> io::Result<()> {
    session.terminal.press("vi /tmp/poem\r")?;
    session.terminal.wait_for("/tmp/poem")?;
    for keys in ["iroses are red\rviolets are grey", ESCAPE, "bcwblue", ESCAPE, "1GxiR", ESCAPE, "yyp", ":wq\r"] {
        session.terminal.press(keys)?;
        // A lone escape is told from an arrow by the pause behind it.
        thread::sleep(Duration::from_millis(300));
    }
    session.terminal.wait_for(PROMPT)?;
    session.answers("cat /tmp/poem", "Roses are red\nRoses are red\nviolets are blue\n")
}

fn exit(session: &mut Session) -> io::Result<()> {
    session.terminal.press("exit\r")?;
    let status = session.terminal.wait_for_end()?;
    wants(status.success(), "exit", &status.to_string())
}
