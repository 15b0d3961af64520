//! The frame a signal handler runs on: `ucontext`, the machine context and the floating-point area (sigreturn(2)).

flags! {
    /// `uc_flags`: the frame has an XSAVE area, has `ss`, and sigreturn shall restore `ss` as given.
    UcFlags: u64 {
        UC_FP_XSTATE = 0x1,
        UC_SIGCONTEXT_SS = 0x2,
        UC_STRICT_RESTORE_SS = 0x4,
    }
}

// The two magic words about an XSAVE area, and the bytes of the second.
consts! {
    u32 {
        FP_XSTATE_MAGIC1 = 0x46505853,
        FP_XSTATE_MAGIC2 = 0x46505845,
        FP_XSTATE_MAGIC2_SIZE = 4,
    }
}

pods! {
    /// `struct sigcontext_64`: the registers.
    SigContext {
        r8: u64, r9: u64, r10: u64, r11: u64, r12: u64, r13: u64, r14: u64, r15: u64,
        rdi: u64, rsi: u64, rbp: u64, rbx: u64, rdx: u64, rax: u64, rcx: u64, rsp: u64, rip: u64,
        eflags: u64,
        cs: u16,
        gs: u16,
        fs: u16,
        ss: u16,
        err: u64,
        trapno: u64,
        oldmask: u64,
        cr2: u64,
        /// Address of the [`FpState`], or 0.
        fpstate: u64,
        reserved1: [u64; 8],
    }

    /// `struct ucontext`.
    UContext {
        uc_flags: u64,
        uc_link: u64,
        uc_stack: crate::signal::StackT,
        uc_mcontext: SigContext,
        uc_sigmask: u64,
    }

    /// `struct rt_sigframe`: what stands at the stack pointer when a handler is entered.
    RtSigFrame {
        /// Where the handler returns to: `sa_restorer`.
        pretcode: u64,
        uc: UContext,
        info: crate::signal::SigInfo,
    }

    /// `struct _fpx_sw_bytes`: the software part of the FXSAVE area.
    FpxSwBytes {
        magic1: u32,
        /// Bytes from the start of [`FpState`] to the end of the second magic word.
        extended_size: u32,
        xfeatures: u64,
        /// Bytes of the XSAVE area alone.
        xstate_size: u32,
        padding: [u32; 7],
    }

    /// `struct _fpstate_64`: the FXSAVE area.
    FpState {
        cwd: u16,
        swd: u16,
        twd: u16,
        fop: u16,
        rip: u64,
        rdp: u64,
        mxcsr: u32,
        mxcsr_mask: u32,
        st_space: [u32; 32],
        xmm_space: [u32; 64],
        reserved2: [u32; 12],
        sw_reserved: FpxSwBytes,
    }

    /// `struct _header`: the XSAVE header that follows the FXSAVE area.
    XstateHeader { xfeatures: u64, xcomp_bv: u64, reserved: [u64; 6], }
}
