//! What the relay's log says of a transfer: asked for by itself whenever the relay is met, checked, kept, shown, exported.
//!
//! [`of`] is everything that is kept, checked once more; [`exported::read`] the same of a folder that somebody exported.
//!
//! # Source
//! SPEC \[S16.6\] \[S16.7\].

mod ask;
pub mod exported;
mod keep;

use handover_shared::ids::{Digest, Millis};
use handover_shared::proof::log::{History, LogFault, Subject, VerifiedHead, check_deletion, check_head};
use handover_shared::proof::{ClaimText, DeletionText, Fingerprint, LogEntry, LogHeadText, text_id};
use handover_shared::protocol::message::{EventKind, Signed};

use crate::error::Error;
use crate::home::Home;
use crate::home::transfers::{Folder, Role};
use crate::private::Private;
use crate::pull::kept::{Kept as Statement, read_statement};

pub(crate) use ask::{Patience, gather, is_settled, settle};
pub(crate) use keep::keep_receipt_digest;
pub use keep::{Evidence, KeptLog};

/// What is kept of a relay's log about one transfer, with what checking it gave.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Which transfer, hex.
    pub transfer: String,
    /// Whose log it is: `SHA256:…` of the relay's key.
    pub relay: String,
    /// The newest head that was signed for this machine.
    pub head: LogHeadText,
    /// The head and the signature, as they were signed.
    pub signed_head: Signed,
    /// Every entry about the transfer, in order.
    pub entries: Vec<LogEntry>,
    /// The relay's statement that share and blocks are gone.
    pub deletion: Option<DeletionText>,
    /// That statement as it was signed.
    pub signed_deletion: Option<Signed>,
    /// Why the relay's operator took it down.
    pub reason: Option<Private<String>>,
    /// What checking all of it gave.
    pub check: Check,
    history: Option<History>,
    heads: Vec<VerifiedHead>,
}

/// What checking a log gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Every signature, every entry and every way to the root holds.
    Holds,
    /// The relay has shown another log that contradicts this one; both signed heads are kept.
    Forked(LogFault),
    /// What is kept does not hold together.
    Broken(LogFault),
}

impl Audit {
    /// Compares with what the other side, or this one at another time, was shown of the same log. [S16.7]
    ///
    /// # Errors
    /// [`LogFault`]: why one relay has shown two logs.
    pub fn compare(&self, other: &Audit) -> Result<(), LogFault> {
        let fits = self.relay == other.relay && self.transfer == other.transfer;
        let (Some(own), Some(theirs), true) = (&self.history, &other.history, fits) else {
            return Err(LogFault::Contradicts("transfer"));
        };
        for one in &self.heads {
            for another in other.heads.iter().filter(|another| another.text().size == one.text().size) {
                if one.text().root != another.text().root {
                    return Err(LogFault::Forked { size: one.text().size });
                }
            }
        }
        own.compare(theirs)
    }
}

/// What is kept of the log about a transfer of this machine, checked again; nothing if the relay has shown none yet.
///
/// # Errors
/// [`Error::NoSuchTransfer`]; [`Error::Disk`], [`Error::State`].
pub fn of(home: &Home, id: u64) -> Result<Option<Audit>, Error> {
    let folder = home.transfer(id)?;
    let facts = folder.facts()?;
    let subject = Subject { relay: Fingerprint::of_link_key(&facts.relay_key()?), transfer: facts.transfer_id()? };
    let Some(kept) = KeptLog::read(&folder)? else { return Ok(None) };
    let told = Told::of(&folder)?;
    checked(&subject, kept, Some(&told)).map(Some)
}

/// What of the log has been told in another way, and has to fit it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The hash of the claim as the relay has kept it. The buyer may have made its claim again since: only the seller
    /// has seen the one that counts.
    claim: Option<Digest>,
    /// Whose link key has claimed.
    claimant: Option<Fingerprint>,
    receipt: Option<Digest>,
}

impl Told {
    pub(crate) fn of(folder: &Folder) -> Result<Self, Error> {
        let facts = folder.facts()?;
        let claim = match facts.claimed_ms {
            Some(_) => read_statement(folder, Statement::Claim)?.map(|(text, _)| text),
            None => None,
        };
        let parsed = claim.as_deref().and_then(|text| ClaimText::parse(text).ok());
        Ok(Self {
            claim: claim.filter(|_| facts.role == Role::Seller).map(|text| text_id(&text)),
            claimant: parsed.map(|text| Fingerprint::of_link_key(&text.link_key)),
            receipt: keep::receipt_digest(folder)?,
        })
    }

