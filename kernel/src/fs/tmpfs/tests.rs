//! Files, names and permissions on a tmpfs, as Linux has them.

use abi::fcntl::{OpenFlags, RenameFlags, ResolveFlags};
use abi::uio::RwFlags;

use super::*;
use crate::fs::content::PAGE_BYTES;
use crate::fs::open::{OpenRequest, open};
use crate::fs::permission::Permission;
use crate::fs::resolve::Start;
use crate::fs::{
    At, Cred, File, FsContext, Mount, MountFlags, Path, SizeLimit, SliceSink, SliceSource, Whence, attributes, create,
    remove, rename,
};
use crate::mem::Backing;

/// A namespace of its own, and who acts in it.
struct World {
    context: Arc<FsContext>,
    cred: Arc<Cred>,
}

impl World {
    fn new() -> Self {
        Self::with(&Options { mode: 0o755, ..Options::default() })
    }

    fn with(options: &Options) -> Self {
        let instance = new("tmpfs", options).expect("a fresh tmpfs has room");
        let root = instance.root.clone();
        let mount = Mount::new(instance, root, b"none", MountFlags::empty());
        Self { context: FsContext::new(mount.root_path()), cred: Arc::new(Cred::root()) }
    }

    fn as_user(&self, uid: u32) -> Self {
        Self { context: self.context.clone(), cred: Arc::new(Cred::user(uid, uid)) }
    }

    fn start(&self) -> Start<'_> {
        Start::at_cwd(&self.context, &self.cred)
    }

    fn at(&self, path: &str) -> Result<Path, Errno> {
        self.start().resolve(path.as_bytes(), true)
    }

    fn open(&self, path: &str, flags: OpenFlags) -> Result<Arc<File>, Errno> {
        self.open_mode(path, flags, 0o666)
    }

    fn open_mode(&self, path: &str, flags: OpenFlags, mode: u32) -> Result<Arc<File>, Errno> {
        let request = OpenRequest::from_open(flags.bits(), mode)?;
        open(self.start(), path.as_bytes(), &request, self.context.umask(), &self.cred)
    }

    fn mkdir(&self, path: &str) -> Result<(), Errno> {
        create::mkdir(self.start().resolve_parent(path.as_bytes())?, &self.cred, &self.context, 0o777)
    }

    fn symlink(&self, text: &str, path: &str) -> Result<(), Errno> {
        create::symlink(text.as_bytes(), self.start().resolve_parent(path.as_bytes())?, &self.cred)
    }

    fn link(&self, old: &str, new: &str) -> Result<(), Errno> {
        let old = self.start().resolve(old.as_bytes(), false)?;
        create::link(&old, self.start().resolve_parent(new.as_bytes())?, &self.cred)
    }

    fn unlink(&self, path: &str) -> Result<(), Errno> {
        remove::unlink(self.start().resolve_parent(path.as_bytes())?, &self.cred)
    }

    fn rmdir(&self, path: &str) -> Result<(), Errno> {
        remove::rmdir(self.start().resolve_parent(path.as_bytes())?, &self.cred)
    }

    fn rename(&self, old: &str, new: &str) -> Result<(), Errno> {
        self.rename_with(old, new, RenameFlags::empty())
    }

    fn rename_with(&self, old: &str, new: &str, flags: RenameFlags) -> Result<(), Errno> {
        let (old, new) = (self.start().resolve_parent(old.as_bytes())?, self.start().resolve_parent(new.as_bytes())?);
        rename::rename(old, new, flags, &self.cred)
    }

    fn create(&self, path: &str) -> Arc<File> {
        self.open(path, OpenFlags::O_CREAT | OpenFlags::O_RDWR).expect("the test may make this file")
    }

    fn links(&self, path: &str) -> u32 {
        self.at(path).expect("it is there").inode().attributes().links
    }
}

fn write(file: &File, bytes: &[u8], at: At) -> Result<usize, Errno> {
    file.try_write(&mut SliceSource::new(bytes), at, RwFlags::empty(), &mut SizeLimit::none())
}

