//! Filters of system calls, seccomp(2): the chain a thread has, and who may be given which (`kernel/seccomp.c`).
//!
//! A thread's filters are a chain of [`Filter`]s, newest first, shared with those it was given to: a child, a new program,
//! with `SECCOMP_FILTER_FLAG_TSYNC` other threads. What a verdict does to the thread is in `thread/seccomp.rs`.
//!
//! Locks: a thread's chain is under its `account` (rank `Holdings`); it changes with the process's threads (rank `Threads`)
//! locked, so that no thread is made meanwhile.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::iter;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::ptrace::AUDIT_ARCH_X86_64;
use abi::seccomp::*;

use super::bpf::{Program, Words};
use super::ptrace::{unwatch_calls, watch_calls};
use super::{Pid, Process, Thread};
use crate::arch::UserContext;

/// Instructions all filters of a thread have at most, and what each counts more than it has.
const MAX_INSTRUCTIONS: usize = (1 << 18) / size_of::<SockFilter>();
const FILTER_OVERHEAD: usize = 4;

/// A filter, and those that were there before. As long as there is one, system calls are looked at.
pub struct Filter {
    rules: Rules,
    /// Verdicts that do not just let through go to the log (`SECCOMP_FILTER_FLAG_LOG`).
    pub is_logged: bool,
    older: Option<Arc<Filter>>,
}

enum Rules {
    /// read(2), write(2), exit(2), rt_sigreturn(2), and the thread's death for all else.
    Strict,
    Program(Program),
}

/// What the filters say about a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The call is none of the four of strict mode.
    Strict,
    /// The word of the strictest filter, and whether it is to be logged.
    Word(u32, bool),
}

impl Verdict {
    /// Nothing stands in the way of the call.
    pub const ALLOW: Verdict = Verdict::Word(SECCOMP_RET_ALLOW, false);
}

impl Filter {
    /// Strict mode.
    pub fn strict() -> Arc<Self> {
        Self::new(Rules::Strict, false)
    }

    /// A filter of the user's. Errors: EINVAL.
    pub fn of_program(code: Vec<SockFilter>, is_logged: bool) -> Result<Self, Errno> {
        let rules = Rules::Program(Program::new(code)?);
        watch_calls();
        Ok(Self { rules, is_logged, older: None })
    }

    fn new(rules: Rules, is_logged: bool) -> Arc<Self> {
        watch_calls();
        Arc::new(Self { rules, is_logged, older: None })
    }

    /// `SECCOMP_MODE_…`.
    pub fn mode(&self) -> u32 {
        match self.rules {
            Rules::Strict => SECCOMP_MODE_STRICT,
            Rules::Program(_) => SECCOMP_MODE_FILTER,
        }
    }

    /// The chain, newest first.
    pub fn chain(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        iter::successors(Some(self), |filter| filter.older.as_ref())
    }

    /// The instructions.
    pub fn code(&self) -> &[SockFilter] {
        match &self.rules {
            Rules::Strict => &[],
            Rules::Program(program) => program.code(),
        }
    }

    /// What the chain says about a call (`seccomp_run_filters()`): the strictest word; of equals, the newest filter's.
    pub fn judge(self: &Arc<Self>, context: &UserContext, number: u64) -> Verdict {
        let data = words(context, number);
        let mut strictest = (SECCOMP_RET_ALLOW, false);
        for filter in self.chain() {
            let word = match &filter.rules {
                Rules::Strict if is_one_of_four(number) => return Verdict::ALLOW,
                Rules::Strict => return Verdict::Strict,
                Rules::Program(program) => program.run(&data),
            };
            if strictness(word) < strictness(strictest.0) {
                strictest = (word, filter.is_logged);
            }
        }
        Verdict::Word(strictest.0, strictest.1)
    }
}

impl Drop for Filter {
    /// The chain goes link by link: it may be long, and the kernel's stack is not.
    fn drop(&mut self) {
        unwatch_calls();
        let mut next = self.older.take();
        while let Some(mut filter) = next.and_then(Arc::into_inner) {
            next = filter.older.take();
        }
    }
}

