//! The first processes: the root file system from the initrd, and the program that is to run in it.
//!
//! Two ways (`docs/host-protocol.md`). If the initrd says which program to run (`/.rustos/exec`, the way of `just run`),
//! that is pid 2 under the kernel's own init task, and the machine ends when it ends. Otherwise a program named by
//! `init=`, or found where Linux looks for it, is pid 1.

use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};

use abi::Errno;

use super::CommandLine;
use crate::arch;
use crate::dev::{stdio, tty};
use crate::fs::create::{make, ownership};
use crate::fs::later::complete;
use crate::fs::open::{OpenRequest, open};
use crate::fs::resolve::{Start, lookup};
use crate::fs::{
    Cred, FdTable, File, FileKind, FsContext, OpenFlags, Path, SliceSink, devfs, initramfs, mounting, p9, pseudo, tmpfs,
};
use crate::mem::aslr::Layout;
use crate::process::image::Strings;
use crate::process::limits::Limits;
use crate::process::{PidTable, Process, oom, owner, terminal};
use crate::procfs;
use crate::signal::ExitStatus;
use crate::sync::executor;
use crate::thread::exec::{FirstProcess, start_process};
use crate::thread::exec_file::{self, Execution};
use crate::thread::init;

/// Where Linux looks for init (`kernel_init()`).
const INIT_PATHS: [&[u8]; 5] = [b"/init", b"/sbin/init", b"/etc/init", b"/bin/init", b"/bin/sh"];
/// Command line words that are for the kernel and not for init's environment.
const KERNEL_WORDS: [&str; 4] = ["quiet", "loglevel", "init", "console"];
/// Descriptors a first process starts with.
const STANDARD_DESCRIPTORS: usize = 3;

/// What to run, and how.
struct Job {
    path: Vec<u8>,
    arguments: Strings,
    environment: Strings,
    cwd: Vec<u8>,
}

/// Unpacks the initrd and starts the first process. What goes wrong before there is one ends the machine.
pub(super) fn start(command_line: CommandLine, initrd: &'static [u8]) {
    let root = make_root(initrd).unwrap_or_else(|error| panic!("no root file system: {error:?}"));
    let context = FsContext::new(root);
    let table = PidTable::new();
    terminal::install(&table);
    owner::install(&table);
    procfs::install(&table);
    mount_proc(&context).unwrap_or_else(|error| log::warn!("no /proc: {error:?}"));
    oom::install(&table);
    if command_line.get("rustos.share").is_none() {
        return run_first(context, table, &command_line);
    }
    let task = async move {
        let path = command_line.get("rustos.share").unwrap_or_default();
        let mounted = complete(|| mount_share(&context, path)).await;
        mounted.unwrap_or_else(|error| panic!("cannot mount the shared folder on {path}: {error:?}"));
        run_first(context, table, &command_line);
    };
    executor::spawn(Arc::new(runtime::TaskParams::default()), task);
}

/// Starts the first process; the machine ends with it.
fn run_first(context: Arc<FsContext>, table: Arc<PidTable>, command_line: &CommandLine) {
    let (job, parent) = match requested_job(&context) {
        Ok(job) => {
            let init = init::start(&table).unwrap_or_else(|error| panic!("no init task: {error:?}"));
            (job, Some(init))
        }
        Err(_) => (init_job(&context, command_line), None),
    };
    let started = launch(&job, context, table.clone(), parent, command_line);
    let process = started.unwrap_or_else(|error| panic!("cannot run {}: {error:?}", job.path.escape_ascii()));
    if process.pid == 1 {
        table.set_init(process.clone());
        process.signals.set_unkillable();
    }
    executor::spawn(Arc::new(runtime::TaskParams::default()), end_with(process));
}

/// Ends the machine as soon as `process` has ended.
async fn end_with(process: Arc<Process>) {
    let status = process.ended.wait_until(|| process.end_status()).await;
    report(status);
    arch::power_off()
}

