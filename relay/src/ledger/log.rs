//! The log over all transfers: every event is a row of it, chained to the row before and a leaf of the Merkle tree, in
//! the very transaction that the event belongs to. Nothing here grows with the log but by its logarithm.
//!
//! # Source
//! SPEC section S16.

use handover_shared::fault::Fault;
use handover_shared::ids::{Digest, LinkKey, Millis};
use handover_shared::limits;
use handover_shared::proof::log::tree::{self, Nodes};
use handover_shared::proof::log::{DeletionText, EndReason, LogEntry, LogHeadText, Method};
use handover_shared::proof::{Fingerprint, Identity, Kind, sign, text_id};
use handover_shared::protocol::message::{EventKind, Included, Log, Logged, Signed};
use handover_shared::protocol::relay::Transfer;
use handover_shared::tls::LinkSecret;

use super::operations::load;
use super::rows::{LogRow, Read, Write};
use super::{Answer, LedgerError};

/// Rows looked at again when a ledger is opened, and read at a time by whoever looks at all of them.
pub const PAGE: u64 = 1000;

/// The relay's key, as that of whoever signs statements.
pub struct Signer {
    identity: Identity,
    fingerprint: Fingerprint,
}

impl Signer {
    /// With the relay's key.
    pub fn new(key: &LinkSecret) -> Self {
        Self { identity: Identity::of_seed(key.seed()), fingerprint: Fingerprint::of_link_key(&key.public()) }
    }

    /// Whose signatures these are.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn sign(&self, kind: Kind, text: String) -> Result<Signed, LedgerError> {
        let signature = sign(kind, &text, &self.identity).map_err(LedgerError::Sign)?;
        Ok(Signed { text, signature })
    }
}

/// The nodes of the tree, in the ledger's rows.
struct Rows<'a, R: ?Sized>(&'a R);

impl<R: Read + ?Sized> Nodes for Rows<'_, R> {
    type Error = LedgerError;

    fn node(&self, level: u32, place: u64) -> Result<Digest, LedgerError> {
        let found = match level {
            0 => self.0.log_leaf(place)?,
            _ => self.0.log_node(level, place)?,
        };
        found.ok_or(LedgerError::Corrupt { what: "log" })
    }
}

/// Writes the events of a transfer that are not in the log yet [S16.1]. Every backend does so whenever it stores a
/// transfer, so that there is no event without its entry.
///
/// # Errors
/// What the database says.
pub fn append(rows: &mut (impl Write + ?Sized), transfer: &Transfer, known: usize) -> Result<(), LedgerError> {
    for event in transfer.events.iter().skip(known) {
        let last = rows.log_last()?;
        let number = last.map_or(0, |(number, _)| number + 1);
        let leaf = LogEntry::of(number, last.map(|(_, leaf)| leaf), transfer.terms.id, event).leaf();
        let whole = tree::completed(&Rows(&*rows), number, leaf)?;
        rows.add_log_row(&LogRow { number, transfer: transfer.terms.id, event: *event, leaf })?;
        for node in whole {
            rows.add_log_node(node.level, node.place, node.hash)?;
        }
    }
    Ok(())
}

/// How many entries there are.
///
/// # Errors
/// What the database says.
pub fn size(rows: &(impl Read + ?Sized)) -> Result<u64, LedgerError> {
    Ok(rows.log_last()?.map_or(0, |(number, _)| number + 1))
}

/// The root over the first entries.
///
/// # Errors
/// What the database says.
pub fn root(rows: &(impl Read + ?Sized), size: u64) -> Result<Digest, LedgerError> {
    tree::root(&Rows(rows), size)
}

/// Whether a head of the whole log was signed.
///
/// # Errors
/// What the database says.
pub fn is_signed(rows: &(impl Read + ?Sized)) -> Result<bool, LedgerError> {
    Ok(rows.head(None)?.map(|(size, _)| size) == Some(size(rows)?))
}

/// Signs a head of the whole log, unless there is one [S16.4].
///
/// # Errors
/// What the database says.
pub fn sign_head(rows: &mut (impl Write + ?Sized), now: Millis, signer: &Signer) -> Result<(), LedgerError> {
    let size = size(rows)?;
    let before = rows.head(None)?;
    if before.as_ref().is_some_and(|(signed, _)| *signed == size) {
        return Ok(());
    }
    let head = LogHeadText {
        relay_key: signer.fingerprint,
        size,
        root: root(rows, size)?,
        previous: before.map(|(_, head)| text_id(&head.text)),
        time: now.into(),
    };
    rows.add_head(size, &signer.sign(Kind::LogHead, head.to_text())?)
}

