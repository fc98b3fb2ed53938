//! SSHSIG signatures over statements, the same as `ssh-keygen -Y sign` makes and `ssh-keygen -Y verify` checks.
//!
//! # Source
//! SPEC [S10.1], PROTOCOL.sshsig of OpenSSH.

use ssh_key::{Algorithm, HashAlg, LineEnding, PublicKey, Signature, SshSig};

use crate::limits::{SIGNATURE_BYTES_MAX, STATEMENT_BYTES_MAX};

use super::fault::ProofFault;
use super::identity::{IdentityFault, PublicIdentity};
use super::line::{LineProblem, StatementFault};
use super::signer::Signer;
use super::statement::Kind;

/// Signs a statement's text; the result is armoured.
///
/// # Errors
/// [`ProofFault::Signer`] if whoever holds the key does not sign, [`ProofFault::SignatureForm`] if the signature cannot
/// be written, which holds for no key that was made here.
pub fn sign(kind: Kind, text: &str, by: &dyn Signer) -> Result<String, ProofFault> {
    let data = SshSig::signed_data(kind.namespace(), HashAlg::Sha512, text.as_bytes())?;
    let signature = Signature::new(Algorithm::Ed25519, by.sign_bytes(&data)?)?;
    let signed = SshSig::new(by.public().key_data(), kind.namespace(), HashAlg::Sha512, signature)?;
    Ok(signed.to_pem(LineEnding::LF)?)
}

/// Checks a signature over a text and returns whose it is. Whether that is the right key is for the caller to say.
///
/// # Errors
/// [`ProofFault`]: `SignatureForm` and `SignatureUse` for anything but the one form of a signature, `Namespace` when
/// it was made for another kind of statement, `Forged` when it does not fit the text.
pub fn verify(kind: Kind, text: &str, signature: &str) -> Result<PublicIdentity, ProofFault> {
    if text.len() > STATEMENT_BYTES_MAX {
        return Err(StatementFault { line: 1, problem: LineProblem::TooLong }.into());
    }
    if signature.len() > SIGNATURE_BYTES_MAX {
        return Err(ProofFault::SignatureUse("too long"));
    }
    let parsed = SshSig::from_pem(signature)?;
    if parsed.version() != SshSig::VERSION || !parsed.reserved().is_empty() || parsed.hash_alg() != HashAlg::Sha512 {
        return Err(ProofFault::SignatureUse("version, reserved bytes or hash"));
    }
    if parsed.to_pem(LineEnding::LF)? != signature {
        return Err(ProofFault::SignatureUse("another armour of the same signature"));
    }
    if parsed.namespace() != kind.namespace() {
        return Err(ProofFault::Namespace);
    }
    let signer = PublicIdentity::of_key_data(parsed.public_key()).map_err(|fault| match fault {
        IdentityFault::SmallOrder => ProofFault::SignatureUse("key of small order"),
        _ => ProofFault::SignatureUse("not an Ed25519 key"),
    })?;
    if parsed.algorithm() != Algorithm::Ed25519 {
        return Err(ProofFault::SignatureUse("not an Ed25519 signature"));
    }
    PublicKey::from(signer.key_data())
        .verify(kind.namespace(), text.as_bytes(), &parsed)
        .or(Err(ProofFault::Forged))?;
    Ok(signer)
}
