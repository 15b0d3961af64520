//! From a path to a program ready to run: opening files for execution, scripts, interpreters, privileges
//! (`do_open_execat()`, `load_script()`, `bprm_creds_from_file()`).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;

use super::exec::{ExecRequest, Prepared, prepare};
use crate::fs::open::open_place;
use crate::fs::permission::{self, Permission};
use crate::fs::resolve::Start;
use crate::fs::{Capabilities, Cred, File, FileKind, FsContext, MmapRequest, MountFlags, OpenFlags, Path, SliceSink};
use crate::mem::Backing;
use crate::mem::aslr::Layout;
use crate::process::elf::{Image, Program};
use crate::process::image::{Executing, Strings};
use crate::process::limits::Limits;

/// Bytes of a file's start that decide what it is (`BINPRM_BUF_SIZE`).
const START_BYTES: usize = 256;
/// Scripts may be interpreted by scripts this often.
const MAX_SCRIPTS: usize = 5;

/// Who executes what, with which arguments.
pub struct Execution<'a> {
    /// The caller's root and directory, for interpreters' paths.
    pub fs: &'a FsContext,
    /// The caller's process and thread, to which /proc/self in such a path leads; 0 for the kernel itself.
    pub asker: (i32, i32),
    /// The caller's identity.
    pub cred: &'a Arc<Cred>,
    /// No privileges are to be gained.
    pub no_new_privs: bool,
    /// The caller's limits.
    pub limits: &'a Limits,
    /// The name to be executed by, as it goes on the stack and to a script's interpreter.
    pub name: &'a [u8],
    /// The interpreter of a script could not open it by that name: it goes by a descriptor that execve closes.
    pub name_is_void: bool,
    /// argv.
    pub arguments: Strings,
    /// envp.
    pub environment: &'a Strings,
    /// Whether the caller wants the program's memory laid out at random.
    pub layout: Layout,
}

impl Execution<'_> {
    /// Where the path of an interpreter begins.
    fn start(&self) -> Start<'_> {
        Start::at_cwd(self.fs, self.cred).asked_by(self.asker.0, self.asker.1)
    }
}

/// Looks a path up and takes it for execution. Errors: those of path resolution, EACCES, ETXTBSY. With `follow` unset, a
/// symbolic link is ELOOP.
pub fn open(start: Start<'_>, path: &[u8], follow: bool) -> Result<Arc<Executing>, Errno> {
    let cred = start.cred;
    let place = start.resolve(path, follow)?;
    open_at(place, cred)
}

/// Takes the file at a place for execution: a regular one, executable by the caller, on a mount that allows it, open for
/// writing by nobody. Errors: ELOOP, EACCES, ETXTBSY.
pub fn open_at(place: Path, cred: &Cred) -> Result<Arc<Executing>, Errno> {
    let inode = place.inode();
    match inode.kind {
        FileKind::Symlink => return Err(Errno::ELOOP),
        FileKind::Regular => {}
        _ => return Err(Errno::EACCES),
    }
    if place.mount.flags().contains(MountFlags::NOEXEC) {
        return Err(Errno::EACCES);
    }
    permission::check(inode, cred, Permission::EXEC)?;
    Executing::new(place)
}

/// Makes the memory of the program that `file` is or is interpreted by. Errors: ENOEXEC, ELOOP, ELIBBAD, and those of
/// opening and loading.
pub fn load(file: Arc<Executing>, mut execution: Execution<'_>) -> Result<Prepared, Errno> {
    let (script, mut file) = (file.clone(), file);
    let mut image = FileImage::open(&file, execution.cred)?;
    let mut name = execution.name.to_vec();
    for depth in 0.. {
        let Some(line) = read_script_line(&image)? else { break };
        if depth == MAX_SCRIPTS {
            return Err(Errno::ELOOP);
        }
        if execution.name_is_void {
            return Err(Errno::ENOENT);
        }
        execution.arguments = line.arguments(&name, &execution.arguments)?;
        name = line.interpreter;
        file = open(execution.start(), &name, true)?;
        image = FileImage::open(&file, execution.cred)?;
    }
    drop(script);
    load_elf(file, image, &execution)
}

