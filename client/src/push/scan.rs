//! The scan: walks what was asked for, in the archive's order, and says of each entry what will become of it.
//!
//! # Shape
//! Folder by folder, names sorted as bytes; of the whole tree only the names of the folders above are in memory.
//!
//! # Source
//! SPEC [S6.5] [S6.7] [S6.8] [S14.1]; PRODUCT section 3, rule 9.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use handover_shared::archive::ArchiveFault;
use handover_shared::archive::item::{Entry, EntryKind, Exception, Mtime, Reason};
use handover_shared::archive::path::{EntryPath, Target};

use super::biggest::Tally;
use super::filter::{Filter, Verdict};
use super::plan::{Origin, Planned, Top};
use super::{Filters, Links, Source};
use crate::error::Error;
use crate::event::{Event, Observer, Scanned};
use crate::private::Private;
use crate::stop::Stop;

const TELL_EVERY: Duration = Duration::from_millis(100);
const MODE_MASK: u32 = 0o777;

/// Finds out where the paths are that were asked for, and what their entries will be called.
///
/// # Errors
/// [`Error::SourceMissing`], [`Error::SourceUnreadable`], [`Error::SameName`], [`Error::NothingToSend`].
pub fn tops(sources: &[Source]) -> Result<Vec<Top>, Error> {
    let mut tops: Vec<(Top, PathBuf)> = sources
        .iter()
        .map(|source| match source {
            Source::Stdin { name } => Ok((Top { name: name.clone().into_bytes(), source: None }, PathBuf::from("-"))),
            Source::Path(path) => top(path).map(|top| (top, path.clone())),
        })
        .collect::<Result<_, Error>>()?;
    tops.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    if let Some(pair) = tops.windows(2).find(|pair| pair[0].0.name == pair[1].0.name) {
        return Err(Error::SameName {
            first: Private::new(pair[0].1.clone()),
            second: Private::new(pair[1].1.clone()),
        });
    }
    match tops.is_empty() {
        true => Err(Error::NothingToSend),
        false => Ok(tops.into_iter().map(|(top, _)| top).collect()),
    }
}

/// A path that is named is followed if it is a link, but keeps the name it was given.
fn top(path: &Path) -> Result<Top, Error> {
    let real = fs::canonicalize(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::SourceMissing { path: Private::new(path.into()) },
        _ => Error::SourceUnreadable { path: Private::new(path.into()), source },
    })?;
    // `.`, `..` and `/` have no name of their own.
    let given = match path.components().next_back() {
        Some(std::path::Component::Normal(name)) => Some(name.to_owned()),
        _ => real.file_name().map(OsStr::to_owned),
    };
    let name = given.ok_or_else(|| Error::SourceUnreadable {
        path: Private::new(path.into()),
        source: io::Error::new(io::ErrorKind::InvalidInput, "it has no name"),
    })?;
    Ok(Top { name: name.as_bytes().to_vec(), source: Some(real) })
}

/// Walks everything and hands over each planned entry, in the archive's order.
///
/// # Errors
/// What `each` fails with; [`Error::Interrupted`]; [`Error::NothingToSend`]; a path that was named and is no file or
/// folder is [`Error::SourceUnreadable`].
pub fn walk(
    tops: &[Top],
    filters: &Filters,
    links: Links,
    observer: &dyn Observer,
    stop: &Stop,
    each: &mut dyn FnMut(&Planned) -> Result<(), Error>,
) -> Result<Scanned, Error> {
    let mut walker = Walker {
        each,
        observer,
        stop,
        filter: Filter::new(filters)?,
        links,
        scanned: Scanned { bytes: Some(0), ..Scanned::default() },
        tally: Tally::new(tops.len()),
        above: Vec::new(),
        unfilled: Vec::new(),
        told: Instant::now(),
    };
    for top in tops {
        walker.top(top)?;
    }
    let Walker { mut scanned, tally, .. } = walker;
    scanned.biggest = tally.finish();
    let found = scanned.files + scanned.folders + scanned.links + scanned.exceptions;
    if found == 0 || (scanned.excluded > 0 && scanned.files + scanned.links + scanned.exceptions == 0) {
        return Err(Error::NothingToSend);
    }
    Ok(scanned)
}

struct Walker<'a> {
    each: &'a mut dyn FnMut(&Planned) -> Result<(), Error>,
    observer: &'a dyn Observer,
    stop: &'a Stop,
    filter: Filter,
    links: Links,
    scanned: Scanned,
    tally: Tally,
    /// Device and inode of the folders above, to notice a followed link that leads back to one.
    above: Vec<(u64, u64)>,
    /// Folders that are sent once there is something in them.
    unfilled: Vec<Planned>,
    told: Instant,
}

