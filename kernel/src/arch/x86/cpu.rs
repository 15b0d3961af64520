//! The per-CPU block behind GS, and what a CPU must be able to do.
//!
//! Every CPU owns one [`Cpu`], reached through its GS base while in kernel mode. Only that CPU reads and writes the
//! plain cells; other CPUs reach the atomic fields through [`Cpu::of`]. Interrupts are off in the kernel, so a CPU
//! never races with itself.

use core::arch::asm;
use core::cell::{Cell, UnsafeCell};
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use x2apic::lapic::LocalApic;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags};
use x86_64::registers::model_specific::{GsBase, KernelGsBase, Msr};
use x86_64::registers::xcontrol::{XCr0, XCr0Flags};
use x86_64::structures::tss::TaskStateSegment;

use super::live::LiveState;
use super::tables::CpuTables;

/// CPUs the kernel's tables have room for.
pub const MAX_CPUS: usize = 64;

/// What one CPU has for itself. The first fields are used by the assembly in `entry.rs` by their offsets.
#[repr(C, align(64))]
pub(super) struct Cpu {
    /// The address of this block: GS:0.
    this: Cell<*const Cpu>,
    /// The kernel's stack pointer to go back to when a trap leaves user mode.
    pub(super) kernel_rsp: Cell<u64>,
    /// The end of the [`super::UserContext`] in use: where a trap from user mode begins to push.
    pub(super) context_end: Cell<u64>,
    /// The user's stack pointer, for two instructions of the system call entry.
    pub(super) scratch: Cell<u64>,
    index: Cell<u32>,
    /// The Task State Segment. `privilege_stack_table[0]` follows `context_end`.
    pub(super) tss: UnsafeCell<TaskStateSegment>,
    pub(super) tables: UnsafeCell<CpuTables>,
    /// Whose vector registers and segment bases are in this CPU's registers, or null.
    pub(super) live: Cell<*const LiveState>,
    /// RDTSC faults in user mode (CR4.TSD).
    pub(super) tsc_faults: Cell<bool>,
    /// The alarm set in the local APIC, or `u64::MAX` for none: monotonic ns.
    pub(super) alarm_ns: Cell<u64>,
    /// Device lines that have interrupted, a bit each.
    pub(super) device_interrupts: Cell<u32>,
    pub(super) apic: UnsafeCell<Option<LocalApic>>,
    /// This CPU's local APIC id.
    pub(super) apic_id: AtomicU32,
    /// Set by another CPU that waits for the state in `live` to be written to memory.
    pub(super) wants_live: AtomicBool,
    /// Nanoseconds this CPU has spent halted.
    pub(super) idle_ns: AtomicU64,
}

/// Offsets the assembly uses.
pub(super) mod offsets {
    use super::*;
    pub const KERNEL_RSP: usize = offset_of!(Cpu, kernel_rsp);
    pub const CONTEXT_END: usize = offset_of!(Cpu, context_end);
    pub const SCRATCH: usize = offset_of!(Cpu, scratch);
    pub const INDEX: usize = offset_of!(Cpu, index);
    /// RSP0 lies 4 bytes into the (packed) task state segment.
    pub const RSP0: usize = offset_of!(Cpu, tss) + 4;
}

// SAFETY: the cells are touched only by the CPU that owns the block (see the module docs), the rest is atomic.
unsafe impl Sync for Cpu {}

static CPUS: [AtomicPtr<Cpu>; MAX_CPUS] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_CPUS];
static BOOT_CPU: Cpu = Cpu::new();

impl Cpu {
    pub(super) const fn new() -> Self {
        Self {
            this: Cell::new(ptr::null()),
            kernel_rsp: Cell::new(0),
            context_end: Cell::new(0),
            scratch: Cell::new(0),
            index: Cell::new(0),
            tss: UnsafeCell::new(TaskStateSegment::new()),
            tables: UnsafeCell::new(CpuTables::new()),
            live: Cell::new(ptr::null()),
            tsc_faults: Cell::new(false),
            alarm_ns: Cell::new(u64::MAX),
            device_interrupts: Cell::new(0),
            apic: UnsafeCell::new(None),
            apic_id: AtomicU32::new(0),
            wants_live: AtomicBool::new(false),
            idle_ns: AtomicU64::new(0),
        }
    }

    /// The block of the CPU this runs on.
    #[inline]
    pub(super) fn current() -> &'static Cpu {
        let this: *const Cpu;
        // SAFETY: GS points at this CPU's block from `claim` on, and the block is never freed.
        unsafe {
            asm!("mov {}, gs:[0]", out(reg) this, options(nostack, preserves_flags, readonly, pure));
            &*this
        }
    }

    /// The block of CPU `index`, once it is up.
    pub(super) fn of(index: usize) -> Option<&'static Cpu> {
        let block = CPUS.get(index)?.load(Ordering::Acquire);
        // SAFETY: a block in the table is static or leaked, and shared fields are atomics.
        unsafe { block.as_ref() }
    }

    /// This CPU's index.
    #[inline]
    pub(super) fn number(&self) -> u32 {
        self.index.get()
    }

    /// Makes `self` the block of this CPU under `index`.
    fn claim(&'static self, index: usize) {
        self.this.set(self);
        self.index.set(index as u32);
        GsBase::write(x86_64::VirtAddr::from_ptr(self));
        KernelGsBase::write(x86_64::VirtAddr::new(0));
    }

    /// Lets the other CPUs see this one: it can be sent interrupts from now on.
    fn publish(&'static self) {
        CPUS[self.number() as usize].store(ptr::from_ref(self).cast_mut(), Ordering::Release);
    }
}

