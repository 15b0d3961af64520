//! The line discipline, held against what Linux's does with the same bytes.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::fs::{SliceSink, SliceSource};

struct Bench(LineDiscipline);

impl Bench {
    fn standard() -> Self {
        Self(LineDiscipline::new(Settings::standard(), 65536))
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::standard();
        change(&mut settings);
        Self(LineDiscipline::new(settings, 65536))
    }

    fn raw() -> Self {
        Self::with(|settings| {
            settings.input = Input::empty();
            settings.output = Output::empty();
            settings.local = Local::empty();
        })
    }

    fn type_in(&mut self, bytes: &[u8]) -> Effects {
        let (taken, effects) = self.0.receive(bytes);
        assert_eq!(taken, bytes.len());
        effects
    }

    fn read(&mut self, len: usize) -> Option<Vec<u8>> {
        if !self.0.has_input(1) {
            return None;
        }
        let mut buffer = vec![0; len];
        let got = self.0.read(&mut SliceSink::new(&mut buffer)).expect("a slice takes bytes");
        buffer.truncate(got);
        Some(buffer)
    }

    fn line(&mut self) -> Option<String> {
        self.read(4096).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        self.0.write(&mut SliceSource::new(bytes)).expect("a slice gives bytes")
    }

    fn screen(&mut self) -> String {
        let bytes: Vec<u8> = self.0.outbox().drain(..).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[test]
fn a_line_is_readable_only_when_it_is_complete() {
    let mut tty = Bench::standard();
    assert!(!tty.type_in(b"ab").contains(Effects::READABLE));
    assert_eq!(tty.line(), None);
    assert!(tty.type_in(b"c\r").contains(Effects::READABLE));
    assert_eq!(tty.line().as_deref(), Some("abc\n"));
    assert_eq!(tty.screen(), "abc\r\n");
}

#[test]
fn a_read_returns_one_line_at_a_time() {
    let mut tty = Bench::standard();
    tty.type_in(b"one\ntwo\n");
    assert_eq!(tty.line().as_deref(), Some("one\n"));
    assert_eq!(tty.line().as_deref(), Some("two\n"));
    assert_eq!(tty.line(), None);
}

#[test]
fn a_short_read_leaves_the_rest_of_the_line() {
    let mut tty = Bench::standard();
    tty.type_in(b"abcdef\n");
    assert_eq!(tty.read(4).as_deref(), Some(&b"abcd"[..]));
    assert_eq!(tty.read(4).as_deref(), Some(&b"ef\n"[..]));
}

#[test]
fn end_of_file_at_the_start_of_a_line_reads_as_nothing() {
    let mut tty = Bench::standard();
    tty.type_in(b"\x04");
    assert_eq!(tty.line().as_deref(), Some(""));
    assert_eq!(tty.line(), None);
}

#[test]
fn end_of_file_within_a_line_hands_it_over_without_a_newline() {
    let mut tty = Bench::standard();
    tty.type_in(b"abc\x04");
    assert_eq!(tty.line().as_deref(), Some("abc"));
    assert_eq!(tty.line(), None);
    assert_eq!(tty.screen(), "abc");
}

#[test]
fn an_end_of_file_right_after_a_full_buffer_is_not_a_second_end() {
    let mut tty = Bench::standard();
    tty.type_in(b"abc\x04");
    assert_eq!(tty.read(3).as_deref(), Some(&b"abc"[..]));
    assert_eq!(tty.line(), None);
}

#[test]
fn erase_rubs_out_the_last_character_and_stops_at_the_start() {
    let mut tty = Bench::standard();
    tty.type_in(b"ab\x7f\x7f\x7fc\n");
    assert_eq!(tty.line().as_deref(), Some("c\n"));
    assert_eq!(tty.screen(), "ab\x08 \x08\x08 \x08c\r\n");
}

#[test]
fn erase_takes_a_whole_utf8_character_if_asked() {
    let mut tty = Bench::with(|settings| settings.input |= Input::IUTF8);
    tty.type_in("aé\x7f\n".as_bytes());
    assert_eq!(tty.line().as_deref(), Some("a\n"));
    assert_eq!(tty.screen(), "aé\x08 \x08\r\n");
}

#[test]
fn control_characters_echo_with_a_caret_and_are_erased_as_two_columns() {
    let mut tty = Bench::standard();
    tty.type_in(b"\x01\x7f\n");
    assert_eq!(tty.screen(), "^A\x08 \x08\x08 \x08\r\n");
    assert_eq!(tty.line().as_deref(), Some("\n"));
}

#[test]
fn word_erase_takes_the_word_and_the_blanks_after_it() {
    let mut tty = Bench::standard();
    tty.type_in(b"one two  \x17x\n");
    assert_eq!(tty.line().as_deref(), Some("one x\n"));
}

#[test]
fn kill_rubs_out_the_whole_line() {
    let mut tty = Bench::standard();
    tty.type_in(b"abc\x15d\n");
    assert_eq!(tty.line().as_deref(), Some("d\n"));
    assert_eq!(tty.screen(), "abc\x08 \x08\x08 \x08\x08 \x08d\r\n");
}

#[test]
fn kill_without_echoke_starts_a_new_line() {
    let mut tty = Bench::with(|settings| settings.local.remove(Local::ECHOKE));
    tty.type_in(b"abc\x15d\n");
    assert_eq!(tty.line().as_deref(), Some("d\n"));
    assert_eq!(tty.screen(), "abc^U\r\nd\r\n");
}

#[test]
fn erasing_a_tab_goes_back_to_where_it_began() {
    let mut tty = Bench::standard();
    tty.write(b"$ ");
    tty.type_in(b"ab\t\x7f");
    assert_eq!(tty.screen(), "$ ab\t\x08\x08\x08\x08");
}

#[test]
fn literal_next_makes_any_character_data() {
    let mut tty = Bench::standard();
    tty.type_in(b"\x16\x03\x16\x04\n");
    assert_eq!(tty.line().as_deref(), Some("\x03\x04\n"));
    assert_eq!(tty.screen(), "^\x08^C^\x08^D\r\n");
}

#[test]
fn reprint_shows_the_line_again() {
    let mut tty = Bench::standard();
    tty.type_in(b"abc\x12\n");
    assert_eq!(tty.line().as_deref(), Some("abc\n"));
    assert_eq!(tty.screen(), "abc^R\r\nabc\r\n");
}

#[test]
fn interrupt_signals_and_flushes_both_queues() {
    let mut tty = Bench::standard();
    tty.type_in(b"abc");
    let effects = tty.type_in(b"\x03");
    assert!(effects.contains(Effects::INTERRUPT | Effects::FLUSHED_INPUT | Effects::FLUSHED_OUTPUT));
    assert_eq!(tty.screen(), "^C");
    tty.type_in(b"d\n");
    assert_eq!(tty.line().as_deref(), Some("d\n"));
}

#[test]
fn noflsh_keeps_the_queues_on_a_signal() {
    let mut tty = Bench::with(|settings| settings.local |= Local::NOFLSH);
    assert_eq!(tty.type_in(b"ab\x1c\n"), Effects::QUIT | Effects::READABLE);
    assert_eq!(tty.line().as_deref(), Some("ab\n"));
    assert_eq!(tty.screen(), "ab^\\\r\n");
}

#[test]
fn suspend_signals() {
    assert!(Bench::standard().type_in(b"\x1a").contains(Effects::SUSPEND));
}

#[test]
fn without_isig_the_interrupt_character_is_data() {
    let mut tty = Bench::with(|settings| settings.local.remove(Local::ISIG));
    assert_eq!(tty.type_in(b"\x03\n"), Effects::READABLE);
    assert_eq!(tty.line().as_deref(), Some("\x03\n"));
}

#[test]
fn stop_holds_output_and_echo_until_start() {
    let mut tty = Bench::standard();
    assert_eq!(tty.type_in(b"\x13"), Effects::STOPPED);
    tty.type_in(b"ab");
    assert_eq!(tty.write(b"xyz"), 0);
    assert_eq!(tty.screen(), "");
    assert!(tty.type_in(b"\x11").contains(Effects::STARTED | Effects::WRITABLE));
    assert_eq!(tty.screen(), "ab");
    assert_eq!(tty.write(b"xyz"), 3);
    assert_eq!(tty.screen(), "xyz");
}

#[test]
fn switching_ixon_off_resumes_output() {
    let mut tty = Bench::standard();
    tty.type_in(b"\x13");
    let mut settings = *tty.0.settings();
    settings.input.remove(Input::IXON);
    assert!(tty.0.set(settings).contains(Effects::STARTED));
    assert_eq!(tty.write(b"x"), 1);
}

#[test]
fn output_newlines_become_carriage_return_and_newline() {
    let mut tty = Bench::standard();
    assert_eq!(tty.write(b"a\nb\n"), 4);
    assert_eq!(tty.screen(), "a\r\nb\r\n");
}

#[test]
fn tabs_expand_to_the_next_stop_if_asked() {
    let mut tty = Bench::with(|settings| settings.output |= Output::from_bits_retain(abi::termios::XTABS));
    tty.write(b"ab\tc\t");
    assert_eq!(tty.screen(), "ab      c       ");
}

#[test]
fn raw_bytes_pass_unchanged_both_ways() {
    let mut tty = Bench::raw();
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(tty.type_in(&all), Effects::READABLE);
    assert_eq!(tty.read(4096), Some(all.clone()));
    tty.write(&all);
    assert_eq!(tty.0.outbox().drain(..).collect::<Vec<u8>>(), all);
}

#[test]
fn a_raw_read_waits_for_vmin_only_without_vtime() {
    let mut tty = Bench::raw();
    let mut settings = *tty.0.settings();
    settings.control[Char::Min as usize] = 3;
    tty.0.set(settings);
    tty.type_in(b"ab");
    assert!(!tty.0.is_readable());
    tty.type_in(b"c");
    assert!(tty.0.is_readable());
    settings.control[Char::Time as usize] = 1;
    tty.0.set(settings);
    tty.read(2);
    assert!(tty.0.is_readable());
}

#[test]
fn a_raw_newline_echoes_as_a_control_character() {
    let mut tty = Bench::with(|settings| settings.local.remove(Local::ICANON));
    tty.type_in(b"\n\r");
    assert_eq!(tty.screen(), "^J\r\n");
    assert_eq!(tty.line().as_deref(), Some("\n\n"));
}

#[test]
fn an_overlong_line_keeps_its_first_4095_bytes_and_its_newline() {
    let mut tty = Bench::standard();
    for _ in 0..5000 {
        tty.type_in(b"x");
    }
    tty.type_in(b"\n");
    let line = tty.read(8192).expect("a line");
    assert_eq!(line.len(), 4096);
    assert_eq!(line.last(), Some(&b'\n'));
}

#[test]
fn a_full_queue_with_a_complete_line_takes_no_more() {
    let mut tty = Bench::standard();
    tty.type_in(b"a\n");
    let (taken, _) = tty.0.receive(&[b'x'; 5000]);
    assert_eq!(taken, 4095 - 2);
    assert_eq!(tty.line().as_deref(), Some("a\n"));
}

#[test]
fn pending_bytes_become_a_line_when_canonical_mode_begins() {
    let mut tty = Bench::raw();
    tty.type_in(b"ab\0");
    let mut settings = *tty.0.settings();
    settings.local |= Local::ICANON;
    tty.0.set(settings);
    assert_eq!(tty.read(10).as_deref(), Some(&b"ab\0"[..]));
    assert_eq!(tty.line(), None);
}

#[test]
fn an_unfinished_line_becomes_readable_when_canonical_mode_ends() {
    let mut tty = Bench::standard();
    tty.type_in(b"ab");
    let mut settings = *tty.0.settings();
    settings.local.remove(Local::ICANON);
    tty.0.set(settings);
    assert_eq!(tty.read(10).as_deref(), Some(&b"ab"[..]));
}

#[test]
fn fionread_does_not_count_ends_of_file() {
    let mut tty = Bench::standard();
    tty.type_in(b"ab\x04c\n\x04d");
    assert_eq!(tty.0.input_pending(), 4);
}

#[test]
fn echoprt_shows_what_was_erased() {
    let mut tty = Bench::with(|settings| settings.local |= Local::ECHOPRT);
    tty.type_in(b"abc\x7f\x7fd\n");
    assert_eq!(tty.screen(), "abc\\cb/d\r\n");
    assert_eq!(tty.line().as_deref(), Some("ad\n"));
}

#[test]
fn a_second_end_of_line_character_ends_the_line_and_is_part_of_it() {
    let mut tty = Bench::with(|settings| settings.control[Char::Eol as usize] = b';');
    tty.type_in(b"a;b");
    assert_eq!(tty.line().as_deref(), Some("a;"));
    assert_eq!(tty.line(), None);
}
