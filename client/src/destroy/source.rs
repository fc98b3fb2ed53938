//! The files that were sent, by the seller's plan and records: looked at, destroyed as far as they are what was sent, and
//! looked for once more.
//!
//! # Security
//! Nothing is touched that is not named by the plan and, byte for byte, what was sent: the content is read and its hash
//! compared before the first byte is overwritten, through the very file that was read. A folder goes only when it is empty.
//!
//! # Source
//! SPEC [S21.2].

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use handover_shared::archive::manifest::{Record, RecordKind};

use super::media::Overwrite;
use super::wipe::{Halt, overwrite};
use crate::error::Error;
use crate::event::{Event, Observer, Progress, Stage};
use crate::home::transfers::{Facts, Held, KeptPath};
use crate::pull::disk::{Dir, Found};
use crate::push::mtime_of;
use crate::stop::Stop;
use crate::verify::lines::{Expected, Sent};

const BUFFER_BYTES: usize = 1024 * 1024;
/// How many files are destroyed before it is noted.
const NOTE_EVERY: u64 = 256;
/// How many files are looked at before it is told.
const TELL_EVERY: u64 = 256;

/// What is there of what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Files that have size and time of what was sent.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that have not.
    pub changed: u64,
    /// Files outside the folders that were named.
    pub elsewhere: u64,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Files whose bytes were overwritten.
    pub overwritten: u64,
    /// Files that are there and are not what was sent, or cannot be read.
    pub kept: u64,
    /// Files of which another name is left somewhere.
    pub other_names: u64,
}

fn sent(held: &Held, facts: &Facts) -> Result<Sent, Error> {
    if !held.file(crate::verify::lines::PLAN).exists() {
        return Err(Error::NoPlan { id: facts.id });
    }
    Sent::open(held, true)?.ok_or(Error::NoPlan { id: facts.id })
}

/// Looks, by size and time.
pub(super) fn look(held: &Held, facts: &Facts, observer: &Arc<dyn Observer>, stop: &Stop) -> Result<Look, Error> {
    observer.event(Event::Stage(Stage::Scanning));
    let tops: Vec<PathBuf> = facts.sources.iter().filter_map(KeptPath::to_path).map(|path| real(&path)).collect();
    let mut look = Look::default();
    let mut sent = sent(held, facts)?;
    let mut seen = 0_u64;
    while let Some(expected) = sent.next()? {
        if stop.is_asked() {
            return Err(Error::Interrupted);
        }
        let Some((record, path)) = file_of(&expected) else { continue };
        match is_there(record, path) {
            There::No => {}
            There::Same => {
                look.files += 1;
                look.bytes += record.size;
                look.elsewhere += u64::from(!tops.iter().any(|top| real(path).starts_with(top)));
            }
            There::Other => look.changed += 1,
        }
        seen += 1;
        if seen.is_multiple_of(TELL_EVERY) {
            observer.event(Event::Scanning { files: look.files, bytes: look.bytes });
        }
    }
    Ok(look)
}

/// A sent file, and where it is; nothing for what is no file or came from standard input.
fn file_of(expected: &Expected) -> Option<(&Record, &Path)> {
    let record = &expected.line.record;
    let path = expected.source.as_deref().filter(|_| record.kind == RecordKind::File)?;
    Some((record, path))
}

enum There {
    No,
    Same,
    Other,
}

fn is_there(record: &Record, path: &Path) -> There {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() == record.size && mtime_of(&meta) == record.mtime => There::Same,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => There::No,
        _ => There::Other,
    }
}

fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Destroys. `note` hears how many files were overwritten since it heard last.
pub(super) fn destroy(
    held: &Held,
    facts: &Facts,
    how: Overwrite,
    note: &mut dyn FnMut(u64) -> Result<(), Error>,
    observer: &Arc<dyn Observer>,
    stop: &Stop,
) -> Result<Done, Error> {
    observer.event(Event::Stage(Stage::Destroying));
    let mut act = Act { how, stop, done: Done::default(), others: HashSet::new(), buffer: vec![0; BUFFER_BYTES] };
    let mut folders: Vec<(usize, PathBuf)> = Vec::new();
    let mut sent = sent(held, facts)?;
    let (mut noted, mut files, mut bytes) = (0, 0_u64, 0_u64);
    while let Some(expected) = sent.next()? {
        let record = &expected.line.record;
        leave(&mut folders, record.path.depth());
        let Some(path) = &expected.source else { continue };
        match record.kind {
            RecordKind::File => {
                act.file(record, path)?;
                files += 1;
                bytes += record.size;
            }
            RecordKind::Link => act.link(record, path),
            RecordKind::Folder => folders.push((record.path.depth(), path.clone())),
            RecordKind::Exception => {}
        }
        if files.is_multiple_of(NOTE_EVERY) && act.done.overwritten > noted {
            note(act.done.overwritten - noted)?;
            noted = act.done.overwritten;
            tell(observer, files, bytes);
        }
    }
    leave(&mut folders, 0);
    note(act.done.overwritten - noted)?;
    tell(observer, files, bytes);
    act.done.other_names = act.others.len() as u64;
    Ok(act.done)
}

