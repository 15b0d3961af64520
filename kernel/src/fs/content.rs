//! [`Content`]: the bytes of a regular file, in page frames that mappings share.
//!
//! Absent pages read as zeros (holes), or as the matching part of the *origin*: memory the boot loader filled,
//! from which an initramfs file is served in place until it is written.
//!
//! Locks: `pages` (rank `PageCache`), which the page-fault path takes too; it is never held while user memory is
//! touched: whoever copies takes a reference to the frame first. Writers, cutters and extenders are kept apart by the
//! inode's content lock, which the caller holds.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;

use super::{Sink, Source, Whence};
use crate::mem::{Backing, BackingIdentity, Frame, Mappers, PageError};
use crate::sync::{Rank, SpinLock};

/// Bytes of a page.
pub const PAGE_BYTES: u64 = 4096;
/// Pages of a group: what one node of the index holds.
const GROUP_PAGES: u64 = 64;
/// The largest size a file can have (`MAX_LFS_FILESIZE`).
pub const MAX_FILE_BYTES: u64 = i64::MAX as u64;

/// Who pays for pages: a tmpfs with a limit.
pub trait PageBudget: Send + Sync {
    /// Asks for `pages` more. `ENOSPC`.
    fn charge(&self, pages: u64) -> Result<(), Errno>;
    /// Counts `pages` more whatever the limit: the file has had them all along.
    fn charge_always(&self, pages: u64);
    /// Gives `pages` back.
    fn uncharge(&self, pages: u64);
}

/// Pages of all files in memory, for /proc/meminfo.
static ALL_PAGES: AtomicU64 = AtomicU64::new(0);

/// Pages of memory that hold files.
pub fn content_pages() -> u64 {
    ALL_PAGES.load(Ordering::Relaxed)
}

/// Pages `64 n .. 64 n + 64` of a file.
struct Group {
    frames: [Option<Frame>; GROUP_PAGES as usize],
    /// Bit `i` is set if `frames[i]` is there.
    present: u64,
}

struct Pages {
    groups: BTreeMap<u64, Box<Group>>,
    /// What absent pages hold; nothing beyond.
    origin: &'static [u8],
}

/// A regular file's content.
pub struct Content {
    size_bytes: AtomicU64,
    pages_used: AtomicU64,
    pages: SpinLock<Pages>,
    budget: Arc<dyn PageBudget>,
    mappers: Mappers,
    /// Shared mappings that can be written through, which exclude `F_SEAL_WRITE`.
    writable_mappings: AtomicU64,
}

impl Content {
    /// No bytes yet. `budget` pays for pages.
    pub fn new(budget: Arc<dyn PageBudget>) -> Self {
        Self::with_origin(budget, &[])
    }

    /// The bytes of `origin`, in place.
    pub fn with_origin(budget: Arc<dyn PageBudget>, origin: &'static [u8]) -> Self {
        Self {
            size_bytes: AtomicU64::new(origin.len() as u64),
            pages_used: AtomicU64::new(0),
            pages: SpinLock::new(Rank::PageCache, Pages { groups: BTreeMap::new(), origin }),
            budget,
            mappers: Mappers::new(),
            writable_mappings: AtomicU64::new(0),
        }
    }

