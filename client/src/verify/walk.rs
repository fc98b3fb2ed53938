//! The disk against what is kept, in the order of the archive, with the folders above held open.
//!
//! # Source
//! SPEC [S18.3] [S18.4].

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use handover_shared::archive::manifest::{Record, RecordKind, RootBuilder, leaf};
use handover_shared::archive::path::{EntryPath, Target};
use handover_shared::ids::Root;
use zeroize::Zeroizing;

use super::find::{Found, Place};
use super::hash::{Job, Pool, Seen, SeenFile};
use super::lines::{Expected, Lines};
use super::manifest::{Fate, Line, Preserved};
use super::{Difference, Kind, Tally};
use crate::error::Error;
use crate::event::{Event, Observer, Progress};
use crate::home::transfers::Role;
use crate::private::{Private, escaped};
use crate::pull::disk::{Dir, Found as OnDisk};
use crate::pull::tree::Stack;
use crate::stop::Stop;

/// Entries under way; each may hold a folder open.
const WINDOW: u64 = 256;
const PATIENCE: Duration = Duration::from_millis(100);
const TELL_EVERY: Duration = Duration::from_millis(250);
/// Folders in a folder that was added.
const DEPTH_MAX: usize = 64;
/// Everybody may write.
const OTHERS_WRITE: u32 = 0o002;
/// Runs as somebody else.
const PRIVILEGED: u32 = 0o6000;

/// What a walk finds.
pub(super) struct Walked {
    pub tally: Tally,
    /// Of what is kept.
    pub kept_root: Root,
    /// Of what is there.
    pub disk_root: Root,
}

/// What is known of a folder above.
enum Above {
    Here(Here),
    /// It is not there, or nothing in it is to be looked at.
    Nowhere,
}

struct Here {
    dir: Arc<Dir>,
    path: EntryPath,
    /// Hashes of the names that belong in it.
    names: HashSet<u64>,
    /// Whether it was there before the transfer.
    was_here: bool,
}

/// An entry whose turn has not come.
struct Outcome {
    line: Line,
    seen: Seen,
}

/// A folder, and a name in it.
type Located = (Arc<Dir>, Vec<u8>);

/// The walk.
pub(super) struct Walk<'a> {
    lines: Lines,
    place: &'a Place,
    role: Role,
    top: Option<Arc<Dir>>,
    key: &'a Zeroizing<[u8; 32]>,
    totals: (u64, u64),
    observer: &'a Arc<dyn Observer>,
    stop: &'a Stop,
    pool: Pool,
    folder_modes: Preserved,
    stack: Stack<Above>,
    hasher: RandomState,
    given: u64,
    settled: u64,
    waiting: BTreeMap<u64, Line>,
    done: BTreeMap<u64, Outcome>,
    kept_root: RootBuilder,
    disk_root: RootBuilder,
    tally: Tally,
    told: Instant,
}

impl<'a> Walk<'a> {
    pub fn new(
        found: &'a Found,
        lines: Lines,
        key: &'a Zeroizing<[u8; 32]>,
        totals: (u64, u64),
        observer: &'a Arc<dyn Observer>,
        stop: &'a Stop,
    ) -> Result<Self, Error> {
        let top = match &found.place {
            Place::In(path) => Some(open(path)?),
            Place::Itself(_) | Place::Sources(_) => None,
        };
        Ok(Self {
            folder_modes: lines.folder_modes(),
            lines,
            place: &found.place,
            role: found.facts.role,
            top,
            key,
            totals,
            observer,
            stop,
            pool: Pool::start()?,
            stack: Stack::default(),
            hasher: RandomState::new(),
            given: 0,
            settled: 0,
            waiting: BTreeMap::new(),
            done: BTreeMap::new(),
            kept_root: RootBuilder::new(),
            disk_root: RootBuilder::new(),
            tally: Tally::default(),
            told: Instant::now(),
        })
    }

    pub fn run(mut self, each: &mut dyn FnMut(&Difference)) -> Result<Walked, Error> {
        while let Some(expected) = self.lines.next()? {
            if self.stop.is_asked() {
                return Err(Error::Interrupted);
            }
            for above in self.stack.leave(&expected.line.record.path) {
                self.leave(above, each)?;
            }
            self.look(expected)?;
            while self.given - self.settled >= WINDOW {
                self.settle_some(each)?;
            }
        }
        for above in self.stack.leave_all() {
            self.leave(above, each)?;
        }
        while self.settled < self.given {
            self.settle_some(each)?;
        }
        self.tell(true);
        let (kept_root, disk_root) = (self.kept_root.root(self.key), self.disk_root.root(self.key));
        Ok(Walked { tally: self.tally, kept_root, disk_root })
    }

