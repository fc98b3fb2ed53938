//! The part of Append that blocks: fills segments, syncs them, hands them on in order.

use std::io;

use bytes::Bytes;
use handover_shared::ids::{BlockCount, BlockIndex, TransferId};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::ledger::rows::Segment;
use crate::store::{SegmentWriter, Segments};

/// A segment that has so many bytes is closed.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// What the writer is told.
pub(super) enum Order {
    /// Write these.
    Blocks(Blocks),
    /// Make durable what was written.
    Flush,
}

/// Whole blocks on their way to the disk.
pub(super) struct Blocks {
    /// Their bytes, in pieces of any length.
    pub pieces: Vec<Bytes>,
    /// How many there are.
    pub count: u64,
    /// Room they take until they are written.
    pub _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// What the writer works on.
pub(super) struct Work {
    /// Which transfer.
    pub id: TransferId,
    /// The first block that will come.
    pub first: BlockIndex,
    /// The size of every block.
    pub block_bytes: usize,
    /// Free bytes below which no segment is begun [S13.10].
    pub free_bytes_min: u64,
}

/// Why the writer stopped early.
#[derive(Debug)]
pub(super) enum WriteError {
    /// The disk is at its floor.
    Full,
    /// The store failed.
    Io(io::Error),
}

struct Open {
    writer: Box<dyn SegmentWriter>,
    count: u64,
}

/// Carries orders out until there are no more, or nobody wants the segments any more.
pub(super) fn write(
    store: &dyn Segments,
    work: &Work,
    mut orders: mpsc::Receiver<Order>,
    synced: &mpsc::Sender<Segment>,
) -> Result<(), WriteError> {
    let mut next = work.first;
    let mut open: Option<Open> = None;
    while let Some(order) = orders.blocking_recv() {
        let is_due = match order {
            Order::Blocks(blocks) => {
                let segment = match &mut open {
                    Some(segment) => segment,
                    None => open.insert(begin(store, work, next)?),
                };
                segment.writer.write(&blocks.pieces)?;
                segment.count += blocks.count;
                segment.count.saturating_mul(work.block_bytes as u64) >= SEGMENT_BYTES
            }
            Order::Flush => true,
        };
        if !is_due {
            continue;
        }
        let Some(segment) = open.take() else { continue };
        let count = segment.count;
        // [S13.3] Synced here, known to the ledger next, acknowledged last.
        let name = segment.writer.finish()?;
        let segment = Segment { first: next, count: BlockCount(count), name };
        next = segment.end();
        if let Err(mpsc::error::SendError(segment)) = synced.blocking_send(segment) {
            store.remove(work.id, &segment.name)?;
            return Ok(());
        }
    }
    Ok(())
}

fn begin(store: &dyn Segments, work: &Work, first: BlockIndex) -> Result<Open, WriteError> {
    if store.free_bytes()? < work.free_bytes_min {
        return Err(WriteError::Full);
    }
    Ok(Open { writer: store.create(work.id, first)?, count: 0 })
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error),
        }
    }
}
