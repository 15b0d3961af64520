//! [`Pages`]: what is mapped of a file.
//!
//! A mapping has its pages from the start: the page-fault path cannot wait. All mappings of a file share them, as long
//! as the file has not changed since; what a mapping has come to cover without having asked for it (mremap(2)) is SIGBUS.

use alloc::string::String;
use alloc::sync::Arc;
use core::ops::Range;

use abi::Errno;

use super::client::{Client, Fid, Stat};
use super::key;
use super::node::Node;
use crate::fs::later::later;
use crate::fs::{Content, File, MmapRequest, PageBudget, SliceSource, Timestamp};
use crate::mem::{Backing, BackingIdentity, Frame, Mappers, PAGE_SIZE, PageError};

/// How much is read at a time.
const STEP_BYTES: u64 = 128 << 10;

/// Pages are limited by memory alone.
struct Unlimited;

impl PageBudget for Unlimited {
    fn charge(&self, _pages: u64) -> Result<(), Errno> {
        Ok(())
    }

    fn charge_always(&self, _pages: u64) {}

    fn uncharge(&self, _pages: u64) {}
}

/// Pages of one state of a file.
pub struct Pages {
    state: (u64, Timestamp, u32),
    content: Content,
}

impl Pages {
    fn new(stat: &Stat) -> Self {
        let content = Content::new(Arc::new(Unlimited));
        content.set_size(stat.size_bytes);
        Self { state: state(stat), content }
    }

    /// Reads in those of `pages` that are not there. Several may do so at once: they read the same.
    async fn fill(&self, client: &Client, fid: &Fid, pages: Range<u64>) -> Result<(), Errno> {
        let end = self.content.size_bytes().min(pages.end.saturating_mul(PAGE_SIZE));
        let mut at = pages.start * PAGE_SIZE;
        while at < end {
            if self.content.is_resident(at / PAGE_SIZE) {
                at += PAGE_SIZE;
                continue;
            }
            let mut data = client.read(fid, at, STEP_BYTES.min(end - at) as usize).await?;
            // A file that has shrunk meanwhile reads as zeros where it was.
            data.resize(STEP_BYTES.min(end - at) as usize, 0);
            if self.content.write(&mut SliceSource::new(&data), at)? < data.len() {
                return Err(Errno::ENOMEM);
            }
            at += data.len() as u64;
        }
        Ok(())
    }
}

/// What tells whether a file has changed.
fn state(stat: &Stat) -> (u64, Timestamp, u32) {
    (stat.size_bytes, stat.modified, stat.qid.version)
}

/// The pages of an open file that a mapping asks for, read in.
pub fn map(
    node: &Arc<Node>,
    fid: &Arc<Fid>,
    file: &Arc<File>,
    request: &MmapRequest,
) -> Result<Arc<dyn Backing>, Errno> {
    let range = request.first_page..request.first_page.saturating_add(request.pages);
    let question = key("map", &[fid.number().into(), range.start, range.end], b"");
    let (node, fid) = (node.clone(), fid.clone());
    let work = async move {
        let client = node.client();
        let stat = client.attributes(&fid).await?;
        let known = node.pages.lock().upgrade().filter(|pages| pages.state == state(&stat));
        let pages = known.unwrap_or_else(|| Arc::new(Pages::new(&stat)));
        pages.fill(&client, &fid, range).await?;
        *node.pages.lock() = Arc::downgrade(&pages);
        Ok(pages)
    };
    let pages = later(question, work)?;
    Ok(Arc::new(Mapped { pages, file: file.clone() }))
}

/// Pages as one open file's mapping has them.
struct Mapped {
    pages: Arc<Pages>,
    file: Arc<File>,
}

impl Backing for Mapped {
    fn page(&self, index: u64, write: bool) -> Result<Frame, PageError> {
        if self.is_resident(index) { self.pages.content.page(index, write) } else { Err(PageError::PastEnd) }
    }

    fn is_resident(&self, index: u64) -> bool {
        self.pages.content.is_resident(index)
    }

    fn mappers(&self) -> &Mappers {
        self.pages.content.mappers()
    }

    fn identity(&self) -> BackingIdentity {
        let inode = self.file.inode();
        let path = String::from_utf8_lossy(&self.file.path().display()).into_owned();
        BackingIdentity { device: inode.fs.device.encode(), inode: inode.number, path }
    }
}
