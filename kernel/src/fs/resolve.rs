//! From a path name to a place in the tree (`fs/namei.c`: `link_path_walk`, `step_into`, `handle_dots`).
//!
//! A [`Walk`] holds where it is and walks one component at a time. Symbolic links in the way are walked by
//! putting what remains of the path aside; there is no recursion. The order of checks is Linux's: search
//! permission on the directory, then the component, then whether more may follow it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

use abi::Errno;
use abi::fcntl::{MAX_SYMLINKS, NAME_MAX, ResolveFlags};

use super::permission::{self, Permission};
use super::{Cred, Dentry, FileKind, FsContext, LinkTarget, MountFlags, Path, rename};

/// The walk may not leave the directory it starts from.
const SCOPED: ResolveFlags = ResolveFlags::RESOLVE_BENEATH.union(ResolveFlags::RESOLVE_IN_ROOT);

/// From where and for whom a path is walked.
#[derive(Clone)]
pub struct Start<'a> {
    /// Where `/` leads.
    pub root: Path,
    /// Where a relative path begins.
    pub base: Path,
    /// Who walks.
    pub cred: &'a Cred,
    /// openat2(2)'s restrictions.
    pub how: ResolveFlags,
    /// For which process and thread: /proc/self and /proc/thread-self lead there. 0 for the kernel itself.
    pub asker: (i32, i32),
}

/// Who follows a link.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Its credentials.
    pub cred: &'a Cred,
    /// Its process; 0 for the kernel itself.
    pub pid: i32,
    /// Its thread.
    pub tid: i32,
}

impl<'a> Start<'a> {
    /// From the working directory.
    pub fn at_cwd(context: &FsContext, cred: &'a Cred) -> Self {
        let (root, base) = context.root_and_cwd();
        Self { root, base, cred, how: ResolveFlags::empty(), asker: (0, 0) }
    }

    /// From `base`, as the calls ending in `at` have it.
    pub fn at(context: &FsContext, base: Path, cred: &'a Cred) -> Self {
        Self { root: context.root(), base, cred, how: ResolveFlags::empty(), asker: (0, 0) }
    }

    /// On behalf of that process and thread.
    pub fn asked_by(self, pid: i32, tid: i32) -> Self {
        Self { asker: (pid, tid), ..self }
    }

    /// The place `path` names; a final symbolic link is followed if `follow` says so. An empty path is `ENOENT`.
    pub fn resolve(self, path: &[u8], follow: bool) -> Result<Path, Errno> {
        let mut walk = Walk::new(self, path);
        walk.begin()?;
        walk.to_end(follow)?;
        Ok(walk.at)
    }

    /// The directory in which the last component of `path` is to be looked up, and that component.
    pub fn resolve_parent(self, path: &'a [u8]) -> Result<Parent<'a>, Errno> {
        let mut walk = Walk::new(self, path);
        walk.begin()?;
        let (name, slash) = walk.to_last()?;
        walk.check_scope(&walk.at)?;
        Ok(Parent { dir: walk.at, name, slash })
    }
}

/// The last component of a path.
pub enum Last<'a> {
    /// A name.
    Name(Name<'a>),
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// None: the path was `/`.
    Root,
}

/// A text that is walked.
#[derive(Clone)]
enum Text<'a> {
    /// The path given.
    Given(&'a [u8]),
    /// A symbolic link's.
    Link(Arc<[u8]>),
}

impl Deref for Text<'_> {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Text::Given(text) => text,
            Text::Link(text) => text,
        }
    }
}

/// A component of a path.
pub struct Name<'a> {
    text: Text<'a>,
    start: usize,
    end: usize,
}

impl Deref for Name<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.text[self.start..self.end]
    }
}

/// Where a path leads but for its last component.
pub struct Parent<'a> {
    /// The directory.
    pub dir: Path,
    /// The last component.
    pub name: Last<'a>,
    /// Whether slashes follow it.
    pub slash: bool,
}

/// A walk along a path.
pub struct Walk<'a> {
    /// Where it is.
    pub at: Path,
    /// Where `/` leads.
    root: Path,
    /// What a scoped walk may not leave.
    scope: Option<Path>,
    how: ResolveFlags,
    asker: Asker<'a>,
    /// The text being walked, from `next` on.
    text: Text<'a>,
    next: usize,
    /// What remains to be walked of the texts in which links were met.
    aside: Vec<(Text<'a>, usize)>,
    links_followed: usize,
    /// The moves there had been when a scoped walk began.
    moves: usize,
}

