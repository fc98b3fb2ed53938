//! The part of Append that blocks: fills segments and syncs them, in order. No thread is kept while nothing comes.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use handover_shared::ids::{BlockCount, BlockIndex, TransferId};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::ledger::rows::Segment;
use crate::store::{SegmentWriter, Segments};

/// A segment that has so many bytes is closed.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// Orders carried out without coming back in between.
const ORDERS_AT_ONCE: usize = 16;

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

/// Where the writer stands.
pub(super) struct Writer {
    store: Arc<dyn Segments>,
    id: TransferId,
    next: BlockIndex,
    block_bytes: usize,
    free_bytes_min: u64,
    open: Option<Open>,
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
pub(super) async fn write(
    mut writer: Writer,
    mut orders: mpsc::Receiver<Order>,
    synced: mpsc::Sender<Segment>,
) -> Result<(), WriteError> {
    let mut batch = Vec::new();
    while orders.recv_many(&mut batch, ORDERS_AT_ONCE).await > 0 {
        let work = std::mem::take(&mut batch);
        let (back, segments) = blocking(move || {
            let segments = writer.carry_out(work)?;
            Ok((writer, segments))
        })
        .await?;
        writer = back;
        for segment in segments {
            if let Err(mpsc::error::SendError(unwanted)) = synced.send(segment).await {
                return blocking(move || writer.forget(&unwanted)).await;
            }
        }
    }
    // An open segment that was never asked to be durable is removed, which blocks too.
    blocking(move || {
        drop(writer);
        Ok(())
    })
    .await
}

impl Writer {
    /// Begins behind what is durable; no segment is begun while less is free than `free_bytes_min` [S13.10].
    pub(super) fn new(
        store: Arc<dyn Segments>,
        id: TransferId,
        next: BlockIndex,
        block_bytes: usize,
        free_bytes_min: u64,
    ) -> Self {
        Self { store, id, next, block_bytes, free_bytes_min, open: None }
    }

    /// Carries orders out and gives the segments that were synced.
    fn carry_out(&mut self, orders: Vec<Order>) -> Result<Vec<Segment>, WriteError> {
        let mut segments = Vec::new();
        for order in orders {
            let is_due = match order {
                Order::Blocks(blocks) => self.append(&blocks)?,
                Order::Flush => true,
            };
            if let Some(open) = self.open.take_if(|_| is_due) {
                // [S13.3] Synced here, known to the ledger next, acknowledged last.
                let count = open.count;
                let segment = Segment { first: self.next, count: BlockCount(count), name: open.writer.finish()? };
                self.next = segment.end();
                segments.push(segment);
            }
        }
        Ok(segments)
    }

    /// Writes blocks to the open segment; tells whether it is full.
    fn append(&mut self, blocks: &Blocks) -> Result<bool, WriteError> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                if self.store.free_bytes()? < self.free_bytes_min {
                    return Err(WriteError::Full);
                }
                self.open.insert(Open { writer: self.store.create(self.id, self.next)?, count: 0 })
            }
        };
        open.writer.write(&blocks.pieces)?;
        open.count += blocks.count;
        Ok(open.count.saturating_mul(self.block_bytes as u64) >= SEGMENT_BYTES)
    }

    /// Removes a segment that will never be acknowledged.
    fn forget(&self, segment: &Segment) -> Result<(), WriteError> {
        Ok(self.store.remove(self.id, &segment.name)?)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WriteError> + Send + 'static,
) -> Result<T, WriteError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(WriteError::Io(io::Error::other(panic))))
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

    use tokio::sync::Semaphore;

    use super::*;
    use crate::store::files::Files;

    const ID: TransferId = TransferId([1; 16]);
    const BLOCK: usize = 65_536;

    fn blocks(count: u64) -> Order {
        let room = Arc::new(Semaphore::new(2));
        let permit = || room.clone().try_acquire_owned().unwrap();
        let pieces = vec![Bytes::from(vec![1; BLOCK]); usize::try_from(count).unwrap()];
        Order::Blocks(Blocks { pieces, count, _permits: (permit(), permit()) })
    }

    fn writer(folder: &Path, free_bytes_min: u64) -> Writer {
        let store = Files::open(folder.join("segments")).unwrap();
        Writer::new(Arc::new(store), ID, BlockIndex(7), BLOCK, free_bytes_min)
    }

    async fn written(writer: Writer, orders: Vec<Order>) -> (Result<(), WriteError>, Vec<(u64, u64)>) {
        let (give, take) = mpsc::channel(99);
        orders.into_iter().for_each(|order| assert!(give.try_send(order).is_ok()));
        drop(give);
        let (synced, mut segments) = mpsc::channel(99);
        let outcome = write(writer, take, synced).await;
        let mut found = Vec::new();
        while let Some(segment) = segments.recv().await {
            found.push((segment.first.0, segment.count.0));
        }
        (outcome, found)
    }

    #[tokio::test] // [S13.3]
    async fn segments_end_when_they_are_full_or_flushed() {
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
        let (outcome, segments) = written(writer(folder.path(), 0), orders).await;
        assert!(outcome.is_ok());
        assert_eq!(segments, [(7, full + 1), (8 + full, 1), (9 + full, 3)]);
        // The last block was never asked to be durable, and is gone.
        let files = std::fs::read_dir(folder.path().join("segments").join(ID.to_hex())).unwrap();
        assert_eq!(files.count(), 3);
    }

    #[tokio::test] // [S13.10]
    async fn nothing_is_begun_below_the_floor() {
        let folder = tempfile::tempdir().unwrap();
        let (outcome, segments) = written(writer(folder.path(), u64::MAX), vec![blocks(1), Order::Flush]).await;
        assert!(matches!(outcome, Err(WriteError::Full)) && segments.is_empty());
    }

    #[tokio::test]
    async fn a_segment_that_nobody_wants_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path(), 0);
        let store = writer.store.clone();
        let (give, take) = mpsc::channel(9);
        [blocks(1), Order::Flush].into_iter().for_each(|order| assert!(give.try_send(order).is_ok()));
        let (synced, segments) = mpsc::channel(9);
        drop(segments);

        drop(give);
        assert!(write(writer, take, synced).await.is_ok());

        assert_eq!(store.names(ID).unwrap(), [""; 0]);
    }
}
