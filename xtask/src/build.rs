//! Where things are built, the kernel's own build, and what all builds share.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::options::Options;

const KERNEL_TARGET: &str = "x86_64-unknown-none";

/// The clone's root folder.
pub fn root() -> PathBuf {
    let room = Path::new(env!("CARGO_MANIFEST_DIR"));
    room.parent().expect("the room has a folder above it").to_owned()
}

/// Cargo's output folder.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The kernel image to boot: the user's, or ours, built with the cargo profile asked for. Cargo is asked only if a source is
/// younger than the last build, so that a run neither waits for it nor shows its old warnings again.
pub fn kernel(options: &Options) -> io::Result<PathBuf> {
    if let Some(image) = &options.kernel {
        return Ok(image.clone());
    }
    let profile = options.profile.as_str();
    let folder = if profile == "dev" { "debug" } else { profile };
    let image = target().join(KERNEL_TARGET).join(folder).join("rustos");
    let stamp = image.with_extension("stamp");
    let sources = ["kernel", "runtime", "abi", "Cargo.toml", "Cargo.lock"].map(|name| root().join(name));
    if image.exists() && stamp.exists() && newest_of(&sources)? < fs::metadata(&stamp)?.modified()? {
        return Ok(image);
    }
    let begun = SystemTime::now();
    let mut cargo = kernel_cargo("build");
    cargo.args(["--package", "kernel", "--profile", profile]);
    run(cargo, "building the kernel")?;
    // What changed during the build counts as changed after it.
    File::create(&stamp)?.set_modified(begun)?;
    Ok(image)
}

/// When a file, or a file below a folder, of the list last changed.
fn newest_of(list: &[PathBuf]) -> io::Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for path in list {
        newest = newest.max(fs::metadata(path)?.modified()?);
        if path.is_dir() {
            let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
            newest = newest.max(newest_of(&entries)?);
        }
    }
    Ok(newest)
}

/// A cargo command in the clone's root.
pub fn cargo(subcommand: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).arg(subcommand);
    cargo
}

/// A cargo command for the kernel's target.
pub fn kernel_cargo(subcommand: &str) -> Command {
    let mut cargo = cargo(subcommand);
    cargo.args(["--target", KERNEL_TARGET]);
    if libraries_from_source() {
        cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_UNSTABLE_BUILD_STD", "core,alloc");
    }
    cargo
}

/// Whether `./just` took Debian's Rust, which has no libraries built for our targets.
pub fn libraries_from_source() -> bool {
    env::var_os("RUSTOS_ROUTE").is_some_and(|route| route == "debian")
}

/// The words after `// key:` in the comments that open a source file.
pub fn directive(source: &str, key: &str) -> Option<String> {
    let comments = source.lines().take_while(|line| line.starts_with("//"));
    comments
        .filter_map(|line| line[2..].trim().split_once(':'))
        .find(|(name, _)| *name == key)
        .map(|(_, words)| words.trim().to_owned())
}

/// Runs a command to its end; its failure becomes an error that says what it was for.
pub fn run(mut command: Command, purpose: &str) -> io::Result<()> {
    let status = command
        .status()
        .map_err(|error| io::Error::new(error.kind(), format!("{purpose}: {:?}: {error}", command.get_program())))?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{purpose} failed ({status})"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_stand_in_the_opening_comments_alone() {
        let source = "// cpus: 1 2 4\n// args: a b\n#include <x.h>\n// status: 3\n";
        assert_eq!(directive(source, "cpus").as_deref(), Some("1 2 4"));
        assert_eq!(directive(source, "args").as_deref(), Some("a b"));
        assert_eq!(directive(source, "status"), None);
    }
}
