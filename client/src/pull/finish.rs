//! The end of a pull on this machine's disk: what waits is placed as the buyer decides, and folders get their modes and
//! times, which were theirs only while nothing was put into them.
//!
//! Everything here can be done again after a crash: what was decided is written down before it is done.
//!
//! # Source
//! SPEC [S15.4] [S15.6].

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use handover_shared::archive::item::Mtime;
use handover_shared::archive::manifest::{Record, RecordKind};
use handover_shared::archive::path::EntryPath;
use handover_shared::codec;
use minicbor::{Decode, Encode};

use super::disk::{Dir, Found, ModeSet, Naming, TimeSet};
use super::list::{Fate, Line, ListReader};
use super::names;
use super::tree::Stack;
use super::work::Work;
use super::{Conflict, ConflictPolicy, Decide, shown_path};
use crate::error::Error;
use crate::event::{Event, ExceptionReason, Observer};
use crate::home::transfers::Folder;
use crate::home::{checked, read_private, write_private};
use crate::private::Private;
use crate::verify::manifest::{ManifestWriter, Preserved};

/// Conflicts that are shown to the person.
const SHOWN_MAX: usize = 20;
const MOVES_BYTES_MAX: u64 = 1 << 30;

/// What became of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) struct Tally {
    /// Files that were there already.
    #[n(0)]
    pub unchanged: u64,
    /// Files not placed because the buyer keeps what is there.
    #[n(1)]
    pub kept_existing: u64,
    /// Entries placed under another name because their own was taken.
    #[n(2)]
    pub renamed: u64,
    /// Entries that are listed: not sent, or not preserved in something.
    #[n(3)]
    pub exceptions: u64,
}

/// What is to be done with an entry that waits.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Move {
    /// It is given up; what is there stays.
    #[n(0)]
    GiveUp,
    /// It gets this name, which is free.
    #[n(1)]
    Name(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// What has this name is set aside first.
    #[n(2)]
    Replace(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
}

/// The end of placing.
pub(super) struct Finish<'a> {
    /// The destination.
    pub work: &'a Work,
    /// The list of entries and how much of it counts.
    pub list: (PathBuf, u64),
    /// Where what came is kept.
    pub folder: &'a Folder,
    /// Where decisions are written down.
    pub moves: PathBuf,
    /// How many entries wait.
    pub held: u64,
    /// Who is told.
    pub observer: &'a Arc<dyn Observer>,
}

