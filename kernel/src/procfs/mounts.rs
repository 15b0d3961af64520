//! /proc/PID/mounts and /proc/PID/mountinfo.

use abi::Errno;

use super::node::Text;
use super::task::Task;
use crate::fs::{Mount, MountFlags, mount};

/// A name with what would end it written in octal (`mangle`).
fn escaped(text: &mut Text, name: &[u8]) {
    for &byte in name {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => text.put(format_args!("\\{byte:03o}")),
            b'#' => text.bytes(b"\\043"),
            _ => text.bytes(&[byte]),
        }
    }
}

fn options(text: &mut Text, mount: &Mount) {
    let flags = mount.flags();
    text.bytes(if flags.contains(MountFlags::RDONLY) { b"ro" } else { b"rw" });
    let named = [
        (MountFlags::NOSUID, ",nosuid"),
        (MountFlags::NODEV, ",nodev"),
        (MountFlags::NOEXEC, ",noexec"),
        (MountFlags::NOATIME, ",noatime"),
        (MountFlags::NODIRATIME, ",nodiratime"),
        (MountFlags::RELATIME, ",relatime"),
        (MountFlags::NOSYMFOLLOW, ",nosymfollow"),
    ];
    for (_, name) in named.into_iter().filter(|(flag, _)| flags.contains(*flag)) {
        text.bytes(name.as_bytes());
    }
}

fn source(mount: &Mount) -> &[u8] {
    if mount.source.is_empty() { b"none" } else { &mount.source }
}

/// One line a mount, as fstab(5) has them.
pub fn mounts(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let root = task.holdings()?.fs.ok_or(Errno::ESRCH)?.root();
    for mount in mount::all() {
        let (place, reached) = mount.root_path().name_from(&root);
        if !reached {
            continue;
        }
        escaped(text, source(&mount));
        text.bytes(b" ");
        escaped(text, &place);
        text.put(format_args!(" {} ", mount.fs().kind));
        options(text, &mount);
        text.put(format_args!("{} 0 0\n", mount.fs().ops().show_options()));
    }
    Ok(())
}

/// One line a mount, as proc(5) describes mountinfo.
pub fn mountinfo(text: &mut Text, task: &Task) -> Result<(), Errno> {
    let root = task.holdings()?.fs.ok_or(Errno::ESRCH)?.root();
    for mount in mount::all() {
        let (place, reached) = mount.root_path().name_from(&root);
        if !reached {
            continue;
        }
        let parent = mount.covers().map_or(mount.id, |covered| covered.mount.id);
        let device = mount.fs().device;
        text.put(format_args!("{} {parent} {}:{} ", mount.id, device.major, device.minor));
        escaped(text, &mount.root_name());
        text.bytes(b" ");
        escaped(text, &place);
        text.bytes(b" ");
        options(text, &mount);
        text.put(format_args!(" - {} ", mount.fs().kind));
        escaped(text, source(&mount));
        let access = if mount.fs().is_read_only() { "ro" } else { "rw" };
        text.put(format_args!(" {access}{}\n", mount.fs().ops().show_options()));
    }
    Ok(())
}
