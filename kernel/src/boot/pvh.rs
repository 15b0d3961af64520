//! PVH: how QEMU's `-kernel`, Firecracker and Cloud Hypervisor start the kernel.
//!
//! The boot protocol is Xen's "x86/HVM direct boot ABI" (`xen/include/public/arch-x86/hvm/start_info.h`): an ELF note
//! gives a 32-bit entry point, entered in protected mode without paging, with the physical address of a `start_info`
//! in `ebx` (`entry.rs`). Here it becomes a `bootloader_api::BootInfo`.

use core::ffi::CStr;

use bootloader_api::BootInfo;
use bootloader_api::info::MemoryRegionKind;

use super::map::{self, RegionList, Told};
use crate::arch::phys_to_virt;

/// `struct hvm_start_info`, version 1.
#[derive(Clone, Copy)]
#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

/// `struct hvm_modlist_entry`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Module {
    address: u64,
    bytes: u64,
    command_line: u64,
    reserved: u64,
}

/// `struct hvm_memmap_table_entry`: types are those of the BIOS's E820.
#[derive(Clone, Copy)]
#[repr(C)]
struct MemoryMapEntry {
    address: u64,
    bytes: u64,
    kind: u32,
    reserved: u32,
}

const START_INFO_MAGIC: u32 = 0x336e_c578;
const E820_RAM: u32 = 1;

fn command_line(info: &StartInfo) -> &'static str {
    if info.command_line == 0 {
        return "";
    }
    // SAFETY: a NUL-terminated string in RAM that stays untouched.
    let bytes = unsafe { CStr::from_ptr(phys_to_virt(info.command_line).cast()) };
    bytes.to_str().unwrap_or("")
}

/// The machine, and the command line.
pub(super) fn describe(start_info: u64) -> (&'static mut BootInfo, &'static str) {
    // SAFETY: the loader passes a start_info in RAM, which the direct map covers and nothing overwrites: memory
    // below 1 MiB and what the start_info points at are not given to the frame allocator.
    let info = unsafe { phys_to_virt(start_info).cast::<StartInfo>().read_unaligned() };
    assert!(info.magic == START_INFO_MAGIC && info.version >= 1, "not started by a PVH loader with a memory map");
    // SAFETY: `start_info` says where the table is and how long.
    let mut modules = unsafe { table::<Module>(info.modules, info.module_count) };
    // SAFETY: as above.
    let entries = unsafe { table::<MemoryMapEntry>(info.memory_map, info.memory_map_entries) };
    let mut list = RegionList::new();
    for entry in entries {
        let kind =
            if entry.kind == E820_RAM { MemoryRegionKind::Usable } else { MemoryRegionKind::UnknownBios(entry.kind) };
        list.add(entry.address, entry.address + entry.bytes, kind);
    }
    list.reserve(start_info, start_info + size_of::<StartInfo>() as u64);
    list.reserve(info.command_line, info.command_line + 4096);
    let ramdisk = modules.next().map(|module| (module.address, module.bytes));
    (map::boot_info(list, &Told { rsdp: info.rsdp, ramdisk }), command_line(&info))
}

/// # Safety
/// `count` values of type `T` lie at the physical address (which need not suit `T`'s alignment) and are never written.
unsafe fn table<T: Copy>(address: u64, count: u32) -> impl Iterator<Item = T> {
    let start = phys_to_virt(address).cast::<T>();
    // SAFETY: the caller's promise; the direct map covers all RAM.
    (0..count as usize).map(move |index| unsafe { start.add(index).read_unaligned() })
}
