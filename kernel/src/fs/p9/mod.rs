//! 9p: a folder of the host, over virtio (`fs/9p`, with `cache=none`).
//!
//! What programs see is what the host has: names are looked up at the server each time, attributes are asked for anew when
//! a file is looked up or stat(2)ed, reads and writes go straight through. Only pages for mmap(2) are kept, while they
//! are mapped: a mapping reads in what it maps when it is made, and shows that until it ends.
//!
//! - [`wire`]: messages. [`client`]: questions, as async functions. [`node`]: inodes. [`open`]: open files.
//! - [`pages`]: what is mapped.
//!
//! Nothing waits in here but the futures given to [`super::later`].

mod client;
mod node;
mod open;
mod pages;
mod wire;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;

use abi::Errno;

use self::client::{Channel, Client, Fid};
use self::node::{Found, Share};
use super::later::{Key, later};
use super::{Cred, Dentry, FileSystem, FileSystemOps, Instance, StatFs};
use crate::dev::virtio::{self, RequestQueue};

/// `V9FS_MAGIC`.
const MAGIC: u64 = 0x0102_1997;

impl Channel for RequestQueue {
    fn call(
        &self,
        message: Vec<u8>,
        answer_bytes: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, Errno>> + Send + '_>> {
        Box::pin(RequestQueue::call(self, message, answer_bytes))
    }
}

/// What the file system knows of itself.
struct Mounted {
    share: Arc<Share>,
    root: Arc<Fid>,
    /// As /proc/mounts shows them.
    options: String,
}

impl FileSystemOps for Mounted {
    fn statfs(&self) -> Result<StatFs, Errno> {
        let (client, fid) = (self.share.client.clone(), self.root.clone());
        later(key("statfs", &[], b""), async move { client.statfs(&fid).await })
    }

    fn show_options(&self) -> String {
        self.options.clone()
    }
}

/// The words of a question: what is asked, of which handles, with which name.
fn key(what: &str, numbers: &[u64], name: &[u8]) -> Key {
    let mut key = Vec::from(what.as_bytes());
    numbers.iter().for_each(|number| key.extend(number.to_le_bytes()));
    key.extend_from_slice(name);
    key
}

/// Opens the share with the tag `source` (`v9fs_mount`). `ENOENT` if there is none; `EINVAL` for options it has not.
pub fn open(source: &[u8], options: &[u8], _cred: &Cred) -> Result<Arc<Instance>, Errno> {
    let tree = check_options(options)?.to_vec();
    let queue = virtio::shared_folder(source).ok_or(Errno::ENOENT)?;
    let connect = async move {
        let client = Client::connect(queue).await?;
        let fid = client.attach(&tree).await?;
        let found = Found::of(&client, fid).await?;
        Ok((client, found))
    };
    let (client, found) = later(key("connect", &[], source), connect)?;
    let share = Arc::new(Share::new(client));
    let options = String::from(",access=any,trans=virtio");
    let mounted = Mounted { share: share.clone(), root: found.fid.clone(), options };
    let fs = FileSystem::new("9p", false, Box::new(mounted));
    let root = share.inode(&fs, &found);
    Ok(Arc::new(Instance { fs, root: Dentry::root(root) }))
}

/// mount(8)'s options: those that ask for what there is are taken. Gives the tree's name (`aname`).
fn check_options(options: &[u8]) -> Result<&[u8], Errno> {
    let mut tree: &[u8] = b"";
    for word in options.split(|&byte| byte == b',').filter(|word| !word.is_empty()) {
        let equals = word.iter().position(|&byte| byte == b'=').unwrap_or(word.len());
        let (name, value) = (&word[..equals], word.get(equals + 1..).unwrap_or_default());
        match (name, value) {
            (b"trans", b"virtio")
            | (b"version", b"9p2000.L")
            | (b"cache", b"none")
            | (b"access", b"any" | b"client") => {}
            (b"msize" | b"debug" | b"uname", _) => {}
            (b"aname", value) => tree = value,
            _ => return Err(Errno::EINVAL),
        }
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_ask_for_more_than_there_is_are_refused() {
        assert_eq!(check_options(b"trans=virtio,version=9p2000.L,aname=/x"), Ok(b"/x".as_slice()));
        assert_eq!(check_options(b"cache=mmap"), Err(Errno::EINVAL));
        assert_eq!(check_options(b"trans=tcp"), Err(Errno::EINVAL));
    }
}
