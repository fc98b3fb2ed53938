//! What a relay knows of one transfer, and what every operation does to it.
//!
//! [`Transfer`] is plain data: a ledger loads it, calls one method with the time and the facts, and stores it again in
//! the same transaction. A method answers or refuses; either way the state it leaves behind is what must be stored.
//! What has to be done outside the ledger is never remembered apart from the state: [`Transfer::next_effect`] reads it
//! off the state, so that whatever a crash interrupts is found again at the next start [S13.9].
//!
//! # Source
//! SPEC S12, S13.

mod checked;

use crate::fault::Fault;
use crate::ids::{BlockCount, BlockIndex, BlockSize, ClaimKey, Digest, LinkKey, Locator, Millis, TransferId};
use crate::limits;
use crate::proof::{digest, text_id};
use crate::protocol::message::{
    ClaimRecord, Created, Event, EventKind, Fetching, PaperRecord, Phase, RefusalRecord, Refused, Snapshot,
};
use crate::protocol::papers::PaperKind;

pub use checked::CheckedClaim;

/// What must be done outside the ledger, in the order in which it must be done [S13.7] [S13.8].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// Overwrite and remove the relay share.
    EraseShare,
    /// Remove every block.
    DeleteBlocks,
}

/// What is fixed when a transfer is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Chosen by the seller.
    pub id: TransferId,
    /// Who may append, complete and revoke.
    pub seller: LinkKey,
    /// What the code finds it by.
    pub locator: Locator,
    /// What the code proves itself with.
    pub claim_key: ClaimKey,
    /// The hash of the sealed offer.
    pub offer_digest: Digest,
    /// The hash of everything `Create` said but the relay share.
    pub content: Digest,
    /// The size of every block.
    pub block_size: BlockSize,
    /// At most so many blocks will come.
    pub blocks_max: BlockCount,
    /// When it ends.
    pub expires: Millis,
    /// The commitment to the agreement without whose signature nobody gets the share.
    pub agreement: Option<Digest>,
}

/// One transfer as the relay knows it; what is left of it at the end is its tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// What never changes.
    pub terms: Terms,
    /// When it was created.
    pub created: Millis,
    /// How far it is.
    pub phase: Phase,
    /// When it became complete.
    pub completed: Option<Millis>,
    /// When it became final.
    pub ended: Option<Millis>,
    /// Blocks that are durable.
    pub durable: BlockCount,
    /// How many there are; fixed when it becomes complete.
    pub blocks: Option<BlockCount>,
    /// Blocks that the buyer has been sent; may lag behind after a crash.
    pub fetched: BlockCount,
    /// The first claim.
    pub claim: Option<ClaimRecord>,
    /// For the seller's eyes.
    pub sealed_receipt: Option<Vec<u8>>,
    /// What lies beside the blocks, in the order in which it came; that of a document stays when the document goes.
    pub papers: Vec<PaperRecord>,
    /// Who refused the agreement.
    pub refusal: Option<RefusalRecord>,
    /// Whether the relay share was erased.
    pub share: Share,
    /// When it was erased.
    pub share_erased: Option<Millis>,
    /// Whether the blocks were deleted.
    pub storage: Storage,
    /// What happened, in order; an event's sequence is its place.
    pub events: Vec<Event>,
}

/// Where the relay share is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// In its file.
    Kept,
    /// Overwritten and removed.
    Erased,
}

/// Where the blocks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In their segments.
    Kept,
    /// Removed.
    Deleted,
}

/// How a transfer looks to somebody who has its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peeking {
    /// How far it is.
    pub phase: Phase,
    /// Blocks that can be fetched.
    pub durable: BlockCount,
    /// How many there are, once that is known.
    pub blocks: Option<BlockCount>,
    /// When it was claimed by the very key that asks.
    pub claimed: Option<Millis>,
    /// When it ends.
    pub expires: Millis,
}

