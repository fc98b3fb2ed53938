//! The sealed offer: what the buyer sees before it agrees.
//!
//! # Shape
//! `Seal(offer key, "handover/v1/offer" ‖ 0x00, L([tid, text, signature, summary]) ‖ zeros)`; the zeros fill up to one
//! of four lengths, so that the relay learns next to nothing from it.
//!
//! # Source
//! SPEC [S10.3] [S10.7] [S10.8].

use minicbor::{Decode, Encode};

use crate::codec;
use crate::fault::Fault;
use crate::ids::{Digest, LinkKey, Millis, TransferId};
use crate::keys::labels;
use crate::keys::schedule::CodeKeys;
use crate::keys::seal::{self, SALT_BYTES};
use crate::limits;

use super::agreement::DocumentTerms;
use super::fault::ProofFault;
use super::identity::{Fingerprint, PublicIdentity};
use super::signature::{sign, verify};
use super::signer::Signer;
use super::statement::{Agreement, Kind, OfferText};
use super::{digest, text_id};

const LENGTH_BYTES: usize = 4;

/// What the transfer holds, in words and numbers for people.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Summary {
    /// What the seller calls it.
    #[n(0)]
    pub label: String,
    /// What the seller calls itself.
    #[n(1)]
    pub seller_name: String,
    /// The seller's organisation.
    #[n(2)]
    pub organisation: Option<String>,
    /// Files.
    #[n(3)]
    pub files: u64,
    /// Folders.
    #[n(4)]
    pub folders: u64,
    /// Links.
    #[n(5)]
    pub links: u64,
    /// Bytes of all files, where they are known before they are sent.
    #[n(6)]
    pub bytes: Option<u64>,
    /// Entries whose name begins with a dot.
    #[n(7)]
    pub hidden: u64,
    /// Files that may be executed.
    #[n(8)]
    pub executable: u64,
    /// The biggest entries, at most [`limits::BIGGEST_MAX`].
    #[n(9)]
    pub biggest: Vec<Biggest>,
    /// The document that the buyer must sign first.
    #[n(10)]
    pub document: Option<DocumentTerms>,
}

/// One of the biggest entries.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Biggest {
    /// Its name, as text for people.
    #[n(0)]
    pub name: String,
    /// Bytes in it.
    #[n(1)]
    pub bytes: u64,
    /// Files in it.
    #[n(2)]
    pub files: u64,
}

impl Summary {
    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// What an offer says of it.
    pub fn digest(&self) -> Digest {
        digest(&self.to_bytes())
    }

    /// Checks lengths and counts. Names are kept as they are; escaping them is for whoever shows them.
    ///
    /// # Errors
    /// [`ProofFault::Name`].
    pub fn check(&self) -> Result<(), ProofFault> {
        check_name("label", &self.label, limits::LABEL_CHARS_MAX)?;
        check_name("seller name", &self.seller_name, limits::LABEL_CHARS_MAX)?;
        if let Some(organisation) = &self.organisation {
            check_name("organisation", organisation, limits::LABEL_CHARS_MAX)?;
        }
        self.document.iter().try_for_each(DocumentTerms::check)?;
        if self.biggest.len() > limits::BIGGEST_MAX {
            return Err(ProofFault::Name("list of the biggest entries"));
        }
        self.biggest
            .iter()
            .try_for_each(|entry| check_name("name of an entry", &entry.name, limits::BIGGEST_NAME_CHARS_MAX))
    }
}