    /// Looks at one entry, or has it looked at.
    fn look(&mut self, expected: Expected) -> Result<(), Error> {
        let Expected { line, source } = expected;
        let ordinal = self.given;
        self.given += 1;
        if let Some(Above::Here(here)) = self.stack.innermost_mut() {
            here.names.insert(self.hasher.hash_one(line.actual_name()));
        }
        let is_placed = matches!(line.fate, Fate::Made | Fate::Existing);
        let located = if is_placed { self.locate(&line, source.as_deref())? } else { None };
        let seen = match (located, line.record.kind) {
            _ if !is_placed => Seen::Skipped,
            (None, _) => Seen::Nothing,
            (Some((dir, name)), RecordKind::File) => {
                self.waiting.insert(ordinal, line);
                return self.pool.give(Job { ordinal, dir, name });
            }
            (Some((dir, name)), RecordKind::Folder) => {
                return self.enter(ordinal, line, &dir, &name, source.as_deref());
            }
            (Some((dir, name)), _) => look_at_link(&dir, &name),
        };
        if line.record.kind == RecordKind::Folder {
            self.stack.enter(line.record.path.name(), Above::Nowhere);
        }
        self.done.insert(ordinal, Outcome { line, seen });
        Ok(())
    }

    fn enter(&mut self, ordinal: u64, line: Line, dir: &Dir, name: &[u8], source: Option<&Path>) -> Result<(), Error> {
        let entered = match (dir.enter(name), source) {
            // What a seller's link points to was sent in its place.
            (Err(_), Some(path)) if path.is_dir() => Dir::open(path),
            (entered, _) => entered,
        };
        let (seen, above) = match entered {
            Ok(inner) => {
                let mode = inner.mode().map_err(|source| trouble(self.place, source))?;
                let here = Here {
                    dir: Arc::new(inner),
                    path: line.record.path.clone(),
                    names: HashSet::new(),
                    was_here: line.fate == Fate::Existing || self.role == Role::Seller,
                };
                (Seen::Folder(mode), Above::Here(here))
            }
            Err(error) => {
                let seen = match (dir.look(name), error.kind()) {
                    (Ok(OnDisk::Nothing), _) | (_, io::ErrorKind::NotFound) => Seen::Nothing,
                    (Ok(OnDisk::Folder), _) | (Err(_), _) => Seen::Closed,
                    _ => Seen::Other,
                };
                (seen, Above::Nowhere)
            }
        };
        self.stack.enter(line.record.path.name(), above);
        self.done.insert(ordinal, Outcome { line, seen });
        Ok(())
    }

    /// The folder above an entry, and the name it has there; nothing if that folder is not there.
    fn locate(&mut self, line: &Line, source: Option<&Path>) -> Result<Option<Located>, Error> {
        let name = line.actual_name().to_vec();
        let is_top = line.record.path.depth() == 1;
        let own = match (self.place, is_top, source) {
            (Place::In(_), true, _) => return Ok(self.top.clone().map(|top| (top, name))),
            (Place::Itself(path), true, _) => Some(path.clone()),
            (Place::Sources(_), true, Some(path)) => Some(super::real(path)),
            // It was reached through a link.
            (Place::Sources(_), false, Some(path)) if path.file_name() != Some(std::ffi::OsStr::from_bytes(&name)) => {
                Some(path.to_path_buf())
            }
            (Place::Sources(_), true, None) => return Ok(None),
            _ => None,
        };
        if let Some(path) = own {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
            return match Dir::open(parent) {
                Ok(dir) => Ok(Some((Arc::new(dir), name.as_bytes().to_vec()))),
                Err(_) => Ok(None),
            };
        }
        match self.stack.innermost() {
            Some(Above::Here(here)) => Ok(Some((here.dir.clone(), name))),
            _ => Ok(None),
        }
    }

