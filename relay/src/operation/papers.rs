//! Papers come in and go out, and a refusal ends a transfer [S13.14] [S13.15].
//!
//! An agreement's document goes to the disk as it comes and is never whole in memory; every other paper is small.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use handover_link::{ReadExactError, RecvStream, WriteError};
use handover_shared::fault::Fault;
use handover_shared::ids::{BlockIndex, Digest, TransferId};
use handover_shared::limits;
use handover_shared::proof::{RefusalCheck, check_refusal_proof};
use handover_shared::protocol::message::{At, Collect, Collected, Deposit, Refuse, Reply};
use handover_shared::protocol::papers::{CheckedRefusal, PaperKind};
use handover_shared::protocol::relay::Storage;
use tokio::time::timeout;

use super::{Exchange, TAKE_TIMEOUT, Trouble, cut_short, simple};
use crate::cleanup::CleanupError;
use crate::ledger::operations::{self, Deposited};
use crate::ledger::rows::PaperPlace;
use crate::link::Peer;
use crate::serve::Relay;
use crate::store::{READ_BYTES, SegmentWriter};

/// How long the next piece of a paper may take to come.
const PIECE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes taken from the network at a time.
const PIECE_BYTES: u64 = 64 * 1024;

/// The digest of a paper's bytes, and where they are.
struct Came {
    digest: Digest,
    place: PaperPlace,
}

pub(super) async fn deposit(relay: &Arc<Relay>, exchange: &mut Exchange, asked: Deposit) -> Result<(), Trouble> {
    let (id, by) = (asked.transfer, exchange.peer.key);
    let allowance = relay.allowance().await?;
    relay.ledger.read(move |rows, now| operations::may_deposit(rows, now, by, asked, &allowance)).await??;
    let _large = relay.admit.large(exchange.peer.address.ip(), Instant::now()).ok_or(Fault::Busy)?;
    let kib = u32::try_from(PIECE_BYTES / 1024).unwrap_or(u32::MAX);
    let closed = "the room for requests was closed";
    let _room = relay.requests.acquire_many(kib).await.or(Err(Trouble::Internal(closed)))?;
    let is_document = asked.kind == PaperKind::Agreement.number();
    let came = if is_document {
        store(relay, &mut exchange.recv, asked).await?
    } else {
        take(&mut exchange.recv, asked.bytes).await?
    };
    let (digest, place) = (came.digest, came.place.clone());
    let outcome =
        relay.ledger.write(move |rows, now| operations::deposit(rows, now, by, asked, digest, &place)).await?;
    if !matches!(outcome, Ok((_, Deposited::First)))
        && let PaperPlace::Stored(name) = came.place
    {
        forget(relay, id, name).await?;
    }
    let (time, _) = outcome?;
    relay.live.entry(id).changed();
    tracing::info!(transfer = %id, kind = asked.kind, bytes = asked.bytes, "a paper was deposited");
    exchange.reply(&Reply::Deposited(At { time })).await
}

pub(super) async fn collect(relay: &Arc<Relay>, exchange: &mut Exchange, asked: Collect) -> Result<(), Trouble> {
    let (id, kind, by) = (asked.transfer, asked.kind, exchange.peer.key);
    let outcome = relay.ledger.write(move |rows, now| operations::collect(rows, now, id, by, kind)).await?;
    let (record, place) = outcome.inspect_err(|_| relay.live.entry(id).changed())?;
    let reply = Reply::Collected(Collected { bytes: record.bytes, time: record.time });
    match place {
        PaperPlace::Here(sealed) => {
            exchange.reply(&reply).await?;
            give(exchange, &sealed).await
        }
        PaperPlace::Stored(name) => {
            let entry = relay.live.entry(id);
            let _turn = entry.fetches.try_acquire().or(Err(Fault::Busy))?;
            let mut at = 0;
            while at < record.bytes {
                let (segments, name) = (relay.segments.clone(), name.clone());
                let length = usize::try_from(record.bytes - at).unwrap_or(READ_BYTES).min(READ_BYTES);
                let read = relay.blocking("read a document", move |_| segments.open(id, &name)?.read(at, length)).await;
                let bytes = match read {
                    Ok(bytes) => bytes,
                    Err(failed) => {
                        // It may be gone because the transfer is over; then that is what should be heard.
                        relay.ledger.write(move |rows, now| operations::collect(rows, now, id, by, kind)).await??;
                        return Err(failed.into());
                    }
                };
                if at == 0 {
                    exchange.reply(&reply).await?;
                }
                give(exchange, &bytes).await?;
                at += bytes.len() as u64;
            }
            Ok(())
        }
    }
}

