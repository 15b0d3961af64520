//! The initial root file system: cpio archives in the "newc" format, one after the other, as Linux takes them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path};

use cpio::newc;

const KIND: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// An archive in the making. Folders above a file are made as needed; owners are root.
#[derive(Default)]
pub struct Initrd {
    /// Whole archives and the entries so far.
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    inode: u32,
}

/// What an archive says of an entry besides its name and content.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since the Epoch.
    pub modified: u32,
    /// A device's major and minor number.
    pub device: (u32, u32),
}

/// What `just run` tells the kernel about the program it brings (see `docs/host-protocol.md`).
pub struct Start<'a> {
    /// The program's path in the guest.
    pub exec: &'a Path,
    /// Its arguments, the first as typed.
    pub argv: &'a [Vec<u8>],
    /// Its environment, as `NAME=value`.
    pub env: &'a [Vec<u8>],
    /// The folder it starts in.
    pub cwd: &'a Path,
}

impl Initrd {
    /// Starts with `archives` somebody else made; what is added later replaces files of theirs.
    pub fn on_top_of(archives: Vec<u8>) -> Self {
        Self { bytes: archives, ..Self::default() }
    }

    /// Adds a folder, and those above it.
    pub fn folder(&mut self, path: &Path) -> io::Result<()> {
        self.folder_with_mode(path, 0o755)
    }

    fn folder_with_mode(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        if let Some(parent) = path.parent().filter(|parent| *parent != Path::new("/")) {
            self.folder(parent)?;
        }
        let name = entry_name(path)?;
        if name.is_empty() || !self.folders.insert(name.clone()) {
            return Ok(());
        }
        self.entry(&name, FOLDER | mode, &[])
    }

    /// Adds a file with these permission bits.
    pub fn file(&mut self, path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
        self.parent_of(path)?;
        self.entry(&entry_name(path)?, FILE | mode & 0o7777, content)
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &Path, target: &Path) -> io::Result<()> {
        self.parent_of(path)?;
        self.entry(&entry_name(path)?, LINK | 0o777, target.as_os_str().as_bytes())
    }

    /// Adds the host's folder `from` and all below it as `to`. Sockets and device nodes are passed over.
    pub fn tree(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.folder_with_mode(to, fs::metadata(from)?.permissions().mode() & 0o7777)?;
        let mut entries = fs::read_dir(from)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let metadata = fs::symlink_metadata(&source)?;
            let kind = metadata.file_type();
            if kind.is_dir() {
                self.tree(&source, &target)?;
            } else if kind.is_symlink() {
                self.link(&target, &fs::read_link(&source)?)?;
            } else if kind.is_file() {
                self.file(&target, metadata.mode(), &fs::read(&source)?)?;
            } else if kind.is_fifo() {
                self.entry(&entry_name(&target)?, metadata.mode(), &[])?;
            }
        }
        Ok(())
    }

    /// Adds the files that have the kernel start a program (the program itself is added by [`Initrd::file`]).
    pub fn start(&mut self, start: &Start<'_>) -> io::Result<()> {
        self.folder(start.cwd)?;
        self.file(Path::new("/.rustos/exec"), 0o400, start.exec.as_os_str().as_bytes())?;
        self.file(Path::new("/.rustos/cwd"), 0o400, start.cwd.as_os_str().as_bytes())?;
        self.file(Path::new("/.rustos/argv"), 0o400, &terminated(start.argv))?;
        self.file(Path::new("/.rustos/env"), 0o400, &terminated(start.env))
    }

    /// Ends the archive and hands out its bytes.
    pub fn finish(mut self) -> io::Result<Vec<u8>> {
        newc::trailer(&mut self.bytes)?;
        self.align();
        Ok(self.bytes)
    }

    fn parent_of(&mut self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) => self.folder(parent),
            None => Ok(()),
        }
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.add(name, &Facts { mode, ..Facts::default() }, content)
    }

    /// Adds an entry with all its facts. Of a folder added before, or made because something is in it, they count now.
    pub fn node(&mut self, path: &Path, facts: &Facts, content: &[u8]) -> io::Result<()> {
        self.parent_of(path)?;
        let name = entry_name(path)?;
        if name.is_empty() {
            return Ok(());
        }
        if facts.mode & KIND == FOLDER {
            self.folders.insert(name.clone());
        }
        self.add(&name, facts, content)
    }

    fn add(&mut self, name: &str, facts: &Facts, content: &[u8]) -> io::Result<()> {
        let size = u32::try_from(content.len())
            .map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, format!("{name}: 4 GiB are too much for cpio")))?;
        self.align();
        self.inode += 1;
        let links = if facts.mode & KIND == FOLDER { 2 } else { 1 };
        let entry =
            newc::Builder::new(name).ino(self.inode).nlink(links).mode(facts.mode).uid(facts.uid).gid(facts.gid);
        let entry = entry.mtime(facts.modified).rdev_major(facts.device.0).rdev_minor(facts.device.1);
        let mut entry = entry.write(&mut self.bytes, size);
        entry.write_all(content)?;
        entry.finish()?;
        Ok(())
    }

    /// Archives begin at multiples of four bytes.
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Strings as the kernel reads them: each ended by a NUL byte.
fn terminated(strings: &[Vec<u8>]) -> Vec<u8> {
    strings.iter().flat_map(|string| string.iter().copied().chain([0])).collect()
}

/// A path's name in an archive: relative to the root, without `.` and `..`.
fn entry_name(path: &Path) -> io::Result<String> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("{}: no name for an archive", path.display()));
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str().ok_or_else(invalid)?),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(invalid()),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries of an archive as (name, mode, content).
    fn entries(archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut found = Vec::new();
        let mut rest = io::Cursor::new(archive);
        loop {
            let mut reader = newc::Reader::new(rest).expect("the archive is well-formed");
            if reader.entry().is_trailer() {
                return found;
            }
            let mut content = Vec::new();
            io::Read::read_to_end(&mut reader, &mut content).expect("the content is there");
            found.push((reader.entry().name().to_owned(), reader.entry().mode(), content));
            rest = reader.finish().expect("an entry ends");
        }
    }

    #[test]
    fn folders_above_a_file_come_before_it_and_once() {
        let mut initrd = Initrd::default();
        initrd.file(Path::new("/a/b/c"), 0o755, b"elf").expect("written");
        initrd.file(Path::new("/a/d"), 0o644, b"text").expect("written");
        let names: Vec<_> =
            entries(&initrd.finish().expect("ended")).into_iter().map(|(name, mode, _)| (name, mode)).collect();
        let expected = [("a", 0o40755), ("a/b", 0o40755), ("a/b/c", 0o100755), ("a/d", 0o100644)];
        assert_eq!(names, expected.map(|(name, mode)| (name.to_owned(), mode)));
    }

    #[test]
    fn a_start_carries_its_arguments_exactly() {
        let mut initrd = Initrd::default();
        let argv = [b"./p".to_vec(), Vec::new(), b"a b\"\n".to_vec()];
        let start = Start { exec: Path::new("/x/p"), argv: &argv, env: &[], cwd: Path::new("/") };
        initrd.start(&start).expect("written");
        let found = entries(&initrd.finish().expect("ended"));
        let argv = found.iter().find(|(name, ..)| name == ".rustos/argv").expect("there");
        assert_eq!(argv.2, b"./p\0\0a b\"\n\0");
    }

    #[test]
    fn a_path_that_climbs_is_refused() {
        assert!(Initrd::default().file(Path::new("/a/../b"), 0o644, b"").is_err());
    }
}
