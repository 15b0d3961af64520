//! The initramfs: a cpio archive (newc), plain or compressed with gzip, unpacked into the root file system
//! (`init/initramfs.c`, `Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! The bytes of regular files are not copied: their [`super::Content`] reads the archive until it is written. Archives
//! come from whoever starts the machine and may be truncated or hostile: every length is checked, and what was
//! unpacked before an error stays.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use abi::Errno;
use abi::fcntl::{NAME_MAX, PATH_MAX};

use super::create::make;
use super::dentry::Dentry;
use super::{Attributes, Cred, DeviceId, FileKind, Inode, NewInode, Path, SliceSource, Timestamp, tmpfs};

/// Bytes of a newc header.
const HEADER_BYTES: usize = 110;
/// The name that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";
/// The largest size a compressed archive may grow to.
const MAX_UNPACKED_BYTES: usize = 1 << 30;

/// What is wrong with an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnpackError {
    /// No header where one should be.
    NoHeader,
    /// A header, name or body reaches past the end.
    Truncated,
    /// A name is empty, too long or not ended by a zero byte.
    BadName,
    /// Compressed otherwise than with gzip, or not at all decompressible.
    Compression,
    /// A file could not be made.
    File(Errno),
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str("no cpio magic"),
            Self::Truncated => f.write_str("truncated"),
            Self::BadName => f.write_str("bad file name"),
            Self::Compression => f.write_str("invalid or unknown compressed format"),
            Self::File(error) => write!(f, "{error:?}"),
        }
    }
}

impl From<Errno> for UnpackError {
    fn from(error: Errno) -> Self {
        Self::File(error)
    }
}

/// Unpacks `archive` into the file system at `root`: one archive, or several one after another. Gives the number of
/// entries.
pub fn unpack(root: &Path, archive: &'static [u8]) -> Result<usize, UnpackError> {
    let mut rest = archive;
    let mut entries = 0;
    loop {
        let padding = rest.iter().take_while(|&&byte| byte == 0).count();
        rest = &rest[padding..];
        match rest {
            [] => return Ok(entries),
            [0x1f, 0x8b, ..] => {
                let (unpacked, used) = gunzip(rest)?;
                entries += unpack(root, unpacked)?;
                rest = &rest[used..];
            }
            _ => rest = unpack_one(root, rest, &mut entries)?,
        }
    }
}

/// An entry's header.
struct Header {
    inode: u32,
    mode: u32,
    uid: u32,
    gid: u32,
    links: u32,
    modified: u32,
    body_bytes: u32,
    major: u32,
    minor: u32,
    device: DeviceId,
    name_bytes: u32,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, UnpackError> {
        if !matches!(bytes.get(..6), Some(b"070701" | b"070702")) {
            return Err(UnpackError::NoHeader);
        }
        let bytes = bytes.get(6..HEADER_BYTES).ok_or(UnpackError::Truncated)?;
        let mut fields = [0; 13];
        for (field, digits) in fields.iter_mut().zip(bytes.chunks_exact(8)) {
            let digits = core::str::from_utf8(digits).map_err(|_| UnpackError::NoHeader)?;
            *field = u32::from_str_radix(digits, 16).map_err(|_| UnpackError::NoHeader)?;
        }
        let [inode, mode, uid, gid, links, modified, body_bytes, major, minor, rmajor, rminor, name_bytes, _] = fields;
        let device = DeviceId::new(rmajor, rminor);
        Ok(Self { inode, mode, uid, gid, links, modified, body_bytes, major, minor, device, name_bytes })
    }

    fn attributes(&self, links: u32) -> Attributes {
        let time = Timestamp { seconds: i64::from(self.modified), nanoseconds: 0 };
        Attributes {
            accessed: time,
            modified: time,
            changed: time,
            ..Attributes::new(self.mode as u16 & 0o7777, self.uid, self.gid, links)
        }
    }
}

