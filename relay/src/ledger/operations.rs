//! The domain operations: load a transfer, let it decide, store what it became. Each is atomic and idempotent.

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockIndex, Digest, LinkKey, Locator, Millis, TransferId};
use handover_shared::limits;
use handover_shared::protocol::message::{Created, Deposit, Fetching, PaperRecord, Refused};
use handover_shared::protocol::papers::{CheckedRefusal, PaperKind};
use handover_shared::protocol::relay::{CheckedClaim, Effect, Peeking, Terms, Transfer};

use super::rows::{InviteRow, Offer, PaperPlace, Read, Reserved, Segment, Seller, Write};
use super::{Answer, LedgerError};

/// Who may create transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enrolment {
    /// Who was enrolled by an invite.
    Required,
    /// Anybody.
    Open,
}

/// What a new transfer must fit into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Who may create.
    pub enrolment: Enrolment,
    /// Sealed bytes of one transfer.
    pub transfer_bytes_max: u64,
    /// Sealed bytes of all transfers together.
    pub total_bytes_max: u64,
    /// Sealed bytes of all live transfers of one seller.
    pub seller_bytes_max: u64,
    /// Live transfers of one seller.
    pub seller_transfers_max: u64,
    /// How long a transfer may be kept, in milliseconds.
    pub expiry_ms_max: u64,
    /// What the storage has room for, in bytes.
    pub free_bytes: u64,
}

/// What somebody with the code is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peeked {
    /// Which transfer.
    pub transfer: TransferId,
    /// How far it is.
    pub peeking: Peeking,
    /// To be opened with the code.
    pub sealed_offer: Vec<u8>,
}

impl Allowance {
    /// Sealed bytes that a new transfer may reserve, free space aside, beside what is reserved by all and by its seller.
    pub fn bytes_left(&self, all_bytes: u64, own: Reserved) -> u64 {
        if own.transfers >= self.seller_transfers_max {
            return 0;
        }
        self.transfer_bytes_max
            .min(self.total_bytes_max.saturating_sub(all_bytes))
            .min(self.seller_bytes_max.saturating_sub(own.bytes))
    }
}

/// Whether a `Create` may go on; nothing is stored.
///
/// # Errors
/// The refusal that [`create`] would give.
pub fn admit(rows: &dyn Read, now: Millis, terms: &Terms, allowance: &Allowance) -> Answer<Option<Created>> {
    if let Some(mut transfer) = load(rows, terms.id)? {
        return Ok(transfer.create_again(terms, now).map(Some));
    }
    may_create(rows, terms.seller, allowance.enrolment)?.map_or_else(
        |refused| Ok(Err(refused)),
        |()| {
            if let Err(refused) = fits(
                terms,
                now,
                allowance.bytes_left(rows.reserved_bytes()?, rows.reserved_by(terms.seller)?),
                allowance,
            ) {
                return Ok(Err(refused));
            }
            if rows.find(terms.locator)?.is_some() {
                return Ok(Err(Fault::Conflict.into()));
            }
            Ok(Transfer::create(terms.clone(), now).map(|_| None))
        },
    )
}

/// Creates a transfer whose share is on disk [S13.2].
///
/// # Errors
/// `NotEnrolled`, `QuotaExceeded` with the bytes that are allowed or the latest end that is, `StorageFull` with the
/// bytes there is room for, `Conflict`, `ClockRefused`.
pub fn create(
    rows: &mut dyn Write,
    now: Millis,
    terms: &Terms,
    offer: &Offer,
    allowance: &Allowance,
) -> Answer<Created> {
    match admit(rows, now, terms, allowance)? {
        Err(refused) => {
            settle(rows, terms.id, now)?;
            Ok(Err(refused))
        }
        Ok(Some(created)) => Ok(Ok(created)),
        Ok(None) => match Transfer::create(terms.clone(), now) {
            Err(refused) => Ok(Err(refused)),
            Ok(transfer) => {
                rows.insert(&transfer, offer)?;
                Ok(Ok(transfer.created()))
            }
        },
    }
}

/// From which block on the seller may append.
///
/// # Errors
/// See [`Transfer::append`]; `NotEnrolled` once the operator has revoked the seller.
pub fn append(
    rows: &mut dyn Write,
    now: Millis,
    id: TransferId,
    by: LinkKey,
    enrolment: Enrolment,
) -> Answer<(BlockCount, Terms)> {
    if let Err(refused) = may_create(rows, by, enrolment)? {
        return Ok(Err(refused));
    }
    change(rows, id, |transfer| transfer.append(by, now).map(|durable| (durable, transfer.terms.clone())))
}

