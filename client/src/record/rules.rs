//! The table of statements. A new kind is an entry here, with its sentences in `words/`, and nothing else.
//!
//! # Source
//! SPEC [S10.3] to [S10.6] [S19.2].

use handover_shared::proof::{ClaimText, Kind, OfferText, ReceiptText, SealText, StatementFault};

use super::evidence::{Side, What};
use crate::t;
use crate::words::Words;

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Signer {
    Seller,
    Buyer,
}

impl Signer {
    pub const ALL: [Signer; 2] = [Self::Seller, Self::Buyer];

    /// Under which name its key stands in the list of signers.
    pub fn principal(self) -> &'static str {
        match self {
            Self::Seller => "seller",
            Self::Buyer => "buyer",
        }
    }

    pub fn side(self) -> Side {
        match self {
            Self::Seller => Side::Seller,
            Self::Buyer => Side::Buyer,
        }
    }
}

/// What a line must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// The transfer of the record.
    Transfer,
    /// The hash of that statement's text.
    IdOf(Kind),
    /// The same as that line of that statement.
    Same(Kind, &'static str),
    /// The hash of the summary.
    SummaryHash,
}

/// What is known of a kind of statement.
pub(super) struct Rule {
    pub kind: Kind,
    /// Its word: in names of files and of parts of the page.
    pub word: &'static str,
    pub signer: Signer,
    /// The line that names the signer's key, and the statement in which it stands.
    pub key: (Kind, &'static str),
    /// The line that says when.
    pub time: &'static str,
    /// By whose clock that is.
    pub clock: Clock,
    /// Refuses every text but the one form of a statement.
    pub parse: fn(&str) -> Result<(), StatementFault>,
    /// Lines that must say something; others say what only they say.
    pub lines: &'static [(&'static str, Says)],
    /// The file with a second signature, and the name of the part of the page.
    pub second: Option<(&'static str, &'static str)>,
    /// Whether every handover that has come to its end has one.
    pub presence: Presence,
    /// What it is called.
    pub title: fn(&Words) -> String,
    /// What it proves, if it holds.
    pub proves: fn(&Words) -> String,
    /// What happened when it was signed.
    pub happened: fn(&Words) -> String,
    /// What the relay tells when it gets it.
    pub event: Option<What>,
}

/// By whose clock a statement says its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// That of whoever signs.
    Signer,
    /// That of the relay.
    Relay,
}

/// Whether a statement is missed when it is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Always,
}

fn parse<T>(read: impl Fn(&str) -> Result<T, StatementFault>, text: &str) -> Result<(), StatementFault> {
    read(text).map(drop)
}

/// Every kind, in the order in which they come to be; a statement refers to earlier ones only.
pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: Kind::Offer,
        word: "offer",
        signer: Signer::Seller,
        key: (Kind::Offer, "seller-key"),
        time: "created",
        clock: Clock::Relay,
        parse: |text| parse(OfferText::parse, text),
        lines: &[("transfer", Says::Transfer), ("summary", Says::SummaryHash)],
        second: None,
        presence: Presence::Always,
        title: |words| t!(words, "record-kind-offer"),
        proves: |words| t!(words, "record-proves-offer"),
        happened: |words| t!(words, "record-event-offer"),
        event: Some(What::Created),
    },
    Rule {
        kind: Kind::Seal,
        word: "seal",
        signer: Signer::Seller,
        key: (Kind::Offer, "seller-key"),
        time: "sealed",
        clock: Clock::Signer,
        parse: |text| parse(SealText::parse, text),
        lines: &[("transfer", Says::Transfer), ("offer", Says::IdOf(Kind::Offer))],
        second: None,
        presence: Presence::Always,
        title: |words| t!(words, "record-kind-seal"),
        proves: |words| t!(words, "record-proves-seal"),
        happened: |words| t!(words, "record-event-seal"),
        event: Some(What::Completed),
    },
    Rule {
        kind: Kind::Claim,
        word: "claim",
        signer: Signer::Buyer,
        key: (Kind::Claim, "buyer-key"),
        time: "time",
        clock: Clock::Signer,
        parse: |text| parse(ClaimText::parse, text),
        lines: &[("transfer", Says::Transfer)],
        second: Some(("claim.code.sig", "claim-code-signature")),
        presence: Presence::Always,
        title: |words| t!(words, "record-kind-claim"),
        proves: |words| t!(words, "record-proves-claim"),
        happened: |words| t!(words, "record-event-claim"),
        event: Some(What::Claimed),
    },
    Rule {
        kind: Kind::Receipt,
        word: "receipt",
        signer: Signer::Buyer,
        key: (Kind::Receipt, "buyer-key"),
        time: "received",
        clock: Clock::Signer,
        parse: |text| parse(ReceiptText::parse, text),
        lines: &[
            ("transfer", Says::Transfer),
            ("offer", Says::IdOf(Kind::Offer)),
            ("seal", Says::IdOf(Kind::Seal)),
            ("root", Says::Same(Kind::Seal, "root")),
            ("entries", Says::Same(Kind::Seal, "entries")),
            ("files", Says::Same(Kind::Seal, "files")),
            ("folders", Says::Same(Kind::Seal, "folders")),
            ("links", Says::Same(Kind::Seal, "links")),
            ("exceptions", Says::Same(Kind::Seal, "exceptions")),
            ("bytes", Says::Same(Kind::Seal, "bytes")),
            ("seller-key", Says::Same(Kind::Offer, "seller-key")),
            ("buyer-key", Says::Same(Kind::Claim, "buyer-key")),
            ("relay-key", Says::Same(Kind::Offer, "relay-key")),
            ("agreement", Says::Same(Kind::Offer, "agreement")),
        ],
        second: None,
        presence: Presence::Always,
        title: |words| t!(words, "record-kind-receipt"),
        proves: |words| t!(words, "record-proves-receipt"),
        happened: |words| t!(words, "record-event-receipt"),
        event: Some(What::Receipted),
    },
];

/// The rule of a kind.
pub(super) fn rule(kind: Kind) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.kind == kind)
}

/// The value of a line of a statement's text.
pub(super) fn line<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let before = format!("  \"{key}\": \"");
    let value = text.lines().find_map(|line| line.strip_prefix(before.as_str()))?;
    value.strip_suffix("\",").or_else(|| value.strip_suffix('"'))
}
