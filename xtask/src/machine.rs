//! A machine: QEMU started with our devices, carried to its end, and never left behind.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::FdFlags;
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::channels::{Guest, Host, carry};
use crate::options::Options;
use crate::report::End;
use crate::virtio;

/// The guest's half of the ports, in the order of `docs/host-protocol.md`.
const SERIAL_CHANNELS: [&str; 2] = ["console", "link"];
const PORT_CHANNELS: [(&str, &str); 3] = [("report", "0xe9"), ("output", "0xea"), ("error", "0xeb")];

/// What to boot.
pub struct Boot<'a> {
    /// The kernel image: RustOS's, or a Linux bzImage to compare with.
    pub kernel: &'a Path,
    /// The initial root file system, if any.
    pub initrd: Option<&'a [u8]>,
    /// The kernel's command line.
    pub command_line: &'a str,
}

/// Boots a machine and carries its bytes until it ends. The time limit is that of the options.
pub fn run(options: &Options, boot: &Boot<'_>, host: &mut Host<'_>) -> io::Result<End> {
    let (mut running, guest) = start(options, boot)?;
    let end = carry(&guest, boot.kernel, host, (options.timeout, options.silence))?;
    if end.is_none() || matches!(end, Some(End::Exit(_) | End::Signal(_))) {
        running.child.wait()?;
    }
    drop(running);
    Ok(end.unwrap_or(End::Failed))
}

/// A QEMU that is killed when this is dropped, whatever the reason.
struct Running {
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may end between the two calls; then there is nothing left to kill.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn start(options: &Options, boot: &Boot<'_>) -> io::Result<(Running, Guest)> {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(machine_arguments(options));
    let devices = virtio::devices(options)?;
    let command_line = [boot.command_line].into_iter().chain(devices.words.iter().map(String::as_str));
    let command_line = command_line.collect::<Vec<_>>().join(" ");
    command.args(&devices.arguments);
    command.arg("-kernel").arg(boot.kernel).arg("-append").arg(command_line);
    let mut inherited = Vec::new();
    if let Some(bytes) = boot.initrd {
        let file = in_memory(bytes)?;
        command.arg("-initrd").arg(format!("/proc/self/fd/{}", file.as_raw_fd()));
        inherited.push(file);
    }
    let mut channel = |name: &str| -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        command.arg("-chardev").arg(format!("socket,id={name},fd={}", theirs.as_raw_fd()));
        inherited.push(OwnedFd::from(theirs));
        Ok(ours)
    };
    let [console, link] = SERIAL_CHANNELS.map(&mut channel);
    let [report, output, error] = PORT_CHANNELS.map(|(name, _)| channel(name));
    let (emulator, messages) = UnixStream::pair()?;
    command.args(device_arguments()).args(&options.qemu_args);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(OwnedFd::from(messages));
    let child = spawn(command, inherited)?;
    let guest = Guest { console: console?, link: link?, report: report?, output: output?, error: error?, emulator };
    Ok((Running { child }, guest))
}

/// Starts QEMU with these descriptors open in it (and closed here), to die with the thread that called.
#[expect(unsafe_code, reason = "work between fork and exec: hand down descriptors, tie the child's life to ours")]
fn spawn(mut command: Command, inherited: Vec<OwnedFd>) -> io::Result<Child> {
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        for descriptor in &inherited {
            rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls alone: it neither allocates nor takes a lock, as the child of a threaded
    // process must not.
    unsafe { command.pre_exec(prepare) };
    command.spawn().map_err(|error| io::Error::new(error.kind(), format!("qemu-system-x86_64: {error}")))
}

/// A file that lives in memory, for QEMU to read by its descriptor.
fn in_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("initrd", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

fn machine_arguments(options: &Options) -> Vec<String> {
    let machine = match options.machine.as_str() {
        "microvm" => "microvm,acpi=on,ioapic2=off,pit=on,pic=on,rtc=on,isa-serial=off",
        other => other,
    };
    let threads = if options.icount || options.cpus == 1 { "single" } else { "multi" };
    let mut words = vec!["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"];
    let (accelerator, cpus) = (format!("tcg,thread={threads}"), options.cpus.to_string());
    // Memory that is not touched costs the host nothing, and need not be there: it may be more than the host has.
    let size = if options.memory.ends_with(|last: char| last.is_ascii_digit()) { "M" } else { "" };
    let memory = format!("memory-backend-ram,id=ram,size={}{size},reserve=off", options.memory);
    let machine = format!("{machine},memory-backend=ram");
    words.extend([
        "-object",
        &memory,
        "-machine",
        &machine,
        "-accel",
        &accelerator,
        "-cpu",
        &options.cpu,
        "-smp",
        &cpus,
    ]);
    words.extend(["-m", &options.memory]);
    if options.icount {
        words.extend(["-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2024-01-01T00:00:00,clock=vm"]);
    }
    words.into_iter().map(str::to_owned).collect()
}

fn device_arguments() -> Vec<String> {
    let mut words = Vec::new();
    for (index, name) in SERIAL_CHANNELS.iter().enumerate() {
        words.extend(["-device".to_owned(), format!("isa-serial,index={index},chardev={name}")]);
    }
    for (name, port) in PORT_CHANNELS {
        words.extend(["-device".to_owned(), format!("isa-debugcon,iobase={port},chardev={name}")]);
    }
    words.extend(["-device".to_owned(), "isa-debug-exit,iobase=0xf4,iosize=1".to_owned()]);
    words
}

/// Reads a whole file into memory, with its name in the error.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(bytes)
}
