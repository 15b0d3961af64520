//! ELF programs: reading the headers of a file that may be anything, and mapping it into a new address space
//! (`load_elf_binary()`).
//!
//! Key types: [`Image`], a file to execute; [`Program`], its headers, checked; [`Loaded`], what the stack is to say about it.
//! Nothing here touches the caller's own memory: a program that cannot be loaded costs its caller an errno.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use abi::Errno;
use abi::zerocopy::IntoBytes;
use xmas_elf::ElfFile;
use xmas_elf::header::{Class, Data, Machine, Type};
use xmas_elf::program::{ProgramHeader, Type as SegmentType};

use crate::mem::aslr::Layout;
use crate::mem::{AddressSpace, Backing, BackingAt, MapRequest, PAGE_SIZE, Placement, Prot, USER_END};

/// A file to execute.
pub trait Image: Send + Sync {
    /// Reads at `offset`; fewer bytes than asked only at the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Errno>;

    /// What its pages are mapped from, for a mapping of so many from the first on. Errors: ENODEV if it cannot be mapped.
    fn backing(&self, first_page: u64, pages: u64) -> Result<Arc<dyn Backing>, Errno>;
}

/// A segment to map (`PT_LOAD`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Segment {
    address: u64,
    offset: u64,
    file_bytes: u64,
    memory_bytes: u64,
    align: u64,
    prot: Prot,
}

/// A program's headers, checked.
pub struct Program {
    entry: u64,
    /// Where it is mapped is up to the kernel.
    is_relocatable: bool,
    segments: Vec<Segment>,
    header_offset: u64,
    header_count: u64,
    /// The program that is to load it, if it names one (`PT_INTERP`).
    pub interpreter: Option<Vec<u8>>,
    /// Its stack must be executable (`PT_GNU_STACK`).
    pub executable_stack: bool,
}

/// Where a program has been mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// What is to be added to the file's addresses.
    pub bias: u64,
    /// Its first instruction.
    pub entry: u64,
    /// Its program headers (`AT_PHDR`), 0 if they are not mapped.
    pub headers: u64,
    /// How many (`AT_PHNUM`).
    pub header_count: u64,
    /// The first address after it.
    pub end: u64,
    /// Its code: from the lowest segment that can be executed to the end of the highest one.
    pub code: (u64, u64),
    /// Its data: from the last segment on.
    pub data: (u64, u64),
}

/// Bytes of a file header of class 64.
const FILE_HEADER_BYTES: usize = 64;
/// Bytes of a program header of class 64.
pub const PROGRAM_HEADER_BYTES: usize = 56;
/// The most program headers Linux takes.
const MAX_PROGRAM_HEADERS: usize = 65_536 / PROGRAM_HEADER_BYTES;
/// `PT_GNU_STACK`.
const GNU_STACK: u32 = 0x6474_e551;
/// The longest interpreter name, its NUL included (`PATH_MAX`).
const MAX_INTERPRETER_BYTES: u64 = 4096;
/// Where position-independent programs with an interpreter go: two thirds up (`ELF_ET_DYN_BASE`).
const RELOCATABLE_BASE: u64 = 0x5555_5555_4000;
/// Pages over which that place is spread at random (`mmap_rnd_bits`).
const RANDOM_PAGES: u64 = 1 << 28;

impl Program {
    /// Reads and checks the headers. Errors: ENOEXEC, ENOMEM, and what reading gives.
    pub fn read(image: &dyn Image) -> Result<Self, Errno> {
        let words = read_headers(image)?;
        let file = ElfFile::new(words.as_bytes()).map_err(|_| Errno::ENOEXEC)?;
        let (first, second) = (&file.header.pt1, &file.header.pt2);
        let is_ours = first.class() == Class::SixtyFour
            && first.data() == Data::LittleEndian
            && second.machine().as_machine() == Machine::X86_64;
        let is_relocatable = match second.type_().as_type() {
            Type::Executable => false,
            Type::SharedObject => true,
            _ => return Err(Errno::ENOEXEC),
        };
        if !is_ours {
            return Err(Errno::ENOEXEC);
        }
        let mut program = Self {
            entry: second.entry_point(),
            is_relocatable,
            segments: Vec::new(),
            header_offset: original_header_offset(image)?,
            header_count: second.ph_count().into(),
            interpreter: None,
            executable_stack: false,
        };
        for header in file.program_iter() {
            program.take(image, &header)?;
        }
        if program.segments.is_empty() { Err(Errno::ENOEXEC) } else { Ok(program) }
    }

