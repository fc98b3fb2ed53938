//! The transfers of this machine: a table of all, everything about one.

use handover_shared::ids::Millis;
use serde_json::Value;

use super::json::Json;
use super::problem::shown_path;
use super::show::{self, amount, more, next, row, who};
use super::style::{Style, Tone, columns, padded, padded_left, shortened};
use super::time::moment;
use super::units::size;
use crate::event::{AgreementFacts, RefusalFacts};
use crate::home::transfers::{Facts, Role, State};
use crate::private::escaped;
use crate::t;

/// Columns a label may take in the table.
const LABEL_COLUMNS_MAX: usize = 32;
/// Columns the other side's name may take in the table.
const WHO_COLUMNS_MAX: usize = 24;

/// The columns with names, in the order in which they are cut, and how many columns are enough for each.
const NAMES: [(usize, usize); 2] = [(6, 16), (4, 10)];
/// Columns that every name keeps in the table.
const COLUMNS_MIN: usize = 4;

/// The state as a word for people.
pub(crate) fn state_text(style: &Style, facts: &Facts) -> String {
    let words = &style.words;
    match facts.state {
        State::Preparing => t!(words, "state-preparing"),
        State::Sending => t!(words, "state-sending"),
        State::Waiting if facts.claimed_ms.is_some() => t!(words, "state-claimed"),
        State::Waiting => t!(words, "state-waiting"),
        State::Collected => t!(words, "state-collected"),
        State::Claiming => t!(words, "state-claiming"),
        State::Receiving => t!(words, "state-receiving"),
        State::Received => t!(words, "state-received"),
        State::Delivered => t!(words, "state-delivered"),
        State::Revoked => t!(words, "state-revoked"),
        State::Expired => t!(words, "state-expired"),
        State::Refused => t!(words, "state-refused"),
        State::TakenDown => t!(words, "state-taken-down"),
        State::Failed => t!(words, "state-failed"),
    }
}

fn state_word(state: State) -> &'static str {
    match state {
        State::Preparing => "preparing",
        State::Sending => "sending",
        State::Waiting => "waiting",
        State::Collected => "collected",
        State::Claiming => "claiming",
        State::Receiving => "receiving",
        State::Received => "received",
        State::Delivered => "delivered",
        State::Revoked => "revoked",
        State::Expired => "expired",
        State::Refused => "refused",
        State::TakenDown => "taken-down",
        State::Failed => "failed",
    }
}

fn role_text(style: &Style, role: Role) -> String {
    match role {
        Role::Seller => t!(style.words, "role-seller"),
        Role::Buyer => t!(style.words, "role-buyer"),
    }
}

fn peer(facts: &Facts) -> String {
    let name = facts.peer_organisation.as_deref().or(facts.peer_name.as_deref());
    match (name, &facts.peer_fingerprint) {
        (Some(name), _) => who(name),
        (None, Some(key)) => shortened(key, 16),
        (None, None) => who(""),
    }
}

fn expiry(style: &Style, facts: &Facts) -> String {
    if facts.expires_ms == 0 || !facts.state.is_open() {
        "–".to_owned()
    } else {
        moment(style, Millis(facts.expires_ms))
    }
}

/// What was said to the document that had to be signed.
pub(crate) fn agreement(style: &Style, signed: Option<&AgreementFacts>, refused: Option<&RefusalFacts>) -> String {
    let label = t!(style.words, "label-agreement");
    let mut text = String::new();
    if let Some(signed) = signed {
        text.push_str(&row(style, &label, &show::signed(style, signed)));
        text.push_str(&more(style, &style.tone(Tone::Dim, &format!("SHA-256 {}", signed.agreement))));
    }
    if let Some(refused) = refused {
        text.push_str(&row(style, &label, &show::refused(style, refused)));
    }
    text
}

