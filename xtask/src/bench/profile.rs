//! `just profile LINE`: where the instructions of a benchmark line go, function by function.
//!
//! A QEMU plugin (`xtask/plugin/profile.c`) counts each instruction while the line is measured; `addr2line` names the
//! functions, those put in line included.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Kind, on_rustos, options, program};
use crate::build;
use crate::options::Options;

/// Addresses from here on are the kernel's.
const KERNEL: u64 = 1 << 63;
/// The vDSO lies above, the program below.
const PROGRAM_END: u64 = 1 << 32;

/// Measures one line and prints its instructions an operation by function: the one called, and what is in line in it.
pub fn run(line: &str) -> io::Result<()> {
    let kernel = build::kernel(&Options::default())?;
    let counted = build::target().join("profile.counts");
    let plugin = plugin()?;
    let mut options = options(Kind::OneCpu);
    options.qemu_args = vec!["-plugin".to_owned(), format!("{},output={}", plugin.display(), counted.display())];
    let figures = on_rustos(&kernel, &program()?, &options, &[line.to_owned()])?;
    let ticks = figures.get(line).copied().flatten().ok_or_else(|| io::Error::other(format!("{line}: no figure")))?;
    let counts = read(&counted)?;
    let total = counts.values().sum::<u64>();
    let operations = total as f64 / ticks;
    let show = |indent: &str, name: &str, count: u64| println!("{indent}{:10.1}  {name}", count as f64 / operations);
    println!("{line}: {ticks:.1} instructions an operation");
    for (name, function) in largest_first(by_function(&kernel, &counts)?, |function| function.count) {
        show("", &name, function.count);
        for (name, count) in largest_first(function.inlined, |count| *count) {
            // Less is no help to anyone.
            if count * 200 >= total {
                show("          ", &name, count);
            }
        }
    }
    Ok(())
}

fn largest_first<T>(map: HashMap<String, T>, count: impl Fn(&T) -> u64) -> Vec<(String, T)> {
    let mut list: Vec<_> = map.into_iter().collect();
    list.sort_by(|one, other| count(&other.1).cmp(&count(&one.1)).then_with(|| one.0.cmp(&other.0)));
    list
}

fn plugin() -> io::Result<PathBuf> {
    let plugin = build::target().join("profile.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o"]).arg(&plugin);
    compiler.arg(build::root().join("xtask/plugin/profile.c"));
    build::run(compiler, "compiling the plugin")?;
    Ok(plugin)
}

/// How often each address ran.
fn read(path: &Path) -> io::Result<BTreeMap<u64, u64>> {
    let text = fs::read_to_string(path)?;
    let line = |line: &str| {
        let (address, count) = line.split_once(' ')?;
        Some((u64::from_str_radix(address, 16).ok()?, count.parse().ok()?))
    };
    Ok(text.lines().filter_map(line).collect())
}

/// What ran in a function, and in those put in line in it.
#[derive(Default)]
struct Function {
    count: u64,
    inlined: HashMap<String, u64>,
}

fn by_function(kernel: &Path, counts: &BTreeMap<u64, u64>) -> io::Result<HashMap<String, Function>> {
    let names = names(kernel, counts.keys().copied().filter(|&address| address >= KERNEL))?;
    let mut functions: HashMap<String, Function> = HashMap::new();
    for (address, count) in counts {
        let (outer, inner) = match names.get(address) {
            Some((outer, inner)) => (outer.as_str(), inner.as_deref()),
            None if *address >= KERNEL => ("kernel, without a name", None),
            None if *address >= PROGRAM_END => ("vDSO", None),
            None => ("the program", None),
        };
        let function = functions.entry(outer.to_owned()).or_default();
        function.count += count;
        if let Some(inner) = inner {
            *function.inlined.entry(inner.to_owned()).or_default() += count;
        }
    }
    Ok(functions)
}

/// The function called, and the one put in line in it, if any, for each address.
type Names = HashMap<u64, (String, Option<String>)>;

fn names(kernel: &Path, addresses: impl Iterator<Item = u64>) -> io::Result<Names> {
    let mut command = Command::new("addr2line");
    command.args(["--functions", "--demangle", "--inlines", "--addresses", "--exe"]).arg(kernel);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let asked: String = addresses.map(|address| format!("{address:#x}\n")).collect();
    let mut input = child.stdin.take().ok_or_else(|| io::Error::other("addr2line has no input"))?;
    // In a thread of its own: both pipes are shorter than what goes through them.
    let asking = std::thread::spawn(move || input.write_all(asked.as_bytes()));
    let output = child.wait_with_output()?;
    asking.join().map_err(|_| io::Error::other("the thread that asks addr2line panicked"))??;
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

/// addr2line's answer: an address, then a line for the function and one for its place, from the innermost outwards.
fn parse(answer: &str) -> Names {
    let mut names = HashMap::new();
    let mut lines = answer.lines().peekable();
    while let Some(address) = lines.next() {
        let Some(address) = address.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok()) else {
            continue;
        };
        let mut functions = Vec::new();
        while let Some(function) = lines.next_if(|line| !line.starts_with("0x")) {
            functions.push(plain(function));
            lines.next();
        }
        let Some(outer) = functions.pop() else { continue };
        let inner = functions.into_iter().next().filter(|inner| *inner != outer);
        names.insert(address, (outer, inner));
    }
    names
}

/// A name without what the compiler adds: a hash at the end, and the types a generic function was made for, except
/// where a name begins with them (`<Device as FileOps>::read`).
fn plain(name: &str) -> String {
    let name = match name.rsplit_once("::h") {
        Some((before, hash)) if hash.len() == 16 => before,
        _ => name,
    };
    let start = if name.starts_with('<') { name.rfind(">::").map_or(0, |at| at + 1) } else { 0 };
    let (mut text, mut depth) = (name[..start].to_owned(), 0);
    for letter in name[start..].chars() {
        match letter {
            '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            letter if depth == 0 => text.push(letter),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_and_the_innermost_function_name_an_address() {
        let answer = "0xffffffff80200000\ninner::h0123456789abcdef\na.rs:1\nmiddle\nb.rs:2\nouter\nc.rs:3\n0xffffffff80200004\nalone\nd.rs:4\n";
        let names = parse(answer);
        assert_eq!(names[&0xffff_ffff_8020_0000], ("outer".to_owned(), Some("inner".to_owned())));
        assert_eq!(names[&0xffff_ffff_8020_0004], ("alone".to_owned(), None));
    }

    #[test]
    fn names_lose_the_types_they_were_made_for() {
        assert_eq!(plain("run<A<B>, C>"), "run");
        assert_eq!(plain("<dev::Null as fs::FileOps>::read"), "<dev::Null as fs::FileOps>::read");
        assert_eq!(plain("fs::open::h0123456789abcdef"), "fs::open");
    }
}
