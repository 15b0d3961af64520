//! Devices: the console, terminals, the memory devices, and those on virtio.

pub mod kernel_log;
mod link;
pub mod memory;
pub mod random;
pub mod stdio;
pub mod tty;
#[expect(unsafe_code, reason = "memory that devices read and write")]
pub mod virtio;

use crate::arch;

/// Serves the devices that have interrupted this CPU.
pub fn serve_interrupts() {
    if arch::take_device_interrupts() != 0 {
        tty::console::receive();
        stdio::serve_link();
        virtio::serve();
    }
}

/// Makes the devices known to open(2), and takes what has come before their interrupts were let through. Called once, at
/// boot, after that and before /dev is filled.
pub fn init() {
    memory::register();
    tty::console::register();
    tty::console::receive();
    stdio::serve_link();
}
