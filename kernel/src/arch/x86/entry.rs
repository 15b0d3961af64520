//! Into user mode and back: the assembly, and [`enter`] around it.
//!
//! A trap from user mode pushes its frame and registers straight into the [`UserContext`], which serves as the
//! stack for those instructions (TSS.RSP0 and `context_end` point at its end); then the kernel stack as `enter`
//! left it comes back and `enter` returns. A trap from kernel mode is an ordinary one on the kernel stack. The
//! vectors with a stack of their own (see `tables.rs`) may strike between any two instructions, so they look at
//! the GS base itself to know whether `swapgs` is due.
//!
//! A system call is shorter: only what a function call may change is stored, and [`UserMode::system_call`] is called
//! on the kernel stack as `enter` left it. If it says that the program may go on, the same registers are loaded and
//! SYSRET follows; else the rest is stored, and `enter` returns.
//!
//! On the kernel stack `enter` leaves, from `kernel_rsp` up: the context's address, [`at_once`], its argument, and the
//! six registers that a function must keep.

use core::arch::naked_asm;
use core::mem::offset_of;

use x86_64::VirtAddr;
use x86_64::registers::model_specific::{LStar, Msr, SFMask};
use x86_64::registers::rflags::RFlags;

use super::cpu::offsets;
use super::tables::{KERNEL_CODE, USER_BASE, USER_CODE, USER_DATA};
use crate::arch::{PageFaultError, Trap, UserContext, UserMode};

const CONTEXT_BYTES: usize = size_of::<UserContext>();
/// What lies below the six registers on the kernel stack.
const LEFT_BYTES: usize = 24;

/// Sets the MSRs of SYSCALL and SYSRET.
pub(super) fn init_syscall() {
    const STAR: u32 = 0xc000_0081;
    let star = u64::from(USER_BASE) << 48 | u64::from(KERNEL_CODE) << 32;
    // SAFETY: the selectors are those of the GDT just loaded.
    unsafe { Msr::new(STAR).write(star) };
    LStar::write(VirtAddr::new(syscall_entry as *const () as u64));
    // Everything a user can set is masked: IF above all, then TF, DF, NT and AC.
    SFMask::write(RFlags::from_bits_truncate(UserContext::USER_RFLAGS | 0x200));
}

/// Runs a thread in user mode until a trap that [`UserMode::system_call`] does not see to. Its vector registers and
/// segment bases are loaded first if another thread's are in the CPU.
///
/// A context that the CPU would refuse only after it has left the kernel comes back at once as the exception
/// it deserves.
#[inline]
pub fn enter<U: UserMode>(user: &mut U) -> Trap {
    let (context, live) = user.state();
    live.make_live();
    let fast = context.rcx == context.rip && context.r11 == context.rflags && context.vector == UserContext::SYSCALL;
    if !is_canonical(context.rip) {
        return Trap::Exception { vector: 13, error: 0 };
    }
    context.rflags = context.rflags & UserContext::USER_RFLAGS | UserContext::FIXED_RFLAGS;
    let context: *mut UserContext = context;
    if fast {
        // SAFETY: see `enter_by_sysret`; the instruction pointer is canonical.
        unsafe { enter_by_sysret(context, at_once::<U>, user) };
    } else {
        // SAFETY: derived from a reference just now.
        unsafe { ((*context).cs, (*context).ss) = (u64::from(USER_CODE), u64::from(USER_DATA)) };
        // SAFETY: see `enter_by_iret`; selectors are the user's, flags are checked.
        unsafe { enter_by_iret(context, at_once::<U>, user) };
    }
    user.state().0.trap()
}

/// A system call on its way in: called by `syscall_entry` with what `enter` was called with. Whether to go back to user
/// mode straight away.
extern "sysv64" fn at_once<U: UserMode>(user: &mut U) -> bool {
    let resumes = user.system_call();
    if resumes {
        user.state().1.make_live();
    }
    resumes
}

impl UserContext {
    #[inline]
    fn trap(&self) -> Trap {
        match self.vector {
            Self::SYSCALL => Trap::Syscall,
            14 => Trap::PageFault {
                address: x86_64::registers::control::Cr2::read_raw(),
                error: PageFaultError::from_bits_truncate(self.error as u32),
            },
            vector if vector < 32 => Trap::Exception { vector: vector as u8, error: self.error },
            vector => {
                super::apic::note_interrupt(vector as u8);
                // Whoever sent it may be waiting for the answer: a shootdown, or a thread's live state.
                super::cpu::serve_requests(super::cpu::Cpu::current());
                Trap::Interrupt { vector: vector as u8 }
            }
        }
    }
}

fn is_canonical(address: u64) -> bool {
    ((address << 16) as i64 >> 16) as u64 == address
}

