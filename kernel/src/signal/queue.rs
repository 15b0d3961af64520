//! [`Pending`]: the signals sent and not yet taken, of a thread or of a process.
//!
//! A set says which signals are pending; the queue holds their information in the order of arrival. A
//! standard signal is queued at most once. Real-time signals queue up, each against its user's
//! RLIMIT_SIGPENDING. A standard signal is never lost for want of room: its bit is set without information.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use super::{Info, SigSet, Signal, code};
use crate::sync::{Rank, SpinLock};

/// What POSIX timers need of the queue: their one entry is theirs, and knows when it is taken.
pub trait QueuedTimer: Send + Sync {
    /// The entry leaves the queue for delivery: the overrun count to report, the timer being rearmed.
    /// `None` if the timer was deleted or set anew since, and the signal must not be delivered.
    fn take(self: Arc<Self>) -> Option<i32>;
}

/// A signal with its information, waiting.
pub struct Queued {
    info: Info,
    timer: Option<Arc<dyn QueuedTimer>>,
    _charge: Option<Charge>,
}

/// Pending signals. Guarded by whoever holds it.
#[derive(Default)]
pub struct Pending {
    set: SigSet,
    queue: VecDeque<Queued>,
}

impl Queued {
    /// Its information; `None` if it is a timer's void entry.
    fn into_info(self) -> Option<Info> {
        match self.timer {
            None => Some(self.info),
            Some(timer) => timer.take().map(|overrun| self.info.with_overrun(overrun)),
        }
    }
}

/// What became of a signal offered to [`Pending::push`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pushed {
    /// It is pending, with its information.
    Queued,
    /// It is pending, its information lost for want of room.
    SetOnly,
    /// A standard signal that was pending already.
    Merged,
    /// A real-time signal with a value found no room: EAGAIN for its sender.
    Full,
}

impl Pending {
    /// The pending signals.
    pub fn set(&self) -> SigSet {
        self.set
    }

    /// Adds a signal (`__send_signal_locked()` from its queueing part on).
    ///
    /// `budget` is what the receiving user may still queue; a standard signal from the kernel or kill(2)
    /// overrides it, as does any signal whose information may be dropped.
    pub fn push(&mut self, signal: Signal, info: Info, budget: &Budget, limit: u64) -> Pushed {
        if !signal.is_realtime() && self.set.contains(signal) {
            return Pushed::Merged;
        }
        let override_limit = !signal.is_realtime() && info.code >= 0;
        let charge = if override_limit { Some(budget.charge_always()) } else { budget.charge(limit) };
        let has_room = charge.is_some() && self.queue.try_reserve(1).is_ok();
        if !has_room {
            if signal.is_realtime() && !matches!(info.code, code::SI_USER | code::SI_KERNEL) {
                return Pushed::Full;
            }
            self.set.insert(signal);
            return Pushed::SetOnly;
        }
        self.set.insert(signal);
        self.queue.push_back(Queued { info, timer: None, _charge: charge });
        Pushed::Queued
    }

    /// Adds a POSIX timer's entry, paid for when the timer was made (`send_sigqueue()`).
    pub fn push_timer(&mut self, signal: Signal, info: Info, timer: Arc<dyn QueuedTimer>) {
        self.set.insert(signal);
        self.queue.push_back(Queued { info, timer: Some(timer), _charge: None });
    }

    /// Takes the first signal of `allowed` by order of delivery, with its information (`dequeue_signal()`).
    /// A timer's entry that has become void is dropped on the way.
    pub fn pop(&mut self, allowed: SigSet) -> Option<Info> {
        loop {
            let signal = (self.set & allowed).first()?;
            if let Some(info) = self.pop_signal(signal) {
                return Some(info);
            }
        }
    }

    /// Takes the oldest entry of `signal`; `None` if that was a timer's void entry.
    fn pop_signal(&mut self, signal: Signal) -> Option<Info> {
        let number = i32::from(signal.number());
        if self.queue.len() == 1
            && let Some(queued) = self.queue.pop_front_if(|queued| queued.info.signo == number)
        {
            self.set.remove(signal);
            return queued.into_info();
        }
        let Some(at) = self.queue.iter().position(|queued| queued.info.signo == number) else {
            self.set.remove(signal);
            return Some(Info::unqueued(signal));
        };
        if !self.queue.iter().skip(at + 1).any(|queued| queued.info.signo == number) {
            self.set.remove(signal);
        }
        self.queue.remove(at)?.into_info()
    }

    /// The information of the next signal of `allowed`, left where it is.
    pub fn peek(&self, allowed: SigSet) -> Option<Info> {
        let signal = (self.set & allowed).first()?;
        let number = i32::from(signal.number());
        let queued = self.queue.iter().find(|queued| queued.info.signo == number);
        Some(queued.map_or_else(|| Info::unqueued(signal), |queued| queued.info))
    }

