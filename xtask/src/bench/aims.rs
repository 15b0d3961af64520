//! What each line of the benchmarks should cost beside Linux, and, where it costs more, why and what would change it.

/// The ratio to Linux that no line should exceed, whatever its aim.
pub const CEILING: f64 = 0.8;

/// One line's aim.
pub struct Aim {
    /// The line's name, as `userland/bench/bench.c` has it.
    pub line: &'static str,
    /// RustOS's instructions over Linux's, at most.
    pub ratio: f64,
    /// Why it is missed, if it is, and what would change that.
    pub note: &'static str,
}

const fn aim(line: &'static str, ratio: f64, note: &'static str) -> Aim {
    Aim { line, ratio, note }
}

/// What the way in and out costs, which every short call pays.
const ENTRY: &str = "some 85 instructions are the way in and out of the kernel (see [paths.md](paths.md)), 10 of them two \
    looks at the clock: every call's time is counted, where Linux samples; the program's own part, the same on both, is \
    in the figures. Counting time by the tick would spare those 10";

/// A thread switch.
const SWITCH: &str = "of a switch by a wake and a wait, some 500 instructions are the way out of one thread's call and into the \
    other's (trap, registers, loop, executor), 370 the making and two polls of the wait's future, 120 the wake (see \
    [paths.md](paths.md)); vector registers are saved and loaded at each switch, as on Linux. What a task carries is reached \
    through a trait object five times a switch: some 60 instructions";

/// The lines of one CPU.
pub const ONE_CPU: &[Aim] = &[
    aim("null_syscall", 0.33, ENTRY),
    aim("clock_gettime_syscall", 0.33, ENTRY),
    aim("read_zero_byte", 0.5, ENTRY),
    aim("read_zero_4k", 0.5, "half of it is zeroing the page, 512 stores in both kernels"),
    aim("write_null_byte", 0.5, ENTRY),
    aim(
        "clock_gettime_libc",
        0.5,
        "20 of its instructions are musl's, 27 the vDSO's: two looks at the sequence, the counter, a product and a quotient by 10^9",
    ),
    aim(
        "getrandom_16",
        0.5,
        "a block of ChaCha20 in scalar instructions; random bytes kept from one call to the next would halve it",
    ),
    aim("uname_call", 0.5, "the copy of 390 bytes"),
    aim("yield_alone", 0.33, ""),
    aim("yield_two_threads", 0.33, SWITCH),
    aim("futex_wake_nobody", 0.33, ENTRY),
    aim("futex_ping_pong", 0.33, SWITCH),
    aim("mutex_hand_over", 0.33, SWITCH),
    aim("thread_create_join", 0.33, ""),
    aim("fork_exit_wait", 0.4, "copying and freeing page tables and maps"),
    aim("vfork_exec_wait", 0.4, ""),
    aim("fork_exec_wait", 0.4, "fork's part, see there"),
    aim("fork_64m_dirty", 0.4, ""),
    aim("pipe_ping_pong", 0.33, SWITCH),
    aim(
        "pipe_64k",
        0.5,
        "two copies of 64 KiB by words, 16,600 instructions; a page moved instead of copied would spare one",
    ),
    aim("eventfd_ping_pong", 0.33, SWITCH),
    aim("signal_install", 0.33, ENTRY),
    aim(
        "signal_raise_handle",
        0.33,
        "some ten short locks and two looks at what is pending, on three ways through the kernel: the call, the handler's frame, its return",
    ),
    aim("signal_ping_pong", 0.33, SWITCH),
    aim("touch_new_page", 0.4, ""),
    aim("cow_break", 0.4, ""),
    aim("file_map_fault", 0.4, "a fault around maps a page at a time"),
    aim("mmap_munmap_1m", 0.4, ""),
    aim("mprotect_page", 0.4, ""),
    aim("open_close", 0.5, ""),
    aim(
        "stat_path",
        0.5,
        "the path's walk, which takes a lock and a reference at every step; a walk without either, as Linux's, would spare them",
    ),
    aim("pread_cached_4k", 0.5, "half of it is the copy of a page, 512 moves in both kernels"),
    aim("poll_two_pipes", 0.5, ENTRY),
    aim("epoll_wait_ready", 0.5, ENTRY),
    aim(
        "nanosleep_overshoot",
        0.33,
        "the interrupt that ends `hlt`, the CPU's timer queue, the switch to the thread and its way out of the call; an alarm set \
         that much earlier would hide it",
    ),
    aim("memory_in_use_kib", 0.33, ""),
    aim("memory_not_free_kib", 0.33, ""),
    aim("boot_to_first_program", 0.01, ""),
];

/// The aim of a line of one CPU.
pub fn of(line: &str) -> Option<&'static Aim> {
    ONE_CPU.iter().find(|aim| aim.line == line)
}
