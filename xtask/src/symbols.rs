//! Names for the addresses of a kernel's back trace, by binutils' `addr2line` (it comes with the compiler).

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A back trace being collected: its names are looked up together.
pub struct BackTrace {
    image: PathBuf,
    addresses: Vec<u64>,
}

impl BackTrace {
    /// For addresses in this kernel image.
    pub fn of(image: &Path) -> Self {
        Self { image: image.to_owned(), addresses: Vec::new() }
    }

    /// Takes a line of a back trace, `  [<0x…>]`; false if it is another line.
    pub fn take(&mut self, line: &[u8]) -> bool {
        let address = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.trim().strip_prefix("[<0x")?.strip_suffix(">]"))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        self.addresses.extend(address);
        address.is_some()
    }

    /// The text of the back trace taken so far, which is then forgotten.
    pub fn told(&mut self) -> String {
        let addresses = std::mem::take(&mut self.addresses);
        if addresses.is_empty() {
            return String::new();
        }
        self.named(&addresses).unwrap_or_else(|| {
            addresses.iter().fold(String::new(), |mut text, address| {
                let _ = writeln!(text, "  {address:#x}");
                text
            })
        })
    }

    /// Each address with its function, file and line, and those the compiler put in line; `None` without `addr2line`.
    fn named(&self, addresses: &[u64]) -> Option<String> {
        let mut command = Command::new("addr2line");
        command
            .args(["--functions", "--demangle", "--pretty-print", "--inlines", "--addresses", "--exe"])
            .arg(&self.image);
        // A return address stands behind its call: the byte before it is still in it.
        command.args(addresses.iter().map(|address| format!("{:#x}", address.wrapping_sub(1))));
        let output = command.output().ok().filter(|output| output.status.success())?;
        let root = format!("{}/", crate::build::root().display());
        let text = String::from_utf8_lossy(&output.stdout).replace(&root, "");
        Some(text.lines().fold(String::new(), |mut all, line| {
            let _ = writeln!(all, "  {line}");
            all
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_a_back_trace_are_taken() {
        let mut trace = BackTrace::of(Path::new("/nowhere"));
        assert!(trace.take(b"  [<0xffffffff80200000>]\n"));
        assert!(!trace.take(b"kernel panicked\n"));
        assert_eq!(trace.told(), "  0xffffffff80200000\n");
        assert_eq!(trace.told(), "");
    }
}
