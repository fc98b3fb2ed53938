//! The program: reads the command line, runs the library, and shows what happens. Only this module prints.
//!
//! | module | what it holds |
//! |---|---|
//! | `args`, `values`, `argv`, `config`, `usage`, `help` | the command line, its defaults, its faults, its help |
//! | `commands` | one function for each command |
//! | `report`, `json`, `progress` | events of a run as sentences, as objects, as moving lines |
//! | `show`, `status`, `diagnosis`, `verdicts`, `certificates`, `keys`, `qr`, `time`, `units`, `style` | facts as text; pure |
//! | `problem`, `refusal` | errors as message, hint and exit code |
//! | `screen`, `ask`, `code_input`, `secretive` | the terminal: what goes out, what comes in, what must not be shown |
//! | `signals`, `log` | what the system and the developer want |
//! | `demo` | a seller, a relay and a buyer on this machine |

mod args;
mod argv;
mod ask;
mod certificates;
mod code_input;
mod commands;
mod config;
mod demo;
mod diagnosis;
#[cfg(test)]
mod golden;
mod help;
mod json;
mod keys;
mod log;
mod problem;
mod progress;
mod qr;
mod refusal;
mod report;
mod screen;
mod secretive;
mod show;
mod signals;
mod status;
mod style;
mod time;
mod units;
mod usage;
mod values;
mod verdicts;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

pub(crate) use args::Cli;
use args::{ColorWhen, Command, Everywhere, TransportWord};
use argv::Seen;
use ask::{Asker, Presence};
use config::Variables;
#[cfg(test)]
pub(crate) use problem::detail_key;
use problem::{Exit, Problem};
use report::{Asked, Report};
use screen::{Mode, Screen};
use style::Style;
use values::ProxyWord;

use crate::bandwidth::{Bandwidth, Timetable};
use crate::error::Error;
use crate::home::{HOME_VARIABLE, Home};
use crate::link::network::TransportChoice;
use crate::link::proxy::{self, Proxies};
use crate::stop::{self, Stop};
use crate::words::{Language, Words};

/// A transfer with everything that can be known.
#[cfg(test)]
pub(crate) fn golden_facts(role: crate::home::transfers::Role) -> crate::home::transfers::Facts {
    golden::facts(role)
}

/// Every key of `words/` that no source names as a whole: help texts, names of values and what they have to look like.
#[cfg(test)]
pub(crate) fn dynamic_keys() -> Vec<String> {
    let without_expectation =
        ["code", "command", "dir", "dir-or-id", "file", "file-or-id", "glob", "invite", "name", "path", "text"];
    let chosen_from_list = ["policy", "shell", "transport", "when"];
    let mut keys = help::keys();
    for kind in usage::kinds() {
        if !without_expectation.contains(&kind.as_str()) && !chosen_from_list.contains(&kind.as_str()) {
            keys.push(format!("expects-{kind}"));
        }
        keys.push(format!("value-{kind}"));
    }
    let events = handover_shared::proof::log::entry::event_kinds();
    keys.extend(events.map(|kind| format!("log-{}", handover_shared::proof::event_word(kind))));
    keys.push(crate::destroy::FAILURE.to_owned());
    keys
}

/// Runs the program. `args` begin with the program's name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    forbid_core_dumps();
    ExitCode::from(run(&args))
}

/// Keys must not end in a file when the program crashes.
fn forbid_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        if let Err(error) = setrlimit(Resource::Core, none) {
            tracing::debug!("core dumps could not be switched off: {error}");
        }
    }
}

/// Why a command ended early.
pub(crate) enum Failure {
    /// The library says so.
    Error(Error, Option<crate::home::transfers::Role>),
    /// The command line does.
    Problem(Problem),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error, None)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// What every command is given.
