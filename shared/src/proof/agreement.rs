//! The agreement's gate: the document that the buyer must sign before the data opens, its signed agreement, and the
//! refusal.
//!
//! # Source
//! SPEC [S10.12] [S10.13].

use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use crate::codec;
use crate::fault::Fault;
use crate::ids::{ClaimKey, Digest, TransferId};
use crate::keys::Secret;
use crate::keys::labels;
use crate::keys::seal::{self, SALT_BYTES};
use crate::limits;

use super::fault::ProofFault;
use super::identity::{Fingerprint, PublicIdentity};
use super::offer::{OpenedOffer, check_name};
use super::signature::{sign, verify};
use super::signer::Signer;
use super::statement::{Agreed, Agreement, AgreementText, Disagreed, Kind, OfferText, RefusalText};
use super::time::Stamp;
use super::written::Written;
use super::{digest, text_id};

/// The most bytes a document may have before it is sealed.
pub const DOCUMENT_BYTES_MAX: usize = {
    let most = limits::SEALED_DOCUMENT_BYTES_MAX as usize;
    let chunks = most / (seal::CHUNK_BYTES + seal::TAG_BYTES) + 1;
    most - seal::HEADER_BYTES - chunks * seal::TAG_BYTES
};

/// What an offer's summary says of the document.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct DocumentTerms {
    /// The name of its file, for people.
    #[n(0)]
    pub name: String,
    /// Its length.
    #[n(1)]
    pub bytes: u64,
    /// Makes the commitment say nothing to whoever knows the document only.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub salt: [u8; 32],
}

impl DocumentTerms {
    /// What relay and claim see of the document.
    pub fn commitment(&self, document: &Digest) -> Digest {
        digest(&labels::context(labels::AGREEMENT_COMMITMENT, &[&self.salt, &document.0]))
    }

    pub(super) fn check(&self) -> Result<(), ProofFault> {
        Written::new("name of the document", &self.name, limits::DOCUMENT_NAME_CHARS_MAX)?;
        let is_possible = (1..=DOCUMENT_BYTES_MAX as u64).contains(&self.bytes);
        if is_possible { Ok(()) } else { Err(ProofFault::Mismatch("agreement")) }
    }
}

impl OpenedOffer {
    /// The document that has to be signed, and what says so to the relay; nothing where there is none.
    pub fn document(&self) -> Option<(&DocumentTerms, Digest)> {
        match (&self.summary.document, self.text.agreement) {
            (Some(terms), Agreement::Of(digest)) => Some((terms, digest)),
            _ => None,
        }
    }

    /// What a claim names the agreement by.
    pub fn commitment(&self) -> Agreement {
        self.document().map_or(Agreement::None, |(terms, digest)| Agreement::Of(terms.commitment(&digest)))
    }
}

/// Seals a document to whoever has the code.
///
/// # Errors
/// [`ProofFault::Contents`] when it is empty or too long.
pub fn seal_document(
    agreement_key: &Secret<32>,
    tid: &TransferId,
    document: &[u8],
    salt: [u8; SALT_BYTES],
) -> Result<Vec<u8>, ProofFault> {
    if document.is_empty() || document.len() > DOCUMENT_BYTES_MAX {
        return Err(ProofFault::Contents(Fault::TooLarge));
    }
    Ok(seal::seal(agreement_key.expose(), &context(labels::DOCUMENT_CONTEXT, tid), salt, document))
}

/// Opens a document and compares it with what the offer says of it.
///
/// # Errors
/// [`ProofFault::Sealed`], [`ProofFault::Mismatch`] for another document than the offer's.
pub fn open_document(
    agreement_key: &Secret<32>,
    offer: &OpenedOffer,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ProofFault> {
    let (terms, wanted) = offer.document().ok_or(ProofFault::Mismatch("agreement"))?;
    if sealed.len() as u64 > limits::SEALED_DOCUMENT_BYTES_MAX {
        return Err(ProofFault::Contents(Fault::TooLarge));
    }
    let context = context(labels::DOCUMENT_CONTEXT, &offer.text.transfer);
    let document = seal::open(agreement_key.expose(), &context, sealed)?;
    let is_right = document.len() as u64 == terms.bytes && digest(&document) == wanted;
    if is_right { Ok(document) } else { Err(ProofFault::Mismatch("agreement")) }
}

/// Who signs or refuses, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signatory {
    /// The full name.
    pub name: Written,
    /// The organisation it signs for.
    pub organisation: Option<Written>,
}

