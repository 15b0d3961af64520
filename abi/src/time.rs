//! Clocks and timers: clock_gettime(2), timer_create(2), setitimer(2), timerfd_create(2), adjtimex(2).

consts! {
    /// Clocks. A negative id names a process's or thread's CPU clock, see [`cpu_clock`].
    clock_name: i32 {
        CLOCK_REALTIME = 0,
        CLOCK_MONOTONIC = 1,
        CLOCK_PROCESS_CPUTIME_ID = 2,
        CLOCK_THREAD_CPUTIME_ID = 3,
        CLOCK_MONOTONIC_RAW = 4,
        CLOCK_REALTIME_COARSE = 5,
        CLOCK_MONOTONIC_COARSE = 6,
        CLOCK_BOOTTIME = 7,
        CLOCK_REALTIME_ALARM = 8,
        CLOCK_BOOTTIME_ALARM = 9,
        CLOCK_TAI = 11,
    }
}

// The kind in the low two bits of a CPU clock's id, and the bit that makes it a thread's.
consts! {
    u32 {
        CPUCLOCK_PROF = 0,
        CPUCLOCK_VIRT = 1,
        CPUCLOCK_SCHED = 2,
        CLOCKFD = 3,
        CPUCLOCK_PERTHREAD_MASK = 4,
    }
}

// Flag of clock_nanosleep(2) and timer_settime(2): the time is absolute.
consts! {
    u32 {
        TIMER_ABSTIME = 1,
    }
}

consts! {
    /// Timers of setitimer(2).
    itimer_name: u32 {
        ITIMER_REAL = 0,
        ITIMER_VIRTUAL = 1,
        ITIMER_PROF = 2,
    }
}

flags! {
    /// Flags of timerfd_create(2).
    TfdFlags: u32 {
        TFD_NONBLOCK = 0o4000,
        TFD_CLOEXEC = 0o2000000,
    }
}

flags! {
    /// Flags of timerfd_settime(2).
    TfdTimerFlags: u32 {
        TFD_TIMER_ABSTIME = 1,
        TFD_TIMER_CANCEL_ON_SET = 2,
    }
}

// `tv_nsec` of utimensat(2): the time now, and leave alone.
consts! {
    i64 {
        UTIME_NOW = 0x3fff_ffff,
        UTIME_OMIT = 0x3fff_fffe,
    }
}

/// Ticks a second in times(2), /proc and `siginfo_t`; `AT_CLKTCK`.
pub const CLOCKS_PER_SEC: u64 = 100;
/// Nanoseconds of a second.
pub const NSEC_PER_SEC: i64 = 1_000_000_000;

pods! {
    /// `struct timespec`.
    Timespec { tv_sec: i64, tv_nsec: i64, }

    /// `struct timeval`.
    Timeval { tv_sec: i64, tv_usec: i64, }

    /// `struct itimerspec`.
    Itimerspec { it_interval: Timespec, it_value: Timespec, }

    /// `struct itimerval`.
    Itimerval { it_interval: Timeval, it_value: Timeval, }

    /// `struct timezone`.
    Timezone { tz_minuteswest: i32, tz_dsttime: i32, }

    /// `struct utimbuf`.
    Utimbuf { actime: i64, modtime: i64, }

    /// `struct tms` (times(2)), in ticks.
    Tms { tms_utime: i64, tms_stime: i64, tms_cutime: i64, tms_cstime: i64, }

    /// `struct timex` (adjtimex(2), clock_adjtime(2)).
    Timex {
        modes: u32,
        __pad0: u32,
        offset: i64,
        freq: i64,
        maxerror: i64,
        esterror: i64,
        status: i32,
        __pad1: u32,
        constant: i64,
        precision: i64,
        tolerance: i64,
        time: Timeval,
        tick: i64,
        ppsfreq: i64,
        jitter: i64,
        shift: i32,
        __pad2: u32,
        stabil: i64,
        jitcnt: i64,
        calcnt: i64,
        errcnt: i64,
        stbcnt: i64,
        tai: i32,
        __pad3: [i32; 11],
    }
}

impl Timespec {
    /// Whether the kernel accepts it as a length of time: no negative part, under 10⁹ nanoseconds.
    pub const fn is_valid(self) -> bool {
        self.tv_sec >= 0 && self.tv_nsec >= 0 && self.tv_nsec < NSEC_PER_SEC
    }

    /// In nanoseconds, at most `u64::MAX`; `None` if not [valid](Timespec::is_valid).
    pub const fn to_ns(self) -> Option<u64> {
        if !self.is_valid() {
            return None;
        }
        Some(
            self.tv_sec
                .cast_unsigned()
                .saturating_mul(NSEC_PER_SEC as u64)
                .saturating_add(self.tv_nsec.cast_unsigned()),
        )
    }

    /// From nanoseconds.
    pub const fn from_ns(ns: u64) -> Timespec {
        Timespec { tv_sec: (ns / NSEC_PER_SEC as u64).cast_signed(), tv_nsec: (ns % NSEC_PER_SEC as u64).cast_signed() }
    }
}

impl Timeval {
    /// In nanoseconds, at most `u64::MAX`; `None` with a negative part or a million microseconds or more.
    pub const fn to_ns(self) -> Option<u64> {
        if self.tv_sec < 0 || self.tv_usec < 0 || self.tv_usec >= 1_000_000 {
            return None;
        }
        Some(
            self.tv_sec
                .cast_unsigned()
                .saturating_mul(NSEC_PER_SEC as u64)
                .saturating_add(self.tv_usec.cast_unsigned() * 1000),
        )
    }

    /// From nanoseconds, rounded down.
    pub const fn from_ns(ns: u64) -> Timeval {
        let time = Timespec::from_ns(ns);
        Timeval { tv_sec: time.tv_sec, tv_usec: time.tv_nsec / 1000 }
    }
}

/// The pid (or tid, if `true`) and kind of a negative clock id: `~pid << 3 | perthread << 2 | kind`.
pub const fn cpu_clock(id: i32) -> (i32, bool, u32) {
    let word = id.cast_unsigned();
    (!(id >> 3), word & CPUCLOCK_PERTHREAD_MASK != 0, word & 3)
}
