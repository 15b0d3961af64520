//! [`Node`]: what one name of /proc stands for, and how it becomes an inode and an open file.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use abi::Errno;

use crate::fs::resolve::Asker;
use crate::fs::{
    Attributes, Cred, DeviceId, DirEntry, DirSink, File, FileKind, FileOps, FileSystem, FileTraits, Inode, InodeOps,
    LinkTarget, NewInode, OpenFlags, Sink, Source, Whence, dirents,
};
use crate::process::Process;
use crate::sync::{Rank, SpinLock};

/// A text being made.
#[derive(Default)]
pub struct Text(pub Vec<u8>);

impl Text {
    /// Adds formatted text: `text.put(format_args!(…))`.
    pub fn put(&mut self, arguments: fmt::Arguments<'_>) {
        // Writing to a vector cannot fail.
        let _ = fmt::Write::write_fmt(self, arguments);
    }

    /// Adds bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Makes a text. `ESRCH` if what it is about is gone.
pub type MakeText = Box<dyn Fn(&mut Text) -> Result<(), Errno> + Send + Sync>;
/// Takes what is written, one write(2) at a time.
pub type TakeText = Box<dyn Fn(&[u8], &Cred) -> Result<(), Errno> + Send + Sync>;
/// Gives the object behind a new open file, if its opener may have it.
pub type MakeObject = Box<dyn Fn(&Cred) -> Result<Arc<dyn FileOps>, Errno> + Send + Sync>;
/// Says where a link leads.
pub type MakeLink = Box<dyn Fn(&Asker<'_>) -> Result<LinkTarget, Errno> + Send + Sync>;

/// A directory whose entries are computed.
pub trait Directory: Send + Sync {
    /// The entry called `name`.
    fn lookup(&self, name: &[u8]) -> Option<Node>;

    /// Gives the entries from the `position`th on (0 is the first), each with the position after it, until
    /// `give` says `false`.
    fn list(&self, position: u64, give: &mut dyn FnMut(&[u8], FileKind, u64) -> bool);

    /// Whether what it is about is gone: it lists nothing then (`ENOENT`).
    fn is_gone(&self) -> bool {
        false
    }

    /// The process that it stands for.
    fn process(&self) -> Option<&Arc<Process>> {
        None
    }
}

/// What a name stands for.
pub enum Body {
    /// A text made when it is read.
    Text(MakeText),
    /// A text that can be written, too.
    Setting(MakeText, TakeText),
    /// A link.
    Link(MakeLink),
    /// A file that does its own reading and writing.
    Object(MakeObject),
    /// A directory.
    Directory(Box<dyn Directory>),
}

/// What a name stands for, and its attributes.
pub struct Node {
    /// What it is.
    pub body: Body,
    /// Its permission bits.
    pub mode: u16,
    /// Its owner and group.
    pub owner: (u32, u32),
    /// The size stat(2) shows.
    pub size_bytes: u64,
    /// Its directory's reason to forget the inode: the thing it is about has gone.
    pub still_valid: Option<Box<dyn Fn() -> bool + Send + Sync>>,
}

impl Node {
    /// A node of root's.
    pub fn new(body: Body, mode: u16) -> Self {
        Self { body, mode, owner: (0, 0), size_bytes: 0, still_valid: None }
    }

    fn kind(&self) -> FileKind {
        match self.body {
            Body::Text(_) | Body::Setting(..) | Body::Object(_) => FileKind::Regular,
            Body::Link(_) => FileKind::Symlink,
            Body::Directory(_) => FileKind::Directory,
        }
    }
}

/// An entry of a directory that is a table: a name, and how to make what it stands for from what the directory is about.
pub struct Entry<T: 'static> {
    /// Its name.
    pub name: &'static str,
    /// Its type, for listings.
    pub kind: FileKind,
    /// Its permission bits.
    pub mode: u16,
    /// Makes it.
    pub make: fn(&T) -> Body,
}

/// A directory that is a table.
pub struct Table<T: 'static> {
    /// What it is about.
    pub subject: T,
    /// Its entries.
    pub entries: &'static [Entry<T>],
}

impl<T: Send + Sync> Directory for Table<T> {
    fn lookup(&self, name: &[u8]) -> Option<Node> {
        let entry = self.entries.iter().find(|entry| entry.name.as_bytes() == name)?;
        Some(Node::new((entry.make)(&self.subject), entry.mode))
    }

    fn list(&self, position: u64, give: &mut dyn FnMut(&[u8], FileKind, u64) -> bool) {
        for (index, entry) in self.entries.iter().enumerate().skip(position as usize) {
            if !give(entry.name.as_bytes(), entry.kind, index as u64 + 1) {
                return;
            }
        }
    }
}

/// The inode of a node.
pub fn inode(fs: &Arc<FileSystem>, number: u64, node: Node) -> Arc<Inode> {
    let links = if node.kind() == FileKind::Directory { 2 } else { 1 };
    let attributes = Attributes::new(node.mode, node.owner.0, node.owner.1, links);
    Inode::new(fs.clone(), number, node.kind(), DeviceId::default(), attributes, Arc::new(node))
}

