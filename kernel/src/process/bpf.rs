//! Classic BPF as filters of system calls are written in: what makes a program sound, and running one.
//!
//! A program sees a call as [`SeccompData`], in 32-bit words. It has an accumulator, an index register and sixteen words of
//! memory, jumps forwards only, and ends by giving a word.

use alloc::vec::Vec;

use abi::Errno;
use abi::seccomp::*;

/// Words of the data, and its bytes.
const DATA_WORDS: usize = size_of::<SeccompData>() / 4;
const DATA_BYTES: u32 = size_of::<SeccompData>() as u32;
/// A register's bits: what it may be shifted by lies below.
const BITS: u32 = 32;

/// The class of an instruction: what the rest of its code means depends on it.
const CLASS: u32 = 0x07;

/// A call in the words a program loads.
pub type Words = [u32; DATA_WORDS];

/// A sound program.
pub struct Program {
    code: Vec<SockFilter>,
}

impl Program {
    /// Checks a program (`bpf_check_classic()`, `seccomp_check_filter()`). Errors: EINVAL.
    pub fn new(code: Vec<SockFilter>) -> Result<Self, Errno> {
        let ends = matches!(code.last().map(|last| u32::from(last.code)), Some(RET_K | RET_A));
        let sound = |(at, one): (usize, &SockFilter)| is_sound(one, code.len() - at - 1);
        if ends && code.iter().enumerate().all(sound) && sets_memory_before_use(&code) {
            Ok(Self { code })
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// The instructions.
    pub fn code(&self) -> &[SockFilter] {
        &self.code
    }

    /// What the program says about a call. A division by zero ends it with 0.
    pub fn run(&self, data: &Words) -> u32 {
        let mut state = State { a: 0, x: 0, memory: [0; BPF_MEMWORDS as usize], data };
        let mut at = 0;
        while let Some(one) = self.code.get(at) {
            at += 1;
            match state.step(one) {
                Step::Next => {}
                Step::Skip(count) => at += count,
                Step::End(word) => return word,
            }
        }
        0
    }
}

const RET_K: u32 = BPF_RET | BPF_K;
const RET_A: u32 = BPF_RET | BPF_A;
const LD_DATA: u32 = BPF_LD | BPF_W | BPF_ABS;
const LD_IMM: u32 = BPF_LD | BPF_IMM;
const LD_LEN: u32 = BPF_LD | BPF_W | BPF_LEN;
const LD_MEM: u32 = BPF_LD | BPF_MEM;
const LDX_IMM: u32 = BPF_LDX | BPF_IMM;
const LDX_LEN: u32 = BPF_LDX | BPF_W | BPF_LEN;
const LDX_MEM: u32 = BPF_LDX | BPF_MEM;
const JMP_JA: u32 = BPF_JMP | BPF_JA;
const MISC_TAX: u32 = BPF_MISC | BPF_TAX;
const MISC_TXA: u32 = BPF_MISC | BPF_TXA;

/// Whether an instruction with `after` more behind it is one a filter may have.
fn is_sound(one: &SockFilter, after: usize) -> bool {
    let code = u32::from(one.code);
    match code {
        LD_DATA => one.k < DATA_BYTES && one.k.is_multiple_of(4),
        LD_LEN | LDX_LEN | LD_IMM | LDX_IMM | RET_K | RET_A | MISC_TAX | MISC_TXA => true,
        LD_MEM | LDX_MEM | BPF_ST | BPF_STX => one.k < BPF_MEMWORDS,
        JMP_JA => (one.k as usize) < after,
        _ => match code & CLASS {
            BPF_ALU => is_sound_arithmetic(code, one.k),
            BPF_JMP => {
                let is_known = matches!(code & !CLASS & !BPF_X, BPF_JEQ | BPF_JGT | BPF_JGE | BPF_JSET);
                is_known && usize::from(one.jt.max(one.jf)) < after
            }
            _ => false,
        },
    }
}

fn is_sound_arithmetic(code: u32, k: u32) -> bool {
    let is_constant = code & BPF_X == 0;
    match code & !CLASS & !BPF_X {
        BPF_ADD | BPF_SUB | BPF_MUL | BPF_OR | BPF_AND | BPF_XOR => true,
        BPF_DIV => !is_constant || k != 0,
        BPF_LSH | BPF_RSH => !is_constant || k < BITS,
        BPF_NEG => is_constant,
        _ => false,
    }
}

/// Whether no way through the program reads a word of memory that it has not written (`check_load_and_stores()`). The jumps
/// are sound.
fn sets_memory_before_use(code: &[SockFilter]) -> bool {
    const ALL: u16 = u16::MAX;
    // The words written on every way to an instruction, as far as jumps lead there.
    let mut written_at = alloc::vec![ALL; code.len()];
    let mut written = 0;
    for (at, one) in code.iter().enumerate() {
        written &= written_at[at];
        let bit = || 1_u16 << one.k;
        match u32::from(one.code) {
            BPF_ST | BPF_STX => written |= bit(),
            LD_MEM | LDX_MEM if written & bit() == 0 => return false,
            JMP_JA => {
                written_at[at + 1 + one.k as usize] &= written;
                written = ALL;
            }
            code if code & CLASS == BPF_JMP => {
                for skipped in [one.jt, one.jf] {
                    written_at[at + 1 + usize::from(skipped)] &= written;
                }
                written = ALL;
            }
            _ => {}
        }
    }
    true
}

/// Where a program goes on.
enum Step {
    Next,
    /// So many instructions further.
    Skip(usize),
    End(u32),
}

struct State<'a> {
    a: u32,
    x: u32,
    memory: [u32; BPF_MEMWORDS as usize],
    data: &'a Words,
}

impl State<'_> {
    fn step(&mut self, one: &SockFilter) -> Step {
        let code = u32::from(one.code);
        // Checked to be in range when the program was made.
        let word = one.k as usize % self.memory.len();
        match code {
            LD_DATA => self.a = self.data[one.k as usize / 4 % DATA_WORDS],
            LD_IMM => self.a = one.k,
            LD_LEN => self.a = DATA_BYTES,
            LD_MEM => self.a = self.memory[word],
            LDX_IMM => self.x = one.k,
            LDX_LEN => self.x = DATA_BYTES,
            LDX_MEM => self.x = self.memory[word],
            BPF_ST => self.memory[word] = self.a,
            BPF_STX => self.memory[word] = self.x,
            MISC_TAX => self.x = self.a,
            MISC_TXA => self.a = self.x,
            RET_K => return Step::End(one.k),
            RET_A => return Step::End(self.a),
            JMP_JA => return Step::Skip(one.k as usize),
            _ => {
                let operand = if code & BPF_X == 0 { one.k } else { self.x };
                let operation = code & !CLASS & !BPF_X;
                if code & CLASS == BPF_JMP {
                    let taken = self.compare(operation, operand);
                    return Step::Skip(usize::from(if taken { one.jt } else { one.jf }));
                }
                match self.compute(operation, operand) {
                    Some(value) => self.a = value,
                    None => return Step::End(0),
                }
            }
        }
        Step::Next
    }

