//! What the user may ask of a machine, by environment: the options that `just run`, `just qemu` and the tests share.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

/// A machine as asked for. [`Options::from_env`] reads the user's wishes; the tests fill in their own.
#[derive(Clone, Debug)]
pub struct Options {
    /// `SMP`: number of virtual CPUs.
    pub cpus: u32,
    /// `MEM`: guest memory in QEMU's notation (`512M`).
    pub memory: String,
    /// `CPU`: QEMU's CPU model and features.
    pub cpu: String,
    /// `ICOUNT=1`: guest time counts instructions, and nothing random enters the machine.
    pub icount: bool,
    /// `TIMEOUT`: seconds until QEMU is ended with status 124.
    pub timeout: Option<Duration>,
    /// The longest the guest may write nothing at all; then it has hung, and is ended with status 124 too.
    pub silence: Option<Duration>,
    /// `APPEND`: more words for the kernel's command line.
    pub append: String,
    /// `TRACE`: `1` for all system calls, or their names with commas.
    pub trace: Option<String>,
    /// `LOG`: the kernel's log level; `1` for everything.
    pub log: Option<String>,
    /// `MACHINE`: QEMU's machine type, `microvm` (boots fastest) or `pc`.
    pub machine: String,
    /// `PROFILE`: cargo's profile of the kernel, `release` or `checked`.
    pub profile: String,
    /// `ROOTFS`: the root file system, a folder or an archive.
    pub rootfs: Option<PathBuf>,
    /// `SHARE`: a folder of the host that the guest sees at [`SHARE_PLACE`].
    pub share: Option<PathBuf>,
    /// `KERNEL`: an image to boot instead of ours, a Linux to compare with for one.
    pub kernel: Option<PathBuf>,
    /// `QEMU_ARGS`: more words for QEMU, split at blanks.
    pub qemu_args: Vec<String>,
}

/// Where the guest sees the host's folder.
pub const SHARE_PLACE: &str = "/mnt/host";

impl Default for Options {
    fn default() -> Self {
        Self {
            cpus: 1,
            memory: "512M".into(),
            cpu: "max".into(),
            icount: false,
            timeout: None,
            silence: None,
            append: String::new(),
            trace: None,
            log: None,
            machine: "microvm".into(),
            profile: "release".into(),
            rootfs: None,
            share: None,
            kernel: None,
            qemu_args: Vec::new(),
        }
    }
}