    /// Leaves a folder: what is in it and does not belong there was added.
    fn leave(&mut self, above: Above, each: &mut dyn FnMut(&Difference)) -> Result<(), Error> {
        let Above::Here(here) = above else { return Ok(()) };
        let mut strangers = Vec::new();
        let mut beside = 0;
        let listed = here.dir.each_name(|name| {
            if !here.names.contains(&self.hasher.hash_one(name)) {
                if here.was_here { beside += 1 } else { strangers.push(name.to_vec()) }
            }
        });
        self.tally.beside += beside;
        if listed.is_err() {
            // It can be entered and not listed: nothing can be said about what else is in it.
            self.tally.beside += 1;
        }
        for name in strangers {
            let path = joined(&here.path, &name);
            self.tally.added += 1;
            tell(each, &path, Kind::Added);
            self.survey(&here.dir, &name, &path, DEPTH_MAX, each);
        }
        Ok(())
    }

    /// Looks at what was added: whether it is dangerous.
    fn survey(&mut self, dir: &Dir, name: &[u8], path: &[u8], depth: usize, each: &mut dyn FnMut(&Difference)) {
        let (Ok(found), Ok(times)) = (dir.look(name), dir.times(name)) else { return };
        let mode = times.map_or(0, |times| times.mode);
        if matches!(found, OnDisk::File(_)) && mode & PRIVILEGED != 0 {
            self.tally.privileged += 1;
            tell(each, path, Kind::Privileged);
        }
        if matches!(found, OnDisk::File(_) | OnDisk::Folder) && mode & OTHERS_WRITE != 0 {
            self.tally.exposed += 1;
            tell(each, path, Kind::Exposed);
        }
        if found == OnDisk::Link {
            let stays = match (dir.link_target(name), EntryPath::parse(path)) {
                (Ok(target), Ok(path)) => Target::parse(&target, &path).is_ok(),
                _ => false,
            };
            if !stays {
                self.tally.leads_out += 1;
                tell(each, path, Kind::LeadsOut);
            }
        }
        if found == OnDisk::Folder
            && depth > 0
            && let Ok(inner) = dir.enter(name)
            && let Ok(names) = inner.names()
        {
            for name in names {
                let path = [path, b"/", &name].concat();
                self.survey(&inner, &name, &path, depth - 1, each);
            }
        }
    }

    /// Takes what has been read, and judges every entry whose turn it is.
    fn settle_some(&mut self, each: &mut dyn FnMut(&Difference)) -> Result<(), Error> {
        while !self.done.contains_key(&self.settled) {
            if self.stop.is_asked() {
                return Err(Error::Interrupted);
            }
            self.tell(false);
            let Some((ordinal, seen)) = self.pool.take(PATIENCE) else { continue };
            let line = self.waiting.remove(&ordinal);
            let line = line.ok_or_else(|| Error::Internal("a file was read that nobody asked for".into()))?;
            self.done.insert(ordinal, Outcome { line, seen });
        }
        while let Some(outcome) = self.done.remove(&self.settled) {
            self.settled += 1;
            let observed = self.judge(&outcome, each);
            self.kept_root.push(self.key, leaf(self.key, &outcome.line.record));
            self.disk_root.push(self.key, leaf(self.key, &observed));
        }
        Ok(())
    }

    /// Counts what is different, and gives the record of what is there. Times are those that were signed: they change
    /// when things are copied, and say nothing about the content.
    fn judge(&mut self, outcome: &Outcome, each: &mut dyn FnMut(&Difference)) -> Record {
        let Outcome { line, seen } = outcome;
        let signed = &line.record;
        let path = signed.path.as_bytes();
        let mut note = |count: &mut u64, kind: Kind| {
            *count += 1;
            tell(each, path, kind);
        };
        let tally = &mut self.tally;
        // It is not what was signed, whatever it is: no record has such a size.
        let other = Record { size: u64::MAX, ..signed.clone() };
        match seen {
            Seen::Skipped => {
                let count = if line.fate == Fate::Listed { &mut tally.listed } else { &mut tally.left_out };
                *count += 1;
                return signed.clone();
            }
            Seen::Nothing => note(&mut tally.missing, Kind::Missing),
            Seen::Other => note(&mut tally.other_kind, Kind::OtherKind),
            Seen::Closed => note(&mut tally.unreadable, Kind::Unreadable),
            Seen::File(file) => return self.judge_file(line, file, each),
            Seen::Folder(mode) => {
                tally.folders += 1;
                let is_kept = line.fate == Fate::Made && self.folder_modes == Preserved::Yes;
                return self.judge_mode(line, *mode, is_kept, each);
            }
            Seen::Link(target, mtime) => {
                tally.links += 1;
                if line.fate == Fate::Made && line.time == Preserved::Yes && *mtime != signed.mtime {
                    note(&mut tally.other_time, Kind::OtherTime);
                }
                if signed.target.as_ref().is_some_and(|own| own.as_bytes() == target.as_slice()) {
                    return signed.clone();
                }
                note(&mut tally.changed, Kind::Changed);
                if Target::parse(target, &signed.path).is_err() {
                    note(&mut tally.leads_out, Kind::LeadsOut);
                }
            }
        }
        other
    }

