//! `handover status`, `wait`, `resume`, `revoke`, `code`.

use std::time::Duration;

use handover_shared::keys::Secret;
use handover_shared::keys::code::{Code, Ticket, WordList};
use zeroize::Zeroizing;

use super::super::json::{self, Json};
use super::super::problem::{Exit, Problem, on};
use super::super::report::Picture;
use super::super::screen::Mode;
use super::super::status::{self, Freshness};
use super::super::style::Tone;
use super::super::time::moment;
use super::super::{Context, Failure, keys, qr, show};
use crate::agreement;
use crate::error::Error;
use crate::event::{AgreementFacts, Event, Observer, ReceiptFacts, RefusalFacts};
use crate::home::Home;
use crate::home::transfers::{Facts, Role, State};
use crate::t;
use crate::{pull, push, watch};

/// How long the relays may take to tell how the transfers are.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(5);

/// Hears nothing: what a look at the relay finds is shown from the facts.
struct Silent;

impl Observer for Silent {
    fn event(&self, _event: Event) {}
}

pub(super) async fn status(id: Option<u64>, context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let folders = match id {
        Some(id) => vec![home.transfer(id)?],
        None => home.transfers()?,
    };
    let mut all = Vec::with_capacity(folders.len());
    for folder in &folders {
        all.push(folder.facts()?);
    }
    let all = refreshed(&home, all).await;
    if context.screen.mode == Mode::Json {
        for (facts, freshness) in &all {
            context.report.object(status::object(facts, *freshness));
            let (signed, refused) = said(&home, facts)?;
            signed.iter().for_each(|facts| context.report.object(json::signed(facts)));
            refused.iter().for_each(|facts| context.report.object(json::refused(facts)));
        }
        context.report.object(json::done("status", Exit::Done.number()));
        return Ok(Exit::Done);
    }
    let style = context.style();
    let words = &style.words;
    let facts: Vec<Facts> = all.iter().map(|(facts, _)| facts.clone()).collect();
    let text = match (id, facts.as_slice()) {
        (Some(_), [one]) => {
            let (signed, refused) = said(&home, one)?;
            status::details(style, one, &status::agreement(style, signed.as_ref(), refused.as_ref()))
        }
        (_, []) => format!("{}\n", t!(words, "no-transfers")),
        (_, all) => status::table(style, all),
    };
    super::print(&text, context)?;
    if let (Some(id), [_]) = (id, facts.as_slice()) {
        super::audit::tell(&home, id, context)?;
    }
    let missed = all.iter().filter(|(_, freshness)| *freshness == Freshness::NotReached).count() as u64;
    if missed > 0 {
        context.screen.say(&format!("  {}\n", style.tone(Tone::Notable, &t!(words, "status-old", count = missed))));
    }
    Ok(Exit::Done)
}

/// What the buyer has said to the document, as it is kept here.
fn said(home: &Home, facts: &Facts) -> Result<(Option<AgreementFacts>, Option<RefusalFacts>), Error> {
    let folder = home.transfer(facts.id)?;
    let signed = agreement::kept(&folder)?;
    let signed = signed.map(|kept| agreement::agreement_facts(facts.id, &kept.statement));
    Ok((signed, agreement::told_refusal(home, &folder, facts)?))
}

/// Asks the relays of all open transfers at once, for a bounded time.
async fn refreshed(home: &Home, all: Vec<Facts>) -> Vec<(Facts, Freshness)> {
    let mut asking = tokio::task::JoinSet::new();
    for facts in all.iter().filter(|facts| facts.state.is_open() && facts.state != State::Preparing) {
        let (home, id) = (home.clone(), facts.id);
        asking.spawn(async move { (id, watch::refresh(&home, id, &Silent).await) });
    }
    let mut fresh = Vec::new();
    let waiting = async {
        while let Some(joined) = asking.join_next().await {
            match joined {
                Ok((_, Ok(facts))) => fresh.push(facts),
                Ok((id, Err(error))) => tracing::debug!("transfer {id} was not refreshed: {error}"),
                Err(error) => tracing::debug!("a refresh failed: {error}"),
            }
        }
    };
    if tokio::time::timeout(REFRESH_TIMEOUT, waiting).await.is_err() {
        tracing::debug!("not every relay answered in time");
    }
    all.into_iter()
        .map(|old| match fresh.iter().find(|new| new.id == old.id) {
            Some(new) => (new.clone(), Freshness::Asked),
            None if old.state.is_open() && old.state != State::Preparing => (old, Freshness::NotReached),
            None => (old, Freshness::Asked),
        })
        .collect()
}

