//! User memory: typed claims and the copies behind them.
//!
//! A claim ([`UserIn`], [`UserOut`], [`UserSlice`], [`UserStr`]) is `Copy` and holds an address a user gave, no more;
//! nothing here ever makes a Rust reference into user memory. Data is copied once and checked afterwards.
//! Every access is to the *current* address space. It is tried inline under the exception table; if it faults, the
//! address space brings the page in and the access is tried again, so the caller sees `EFAULT` only when the user
//! has no such memory. Hence callers hold no lock that a fault takes: none of rank `AddressSpace` or above.

use core::marker::PhantomData;
use core::mem::size_of;

use abi::{Errno, Pod};
use alloc::vec::Vec;

use super::addr::{PAGE_SIZE, UserAddr};
use super::oom;
use super::space::{Access, FaultError};
use crate::arch;

/// The most bytes one read or write moves (Linux's `MAX_RW_COUNT`).
pub const MAX_RW_COUNT: u64 = 0x7fff_f000;
/// The most buffers in one vector (`UIO_MAXIOV`).
pub const IOV_MAX: u64 = 1024;

/// A claim that a `T` can be read at this address.
pub struct UserIn<T>(UserAddr, PhantomData<fn() -> T>);

/// A claim that a `T` can be written at this address.
pub struct UserOut<T>(UserAddr, PhantomData<fn(T)>);

impl<T> Clone for UserIn<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for UserIn<T> {}
impl<T> Clone for UserOut<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for UserOut<T> {}

impl<T: Pod> UserIn<T> {
    /// The claim that `addr` holds a `T`.
    pub const fn new(addr: u64) -> Self {
        Self(UserAddr(addr), PhantomData)
    }

    /// The address.
    pub const fn addr(self) -> UserAddr {
        self.0
    }

    /// Whether the pointer is null, which many calls give a meaning.
    pub const fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Copies the value in. Errors: EFAULT.
    pub fn read(self) -> Result<T, Errno> {
        let mut value = T::new_zeroed();
        copy_in(self.0, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Copies the value in, unless the pointer is null.
    pub fn read_optional(self) -> Result<Option<T>, Errno> {
        if self.is_null() { Ok(None) } else { self.read().map(Some) }
    }

    /// The claim on element `index` of an array that starts here.
    pub fn element(self, index: u64) -> Self {
        Self::new(self.0.0.wrapping_add(index.wrapping_mul(size_of::<T>() as u64)))
    }
}

impl<T: Pod> UserOut<T> {
    /// The claim that a `T` may be written at `addr`.
    pub const fn new(addr: u64) -> Self {
        Self(UserAddr(addr), PhantomData)
    }

    /// The address.
    pub const fn addr(self) -> UserAddr {
        self.0
    }

    /// Whether the pointer is null, which many calls give a meaning.
    pub const fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Copies the value out. Errors: EFAULT.
    pub fn write(self, value: &T) -> Result<(), Errno> {
        copy_out(self.0, value.as_bytes())
    }

    /// Copies the value out, unless the pointer is null.
    pub fn write_optional(self, value: &T) -> Result<(), Errno> {
        if self.is_null() { Ok(()) } else { self.write(value) }
    }

    /// The claim on element `index` of an array that starts here.
    pub fn element(self, index: u64) -> Self {
        Self::new(self.0.0.wrapping_add(index.wrapping_mul(size_of::<T>() as u64)))
    }
}

/// A claim on a NUL-terminated string.
#[derive(Clone, Copy, Debug)]
pub struct UserStr(pub UserAddr);

impl UserStr {
    /// The claim that `addr` holds a string.
    pub const fn new(addr: u64) -> Self {
        Self(UserAddr(addr))
    }

    /// Copies the string into `buffer`, without its NUL, and gives it back as a slice.
    /// `Ok(None)`: no NUL within the buffer. Errors: EFAULT.
    pub fn read_into(self, buffer: &mut [u8]) -> Result<Option<&[u8]>, Errno> {
        let mut done = 0;
        while done < buffer.len() {
            let addr = self.0.offset(done as u64);
            let limit = (buffer.len() - done).min(super::USER_END.saturating_sub(addr.0) as usize);
            if limit == 0 {
                return Err(Errno::EFAULT);
            }
            match arch::copy_string_from_user(&mut buffer[done..done + limit], addr.0) {
                arch::StringCopy::Whole(len) => return Ok(Some(&buffer[..done + len])),
                arch::StringCopy::Full => done += limit,
                arch::StringCopy::Fault(copied) => {
                    done += copied;
                    bring_in(self.0.0.wrapping_add(done as u64), Access::Read)?;
                }
            }
        }
        Ok(None)
    }

    /// Copies a string of at most `max_bytes` bytes, NUL included. Errors: EFAULT; `too_long` if it is longer.
    pub fn read(self, max_bytes: usize, too_long: Errno) -> Result<Vec<u8>, Errno> {
        let mut buffer = Vec::new();
        loop {
            let start = buffer.len();
            let room = if start == 0 { 256 } else { start }.min(max_bytes - start);
            if room == 0 {
                return Err(too_long);
            }
            buffer.try_reserve_exact(room).map_err(|_| Errno::ENOMEM)?;
            buffer.resize(start + room, 0);
            let rest = UserStr(self.0.offset(start as u64));
            if let Some(len) = rest.read_into(&mut buffer[start..])?.map(<[u8]>::len) {
                buffer.truncate(start + len);
                return Ok(buffer);
            }
        }
    }
}

/// A claim on `len` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserSlice {
    /// The first byte.
    pub addr: UserAddr,
    /// How many.
    pub len: u64,
}

impl UserSlice {
    /// The claim on `len` bytes at `addr`.
    pub const fn new(addr: u64, len: u64) -> Self {
        Self { addr: UserAddr(addr), len }
    }