impl Transfer {
    /// Begins a transfer whose share is on disk [S13.2].
    ///
    /// # Errors
    /// [`Fault::BadMessage`] for no blocks at all or more than there can be, [`Fault::ClockRefused`] with the relay's
    /// time for an end that is not in the future.
    pub fn create(terms: Terms, now: Millis) -> Result<Self, Refused> {
        if terms.blocks_max.0 == 0 || terms.blocks_max.0 > limits::BLOCKS_MAX {
            return Err(Fault::BadMessage.into());
        }
        if terms.expires <= now {
            return Err(Refused::of(Fault::ClockRefused).with_time(now));
        }
        let mut transfer = Self {
            terms,
            created: now,
            phase: Phase::Open,
            completed: None,
            ended: None,
            durable: BlockCount(0),
            blocks: None,
            fetched: BlockCount(0),
            claim: None,
            sealed_receipt: None,
            papers: Vec::new(),
            refusal: None,
            share: Share::Kept,
            share_erased: None,
            storage: Storage::Kept,
            events: Vec::new(),
        };
        let Terms { seller, offer_digest, .. } = transfer.terms;
        transfer.record_with(now, EventKind::Created, Some(seller), Some(offer_digest));
        Ok(transfer)
    }

    /// Answers a repeated `Create` [S12.5].
    ///
    /// # Errors
    /// [`Fault::Conflict`] for another seller or other content; else why the transfer is over.
    pub fn create_again(&mut self, terms: &Terms, now: Millis) -> Result<Created, Refused> {
        if *terms != self.terms {
            return Err(Fault::Conflict.into());
        }
        self.live(now)?;
        Ok(self.created())
    }

    /// The answer to `Create`.
    pub fn created(&self) -> Created {
        Created { created: self.created, expires: self.terms.expires }
    }

    /// Tells from which block on the seller may append [S12.2]. A complete transfer takes none, but says how many it
    /// has.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`] for anybody but the seller; else why the transfer is over.
    pub fn append(&mut self, by: LinkKey, now: Millis) -> Result<BlockCount, Refused> {
        self.is_seller(by)?;
        self.live(now)?;
        Ok(self.durable)
    }

    /// Takes note of blocks whose segment is synced [S13.3].
    ///
    /// # Errors
    /// [`Fault::Superseded`] when another run has stored blocks from there, [`Fault::Conflict`] when they leave a gap or
    /// the number of blocks is already fixed, [`Fault::QuotaExceeded`] with the most there may be, or why the transfer
    /// is over.
    pub fn stored(
        &mut self,
        by: LinkKey,
        first: BlockIndex,
        count: BlockCount,
        now: Millis,
    ) -> Result<BlockCount, Refused> {
        self.is_seller(by)?;
        self.live(now)?;
        if self.phase != Phase::Open || count.0 == 0 || first > self.durable.end() {
            return Err(Refused::of(Fault::Conflict).with_number(self.durable.0));
        }
        if first < self.durable.end() {
            return Err(Refused::of(Fault::Superseded).with_number(self.durable.0));
        }
        let durable = BlockCount(self.durable.0.saturating_add(count.0));
        if durable > self.terms.blocks_max {
            return Err(Refused::of(Fault::QuotaExceeded).with_number(self.terms.blocks_max.0));
        }
        if self.durable.0 == 0 {
            self.record(now, EventKind::FirstBlock, None);
        }
        self.durable = durable;
        Ok(durable)
    }

    /// Fixes the number of blocks [S13.4]. A repetition has the same answer even after the receipt.
    ///
    /// # Errors
    /// [`Fault::NotComplete`] with the number of durable blocks when there are fewer, [`Fault::Conflict`] when there are
    /// more or another number is fixed, [`Fault::NotAllowed`], or why the transfer is over.
    pub fn complete(&mut self, by: LinkKey, blocks: BlockCount, now: Millis) -> Result<Millis, Refused> {
        self.is_seller(by)?;
        if self.phase != Phase::Receipted {
            self.live(now)?;
        }
        match (self.completed, self.blocks) {
            (Some(completed), Some(fixed)) if fixed == blocks => return Ok(completed),
            (Some(_), Some(fixed)) => return Err(Refused::of(Fault::Conflict).with_number(fixed.0)),
            _ => {}
        }
        if self.durable < blocks {
            return Err(Refused::of(Fault::NotComplete).with_number(self.durable.0));
        }
        if self.durable > blocks || blocks.0 == 0 {
            return Err(Refused::of(Fault::Conflict).with_number(self.durable.0));
        }
        self.phase = Phase::Complete;
        self.blocks = Some(blocks);
        self.completed = Some(now);
        self.record(now, EventKind::Completed, None);
        Ok(now)
    }