/// Takes note of a synced segment [S13.3].
///
/// # Errors
/// See [`Transfer::stored`]; `NotEnrolled` once the operator has revoked the seller.
pub fn stored(
    rows: &mut dyn Write,
    now: Millis,
    id: TransferId,
    by: LinkKey,
    enrolment: Enrolment,
    segment: &Segment,
) -> Answer<BlockCount> {
    if let Err(refused) = may_create(rows, by, enrolment)? {
        return Ok(Err(refused));
    }
    let answer = change(rows, id, |transfer| transfer.stored(by, segment.first, segment.count, now))?;
    if answer.is_ok() {
        rows.add_segment(id, segment)?;
    }
    Ok(answer)
}

/// Fixes the number of blocks.
///
/// # Errors
/// See [`Transfer::complete`].
pub fn complete(rows: &mut dyn Write, now: Millis, id: TransferId, by: LinkKey, blocks: BlockCount) -> Answer<Millis> {
    change(rows, id, |transfer| transfer.complete(by, blocks, now))
}

/// Shows what lies under a locator.
///
/// # Errors
/// See [`Transfer::peek`].
pub fn peek(rows: &mut dyn Write, now: Millis, locator: Locator, by: LinkKey) -> Answer<Peeked> {
    let Some(id) = rows.find(locator)? else {
        return Ok(Err(Fault::NotFound.into()));
    };
    match change(rows, id, |transfer| transfer.peek(by, now))? {
        Err(refused) => Ok(Err(refused)),
        Ok(peeking) => {
            let offer = rows.offer(id)?.ok_or(LedgerError::Corrupt { what: "offer" })?;
            Ok(Ok(Peeked { transfer: id, peeking, sealed_offer: offer.sealed_offer }))
        }
    }
}

/// Spends the code; gives back when, and the envelope. Once this is durable the share may be released.
///
/// # Errors
/// See [`Transfer::claim`].
pub fn claim(rows: &mut dyn Write, now: Millis, id: TransferId, checked: CheckedClaim) -> Answer<(Millis, Vec<u8>)> {
    match change(rows, id, |transfer| transfer.claim(checked, now))? {
        Err(refused) => Ok(Err(refused)),
        Ok(time) => {
            let offer = rows.offer(id)?.ok_or(LedgerError::Corrupt { what: "offer" })?;
            Ok(Ok((time, offer.envelope)))
        }
    }
}

/// Whether blocks may be sent from there on, to whom and of which size.
///
/// # Errors
/// See [`Transfer::fetch`].
pub fn fetch(rows: &dyn Read, now: Millis, id: TransferId, by: LinkKey, from: BlockIndex) -> Answer<(Fetching, Terms)> {
    match load(rows, id)? {
        None => Ok(Err(Fault::NotFound.into())),
        Some(mut transfer) => Ok(transfer.fetch(by, from, now).map(|fetching| (fetching, transfer.terms))),
    }
}

/// Remembers how far the buyer has been sent blocks.
///
/// # Errors
/// `NotFound`.
pub fn fetched(rows: &mut dyn Write, id: TransferId, up_to: BlockCount) -> Answer<()> {
    change(rows, id, |transfer| {
        transfer.fetched(up_to);
        Ok(())
    })
}

/// Takes the receipt.
///
/// # Errors
/// See [`Transfer::receive`].
pub fn receive(
    rows: &mut dyn Write,
    now: Millis,
    id: TransferId,
    by: LinkKey,
    sealed_receipt: &[u8],
) -> Answer<Millis> {
    change(rows, id, |transfer| transfer.receive(by, sealed_receipt, now))
}

/// Burns the code.
///
/// # Errors
/// See [`Transfer::revoke`].
pub fn revoke(rows: &mut dyn Write, now: Millis, id: TransferId, by: LinkKey) -> Answer<Millis> {
    change(rows, id, |transfer| transfer.revoke(by, now))
}

/// Whether a paper may come, before its bytes are read; tells of the one that is there already. An agreement's document
/// counts against the quotas like blocks.
///
/// # Errors
/// See [`Transfer::may_deposit`]; `NotEnrolled`, `QuotaExceeded` or `StorageFull` for a document.
pub fn may_deposit(
    rows: &dyn Read,
    now: Millis,
    by: LinkKey,
    asked: Deposit,
    allowance: &Allowance,
) -> Answer<Option<PaperRecord>> {
    let Some(mut transfer) = load(rows, asked.transfer)? else {
        return Ok(Err(Fault::NotFound.into()));
    };
    let known = match transfer.may_deposit(by, asked.kind, asked.bytes, now) {
        Ok(known) => known,
        Err(refused) => return Ok(Err(refused)),
    };
    if known.is_none() && asked.kind == PaperKind::Agreement.number() {
        if let Err(refused) = may_create(rows, by, allowance.enrolment)? {
            return Ok(Err(refused));
        }
        let own = rows.reserved_by(by)?;
        let left = allowance
            .total_bytes_max
            .saturating_sub(rows.reserved_bytes()?)
            .min(allowance.seller_bytes_max.saturating_sub(own.bytes));
        if asked.bytes > left {
            return Ok(Err(Refused::of(Fault::QuotaExceeded).with_number(left)));
        }
        if asked.bytes > allowance.free_bytes {
            return Ok(Err(Refused::of(Fault::StorageFull).with_number(allowance.free_bytes)));
        }
    }
    Ok(Ok(known))
}

