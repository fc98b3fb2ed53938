//! `handover doctor` and `handover relay test`.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use super::super::args::DoctorArgs;
use super::super::diagnosis::{self, Told};
use super::super::json;
use super::super::problem::{Exit, Problem};
use super::super::screen::Mode;
use super::super::values::RelayWord;
use super::super::{Context, Failure};
use crate::doctor::network::{self, PROXY_VARIABLES, Wanted};
use crate::doctor::{Fact, Place, Verdict, disk, machine};
use crate::error::Error;
use crate::home::Home;
use crate::link::network::Network;
use crate::t;

/// All checks together end within this.
const PATIENCE: Duration = Duration::from_secs(14);

/// What has been told so far; each is shown as soon as it is known.
struct Findings<'a> {
    context: &'a Context,
    told: Mutex<Vec<Told>>,
}

impl Findings<'_> {
    fn hear(&self, fact: Fact) {
        self.tell(diagnosis::told(self.context.style(), &fact));
    }

    fn tell(&self, told: Told) {
        let is_shown = self.context.screen.mode == Mode::People || told.verdict != Verdict::Fine;
        self.context.report.object(told.object());
        if self.context.screen.mode != Mode::Json
            && is_shown
            && self.context.screen.result(&told.lines(self.context.style())).is_err()
        {
            tracing::debug!("standard output is closed");
        }
        self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(told);
    }

    /// Says how it is on the whole, and which exit code that is.
    fn end(self, command: &str) -> Exit {
        let told = self.told.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let exit = diagnosis::exit(&told);
        self.context.screen.say(&format!("\n  {}\n", diagnosis::summary(self.context.style(), &told)));
        self.context.report.object(json::done(command, exit.number()));
        exit
    }
}

pub(super) async fn doctor(args: DoctorArgs, context: &Context) -> Result<Exit, Failure> {
    let destination = args.out.unwrap_or_else(|| PathBuf::from("."));
    checked("doctor", context, async |findings: &Findings<'_>| {
        let home = context.home();
        match (args.relay, &home) {
            (Some(word), home) => test(relay_of(word, home.as_ref().ok(), context)?, findings).await,
            (None, Ok(home)) => match first(home)? {
                Some(wanted) => test(wanted, findings).await,
                None => findings.hear(Fact::NoRelay),
            },
            (None, Err(_told_below)) => {}
        }
        here(home, &destination, findings).await;
        terminal(context, findings);
        Ok(())
    })
    .await
}

pub(super) async fn relay_test(word: Option<RelayWord>, context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let wanted = match word {
        Some(word) => relay_of(word, Some(&home), context)?,
        None => match first(&home)? {
            Some(wanted) => wanted,
            None => {
                let words = &context.style().words;
                let (message, hint) = (t!(words, "relay-test-none"), t!(words, "hint-relay-test-none"));
                return Err(Problem::new("no-relay", Exit::Usage, message, hint).into());
            }
        },
    };
    checked("relay", context, async |findings: &Findings<'_>| {
        test(wanted, findings).await;
        Ok(())
    })
    .await
}

/// Runs checks for as long as there is patience.
async fn checked<'a>(
    command: &str,
    context: &'a Context,
    checks: impl AsyncFnOnce(&Findings<'a>) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let findings = Findings { context, told: Mutex::default() };
    match tokio::time::timeout(PATIENCE, checks(&findings)).await {
        Ok(done) => done?,
        Err(_elapsed) => findings.tell(diagnosis::not_done(context.style())),
    }
    Ok(findings.end(command))
}

async fn test(wanted: Wanted, findings: &Findings<'_>) {
    let value = |name: &str| findings.context.variables.get(name).and_then(|value| value.to_str());
    let set = |name: &&str| Some(((*name).to_owned(), value(name).filter(|value| !value.is_empty())?.to_owned()));
    let proxies = PROXY_VARIABLES.iter().filter_map(set).collect();
    network::examine(&wanted, proxies, &mut |fact| findings.hear(fact)).await;
}

/// The relay that a push would use.
fn first(home: &Home) -> Result<Option<Wanted>, Error> {
    let Some(known) = home.relays()?.into_iter().next() else { return Ok(None) };
    let own = home.link_secret()?;
    Ok(Some(Wanted { address: known.address, key: Some(known.key), own: Some(own), network: home.network().clone() }))
}

/// The relay that somebody names, with what this machine knows of it.
fn relay_of(word: RelayWord, home: Option<&Home>, context: &Context) -> Result<Wanted, Failure> {
    let words = &context.style().words;
    let (address, invited) = match word {
        RelayWord::Address(address) => (address, None),
        RelayWord::Invite(text) => match handover_shared::invite::Invite::parse(&text) {
            Ok(invite) => (invite.address, Some(invite.relay_key)),
            Err(_checked) => {
                let (message, hint) = (t!(words, "invite-wrong"), t!(words, "hint-invite-wrong"));
                return Err(Problem::new("invite-wrong", Exit::Usage, message, hint).into());
            }
        },
        RelayWord::Embedded => {
            let (message, hint) = (t!(words, "relay-test-embedded"), t!(words, "hint-relay-test-none"));
            return Err(Problem::new("usage", Exit::Usage, message, hint).into());
        }
    };
    let book = home.map_or_else(|| Ok(Vec::new()), Home::relays)?;
    let known = book.into_iter().find(|known| known.address == address).map(|known| known.key);
    let own = match (home, known) {
        (Some(home), Some(_)) => Some(home.link_secret()?),
        _ => None,
    };
    let network = home.map_or_else(Network::default, |home| home.network().clone());
    Ok(Wanted { address, key: invited.or(known), own, network })
}

/// Disks and this machine's own files.
async fn here(home: Result<Home, Error>, destination: &Path, findings: &Findings<'_>) {
    findings.hear(disk::examine(Place::Destination, destination).await);
    match home {
        Ok(home) => {
            findings.hear(disk::examine(Place::State, home.state_folder()).await);
            machine::examine(&home, destination, &mut |fact| findings.hear(fact));
        }
        Err(error) => findings.hear(Fact::HomeFailed { error }),
    }
}

fn terminal(context: &Context, findings: &Findings<'_>) {
    let text = |name: &str| context.variables.get(name).and_then(|value| value.to_str());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(text).find(|value| !value.is_empty());
    let columns = io::stderr().is_terminal().then_some(context.style().width);
    findings.tell(diagnosis::terminal(context.style(), columns, locale));
}
