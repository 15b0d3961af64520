//! Root file systems: one of the user's own, or the default of `just qemu`, busybox and our userland.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

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
        return archive(&own);
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