    /// Shows the transfer to somebody who has the code; records who comes too late [S13.6].
    ///
    /// # Errors
    /// [`Fault::AlreadyClaimed`] with the time of the claim when another key holds it, or why the transfer is over.
    pub fn peek(&mut self, by: LinkKey, now: Millis) -> Result<Peeking, Refused> {
        self.live(now)?;
        let claimed = match &self.claim {
            Some(claim) if claim.link_key != by => return Err(self.too_late(by, now)),
            claim => claim.as_ref().map(|claim| claim.time),
        };
        Ok(Peeking {
            phase: self.phase,
            durable: self.durable,
            blocks: self.blocks,
            claimed,
            expires: self.terms.expires,
        })
    }

    /// Spends the code, or finds that this key has spent it [S13.5], with the agreement signed where there is one
    /// [S13.14]. When this answers and the state is durable, the
    /// share may be released to the claim's hybrid key.
    ///
    /// # Errors
    /// [`Fault::AlreadyClaimed`] with the time of the claim when another key holds it, [`Fault::Conflict`] when the same
    /// key comes with another hybrid key or identity, [`Fault::AgreementRequired`] for a claim without the signed agreement
    /// or with another one, [`Fault::ClaimRefused`] for a claim that was checked against another transfer, or why the
    /// transfer is over.
    pub fn claim(&mut self, checked: CheckedClaim, now: Millis) -> Result<Millis, Refused> {
        if checked.transfer != self.terms.id {
            return Err(Fault::ClaimRefused.into());
        }
        self.live(now)?;
        match &self.claim {
            Some(first) if first.link_key != checked.link_key() => Err(self.too_late(checked.link_key(), now)),
            Some(first) if !checked.continues(first) => Err(Refused::of(Fault::Conflict).with_time(first.time)),
            Some(first) => Ok(first.time),
            None => {
                checked.agrees_to(self.terms.agreement)?;
                let body = text_id(&checked.text);
                self.record_with(now, EventKind::Claimed, Some(checked.link_key()), Some(body));
                self.claim = Some(checked.into_record(now));
                Ok(now)
            }
        }
    }

    /// Tells whether blocks may be sent from there on [S12.3].
    ///
    /// # Errors
    /// [`Fault::NotAllowed`] for anybody but the holder of the claim, [`Fault::Conflict`] with the number of durable
    /// blocks for a start behind them, or why the transfer is over.
    pub fn fetch(&mut self, by: LinkKey, from: BlockIndex, now: Millis) -> Result<Fetching, Refused> {
        self.is_claimant(by)?;
        self.live(now)?;
        if from > self.durable.end() {
            return Err(Refused::of(Fault::Conflict).with_number(self.durable.0));
        }
        Ok(Fetching { durable: self.durable, blocks: self.blocks })
    }

    /// Remembers how far the buyer has been sent blocks.
    pub fn fetched(&mut self, up_to: BlockCount) {
        self.fetched = self.fetched.max(up_to.min(self.durable));
    }

    /// Takes the receipt [S13.7].
    ///
    /// # Errors
    /// [`Fault::NotAllowed`] for anybody but the holder of the claim, [`Fault::NotComplete`] before all blocks are
    /// there, [`Fault::Conflict`] for another receipt than the first, or why the transfer is over.
    pub fn receive(&mut self, by: LinkKey, sealed_receipt: &[u8], now: Millis) -> Result<Millis, Refused> {
        self.is_claimant(by)?;
        if let (Phase::Receipted, Some(ended), Some(first)) = (self.phase, self.ended, &self.sealed_receipt) {
            return if first == sealed_receipt {
                Ok(ended)
            } else {
                Err(Refused::of(Fault::Conflict).with_time(ended))
            };
        }
        self.live(now)?;
        if sealed_receipt.is_empty() || sealed_receipt.len() > limits::SEALED_RECEIPT_BYTES_MAX {
            let fault = if sealed_receipt.is_empty() { Fault::BadMessage } else { Fault::TooLarge };
            return Err(fault.into());
        }
        if self.phase != Phase::Complete {
            return Err(Refused::of(Fault::NotComplete).with_number(self.durable.0));
        }
        self.sealed_receipt = Some(sealed_receipt.to_vec());
        self.end_with(Phase::Receipted, EventKind::Receipted, Some(by), Some(digest(sealed_receipt)), now);
        Ok(now)
    }

