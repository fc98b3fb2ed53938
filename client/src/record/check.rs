//! Every statement of a record against the table: its form, its signature, its signer, and what it says of the others.
//!
//! # Source
//! SPEC [S19.2] [S19.3].

use base64ct::{Base64, Encoding};
use handover_shared::codec;
use handover_shared::ids::Digest;
use handover_shared::proof::{self, Kind, ProofFault, PublicIdentity, Summary};

use super::evidence::{Evidence, Given};
use super::inventory::Inventory;
use super::rules::{Document, RULES, Rule, Says, Signer, line};

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// It holds.
    Valid,
    /// It does not.
    NotValid(Why),
    /// There is nothing to check.
    Absent,
}

/// Why something does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It does not have the one form it can have.
    Malformed,
    /// The signature cannot be read, or is not of the one form.
    SignatureForm,
    /// The signature was made for another purpose.
    Purpose,
    /// The signature does not fit the text.
    Forged,
    /// It is signed by another key than it must be.
    Signer,
    /// A line says something else than it must.
    Line(&'static str),
    /// It rests on that statement, which is not here or does not hold.
    RestsOn(&'static str),
    /// Its hash is not the one that was signed.
    Hash,
    /// Numbers in it do not fit those that were signed.
    Numbers,
}

/// A statement and what came of checking it.
pub(super) struct Checked<'a> {
    pub rule: &'static Rule,
    pub given: Option<&'a Given>,
    pub check: Check,
    /// Whose the signature is, if it can be read and fits.
    pub key: Option<PublicIdentity>,
    /// The check of the second signature.
    pub second: Check,
}

/// Everything that was checked.
pub(super) struct Checks<'a> {
    pub statements: Vec<Checked<'a>>,
    pub summary: Option<Summary>,
    pub summary_check: Check,
    pub inventory: Option<Inventory>,
    pub inventory_check: Check,
}

impl<'a> Checks<'a> {
    /// A statement, if it is there.
    pub fn of(&self, word: &str) -> Option<&Checked<'a>> {
        self.statements.iter().find(|checked| checked.rule.word == word && checked.given.is_some())
    }

    /// A line of a statement that holds.
    pub fn valid_line(&self, word: &str, key: &str) -> Option<&'a str> {
        let checked = self.of(word).filter(|checked| checked.check == Check::Valid)?;
        line(&checked.given?.text, key)
    }

    /// The key of a party, if a statement that holds is signed by it.
    pub fn key(&self, signer: Signer) -> Option<PublicIdentity> {
        let is_own = |checked: &&Checked<'_>| checked.rule.signer == signer && checked.check == Check::Valid;
        self.statements.iter().find(is_own).and_then(|checked| checked.key)
    }

    /// Whether anything that is there does not hold.
    pub fn has_faults(&self) -> bool {
        let statements = self.statements.iter().flat_map(|checked| [checked.check, checked.second]);
        let mut all = statements.chain([self.summary_check, self.inventory_check]);
        all.any(|check| matches!(check, Check::NotValid(_)))
    }
}

/// Checks everything.
pub(super) fn check(evidence: &Evidence) -> Checks<'_> {
    let mut checks = Checks {
        statements: Vec::new(),
        summary: None,
        summary_check: Check::Absent,
        inventory: None,
        inventory_check: Check::Absent,
    };
    let summary = evidence.summary.as_deref().map(|text| Base64::decode_vec(text).ok());
    let summary_digest = summary.as_ref().map(|bytes| bytes.as_deref().map_or(Digest([0; 32]), proof::digest));
    for rule in RULES {
        let given = evidence.statements.iter().find(|given| given.kind == rule.word);
        let mut checked = Checked { rule, given, check: Check::Absent, key: None, second: Check::Absent };
        if let Some(given) = given {
            (checked.check, checked.key) = match statement(rule, given, evidence, &checks, summary_digest) {
                Ok(key) => (Check::Valid, Some(key)),
                Err(why) => (Check::NotValid(why), None),
            };
            checked.second = second(rule, given, checked.key.as_ref());
        }
        checks.statements.push(checked);
    }
    if let Some(bytes) = &summary {
        let named = checks.valid_line("offer", "summary");
        (checks.summary, checks.summary_check) = check_summary(bytes.as_deref(), named);
    }
    if let Some(text) = &evidence.inventory {
        (checks.inventory, checks.inventory_check) = check_inventory(text, &checks);
    }
    checks
}

