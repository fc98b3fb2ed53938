//! What a record says: computed once from its evidence, shown as a page or to programs.

use handover_shared::ids::Millis;
use handover_shared::proof::time;

use super::check::{Check, Checks, check};
use super::evidence::{Evidence, Outcome, Side, Standing};
use super::inventory::Inventory;
use super::rules::{Presence, Signer, line};
use super::timeline::{Moment, timeline};
use crate::private::escaped;

/// What a record says. Every text in it is safe to show.
pub struct Model {
    /// The transfer, hex.
    pub transfer: String,
    /// Which side made the record.
    pub made_by: Side,
    /// When, by that side's clock.
    pub made: Millis,
    /// Minutes that times are shown ahead of UTC.
    pub offset_minutes: i32,
    /// The program that made it.
    pub program: String,
    /// SHA-256 over everything that the record is made from.
    pub checksum: String,
    /// What the seller called the transfer.
    pub label: Option<String>,
    /// The record in one word.
    pub verdict: Verdict,
    /// Seller, buyer, relay.
    pub parties: Vec<Party>,
    /// What was agreed on beside the data; nothing while no offer holds.
    pub agreement: Option<String>,
    /// How much was handed over.
    pub scope: Option<Scope>,
    /// Files that the buyer left as they were, as the receipt says.
    pub kept_existing: Option<u64>,
    /// What became of it on the buyer's disk.
    pub outcome: Option<Outcome>,
    /// What happened when.
    pub timeline: Vec<Moment>,
    /// Every kind of statement, there or not.
    pub statements: Vec<Statement>,
    /// Whether the summary is the one that the offer names.
    pub summary: Check,
    /// Whether the hand-over list is the one that the seal names.
    pub inventory: Check,
    /// What is proven.
    pub proven: Vec<Finding>,
    /// What is not.
    pub open: Vec<Finding>,
    pub(super) list: Option<Inventory>,
}

/// A record in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Handed over, received, confirmed.
    Complete,
    /// Everything that is there holds; the receipt is not there yet.
    Waiting,
    /// The seller took it back.
    Revoked,
    /// Its time was over.
    Expired,
    /// The buyer refused the agreement.
    Refused,
    /// The relay's operator took it down.
    TakenDown,
    /// It cannot go on.
    Failed,
    /// Something that is there does not hold.
    Faulty,
}

/// Somebody who took part.
pub struct Party {
    /// As what.
    pub role: Role,
    /// Its organisation.
    pub organisation: Option<String>,
    /// Its name; the relay's is its address.
    pub name: Option<String>,
    /// `SHA256:…` of its key.
    pub key: Option<String>,
    /// Whether the names are signed.
    pub names: Source,
}

/// As what somebody took part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Who hands over.
    Seller,
    /// Who takes over.
    Buyer,
    /// Who kept the sealed data.
    Relay,
}

/// On whose word something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is in a signed statement, or named by one by its hash.
    Signed,
    /// It is the word of whoever made the record.
    Told,
}

/// How much was handed over, as the seal says.
pub struct Scope {
    /// Whole files.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Links.
    pub links: u64,
    /// What is listed and was not sent.
    pub exceptions: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// The hash over the manifest.
    pub root: String,
}

