//! POSIX message queues (mq_overview(7), `ipc/mqueue.c`): messages in order of priority, in files of a file system of
//! their own.
//!
//! [`Queue`] is a queue; `file_system` holds their names; `limits` has what a user may take. A sender gives its message
//! to the receiver that has waited longest, if there is one, and a receiver makes room for the sender that has: nobody
//! who comes later gets between. Waiters stand in the queue's state under a [`Turn`], which takes itself out.
//!
//! Lock: a queue's state (rank `Ipc`). Whoever is to be told of a message is told after it.

mod file_system;
mod limits;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;

use abi::Errno;
use abi::mqueue::MqAttr;
use abi::poll::PollEvents;

pub use file_system::{Opening, install, open, unlink};
pub use limits::{MAX_MESSAGE_BYTES, MAX_MESSAGES, MAX_QUEUES, MESSAGE_BYTES, MESSAGES};

use crate::fs::{File, FileOps, FileTraits, ReadyQueue, Sink, Timestamp};
use crate::sync::{Rank, SpinGuard, SpinLock};
use limits::Charge;

/// A message's bytes.
pub type Message = Vec<u8>;

/// Who wants to be told when a message comes to an empty queue (mq_notify(2)).
pub trait Listener: Send + Sync {
    /// Tells it, once: who sent the message, and in whose name.
    fn tell(&self, sender: Sender);
    /// Its process, as long as that lives.
    fn process(&self) -> Option<i32>;
    /// Whether the calling thread is of its process.
    fn is_caller(&self) -> bool;
    /// How it is told, and by which signal, as the queue's file shows it.
    fn shown(&self) -> (u32, u32);
}

/// A sender, as a listener learns of it.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// Its process.
    pub pid: i32,
    /// Its real user.
    pub uid: u32,
}

/// A queue.
pub struct Queue {
    /// `mq_maxmsg` and `mq_msgsize`.
    max_messages: usize,
    message_bytes: usize,
    state: SpinLock<State>,
    ready: ReadyQueue,
    _charge: Charge,
}

#[derive(Default)]
struct State {
    /// By priority; no list is empty.
    messages: BTreeMap<u32, VecDeque<Message>>,
    count: usize,
    bytes: usize,
    next_turn: u64,
    /// Receivers in order of arrival, with what they have been given.
    receivers: BTreeMap<u64, Option<(u32, Message)>>,
    /// Senders in order of arrival, with what they have not got rid of.
    senders: BTreeMap<u64, Option<(u32, Message)>>,
    listener: Option<Arc<dyn Listener>>,
}

impl State {
    fn next_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }

    fn insert(&mut self, priority: u32, message: Message) {
        self.count += 1;
        self.bytes += message.len();
        self.messages.entry(priority).or_default().push_back(message);
    }

    /// The oldest message of the highest priority.
    fn take(&mut self) -> Option<(u32, Message)> {
        let mut highest = self.messages.last_entry()?;
        let priority = *highest.key();
        let message = highest.get_mut().pop_front()?;
        if highest.get().is_empty() {
            highest.remove();
        }
        self.count -= 1;
        self.bytes -= message.len();
        Some((priority, message))
    }

    /// Takes the message of the sender that has waited longest into the queue, which has room.
    fn admit_sender(&mut self) -> bool {
        let waiting = self.senders.values_mut().find_map(Option::take);
        let Some((priority, message)) = waiting else { return false };
        self.insert(priority, message);
        true
    }
}

/// A place among those who wait; given up when it is dropped.
struct Turn<'a> {
    queue: &'a Queue,
    number: u64,
    sends: bool,
}

impl Turn<'_> {
    fn waiters<'s>(&self, state: &'s mut State) -> &'s mut BTreeMap<u64, Option<(u32, Message)>> {
        if self.sends { &mut state.senders } else { &mut state.receivers }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        let left = self.waiters(&mut state).remove(&self.number);
        // A message that came to a receiver that never looked again is not lost.
        if let Some(Some((priority, message))) = left
            && !self.sends
        {
            state.insert(priority, message);
        }
    }
}

impl Queue {
    fn new(attributes: &MqAttr, charge: Charge) -> Self {
        Self {
            max_messages: attributes.mq_maxmsg as usize,
            message_bytes: attributes.mq_msgsize as usize,
            state: SpinLock::new(Rank::Ipc, State::default()),
            ready: ReadyQueue::new(),
            _charge: charge,
        }
    }

