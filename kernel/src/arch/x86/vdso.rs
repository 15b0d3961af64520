//! The code of the vDSO: position-independent, run in user mode, copied from here into the image that `time/vdso.rs`
//! builds. The page below the image holds the clock's data ([`VdsoData`]).

use core::arch::global_asm;
use core::mem::offset_of;

/// Where in the image the code begins.
pub const VDSO_CODE_OFFSET: usize = 0x400;

/// What the code reads, at the start of the page below the image. Each field is stored whole, and only `wall_ns` ever
/// changes, so a reader needs no lock and no second look.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct VdsoData {
    /// The time stamp counter at monotonic time 0.
    pub start_ticks: u64,
    /// Nanoseconds a tick, 32.32 fixed point.
    pub ns_per_tick: u64,
    /// What to add to monotonic time to get nanoseconds since the Unix epoch.
    pub wall_ns: u64,
}

/// Clocks the code serves: REALTIME, MONOTONIC, MONOTONIC_RAW, both COARSE, BOOTTIME, TAI.
const SERVED: u32 = 1 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 11;
/// Those of them that show the date.
const WALL: u32 = 1 | 1 << 5 | 1 << 11;

global_asm!(
    r#"
    .section .rodata.vdso, "a", @progbits
    .balign 16
    .global rustos_vdso_code
rustos_vdso_code:
    /* rax = monotonic ns; uses rdx. */
    .macro read_monotonic
    lfence
    rdtsc
    shl rdx, 32
    or rax, rdx
    sub rax, [rip + rustos_vdso_code - {data} + {start}]
    mul qword ptr [rip + rustos_vdso_code - {data} + {scale}]
    shrd rax, rdx, 32
    .endm
    /* rdx = rax / 10^9, rax = rax % 10^9; uses rcx: (n >> 9) * 0x44b82fa09b5a53 >> 64 >> 11. */
    .macro split_seconds
    mov rcx, rax
    shr rax, 9
    movabs rdx, 0x44b82fa09b5a53
    mul rdx
    shr rdx, 11
    imul rax, rdx, 1000000000
    sub rcx, rax
    mov rax, rcx
    .endm

    .balign 16
    .global rustos_vdso_clock_gettime
rustos_vdso_clock_gettime:
    cmp edi, 11
    ja 2f
    mov r8d, {served}
    bt r8d, edi
    jnc 2f
    read_monotonic
    mov r8d, {wall_clocks}
    bt r8d, edi
    jnc 1f
    add rax, [rip + rustos_vdso_code - {data} + {wall}]
1:  split_seconds
    mov [rsi], rdx
    mov [rsi + 8], rax
    xor eax, eax
    ret
2:  mov eax, 228
    syscall
    ret

    .balign 16
    .global rustos_vdso_gettimeofday
rustos_vdso_gettimeofday:
    test rdi, rdi
    jz 1f
    mov r8, rsi
    read_monotonic
    add rax, [rip + rustos_vdso_code - {data} + {wall}]
    split_seconds
    mov [rdi], rdx
    mov ecx, 1000
    xor edx, edx
    div rcx
    mov [rdi + 8], rax
    mov rsi, r8
1:  test rsi, rsi
    jz 2f
    mov qword ptr [rsi], 0
2:  xor eax, eax
    ret

    .balign 16
    .global rustos_vdso_time
rustos_vdso_time:
    read_monotonic
    add rax, [rip + rustos_vdso_code - {data} + {wall}]
    split_seconds
    mov rax, rdx
    test rdi, rdi
    jz 1f
    mov [rdi], rax
1:  ret

    .balign 16
    .global rustos_vdso_getcpu
rustos_vdso_getcpu:
    rdtscp
    test rdi, rdi
    jz 1f
    mov [rdi], ecx
1:  test rsi, rsi
    jz 2f
    mov dword ptr [rsi], 0
2:  xor eax, eax
    ret

    .balign 16
    .global rustos_vdso_clock_getres
rustos_vdso_clock_getres:
    mov eax, 229
    syscall
    ret
    .global rustos_vdso_code_end
rustos_vdso_code_end:
    "#,
    data = const VDSO_CODE_OFFSET + 4096,
    start = const offset_of!(VdsoData, start_ticks),
    scale = const offset_of!(VdsoData, ns_per_tick),
    wall = const offset_of!(VdsoData, wall_ns),
    served = const SERVED,
    wall_clocks = const WALL,
);

unsafe extern "C" {
    static rustos_vdso_code: u8;
    static rustos_vdso_code_end: u8;
    static rustos_vdso_clock_gettime: u8;
    static rustos_vdso_gettimeofday: u8;
    static rustos_vdso_time: u8;
    static rustos_vdso_getcpu: u8;
    static rustos_vdso_clock_getres: u8;
}

/// The code's bytes.
pub fn vdso_code() -> &'static [u8] {
    let (start, end) = (&raw const rustos_vdso_code, &raw const rustos_vdso_code_end);
    // SAFETY: the symbols delimit the code in the kernel's read-only data.
    unsafe { core::slice::from_raw_parts(start, end as usize - start as usize) }
}

/// The functions: name, and offset in [`vdso_code`].
pub fn vdso_functions() -> [(&'static str, usize); 5] {
    let start = &raw const rustos_vdso_code as usize;
    [
        ("clock_gettime", &raw const rustos_vdso_clock_gettime as usize - start),
        ("gettimeofday", &raw const rustos_vdso_gettimeofday as usize - start),
        ("time", &raw const rustos_vdso_time as usize - start),
        ("getcpu", &raw const rustos_vdso_getcpu as usize - start),
        ("clock_getres", &raw const rustos_vdso_clock_getres as usize - start),
    ]
}
