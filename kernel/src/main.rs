//! The kernel image: a thin binary around the library, whose entry point `boot/entry.rs` defines.
//! Built for the host it prints which system calls there are, for `just syscalls`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use kernel as _;

#[cfg(not(target_os = "none"))]
fn main() -> std::io::Result<()> {
    use kernel::syscall::support;

    if std::env::args().nth(1).as_deref() != Some("--readme") {
        print!("{}", support::by_number());
        return Ok(());
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(path)?;
    let today =
        support::with_families(&readme).ok_or_else(|| std::io::Error::other("README.md has no place for the table"))?;
    std::fs::write(path, today)
}
