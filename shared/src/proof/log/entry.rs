//! One entry of the relay's log: a text of the same form as a statement. Nobody signs it; the heads say that it is there.
//!
//! # Source
//! SPEC [S16.1] [S16.3].

use crate::codec;
use crate::ids::{Digest, Millis, TransferId};
use crate::proof::identity::Fingerprint;
use crate::proof::line::{Field, Reader, StatementFault, Writer};
use crate::proof::time;
use crate::protocol::message::{Event, EventKind};

use super::tree::leaf_hash;

const HEADER: &str = "handover-log-entry/v1";
const MS_PER_SECOND: u64 = 1000;

/// What one entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its place in the log of all transfers, from 0.
    pub number: u64,
    /// The leaf hash of the entry before it: all of the log before this entry hangs on it.
    pub previous: Option<Digest>,
    /// Which transfer.
    pub transfer: TransferId,
    /// Its place in the history of the transfer, from 0.
    pub sequence: u64,
    /// What happened.
    pub event: EventKind,
    /// When, by the relay's clock.
    pub time: Millis,
    /// Whose link key did it, where somebody did.
    pub by: Option<Fingerprint>,
    /// SHA-256 of what came with it, where something did.
    pub body: Option<Digest>,
}

impl LogEntry {
    /// The entry of an event.
    pub fn of(number: u64, previous: Option<Digest>, transfer: TransferId, event: &Event) -> Self {
        Self {
            number,
            previous,
            transfer,
            sequence: event.sequence,
            event: event.kind,
            time: event.time,
            by: event.by.as_ref().map(Fingerprint::of_link_key),
            body: event.body,
        }
    }

    /// Writes its one text.
    pub fn to_text(&self) -> String {
        let mut writer = Writer::begin(HEADER);
        writer.line("entry", &self.number);
        writer.line("previous", &self.previous);
        writer.line("transfer", &self.transfer);
        writer.line("sequence", &self.sequence);
        writer.line("event", &self.event);
        writer.line("time", &self.time);
        writer.line("by", &self.by);
        writer.line("body", &self.body);
        writer.finish()
    }

    /// Reads its one text.
    ///
    /// # Errors
    /// [`StatementFault`] for every text that [`to_text`](Self::to_text) does not make.
    pub fn parse(text: &str) -> Result<Self, StatementFault> {
        let mut reader = Reader::begin(HEADER, text)?;
        let entry = Self {
            number: reader.line("entry")?,
            previous: reader.line("previous")?,
            transfer: reader.line("transfer")?,
            sequence: reader.line("sequence")?,
            event: reader.line("event")?,
            time: reader.line("time")?,
            by: reader.line("by")?,
            body: reader.line("body")?,
        };
        reader.finish()?;
        Ok(entry)
    }

    /// What it is in the tree.
    pub fn leaf(&self) -> Digest {
        leaf_hash(self.to_text().as_bytes())
    }
}

/// The word of an event in the log and for programs.
pub fn event_word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Created => "created",
        EventKind::FirstBlock => "first-block",
        EventKind::Completed => "completed",
        EventKind::Claimed => "claimed",
        EventKind::ClaimRefused => "claim-refused",
        EventKind::Receipted => "receipted",
        EventKind::Deleted => "deleted",
        EventKind::Expired => "expired",
        EventKind::Revoked => "revoked",
        EventKind::RefusedByBuyer => "refused-by-buyer",
        EventKind::PaperDeposited => "paper-deposited",
        EventKind::TakenDown => "taken-down",
    }
}

/// Every event there is, in the order of its number.
pub fn event_kinds() -> impl Iterator<Item = EventKind> {
    (0..=u8::MAX).filter_map(|number| codec::decode(&codec::encode(&number)).ok())
}

impl Field for EventKind {
    fn write(&self) -> String {
        event_word(*self).to_owned()
    }

    fn read(text: &str) -> Option<Self> {
        event_kinds().find(|kind| event_word(*kind) == text)
    }
}

/// RFC 3339 in UTC with milliseconds, as long as the year has four digits.
impl Field for Millis {
    fn write(&self) -> String {
        let seconds = time::to_text(*self);
        format!("{}.{:03}Z", seconds.trim_end_matches('Z'), self.0 % MS_PER_SECOND)
    }

    fn read(text: &str) -> Option<Self> {
        let (seconds, ms) = text.strip_suffix('Z')?.split_once('.')?;
        let ms: u64 = ms.parse().ok()?;
        Some(time::parse(&format!("{seconds}Z"))?.plus(ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LinkKey;

    fn event() -> Event {
        Event {
            sequence: 3,
            time: Millis(1_764_108_839_007),
            kind: EventKind::Claimed,
            by: Some(LinkKey([7; 32])),
            body: Some(Digest([0xab; 32])),
        }
    }

    #[test] // [S16.3]
    fn an_entry_in_full() {
        let entry = LogEntry::of(12, Some(Digest([1; 32])), TransferId([9; 16]), &event());
        let expected = format!(
            r#"{{
  "statement": "handover-log-entry/v1",
  "entry": "12",
  "previous": "{}",
  "transfer": "{}",
  "sequence": "3",
  "event": "claimed",
  "time": "2025-11-25T22:13:59.007Z",
  "by": "{}",
  "body": "{}"
}}
"#,
            "01".repeat(32),
            "09".repeat(16),
            Fingerprint::of_link_key(&LinkKey([7; 32])),
            "ab".repeat(32),
        );
        assert_eq!(entry.to_text(), expected);
        assert_eq!(LogEntry::parse(&expected), Ok(entry.clone()));
        assert_eq!(entry.leaf(), leaf_hash(expected.as_bytes()));
        let bare = LogEntry { previous: None, by: None, body: None, number: 0, sequence: 0, ..entry };
        assert_eq!(LogEntry::parse(&bare.to_text()), Ok(bare));
    }

    #[test] // [S16.3]
    fn other_texts_are_refused() {
        let good = LogEntry::of(12, None, TransferId([9; 16]), &event()).to_text();
        for (from, to) in [
            ("log-entry", "log-head"),
            ("\"12\"", "\"012\""),
            ("\"none\"", "\"\""),
            ("\"claimed\"", "\"Claimed\""),
            (".007Z", ".07Z"),
            (".007Z", "Z"),
            (".007Z", ".0070Z"),
            ("SHA256:", "sha256:"),
            ("\"by\"", "\"who\""),
        ] {
            let other = good.replacen(from, to, 1);
            assert_ne!(other, good);
            assert!(LogEntry::parse(&other).is_err(), "{from} {to}");
        }
    }

    #[test] // [S16.3]
    fn every_event_has_a_word_of_its_own() {
        let words: Vec<&str> = event_kinds().map(event_word).collect();
        assert!(words.len() >= 10);
        for (at, word) in words.iter().enumerate() {
            assert!(!words[..at].contains(word), "{word}");
            assert_eq!(EventKind::read(word).map(event_word), Some(*word));
        }
    }
}
