//! What a thread in user mode is made of, and the traps that bring it back. Common to the machine and the host.

use super::LiveState;

/// A thread's general registers while it is not in user mode.
///
/// The order is that of the pushes in the trap entry (`x86/entry.rs`): a trap from user mode stores straight
/// into this structure, which the CPU uses as its stack for that moment. Hence also the alignment.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(16))]
pub struct UserContext {
    /// General register.
    pub r15: u64,
    /// General register.
    pub r14: u64,
    /// General register.
    pub r13: u64,
    /// General register.
    pub r12: u64,
    /// General register.
    pub rbp: u64,
    /// General register.
    pub rbx: u64,
    /// General register.
    pub r11: u64,
    /// General register.
    pub r10: u64,
    /// General register.
    pub r9: u64,
    /// General register.
    pub r8: u64,
    /// General register.
    pub rax: u64,
    /// General register.
    pub rcx: u64,
    /// General register.
    pub rdx: u64,
    /// General register.
    pub rsi: u64,
    /// General register.
    pub rdi: u64,
    /// The vector of the last trap, or [`UserContext::SYSCALL`].
    pub vector: u64,
    /// The error code of the last trap, or 0.
    pub error: u64,
    /// The instruction pointer.
    pub rip: u64,
    /// The code selector the user had.
    pub cs: u64,
    /// The flags.
    pub rflags: u64,
    /// The stack pointer.
    pub rsp: u64,
    /// The stack selector the user had.
    pub ss: u64,
}

impl UserContext {
    /// The `vector` of a system call.
    pub const SYSCALL: u64 = 256;

    /// RFLAGS bits a user may choose: CF PF AF ZF SF TF DF OF NT RF AC ID.
    pub const USER_RFLAGS: u64 = 0x25_4dd5;

    /// A context that starts at `rip` with stack pointer `rsp` and all else zero.
    pub fn new(rip: u64, rsp: u64) -> Self {
        Self { rip, rsp, rflags: Self::FIXED_RFLAGS, ..Self::default() }
    }

    /// Interrupts enabled and the bit that is always one.
    pub const FIXED_RFLAGS: u64 = 0x202;

    /// The number of the system call that a value of `rax` asks for: its lower half, with its sign (`syscall_get_nr()`).
    #[inline]
    pub fn call_number(rax: u64) -> u64 {
        i64::from(rax as i32).cast_unsigned()
    }

    /// The six arguments of a system call.
    pub fn syscall_arguments(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }
}

/// A thread as [`enter`](super::enter) runs it.
pub trait UserMode {
    /// Its general registers, and its vector registers and segment bases.
    fn state(&mut self) -> (&mut UserContext, &LiveState);

    /// It makes the system call in its registers, of which the context has those alone that a call may change: `rbx`, `rbp`,
    /// `r12` to `r15`, `rcx`, `r11` and `vector` are old. `true` if the call is over, its result is in `rax`, no other register
    /// has been changed, and the thread may go on in user mode; `false`, and `enter` returns [`Trap::Syscall`] with all
    /// registers in the context.
    fn system_call(&mut self) -> bool;
}

/// Why a thread came back from user mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// The SYSCALL instruction: [`UserMode::system_call`] has been called, and did not say to go on.
    Syscall,
    /// A page fault (vector 14).
    PageFault {
        /// The address (CR2).
        address: u64,
        /// What was attempted and why it failed.
        error: PageFaultError,
    },
    /// Any other exception.
    Exception {
        /// 0..32, Intel SDM volume 3 table 6-1.
        vector: u8,
        /// The error code the CPU pushed, or 0.
        error: u64,
    },
    /// An external interrupt, acknowledged and noted. The caller serves it.
    Interrupt {
        /// 32..256.
        vector: u8,
    },
}

bitflags::bitflags! {
    /// A page fault's error code (Intel SDM volume 3, section 4.7).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct PageFaultError: u32 {
        /// The page was present: a protection violation.
        const PRESENT = 1;
        /// A write.
        const WRITE = 1 << 1;
        /// From user mode.
        const USER = 1 << 2;
        /// A reserved bit was set in a table.
        const RESERVED = 1 << 3;
        /// An instruction fetch.
        const FETCH = 1 << 4;
    }
}
