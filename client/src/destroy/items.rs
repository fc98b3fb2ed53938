//! Which files of a transfer go, and which stay because they are its record: statements, receipts, what a person may ask.
//!
//! # Source
//! SPEC [S21.1].

use std::io;
use std::path::{Path, PathBuf};

use super::{Item, ItemKind};
use crate::error::Error;
use crate::home::transfers::{Facts, Held};
use crate::private::Private;
use crate::pull::disk::{Dir, Found};
use crate::pull::names::WORK_FOLDER;

/// What goes, in this order: what says which the sent files were goes last.
pub(super) const GO: [(&str, ItemKind); 17] = [
    ("secrets", ItemKind::Secrets),
    ("secrets.new", ItemKind::Secrets),
    ("announced", ItemKind::Journal),
    ("marks", ItemKind::Journal),
    ("checkpoint", ItemKind::Journal),
    ("doubt", ItemKind::Journal),
    ("moves", ItemKind::Journal),
    ("code.hash", ItemKind::Journal),
    ("receipt.sealed", ItemKind::Journal),
    ("document.sealed", ItemKind::Journal),
    ("agreement.sealed", ItemKind::Journal),
    ("list", ItemKind::Manifest),
    ("manifest", ItemKind::Manifest),
    ("manifest.new", ItemKind::Manifest),
    ("manifest.key", ItemKind::Secrets),
    ("records", ItemKind::Manifest),
    ("plan", ItemKind::Journal),
];

/// What stays, and holds counts, keys and signatures, or what a person may ask about.
const STAY: [&str; 13] = [
    "inventory",
    "document",
    "history",
    "facts.json",
    "lock",
    "told",
    "conflict",
    "outcome",
    "offer.summary",
    "offer.hash",
    "expected-buyer",
    "log",
    "receipt.hash",
];
/// Statements stay, whoever signed them.
const STAY_ENDINGS: [&str; 6] = [".txt", ".sig", ".json", ".html", ".paper", ".run"];

/// How deep partial data may lie.
const DEPTH_MAX: usize = 64;

/// What was found.
pub(super) struct Contents {
    pub items: Vec<Item>,
    pub strangers: Vec<Private<PathBuf>>,
    pub destination_gone: bool,
}

/// Looks at the transfer's own folder, and into the destination.
pub(super) fn find(held: &Held, facts: &Facts) -> Result<Contents, Error> {
    let path = held.file(".");
    let folder = own_folder(held)?;
    let looking = |source| Error::disk("looking at what is there", &path, source);
    let mut items = Vec::new();
    for (name, kind) in GO {
        if let Found::File(bytes) = folder.look(name.as_bytes()).map_err(looking)? {
            items.push(Item { kind, path: Private::new(held.file(name)), files: 1, bytes });
        }
    }
    let mut strangers = Vec::new();
    for name in folder.names().map_err(looking)? {
        let name = String::from_utf8_lossy(&name).into_owned();
        let is_known = GO.iter().any(|(known, _)| *known == name)
            || STAY.contains(&name.as_str())
            || STAY_ENDINGS.iter().any(|ending| name.ends_with(ending));
        if !is_known {
            strangers.push(Private::new(held.file(&name)));
        }
    }
    let destination_gone = match partial(facts)? {
        Partial::None => false,
        Partial::Unreachable => true,
        Partial::Here(item) => {
            items.push(item);
            false
        }
    };
    Ok(Contents { items, strangers, destination_gone })
}

/// The transfer's folder, held open.
pub(super) fn own_folder(held: &Held) -> Result<Dir, Error> {
    let path = held.file(".");
    Dir::open(&path).map_err(|source| Error::disk("opening the state folder", &path, source))
}

/// Partial data in a destination.
enum Partial {
    None,
    Unreachable,
    Here(Item),
}

/// Where the destination of a pull is.
pub(super) fn destination(facts: &Facts) -> Option<PathBuf> {
    facts.destination.as_ref().and_then(|kept| kept.to_path())
}

fn partial(facts: &Facts) -> Result<Partial, Error> {
    let Some(path) = destination(facts) else { return Ok(Partial::None) };
    match work_folder(&path, &facts.transfer) {
        Ok(None) => Ok(Partial::None),
        Ok(Some(inner)) => {
            let (files, bytes) =
                amount(&inner, DEPTH_MAX).map_err(|source| Error::disk("looking at what is there", &path, source))?;
            // An empty folder is something too: its name says that there was a transfer.
            let path = Private::new(path.join(".handover").join(&facts.transfer));
            Ok(Partial::Here(Item { kind: ItemKind::Partial, path, files: files.max(1), bytes }))
        }
        // A drive that was taken away; a folder that was removed took its partial data along.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.parent().is_some_and(Path::exists) => {
            Ok(Partial::None)
        }
        Err(_) => Ok(Partial::Unreachable),
    }
}

/// The folder with partial data of a transfer, if there is one.
pub(super) fn work_folder(destination: &Path, transfer: &str) -> io::Result<Option<Dir>> {
    let root = Dir::open(destination)?;
    if root.look(WORK_FOLDER)? != Found::Folder {
        return Ok(None);
    }
    let above = root.enter(WORK_FOLDER)?;
    match above.look(transfer.as_bytes())? {
        Found::Folder => above.enter(transfer.as_bytes()).map(Some),
        _ => Ok(None),
    }
}

/// Files in a folder, and their bytes.
fn amount(dir: &Dir, depth: usize) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for name in dir.names()? {
        match dir.look(&name)? {
            Found::File(size) => {
                files += 1;
                bytes += size;
            }
            Found::Folder if depth > 0 => {
                let (more, size) = amount(&dir.enter(&name)?, depth - 1)?;
                files += more;
                bytes += size;
            }
            Found::Nothing => {}
            _ => files += 1,
        }
    }
    Ok((files, bytes))
}
