//! The signal frame of x86_64: where it lies, how registers go in, and how little is believed of what comes back.
//!
//! From the stack pointer up: return address, `ucontext`, `siginfo`, and above them, aligned to 64 bytes, the
//! XSAVE area with its software bytes and closing magic word. Follows `setup_rt_frame()`, `get_sigframe()`,
//! `restore_sigcontext()` and `fpu__restore_sig()` of Linux; copying to and from user memory is the caller's.

use abi::ucontext::*;

use super::UserContext;

/// Bytes below the stack pointer that a function may use without moving it (System V ABI).
const RED_ZONE_BYTES: u64 = 128;
/// Bytes of the FXSAVE area; the software bytes are its last 48.
pub const FXSAVE_BYTES: usize = 512;
/// Bytes of the XSAVE header behind it.
const HEADER_BYTES: usize = 64;
/// The least an XSAVE area has: FXSAVE area and header.
pub const MIN_XSTATE_BYTES: usize = FXSAVE_BYTES + HEADER_BYTES;
/// Offset of the software bytes in the FXSAVE area.
const SOFTWARE_OFFSET: usize = 464;
/// x87 and SSE.
pub const FEATURES_X87_SSE: u64 = 3;
/// Linux's `__USER_CS`.
pub const USER_CS: u64 = 0x33;
/// Linux's `__USER_DS`.
pub const USER_SS: u64 = 0x2b;
/// RFLAGS bits rt_sigreturn(2) sets (`FIX_EFLAGS`): CF PF AF ZF SF TF DF OF RF AC.
const RESTORED_RFLAGS: u64 = 0x5_0dd5;
/// RFLAGS bits a handler starts without: DF (by the ABI), RF and TF.
const HANDLER_CLEARS_RFLAGS: u64 = 1 << 10 | 1 << 16 | 1 << 8;
/// The end of the lower canonical half less a page (`TASK_SIZE_MAX`).
const USER_END: u64 = (1 << 47) - 4096;

/// Where the parts of a frame lie in user memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FramePlace {
    /// The [`RtSigFrame`], and the handler's stack pointer.
    pub frame: u64,
    /// The XSAVE area.
    pub xstate: u64,
}

/// The last fault of a thread, as the frame shows it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LastFault {
    /// Its vector.
    pub vector: u64,
    /// The error code.
    pub error: u64,
    /// The address of the last page fault.
    pub address: u64,
}

/// The stack pointer below which a frame on the interrupted stack may start.
pub const fn below_red_zone(rsp: u64) -> u64 {
    rsp.wrapping_sub(RED_ZONE_BYTES)
}

/// Bytes of the whole XSAVE part of a frame: the area and the closing magic word.
pub const fn xstate_frame_bytes(xstate_bytes: usize) -> usize {
    xstate_bytes + FP_XSTATE_MAGIC2_SIZE as usize
}

/// Places a frame below `top`, for an XSAVE area of this size. Wraps around for absurd stack pointers; the
/// address is then none a user can write to.
pub const fn place(top: u64, xstate_bytes: usize) -> FramePlace {
    let xstate = top.wrapping_sub(xstate_frame_bytes(xstate_bytes) as u64) & !63;
    let frame = (xstate.wrapping_sub(size_of::<RtSigFrame>() as u64) & !15).wrapping_sub(8);
    FramePlace { frame, xstate }
}

/// The most a frame takes from the stack (`AT_MINSIGSTKSZ`, `get_sigframe_size()`).
pub const fn max_frame_bytes(xstate_bytes: usize) -> usize {
    let bytes = size_of::<RtSigFrame>() + xstate_frame_bytes(xstate_bytes) + 63 + 16 + 8;
    (bytes + 15) & !15
}

/// `uc_flags` of every frame.
pub fn frame_flags() -> u64 {
    (UcFlags::UC_FP_XSTATE | UcFlags::UC_SIGCONTEXT_SS | UcFlags::UC_STRICT_RESTORE_SS).bits()
}

/// The registers as a frame shows them.
pub fn save_registers(context: &UserContext, fault: LastFault, mask: u64, xstate: u64) -> SigContext {
    SigContext {
        r8: context.r8,
        r9: context.r9,
        r10: context.r10,
        r11: context.r11,
        r12: context.r12,
        r13: context.r13,
        r14: context.r14,
        r15: context.r15,
        rdi: context.rdi,
        rsi: context.rsi,
        rbp: context.rbp,
        rbx: context.rbx,
        rdx: context.rdx,
        rax: context.rax,
        rcx: context.rcx,
        rsp: context.rsp,
        rip: context.rip,
        eflags: context.rflags,
        cs: USER_CS as u16,
        ss: USER_SS as u16,
        err: fault.error,
        trapno: fault.vector,
        oldmask: mask,
        cr2: fault.address,
        fpstate: xstate,
        ..SigContext::default()
    }
}

