//! Extended attributes of tmpfs files: `trusted.` and `security.` (as Linux 6.1 has them) and `user.` (as 6.6 has).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use abi::Errno;

/// Attributes by name.
#[derive(Default)]
pub struct Xattrs(BTreeMap<Vec<u8>, Vec<u8>>);

/// Bytes of names and values one file may have, so that no user fills the kernel's memory.
const MAX_BYTES: usize = 128 * 1024;

impl Xattrs {
    /// The value of `name`. `ENODATA`.
    pub fn get(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.0.get(name).cloned().ok_or(Errno::ENODATA)
    }

    /// All names, each followed by a zero byte.
    pub fn list(&self) -> Vec<u8> {
        let mut names = Vec::new();
        for name in self.0.keys() {
            names.extend_from_slice(name);
            names.push(0);
        }
        names
    }

    /// Sets, or with `None` removes. `EEXIST`, `ENODATA`, `ENOSPC`.
    pub fn set(&mut self, name: &[u8], value: Option<&[u8]>, create: bool, replace: bool) -> Result<(), Errno> {
        let exists = self.0.contains_key(name);
        let Some(value) = value else {
            return self.0.remove(name).map(drop).ok_or(Errno::ENODATA);
        };
        if create && exists {
            return Err(Errno::EEXIST);
        }
        if replace && !exists {
            return Err(Errno::ENODATA);
        }
        let used: usize = self.0.iter().map(|(name, value)| name.len() + value.len()).sum();
        if used + name.len() + value.len() > MAX_BYTES {
            return Err(Errno::ENOSPC);
        }
        self.0.insert(name.to_vec(), value.to_vec());
        Ok(())
    }
}
