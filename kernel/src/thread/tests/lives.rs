//! Birth, waiting, death.

use abi::nr;

use super::*;

const NOHANG: u64 = 1;

/// Forks eight children that exit with 1..=8, waits for all, exits with the sum of their codes.
fn forks_and_waits(cx: &mut UserContext) -> Trap {
    loop {
        match cx.rip {
            0 if cx.rbx == 8 => cx.rip = 4,
            0 => {
                cx.rbx += 1;
                return call(cx, nr::FORK, [0; 6]);
            }
            2 if cx.rax == 0 => return exit_group(cx, cx.rbx),
            2 => cx.rip = 0,
            // wait4(-1, &status, 0, NULL)
            4 => return call(cx, nr::WAIT4, [u64::MAX, MEMORY, 0, 0, 0, 0]),
            6 if failed(cx, Errno::ECHILD) => return exit_group(cx, cx.r12),
            6 => {
                cx.r12 += u64::from(load(0) >> 8);
                cx.rip = 4;
            }
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn every_child_is_waited_for_once_and_reports_its_code() {
    explore(2, forks_and_waits, |world| world.assert_exited(36));
}

/// Two threads wait for the children of both; each child is counted once. rbp tells the second thread.
fn two_waiters(cx: &mut UserContext) -> Trap {
    loop {
        match cx.rip {
            0 if cx.rbx == 6 => cx.rip = 4,
            0 => {
                cx.rbx += 1;
                return call(cx, nr::FORK, [0; 6]);
            }
            2 if cx.rax == 0 => return exit_group(cx, 0),
            2 => cx.rip = 0,
            4 => {
                cx.rbp = 1;
                return call(cx, nr::CLONE, [THREAD, MEMORY + 0x8000, 0, 0, 0, 0]);
            }
            6 => {
                cx.rbp = u64::from(cx.rax == 0);
                cx.rip = 8;
            }
            8 => return call(cx, nr::WAIT4, [u64::MAX, 0, 0, 0, 0, 0]),
            10 if failed(cx, Errno::ECHILD) => {
                let done = add(1, 1) + 1;
                // The last of the two ends the process with the number of children counted.
                if done == 2 {
                    return exit_group(cx, load(0).into());
                }
                return call1(cx, nr::EXIT, 0);
            }
            10 => {
                add(0, 1);
                cx.rip = 8;
            }
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn two_threads_that_wait_get_each_child_once() {
    explore(3, two_waiters, |world| world.assert_exited(6));
}

/// Orphans: a child forks a grandchild and exits at once; the grandchild exits later. Nobody but init is left to reap.
fn orphans(cx: &mut UserContext) -> Trap {
    loop {
        match cx.rip {
            0 => return call(cx, nr::FORK, [0; 6]),
            2 if cx.rax == 0 => cx.rip = 4,
            2 => cx.rip = 10,
            4 if cx.rbx == 3 => return exit_group(cx, 5),
            4 => {
                cx.rbx += 1;
                return call(cx, nr::FORK, [0; 6]);
            }
            6 if cx.rax == 0 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            6 => cx.rip = 4,
            8 => return exit_group(cx, 0),
            10 => return call(cx, nr::WAIT4, [u64::MAX, MEMORY, 0, 0, 0, 0]),
            12 => return exit_group(cx, u64::from(load(0) >> 8)),
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn orphans_are_reaped_by_init() {
    explore(2, orphans, |world| world.assert_exited(5));
}

/// Threads make threads while one of them ends the process.
fn exit_against_clone(cx: &mut UserContext) -> Trap {
    loop {
        match cx.rip {
            0 if add(0, 1) == 12 => return exit_group(cx, 9),
            0 => return call(cx, nr::CLONE, [THREAD, MEMORY + 0x8000, 0, 0, 0, 0]),
            2 => cx.rip = 0,
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_process_ends_whole_while_its_threads_make_threads() {
    explore(3, exit_against_clone, |world| world.assert_exited(9));
}

/// The leader ends first; its process lives until the thread ends, and the parent sees the leader's code.
fn leader_ends_first(cx: &mut UserContext) -> Trap {
    loop {
        match cx.rip {
            0 => return call(cx, nr::FORK, [0; 6]),
            2 if cx.rax == 0 => cx.rip = 10,
            2 => return call(cx, nr::WAIT4, [u64::MAX, MEMORY, 0, 0, 0, 0]),
            4 => return exit_group(cx, u64::from(load(0) >> 8)),
            10 => return call(cx, nr::CLONE, [THREAD, MEMORY + 0x8000, 0, 0, 0, 0]),
            12 if cx.rax != 0 => return call1(cx, nr::EXIT, 7),
            12 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            14 => return call1(cx, nr::EXIT, 3),
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_leader_that_ends_first_decides_the_code_and_its_threads_the_time() {
    explore(2, leader_ends_first, |world| world.assert_exited(7));
}

/// An orphan makes a sibling while it is orphaned: neither sends its new parent the signal meant for the old.
fn sibling_of_an_orphan(cx: &mut UserContext) -> Trap {
    const WALL: u64 = 0x4000_0000;
    const SIGUSR1: u64 = abi::signal::SIGUSR1 as u64;
    loop {
        match cx.rip {
            0 => return call(cx, nr::PRCTL, [abi::prctl::PR_SET_CHILD_SUBREAPER.into(), 1, 0, 0, 0, 0]),
            2 => return call(cx, nr::FORK, [0; 6]),
            4 if cx.rax == 0 => return call(cx, nr::CLONE, [SIGUSR1, 0, 0, 0, 0, 0]),
            4 => cx.rip = 20,
            // The parent leaves; its child makes a sibling.
            6 if cx.rax == 0 => return call(cx, nr::CLONE, [CloneFlags::CLONE_PARENT.bits(), 0, 0, 0, 0, 0]),
            6 | 8 => return exit_group(cx, 0),
            20 => return call(cx, nr::WAIT4, [u64::MAX, 0, WALL, 0, 0, 0]),
            22 if failed(cx, Errno::ECHILD) => return exit_group(cx, 5),
            22 => cx.rip = 20,
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_sibling_made_by_an_orphan_ends_quietly() {
    explore(3, sibling_of_an_orphan, |world| world.assert_exited(5));
}

/// vfork: the child changes the parent's memory before the parent goes on.
fn vfork_orders_memory(cx: &mut UserContext) -> Trap {
    loop {
        match cx.rip {
            0 => return call(cx, nr::VFORK, [0; 6]),
            2 if cx.rax != 0 => return exit_group(cx, load(0).into()),
            2 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            4 => {
                add(0, 4);
                return exit_group(cx, 0);
            }
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_vfork_parent_goes_on_when_its_child_has_ended() {
    explore(2, vfork_orders_memory, |world| world.assert_exited(4));
}

/// A parent kills a child that spins, sleeps or forks; it sees the signal.
fn kills_child(cx: &mut UserContext) -> Trap {
    const SIGKILL: u64 = 9;
    loop {
        match cx.rip {
            0 => return call(cx, nr::FORK, [0; 6]),
            2 if cx.rax == 0 => cx.rip = 20,
            2 => {
                cx.rbx = cx.rax;
                return call(cx, nr::SCHED_YIELD, [0; 6]);
            }
            4 => return call(cx, nr::KILL, [cx.rbx, SIGKILL, 0, 0, 0, 0]),
            6 => return call(cx, nr::WAIT4, [cx.rbx, MEMORY, 0, 0, 0, 0]),
            8 => return exit_group(cx, load(0).into()),
            // The child waits on a futex that nobody wakes.
            20 => return call(cx, nr::FUTEX, [MEMORY, 0, 0, 0, 0, 0]),
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_kill_ends_a_wait_and_is_seen_by_the_parent() {
    explore(2, kills_child, |world| world.assert_exited(9));
}

/// A child makes children for ever in its own group, which its parent kills as a whole.
fn kills_group(cx: &mut UserContext) -> Trap {
    const SIGKILL: u64 = 9;
    loop {
        match cx.rip {
            0 => return call(cx, nr::FORK, [0; 6]),
            2 if cx.rax == 0 => return call(cx, nr::SETPGID, [0; 6]),
            2 => {
                cx.rbx = cx.rax;
                cx.rip = 10;
            }
            // The child and its descendants.
            4 => return call(cx, nr::FORK, [0; 6]),
            6 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            8 if cx.r13 == 3 => return call(cx, nr::FUTEX, [MEMORY, 0, 0, 0, 0, 0]),
            8 => {
                cx.r13 += 1;
                cx.rip = 4;
            }
            // The parent: yields until the group exists, then kills it.
            10 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            12 => return call(cx, nr::KILL, [cx.rbx.wrapping_neg(), SIGKILL, 0, 0, 0, 0]),
            14 if cx.rax != 0 => cx.rip = 10,
            14 => return call(cx, nr::WAIT4, [cx.rbx, MEMORY, 0, 0, 0, 0]),
            16 => return exit_group(cx, load(0).into()),
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_group_that_forks_is_killed_without_survivors() {
    explore(3, kills_group, |world| world.assert_exited(9));
}

/// waitid with WNOWAIT, then for real; then there is none.
fn waits_without_reaping(cx: &mut UserContext) -> Trap {
    const P_ALL: u64 = 0;
    const WEXITED: u64 = 4;
    const WNOWAIT: u64 = 0x0100_0000;
    loop {
        match cx.rip {
            0 => return call(cx, nr::FORK, [0; 6]),
            2 if cx.rax == 0 => return exit_group(cx, 42),
            2 => return call(cx, nr::WAITID, [P_ALL, 0, MEMORY, WEXITED | WNOWAIT, 0, 0]),
            4 => {
                // si_status
                cx.rbx = load(6).into();
                return call(cx, nr::WAITID, [P_ALL, 0, MEMORY, WEXITED | NOHANG, 0, 0]);
            }
            6 => {
                cx.rbx += u64::from(load(6));
                return call(cx, nr::WAITID, [P_ALL, 0, MEMORY, WEXITED | NOHANG, 0, 0]);
            }
            8 if failed(cx, Errno::ECHILD) && load(0) == 0 => return exit_group(cx, cx.rbx),
            _ => panic!("no step {} with {:#x}", cx.rip, cx.rax),
        }
    }
}

#[test]
fn waitid_with_wnowait_leaves_the_child_waitable() {
    explore(2, waits_without_reaping, |world| world.assert_exited(84));
}
