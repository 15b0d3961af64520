//! Stand-ins for the machine when the kernel's library is built for the host, where its tests run.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

use alloc::sync::Arc;
use alloc::vec::Vec;

use spin::Mutex;

use super::{Trap, UserContext, UserMode};

/// CPUs the kernel's tables have room for.
pub const MAX_CPUS: usize = 64;

/// Waits a little inside a spin loop.
pub fn relax() {
    std::thread::yield_now();
}

/// The index of this CPU: on the host each living thread counts as one.
pub fn cpu_index() -> usize {
    static USED: AtomicU64 = AtomicU64::new(0);
    struct Index(usize);
    impl Drop for Index {
        fn drop(&mut self) {
            USED.fetch_and(!(1 << self.0), Ordering::Release);
        }
    }
    fn acquire() -> Index {
        loop {
            let used = USED.load(Ordering::Relaxed);
            let index = used.trailing_ones();
            assert!((index as usize) < MAX_CPUS, "more than {MAX_CPUS} threads at once");
            if USED.compare_exchange(used, used | 1 << index, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return Index(index as usize);
            }
        }
    }
    std::thread_local!(static INDEX: Index = acquire());
    // A thread that is being torn down has given its index back already: any other's will do for its last drops.
    INDEX.try_with(|index| index.0).unwrap_or(MAX_CPUS - 1)
}

/// What stands for user mode on the host: called with the registers, it plays the program until its next trap. All it
/// knows is in the registers and in user memory, so that a copy of the registers is a clone of the thread.
pub type Program = Arc<dyn Fn(&mut UserContext) -> Trap + Send + Sync>;

/// Runs the program in the thread's [`LiveState`] until a trap that [`UserMode::system_call`] does not see to.
pub fn enter<U: UserMode>(user: &mut U) -> Trap {
    loop {
        let (context, live) = user.state();
        let program = live.program.lock().clone();
        let trap = program.expect("a host thread has a program")(context);
        if trap != Trap::Syscall || !user.system_call() {
            return trap;
        }
    }
}

/// The stand-in for a thread's vector registers and segment bases: it holds the thread's program.
pub struct LiveState {
    program: Mutex<Option<Program>>,
    fs_base: AtomicU64,
    gs_base: AtomicU64,
}

impl LiveState {
    /// The state of a program that has just been loaded.
    pub fn new() -> Self {
        Self { program: Mutex::new(None), fs_base: AtomicU64::new(0), gs_base: AtomicU64::new(0) }
    }

    /// Sets the program that plays user mode.
    pub fn set_program(&self, program: Program) {
        *self.program.lock() = Some(program);
    }

    /// A copy for a new thread, which plays the same program.
    pub fn duplicate(&self) -> Self {
        let copy = Self::new();
        *copy.program.lock() = self.program.lock().clone();
        copy.set_fs_base(self.fs_base());
        copy.set_gs_base(self.gs_base());
        copy
    }

    /// Whether RDTSC faults: what plays user mode has no such instruction.
    pub fn tsc_faults(&self) -> bool {
        false
    }

    /// Nothing is there to fault.
    pub fn set_tsc_faults(&self, _faults: bool) {}

    /// Forgets the state: the thread executes a new program or dies.
    pub fn reset(&self) {
        self.set_fs_base(0);
        self.set_gs_base(0);
    }

    /// The FS base.
    pub fn fs_base(&self) -> u64 {
        self.fs_base.load(Ordering::Relaxed)
    }

    /// Sets the FS base.
    pub fn set_fs_base(&self, base: u64) {
        self.fs_base.store(base, Ordering::Relaxed);
    }

    /// The GS base.
    pub fn gs_base(&self) -> u64 {
        self.gs_base.load(Ordering::Relaxed)
    }

    /// Sets the GS base.
    pub fn set_gs_base(&self, base: u64) {
        self.gs_base.store(base, Ordering::Relaxed);
    }

    /// The XSAVE area in the standard format, as a signal frame or a debugger wants it.
    pub fn save_xstate(&self) -> Vec<u8> {
        alloc::vec![0; xstate_size()]
    }

    /// Replaces the vector state by an XSAVE area in the standard format. `false` if the area is malformed.
    pub fn restore_xstate(&self, area: &[u8]) -> bool {
        area.len() >= 576
    }

    /// Never straight from registers: the caller takes the other way.
    pub fn save_xstate_to_user(&self, _addr: u64) -> bool {
        false
    }

    /// Never straight into registers: the caller takes the other way.
    pub fn restore_xstate_from_user(&self, _addr: u64) -> bool {
        false
    }

    /// Puts the vector state into its initial state.
    pub fn clear_xstate(&self) {}
}

