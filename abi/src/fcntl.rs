//! Opening and commanding descriptors: open(2), openat2(2), fcntl(2), flock(2), renameat2(2),
//! splice(2), getdents64(2).

flags! {
    /// Flags of open(2), and of a descriptor's description. The access mode is [`O_ACCMODE`] of it; `O_RDONLY` is 0.
    OpenFlags: u32 {
        O_WRONLY = 0x1,
        O_RDWR = 0x2,
        O_CREAT = 0x40,
        O_EXCL = 0x80,
        O_NOCTTY = 0x100,
        O_TRUNC = 0x200,
        O_APPEND = 0x400,
        O_NONBLOCK = 0x800,
        O_DSYNC = 0x1000,
        O_ASYNC = 0x2000,
        O_DIRECT = 0x4000,
        O_LARGEFILE = 0x8000,
        O_DIRECTORY = 0x10000,
        O_NOFOLLOW = 0x20000,
        O_NOATIME = 0x40000,
        O_CLOEXEC = 0x80000,
        __O_SYNC = 0x100000,
        O_PATH = 0x200000,
        __O_TMPFILE = 0x400000,
    }
}

// The access mode within open's flags, and flags that are several bits at once.
consts! {
    u32 {
        O_ACCMODE = 0x3,
        O_RDONLY = 0x0,
        O_SYNC = 0x101000,
        O_TMPFILE = 0x410000,
    }
}

// The directory descriptor that stands for the working directory.
consts! {
    i32 {
        AT_FDCWD = -100,
    }
}

flags! {
    /// Flags of the calls ending in `at`.
    AtFlags: u32 {
        AT_SYMLINK_NOFOLLOW = 0x100,
        AT_REMOVEDIR = 0x200,
        AT_SYMLINK_FOLLOW = 0x400,
        AT_NO_AUTOMOUNT = 0x800,
        AT_EMPTY_PATH = 0x1000,
        AT_STATX_FORCE_SYNC = 0x2000,
        AT_STATX_DONT_SYNC = 0x4000,
        AT_RECURSIVE = 0x8000,
    }
}

// faccessat2(2)'s flag, which has `AT_REMOVEDIR`'s number, and the field of statx(2)'s synchronisation.
consts! {
    u32 {
        AT_EACCESS = 0x200,
        AT_STATX_SYNC_TYPE = 0x6000,
        AT_STATX_SYNC_AS_STAT = 0x0,
    }
}

flags! {
    /// What access(2) asks for.
    AccessMode: u32 {
        X_OK = 1,
        W_OK = 2,
        R_OK = 4,
    }
}

consts! {
    /// Commands of fcntl(2).
    fcntl_name: u32 {
        F_DUPFD = 0,
        F_GETFD = 1,
        F_SETFD = 2,
        F_GETFL = 3,
        F_SETFL = 4,
        F_GETLK = 5,
        F_SETLK = 6,
        F_SETLKW = 7,
        F_SETOWN = 8,
        F_GETOWN = 9,
        F_SETSIG = 10,
        F_GETSIG = 11,
        F_SETOWN_EX = 15,
        F_GETOWN_EX = 16,
        F_OFD_GETLK = 36,
        F_OFD_SETLK = 37,
        F_OFD_SETLKW = 38,
        F_SETLEASE = 1024,
        F_GETLEASE = 1025,
        F_NOTIFY = 1026,
        F_CANCELLK = 1029,
        F_DUPFD_CLOEXEC = 1030,
        F_SETPIPE_SZ = 1031,
        F_GETPIPE_SZ = 1032,
        F_ADD_SEALS = 1033,
        F_GET_SEALS = 1034,
        F_GET_RW_HINT = 1035,
        F_SET_RW_HINT = 1036,
        F_GET_FILE_RW_HINT = 1037,
        F_SET_FILE_RW_HINT = 1038,
    }
}

flags! {
    /// What fcntl(F_NOTIFY) tells of.
    DnMask: u32 {
        DN_ACCESS = 0x1,
        DN_MODIFY = 0x2,
        DN_CREATE = 0x4,
        DN_DELETE = 0x8,
        DN_RENAME = 0x10,
        DN_ATTRIB = 0x20,
        DN_MULTISHOT = 0x8000_0000,
    }
}

// The one descriptor flag, kinds of record lock, kinds of owner.
consts! {
    u32 {
        FD_CLOEXEC = 1,
        F_RDLCK = 0,
        F_WRLCK = 1,
        F_UNLCK = 2,
        F_OWNER_TID = 0,
        F_OWNER_PID = 1,
        F_OWNER_PGRP = 2,
    }
}

flags! {
    /// Seals of a memfd (`F_ADD_SEALS`).
    Seals: u32 {
        F_SEAL_SEAL = 0x1,
        F_SEAL_SHRINK = 0x2,
        F_SEAL_GROW = 0x4,
        F_SEAL_WRITE = 0x8,
        F_SEAL_FUTURE_WRITE = 0x10,
    }
}

flags! {
    /// Operations of flock(2).
    FlockOp: u32 {
        LOCK_SH = 0x1,
        LOCK_EX = 0x2,
        LOCK_NB = 0x4,
        LOCK_UN = 0x8,
    }
}

