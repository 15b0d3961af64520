//! [`Info`]: what is known of one signal, in the layout of Linux's `siginfo_t`.
//!
//! User space sees 128 bytes; only the first 48 ever hold anything, so that is what is queued
//! (`kernel_siginfo_t`). All fields lie where the x86_64 ABI has them: `signo`, `errno`, `code`, four bytes
//! of padding, then a union whose members this file knows.

use abi::signal::SigInfo;

use super::Signal;

/// The information that travels with a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Info {
    /// The signal's number.
    pub signo: i32,
    /// Rarely used; what a user passed in rt_sigqueueinfo(2).
    pub errno: i32,
    /// Where the signal comes from: `SI_*`, or a code of the signal's own.
    pub code: i32,
    padding: i32,
    /// The union, from byte 16.
    fields: [u64; 4],
}

/// Values of [`Info::code`].
pub mod code {
    pub use abi::signal::{BUS_ADRALN, BUS_ADRERR, BUS_OBJERR};
    pub use abi::signal::{FPE_FLTDIV, FPE_FLTINV, FPE_FLTOVF, FPE_FLTRES, FPE_FLTUND, FPE_INTDIV, FPE_INTOVF};
    pub use abi::signal::{ILL_ILLOPN, SYS_SECCOMP, SYS_USER_DISPATCH, TRAP_BRKPT, TRAP_HWBKPT, TRAP_TRACE};
    pub use abi::signal::{SEGV_ACCERR, SEGV_MAPERR, SEGV_PKUERR};
    pub use abi::signal::{SI_ASYNCNL, SI_KERNEL, SI_QUEUE, SI_SIGIO, SI_TIMER, SI_TKILL, SI_USER};
    pub use abi::wait::{CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, CLD_TRAPPED};
}

/// Two 32-bit members side by side, the lower address first.
const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

impl Info {
    const fn with(signal: Signal, code: i32, fields: [u64; 4]) -> Info {
        Info { signo: signal.number() as i32, errno: 0, code, padding: 0, fields }
    }

    /// Sent by a process through kill(2) or tkill(2) (`code` tells which): `si_pid`, `si_uid`.
    pub const fn from_process(signal: Signal, code: i32, pid: i32, uid: u32) -> Info {
        Info::with(signal, code, [pair(pid as u32, uid), 0, 0, 0])
    }

    /// Sent by the kernel for no one (`SEND_SIG_PRIV`).
    pub const fn from_kernel(signal: Signal) -> Info {
        Info::with(signal, code::SI_KERNEL, [0; 4])
    }

    /// What a receiver learns of a signal whose information found no room in the queue.
    pub const fn unqueued(signal: Signal) -> Info {
        Info::with(signal, code::SI_USER, [0; 4])
    }

    /// A fault at `address`: `si_addr`.
    pub const fn fault(signal: Signal, code: i32, address: u64) -> Info {
        Info::with(signal, code, [address, 0, 0, 0])
    }

    /// A protection-key fault: `si_addr`, `si_pkey`.
    pub const fn key_fault(address: u64, key: u32) -> Info {
        Info::with(Signal::SEGV, code::SEGV_PKUERR, [address, 0, key as u64, 0])
    }

    /// A change of a child: `si_pid`, `si_uid`, `si_status`, `si_utime`, `si_stime` (in clock ticks).
    pub const fn child(signal: Signal, change: ChildChange) -> Info {
        let ChildChange { code, pid, uid, status, user_ticks, system_ticks } = change;
        Info::with(signal, code, [pair(pid as u32, uid), status as u32 as u64, user_ticks, system_ticks])
    }

    /// A POSIX timer's expiry: `si_timerid`, `si_overrun`, `si_value`.
    pub const fn timer(signal: Signal, id: i32, overrun: i32, value: u64) -> Info {
        Info::with(signal, code::SI_TIMER, [pair(id as u32, overrun as u32), value, 0, 0])
    }

    /// Sent with a value (`SI_QUEUE`, `SI_MESGQ`): `si_pid`, `si_uid`, `si_value`.
    pub const fn queued(signal: Signal, code: i32, pid: i32, uid: u32, value: u64) -> Info {
        Info::with(signal, code, [pair(pid as u32, uid), value, 0, 0])
    }

    /// A system call refused by a filter: `si_call_addr`, `si_syscall`, `si_arch`.
    pub const fn system_call(code: i32, address: u64, number: i32, errno: i32) -> Info {
        const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
        let mut info = Info::with(Signal::SYS, code, [address, pair(number as u32, AUDIT_ARCH_X86_64), 0, 0]);
        info.errno = errno;
        info
    }