    /// Its size in bytes.
    #[inline]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Acquire)
    }

    /// Pages of memory it uses, its origin included.
    pub fn pages_used(&self) -> u64 {
        let origin = self.pages.lock().origin.len() as u64;
        self.pages_used.load(Ordering::Relaxed).max(origin.div_ceil(PAGE_BYTES))
    }

    /// Reads from `offset` on. 0 at or past the end.
    pub fn read(&self, sink: &mut dyn Sink, offset: u64) -> Result<usize, Errno> {
        let mut done = 0;
        loop {
            let at = offset + done as u64;
            let size = self.size_bytes();
            let wanted = sink.remaining() as u64;
            if at >= size || wanted == 0 {
                return Ok(done);
            }
            let within = at % PAGE_BYTES;
            let len = (PAGE_BYTES - within).min(size - at).min(wanted) as usize;
            let taken = match self.look(at / PAGE_BYTES) {
                Look::Frame(frame) => sink.put_page(&frame, within as usize, len),
                Look::Origin(origin) => sink.put(&origin[at as usize..][..len]),
                Look::Hole => sink.put_zeros(len),
            };
            match taken {
                Ok(taken) if taken == len => done += taken,
                Ok(taken) => return Ok(done + taken),
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes at `offset`, as far as room lasts. The caller holds the inode's content lock and has limited `source`.
    pub fn write(&self, source: &mut dyn Source, offset: u64) -> Result<usize, Errno> {
        let mut done = 0;
        while source.remaining() > 0 {
            let at = offset + done as u64;
            let within = at % PAGE_BYTES;
            let len = ((PAGE_BYTES - within) as usize).min(source.remaining());
            let written =
                self.page_to_write(at / PAGE_BYTES).and_then(|frame| source.take_page(&frame, within as usize, len));
            match written {
                Ok(written) => {
                    done += written;
                    self.size_bytes.fetch_max(at + written as u64, Ordering::Release);
                    if written < len {
                        break;
                    }
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Sets the size; what is cut off is unmapped everywhere. The caller holds the inode's content lock.
    pub fn set_size(&self, size: u64) {
        let mut freed = 0;
        let tail = {
            let mut pages = self.pages.lock();
            let shrinks = size < self.size_bytes();
            self.size_bytes.store(size, Ordering::Release);
            if shrinks {
                let keep = size.min(pages.origin.len() as u64) as usize;
                pages.origin = &pages.origin[..keep];
                freed = pages.remove_from(size.div_ceil(PAGE_BYTES));
            }
            shrinks.then(|| pages.frame(size / PAGE_BYTES)).flatten()
        };
        if !self.mappers.is_empty() {
            self.mappers.unmap(self, size.div_ceil(PAGE_BYTES)..u64::MAX);
        }
        self.give_back(freed);
        if let Some(tail) = tail {
            let within = (size % PAGE_BYTES) as usize;
            tail.clear(within, PAGE_BYTES as usize - within);
        }
    }

    /// Turns `start .. end` (bytes) into a hole; the size stays. The caller holds the inode's content lock.
    pub fn punch(&self, start: u64, end: u64) -> Result<(), Errno> {
        self.take_over_origin(start, end)?;
        let (first, last) = (start.div_ceil(PAGE_BYTES), end / PAGE_BYTES);
        if first < last {
            let freed = self.pages.lock().remove_range(first, last);
            if !self.mappers.is_empty() {
                self.mappers.unmap(self, first..last);
            }
            self.give_back(freed);
        }
        let head_end = end.min(first * PAGE_BYTES);
        self.clear_part(start, head_end);
        if end > head_end {
            self.clear_part((last * PAGE_BYTES).max(head_end), end);
        }
        Ok(())
    }

    /// Makes sure that no page of `start .. end` (bytes) is absent. `ENOSPC`, `ENOMEM`: then all is as it was. The caller
    /// holds the inode's content lock.
    pub fn allocate(&self, start: u64, end: u64) -> Result<(), Errno> {
        let mut made: Vec<Range<u64>> = Vec::new();
        for index in start / PAGE_BYTES..end.div_ceil(PAGE_BYTES) {
            if self.pages.lock().frame(index).is_some() {
                continue;
            }
            if let Err(error) = self.page_to_write(index) {
                let freed = made.into_iter().map(|range| self.pages.lock().remove_range(range.start, range.end)).sum();
                self.give_back(freed);
                return Err(error);
            }
            match made.last_mut() {
                Some(last) if last.end == index => last.end += 1,
                _ => made.push(index..index + 1),
            }
        }
        Ok(())
    }

    /// lseek(2) with `SEEK_DATA` or `SEEK_HOLE`. `ENXIO`.
    pub fn seek(&self, position: u64, offset: i64, whence: Whence) -> Result<u64, Errno> {
        let size = self.size_bytes();
        if !matches!(whence, Whence::Data | Whence::Hole) {
            return super::seek::within_size(size, position, offset, whence);
        }
        let from = u64::try_from(offset).ok().filter(|&from| from < size).ok_or(Errno::ENXIO)?;
        let pages = self.pages.lock();
        let end = size.div_ceil(PAGE_BYTES);
        let mut index = from / PAGE_BYTES;
        while index < end && pages.has(index) != (whence == Whence::Data) {
            index = pages.next_of_interest(index).min(end);
        }
        drop(pages);
        if index < end {
            return Ok(from.max(index * PAGE_BYTES));
        }
        if whence == Whence::Hole { Ok(size) } else { Err(Errno::ENXIO) }
    }

    /// Whether somebody can write it through a mapping.
    pub fn is_mapped_writable(&self) -> bool {
        self.writable_mappings.load(Ordering::Acquire) != 0
    }

    fn look(&self, index: u64) -> Look {
        let pages = self.pages.lock();
        match pages.frame(index) {
            Some(frame) => Look::Frame(frame),
            None if index * PAGE_BYTES < pages.origin.len() as u64 => Look::Origin(pages.origin),
            None => Look::Hole,
        }
    }

    /// The frame of page `index`, made and paid for if it is absent.
    fn page_to_write(&self, index: u64) -> Result<Frame, Errno> {
        let is_of_origin = {
            let pages = self.pages.lock();
            if let Some(frame) = pages.frame(index) {
                return Ok(frame);
            }
            index * PAGE_BYTES < pages.origin.len() as u64
        };
        if is_of_origin {
            // Nobody is to die of a full file system because a page of its program was not looked at before.
            self.budget.charge_always(1);
        } else {
            self.budget.charge(1)?;
        }
        let fresh = Frame::zeroed().map_err(|_| {
            self.budget.uncharge(1);
            Errno::ENOMEM
        })?;
        let mut pages = self.pages.lock();
        if let Some(frame) = pages.frame(index) {
            drop(pages);
            self.budget.uncharge(1);
            return Ok(frame);
        }
        let start = index as usize * PAGE_BYTES as usize;
        if start < pages.origin.len() {
            let end = pages.origin.len().min(start + PAGE_BYTES as usize);
            fresh.write(0, &pages.origin[start..end]);
        }
        pages.insert(index, fresh.clone());
        self.pages_used.fetch_add(1, Ordering::Relaxed);
        ALL_PAGES.fetch_add(1, Ordering::Relaxed);
        Ok(fresh)
    }

    /// Copies the origin's part of `start .. end` into frames, so that removing them makes a hole.
    fn take_over_origin(&self, start: u64, end: u64) -> Result<(), Errno> {
        let origin = self.pages.lock().origin.len() as u64;
        if start >= origin {
            return Ok(());
        }
        self.allocate(0, origin)?;
        self.pages.lock().origin = &[];
        let _ = end;
        Ok(())
    }

    /// Zeroes `start .. end`, which lies in one page, if that page is there.
    fn clear_part(&self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let frame = self.pages.lock().frame(start / PAGE_BYTES);
        if let Some(frame) = frame {
            frame.clear((start % PAGE_BYTES) as usize, (end - start) as usize);
        }
    }

    fn give_back(&self, pages: u64) {
        if pages > 0 {
            self.pages_used.fetch_sub(pages, Ordering::Relaxed);
            ALL_PAGES.fetch_sub(pages, Ordering::Relaxed);
            self.budget.uncharge(pages);
        }
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        let pages = *self.pages_used.get_mut();
        ALL_PAGES.fetch_sub(pages, Ordering::Relaxed);
        self.budget.uncharge(pages);
    }
}

impl Backing for Content {
    fn page(&self, index: u64, _write: bool) -> Result<Frame, PageError> {
        if index >= self.size_bytes().div_ceil(PAGE_BYTES) {
            return Err(PageError::PastEnd);
        }
        self.page_to_write(index).map_err(|error| match error {
            Errno::ENOMEM => PageError::NoMemory,
            _ => PageError::PastEnd,
        })
    }

    fn is_resident(&self, index: u64) -> bool {
        self.pages.lock().frame(index).is_some()
    }

    fn resident_page(&self, index: u64) -> Option<Frame> {
        if index < self.size_bytes().div_ceil(PAGE_BYTES) { self.pages.lock().frame(index) } else { None }
    }

    fn mappers(&self) -> &Mappers {
        &self.mappers
    }

    fn mapped(&self, shared: bool, writable: bool) -> Result<(), Errno> {
        self.writable_mappings.fetch_add(u64::from(shared && writable), Ordering::AcqRel);
        Ok(())
    }

    fn unmapped(&self, shared: bool, writable: bool) {
        self.writable_mappings.fetch_sub(u64::from(shared && writable), Ordering::AcqRel);
    }

    fn identity(&self) -> BackingIdentity {
        BackingIdentity::default()
    }
}

/// What stands for a page.
enum Look {
    Frame(Frame),
    Origin(&'static [u8]),
    Hole,
}

impl Pages {
    fn frame(&self, index: u64) -> Option<Frame> {
        self.groups.get(&(index / GROUP_PAGES))?.frames[(index % GROUP_PAGES) as usize].clone()
    }

    fn has(&self, index: u64) -> bool {
        let group = self.groups.get(&(index / GROUP_PAGES));
        group.is_some_and(|group| group.present >> (index % GROUP_PAGES) & 1 != 0)
            || index * PAGE_BYTES < self.origin.len() as u64
    }

    /// The next page after `index` that may differ from it: whole absent groups are skipped.
    fn next_of_interest(&self, index: u64) -> u64 {
        let group = index / GROUP_PAGES;
        if self.groups.contains_key(&group) || index * PAGE_BYTES < self.origin.len() as u64 {
            return index + 1;
        }
        self.groups.range(group..).next().map_or(u64::MAX, |(next, _)| next * GROUP_PAGES)
    }

    fn insert(&mut self, index: u64, frame: Frame) {
        let new = || Box::new(Group { frames: [const { None }; GROUP_PAGES as usize], present: 0 });
        let group = self.groups.entry(index / GROUP_PAGES).or_insert_with(new);
        group.present |= 1 << (index % GROUP_PAGES);
        group.frames[(index % GROUP_PAGES) as usize] = Some(frame);
    }

    /// Removes the pages from `first` on; gives how many there were.
    fn remove_from(&mut self, first: u64) -> u64 {
        let beyond = self.groups.split_off(&first.div_ceil(GROUP_PAGES));
        let freed: u64 = beyond.values().map(|group| u64::from(group.present.count_ones())).sum();
        freed + self.remove_range(first, first.next_multiple_of(GROUP_PAGES))
    }

    /// Removes the pages `first .. last`; gives how many there were.
    fn remove_range(&mut self, first: u64, last: u64) -> u64 {
        let mut freed = 0;
        let mut from = first;
        while from < last {
            let Some((&number, _)) = self.groups.range(from / GROUP_PAGES..).next() else { break };
            let start = from.max(number * GROUP_PAGES);
            let end = last.min((number + 1) * GROUP_PAGES);
            if start >= end {
                break;
            }
            freed += self.remove_within(number, start % GROUP_PAGES, end - number * GROUP_PAGES);
            from = end;
        }
        freed
    }

    /// Removes pages `start .. end` of a group, and the group with its last page.
    fn remove_within(&mut self, number: u64, start: u64, end: u64) -> u64 {
        let Some(group) = self.groups.get_mut(&number) else { return 0 };
        let before = group.present.count_ones();
        for slot in start..end {
            group.frames[slot as usize] = None;
            group.present &= !(1 << slot);
        }
        let freed = before - group.present.count_ones();
        if group.present == 0 {
            self.groups.remove(&number);
        }
        u64::from(freed)
    }
}
