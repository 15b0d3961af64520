//! [`Client`]: what can be asked of a server, one async function a question.
//!
//! A [`Fid`] is the server's handle of a file: a place, or after [`Client::open`] an open file. The server is told when
//! its last owner lets it go.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use abi::Errno;
use runtime::TaskParams;

use super::wire::{Answer, HEADER_BYTES, Kind, Message, Qid};
use crate::fs::{DeviceId, StatFs, Timestamp};
use crate::sync::executor;

/// The largest message asked for.
const MESSAGE_BYTES: u32 = 128 << 10;
/// What a read's answer and a write's question have around their data (`P9_IOHDRSZ`).
const DATA_OVERHEAD_BYTES: u32 = 24;
/// Room for an answer without data.
const SHORT_ANSWER_BYTES: usize = 512;
/// `P9_NOFID`.
const NO_FID: u32 = !0;
/// `P9_NONUNAME`.
const NO_USER: u32 = !0;

/// What carries messages to the server and back.
pub trait Channel: Send + Sync {
    /// Sends a message; gives the answer, of at most `answer_bytes`.
    fn call(
        &self,
        message: Vec<u8>,
        answer_bytes: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, Errno>> + Send + '_>>;
}

/// A connection to a server.
pub struct Client {
    channel: Arc<dyn Channel>,
    message_bytes: u32,
    next_fid: AtomicU32,
    next_tag: AtomicU16,
}

/// A handle the server keeps for us.
pub struct Fid {
    client: Arc<Client>,
    number: u32,
}

impl Drop for Fid {
    /// `Tclunk`, by a task of its own: nobody waits for it.
    fn drop(&mut self) {
        let (client, number) = (self.client.clone(), self.number);
        executor::spawn(Arc::new(TaskParams::default()), async move {
            // The handle is gone whatever the server says.
            let _ = client.call(Message::new(Kind::Clunk).u32(number), SHORT_ANSWER_BYTES).await;
        });
    }
}

/// What the server knows of a file (`struct p9_stat_dotl`).
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    pub qid: Qid,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u64,
    pub device: DeviceId,
    pub size_bytes: u64,
    pub blocks_512: u64,
    pub accessed: Timestamp,
    pub modified: Timestamp,
    pub changed: Timestamp,
}

/// What [`Client::set_attributes`] is to change.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size_bytes: Option<u64>,
    pub accessed: Option<Timestamp>,
    pub modified: Option<Timestamp>,
}

/// An entry of a directory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The file's number.
    pub inode: u64,
    /// Where reading goes on after it.
    pub next_offset: u64,
    /// `DT_*`.
    pub kind: u8,
    /// Its name.
    pub name: Box<[u8]>,
}

impl Client {
    /// Agrees with the server on the protocol (`Tversion`). `EPROTONOSUPPORT` if it speaks another one.
    pub async fn connect(channel: Arc<dyn Channel>) -> Result<Arc<Self>, Errno> {
        const VERSION: &[u8] = b"9P2000.L";
        const LEAST_BYTES: u32 = 4096;
        let mut client =
            Self { channel, message_bytes: MESSAGE_BYTES, next_fid: AtomicU32::new(0), next_tag: AtomicU16::new(0) };
        let message = Message::new(Kind::Version).u32(MESSAGE_BYTES).text(VERSION)?;
        let mut answer = client.call(message, SHORT_ANSWER_BYTES).await?;
        client.message_bytes = answer.u32()?.min(MESSAGE_BYTES);
        if answer.text()? != VERSION || client.message_bytes < LEAST_BYTES {
            return Err(Errno::EPROTONOSUPPORT);
        }
        Ok(Arc::new(client))
    }

    async fn call(&self, message: Message, answer_bytes: usize) -> Result<Answer, Errno> {
        const NO_TAG: u16 = !0;
        let tag = match self.next_tag.fetch_add(1, Ordering::Relaxed) {
            NO_TAG => self.next_tag.fetch_add(1, Ordering::Relaxed),
            tag => tag,
        };
        let kind = message.answer_kind();
        let bytes = self.channel.call(message.with_tag(tag), answer_bytes).await?;
        Answer::open(bytes, kind, tag)
    }

    async fn ask(&self, message: Message) -> Result<Answer, Errno> {
        self.call(message, SHORT_ANSWER_BYTES).await
    }

    /// Asks for something that makes a new handle, and gives that. Numbers of handles are not used again: there are
    /// enough for one each microsecond of an hour.
    async fn ask_for_fid(
        self: &Arc<Self>,
        message: impl FnOnce(u32) -> Result<Message, Errno>,
    ) -> Result<(Fid, Answer), Errno> {
        let number = self.next_fid.fetch_add(1, Ordering::Relaxed);
        let answer = self.ask(message(number)?).await?;
        Ok((Fid { client: self.clone(), number }, answer))
    }

    /// The most bytes one message reads or writes.
    fn data_bytes(&self) -> usize {
        (self.message_bytes - DATA_OVERHEAD_BYTES) as usize
    }

