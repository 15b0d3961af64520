//! A root file system of Debian's packages, fetched and unpacked below `target/` without being installed: real programs, with
//! real loaders and libraries, for a machine and for a `chroot` alike.
//!
//! apt works with a state of its own, so that nothing on the host changes and nobody need be root. No package's scripts run.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::build::{run, target};

/// The packages; those they depend on come with them.
const PACKAGES: &[&str] = &[
    "bash-static",
    "busybox-static",
    "coreutils",
    "diffutils",
    "findutils",
    "gdb-minimal",
    "grep",
    "gron",
    "gzip",
    "libpython3.11-testsuite",
    "mawk",
    "procps",
    "python3.11-minimal",
    "sed",
    "strace",
    "stress-ng",
    "tar",
    "zsh-static",
];

/// What is not unpacked: documentation and data that the programs here do without.
const LEFT_OUT: &[&str] = &["./usr/share/*", "./usr/lib/x86_64-linux-gnu/gconv/*", "./usr/lib/x86_64-linux-gnu/perl*"];

/// Folders that are links into `usr/` since Debian merged them.
const MERGED: &[&str] = &["bin", "lib", "lib64", "sbin"];

/// The root's folder, made if it is not there or holds other packages.
pub fn root() -> io::Result<PathBuf> {
    let home = target().join("debian");
    let (root, stamp) = (home.join("root"), home.join("stamp"));
    let content = format!("{PACKAGES:?} {LEFT_OUT:?}\n");
    if fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == content) {
        return Ok(root);
    }
    eprintln!("making a root file system of Debian's packages in {} (once)", root.display());
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    fetch(&home, PACKAGES)?;
    lay_out(&root)?;
    for package in packages(&home)? {
        unpack(&package, &root)?;
    }
    fs::write(stamp, content)?;
    Ok(root)
}

/// Fetches packages, and all they depend on, into apt's cache below `home`.
fn fetch(home: &Path, packages: &[&str]) -> io::Result<()> {
    for folder in ["apt/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(home.join(folder))?;
    }
    fs::write(home.join("apt/status"), "")?;
    let apt = |words: &[&str]| {
        let mut apt = Command::new("apt-get");
        for (name, value) in [("Dir::State", "apt"), ("Dir::State::status", "apt/status"), ("Dir::Cache", "cache")] {
            apt.arg("-o").arg(format!("{name}={}", home.join(value).display()));
        }
        apt.args(["-o", "APT::Sandbox::User=", "-o", "APT::Install-Recommends=false", "-qq"]).args(words);
        apt.stdout(Stdio::null());
        apt
    };
    run(apt(&["update"]), "fetching the list of Debian's packages")?;
    let mut install = apt(&["--download-only", "--yes", "install"]);
    install.args(packages);
    run(install, "fetching Debian's packages")
}

/// The package files that were fetched.
fn packages(home: &Path) -> io::Result<Vec<PathBuf>> {
    let files = fs::read_dir(home.join("cache/archives"))?;
    let mut files = files.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|ending| ending == "deb"));
    files.sort();
    Ok(files)
}

/// The folders that no package brings, and the files that programs ask for.
fn lay_out(root: &Path) -> io::Result<()> {
    for name in MERGED {
        fs::create_dir_all(root.join("usr").join(name))?;
        symlink(Path::new("usr").join(name), root.join(name))?;
    }
    for name in ["dev", "etc", "proc", "root", "run", "sys", "tmp", "var/tmp"] {
        fs::create_dir_all(root.join(name))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
    symlink("bash-static", root.join("usr/bin/sh"))
}

fn unpack(package: &Path, root: &Path) -> io::Result<()> {
    let mut contents = Command::new("dpkg-deb").arg("--fsys-tarfile").arg(package).stdout(Stdio::piped()).spawn()?;
    let stream = contents.stdout.take().ok_or_else(|| io::Error::other("dpkg-deb has no output"))?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--directory").arg(root).args(["--keep-directory-symlink", "--no-same-owner"]);
    tar.args(LEFT_OUT.iter().map(|pattern| format!("--exclude={pattern}"))).stdin(stream);
    let unpacked = run(tar, &format!("unpacking {}", package.display()));
    let packed = contents.wait()?;
    unpacked?;
    if packed.success() { Ok(()) } else { Err(io::Error::other(format!("{}: {packed}", package.display()))) }
}
