//! A record from anybody, checked offline: the evidence is taken out, every statement is checked, and the record is made
//! once more and compared.
//!
//! # Security
//! What it is read from is not trusted with anything: parts are found by their exact markup, and whatever is read loosely
//! here makes another record than the one that was read, which is found by comparing.
//!
//! # Source
//! SPEC [S19.1] to [S19.4].

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::evidence::{Evidence, Given};
use super::html::{self, DATA, INVENTORY, SUMMARY, unescape};
use super::json;
use super::model::{Model, Role};
use super::rules::RULES;
use super::{FORM, RECORD_BYTES_MAX};
use crate::error::Error;
use crate::words::Language;

/// Keys that the parties must have.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    /// `SHA256:…` of the seller.
    pub seller: Option<String>,
    /// `SHA256:…` of the buyer.
    pub buyer: Option<String>,
}

/// A record that is what its evidence gives. Whether the statements in it hold is in the model.
pub struct Verified {
    /// What it says.
    pub model: Model,
}

/// Checks a record.
///
/// # Errors
/// [`Error::BadRecord`] when it is none, was changed, or is of other parties; [`Error::RecordForm`] when another version
/// made it in another form; [`Error::Disk`].
pub fn verify(path: &Path, pins: &Pins) -> Result<Verified, Error> {
    let text = read(path)?;
    let evidence = match text.starts_with("<!DOCTYPE html>") {
        true => of_page(&text)?,
        false => of_json(&text)?,
    };
    let model = Model::of(&evidence);
    for (role, pin, what) in [
        (Role::Seller, &pins.seller, "the seller's key is not the one you named"),
        (Role::Buyer, &pins.buyer, "the buyer's key is not the one you named"),
    ] {
        let key = model.parties.iter().find(|party| party.role == role).and_then(|party| party.key.as_ref());
        if pin.is_some() && pin.as_ref() != key {
            return Err(Error::BadRecord { what, line: None });
        }
    }
    Ok(Verified { model })
}

fn read(path: &Path) -> Result<String, Error> {
    let reading = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(RECORD_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes: Vec<u8> = reading().map_err(|source| Error::disk("reading the record", path, source))?;
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(bad("it is longer than a record can be"));
    }
    String::from_utf8(bytes).map_err(|_bytes| bad("it is not text"))
}

fn bad(what: &'static str) -> Error {
    Error::BadRecord { what, line: None }
}

fn of_page(text: &str) -> Result<Evidence, Error> {
    let form = between(text, "<meta name=\"handover-record\" content=\"", "\">").and_then(|form| form.parse().ok());
    check_form(form)?;
    let language = between(text, "<html lang=\"", "\">");
    let language = Language::ALL.into_iter().find(|it| Some(it.tag()) == language);
    let language = language.ok_or_else(|| bad("it is in no language that is known here"))?;
    let evidence = page_evidence(text).ok_or_else(|| bad("its data cannot be read"))?;
    let again = html::page(&evidence, language);
    match first_difference(text, &again) {
        None => Ok(evidence),
        Some(line) => Err(Error::BadRecord { what: "it does not say what its signed parts say", line: Some(line) }),
    }
}

fn check_form(form: Option<u32>) -> Result<(), Error> {
    match form {
        Some(FORM) => Ok(()),
        Some(seen) => Err(Error::RecordForm { seen, own: FORM }),
        None => Err(bad("it is not a handover record")),
    }
}

fn page_evidence(text: &str) -> Option<Evidence> {
    let mut evidence: Evidence = serde_json::from_str(&part(text, DATA)?).ok()?;
    // The lines were only for the eye.
    evidence.summary = part(text, SUMMARY).map(|lines| lines.replace('\n', ""));
    evidence.inventory = part(text, INVENTORY);
    for rule in RULES {
        let text_of = part(text, &format!("{}-text", rule.word));
        let signature = part(text, &format!("{}-signature", rule.word));
        let (Some(given), Some(signature)) = (text_of, signature) else { continue };
        let second = rule.second.and_then(|(_, id)| part(text, id));
        let document = rule.document.as_ref().and_then(|document| part(text, document.file));
        evidence.statements.push(Given { kind: rule.word.into(), text: given, signature, second, document });
    }
    Some(evidence)
}

/// A part of a page, as it was before it was escaped. [S19.1]
fn part(text: &str, id: &str) -> Option<String> {
    unescape(between(text, &format!("\n<pre id=\"{id}\">\n"), "</pre>\n")?)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

/// The line, from 1, in which two texts differ first.
fn first_difference(seen: &str, wanted: &str) -> Option<usize> {
    if seen == wanted {
        return None;
    }
    let same = seen.split('\n').zip(wanted.split('\n')).take_while(|(seen, wanted)| seen == wanted).count();
    Some(same + 1)
}

/// A document, or the lines that the command wrote to standard output.
fn of_json(text: &str) -> Result<Evidence, Error> {
    let document = serde_json::from_str::<Value>(text).ok().or_else(|| {
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find_map(|mut line| line.get_mut("record").map(Value::take))
    });
    let document = document.ok_or_else(|| bad("it is not a handover record"))?;
    let form = document.get("handover_record").and_then(Value::as_u64).and_then(|form| u32::try_from(form).ok());
    check_form(form)?;
    let evidence = json::evidence(&document).ok_or_else(|| bad("its data cannot be read"))?;
    if json::document(&evidence) == document {
        Ok(evidence)
    } else {
        Err(bad("it does not say what its signed parts say"))
    }
}
