//! Root file systems: one of the user's own, or the default of `just qemu`, busybox and our userland.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

use cpio::newc;
use flate2::read::MultiGzDecoder;

use crate::build;
use crate::initrd::Initrd;
use crate::machine;
use crate::tarball;
use crate::userland;

/// How archives in the "newc" format begin, without and with checksums.
const CPIO_MAGIC: [&[u8]; 2] = [b"070701", b"070702"];

/// The cpio archive of a root file system that is a folder, or an archive: cpio or tar, plain or compressed by gzip. The
/// host unpacks gzip: the guest could, but takes longer.
pub fn archive(path: &Path) -> io::Result<Vec<u8>> {
    if !path.is_dir() {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let bytes = unpacked(machine::read(path)?).map_err(named)?;
        return if tarball::is(&bytes) {
            tarball::to_cpio(&bytes).map_err(named)
        } else if CPIO_MAGIC.iter().any(|magic| bytes.starts_with(magic)) {
            Ok(bytes)
        } else {
            Err(named(io::Error::new(
                io::ErrorKind::InvalidData,
                "neither a folder nor an archive of cpio (newc) or tar",
            )))
        };
    }
    let mut initrd = Initrd::default();
    initrd.tree(path, Path::new("/"))?;
    initrd.finish()
}

/// The same for a machine with a console: one that has no init gets ours, so that its shell has a terminal.
pub fn with_init(path: &Path) -> io::Result<Vec<u8>> {
    let archive = archive(path)?;
    if has_init(&archive)? {
        return Ok(archive);
    }
    let program = userland::build()?.into_iter().find(|program| program.name == "init");
    let program = program.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "userland has no init"))?;
    let mut initrd = Initrd::on_top_of(archive);
    // Not in /bin or /sbin: they may be links.
    initrd.file(Path::new("/etc/init"), 0o755, &fs::read(program.path)?)?;
    initrd.finish()
}

/// Whether the (first) archive has a file where the kernel looks for init.
fn has_init(mut archive: &[u8]) -> io::Result<bool> {
    const NAMES: [&str; 6] = ["init", "sbin/init", "usr/sbin/init", "etc/init", "bin/init", "usr/bin/init"];
    loop {
        let reader = newc::Reader::new(archive)?;
        let name = reader.entry().name().trim_start_matches("./").trim_start_matches('/');
        if reader.entry().is_trailer() {
            return Ok(false);
        }
        if NAMES.contains(&name) {
            return Ok(true);
        }
        archive = reader.finish()?;
    }
}

fn unpacked(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
    if !bytes.starts_with(GZIP_MAGIC) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

/// The default: the folder `rootfs/` of the clone if there is one; else the distribution's busybox and our programs,
/// with our own `init`.
pub fn default() -> io::Result<Vec<u8>> {
    let own = build::root().join("rootfs");
    if own.is_dir() {
        return with_init(&own);
    }
    let mut initrd = Initrd::default();
    for folder in ["/bin", "/dev", "/etc", "/proc", "/root", "/run", "/sys", "/tmp", "/var"] {
        initrd.folder(Path::new(folder))?;
    }
    initrd.file(Path::new("/etc/passwd"), 0o644, b"root:x:0:0:root:/root:/bin/sh\n")?;
    initrd.file(Path::new("/etc/group"), 0o644, b"root:x:0:\n")?;
    add_busybox(&mut initrd)?;
    for program in userland::build()? {
        let path = if program.name == "init" { "/init".to_owned() } else { format!("/bin/{}", program.name) };
        initrd.file(Path::new(&path), 0o755, &fs::read(program.path)?)?;
    }
    initrd.finish()
}

/// busybox and a link for each of its applets.
fn add_busybox(initrd: &mut Initrd) -> io::Result<()> {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new).into_iter().find(|path| path.is_file());
    let Some(busybox) = busybox else {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "no busybox: install the package busybox-static (./just does)",
        ));
    };
    initrd.file(Path::new("/bin/busybox"), 0o755, &fs::read(busybox)?)?;
    let list = Command::new(busybox).arg("--list").output()?;
    for applet in String::from_utf8_lossy(&list.stdout).lines().filter(|applet| *applet != "busybox") {
        initrd.link(&Path::new("/bin").join(applet), Path::new("busybox"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive_with(names: &[&str]) -> Vec<u8> {
        let mut initrd = Initrd::default();
        for name in names {
            initrd.file(Path::new(name), 0o755, b"#!/bin/sh\n").expect("in memory");
        }
        initrd.finish().expect("in memory")
    }

    #[test]
    fn an_init_is_found_where_the_kernel_looks_for_it() {
        assert!(has_init(&archive_with(&["/etc/passwd", "/usr/sbin/init"])).expect("well-formed"));
        assert!(!has_init(&archive_with(&["/etc/passwd", "/bin/sh", "/etc/init.d/init"])).expect("well-formed"));
    }
}
