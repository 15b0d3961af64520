//! Where a runnable task goes: the second half of [`Executor`].
//!
//! - Woken by a task on the same CPU: into that CPU's slot (see `queue.rs`), if its affinity permits.
//! - Not permitted here: to the CPU it last ran on, an idle one, or the least busy one.
//! - Slice used up: behind the others, on the least busy CPU; so N + 1 hogs on N CPUs take turns.
//! - An idle CPU takes half of what another has queued.
//!
//! An idle CPU is woken when there is *surplus*: a queued task besides the one in the slot, or a slot whose CPU
//! has gone on with something else for a while. It is woken one at a time; each wakes the next if it finds more.

use async_task::Runnable;

use crate::executor::count;
use crate::lock::atomic::{Ordering, fence};
use crate::run_queue::TaskList;
use crate::spawn::Meta;
use crate::{CpuSet, Executor, Platform, TaskContext};

impl<P: Platform> Executor<P> {
    /// Queues a task that was woken, or that yielded (`woken_while_running`).
    #[inline]
    pub(crate) fn schedule(&self, task: Runnable<Meta<P>>, woken_while_running: bool) {
        let cpu = self.platform().cpu();
        if woken_while_running {
            return self.place_again(cpu, task);
        }
        let here = &self.cpus[cpu];
        let now_ns = here.clock_ns.load(Ordering::Relaxed);
        let params = task.metadata().context.params();
        if params.has_rested(now_ns) {
            params.refill();
        }
        let affinity = params.affinity();
        if !affinity.contains(cpu) {
            return self.place_away(cpu, task);
        }
        let mut surplus = CpuSet::NONE;
        if params.is_spent() {
            surplus = affinity;
            here.with_queue(|queue| queue.push_ready(task, now_ns));
        } else {
            here.with_queue(|queue| {
                queue.hand_off(task, now_ns, |displaced| surplus = displaced.context.params().affinity());
            });
            here.offer_ns.store(0, Ordering::Relaxed);
        }
        if !surplus.is_empty() {
            self.wake_idle(surplus);
        }
    }

    /// Queues a new task.
    pub(crate) fn place_new(&self, task: Runnable<Meta<P>>) {
        let cpu = self.platform().cpu();
        let affinity = task.metadata().context.params().affinity();
        if !affinity.contains(cpu) {
            return self.place_away(cpu, task);
        }
        let here = &self.cpus[cpu];
        let now_ns = here.clock_ns.load(Ordering::Relaxed);
        here.with_queue(|queue| queue.push_woken(task, now_ns));
        self.wake_idle(affinity);
    }

    /// Queues a task that yielded on `cpu`, or was woken while it ran.
    fn place_again(&self, cpu: usize, task: Runnable<Meta<P>>) {
        let params = task.metadata().context.params();
        let affinity = params.affinity();
        if !affinity.contains(cpu) {
            return self.place_away(cpu, task);
        }
        let here = &self.cpus[cpu];
        if params.is_spent() {
            params.refill_less_debt();
            let target = self.least_busy(affinity, cpu);
            if target != cpu {
                return self.place_on(target, task, true);
            }
        }
        let now_ns = here.clock_ns.load(Ordering::Relaxed);
        here.with_queue(|queue| queue.push_ready(task, now_ns));
    }

    /// Queues a task that may not run on `cpu`, which calls this.
    #[cold]
    pub(crate) fn place_away(&self, cpu: usize, task: Runnable<Meta<P>>) {
        let params = task.metadata().context.params();
        let (last, allowed) = (params.last_cpu(), params.affinity().and(self.online()));
        let idle = CpuSet::from_bits(self.idle.load(Ordering::Relaxed)).and(allowed);
        let target = match allowed.lowest() {
            // No such CPU is online yet: the queue of one that will be.
            None => params.affinity().lowest().filter(|&target| target < self.cpus.len()).unwrap_or(cpu),
            Some(_) if idle.contains(last) => last,
            Some(lowest) => idle
                .lowest()
                .unwrap_or_else(|| self.least_busy(allowed, if allowed.contains(last) { last } else { lowest })),
        };
        self.place_on(target, task, false);
    }