/// A statement about an offer's document and the signature under it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SignedText {
    /// The statement.
    #[n(0)]
    pub text: String,
    /// By the buyer's identity.
    #[n(1)]
    pub signature: String,
}

/// A refusal, its signatures, and who refuses, in words.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SignedRefusal {
    /// The statement.
    #[n(0)]
    pub text: String,
    /// By the buyer's identity.
    #[n(1)]
    pub signature: String,
    /// By the key derived from the code.
    #[n(2)]
    pub claim_signature: String,
    /// What the buyer calls itself; nothing in it has been escaped.
    #[n(3)]
    pub buyer_name: String,
    /// The buyer's organisation; nothing in it has been escaped.
    #[n(4)]
    pub organisation: Option<String>,
}

/// Signs the agreement to an offer's document.
///
/// # Errors
/// [`ProofFault::Mismatch`] where there is none to sign.
pub fn sign_agreement(
    offer: &OpenedOffer,
    signatory: Signatory,
    time: Stamp,
    by: &dyn Signer,
) -> Result<SignedText, ProofFault> {
    let (terms, agreement) = offer.document().ok_or(ProofFault::Mismatch("agreement"))?;
    let text = AgreementText {
        transfer: offer.text.transfer,
        offer: offer.text_id,
        agreement,
        document: Written::new("name of the document", &terms.name, limits::DOCUMENT_NAME_CHARS_MAX)?,
        document_bytes: terms.bytes,
        seller_key: offer.text.seller_key,
        buyer_key: Fingerprint::of(&by.public()),
        name: signatory.name,
        organisation: signatory.organisation,
        time,
        agrees: Agreed::Yes,
    }
    .to_text();
    let signature = sign(Kind::Agreement, &text, by)?;
    Ok(SignedText { text, signature })
}

/// Signs the refusal of an offer's document, with the identity and with the key derived from the code.
///
/// # Errors
/// [`ProofFault::Mismatch`] where there is nothing to refuse.
pub fn sign_refusal(
    offer: &OpenedOffer,
    reason: Option<Written>,
    time: Stamp,
    by: &dyn Signer,
    claim: &dyn Signer,
) -> Result<SignedRefusal, ProofFault> {
    let (_, agreement) = offer.document().ok_or(ProofFault::Mismatch("agreement"))?;
    let text = RefusalText {
        transfer: offer.text.transfer,
        offer: offer.text_id,
        agreement,
        seller_key: offer.text.seller_key,
        buyer_key: Fingerprint::of(&by.public()),
        reason,
        time,
        agrees: Disagreed::No,
    }
    .to_text();
    let signature = sign(Kind::Refusal, &text, by)?;
    let claim_signature = sign(Kind::Refusal, &text, claim)?;
    Ok(SignedRefusal { text, signature, claim_signature, buyer_name: String::new(), organisation: None })
}

/// Seals a signed agreement to the seller.
///
/// # Errors
/// [`ProofFault::Contents`] when it is too long.
pub fn seal_agreement(
    agreement_key: &Secret<32>,
    tid: &TransferId,
    signed: &SignedText,
    salt: [u8; SALT_BYTES],
) -> Result<Vec<u8>, ProofFault> {
    seal_short(agreement_key, &context(labels::AGREEMENT_CONTEXT, tid), &codec::encode(signed), salt)
}

/// Opens a sealed agreement; what it says is for [`check_agreement`].
///
/// # Errors
/// [`ProofFault`].
pub fn open_agreement(agreement_key: &Secret<32>, tid: &TransferId, sealed: &[u8]) -> Result<SignedText, ProofFault> {
    let plain = open_short(agreement_key, &context(labels::AGREEMENT_CONTEXT, tid), sealed)?;
    codec::decode(&plain).map_err(ProofFault::Contents)
}

/// Seals a refusal to the seller.
///
/// # Errors
/// [`ProofFault::Name`] when a name is too long, [`ProofFault::Contents`] when the whole is.
pub fn seal_refusal(
    agreement_key: &Secret<32>,
    tid: &TransferId,
    refusal: &SignedRefusal,
    salt: [u8; SALT_BYTES],
) -> Result<Vec<u8>, ProofFault> {
    refusal.check_names()?;
    seal_short(agreement_key, &context(labels::REFUSAL_CONTEXT, tid), &codec::encode(refusal), salt)
}

/// Opens a sealed refusal; what it says is for [`check_refusal`].
///
/// # Errors
/// [`ProofFault`].
pub fn open_refusal(agreement_key: &Secret<32>, tid: &TransferId, sealed: &[u8]) -> Result<SignedRefusal, ProofFault> {
    let plain = open_short(agreement_key, &context(labels::REFUSAL_CONTEXT, tid), sealed)?;
    let refusal: SignedRefusal = codec::decode(&plain).map_err(ProofFault::Contents)?;
    refusal.check_names()?;
    Ok(refusal)
}

