//! The work folder `.handover/TID/` inside the destination: files under way, what waits, what was set aside.
//!
//! | name | what |
//! |---|---|
//! | `part-N`, `link-N` | entry number N, under way |
//! | `held/N` | entry number N, verified, its place taken: it waits for an answer |
//! | `replaced/N` | what stood in the place of entry number N and is to be overwritten |
//! | `made` | which folders were made here, 16 bytes of a hash each |
//!
//! # Source
//! SPEC [S15.2].

use std::cell::OnceCell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use handover_shared::archive::manifest::{Record, RecordKind};
use handover_shared::archive::path::EntryPath;
use handover_shared::ids::{ContentHash, Millis, TransferId};

use super::checkpoint::Trust;
use super::disk::{self, Dir, Found, Inode, Naming};
use super::names::WORK_FOLDER;
use super::place::is_same;
use crate::error::Error;

const HELD: &[u8] = b"held";
const REPLACED: &[u8] = b"replaced";
const MADE: &[u8] = b"made";
const MADE_HASH_BYTES: usize = 16;
const READ_BYTES: usize = 256 * 1024;

/// The destination and the work folder in it, held open.
pub(super) struct Work {
    path: PathBuf,
    root: Dir,
    /// `.handover`.
    above: Dir,
    above_inode: Inode,
    staging: Dir,
    staging_name: String,
    creation_mask: u32,
    since: Millis,
    trust: Trust,
    held: OnceCell<Dir>,
    replaced: OnceCell<Dir>,
}

/// The folder that the buyer named, held open for a whole run: whatever gets its name meanwhile is not written to.
#[derive(Clone)]
pub(super) struct Destination {
    path: PathBuf,
    root: Arc<Dir>,
}

impl Destination {
    /// Opens it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let root = Dir::open(path).map_err(|source| Error::disk("opening the destination", path, source))?;
        Ok(Self { path: path.to_path_buf(), root: Arc::new(root) })
    }

    /// What the buyer called it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A handle of it.
    pub fn root(&self) -> Result<Dir, Error> {
        self.root.duplicate().map_err(|source| Error::disk("opening the destination", &self.path, source))
    }

    /// Whether nothing of the buyer's is in it, so that nothing can stand in the way.
    pub fn is_bare(&self) -> Result<bool, Error> {
        let names = self.root.names();
        let names = names.map_err(|source| Error::disk("looking at what is there", &self.path, source))?;
        Ok(names.iter().all(|name| name == WORK_FOLDER))
    }
}

impl Work {
    /// Makes the work folder in the destination. `since` is when the first run began.
    pub fn open(destination: &Destination, transfer: &TransferId, since: Millis, trust: Trust) -> Result<Self, Error> {
        let (path, root) = (destination.path(), destination.root()?);
        let staging_name = transfer.to_hex();
        let opening = || {
            let above = root.make_own(WORK_FOLDER)?;
            let staging = above.make_own(staging_name.as_bytes())?;
            let above_inode = above.inode()?;
            let creation_mask = disk::creation_mask(&staging)?;
            Ok((above, above_inode, staging, creation_mask))
        };
        let (above, above_inode, staging, creation_mask) =
            opening().map_err(|source| Error::disk("making the work folder", path, source))?;
        let (held, replaced) = (OnceCell::new(), OnceCell::new());
        let path = path.to_path_buf();
        Ok(Self { path, root, above, above_inode, staging, staging_name, creation_mask, since, trust, held, replaced })
    }

    /// The destination.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A handle of the destination.
    pub fn root(&self) -> Result<Dir, Error> {
        self.root.duplicate().map_err(|source| self.trouble("opening the destination", source))
    }

    /// The work folder.
    pub fn staging(&self) -> &Dir {
        &self.staging
    }

    /// Whether what earlier runs placed is to be believed.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Permission bits that survive the creation of a file.
    pub fn creation_mask(&self) -> u32 {
        self.creation_mask
    }

    /// A disk error; it names the destination alone.
    pub fn trouble(&self, doing: &'static str, source: io::Error) -> Error {
        Error::disk(doing, &self.path, source)
    }

    /// Whether a folder at the top of the destination is the one with our work folders, whatever it is called.
    pub fn is_own(&self, dir: &Dir) -> io::Result<bool> {
        Ok(dir.inode()? == self.above_inode)
    }

