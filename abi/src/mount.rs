//! Mounts and extended attributes: mount(2), umount2(2), setxattr(2).

flags! {
    /// Flags of mount(2).
    MountFlags: u64 {
        MS_RDONLY = 0x1,
        MS_NOSUID = 0x2,
        MS_NODEV = 0x4,
        MS_NOEXEC = 0x8,
        MS_SYNCHRONOUS = 0x10,
        MS_REMOUNT = 0x20,
        MS_MANDLOCK = 0x40,
        MS_DIRSYNC = 0x80,
        MS_NOSYMFOLLOW = 0x100,
        MS_NOATIME = 0x400,
        MS_NODIRATIME = 0x800,
        MS_BIND = 0x1000,
        MS_MOVE = 0x2000,
        MS_REC = 0x4000,
        MS_SILENT = 0x8000,
        MS_POSIXACL = 0x10000,
        MS_UNBINDABLE = 0x20000,
        MS_PRIVATE = 0x40000,
        MS_SLAVE = 0x80000,
        MS_SHARED = 0x100000,
        MS_RELATIME = 0x200000,
        MS_STRICTATIME = 0x1000000,
        MS_LAZYTIME = 0x2000000,
    }
}

flags! {
    /// Flags of umount2(2).
    UmountFlags: u32 {
        MNT_FORCE = 1,
        MNT_DETACH = 2,
        MNT_EXPIRE = 4,
        UMOUNT_NOFOLLOW = 8,
    }
}

flags! {
    /// Flags of setxattr(2).
    XattrFlags: u32 {
        XATTR_CREATE = 0x1,
        XATTR_REPLACE = 0x2,
    }
}

// The longest name, value and list of extended attributes.
consts! {
    usize {
        XATTR_NAME_MAX = 255,
        XATTR_SIZE_MAX = 65536,
        XATTR_LIST_MAX = 65536,
    }
}