    /// Refuses with EFAULT a range that leaves the user half, as Linux does before it looks at anything else.
    pub fn check(self) -> Result<Self, Errno> {
        self.addr.range(self.len).map(|_| self)
    }

    /// Copies in from `offset` bytes on; gives the bytes copied, fewer than asked only at a fault or the end.
    pub fn read_at(self, offset: u64, into: &mut [u8]) -> usize {
        let len = clamp(self.len.saturating_sub(offset), into.len());
        copy_in_partial(self.addr.offset(offset), &mut into[..len])
    }

    /// Copies out from `offset` bytes on; gives the bytes copied, fewer than asked only at a fault or the end.
    pub fn write_at(self, offset: u64, from: &[u8]) -> usize {
        let len = clamp(self.len.saturating_sub(offset), from.len());
        copy_out_partial(self.addr.offset(offset), &from[..len])
    }

    /// Copies all of it into a new vector. Errors: EFAULT, ENOMEM.
    pub fn read_all(self) -> Result<Vec<u8>, Errno> {
        self.check()?;
        let len = usize::try_from(self.len).map_err(|_| Errno::ENOMEM)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(len, 0);
        copy_in(self.addr, &mut bytes)?;
        Ok(bytes)
    }
}

/// The user buffers of one transfer, and how far it has come: a cursor over one or more [`UserSlice`]s.
#[derive(Clone, Debug)]
pub struct UserBuffers {
    first: UserSlice,
    /// Further slices, in reverse order.
    rest: Vec<UserSlice>,
    remaining: u64,
}

impl UserBuffers {
    /// A single buffer, as `read(2)` and `write(2)` have it. Errors: EINVAL for a negative length, EFAULT for a range
    /// outside the user half. Longer than [`MAX_RW_COUNT`] is cut.
    pub fn single(addr: u64, len: u64) -> Result<Self, Errno> {
        let whole = UserSlice::new(addr, len).check()?;
        let first = UserSlice { len: whole.len.min(MAX_RW_COUNT), ..whole };
        Ok(Self { first, rest: Vec::new(), remaining: first.len })
    }

