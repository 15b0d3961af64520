//! fcntl(F_NOTIFY): a signal when a directory's entries change (`fs/notify/dnotify`).
//!
//! Lock: the list of requests (rank `Watches`), held alone.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::Errno;
use abi::fcntl::DnMask;
use abi::poll::InMask;

use super::sigio::{self, Reason};
use super::{File, FileKind, Inode};
use crate::sync::{Rank, SpinLock};

/// Who is told of which changes.
struct Request {
    directory: usize,
    file: Weak<File>,
    fd: i32,
    mask: DnMask,
}

static REQUESTS: SpinLock<Vec<Request>> = SpinLock::new(Rank::Watches, Vec::new());
/// How many there are: while there are none, nothing is looked at.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Whether anybody asked.
#[inline]
pub(super) fn in_use() -> bool {
    COUNT.load(Ordering::Relaxed) != 0
}

/// Has the file's owner told of changes in the directory: more than before, or with no changes named none any more
/// (`fcntl_dirnotify`). `ENOTDIR`.
pub fn ask(file: &Arc<File>, fd: i32, mask: DnMask) -> Result<(), Errno> {
    if file.inode().kind != FileKind::Directory {
        return Err(Errno::ENOTDIR);
    }
    let mut requests = REQUESTS.lock();
    let mine = |request: &Request| core::ptr::eq(request.file.as_ptr(), Arc::as_ptr(file));
    if mask.difference(DnMask::DN_MULTISHOT).is_empty() {
        requests.retain(|request| !mine(request));
    } else if let Some(request) = requests.iter_mut().find(|request| mine(request)) {
        request.fd = fd;
        request.mask |= mask;
    } else {
        requests.push(Request { directory: address(file.inode()), file: Arc::downgrade(file), fd, mask });
    }
    COUNT.store(requests.len(), Ordering::Relaxed);
    Ok(())
}

/// Requests made through the file end with it.
pub(super) fn file_closed(file: &File) {
    let mut requests = REQUESTS.lock();
    requests.retain(|request| !core::ptr::eq(request.file.as_ptr(), file));
    COUNT.store(requests.len(), Ordering::Relaxed);
}

/// An inode as a request knows it, which holds a file of it.
fn address(inode: &Inode) -> usize {
    core::ptr::from_ref(inode) as usize
}

/// What happened, in dnotify's words.
fn mask_of(event: InMask) -> DnMask {
    let pairs = [
        (InMask::IN_ACCESS, DnMask::DN_ACCESS),
        (InMask::IN_MODIFY, DnMask::DN_MODIFY),
        (InMask::IN_CREATE | InMask::IN_MOVED_TO, DnMask::DN_CREATE),
        (InMask::IN_DELETE | InMask::IN_MOVED_FROM, DnMask::DN_DELETE),
        (InMask::IN_MOVED_FROM, DnMask::DN_RENAME),
        (InMask::IN_ATTRIB, DnMask::DN_ATTRIB),
    ];
    let happened = pairs.into_iter().filter(|(from, _)| event.intersects(*from));
    happened.fold(DnMask::empty(), |mask, (_, to)| mask | to)
}

/// Something happened to an entry of `directory` (`dnotify_handle_event`). Who asked for one change alone is told no more.
pub(super) fn tell(directory: &Inode, event: InMask) {
    let happened = mask_of(event);
    let directory = address(directory);
    let mut told = Vec::new();
    {
        let mut requests = REQUESTS.lock();
        requests.retain(|request| {
            let concerned = request.directory == directory && request.mask.intersects(happened);
            if concerned {
                told.push((request.file.clone(), request.fd));
            }
            !concerned || request.mask.contains(DnMask::DN_MULTISHOT)
        });
        COUNT.store(requests.len(), Ordering::Relaxed);
    }
    for (file, fd) in told {
        sigio::tell(file, fd, Reason::Message);
    }
}
