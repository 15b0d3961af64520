//! [`Waiters`]: a locked list of nodes that live in their owners' pinned futures. No allocation to queue or unqueue.
//!
//! An [`Entry`] is the node; it unlinks itself when dropped. Its value belongs to whoever holds the list's lock while
//! the entry is linked, and to the entry's owner alone while it is not: so a woken owner needs no lock.
//! Lists whose entries may move between them: `table.rs`.
//!
//! Invariants, upheld in this file and, where entries move, in `table.rs`:
//! - I1: a node is reachable from a list only while `linked` is true, and `linked` changes only under that list's lock.
//! - I2: `home` names the list the node is in, or was in, or was created for; it changes only under the locks of both
//!   lists while the node is linked, and by its owner alone while it is not.
//! - I3: whoever unlinks a node stores `linked = false` last (release) and does not touch the node afterwards: the
//!   owner may free it from then on, having seen the store (acquire).
//! - I4: a linked node is pinned and alive: `Entry::drop` does not return before the node is unlinked.
//! - I5: the lists outlive their entries (`Entry` borrows the list or the whole table, which never frees a list).

use core::cell::{Cell, UnsafeCell};
use core::marker::{PhantomData, PhantomPinned};
use core::pin::Pin;
use core::ptr::NonNull;

use crate::lock::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};
use crate::lock::{Lock, LockGuard, const_fn};

type Link<T> = Option<NonNull<Node<T>>>;

struct Node<T> {
    next: Cell<Link<T>>,
    prev: Cell<Link<T>>,
    home: AtomicPtr<Waiters<T>>,
    linked: AtomicBool,
    value: UnsafeCell<T>,
    _pinned: PhantomPinned,
}

struct Ends<T> {
    first: Link<T>,
    last: Link<T>,
    /// How many times a node has been appended.
    tickets: u64,
}

// SAFETY: the pointers lead to nodes whose values are `Send`, and are followed only under the lock around `Ends`.
unsafe impl<T: Send> Send for Ends<T> {}

/// A locked list of entries.
pub(crate) struct Waiters<T> {
    ends: Lock<Ends<T>>,
    /// How many are linked. Written under the lock; read without it as a hint.
    len: AtomicUsize,
}

/// What becomes of an entry that [`Guard::scan`] shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Leave it where it is.
    Keep,
    /// Take it out.
    Unlink,
    /// Leave it, and look no further.
    Stop,
}

/// What becomes of an entry that [`Guard::scan_into`] shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// As the verdict says.
    Here(Verdict),
    /// It moves to the other list.
    Move,
}

impl<T> Waiters<T> {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self { ends: Lock::new(Ends { first: None, last: None, tickets: 0 }), len: AtomicUsize::new(0) }
        }
    }

    /// How many entries were linked a moment ago.
    #[inline]
    pub(crate) fn len_hint(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether any entry is linked, looked at behind what the caller changed: either we see the entry, or its owner,
    /// who links it, then fences, then looks, sees the change. (If the hint says yes, the lock orders as well.)
    #[inline]
    pub(crate) fn anyone_waits(&self) -> bool {
        if self.len_hint() == 0 {
            fence(Ordering::SeqCst);
            return self.len_hint() != 0;
        }
        true
    }

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        Guard { ends: self.ends.lock(), list: self }
    }

    /// How many entries are linked; acquires what the last to change it released.
    pub(crate) fn len_acquire(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// An unlinked entry for this list.
    pub(crate) fn entry(&self, value: T) -> Entry<'_, T> {
        Entry::new(core::ptr::from_ref(self), value)
    }
}

/// A list whose lock is held.
pub(crate) struct Guard<'a, T> {
    ends: LockGuard<'a, Ends<T>>,
    list: &'a Waiters<T>,
}

