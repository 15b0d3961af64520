//! Dumping core (core(5), `fs/coredump.c`): a signal that ends a process so may leave an image of it in a file.
//!
//! The thread that took the signal tells the others to end. Each of them, on its way out, leaves its registers in the
//! process's [`Dump`] and waits; when all have, the file is written, and everybody goes on to the end.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::uio::RwFlags;

use super::trace;
use super::{Private, Thread};
use crate::fs::attributes::truncate_file;
use crate::fs::open::{OpenRequest, open};
use crate::fs::remove::unlink;
use crate::fs::resolve::Start;
use crate::fs::{At, File, FileKind, OpenFlags, SizeLimit, SliceSource};
use crate::mem::space::MapsLine;
use crate::mem::{AddressSpace, PAGE_SIZE, VmFlags};
use crate::process::core_file::{self, Segment, ThreadState};
use crate::process::core_pattern::{self, Names};
use crate::process::dump::Dump;
use crate::process::limits::Resource;
use crate::signal::{ExitStatus, Info, Signal};
use crate::time::clock;

/// Below this limit nothing is dumped (`min_coredump`).
const MIN_BYTES: u64 = PAGE_SIZE;

/// A signal ends the process that would leave a core: dumps it, if it is to be dumped. Gives what the process ends with.
pub async fn die(thread: &Arc<Thread>, private: &mut Private, info: Info) -> ExitStatus {
    let process = &thread.process;
    let signal = info.signal().unwrap_or(Signal::KILL);
    let killed = ExitStatus::killed(signal);
    let limit = process.limits.lock().get(Resource::Core).soft;
    if limit < MIN_BYTES || process.dumpable.load(Ordering::Relaxed) != 1 {
        return process.signals.begin_exit(killed);
    }
    let dump = process.begin_dump();
    let decided = process.signals.begin_exit(killed);
    let Some(dump) = dump else { return decided };
    if decided != killed {
        // Something else ends the process.
        dump.finish();
        return decided;
    }
    dump.leave(state(thread, private));
    process.thread_left.wait_until(|| process.is_left_to(thread).then_some(())).await;
    let is_dumped = write(thread, private, &info, &dump, limit).is_ok();
    dump.finish();
    if is_dumped { process.signals.note_dump().unwrap_or(killed) } else { killed }
}

/// On a thread's way to its end while its process dumps core: waits until that is done.
pub async fn join(thread: &Arc<Thread>, private: &Private, dump: Arc<Dump>) {
    dump.leave(state(thread, private));
    thread.leave_dump();
    dump.finished().await;
}

fn state(thread: &Arc<Thread>, private: &Private) -> ThreadState {
    let registers = trace::final_registers(thread, private);
    ThreadState { thread: thread.clone(), registers, xstate: private.live.save_xstate() }
}

/// Writes the file. Errors: whatever keeps it from being opened.
fn write(thread: &Arc<Thread>, private: &Private, info: &Info, dump: &Dump, limit: u64) -> Result<(), Errno> {
    let file = open_core(thread, private, info, limit)?;
    let space = &private.space;
    let maps = space.maps();
    let mut threads = dump.take_states();
    if let Some(own) = threads.iter().position(|state| Arc::ptr_eq(&state.thread, thread)) {
        threads.swap(0, own);
    }
    let arguments = thread.process.program().arguments;
    let mut line = alloc::vec![0; (arguments.end - arguments.start).min(PAGE_SIZE) as usize];
    let read = space.read_remote(arguments.start, &mut line);
    let notes = core_file::notes(&threads, info, &maps, &line[..read]);
    let filter = thread.process.core_filter.load(Ordering::Relaxed);
    let segments: Vec<Segment> = maps.into_iter().map(|line| segment(space, line, filter)).collect();
    let mut core = Core { file: &file, at: 0, limit };
    // A core that its limit or its disk cuts short is one nevertheless.
    let _ = core.write(space, &segments, &notes);
    Ok(())
}

