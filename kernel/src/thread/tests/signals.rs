//! Signals against completion, exit, stops and the choice of a thread.

use abi::nr;
use abi::signal::{SIG_BLOCK, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1, SaFlags, SigAction};

use super::*;
use crate::mem::UserOut;

const UNTRACED: u64 = 2;
const CONTINUED: u64 = 8;
const SET_BYTES: u64 = 8;
/// A real-time signal.
const QUEUED: u64 = 40;
/// The step a handler begins with, and the word that counts its runs.
const HANDLER: u64 = 1000;
const HANDLED: u64 = 2;
/// Where actions and signal sets lie.
const SCRATCH: u64 = MEMORY + 0x1000;

/// Has a signal handled by [`handler`].
fn install(cx: &mut UserContext, signal: u64, flags: SaFlags) -> Trap {
    let flags = (flags | SaFlags::SA_RESTORER).bits();
    let action = SigAction { sa_handler: HANDLER, sa_flags: flags, sa_restorer: 0, sa_mask: 0 };
    UserOut::<SigAction>::new(SCRATCH).write(&action).expect("mapped");
    call(cx, nr::RT_SIGACTION, [signal, SCRATCH, 0, SET_BYTES, 0, 0])
}

/// The handler: counts, pops its return address and returns from the signal.
fn handler(cx: &mut UserContext) -> Trap {
    add(HANDLED, 1);
    cx.rsp += 8;
    call(cx, nr::RT_SIGRETURN, [0; 6])
}

fn kill(cx: &mut UserContext, pid: u64, signal: u32) -> Trap {
    call(cx, nr::KILL, [pid, signal.into(), 0, 0, 0, 0])
}

