//! TLB shootdown: having other CPUs forget translations before what they lead to is used anew.
//!
//! Each CPU owns one [`Request`]. It fills it in, sets its bit in every target's mailbox, kicks the targets and waits
//! until each has cleared its bit in `unanswered`. Targets answer from the interrupt the kick causes, or from
//! [`relax`](super::relax) when they spin with interrupts off; the waiting CPU relaxes too, so two CPUs that
//! shoot at each other both get their answer.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use super::MAX_CPUS;
use super::paging::{flush_page, flush_user};

/// Beyond so many pages a full flush of the user half is cheaper than single pages.
const SINGLE_PAGES_MAX: u64 = 32;

struct Request {
    start: AtomicU64,
    end: AtomicU64,
    /// The targets that have not answered yet.
    unanswered: AtomicU64,
}

static REQUESTS: [Request; MAX_CPUS] =
    [const { Request { start: AtomicU64::new(0), end: AtomicU64::new(0), unanswered: AtomicU64::new(0) } }; MAX_CPUS];

/// For each CPU, a bit per CPU that has a request for it.
static MAILBOXES: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

const _: () = assert!(MAX_CPUS <= u64::BITS as usize);

/// Has the CPUs in `cpus` forget their translations of the user addresses `range`; returns when all have.
pub fn flush_tlb(cpus: u64, range: Range<u64>) {
    let me = super::cpu_index();
    if cpus & (1 << me) != 0 {
        flush_local(&range);
    }
    let others = cpus & !(1 << me);
    if others == 0 {
        return;
    }
    let request = &REQUESTS[me];
    request.start.store(range.start, Ordering::Relaxed);
    request.end.store(range.end, Ordering::Relaxed);
    request.unanswered.store(others, Ordering::Relaxed);
    for target in bits(others) {
        // Release: a target that sees the bit sees the request. The read-modify-write also orders the page table
        // writes before it.
        MAILBOXES[target].fetch_or(1 << me, Ordering::SeqCst);
    }
    super::kick(others);
    while request.unanswered.load(Ordering::Acquire) != 0 {
        super::relax();
    }
}

/// Answers the requests other CPUs have for this one. Called while spinning and after every kick.
#[inline]
pub fn serve_tlb_requests() {
    let me = super::cpu_index();
    if MAILBOXES[me].load(Ordering::Relaxed) != 0 {
        serve(me);
    }
}

#[cold]
fn serve(me: usize) {
    for sender in bits(MAILBOXES[me].swap(0, Ordering::SeqCst)) {
        let request = &REQUESTS[sender];
        flush_local(&(request.start.load(Ordering::Relaxed)..request.end.load(Ordering::Relaxed)));
        request.unanswered.fetch_and(!(1 << me), Ordering::Release);
    }
}

fn flush_local(range: &Range<u64>) {
    if (range.end - range.start) >> 12 > SINGLE_PAGES_MAX {
        return flush_user();
    }
    for page in range.clone().step_by(1 << 12) {
        flush_page(page);
    }
}

fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        (mask != 0).then(|| {
            let index = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            index
        })
    })
}
