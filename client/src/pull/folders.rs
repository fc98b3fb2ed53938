//! Placing folders: made, found, or put elsewhere because something else has their place.
//!
//! # Source
//! SPEC [S15.5] [S15.6].

use std::io;

use handover_shared::archive::manifest::Record;

use super::ConflictPolicy;
use super::disk::{Dir, Found, Naming, WORKING_MODE};
use super::list::{Fate, Marks};
use super::names;
use super::place::{NUMBERS_MAX, Placer, Trouble, policy_for};
use super::tree::{Above, Route};

impl Placer {
    /// Makes the folder of a record, or finds it, and enters it.
    pub(super) fn make_folder(&mut self, record: &Record) -> Result<(Fate, Option<Vec<u8>>, Marks), Trouble> {
        let mut marks = Marks::default();
        let own = record.path.name();
        if let Above::Nowhere = self.tree.innermost() {
            self.tree.enter(own, Route::Nowhere, None);
            return Ok((Fate::Kept, None, marks));
        }
        let wanted = self.wanted_name(record, &mut marks);
        let (name, fate, dir) = match self.folder_at(record, wanted.clone(), &mut marks)? {
            Some(found) => found,
            None => {
                let Above::Dir(above) = self.tree.innermost() else { return Err(Trouble::Restart) };
                let existing = above.look(&wanted).map_err(|e| self.work.trouble("looking at what is there", e))?;
                match policy_for(self.policy, existing) {
                    ConflictPolicy::Skip => {
                        self.tree.enter(own, Route::Nowhere, None);
                        return Ok((Fate::Kept, None, marks));
                    }
                    ConflictPolicy::Ask | ConflictPolicy::Fail => {
                        let dir = self.work.make_held_folder(self.ordinal)?;
                        self.hold(record);
                        self.tree.enter(own, Route::Held(self.ordinal), Some(dir));
                        return Ok((Fate::Held, Some(wanted), marks));
                    }
                    ConflictPolicy::Overwrite => {
                        self.work.set_aside(above, &wanted, self.ordinal)?;
                        self.folder_at(record, wanted, &mut marks)?.ok_or(Trouble::Restart)?
                    }
                    ConflictPolicy::Rename => self.numbered_folder(record, &wanted, &mut marks)?,
                }
            }
        };
        self.tree.enter(own, Route::Named(name.clone()), Some(dir));
        Ok((fate, Some(name), marks))
    }

    /// Makes a folder of this name, or takes the one that is there; `None` if something else is.
    fn folder_at(
        &mut self,
        record: &Record,
        mut name: Vec<u8>,
        marks: &mut Marks,
    ) -> Result<Option<(Vec<u8>, Fate, Dir)>, Trouble> {
        loop {
            let Above::Dir(above) = self.tree.innermost() else { return Err(Trouble::Restart) };
            let failed = |source| self.work.trouble("making a folder", source);
            match above.look(&name).map_err(failed)? {
                Found::Folder => {
                    let dir = above.enter(&name).map_err(failed)?;
                    if self.tree.depth() == 0 && self.work.is_own(&dir).map_err(failed)? {
                        return Ok(None);
                    }
                    let fate = match self.made.has(&record.path, &name) {
                        true => Fate::Made,
                        false => Fate::Existing,
                    };
                    return Ok(Some((name, fate, dir)));
                }
                Found::Nothing => {
                    // First the log, so that a folder without its mode and time is known as ours after a crash.
                    self.made.add(&record.path, &name).map_err(failed)?;
                    match above.make(&name, WORKING_MODE).map_err(failed)? {
                        Naming::Done | Naming::Taken => {}
                        Naming::Impossible if !marks.mapped => {
                            marks.mapped = true;
                            name = names::mapped(&name);
                        }
                        Naming::Impossible => return Err(failed(io::ErrorKind::InvalidFilename.into()).into()),
                    }
                }
                Found::File(_) | Found::Link | Found::Other => return Ok(None),
            }
        }
    }

    /// Makes a folder under the first numbered name that is free, or was made by an earlier run.
    fn numbered_folder(
        &mut self,
        record: &Record,
        wanted: &[u8],
        marks: &mut Marks,
    ) -> Result<(Vec<u8>, Fate, Dir), Trouble> {
        marks.renamed = true;
        for number in 1..NUMBERS_MAX {
            let name = names::numbered(wanted, number);
            match self.folder_at(record, name, marks)? {
                Some((name, Fate::Made, dir)) => return Ok((name, Fate::Made, dir)),
                _ => continue,
            }
        }
        Err(self.work.trouble("making a folder", io::ErrorKind::AlreadyExists.into()).into())
    }
}
