//! The death of a thread, and of its process with the last (`do_exit()`).
//!
//! The order is Linux's: the thread stops taking signals; it lets go of user-space locks and of its tid word while its
//! memory is still there; a vfork parent goes on; files and memory go; the process loses a thread, and if it was the last,
//! the relatives are told. Nothing here waits.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use super::{Private, Thread, futex, robust};
use crate::mem::UserWord;
use crate::process::Process;
use crate::signal::ExitStatus;

/// Ends the calling thread with `status`, which becomes the process's unless that has been decided already.
/// Its address space is current.
pub fn end(thread: &Arc<Thread>, private: &mut Private, status: ExitStatus) {
    let process = &thread.process;
    thread.release_tracees();
    if let Some(news) = process.signals.begin_thread_exit(&thread.signals) {
        process.report_to_parent(news);
    }
    if process.has_one_thread() {
        process.note_size(&private.space);
    }
    release_memory(thread, private);
    let held = thread.update_holdings(|holdings| (holdings.files.take(), holdings.fs.take(), holdings.space.take()));
    drop(held);
    // The private half goes with the future, which may be after the parent has looked.
    private.let_go();
    leave_process(thread, status);
}

/// What user space is to notice of a thread that leaves an address space, by its end or by execve
/// (`mm_release()`): robust locks are released, the tid word is cleared, a vfork parent goes on.
pub fn release_memory(thread: &Thread, private: &mut Private) {
    let head = thread.robust_list.swap(0, Ordering::Relaxed);
    if head != 0 {
        robust::walk(thread.tid(), head);
    }
    futex::pi::abandon_owned(thread);
    let address = thread.clear_child_tid.swap(0, Ordering::Relaxed);
    if address != 0 && is_shared(private) {
        clear_tid_word(address);
    }
    if let Some(stack) = private.own_stack.take() {
        // The stack lies in this thread's memory alone to use; if it is gone already, all the better.
        let _ = private.space.unmap(stack.start, stack.end - stack.start);
    }
    private.vfork = None;
}

/// Whether another thread has the same memory: as on Linux, nobody else is told of an end. Each thread counts twice, in its
/// private and in its shared half; whoever else looks at the space for a moment errs on the safe side.
fn is_shared(private: &Private) -> bool {
    Arc::strong_count(&private.space) > 2
}

/// Clears the word set_tid_address(2) named and wakes a waiter: how pthread_join learns of the end. A bad address is
/// ignored.
fn clear_tid_word(address: u64) {
    if let Ok(word) = UserWord::new(address)
        && word.store(0).is_ok()
    {
        futex::wake_shared(address, 1);
    }
}

/// Takes the thread out of its process; the last one buries it.
fn leave_process(thread: &Arc<Thread>, status: ExitStatus) {
    let process = &thread.process;
    let tid = thread.tid();
    thread.end_tracing(status);
    thread.set_charge(None);
    process.past.absorb(&thread.times.get());
    process.signals.remove_thread(&thread.signals);
    let is_leader = thread.is_leader();
    if is_leader {
        // While the others can still see it: once it is gone, one that executes a new program takes the number over.
        process.table.remove_thread(tid);
    }
    let is_last = {
        let mut threads = process.threads();
        threads.live.remove(&tid);
        if is_leader {
            threads.leader_status = Some(status);
        }
        threads.live.is_empty()
    };
    if !is_leader {
        // Its number may be given to the next thread from now on.
        process.table.remove_thread(tid);
    }
    process.thread_left.wake_all();
    if is_last {
        process.timers.delete_all();
        process.timers.stop_real_timer();
        process.bury(final_status(process, status));
    } else {
        process.inherit_from_thread(tid);
    }
}

/// What the process ends with: what a group exit or a signal decided, else what its leader did.
fn final_status(process: &Process, last: ExitStatus) -> ExitStatus {
    let leader = process.threads().leader_status;
    process.signals.exit_status().or(leader).unwrap_or(last)
}
