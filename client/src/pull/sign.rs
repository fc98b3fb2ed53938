//! The receipt: signed over what was written, kept before it is delivered.
//!
//! # Source
//! SPEC [S9.5] [S10.6] [S10.9] [S15.4].

use handover_shared::archive::catalogue::Tail;
use handover_shared::ids::Millis;
use handover_shared::keys::schedule::ContentKey;
use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::proof::{
    self, Fingerprint, Kind, OpenedOffer, ProofFault, ReceiptBundle, ReceiptText, SealCheck, Verified, VerifiedSeal,
};

use super::finish::Tally;
use super::kept::{self, Kept};
use crate::error::Error;
use crate::home;
use crate::home::identity::Owner;
use crate::home::signing::unsigned;
use crate::home::transfers::Folder;

/// An archive whose seal is the signature of the offer's seller, over the very numbers and root that were computed here.
///
/// Only [`check_seal`] makes it, and no receipt is signed without it.
pub(super) struct Sealed {
    tail: Tail,
    seal: VerifiedSeal,
}

impl Sealed {
    /// The tail.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }
}

/// Checks the seal. The tail is one that the archive's reader has found equal to what it read.
pub(super) fn check_seal(offer: &OpenedOffer, tail_record: &[u8]) -> Result<Sealed, Error> {
    // [S9.5]
    let altered = || Error::Altered { what: "S9.5", block: None };
    let tail = Tail::parse(tail_record).map_err(|fault| Error::Altered { what: fault.rule(), block: None })?;
    let check = SealCheck { offer: &offer.statement, seller: &offer.seller };
    let seal = proof::check_seal(&check, &tail.seal_text, &tail.seal_signature).map_err(|fault| {
        tracing::warn!(%fault, "the seal does not check");
        altered()
    })?;
    let text = seal.text();
    let counts = tail.counts;
    let same = text.root == tail.root
        && text.entries == counts.entries()
        && text.files == counts.files
        && text.folders == counts.folders
        && text.links == counts.links
        && text.exceptions == counts.exceptions
        && text.bytes == counts.bytes
        && text.stream_blocks == tail.stream_blocks;
    if same { Ok(Sealed { tail, seal }) } else { Err(altered()) }
}

/// Checks that the seal names the inventory of what came. [S9.6]
pub(super) fn check_inventory(folder: &Folder, sealed: &Sealed) -> Result<(), Error> {
    let kept = home::transfers::read_inventory(folder)?;
    match kept.map(|text| proof::text_id(&text)) {
        Some(id) if id == sealed.seal.text().inventory => Ok(()),
        Some(_) => Err(Error::Altered { what: "S9.6", block: None }),
        None => Err(Error::Internal("the inventory is not here".into())),
    }
}

/// Signs the receipt and keeps it, in the order in which a crash does no harm.
pub(super) fn sign(
    folder: &Folder,
    offer: &OpenedOffer,
    sealed: &Sealed,
    tally: &Tally,
    owner: &Owner,
    key: &ContentKey,
    now: Millis,
) -> Result<(), Error> {
    if kept::read_sealed_receipt(folder)?.is_some() {
        return Ok(());
    }
    let internal = |fault: ProofFault| Error::Internal(fault.to_string());
    let counts = sealed.tail.counts;
    let text = ReceiptText {
        transfer: offer.text.transfer,
        offer: offer.text_id,
        seal: sealed.seal.id(),
        root: sealed.tail.root,
        entries: counts.entries(),
        files: counts.files,
        folders: counts.folders,
        links: counts.links,
        exceptions: counts.exceptions,
        bytes: counts.bytes,
        kept_existing: tally.kept_existing,
        seller_key: offer.text.seller_key,
        buyer_key: Fingerprint::of(&owner.identity.public()),
        relay_key: offer.text.relay_key,
        agreement: offer.text.agreement,
        received: now.into(),
        verified: Verified::All,
    }
    .to_text();
    let signature = proof::sign(Kind::Receipt, &text, &owner.identity).map_err(unsigned)?;
    kept::write_statement(folder, Kept::Seal, &sealed.tail.seal_text, &sealed.tail.seal_signature)?;
    kept::write_statement(folder, Kept::Receipt, &text, &signature)?;
    kept::write_outcome(folder, tally)?;
    let bundle =
        ReceiptBundle { text, signature, buyer_name: owner.name.clone(), organisation: owner.organisation.clone() };
    let entropy: &mut dyn Entropy = &mut OsEntropy;
    let receipt_key = key.receipt_key(&offer.text.transfer);
    let receipt =
        proof::seal_receipt(&receipt_key, &offer.text.transfer, &bundle, entropy.array()).map_err(internal)?;
    kept::write_sealed_receipt(folder, &receipt)
}