/// Tells the host tool how the program ended.
fn report(status: ExitStatus) {
    let word = status.0;
    let line = match word & 0x7f {
        0 => format!("\x01X exit {}\n", word >> 8 & 0xff),
        signal => format!("\x01X signal {signal}\n"),
    };
    arch::log_write(line.as_bytes());
}

/// A tmpfs with the initrd's files, /dev and /tmp.
fn make_root(initrd: &'static [u8]) -> Result<Path, Errno> {
    let half = Some(crate::mem::frame::total() as u64 / 2);
    let options = tmpfs::Options { mode: 0o755, pages: half, inodes: half, ..tmpfs::Options::default() };
    let root = mounting::mount_root(tmpfs::new("rootfs", &options)?, b"rootfs");
    if let Err(error) = initramfs::unpack(&root, initrd) {
        log::error!("initramfs unpacking failed: {error:?}");
    }
    mounting::put(devfs::instance()?, b"devtmpfs", directory(&root, b"dev", 0o755)?)?;
    directory(&root, b"tmp", 0o1777)?;
    let dev = directory(&root, b"dev", 0o755)?.topmost();
    mounting::put(tty::devpts::instance()?, b"devpts", directory(&dev, b"pts", 0o755)?)?;
    Ok(root)
}

/// Mounts /proc, for a program that has no init to do it.
fn mount_proc(context: &FsContext) -> Result<(), Errno> {
    mounting::put(procfs::instance()?, b"proc", directory(&context.root(), b"proc", 0o555)?)
}

/// Mounts the host tool's folder on `path`, whose folders are made as needed.
fn mount_share(context: &FsContext, path: &str) -> Result<(), Errno> {
    const TAG: &[u8] = b"host";
    let instance = p9::open(TAG, b"", &Cred::root())?;
    let mut place = context.root();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        place = directory(&place, name.as_bytes(), 0o755)?.topmost();
    }
    mounting::put(instance, TAG, place)
}

/// The directory `name` in `parent`, made if it is not there.
fn directory(parent: &Path, name: &[u8], mode: u16) -> Result<Path, Errno> {
    let cred = Cred::root();
    let dentry = match lookup(parent, name) {
        Ok(dentry) => dentry,
        Err(Errno::ENOENT) => make(parent, name, &cred, &ownership(parent.inode(), &cred, FileKind::Directory, mode))?,
        Err(error) => return Err(error),
    };
    Ok(Path { mount: parent.mount.clone(), dentry })
}

/// The program the initrd asks for. Its request is taken away.
fn requested_job(context: &FsContext) -> Result<Job, Errno> {
    let path = read_whole(context, b"/.rustos/exec")?;
    let strings = |name: &[u8]| -> Result<Strings, Errno> {
        let mut strings = Strings::default();
        for string in read_whole(context, name)?.split_inclusive(|byte| *byte == 0) {
            strings.push(string.strip_suffix(&[0]).unwrap_or(string))?;
        }
        Ok(strings)
    };
    let job = Job {
        path,
        arguments: strings(b"/.rustos/argv")?,
        environment: strings(b"/.rustos/env")?,
        cwd: read_whole(context, b"/.rustos/cwd")?,
    };
    let request = lookup(&context.root(), b".rustos")?;
    let removed = context.root().dentry.children().remove(b".rustos");
    request.dismantle();
    drop(removed);
    Ok(job)
}

