//! Whole lives of threads and processes under the seeded simulator.
//!
//! User mode is a function of the registers and of user memory, written as a little machine: `rip` says which step comes
//! next, steps have even numbers (a system call is two bytes long, as the kernel expects when it has one made again), and
//! variables live in registers. A failure names its seed; `SIM_SEED=n` repeats it, `SIM_SEEDS=n` tries so many.

mod execs;
mod futexes;
mod lives;
mod signals;
mod traces;

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::sched::CloneFlags;
use runtime::sim::Simulator;

use super::exec::{FirstProcess, Prepared, start_process_with};
use crate::arch::{LiveState, Trap, UserContext};
use crate::fs::{FdTable, FsContext, Mount, MountFlags, tmpfs};
use crate::mem::{AddressSpace, MapRequest, Placement, Prot, UserWord};
use crate::process::limits::Limits;
use crate::process::{PidTable, Process};
use crate::signal::ExitStatus;
use crate::sync::executor;

/// Where the tests' user memory lies: words for them to share.
const MEMORY: u64 = 0x10_0000;
const MEMORY_BYTES: u64 = 0x10_0000;

/// clone(2)'s flags for a thread.
const THREAD: u64 = CloneFlags::CLONE_VM
    .union(CloneFlags::CLONE_FS)
    .union(CloneFlags::CLONE_FILES)
    .union(CloneFlags::CLONE_SIGHAND)
    .union(CloneFlags::CLONE_THREAD)
    .union(CloneFlags::CLONE_SYSVSEM)
    .bits();

/// A user program.
type Program = fn(&mut UserContext) -> Trap;

/// A simulated machine with init and one process that runs a program.
struct World {
    table: Arc<PidTable>,
    first: Arc<Process>,
}

/// How many seeds each test tries, unless it is told.
const SEEDS: u64 = 2_000;

/// Runs `program` as the first process on every seed, until only init is left, and then `check`.
fn explore(cpus: usize, program: Program, check: impl Fn(&World)) {
    let setting = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = match (setting("SIM_SEED"), setting("SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(SEEDS),
    };
    for seed in seeds {
        let mut simulator = Simulator::new(seed, cpus);
        executor::simulate(simulator.handle());
        let world = World::new(program);
        let stuck = simulator.run().expect_err("init never ends");
        assert!(!stuck.endless && stuck.tasks.len() == 1, "only init is left: {stuck}");
        assert_eq!(world.table.thread_count(), 1, "init's is left; seed {seed}");
        let left: Vec<_> = world.table.processes().iter().map(|process| process.pid).collect();
        assert_eq!(left, [1], "seed {seed}");
        assert!(world.table.group(world.first.pid).is_none(), "its group is gone; seed {seed}");
        check(&world);
    }
}

impl World {
    fn new(program: Program) -> Self {
        let table = PidTable::new();
        let init = super::init::start(&table).expect("an empty table has room");
        let instance = tmpfs::new("rootfs", &tmpfs::Options::default()).expect("memory");
        let root = instance.root.clone();
        let root = Mount::new(instance, root, b"rootfs", MountFlags::empty()).root_path();
        execs::place_program(&root);
        let first = FirstProcess {
            table: table.clone(),
            parent: Some(init),
            files: FdTable::new(),
            fs: FsContext::new(root),
            limits: Limits::default(),
        };
        let space = AddressSpace::new().expect("memory");
        let request = MapRequest {
            addr: MEMORY,
            len: MEMORY_BYTES,
            prot: Prot::READ | Prot::WRITE,
            placement: Placement::Fixed,
            ..MapRequest::default()
        };
        space.map(&request).expect("memory");
        let live = LiveState::new();
        live.set_program(Arc::new(program));
        let new = Prepared::bare(space, 0, MEMORY + MEMORY_BYTES);
        let first = start_process_with(first, new, live).expect("an empty table has room");
        Self { table, first }
    }

    /// The first process ended with this code.
    fn assert_exited(&self, code: i32) {
        assert_eq!(self.first.end_status(), Some(ExitStatus::exited(code)));
    }
}

/// Makes a system call; the next step follows.
fn call(cx: &mut UserContext, number: usize, arguments: [u64; 6]) -> Trap {
    cx.rax = number as u64;
    [cx.rdi, cx.rsi, cx.rdx, cx.r10, cx.r8, cx.r9] = arguments;
    cx.rip += 2;
    Trap::Syscall
}

/// Makes a system call with few arguments.
fn call1(cx: &mut UserContext, number: usize, argument: u64) -> Trap {
    call(cx, number, [argument, 0, 0, 0, 0, 0])
}

/// Leaves the process.
fn exit_group(cx: &mut UserContext, code: u64) -> Trap {
    call1(cx, abi::nr::EXIT_GROUP, code)
}

/// Whether the last call failed with this error.
fn failed(cx: &UserContext, error: Errno) -> bool {
    cx.rax == error.to_return_value()
}

/// A shared word.
fn word(index: u64) -> UserWord {
    UserWord::new(MEMORY + index * 4).expect("aligned and in the user half")
}

/// Atomically adds to a word, as user code would.
fn add(index: u64, by: u32) -> u32 {
    word(index).update(|value| value.wrapping_add(by)).expect("mapped")
}

/// A word's value.
fn load(index: u64) -> u32 {
    word(index).load().expect("mapped")
}
