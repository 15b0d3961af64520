//! Names of unix sockets: paths, and abstract names in a table of their own.
//!
//! Lock: the table (rank `SocketNames`), held alone.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::Errno;
use abi::socket::{AF_UNIX, UNIX_PATH_MAX};

use super::UnixSocket;
use crate::fs::create::{free_name, make, ownership};
use crate::fs::permission::{self, Permission};
use crate::fs::resolve::Start;
use crate::fs::{FileKind, Inode};
use crate::ipc::socket::{Caller, Kind};
use crate::sync::{Rank, SpinLock};

/// Bytes of the family in an address.
const FAMILY_BYTES: usize = size_of::<u16>();

/// The name of a bound socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A path as it was given to bind(2).
    Path(Box<[u8]>),
    /// A name in the abstract table.
    Abstract(Box<[u8]>),
}

/// An address as a user gave it.
pub(super) enum Address<'a> {
    /// No name at all: bind(2) makes one up.
    Unnamed,
    /// A path.
    Path(&'a [u8]),
    /// An abstract name, without its leading zero.
    Abstract(&'a [u8]),
}

/// Takes a user's address apart (`unix_validate_addr`). `EINVAL`.
pub(super) fn decode(address: &[u8]) -> Result<Address<'_>, Errno> {
    let Some((family, name)) = address.split_first_chunk::<FAMILY_BYTES>() else { return Err(Errno::EINVAL) };
    if u32::from(u16::from_ne_bytes(*family)) != AF_UNIX || name.len() > UNIX_PATH_MAX {
        return Err(Errno::EINVAL);
    }
    Ok(match name {
        [] => Address::Unnamed,
        [0, rest @ ..] => Address::Abstract(rest),
        path => Address::Path(path.split(|byte| *byte == 0).next().unwrap_or(path)),
    })
}

/// The address of a socket, as getsockname(2) gives it.
pub(super) fn encode(name: Option<&Name>) -> Vec<u8> {
    // The family's number is small.
    let mut address = (AF_UNIX as u16).to_ne_bytes().to_vec();
    match name {
        None => {}
        Some(Name::Path(path)) => {
            address.extend_from_slice(path);
            address.push(0);
        }
        Some(Name::Abstract(name)) => {
            address.push(0);
            address.extend_from_slice(name);
        }
    }
    address
}

/// Sockets by kind and abstract name.
type Table = BTreeMap<(Kind, Box<[u8]>), Weak<UnixSocket>>;

static ABSTRACT: SpinLock<Table> = SpinLock::new(Rank::SocketNames, BTreeMap::new());

/// What hangs on the inode of a bound socket.
struct Bound(Weak<UnixSocket>);

/// Enters `socket` under the address. `EADDRINUSE`, and the errors of making a name in a directory.
pub(super) fn enter(socket: &Arc<UnixSocket>, caller: &Caller<'_>, address: &Address<'_>) -> Result<Name, Errno> {
    match address {
        Address::Unnamed => enter_any(socket),
        Address::Abstract(name) => enter_abstract(socket, name),
        Address::Path(path) => enter_path(socket, caller, path),
    }
}

fn enter_abstract(socket: &Arc<UnixSocket>, name: &[u8]) -> Result<Name, Errno> {
    let mut table = ABSTRACT.lock();
    let key = (socket.kind, Box::from(name));
    if table.contains_key(&key) {
        return Err(Errno::EADDRINUSE);
    }
    table.insert(key, Arc::downgrade(socket));
    Ok(Name::Abstract(Box::from(name)))
}

/// An abstract name nobody uses (`unix_autobind`). `ENOSPC`.
fn enter_any(socket: &Arc<UnixSocket>) -> Result<Name, Errno> {
    const NAMES: u32 = 0x10_0000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..NAMES {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) % NAMES;
        match enter_abstract(socket, format!("{number:05x}").as_bytes()) {
            Err(Errno::EADDRINUSE) => {}
            done => return done,
        }
    }
    Err(Errno::ENOSPC)
}

/// Whether an inode could be made at the path. `EADDRINUSE`, and the errors of walking it.
pub(super) fn check_free(caller: &Caller<'_>, path: &[u8]) -> Result<(), Errno> {
    let parent = Start::at_cwd(caller.fs, caller.cred).resolve_parent(path)?;
    free_name(parent, false).map(drop).map_err(taken)
}

/// A name that is there is an address in use.
fn taken(error: Errno) -> Errno {
    if error == Errno::EEXIST { Errno::EADDRINUSE } else { error }
}

/// Makes an inode at the path (`unix_bind_bsd`).
fn enter_path(socket: &Arc<UnixSocket>, caller: &Caller<'_>, path: &[u8]) -> Result<Name, Errno> {
    const MODE: u16 = 0o777;
    let parent = Start::at_cwd(caller.fs, caller.cred).resolve_parent(path)?;
    let (dir, name) = free_name(parent, false).map_err(taken)?;
    let new = ownership(dir.inode(), caller.cred, FileKind::Socket, MODE & !caller.fs.umask());
    let dentry = make(&dir, &name, caller.cred, &new).map_err(taken)?;
    dentry.inode().attach(Some(Arc::new(Bound(Arc::downgrade(socket)))));
    Ok(Name::Path(Box::from(path)))
}

/// Takes a socket's name out of the table, unless another has it: the far ends of connections share the
/// listener's. A path stays, and leads nowhere.
pub(super) fn leave(socket: &UnixSocket, name: &Name) {
    let Name::Abstract(name) = name else { return };
    let key = (socket.kind, name.clone());
    let mut table = ABSTRACT.lock();
    if table.get(&key).is_some_and(|entered| entered.ptr_eq(&socket.this)) {
        table.remove(&key);
    }
}

/// The socket of that address (`unix_find_other`). `ECONNREFUSED` if there is none, `EPROTOTYPE` if it is of another
/// kind, `EACCES` if it may not be written to, `EINVAL`, and the errors of walking a path.
pub(super) fn find(kind: Kind, caller: &Caller<'_>, address: &Address<'_>) -> Result<Arc<UnixSocket>, Errno> {
    match address {
        Address::Unnamed => Err(Errno::EINVAL),
        Address::Abstract(name) => {
            let found = ABSTRACT.lock().get(&(kind, Box::from(*name))).and_then(Weak::upgrade);
            found.ok_or(Errno::ECONNREFUSED)
        }
        Address::Path(path) => {
            let place = Start::at_cwd(caller.fs, caller.cred).resolve(path, true)?;
            permission::check(place.inode(), caller.cred, Permission::WRITE)?;
            let found = bound_to(place.inode()).ok_or(Errno::ECONNREFUSED)?;
            if found.kind == kind { Ok(found) } else { Err(Errno::EPROTOTYPE) }
        }
    }
}

fn bound_to(inode: &Inode) -> Option<Arc<UnixSocket>> {
    let bound = inode.attached()?.downcast::<Bound>().ok()?;
    bound.0.upgrade()
}
