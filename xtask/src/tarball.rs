//! Root file systems that come as tar archives, as containers and distributions give them, turned into cpio's.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Entry, EntryType};

use crate::initrd::{Facts, Initrd};

/// Whether these are the bytes of a tar archive (POSIX or GNU).
pub fn is(bytes: &[u8]) -> bool {
    const MAGIC_AT: usize = 257;
    bytes.get(MAGIC_AT..).is_some_and(|rest| rest.starts_with(b"ustar"))
}

/// The same files as a cpio archive. What is no file (volume names, global headers) is passed over.
pub fn to_cpio(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut initrd = Initrd::default();
    let mut files = HashMap::new();
    for entry in Archive::new(bytes).entries()? {
        add(&mut initrd, &mut files, entry?)?;
    }
    initrd.finish()
}

/// Adds an entry. A hard link becomes a second file with the content of the first.
fn add(
    initrd: &mut Initrd,
    files: &mut HashMap<PathBuf, (Facts, Vec<u8>)>,
    mut entry: Entry<'_, &[u8]>,
) -> io::Result<()> {
    let (path, header) = (entry.path()?.into_owned(), entry.header());
    let id = |id: u64| u32::try_from(id).unwrap_or(0);
    let mut facts = Facts {
        mode: header.mode()? & 0o7777,
        // tar takes an empty field for a zero, too.
        uid: id(header.uid().unwrap_or(0)),
        gid: id(header.gid().unwrap_or(0)),
        modified: id(header.mtime().unwrap_or(0)),
        device: (0, 0),
    };
    let (kind, device) =
        (header.entry_type(), (header.device_major().ok().flatten(), header.device_minor().ok().flatten()));
    let target = entry.link_name_bytes().map(|name| name.into_owned()).unwrap_or_default();
    match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            facts.mode |= 0o100_000;
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            initrd.node(&path, &facts, &content)?;
            files.insert(plain(&path), (facts, content));
        }
        EntryType::Link => {
            let first = entry.link_name()?.and_then(|first| files.get(&plain(&first)));
            let (facts, content) = first.ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{}: a link to nothing before it", path.display()))
            })?;
            initrd.node(&path, facts, content)?;
        }
        EntryType::Symlink => initrd.node(&path, &Facts { mode: 0o120_777, ..facts }, &target)?,
        EntryType::Directory => initrd.node(&path, &Facts { mode: facts.mode | 0o040_000, ..facts }, &[])?,
        EntryType::Fifo => initrd.node(&path, &Facts { mode: facts.mode | 0o010_000, ..facts }, &[])?,
        EntryType::Char | EntryType::Block => {
            let bits = if kind == EntryType::Char { 0o020_000 } else { 0o060_000 };
            facts.device = (device.0.unwrap_or(0), device.1.unwrap_or(0));
            initrd.node(&path, &Facts { mode: facts.mode | bits, ..facts }, &[])?;
        }
        _ => {}
    }
    Ok(())
}

/// A path without what does not tell it from others: archives write `./a` here and `a` there.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|component| matches!(component, Component::Normal(_))).collect()
}

#[cfg(test)]
mod tests {
    use cpio::newc;

    use super::*;

    fn tar_with(build: impl FnOnce(&mut tar::Builder<Vec<u8>>) -> io::Result<()>) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        build(&mut builder).expect("written to memory");
        builder.into_inner().expect("ended")
    }

    fn header(kind: EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o755);
        header.set_uid(7);
        header
    }

    #[test]
    fn files_folders_and_links_arrive() {
        let archive = tar_with(|builder| {
            builder.append_data(&mut header(EntryType::Directory, 0), "./d", io::empty())?;
            builder.append_data(&mut header(EntryType::Regular, 2), "./d/f", &b"ab"[..])?;
            builder.append_link(&mut header(EntryType::Link, 0), "./d/g", "./d/f")?;
            builder.append_link(&mut header(EntryType::Symlink, 0), "./s", "d/f")
        });
        assert!(is(&archive));
        let cpio = to_cpio(&archive).expect("well-formed");
        let (mut found, mut rest) = (Vec::new(), io::Cursor::new(cpio));
        loop {
            let mut reader = newc::Reader::new(rest).expect("well-formed");
            if reader.entry().is_trailer() {
                break;
            }
            let mut content = String::new();
            reader.read_to_string(&mut content).expect("text");
            let entry = reader.entry();
            found.push((entry.name().to_owned(), entry.mode(), entry.uid(), content));
            rest = reader.finish().expect("ended");
        }
        let expected = [("d", 0o40755, ""), ("d/f", 0o100755, "ab"), ("d/g", 0o100755, "ab"), ("s", 0o120777, "d/f")];
        assert_eq!(found, expected.map(|(name, mode, text)| (name.to_owned(), mode, 7, text.to_owned())));
    }

    #[test]
    fn an_archive_that_is_cut_is_an_error() {
        let archive = tar_with(|builder| {
            builder.append_data(&mut header(EntryType::Regular, 2000), "f", io::repeat(b'x').take(2000))
        });
        assert!(to_cpio(&archive[..1000]).is_err());
    }
}
