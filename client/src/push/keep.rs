//! The last step before a block leaves: what would be needed to make the rest again is made durable, many blocks at a
//! time.
//!
//! # Source
//! SPEC [S14.2].

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use handover_shared::archive::manifest::Counts;
use handover_shared::ids::{BlockCount, BlockIndex};
use tokio::sync::mpsc;

use super::journal::{Mark, MarksWriter};
use super::pipeline::{Done, Made, PATIENCE, Shared, Stopped};
use crate::error::Error;

/// Sealed bytes that share one sync at most.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a block waits for others to share its sync.
const BATCH_PAUSE: Duration = Duration::from_millis(4);
/// How long the first of a batch waits at most.
const BATCH_TIME_MAX: Duration = Duration::from_millis(100);

/// A sealed block and its mark.
pub(super) struct Sealed {
    pub index: BlockIndex,
    pub bytes: Bytes,
    pub mark: Mark,
}

/// What comes from the cutting step.
pub(super) enum Item {
    Block(Sealed),
    Last { total: BlockCount, counts: Counts },
}

/// Where the cutting step puts blocks.
pub(super) type Keeper = SyncSender<Item>;

/// The step.
pub(super) struct Keep {
    items: Receiver<Item>,
    marks: MarksWriter,
    made: mpsc::Sender<Result<Made, Error>>,
    shared: Arc<Shared>,
    done: Done,
}

impl Keep {
    pub(super) fn new(
        marks: MarksWriter,
        made: mpsc::Sender<Result<Made, Error>>,
        shared: Arc<Shared>,
    ) -> (Keeper, Self) {
        let (keeper, items) = sync_channel(1);
        (keeper, Self { items, marks, made, shared, done: Done::default() })
    }

    pub(super) fn run(mut self) -> Result<(), Stopped> {
        loop {
            let first = match self.items.recv_timeout(PATIENCE) {
                Ok(item) => item,
                Err(RecvTimeoutError::Timeout) if self.shared.is_halted() => return Err(Stopped::Unwanted),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let batch = self.batch(first);
            self.keep(batch)?;
        }
    }

    /// Waits a little for more, so that a fast stream costs few syncs and a slow one no time.
    fn batch(&self, first: Item) -> Vec<Item> {
        let begun = Instant::now();
        let mut bytes = weight(&first);
        let mut batch = vec![first];
        while bytes < BATCH_BYTES_MAX && begun.elapsed() < BATCH_TIME_MAX {
            let Ok(item) = self.items.recv_timeout(BATCH_PAUSE) else { break };
            bytes += weight(&item);
            batch.push(item);
        }
        batch
    }

    fn keep(&mut self, batch: Vec<Item>) -> Result<(), Stopped> {
        let (mut marks, mut made) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for item in batch {
            match item {
                Item::Block(Sealed { index, bytes, mark }) => {
                    if let Some(point) = &mark.point {
                        self.done = Done { bytes: point.bytes(), files: point.state.counts().files };
                    }
                    marks.push(mark);
                    made.push(Made::Block { index, bytes, done: self.done });
                }
                Item::Last { total, counts } => made.push(Made::Last { total, counts }),
            }
        }
        if !marks.is_empty() {
            self.marks.add(marks, self.shared.acknowledged())?; // [S14.2]
        }
        for item in made {
            self.made.blocking_send(Ok(item)).or(Err(Stopped::Unwanted))?;
        }
        Ok(())
    }
}

fn weight(item: &Item) -> usize {
    match item {
        Item::Block(sealed) => sealed.bytes.len(),
        // Nothing comes after it.
        Item::Last { .. } => BATCH_BYTES_MAX,
    }
}
