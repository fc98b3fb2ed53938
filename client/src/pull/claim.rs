//! The claim: signed twice, answered once with the relay share, which opens the envelope.
//!
//! # Source
//! SPEC [S4.5] [S10.5] [S12.1].

use std::sync::Arc;

use handover_shared::ids::{Bundle, LinkKey, Locator, Millis};
use handover_shared::keys::Secret;
use handover_shared::keys::code::Code;
use handover_shared::keys::hybrid::{self, HybridSecret};
use handover_shared::keys::schedule::{CodeKeys, ContentKey, open_envelope};
use handover_shared::proof::{self, Channel, ClaimText, Fingerprint, Kind, OpenedOffer, Signer};
use handover_shared::protocol::message::{Claim, Released};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::home::Home;
use crate::home::signing::{SigningKey, unsigned};
use crate::home::transfers::Secrets;

/// How the relay finds the transfer of a code.
pub(super) fn locator_of(code: &Code) -> Locator {
    CodeKeys::of(code).locator
}

/// Everything a claim is made of.
pub(super) struct Claiming {
    keys: CodeKeys,
    hybrid: HybridSecret,
    identity: SigningKey,
    offer: Arc<OpenedOffer>,
    link_key: LinkKey,
    bundle: Bundle,
}

impl Claiming {
    /// Gathers it.
    ///
    /// # Errors
    /// [`Error::Internal`] if the secrets were dropped already.
    pub fn of(home: &Home, secrets: &Secrets, offer: Arc<OpenedOffer>, link_key: LinkKey) -> Result<Self, Error> {
        let dropped = || Error::Internal("the secrets of the claim are not here".into());
        let code = secrets.code.as_ref().map(|code| Zeroizing::new(*code)).ok_or_else(dropped)?;
        let seed = secrets.hybrid_seed.as_ref().map(|seed| Zeroizing::new(*seed)).ok_or_else(dropped)?;
        let hybrid = HybridSecret::of_seed(Secret::new(seed));
        let bundle = hybrid::bundle(&link_key, &hybrid.public());
        let keys = CodeKeys::of(&Code::of_secret(Secret::new(code)));
        Ok(Self { keys, hybrid, identity: home.identity_or_new()?.identity, offer, link_key, bundle })
    }

    /// The claim for a connection, its text, and the identity's signature.
    ///
    /// # Errors
    /// [`Error::Signing`] if whoever holds the key does not sign.
    pub fn claim(
        &self,
        channel: [u8; 32],
        now: Millis,
        sealed_agreement: Option<Vec<u8>>,
    ) -> Result<(Claim, String, String), Error> {
        let transfer = self.offer.text.transfer;
        // [S10.5]
        let text = ClaimText {
            transfer,
            offer: self.offer.sealed_digest,
            buyer_key: Fingerprint::of(&self.identity.public()),
            link_key: self.link_key,
            bundle: self.bundle,
            agreement: self.offer.commitment(),
            channel: Channel(channel),
            time: now.into(),
        }
        .to_text();
        let sign = |by: &dyn Signer| proof::sign(Kind::Claim, &text, by).map_err(unsigned);
        let (identity_signature, claim_signature) = (sign(&self.identity)?, sign(self.keys.claim.identity())?);
        let hybrid_key = self.hybrid.public().as_bytes().to_vec();
        let signature = identity_signature.clone();
        let claim =
            Claim { transfer, hybrid_key, text: text.clone(), identity_signature, claim_signature, sealed_agreement };
        Ok((claim, text, signature))
    }

    /// Opens what the relay released.
    ///
    /// # Errors
    /// [`Error::Altered`] if the share or the envelope is not the one that belongs to the offer.
    pub fn open(&self, released: &Released) -> Result<ContentKey, Error> {
        let transfer = self.offer.text.transfer;
        let share =
            hybrid::accept_share(&self.hybrid, &transfer, &self.bundle, &released.encapsulated, &released.sealed_share);
        let share = share.map_err(|_fault| Error::Altered { what: "S4.7", block: None })?;
        // [S4.5]
        open_envelope(
            &self.keys.psk,
            &share,
            &transfer,
            &self.offer.sealed_digest,
            &released.envelope,
            &self.offer.text.commit,
        )
        .map_err(|_fault| Error::Altered { what: "S4.5", block: None })
    }
}
