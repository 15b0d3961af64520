//! Waiting on many words at once: futex_waitv(2).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::Poll;

use abi::Errno;
use abi::futex::FUTEX_BITSET_MATCH_ANY;

use super::{Futex, Refused, Role, Waiter, table};
use crate::mem::Access;
use crate::process::Thread;
use crate::sync::executor;
use crate::thread::Interruptible;

/// A word and the value it must hold.
#[derive(Clone, Copy)]
pub struct Expected {
    /// The word.
    pub futex: Futex,
    /// The value.
    pub value: u32,
}

/// Waits on all words until one is woken; gives its index. Errors: EAGAIN if one has another value, ETIMEDOUT, EFAULT,
/// ERESTARTSYS. Order: `futex_wait_multiple()`.
pub async fn wait(thread: &Thread, words: &[Expected], deadline_ns: u64) -> Result<usize, Errno> {
    loop {
        match try_wait(thread, words, deadline_ns).await {
            Err(Failure::Absent(index)) => words[index].futex.word.bring_in(Access::Read)?,
            Err(Failure::Other(error)) => return Err(error),
            Ok(index) => return Ok(index),
        }
    }
}

/// Why a wait did not end with a wake.
enum Failure {
    /// The page of this word is not there just now.
    Absent(usize),
    /// An error for the user.
    Other(Errno),
}

async fn try_wait(thread: &Thread, words: &[Expected], deadline_ns: u64) -> Result<usize, Failure> {
    let mut waits = Vec::new();
    waits.try_reserve_exact(words.len()).map_err(|_| Failure::Other(Errno::ENOMEM))?;
    for expected in words {
        let check = move || match expected.futex.word.load_resident() {
            None => Err(Refused::Absent),
            Some(found) if found != expected.value => Err(Refused::Differs),
            Some(_) => Ok(()),
        };
        let waiter = Waiter { bitset: FUTEX_BITSET_MATCH_ANY, role: Role::Plain };
        waits.push(Box::pin(table().wait(expected.futex.key, waiter, check)));
    }
    let any = poll_fn(|cx| {
        for (index, wait) in waits.iter_mut().enumerate() {
            if let Poll::Ready(result) = Pin::as_mut(wait).poll(cx) {
                return Poll::Ready((index, result));
            }
        }
        Poll::Pending
    });
    let slept = executor::timeout_at(deadline_ns, any);
    let failure = match Interruptible::new(thread, slept).await {
        Ok(Ok((index, Ok(())))) => return Ok(last_woken(&mut waits, index)),
        // A word that was queued on earlier may have been woken before a later one was looked at.
        Ok(Ok((index, Err(refused)))) => {
            waits.truncate(index);
            match refused {
                Refused::Absent => Failure::Absent(index),
                Refused::Differs => Failure::Other(Errno::EAGAIN),
            }
        }
        Ok(Err(_elapsed)) => Failure::Other(Errno::ETIMEDOUT),
        Err(_interrupted) => Failure::Other(Errno::ERESTARTSYS),
    };
    let woken = waits.iter_mut().rposition(|wait| Pin::as_mut(wait).leave());
    woken.ok_or(failure)
}

/// Of the words woken, the last, as Linux has it.
fn last_woken<F>(waits: &mut [Pin<Box<runtime::KeyedWait<'_, super::FutexKey, Waiter, F>>>], first: usize) -> usize {
    waits.iter_mut().rposition(|wait| Pin::as_mut(wait).leave()).unwrap_or(first)
}
