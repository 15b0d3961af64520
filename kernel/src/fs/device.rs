//! The registry of devices: which driver opens a node with a given number, and which opens FIFOs.
//!
//! `dev` and `ipc` register; `open` looks up. Also the list of nodes that a fresh /dev is filled with.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use spin::Once;

use super::{Cred, DeviceId, FileKind, FileOps, Inode, OpenFlags};
use crate::sync::{Rank, SpinLock};

/// Opens device nodes.
pub trait Driver: Send + Sync {
    /// The object behind a new open file of device `device`. `ENXIO` if there is no such minor.
    fn open(
        &self,
        device: DeviceId,
        inode: &Arc<Inode>,
        flags: OpenFlags,
        cred: &Arc<Cred>,
    ) -> Result<Arc<dyn FileOps>, Errno>;
}

/// Opens a FIFO: the object for one open file, which waits for the other end in `finish_open`.
pub type FifoOpener = fn(&Arc<Inode>, OpenFlags) -> Result<Arc<dyn FileOps>, Errno>;

/// A node that belongs in /dev.
#[derive(Clone, Debug)]
pub struct DeviceNode {
    /// Its path below /dev.
    pub name: String,
    /// Character or block.
    pub kind: FileKind,
    /// Its number.
    pub device: DeviceId,
    /// Its permission bits.
    pub mode: u16,
}

#[derive(Default)]
struct Registry {
    /// By kind (block or not) and major number.
    drivers: BTreeMap<(bool, u32), Arc<dyn Driver>>,
    nodes: Vec<DeviceNode>,
}

static REGISTRY: SpinLock<Registry> =
    SpinLock::new(Rank::Registry, Registry { drivers: BTreeMap::new(), nodes: Vec::new() });
static FIFO_OPENER: Once<FifoOpener> = Once::new();

/// `driver` serves devices of `kind` with the major number.
pub fn register(kind: FileKind, major: u32, driver: Arc<dyn Driver>) {
    let old = REGISTRY.lock().drivers.insert((kind == FileKind::BlockDevice, major), driver);
    drop(old);
}

/// `node` belongs in /dev.
pub fn add_node(name: &str, kind: FileKind, device: DeviceId, mode: u16) {
    REGISTRY.lock().nodes.push(DeviceNode { name: String::from(name), kind, device, mode });
}

/// What belongs in /dev.
pub fn nodes() -> Vec<DeviceNode> {
    REGISTRY.lock().nodes.clone()
}

/// Every registered major number, block devices marked: /proc/devices.
pub fn majors() -> Vec<(bool, u32)> {
    REGISTRY.lock().drivers.keys().copied().collect()
}

/// `opener` serves FIFOs.
pub fn register_fifo_opener(opener: FifoOpener) {
    FIFO_OPENER.call_once(|| opener);
}

/// The object behind a new open file of the device node. `ENXIO` without a driver.
pub fn open(inode: &Arc<Inode>, flags: OpenFlags, cred: &Arc<Cred>) -> Result<Arc<dyn FileOps>, Errno> {
    let key = (inode.kind == FileKind::BlockDevice, inode.device.major);
    let driver = REGISTRY.lock().drivers.get(&key).cloned().ok_or(Errno::ENXIO)?;
    driver.open(inode.device, inode, flags, cred)
}

/// The object behind a new open file of the FIFO.
pub fn open_fifo(inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
    FIFO_OPENER.get().ok_or(Errno::ENXIO)?(inode, flags)
}
