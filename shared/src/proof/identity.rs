//! Long-term Ed25519 keys in OpenSSH form, and how keys are shown to people.
//!
//! # Source
//! SPEC [S10.1] [S10.2].

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::Ed25519KeyPair;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::public::{Ed25519PublicKey, KeyData};
#[cfg(feature = "endpoint")]
use ssh_key::{Algorithm, Cipher, Kdf};
use ssh_key::{LineEnding, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::ids::LinkKey;
#[cfg(feature = "endpoint")]
use crate::keys::code::WordList;
use crate::keys::{Entropy, Secret};
use crate::limits;

use super::signer::{Signer, SignerFault};

/// The y coordinates, little-endian and without the sign of x, of the points of small order: every signature by such
/// a key is anybody's signature.
const SMALL_ORDER: [[u8; 32]; 7] = {
    let mut table = [[0xff; 32]; 7];
    table[0] = [0; 32]; // 0, order 4
    table[1] = [0; 32];
    table[1][0] = 1; // 1, the neutral element
    table[2][0] = 0xec; // -1, order 2
    table[3][0] = 0xed; // 0 once more, not reduced
    table[4][0] = 0xee; // 1 once more, not reduced
    table[2][31] = 0x7f;
    table[3][31] = 0x7f;
    table[4][31] = 0x7f;
    // The two of order 8.
    table[5] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    table[6] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    table
};

/// Why a key file or key is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityFault {
    /// The file is longer than any key file.
    #[error("key file is {seen} bytes long, the limit is {limit}")]
    TooLong {
        /// Its length.
        seen: usize,
        /// The longest that is read.
        limit: usize,
    },
    /// The file is not an OpenSSH key.
    #[error("not an OpenSSH key")]
    Malformed(#[source] ssh_key::Error),
    /// The private key is protected by a passphrase.
    #[error("the key is protected by a passphrase")]
    Encrypted,
    /// It is protected by another passphrase.
    #[error("the passphrase does not fit the key")]
    Passphrase,
    /// Trying a passphrase would take too long.
    #[error("the key asks for {seen} rounds of work, the limit is {limit}")]
    TooMuchWork {
        /// What it asks for.
        seen: u32,
        /// What is done at most.
        limit: u32,
    },
    /// A key of another algorithm.
    #[error("not an Ed25519 key")]
    NotEd25519,
    /// A public key whose signatures prove nothing.
    #[error("the key is of small order")]
    SmallOrder,
}

/// A person's or firm's private key.
pub struct Identity {
    pair: Ed25519Keypair,
    comment: String,
}

impl From<ssh_key::Error> for IdentityFault {
    fn from(error: ssh_key::Error) -> Self {
        match error {
            ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. } => Self::NotEd25519,
            other => Self::Malformed(other),
        }
    }
}

impl Identity {
    /// Makes a fresh one. Line breaks and the like in the comment become spaces.
    pub fn generate(entropy: &mut dyn Entropy, comment: &str) -> Self {
        let seed = Secret::<32>::from_entropy(entropy);
        Self { pair: Ed25519Keypair::from_seed(seed.expose()), comment: one_line(comment) }
    }

    /// The key of a seed; it has no comment.
    pub fn of_seed(seed: &[u8; 32]) -> Self {
        Self { pair: Ed25519Keypair::from_seed(seed), comment: String::new() }
    }

    /// Reads an OpenSSH private key file.
    ///
    /// # Errors
    /// [`IdentityFault`]; `Encrypted` and `NotEd25519` for keys that exist and cannot be used.
    pub fn of_openssh(pem: &str) -> Result<Self, IdentityFault> {
        within_limit(pem)?;
        let key = PrivateKey::from_openssh(pem)?;
        match key.key_data() {
            KeypairData::Ed25519(pair) => Ok(Self { pair: pair.clone(), comment: one_line(key.comment()) }),
            KeypairData::Encrypted(_) => Err(IdentityFault::Encrypted),
            _ => Err(IdentityFault::NotEd25519),
        }
    }

    /// Writes an OpenSSH private key file without passphrase.
    pub fn to_openssh(&self) -> Zeroizing<String> {
        #[expect(clippy::expect_used, reason = "an Ed25519 key with a short comment has an OpenSSH form")]
        self.private_key().and_then(|key| key.to_openssh(LineEnding::LF)).expect("the key can be written")
    }

    /// The public half.
    pub fn public(&self) -> PublicIdentity {
        PublicIdentity { bytes: self.pair.public.0 }
    }

    /// What the key's owner wrote beside it; often a mail address.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// A second copy.
    pub fn duplicate(&self) -> Self {
        Self { pair: self.pair.clone(), comment: self.comment.clone() }
    }