/// Signed, the action alone orders words by strictness.
fn strictness(word: u32) -> i32 {
    (word & SECCOMP_RET_ACTION_FULL).cast_signed()
}

fn is_one_of_four(number: u64) -> bool {
    use abi::nr::{EXIT, READ, RT_SIGRETURN, WRITE};
    [READ, WRITE, EXIT, RT_SIGRETURN].iter().any(|one| *one as u64 == number)
}

/// The call as [`SeccompData`], in its words.
fn words(context: &UserContext, number: u64) -> Words {
    let halves = |value: u64| [value as u32, (value >> 32) as u32];
    let [ip_low, ip_high] = halves(context.rip);
    let mut words = [number as u32, AUDIT_ARCH_X86_64, ip_low, ip_high, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (pair, argument) in words[4..].chunks_exact_mut(2).zip(context.syscall_arguments()) {
        pair.copy_from_slice(&halves(argument));
    }
    words
}

impl Thread {
    /// Its filters.
    pub fn filters(&self) -> Option<Arc<Filter>> {
        if self.has_call_watcher(Thread::FILTERS) { self.rare(|rare| rare.filters.clone()).flatten() } else { None }
    }

    /// Takes on filters. Those it had are among them.
    fn set_filters(&self, filters: Option<Arc<Filter>>) {
        let has_some = filters.is_some();
        let old = self.change_rare(|rare| core::mem::replace(&mut rare.filters, filters));
        self.set_call_watcher(Self::FILTERS, has_some);
        drop(old);
    }

    /// Takes on the creator's filters. The process's threads are locked if the creator is one of them.
    pub fn inherit_filters(&self, creator: &Thread) {
        if let Some(filters) = creator.filters() {
            self.set_filters(Some(filters));
            self.no_new_privs.store(creator.no_new_privs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Strict mode for the caller. Errors: EINVAL if it has filters.
    pub fn become_strict(&self) -> Result<(), Errno> {
        let _threads = self.process.threads();
        match self.filters() {
            Some(filters) if filters.mode() != SECCOMP_MODE_STRICT => Err(Errno::EINVAL),
            Some(_) => Ok(()),
            None => {
                self.set_filters(Some(Filter::strict()));
                Ok(())
            }
        }
    }

    /// Gives the caller one more filter, and with `sync` the other threads of its process, too (`seccomp_attach_filter()`).
    /// Gives the number of a thread that cannot have it, which then nobody gets. Errors: EINVAL in strict mode, ENOMEM.
    pub fn attach_filter(&self, mut filter: Filter, sync: bool) -> Result<Option<Pid>, Errno> {
        let threads = self.process.threads();
        let old = self.filters();
        if old.as_ref().is_some_and(|old| old.mode() != SECCOMP_MODE_FILTER) {
            return Err(Errno::EINVAL);
        }
        let lengths = old.iter().flat_map(Filter::chain).map(|older| older.code().len() + FILTER_OVERHEAD);
        if filter.code().len() + lengths.sum::<usize>() > MAX_INSTRUCTIONS {
            return Err(Errno::ENOMEM);
        }
        let others = threads.live.values().filter(|other| sync && !core::ptr::eq(Arc::as_ptr(other), self));
        if let Some(stranger) = others.clone().find(|other| !has_only(other.filters(), old.as_ref())) {
            return Ok(Some(stranger.tid()));
        }
        filter.older = old;
        let filters = Arc::new(filter);
        let promises = self.no_new_privs.load(Ordering::Relaxed);
        for other in others {
            other.set_filters(Some(filters.clone()));
            other.no_new_privs.fetch_or(promises, Ordering::Relaxed);
        }
        self.set_filters(Some(filters));
        Ok(None)
    }
}

/// Whether a thread with `filters` has nothing that the chain `all` has not (`is_ancestor()`).
fn has_only(filters: Option<Arc<Filter>>, all: Option<&Arc<Filter>>) -> bool {
    filters.is_none_or(|newest| all.is_some_and(|all| all.chain().any(|filter| Arc::ptr_eq(filter, &newest))))
}

impl Process {
    /// Whether one thread is left of it.
    pub fn has_one_thread(&self) -> bool {
        self.threads().live.len() <= 1
    }
}
