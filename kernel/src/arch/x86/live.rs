//! Vector registers and segment bases, switched lazily.
//!
//! The kernel is compiled without vector instructions, so a thread's x87, SSE and AVX registers, FS base and GS
//! base stay in the CPU across system calls. They are written to memory only when another thread enters user mode
//! on that CPU, or when somebody wants to read them (a signal frame, a fork, a debugger).
//!
//! A [`LiveState`]'s `home` says in which CPU's registers it is, if any; that CPU's block points back at it. Both
//! are changed only by the home CPU. A thread that is moved to another CPU while its state is still at home (it was
//! woken before its old CPU ran anybody else) asks that CPU to surrender it and waits.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use alloc::alloc::{alloc_zeroed, dealloc, handle_alloc_error};
use alloc::vec::Vec;
use core::alloc::Layout;

use x86_64::registers::control::{Cr4, Cr4Flags};
use x86_64::registers::model_specific::KernelGsBase;

use super::cpu::Cpu;
use super::uaccess;

/// A thread's vector registers, FS base and GS base.
pub struct LiveState {
    /// The index of the CPU whose registers hold the state, plus 1; 0 if `saved` holds it.
    home: AtomicU32,
    /// RDTSC and RDTSCP fault. Changed by the thread itself.
    tsc_faults: AtomicBool,
    saved: UnsafeCell<Saved>,
}

/// The state in memory. Valid while `home` is 0.
struct Saved {
    /// `None`: the registers' initial state.
    area: Option<XsaveArea>,
    fs_base: u64,
    gs_base: u64,
}

// SAFETY: `saved` is touched by the home CPU, or, while `home` is 0, by the one CPU that runs the thread (a stopped
// thread's debugger goes through the same door, while the thread does not run).
unsafe impl Send for LiveState {}
// SAFETY: as above.
unsafe impl Sync for LiveState {}

impl LiveState {
    /// The state of a program that has just been loaded.
    pub fn new() -> Self {
        Self::in_memory(Saved { area: None, fs_base: 0, gs_base: 0 }, false)
    }

    fn in_memory(saved: Saved, tsc_faults: bool) -> Self {
        Self { home: AtomicU32::new(0), tsc_faults: AtomicBool::new(tsc_faults), saved: UnsafeCell::new(saved) }
    }

    /// Puts this state into the CPU's registers unless it is there already.
    #[inline]
    pub(super) fn make_live(&self) {
        let cpu = Cpu::current();
        if !ptr::eq(cpu.live.get(), self) {
            self.switch_in(cpu);
        }
    }

    #[cold]
    fn switch_in(&self, cpu: &Cpu) {
        surrender(cpu);
        self.fetch();
        // SAFETY: `fetch` has brought the state to memory and this CPU runs the thread.
        let saved = unsafe { &*self.saved.get() };
        match &saved.area {
            Some(area) => area.load(),
            None => load_initial(),
        }
        write_bases(saved.fs_base, saved.gs_base);
        if cpu.tsc_faults.get() != self.tsc_faults() {
            self.guard_tsc(cpu);
        }
        self.home.store(cpu.number() + 1, Ordering::Relaxed);
        cpu.live.set(self);
    }

    #[cold]
    fn guard_tsc(&self, cpu: &Cpu) {
        let faults = self.tsc_faults();
        // SAFETY: the flag concerns user mode alone.
        unsafe { Cr4::update(|cr4| cr4.set(Cr4Flags::TIMESTAMP_DISABLE, faults)) };
        cpu.tsc_faults.set(faults);
    }

    /// Whether RDTSC faults.
    pub fn tsc_faults(&self) -> bool {
        self.tsc_faults.load(Ordering::Relaxed)
    }

    /// Has RDTSC fault, or work. For the thread itself; its children and later programs are like it.
    pub fn set_tsc_faults(&self, faults: bool) {
        self.tsc_faults.store(faults, Ordering::Relaxed);
        let cpu = Cpu::current();
        if ptr::eq(cpu.live.get(), self) {
            self.guard_tsc(cpu);
        }
    }

    /// Waits until the state is in memory, asking the CPU that has it to write it there.
    fn fetch(&self) {
        let cpu = Cpu::current();
        if ptr::eq(cpu.live.get(), self) {
            surrender(cpu);
            return;
        }
        while let home @ 1.. = self.home.load(Ordering::Acquire) {
            if let Some(other) = Cpu::of(home as usize - 1)
                && !other.wants_live.swap(true, Ordering::AcqRel)
            {
                super::apic::kick(1 << (home - 1));
            }
            super::cpu::relax();
        }
    }

