//! The vDSO: clock_gettime(2) and its like without entering the kernel (vdso(7)).
//!
//! Two pages, shared by all processes: the clock's data, and above it an ELF image with the code. [`build_image`] makes
//! the image at boot: headers, symbols, a hash table and the code of `arch`. C libraries find it by `AT_SYSINFO_EHDR`
//! and look the functions up by name and version: musl and glibc would take them without, but older Go reads the version
//! table unasked.

use alloc::vec::Vec;

use core::mem::offset_of;

use abi::Errno;
use alloc::sync::Arc;
use spin::Once;

use super::clock;
use crate::arch::{VDSO_CODE_OFFSET, VdsoData, tsc_scale, vdso_code, vdso_functions};
use crate::mem::{
    AddressSpace, BackingAt, FixedPages, Frame, MapRequest, PAGE_SIZE, Placement, Prot, Purpose, VmFlags,
};

/// Bytes of the image, and of the data page below it.
pub const IMAGE_BYTES: usize = 4096;

/// The pages all processes map.
struct Pages {
    data: Arc<FixedPages>,
    image: Arc<FixedPages>,
}

static PAGES: Once<Pages> = Once::new();

/// Maps the vDSO and its data into `space`; gives the image's address, for `AT_SYSINFO_EHDR`. Errors: ENOMEM.
pub fn map(space: &AddressSpace) -> Result<u64, Errno> {
    let pages = PAGES.try_call_once(make_pages)?;
    let place = MapRequest { len: 2 * PAGE_SIZE, prot: Prot::READ, ..MapRequest::default() };
    let data = MapRequest {
        backing: Some(BackingAt { object: pages.data.clone(), first_page: 0 }),
        flags: VmFlags::SPECIAL | VmFlags::VVAR,
        ..place
    };
    let addr = space.map(&data)?;
    let image = MapRequest {
        addr: addr + PAGE_SIZE,
        len: PAGE_SIZE,
        prot: Prot::READ | Prot::EXEC,
        placement: Placement::Fixed,
        backing: Some(BackingAt { object: pages.image.clone(), first_page: 0 }),
        flags: VmFlags::SPECIAL,
        ..MapRequest::default()
    };
    space.map(&image)
}

/// Passes a new setting of the clock on.
pub(super) fn note_setting() {
    if let Some(pages) = PAGES.get() {
        pages.data.frame().store_u64(offset_of!(VdsoData, wall_ns), clock::realtime_offset_ns());
    }
}

fn make_pages() -> Result<Pages, Errno> {
    let (data, image) = (Frame::zeroed_for(Purpose::Kernel)?, Frame::zeroed_for(Purpose::Kernel)?);
    let scale = tsc_scale();
    data.store_u64(offset_of!(VdsoData, start_ticks), scale.start);
    data.store_u64(offset_of!(VdsoData, ns_per_tick), scale.mult);
    data.store_u64(offset_of!(VdsoData, wall_ns), clock::realtime_offset_ns());
    image.write(0, &build_image());
    Ok(Pages { data: FixedPages::new(data), image: FixedPages::new(image) })
}

const SONAME: &str = "linux-vdso.so.1";
/// The version of every function.
const VERSION: &str = "LINUX_2.6";
const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const SYMBOL_BYTES: usize = 24;
const SYMBOLS_AT: usize = HEADER_BYTES + 2 * PROGRAM_HEADER_BYTES;

