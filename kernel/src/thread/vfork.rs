//! A vfork(2) parent waits until its child has executed a program or ended.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use runtime::WaitQueue;

/// What parent and child share.
#[derive(Default)]
struct Shared {
    done: AtomicBool,
    queue: WaitQueue,
}

/// The child's end: dropped when it needs its parent's memory no more, however that comes about.
pub struct Released(Arc<Shared>);

/// The parent's end.
pub struct VforkWait(Arc<Shared>);

/// Both ends.
pub fn vfork_pair() -> (Released, VforkWait) {
    let shared = Arc::new(Shared::default());
    (Released(shared.clone()), VforkWait(shared))
}

impl Drop for Released {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Release);
        self.0.queue.wake_all();
    }
}

impl VforkWait {
    /// Until the child has released the memory.
    pub async fn wait(&self) {
        self.0.queue.wait_until(|| self.0.done.load(Ordering::Acquire).then_some(())).await;
    }
}
