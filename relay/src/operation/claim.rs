//! Claim: check it, make it durable, release the share to it [S13.5].

use std::sync::Arc;

use handover_shared::fault::Fault;
use handover_shared::keys::hybrid::{HybridPublic, bundle, release_share};
use handover_shared::keys::{OsEntropy, Secret};
use handover_shared::proof::{ClaimCheck, check_claim};
use handover_shared::protocol::message::{Claim, Released, Reply};
use handover_shared::protocol::relay::CheckedClaim;

use super::Trouble;
use crate::ledger::operations;
use crate::link::Peer;
use crate::serve::Relay;

pub(super) async fn claim(relay: &Arc<Relay>, peer: &Peer, claim: Claim) -> Result<Reply, Trouble> {
    let id = claim.transfer;
    let row = relay.ledger.read(move |rows, _| operations::load(rows, id)).await?;
    let terms = row.ok_or(Fault::NotFound)?.terms;
    let channel = peer.channel().ok_or(Trouble::Internal("the connection gives no channel value"))?;
    let hybrid = HybridPublic::of_bytes(&claim.hybrid_key)?;
    let check = ClaimCheck {
        transfer: id,
        offer_digest: terms.offer_digest,
        claim_key: terms.claim_key,
        link_key: peer.key,
        hybrid: &hybrid,
        channel: Some(&channel),
    };
    let verified = check_claim(&check, &claim.text, &claim.identity_signature, &claim.claim_signature);
    let verified = verified.map_err(|fault| {
        tracing::info!(transfer = %id, peer = %peer.shown(), %fault, "a claim does not hold");
        Trouble::from(Fault::ClaimRefused)
    })?;
    let checked =
        CheckedClaim::new(verified, claim.hybrid_key, claim.text, claim.identity_signature, claim.claim_signature)
            .with_agreement(claim.sealed_agreement);
    let entry = relay.live.entry(id);
    // Nothing can erase the share between the durable claim and its release.
    let _share = entry.share.lock().await;
    let outcome = relay.ledger.write(move |rows, now| operations::claim(rows, now, id, checked)).await?;
    entry.changed();
    let (claimed, envelope) = outcome?;
    let share = relay.blocking("read a share", move |relay| relay.shares.read(id)).await?;
    let share = Secret::new(share.ok_or(Trouble::Internal("a live transfer has no share"))?);
    let released = release_share(&hybrid, &id, &bundle(&peer.key, &hybrid), &share, &mut OsEntropy)?;
    tracing::info!(transfer = %id, buyer = %peer.shown(), "released");
    Ok(Reply::Released(Released {
        encapsulated: released.encapsulated,
        sealed_share: released.sealed,
        envelope,
        claimed,
    }))
}