    /// Calls `f` with the state in memory. The thread must be the caller's own or be kept from running.
    fn with_saved<R>(&self, f: impl FnOnce(&mut Saved) -> R) -> R {
        self.fetch();
        // SAFETY: the state is in memory and the thread does not run elsewhere.
        f(unsafe { &mut *self.saved.get() })
    }

    /// A copy for a new thread.
    pub fn duplicate(&self) -> Self {
        let saved = self.with_saved(|saved| Saved {
            area: saved.area.as_ref().map(XsaveArea::duplicate),
            fs_base: saved.fs_base,
            gs_base: saved.gs_base,
        });
        Self::in_memory(saved, self.tsc_faults())
    }

    /// Forgets the state: the thread executes a new program or dies.
    pub fn reset(&self) {
        self.with_saved(|saved| *saved = Saved { area: None, fs_base: 0, gs_base: 0 });
    }

    /// The FS base.
    pub fn fs_base(&self) -> u64 {
        self.with_saved(|saved| saved.fs_base)
    }

    /// Sets the FS base. The caller has checked that it is a user address.
    pub fn set_fs_base(&self, base: u64) {
        self.with_saved(|saved| saved.fs_base = base);
    }

    /// The GS base.
    pub fn gs_base(&self) -> u64 {
        self.with_saved(|saved| saved.gs_base)
    }

    /// Sets the GS base. The caller has checked that it is a user address.
    pub fn set_gs_base(&self, base: u64) {
        self.with_saved(|saved| saved.gs_base = base);
    }

    /// The XSAVE area in the standard format, as a signal frame or a debugger wants it.
    pub fn save_xstate(&self) -> Vec<u8> {
        self.with_saved(|saved| saved.area.get_or_insert_with(XsaveArea::initial).bytes().to_vec())
    }

    /// Replaces the vector state by an XSAVE area in the standard format. `false`, and nothing changed, if the
    /// area is too short or its header or MXCSR is one that XRSTOR would fault on (Intel SDM volume 1, 13.8.1).
    pub fn restore_xstate(&self, bytes: &[u8]) -> bool {
        let Some(area) = XsaveArea::checked(bytes) else { return false };
        self.with_saved(|saved| saved.area = Some(area));
        true
    }

    /// Writes the XSAVE area in the standard format straight from the registers to user memory at `addr`, which is
    /// 64-byte aligned. `false` if the registers are not this thread's or at a fault: [`LiveState::save_xstate`] gives the
    /// same bytes, however the thread stands.
    pub fn save_xstate_to_user(&self, addr: u64) -> bool {
        ptr::eq(Cpu::current().live.get(), self)
            && uaccess::clear_user(addr.wrapping_add(HEADER as u64), HEADER_END - HEADER) == 0
            && uaccess::xsave_to_user(addr, xstate_size())
    }

    /// Loads all components straight from an XSAVE area in user memory at `addr`. `false` if the registers are not this
    /// thread's, at a fault, or if the CPU refuses the area; some components may be loaded then.
    pub fn restore_xstate_from_user(&self, addr: u64) -> bool {
        ptr::eq(Cpu::current().live.get(), self) && uaccess::xrstor_from_user(addr, xstate_size())
    }

    /// Puts the vector state into its initial state, as a signal handler finds it. Segment bases stay.
    pub fn clear_xstate(&self) {
        if ptr::eq(Cpu::current().live.get(), self) {
            load_initial();
        } else {
            self.with_saved(|saved| saved.area = None);
        }
    }
}