/// Makes the context enter a handler on its frame: `handler(signal, info, ucontext)`.
pub fn enter_handler(context: &mut UserContext, handler: u64, signal: u64, frame: u64) {
    let info_offset = core::mem::offset_of!(RtSigFrame, info) as u64;
    let context_offset = core::mem::offset_of!(RtSigFrame, uc) as u64;
    context.rip = handler;
    context.rsp = frame;
    context.rdi = signal;
    context.rsi = frame + info_offset;
    context.rdx = frame + context_offset;
    context.rax = 0;
    context.rflags &= !HANDLER_CLEARS_RFLAGS;
}

/// Takes registers back from a frame. `None` if no thread could go on with them: an address outside user space,
/// or selectors other than those of 64-bit user mode (Linux faults on the way back to such a place).
#[must_use = "a frame that cannot be returned to is fatal"]
pub fn restore_registers(context: &UserContext, saved: &SigContext, flags: u64) -> Option<UserContext> {
    let is_strict = flags & UcFlags::UC_STRICT_RESTORE_SS.bits() != 0;
    let has_user_ss = !is_strict || u64::from(saved.ss | 3) == USER_SS;
    if saved.rip >= USER_END || u64::from(saved.cs | 3) != USER_CS || !has_user_ss {
        return None;
    }
    Some(UserContext {
        r8: saved.r8,
        r9: saved.r9,
        r10: saved.r10,
        r11: saved.r11,
        r12: saved.r12,
        r13: saved.r13,
        r14: saved.r14,
        r15: saved.r15,
        rdi: saved.rdi,
        rsi: saved.rsi,
        rbp: saved.rbp,
        rbx: saved.rbx,
        rdx: saved.rdx,
        rax: saved.rax,
        rcx: saved.rcx,
        rsp: saved.rsp,
        rip: saved.rip,
        rflags: (context.rflags & !RESTORED_RFLAGS) | (saved.eflags & RESTORED_RFLAGS),
        ..*context
    })
}

/// The software bytes that tell a user how long the XSAVE area is and what it holds.
pub fn software_bytes(xstate_bytes: usize, features: u64) -> FpxSwBytes {
    FpxSwBytes {
        magic1: FP_XSTATE_MAGIC1,
        extended_size: xstate_frame_bytes(xstate_bytes) as u32,
        xfeatures: features,
        xstate_size: xstate_bytes as u32,
        ..FpxSwBytes::default()
    }
}

/// Puts the software bytes into a saved XSAVE area, before it goes to user memory.
pub fn stamp_xstate(area: &mut [u8], features: u64) {
    use abi::zerocopy::IntoBytes;
    let software = software_bytes(area.len(), features);
    if let Some(place) = area.get_mut(SOFTWARE_OFFSET..FXSAVE_BYTES) {
        place.copy_from_slice(software.as_bytes());
    }
}

/// What the software bytes of a frame claim: the length and the components of its XSAVE area, or that it has
/// an FXSAVE area alone (`check_xstate_in_sigframe()` but for the closing magic word, which lies behind).
pub fn claimed_xstate(software: &FpxSwBytes, xstate_bytes: usize) -> Option<(usize, u64)> {
    let claimed = software.xstate_size as usize;
    let is_sound = software.magic1 == FP_XSTATE_MAGIC1
        && (MIN_XSTATE_BYTES..=xstate_bytes).contains(&claimed)
        && software.xstate_size <= software.extended_size;
    is_sound.then_some((claimed, software.xfeatures))
}

/// Makes an area read from a frame fit for XRSTOR: of `area` (the machine's full size), the first `length`
/// bytes come from the user. Components the software bytes do not claim go to their initial state. `false` if
/// the header is one XRSTOR would fault on.
#[must_use = "a malformed area is fatal"]
pub fn sanitize_xstate(area: &mut [u8], length: usize, claimed: u64, supported: u64) -> bool {
    let Some((fxsave, header)) = area.split_at_mut_checked(FXSAVE_BYTES) else { return false };
    let Some(header) = header.get_mut(..HEADER_BYTES) else { return false };
    if length < MIN_XSTATE_BYTES {
        header.fill(0);
        header[..8].copy_from_slice(&FEATURES_X87_SSE.to_le_bytes());
    }
    let (features, rest) = header.split_at_mut(8);
    let present = features.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    if present & !supported != 0 || rest.iter().any(|byte| *byte != 0) {
        return false;
    }
    features.copy_from_slice(&(present & claimed).to_le_bytes());
    is_mxcsr(area_mxcsr(fxsave))
}

/// Where MXCSR lies in the XSAVE area.
pub const MXCSR_OFFSET: u64 = 24;

/// Whether no reserved bit is set.
pub const fn is_mxcsr(value: u32) -> bool {
    value & !MXCSR_DEFINED == 0
}

/// MXCSR bits without reserved ones on every CPU with DAZ.
const MXCSR_DEFINED: u32 = 0xffff;