    /// The size and filling of the queue; the flags are the open file's.
    pub fn attributes(&self) -> MqAttr {
        MqAttr {
            mq_maxmsg: self.max_messages as i64,
            mq_msgsize: self.message_bytes as i64,
            mq_curmsgs: self.state.lock().count as i64,
            ..MqAttr::default()
        }
    }

    /// The most bytes of a message.
    pub fn message_bytes(&self) -> usize {
        self.message_bytes
    }

    /// Sends without waiting; `Err` gives the message back if the queue is full.
    pub fn try_send(&self, priority: u32, message: Message, sender: Sender) -> Result<(), Message> {
        let state = self.state.lock();
        if state.count >= self.max_messages {
            return Err(message);
        }
        self.deliver(state, priority, message, sender);
        Ok(())
    }

    /// Waits until the message, which has found the queue full, is in it.
    pub async fn send(&self, priority: u32, message: Message, sender: Sender) {
        let turn = {
            let mut state = self.state.lock();
            if state.count < self.max_messages {
                return self.deliver(state, priority, message, sender);
            }
            let number = state.next_turn();
            state.senders.insert(number, Some((priority, message)));
            Turn { queue: self, number, sends: true }
        };
        self.ready.wait_until(|| self.state.lock().senders.get(&turn.number)?.is_none().then_some(())).await;
    }

    /// Gives a message to who has waited longest for one, else to the queue, which has room.
    fn deliver(&self, mut state: SpinGuard<'_, State>, priority: u32, message: Message, sender: Sender) {
        if let Some(given) = state.receivers.values_mut().find(|given| given.is_none()) {
            *given = Some((priority, message));
            drop(state);
            return self.ready.wake(PollEvents::empty());
        }
        state.insert(priority, message);
        let listener = if state.count == 1 { state.listener.take() } else { None };
        drop(state);
        if let Some(listener) = listener {
            listener.tell(sender);
        }
        self.ready.wake(PollEvents::POLLIN | PollEvents::POLLRDNORM);
    }

    /// Receives without waiting: the message and its priority.
    pub fn try_receive(&self) -> Option<(u32, Message)> {
        self.take(self.state.lock())
    }

    /// Waits for a message.
    pub async fn receive(&self) -> (u32, Message) {
        let turn = {
            let mut state = self.state.lock();
            let number = state.next_turn();
            state.receivers.insert(number, None);
            Turn { queue: self, number, sends: false }
        };
        self.ready
            .wait_until(|| {
                let mut state = self.state.lock();
                match state.receivers.remove(&turn.number)? {
                    // Nothing yet: it goes on waiting unless there is a message in the queue.
                    None => self.take_in_turn(state, turn.number),
                    given => given,
                }
            })
            .await
    }

    /// Takes a message from the queue for the receiver with this turn, which stands among the waiting again if there is
    /// none. One that has a message must not: it would be given another.
    fn take_in_turn(&self, mut state: SpinGuard<'_, State>, turn: u64) -> Option<(u32, Message)> {
        if state.count == 0 {
            state.receivers.insert(turn, None);
            return None;
        }
        self.take(state)
    }

    /// Takes a message from the queue, and lets the sender in that has waited longest.
    fn take(&self, mut state: SpinGuard<'_, State>) -> Option<(u32, Message)> {
        let taken = state.take()?;
        let is_refilled = state.admit_sender();
        drop(state);
        let room = if is_refilled { PollEvents::empty() } else { PollEvents::POLLOUT | PollEvents::POLLWRNORM };
        self.ready.wake(room);
        Some(taken)
    }

    /// Who is to be told. Asked without the lock: processes have locks that come before it.
    fn listener(&self) -> Option<Arc<dyn Listener>> {
        self.state.lock().listener.clone()
    }

    /// Puts `new` in the place of the listener that was there, unless that has changed since.
    fn replace_listener(&self, old: Option<&Arc<dyn Listener>>, new: Option<Arc<dyn Listener>>) -> bool {
        let mut state = self.state.lock();
        let address = |listener: &Arc<dyn Listener>| Arc::as_ptr(listener).cast::<()>();
        let is_same = state.listener.as_ref().map(address) == old.map(address);
        let gone = if is_same { core::mem::replace(&mut state.listener, new) } else { None };
        drop(state);
        drop(gone);
        is_same
    }

