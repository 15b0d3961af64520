//! Multiboot2: how GRUB starts the kernel, from a BIOS or a UEFI (`just image`).
//!
//! The loader passes the physical address of a list of tags (the Multiboot2 specification, 3.6). Used are the memory map, the
//! command line, the first module (the initrd) and the copy of ACPI's root pointer. Here they become a
//! `bootloader_api::BootInfo`.

use core::ffi::CStr;

use bootloader_api::BootInfo;
use bootloader_api::info::MemoryRegionKind;

use super::map::{self, RegionList, Told};
use crate::arch::phys_to_virt;

const COMMAND_LINE: u32 = 1;
const MODULE: u32 = 3;
const MEMORY_MAP: u32 = 6;
const OLD_RSDP: u32 = 14;
const NEW_RSDP: u32 = 15;

const USABLE: u32 = 1;

/// The machine, and the command line.
pub(super) fn describe(info: u64) -> (&'static mut BootInfo, &'static str) {
    let (mut list, mut told, mut command_line) = (RegionList::new(), Told::default(), "");
    for tag in tags(info) {
        match tag.kind {
            COMMAND_LINE => command_line = text(tag.body),
            MODULE if told.ramdisk.is_none() => {
                let (start, end) = (u64::from(word(tag.body)), u64::from(word(tag.body + 4)));
                told.ramdisk = Some((start, end - start));
            }
            MEMORY_MAP => add_regions(&tag, &mut list),
            OLD_RSDP if told.rsdp == 0 => told.rsdp = tag.body,
            NEW_RSDP => told.rsdp = tag.body,
            _ => {}
        }
    }
    list.reserve(info, info + u64::from(word(info)));
    (map::boot_info(list, &told), command_line)
}

/// Adds what is usable, neighbours together: a UEFI's map has many pieces.
fn add_regions(tag: &Tag, list: &mut RegionList) {
    let entry_bytes = u64::from(word(tag.body)).max(1);
    let (mut start, mut end) = (0, 0);
    for entry in (tag.body + 8..tag.end).step_by(entry_bytes as usize) {
        let (address, bytes, kind) = (long(entry), long(entry + 8), word(entry + 16));
        if kind != USABLE {
            continue;
        }
        if address != end {
            list.add(start, end, MemoryRegionKind::Usable);
            start = address;
        }
        end = address + bytes;
    }
    list.add(start, end, MemoryRegionKind::Usable);
}

/// A tag: its type, and where what it says begins and ends.
struct Tag {
    kind: u32,
    body: u64,
    end: u64,
}

/// The tags of the list, without the one that ends it.
fn tags(info: u64) -> impl Iterator<Item = Tag> {
    const HEADER_BYTES: u64 = 8;
    let end = info + u64::from(word(info));
    let mut at = info + HEADER_BYTES;
    core::iter::from_fn(move || {
        let (kind, bytes) = (word(at), u64::from(word(at + 4)));
        let tag = Tag { kind, body: at + HEADER_BYTES, end: at + bytes };
        at = (at + bytes.max(HEADER_BYTES)).next_multiple_of(8);
        (kind != 0 && at < end).then_some(tag)
    })
}

fn word(address: u64) -> u32 {
    // SAFETY: within the loader's list, which lies in RAM that the direct map covers and nothing overwrites.
    unsafe { phys_to_virt(address).cast::<u32>().read_unaligned() }
}

fn long(address: u64) -> u64 {
    u64::from(word(address)) | u64::from(word(address + 4)) << 32
}

fn text(address: u64) -> &'static str {
    // SAFETY: the loader ends its strings with a NUL; as above.
    let bytes = unsafe { CStr::from_ptr(phys_to_virt(address).cast()) };
    bytes.to_str().unwrap_or("")
}