pub(super) async fn wait(id: u64, context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let facts = home.transfer(id)?.facts()?;
    context.report.set_id(id);
    if facts.role == Role::Buyer {
        let words = &context.style().words;
        let message = t!(words, "wait-buyer", id = id.to_string());
        let hint = t!(words, "hint-wait-buyer", id = id.to_string());
        return Err(Problem::new("wrong-side", Exit::Usage, message, hint).into());
    }
    let working = context.signals.working();
    let receipt = watch::wait(&home, id, context.report.clone(), context.stop.clone()).await;
    drop(working);
    let receipt = receipt.map_err(|error| Failure::Error(error, Some(Role::Seller)))?;
    met(&home, &receipt, context)?;
    context.report.receipt_once(receipt);
    context.report.object(json::done("wait", Exit::Done.number()).with("id", id));
    home.transfer(id)?.set_told()?;
    Ok(Exit::Done)
}

/// Says whether the buyer's key has been met before.
pub(super) fn met(home: &Home, receipt: &ReceiptFacts, context: &Context) -> Result<(), Failure> {
    let name = receipt.organisation.as_ref().unwrap_or(&receipt.buyer_name).reveal();
    let known = home.acquaintance(Role::Seller, &receipt.buyer_fingerprint, name, Some(receipt.id))?;
    context.report.object(keys::party("buyer", &receipt.buyer_fingerprint, &known));
    context.report.rest();
    let words = &context.style().words;
    context.screen.say(&show::row(context.style(), &t!(words, "label-buyer"), &receipt.buyer_fingerprint));
    context.screen.say(&show::more(context.style(), &keys::acquaintance(context.style(), &known)));
    Ok(())
}