    /// Whether what has this name, and is the same as an entry, was made by an earlier run of this transfer that died
    /// before it could note it: it has the entry's mode and time, and came here after the transfer began.
    pub fn is_ours(&self, above: &Dir, name: &[u8], record: &Record) -> io::Result<bool> {
        let Some(meta) = above.times(name)? else { return Ok(false) };
        let has_mode = record.kind == RecordKind::Link || meta.mode == record.mode;
        Ok(has_mode && meta.mtime == record.mtime && meta.changed >= self.since)
    }

    /// The name of a file under way.
    pub fn part_name(ordinal: u64) -> Vec<u8> {
        format!("part-{ordinal}").into_bytes()
    }

    /// The name of a link under way.
    pub fn link_name(ordinal: u64) -> Vec<u8> {
        format!("link-{ordinal}").into_bytes()
    }

    /// Creates the file of an entry.
    pub fn create_part(&self, ordinal: u64, mode: u32) -> Result<File, Error> {
        let name = Self::part_name(ordinal);
        let created = match self.staging.create(&name, mode) {
            // Of an earlier run, after its last checkpoint.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.staging.remove(&name).and_then(|()| self.staging.create(&name, mode))
            }
            created => created,
        };
        created.map_err(|source| self.trouble("creating a file", source))
    }

    /// Opens the file of an entry and cuts it back to so many bytes; `None` if it is not there any more.
    pub fn reopen_part(&self, ordinal: u64, bytes: u64) -> Result<Option<File>, Error> {
        let reopening = || {
            let Some(mut file) = self.staging.reopen(&Self::part_name(ordinal))? else { return Ok(None) };
            if file.metadata()?.len() < bytes {
                return Ok(None);
            }
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
            Ok(Some(file))
        };
        reopening().map_err(|source| self.trouble("opening a file under way", source))
    }

    /// Removes the file of an entry.
    pub fn remove_part(&self, ordinal: u64) -> Result<(), Error> {
        let removed = self.staging.remove(&Self::part_name(ordinal));
        removed.map_err(|source| self.trouble("removing a file under way", source))
    }

    /// Removes what earlier runs had under way, but for the file of one entry.
    pub fn sweep(&self, keep: Option<u64>) -> Result<(), Error> {
        let keep = keep.map(Self::part_name);
        let sweeping = || {
            for name in self.staging.names()? {
                let is_stale = name.starts_with(b"part-") || name.starts_with(b"link-");
                if is_stale && Some(&name) != keep.as_ref() {
                    self.staging.remove(&name)?;
                }
            }
            Ok(())
        };
        sweeping().map_err(|source| self.trouble("removing files under way", source))
    }

    /// The log of folders made.
    pub fn made_log(&self) -> Result<MadeLog, Error> {
        MadeLog::open(&self.staging).map_err(|source| self.trouble("opening the log of folders", source))
    }

    fn held(&self) -> io::Result<&Dir> {
        once(&self.held, || self.staging.make_own(HELD))
    }

    fn replaced(&self) -> io::Result<&Dir> {
        once(&self.replaced, || self.staging.make_own(REPLACED))
    }

    /// Opens the folder that waits under this number.
    pub fn held_folder(&self, number: u64) -> io::Result<Dir> {
        self.held()?.enter(number.to_string().as_bytes())
    }

    /// Makes the folder that waits under this number, or opens it.
    pub fn make_held_folder(&self, number: u64) -> Result<Dir, Error> {
        let made = self.held().and_then(|held| held.make_own(number.to_string().as_bytes()));
        made.map_err(|source| self.trouble("holding a folder back", source))
    }

    /// Lets something verified wait under this number.
    pub fn hold(&self, staged: &[u8], number: u64) -> Result<(), Error> {
        let holding = || {
            let name = number.to_string().into_bytes();
            let held = self.held()?;
            // What an earlier run held here, after its last checkpoint, is the same.
            held.remove_all(&name)?;
            match self.staging.move_new(staged, held, &name)? {
                Naming::Done => Ok(()),
                _ => Err(io::ErrorKind::AlreadyExists.into()),
            }
        };
        holding().map_err(|source| self.trouble("holding a file back", source))
    }

    /// Whether this very file or link waits under this number.
    pub fn is_held(&self, number: u64, record: &Record) -> io::Result<bool> {
        is_same(self.held()?, number.to_string().as_bytes(), record)
    }

    /// Gives what waits under this number a name that must be free; nothing waits any more if that was done before.
    pub fn release(&self, number: u64, to: &Dir, name: &[u8]) -> io::Result<Naming> {
        let held = self.held()?;
        let number = number.to_string().into_bytes();
        match held.look(&number)? {
            Found::Nothing => Ok(Naming::Done),
            _ => held.move_new(&number, to, name),
        }
    }

    /// Whether something waits under this number.
    pub fn is_waiting(&self, number: u64) -> io::Result<bool> {
        Ok(self.held()?.look(number.to_string().as_bytes())? != Found::Nothing)
    }

    /// Sets aside what stands in the way of an entry; it is removed at the very end.
    pub fn set_aside(&self, above: &Dir, name: &[u8], ordinal: u64) -> Result<(), Error> {
        let setting = || {
            let replaced = self.replaced()?;
            for turn in 0..u32::MAX {
                let aside = if turn == 0 { ordinal.to_string() } else { format!("{ordinal}.{turn}") };
                match above.move_new(name, replaced, aside.as_bytes())? {
                    Naming::Done => return Ok(()),
                    Naming::Taken => {}
                    Naming::Impossible => return Err(io::ErrorKind::InvalidFilename.into()),
                }
            }
            Err(io::ErrorKind::AlreadyExists.into())
        };
        setting().map_err(|source| self.trouble("setting aside what was there", source))
    }

    /// Removes the work folder with everything in it, and `.handover` if nothing else is in there; they do not come back.
    pub fn discard(self) -> Result<(), Error> {
        let name = self.staging_name.as_bytes();
        let removing = || {
            self.above.remove_all(name)?;
            self.above.sync_names()?;
            self.root.remove_if_empty(WORK_FOLDER)?;
            self.root.sync_names()
        };
        removing().map_err(|source| self.trouble("removing the work folder", source))
    }
}

