//! The evidence of a transfer of this machine: what is kept in its folder, as it is.

use std::io::Write;
use std::path::Path;

use base64ct::{Base64, Encoding};
use handover_shared::archive::inventory::{InventorySalt, list_head, list_line};
use handover_shared::archive::manifest::Record;
use handover_shared::ids::{Millis, TransferId, unhex};
use handover_shared::limits::{OFFER_MESSAGE_BYTES_MAX, SIGNATURE_BYTES_MAX, STATEMENT_BYTES_MAX};
use handover_shared::proof::{self, fingerprint_of_link_key, time};
use handover_shared::protocol::message::{EventKind, Signed};

use super::FORM;
use super::evidence::{Evidence, Given, Named, Outcome, Side, Standing, ToldEvent, What};
use super::inventory::Inventory;
use super::rules::{RULES, Rule, Source};
use crate::audit::KeptLog;
use crate::error::Error;
use crate::home::transfers::{Facts, Folder, Role, State, read_inventory};
use crate::home::{Home, read_private, told};
use crate::pull::{listed_records, outcome};
use crate::push::sent_records;

/// A text that a statement names by its hash.
const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;

/// Everything that is kept of a transfer.
///
/// # Errors
/// [`Error::NoSuchTransfer`]; [`Error::Disk`], [`Error::State`] for files of ours that are damaged. A statement that does
/// not hold is no error: the record says so.
pub fn gather(home: &Home, id: u64, made: Millis, offset_minutes: i32) -> Result<Evidence, Error> {
    let folder = home.transfer(id)?;
    let facts = folder.facts()?;
    let log = KeptLog::read(&folder)?;
    let mut statements = Vec::new();
    for rule in RULES {
        let given = match (rule.source, &log) {
            (Source::Files, _) => given(&folder, rule)?,
            (Source::Head, Some(log)) => Some(of_log(rule, &log.head)),
            (Source::Deletion, Some(log)) => log.deletion.as_ref().map(|deletion| of_log(rule, deletion)),
            (Source::Head | Source::Deletion, None) => None,
        };
        statements.extend(given);
    }
    let summary = read_private(&folder.file("offer.summary"), OFFER_MESSAGE_BYTES_MAX as u64)?;
    let told = told::read(&folder)?;
    Ok(Evidence {
        form: FORM,
        program: env!("CARGO_PKG_VERSION").into(),
        transfer: facts.transfer.clone(),
        made_by: match facts.role {
            Role::Seller => Side::Seller,
            Role::Buyer => Side::Buyer,
        },
        made: time::to_text(made),
        offset_minutes,
        relay: facts.relay.clone(),
        buyer: buyer(home, &facts)?,
        standing: standing(facts.state),
        told: told.iter().map(told_event).collect(),
        outcome: match facts.role {
            Role::Seller => None,
            Role::Buyer => outcome(&folder)?.map(|(unchanged, kept_existing, renamed, exceptions)| Outcome {
                unchanged,
                kept_existing,
                renamed,
                exceptions,
            }),
        },
        summary: summary.map(|bytes| Base64::encode_string(&bytes)),
        inventory: read_inventory(&folder)?,
        statements,
    })
}

/// A statement that is kept in files of its own.
fn given(folder: &Folder, rule: &Rule) -> Result<Option<Given>, Error> {
    let statement = text(folder, &format!("{}.txt", rule.word), STATEMENT_BYTES_MAX)?;
    let signature = text_of_signature(folder, &format!("{}.sig", rule.word))?;
    let (Some(statement), Some(signature)) = (statement, signature) else { return Ok(None) };
    let second = match rule.second {
        Some((file, _)) => text_of_signature(folder, file)?,
        None => None,
    };
    let document = match &rule.document {
        Some(document) => text(folder, document.file, DOCUMENT_BYTES_MAX)?,
        None => None,
    };
    Ok(Some(Given { kind: rule.word.into(), text: statement, signature, second, document }))
}

