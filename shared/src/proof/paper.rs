//! Sealing papers: what lies beside a transfer's blocks and is meant for the other side alone.
//!
//! # Source
//! SPEC [S4.9] [S10.11].

use zeroize::Zeroizing;

use crate::fault::Fault;
use crate::ids::TransferId;
use crate::keys::Secret;
use crate::keys::labels;
use crate::keys::seal::{self, SALT_BYTES};
use crate::protocol::papers::PaperKind;

use super::fault::ProofFault;

/// Seals a paper of any kind but the agreement's document to whoever has, or had, the content key.
///
/// # Errors
/// [`ProofFault::Contents`] when it is too long.
pub fn seal_paper(
    papers_key: &Secret<32>,
    tid: &TransferId,
    kind: PaperKind,
    plain: &[u8],
    salt: [u8; SALT_BYTES],
) -> Result<Vec<u8>, ProofFault> {
    let is_short = seal::sealed_len(plain.len()) as u64 <= kind.bytes_max();
    if !is_short {
        return Err(ProofFault::Contents(Fault::TooLarge));
    }
    Ok(seal::seal(papers_key.expose(), &context(tid, kind), salt, plain))
}

/// Opens a sealed paper.
///
/// # Errors
/// [`ProofFault::Sealed`], or [`ProofFault::Contents`] when it is too long.
pub fn open_paper(
    papers_key: &Secret<32>,
    tid: &TransferId,
    kind: PaperKind,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ProofFault> {
    if sealed.len() as u64 > kind.bytes_max() {
        return Err(ProofFault::Contents(Fault::TooLarge));
    }
    Ok(seal::open(papers_key.expose(), &context(tid, kind), sealed)?)
}

fn context(tid: &TransferId, kind: PaperKind) -> Vec<u8> {
    labels::context(labels::PAPER_CONTEXT, &[&tid.0, &[kind.number()]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S10.11]
    fn a_paper_opens_as_what_it_is() {
        let key = Secret::from_slice(&[1; 32]).unwrap();
        let tid = TransferId([2; 16]);
        let sealed = seal_paper(&key, &tid, PaperKind::Acceptance, b"words", [3; SALT_BYTES]).unwrap();
        assert_eq!(&open_paper(&key, &tid, PaperKind::Acceptance, &sealed).unwrap()[..], b"words");
        assert!(open_paper(&key, &tid, PaperKind::Destruction, &sealed).is_err());
        assert!(open_paper(&key, &TransferId([9; 16]), PaperKind::Acceptance, &sealed).is_err());
        assert!(open_paper(&Secret::from_slice(&[9; 32]).unwrap(), &tid, PaperKind::Acceptance, &sealed).is_err());
        let long = vec![0; 64 * 1024 - seal::OVERHEAD_BYTES];
        assert!(seal_paper(&key, &tid, PaperKind::Acceptance, &long, [3; SALT_BYTES]).is_err());
        let fits = vec![0; 64 * 1024 - seal::OVERHEAD_BYTES - 3 * seal::TAG_BYTES];
        assert!(seal_paper(&key, &tid, PaperKind::Acceptance, &fits, [3; SALT_BYTES]).is_ok());
    }
}