    /// A bare Ed25519 signature, for what is no statement.
    pub(super) fn sign_raw(&self, message: &[u8]) -> Vec<u8> {
        let seed = Zeroizing::new(self.pair.private.to_bytes());
        #[expect(clippy::expect_used, reason = "every 32 bytes are the seed of an Ed25519 key")]
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed[..]).expect("a seed of 32 bytes");
        pair.sign(message).as_ref().to_vec()
    }

    fn private_key(&self) -> Result<PrivateKey, ssh_key::Error> {
        PrivateKey::new(KeypairData::Ed25519(self.pair.clone()), self.comment.as_str())
    }
}

impl Signer for Identity {
    fn public(&self) -> PublicIdentity {
        Identity::public(self)
    }

    fn sign_bytes(&self, bytes: &[u8]) -> Result<[u8; 64], SignerFault> {
        self.sign_raw(bytes).try_into().or(Err(SignerFault::Unusable))
    }
}

/// Key files that are protected by a passphrase.
#[cfg(feature = "endpoint")]
impl Identity {
    /// Reads an OpenSSH private key file with its passphrase.
    ///
    /// # Errors
    /// [`IdentityFault`]; `Passphrase` when it is another one.
    ///
    /// # Security
    /// How much work the file asks for is bounded before any of it is done.
    pub fn of_protected(pem: &str, passphrase: &[u8]) -> Result<Self, IdentityFault> {
        within_limit(pem)?;
        let key = PrivateKey::from_openssh(pem)?;
        // [S20.2]
        if let Kdf::Bcrypt { rounds, .. } = key.kdf()
            && *rounds > limits::PASSPHRASE_ROUNDS_MAX
        {
            return Err(IdentityFault::TooMuchWork { seen: *rounds, limit: limits::PASSPHRASE_ROUNDS_MAX });
        }
        if !key.is_encrypted() {
            return Self::of_openssh(pem);
        }
        if key.public_key().algorithm() != Algorithm::Ed25519 {
            return Err(IdentityFault::NotEd25519);
        }
        let key = key.decrypt(passphrase).or(Err(IdentityFault::Passphrase))?;
        match key.key_data() {
            KeypairData::Ed25519(pair) => Ok(Self { pair: pair.clone(), comment: one_line(key.comment()) }),
            _ => Err(IdentityFault::NotEd25519),
        }
    }

    /// What a private key file says without its passphrase: whose it is, and whether it needs one.
    ///
    /// # Errors
    /// [`IdentityFault`].
    pub fn peek(pem: &str) -> Result<(PublicIdentity, Protection), IdentityFault> {
        within_limit(pem)?;
        let key = PrivateKey::from_openssh(pem)?;
        let protection = if key.is_encrypted() { Protection::Passphrase } else { Protection::None };
        Ok((PublicIdentity::of_key_data(key.public_key().key_data())?, protection))
    }

    /// Writes an OpenSSH private key file that needs a passphrase: AES-256-CTR under bcrypt-pbkdf, as OpenSSH writes it.
    ///
    /// # Errors
    /// [`IdentityFault::Malformed`] for an empty passphrase.
    pub fn to_protected(
        &self,
        passphrase: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<Zeroizing<String>, IdentityFault> {
        let kdf = Kdf::Bcrypt { salt: entropy.array::<16>().to_vec(), rounds: limits::PASSPHRASE_ROUNDS };
        let check = u32::from_be_bytes(entropy.array());
        let key = self.private_key()?.encrypt_with(Cipher::Aes256Ctr, kdf, check, passphrase)?;
        Ok(key.to_openssh(LineEnding::LF)?)
    }
}

/// Whether a key file needs a passphrase.
#[cfg(feature = "endpoint")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Whoever has the file has the key.
    None,
    /// The passphrase is needed too.
    Passphrase,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.public().fingerprint())
    }
}

/// A person's or firm's public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicIdentity {
    bytes: [u8; 32],
}

impl PublicIdentity {
    /// Takes 32 bytes from outside.
    ///
    /// # Errors
    /// [`IdentityFault::SmallOrder`].
    pub fn of_bytes(bytes: [u8; 32]) -> Result<Self, IdentityFault> {
        let mut y = bytes;
        y[31] &= 0x7f;
        if SMALL_ORDER.contains(&y) { Err(IdentityFault::SmallOrder) } else { Ok(Self { bytes }) }
    }

    /// Reads one line `ssh-ed25519 AAAA… comment`.
    ///
    /// # Errors
    /// [`IdentityFault`].
    pub fn of_openssh(line: &str) -> Result<Self, IdentityFault> {
        within_limit(line)?;
        Self::of_key_data(PublicKey::from_openssh(line.trim_end())?.key_data())
    }

