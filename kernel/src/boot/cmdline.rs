//! The kernel command line: Linux's rules (`Documentation/admin-guide/kernel-parameters.rst`).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A command line taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `name=value` words (value empty without `=`), in order: of several of one name the last counts.
    parameters: Vec<(String, String)>,
    /// The words after `--`: arguments of init.
    pub arguments: Vec<String>,
}

impl CommandLine {
    /// Splits at blanks; double quotes keep blanks together and are dropped; `--` ends the kernel's part.
    pub fn parse(text: &str) -> Self {
        let mut words = words(text).into_iter();
        let mut parameters = Vec::new();
        for word in words.by_ref().take_while(|word| word != "--") {
            let (name, value) = word.split_once('=').unwrap_or((&word, ""));
            parameters.push((name.to_string(), value.to_string()));
        }
        Self { parameters, arguments: words.collect() }
    }

    /// The value of a parameter, if it is given.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().rev().find(|(given, _)| given == name)?;
        Some(&found.1)
    }

    /// The values of a parameter that may be given several times.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.parameters.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Words the kernel does not know go to init: `name=value` without a dot in the name.
    pub fn environment(&self, known: &[&str]) -> impl Iterator<Item = String> {
        let foreign = |(name, value): &&(String, String)| {
            !value.is_empty() && !name.contains('.') && !known.contains(&name.as_str())
        };
        self.parameters
            .iter()
            .filter(foreign)
            .map(|(name, value)| alloc::format!("{name}={value}"))
            .collect::<Vec<_>>()
            .into_iter()
    }
}

fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut open) = (Vec::new(), String::new(), false, false);
    for c in text.chars() {
        match c {
            '"' => (quoted, open) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if open {
                    words.push(core::mem::take(&mut word));
                }
                open = false;
            }
            c => {
                word.push(c);
                open = true;
            }
        }
    }
    if open {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks_and_two_dashes_end_the_kernels_part() {
        let line = CommandLine::parse("quiet init=/bin/sh x=\"a b\" -- -c \"echo hi\"");
        assert_eq!(line.get("quiet"), Some(""));
        assert_eq!(line.get("init"), Some("/bin/sh"));
        assert_eq!(line.get("x"), Some("a b"));
        assert_eq!(line.arguments, ["-c", "echo hi"]);
    }

    #[test]
    fn the_last_of_several_counts() {
        assert_eq!(CommandLine::parse("a=1 a=2").get("a"), Some("2"));
    }

    #[test]
    fn foreign_words_become_environment() {
        let line = CommandLine::parse("quiet TERM=xterm rustos.x=1 init=/i");
        assert_eq!(line.environment(&["init"]).collect::<Vec<_>>(), ["TERM=xterm"]);
    }
}
