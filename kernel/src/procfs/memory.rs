//! /proc/PID/maps and the other texts about a task's memory: statm, cmdline, environ, auxv.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::Range;

use abi::Errno;
use abi::stat::{major, minor};

use super::node::{Body, Text};
use super::task::Task;
use crate::fs::{File, FileOps, FileTraits, Sink, Source, Whence};
use crate::mem::space::MapsLine;
use crate::mem::{AddressSpace, PAGE_SIZE, Prot, VmFlags};

/// Linux shows no more of an argument list than a text can hold.
const MAX_STRINGS_BYTES: u64 = 1 << 20;

/// The task's memory; `None` for a zombie.
pub(super) fn space(task: &Task) -> Option<Arc<AddressSpace>> {
    task.holdings().ok()?.space
}

/// A line a mapping (`show_map_vma`).
pub fn maps(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let Some(space) = space(task) else { return Ok(()) };
    for line in space.maps() {
        show(text, &line);
    }
    Ok(())
}

pub(super) fn show(text: &mut Text, line: &MapsLine) {
    /// The column in which names begin.
    const NAME_COLUMN: usize = 73;
    let start = text.0.len();
    let can = |prot, letter| if line.prot.contains(prot) { letter } else { '-' };
    let (device, inode) = line.identity.as_ref().map_or((0, 0), |identity| (identity.device, identity.inode));
    text.put(format_args!(
        "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {inode} ",
        line.range.start,
        line.range.end,
        can(Prot::READ, 'r'),
        can(Prot::WRITE, 'w'),
        can(Prot::EXEC, 'x'),
        if line.flags.contains(VmFlags::SHARED) { 's' } else { 'p' },
        line.offset_bytes,
        major(device),
        minor(device),
    ));
    let name = line.label.or(line.identity.as_ref().map(|identity| identity.path.as_str()));
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        while text.0.len() - start < NAME_COLUMN {
            text.bytes(b" ");
        }
        text.bytes(name.replace('\n', "\\012").as_bytes());
    }
    text.bytes(b"\n");
}

/// Size, resident, shared, text, library, data, dirty: in pages.
pub fn statm(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let space = space(task);
    let counts = space.as_ref().map(|space| space.counts()).unwrap_or_default();
    let (start, end) = space.map(|space| space.layout().code).unwrap_or_default();
    text.put(format_args!(
        "{} {} {} {} 0 {} 0\n",
        counts.total_pages,
        counts.resident_pages(),
        counts.object_pages,
        end.div_ceil(PAGE_SIZE) - start / PAGE_SIZE,
        counts.data_pages + counts.stack_pages
    ));
    Ok(())
}

/// Bytes of the task's memory, as far as they can be read.
fn strings(text: &mut Text, task: &Task, range: Range<u64>) {
    let Some(space) = space(task) else { return };
    let len = (range.end.saturating_sub(range.start)).min(MAX_STRINGS_BYTES);
    let mut bytes = alloc::vec![0; len as usize];
    let read = space.read_remote(range.start, &mut bytes);
    text.bytes(&bytes[..read]);
}

/// The arguments, each with its zero. A program may write over them: its last byte no longer zero, the text goes on to
/// the first zero after it (`get_mm_cmdline`).
pub fn cmdline(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let program = task.process.program();
    strings(text, task, program.arguments.clone());
    if text.0.last().is_some_and(|&last| last != 0) {
        strings(text, task, program.environment.clone());
        if let Some(end) = text.0.iter().position(|&byte| byte == 0) {
            text.0.truncate(end + 1);
        }
    }
    Ok(())
}

/// The environment the program was started with.
pub fn environ(text: &mut Text, task: &Task) -> Result<(), Errno> {
    strings(text, task, task.process.program().environment.clone());
    Ok(())
}

/// The auxiliary vector.
pub fn auxv(text: &mut Text, task: &Task) -> Result<(), Errno> {
    for word in task.process.program().auxv.iter() {
        text.bytes(&word.to_ne_bytes());
    }
    Ok(())
}

/// /proc/PID/mem: the memory itself, for whoever may look into the task.
pub fn contents(task: &Task) -> Body {
    let task = task.clone();
    Body::Object(Box::new(move |cred| {
        task.check_access(cred, 0)?;
        let space = space(&task).ok_or(Errno::ESRCH)?;
        Ok(Arc::new(Contents(space)))
    }))
}

/// An address space as a file: offsets are addresses.
struct Contents(Arc<AddressSpace>);

/// Bytes copied at a time between two address spaces.
const BOUNCE_BYTES: usize = 1024;

impl FileOps for Contents {
    fn traits(&self) -> FileTraits {
        FileTraits::SEEKABLE
    }

    /// `EIO` where nothing is mapped (`mem_rw`).
    fn try_read(&self, _file: &File, sink: &mut dyn Sink, offset: u64) -> Result<usize, Errno> {
        let mut bounce = [0; BOUNCE_BYTES];
        let mut done = 0;
        while sink.remaining() > 0 {
            let wanted = sink.remaining().min(BOUNCE_BYTES);
            let read = self.0.read_remote(offset.saturating_add(done as u64), &mut bounce[..wanted]);
            if read == 0 {
                return if done == 0 { Err(Errno::EIO) } else { Ok(done) };
            }
            done += sink.put(&bounce[..read])?;
        }
        Ok(done)
    }

    /// Writes even where the mapping does not allow it, as debuggers need.
    fn try_write(&self, _file: &File, source: &mut dyn Source, offset: u64) -> Result<usize, Errno> {
        let mut bounce = [0; BOUNCE_BYTES];
        let mut done = 0;
        while source.remaining() > 0 {
            let len = source.take(&mut bounce)?;
            let written = self.0.write_forced(offset.saturating_add(done as u64), &bounce[..len]);
            done += written;
            if written < len {
                return if done == 0 { Err(Errno::EIO) } else { Ok(done) };
            }
        }
        Ok(done)
    }

    fn seek(&self, _file: &File, position: u64, offset: i64, whence: Whence) -> Result<u64, Errno> {
        match whence {
            Whence::Set => Ok(offset as u64),
            Whence::Current => Ok(position.wrapping_add_signed(offset)),
            _ => Err(Errno::EINVAL),
        }
    }
}