    fn compare(&self, operation: u32, operand: u32) -> bool {
        match operation {
            BPF_JEQ => self.a == operand,
            BPF_JGT => self.a > operand,
            BPF_JGE => self.a >= operand,
            _ => self.a & operand != 0,
        }
    }

    /// `None` for a division by zero.
    fn compute(&self, operation: u32, operand: u32) -> Option<u32> {
        Some(match operation {
            BPF_ADD => self.a.wrapping_add(operand),
            BPF_SUB => self.a.wrapping_sub(operand),
            BPF_MUL => self.a.wrapping_mul(operand),
            BPF_DIV => return self.a.checked_div(operand),
            BPF_OR => self.a | operand,
            BPF_AND => self.a & operand,
            BPF_XOR => self.a ^ operand,
            BPF_LSH => self.a.wrapping_shl(operand),
            BPF_RSH => self.a.wrapping_shr(operand),
            _ => self.a.wrapping_neg(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> SockFilter {
        SockFilter { code: code as u16, jt, jf, k }
    }

    #[test]
    fn a_program_jumps_by_what_it_loads() {
        let code = [
            instruction(LD_DATA, 0, 0, 0),
            instruction(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 39),
            instruction(RET_K, 0, 0, 1),
            instruction(RET_K, 0, 0, 2),
        ];
        let program = Program::new(code.to_vec()).map_err(drop).expect("a sound program");
        let mut data = [0; DATA_WORDS];
        assert_eq!(program.run(&data), 1);
        data[0] = 39;
        assert_eq!(program.run(&data), 2);
    }

    #[test]
    fn no_program_however_made_leads_out_of_bounds() {
        // Of all short programs of odd instructions, those that pass run to an end.
        let codes: Vec<u32> = (0..0x100).chain([0xffff]).collect();
        let operands = [0, 1, 2, 15, 16, 31, 32, 60, 64, u32::MAX];
        for code in codes {
            for k in operands {
                for (jt, jf) in [(0, 0), (1, 0), (0, 1), (255, 255)] {
                    let end = instruction(RET_A, 0, 0, 0);
                    let program = Program::new(alloc::vec![instruction(code, jt, jf, k), end, end]);
                    let _ = program.map(|program| program.run(&[7; DATA_WORDS]));
                }
            }
        }
    }
}
