//! `handover relay add`, `list`, `remove`.

use std::io::{self, IsTerminal, Read};

use handover_shared::invite::Invite;
use handover_shared::keys::code::RelayAddress;
use handover_shared::proof::fingerprint_of_link_key;
use zeroize::Zeroizing;

use super::super::args::RelayCommand;
use super::super::json::{self, Json};
use super::super::problem::{Exit, Problem};
use super::super::screen::Mode;
use super::super::show::{self, row};
use super::super::style::{columns, padded};
use super::super::time::moment;
use super::super::{Context, Failure};
use crate::error::Error;
use crate::home::relays::KnownRelay;
use crate::t;
use crate::watch;

/// An invite is one line.
const INVITE_BYTES_MAX: u64 = 4096;

pub(super) async fn run(command: RelayCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        RelayCommand::Add { invite } => add(invite, context).await,
        RelayCommand::List => list(context),
        RelayCommand::Test { address } => super::doctor::relay_test(address, context).await,
        RelayCommand::Remove { address } => remove(&address, context),
    }
}

/// Where the relay of an invite is.
pub(super) fn address_of_invite(text: &str) -> Option<RelayAddress> {
    Invite::parse(text).ok().map(|invite| invite.address)
}

async fn add(invite: Option<String>, context: &Context) -> Result<Exit, Failure> {
    let style = context.style();
    let words = &style.words;
    let text = match invite.filter(|text| text != "-") {
        Some(text) => Zeroizing::new(text),
        None => read_invite(context)?,
    };
    let Ok(invite) = Invite::parse(&text) else {
        let problem =
            Problem::new("invite-wrong", Exit::Usage, t!(words, "invite-wrong"), t!(words, "hint-invite-wrong"));
        return Err(problem.into());
    };
    let home = context.home()?;
    let relay = watch::add_relay(&home, &invite).await?;
    context.screen.say(&show::good(style, &t!(words, "relay-added", relay = relay.address.to_string())));
    context.screen.say(&row(style, &t!(words, "label-key"), &fingerprint_of_link_key(&relay.key)));
    context.report.object(object(&relay, true));
    context.report.object(json::done("relay", Exit::Done.number()));
    Ok(Exit::Done)
}

/// Reads an invite from standard input, so that it stands in no list of processes.
fn read_invite(context: &Context) -> Result<Zeroizing<String>, Error> {
    if io::stdin().is_terminal() {
        return context.asker.invite();
    }
    let mut text = Zeroizing::new(String::with_capacity(INVITE_BYTES_MAX as usize));
    let read = io::stdin().lock().take(INVITE_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|source| Error::disk("reading the invite", "-", source))?;
    Ok(text)
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let style = context.style();
    let relays = context.home()?.relays()?;
    if context.screen.mode == Mode::Json {
        for (place, relay) in relays.iter().enumerate() {
            context.report.object(object(relay, place == 0));
        }
        context.report.object(json::done("relay", Exit::Done.number()));
        return Ok(Exit::Done);
    }
    if relays.is_empty() {
        context.screen.say(&format!("  {}\n", t!(style.words, "no-relays")));
        return Ok(Exit::Done);
    }
    let width = relays.iter().map(|relay| columns(&relay.address.to_string())).max().unwrap_or(0);
    let mut text = String::new();
    for (place, relay) in relays.iter().enumerate() {
        let mark = if place == 0 { "*" } else { " " };
        let address = padded(&relay.address.to_string(), width);
        let key = fingerprint_of_link_key(&relay.key);
        text.push_str(&format!("{mark} {address}  {key}  {}\n", moment(style, relay.added)));
    }
    super::print(&text, context)?;
    context.screen.say(&format!("  {}\n", t!(style.words, "relays-default")));
    Ok(Exit::Done)
}

fn remove(address: &RelayAddress, context: &Context) -> Result<Exit, Failure> {
    let style = context.style();
    let words = &style.words;
    if !context.home()?.remove_relay(address)? {
        let message = t!(words, "relay-unknown", relay = address.to_string());
        return Err(Problem::new("relay-unknown", Exit::Failed, message, t!(words, "hint-relay-unknown")).into());
    }
    context.screen.say(&show::good(style, &t!(words, "relay-removed", relay = address.to_string())));
    context.report.object(json::done("relay", Exit::Done.number()));
    Ok(Exit::Done)
}

fn object(relay: &KnownRelay, is_default: bool) -> Json {
    Json::event("relay")
        .with("address", relay.address.to_string())
        .with("key", fingerprint_of_link_key(&relay.key))
        .at("added", Some(relay.added))
        .with("default", is_default)
}
