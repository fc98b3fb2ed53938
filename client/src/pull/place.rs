//! Placing: what the archive's reader has checked becomes files, folders and links beneath the destination.
//!
//! A file is written in `.handover/TID/` and gets its final name when its hash is right. Nothing that exists is ever
//! replaced in place: what stands in the way is the same already, or the buyer's policy decides, or the new one waits in
//! `held/` until the end.
//!
//! # Source
//! SPEC [S15.2] [S15.5] [S15.6].

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use handover_shared::archive::item::{Entry, Reason};
use handover_shared::archive::manifest::{Record, RecordKind};
use handover_shared::archive::path::EntryPath;
use handover_shared::limits::PIECE_BYTES;

use super::ConflictPolicy;
use super::checkpoint::Trust;
use super::disk::{self, Dir, Found, ModeSet, Naming, TimeSet};
use super::list::{Fate, Line, ListWriter, Marks};
use super::names;
use super::tree::{Above, Step, Tree};
use super::work::{MadeLog, Work, same_file};
use crate::error::Error;
use crate::event::{Event, ExceptionReason, Observer};
use crate::private::Private;

/// Names tried before a folder is said to be full of them.
pub(super) const NUMBERS_MAX: u32 = 10_000;

/// What stops placing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// This.
    Failed(Error),
    /// The partial data is not what the checkpoint says: it has to begin anew, and finds what is placed already.
    Restart,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What a checkpoint keeps of the placer.
#[derive(Clone, Debug, Default, PartialEq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub(super) struct PlacerState {
    /// The folders above the current entry.
    #[n(0)]
    pub steps: Vec<Step>,
    /// Entries finished: lines of the list.
    #[n(1)]
    pub ordinal: u64,
    /// Bytes of the list.
    #[n(2)]
    pub list_bytes: u64,
    /// Entries that wait in `held/`.
    #[n(3)]
    pub held: u64,
}

/// Places entries beneath the destination.
pub(super) struct Placer {
    pub(super) work: Work,
    pub(super) tree: Tree,
    list: ListWriter,
    pub(super) made: MadeLog,
    pub(super) policy: ConflictPolicy,
    observer: Arc<dyn Observer>,
    /// The destination, for errors.
    path: PathBuf,
    pub(super) ordinal: u64,
    held: u64,
    part: Part,
    refused: Option<EntryPath>,
}

/// The file under way.
enum Part {
    /// None.
    None,
    /// It began, and nothing has been written.
    Begun(Entry),
    /// It is being written.
    Open(File),
    /// It was finished by an earlier run, after the checkpoint from which this one continues.
    Elsewhere,
    /// It goes nowhere.
    Dropped,
}