fn area_mxcsr(fxsave: &[u8]) -> u32 {
    u32::from_le_bytes([fxsave[24], fxsave[25], fxsave[26], fxsave[27]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const XSTATE: usize = 832;

    #[test]
    fn the_frame_has_the_sizes_and_offsets_of_the_abi() {
        assert_eq!(size_of::<RtSigFrame>(), 440);
        assert_eq!(core::mem::offset_of!(RtSigFrame, info), 312);
        assert_eq!(core::mem::offset_of!(UContext, uc_mcontext), 40);
        assert_eq!(core::mem::offset_of!(UContext, uc_sigmask), 296);
        assert_eq!(core::mem::offset_of!(SigContext, fpstate), 184);
        assert_eq!(core::mem::offset_of!(FpState, sw_reserved), SOFTWARE_OFFSET);
    }

    #[test]
    fn a_handler_starts_with_the_alignment_a_call_leaves() {
        for top in 0x7000_0000..0x7000_0100 {
            let place = place(top, XSTATE);
            assert_eq!((place.frame % 16, place.xstate % 64), (8, 0));
            assert!(place.xstate + xstate_frame_bytes(XSTATE) as u64 <= top);
            assert!(place.frame + 440 <= place.xstate);
            assert!(top - place.frame <= max_frame_bytes(XSTATE) as u64);
        }
    }

    #[test]
    fn registers_survive_the_way_through_a_frame() {
        let mut context = UserContext::new(0x40_1000, 0x7fff_0000);
        (context.r15, context.rax, context.rcx, context.rbp) = (15, 1, 2, 3);
        let saved = save_registers(&context, LastFault::default(), 0, 0);
        let back = restore_registers(&UserContext::new(0, 0), &saved, frame_flags()).expect("a sound frame");
        assert_eq!((back.r15, back.rax, back.rcx, back.rbp), (15, 1, 2, 3));
        assert_eq!((back.rip, back.rsp), (0x40_1000, 0x7fff_0000));
    }

    #[test]
    fn a_frame_cannot_gain_privileges() {
        let context = UserContext::new(0x40_1000, 0x7fff_0000);
        let good = save_registers(&context, LastFault::default(), 0, 0);
        let back = |saved: &SigContext| restore_registers(&context, saved, frame_flags());
        for rip in [USER_END, 1 << 47, 0x8000_0000_0000_0000, !0, 0xffff_8000_0000_0000] {
            assert!(back(&SigContext { rip, ..good }).is_none());
        }
        for cs in [0, 0x10, 0x23, 0x08, 0xffff] {
            assert!(back(&SigContext { cs, ..good }).is_none());
        }
        for ss in [0, 0x18, 0x10, 0x33] {
            assert!(back(&SigContext { ss, ..good }).is_none());
        }
        let flags = back(&SigContext { eflags: !0, ..good }).expect("sound but for the flags").rflags;
        assert_eq!(flags & !UserContext::USER_RFLAGS, UserContext::FIXED_RFLAGS);
    }

    #[test]
    fn an_old_frame_without_the_strict_flag_may_have_any_stack_selector() {
        let context = UserContext::new(0x40_1000, 0x7fff_0000);
        let saved = SigContext { ss: 0, ..save_registers(&context, LastFault::default(), 0, 0) };
        assert!(restore_registers(&context, &saved, 0).is_some());
    }

    #[test]
    fn an_xsave_area_passes_as_saved_and_not_with_a_broken_header() {
        let mut area = [0; XSTATE];
        stamp_xstate(&mut area, 7);
        area[FXSAVE_BYTES] = 7;
        assert!(sanitize_xstate(&mut area.clone(), XSTATE, 7, 7));
        let with = |at: usize, value: u8| {
            let mut broken = area;
            broken[at] = value;
            sanitize_xstate(&mut broken, XSTATE, 7, 7)
        };
        assert!(!with(FXSAVE_BYTES, 8), "an unknown component");
        assert!(!with(FXSAVE_BYTES + 8, 1), "a compacted format");
        assert!(!with(FXSAVE_BYTES + 63, 1), "reserved bytes");
        assert!(!with(26, 1), "reserved MXCSR bits");
    }

    #[test]
    fn components_that_are_not_claimed_are_reset() {
        let mut area = [0; XSTATE];
        area[FXSAVE_BYTES] = 7;
        assert!(sanitize_xstate(&mut area, XSTATE, 3, 7));
        assert_eq!(area[FXSAVE_BYTES], 3);
    }

    #[test]
    fn an_area_without_magic_or_of_a_wrong_size_counts_as_fxsave_alone() {
        let good = software_bytes(XSTATE, 7);
        assert_eq!(claimed_xstate(&good, XSTATE), Some((XSTATE, 7)));
        assert_eq!(claimed_xstate(&FpxSwBytes { magic1: 0, ..good }, XSTATE), None);
        assert_eq!(claimed_xstate(&FpxSwBytes { xstate_size: 575, ..good }, XSTATE), None);
        assert_eq!(claimed_xstate(&FpxSwBytes { xstate_size: 833, ..good }, XSTATE), None);
        let mut area = [0; XSTATE];
        area[FXSAVE_BYTES + 20] = 9;
        assert!(sanitize_xstate(&mut area, FXSAVE_BYTES, 3, 7));
        assert_eq!(area[FXSAVE_BYTES], 3);
    }
}