/// Saves the kernel's callee-saved registers and stack pointer and makes `rdi` the context in use; `rsi` is called with
/// `rdx` for a system call.
macro_rules! leave_kernel {
    () => {
        "push rbx
         push rbp
         push r12
         push r13
         push r14
         push r15
         push rdx
         push rsi
         push rdi
         mov gs:[{kernel_rsp}], rsp
         lea rax, [rdi + {context_bytes}]
         mov gs:[{context_end}], rax
         mov gs:[{rsp0}], rax
         mov rsp, rdi
         pop r15
         pop r14
         pop r13
         pop r12
         pop rbp
         pop rbx"
    };
}

/// Pushes all general registers in the order of [`UserContext`].
macro_rules! push_registers {
    () => {
        "push rdi
         push rsi
         push rdx
         push rcx
         push rax
         push r8
         push r9
         push r10
         push r11
         push rbx
         push rbp
         push r12
         push r13
         push r14
         push r15"
    };
}

/// Goes back to where `enter` was called; the context has been filled.
macro_rules! enter_kernel {
    () => {
        "cld
         mov rsp, gs:[{kernel_rsp}]
         add rsp, {left_bytes}
         pop r15
         pop r14
         pop r13
         pop r12
         pop rbp
         pop rbx
         ret"
    };
}

/// # Safety
/// `context` is that of `user`, the running thread's, and holds a canonical `rip` with `rcx == rip` and `r11 == rflags`.
#[unsafe(naked)]
unsafe extern "sysv64" fn enter_by_sysret<U>(
    context: *mut UserContext,
    at_once: extern "sysv64" fn(&mut U) -> bool,
    user: *mut U,
) {
    naked_asm!(
        leave_kernel!(),
        "add rsp, 8
         pop r10
         pop r9
         pop r8
         pop rax
         add rsp, 8
         pop rdx
         pop rsi
         pop rdi
         mov rcx, [rsp + {rip} - {vector}]
         mov r11, [rsp + {rflags} - {vector}]
         mov rsp, [rsp + {rsp} - {vector}]
         swapgs
         sysretq",
        kernel_rsp = const offsets::KERNEL_RSP,
        context_end = const offsets::CONTEXT_END,
        rsp0 = const offsets::RSP0,
        context_bytes = const CONTEXT_BYTES,
        rip = const offset_of!(UserContext, rip),
        rflags = const offset_of!(UserContext, rflags),
        rsp = const offset_of!(UserContext, rsp),
        vector = const offset_of!(UserContext, vector),
    )
}

/// # Safety
/// `context` is that of `user`, the running thread's; its selectors are the user's and its flags are allowed ones.
#[unsafe(naked)]
unsafe extern "sysv64" fn enter_by_iret<U>(
    context: *mut UserContext,
    at_once: extern "sysv64" fn(&mut U) -> bool,
    user: *mut U,
) {
    naked_asm!(
        leave_kernel!(),
        "pop r11
         pop r10
         pop r9
         pop r8
         pop rax
         pop rcx
         pop rdx
         pop rsi
         pop rdi
         add rsp, 16
         swapgs
         iretq",
        kernel_rsp = const offsets::KERNEL_RSP,
        context_end = const offsets::CONTEXT_END,
        rsp0 = const offsets::RSP0,
        context_bytes = const CONTEXT_BYTES,
    )
}