/// A child signals its parent and ends; the parent waits for it. Its code, and 16 for each run of the handler.
fn signalled_while_waiting(cx: &mut UserContext, flags: SaFlags) -> Trap {
    loop {
        match cx.rip {
            0 => return install(cx, SIGUSR1.into(), flags),
            2 => return call(cx, nr::FORK, [0; 6]),
            4 if cx.rax == 0 => return call(cx, nr::GETPPID, [0; 6]),
            4 => cx.rip = 20,
            6 => return kill(cx, cx.rax, SIGUSR1),
            8 => return exit_group(cx, 7),
            20 => return call(cx, nr::WAIT4, [u64::MAX, MEMORY, 0, 0, 0, 0]),
            22 if failed(cx, Errno::EINTR) => cx.rip = 20,
            22 => return exit_group(cx, u64::from((load(0) >> 8) + 16 * load(HANDLED))),
            HANDLER => return handler(cx),
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_signal_that_races_a_childs_end_loses_neither() {
    explore(2, |cx| signalled_while_waiting(cx, SaFlags::empty()), |world| world.assert_exited(7 + 16));
    explore(2, |cx| signalled_while_waiting(cx, SaFlags::SA_RESTART), |world| world.assert_exited(7 + 16));
}

/// A child sends its parent, which has two threads, five real-time signals. All are handled, by whichever thread.
fn queued_to_two_threads(cx: &mut UserContext) -> Trap {
    loop {
        match cx.rip {
            0 => return install(cx, QUEUED, SaFlags::empty()),
            2 => return call(cx, nr::CLONE, [THREAD, MEMORY + 0x8000, 0, 0, 0, 0]),
            4 if cx.rax == 0 => cx.rip = 40,
            4 => return call(cx, nr::FORK, [0; 6]),
            6 if cx.rax == 0 => return call(cx, nr::GETPPID, [0; 6]),
            6 => cx.rip = 20,
            8 => {
                cx.r12 = cx.rax;
                cx.rip = 10;
            }
            10 if cx.rbx == 5 => return exit_group(cx, 0),
            10 => {
                cx.rbx += 1;
                cx.rip = 12;
            }
            12 => return kill(cx, cx.r12, QUEUED as u32),
            14 => cx.rip = 10,
            20 => return call(cx, nr::WAIT4, [u64::MAX, MEMORY, 0, 0, 0, 0]),
            22 if failed(cx, Errno::EINTR) => cx.rip = 20,
            22 if load(HANDLED) == 5 => return exit_group(cx, 5),
            22 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            24 => cx.rip = 22,
            // The other thread sleeps between its signals.
            40 => return call(cx, nr::PAUSE, [0; 6]),
            42 => cx.rip = 40,
            HANDLER => return handler(cx),
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn queued_signals_are_all_handled_whichever_thread_takes_them() {
    explore(3, queued_to_two_threads, |world| world.assert_exited(5));
}

/// A child of two threads is stopped, continued and killed; its parent sees each.
fn stopped_continued_killed(cx: &mut UserContext) -> Trap {
    let wait = |cx: &mut UserContext, options| call(cx, nr::WAIT4, [u64::MAX, MEMORY, options, 0, 0, 0]);
    loop {
        match cx.rip {
            0 => return call(cx, nr::FORK, [0; 6]),
            2 if cx.rax == 0 => return call(cx, nr::CLONE, [THREAD, MEMORY + 0x8000, 0, 0, 0, 0]),
            2 => {
                cx.r12 = cx.rax;
                cx.rip = 20;
            }
            // Both of the child's threads: one sleeps, one works.
            4 if cx.rax == 0 => return call(cx, nr::PAUSE, [0; 6]),
            4 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            6 => cx.rip = 4,
            20 => return kill(cx, cx.r12, SIGSTOP),
            22 => return wait(cx, UNTRACED),
            24 if load(0) != 0x137f => return exit_group(cx, 1),
            24 => return kill(cx, cx.r12, SIGCONT),
            26 => return wait(cx, CONTINUED),
            28 if load(0) != 0xffff => return exit_group(cx, 2),
            28 => return kill(cx, cx.r12, SIGSTOP),
            30 => return kill(cx, cx.r12, SIGKILL),
            32 => return wait(cx, 0),
            34 => return exit_group(cx, load(0).into()),
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_stop_is_complete_when_it_is_reported_and_death_ends_it() {
    explore(3, stopped_continued_killed, |world| world.assert_exited(9));
}

/// A signal the parent has blocked and waits for with rt_sigtimedwait(2), from a child that then ends.
fn waited_for(cx: &mut UserContext) -> Trap {
    loop {
        match cx.rip {
            0 => {
                UserOut::<u64>::new(SCRATCH).write(&(1 << (SIGUSR1 - 1))).expect("mapped");
                return call(cx, nr::RT_SIGPROCMASK, [SIG_BLOCK.into(), SCRATCH, 0, SET_BYTES, 0, 0]);
            }
            2 => return call(cx, nr::FORK, [0; 6]),
            4 if cx.rax == 0 => return call(cx, nr::GETPPID, [0; 6]),
            4 => cx.rip = 20,
            6 => return kill(cx, cx.rax, SIGUSR1),
            8 => return exit_group(cx, 0),
            20 => return call(cx, nr::RT_SIGTIMEDWAIT, [SCRATCH, 0, 0, SET_BYTES, 0, 0]),
            22 => {
                cx.r12 = cx.rax;
                return call(cx, nr::WAIT4, [u64::MAX, MEMORY, 0, 0, 0, 0]);
            }
            24 => return exit_group(cx, cx.r12),
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_signal_waited_for_is_taken_whenever_it_comes() {
    explore(2, waited_for, |world| world.assert_exited(SIGUSR1.cast_signed()));
}

/// A process of two threads leaves with 3 while its child sends it SIGTERM: one of the two is how it ends.
fn leaves_while_killed(cx: &mut UserContext) -> Trap {
    loop {
        match cx.rip {
            0 => return call(cx, nr::FORK, [0; 6]),
            2 if cx.rax == 0 => return call(cx, nr::GETPPID, [0; 6]),
            2 => cx.rip = 20,
            4 => return kill(cx, cx.rax, SIGTERM),
            6 => return exit_group(cx, 0),
            20 => return call(cx, nr::CLONE, [THREAD, MEMORY + 0x8000, 0, 0, 0, 0]),
            22 if cx.rax == 0 => return exit_group(cx, 3),
            22 => return call(cx, nr::PAUSE, [0; 6]),
            24 => cx.rip = 22,
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_process_that_leaves_while_it_is_killed_ends_one_way() {
    explore(3, leaves_while_killed, |world| {
        let status = world.first.end_status();
        let killed = ExitStatus::killed(crate::signal::Signal::TERM);
        assert!([Some(ExitStatus::exited(3)), Some(killed)].contains(&status), "{status:?}");
    });
}

/// SIGKILL ends a wait on a futex that nobody will wake, and a sleep without end.
fn killed_in_its_sleep(cx: &mut UserContext) -> Trap {
    loop {
        match cx.rip {
            0 => return call(cx, nr::FORK, [0; 6]),
            2 if cx.rax == 0 => return call(cx, nr::CLONE, [THREAD, MEMORY + 0x8000, 0, 0, 0, 0]),
            2 => {
                cx.r12 = cx.rax;
                cx.rip = 20;
            }
            4 if cx.rax == 0 => return call(cx, nr::PAUSE, [0; 6]),
            4 => return call(cx, nr::FUTEX, [MEMORY + 0x100, 0, 0, 0, 0, 0]),
            20 => return kill(cx, cx.r12, SIGKILL),
            22 => return call(cx, nr::WAIT4, [u64::MAX, MEMORY, 0, 0, 0, 0]),
            24 => return exit_group(cx, load(0).into()),
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn death_ends_any_sleep() {
    explore(3, killed_in_its_sleep, |world| world.assert_exited(9));
}
