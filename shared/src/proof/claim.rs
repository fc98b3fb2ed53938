//! Checking a claim: by the relay before it gives out its share, and once more by the seller.
//!
//! # Source
//! SPEC [S10.5] [S10.10] [S13.5].

use crate::ids::{ClaimKey, Digest, LinkKey, TransferId};
use crate::keys::hybrid::{self, HybridPublic};

use super::fault::ProofFault;
use super::identity::{Fingerprint, PublicIdentity};
use super::signature::verify;
use super::statement::{Channel, ClaimText, Kind};

/// What a claim has to fit.
#[derive(Clone, Copy, Debug)]
pub struct ClaimCheck<'a> {
    /// Which transfer.
    pub transfer: TransferId,
    /// SHA-256 of the sealed offer.
    pub offer_digest: Digest,
    /// The public half of the key derived from the code.
    pub claim_key: ClaimKey,
    /// The link key of the buyer's connection.
    pub link_key: LinkKey,
    /// What the share will be, or was, sealed to.
    pub hybrid: &'a HybridPublic,
    /// What the relay's end of the connection computes; the seller, who has no part in it, leaves it out.
    pub channel: Option<&'a [u8; 32]>,
}

/// A claim that holds.
#[derive(Debug)]
pub struct VerifiedClaim {
    text: ClaimText,
    buyer: PublicIdentity,
}

impl VerifiedClaim {
    /// What it says.
    pub fn text(&self) -> &ClaimText {
        &self.text
    }

    /// Whose it is.
    pub fn buyer(&self) -> &PublicIdentity {
        &self.buyer
    }
}

/// Checks every line of a claim and both signatures.
///
/// # Errors
/// [`ProofFault`].
pub fn check_claim(
    check: &ClaimCheck<'_>,
    text: &str,
    identity_signature: &str,
    claim_signature: &str,
) -> Result<VerifiedClaim, ProofFault> {
    let claim = ClaimText::parse(text)?;
    // [S13.5] lines first: they are cheaper than signatures
    let lines = [
        ("transfer", claim.transfer == check.transfer),
        ("offer", claim.offer == check.offer_digest),
        ("link-key", claim.link_key == check.link_key),
        ("bundle", claim.bundle == hybrid::bundle(&check.link_key, check.hybrid)),
        ("channel", check.channel.is_none_or(|channel| claim.channel == Channel(*channel))),
    ];
    if let Some((line, _)) = lines.into_iter().find(|(_, fits)| !fits) {
        return Err(ProofFault::Mismatch(line));
    }
    if verify(Kind::Claim, text, claim_signature)?.as_bytes() != &check.claim_key.0 {
        return Err(ProofFault::OtherSigner);
    }
    let buyer = verify(Kind::Claim, text, identity_signature)?;
    // [S10.5] The seller knows the claim key too, so it cannot be the buyer's identity.
    if Fingerprint::of(&buyer) != claim.buyer_key || buyer.as_bytes() == &check.claim_key.0 {
        return Err(ProofFault::OtherSigner);
    }
    Ok(VerifiedClaim { text: claim, buyer })
}
