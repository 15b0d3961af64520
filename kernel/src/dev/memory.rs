//! The memory devices: null, zero, full, random, urandom, kmsg (`drivers/char/mem.c`, null(4), full(4), random(4)).

use alloc::sync::Arc;

use abi::Errno;

use super::random::RandomStream;
use crate::fs::{
    Caller, Cred, DeviceId, File, FileKind, FileOps, FileTraits, Inode, MmapRequest, Mmapped, OpenFlags, Sink, Source,
    Whence, device,
};
use crate::mem::{SharedMemory, UserOut};

/// The major number of the memory devices.
const MAJOR: u32 = 1;

/// A memory device, by its minor number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum MemoryDevice {
    Null = 3,
    Zero = 5,
    Full = 7,
    Random = 8,
    Urandom = 9,
    KernelLog = 11,
}

use MemoryDevice::*;

/// Makes the devices known to open(2), and their nodes to /dev.
pub fn register() {
    device::register(FileKind::CharDevice, MAJOR, Arc::new(MemoryDriver));
    let nodes = [("null", Null), ("zero", Zero), ("full", Full), ("random", Random), ("urandom", Urandom)];
    for (name, minor) in nodes {
        device::add_node(name, FileKind::CharDevice, DeviceId::new(MAJOR, minor as u32), 0o666);
    }
    device::add_node("kmsg", FileKind::CharDevice, DeviceId::new(MAJOR, KernelLog as u32), 0o644);
}

struct MemoryDriver;

impl device::Driver for MemoryDriver {
    fn open(
        &self,
        device: DeviceId,
        _inode: &Arc<Inode>,
        _flags: OpenFlags,
        _cred: &Arc<Cred>,
    ) -> Result<Arc<dyn FileOps>, Errno> {
        let known = [Null, Zero, Full, Random, Urandom, KernelLog];
        let found = known.into_iter().find(|known| *known as u32 == device.minor).ok_or(Errno::ENXIO)?;
        Ok(Arc::new(found))
    }
}

/// Takes everything and keeps nothing.
fn swallow(source: &mut dyn Source) -> usize {
    let len = source.remaining();
    source.limit(0);
    len
}

fn give_random(sink: &mut dyn Sink) -> Result<usize, Errno> {
    let mut stream = RandomStream::new();
    let mut block = [0; 256];
    let mut done = 0;
    while sink.remaining() > 0 {
        let len = sink.remaining().min(block.len());
        stream.fill(&mut block[..len]);
        match sink.put(&block[..len]) {
            Ok(taken) => done += taken,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// A line written to /dev/kmsg goes to the kernel log, its `<level>` prefix taken off.
fn log_line(source: &mut dyn Source) -> Result<usize, Errno> {
    const MAX_LINE_BYTES: usize = 1024 - 48;
    if source.remaining() > MAX_LINE_BYTES {
        return Err(Errno::EINVAL);
    }
    let mut line = [0; MAX_LINE_BYTES];
    let len = source.take(&mut line)?;
    let text = alloc::string::String::from_utf8_lossy(&line[..len]);
    let text = text.trim_end_matches('\n');
    let unprefixed = text.strip_prefix('<').and_then(|rest| rest.split_once('>')).map_or(text, |(_, rest)| rest);
    log::info!("{unprefixed}");
    Ok(len)
}

impl FileOps for MemoryDevice {
    /// lseek works on them (`null_lseek`), but reads look at no position.
    fn traits(&self) -> FileTraits {
        match self {
            Random | Urandom => FileTraits::SEEKABLE | FileTraits::POLLABLE,
            _ => FileTraits::SEEKABLE,
        }
    }

    fn try_read(&self, _file: &File, sink: &mut dyn Sink, _offset: u64) -> Result<usize, Errno> {
        match self {
            Null => Ok(0),
            Zero | Full => sink.put_zeros(sink.remaining()),
            Random | Urandom => give_random(sink),
            // Records that were written are not kept for reading: there is never one to come.
            KernelLog => Err(Errno::EAGAIN),
        }
    }

    fn try_write(&self, _file: &File, source: &mut dyn Source, _offset: u64) -> Result<usize, Errno> {
        match self {
            Null | Zero => Ok(swallow(source)),
            Full => Err(Errno::ENOSPC),
            // What users contribute could only be mixed into a pool that is full: it is read, and left out.
            Random | Urandom => Ok(swallow(source)),
            KernelLog => log_line(source),
        }
    }

    fn seek(&self, _file: &File, position: u64, offset: i64, whence: Whence) -> Result<u64, Errno> {
        match (self, whence) {
            (Null | Zero | Full, _) => Ok(0),
            (_, Whence::Set | Whence::Current | Whence::End) => Ok(position.saturating_add_signed(offset)),
            _ => Err(Errno::EINVAL),
        }
    }

    fn ioctl(&self, _file: &File, _caller: &dyn Caller, request: u32, arg: u64) -> Result<usize, Errno> {
        const RNDGETENTCNT: u32 = 0x8004_5200;
        const POOL_BITS: i32 = 256;
        match (self, request) {
            (Random | Urandom, RNDGETENTCNT) => UserOut::<i32>::new(arg).write(&POOL_BITS).map(|()| 0),
            (Random | Urandom, _) => Err(Errno::EINVAL),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn mmap(&self, _file: &Arc<File>, request: &MmapRequest) -> Result<Mmapped, Errno> {
        match self {
            Zero if request.shared => {
                Ok(Mmapped { object: Some(SharedMemory::anonymous(request.pages)?), never_write: false })
            }
            Zero => Ok(Mmapped { object: None, never_write: false }),
            _ => Err(Errno::ENODEV),
        }
    }
}