pub(crate) struct Context {
    pub(crate) screen: Arc<Screen>,
    pub(crate) report: Arc<Report>,
    pub(crate) asker: Arc<Asker>,
    pub(crate) variables: Variables,
    pub(crate) stop: Stop,
    pub(crate) signals: signals::Signals,
    explicit_home: Option<PathBuf>,
    transport: TransportChoice,
    proxies: Proxies,
    passphrase_file: Option<PathBuf>,
}

impl Context {
    /// This machine's files.
    pub(crate) fn home(&self) -> Result<Home, Error> {
        let unlock = ask::Opener::new(self.asker.clone(), self.passphrase_file.clone());
        let home = Home::open(self.explicit_home.as_deref())?.reaching(self.transport, self.proxies.clone());
        Ok(home.unlocked_by(Arc::new(unlock)))
    }

    /// Gives the passphrase of a key that is not this machine's yet.
    pub(crate) fn opener(&self) -> ask::Opener {
        ask::Opener::new(self.asker.clone(), self.passphrase_file.clone())
    }

    /// How things look.
    pub(crate) fn style(&self) -> &Style {
        &self.screen.style
    }
}

fn run(args: &[OsString]) -> u8 {
    let variables = config::variables();
    let mut bare = Cli::command();
    bare.build();
    let seen = argv::look(&bare, args);
    hide_code(args, &seen, &variables);
    let mut style = first_style(&seen, &variables);
    let parsed = parse(args, &seen, &variables, &mut style);
    let is_json = argv::has(&seen, "json") || parsed.as_ref().is_ok_and(|cli| cli.everywhere.json);
    match parsed {
        Ok(cli) => {
            let mode = mode(&cli.everywhere);
            let screen = Arc::new(Screen::new(style, mode));
            start(cli, screen, variables, &argv::command_path(&seen))
        }
        Err(unparsed) => {
            let screen = Screen::new(style, if is_json { Mode::Json } else { Mode::People });
            end_unparsed(unparsed, &screen)
        }
    }
}

/// A command line that is not run.
enum Unparsed {
    /// Help or version, to standard output.
    Shown(String),
    /// Help because nothing was asked for, to standard error.
    Missing(String),
    /// It is wrong.
    Problem(Problem),
}

fn end_unparsed(unparsed: Unparsed, screen: &Screen) -> u8 {
    match unparsed {
        Unparsed::Shown(text) => match screen.result(&text) {
            Ok(()) => Exit::Done.number(),
            Err(_closed) => Exit::Failed.number(),
        },
        Unparsed::Missing(text) => {
            screen.say_always(&text);
            Exit::Usage.number()
        }
        Unparsed::Problem(problem) => end_problem(&problem, screen),
    }
}

fn end_problem(problem: &Problem, screen: &Screen) -> u8 {
    if screen.mode == Mode::Json && screen.result(&json::error(problem).line()).is_err() {
        tracing::debug!("standard output is closed");
    }
    screen.fault(&problem.message, &problem.hint);
    problem.exit.number()
}

fn hide_code(args: &[OsString], seen: &[Seen], variables: &Variables) {
    if argv::command_path(seen) != "pull" || argv::has(seen, "code_file") {
        return;
    }
    let places: Vec<usize> = seen
        .iter()
        .filter_map(|one| match one {
            Seen::Positional(place) => Some(*place),
            _ => None,
        })
        .collect();
    code_input::hide(args, &places, variables);
}

/// The style before the configuration file has been read.
fn first_style(seen: &[Seen], variables: &Variables) -> Style {
    let color = argv::value(seen, "color").or(variables.get("HANDOVER_COLOR").map(OsString::as_os_str));
    let when = match color.and_then(|value| value.to_str()) {
        Some("always") => ColorWhen::Always,
        Some("never") => ColorWhen::Never,
        _ => ColorWhen::Auto,
    };
    Style {
        words: Arc::new(Words::new(language(seen, variables, None))),
        zone: time::local_zone(),
        width: screen::width(),
        paint: screen::paint(when, variables),
    }
}

