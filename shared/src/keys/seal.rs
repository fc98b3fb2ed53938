//! The one symmetric sealing: Cobblestone-256 of C2SP chunked encryption.
//!
//! Every message has its own key, derived with its salt and context, so no nonce can ever repeat. The commitment
//! binds a sealed message to exactly one key, and is checked before anything is decrypted.
//!
//! # Shape
//! | offset | size | meaning |
//! |---|---|---|
//! | 0 | 24 | salt |
//! | 24 | 32 | commitment |
//! | 56 + 16 400 k | 16 384 + 16 | chunk k with its tag; the last one is shorter, and may be empty |
//!
//! # Source
//! SPEC [S4.2], <https://c2sp.org/chunked-encryption>.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::HKDF_SHA512;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::expand::expand;
use super::labels;

/// Bytes of the salt.
pub const SALT_BYTES: usize = 24;
/// Bytes of the commitment.
pub const COMMITMENT_BYTES: usize = 32;
/// Salt and commitment.
pub const HEADER_BYTES: usize = SALT_BYTES + COMMITMENT_BYTES;
/// Plain bytes of every chunk but the last.
pub const CHUNK_BYTES: usize = 16 * 1024;
/// Bytes of a chunk's tag.
pub const TAG_BYTES: usize = 16;
/// What sealing adds to a message shorter than a chunk; every whole chunk adds [`TAG_BYTES`] more.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const INFO: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM";

/// Why a sealed message does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// No message has this sealed length: it is cut short.
    #[error("sealed bytes are cut short")]
    Length,
    /// It was sealed under another key, salt or context.
    #[error("sealed under another key or for another purpose")]
    Commitment,
    /// A chunk was altered, moved, added or removed.
    #[error("sealed bytes were altered")]
    Tag,
}

/// The sealed length of a message.
pub const fn sealed_len(plain_len: usize) -> usize {
    HEADER_BYTES + plain_len + TAG_BYTES * (plain_len / CHUNK_BYTES + 1)
}

/// The length of the message in so many sealed bytes; `None` if no message is sealed to this length.
pub const fn plain_len(sealed_len: usize) -> Option<usize> {
    let Some(body) = sealed_len.checked_sub(HEADER_BYTES) else { return None };
    match (body % SEALED_CHUNK_BYTES).checked_sub(TAG_BYTES) {
        Some(last) => Some(body / SEALED_CHUNK_BYTES * CHUNK_BYTES + last),
        None => None,
    }
}

/// Seals a message into a new buffer.
pub fn seal(key: &[u8; 32], context: &[u8], salt: [u8; SALT_BYTES], plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    seal_into(key, context, salt, plain, &mut out);
    out
}

/// Seals a message behind what `out` holds already.
///
/// # Shape
/// Grows `out` by exactly [`sealed_len`], with at most one allocation.
///
/// # Security
/// The salt has to be fresh for every message under one key.
pub fn seal_into(key: &[u8; 32], context: &[u8], salt: [u8; SALT_BYTES], plain: &[u8], out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + sealed_len(plain.len()), 0);
    seal_chunks(&MessageKey::derive(key, context, &salt), &salt, plain, &mut out[at..]);
}

/// Seals a message into a buffer of exactly its [`sealed_len`]; the fastest way, since nothing is copied or cleared.
///
/// # Errors
/// [`SealFault::Length`] when the buffer has another length.
///
/// # Security
/// The salt has to be fresh for every message under one key.
pub fn seal_to(
    key: &[u8; 32],
    context: &[u8],
    salt: [u8; SALT_BYTES],
    plain: &[u8],
    out: &mut [u8],
) -> Result<(), SealFault> {
    if out.len() != sealed_len(plain.len()) {
        return Err(SealFault::Length);
    }
    seal_chunks(&MessageKey::derive(key, context, &salt), &salt, plain, out);
    Ok(())
}

/// Fills a buffer that has the sealed length.
fn seal_chunks(message: &MessageKey, salt: &[u8; SALT_BYTES], plain: &[u8], out: &mut [u8]) {
    let (header, body) = out.split_at_mut(HEADER_BYTES);
    header[..SALT_BYTES].copy_from_slice(salt);
    header[SALT_BYTES..].copy_from_slice(&message.commitment);
    for (index, sealed) in body.chunks_mut(SEALED_CHUNK_BYTES).enumerate() {
        let (sealed, tag) = sealed.split_at_mut(sealed.len() - TAG_BYTES);
        let chunk = &plain[index * CHUNK_BYTES..][..sealed.len()];
        #[expect(clippy::expect_used, reason = "AES-GCM fails only for chunks of more than 64 GiB")]
        message
            .key
            .seal_out_of_place_scatter(message.nonce(index), Aad::empty(), chunk, sealed, &[], tag)
            .expect("a chunk is within what AES-GCM can seal");
    }
}

