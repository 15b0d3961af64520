//! Devices on virtio's memory-mapped transport.
//!
//! They are not looked for: the kernel's command line names them as Linux's does, `virtio_mmio.device=512@0xfeb00000:16`
//! for the size of the registers, their address and the interrupt line, so a machine without any loses no time.
//! Each becomes a [`RequestQueue`], which takes a request and gives a future of the answer; the interrupt wakes it.

mod memory;
mod parameter;
mod queue;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ptr::NonNull;

use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, Transport};

pub use parameter::Parameter;
pub use queue::RequestQueue;

use crate::arch;
use crate::sync::{Rank, SpinLock};

/// A device in use.
enum Device {
    /// A folder of the host, by its tag.
    Share(String, Arc<RequestQueue>),
}

static DEVICES: SpinLock<Vec<Device>> = SpinLock::new(Rank::Registry, Vec::new());

/// Takes the device into use. Called at boot, once for each that the command line names. What is not known is left alone,
/// with a word in the log.
pub fn add(parameter: &Parameter) {
    let header = NonNull::new(arch::phys_to_virt(parameter.address).cast::<VirtIOHeader>());
    let header = header.expect("the direct map is not at zero");
    // SAFETY: who started the machine says that the registers are there, and nobody else uses them; the direct map covers
    // them.
    let transport = match unsafe { MmioTransport::new(header, parameter.size_bytes) } {
        Ok(transport) => transport,
        Err(error) => return log::error!("no virtio device at {:#x}: {error:?}", parameter.address),
    };
    let device = match transport.device_type() {
        DeviceType::_9P => share(transport),
        other => return log::warn!("virtio: nothing drives a {other:?}"),
    };
    match device {
        Ok(device) => DEVICES.lock().push(device),
        Err(error) => log::error!("virtio device at {:#x}: {error:?}", parameter.address),
    }
}

fn share(mut transport: MmioTransport<'static>) -> virtio_drivers::Result<Device> {
    /// `VIRTIO_9P_MOUNT_TAG`: the device has a tag.
    const MOUNT_TAG: u64 = 1;
    RequestQueue::negotiate(&mut transport, MOUNT_TAG);
    let len: u16 = transport.read_config_space(0)?;
    let tag = (0..usize::from(len)).map(|index| transport.read_config_space::<u8>(2 + index));
    let tag = String::from_utf8_lossy(&tag.collect::<virtio_drivers::Result<Vec<u8>>>()?).into_owned();
    Ok(Device::Share(tag, Arc::new(RequestQueue::new(transport)?)))
}

/// The folder of the host with this tag.
pub fn shared_folder(tag: &[u8]) -> Option<Arc<RequestQueue>> {
    DEVICES.lock().iter().find_map(|device| match device {
        Device::Share(name, queue) => (name.as_bytes() == tag).then(|| queue.clone()),
    })
}

/// Takes the answers that are there. Called when a device may have interrupted.
pub fn serve() {
    for index in 0.. {
        let Some(queue) = nth(index) else { return };
        queue.serve();
    }
}

fn nth(index: usize) -> Option<Arc<RequestQueue>> {
    DEVICES.lock().get(index).map(|device| match device {
        Device::Share(_, queue) => queue.clone(),
    })
}
