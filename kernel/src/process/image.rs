//! What a program finds at its start: its stack with arguments, environment and auxiliary vector
//! (`setup_arg_pages()`, `create_elf_tables()`).
//!
//! Key types: [`Strings`], argv or envp; [`ProgramInfo`], what /proc tells of the result.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::Errno;
use abi::auxv::*;
use abi::prctl::{RSEQ_ALIGN_BYTES, RSEQ_FEATURE_BYTES};

use super::elf::{Loaded, PROGRAM_HEADER_BYTES};
use crate::arch;
use crate::fs::{Cred, Path};
use crate::mem::aslr::Layout;
use crate::mem::{AddressSpace, MapRequest, PAGE_SIZE, Placement, Prot, USER_END, VmFlags};

/// The longest single string, its NUL included (`MAX_ARG_STRLEN`).
pub const MAX_STRING_BYTES: usize = 32 * PAGE_SIZE as usize;
/// However large the stack limit, arguments and environment take no more (three quarters of `_STK_LIM`).
const MAX_ALL_BYTES: u64 = 6 << 20;
/// However small the stack limit, this much is allowed (`ARG_MAX`).
const MIN_ALL_BYTES: u64 = 128 << 10;
/// Pages over which the stack's top is spread at random (16 GiB).
const RANDOM_STACK_PAGES: u64 = 1 << 22;
/// Bytes mapped below what is stored at the start; the rest grows by faults.
const INITIAL_ROOM_BYTES: u64 = 128 << 10;
/// `AT_PLATFORM`.
const PLATFORM: &[u8] = b"x86_64\0";
/// `AT_CLKTCK`.
const TICKS_PER_SECOND: u64 = 100;

/// Strings one after another, each with its NUL.
#[derive(Clone, Default, Debug)]
pub struct Strings {
    bytes: Vec<u8>,
    count: usize,
}

impl Strings {
    /// Adds a string, given without NUL. Errors: E2BIG if it is too long by itself, ENOMEM.
    pub fn push(&mut self, string: &[u8]) -> Result<(), Errno> {
        if string.len() >= MAX_STRING_BYTES {
            return Err(Errno::E2BIG);
        }
        self.bytes.try_reserve(string.len() + 1).map_err(|_| Errno::ENOMEM)?;
        self.bytes.extend_from_slice(string);
        self.bytes.push(0);
        self.count += 1;
        Ok(())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of all, NULs included.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The strings, without their NULs.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split_inclusive(|byte| *byte == 0).map(|string| &string[..string.len() - 1])
    }

    /// The same without the first, which a script's interpreter and its arguments take the place of.
    pub fn without_first(&self) -> Self {
        let first = self.iter().next().map_or(0, |string| string.len() + 1);
        Self { bytes: self.bytes[first..].to_vec(), count: self.count.saturating_sub(1) }
    }

    /// Adds all of another's strings. Errors: ENOMEM.
    pub fn append(&mut self, other: &Self) -> Result<(), Errno> {
        self.bytes.try_reserve(other.bytes.len()).map_err(|_| Errno::ENOMEM)?;
        self.bytes.extend_from_slice(&other.bytes);
        self.count += other.count;
        Ok(())
    }
}

/// How many bytes arguments and environment may take together, pointers included, under this stack limit.
pub fn argument_limit_bytes(stack_limit: u64) -> u64 {
    (stack_limit / 4).clamp(MIN_ALL_BYTES, MAX_ALL_BYTES)
}

/// A file that is executed: nobody may open it for writing meanwhile.
pub struct Executing(Path);

