//! The ports of `docs/host-protocol.md`: the UARTs, the report and output ports, power-off.

use spin::Mutex;
use uart_16550::backend::PioBackend;
use uart_16550::{Config, Uart16550};
use x86_64::instructions::port::Port;

const COM1: u16 = 0x3f8;
const COM2: u16 = 0x2f8;
const REPORT: u16 = 0xe9;
const EXIT: u16 = 0xf4;
/// What a port reads as if no device answers there.
const NOBODY: u8 = 0xff;

type Uart = Uart16550<PioBackend>;

// Plain spin locks, below `sync` and its ranks: under them nothing is done but port input and output.
static CONSOLE: Mutex<Option<Uart>> = Mutex::new(None);
static LINK: Mutex<Option<Uart>> = Mutex::new(None);
static REPORT_LOCK: Mutex<()> = Mutex::new(());

/// A port on the host's side that takes a program's output byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum OutputPort {
    /// Standard output that is no terminal.
    Stdout = 0xea,
    /// Standard error that is no terminal.
    Stderr = 0xeb,
}

/// Sets up the UARTs that are there. Their interrupts announce received bytes. A byte that came before would be lost:
/// the host holds back what it has to say until it is told.
pub(crate) fn init() {
    *CONSOLE.lock() = uart(COM1);
    *LINK.lock() = uart(COM2);
    log_write(b"\x01R\n");
}

fn uart(base: u16) -> Option<Uart> {
    // SAFETY: the two bases are the standard ones of a PC, used here alone.
    let mut uart = unsafe { Uart::new_port(base) }.ok()?;
    if !uart.check_present() {
        return None;
    }
    uart.init(Config::default()).ok()?;
    uart.enable_interrupts(uart_16550::spec::registers::IER::DATA_READY);
    Some(uart)
}

/// Writes to the console (COM1), byte for byte. Nothing happens on a machine without one.
pub fn console_write(bytes: &[u8]) {
    if let Some(uart) = CONSOLE.lock().as_mut() {
        uart.send_bytes_exact(bytes);
    }
}

/// Takes what the console has received, and returns how many bytes that was.
pub fn console_read(buffer: &mut [u8]) -> usize {
    CONSOLE.lock().as_mut().map_or(0, |uart| uart.receive_bytes(buffer))
}

/// Takes what the link (COM2) has received, and returns how many bytes that was.
pub fn link_read(buffer: &mut [u8]) -> usize {
    LINK.lock().as_mut().map_or(0, |uart| uart.receive_bytes(buffer))
}

/// Writes to one of the output ports.
pub fn output_write(port: OutputPort, bytes: &[u8]) {
    out_string(port as u16, bytes);
}

/// Writes one line, or several, of the report; the caller has put the prefix and ends lines with `\n`.
pub fn log_write(bytes: &[u8]) {
    let _whole_lines = REPORT_LOCK.lock();
    out_string(REPORT, bytes);
}

/// As [`log_write`], from a panic: whoever holds the lock has stopped.
pub(crate) fn panic_write(bytes: &[u8]) {
    out_string(REPORT, bytes);
}

fn out_string(port: u16, bytes: &[u8]) {
    // SAFETY: the report ports take any byte; where nobody listens the bytes go nowhere.
    unsafe {
        core::arch::asm!("rep outsb", inout("rcx") bytes.len() => _, inout("rsi") bytes.as_ptr() => _, in("dx") port,
            options(nostack, preserves_flags, readonly));
    }
}

/// Whether anything listens at the report port.
pub fn has_report() -> bool {
    // SAFETY: reading the port has no effect.
    unsafe { Port::<u8>::new(REPORT).read() != NOBODY }
}

/// Ends the machine: through QEMU's isa-debug-exit, else by resetting it.
pub(crate) fn power_off() -> ! {
    const RESET_COMMAND: u8 = 0xfe;
    // SAFETY: the machine is given up.
    unsafe {
        Port::<u8>::new(EXIT).write(0);
        Port::<u8>::new(0x64).write(RESET_COMMAND);
    }
    super::apic::stop_forever()
}
