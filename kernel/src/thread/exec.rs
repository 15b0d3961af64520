//! A new life in the same body: what execve(2) does once the files are open (`begin_new_exec()`, `load_elf_binary()`).
//!
//! Two halves. [`prepare`] makes the whole new memory image beside the old one; whatever fails, the caller gets an errno and
//! its program lives. [`replace`] ends the process's other threads, waits for that, and then changes everything over;
//! from the moment it is alone nothing can fail any more.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;

use super::{Interruptible, Private, Thread, exit, private, rseq, run, trace};
use crate::arch::{LiveState, UserContext};
use crate::fs::{Cred, FdTable, FsContext};
use crate::mem::aslr::{self, Layout};
use crate::mem::space::ProgramLayout;
use crate::mem::{AddressSpace, SpaceLimits};
use crate::process::elf::{Image, Program};
use crate::process::image::{Executing, ProgramInfo, StackContent, Strings, build_stack};
use crate::process::jobs::Group;
use crate::process::limits::{Limits, Resource};
use crate::process::user::Charge;
use crate::process::{Holdings, PidTable, Process};
use crate::signal::{Actions, AltStack, Budget, ProcessSignals, SigSet, ThreadSignals};
use crate::time::vdso;
use abi::prctl::{PER_CLEAR_ON_SETID, READ_IMPLIES_EXEC};

/// What to execute.
pub struct ExecRequest<'a> {
    /// The program's file.
    pub image: &'a dyn Image,
    /// Its headers.
    pub program: &'a Program,
    /// The file of the interpreter it names, and that one's headers.
    pub interpreter: Option<(&'a dyn Image, &'a Program)>,
    /// The program's file, for /proc.
    pub exe: Option<Arc<Executing>>,
    /// The name it is executed by.
    pub name: &'a [u8],
    /// argv.
    pub arguments: &'a Strings,
    /// envp.
    pub environment: &'a Strings,
    /// Who it will run as.
    pub cred: Arc<Cred>,
    /// It gains privileges by being executed.
    pub secure: bool,
    /// Whether its memory is laid out at random.
    pub layout: Layout,
}

/// A memory image ready to be run.
pub struct Prepared {
    space: Arc<AddressSpace>,
    info: ProgramInfo,
    entry: u64,
    cred: Arc<Cred>,
    secure: bool,
    /// The last component of the name: the thread's new name.
    comm: [u8; 16],
}

#[cfg(test)]
impl Prepared {
    /// An image without a program file, for tests.
    pub(super) fn bare(space: Arc<AddressSpace>, entry: u64, stack_start: u64) -> Self {
        let info = ProgramInfo { stack_start, ..ProgramInfo::default() };
        Self { space, info, entry, cred: Arc::new(Cred::root()), secure: false, comm: comm_of(b"test") }
    }
}

/// The span over which a program's heap may start behind its data (`arch_randomize_brk()`), in pages.
const RANDOM_BRK_PAGES: u64 = 0x0200_0000 / crate::mem::PAGE_SIZE;

/// Makes the memory of the new program. Errors: ENOMEM, EINVAL, ENOEXEC, EEXIST, E2BIG.
pub fn prepare(request: &ExecRequest<'_>, limits: &Limits) -> Result<Prepared, Errno> {
    let space = AddressSpace::new()?;
    space.set_limits(space_limits(limits));
    space.set_mmap_base(aslr::mmap_base(limits.get(Resource::Stack).soft, request.layout));
    let loaded = request.program.load(&space, request.image, false, request.layout)?;
    let brk = page_up(loaded.end) + request.layout.below(RANDOM_BRK_PAGES) * crate::mem::PAGE_SIZE;
    space.set_brk_start(brk);
    let interpreter = match request.interpreter {
        Some((image, program)) => Some(program.load(&space, image, true, request.layout)?),
        None => None,
    };
    let content = StackContent {
        name: request.name,
        arguments: request.arguments,
        environment: request.environment,
        program: loaded,
        vdso: vdso::map(&space)?,
        interpreter_base: interpreter.map_or(0, |interpreter| interpreter.bias),
        cred: &request.cred,
        secure: request.secure,
        executable: request.program.executable_stack,
        layout: request.layout,
    };
    let mut info = build_stack(&space, &content)?;
    info.exe = request.exe.clone();
    space.set_layout(ProgramLayout {
        code: loaded.code,
        data: loaded.data,
        stack_start: info.stack_start,
        arguments: (info.arguments.start, info.arguments.end),
        environment: (info.environment.start, info.environment.end),
        ..space.layout()
    });
    Ok(Prepared {
        space,
        info,
        entry: interpreter.unwrap_or(loaded).entry,
        cred: request.cred.clone(),
        secure: request.secure,
        comm: comm_of(request.name),
    })
}

/// What of a process's limits binds its address space.
pub fn space_limits(limits: &Limits) -> SpaceLimits {
    SpaceLimits {
        address_space: limits.get(Resource::AddressSpace).soft,
        data: limits.get(Resource::Data).soft,
        stack: limits.get(Resource::Stack).soft,
        locked: limits.get(Resource::LockedMemory).soft,
    }
}

/// The last component of a path, cut to a thread name's length.
fn comm_of(name: &[u8]) -> [u8; 16] {
    let base = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
    let mut comm = [0; 16];
    let len = base.len().min(comm.len() - 1);
    comm[..len].copy_from_slice(&base[..len]);
    comm
}

fn page_up(address: u64) -> u64 {
    (address + crate::mem::PAGE_SIZE - 1) & !(crate::mem::PAGE_SIZE - 1)
}

