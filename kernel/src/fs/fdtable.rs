//! [`FdTable`]: the descriptors of a process, shared by `CLONE_FILES` and copied by fork (`fs/file.c`).
//!
//! One spin lock guards slots and bitmaps. Files that leave the table are dropped after it is released, since
//! dropping one may do real work. The lowest free descriptor is found through two levels of bitmaps: a word
//! says which words of the next are full.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;

use super::{File, OpenFlags};
use crate::sync::{Rank, SpinLock};

/// No table grows beyond this, whatever the limit says (`sysctl_nr_open`).
pub const MAX_DESCRIPTORS: u32 = 1 << 20;

/// A descriptor and what the table knows of it.
#[derive(Clone, Default)]
struct Slots {
    files: Vec<Option<Arc<File>>>,
    taken: BitSet,
    close_on_exec: BitSet,
}

/// A table of file descriptors.
pub struct FdTable {
    id: u64,
    slots: SpinLock<Slots>,
}

impl FdTable {
    /// An empty table.
    pub fn new() -> Arc<Self> {
        Self::with_slots(Slots::default())
    }

    fn with_slots(slots: Slots) -> Arc<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { id, slots: SpinLock::new(Rank::FdTable, slots) })
    }

    /// A copy that refers to the same open files: what fork(2) gives the child (`dup_fd`).
    pub fn fork(&self) -> Arc<Self> {
        let copy = self.slots.lock().clone();
        Self::with_slots(copy)
    }

    /// The owner of POSIX record locks taken through this table.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The open file of `fd`; `EBADF` if there is none or it is an `O_PATH` one (`fdget`).
    #[inline]
    pub fn get(&self, fd: i32) -> Result<Arc<File>, Errno> {
        let file = self.get_any(fd)?;
        if file.flags().contains(OpenFlags::O_PATH) { Err(Errno::EBADF) } else { Ok(file) }
    }

    /// The open file of `fd`, `O_PATH` ones included (`fdget_raw`).
    #[inline]
    pub fn get_any(&self, fd: i32) -> Result<Arc<File>, Errno> {
        let slots = self.slots.lock();
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        slots.files.get(index).and_then(Option::as_ref).cloned().ok_or(Errno::EBADF)
    }

    /// Gives `file` the lowest free descriptor below `limit` (`RLIMIT_NOFILE`'s soft value). `EMFILE`.
    pub fn install(&self, file: Arc<File>, close_on_exec: bool, limit: u64) -> Result<i32, Errno> {
        self.install_from(0, file, close_on_exec, limit)
    }

    /// Whether [`Self::install`] would find a descriptor. `EMFILE`.
    pub fn check_room(&self, limit: u64) -> Result<(), Errno> {
        let lowest = self.slots.lock().taken.first_clear(0);
        if lowest < clamp_limit(limit) { Ok(()) } else { Err(Errno::EMFILE) }
    }

    /// As [`Self::install`], but no lower than `lowest` (fcntl's `F_DUPFD`). `EINVAL` if that is past the limit.
    pub fn install_from(&self, lowest: i32, file: Arc<File>, close_on_exec: bool, limit: u64) -> Result<i32, Errno> {
        let limit = clamp_limit(limit);
        let lowest = u32::try_from(lowest).map_err(|_| Errno::EINVAL)?;
        if lowest >= limit && lowest != 0 {
            return Err(Errno::EINVAL);
        }
        let mut slots = self.slots.lock();
        let fd = slots.taken.first_clear(lowest);
        if fd >= limit {
            drop(slots);
            return Err(Errno::EMFILE);
        }
        let replaced = slots.put(fd, file, close_on_exec);
        debug_assert!(replaced.is_none());
        Ok(fd as i32)
    }

    /// Makes `fd` refer to `file`, and returns what it referred to before (dup2(2), dup3(2)). `EBADF` if `fd` is past `limit`.
    pub fn install_at(
        &self,
        fd: i32,
        file: Arc<File>,
        close_on_exec: bool,
        limit: u64,
    ) -> Result<Option<Arc<File>>, Errno> {
        let fd = u32::try_from(fd).map_err(|_| Errno::EBADF)?;
        if fd >= clamp_limit(limit) {
            return Err(Errno::EBADF);
        }
        let replaced = self.slots.lock().put(fd, file, close_on_exec);
        Ok(replaced.inspect(|file| self.closed(file)))
    }

    /// Takes `fd` out of the table. The caller flushes the file and drops it. `EBADF`.
    pub fn close(&self, fd: i32) -> Result<Arc<File>, Errno> {
        let fd = u32::try_from(fd).map_err(|_| Errno::EBADF)?;
        let file = self.slots.lock().take(fd).ok_or(Errno::EBADF)?;
        self.closed(&file);
        Ok(file)
    }

    /// Closes every descriptor from `first` to `last`, both included (close_range(2)).
    pub fn close_range(&self, first: u32, last: u32) {
        self.close_where(first, last, |_, _| true);
    }

    /// Marks every open descriptor from `first` to `last` close-on-exec (`CLOSE_RANGE_CLOEXEC`).
    pub fn set_close_on_exec_range(&self, first: u32, last: u32) {
        let mut slots = self.slots.lock();
        let end = slots.files.len().min(last as usize + 1);
        for fd in first as usize..end {
            if slots.files[fd].is_some() {
                slots.close_on_exec.set(fd as u32);
            }
        }
    }

    /// Closes what is marked close-on-exec: execve(2) is past its point of no return (`do_close_on_exec`).
    pub fn close_on_exec(&self) {
        self.close_where(0, u32::MAX, |slots, fd| slots.close_on_exec.get(fd));
    }

    /// Closes everything: the process is gone.
    pub fn close_all(&self) {
        self.close_where(0, u32::MAX, |_, _| true);
    }

    /// Whether `fd` is marked close-on-exec. `EBADF`.
    pub fn is_close_on_exec(&self, fd: i32) -> Result<bool, Errno> {
        let slots = self.slots.lock();
        slots.check(fd).map(|fd| slots.close_on_exec.get(fd))
    }

    /// Marks `fd` close-on-exec, or not. `EBADF`.
    pub fn mark_close_on_exec(&self, fd: i32, on: bool) -> Result<(), Errno> {
        let mut slots = self.slots.lock();
        let fd = slots.check(fd)?;
        slots.close_on_exec.assign(fd, on);
        Ok(())
    }

    /// The lowest open descriptor that is at least `from`, and its file: how /proc/PID/fd is listed.
    pub fn next_open(&self, from: u32) -> Option<(u32, Arc<File>)> {
        let slots = self.slots.lock();
        let found = slots.files.iter().enumerate().skip(from as usize).find_map(|(fd, file)| Some((fd, file.clone()?)));
        found.map(|(fd, file)| (fd as u32, file))
    }

    /// How many descriptors it has room for without growing (`FDSize` in /proc/PID/status).
    pub fn capacity(&self) -> usize {
        self.slots.lock().files.len().next_power_of_two().max(64)
    }

    fn close_where(&self, first: u32, last: u32, chosen: impl Fn(&Slots, u32) -> bool) {
        let mut fd = first;
        loop {
            let file = {
                let mut slots = self.slots.lock();
                let end = (slots.files.len() as u64).min(u64::from(last) + 1) as u32;
                while fd < end && !(slots.files[fd as usize].is_some() && chosen(&slots, fd)) {
                    fd += 1;
                }
                if fd >= end {
                    return;
                }
                slots.take(fd)
            };
            if let Some(file) = file {
                self.closed(&file);
            }
        }
    }

    /// A descriptor of `file` left this table: this process's record locks on its inode go (`filp_close`), unless the
    /// descriptor was but a place.
    fn closed(&self, file: &Arc<File>) {
        if !file.flags().contains(OpenFlags::O_PATH) {
            file.inode().locks_of_table_end(self.id);
        }
    }
}

