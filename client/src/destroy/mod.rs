//! Destroys what this machine still holds of a transfer, and says so under a signature.
//!
//! | module | what it does |
//! |---|---|
//! | `items` | which files of a transfer go and which stay; partial data in the destination |
//! | `source` | the files that were sent, by the seller's plan |
//! | `wipe`, `media` | one file overwritten and removed; what it is on |
//! | `run` | the order of it, what is noted on the way so that a run that dies is gone on with, and the verification |
//! | `certificate` | the certificate: made, kept, exported, co-signed, checked |
//!
//! # Source
//! SPEC \[S21\].

mod certificate;
mod items;
mod media;
mod run;
mod source;
mod wipe;

use std::path::PathBuf;
use std::sync::Arc;

use handover_shared::ids::Millis;

use crate::error::Error;
use crate::event::Observer;
use crate::home::Home;
use crate::home::transfers::{Facts, Held, Role, State};
use crate::private::Private;
use crate::stop::Stop;

pub use certificate::{Certificate, DESTROYER, WITNESS, Witness, export, read, verify_file, witness};

/// The sentence that says of a transfer that it was destroyed before it was finished.
pub(crate) const FAILURE: &str = "failure-destroyed";

/// Whether the files that were sent are to go too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sources {
    /// They stay.
    Kept,
    /// They go, as far as they are what was sent.
    Destroyed,
}

/// What kind of thing is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ItemKind {
    /// Keys, and the code.
    Secrets,
    /// From where to go on, and what was planned.
    Journal,
    /// What came or was sent, entry by entry.
    Manifest,
    /// Data that did not get its final place, in `.handover`.
    Partial,
}

/// Something that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Where.
    pub path: Private<PathBuf>,
    /// Files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What would be destroyed.
pub struct Survey {
    pub(crate) home: Home,
    pub(crate) held: Held,
    pub(crate) facts: Facts,
    pub(crate) sources: Sources,
    /// What the program holds.
    pub items: Vec<Item>,
    /// Files that do not belong to this program; they stay, and nothing can be said about them.
    pub strangers: Vec<Private<PathBuf>>,
    /// Sent files that look as they did, and their bytes.
    pub source: (u64, u64),
    /// Sent files that do not look so any more, or cannot be looked at; they stay.
    pub source_changed: u64,
    /// Sent files that lie outside the folders that were named, because links were followed.
    pub source_elsewhere: u64,
    /// Whether the destination of a pull cannot be looked at, so that nothing can be said about partial data in it.
    pub destination_gone: bool,
    /// Whether an earlier run died on the way and is gone on with.
    pub is_continued: bool,
}

impl Survey {
    /// The transfer's number here.
    pub fn id(&self) -> u64 {
        self.facts.id
    }

    /// Which side this machine is.
    pub fn role(&self) -> Role {
        self.facts.role
    }

    /// Whether the transfer ends here by being destroyed: a pull that is not finished.
    pub fn gives_up(&self) -> bool {
        self.facts.state.is_open()
    }

    /// Whether the sent files go.
    pub fn with_source(&self) -> bool {
        self.sources == Sources::Destroyed
    }

    /// Whether nothing is left to destroy.
    pub fn is_empty(&self) -> bool {
        self.items.iter().all(|item| item.files == 0) && self.source.0 == 0 && !self.is_continued
    }

    /// Files and bytes that would go.
    pub fn total(&self) -> (u64, u64) {
        let files = self.items.iter().map(|item| item.files).sum::<u64>() + self.source.0;
        let bytes = self.items.iter().map(|item| item.bytes).sum::<u64>() + self.source.1;
        (files, bytes)
    }

    /// Destroys, verifies, and signs the certificate. A run that dies is gone on with by the same command.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`]; [`Error::Signing`]; [`Error::Interrupted`].
    pub fn destroy(
        self,
        reason: Option<&str>,
        observer: &Arc<dyn Observer>,
        stop: &Stop,
    ) -> Result<Certificate, Error> {
        run::run(self, reason, observer, stop)
    }
}

/// Looks at what a transfer has left on this machine; changes nothing.
///
/// # Errors
/// [`Error::NoSuchTransfer`], [`Error::Held`]; [`Error::StillOpen`] for a transfer that others can still use;
/// [`Error::NoPlan`] when sent files are to go and this machine does not know any more which these were.
pub fn survey(
    home: &Home,
    id: u64,
    sources: Sources,
    observer: &Arc<dyn Observer>,
    stop: &Stop,
) -> Result<Survey, Error> {
    let held = home.transfer(id)?.hold()?;
    let facts = held.facts()?;
    refuse_open(&facts)?;
    if sources == Sources::Destroyed && facts.role == Role::Buyer {
        return Err(Error::NoPlan { id });
    }
    let noted = run::noted(&held)?;
    let found = items::find(&held, &facts)?;
    let is_source_done = noted.as_ref().is_some_and(|noted| noted.source_done);
    let source = match sources {
        Sources::Destroyed if !is_source_done => source::look(&held, &facts, observer, stop)?,
        _ => source::Look::default(),
    };
    Ok(Survey {
        home: home.clone(),
        held,
        facts,
        sources,
        items: found.items,
        strangers: found.strangers,
        source: (source.files, source.bytes),
        source_changed: source.changed,
        source_elsewhere: source.elsewhere,
        destination_gone: found.destination_gone,
        is_continued: noted.is_some(),
    })
}

/// Refuses what the other side still needs.
fn refuse_open(facts: &Facts) -> Result<(), Error> {
    // [S21.1]
    match (facts.role, facts.state) {
        (Role::Seller, State::Sending | State::Waiting) | (Role::Buyer, State::Received) => {
            Err(Error::StillOpen { id: facts.id })
        }
        _ => Ok(()),
    }
}

/// This machine's clock.
fn now() -> Millis {
    crate::push::now()
}
