//! Whoever can sign with a long-term key: the key itself, or somebody who holds it.
//!
//! # Source
//! SPEC [S10.1] [S20.1].

use super::identity::PublicIdentity;

/// Why whoever holds a key does not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerFault {
    /// The key is protected and nobody gave the passphrase.
    #[error("the key is protected by a passphrase")]
    Locked,
    /// The passphrase is not the one of the key.
    #[error("the passphrase does not fit the key")]
    WrongPassphrase,
    /// Nothing answers where the key is held.
    #[error("the agent that holds the key cannot be reached")]
    Unreachable,
    /// It does not hold the key any more.
    #[error("the agent does not hold the key")]
    Absent,
    /// It holds the key and does not sign.
    #[error("the agent refused to sign")]
    Refused,
    /// What it says makes no sense, or its signature does not fit.
    #[error("the agent's answer makes no sense")]
    Misbehaved,
    /// The key cannot sign.
    #[error("the key cannot sign")]
    Unusable,
}

/// Signs with a long-term Ed25519 key.
pub trait Signer {
    /// The public half.
    fn public(&self) -> PublicIdentity;

    /// The Ed25519 signature (RFC 8032) over these bytes. Nothing but what SSHSIG frames is given to it.
    ///
    /// # Errors
    /// [`SignerFault`].
    fn sign_bytes(&self, bytes: &[u8]) -> Result<[u8; 64], SignerFault>;
}
