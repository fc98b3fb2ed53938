//! A claim that was checked, before it reaches a transfer.
//!
//! # Source
//! SPEC [S13.5] [S13.14].

use crate::fault::Fault;
use crate::ids::{Digest, LinkKey, Millis, TransferId};
use crate::limits;
use crate::proof::{Agreement, ClaimText, Fingerprint, VerifiedClaim};
use crate::protocol::message::{ClaimRecord, Refused};

/// A claim whose lines and signatures were checked against the transfer and the connection it came over [S13.5].
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct CheckedClaim {
    pub(super) transfer: TransferId,
    link_key: LinkKey,
    buyer_key: Fingerprint,
    hybrid_key: Vec<u8>,
    pub(super) text: String,
    identity_signature: String,
    claim_signature: String,
    agreement: Agreement,
    sealed_agreement: Option<Vec<u8>>,
}

impl CheckedClaim {
    /// Takes a claim together with the proof that it was checked; there is no other way to make one.
    pub fn new(
        verified: VerifiedClaim,
        hybrid_key: Vec<u8>,
        text: String,
        identity_signature: String,
        claim_signature: String,
    ) -> Self {
        let ClaimText { transfer, link_key, buyer_key, agreement, .. } = verified.text().clone();
        Self {
            transfer,
            link_key,
            buyer_key,
            hybrid_key,
            text,
            identity_signature,
            claim_signature,
            agreement,
            sealed_agreement: None,
        }
    }

    /// Together with the agreement that its buyer has signed.
    pub fn with_agreement(self, sealed_agreement: Option<Vec<u8>>) -> Self {
        Self { sealed_agreement, ..self }
    }

    /// Whether the buyer has signed what the seller asks for, or nothing where nothing is asked for.
    pub(super) fn agrees_to(&self, wanted: Option<Digest>) -> Result<(), Refused> {
        let sealed = self.sealed_agreement.as_deref();
        match (wanted, self.agreement, sealed) {
            (None, Agreement::None, None) => Ok(()),
            (None, ..) => Err(Fault::ClaimRefused.into()),
            (Some(wanted), Agreement::Of(signed), Some(sealed)) if wanted == signed && !sealed.is_empty() => {
                let limit = limits::SEALED_AGREEMENT_BYTES_MAX;
                if sealed.len() > limit { Err(Fault::TooLarge.into()) } else { Ok(()) }
            }
            (Some(_), ..) => Err(Fault::AgreementRequired.into()),
        }
    }

    /// Whose connection it came over.
    pub fn link_key(&self) -> LinkKey {
        self.link_key
    }

    /// Whether it is the first one made again, over another connection.
    pub(super) fn continues(&self, first: &ClaimRecord) -> bool {
        let same_buyer = ClaimText::parse(&first.text).is_ok_and(|text| text.buyer_key == self.buyer_key);
        same_buyer && first.hybrid_key == self.hybrid_key
    }

    pub(super) fn into_record(self, time: Millis) -> ClaimRecord {
        ClaimRecord {
            link_key: self.link_key,
            hybrid_key: self.hybrid_key,
            text: self.text,
            identity_signature: self.identity_signature,
            claim_signature: self.claim_signature,
            time,
            sealed_agreement: self.sealed_agreement,
        }
    }
}
