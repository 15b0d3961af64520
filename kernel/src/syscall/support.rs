//! Which system calls there are, as tables to read: a line a call for `just syscalls`, a line a family for the README.
//! Only the host has it.

use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::table::{Row, SUPPORT, Support};

/// Stands before the table in the README.
const START: &str = "<!-- by `./just syscalls --readme` -->\n";
/// Stands behind it.
const END: &str = "<!-- end -->\n";

/// Every call by its number, with what is partial about it, then those that are not there.
pub fn by_number() -> String {
    let mut rows = SUPPORT.to_vec();
    rows.sort_by_key(|row| row.number);
    let mut text = String::from("| Number | System call | Support |\n|--:|---|---|\n");
    for row in &rows {
        text += &format!("| {} | {} | {} |\n", row.number, row.name, reason(row).unwrap_or("full"));
    }
    text + "\n" + &summary()
}

/// The README's text with today's table in it; `None` if it has no place for one.
pub fn with_families(readme: &str) -> Option<String> {
    let (before, rest) = readme.split_once(START)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{START}{}{END}{after}", by_family()))
}

/// A line a family: its calls, and what is partial about which.
fn by_family() -> String {
    let mut families: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in SUPPORT {
        families.entry(row.family).or_default().push(row);
    }
    let mut text = String::from("| Family | System calls | Partial |\n|---|---|---|\n");
    for (family, rows) in families {
        let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
        text += &format!("| {family} | {} | {} |\n", names.join(" "), partial(&rows));
    }
    text + "\n" + &summary()
}

/// What is missing, calls with the same note together.
fn partial(rows: &[&Row]) -> String {
    let mut notes: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in rows {
        let Some(reason) = reason(row) else { continue };
        match notes.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(row.name),
            None => notes.push((reason, Vec::from([row.name]))),
        }
    }
    let notes: Vec<String> = notes.iter().map(|(reason, names)| format!("{}: {reason}", names.join(", "))).collect();
    notes.join("; ")
}

fn reason(row: &Row) -> Option<&'static str> {
    match row.support {
        Support::Full => None,
        Support::Partial(reason) => Some(reason),
    }
}

/// How many calls there are, and the names of those that there are not.
fn summary() -> String {
    let missing: Vec<&str> = (0_u16..512)
        .filter(|number| SUPPORT.iter().all(|row| row.number != u64::from(*number)))
        .filter_map(|number| abi::nr::name(number.into()))
        .collect();
    format!("{} system calls; `ENOSYS` for {}: {}.\n", SUPPORT.len(), missing.len(), missing.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_shows_the_system_call_table_as_it_is() {
        let readme = include_str!("../../../README.md");
        let today = with_families(readme).expect("the README has a place for the table");
        assert!(readme == today, "README.md is not up to date: run `./just syscalls --readme`");
    }

    #[test]
    fn every_family_is_a_word() {
        assert!(
            SUPPORT
                .iter()
                .all(|row| !row.family.is_empty() && row.family.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        );
    }
}
