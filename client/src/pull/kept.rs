//! What the buyer keeps of a transfer in its folder at home.
//!
//! | file | what |
//! |---|---|
//! | `code.hash` | SHA-256 of the locator, by which the same code is recognised once it is wiped |
//! | `offer.txt`, `offer.sig`, `offer.summary`, `offer.hash` | the offer that was accepted |
//! | `claim.txt`, `claim.sig` | the claim, and its signature by the identity |
//! | `seal.txt`, `seal.sig` | what the seller sealed |
//! | `receipt.txt`, `receipt.sig`, `receipt.sealed` | the receipt, and as it goes to the seller |
//! | `document`, `agreement.*`, `refusal.*` | what had to be signed, and what was said to it |
//! | `conflict` | the answer to what stands in the way |
//! | `doubt` | that a sync of the destination failed |
//! | `checkpoint`, `list`, `moves`, `outcome` | how far it is, what came, what was decided, what became of it |

use std::path::PathBuf;

use handover_shared::codec;
use handover_shared::ids::{Digest, Locator, TransferId};
use handover_shared::limits::{
    OFFER_MESSAGE_BYTES_MAX, SEALED_RECEIPT_BYTES_MAX, SIGNATURE_BYTES_MAX, STATEMENT_BYTES_MAX,
};
use handover_shared::proof::{self, KeptOffer, OpenedOffer};

use super::ConflictPolicy;
use super::finish::Tally;
use crate::error::Error;
use crate::home::transfers::{Folder, Role};
use crate::home::{Home, checked, read_private, write_private};

const CODE_HASH: &str = "code.hash";
const OFFER_SUMMARY: &str = "offer.summary";
const OFFER_HASH: &str = "offer.hash";
const SEALED_RECEIPT: &str = "receipt.sealed";
const OUTCOME: &str = "outcome";
const ANSWER: &str = "conflict";

/// A statement of a transfer, and the name of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The seller's offer.
    Offer,
    /// The buyer's claim.
    Claim,
    /// The seller's seal.
    Seal,
    /// The buyer's receipt.
    Receipt,
    /// The buyer's agreement to the document.
    Agreement,
    /// The buyer's refusal of it.
    Refusal,
    /// The certificate of a destruction on this machine.
    Destruction,
}

impl Kept {
    /// The files of its text and of its signature.
    pub fn files(self) -> (&'static str, &'static str) {
        match self {
            Self::Offer => ("offer.txt", "offer.sig"),
            Self::Claim => ("claim.txt", "claim.sig"),
            Self::Seal => ("seal.txt", "seal.sig"),
            Self::Receipt => ("receipt.txt", "receipt.sig"),
            Self::Agreement => ("agreement.txt", "agreement.sig"),
            Self::Refusal => ("refusal.txt", "refusal.sig"),
            Self::Destruction => ("destruction.txt", "destruction.sig"),
        }
    }
}

/// Keeps a statement and its signature.
pub(crate) fn write_statement(folder: &Folder, kept: Kept, text: &str, signature: &str) -> Result<(), Error> {
    let (text_file, signature_file) = kept.files();
    write_private(&folder.file(signature_file), signature.as_bytes())?;
    write_private(&folder.file(text_file), text.as_bytes())
}

/// A kept statement and its signature.
pub(crate) fn read_statement(folder: &Folder, kept: Kept) -> Result<Option<(String, String)>, Error> {
    let (text_file, signature_file) = kept.files();
    let text = read_text(folder.file(text_file), STATEMENT_BYTES_MAX)?;
    let signature = read_text(folder.file(signature_file), SIGNATURE_BYTES_MAX)?;
    Ok(text.zip(signature))
}

fn read_text(path: PathBuf, bytes_max: usize) -> Result<Option<String>, Error> {
    let Some(bytes) = read_private(&path, bytes_max as u64)? else { return Ok(None) };
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|error| damaged("a statement is damaged", path, Some(error.into())))
}

fn damaged(what: &'static str, path: PathBuf, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::State { what, path, source }
}

/// Keeps the offer and how to recognise the code.
pub(super) fn write_offer(folder: &Folder, offer: &OpenedOffer, locator: &Locator) -> Result<(), Error> {
    write_private(&folder.file(CODE_HASH), code_hash(locator).to_hex().as_bytes())?;
    write_private(&folder.file(OFFER_SUMMARY), &offer.summary.to_bytes())?;
    write_private(&folder.file(OFFER_HASH), &checked::file(&offer.sealed_digest.0))?;
    write_statement(folder, Kept::Offer, &offer.statement, &offer.signature)
}

