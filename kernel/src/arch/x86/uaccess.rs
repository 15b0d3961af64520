//! Access to user memory that survives a fault: the exception table, and the few instructions that may fault.
//!
//! Each of these instructions has an entry in section `extable`: two offsets, each relative to itself, of the
//! instruction and of the code that takes over. The kernel's page fault handler asks [`fixup_for`] and resumes there.
//! User pages are reachable only between [`open`] and `clac` (SMAP).

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

pub use crate::arch::uaccess::StringCopy;
use crate::arch::uaccess::in_user_half;

/// One line of the exception table.
#[repr(C)]
struct Entry {
    instruction: i32,
    fixup: i32,
}

unsafe extern "C" {
    /// The linker's names for the ends of section `extable`.
    static __start_extable: [Entry; 0];
    static __stop_extable: [Entry; 0];
}

/// Whether the CPU has SMAP, and so STAC and CLAC.
static SMAP: AtomicBool = AtomicBool::new(false);

/// Notes that SMAP is on.
pub fn set_smap(on: bool) {
    SMAP.store(on, Ordering::Relaxed);
}

/// Where to resume after a page fault of the kernel at `rip`; `None` if it is no user access but a bug.
pub fn fixup_for(rip: u64) -> Option<u64> {
    // SAFETY: both symbols delimit the section, an array of entries that is never written.
    let entries = unsafe {
        let start = (&raw const __start_extable).cast::<Entry>();
        let end = (&raw const __stop_extable).cast::<Entry>();
        core::slice::from_raw_parts(start, end.offset_from(start) as usize)
    };
    let target = |field: &i32| (core::ptr::from_ref(field) as u64).wrapping_add_signed(i64::from(*field));
    entries.iter().find(|entry| target(&entry.instruction) == rip).map(|entry| target(&entry.fixup))
}

/// Lets the kernel reach user pages.
#[inline(always)]
fn open() {
    if SMAP.load(Ordering::Relaxed) {
        // SAFETY: sets RFLAGS.AC, which only the accesses that follow depend on.
        unsafe { asm!("stac", options(nostack)) };
    }
}

/// Shuts user pages off again.
#[inline(always)]
fn close() {
    if SMAP.load(Ordering::Relaxed) {
        // SAFETY: clears RFLAGS.AC.
        unsafe { asm!("clac", options(nostack)) };
    }
}

/// An exception table line: a fault at label `$at` resumes at label `$to`.
macro_rules! extable {
    ($at:literal, $to:literal) => {
        concat!(
            ".pushsection extable,\"aR\",@progbits\n.balign 4\n.long ",
            $at,
            " - .\n.long ",
            $to,
            " - .\n.popsection"
        )
    };
}

/// Runs one instruction that reads or writes user memory at `addr`, with operands in `rax` and `rdx`; gives `rax`
/// afterwards, or `None` at a fault. Callers stand between [`open`] and [`close`] and keep `addr` in the user half.
macro_rules! access {
    ($instruction:literal, $addr:expr, $rax:expr, $rdx:expr) => {{
        let (mut rax, mut fault): (u64, u64) = ($rax, 0);
        // SAFETY: the address lies in the user half; a fault resumes in this block.
        unsafe {
            asm!(
                concat!("2: ", $instruction),
                "jmp 4f",
                "3: mov {fault:e}, 1",
                "4:",
                extable!("2b", "3b"),
                addr = in(reg) $addr,
                fault = inout(reg) fault,
                inout("rax") rax,
                in("rdx") $rdx,
                options(nostack),
            );
        }
        (fault == 0).then_some(rax)
    }};
}

/// Copies bytes in; gives how many, at the end, were not copied because of a fault.
#[inline]
pub fn copy_from_user(into: &mut [u8], from: u64) -> usize {
    if !in_user_half(from, into.len()) {
        return into.len();
    }
    open();
    // SAFETY: `into` is writable memory of that length; the source lies in the user half and may fault.
    let left = unsafe { copy(into.as_mut_ptr(), from as *const u8, into.len()) };
    close();
    left
}

/// Copies bytes out; gives how many, at the end, were not copied because of a fault.
#[inline]
pub fn copy_to_user(to: u64, from: &[u8]) -> usize {
    if !in_user_half(to, from.len()) {
        return from.len();
    }
    open();
    // SAFETY: `from` is readable memory of that length; the target lies in the user half and may fault.
    let left = unsafe { copy(to as *mut u8, from.as_ptr(), from.len()) };
    close();
    left
}

/// The copy of both directions: by words, then bytes; a fault among the words is narrowed down by bytes.
///
/// # Safety
/// The side that is kernel memory is valid for `len` bytes, the other is in the user half.
#[inline]
unsafe fn copy(to: *mut u8, from: *const u8, len: usize) -> usize {
    let mut left;
    // SAFETY: the caller's promise; faults resume in this block.
    unsafe {
        asm!(
            "2: rep movsq",
            "mov ecx, {tail:e}",
            "3: rep movsb",
            "jmp 5f",
            "4: lea rcx, [rcx * 8 + {tail}]",
            "jmp 3b",
            "5:",
            extable!("2b", "4b"),
            extable!("3b", "5b"),
            tail = in(reg) len & 7,
            inout("rcx") len / 8 => left,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack),
        );
    }
    left
}

