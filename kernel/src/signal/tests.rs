//! Sending, taking, stopping and ending, on processes without programs.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::*;

const HANDLER: u64 = 0x1000;

struct Bench {
    process: ProcessSignals,
    threads: Vec<Arc<ThreadSignals>>,
}

/// A process with this many threads, none running.
fn process(threads: usize) -> Bench {
    let process = ProcessSignals::new(Arc::new(Actions::new()), Budget::default(), 100);
    let threads: Vec<_> =
        (1..=threads as i32).map(|tid| Arc::new(ThreadSignals::new(tid, SigSet::EMPTY, AltStack::default()))).collect();
    for thread in &threads {
        assert!(process.add_thread(thread.clone(), None));
    }
    Bench { process, threads }
}

impl Bench {
    fn handle(&self, signal: Signal) {
        self.process.actions().set(signal, Action { handler: HANDLER, ..Action::DEFAULT });
    }

    fn ignore(&self, signal: Signal) {
        self.process.actions().set(signal, Action { handler: SIG_IGN, ..Action::DEFAULT });
    }

    fn kill(&self, signal: Signal) {
        self.process.send(signal, Info::from_process(signal, code::SI_USER, 9, 0)).expect("kill never lacks room");
    }

    fn next(&self, thread: usize) -> Next {
        self.process.next(&self.threads[thread])
    }

    fn handled(&self, thread: usize) -> Option<Signal> {
        match self.next(thread) {
            Next::Handle(info, _) => info.signal(),
            Next::Resume => None,
            other => panic!("{other:?}"),
        }
    }

    fn is_interrupted(&self, thread: usize) -> bool {
        self.threads[thread].is_interrupted()
    }
}

#[test]
fn a_process_signal_goes_to_the_main_thread_and_wakes_it_alone() {
    let bench = process(3);
    bench.handle(Signal::USR1);
    bench.kill(Signal::USR1);
    assert_eq!([0, 1, 2].map(|thread| bench.is_interrupted(thread)), [true, false, false]);
    assert_eq!(bench.handled(0), Some(Signal::USR1));
    assert!(!bench.is_interrupted(0));
}

#[test]
fn a_signal_the_main_thread_blocks_goes_to_another() {
    let bench = process(3);
    bench.handle(Signal::USR1);
    bench.process.set_blocked(&bench.threads[0], SigSet::of(&[Signal::USR1]));
    bench.kill(Signal::USR1);
    assert_eq!([0, 1, 2].map(|thread| bench.is_interrupted(thread)), [false, true, false]);
    assert_eq!(bench.handled(1), Some(Signal::USR1));
}

#[test]
fn a_signal_all_block_is_taken_by_the_first_to_unblock_it() {
    let bench = process(2);
    bench.handle(Signal::USR1);
    for thread in &bench.threads {
        bench.process.set_blocked(thread, SigSet::of(&[Signal::USR1]));
    }
    bench.kill(Signal::USR1);
    assert_eq!([0, 1].map(|thread| bench.is_interrupted(thread)), [false, false]);
    bench.process.set_blocked(&bench.threads[1], SigSet::EMPTY);
    assert_eq!([0, 1].map(|thread| bench.is_interrupted(thread)), [false, true]);
}

#[test]
fn blocking_a_signal_on_its_way_hands_it_to_another_thread() {
    let bench = process(2);
    bench.handle(Signal::USR1);
    bench.kill(Signal::USR1);
    bench.process.set_blocked(&bench.threads[0], SigSet::of(&[Signal::USR1]));
    assert_eq!([0, 1].map(|thread| bench.is_interrupted(thread)), [false, true]);
}

#[test]
fn an_exiting_thread_hands_its_signals_to_the_others() {
    let bench = process(2);
    bench.handle(Signal::USR1);
    bench.kill(Signal::USR1);
    assert_eq!(bench.process.begin_thread_exit(&bench.threads[0]), None);
    assert!(bench.is_interrupted(1));
}

#[test]
fn an_ignored_signal_is_dropped_unless_it_is_blocked() {
    let bench = process(1);
    bench.ignore(Signal::USR1);
    bench.kill(Signal::USR1);
    assert!(bench.process.shared_pending().is_empty());
    bench.process.set_blocked(&bench.threads[0], SigSet::of(&[Signal::USR1]));
    bench.kill(Signal::USR1);
    assert!(bench.process.shared_pending().contains(Signal::USR1));
}

