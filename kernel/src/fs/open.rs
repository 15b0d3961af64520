//! open(2) and its kin (`fs/namei.c`: `path_openat`, `do_open`, `may_open`; `fs/open.c`: `do_dentry_open`).

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::{AT_FDCWD, O_ACCMODE, O_TMPFILE, OpenFlags, OpenHow, ResolveFlags};

use super::create::{make, ownership};
use super::permission::{self, Permission, is_owner, may_create, want_write};
use super::resolve::{Last, Name, Start, Walk, lookup};
use super::{
    AccessFlags, Capabilities, Cred, Dentry, File, FileKind, FileOps, FileTraits, Inode, MountFlags, Path, device,
    lease, notify, pseudo,
};

/// What openat2(2) asks for, checked (`build_open_flags`).
#[derive(Clone, Copy)]
pub struct OpenRequest {
    /// open(2)'s flags.
    pub flags: OpenFlags,
    /// The mode of a file made, umask not yet applied.
    pub mode: u16,
    /// How the path may be resolved.
    pub resolve: ResolveFlags,
    /// Whether a FIFO may be opened, whose other end may be missing; else it is `EAGAIN`, and nothing has happened.
    pub may_wait: bool,
}

impl OpenRequest {
    /// From open(2)'s arguments, whose unknown bits are ignored.
    pub fn from_open(flags: u32, mode: u32) -> Result<Self, Errno> {
        let flags = OpenFlags::from_bits_truncate(flags);
        let makes = flags.intersects(OpenFlags::O_CREAT | OpenFlags::__O_TMPFILE);
        Self::checked(flags, if makes { mode as u16 & 0o7777 } else { 0 }, ResolveFlags::empty())
    }

    /// From openat2(2)'s, whose unknown bits are errors. `EINVAL`.
    pub fn from_how(how: &OpenHow) -> Result<Self, Errno> {
        let flags = u32::try_from(how.flags).ok().and_then(OpenFlags::from_bits).ok_or(Errno::EINVAL)?;
        let resolve = ResolveFlags::from_bits(how.resolve).ok_or(Errno::EINVAL)?;
        if resolve.contains(ResolveFlags::RESOLVE_BENEATH | ResolveFlags::RESOLVE_IN_ROOT) {
            return Err(Errno::EINVAL);
        }
        let makes = flags.intersects(OpenFlags::O_CREAT | OpenFlags::__O_TMPFILE);
        if (makes && how.mode & !0o7777 != 0) || (!makes && how.mode != 0) {
            return Err(Errno::EINVAL);
        }
        if flags.contains(OpenFlags::O_PATH) && !path_flags().contains(flags) {
            return Err(Errno::EINVAL);
        }
        Self::checked(flags, how.mode as u16, resolve)
    }

