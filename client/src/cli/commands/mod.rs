//! One function for each command: options in, library called, facts shown, exit code out.

pub(super) mod audit;
mod destroy;
mod doctor;
mod gate;
mod identity;
mod pull;
mod push;
pub(super) mod receipts;
mod record;
mod relays;
mod transfers;
pub(super) mod verify;

use clap::CommandFactory;

use super::args::{Cli, Command};
use super::problem::{Exit, Problem};
use super::{Context, Failure, demo, help};
use crate::t;

/// Runs a command.
pub(super) async fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Push(args) => push::push(*args, context).await,
        Command::Pull(args) => pull::pull(*args, context).await,
        Command::Status { id } => transfers::status(id, context).await,
        Command::Wait { id } => transfers::wait(id, context).await,
        Command::Resume(args) => transfers::resume(args.id, context).await,
        Command::Revoke { id } => transfers::revoke(id, context).await,
        Command::Code { id, words, chinese, qr } => {
            let form = match (words, chinese) {
                (_, true) => transfers::Form::Chinese,
                (true, false) => transfers::Form::English,
                (false, false) => transfers::Form::Text,
            };
            let picture = if qr { super::report::Picture::Wanted } else { super::report::Picture::Unwanted };
            transfers::code(id, form, picture, context)
        }
        Command::Receipt(command) => receipts::run(command, context),
        Command::Verify(args) => verify::run(args, context).await,
        Command::Audit(command) => audit::run(command, context),
        Command::Record(args) => record::run(args, context),
        Command::Destroy(args) => destroy::run(args, context).await,
        Command::Witness { file, present } => destroy::witness(&file, present, context),
        Command::Identity(command) => identity::run(command, context),
        Command::Relay(command) => relays::run(command, context).await,
        Command::Doctor(args) => doctor::doctor(args, context).await,
        Command::Demo(args) => demo::run(args, context).await,
        Command::Completions { shell } => completions(shell, context),
        Command::Help { command } => show_help(&command, context),
        Command::RelayForDemo { data } => demo::relay(data, context).await,
    }
}

fn completions(shell: clap_complete::Shell, context: &Context) -> Result<Exit, Failure> {
    let whole = help::localized(Cli::command(), &context.style().words);
    // The generators know nothing of hidden commands.
    let shown = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut command = clap::Command::new("handover")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .args(whole.get_arguments().cloned())
        .subcommands(shown);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "handover", &mut script);
    print(&String::from_utf8_lossy(&script), context)
}

fn show_help(path: &[String], context: &Context) -> Result<Exit, Failure> {
    let style = context.style();
    let mut command = help::localized(Cli::command(), &style.words).term_width(style.width);
    command.build();
    let mut found = &mut command;
    for name in path {
        let inner = found.find_subcommand_mut(name);
        found = match inner {
            Some(inner) => inner,
            None => {
                let message = t!(style.words, "usage-unknown-command", command = super::secretive::shown(name));
                let problem = Problem::new("usage", Exit::Usage, message, t!(style.words, "hint-help"));
                return Err(problem.into());
            }
        };
    }
    print(&found.render_help().to_string(), context)
}

/// Writes a result to standard output.
pub(super) fn print(text: &str, context: &Context) -> Result<Exit, Failure> {
    match context.screen.result(text) {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            let style = context.style();
            let message = t!(style.words, "problem-stdout", reason = super::problem::reason(&error, style));
            Err(Problem::new("stdout", Exit::Failed, message, t!(style.words, "hint-stdout-closed")).into())
        }
    }
}
