//! Messages of the protocol 9P2000.L (`net/9p/protocol.c`, `include/net/9p/9p.h`): numbers little-endian, texts with a
//! length of two bytes before them.

use alloc::vec::Vec;

use abi::Errno;

/// Size, type and tag, which open every message.
pub const HEADER_BYTES: usize = 7;

/// A request's type. The answer's is one more; that of an error is [`ERROR`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    Statfs = 8,
    Open = 12,
    Create = 14,
    Symlink = 16,
    Mknod = 18,
    Readlink = 22,
    Getattr = 24,
    Setattr = 26,
    Readdir = 40,
    Fsync = 50,
    Link = 70,
    Mkdir = 72,
    RenameAt = 74,
    UnlinkAt = 76,
    Version = 100,
    Attach = 104,
    Walk = 110,
    Read = 116,
    Write = 118,
    Clunk = 120,
}

/// `Rlerror`.
pub const ERROR: u8 = 7;

/// A message being written.
pub struct Message(Vec<u8>);

impl Message {
    /// A request without its arguments.
    pub fn new(kind: Kind) -> Self {
        Self([0, 0, 0, 0, kind as u8, 0, 0].to_vec())
    }

    /// Adds a number of two bytes.
    pub fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a number of four bytes.
    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a number of eight bytes.
    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a text. `ENAMETOOLONG` if its length does not fit.
    pub fn text(self, text: &[u8]) -> Result<Self, Errno> {
        let len = u16::try_from(text.len()).map_err(|_| Errno::ENAMETOOLONG)?;
        Ok(self.u16(len).bytes(text))
    }

    /// Adds bytes as they are.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The type of the answer to it.
    pub fn answer_kind(&self) -> u8 {
        self.0[4] + 1
    }

    /// The message's bytes, under a tag.
    pub fn with_tag(mut self, tag: u16) -> Vec<u8> {
        let len = self.0.len() as u32;
        self.0[..4].copy_from_slice(&len.to_le_bytes());
        self.0[5..HEADER_BYTES].copy_from_slice(&tag.to_le_bytes());
        self.0
    }
}

/// An answer being read. All that is missing or malformed is `EIO`.
pub struct Answer {
    bytes: Vec<u8>,
    at: usize,
}

impl Answer {
    /// The answer in `bytes`, its header looked at. The error is the server's, if it reports one.
    pub fn open(bytes: Vec<u8>, kind: u8, tag: u16) -> Result<Self, Errno> {
        let mut answer = Self { bytes, at: 0 };
        let (len, found, found_tag) = (answer.u32()? as usize, answer.u8()?, answer.u16()?);
        if len > answer.bytes.len() || len < HEADER_BYTES || found_tag != tag {
            return Err(Errno::EIO);
        }
        answer.bytes.truncate(len);
        match found {
            ERROR => Err(u16::try_from(answer.u32()?).ok().and_then(Errno::from_number).unwrap_or(Errno::EIO)),
            found if found == kind => Ok(answer),
            _ => Err(Errno::EIO),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Errno> {
        self.take(N)?.try_into().map_err(|_| Errno::EIO)
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&[u8], Errno> {
        let end = self.at.checked_add(len).ok_or(Errno::EIO)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Errno::EIO)?;
        self.at = end;
        Ok(bytes)
    }

    /// A number of one byte.
    pub fn u8(&mut self) -> Result<u8, Errno> {
        self.array().map(u8::from_le_bytes)
    }

    /// A number of two bytes.
    pub fn u16(&mut self) -> Result<u16, Errno> {
        self.array().map(u16::from_le_bytes)
    }

    /// A number of four bytes.
    pub fn u32(&mut self) -> Result<u32, Errno> {
        self.array().map(u32::from_le_bytes)
    }

    /// A number of eight bytes.
    pub fn u64(&mut self) -> Result<u64, Errno> {
        self.array().map(u64::from_le_bytes)
    }

    /// A text.
    pub fn text(&mut self) -> Result<&[u8], Errno> {
        let len = self.u16()?;
        self.take(len.into())
    }

    /// Data with its length of four bytes before it.
    pub fn data(&mut self) -> Result<&[u8], Errno> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Data as an answer of its own, to be read on.
    pub fn nested(&mut self) -> Result<Answer, Errno> {
        Ok(Answer { bytes: self.data()?.to_vec(), at: 0 })
    }
}

/// What the server calls a file by (`struct p9_qid`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Qid {
    /// Changes with the content.
    pub version: u32,
    /// The file's number.
    pub path: u64,
}

impl Qid {
    /// Reads one.
    pub fn read(answer: &mut Answer) -> Result<Self, Errno> {
        answer.u8()?;
        Ok(Self { version: answer.u32()?, path: answer.u64()? })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_message_has_its_length_type_and_tag_before_its_arguments() {
        let message = Message::new(Kind::Walk).u32(1).u16(1).text(b"ab").expect("short");
        assert_eq!(message.answer_kind(), 111);
        assert_eq!(message.with_tag(9), [17, 0, 0, 0, 110, 9, 0, 1, 0, 0, 0, 1, 0, 2, 0, b'a', b'b']);
    }

    #[test]
    fn an_answer_that_is_cut_or_not_ours_is_an_input_output_error() {
        let whole = vec![13, 0, 0, 0, 117, 9, 0, 2, 0, 0, 0, b'a', b'b'];
        let read = |bytes: &[u8]| Answer::open(bytes.to_vec(), 117, 9).and_then(|mut answer| Ok(answer.data()?.len()));
        assert_eq!(read(&whole), Ok(2));
        assert!((0..whole.len()).all(|len| read(&whole[..len]) == Err(Errno::EIO)));
        assert_eq!(Answer::open(whole, 117, 8).err(), Some(Errno::EIO));
    }

    #[test]
    fn an_error_is_the_servers() {
        assert_eq!(Answer::open(vec![11, 0, 0, 0, 7, 1, 0, 2, 0, 0, 0], 117, 1).err(), Some(Errno::ENOENT));
        assert_eq!(Answer::open(vec![11, 0, 0, 0, 7, 1, 0, 0, 0, 1, 0], 117, 1).err(), Some(Errno::EIO));
        // No error a program may see, nor one that would have the call made again.
        assert_eq!(Answer::open(vec![11, 0, 0, 0, 7, 1, 0, 0x11, 2, 0, 0], 117, 1).err(), Some(Errno::EIO));
    }
}