fn once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> io::Result<T>) -> io::Result<&T> {
    match cell.get() {
        Some(made) => Ok(made),
        None => {
            let made = make()?;
            Ok(cell.get_or_init(|| made))
        }
    }
}

/// Whether a regular file of this name has this size and hash.
pub(super) fn same_file(above: &Dir, name: &[u8], bytes: u64, hash: &ContentHash) -> io::Result<bool> {
    if above.look(name)? != Found::File(bytes) {
        return Ok(false);
    }
    let mut file = match above.read(name) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(false),
        // What cannot be read is not known to be the same.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BYTES.min(bytes as usize + 1)];
    let mut total = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        total += read as u64;
        if total > bytes {
            return Ok(false);
        }
        hasher.update(&buffer[..read]);
    }
    Ok(total == bytes && hasher.finalize() == blake3::Hash::from(hash.0))
}

/// Which folders were made by this transfer's runs, so that after a crash they are not taken for the buyer's own.
pub(super) struct MadeLog {
    file: File,
    known: HashSet<[u8; MADE_HASH_BYTES]>,
}

impl MadeLog {
    fn open(staging: &Dir) -> io::Result<Self> {
        let mut file = staging.append(MADE)?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        // A crash can cut the last one short.
        let whole = bytes.len() / MADE_HASH_BYTES * MADE_HASH_BYTES;
        file.set_len(whole as u64)?;
        let known = bytes.as_chunks::<MADE_HASH_BYTES>().0.iter().copied().collect();
        Ok(Self { file, known })
    }

    /// Notes a folder that is about to be made under this name.
    pub fn add(&mut self, path: &EntryPath, name: &[u8]) -> io::Result<()> {
        let hash = made_hash(path, name);
        if self.known.insert(hash) {
            self.file.write_all(&hash)?;
        }
        Ok(())
    }

    /// Whether a run has made this folder.
    pub fn has(&self, path: &EntryPath, name: &[u8]) -> bool {
        self.known.contains(&made_hash(path, name))
    }
}

fn made_hash(path: &EntryPath, name: &[u8]) -> [u8; MADE_HASH_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(path.as_bytes()).update(&[0]).update(name);
    let mut hash = [0; MADE_HASH_BYTES];
    hasher.finalize_xof().fill(&mut hash);
    hash
}
