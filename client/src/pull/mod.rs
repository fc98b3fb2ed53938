//! The buyer's side: from the code to files in their places and a signed receipt.
//!
//! | module | what it does |
//! |---|---|
//! | `gate` | the document that must be signed first |
//! | `look`, `begin`, `claim`, `run`, `reach` | the conversation with the relay, carried out as the buyer's machine asks |
//! | `precheck` | what stands in the way, before anything is fetched |
//! | `flow`, `pipeline` | blocks to frames to items |
//! | `place`, `folders` | items to files, folders and links beneath the destination |
//! | `stdout` | the one file of a transfer to standard output |
//! | `finish`, `sign`, `settle` | what waited for an answer; modes and times of folders; the receipt |
//! | `checkpoint`, `kept` | from where the next run goes on; what is kept at home |
//! | `work`, `tree`, `disk`, `names`, `list` | what placing stands on |

mod begin;
mod checkpoint;
mod claim;
pub(crate) mod disk;
mod finish;
mod flow;
mod folders;
mod gate;
pub(crate) mod kept;
mod list;
mod look;
pub(crate) mod names;
mod pipeline;
mod place;
mod precheck;
#[cfg(feature = "probe")]
pub mod probe;
mod reach;
mod run;
mod settle;
mod sign;
mod stdout;
#[cfg(test)]
mod tests;
pub(crate) mod tree;
mod work;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use handover_shared::archive::manifest::Record;
use handover_shared::archive::path::EntryPath;
use handover_shared::ids::Millis;

use crate::bandwidth::Bandwidth;
use crate::error::Error;
use crate::event::Observer;
use crate::home::Home;
use crate::home::transfers::Folder;
use crate::private::Private;
use crate::stop::Stop;

pub(crate) use gate::keep_refusal;
pub use look::{Look, LookOptions, look};
pub(crate) use names::WORK_FOLDER;

/// What to do with an existing file that is not the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// Ask the person, once, for all of them.
    Ask,
    /// Keep what is there.
    Skip,
    /// Give the new one another name.
    Rename,
    /// Put the new one in the place of the old one.
    Overwrite,
    /// Stop.
    Fail,
}

/// An existing thing that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The path in the transfer.
    pub path: Private<Vec<u8>>,
    /// Bytes of what is there; 0 for what is no file.
    pub existing_bytes: u64,
    /// Bytes of what came.
    pub new_bytes: u64,
}

/// Every record of a transfer that came whole, in order, while the list is kept.
pub(crate) fn listed_records(folder: &Folder, each: &mut dyn FnMut(&Record) -> Result<(), Error>) -> Result<(), Error> {
    let path = kept::list_file(folder);
    let bytes = std::fs::metadata(&path).map_err(|source| Error::disk("reading the list", &path, source))?;
    for line in list::ListReader::open(&path, bytes.len())? {
        each(&line?.record)?;
    }
    Ok(())
}

/// What became of everything, once that is known: unchanged, kept, renamed, exceptions.
pub(crate) fn outcome(folder: &Folder) -> Result<Option<(u64, u64, u64, u64)>, Error> {
    if !kept::has_outcome(folder) {
        return Ok(None);
    }
    let tally = kept::read_outcome(folder)?;
    Ok(Some((tally.unchanged, tally.kept_existing, tally.renamed, tally.exceptions)))
}

/// Answers questions.
pub trait Decide: Send + Sync {
    /// What to do with things that stand in the way; `None` when nobody can answer.
    fn conflicts(&self, count: u64, first: &[Conflict]) -> Option<ConflictPolicy>;
}

/// How to take a transfer.
#[derive(Clone, Debug)]
pub struct TakeOptions {
    /// What to do with existing files that are not the same.
    pub conflict: ConflictPolicy,
    /// How fast to receive.
    pub bandwidth: Arc<Bandwidth>,
}

impl TakeOptions {
    /// As fast as it goes.
    pub fn new(conflict: ConflictPolicy) -> Self {
        Self { conflict, bandwidth: Arc::default() }
    }
}

/// What was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The number of the transfer on this machine.
    pub id: u64,
    /// Files, verified.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Files that were there already and are the same.
    pub unchanged: u64,
    /// Files not placed because the buyer keeps what is there.
    pub kept_existing: u64,
    /// Entries that got another name because theirs was taken.
    pub renamed: u64,
    /// Entries that are listed: not sent, or not preserved in something.
    pub exceptions: u64,
    /// The first characters of the receipt's hash.
    pub receipt_short: String,
    /// Whether the relay has the receipt.
    pub delivered: bool,
    /// The folder in which the sent names are.
    pub destination: PathBuf,
}

/// Goes on with a transfer of this machine that was interrupted.
///
/// # Errors
/// [`Error::NoSuchTransfer`], [`Error::Held`], and those of [`Look::take`].
pub async fn resume(
    home: &Home,
    id: u64,
    bandwidth: Arc<Bandwidth>,
    decide: Arc<dyn Decide>,
    observer: Arc<dyn Observer>,
    stop: Stop,
) -> Result<Taken, Error> {
    let look = look::look_by_number(home, id)?;
    look.take(TakeOptions { conflict: ConflictPolicy::Ask, bandwidth }, decide, observer, stop).await
}

/// This machine's clock.
fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The path of an entry on this machine, to show it.
fn shown_path(destination: &Path, path: &EntryPath) -> PathBuf {
    shown_bytes(destination, path.as_bytes())
}

fn shown_bytes(destination: &Path, path: &[u8]) -> PathBuf {
    destination.join(OsStr::from_bytes(path))
}
