//! Compares what the sources ask for with what the sentence files hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::CommandFactory;
use fluent_syntax::ast::{CallArguments, Entry, Expression, InlineExpression, Pattern, PatternElement};

use super::{CHINESE, ENGLISH};
use crate::cli::{detail_key, dynamic_keys};

type Sentences = BTreeMap<String, BTreeSet<String>>;

#[test]
fn both_languages_have_the_same_sentences_with_the_same_values() {
    let english = sentences(ENGLISH);
    let chinese = sentences(CHINESE);
    let keys = |all: &Sentences| all.keys().cloned().collect::<BTreeSet<_>>();
    let missing: Vec<_> = keys(&english).symmetric_difference(&keys(&chinese)).cloned().collect();
    assert!(missing.is_empty(), "in one language only: {missing:#?}");
    for (key, values) in &english {
        assert_eq!(values, &chinese[key], "values of {key}");
    }
}

#[test]
fn every_sentence_is_used_and_every_used_one_is_there() {
    let english = sentences(ENGLISH);
    let literals = detail_literals();
    let mut asked: Sentences = dynamic_keys().into_iter().map(|key| (key, BTreeSet::new())).collect();
    for (place, key, values) in calls() {
        let known = asked.entry(key.clone()).or_insert_with(|| values.clone());
        assert_eq!(known, &values, "{place}: {key} is said with different values at different places");
    }
    asked.extend(literals.required.into_iter().map(|text| (detail_key(&text), BTreeSet::new())));
    let missing: Vec<_> = asked.keys().filter(|key| !english.contains_key(*key)).collect();
    assert!(missing.is_empty(), "asked for and not there: {missing:#?}");
    let possible: BTreeSet<String> = literals.possible.iter().map(|text| detail_key(text)).collect();
    let unused: Vec<_> = english.keys().filter(|key| !asked.contains_key(*key) && !possible.contains(*key)).collect();
    assert!(unused.is_empty(), "there and never asked for: {unused:#?}");
    for (key, values) in &asked {
        // A sentence may leave out a value; it must not need one that nobody gives.
        let needed: Vec<_> = english[key].difference(values).collect();
        assert!(needed.is_empty(), "{key} needs {needed:?}");
        let ignored: Vec<_> = values.difference(&english[key]).collect();
        assert!(ignored.is_empty(), "{key} ignores {ignored:?}");
    }
}

#[test]
fn chinese_sentences_are_chinese() {
    let is_chinese = |char: char| ('\u{4e00}'..='\u{9fff}').contains(&char);
    // Names and formats that are the same in every language.
    let same = [
        "value-address",
        "value-id",
        "value-sha256",
        "error-line",
        "hint-line",
        "moment",
        "peer-with-key",
        "span-",
        "on-moment",
        "month-",
        "list-comma",
        "amount",
    ];
    let resource = fluent_syntax::parser::parse(CHINESE).unwrap();
    for entry in &resource.body {
        let Entry::Message(message) = entry else { continue };
        let key = message.id.name;
        let text = fluent_syntax::serializer::serialize(&fluent_syntax::ast::Resource { body: vec![entry.clone()] });
        let is_same = same.iter().any(|start| key.starts_with(start));
        assert!(is_same || text.chars().any(is_chinese), "{text}");
    }
}

#[test]
fn the_command_line_has_no_key_twice() {
    let keys = dynamic_keys();
    let unique: BTreeSet<_> = keys.iter().collect();
    assert_eq!(keys.len(), unique.len());
    crate::cli::Cli::command().debug_assert();
}

/// Keys of a file, each with the names of its values.
fn sentences(text: &str) -> Sentences {
    let resource = fluent_syntax::parser::parse(text).unwrap_or_else(|(_, errors)| panic!("{errors:#?}"));
    let mut found = Sentences::new();
    for entry in &resource.body {
        let Entry::Message(message) = entry else { continue };
        let mut values = BTreeSet::new();
        pattern_values(message.value.as_ref().unwrap(), &mut values);
        assert!(found.insert(message.id.name.to_owned(), values).is_none(), "{} stands twice", message.id.name);
    }
    found
}

