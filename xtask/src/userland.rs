//! Builds the programs of `userland/`: each C source by musl-gcc, the Rust ones by cargo for the musl target.
//!
//! musl-gcc links those as well, whichever Rust it is: rustup's would put its own start files into a program that brings
//! one of its own. Rust's standard library then wants a `libunwind.a`: libgcc's unwinder does, with a stub for the one
//! function of glibc that it calls. On Debian's Rust the standard library is built from its sources.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::build::{cargo, directive, libraries_from_source, root, run, target};

const RUST_TARGET: &str = "x86_64-unknown-linux-musl";

/// A program that has been built.
pub struct Program {
    /// `init`, `tests/futex`: for C, the path of its source below `userland/`; Rust's stand in `tests/`, as `rust_…`.
    pub name: String,
    /// The ELF file.
    pub path: PathBuf,
    /// Its source.
    pub source: PathBuf,
}

/// Builds what is out of date and gives all programs, in the order of their names.
pub fn build() -> io::Result<Vec<Program>> {
    let mut programs = c_programs()?;
    programs.extend(rust_programs()?);
    programs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(programs)
}

fn folder() -> PathBuf {
    root().join("userland")
}

fn c_programs() -> io::Result<Vec<Program>> {
    let mut sources = Vec::new();
    c_sources(&folder(), &mut sources)?;
    let newest_header = newest(&folder(), "h")?;
    let mut programs = Vec::new();
    for source in sources {
        let name = source.strip_prefix(folder()).map_err(io::Error::other)?.with_extension("");
        let path = target().join("userland").join(&name);
        if out_of_date(&path, &source, newest_header)? {
            compile(&source, &path)?;
        }
        programs.push(Program { name: name.to_string_lossy().into_owned(), path, source });
    }
    Ok(programs)
}

fn compile(source: &Path, program: &Path) -> io::Result<()> {
    if let Some(folder) = program.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut compiler = Command::new("musl-gcc");
    compiler.args(["-std=gnu11", "-static", "-pthread", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-clobbered"]);
    compiler.arg("-I").arg(folder()).arg("-isystem").arg(kernel_headers()?);
    if let Some(flags) = directive(&fs::read_to_string(source)?, "cflags") {
        compiler.args(flags.split_whitespace());
    }
    // Written under another name first, so that a build broken off leaves nothing that looks finished.
    let unfinished = program.with_extension("part");
    compiler.arg(source).arg("-o").arg(&unfinished);
    run(compiler, &format!("compiling {}", source.display()))?;
    fs::rename(unfinished, program)
}

/// A folder with Linux's own headers (`linux/futex.h`) and nothing else of the host's C library; musl brings none.
fn kernel_headers() -> io::Result<PathBuf> {
    let folder = target().join("userland/include");
    fs::create_dir_all(&folder)?;
    let places = [("linux", "linux"), ("asm-generic", "asm-generic"), ("asm", "x86_64-linux-gnu/asm")];
    for (name, place) in places {
        match std::os::unix::fs::symlink(Path::new("/usr/include").join(place), folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(folder)
}

/// The C sources below a folder; the Rust package among them has none of ours.
fn c_sources(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.join("Cargo.toml").exists() {
            c_sources(&path, found)?;
        } else if path.extension() == Some(OsStr::new("c")) {
            found.push(path);
        }
    }
    Ok(())
}

fn newest(folder: &Path, extension: &str) -> io::Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new(extension)) {
            newest = newest.max(fs::metadata(path)?.modified()?);
        }
    }
    Ok(newest)
}

fn out_of_date(program: &Path, source: &Path, newest_header: SystemTime) -> io::Result<bool> {
    match fs::metadata(program) {
        Ok(built) => {
            let built = built.modified()?;
            Ok(fs::metadata(source)?.modified()? > built || newest_header > built)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn rust_programs() -> io::Result<Vec<Program>> {
    let package = folder().join("rust");
    let output = target().join("userland/rust");
    let mut cargo = cargo("build");
    cargo.current_dir(&package).args(["--release", "--bins", "--target", RUST_TARGET]);
    cargo.env("CARGO_TARGET_DIR", &output);
    if output.join(RUST_TARGET).exists() {
        cargo.arg("--quiet");
    }
    cargo.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER", "musl-gcc");
    // Not position-independent: musl-gcc knows no -static-pie, it would make a dynamic program.
    let flags = "-C link-self-contained=no -C target-feature=+crt-static -C relocation-model=static";
    cargo.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS", format!("{flags} -L {}", unwinder()?.display()));
    if libraries_from_source() {
        cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
    }
    run(cargo, "building userland/rust")?;
    let mut programs = Vec::new();
    for entry in fs::read_dir(package.join("src/bin"))? {
        let source = entry?.path();
        let Some(bin) = source.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else { continue };
        let path = output.join(RUST_TARGET).join("release").join(&bin);
        programs.push(Program { name: format!("tests/rust_{bin}"), path, source });
    }
    Ok(programs)
}

/// Makes the folder with the `libunwind.a` that Rust's standard library for musl asks for.
fn unwinder() -> io::Result<PathBuf> {
    let folder = target().join("userland/unwind");
    let archive = folder.join("libunwind.a");
    if archive.exists() {
        return Ok(folder);
    }
    fs::create_dir_all(&folder)?;
    let source = folder.join("find_object.c");
    fs::write(&source, "int _dl_find_object(void *pc, void *result) { (void)pc; (void)result; return -1; }\n")?;
    let object = folder.join("find_object.o");
    let mut compiler = Command::new("gcc");
    compiler.arg("-O2").arg("-c").arg(&source).arg("-o").arg(&object);
    run(compiler, "compiling the unwinder's stub")?;
    let found = Command::new("gcc").arg("-print-file-name=libgcc_eh.a").output()?;
    let libgcc = String::from_utf8(found.stdout).map_err(io::Error::other)?;
    let unfinished = folder.join("libunwind.part");
    fs::copy(libgcc.trim(), &unfinished)?;
    let mut archiver = Command::new("ar");
    archiver.arg("rs").arg(&unfinished).arg(&object).stderr(std::process::Stdio::null());
    run(archiver, "making libunwind.a")?;
    fs::rename(unfinished, archive)?;
    Ok(folder)
}
