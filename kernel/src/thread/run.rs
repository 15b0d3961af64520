//! The life of a thread: one future, from its first entry into user mode to its end.
//!
//! A trap comes back from [`arch::enter`] as a value. A system call that need not wait is a call through the table, made
//! before the trap has come back ([`UserMode::system_call`]), and touches no queue, lock or allocator on its way; one that
//! waits is awaited right here, and with it the whole thread. Before user mode is entered, the thread sees to the work
//! others have given it: signals, stops, its end.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use abi::Errno;
use runtime::Here;

use super::exit;
use super::signal::{self, Verdict};
use super::{Interruptible, Private, Thread, coredump, dispatch, rseq, seccomp, trace};
use crate::arch::{self, LiveState, PageFaultError, Trap, UserContext, UserMode};
use crate::fs::later::{self, Answers};
use crate::mem::{self, FaultError, UserWord};
use crate::process::{Times, ptrace};
use crate::signal::{ThreadSignals, Work};
use crate::sync::executor::{self, Machine};
use crate::syscall::{self, Cx, Waiting};

/// Starts a thread: its task is queued and will run on one of the CPUs its parameters allow.
pub fn start(thread: Arc<Thread>, private: Private) {
    executor::spawn(thread.clone(), run(thread, private));
}

/// A thread from its first instruction to its end. A block rather than an `async fn`, which would keep its arguments twice,
/// and one rather than several: each has its state to store and to look at when it is polled.
fn run(thread: Arc<Thread>, mut private: Private) -> impl Future<Output = ()> + Send {
    async move {
        poll_fn(|cx| {
            thread.set_waker(Some(cx.waker().clone()));
            Poll::Ready(())
        })
        .await;
        store_child_tid(&thread, &mut private);
        let mut yields = false;
        // In and out of user mode until the thread has to end.
        let status = loop {
            if private.call.is_some() && waits_for_device(&private) {
                // Rare, and larger than all else here.
                Box::pin(finish_after_device(&thread, &mut private)).await;
            }
            if (!thread.work().difference(Work::RSEQ).is_empty() || private.call.is_some())
                && let Verdict::End(status) = signal::attend(&thread, &mut private).await
            {
                break status;
            }
            let Some(here) = here_unless(yields) else {
                yields = false;
                executor::yield_now().await;
                continue;
            };
            // The last thing: whatever is awaited may end on another CPU.
            if thread.work().contains(Work::RSEQ) && !rseq::resume(&thread, &mut private) {
                continue;
            }
            match until_await(&thread, &mut private, here) {
                Left::ToWork => {}
                Left::ToYield => yields = true,
                Left::By(Trap::Syscall) if is_watched(&thread, private.context.rax) => {
                    Box::pin(watched_call(&thread, &mut private)).await;
                }
                Left::By(Trap::Syscall) => {
                    let number = UserContext::call_number(private.context.rax);
                    let result = {
                        let mut cx = Cx { thread: &thread, private: &mut private };
                        let mut call = pin!(Waiting::empty());
                        syscall::call_wait(call.as_mut(), &mut cx, number);
                        call.await
                    };
                    syscall::finish(&mut private, number, result);
                }
                Left::By(trap) => fault(&thread, &mut private, trap),
            }
        };
        if let Some(dump) = thread.dump_to_join() {
            Box::pin(coredump::join(&thread, &private, dump)).await;
        }
        if thread.signals.is_traced() {
            Box::pin(trace::exit(&thread, &mut private, status)).await;
        }
        exit::end(&thread, &mut private, status);
        thread.set_waker(None);
    }
}

/// The bytes a thread's task takes: its future and what the executor keeps with it.
pub fn task_bytes() -> usize {
    fn bytes<A, B, F>(_: impl Fn(A, B) -> F) -> usize {
        runtime::Executor::<Machine>::task_bytes::<F>()
    }
    bytes(run)
}

/// The bytes its shared half takes, with the counts of references.
pub fn shared_bytes() -> usize {
    let counts = 2 * size_of::<usize>();
    2 * counts + size_of::<Thread>() + size_of::<ThreadSignals>()
}

/// `CLONE_CHILD_SETTID`: the new thread's own space is current now, and it has not run yet. A bad address is ignored,
/// as on Linux.
fn store_child_tid(thread: &Thread, private: &mut Private) {
    let address = core::mem::take(&mut private.set_child_tid);
    if address != 0 {
        let tid = thread.tid().cast_unsigned();
        let _ = UserWord::new(address).and_then(|word| word.store(tid));
    }
}