fn segment(space: &AddressSpace, line: MapsLine, filter: u32) -> Segment {
    let is_unlinked = line.identity.as_ref().is_none_or(|identity| is_unlinked(&identity.path));
    let start = line.range.start;
    let starts_as_elf = || {
        let mut magic = [0; 4];
        space.read_remote(start, &mut magic) == magic.len() && magic == *b"\x7fELF"
    };
    let dumped_bytes = core_file::dumped_bytes(&line, filter, is_unlinked, starts_as_elf);
    Segment { line, dumped_bytes }
}

/// Shared memory without a name of its own: `/dev/zero`'s, System V's, a file that has been removed.
fn is_unlinked(path: &str) -> bool {
    path.is_empty() || path.ends_with(" (deleted)") || path.starts_with("/SYSV")
}

/// Makes the file, in place of what goes by its name; if that cannot be removed it has to be a regular one of the caller's
/// own (`do_coredump()`).
fn open_core(thread: &Arc<Thread>, private: &Private, info: &Info, limit: u64) -> Result<Arc<File>, Errno> {
    let cred = &private.cred;
    let names = thread.uts().names();
    let host = names.nodename.split(|&byte| byte == 0).next().unwrap_or_default();
    let comm = thread.comm();
    let program = thread.process.program().exe.map(|exe| exe.path().display()).unwrap_or_default();
    let name = core_pattern::file_name(&Names {
        pid: thread.process.pid,
        tid: thread.tid(),
        uid: cred.uid,
        gid: cred.gid,
        dumpable: 1,
        signal: info.signo,
        time_s: clock::realtime_ns() / 1_000_000_000,
        limit,
        host,
        comm: comm.split(|&byte| byte == 0).next().unwrap_or_default(),
        program: &program,
    });
    let flags = OpenFlags::O_CREAT | OpenFlags::O_RDWR | OpenFlags::O_NOFOLLOW | OpenFlags::O_LARGEFILE;
    let request = OpenRequest::from_open(flags.bits(), 0o600)?;
    let name = name.ok_or(Errno::ENOENT)?;
    if let Ok(place) = Start::at_cwd(&private.fs, cred).resolve_parent(&name) {
        // Whatever is wrong with it is found by the open.
        let _ = unlink(place, cred);
    }
    let file = open(Start::at_cwd(&private.fs, cred), &name, &request, private.fs.umask(), cred)?;
    let attributes = file.inode().attributes();
    if file.inode().kind != FileKind::Regular || attributes.links != 1 || attributes.uid != cred.fsuid {
        return Err(Errno::EPERM);
    }
    truncate_file(&file, 0, cred, &mut SizeLimit::none())?;
    Ok(file)
}

/// A core file being written.
struct Core<'a> {
    file: &'a File,
    at: u64,
    limit: u64,
}

impl Core<'_> {
    fn write(&mut self, space: &AddressSpace, segments: &[Segment], notes: &[u8]) -> Result<(), Errno> {
        self.put(&core_file::head(segments, notes))?;
        for segment in segments {
            self.put_memory(space, segment)?;
        }
        // Pages left out at the very end belong to the file as well.
        truncate_file(self.file, self.at.min(self.limit), self.file.cred(), &mut SizeLimit::none())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let mut done = 0;
        while done < bytes.len() {
            let mut source = SliceSource::new(&bytes[done..]);
            let mut limit = SizeLimit::new(self.limit);
            let written = self.file.try_write(&mut source, At::Offset(self.at), RwFlags::empty(), &mut limit)?;
            if written == 0 {
                return Err(Errno::ENOSPC);
            }
            done += written;
            self.at += written as u64;
        }
        Ok(())
    }

    /// A mapping's contents; pages that were never touched stay holes.
    fn put_memory(&mut self, space: &AddressSpace, segment: &Segment) -> Result<(), Errno> {
        let line = &segment.line;
        let start = line.range.start;
        let is_special = line.flags.contains(VmFlags::SPECIAL);
        let mut page = alloc::vec![0; PAGE_SIZE as usize];
        for address in (start..start + segment.dumped_bytes).step_by(PAGE_SIZE as usize) {
            let is_there =
                is_special || line.identity.is_some() || space.smaps(address..address + PAGE_SIZE).resident > 0;
            let read = if is_there { space.read_remote(address, &mut page) } else { 0 };
            if read == page.len() {
                self.put(&page)?;
            } else {
                self.at += PAGE_SIZE;
            }
        }
        Ok(())
    }
}
