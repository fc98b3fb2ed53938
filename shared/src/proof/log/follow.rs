//! Checking what a relay shows of its log: signed heads, that each extends the one before, and a transfer's entries.
//!
//! Whoever holds a [`VerifiedHead`] and a [`History`] asks again, gives every page of the answer to a [`Followed`], and
//! gets the next [`History`] or the reason why the relay has rewritten its log.
//!
//! # Source
//! SPEC [S16.6] [S16.7].

use crate::ids::{Digest, TransferId};
use crate::proof::fault::ProofFault;
use crate::proof::identity::Fingerprint;
use crate::proof::line::StatementFault;
use crate::proof::signature::verify;
use crate::proof::statement::Kind;
use crate::proof::text_id;
use crate::protocol::message::{EventKind, Included, Logged, Signed};

use super::entry::LogEntry;
use super::statements::{DeletionText, EndReason, LogHeadText};
use super::tree;

/// Whose log it is, and which transfer's entries are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The relay.
    pub relay: Fingerprint,
    /// The transfer.
    pub transfer: TransferId,
}

/// Why what a relay shows of its log does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFault {
    /// A statement or its signature does not hold.
    #[error(transparent)]
    Proof(#[from] ProofFault),
    /// The log is shorter than it was.
    #[error("the log had {held} entries and has {seen}")]
    Shorter {
        /// The size of the head that is held.
        held: u64,
        /// The size shown.
        seen: u64,
    },
    /// Two heads of one size say different things.
    #[error("there are two different logs of {size} entries")]
    Forked {
        /// The size of both.
        size: u64,
    },
    /// Nothing shows that the log has the held one as its beginning.
    #[error("the log of {seen} entries does not begin with the one of {held} entries")]
    NotExtending {
        /// The size of the head that is held.
        held: u64,
        /// The size shown.
        seen: u64,
    },
    /// A head is older than the one before it.
    #[error("the log's head is older than the one before it")]
    Older,
    /// A page is under another head than the first one.
    #[error("an answer under two heads")]
    TwoHeads,
    /// An entry is not in the log whose head is shown.
    #[error("entry {sequence} of the transfer is not in the log")]
    NotIncluded {
        /// Its place in the history of the transfer.
        sequence: u64,
    },
    /// Entries that cannot follow one another.
    #[error("entry {sequence} of the transfer does not follow the one before it")]
    Order {
        /// The place of the later one in the history of the transfer.
        sequence: u64,
    },
    /// An entry says something else than it did.
    #[error("entry {sequence} of the transfer says something else than before")]
    Rewritten {
        /// Its place in the history of the transfer.
        sequence: u64,
    },
    /// An entry that was there is not shown any more, or was shown to somebody else only.
    #[error("entry {sequence} of the transfer is missing")]
    Missing {
        /// Its place in the history of the transfer.
        sequence: u64,
    },
    /// An entry says something else than what the relay has told in another way; named by the event.
    #[error("the log's entry {0} contradicts what was told")]
    Contradicts(&'static str),
    /// The statement about the deletion does not fit the log; named by its line.
    #[error("the deletion's line {0} does not fit the log")]
    Deletion(&'static str),
}

impl LogFault {
    /// Whether the relay has shown two logs that cannot both be true.
    pub fn is_fork(&self) -> bool {
        matches!(
            self,
            Self::Shorter { .. }
                | Self::Forked { .. }
                | Self::NotExtending { .. }
                | Self::Older
                | Self::Rewritten { .. }
                | Self::Missing { .. }
                | Self::Contradicts(_)
        )
    }
}

impl From<StatementFault> for LogFault {
    fn from(fault: StatementFault) -> Self {
        Self::Proof(fault.into())
    }
}

/// A head that the relay has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedHead {
    text: LogHeadText,
    id: Digest,
}

impl VerifiedHead {
    /// What it says.
    pub fn text(&self) -> &LogHeadText {
        &self.text
    }

    /// The hash of its text.
    pub fn id(&self) -> Digest {
        self.id
    }

    /// Checks that a later head is of a log that begins with this one's. [S16.6]
    ///
    /// # Errors
    /// [`LogFault`]; see [`LogFault::is_fork`].
    pub fn check_extended_by(&self, later: &VerifiedHead, proof: &[Digest]) -> Result<(), LogFault> {
        let (held, seen) = (self.text.size, later.text.size);
        if seen < held {
            return Err(LogFault::Shorter { held, seen });
        }
        if seen == held && self.text.root != later.text.root {
            return Err(LogFault::Forked { size: held });
        }
        if !tree::is_consistent((held, self.text.root), (seen, later.text.root), proof) {
            return Err(LogFault::NotExtending { held, seen });
        }
        if later.text.time < self.text.time {
            return Err(LogFault::Older);
        }
        Ok(())
    }

    /// Checks that an entry of a transfer is in the log.
    fn check_entry(&self, transfer: TransferId, sequence: u64, shown: &Included) -> Result<LogEntry, LogFault> {
        let entry = LogEntry::parse(&shown.text)?;
        if entry.transfer != transfer {
            return Err(ProofFault::Mismatch("transfer").into());
        }
        if entry.sequence != sequence {
            return Err(LogFault::Order { sequence });
        }
        let leaf = tree::leaf_hash(shown.text.as_bytes());
        match tree::root_of_inclusion(leaf, entry.number, self.text.size, &shown.path) {
            Some(root) if root == self.text.root => Ok(entry),
            _ => Err(LogFault::NotIncluded { sequence }),
        }
    }
}

/// Checks a head: its form, its signature, and whose it is.
///
/// # Errors
/// [`LogFault::Proof`].
pub fn check_head(relay: &Fingerprint, head: &Signed) -> Result<VerifiedHead, LogFault> {
    let text = LogHeadText::parse(&head.text)?;
    if text.relay_key != *relay {
        return Err(ProofFault::Mismatch("relay-key").into());
    }
    check_signer(relay, Kind::LogHead, head)?;
    Ok(VerifiedHead { text, id: text_id(&head.text) })
}

/// All entries of one transfer that a head covers, as far as the relay has shown them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    head: VerifiedHead,
    entries: Vec<LogEntry>,
}