fn statement(
    rule: &Rule,
    given: &Given,
    evidence: &Evidence,
    checks: &Checks<'_>,
    summary: Option<Digest>,
) -> Result<PublicIdentity, Why> {
    (rule.parse)(&given.text).map_err(|_fault| Why::Malformed)?;
    let key = verify(rule.kind, &given.text, &given.signature)?;
    let other = |word: &'static str| -> Result<&str, Why> {
        let held = checks.of(word).filter(|checked| checked.check == Check::Valid);
        held.and_then(|checked| checked.given).map(|given| given.text.as_str()).ok_or(Why::RestsOn(word))
    };
    // [S19.2]
    let signer = if rule.key.0 == rule.word { &given.text } else { other(rule.key.0)? };
    if line(signer, rule.key.1) != Some(key.fingerprint().as_str()) {
        return Err(Why::Signer);
    }
    for (name, says) in rule.lines {
        let wanted = match says {
            Says::Transfer => evidence.transfer.clone(),
            Says::IdOf(word) => proof::text_id(other(word)?).to_hex(),
            Says::Same(word, line_of) => line(other(word)?, line_of).unwrap_or_default().to_owned(),
            // Without the summary there is nothing to compare with, and it is said to be missing.
            Says::SummaryHash => match summary {
                Some(digest) => digest.to_hex(),
                None => continue,
            },
        };
        if line(&given.text, name) != Some(wanted.as_str()) {
            return Err(Why::Line(name));
        }
    }
    match &rule.document {
        Some(Document { line: named, .. }) if !document_fits(given, line(&given.text, named)) => Err(Why::Line(named)),
        _ => Ok(key),
    }
}

/// Whether the document that came with a statement is the one that it names. One that did not come is missed elsewhere.
fn document_fits(given: &Given, named: Option<&str>) -> bool {
    match &given.document {
        Some(document) => named == Some(proof::text_id(document).to_hex().as_str()),
        None => named.is_some(),
    }
}

/// The second signature is over the same text, by another key.
fn second(rule: &Rule, given: &Given, first: Option<&PublicIdentity>) -> Check {
    let Some(signature) = &given.second else { return Check::Absent };
    match (verify(rule.kind, &given.text, signature), first) {
        (Err(why), _) => Check::NotValid(why),
        (Ok(key), Some(first)) if key != *first => Check::Valid,
        (Ok(_), _) => Check::NotValid(Why::Signer),
    }
}

fn verify(kind: Kind, text: &str, signature: &str) -> Result<PublicIdentity, Why> {
    proof::verify(kind, text, signature).map_err(|fault| match fault {
        ProofFault::Namespace => Why::Purpose,
        ProofFault::Forged => Why::Forged,
        ProofFault::Statement(_) => Why::Malformed,
        _ => Why::SignatureForm,
    })
}

fn check_summary(bytes: Option<&[u8]>, named: Option<&str>) -> (Option<Summary>, Check) {
    let Some(bytes) = bytes else { return (None, Check::NotValid(Why::Malformed)) };
    let Some(named) = named else { return (None, Check::NotValid(Why::RestsOn("offer"))) };
    if proof::digest(bytes).to_hex() != named {
        return (None, Check::NotValid(Why::Hash));
    }
    match codec::decode::<Summary>(bytes).map(|summary| (summary.check(), summary)) {
        Ok((Ok(()), summary)) => (Some(summary), Check::Valid),
        _ => (None, Check::NotValid(Why::Malformed)),
    }
}

/// Whether the inventory is the one that was sealed, and its numbers are those of the seal. [S9.6]
fn check_inventory(text: &str, checks: &Checks<'_>) -> (Option<Inventory>, Check) {
    let Some(named) = checks.valid_line("seal", "inventory") else {
        return (None, Check::NotValid(Why::RestsOn("seal")));
    };
    if proof::text_id(text).to_hex() != named {
        return (None, Check::NotValid(Why::Hash));
    }
    let Some(inventory) = Inventory::parse(text) else { return (None, Check::NotValid(Why::Malformed)) };
    let head = &inventory.head;
    let numbers = [
        ("transfer", head.transfer.clone()),
        ("files", head.files.to_string()),
        ("folders", head.folders.to_string()),
        ("links", head.links.to_string()),
        ("exceptions", head.exceptions.to_string()),
        ("bytes", head.bytes.to_string()),
    ];
    let fits = |(key, value): &(&str, String)| checks.valid_line("seal", key) == Some(value.as_str());
    if numbers.iter().all(fits) { (Some(inventory), Check::Valid) } else { (None, Check::NotValid(Why::Numbers)) }
}