impl<T> Guard<'_, T> {
    /// How many entries are linked.
    pub(crate) fn len(&self) -> usize {
        self.list.len.load(Ordering::Relaxed)
    }

    fn change_len(&self, by: isize) {
        self.list.len.store(self.len().wrapping_add_signed(by), Ordering::Relaxed);
    }

    /// Unlinks the first entry, after `take` has seen its value.
    pub(crate) fn pop_front<R>(&mut self, take: impl FnOnce(&mut T) -> R) -> Option<R> {
        let node = self.ends.first?;
        // SAFETY: a linked node is alive (I4), and its value is ours under the lock.
        let taken = unsafe { take(&mut *node.as_ref().value.get()) };
        self.unlink(node);
        Some(taken)
    }

    /// Shows the entries from first to last and does with each what `visit` says.
    pub(crate) fn scan(&mut self, mut visit: impl FnMut(&mut T) -> Verdict) {
        let mut at = self.ends.first;
        while let Some(node) = at {
            // SAFETY: a linked node is alive (I4), and its value and links are ours under the lock. The link is read
            // before the node may be unlinked and freed.
            let verdict = unsafe {
                at = node.as_ref().next.get();
                visit(&mut *node.as_ref().value.get())
            };
            match verdict {
                Verdict::Keep => {}
                Verdict::Unlink => self.unlink(node),
                Verdict::Stop => return,
            }
        }
    }

    /// As [`Self::scan`], but the third verdict appends the entry to `to`. `visit` is also told the ticket it then gets.
    ///
    /// # Safety
    /// `to` is the guard of another list, which lives as long as any entry of this list may.
    pub(crate) unsafe fn scan_into(&mut self, to: &mut Guard<'_, T>, mut visit: impl FnMut(&mut T, u64) -> Step) {
        let mut at = self.ends.first;
        while let Some(node) = at {
            // SAFETY: as in `scan`.
            let step = unsafe {
                at = node.as_ref().next.get();
                visit(&mut *node.as_ref().value.get(), to.tickets() + 1)
            };
            match step {
                Step::Here(Verdict::Keep) => {}
                Step::Here(Verdict::Unlink) => self.unlink(node),
                Step::Here(Verdict::Stop) => return,
                Step::Move => self.transfer(node, to),
            }
        }
    }

    /// Moves `node` from this list, which it is in, to another, under both locks (I2).
    fn transfer(&mut self, node: NonNull<Node<T>>, to: &mut Guard<'_, T>) {
        self.detach(node);
        self.change_len(-1);
        to.attach(node);
        to.change_len(1);
        let home = core::ptr::from_ref(to.list).cast_mut();
        // SAFETY: still linked, so alive (I4).
        unsafe { node.as_ref() }.home.store(home, Ordering::Release);
    }

    /// Has the entries to come get tickets above `ticket`.
    pub(crate) fn raise_tickets(&mut self, ticket: u64) {
        self.ends.tickets = self.ends.tickets.max(ticket);
    }

    /// How many times an entry has been appended: the ticket of the newest.
    pub(crate) fn tickets(&self) -> u64 {
        self.ends.tickets
    }

    /// Takes `node` out of this list, which it is in, and gives it back to its owner.
    fn unlink(&mut self, node: NonNull<Node<T>>) {
        self.detach(node);
        self.change_len(-1);
        // SAFETY: still alive: the owner waits for this store, which comes last (I3).
        unsafe { node.as_ref() }.linked.store(false, Ordering::Release);
    }

    /// Appends `node`, which is in no list.
    fn link(&mut self, node: &Node<T>) {
        node.linked.store(true, Ordering::Relaxed);
        self.attach(NonNull::from(node));
        self.change_len(1);
    }

    fn attach(&mut self, node: NonNull<Node<T>>) {
        // SAFETY: `node` and the last node are alive (I4); links are ours under the lock.
        unsafe {
            node.as_ref().prev.set(self.ends.last);
            node.as_ref().next.set(None);
            match self.ends.last {
                Some(last) => last.as_ref().next.set(Some(node)),
                None => self.ends.first = Some(node),
            }
        }
        self.ends.last = Some(node);
        self.ends.tickets += 1;
    }

    fn detach(&mut self, node: NonNull<Node<T>>) {
        // SAFETY: `node` is in this list, so it and its neighbours are alive (I4); links are ours under the lock.
        unsafe {
            let (prev, next) = (node.as_ref().prev.get(), node.as_ref().next.get());
            match prev {
                Some(prev) => prev.as_ref().next.set(next),
                None => self.ends.first = next,
            }
            match next {
                Some(next) => next.as_ref().prev.set(prev),
                None => self.ends.last = prev,
            }
        }
    }
}

/// A node, to be pinned in its owner's future. Dropping it unlinks it.
pub(crate) struct Entry<'q, T> {
    node: Node<T>,
    _lists: PhantomData<&'q Waiters<T>>,
}