/// Zeroes `len` bytes; gives how many, at the end, were not reached because of a fault.
pub fn clear_user(to: u64, len: usize) -> usize {
    if !in_user_half(to, len) {
        return len;
    }
    let mut left;
    open();
    // SAFETY: the target lies in the user half; faults resume in this block.
    unsafe {
        asm!(
            "2: rep stosq",
            "mov ecx, {tail:e}",
            "3: rep stosb",
            "jmp 5f",
            "4: lea rcx, [rcx * 8 + {tail}]",
            "jmp 3b",
            "5:",
            extable!("2b", "4b"),
            extable!("3b", "5b"),
            tail = in(reg) len & 7,
            inout("rcx") len / 8 => left,
            inout("rdi") to => _,
            in("rax") 0_u64,
            options(nostack),
        );
    }
    close();
    left
}

/// Writes the enabled vector components in the standard format of XSAVE to `to`, 64-byte aligned, which has room for `len`
/// bytes; the header's reserved bytes are left as they are. `false` at a fault.
pub fn xsave_to_user(to: u64, len: usize) -> bool {
    xstate_access(to, len, |to| access!("xsave64 [{addr}]", to, ALL_COMPONENTS, ALL_COMPONENTS))
}

/// Loads all enabled vector components from the XSAVE area at `from`, which has `len` bytes. `false` at a fault, also the
/// protection fault that answers a malformed area.
pub fn xrstor_from_user(from: u64, len: usize) -> bool {
    // The kernel keeps nothing in the registers that XRSTOR changes.
    xstate_access(from, len, |from| access!("xrstor64 [{addr}]", from, ALL_COMPONENTS, ALL_COMPONENTS))
}

/// The request mask of XSAVE and XRSTOR, in `eax` and `edx`.
const ALL_COMPONENTS: u64 = u32::MAX as u64;

#[inline(always)]
fn xstate_access(addr: u64, len: usize, access: impl FnOnce(u64) -> Option<u64>) -> bool {
    if !in_user_half(addr, len) || addr & 63 != 0 {
        return false;
    }
    open();
    let done = access(addr);
    close();
    done.is_some()
}

/// Copies a string in, up to its NUL (not copied), the end of `into`, or a fault.
pub fn copy_string_from_user(into: &mut [u8], from: u64) -> StringCopy {
    if !in_user_half(from, into.len()) {
        return StringCopy::Fault(0);
    }
    open();
    let mut copied = 0;
    let end = loop {
        if copied == into.len() {
            break StringCopy::Full;
        }
        // Eight at a time where there is room and they can be read; by the byte elsewhere.
        if into.len() - copied >= 8
            && let Some(word) = load_u64(from + copied as u64)
        {
            let zeros = word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080;
            let count = if zeros == 0 { 8 } else { zeros.trailing_zeros() as usize / 8 };
            into[copied..copied + count].copy_from_slice(&word.to_le_bytes()[..count]);
            copied += count;
            if zeros != 0 {
                break StringCopy::Whole(copied);
            }
            continue;
        }
        match load_u8(from + copied as u64) {
            None => break StringCopy::Fault(copied),
            Some(0) => break StringCopy::Whole(copied),
            Some(byte) => into[copied] = byte,
        }
        copied += 1;
    };
    close();
    end
}

#[inline(always)]
fn load_u64(from: u64) -> Option<u64> {
    access!("mov rax, [{addr}]", from, 0, 0_u64)
}

#[inline(always)]
fn load_u8(from: u64) -> Option<u8> {
    access!("movzx eax, byte ptr [{addr}]", from, 0, 0_u64).map(|value| value as u8)
}

/// Reads a word of the user; `None` at a fault.
#[inline]
pub fn user_load_u32(addr: u64) -> Option<u32> {
    atomic(addr, || access!("mov eax, [{addr}]", addr, 0, 0_u64))
}

/// Replaces a word of the user and gives what it was; `None` at a fault.
#[inline]
pub fn user_swap_u32(addr: u64, value: u32) -> Option<u32> {
    atomic(addr, || access!("xchg [{addr}], eax", addr, u64::from(value), 0_u64))
}

/// Replaces a word of the user if it is `old` and gives what it was; `None` at a fault.
#[inline]
pub fn user_compare_exchange_u32(addr: u64, old: u32, new: u32) -> Option<u32> {
    atomic(addr, || access!("lock cmpxchg [{addr}], edx", addr, u64::from(old), u64::from(new)))
}

#[inline(always)]
fn atomic(addr: u64, access: impl FnOnce() -> Option<u64>) -> Option<u32> {
    if !in_user_half(addr, 4) {
        return None;
    }
    open();
    let value = access();
    close();
    value.map(|value| value as u32)
}
