//! Papers: small sealed documents that lie beside a transfer's blocks, and the refusal that ends a transfer.
//!
//! The relay knows of each kind who may deposit it, when and how large; what it says is sealed end to end. All but the
//! agreement's document stay with the tombstone.
//!
//! | kind | deposited by | when | collected by |
//! |---|---|---|---|
//! | 0 agreement's document | seller | until somebody has claimed | whoever may look at the offer, and the seller |
//! | 1 delivery statement | claimant | when the transfer is complete | seller and claimant |
//! | 2 release grant | seller | after the delivery statement | seller and claimant |
//! | 3 acceptance | claimant | after the receipt | seller and claimant |
//! | 4 reason of a revocation | seller | after the revocation | seller and claimant |
//! | 5 certificate of destruction | claimant | any time | seller and claimant |
//!
//! # Source
//! SPEC [S13.14] [S13.15].

use crate::fault::Fault;
use crate::ids::{Digest, LinkKey, Millis};
use crate::limits;
use crate::proof::VerifiedRefusalProof;

use super::message::{EventKind, PaperRecord, Phase, RefusalRecord, Refused};
use super::relay::Transfer;

/// What a paper is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PaperKind {
    /// The document that the buyer must sign before the data opens.
    Agreement,
    /// The buyer says that every sealed block has arrived.
    Delivery,
    /// The seller lets the buyer open what was delivered.
    Release,
    /// A person of the buyer has looked at what came.
    Acceptance,
    /// Why the seller revoked.
    Revocation,
    /// The buyer says what it has destroyed.
    Destruction,
}

impl PaperKind {
    /// Every kind, in the order of its number.
    pub const ALL: [PaperKind; 6] = [
        PaperKind::Agreement,
        PaperKind::Delivery,
        PaperKind::Release,
        PaperKind::Acceptance,
        PaperKind::Revocation,
        PaperKind::Destruction,
    ];

    /// The number that travels.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The kind of a number, if this version knows it.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The most sealed bytes it may have.
    pub fn bytes_max(self) -> u64 {
        match self {
            Self::Agreement => limits::SEALED_DOCUMENT_BYTES_MAX,
            _ => limits::SEALED_PAPER_BYTES_MAX,
        }
    }

