//! The file `log` of a transfer's folder, and the hash of the receipt as the relay has seen it.

use handover_shared::codec;
use handover_shared::ids::Digest;
use handover_shared::proof;
use handover_shared::proof::log::{History, LogFault, Subject, VerifiedHead, check_head};
use handover_shared::protocol::message::{Included, Signed};
use minicbor::{Decode, Encode};

use crate::error::Error;
use crate::home::transfers::{Folder, Held};
use crate::home::{checked, read_private, write_private};

const LOG: &str = "log";
const LOG_BYTES_MAX: u64 = 4 * 1024 * 1024;
const RECEIPT_HASH: &str = "receipt.hash";
/// Earlier heads kept; when there are more, those in the middle go.
const HEADS_MAX: usize = 32;

/// What is kept of a relay's log about one transfer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct KeptLog {
    /// The newest head.
    #[n(0)]
    pub head: Signed,
    /// Every entry about the transfer, with its way to the root of that head.
    #[n(1)]
    pub entries: Vec<Included>,
    /// The relay's statement that share and blocks are gone.
    #[n(2)]
    pub deletion: Option<Signed>,
    /// Why the operator took the transfer down.
    #[n(3)]
    pub reason: Option<String>,
    /// Heads before the newest, in order.
    #[n(4)]
    pub earlier: Vec<Signed>,
    /// What shows that the relay has shown two logs.
    #[n(5)]
    pub evidence: Option<Evidence>,
}

/// What shows that a relay has shown two logs: a head that was held, and another that does not extend it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Evidence {
    /// The head that was held; of another transfer's answer, it may be.
    #[n(0)]
    pub held: Signed,
    /// The head that was shown later.
    #[n(1)]
    pub shown: Signed,
    /// The entries that were shown under it.
    #[n(2)]
    pub entries: Vec<Included>,
    /// What was given as the proof that it extends the held one.
    #[n(3)]
    pub consistency: Vec<Digest>,
}

impl Evidence {
    /// The fault, as the evidence alone shows it.
    pub(super) fn fault(&self, subject: &Subject, kept: &KeptLog) -> Option<LogFault> {
        let heads = check_head(&subject.relay, &self.held).and_then(|held| {
            let shown = check_head(&subject.relay, &self.shown)?;
            Ok((held, shown))
        });
        let (held, shown) = match heads {
            Ok(heads) => heads,
            Err(fault) => return Some(fault),
        };
        let extended: Result<(), LogFault> = VerifiedHead::check_extended_by(&held, &shown, &self.consistency);
        if let Err(fault) = extended {
            return Some(fault);
        }
        let own = History::reopen(subject, &kept.head, &kept.entries);
        let theirs = History::reopen(subject, &self.shown, &self.entries);
        match (own, theirs) {
            (Ok(own), Ok(theirs)) => own.compare(&theirs).err().or(Some(LogFault::Contradicts("entries"))),
            (Err(fault), _) | (_, Err(fault)) => Some(fault),
        }
    }
}

impl KeptLog {
    /// Reads what is kept; nothing if nothing is.
    ///
    /// # Errors
    /// [`Error::Disk`]; [`Error::State`] when the file is damaged.
    pub(crate) fn read(folder: &Folder) -> Result<Option<Self>, Error> {
        let path = folder.file(LOG);
        let Some(bytes) = read_private(&path, LOG_BYTES_MAX)? else { return Ok(None) };
        let damaged = |source| Error::State { what: "the kept log is damaged", path, source };
        match checked::body(&bytes).map(codec::decode) {
            Some(Ok(kept)) => Ok(Some(kept)),
            Some(Err(fault)) => Err(damaged(Some(fault.into()))),
            None => Err(damaged(None)),
        }
    }

    /// Keeps it.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(super) fn write(&self, held: &Held) -> Result<(), Error> {
        write_private(&held.file(LOG), &checked::file(&codec::encode(self)))
    }

    /// The same with a newer head; what was the newest becomes an earlier one.
    pub(super) fn followed_by(self, next: Self) -> Self {
        let mut earlier = self.earlier;
        if self.head.text != next.head.text {
            earlier.push(self.head);
        }
        if earlier.len() > HEADS_MAX {
            earlier.remove(HEADS_MAX / 2);
        }
        Self { earlier, evidence: self.evidence, deletion: next.deletion.or(self.deletion), ..next }
    }
}

/// Keeps the hash of the receipt as the relay has seen it.
///
/// # Errors
/// [`Error::Disk`].
pub(crate) fn keep_receipt_digest(held: &Held, sealed: &[u8]) -> Result<(), Error> {
    write_private(&held.file(RECEIPT_HASH), &checked::file(&proof::digest(sealed).0))
}

/// That hash again.
///
/// # Errors
/// [`Error::Disk`]; [`Error::State`] when the file is damaged.
pub(super) fn receipt_digest(folder: &Folder) -> Result<Option<Digest>, Error> {
    let path = folder.file(RECEIPT_HASH);
    let Some(bytes) = read_private(&path, 64)? else { return Ok(None) };
    let digest = checked::body(&bytes).and_then(Digest::from_slice);
    digest.map(Some).ok_or(Error::State { what: "the kept log is damaged", path, source: None })
}