/// Opens a sealed message into a new buffer, which is wiped when dropped.
///
/// # Errors
/// [`SealFault`]; nothing of the message is returned then.
pub fn open(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealFault> {
    let (message, plain_len) = MessageKey::check(key, context, sealed)?;
    let mut plain = Zeroizing::new(Vec::with_capacity(plain_len));
    for (index, chunk) in sealed[HEADER_BYTES..].chunks(SEALED_CHUNK_BYTES).enumerate() {
        let (body, tag) = chunk.split_at(chunk.len() - TAG_BYTES);
        let at = plain.len();
        plain.resize(at + body.len(), 0);
        message
            .key
            .open_separate_gather(message.nonce(index), Aad::empty(), body, tag, &mut plain[at..])
            .or(Err(SealFault::Tag))?;
    }
    Ok(plain)
}

/// Opens a sealed message in its own buffer and returns the message, which then stands at the front of it.
///
/// # Errors
/// [`SealFault`]; after [`SealFault::Tag`] the buffer is wiped.
pub fn open_in_place<'a>(key: &[u8; 32], context: &[u8], sealed: &'a mut [u8]) -> Result<&'a mut [u8], SealFault> {
    let (message, plain_len) = MessageKey::check(key, context, sealed)?;
    for index in 0..=plain_len / CHUNK_BYTES {
        let from = HEADER_BYTES + index * SEALED_CHUNK_BYTES;
        let to = index * CHUNK_BYTES;
        let len = CHUNK_BYTES.min(plain_len - to);
        let (body, tag) = sealed[from..from + len + TAG_BYTES].split_at_mut(len);
        if message.key.open_in_place_separate_tag(message.nonce(index), Aad::empty(), tag, body).is_err() {
            sealed.zeroize();
            return Err(SealFault::Tag);
        }
        sealed.copy_within(from..from + len, to);
    }
    Ok(&mut sealed[..plain_len])
}

/// What one message is sealed with.
struct MessageKey {
    key: LessSafeKey,
    base_nonce: [u8; NONCE_BYTES],
    commitment: [u8; COMMITMENT_BYTES],
}

impl MessageKey {
    fn derive(key: &[u8; 32], context: &[u8], salt: &[u8]) -> Self {
        let info = labels::context(INFO, &[salt, context]);
        let mut okm = Zeroizing::new([0; KEY_BYTES + NONCE_BYTES + COMMITMENT_BYTES]);
        expand(HKDF_SHA512, key, &info, &mut okm[..]);
        let (key, rest) = okm.split_at(KEY_BYTES);
        let mut base_nonce = [0; NONCE_BYTES];
        base_nonce.copy_from_slice(&rest[..NONCE_BYTES]);
        let mut commitment = [0; COMMITMENT_BYTES];
        commitment.copy_from_slice(&rest[NONCE_BYTES..]);
        #[expect(clippy::expect_used, reason = "an AES-256 key is 32 bytes long")]
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has the cipher's length"));
        Self { key, base_nonce, commitment }
    }

    /// Checks length and commitment, and returns how long the message is.
    fn check(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Result<(Self, usize), SealFault> {
        let plain_len = plain_len(sealed.len()).ok_or(SealFault::Length)?;
        let (salt, rest) = sealed.split_at(SALT_BYTES);
        let message = Self::derive(key, context, salt);
        // [S4.2] The commitment is checked before any decryption.
        if !bool::from(message.commitment.ct_eq(&rest[..COMMITMENT_BYTES])) {
            return Err(SealFault::Commitment);
        }
        Ok((message, plain_len))
    }

    /// The base nonce with the chunk's number added without carry, big-endian.
    fn nonce(&self, index: usize) -> Nonce {
        let mut nonce = self.base_nonce;
        for (byte, counter) in nonce[NONCE_BYTES - 8..].iter_mut().zip((index as u64).to_be_bytes()) {
            *byte ^= counter;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}