impl Default for LiveState {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for LiveState {
    fn drop(&mut self) {
        // A CPU may still hold the state of a thread that has died: it must not write it back.
        let cpu = Cpu::current();
        if ptr::eq(cpu.live.get(), self) {
            cpu.live.set(ptr::null());
        } else {
            self.fetch();
        }
    }
}

/// Writes the state in this CPU's registers, if any, to its thread's memory.
pub(super) fn surrender(cpu: &Cpu) {
    cpu.wants_live.store(false, Ordering::Relaxed);
    let live = cpu.live.replace(ptr::null());
    // SAFETY: a state is not dropped while a CPU points at it (`drop` fetches it first).
    let Some(live) = (unsafe { live.as_ref() }) else { return };
    // SAFETY: this CPU is the state's home.
    let saved = unsafe { &mut *live.saved.get() };
    saved.area.get_or_insert_with(XsaveArea::initial).store();
    (saved.fs_base, saved.gs_base) = read_bases();
    live.home.store(0, Ordering::Release);
}

fn read_bases() -> (u64, u64) {
    let fs: u64;
    // SAFETY: FSGSBASE is on. The user's GS base is in the KERNEL_GS_BASE MSR while the kernel runs.
    unsafe { asm!("rdfsbase {}", out(reg) fs, options(nostack, nomem, preserves_flags)) };
    (fs, KernelGsBase::read().as_u64())
}

fn write_bases(fs: u64, gs: u64) {
    // SAFETY: both are canonical: checked user addresses, or values the user loaded with WRFSBASE or WRGSBASE.
    unsafe { asm!("wrfsbase {}", in(reg) fs, options(nostack, nomem, preserves_flags)) };
    KernelGsBase::write(x86_64::VirtAddr::new_truncate(gs));
}

static AREA_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Bytes of an XSAVE area in the standard format with all enabled components.
pub fn xstate_size() -> usize {
    match AREA_BYTES.load(Ordering::Relaxed) {
        0 => {
            let bytes = core::arch::x86_64::__cpuid_count(0xd, 0).ebx as usize;
            AREA_BYTES.store(bytes, Ordering::Relaxed);
            bytes
        }
        bytes => bytes,
    }
}

/// The enabled state components (XCR0).
pub fn xstate_features() -> u64 {
    x86_64::registers::xcontrol::XCr0::read_raw()
}

/// Offsets in the XSAVE area (Intel SDM volume 1, 13.4).
const MXCSR: usize = 24;
const HEADER: usize = 512;
const HEADER_END: usize = 576;

/// An XSAVE area, 64-byte aligned, of [`xstate_size`] bytes.
struct XsaveArea(ptr::NonNull<u8>);

impl XsaveArea {
    fn layout() -> Layout {
        Layout::from_size_align(xstate_size(), 64).expect("an XSAVE area is a few KiB")
    }

    fn zeroed() -> Self {
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { alloc_zeroed(Self::layout()) };
        Self(ptr::NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(Self::layout())))
    }

    /// The initial state: x87 control word 0x37f, MXCSR 0x1f80.
    fn initial() -> Self {
        let mut area = Self::zeroed();
        area.bytes_mut()[..2].copy_from_slice(&0x37f_u16.to_le_bytes());
        area.bytes_mut()[MXCSR..MXCSR + 4].copy_from_slice(&0x1f80_u32.to_le_bytes());
        area
    }

    fn duplicate(&self) -> Self {
        let mut copy = Self::zeroed();
        copy.bytes_mut().copy_from_slice(self.bytes());
        copy
    }

    /// An area with a user's bytes, if XRSTOR will accept them.
    fn checked(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..xstate_size())?;
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let mxcsr = u32::from_le_bytes(bytes[MXCSR..MXCSR + 4].try_into().expect("four bytes"));
        let reserved_clear = (HEADER + 8..HEADER_END).step_by(8).all(|at| word(at) == 0);
        let known = word(HEADER) & !xstate_features() == 0;
        if !reserved_clear || !known || mxcsr & !0xffff != 0 {
            return None;
        }
        let mut area = Self::zeroed();
        area.bytes_mut().copy_from_slice(bytes);
        Some(area)
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the area is ours and of this size.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr(), xstate_size()) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the area is ours and of this size.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_ptr(), xstate_size()) }
    }

    /// Registers to memory.
    fn store(&mut self) {
        // SAFETY: the area is large enough for the enabled components, and aligned.
        unsafe {
            asm!("xsave64 [{}]", in(reg) self.0.as_ptr(), in("eax") u32::MAX, in("edx") u32::MAX, options(nostack, preserves_flags));
        }
    }

    /// Memory to registers.
    fn load(&self) {
        // SAFETY: the area was written by XSAVE, made by `initial` or examined by `checked`.
        unsafe { xrstor(self.0.as_ptr()) };
    }
}

impl Drop for XsaveArea {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.0.as_ptr(), Self::layout()) };
    }
}

/// # Safety
/// `area` is a valid XSAVE area.
unsafe fn xrstor(area: *const u8) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("xrstor64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX, options(nostack, preserves_flags, readonly));
    }
}

/// Puts the registers into their initial state.
fn load_initial() {
    #[repr(C, align(64))]
    struct Initial([u8; HEADER_END]);
    static INITIAL: Initial = {
        let mut bytes = [0; HEADER_END];
        bytes[0] = 0x7f;
        bytes[1] = 0x03;
        bytes[MXCSR] = 0x80;
        bytes[MXCSR + 1] = 0x1f;
        Initial(bytes)
    };
    // SAFETY: a header with no component present: only the legacy region and the header are read.
    unsafe { xrstor(INITIAL.0.as_ptr()) };
}