impl Options {
    /// The options of the environment, or a sentence about the one that makes no sense.
    pub fn from_env() -> Result<Self, String> {
        let default = Self::default();
        Ok(Self {
            cpus: match wish("SMP") {
                None => default.cpus,
                Some(text) => text
                    .parse()
                    .ok()
                    .filter(|count| (1..=255).contains(count))
                    .ok_or_else(|| format!("SMP={text}: not a number of CPUs from 1 to 255"))?,
            },
            memory: wish("MEM").unwrap_or(default.memory),
            cpu: wish("CPU").unwrap_or(default.cpu),
            icount: switch("ICOUNT")?,
            timeout: wish("TIMEOUT").map(|text| seconds("TIMEOUT", &text)).transpose()?,
            silence: None,
            append: wish("APPEND").unwrap_or_default(),
            trace: wish("TRACE").filter(|text| text != "0"),
            log: wish("LOG").filter(|text| text != "0"),
            machine: wish("MACHINE").unwrap_or(default.machine),
            profile: wish("PROFILE").unwrap_or(default.profile),
            rootfs: path_wish("ROOTFS"),
            share: path_wish("SHARE"),
            kernel: wish("KERNEL").map(PathBuf::from),
            qemu_args: wish("QEMU_ARGS")
                .map(|text| text.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
        })
    }

    /// Takes the options that open a command's arguments, `--name value` or `--name=value`, which count more than the
    /// environment's. Gives the arguments behind them.
    pub fn take_arguments<'a>(&mut self, mut arguments: &'a [OsString]) -> Result<&'a [OsString], String> {
        while let Some((word, rest)) = arguments.split_first() {
            let Some(named) = word.as_bytes().strip_prefix(b"--") else { break };
            if named.is_empty() {
                return Ok(rest);
            }
            let equals = named.iter().position(|&byte| byte == b'=');
            let (name, value, rest) = match equals {
                Some(at) => (&named[..at], OsStr::from_bytes(&named[at + 1..]), rest),
                None => {
                    let (value, rest) =
                        rest.split_first().ok_or_else(|| format!("{}: needs a path", word.display()))?;
                    (named, value.as_os_str(), rest)
                }
            };
            let path = Some(from_where_typed(value));
            match name {
                b"rootfs" => self.rootfs = path,
                b"share" => self.share = path,
                _ => return Err(format!("{}: no option; there are --rootfs and --share", word.display())),
            }
            arguments = rest;
        }
        Ok(arguments)
    }

    /// The words of the kernel's command line that these options ask for.
    pub fn command_line(&self) -> String {
        let mut words = Vec::new();
        words.push(match self.log.as_deref() {
            None => "quiet".to_owned(),
            Some("1") => "loglevel=7".to_owned(),
            Some(level) => format!("loglevel={level}"),
        });
        match self.trace.as_deref() {
            None => {}
            Some("1") => words.push("rustos.trace=all".to_owned()),
            Some(calls) => words.push(format!("rustos.trace={calls}")),
        }
        if !self.append.is_empty() {
            words.push(self.append.clone());
        }
        words.join(" ")
    }
}

fn path_wish(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|path| !path.is_empty()).map(|path| from_where_typed(&path))
}

/// A path, relative to where the command was typed.
fn from_where_typed(path: &OsStr) -> PathBuf {
    env::var_os("RUSTOS_FROM").map(PathBuf::from).unwrap_or_default().join(path)
}

/// A variable that is set and not empty.
fn wish(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

fn switch(name: &str) -> Result<bool, String> {
    match wish(name).as_deref() {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(other) => Err(format!("{name}={other}: neither 0 nor 1")),
    }
}

fn seconds(name: &str, text: &str) -> Result<Duration, String> {
    text.parse::<f64>()
        .ok()
        .and_then(|value| Duration::try_from_secs_f64(value).ok())
        .filter(|time| !time.is_zero())
        .ok_or_else(|| format!("{name}={text}: not a number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_command_line_is_quiet() {
        assert_eq!(Options::default().command_line(), "quiet");
    }

    #[test]
    fn trace_and_log_become_kernel_words() {
        let asked = Options {
            trace: Some("clone,futex".into()),
            log: Some("1".into()),
            append: "init=/bin/sh".into(),
            ..Options::default()
        };
        assert_eq!(asked.command_line(), "loglevel=7 rustos.trace=clone,futex init=/bin/sh");
    }

    #[test]
    fn options_end_where_the_program_begins() {
        let words = ["--share", "/a", "--rootfs=/b", "./p", "--share", "x"].map(OsString::from);
        let mut options = Options::default();
        assert_eq!(options.take_arguments(&words), Ok(&words[3..]));
        assert_eq!((options.share, options.rootfs), (Some("/a".into()), Some("/b".into())));
        let mut options = Options::default();
        assert_eq!(options.take_arguments(&["--".into(), "--p".into()]), Ok(&["--p".into()][..]));
        assert!(options.take_arguments(&["--size".into(), "1".into()]).is_err());
        assert!(options.take_arguments(&["--share".into()]).is_err());
    }

    #[test]
    fn seconds_may_have_a_fraction_but_not_be_nothing() {
        assert_eq!(seconds("TIMEOUT", "0.5"), Ok(Duration::from_millis(500)));
        assert!(seconds("TIMEOUT", "0").is_err());
        assert!(seconds("TIMEOUT", "soon").is_err());
    }
}