    /// Has the listener told of the next message that comes while the queue is empty and nobody waits for it. `EBUSY` if
    /// another is there.
    pub fn listen(&self, listener: Arc<dyn Listener>) -> Result<(), Errno> {
        loop {
            let there = self.listener();
            if there.as_ref().is_some_and(|there| there.process().is_some()) {
                return Err(Errno::EBUSY);
            }
            if self.replace_listener(there.as_ref(), Some(listener.clone())) {
                return Ok(());
            }
        }
    }

    /// Tells the calling process no more, if it was to be told.
    pub fn end_listening(&self) {
        let there = self.listener();
        if there.as_ref().is_some_and(|there| there.is_caller()) {
            self.replace_listener(there.as_ref(), None);
        }
    }

    /// What reading the queue's file shows (`mqueue_read_file()`).
    fn text(&self) -> String {
        let there = self.listener().and_then(|there| Some((there.process()?, there.shown())));
        let (pid, (how, signal)) = there.unwrap_or_default();
        let bytes = self.state.lock().bytes;
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(text, "QSIZE:{bytes:<10} NOTIFY:{how:<5} SIGNO:{signal:<5} NOTIFY_PID:{pid:<6}");
        text
    }
}

impl FileOps for Queue {
    fn traits(&self) -> FileTraits {
        FileTraits::SEEKABLE | FileTraits::POLLABLE
    }

    fn try_read(&self, file: &File, sink: &mut dyn Sink, offset: u64) -> Result<usize, Errno> {
        let text = self.text();
        let rest = usize::try_from(offset).ok().and_then(|offset| text.as_bytes().get(offset..)).unwrap_or_default();
        let read = if rest.is_empty() { 0 } else { sink.put(rest)? };
        file.inode()
            .update(|attributes| (attributes.accessed, attributes.changed) = (Timestamp::now(), Timestamp::now()));
        Ok(read)
    }

    fn readiness(&self, _file: &File) -> PollEvents {
        let state = self.state.lock();
        let mut events = PollEvents::empty();
        events.set(PollEvents::POLLIN | PollEvents::POLLRDNORM, state.count > 0);
        events.set(PollEvents::POLLOUT | PollEvents::POLLWRNORM, state.count < self.max_messages);
        events
    }

    fn wait_queue(&self) -> Option<&ReadyQueue> {
        Some(&self.ready)
    }

    /// A process that closes any descriptor of the queue is not told any more (`mqueue_flush_file()`).
    fn flush(&self, _file: &File) -> Result<(), Errno> {
        self.end_listening();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Sender = Sender { pid: 1, uid: 0 };

    fn queue(max_messages: i64) -> Queue {
        let attributes = MqAttr { mq_maxmsg: max_messages, mq_msgsize: 16, ..MqAttr::default() };
        Queue::new(&attributes, Charge::for_tests())
    }

    #[test]
    fn the_highest_priority_goes_first_and_equals_in_order() {
        let queue = queue(8);
        for (priority, text) in [(1, b"a"), (7, b"b"), (1, b"c"), (7, b"d")] {
            queue.try_send(priority, text.to_vec(), NOBODY).expect("there is room");
        }
        let taken: Vec<_> = core::iter::from_fn(|| queue.try_receive()).map(|(_, text)| text[0]).collect();
        assert_eq!(taken, *b"bdac");
    }

    #[test]
    fn a_full_queue_gives_the_message_back() {
        let queue = queue(1);
        assert_eq!(queue.try_send(0, b"a".to_vec(), NOBODY), Ok(()));
        assert_eq!(queue.try_send(0, b"b".to_vec(), NOBODY), Err(b"b".to_vec()));
        assert_eq!(queue.attributes().mq_curmsgs, 1);
    }

    #[test]
    fn a_dropped_wait_leaves_nothing_behind() {
        let queue = queue(1);
        let mut context = core::task::Context::from_waker(core::task::Waker::noop());
        {
            let mut receiver = core::pin::pin!(queue.receive());
            assert!(receiver.as_mut().poll(&mut context).is_pending());
            queue.try_send(3, b"x".to_vec(), NOBODY).expect("a receiver waits");
            assert_eq!(queue.attributes().mq_curmsgs, 0, "it has been given to the receiver");
        }
        assert_eq!(queue.try_receive(), Some((3, b"x".to_vec())));
        assert_eq!(queue.try_receive(), None);
    }
}
