//! The layout of the sources, held by tests: who imports whom in the kernel, and that every file says what it is.

use std::fs;
use std::path::{Path, PathBuf};

/// The kernel's rooms in import order. A room imports from its own level and from those before it.
const LEVELS: [&[&str]; 10] = [
    &["arch"],
    &["sync"],
    &["mem"],
    &["time"],
    &["fs", "ipc", "dev", "signal"],
    &["process"],
    &["thread"],
    &["procfs"],
    &["syscall"],
    &["boot"],
];

/// The one import against the order: a thread's loop calls the system calls, which are about threads.
const BACK_EDGE: (&str, &str) = ("thread/run.rs", "syscall");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the room has a folder above it").to_owned()
}

fn level_of(room: &str) -> Option<usize> {
    LEVELS.iter().position(|rooms| rooms.contains(&room))
}

/// All files below a folder with this ending, `target` and hidden folders left out.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && name != "rootfs" && !name.starts_with('.') {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// The rooms that a source names by `crate::`, comments and what follows the unit tests left out.
fn rooms_named(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code: String =
        code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut rooms = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue; // a macro's own crate: judged where the macro stands by its other words
        }
        let rest = &code[at + found.len()..];
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(heads_of_group(group)),
            None => rooms.push(word_at(rest)),
        }
    }
    rooms
}

/// The first words of each path in `{a::b, c::{d, e}}`, given without the opening brace.
fn heads_of_group(group: &str) -> Vec<String> {
    let (mut depth, mut at_head, mut heads) = (0, true, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            _ if at_head && !character.is_whitespace() => {
                heads.push(word_at(&group[at..]));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn word_at(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

#[test]
fn kernel_rooms_import_only_what_comes_before_them() {
    let sources = root().join("kernel/src");
    let mut wrong = Vec::new();
    for file in files(&sources, ".rs") {
        let path = file.strip_prefix(&sources).expect("found below it").to_string_lossy().into_owned();
        let room = path.split(['/', '.']).next().unwrap_or_default();
        let Some(level) = level_of(room) else { continue };
        for named in rooms_named(&fs::read_to_string(&file).expect("a source is text")) {
            let too_high = level_of(&named).is_some_and(|other| other > level);
            if too_high && (path.as_str(), named.as_str()) != BACK_EDGE {
                wrong.push(format!("kernel/src/{path} imports crate::{named}"));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "against the order of rooms:\n{}", wrong.join("\n"));
}

#[test]
fn every_rust_file_opens_with_what_it_is() {
    let silent: Vec<_> = files(&root(), ".rs")
        .into_iter()
        .filter(|file| !fs::read_to_string(file).expect("a source is text").starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "no `//!` header: {silent:?}");
}

#[test]
fn every_c_file_opens_with_a_comment() {
    let silent: Vec<_> = files(&root().join("userland"), ".c")
        .into_iter()
        .filter(|file| !fs::read_to_string(file).expect("a source is text").starts_with('/'))
        .collect();
    assert!(silent.is_empty(), "no comment at the top: {silent:?}");
}

#[test]
fn groups_and_plain_paths_are_both_seen() {
    let source = "use crate::{mem::{a, b}, fs::c};\nlet x = crate::arch::now(); // crate::boot\n";
    assert_eq!(rooms_named(source), ["mem", "fs", "arch"]);
}
