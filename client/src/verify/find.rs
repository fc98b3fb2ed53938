//! Which transfer a folder belongs to, and where in it the sent names are.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{VerifyOptions, lines, real};
use crate::error::Error;
use crate::home::Home;
use crate::home::transfers::{Facts, Folder, KeptPath, Role, State};
use crate::pull::disk::{Dir, Found as OnDisk};
use crate::pull::names::WORK_FOLDER;

/// Where the sent names are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In this folder, each under its name.
    In(PathBuf),
    /// This is the one top-level entry itself, whatever it is called.
    Itself(PathBuf),
    /// Where the seller's plan says.
    Sources(PathBuf),
}

/// A transfer and a place.
#[derive(Debug)]
pub(super) struct Found {
    pub folder: Folder,
    pub facts: Facts,
    pub place: Place,
}

impl Found {
    /// The folder that was looked at.
    pub fn shown(&self) -> &Path {
        match &self.place {
            Place::In(path) | Place::Itself(path) | Place::Sources(path) => path,
        }
    }

    /// Whether a work folder of this transfer, and of another one, is in the destination.
    pub fn remains(&self) -> Result<(bool, bool), Error> {
        let Place::In(path) = &self.place else { return Ok((false, false)) };
        let looking = || {
            let root = Dir::open(path)?;
            if root.look(WORK_FOLDER)? != OnDisk::Folder {
                return Ok(Vec::new());
            }
            root.enter(WORK_FOLDER)?.names()
        };
        let names = looking().map_err(|source| Error::disk("looking at what is there", path, source))?;
        let own = names.iter().any(|name| name == self.facts.transfer.as_bytes());
        let other = names.iter().any(|name| name != self.facts.transfer.as_bytes());
        Ok((own, other))
    }
}

/// Finds the transfer.
pub(super) fn find(home: &Home, options: &VerifyOptions) -> Result<Found, Error> {
    match (options.id, &options.folder) {
        (Some(id), folder) => {
            let held = home.transfer(id)?;
            let facts = held.facts()?;
            let place = match folder {
                None => own_place(&facts)?,
                Some(path) => elsewhere(&held, &facts, &real(path))?,
            };
            Ok(Found { folder: held, facts, place })
        }
        (None, Some(path)) => newest(home, path),
        (None, None) => Err(Error::AnswerNeeded { option: "DIR" }),
    }
}

/// Where a transfer's things were placed, or taken from.
fn own_place(facts: &Facts) -> Result<Place, Error> {
    let nowhere = || Error::NoFolder { id: facts.id };
    match facts.role {
        Role::Buyer => {
            let path = facts.destination.as_ref().and_then(|kept| kept.to_path()).ok_or_else(nowhere)?;
            Ok(Place::In(path))
        }
        Role::Seller => {
            let path = facts.sources.first().and_then(|kept| kept.to_path()).ok_or_else(nowhere)?;
            Ok(Place::Sources(path))
        }
    }
}

/// A copy of a transfer's things: the folder that holds the sent names, or the one sent folder itself.
fn elsewhere(folder: &Folder, facts: &Facts, path: &Path) -> Result<Place, Error> {
    if belongs(folder, facts, path)? {
        return own_place(facts);
    }
    let opened = Dir::open(path).map_err(|source| Error::disk("opening the folder", path, source))?;
    let mut tops = 0_u64;
    let mut is_any_here = false;
    lines::each_top(folder, facts, |name| {
        tops += 1;
        is_any_here |= opened.look(name).is_ok_and(|found| found != OnDisk::Nothing);
    })?;
    match (tops, is_any_here) {
        (1, false) => Ok(Place::Itself(path.to_path_buf())),
        _ => Ok(Place::In(path.to_path_buf())),
    }
}

/// The newest whole transfer that a folder belongs to; if none is whole, the newest.
fn newest(home: &Home, path: &Path) -> Result<Found, Error> {
    let wanted = real(path);
    if !wanted.exists() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::disk("opening the folder", path, source));
    }
    let mut best: Option<(bool, Folder, Facts)> = None;
    for folder in home.transfers()? {
        let facts = folder.facts()?;
        if belongs(&folder, &facts, &wanted)? {
            let is_whole =
                !matches!(facts.state, State::Claiming | State::Receiving | State::Preparing | State::Failed);
            if best.as_ref().is_none_or(|(whole, ..)| is_whole || !whole) {
                best = Some((is_whole, folder, facts));
            }
        }
    }
    let (_, folder, facts) = best.ok_or_else(|| Error::NotOurs { path: wanted.clone().into() })?;
    let place = own_place(&facts)?;
    Ok(Found { folder, facts, place })
}

/// Whether a folder is where a transfer's things were placed or taken from, or one of them.
fn belongs(folder: &Folder, facts: &Facts, path: &Path) -> Result<bool, Error> {
    let is_here = |kept: &KeptPath| kept.to_path().is_some_and(|kept| real(&kept) == *path);
    if facts.role == Role::Seller {
        return Ok(facts.sources.iter().any(is_here));
    }
    let Some(destination) = facts.destination.as_ref().and_then(KeptPath::to_path) else { return Ok(false) };
    let destination = real(&destination);
    if destination == path {
        return Ok(true);
    }
    // What was sent is mostly one folder, and that is what people name.
    let Some(name) = path.file_name().filter(|_| path.parent() == Some(&destination)) else { return Ok(false) };
    let mut is_one = false;
    lines::each_top(folder, facts, |top| is_one |= top == name.as_bytes())?;
    Ok(is_one)
}
