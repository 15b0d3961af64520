//! What the auxiliary vector says of the processor.

use abi::auxv::HWCAP2_FSGSBASE;

/// `AT_HWCAP`: the feature bits of CPUID leaf 1, EDX.
pub fn hwcap() -> u64 {
    core::arch::x86_64::__cpuid(1).edx.into()
}

/// `AT_HWCAP2`: whether user mode may use RDFSBASE and its kin.
pub fn hwcap2() -> u64 {
    const FSGSBASE: u32 = 1;
    let features = core::arch::x86_64::__cpuid_count(7, 0).ebx;
    if features & FSGSBASE != 0 { HWCAP2_FSGSBASE } else { 0 }
}
