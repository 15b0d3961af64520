//! lseek(2)'s arithmetic.

use abi::Errno;

use super::Whence;

/// The offset a seek leads to in content of `size` bytes without holes (`generic_file_llseek_size`).
/// `EINVAL` before the start or past what an offset holds, `ENXIO` for data or holes past the end.
pub fn within_size(size: u64, position: u64, offset: i64, whence: Whence) -> Result<u64, Errno> {
    let base = match whence {
        Whence::Set => 0,
        Whence::Current => position,
        Whence::End => size,
        Whence::Data | Whence::Hole => {
            let inside = u64::try_from(offset).ok().filter(|&offset| offset < size).ok_or(Errno::ENXIO)?;
            return Ok(if whence == Whence::Data { inside } else { size });
        }
    };
    let target = i128::from(base) + i128::from(offset);
    i64::try_from(target).and_then(u64::try_from).map_err(|_| Errno::EINVAL)
}