    /// Takes note of one program header.
    fn take(&mut self, image: &dyn Image, header: &ProgramHeader<'_>) -> Result<(), Errno> {
        match header.get_type() {
            Ok(SegmentType::Load) => {
                let segment = Segment::of(header)?;
                if segment.memory_bytes > 0 {
                    self.segments.push(segment);
                }
            }
            Ok(SegmentType::Interp) if self.interpreter.is_none() => {
                self.interpreter = Some(read_interpreter(image, header)?);
            }
            Ok(SegmentType::OsSpecific(GNU_STACK)) => self.executable_stack = header.flags().is_execute(),
            _ => {}
        }
        Ok(())
    }

    /// The addresses its segments span, page aligned, before any bias.
    fn span(&self) -> Result<Range<u64>, Errno> {
        let start = self.segments.iter().map(|segment| page_down(segment.address)).min().ok_or(Errno::ENOEXEC)?;
        let end = self.segments.iter().map(|segment| page_up(segment.address + segment.memory_bytes)).max();
        Ok(start..end.ok_or(Errno::ENOEXEC)?)
    }

    /// Maps the program into `space`. `is_interpreter` decides where a position-independent one goes: an interpreter, or a
    /// program that needs none, among the other mappings; a program with an interpreter low, with room for its heap.
    /// Errors: ENOEXEC, EINVAL, ENOMEM, EEXIST and what the backing gives.
    pub fn load(
        &self,
        space: &AddressSpace,
        image: &dyn Image,
        is_interpreter: bool,
        layout: Layout,
    ) -> Result<Loaded, Errno> {
        let span = self.span()?;
        let bias = if self.is_relocatable { self.choose_bias(space, &span, is_interpreter, layout)? } else { 0 };
        for segment in &self.segments {
            segment.map(space, image, bias)?;
        }
        Ok(Loaded {
            bias,
            entry: self.entry.wrapping_add(bias),
            headers: self.headers_in_memory().map_or(0, |address| address.wrapping_add(bias)),
            header_count: self.header_count,
            end: span.end.wrapping_add(bias),
            code: self.file_part(bias, |segment| segment.prot.contains(Prot::EXEC), u64::min),
            data: self.file_part(bias, |_| true, u64::max),
        })
    }

    /// Of these segments: a start, chosen among the starts by `choose`, and the end of what the file holds of them.
    fn file_part(&self, bias: u64, wanted: fn(&Segment) -> bool, choose: fn(u64, u64) -> u64) -> (u64, u64) {
        let segments = || self.segments.iter().filter(|segment| wanted(segment));
        let start = segments().map(|segment| segment.address).reduce(choose);
        let end = segments().map(|segment| segment.address + segment.file_bytes).max();
        let moved = |address: Option<u64>| address.map_or(0, |address| address.wrapping_add(bias));
        (moved(start), moved(end))
    }

    /// The distance between the file's addresses and where they are mapped.
    fn choose_bias(
        &self,
        space: &AddressSpace,
        span: &Range<u64>,
        is_interpreter: bool,
        layout: Layout,
    ) -> Result<u64, Errno> {
        let align = self.segments.iter().map(|segment| segment.align).max().unwrap_or(PAGE_SIZE).max(PAGE_SIZE);
        let align = if align.is_power_of_two() { align } else { PAGE_SIZE };
        let len = span.end - span.start;
        if !is_interpreter && self.interpreter.is_some() {
            let base = RELOCATABLE_BASE + layout.below(RANDOM_PAGES) * PAGE_SIZE;
            return Ok((base & !(align - 1)).wrapping_sub(span.start & !(align - 1)));
        }
        // Reserve the whole span with room to align, note the address, and give it back to the segments.
        let room = len.checked_add(align - PAGE_SIZE).ok_or(Errno::ENOMEM)?;
        let reserved = space.map(&MapRequest { len: room, ..MapRequest::default() })?;
        space.unmap(reserved, room)?;
        let start = (reserved + align - 1) & !(align - 1);
        Ok(start.wrapping_sub(span.start & !(align - 1)))
    }

    /// The address of the program headers, if a segment maps them.
    fn headers_in_memory(&self) -> Option<u64> {
        let holds = |segment: &&Segment| {
            let file = segment.offset..segment.offset + segment.file_bytes;
            file.contains(&self.header_offset)
        };
        self.segments.iter().find(holds).map(|segment| self.header_offset - segment.offset + segment.address)
    }
}

