//! How a trace shows arguments that have names: `PROT_READ|PROT_WRITE`, `SIGUSR1`, `AT_FDCWD`. Which view an argument is
//! shown by follows from what it is called in the table: [`view_of`].

use core::fmt;

use abi::fcntl::{AT_FDCWD, OpenFlags, fcntl_name, whence_name};
use abi::mman::{MapFlags, MremapFlags, MsyncFlags, Prot, advice_name, membarrier_name};
use abi::poll::epoll_op_name;
use abi::resource::rlimit_name;
use abi::sched::{CloneFlags, policy_name};
use abi::signal::{how_name, signal_name};
use abi::socket::family_name;
use abi::termios::ioctl_name;
use abi::time::clock_name;
use abi::wait::{WaitOptions, idtype_name};

/// The view for an argument of a call, by their names in the table; `None`: by its type.
pub fn view_of(call: &str, argument: &str) -> Option<fn(u64, &mut fmt::Formatter<'_>) -> fmt::Result> {
    Some(match (call, argument) {
        (_, "dirfd" | "old_dirfd" | "new_dirfd") => Dirfd::show,
        (_, "prot") => Prot::show,
        (_, "advice") if call != "fadvise64" => MemoryAdvice::show,
        (_, "sig" | "signum") => SignalNumber::show,
        (_, "clockid" | "clock") => Clock::show,
        (_, "whence") => SeekFrom::show,
        (_, "options") => WaitOptions::show,
        (_, "resource") => ResourceKind::show,
        (_, "policy") => PolicyKind::show,
        (_, "family") => SocketFamily::show,
        ("mkdir" | "mkdirat" | "mknod" | "mknodat" | "chmod" | "fchmod" | "fchmodat" | "creat" | "umask", "mode") => {
            Mode::show
        }
        ("clone" | "unshare", "flags") => CloneWord::show,
        ("mmap", "flags") => MapFlags::show,
        ("mremap", "flags") => MremapFlags::show,
        ("msync", "flags") => MsyncFlags::show,
        ("open" | "openat", "flags") => OpenWord::show,
        ("pipe2" | "dup3" | "accept4" | "epoll_create1" | "inotify_init1", "flags") => DescriptorFlags::show,
        ("waitid", "which") => IdType::show,
        ("rt_sigprocmask", "how") => MaskHow::show,
        ("membarrier", "cmd") => BarrierCommand::show,
        ("fcntl", "command") => FileCommand::show,
        ("ioctl", "request") => DeviceRequest::show,
        ("epoll_ctl", "operation") => EpollOperation::show,
        _ => return None,
    })
}

