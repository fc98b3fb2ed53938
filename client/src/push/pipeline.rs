//! The path of the data from the seller's files to sealed blocks that may leave: one thread for each step, short queues
//! between them.
//!
//! ```text
//! read --raw frames--> pack (as many as there are cores) --in order--> cut, seal --> journal --> sender
//! ```
//!
//! Every queue is bounded, and the last one is emptied only as fast as the relay makes blocks durable, so that memory does
//! not grow with what is sent. Dropping a [`Pipeline`] stops all steps; [`Pipeline::stop`] waits for that.
//!
//! # Source
//! SPEC [S14.2] [S14.4].

use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use handover_shared::archive::frame::Level;
use handover_shared::archive::inventory::InventorySalt;
use handover_shared::archive::manifest::Counts;
use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, TransferId};
use handover_shared::keys::Secret;
use tokio::sync::mpsc;

use super::cut::Cut;
use super::frames::{Workers, worker_count};
use super::journal::{JournalWriter, Resumption};
use super::keep::Keep;
use super::level::LevelChoice;
use super::read::Reading;
use super::statements::Sealer;
use crate::error::Error;
use crate::event::Observer;
use crate::private::Private;

/// Blocks between the journal and the sender.
const QUEUE_BLOCKS: usize = 2;
/// How often a step that has nothing to do looks whether it is still wanted.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// How long steps may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What a pipeline is given.
pub struct Setup {
    /// The plan.
    pub plan: PathBuf,
    /// Where to go on.
    pub resumption: Resumption,
    /// Where that is written down.
    pub journal: JournalWriter,
    /// Which transfer.
    pub transfer: TransferId,
    /// The size of its blocks.
    pub block_size: BlockSize,
    /// Seals blocks.
    pub block_key: Secret<32>,
    /// Keys the hashes of the manifest.
    pub manifest_key: Secret<32>,
    /// Salts the inventory.
    pub inventory_salt: InventorySalt,
    /// How hard to compress; chosen while it runs if not given.
    pub level: Option<Level>,
    /// Makes the statement at the end.
    pub sealer: Sealer,
    /// Where standard input is read from.
    pub stdin: Option<Box<dyn Read + Send>>,
    /// Told of exceptions.
    pub observer: Arc<dyn Observer>,
}

/// How much is done when a block is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Content bytes.
    pub bytes: u64,
    /// Whole files.
    pub files: u64,
}

/// What comes out.
#[derive(Debug)]
pub enum Made {
    /// The next block; its marks are durable.
    Block {
        /// Its place.
        index: BlockIndex,
        /// Sealed.
        bytes: Bytes,
        /// What it brings along.
        done: Done,
    },
    /// That were all.
    Last {
        /// So many blocks.
        total: BlockCount,
        /// So much of what.
        counts: Counts,
    },
}

/// A running pipeline.
pub struct Pipeline {
    shared: Arc<Shared>,
    made: mpsc::Receiver<Result<Made, Error>>,
}

/// What all steps can see.
pub(super) struct Shared {
    halted: AtomicBool,
    acknowledged: AtomicU64,
    current: Mutex<Option<Private<String>>>,
}

/// Why a step ends before its work is done.
pub(super) enum Stopped {
    /// It failed.
    Failed(Error),
    /// Nobody wants its work any more.
    Unwanted,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Shared {
    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    pub(super) fn acknowledged(&self) -> BlockCount {
        BlockCount(self.acknowledged.load(Ordering::Relaxed))
    }

    pub(super) fn set_current(&self, name: Option<Private<String>>) {
        *self.lock() = name;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Private<String>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipeline {
    /// Starts all steps.
    ///
    /// # Errors
    /// [`Error::Disk`] if a thread cannot be started, [`Error::Internal`] if there is no compressor.
    pub fn start(setup: Setup) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            halted: AtomicBool::new(false),
            acknowledged: AtomicU64::new(setup.resumption.durable.0),
            current: Mutex::new(None),
        });
        let (send_made, made) = mpsc::channel(QUEUE_BLOCKS);
        let pipeline = Self { shared: shared.clone(), made };
        let (records, marks) = setup.journal.split();
        let records_path = records.path().to_path_buf();
        let (feed, packed, workers) = Workers::new(LevelChoice::new(setup.level, worker_count()), worker_count())?;
        let (give_back, given_back) = std::sync::mpsc::channel();
        let (keep, kept) = Keep::new(marks, send_made.clone(), shared.clone());
        let cut = Cut {
            packed,
            keep,
            give_back,
            records,
            sealer: setup.sealer,
            transfer: setup.transfer,
            size: setup.block_size,
            block_key: setup.block_key,
            inventory_salt: setup.inventory_salt,
            shared: shared.clone(),
        };
        let reading = Reading {
            feed,
            given_back,
            manifest_key: setup.manifest_key,
            records: records_path,
            stdin: setup.stdin,
            observer: setup.observer,
            shared: shared.clone(),
        };
        let resumption = setup.resumption;
        let from = resumption.clone();
        workers.spawn(&send_made)?;
        spawn("push-keep", &send_made, move || kept.run())?;
        spawn("push-cut", &send_made, move || cut.run(&from))?;
        spawn("push-read", &send_made, move || reading.run(&setup.plan, resumption.point.map(|(_, point)| point)))?;
        Ok(pipeline)
    }

    /// The next thing made; `None` if everything was.
    ///
    /// # Errors
    /// Whatever a step failed with.
    pub async fn next(&mut self) -> Option<Result<Made, Error>> {
        self.made.recv().await
    }

    /// So many blocks are durable: what was kept to make them again may go.
    pub fn acknowledge(&self, durable: BlockCount) {
        self.shared.acknowledged.store(durable.0, Ordering::Relaxed);
    }

    /// The file being read.
    pub fn current(&self) -> Option<Private<String>> {
        self.shared.lock().clone()
    }
}

impl Pipeline {
    /// Stops all steps and waits until they have let go of the journal. A step that the system does not let go of, in a
    /// read that never ends, is left to itself.
    pub async fn stop(mut self) {
        self.shared.halted.store(true, Ordering::Relaxed);
        let emptied = tokio::time::timeout(STOP_TIMEOUT, async { while self.made.recv().await.is_some() {} });
        if emptied.await.is_err() {
            tracing::warn!("a step does not end");
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.shared.halted.store(true, Ordering::Relaxed);
    }
}

/// Starts a step; what it fails with comes out at the end of the pipeline.
pub(super) fn spawn(
    name: &str,
    made: &mpsc::Sender<Result<Made, Error>>,
    step: impl FnOnce() -> Result<(), Stopped> + Send + 'static,
) -> Result<(), Error> {
    let made = made.clone();
    let run = move || {
        if let Err(Stopped::Failed(error)) = step()
            && made.blocking_send(Err(error)).is_err()
        {
            tracing::debug!("a step failed after everybody had left");
        }
    };
    let spawned = std::thread::Builder::new().name(name.into()).spawn(run);
    spawned.map(drop).map_err(|source| Error::disk("starting a thread", name, source))
}
