//! Why a proof does not hold.

#[cfg(feature = "endpoint")]
use crate::fault::Fault;
use crate::keys::seal::SealFault;

use super::line::StatementFault;
use super::signer::SignerFault;

/// Why a proof does not hold. Holds no text of the other side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// A statement does not have its one form.
    #[error("malformed statement")]
    Statement(#[from] StatementFault),
    /// A signature cannot be read.
    #[error("malformed signature")]
    SignatureForm(#[from] ssh_key::Error),
    /// A signature can be read, and is not of the one form that is used here.
    #[error("signature of another form: {0}")]
    SignatureUse(&'static str),
    /// Whoever holds the key does not sign.
    #[error("cannot sign")]
    Signer(#[from] SignerFault),
    /// A signature made for another kind of statement.
    #[error("signature for another purpose")]
    Namespace,
    /// The text was altered, or the signature was made by another key than it says.
    #[error("signature does not fit the text")]
    Forged,
    /// A good signature by the wrong key.
    #[error("signed by another key")]
    OtherSigner,
    /// A line that says something else than it must; named by its key.
    #[error("line {0} does not fit")]
    Mismatch(&'static str),
    /// Sealed bytes do not open.
    #[error("cannot be opened")]
    Sealed(#[from] SealFault),
    /// What was sealed is not of the form it must have.
    #[cfg(feature = "endpoint")]
    #[error("malformed content")]
    Contents(#[source] Fault),
    /// A text for people is too long; named by its field.
    #[error("{0} is too long")]
    Name(&'static str),
    /// The offer was made for another relay than the one at the other end.
    #[error("offer for another relay")]
    OtherRelay,
    /// The offer's time is over.
    #[error("offer expired")]
    Expired,
}