impl SignedRefusal {
    fn check_names(&self) -> Result<(), ProofFault> {
        check_name("buyer name", &self.buyer_name, limits::LABEL_CHARS_MAX)?;
        self.organisation.iter().try_for_each(|name| check_name("organisation", name, limits::LABEL_CHARS_MAX))
    }
}

/// What an agreement has to fit: what the seller stated, and who claimed.
#[derive(Clone, Copy, Debug)]
pub struct AgreementCheck<'a> {
    /// The text of the offer statement.
    pub offer: &'a str,
    /// What the offer's summary says of the document.
    pub document: &'a DocumentTerms,
    /// Whose claim it came with.
    pub buyer: &'a PublicIdentity,
}

/// Checks every line of an agreement and its signature.
///
/// # Errors
/// [`ProofFault`].
pub fn check_agreement(check: &AgreementCheck<'_>, signed: &SignedText) -> Result<AgreementText, ProofFault> {
    let offer = OfferText::parse(check.offer)?;
    let agreement = AgreementText::parse(&signed.text)?;
    all_fit(&[
        ("transfer", agreement.transfer == offer.transfer),
        ("offer", agreement.offer == text_id(check.offer)),
        ("agreement", offer.agreement == Agreement::Of(agreement.agreement)),
        ("document", agreement.document.as_str() == check.document.name.trim()),
        ("document-bytes", agreement.document_bytes == check.document.bytes),
        ("seller-key", agreement.seller_key == offer.seller_key),
        ("buyer-key", agreement.buyer_key == Fingerprint::of(check.buyer)),
    ])?;
    if verify(Kind::Agreement, &signed.text, &signed.signature)? != *check.buyer {
        return Err(ProofFault::OtherSigner);
    }
    Ok(agreement)
}

/// What a refusal has to fit.
#[derive(Clone, Copy, Debug)]
pub struct RefusalTextCheck<'a> {
    /// The text of the offer statement.
    pub offer: &'a str,
    /// The public half of the key derived from the code.
    pub claim_key: ClaimKey,
}

/// Checks every line of a refusal and both signatures.
///
/// # Errors
/// [`ProofFault`].
pub fn check_refusal(check: &RefusalTextCheck<'_>, refusal: &SignedRefusal) -> Result<RefusalText, ProofFault> {
    let offer = OfferText::parse(check.offer)?;
    let text = RefusalText::parse(&refusal.text)?;
    all_fit(&[
        ("transfer", text.transfer == offer.transfer),
        ("offer", text.offer == text_id(check.offer)),
        ("agreement", offer.agreement == Agreement::Of(text.agreement)),
        ("seller-key", text.seller_key == offer.seller_key),
    ])?;
    if verify(Kind::Refusal, &refusal.text, &refusal.claim_signature)?.as_bytes() != &check.claim_key.0 {
        return Err(ProofFault::OtherSigner);
    }
    let buyer = verify(Kind::Refusal, &refusal.text, &refusal.signature)?;
    // The seller knows the claim key too, so it cannot be the buyer's identity.
    if Fingerprint::of(&buyer) != text.buyer_key || buyer.as_bytes() == &check.claim_key.0 {
        return Err(ProofFault::OtherSigner);
    }
    Ok(text)
}

fn all_fit(lines: &[(&'static str, bool)]) -> Result<(), ProofFault> {
    match lines.iter().find(|(_, fits)| !fits) {
        Some((line, _)) => Err(ProofFault::Mismatch(line)),
        None => Ok(()),
    }
}

fn seal_short(key: &Secret<32>, context: &[u8], plain: &[u8], salt: [u8; SALT_BYTES]) -> Result<Vec<u8>, ProofFault> {
    let sealed = seal::seal(key.expose(), context, salt, plain);
    let is_short = sealed.len() <= limits::SEALED_AGREEMENT_BYTES_MAX;
    if is_short { Ok(sealed) } else { Err(ProofFault::Contents(Fault::TooLarge)) }
}

fn open_short(key: &Secret<32>, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProofFault> {
    if sealed.len() > limits::SEALED_AGREEMENT_BYTES_MAX {
        return Err(ProofFault::Contents(Fault::TooLarge));
    }
    Ok(seal::open(key.expose(), context, sealed)?)
}

fn context(label: &[u8], tid: &TransferId) -> Vec<u8> {
    labels::context(label, &[&tid.0])
}