/// The image's bytes.
pub fn build_image() -> [u8; IMAGE_BYTES] {
    let symbols = symbols();
    let (names, name_offsets) = names(&symbols);
    let names_at = SYMBOLS_AT + (symbols.len() + 1) * SYMBOL_BYTES;
    let hash_at = (names_at + names.len()).next_multiple_of(8);
    let hash = hash_table(symbols.len() + 1);
    let [soname, version] = [name_offsets[symbols.len()], name_offsets[symbols.len() + 1]];
    let versions_at = (hash_at + hash.len()).next_multiple_of(8);
    let versions = versions(symbols.len());
    let definitions_at = (versions_at + versions.len()).next_multiple_of(8);
    let definitions = definitions(soname, version);
    let dynamic_at = (definitions_at + definitions.len()).next_multiple_of(8);
    let dynamic = dynamic([hash_at, names_at, SYMBOLS_AT, names.len(), soname, versions_at, definitions_at]);
    assert!(dynamic_at + dynamic.len() <= VDSO_CODE_OFFSET, "the tables lie before the code");

    let mut image = [0; IMAGE_BYTES];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &header());
    put(HEADER_BYTES, &program_header(1, 5, 0, IMAGE_BYTES, 4096));
    put(HEADER_BYTES + PROGRAM_HEADER_BYTES, &program_header(2, 4, dynamic_at, dynamic.len(), 8));
    for (index, (_, offset)) in symbols.iter().enumerate() {
        put(SYMBOLS_AT + (index + 1) * SYMBOL_BYTES, &symbol(name_offsets[index], VDSO_CODE_OFFSET + offset));
    }
    put(names_at, &names);
    put(hash_at, &hash);
    put(versions_at, &versions);
    put(definitions_at, &definitions);
    put(dynamic_at, &dynamic);
    put(VDSO_CODE_OFFSET, vdso_code());
    image
}

/// Each function by its two names, as on Linux: `__vdso_time` and `time`.
fn symbols() -> Vec<(Vec<u8>, usize)> {
    let both = |(name, offset): (&str, usize)| {
        [([b"__vdso_", name.as_bytes()].concat(), offset), (name.as_bytes().to_vec(), offset)]
    };
    vdso_functions().into_iter().flat_map(both).collect()
}

/// The string table: an empty string, the symbols' names, the image's own, the version's; and where each begins.
fn names(symbols: &[(Vec<u8>, usize)]) -> (Vec<u8>, Vec<usize>) {
    let (mut table, mut offsets) = (Vec::from([0]), Vec::new());
    for name in symbols.iter().map(|(name, _)| name.as_slice()).chain([SONAME, VERSION].map(str::as_bytes)) {
        offsets.push(table.len());
        table.extend_from_slice(name);
        table.push(0);
    }
    (table, offsets)
}

