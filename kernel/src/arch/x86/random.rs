//! Entropy: RDSEED or RDRAND where the CPU has them, mixed with the time stamp counter.

use core::arch::x86_64::{__cpuid, _rdrand64_step, _rdtsc};
use core::sync::atomic::{AtomicU64, Ordering};

/// A random number. Without RDRAND it is only as good as the jitter of the time stamp counter.
pub fn random_u64() -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
    // SAFETY: RDTSC exists on every x86_64.
    let jitter = unsafe { _rdtsc() };
    let mixed = STATE.fetch_add(jitter | 1, Ordering::Relaxed) ^ hardware().unwrap_or(0);
    finish(mixed ^ jitter.rotate_left(32))
}

fn hardware() -> Option<u64> {
    const RDRAND: u32 = 1 << 30;
    if __cpuid(1).ecx & RDRAND == 0 {
        return None;
    }
    let mut value = 0;
    // SAFETY: CPUID says that RDRAND exists.
    (0..10).any(|_| unsafe { rdrand(&mut value) }).then_some(value)
}

#[target_feature(enable = "rdrand")]
fn rdrand(value: &mut u64) -> bool {
    _rdrand64_step(value) == 1
}

/// The finaliser of splitmix64: every input bit reaches every output bit.
fn finish(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
