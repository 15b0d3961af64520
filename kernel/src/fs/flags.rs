//! Words of open(2) and of file types, in Linux's bits.

pub use abi::fcntl::OpenFlags;

/// What fcntl(F_SETFL) may change (`SETFL_MASK`). `O_ASYNC` is a matter of [`super::sigio`].
pub const SETTABLE_FLAGS: OpenFlags =
    OpenFlags::O_APPEND.union(OpenFlags::O_NONBLOCK).union(OpenFlags::O_DIRECT).union(OpenFlags::O_NOATIME);

/// Flags of the act of opening, which the description forgets (`do_dentry_open`).
pub const OPENING_FLAGS: OpenFlags =
    OpenFlags::O_CREAT.union(OpenFlags::O_EXCL).union(OpenFlags::O_NOCTTY).union(OpenFlags::O_TRUNC);

/// Questions to open flags.
pub trait AccessFlags {
    /// Whether they let data be read.
    fn readable(self) -> bool;
    /// Whether they let data be written.
    fn writable(self) -> bool;
}

impl AccessFlags for OpenFlags {
    #[inline]
    fn readable(self) -> bool {
        matches!(self.bits() & (O_ACCMODE | Self::O_PATH.bits()), O_RDONLY | O_RDWR)
    }

    #[inline]
    fn writable(self) -> bool {
        matches!(self.bits() & (O_ACCMODE | Self::O_PATH.bits()), O_WRONLY | O_RDWR)
    }
}

const O_RDONLY: u32 = abi::fcntl::O_RDONLY;
const O_WRONLY: u32 = OpenFlags::O_WRONLY.bits();
const O_RDWR: u32 = OpenFlags::O_RDWR.bits();
const O_ACCMODE: u32 = abi::fcntl::O_ACCMODE;

/// What an inode is: the `S_IFMT` bits of its mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum FileKind {
    /// A FIFO or pipe.
    Fifo = 0o010000,
    /// A character device.
    CharDevice = 0o020000,
    /// A directory.
    Directory = 0o040000,
    /// A block device.
    BlockDevice = 0o060000,
    /// A regular file.
    Regular = 0o100000,
    /// A symbolic link.
    Symlink = 0o120000,
    /// A socket.
    Socket = 0o140000,
    /// None of them: the inode behind eventfd, epoll and their like, whose mode names no type.
    Anonymous = 0,
}

impl FileKind {
    /// The kind in the type bits of `mode`, as mknod(2) takes it: none means a regular file.
    pub fn from_mode(mode: u32) -> Option<Self> {
        Some(match mode & 0o170000 {
            0o010000 => Self::Fifo,
            0o020000 => Self::CharDevice,
            0o040000 => Self::Directory,
            0o060000 => Self::BlockDevice,
            0 | 0o100000 => Self::Regular,
            0o120000 => Self::Symlink,
            0o140000 => Self::Socket,
            _ => return None,
        })
    }

    /// The type bits of `st_mode`.
    #[inline]
    pub fn mode_bits(self) -> u32 {
        u32::from(self as u16)
    }

    /// Whether its content is the file system's, so that a read-only one protects it.
    pub fn lives_in_file_system(self) -> bool {
        matches!(self, Self::Regular | Self::Directory | Self::Symlink)
    }

    /// `DT_*`: the type as getdents64(2) gives it.
    pub fn dirent_type(self) -> u8 {
        (self as u16 >> 12) as u8
    }
}

/// A device's number (`dev_t`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct DeviceId {
    /// The driver.
    pub major: u32,
    /// The device among the driver's.
    pub minor: u32,
}

impl DeviceId {
    /// A device number from its halves.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// The number as stat(2) and mknod(2) write it (`new_encode_dev`, widened as glibc's `makedev`).
    pub const fn encode(self) -> u64 {
        let (major, minor) = (self.major as u64, self.minor as u64);
        (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12) | ((major & !0xfff) << 32)
    }

    /// The number from its encoded form.
    pub const fn decode(encoded: u64) -> Self {
        Self {
            major: (((encoded >> 8) & 0xfff) | ((encoded >> 32) & !0xfff)) as u32,
            minor: ((encoded & 0xff) | ((encoded >> 12) & !0xff)) as u32,
        }
    }
}