/// One transfer a line.
pub(crate) fn table(style: &Style, all: &[Facts]) -> String {
    let words = &style.words;
    let head = [
        t!(words, "column-id"),
        t!(words, "column-role"),
        t!(words, "column-state"),
        t!(words, "column-size"),
        t!(words, "column-who"),
        t!(words, "column-until"),
        t!(words, "column-label"),
    ];
    let mut lines: Vec<[String; 7]> = all
        .iter()
        .map(|facts| {
            [
                facts.id.to_string(),
                role_text(style, facts.role),
                state_text(style, facts),
                facts.bytes.map_or_else(|| "–".to_owned(), size),
                shortened(&peer(facts), WHO_COLUMNS_MAX),
                expiry(style, facts),
                shortened(&who(&facts.label), LABEL_COLUMNS_MAX),
            ]
        })
        .collect();
    let mut widths = head.each_ref().map(|cell| columns(cell));
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(columns(cell));
        }
    }
    fit(&mut widths, style.width);
    for line in &mut lines {
        for place in [4, 6] {
            line[place] = shortened(&line[place], widths[place]);
        }
    }
    let mut text = style.tone(Tone::Dim, &cells(&head, &widths));
    text.push('\n');
    for line in &lines {
        text.push_str(&cells(line, &widths));
        text.push('\n');
    }
    text
}

/// On a narrow screen the time is left out where cutting names is not enough; then the name of the transfer is cut, then
/// that of the other side; at last the name of the transfer is left out.
fn fit(widths: &mut [usize; 7], width: usize) {
    let over = |widths: &[usize; 7]| {
        let gaps = 2 * (widths.iter().filter(|width| **width > 0).count() - 1);
        (widths.iter().sum::<usize>() + gaps).saturating_sub(width)
    };
    let can_give: usize = NAMES.iter().map(|(place, enough)| widths[*place].saturating_sub(*enough)).sum();
    if over(widths) > can_give {
        widths[5] = 0;
    }
    for (place, least) in NAMES.into_iter().chain(NAMES.map(|(place, _)| (place, COLUMNS_MIN))) {
        widths[place] -= over(widths).min(widths[place].saturating_sub(least));
    }
    if over(widths) > 0 {
        widths[6] = 0;
    }
}

/// Numbers stand right, everything else left; a column without width is left out.
fn cells(cells: &[String; 7], widths: &[usize; 7]) -> String {
    let filled: Vec<String> = cells
        .iter()
        .zip(widths)
        .enumerate()
        .filter(|(_, (_, width))| **width > 0)
        .map(|(place, (cell, width))| match place {
            0 | 3 => padded_left(cell, *width),
            _ => padded(cell, *width),
        })
        .collect();
    filled.join("  ").trim_end().to_owned()
}

/// Everything about one transfer.
pub(crate) fn details(style: &Style, facts: &Facts, agreement: &str) -> String {
    let words = &style.words;
    let title = t!(words, "transfer-title", id = facts.id.to_string(), role = role_text(style, facts.role));
    let mut text = format!("{}\n", style.tone(Tone::Strong, &title));
    let mut line = |label: String, value: String| text.push_str(&row(style, &label, &value));
    line(t!(words, "label-state"), state_text(style, facts));
    if let Some(failure) = &facts.failure {
        let why = if words.has(failure) { words.say(failure, &[]) } else { escaped(failure.as_bytes()) };
        line(String::new(), why);
    }
    if !facts.label.is_empty() {
        line(t!(words, "label-label"), who(&facts.label));
    }
    line(t!(words, "label-contents"), amount(style, facts.files, facts.bytes));
    if facts.exceptions > 0 {
        line(String::new(), t!(words, "taken-exceptions", count = facts.exceptions));
    }
    match facts.role {
        Role::Seller => line(t!(words, "label-buyer"), peer_line(style, facts)),
        Role::Buyer => line(t!(words, "label-seller"), peer_line(style, facts)),
    }
    line(t!(words, "label-relay"), facts.relay.clone());
    for source in facts.sources.iter().filter_map(crate::home::transfers::KeptPath::to_path) {
        line(t!(words, "label-source"), shown_path(&source));
    }
    if let Some(path) = facts.destination.as_ref().and_then(crate::home::transfers::KeptPath::to_path) {
        line(t!(words, "label-into"), shown_path(&path));
    }
    if facts.expires_ms != 0 {
        line(t!(words, "label-until"), moment(style, Millis(facts.expires_ms)));
    }
    line(t!(words, "label-number"), facts.transfer.clone());
    text.push_str(agreement);
    text.push_str(&history(style, facts));
    text.push_str(&next_steps(style, facts));
    text
}

fn peer_line(style: &Style, facts: &Facts) -> String {
    let name = match (&facts.peer_name, &facts.peer_organisation) {
        (Some(name), Some(organisation)) if name != organisation => format!("{} · {}", who(organisation), who(name)),
        (Some(name), _) | (None, Some(name)) => who(name),
        (None, None) => who(""),
    };
    match &facts.peer_fingerprint {
        Some(key) => t!(style.words, "peer-with-key", who = name, key = key.clone()),
        None => name,
    }
}