impl Segment {
    /// A `PT_LOAD` header whose numbers make sense. Errors: EINVAL, as Linux gives it.
    fn of(header: &ProgramHeader<'_>) -> Result<Self, Errno> {
        let flags = header.flags();
        let mut prot = Prot::empty();
        prot.set(Prot::READ, flags.is_read());
        prot.set(Prot::WRITE, flags.is_write());
        prot.set(Prot::EXEC, flags.is_execute());
        let segment = Self {
            address: header.virtual_addr(),
            offset: header.offset(),
            file_bytes: header.file_size(),
            memory_bytes: header.mem_size(),
            align: header.align(),
            prot,
        };
        let fits = segment.address.checked_add(segment.memory_bytes).is_some_and(|end| end <= USER_END);
        let offset_fits = segment.offset.checked_add(segment.file_bytes).is_some_and(|end| end < i64::MAX as u64);
        let congruent = in_page(segment.address) == in_page(segment.offset);
        if segment.file_bytes > segment.memory_bytes || !fits || !offset_fits || !congruent {
            return Err(Errno::EINVAL);
        }
        Ok(segment)
    }

    /// Maps the file's part and the zeroed rest.
    fn map(&self, space: &AddressSpace, image: &dyn Image, bias: u64) -> Result<(), Errno> {
        let start = self.address.wrapping_add(bias);
        let (file_end, end) = (start + self.file_bytes, start + self.memory_bytes);
        let zero_start = if self.file_bytes == 0 { page_down(start) } else { page_up(file_end) };
        if self.file_bytes > 0 {
            let pages = (zero_start - page_down(start)) / PAGE_SIZE;
            let first_page = page_down(self.offset) / PAGE_SIZE;
            let backing = BackingAt { object: image.backing(first_page, pages)?, first_page };
            let request = MapRequest {
                addr: page_down(start),
                len: zero_start - page_down(start),
                prot: self.prot,
                placement: Placement::FixedNoReplace,
                backing: Some(backing),
                ..MapRequest::default()
            };
            space.map(&request)?;
        }
        if zero_start < page_up(end) {
            let request = MapRequest {
                addr: zero_start,
                len: page_up(end) - zero_start,
                prot: self.prot,
                placement: Placement::FixedNoReplace,
                ..MapRequest::default()
            };
            space.map(&request)?;
        }
        if self.file_bytes > 0 && self.memory_bytes > self.file_bytes && self.prot.contains(Prot::WRITE) {
            clear_tail(space, file_end)?;
        }
        Ok(())
    }
}

/// Zeroes the rest of the page that `from` lies in: the file goes on there, the program's memory does not.
fn clear_tail(space: &AddressSpace, from: u64) -> Result<(), Errno> {
    const ZEROS: [u8; PAGE_SIZE as usize] = [0; PAGE_SIZE as usize];
    let len = (page_up(from) - from) as usize;
    if space.write_remote(from, &ZEROS[..len]) == len { Ok(()) } else { Err(Errno::ENOMEM) }
}

/// The file header and, right behind it, the program headers, wherever they lie in the file; aligned, since the parser
/// refers into it. Errors: ENOEXEC if they are not those of a 64-bit ELF file.
fn read_headers(image: &dyn Image) -> Result<Vec<u64>, Errno> {
    let mut words = vec![0_u64; FILE_HEADER_BYTES / 8];
    if image.read_at(0, words.as_mut_bytes())? < FILE_HEADER_BYTES {
        return Err(Errno::ENOEXEC);
    }
    let (offset, entry_bytes, count) = {
        let file = ElfFile::new(words.as_bytes()).map_err(|_| Errno::ENOEXEC)?;
        let second = &file.header.pt2;
        if file.header.pt1.class() != Class::SixtyFour {
            return Err(Errno::ENOEXEC);
        }
        (second.ph_offset(), usize::from(second.ph_entry_size()), usize::from(second.ph_count()))
    };
    if entry_bytes != PROGRAM_HEADER_BYTES || count == 0 || count > MAX_PROGRAM_HEADERS {
        return Err(Errno::ENOEXEC);
    }
    let bytes = count * PROGRAM_HEADER_BYTES;
    words.try_reserve_exact(bytes / 8).map_err(|_| Errno::ENOMEM)?;
    words.resize((FILE_HEADER_BYTES + bytes) / 8, 0);
    let headers = &mut words.as_mut_bytes()[FILE_HEADER_BYTES..];
    if offset.checked_add(bytes as u64).is_none() || image.read_at(offset, headers)? < bytes {
        return Err(Errno::ENOEXEC);
    }
    words[PH_OFFSET_WORD] = FILE_HEADER_BYTES as u64;
    Ok(words)
}

