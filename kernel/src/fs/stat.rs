//! What stat(2), statx(2) and statfs(2) show (`fs/stat.c`, `fs/statfs.c`).

use abi::Errno;
use abi::stat::{STATX_BASIC_STATS, Stat, Statfs, Statx, StatxAttributes, StatxMask, StatxTimestamp};

use super::content::PAGE_BYTES;
use super::{FileKind, Mount, MountFlags, Path, Timestamp};

/// What one entry adds to the size of a directory in memory (`BOGO_DIRENT_SIZE`).
const ENTRY_BYTES: u64 = 20;

fn size_bytes(place: &Path) -> u64 {
    let inode = place.inode();
    if inode.kind == FileKind::Directory && inode.fs.names_resident {
        return place.dentry.children().len() as u64 * ENTRY_BYTES;
    }
    inode.ops().size_bytes()
}

/// stat(2)'s answer about a place.
pub fn stat(place: &Path) -> Result<Stat, Errno> {
    let inode = place.inode();
    inode.ops().refresh(inode)?;
    let attributes = inode.attributes();
    Ok(Stat {
        st_dev: inode.fs.device.encode(),
        st_ino: inode.number,
        st_nlink: u64::from(attributes.links),
        st_mode: inode.kind.mode_bits() | u32::from(attributes.mode),
        st_uid: attributes.uid,
        st_gid: attributes.gid,
        st_rdev: inode.device.encode(),
        st_size: size_bytes(place) as i64,
        st_blksize: PAGE_BYTES as i64,
        st_blocks: inode.ops().blocks_512() as i64,
        st_atime: attributes.accessed.seconds as u64,
        st_atime_nsec: u64::from(attributes.accessed.nanoseconds),
        st_mtime: attributes.modified.seconds as u64,
        st_mtime_nsec: u64::from(attributes.modified.nanoseconds),
        st_ctime: attributes.changed.seconds as u64,
        st_ctime_nsec: u64::from(attributes.changed.nanoseconds),
        ..Stat::default()
    })
}

fn time(time: Timestamp) -> StatxTimestamp {
    StatxTimestamp { tv_sec: time.seconds, tv_nsec: time.nanoseconds, __reserved: 0 }
}

/// statx(2)'s answer about a place. Everything known is given, whatever was asked for; only the time of creation must be.
pub fn statx(place: &Path, asked: StatxMask) -> Result<Statx, Errno> {
    let stat = stat(place)?;
    let inode = place.inode();
    let attributes = inode.attributes();
    let is_mount_root = alloc::sync::Arc::ptr_eq(&place.dentry, &place.mount.root);
    let born = asked.contains(StatxMask::STATX_BTIME);
    let known = asked.intersection(StatxMask::STATX_BTIME) | StatxMask::STATX_MNT_ID;
    let mount_root = StatxAttributes::STATX_ATTR_MOUNT_ROOT.bits();
    Ok(Statx {
        stx_mask: STATX_BASIC_STATS | known.bits(),
        stx_blksize: PAGE_BYTES as u32,
        stx_attributes: if is_mount_root { mount_root } else { 0 },
        stx_attributes_mask: mount_root,
        stx_nlink: attributes.links,
        stx_uid: attributes.uid,
        stx_gid: attributes.gid,
        stx_mode: stat.st_mode as u16,
        stx_ino: inode.number,
        stx_size: stat.st_size as u64,
        stx_blocks: stat.st_blocks as u64,
        stx_atime: time(attributes.accessed),
        stx_btime: if born { time(attributes.created) } else { StatxTimestamp::default() },
        stx_ctime: time(attributes.changed),
        stx_mtime: time(attributes.modified),
        stx_rdev_major: inode.device.major,
        stx_rdev_minor: inode.device.minor,
        stx_dev_major: inode.fs.device.major,
        stx_dev_minor: inode.fs.device.minor,
        stx_mnt_id: u64::from(place.mount.id),
        ..Statx::default()
    })
}

/// statfs(2)'s answer about a mount.
pub fn statfs(mount: &Mount) -> Result<Statfs, Errno> {
    const ST_VALID: u32 = 0x20;
    let fs = mount.fs();
    let known = fs.ops().statfs()?;
    let mut flags = mount.flags();
    flags.set(MountFlags::RDONLY, mount.is_read_only());
    let device = fs.device.encode();
    Ok(Statfs {
        f_type: known.magic as i64,
        f_bsize: known.block_bytes as i64,
        f_blocks: known.blocks,
        f_bfree: known.blocks_free,
        f_bavail: known.blocks_free,
        f_files: known.inodes,
        f_ffree: known.inodes_free,
        f_fsid: [device as i32, (device >> 32) as i32],
        f_namelen: abi::fcntl::NAME_MAX as i64,
        f_frsize: known.block_bytes as i64,
        f_flags: i64::from(flags.bits() | ST_VALID),
        ..Statfs::default()
    })
}