/// Unpacks up to the trailer; gives what follows it.
fn unpack_one(root: &Path, archive: &'static [u8], entries: &mut usize) -> Result<&'static [u8], UnpackError> {
    let mut seen = Seen::default();
    let mut at = 0;
    while at < archive.len() {
        let header = Header::parse(&archive[at..])?;
        let name = piece(archive, at + HEADER_BYTES, header.name_bytes)?;
        let [name @ .., 0] = name else { return Err(UnpackError::BadName) };
        let body_at = align(at + HEADER_BYTES + header.name_bytes as usize);
        let body = piece(archive, body_at, header.body_bytes)?;
        at = align(body_at + body.len());
        if name == TRAILER {
            break;
        }
        enter(root, &header, name, body, &mut seen)?;
        *entries += 1;
    }
    seen.set_directory_times();
    Ok(archive.get(at..).unwrap_or_default())
}

fn piece(archive: &'static [u8], at: usize, len: u32) -> Result<&'static [u8], UnpackError> {
    archive.get(at..).and_then(|rest| rest.get(..len as usize)).ok_or(UnpackError::Truncated)
}

fn align(offset: usize) -> usize {
    offset.next_multiple_of(4)
}

/// What is known of earlier entries of an archive.
#[derive(Default)]
struct Seen {
    /// Files with several names, by device and inode number in the archive.
    links: BTreeMap<(u32, u32, u32), Arc<Inode>>,
    /// Directories, whose times are set when nothing more is entered in them.
    directories: Vec<(Arc<Inode>, Attributes)>,
}

impl Seen {
    fn directory(&mut self, inode: &Arc<Inode>, header: &Header) {
        let attributes = header.attributes(0);
        inode.update(|now| (now.mode, now.uid, now.gid) = (attributes.mode, attributes.uid, attributes.gid));
        self.directories.push((inode.clone(), attributes));
    }

    fn set_directory_times(&self) {
        for (inode, attributes) in &self.directories {
            inode.update(|now| (now.accessed, now.modified) = (attributes.accessed, attributes.modified));
        }
    }
}

/// Makes one entry. What is in its way goes, but a directory stays and takes the new attributes.
fn enter(root: &Path, header: &Header, name: &[u8], body: &'static [u8], seen: &mut Seen) -> Result<(), UnpackError> {
    let kind = FileKind::from_mode(header.mode).ok_or(UnpackError::NoHeader)?;
    let Some((dir, last)) = parent_of(root, name)? else {
        seen.directory(root.inode(), header);
        return Ok(());
    };
    if let Some(old) = dir.dentry.child(last) {
        if kind == FileKind::Directory && old.inode().kind == FileKind::Directory {
            seen.directory(old.inode(), header);
            return Ok(());
        }
        if old.inode().kind == FileKind::Directory {
            return Ok(());
        }
        dir.dentry.children().remove(last);
        old.mark_unlinked();
        old.inode().drop_links(1);
    }
    if kind == FileKind::Regular {
        return enter_file(&dir, header, last, body, seen);
    }
    let new = NewInode {
        kind,
        mode: header.mode as u16 & 0o7777,
        uid: header.uid,
        gid: header.gid,
        device: header.device,
        link: if kind == FileKind::Symlink { body.get(..PATH_MAX - 1).unwrap_or(body) } else { &[] },
    };
    let made = make(&dir, last, &Cred::root(), &new)?;
    if kind == FileKind::Directory {
        seen.directory(made.inode(), header);
    } else {
        made.inode().update(|attributes| *attributes = header.attributes(attributes.links));
    }
    Ok(())
}

/// Makes a regular file, or a further name of one. Of several names, the body comes with any.
fn enter_file(
    dir: &Path,
    header: &Header,
    name: &[u8],
    body: &'static [u8],
    seen: &mut Seen,
) -> Result<(), UnpackError> {
    let key = (header.major, header.minor, header.inode);
    let known = if header.links > 1 { seen.links.get(&key).cloned() } else { None };
    let inode = match known {
        Some(inode) => {
            inode.add_link(u32::MAX)?;
            give_body(&inode, body)?;
            inode
        }
        None => tmpfs::file_inode(&dir.inode().fs, header.attributes(1), body)?,
    };
    if header.links > 1 {
        seen.links.insert(key, inode.clone());
    }
    dir.dentry.children().insert(Dentry::detached(&dir.dentry, name, inode));
    Ok(())
}

/// Writes the body of a file that was entered without one.
fn give_body(inode: &Arc<Inode>, body: &[u8]) -> Result<(), Errno> {
    if body.is_empty() || inode.ops().size_bytes() > 0 {
        return Ok(());
    }
    let content = inode.downcast::<tmpfs::Node>().and_then(tmpfs::Node::content).ok_or(Errno::EINVAL)?;
    let _content = inode.lock_content();
    content.write(&mut SliceSource::new(body), 0).map(drop)
}

/// The directory an entry goes to, missing ones made, and its last name; `None` for the root itself.
fn parent_of<'a>(root: &Path, name: &'a [u8]) -> Result<Option<(Path, &'a [u8])>, UnpackError> {
    if name.len() >= PATH_MAX {
        return Err(UnpackError::BadName);
    }
    let parts: Vec<&[u8]> = name.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.iter().any(|part| part.len() > NAME_MAX || *part == b".." || part.contains(&0)) {
        return Err(UnpackError::BadName);
    }
    let Some((last, dirs)) = parts.split_last() else { return Ok(None) };
    let mut dir = root.clone();
    for part in dirs {
        let child = dir.dentry.child(part);
        dir.dentry = match child {
            Some(child) if child.inode().kind == FileKind::Directory => child,
            Some(_) => return Err(UnpackError::File(Errno::ENOTDIR)),
            None => {
                let new = NewInode {
                    kind: FileKind::Directory,
                    mode: 0o755,
                    uid: 0,
                    gid: 0,
                    device: DeviceId::default(),
                    link: &[],
                };
                make(&dir, part, &Cred::root(), &new)?
            }
        };
    }
    Ok(Some((dir, last)))
}

/// Decompresses a gzip member; gives its bytes, which stay for good, and how many bytes it took.
fn gunzip(bytes: &[u8]) -> Result<(&'static [u8], usize), UnpackError> {
    let start = gzip_header_bytes(bytes).ok_or(UnpackError::Compression)?;
    let packed = bytes.get(start..).ok_or(UnpackError::Truncated)?;
    let (unpacked, used) = inflate(packed)?;
    const TRAILER_BYTES: usize = 8;
    let end = (start + used + TRAILER_BYTES).min(bytes.len());
    Ok((unpacked.leak(), end))
}

fn inflate(packed: &[u8]) -> Result<(Vec<u8>, usize), UnpackError> {
    use miniz_oxide::inflate::TINFLStatus;
    use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
    let mut state = alloc::boxed::Box::<DecompressorOxide>::default();
    let mut out = Vec::new();
    let (mut taken, mut given) = (0, 0);
    loop {
        if given == out.len() {
            let more = out.len().clamp(1 << 20, MAX_UNPACKED_BYTES);
            if out.len() + more > MAX_UNPACKED_BYTES {
                return Err(UnpackError::Compression);
            }
            out.try_reserve_exact(more).map_err(|_| UnpackError::File(Errno::ENOMEM))?;
            out.resize(out.len() + more, 0);
        }
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, read, written) = decompress(&mut state, &packed[taken..], &mut out, given, flags);
        taken += read;
        given += written;
        match status {
            TINFLStatus::Done => {
                out.truncate(given);
                return Ok((out, taken));
            }
            TINFLStatus::HasMoreOutput => {}
            _ => return Err(UnpackError::Compression),
        }
    }
}

/// The length of a gzip member's header (RFC 1952); `None` if it is none.
fn gzip_header_bytes(bytes: &[u8]) -> Option<usize> {
    const FIXED_BYTES: usize = 10;
    const CHECKSUM: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let flags = *bytes.get(3).filter(|_| bytes.get(2) == Some(&8))?;
    let mut at = FIXED_BYTES;
    if flags & EXTRA != 0 {
        let len = bytes.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([len[0], len[1]]));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            at += bytes.get(at..)?.iter().position(|&byte| byte == 0)? + 1;
        }
    }
    if flags & CHECKSUM != 0 {
        at += 2;
    }
    Some(at)
}

#[cfg(test)]
mod tests;
