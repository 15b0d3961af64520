//! Archives, good and bad.

use std::format;

use super::*;
use crate::fs::resolve::{Asker, Start};
use crate::fs::tmpfs::Options;
use crate::fs::{FsContext, LinkTarget, Mount, MountFlags, OpenFlags, SliceSink};

fn root() -> Path {
    let instance = tmpfs::new("tmpfs", &Options { mode: 0o755, ..Options::default() }).expect("room");
    let root = instance.root.clone();
    Mount::new(instance, root, b"rootfs", MountFlags::empty()).root_path()
}

struct Archive(Vec<u8>);

impl Archive {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn entry(mut self, name: &str, mode: u32, (inode, links): (u32, u32), body: &[u8]) -> Self {
        let fields = [inode, mode, 3, 4, links, 1_000_000, body.len() as u32, 8, 1, 1, 3, name.len() as u32 + 1, 0];
        self.0.extend_from_slice(b"070701");
        for field in fields {
            self.0.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
        self.pad();
        self.0.extend_from_slice(body);
        self.pad();
        self
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn end(self) -> &'static [u8] {
        self.entry("TRAILER!!!", 0, (0, 1), b"").0.leak()
    }
}

fn small() -> &'static [u8] {
    Archive::new()
        .entry(".", 0o040755, (1, 2), b"")
        .entry("bin", 0o040700, (2, 2), b"")
        .entry("bin/sh", 0o100755, (3, 1), b"#!interpreter")
        .entry("bin/ash", 0o120777, (4, 1), b"sh")
        .entry("deep/er/file", 0o100644, (5, 1), b"made its directories")
        .entry("null", 0o020666, (6, 1), b"")
        .end()
}

fn at(root: &Path, path: &str) -> Result<Path, Errno> {
    let cred = Cred::root();
    Start::at_cwd(&FsContext::new(root.clone()), &cred).resolve(path.as_bytes(), false)
}

fn content(root: &Path, path: &str) -> Vec<u8> {
    let place = at(root, path).expect("it was in the archive");
    let file = crate::fs::open::open_place(place, OpenFlags::empty(), &Arc::new(Cred::root())).expect("regular");
    let mut bytes = [0; 100];
    let read = file.try_read(&mut SliceSink::new(&mut bytes), crate::fs::At::Position).expect("readable");
    bytes[..read].to_vec()
}

#[test]
fn entries_become_files_with_their_attributes() {
    let root = root();
    assert_eq!(unpack(&root, small()), Ok(6));
    assert_eq!(content(&root, "/bin/sh"), b"#!interpreter");
    assert_eq!(content(&root, "/deep/er/file"), b"made its directories");
    let attributes = at(&root, "/bin").expect("there").inode().attributes();
    assert_eq!(
        (attributes.mode, attributes.uid, attributes.gid, attributes.modified.seconds),
        (0o700, 3, 4, 1_000_000)
    );
    let device = at(&root, "/null").expect("there").inode().device;
    assert_eq!(device, DeviceId::new(1, 3));
    let link = at(&root, "/bin/ash").expect("there");
    let target =
        link.inode().ops().read_link(link.inode(), &Asker { cred: &Cred::root(), pid: 0, tid: 0 }).expect("a link");
    assert!(matches!(target, LinkTarget::Text(text) if *text == *b"sh"));
}

#[test]
fn several_names_of_a_file_share_its_body_wherever_it_comes() {
    let archive = Archive::new()
        .entry("a", 0o100644, (7, 2), b"")
        .entry("b", 0o100644, (7, 2), b"the body comes with the last name")
        .end();
    let root = root();
    unpack(&root, archive).expect("well formed");
    assert_eq!(content(&root, "/a"), b"the body comes with the last name");
    assert_eq!(at(&root, "/a").expect("there").inode().attributes().links, 2);
}

#[test]
fn later_archives_replace_what_earlier_ones_brought() {
    let mut both = small().to_vec();
    both.extend_from_slice(&[0; 512]);
    both.extend_from_slice(Archive::new().entry("bin/sh", 0o100755, (3, 1), b"newer").end());
    let root = root();
    unpack(&root, both.leak()).expect("well formed");
    assert_eq!(content(&root, "/bin/sh"), b"newer");
}

#[test]
fn gzip_is_recognised() {
    let mut packed = std::vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
    packed.extend_from_slice(b"name\0");
    packed.extend_from_slice(&miniz_oxide::deflate::compress_to_vec(small(), 6));
    packed.extend_from_slice(&[0; 8]);
    let root = root();
    assert_eq!(unpack(&root, packed.leak()), Ok(6));
    assert_eq!(content(&root, "/bin/sh"), b"#!interpreter");
}

#[test]
fn an_archive_cut_anywhere_is_an_error_or_shorter_but_never_a_panic() {
    let whole = small();
    for len in 0..whole.len() {
        let cut = whole[..len].to_vec().leak();
        assert!(unpack(&root(), cut).is_ok_and(|entries| entries <= 6) || unpack(&root(), cut).is_err());
    }
    let packed = miniz_oxide::deflate::compress_to_vec(whole, 6);
    for len in 0..packed.len() {
        let mut cut = std::vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
        cut.extend_from_slice(&packed[..len]);
        assert!(unpack(&root(), cut.leak()).is_err());
    }
}

#[test]
fn an_archive_with_a_byte_changed_never_panics() {
    let whole = small();
    for at in 0..whole.len() {
        for value in [0, b'f', b'0', 0xff, b'/', b'.'] {
            let mut changed = whole.to_vec();
            changed[at] = value;
            let _ = unpack(&root(), changed.leak());
        }
    }
}

#[test]
fn names_cannot_leave_the_root() {
    let archive = Archive::new().entry("../../etc/passwd", 0o100644, (1, 1), b"evil").end();
    assert_eq!(unpack(&root(), archive), Err(UnpackError::BadName));
}
