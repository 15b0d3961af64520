//! From the loader to the first process.
//!
//! `entry.rs` takes over from the loader; `pvh.rs` or `multiboot.rs` makes a `bootloader_api::BootInfo` (`map.rs`) of its
//! description of the machine; with that and the command line [`kernel_main`] sets up memory, interrupts and the clock,
//! starts the first process and gives this CPU to the executor.

#[expect(unsafe_code, reason = "tables at physical addresses")]
mod acpi;
mod cmdline;
#[expect(unsafe_code, reason = "the entry points")]
mod entry;
mod first;
#[expect(unsafe_code, reason = "the loader's ramdisk")]
mod initrd;
mod log;
#[expect(unsafe_code, reason = "the one description of the machine")]
mod map;
#[expect(unsafe_code, reason = "the loader's structures in RAM")]
mod multiboot;
mod panic;
#[expect(unsafe_code, reason = "the loader's structures in RAM")]
mod pvh;

use arrayvec::ArrayVec;
use bootloader_api::BootInfo;
use bootloader_api::info::MemoryRegionKind;

pub use cmdline::CommandLine;

use crate::dev::virtio::{self, Parameter};
use crate::mem::{self, Block, MemoryRegion};
use crate::sync::executor;
use crate::{arch, dev, ipc, process, syscall, time};

/// ISA interrupts of COM1 and COM2.
const UART_INTERRUPTS: [u8; 2] = [4, 3];

/// Regions of memory the frame allocator is told of.
const MAP_MAX: usize = 128;

/// Starts the kernel on the boot CPU. Its block, tables and control registers are set up.
fn kernel_main(boot_info: &'static mut BootInfo, command_line: &'static str) -> ! {
    arch::init_ports();
    arch::protect_image();
    arch::remember_kernel_root();
    arch::set_smap(true);
    mem::init(&memory_map(boot_info));
    arch::mask_legacy_controllers();
    arch::init_apic();
    arch::init_clock();
    time::clock::init();
    process::pid::limit_threads(mem::frame::total() as u64 * mem::PAGE_SIZE);
    crate::procfs::set_command_line(command_line);
    let command_line = CommandLine::parse(command_line);
    log::init(&command_line);
    ::log::info!("RustOS {}, {} MiB", env!("CARGO_PKG_VERSION"), mem::frame::statistics().0 >> 8);
    let machine = acpi::read(boot_info.rsdp_addr.into_option());
    executor::init(machine.apic_ids.len().clamp(1, arch::MAX_CPUS));
    executor::set_device_service(dev::serve_interrupts);
    for isa_interrupt in UART_INTERRUPTS {
        arch::enable_device_line(machine.io_apic, machine.line(isa_interrupt));
    }
    start_other_cpus(&machine);
    trace_calls(&command_line);
    dev::init();
    size_console(&command_line);
    add_virtio_devices(&command_line, &machine);
    ipc::init();
    first::start(command_line, initrd::bytes(boot_info));
    executor::executor().run(0)
}

/// Gives the console the size of the host's terminal, which `rustos.winsize=` tells (rows, an x, columns).
fn size_console(command_line: &CommandLine) {
    let Some(word) = command_line.get("rustos.winsize") else { return };
    match word.split_once('x').map(|(rows, columns)| (rows.parse(), columns.parse())) {
        Some((Ok(rows), Ok(columns))) => dev::tty::console::resize(rows, columns),
        _ => ::log::error!("rustos.winsize={word}: not rows x columns"),
    }
}

/// Takes the devices into use that `virtio_mmio.device=` names.
fn add_virtio_devices(command_line: &CommandLine, machine: &acpi::Machine) {
    for word in command_line.all("virtio_mmio.device") {
        let Some(device) = Parameter::parse(word) else {
            ::log::error!("virtio_mmio.device={word}: not size@address:line");
            continue;
        };
        virtio::add(&device);
        arch::enable_device_line(machine.io_apic, device.line);
    }
}

/// The memory map as the frame allocator takes it: what is usable, and the initrd, whose files are mapped in place.
fn memory_map(boot_info: &BootInfo) -> ArrayVec<MemoryRegion, MAP_MAX> {
    let usable = boot_info.memory_regions.iter().filter(|region| region.kind == MemoryRegionKind::Usable);
    let usable = usable.map(|region| MemoryRegion { range: region.start..region.end, usable: true });
    let initrd = boot_info.ramdisk_addr.into_option().map(|start| {
        let start = arch::virt_to_phys(start as *const u8);
        MemoryRegion { range: start..start + boot_info.ramdisk_len, usable: false }
    });
    usable.chain(initrd).collect()
}

/// Has the system calls logged that `rustos.trace=` names.
fn trace_calls(command_line: &CommandLine) {
    let Some(selection) = command_line.get("rustos.trace") else { return };
    for unknown in syscall::trace::enable(selection) {
        ::log::error!("rustos.trace: no system call is named {unknown}");
    }
}

/// Starts every CPU that ACPI names besides this one.
fn start_other_cpus(machine: &acpi::Machine) {
    let others = machine.apic_ids.iter().filter(|&&id| id != arch::apic_id());
    for (index, &apic_id) in others.enumerate().map(|(index, id)| (index + 1, id)).take(arch::MAX_CPUS - 1) {
        let Ok(stack) = Block::of_bytes(arch::STACK_BYTES) else { break };
        if arch::start_cpu(index, apic_id, stack.phys().0, other_cpu_main) {
            // The stack is the CPU's for good.
            core::mem::forget(stack);
        }
    }
}

/// The life of a further CPU, its block and tables set up.
fn other_cpu_main(index: usize) -> ! {
    executor::executor().run(index)
}
