//! A first look at the command line, before it is parsed: which command, which language, which home, and where on it
//! the code stands. Nothing here fails; what is wrong is found by the parser.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// One thing on the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The name of a command, as defined, not as typed.
    Command(String),
    /// An option by its id, with its value where it takes one.
    Option(String, Option<OsString>),
    /// Anything else, by its place.
    Positional(usize),
}

/// Everything on the command line, in order. `command` must have been built, `args` begins with the program's name.
pub(crate) fn look(command: &Command, args: &[OsString]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut at = command;
    let mut place = 1;
    while let Some(arg) = args.get(place) {
        let text = arg.to_string_lossy();
        if text == "--" {
            seen.extend((place + 1..args.len()).map(Seen::Positional));
            break;
        }
        let next = args.get(place + 1).map(OsString::as_os_str);
        let took_next = if let Some(long) = text.strip_prefix("--") {
            look_long(at, long, next, &mut seen)
        } else if text.len() > 1 && text.starts_with('-') {
            look_shorts(at, &text, next, &mut seen)
        } else {
            let inner = at.find_subcommand(text.as_ref()).filter(|_| at.has_subcommands());
            match inner {
                Some(inner) => {
                    seen.push(Seen::Command(inner.get_name().to_owned()));
                    at = inner;
                }
                None => seen.push(Seen::Positional(place)),
            }
            false
        };
        place += if took_next { 2 } else { 1 };
    }
    seen
}

/// The commands that were named, joined by a space.
pub(crate) fn command_path(seen: &[Seen]) -> String {
    let names: Vec<&str> = seen
        .iter()
        .filter_map(|one| match one {
            Seen::Command(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    names.join(" ")
}

/// The last value given to an option.
pub(crate) fn value<'a>(seen: &'a [Seen], id: &str) -> Option<&'a OsStr> {
    seen.iter().rev().find_map(|one| match one {
        Seen::Option(name, Some(value)) if name == id => Some(value.as_os_str()),
        _ => None,
    })
}

/// Whether an option was given.
pub(crate) fn has(seen: &[Seen], id: &str) -> bool {
    seen.iter().any(|one| matches!(one, Seen::Option(name, _) if name == id))
}

fn look_long(at: &Command, long: &str, next: Option<&OsStr>, seen: &mut Vec<Seen>) -> bool {
    let (name, inline) = match long.split_once('=') {
        Some((name, value)) => (name, Some(OsString::from(value))),
        None => (long, None),
    };
    let Some(arg) = at.get_arguments().find(|arg| arg.get_long() == Some(name)) else { return false };
    note(arg, inline, next, seen)
}

fn look_shorts(at: &Command, text: &str, next: Option<&OsStr>, seen: &mut Vec<Seen>) -> bool {
    for (index, letter) in text.char_indices().skip(1) {
        let Some(arg) = at.get_arguments().find(|arg| arg.get_short() == Some(letter)) else { return false };
        if !arg.get_action().takes_values() {
            seen.push(Seen::Option(arg.get_id().to_string(), None));
            continue;
        }
        let rest = text.get(index + letter.len_utf8()..).unwrap_or_default();
        let rest = rest.strip_prefix('=').unwrap_or(rest);
        let inline = (!rest.is_empty()).then(|| OsString::from(rest));
        return note(arg, inline, next, seen);
    }
    false
}

/// Notes an option; tells whether it took the next word as its value.
fn note(arg: &Arg, inline: Option<OsString>, next: Option<&OsStr>, seen: &mut Vec<Seen>) -> bool {
    let id = arg.get_id().to_string();
    if !arg.get_action().takes_values() {
        seen.push(Seen::Option(id, None));
        return false;
    }
    let takes_next = inline.is_none() && next.is_some();
    seen.push(Seen::Option(id, inline.or_else(|| next.map(OsStr::to_os_string))));
    takes_next
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::args::Cli;

    fn looked(line: &[&str]) -> Vec<Seen> {
        let mut command = Cli::command();
        command.build();
        look(&command, &line.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn finds_commands_options_and_the_code() {
        let seen = looked(&["handover", "--lang", "zh-CN", "receive", "-yo", "there", "ho1x", "--home=/h", "--", "-y"]);
        assert_eq!(command_path(&seen), "pull");
        assert_eq!(value(&seen, "lang"), Some(OsStr::new("zh-CN")));
        assert_eq!(value(&seen, "home"), Some(OsStr::new("/h")));
        assert_eq!(value(&seen, "out"), Some(OsStr::new("there")));
        assert!(has(&seen, "yes") && !has(&seen, "json"));
        let places: Vec<&Seen> = seen.iter().filter(|one| matches!(one, Seen::Positional(_))).collect();
        assert_eq!(places, [&Seen::Positional(6), &Seen::Positional(9)]);
    }

    #[test]
    fn takes_anything() {
        for line in [
            &["handover"][..],
            &["handover", "--"],
            &["handover", "pull", "-o"],
            &["handover", "pull", "-"],
            &["handover", "--nonsense", "-?", "é"],
            &["handover", "receipt", "export", "7", "d"],
        ] {
            looked(line);
        }
        assert_eq!(command_path(&looked(&["handover", "receipt", "export", "7", "d"])), "receipt export");
    }
}