/// Takes note of a paper whose bytes are at a place, durably if that is outside [S13.14]; tells whether they are the first.
///
/// # Errors
/// See [`Transfer::deposit`].
pub fn deposit(
    rows: &mut dyn Write,
    now: Millis,
    by: LinkKey,
    asked: Deposit,
    digest: Digest,
    place: &PaperPlace,
) -> Answer<(Millis, Deposited)> {
    let Deposit { transfer: id, kind, bytes } = asked;
    let mut deposited = Deposited::Again;
    let answer = change(rows, id, |transfer| {
        let before = transfer.papers.len();
        let time = transfer.deposit(by, kind, bytes, digest, now)?;
        if transfer.papers.len() > before {
            deposited = Deposited::First;
        }
        Ok(time)
    })?;
    if let (Deposited::First, Some(kind)) = (deposited, PaperKind::of_number(kind)) {
        rows.add_paper(id, kind, place)?;
    }
    Ok(answer.map(|time| (time, deposited)))
}

/// Whether the bytes of a deposit are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deposited {
    /// They are.
    First,
    /// The same bytes are kept already.
    Again,
}

/// What is known of a paper, and where its bytes are.
///
/// # Errors
/// See [`Transfer::collect`].
pub fn collect(
    rows: &mut dyn Write,
    now: Millis,
    id: TransferId,
    by: LinkKey,
    kind: u8,
) -> Answer<(PaperRecord, PaperPlace)> {
    match change(rows, id, |transfer| transfer.collect(by, kind, now))? {
        Err(refused) => Ok(Err(refused)),
        Ok(record) => {
            let place = PaperKind::of_number(kind).map(|kind| rows.paper(id, kind)).transpose()?.flatten();
            Ok(Ok((record, place.ok_or(LedgerError::Corrupt { what: "paper" })?)))
        }
    }
}

/// Ends a transfer because the buyer does not agree.
///
/// # Errors
/// See [`Transfer::refuse`].
pub fn refuse(rows: &mut dyn Write, now: Millis, id: TransferId, checked: CheckedRefusal) -> Answer<Millis> {
    change(rows, id, |transfer| transfer.refuse(checked, now))
}

/// Takes a transfer down, because the operator says so [S13.16]; the reason that is told is the first one.
///
/// # Errors
/// `NotFound`, `TooLarge` for a reason that is too long, or why it was over before.
pub fn take_down(rows: &mut dyn Write, now: Millis, id: TransferId, reason: &str) -> Answer<Millis> {
    if reason.chars().count() > limits::TAKEDOWN_REASON_CHARS_MAX {
        return Ok(Err(Fault::TooLarge.into()));
    }
    let answer = change(rows, id, |transfer| transfer.take_down(reason, now))?;
    if answer.is_ok() {
        rows.put_takedown(id, reason)?;
    }
    Ok(answer)
}

/// Ends a transfer whose time is over; tells what must be done next outside the ledger.
///
/// # Errors
/// Only the ledger's own.
pub fn settle(rows: &mut dyn Write, id: TransferId, now: Millis) -> Result<Option<Effect>, LedgerError> {
    let settled = change(rows, id, |transfer| {
        transfer.expire(now);
        Ok(transfer.next_effect())
    })?;
    Ok(settled.unwrap_or(None))
}

/// Takes note of a carried out effect; tells what must be done next.
///
/// # Errors
/// Only the ledger's own.
pub fn done(rows: &mut dyn Write, now: Millis, id: TransferId, effect: Effect) -> Result<Option<Effect>, LedgerError> {
    if effect == Effect::DeleteBlocks {
        rows.remove_segments(id)?;
    }
    let next = change(rows, id, |transfer| {
        transfer.done(effect, now);
        Ok(transfer.next_effect())
    })?;
    Ok(next.unwrap_or(None))
}

/// Makes an invite for so many sellers, any number if absent.
///
/// # Errors
/// Only the ledger's own.
pub fn invite(rows: &mut dyn Write, now: Millis, digest: Digest, uses: Option<u64>) -> Result<i64, LedgerError> {
    rows.add_invite(digest, now, uses)
}

