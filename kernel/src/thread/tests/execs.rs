//! Execution of a new program against births, ends, signals and waits.
//!
//! The simulated machine has one program file: an ELF header whose entry is the step [`ENTRY`], with fresh memory where
//! the tests' words lie.

use abi::nr;
use abi::signal::{SIG_BLOCK, SIGKILL, SIGUSR1};
use alloc::vec;

use super::*;
use crate::fs::open::open_place;
use crate::fs::resolve::Start;
use crate::fs::{At, Cred, DeviceId, OpenFlags, Path, SizeLimit, SliceSource, create};
use crate::mem::UserOut;
use crate::signal::Signal;

const SET_BYTES: u64 = 8;
/// The first step of the new program.
const ENTRY: u64 = 2000;
/// Where the program's name and signal sets lie.
const SCRATCH: u64 = MEMORY + 0x1000;
const NAME: [u8; 8] = *b"/program";

/// Puts the program file into a root directory.
pub(super) fn place_program(root: &Path) {
    let (context, cred) = (FsContext::new(root.clone()), Arc::new(Cred::root()));
    let start = || Start::at_cwd(&context, &cred);
    let parent = start().resolve_parent(&NAME).expect("a root");
    create::mknod(parent, &cred, &context, 0o10_0755, DeviceId::default()).expect("free");
    let place = start().resolve(&NAME, true).expect("made");
    let file = open_place(place, OpenFlags::O_WRONLY, &cred).expect("root may");
    let image = program_image();
    let mut source = SliceSource::new(&image);
    let written = file.try_write(&mut source, At::Position, abi::uio::RwFlags::empty(), &mut SizeLimit::none());
    assert_eq!(written, Ok(image.len()));
}