fn load_elf(file: Arc<Executing>, image: FileImage, execution: &Execution<'_>) -> Result<Prepared, Errno> {
    let program = Program::read(&image)?;
    let interpreter = match &program.interpreter {
        Some(path) => Some(open_interpreter(path, execution)?),
        None => None,
    };
    let gained = gain_privileges(execution.cred, file.path(), execution.no_new_privs);
    let request = ExecRequest {
        image: &image,
        program: &program,
        interpreter: interpreter.as_ref().map(|(image, program)| (image as &dyn Image, program)),
        exe: Some(file),
        name: execution.name,
        arguments: &execution.arguments,
        environment: execution.environment,
        secure: gained.secure,
        cred: Arc::new(gained.cred),
        layout: if gained.secure { Layout::Random } else { execution.layout },
    };
    prepare(&request, execution.limits)
}

/// The program a dynamic program names to load it. Errors: ELIBBAD if it is none, EIO if it is too short.
fn open_interpreter(path: &[u8], execution: &Execution<'_>) -> Result<(FileImage, Program), Errno> {
    let file = open(execution.start(), path, true)?;
    let image = FileImage::open(&file, execution.cred)?;
    let program =
        Program::read(&image).map_err(|error| if error == Errno::ENOEXEC { Errno::ELIBBAD } else { error })?;
    Ok((image, program))
}

/// A file as the ELF loader sees it.
struct FileImage {
    file: Arc<File>,
}

impl FileImage {
    fn open(executing: &Executing, cred: &Arc<Cred>) -> Result<Self, Errno> {
        Ok(Self { file: open_place(executing.path().clone(), OpenFlags::empty(), cred)? })
    }
}

impl Image for FileImage {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < into.len() {
            let mut sink = SliceSink::new(&mut into[done..]);
            match self.file.ops().try_read(&self.file, &mut sink, offset + done as u64)? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }

    fn backing(&self, first_page: u64, pages: u64) -> Result<Arc<dyn Backing>, Errno> {
        let request = MmapRequest { first_page, pages, shared: false, writes: false };
        self.file.ops().mmap(&self.file, &request)?.object.ok_or(Errno::ENODEV)
    }
}

/// A script's first line.
struct ScriptLine {
    interpreter: Vec<u8>,
    argument: Option<Vec<u8>>,
}

impl ScriptLine {
    /// The interpreter's arguments: itself, the one argument, the script, and the script's own but for its name.
    fn arguments(&self, script: &[u8], old: &Strings) -> Result<Strings, Errno> {
        let mut new = Strings::default();
        new.push(&self.interpreter)?;
        if let Some(argument) = &self.argument {
            new.push(argument)?;
        }
        new.push(script)?;
        new.append(&old.without_first())?;
        Ok(new)
    }
}

/// The first line of a script, `None` if the file is something else. Errors: ENOEXEC if it names no interpreter, or one
/// whose name is cut off.
fn read_script_line(image: &FileImage) -> Result<Option<ScriptLine>, Errno> {
    let mut start = [0; START_BYTES];
    let len = image.read_at(0, &mut start)?;
    parse_script(&start, len)
}

fn parse_script(start: &[u8; START_BYTES], len: usize) -> Result<Option<ScriptLine>, Errno> {
    let Some(text) = start[..len].strip_prefix(b"#!") else { return Ok(None) };
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let ends = |byte: &u8| matches!(byte, b'\n' | 0);
    let end = text.iter().position(ends);
    let line = &text[..end.unwrap_or(text.len())];
    let line = line.trim_ascii_start_blank();
    let name_len = line.iter().position(is_blank).unwrap_or(line.len());
    let is_cut_off = end.is_none() && len == START_BYTES && name_len == line.len();
    if name_len == 0 || is_cut_off {
        return Err(Errno::ENOEXEC);
    }
    let (name, rest) = line.split_at(name_len);
    let rest = rest.trim_ascii_start_blank();
    let rest = &rest[..rest.iter().rposition(|byte| !is_blank(byte)).map_or(0, |last| last + 1)];
    Ok(Some(ScriptLine { interpreter: name.to_vec(), argument: (!rest.is_empty()).then(|| rest.to_vec()) }))
}

