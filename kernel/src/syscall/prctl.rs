//! prctl(2): odd properties of threads and processes.

use abi::Errno;
use abi::prctl::*;
use core::fmt;
use core::sync::atomic::Ordering;

use super::{Cx, FromRegister, SyscallResult, TraceArgument, cred};
use crate::mem::{self, UserAddr, UserOut};
use crate::process::{COMM_BYTES, DEFAULT_TIMER_SLACK_NS};
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
pub fn sys_prctl(cx: &mut Cx<'_>, option: PrctlOption, a: u64, b: u64, c: u64, d: u64) -> SyscallResult {
    let thread = cx.thread;
    let process = &thread.process;
    let rest_unused = |arguments: &[u64]| if arguments.iter().all(|a| *a == 0) { Ok(()) } else { Err(Errno::EINVAL) };
    match option.0 {
        PR_SET_PDEATHSIG => {
            let signal = match a {
                0 => None,
                number => Some(u32::try_from(number).ok().and_then(Signal::new).ok_or(Errno::EINVAL)?),
            };
            thread.set_parent_death_signal(signal);
            Ok(0)
        }
        PR_GET_PDEATHSIG => {
            let number = thread.parent_death_signal().map_or(0, |signal| i32::from(signal.number()));
            UserOut::<i32>::new(a).write(&number)?;
            Ok(0)
        }
        PR_GET_DUMPABLE => Ok(process.dumpable.load(Ordering::Relaxed).into()),
        PR_SET_DUMPABLE => {
            let dumpable = u8::try_from(a).ok().filter(|value| *value <= 1).ok_or(Errno::EINVAL)?;
            process.dumpable.store(dumpable, Ordering::Relaxed);
            Ok(0)
        }
        PR_GET_KEEPCAPS => Ok(usize::from(cx.private.cred.securebits & cred::KEEP_CAPS != 0)),
        PR_SET_KEEPCAPS => cred::set_keep_caps(cx, a),
        PR_SET_NAME => set_name(cx, a),
        PR_GET_NAME => {
            mem::user::copy_out(UserAddr(a), &thread.comm())?;
            Ok(0)
        }
        PR_GET_TIMING => Ok(0),
        PR_SET_TIMING => {
            if a == 0 {
                Ok(0)
            } else {
                Err(Errno::EINVAL)
            }
        }
        PR_GET_SECCOMP => Ok(0),
        PR_CAPBSET_READ => Ok(usize::from(cx.private.cred.bounding.contains(cred::capability(a)?))),
        PR_CAPBSET_DROP => cred::drop_bounding(cx, a),
        PR_GET_TSC => {
            UserOut::<u32>::new(a).write(&(PR_TSC_ENABLE as u32))?;
            Ok(0)
        }
        PR_SET_TSC => {
            if a == PR_TSC_ENABLE {
                Ok(0)
            } else {
                Err(Errno::EINVAL)
            }
        }
        PR_GET_SECUREBITS => Ok(cx.private.cred.securebits as usize),
        PR_SET_SECUREBITS => cred::set_secure_bits(cx, a),
        PR_GET_TIMERSLACK => Ok(thread.timer_slack_ns.load(Ordering::Relaxed) as usize),
        PR_SET_TIMERSLACK => {
            let slack = if a.cast_signed() <= 0 { DEFAULT_TIMER_SLACK_NS } else { a };
            thread.timer_slack_ns.store(slack, Ordering::Relaxed);
            Ok(0)
        }
        PR_SET_CHILD_SUBREAPER => {
            process.is_subreaper.store(a != 0, Ordering::Relaxed);
            Ok(0)
        }
        PR_GET_CHILD_SUBREAPER => {
            UserOut::<i32>::new(a).write(&process.is_subreaper.load(Ordering::Relaxed).into())?;
            Ok(0)
        }
        PR_SET_NO_NEW_PRIVS => {
            rest_unused(&[b, c, d])?;
            if a != 1 {
                return Err(Errno::EINVAL);
            }
            thread.no_new_privs.store(true, Ordering::Relaxed);
            Ok(0)
        }
        PR_GET_NO_NEW_PRIVS => {
            rest_unused(&[a, b, c, d])?;
            Ok(thread.no_new_privs.load(Ordering::Relaxed).into())
        }
        PR_GET_TID_ADDRESS => {
            UserOut::<u64>::new(a).write(&thread.clear_child_tid.load(Ordering::Relaxed))?;
            Ok(0)
        }
        PR_GET_THP_DISABLE => {
            rest_unused(&[a, b, c, d])?;
            Ok(0)
        }
        PR_SET_THP_DISABLE => {
            rest_unused(&[b, c, d])?;
            Ok(0)
        }
        PR_CAP_AMBIENT => {
            rest_unused(&[c, d])?;
            cred::ambient(cx, a, b)
        }
        // Names of anonymous mappings are not kept; Linux without CONFIG_ANON_VMA_NAME says the same.
        _ => Err(Errno::EINVAL),
    }
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
