//! A command line that is not understood, in the person's language.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::help::value_kind;
use super::problem::{Exit, Problem};
use super::secretive::{looks_like_code, shown};
use crate::t;
use crate::words::Words;

/// Explains a fault of the command line. `path` is the command that was begun.
pub(crate) fn explain(error: &clap::Error, path: &str, words: &Words) -> Problem {
    let text = |kind| context(error, kind);
    let help = if path.is_empty() {
        t!(words, "hint-help")
    } else {
        t!(words, "hint-help-command", command = path.to_owned())
    };
    let arg = text(ContextKind::InvalidArg).unwrap_or_default();
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let (message, hint) = match error.kind() {
        ErrorKind::UnknownArgument => {
            let hint = match text(ContextKind::SuggestedArg) {
                Some(near) => t!(words, "hint-did-you-mean", near = near),
                None => help,
            };
            (t!(words, "usage-unknown-argument", argument = shown(&arg)), hint)
        }
        ErrorKind::InvalidSubcommand => unknown_command(error, words, help),
        ErrorKind::InvalidValue if value.is_empty() => (t!(words, "usage-value-missing", argument = arg), help),
        ErrorKind::InvalidValue => {
            let hint = match text(ContextKind::ValidValue) {
                Some(valid) => t!(words, "hint-one-of", values = valid),
                None => help,
            };
            (t!(words, "usage-value", argument = arg, value = shown(&value)), hint)
        }
        ErrorKind::ValueValidation => {
            let hint = expectation(&arg, words).unwrap_or(help);
            (t!(words, "usage-value", argument = arg, value = shown(&value)), hint)
        }
        ErrorKind::TooManyValues | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues | ErrorKind::NoEquals => {
            (t!(words, "usage-value-count", argument = arg), help)
        }
        ErrorKind::ArgumentConflict => {
            let other = text(ContextKind::PriorArg).unwrap_or_default();
            (t!(words, "usage-conflict", argument = arg, other = other), help)
        }
        ErrorKind::MissingRequiredArgument => (t!(words, "usage-missing", argument = arg), help),
        ErrorKind::MissingSubcommand => (t!(words, "usage-missing-command"), help),
        ErrorKind::InvalidUtf8 => (t!(words, "usage-not-unicode"), help),
        _ => (t!(words, "usage-other"), help),
    };
    Problem::new("usage", Exit::Usage, message, hint)
}

fn unknown_command(error: &clap::Error, words: &Words, help: String) -> (String, String) {
    let name = context(error, ContextKind::InvalidSubcommand).unwrap_or_default();
    if looks_like_code(&name) {
        // The code itself must not be repeated.
        return (t!(words, "usage-code-without-command"), t!(words, "hint-code-without-command"));
    }
    let message = t!(words, "usage-unknown-command", command = shown(&name));
    let hint = match context(error, ContextKind::SuggestedSubcommand) {
        Some(near) => t!(words, "hint-did-you-mean", near = near),
        None if std::path::Path::new(&name).exists() => t!(words, "hint-push-path", path = shown(&name)),
        None => help,
    };
    (message, hint)
}

/// What the value of an argument, shown as `--expires <DURATION>` or `<ID>`, has to look like.
fn expectation(arg: &str, words: &Words) -> Option<String> {
    let from = arg.find(['<', '['])?;
    let name = arg.get(from + 1..)?.split(['>', ']']).next()?;
    kinds().into_iter().find(|kind| words.say(&format!("value-{kind}"), &[]) == name).and_then(|kind| {
        let key = format!("expects-{kind}");
        words.has(&key).then(|| words.say(&key, &[]))
    })
}

/// Every kind of value, by its key.
pub(crate) fn kinds() -> Vec<String> {
    fn collect(command: &Command, found: &mut Vec<String>) {
        found.extend(command.get_arguments().filter_map(value_kind));
        command.get_subcommands().for_each(|inner| collect(inner, found));
    }
    let mut found = Vec::new();
    collect(&<super::args::Cli as clap::CommandFactory>::command(), &mut found);
    found.sort();
    found.dedup();
    found
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        ContextValue::StyledStrs(texts) => Some(texts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        ContextValue::Number(number) => Some(number.to_string()),
        ContextValue::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::args::Cli;
    use crate::words::Language;

    fn explained(line: &[&str], language: Language) -> Problem {
        let words = Words::new(language);
        let command = crate::cli::help::localized(Cli::command(), &words);
        let line = std::iter::once("handover").chain(line.iter().copied());
        let error = command.try_get_matches_from(line).unwrap_err();
        explain(&error, "push", &words)
    }

    #[test]
    fn faults_of_the_command_line_are_explained() {
        let table: [(&[&str], &str, &str, &str); 10] = [
            (&["push"], "<PATH>", "missing", "缺少"),
            (&["push", "x", "--expires", "soon"], "soon", "14d", "14d"),
            (&["push", "x", "--level", "20"], "20", "1 (fast)", "1（快）"),
            (&["push", "x", "--expires"], "--expires", "needs a value", "缺少值"),
            (&["push", "x", "--labl", "y"], "--labl", "did you mean --label", "您是否要写 --label"),
            (&["push", "x", "--color", "red"], "red", "auto, always, never", "auto, always, never"),
            (&["pus", "x"], "pus", "did you mean pull, push", "您是否要写 pull, push"),
            (&["wait", "seven"], "seven", "number of a transfer", "移交的编号"),
            (&["code", "7", "--words", "--chinese"], "--chinese", "together", "同时使用"),
            (&["receipt"], "", "", ""),
        ];
        for (line, both, english, chinese) in table {
            for (language, own) in [(Language::English, english), (Language::Chinese, chinese)] {
                let problem = explained(line, language);
                let text = format!("{} {}", problem.message, problem.hint);
                let both =
                    if language == Language::Chinese { both.replace("<PATH>", "<路径>") } else { both.to_owned() };
                assert!(text.contains(&both) && text.contains(own), "{line:?}: {text}");
                assert_eq!(problem.exit, Exit::Usage);
            }
        }
    }

    #[test]
    fn a_code_in_the_wrong_place_is_not_repeated() {
        let code = "ho1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxg76n6@relay";
        for line in [&[code][..], &["wait", code], &["push", "x", "--relay", "hr1qqq@relay"], &["status", code]] {
            for language in Language::ALL {
                let problem = explained(line, language);
                let text = format!("{} {}", problem.message, problem.hint);
                assert!(!text.contains("qqq"), "{text}");
            }
        }
        assert!(explained(&[code], Language::English).hint.contains("handover pull"));
    }
}
