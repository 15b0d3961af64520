//! Resource limits (getrlimit(2)).

/// No limit.
pub const INFINITY: u64 = u64::MAX;

/// Kinds of limits, by Linux's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Resource {
    /// Processor time in seconds.
    Cpu = 0,
    /// Largest file, in bytes.
    FileSize = 1,
    /// Data segment and private writable mappings, in bytes.
    Data = 2,
    /// Stack, in bytes.
    Stack = 3,
    /// Core file, in bytes.
    Core = 4,
    /// Resident set: kept, without effect, as on Linux.
    ResidentSet = 5,
    /// Threads of the real user.
    Processes = 6,
    /// One more than the highest descriptor.
    Files = 7,
    /// Locked memory, in bytes.
    LockedMemory = 8,
    /// Address space, in bytes.
    AddressSpace = 9,
    /// File locks: kept, without effect, as on Linux.
    Locks = 10,
    /// Queued signals of the real user.
    PendingSignals = 11,
    /// Bytes in message queues.
    MessageQueues = 12,
    /// How low nice can go: 20 minus the value.
    Nice = 13,
    /// Highest real-time priority.
    RealTimePriority = 14,
    /// Microseconds a real-time thread may run without blocking.
    RealTime = 15,
}

impl Resource {
    /// The resource numbered so, if there is one.
    pub fn from_number(number: u32) -> Option<Self> {
        use Resource::*;
        let all = [
            Cpu,
            FileSize,
            Data,
            Stack,
            Core,
            ResidentSet,
            Processes,
            Files,
            LockedMemory,
            AddressSpace,
            Locks,
            PendingSignals,
            MessageQueues,
            Nice,
            RealTimePriority,
            RealTime,
        ];
        all.get(usize::try_from(number).ok()?).copied()
    }
}

/// A pair of limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// What is enforced.
    pub soft: u64,
    /// How far the soft limit can be raised.
    pub hard: u64,
}

impl Limit {
    /// The same soft and hard limit.
    pub const fn both(value: u64) -> Self {
        Self { soft: value, hard: value }
    }
}

/// A process's limits.
#[derive(Clone, Copy)]
pub struct Limits([Limit; 16]);

impl Limits {
    /// The limit for a resource.
    pub fn get(&self, resource: Resource) -> Limit {
        self.0[resource as usize]
    }

    /// Sets the limit for a resource.
    pub fn set(&mut self, resource: Resource, limit: Limit) {
        self.0[resource as usize] = limit;
    }
}

impl Default for Limits {
    /// What init starts with (`INIT_RLIMITS`), the numbers of threads and signals being those of a machine with 4 GiB.
    fn default() -> Self {
        let mut limits = Self([Limit::both(INFINITY); 16]);
        limits.set(Resource::Stack, Limit { soft: 8 << 20, hard: INFINITY });
        limits.set(Resource::Core, Limit { soft: 0, hard: INFINITY });
        limits.set(Resource::Processes, Limit::both(INFINITY));
        limits.set(Resource::Files, Limit { soft: 1024, hard: 4096 });
        limits.set(Resource::LockedMemory, Limit::both(8 << 20));
        limits.set(Resource::PendingSignals, Limit::both(15_731));
        limits.set(Resource::MessageQueues, Limit::both(819_200));
        limits.set(Resource::Nice, Limit::both(0));
        limits.set(Resource::RealTimePriority, Limit::both(0));
        limits
    }
}