/// A static program: its header in the page below [`MEMORY`], zeros from there on.
fn program_image() -> Vec<u8> {
    const PAGE: u64 = 4096;
    let mut bytes = vec![0_u8; PAGE as usize];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    put(16, &[2, 0, 0x3e, 0, 1, 0, 0, 0]);
    put(24, &ENTRY.to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(54, &[56, 0, 1, 0]);
    // PT_LOAD, readable and writable: offset, virtual and physical address, bytes in the file and in memory, alignment.
    put(64, &[1, 0, 0, 0, 6, 0, 0, 0]);
    for (index, value) in [0, MEMORY - PAGE, MEMORY - PAGE, PAGE, PAGE + MEMORY_BYTES, PAGE].into_iter().enumerate() {
        put(72 + index * 8, &value.to_le_bytes());
    }
    bytes
}

/// execve("/program", NULL, NULL)
fn exec(cx: &mut UserContext) -> Trap {
    UserOut::<[u8; 16]>::new(SCRATCH).write(&core::array::from_fn(|at| *NAME.get(at).unwrap_or(&0))).expect("mapped");
    call(cx, nr::EXECVE, [SCRATCH, 0, 0, 0, 0, 0])
}

fn clone_thread(cx: &mut UserContext) -> Trap {
    call(cx, nr::CLONE, [THREAD, MEMORY + 0x8000, 0, 0, 0, 0])
}

/// The new program of most tests: alone in its process, it leaves with 5, or with 6 if its memory is not fresh or its
/// number not the process's.
fn new_program(cx: &mut UserContext) -> Trap {
    match cx.rip {
        ENTRY if load(0) != 0 => exit_group(cx, 6),
        ENTRY => call(cx, nr::GETTID, [0; 6]),
        rip if rip == ENTRY + 2 => {
            cx.rbx = cx.rax;
            call(cx, nr::GETPID, [0; 6])
        }
        rip if rip == ENTRY + 4 => exit_group(cx, if cx.rax == cx.rbx { 5 } else { 6 }),
        rip => panic!("no step {rip}"),
    }
}

/// Threads make threads while one of them executes.
fn exec_against_clone(cx: &mut UserContext) -> Trap {
    match cx.rip {
        0 if add(0, 1) == 12 => exec(cx),
        0 => clone_thread(cx),
        2 => {
            cx.rip = 0;
            exec_against_clone(cx)
        }
        _ => new_program(cx),
    }
}

#[test]
fn a_program_that_is_executed_is_alone_though_threads_make_threads() {
    explore(3, exec_against_clone, |world| world.assert_exited(5));
}

/// Every thread of four executes at once: one of them gets its way.
fn all_execute(cx: &mut UserContext) -> Trap {
    loop {
        match cx.rip {
            0 if cx.rbx == 3 => cx.rip = 4,
            0 => {
                cx.rbx += 1;
                return clone_thread(cx);
            }
            2 if cx.rax == 0 => cx.rip = 4,
            2 => cx.rip = 0,
            4 => {
                add(0, 1);
                return exec(cx);
            }
            _ => return new_program(cx),
        }
    }
}

#[test]
fn of_threads_that_execute_at_once_one_gets_its_way() {
    explore(3, all_execute, |world| world.assert_exited(5));
}

/// One thread executes, another leaves the process with 3.
fn exec_against_exit(cx: &mut UserContext) -> Trap {
    match cx.rip {
        0 => clone_thread(cx),
        2 if cx.rax == 0 => exit_group(cx, 3),
        2 => exec(cx),
        _ => new_program(cx),
    }
}

#[test]
fn a_process_that_executes_while_it_leaves_does_one_of_the_two() {
    explore(3, exec_against_exit, |world| {
        let status = world.first.end_status();
        assert!([3, 5].map(ExitStatus::exited).contains(&status.expect("ended")), "{status:?}");
    });
}

/// A child of two threads executes in the one that is not its leader, while it is killed.
fn exec_against_kill(cx: &mut UserContext) -> Trap {
    match cx.rip {
        0 => call(cx, nr::FORK, [0; 6]),
        2 if cx.rax == 0 => clone_thread(cx),
        2 => {
            cx.r12 = cx.rax;
            cx.rip = 20;
            call(cx, nr::SCHED_YIELD, [0; 6])
        }
        // The child.
        4 if cx.rax == 0 => exec(cx),
        4 => call(cx, nr::PAUSE, [0; 6]),
        // The parent.
        22 => call(cx, nr::KILL, [cx.r12, SIGKILL.into(), 0, 0, 0, 0]),
        24 => call(cx, nr::WAIT4, [u64::MAX, MEMORY, 0, 0, 0, 0]),
        26 if [9, 5 << 8].contains(&load(0)) => exit_group(cx, 1),
        _ => new_program(cx),
    }
}

#[test]
fn a_process_killed_while_it_executes_is_seen_to_end_once() {
    explore(3, exec_against_kill, |world| world.assert_exited(1));
}

/// A blocked signal and a child's end come while a thread that is not the leader executes and the leader looks at the
/// child without reaping it: the new program has both.
fn news_while_executing(cx: &mut UserContext) -> Trap {
    const P_ALL: u64 = 0;
    const WEXITED: u64 = 4;
    const WNOWAIT: u64 = 0x0100_0000;
    match cx.rip {
        0 => {
            UserOut::<u64>::new(SCRATCH + 64).write(&(1 << (SIGUSR1 - 1))).expect("mapped");
            call(cx, nr::RT_SIGPROCMASK, [SIG_BLOCK.into(), SCRATCH + 64, 0, SET_BYTES, 0, 0])
        }
        2 => call(cx, nr::FORK, [0; 6]),
        4 if cx.rax == 0 => {
            cx.rip = 20;
            call(cx, nr::GETPPID, [0; 6])
        }
        4 => clone_thread(cx),
        6 if cx.rax == 0 => exec(cx),
        6 => call(cx, nr::WAITID, [P_ALL, 0, MEMORY, WEXITED | WNOWAIT, 0, 0]),
        8 => call(cx, nr::PAUSE, [0; 6]),
        // The child.
        22 => call(cx, nr::KILL, [cx.rax, SIGUSR1.into(), 0, 0, 0, 0]),
        24 => exit_group(cx, 7),
        // The new program.
        ENTRY => {
            UserOut::<u64>::new(SCRATCH).write(&(1 << (SIGUSR1 - 1))).expect("mapped");
            call(cx, nr::RT_SIGTIMEDWAIT, [SCRATCH, 0, 0, SET_BYTES, 0, 0])
        }
        rip if rip == ENTRY + 2 => {
            cx.rbx = cx.rax;
            call(cx, nr::WAIT4, [u64::MAX, MEMORY, 0, 0, 0, 0])
        }
        rip if rip == ENTRY + 4 => exit_group(cx, cx.rbx + u64::from(load(0) >> 8)),
        rip => panic!("no step {rip}"),
    }
}

#[test]
fn what_comes_while_a_program_is_executed_reaches_the_new_one() {
    explore(3, news_while_executing, |world| world.assert_exited(SIGUSR1.cast_signed() + 7));
}

/// A vfork child executes; its parent goes on then, whatever the new program does.
fn vfork_and_exec(cx: &mut UserContext) -> Trap {
    match cx.rip {
        0 => call(cx, nr::VFORK, [0; 6]),
        2 if cx.rax == 0 => exec(cx),
        2 => call(cx, nr::WAIT4, [u64::MAX, MEMORY, 0, 0, 0, 0]),
        4 => exit_group(cx, u64::from(load(0) >> 8)),
        _ => new_program(cx),
    }
}

#[test]
fn a_vfork_parent_goes_on_when_its_child_has_executed() {
    explore(2, vfork_and_exec, |world| world.assert_exited(5));
}

/// A signal with a handler comes while the program is executed: the old one handles it, or the new one dies of it.
fn handled_or_deadly(cx: &mut UserContext) -> Trap {
    const HANDLER: u64 = 1000;
    match cx.rip {
        0 => {
            let flags = abi::signal::SaFlags::SA_RESTORER.bits();
            let action = abi::signal::SigAction { sa_handler: HANDLER, sa_flags: flags, sa_restorer: 0, sa_mask: 0 };
            UserOut::<abi::signal::SigAction>::new(SCRATCH).write(&action).expect("mapped");
            call(cx, nr::RT_SIGACTION, [SIGUSR1.into(), SCRATCH, 0, SET_BYTES, 0, 0])
        }
        2 => call(cx, nr::FORK, [0; 6]),
        4 if cx.rax == 0 => {
            cx.rip = 20;
            call(cx, nr::GETPPID, [0; 6])
        }
        4 => clone_thread(cx),
        6 if cx.rax == 0 => exec(cx),
        6 => call(cx, nr::PAUSE, [0; 6]),
        8 => {
            cx.rip = 6;
            call(cx, nr::PAUSE, [0; 6])
        }
        22 => call(cx, nr::KILL, [cx.rax, SIGUSR1.into(), 0, 0, 0, 0]),
        24 => exit_group(cx, 0),
        HANDLER => {
            cx.rsp += 8;
            call(cx, nr::RT_SIGRETURN, [0; 6])
        }
        _ => new_program(cx),
    }
}

#[test]
fn a_signal_that_meets_an_exec_is_handled_by_the_old_program_or_kills_the_new() {
    explore(3, handled_or_deadly, |world| {
        let status = world.first.end_status().expect("ended");
        assert!([ExitStatus::exited(5), ExitStatus::killed(Signal::USR1)].contains(&status), "{status:?}");
    });
}
