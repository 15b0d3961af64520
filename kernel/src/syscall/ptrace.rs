//! ptrace(2): tracing another thread. What the tracer reads and writes is the copy of the registers that a stopped tracee
//! leaves (`process/ptrace.rs`); memory is reached through the tracee's address space.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use abi::Errno;
use abi::prctl::{ARCH_GET_FS, ARCH_GET_GS, ARCH_SET_FS, ARCH_SET_GS};
use abi::ptrace::*;
use abi::seccomp::{FilterFlags, SECCOMP_MODE_FILTER};
use abi::signal::SigInfo;
use abi::zerocopy::{FromBytes, IntoBytes};

use super::args::Pointer;
use super::{Cx, FromRegister, SyscallResult, TraceArgument};
use crate::arch::{self, UserContext, sigframe};
use crate::fs::Capabilities;
use crate::mem::user::{copy_in, copy_out};
use crate::mem::{USER_END, UserAddr, UserIn, UserOut};
use crate::process::Thread;
use crate::process::ptrace::{Attach, Mode, Stop};
use crate::process::seccomp::Filter;
use crate::signal::{Info, SigSet, Signal};

/// Bytes of `struct user`, and where its debug registers lie.
const USER_BYTES: u64 = 928;
const DEBUG_REGISTERS: core::ops::Range<u64> = 848..912;
/// Bytes of `struct user_regs_struct` and of a word.
const REGS_BYTES: u64 = size_of::<UserRegs>() as u64;
const WORD: u64 = 8;
/// Where the XSAVE area tells a debugger which components there are.
const XCR0_OFFSET: usize = 464;
/// RFLAGS a tracer may set: CF PF AF ZF SF TF DF OF NT RF AC.
const SETTABLE_FLAGS: u64 = 0x5_4dd5;

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Request(u32);

impl FromRegister for Request {
    /// No request has a number of more than 32 bits; 0xffffffff is none.
    fn from_register(value: u64) -> Self {
        Self(u32::try_from(value).unwrap_or(u32::MAX))
    }
}

impl TraceArgument for Request {
    fn trace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ptrace_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

/// ptrace(2). Never waits. Errors: ESRCH, EPERM, EIO, EINVAL, EFAULT, ENOSPC. Order: `sys_ptrace()`, `arch_ptrace()`,
/// `ptrace_request()`.
///
/// Deviates: an attach to a stopped thread does not wait until the thread has changed over to the new kind of stop.
pub fn sys_ptrace(
    cx: &mut Cx<'_>,
    Request(request): Request,
    pid: i32,
    Pointer(address): Pointer,
    Pointer(data): Pointer,
) -> SyscallResult {
    if request == PTRACE_TRACEME {
        return cx.thread.trace_me().map(|()| 0);
    }
    let target = cx.process().table.thread(pid).ok_or(Errno::ESRCH)?;
    match request {
        PTRACE_ATTACH => return attach(cx, &target, false, PtraceOptions::empty()),
        PTRACE_SEIZE => {
            // An address is refused before the options are looked at.
            let options = if address == 0 { options(cx.thread, data) } else { Err(Errno::EIO) };
            let options = options.map_err(|error| if error == Errno::EINVAL { Errno::EIO } else { error })?;
            return attach(cx, &target, true, options);
        }
        PTRACE_KILL | PTRACE_INTERRUPT => {
            cx.thread.check_tracee(&target)?;
            return disturb(request, &target);
        }
        _ => cx.thread.with_stop(&target, |_| ())?,
    }
    let call = Call { tracer: cx.thread, target: &target, address, data };
    call.control(request)
        .or_else(|| call.registers(request))
        .or_else(|| call.inspect(request))
        .unwrap_or(Err(Errno::EIO))
}

/// `ptrace_attach()`. Errors: EPERM.
fn attach(cx: &mut Cx<'_>, target: &Arc<Thread>, is_seized: bool, options: PtraceOptions) -> SyscallResult {
    if Arc::ptr_eq(&target.process, cx.process()) || !target.may_be_seen_by(&cx.private.cred) {
        return Err(Errno::EPERM);
    }
    let is_privileged = cx.private.cred.capable(Capabilities::SYS_PTRACE);
    cx.thread.attach(target, Attach { is_seized, options, is_privileged })?;
    if !is_seized {
        // Signals from the kernel always find room.
        let _ = target.process.signals.send_to(&target.signals, Signal::STOP, Info::from_kernel(Signal::STOP));
    }
    Ok(0)
}

/// What needs no stopped tracee. Errors: EIO, to interrupt a tracee that was not seized.
fn disturb(request: u32, target: &Arc<Thread>) -> SyscallResult {
    if request == PTRACE_KILL {
        let kill = Info::from_kernel(Signal::KILL);
        let _ = target.process.signals.send_to(&target.signals, Signal::KILL, kill);
    } else if target.signals.is_seized() {
        target.process.signals.interrupt(&target.signals);
    } else {
        return Err(Errno::EIO);
    }
    Ok(0)
}

/// `check_ptrace_options()`. Errors: EINVAL for unknown options; EPERM for the one that suspends filters, without
/// privileges or with filters of the tracer's own.
fn options(tracer: &Thread, data: u64) -> Result<PtraceOptions, Errno> {
    let options = u32::try_from(data).ok().and_then(PtraceOptions::from_bits).ok_or(Errno::EINVAL)?;
    let may_suspend = || tracer.cred().capable(Capabilities::SYS_ADMIN) && tracer.filters().is_none();
    let suspends = options.contains(PtraceOptions::PTRACE_O_SUSPEND_SECCOMP);
    if suspends && !may_suspend() { Err(Errno::EPERM) } else { Ok(options) }
}

/// A request about a stopped tracee.
struct Call<'a> {
    tracer: &'a Arc<Thread>,
    target: &'a Arc<Thread>,
    address: u64,
    data: u64,
}