impl Finish<'_> {
    /// Places what waits, sets modes and times of folders, counts, and keeps what came [S18.1]. What was placed is not
    /// synced here.
    ///
    /// # Errors
    /// [`Error::Conflicts`] when nobody can say what to do with what stands in the way; [`Error::Disk`].
    pub fn run(&self, policy: ConflictPolicy, decide: &dyn Decide) -> Result<Tally, Error> {
        let moves = match self.kept_moves()? {
            Some(moves) => moves,
            None if self.held == 0 => Vec::new(),
            None => {
                let policy = self.decided(policy, decide)?;
                let moves = self.plan(policy)?;
                write_private(&self.moves, &checked::file(&codec::encode(&moves)))?;
                moves
            }
        };
        self.carry_out(moves)
    }

    fn lines(&self) -> Result<ListReader, Error> {
        ListReader::open(&self.list.0, self.list.1)
    }

    fn kept_moves(&self) -> Result<Option<Vec<Move>>, Error> {
        let Some(bytes) = read_private(&self.moves, MOVES_BYTES_MAX)? else { return Ok(None) };
        let damaged = |source: Option<Box<dyn std::error::Error + Send + Sync>>| Error::State {
            what: "the list of moves is damaged",
            path: self.moves.clone(),
            source,
        };
        let body = checked::body(&bytes).ok_or_else(|| damaged(None))?;
        codec::decode(body).map(Some).map_err(|fault| damaged(Some(fault.into())))
    }

    fn trouble(&self, source: io::Error) -> Error {
        self.work.trouble("placing what waited", source)
    }

    /// Asks, if the policy says so.
    fn decided(&self, policy: ConflictPolicy, decide: &dyn Decide) -> Result<ConflictPolicy, Error> {
        if !matches!(policy, ConflictPolicy::Ask | ConflictPolicy::Fail) {
            return Ok(policy);
        }
        let shown = self.first_conflicts()?;
        let answer = match policy {
            ConflictPolicy::Ask => decide.conflicts(self.held, &shown),
            _ => None,
        };
        match answer {
            Some(policy @ (ConflictPolicy::Skip | ConflictPolicy::Rename | ConflictPolicy::Overwrite)) => Ok(policy),
            _ => Err(conflicts(self.held, shown.first(), self.work.path())),
        }
    }

    fn first_conflicts(&self) -> Result<Vec<Conflict>, Error> {
        let mut shown = Vec::new();
        let mut walk = Walk::new(self.work)?;
        for (ordinal, line) in self.lines()?.enumerate() {
            let line = line?;
            drop(walk.leave(&line.record));
            if line.fate == Fate::Held {
                let existing_bytes = match walk.above() {
                    Some(above) => match above.look(line.actual_name()).map_err(|e| self.trouble(e))? {
                        Found::File(bytes) => bytes,
                        _ => 0,
                    },
                    None => 0,
                };
                let path = Private::new(line.record.path.as_bytes().to_vec());
                shown.push(Conflict { path, existing_bytes, new_bytes: line.record.size });
                if shown.len() == SHOWN_MAX {
                    break;
                }
            }
            walk.enter(ordinal as u64, &line).map_err(|e| self.trouble(e))?;
        }
        Ok(shown)
    }

    /// Decides about everything that waits, in order.
    fn plan(&self, policy: ConflictPolicy) -> Result<Vec<Move>, Error> {
        let mut moves = Vec::new();
        let mut walk = Walk::new(self.work)?;
        for (ordinal, line) in self.lines()?.enumerate() {
            let line = line?;
            drop(walk.leave(&line.record));
            if line.fate == Fate::Held {
                let above = walk.above().ok_or_else(|| self.trouble(io::ErrorKind::NotFound.into()))?;
                let next = plan_one(policy, above, line.actual_name()).map_err(|e| self.trouble(e))?;
                moves.push(next);
            }
            walk.enter(ordinal as u64, &line).map_err(|e| self.trouble(e))?;
        }
        Ok(moves)
    }

    fn carry_out(&self, moves: Vec<Move>) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        let mut walk = Walk::new(self.work)?;
        let mut moves = moves.into_iter();
        let mut manifest = ManifestWriter::create(self.folder)?;
        let mut folder_modes = Preserved::Yes;
        for (ordinal, line) in self.lines()?.enumerate() {
            let (ordinal, mut line) = (ordinal as u64, line?);
            self.set_all(walk.leave(&line.record), &mut tally, &mut folder_modes)?;
            if walk.is_kept() {
                line.fate = Fate::Kept;
            }
            if line.fate == Fate::Held {
                let next = moves.next().ok_or_else(|| Error::Internal("a move is missing".into()))?;
                self.release(ordinal, &mut line, next, &walk)?;
            }
            self.count(&line, &mut tally);
            manifest.add(&line.kept())?;
            walk.enter(ordinal, &line).map_err(|e| self.trouble(e))?;
        }
        self.set_all(walk.stack.leave_all(), &mut tally, &mut folder_modes)?;
        manifest.finish(folder_modes)?;
        Ok(tally)
    }

    /// Does with an entry that waits what was decided; its line says then what became of it.
    fn release(&self, ordinal: u64, line: &mut Line, decided: Move, walk: &Walk<'_>) -> Result<(), Error> {
        let above = walk.above().ok_or_else(|| self.trouble(io::ErrorKind::NotFound.into()))?;
        let is_waiting = self.work.is_waiting(ordinal).map_err(|e| self.trouble(e))?;
        let name = match decided {
            Move::GiveUp => {
                line.fate = Fate::Kept;
                return Ok(());
            }
            Move::Name(name) => {
                line.marks.renamed = name != line.actual_name();
                name
            }
            Move::Replace(name) => {
                let stands = above.look(&name).map_err(|e| self.trouble(e))?;
                if is_waiting && stands != Found::Nothing {
                    self.work.set_aside(above, &name, ordinal)?;
                }
                name
            }
        };
        match self.work.release(ordinal, above, &name).map_err(|e| self.trouble(e))? {
            Naming::Done => {}
            // Something took the place since it was decided about: it is decided again.
            Naming::Taken | Naming::Impossible => {
                let path = shown_path(self.work.path(), &line.record.path);
                std::fs::remove_file(&self.moves).map_err(|e| self.trouble(e))?;
                return Err(Error::Conflicts { count: 1, first: Private::new(path) });
            }
        }
        line.fate = Fate::Made;
        line.name = Some(name);
        Ok(())
    }

    fn count(&self, line: &Line, tally: &mut Tally) {
        let is_file = line.record.kind == RecordKind::File;
        match line.fate {
            Fate::Existing if is_file => tally.unchanged += 1,
            Fate::Kept if is_file => tally.kept_existing += 1,
            _ => {}
        }
        tally.renamed += u64::from(line.marks.renamed);
        tally.exceptions += u64::from(line.fate == Fate::Listed || line.marks.is_exception());
    }

    /// Sets modes and times of folders that were made here, innermost first.
    fn set_all(&self, left: Vec<Known>, tally: &mut Tally, modes: &mut Preserved) -> Result<(), Error> {
        for known in left {
            let Known::Here { dir, made: Some(record) } = known else { continue };
            let Attributes { mode, mtime, path } = record;
            let (mode, time) = match dir.set_mode(mode).and_then(|mode| Ok((mode, dir.set_time(mtime)?))) {
                // Opened without the right to read it: its mode was set before, by a run that did not get to the end.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error()) => continue,
                set => set.map_err(|source| self.trouble(source))?,
            };
            if mode == ModeSet::No {
                *modes = Preserved::No;
            }
            let missing = [
                (mode == ModeSet::No, ExceptionReason::ModeNotSet),
                (time == TimeSet::No, ExceptionReason::TimeNotSet),
            ];
            for (_, reason) in missing.into_iter().filter(|(is_missing, _)| *is_missing) {
                let path = Private::new(path.as_bytes().to_vec());
                self.observer.event(Event::Exception { path, reason });
                tally.exceptions += 1;
            }
        }
        Ok(())
    }
}

