//! epoll instances over eventfds and pipes, as their users see them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::AtomicUsize;
use core::task::{Context, Poll, Waker};

use super::*;
use crate::fs::pseudo::anonymous_file;
use crate::fs::{Cred, OpenFlags};
use crate::ipc::eventfd::EventFd;
use crate::ipc::pipe::PipeEnd;

const IN: u32 = PollEvents::POLLIN.bits();
const OUT: u32 = PollEvents::POLLOUT.bits();
const ET: u32 = EpollFlags::EPOLLET.bits();
const ONESHOT: u32 = EpollFlags::EPOLLONESHOT.bits();

fn open(ops: Arc<dyn FileOps>, flags: OpenFlags) -> Arc<File> {
    anonymous_file(ops, "[test]", flags, &Arc::new(Cred::root()))
}

fn event_file(event: &Arc<EventFd>) -> Arc<File> {
    open(event.clone(), OpenFlags::O_RDWR)
}

/// An eventfd, its file, and an epoll instance that watches it under descriptor 5.
fn watching(events: u32) -> (Arc<EventFd>, Arc<File>, Arc<Epoll>) {
    let event = EventFd::new(0, false);
    let file = event_file(&event);
    let epoll = Epoll::new();
    epoll.add(5, &file, &EpollEvent::new(events, 77)).expect("nothing is watched yet");
    (event, file, epoll)
}

fn harvest(epoll: &Epoll) -> Vec<(u32, u64)> {
    let mut found = Vec::new();
    let count = epoll.harvest(16, |event| {
        found.push((event.events, event.data()));
        Ok(())
    });
    assert_eq!(count, Ok(found.len()));
    found
}

/// Counts its wakes.
#[derive(Default)]
struct Counter(AtomicUsize);

impl alloc::task::Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_level_triggered_item_reports_until_it_is_not_ready_any_more() {
    let (event, _file, epoll) = watching(IN);
    assert_eq!(harvest(&epoll), []);
    event.add(1).expect("far from the limit");
    assert_eq!(harvest(&epoll), [(IN, 77)]);
    assert_eq!(harvest(&epoll), [(IN, 77)]);
    event.take().expect("it holds 1");
    assert_eq!(harvest(&epoll), []);
}

#[test]
fn an_edge_triggered_item_reports_each_change_once() {
    let (event, _file, epoll) = watching(IN | ET);
    event.add(1).expect("far from the limit");
    assert_eq!(harvest(&epoll), [(IN, 77)]);
    assert_eq!(harvest(&epoll), []);
    event.add(1).expect("far from the limit");
    assert_eq!(harvest(&epoll), [(IN, 77)]);
}

#[test]
fn a_one_shot_item_is_silent_until_it_is_armed_again() {
    let (event, file, epoll) = watching(IN | ONESHOT);
    event.add(1).expect("far from the limit");
    assert_eq!(harvest(&epoll), [(IN, 77)]);
    event.add(1).expect("far from the limit");
    assert_eq!(harvest(&epoll), []);
    assert_eq!(epoll.modify(5, &file, &EpollEvent::new(IN | ONESHOT, 78)), Ok(()));
    assert_eq!(harvest(&epoll), [(IN, 78)]);
}

#[test]
fn what_is_ready_when_it_is_added_is_reported() {
    let (_event, _file, epoll) = watching(OUT | ET);
    assert_eq!(harvest(&epoll), [(OUT, 77)]);
    assert_eq!(harvest(&epoll), []);
}

