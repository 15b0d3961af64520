//! The checks that need no run: formatting, clippy for the host and for the kernel's target, documentation.

use std::io;
use std::process::Command;

use crate::build;

/// Runs every check, says what failed, and gives the numbers of those that passed and failed.
pub fn all() -> io::Result<(usize, usize)> {
    let mut counts = (0, 0);
    for (name, mut command) in checks() {
        println!("checking {name}");
        if command.status()?.success() {
            counts.0 += 1;
        } else {
            println!("FAIL {name}: {}", shown(&command));
            counts.1 += 1;
        }
    }
    Ok(counts)
}

fn checks() -> Vec<(&'static str, Command)> {
    let mut fmt = build::cargo("fmt");
    fmt.args(["--all", "--check"]);
    let mut host = build::cargo("clippy");
    host.args(["--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    let mut kernel = build::kernel_cargo("clippy");
    kernel.args(["--quiet", "--package", "kernel", "--profile", "checked", "--", "-D", "warnings"]);
    let mut docs = build::cargo("doc");
    docs.args(["--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    vec![("formatting", fmt), ("clippy, host", host), ("clippy, kernel", kernel), ("documentation", docs)]
}

fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
