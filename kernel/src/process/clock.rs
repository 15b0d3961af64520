//! The CPU-time clocks of processes and threads (clock_getcpuclockid(3), `kernel/time/posix-cpu-timers.c`).

use alloc::sync::Arc;

use abi::time::*;

use super::{Pid, Process, Thread, Usage};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CpuTime {
    /// User and system time.
    All,
    /// User time alone.
    User,
}

/// Whose time is counted.
#[derive(Clone)]
enum Whose {
    Process(Arc<Process>),
    Thread(Arc<Thread>),
}

/// A CPU-time clock.
#[derive(Clone)]
pub struct CpuClock {
    whose: Whose,
    time: CpuTime,
}

impl CpuTime {
    /// The time counted of a usage.
    pub fn of(self, usage: &Usage) -> u64 {
        match self {
            CpuTime::All => usage.user_ns + usage.system_ns,
            CpuTime::User => usage.user_ns,
        }
    }
}

impl CpuClock {
    /// The clock with this id as `caller` may use it: fixed, or made of a pid (`pid_for_clock()`). A thread's clock
    /// is for threads of the same process. To read it, a thread may name its process by its own number.
    pub fn from_id(id: i32, caller: &Arc<Thread>, to_read: bool) -> Option<CpuClock> {
        let (pid, is_thread, kind) = match id {
            CLOCK_PROCESS_CPUTIME_ID => (0, false, CPUCLOCK_SCHED),
            CLOCK_THREAD_CPUTIME_ID => (0, true, CPUCLOCK_SCHED),
            0.. => return None,
            _ => {
                let bits = id.cast_unsigned();
                (!(id >> 3), bits & CPUCLOCK_PERTHREAD_MASK != 0, bits & CLOCKFD)
            }
        };
        let time = match kind {
            CPUCLOCK_PROF | CPUCLOCK_SCHED => CpuTime::All,
            CPUCLOCK_VIRT => CpuTime::User,
            _ => return None,
        };
        let whose = if is_thread { find_thread(pid, caller)? } else { find_process(pid, caller, to_read)? };
        Some(CpuClock { whose, time })
    }

    /// What the clock shows.
    pub fn now_ns(&self) -> u64 {
        match &self.whose {
            Whose::Process(process) => self.time.of(&process.usage()),
            Whose::Thread(thread) => self.time.of(&thread.usage_now()),
        }
    }

    /// The process whose time, or whose thread's time, is counted.
    pub fn process(&self) -> &Arc<Process> {
        match &self.whose {
            Whose::Process(process) => process,
            Whose::Thread(thread) => &thread.process,
        }
    }

    /// Whether the clock counts the time of `thread` alone, which stands still while it sleeps.
    pub fn is_of_thread(&self, thread: &Arc<Thread>) -> bool {
        matches!(&self.whose, Whose::Thread(counted) if Arc::ptr_eq(counted, thread))
    }
}

fn find_thread(pid: Pid, caller: &Arc<Thread>) -> Option<Whose> {
    if pid == 0 {
        return Some(Whose::Thread(caller.clone()));
    }
    let thread = caller.process.table.thread(pid)?;
    Arc::ptr_eq(&thread.process, &caller.process).then_some(Whose::Thread(thread))
}

fn find_process(pid: Pid, caller: &Arc<Thread>, to_read: bool) -> Option<Whose> {
    if pid == 0 || to_read && pid == caller.tid() {
        return Some(Whose::Process(caller.process.clone()));
    }
    caller.process.table.process(pid).map(Whose::Process)
}