impl History {
    /// Checks what was kept: the head, and every entry under it.
    ///
    /// # Errors
    /// [`LogFault`].
    pub fn reopen(subject: &Subject, head: &Signed, entries: &[Included]) -> Result<Self, LogFault> {
        let head = check_head(&subject.relay, head)?;
        let mut followed = Followed { subject: *subject, head, entries: Vec::new(), in_all: entries.len() as u64 };
        followed.take(entries)?;
        Ok(Self { head: followed.head, entries: followed.entries })
    }

    /// The head that covers them.
    pub fn head(&self) -> &VerifiedHead {
        &self.head
    }

    /// The entries, in order.
    pub fn entries(&self) -> &[LogEntry] {
        &self.entries
    }

    /// The first entry of a kind.
    pub fn entry(&self, event: EventKind) -> Option<&LogEntry> {
        self.entries.iter().find(|entry| entry.event == event)
    }

    /// Compares with what the other side was shown, or with what was shown at another time. [S16.7]
    ///
    /// # Errors
    /// [`LogFault`], when one relay has shown two logs.
    pub fn compare(&self, other: &History) -> Result<(), LogFault> {
        let (own, theirs) = (&self.head.text, &other.head.text);
        if own.size == theirs.size && own.root != theirs.root {
            return Err(LogFault::Forked { size: own.size });
        }
        for (one, another) in self.entries.iter().zip(&other.entries) {
            if one != another {
                return Err(LogFault::Rewritten { sequence: one.sequence });
            }
        }
        let shown_to_one = [(self, other), (other, self)].into_iter().find_map(|(longer, shorter)| {
            let first = longer.entries.get(shorter.entries.len())?;
            (first.number < shorter.head.text.size).then_some(first.sequence)
        });
        shown_to_one.map_or(Ok(()), |sequence| Err(LogFault::Missing { sequence }))
    }
}

/// An answer of the relay while it is read, page by page.
#[derive(Clone, Debug)]
pub struct Followed {
    subject: Subject,
    head: VerifiedHead,
    entries: Vec<LogEntry>,
    in_all: u64,
}

impl Followed {
    /// Checks the first page, against the head of this relay's log that is held.
    ///
    /// # Errors
    /// [`LogFault`].
    pub fn begin(subject: &Subject, held: Option<&VerifiedHead>, page: &Logged) -> Result<Self, LogFault> {
        let head = check_head(&subject.relay, &page.head)?;
        if let Some(held) = held {
            held.check_extended_by(&head, &page.consistency)?;
        }
        let mut followed = Self { subject: *subject, head, entries: Vec::new(), in_all: page.entries_in_all };
        followed.take(&page.entries)?;
        Ok(followed)
    }

