//! The seller's side: from files to a relay that has everything.
//!
//! | module | what it holds |
//! |---|---|
//! | `scan`, `filter`, `biggest` | what there is, and what of it is sent |
//! | `plan` | which entries, from where; on disk before anything is sent |
//! | `statements` | code, keys, offer, seal |
//! | `source`, `stdin`, `read` | bytes of files, unchanged while they were read, to raw frames |
//! | `frames`, `level`, `cut`, `keep` | raw frames to packed ones, to sealed blocks, to blocks that may leave |
//! | `journal` | from where to go on after a crash |
//! | `pipeline` | these steps, each on its thread |
//! | `session`, `deliver`, `sending` | blocks to the relay, through every trouble |
//! | `words`, `reach`, `size`, `story` | all of it in order |
//!
//! # Source
//! SPEC \[S14\].

mod biggest;
mod cut;
mod deliver;
mod filter;
mod frames;
pub(crate) mod journal;
mod keep;
mod level;
mod pipeline;
pub(crate) mod plan;
mod reach;
mod read;
mod scan;
mod sending;
mod session;
mod size;
mod source;
pub(crate) mod statements;
mod stdin;
mod story;
mod words;

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use handover_shared::archive::manifest::Record;
use handover_shared::ids::Millis;
use handover_shared::invite::Invite;
use handover_shared::keys::code::RelayAddress;

use crate::bandwidth::Bandwidth;
use crate::error::Error;
use crate::event::{ExceptionReason, Observer, ReceiptFacts, Scanned};
use crate::home::transfers::Folder;
use crate::private::Private;
use crate::stop;

pub use plan::{Origin, Planned};
pub(crate) use scan::mtime_of;
pub use story::{push, push_from, resume};

/// Something to push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or folder.
    Path(PathBuf),
    /// Standard input.
    Stdin {
        /// What it is called in the transfer.
        name: String,
    },
}

/// Patterns by the rules of gitignore; the last that matches decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// What is sent although it is excluded; alone, all that is sent.
    pub include: Vec<String>,
    /// What is left out.
    pub exclude: Vec<String>,
    /// Files with patterns of what is left out.
    pub exclude_from: Vec<PathBuf>,
}

/// Which relay to push through.
#[derive(Debug, Default)]
pub enum RelayChoice {
    /// The first in the book; without one, a relay inside this process.
    #[default]
    Default,
    /// One in the book.
    Known(RelayAddress),
    /// One to enrol at, if that has not been done.
    Invite(Invite),
    /// A relay inside this process.
    Embedded,
}

/// How hard to compress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As it pays.
    #[default]
    Auto,
    /// A level of zstd, 1 to 19.
    Level(i32),
}

/// What becomes of symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    /// They are sent as links.
    Kept,
    /// What they point to is sent.
    Followed,
}

/// What to push, how, and where to.
#[derive(Debug, Default)]
pub struct PushOptions {
    /// What.
    pub sources: Vec<Source>,
    /// Through which relay.
    pub relay: RelayChoice,
    /// Milliseconds until it ends; `None` for the relay's default.
    pub expires_ms: Option<u64>,
    /// What it is called; `None` for the name of the first path.
    pub label: Option<String>,
    /// The document that the buyer must sign before the data opens.
    pub agreement: Option<PathBuf>,
    /// What is left out.
    pub filters: Filters,
    /// Whether what symbolic links point to is sent in their place.
    pub follow: bool,
    /// How hard to compress.
    pub compression: Compression,
    /// How fast to send.
    pub bandwidth: Arc<Bandwidth>,
    /// Whether a new transfer begins although an unfinished one of the same paths could be continued.
    pub fresh: bool,
    /// `SHA256:…` of the one buyer whose claim and receipt are accepted; `None` for whoever has the code.
    pub expect_buyer: Option<String>,
    /// Whether the push ends with the receipt. With a relay inside this process it always does.
    pub wait: bool,
}

impl PushOptions {
    fn links(&self) -> Links {
        if self.follow { Links::Followed } else { Links::Kept }
    }
}

/// What came of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The number of the transfer on this machine.
    pub id: u64,
    /// Entries that are listed but not handed over.
    pub exceptions: u64,
    /// Content bytes.
    pub bytes: u64,
    /// Whole files.
    pub files: u64,
    /// Sealed bytes at the relay.
    pub wire_bytes: u64,
    /// The receipt, if it was waited for or is already here.
    pub receipt: Option<ReceiptFacts>,
}

/// What would be pushed.
pub struct Scan {
    /// Numbers.
    pub scanned: Scanned,
    /// What cannot be sent.
    pub exceptions: Vec<(Private<Vec<u8>>, ExceptionReason)>,
    /// Everything, in order.
    pub entries: Vec<Planned>,
}

/// Looks at what would be pushed, and sends nothing.
///
/// # Errors
/// As the scan of a push.
pub fn scan(options: &PushOptions, observer: &dyn Observer) -> Result<Scan, Error> {
    let tops = scan::tops(&options.sources)?;
    let (_stopper, stop) = stop::pair();
    let (mut entries, mut exceptions) = (Vec::new(), Vec::new());
    let scanned = scan::walk(&tops, &options.filters, options.links(), observer, &stop, &mut |planned| {
        if let Planned::Exception(exception) = planned {
            let path = Private::new(exception.path.as_bytes().to_vec());
            exceptions.push((path, read::exception_reason(exception.reason)));
        }
        entries.push(planned.clone());
        Ok(())
    })?;
    Ok(Scan { scanned, exceptions, entries })
}

/// Every record of a transfer that was sealed, of which there are so many, in order, while the journal is kept.
pub(crate) fn sent_records(
    folder: &Folder,
    records: u64,
    each: &mut dyn FnMut(&Record) -> Result<(), Error>,
) -> Result<(), Error> {
    let path = folder.file("records");
    let bytes = std::fs::metadata(&path).map_err(|source| Error::disk("reading the list of records", &path, source))?;
    let mut reader = journal::RecordsReader::open(&path, bytes.len(), 0)?;
    for _ in 0..records {
        match reader.read()? {
            Some(listed) => each(&listed.record)?,
            None => break,
        }
    }
    Ok(())
}

/// What [`watch`](crate::watch) needs to follow a transfer without sending anything.
/// What this module keeps on disk, for the fuzz targets.
#[cfg(feature = "probe")]
pub mod probe {
    pub use super::journal::{Journal, JournalWriter, Mark, Point, RecordsReader, Rest, Resumption};
    pub use super::plan::{PlanHead, PlanReader, PlanWriter, Top};
}

pub(crate) mod watching {
    pub use super::deliver::{Delivery, NothingToSend};
    pub use super::session::{Session, Target};
}

/// Where standard input comes from.
pub type StdinSource = Box<dyn Read + Send>;

/// The time by this machine's clock.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