fn read(file: &File, len: usize, at: At) -> alloc::vec::Vec<u8> {
    let mut buffer = alloc::vec![0; len];
    let read = file.try_read(&mut SliceSink::new(&mut buffer), at).expect("readable");
    buffer.truncate(read);
    buffer
}

#[test]
fn what_is_written_is_read_again_and_the_position_moves() {
    let world = World::new();
    let file = world.create("/a");
    assert_eq!(write(&file, b"hello world", At::Position), Ok(11));
    assert_eq!(file.position(), 11);
    assert_eq!(read(&file, 100, At::Position), b"");
    assert_eq!(file.seek(6, Whence::Set), Ok(6));
    assert_eq!(read(&file, 100, At::Position), b"world");
    assert_eq!(read(&file, 5, At::Offset(0)), b"hello");
    assert_eq!(file.position(), 11);
}

#[test]
fn appending_goes_to_the_end_whatever_the_position() {
    let world = World::new();
    let first = world.create("/log");
    let second = world.open("/log", OpenFlags::O_WRONLY | OpenFlags::O_APPEND).expect("there");
    write(&first, b"one", At::Position).expect("room");
    assert_eq!(write(&second, b"two", At::Position), Ok(3));
    assert_eq!(write(&second, b"three", At::Offset(0)), Ok(5));
    assert_eq!(read(&first, 100, At::Offset(0)), b"onetwothree");
    assert_eq!(second.position(), 6);
}

#[test]
fn holes_read_as_zeros_and_are_found_by_seeking() {
    let world = World::new();
    let file = world.create("/sparse");
    write(&file, b"x", At::Offset(1 << 20)).expect("room");
    assert_eq!(read(&file, 4, At::Offset(1000)), [0; 4]);
    assert_eq!(file.seek(0, Whence::Data), Ok(1 << 20));
    assert_eq!(file.seek(1 << 20, Whence::Hole), Ok((1 << 20) + 1));
    assert_eq!(file.seek(5, Whence::Hole), Ok(5));
    assert_eq!(file.seek(1 << 30, Whence::Data), Err(Errno::ENXIO));
    assert_eq!(file.inode().ops().blocks_512(), 8);
}

#[test]
fn punching_a_hole_zeroes_and_frees() {
    let world = World::new();
    let file = world.create("/f");
    write(&file, &[7; 20_000], At::Offset(0)).expect("room");
    file.ops().fallocate(&file, 3, 1000, 10_000).expect("supported");
    let bytes = read(&file, 20_000, At::Offset(0));
    assert!(bytes[..1000].iter().chain(&bytes[11_000..]).all(|&byte| byte == 7));
    assert!(bytes[1000..11_000].iter().all(|&byte| byte == 0));
    assert_eq!(file.inode().ops().blocks_512(), 4 * 8);
    assert_eq!(file.inode().ops().size_bytes(), 20_000);
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    let world = World::new();
    let file = world.create("/f");
    write(&file, &[7; 6000], At::Offset(0)).expect("room");
    file.inode().truncate_to(100, true).expect("regular");
    file.inode().truncate_to(6000, true).expect("regular");
    let bytes = read(&file, 6000, At::Offset(0));
    assert_eq!(bytes.len(), 6000);
    assert!(bytes[100..].iter().all(|&byte| byte == 0));
}

#[test]
fn a_full_tmpfs_gives_enospc_and_room_returns() {
    let world = World::with(&Options { pages: Some(2), mode: 0o755, ..Options::default() });
    let file = world.create("/f");
    assert_eq!(write(&file, &[1; 3 * 4096], At::Offset(0)), Ok(2 * 4096));
    assert_eq!(write(&file, &[1; 1], At::Offset(2 * 4096)), Err(Errno::ENOSPC));
    world.unlink("/f").expect("there");
    drop(file);
    assert_eq!(write(&world.create("/g"), &[1; 4096], At::Offset(0)), Ok(4096));
}