#[test]
fn a_small_limit_meets_all_ready_items_in_turn() {
    let epoll = Epoll::new();
    let files: Vec<_> = (0..3).map(|_| event_file(&EventFd::new(1, false))).collect();
    for (data, file) in (0..).zip(&files) {
        epoll.add(data as i32, file, &EpollEvent::new(IN, data)).expect("not there yet");
    }
    let mut seen = Vec::new();
    for _ in 0..6 {
        let one = epoll.harvest(1, |event| {
            seen.push(event.data());
            Ok(())
        });
        assert_eq!(one, Ok(1));
    }
    assert_eq!(seen, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn an_event_that_cannot_be_delivered_is_not_lost() {
    let (event, _file, epoll) = watching(IN | ET);
    event.add(1).expect("far from the limit");
    assert_eq!(epoll.harvest(1, |_| Err(Errno::EFAULT)), Err(Errno::EFAULT));
    assert_eq!(harvest(&epoll), [(IN, 77)]);
}

#[test]
fn control_errors_are_linuxs() {
    let (_event, file, epoll) = watching(IN);
    let other = event_file(&EventFd::new(0, false));
    assert_eq!(epoll.add(5, &file, &EpollEvent::new(IN, 0)), Err(Errno::EEXIST));
    assert_eq!(epoll.add(6, &file, &EpollEvent::new(IN, 0)), Ok(()), "a duplicate is an item of its own");
    assert_eq!(epoll.modify(5, &other, &EpollEvent::new(IN, 0)), Err(Errno::ENOENT));
    assert_eq!(epoll.delete(7, &file), Err(Errno::ENOENT));
    assert_eq!(epoll.delete(5, &file), Ok(()));
    let exclusive = EpollEvent::new(IN | EpollFlags::EPOLLEXCLUSIVE.bits(), 0);
    assert_eq!(epoll.check(&file, Some(&exclusive), true), Err(Errno::EINVAL));
    let one_shot = EpollEvent::new(exclusive.events | ONESHOT, 0);
    assert_eq!(epoll.check(&file, Some(&one_shot), false), Err(Errno::EINVAL));
    let own = open(epoll.clone(), OpenFlags::O_RDWR);
    assert_eq!(epoll.check(&own, None, false), Err(Errno::EINVAL));
}

#[test]
fn a_deleted_item_reports_nothing_more() {
    let (event, file, epoll) = watching(IN);
    event.add(1).expect("far from the limit");
    assert_eq!(epoll.delete(5, &file), Ok(()));
    assert_eq!(harvest(&epoll), []);
    event.add(1).expect("far from the limit");
    assert_eq!(harvest(&epoll), []);
}

#[test]
fn an_item_leaves_when_the_last_reference_to_its_open_file_goes() {
    let (event, file, epoll) = watching(IN);
    let duplicate = file.clone();
    drop(file);
    event.add(1).expect("far from the limit");
    assert_eq!(harvest(&epoll), [(IN, 77)]);
    drop(duplicate);
    assert_eq!(harvest(&epoll), []);
    assert!(epoll.items.lock().is_empty());
    let again = event_file(&event);
    assert_eq!(epoll.add(5, &again, &EpollEvent::new(IN, 1)), Ok(()));
}

#[test]
fn the_ends_of_a_pipe_hear_only_of_their_own_direction() {
    let (reader, writer) = PipeEnd::pair();
    let (reader, writer) = (open(reader, OpenFlags::empty()), open(writer, OpenFlags::O_WRONLY));
    let epoll = Epoll::new();
    epoll.add(1, &reader, &EpollEvent::new(IN | OUT | ET, 1)).expect("new");
    epoll.add(2, &writer, &EpollEvent::new(IN | OUT | ET, 2)).expect("new");
    assert_eq!(harvest(&epoll), [(OUT, 2)]);
    let pipe = writer.downcast::<PipeEnd>().expect("a pipe").pipe().clone();
    pipe.write(&mut crate::fs::SliceSource::new(b"x"), false).expect("room");
    assert_eq!(harvest(&epoll), [(IN, 1)]);
    drop(writer);
    assert_eq!(harvest(&epoll), [(IN | PollEvents::POLLHUP.bits(), 1)]);
}

#[test]
fn a_nested_instance_is_readable_when_something_in_it_is() {
    let (event, _file, inner) = watching(IN);
    let inner_file = open(inner.clone(), OpenFlags::O_RDWR);
    let outer = Epoll::new();
    outer.add(9, &inner_file, &EpollEvent::new(IN, 9)).expect("new");
    assert_eq!(harvest(&outer), []);
    event.add(1).expect("far from the limit");
    assert_eq!(harvest(&outer), [(IN, 9)]);
    event.take().expect("it holds 1");
    assert_eq!(harvest(&outer), []);
    assert_eq!(inner.add(1, &open(outer, OpenFlags::O_RDWR), &EpollEvent::new(IN, 0)), Err(Errno::ELOOP));
}

#[test]
fn a_sleeping_waiter_is_woken_by_an_event() {
    let (event, _file, epoll) = watching(IN);
    let counter = Arc::new(Counter::default());
    let waker = Waker::from(counter.clone());
    let mut cx = Context::from_waker(&waker);
    let mut wait = pin!(epoll.wait());
    assert_eq!(wait.as_mut().poll(&mut cx), Poll::Pending);
    event.add(1).expect("far from the limit");
    assert_eq!(counter.0.load(Ordering::Relaxed), 1);
    assert_eq!(wait.as_mut().poll(&mut cx), Poll::Ready(()));
}

#[test]
fn closing_the_instance_takes_its_items_off_the_files() {
    let (event, file, epoll) = watching(IN);
    drop(open(epoll.clone(), OpenFlags::O_RDWR));
    assert_eq!(Arc::strong_count(&epoll), 1);
    event.add(1).expect("far from the limit");
    assert_eq!(harvest(&epoll), []);
    drop(file);
}

#[test]
fn a_poll_in_progress_is_woken_and_leaves_the_queue() {
    use crate::ipc::poll::{Entry, wait_any};
    let event = EventFd::new(0, false);
    let file = event_file(&event);
    let counter = Arc::new(Counter::default());
    let waker = Waker::from(counter.clone());
    let mut cx = Context::from_waker(&waker);
    let mut entries = [Entry::new(Some(file.clone()), PollEvents::POLLIN)];
    {
        let mut wait = pin!(wait_any(&mut entries));
        assert_eq!(wait.as_mut().poll(&mut cx), Poll::Pending);
        event.add(1).expect("far from the limit");
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
        assert_eq!(wait.as_mut().poll(&mut cx), Poll::Ready(1));
    }
    assert_eq!(entries[0].found, PollEvents::POLLIN);
    event.add(1).expect("far from the limit");
    assert_eq!(counter.0.load(Ordering::Relaxed), 1);
}
