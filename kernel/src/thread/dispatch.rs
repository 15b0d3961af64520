//! System calls that a thread wants back (`syscall_user_dispatch()`): they become SIGSYS, and neither a tracer nor a filter
//! sees them.

use alloc::sync::Arc;

use super::{Private, Thread};
use crate::mem::UserIn;
use crate::process::Dispatch;
use crate::signal::{Info, Signal, code};

/// What the selector's byte says.
const ALLOW: u8 = 0;
const BLOCK: u8 = 1;

/// Before a system call: whether the thread gets it back. Then it has a signal to see to, and `rax` as it was. A selector
/// that cannot be read or says neither kills.
pub fn takes_back(thread: &Arc<Thread>, private: &Private, number: u64) -> bool {
    let Some(dispatch) = thread.dispatch() else { return false };
    let (signals, address) = (&thread.process.signals, private.context.rip);
    match selected(&dispatch, address) {
        Some(ALLOW) => return false,
        Some(BLOCK) => {
            let info = Info::system_call(code::SYS_USER_DISPATCH, address, number as i32, 0);
            signals.force(&thread.signals, Signal::SYS, info);
        }
        Some(_) => signals.force_fatal(&thread.signals, Signal::SYS),
        None => signals.force_fatal(&thread.signals, Signal::SEGV),
    }
    true
}

/// What is to become of a call from `address`; `None` if the selector cannot be read.
fn selected(dispatch: &Dispatch, address: u64) -> Option<u8> {
    if dispatch.passes.contains(&address) {
        return Some(ALLOW);
    }
    match dispatch.selector {
        0 => Some(BLOCK),
        selector => UserIn::<u8>::new(selector).read().ok(),
    }
}
