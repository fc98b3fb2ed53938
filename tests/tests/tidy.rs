//! The source tree keeps its own rules: every rule of the specification is kept by code and proven by a test, files stay
//! short, nothing is left half done.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use handover_tests::programs;

const LINES_MAX: usize = 600;
/// Files that a table makes long.
const LONG_FILES: [&str; 1] = ["shared/src/protocol/message.rs"];
/// What stands at the top of the tree, besides names that begin with a dot.
const TOP: [&str; 8] = ["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "client", "relay", "shared", "tests"];
/// Rules that nothing in this tree can break: they bind whoever writes another implementation, or explain words.
const RULES_WITHOUT_CODE: [&str; 0] = [];

/// Every file under version control, by its path in the tree.
fn files() -> Vec<(String, PathBuf)> {
    let root = programs::source_tree();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                if name != "target" && name != ".git" && !entry.path().join("CACHEDIR.TAG").exists() {
                    folders.push(entry.path());
                }
            } else if name != ".git" {
                let path = entry.path();
                found.push((path.strip_prefix(&root).unwrap().display().to_string(), path));
            }
        }
    }
    found.sort();
    found
}

fn source_files() -> Vec<(String, String)> {
    let is_source = |name: &str| name.ends_with(".rs");
    let read = |(name, path): (String, PathBuf)| (name, fs::read_to_string(path).unwrap());
    files().into_iter().filter(|(name, _)| is_source(name)).map(read).collect()
}

/// The part of a file that is in the program, and the part that is a test.
fn parts<'a>(name: &str, text: &'a str) -> (&'a str, &'a str) {
    let is_test = name.starts_with("tests/") || name.contains("/tests/") || name.ends_with("/tests.rs");
    if is_test {
        return ("", text);
    }
    // Tests that stand in a file of their own are declared here, but the code goes on below.
    let begins_here = |at: &usize| text[*at..].lines().nth(1).is_some_and(|line| line.ends_with('{'));
    match text.match_indices("#[cfg(test)]\nmod ").map(|(at, _)| at).find(begins_here) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    }
}

/// Everything like `[S4.2]` or `[S4]` in a text.
fn citations(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("[S") {
        let rest = &text[at + 2..];
        let Some(end) = rest.find(']') else { continue };
        let number = &rest[..end];
        let is_number = |part: &str| !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
        if number.split('.').all(is_number) && number.split('.').count() <= 2 {
            found.insert(format!("S{number}"));
        }
    }
    found
}

/// The rules that the specification states, and its chapters.
fn rules() -> (BTreeSet<String>, BTreeSet<String>) {
    let text = fs::read_to_string(programs::source_tree().join("shared/SPEC.md")).unwrap();
    let rule = |line: &str| Some(line.strip_prefix("- **[")?.split_once("]**")?.0.to_owned());
    let chapter = |line: &str| Some(line.strip_prefix("## S")?.split_once(' ')?.0.to_owned());
    let rules: Vec<String> = text.lines().filter_map(rule).collect();
    let unique: BTreeSet<String> = rules.iter().cloned().collect();
    assert_eq!(rules.len(), unique.len(), "a rule is stated twice");
    assert!(unique.len() > 60, "only {} rules were found", unique.len());
    (unique, text.lines().filter_map(chapter).map(|number| format!("S{number}")).collect())
}

#[test]
fn every_rule_is_kept_by_code_and_proven_by_a_test() {
    let (rules, chapters) = rules();
    let mut places: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for (name, text) in source_files() {
        if name == "tests/tests/tidy.rs" {
            continue;
        }
        let (code, test) = parts(&name, &text);
        for rule in citations(code) {
            places.entry(rule).or_default().0.push(name.clone());
        }
        for rule in citations(test) {
            places.entry(rule).or_default().1.push(name.clone());
        }
    }
    let none = (Vec::new(), Vec::new());
    let mut problems = Vec::new();
    for rule in &rules {
        let (code, test) = places.get(rule).unwrap_or(&none);
        if code.is_empty() && !RULES_WITHOUT_CODE.contains(&rule.as_str()) {
            problems.push(format!("{rule} is cited by no code"));
        }
        if test.is_empty() && !RULES_WITHOUT_CODE.contains(&rule.as_str()) {
            problems.push(format!("{rule} is cited by no test"));
        }
    }
    for (rule, (code, test)) in &places {
        if !rules.contains(rule) && !chapters.contains(rule) {
            problems.push(format!("{rule} does not exist, but is cited by {code:?} {test:?}"));
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn files_are_short() {
    let mut long = Vec::new();
    for (name, text) in source_files() {
        let lines = text.lines().count();
        if lines >= LINES_MAX && !LONG_FILES.contains(&name.as_str()) {
            long.push(format!("{name}: {lines} lines"));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
    for name in LONG_FILES {
        assert!(programs::source_tree().join(name).exists(), "{name} is listed and does not exist");
    }
}

#[test]
fn nothing_is_left_half_done() {
    // Written in two parts so that this file does not find itself.
    let unwanted = [["TO", "DO"], ["FIX", "ME"], ["XX", "X:"], ["unimple", "mented!"], ["to", "do!("], ["dbg", "!("]];
    let mut found = Vec::new();
    for (name, path) in files() {
        let is_text = [".rs", ".md", ".toml", ".ftl", ".sh", "/run"].iter().any(|end| name.ends_with(end));
        if !is_text {
            continue;
        }
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            if unwanted.iter().any(|[one, two]| line.contains(&format!("{one}{two}"))) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_top_of_the_tree_is_as_it_was_agreed() {
    for entry in fs::read_dir(programs::source_tree()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.starts_with('.') || TOP.contains(&name.as_str()) || name == "target",
            "{name} does not belong at the top"
        );
    }
    for name in TOP {
        assert!(programs::source_tree().join(name).exists(), "{name} is missing");
    }
}

#[test]
fn no_unsafe_code_without_a_reason() {
    for (name, text) in source_files() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let is_unsafe =
                line.contains(concat!("allow(uns", "afe_code")) || line.contains(concat!("expect(uns", "afe_code"));
            let near = lines[number..lines.len().min(number + 5)].join("\n");
            assert!(!is_unsafe || near.contains("reason ="), "{name}:{}", number + 1);
        }
    }
}

#[test]
fn the_look_for_citations_sees_what_is_there() {
    let text = "// [S4.2] and [S10] but not [Sx.1], [S1.2.3] or [S1234]";
    assert_eq!(citations(text).into_iter().collect::<Vec<_>>(), ["S10", "S4.2"]);
    let (code, test) = ("#[cfg(test)]\nmod tests;\ncode\n", "#[cfg(test)]\nmod tests {");
    assert_eq!(parts("client/src/a.rs", &format!("{code}{test}")), (code, test));
    assert_eq!(parts("shared/tests/a.rs", "x"), ("", "x"));
    assert!(Path::new(&programs::source_tree()).join("shared/SPEC.md").exists());
}
