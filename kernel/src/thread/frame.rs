//! Handler frames in user memory: pushed before a handler runs, popped by rt_sigreturn(2).

use abi::Errno;
use abi::signal::StackT;
use abi::ucontext::{FP_XSTATE_MAGIC2, FpxSwBytes, RtSigFrame, UContext};

use super::Private;
use crate::arch::{self, sigframe};
use crate::mem::{self, UserAddr, UserIn, UserOut};
use crate::signal::{Action, AltStack, Info, ProcessSignals, SaFlags, SigSet, ThreadSignals};

/// Bytes between the stack pointer of rt_sigreturn(2) and its frame: the return address has been popped.
const POPPED_BYTES: u64 = 8;

/// Where the software bytes lie in the XSAVE area.
const SOFTWARE_PLACE: u64 = core::mem::offset_of!(abi::ucontext::FpState, sw_reserved) as u64;

/// Writes the frame of a handler and makes the registers enter it (`setup_rt_frame()`). `saved_mask` is what
/// rt_sigreturn(2) goes back to. Errors: EFAULT, for any frame that cannot be written.
pub fn push(
    signals: &ThreadSignals,
    private: &mut Private,
    info: &Info,
    action: &Action,
    saved_mask: SigSet,
) -> Result<(), Errno> {
    if !action.has(SaFlags::SA_RESTORER) {
        return Err(Errno::EFAULT);
    }
    let stack = signals.alt_stack();
    let place = choose_place(&private.context, &stack, action)?;
    write_xstate(private, place.xstate)?;
    let mcontext = sigframe::save_registers(&private.context, private.last_fault, saved_mask.bits(), place.xstate);
    let uc = UContext {
        uc_flags: sigframe::frame_flags(),
        uc_link: 0,
        uc_stack: stack.into(),
        uc_mcontext: mcontext,
        uc_sigmask: saved_mask.bits(),
    };
    let frame = RtSigFrame { pretcode: action.restorer, uc, info: info.to_user() };
    UserOut::<RtSigFrame>::new(place.frame).write(&frame)?;

    sigframe::enter_handler(&mut private.context, action.handler, u64::from(info.signo.unsigned_abs()), place.frame);
    private.live.clear_xstate();
    if stack.flags & AltStack::SS_AUTODISARM != 0 {
        signals.set_alt_stack(AltStack::default());
    }
    Ok(())
}

/// Where the frame goes: below the red zone of the interrupted stack, or on the alternate stack. A frame that
/// would not fit the alternate stack goes nowhere (`get_sigframe()`).
fn choose_place(context: &arch::UserContext, stack: &AltStack, action: &Action) -> Result<sigframe::FramePlace, Errno> {
    let mut top = sigframe::below_red_zone(context.rsp);
    let is_nested = stack.is_in_use(top);
    let is_entering = action.has(SaFlags::SA_ONSTACK) && stack.status(top) == 0;
    if is_entering {
        top = stack.base.wrapping_add(stack.size_bytes);
    }
    let place = sigframe::place(top, arch::xstate_size());
    if (is_nested || is_entering) && !stack.contains(place.frame) {
        return Err(Errno::EFAULT);
    }
    Ok(place)
}

/// Writes the vector registers, the software bytes and the closing magic word.
fn write_xstate(private: &Private, address: u64) -> Result<(), Errno> {
    let xstate_bytes = arch::xstate_size();
    if private.live.save_xstate_to_user(address) {
        let software = sigframe::software_bytes(xstate_bytes, arch::xstate_features());
        UserOut::<FpxSwBytes>::new(address + SOFTWARE_PLACE).write(&software)?;
        return UserOut::<u32>::new(address + xstate_bytes as u64).write(&FP_XSTATE_MAGIC2);
    }
    // A page is missing: the copy brings it in.
    let mut area = private.live.save_xstate();
    sigframe::stamp_xstate(&mut area, arch::xstate_features());
    mem::user::copy_out(UserAddr(address), &area)?;
    UserOut::<u32>::new(address.wrapping_add(area.len() as u64)).write(&FP_XSTATE_MAGIC2)
}

/// Goes back to what the frame at the stack pointer says (`rt_sigreturn()`): gives the `rax` to return with. A frame with
/// bad vector registers has the others restored, and the vector registers start afresh.
/// Errors: EFAULT, for any frame that nobody could return to; the caller kills.
pub fn pop(process: &ProcessSignals, signals: &ThreadSignals, private: &mut Private) -> Result<u64, Errno> {
    let frame = private.context.rsp.wrapping_sub(POPPED_BYTES);
    let place = frame.wrapping_add(core::mem::offset_of!(RtSigFrame, uc) as u64);
    let uc = UserIn::<UContext>::new(place).read()?;
    process.set_blocked(signals, SigSet::from_bits(uc.uc_sigmask));
    let context = sigframe::restore_registers(&private.context, &uc.uc_mcontext, uc.uc_flags);
    let context = context.ok_or(Errno::EFAULT)?;
    private.context = context;
    private.context.vector = 0;
    read_xstate(private, uc.uc_mcontext.fpstate).inspect_err(|_| private.live.clear_xstate())?;
    let stack = AltStack::from(uc.uc_stack);
    // Like Linux, a stack that sigaltstack(2) would refuse is left as it is.
    let _ = signals.change_alt_stack(stack, context.rsp);
    let _ = signals.take_restart();
    Ok(context.rax)
}

/// Reads the vector registers back; no address, and they start afresh (`fpu__restore_sig()`).
fn read_xstate(private: &Private, address: u64) -> Result<(), Errno> {
    if address == 0 {
        private.live.clear_xstate();
        return Ok(());
    }
    let software = UserIn::<FpxSwBytes>::new(address.wrapping_add(SOFTWARE_PLACE)).read()?;
    let full_bytes = arch::xstate_size();
    let (length, claimed) = match sigframe::claimed_xstate(&software, full_bytes) {
        Some((length, claimed)) if has_closing_magic(address, length)? => (length, claimed),
        _ => (sigframe::FXSAVE_BYTES, sigframe::FEATURES_X87_SSE),
    };
    // Not every machine's XRSTOR refuses reserved bits of MXCSR.
    let mxcsr = UserIn::<u32>::new(address.wrapping_add(sigframe::MXCSR_OFFSET)).read()?;
    let is_whole = length == full_bytes && claimed == arch::xstate_features();
    if is_whole && sigframe::is_mxcsr(mxcsr) && private.live.restore_xstate_from_user(address) {
        return Ok(());
    }
    let mut area = alloc::vec![0; full_bytes];
    mem::user::copy_in(UserAddr(address), &mut area[..length])?;
    let is_sound = sigframe::sanitize_xstate(&mut area, length, claimed, arch::xstate_features())
        && private.live.restore_xstate(&area);
    if is_sound { Ok(()) } else { Err(Errno::EFAULT) }
}

fn has_closing_magic(address: u64, length: usize) -> Result<bool, Errno> {
    let magic = UserIn::<u32>::new(address.wrapping_add(length as u64)).read()?;
    Ok(magic == FP_XSTATE_MAGIC2)
}

impl From<AltStack> for StackT {
    fn from(stack: AltStack) -> StackT {
        StackT { ss_sp: stack.base, ss_flags: stack.flags, ss_size: stack.size_bytes, ..StackT::default() }
    }
}

impl From<StackT> for AltStack {
    fn from(stack: StackT) -> AltStack {
        AltStack { base: stack.ss_sp, flags: stack.ss_flags, size_bytes: stack.ss_size }
    }
}
