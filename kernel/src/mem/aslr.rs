//! Address space layout randomisation: where mappings go, and with them libraries, thread stacks, static
//! position-independent programs and the vDSO. (Exec places the stack, the heap and other programs.)

use super::addr::{PAGE_SHIFT, USER_END, page_down};
use super::vma::STACK_GUARD_BYTES;
use crate::arch;

/// Random bits of the mmap base, in pages (`vm.mmap_rnd_bits`).
const MMAP_RANDOM_BITS: u32 = 28;
/// The stack's top lies at random this far below the end at most (`stack_maxrandom_size`).
const STACK_RANDOM_BYTES: u64 = 16 << 30;
/// The gap between mappings and the stack at least, for stacks that may grow.
const MMAP_GAP_MIN_BYTES: u64 = 128 << 20;
/// The gap at most (`TASK_SIZE / 6 * 5`).
const MMAP_GAP_MAX_BYTES: u64 = USER_END / 6 * 5;

/// Whether a program's memory is laid out at random, or always alike (`ADDR_NO_RANDOMIZE`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// As usual.
    Random,
    /// For debuggers and those who compare runs.
    Fixed,
}

impl Layout {
    /// A number below `bound`, 0 if the layout is fixed.
    pub fn below(self, bound: u64) -> u64 {
        match self {
            Self::Random => arch::random_u64() % bound,
            Self::Fixed => 0,
        }
    }
}

/// A random address below which mappings go, with room above for a stack of `stack_limit_bytes` (`mmap_base` in
/// `arch/x86/mm/mmap.c`).
pub fn mmap_base(stack_limit_bytes: u64, layout: Layout) -> u64 {
    let gap = stack_limit_bytes.saturating_add(STACK_GUARD_BYTES + STACK_RANDOM_BYTES);
    let random = layout.below(1 << MMAP_RANDOM_BITS) << PAGE_SHIFT;
    page_down(USER_END - gap.clamp(MMAP_GAP_MIN_BYTES, MMAP_GAP_MAX_BYTES) - random)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_mmap_base_varies_and_leaves_room_for_the_stack() {
        for limit in [0, 8 << 20, u64::MAX] {
            let samples: BTreeSet<u64> = (0..1000).map(|_| mmap_base(limit, Layout::Random)).collect();
            // A thousand draws from 2^28 meet once in 500 times.
            assert!(samples.len() > 990);
            assert!(samples.iter().all(|base| base % 4096 == 0 && *base > USER_END / 12));
            assert_eq!(mmap_base(limit, Layout::Fixed), mmap_base(limit, Layout::Fixed));
            let room = (limit.min(1 << 30)) + STACK_GUARD_BYTES + STACK_RANDOM_BYTES;
            assert!(samples.iter().all(|base| base + room <= USER_END));
        }
    }
}
