//! What the handlers of the file families share: paths, directory descriptors, limits, whom to signal.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Deref;

use abi::Errno;
use abi::fcntl::{AT_FDCWD, PATH_MAX};

use super::Cx;
use crate::fs::resolve::{Asker, Parent, Start};
use crate::fs::{Caller, Cred, File, Path, SizeLimit};
use crate::mem::UserStr;
use crate::process::limits::Resource;
use crate::process::{Process, Thread};
use crate::signal::Signal;

/// Paths up to this length are kept on the stack.
const SHORT_BYTES: usize = 120;

/// A path name a user gave, copied.
pub struct PathName {
    short: [u8; SHORT_BYTES],
    len: usize,
    long: Vec<u8>,
}

impl PathName {
    /// Copies the path in (`getname`). `EFAULT`, `ENAMETOOLONG`; `ENOENT` for an empty one.
    pub fn read(from: UserStr) -> Result<Self, Errno> {
        let name = Self::read_or_empty(from)?;
        if name.is_empty() { Err(Errno::ENOENT) } else { Ok(name) }
    }

    /// Copies the path in; it may be empty, as with `AT_EMPTY_PATH`.
    pub fn read_or_empty(from: UserStr) -> Result<Self, Errno> {
        let mut name = Self::EMPTY;
        name.fill(from)?;
        Ok(name)
    }

    /// No path yet: [`Self::fill`] copies it to where it stays, for the calls made most often.
    pub const EMPTY: Self = Self { short: [0; SHORT_BYTES], len: 0, long: Vec::new() };

    /// Copies the path in; it may be empty. `EFAULT`, `ENAMETOOLONG`.
    pub fn fill(&mut self, from: UserStr) -> Result<(), Errno> {
        match from.read_into(&mut self.short)?.map(<[u8]>::len) {
            Some(len) => self.len = len,
            None => self.long = from.read(PATH_MAX, Errno::ENAMETOOLONG)?,
        }
        Ok(())
    }
}

impl Deref for PathName {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        if self.long.is_empty() { &self.short[..self.len] } else { &self.long }
    }
}

impl Cx<'_> {
    /// The open file of `fd`. `EBADF`, also for `O_PATH` ones.
    #[inline]
    pub fn file(&self, fd: i32) -> Result<Arc<File>, Errno> {
        self.private.files.get(fd)
    }

    /// Where a path given with `dirfd` starts. `EBADF`. An absolute path looks at no descriptor.
    pub fn start<'a>(&self, dirfd: i32, path: &[u8], cred: &'a Cred) -> Result<Start<'a>, Errno> {
        if dirfd == AT_FDCWD || path.first() == Some(&b'/') {
            return Ok(Start::at_cwd(&self.private.fs, cred).asked_by(self.process().pid, self.thread.tid()));
        }
        let base = self.private.files.get_any(dirfd)?.path().clone();
        Ok(Start::at(&self.private.fs, base, cred).asked_by(self.process().pid, self.thread.tid()))
    }

    /// The caller, as links of /proc want to know it.
    pub fn asker(&self) -> Asker<'_> {
        Asker { cred: &self.private.cred, pid: self.process().pid, tid: self.thread.tid() }
    }

    /// The place `path` names from `dirfd`.
    pub fn resolve(&self, dirfd: i32, path: &[u8], follow: bool) -> Result<Path, Errno> {
        self.start(dirfd, path, &self.private.cred)?.resolve(path, follow)
    }

    /// As [`Self::resolve`]; an empty path is the place of `dirfd` itself if `empty_ok`, else `ENOENT`.
    pub fn resolve_or_self(&self, dirfd: i32, path: &[u8], follow: bool, empty_ok: bool) -> Result<Path, Errno> {
        if !path.is_empty() {
            return self.resolve(dirfd, path, follow);
        }
        match (empty_ok, dirfd) {
            (false, _) => Err(Errno::ENOENT),
            (true, AT_FDCWD) => Ok(self.private.fs.cwd()),
            (true, fd) => Ok(self.private.files.get_any(fd)?.path().clone()),
        }
    }

    /// The directory and last component `path` names from `dirfd`.
    pub fn resolve_parent<'a>(&'a self, dirfd: i32, path: &'a [u8]) -> Result<Parent<'a>, Errno> {
        self.start(dirfd, path, &self.private.cred)?.resolve_parent(path)
    }

    /// The soft limit on a resource.
    pub fn limit(&self, resource: Resource) -> u64 {
        self.process().limits.lock().get(resource).soft
    }

    /// The file size limit, for a write to come.
    pub fn size_limit(&self) -> SizeLimit {
        SizeLimit::new(self.limit(Resource::FileSize))
    }

    /// Gives `file` the lowest free descriptor. `EMFILE`.
    pub fn install(&self, file: Arc<File>, close_on_exec: bool) -> Result<usize, Errno> {
        let fd = self.private.files.install(file, close_on_exec, self.limit(Resource::Files))?;
        Ok(fd.unsigned_abs() as usize)
    }

    /// Whether there is a descriptor left. `EMFILE`.
    pub fn check_room(&self) -> Result<(), Errno> {
        self.private.files.check_room(self.limit(Resource::Files))
    }

    /// Sends the calling thread the signal that goes with an error: SIGPIPE, SIGXFSZ.
    pub fn raise(&self, signal: Signal) {
        self.thread.signal_self(signal);
    }

    /// The caller, as terminals and other objects want to know it.
    pub fn caller(&self) -> ThreadCaller {
        ThreadCaller { thread: self.thread.clone(), cred: self.private.cred.clone() }
    }
}

/// The calling thread as a [`Caller`].
pub struct ThreadCaller {
    thread: Arc<Thread>,
    cred: Arc<Cred>,
}

impl ThreadCaller {
    /// Its process.
    pub fn process(&self) -> &Arc<Process> {
        &self.thread.process
    }
}

impl Caller for ThreadCaller {
    fn pid(&self) -> u32 {
        self.thread.process.pid.unsigned_abs()
    }

    fn process_group(&self) -> u32 {
        self.thread.process.group().id.unsigned_abs()
    }

    fn session(&self) -> u32 {
        self.thread.process.session().id.unsigned_abs()
    }

    fn cred(&self) -> &Arc<Cred> {
        &self.cred
    }

    fn ignores(&self, signal: Signal) -> bool {
        let process = &self.thread.process;
        self.thread.signals.blocked().contains(signal) || process.signals.actions().get(signal).ignores_explicitly()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
