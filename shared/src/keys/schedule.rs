//! Everything derived from the code and from the content key.
//!
//! # Source
//! SPEC [S4.3] [S4.4] [S4.5].

use std::fmt;

use subtle::ConstantTimeEq;

use super::code::Code;
use super::entropy::Entropy;
use super::expand::{derive, extract};
use super::labels;
use super::seal;
use super::secret::Secret;
use crate::archive::inventory::InventorySalt;
use crate::fault::Fault;
use crate::ids::{ClaimKey, Commit, Digest, Locator, TransferId};
use crate::proof::Identity;

/// Bytes of a sealed envelope.
pub const ENVELOPE_BYTES: usize = seal::sealed_len(32);

/// The key that spends a code.
#[derive(Debug)]
pub struct ClaimSecret(Identity);

impl ClaimSecret {
    /// What the relay keeps to check a claim.
    pub fn public(&self) -> ClaimKey {
        ClaimKey(*self.0.public().as_bytes())
    }

    /// What signs a claim.
    pub fn identity(&self) -> &Identity {
        &self.0
    }
}

/// What is derived from a code.
#[derive(Debug)]
pub struct CodeKeys {
    /// The relay finds the transfer by it.
    pub locator: Locator,
    /// Signs the claim.
    pub claim: ClaimSecret,
    /// Seals the offer.
    pub offer: Secret<32>,
    /// One half of what the envelope is sealed with.
    pub psk: Secret<32>,
    /// Seals an agreement's document and what the buyer says to it.
    pub agreement: Secret<32>,
}

impl CodeKeys {
    /// Derives them.
    pub fn of(code: &Code) -> Self {
        // [S4.3]
        let prk = extract(labels::CODE, code.expose());
        Self {
            locator: Locator(*derive(prk.expose(), labels::LOCATOR, &[]).expose()),
            claim: ClaimSecret(Identity::of_seed(derive(prk.expose(), labels::CLAIM, &[]).expose())),
            offer: derive(prk.expose(), labels::OFFER, &[]),
            psk: derive(prk.expose(), labels::PSK, &[]),
            agreement: derive(prk.expose(), labels::AGREEMENT, &[]),
        }
    }
}

/// The key everything of the archive is sealed under, by way of its derivations.
pub struct ContentKey(Secret<32>);

impl ContentKey {
    /// Makes a fresh one.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(Secret::from_entropy(entropy))
    }

    /// One that was kept.
    pub fn of_secret(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// Its bytes.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// A second copy.
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    /// What the offer says of it.
    pub fn commit(&self, tid: &TransferId) -> Commit {
        Commit(*self.derive(labels::COMMIT, tid).expose())
    }

    /// Seals blocks.
    pub fn block_key(&self, tid: &TransferId) -> Secret<32> {
        self.derive(labels::BLOCK, tid)
    }

    /// Keys the hashes of the manifest.
    pub fn manifest_key(&self, tid: &TransferId) -> Secret<32> {
        self.derive(labels::MANIFEST, tid)
    }

    /// Seals the receipt.
    pub fn receipt_key(&self, tid: &TransferId) -> Secret<32> {
        self.derive(labels::RECEIPT, tid)
    }

    /// Seals papers; outlives the content key, of which it says nothing [S4.9].
    pub fn papers_key(&self, tid: &TransferId) -> Secret<32> {
        self.derive(labels::PAPERS, tid)
    }

    /// Makes the hash of the inventory one that cannot be guessed at. It is no secret of those who have the inventory.
    pub fn inventory_salt(&self, tid: &TransferId) -> InventorySalt {
        let mut salt = [0; 16];
        salt.copy_from_slice(&self.derive(labels::INVENTORY, tid).expose()[..16]);
        InventorySalt(salt)
    }

    fn derive(&self, label: &[u8], tid: &TransferId) -> Secret<32> {
        derive(self.expose(), label, &[&tid.0]) // [S4.4]
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Seals a content key under code and relay share: [`ENVELOPE_BYTES`].
pub fn seal_envelope(
    psk: &Secret<32>,
    share: &Secret<32>,
    tid: &TransferId,
    offer_digest: &Digest,
    key: &ContentKey,
    salt: [u8; seal::SALT_BYTES],
) -> Vec<u8> {
    let envelope_key = envelope_key(psk, share, tid, offer_digest);
    seal::seal(envelope_key.expose(), &envelope_context(tid), salt, key.expose())
}

/// Opens an envelope, and compares the key in it with what the offer said of it.
///
/// # Errors
/// [`Fault::BadMessage`] for another length, another code, share, transfer or offer, altered bytes, or a key that is
/// not the one of the offer.
pub fn open_envelope(
    psk: &Secret<32>,
    share: &Secret<32>,
    tid: &TransferId,
    offer_digest: &Digest,
    envelope: &[u8],
    expected: &Commit,
) -> Result<ContentKey, Fault> {
    let envelope_key = envelope_key(psk, share, tid, offer_digest);
    let plain = seal::open(envelope_key.expose(), &envelope_context(tid), envelope).or(Err(Fault::BadMessage))?;
    let key = ContentKey(Secret::from_slice(&plain).ok_or(Fault::BadMessage)?);
    // [S4.5] compared in constant time
    if bool::from(key.commit(tid).0.ct_eq(&expected.0)) { Ok(key) } else { Err(Fault::BadMessage) }
}

fn envelope_key(psk: &Secret<32>, share: &Secret<32>, tid: &TransferId, offer_digest: &Digest) -> Secret<32> {
    // [S4.5]
    let prk = extract(share.expose(), psk.expose());
    derive(prk.expose(), labels::ENVELOPE, &[&tid.0, &offer_digest.0])
}

fn envelope_context(tid: &TransferId) -> Vec<u8> {
    labels::context(labels::ENVELOPE_CONTEXT, &[&tid.0])
}
