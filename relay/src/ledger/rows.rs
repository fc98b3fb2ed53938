//! The seam between the domain operations and a database: rows in, rows out, no rule of the domain.

use handover_shared::ids::{BlockCount, BlockIndex, Digest, LinkKey, Locator, Millis, TransferId};
use handover_shared::protocol::message::{Event, EventKind, Signed};
use handover_shared::protocol::papers::PaperKind;
use handover_shared::protocol::relay::Transfer;

use super::LedgerError;

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Looks only.
    Read,
    /// Takes the write lock at once.
    Write,
}

/// The part of a transfer that is only read when somebody may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// For whoever has the code.
    pub sealed_offer: Vec<u8>,
    /// For whoever has the code and the relay share.
    pub envelope: Vec<u8>,
}

/// A run of consecutive durable blocks in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its first block.
    pub first: BlockIndex,
    /// How many it holds, at least one.
    pub count: BlockCount,
    /// What the store knows it by.
    pub name: String,
}

impl Segment {
    /// The block just behind it.
    pub fn end(&self) -> BlockIndex {
        BlockIndex(self.first.0.saturating_add(self.count.0))
    }
}

/// Where the sealed bytes of a paper are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaperPlace {
    /// In the ledger.
    Here(Vec<u8>),
    /// Beside the segments, under this name; gone with them.
    Stored(String),
}

/// Somebody who may create transfers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seller {
    /// The link key that was enrolled.
    pub key: LinkKey,
    /// When.
    pub enrolled: Millis,
    /// By which invite.
    pub invite: i64,
    /// When the operator revoked it.
    pub revoked: Option<Millis>,
}

/// What enrols sellers; only the hash of its secret is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteRow {
    /// For the operator.
    pub id: i64,
    /// The hash of the secret.
    pub digest: Digest,
    /// When it was made.
    pub created: Millis,
    /// How many more may use it; unlimited if absent.
    pub uses_left: Option<u64>,
    /// When the operator revoked it.
    pub revoked: Option<Millis>,
}

/// What one seller's live transfers take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Sealed bytes: in full until a transfer is complete, then what is there.
    pub bytes: u64,
    /// Transfers whose blocks are not deleted.
    pub transfers: u64,
}

/// One event of a transfer, and its place in the log of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// Its place in the log, from 0.
    pub number: u64,
    /// Which transfer.
    pub transfer: TransferId,
    /// What happened.
    pub event: Event,
    /// Its leaf in the tree, by which all of the log up to here is fixed.
    pub leaf: Digest,
}

/// Looks rows up.
pub trait Read {
    /// The greatest time stored.
    ///
    /// # Errors
    /// What the database says; so for every method of this trait.
    fn time(&self) -> Result<Millis, LedgerError>;
    /// A transfer or its tombstone.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn transfer(&self, id: TransferId) -> Result<Option<Transfer>, LedgerError>;
    /// Every transfer, newest first, at most so many.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn transfers(&self, limit: usize) -> Result<Vec<Transfer>, LedgerError>;
    /// Which transfer a locator leads to.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn find(&self, locator: Locator) -> Result<Option<TransferId>, LedgerError>;
    /// What the buyer is shown, while the transfer is live.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn offer(&self, id: TransferId) -> Result<Option<Offer>, LedgerError>;
    /// Segments from the one that holds a block on, in order, at most so many.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn segments(&self, id: TransferId, from: BlockIndex, limit: usize) -> Result<Vec<Segment>, LedgerError>;
    /// Where a paper of a transfer is.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn paper(&self, id: TransferId, kind: PaperKind) -> Result<Option<PaperPlace>, LedgerError>;
    /// Transfers that are over by that time and not yet cleaned up, at most so many.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn unsettled(&self, now: Millis, limit: usize) -> Result<Vec<TransferId>, LedgerError>;
    /// Sealed bytes reserved by all transfers together.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn reserved_bytes(&self) -> Result<u64, LedgerError>;
    /// What one seller's live transfers reserve, and how many they are.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn reserved_by(&self, seller: LinkKey) -> Result<Reserved, LedgerError>;
    /// Somebody who is or was enrolled.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn seller(&self, key: LinkKey) -> Result<Option<Seller>, LedgerError>;
    /// Everybody who is or was enrolled, in the order of enrolment.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn sellers(&self) -> Result<Vec<Seller>, LedgerError>;
    /// The invite of a secret's hash.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn invite(&self, digest: Digest) -> Result<Option<InviteRow>, LedgerError>;
    /// All invites in the order of their making.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn invites(&self) -> Result<Vec<InviteRow>, LedgerError>;
    /// The last entry of the log: its number and its leaf.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn log_last(&self) -> Result<Option<(u64, Digest)>, LedgerError>;
    /// The leaf of an entry.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn log_leaf(&self, number: u64) -> Result<Option<Digest>, LedgerError>;
    /// Entries from a number on, at most so many.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn log_rows(&self, from: u64, limit: u64) -> Result<Vec<LogRow>, LedgerError>;
    /// Entries of a transfer from a sequence on whose number is below a bound, at most so many.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn log_of(&self, id: TransferId, from: u64, below: u64, limit: usize) -> Result<Vec<LogRow>, LedgerError>;
    /// How many entries a transfer has whose number is below a bound.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn log_count(&self, id: TransferId, below: u64) -> Result<u64, LedgerError>;
    /// The first entry of a transfer of a kind.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn log_find(&self, id: TransferId, kind: EventKind) -> Result<Option<LogRow>, LedgerError>;
    /// A node above the leaves of the log's tree.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn log_node(&self, level: u32, place: u64) -> Result<Option<Digest>, LedgerError>;
    /// The signed head of a size, or the newest, with its size.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn head(&self, size: Option<u64>) -> Result<Option<(u64, Signed)>, LedgerError>;
    /// Signed heads of more entries than so many, in order, at most so many.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn heads(&self, above: u64, limit: u64) -> Result<Vec<(u64, Signed)>, LedgerError>;
    /// How many nodes of the log's tree, and how many transfers, there are.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn log_counts(&self) -> Result<(u64, u64), LedgerError>;
    /// Transfers that were taken down and whose blocks are still there, at most so many.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn taken_down(&self, limit: usize) -> Result<Vec<TransferId>, LedgerError>;
    /// Why the operator took a transfer down.
    ///
    /// # Errors
    /// See [`Self::time`].
    fn takedown(&self, id: TransferId) -> Result<Option<String>, LedgerError>;
}