/// Where SYSCALL lands: `rcx` is the user's rip, `r11` its flags, the stack is still the user's.
///
/// Only hardware has put values into `rcx` and `r11`, and no user page reaches the end of the lower half: SYSRET may
/// have them back unseen, unless the handler has changed the context, and then it did not say to resume.
#[unsafe(naked)]
extern "sysv64" fn syscall_entry() {
    naked_asm!(
        "swapgs
         mov gs:[{scratch}], rsp
         mov rsp, gs:[{context_end}]
         mov [rsp + {rip} - {bytes}], rcx
         mov [rsp + {rflags} - {bytes}], r11
         mov [rsp + {rax} - {bytes}], rax
         mov [rsp + {rdi} - {bytes}], rdi
         mov [rsp + {rsi} - {bytes}], rsi
         mov [rsp + {rdx} - {bytes}], rdx
         mov [rsp + {r10} - {bytes}], r10
         mov [rsp + {r8} - {bytes}], r8
         mov [rsp + {r9} - {bytes}], r9
         mov rcx, gs:[{scratch}]
         mov [rsp + {rsp} - {bytes}], rcx
         mov rsp, gs:[{kernel_rsp}]
         mov rdi, [rsp + 16]
         call [rsp + 8]
         mov rdi, [rsp]
         test al, al
         jz 2f
         mov rcx, [rdi + {rip}]
         mov r11, [rdi + {rflags}]
         mov rax, [rdi + {rax}]
         mov rsi, [rdi + {rsi}]
         mov rdx, [rdi + {rdx}]
         mov r10, [rdi + {r10}]
         mov r8, [rdi + {r8}]
         mov r9, [rdi + {r9}]
         mov rsp, [rdi + {rsp}]
         mov rdi, [rdi + {rdi}]
         swapgs
         sysretq
         2:
         mov [rdi + {rbx}], rbx
         mov [rdi + {rbp}], rbp
         mov [rdi + {r12}], r12
         mov [rdi + {r13}], r13
         mov [rdi + {r14}], r14
         mov [rdi + {r15}], r15
         mov rcx, [rdi + {rip}]
         mov [rdi + {rcx}], rcx
         mov rcx, [rdi + {rflags}]
         mov [rdi + {r11}], rcx
         mov qword ptr [rdi + {vector}], {syscall}
         mov qword ptr [rdi + {error}], 0",
        enter_kernel!(),
        scratch = const offsets::SCRATCH,
        context_end = const offsets::CONTEXT_END,
        kernel_rsp = const offsets::KERNEL_RSP,
        left_bytes = const LEFT_BYTES,
        bytes = const CONTEXT_BYTES,
        rip = const offset_of!(UserContext, rip),
        rflags = const offset_of!(UserContext, rflags),
        rsp = const offset_of!(UserContext, rsp),
        rax = const offset_of!(UserContext, rax),
        rdi = const offset_of!(UserContext, rdi),
        rsi = const offset_of!(UserContext, rsi),
        rdx = const offset_of!(UserContext, rdx),
        r10 = const offset_of!(UserContext, r10),
        r8 = const offset_of!(UserContext, r8),
        r9 = const offset_of!(UserContext, r9),
        rbx = const offset_of!(UserContext, rbx),
        rbp = const offset_of!(UserContext, rbp),
        r12 = const offset_of!(UserContext, r12),
        r13 = const offset_of!(UserContext, r13),
        r14 = const offset_of!(UserContext, r14),
        r15 = const offset_of!(UserContext, r15),
        rcx = const offset_of!(UserContext, rcx),
        r11 = const offset_of!(UserContext, r11),
        vector = const offset_of!(UserContext, vector),
        error = const offset_of!(UserContext, error),
        syscall = const UserContext::SYSCALL,
    )
}

/// The common part of the 256 stubs: vector and error code are on the stack.
#[unsafe(naked)]
extern "sysv64" fn trap_entry() {
    naked_asm!(
        "test byte ptr [rsp + 24], 3
         jz {from_kernel}
         swapgs",
        push_registers!(),
        enter_kernel!(),
        from_kernel = sym trap_from_kernel,
        kernel_rsp = const offsets::KERNEL_RSP,
        left_bytes = const LEFT_BYTES,
    )
}

/// Pushes all general registers, points `rdi` at the frame and calls `handler` on an aligned stack.
macro_rules! call_handler {
    () => {
        "mov rdi, rsp
         mov rbp, rsp
         and rsp, -16
         cld
         call {handler}
         mov rsp, rbp"
    };
}

macro_rules! pop_registers_and_return {
    () => {
        "pop r15
         pop r14
         pop r13
         pop r12
         pop rbp
         pop rbx
         pop r11
         pop r10
         pop r9
         pop r8
         pop rax
         pop rcx
         pop rdx
         pop rsi
         pop rdi
         add rsp, 16
         iretq"
    };
}

/// The addresses of the 256 trap stubs.
pub(super) fn stubs() -> impl Iterator<Item = u64> {
    unsafe extern "C" {
        static rustos_trap_stubs: u8;
    }
    let base = (&raw const rustos_trap_stubs) as u64;
    (0..256).map(move |vector| base + vector * 16)
}

/// A trap taken in kernel mode, on the kernel's stack.
#[unsafe(naked)]
extern "sysv64" fn trap_from_kernel() {
    naked_asm!(
        push_registers!(),
        call_handler!(),
        pop_registers_and_return!(),
        handler = sym super::trap::from_kernel,
    )
}

/// A trap on a stack of its own (`tables::Ist`), whose top word is the address of this CPU's block: whatever GS
/// base was in force, the kernel's is put in its place for the handler.
#[unsafe(naked)]
extern "sysv64" fn trap_on_own_stack() {
    naked_asm!(
        push_registers!(),
        "rdgsbase rbx
         mov rax, [rsp + {context_bytes}]
         wrgsbase rax",
        call_handler!(),
        "wrgsbase rbx",
        pop_registers_and_return!(),
        context_bytes = const CONTEXT_BYTES,
        handler = sym super::trap::on_own_stack,
    )
}

// The 256 stubs, 16 bytes each: an error code of 0 where the CPU pushes none, the vector, the common entry.
core::arch::global_asm!(
    ".balign 16
     .global rustos_trap_stubs
     rustos_trap_stubs:
     .set vector, 0
     .rept 256
     .balign 16
     .if (vector != 8) && (vector < 10 || vector > 14) && (vector != 17) && (vector != 21) && (vector != 29) && (vector != 30)
     push 0
     .endif
     push vector
     .if (vector == 2) || (vector == 8) || (vector == 18)
     jmp {own_stack}
     .else
     jmp {entry}
     .endif
     .set vector, vector + 1
     .endr",
    own_stack = sym trap_on_own_stack,
    entry = sym trap_entry,
);