/// Something that was found.
struct Found {
    path: EntryPath,
    /// Where it is.
    at: PathBuf,
    /// Relative to what was asked for; patterns are about this.
    inside: PathBuf,
    origin: Origin,
}

/// Whether the patterns are asked about what is in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    Patterns,
    Nobody,
}

impl Walker<'_> {
    fn top(&mut self, top: &Top) -> Result<(), Error> {
        let name = Private::new(PathBuf::from(OsStr::from_bytes(&top.name)));
        let unreadable = |source| Error::SourceUnreadable { path: name.clone(), source };
        let path = EntryPath::parse(&top.name)
            .map_err(|fault| unreadable(io::Error::new(io::ErrorKind::InvalidInput, fault)))?;
        let Some(source) = &top.source else { return self.stdin(path) };
        let meta = fs::symlink_metadata(source).map_err(unreadable)?;
        let found = Found { path, at: source.clone(), inside: PathBuf::new(), origin: Origin::InTree };
        if meta.is_dir() {
            return self.folder(found, &meta, self.filter.top_folder());
        }
        if !meta.is_file() {
            return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is no file and no folder")));
        }
        let inside = Path::new(OsStr::from_bytes(&top.name));
        match self.filter.leaf(inside) {
            Verdict::LeftOut => self.left_out(),
            _ => self.file(found, &meta),
        }
    }

    fn stdin(&mut self, path: EntryPath) -> Result<(), Error> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let entry = Entry {
            path,
            kind: EntryKind::File,
            mode: 0o644,
            mtime: Mtime { seconds: now.as_secs() as i64, nanos: now.subsec_nanos() },
            size: None,
            target: None,
        };
        self.scanned.files += 1;
        self.scanned.bytes = None;
        self.put(Planned::Entry(entry, Origin::Stdin))
    }

    fn folder(&mut self, found: Found, meta: &Metadata, verdict: Verdict) -> Result<(), Error> {
        let identity = (meta.dev(), meta.ino());
        let names = match sorted_names(&found.at) {
            Ok(names) => names,
            Err(error) => return self.exception(found.path, reason_of(&error)),
        };
        let planned = Planned::Entry(plain_entry(&found.path, EntryKind::Folder, meta), found.origin);
        let depth = self.unfilled.len();
        match verdict {
            Verdict::SentIfFilled => self.unfilled.push(planned),
            _ => self.put(planned)?,
        }
        let asking = if verdict == Verdict::SentWhole { Asking::Nobody } else { Asking::Patterns };
        self.above.push(identity);
        for name in names {
            self.child(&found.path, &found.at, &found.inside, &name, asking)?;
        }
        self.above.pop();
        if self.unfilled.len() > depth {
            self.unfilled.truncate(depth);
            self.scanned.excluded += 1;
        }
        Ok(())
    }

    fn child(
        &mut self,
        parent: &EntryPath,
        folder: &Path,
        folder_inside: &Path,
        name: &OsStr,
        asking: Asking,
    ) -> Result<(), Error> {
        self.tell()?;
        let at = folder.join(name);
        let inside = folder_inside.join(name);
        let meta = fs::symlink_metadata(&at);
        let is_folder = meta.as_ref().is_ok_and(Metadata::is_dir);
        let verdict = match (asking, is_folder) {
            (Asking::Nobody, _) => Verdict::SentWhole,
            (Asking::Patterns, true) => self.filter.folder(&inside),
            (Asking::Patterns, false) => self.filter.leaf(&inside),
        };
        if verdict == Verdict::LeftOut {
            return self.left_out();
        }
        let path = match parent.child(name.as_bytes()) {
            Ok(path) => path,
            Err(ArchiveFault::PathLimit) => {
                let listed = parent.listed_child(name.as_bytes());
                let listed = listed.map_err(|fault| Error::Internal(fault.to_string()))?;
                return self.exception(listed, Reason::NameLimit);
            }
            Err(fault) => return Err(Error::Internal(fault.to_string())),
        };
        let meta = match meta {
            Ok(meta) => meta,
            Err(error) => return self.exception(path, reason_of(&error)),
        };
        let found = Found { path, at, inside, origin: Origin::InTree };
        match meta.file_type() {
            kind if kind.is_dir() => self.folder(found, &meta, verdict),
            kind if kind.is_file() => self.file(found, &meta),
            kind if kind.is_symlink() => self.link(found, &meta, verdict),
            kind => {
                debug_assert!(kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device());
                self.exception(found.path, Reason::NotAFile)
            }
        }
    }

    fn file(&mut self, found: Found, meta: &Metadata) -> Result<(), Error> {
        let size = meta.len();
        self.scanned.files += 1;
        self.scanned.bytes = self.scanned.bytes.map(|bytes| bytes.saturating_add(size));
        self.scanned.hidden += u64::from(found.path.components().any(|name| name.starts_with(b".")));
        self.scanned.executable += u64::from(meta.mode() & 0o111 != 0);
        self.tally.file(&found.path, size);
        let entry = Entry { size: Some(size), ..plain_entry(&found.path, EntryKind::File, meta) };
        self.put(Planned::Entry(entry, found.origin))
    }

    fn link(&mut self, found: Found, meta: &Metadata, verdict: Verdict) -> Result<(), Error> {
        if self.links == Links::Followed
            && let Ok(real) = fs::canonicalize(&found.at)
            && let Ok(meta) = fs::metadata(&real)
        {
            // A link back to a folder above has no end; it is kept as a link.
            if meta.is_dir() && !self.above.contains(&(meta.dev(), meta.ino())) {
                return self.folder(found, &meta, verdict);
            }
            if meta.is_file() {
                return self.file(Found { origin: Origin::At(real), ..found }, &meta);
            }
            if !meta.is_dir() {
                return self.exception(found.path, Reason::NotAFile);
            }
        }
        let target = match fs::read_link(&found.at) {
            Ok(target) => target,
            Err(error) => return self.exception(found.path, reason_of(&error)),
        };
        // [S6.8]
        match Target::parse(target.as_os_str().as_bytes(), &found.path) {
            Ok(target) => {
                self.scanned.links += 1;
                let entry = Entry { target: Some(target), ..plain_entry(&found.path, EntryKind::Link, meta) };
                self.put(Planned::Entry(entry, Origin::InTree))
            }
            Err(_leaves) => self.exception(found.path, Reason::LinkLeaves),
        }
    }

    fn exception(&mut self, path: EntryPath, reason: Reason) -> Result<(), Error> {
        // [S6.5]
        self.scanned.exceptions += 1;
        self.put(Planned::Exception(Exception { path, reason }))
    }

    fn left_out(&mut self) -> Result<(), Error> {
        self.scanned.excluded += 1;
        Ok(())
    }

    fn put(&mut self, planned: Planned) -> Result<(), Error> {
        let is_folder = |it: &Planned| matches!(it, Planned::Entry(entry, _) if entry.kind == EntryKind::Folder);
        for folder in std::mem::take(&mut self.unfilled) {
            self.scanned.folders += 1;
            (self.each)(&folder)?;
        }
        self.scanned.folders += u64::from(is_folder(&planned));
        (self.each)(&planned)
    }

    fn tell(&mut self) -> Result<(), Error> {
        if self.stop.is_asked() {
            return Err(Error::Interrupted);
        }
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            let (files, bytes) = (self.scanned.files, self.scanned.bytes.unwrap_or(0));
            self.observer.event(Event::Scanning { files, bytes });
        }
        Ok(())
    }
}

/// All names in a folder, sorted as bytes, which is the archive's order. [S6.7]
fn sorted_names(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    Ok(names)
}

fn plain_entry(path: &EntryPath, kind: EntryKind, meta: &Metadata) -> Entry {
    Entry {
        path: path.clone(),
        kind,
        mode: meta.mode() & MODE_MASK,
        mtime: mtime_of(meta),
        size: Some(0),
        target: None,
    }
}

/// When something was last changed.
pub fn mtime_of(meta: &Metadata) -> Mtime {
    Mtime { seconds: meta.mtime(), nanos: u32::try_from(meta.mtime_nsec()).unwrap_or(0) }
}

/// Why something cannot be read, as an exception says it.
pub fn reason_of(error: &io::Error) -> Reason {
    match (error.kind(), error.raw_os_error().map(rustix::io::Errno::from_raw_os_error)) {
        (_, Some(rustix::io::Errno::NAMETOOLONG)) => Reason::NameLimit,
        (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, _) => Reason::Vanished,
        (io::ErrorKind::PermissionDenied, _) => Reason::NotReadable,
        _ => Reason::ReadError,
    }
}
