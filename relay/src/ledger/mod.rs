//! What the relay remembers: transfers, segments, sellers, invites. One transaction per domain operation, durable
//! before it is answered.
//!
//! [`rows`] is the seam: what a backend must be able to do. [`operations`] are the domain operations over any backend.
//! [`Sqlite`] is the backend that is built in. [`Ledger`] runs operations on two threads: one that writes, many
//! operations to a commit, and one that only reads and never waits for a sync.

mod columns;
pub mod log;
pub mod operations;
pub mod rows;
mod sqlite;
pub mod verify;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use handover_shared::ids::Millis;
use handover_shared::protocol::message::Refused;
use tokio::sync::oneshot;

pub use sqlite::{SCHEMA_VERSION, Sqlite};

use rows::{Access, Backend, Read, Write};

/// Operations that share one commit at most.
const BATCH_MAX: usize = 256;

/// What an operation came to: an answer or a refusal, or the ledger itself failed.
pub type Answer<T> = Result<Result<T, Refused>, LedgerError>;

/// Tells the time; a test hands in its own.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// Why the ledger could not do its work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database refused.
    #[error("the ledger failed to {tried}")]
    Sqlite {
        /// What was being done.
        tried: &'static str,
        /// Why it failed.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// A row holds what this program never writes.
    #[error("the ledger holds a row that cannot be: {what}")]
    Corrupt {
        /// Which kind of row.
        what: &'static str,
    },
    /// It knows of no transfer at all, and there are blocks of some.
    #[error("the ledger is empty, although there are blocks: it was lost or replaced")]
    Lost,
    /// A newer program has written it.
    #[error("the ledger has schema {seen}, this program knows up to {known}")]
    NewerSchema {
        /// The version found.
        seen: i64,
        /// The newest version known.
        known: i64,
    },
    /// A statement could not be signed.
    #[error("a statement could not be signed")]
    Sign(#[source] handover_shared::proof::ProofFault),
    /// The ledger's thread could not be started.
    #[error("the ledger's thread could not be started")]
    Thread(#[source] Arc<std::io::Error>),
    /// The ledger is being shut down.
    #[error("the ledger is closed")]
    Closed,
}

/// Time that never runs backwards [S13.8].
pub struct Time {
    clock: Clock,
    highest: AtomicU64,
}

impl Time {
    /// The clock's time, or the greatest seen before if that is later.
    pub fn now(&self) -> Millis {
        let now = (self.clock)().0;
        Millis(self.highest.fetch_max(now, Ordering::SeqCst).max(now))
    }
}

type WriteJob = Box<dyn FnOnce(&mut dyn Write, Millis) -> (Verdict, Settle) + Send>;
type ReadJob = Box<dyn FnOnce(&dyn Read, Millis) + Send>;
/// Told whether the commit succeeded; hands the answer over.
type Settle = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;

/// What the writing thread is asked.
enum Order {
    Run(WriteJob),
    Tidy(oneshot::Sender<Result<(), LedgerError>>),
}

/// What becomes of the changes of one operation in a batch.
enum Verdict {
    Keep,
    Undo,
}

/// A running ledger; operations go through [`Ledger::write`] and [`Ledger::read`].
pub struct Ledger {
    time: Arc<Time>,
    writes: Option<mpsc::Sender<Order>>,
    reads: Option<mpsc::Sender<ReadJob>>,
    threads: Vec<JoinHandle<()>>,
}

impl Ledger {
    /// Opens or creates the ledger of a file.
    ///
    /// # Errors
    /// [`LedgerError::NewerSchema`] for a file of a newer program; else what the database says.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, LedgerError> {
        let writer = Sqlite::open(path)?;
        let reader = Sqlite::open(path)?;
        Self::over(writer, reader, clock)
    }

    /// Runs over two connections to the same rows.
    ///
    /// # Errors
    /// When the rows cannot be read or a thread cannot be started.
    pub fn over(writer: impl Backend, reader: impl Backend, clock: Clock) -> Result<Self, LedgerError> {
        let time = Arc::new(Time { clock, highest: AtomicU64::new(writer.time()?.0) });
        let (writes, write_queue) = mpsc::channel::<Order>();
        let (reads, read_queue) = mpsc::channel::<ReadJob>();
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.into())
                .spawn(work)
                .map_err(|error| LedgerError::Thread(Arc::new(error)))
        };
        let write_time = time.clone();
        let read_time = time.clone();
        let threads = vec![
            spawn("ledger-write", Box::new(move || write_loop(writer, &write_queue, &write_time)))?,
            spawn("ledger-read", Box::new(move || read_loop(reader, &read_queue, &read_time)))?,
        ];
        Ok(Self { time, writes: Some(writes), reads: Some(reads), threads })
    }

    /// The time by which this ledger judges.
    pub fn now(&self) -> Millis {
        self.time.now()
    }

    /// Runs an operation in a transaction and answers when it is durable. An operation that fails leaves no trace.
    ///
    /// # Errors
    /// The operation's own, or that the commit failed.
    pub async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Write, Millis) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = oneshot::channel();
        let job: WriteJob = Box::new(move |rows, now| {
            let outcome = operation(rows, now);
            let verdict = if outcome.is_ok() { Verdict::Keep } else { Verdict::Undo };
            let settle: Settle = Box::new(move |committed| {
                // Whoever asked may be gone; the operation stands all the same.
                drop(answer.send(outcome.and_then(|value| committed.map(|()| value))));
            });
            (verdict, settle)
        });
        self.order(Order::Run(job))?;
        answered.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Makes what was deleted unreadable in the database's own files.
    ///
    /// # Errors
    /// What the database says.
    pub async fn tidy(&self) -> Result<(), LedgerError> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Tidy(answer))?;
        answered.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Looks something up in what is durable.
    ///
    /// # Errors
    /// The operation's own, or that the ledger is closed.
    pub async fn read<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&dyn Read, Millis) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = oneshot::channel();
        let job: ReadJob = Box::new(move |rows, now| drop(answer.send(operation(rows, now))));
        self.reads.as_ref().ok_or(LedgerError::Closed)?.send(job).or(Err(LedgerError::Closed))?;
        answered.await.unwrap_or(Err(LedgerError::Closed))
    }

    fn order(&self, order: Order) -> Result<(), LedgerError> {
        self.writes.as_ref().ok_or(LedgerError::Closed)?.send(order).or(Err(LedgerError::Closed))
    }
}