/// Init as Linux would start it: named by `init=` or found, with the command line's rest as arguments.
fn init_job(context: &FsContext, command_line: &CommandLine) -> Job {
    let cred = Cred::root();
    let exists = |path: &[u8]| Start::at_cwd(context, &cred).resolve(path, true).is_ok();
    let found = INIT_PATHS.iter().find(|path| exists(path));
    let path = match command_line.get("init") {
        Some(path) => path.as_bytes().to_vec(),
        None => found.unwrap_or_else(|| panic!("no init found: give init= or a file system with /init")).to_vec(),
    };
    let (mut arguments, mut environment) = (Strings::default(), Strings::default());
    let words = command_line.arguments.iter().map(|word| word.as_bytes());
    let variables: Vec<_> = command_line.environment(&KERNEL_WORDS).collect();
    let defaults = ["HOME=/", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
    let has_term = variables.iter().any(|variable| variable.starts_with("TERM="));
    let term = (!has_term).then_some("TERM=linux");
    let pushed =
        core::iter::once(path.as_slice()).chain(words).try_for_each(|word| arguments.push(word)).and_then(|()| {
            let all = defaults.into_iter().chain(term).chain(variables.iter().map(|variable| variable.as_str()));
            all.map(str::as_bytes).try_for_each(|variable| environment.push(variable))
        });
    pushed.unwrap_or_else(|error| panic!("the command line does not fit: {error:?}"));
    Job { path, arguments, environment, cwd: vec![b'/'] }
}

fn read_whole(context: &FsContext, path: &[u8]) -> Result<Vec<u8>, Errno> {
    let file = open_file(context, path, OpenFlags::empty())?;
    let len = file.ops().size_bytes(&file) as usize;
    let mut bytes = vec![0; len];
    let mut sink = SliceSink::new(&mut bytes);
    file.ops().try_read(&file, &mut sink, 0)?;
    Ok(bytes)
}

fn open_file(context: &FsContext, path: &[u8], flags: OpenFlags) -> Result<Arc<File>, Errno> {
    let cred = Arc::new(Cred::root());
    let request = OpenRequest::from_open(flags.bits(), 0)?;
    open(Start::at_cwd(context, &cred), path, &request, 0, &cred)
}

fn launch(
    job: &Job,
    context: Arc<FsContext>,
    table: Arc<PidTable>,
    parent: Option<Arc<Process>>,
    command_line: &CommandLine,
) -> Result<Arc<Process>, Errno> {
    let cred = Arc::new(Cred::root());
    let limits = Limits::default();
    let file = exec_file::open(Start::at_cwd(&context, &cred), &job.path, true)?;
    let execution = Execution {
        fs: &context,
        asker: (0, 0),
        cred: &cred,
        no_new_privs: false,
        limits: &limits,
        name: &job.path,
        name_is_void: false,
        arguments: job.arguments.clone(),
        environment: &job.environment,
        layout: Layout::Random,
    };
    let prepared = exec_file::load(file, execution)?;
    if let Ok(cwd) = Start::at_cwd(&context, &cred).resolve(&job.cwd, true) {
        context.set_cwd(cwd);
    }
    let files = standard_files(&context, &cred, command_line)?;
    start_process(FirstProcess { table, parent, files, fs: context, limits }, prepared)
}

/// Descriptors 0, 1 and 2, as `rustos.stdio=` says: the console, or the host tool's pipes.
fn standard_files(context: &FsContext, cred: &Arc<Cred>, command_line: &CommandLine) -> Result<Arc<FdTable>, Errno> {
    let files = FdTable::new();
    let mut kinds = command_line.get("rustos.stdio").unwrap_or("").split(',');
    for descriptor in 0..STANDARD_DESCRIPTORS {
        let file = match kinds.next() {
            Some("pipe") => {
                let flags = if descriptor == 0 { OpenFlags::empty() } else { OpenFlags::O_WRONLY };
                let place = pseudo::pipe_place(cred, stdio::reopener(descriptor));
                File::new(stdio::standard(descriptor), place, flags, cred.clone())
            }
            _ => console_file(context, cred)?,
        };
        files.install(file, false, STANDARD_DESCRIPTORS as u64)?;
    }
    Ok(files)
}

fn console_file(context: &FsContext, cred: &Arc<Cred>) -> Result<Arc<File>, Errno> {
    let place = Start::at(context, context.root(), cred).resolve(b"/dev/console", true)?;
    Ok(File::new(tty::console::open_console(), place, OpenFlags::O_RDWR, cred.clone()))
}
