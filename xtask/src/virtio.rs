//! Devices on virtio that the user's options ask for: QEMU's arguments, and the words by which the kernel learns of them.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::options::{Options, SHARE_PLACE};

/// The registers of microvm's first device, the bytes of each, and the first interrupt line (`hw/i386/microvm.c`, with
/// ACPI and one I/O APIC).
const REGISTERS: u64 = 0xfeb0_0000;
const REGISTER_BYTES: u64 = 512;
const LINE: usize = 16;

/// What a machine's devices add to its start.
#[derive(Debug, Default)]
pub struct Devices {
    /// Arguments of QEMU.
    pub arguments: Vec<OsString>,
    /// Words of the kernel's command line.
    pub words: Vec<String>,
}

/// The devices the options ask for. None cost nothing.
pub fn devices(options: &Options) -> io::Result<Devices> {
    let mut devices = Devices::default();
    if let Some(folder) = &options.share {
        if !folder.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{}: no folder", folder.display())));
        }
        let backend = with_path("local,id=share,security_model=none,multidevs=remap,path=", folder);
        devices.arguments.extend(["-fsdev".into(), backend]);
        devices.add("virtio-9p-device,fsdev=share,mount_tag=host");
        devices.words.push(format!("rustos.share={SHARE_PLACE}"));
    }
    if !devices.arguments.is_empty() {
        if options.machine != "microvm" {
            let message = format!("SHARE needs MACHINE=microvm, not {}", options.machine);
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        devices.arguments.extend(["-global".into(), "virtio-mmio.force-legacy=false".into()]);
    }
    Ok(devices)
}

impl Devices {
    /// A device at the next place there is.
    fn add(&mut self, device: &str) {
        let index = self.words.iter().filter(|word| word.starts_with("virtio_mmio.device=")).count();
        self.arguments.extend(["-device".into(), format!("{device},bus=virtio-mmio-bus.{index}").into()]);
        let address = REGISTERS + REGISTER_BYTES * index as u64;
        self.words.push(format!("virtio_mmio.device={REGISTER_BYTES}@{address:#x}:{}", LINE + index));
    }
}

/// An argument of QEMU that ends with a path: commas in it are doubled.
fn with_path(head: &str, path: &Path) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let doubled = path.as_os_str().as_bytes().iter().flat_map(|&byte| {
        let count = if byte == b',' { 2 } else { 1 };
        std::iter::repeat_n(byte, count)
    });
    OsString::from_vec(head.bytes().chain(doubled).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_wishes_has_no_devices() {
        let devices = devices(&Options::default()).expect("nothing to go wrong");
        assert!(devices.arguments.is_empty() && devices.words.is_empty());
    }

    #[test]
    fn a_share_is_told_to_qemu_and_to_the_kernel() {
        let options = Options { share: Some("/".into()), ..Options::default() };
        let devices = devices(&options).expect("the folder is there");
        assert_eq!(devices.words, ["virtio_mmio.device=512@0xfeb00000:16", "rustos.share=/mnt/host"]);
        let other = Options { machine: "pc".into(), ..options };
        assert!(super::devices(&other).is_err());
    }

    #[test]
    fn commas_in_a_path_are_doubled() {
        assert_eq!(with_path("path=", Path::new("/a,b")), "path=/a,,b");
    }
}