/// Enrols a seller by the hash of an invite's secret; whoever is enrolled stays so without using the invite up [S13.12].
///
/// # Errors
/// `InviteRefused` for an unknown, used up or revoked invite, `NotAllowed` for a seller whom the operator revoked.
pub fn enrol(rows: &mut dyn Write, now: Millis, digest: Digest, by: LinkKey) -> Answer<()> {
    let invite = match rows.invite(digest)? {
        Some(invite) if invite.revoked.is_none() => invite,
        _ => return Ok(Err(Fault::InviteRefused.into())),
    };
    if let Some(seller) = rows.seller(by)? {
        return Ok(if seller.revoked.is_none() { Ok(()) } else { Err(Fault::NotAllowed.into()) });
    }
    let uses_left = match invite.uses_left {
        None => None,
        Some(0) => return Ok(Err(Fault::InviteRefused.into())),
        Some(uses) => Some(uses - 1),
    };
    rows.put_seller(&Seller { key: by, enrolled: now, invite: invite.id, revoked: None })?;
    if uses_left != invite.uses_left {
        rows.put_invite(&InviteRow { uses_left, ..invite })?;
    }
    Ok(Ok(()))
}

/// Takes a seller's right to create and append; what it has created stays for its buyers.
///
/// # Errors
/// `NotFound` for somebody who never was enrolled.
pub fn revoke_seller(rows: &mut dyn Write, now: Millis, key: LinkKey) -> Answer<Millis> {
    let Some(seller) = rows.seller(key)? else {
        return Ok(Err(Fault::NotFound.into()));
    };
    let revoked = seller.revoked.unwrap_or(now);
    rows.put_seller(&Seller { revoked: Some(revoked), ..seller })?;
    Ok(Ok(revoked))
}

/// Makes an invite useless; who was enrolled by it stays enrolled.
///
/// # Errors
/// `NotFound` for a number that no invite has.
pub fn revoke_invite(rows: &mut dyn Write, now: Millis, id: i64) -> Answer<Millis> {
    let Some(invite) = rows.invites()?.into_iter().find(|invite| invite.id == id) else {
        return Ok(Err(Fault::NotFound.into()));
    };
    let revoked = invite.revoked.unwrap_or(now);
    rows.put_invite(&InviteRow { revoked: Some(revoked), ..invite })?;
    Ok(Ok(revoked))
}

/// Whether a key may create and append.
///
/// # Errors
/// Refuses with `NotEnrolled`.
pub fn may_create(rows: &(impl Read + ?Sized), by: LinkKey, enrolment: Enrolment) -> Answer<()> {
    let seller = rows.seller(by)?;
    let may = match (seller, enrolment) {
        (Some(seller), _) => seller.revoked.is_none(),
        (None, Enrolment::Open) => true,
        (None, Enrolment::Required) => false,
    };
    Ok(if may { Ok(()) } else { Err(Fault::NotEnrolled.into()) })
}

fn fits(terms: &Terms, now: Millis, allowed: u64, allowance: &Allowance) -> Result<(), Refused> {
    let latest = now.plus(allowance.expiry_ms_max);
    if terms.expires > latest {
        return Err(Refused::of(Fault::QuotaExceeded).with_time(latest));
    }
    let bytes = terms.blocks_max.0.saturating_mul(terms.block_size.sealed_bytes() as u64);
    // [S13.2] A transfer of no block is refused elsewhere, so nothing fits into nothing.
    if bytes > allowed {
        return Err(Refused::of(Fault::QuotaExceeded).with_number(allowed));
    }
    if bytes > allowance.free_bytes {
        return Err(Refused::of(Fault::StorageFull).with_number(allowance.free_bytes));
    }
    Ok(())
}

/// A transfer or its tombstone, in a state that operations lead to.
///
/// # Errors
/// [`LedgerError::Corrupt`] for any other: something else than this program has changed its rows, and nothing may be
/// answered, erased or deleted because of them.
pub fn load(rows: &(impl Read + ?Sized), id: TransferId) -> Result<Option<Transfer>, LedgerError> {
    match rows.transfer(id)? {
        Some(transfer) if !transfer.is_sound() => Err(LedgerError::Corrupt { what: "transfer" }),
        transfer => Ok(transfer),
    }
}

fn change<T>(
    rows: &mut dyn Write,
    id: TransferId,
    decide: impl FnOnce(&mut Transfer) -> Result<T, Refused>,
) -> Answer<T> {
    let Some(before) = load(rows, id)? else {
        return Ok(Err(Fault::NotFound.into()));
    };
    let mut after = before.clone();
    let answer = decide(&mut after);
    if after != before {
        rows.update(&before, &after)?;
    }
    Ok(answer)
}
