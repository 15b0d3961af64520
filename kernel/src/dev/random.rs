//! Random bytes: ChaCha20 with fast key erasure, keyed from the machine's entropy (random(4)).
//!
//! Each request takes a fresh key from the generator's first half block and erases the old one, so what was given out
//! cannot be computed from what is kept. Lock: `GENERATOR` (rank `Random`), held for one block only.

use crate::arch;
use crate::sync::{Rank, SpinLock};

/// Bytes of a ChaCha block.
const BLOCK_BYTES: usize = 64;
/// Requests after which new entropy is mixed in.
const RESEED_AFTER: u32 = 256;

struct Generator {
    key: [u32; 8],
    requests: u32,
}

static GENERATOR: SpinLock<Generator> = SpinLock::new(Rank::Random, Generator { key: [0; 8], requests: 0 });

impl Generator {
    /// A key for one request.
    fn next_key(&mut self) -> [u32; 8] {
        if self.requests % RESEED_AFTER == 0 {
            for pair in self.key.chunks_exact_mut(2) {
                let entropy = arch::random_u64();
                pair[0] ^= entropy as u32;
                pair[1] ^= (entropy >> 32) as u32;
            }
        }
        self.requests = self.requests.wrapping_add(1);
        let block = chacha20_block(&self.key, 0);
        let (kept, given) = block.split_at(8);
        self.key.copy_from_slice(kept);
        let mut key = [0; 8];
        key.copy_from_slice(given);
        key
    }
}

/// A stream of random bytes: one request's.
pub struct RandomStream {
    key: [u32; 8],
    counter: u32,
}

impl RandomStream {
    /// A fresh stream.
    pub fn new() -> Self {
        Self { key: GENERATOR.lock().next_key(), counter: 0 }
    }

    /// The stream's next bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(BLOCK_BYTES) {
            let block = chacha20_block(&self.key, self.counter);
            self.counter = self.counter.wrapping_add(1);
            for (chunk, word) in part.chunks_mut(4).zip(block) {
                chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
            }
        }
    }
}

impl Default for RandomStream {
    fn default() -> Self {
        Self::new()
    }
}

/// Fills `bytes` at random.
pub fn fill(bytes: &mut [u8]) {
    RandomStream::new().fill(bytes);
}

/// RFC 8439's block function with a zero nonce: each key is used for one stream only.
fn chacha20_block(key: &[u32; 8], counter: u32) -> [u32; 16] {
    let mut start = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574, 0, 0, 0, 0, 0, 0, 0, 0, counter, 0, 0, 0];
    start[4..12].copy_from_slice(key);
    let mut state = start;
    for _ in 0..10 {
        for column in 0..4 {
            quarter_round(&mut state, [column, column + 4, column + 8, column + 12]);
        }
        for diagonal in 0..4 {
            let at = |row: usize| row * 4 + (diagonal + row) % 4;
            quarter_round(&mut state, [at(0), at(1), at(2), at(3)]);
        }
    }
    for (word, first) in state.iter_mut().zip(start) {
        *word = word.wrapping_add(first);
    }
    state
}

fn quarter_round(state: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    let mut step = |to: usize, from: usize, mixed: usize, bits: u32| {
        state[to] = state[to].wrapping_add(state[from]);
        state[mixed] = (state[mixed] ^ state[to]).rotate_left(bits);
    };
    step(a, b, d, 16);
    step(c, d, b, 12);
    step(a, b, d, 8);
    step(c, d, b, 7);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_function_gives_the_known_key_stream() {
        // The first words of ChaCha20 with an all-zero key, nonce and counter.
        let block = chacha20_block(&[0; 8], 0);
        assert_eq!(block[..4], [0xade0_b876, 0x903d_f1a0, 0xe56a_5d40, 0x28bd_8653]);
    }

    #[test]
    fn two_requests_differ() {
        let (mut first, mut second) = ([0; 100], [0; 100]);
        fill(&mut first);
        fill(&mut second);
        assert_ne!(first, second);
    }
}
