//! A core file in ELF (core(5), `fs/binfmt_elf.c`): its headers and notes, and which mappings' contents go in.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::ptrace::{NT_PRFPREG, NT_PRSTATUS, NT_SIGINFO, NT_X86_XSTATE, UserRegs};
use abi::zerocopy::IntoBytes;

use super::{Process, Thread};
use crate::mem::space::MapsLine;
use crate::mem::{PAGE_SIZE, Prot, VmFlags};
use crate::signal::Info;

/// Bits of `/proc/PID/coredump_filter` that this kernel distinguishes.
pub mod filter {
    /// Private memory of its own.
    pub const ANON_PRIVATE: u32 = 1;
    /// Shared memory without a name.
    pub const ANON_SHARED: u32 = 1 << 1;
    /// Private mappings of files.
    pub const MAPPED_PRIVATE: u32 = 1 << 2;
    /// Shared mappings of files.
    pub const MAPPED_SHARED: u32 = 1 << 3;
    /// The first page of what looks like a program.
    pub const ELF_HEADERS: u32 = 1 << 4;
    /// What a process starts with: the three that matter, and private huge pages.
    pub const DEFAULT: u32 = ANON_PRIVATE | ANON_SHARED | ELF_HEADERS | 1 << 5;
    /// All bits Linux has.
    pub const ALL: u32 = 0x1ff;
}

const EHDR_BYTES: usize = 64;
const PHDR_BYTES: usize = 56;
const FXSAVE_BYTES: usize = 512;
/// Where the XSAVE area tells a debugger which components there are.
const XCR0_OFFSET: usize = 464;

const NT_PRPSINFO: u32 = 3;
const NT_AUXV: u32 = 6;
const NT_FILE: u32 = 0x4649_4c45;

/// A thread as it was when its process began to dump.
pub struct ThreadState {
    /// The thread.
    pub thread: Arc<Thread>,
    /// Its general registers.
    pub registers: UserRegs,
    /// Its XSAVE area in the standard format.
    pub xstate: Vec<u8>,
}

/// Bytes put one after another, little-endian.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    fn i32(&mut self, value: i32) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    /// Nanoseconds as a `struct timeval`.
    fn time(&mut self, ns: u64) -> &mut Self {
        self.u64(ns / 1_000_000_000).u64(ns % 1_000_000_000 / 1000)
    }

    fn pad_to(&mut self, len: usize) -> &mut Self {
        self.0.resize(len.max(self.0.len()), 0);
        self
    }

    fn note(&mut self, name: &str, kind: u32, content: &[u8]) {
        self.u32(name.len() as u32 + 1).u32(content.len() as u32).u32(kind);
        self.put(name.as_bytes()).put(b"\0").align();
        self.put(content).align();
    }

    fn align(&mut self) {
        let len = self.0.len().next_multiple_of(4);
        self.pad_to(len);
    }
}

/// A mapping, and how many of its bytes go into the file.
pub struct Segment {
    /// The mapping.
    pub line: MapsLine,
    /// Bytes from its start on.
    pub dumped_bytes: u64,
}

/// How much of a mapping is dumped (`vma_dump_size()`). `is_unlinked`: its file has no name.
pub fn dumped_bytes(line: &MapsLine, filter: u32, is_unlinked: bool, starts_as_elf: impl FnOnce() -> bool) -> u64 {
    let whole = line.range.end - line.range.start;
    let wants = |bit| filter & bit != 0;
    let has_own_pages = line.flags.contains(VmFlags::HAS_PRIVATE_PAGES);
    if line.flags.contains(VmFlags::VVAR) {
        0
    } else if line.flags.contains(VmFlags::SPECIAL) {
        whole
    } else if line.flags.contains(VmFlags::DONT_DUMP) {
        0
    } else if line.flags.contains(VmFlags::SHARED) {
        if wants(if is_unlinked { filter::ANON_SHARED } else { filter::MAPPED_SHARED }) { whole } else { 0 }
    } else if has_own_pages && wants(filter::ANON_PRIVATE) || line.identity.is_some() && wants(filter::MAPPED_PRIVATE) {
        whole
    } else if wants(filter::ELF_HEADERS)
        && line.identity.is_some()
        && line.offset_bytes == 0
        && line.prot.contains(Prot::READ)
        && starts_as_elf()
    {
        PAGE_SIZE
    } else {
        0
    }
}