/// The index of `e_phoff` in the file header, in words of eight bytes.
const PH_OFFSET_WORD: usize = 4;

/// `e_phoff` as the file has it.
fn original_header_offset(image: &dyn Image) -> Result<u64, Errno> {
    let mut offset = [0; 8];
    image.read_at(PH_OFFSET_WORD as u64 * 8, &mut offset)?;
    Ok(u64::from_le_bytes(offset))
}

/// The interpreter's name without its NUL. Errors: ENOEXEC.
fn read_interpreter(image: &dyn Image, header: &ProgramHeader<'_>) -> Result<Vec<u8>, Errno> {
    let len = header.file_size();
    if !(2..=MAX_INTERPRETER_BYTES).contains(&len) {
        return Err(Errno::ENOEXEC);
    }
    let mut name = vec![0; len as usize];
    if image.read_at(header.offset(), &mut name)? < name.len() {
        return Err(Errno::EIO);
    }
    if name.pop() != Some(0) {
        return Err(Errno::ENOEXEC);
    }
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name.truncate(end);
    Ok(name)
}

const fn page_down(address: u64) -> u64 {
    address & !(PAGE_SIZE - 1)
}

/// Only for addresses and sizes that [`Segment::of`] has found to lie in the user half.
const fn page_up(address: u64) -> u64 {
    page_down(address + PAGE_SIZE - 1)
}

const fn in_page(address: u64) -> u64 {
    address & (PAGE_SIZE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image in memory that cannot be mapped.
    struct Bytes(Vec<u8>);

    impl Image for Bytes {
        fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
            let from = self.0.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or(&[]);
            let len = from.len().min(into.len());
            into[..len].copy_from_slice(&from[..len]);
            Ok(len)
        }

        fn backing(&self, _first_page: u64, _pages: u64) -> Result<Arc<dyn Backing>, Errno> {
            Err(Errno::ENODEV)
        }
    }

    /// A static program with one segment.
    fn image() -> Vec<u8> {
        let mut bytes = vec![0_u8; 4096];
        bytes[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
        bytes[16..20].copy_from_slice(&[2, 0, 0x3e, 0]);
        bytes[24..32].copy_from_slice(&0x40_1000_u64.to_le_bytes());
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64..72].copy_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]);
        bytes[80..88].copy_from_slice(&0x40_0000_u64.to_le_bytes());
        bytes[96..104].copy_from_slice(&4096_u64.to_le_bytes());
        bytes[104..112].copy_from_slice(&8192_u64.to_le_bytes());
        bytes
    }

    fn read(change: impl FnOnce(&mut Vec<u8>)) -> Result<Program, Errno> {
        let mut bytes = image();
        change(&mut bytes);
        Program::read(&Bytes(bytes))
    }

    #[test]
    fn a_static_program_is_understood() {
        let program = read(|_| {}).expect("valid");
        assert_eq!(program.span(), Ok(0x40_0000..0x40_2000));
        assert_eq!(program.headers_in_memory(), Some(0x40_0040));
        assert!(!program.executable_stack && program.interpreter.is_none());
    }

    #[test]
    fn what_is_not_an_elf_program_for_this_machine_is_refused() {
        let refusals: [fn(&mut Vec<u8>); 8] = [
            |bytes| bytes[0] = 0,
            |bytes| bytes[4] = 1,
            |bytes| bytes[5] = 2,
            |bytes| bytes[16] = 1,
            |bytes| bytes[18] = 3,
            |bytes| bytes[54] = 57,
            |bytes| bytes[56] = 0,
            |bytes| bytes.truncate(63),
        ];
        for (index, change) in refusals.into_iter().enumerate() {
            assert_eq!(read(change).err(), Some(Errno::ENOEXEC), "case {index}");
        }
    }

    #[test]
    fn hostile_numbers_are_refused_without_arithmetic_going_wrong() {
        assert_eq!(read(|bytes| bytes[32..40].fill(0xff)).err(), Some(Errno::ENOEXEC));
        assert_eq!(read(|bytes| bytes[57] = 0xff).err(), Some(Errno::ENOEXEC));
        for field in [72, 80, 96, 104] {
            assert_eq!(read(|bytes| bytes[field..field + 8].fill(0xff)).err(), Some(Errno::EINVAL), "field {field}");
        }
    }
}
