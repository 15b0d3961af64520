//! Futexes among threads of one process.

use abi::nr;
use abi::sched::CloneFlags;

use super::*;

const THREAD: u64 = CloneFlags::CLONE_VM
    .union(CloneFlags::CLONE_FS)
    .union(CloneFlags::CLONE_FILES)
    .union(CloneFlags::CLONE_SIGHAND)
    .union(CloneFlags::CLONE_THREAD)
    .union(CloneFlags::CLONE_CHILD_CLEARTID)
    .union(CloneFlags::CLONE_CHILD_SETTID)
    .bits();
const WAIT: u64 = 0;
const WAKE: u64 = 1;
const CMP_REQUEUE: u64 = 4;
const PRIVATE: u64 = 128;
const LOCK_PI: u64 = 6;
const UNLOCK_PI: u64 = 7;
/// Words: a lock, a counter, a gate, another gate, and from here on a tid word for each thread.
const LOCK: u64 = 0;
const COUNTER: u64 = 1;
const GATE: u64 = 2;
const GATE2: u64 = 3;
const TIDS: u64 = 16;

fn at(word: u64) -> u64 {
    MEMORY + word * 4
}

/// The leader makes `threads` threads that start at step 40, joins them as pthread_join does, and goes on at step 30.
fn make_and_join(cx: &mut UserContext, threads: u64) -> Option<Trap> {
    match cx.rip {
        0 if cx.rbx == threads => cx.rip = 4,
        0 => {
            cx.rbx += 1;
            let tid = at(TIDS + cx.rbx);
            let stack = MEMORY + 0x1000 * (cx.rbx + 1);
            // Not zero before the thread exists, so that the join below waits for it.
            word(TIDS + cx.rbx).store(u32::MAX).expect("mapped");
            return Some(call(cx, nr::CLONE, [THREAD, stack, 0, tid, 0, 0]));
        }
        2 if cx.rax == 0 => cx.rip = 40,
        2 => cx.rip = 0,
        4 if cx.r12 == threads => cx.rip = 30,
        4 => {
            cx.r12 += 1;
            cx.rip = 6;
        }
        6 => match load(TIDS + cx.r12) {
            0 => cx.rip = 4,
            tid => return Some(call(cx, nr::FUTEX, [at(TIDS + cx.r12), WAIT, tid.into(), 0, 0, 0])),
        },
        8 => cx.rip = 6,
        _ => return None,
    }
    Some(Trap::Interrupt { vector: 0 })
}

