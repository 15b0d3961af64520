//! [`RequestQueue`]: a device that answers requests, one queue of them.
//!
//! A request and its answer are a piece of the heap each. The queue owns both until the device has answered, so a caller
//! that gives up loses its answer and nothing else. Lock: `Device`; wakers are called after it.

use alloc::vec::Vec;

use abi::Errno;
use arrayvec::ArrayVec;
use runtime::oneshot::{Receiver, Sender, channel};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;
use virtio_drivers::transport::mmio::MmioTransport;

use super::memory::Memory;
use crate::sync::{Rank, SpinLock, WaitQueue};

/// Descriptors in the queue; a request takes two.
const DESCRIPTORS: usize = 64;
/// `VIRTIO_F_VERSION_1`.
const VERSION_1: u64 = 1 << 32;

type Answer = Result<Vec<u8>, Errno>;

/// A request the device has, by the number of its first descriptor.
struct Flight {
    request: Vec<u8>,
    answer: Vec<u8>,
    caller: Sender<Answer>,
}

struct Inner {
    transport: MmioTransport<'static>,
    queue: VirtQueue<Memory, DESCRIPTORS>,
    flights: [Option<Flight>; DESCRIPTORS],
}

/// A device that answers requests.
pub struct RequestQueue {
    inner: SpinLock<Inner>,
    /// Callers for whom the queue has no room.
    waiting: WaitQueue,
}

bitflags::bitflags! {
    #[derive(Clone, Copy, Debug)]
    struct Features: u64 {
        const _ = !0;
    }
}

impl RequestQueue {
    /// Agrees with the device on the features it has among `wanted`; gives them.
    pub fn negotiate(transport: &mut MmioTransport<'static>, wanted: u64) -> u64 {
        transport.begin_init(Features::from_bits_retain(wanted | VERSION_1)).bits()
    }

    /// The first queue of a device with which features have been agreed.
    pub fn new(mut transport: MmioTransport<'static>) -> virtio_drivers::Result<Self> {
        let queue = VirtQueue::new(&mut transport, 0, false, false)?;
        transport.finish_init();
        let inner = Inner { transport, queue, flights: [const { None }; DESCRIPTORS] };
        Ok(Self { inner: SpinLock::new(Rank::Device, inner), waiting: WaitQueue::new() })
    }

    /// Gives the device a request and waits for the answer, of at most `answer_bytes`. `ENOMEM`; `EIO` if the device does
    /// not keep to the rules.
    pub async fn call(&self, request: Vec<u8>, answer_bytes: usize) -> Answer {
        let mut answer = Vec::new();
        answer.try_reserve_exact(answer_bytes).map_err(|_| Errno::ENOMEM)?;
        answer.resize(answer_bytes, 0);
        let mut buffers = Some((request, answer));
        let receiver = self.waiting.wait_until(|| self.submit(&mut buffers)).await;
        receiver.await.unwrap_or(Err(Errno::EIO))
    }

    /// Hands the buffers to the device if there is room.
    fn submit(&self, buffers: &mut Option<(Vec<u8>, Vec<u8>)>) -> Option<Receiver<Answer>> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        if inner.queue.available_desc() < 2 {
            return None;
        }
        let (request, mut answer) = buffers.take()?;
        let (caller, receiver) = channel();
        // SAFETY: the flight keeps both buffers, unmoved on the heap and untouched, until `land` has taken the descriptor
        // back.
        let added = unsafe { inner.queue.add(&[&request], &mut [&mut answer]) };
        // Without a flight the sender is dropped, and the caller sees that.
        if let Ok(token) = added {
            inner.flights[usize::from(token)] = Some(Flight { request, answer, caller });
            if inner.queue.should_notify() {
                inner.transport.notify(0);
            }
        }
        Some(receiver)
    }

    /// Takes the answers that are there and wakes who waits for them.
    pub fn serve(&self) {
        let mut landed: ArrayVec<Landed, DESCRIPTORS> = ArrayVec::new();
        {
            let mut inner = self.inner.lock();
            inner.transport.ack_interrupt();
            while !landed.is_full()
                && let Some(next) = inner.land()
            {
                landed.push(next);
            }
        }
        for Landed { caller, answer } in landed {
            // A caller that has gone no longer wants it.
            let _ = caller.send(answer);
            self.waiting.wake_one();
        }
    }
}

struct Landed {
    caller: Sender<Answer>,
    answer: Answer,
}

impl Inner {
    /// The next request the device has answered.
    fn land(&mut self) -> Option<Landed> {
        let token = self.queue.peek_used()?;
        // A device that names a request it was not given is broken: its other answers are not taken either.
        let Flight { request, mut answer, caller } = self.flights.get_mut(usize::from(token))?.take()?;
        // SAFETY: the buffers are those that were added for this token.
        let popped = unsafe { self.queue.pop_used(token, &[&request], &mut [&mut answer]) };
        let answer = match popped {
            Ok(len) if len as usize <= answer.len() => {
                answer.truncate(len as usize);
                Ok(answer)
            }
            _ => Err(Errno::EIO),
        };
        Some(Landed { caller, answer })
    }
}
