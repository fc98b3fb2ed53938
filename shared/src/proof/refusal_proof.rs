//! What shows the relay that a refusal comes from somebody who has the code. It signs the sealed refusal, the connection
//! and nothing that says who refuses or why.
//!
//! # Source
//! SPEC [S10.14] [S13.15].

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

use crate::ids::{ClaimKey, Digest, LinkKey, TransferId};
use crate::keys::labels;

use super::digest;
use super::fault::ProofFault;
use super::identity::Identity;

/// What a refusal's proof has to fit.
#[derive(Clone, Copy, Debug)]
pub struct RefusalCheck<'a> {
    /// Which transfer.
    pub transfer: TransferId,
    /// The public half of the key derived from the code.
    pub claim_key: ClaimKey,
    /// The link key of the buyer's connection.
    pub link_key: LinkKey,
    /// What both ends of the connection compute.
    pub channel: &'a [u8; 32],
}

/// A proof that holds, for one sealed refusal.
#[derive(Clone, Debug)]
pub struct VerifiedRefusalProof {
    transfer: TransferId,
    link_key: LinkKey,
    digest: Digest,
}

impl VerifiedRefusalProof {
    /// Which transfer it is about.
    pub fn transfer(&self) -> TransferId {
        self.transfer
    }

    /// Whose connection it came over.
    pub fn link_key(&self) -> LinkKey {
        self.link_key
    }

    /// SHA-256 of what is sealed.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// Makes the proof, 64 bytes; the claim key of `check` is not used.
pub fn prove_refusal(check: &RefusalCheck<'_>, sealed_refusal: &[u8], claim: &Identity) -> Vec<u8> {
    claim.sign_raw(&message(check, &digest(sealed_refusal)))
}

/// Checks a proof against what is sealed and the connection it came over.
///
/// # Errors
/// [`ProofFault::Forged`].
pub fn check_refusal_proof(
    check: &RefusalCheck<'_>,
    sealed_refusal: &[u8],
    proof: &[u8],
) -> Result<VerifiedRefusalProof, ProofFault> {
    let digest = digest(sealed_refusal);
    let key = UnparsedPublicKey::new(&ED25519, check.claim_key.0);
    key.verify(&message(check, &digest), proof).or(Err(ProofFault::Forged))?;
    Ok(VerifiedRefusalProof { transfer: check.transfer, link_key: check.link_key, digest })
}

fn message(check: &RefusalCheck<'_>, digest: &Digest) -> Vec<u8> {
    labels::context(labels::REFUSE, &[&check.transfer.0, &check.link_key.0, check.channel, &digest.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S10.14]
    fn a_proof_holds_for_one_refusal_over_one_connection() {
        let claim = Identity::of_seed(&[5; 32]);
        let check = RefusalCheck {
            transfer: TransferId([1; 16]),
            claim_key: ClaimKey(*claim.public().as_bytes()),
            link_key: LinkKey([2; 32]),
            channel: &[3; 32],
        };
        let proof = prove_refusal(&check, b"sealed", &claim);
        assert_eq!(proof.len(), 64);
        assert_eq!(check_refusal_proof(&check, b"sealed", &proof).unwrap().digest(), digest(b"sealed"));
        let others = [
            RefusalCheck { transfer: TransferId([9; 16]), ..check },
            RefusalCheck { claim_key: ClaimKey(*Identity::of_seed(&[6; 32]).public().as_bytes()), ..check },
            RefusalCheck { link_key: LinkKey([9; 32]), ..check },
            RefusalCheck { channel: &[9; 32], ..check },
        ];
        for other in others {
            assert_eq!(check_refusal_proof(&other, b"sealed", &proof).unwrap_err(), ProofFault::Forged);
        }
        assert_eq!(check_refusal_proof(&check, b"Sealed", &proof).unwrap_err(), ProofFault::Forged);
        for bit in 0..proof.len() * 8 {
            let mut altered = proof.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(check_refusal_proof(&check, b"sealed", &altered).unwrap_err(), ProofFault::Forged, "{bit}");
        }
    }
}
