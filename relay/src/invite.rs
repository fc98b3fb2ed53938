//! Making invites; the ledger keeps only the hash of their secrets.

use aws_lc_rs::digest::{SHA256, digest};
use handover_shared::ids::{Digest, Millis};
use handover_shared::protocol::message::INVITE_SECRET_BYTES;
use zeroize::Zeroizing;

use crate::home::{Home, Missing};
use crate::ledger::rows::Backend;
use crate::ledger::{self, operations};
use crate::serve::StartError;

/// Separates this hash from every other.
const LABEL: &[u8] = b"handover/v1/invite\0";

/// A secret that enrols.
pub type Secret = Zeroizing<[u8; INVITE_SECRET_BYTES]>;

/// What the ledger knows of a secret [S13.12].
pub fn digest_of(secret: &[u8; INVITE_SECRET_BYTES]) -> Digest {
    let mut bytes = Zeroizing::new([0; LABEL.len() + INVITE_SECRET_BYTES]);
    bytes[..LABEL.len()].copy_from_slice(LABEL);
    bytes[LABEL.len()..].copy_from_slice(secret);
    let mut hash = Digest([0; 32]);
    hash.0.copy_from_slice(digest(&SHA256, &bytes[..]).as_ref());
    hash
}

/// The first invite's secret: the one in its file while it is good, else a new one.
///
/// # Errors
/// What the data folder or the ledger says.
pub fn first(home: &Home, rows: &mut impl Backend, now: Millis) -> Result<Secret, StartError> {
    let secret = home.first_invite(Missing::Make)?;
    let known = rows.invite(digest_of(&secret))?;
    let secret = match known {
        Some(invite) if invite.revoked.is_none() => return Ok(secret),
        // The file is there before the ledger knows of it; a crash may have come between.
        None => secret,
        Some(_) => home.first_invite(Missing::Replace)?,
    };
    let digest = digest_of(&secret);
    ledger::once(rows, now, |rows, now| operations::invite(rows, now, digest, None))?;
    Ok(secret)
}
