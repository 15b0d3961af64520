//! A test program of `userland/tests`, and what the comments that open its source ask for (see `userland/test.h`).

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use xtask::{build, userland};

/// A program to run.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its path below `userland/tests`, without ending.
    pub name: String,
    /// The ELF file, on the host and (by the same path) in the guest.
    pub program: PathBuf,
    /// The numbers of virtual CPUs to run it with.
    pub cpus: Vec<u32>,
    /// Its arguments after the first.
    pub args: Vec<String>,
    /// Its standard input.
    pub stdin: Vec<u8>,
    /// The status it must end with, 128 + n for a signal.
    pub status: u8,
    /// When it is ended by force.
    pub timeout: Duration,
    /// The guest's memory, if it wants a boot of its own.
    pub memory: Option<String>,
    /// It wants a folder of the host, and with it a boot of its own.
    pub share: bool,
    /// It cannot run on the host's Linux.
    pub only_guest: bool,
    /// Why it does not pass on RustOS yet: the suite leaves it out unless it is asked for by its whole name.
    pub not_yet: Option<String>,
    /// It wants a boot of its own, as the program that `just run` starts.
    pub alone: bool,
}

/// Builds the test programs and gives those whose name has a filter in it (all, without filters).
pub fn all(filters: &[String]) -> io::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for program in userland::build()? {
        let Some(name) = program.name.strip_prefix("tests/") else { continue };
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())) {
            let source = fs::read_to_string(&program.source)?;
            cases.push(read(name, program.path, &source)?);
        }
    }
    Ok(cases)
}

/// A script, whose comments begin with `#`; `program` is where it is when it runs.
pub fn read_script(name: &str, program: PathBuf, source: &str) -> io::Result<Case> {
    let comments: Vec<String> =
        source.lines().map_while(|line| line.strip_prefix('#')).map(|line| format!("//{line}\n")).collect();
    read(name, program, &comments.concat())
}

fn read(name: &str, program: PathBuf, source: &str) -> io::Result<Case> {
    let word = |key: &str| build::directive(source, key);
    let wrong = |key: &str, value: &str| io::Error::other(format!("{name}: `// {key}: {value}` makes no sense"));
    let number = |key: &str, default: u32| match word(key) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| wrong(key, &text)),
    };
    let cpus = word("cpus").unwrap_or_else(|| "1 2 4".into());
    let status = number("status", 0)?;
    let only = word("only");
    Ok(Case {
        name: name.to_owned(),
        program,
        cpus: cpus.split_whitespace().map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong("cpus", &cpus))?,
        args: word("args").map(|text| text.split_whitespace().map(str::to_owned).collect()).unwrap_or_default(),
        stdin: unescape(&word("stdin").unwrap_or_default()),
        status: u8::try_from(status).map_err(|_| wrong("status", &status.to_string()))?,
        timeout: Duration::from_secs(number("timeout", 30)?.into()).mul_f64(patience()?),
        memory: word("mem"),
        share: word("share").is_some(),
        only_guest: match only.as_deref() {
            None => false,
            Some("rustos") => true,
            Some(other) => return Err(wrong("only", other)),
        },
        not_yet: word("not yet"),
        alone: word("alone").is_some(),
    })
}

/// `PATIENCE=3` gives every program three times its time: for a machine that has much else to do.
fn patience() -> io::Result<f64> {
    let text = env::var("PATIENCE").unwrap_or_else(|_| "1".into());
    text.parse()
        .ok()
        .filter(|factor| (0.1..=100.0).contains(factor))
        .ok_or_else(|| io::Error::other("PATIENCE: no factor"))
}

/// `\n`, `\t` and `\\` as C has them.
fn unescape(text: &str) -> Vec<u8> {
    text.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_source_does_not_say_has_a_default() {
        let case = read("x", PathBuf::new(), "#include \"test.h\"\n").expect("nothing wrong in it");
        assert_eq!((case.cpus, case.status, case.timeout), (vec![1, 2, 4], 0, Duration::from_secs(30)));
    }

    #[test]
    fn a_directive_that_makes_no_sense_is_an_error() {
        assert!(read("x", PathBuf::new(), "// cpus: many\n").is_err());
        assert!(read("x", PathBuf::new(), "// status: 300\n").is_err());
    }
}
