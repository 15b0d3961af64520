//! What a panic prints: message, place, a back trace; then the machine ends with no status, which the host tool
//! reports as a failure.
//!
//! The back trace is the return addresses found on the stack, as `[<0x…>]`; the host tool puts names to them from
//! the image's symbols. Without frame pointers a stale address may show among them.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::arch;

struct Report;

impl Write for Report {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        arch::panic_write(text.as_bytes());
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    if PANICKED.swap(true, Ordering::AcqRel) {
        arch::stop_forever();
    }
    arch::stop_others();
    // The report port takes all that is written to it.
    let _ = writeln!(Report, "kernel {info}");
    for address in return_addresses().take(48) {
        let _ = writeln!(Report, "  [<{address:#x}>]");
    }
    arch::power_off()
}

/// Words on the stack that point into the text just behind a call instruction.
fn return_addresses() -> impl Iterator<Item = u64> {
    let (text, stack) = (arch::text_range(), arch::stack_above());
    stack.filter(move |word| text.contains(word) && arch::follows_call(*word))
}