impl<'a> Walk<'a> {
    /// A walk at its start.
    pub fn new(start: Start<'a>, path: &'a [u8]) -> Self {
        let Start { root, base, cred, how, asker: (pid, tid) } = start;
        let scope = how.intersects(SCOPED).then(|| base.clone());
        let root = scope.clone().unwrap_or(root);
        let at = if path.starts_with(b"/") { root.clone() } else { base };
        let moves = if scope.is_some() { rename::moves() } else { 0 };
        let (asker, text) = (Asker { cred, pid, tid }, Text::Given(path));
        Self { at, root, scope, how, asker, text, next: 0, aside: Vec::new(), links_followed: 0, moves }
    }

    /// Whether the walk may begin. `ENOENT` for an empty path, `EXDEV` for an absolute one that must not be, `ENOTDIR` if a
    /// relative one starts at no directory.
    pub fn begin(&self) -> Result<(), Errno> {
        if self.text.is_empty() {
            return Err(Errno::ENOENT);
        }
        if self.how.contains(ResolveFlags::RESOLVE_BENEATH) && self.text.starts_with(b"/") {
            return Err(Errno::EXDEV);
        }
        if self.at.inode().kind == FileKind::Directory { Ok(()) } else { Err(Errno::ENOTDIR) }
    }

    /// Walks to the end. Trailing slashes follow a link and ask for a directory.
    pub fn to_end(&mut self, follow: bool) -> Result<(), Errno> {
        let mut want_dir = false;
        loop {
            let (last, slash) = self.to_last()?;
            want_dir |= slash;
            match last {
                Last::Name(name) => {
                    let dentry = lookup(&self.at, &name)?;
                    if self.step_into(dentry, follow || want_dir)? {
                        continue;
                    }
                }
                Last::DotDot => self.up()?,
                Last::Dot | Last::Root => {}
            }
            if want_dir && self.at.inode().kind != FileKind::Directory {
                return Err(Errno::ENOTDIR);
            }
            return self.check_scope(&self.at);
        }
    }

    /// Walks all but the last component; gives that, and whether slashes follow it.
    pub fn to_last(&mut self) -> Result<(Last<'a>, bool), Errno> {
        loop {
            let Some((start, end)) = self.next_component() else { return Ok((Last::Root, false)) };
            permission::check(self.at.inode(), self.asker.cred, Permission::EXEC)?;
            let rest = skip_slashes(&self.text, end);
            self.next = rest;
            let last = rest == self.text.len() && self.aside.is_empty();
            let name = &self.text[start..end];
            if last {
                let slash = rest > end;
                return Ok(match name {
                    b"." => (Last::Dot, slash),
                    b".." => (Last::DotDot, slash),
                    _ => (Last::Name(Name { text: self.text.clone(), start, end }), slash),
                });
            }
            match name {
                b"." => {}
                b".." => self.up()?,
                _ => {
                    let dentry = lookup(&self.at, name)?;
                    if self.step_into(dentry, true)? {
                        continue;
                    }
                }
            }
            if self.at.inode().kind != FileKind::Directory {
                return Err(Errno::ENOTDIR);
            }
        }
    }

    /// The next component's place in the text; texts put aside are taken up again when this one is done.
    fn next_component(&mut self) -> Option<(usize, usize)> {
        loop {
            let start = skip_slashes(&self.text, self.next);
            if start < self.text.len() {
                let len = self.text[start..].iter().position(|&byte| byte == b'/');
                return Some((start, len.map_or(self.text.len(), |len| start + len)));
            }
            (self.text, self.next) = self.aside.pop()?;
        }
    }

    /// Goes to `dentry`, a child of where the walk is, through mounts on it. If it is a symbolic link to be
    /// followed, its text is walked next and the answer is `true`.
    pub fn step_into(&mut self, dentry: Arc<Dentry>, follow: bool) -> Result<bool, Errno> {
        if dentry.is_mount_point() {
            let there = Path { mount: self.at.mount.clone(), dentry }.topmost();
            if !Arc::ptr_eq(&there.mount, &self.at.mount) {
                self.refuse_crossing()?;
            }
            self.at = there;
            return Ok(false);
        }
        if dentry.inode().kind == FileKind::Symlink && follow {
            self.follow(&dentry)?;
            return Ok(true);
        }
        self.at.dentry = dentry;
        Ok(false)
    }

