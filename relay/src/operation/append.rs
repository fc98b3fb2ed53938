//! Append: blocks come in, segments go to disk, `Durable` goes back [S12.2] [S13.3].
//!
//! Four stages run at once: [`receive`] takes what the network has and hands on whole blocks; [`writer::write`] fills
//! segments and syncs them; [`Commits`] makes them known to the ledger; [`Teller`] tells the seller. So the next segment
//! is received while the last one syncs, and a seller that does not listen holds nothing up. What is on its way is
//! bounded by permits, per transfer and for all transfers together.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use handover_link::{RecvStream, SendStream};
use handover_shared::fault::Fault;
use handover_shared::ids::{BlockCount, LinkKey, TransferId};
use handover_shared::protocol::message::{Durable, Refused, Reply};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::writer::{self, Blocks, Order, WriteError, Writer};
use super::{Exchange, Trouble};
use crate::cleanup::CleanupError;
use crate::ledger::operations;
use crate::ledger::rows::{Segment, Write};
use crate::live::{Entry, Run, Turn};
use crate::serve::Relay;

/// How long the stream is silent before what came is made durable.
const IDLE: Duration = Duration::from_millis(20);
/// Received bytes of one transfer on their way to the disk, in KiB.
const TRANSFER_BUDGET_KIB: usize = 48 * 1024;
/// Pieces taken from the network at a time.
const PIECES: usize = 64;
/// Orders and segments that wait between two stages; permits bound the bytes.
const QUEUE: usize = 64;
const SEGMENTS_WAITING_MAX: usize = 4;

pub(super) async fn append(relay: &Arc<Relay>, exchange: &mut Exchange, id: TransferId) -> Result<(), Trouble> {
    let by = exchange.peer.key;
    // Only who may append can push another run aside.
    may_append(relay, id, by).await?;
    let entry = relay.live.entry(id);
    let Some(mut run) = entry.take_over(Turn::Append(exchange.peer.number)).await else {
        return Err(Fault::Superseded.into());
    };
    let (durable, block_bytes) = may_append(relay, id, by).await?;
    exchange.peer.widen();
    exchange.reply(&Reply::Appending(Durable { durable })).await?;

    let (orders, order_queue) = mpsc::channel(QUEUE);
    let (synced, segments) = mpsc::channel(SEGMENTS_WAITING_MAX);
    let (news, mut heard) = watch::channel(durable);
    let (give_up, given_up) = oneshot::channel();
    let free_bytes_min = relay.limits.free_bytes_min;
    let writer = Writer::new(relay.segments.clone(), id, durable.end(), block_bytes, free_bytes_min);
    let commits = Commits { relay, entry: &entry, id, by, news };
    let mut teller = Teller::new(durable);
    let received = async {
        tokio::select! {
            received = receive(relay, &mut exchange.recv, &mut run, block_bytes, orders) => received,
            // The commits have failed, and know why.
            _ = given_up => Ok(()),
        }
    };
    let stages =
        async { tokio::join!(received, writer::write(writer, order_queue, synced), commits.run(segments, give_up)) };
    let (received, written, committed) = tokio::select! {
        ends = stages => ends,
        () = teller.tell(&mut exchange.send, &mut heard) => return Err(Trouble::Internal("the teller ended")),
    };
    // A stage that ends early makes the others end; the disk's reason is the first cause, then the ledger's.
    let outcome = match written {
        Err(WriteError::Full) => Err(Fault::StorageFull.into()),
        Err(WriteError::Io(source)) => Err(CleanupError::Io { tried: "write a segment", source }.into()),
        Ok(()) => committed.and(received),
    };
    let durable = *heard.borrow();
    match outcome {
        Ok(()) => tokio::select! {
            told = teller.finish(&mut exchange.send, durable) => told,
            () = run.superseded() => Err(Fault::Superseded.into()),
        },
        Err(Trouble::Refused(refused)) if refused.known() == Some(Fault::Superseded) => {
            // Whoever ends a transfer makes its run stop; then that is what the seller should hear.
            may_append(relay, id, by).await?;
            Err(refused.into())
        }
        Err(trouble) => Err(trouble),
    }
}

