//! Traps taken in kernel mode: repaired user copies, interrupts while idle, and otherwise a panic.

use crate::arch::UserContext;

use super::cpu::Cpu;

/// The frame of a trap in kernel mode has the shape of a user's context: the same pushes make it.
type KernelFrame = UserContext;

/// A trap on the kernel's stack. Interrupts can only strike while the CPU idles.
pub(super) extern "sysv64" fn from_kernel(frame: &mut KernelFrame) {
    match frame.vector {
        13 | 14 => {
            if let Some(target) = super::uaccess::fixup_for(frame.rip) {
                frame.rip = target;
                return;
            }
            die(frame)
        }
        vector if vector >= 32 => super::apic::note_interrupt(vector as u8),
        _ => die(frame),
    }
}

/// NMI, double fault, machine check. An NMI is how a panicking CPU stops the others.
pub(super) extern "sysv64" fn on_own_stack(frame: &mut KernelFrame) {
    if frame.vector == 2 {
        super::apic::stop_forever();
    }
    if frame.vector == 8 {
        super::layout::note_broken_stack(frame.rsp);
    }
    die(frame)
}

fn die(frame: &KernelFrame) -> ! {
    let (cpu, address) = (Cpu::current(), x86_64::registers::control::Cr2::read_raw());
    panic!(
        "trap {} (error {:#x}, cr2 {address:#x}) in kernel mode on CPU {} at {:#x}, rsp {:#x}, rbp {:#x}",
        frame.vector,
        frame.error,
        cpu.number(),
        frame.rip,
        frame.rsp,
        frame.rbp
    );
}