    fn checked(flags: OpenFlags, mode: u16, resolve: ResolveFlags) -> Result<Self, Errno> {
        let mut flags = flags;
        if flags.contains(OpenFlags::__O_TMPFILE) {
            let writes = flags.intersects(OpenFlags::O_WRONLY | OpenFlags::O_RDWR);
            if !flags.contains(OpenFlags::O_DIRECTORY) || flags.contains(OpenFlags::O_CREAT) || !writes {
                return Err(Errno::EINVAL);
            }
        }
        if flags.contains(OpenFlags::O_CREAT | OpenFlags::O_DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        if flags.contains(OpenFlags::O_PATH) {
            flags = flags.intersection(path_flags());
        }
        if flags.contains(OpenFlags::__O_SYNC) {
            flags |= OpenFlags::O_DSYNC;
        }
        if resolve.contains(ResolveFlags::RESOLVE_CACHED)
            && flags.intersects(OpenFlags::O_TRUNC | OpenFlags::O_CREAT | OpenFlags::__O_TMPFILE)
        {
            return Err(Errno::EAGAIN);
        }
        Ok(Self { flags, mode, resolve, may_wait: true })
    }

    /// What must be allowed on the file itself.
    fn wanted(&self) -> Permission {
        if self.flags.contains(OpenFlags::O_PATH) {
            return Permission::empty();
        }
        let mut want = match self.flags.bits() & O_ACCMODE {
            0 => Permission::READ,
            1 => Permission::WRITE,
            _ => Permission::READ | Permission::WRITE,
        };
        if self.flags.contains(OpenFlags::O_TRUNC) {
            want |= Permission::WRITE;
        }
        want
    }

    fn has(&self, flag: OpenFlags) -> bool {
        self.flags.contains(flag)
    }
}

fn path_flags() -> OpenFlags {
    OpenFlags::O_DIRECTORY | OpenFlags::O_NOFOLLOW | OpenFlags::O_PATH | OpenFlags::O_CLOEXEC
}

/// Opens the file at `path`. A FIFO's open may still have to wait: see [`File::wait_open`].
pub fn open(
    start: Start<'_>,
    path: &[u8],
    request: &OpenRequest,
    umask: u16,
    cred: &Arc<Cred>,
) -> Result<Arc<File>, Errno> {
    let start = Start { how: request.resolve, ..start };
    if request.flags.bits() & O_TMPFILE == O_TMPFILE {
        return open_unnamed(start, path, request, umask, cred);
    }
    let mut walk = Walk::new(start, path);
    walk.begin()?;
    if request.has(OpenFlags::O_CREAT) {
        return open_or_make(&mut walk, request, umask, cred);
    }
    walk.to_end(!request.has(OpenFlags::O_NOFOLLOW))?;
    finish(walk.at, request, cred, false)
}

/// With `O_CREAT`: walks to the last component, through symbolic links in its place, and makes it if it is absent.
fn open_or_make(walk: &mut Walk<'_>, request: &OpenRequest, umask: u16, cred: &Arc<Cred>) -> Result<Arc<File>, Errno> {
    let follow = !request.has(OpenFlags::O_NOFOLLOW) && !request.has(OpenFlags::O_EXCL);
    loop {
        let (last, slash) = walk.to_last()?;
        match last {
            Last::Name(name) => {
                if slash {
                    return Err(Errno::EISDIR);
                }
                let (dentry, made) = find_or_make(walk, &name, request, umask, cred)?;
                if made {
                    let place = Path { mount: walk.at.mount.clone(), dentry };
                    return finish(place, request, cred, true);
                }
                if walk.step_into(dentry, follow)? {
                    continue;
                }
            }
            Last::DotDot => walk.up()?,
            Last::Dot | Last::Root => {}
        }
        walk.check_scope(&walk.at)?;
        if request.has(OpenFlags::O_EXCL) {
            return Err(Errno::EEXIST);
        }
        if walk.at.inode().kind == FileKind::Directory {
            return Err(Errno::EISDIR);
        }
        return finish(walk.at.clone(), request, cred, false);
    }
}

/// The child called `name`, and whether it was made for us (`lookup_open`).
fn find_or_make(
    walk: &Walk<'_>,
    name: &Name<'_>,
    request: &OpenRequest,
    umask: u16,
    cred: &Cred,
) -> Result<(Arc<Dentry>, bool), Errno> {
    let dir = &walk.at;
    loop {
        match lookup(dir, name) {
            Err(Errno::ENOENT) => {}
            found => return Ok((found?, false)),
        }
        want_write(dir)?;
        let new = ownership(dir.inode(), cred, FileKind::Regular, request.mode & !umask);
        match make(dir, name, cred, &new) {
            Err(Errno::EEXIST) => {}
            made => return Ok((made?, true)),
        }
    }
}

/// `O_TMPFILE`: a file in the directory that has no name (`do_tmpfile`).
fn open_unnamed(
    start: Start<'_>,
    path: &[u8],
    request: &OpenRequest,
    umask: u16,
    cred: &Arc<Cred>,
) -> Result<Arc<File>, Errno> {
    let dir = start.resolve(path, true)?;
    if dir.inode().kind != FileKind::Directory {
        return Err(Errno::ENOTDIR);
    }
    want_write(&dir)?;
    may_create(&dir.dentry, false, cred)?;
    let new = ownership(dir.inode(), cred, FileKind::Regular, request.mode & !umask);
    let inode = dir.inode().ops().create(dir.inode(), b"", &new)?;
    let linkable = !request.has(OpenFlags::O_EXCL);
    inode.update(|attributes| attributes.links = 0);
    inode.set_linkable(linkable);
    let name = alloc::format!("#{}", inode.number);
    let dentry = Dentry::detached(&dir.dentry, name.as_bytes(), inode);
    dentry.mark_unlinked();
    finish(Path { mount: dir.mount, dentry }, request, cred, true)
}

/// Opens what the walk led to (`do_open`).
fn finish(place: Path, request: &OpenRequest, cred: &Arc<Cred>, made: bool) -> Result<Arc<File>, Errno> {
    let kind = place.inode().kind;
    let is_unnamed = request.has(OpenFlags::__O_TMPFILE);
    if request.has(OpenFlags::O_DIRECTORY) && kind != FileKind::Directory && !is_unnamed {
        return Err(Errno::ENOTDIR);
    }
    let truncate = !made && kind == FileKind::Regular && request.has(OpenFlags::O_TRUNC);
    if kind == FileKind::Fifo && !request.may_wait {
        return Err(Errno::EAGAIN);
    }
    if truncate {
        want_write(&place)?;
    }
    let want = if made { Permission::empty() } else { request.wanted() };
    if !request.has(OpenFlags::O_PATH) {
        may_open(&place, want, request.flags, cred)?;
    }
    if kind == FileKind::Regular && !made && !request.has(OpenFlags::O_PATH) {
        let writes = request.flags.writable() || truncate;
        lease::break_for(place.inode(), writes, !request.has(OpenFlags::O_NONBLOCK))?;
    }
    let file = open_place(place, request.flags, cred)?;
    if truncate {
        cut(&file, cred)?;
    }
    notify::opened(&file);
    Ok(file)
}

/// `O_TRUNC` (`handle_truncate`): even one who opens for reading alone may not cut a program that runs. `ETXTBSY`.
fn cut(file: &File, cred: &Cred) -> Result<(), Errno> {
    let inode = file.inode();
    inode.begin_writing()?;
    let done = inode.truncate_to(0, cred.capable(Capabilities::FSETID));
    inode.end_writing();
    done
}

/// Whether what is there may be opened like that (`may_open`).
fn may_open(place: &Path, want: Permission, flags: OpenFlags, cred: &Cred) -> Result<(), Errno> {
    let inode = place.inode();
    match inode.kind {
        FileKind::Symlink => return Err(Errno::ELOOP),
        FileKind::Directory if want.contains(Permission::WRITE) => return Err(Errno::EISDIR),
        FileKind::CharDevice | FileKind::BlockDevice if place.mount.flags().contains(MountFlags::NODEV) => {
            return Err(Errno::EACCES);
        }
        _ => {}
    }
    if want.contains(Permission::WRITE) && inode.kind.lives_in_file_system() {
        want_write(place)?;
    }
    permission::check(inode, cred, want)?;
    if flags.contains(OpenFlags::O_NOATIME) && !is_owner(inode, cred) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// Opens a place, permissions checked already (`vfs_open`, `dentry_open`).
pub fn open_place(place: Path, flags: OpenFlags, cred: &Arc<Cred>) -> Result<Arc<File>, Errno> {
    let inode = place.inode().clone();
    if flags.contains(OpenFlags::O_PATH) {
        return Ok(File::new(Arc::new(PlaceOnly), place, flags, cred.clone()));
    }
    let counted = inode.kind == FileKind::Regular && flags.writable();
    if counted {
        inode.begin_writing()?;
    }
    match object_behind(&inode, flags, cred) {
        Ok(ops) => {
            if !counted && ops.traits().contains(FileTraits::REGULAR) {
                inode.begin_reading();
            }
            Ok(File::new(ops, place, flags | OpenFlags::O_LARGEFILE, cred.clone()))
        }
        Err(error) => {
            if counted {
                inode.end_writing();
            }
            Err(error)
        }
    }
}

fn object_behind(inode: &Arc<Inode>, flags: OpenFlags, cred: &Arc<Cred>) -> Result<Arc<dyn FileOps>, Errno> {
    let kind = inode.kind;
    if flags.contains(OpenFlags::O_DIRECT)
        && matches!(kind, FileKind::Fifo | FileKind::CharDevice | FileKind::Directory)
    {
        return Err(Errno::EINVAL);
    }
    match kind {
        FileKind::Socket => Err(Errno::ENXIO),
        FileKind::CharDevice | FileKind::BlockDevice => device::open(inode, flags, cred),
        FileKind::Fifo if !pseudo::is_outside(inode) => device::open_fifo(inode, flags),
        _ => inode.ops().clone().open(inode, flags, cred),
    }
}

/// Behind an `O_PATH` descriptor: nothing works but what concerns the place.
struct PlaceOnly;

impl FileOps for PlaceOnly {
    fn traits(&self) -> FileTraits {
        FileTraits::empty()
    }
}

/// Whether `dirfd` stands for the working directory.
pub fn is_cwd(dirfd: i32) -> bool {
    dirfd == AT_FDCWD
}
