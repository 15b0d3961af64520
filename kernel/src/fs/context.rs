//! [`FsContext`]: where a process stands: root, working directory, umask. Shared by `CLONE_FS`, copied by fork.

use alloc::sync::Arc;

use super::Path;
use crate::sync::{Rank, SpinLock};

#[derive(Clone)]
struct State {
    root: Path,
    cwd: Path,
    umask: u16,
}

/// `struct fs_struct`.
pub struct FsContext {
    state: SpinLock<State>,
}

impl FsContext {
    /// A context standing at `root`, with umask 022.
    pub fn new(root: Path) -> Arc<Self> {
        Self::with(State { cwd: root.clone(), root, umask: 0o022 })
    }

    fn with(state: State) -> Arc<Self> {
        Arc::new(Self { state: SpinLock::new(Rank::FsContext, state) })
    }

    /// A copy that goes its own way: what fork(2) gives the child.
    pub fn fork(&self) -> Arc<Self> {
        let copy = self.state.lock().clone();
        Self::with(copy)
    }

    /// The root directory.
    pub fn root(&self) -> Path {
        self.state.lock().root.clone()
    }

    /// The working directory.
    pub fn cwd(&self) -> Path {
        self.state.lock().cwd.clone()
    }

    /// Both, as they are together at one moment.
    pub fn root_and_cwd(&self) -> (Path, Path) {
        let state = self.state.lock();
        (state.root.clone(), state.cwd.clone())
    }

    /// The umask.
    pub fn umask(&self) -> u16 {
        self.state.lock().umask
    }

    /// Sets the root directory (chroot(2)).
    pub fn set_root(&self, root: Path) {
        let old = core::mem::replace(&mut self.state.lock().root, root);
        drop(old);
    }

    /// Sets the working directory (chdir(2)).
    pub fn set_cwd(&self, cwd: Path) {
        let old = core::mem::replace(&mut self.state.lock().cwd, cwd);
        drop(old);
    }

    /// Sets the umask and returns the old one (umask(2)).
    pub fn set_umask(&self, umask: u16) -> u16 {
        core::mem::replace(&mut self.state.lock().umask, umask & 0o777)
    }
}
