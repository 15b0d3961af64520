//! The disk image of `just image`: booted by a BIOS and by a UEFI, down to a shell that is typed at.

use std::io;
use std::path::Path;
use std::time::Instant;

use pty_process::blocking::Command;
use xtask::image;
use xtask::options::Options;

use crate::guest;
use crate::terminal::Terminal;
use crate::verdict::Tally;

/// What a filter finds this part by.
pub const NAME: &str = "image";

/// Firmware by its QEMU arguments: none are SeaBIOS.
const FIRMWARE: &[(&str, &[&str])] = &[("BIOS", &[]), ("UEFI", &["-bios", "/usr/share/ovmf/OVMF.fd"])];

/// Makes an image and boots it from every firmware.
pub fn suite() -> io::Result<Tally> {
    let options = Options { profile: guest::wished_profile(), ..Options::from_env().map_err(io::Error::other)? };
    let image = image::make(&options, None)?;
    let mut tally = Tally::default();
    for (name, arguments) in FIRMWARE {
        let begun = Instant::now();
        match boot(&image, arguments) {
            Ok(()) => {
                println!("ok   {NAME}: {name} boots to a shell ({:.2} s)", begun.elapsed().as_secs_f64());
                tally.passed += 1;
            }
            Err(error) => {
                println!("FAIL {NAME}: {name} boots to a shell\n  {error}");
                tally.failed += 1;
            }
        }
    }
    println!("{NAME}: {} passed, {} failed", tally.passed, tally.failed);
    Ok(tally)
}

/// A PC with the image as its disk, two CPUs and a serial line, and nothing that only QEMU has. It ends when it restarts,
/// as it does at the shell's end.
fn boot(image: &Path, firmware: &[&str]) -> io::Result<()> {
    let machine =
        "-nodefaults -no-user-config -display none -no-reboot -machine q35 -cpu max -smp 2 -m 512M -serial stdio";
    let disk = format!("format=raw,snapshot=on,file={}", image.display());
    let command = Command::new("qemu-system-x86_64").args(machine.split(' ')).args(firmware).arg("-drive").arg(disk);
    let mut terminal = Terminal::start(command, 24, 80)?;
    terminal.wait_for("~ # ")?;
    for (typed, answer) in [("uname -s", "\nLinux\r"), ("nproc", "\n2\r"), ("echo $0", "\n-sh\r")] {
        terminal.press(&format!("{typed}\r"))?;
        terminal.wait_for(answer)?;
    }
    terminal.press("exit\r")?;
    let status = terminal.wait_for_end()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the machine ended with {status}"))) }
}