consts! {
    /// Where lseek(2) counts from.
    whence_name: u32 {
        SEEK_SET = 0,
        SEEK_CUR = 1,
        SEEK_END = 2,
        SEEK_DATA = 3,
        SEEK_HOLE = 4,
    }
}

flags! {
    /// Flags of renameat2(2).
    RenameFlags: u32 {
        RENAME_NOREPLACE = 0x1,
        RENAME_EXCHANGE = 0x2,
        RENAME_WHITEOUT = 0x4,
    }
}

flags! {
    /// Flags of close_range(2).
    CloseRangeFlags: u32 {
        CLOSE_RANGE_UNSHARE = 0x2,
        CLOSE_RANGE_CLOEXEC = 0x4,
    }
}

flags! {
    /// `open_how::resolve`.
    ResolveFlags: u64 {
        RESOLVE_NO_XDEV = 0x1,
        RESOLVE_NO_MAGICLINKS = 0x2,
        RESOLVE_NO_SYMLINKS = 0x4,
        RESOLVE_BENEATH = 0x8,
        RESOLVE_IN_ROOT = 0x10,
        RESOLVE_CACHED = 0x20,
    }
}

// The only size of `struct open_how` so far.
consts! {
    usize {
        OPEN_HOW_SIZE_VER0 = 24,
    }
}

flags! {
    /// Modes of fallocate(2).
    FallocMode: u32 {
        FALLOC_FL_KEEP_SIZE = 0x1,
        FALLOC_FL_PUNCH_HOLE = 0x2,
        FALLOC_FL_NO_HIDE_STALE = 0x4,
        FALLOC_FL_COLLAPSE_RANGE = 0x8,
        FALLOC_FL_ZERO_RANGE = 0x10,
        FALLOC_FL_INSERT_RANGE = 0x20,
        FALLOC_FL_UNSHARE_RANGE = 0x40,
    }
}

consts! {
    /// Advice of posix_fadvise(2).
    fadvise_name: u32 {
        POSIX_FADV_NORMAL = 0,
        POSIX_FADV_RANDOM = 1,
        POSIX_FADV_SEQUENTIAL = 2,
        POSIX_FADV_WILLNEED = 3,
        POSIX_FADV_DONTNEED = 4,
        POSIX_FADV_NOREUSE = 5,
    }
}

flags! {
    /// Flags of sync_file_range(2).
    SyncFileRangeFlags: u32 {
        SYNC_FILE_RANGE_WAIT_BEFORE = 0x1,
        SYNC_FILE_RANGE_WRITE = 0x2,
        SYNC_FILE_RANGE_WAIT_AFTER = 0x4,
    }
}

flags! {
    /// Flags of splice(2), tee(2) and vmsplice(2).
    SpliceFlags: u32 {
        SPLICE_F_MOVE = 1,
        SPLICE_F_NONBLOCK = 2,
        SPLICE_F_MORE = 4,
        SPLICE_F_GIFT = 8,
    }
}

consts! {
    /// `d_type` of a directory entry.
    d_type_name: u8 {
        DT_UNKNOWN = 0,
        DT_FIFO = 1,
        DT_CHR = 2,
        DT_DIR = 4,
        DT_BLK = 6,
        DT_REG = 8,
        DT_LNK = 10,
        DT_SOCK = 12,
        DT_WHT = 14,
    }
}

// The longest path with its zero, the longest name, and the most links one path may follow.
consts! {
    usize {
        PATH_MAX = 4096,
        NAME_MAX = 255,
        MAX_SYMLINKS = 40,
    }
}

pods! {
    /// `struct open_how` (openat2(2)).
    OpenHow { flags: u64, mode: u64, resolve: u64, }

    /// `struct flock`.
    Flock { l_type: i16, l_whence: i16, __pad0: u32, l_start: i64, l_len: i64, l_pid: i32, __pad1: u32, }

    /// `struct f_owner_ex`.
    FOwnerEx { r#type: i32, pid: i32, }

    /// The fixed part of `struct linux_dirent64` (getdents64(2)), 19 bytes; the name follows.
    ///
    /// Kept as bytes, as its natural alignment would pad it to 24.
    Dirent64Header { d_ino: [u8; 8], d_off: [u8; 8], d_reclen: [u8; 2], d_type: u8, }
}

impl Dirent64Header {
    /// Builds the header of an entry whose name has `name_bytes` bytes, without its zero. The entry
    /// fills a multiple of 8 bytes. `None` if the name is too long to say so.
    pub fn new(ino: u64, off: i64, name_bytes: usize, d_type: u8) -> Option<Dirent64Header> {
        let reclen = u16::try_from((size_of::<Dirent64Header>() + name_bytes + 1).next_multiple_of(8)).ok()?;
        Some(Dirent64Header {
            d_ino: ino.to_ne_bytes(),
            d_off: off.to_ne_bytes(),
            d_reclen: reclen.to_ne_bytes(),
            d_type,
        })
    }

    /// The bytes of the whole entry.
    pub fn reclen(&self) -> usize {
        usize::from(u16::from_ne_bytes(self.d_reclen))
    }
}
