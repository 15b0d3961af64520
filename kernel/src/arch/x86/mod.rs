//! x86_64.
//!
//! - [`cpu`]: the per-CPU block behind GS, feature bits and control registers;
//! - [`tables`]: GDT, TSS and IDT; [`entry`]: the assembly that enters and leaves user mode; [`trap`]: what
//!   happens on a trap taken in kernel mode;
//! - [`live`]: vector registers and segment bases, switched lazily;
//! - [`apic`], [`clock`]: interrupts, alarms, time; [`ports`]: UART, report ports, power-off;
//! - [`layout`], [`paging`], [`tlb`]: the kernel's address space, page tables, shootdown; [`uaccess`]: copies from
//!   and to user memory that survive a fault.

mod apic;
mod clock;
mod cpu;
mod describe;
mod entry;
mod layout;
mod live;
mod paging;
mod ports;
mod random;
mod smp;
mod tables;
mod tlb;
mod trap;
mod uaccess;
mod vdso;

pub(crate) use apic::{
    apic_id, enable_device_line, init_this_cpu as init_apic, mask_legacy_controllers, stop_forever, stop_others,
};
pub use apic::{idle, kick, set_alarm, take_device_interrupts};
pub(crate) use clock::init as init_clock;
pub use clock::{TscScale, boot_time_unix_ns, monotonic_ns, ticks, ticks_to_ns, tsc_scale};
pub(crate) use cpu::init_boot_cpu;
pub use cpu::{MAX_CPUS, cpu_index, relax};
pub use describe::{CpuDescription, cpu_description};
pub use entry::enter;
pub use layout::KERNEL_BASE;
pub(crate) use layout::{follows_call, image_range, protect_image, stack_above, text_range};
pub use live::{LiveState, xstate_features, xstate_size};
pub use paging::*;
pub use ports::{OutputPort, console_read, console_write, has_report, link_read, log_write, output_write};
pub(crate) use ports::{init as init_ports, panic_write, power_off};
pub use random::random_u64;
pub(crate) use smp::{STACK_BYTES, start_cpu};
pub use tlb::{flush_tlb, serve_tlb_requests};
pub use uaccess::*;
pub use vdso::{VDSO_CODE_OFFSET, VdsoData, vdso_code, vdso_functions};
