//! [`Column`]: output processing (`OPOST`), which has to know where the cursor stands.

use super::termios::{Output, Settings};

/// Where the cursor stands, and where the line being edited began.
#[derive(Clone, Copy, Default, Debug)]
pub struct Column {
    now: usize,
    edit_start: usize,
}

/// Takes processed bytes.
pub trait Emit {
    /// Takes one byte.
    fn emit(&mut self, byte: u8);
}

impl<F: FnMut(u8)> Emit for F {
    fn emit(&mut self, byte: u8) {
        self(byte);
    }
}

impl Column {
    /// Bytes that `byte` becomes at most (a tab is eight spaces).
    pub const EXPANSION: usize = 8;

    /// Remembers that the edited line begins here.
    pub fn mark_edit_start(&mut self) {
        self.edit_start = self.now;
    }

    /// Processes one byte as the settings say (`do_output_char`) and emits what it becomes.
    pub fn process(&mut self, settings: &Settings, byte: u8, out: &mut impl Emit) {
        let modes = settings.output;
        if !modes.contains(Output::OPOST) {
            return out.emit(byte);
        }
        match byte {
            b'\n' => {
                if modes.contains(Output::ONLRET) {
                    self.now = 0;
                }
                if modes.contains(Output::ONLCR) {
                    self.now = 0;
                    out.emit(b'\r');
                }
                self.edit_start = self.now;
                out.emit(b'\n');
            }
            b'\r' => self.carriage_return(modes, out),
            b'\t' => {
                let spaces = 8 - self.now % 8;
                self.now += spaces;
                if settings.expands_tabs() {
                    (0..spaces).for_each(|_| out.emit(b' '));
                } else {
                    out.emit(b'\t');
                }
            }
            b'\x08' => {
                self.now = self.now.saturating_sub(1);
                out.emit(byte);
            }
            _ if byte.is_ascii_control() => out.emit(byte),
            _ => {
                if !settings.is_continuation(byte) {
                    self.now += 1;
                }
                out.emit(if modes.contains(Output::OLCUC) { byte.to_ascii_uppercase() } else { byte });
            }
        }
    }

    fn carriage_return(&mut self, modes: Output, out: &mut impl Emit) {
        if modes.contains(Output::ONOCR) && self.now == 0 {
            return;
        }
        if modes.contains(Output::OCRNL) {
            if modes.contains(Output::ONLRET) {
                self.now = 0;
                self.edit_start = 0;
            }
            return out.emit(b'\n');
        }
        self.now = 0;
        self.edit_start = 0;
        out.emit(b'\r');
    }

    /// A control character shown as `^X`: two columns, past the processing.
    pub fn caret(&mut self, byte: u8, out: &mut impl Emit) {
        out.emit(b'^');
        out.emit(byte ^ 0x40);
        self.now += 2;
    }

    /// Moves back over an erased tab. `columns` are those of the characters before it, counted from the last tab
    /// or, if there was none, from where the edited line began.
    pub fn back_over_tab(&mut self, columns: usize, after_tab: bool, out: &mut impl Emit) {
        let from = if after_tab { columns } else { columns + self.edit_start };
        for _ in 0..8 - from % 8 {
            out.emit(b'\x08');
            self.now = self.now.saturating_sub(1);
        }
    }
}