/// The mutex of "Futexes are tricky", version 2; each thread adds to a counter without atomics while it has the lock.
fn mutex(cx: &mut UserContext) -> Trap {
    if let Some(trap) = make_and_join(cx, 4) {
        return trap;
    }
    loop {
        match cx.rip {
            30 => return exit_group(cx, load(COUNTER).into()),
            40 if cx.r13 == 5 => return call1(cx, nr::EXIT, 0),
            40 => {
                cx.r13 += 1;
                match word(LOCK).compare_exchange(0, 1).expect("mapped") {
                    0 => cx.rip = 50,
                    _ => cx.rip = 44,
                }
            }
            44 => match word(LOCK).swap(2).expect("mapped") {
                0 => cx.rip = 50,
                _ => return call(cx, nr::FUTEX, [at(LOCK), WAIT | PRIVATE, 2, 0, 0, 0]),
            },
            46 => cx.rip = 44,
            50 => {
                cx.r14 = load(COUNTER).into();
                return call(cx, nr::SCHED_YIELD, [0; 6]);
            }
            52 => {
                word(COUNTER).store(cx.r14 as u32 + 1).expect("mapped");
                match word(LOCK).swap(0).expect("mapped") {
                    2 => return call(cx, nr::FUTEX, [at(LOCK), WAKE | PRIVATE, 1, 0, 0, 0]),
                    _ => cx.rip = 54,
                }
            }
            54 => cx.rip = 40,
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_mutex_made_of_futexes_excludes_and_never_loses_a_wake() {
    explore(3, mutex, |world| world.assert_exited(20));
}

/// Waiters on one gate are moved to another; every one is woken exactly once, by the counts the calls return.
fn requeue(cx: &mut UserContext) -> Trap {
    // The leader wakes and moves before it joins: steps 60 on.
    if cx.rip == 4 && cx.rbp == 0 && cx.r12 == 0 {
        cx.rbp = 1;
        cx.rip = 60;
    }
    if let Some(trap) = make_and_join(cx, 5) {
        return trap;
    }
    loop {
        match cx.rip {
            30 => return exit_group(cx, load(COUNTER).into()),
            40 => return call(cx, nr::FUTEX, [at(GATE), WAIT | PRIVATE, 0, 0, 0, 0]),
            42 => {
                if cx.rax == 0 {
                    add(COUNTER, 1);
                }
                return call1(cx, nr::EXIT, 0);
            }
            // Until all five have been woken or moved: wake one, move the rest.
            60 if cx.r15 == 5 => {
                cx.rip = 4;
                return Trap::Interrupt { vector: 0 };
            }
            60 => return call(cx, nr::FUTEX, [at(GATE), CMP_REQUEUE | PRIVATE, 1, 10, at(GATE2), 0]),
            62 => {
                cx.r15 += cx.rax;
                return call(cx, nr::FUTEX, [at(GATE2), WAKE | PRIVATE, 10, 0, 0, 0]);
            }
            64 => return call(cx, nr::SCHED_YIELD, [0; 6]),
            66 => cx.rip = 60,
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn requeued_waiters_are_counted_and_woken_once() {
    explore(3, requeue, |world| world.assert_exited(5));
}

/// Waits with a timeout race with wakes: those woken are as many as the wakes say.
fn timeouts(cx: &mut UserContext) -> Trap {
    const TIME: u64 = 64;
    if cx.rip == 0 && cx.rbx == 0 {
        word(TIME).store(0).expect("mapped");
        word(TIME + 2).store(3_000).expect("mapped");
    }
    if cx.rip == 4 && cx.rbp == 0 && cx.r12 == 0 {
        cx.rbp = 1;
        cx.rip = 60;
    }
    if let Some(trap) = make_and_join(cx, 4) {
        return trap;
    }
    loop {
        match cx.rip {
            // Counted by waiters equals counted by wakers.
            30 => return exit_group(cx, u64::from(u64::from(load(COUNTER)) == cx.r15)),
            40 => return call(cx, nr::FUTEX, [at(GATE), WAIT | PRIVATE, 0, at(TIME), 0, 0]),
            42 => {
                match cx.rax {
                    0 => _ = add(COUNTER, 1),
                    _ => assert!(failed(cx, Errno::ETIMEDOUT)),
                }
                return call1(cx, nr::EXIT, 0);
            }
            60 if cx.r14 == 4 => {
                cx.rip = 4;
                return Trap::Interrupt { vector: 0 };
            }
            60 => {
                cx.r14 += 1;
                return call(cx, nr::FUTEX, [at(GATE), WAKE | PRIVATE, 1, 0, 0, 0]);
            }
            62 => {
                cx.r15 += cx.rax;
                return call(cx, nr::SCHED_YIELD, [0; 6]);
            }
            64 => cx.rip = 60,
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_wait_that_was_woken_is_not_reported_as_timed_out() {
    explore(3, timeouts, |world| world.assert_exited(1));
}

/// Locks with priority inheritance exclude; the word always names the owner.
fn pi_mutex(cx: &mut UserContext) -> Trap {
    if let Some(trap) = make_and_join(cx, 4) {
        return trap;
    }
    loop {
        match cx.rip {
            30 => return exit_group(cx, load(COUNTER).into()),
            40 => return call(cx, nr::GETTID, [0; 6]),
            42 => {
                cx.r15 = cx.rax;
                cx.rip = 44;
            }
            44 if cx.r13 == 5 => return call1(cx, nr::EXIT, 0),
            44 => {
                cx.r13 += 1;
                match word(LOCK).compare_exchange(0, cx.r15 as u32).expect("mapped") {
                    0 => cx.rip = 48,
                    _ => {
                        cx.rip = 46;
                        continue;
                    }
                }
            }
            46 => return call(cx, nr::FUTEX, [at(LOCK), LOCK_PI | PRIVATE, 0, 0, 0, 0]),
            48 => {
                assert_eq!(u64::from(load(LOCK) & 0x3fff_ffff), cx.r15, "the word names the owner");
                cx.r14 = load(COUNTER).into();
                return call(cx, nr::SCHED_YIELD, [0; 6]);
            }
            50 => {
                word(COUNTER).store(cx.r14 as u32 + 1).expect("mapped");
                match word(LOCK).compare_exchange(cx.r15 as u32, 0).expect("mapped") == cx.r15 as u32 {
                    true => cx.rip = 44,
                    false => return call(cx, nr::FUTEX, [at(LOCK), UNLOCK_PI | PRIVATE, 0, 0, 0, 0]),
                }
            }
            52 => {
                assert_eq!(cx.rax, 0, "it is ours to unlock");
                cx.rip = 44;
            }
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn locks_with_priority_inheritance_are_handed_over() {
    explore(3, pi_mutex, |world| world.assert_exited(20));
}

/// Owners die with the lock: it goes to a waiter, marked.
fn pi_owner_dies(cx: &mut UserContext) -> Trap {
    const OWNER_DIED: u32 = 0x4000_0000;
    if let Some(trap) = make_and_join(cx, 4) {
        return trap;
    }
    loop {
        match cx.rip {
            30 => return exit_group(cx, load(COUNTER).into()),
            40 => return call(cx, nr::FUTEX, [at(LOCK), LOCK_PI | PRIVATE, 0, 0, 0, 0]),
            42 if failed(cx, Errno::ESRCH) => {
                // The owner died before anybody waited, and no robust list told of it.
                word(LOCK).store(OWNER_DIED).expect("mapped");
                cx.rip = 40;
            }
            42 => {
                assert_eq!(cx.rax, 0);
                add(COUNTER, 1);
                return call(cx, nr::SCHED_YIELD, [0; 6]);
            }
            44 => return call1(cx, nr::EXIT, 0),
            _ => panic!("no step {}", cx.rip),
        }
    }
}

#[test]
fn a_lock_whose_owner_dies_goes_to_a_waiter() {
    explore(3, pi_owner_dies, |world| world.assert_exited(4));
}
