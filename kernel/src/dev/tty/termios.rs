//! [`Settings`]: how a terminal treats bytes (termios(3)), in typed words.
//!
//! Words are kept whole, so that bits without a meaning here (parity, baud rates) are still given back as they
//! were set.

use abi::termios::{B38400, BOTHER, CBAUD, ControlModes, NCCS, TABDLY, Termios, Termios2, XTABS};
pub use abi::termios::{InputModes as Input, LocalModes as Local, OutputModes as Output};

/// Which control character, an index into [`Settings::control`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "termios(3)'s own names")]
pub enum Char {
    Intr = 0,
    Quit = 1,
    Erase = 2,
    Kill = 3,
    Eof = 4,
    Time = 5,
    Min = 6,
    Start = 8,
    Stop = 9,
    Susp = 10,
    Eol = 11,
    Reprint = 12,
    Discard = 13,
    Werase = 14,
    Lnext = 15,
    Eol2 = 16,
}

/// A control character of this value is off.
pub const DISABLED: u8 = 0;

/// The console's and a pty's control modes.
const CONTROL_MODES: u32 = ControlModes::CREAD.bits() | ControlModes::CS8.bits() | B38400;

/// A terminal's settings (`struct ktermios`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Input modes.
    pub input: Input,
    /// Output modes.
    pub output: Output,
    /// Control modes: kept and given back; the lines here have no baud rate.
    pub control_modes: u32,
    /// Local modes.
    pub local: Local,
    /// The line discipline's number; 0 is the only one.
    pub discipline: u8,
    /// The control characters.
    pub control: [u8; NCCS],
    /// Input speed, in bits a second.
    pub input_speed: u32,
    /// Output speed, in bits a second.
    pub output_speed: u32,
}

impl Settings {
    /// What a terminal starts with (`tty_std_termios`).
    pub const fn standard() -> Self {
        let mut control = [DISABLED; NCCS];
        control[Char::Intr as usize] = 0x03;
        control[Char::Quit as usize] = 0x1c;
        control[Char::Erase as usize] = 0x7f;
        control[Char::Kill as usize] = 0x15;
        control[Char::Eof as usize] = 0x04;
        control[Char::Min as usize] = 1;
        control[Char::Start as usize] = 0x11;
        control[Char::Stop as usize] = 0x13;
        control[Char::Susp as usize] = 0x1a;
        control[Char::Reprint as usize] = 0x12;
        control[Char::Discard as usize] = 0x0f;
        control[Char::Werase as usize] = 0x17;
        control[Char::Lnext as usize] = 0x16;
        Self {
            input: Input::ICRNL.union(Input::IXON),
            output: Output::OPOST.union(Output::ONLCR),
            control_modes: CONTROL_MODES,
            local: Local::ISIG
                .union(Local::ICANON)
                .union(Local::ECHO)
                .union(Local::ECHOE)
                .union(Local::ECHOK)
                .union(Local::ECHOCTL)
                .union(Local::ECHOKE)
                .union(Local::IEXTEN),
            discipline: 0,
            control,
            input_speed: 38400,
            output_speed: 38400,
        }
    }

    /// The value of a control character.
    #[inline]
    pub fn char(&self, which: Char) -> u8 {
        self.control[which as usize]
    }

    /// Whether `byte` is that control character, and the character is not off.
    #[inline]
    pub fn is(&self, which: Char, byte: u8) -> bool {
        byte != DISABLED && self.char(which) == byte
    }

    /// Whether tabs become spaces.
    #[inline]
    pub fn expands_tabs(&self) -> bool {
        self.output.bits() & TABDLY == XTABS
    }

    /// Whether input is handed over line by line.
    #[inline]
    pub fn canonical(&self) -> bool {
        self.local.contains(Local::ICANON)
    }

    /// Whether `byte` continues a UTF-8 character and such are treated whole.
    #[inline]
    pub fn is_continuation(&self, byte: u8) -> bool {
        self.input.contains(Input::IUTF8) && byte & 0xc0 == 0x80
    }
}

/// As `TCGETS` gives them.
impl From<&Settings> for Termios {
    fn from(from: &Settings) -> Self {
        Self {
            c_iflag: from.input.bits(),
            c_oflag: from.output.bits(),
            c_cflag: from.control_modes,
            c_lflag: from.local.bits(),
            c_line: from.discipline,
            c_cc: from.control,
        }
    }
}

/// As `TCGETS2` gives them.
impl From<&Settings> for Termios2 {
    fn from(from: &Settings) -> Self {
        Self {
            c_iflag: from.input.bits(),
            c_oflag: from.output.bits(),
            c_cflag: from.control_modes,
            c_lflag: from.local.bits(),
            c_line: from.discipline,
            c_cc: from.control,
            c_ispeed: from.input_speed,
            c_ospeed: from.output_speed,
        }
    }
}

/// As `TCSETS2` sets them.
impl From<&Termios2> for Settings {
    fn from(from: &Termios2) -> Self {
        Self {
            input: Input::from_bits_retain(from.c_iflag),
            output: Output::from_bits_retain(from.c_oflag),
            control_modes: from.c_cflag,
            local: Local::from_bits_retain(from.c_lflag),
            discipline: from.c_line,
            control: from.c_cc,
            input_speed: from.c_ispeed,
            output_speed: from.c_ospeed,
        }
    }
}

impl Settings {
    /// As `TCSETS` sets them: the speeds follow from the control modes (`tty_termios_baud_rate`).
    pub fn with(&self, from: &Termios) -> Self {
        let speed = speed_of(from.c_cflag).unwrap_or(self.output_speed);
        Self::from(&Termios2 {
            c_iflag: from.c_iflag,
            c_oflag: from.c_oflag,
            c_cflag: from.c_cflag,
            c_lflag: from.c_lflag,
            c_line: from.c_line,
            c_cc: from.c_cc,
            c_ispeed: speed,
            c_ospeed: speed,
        })
    }
}

/// Bits a second that the control modes name; `None` for `BOTHER`, which leaves the number to `TCSETS2`.
fn speed_of(control_modes: u32) -> Option<u32> {
    const LOW: [u32; 16] = [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400];
    const HIGH: [u32; 15] = [
        57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000, 2_000_000,
        2_500_000, 3_000_000, 3_500_000, 4_000_000,
    ];
    let code = control_modes & CBAUD;
    let low = usize::try_from(code).ok().and_then(|index| LOW.get(index));
    let high = code.checked_sub(BOTHER + 1).and_then(|index| HIGH.get(index as usize));
    low.or(high).copied()
}

impl Default for Settings {
    fn default() -> Self {
        Self::standard()
    }
}