pub(super) async fn resume(id: Option<u64>, context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let words = &context.style().words;
    let mut found = Vec::new();
    match id {
        Some(id) => found.push(home.transfer(id)?.facts()?),
        None => {
            for folder in home.transfers()? {
                found.push(folder.facts()?);
            }
            found.retain(crate::doctor::machine::is_interrupted);
        }
    }
    if found.is_empty() {
        context.screen.say(&format!("  {}\n", t!(words, "nothing-to-resume")));
        context.report.object(json::done("resume", Exit::Done.number()));
        return Ok(Exit::Done);
    }
    let mut worst = Exit::Done;
    let several = found.len() > 1;
    for facts in found {
        if several {
            let title = t!(words, "resume-title", id = facts.id.to_string());
            context.screen.say(&format!("{}\n", context.style().tone(Tone::Strong, &title)));
        }
        match Box::pin(resume_one(&home, &facts, context)).await {
            Ok(exit) => worst = worst.max(exit),
            // Another run is at it: that is what was wanted.
            Err(Failure::Error(Error::Held { .. }, _)) if several => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(worst)
}

async fn resume_one(home: &Home, facts: &Facts, context: &Context) -> Result<Exit, Failure> {
    context.report.set_id(facts.id);
    home.unlock()?;
    let (observer, stop) = (context.report.clone(), context.stop.clone());
    let working = context.signals.working();
    match facts.role {
        Role::Seller => {
            let pushed = push::resume(home, facts.id, context.report.bandwidth(), observer, stop).await;
            drop(working);
            let pushed = pushed.map_err(|error| Failure::Error(error, Some(Role::Seller)))?;
            super::push::finish(pushed, "resume", context)
        }
        Role::Buyer => {
            let bandwidth = context.report.bandwidth();
            let taken = pull::resume(home, facts.id, bandwidth, context.asker.clone(), observer, stop).await;
            drop(working);
            let taken = taken.map_err(|error| Failure::Error(error, Some(Role::Buyer)))?;
            super::pull::finish(taken, false, "resume", context)
        }
    }
}

pub(super) async fn revoke(id: u64, context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let revoked =
        watch::revoke(&home, id, &*context.report).await.map_err(|error| Failure::Error(error, Some(Role::Seller)))?;
    let style = context.style();
    let words = &style.words;
    let mut text = show::good(style, &t!(words, "revoked"));
    let rest = match &revoked.claimed {
        None => t!(words, "revoked-unclaimed"),
        Some((key, at)) => {
            let blocks = (revoked.fetched_blocks, revoked.durable);
            let when = moment(style, *at);
            match blocks {
                (0, _) => t!(words, "revoked-claimed-nothing", key = key.clone(), when = when),
                (fetched, durable) => {
                    let percent = super::super::units::percent(fetched, durable);
                    t!(words, "revoked-claimed", key = key.clone(), when = when, percent = percent)
                }
            }
        }
    };
    text.push_str(&format!("    {rest}\n"));
    context.screen.say(&text);
    context.report.object(
        Json::event("revoked")
            .with("id", id)
            .with("claimed_by", revoked.claimed.as_ref().map(|(key, _)| key.clone()))
            .at("claimed", revoked.claimed.as_ref().map(|(_, at)| *at))
            .with("fetched_blocks", revoked.fetched_blocks)
            .with("durable_blocks", revoked.durable),
    );
    context.report.object(json::done("revoke", Exit::Done.number()).with("id", id));
    Ok(Exit::Done)
}

/// How a code is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    English,
    Chinese,
}

pub(super) fn code(id: u64, form: Form, picture: Picture, context: &Context) -> Result<Exit, Failure> {
    let folder = context.home()?.transfer(id)?;
    let facts = folder.facts()?;
    let style = context.style();
    let words = &style.words;
    let kept = match facts.role {
        Role::Seller if facts.state.is_open() && facts.claimed_ms.is_none() => folder.secrets()?.code,
        _ => None,
    };
    let Some(kept) = kept else {
        let (message, hint) = match (facts.role, facts.claimed_ms) {
            (Role::Buyer, _) => (t!(words, "code-buyer", id = id.to_string()), t!(words, "hint-ask-seller")),
            (Role::Seller, Some(at)) => {
                let when = on(Some(handover_shared::ids::Millis(at)), style);
                (t!(words, "code-gone-used", when = when), t!(words, "hint-push-again"))
            }
            (Role::Seller, None) => (t!(words, "code-gone"), t!(words, "hint-push-again")),
        };
        return Err(Problem::new("code-gone", Exit::Code, message, hint).into());
    };
    let relay = facts.relay_address()?;
    let code = Code::of_secret(Secret::new(Zeroizing::new(kept)));
    let ticket = Ticket { code, relay: Some(relay.clone()) };
    let text = match form {
        Form::Text => ticket.to_text(),
        Form::English => Zeroizing::new(format!("{} @{relay}", *ticket.code.to_words(WordList::English))),
        Form::Chinese => Zeroizing::new(format!("{} @{relay}", *ticket.code.to_words(WordList::Chinese))),
    };
    if context.screen.mode == Mode::Json {
        context.report.object(
            Json::event("code")
                .with("id", id)
                .with("code", text.as_str())
                .with("relay", relay.to_string())
                .at("expires", Some(handover_shared::ids::Millis(facts.expires_ms)))
                .with("continued", true)
                .with("spent", false),
        );
        context.report.object(json::done("code", Exit::Done.number()).with("id", id));
        return Ok(Exit::Done);
    }
    super::print(&format!("{}\n", *text), context)?;
    if picture == Picture::Wanted {
        match qr::draw(&ticket.to_text(), style.width, "  ") {
            Some(drawn) => super::print(&drawn, context)?,
            None => {
                let message = t!(words, "qr-too-wide");
                return Err(Problem::new("qr", Exit::Failed, message, t!(words, "hint-qr")).into());
            }
        };
    }
    if form != Form::Text {
        context.screen.say(&format!("  {}\n", style.tone(Tone::Dim, &t!(words, "code-words-hint"))));
    }
    Ok(Exit::Done)
}
