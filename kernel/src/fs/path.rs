//! [`Path`]: a place in the tree: a mount and a dentry of its file system.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Dentry, Inode, Mount, mount};

/// A place in the tree (`struct path`).
#[derive(Clone)]
pub struct Path {
    /// Through which mount.
    pub mount: Arc<Mount>,
    /// Which dentry.
    pub dentry: Arc<Dentry>,
}

impl Path {
    /// What is there.
    #[inline]
    pub fn inode(&self) -> &Arc<Inode> {
        self.dentry.inode()
    }

    /// Whether both are the same place.
    #[inline]
    pub fn is(&self, other: &Path) -> bool {
        Arc::ptr_eq(&self.dentry, &other.dentry) && Arc::ptr_eq(&self.mount, &other.mount)
    }
    /// The root of whatever is mounted here, mounts upon mounts included; else the place itself.
    pub fn topmost(self) -> Path {
        let mut at = self;
        while at.dentry.is_mount_point() {
            let Some(mount) = mount::mounted_on(&at) else { break };
            at = mount.root_path();
        }
        at
    }

    /// Keeps the dentry in its directory's tree, so that walks find it (and a mount on it) again, in file systems whose
    /// names do not all live there.
    pub fn pin(&self) {
        if self.mount.fs().names_resident {
            return;
        }
        if let Some(parent) = self.dentry.parent() {
            let mut children = parent.children();
            if children.get(&self.dentry.name()).is_none() {
                children.insert(self.dentry.clone());
            }
        }
    }

    /// Whether this is `top` or lies below it, through mounts.
    pub fn is_under(&self, top: &Path) -> bool {
        let mut at = self.clone();
        loop {
            if at.is(top) {
                return true;
            }
            match at.step_up() {
                Some(up) => at = up,
                None => return false,
            }
        }
    }

    /// The place one name higher: the parent, or what the mount covers. `None` at the top.
    fn step_up(&self) -> Option<Path> {
        if Arc::ptr_eq(&self.dentry, &self.mount.root) {
            return self.mount.covers();
        }
        Some(Path { mount: self.mount.clone(), dentry: self.dentry.parent()? })
    }

    /// The path name as seen from `root`, and whether `root` was reached (`d_path`, `getcwd(2)`).
    pub fn name_from(&self, root: &Path) -> (Vec<u8>, bool) {
        let mut names: Vec<Arc<[u8]>> = Vec::new();
        let mut at = self.clone();
        let reached = loop {
            if at.is(root) {
                break true;
            }
            if Arc::ptr_eq(&at.dentry, &at.mount.root) {
                match at.mount.covers() {
                    Some(covered) => at = covered,
                    None => break false,
                }
                continue;
            }
            let (parent, name) = at.dentry.place();
            names.push(name);
            match parent {
                Some(parent) => at.dentry = parent,
                None => return (names.pop().map_or_else(Vec::new, |name| name.to_vec()), false),
            }
        };
        let mut text = Vec::new();
        for name in names.iter().rev() {
            text.push(b'/');
            text.extend_from_slice(name);
        }
        if text.is_empty() {
            text.push(b'/');
        }
        (text, reached)
    }

    /// As /proc shows it to everybody: the name from the top of the namespace.
    pub fn display(&self) -> Vec<u8> {
        match mount::top() {
            Some(top) => self.display_from(&top),
            None => self.dentry.name().to_vec(),
        }
    }

    /// As /proc shows it: the name from `root`, ` (deleted)` after one that is gone.
    pub fn display_from(&self, root: &Path) -> Vec<u8> {
        let (mut text, _) = self.name_from(root);
        if self.dentry.is_unlinked() {
            text.extend_from_slice(b" (deleted)");
        }
        text
    }
}