/// This CPU, unless the thread is to let others have it.
fn here_unless(yields: bool) -> Option<Here<'static, Machine>> {
    let here = executor::here();
    if yields || here.need_resched() { None } else { Some(here) }
}

/// Why a thread has left user mode.
enum Left {
    /// A trap that is yet to be seen to.
    By(Trap),
    /// There is work to do first.
    ToWork,
    /// The CPU is to be yielded.
    ToYield,
}

/// In and out of user mode for as long as nothing has to be awaited, with everything in registers: a future keeps its
/// state in memory.
fn until_await(thread: &Arc<Thread>, private: &mut Private, here: Here<'static, Machine>) -> Left {
    let (times, signals) = (&thread.times, &*thread.signals);
    let mut user = User { cx: Cx { thread, private }, times, signals, here, stays: None };
    loop {
        times.enter_user();
        let trap = arch::enter(&mut user);
        match trap {
            Trap::Syscall => {
                if let Some(why) = user.stays {
                    return why;
                }
                if !user.whole_call() {
                    return Left::By(trap);
                }
            }
            trap => {
                times.leave_user();
                match trap {
                    Trap::PageFault { address, error } if mend(thread, user.cx.private, address, error) => {}
                    trap => return Left::By(trap),
                }
            }
        }
        if let Some(why) = user.why_stay() {
            return why;
        }
    }
}

/// The thread, while it goes in and out of user mode.
struct User<'a> {
    cx: Cx<'a>,
    /// The thread's, at hand: these lines run for every system call.
    times: &'a Times,
    signals: &'a ThreadSignals,
    here: Here<'static, Machine>,
    /// Why it does not enter user mode again, though its system call is over.
    stays: Option<Left>,
}

impl User<'_> {
    /// What is to be done before user mode is entered again, if anything is.
    #[inline]
    fn why_stay(&self) -> Option<Left> {
        if !self.signals.work().is_empty() || self.cx.private.call.is_some() {
            return Some(Left::ToWork);
        }
        self.here.need_resched().then_some(Left::ToYield)
    }

    /// Makes the system call if it is one that cannot wait and has to do with all registers, and nobody looks at it.
    #[inline]
    fn whole_call(&mut self) -> bool {
        let number = UserContext::call_number(self.cx.private.context.rax);
        !is_watched(self.cx.thread, number) && syscall::call_whole(&mut self.cx, number)
    }
}

impl UserMode for User<'_> {
    #[inline]
    fn state(&mut self) -> (&mut UserContext, &LiveState) {
        (&mut self.cx.private.context, &self.cx.private.live)
    }

    #[inline]
    fn system_call(&mut self) -> bool {
        self.times.leave_user();
        let number = self.cx.private.context.rax;
        let is_held = is_watched(self.cx.thread, number) && !is_only_filtered(self.cx.thread, self.cx.private, number);
        if is_held || !syscall::call_now(&mut self.cx, number) {
            return false;
        }
        if let Some(why) = self.why_stay() {
            self.stays = Some(why);
            return false;
        }
        self.times.enter_user();
        true
    }
}

/// Whether somebody looks at this call: the thread's tracer, its filters, or the kernel's own trace.
#[inline]
fn is_watched(thread: &Thread, number: u64) -> bool {
    ptrace::watches_calls() && watches(thread, number)
}

#[cold]
#[inline(never)]
fn watches(thread: &Thread, number: u64) -> bool {
    let number = UserContext::call_number(number);
    thread.signals.is_traced()
        || thread.has_call_watcher(Thread::FILTERS | Thread::DISPATCH)
        || syscall::trace::enabled(number)
}

/// Whether nobody but the thread's filters looks at this call, and they let it through.
#[cold]
fn is_only_filtered(thread: &Thread, private: &Private, number: u64) -> bool {
    let number = UserContext::call_number(number);
    let is_shown = thread.signals.is_traced() || thread.has_call_watcher(Thread::DISPATCH);
    !is_shown && !syscall::trace::enabled(number) && seccomp::allows(thread, private, number)
}

/// Mends a page fault if the address space can.
#[inline]
fn mend(thread: &Thread, private: &Private, address: u64, error: PageFaultError) -> bool {
    let mended = private.space.fault(address, mem::Access::of_fault(error)).is_ok();
    if mended {
        thread.times.add_fault();
    }
    mended
}

