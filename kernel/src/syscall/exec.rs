//! execve(2), execveat(2).

use abi::Errno;
use abi::fcntl::AtFlags;
use abi::prctl::ADDR_NO_RANDOMIZE;
use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::args::{Flags, Pointer};
use super::{Cx, SyscallResult};
use crate::fs::open::is_cwd;
use crate::fs::resolve::Start;
use crate::mem::aslr::Layout;
use crate::mem::{UserIn, UserStr};
use crate::process::image::{MAX_STRING_BYTES, Strings, argument_limit_bytes};
use crate::process::limits::Resource;
use crate::thread::exec;
use crate::thread::exec_file::{self, Execution};

/// The longest path, its NUL included.
const PATH_MAX: usize = 4096;
/// `fcntl(AT_FDCWD)` as a register has it.
const AT_FDCWD: i32 = abi::fcntl::AT_FDCWD;

/// execve(2). Waits until the process's other threads are gone. Errors: E2BIG, EACCES, EAGAIN, EFAULT, EINVAL, EIO, EISDIR,
/// ELIBBAD, ELOOP, ENAMETOOLONG, ENOENT, ENOEXEC, ENOMEM, ENOTDIR, ETXTBSY. Order: `do_execveat_common()`: arguments come
/// before the file.
pub async fn sys_execve(cx: &mut Cx<'_>, path: UserStr, arguments: Pointer, environment: Pointer) -> SyscallResult {
    execute(cx, AT_FDCWD, path, arguments, environment, 0).await
}

/// execveat(2). As execve; also EBADF, and EINVAL for unknown flags.
pub async fn sys_execveat(
    cx: &mut Cx<'_>,
    dirfd: i32,
    path: UserStr,
    arguments: Pointer,
    environment: Pointer,
    flags: Flags,
) -> SyscallResult {
    execute(cx, dirfd, path, arguments, environment, flags.0).await
}

async fn execute(
    cx: &mut Cx<'_>,
    dirfd: i32,
    path: UserStr,
    arguments: Pointer,
    environment: Pointer,
    flags: u32,
) -> SyscallResult {
    let new = prepare(cx, dirfd, path, arguments, environment, flags)?;
    exec::replace(cx.thread, cx.private, new).await?;
    Ok(0)
}

/// Everything that can fail.
fn prepare(
    cx: &mut Cx<'_>,
    dirfd: i32,
    path: UserStr,
    arguments: Pointer,
    environment: Pointer,
    flags: u32,
) -> Result<exec::Prepared, Errno> {
    let known = AtFlags::AT_EMPTY_PATH | AtFlags::AT_SYMLINK_NOFOLLOW;
    let at = AtFlags::from_bits_retain(flags);
    let path = path.read(PATH_MAX, Errno::ENAMETOOLONG)?;
    if path.is_empty() && !at.contains(AtFlags::AT_EMPTY_PATH) {
        return Err(Errno::ENOENT);
    }
    let limits = *cx.process().limits.lock();
    let mut budget = Budget { left: argument_limit_bytes(limits.get(Resource::Stack).soft) };
    let (count, environment_count) = (budget.count(arguments.0)?, budget.count(environment.0)?);
    budget.spend(path.len() as u64 + 1)?;
    let environment = budget.read(environment.0, environment_count)?;
    let mut arguments = budget.read(arguments.0, count)?;
    if count == 0 {
        arguments.push(b"")?;
    }
    if !known.contains(at) {
        return Err(Errno::EINVAL);
    }
    let (fs, cred) = (cx.private.fs.clone(), cx.private.cred.clone());
    let relative = !is_cwd(dirfd) && path.first() != Some(&b'/');
    let file = if path.is_empty() {
        let path = if relative { cx.private.files.get_any(dirfd)?.path().clone() } else { fs.cwd() };
        exec_file::open_at(path, &cred)?
    } else {
        let start = match relative {
            true => Start::at(&fs, cx.private.files.get_any(dirfd)?.path().clone(), &cred),
            false => Start::at_cwd(&fs, &cred),
        };
        let start = start.asked_by(cx.process().pid, cx.thread.tid());
        exec_file::open(start, &path, !at.contains(AtFlags::AT_SYMLINK_NOFOLLOW))?
    };
    let name = match (relative, path.is_empty()) {
        (false, _) => path,
        (true, true) => format!("/dev/fd/{dirfd}").into_bytes(),
        (true, false) => [format!("/dev/fd/{dirfd}/").as_bytes(), &path].concat(),
    };
    let name_is_void = relative && cx.private.files.is_close_on_exec(dirfd)?;
    let execution = Execution {
        fs: &fs,
        asker: (cx.process().pid, cx.thread.tid()),
        cred: &cred,
        no_new_privs: cx.thread.no_new_privs.load(Ordering::Relaxed) || !cx.thread.tracing.is_privileged(),
        limits: &limits,
        name: &name,
        name_is_void,
        arguments,
        environment: &environment,
        layout: match cx.thread.personality.load(Ordering::Relaxed) & ADDR_NO_RANDOMIZE {
            0 => Layout::Random,
            _ => Layout::Fixed,
        },
    };
    exec_file::load(file, execution)
}

/// How many bytes arguments and environment may still take.
struct Budget {
    left: u64,
}

impl Budget {
    fn spend(&mut self, bytes: u64) -> Result<(), Errno> {
        self.left = self.left.checked_sub(bytes).ok_or(Errno::E2BIG)?;
        Ok(())
    }

    /// How many pointers there are before the null one; a null array has none. Errors: EFAULT, E2BIG.
    fn count(&mut self, array: u64) -> Result<u64, Errno> {
        let mut count = 0;
        while array != 0 && UserIn::<u64>::new(array).element(count).read()? != 0 {
            self.spend(size_of::<u64>() as u64)?;
            count += 1;
        }
        Ok(count)
    }

    /// The strings of an array. Errors: EFAULT, E2BIG, ENOMEM.
    fn read(&mut self, array: u64, count: u64) -> Result<Strings, Errno> {
        let mut strings = Strings::default();
        for index in 0..count {
            let address = UserIn::<u64>::new(array).element(index).read()?;
            let string: Vec<u8> = UserStr::new(address).read(MAX_STRING_BYTES, Errno::E2BIG)?;
            self.spend(string.len() as u64 + 1)?;
            strings.push(&string)?;
        }
        Ok(strings)
    }
}