#[test]
fn the_file_size_limit_cuts_then_refuses() {
    let world = World::new();
    let file = world.create("/f");
    let mut limit = SizeLimit::new(10);
    let source = &mut SliceSource::new(&[1; 20]);
    assert_eq!(file.try_write(source, At::Offset(4), RwFlags::empty(), &mut limit), Ok(6));
    assert!(!limit.exceeded);
    let source = &mut SliceSource::new(&[1; 20]);
    assert_eq!(file.try_write(source, At::Offset(10), RwFlags::empty(), &mut limit), Err(Errno::EFBIG));
    assert!(limit.exceeded);
}

#[test]
fn writing_clears_set_id_bits_unless_the_writer_may_keep_them() {
    let world = World::new();
    let user = world.as_user(5);
    let file = world.open_mode("/f", OpenFlags::O_CREAT | OpenFlags::O_RDWR, 0o6777).expect("root may");
    attributes::change_mode(file.path(), 0o6777, &world.cred).expect("root may");
    write(&file, b"x", At::Position).expect("room");
    assert_eq!(file.inode().attributes().mode, 0o6777);
    let file = user.open("/f", OpenFlags::O_WRONLY).expect("others may write");
    write(&file, b"x", At::Position).expect("room");
    assert_eq!(file.inode().attributes().mode, 0o777);
}

#[test]
fn opening_follows_linux_order_of_errors() {
    let world = World::new();
    world.mkdir("/d").expect("free");
    drop(world.create("/f"));
    world.symlink("nowhere", "/dangling").expect("free");
    world.symlink("f", "/link").expect("free");
    let (creat, excl, rdwr) = (OpenFlags::O_CREAT, OpenFlags::O_EXCL, OpenFlags::O_RDWR);
    let error = |path, flags| world.open(path, flags).map(drop).expect_err(path);
    assert_eq!(error("", OpenFlags::empty()), Errno::ENOENT);
    assert_eq!(error("/none", OpenFlags::empty()), Errno::ENOENT);
    assert_eq!(error("/f/x", creat), Errno::ENOTDIR);
    assert_eq!(error("/f/", OpenFlags::empty()), Errno::ENOTDIR);
    assert_eq!(error("/new/", creat), Errno::EISDIR);
    assert_eq!(error("/d", creat), Errno::EISDIR);
    assert_eq!(error("/d", creat | excl), Errno::EEXIST);
    assert_eq!(error("/d", rdwr), Errno::EISDIR);
    assert_eq!(error("/f", creat | excl), Errno::EEXIST);
    assert_eq!(error("/dangling", creat | excl), Errno::EEXIST);
    assert_eq!(error("/link", OpenFlags::O_NOFOLLOW), Errno::ELOOP);
    assert_eq!(error("/link", OpenFlags::O_NOFOLLOW | OpenFlags::O_DIRECTORY), Errno::ENOTDIR);
    assert_eq!(error("/f", OpenFlags::O_DIRECTORY), Errno::ENOTDIR);
    assert_eq!(error(".", creat), Errno::EISDIR);
    assert!(world.open("/link", OpenFlags::O_NOFOLLOW | OpenFlags::O_PATH).is_ok());
    assert!(world.open("/dangling", creat | rdwr).is_ok());
    assert!(world.at("/nowhere").is_ok());
}

#[test]
fn symbolic_links_loop_only_so_often() {
    let world = World::new();
    world.symlink("/loop", "/loop").expect("free");
    assert_eq!(world.at("/loop").map(drop), Err(Errno::ELOOP));
    drop(world.create("/l0"));
    for n in 1..=41 {
        world.symlink(&std::format!("l{}", n - 1), &std::format!("/l{n}")).expect("free");
    }
    assert!(world.at("/l40").is_ok());
    assert_eq!(world.at("/l41").map(drop), Err(Errno::ELOOP));
}