#[test]
fn a_deadly_signal_ends_all_threads_with_its_status() {
    let bench = process(2);
    bench.kill(Signal::TERM);
    for thread in 0..2 {
        assert!(bench.threads[thread].is_killed());
        assert_eq!(bench.next(thread), Next::Exit(ExitStatus(15)));
    }
}

#[test]
fn the_first_cause_of_death_is_the_one_reported() {
    let bench = process(2);
    assert_eq!(bench.process.begin_exit(ExitStatus::exited(3)), ExitStatus(0x300));
    bench.kill(Signal::KILL);
    assert_eq!(bench.process.begin_exit(ExitStatus::exited(4)), ExitStatus(0x300));
}

#[test]
fn a_blocked_or_ignored_fault_kills() {
    let fault = Info::fault(Signal::SEGV, code::SEGV_MAPERR, 0x10);
    let bench = process(1);
    bench.handle(Signal::SEGV);
    bench.process.set_blocked(&bench.threads[0], SigSet::of(&[Signal::SEGV]));
    bench.process.force(&bench.threads[0], Signal::SEGV, fault);
    assert!(matches!(bench.next(0), Next::Dump(info) if info.signal() == Some(Signal::SEGV)));

    let bench = process(1);
    bench.ignore(Signal::SEGV);
    bench.process.force(&bench.threads[0], Signal::SEGV, fault);
    assert!(matches!(bench.next(0), Next::Dump(info) if info.signal() == Some(Signal::SEGV)));
}

#[test]
fn a_handled_fault_comes_before_other_signals_with_its_address() {
    let bench = process(1);
    bench.handle(Signal::SEGV);
    bench.handle(Signal::HUP);
    bench.kill(Signal::HUP);
    let fault = Info::fault(Signal::SEGV, code::SEGV_ACCERR, 0x10);
    bench.process.force(&bench.threads[0], Signal::SEGV, fault);
    assert!(matches!(bench.next(0), Next::Handle(info, _) if info == fault));
    assert!(bench.is_interrupted(0));
    assert_eq!(bench.handled(0), Some(Signal::HUP));
}

#[test]
fn init_is_immune_to_signals_it_does_not_handle_and_to_sigkill() {
    let bench = process(1);
    bench.process.set_unkillable();
    bench.handle(Signal::HUP);
    for signal in [Signal::KILL, Signal::TERM, Signal::STOP, Signal::HUP] {
        bench.kill(signal);
    }
    assert_eq!(bench.handled(0), Some(Signal::HUP));
    assert_eq!(bench.next(0), Next::Resume);
    bench.process.force(&bench.threads[0], Signal::SEGV, Info::fault(Signal::SEGV, code::SEGV_MAPERR, 0));
    assert!(matches!(bench.next(0), Next::Dump(info) if info.signal() == Some(Signal::SEGV)));
}

#[test]
fn a_stop_is_news_once_all_threads_have_stopped() {
    let bench = process(2);
    bench.kill(Signal::STOP);
    assert_eq!(bench.next(0), Next::Stop(None));
    assert!(bench.is_interrupted(1) && !bench.process.is_stopped());
    assert_eq!(bench.next(1), Next::Stop(Some(StopNews::Stopped(Signal::STOP))));
    assert!(bench.process.is_stopped() && bench.threads[0].is_stopped());
    assert_eq!(bench.process.take_stopped(false), Some(Signal::STOP));
    assert_eq!(bench.process.take_stopped(true), Some(Signal::STOP));
    assert_eq!(bench.process.take_stopped(true), None);
}

#[test]
fn sigcont_resumes_all_threads_and_one_of_them_has_news() {
    let bench = process(2);
    bench.kill(Signal::STOP);
    let _ = (bench.next(0), bench.next(1));
    bench.kill(Signal::CONT);
    assert!(!bench.threads[0].is_stopped() && !bench.threads[1].is_stopped());
    assert_eq!(bench.next(1), Next::Tell(StopNews::Continued));
    assert_eq!([bench.next(0), bench.next(1)], [Next::Resume, Next::Resume]);
    assert!(bench.process.take_continued(true) && !bench.process.take_continued(true));
}