    fn depositor(self) -> Depositor {
        match self {
            Self::Agreement | Self::Release | Self::Revocation => Depositor::Seller,
            Self::Delivery | Self::Acceptance | Self::Destruction => Depositor::Claimant,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Depositor {
    Seller,
    Claimant,
}

/// A refusal that whoever has the code has made over the connection it came by.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct CheckedRefusal {
    proof: VerifiedRefusalProof,
    sealed_refusal: Vec<u8>,
}

impl CheckedRefusal {
    /// Takes a sealed refusal together with the proof that it was checked.
    ///
    /// # Errors
    /// [`Fault::ClaimRefused`] for bytes that are not those of the proof.
    pub fn new(proof: VerifiedRefusalProof, sealed_refusal: Vec<u8>) -> Result<Self, Fault> {
        if proof.digest() == crate::proof::digest(&sealed_refusal) {
            Ok(Self { proof, sealed_refusal })
        } else {
            Err(Fault::ClaimRefused)
        }
    }
}

impl Transfer {
    /// A paper that was deposited.
    pub fn paper(&self, kind: PaperKind) -> Option<PaperRecord> {
        self.papers.iter().find(|paper| paper.kind == kind.number()).copied()
    }

    /// Whether a paper of so many bytes may come, before any of them is read; tells of the one that is there already.
    ///
    /// # Errors
    /// [`Fault::BadMessage`] for an unknown kind or no bytes, [`Fault::TooLarge`] with the limit, [`Fault::NotAllowed`]
    /// for somebody else or a transfer without an agreement, [`Fault::Conflict`] or [`Fault::NotComplete`] where it
    /// does not belong yet or any more, or why the transfer is over.
    pub fn may_deposit(
        &mut self,
        by: LinkKey,
        kind: u8,
        bytes: u64,
        now: Millis,
    ) -> Result<Option<PaperRecord>, Refused> {
        let kind = PaperKind::of_number(kind).ok_or(Fault::BadMessage)?;
        match kind.depositor() {
            Depositor::Seller => self.is_seller(by)?,
            Depositor::Claimant => self.is_claimant(by)?,
        }
        if bytes == 0 {
            return Err(Fault::BadMessage.into());
        }
        if bytes > kind.bytes_max() {
            return Err(Refused::of(Fault::TooLarge).with_number(kind.bytes_max()));
        }
        self.expire(now);
        if let Some(known) = self.paper(kind) {
            // Its time is over, and whoever asks again should hear that. [S12.5]
            if kind == PaperKind::Agreement {
                self.live(now)?;
            }
            let is_same_length = known.bytes == bytes;
            return if is_same_length { Ok(Some(known)) } else { Err(conflict(known.time)) };
        }
        self.has_place(kind, now).map(|()| None)
    }

    /// Takes note of a paper whose bytes are durable, or finds that it is the one that is there [S13.14].
    ///
    /// # Errors
    /// As [`Self::may_deposit`]; [`Fault::Conflict`] with the time of the first for other bytes than the first.
    pub fn deposit(
        &mut self,
        by: LinkKey,
        kind: u8,
        bytes: u64,
        digest: Digest,
        now: Millis,
    ) -> Result<Millis, Refused> {
        match self.may_deposit(by, kind, bytes, now)? {
            Some(known) if known.digest == digest => Ok(known.time),
            Some(known) => Err(conflict(known.time)),
            None => {
                self.papers.push(PaperRecord { kind, time: now, bytes, digest });
                self.record_with(now, EventKind::PaperDeposited, Some(by), Some(digest));
                Ok(now)
            }
        }
    }

    /// Tells what is known of a paper to somebody who may have it.
    ///
    /// # Errors
    /// [`Fault::BadMessage`] for an unknown kind, [`Fault::NotFound`] where there is none, [`Fault::NotAllowed`] for
    /// somebody else; of the agreement's document also [`Fault::AlreadyClaimed`], or why the transfer is over.
    pub fn collect(&mut self, by: LinkKey, kind: u8, now: Millis) -> Result<PaperRecord, Refused> {
        let kind = PaperKind::of_number(kind).ok_or(Fault::BadMessage)?;
        if kind == PaperKind::Agreement {
            self.live(now)?;
            let is_late = self.claim.as_ref().is_some_and(|claim| claim.link_key != by);
            if is_late && self.is_seller(by).is_err() {
                return Err(self.too_late(by, now));
            }
        } else {
            self.watch(by)?;
            self.expire(now);
        }
        self.paper(kind).ok_or(Fault::NotFound.into())
    }

    /// Ends the transfer because the buyer does not agree [S13.15].
    ///
    /// # Errors
    /// [`Fault::AlreadyClaimed`] with the time of the claim when another key holds it, [`Fault::Conflict`] when this key
    /// has signed the agreement, or for another refusal than the first, [`Fault::NotAllowed`] where there is no
    /// agreement, [`Fault::ClaimRefused`] for a refusal that was checked against another transfer, or why the transfer
    /// is over.
    pub fn refuse(&mut self, checked: CheckedRefusal, now: Millis) -> Result<Millis, Refused> {
        let CheckedRefusal { proof, sealed_refusal } = checked;
        let by = proof.link_key();
        if proof.transfer() != self.terms.id {
            return Err(Fault::ClaimRefused.into());
        }
        if let (Phase::Refused, Some(first)) = (self.phase, &self.refusal)
            && first.link_key == by
        {
            let is_same = first.sealed_refusal == sealed_refusal;
            return if is_same { Ok(first.time) } else { Err(conflict(first.time)) };
        }
        self.live(now)?;
        if self.terms.agreement.is_none() {
            return Err(Fault::NotAllowed.into());
        }
        if sealed_refusal.is_empty() || sealed_refusal.len() > limits::SEALED_AGREEMENT_BYTES_MAX {
            let fault = if sealed_refusal.is_empty() { Fault::BadMessage } else { Fault::TooLarge };
            return Err(fault.into());
        }
        match &self.claim {
            Some(claim) if claim.link_key == by => return Err(conflict(claim.time)),
            Some(_) => return Err(self.too_late(by, now)),
            None => {}
        }
        let body = Some(crate::proof::digest(&sealed_refusal));
        self.refusal = Some(RefusalRecord { link_key: by, sealed_refusal, time: now });
        self.end_with(Phase::Refused, EventKind::RefusedByBuyer, Some(by), body, now);
        Ok(now)
    }

    /// Whether a first paper of a kind may come now.
    fn has_place(&mut self, kind: PaperKind, now: Millis) -> Result<(), Refused> {
        match kind {
            PaperKind::Agreement => {
                self.live(now)?;
                match (self.terms.agreement, &self.claim) {
                    (None, _) => Err(Fault::NotAllowed.into()),
                    (Some(_), Some(claim)) => Err(conflict(claim.time)),
                    (Some(_), None) => Ok(()),
                }
            }
            PaperKind::Delivery => {
                self.live(now)?;
                self.when(Phase::Complete)
            }
            PaperKind::Release => {
                self.live(now)?;
                if self.paper(PaperKind::Delivery).is_some() { Ok(()) } else { Err(self.not_yet()) }
            }
            PaperKind::Acceptance => self.when(Phase::Receipted),
            PaperKind::Revocation => self.when(Phase::Revoked),
            PaperKind::Destruction => Ok(()),
        }
    }

    fn when(&mut self, phase: Phase) -> Result<(), Refused> {
        match self.phase {
            now if now == phase => Ok(()),
            now if now.is_final() => self.live(Millis(0)),
            _ => Err(self.not_yet()),
        }
    }

    fn not_yet(&self) -> Refused {
        Refused::of(Fault::NotComplete).with_number(self.durable.0)
    }

    /// Whether the papers are such as operations lead to.
    pub(super) fn are_papers_sound(&self) -> bool {
        self.papers.iter().enumerate().all(|(at, paper)| {
            let is_first = self.papers.iter().take(at).all(|earlier| earlier.kind != paper.kind);
            let fits = PaperKind::of_number(paper.kind).is_some_and(|kind| {
                let has_depositor = match kind.depositor() {
                    Depositor::Seller => true,
                    Depositor::Claimant => self.claim.is_some(),
                };
                let is_wanted = kind != PaperKind::Agreement || self.terms.agreement.is_some();
                has_depositor && is_wanted && (1..=kind.bytes_max()).contains(&paper.bytes)
            });
            is_first && fits
        })
    }
}

fn conflict(time: Millis) -> Refused {
    Refused::of(Fault::Conflict).with_time(time)
}