pub(super) async fn refuse(relay: &Arc<Relay>, peer: &Peer, refuse: Refuse) -> Result<Reply, Trouble> {
    let id = refuse.transfer;
    let row = relay.ledger.read(move |rows, _| operations::load(rows, id)).await?;
    let claim_key = row.ok_or(Fault::NotFound)?.terms.claim_key;
    let channel = peer.channel().ok_or(Trouble::Internal("the connection gives no channel value"))?;
    let check = RefusalCheck { transfer: id, claim_key, link_key: peer.key, channel: &channel };
    let proof = check_refusal_proof(&check, &refuse.sealed_refusal, &refuse.proof).map_err(|fault| {
        tracing::info!(transfer = %id, peer = %peer.shown(), %fault, "a refusal does not hold");
        Trouble::from(Fault::ClaimRefused)
    })?;
    let checked = CheckedRefusal::new(proof, refuse.sealed_refusal)?;
    let outcome = relay.ledger.write(move |rows, now| operations::refuse(rows, now, id, checked)).await?;
    relay.live.entry(id).changed();
    simple::finish(relay, id, outcome).await.map(|time| Reply::RefusalTaken(At { time }))
}

/// Takes a small paper into memory.
async fn take(recv: &mut RecvStream, bytes: u64) -> Result<Came, Trouble> {
    let mut sealed = Vec::new();
    let mut digest = Context::new(&SHA256);
    let mut left = bytes;
    while left > 0 {
        let piece = piece(recv, left).await?;
        left -= piece.len() as u64;
        digest.update(&piece);
        sealed.extend_from_slice(&piece);
    }
    at_its_end(recv).await?;
    Ok(Came { digest: finished(digest), place: PaperPlace::Here(sealed) })
}

/// Writes a document to the disk as it comes; it is synced before its row is written [S13.14].
async fn store(relay: &Arc<Relay>, recv: &mut RecvStream, asked: Deposit) -> Result<Came, Trouble> {
    let id = asked.transfer;
    // Behind every block that can be, so that it is never taken for one.
    let place = BlockIndex(limits::BLOCKS_MAX);
    let mut writer = relay.blocking("store a document", move |relay| relay.segments.create(id, place)).await?;
    let mut digest = Context::new(&SHA256);
    let mut left = asked.bytes;
    while left > 0 {
        let piece = piece(recv, left).await?;
        left -= piece.len() as u64;
        digest.update(&piece);
        writer = relay.blocking("store a document", move |_| write(writer, piece)).await.map_err(full)?;
    }
    at_its_end(recv).await?;
    let name = relay.blocking("store a document", move |_| writer.finish()).await.map_err(full)?;
    Ok(Came { digest: finished(digest), place: PaperPlace::Stored(name) })
}

fn write(mut writer: Box<dyn SegmentWriter>, piece: Bytes) -> io::Result<Box<dyn SegmentWriter>> {
    writer.write(&[piece])?;
    Ok(writer)
}

/// What the network has, at most so many bytes.
async fn piece(recv: &mut RecvStream, left: u64) -> Result<Bytes, Trouble> {
    let length = usize::try_from(left.min(PIECE_BYTES)).or(Err(Fault::TooLarge))?;
    let mut bytes = vec![0; length];
    let read = timeout(PIECE_TIMEOUT, recv.read_exact(&mut bytes)).await;
    read.unwrap_or(Err(ReadExactError::FinishedEarly(0))).map_err(cut_short)?;
    Ok(bytes.into())
}

/// Nothing may follow what was announced.
async fn at_its_end(recv: &mut RecvStream) -> Result<(), Trouble> {
    match timeout(PIECE_TIMEOUT, recv.read_chunk(1)).await {
        Ok(Ok(None)) => Ok(()),
        Ok(Err(_)) => Err(Trouble::Gone),
        Ok(Ok(Some(_))) | Err(_) => Err(Fault::BadMessage.into()),
    }
}

async fn give(exchange: &mut Exchange, bytes: &[u8]) -> Result<(), Trouble> {
    // [S13.13]
    let written = timeout(TAKE_TIMEOUT, exchange.send.write_all(bytes)).await;
    written.unwrap_or(Err(WriteError::Stopped)).map_err(Trouble::from)
}

/// Removes a document that no row names, and the folder that it may have brought back.
async fn forget(relay: &Arc<Relay>, id: TransferId, name: String) -> Result<(), Trouble> {
    relay.blocking("remove a refused document", move |relay| relay.segments.remove(id, &name)).await?;
    let row = relay.ledger.read(move |rows, _| operations::load(rows, id)).await?;
    if row.is_none_or(|transfer| transfer.storage == Storage::Deleted) {
        relay.blocking("remove a refused document", move |relay| relay.segments.delete(id)).await?;
    }
    Ok(())
}

fn finished(digest: Context) -> Digest {
    let mut out = Digest([0; 32]);
    out.0.copy_from_slice(digest.finish().as_ref());
    out
}

fn full(error: CleanupError) -> Trouble {
    match &error {
        CleanupError::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
        {
            Fault::StorageFull.into()
        }
        _ => error.into(),
    }
}