/// Everything before the contents of memory: the ELF header, the program headers, the notes. Padded to a page.
pub fn head(segments: &[Segment], notes: &[u8]) -> Vec<u8> {
    let count = segments.len() + 1;
    let notes_at = EHDR_BYTES + count * PHDR_BYTES;
    let data_at = (notes_at + notes.len()).next_multiple_of(PAGE_SIZE as usize);
    let mut head = Bytes::default();
    head.put(b"\x7fELF\x02\x01\x01").pad_to(16);
    head.u16(4).u16(62).u32(1).u64(0).u64(EHDR_BYTES as u64).u64(0).u32(0);
    head.u16(EHDR_BYTES as u16).u16(PHDR_BYTES as u16).u16(count as u16).u16(0).u16(0).u16(0);
    head.u32(4).u32(0).u64(notes_at as u64).u64(0).u64(0).u64(notes.len() as u64).u64(0).u64(4);
    let mut at = data_at as u64;
    for Segment { line, dumped_bytes } in segments {
        let can = |prot, bit| if line.prot.contains(prot) { bit } else { 0 };
        let flags = can(Prot::EXEC, 1) | can(Prot::WRITE, 2) | can(Prot::READ, 4);
        head.u32(1).u32(flags).u64(at).u64(line.range.start).u64(0);
        head.u64(*dumped_bytes).u64(line.range.end - line.range.start).u64(PAGE_SIZE);
        at += dumped_bytes;
    }
    head.put(notes).pad_to(data_at);
    head.0
}

/// The notes, in Linux's order: of the thread that dumps, of the process, of the other threads. `arguments` is the
/// program's command line.
pub fn notes(threads: &[ThreadState], info: &Info, maps: &[MapsLine], arguments: &[u8]) -> Vec<u8> {
    let mut notes = Bytes::default();
    for (index, state) in threads.iter().enumerate() {
        notes.note("CORE", NT_PRSTATUS, &status(state, info.signo));
        if index == 0 {
            let process = &state.thread.process;
            notes.note("CORE", NT_PRPSINFO, &process_info(&state.thread, arguments));
            notes.note("CORE", NT_SIGINFO, info.to_user().as_bytes());
            let auxv: Vec<u8> = process.program().auxv.iter().flat_map(|word| word.to_le_bytes()).collect();
            notes.note("CORE", NT_AUXV, &auxv);
            notes.note("CORE", NT_FILE, &files(maps));
        }
        let mut xstate = state.xstate.clone();
        notes.note("CORE", NT_PRFPREG, &xstate[..FXSAVE_BYTES.min(xstate.len())]);
        if let Some(place) = xstate.get_mut(XCR0_OFFSET..XCR0_OFFSET + 8) {
            place.copy_from_slice(&crate::arch::xstate_features().to_le_bytes());
        }
        notes.note("LINUX", NT_X86_XSTATE, &xstate);
    }
    notes.0
}

/// `struct elf_prstatus`.
fn status(state: &ThreadState, signal: i32) -> Vec<u8> {
    const BYTES: usize = 336;
    let ThreadState { thread, registers, .. } = state;
    let process = &thread.process;
    let usage = if thread.is_leader() { process.usage() } else { thread.usage_now() };
    let mut status = Bytes::default();
    status.i32(signal).i32(0).i32(0).i32(signal & 0xffff);
    status.u64(process.signals.pending_for(&thread.signals).bits()).u64(thread.signals.blocked().bits());
    status.i32(thread.tid());
    put_relatives(&mut status, process);
    status.time(usage.user_ns).time(usage.system_ns).time(0).time(0);
    status.put(registers.as_bytes()).i32(1).pad_to(BYTES);
    status.0
}

fn put_relatives(bytes: &mut Bytes, process: &Process) {
    bytes.i32(process.parent_pid()).i32(process.group().id).i32(process.session().id);
}

/// `struct elf_prpsinfo`.
fn process_info(thread: &Thread, arguments: &[u8]) -> Vec<u8> {
    const BYTES: usize = 136;
    const ARGUMENTS_BYTES: usize = 80;
    let cred = thread.cred();
    let nice = thread.params.nice();
    let mut info = Bytes::default();
    info.put(&[0, b'R', 0, nice as u8]).pad_to(8);
    info.u64(0).u32(cred.uid).u32(cred.gid).i32(thread.process.pid);
    put_relatives(&mut info, &thread.process);
    info.put(&thread.comm());
    let shown = &arguments[..arguments.len().min(ARGUMENTS_BYTES - 1)];
    let line: Vec<u8> = shown.iter().map(|&byte| if byte == 0 { b' ' } else { byte }).collect();
    info.put(&line).pad_to(BYTES);
    info.0
}

/// `NT_FILE`: which files are mapped where.
fn files(maps: &[MapsLine]) -> Vec<u8> {
    let mapped: Vec<(&Range<u64>, u64, &String)> = maps
        .iter()
        .filter(|line| !line.flags.contains(VmFlags::SPECIAL))
        .filter_map(|line| Some((&line.range, line.offset_bytes, &line.identity.as_ref()?.path)))
        .filter(|(_, _, path)| !path.is_empty())
        .collect();
    let mut files = Bytes::default();
    files.u64(mapped.len() as u64).u64(PAGE_SIZE);
    for (range, offset_bytes, _) in &mapped {
        files.u64(range.start).u64(range.end).u64(offset_bytes / PAGE_SIZE);
    }
    for (_, _, path) in &mapped {
        files.put(path.as_bytes()).put(b"\0");
    }
    files.0
}
