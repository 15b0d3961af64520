//! Open files and directories of a share.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;

use super::client::Fid;
use super::key;
use super::node::Node;
use super::pages;
use crate::fs::later::later;
use crate::fs::{
    DirEntry, DirSink, File, FileKind, FileOps, FileTraits, InodeOps, MmapRequest, Mmapped, Sink, Source, Whence,
    dirents,
};

/// The most bytes one call reads or writes; more gives a short count.
const TRANSFER_BYTES: usize = 4 << 20;

/// An open regular file.
pub struct OpenFile {
    /// The file.
    pub node: Arc<Node>,
    /// It, open at the server.
    pub fid: Arc<Fid>,
}

impl FileOps for OpenFile {
    fn traits(&self) -> FileTraits {
        FileTraits::SEEKABLE | FileTraits::REGULAR
    }

    fn try_read(&self, _file: &File, sink: &mut dyn Sink, offset: u64) -> Result<usize, Errno> {
        let len = sink.remaining().min(TRANSFER_BYTES);
        if len == 0 {
            return Ok(0);
        }
        let (client, fid) = (self.node.client(), self.fid.clone());
        let question = key("read", &[fid.number().into(), offset, len as u64], b"");
        let data = later(question, async move { client.read(&fid, offset, len).await.map(Arc::new) })?;
        if data.is_empty() { Ok(0) } else { sink.put(&data) }
    }

    fn try_write(&self, _file: &File, source: &mut dyn Source, offset: u64) -> Result<usize, Errno> {
        let len = source.remaining().min(TRANSFER_BYTES);
        let mut data = Vec::new();
        data.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        data.resize(len, 0);
        let taken = source.take(&mut data)?;
        data.truncate(taken);
        let (client, fid) = (self.node.client(), self.fid.clone());
        let question = key("write", &[fid.number().into(), offset, len as u64], b"");
        let written = later(question, async move { client.write(&fid, offset, &data).await })?;
        self.node.reaches(offset + written as u64);
        Ok(written)
    }

    fn size_bytes(&self, _file: &File) -> u64 {
        self.node.size_bytes()
    }

    /// `generic_file_readonly_mmap`: a shared mapping cannot be written to (`EINVAL`), now or later.
    fn mmap(&self, file: &Arc<File>, request: &MmapRequest) -> Result<Mmapped, Errno> {
        if request.shared && request.writes {
            return Err(Errno::EINVAL);
        }
        Ok(Mmapped { object: Some(pages::map(&self.node, &self.fid, file, request)?), never_write: true })
    }

    fn sync(&self, _file: &File, data_only: bool) -> Result<(), Errno> {
        let (client, fid) = (self.node.client(), self.fid.clone());
        let work = async move { client.sync(&fid, data_only).await };
        later(key("sync", &[self.fid.number().into()], b""), work)
    }
}

/// An open directory. Its positions are the server's.
pub struct OpenDirectory {
    /// The directory.
    pub node: Arc<Node>,
    /// It, open at the server.
    pub fid: Arc<Fid>,
}

impl FileOps for OpenDirectory {
    fn traits(&self) -> FileTraits {
        FileTraits::SEEKABLE
    }

    fn try_read(&self, _file: &File, _sink: &mut dyn Sink, _offset: u64) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn seek(&self, file: &File, position: u64, offset: i64, whence: Whence) -> Result<u64, Errno> {
        dirents::seek(file, position, offset, whence)
    }

    fn read_dir(&self, _file: &File, position: &mut u64, sink: &mut dyn DirSink) -> Result<(), Errno> {
        let mut given = false;
        loop {
            let (client, fid, offset) = (self.node.client(), self.fid.clone(), *position);
            let work = async move { client.entries(&fid, offset).await };
            let entries = match later(key("entries", &[self.fid.number().into(), offset], b""), work) {
                // What fits no more is asked for by the next call.
                Err(_) if given => return Ok(()),
                entries => entries?,
            };
            if entries.is_empty() {
                return Ok(());
            }
            for entry in entries.iter() {
                let kind = FileKind::from_mode(u32::from(entry.kind) << 12).unwrap_or(FileKind::Regular);
                let next_position = entry.next_offset;
                if !sink.entry(DirEntry { name: &entry.name, inode: entry.inode, kind, next_position }) {
                    return Ok(());
                }
                (*position, given) = (next_position, true);
            }
        }
    }

    fn sync(&self, _file: &File, data_only: bool) -> Result<(), Errno> {
        let (client, fid) = (self.node.client(), self.fid.clone());
        let work = async move { client.sync(&fid, data_only).await };
        later(key("sync", &[self.fid.number().into()], b""), work)
    }
}
