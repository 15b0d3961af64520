//! Mounts. The namespace is one for all tests, so each works in a tree of its own.

use abi::Errno;
use abi::mount::{MountFlags as MountCall, UmountFlags};
use alloc::sync::Arc;

use super::mounting::{MountRequest, mount, mount_root, unmount};
use super::resolve::Start;
use super::tmpfs::{self, Options};
use super::{Cred, FsContext, Path, create, mount};

struct World {
    context: Arc<FsContext>,
    cred: Cred,
}

impl World {
    fn new() -> Self {
        let root = mount_root(tmpfs::new("tmpfs", &Options::default()).expect("room"), b"rootfs");
        Self { context: FsContext::new(root), cred: Cred::root() }
    }

    fn at(&self, path: &str) -> Result<Path, Errno> {
        Start::at_cwd(&self.context, &self.cred).resolve(path.as_bytes(), true)
    }

    fn mkdir(&self, path: &str) -> Result<(), Errno> {
        let parent = Start::at_cwd(&self.context, &self.cred).resolve_parent(path.as_bytes())?;
        create::mkdir(parent, &self.cred, &self.context, 0o755)
    }

    fn mount(&self, source: &str, target: &str, kind: &str, flags: MountCall) -> Result<(), Errno> {
        let source_place = self.at(source).ok();
        let target = self.at(target)?;
        let (source, kind, options) = (source.as_bytes(), kind.as_bytes(), &b""[..]);
        mount(MountRequest { source, source_place, target, kind, flags, options }, &self.cred)
    }
}

#[test]
fn a_mount_covers_and_uncovers_a_directory() {
    let world = World::new();
    world.mkdir("/mnt").expect("free");
    world.mkdir("/mnt/below").expect("free");
    world.mount("none", "/mnt", "tmpfs", MountCall::empty()).expect("root may");
    assert_eq!(world.at("/mnt/below").map(drop), Err(Errno::ENOENT));
    world.mkdir("/mnt/above").expect("free");
    let above = world.at("/mnt/above").expect("there");
    assert_eq!(above.name_from(&world.context.root()), (b"/mnt/above".to_vec(), true));
    assert!(world.at("/mnt/../mnt/above/..").expect("there").is(&world.at("/mnt").expect("there")));
    assert_eq!(unmount(&world.at("/mnt").expect("there"), UmountFlags::empty(), &world.cred), Err(Errno::EBUSY));
    drop(above);
    unmount(&world.at("/mnt").expect("there"), UmountFlags::empty(), &world.cred).expect("idle");
    assert!(world.at("/mnt/below").is_ok());
}

#[test]
fn a_bind_mount_shows_the_same_files_read_only_if_asked() {
    let world = World::new();
    for dir in ["/a", "/a/x", "/b"] {
        world.mkdir(dir).expect("free");
    }
    world.mount("/a", "/b", "", MountCall::MS_BIND).expect("root may");
    assert!(Arc::ptr_eq(world.at("/b/x").expect("there").inode(), world.at("/a/x").expect("there").inode()));
    world.mount("", "/b", "", MountCall::MS_REMOUNT | MountCall::MS_BIND | MountCall::MS_RDONLY).expect("a mount");
    assert_eq!(world.mkdir("/b/y"), Err(Errno::EROFS));
    world.mkdir("/a/y").expect("only the second view is read-only");
    assert!(world.at("/b/y").is_ok());
}

#[test]
fn a_mount_moves_with_all_that_is_in_it() {
    let world = World::new();
    for dir in ["/from", "/to"] {
        world.mkdir(dir).expect("free");
    }
    world.mount("none", "/from", "tmpfs", MountCall::empty()).expect("root may");
    world.mkdir("/from/in").expect("free");
    assert_eq!(world.mount("/from", "/from/in", "", MountCall::MS_MOVE), Err(Errno::ELOOP));
    world.mount("/from", "/to", "", MountCall::MS_MOVE).expect("a mount");
    assert!(world.at("/to/in").is_ok());
    assert_eq!(world.at("/from/in").map(drop), Err(Errno::ENOENT));
}

#[test]
fn mounting_needs_privilege_and_a_known_kind() {
    let mut world = World::new();
    assert_eq!(world.mount("none", "/", "nofs", MountCall::empty()), Err(Errno::ENODEV));
    world.cred = Cred::user(1, 1);
    assert_eq!(world.mount("none", "/", "tmpfs", MountCall::empty()), Err(Errno::EPERM));
}

#[test]
fn a_tree_copied_into_itself_is_copied_as_it_was_and_comes_off_whole() {
    let world = World::new();
    world.mkdir("/t").expect("free");
    let deep = (0..3).fold(alloc::string::String::from("/t"), |path, _| {
        world.mount("none", &path, "tmpfs", MountCall::empty()).expect("root may");
        let path = path + "/d";
        world.mkdir(&path).expect("free");
        path
    });
    let copies = |path: &str| world.at(path).map(|place| mount::children_of(&place.mount).len());
    world.mount("/t", &deep, "", MountCall::MS_BIND | MountCall::MS_REC).expect("root may");
    assert_eq!(copies(&(deep.clone() + "/d")), Ok(1), "the copy has a copy of the second");
    assert_eq!(copies(&(deep.clone() + "/d/d")), Ok(0), "and that of the third nothing on it");
    unmount(&world.at("/t").expect("there"), UmountFlags::MNT_DETACH, &world.cred).expect("a mount");
    assert_eq!(world.at("/t/d").map(drop), Err(Errno::ENOENT));
}