/// A walk over the list, with the folders above the current line held open.
struct Walk<'a> {
    work: &'a Work,
    root: Dir,
    stack: Stack<Known>,
}

/// What is known of a folder.
enum Known {
    /// It is here; the attributes it gets are those of a folder that was made here.
    Here { dir: Dir, made: Option<Attributes> },
    /// What is in its place is kept.
    Kept,
    /// It was made and is not here any more, or cannot be entered any more.
    Gone,
}

struct Attributes {
    mode: u32,
    mtime: Mtime,
    path: EntryPath,
}

impl<'a> Walk<'a> {
    fn new(work: &'a Work) -> Result<Self, Error> {
        Ok(Self { work, root: work.root()?, stack: Stack::default() })
    }

    fn leave(&mut self, record: &Record) -> Vec<Known> {
        self.stack.leave(&record.path)
    }

    fn above(&self) -> Option<&Dir> {
        match self.stack.innermost() {
            None => Some(&self.root),
            Some(Known::Here { dir, .. }) => Some(dir),
            Some(Known::Kept | Known::Gone) => None,
        }
    }

    fn is_kept(&self) -> bool {
        matches!(self.stack.innermost(), Some(Known::Kept))
    }

    /// Enters the folder of a line; a line of anything else changes nothing.
    fn enter(&mut self, ordinal: u64, line: &Line) -> io::Result<()> {
        if line.record.kind != RecordKind::Folder {
            return Ok(());
        }
        let entered = match (line.fate, self.above()) {
            (Fate::Held, _) => Some(self.work.held_folder(ordinal)),
            (Fate::Made | Fate::Existing, Some(above)) => Some(above.enter(line.actual_name())),
            (Fate::Made | Fate::Existing, None) => None,
            (Fate::Kept | Fate::Listed, _) => {
                self.stack.enter(line.record.path.name(), Known::Kept);
                return Ok(());
            }
        };
        let known = match entered {
            Some(Ok(dir)) => {
                let Record { mode, mtime, path, .. } = line.record.clone();
                Known::Here { dir, made: (line.fate == Fate::Made).then_some(Attributes { mode, mtime, path }) }
            }
            // The buyer moves on while we work, or an earlier run has set its mode already.
            Some(Err(error)) if is_gone(&error) => Known::Gone,
            Some(Err(error)) => return Err(error),
            None => Known::Gone,
        };
        self.stack.enter(line.record.path.name(), known);
        Ok(())
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

fn plan_one(policy: ConflictPolicy, above: &Dir, name: &[u8]) -> io::Result<Move> {
    Ok(match (policy, above.look(name)?) {
        // The buyer made room meanwhile.
        (_, Found::Nothing) => Move::Name(name.to_vec()),
        (ConflictPolicy::Skip, _) => Move::GiveUp,
        (ConflictPolicy::Overwrite, Found::File(_) | Found::Link | Found::Other) => Move::Replace(name.to_vec()),
        _ => Move::Name(free_name(above, name)?),
    })
}

fn free_name(above: &Dir, name: &[u8]) -> io::Result<Vec<u8>> {
    for number in 1.. {
        let name = names::numbered(name, number);
        if above.look(&name)? == Found::Nothing {
            return Ok(name);
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn conflicts(count: u64, first: Option<&Conflict>, destination: &Path) -> Error {
    let first =
        first.map_or_else(|| destination.to_path_buf(), |first| super::shown_bytes(destination, first.path.reveal()));
    Error::Conflicts { count, first: Private::new(first) }
}
