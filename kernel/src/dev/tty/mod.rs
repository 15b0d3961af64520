//! Terminals: the line discipline, and the terminals that use it (tty(4), termios(3), pty(7)).
//!
//! - [`LineDiscipline`]: bytes in, lines and echo out; pure, so that its tests run anywhere.
//! - [`Tty`]: a terminal: its discipline, whose it is, and the wire behind it: a serial line, or a pty's master.
//! - [`TtyFile`] and [`PtyMaster`]: what is opened.
//! - [`JobControl`]: what terminals ask of the processes, whose room lies to the right.

pub mod console;
pub mod devpts;
mod file;
mod input;
mod ioctl;
mod job;
mod line;
mod output;
mod own;
pub mod pty;
mod terminal;
mod termios;

pub use file::TtyFile;
pub use job::{Job, JobControl, controlling, install, leader_ended};
pub use line::{Effects, LineDiscipline};
pub use pty::PtyMaster;
pub use terminal::Tty;
pub use termios::{Char, Input, Local, Output, Settings};

#[cfg(test)]
mod pty_tests;
#[cfg(test)]
mod tests;