    /// Burns the code and gives the blocks up for deletion [S13.8].
    ///
    /// # Errors
    /// [`Fault::NotAllowed`] for anybody but the seller, or why it was over before.
    pub fn revoke(&mut self, by: LinkKey, now: Millis) -> Result<Millis, Refused> {
        self.is_seller(by)?;
        if let (Phase::Revoked, Some(ended)) = (self.phase, self.ended) {
            return Ok(ended);
        }
        self.live(now)?;
        self.end(Phase::Revoked, EventKind::Revoked, Some(by), now);
        Ok(now)
    }

    /// Ends the transfer if its time is over [S13.8]; every operation does this first.
    pub fn expire(&mut self, now: Millis) {
        if !self.phase.is_final() && now >= self.terms.expires {
            self.end(Phase::Expired, EventKind::Expired, None, now);
        }
    }

    /// Who may watch: the seller and the holder of the claim [S12.4].
    ///
    /// # Errors
    /// [`Fault::NotAllowed`] for anybody else.
    pub fn watch(&self, by: LinkKey) -> Result<(), Refused> {
        self.is_seller(by).or_else(|_| self.is_claimant(by))
    }

    /// What a watcher is told, with the events from a sequence on.
    pub fn snapshot(&self, from_event: u64) -> Snapshot {
        let events =
            self.events.iter().filter(|event| event.sequence >= from_event).take(limits::EVENTS_MAX).copied().collect();
        Snapshot {
            phase: self.phase,
            durable: self.durable,
            blocks: self.blocks,
            fetched: self.fetched,
            expires: self.terms.expires,
            claim: self.claim.clone(),
            sealed_receipt: self.sealed_receipt.clone(),
            events,
            papers: self.papers.clone(),
            refusal: self.refusal.clone(),
        }
    }

    /// What must be done next outside the ledger. The share goes first: without it the blocks open to nobody.
    pub fn next_effect(&self) -> Option<Effect> {
        match (self.phase.is_final(), self.share, self.storage) {
            (false, _, _) | (true, Share::Erased, Storage::Deleted) => None,
            (true, Share::Kept, _) => Some(Effect::EraseShare),
            (true, Share::Erased, Storage::Kept) => Some(Effect::DeleteBlocks),
        }
    }

    /// Takes note that an effect was carried out; anything but [`Self::next_effect`] changes nothing.
    pub fn done(&mut self, effect: Effect, now: Millis) {
        if self.next_effect() != Some(effect) {
            return;
        }
        match effect {
            Effect::EraseShare => {
                self.share = Share::Erased;
                self.share_erased = Some(now);
            }
            Effect::DeleteBlocks => {
                self.storage = Storage::Deleted;
                self.record(now, EventKind::Deleted, None);
            }
        }
    }