/// Refuses a text with more characters than the limit. It may be empty.
pub(super) fn check_name(field: &'static str, text: &str, chars_max: usize) -> Result<(), ProofFault> {
    // A character has four bytes at most: nothing longer than that is looped over.
    if text.len() > chars_max * 4 || text.chars().count() > chars_max { Err(ProofFault::Name(field)) } else { Ok(()) }
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct Parts {
    #[n(0)]
    transfer: TransferId,
    #[n(1)]
    text: String,
    #[n(2)]
    signature: String,
    #[cbor(n(3), with = "minicbor::bytes")]
    summary: Vec<u8>,
}

/// Signs and seals an offer.
///
/// # Errors
/// [`ProofFault::Mismatch`] when the text does not fit the summary or the signer, [`ProofFault::Name`] when the
/// summary is above its limits.
pub fn seal_offer(
    keys: &CodeKeys,
    text: &OfferText,
    summary: &Summary,
    by: &dyn Signer,
    salt: [u8; SALT_BYTES],
) -> Result<Vec<u8>, ProofFault> {
    summary.check()?;
    if text.summary != summary.digest() {
        return Err(ProofFault::Mismatch("summary"));
    }
    if text.seller_key != Fingerprint::of(&by.public()) {
        return Err(ProofFault::Mismatch("seller-key"));
    }
    let transfer = text.transfer;
    let text = text.to_text();
    let signature = sign(Kind::Offer, &text, by)?;
    let parts = codec::encode(&Parts { transfer, text, signature, summary: summary.to_bytes() });
    let padded = pad(&parts).ok_or(ProofFault::Contents(Fault::TooLarge))?;
    Ok(seal::seal(keys.offer.expose(), &context(), salt, &padded))
}

/// An offer that opened: its seller signed it, and the summary is the one it names. Only [`open_offer`] makes one.
#[derive(Debug)]
#[non_exhaustive]
pub struct OpenedOffer {
    /// The statement.
    pub text: OfferText,
    /// The statement as it was signed.
    pub statement: String,
    /// The seller's signature.
    pub signature: String,
    /// The hash of the statement's text.
    pub text_id: Digest,
    /// What the transfer holds; nothing in it has been escaped.
    pub summary: Summary,
    /// Who signed it.
    pub seller: PublicIdentity,
    /// The hash of the sealed offer.
    pub sealed_digest: Digest,
}

/// Opens a sealed offer and checks everything that needs no relay and no clock.
///
/// # Errors
/// [`ProofFault`].
pub fn open_offer(keys: &CodeKeys, sealed: &[u8], tid: &TransferId) -> Result<OpenedOffer, ProofFault> {
    if sealed.len() > limits::SEALED_OFFER_BYTES_MAX {
        return Err(ProofFault::Contents(Fault::TooLarge));
    }
    let padded = seal::open(keys.offer.expose(), &context(), sealed)?;
    let parts = unpad(&padded).ok_or(ProofFault::Contents(Fault::BadMessage))?;
    let parts: Parts = codec::decode(parts).map_err(ProofFault::Contents)?;
    check_parts(parts, tid, digest(sealed))
}

/// Checks an offer once more that was opened before, from what was kept of it: for a buyer whose code is spent and
/// wiped.
///
/// # Errors
/// [`ProofFault`].
pub fn reopen_offer(kept: KeptOffer, tid: &TransferId) -> Result<OpenedOffer, ProofFault> {
    let KeptOffer { statement, signature, summary, sealed_digest } = kept;
    check_parts(Parts { transfer: *tid, text: statement, signature, summary }, tid, sealed_digest)
}

/// What is kept of an offer that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptOffer {
    /// The statement as it was signed.
    pub statement: String,
    /// The seller's signature.
    pub signature: String,
    /// The summary's bytes: [`Summary::to_bytes`].
    pub summary: Vec<u8>,
    /// The hash of the sealed offer.
    pub sealed_digest: Digest,
}

fn check_parts(parts: Parts, tid: &TransferId, sealed_digest: Digest) -> Result<OpenedOffer, ProofFault> {
    let text = OfferText::parse(&parts.text)?;
    // [S10.8]
    if parts.transfer != *tid || text.transfer != *tid {
        return Err(ProofFault::Mismatch("transfer"));
    }
    let seller = verify(Kind::Offer, &parts.text, &parts.signature)?;
    if Fingerprint::of(&seller) != text.seller_key {
        return Err(ProofFault::OtherSigner);
    }
    // [S2.3] The bytes as they came, before they are decoded.
    if digest(&parts.summary) != text.summary {
        return Err(ProofFault::Mismatch("summary"));
    }
    let summary: Summary = codec::decode(&parts.summary).map_err(ProofFault::Contents)?;
    summary.check()?;
    // [S10.12]
    if summary.document.is_some() != matches!(text.agreement, Agreement::Of(_)) {
        return Err(ProofFault::Mismatch("agreement"));
    }
    Ok(OpenedOffer {
        text_id: text_id(&parts.text),
        text,
        statement: parts.text,
        signature: parts.signature,
        summary,
        seller,
        sealed_digest,
    })
}

impl OpenedOffer {
    /// Checks that the offer is for the relay at the other end of the live connection, and that it has not expired.
    ///
    /// # Errors
    /// [`ProofFault::OtherRelay`], [`ProofFault::Expired`].
    pub fn check_live(&self, relay_key: &LinkKey, now: Millis) -> Result<(), ProofFault> {
        // [S10.8]
        if self.text.relay_key != Fingerprint::of_link_key(relay_key) {
            return Err(ProofFault::OtherRelay);
        }
        if now >= self.text.expires.millis() { Err(ProofFault::Expired) } else { Ok(()) }
    }
}

fn context() -> Vec<u8> {
    labels::context(labels::OFFER_CONTEXT, &[])
}

/// `L(parts)`, then zeros up to the smallest length that holds it.
fn pad(parts: &[u8]) -> Option<Vec<u8>> {
    let len = u32::try_from(parts.len()).ok()?;
    let whole = padded_len(parts.len())?;
    let mut padded = Vec::with_capacity(whole);
    padded.extend_from_slice(&len.to_be_bytes());
    padded.extend_from_slice(parts);
    padded.resize(whole, 0);
    Some(padded)
}

/// What [`pad`] was given, if this is what it made of it.
fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let (len, rest) = padded.split_first_chunk::<LENGTH_BYTES>()?;
    let (parts, zeros) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    let is_padding = padded_len(parts.len())? == padded.len() && zeros.iter().all(|byte| *byte == 0);
    if is_padding { Some(parts) } else { None }
}

fn padded_len(parts_len: usize) -> Option<usize> {
    limits::OFFER_PADDED_BYTES.into_iter().find(|len| parts_len + LENGTH_BYTES <= *len)
}
