//! What the system calls itself and its host, to whoever is in a namespace of such names (uts_namespaces(7)).

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::prctl::{PER_LINUX32, PER_MASK, UNAME26};
use abi::utsname::{NewUtsname, field};

use super::Thread;
use crate::fs::pseudo::namespace_place;
use crate::fs::{File, FileOps, FileTraits, Path};
use crate::sync::{Rank, SpinLock};

/// The release programs are told: the Linux this kernel follows.
pub const RELEASE: &str = "6.1.0-rustos";

/// The build, as `uname -v` shows it.
pub const VERSION: &str = concat!("#1 SMP RustOS ", env!("CARGO_PKG_VERSION"));

/// A set of names. Its threads hold it, and so does whoever has it open.
pub struct Namespace {
    /// Ready to be told, since that is asked more often than a name is changed.
    names: SpinLock<NewUtsname>,
    /// Where /proc has it, under a number of its own.
    place: Path,
}

/// The number of the first namespace (`PROC_UTS_INIT_INO`); Linux counts others up from below all inodes of /proc.
const FIRST_NUMBER: u64 = 0xefff_fffe;
const NEXT_NUMBER: u64 = 0xf000_0000;

/// The names the machine starts with.
const NAMES: NewUtsname = NewUtsname {
    sysname: field(b"Linux"),
    nodename: field(b"rustos"),
    release: field(RELEASE.as_bytes()),
    version: field(VERSION.as_bytes()),
    machine: field(b"x86_64"),
    domainname: field(b"(none)"),
};

/// The namespace of those that have no other.
pub fn first() -> &'static Arc<Namespace> {
    static FIRST: spin::Once<Arc<Namespace>> = spin::Once::new();
    FIRST.call_once(|| Namespace::new(NAMES, FIRST_NUMBER))
}

impl Namespace {
    fn new(names: NewUtsname, number: u64) -> Arc<Self> {
        Arc::new_cyclic(|me: &Weak<Self>| {
            let me = me.clone();
            let reopen = Box::new(move |_| -> Result<Arc<dyn FileOps>, Errno> {
                Ok(Arc::new(NamespaceFile(me.upgrade().ok_or(Errno::ENOENT)?)))
            });
            Self { names: SpinLock::new(Rank::Cred, names), place: namespace_place("uts", number, reopen) }
        })
    }

    /// A further one with the same names.
    pub fn fork(&self) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(NEXT_NUMBER);
        Self::new(self.names(), NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Where /proc has it.
    pub fn place(&self) -> Path {
        self.place.clone()
    }

    /// Everything uname(2) tells.
    pub fn names(&self) -> NewUtsname {
        *self.names.lock()
    }

    /// The same as a thread of this personality is told.
    pub fn names_for(&self, personality: u32) -> NewUtsname {
        let mut names = self.names();
        if personality & UNAME26 != 0 {
            names.release = field(RELEASE_26.as_bytes());
        }
        if personality & PER_MASK == PER_LINUX32 {
            names.machine = field(b"i686");
        }
        names
    }

    /// Names the host.
    pub fn set_host(&self, name: &[u8]) {
        self.names.lock().nodename = field(name);
    }

    /// Names the NIS domain.
    pub fn set_domain(&self, name: &[u8]) {
        self.names.lock().domainname = field(name);
    }
}

/// An open `/proc/PID/ns/uts`.
struct NamespaceFile(Arc<Namespace>);

impl FileOps for NamespaceFile {
    fn traits(&self) -> FileTraits {
        FileTraits::empty()
    }
}

/// The namespace behind an open file, if it is one.
pub fn of_file(file: &File) -> Option<Arc<Namespace>> {
    file.downcast::<NamespaceFile>().map(|opened| opened.0.clone())
}

impl Thread {
    /// The names it lives with.
    pub fn uts(&self) -> Arc<Namespace> {
        self.rare(|rare| rare.uts.clone()).flatten().unwrap_or_else(|| first().clone())
    }

    /// Has it live with other names. They go when the lock has.
    pub fn set_uts(&self, namespace: Arc<Namespace>) {
        let old = self.change_rare(|rare| rare.uts.replace(namespace));
        drop(old);
    }

    /// Has it live with its creator's names, or with new ones after these.
    pub fn inherit_uts(&self, creator: &Thread, is_new: bool) {
        let old = creator.rare(|rare| rare.uts.clone()).flatten();
        match old {
            Some(old) if !is_new => self.set_uts(old),
            None if !is_new => {}
            _ => self.set_uts(creator.uts().fork()),
        }
    }
}

/// The release for programs that cannot bear a number above 2.6 (`override_release()`).
const RELEASE_26: &str = "2.6.61-rustos";