impl Drop for FdTable {
    fn drop(&mut self) {
        self.close_all();
    }
}

fn clamp_limit(limit: u64) -> u32 {
    limit.min(u64::from(MAX_DESCRIPTORS)) as u32
}

impl Slots {
    fn check(&self, fd: i32) -> Result<u32, Errno> {
        let open = usize::try_from(fd).ok().and_then(|fd| self.files.get(fd)).is_some_and(Option::is_some);
        if open { Ok(fd as u32) } else { Err(Errno::EBADF) }
    }

    fn put(&mut self, fd: u32, file: Arc<File>, close_on_exec: bool) -> Option<Arc<File>> {
        let index = fd as usize;
        if index >= self.files.len() {
            self.files.resize_with(index + 1, || None);
        }
        self.taken.set(fd);
        self.close_on_exec.assign(fd, close_on_exec);
        self.files[index].replace(file)
    }

    fn take(&mut self, fd: u32) -> Option<Arc<File>> {
        let file = self.files.get_mut(fd as usize)?.take()?;
        self.taken.clear(fd);
        self.close_on_exec.clear(fd);
        Some(file)
    }
}

/// A growing set of small numbers that finds the lowest absent one quickly.
#[derive(Clone, Default)]
struct BitSet {
    words: Vec<u64>,
    /// Bit `n` is set when `words[n]` is full.
    full: Vec<u64>,
}

impl BitSet {
    fn get(&self, bit: u32) -> bool {
        self.words.get(bit as usize / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }

    fn assign(&mut self, bit: u32, on: bool) {
        if on { self.set(bit) } else { self.clear(bit) }
    }

    fn set(&mut self, bit: u32) {
        let index = bit as usize / 64;
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
            self.full.resize(index / 64 + 1, 0);
        }
        self.words[index] |= 1 << (bit % 64);
        if self.words[index] == u64::MAX {
            self.full[index / 64] |= 1 << (index % 64);
        }
    }

    fn clear(&mut self, bit: u32) {
        let index = bit as usize / 64;
        if let Some(word) = self.words.get_mut(index) {
            *word &= !(1 << (bit % 64));
            self.full[index / 64] &= !(1 << (index % 64));
        }
    }

    /// The lowest number that is at least `from` and not in the set.
    fn first_clear(&self, from: u32) -> u32 {
        let start = from as usize / 64;
        let Some(word) = self.words.get(start) else { return from };
        let below = (1u64 << (from % 64)) - 1;
        let free = !(word | below);
        if free != 0 {
            return start as u32 * 64 + free.trailing_zeros();
        }
        let index = self.first_not_full(start + 1);
        match self.words.get(index) {
            Some(word) => index as u32 * 64 + (!word).trailing_zeros(),
            None => index as u32 * 64,
        }
    }

    fn first_not_full(&self, from: usize) -> usize {
        let mut group = from / 64;
        let mut below = (1u64 << (from % 64)) - 1;
        while let Some(full) = self.full.get(group) {
            let free = !(full | below);
            if free != 0 {
                return group * 64 + free.trailing_zeros() as usize;
            }
            below = 0;
            group += 1;
        }
        from.max(group * 64)
    }
}