    /// The root of the tree (`Tattach`).
    pub async fn attach(self: &Arc<Self>, tree: &[u8]) -> Result<Fid, Errno> {
        let message =
            |number| Ok(Message::new(Kind::Attach).u32(number).u32(NO_FID).text(b"root")?.text(tree)?.u32(NO_USER));
        Ok(self.ask_for_fid(message).await?.0)
    }

    /// The entry `name` of a directory, or without a name a second handle of the same place (`Twalk`).
    pub async fn walk(self: &Arc<Self>, from: &Fid, name: Option<&[u8]>) -> Result<Fid, Errno> {
        let message = |number| {
            let message = Message::new(Kind::Walk).u32(from.number).u32(number).u16(u16::from(name.is_some()));
            match name {
                Some(name) => message.text(name),
                None => Ok(message),
            }
        };
        let (fid, mut answer) = self.ask_for_fid(message).await?;
        if answer.u16()? == u16::from(name.is_some()) { Ok(fid) } else { Err(Errno::ENOENT) }
    }

    /// `Tgetattr`.
    pub async fn attributes(&self, fid: &Fid) -> Result<Stat, Errno> {
        const BASIC: u64 = 0x7ff;
        let mut answer = self.ask(Message::new(Kind::Getattr).u32(fid.number).u64(BASIC)).await?;
        answer.u64()?;
        let qid = Qid::read(&mut answer)?;
        let (mode, uid, gid) = (answer.u32()?, answer.u32()?, answer.u32()?);
        let (links, device, size_bytes) = (answer.u64()?, answer.u64()?, answer.u64()?);
        let _block_bytes = answer.u64()?;
        let blocks_512 = answer.u64()?;
        let mut time = || -> Result<Timestamp, Errno> {
            let (seconds, nanoseconds) = (answer.u64()?.cast_signed(), answer.u64()?);
            Ok(Timestamp { seconds, nanoseconds: u32::try_from(nanoseconds).map_err(|_| Errno::EIO)? })
        };
        let (accessed, modified, changed) = (time()?, time()?, time()?);
        let device = DeviceId::decode(device);
        Ok(Stat { qid, mode, uid, gid, links, device, size_bytes, blocks_512, accessed, modified, changed })
    }

    /// `Tsetattr`.
    pub async fn set_attributes(&self, fid: &Fid, changes: &Changes) -> Result<(), Errno> {
        const CHANGE_TIME: u32 = 0x40;
        let bit = |bit: u32, set: bool| if set { bit } else { 0 };
        let valid = CHANGE_TIME
            | bit(0x1, changes.mode.is_some())
            | bit(0x2, changes.uid.is_some())
            | bit(0x4, changes.gid.is_some())
            | bit(0x8, changes.size_bytes.is_some())
            | bit(0x10 | 0x80, changes.accessed.is_some())
            | bit(0x20 | 0x100, changes.modified.is_some());
        let message = Message::new(Kind::Setattr)
            .u32(fid.number)
            .u32(valid)
            .u32(changes.mode.unwrap_or(0))
            .u32(changes.uid.unwrap_or(0))
            .u32(changes.gid.unwrap_or(0))
            .u64(changes.size_bytes.unwrap_or(0));
        let message = [changes.accessed, changes.modified].into_iter().fold(message, |message, time| {
            let time = time.unwrap_or_default();
            message.u64(time.seconds.cast_unsigned()).u64(time.nanoseconds.into())
        });
        self.ask(message).await.map(drop)
    }

    /// Makes the handle an open file, with flags of open(2) (`Tlopen`).
    pub async fn open(&self, fid: &Fid, flags: u32) -> Result<(), Errno> {
        self.ask(Message::new(Kind::Open).u32(fid.number).u32(flags)).await.map(drop)
    }

    /// Makes a regular file in the directory `fid`, which becomes that file, open (`Tlcreate`).
    pub async fn create(&self, fid: &Fid, name: &[u8], flags: u32, mode: u32, gid: u32) -> Result<(), Errno> {
        let message = Message::new(Kind::Create).u32(fid.number).text(name)?.u32(flags).u32(mode).u32(gid);
        self.ask(message).await.map(drop)
    }

    /// `Tmkdir`.
    pub async fn make_directory(&self, dir: &Fid, name: &[u8], mode: u32, gid: u32) -> Result<(), Errno> {
        let message = Message::new(Kind::Mkdir).u32(dir.number).text(name)?.u32(mode).u32(gid);
        self.ask(message).await.map(drop)
    }

    /// `Tsymlink`.
    pub async fn make_symlink(&self, dir: &Fid, name: &[u8], target: &[u8], gid: u32) -> Result<(), Errno> {
        let message = Message::new(Kind::Symlink).u32(dir.number).text(name)?.text(target)?.u32(gid);
        self.ask(message).await.map(drop)
    }

