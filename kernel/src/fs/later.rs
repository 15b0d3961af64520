//! Waiting for a device from code that cannot wait.
//!
//! The calls of [`super::InodeOps`] and [`super::FileOps`] never wait: most file systems are memory, and spin locks are held
//! around them. One whose files are elsewhere asks its device through [`later`], which fails with `EIOCBQUEUED` the first
//! time. That error goes up to whoever can wait: the thread's loop (`thread/run.rs`), or [`complete`]. The device's
//! answer is awaited there, with no lock held, and the whole call is made again from its start. This time [`later`]
//! finds the answer and goes on, to its end or to the next question. All answers of a call are kept until the call is
//! over, so that it sees the same ones each time.
//!
//! Hence: what a call does before it asks is done several times, and must not matter; a call that has handed out bytes (a
//! long sendfile) reports those instead of the error. A question is known by its [`Key`], and asked once in a call.
//!
//! There is no lock: questions and answers pass through a place of the CPU's own, and are there only between
//! [`later`] and the poll of the future that runs the call.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::any::Any;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};

use abi::Errno;

use crate::arch::MAX_CPUS;
use crate::sync::PerCpu;

/// What is asked: the words of the question, enough to tell it from any other of the same call.
pub type Key = Vec<u8>;

type Answer = Box<dyn Any + Send>;

/// A question that a call could not wait for.
pub struct Request {
    key: Key,
    work: Pin<Box<dyn Future<Output = Answer> + Send>>,
}

struct Local {
    answers: Vec<(Key, Answer)>,
    asked: Option<Request>,
}

impl Local {
    const EMPTY: Self = Self { answers: Vec::new(), asked: None };
}

static LOCAL: PerCpu<Local> = PerCpu::new([Local::EMPTY; MAX_CPUS]);

/// The outcome of `work`: known if this call has asked for it before, else `EIOCBQUEUED`, which the caller passes on.
pub fn later<T: Clone + Send + 'static>(
    key: Key,
    work: impl Future<Output = Result<T, Errno>> + Send + 'static,
) -> Result<T, Errno> {
    let known = LOCAL.with(|local| {
        let (_, answer) = local.answers.iter().find(|(answered, _)| *answered == key)?;
        answer.downcast_ref::<Result<T, Errno>>().cloned()
    });
    if let Some(outcome) = known {
        return outcome;
    }
    let work = Box::pin(async move { Box::new(work.await) as Answer });
    let forgotten = LOCAL.with(|local| local.asked.replace(Request { key, work }));
    drop(forgotten);
    Err(Errno::EIOCBQUEUED)
}

/// What the call that just failed with `EIOCBQUEUED` on this CPU has asked for.
pub fn take_request() -> Option<Request> {
    LOCAL.with(|local| local.asked.take())
}

/// The answers a call has had so far.
#[derive(Default)]
pub struct Answers(Vec<(Key, Answer)>);

impl Answers {
    /// Waits for the answer to a question, and keeps it.
    pub async fn await_answer(&mut self, request: Request) {
        let answer = request.work.await;
        self.0.push((request.key, answer));
    }

    /// Lets `call` find the answers.
    pub fn during<F: Future>(&mut self, call: F) -> During<'_, F> {
        During { answers: self, call }
    }

    fn while_calling<R>(&mut self, call: impl FnOnce() -> R) -> R {
        LOCAL.with(|local| mem::swap(&mut local.answers, &mut self.0));
        let result = call();
        LOCAL.with(|local| mem::swap(&mut local.answers, &mut self.0));
        result
    }
}

pin_project_lite::pin_project! {
    /// The future of [`Answers::during`]: the answers are in the CPU's place during each poll, whichever CPU's it is.
    #[must_use = "futures do nothing unless polled"]
    pub struct During<'a, F> {
        answers: &'a mut Answers,
        #[pin]
        call: F,
    }
}

impl<F: Future> Future for During<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let call = this.call;
        this.answers.while_calling(|| call.poll(cx))
    }
}

/// Makes a call of the kernel's own until it asks no more.
pub async fn complete<R>(mut call: impl FnMut() -> Result<R, Errno>) -> Result<R, Errno> {
    let mut answers = Answers::default();
    loop {
        match answers.while_calling(&mut call) {
            Err(Errno::EIOCBQUEUED) => {
                let request = take_request().ok_or(Errno::EIO)?;
                answers.await_answer(request).await;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use core::sync::atomic::{AtomicUsize, Ordering};
    use core::task::Waker;

    use super::*;

    #[test]
    fn a_call_is_made_again_until_it_has_all_its_answers_and_asks_each_question_once() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let ask = |number: u8| {
            later(vec![number], async move {
                ASKED.fetch_add(1, Ordering::Relaxed);
                runtime::yield_now().await;
                Ok(number)
            })
        };
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let call = complete(|| {
            CALLS.fetch_add(1, Ordering::Relaxed);
            Ok((ask(1)?, ask(2)?, ask(1)?))
        });
        let mut call = core::pin::pin!(call);
        let mut polls = 0;
        let result = loop {
            polls += 1;
            assert!(polls < 10, "it comes to an end");
            if let Poll::Ready(result) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                break result;
            }
        };
        assert_eq!(result, Ok((1, 2, 1)));
        assert_eq!((ASKED.load(Ordering::Relaxed), CALLS.load(Ordering::Relaxed)), (2, 3));
    }
}
