//! prctl(2): odd properties of threads and processes.

use abi::prctl::*;
use abi::{Errno, Pod};
use core::fmt;
use core::sync::atomic::Ordering;

use super::{Cx, FromRegister, SyscallResult, TraceArgument, cred, seccomp};
use crate::fs::Capabilities;
use crate::mem::{self, USER_END, UserAddr, UserOut};
use crate::process::{COMM_BYTES, DEFAULT_TIMER_SLACK_NS, Dispatch, Process, Thread, Wishes};
use crate::signal::Signal;

/// The option word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrctlOption(u32);

impl FromRegister for PrctlOption {
    #[inline(always)]
    fn from_register(value: u64) -> Self {
        Self(value as u32)
    }
}

impl TraceArgument for PrctlOption {
    fn trace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match prctl_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

/// prctl(2). Errors: EINVAL for options this kernel does not have, and those of each option.
///
/// Deviates: names of anonymous mappings are not kept; Linux without `CONFIG_ANON_VMA_NAME` says the same.
pub fn sys_prctl(cx: &mut Cx<'_>, option: PrctlOption, a: u64, b: u64, c: u64, d: u64) -> SyscallResult {
    let call = Call { option: option.0, arguments: [a, b, c, d] };
    call.privileges(cx).or_else(|| call.process(cx)).or_else(|| call.thread(cx)).unwrap_or(Err(Errno::EINVAL))
}

/// An option and its arguments. Each method answers one family of options, and gives `None` for others.
struct Call {
    option: u32,
    arguments: [u64; 4],
}

impl Call {
    /// Newer options refuse arguments they do not use. Errors: EINVAL.
    fn check_unused(&self, from: usize) -> Result<(), Errno> {
        if self.arguments[from..].iter().all(|argument| *argument == 0) { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// What the caller may do and will be able to.
    fn privileges(&self, cx: &mut Cx<'_>) -> Option<SyscallResult> {
        let [a, b, ..] = self.arguments;
        Some(match self.option {
            PR_GET_KEEPCAPS => Ok(usize::from(cx.private.cred.securebits & cred::KEEP_CAPS != 0)),
            PR_SET_KEEPCAPS => cred::set_keep_caps(cx, a),
            PR_CAPBSET_READ => {
                cred::capability(a).map(|capability| cx.private.cred.bounding.contains(capability).into())
            }
            PR_CAPBSET_DROP => cred::drop_bounding(cx, a),
            PR_GET_SECUREBITS => Ok(cx.private.cred.securebits as usize),
            PR_SET_SECUREBITS => cred::set_secure_bits(cx, a),
            PR_CAP_AMBIENT => self.check_unused(2).and_then(|()| cred::ambient(cx, a, b)),
            PR_SET_NO_NEW_PRIVS => self.check_unused(1).and_then(|()| set_no_new_privs(cx, a)),
            PR_GET_NO_NEW_PRIVS => self.check_unused(0).map(|()| cx.thread.no_new_privs.load(Ordering::Relaxed).into()),
            PR_GET_SECCOMP => Ok(cx.thread.filters().map_or(0, |filters| filters.mode() as usize)),
            PR_SET_SECCOMP => seccomp::set_mode(cx, a, b),
            PR_SET_IO_FLUSHER | PR_GET_IO_FLUSHER => self.io_flusher(cx),
            _ => return None,
        })
    }

    /// What concerns the whole process.
    fn process(&self, cx: &mut Cx<'_>) -> Option<SyscallResult> {
        let [a, ..] = self.arguments;
        let process = cx.process();
        Some(match self.option {
            PR_GET_DUMPABLE => Ok(process.dumpable.load(Ordering::Relaxed).into()),
            PR_SET_DUMPABLE => set_dumpable(process, a),
            PR_SET_CHILD_SUBREAPER => {
                process.is_subreaper.store(a != 0, Ordering::Relaxed);
                Ok(0)
            }
            PR_GET_CHILD_SUBREAPER => write(a, &i32::from(process.is_subreaper.load(Ordering::Relaxed))),
            // There are no counters to be stopped.
            PR_TASK_PERF_EVENTS_DISABLE | PR_TASK_PERF_EVENTS_ENABLE => Ok(0),
            PR_GET_TIMING => Ok(0),
            PR_SET_TIMING => unless(a != 0),
            PR_GET_THP_DISABLE => self.check_unused(0).map(|()| 0),
            PR_SET_THP_DISABLE => self.check_unused(1).map(|()| 0),
            _ => return None,
        })
    }

    /// What concerns the calling thread alone.
    fn thread(&self, cx: &mut Cx<'_>) -> Option<SyscallResult> {
        let [a, b, ..] = self.arguments;
        let thread = cx.thread;
        Some(match self.option {
            PR_SET_PDEATHSIG => set_parent_death_signal(thread, a),
            PR_GET_PDEATHSIG => write(a, &thread.parent_death_signal().map_or(0, |signal| i32::from(signal.number()))),
            PR_SET_NAME => set_name(cx, a),
            PR_GET_NAME => mem::user::copy_out(UserAddr(a), &thread.comm()).map(|()| 0),
            PR_GET_TSC => {
                let mode = if cx.private.live.tsc_faults() { PR_TSC_SIGSEGV } else { PR_TSC_ENABLE };
                write(a, &(mode as u32))
            }
            PR_SET_TSC => set_tsc(cx, a),
            PR_GET_TIMERSLACK => Ok(thread.timer_slack_ns.load(Ordering::Relaxed) as usize),
            PR_SET_TIMERSLACK => {
                let slack = if a.cast_signed() <= 0 { DEFAULT_TIMER_SLACK_NS } else { a };
                thread.timer_slack_ns.store(slack, Ordering::Relaxed);
                Ok(0)
            }
            PR_MCE_KILL => self.set_memory_error_policy(thread),
            PR_MCE_KILL_GET => self.check_unused(0).map(|()| thread.wishes().memory_error_policy.into()),
            PR_GET_SPECULATION_CTRL => self.check_unused(1).and_then(|()| speculation(a)),
            PR_SET_SPECULATION_CTRL => self.check_unused(2).and_then(|()| set_speculation(a, b)),
            PR_SET_SYSCALL_USER_DISPATCH => self.set_dispatch(thread),
            PR_GET_TID_ADDRESS => write(a, &thread.clear_child_tid.load(Ordering::Relaxed)),
            _ => return None,
        })
    }
}

impl Call {
    /// `PR_SET_IO_FLUSHER`, `PR_GET_IO_FLUSHER`. Errors: EPERM, EINVAL.
    fn io_flusher(&self, cx: &mut Cx<'_>) -> SyscallResult {
        if !cx.private.cred.capable(Capabilities::SYS_RESOURCE) {
            return Err(Errno::EPERM);
        }
        let wishes = cx.thread.wishes();
        if self.option == PR_GET_IO_FLUSHER {
            return self.check_unused(0).map(|()| wishes.is_io_flusher.into());
        }
        self.check_unused(1)?;
        match self.arguments[0] {
            wanted @ 0..=1 => cx.thread.set_wishes(Wishes { is_io_flusher: wanted != 0, ..wishes }),
            _ => return Err(Errno::EINVAL),
        }
        Ok(0)
    }

    /// `PR_MCE_KILL`. Errors: EINVAL.
    fn set_memory_error_policy(&self, thread: &Thread) -> SyscallResult {
        let [operation, policy, ..] = self.arguments;
        let policy = match operation {
            PR_MCE_KILL_CLEAR => self.check_unused(1).map(|()| PR_MCE_KILL_DEFAULT)?,
            PR_MCE_KILL_SET if policy <= PR_MCE_KILL_DEFAULT => self.check_unused(2).map(|()| policy)?,
            _ => return Err(Errno::EINVAL),
        };
        thread.set_wishes(Wishes { memory_error_policy: policy as u8, ..thread.wishes() });
        Ok(0)
    }

    /// `PR_SET_SYSCALL_USER_DISPATCH` (`set_syscall_user_dispatch()`). Errors: EINVAL, EFAULT.
    fn set_dispatch(&self, thread: &Thread) -> SyscallResult {
        let [mode, start, len, selector] = self.arguments;
        let dispatch = match mode {
            PR_SYS_DISPATCH_OFF => self.check_unused(1).map(|()| None)?,
            PR_SYS_DISPATCH_ON if start != 0 && start.wrapping_add(len) <= start => return Err(Errno::EINVAL),
            PR_SYS_DISPATCH_ON if selector >= USER_END => return Err(Errno::EFAULT),
            PR_SYS_DISPATCH_ON => Some(Dispatch::new(start..start.saturating_add(len), selector)),
            _ => return Err(Errno::EINVAL),
        };
        thread.set_dispatch(dispatch);
        Ok(0)
    }
}

/// `PR_SET_TSC`: whether RDTSC works or faults. Errors: EINVAL.
fn set_tsc(cx: &mut Cx<'_>, mode: u64) -> SyscallResult {
    match mode {
        PR_TSC_ENABLE => cx.private.live.set_tsc_faults(false),
        PR_TSC_SIGSEGV => cx.private.live.set_tsc_faults(true),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// `PR_GET_SPECULATION_CTRL`, as on a processor without these weaknesses (`arch_prctl_spec_ctrl_get()`). Errors: ENODEV.
fn speculation(which: u64) -> SyscallResult {
    match which {
        PR_SPEC_STORE_BYPASS | PR_SPEC_INDIRECT_BRANCH => Ok(PR_SPEC_NOT_AFFECTED as usize),
        PR_SPEC_L1D_FLUSH => Ok(PR_SPEC_FORCE_DISABLE as usize),
        _ => Err(Errno::ENODEV),
    }
}

/// `PR_SET_SPECULATION_CTRL`: nothing can be controlled (`arch_prctl_spec_ctrl_set()`). Errors: ENXIO, EPERM, ERANGE, ENODEV.
fn set_speculation(which: u64, control: u64) -> SyscallResult {
    match (which, control) {
        (PR_SPEC_STORE_BYPASS, _) => Err(Errno::ENXIO),
        (PR_SPEC_INDIRECT_BRANCH, PR_SPEC_ENABLE) => Ok(0),
        (PR_SPEC_INDIRECT_BRANCH, PR_SPEC_DISABLE | PR_SPEC_FORCE_DISABLE) => Err(Errno::EPERM),
        (PR_SPEC_INDIRECT_BRANCH, _) => Err(Errno::ERANGE),
        (PR_SPEC_L1D_FLUSH, _) => Err(Errno::EPERM),
        _ => Err(Errno::ENODEV),
    }
}

/// Writes a value where the caller wants it. Errors: EFAULT.
fn write<T: Pod>(address: u64, value: &T) -> SyscallResult {
    UserOut::<T>::new(address).write(value).map(|()| 0)
}

/// Errors: EINVAL if what is asked for is not there.
fn unless(is_missing: bool) -> SyscallResult {
    if is_missing { Err(Errno::EINVAL) } else { Ok(0) }
}

/// `PR_SET_NO_NEW_PRIVS`. Errors: EINVAL for all but 1.
fn set_no_new_privs(cx: &mut Cx<'_>, value: u64) -> SyscallResult {
    if value != 1 {
        return Err(Errno::EINVAL);
    }
    cx.thread.no_new_privs.store(true, Ordering::Relaxed);
    Ok(0)
}

/// `PR_SET_DUMPABLE`. Errors: EINVAL for all but 0 and 1.
fn set_dumpable(process: &Process, value: u64) -> SyscallResult {
    let dumpable = u8::try_from(value).ok().filter(|value| *value <= 1).ok_or(Errno::EINVAL)?;
    process.dumpable.store(dumpable, Ordering::Relaxed);
    Ok(0)
}

/// `PR_SET_PDEATHSIG`; 0 for none. Errors: EINVAL.
fn set_parent_death_signal(thread: &Thread, number: u64) -> SyscallResult {
    let signal = match number {
        0 => None,
        number => Some(u32::try_from(number).ok().and_then(Signal::new).ok_or(Errno::EINVAL)?),
    };
    thread.set_parent_death_signal(signal);
    Ok(0)
}

/// `PR_SET_NAME`: at most 16 bytes, the last a NUL. Errors: EFAULT.
fn set_name(cx: &mut Cx<'_>, address: u64) -> SyscallResult {
    let mut name = [0; COMM_BYTES];
    let len = match mem::UserStr::new(address).read_into(&mut name[..COMM_BYTES - 1])? {
        Some(name) => name.len(),
        None => COMM_BYTES - 1,
    };
    cx.thread.set_comm(&name[..len]);
    Ok(0)
}