/// A system call that the thread's tracer, its filters or the kernel's log look at.
#[cold]
async fn watched_call(thread: &Arc<Thread>, private: &mut Private) {
    if dispatch::takes_back(thread, private, UserContext::call_number(private.context.rax)) {
        return;
    }
    if let Some(number) = trace::enter_call(thread, private).await
        && let Some(number) = seccomp::enter_call(thread, private, number).await
    {
        logged_call(thread, private, number).await;
    }
    if private.exit.is_none() && thread.signals.is_traced() {
        trace::leave_call(thread, private).await;
    }
}

/// The call itself, with a line in the log if one is wanted.
async fn logged_call(thread: &Arc<Thread>, private: &mut Private, number: u64) {
    let registers = private.context.syscall_arguments();
    let line = syscall::trace::enabled(number).then(|| syscall::trace::begin(thread.tid(), number, &registers));
    let result = Box::pin(any_call(&mut Cx { thread, private: &mut *private }, number)).await;
    let result = match result {
        Err(Errno::EIOCBQUEUED) => Box::pin(call_after_device(thread, private, number)).await,
        result => result,
    };
    let returns = private.exit.is_none() && !thread.signals.is_killed();
    if let Some(line) = line {
        syscall::trace::end(line, returns.then_some(result));
    }
    syscall::finish(private, number, result);
}

/// A call of whatever kind; gives its result instead of leaving it in the registers.
async fn any_call(cx: &mut Cx<'_>, number: u64) -> syscall::SyscallResult {
    if syscall::call_now(cx, number) || syscall::call_whole(cx, number) {
        cx.private.call = None;
        return Errno::from_return_value(cx.private.context.rax);
    }
    let mut call = pin!(Waiting::empty());
    syscall::call_wait(call.as_mut(), cx, number);
    call.await
}

/// Whether the result in the registers says that the call waits for a device.
fn waits_for_device(private: &Private) -> bool {
    private.context.rax == Errno::EIOCBQUEUED.to_return_value()
}

/// Makes the call in the registers again when the device it waits for has answered, and leaves its result there.
async fn finish_after_device(thread: &Arc<Thread>, private: &mut Private) {
    let Some(number) = private.call.take() else { return };
    let result = call_after_device(thread, private, number).await;
    syscall::finish(private, number, result);
}

/// Makes a call again, from its start, each time a device has answered what it asked for, until it asks no more (see
/// [`later`]). Only the thread's end interrupts the wait.
async fn call_after_device(thread: &Arc<Thread>, private: &mut Private, number: u64) -> syscall::SyscallResult {
    let mut answers = Answers::default();
    loop {
        let request = later::take_request().ok_or(Errno::EIO)?;
        let answered = answers.await_answer(request);
        Interruptible::killable(thread, answered).await.map_err(|_| Errno::EINTR)?;
        private.context.rax = number;
        let mut cx = Cx { thread, private: &mut *private };
        let result = answers.during(any_call(&mut cx, number)).await;
        if result != Err(Errno::EIOCBQUEUED) {
            return result;
        }
    }
}

/// Sees to a trap that is no system call.
fn fault(thread: &Arc<Thread>, private: &mut Private, trap: Trap) {
    match trap {
        Trap::PageFault { address, error } => page_fault(thread, private, address, error),
        Trap::Exception { vector, error } => signal::exception(thread, private, vector, error),
        Trap::Interrupt { .. } => executor::serve_interrupts(),
        Trap::Syscall => {}
    }
}

/// Mends a page fault, or turns it into a signal.
fn page_fault(thread: &Arc<Thread>, private: &mut Private, address: u64, error: PageFaultError) {
    let access = mem::Access::of_fault(error);
    match private.space.fault(address, access) {
        Ok(()) => thread.times.add_fault(),
        Err(FaultError::NoMemory) => signal::out_of_memory(thread),
        Err(failure) => signal::fault(thread, private, address, failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<A, B, F>(_: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_thread_costs_little_memory() {
        let (future, thread) = (future_bytes(run), size_of::<Thread>() + size_of::<crate::signal::ThreadSignals>());
        std::println!("a thread: {future} bytes of future, {thread} bytes of shared halves");
        // On the host the wait queues and live states differ a little from the machine's.
        assert!(future + thread <= 1152, "{future} + {thread}");
    }
}
