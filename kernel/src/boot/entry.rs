//! The entry points: protected mode without paging, left behind for long mode and the higher half.
//!
//! Two loaders come here, each with the physical address of its description of the machine in `ebx`: one that knows PVH
//! ([`super::pvh`]) by an ELF note, one that knows Multiboot2 ([`super::multiboot`]) by a header near the image's start.

use core::arch::global_asm;

use super::{multiboot, pvh};

/// What marks a Multiboot2 header, and what its loader leaves in `eax`.
const MULTIBOOT_HEADER_MAGIC: u32 = 0xe852_50d6;
const MULTIBOOT_LOADER_MAGIC: u32 = 0x36d7_6289;

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
    .balign 8
rustos_multiboot_header:
    .long {multiboot_magic}, 0      /* architecture: i386, protected mode */
    .long rustos_multiboot_header_end - rustos_multiboot_header
    .long -({multiboot_magic} + (rustos_multiboot_header_end - rustos_multiboot_header))
    .word 3, 0                      /* the entry's address */
    .long 12, rustos_multiboot_entry - {base}
    .balign 8
    .word 6, 0                      /* modules begin at pages */
    .long 8
    .word 0, 0
    .long 8
rustos_multiboot_header_end:

    .code32
    .global rustos_pvh_entry
rustos_pvh_entry:
    xor esi, esi
    jmp rustos_boot_common
rustos_multiboot_entry:
    mov esi, eax
rustos_boot_common:
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
    multiboot_magic = const MULTIBOOT_HEADER_MAGIC,
    start = sym start,
);

/// `info` is physical; `magic` is 0 for PVH, else what the loader left in `eax`.
extern "sysv64" fn start(info: u64, magic: u32) -> ! {
    crate::arch::init_boot_cpu();
    let (boot_info, command_line) = match magic {
        0 => pvh::describe(info),
        MULTIBOOT_LOADER_MAGIC => multiboot::describe(info),
        other => panic!("started by a loader unknown to us ({other:#x})"),
    };
    super::kernel_main(boot_info, command_line)
}