    /// Whether this is a state that operations lead to; one that is not was damaged where it was kept.
    pub fn is_sound(&self) -> bool {
        let count = |kind: EventKind| self.events.iter().filter(|event| event.kind == kind).count();
        let is_blocks = match (self.phase, self.blocks) {
            (Phase::Open | Phase::Revoked | Phase::Expired | Phase::Refused | Phase::TakenDown, None) => true,
            (Phase::Open, Some(_)) | (_, None) => false,
            (_, Some(blocks)) => blocks == self.durable && blocks.0 > 0,
        };
        let is_receipt = match self.phase {
            Phase::Receipted => self.claim.is_some() && self.sealed_receipt.is_some(),
            _ => self.sealed_receipt.is_none(),
        };
        let is_refusal = match self.phase {
            Phase::Refused => self.claim.is_none() && self.refusal.is_some() && self.terms.agreement.is_some(),
            _ => self.refusal.is_none(),
        };
        is_blocks
            && is_receipt
            && is_refusal
            && self.are_papers_sound()
            && (1..=limits::BLOCKS_MAX).contains(&self.terms.blocks_max.0)
            && self.durable <= self.terms.blocks_max
            && self.fetched <= self.durable
            && self.completed.is_some() == self.blocks.is_some()
            && self.ended.is_some() == self.phase.is_final()
            && (self.share == Share::Kept || self.phase.is_final())
            && (self.storage == Storage::Kept || self.share == Share::Erased)
            && (self.share == Share::Erased) == self.share_erased.is_some()
            && self.is_told()
            && self.events.iter().enumerate().all(|(at, event)| event.sequence == at as u64)
            && self.events.first().is_some_and(|event| event.kind == EventKind::Created)
            && count(EventKind::Claimed) == usize::from(self.claim.is_some())
            && count(EventKind::PaperDeposited) == self.papers.len()
            && self
                .claim
                .as_ref()
                .is_none_or(|claim| claim.sealed_agreement.is_some() == self.terms.agreement.is_some())
    }

    /// Sealed bytes that count against quotas: all that may still come while it is open, then what is there; and the
    /// agreement's document.
    pub fn reserved_bytes(&self) -> u64 {
        let blocks = match self.storage {
            Storage::Deleted => BlockCount(0),
            Storage::Kept if self.phase == Phase::Open => self.terms.blocks_max,
            Storage::Kept => self.durable,
        };
        let document = match self.storage {
            Storage::Deleted => 0,
            Storage::Kept => self.paper(PaperKind::Agreement).map_or(0, |paper| paper.bytes),
        };
        blocks.0.saturating_mul(self.terms.block_size.sealed_bytes() as u64).saturating_add(document)
    }

    pub(super) fn live(&mut self, now: Millis) -> Result<(), Refused> {
        self.expire(now);
        let fault = match self.phase {
            Phase::Open | Phase::Complete => return Ok(()),
            Phase::Receipted => Fault::Receipted,
            Phase::Revoked => Fault::Revoked,
            Phase::Expired => Fault::Expired,
            Phase::Refused => Fault::RefusedByBuyer,
            Phase::TakenDown => Fault::TakenDown,
        };
        Err(Refused { time: self.ended, ..Refused::of(fault) })
    }

    pub(super) fn is_seller(&self, by: LinkKey) -> Result<(), Refused> {
        if by == self.terms.seller { Ok(()) } else { Err(Fault::NotAllowed.into()) }
    }

    pub(super) fn is_claimant(&self, by: LinkKey) -> Result<(), Refused> {
        match &self.claim {
            Some(claim) if claim.link_key == by => Ok(()),
            _ => Err(Fault::NotAllowed.into()),
        }
    }

    pub(super) fn end(&mut self, phase: Phase, kind: EventKind, by: Option<LinkKey>, now: Millis) {
        self.end_with(phase, kind, by, None, now);
    }

    pub(super) fn end_with(
        &mut self,
        phase: Phase,
        kind: EventKind,
        by: Option<LinkKey>,
        body: Option<Digest>,
        now: Millis,
    ) {
        self.phase = phase;
        self.ended = Some(now);
        self.record_with(now, kind, by, body);
    }

    pub(super) fn too_late(&mut self, by: LinkKey, now: Millis) -> Refused {
        let mut refused = self.events.iter().filter(|event| event.kind == EventKind::ClaimRefused);
        let known = refused.clone().any(|event| event.by == Some(by));
        if !known && refused.by_ref().count() < limits::REFUSED_CLAIMS_MAX {
            self.record(now, EventKind::ClaimRefused, Some(by));
        }
        Refused { time: self.claim.as_ref().map(|claim| claim.time), ..Refused::of(Fault::AlreadyClaimed) }
    }

    pub(super) fn record(&mut self, time: Millis, kind: EventKind, by: Option<LinkKey>) {
        self.record_with(time, kind, by, None);
    }

    pub(super) fn record_with(&mut self, time: Millis, kind: EventKind, by: Option<LinkKey>, body: Option<Digest>) {
        self.events.push(Event { sequence: self.events.len() as u64, time, kind, by, body });
    }
}

mod told;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