// SAFETY: the node is reached from other CPUs only under its list's lock (I1), and the value is `Send`.
unsafe impl<T: Send> Send for Entry<'_, T> {}
// SAFETY: a shared entry gives access to nothing but the atomic `linked`.
unsafe impl<T: Send> Sync for Entry<'_, T> {}

impl<'q, T> Entry<'q, T> {
    /// An unlinked entry for whatever list it will be locked in.
    pub(crate) fn homeless(value: T) -> Self {
        Self::new(core::ptr::null(), value)
    }

    fn new(home: *const Waiters<T>, value: T) -> Self {
        let node = Node {
            next: Cell::new(None),
            prev: Cell::new(None),
            home: AtomicPtr::new(home.cast_mut()),
            linked: AtomicBool::new(false),
            value: UnsafeCell::new(value),
            _pinned: PhantomPinned,
        };
        Self { node, _lists: PhantomData }
    }

    /// Whether the entry is in a list. A `false` stays so until the owner links it again.
    #[inline]
    pub(crate) fn is_linked(&self) -> bool {
        self.node.linked.load(Ordering::Acquire)
    }

    /// The value, if the entry is in no list and thus its owner's alone.
    #[inline]
    pub(crate) fn unlinked_value(self: Pin<&mut Self>) -> Option<&mut T> {
        // SAFETY: not linked: no list leads here (I1), and whoever unlinked it is done with it (I3); `self` is exclusive.
        (!self.is_linked()).then(|| unsafe { &mut *self.node.value.get() })
    }

    /// Makes the list of `guard` the home of the entry, which is in no list.
    pub(crate) fn lock_in<'a>(self: Pin<&'a mut Self>, guard: Guard<'q, T>) -> EntryGuard<'a, T>
    where
        'q: 'a,
    {
        assert!(!self.is_linked(), "a linked entry has a home");
        // SAFETY: the node is not moved out of the reference.
        let node = unsafe { &self.get_unchecked_mut().node };
        // The list lives for 'q (I5), and the home of an unlinked entry is its owner's to change (I2).
        node.home.store(core::ptr::from_ref(guard.list).cast_mut(), Ordering::Release);
        EntryGuard { guard, node }
    }

    /// Takes the lock of the list the entry is in, or was last.
    pub(crate) fn lock(self: Pin<&mut Self>) -> EntryGuard<'_, T> {
        // SAFETY: the node is not moved out of the reference.
        let entry = unsafe { self.get_unchecked_mut() };
        EntryGuard { guard: lock_home(&entry.node), node: &entry.node }
    }
}

/// Takes the lock of the list `node` is at home in, however often it moves meanwhile.
fn lock_home<T>(node: &Node<T>) -> Guard<'_, T> {
    loop {
        let home = node.home.load(Ordering::Acquire);
        // SAFETY: lists outlive their entries (I5), and an entry moves only within its table.
        let guard = unsafe { home.as_ref() }.expect("only an entry that has had a list is locked").lock();
        if core::ptr::eq(home, node.home.load(Ordering::Acquire)) {
            return guard;
        }
    }
}

impl<T> Drop for Entry<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.is_linked() {
            let mut guard = lock_home(&self.node);
            if self.node.linked.load(Ordering::Relaxed) {
                guard.unlink(NonNull::from(&self.node));
            }
        }
    }
}

/// An entry together with the held lock of its list.
pub(crate) struct EntryGuard<'a, T> {
    guard: Guard<'a, T>,
    node: &'a Node<T>,
}

impl<T> EntryGuard<'_, T> {
    /// Whether the entry is in a list.
    pub(crate) fn is_linked(&self) -> bool {
        self.node.linked.load(Ordering::Relaxed)
    }

    /// The entry's value.
    pub(crate) fn value(&mut self) -> &mut T {
        // SAFETY: ours under the lock; the guard is borrowed, so nothing else shows it meanwhile.
        unsafe { &mut *self.node.value.get() }
    }

    /// Appends the entry to its list, unless it is linked. Returns the ticket of the newest.
    pub(crate) fn push_back(&mut self) -> u64 {
        if !self.is_linked() {
            self.guard.link(self.node);
        }
        self.guard.tickets()
    }

    /// How many entries its list has.
    pub(crate) fn len(&self) -> usize {
        self.guard.len()
    }

    /// Takes the entry out of its list, if it is linked.
    pub(crate) fn unlink(&mut self) {
        if self.is_linked() {
            self.guard.unlink(NonNull::from(self.node));
        }
    }
}