/// The offer again, checked again.
pub(super) fn read_offer(folder: &Folder, transfer: &TransferId) -> Result<OpenedOffer, Error> {
    let missing = |name| damaged("a file of the transfer is missing", folder.file(name), None);
    let (statement, signature) = read_statement(folder, Kept::Offer)?.ok_or_else(|| missing(Kept::Offer.files().0))?;
    let summary = read_private(&folder.file(OFFER_SUMMARY), OFFER_MESSAGE_BYTES_MAX as u64)?
        .ok_or_else(|| missing(OFFER_SUMMARY))?;
    let hash = read_private(&folder.file(OFFER_HASH), 64)?.ok_or_else(|| missing(OFFER_HASH))?;
    let sealed_digest = checked::body(&hash).and_then(Digest::from_slice);
    let sealed_digest =
        sealed_digest.ok_or_else(|| damaged("the kept offer does not check", folder.file(OFFER_HASH), None))?;
    proof::reopen_offer(KeptOffer { statement, signature, summary, sealed_digest }, transfer).map_err(|fault| {
        damaged("the kept offer does not check", folder.file(Kept::Offer.files().0), Some(fault.into()))
    })
}

/// The transfer that this machine has pulled, or begun to pull, with a code.
pub(super) fn find_by_code(home: &Home, locator: &Locator) -> Result<Option<Folder>, Error> {
    let wanted = code_hash(locator).to_hex();
    for folder in home.transfers()? {
        let kept = read_text(folder.file(CODE_HASH), 64)?;
        if kept.as_deref() == Some(&wanted) && folder.facts()?.role == Role::Buyer {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

fn code_hash(locator: &Locator) -> Digest {
    proof::digest(&locator.0)
}

/// Where the checkpoint is.
pub(super) fn checkpoint_file(folder: &Folder) -> PathBuf {
    folder.file("checkpoint")
}

/// Where the list is.
pub(super) fn list_file(folder: &Folder) -> PathBuf {
    folder.file("list")
}

/// Where decisions about conflicts are.
pub(super) fn moves_file(folder: &Folder) -> PathBuf {
    folder.file("moves")
}

const POLICIES: [(&str, ConflictPolicy); 3] =
    [("skip", ConflictPolicy::Skip), ("rename", ConflictPolicy::Rename), ("overwrite", ConflictPolicy::Overwrite)];

/// Keeps what the person answered, so that nothing is asked twice.
pub(super) fn write_answer(folder: &Folder, answer: ConflictPolicy) -> Result<(), Error> {
    match POLICIES.iter().find(|(_, policy)| *policy == answer) {
        Some((word, _)) => write_private(&folder.file(ANSWER), word.as_bytes()),
        None => Ok(()),
    }
}

/// What the person answered before.
pub(super) fn read_answer(folder: &Folder) -> Result<Option<ConflictPolicy>, Error> {
    let word = read_text(folder.file(ANSWER), 16)?;
    Ok(POLICIES.iter().find(|(known, _)| Some(*known) == word.as_deref()).map(|(_, policy)| *policy))
}

/// Keeps the receipt as it goes to the seller; the last file to be written before it may be delivered.
pub(super) fn write_sealed_receipt(folder: &Folder, sealed: &[u8]) -> Result<(), Error> {
    write_private(&folder.file(SEALED_RECEIPT), &checked::file(sealed))
}

/// The receipt as it goes to the seller; a damaged one counts as none, and is signed again.
pub(super) fn read_sealed_receipt(folder: &Folder) -> Result<Option<Vec<u8>>, Error> {
    let kept = read_private(&folder.file(SEALED_RECEIPT), 2 * SEALED_RECEIPT_BYTES_MAX as u64)?;
    let sealed = kept.as_deref().and_then(checked::body).map(<[u8]>::to_vec);
    if kept.is_some() && sealed.is_none() {
        // The relay takes one receipt alone: a damaged one must not be it.
        tracing::warn!("the kept receipt is damaged; signing anew");
    }
    Ok(sealed)
}

/// Keeps what became of everything.
pub(super) fn write_outcome(folder: &Folder, tally: &Tally) -> Result<(), Error> {
    write_private(&folder.file(OUTCOME), &checked::file(&codec::encode(tally)))
}

/// Whether it is known what became of everything.
pub(super) fn has_outcome(folder: &Folder) -> bool {
    folder.file(OUTCOME).exists()
}

/// What became of everything.
pub(super) fn read_outcome(folder: &Folder) -> Result<Tally, Error> {
    let path = folder.file(OUTCOME);
    let Some(bytes) = read_private(&path, 1024)? else {
        return Err(damaged("a file of the transfer is missing", path, None));
    };
    let Some(body) = checked::body(&bytes) else { return Err(damaged("the outcome is damaged", path, None)) };
    codec::decode(body).map_err(|fault| damaged("the outcome is damaged", path, Some(fault.into())))
}
