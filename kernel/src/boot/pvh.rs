//! The PVH entry: how QEMU's `-kernel`, Firecracker and Cloud Hypervisor start the kernel.
//!
//! The boot protocol is Xen's "x86/HVM direct boot ABI" (`xen/include/public/arch-x86/hvm/start_info.h`): an ELF note
//! gives a 32-bit entry point, entered in protected mode without paging, with the physical address of a `start_info`
//! in `ebx`. From here: long mode, the higher half, and a `bootloader_api::BootInfo` as any other loader would give.

use core::arch::global_asm;
use core::ffi::CStr;
use core::slice;

use bootloader_api::BootInfo;
use bootloader_api::info::{MemoryRegion, MemoryRegionKind, MemoryRegions, Optional};

use crate::arch::{DIRECT_MAP, phys_to_virt};

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

/// Bytes of the boot CPU's stack.
pub(super) const STACK_BYTES: usize = 128 * 1024;

global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18                  /* name size, value size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long rustos_pvh_entry - {base}

    .section .boot.text, "ax", @progbits
    .code32
    .global rustos_pvh_entry
rustos_pvh_entry:
    cli
    cld
    mov edi, ebx
    lea eax, [rustos_boot_direct_pdpt - {base} + 3]
    mov dword ptr [rustos_boot_pml4 - {base}], eax
    mov dword ptr [rustos_boot_pml4 - {base} + 256 * 8], eax
    mov dword ptr [rustos_boot_pml4 - {base} + 256 * 8 + 4], 0x80000000
    lea eax, [rustos_boot_kernel_pdpt - {base} + 3]
    mov dword ptr [rustos_boot_pml4 - {base} + 511 * 8], eax
    lea eax, [rustos_boot_kernel_pd - {base} + 3]
    mov dword ptr [rustos_boot_kernel_pdpt - {base} + 510 * 8], eax
    lea eax, [rustos_boot_pml4 - {base}]
    mov cr3, eax
    mov eax, cr4
    or eax, 0xa0                    /* PAE, PGE */
    mov cr4, eax
    mov ecx, 0xc0000080             /* EFER: SCE, LME, NXE */
    rdmsr
    or eax, 0x901
    wrmsr
    mov eax, cr0
    or eax, 0x80010001              /* PG, WP, PE */
    mov cr0, eax
    lgdt [rustos_boot_gdt_pointer - {base}]
    .byte 0xea                      /* far jump */
    .long rustos_boot_long_mode - {base}
    .word 0x10

    .code64
rustos_boot_long_mode:
    movabs rax, offset rustos_boot_high
    jmp rax
rustos_boot_high:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    lea rsp, [rip + rustos_boot_stack + {stack_bytes}]
    xor ebp, ebp
    call {start}
    ud2

    .section .rodata.boot, "a", @progbits
    .balign 8
rustos_boot_gdt:
    .quad 0, 0, 0x00af9a000000ffff  /* 64-bit code at 0x10 */
rustos_boot_gdt_pointer:
    .word 23
    .long rustos_boot_gdt - {base}

    .section .data.boot_tables, "aw", @progbits
    .balign 4096
    .global rustos_boot_pml4
rustos_boot_pml4:
    .skip 4096
    /* 512 GiB in pages of 1 GiB: present, writable, accessed, dirty, large, global. */
    .global rustos_boot_direct_pdpt
rustos_boot_direct_pdpt:
    .set gigabyte, 0
    .rept 512
    .quad (gigabyte << 30) | 0x1e3
    .set gigabyte, gigabyte + 1
    .endr
    .global rustos_boot_kernel_pdpt
rustos_boot_kernel_pdpt:
    .skip 4096
    /* 1 GiB in pages of 2 MiB, until `arch::protect_image` maps what is used in pages of 4 KiB. */
    .global rustos_boot_kernel_pd
rustos_boot_kernel_pd:
    .set megabytes, 0
    .rept 512
    .quad (megabytes << 21) | 0x1e3
    .set megabytes, megabytes + 1
    .endr

    .section .bss.boot_stack, "aw", @nobits
    .balign 4096
    .global rustos_boot_stack_guard
rustos_boot_stack_guard:
    .skip 4096
    .global rustos_boot_stack
rustos_boot_stack:
    .skip {stack_bytes}
    .text
    "#,
    base = const crate::arch::KERNEL_BASE,
    stack_bytes = const STACK_BYTES,
    start = sym start,
);

/// Room for the memory map; QEMU's has about ten entries.
const REGIONS_MAX: usize = 64;

static REGIONS: spin::Mutex<[MemoryRegion; REGIONS_MAX]> = spin::Mutex::new([MemoryRegion::empty(); REGIONS_MAX]);
static BOOT_INFO: spin::Mutex<Option<BootInfo>> = spin::Mutex::new(None);