/// What happened, in the order in which it happened.
fn history(style: &Style, facts: &Facts) -> String {
    let words = &style.words;
    let received = match facts.role {
        Role::Seller => t!(words, "history-receipted"),
        Role::Buyer => t!(words, "history-receipt-signed"),
    };
    let mut events = vec![(facts.created_ms, t!(words, "history-created"))];
    events.extend(facts.claimed_ms.map(|at| (at, t!(words, "history-claimed"))));
    events.extend(facts.receipted_ms.map(|at| (at, received)));
    events.extend(facts.deleted_ms.map(|at| (at, t!(words, "history-deleted"))));
    events.sort_by_key(|(at, _)| *at);
    let mut text = format!("\n  {}\n", t!(words, "history-head"));
    for (at, what) in events {
        text.push_str(&format!("    {}  {what}\n", style.tone(Tone::Dim, &moment(style, Millis(at)))));
    }
    if facts.refused_claims > 0 {
        let line = t!(words, "history-refused", count = facts.refused_claims);
        text.push_str(&format!("    {}\n", style.tone(Tone::Notable, &line)));
    }
    text
}

fn next_steps(style: &Style, facts: &Facts) -> String {
    let words = &style.words;
    let id = facts.id;
    let steps = match facts.state {
        State::Preparing | State::Sending | State::Claiming | State::Receiving | State::Received => {
            vec![(format!("handover resume {id}"), t!(words, "next-resume"))]
        }
        State::Waiting if facts.claimed_ms.is_none() => vec![
            (format!("handover code {id}"), t!(words, "next-code")),
            (format!("handover wait {id}"), t!(words, "next-wait")),
            (format!("handover revoke {id}"), t!(words, "next-revoke")),
        ],
        State::Waiting => vec![(format!("handover wait {id}"), t!(words, "next-wait"))],
        State::Collected | State::Delivered => {
            vec![
                (format!("handover receipt show {id}"), t!(words, "next-receipt")),
                (format!("handover record {id}"), t!(words, "next-record")),
            ]
        }
        State::Revoked | State::Expired | State::Refused | State::TakenDown | State::Failed => Vec::new(),
    };
    if steps.is_empty() { String::new() } else { format!("\n{}", next(style, &steps)) }
}

/// What programs read of a transfer. `fresh` says whether the relay was asked.
pub(crate) fn object(facts: &Facts, fresh: Freshness) -> Json {
    let at = |ms: Option<u64>| ms.filter(|ms| *ms != 0).map(Millis);
    let paths: Vec<Value> = facts
        .sources
        .iter()
        .filter_map(crate::home::transfers::KeptPath::to_path)
        .map(|path| shown_path(&path).into())
        .collect();
    let destination = facts.destination.as_ref().and_then(crate::home::transfers::KeptPath::to_path);
    Json::event("transfer")
        .with("id", facts.id)
        .with(
            "role",
            match facts.role {
                Role::Seller => "seller",
                Role::Buyer => "buyer",
            },
        )
        .with("transfer", facts.transfer.clone())
        .with("state", state_word(facts.state))
        .with("label", escaped(facts.label.as_bytes()))
        .with("files", facts.files)
        .with("folders", facts.folders)
        .with("links", facts.links)
        .with("bytes", facts.bytes)
        .with("exceptions", facts.exceptions)
        .with("relay", facts.relay.clone())
        .with("embedded", facts.embedded)
        .with("sources", paths)
        .with("destination", destination.map(|path| shown_path(&path)))
        .with("peer_name", facts.peer_name.as_ref().map(|name| escaped(name.as_bytes())))
        .with("peer_organisation", facts.peer_organisation.as_ref().map(|name| escaped(name.as_bytes())))
        .with("peer_key", facts.peer_fingerprint.clone())
        .at("created", at(Some(facts.created_ms)))
        .at("expires", at(Some(facts.expires_ms)))
        .at("claimed", at(facts.claimed_ms))
        .with("refused_claims", facts.refused_claims)
        .at("receipted", at(facts.receipted_ms))
        .at("deleted", at(facts.deleted_ms))
        .with("fresh", fresh == Freshness::Asked)
}

/// Whether what is shown has just been compared with the relay, or needs no comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Asked,
    NotReached,
}