#[test]
fn links_in_the_middle_of_a_path_are_followed_relative_to_where_they_are() {
    let world = World::new();
    for dir in ["/a", "/a/b", "/c"] {
        world.mkdir(dir).expect("free");
    }
    drop(world.create("/a/b/file"));
    world.symlink("../a/b/", "/c/to-b").expect("free");
    world.symlink("/c/to-b", "/abs").expect("free");
    assert!(world.at("/c/to-b/file").is_ok());
    assert!(world.at("abs//./../b/file").is_ok());
    assert_eq!(world.at("/abs/file/").map(drop), Err(Errno::ENOTDIR));
    assert_eq!(world.at("/../../a/../c").map(|path| path.dentry.name().to_vec()), Ok(b"c".to_vec()));
}

#[test]
fn names_may_have_255_bytes() {
    let world = World::new();
    let longest = "n".repeat(255);
    assert!(world.open(&longest, OpenFlags::O_CREAT).is_ok());
    let longer = "n".repeat(256);
    assert_eq!(world.open(&longer, OpenFlags::O_CREAT).map(drop), Err(Errno::ENAMETOOLONG));
    assert_eq!(world.at(&longer).map(drop), Err(Errno::ENAMETOOLONG));
    assert_eq!(world.mkdir(&longer), Err(Errno::ENAMETOOLONG));
}

#[test]
fn removing_follows_linux_order_of_errors() {
    let world = World::new();
    world.mkdir("/d").expect("free");
    world.mkdir("/d/e").expect("free");
    drop(world.create("/f"));
    assert_eq!(world.unlink("/d"), Err(Errno::EISDIR));
    assert_eq!(world.unlink("/f/"), Err(Errno::ENOTDIR));
    assert_eq!(world.unlink("/."), Err(Errno::EISDIR));
    assert_eq!(world.rmdir("/f"), Err(Errno::ENOTDIR));
    assert_eq!(world.rmdir("/d"), Err(Errno::ENOTEMPTY));
    assert_eq!(world.rmdir("/d/."), Err(Errno::EINVAL));
    assert_eq!(world.rmdir("/d/.."), Err(Errno::ENOTEMPTY));
    assert_eq!(world.rmdir("/"), Err(Errno::EBUSY));
    assert_eq!(world.links("/d"), 3);
    world.rmdir("/d/e").expect("empty");
    assert_eq!(world.links("/d"), 2);
    world.context.set_cwd(world.at("/d").expect("there"));
    world.rmdir("/d").expect("empty");
    assert_eq!(world.open("new", OpenFlags::O_CREAT).map(drop), Err(Errno::ENOENT));
    assert!(world.at("..").is_ok());
}

#[test]
fn hard_links_count_and_keep_the_content() {
    let world = World::new();
    write(&world.create("/a"), b"kept", At::Position).expect("room");
    world.link("/a", "/b").expect("free");
    assert_eq!(world.links("/b"), 2);
    assert_eq!(world.link("/a", "/b"), Err(Errno::EEXIST));
    assert_eq!(world.link("/", "/c"), Err(Errno::EPERM));
    world.unlink("/a").expect("there");
    let file = world.open("/b", OpenFlags::empty()).expect("there");
    assert_eq!((read(&file, 10, At::Position), world.links("/b")), (b"kept".to_vec(), 1));
}

#[test]
fn renaming_follows_linux_order_of_errors() {
    let world = World::new();
    for dir in ["/d", "/d/sub", "/empty", "/full"] {
        world.mkdir(dir).expect("free");
    }
    drop((world.create("/f"), world.create("/g"), world.create("/full/x")));
    assert_eq!(world.rename("/none", "/x"), Err(Errno::ENOENT));
    assert_eq!(world.rename("/d", "/d/sub/in-itself"), Err(Errno::EINVAL));
    assert_eq!(world.rename("/d/sub", "/d"), Err(Errno::ENOTEMPTY));
    assert_eq!(world.rename("/d", "/full"), Err(Errno::ENOTEMPTY));
    assert_eq!(world.rename("/f", "/d"), Err(Errno::EISDIR));
    assert_eq!(world.rename("/d", "/f"), Err(Errno::ENOTDIR));
    assert_eq!(world.rename("/f", "/new/"), Err(Errno::ENOTDIR));
    assert_eq!(world.rename("/d/..", "/x"), Err(Errno::EBUSY));
    assert_eq!(world.rename_with("/f", "/g", RenameFlags::RENAME_NOREPLACE), Err(Errno::EEXIST));
    assert_eq!(world.rename_with("/f", "/none", RenameFlags::RENAME_EXCHANGE), Err(Errno::ENOENT));
    world.rename("/d/sub", "/full/sub").expect("free");
    assert_eq!((world.links("/d"), world.links("/full")), (2, 3));
    world.rename("/d", "/empty").expect("the target is empty");
    assert_eq!(world.at("/d").map(drop), Err(Errno::ENOENT));
    world.rename("/f", "/g").expect("files replace files");
    assert_eq!(world.at("/f").map(drop), Err(Errno::ENOENT));
    world.rename_with("/g", "/full", RenameFlags::RENAME_EXCHANGE).expect("both are there");
    assert_eq!(world.at("/full").expect("there").inode().kind, FileKind::Regular);
    assert!(world.at("/g/sub").is_ok());
}