/// The language: as asked for, as configured, as the system's locale, else English.
fn language(seen: &[Seen], variables: &Variables, configured: Option<&str>) -> Language {
    let text = |name: &str| variables.get(name).and_then(|value| value.to_str());
    let asked = argv::value(seen, "lang").and_then(|value| value.to_str()).or(text("HANDOVER_LANG")).or(configured);
    if let Some(language) = asked.and_then(|asked| values::language(asked).ok()) {
        return language;
    }
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| Language::of_locale(text(name)?))
        .unwrap_or(Language::English)
}

fn parse(args: &[OsString], seen: &[Seen], variables: &Variables, style: &mut Style) -> Result<Cli, Unparsed> {
    let home = argv::value(seen, "home").or(variables.get(HOME_VARIABLE).map(OsString::as_os_str)).map(PathBuf::from);
    let file = match Home::config_path(home.as_deref()) {
        Some(path) => config::read(&path, style).map_err(Unparsed::Problem)?,
        None => toml::Table::new(),
    };
    let configured = file.get("lang").and_then(toml::Value::as_str);
    style.words = Arc::new(Words::new(language(seen, variables, configured)));
    let command = config::with_defaults(Cli::command(), variables, &file, style).map_err(Unparsed::Problem)?;
    let command = help::localized(command, &style.words).term_width(style.width);
    let parsed = command.try_get_matches_from(args).and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    let cli = parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Unparsed::Shown(error.render().to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Unparsed::Missing(error.render().to_string()),
        _ => Unparsed::Problem(usage::explain(&error, &argv::command_path(seen), &style.words)),
    })?;
    style.paint = screen::paint(cli.everywhere.color, variables);
    check(&cli.everywhere, seen, &style.words).map_err(Unparsed::Problem)?;
    Ok(cli)
}

fn mode(everywhere: &Everywhere) -> Mode {
    match (everywhere.json, everywhere.quiet) {
        (true, _) => Mode::Json,
        (false, true) => Mode::Quiet,
        (false, false) => Mode::People,
    }
}

fn start(cli: Cli, screen: Arc<Screen>, variables: Variables, path: &str) -> u8 {
    log::begin(cli.everywhere.verbose, variables.get(log::VARIABLE), &screen);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let problem = problem::of(&Error::Internal(error.to_string()), None, &screen.style);
            return end_problem(&problem, &screen);
        }
    };
    let exit = runtime.block_on(dispatch(cli, screen, variables, path));
    // A question that is still waiting for an answer must not keep the program from ending.
    runtime.shutdown_background();
    exit
}

async fn dispatch(cli: Cli, screen: Arc<Screen>, variables: Variables, path: &str) -> u8 {
    let Cli { everywhere, command } = cli;
    let presence = if everywhere.no_input { Presence::Nobody } else { Presence::Somebody };
    let report = Arc::new(Report::new(screen.clone(), asked(&command)));
    let (stopper, stop) = stop::pair();
    let signals = signals::Signals::listen(stopper, report.clone());
    let asker = Arc::new(Asker::new(screen.clone(), presence, signals.clone()));
    let proxies = proxies(everywhere.proxy, &variables);
    let (explicit_home, transport) = (everywhere.home, everywhere.transport.into());
    let passphrase_file = everywhere.passphrase_file;
    let context =
        Context { screen, report, asker, variables, stop, signals, explicit_home, transport, proxies, passphrase_file };
    context.report.object(json::started(path, time::now()));
    let ticking = tokio::spawn(tick(context.report.clone()));
    let result = Box::pin(commands::run(command, &context)).await;
    ticking.abort();
    context.report.finish();
    end(result, &context)
}

/// The proxies that were asked for, or those of the environment.
fn proxies(word: Option<ProxyWord>, variables: &Variables) -> Proxies {
    let asked = match word {
        None => proxy::Asked::Nothing,
        Some(ProxyWord::NoProxy) => proxy::Asked::NoProxy,
        Some(ProxyWord::Proxy(proxy)) => proxy::Asked::Proxy(proxy),
    };
    // What is no text is no address either, and is not understood when it is needed.
    Proxies::new(asked, |name| variables.get(name).map(|value| value.to_string_lossy().into_owned()))
}

