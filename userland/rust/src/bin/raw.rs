//! A program without a C library: system calls made directly, by the numbers and structures of the `abi` crate.
#![no_std]
#![no_main]

use abi::futex::{FUTEX_WAIT, FUTEX_WAKE, FutexFlags};
use abi::mman::{MapFlags, Prot};
use abi::sched::CloneFlags;
use abi::utsname::NewUtsname;
use abi::zerocopy::{FromZeros, IntoBytes};
use abi::{Errno, nr};
use core::arch::{asm, global_asm, naked_asm};
use core::sync::atomic::{AtomicU32, Ordering};

// The stack is aligned to 16 bytes at the entry, a call wants it 8 below.
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call {main}", "ud2", main = sym main);

// The compiler calls these for large values; a C library would bring them.
global_asm!(
    ".globl memset",
    "memset:",
    "mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",
    ".globl memcpy",
    "memcpy:",
    "mov rax, rdi",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
);

/// Makes a system call of up to six arguments.
fn syscall(number: usize, arguments: [usize; 6]) -> Result<usize, usize> {
    let result: isize;
    // SAFETY: callers pass pointers to their own live memory of the size the call expects.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") arguments[0], in("rsi") arguments[1],
            in("rdx") arguments[2], in("r10") arguments[3], in("r8") arguments[4], in("r9") arguments[5],
            lateout("rcx") _, lateout("r11") _);
    }
    if (-4095..0).contains(&result) { Err(result.unsigned_abs()) } else { Ok(result.cast_unsigned()) }
}

fn print(text: &str) {
    // A failure to print shows in the output being wrong.
    let _ = syscall(nr::WRITE, [1, text.as_ptr() as usize, text.len(), 0, 0, 0]);
}

fn exit(status: usize) -> ! {
    let _ = syscall(nr::EXIT_GROUP, [status, 0, 0, 0, 0, 0]);
    loop {}
}

fn check(name: &str, good: bool) {
    print(if good { "ok " } else { "FAIL " });
    print(name);
    print("\n");
    if !good {
        exit(1);
    }
}

static CHILD_RAN: AtomicU32 = AtomicU32::new(0);
/// Holds the child's tid until the kernel clears it at the child's exit.
static CHILD_TID: AtomicU32 = AtomicU32::new(0);

const THREAD_FLAGS: CloneFlags = CloneFlags::CLONE_VM
    .union(CloneFlags::CLONE_FS)
    .union(CloneFlags::CLONE_FILES)
    .union(CloneFlags::CLONE_SIGHAND)
    .union(CloneFlags::CLONE_THREAD)
    .union(CloneFlags::CLONE_SYSVSEM)
    .union(CloneFlags::CLONE_PARENT_SETTID)
    .union(CloneFlags::CLONE_CHILD_CLEARTID);

/// clone(2) with a stack for the child, which calls [`child`] on it.
#[unsafe(naked)]
unsafe extern "C" fn clone_thread(flags: u64, stack: usize, parent_tid: usize, child_tid: usize) -> isize {
    naked_asm!(
        "mov eax, {clone}", "mov r10, rcx", "xor r8d, r8d", "syscall",
        "test eax, eax", "jnz 2f",
        "xor ebp, ebp", "call {child}", "ud2",
        "2: ret",
        clone = const nr::CLONE, child = sym child,
    )
}

extern "C" fn child() -> ! {
    CHILD_RAN.store(1, Ordering::Release);
    let _ = syscall(nr::EXIT, [0, 0, 0, 0, 0, 0]);
    loop {}
}

fn uname_says_linux() -> bool {
    let mut name = NewUtsname::new_zeroed();
    let called = syscall(nr::UNAME, [name.as_mut_bytes().as_mut_ptr() as usize, 0, 0, 0, 0, 0]);
    called == Ok(0) && name.sysname.starts_with(b"Linux\0") && name.machine.starts_with(b"x86_64\0")
}

fn a_thread_made_by_clone_runs_and_clears_its_tid() -> bool {
    const STACK_BYTES: usize = 65536;
    let prot = (Prot::PROT_READ | Prot::PROT_WRITE).bits() as usize;
    let flags = (MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS).bits() as usize;
    let Ok(stack) = syscall(nr::MMAP, [0, STACK_BYTES, prot, flags, usize::MAX, 0]) else { return false };
    let tid_address = &raw const CHILD_TID as usize;
    // SAFETY: the stack is fresh and used by the child alone, both addresses are of a static.
    let tid = unsafe { clone_thread(THREAD_FLAGS.bits(), stack + STACK_BYTES, tid_address, tid_address) };
    if tid <= 0 {
        return false;
    }
    loop {
        let now = CHILD_TID.load(Ordering::Acquire);
        if now == 0 {
            break;
        }
        // Woken with the shared key: no FUTEX_PRIVATE_FLAG.
        let _ = syscall(nr::FUTEX, [tid_address, FUTEX_WAIT as usize, now as usize, 0, 0, 0]);
    }
    CHILD_RAN.load(Ordering::Acquire) == 1 && syscall(nr::MUNMAP, [stack, STACK_BYTES, 0, 0, 0, 0]) == Ok(0)
}

fn errors_have_linux_numbers() -> bool {
    let private = FutexFlags::FUTEX_PRIVATE_FLAG.bits();
    let word = AtomicU32::new(1);
    let address = word.as_ptr() as usize;
    let is = |result: Result<usize, usize>, error: Errno| result == Err(usize::from(error.number()));
    is(syscall(nr::CLOSE, [usize::MAX, 0, 0, 0, 0, 0]), Errno::EBADF)
        && is(syscall(nr::FUTEX, [address, (FUTEX_WAIT | private) as usize, 2, 0, 0, 0]), Errno::EAGAIN)
        && syscall(nr::FUTEX, [address, (FUTEX_WAKE | private) as usize, 1, 0, 0, 0]) == Ok(0)
        && is(syscall(nr::COUNT + 100, [0; 6]), Errno::ENOSYS)
}

extern "C" fn main() -> ! {
    check("uname_says_linux", uname_says_linux());
    check("errors_have_linux_numbers", errors_have_linux_numbers());
    check("a_thread_made_by_clone_runs_and_clears_its_tid", a_thread_made_by_clone_runs_and_clears_its_tid());
    exit(0)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(2)
}
