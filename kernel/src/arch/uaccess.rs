//! What the two implementations of user access (the machine's and the host's) have in common.

/// How a copy of a string from the user ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringCopy {
    /// A NUL was found after so many bytes.
    Whole(usize),
    /// The buffer is full and no NUL was seen.
    Full,
    /// So many bytes were copied, and the next faulted.
    Fault(usize),
}

/// The end of the user half; the access functions refuse whatever lies above.
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;

/// Whether `len` bytes at `addr` lie in the user half. Cannot wrap.
pub(super) fn in_user_half(addr: u64, len: usize) -> bool {
    addr.checked_add(len as u64).is_some_and(|end| end <= USER_END)
}