async fn may_append(relay: &Arc<Relay>, id: TransferId, by: LinkKey) -> Result<(BlockCount, usize), Trouble> {
    let enrolment = relay.limits.enrolment;
    let (durable, terms) =
        relay.ledger.write(move |rows, now| operations::append(rows, now, id, by, enrolment)).await??;
    Ok((durable, terms.block_size.sealed_bytes()))
}

/// Takes blocks from the network until the seller has finished or must stop. Whole blocks always go on to the disk,
/// whatever ended the stream, so that they need not be sent again.
async fn receive(
    relay: &Arc<Relay>,
    recv: &mut RecvStream,
    run: &mut Run<'_>,
    block_bytes: usize,
    orders: mpsc::Sender<Order>,
) -> Result<(), Trouble> {
    let budget = Arc::new(Semaphore::new(TRANSFER_BUDGET_KIB));
    let mut gather = Gather::new(block_bytes);
    let mut pieces = [const { Bytes::new() }; PIECES];
    let mut disk = Disk::UpToDate;
    let end = loop {
        let read = tokio::select! {
            biased;
            () = run.superseded() => break Err(Fault::Superseded.into()),
            () = relay.draining() => break Err(Fault::Draining.into()),
            read = recv.read_chunks(&mut pieces) => Some(read),
            () = tokio::time::sleep(IDLE), if disk == Disk::Behind => None,
        };
        let order = match read {
            None => {
                disk = Disk::UpToDate;
                Order::Flush
            }
            Some(Ok(Some(count))) => {
                pieces.iter_mut().take(count).for_each(|piece| gather.push(std::mem::take(piece)));
                let Some((pieces, count)) = gather.take() else { continue };
                disk = Disk::Behind;
                let kib = u32::try_from(pieces.iter().map(Bytes::len).sum::<usize>() / 1024).unwrap_or(u32::MAX);
                let closed = "the budget was closed";
                let own = budget.clone().acquire_many_owned(kib).await.or(Err(Trouble::Internal(closed)))?;
                let shared = relay.budget.clone().acquire_many_owned(kib).await.or(Err(Trouble::Internal(closed)))?;
                Order::Blocks(Blocks { pieces, count, _permits: (own, shared) })
            }
            Some(Ok(None)) if gather.is_between_blocks() => break Ok(()),
            Some(Ok(None)) => break Err(Fault::BadMessage.into()),
            Some(Err(error)) => break Err(error.into()),
        };
        if orders.send(order).await.is_err() {
            // The writer has ended, and knows why.
            return Ok(());
        }
    };
    if orders.send(Order::Flush).await.is_err() {
        tracing::debug!("the writer ended before the stream");
    }
    end
}

/// Whether everything that was received is on its way to being synced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    UpToDate,
    Behind,
}

/// What commits need to know.
struct Commits<'a> {
    relay: &'a Arc<Relay>,
    entry: &'a Entry,
    id: TransferId,
    by: LinkKey,
    news: watch::Sender<BlockCount>,
}

impl Commits<'_> {
    /// Makes synced segments known to the ledger, and then to whoever wants to know. Gives up at the first refusal.
    async fn run(self, mut segments: mpsc::Receiver<Segment>, give_up: oneshot::Sender<()>) -> Result<(), Trouble> {
        while let Some(segment) = segments.recv().await {
            match self.commit(&segment).await? {
                Ok(durable) => {
                    self.news.send_replace(durable);
                    self.entry.changed();
                }
                Err(refused) => {
                    drop(give_up);
                    let mut unwanted = vec![segment.name];
                    while let Some(segment) = segments.recv().await {
                        unwanted.push(segment.name);
                    }
                    self.remove(unwanted).await?;
                    return Err(refused.into());
                }
            }
        }
        Ok(())
    }

    async fn commit(&self, segment: &Segment) -> Result<Result<BlockCount, Refused>, Trouble> {
        let (id, by, enrolment, segment) = (self.id, self.by, self.relay.limits.enrolment, segment.clone());
        let stored = move |rows: &mut dyn Write, now| operations::stored(rows, now, id, by, enrolment, &segment);
        Ok(self.relay.ledger.write(stored).await?)
    }

    async fn remove(&self, names: Vec<String>) -> Result<(), Trouble> {
        let id = self.id;
        for name in names {
            self.relay.blocking("remove a refused segment", move |relay| relay.segments.remove(id, &name)).await?;
        }
        Ok(())
    }
}