/// What the log says of a transfer, proven under a signed head [S16.6].
///
/// # Errors
/// `NotFound`; `NotAllowed` for anybody but seller and claimant; `Conflict` when no head of the wanted size was signed.
pub fn answer(rows: &(impl Read + ?Sized), by: LinkKey, ask: &Log, signer: &Signer) -> Answer<Logged> {
    let Some(transfer) = load(rows, ask.transfer)? else {
        return Ok(Err(Fault::NotFound.into()));
    };
    if let Err(refused) = transfer.watch(by) {
        return Ok(Err(refused));
    }
    let Some((size, head)) = rows.head(ask.size)? else {
        return Ok(Err(Fault::Conflict.into()));
    };
    let nodes = Rows(rows);
    let mut entries = Vec::new();
    for row in rows.log_of(ask.transfer, ask.from_sequence, size, limits::LOG_ENTRIES_MAX)? {
        let entry = checked(rows, &row)?;
        entries.push(Included { text: entry.to_text(), path: tree::inclusion(&nodes, row.number, size)? });
    }
    let deletion = match rows.log_find(ask.transfer, EventKind::Deleted)? {
        Some(row) if row.number < size => deletion(&transfer, &row, signer)?,
        _ => None,
    };
    Ok(Ok(Logged {
        head,
        consistency: tree::consistency(&nodes, ask.held_size, size)?,
        entries,
        entries_in_all: rows.log_count(ask.transfer, size)?,
        deletion,
        reason: rows.takedown(ask.transfer)?,
    }))
}

/// The entry of a row, rebuilt and compared with what was chained.
///
/// # Errors
/// [`LedgerError::Corrupt`] when the row says something else than the log.
pub fn checked(rows: &(impl Read + ?Sized), row: &LogRow) -> Result<LogEntry, LedgerError> {
    let previous = match row.number.checked_sub(1) {
        None => None,
        Some(before) => Some(rows.log_leaf(before)?.ok_or(LedgerError::Corrupt { what: "log" })?),
    };
    let entry = LogEntry::of(row.number, previous, row.transfer, &row.event);
    if entry.leaf() == row.leaf { Ok(entry) } else { Err(LedgerError::Corrupt { what: "log" }) }
}

/// The relay's word that share and blocks are gone [S16.5]; the same text and signature each time.
///
/// # Errors
/// [`LedgerError::Corrupt`] for a transfer whose blocks are deleted and that has no end.
pub fn deletion(transfer: &Transfer, row: &LogRow, signer: &Signer) -> Result<Option<Signed>, LedgerError> {
    let corrupt = LedgerError::Corrupt { what: "transfer" };
    let (Some(reason), Some(share_erased)) = (EndReason::of_phase(transfer.phase), transfer.share_erased) else {
        return Err(corrupt);
    };
    let blocks = transfer.durable.0;
    let text = DeletionText {
        transfer: transfer.terms.id,
        blocks,
        bytes: blocks.saturating_mul(transfer.terms.block_size.sealed_bytes() as u64),
        reason,
        share_erased: share_erased.into(),
        blocks_deleted: row.event.time.into(),
        method: Method::Files,
        relay_key: signer.fingerprint,
        log_entry: row.leaf,
    };
    signer.sign(Kind::Deletion, text.to_text()).map(Some)
}

/// Looks at the end of the log and at its last head; so much is done at every start [S16.8].
///
/// # Errors
/// [`LedgerError::Corrupt`] when it does not hang together.
pub fn check_end(rows: &(impl Read + ?Sized)) -> Result<(), LedgerError> {
    let size = size(rows)?;
    for row in rows.log_rows(size.saturating_sub(PAGE), PAGE)? {
        checked(rows, &row)?;
    }
    let corrupt = Err(LedgerError::Corrupt { what: "log" });
    match rows.head(None)? {
        Some((signed, _)) if signed > size => corrupt,
        Some((signed, head)) => match LogHeadText::parse(&head.text) {
            Ok(text) if text.size == signed && text.root == root(rows, signed)? => Ok(()),
            _ => corrupt,
        },
        None => Ok(()),
    }
}