    /// The entries in order of arrival, for PTRACE_PEEKSIGINFO.
    pub fn entries(&self) -> impl Iterator<Item = &Info> {
        self.queue.iter().map(|queued| &queued.info)
    }

    /// Forgets every signal in `discarded` (`flush_sigqueue_mask()`).
    pub fn discard(&mut self, discarded: SigSet) {
        if (self.set & discarded).is_empty() {
            return;
        }
        self.set = self.set.without(discarded);
        self.queue.retain(|queued| queued.info.signal().is_none_or(|signal| !discarded.contains(signal)));
    }
}

/// How many signals are queued for one user, over all of that user's processes.
#[derive(Clone, Default)]
pub struct Budget(Arc<AtomicU64>);

/// One queued signal's share of its user's [`Budget`], returned on drop.
pub struct Charge(Arc<AtomicU64>);

impl Budget {
    /// The budget of the user `uid`.
    pub fn of_user(uid: u32) -> Budget {
        static USERS: SpinLock<BTreeMap<u32, Budget>> = SpinLock::new(Rank::SignalBudget, BTreeMap::new());
        USERS.lock().entry(uid).or_default().clone()
    }

    /// Room for one more signal, if fewer than `limit` are queued.
    pub fn charge(&self, limit: u64) -> Option<Charge> {
        let add = |queued: u64| (queued < limit).then_some(queued + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Charge(self.0.clone()))
    }

    /// Room for one more signal, whatever the limit.
    pub fn charge_always(&self) -> Charge {
        self.0.fetch_add(1, Ordering::Relaxed);
        Charge(self.0.clone())
    }

    /// Signals queued now (`SigQ` in /proc/pid/status).
    pub fn queued(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(info: Option<Info>) -> Option<u64> {
        info.map(|info| info.value())
    }

    fn queued(signal: Signal, value: u64) -> Info {
        Info::queued(signal, code::SI_QUEUE, 1, 0, value)
    }

    #[test]
    fn realtime_signals_keep_their_order_and_the_lower_number_goes_first() {
        let (mut pending, budget) = (Pending::default(), Budget::default());
        let [low, high] = [Signal::new(40), Signal::new(41)].map(|signal| signal.expect("a signal"));
        for (signal, value) in [(high, 1), (low, 2), (low, 3)] {
            assert_eq!(pending.push(signal, queued(signal, value), &budget, 10), Pushed::Queued);
        }
        let taken: [_; 4] = core::array::from_fn(|_| value(pending.pop(SigSet::ALL)));
        assert_eq!(taken, [Some(2), Some(3), Some(1), None]);
        assert_eq!(budget.queued(), 0);
    }

    #[test]
    fn a_standard_signal_is_pending_once_with_its_first_information() {
        let (mut pending, budget) = (Pending::default(), Budget::default());
        assert_eq!(pending.push(Signal::USR1, queued(Signal::USR1, 1), &budget, 10), Pushed::Queued);
        assert_eq!(pending.push(Signal::USR1, queued(Signal::USR1, 2), &budget, 10), Pushed::Merged);
        assert_eq!(value(pending.pop(SigSet::ALL)), Some(1));
        assert_eq!(pending.pop(SigSet::ALL), None);
    }

    #[test]
    fn without_room_a_queued_realtime_signal_fails_and_a_standard_one_loses_its_information_only() {
        let (mut pending, budget) = (Pending::default(), Budget::default());
        assert_eq!(pending.push(Signal::RTMIN, queued(Signal::RTMIN, 1), &budget, 0), Pushed::Full);
        assert_eq!(pending.push(Signal::USR1, queued(Signal::USR1, 1), &budget, 0), Pushed::SetOnly);
        assert_eq!(pending.pop(SigSet::ALL), Some(Info::unqueued(Signal::USR1)));
        let kill = Info::from_process(Signal::USR1, code::SI_USER, 5, 6);
        assert_eq!(pending.push(Signal::USR1, kill, &budget, 0), Pushed::Queued);
    }

    #[test]
    fn discarding_drops_the_entries_and_returns_their_charge() {
        let (mut pending, budget) = (Pending::default(), Budget::default());
        pending.push(Signal::CONT, Info::from_kernel(Signal::CONT), &budget, 5);
        pending.push(Signal::USR1, Info::from_kernel(Signal::USR1), &budget, 5);
        pending.discard(SigSet::of(&[Signal::CONT]));
        assert_eq!((pending.set(), budget.queued()), (SigSet::of(&[Signal::USR1]), 1));
    }
}
