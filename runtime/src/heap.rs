//! [`TimerHeap`]: a locked pairing heap of deadlines whose nodes live in their owners' pinned futures.
//!
//! Insert is O(1), cancel and expiry O(log n) amortised, none allocates. Any CPU may cancel.
//!
//! Invariants, upheld in this file alone:
//! - H1: a node is reachable from a heap only while `armed` is true, and `armed` changes only under that heap's lock.
//! - H2: `home` names the heap an armed node is in, or was last in; its owner alone changes it and `deadline_ns`, while the
//!   node is not armed.
//! - H3: whoever takes a node out stores `armed = false` last (release) and does not touch the node afterwards.
//! - H4: an armed node is pinned and alive: `TimerEntry::drop` does not return before it is taken out.
//! - H5: heaps outlive the entries (`TimerEntry` carries the borrow).
//! - H6: `prev` of a first child is its parent, of another child its left sibling, of the root nothing.

use core::cell::{Cell, UnsafeCell};
use core::marker::{PhantomData, PhantomPinned};
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::Waker;

use crate::lock::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::lock::{Lock, const_fn};

type Link = Option<NonNull<Node>>;

struct Node {
    deadline_ns: Cell<u64>,
    /// The leftmost child; all children are due no earlier.
    child: Cell<Link>,
    /// The right sibling.
    next: Cell<Link>,
    prev: Cell<Link>,
    home: Cell<*const TimerHeap>,
    armed: AtomicBool,
    waker: UnsafeCell<Option<Waker>>,
    _pinned: PhantomPinned,
}

struct Heap {
    root: Link,
}

// SAFETY: the pointer leads to nodes whose wakers are `Send`, and is followed only under the lock around `Heap`.
unsafe impl Send for Heap {}

impl Heap {
    fn insert(&mut self, node: &Node) {
        node.child.set(None);
        node.next.set(None);
        node.prev.set(None);
        self.root = meld(self.root, Some(NonNull::from(node)));
    }

    /// Takes out `node`, which is in this heap.
    fn remove(&mut self, node: &Node) {
        let rest = meld_siblings(node.child.take());
        let Some(prev) = node.prev.take() else {
            self.root = rest;
            return;
        };
        // SAFETY: neighbours of an armed node are armed, thus alive (H4), and ours under the lock.
        unsafe {
            let next = node.next.take();
            if prev.as_ref().child.get() == Some(NonNull::from(node)) {
                prev.as_ref().child.set(next);
            } else {
                prev.as_ref().next.set(next);
            }
            if let Some(next) = next {
                next.as_ref().prev.set(Some(prev));
            }
        }
        self.root = meld(self.root, rest);
    }

    /// The soonest deadline, or `u64::MAX`.
    fn next_ns(&self) -> u64 {
        // SAFETY: an armed node is alive (H4) and ours under the lock.
        self.root.map_or(u64::MAX, |root| unsafe { root.as_ref() }.deadline_ns.get())
    }
}

/// Joins two heaps, whose roots have no siblings. Of equal deadlines `a`'s stays on top.
fn meld(a: Link, b: Link) -> Link {
    let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
    // SAFETY: nodes of a heap are armed, thus alive (H4), and ours under the lock.
    unsafe {
        let (top, below) = if b.as_ref().deadline_ns.get() < a.as_ref().deadline_ns.get() { (b, a) } else { (a, b) };
        let sibling = top.as_ref().child.replace(Some(below));
        below.as_ref().prev.set(Some(top));
        below.as_ref().next.set(sibling);
        if let Some(sibling) = sibling {
            sibling.as_ref().prev.set(Some(below));
        }
        Some(top)
    }
}

/// Joins a list of siblings into one heap: in pairs from the left, then the pairs from the right.
fn meld_siblings(mut first: Link) -> Link {
    let mut pairs: Link = None;
    while let Some(a) = first {
        // SAFETY: as in `meld`. Each node is cut from its neighbours before it is joined.
        unsafe {
            let b = a.as_ref().next.take();
            first = b.and_then(|b| b.as_ref().next.take());
            a.as_ref().prev.set(None);
            if let Some(b) = b {
                b.as_ref().prev.set(None);
            }
            let pair = meld(Some(a), b);
            if let Some(pair) = pair {
                pair.as_ref().next.set(pairs);
            }
            pairs = pair;
        }
    }
    let mut heap: Link = None;
    while let Some(pair) = pairs {
        // SAFETY: as above.
        pairs = unsafe { pair.as_ref().next.take() };
        heap = meld(Some(pair), heap);
    }
    heap
}

/// The timers of one CPU, soonest first.
pub(crate) struct TimerHeap {
    heap: Lock<Heap>,
    /// The soonest deadline, or `u64::MAX`. Written under the lock; read without it as a hint.
    next_ns: AtomicU64,
}

