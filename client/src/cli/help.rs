//! Puts the words of a language on the command line: help texts, headings, names of values, usage lines.

use clap::{Arg, Command};

use crate::t;
use crate::words::Words;

/// The command line with every text in one language.
pub(crate) fn localized(command: Command, words: &Words) -> Command {
    dress(command, words, "handover", "handover")
}

/// The key of a command's own text.
pub(crate) fn command_key(path: &str) -> String {
    format!("help-{}", path.replace(' ', "-"))
}

/// The key of an option's or argument's text.
pub(crate) fn arg_key(path: &str, arg: &Arg) -> String {
    format!("{}-{}", command_key(path), arg.get_id().as_str().replace('_', "-"))
}

fn dress(command: Command, words: &Words, path: &str, usage_path: &str) -> Command {
    let hidden = command.is_hide_set();
    let mut command = command;
    if !hidden {
        command = command.about(words.say(&command_key(path), &[]));
        command = command.mut_args(|arg| dress_arg(arg, words, path));
    }
    let usage = usage_line(&command, words, usage_path);
    let template =
        format!("{{about-with-newline}}\n{} {{usage}}\n\n{{all-args}}{{after-help}}", t!(words, "heading-usage"));
    if path == "handover" {
        command = command.after_help(format!("{}\n\n{}", t!(words, "help-defaults"), t!(words, "help-exit-codes")));
    }
    command = command
        .override_usage(usage)
        .help_template(template)
        .subcommand_help_heading(t!(words, "heading-commands"))
        .disable_help_subcommand(true);
    command.mut_subcommands(|inner| {
        let name = inner.get_name().to_owned();
        // Below the root the program's own name is left out of the keys.
        let inner_path = if path == "handover" { name.clone() } else { format!("{path} {name}") };
        let inner_usage = format!("{usage_path} {name}");
        dress(inner, words, &inner_path, &inner_usage)
    })
}

fn dress_arg(arg: Arg, words: &Words, path: &str) -> Arg {
    let heading = if arg.is_global_set() || path == "handover" {
        t!(words, "heading-everywhere")
    } else if arg.is_positional() {
        t!(words, "heading-arguments")
    } else {
        t!(words, "heading-options")
    };
    let key = arg_key(path, &arg);
    let mut arg = arg.help(words.say(&key, &[])).help_heading(heading);
    if arg.get_action().takes_values() {
        arg = arg.hide_possible_values(true).hide_default_value(true);
    }
    if let Some(kind) = value_kind(&arg) {
        arg = arg.value_name(words.say(&format!("value-{kind}"), &[]));
    }
    arg
}

/// The kind of value an argument takes, if it takes one.
pub(crate) fn value_kind(arg: &Arg) -> Option<String> {
    let takes_value = arg.get_action().takes_values();
    let name = arg.get_value_names().and_then(<[_]>::first)?;
    takes_value.then(|| name.to_string())
}

fn usage_line(command: &Command, words: &Words, path: &str) -> String {
    let mut line = path.to_owned();
    line.push_str(&format!(" [{}]", t!(words, "usage-options")));
    for arg in command.get_positionals() {
        let name = arg.get_value_names().and_then(<[_]>::first).map(ToString::to_string).unwrap_or_default();
        let many = if arg.get_num_args().is_some_and(|range| range.max_values() > 1)
            || matches!(arg.get_action(), clap::ArgAction::Append)
        {
            "..."
        } else {
            ""
        };
        line.push_str(&if arg.is_required_set() { format!(" <{name}>{many}") } else { format!(" [{name}]{many}") });
    }
    if command.has_subcommands() {
        let either = if command.is_subcommand_required_set() || path == "handover" {
            String::new()
        } else {
            format!(" | {path}")
        };
        line.push_str(&format!("{either} <{}>", t!(words, "usage-command")));
    }
    line
}

/// Every key that is made up from the command line.
#[cfg(test)]
pub(crate) fn keys() -> Vec<String> {
    fn collect(command: &Command, path: &str, found: &mut Vec<String>) {
        if command.is_hide_set() {
            return;
        }
        found.push(command_key(path));
        found.extend(command.get_arguments().map(|arg| arg_key(path, arg)));
        for inner in command.get_subcommands() {
            let name = inner.get_name();
            let inner_path = if path == "handover" { name.to_owned() } else { format!("{path} {name}") };
            collect(inner, &inner_path, found);
        }
    }
    let mut found = Vec::new();
    collect(&<super::args::Cli as clap::CommandFactory>::command(), "handover", &mut found);
    found
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::args::Cli;
    use crate::words::Language;

    #[test]
    fn help_is_wholly_in_the_language() {
        let words = Words::new(Language::Chinese);
        let mut command = localized(Cli::command(), &words);
        command.build();
        for path in [&[][..], &["push"], &["pull"], &["receipt"], &["receipt", "export"], &["demo"]] {
            let found = path.iter().fold(&mut command, |at, name| at.find_subcommand_mut(name).unwrap());
            let text = found.render_help().to_string();
            for english in
                ["Usage", "Options", "OPTIONS", "Arguments", "Commands", "COMMAND", "Print", "[default", "[env"]
            {
                assert!(!text.contains(english), "{english} in help of {path:?}:\n{text}");
            }
        }
    }

    #[test]
    fn usage_lines_show_what_is_required() {
        let words = Words::new(Language::English);
        let mut command = localized(Cli::command(), &words);
        command.build();
        let usage =
            |command: &mut Command, name: &str| command.find_subcommand_mut(name).unwrap().render_usage().to_string();
        assert_eq!(usage(&mut command, "push"), "Usage: handover push [OPTIONS] <PATH>...");
        assert_eq!(usage(&mut command, "pull"), "Usage: handover pull [OPTIONS] [CODE]...");
        assert_eq!(usage(&mut command, "wait"), "Usage: handover wait [OPTIONS] <ID>");
        assert_eq!(usage(&mut command, "receipt"), "Usage: handover receipt [OPTIONS] <COMMAND>");
    }
}
