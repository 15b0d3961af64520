//! What the system calls itself and its host (uts_namespaces(7); there is one namespace).

use abi::prctl::{PER_LINUX32, PER_MASK, UNAME26};
use abi::utsname::{NewUtsname, field};

use crate::sync::{Rank, SpinLock};

/// The release programs are told: the Linux this kernel follows.
pub const RELEASE: &str = "6.1.0-rustos";

/// The build, as `uname -v` shows it.
pub const VERSION: &str = concat!("#1 SMP RustOS ", env!("CARGO_PKG_VERSION"));

/// Ready to be told, since that is asked more often than a name is changed.
static NAMES: SpinLock<NewUtsname> = SpinLock::new(
    Rank::Cred,
    NewUtsname {
        sysname: field(b"Linux"),
        nodename: field(b"rustos"),
        release: field(RELEASE.as_bytes()),
        version: field(VERSION.as_bytes()),
        machine: field(b"x86_64"),
        domainname: field(b"(none)"),
    },
);

/// Everything uname(2) tells.
pub fn names() -> NewUtsname {
    *NAMES.lock()
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
    NAMES.lock().nodename = field(name);
}

/// Names the NIS domain.
pub fn set_domain(name: &[u8]) {
    NAMES.lock().domainname = field(name);
}