    /// Whether the entries say the same.
    pub(crate) fn check(&self, history: &History) -> Result<(), LogFault> {
        let fits = |event: EventKind, told: Option<Digest>| {
            told.is_none() || history.entry(event).is_some_and(|entry| entry.body == told)
        };
        if !fits(EventKind::Claimed, self.claim) {
            return Err(LogFault::Contradicts("claimed"));
        }
        let by = history.entry(EventKind::Claimed).map(|entry| entry.by);
        if self.claimant.is_some() && by != Some(self.claimant) {
            return Err(LogFault::Contradicts("claimed"));
        }
        if !fits(EventKind::Receipted, self.receipt) {
            return Err(LogFault::Contradicts("receipted"));
        }
        Ok(())
    }
}

/// Checks everything that is kept.
fn checked(subject: &Subject, kept: KeptLog, told: Option<&Told>) -> Result<Audit, Error> {
    let head = LogHeadText::parse(&kept.head.text).map_err(|fault| Error::Log { fault: fault.into() })?;
    let mut check = Check::Holds;
    let mut broken = |fault: LogFault| {
        if check == Check::Holds {
            check = Check::Broken(fault);
        }
    };
    let history = match History::reopen(subject, &kept.head, &kept.entries) {
        Ok(history) => Some(history),
        Err(fault) => {
            broken(fault);
            None
        }
    };
    let mut heads = Vec::new();
    for signed in kept.earlier.iter().chain([&kept.head]) {
        match check_head(&subject.relay, signed) {
            Ok(head) => heads.push(head),
            Err(fault) => broken(fault),
        }
    }
    let mut deletion = None;
    if let (Some(history), Some(signed)) = (&history, &kept.deletion) {
        match check_deletion(subject, history, signed) {
            Ok(text) => deletion = Some(text),
            Err(fault) => broken(fault),
        }
    }
    if let (Some(history), Some(told)) = (&history, told)
        && let Err(fault) = told.check(history)
    {
        broken(fault);
    }
    if let Some(fault) = kept.evidence.as_ref().and_then(|evidence| evidence.fault(subject, &kept)) {
        check = Check::Forked(fault);
    }
    Ok(Audit {
        transfer: subject.transfer.to_hex(),
        relay: subject.relay.to_string(),
        head,
        signed_head: kept.head,
        entries: history.as_ref().map(|history| history.entries().to_vec()).unwrap_or_default(),
        deletion,
        signed_deletion: kept.deletion,
        reason: kept.reason.map(Private::new),
        check,
        history,
        heads,
    })
}

/// What a person is told when the relay has signed for a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletionFacts {
    /// The number of the transfer on this machine.
    pub id: u64,
    /// `SHA256:…` of the relay's key, which signed it.
    pub relay: String,
    /// Blocks that were deleted.
    pub blocks: u64,
    /// Their sealed bytes.
    pub bytes: u64,
    /// What ended the transfer.
    pub reason: &'static str,
    /// When the relay share was erased.
    pub share_erased: Millis,
    /// When the blocks were deleted.
    pub blocks_deleted: Millis,
    /// Entries of the log about the transfer, all checked.
    pub entries: u64,
}

/// A log as a screen or a program may be shown it.
#[cfg(test)]
pub(crate) fn sample() -> Audit {
    use handover_shared::ids::{LinkKey, TransferId};
    use handover_shared::protocol::message::Event;
    let relay = Fingerprint::of_link_key(&LinkKey([7; 32]));
    let event = Event {
        sequence: 0,
        time: Millis(1_796_580_120_000),
        kind: EventKind::Created,
        by: Some(LinkKey([8; 32])),
        body: Some(Digest([9; 32])),
    };
    let signed = Signed { text: String::new(), signature: String::new() };
    Audit {
        transfer: TransferId([1; 16]).to_hex(),
        relay: relay.to_string(),
        head: LogHeadText { relay_key: relay, size: 1, root: Digest([2; 32]), previous: None, time: event.time.into() },
        signed_head: signed,
        entries: vec![LogEntry::of(0, None, TransferId([1; 16]), &event)],
        deletion: None,
        signed_deletion: None,
        reason: Some(Private::new("because".into())),
        check: Check::Holds,
        history: None,
        heads: Vec::new(),
    }
}