/// Tells the seller how much is durable; keeps its place in a message when it is interrupted.
struct Teller {
    told: BlockCount,
    rest: Vec<u8>,
}

impl Teller {
    fn new(told: BlockCount) -> Self {
        Self { told, rest: Vec::new() }
    }

    /// Tells all news until it is dropped. A seller that is gone is told nothing; its blocks are durable all the same.
    async fn tell(&mut self, send: &mut SendStream, news: &mut watch::Receiver<BlockCount>) {
        loop {
            if let Err(error) = self.flush(send).await {
                tracing::debug!(%error, "the seller does not listen any more");
                return std::future::pending().await;
            }
            let Ok(durable) = news.wait_for(|durable| *durable != self.told).await.map(|durable| *durable) else {
                return std::future::pending().await;
            };
            self.queue(durable);
        }
    }

    /// Tells the last news, whether it was told before or not.
    async fn finish(&mut self, send: &mut SendStream, durable: BlockCount) -> Result<(), Trouble> {
        self.queue(durable);
        Ok(self.flush(send).await?)
    }

    fn queue(&mut self, durable: BlockCount) {
        self.told = durable;
        self.rest.extend(Reply::Durable(Durable { durable }).to_bytes());
    }

    async fn flush(&mut self, send: &mut SendStream) -> Result<(), handover_link::WriteError> {
        while !self.rest.is_empty() {
            let written = send.write(&self.rest).await?;
            self.rest.drain(..written);
        }
        Ok(())
    }
}

/// Gathers what the network has, without copying, to whole blocks.
struct Gather {
    block_bytes: usize,
    whole: Vec<Bytes>,
    count: u64,
    part: Vec<Bytes>,
    part_bytes: usize,
}

impl Gather {
    fn new(block_bytes: usize) -> Self {
        Self { block_bytes, whole: Vec::new(), count: 0, part: Vec::new(), part_bytes: 0 }
    }

    fn push(&mut self, mut piece: Bytes) {
        while !piece.is_empty() {
            let head = piece.split_to(piece.len().min(self.block_bytes - self.part_bytes));
            self.part_bytes += head.len();
            self.part.push(head);
            if self.part_bytes == self.block_bytes {
                self.whole.append(&mut self.part);
                self.part_bytes = 0;
                self.count += 1;
            }
        }
    }

    /// The whole blocks, if there are any.
    fn take(&mut self) -> Option<(Vec<Bytes>, u64)> {
        (self.count > 0).then(|| (std::mem::take(&mut self.whole), std::mem::take(&mut self.count)))
    }

    fn is_between_blocks(&self) -> bool {
        self.part_bytes == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S12.2]
    fn pieces_of_any_length_become_the_same_blocks() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for length in [1, 7, 99, 100, 101, 350, 1000] {
            let mut gather = Gather::new(100);
            let (mut joined, mut count) = (Vec::new(), 0);
            for piece in bytes.chunks(length) {
                gather.push(Bytes::copy_from_slice(piece));
                if let Some((pieces, blocks)) = gather.take() {
                    let got = pieces.concat();
                    assert_eq!(got.len() as u64, blocks * 100, "pieces of {length}");
                    joined.extend(got);
                    count += blocks;
                }
            }
            assert!(gather.is_between_blocks());
            assert_eq!((joined, count), (bytes.clone(), 10), "pieces of {length}");
        }
    }

    #[test] // [S12.2]
    fn a_part_of_a_block_waits() {
        let mut gather = Gather::new(100);
        gather.push(Bytes::from(vec![1; 150]));
        assert_eq!(gather.take().map(|(pieces, count)| (pieces.concat().len(), count)), Some((100, 1)));
        assert!(gather.take().is_none() && !gather.is_between_blocks());
    }
}