/// A way to show what is in a register.
trait View {
    /// Writes it as strace does.
    fn show(register: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// Views of numbers that have names; others are shown as numbers.
macro_rules! named {
    ($($(#[$doc:meta])* $view:ident: $type:ty = $name:path;)*) => {$(
        $(#[$doc])*
        struct $view;

        impl View for $view {
            fn show(register: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let value = register as $type;
                match $name(value) {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{value}"),
                }
            }
        }
    )*};
}

named! {
    /// A signal.
    SignalNumber: u32 = signal_name;
    /// What rt_sigprocmask(2) is to do.
    MaskHow: u32 = how_name;
    /// A clock.
    Clock: i32 = clock_name;
    /// Advice about memory.
    MemoryAdvice: u32 = advice_name;
    /// A command of membarrier(2).
    BarrierCommand: u32 = membarrier_name;
    /// Where an offset counts from.
    SeekFrom: u32 = whence_name;
    /// A command of fcntl(2).
    FileCommand: u32 = fcntl_name;
    /// A request of ioctl(2).
    DeviceRequest: u32 = ioctl_name;
    /// An operation of epoll_ctl(2).
    EpollOperation: u32 = epoll_op_name;
    /// What the number of waitid(2) is.
    IdType: u32 = idtype_name;
    /// A resource with a limit.
    ResourceKind: u32 = rlimit_name;
    /// A scheduling policy.
    PolicyKind: u32 = policy_name;
    /// A family of sockets.
    SocketFamily: u32 = family_name;
}

/// Views of words of flags.
macro_rules! flag_words {
    ($($flags:ident: $type:ty, $nothing:literal;)*) => {$(
        impl View for $flags {
            fn show(register: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                show_flags($flags::from_bits_retain(register as $type), $nothing, f)
            }
        }
    )*};
}

flag_words! {
    Prot: u64, "PROT_NONE";
    MapFlags: u64, "0";
    MremapFlags: u64, "0";
    MsyncFlags: u32, "0";
    WaitOptions: u32, "0";
}

/// The names of the flags that are set, and the rest as a number; `nothing` if none is.
fn show_flags<F>(flags: F, nothing: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result
where
    F: bitflags::Flags,
    F::Bits: fmt::LowerHex + PartialEq,
{
    let mut separator = "";
    let mut names = flags.iter_names();
    for (name, _) in names.by_ref() {
        write!(f, "{separator}{name}")?;
        separator = "|";
    }
    let rest = names.remaining().bits();
    if rest != F::empty().bits() {
        return write!(f, "{separator}{rest:#x}");
    }
    if separator.is_empty() { f.write_str(nothing) } else { Ok(()) }
}

/// Flags of open(2), with the access mode in front.
struct OpenWord;

impl View for OpenWord {
    fn show(register: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ACCESS_MODE: u32 = 3;
        let word = register as u32;
        f.write_str(match word & ACCESS_MODE {
            0 => "O_RDONLY",
            1 => "O_WRONLY",
            2 => "O_RDWR",
            _ => "O_ACCMODE",
        })?;
        match word & !ACCESS_MODE {
            0 => Ok(()),
            rest => {
                f.write_str("|")?;
                show_flags(OpenFlags::from_bits_retain(rest), "", f)
            }
        }
    }
}

/// Flags of pipe2(2) and others that make descriptors.
struct DescriptorFlags;

impl View for DescriptorFlags {
    fn show(register: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_flags(OpenFlags::from_bits_retain(register as u32), "0", f)
    }
}

/// Flags of clone(2), with the signal of the child's end behind.
struct CloneWord;

impl View for CloneWord {
    fn show(register: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SIGNAL: u64 = 0xff;
        let (flags, signal) = (register & !SIGNAL, register & SIGNAL);
        if flags != 0 || signal == 0 {
            show_flags(CloneFlags::from_bits_retain(flags), "0", f)?;
        }
        match (flags, signal) {
            (_, 0) => Ok(()),
            (0, signal) => SignalNumber::show(signal, f),
            (_, signal) => {
                f.write_str("|")?;
                SignalNumber::show(signal, f)
            }
        }
    }
}

/// The directory a path starts from.
struct Dirfd;

impl View for Dirfd {
    fn show(register: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match register as i32 {
            AT_FDCWD => f.write_str("AT_FDCWD"),
            fd => write!(f, "{fd}"),
        }
    }
}

/// Permission bits.
struct Mode;

impl View for Mode {
    fn show(register: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0{:o}", register as u32)
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    fn shown<V: View>(register: u64) -> String {
        struct Shown(fn(u64, &mut fmt::Formatter<'_>) -> fmt::Result, u64);
        impl fmt::Display for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (self.0)(self.1, f)
            }
        }
        std::format!("{}", Shown(V::show, register))
    }

    #[test]
    fn arguments_have_the_names_that_strace_gives_them() {
        assert_eq!(shown::<Prot>(3), "PROT_READ|PROT_WRITE");
        assert_eq!(shown::<Prot>(0), "PROT_NONE");
        assert_eq!(shown::<Prot>(0x101), "PROT_READ|0x100");
        assert_eq!(shown::<OpenWord>(0o2000101), "O_WRONLY|O_CREAT|O_CLOEXEC");
        assert_eq!(shown::<OpenWord>(0), "O_RDONLY");
        assert_eq!(shown::<CloneWord>(17), "SIGCHLD");
        assert_eq!(shown::<CloneWord>(0x100 | 17), "CLONE_VM|SIGCHLD");
        assert_eq!(shown::<CloneWord>(0x300), "CLONE_VM|CLONE_FS");
        assert_eq!(shown::<Dirfd>(0xffff_ff9c), "AT_FDCWD");
        assert_eq!(shown::<SignalNumber>(99), "99");
        assert_eq!(shown::<Mode>(0o644), "0644");
    }
}