#[test]
fn renaming_one_file_over_its_other_name_does_nothing() {
    let world = World::new();
    drop(world.create("/a"));
    world.link("/a", "/b").expect("free");
    world.rename("/a", "/b").expect("nothing to do");
    assert!(world.at("/a").is_ok() && world.at("/b").is_ok());
}

#[test]
fn mode_bits_decide_for_users_and_not_for_root() {
    let world = World::new();
    let user = world.as_user(7);
    world.mkdir("/secret").expect("free");
    drop(world.create("/secret/f"));
    attributes::change_mode(&world.at("/secret").expect("there"), 0o700, &world.cred).expect("root may");
    assert_eq!(user.at("/secret/f").map(drop), Err(Errno::EACCES));
    assert_eq!(user.open("/new", OpenFlags::O_CREAT).map(drop), Err(Errno::EACCES));
    assert_eq!(user.unlink("/secret"), Err(Errno::EACCES));
    assert!(world.at("/secret/f").is_ok());
    let file = world.at("/secret/f").expect("there");
    assert_eq!(attributes::access(&file, Permission::EXEC, &world.cred), Err(Errno::EACCES));
    assert_eq!(attributes::change_mode(&file, 0o777, &user.cred), Err(Errno::EPERM));
    assert_eq!(attributes::change_owner(&file, Some(7), None, &user.cred), Err(Errno::EPERM));
}

#[test]
fn a_sticky_directory_protects_files_of_others() {
    let world = World::with(&Options::default());
    let (ann, bob) = (world.as_user(1), world.as_user(2));
    drop(ann.create("/ann"));
    assert_eq!(bob.unlink("/ann"), Err(Errno::EPERM));
    assert_eq!(bob.rename("/ann", "/mine"), Err(Errno::EPERM));
    ann.unlink("/ann").expect("her own");
}

#[test]
fn a_setgid_directory_gives_its_group_to_what_is_made_in_it() {
    let world = World::new();
    world.mkdir("/shared").expect("free");
    let place = world.at("/shared").expect("there");
    attributes::change_owner(&place, None, Some(50), &world.cred).expect("root may");
    attributes::change_mode(&place, 0o2777, &world.cred).expect("root may");
    let user = world.as_user(3);
    user.mkdir("/shared/d").expect("all may write");
    let made = world.at("/shared/d").expect("there").inode().attributes();
    assert_eq!((made.gid, made.uid, made.mode), (50, 3, 0o2755));
}

#[test]
fn an_unnamed_file_can_be_given_a_name_once_unless_exclusive() {
    let world = World::new();
    let flags = OpenFlags::O_RDWR | OpenFlags::from_bits_retain(abi::fcntl::O_TMPFILE);
    let file = world.open("/", flags).expect("supported");
    assert_eq!(file.inode().attributes().links, 0);
    let parent = world.start().resolve_parent(b"/named").expect("free");
    create::link(file.path(), parent, &world.cred).expect("linkable");
    assert_eq!(world.links("/named"), 1);
    let file = world.open("/", flags | OpenFlags::O_EXCL).expect("supported");
    let parent = world.start().resolve_parent(b"/other").expect("free");
    assert_eq!(create::link(file.path(), parent, &world.cred), Err(Errno::ENOENT));
}