    /// Checks a later page, which must be under the same head.
    ///
    /// # Errors
    /// [`LogFault`].
    pub fn add(&mut self, page: &Logged) -> Result<(), LogFault> {
        if text_id(&page.head.text) != self.head.id || page.entries_in_all != self.in_all || page.entries.is_empty() {
            return Err(LogFault::TwoHeads);
        }
        self.take(&page.entries)
    }

    /// The size of the head, and the sequence from which on entries are missing; nothing once all are here.
    pub fn wants(&self) -> Option<(u64, u64)> {
        let here = self.entries.len() as u64;
        (here < self.in_all).then_some((self.head.text.size, here))
    }

    /// Compares with the entries that were shown before: all of them must still be there as they were.
    ///
    /// # Errors
    /// [`LogFault::Rewritten`], [`LogFault::Missing`].
    pub fn finish(self, before: &[LogEntry]) -> Result<History, LogFault> {
        for (at, old) in before.iter().enumerate() {
            match self.entries.get(at) {
                None => return Err(LogFault::Missing { sequence: old.sequence }),
                Some(new) if new != old => return Err(LogFault::Rewritten { sequence: old.sequence }),
                Some(_) => {}
            }
        }
        Ok(History { head: self.head, entries: self.entries })
    }

    fn take(&mut self, entries: &[Included]) -> Result<(), LogFault> {
        for shown in entries {
            let sequence = self.entries.len() as u64;
            let entry = self.head.check_entry(self.subject.transfer, sequence, shown)?;
            let follows = match self.entries.last() {
                None => entry.event == EventKind::Created,
                Some(before) => {
                    let is_next = entry.number == before.number + 1;
                    before.number < entry.number
                        && before.time <= entry.time
                        && (!is_next || entry.previous == Some(before.leaf()))
                }
            };
            if !follows || (entry.number == 0) != entry.previous.is_none() {
                return Err(LogFault::Order { sequence });
            }
            self.entries.push(entry);
        }
        Ok(())
    }
}

/// Checks the relay's statement that share and blocks are gone, against the log. [S16.5]
///
/// # Errors
/// [`LogFault`].
pub fn check_deletion(subject: &Subject, history: &History, deletion: &Signed) -> Result<DeletionText, LogFault> {
    let text = DeletionText::parse(&deletion.text)?;
    let entry = history.entry(EventKind::Deleted).ok_or(LogFault::Deletion("log-entry"))?;
    let reason = history.entries.iter().find_map(|entry| end_of(entry.event));
    let ended = history.entries.iter().find(|entry| end_of(entry.event).is_some()).map(|entry| entry.time.into());
    let lines = [
        ("transfer", text.transfer == subject.transfer),
        ("relay-key", text.relay_key == subject.relay),
        ("log-entry", text.log_entry == entry.leaf()),
        ("blocks-deleted", text.blocks_deleted == entry.time.into()),
        ("share-erased", ended.is_some_and(|ended| (ended..=text.blocks_deleted).contains(&text.share_erased))),
        ("reason", reason == Some(text.reason)),
    ];
    if let Some((line, _)) = lines.into_iter().find(|(_, fits)| !fits) {
        return Err(LogFault::Deletion(line));
    }
    check_signer(&subject.relay, Kind::Deletion, deletion)?;
    Ok(text)
}

/// Which end of a transfer an event is.
fn end_of(event: EventKind) -> Option<EndReason> {
    match event {
        EventKind::Receipted => Some(EndReason::Receipt),
        EventKind::Revoked => Some(EndReason::Revocation),
        EventKind::Expired => Some(EndReason::Expiry),
        EventKind::RefusedByBuyer => Some(EndReason::Refusal),
        EventKind::TakenDown => Some(EndReason::TakenDown),
        _ => None,
    }
}

fn check_signer(relay: &Fingerprint, kind: Kind, signed: &Signed) -> Result<(), LogFault> {
    let signer = verify(kind, &signed.text, &signed.signature)?;
    if Fingerprint::of(&signer) == *relay { Ok(()) } else { Err(ProofFault::OtherSigner.into()) }
}