fn header() -> Vec<u8> {
    const SHARED_OBJECT: u16 = 3;
    const X86_64: u16 = 62;
    let mut bytes = Vec::from(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    bytes.extend(SHARED_OBJECT.to_le_bytes());
    bytes.extend(X86_64.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    for word in [VDSO_CODE_OFFSET, HEADER_BYTES, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [HEADER_BYTES as u16, PROGRAM_HEADER_BYTES as u16, 2, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    bytes
}

fn program_header(kind: u32, flags: u32, at: usize, len: usize, align: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(kind.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    for word in [at, at, at, len, len, align] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

/// A global function in section 1 (of which there is no header; it only must not be 0, "undefined").
fn symbol(name: usize, value: usize) -> Vec<u8> {
    const GLOBAL_FUNCTION: u8 = 1 << 4 | 2;
    let mut bytes = Vec::new();
    bytes.extend((name as u32).to_le_bytes());
    bytes.extend([GLOBAL_FUNCTION, 0, 1, 0]);
    bytes.extend(value.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes
}

/// A hash table with one bucket, whose chain is all symbols from the last to the first.
fn hash_table(symbols: usize) -> Vec<u8> {
    let words = [1, symbols, symbols - 1].into_iter().chain(0..1).chain(0..symbols - 1);
    words.flat_map(|word| (word as u32).to_le_bytes()).collect()
}

/// The version of each symbol: that of the second definition, but for the first symbol, which is none.
fn versions(symbols: usize) -> Vec<u8> {
    [0_u16].into_iter().chain((0..symbols).map(|_| 2)).flat_map(u16::to_le_bytes).collect()
}

/// The definitions of versions: the image's own name as the base, and [`VERSION`].
fn definitions(soname: usize, version: usize) -> Vec<u8> {
    const BYTES: u32 = 20;
    const AUX_BYTES: u32 = 8;
    const BASE: u16 = 1;
    let definition = |flags: u16, index: u16, name: &str, name_at: usize, next: u32| {
        let halves = [1, flags, index, 1].map(u16::to_le_bytes);
        let words = [elf_hash(name), BYTES, next, name_at as u32, 0].map(u32::to_le_bytes);
        [halves.concat(), words.concat()].concat()
    };
    [definition(BASE, 1, SONAME, soname, BYTES + AUX_BYTES), definition(0, 2, VERSION, version, 0)].concat()
}

/// The hash of a name by System V's ABI.
fn elf_hash(name: &str) -> u32 {
    name.bytes().fold(0, |hash, byte| {
        let hash = (hash << 4) + u32::from(byte);
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

fn dynamic([hash, names, symbols, names_len, soname, versions, definitions]: [usize; 7]) -> Vec<u8> {
    const HASH: usize = 4;
    const STRTAB: usize = 5;
    const SYMTAB: usize = 6;
    const STRSZ: usize = 10;
    const SYMENT: usize = 11;
    const SO_NAME: usize = 14;
    const VERSYM: usize = 0x6fff_fff0;
    const VERDEF: usize = 0x6fff_fffc;
    const VERDEFNUM: usize = 0x6fff_fffd;
    let entries = [
        (HASH, hash),
        (STRTAB, names),
        (SYMTAB, symbols),
        (STRSZ, names_len),
        (SYMENT, SYMBOL_BYTES),
        (SO_NAME, soname),
        (VERSYM, versions),
        (VERDEF, definitions),
        (VERDEFNUM, 2),
        (0, 0),
    ];
    entries.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()].concat()).collect()
}

#[cfg(test)]
mod tests {
    use xmas_elf::ElfFile;
    use xmas_elf::program::Type;

    use super::*;

    #[test]
    fn the_image_is_an_elf_whose_dynamic_table_leads_to_the_functions() {
        let image = build_image();
        let word = |at: usize| u64::from_le_bytes(image[at..at + 8].try_into().expect("eight bytes")) as usize;
        let half = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().expect("four bytes")) as usize;
        let words = zerocopy_aligned(&image);
        let elf = ElfFile::new(&words).expect("an ELF file");
        let dynamic =
            elf.program_iter().find(|header| header.get_type() == Ok(Type::Dynamic)).expect("a dynamic table");
        let at = dynamic.offset() as usize;
        let find = |tag: usize| (at..).step_by(16).find(|at| word(*at) == tag).map(|at| word(at + 8)).expect("a tag");
        let (hash, names, symbols) = (find(4), find(5), find(6));
        let (mut index, mut found) = (half(hash + 8), Vec::new());
        while index != 0 {
            let name = names + half(symbols + index * SYMBOL_BYTES);
            let end = (name..).find(|at| image[*at] == 0).expect("a final NUL");
            found.push(&image[name..end]);
            index = half(hash + 12 + index * 4);
        }
        assert!(found.contains(&&b"__vdso_clock_gettime"[..]) && found.contains(&&b"getcpu"[..]));
        assert_eq!(found.len(), 10);
        let definition = find(0x6fff_fffc) + 28;
        assert_eq!((half(definition + 8), half(definition + 16)), (0x03ae_75f6, 0), "LINUX_2.6 is the last");
        assert_eq!(half(find(0x6fff_fff0)), 2 << 16);
    }

    /// The bytes at an address that suits the ELF reader.
    fn zerocopy_aligned(image: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(image.len() + 16);
        bytes.extend_from_slice(image);
        bytes
    }
}
