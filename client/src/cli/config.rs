//! What stands in for options that are not on the command line: the environment, then the configuration file.
//!
//! Every option `--some-thing` is also `HANDOVER_SOME_THING` and `some-thing` in `config.toml`, there at the top or in
//! a table with the name of a command. A list in the environment has one value a line.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{Arg, ArgAction, Command};

use super::problem::{Exit, Problem};
use super::secretive::shown;
use super::style::Style;
use crate::private::escaped;
use crate::t;

/// Variables of the environment by name.
pub(crate) type Variables = BTreeMap<String, OsString>;

const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// Options that the file cannot hold: it is found through one of them, and the others end the run at once.
const NOT_IN_FILE: [&str; 3] = ["home", "help", "version"];

/// The variables of this process.
pub(crate) fn variables() -> Variables {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
}

/// The name of an option in the environment.
pub(crate) fn variable_name(long: &str) -> String {
    format!("HANDOVER_{}", long.to_ascii_uppercase().replace('-', "_"))
}

/// Reads the configuration file; one that is not there is empty.
pub(crate) fn read(path: &Path, style: &Style) -> Result<toml::Table, Problem> {
    let shown_path = || escaped(path.as_os_str().as_encoded_bytes());
    let bytes = match crate::home::read_private(path, CONFIG_BYTES_MAX) {
        Ok(None) => return Ok(toml::Table::new()),
        Ok(Some(bytes)) => bytes,
        Err(error) => return Err(super::problem::of(&error, None, style)),
    };
    let text = String::from_utf8_lossy(&bytes);
    text.parse::<toml::Table>().map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        let message = t!(style.words, "config-unreadable", path = shown_path(), line = line as u64);
        Problem::new("config", Exit::Usage, message, t!(style.words, "hint-config"))
    })
}

/// Gives every option the default that environment and file say.
pub(crate) fn with_defaults(
    command: Command,
    variables: &Variables,
    file: &toml::Table,
    style: &Style,
) -> Result<Command, Problem> {
    if let Some(name) = unknown_name(&command, file) {
        let message = t!(style.words, "config-unknown", name = shown(&name));
        return Err(Problem::new("config", Exit::Usage, message, t!(style.words, "hint-config")));
    }
    let mut fault = None;
    let command = fill(command, variables, &[file], style, &mut fault);
    match fault {
        None => Ok(command),
        Some(problem) => Err(problem),
    }
}

/// `tables` are the file's tables that apply, the most general first.
fn fill(
    command: Command,
    variables: &Variables,
    tables: &[&toml::Table],
    style: &Style,
    fault: &mut Option<Problem>,
) -> Command {
    let command = command.mut_args(|arg| {
        let Some(long) = arg.get_long().map(str::to_owned) else { return arg };
        let variable = variable_name(&long);
        let from_variable = variables.get(&variable).filter(|value| !value.is_empty());
        let (place, values) = match from_variable {
            Some(value) => (variable, split(&arg, value)),
            None => match tables.iter().rev().find_map(|table| table.get(&long)) {
                Some(value) if !NOT_IN_FILE.contains(&long.as_str()) => (long, texts(value)),
                _ => return arg,
            },
        };
        match default_for(&arg, values) {
            Some(values) => arg.default_values(values),
            None => {
                let kind = super::help::value_kind(&arg).map(|kind| format!("expects-{kind}"));
                let hint = match kind.filter(|key| style.words.has(key)) {
                    Some(key) => style.words.say(&key, &[]),
                    None => t!(style.words, "hint-config"),
                };
                let message = t!(style.words, "config-value", name = place);
                fault.get_or_insert(Problem::new("config", Exit::Usage, message, hint));
                arg
            }
        }
    });
    command.mut_subcommands(|inner| {
        let own = tables.last().and_then(|table| table.get(inner.get_name())).and_then(toml::Value::as_table);
        let tables: Vec<&toml::Table> = tables.iter().copied().chain(own).collect();
        fill(inner, variables, &tables, style, fault)
    })
}

fn split(arg: &Arg, value: &OsStr) -> Option<Vec<OsString>> {
    match (arg.get_action(), value.to_str()) {
        (ArgAction::Append, Some(text)) => Some(text.lines().map(OsString::from).collect()),
        _ => Some(vec![value.to_os_string()]),
    }
}

