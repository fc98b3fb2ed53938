//! The sealed receipt: what the relay carries back without knowing who got what.
//!
//! # Source
//! SPEC [S10.9].

use minicbor::{Decode, Encode};

use crate::codec;
use crate::fault::Fault;
use crate::ids::TransferId;
use crate::keys::Secret;
use crate::keys::labels;
use crate::keys::seal::{self, SALT_BYTES};
use crate::limits;

use super::fault::ProofFault;
use super::offer::check_name;

/// A receipt and who it is from, in words.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct ReceiptBundle {
    /// The receipt statement.
    #[n(0)]
    pub text: String,
    /// The buyer's signature.
    #[n(1)]
    pub signature: String,
    /// What the buyer calls itself; nothing in it has been escaped.
    #[n(2)]
    pub buyer_name: String,
    /// The buyer's organisation; nothing in it has been escaped.
    #[n(3)]
    pub organisation: Option<String>,
}

impl ReceiptBundle {
    fn check(&self) -> Result<(), ProofFault> {
        check_name("buyer name", &self.buyer_name, limits::LABEL_CHARS_MAX)?;
        self.organisation.iter().try_for_each(|name| check_name("organisation", name, limits::LABEL_CHARS_MAX))
    }
}

/// Seals a receipt to whoever has the content key.
///
/// # Errors
/// [`ProofFault::Name`] when a name is too long, [`ProofFault::Contents`] when the whole is.
pub fn seal_receipt(
    receipt_key: &Secret<32>,
    tid: &TransferId,
    bundle: &ReceiptBundle,
    salt: [u8; SALT_BYTES],
) -> Result<Vec<u8>, ProofFault> {
    bundle.check()?;
    let sealed = seal::seal(receipt_key.expose(), &context(tid), salt, &codec::encode(bundle));
    if sealed.len() > limits::SEALED_RECEIPT_BYTES_MAX {
        return Err(ProofFault::Contents(Fault::TooLarge));
    }
    Ok(sealed)
}

/// Opens a sealed receipt. What it says and who signed it is for
/// [`check_receipt`](super::archive::check_receipt) to check.
///
/// # Errors
/// [`ProofFault`].
pub fn open_receipt(receipt_key: &Secret<32>, tid: &TransferId, sealed: &[u8]) -> Result<ReceiptBundle, ProofFault> {
    if sealed.len() > limits::SEALED_RECEIPT_BYTES_MAX {
        return Err(ProofFault::Contents(Fault::TooLarge));
    }
    let plain = seal::open(receipt_key.expose(), &context(tid), sealed)?;
    let bundle: ReceiptBundle = codec::decode(&plain).map_err(ProofFault::Contents)?;
    bundle.check()?;
    Ok(bundle)
}

fn context(tid: &TransferId) -> Vec<u8> {
    labels::context(labels::RECEIPT_CONTEXT, &[&tid.0])
}
