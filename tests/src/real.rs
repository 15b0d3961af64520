//! Real programs: the scripts of `userland/real`, run in a root file system of Debian's packages, on the host's Linux by
//! `chroot` and in a machine that has it as its initrd. Output and status must be equal.
//!
//! A script is executable, and its opening comments say what [`crate::case`] reads of a C program's; one with a comment
//! `long:` runs only if a filter names it. It finds itself and the
//! others in `/real`, and may write in `/tmp` alone.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use xtask::options::Options;
use xtask::{build, debian, rootfs, userland};

use crate::case::{self, Case};
use crate::guest::{self, Batch};
use crate::oracle;
use crate::verdict::{Outcome, Tally, judge};

/// What every program's name begins with, and the folder of the scripts.
pub const NAME: &str = "real";

/// Memory of the machine: the root file system takes a good part.
const MEMORY: &str = "2G";

/// Programs of `userland/` that the scripts look into.
const SUBJECTS: &[&str] = &["demo/threads", "tests/hello"];

/// Runs the scripts whose name has a filter in it, on both, and compares.
pub fn suite(filters: &[String]) -> io::Result<Tally> {
    let cases = guest::leave_out_known(cases(filters)?, filters);
    if cases.is_empty() {
        return Ok(Tally::default());
    }
    let begun = Instant::now();
    let root = debian::root()?;
    furnish(&root)?;
    let options = Options { profile: guest::wished_profile(), ..Options::from_env().map_err(io::Error::other)? };
    let kernel = build::kernel(&options)?;
    let mut expected = BTreeMap::new();
    on_linux(&root, &cases, &mut |case, outcome, _| drop(expected.insert(case.name.clone(), outcome)))?;
    let archive = rootfs::archive(&root)?;
    let mut tally = Tally::default();
    for batch in batches(&cases, archive) {
        let mut judged = |case: &Case, outcome: Outcome, time: Duration| {
            let verdict = judge(case, expected.get(&case.name), &outcome);
            verdict.print(&format!("{} on {}", case.name, guest::plural(batch.cpus)), time);
            tally += verdict.tally;
        };
        guest::run_batch(&options, &kernel, &batch, &mut judged)?;
    }
    println!("{NAME}: {} passed, {} failed ({:.0} s)", tally.passed, tally.failed, begun.elapsed().as_secs_f64());
    Ok(tally)
}

fn scripts() -> PathBuf {
    build::root().join("userland").join(NAME)
}

/// The scripts that are tests: those that are executable.
fn cases(filters: &[String]) -> io::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(scripts())? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let name = format!("{NAME}/{}", file.split('.').next().unwrap_or(&file));
        let wanted = filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
        if wanted && entry.metadata()?.is_file() && entry.metadata()?.permissions().mode() & 0o100 != 0 {
            let source = fs::read_to_string(entry.path())?;
            if filters.is_empty() && source.lines().any(|line| line.starts_with("# long:")) {
                println!("skip {name}: takes long, run when it is named");
                continue;
            }
            cases.push(case::read_script(&name, Path::new("/").join(NAME).join(file), &source)?);
        }
    }
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(cases)
}

/// Puts the scripts and the programs they look into into the root.
fn furnish(root: &Path) -> io::Result<()> {
    let place = root.join(NAME);
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    for entry in fs::read_dir(scripts())? {
        let entry = entry?;
        if entry.metadata()?.is_file() {
            fs::copy(entry.path(), place.join(entry.file_name()))?;
        }
    }
    for program in userland::build()? {
        if SUBJECTS.contains(&program.name.as_str()) {
            fs::copy(&program.path, place.join(program.path.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

/// Runs the scripts by the suite's runner in a `chroot`, with processes, /proc, /dev and /tmp of their own.
fn on_linux(root: &Path, cases: &[Case], answer: &mut dyn FnMut(&Case, Outcome, Duration)) -> io::Result<()> {
    let folder = root.join("suite");
    fs::create_dir_all(&folder)?;
    let mut list = String::new();
    for (index, case) in cases.iter().enumerate() {
        let input = format!("suite/input-{index}");
        fs::write(root.join(&input), &case.stdin)?;
        list.push_str(&case.line_of_list(&Path::new("/").join(input)));
    }
    fs::write(folder.join("list"), list)?;
    fs::copy(oracle::runner(), folder.join("runner"))?;
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-euc", ENTER, "enter"]).arg(root);
    let cases: Vec<&Case> = cases.iter().collect();
    oracle::answers(command, &cases, answer)
}

/// Goes into the root given as `$1`.
const ENTER: &str = r#"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
exec /usr/sbin/chroot "$1" /suite/runner /suite/list
"#;

/// A machine for each number of CPUs.
fn batches(cases: &[Case], archive: Vec<u8>) -> Vec<Batch> {
    let mut shared: BTreeMap<u32, Vec<Case>> = BTreeMap::new();
    for case in cases {
        for &cpus in &case.cpus {
            shared.entry(cpus).or_default().push(case.clone());
        }
    }
    let machine = |(cpus, cases)| Batch { cpus, memory: Some(MEMORY.into()), root: Some(archive.clone()), cases };
    shared.into_iter().map(machine).collect()
}
