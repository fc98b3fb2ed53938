//! What should be there, entry by entry, and where: the buyer's kept manifest, or the seller's journal beside its plan.

use std::io;
use std::path::{Path, PathBuf};

use handover_shared::archive::manifest::RecordKind;

use super::find::{Found, Place};
use super::manifest::{Fate, Line, ManifestReader, Preserved};
use crate::error::Error;
use crate::home::transfers::{Facts, Folder, Role};
use crate::push::journal::RecordsReader;
use crate::push::plan::{PlanReader, Planned};

/// The seller's finished entries.
pub(crate) const RECORDS: &str = "records";
/// The seller's plan.
pub(crate) const PLAN: &str = "plan";

/// Reads what should be there.
pub(super) enum Lines {
    /// What came.
    Came(Box<ManifestReader>),
    /// What was sent, and from where.
    Sent(Box<Sent>),
}

/// An entry, and where it is if that does not follow from its name.
pub(crate) struct Expected {
    pub line: Line,
    pub source: Option<PathBuf>,
}

impl Lines {
    /// Opens them; `None` if the transfer did not get so far.
    pub fn open(found: &Found) -> Result<Option<Self>, Error> {
        let is_at_source = matches!(found.place, Place::Sources(_));
        Self::of(&found.folder, &found.facts, is_at_source)
    }

    fn of(folder: &Folder, facts: &Facts, is_at_source: bool) -> Result<Option<Self>, Error> {
        Ok(match facts.role {
            Role::Buyer => ManifestReader::open(folder)?.map(|reader| Self::Came(Box::new(reader))),
            Role::Seller => Sent::open(folder, is_at_source)?.map(|sent| Self::Sent(Box::new(sent))),
        })
    }

    /// The next entry.
    pub fn next(&mut self) -> Result<Option<Expected>, Error> {
        match self {
            Self::Came(reader) => Ok(reader.read()?.map(|line| Expected { line, source: None })),
            Self::Sent(sent) => sent.next(),
        }
    }

    /// Whether folders have the permission bits that were signed.
    pub fn folder_modes(&self) -> Preserved {
        match self {
            Self::Came(reader) => reader.folder_modes(),
            Self::Sent(_) => Preserved::Yes,
        }
    }
}

/// Hears of the name of every top-level entry that is here.
pub(super) fn each_top(folder: &Folder, facts: &Facts, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
    let Some(mut lines) = Lines::of(folder, facts, false)? else { return Ok(()) };
    while let Some(expected) = lines.next()? {
        if expected.line.record.path.depth() == 1 && expected.line.fate != Fate::Listed {
            each(expected.line.actual_name());
        }
    }
    Ok(())
}

/// What was sent: the records, and in the same order the plan.
pub(crate) struct Sent {
    records: RecordsReader,
    plan: Option<PlanReader>,
    plan_path: PathBuf,
}

impl Sent {
    /// Opens it; `None` if there is no journal. Without the plan nothing is said about sources.
    pub fn open(folder: &Folder, with_sources: bool) -> Result<Option<Self>, Error> {
        let (records, plan_path) = (folder.file(RECORDS), folder.file(PLAN));
        let Some(bytes) = length(&records)? else { return Ok(None) };
        let plan = if with_sources { Some(PlanReader::open(&plan_path)?) } else { None };
        Ok(Some(Self { records: RecordsReader::open(&records, bytes, 0)?, plan, plan_path }))
    }

    /// The next entry.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`] if the journal is damaged.
    pub fn next(&mut self) -> Result<Option<Expected>, Error> {
        let Some(listed) = self.records.read()? else { return Ok(None) };
        let record = listed.record;
        let source = match &mut self.plan {
            Some(plan) => planned_source(plan, record.path.as_bytes(), &self.plan_path)?,
            None => None,
        };
        let fate = if record.kind == RecordKind::Exception { Fate::Listed } else { Fate::Made };
        let line = Line { record, fate, name: None, mode: Preserved::Yes, time: Preserved::Yes };
        Ok(Some(Expected { line, source }))
    }
}

/// Where a planned entry is. Every record is of an entry that was planned, in the same order.
fn planned_source(plan: &mut PlanReader, path: &[u8], plan_path: &Path) -> Result<Option<PathBuf>, Error> {
    while let Some(planned) = plan.read()? {
        if planned.path().as_bytes() == path {
            return Ok(match &planned {
                Planned::Entry(entry, origin) => plan.head().source(&entry.path, origin),
                Planned::Exception(_) => None,
            });
        }
    }
    Err(Error::State { what: "the plan of a transfer is damaged", path: plan_path.into(), source: None })
}

fn length(path: &Path) -> Result<Option<u64>, Error> {
    match std::fs::metadata(path) {
        Ok(meta) => Ok(Some(meta.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::disk("reading the list of records", path, source)),
    }
}
