//! A machine under gdb: QEMU waits at its first instruction, gdb has the user's terminal.
//!
//! Both find each other by a socket in a folder of their own. gdb knows the kernel's symbols, and the program's if
//! that is linked at a fixed address. When gdb ends, so does the machine.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;

use crate::channels::{Event, Host, InputKind};
use crate::machine::{self, Boot};
use crate::options::Options;

/// Boots a machine stopped and runs gdb on it until gdb ends. `program` is what it will run. The program's standard
/// input is empty; what it writes is mixed with gdb's words.
pub fn run(options: &Options, boot: &Boot<'_>, program: &Path) -> io::Result<()> {
    let folder = Folder::new()?;
    let socket = folder.0.join("gdb");
    let mut options = options.clone();
    options.qemu_args.extend([
        "-S".to_owned(),
        "-gdb".to_owned(),
        format!("unix:{},server=on,wait=off", socket.display()),
    ]);
    let (ended, end) = UnixStream::pair()?;
    let mut gdb = gdb(boot.kernel, program, &socket)?;
    let debugger = thread::spawn(move || {
        let status = gdb.status();
        // The machine may have ended first, and with it the other end.
        let _ = (&end).write_all(&[0]);
        status
    });
    let nothing = fs::File::open("/dev/null")?;
    let mut host = Host {
        input: std::os::fd::AsFd::as_fd(&nothing),
        input_kind: InputKind::Pipe,
        output: &mut io::stdout(),
        error: &mut io::stderr(),
        console: &mut io::stdout(),
        log: &mut io::stderr(),
        ended: Some(Event { arrival: &ended, value: &|| 0 }),
        resized: None,
    };
    machine::run(&options, boot, &mut host)?;
    let status = debugger.join().map_err(|_| io::Error::other("the thread that runs gdb panicked"))?;
    status.map(drop).map_err(|error| io::Error::new(error.kind(), format!("gdb: {error} (apt-get install gdb)")))
}

/// gdb with all the symbols there are, about to connect.
fn gdb(kernel: &Path, program: &Path, socket: &Path) -> io::Result<Command> {
    let mut gdb = Command::new("gdb");
    gdb.arg("-q").arg(kernel).args(["-ex", "set confirm off", "-ex", "set pagination off"]);
    if is_at_fixed_address(&fs::read(program)?) {
        gdb.arg("-ex").arg(format!("add-symbol-file {}", program.display()));
    }
    // QEMU makes the socket in its own time.
    let connect = format!(
        "python import os, time\nwhile not os.path.exists('{0}'): time.sleep(0.01)\ngdb.execute('target remote {0}')",
        socket.display()
    );
    gdb.arg("-ex").arg(connect);
    Ok(gdb)
}

/// Whether an ELF file is of type `ET_EXEC`.
fn is_at_fixed_address(elf: &[u8]) -> bool {
    elf.get(16..18) == Some(&[2, 0])
}

/// A folder for the socket, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path = env::temp_dir().join(format!("rustos-gdb-{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left over is an empty folder among temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
