//! Operations of one question and one answer.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use handover_shared::codec;
use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, LinkKey, Locator, TransferId};
use handover_shared::limits;
use handover_shared::proof::{digest, fingerprint_of_link_key};
use handover_shared::protocol::message::{
    At, Complete, Create, Created, Enrol, Enrolled, Peeked, Receive, Refused, Reply, Welcome,
};
use handover_shared::protocol::relay::Terms;

use super::Trouble;
use crate::invite::digest_of;
use crate::ledger::operations::{self, Allowance};
use crate::ledger::rows::Offer;
use crate::serve::Relay;

/// The length of an envelope [S4.5].
const ENVELOPE_BYTES: usize = 104;

pub(super) async fn hello(relay: &Arc<Relay>, by: LinkKey) -> Result<Reply, Trouble> {
    let allowance = relay.allowance().await?;
    let (enrolled, left) = relay
        .ledger
        .read(move |rows, _| {
            let left = allowance.bytes_left(rows.reserved_bytes()?, rows.reserved_by(by)?);
            Ok((operations::may_create(rows, by, allowance.enrolment)?, left))
        })
        .await?;
    // Some room is left for what others write until the transfer is created.
    let room = allowance.free_bytes / 16 * 15;
    Ok(Reply::Welcome(Welcome {
        version: crate::VERSION.to_owned(),
        time: relay.ledger.now(),
        enrolled: enrolled.is_ok(),
        transfer_bytes_max: left.min(room),
        expiry_ms_max: allowance.expiry_ms_max,
        expiry_ms_default: relay.limits.expiry_ms_default.min(allowance.expiry_ms_max),
    }))
}

pub(super) async fn enrol(relay: &Arc<Relay>, by: LinkKey, enrol: &Enrol) -> Result<Reply, Trouble> {
    let hash = digest_of(&enrol.secret);
    relay.ledger.write(move |rows, now| operations::enrol(rows, now, hash, by)).await??;
    tracing::info!(seller = fingerprint_of_link_key(&by), "enrolled");
    Ok(Reply::Enrolled(Enrolled {}))
}

/// Share synced, ledger synced, then the answer [S13.2].
pub(super) async fn create(relay: &Arc<Relay>, by: LinkKey, create: Create) -> Result<Reply, Trouble> {
    let id = create.transfer;
    if create.envelope.len() != ENVELOPE_BYTES || create.sealed_offer.is_empty() {
        return Err(Fault::BadMessage.into());
    }
    if create.sealed_offer.len() > limits::SEALED_OFFER_BYTES_MAX {
        return Err(Fault::TooLarge.into());
    }
    let (terms, share) = (terms(&create, by), create.share);
    let offer = Offer { sealed_offer: create.sealed_offer, envelope: create.envelope };
    let allowance = relay.allowance().await?;
    let entry = relay.live.entry(id);
    let _share = entry.share.lock().await;
    let asked = terms.clone();
    let known = relay.ledger.read(move |rows, now| operations::admit(rows, now, &asked, &allowance)).await??;
    if let Some(created) = known {
        // [S12.5] The share is part of the content.
        let kept = relay.blocking("read a share", move |relay| relay.shares.read(id)).await?;
        let is_same = kept.is_some_and(|kept| verify_slices_are_equal(&kept[..], &share[..]).is_ok());
        return if is_same { Ok(Reply::Created(created)) } else { Err(Fault::Conflict.into()) };
    }
    relay.blocking("store a share", move |relay| relay.shares.put(id, &share)).await?;
    let outcome = relay.ledger.write(move |rows, now| operations::create(rows, now, &terms, &offer, &allowance)).await;
    let created: Result<Created, Refused> = match outcome {
        Ok(created) => created,
        Err(error) => {
            // Whether the ledger has it is not known; the next start finds out what the share belongs to.
            return Err(error.into());
        }
    };
    if created.is_err() {
        relay.blocking("erase a share", move |relay| relay.shares.erase(id)).await?;
    }
    tracing::info!(transfer = %id, seller = fingerprint_of_link_key(&by), accepted = created.is_ok(), "create");
    Ok(Reply::Created(created?))
}

