//! The host side of RustOS, as a library: the `xtask` command and the `tests` room stand on it.
//!
//! The room exists because `just run ./prog` is more than a line of shell: the program must look as if it ran on the host.
//! Its bytes come out on the right descriptors, its end becomes the command's exit status, a terminal is handed to the guest
//! and given back, and nothing is left behind when something goes wrong. `docs/host-protocol.md` says how guest and host talk.
//!
//! [`options`] reads what the user asked for, [`build`] and [`userland`] have cargo and
//! musl-gcc build it, [`initrd`] and [`rootfs`] pack it ([`image`] for firmware to boot), [`machine`]
//! starts QEMU with its [`channels`] and reads its [`report`] (with names from [`symbols`]), and [`terminal`] minds the user's terminal meanwhile.
//! [`debug`] does the same under gdb, [`debian`] makes a root file system of real programs. [`check`] holds the sources against the house rules.

pub mod bench;
pub mod build;
pub mod channels;
pub mod check;
pub mod debian;
pub mod debug;
pub mod image;
pub mod initrd;
pub mod machine;
pub mod options;
pub mod report;
pub mod rootfs;
pub mod symbols;
pub mod tarball;
pub mod terminal;
pub mod userland;
pub mod virtio;