fn texts(value: &toml::Value) -> Option<Vec<OsString>> {
    let text = |value: &toml::Value| match value {
        toml::Value::String(text) => Some(OsString::from(text)),
        toml::Value::Integer(number) => Some(number.to_string().into()),
        toml::Value::Boolean(flag) => Some(flag.to_string().into()),
        _ => None,
    };
    match value {
        toml::Value::Array(values) => values.iter().map(text).collect(),
        value => text(value).map(|text| vec![text]),
    }
}

/// The values as the option's default, if the option would take them.
fn default_for(arg: &Arg, values: Option<Vec<OsString>>) -> Option<Vec<OsString>> {
    let values = values?;
    match arg.get_action() {
        ArgAction::SetTrue => {
            let [value] = values.as_slice() else { return None };
            let flag = match value.to_str()?.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" | "y" => "true",
                "0" | "false" | "no" | "off" | "n" => "false",
                _ => return None,
            };
            Some(vec![flag.into()])
        }
        ArgAction::Count => {
            let [value] = values.as_slice() else { return None };
            value.to_str()?.parse::<u8>().ok()?;
            Some(values)
        }
        ArgAction::Set if values.len() != 1 => None,
        ArgAction::Set | ArgAction::Append => {
            let long = arg.get_long()?;
            let trial = Command::new("trial").no_binary_name(true).arg(arg.clone());
            let line = values.iter().map(|value| {
                let mut word = OsString::from(format!("--{long}="));
                word.push(value);
                word
            });
            trial.try_get_matches_from(line).ok()?;
            Some(values)
        }
        _ => None,
    }
}

/// A name in the file that stands for nothing.
fn unknown_name(command: &Command, table: &toml::Table) -> Option<String> {
    table.iter().find_map(|(name, value)| {
        let inner = command.find_subcommand(name).filter(|inner| inner.get_name() == name && !inner.is_hide_set());
        match (inner, value) {
            (Some(inner), toml::Value::Table(table)) => {
                unknown_name(inner, table).map(|below| format!("{name}.{below}"))
            }
            _ if !NOT_IN_FILE.contains(&name.as_str()) && is_option(command, name) => None,
            _ => Some(name.clone()),
        }
    })
}