#[test]
fn a_stop_overtaken_by_sigcont_is_told_and_nobody_stops() {
    let bench = process(2);
    bench.kill(Signal::STOP);
    assert_eq!(bench.next(0), Next::Stop(None));
    bench.kill(Signal::CONT);
    assert_eq!(bench.next(1), Next::Tell(StopNews::Stopped(Signal::STOP)));
    assert_eq!([bench.next(0), bench.next(1)], [Next::Resume, Next::Resume]);
    assert!(!bench.process.is_stopped());
}

#[test]
fn sigcont_and_stop_signals_discard_each_other() {
    let bench = process(1);
    bench.process.set_blocked(&bench.threads[0], SigSet::of(&[Signal::TSTP, Signal::CONT]));
    bench.handle(Signal::CONT);
    bench.kill(Signal::TSTP);
    bench.kill(Signal::CONT);
    assert_eq!(bench.process.shared_pending(), SigSet::of(&[Signal::CONT]));
    bench.kill(Signal::TSTP);
    assert_eq!(bench.process.shared_pending(), SigSet::of(&[Signal::TSTP]));
}

#[test]
fn a_terminal_stop_asks_about_the_group_and_sigcont_between_overrules_it() {
    let bench = process(1);
    bench.kill(Signal::TSTP);
    assert_eq!(bench.next(0), Next::StopUnlessOrphaned(Signal::TSTP));
    bench.kill(Signal::CONT);
    bench.process.stop_for(&bench.threads[0], Signal::TSTP);
    assert_eq!(bench.next(0), Next::Resume);
}

#[test]
fn sigkill_ends_a_stop() {
    let bench = process(2);
    bench.kill(Signal::STOP);
    let _ = (bench.next(0), bench.next(1));
    bench.kill(Signal::KILL);
    assert!(!bench.threads[0].is_stopped());
    assert_eq!(bench.next(0), Next::Exit(ExitStatus(9)));
}

#[test]
fn the_last_thread_to_exit_instead_of_stopping_completes_the_stop() {
    let bench = process(2);
    bench.kill(Signal::STOP);
    assert_eq!(bench.next(0), Next::Stop(None));
    assert_eq!(bench.process.begin_thread_exit(&bench.threads[1]), Some(StopNews::Stopped(Signal::STOP)));
}

#[test]
fn only_one_thread_wins_an_exec() {
    let bench = process(3);
    assert!(bench.process.end_other_threads(&bench.threads[1]));
    assert!(!bench.process.end_other_threads(&bench.threads[2]));
    assert_eq!(bench.next(0), Next::ExitThread);
    assert_eq!(bench.next(1), Next::Resume);
}

#[test]
fn a_process_that_ends_takes_no_more_threads() {
    let bench = process(1);
    bench.kill(Signal::KILL);
    let late = Arc::new(ThreadSignals::new(2, SigSet::EMPTY, AltStack::default()));
    assert!(!bench.process.add_thread(late, None));
}

#[test]
fn sigtimedwait_takes_a_blocked_signal_and_leaves_the_mask_as_it_was() {
    let bench = process(1);
    let wanted = SigSet::of(&[Signal::USR1]);
    bench.process.set_blocked(&bench.threads[0], wanted);
    bench.process.begin_timed_wait(&bench.threads[0], wanted);
    bench.kill(Signal::USR1);
    assert!(bench.is_interrupted(0) && !bench.threads[0].is_killed());
    let info = bench.process.end_timed_wait(&bench.threads[0], wanted).expect("it was sent");
    assert_eq!((info.signal(), info.pid()), (Some(Signal::USR1), 9));
    assert_eq!(bench.threads[0].blocked(), wanted);
    assert!(!bench.is_interrupted(0));
}

#[test]
fn a_full_queue_refuses_realtime_signals_with_a_value_and_takes_kills() {
    let process = ProcessSignals::new(Arc::new(Actions::new()), Budget::default(), 1);
    let thread = Arc::new(ThreadSignals::new(1, SigSet::ALL, AltStack::default()));
    assert!(process.add_thread(thread, None));
    let queued = Info::queued(Signal::RTMIN, code::SI_QUEUE, 1, 0, 5);
    assert_eq!(process.send(Signal::RTMIN, queued), Ok(()));
    assert_eq!(process.send(Signal::RTMIN, queued), Err(abi::Errno::EAGAIN));
    assert_eq!(process.send(Signal::RTMIN, Info::from_process(Signal::RTMIN, code::SI_USER, 1, 0)), Ok(()));
}
