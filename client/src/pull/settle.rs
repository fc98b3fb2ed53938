//! The parts of a run that block: starting the pipeline, and everything after the last block.
//!
//! # Source
//! SPEC [S15.3] [S15.4].

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use handover_shared::archive::inventory::InventoryBuilder;
use handover_shared::archive::stream::Position;
use handover_shared::ids::{BlockSize, Millis, TransferId};
use handover_shared::keys::schedule::ContentKey;
use handover_shared::proof::{OpenedOffer, ReceiptText};

use super::checkpoint::{Checkpoint, Keeper, Stage as Kept, Trust, doubt_file};
use super::finish::{Finish, Tally};
use super::list::{ListReader, ListWriter};
use super::pipeline::{Bounds, Job, Pipeline, Sink};
use super::place::{Placer, PlacerState, Trouble};
use super::stdout::Pour;
use super::work::{Destination, Work};
use super::{ConflictPolicy, Decide, Taken, kept, now, sign};
use crate::error::Error;
use crate::event::{Event, Observer, Stage};
use crate::home::transfers::{Facts, Folder, INVENTORY, State};
use crate::home::{Home, checked, write_private};
use crate::verify::manifest;
use crate::watch::receipt_short;

/// Where a transfer is placed, and with what.
pub(super) struct Site {
    pub folder: Folder,
    pub transfer: TransferId,
    pub key: ContentKey,
    pub block_size: BlockSize,
    /// Nothing for standard output.
    pub destination: Option<Destination>,
    /// How much may come.
    pub bounds: Bounds,
    /// When this machine began it.
    pub since: Millis,
    pub policy: ConflictPolicy,
    pub observer: Arc<dyn Observer>,
}

impl Site {
    /// Starts the pipeline where the checkpoint says.
    ///
    /// # Errors
    /// [`Trouble::Restart`] when the partial data is not what the checkpoint says.
    pub fn start(self, checkpoint: Option<Checkpoint>) -> Result<Pipeline, Trouble> {
        let job = |from, reader| Job {
            transfer: self.transfer,
            block_size: self.block_size,
            key: self.key.duplicate(),
            from,
            reader,
            bounds: self.bounds,
        };
        let Some(destination) = &self.destination else {
            // Not through the standard library's buffer, which looks for line ends.
            let out = std::io::stdout().as_fd().try_clone_to_owned();
            let out = out.map_err(|source| Error::disk("opening standard output", "-", source))?;
            let pour = Pour::new(Box::new(File::from(out)), self.observer.clone(), self.inventory());
            let sink = Sink::Stdout { pour: Box::new(pour), inventory: self.folder.file(INVENTORY) };
            return Ok(Pipeline::start(job(Position::START, None), sink)?);
        };
        let trust = Trust::read(&kept::checkpoint_file(&self.folder))?;
        let work = Work::open(destination, &self.transfer, self.since, trust)?;
        let (placer, job) = match checkpoint {
            Some(Checkpoint { stage: Kept::Stream(position, reader), placer, .. }) => {
                let list = self.list(placer.list_bytes).map_err(|error| {
                    tracing::debug!(%error, "the list does not fit the checkpoint");
                    Trouble::Restart
                })?;
                let open = reader.open().map(|open| (open.entry(), open.bytes()));
                let placer = Placer::resume(work, list, self.policy, self.observer.clone(), placer, open)?;
                (placer, job(position, Some(*reader)))
            }
            _ => {
                let placer = Placer::new(work, self.list(0)?, self.policy, self.observer.clone())?;
                (placer, job(Position::START, None))
            }
        };
        let (root, list) = placer.sync_handles()?;
        let keeper = Keeper::start(kept::checkpoint_file(&self.folder), root, list)?;
        Ok(Pipeline::start(job, Sink::Disk { placer: Box::new(placer), keeper })?)
    }

    fn inventory(&self) -> InventoryBuilder {
        InventoryBuilder::new(self.transfer, self.key.inventory_salt(&self.transfer))
    }

    /// Keeps what can be named of everything that came, for when the list is gone. [S9.6]
    fn keep_inventory(&self, list_bytes: u64) -> Result<(), Error> {
        let mut inventory = self.inventory();
        for line in ListReader::open(&kept::list_file(&self.folder), list_bytes)? {
            inventory.add(&line?.record);
        }
        write_private(&self.folder.file(INVENTORY), &checked::file(inventory.finish().as_bytes()))
    }