    fn judge_file(&mut self, line: &Line, file: &SeenFile, each: &mut dyn FnMut(&Difference)) -> Record {
        let signed = &line.record;
        let path = signed.path.as_bytes();
        let tally = &mut self.tally;
        tally.files += 1;
        tally.bytes += file.bytes;
        if file.bytes < signed.size {
            tally.shortened += 1;
            tell(each, path, Kind::Shortened);
        } else if Some(file.hash) != signed.hash {
            tally.changed += 1;
            tell(each, path, Kind::Changed);
        }
        if line.fate == Fate::Made && line.time == Preserved::Yes && file.mtime != signed.mtime {
            tally.other_time += 1;
            tell(each, path, Kind::OtherTime);
        }
        if file.mode & PRIVILEGED != 0 {
            tally.privileged += 1;
            tell(each, path, Kind::Privileged);
        }
        let is_kept = line.fate == Fate::Made && line.mode == Preserved::Yes;
        let observed = self.judge_mode(line, file.mode, is_kept, each);
        Record { size: file.bytes, hash: Some(file.hash), ..observed }
    }

    /// `is_kept` says whether it had the signed permission bits when it came.
    fn judge_mode(&mut self, line: &Line, mode: u32, is_kept: bool, each: &mut dyn FnMut(&Difference)) -> Record {
        let signed = &line.record;
        let path = signed.path.as_bytes();
        let is_other = is_kept && mode & 0o777 != signed.mode;
        if is_other {
            self.tally.other_mode += 1;
            tell(each, path, Kind::OtherMode);
        }
        if mode & OTHERS_WRITE != 0 {
            if signed.mode & OTHERS_WRITE != 0 || !is_kept {
                self.tally.exposed_as_sent += 1;
            } else {
                self.tally.exposed += 1;
                tell(each, path, Kind::Exposed);
            }
        }
        Record { mode: if is_other { mode & 0o777 } else { signed.mode }, ..signed.clone() }
    }

    fn tell(&mut self, is_last: bool) {
        if !is_last && self.told.elapsed() < TELL_EVERY {
            return;
        }
        self.told = Instant::now();
        let current = self.waiting.values().next();
        self.observer.event(Event::Progress(Progress {
            bytes_done: self.pool.bytes.load(Ordering::Relaxed),
            bytes_total: Some(self.totals.1),
            files_done: self.tally.files,
            files_total: Some(self.totals.0),
            wire_bytes: 0,
            moved_bytes: 0,
            current: current.map(|line| Private::new(escaped(line.record.path.as_bytes()))),
        }));
    }
}

fn tell(each: &mut dyn FnMut(&Difference), path: &[u8], kind: Kind) {
    each(&Difference { path: Private::new(path.to_vec()), kind });
}

fn joined(folder: &EntryPath, name: &[u8]) -> Vec<u8> {
    [folder.as_bytes(), b"/", name].concat()
}

fn look_at_link(dir: &Dir, name: &[u8]) -> Seen {
    match (dir.look(name), dir.times(name)) {
        (Ok(OnDisk::Link), Ok(Some(times))) => match dir.link_target(name) {
            Ok(target) => Seen::Link(target, times.mtime),
            Err(_) => Seen::Closed,
        },
        (Ok(OnDisk::Nothing), _) => Seen::Nothing,
        (Ok(_), _) => Seen::Other,
        (Err(_), _) => Seen::Closed,
    }
}

fn open(path: &Path) -> Result<Arc<Dir>, Error> {
    Dir::open(path).map(Arc::new).map_err(|source| Error::disk("opening the folder", path, source))
}

fn trouble(place: &Place, source: io::Error) -> Error {
    let (Place::In(path) | Place::Itself(path) | Place::Sources(path)) = place;
    Error::disk("looking at what is there", path, source)
}