extern "sysv64" fn start(start_info: u64) -> ! {
    crate::arch::init_boot_cpu();
    // SAFETY: the loader passes a start_info in RAM, which the direct map covers and nothing overwrites: memory
    // below 1 MiB and what the start_info points at are not given to the frame allocator.
    let info = unsafe { phys_to_virt(start_info).cast::<StartInfo>().read_unaligned() };
    assert!(info.magic == START_INFO_MAGIC && info.version >= 1, "not started by a PVH loader with a memory map");
    let (boot_info, command_line) = (describe(start_info, &info), command_line(&info));
    super::kernel_main(boot_info, command_line)
}

fn command_line(info: &StartInfo) -> &'static str {
    if info.command_line == 0 {
        return "";
    }
    // SAFETY: a NUL-terminated string in RAM that stays untouched.
    let bytes = unsafe { CStr::from_ptr(phys_to_virt(info.command_line).cast()) };
    bytes.to_str().unwrap_or("")
}

/// The machine as `BootInfo` describes it.
fn describe(start_info: u64, info: &StartInfo) -> &'static mut BootInfo {
    // SAFETY: `start_info` says where the table is and how long.
    let mut modules = unsafe { table::<Module>(info.modules, info.module_count) };
    // SAFETY: as above.
    let map = unsafe { table::<MemoryMapEntry>(info.memory_map, info.memory_map_entries) };
    let ramdisk = modules.next();
    let mut list = RegionList { regions: REGIONS.lock().as_mut_slice().as_mut_ptr(), count: 0 };
    for entry in map {
        let kind =
            if entry.kind == E820_RAM { MemoryRegionKind::Usable } else { MemoryRegionKind::UnknownBios(entry.kind) };
        list.add(entry.address, entry.address + entry.bytes, kind);
    }
    list.reserve(0, 1 << 20);
    let (image_start, image_end) = crate::arch::image_range();
    list.reserve(image_start, image_end);
    list.reserve(start_info, start_info + size_of::<StartInfo>() as u64);
    list.reserve(info.command_line, info.command_line + 4096);
    if let Some(module) = &ramdisk {
        list.reserve(module.address, module.address + module.bytes);
    }
    let mut boot_info = BootInfo::new(list.into_regions());
    boot_info.physical_memory_offset = Optional::Some(DIRECT_MAP);
    boot_info.rsdp_addr = if info.rsdp == 0 { Optional::None } else { Optional::Some(info.rsdp) };
    boot_info.ramdisk_addr =
        ramdisk.as_ref().map_or(Optional::None, |module| Optional::Some(DIRECT_MAP + module.address));
    boot_info.ramdisk_len = ramdisk.map_or(0, |module| module.bytes);
    (boot_info.kernel_addr, boot_info.kernel_len) = (image_start, image_end - image_start);
    let mut place = BOOT_INFO.lock();
    let boot_info: *mut BootInfo = place.insert(boot_info);
    // SAFETY: the static is filled once, here, and used through this reference alone.
    unsafe { &mut *boot_info }
}

/// # Safety
/// `count` values of type `T` lie at the physical address (which need not suit `T`'s alignment) and are never written.
unsafe fn table<T: Copy>(address: u64, count: u32) -> impl Iterator<Item = T> {
    let start = phys_to_virt(address).cast::<T>();
    // SAFETY: the caller's promise; the direct map covers all RAM.
    (0..count as usize).map(move |index| unsafe { start.add(index).read_unaligned() })
}

/// A memory map under construction.
struct RegionList {
    regions: *mut MemoryRegion,
    count: usize,
}

impl RegionList {
    fn slice(&mut self) -> &'static mut [MemoryRegion] {
        // SAFETY: the array is a static that only this list uses, and `count` stays within it.
        unsafe { slice::from_raw_parts_mut(self.regions, self.count) }
    }

    fn add(&mut self, start: u64, end: u64, kind: MemoryRegionKind) {
        if start >= end {
            return;
        }
        assert!(self.count < REGIONS_MAX, "the memory map has at most {REGIONS_MAX} regions");
        self.count += 1;
        self.slice()[self.count - 1] = MemoryRegion { start, end, kind };
    }

    /// Takes the pages that `start..end` touches out of the usable regions.
    fn reserve(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let (start, end) = (start & !0xfff, (end + 0xfff) & !0xfff);
        for index in 0..self.count {
            let region = self.slice()[index];
            if region.kind != MemoryRegionKind::Usable || region.end <= start || end <= region.start {
                continue;
            }
            self.slice()[index].end = start.max(region.start);
            self.add(end, region.end, MemoryRegionKind::Usable);
        }
    }

    fn into_regions(mut self) -> MemoryRegions {
        self.slice().into()
    }
}