trait TrimBlanks {
    /// Without leading spaces and tabs.
    fn trim_ascii_start_blank(&self) -> &Self;
}

impl TrimBlanks for [u8] {
    fn trim_ascii_start_blank(&self) -> &Self {
        let start = self.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(self.len());
        &self[start..]
    }
}

/// An identity after execve.
struct Gained {
    cred: Cred,
    /// It has more power than the caller's real user would have (`AT_SECURE`).
    secure: bool,
}

/// `S_ISUID`, `S_ISGID` and group execution of a file's mode.
const SET_UID: u16 = 0o4000;
const SET_GID_AND_EXECUTE: u16 = 0o2010;
/// `SECBIT_NOROOT`: the superuser has no special powers.
const NO_ROOT: u32 = 1;
/// `SECBIT_KEEP_CAPS`, which execve clears.
const KEEP_CAPS: u32 = 1 << 4;

/// What executing a file makes of an identity (`bprm_fill_uid()`, `cap_bprm_creds_from_file()`). Files have no capabilities.
fn gain_privileges(old: &Cred, path: &Path, no_new_privs: bool) -> Gained {
    let mut cred = old.clone();
    let attributes = path.inode().attributes();
    let may_gain = !no_new_privs && !path.mount.flags().contains(MountFlags::NOSUID);
    if may_gain && attributes.mode & SET_UID != 0 {
        cred.euid = attributes.uid;
    }
    if may_gain && attributes.mode & SET_GID_AND_EXECUTE == SET_GID_AND_EXECUTE {
        cred.egid = attributes.gid;
    }
    let changed = cred.euid != old.euid || cred.egid != old.egid;
    if changed {
        cred.ambient = Capabilities::empty();
    }
    let root_powers = cred.securebits & NO_ROOT == 0;
    cred.permitted =
        if root_powers && (cred.uid == 0 || cred.euid == 0) { cred.inheritable | cred.bounding } else { cred.ambient };
    cred.effective = if root_powers && cred.euid == 0 { cred.permitted } else { cred.ambient };
    cred.suid = cred.euid;
    cred.fsuid = cred.euid;
    cred.sgid = cred.egid;
    cred.fsgid = cred.egid;
    cred.securebits &= !KEEP_CAPS;
    let secure = cred.euid != cred.uid || cred.egid != cred.gid;
    Gained { cred, secure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<Option<(Vec<u8>, Option<Vec<u8>>)>, Errno> {
        let mut start = [0; START_BYTES];
        start[..text.len()].copy_from_slice(text);
        parse_script(&start, text.len()).map(|line| line.map(|line| (line.interpreter, line.argument)))
    }

    #[test]
    fn everything_behind_the_interpreter_is_one_argument() {
        assert_eq!(parse(b"#! /bin/sh -e  x \t\nrest"), Ok(Some((b"/bin/sh".to_vec(), Some(b"-e  x".to_vec())))));
        assert_eq!(parse(b"#!/bin/sh\n"), Ok(Some((b"/bin/sh".to_vec(), None))));
        assert_eq!(parse(b"#!/bin/sh"), Ok(Some((b"/bin/sh".to_vec(), None))));
    }

    #[test]
    fn a_line_without_an_interpreter_or_with_half_of_one_is_refused() {
        assert_eq!(parse(b"#!\n"), Err(Errno::ENOEXEC));
        assert_eq!(parse(b"#! \t \n"), Err(Errno::ENOEXEC));
        let mut long = [b'x'; START_BYTES];
        long[..2].copy_from_slice(b"#!");
        assert_eq!(parse(&long), Err(Errno::ENOEXEC));
        long[200] = b' ';
        assert!(parse(&long).is_ok_and(|line| line.is_some()));
        assert_eq!(parse(b"\x7fELF"), Ok(None));
    }
}
