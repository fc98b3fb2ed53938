//! The table of statements. A new kind is an entry here, with its sentences in `words/`, and nothing else.
//!
//! # Source
//! SPEC [S10.3] to [S10.6] [S19.2].

use handover_shared::proof::{
    ClaimText, DeletionText, Kind, LogHeadText, OfferText, ReceiptText, SealText, StatementFault,
};

use super::evidence::What;
use super::model::Role;
use crate::t;
use crate::words::Words;

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Signer {
    Seller,
    Buyer,
    Relay,
}

impl Signer {
    pub const ALL: [Signer; 3] = [Self::Seller, Self::Buyer, Self::Relay];

    /// Under which name its key stands in the list of signers.
    pub fn principal(self) -> &'static str {
        match self {
            Self::Seller => "seller",
            Self::Buyer => "buyer",
            Self::Relay => "relay",
        }
    }

    pub fn role(self) -> Role {
        match self {
            Self::Seller => Role::Seller,
            Self::Buyer => Role::Buyer,
            Self::Relay => Role::Relay,
        }
    }
}

/// What a line must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// The transfer of the record.
    Transfer,
    /// The hash of that statement's text.
    IdOf(&'static str),
    /// The same as that line of that statement.
    Same(&'static str, &'static str),
    /// The hash of the summary.
    SummaryHash,
}

/// What something is called in a language.
pub(super) type Named = fn(&Words) -> String;

/// What is known of a kind of statement.
pub(super) struct Rule {
    pub kind: Kind,
    /// Its word: in names of files and of parts of the page.
    pub word: &'static str,
    pub signer: Signer,
    /// Where it is kept.
    pub source: Source,
    /// The line that names the signer's key, and the statement in which it stands.
    pub key: (&'static str, &'static str),
    /// The line that says when.
    pub time: &'static str,
    /// By whose clock that is.
    pub clock: Signer,
    /// Refuses every text but the one form of a statement.
    pub parse: fn(&str) -> Result<(), StatementFault>,
    /// Lines that must say something; others say what only they say.
    pub lines: &'static [(&'static str, Says)],
    /// The file with a second signature, and the name of the part of the page.
    pub second: Option<(&'static str, &'static str)>,
    /// What people wrote into it, `%XX` for what is not plain: the line, and what it is.
    pub notes: &'static [(&'static str, Named)],
    /// What it names by its hash.
    pub document: Option<Document>,
    /// Whether every handover that has come to its end has one.
    pub presence: Presence,
    /// What it is called.
    pub title: Named,
    /// What it proves, if it holds.
    pub proves: Named,
    /// What happened when it was signed.
    pub happened: Named,
    /// What the relay tells when it gets it.
    pub event: Option<What>,
}

/// A text that a statement names by its hash.
pub(super) struct Document {
    /// The line with the hash; `none` where there is no such text.
    pub line: &'static str,
    /// Its file in the folder of a transfer, and its part of a page.
    pub file: &'static str,
    /// What it is.
    pub title: Named,
}

/// Where a statement is kept in the folder of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In files named after its word.
    Files,
    /// It is the newest head of the relay's log.
    Head,
    /// It is kept with the relay's log.
    Deletion,
}

/// Whether a statement is missed when it is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Always,
    Sometimes,
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
        source: Source::Files,
        key: ("offer", "seller-key"),
        time: "created",
        clock: Signer::Relay,
        parse: |text| parse(OfferText::parse, text),
        lines: &[("transfer", Says::Transfer), ("summary", Says::SummaryHash)],
        second: None,
        notes: &[],
        document: None,
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
        source: Source::Files,
        key: ("offer", "seller-key"),
        time: "sealed",
        clock: Signer::Seller,
        parse: |text| parse(SealText::parse, text),
        lines: &[("transfer", Says::Transfer), ("offer", Says::IdOf("offer"))],
        second: None,
        notes: &[],
        document: None,
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
        source: Source::Files,
        key: ("claim", "buyer-key"),
        time: "time",
        clock: Signer::Buyer,
        parse: |text| parse(ClaimText::parse, text),
        lines: &[("transfer", Says::Transfer)],
        second: Some(("claim.code.sig", "claim-code-signature")),
        notes: &[],
        document: None,
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
        source: Source::Files,
        key: ("receipt", "buyer-key"),
        time: "received",
        clock: Signer::Buyer,
        parse: |text| parse(ReceiptText::parse, text),
        lines: &[
            ("transfer", Says::Transfer),
            ("offer", Says::IdOf("offer")),
            ("seal", Says::IdOf("seal")),
            ("root", Says::Same("seal", "root")),
            ("entries", Says::Same("seal", "entries")),
            ("files", Says::Same("seal", "files")),
            ("folders", Says::Same("seal", "folders")),
            ("links", Says::Same("seal", "links")),
            ("exceptions", Says::Same("seal", "exceptions")),
            ("bytes", Says::Same("seal", "bytes")),
            ("seller-key", Says::Same("offer", "seller-key")),
            ("buyer-key", Says::Same("claim", "buyer-key")),
            ("relay-key", Says::Same("offer", "relay-key")),
            ("agreement", Says::Same("offer", "agreement")),
        ],
        second: None,
        notes: &[],
        document: None,
        presence: Presence::Always,
        title: |words| t!(words, "record-kind-receipt"),
        proves: |words| t!(words, "record-proves-receipt"),
        happened: |words| t!(words, "record-event-receipt"),
        event: Some(What::Receipted),
    },
    Rule {
        kind: Kind::Deletion,
        word: "deletion",
        signer: Signer::Relay,
        source: Source::Deletion,
        key: ("offer", "relay-key"),
        time: "blocks-deleted",
        clock: Signer::Relay,
        parse: |text| parse(DeletionText::parse, text),
        lines: &[("transfer", Says::Transfer), ("relay-key", Says::Same("offer", "relay-key"))],
        second: None,
        notes: &[],
        document: None,
        presence: Presence::Sometimes,
        title: |words| t!(words, "record-kind-deletion"),
        proves: |words| t!(words, "record-proves-deletion"),
        happened: |words| t!(words, "record-event-deletion"),
        event: Some(What::Deleted),
    },
    Rule {
        kind: Kind::LogHead,
        word: "log-head",
        signer: Signer::Relay,
        source: Source::Head,
        key: ("offer", "relay-key"),
        time: "time",
        clock: Signer::Relay,
        parse: |text| parse(LogHeadText::parse, text),
        lines: &[("relay-key", Says::Same("offer", "relay-key"))],
        second: None,
        notes: &[],
        document: None,
        presence: Presence::Sometimes,
        title: |words| t!(words, "record-kind-log-head"),
        proves: |words| t!(words, "record-proves-log-head"),
        happened: |words| t!(words, "record-event-log-head"),
        event: None,
    },
];

/// The rule of a word.
pub(super) fn rule(word: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.word == word)
}

/// The value of a line of a statement's text.
pub(super) fn line<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let before = format!("  \"{key}\": \"");
    let value = text.lines().find_map(|line| line.strip_prefix(before.as_str()))?;
    value.strip_suffix("\",").or_else(|| value.strip_suffix('"'))
}
