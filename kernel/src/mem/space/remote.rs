//! Access to an address space that need not be current: `process_vm_readv(2)`, ptrace, `/proc/<pid>/mem`, exec's argument
//! copy; and the identity of a user word for shared futexes.

use super::*;
use crate::mem::addr::page_down;
use crate::mem::frame::Frame;

/// What a futex word is known by, however many spaces map it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WordKey {
    /// The space's number, or the address of an object, which no number gets as high as.
    owner: u64,
    /// The address, or the offset in the object. Without the lowest bit, which is for the use of who has the key.
    place: u64,
}

impl WordKey {
    /// The same word under another key, if `mark`.
    #[must_use]
    pub fn marked(self, mark: bool) -> Self {
        Self { place: self.place & !1 | u64::from(mark), ..self }
    }

    /// Whether it is marked.
    pub fn is_marked(self) -> bool {
        self.place & 1 != 0
    }

    /// A word of private memory.
    fn private(space: u64, address: u64) -> Self {
        Self { owner: space, place: address & !1 }
    }

    /// A word of an object. An offset is of at most 2^63 bytes.
    fn shared(object: usize, page: u64, offset: u64) -> Self {
        Self { owner: object as u64, place: (page * PAGE_SIZE + offset) & !1 }
    }
}

impl AddressSpace {
    /// Copies out of this address space, bringing pages in; gives the bytes copied, fewer than asked at a fault.
    pub fn read_remote(&self, addr: u64, into: &mut [u8]) -> usize {
        let mut done = 0;
        while done < into.len() {
            let Some(at) = addr.checked_add(done as u64) else { break };
            let offset = (at - page_down(at)) as usize;
            let count = (PAGE_SIZE as usize - offset).min(into.len() - done);
            let Ok(frame) = self.frame_at(at, Access::Read) else { break };
            frame.read(offset, &mut into[done..done + count]);
            done += count;
        }
        done
    }

    /// Copies into this address space, bringing pages in; gives the bytes copied, fewer than asked at a fault.
    pub fn write_remote(&self, addr: u64, from: &[u8]) -> usize {
        let mut done = 0;
        while done < from.len() {
            let Some(at) = addr.checked_add(done as u64) else { break };
            let offset = (at - page_down(at)) as usize;
            let count = (PAGE_SIZE as usize - offset).min(from.len() - done);
            let Ok(frame) = self.frame_at(at, Access::Write) else { break };
            frame.write(offset, &from[done..done + count]);
            done += count;
        }
        done
    }

    /// Writes although the mapping may not allow it, as a debugger does to set a breakpoint (`FOLL_FORCE`): a private
    /// mapping gets its own copy of the page. Gives the bytes copied.
    pub fn write_forced(&self, addr: u64, from: &[u8]) -> usize {
        let mut done = 0;
        while done < from.len() {
            let Some(at) = addr.checked_add(done as u64) else { break };
            let offset = (at - page_down(at)) as usize;
            let count = (PAGE_SIZE as usize - offset).min(from.len() - done);
            let frame = self.frame_at(at, Access::Write).or_else(|_| self.private_copy(at));
            let Ok(frame) = frame else { break };
            frame.write(offset, &from[done..done + count]);
            done += count;
        }
        done
    }

    /// The frame behind `addr`, brought in for `access`.
    pub fn frame_at(&self, addr: u64, access: Access) -> Result<Frame, FaultError> {
        if addr >= USER_END {
            return Err(FaultError::NotMapped);
        }
        let addr = page_down(addr);
        let mut inner = self.inner.lock();
        let mut gather = Gather::new(self.cpus());
        inner.fault(addr, access, &mut gather)?;
        inner.frame_of(addr)
    }

    /// Who a word at `addr` is. For `shared` futexes the object it lies in, if it lies in a shared mapping.
    /// Errors: EFAULT if nothing is mapped there.
    #[inline]
    pub fn word_key(&self, addr: u64, shared: bool) -> Result<WordKey, Errno> {
        if !shared {
            return Ok(WordKey::private(self.id, addr));
        }
        let inner = self.inner.lock();
        let vma = inner.vmas.at(addr).ok_or(Errno::EFAULT)?;
        Ok(match &vma.mapping {
            Some(mapping) if vma.is_shared() => {
                let object = core::ptr::from_ref(mapping.object.mappers()).addr();
                WordKey::shared(object, vma.page_index(addr), addr % PAGE_SIZE)
            }
            _ => WordKey::private(self.id, addr),
        })
    }

    /// Makes the page at `addr` of a private mapping a private copy, still read only, and gives it.
    fn private_copy(&self, addr: u64) -> Result<Frame, FaultError> {
        let addr = page_down(addr);
        let mut inner = self.inner.lock();
        let mut gather = Gather::new(self.cpus());
        let vma = inner.vmas.at(addr).ok_or(FaultError::NotMapped)?;
        if vma.is_shared() || vma.flags.contains(VmFlags::SPECIAL) || vma.prot.is_empty() {
            return Err(FaultError::NotAllowed);
        }
        inner.fault(addr, Access::Read, &mut gather)?;
        inner.own(addr, &mut gather)?;
        inner.frame_of(addr)
    }
}

impl Inner {
    /// The frame of a page that is present.
    fn frame_of(&self, addr: u64) -> Result<Frame, FaultError> {
        let slot = self.table.slot(addr).ok_or(FaultError::NotMapped)?;
        Ok(if slot.get().is_special() { frame::frame_of_special(slot.get().phys()) } else { slot.share() })
    }
}
