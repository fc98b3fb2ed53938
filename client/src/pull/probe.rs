//! What this module keeps on disk, for the fuzz targets: read as a run that continues reads it.

use std::path::Path;

use handover_shared::archive::manifest::Record;
use handover_shared::archive::reader::ReaderState;
use handover_shared::archive::stream::Position;
use handover_shared::codec;
use handover_shared::ids::TransferId;

use super::checkpoint::{Checkpoint, Stage};
use super::kept::{self, Kept};
use super::list::{Fate, Line, ListReader, ListWriter, Marks};
use super::place::PlacerState;
use crate::error::Error;
use crate::home::transfers::Folder;

/// The checkpoint of a run before, as bytes.
///
/// # Errors
/// [`Error::Disk`].
pub fn checkpoint(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    Ok(Checkpoint::read(path)?.map(|checkpoint| codec::encode(&checkpoint)))
}

/// The records of everything that came, of so many bytes of the list.
///
/// # Errors
/// [`Error::Disk`].
pub fn list(path: &Path, bytes: u64) -> Result<Vec<Record>, Error> {
    ListReader::open(path, bytes)?.map(|line| line.map(|line| line.record)).collect()
}

/// Reads everything else that a buyer keeps; says what of it can be read.
pub fn kept(folder: &Folder, transfer: &TransferId) -> [bool; 8] {
    let statement = |kept| kept::read_statement(folder, kept).is_ok_and(|read| read.is_some());
    [
        statement(Kept::Offer),
        statement(Kept::Claim),
        statement(Kept::Seal),
        statement(Kept::Receipt),
        kept::read_offer(folder, transfer).is_ok(),
        kept::read_answer(folder).is_ok_and(|answer| answer.is_some()),
        kept::read_sealed_receipt(folder).is_ok_and(|sealed| sealed.is_some()),
        kept::read_outcome(folder).is_ok(),
    ]
}

/// Writes a checkpoint as a run does.
///
/// # Errors
/// [`Error::Disk`].
pub fn write_checkpoint(path: &Path, position: Position, state: ReaderState, list_bytes: u64) -> Result<(), Error> {
    let placer = PlacerState { list_bytes, ..PlacerState::default() };
    Checkpoint::new(Stage::Stream(position, Box::new(state)), placer).write(path)
}

/// Writes a list as a run does, behind so many bytes of an earlier one; gives its length.
///
/// # Errors
/// [`Error::Disk`].
pub fn write_list(path: &Path, behind: u64, records: &[Record]) -> Result<u64, Error> {
    let mut list = ListWriter::open(path, behind)?;
    for record in records {
        let line = Line { record: record.clone(), fate: Fate::Made, name: None, marks: Marks::default() };
        list.push(&line)?;
    }
    list.flush()
}

/// Keeps a receipt as it goes to the seller.
///
/// # Errors
/// [`Error::Disk`].
pub fn write_sealed_receipt(folder: &Folder, sealed: &[u8]) -> Result<(), Error> {
    kept::write_sealed_receipt(folder, sealed)
}

/// The receipt as it goes to the seller.
///
/// # Errors
/// [`Error::Disk`].
pub fn sealed_receipt(folder: &Folder) -> Result<Option<Vec<u8>>, Error> {
    kept::read_sealed_receipt(folder)
}
