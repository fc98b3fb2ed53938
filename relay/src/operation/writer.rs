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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::store::files::Files;

    const BLOCK: usize = 65_536;

    fn blocks(count: u64) -> Order {
        let room = Arc::new(Semaphore::new(2));
        let permit = || room.clone().try_acquire_owned().unwrap();
        let pieces = vec![Bytes::from(vec![1; BLOCK]); usize::try_from(count).unwrap()];
        Order::Blocks(Blocks { pieces, count, _permits: (permit(), permit()) })
    }

    fn written(folder: &Path, orders: Vec<Order>, free_bytes_min: u64) -> (Result<(), WriteError>, Vec<(u64, u64)>) {
        let store = Files::open(folder.join("segments")).unwrap();
        let work = Work { id: TransferId([1; 16]), first: BlockIndex(7), block_bytes: BLOCK, free_bytes_min };
        let (give, take) = mpsc::channel(99);
        orders.into_iter().for_each(|order| assert!(give.try_send(order).is_ok()));
        drop(give);
        let (synced, mut segments) = mpsc::channel(99);
        let outcome = write(&store, &work, take, &synced);
        drop(synced);
        let mut found = Vec::new();
        while let Ok(segment) = segments.try_recv() {
            found.push((segment.first.0, segment.count.0));
        }
        (outcome, found)
    }

    #[test] // [S13.3]
    fn segments_end_when_they_are_full_or_flushed() {
        let folder = tempfile::tempdir().unwrap();
        let full = SEGMENT_BYTES / BLOCK as u64;
        let orders = vec![
            blocks(full - 1),
            blocks(2),
            blocks(1),
            Order::Flush,
            Order::Flush,
            blocks(3),
            Order::Flush,
            blocks(1),
        ];
        let (outcome, segments) = written(folder.path(), orders, 0);
        assert!(outcome.is_ok());
        assert_eq!(segments, [(7, full + 1), (8 + full, 1), (9 + full, 3)]);
        // The last block was never asked to be durable, and is gone.
        let files = std::fs::read_dir(folder.path().join("segments").join(TransferId([1; 16]).to_hex())).unwrap();
        assert_eq!(files.count(), 3);
    }

    #[test] // [S13.10]
    fn nothing_is_begun_below_the_floor() {
        let folder = tempfile::tempdir().unwrap();
        let (outcome, segments) = written(folder.path(), vec![blocks(1), Order::Flush], u64::MAX);
        assert!(matches!(outcome, Err(WriteError::Full)) && segments.is_empty());
    }

    #[test]
    fn a_segment_that_nobody_wants_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Files::open(folder.path().join("segments")).unwrap();
        let work = Work { id: TransferId([1; 16]), first: BlockIndex(0), block_bytes: BLOCK, free_bytes_min: 0 };
        let (give, take) = mpsc::channel(9);
        [blocks(1), Order::Flush].into_iter().for_each(|order| assert!(give.try_send(order).is_ok()));
        let (synced, segments) = mpsc::channel(9);
        drop(segments);

        assert!(write(&store, &work, take, &synced).is_ok());

        assert_eq!(store.names(work.id).unwrap(), [""; 0]);
    }
}
