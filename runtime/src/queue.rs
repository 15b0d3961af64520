//! [`RunQueue`]: what one CPU has to run, and in which order.
//!
//! Three classes. The *hand-off slot* holds the task woken last: a wake followed by a block is then a direct switch.
//! *Woken* tasks have something left of their slice; *ready* ones have used it up or yielded, and queue for the next.
//! The slot goes first, then the woken ones, so that a task that sleeps much runs soon; but a class that has had to
//! wait for [`TURN_NS`] has the next turn. So each class gets at least one task's slice in every `TURN_NS` and the slices
//! of the other two.

use async_task::Runnable;

use crate::run_queue::{Linked, TaskList};
use crate::task::BASE_SLICE_NS;

/// How long a class waits before it has the next turn.
const TURN_NS: u64 = BASE_SLICE_NS;

/// How many tasks are looked at for one that may run, with the lock held.
const MAX_LOOKS: usize = 32;

/// How many tasks a thief takes at most: it holds the victim's lock meanwhile.
const MAX_LOOT: usize = 32;

/// Tasks that take turns with other classes.
struct Class<M: Linked> {
    list: TaskList<M>,
    /// Since when tasks have been waiting without a turn of the class.
    since_ns: u64,
    /// Whether the class has the turn: it begins to wait when that ends.
    has_turn: bool,
}

impl<M: Linked> Class<M> {
    const fn new() -> Self {
        Self { list: TaskList::new(), since_ns: 0, has_turn: false }
    }

    fn push(&mut self, task: Runnable<M>, now_ns: u64) {
        if self.list.is_empty() {
            self.since_ns = now_ns;
        }
        self.list.push_back(task);
    }

    /// Takes the turn from the class, if it has it.
    fn end_turn(&mut self, now_ns: u64) {
        if core::mem::take(&mut self.has_turn) {
            self.since_ns = now_ns;
        }
    }

    fn is_overdue(&self, now_ns: u64) -> bool {
        !self.list.is_empty() && now_ns.saturating_sub(self.since_ns) >= TURN_NS
    }

    fn pop(&mut self) -> Option<Runnable<M>> {
        let task = self.list.pop_front();
        self.has_turn = task.is_some();
        task
    }

    /// The same, but those that may not run now move back, unless none may.
    fn pop_allowed(&mut self, may_run: impl Fn(&M) -> bool) -> Option<Runnable<M>> {
        for _ in 1..self.list.len().min(MAX_LOOKS) {
            let task = self.list.pop_front()?;
            if may_run(task.metadata()) {
                self.has_turn = true;
                return Some(task);
            }
            self.list.push_back(task);
        }
        self.pop()
    }
}

/// The tasks queued on one CPU.
pub(crate) struct RunQueue<M: Linked> {
    slot: Option<Runnable<M>>,
    woken: Class<M>,
    ready: Class<M>,
}

impl<M: Linked> RunQueue<M> {
    pub(crate) const fn new() -> Self {
        Self { slot: None, woken: Class::new(), ready: Class::new() }
    }

    /// How many tasks are queued.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.stealable() + usize::from(self.slot.is_some())
    }

    /// How many of them thieves may take: all but the slot.
    #[inline]
    pub(crate) fn stealable(&self) -> usize {
        self.woken.list.len() + self.ready.list.len()
    }

    /// Puts a task woken on this CPU into the slot. One that was there joins the woken ones, after `look`.
    #[inline]
    pub(crate) fn hand_off(&mut self, task: Runnable<M>, now_ns: u64, look: impl FnOnce(&M)) {
        if let Some(displaced) = self.slot.replace(task) {
            look(displaced.metadata());
            self.woken.push(displaced, now_ns);
        }
    }

    /// Queues a task woken on another CPU, or new.
    pub(crate) fn push_woken(&mut self, task: Runnable<M>, now_ns: u64) {
        self.woken.push(task, now_ns);
    }

    /// Queues a task that has yielded or used up its slice.
    #[inline]
    pub(crate) fn push_ready(&mut self, task: Runnable<M>, now_ns: u64) {
        self.ready.push(task, now_ns);
    }

    /// Takes the next task to run. `may_run` is asked of those that have used up a slice.
    #[inline]
    pub(crate) fn pop(&mut self, now_ns: u64, may_run: impl Fn(&M) -> bool) -> Option<Runnable<M>> {
        self.woken.end_turn(now_ns);
        self.ready.end_turn(now_ns);
        if self.ready.is_overdue(now_ns) {
            return self.ready.pop_allowed(may_run);
        }
        if !self.woken.is_overdue(now_ns)
            && let Some(task) = self.slot.take()
        {
            return Some(task);
        }
        self.woken.pop().or_else(|| self.ready.pop_allowed(may_run))
    }

    /// Lets thieves have the task in the slot, after `look`.
    pub(crate) fn open_slot(&mut self, now_ns: u64, look: impl FnOnce(&M)) {
        if let Some(task) = self.slot.take() {
            look(task.metadata());
            self.woken.push(task, now_ns);
        }
    }

    /// Moves half of the tasks, of those `may_take` allows, to `loot`.
    pub(crate) fn give_half(&mut self, loot: &mut TaskList<M>, may_take: impl Fn(&M) -> bool) {
        let half = self.stealable().div_ceil(2).min(MAX_LOOT);
        self.woken.list.take_some(loot, half, &may_take);
        self.ready.list.take_some(loot, half - loot.len(), &may_take);
    }

    /// Takes over what this CPU has stolen. The first goes into the slot, where no other thief can take it: it is
    /// about to run.
    pub(crate) fn take_over(&mut self, loot: &mut TaskList<M>, now_ns: u64) {
        if let Some(first) = loot.pop_front() {
            self.hand_off(first, now_ns, |_| {});
        }
        while let Some(task) = loot.pop_front() {
            self.woken.push(task, now_ns);
        }
    }

    /// Gives up the slot's precedence and moves the first of each class back: an order that another timing of the wakes
    /// could have brought about. For the simulator.
    #[cfg(all(not(target_os = "none"), not(loom)))]
    pub(crate) fn reorder(&mut self, now_ns: u64) {
        self.open_slot(now_ns, |_| {});
        for class in [&mut self.woken, &mut self.ready] {
            if let Some(task) = class.list.pop_front() {
                class.list.push_back(task);
            }
        }
    }
}