pub(super) async fn complete(relay: &Arc<Relay>, by: LinkKey, complete: Complete) -> Result<Reply, Trouble> {
    let (id, blocks) = (complete.transfer, complete.blocks);
    let time = relay.ledger.write(move |rows, now| operations::complete(rows, now, id, by, blocks)).await??;
    relay.live.entry(id).changed();
    tracing::info!(transfer = %id, blocks = blocks.0, "complete");
    Ok(Reply::Completed(At { time }))
}

pub(super) async fn peek(relay: &Arc<Relay>, by: LinkKey, locator: Locator) -> Result<Reply, Trouble> {
    let outcome = relay.ledger.write(move |rows, now| operations::peek(rows, now, locator, by)).await?;
    match outcome {
        Ok(found) => {
            let peeking = found.peeking;
            Ok(Reply::Peeked(Peeked {
                transfer: found.transfer,
                sealed_offer: found.sealed_offer,
                phase: peeking.phase,
                durable: peeking.durable,
                blocks: peeking.blocks,
                claimed: peeking.claimed,
                expires: Some(peeking.expires),
            }))
        }
        Err(refused) => {
            let found = relay.ledger.read(move |rows, _| rows.find(locator)).await?;
            if let Some(id) = found {
                relay.live.entry(id).changed();
            }
            Err(refused.into())
        }
    }
}

pub(super) async fn receive(relay: &Arc<Relay>, by: LinkKey, receive: Receive) -> Result<Reply, Trouble> {
    let (id, sealed) = (receive.transfer, receive.sealed_receipt);
    let outcome = relay.ledger.write(move |rows, now| operations::receive(rows, now, id, by, &sealed)).await?;
    finish(relay, id, outcome).await.map(|time| Reply::Received(At { time }))
}

pub(super) async fn revoke(relay: &Arc<Relay>, by: LinkKey, id: TransferId) -> Result<Reply, Trouble> {
    let outcome = relay.ledger.write(move |rows, now| operations::revoke(rows, now, id, by)).await?;
    finish(relay, id, outcome).await.map(|time| Reply::Revoked(At { time }))
}

/// The share is erased before a final answer leaves the relay [S13.7] [S13.8].
pub(super) async fn finish<T>(relay: &Arc<Relay>, id: TransferId, outcome: Result<T, Refused>) -> Result<T, Trouble> {
    let answer = outcome?;
    relay.end(id).await?;
    Ok(answer)
}

impl Relay {
    /// What a new transfer must fit into right now.
    pub(super) async fn allowance(self: &Arc<Self>) -> Result<Allowance, Trouble> {
        let free = self.blocking("ask for free space", |relay| relay.segments.free_bytes()).await?;
        Ok(Allowance {
            enrolment: self.limits.enrolment,
            transfer_bytes_max: self.limits.transfer_bytes_max,
            total_bytes_max: self.limits.total_bytes_max,
            seller_bytes_max: self.limits.seller_bytes_max,
            seller_transfers_max: self.limits.seller_transfers_max,
            expiry_ms_max: self.limits.expiry_ms_max,
            free_bytes: free.saturating_sub(self.limits.free_bytes_min),
        })
    }
}

fn terms(create: &Create, seller: LinkKey) -> Terms {
    let content = codec::encode(&(
        (create.transfer, create.locator, create.claim_key, create.block_size),
        (BlockCount(create.blocks_max.0), create.expires, digest(&create.envelope), digest(&create.sealed_offer)),
        create.agreement,
    ));
    Terms {
        id: create.transfer,
        seller,
        locator: create.locator,
        claim_key: create.claim_key,
        offer_digest: digest(&create.sealed_offer),
        content: digest(&content),
        block_size: create.block_size,
        blocks_max: create.blocks_max,
        expires: create.expires,
        agreement: create.agreement,
    }
}
