//! tmpfs's mount options (`shmem_parse_one`).

use abi::Errno;

use crate::fs::content::PAGE_BYTES;

/// What a tmpfs is mounted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Pages it may use; `None` if not said, 0 for no limit.
    pub pages: Option<u64>,
    /// Inodes it may have; `None` if not said, 0 for no limit.
    pub inodes: Option<u64>,
    /// The root's mode.
    pub mode: u16,
    /// The root's owner.
    pub uid: u32,
    /// The root's group.
    pub gid: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { pages: None, inodes: None, mode: 0o1777, uid: 0, gid: 0 }
    }
}

impl Options {
    /// From the text mount(2) is given. `EINVAL` for an unknown option or a bad value.
    pub fn parse(text: &[u8]) -> Result<Self, Errno> {
        let mut options = Self::default();
        for option in text.split(|&byte| byte == b',').filter(|option| !option.is_empty()) {
            options.apply(option).ok_or(Errno::EINVAL)?;
        }
        Ok(options)
    }

    fn apply(&mut self, option: &[u8]) -> Option<()> {
        let option = core::str::from_utf8(option).ok()?;
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "size" => self.pages = Some(amount(value)?.div_ceil(PAGE_BYTES)),
            "nr_blocks" => self.pages = Some(amount(value)?),
            "nr_inodes" => self.inodes = Some(amount(value)?),
            "mode" => self.mode = u16::from_str_radix(value, 8).ok()? & 0o7777,
            "uid" => self.uid = value.parse().ok()?,
            "gid" => self.gid = value.parse().ok()?,
            "huge" | "mpol" | "inode32" | "inode64" => {}
            _ => return None,
        }
        Some(())
    }
}

/// A number with a suffix k, m, g or t (`memparse`). A percentage of memory is taken as no limit.
fn amount(text: &str) -> Option<u64> {
    if let Some(percent) = text.strip_suffix('%') {
        return percent.parse::<u64>().ok().map(|_| 0);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "t" | "T" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}