impl Drop for Ledger {
    /// Finishes what was asked and closes the database.
    fn drop(&mut self) {
        self.writes = None;
        self.reads = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the ledger ended with a panic");
            }
        }
    }
}

fn write_loop(mut rows: impl Backend, queue: &mpsc::Receiver<Order>, time: &Time) {
    while let Ok(first) = queue.recv() {
        let mut batch = Vec::new();
        let mut tidies = Vec::new();
        for order in std::iter::once(first).chain(queue.try_iter().take(BATCH_MAX - 1)) {
            match order {
                Order::Run(job) => batch.push(job),
                Order::Tidy(answer) => tidies.push(answer),
            }
        }
        if !batch.is_empty() {
            run_and_settle(&mut rows, batch, time);
        }
        if !tidies.is_empty() {
            let tidied = rows.tidy();
            tidies.into_iter().for_each(|answer| drop(answer.send(tidied.clone())));
        }
    }
}

fn run_and_settle(rows: &mut impl Backend, batch: Vec<WriteJob>, time: &Time) {
    let mut settles = Vec::new();
    let committed = run_batch(rows, batch, time, &mut settles);
    if let Err(error) = &committed {
        tracing::error!(error = %Causes(error), "a commit failed");
        if let Err(error) = rows.rollback() {
            tracing::error!(error = %Causes(&error), "and could not be rolled back");
        }
    }
    for settle in settles {
        settle(committed.clone());
    }
}

fn run_batch(
    rows: &mut impl Backend,
    batch: Vec<WriteJob>,
    time: &Time,
    settles: &mut Vec<Settle>,
) -> Result<(), LedgerError> {
    rows.begin(Access::Write)?;
    let now = time.now();
    let before = rows.changes();
    for job in batch {
        rows.savepoint()?;
        let (verdict, settle) = job(rows, now);
        settles.push(settle);
        match verdict {
            Verdict::Keep => rows.keep()?,
            Verdict::Undo => rows.undo()?,
        }
    }
    if rows.changes() != before {
        rows.set_time(now)?;
    }
    rows.commit()
}

fn read_loop(mut rows: impl Backend, queue: &mpsc::Receiver<ReadJob>, time: &Time) {
    while let Ok(job) = queue.recv() {
        if let Err(error) = rows.begin(Access::Read) {
            tracing::error!(error = %Causes(&error), "the ledger could not be read");
            continue;
        }
        job(&rows, time.now());
        if let Err(error) = rows.commit() {
            tracing::error!(error = %Causes(&error), "a look into the ledger could not be ended");
        }
    }
}

/// Runs one operation in a transaction of its own, for a program that is not the relay.
///
/// # Errors
/// The operation's own, or what the database says.
pub fn once<T>(
    rows: &mut impl Backend,
    now: Millis,
    operation: impl FnOnce(&mut dyn Write, Millis) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    rows.begin(Access::Write)?;
    let now = now.max(rows.time()?);
    match operation(rows, now) {
        Ok(value) => rows.commit().map(|()| value),
        Err(error) => rows.rollback().and(Err(error)),
    }
}

/// Shows an error with what caused it.
pub(crate) struct Causes<'a>(pub &'a dyn std::error::Error);

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod contract;