    /// A vector of `struct iovec`, in the order of Linux's `import_iovec`. Errors: EINVAL for more than
    /// [`IOV_MAX`] buffers or a negative length, EFAULT, ENOMEM. The total is cut at [`MAX_RW_COUNT`].
    pub fn vector(addr: u64, count: u64) -> Result<Self, Errno> {
        if count > IOV_MAX {
            return Err(Errno::EINVAL);
        }
        let claim = UserIn::<[u64; 2]>::new(addr);
        let mut slices = Vec::new();
        slices.try_reserve_exact(count as usize).map_err(|_| Errno::ENOMEM)?;
        let mut remaining = 0;
        for index in 0..count {
            let [base, len] = claim.element(index).read()?;
            if i64::try_from(len).is_err() {
                return Err(Errno::EINVAL);
            }
            let whole = UserSlice::new(base, len).check()?;
            let len = whole.len.min(MAX_RW_COUNT - remaining);
            remaining += len;
            slices.push(UserSlice { len, ..whole });
        }
        slices.reverse();
        let first = slices.pop().unwrap_or(UserSlice::new(0, 0));
        Ok(Self { first, rest: slices, remaining })
    }

    /// Bytes not yet transferred.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Limits the transfer to `len` further bytes.
    pub fn truncate(&mut self, len: u64) {
        self.remaining = self.remaining.min(len);
    }

    /// Copies from the user into `into` and advances. Fewer than both sides allow only at a fault: a caller that gets
    /// 0 for a non-empty transfer reports EFAULT.
    pub fn read(&mut self, into: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(slice) = self.current(into.len() - done) {
            let copied = copy_in_partial(slice.addr, &mut into[done..done + slice.len as usize]);
            self.advance(copied as u64);
            done += copied;
            if copied < slice.len as usize {
                break;
            }
        }
        done
    }

    /// Copies `from` to the user and advances. Fewer than both sides allow only at a fault.
    pub fn write(&mut self, from: &[u8]) -> usize {
        let mut done = 0;
        while let Some(slice) = self.current(from.len() - done) {
            let copied = copy_out_partial(slice.addr, &from[done..done + slice.len as usize]);
            self.advance(copied as u64);
            done += copied;
            if copied < slice.len as usize {
                break;
            }
        }
        done
    }

    /// Writes `len` zero bytes to the user and advances. Fewer than both sides allow only at a fault.
    pub fn write_zeros(&mut self, len: usize) -> usize {
        let mut done = 0;
        while let Some(slice) = self.current(len - done) {
            let cleared = clear_partial(slice);
            self.advance(cleared as u64);
            done += cleared;
            if cleared < slice.len as usize || done == len {
                break;
            }
        }
        done
    }

    /// Whether everything has been transferred.
    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }

    /// The next stretch of contiguous user memory, at most `limit` bytes; `None` at the end.
    fn current(&mut self, limit: usize) -> Option<UserSlice> {
        if limit == 0 || self.remaining == 0 {
            return None;
        }
        while self.first.len == 0 {
            self.first = self.rest.pop()?;
        }
        let len = self.first.len.min(limit as u64).min(self.remaining);
        Some(UserSlice { len, ..self.first })
    }

    fn advance(&mut self, bytes: u64) {
        self.first.addr = self.first.addr.offset(bytes);
        self.first.len -= bytes;
        self.remaining -= bytes;
    }
}

/// A claim on a 32-bit word that threads and the kernel access atomically (futexes, robust lists, `clear_child_tid`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserWord(UserAddr);

impl UserWord {
    /// The claim on the word at `addr`. Errors: EINVAL if it is not aligned, EFAULT outside the user half.
    pub fn new(addr: u64) -> Result<Self, Errno> {
        if addr & 3 != 0 {
            return Err(Errno::EINVAL);
        }
        UserAddr(addr).range(4)?;
        Ok(Self(UserAddr(addr)))
    }

    /// The address.
    pub const fn addr(self) -> UserAddr {
        self.0
    }

    /// Reads the word. Errors: EFAULT.
    pub fn load(self) -> Result<u32, Errno> {
        retry(self.0, Access::Read, || arch::user_load_u32(self.0.0))
    }

    /// Reads the word without bringing its page in: `None` if that would fault. For use under a futex bucket's lock.
    pub fn load_resident(self) -> Option<u32> {
        arch::user_load_u32(self.0.0)
    }

    /// Writes the word. Errors: EFAULT.
    pub fn store(self, value: u32) -> Result<(), Errno> {
        self.swap(value).map(|_| ())
    }

    /// Replaces the word, giving what it was. Errors: EFAULT.
    pub fn swap(self, value: u32) -> Result<u32, Errno> {
        retry(self.0, Access::Write, || arch::user_swap_u32(self.0.0, value))
    }