/// Changes rows; every method fails only as the database does.
pub trait Write: Read {
    /// Stores the greatest time seen.
    ///
    /// # Errors
    /// What the database says; so for every method of this trait.
    fn set_time(&mut self, now: Millis) -> Result<(), LedgerError>;
    /// Stores a new transfer, and its events in the log.
    ///
    /// # Errors
    /// See [`Self::set_time`].
    fn insert(&mut self, transfer: &Transfer, offer: &Offer) -> Result<(), LedgerError>;
    /// Stores what changed of a transfer, and its new events in the log; its offer goes when it becomes final [S13.7].
    ///
    /// # Errors
    /// See [`Self::set_time`].
    fn update(&mut self, before: &Transfer, after: &Transfer) -> Result<(), LedgerError>;
    /// Stores where blocks are.
    ///
    /// # Errors
    /// See [`Self::set_time`].
    fn add_segment(&mut self, id: TransferId, segment: &Segment) -> Result<(), LedgerError>;
    /// Stores where a paper is that a transfer has by [`Self::update`].
    ///
    /// # Errors
    /// See [`Self::set_time`].
    fn add_paper(&mut self, id: TransferId, kind: PaperKind, place: &PaperPlace) -> Result<(), LedgerError>;
    /// Forgets where the blocks were, and the papers beside them.
    ///
    /// # Errors
    /// See [`Self::set_time`].
    fn remove_segments(&mut self, id: TransferId) -> Result<(), LedgerError>;
    /// Stores or replaces somebody who may create.
    ///
    /// # Errors
    /// See [`Self::set_time`].
    fn put_seller(&mut self, seller: &Seller) -> Result<(), LedgerError>;
    /// Stores a new invite, whose number is given back.
    ///
    /// # Errors
    /// See [`Self::set_time`].
    fn add_invite(&mut self, digest: Digest, created: Millis, uses: Option<u64>) -> Result<i64, LedgerError>;
    /// Replaces an invite.
    ///
    /// # Errors
    /// See [`Self::set_time`].
    fn put_invite(&mut self, invite: &InviteRow) -> Result<(), LedgerError>;
    /// Stores the next entry of the log.
    ///
    /// # Errors
    /// See [`Self::set_time`].
    fn add_log_row(&mut self, row: &LogRow) -> Result<(), LedgerError>;
    /// Stores a node above the leaves of the log's tree.
    ///
    /// # Errors
    /// See [`Self::set_time`].
    fn add_log_node(&mut self, level: u32, place: u64, hash: Digest) -> Result<(), LedgerError>;
    /// Stores a signed head of so many entries.
    ///
    /// # Errors
    /// See [`Self::set_time`].
    fn add_head(&mut self, size: u64, head: &Signed) -> Result<(), LedgerError>;
    /// Stores why the operator took a transfer down.
    ///
    /// # Errors
    /// See [`Self::set_time`].
    fn put_takedown(&mut self, id: TransferId, reason: &str) -> Result<(), LedgerError>;
}

/// A database connection: rows and transactions.
pub trait Backend: Write + Send + 'static {
    /// Begins a transaction.
    ///
    /// # Errors
    /// What the database says; so for every method of this trait.
    fn begin(&mut self, access: Access) -> Result<(), LedgerError>;
    /// Marks a place to which [`Self::undo`] goes back.
    ///
    /// # Errors
    /// See [`Self::begin`].
    fn savepoint(&mut self) -> Result<(), LedgerError>;
    /// Forgets the place.
    ///
    /// # Errors
    /// See [`Self::begin`].
    fn keep(&mut self) -> Result<(), LedgerError>;
    /// Goes back to the place.
    ///
    /// # Errors
    /// See [`Self::begin`].
    fn undo(&mut self) -> Result<(), LedgerError>;
    /// Makes everything durable.
    ///
    /// # Errors
    /// See [`Self::begin`].
    fn commit(&mut self) -> Result<(), LedgerError>;
    /// Gives everything up.
    ///
    /// # Errors
    /// See [`Self::begin`].
    fn rollback(&mut self) -> Result<(), LedgerError>;
    /// Makes what was deleted unreadable in whatever the database keeps beside its rows; not within a transaction.
    ///
    /// # Errors
    /// See [`Self::begin`].
    fn tidy(&mut self) -> Result<(), LedgerError>;
    /// Rows changed since it was opened.
    fn changes(&self) -> u64;
}
