//! What the system calls itself and its host (uts_namespaces(7); there is one namespace).

use alloc::vec::Vec;

use abi::prctl::{PER_LINUX32, PER_MASK, UNAME26};
use abi::utsname::{NewUtsname, field};

use crate::sync::{Rank, SpinLock};

/// The release programs are told: the Linux this kernel follows.
pub const RELEASE: &str = "6.1.0-rustos";

/// The build, as `uname -v` shows it.
pub const VERSION: &str = concat!("#1 SMP RustOS ", env!("CARGO_PKG_VERSION"));

struct Names {
    host: Vec<u8>,
    domain: Vec<u8>,
}

static NAMES: SpinLock<Option<Names>> = SpinLock::new(Rank::Cred, None);

fn with_names<R>(act: impl FnOnce(&mut Names) -> R) -> R {
    let default = || Names { host: b"rustos".to_vec(), domain: b"(none)".to_vec() };
    act(NAMES.lock().get_or_insert_with(default))
}

/// Everything uname(2) tells.
pub fn names() -> NewUtsname {
    with_names(|names| NewUtsname {
        sysname: field(b"Linux"),
        nodename: field(&names.host),
        release: field(RELEASE.as_bytes()),
        version: field(VERSION.as_bytes()),
        machine: field(b"x86_64"),
        domainname: field(&names.domain),
    })
}

/// The release for programs that cannot bear a number above 2.6 (`override_release()`).
const RELEASE_26: &str = "2.6.61-rustos";

/// The same as a thread of this personality is told.
pub fn names_for(personality: u32) -> NewUtsname {
    let mut names = names();
    if personality & UNAME26 != 0 {
        names.release = field(RELEASE_26.as_bytes());
    }
    if personality & PER_MASK == PER_LINUX32 {
        names.machine = field(b"i686");
    }
    names
}

/// Names the host.
pub fn set_host(name: &[u8]) {
    with_names(|names| names.host = name.to_vec());
}

/// Names the NIS domain.
pub fn set_domain(name: &[u8]) {
    with_names(|names| names.domain = name.to_vec());
}