/// The index of this CPU.
#[inline]
pub fn cpu_index() -> usize {
    let index: u32;
    // SAFETY: GS points at this CPU's block; the index never changes once set.
    unsafe {
        asm!("mov {:e}, gs:[{}]", out(reg) index, const offsets::INDEX, options(nostack, preserves_flags, readonly, pure));
    }
    index as usize
}

/// Waits a little inside a spin loop, and serves what other CPUs ask of this one meanwhile.
#[inline]
pub fn relax() {
    core::hint::spin_loop();
    serve_requests(Cpu::current());
}

/// Serves what other CPUs ask of this one: TLB flushes and the hand-over of a thread's live state.
#[inline]
pub(super) fn serve_requests(cpu: &Cpu) {
    super::tlb::serve_tlb_requests();
    if cpu.wants_live.load(Ordering::Relaxed) {
        super::live::surrender(cpu);
    }
}

/// Sets up the boot CPU's block, control registers and tables. The first thing the kernel does: until then
/// neither locks nor panics work.
pub(crate) fn init_boot_cpu() {
    BOOT_CPU.claim(0);
    BOOT_CPU.publish();
    init_this_cpu(&BOOT_CPU);
}

/// Sets up a further CPU. `index` is its place, from 1 on.
pub(super) fn init_other_cpu(cpu: &'static Cpu, index: usize) {
    cpu.claim(index);
    init_this_cpu(cpu);
    super::apic::init_this_cpu();
    cpu.publish();
}

fn init_this_cpu(cpu: &'static Cpu) {
    super::tables::load(cpu);
    require_features();
    enable_features();
    super::entry::init_syscall();
}

/// Panics, naming them, if the CPU lacks features the kernel is built on.
fn require_features() {
    // CPUID.7.0:EBX (Intel SDM volume 2, CPUID).
    const LEAF7_EBX: [(u32, &str); 3] = [(0, "fsgsbase"), (7, "smep"), (20, "smap")];
    const LEAF1_ECX: [(u32, &str); 1] = [(26, "xsave")];
    let leaf7 = core::arch::x86_64::__cpuid_count(7, 0).ebx;
    let leaf1 = core::arch::x86_64::__cpuid(1).ecx;
    let missing = LEAF7_EBX.iter().filter(|(bit, _)| leaf7 & (1 << bit) == 0);
    let missing = missing.chain(LEAF1_ECX.iter().filter(|(bit, _)| leaf1 & (1 << bit) == 0));
    for (_, name) in missing {
        panic!("this CPU has no {name}; RustOS needs a Broadwell, a Zen or QEMU's -cpu max");
    }
}

/// What RDTSCP and RDPID tell a user: this CPU's index.
const TSC_AUX: u32 = 0xc000_0103;

/// Control registers: write protection, SMEP, SMAP, UMIP, FSGSBASE, XSAVE, NX, SYSCALL.
fn enable_features() {
    let umip = core::arch::x86_64::__cpuid_count(7, 0).ecx & (1 << 2) != 0;
    let mut cr4 = Cr4Flags::PHYSICAL_ADDRESS_EXTENSION
        | Cr4Flags::PAGE_GLOBAL
        | Cr4Flags::OSFXSR
        | Cr4Flags::OSXMMEXCPT_ENABLE
        | Cr4Flags::FSGSBASE
        | Cr4Flags::OSXSAVE
        | Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION
        | Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION;
    cr4.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, umip);
    let cr0 = Cr0Flags::PROTECTED_MODE_ENABLE
        | Cr0Flags::MONITOR_COPROCESSOR
        | Cr0Flags::EXTENSION_TYPE
        | Cr0Flags::NUMERIC_ERROR
        | Cr0Flags::WRITE_PROTECT
        | Cr0Flags::ALIGNMENT_MASK
        | Cr0Flags::PAGING;
    // SAFETY: long mode stays on; the bits turned on are available (`require_features`) and what they forbid
    // (supervisor access to user pages without STAC, writes to read-only pages) the kernel never does.
    unsafe {
        Cr0::write(cr0);
        Cr4::write(cr4);
        Efer::update(|efer| efer.insert(EferFlags::NO_EXECUTE_ENABLE | EferFlags::SYSTEM_CALL_EXTENSIONS));
        Msr::new(TSC_AUX).write(cpu_index() as u64);
        let supported = XCr0Flags::from_bits_truncate(u64::from(core::arch::x86_64::__cpuid_count(0xd, 0).eax));
        XCr0::write(supported & (XCr0Flags::X87 | XCr0Flags::SSE | XCr0Flags::AVX));
    }
}
