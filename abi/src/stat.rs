//! What a file is: stat(2), statx(2), statfs(2), and file modes.

consts! {
    /// The type of a file: `st_mode & S_IFMT`.
    file_type_name: u32 {
        S_IFSOCK = 0o140000,
        S_IFLNK = 0o120000,
        S_IFREG = 0o100000,
        S_IFBLK = 0o60000,
        S_IFDIR = 0o40000,
        S_IFCHR = 0o20000,
        S_IFIFO = 0o10000,
    }
}

// Fields of `st_mode`, besides the type.
consts! {
    u32 {
        S_IFMT = 0o170000,
        S_ISUID = 0o4000,
        S_ISGID = 0o2000,
        S_ISVTX = 0o1000,
        S_IRWXU = 0o700,
        S_IRUSR = 0o400,
        S_IWUSR = 0o200,
        S_IXUSR = 0o100,
        S_IRWXG = 0o70,
        S_IRGRP = 0o40,
        S_IWGRP = 0o20,
        S_IXGRP = 0o10,
        S_IRWXO = 0o7,
        S_IROTH = 0o4,
        S_IWOTH = 0o2,
        S_IXOTH = 0o1,
    }
}

flags! {
    /// What statx(2) is asked for and gives.
    StatxMask: u32 {
        STATX_TYPE = 0x1,
        STATX_MODE = 0x2,
        STATX_NLINK = 0x4,
        STATX_UID = 0x8,
        STATX_GID = 0x10,
        STATX_ATIME = 0x20,
        STATX_MTIME = 0x40,
        STATX_CTIME = 0x80,
        STATX_INO = 0x100,
        STATX_SIZE = 0x200,
        STATX_BLOCKS = 0x400,
        STATX_BTIME = 0x800,
        STATX_MNT_ID = 0x1000,
        STATX_DIOALIGN = 0x2000,
    }
}

// What stat(2) has; with the birth time; and the bit that must not be set.
consts! {
    u32 {
        STATX_BASIC_STATS = 0x7ff,
        STATX_ALL = 0xfff,
        STATX__RESERVED = 0x80000000,
    }
}

flags! {
    /// `stx_attributes`.
    StatxAttributes: u64 {
        STATX_ATTR_COMPRESSED = 0x4,
        STATX_ATTR_IMMUTABLE = 0x10,
        STATX_ATTR_APPEND = 0x20,
        STATX_ATTR_NODUMP = 0x40,
        STATX_ATTR_ENCRYPTED = 0x800,
        STATX_ATTR_AUTOMOUNT = 0x1000,
        STATX_ATTR_MOUNT_ROOT = 0x2000,
        STATX_ATTR_VERITY = 0x100000,
        STATX_ATTR_DAX = 0x200000,
    }
}

consts! {
    /// `f_type` of statfs(2).
    magic_name: i64 {
        TMPFS_MAGIC = 0x1021994,
        RAMFS_MAGIC = 0x858458f6,
        PROC_SUPER_MAGIC = 0x9fa0,
        DEVPTS_SUPER_MAGIC = 0x1cd1,
        PIPEFS_MAGIC = 0x50495045,
        SOCKFS_MAGIC = 0x534f434b,
        ANON_INODE_FS_MAGIC = 0x9041934,
        EXT4_SUPER_MAGIC = 0xef53,
        SYSFS_MAGIC = 0x62656572,
        V9FS_MAGIC = 0x1021997,
    }
}

flags! {
    /// `f_flags` of statfs(2).
    StFlags: i64 {
        ST_RDONLY = 1,
        ST_NOSUID = 2,
        ST_NODEV = 4,
        ST_NOEXEC = 8,
        ST_SYNCHRONOUS = 16,
        ST_VALID = 32,
        ST_MANDLOCK = 64,
        ST_NOATIME = 1024,
        ST_NODIRATIME = 2048,
        ST_RELATIME = 4096,
    }
}

pods! {
    /// `struct stat`.
    Stat {
        st_dev: u64,
        st_ino: u64,
        st_nlink: u64,
        st_mode: u32,
        st_uid: u32,
        st_gid: u32,
        __pad0: u32,
        st_rdev: u64,
        st_size: i64,
        st_blksize: i64,
        /// In units of 512 bytes.
        st_blocks: i64,
        st_atime: u64,
        st_atime_nsec: u64,
        st_mtime: u64,
        st_mtime_nsec: u64,
        st_ctime: u64,
        st_ctime_nsec: u64,
        __unused: [i64; 3],
    }

    /// `struct statx_timestamp`.
    StatxTimestamp { tv_sec: i64, tv_nsec: u32, __reserved: i32, }

    /// `struct statx` (256 bytes).
    Statx {
        stx_mask: u32,
        stx_blksize: u32,
        stx_attributes: u64,
        stx_nlink: u32,
        stx_uid: u32,
        stx_gid: u32,
        stx_mode: u16,
        __spare0: u16,
        stx_ino: u64,
        stx_size: u64,
        stx_blocks: u64,
        stx_attributes_mask: u64,
        stx_atime: StatxTimestamp,
        stx_btime: StatxTimestamp,
        stx_ctime: StatxTimestamp,
        stx_mtime: StatxTimestamp,
        stx_rdev_major: u32,
        stx_rdev_minor: u32,
        stx_dev_major: u32,
        stx_dev_minor: u32,
        stx_mnt_id: u64,
        stx_dio_mem_align: u32,
        stx_dio_offset_align: u32,
        __spare3: [u64; 12],
    }

    /// `struct ustat`; its names are empty.
    Ustat { f_tfree: u32, padding: u32, f_tinode: u64, names: [u8; 12], more_padding: u32, }

    /// `struct statfs`.
    Statfs {
        f_type: i64,
        f_bsize: i64,
        f_blocks: u64,
        f_bfree: u64,
        f_bavail: u64,
        f_files: u64,
        f_ffree: u64,
        f_fsid: [i32; 2],
        f_namelen: i64,
        f_frsize: i64,
        f_flags: i64,
        f_spare: [i64; 4],
    }
}

/// A device number as stat(2) has it: major and minor, interleaved as `makedev(3)` does.
pub const fn makedev(major: u32, minor: u32) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
}

/// The major number of a device.
pub const fn major(dev: u64) -> u32 {
    ((dev >> 8) & 0xfff | (dev >> 32) & !0xfff) as u32
}

/// The minor number of a device.
pub const fn minor(dev: u64) -> u32 {
    (dev & 0xff | (dev >> 12) & 0xffff_ff00) as u32
}