#[test]
fn resolution_can_be_kept_beneath_or_inside_its_start() {
    let world = World::new();
    for dir in ["/jail", "/jail/in", "/out"] {
        world.mkdir(dir).expect("free");
    }
    world.symlink("/in", "/jail/abs").expect("free");
    world.symlink("../out", "/jail/up").expect("free");
    let at = |path: &str, how| {
        let base = world.at("/jail").expect("there");
        Start { how, ..Start::at(&world.context, base, &world.cred) }.resolve(path.as_bytes(), true).map(drop)
    };
    let (beneath, in_root) = (ResolveFlags::RESOLVE_BENEATH, ResolveFlags::RESOLVE_IN_ROOT);
    assert_eq!(at("in/../in", beneath), Ok(()));
    assert_eq!(at("..", beneath), Err(Errno::EXDEV));
    assert_eq!(at("/in", beneath), Err(Errno::EXDEV));
    assert_eq!(at("abs", beneath), Err(Errno::EXDEV));
    assert_eq!(at("up", beneath), Err(Errno::EXDEV));
    assert_eq!(at("abs", in_root), Ok(()));
    assert_eq!(at("/../../in", in_root), Ok(()));
    assert_eq!(at("up", in_root), Err(Errno::ENOENT));
    assert_eq!(at("abs", ResolveFlags::RESOLVE_NO_SYMLINKS), Err(Errno::ELOOP));
}

#[test]
fn a_long_chain_of_removed_directories_is_dropped_without_recursion() {
    let world = World::new();
    let mut places = alloc::vec![world.context.root()];
    for _ in 0..4_000 {
        world.mkdir("d").expect("free");
        let next = world.at("d").expect("there");
        world.context.set_cwd(next.clone());
        places.push(next);
    }
    let deepest = places.pop().expect("there are some");
    while let Some(parent) = places.pop() {
        world.context.set_cwd(parent);
        world.rmdir("d").expect("empty");
    }
    drop(places);
    drop(deepest);
}

#[test]
fn getcwd_names_the_place_and_says_when_it_is_gone() {
    let world = World::new();
    world.mkdir("/a").expect("free");
    world.mkdir("/a/b").expect("free");
    let place = world.at("/a/b").expect("there");
    let root = world.context.root();
    assert_eq!(place.name_from(&root), (b"/a/b".to_vec(), true));
    world.rmdir("/a/b").expect("empty");
    assert_eq!(place.display_from(&root), b"/a/b (deleted)");
}

#[test]
fn a_program_being_executed_cannot_be_written_and_the_reverse() {
    let world = World::new();
    let file = world.create("/prog");
    assert_eq!(file.inode().begin_executing(), Err(Errno::ETXTBSY));
    let inode = file.inode().clone();
    drop(file);
    inode.begin_executing().expect("nobody writes");
    assert_eq!(world.open("/prog", OpenFlags::O_WRONLY).map(drop), Err(Errno::ETXTBSY));
    inode.end_executing();
    assert!(world.open("/prog", OpenFlags::O_WRONLY).is_ok());
}

#[test]
fn what_a_file_of_the_initramfs_holds_can_be_looked_at_on_a_full_file_system() {
    static ORIGIN: [u8; 2 * PAGE_BYTES as usize] = [7; 2 * PAGE_BYTES as usize];
    let tmpfs = Arc::new(Tmpfs::new(&Options { pages: Some(1), ..Options::default() }));
    let (program, other) = (Content::with_origin(tmpfs.clone(), &ORIGIN), Content::new(tmpfs.clone()));
    other.set_size(2 * PAGE_BYTES);
    assert!(other.page(0, true).is_ok());
    assert!(other.page(1, true).is_err(), "the file system is full");
    assert!(program.page(1, false).is_ok());
    drop((program, other));
    let again = Content::new(tmpfs);
    again.set_size(PAGE_BYTES);
    assert!(again.page(0, true).is_ok(), "all has been given back");
}