impl TimerHeap {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self { heap: Lock::new(Heap { root: None }), next_ns: AtomicU64::new(u64::MAX) }
        }
    }

    /// The soonest deadline, or `u64::MAX` if there is none.
    #[inline]
    pub(crate) fn next_ns(&self) -> u64 {
        self.next_ns.load(Ordering::Relaxed)
    }

    /// Takes out the timers due at `now_ns`, soonest first, until `wakers` is full. Returns how many it took.
    pub(crate) fn expire(&self, now_ns: u64, wakers: &mut [Option<Waker>]) -> usize {
        let mut heap = self.heap.lock();
        let mut taken = 0;
        while taken < wakers.len() {
            let Some(root) = heap.root else { break };
            // SAFETY: an armed node is alive (H4) and, with its waker, ours under the lock.
            let (node, waker) = unsafe { (root.as_ref(), &mut *root.as_ref().waker.get()) };
            if node.deadline_ns.get() > now_ns {
                break;
            }
            wakers[taken] = waker.take();
            taken += 1;
            heap.remove(node);
            node.armed.store(false, Ordering::Release);
        }
        self.next_ns.store(heap.next_ns(), Ordering::Relaxed);
        taken
    }
}

/// A timer, to be pinned in its owner's future. Dropping it disarms it.
pub(crate) struct TimerEntry<'q> {
    node: Node,
    _heaps: PhantomData<&'q TimerHeap>,
}

// SAFETY: an armed node is reached from other CPUs only under its heap's lock (H1); wakers are `Send`.
unsafe impl Send for TimerEntry<'_> {}
// SAFETY: a shared entry gives access to nothing but the atomic `armed`.
unsafe impl Sync for TimerEntry<'_> {}

impl<'q> TimerEntry<'q> {
    /// A timer for `deadline_ns` that is not armed.
    pub(crate) fn new(deadline_ns: u64) -> Self {
        let node = Node {
            deadline_ns: Cell::new(deadline_ns),
            child: Cell::new(None),
            next: Cell::new(None),
            prev: Cell::new(None),
            home: Cell::new(core::ptr::null()),
            armed: AtomicBool::new(false),
            waker: UnsafeCell::new(None),
            _pinned: PhantomPinned,
        };
        Self { node, _heaps: PhantomData }
    }

    /// What the timer is for.
    #[inline]
    pub(crate) fn deadline_ns(&self) -> u64 {
        self.node.deadline_ns.get()
    }

    /// Whether the timer has been armed since it was made or reset: it has fired if it is not in a heap any more.
    #[inline]
    pub(crate) fn was_armed(&self) -> bool {
        !self.node.home.get().is_null()
    }

    /// Whether the timer is in a heap. A `false` stays so until the owner arms it again.
    #[inline]
    pub(crate) fn is_armed(&self) -> bool {
        self.node.armed.load(Ordering::Acquire)
    }

    /// Disarms the timer, and sets what it is for.
    pub(crate) fn reset(self: Pin<&mut Self>, deadline_ns: u64) {
        self.disarm_node();
        self.node.home.set(core::ptr::null());
        self.node.deadline_ns.set(deadline_ns);
    }

    /// Arms the timer, which is not, in `heap`.
    pub(crate) fn arm(self: Pin<&mut Self>, heap: &'q TimerHeap, waker: Waker) {
        let node = &self.node;
        assert!(!self.is_armed(), "a timer is in one heap at a time");
        node.home.set(heap);
        // SAFETY: not armed, so its owner's alone (H1, H3), and `self` is exclusive.
        unsafe { *node.waker.get() = Some(waker) };
        let mut locked = heap.heap.lock();
        node.armed.store(true, Ordering::Relaxed);
        locked.insert(node);
        heap.next_ns.store(locked.next_ns(), Ordering::Relaxed);
    }

    /// Puts `waker` in the place of the one to wake. Returns whether the timer is still armed.
    pub(crate) fn set_waker(self: Pin<&mut Self>, waker: &Waker) -> bool {
        let Some(home) = self.home() else { return false };
        let locked = home.heap.lock();
        let mut outdated = None;
        let armed = self.is_armed();
        if armed {
            // SAFETY: ours under the lock.
            let known = unsafe { &mut *self.node.waker.get() };
            if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
                outdated = known.replace(waker.clone());
            }
        }
        drop(locked);
        // Dropping a waker may run code of its task: not under the lock.
        drop(outdated);
        armed
    }

    /// Takes the timer out of its heap, if it is in one. Afterwards it does not wake any more.
    fn disarm_node(&self) {
        let Some(home) = self.home() else { return };
        let mut locked = home.heap.lock();
        if self.node.armed.load(Ordering::Relaxed) {
            locked.remove(&self.node);
            home.next_ns.store(locked.next_ns(), Ordering::Relaxed);
            self.node.armed.store(false, Ordering::Release);
        }
    }

    /// The heap the timer is in, if it is armed.
    fn home(&self) -> Option<&'q TimerHeap> {
        // SAFETY: set from a `&'q TimerHeap` when it was armed (H2, H5).
        self.is_armed().then(|| unsafe { &*self.node.home.get() })
    }
}

impl Drop for TimerEntry<'_> {
    #[inline]
    fn drop(&mut self) {
        self.disarm_node();
    }
}
