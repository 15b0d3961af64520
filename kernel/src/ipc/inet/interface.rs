//! The loopback interface as ioctl(2) on a socket shows it (netdevice(7)).

use abi::Errno;
use abi::socket::*;
use abi::zerocopy::{FromBytes, IntoBytes};

use crate::mem::{UserIn, UserOut, UserSlice};

/// Its name, and its number.
const NAME: &[u8; 3] = b"lo\0";
const INDEX: i32 = 1;
const MTU_BYTES: i32 = 65_536;
/// `ARPHRD_LOOPBACK`.
const HARDWARE: u16 = 772;
/// `IFF_UP`, `IFF_LOOPBACK`, `IFF_RUNNING`.
const FLAGS: u16 = 0x1 | 0x8 | 0x40;

/// Answers a request about interfaces; `None` if it is none. `ENODEV` for any other than `lo`, `EFAULT`.
pub fn ioctl(request: u32, arg: u64) -> Option<Result<usize, Errno>> {
    match request {
        SIOCGIFCONF => Some(list(arg)),
        SIOCGIFNAME => Some(name(arg)),
        SIOCGIFFLAGS | SIOCGIFADDR | SIOCGIFBRDADDR | SIOCGIFNETMASK | SIOCGIFMETRIC | SIOCGIFMTU | SIOCGIFHWADDR
        | SIOCGIFINDEX | SIOCGIFTXQLEN => Some(about(request, arg)),
        _ => None,
    }
}

fn internet(address: [u8; 4]) -> [u8; 24] {
    let mut data = [0; 24];
    // The family's number is small.
    let shown = SockaddrIn { sin_family: AF_INET as u16, sin_addr: address, ..Default::default() };
    data[..size_of::<SockaddrIn>()].copy_from_slice(shown.as_bytes());
    data
}

fn word(bytes: &[u8]) -> [u8; 24] {
    let mut data = [0; 24];
    data[..bytes.len()].copy_from_slice(bytes);
    data
}

fn about(request: u32, arg: u64) -> Result<usize, Errno> {
    let mut entry = UserIn::<Ifreq>::new(arg).read()?;
    if !entry.ifr_name.starts_with(NAME) {
        return Err(Errno::ENODEV);
    }
    entry.ifr_data = match request {
        SIOCGIFFLAGS => word(&FLAGS.to_ne_bytes()),
        SIOCGIFADDR => internet([127, 0, 0, 1]),
        SIOCGIFBRDADDR => internet([0; 4]),
        SIOCGIFNETMASK => internet([255, 0, 0, 0]),
        SIOCGIFMTU => word(&MTU_BYTES.to_ne_bytes()),
        SIOCGIFHWADDR => word(&HARDWARE.to_ne_bytes()),
        SIOCGIFINDEX => word(&INDEX.to_ne_bytes()),
        SIOCGIFTXQLEN => word(&1000i32.to_ne_bytes()),
        _ => word(&0i32.to_ne_bytes()),
    };
    UserOut::<Ifreq>::new(arg).write(&entry)?;
    Ok(0)
}

fn name(arg: u64) -> Result<usize, Errno> {
    let mut entry = UserIn::<Ifreq>::new(arg).read()?;
    let index = i32::read_from_prefix(&entry.ifr_data).map_err(|_| Errno::EINVAL)?.0;
    if index != INDEX {
        return Err(Errno::ENODEV);
    }
    entry.ifr_name = [0; 16];
    entry.ifr_name[..NAME.len()].copy_from_slice(NAME);
    UserOut::<Ifreq>::new(arg).write(&entry)?;
    Ok(0)
}

/// Every interface with its address, or how long that list is (`dev_ifconf`).
fn list(arg: u64) -> Result<usize, Errno> {
    let mut asked = UserIn::<Ifconf>::new(arg).read()?;
    let mut entry = Ifreq { ifr_data: internet([127, 0, 0, 1]), ..Default::default() };
    entry.ifr_name[..NAME.len()].copy_from_slice(NAME);
    let bytes = entry.as_bytes();
    let room = usize::try_from(asked.ifc_len).unwrap_or(0);
    let given = match asked.ifc_buf {
        0 => bytes.len(),
        _ if room < bytes.len() => 0,
        to if UserSlice::new(to, bytes.len() as u64).write_at(0, bytes) < bytes.len() => return Err(Errno::EFAULT),
        _ => bytes.len(),
    };
    asked.ifc_len = i32::try_from(given).unwrap_or(0);
    UserOut::<Ifconf>::new(arg).write(&asked)?;
    Ok(0)
}