    /// A FIFO, socket or device node; `mode` has its type (`Tmknod`).
    pub async fn make_node(&self, dir: &Fid, name: &[u8], mode: u32, device: DeviceId, gid: u32) -> Result<(), Errno> {
        let message = Message::new(Kind::Mknod).u32(dir.number).text(name)?.u32(mode);
        self.ask(message.u32(device.major).u32(device.minor).u32(gid)).await.map(drop)
    }

    /// `Tlink`.
    pub async fn link(&self, dir: &Fid, name: &[u8], file: &Fid) -> Result<(), Errno> {
        self.ask(Message::new(Kind::Link).u32(dir.number).u32(file.number).text(name)?).await.map(drop)
    }

    /// Takes a name away, with `AT_REMOVEDIR` in `flags` a directory's (`Tunlinkat`).
    pub async fn unlink(&self, dir: &Fid, name: &[u8], flags: u32) -> Result<(), Errno> {
        self.ask(Message::new(Kind::UnlinkAt).u32(dir.number).text(name)?.u32(flags)).await.map(drop)
    }

    /// `Trenameat`.
    pub async fn rename(&self, from: (&Fid, &[u8]), to: (&Fid, &[u8])) -> Result<(), Errno> {
        let message = Message::new(Kind::RenameAt).u32(from.0.number).text(from.1)?;
        self.ask(message.u32(to.0.number).text(to.1)?).await.map(drop)
    }

    /// `Treadlink`.
    pub async fn read_link(&self, fid: &Fid) -> Result<Arc<[u8]>, Errno> {
        let answer_bytes = HEADER_BYTES + 2 + abi::fcntl::PATH_MAX;
        let mut answer = self.call(Message::new(Kind::Readlink).u32(fid.number), answer_bytes).await?;
        Ok(Arc::from(answer.text()?))
    }

    /// Reads up to `len` bytes at `offset`; fewer at the end of the file alone (`Tread`).
    pub async fn read(&self, fid: &Fid, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let mut read = Vec::new();
        read.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        while read.len() < len {
            let count = (len - read.len()).min(self.data_bytes());
            let message = Message::new(Kind::Read).u32(fid.number).u64(offset + read.len() as u64).u32(count as u32);
            // An error's answer must fit, too.
            let room = (HEADER_BYTES + 4 + count).max(SHORT_ANSWER_BYTES);
            match self.call(message, room).await {
                Ok(mut answer) => {
                    let data = answer.data()?;
                    read.extend_from_slice(&data[..data.len().min(count)]);
                    if data.len() < count {
                        break;
                    }
                }
                Err(error) if read.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(read)
    }

    /// Writes at `offset`; gives how much was written (`Twrite`).
    pub async fn write(&self, fid: &Fid, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < data.len() {
            let part = &data[done..][..(data.len() - done).min(self.data_bytes())];
            let message = Message::new(Kind::Write).u32(fid.number).u64(offset + done as u64);
            let written = match self.ask(message.u32(part.len() as u32).bytes(part)).await {
                Ok(mut answer) => answer.u32()? as usize,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            };
            if written == 0 {
                break;
            }
            done += written.min(part.len());
        }
        Ok(done)
    }

    /// Some entries of an open directory from `offset` on; none at its end (`Treaddir`).
    pub async fn entries(&self, fid: &Fid, offset: u64) -> Result<Arc<[Entry]>, Errno> {
        const COUNT: u32 = 16 << 10;
        let count = COUNT.min(self.data_bytes() as u32);
        let message = Message::new(Kind::Readdir).u32(fid.number).u64(offset).u32(count);
        let mut answer = self.call(message, HEADER_BYTES + 4 + count as usize).await?;
        let (mut list, mut entries) = (answer.nested()?, Vec::new());
        while !list.is_empty() {
            let qid = Qid::read(&mut list)?;
            let (next_offset, kind) = (list.u64()?, list.u8()?);
            entries.push(Entry { inode: qid.path, next_offset, kind, name: Box::from(list.text()?) });
        }
        Ok(Arc::from(entries))
    }

    /// Has the server bring the file to its medium (`Tfsync`).
    pub async fn sync(&self, fid: &Fid, data_only: bool) -> Result<(), Errno> {
        self.ask(Message::new(Kind::Fsync).u32(fid.number).u32(u32::from(data_only))).await.map(drop)
    }

    /// `Tstatfs`.
    pub async fn statfs(&self, fid: &Fid) -> Result<StatFs, Errno> {
        let mut answer = self.ask(Message::new(Kind::Statfs).u32(fid.number)).await?;
        let (_kind, block_bytes) = (answer.u32()?, answer.u32()?.into());
        let (blocks, _free, blocks_free) = (answer.u64()?, answer.u64()?, answer.u64()?);
        let (inodes, inodes_free) = (answer.u64()?, answer.u64()?);
        Ok(StatFs { magic: super::MAGIC, block_bytes, blocks, blocks_free, inodes, inodes_free })
    }
}

impl Fid {
    /// Its number, which no other handle of the connection has had.
    pub fn number(&self) -> u32 {
        self.number
    }
}