/// The number of the inode called `name` in directory `parent`: the same at each walk.
fn number_of(parent: u64, name: &[u8]) -> u64 {
    let mixed = name.iter().fold(parent ^ 0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (mixed ^ mixed >> 32) & 0xffff_ffff | 0x1_0000_0000
}

impl InodeOps for Node {
    fn lookup(&self, dir: &Arc<Inode>, name: &[u8]) -> Result<Arc<Inode>, Errno> {
        let Body::Directory(directory) = &self.body else { return Err(Errno::ENOTDIR) };
        let node = directory.lookup(name).ok_or(Errno::ENOENT)?;
        Ok(inode(&dir.fs, number_of(dir.number, name), node))
    }

    /// Nothing can be made here: Linux says so by finding no such name.
    fn create(&self, _dir: &Arc<Inode>, _name: &[u8], _new: &NewInode<'_>) -> Result<Arc<Inode>, Errno> {
        Err(Errno::ENOENT)
    }

    fn read_link(&self, _inode: &Arc<Inode>, asker: &Asker<'_>) -> Result<LinkTarget, Errno> {
        match &self.body {
            Body::Link(target) => target(asker),
            _ => Err(Errno::EINVAL),
        }
    }

    fn open(
        self: Arc<Self>,
        _inode: &Arc<Inode>,
        flags: OpenFlags,
        cred: &Arc<Cred>,
    ) -> Result<Arc<dyn FileOps>, Errno> {
        match &self.body {
            Body::Text(_) | Body::Setting(..) if flags.contains(OpenFlags::O_DIRECT) => Err(Errno::EINVAL),
            Body::Text(_) | Body::Setting(..) => Ok(OpenText::new(self)),
            Body::Object(make) => make(cred),
            Body::Directory(_) => Ok(Arc::new(OpenDirectory(self))),
            Body::Link(_) => Err(Errno::ELOOP),
        }
    }

    /// Opening with `O_TRUNC`, as a shell's redirection does, changes nothing.
    fn truncate(&self, _inode: &Arc<Inode>, _len: u64) -> Result<(), Errno> {
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn still_valid(&self, _inode: &Arc<Inode>) -> bool {
        self.still_valid.as_ref().is_none_or(|still_valid| still_valid())
    }
}

/// An open text: made at the first read, and again when it is read from the start.
struct OpenText {
    node: Arc<Node>,
    text: SpinLock<Option<Arc<[u8]>>>,
}

impl OpenText {
    fn new(node: Arc<Node>) -> Arc<Self> {
        Arc::new(Self { node, text: SpinLock::new(Rank::File, None) })
    }

    fn text(&self, again: bool) -> Result<Arc<[u8]>, Errno> {
        let known = self.text.lock().clone().filter(|_| !again);
        if let Some(text) = known {
            return Ok(text);
        }
        let (Body::Text(make) | Body::Setting(make, _)) = &self.node.body else { return Err(Errno::EINVAL) };
        let mut text = Text::default();
        make(&mut text)?;
        let text: Arc<[u8]> = Arc::from(text.0);
        let old = self.text.lock().replace(text.clone());
        drop(old);
        Ok(text)
    }
}

impl FileOps for OpenText {
    fn traits(&self) -> FileTraits {
        FileTraits::SEEKABLE
    }

    fn try_read(&self, _file: &File, sink: &mut dyn Sink, offset: u64) -> Result<usize, Errno> {
        let text = self.text(offset == 0)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| text.get(offset..)).unwrap_or_default();
        sink.put(rest)
    }

    fn try_write(&self, file: &File, source: &mut dyn Source, _offset: u64) -> Result<usize, Errno> {
        const MAX_BYTES: usize = 4096;
        let Body::Setting(_, take) = &self.node.body else { return Err(Errno::EINVAL) };
        let mut bytes = alloc::vec![0; source.remaining().min(MAX_BYTES)];
        let len = source.take(&mut bytes)?;
        take(&bytes[..len], file.cred())?;
        Ok(len)
    }

    fn seek(&self, _file: &File, position: u64, offset: i64, whence: Whence) -> Result<u64, Errno> {
        match whence {
            Whence::Set | Whence::Current => crate::fs::seek_within(0, position, offset, whence),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// An open directory.
struct OpenDirectory(Arc<Node>);

/// The process of an open /proc/PID, but of none of its threads (`tgid_pidfd_to_pid()`).
pub fn process_of(file: &File) -> Option<Arc<Process>> {
    match &file.downcast::<OpenDirectory>()?.0.body {
        Body::Directory(directory) => directory.process().cloned(),
        _ => None,
    }
}

impl FileOps for OpenDirectory {
    fn traits(&self) -> FileTraits {
        FileTraits::SEEKABLE
    }

    fn seek(&self, file: &File, position: u64, offset: i64, whence: Whence) -> Result<u64, Errno> {
        dirents::seek(file, position, offset, whence)
    }

    fn sync(&self, _file: &File, _data_only: bool) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn read_dir(&self, file: &File, position: &mut u64, entries: &mut dyn DirSink) -> Result<(), Errno> {
        const DOTS: u64 = 2;
        let Body::Directory(directory) = &self.0.body else { return Err(Errno::ENOTDIR) };
        if directory.is_gone() {
            return Err(Errno::ENOENT);
        }
        if !dirents::dots(file, position, entries) {
            return Ok(());
        }
        let parent = file.inode().number;
        directory.list(*position - DOTS, &mut |name, kind, next| {
            let entry = DirEntry { name, inode: number_of(parent, name), kind, next_position: next + DOTS };
            let taken = entries.entry(entry);
            if taken {
                *position = next + DOTS;
            }
            taken
        });
        Ok(())
    }
}
