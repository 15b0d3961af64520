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
const ENTRY: &str = "the way in and out of the kernel (see [paths.md](paths.md)): all registers are stored and loaded, because a \
    trap comes back as a value and the thread may then await; a second, short way for calls that cannot wait would save a third";

/// A thread switch.
const SWITCH: &str = "a switch saves and loads the vector registers' state, bases and page table as Linux's does; what is \
    left is the calls' own work (see [paths.md](paths.md))";

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
        "musl's part and the counter's reading are most of it; the vDSO's own is 20 instructions",
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
    aim("pipe_64k", 0.5, "two copies of 64 KiB, 16,000 instructions in both kernels"),
    aim("eventfd_ping_pong", 0.33, SWITCH),
    aim("signal_install", 0.33, ENTRY),
    aim("signal_raise_handle", 0.33, "the frame: 2,700 bytes of vector state are written to the stack and read back"),
    aim("signal_ping_pong", 0.33, SWITCH),
    aim("touch_new_page", 0.4, ""),
    aim("cow_break", 0.4, ""),
    aim("file_map_fault", 0.4, "a fault around maps a page at a time"),
    aim("mmap_munmap_1m", 0.4, ""),
    aim("mprotect_page", 0.4, ""),
    aim("open_close", 0.5, "the path's walk and the file's making, an allocation each"),
    aim("stat_path", 0.5, "the path's walk"),
    aim("pread_cached_4k", 0.5, "half of it is the copy of a page, 512 moves in both kernels"),
    aim("poll_two_pipes", 0.5, ENTRY),
    aim("epoll_wait_ready", 0.5, ENTRY),
    aim("nanosleep_overshoot", 0.33, ""),
    aim("memory_in_use_kib", 0.33, ""),
    aim("memory_not_free_kib", 0.33, ""),
    aim("boot_to_first_program", 0.01, ""),
];

/// The aim of a line of one CPU.
pub fn of(line: &str) -> Option<&'static Aim> {
    ONE_CPU.iter().find(|aim| aim.line == line)
}