/// Faults of options that only show when they are taken together, or with where they were given.
fn check(everywhere: &Everywhere, seen: &[Seen], words: &Words) -> Result<(), Problem> {
    let Some(ProxyWord::Proxy(proxy)) = &everywhere.proxy else { return Ok(()) };
    let usage = |message, hint| Err(Problem::new("usage", Exit::Usage, message, hint));
    if proxy.has_credentials() && argv::value(seen, "proxy").is_some() {
        return usage(crate::t!(words, "usage-proxy-credentials"), crate::t!(words, "hint-proxy-credentials"));
    }
    if everywhere.transport == TransportWord::Quic {
        return usage(crate::t!(words, "usage-proxy-quic"), crate::t!(words, "hint-proxy-quic"));
    }
    Ok(())
}

async fn tick(report: Arc<Report>) {
    let mut clock = tokio::time::interval(screen::DRAW_EVERY);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        clock.tick().await;
        report.tick();
    }
}

fn asked(command: &Command) -> Asked {
    let limited = |timetable: &Option<Timetable>| Bandwidth::of(timetable.clone().unwrap_or_default());
    match command {
        Command::Push(push) => Asked {
            code_file: push.code_file.clone(),
            picture: if push.no_qr { report::Picture::Unwanted } else { report::Picture::Wanted },
            bandwidth: limited(&push.bwlimit),
        },
        Command::Pull(pull) => Asked { bandwidth: limited(&pull.bwlimit), ..Asked::default() },
        Command::Resume(resume) => Asked { bandwidth: limited(&resume.bwlimit), ..Asked::default() },
        _ => Asked::default(),
    }
}

fn end(result: Result<Exit, Failure>, context: &Context) -> u8 {
    let style = context.style();
    let problem = match result {
        Ok(Exit::Done) => match context.report.late_fault() {
            // It has been told when it happened.
            Some(problem) => return problem.exit.number(),
            None => return Exit::Done.number(),
        },
        Ok(exit) => return exit.number(),
        Err(Failure::Problem(problem)) => problem,
        Err(Failure::Error(error, side)) => {
            let mut problem = problem::of(&error, side, style);
            if matches!(error, Error::Interrupted)
                && let Some(id) = context.report.id()
            {
                problem.hint = crate::t!(style.words, "hint-interrupted-id", id = id.to_string());
            }
            problem
        }
    };
    end_problem(&problem, &context.screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_first_one_that_is_said() {
        let seen = |line: &[&str]| {
            let mut bare = Cli::command();
            bare.build();
            argv::look(&bare, &line.iter().map(OsString::from).collect::<Vec<_>>())
        };
        let variables = |pairs: &[(&str, &str)]| -> Variables {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect()
        };
        let chinese = [("LANG", "zh_CN.UTF-8")];
        type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], Option<&'a str>, Language);
        let table: [Row; 8] = [
            (&["handover"], &[], None, Language::English),
            (&["handover"], &chinese, None, Language::Chinese),
            (&["handover"], &[("LANG", "zh_CN"), ("LC_ALL", "en_US.UTF-8")], None, Language::English),
            (&["handover"], &[("LC_ALL", ""), ("LC_MESSAGES", "zh_TW")], None, Language::Chinese),
            (&["handover"], &chinese, Some("en"), Language::English),
            (&["handover"], &[("HANDOVER_LANG", "zh-CN")], Some("en"), Language::Chinese),
            (&["handover", "--lang", "en"], &[("HANDOVER_LANG", "zh-CN")], None, Language::English),
            (&["handover", "status", "--lang=zh-CN"], &[], None, Language::Chinese),
        ];
        for (line, pairs, configured, expected) in table {
            assert_eq!(language(&seen(line), &variables(pairs), configured), expected, "{line:?} {pairs:?}");
        }
    }
}