/// Turns the calling thread into the new program's only one. Errors: EAGAIN if another thread came first or the process
/// ends; the caller then ends, too.
pub async fn replace(thread: &Arc<Thread>, private: &mut Private, new: Prepared) -> Result<(), Errno> {
    let old = thread.tid();
    become_only_thread(thread).await?;
    change_over(thread, private, new);
    if thread.signals.is_traced() {
        trace::exec(thread, private, old).await;
    }
    Ok(())
}

/// Ends the other threads, waits until they are gone, and takes the leader's place (`de_thread()`).
async fn become_only_thread(thread: &Arc<Thread>) -> Result<(), Errno> {
    let process = &thread.process;
    if !process.signals.end_other_threads(&thread.signals) {
        return Err(Errno::EAGAIN);
    }
    let alone = process.thread_left.wait_until(|| (process.threads().live.len() == 1).then_some(()));
    Interruptible::killable(thread, alone).await.map_err(|_| Errno::EAGAIN)?;
    if !thread.is_leader() {
        take_leaders_place(thread);
    }
    process.threads().leader_status = None;
    process.forget_traced_leader();
    Ok(())
}

/// The leader is gone: its number, which is the process's, becomes the caller's.
fn take_leaders_place(thread: &Arc<Thread>) {
    let process = &thread.process;
    let own = thread.tid();
    {
        let mut threads = process.threads();
        threads.live.remove(&own);
        threads.live.insert(process.pid, thread.clone());
        thread.signals.set_tid(process.pid);
    }
    process.table.promote(thread, own, process.pid);
    process.inherit_from_thread(own);
}

/// Everything that changes with the program. The caller is the process's only thread.
fn change_over(thread: &Arc<Thread>, private: &mut Private, new: Prepared) {
    let process = &thread.process;
    exit::release_memory(thread, private);
    rseq::forget(thread, private);
    process.note_size(&private.space);
    thread.owned_locks.reopen();
    thread.set_dispatch(None);
    let files = if Arc::strong_count(&private.files) > 2 { private.files.fork() } else { private.files.clone() };
    files.close_on_exec();
    private.hold(thread, |private| {
        private.space = new.space;
        private.files = files;
        private.cred = new.cred;
    });
    private.space.activate();
    private.live.reset();
    private.context = UserContext::new(new.entry, new.info.stack_start);
    process.uid.store(private.cred.uid, Ordering::Relaxed);
    thread.set_charge(Some(Charge::of_user(private.cred.uid)));
    process.signals.reset_for_exec();
    process.timers.delete_all();
    thread.signals.set_alt_stack(AltStack::default());
    thread.set_comm(&new.comm);
    thread.personality.fetch_and(!READ_IMPLIES_EXEC, Ordering::Relaxed);
    if new.secure {
        thread.set_parent_death_signal(None);
        thread.personality.fetch_and(!PER_CLEAR_ON_SETID, Ordering::Relaxed);
    }
    process.set_exit_signal(abi::signal::SIGCHLD as u8);
    process.has_executed.store(true, Ordering::Relaxed);
    process.set_program(new.info);
}

/// What the kernel starts a process with by itself.
pub struct FirstProcess {
    /// The table it is entered in.
    pub table: Arc<PidTable>,
    /// Its parent, if it has one.
    pub parent: Option<Arc<Process>>,
    /// Its descriptors.
    pub files: Arc<FdTable>,
    /// Its root and directory.
    pub fs: Arc<FsContext>,
    /// Its limits.
    pub limits: Limits,
}

/// Starts a process, leader of a session of its own, that runs a prepared program. Errors: EAGAIN.
pub fn start_process(first: FirstProcess, new: Prepared) -> Result<Arc<Process>, Errno> {
    start_process_with(first, new, LiveState::new())
}

/// The same with the vector registers given: on the host, they are what plays user mode.
pub(super) fn start_process_with(first: FirstProcess, new: Prepared, live: LiveState) -> Result<Arc<Process>, Errno> {
    private::prepare()?;
    let reservation = first.table.allocate()?;
    let pid = reservation.pid();
    let uid = new.cred.uid;
    let pending = first.limits.get(Resource::PendingSignals).soft;
    let signals = ProcessSignals::new(Arc::new(Actions::new()), Budget::of_user(uid), pending);
    let process = Process::new(pid, first.table, Group::first(pid), signals);
    *process.limits.lock() = first.limits;
    process.uid.store(uid, Ordering::Relaxed);
    let private = Private {
        context: UserContext::new(new.entry, new.info.stack_start),
        live,
        space: new.space,
        files: first.files,
        fs: first.fs,
        cred: new.cred,
        exit: None,
        call: None,
        last_fault: Default::default(),
        set_child_tid: 0,
        own_stack: None,
        vfork: None,
        rseq: None,
    };
    let holdings: Holdings = private.holdings();
    let signals = ThreadSignals::new(pid, SigSet::EMPTY, AltStack::default());
    let thread = Thread::new(process.clone(), signals, Default::default(), holdings, Charge::of_user(uid));
    thread.set_comm(&new.comm);
    let thread = Arc::new(thread);
    process.set_program(new.info);
    // A process that nobody knows yet has not begun to end.
    let _ = process.signals.add_thread(thread.signals.clone(), None);
    process.threads().live.insert(pid, thread.clone());
    process.found_first_session();
    if let Some(parent) = &first.parent {
        parent.adopt_newborn(&process, parent.pid, None);
    }
    reservation.enter_process(&process, Some(&thread));
    run::start(thread, private);
    Ok(process)
}