    /// The CPU of `affinity` that has the fewest tasks, running or queued; `default` unless another has fewer.
    fn least_busy(&self, affinity: CpuSet, default: usize) -> usize {
        if self.cpus[default].queued.load(Ordering::Relaxed) == 0 {
            return default;
        }
        let fewest = affinity.and(self.online()).iter().min_by_key(|&cpu| self.cpus[cpu].load());
        fewest.filter(|&cpu| self.cpus[cpu].load() < self.cpus[default].load()).unwrap_or(default)
    }

    /// Queues a task on `target`, and makes that CPU look if it may not know that it has work waiting.
    fn place_on(&self, target: usize, task: Runnable<Meta<P>>, ready: bool) {
        let there = &self.cpus[target];
        let now_ns = there.clock_ns.load(Ordering::Relaxed);
        let was_empty = there.with_queue(|queue| {
            let was_empty = queue.len() == 0;
            if ready {
                queue.push_ready(task, now_ns)
            } else {
                queue.push_woken(task, now_ns)
            }
            was_empty
        });
        // A CPU with a task queued already has its alarm set, or will look before it enters user mode or idles.
        if was_empty && target != self.platform().cpu() {
            self.idle.fetch_and(!(1 << target), Ordering::SeqCst);
            self.platform().kick(target);
        }
    }

    /// Wakes one idle CPU of `affinity`, if there is one, to take surplus work that has just been queued.
    #[inline]
    pub(crate) fn wake_idle(&self, affinity: CpuSet) {
        // Pairs with the fence in `run_idle`: either that CPU finds the work, or we find its bit.
        fence(Ordering::SeqCst);
        if self.idle.load(Ordering::Relaxed) & affinity.bits() != 0 {
            self.claim_idle(affinity);
        }
    }

    #[cold]
    fn claim_idle(&self, affinity: CpuSet) {
        let this_cpu = self.platform().cpu();
        loop {
            let idle = CpuSet::from_bits(self.idle.load(Ordering::SeqCst)).and(affinity);
            let Some(cpu) = idle.iter().find(|&cpu| cpu != this_cpu) else { return };
            if self.idle.fetch_and(!(1 << cpu), Ordering::SeqCst) & (1 << cpu) != 0 {
                return self.platform().kick(cpu);
            }
        }
    }

    /// Lets idle CPUs have what is queued on `cpu`, which calls this, the task in the slot included.
    #[cold]
    pub(crate) fn offer(&self, cpu: usize) {
        let here = &self.cpus[cpu];
        here.offer_ns.store(u64::MAX, Ordering::Relaxed);
        let now_ns = here.clock_ns.load(Ordering::Relaxed);
        let mut affinity = CpuSet::ALL;
        here.with_queue(|queue| queue.open_slot(now_ns, |meta| affinity = meta.context.params().affinity()));
        self.wake_idle(affinity);
    }

    /// Takes half of what some other CPU has queued. Returns whether there was anything.
    pub(crate) fn steal(&self, cpu: usize) -> bool {
        let here = &self.cpus[cpu];
        let count_cpus = self.cpus.len();
        for victim in (1..count_cpus).map(|offset| &self.cpus[(cpu + offset) % count_cpus]) {
            if victim.stealable.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut loot = TaskList::new();
            victim.with_queue(|queue| {
                queue.give_half(&mut loot, |meta| meta.context.params().affinity().contains(cpu));
            });
            let taken = loot.len();
            if taken == 0 {
                continue;
            }
            count(&here.stolen, taken as u64);
            let now_ns = here.clock_ns.load(Ordering::Relaxed);
            here.with_queue(|queue| queue.take_over(&mut loot, now_ns));
            if taken > 1 {
                self.wake_idle(CpuSet::ALL);
            }
            return true;
        }
        false
    }
}