fn is_option(command: &Command, name: &str) -> bool {
    command.get_arguments().any(|arg| arg.get_long() == Some(name))
        || command.get_subcommands().any(|inner| is_option(inner, name))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::cli::args::{Cli, ColorWhen, Command as Verb, PushArgs};
    use crate::words::Language;

    fn parsed(line: &[&str], variables: &[(&str, &str)], file: &str) -> Result<Cli, String> {
        let style = Style::plain(Language::English);
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        let file = file.parse().unwrap();
        let command = with_defaults(Cli::command(), &variables, &file, &style).map_err(|problem| problem.message)?;
        let line: Vec<&str> = std::iter::once("handover").chain(line.iter().copied()).collect();
        let matches = command.try_get_matches_from(line).map_err(|error| error.to_string())?;
        Cli::from_arg_matches(&matches).map_err(|error| error.to_string())
    }

    fn push(line: &[&str], variables: &[(&str, &str)], file: &str) -> PushArgs {
        match parsed(line, variables, file).unwrap().command {
            Verb::Push(push) => *push,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flag_before_environment_before_file() {
        let file = "label = \"file\"\n[push]\nexpires = \"2d\"\nexclude = [\"a\", \"b\"]\nno-qr = true\n";
        let found = push(&["push", "x"], &[], file);
        assert_eq!((found.label.as_deref(), found.expires), (Some("file"), Some(172_800_000)));
        assert_eq!((found.exclude.as_slice(), found.no_qr), (&["a".to_owned(), "b".to_owned()][..], true));

        let variables = [("HANDOVER_LABEL", "env"), ("HANDOVER_EXCLUDE", "c\nd"), ("HANDOVER_NO_QR", "0")];
        let found = push(&["push", "x"], &variables, file);
        assert_eq!(found.label.as_deref(), Some("env"));
        assert_eq!((found.exclude.as_slice(), found.no_qr), (&["c".to_owned(), "d".to_owned()][..], false));

        let found = push(&["push", "x", "--label", "flag", "--exclude", "e"], &variables, file);
        assert_eq!((found.label.as_deref(), found.exclude.as_slice()), (Some("flag"), &["e".to_owned()][..]));
    }

    #[test]
    fn options_for_every_command_have_defaults_too() {
        let found = parsed(&["status"], &[("HANDOVER_JSON", "yes"), ("HANDOVER_VERBOSE", "2")], "color = \"never\"");
        let everywhere = found.unwrap().everywhere;
        assert_eq!((everywhere.json, everywhere.verbose, everywhere.color), (true, 2, ColorWhen::Never));
        let found = parsed(&["status", "--color", "always"], &[], "color = \"never\"").unwrap();
        assert_eq!(found.everywhere.color, ColorWhen::Always);
        let found = parsed(&["status", "-v"], &[("HANDOVER_VERBOSE", "2")], "").unwrap();
        assert_eq!(found.everywhere.verbose, 1);
    }

    #[test]
    fn what_is_wrong_is_named() {
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
        let table: [Row; 8] = [
            (&[("HANDOVER_EXPIRES", "soon")], "", "HANDOVER_EXPIRES"),
            (&[], "expires = \"soon\"", "expires"),
            (&[], "no-qr = 7", "no-qr"),
            (&[], "colour = \"never\"", "colour"),
            (&[], "[push]\nbandwidth = \"1M\"", "push.bandwidth"),
            (&[], "[push]\nbwlimit = \"fast\"", "bwlimit"),
            (&[("HANDOVER_BWLIMIT", "fast")], "", "HANDOVER_BWLIMIT"),
            (&[], "home = \"/x\"", "home"),
        ];
        for (variables, file, name) in table {
            let message = parsed(&["push", "x"], variables, file).unwrap_err();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn aliases_and_words_of_the_contract() {
        for (alias, name) in [("send", "push"), ("receive", "pull"), ("list", "status")] {
            let mut command = Cli::command();
            command.build();
            assert_eq!(command.find_subcommand(alias).unwrap().get_name(), name);
        }
        push(
            &[
                "push",
                "a",
                "b",
                "--relay",
                "r:1",
                "--expires",
                "14d",
                "--label",
                "l",
                "--exclude",
                "x",
                "--include",
                "y",
                "--exclude-from",
                "f",
                "--follow",
                "-n",
                "--level",
                "19",
                "--bwlimit",
                "08:00,512k 19:00,off",
                "--wait",
                "--no-qr",
                "--code-file",
                "c",
                "--new",
                "--as",
                "n",
            ],
            &[],
            "",
        );
        for line in [
            &["pull", "one", "two", "-o", "-", "--list", "--conflict", "rename", "-y", "--relay", "r"][..],
            &["pull", "one", "--bwlimit", "10M:1M"],
            &["resume", "--bwlimit", "off"],
            &["doctor", "--relay", "r:1", "--out", "d"],
            &["relay", "test"],
            &["relay", "test", "r:1"],
            &["receipt", "export", "7", "dir"],
            &["code", "7", "--chinese"],
            &["relay", "remove", "r:1"],
            &["record", "7", "-o", "r.html", "--annex", "list.txt"],
            &["record", "verify", "r.html", "--seller", "SHA256:xqC22gVeMJaTgauqkq+afh79H60yYGH4XMQDkUahQk0"],
            &["demo", "--size", "64M", "--files", "3", "--keep"],
            &["completions", "zsh"],
            &["identity", "import", "--agent"],
            &["identity", "import", "f", "--passphrase-file", "p"],
            &["identity", "passphrase", "--remove"],
            &["destroy", "7"],
            &["destroy", "7", "--source", "--confirm", "destroy source 7", "--reason", "r", "--certificate", "d", "-y"],
            &["destroy", "verify", "f"],
            &["witness", "f", "--present"],
            &["verify", "d"],
            &["verify", "d", "--id", "3", "--all"],
        ] {
            parsed(line, &[], "").unwrap();
        }
        for line in [
            &["push", "x", "--attended"][..],
            &["pull", "x", "--as", "n"],
            &["pull", "x", "--accept-agreement", "f"],
            &["pull", "x", "--refuse-agreement", "--accept-agreement", "f"],
            &["push", "x", "--to", "k"],
            &["push", "x", "--copy"],
            &["push", "x", "--level", "20"],
        ] {
            assert!(parsed(line, &[], "").is_err(), "{line:?}");
        }
    }
}