impl Placer {
    /// Begins anew.
    pub fn new(
        work: Work,
        list: ListWriter,
        policy: ConflictPolicy,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Error> {
        let (path, root) = (work.path().to_path_buf(), work.root()?);
        let made = work.made_log()?;
        work.sweep(None)?;
        let tree = Tree::new(root);
        Ok(Self {
            work,
            tree,
            list,
            made,
            policy,
            observer,
            path,
            ordinal: 0,
            held: 0,
            part: Part::None,
            refused: None,
        })
    }

    /// Goes on from a checkpoint; `open` is the file under way and how many bytes of it have come.
    ///
    /// # Errors
    /// [`Trouble::Restart`] when the folders above the current entry are not there any more.
    pub fn resume(
        work: Work,
        list: ListWriter,
        policy: ConflictPolicy,
        observer: Arc<dyn Observer>,
        state: PlacerState,
        open: Option<(&Entry, u64)>,
    ) -> Result<Self, Trouble> {
        let mut placer = Self::new_at(work, list, policy, observer, state)?;
        let Some((entry, bytes)) = open else { return Ok(placer) };
        placer.part = if let Above::Nowhere = placer.tree.innermost() {
            Part::Dropped
        } else if bytes == 0 {
            Part::Begun(entry.clone())
        } else {
            match placer.work.reopen_part(placer.ordinal, bytes)? {
                Some(file) => Part::Open(file),
                None => Part::Elsewhere,
            }
        };
        Ok(placer)
    }

    fn new_at(
        work: Work,
        list: ListWriter,
        policy: ConflictPolicy,
        observer: Arc<dyn Observer>,
        state: PlacerState,
    ) -> Result<Self, Trouble> {
        let PlacerState { steps, ordinal, held, list_bytes: _ } = state;
        let (path, root) = (work.path().to_path_buf(), work.root()?);
        let tree = Tree::resume(root, steps, |number| work.held_folder(number)).map_err(|error| {
            tracing::debug!(kind = ?error.kind(), "a folder of the checkpoint cannot be opened");
            Trouble::Restart
        })?;
        let made = work.made_log()?;
        work.sweep(Some(ordinal))?;
        Ok(Self { work, tree, list, made, policy, observer, path, ordinal, held, part: Part::None, refused: None })
    }

    /// What a checkpoint keeps; everything written so far is in the system's hands then.
    pub fn state(&mut self) -> Result<PlacerState, Error> {
        let list_bytes = self.list.flush()?;
        Ok(PlacerState { steps: self.tree.steps(), ordinal: self.ordinal, list_bytes, held: self.held })
    }

    /// Handles of what a checkpoint has to sync: the destination's file system and the list.
    pub fn sync_handles(&self) -> Result<(Dir, File), Error> {
        Ok((self.work.root()?, self.list.duplicate()?))
    }

    /// What stands in the way, if the policy is to fail on it.
    pub fn refused(&self) -> Option<Error> {
        let path = self.refused.as_ref()?;
        Some(Error::Conflicts { count: self.held, first: Private::new(self.shown(path)) })
    }

    /// A file begins.
    pub fn file_begin(&mut self, entry: Entry) -> Result<(), Trouble> {
        self.tree.leave(&entry.path);
        self.part = match self.tree.innermost() {
            Above::Dir(_) => Part::Begun(entry),
            Above::Nowhere => Part::Dropped,
        };
        Ok(())
    }

    /// Bytes of the file under way.
    pub fn data(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        if let Part::Begun(entry) = &self.part {
            let created = self.create_part(entry)?;
            self.part = Part::Open(created);
        }
        match &mut self.part {
            Part::Open(file) => {
                file.write_all(bytes).map_err(|source| self.work.trouble("writing a file", source))?;
                Ok(())
            }
            Part::Elsewhere | Part::Dropped => Ok(()),
            Part::None | Part::Begun(_) => Err(Error::Internal("data without a file".into()).into()),
        }
    }

    /// What came of the file under way does not count.
    pub fn file_void(&mut self) -> Result<(), Trouble> {
        self.part = Part::None;
        self.work.remove_part(self.ordinal)?;
        Ok(())
    }

    /// The file under way is whole: it gets its mode, its time and its name.
    pub fn file_end(&mut self, record: Record) -> Result<(), Trouble> {
        let file = match std::mem::replace(&mut self.part, Part::None) {
            Part::Open(file) => file,
            Part::Begun(entry) => self.create_part(&entry)?,
            Part::Dropped => return self.finished(record, Fate::Kept, None, Marks::default()),
            Part::Elsewhere => return self.find_elsewhere(record),
            Part::None => return Err(Error::Internal("the end of no file".into()).into()),
        };
        let mut marks = Marks::default();
        let failed = |source| self.work.trouble("setting a file's mode and time", source);
        if record.mode & !self.work.creation_mask() != 0 || !is_small(record.size) {
            marks.no_mode = disk::set_file_mode(&file, record.mode).map_err(failed)? == ModeSet::No;
        }
        marks.no_time = disk::set_file_time(&file, record.mtime).map_err(failed)? == TimeSet::No;
        #[cfg(not(target_os = "linux"))]
        file.sync_all().map_err(failed)?;
        drop(file);
        let staged = Work::part_name(self.ordinal);
        self.settle(&staged, record, marks)
    }

    /// A link.
    pub fn link(&mut self, record: Record) -> Result<(), Trouble> {
        self.tree.leave(&record.path);
        if let Above::Nowhere = self.tree.innermost() {
            return self.finished(record, Fate::Kept, None, Marks::default());
        }
        let Some(target) = &record.target else { return Err(Error::Internal("a link without a target".into()).into()) };
        let staged = Work::link_name(self.ordinal);
        let staging = self.work.staging();
        let made = staging.remove(&staged).and_then(|()| staging.make_link(target.as_bytes(), &staged, record.mtime));
        let time = made.map_err(|source| self.work.trouble("making a link", source))?;
        self.settle(&staged, record, Marks { no_time: time == TimeSet::No, ..Marks::default() })
    }

    /// A folder.
    pub fn folder(&mut self, record: Record) -> Result<(), Trouble> {
        self.tree.leave(&record.path);
        let (fate, name, marks) = self.make_folder(&record)?;
        self.finished(record, fate, name, marks)
    }

    /// Something that the seller lists and has not sent.
    pub fn exception(&mut self, record: Record) -> Result<(), Trouble> {
        let reason = record.reason.map_or(ExceptionReason::ReadError, reason_of);
        self.tell(&record.path, reason);
        self.finished(record, Fate::Listed, None, Marks::default())
    }

    fn create_part(&self, entry: &Entry) -> Result<File, Error> {
        // A file that may have to be opened again to go on needs the right to be written.
        let mode = if entry.size.is_some_and(is_small) { entry.mode } else { 0o600 };
        self.work.create_part(self.ordinal, mode)
    }

    /// Ends an entry: into the list, and on to the next.
    fn finished(&mut self, record: Record, fate: Fate, name: Option<Vec<u8>>, marks: Marks) -> Result<(), Trouble> {
        let name = name.filter(|name| name != record.path.name());
        if fate == Fate::Kept && record.kind == RecordKind::File {
            self.tell(&record.path, ExceptionReason::KeptExisting);
        }
        for (is_so, reason) in [
            (marks.mapped, ExceptionReason::NameMapped),
            (marks.no_mode, ExceptionReason::ModeNotSet),
            (marks.no_time, ExceptionReason::TimeNotSet),
        ] {
            if is_so {
                self.tell(&record.path, reason);
            }
        }
        self.list.push(&Line { record, fate, name, marks })?;
        self.ordinal += 1;
        Ok(())
    }

    fn tell(&self, path: &EntryPath, reason: ExceptionReason) {
        self.observer.event(Event::Exception { path: Private::new(path.as_bytes().to_vec()), reason });
    }

    /// Gives a verified file or link its name.
    fn settle(&mut self, staged: &[u8], record: Record, mut marks: Marks) -> Result<(), Trouble> {
        let mut name = self.wanted_name(&record, &mut marks);
        loop {
            let Above::Dir(above) = self.tree.innermost() else { return Err(Trouble::Restart) };
            let moved = self.work.staging().move_new(staged, above, &name);
            match moved.map_err(|source| self.work.trouble("giving a file its name", source))? {
                Naming::Done => {
                    return self.finished(record, Fate::Made, Some(name), marks);
                }
                Naming::Impossible if !marks.mapped => {
                    marks.mapped = true;
                    name = names::mapped(&name);
                }
                Naming::Impossible => {
                    let refused = io::Error::new(io::ErrorKind::InvalidFilename, "no name is possible");
                    return Err(self.work.trouble("giving a file its name", refused).into());
                }
                Naming::Taken => return self.settle_conflict(staged, name, record, marks),
            }
        }
    }

    /// The name an entry should have: its own, unless that is the name of our work folder.
    pub(super) fn wanted_name(&self, record: &Record, marks: &mut Marks) -> Vec<u8> {
        let name = record.path.name();
        if self.tree.depth() == 0 && names::is_reserved(name) {
            marks.mapped = true;
            return names::mapped(name);
        }
        name.to_vec()
    }

    fn settle_conflict(
        &mut self,
        staged: &[u8],
        name: Vec<u8>,
        record: Record,
        mut marks: Marks,
    ) -> Result<(), Trouble> {
        let Above::Dir(above) = self.tree.innermost() else { return Err(Trouble::Restart) };
        let looking = |source| self.work.trouble("looking at what is there", source);
        // [S15.6]
        if is_same(above, &name, &record).map_err(looking)? {
            let is_ours = self.work.is_ours(above, &name, &record).map_err(looking)?;
            let fate = if is_ours { Fate::Made } else { Fate::Existing };
            match (is_ours, self.work.trust()) {
                // What a failed sync may have lost is written again, from what has just come.
                (true, Trust::Lost) => self.work.staging().move_over(staged, above, &name),
                _ => self.work.staging().remove(staged),
            }
            .map_err(looking)?;
            return self.finished(record, fate, Some(name), marks);
        }
        let existing = above.look(&name).map_err(looking)?;
        match policy_for(self.policy, existing) {
            ConflictPolicy::Skip => {
                self.work.staging().remove(staged).map_err(looking)?;
                self.finished(record, Fate::Kept, None, marks)
            }
            ConflictPolicy::Rename => {
                let (name, naming) = numbered_place(self.work.staging(), staged, above, &name, &record)
                    .map_err(|source| self.work.trouble("giving a file its name", source))?;
                if naming == Naming::Taken {
                    self.work.staging().remove(staged).map_err(looking)?;
                }
                marks.renamed = true;
                self.finished(record, Fate::Made, Some(name), marks)
            }
            ConflictPolicy::Overwrite => {
                self.work.set_aside(above, &name, self.ordinal)?;
                let moved = self.work.staging().move_new(staged, above, &name);
                match moved.map_err(|source| self.work.trouble("giving a file its name", source))? {
                    Naming::Done => self.finished(record, Fate::Made, Some(name), marks),
                    _ => Err(self.work.trouble("giving a file its name", io::ErrorKind::AlreadyExists.into()).into()),
                }
            }
            ConflictPolicy::Ask | ConflictPolicy::Fail => {
                self.work.hold(staged, self.ordinal)?;
                self.hold(&record);
                self.finished(record, Fate::Held, Some(name), marks)
            }
        }
    }

    pub(super) fn hold(&mut self, record: &Record) {
        self.held += 1;
        if self.policy == ConflictPolicy::Fail {
            self.refused.get_or_insert_with(|| record.path.clone());
        }
    }

    /// Looks for a file that an earlier run had finished after its last checkpoint.
    fn find_elsewhere(&mut self, record: Record) -> Result<(), Trouble> {
        let looking = |source| self.work.trouble("looking at what is there", source);
        let Above::Dir(above) = self.tree.innermost() else { return Err(Trouble::Restart) };
        if self.work.trust() == Trust::Lost {
            // Only what comes again can be written again.
            return Err(Trouble::Restart);
        }
        let mut marks = Marks::default();
        let own = self.wanted_name(&record, &mut marks);
        if is_same(above, &own, &record).map_err(looking)? {
            return self.finished(record, Fate::Made, Some(own), marks);
        }
        if self.work.is_held(self.ordinal, &record).map_err(looking)? {
            self.hold(&record);
            return self.finished(record, Fate::Held, None, marks);
        }
        let numbered = names::numbered(&own, 1);
        if is_same(above, &numbered, &record).map_err(looking)? {
            marks.renamed = true;
            return self.finished(record, Fate::Made, Some(numbered), marks);
        }
        if self.policy == ConflictPolicy::Skip && above.look(&own).map_err(looking)? != Found::Nothing {
            return self.finished(record, Fate::Kept, None, marks);
        }
        Err(Trouble::Restart)
    }

    fn shown(&self, path: &EntryPath) -> PathBuf {
        super::shown_path(&self.path, path)
    }
}

/// Overwriting a file is one thing; a folder with everything in it is another, and is not removed for a name's sake.
pub(super) fn policy_for(policy: ConflictPolicy, existing: Found) -> ConflictPolicy {
    match (policy, existing) {
        (ConflictPolicy::Overwrite, Found::Folder) => ConflictPolicy::Rename,
        _ => policy,
    }
}

/// Files of at most one piece are written in one go and never continued.
fn is_small(bytes: u64) -> bool {
    bytes <= PIECE_BYTES as u64
}

/// Whether what has this name is the same file or link already.
pub(super) fn is_same(above: &Dir, name: &[u8], record: &Record) -> io::Result<bool> {
    match (&record.hash, &record.target) {
        (Some(hash), _) => same_file(above, name, record.size, hash),
        (None, Some(target)) => Ok(above.look(name)? == Found::Link && above.link_target(name)? == target.as_bytes()),
        (None, None) => Ok(false),
    }
}

/// Moves something to the first numbered name that is free; `Taken` with a name under which it is already.
pub(super) fn numbered_place(
    from: &Dir,
    staged: &[u8],
    above: &Dir,
    name: &[u8],
    record: &Record,
) -> io::Result<(Vec<u8>, Naming)> {
    for number in 1..NUMBERS_MAX {
        let name = names::numbered(name, number);
        match from.move_new(staged, above, &name)? {
            Naming::Done => return Ok((name, Naming::Done)),
            Naming::Taken if is_same(above, &name, record)? => return Ok((name, Naming::Taken)),
            Naming::Taken => {}
            Naming::Impossible => return Err(io::ErrorKind::InvalidFilename.into()),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// A seller's reason as an event says it.
pub(super) fn reason_of(reason: Reason) -> ExceptionReason {
    match reason {
        Reason::NotReadable => ExceptionReason::Unreadable,
        Reason::Vanished => ExceptionReason::Vanished,
        Reason::KeptChanging => ExceptionReason::KeptChanging,
        Reason::NotAFile => ExceptionReason::Special,
        Reason::LinkLeaves => ExceptionReason::LinkLeaves,
        Reason::ReadError => ExceptionReason::ReadError,
        Reason::NameLimit => ExceptionReason::NameTooLong,
    }
}