impl Executing {
    /// Takes the file at `path` for execution. Errors: ETXTBSY while it is open for writing.
    pub fn new(path: Path) -> Result<Arc<Self>, Errno> {
        path.inode().begin_executing()?;
        Ok(Arc::new(Self(path)))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Executing {
    fn drop(&mut self) {
        self.0.inode().end_executing();
    }
}

/// What /proc tells of a running program.
#[derive(Clone, Default)]
pub struct ProgramInfo {
    /// The file (`/proc/<pid>/exe`).
    pub exe: Option<Arc<Executing>>,
    /// Where its arguments lie (`cmdline`).
    pub arguments: Range<u64>,
    /// Where its environment lies (`environ`).
    pub environment: Range<u64>,
    /// Its auxiliary vector (`auxv`).
    pub auxv: Arc<[u64]>,
    /// Where its stack begins: the stack pointer at the start.
    pub stack_start: u64,
}

/// What goes on the stack.
pub struct StackContent<'a> {
    /// The name the program was executed by (`AT_EXECFN`).
    pub name: &'a [u8],
    /// argv.
    pub arguments: &'a Strings,
    /// envp.
    pub environment: &'a Strings,
    /// The program.
    pub program: Loaded,
    /// Where its interpreter was mapped, if it has one (`AT_BASE`).
    pub interpreter_base: u64,
    /// Who it runs as.
    pub cred: &'a Cred,
    /// Where the vDSO was mapped (`AT_SYSINFO_EHDR`).
    pub vdso: u64,
    /// It gained privileges (`AT_SECURE`).
    pub secure: bool,
    /// Whether code may be run from its stack.
    pub executable: bool,
    /// Whether the stack lies at random.
    pub layout: Layout,
}

/// Maps a stack in `space` and fills it; gives the stack pointer, in the result's `stack_start`. Errors: ENOMEM, E2BIG.
pub fn build_stack(space: &AddressSpace, content: &StackContent<'_>) -> Result<ProgramInfo, Errno> {
    let top = USER_END - content.layout.below(RANDOM_STACK_PAGES) * PAGE_SIZE;
    let mut writer = Writer { space, at: top - 8 };
    let strings = content.arguments.len_bytes() + content.environment.len_bytes() + content.name.len();
    let words = content.arguments.count() + content.environment.count() + 64;
    map_stack(space, top, (strings + words * 8) as u64, content.executable)?;

    let name = writer.push_string(content.name)?;
    let environment = writer.push_bytes(&content.environment.bytes)?;
    let arguments = writer.push_bytes(&content.arguments.bytes)?;
    // Different programs' stacks start at different places within a page, too (`arch_align_stack()`).
    writer.at = (writer.at - content.layout.below(8192)) & !15;
    let platform = writer.push_bytes(PLATFORM)?.start;
    let random = writer.push_bytes(&random_bytes())?.start;
    let auxv = auxiliary_vector(content, name, platform, random);

    let words = pointer_words(content, arguments.start, environment.start, &auxv);
    writer.at = (writer.at & !15) - ((words.len() as u64 * 8 + 15) & !15);
    let stack_start = writer.at;
    writer.write_words(stack_start, &words)?;
    Ok(ProgramInfo { exe: None, arguments, environment, auxv: auxv.into(), stack_start })
}

/// Maps the stack: what is stored and some more now, the rest when it is touched.
fn map_stack(space: &AddressSpace, top: u64, content_bytes: u64, executable: bool) -> Result<(), Errno> {
    let len = (content_bytes + INITIAL_ROOM_BYTES + 2 * PAGE_SIZE) & !(PAGE_SIZE - 1);
    let mut prot = Prot::READ | Prot::WRITE;
    prot.set(Prot::EXEC, executable);
    let request = MapRequest {
        addr: top - len,
        len,
        prot,
        placement: Placement::FixedNoReplace,
        flags: VmFlags::GROWS_DOWN,
        ..MapRequest::default()
    };
    space.map(&request).map(|_| ())
}

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&arch::random_u64().to_ne_bytes());
    bytes[8..].copy_from_slice(&arch::random_u64().to_ne_bytes());
    bytes
}

/// The auxiliary vector, its end included, as pairs of words.
fn auxiliary_vector(content: &StackContent<'_>, name: u64, platform: u64, random: u64) -> Vec<u64> {
    let (program, cred) = (&content.program, content.cred);
    let entries = [
        (AT_SYSINFO_EHDR, content.vdso),
        (AT_HWCAP, arch::hwcap()),
        (AT_PAGESZ, PAGE_SIZE),
        (AT_CLKTCK, TICKS_PER_SECOND),
        (AT_PHDR, program.headers),
        (AT_PHENT, PROGRAM_HEADER_BYTES as u64),
        (AT_PHNUM, program.header_count),
        (AT_BASE, content.interpreter_base),
        (AT_FLAGS, 0),
        (AT_ENTRY, program.entry),
        (AT_UID, cred.uid.into()),
        (AT_EUID, cred.euid.into()),
        (AT_GID, cred.gid.into()),
        (AT_EGID, cred.egid.into()),
        (AT_SECURE, content.secure.into()),
        (AT_RANDOM, random),
        (AT_HWCAP2, arch::hwcap2()),
        (AT_EXECFN, name),
        (AT_PLATFORM, platform),
        (AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_BYTES),
        (AT_RSEQ_ALIGN, RSEQ_ALIGN_BYTES),
        (AT_MINSIGSTKSZ, arch::sigframe::max_frame_bytes(arch::xstate_size()) as u64),
        (AT_NULL, 0),
    ];
    entries.into_iter().flat_map(|(kind, value)| [kind, value]).collect()
}

/// What lies at the stack pointer: argc, argv, NULL, envp, NULL, the auxiliary vector.
fn pointer_words(content: &StackContent<'_>, arguments: u64, environment: u64, auxv: &[u64]) -> Vec<u64> {
    let mut words = Vec::with_capacity(content.arguments.count() + content.environment.count() + auxv.len() + 3);
    words.push(content.arguments.count() as u64);
    for (strings, mut address) in [(content.arguments, arguments), (content.environment, environment)] {
        for string in strings.iter() {
            words.push(address);
            address += string.len() as u64 + 1;
        }
        words.push(0);
    }
    words.extend_from_slice(auxv);
    words
}

/// Writes downwards into an address space that is not current.
struct Writer<'a> {
    space: &'a AddressSpace,
    /// The lowest address written so far.
    at: u64,
}

impl Writer<'_> {
    /// Stores bytes below what was stored so far; gives where.
    fn push_bytes(&mut self, bytes: &[u8]) -> Result<Range<u64>, Errno> {
        let end = self.at;
        self.at = end - bytes.len() as u64;
        self.write(self.at, bytes)?;
        Ok(self.at..end)
    }

    /// The same with a NUL behind; gives the address.
    fn push_string(&mut self, string: &[u8]) -> Result<u64, Errno> {
        self.push_bytes(&[0])?;
        Ok(self.push_bytes(string)?.start)
    }

    fn write_words(&self, at: u64, words: &[u64]) -> Result<(), Errno> {
        use abi::zerocopy::IntoBytes;
        self.write(at, words.as_bytes())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), Errno> {
        if self.space.write_remote(at, bytes) == bytes.len() { Ok(()) } else { Err(Errno::ENOMEM) }
    }
}