impl Call<'_> {
    fn with_stop<R>(&self, act: impl FnOnce(&mut Stop) -> R) -> Result<R, Errno> {
        self.tracer.with_stop(self.target, act)
    }

    /// Requests that have the tracee go on, or change how it will. `None` if the request is none of them.
    fn control(&self, request: u32) -> Option<SyscallResult> {
        let done = match request {
            PTRACE_CONT => self.resume(Mode::Continue),
            PTRACE_SYSCALL => self.resume(Mode::Calls),
            PTRACE_SINGLESTEP => self.resume(Mode::Step),
            PTRACE_DETACH => self.signal().and_then(|signal| self.tracer.detach(self.target, signal)),
            PTRACE_LISTEN => self.tracer.listen(self.target),
            PTRACE_SETOPTIONS => {
                options(self.tracer, self.data).and_then(|options| self.tracer.set_trace_options(self.target, options))
            }
            _ => return None,
        };
        Some(done.map(|()| 0))
    }

    fn resume(&self, mode: Mode) -> Result<(), Errno> {
        self.tracer.resume(self.target, mode, self.signal()?)
    }

    /// The signal to go on with. Errors: EIO if it is none.
    fn signal(&self) -> Result<Option<Signal>, Errno> {
        match self.data {
            0 => Ok(None),
            number => u32::try_from(number).ok().and_then(Signal::new).map(Some).ok_or(Errno::EIO),
        }
    }

    /// Requests about registers.
    fn registers(&self, request: u32) -> Option<SyscallResult> {
        let done = match request {
            PTRACE_PEEKUSR => self.peek_user(),
            PTRACE_POKEUSR => self.poke_user(),
            PTRACE_GETREGS => self.copy_set(NT_PRSTATUS),
            PTRACE_SETREGS => self.read_in(REGS_BYTES as usize).and_then(|bytes| self.set(NT_PRSTATUS, &bytes)),
            PTRACE_GETFPREGS => self.copy_set(NT_PRFPREG),
            PTRACE_SETFPREGS => self.read_in(sigframe::FXSAVE_BYTES).and_then(|bytes| self.set(NT_PRFPREG, &bytes)),
            PTRACE_GETREGSET => self.get_regset(),
            PTRACE_SETREGSET => self.set_regset(),
            PTRACE_ARCH_PRCTL => self.segment_base(),
            _ => return None,
        };
        Some(done.map(|()| 0))
    }

    /// The rest.
    fn inspect(&self, request: u32) -> Option<SyscallResult> {
        let done = match request {
            PTRACE_PEEKTEXT | PTRACE_PEEKDATA => self.peek(),
            PTRACE_POKETEXT | PTRACE_POKEDATA => self.poke(),
            PTRACE_GETEVENTMSG => {
                self.with_stop(|stop| stop.message).and_then(|message| self.write_out(message.as_bytes()))
            }
            PTRACE_GETSIGINFO => self.get_siginfo(),
            PTRACE_SETSIGINFO => self.set_siginfo(),
            PTRACE_GETSIGMASK => {
                self.check_mask_size().and_then(|()| self.write_out(self.target.signals.blocked().bits().as_bytes()))
            }
            PTRACE_SETSIGMASK => self.set_mask(),
            PTRACE_PEEKSIGINFO => return Some(self.peek_siginfo()),
            PTRACE_GET_SYSCALL_INFO => return Some(self.syscall_info()),
            PTRACE_SECCOMP_GET_FILTER => return Some(self.filter_code()),
            PTRACE_SECCOMP_GET_METADATA => return Some(self.filter_metadata()),
            PTRACE_GET_RSEQ_CONFIGURATION => return Some(self.rseq_configuration()),
            _ => return None,
        };
        Some(done.map(|()| 0))
    }

    fn write_out(&self, bytes: &[u8]) -> Result<(), Errno> {
        copy_out(UserAddr(self.data), bytes)
    }

    fn read_in(&self, len: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = alloc::vec![0; len];
        copy_in(UserAddr(self.data), &mut bytes)?;
        Ok(bytes)
    }

    // Memory.

    /// Errors: EIO, EFAULT.
    fn peek(&self) -> Result<(), Errno> {
        let mut word = [0; WORD as usize];
        let space = self.target.space().ok_or(Errno::EIO)?;
        if space.read_remote(self.address, &mut word) < word.len() {
            return Err(Errno::EIO);
        }
        self.write_out(&word)
    }

    /// Errors: EIO.
    fn poke(&self) -> Result<(), Errno> {
        let space = self.target.space().ok_or(Errno::EIO)?;
        let written = space.write_forced(self.address, &self.data.to_le_bytes());
        if written < WORD as usize { Err(Errno::EIO) } else { Ok(()) }
    }

    // Registers.

    /// Errors: EIO for a place that is none, EFAULT.
    fn peek_user(&self) -> Result<(), Errno> {
        let place = self.user_place()?;
        let word = self.with_stop(|stop| stop.registers.as_bytes().get(place..place + WORD as usize).map(to_word))?;
        self.write_out(word.unwrap_or(0).as_bytes())
    }

    /// Errors: EIO for a place or a value that is none. There are no debug registers to be had: ENOSPC for any use of one.
    fn poke_user(&self) -> Result<(), Errno> {
        let place = self.user_place()?;
        if DEBUG_REGISTERS.contains(&self.address) {
            return if self.data == 0 { Ok(()) } else { Err(Errno::ENOSPC) };
        }
        let mut registers = self.with_stop(|stop| stop.registers)?;
        let word = registers.as_mut_bytes().get_mut(place..place + WORD as usize).ok_or(Errno::EIO)?;
        word.copy_from_slice(&self.data.to_le_bytes());
        self.set_registers(registers)
    }

    fn user_place(&self) -> Result<usize, Errno> {
        if !self.address.is_multiple_of(WORD) || self.address >= USER_BYTES {
            return Err(Errno::EIO);
        }
        usize::try_from(self.address).map_err(|_| Errno::EIO)
    }

    /// `putreg()` for all of them. Errors: EIO for selectors and bases no user thread can have.
    fn set_registers(&self, new: UserRegs) -> Result<(), Errno> {
        let selectors = [(new.cs, sigframe::USER_CS), (new.ss, sigframe::USER_SS)];
        let is_sound = selectors.iter().all(|(given, known)| given & 0xffff == *known)
            && [new.ds, new.es, new.fs, new.gs].iter().all(|selector| selector & 0xffff == 0)
            && new.fs_base < USER_END
            && new.gs_base < USER_END;
        if !is_sound {
            return Err(Errno::EIO);
        }
        self.with_stop(|stop| {
            let flags = stop.registers.eflags & !SETTABLE_FLAGS | new.eflags & SETTABLE_FLAGS;
            stop.registers = UserRegs { eflags: flags, ..new };
        })
    }

    /// The bytes of a register set. Errors: EINVAL if there is none of that number.
    fn bytes_of_set(&self, kind: u32) -> Result<Vec<u8>, Errno> {
        self.with_stop(|stop| match kind {
            NT_PRSTATUS => Ok(stop.registers.as_bytes().to_vec()),
            NT_PRFPREG => Ok(stop.xstate[..sigframe::FXSAVE_BYTES].to_vec()),
            NT_X86_XSTATE => {
                let mut area = stop.xstate.clone();
                area[XCR0_OFFSET..XCR0_OFFSET + 8].copy_from_slice(&arch::xstate_features().to_le_bytes());
                Ok(area)
            }
            _ => Err(Errno::EINVAL),
        })?
    }

    fn copy_set(&self, kind: u32) -> Result<(), Errno> {
        self.write_out(&self.bytes_of_set(kind)?)
    }

    /// Changes a register set, or its beginning. Errors: EINVAL, EIO, EFAULT.
    fn set(&self, kind: u32, bytes: &[u8]) -> Result<(), Errno> {
        match kind {
            NT_PRSTATUS => {
                let mut registers = self.with_stop(|stop| stop.registers)?;
                registers.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
                self.set_registers(registers)
            }
            NT_PRFPREG | NT_X86_XSTATE => self.set_xstate(bytes, kind == NT_X86_XSTATE),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `xfpregs_set()`, `xstateregs_set()`. Errors: EINVAL for contents no processor takes, EFAULT for an incomplete area.
    fn set_xstate(&self, bytes: &[u8], is_whole: bool) -> Result<(), Errno> {
        let mut area = self.with_stop(|stop| stop.xstate.clone())?;
        if is_whole && bytes.len() != area.len() {
            return Err(Errno::EFAULT);
        }
        area[..bytes.len()].copy_from_slice(bytes);
        if !is_whole {
            // Both legacy components are in use now.
            area[sigframe::FXSAVE_BYTES] |= sigframe::FEATURES_X87_SSE as u8;
        }
        let features = arch::xstate_features();
        let length = area.len();
        if !sigframe::sanitize_xstate(&mut area, length, features, features) {
            return Err(Errno::EINVAL);
        }
        self.with_stop(|stop| (stop.xstate, stop.xstate_changed) = (area, true))
    }

    /// The vector of a register set request and the set's bytes as they are. Errors: EFAULT, EINVAL.
    fn regset(&self) -> Result<(u64, Vec<u8>, usize), Errno> {
        let [base, len] = UserIn::<[u64; 2]>::new(self.data).read()?;
        let kind = u32::try_from(self.address).map_err(|_| Errno::EINVAL)?;
        let bytes = self.bytes_of_set(kind)?;
        if !len.is_multiple_of(WORD) {
            return Err(Errno::EINVAL);
        }
        let len = usize::try_from(len).map_or(bytes.len(), |len| len.min(bytes.len()));
        Ok((base, bytes, len))
    }

    fn set_length(&self, len: usize) -> Result<(), Errno> {
        UserOut::<u64>::new(self.data).element(1).write(&(len as u64))
    }

    fn get_regset(&self) -> Result<(), Errno> {
        let (base, bytes, len) = self.regset()?;
        copy_out(UserAddr(base), &bytes[..len])?;
        self.set_length(len)
    }

    fn set_regset(&self) -> Result<(), Errno> {
        let (base, mut bytes, len) = self.regset()?;
        copy_in(UserAddr(base), &mut bytes[..len])?;
        let kind = u32::try_from(self.address).map_err(|_| Errno::EINVAL)?;
        self.set(kind, &bytes[..len])?;
        self.set_length(len)
    }

    /// `do_arch_prctl_64()` on the tracee: here the address is the argument. Errors: EINVAL, EPERM, EFAULT.
    fn segment_base(&self) -> Result<(), Errno> {
        let request = u32::try_from(self.data).map_err(|_| Errno::EINVAL)?;
        let mut registers = self.with_stop(|stop| stop.registers)?;
        match request {
            ARCH_GET_FS => UserOut::<u64>::new(self.address).write(&registers.fs_base),
            ARCH_GET_GS => UserOut::<u64>::new(self.address).write(&registers.gs_base),
            ARCH_SET_FS | ARCH_SET_GS if self.address >= USER_END => Err(Errno::EPERM),
            ARCH_SET_FS | ARCH_SET_GS => {
                let base = if request == ARCH_SET_FS { &mut registers.fs_base } else { &mut registers.gs_base };
                *base = self.address;
                self.set_registers(registers)
            }
            _ => Err(Errno::EINVAL),
        }
    }

    // Signals.

    /// Errors: EINVAL in a group stop.
    fn get_siginfo(&self) -> Result<(), Errno> {
        let info = self.with_stop(|stop| stop.info)?.ok_or(Errno::EINVAL)?;
        self.write_out(info.to_user().as_bytes())
    }

    /// Errors: EFAULT, E2BIG, EINVAL in a group stop.
    fn set_siginfo(&self) -> Result<(), Errno> {
        let new = Info::from_user(&UserIn::<SigInfo>::new(self.data).read()?).ok_or(Errno::E2BIG)?;
        self.with_stop(|stop| stop.info.as_mut().map(|info| *info = new).ok_or(Errno::EINVAL))?
    }

    fn check_mask_size(&self) -> Result<(), Errno> {
        if self.address == WORD { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// Errors: EINVAL, EFAULT.
    fn set_mask(&self) -> Result<(), Errno> {
        self.check_mask_size()?;
        let mask = SigSet::from_bits(UserIn::<u64>::new(self.data).read()?);
        let signals = &self.target.signals;
        let _ = signals.take_saved_mask();
        self.target.process.signals.set_blocked(signals, mask);
        Ok(())
    }

    /// Queued signals from the `off`th on; gives how many. Errors: EFAULT, EINVAL.
    fn peek_siginfo(&self) -> SyscallResult {
        const SHARED: u32 = 1;
        let wanted = UserIn::<PtracePeeksiginfoArgs>::new(self.address).read()?;
        if wanted.flags & !SHARED != 0 {
            return Err(Errno::EINVAL);
        }
        let max = usize::try_from(wanted.nr).map_err(|_| Errno::EINVAL)?;
        let signals = &self.target.process.signals;
        let queued = signals.queued_from(&self.target.signals, wanted.flags == SHARED, wanted.off, max);
        for (index, info) in queued.iter().enumerate() {
            match UserOut::<SigInfo>::new(self.data).element(index as u64).write(&info.to_user()) {
                Err(error) if index == 0 => return Err(error),
                Err(_) => return Ok(index),
                Ok(()) => {}
            }
        }
        Ok(queued.len())
    }

    /// The filter that was the `index`th to be attached. Errors: EACCES for a tracer without privileges or with filters of
    /// its own, EINVAL without filters, ENOENT.
    fn filter(&self, index: u64) -> Result<Arc<Filter>, Errno> {
        if !self.tracer.cred().capable(Capabilities::SYS_ADMIN) || self.tracer.filters().is_some() {
            return Err(Errno::EACCES);
        }
        let newest = self.target.filters().filter(|filters| filters.mode() == SECCOMP_MODE_FILTER);
        let newest = newest.ok_or(Errno::EINVAL)?;
        let count = newest.chain().count() as u64;
        let from_newest = count.checked_sub(index.saturating_add(1)).ok_or(Errno::ENOENT)?;
        newest.chain().nth(from_newest as usize).cloned().ok_or(Errno::ENOENT)
    }

    /// The instructions of a filter, if an address is given; gives how many.
    fn filter_code(&self) -> SyscallResult {
        let filter = self.filter(self.address)?;
        if self.data != 0 {
            self.write_out(filter.code().as_bytes())?;
        }
        Ok(filter.code().len())
    }

    /// The flags of a filter: `struct seccomp_metadata`.
    fn filter_metadata(&self) -> SyscallResult {
        const BYTES: u64 = 2 * WORD;
        if self.address < WORD {
            return Err(Errno::EINVAL);
        }
        let filter = self.filter(UserIn::<u64>::new(self.data).read()?)?;
        let flags = if filter.is_logged { u64::from(FilterFlags::SECCOMP_FILTER_FLAG_LOG.bits()) } else { 0 };
        let wanted = usize::try_from(self.address.min(BYTES) - WORD).map_err(|_| Errno::EINVAL)?;
        copy_out(UserAddr(self.data.wrapping_add(WORD)), &flags.as_bytes()[..wanted])?;
        Ok(wanted + WORD as usize)
    }

    /// Where the tracee's area for restartable sequences is, cut to the caller's size; gives the full size. Errors: EFAULT.
    fn rseq_configuration(&self) -> SyscallResult {
        let configuration = self.with_stop(|stop| stop.rseq)?;
        let bytes = configuration.as_bytes();
        let wanted = usize::try_from(self.address).map_or(bytes.len(), |wanted| wanted.min(bytes.len()));
        self.write_out(&bytes[..wanted])?;
        Ok(bytes.len())
    }

    /// What system call stop this is, cut to the caller's size; gives the full size. Errors: EFAULT.
    fn syscall_info(&self) -> SyscallResult {
        let (info, size) = self.with_stop(|stop| syscall_info(stop))?;
        let wanted = usize::try_from(self.address).map_or(size, |wanted| wanted.min(size));
        self.write_out(&info.as_bytes()[..wanted])?;
        Ok(size)
    }
}

fn to_word(bytes: &[u8]) -> u64 {
    u64::read_from_bytes(bytes).unwrap_or(0)
}

/// `ptrace_get_syscall_info()`: the structure and how much of it is meant.
fn syscall_info(stop: &Stop) -> (PtraceSyscallInfo, usize) {
    const HEADER_BYTES: usize = core::mem::offset_of!(PtraceSyscallInfo, data);
    const IS_SYSCALL: i32 = abi::signal::SIGTRAP as i32 | 0x80;
    let regs = &stop.registers;
    let mut info = PtraceSyscallInfo {
        arch: AUDIT_ARCH_X86_64,
        instruction_pointer: regs.rip,
        stack_pointer: regs.rsp,
        ..PtraceSyscallInfo::default()
    };
    let is_call = stop.info.is_some_and(|info| info.code == IS_SYSCALL);
    if is_call && stop.message == u64::from(PTRACE_EVENTMSG_SYSCALL_ENTRY) {
        let context = UserContext { rdi: regs.rdi, rsi: regs.rsi, rdx: regs.rdx, ..UserContext::default() };
        let arguments = UserContext { r10: regs.r10, r8: regs.r8, r9: regs.r9, ..context }.syscall_arguments();
        info.op = PTRACE_SYSCALL_INFO_ENTRY;
        info.data[0] = UserContext::call_number(regs.orig_rax);
        info.data[1..7].copy_from_slice(&arguments);
        return (info, HEADER_BYTES + 7 * WORD as usize);
    }
    if is_call && stop.message == u64::from(PTRACE_EVENTMSG_SYSCALL_EXIT) {
        const MAX_ERRNO: u64 = 4095;
        info.op = PTRACE_SYSCALL_INFO_EXIT;
        info.data[0] = regs.rax;
        info.data[1] = u64::from(regs.rax > u64::MAX - MAX_ERRNO);
        return (info, HEADER_BYTES + WORD as usize + 1);
    }
    (info, HEADER_BYTES)
}
