//! The signed statements of a transfer, checked against each other once more.
//!
//! # Source
//! SPEC [S18.2].

use handover_shared::ids::Root;
use handover_shared::proof::{
    self, Fingerprint, Kind, OfferText, ProofFault, PublicIdentity, ReceiptText, SealCheck, VerifiedSeal,
};

use crate::error::Error;
use crate::home::transfers::Folder;
use crate::pull::kept::{Kept, read_statement};

/// How the receipt is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReceiptCheck {
    /// There is none.
    None,
    /// It checks; whose it is.
    Good(String),
    /// It does not.
    Bad,
}

/// What the statements say.
#[derive(Clone, Debug)]
pub(crate) struct Papers {
    /// `SHA256:…` of the seller, as the offer says.
    pub seller: String,
    /// The signed root.
    pub root: Root,
    /// Files as signed.
    pub files: u64,
    /// Bytes as signed.
    pub bytes: u64,
    /// The receipt.
    pub receipt: ReceiptCheck,
    /// Which do not check.
    pub bad: Vec<&'static str>,
}

impl Papers {
    /// Reads and checks them; `None` while there is no seal, because not everything has been sent or received.
    ///
    /// # Errors
    /// [`Error::Disk`]; [`Error::State`] when a statement is no text, or offer or seal says nothing at all.
    pub fn read(folder: &Folder) -> Result<Option<Self>, Error> {
        let (Some(offer), Some(seal)) = (read_statement(folder, Kept::Offer)?, read_statement(folder, Kept::Seal)?)
        else {
            return Ok(None);
        };
        let damaged = |kept: Kept, source: ProofFault| Error::State {
            what: "a statement is damaged",
            path: folder.file(kept.files().0),
            source: Some(source.into()),
        };
        let offer_text = OfferText::parse(&offer.0).map_err(|fault| damaged(Kept::Offer, fault.into()))?;
        let seal_text = proof::SealText::parse(&seal.0).map_err(|fault| damaged(Kept::Seal, fault.into()))?;
        let mut bad = Vec::new();
        let sealed = match check_seal(&offer, &offer_text, &seal) {
            Ok(sealed) => Some(sealed),
            Err(fault) => {
                tracing::warn!(%fault, "offer or seal does not check");
                bad.push("seal");
                None
            }
        };
        let receipt = match read_statement(folder, Kept::Receipt)? {
            None => ReceiptCheck::None,
            Some(receipt) => match check_receipt(&offer.0, &seal.0, sealed.as_ref(), &receipt) {
                Ok(buyer) => ReceiptCheck::Good(buyer.fingerprint()),
                Err(fault) => {
                    tracing::warn!(%fault, "the receipt does not check");
                    bad.push("receipt");
                    ReceiptCheck::Bad
                }
            },
        };
        Ok(Some(Self {
            seller: offer_text.seller_key.to_string(),
            root: seal_text.root,
            files: seal_text.files,
            bytes: seal_text.bytes,
            receipt,
            bad,
        }))
    }

    /// Files and bytes as signed.
    pub fn totals(&self) -> (u64, u64) {
        (self.files, self.bytes)
    }
}

fn check_seal(
    offer: &(String, String),
    offer_text: &OfferText,
    seal: &(String, String),
) -> Result<VerifiedSeal, ProofFault> {
    // [S18.2]
    let seller = proof::verify(Kind::Offer, &offer.0, &offer.1)?;
    if Fingerprint::of(&seller) != offer_text.seller_key {
        return Err(ProofFault::OtherSigner);
    }
    proof::check_seal(&SealCheck { offer: &offer.0, seller: &seller }, &seal.0, &seal.1)
}

fn check_receipt(
    offer: &str,
    seal: &str,
    sealed: Option<&VerifiedSeal>,
    receipt: &(String, String),
) -> Result<PublicIdentity, ProofFault> {
    let text = ReceiptText::parse(&receipt.0)?;
    let offer_text = OfferText::parse(offer)?;
    let lines = [
        ("transfer", text.transfer == offer_text.transfer),
        ("offer", text.offer == proof::text_id(offer)),
        ("seal", text.seal == proof::text_id(seal)),
        ("root", sealed.is_none_or(|sealed| sealed.text().root == text.root)),
        ("seller-key", text.seller_key == offer_text.seller_key),
    ];
    if let Some((line, _)) = lines.into_iter().find(|(_, fits)| !fits) {
        return Err(ProofFault::Mismatch(line));
    }
    let buyer = proof::verify(Kind::Receipt, &receipt.0, &receipt.1)?;
    if Fingerprint::of(&buyer) == text.buyer_key { Ok(buyer) } else { Err(ProofFault::OtherSigner) }
}