    /// Readiness of a descriptor: `si_band`, `si_fd`.
    pub const fn poll(signal: Signal, code: i32, band: i64, fd: i32) -> Info {
        Info::with(signal, code, [band as u64, fd as u32 as u64, 0, 0])
    }

    /// The signal itself.
    pub const fn signal(&self) -> Option<Signal> {
        Signal::from_i32(self.signo)
    }

    /// `si_pid`, `si_timerid` in the timer's layout.
    pub const fn pid(&self) -> i32 {
        self.fields[0] as i32
    }

    /// `si_uid`, `si_overrun` in the timer's layout.
    pub const fn uid(&self) -> u32 {
        (self.fields[0] >> 32) as u32
    }

    /// `si_addr`.
    pub const fn address(&self) -> u64 {
        self.fields[0]
    }

    /// `si_value`.
    pub const fn value(&self) -> u64 {
        self.fields[1]
    }

    /// `si_status`.
    pub const fn status(&self) -> i32 {
        self.fields[1] as i32
    }

    /// The raw union, for those that interpret it by signal and code (signalfd).
    pub const fn fields(&self) -> &[u64; 4] {
        &self.fields
    }

    /// The same information with `si_pid` set, in the layouts that have one.
    pub const fn with_pid(mut self, pid: i32) -> Info {
        self.fields[0] = pair(pid as u32, (self.fields[0] >> 32) as u32);
        self
    }

    /// The same information with `si_overrun` set.
    pub const fn with_overrun(mut self, overrun: i32) -> Info {
        self.fields[0] = pair(self.fields[0] as u32, overrun as u32);
        self
    }

    /// Whether it came from user space (`SI_FROMUSER`).
    pub const fn is_from_user(&self) -> bool {
        self.code <= 0
    }

    /// What user space sees, the tail zero.
    pub fn to_user(&self) -> SigInfo {
        let mut info = SigInfo { si_signo: self.signo, si_errno: self.errno, si_code: self.code, ..SigInfo::default() };
        info.fields[..4].copy_from_slice(&self.fields);
        info
    }

    /// Reads what user space passed to rt_sigqueueinfo(2), or `None` if bytes that the kernel does not keep
    /// are in use (`copy_siginfo_from_user()`'s E2BIG: only for codes whose layout is unknown).
    pub fn from_user(info: &SigInfo) -> Option<Info> {
        let (kept, tail) = info.fields.split_at(4);
        let is_unknown = info.si_code > 0 || info.si_code < code::SI_ASYNCNL;
        if is_unknown && tail.iter().any(|word| *word != 0) {
            return None;
        }
        let fields = [kept[0], kept[1], kept[2], kept[3]];
        Some(Info { signo: info.si_signo, errno: info.si_errno, code: info.si_code, padding: 0, fields })
    }
}

/// What SIGCHLD tells a parent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChildChange {
    /// `CLD_*`.
    pub code: i32,
    /// The child.
    pub pid: i32,
    /// Its real user.
    pub uid: u32,
    /// Exit status, or the number of the signal that killed, stopped or continued it.
    pub status: i32,
    /// User time in ticks of 10 ms.
    pub user_ticks: u64,
    /// System time in ticks of 10 ms.
    pub system_ticks: u64,
}

#[cfg(test)]
mod tests {
    use abi::signal::{SiChild, SiFault};

    use super::*;

    #[test]
    fn information_survives_the_way_through_user_memory() {
        let info = Info::queued(Signal::RTMIN, code::SI_QUEUE, 7, 1000, 0x1234_5678_9abc_def0);
        assert_eq!(Info::from_user(&info.to_user()), Some(info));
        assert_eq!((info.pid(), info.uid(), info.value()), (7, 1000, 0x1234_5678_9abc_def0));
    }

    #[test]
    fn a_tail_in_use_is_refused_for_unknown_codes() {
        let mut info = Info::from_kernel(Signal::USR1).to_user();
        info.fields[13] = 1;
        assert_eq!(Info::from_user(&info), None);
    }

    #[test]
    fn si_status_and_si_addr_lie_where_the_abi_has_them() {
        let change = ChildChange { code: code::CLD_EXITED, pid: 5, uid: 0, status: 3, user_ticks: 1, system_ticks: 2 };
        let child: SiChild = Info::child(Signal::CHLD, change).to_user().view();
        assert_eq!((child.si_pid, child.si_status, child.si_utime, child.si_stime), (5, 3, 1, 2));
        let fault: SiFault = Info::fault(Signal::SEGV, code::SEGV_MAPERR, 0x1000).to_user().view();
        assert_eq!(fault.si_addr, 0x1000);
    }
}
