//! What is going on right now, per transfer: who waits for changes, who appends, who holds the share's lock.
//! Nothing here survives the process, and nothing here is the truth: that is the ledger.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use handover_shared::ids::TransferId;
use tokio::sync::{MutexGuard, Semaphore, watch};

/// Entries kept before the unused ones are forgotten.
const SWEEP_ABOVE: usize = 256;
/// Fetches of one transfer at once.
const FETCHES_MAX: usize = 4;

/// All transfers somebody is busy with.
#[derive(Default)]
pub struct Live {
    entries: Mutex<HashMap<TransferId, Weak<Entry>>>,
}

/// One transfer somebody is busy with.
pub struct Entry {
    /// Held while the share is written, released or erased, so that these never overlap.
    pub share: tokio::sync::Mutex<()>,
    /// Turns to fetch at once; each keeps some of what it sends in memory.
    pub fetches: Semaphore,
    changed: watch::Sender<Change>,
    appender: tokio::sync::Mutex<()>,
    latest_run: watch::Sender<Latest>,
}

/// Who wanted to append last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Latest {
    connection: u64,
    run: u64,
}

/// For what the place of whoever appends is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// To append, on the connection of this number.
    Append(u64),
    /// To delete what was appended.
    End,
}

/// That something changed; what, says the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    version: u64,
    /// Whether the transfer has become final.
    pub ended: bool,
}

/// One run of appending; the only one while it lives, apart from those that are ending.
pub struct Run<'a> {
    number: u64,
    latest: watch::Receiver<Latest>,
    _only: MutexGuard<'a, ()>,
}

impl Live {
    /// The entry of a transfer, shared by all who hold it.
    pub fn entry(&self, id: TransferId) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&id).and_then(Weak::upgrade) {
            return entry;
        }
        if entries.len() > SWEEP_ABOVE {
            entries.retain(|_, entry| entry.strong_count() > 0);
        }
        let entry = Arc::new(Entry {
            share: tokio::sync::Mutex::default(),
            fetches: Semaphore::new(FETCHES_MAX),
            changed: watch::Sender::default(),
            appender: tokio::sync::Mutex::default(),
            latest_run: watch::Sender::default(),
        });
        entries.insert(id, Arc::downgrade(&entry));
        entry
    }
}

impl Entry {
    /// Wakes whoever waits for changes.
    pub fn changed(&self) {
        self.changed.send_modify(|change| change.version += 1);
    }

    /// Wakes whoever waits, for the last time that blocks could have come.
    pub fn ended(&self) {
        self.changed.send_modify(|change| *change = Change { version: change.version + 1, ended: true });
    }

    /// Tells of changes from now on.
    pub fn subscribe(&self) -> watch::Receiver<Change> {
        self.changed.subscribe()
    }

    /// Asks whoever appends to stop, waits until that is done, and takes its place [S12.2]. `None` when somebody newer
    /// came meanwhile, or before: what an abandoned connection still brings must not push its successor aside.
    pub async fn take_over(&self, turn: Turn) -> Option<Run<'_>> {
        let mut taken = None;
        self.latest_run.send_if_modified(|latest| {
            let connection = match turn {
                Turn::Append(connection) => connection,
                Turn::End => latest.connection,
            };
            if connection < latest.connection {
                return false;
            }
            *latest = Latest { connection, run: latest.run + 1 };
            taken = Some(latest.run);
            true
        });
        let number = taken?;
        let only = self.appender.lock().await;
        let latest = self.latest_run.subscribe();
        let is_latest = latest.borrow().run == number;
        is_latest.then_some(Run { number, latest, _only: only })
    }
}

impl Run<'_> {
    /// Waits until somebody newer wants to take over.
    pub async fn superseded(&mut self) {
        let number = self.number;
        // The sender lives in the entry that this run borrows from.
        drop(self.latest.wait_for(|latest| latest.run != number).await);
    }
}