    /// Replaces the word if it is `old`; gives what it was. Errors: EFAULT.
    pub fn compare_exchange(self, old: u32, new: u32) -> Result<u32, Errno> {
        retry(self.0, Access::Write, || arch::user_compare_exchange_u32(self.0.0, old, new))
    }

    /// Replaces the word by a function of itself, atomically; gives what it was. Errors: EFAULT.
    pub fn update(self, function: impl Fn(u32) -> u32) -> Result<u32, Errno> {
        let mut seen = self.load()?;
        loop {
            let found = self.compare_exchange(seen, function(seen))?;
            if found == seen {
                return Ok(seen);
            }
            seen = found;
        }
    }

    /// Like [`UserWord::update`], but never brings a page in: `None` if that would be needed.
    pub fn update_resident(self, function: impl Fn(u32) -> u32) -> Option<u32> {
        let mut seen = arch::user_load_u32(self.0.0)?;
        loop {
            let found = arch::user_compare_exchange_u32(self.0.0, seen, function(seen))?;
            if found == seen {
                return Some(seen);
            }
            seen = found;
        }
    }

    /// Brings the word's page in for `access`, as a page fault would. Errors: EFAULT.
    pub fn bring_in(self, access: Access) -> Result<(), Errno> {
        bring_in(self.0.0, access)
    }
}

/// Copies all of `into.len()` bytes in. Errors: EFAULT.
pub fn copy_in(addr: UserAddr, into: &mut [u8]) -> Result<(), Errno> {
    if copy_in_partial(addr, into) == into.len() { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Copies all of `from` out. Errors: EFAULT.
pub fn copy_out(addr: UserAddr, from: &[u8]) -> Result<(), Errno> {
    if copy_out_partial(addr, from) == from.len() { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Copies in up to the first byte that cannot be read; gives the bytes copied. Nothing outside the user half is read.
pub fn copy_in_partial(addr: UserAddr, into: &mut [u8]) -> usize {
    if addr.range(into.len() as u64).is_err() {
        return 0;
    }
    let mut done = 0;
    loop {
        done = into.len() - arch::copy_from_user(&mut into[done..], addr.0 + done as u64);
        if done == into.len() || bring_in(addr.0 + done as u64, Access::Read).is_err() {
            return done;
        }
    }
}

/// Copies out up to the first byte that cannot be written; gives the bytes copied.
pub fn copy_out_partial(addr: UserAddr, from: &[u8]) -> usize {
    if addr.range(from.len() as u64).is_err() {
        return 0;
    }
    let mut done = 0;
    loop {
        done = from.len() - arch::copy_to_user(addr.0 + done as u64, &from[done..]);
        if done == from.len() || bring_in(addr.0 + done as u64, Access::Write).is_err() {
            return done;
        }
    }
}

/// Zeroes up to the first byte that cannot be written; gives the bytes cleared.
pub fn clear_partial(slice: UserSlice) -> usize {
    let len = slice.len as usize;
    if slice.check().is_err() {
        return 0;
    }
    let mut done = 0;
    loop {
        done = len - arch::clear_user(slice.addr.0 + done as u64, len - done);
        if done == len || bring_in(slice.addr.0 + done as u64, Access::Write).is_err() {
            return done;
        }
    }
}

/// Tries `access_once` until it succeeds or the fault it meets cannot be mended.
#[inline]
fn retry(addr: UserAddr, access: Access, access_once: impl Fn() -> Option<u32>) -> Result<u32, Errno> {
    addr.range(4)?;
    loop {
        if let Some(value) = access_once() {
            return Ok(value);
        }
        bring_in(addr.0, access)?;
    }
}

/// Has the current address space mend a fault at `addr`. Errors: EFAULT.
#[cold]
fn bring_in(addr: u64, access: Access) -> Result<(), Errno> {
    let space = super::current_space().ok_or(Errno::EFAULT)?;
    space.fault(addr, access).map_err(|error| {
        if error == FaultError::NoMemory {
            // The call cannot wait for memory: it fails, and if its own process is picked, that matters no more.
            oom::kill();
        }
        Errno::EFAULT
    })
}

fn clamp(len: u64, limit: usize) -> usize {
    len.min(limit as u64) as usize
}

const _: () = assert!(PAGE_SIZE as usize >= size_of::<u64>());