fn tell(observer: &Arc<dyn Observer>, files: u64, bytes: u64) {
    observer.event(Event::Progress(Progress { bytes_done: bytes, files_done: files, ..Progress::default() }));
}

/// Removes the folders that the next entry is not in, if nothing is left in them.
fn leave(folders: &mut Vec<(usize, PathBuf)>, depth: usize) {
    while let Some((at, path)) = folders.pop_if(|(at, _)| *at >= depth) {
        if let Err(error) = fs::remove_dir(&path) {
            // Something that was not sent is in it, or it is gone.
            tracing::debug!(%error, at, "a folder stays");
        }
        if let Some(parent) = path.parent()
            && let Err(error) = crate::home::sync_folder(parent)
        {
            tracing::debug!(%error, "a folder could not be synced");
        }
    }
}

struct Act<'a> {
    how: Overwrite,
    stop: &'a Stop,
    done: Done,
    /// Files that had other names when one was removed: device and inode.
    others: HashSet<(u64, u64)>,
    buffer: Vec<u8>,
}

impl Act<'_> {
    fn file(&mut self, record: &Record, path: &Path) -> Result<(), Error> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let Ok(dir) = Dir::open(parent) else { return Ok(()) };
        let name = name.as_bytes();
        match self.try_file(&dir, name, record) {
            Ok(()) => Ok(()),
            Err(Halt::Asked) => Err(Error::Interrupted),
            Err(Halt::Disk(error)) => {
                tracing::warn!(%error, "a sent file could not be destroyed");
                Ok(())
            }
        }
    }

    fn try_file(&mut self, dir: &Dir, name: &[u8], record: &Record) -> Result<(), Halt> {
        let Ok(found) = dir.look(name) else {
            self.done.kept += 1;
            return Ok(());
        };
        if found == Found::Nothing {
            return Ok(());
        }
        let Ok(Some(read)) = dir.read(name) else {
            self.done.kept += 1;
            return Ok(());
        };
        let before = read.metadata()?;
        // [S21.2]
        if before.len() != record.size || !self.is_same(&read, record)? {
            self.done.kept += 1;
            return Ok(());
        }
        if self.how == Overwrite::InPlace
            && let Ok(Some(mut file)) = dir.reopen(name)
        {
            let now = file.metadata()?;
            // What was opened to write is what was read, and nobody has changed it since.
            if identity(&now) != identity(&before) || now.ctime_nsec() != before.ctime_nsec() {
                self.done.kept += 1;
                return Ok(());
            }
            overwrite(&mut file, self.stop)?;
            self.done.overwritten += 1;
        }
        if dir.is(name, &read)? {
            dir.remove(name)?;
        }
        let after = read.metadata()?;
        match after.nlink() {
            0 => self.others.remove(&identity(&after)),
            _ => self.others.insert(identity(&after)),
        };
        Ok(())
    }

    fn is_same(&mut self, file: &File, record: &Record) -> Result<bool, Halt> {
        let mut hasher = blake3::Hasher::new();
        let mut is_zeros = record.size > 0 && self.how == Overwrite::InPlace;
        let mut reader = file;
        loop {
            if self.stop.is_asked() {
                return Err(Halt::Asked);
            }
            match reader.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(bytes) => {
                    is_zeros = is_zeros && self.buffer[..bytes].iter().all(|byte| *byte == 0);
                    hasher.update(&self.buffer[..bytes])
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
        }
        // Nothing but zeros: a run that died had overwritten it, and not yet removed its name.
        Ok(is_zeros || record.hash.is_some_and(|hash| hash.0 == *hasher.finalize().as_bytes()))
    }

    fn link(&mut self, record: &Record, path: &Path) {
        let is_same = fs::read_link(path).is_ok_and(|target| {
            record.target.as_ref().is_some_and(|own| own.as_bytes() == target.as_os_str().as_bytes())
        });
        if is_same && let Err(error) = fs::remove_file(path) {
            tracing::warn!(%error, "a sent link could not be removed");
        }
    }
}

fn identity(meta: &fs::Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// Looks for every sent file once more. Gives what has size and time of what was sent, and whatever else has such a name.
pub(super) fn check(held: &Held, facts: &Facts) -> Result<Look, Error> {
    let mut look = Look::default();
    let mut sent = sent(held, facts)?;
    while let Some(expected) = sent.next()? {
        let Some((record, path)) = file_of(&expected) else { continue };
        match is_there(record, path) {
            There::No => {}
            There::Same => {
                look.files += 1;
                look.bytes += record.size;
            }
            There::Other => look.changed += 1,
        }
    }
    Ok(look)
}