    fn list(&self, bytes: u64) -> Result<ListWriter, Error> {
        ListWriter::open(&kept::list_file(&self.folder), bytes)
    }
}

/// Everything after the last block.
pub(super) struct Ending {
    pub site: Site,
    pub home: Home,
    pub offer: Arc<OpenedOffer>,
    pub tail: Vec<u8>,
    pub decide: Arc<dyn Decide>,
}

impl Ending {
    /// Checks the seal, places what waits, sets what folders get last, syncs, signs.
    ///
    /// # Errors
    /// [`Error::Altered`], [`Error::Conflicts`], [`Error::Disk`].
    pub fn run(self) -> Result<Tally, Error> {
        let Self { site, home, offer, tail, decide } = self;
        let sealed = sign::check_seal(&offer, &tail)?;
        let tally = match &site.destination {
            None => Tally { exceptions: sealed.tail().counts.exceptions, ..Tally::default() },
            Some(destination) => place_rest(&site, destination, decide.as_ref())?,
        };
        sign::check_inventory(&site.folder, &sealed)?;
        site.observer.event(Event::Stage(Stage::Signing));
        let owner = home.identity_or_new()?;
        // [S15.4]
        sign::sign(&site.folder, &offer, &sealed, &tally, &owner, &site.key, now())?;
        Ok(tally)
    }
}

fn place_rest(site: &Site, destination: &Destination, decide: &dyn Decide) -> Result<Tally, Error> {
    let missing = || Error::Internal("the last checkpoint is not here".into());
    let checkpoint = Checkpoint::read(&kept::checkpoint_file(&site.folder))?.ok_or_else(missing)?;
    let (Kept::Whole(_), PlacerState { list_bytes, held, .. }) = (checkpoint.stage, checkpoint.placer) else {
        return Err(missing());
    };
    let work = Work::open(destination, &site.transfer, site.since, Trust::Kept)?;
    manifest::keep_key(&site.folder, &site.key.manifest_key(&site.transfer))?;
    let finish = Finish {
        work: &work,
        folder: &site.folder,
        list: (kept::list_file(&site.folder), list_bytes),
        moves: kept::moves_file(&site.folder),
        held,
        observer: &site.observer,
    };
    let tally = finish.run(site.policy, decide)?;
    site.keep_inventory(list_bytes)?;
    let synced = work.root()?.sync_file_system();
    synced.map_err(|source| work.trouble("syncing what was received", source))?;
    Ok(tally)
}

/// Removes what only an unfinished transfer needs.
pub(super) fn clean_up(folder: &Folder, transfer: &TransferId, destination: Option<&Destination>) -> Result<(), Error> {
    if let Some(destination) = destination {
        Work::open(destination, transfer, Millis(0), Trust::Kept)?.discard()?;
    }
    let checkpoint = kept::checkpoint_file(folder);
    for path in [&doubt_file(&checkpoint), &checkpoint, &kept::moves_file(folder)] {
        Checkpoint::remove(path)?;
    }
    Ok(())
}

/// The result of a transfer whose receipt is kept.
pub(super) fn taken(folder: &Folder, facts: &Facts, destination: PathBuf) -> Result<Taken, Error> {
    let missing = || Error::State {
        what: "the receipt is missing",
        path: folder.file(kept::Kept::Receipt.files().0),
        source: None,
    };
    let (text, _) = kept::read_statement(folder, kept::Kept::Receipt)?.ok_or_else(missing)?;
    let receipt = ReceiptText::parse(&text).map_err(|fault| Error::State {
        what: "the receipt is damaged",
        path: folder.file(kept::Kept::Receipt.files().0),
        source: Some(fault.into()),
    })?;
    let tally = kept::read_outcome(folder)?;
    Ok(Taken {
        id: facts.id,
        files: receipt.files,
        bytes: receipt.bytes,
        unchanged: tally.unchanged,
        kept_existing: tally.kept_existing,
        renamed: tally.renamed,
        exceptions: tally.exceptions,
        receipt_short: receipt_short(&text),
        delivered: facts.state == State::Delivered,
        destination,
    })
}