    /// Reads a key as the SSH protocol encodes it.
    ///
    /// # Errors
    /// [`IdentityFault`].
    pub fn of_blob(blob: &[u8]) -> Result<Self, IdentityFault> {
        Self::of_key_data(PublicKey::from_bytes(blob)?.key_data())
    }

    /// The key as the SSH protocol encodes it (RFC 8709).
    pub fn to_blob(&self) -> Vec<u8> {
        blob_of(&self.bytes)
    }

    /// Whether this is the Ed25519 signature (RFC 8032) of these bytes by this key.
    pub fn has_signed(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, &self.bytes);
        key.verify(bytes, signature).is_ok()
    }

    /// Writes one line `ssh-ed25519 AAAA… comment`, without the line's end. Line breaks and the like in the comment
    /// become spaces.
    pub fn to_openssh(&self, comment: &str) -> String {
        #[expect(clippy::expect_used, reason = "an Ed25519 key with a short comment has an OpenSSH form")]
        PublicKey::new(self.key_data(), one_line(comment)).to_openssh().expect("the key can be written")
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// How people compare it: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        Fingerprint::of(self).to_string()
    }

    pub(super) fn of_key_data(data: &KeyData) -> Result<Self, IdentityFault> {
        Self::of_bytes(data.ed25519().ok_or(IdentityFault::NotEd25519)?.0)
    }

    pub(super) fn key_data(&self) -> KeyData {
        KeyData::Ed25519(Ed25519PublicKey(self.bytes))
    }
}

impl fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicIdentity({})", self.fingerprint())
    }
}

/// SHA-256 of a public key as OpenSSH encodes it; written `SHA256:…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of an identity.
    pub fn of(key: &PublicIdentity) -> Self {
        Self::of_ed25519(key.bytes)
    }

    /// Of a link key or a relay's key.
    pub fn of_link_key(key: &LinkKey) -> Self {
        Self::of_ed25519(key.0)
    }

    fn of_ed25519(bytes: [u8; 32]) -> Self {
        Self(super::digest(&blob_of(&bytes)).0)
    }

    /// Its first 128 bits as the twelve words of BIP-39, to be read aloud; fewer words than a code has.
    #[cfg(feature = "endpoint")]
    pub fn to_words(&self, list: WordList) -> Vec<&'static str> {
        let language = match list {
            WordList::English => bip39::Language::English,
            WordList::Chinese => bip39::Language::SimplifiedChinese,
        };
        #[expect(clippy::expect_used, reason = "128 bits are a length that BIP-39 has words for")]
        let words = bip39::Mnemonic::from_entropy_in(language, &self.0[..16]).expect("128 bits have words");
        words.words().collect()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ssh_key::Fingerprint::Sha256(self.0).fmt(f)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = ssh_key::Error;

    /// Reads the one form that is written.
    fn from_str(text: &str) -> Result<Self, ssh_key::Error> {
        const TEXT_BYTES: usize = 50;
        if text.len() != TEXT_BYTES {
            return Err(ssh_key::Error::FormatEncoding);
        }
        let bytes = ssh_key::Fingerprint::from_str(text)?.sha256().ok_or(ssh_key::Error::AlgorithmUnknown)?;
        let fingerprint = Self(bytes);
        if fingerprint.to_string() == text { Ok(fingerprint) } else { Err(ssh_key::Error::FormatEncoding) }
    }
}

/// How people compare a link key or a relay's key: `SHA256:…`, the same as `ssh-keygen -l` shows.
pub fn fingerprint_of_link_key(key: &LinkKey) -> String {
    Fingerprint::of_link_key(key).to_string()
}

/// `string "ssh-ed25519", string key`, as RFC 8709 says.
fn blob_of(bytes: &[u8; 32]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(51);
    for part in [b"ssh-ed25519".as_slice(), bytes] {
        #[expect(clippy::cast_possible_truncation, reason = "11 and 32")]
        blob.extend_from_slice(&(part.len() as u32).to_be_bytes());
        blob.extend_from_slice(part);
    }
    blob
}

fn within_limit(text: &str) -> Result<(), IdentityFault> {
    let (seen, limit) = (text.len(), limits::IDENTITY_FILE_BYTES_MAX);
    if seen > limit { Err(IdentityFault::TooLong { seen, limit }) } else { Ok(()) }
}

fn one_line(comment: &str) -> String {
    const CHARS_MAX: usize = 255;
    comment.chars().take(CHARS_MAX).map(|char| if char.is_control() { ' ' } else { char }).collect()
}