fn pattern_values(pattern: &Pattern<&str>, found: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        let PatternElement::Placeable { expression } = element else { continue };
        match expression {
            Expression::Inline(inline) => inline_values(inline, found),
            Expression::Select { selector, variants } => {
                inline_values(selector, found);
                variants.iter().for_each(|variant| pattern_values(&variant.value, found));
            }
        }
    }
}

fn inline_values(inline: &InlineExpression<&str>, found: &mut BTreeSet<String>) {
    match inline {
        InlineExpression::VariableReference { id } => {
            found.insert(id.name.to_owned());
        }
        InlineExpression::FunctionReference { arguments: CallArguments { positional, .. }, .. } => {
            positional.iter().for_each(|inner| inline_values(inner, found));
        }
        _ => {}
    }
}

/// The text of every source of this crate but this one.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("words/coverage.rs") {
                found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Every use of `t!` in the sources: where, which key, which values.
fn calls() -> Vec<(String, String, BTreeSet<String>)> {
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (start, _) in text.match_indices("t!(") {
            let is_longer_name = text[..start].ends_with(|char: char| char.is_alphanumeric() || char == '_');
            if !is_longer_name && let Some((key, values)) = call(&text[start + 3..]) {
                found.push((path.clone(), key, values));
            }
        }
    }
    assert!(found.len() > 100, "the sources were not found");
    found
}

/// Texts with which the library says what exactly went wrong.
struct Literals {
    /// Where an error is made: each must have a sentence.
    required: BTreeSet<String>,
    /// Everywhere else.
    possible: BTreeSet<String>,
}

fn detail_literals() -> Literals {
    let makers = ["disk(", "what:", "RelayMisbehaved(", "BadReceipt(", "damaged("];
    let mut literals = Literals { required: BTreeSet::new(), possible: BTreeSet::new() };
    for (_, text) in sources() {
        // Quotes inside of literals would put the rest out of step.
        let text = text.replace("\\\"", "").replace("'\"'", "");
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('"') {
            let Some((literal, behind)) = after.split_once('"') else { break };
            literals.possible.insert(literal.to_owned());
            // Names of rules and of files are the same in every language.
            let is_name = literal.contains('.') || literal.starts_with(|char: char| char.is_ascii_uppercase());
            if makers.iter().any(|maker| before.trim_end().ends_with(maker)) && !is_name {
                literals.required.insert(literal.to_owned());
            }
            rest = behind;
        }
    }
    assert!(literals.required.len() > 40, "the errors were not found");
    literals
}

/// Reads `words, "key", name = value, …)`; `None` for what is no use of the macro.
fn call(text: &str) -> Option<(String, BTreeSet<String>)> {
    let parts = split_arguments(text);
    let key = parts.get(1)?.strip_prefix('"')?.strip_suffix('"')?;
    let name = |part: &String| part.split_once('=').map(|(name, _)| name.trim().to_owned());
    Some((key.to_owned(), parts[2..].iter().filter_map(name).collect()))
}

/// The arguments up to the closing parenthesis, split at commas outside of brackets and strings.
fn split_arguments(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut depth, mut in_string, mut escaped) = (Vec::new(), String::new(), 0, false, false);
    for char in text.chars() {
        if in_string {
            in_string = escaped || char != '"';
            escaped = !escaped && char == '\\';
        } else {
            match char {
                '"' => in_string = true,
                '(' | '[' | '{' => depth += 1,
                ')' if depth == 0 => break,
                ')' | ']' | '}' => depth -= 1,
                ',' if depth == 0 => {
                    parts.push(std::mem::take(&mut part).trim().to_owned());
                    continue;
                }
                _ => {}
            }
        }
        part.push(char);
    }
    parts.push(part.trim().to_owned());
    parts.retain(|part| !part.is_empty());
    parts
}
