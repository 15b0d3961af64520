//! What a core file is called: `/proc/sys/kernel/core_pattern` (core(5), `format_corename()`).

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use abi::Errno;

use crate::sync::{Rank, Setting, SpinLock};

/// Room for the pattern, its final zero included (`CORENAME_MAX_SIZE`).
const MAX_BYTES: usize = 128;

/// The pattern, if it was ever changed. An empty one: no core files.
static PATTERN: SpinLock<Option<Vec<u8>>> = SpinLock::new(Rank::Cred, None);

/// `/proc/sys/kernel/core_uses_pid`: a pattern without `%p` gets `.%p` at its end.
pub static USES_PID: Setting = Setting::new(0, 0..=1);

/// What a pattern can name.
pub struct Names<'a> {
    /// `%p`, `%P`: the process.
    pub pid: i32,
    /// `%i`, `%I`: the thread that dumps.
    pub tid: i32,
    /// `%u`.
    pub uid: u32,
    /// `%g`.
    pub gid: u32,
    /// `%d`.
    pub dumpable: u8,
    /// `%s`.
    pub signal: i32,
    /// `%t`: seconds since 1970.
    pub time_s: u64,
    /// `%c`.
    pub limit: u64,
    /// `%h`.
    pub host: &'a [u8],
    /// `%e`: the thread's name.
    pub comm: &'a [u8],
    /// `%f`, `%E`: the program's file.
    pub program: &'a [u8],
}

/// The pattern.
pub fn get() -> Vec<u8> {
    PATTERN.lock().clone().unwrap_or_else(|| b"core".to_vec())
}

/// Changes it: the first line of `text`, cut to the room there is.
///
/// Deviates: programs are not started to take cores, so that a pattern beginning with `|` is EINVAL.
pub fn set(text: &[u8]) -> Result<(), Errno> {
    let line = text.split(|&byte| byte == b'\n' || byte == 0).next().unwrap_or_default();
    if line.starts_with(b"|") {
        return Err(Errno::EINVAL);
    }
    let old = PATTERN.lock().replace(line[..line.len().min(MAX_BYTES - 1)].to_vec());
    drop(old);
    Ok(())
}

/// The name of a core file, as the pattern now has it. `None` for an empty one.
pub fn file_name(names: &Names<'_>) -> Option<Vec<u8>> {
    expand(&get(), names, USES_PID.get() != 0)
}

fn expand(pattern: &[u8], names: &Names<'_>, uses_pid: bool) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    let mut has_pid = false;
    let mut rest = pattern.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            name.push(byte);
            continue;
        }
        let Some(letter) = rest.next() else { break };
        has_pid |= letter == b'p';
        name.extend(names.of(letter).unwrap_or_default());
    }
    if uses_pid && !has_pid {
        name.extend_from_slice(format!(".{}", names.pid).as_bytes());
    }
    if pattern.is_empty() { None } else { Some(name) }
}

impl Names<'_> {
    /// What stands for `%letter`; nothing for unknown letters.
    fn of(&self, letter: u8) -> Option<Vec<u8>> {
        let base = self.program.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        Some(match letter {
            b'%' => b"%".to_vec(),
            b'p' | b'P' => self.pid.to_string().into_bytes(),
            b'i' | b'I' => self.tid.to_string().into_bytes(),
            b'u' => self.uid.to_string().into_bytes(),
            b'g' => self.gid.to_string().into_bytes(),
            b'd' => self.dumpable.to_string().into_bytes(),
            b's' => self.signal.to_string().into_bytes(),
            b't' => self.time_s.to_string().into_bytes(),
            b'c' => self.limit.to_string().into_bytes(),
            b'h' => escaped(self.host),
            b'e' => escaped(self.comm),
            b'f' => escaped(base),
            b'E' => escaped(self.program),
            _ => return None,
        })
    }
}

/// A value, however made, names no other directory (`cn_esc_printf()`).
fn escaped(value: &[u8]) -> Vec<u8> {
    match value {
        b"." => b"!".to_vec(),
        b".." => b"!.".to_vec(),
        value => value.iter().map(|&byte| if byte == b'/' { b'!' } else { byte }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'static> = Names {
        pid: 7,
        tid: 8,
        uid: 1000,
        gid: 100,
        dumpable: 1,
        signal: 11,
        time_s: 12345,
        limit: u64::MAX,
        host: b"rustos",
        comm: b"a/b",
        program: b"/bin/true",
    };

    fn expanded(pattern: &str, uses_pid: bool) -> alloc::string::String {
        alloc::string::String::from_utf8(expand(pattern.as_bytes(), &NAMES, uses_pid).expect("a name")).expect("text")
    }

    #[test]
    fn a_pattern_names_what_its_letters_stand_for() {
        assert_eq!(expanded("core", false), "core");
        assert_eq!(expanded("core", true), "core.7");
        assert_eq!(expanded("core.%p", true), "core.7");
        assert_eq!(expanded("/tmp/%e-%s-%i-%u-%g-%d-%t-%h", false), "/tmp/a!b-11-8-1000-100-1-12345-rustos");
        assert_eq!(expanded("%%%f%E%q%", false), "%true!bin!true");
        assert_eq!(expand(b"", &NAMES, true), None);
    }

    #[test]
    fn a_value_leads_to_no_other_directory() {
        assert_eq!(escaped(b".."), b"!.");
        assert_eq!(escaped(b"."), b"!");
    }
}
