//! What the relay signs with its own key: heads of its log, and that a transfer's data is gone.
//!
//! # Source
//! SPEC [S16.4] [S16.5].

use crate::ids::{Digest, TransferId};
use crate::proof::identity::Fingerprint;
use crate::proof::line::{Field, Reader, StatementFault, Writer};
use crate::proof::statement::{Kind, statement};
use crate::proof::time::Stamp;
use crate::protocol::message::Phase;

statement! {
    /// What the relay's log is: so many entries, with this root.
    ///
    /// # Source
    /// SPEC [S16.4].
    LogHeadText, Kind::LogHead, {
        /// Whose log it is; signs this.
        relay_key: Fingerprint = "relay-key",
        /// How many entries there are.
        size: u64 = "size",
        /// The root over all of them.
        root: Digest = "root",
        /// The id of the head signed before this one.
        previous: Option<Digest> = "previous",
        /// When it was signed, by the relay's clock.
        time: Stamp = "time",
    }
}

statement! {
    /// That a transfer's share was erased and its blocks were deleted.
    ///
    /// # Source
    /// SPEC [S16.5].
    DeletionText, Kind::Deletion, {
        /// Which transfer.
        transfer: TransferId = "transfer",
        /// Blocks that were deleted.
        blocks: u64 = "blocks",
        /// Their sealed bytes.
        bytes: u64 = "bytes",
        /// What ended the transfer.
        reason: EndReason = "reason",
        /// When the relay share was erased.
        share_erased: Stamp = "share-erased",
        /// When the blocks were deleted.
        blocks_deleted: Stamp = "blocks-deleted",
        /// How.
        method: Method = "method",
        /// Who says so; signs this.
        relay_key: Fingerprint = "relay-key",
        /// The leaf hash of the log's entry about it.
        log_entry: Digest = "log-entry",
    }
}

/// What ended a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The buyer's receipt arrived.
    Receipt,
    /// The seller revoked it.
    Revocation,
    /// Its time was over.
    Expiry,
    /// The buyer refused the agreement.
    Refusal,
    /// The relay's operator took it down.
    TakenDown,
}

impl EndReason {
    /// Why a transfer in this phase ended; nothing for one that has not.
    pub fn of_phase(phase: Phase) -> Option<Self> {
        match phase {
            Phase::Open | Phase::Complete => None,
            Phase::Receipted => Some(Self::Receipt),
            Phase::Revoked => Some(Self::Revocation),
            Phase::Expired => Some(Self::Expiry),
            Phase::Refused => Some(Self::Refusal),
            Phase::TakenDown => Some(Self::TakenDown),
        }
    }

    /// Its word in the statement.
    pub fn word(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Revocation => "revocation",
            Self::Expiry => "expiry",
            Self::Refusal => "refusal",
            Self::TakenDown => "taken-down",
        }
    }
}

/// How share and blocks were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// The file of the share was overwritten with zeros, synced and removed; then the files of the blocks were removed.
    Files,
}

impl Field for EndReason {
    fn write(&self) -> String {
        self.word().to_owned()
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Receipt, Self::Revocation, Self::Expiry, Self::Refusal, Self::TakenDown]
            .into_iter()
            .find(|reason| reason.word() == text)
    }
}

impl Field for Method {
    fn write(&self) -> String {
        "share file overwritten and removed; block files removed".to_owned()
    }

    fn read(text: &str) -> Option<Self> {
        (text == Self::Files.write()).then_some(Self::Files)
    }
}
