//! What the system calls itself: uname(2), sethostname(2).

/// The longest name of a system or host.
pub const NEW_UTS_LEN: usize = 64;

pods! {
    /// `struct new_utsname`: six strings, each ending in a zero.
    NewUtsname {
        sysname: [u8; 65],
        nodename: [u8; 65],
        release: [u8; 65],
        version: [u8; 65],
        machine: [u8; 65],
        domainname: [u8; 65],
    }
}

/// A field of [`NewUtsname`]: the text cut to 64 bytes, zeroes behind.
pub const fn field(text: &[u8]) -> [u8; 65] {
    let mut out = [0; 65];
    let mut i = 0;
    while i < text.len() && i < NEW_UTS_LEN {
        out[i] = text[i];
        i += 1;
    }
    out
}
