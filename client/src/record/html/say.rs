//! Words and numbers of a page.

use handover_shared::ids::Millis;
use handover_shared::proof::time;

use super::super::check::{Check, Why};
use super::super::evidence::{Side, What};
use super::super::inventory::{LineKind, Reason};
use super::super::model::{Finding, Role};
use super::super::rules::rule;
use super::super::timeline::Happening;
use crate::t;
use crate::words::{Language, Words};

/// How a page says things.
pub(in crate::record) struct Say<'a> {
    pub words: &'a Words,
    pub offset_minutes: i32,
}

impl Say<'_> {
    /// `2026-11-25 22:11:36` in the time zone of the record.
    pub fn moment(&self, at: Millis) -> String {
        let ahead = i64::from(self.offset_minutes) * 60_000;
        time::to_text(Millis(at.0.saturating_add_signed(ahead))).replace('T', " ").replace('Z', "")
    }

    /// The day of a file, in the time zone of the record; a dash for one before 1970.
    pub fn day(&self, seconds: i64) -> String {
        match u64::try_from(seconds) {
            Ok(seconds) => self.moment(Millis(seconds.saturating_mul(1000))).chars().take(10).collect(),
            Err(_before) => "–".into(),
        }
    }

    /// `UTC+08:00`.
    pub fn zone(&self) -> String {
        let ahead = self.offset_minutes;
        let sign = if ahead < 0 { '−' } else { '+' };
        let ahead = ahead.unsigned_abs();
        if ahead == 0 { "UTC".into() } else { format!("UTC{sign}{:02}:{:02}", ahead / 60, ahead % 60) }
    }

    /// A whole number, its digits in groups of three.
    pub fn number(&self, number: u64) -> String {
        let separator = match self.words.language() {
            Language::English => '\u{a0}',
            Language::Chinese => ',',
        };
        let digits = number.to_string();
        let mut text = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(separator);
            }
            text.push(digit);
        }
        text
    }

    /// A length of time.
    pub fn span(&self, ms: u64) -> String {
        let (words, seconds) = (self.words, ms / 1000);
        match (seconds / 86_400, seconds / 3600, seconds / 60) {
            (0, 0, 0) => t!(words, "span-seconds", seconds = seconds.to_string()),
            (0, 0, minutes) => {
                t!(words, "span-minutes", minutes = minutes.to_string(), seconds = (seconds % 60).to_string())
            }
            (0, hours, minutes) => {
                t!(words, "span-hours", hours = hours.to_string(), minutes = (minutes % 60).to_string())
            }
            (days, hours, _) => t!(words, "span-days", days = days.to_string(), hours = (hours % 24).to_string()),
        }
    }

    pub fn side(&self, side: Side) -> String {
        match side {
            Side::Seller => t!(self.words, "role-seller"),
            Side::Buyer => t!(self.words, "role-buyer"),
        }
    }

    pub fn role(&self, role: Role) -> String {
        match role {
            Role::Seller => t!(self.words, "label-seller"),
            Role::Buyer => t!(self.words, "label-buyer"),
            Role::Relay => t!(self.words, "label-relay"),
        }
    }

    /// What a kind of statement is called.
    pub fn kind(&self, word: &str) -> String {
        rule(word).map(|rule| (rule.title)(self.words)).unwrap_or_default()
    }

    /// What a statement of a kind proves, if it holds.
    pub fn proves(&self, word: &str) -> String {
        rule(word).map(|rule| (rule.proves)(self.words)).unwrap_or_default()
    }

    /// What a line is that a person wrote.
    pub fn note(&self, word: &str, line: &str) -> String {
        let note = rule(word).and_then(|rule| rule.notes.iter().find(|(name, _)| *name == line));
        note.map(|(_, title)| title(self.words)).unwrap_or_default()
    }

    pub fn finding(&self, finding: Finding) -> String {
        let words = self.words;
        match finding {
            Finding::Statement(kind) => self.proves(kind),
            Finding::List => t!(words, "record-finding-list"),
            Finding::Missing(kind) => t!(words, "record-finding-missing", kind = self.kind(kind)),
            Finding::DoesNotHold(kind) => t!(words, "record-finding-bad", kind = self.kind(kind)),
            Finding::NoList => t!(words, "record-finding-no-list"),
            Finding::Holders => t!(words, "record-finding-holders"),
            Finding::Clocks => t!(words, "record-finding-clocks"),
            Finding::Contents => t!(words, "record-finding-contents"),
            Finding::Told => t!(words, "record-finding-told"),
            Finding::Deletion => t!(words, "record-finding-deletion"),
        }
    }

    /// What happened.
    pub fn happening(&self, what: Happening) -> String {
        let words = self.words;
        match what {
            Happening::Signed(kind) => rule(kind).map(|rule| (rule.happened)(words)).unwrap_or_default(),
            Happening::Told(What::Created) => t!(words, "record-event-created"),
            Happening::Told(What::FirstBlock) => t!(words, "record-event-first-block"),
            Happening::Told(What::Completed) => t!(words, "record-event-completed"),
            Happening::Told(What::Claimed) => t!(words, "record-event-claimed"),
            Happening::Told(What::ClaimRefused) => t!(words, "record-event-claim-refused"),
            Happening::Told(What::Receipted) => t!(words, "record-event-receipted"),
            Happening::Told(What::Deleted) => t!(words, "record-event-deleted"),
            Happening::Told(What::Expired) => t!(words, "record-event-expired"),
            Happening::Told(What::Revoked) => t!(words, "record-event-revoked"),
            Happening::Told(What::RefusedByBuyer) => t!(words, "record-event-refused"),
            Happening::Told(What::TakenDown) => t!(words, "record-event-taken-down"),
            Happening::Told(What::PaperDeposited) => t!(words, "record-event-paper"),
        }
    }

    /// What came of a check: class, sign, words.
    pub fn check(&self, check: Check) -> (&'static str, &'static str, String) {
        match check {
            Check::Valid => ("good", "✔", t!(self.words, "record-valid")),
            Check::NotValid(why) => ("bad", "✘", t!(self.words, "record-not-valid", why = self.why(why))),
            Check::Absent => ("wait", "○", t!(self.words, "record-absent")),
        }
    }

    pub fn why(&self, why: Why) -> String {
        let words = self.words;
        match why {
            Why::Malformed => t!(words, "record-why-malformed"),
            Why::SignatureForm => t!(words, "record-why-signature-form"),
            Why::Purpose => t!(words, "record-why-purpose"),
            Why::Forged => t!(words, "record-why-forged"),
            Why::Signer => t!(words, "record-why-signer"),
            Why::Line(line) => t!(words, "record-why-line", line = line),
            Why::RestsOn(word) => t!(words, "record-why-rests", word = self.kind(word)),
            Why::Hash => t!(words, "record-why-hash"),
            Why::Numbers => t!(words, "record-why-numbers"),
        }
    }

    pub fn line_kind(&self, kind: LineKind) -> String {
        match kind {
            LineKind::File => t!(self.words, "record-line-file"),
            LineKind::Folder => t!(self.words, "record-line-folder"),
            LineKind::Link => t!(self.words, "record-line-link"),
            LineKind::Files => t!(self.words, "record-line-files"),
        }
    }

    pub fn reason(&self, reason: Reason) -> String {
        let words = self.words;
        match reason {
            Reason::NotReadable => t!(words, "exception-unreadable"),
            Reason::Vanished => t!(words, "exception-vanished"),
            Reason::KeptChanging => t!(words, "exception-kept-changing"),
            Reason::NotAFile => t!(words, "exception-special"),
            Reason::LinkLeaves => t!(words, "exception-link-leaves"),
            Reason::ReadError => t!(words, "exception-read-error"),
            Reason::NameLimit => t!(words, "exception-name-too-long"),
        }
    }
}