/// A statement that is kept with the relay's log.
fn of_log(rule: &Rule, signed: &Signed) -> Given {
    let Signed { text, signature } = signed.clone();
    Given { kind: rule.word.into(), text, signature, second: None, document: None }
}

/// Writes the full list of a transfer, a line for every record, and checks that it is the one that was sealed.
///
/// # Errors
/// [`Error::State`] when the list is not kept here any more, or is not the one that was sealed;
/// [`Error::Disk`].
pub fn full_list(home: &Home, id: u64, out: &mut dyn Write, path: &Path) -> Result<u64, Error> {
    let folder = home.transfer(id)?;
    let facts = folder.facts()?;
    let gone = || Error::State { what: "the full list is not kept any more", path: folder.file("list"), source: None };
    let inventory = read_inventory(&folder)?.and_then(|text| Inventory::parse(&text)).ok_or_else(gone)?;
    let salt = unhex(&inventory.head.salt).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).ok_or_else(gone)?;
    let transfer = TransferId::from_hex(&inventory.head.transfer).ok_or_else(gone)?;
    let mut hash = proof::Digester::default();
    let mut count = 0;
    let mut put = |line: &str| {
        hash.update(line.as_bytes());
        out.write_all(line.as_bytes()).map_err(|source| Error::disk("writing the full list", path, source))
    };
    put(&list_head(&transfer, InventorySalt(salt)))?;
    let mut each = |record: &Record| {
        count += 1;
        put(&list_line(record))
    };
    match facts.role {
        Role::Seller => sent_records(&folder, inventory.head.records, &mut each)?,
        Role::Buyer => listed_records(&folder, &mut each)?,
    }
    if hash.finish().to_hex() != inventory.head.list {
        return Err(Error::State {
            what: "the full list is not the one that was sealed",
            path: folder.file("list"),
            source: None,
        });
    }
    Ok(count)
}

fn text(folder: &Folder, name: &str, bytes_max: usize) -> Result<Option<String>, Error> {
    let path = folder.file(name);
    let Some(bytes) = read_private(&path, bytes_max as u64)? else { return Ok(None) };
    // What is no text cannot have been signed; it is shown as what it is, and does not hold.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn text_of_signature(folder: &Folder, name: &str) -> Result<Option<String>, Error> {
    text(folder, name, SIGNATURE_BYTES_MAX)
}

fn buyer(home: &Home, facts: &Facts) -> Result<Option<Named>, Error> {
    Ok(match facts.role {
        Role::Seller => {
            let organisation = facts.peer_organisation.clone();
            facts.peer_name.clone().map(|name| Named { name, organisation })
        }
        Role::Buyer => home.identity()?.map(|owner| Named { name: owner.name, organisation: owner.organisation }),
    })
}

fn standing(state: State) -> Standing {
    match state {
        State::Collected | State::Delivered => Standing::Ended,
        State::Revoked => Standing::Revoked,
        State::Expired => Standing::Expired,
        State::Refused => Standing::Refused,
        State::TakenDown => Standing::TakenDown,
        State::Failed => Standing::Failed,
        _ => Standing::Open,
    }
}

fn told_event(told: &told::Told) -> ToldEvent {
    let what = match told.kind {
        EventKind::Created => What::Created,
        EventKind::FirstBlock => What::FirstBlock,
        EventKind::Completed => What::Completed,
        EventKind::Claimed => What::Claimed,
        EventKind::ClaimRefused => What::ClaimRefused,
        EventKind::Receipted => What::Receipted,
        EventKind::Deleted => What::Deleted,
        EventKind::Expired => What::Expired,
        EventKind::Revoked => What::Revoked,
        EventKind::RefusedByBuyer => What::RefusedByBuyer,
        EventKind::PaperDeposited => What::PaperDeposited,
        EventKind::TakenDown => What::TakenDown,
    };
    ToldEvent { at_ms: told.time.0, what, by: told.by.as_ref().map(fingerprint_of_link_key) }
}
