//! Signed statements: what seller and buyer can show to anybody, checkable with `ssh-keygen -Y verify` alone.
//!
//! | module | what it holds |
//! |---|---|
//! | [`identity`] | long-term keys in OpenSSH form, and fingerprints |
//! | [`time`] | times as people write them |
//! | [`line`](mod@line) | the strict text form: JSON of one fixed shape, read and written line by line |
//! | [`statement`] | the statements of seller and buyer |
//! | [`written`] | names in any script within them |
//! | [`signature`], [`signer`] | SSHSIG signatures over them, and whoever makes them |
//! | [`claim`] | checking a claim |
//! | [`destruction`] | the certificate of a destruction, and its witness |
//! | [`archive`] | checking a seal and a receipt against what the seller stated |
//! | [`log`] | the relay's log and its own statements |
//! | `agreement` | the agreement's gate: document, signed agreement, refusal (only with `endpoint`) |
//! | `offer` | the sealed offer (only with `endpoint`) |
//! | `receipt` | the sealed receipt (only with `endpoint`) |
//! | `paper` | sealed papers (only with `endpoint`) |
//! | [`refusal_proof`] | what shows the relay that a refusal comes from whoever has the code |
//!
//! # Source
//! SPEC section S10.

#[cfg(feature = "endpoint")]
pub mod agreement;
pub mod archive;
pub mod claim;
pub mod destruction;
mod fault;
pub mod identity;
pub mod line;
pub mod log;
#[cfg(feature = "endpoint")]
pub mod offer;
#[cfg(feature = "endpoint")]
pub mod paper;
#[cfg(feature = "endpoint")]
pub mod receipt;
pub mod refusal_proof;
pub mod signature;
pub mod signer;
pub mod statement;
pub mod time;
pub mod written;

#[cfg(feature = "endpoint")]
pub use agreement::{
    AgreementCheck, DOCUMENT_BYTES_MAX, DocumentTerms, RefusalTextCheck, Signatory, SignedRefusal, SignedText,
    check_agreement, check_refusal, open_agreement, open_document, open_refusal, seal_agreement, seal_document,
    seal_refusal, sign_agreement, sign_refusal,
};
pub use archive::{ReceiptCheck, SealCheck, VerifiedReceipt, VerifiedSeal, check_receipt, check_seal};
pub use claim::{ClaimCheck, VerifiedClaim, check_claim};
pub use fault::ProofFault;
#[cfg(feature = "endpoint")]
pub use identity::Protection;
pub use identity::{Fingerprint, Identity, IdentityFault, PublicIdentity, fingerprint_of_link_key};
pub use line::{LineProblem, StatementFault};
pub use log::{DeletionText, EndReason, LogEntry, LogHeadText, Method, event_word};
#[cfg(feature = "endpoint")]
pub use offer::{Biggest, KeptOffer, OpenedOffer, Summary, open_offer, reopen_offer, seal_offer};
#[cfg(feature = "endpoint")]
pub use paper::{open_paper, seal_paper};
#[cfg(feature = "endpoint")]
pub use receipt::{ReceiptBundle, open_receipt, seal_receipt};
pub use refusal_proof::{RefusalCheck, VerifiedRefusalProof, check_refusal_proof, prove_refusal};
pub use signature::{sign, verify};
pub use signer::{Signer, SignerFault};
pub use statement::{
    Agreed, Agreement, AgreementText, Channel, ClaimText, Disagreed, Kind, Mode, OfferText, ReceiptText, RefusalText,
    SealText, Verified,
};
pub use time::Stamp;
pub use written::Written;

use crate::ids::Digest;

/// SHA-256 of some bytes.
pub fn digest(bytes: &[u8]) -> Digest {
    let mut digest = Digest([0; 32]);
    digest.0.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    digest
}

/// SHA-256 of bytes that come piece by piece.
pub struct Digester(aws_lc_rs::digest::Context);

impl Default for Digester {
    fn default() -> Self {
        Self(aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256))
    }
}

impl Digester {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all of them.
    pub fn finish(self) -> Digest {
        let mut digest = Digest([0; 32]);
        digest.0.copy_from_slice(self.0.finish().as_ref());
        digest
    }
}

/// What a statement is named by: the hash of its text.
///
/// # Source
/// SPEC [S10.1].
pub fn text_id(text: &str) -> Digest {
    digest(text.as_bytes())
}