/// A statement and what came of checking it.
pub struct Statement {
    /// Its kind as a word.
    pub word: &'static str,
    /// Who signs such.
    pub by: Role,
    /// What people wrote into it: what it is, and the text, safe to show.
    pub notes: Vec<(&'static str, String)>,
    /// Whether the document that it names is missing.
    pub misses_document: bool,
    /// What came of checking it.
    pub check: Check,
    /// What came of checking the second signature, where such have one.
    pub second: Check,
    /// When it was signed, as it says.
    pub time: Option<Millis>,
    /// The hash of its text.
    pub id: Option<String>,
    pub(super) parts: Option<Parts>,
}

/// What is embedded of a statement.
pub(super) struct Parts {
    pub text: String,
    pub signature: String,
    pub second: Option<(&'static str, String)>,
    pub document: Option<(&'static str, String)>,
}

/// Something a record proves, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// What a statement of this kind proves.
    Statement(&'static str),
    /// The hand-over list is the one that was sealed.
    List,
    /// There is no such statement.
    Missing(&'static str),
    /// Such a statement is there and does not hold.
    DoesNotHold(&'static str),
    /// The hand-over list is missing, or is another than the one that was sealed.
    NoList,
    /// Who holds the keys.
    Holders,
    /// Whether clocks were right.
    Clocks,
    /// What the data means, and whether it is true.
    Contents,
    /// What only the maker of the record says.
    Told,
    /// That the relay has deleted everything.
    Deletion,
}

impl Model {
    /// Checks everything and puts it together.
    pub fn of(evidence: &Evidence) -> Self {
        let checks = check(evidence);
        let summary = checks.summary.as_ref();
        let verdict = verdict(evidence, &checks);
        let (proven, open) = findings(evidence, &checks);
        Self {
            transfer: evidence.transfer.clone(),
            made_by: evidence.made_by,
            made: time::parse(&evidence.made).unwrap_or(Millis(0)),
            offset_minutes: evidence.offset_minutes,
            program: escaped(evidence.program.as_bytes()),
            checksum: evidence.checksum(),
            label: summary.map(|summary| escaped(summary.label.as_bytes())).filter(|label| !label.is_empty()),
            verdict,
            parties: parties(evidence, &checks),
            agreement: checks.valid_line("offer", "agreement").map(str::to_owned),
            scope: scope(&checks),
            kept_existing: checks.valid_line("receipt", "kept-existing").and_then(|text| text.parse().ok()),
            outcome: evidence.outcome,
            timeline: timeline(evidence, &checks),
            statements: checks.statements.iter().map(statement).collect(),
            summary: checks.summary_check,
            inventory: checks.inventory_check,
            proven,
            open,
            list: checks.inventory,
        }
    }
}

fn verdict(evidence: &Evidence, checks: &Checks<'_>) -> Verdict {
    let holds = |kind| checks.of(kind).is_some_and(|checked| checked.check == Check::Valid);
    if checks.has_faults() {
        return Verdict::Faulty;
    }
    match evidence.standing {
        _ if holds("receipt") => Verdict::Complete,
        Standing::Revoked => Verdict::Revoked,
        Standing::Expired => Verdict::Expired,
        Standing::Refused => Verdict::Refused,
        Standing::TakenDown => Verdict::TakenDown,
        Standing::Failed => Verdict::Failed,
        Standing::Open | Standing::Ended => Verdict::Waiting,
    }
}

fn parties(evidence: &Evidence, checks: &Checks<'_>) -> Vec<Party> {
    let shown = |text: &str| Some(escaped(text.as_bytes())).filter(|text| !text.trim().is_empty());
    let key = |signer| checks.key(signer).map(|key| key.fingerprint());
    let summary = checks.summary.as_ref();
    let buyer = evidence.buyer.as_ref();
    vec![
        Party {
            role: Role::Seller,
            organisation: summary.and_then(|summary| shown(summary.organisation.as_deref()?)),
            name: summary.and_then(|summary| shown(&summary.seller_name)),
            key: key(Signer::Seller),
            names: Source::Signed,
        },
        Party {
            role: Role::Buyer,
            organisation: buyer.and_then(|buyer| shown(buyer.organisation.as_deref()?)),
            name: buyer.and_then(|buyer| shown(&buyer.name)),
            key: key(Signer::Buyer),
            names: Source::Told,
        },
        Party {
            role: Role::Relay,
            organisation: None,
            name: shown(&evidence.relay),
            key: checks.valid_line("offer", "relay-key").map(str::to_owned),
            names: Source::Told,
        },
    ]
}

fn scope(checks: &Checks<'_>) -> Option<Scope> {
    let number = |key| checks.valid_line("seal", key)?.parse().ok();
    Some(Scope {
        files: number("files")?,
        folders: number("folders")?,
        links: number("links")?,
        exceptions: number("exceptions")?,
        bytes: number("bytes")?,
        root: checks.valid_line("seal", "root")?.to_owned(),
    })
}

fn statement(checked: &super::check::Checked<'_>) -> Statement {
    let rule = checked.rule;
    let given = checked.given;
    let document = rule.document.as_ref();
    let named = document.zip(given).map(|(document, given)| line(&given.text, document.line) != Some("none"));
    Statement {
        word: rule.word,
        by: rule.signer.role(),
        notes: notes(rule, given.filter(|_| checked.check == Check::Valid)),
        misses_document: named == Some(true) && given.is_some_and(|given| given.document.is_none()),
        check: checked.check,
        second: checked.second,
        time: given.and_then(|given| time::parse(line(&given.text, rule.time)?)),
        id: given.map(|given| handover_shared::proof::text_id(&given.text).to_hex()),
        parts: given.map(|given| Parts {
            text: given.text.clone(),
            signature: given.signature.clone(),
            second: rule.second.map(|(_, part)| part).zip(given.second.clone()),
            document: document.map(|document| document.file).zip(given.document.clone()),
        }),
    }
}

/// What people wrote into a statement that holds.
fn notes(rule: &super::rules::Rule, given: Option<&super::evidence::Given>) -> Vec<(&'static str, String)> {
    let Some(given) = given else { return Vec::new() };
    let said = rule.notes.iter().filter_map(|(name, _)| Some((*name, line(&given.text, name)?)));
    said.filter(|(_, text)| *text != "none").map(|(name, text)| (name, escaped(&plain(text)))).collect()
}

/// Bytes of which some are written as `%` and two hex digits; whatever is not written so stands as it is.
fn plain(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    bytes
}

fn findings(evidence: &Evidence, checks: &Checks<'_>) -> (Vec<Finding>, Vec<Finding>) {
    let (mut proven, mut open) = (Vec::new(), Vec::new());
    for checked in &checks.statements {
        let kind = checked.rule.word;
        match (checked.check, checked.rule.presence) {
            (Check::Valid, _) => proven.push(Finding::Statement(kind)),
            (Check::NotValid(_), _) => open.push(Finding::DoesNotHold(kind)),
            (Check::Absent, Presence::Always) => open.push(Finding::Missing(kind)),
            (Check::Absent, Presence::Sometimes) => {}
        }
    }
    match checks.inventory_check {
        Check::Valid => proven.push(Finding::List),
        Check::NotValid(_) => open.push(Finding::NoList),
        Check::Absent if checks.valid_line("seal", "inventory").is_some() => open.push(Finding::NoList),
        Check::Absent => {}
    }
    open.extend([Finding::Holders, Finding::Clocks, Finding::Contents, Finding::Told]);
    if evidence.told.iter().any(|told| told.what == super::evidence::What::Deleted) {
        open.push(Finding::Deletion);
    }
    (proven, open)
}