impl Default for LiveState {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes of an XSAVE area in the standard format with all enabled components.
pub fn xstate_size() -> usize {
    832
}

/// The enabled state components (XCR0).
pub fn xstate_features() -> u64 {
    7
}

std::thread_local!(static CLOCK: Cell<Option<fn() -> u64>> = const { Cell::new(None) });

/// Gives this thread of the test another clock: that of a simulated machine.
pub fn set_clock(clock: fn() -> u64) {
    CLOCK.set(Some(clock));
}

/// Nanoseconds of this machine's monotonic clock.
pub fn monotonic_ns() -> u64 {
    if let Some(clock) = CLOCK.get() {
        return clock();
    }
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
}

/// A counter of time: nanoseconds here.
pub fn ticks() -> u64 {
    monotonic_ns()
}

/// How long so many ticks are, in nanoseconds.
pub fn ticks_to_ns(ticks: u64) -> u64 {
    ticks
}

/// Nanoseconds since the Unix epoch at which [`monotonic_ns`] was 0.
pub fn boot_time_unix_ns() -> u64 {
    0
}

/// Ends the machine, which on the host is a test.
pub fn power_off() -> ! {
    panic!("the machine was switched off")
}

/// A random number from the machine's entropy source.
pub fn random_u64() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// Asks the CPUs in `mask` (a bit per index) to leave user mode or idle and look at what they have to do.
pub fn kick(_mask: u64) {}

/// Waits for an interrupt, serves it, returns.
pub fn idle() {
    std::thread::yield_now();
}

/// Sets this CPU's one-shot alarm to the monotonic time `deadline_ns`, or switches it off.
pub fn set_alarm(_deadline_ns: Option<u64>) {}

/// Writes to the console, as a program's output is written: byte for byte.
pub fn console_write(bytes: &[u8]) {
    std::print!("{}", std::string::String::from_utf8_lossy(bytes));
}

/// Writes a line of the kernel's log.
pub fn log_write(bytes: &[u8]) {
    std::eprint!("{}", std::string::String::from_utf8_lossy(bytes));
}

/// A port on the host's side that takes a program's output byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputPort {
    /// Standard output that is no terminal.
    Stdout,
    /// Standard error that is no terminal.
    Stderr,
}

/// Writes to one of the output ports.
pub fn output_write(_port: OutputPort, bytes: &[u8]) {
    console_write(bytes);
}

/// Takes what the console has received: nothing on the host.
pub fn console_read(_buffer: &mut [u8]) -> usize {
    0
}

/// Takes what the link has received: nothing on the host.
pub fn link_read(_buffer: &mut [u8]) -> usize {
    0
}

/// The device lines (a bit each) that have interrupted this CPU since the last call.
pub fn take_device_interrupts() -> u32 {
    0
}

/// Where in the vDSO's image the code begins.
pub const VDSO_CODE_OFFSET: usize = 0x400;

/// What the vDSO's code reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct VdsoData {
    /// The time stamp counter at monotonic time 0.
    pub start_ticks: u64,
    /// Nanoseconds a tick, 32.32 fixed point.
    pub ns_per_tick: u64,
    /// What to add to monotonic time to get nanoseconds since the Unix epoch.
    pub wall_ns: u64,
}

/// The scale of the counter behind [`monotonic_ns`].
pub struct TscScale {
    /// The counter at monotonic time 0.
    pub start: u64,
    /// Nanoseconds per tick, 32.32 fixed point.
    pub mult: u64,
}

/// The host's counter is its clock.
pub fn tsc_scale() -> TscScale {
    TscScale { start: 0, mult: 1 << 32 }
}

/// The vDSO's code: five one-byte returns.
pub fn vdso_code() -> &'static [u8] {
    &[0xc3; 5]
}

/// The vDSO's functions: name, and offset in [`vdso_code`].
pub fn vdso_functions() -> [(&'static str, usize); 5] {
    [("clock_gettime", 0), ("gettimeofday", 1), ("time", 2), ("getcpu", 3), ("clock_getres", 4)]
}

/// A CPU.
pub struct CpuDescription {
    /// Who made it.
    pub vendor: alloc::string::String,
    /// Its family.
    pub family: u32,
    /// Its model.
    pub model: u32,
    /// Its stepping.
    pub stepping: u32,
    /// Its name.
    pub name: alloc::string::String,
    /// The frequency of its time stamp counter.
    pub khz: u64,
    /// What it can do, by Linux's names.
    pub flags: alloc::string::String,
}

/// The host's CPU, which tells nothing of itself.
pub fn cpu_description() -> CpuDescription {
    let unknown = alloc::string::String::new;
    CpuDescription { vendor: unknown(), family: 6, model: 0, stepping: 0, name: unknown(), khz: 0, flags: unknown() }
}
