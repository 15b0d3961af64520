//! A disk image that boots from a BIOS and from a UEFI: GRUB, the kernel and an initrd (`docs/image.md`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::build::{self, run, target};
use crate::options::Options;
use crate::rootfs;

/// What GRUB itself must bring to find and start the kernel; more would only make the image larger.
const GRUB_MODULES: &str = "normal multiboot2 iso9660 part_gpt part_msdos part_apple search search_fs_file configfile \
                            all_video serial terminal";

/// Makes the image in `target/image` and gives its path.
pub fn make(options: &Options, initrd: Option<Vec<u8>>) -> io::Result<PathBuf> {
    let kernel = build::kernel(options)?;
    let initrd = initrd.map_or_else(rootfs::default, Ok)?;
    let folder = target().join("image");
    let boot = folder.join("content/boot");
    fs::create_dir_all(boot.join("grub"))?;
    strip(&kernel, &boot.join("rustos"))?;
    fs::write(boot.join("initrd"), initrd)?;
    let command_line = format!("{} rustos.stdio=tty,tty,tty", options.command_line());
    fs::write(boot.join("grub/grub.cfg"), menu(&command_line))?;
    let image = folder.join("rustos.img");
    let mut grub = Command::new("grub-mkrescue");
    grub.arg(format!("--output={}", image.display())).arg(format!("--install-modules={GRUB_MODULES}"));
    grub.args(["--fonts=", "--themes=", "--locales="]).arg(folder.join("content"));
    // Its words are xorriso's, on what is as it should be; they are shown when it is not.
    let log = folder.join("log");
    grub.stdout(Stdio::null()).stderr(fs::File::create(&log)?);
    run(grub, "making the image with grub-mkrescue")
        .map_err(|error| io::Error::other(format!("{error}; its words are in {}", log.display())))?;
    Ok(image)
}

/// The kernel without what only a debugger reads: firmware loads an image slowly.
fn strip(kernel: &Path, stripped: &Path) -> io::Result<()> {
    let mut strip = Command::new("strip");
    strip.arg("--strip-debug").arg("-o").arg(stripped).arg(kernel);
    run(strip, "stripping the kernel")
}

/// GRUB's script. What it would take for its own in the command line stands behind a backslash.
fn menu(command_line: &str) -> String {
    let special = |c: char| "\\\"'$;&|<>{}#".contains(c);
    let escaped: String =
        command_line.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect();
    format!("multiboot2 /boot/rustos {escaped}\nmodule2 /boot/initrd\nboot\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_reaches_the_kernel_as_it_is() {
        assert!(menu("quiet a=\"b $c\"").starts_with("multiboot2 /boot/rustos quiet a=\\\"b \\$c\\\"\n"));
    }
}