    /// Starts walking a symbolic link's text, or jumps (`pick_link`). `ELOOP`.
    fn follow(&mut self, link: &Arc<Dentry>) -> Result<(), Errno> {
        self.links_followed += 1;
        if self.links_followed > MAX_SYMLINKS
            || self.how.contains(ResolveFlags::RESOLVE_NO_SYMLINKS)
            || self.at.mount.flags().contains(MountFlags::NOSYMFOLLOW)
        {
            return Err(Errno::ELOOP);
        }
        match link.inode().ops().read_link(link.inode(), &self.asker)? {
            LinkTarget::Text(text) => self.walk_text(text),
            LinkTarget::Place(place) => self.jump(place),
        }
    }

    fn walk_text(&mut self, text: Arc<[u8]>) -> Result<(), Errno> {
        if text.first() == Some(&b'/') {
            if self.how.contains(ResolveFlags::RESOLVE_BENEATH) {
                return Err(Errno::EXDEV);
            }
            if !Arc::ptr_eq(&self.root.mount, &self.at.mount) {
                self.refuse_crossing()?;
            }
            self.at = self.root.clone();
        }
        let outer = core::mem::replace(&mut self.text, Text::Link(text));
        if self.next < outer.len() {
            self.aside.push((outer, self.next));
        }
        self.next = 0;
        Ok(())
    }

    /// Follows a magic link (`nd_jump_link`).
    fn jump(&mut self, place: Path) -> Result<(), Errno> {
        if self.how.contains(ResolveFlags::RESOLVE_NO_MAGICLINKS) {
            return Err(Errno::ELOOP);
        }
        if !Arc::ptr_eq(&place.mount, &self.at.mount) {
            self.refuse_crossing()?;
        }
        if self.how.intersects(SCOPED) {
            return Err(Errno::EXDEV);
        }
        self.at = place;
        // What remains is walked from here; if nothing does, the walk ends here.
        let outer = core::mem::replace(&mut self.text, Text::Given(&[]));
        if self.next < outer.len() {
            self.aside.push((outer, self.next));
            if self.at.inode().kind != FileKind::Directory {
                return Err(Errno::ENOTDIR);
            }
        }
        self.next = 0;
        Ok(())
    }

    /// `..`: up one directory, through the roots of mounts, but never out of the root (`handle_dots`). EAGAIN in a scoped
    /// walk if anything has been moved since it began: the way up may lead past the root.
    pub fn up(&mut self) -> Result<(), Errno> {
        self.follow_dotdot()?;
        let is_unsure = self.scope.is_some() && rename::moves() != self.moves;
        if is_unsure { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    fn follow_dotdot(&mut self) -> Result<(), Errno> {
        loop {
            if self.at.is(&self.root) {
                break;
            }
            if !Arc::ptr_eq(&self.at.dentry, &self.at.mount.root) {
                if let Some(parent) = self.at.dentry.parent() {
                    self.at = Path { mount: self.at.mount.clone(), dentry: parent }.topmost();
                }
                return Ok(());
            }
            let Some(covered) = self.at.mount.covers() else { break };
            self.refuse_crossing()?;
            self.at = covered;
        }
        if self.how.contains(ResolveFlags::RESOLVE_BENEATH) { Err(Errno::EXDEV) } else { Ok(()) }
    }

    fn refuse_crossing(&self) -> Result<(), Errno> {
        if self.how.contains(ResolveFlags::RESOLVE_NO_XDEV) { Err(Errno::EXDEV) } else { Ok(()) }
    }

    /// Whether a scoped walk is still inside: a directory may have been moved out meanwhile (`complete_walk`).
    pub fn check_scope(&self, at: &Path) -> Result<(), Errno> {
        match &self.scope {
            Some(scope) if !at.is_under(scope) => Err(Errno::EXDEV),
            _ => Ok(()),
        }
    }
}

fn skip_slashes(text: &[u8], from: usize) -> usize {
    from + text[from..].iter().take_while(|&&byte| byte == b'/').count()
}

/// The entry `name` of the directory. `ENAMETOOLONG`, `ENOENT`.
#[inline]
pub fn lookup(dir: &Path, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
    match dir.dentry.child(name) {
        Some(child) if dir.mount.fs().names_resident => Ok(child),
        found => lookup_slow(dir, name, found),
    }
}

/// Asks the file system, if not all its names are in the tree.
#[inline(never)]
fn lookup_slow(dir: &Path, name: &[u8], found: Option<Arc<Dentry>>) -> Result<Arc<Dentry>, Errno> {
    if let Some(child) = found.filter(|child| child.inode().ops().still_valid(child.inode())) {
        return Ok(child);
    }
    if name.len() > NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if dir.mount.fs().names_resident {
        return Err(Errno::ENOENT);
    }
    let inode = dir.inode().ops().lookup(dir.inode(), name)?;
    Ok(Dentry::detached(&dir.dentry, name, inode))
}
