//! Fetch: durable blocks go out, and more as they become durable [S12.3].
//!
//! Three stages run at once: [`Plan`] asks the ledger which segments come next and waits at the tail; [`read`] reads
//! them from disk, a little ahead; [`Course`] gives them to the network without copying. No thread is kept while
//! nothing is read, however long the buyer waits at the tail.

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use handover_link::SendStream;
use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, BlockIndex, LinkKey, TransferId};
use handover_shared::pace::{Pacer, piece_bytes};
use handover_shared::protocol::message::{Fetch, Reply};
use tokio::sync::mpsc;
use tokio::sync::watch::Receiver;

use super::{Exchange, Trouble};
use crate::cleanup::CleanupError;
use crate::ledger::operations;
use crate::ledger::rows::Segment;
use crate::live::{Change, Entry};
use crate::serve::Relay;
use crate::store::{READ_BYTES, Segments};

/// Segments looked up at a time.
const PAGE: usize = 64;
/// Segments that wait to be read, and reads that wait to be sent.
const PLANNED_MAX: usize = 2;
const READS_AHEAD: usize = 2;
/// The least time between two notes of how far the buyer is.
const NOTE_EVERY: Duration = Duration::from_secs(3);

/// Bytes of one segment that are wanted.
struct Part {
    name: String,
    offset: u64,
    bytes: u64,
}

pub(super) async fn fetch(relay: &Arc<Relay>, exchange: &mut Exchange, fetch: Fetch) -> Result<(), Trouble> {
    let (id, from, by) = (fetch.transfer, fetch.from, exchange.peer.key);
    let entry = relay.live.entry(id);
    let _turn = entry.fetches.try_acquire().or(Err(Fault::Busy))?;
    let mut changes = entry.subscribe();
    let (fetching, terms) = relay.ledger.read(move |rows, now| operations::fetch(rows, now, id, by, from)).await??;
    exchange.reply(&Reply::Fetching(fetching)).await?;

    let block_bytes = terms.block_size.sealed_bytes() as u64;
    let (parts, part_queue) = mpsc::channel(PLANNED_MAX);
    let (reads, read_queue) = mpsc::channel(READS_AHEAD);
    let read = read(relay.segments.clone(), id, part_queue, reads);
    let mut over = changes.clone();
    let planned = Plan { relay, id, by, next: from, block_bytes }.run(&mut changes, parts);
    let course =
        Course { relay, entry: &entry, id, from, block_bytes, pace: fetch.pace, sent_bytes: AtomicU64::new(0) };
    let unwanted = exchange.send.unwanted();
    let sent = course.send(&mut exchange.send, read_queue);
    let outcome = tokio::select! {
        biased;
        outcome = async { tokio::try_join!(planned, read, sent) } => outcome.map(drop),
        () = async { drop(over.wait_for(|change| change.ended).await) } => return why_over(relay, id, by, from).await,
        () = relay.draining() => return Err(Fault::Draining.into()),
        // A buyer that is gone is noticed at the tail too, where nothing is sent.
        () = unwanted => Err(Trouble::Gone),
    };
    match outcome {
        Ok(()) => course.note().await,
        Err(Trouble::Gone) => course.note().await.and(Err(Trouble::Gone)),
        // The segments may be gone because the transfer is over.
        Err(Trouble::Storage(failed)) if entry.subscribe().borrow().ended => {
            tracing::debug!(transfer = %id, %failed, "reading met the end of the transfer");
            why_over(relay, id, by, from).await
        }
        Err(trouble) => Err(trouble),
    }
}

/// The refusal that whoever asks now would get.
async fn why_over(relay: &Arc<Relay>, id: TransferId, by: LinkKey, from: BlockIndex) -> Result<(), Trouble> {
    relay.ledger.read(move |rows, now| operations::fetch(rows, now, id, by, from)).await??;
    Err(Trouble::Internal("a transfer ended and is not over"))
}

/// What is to be read next.
struct Plan<'a> {
    relay: &'a Arc<Relay>,
    id: TransferId,
    by: LinkKey,
    next: BlockIndex,
    block_bytes: u64,
}

