//! What CPUID tells of the CPU, for /proc/cpuinfo.

use alloc::string::String;
use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};

use super::clock::tsc_scale;

/// A CPU.
pub struct CpuDescription {
    /// Who made it.
    pub vendor: String,
    /// Its family, the extended one included.
    pub family: u32,
    /// Its model, the extended one included.
    pub model: u32,
    /// Its stepping.
    pub stepping: u32,
    /// Its name.
    pub name: String,
    /// The frequency of its time stamp counter.
    pub khz: u64,
    /// What it can do, by Linux's names.
    pub flags: String,
}

/// Bits of a register of CPUID and Linux's names for them.
type Names = &'static [(u32, &'static str)];

const LEAF1_EDX: Names = &[
    (0, "fpu"),
    (1, "vme"),
    (2, "de"),
    (3, "pse"),
    (4, "tsc"),
    (5, "msr"),
    (6, "pae"),
    (7, "mce"),
    (8, "cx8"),
    (9, "apic"),
    (11, "sep"),
    (12, "mtrr"),
    (13, "pge"),
    (14, "mca"),
    (15, "cmov"),
    (16, "pat"),
    (17, "pse36"),
    (19, "clflush"),
    (23, "mmx"),
    (24, "fxsr"),
    (25, "sse"),
    (26, "sse2"),
    (28, "ht"),
];
const LEAF1_ECX: Names = &[
    (0, "pni"),
    (1, "pclmulqdq"),
    (9, "ssse3"),
    (12, "fma"),
    (13, "cx16"),
    (19, "sse4_1"),
    (20, "sse4_2"),
    (21, "x2apic"),
    (22, "movbe"),
    (23, "popcnt"),
    (25, "aes"),
    (26, "xsave"),
    (28, "avx"),
    (29, "f16c"),
    (30, "rdrand"),
    (31, "hypervisor"),
];
const LEAF7_EBX: Names = &[
    (0, "fsgsbase"),
    (3, "bmi1"),
    (5, "avx2"),
    (7, "smep"),
    (8, "bmi2"),
    (9, "erms"),
    (18, "rdseed"),
    (19, "adx"),
    (20, "smap"),
    (23, "clflushopt"),
    (24, "clwb"),
    (29, "sha_ni"),
];
const EXTENDED_EDX: Names = &[(11, "syscall"), (20, "nx"), (26, "pdpe1gb"), (27, "rdtscp"), (29, "lm")];

fn text(words: &[u32]) -> String {
    let bytes: alloc::vec::Vec<u8> =
        words.iter().flat_map(|word| word.to_le_bytes()).filter(|byte| *byte != 0).collect();
    String::from(String::from_utf8_lossy(&bytes).trim())
}

/// The CPU this runs on.
pub fn cpu_description() -> CpuDescription {
    const EXTENDED: u32 = 0x8000_0000;
    let CpuidResult { ebx, ecx, edx, .. } = __cpuid(0);
    let leaf1 = __cpuid(1);
    let base_family = leaf1.eax >> 8 & 0xf;
    let family = if base_family == 0xf { base_family + (leaf1.eax >> 20 & 0xff) } else { base_family };
    let model = leaf1.eax >> 4 & 0xf | (leaf1.eax >> 16 & 0xf) << 4;
    let has_name = __cpuid(EXTENDED).eax >= EXTENDED + 4;
    let name: alloc::vec::Vec<u32> = (2..5)
        .filter(|_| has_name)
        .map(|leaf| __cpuid(EXTENDED + leaf))
        .flat_map(|part| [part.eax, part.ebx, part.ecx, part.edx])
        .collect();
    CpuDescription {
        vendor: text(&[ebx, edx, ecx]),
        family,
        model,
        stepping: leaf1.eax & 0xf,
        name: text(&name),
        khz: (1_000_000u64 << 32).checked_div(tsc_scale().mult).unwrap_or(0),
        flags: flags(&leaf1),
    }
}

fn flags(leaf1: &CpuidResult) -> String {
    let registers = [
        (leaf1.edx, LEAF1_EDX),
        (__cpuid(0x8000_0001).edx, EXTENDED_EDX),
        (leaf1.ecx, LEAF1_ECX),
        (__cpuid_count(7, 0).ebx, LEAF7_EBX),
    ];
    let mut flags = String::new();
    for (register, names) in registers {
        for (_, name) in names.iter().filter(|(bit, _)| register >> bit & 1 != 0) {
            flags.push_str(name);
            flags.push(' ');
        }
    }
    flags.truncate(flags.trim_end().len());
    flags
}
