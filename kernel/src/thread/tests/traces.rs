//! Tracers and tracees, against death on either side.

use abi::nr;
use abi::ptrace::*;

use super::*;

const WALL: u64 = 0x4000_0000;
const SIGKILL: u64 = 9;
const SIGSTOP: u64 = 19;

/// Makes a ptrace call.
fn ptrace(cx: &mut UserContext, request: u32, pid: u64, data: u64) -> Trap {
    call(cx, nr::PTRACE, [request.into(), pid, 0, data, 0, 0])
}

/// Waits for any child or tracee; its status goes to word 0.
fn wait(cx: &mut UserContext) -> Trap {
    call(cx, nr::WAIT4, [u64::MAX, MEMORY, WALL, 0, 0, 0])
}

/// Whether word 0 tells of a stop.
fn has_stopped() -> bool {
    load(0) & 0xff == 0x7f
}

/// A child asks to be traced, stops itself, and makes calls that its tracer watches; rbx counts the stops seen.
fn watches_calls(cx: &mut UserContext) -> Trap {
    loop {
        match cx.rip {
            0 => return call(cx, nr::FORK, [0; 6]),
            2 if cx.rax == 0 => cx.rip = 20,
            2 => {
                cx.rbp = cx.rax;
                cx.rip = 4;
            }
            4 => return wait(cx),
            6 if has_stopped() => {
                cx.rbx += 1;
                return ptrace(cx, PTRACE_SYSCALL, cx.rbp, 0);
            }
            // One stop by the signal, two for each of two calls, one before the last.
            6 => return exit_group(cx, cx.rbx * 10 + u64::from(load(0) >> 8)),
            8 => cx.rip = 4,
            20 => return ptrace(cx, PTRACE_TRACEME, 0, 0),
            22 => return call(cx, nr::GETPID, [0; 6]),
            24 => return call(cx, nr::KILL, [cx.rax, SIGSTOP, 0, 0, 0, 0]),
            26 => return call(cx, nr::GETPPID, [0; 6]),
            28 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            30 => return exit_group(cx, 5),
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_tracer_sees_every_stop_of_its_tracee_once() {
    explore(2, watches_calls, |world| world.assert_exited(65));
}

/// A third process kills the tracee while its tracer has it run from stop to stop.
fn killed_while_traced(cx: &mut UserContext) -> Trap {
    loop {
        match cx.rip {
            0 => return call(cx, nr::FORK, [0; 6]),
            2 if cx.rax == 0 => cx.rip = 20,
            2 => {
                cx.rbp = cx.rax;
                return call(cx, nr::FORK, [0; 6]);
            }
            4 if cx.rax == 0 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            4 => cx.rip = 10,
            6 => return call(cx, nr::KILL, [cx.rbp, SIGKILL, 0, 0, 0, 0]),
            8 => return exit_group(cx, 0),
            10 => return wait(cx),
            12 if failed(cx, Errno::ECHILD) => return exit_group(cx, 7),
            // A request may come too late for a tracee that is killed: ESRCH.
            12 if has_stopped() => return ptrace(cx, PTRACE_SYSCALL, cx.rbp, 0),
            12 => cx.rip = 10,
            14 => cx.rip = 10,
            20 => return ptrace(cx, PTRACE_TRACEME, 0, 0),
            22 => return call(cx, nr::GETPID, [0; 6]),
            24 => return call(cx, nr::KILL, [cx.rax, SIGSTOP, 0, 0, 0, 0]),
            26 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            28 => cx.rip = 26,
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_tracee_that_is_killed_is_reported_dead_whatever_its_tracer_does() {
    explore(3, killed_while_traced, |world| world.assert_exited(7));
}

/// A tracer seizes its sibling with these options, stops it at some moment and ends; their parent counts the dead.
fn tracer_ends(cx: &mut UserContext, options: PtraceOptions) -> Trap {
    loop {
        match cx.rip {
            0 => return call(cx, nr::FORK, [0; 6]),
            2 if cx.rax == 0 => cx.rip = 30,
            2 => {
                cx.rbp = cx.rax;
                return call(cx, nr::FORK, [0; 6]);
            }
            4 if cx.rax == 0 => cx.rip = 20,
            4 => cx.rip = 6,
            6 => return wait(cx),
            8 if failed(cx, Errno::ECHILD) => return exit_group(cx, cx.rbx),
            8 => {
                cx.rbx += 1 + 10 * u64::from(cx.rax == cx.rbp && load(0) == SIGKILL as u32);
                cx.rip = 6;
            }
            // The tracer.
            20 => return ptrace(cx, PTRACE_SEIZE, cx.rbp, options.bits().into()),
            22 => return ptrace(cx, PTRACE_INTERRUPT, cx.rbp, 0),
            24 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            26 => return ptrace(cx, PTRACE_SYSCALL, cx.rbp, 0),
            28 => return exit_group(cx, 0),
            // The tracee, which ends by itself or only waits for its death.
            30 if cx.r12 == 6 && options.is_empty() => return exit_group(cx, 1),
            30 => {
                cx.r12 += 1;
                return call(cx, nr::SCHED_YIELD, [0; 6]);
            }
            32 => cx.rip = 30,
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_tracer_that_ends_lets_its_tracee_go() {
    let program: Program = |cx| tracer_ends(cx, PtraceOptions::empty());
    explore(3, program, |world| world.assert_exited(2));
}

#[test]
fn a_tracer_that_ends_takes_its_tracee_along_if_it_asked_to() {
    let program: Program = |cx| tracer_ends(cx, PtraceOptions::PTRACE_O_EXITKILL);
    explore(3, program, |world| world.assert_exited(12));
}

/// A tracer follows forks with all events, and threads; whatever ends first, all are reported once.
fn follows(cx: &mut UserContext) -> Trap {
    const OPTIONS: u64 = PtraceOptions::PTRACE_O_TRACEFORK
        .union(PtraceOptions::PTRACE_O_TRACECLONE)
        .union(PtraceOptions::PTRACE_O_TRACEEXIT)
        .bits() as u64;
    const THREAD: u64 = 0x5_0f00;
    loop {
        match cx.rip {
            0 => return call(cx, nr::FORK, [0; 6]),
            2 if cx.rax == 0 => cx.rip = 20,
            2 => return ptrace(cx, PTRACE_SEIZE, cx.rax, OPTIONS),
            4 => return wait(cx),
            6 if failed(cx, Errno::ECHILD) => return exit_group(cx, 3),
            6 if has_stopped() => return ptrace(cx, PTRACE_CONT, cx.rax, 0),
            6 => cx.rip = 4,
            8 => cx.rip = 4,
            // The tracee: a fork, a thread, and an end of all by the thread.
            20 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            22 => return call(cx, nr::FORK, [0; 6]),
            24 => return call(cx, nr::CLONE, [THREAD, MEMORY + 0x8000, 0, 0, 0, 0]),
            26 if cx.rax == 0 => return exit_group(cx, 1),
            26 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            28 => return call1(cx, nr::EXIT, 2),
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_tracer_that_follows_everybody_is_told_of_every_end() {
    explore(3, follows, |world| world.assert_exited(3));
}