impl Plan<'_> {
    /// Plans every block there is, waits for more, and ends behind the last one of a complete transfer.
    async fn run(mut self, changes: &mut Receiver<Change>, parts: mpsc::Sender<Part>) -> Result<(), Trouble> {
        loop {
            changes.mark_unchanged();
            let (id, by, next) = (self.id, self.by, self.next);
            let (fetching, segments) = self
                .relay
                .ledger
                .read(move |rows, now| {
                    let (fetching, _) = match operations::fetch(rows, now, id, by, next)? {
                        Ok(found) => found,
                        Err(refused) => return Ok(Err(refused)),
                    };
                    Ok(Ok((fetching, rows.segments(id, next, PAGE)?)))
                })
                .await??;
            let before = self.next;
            for segment in segments.iter().filter(|segment| segment.end() > before) {
                if parts.send(self.part(segment)?).await.is_err() {
                    // The reader has ended, and has told the sender why.
                    return Ok(());
                }
            }
            if self.next == before {
                if fetching.blocks.is_some_and(|blocks| blocks.end() == self.next) {
                    return Ok(());
                }
                changes.changed().await.or(Err(Trouble::Internal("a live transfer lost its entry")))?;
            }
        }
    }

    fn part(&mut self, segment: &Segment) -> Result<Part, Trouble> {
        if segment.first > self.next {
            return Err(Trouble::Internal("the ledger has a gap between segments"));
        }
        let in_bytes = |blocks: u64| blocks.checked_mul(self.block_bytes);
        let offset = in_bytes(self.next.0 - segment.first.0);
        let bytes = in_bytes(segment.end().0.saturating_sub(self.next.0));
        let (Some(offset), Some(bytes)) = (offset, bytes) else {
            return Err(Trouble::Internal("the ledger has a segment longer than can be"));
        };
        self.next = segment.end();
        Ok(Part { name: segment.name.clone(), offset, bytes })
    }
}

/// Reads parts in order; ends when there are no more, or when nobody wants more.
async fn read(
    store: Arc<dyn Segments>,
    id: TransferId,
    mut parts: mpsc::Receiver<Part>,
    reads: mpsc::Sender<Bytes>,
) -> Result<(), Trouble> {
    while let Some(part) = parts.recv().await {
        let store = store.clone();
        let mut reader = blocking(move || store.open(id, &part.name)).await?;
        let mut done = 0;
        while done < part.bytes {
            let length = usize::try_from(part.bytes - done).map_or(READ_BYTES, |rest| rest.min(READ_BYTES));
            let offset = part.offset + done;
            let (back, bytes) = blocking(move || reader.read(offset, length).map(|bytes| (reader, bytes))).await?;
            reader = back;
            if reads.send(bytes).await.is_err() {
                return Ok(());
            }
            done += length as u64;
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Trouble> {
    let outcome = tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    outcome.map_err(|source| CleanupError::Io { tried: "read a segment", source }.into())
}

/// How far sending is.
struct Course<'a> {
    relay: &'a Arc<Relay>,
    entry: &'a Entry,
    id: TransferId,
    from: BlockIndex,
    block_bytes: u64,
    pace: Option<NonZeroU64>,
    sent_bytes: AtomicU64,
}

impl Course<'_> {
    /// Sends what was read, notes now and then how far that is, and tells it at the end.
    async fn send(&self, send: &mut SendStream, mut reads: mpsc::Receiver<Bytes>) -> Result<(), Trouble> {
        let mut noted = Instant::now();
        let (mut pacer, began) = (Pacer::default(), Instant::now());
        while let Some(mut bytes) = reads.recv().await {
            while !bytes.is_empty() {
                // [S12.8]
                let piece = match self.pace {
                    None => std::mem::take(&mut bytes),
                    Some(pace) => {
                        let piece = bytes.split_to(piece_bytes(pace).min(bytes.len()));
                        let wait = pacer.take(began.elapsed(), pace, piece.len());
                        if !wait.is_zero() {
                            tokio::time::sleep(wait).await;
                        }
                        piece
                    }
                };
                self.sent_bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
                send.write_chunk(piece).await?;
                if noted.elapsed() >= NOTE_EVERY {
                    self.note().await?;
                    noted = Instant::now();
                }
            }
        }
        Ok(())
    }

    async fn note(&self) -> Result<(), Trouble> {
        let id = self.id;
        let up_to = BlockCount(self.from.0 + self.sent_bytes.load(Ordering::Relaxed) / self.block_bytes);
        self.relay.ledger.write(move |rows, _| operations::fetched(rows, id, up_to)).await??;
        self.entry.changed();
        Ok(())
    }
}
