//! Checking a seal against the offer, and a receipt against both.
//!
//! # Source
//! SPEC [S9.5] [S10.4] [S10.6] [S10.10].

use crate::ids::Digest;

use super::claim::VerifiedClaim;
use super::fault::ProofFault;
use super::identity::{Fingerprint, PublicIdentity};
use super::signature::verify;
use super::statement::{Agreement, Kind, OfferText, ReceiptText, SealText};
use super::text_id;

/// What a seal has to fit.
#[derive(Clone, Copy, Debug)]
pub struct SealCheck<'a> {
    /// The text of the offer statement.
    pub offer: &'a str,
    /// Who signed the offer.
    pub seller: &'a PublicIdentity,
}

/// A seal that belongs to an offer and is signed by its seller. Whether it is true of the archive is for the reader
/// of the archive to say.
#[derive(Debug)]
pub struct VerifiedSeal {
    text: SealText,
    id: Digest,
}

impl VerifiedSeal {
    /// What it says.
    pub fn text(&self) -> &SealText {
        &self.text
    }

    /// The hash of its text.
    pub fn id(&self) -> Digest {
        self.id
    }
}

/// Checks that a seal belongs to an offer and is signed by its seller.
///
/// # Errors
/// [`ProofFault`].
pub fn check_seal(check: &SealCheck<'_>, text: &str, signature: &str) -> Result<VerifiedSeal, ProofFault> {
    let offer = OfferText::parse(check.offer)?;
    let seal = SealText::parse(text)?;
    all_fit(&[
        ("seller-key", offer.seller_key == Fingerprint::of(check.seller)),
        ("transfer", seal.transfer == offer.transfer),
        ("offer", seal.offer == text_id(check.offer)),
    ])?;
    if verify(Kind::Seal, text, signature)? != *check.seller {
        return Err(ProofFault::OtherSigner);
    }
    Ok(VerifiedSeal { text: seal, id: text_id(text) })
}

/// What a receipt has to fit: what the seller stated, and who claimed.
#[derive(Clone, Copy, Debug)]
pub struct ReceiptCheck<'a> {
    /// The text of the offer statement.
    pub offer: &'a str,
    /// The text of the seal statement.
    pub seal: &'a str,
    /// The claim.
    pub claim: &'a VerifiedClaim,
}

/// A receipt that says in every line what the seller stated, by the identity that claimed.
#[derive(Debug)]
pub struct VerifiedReceipt {
    text: ReceiptText,
    buyer: PublicIdentity,
}

impl VerifiedReceipt {
    /// What it says.
    pub fn text(&self) -> &ReceiptText {
        &self.text
    }

    /// Whose it is.
    pub fn buyer(&self) -> &PublicIdentity {
        &self.buyer
    }
}

/// Checks a receipt.
///
/// # Errors
/// [`ProofFault`].
pub fn check_receipt(check: &ReceiptCheck<'_>, text: &str, signature: &str) -> Result<VerifiedReceipt, ProofFault> {
    let offer = OfferText::parse(check.offer)?;
    let seal = SealText::parse(check.seal)?;
    let claim = check.claim;
    let receipt = ReceiptText::parse(text)?;
    // [S10.10]
    all_fit(&[
        ("transfer", receipt.transfer == offer.transfer),
        ("transfer", receipt.transfer == seal.transfer && receipt.transfer == claim.text().transfer),
        ("offer", receipt.offer == text_id(check.offer) && receipt.offer == seal.offer),
        ("seal", receipt.seal == text_id(check.seal)),
        ("root", receipt.root == seal.root),
        ("entries", receipt.entries == seal.entries),
        ("files", receipt.files == seal.files),
        ("folders", receipt.folders == seal.folders),
        ("links", receipt.links == seal.links),
        ("exceptions", receipt.exceptions == seal.exceptions),
        ("bytes", receipt.bytes == seal.bytes),
        ("kept-existing", receipt.kept_existing <= seal.files),
        ("seller-key", receipt.seller_key == offer.seller_key),
        ("buyer-key", receipt.buyer_key == Fingerprint::of(claim.buyer())),
        ("relay-key", receipt.relay_key == offer.relay_key),
        // A claim names the commitment, which the seller has compared when it came.
        ("agreement", receipt.agreement == offer.agreement),
        ("agreement", (receipt.agreement == Agreement::None) == (claim.text().agreement == Agreement::None)),
    ])?;
    let buyer = verify(Kind::Receipt, text, signature)?;
    if buyer != *claim.buyer() {
        return Err(ProofFault::OtherSigner);
    }
    Ok(VerifiedReceipt { text: receipt, buyer })
}

fn all_fit(lines: &[(&'static str, bool)]) -> Result<(), ProofFault> {
    match lines.iter().find(|(_, fits)| !fits) {
        Some((line, _)) => Err(ProofFault::Mismatch(line)),
        None => Ok(()),
    }
}
