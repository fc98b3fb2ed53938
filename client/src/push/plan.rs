//! The plan: what is pushed, under which names, from where; on disk before the relay hears of the transfer.
//!
//! # Shape
//! A head and then one record for every entry, in the archive's order, each `u32 length ‖ 8 bytes of BLAKE3 ‖ CBOR`; a
//! length of zero ends it. A plan of a hundred thousand entries is read and written in constant memory.
//!
//! # Source
//! SPEC [S14.1].

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use handover_shared::archive::item::{Entry, Exception, Reason};
use handover_shared::archive::path::EntryPath;
use handover_shared::codec;
use minicbor::bytes::ByteVec;

use crate::error::Error;
use crate::home::checked::{self, LineHead};
use crate::home::private_options;

/// A record: a path, a link's target and where it comes from, with room to spare.
const RECORD_BYTES_MAX: usize = 64 * 1024;
/// The head names every path that was asked for.
const HEAD_BYTES_MAX: usize = 16 * 1024 * 1024;
const VERSION: u32 = 2;

/// Where the bytes of an entry come from.
#[derive(Clone, PartialEq, Eq)]
pub enum Origin {
    /// Below the path that was asked for, under the entry's own name.
    InTree,
    /// Somewhere else, because a link was followed.
    At(PathBuf),
    /// Standard input.
    Stdin,
}

/// One thing that is planned.
#[derive(Clone, PartialEq, Eq)]
pub enum Planned {
    /// To be sent; a file's size, mode and time are those of the scan.
    Entry(Entry, Origin),
    /// To be listed only.
    Exception(Exception),
}

impl Planned {
    /// Its path in the transfer.
    pub fn path(&self) -> &EntryPath {
        match self {
            Self::Entry(entry, _) => &entry.path,
            Self::Exception(exception) => &exception.path,
        }
    }
}

/// One path that was asked for: its name in the transfer, and where it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Top {
    /// The first component of its entries' paths.
    pub name: Vec<u8>,
    /// Where it is; `None` for standard input.
    pub source: Option<PathBuf>,
}

/// What the plan says once for all entries.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct PlanHead {
    #[n(0)]
    version: u32,
    /// The level of compression asked for; `None` for automatic.
    #[n(1)]
    pub level: Option<i32>,
    #[n(2)]
    tops: Vec<TopWire>,
}

#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
struct TopWire {
    #[n(0)]
    name: ByteVec,
    #[n(1)]
    source: Option<ByteVec>,
}

#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
struct RecordWire {
    #[n(0)]
    entry: Option<Entry>,
    /// Empty for standard input.
    #[n(1)]
    from: Option<ByteVec>,
    #[n(2)]
    listed: Option<EntryPath>,
    #[n(3)]
    reason: Option<u8>,
}

impl PlanHead {
    /// The head of a plan for these paths, in the order of their names.
    pub fn new(level: Option<i32>, tops: &[Top]) -> Self {
        let wire = |top: &Top| TopWire {
            name: top.name.clone().into(),
            source: top.source.as_ref().map(|path| path.as_os_str().as_bytes().to_vec().into()),
        };
        Self { version: VERSION, level, tops: tops.iter().map(wire).collect() }
    }

    /// Where an entry's bytes are; `None` for standard input.
    pub fn source(&self, path: &EntryPath, origin: &Origin) -> Option<PathBuf> {
        match origin {
            Origin::Stdin => None,
            Origin::At(path) => Some(path.clone()),
            Origin::InTree => {
                let bytes = path.as_bytes();
                let at = bytes.iter().position(|&byte| byte == b'/');
                let (name, below) = at.map_or((bytes, None), |at| (&bytes[..at], Some(&bytes[at + 1..])));
                let top = self.tops.iter().find(|top| top.name.as_slice() == name)?;
                let source = PathBuf::from(OsString::from_vec(top.source.as_ref()?.to_vec()));
                Some(below.map_or(source.clone(), |below| source.join(OsStr::from_bytes(below))))
            }
        }
    }

    /// Whether any of it comes from standard input.
    pub fn has_stdin(&self) -> bool {
        self.tops.iter().any(|top| top.source.is_none())
    }
}

fn to_wire(planned: &Planned) -> RecordWire {
    match planned {
        Planned::Entry(entry, origin) => RecordWire {
            entry: Some(entry.clone()),
            from: match origin {
                Origin::InTree => None,
                Origin::At(path) => Some(path.as_os_str().as_bytes().to_vec().into()),
                Origin::Stdin => Some(Vec::new().into()),
            },
            listed: None,
            reason: None,
        },
        Planned::Exception(exception) => RecordWire {
            entry: None,
            from: None,
            listed: Some(exception.path.clone()),
            reason: Some(exception.reason.number()),
        },
    }
}

fn of_wire(wire: RecordWire) -> Option<Planned> {
    match (wire.entry, wire.from.map(Vec::from), wire.listed, wire.reason) {
        (Some(entry), None, None, None) => Some(Planned::Entry(entry, Origin::InTree)),
        (Some(entry), Some(from), None, None) if from.is_empty() => Some(Planned::Entry(entry, Origin::Stdin)),
        (Some(entry), Some(from), None, None) => {
            Some(Planned::Entry(entry, Origin::At(PathBuf::from(OsString::from_vec(from)))))
        }
        (None, None, Some(path), Some(reason)) => {
            Some(Planned::Exception(Exception { path, reason: Reason::of_number(reason)? }))
        }
        _ => None,
    }
}

/// Writes a plan.
pub struct PlanWriter {
    out: BufWriter<File>,
    path: PathBuf,
}

impl PlanWriter {
    /// Begins a plan; what is there is replaced.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn create(path: &Path, head: &PlanHead) -> Result<Self, Error> {
        let file = private_options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .map_err(|source| Error::disk("writing the plan", path, source))?;
        let mut writer = Self { out: BufWriter::with_capacity(256 * 1024, file), path: path.into() };
        writer.put(&codec::encode(head))?;
        Ok(writer)
    }

    /// Adds the next entry.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn add(&mut self, planned: &Planned) -> Result<(), Error> {
        self.put(&codec::encode(&to_wire(planned)))
    }

    /// Ends the plan and makes it durable.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn finish(mut self) -> Result<(), Error> {
        self.put(&[])?;
        let synced = self.out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
        synced.map_err(|source| Error::disk("writing the plan", &self.path, source))
    }

    fn put(&mut self, record: &[u8]) -> Result<(), Error> {
        let written = self.out.write_all(&checked::line(record));
        written.map_err(|source| Error::disk("writing the plan", &self.path, source))
    }
}

/// Reads a plan.
pub struct PlanReader {
    file: BufReader<File>,
    path: PathBuf,
    head: PlanHead,
}

impl PlanReader {
    /// Opens a plan.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`] if it is damaged.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::disk("reading the plan", path, source))?;
        let mut file = BufReader::with_capacity(256 * 1024, file);
        let bytes = read_record(&mut file, path, HEAD_BYTES_MAX)?.ok_or_else(|| damaged(path))?;
        let head: PlanHead = codec::decode(&bytes).map_err(|_fault| damaged(path))?;
        if head.version != VERSION {
            return Err(damaged(path));
        }
        Ok(Self { file, path: path.into(), head })
    }

    /// What it says of all entries.
    pub fn head(&self) -> &PlanHead {
        &self.head
    }

    /// Leaves out so many entries.
    ///
    /// # Errors
    /// As [`PlanReader::read`]; [`Error::State`] if there are fewer.
    pub fn skip(&mut self, entries: u64) -> Result<(), Error> {
        for _ in 0..entries {
            let head = read_head(&mut self.file, &self.path, RECORD_BYTES_MAX)?;
            let head = head.ok_or_else(|| damaged(&self.path))?;
            let skipped = self.file.seek_relative(head.length as i64);
            skipped.map_err(|source| Error::disk("reading the plan", &self.path, source))?;
        }
        Ok(())
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`] if it is damaged.
    pub fn read(&mut self) -> Result<Option<Planned>, Error> {
        let Some(bytes) = read_record(&mut self.file, &self.path, RECORD_BYTES_MAX)? else { return Ok(None) };
        let wire: RecordWire = codec::decode(&bytes).map_err(|_fault| damaged(&self.path))?;
        of_wire(wire).map(Some).ok_or_else(|| damaged(&self.path))
    }
}

fn read_head(file: &mut impl Read, path: &Path, bytes_max: usize) -> Result<Option<LineHead>, Error> {
    let head = LineHead::read(file).map_err(|source| Error::disk("reading the plan", path, source))?;
    match head.length {
        0 if head.fits(&[]) => Ok(None),
        1.. if head.length <= bytes_max => Ok(Some(head)),
        _ => Err(damaged(path)),
    }
}

fn read_record(file: &mut impl Read, path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, Error> {
    let Some(head) = read_head(file, path, bytes_max)? else { return Ok(None) };
    let mut record = vec![0u8; head.length];
    file.read_exact(&mut record).map_err(|source| Error::disk("reading the plan", path, source))?;
    if head.fits(&record) { Ok(Some(record)) } else { Err(damaged(path)) }
}

fn damaged(path: &Path) -> Error {
    Error::State { what: "the plan of a transfer is damaged", path: path.into(), source: None }
}

#[cfg(test)]
mod tests {
    use handover_shared::archive::item::{EntryKind, Mtime};

    use super::*;

    fn file(path: &[u8], origin: Origin) -> Planned {
        let entry = Entry {
            path: EntryPath::parse(path).unwrap(),
            kind: EntryKind::File,
            mode: 0o640,
            mtime: Mtime { seconds: -5, nanos: 7 },
            size: Some(9),
            target: None,
        };
        Planned::Entry(entry, origin)
    }

    #[test] // [S14.1]
    fn a_plan_is_read_as_it_was_written() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("plan");
        let tops = [
            Top { name: b"-".to_vec(), source: None },
            Top { name: b"shop".to_vec(), source: Some("/srv/shop".into()) },
        ];
        let entries = [
            file(b"-", Origin::Stdin),
            file("shop/客户.csv".as_bytes(), Origin::InTree),
            file(b"shop/linked", Origin::At("/elsewhere/caf\u{e9}".into())),
            Planned::Exception(Exception { path: EntryPath::parse(b"shop/pipe").unwrap(), reason: Reason::NotAFile }),
        ];
        let mut writer = PlanWriter::create(&path, &PlanHead::new(Some(3), &tops)).unwrap();
        for planned in &entries {
            writer.add(planned).unwrap();
        }
        writer.finish().unwrap();

        let mut reader = PlanReader::open(&path).unwrap();
        assert_eq!(reader.head().level, Some(3));
        assert!(reader.head().has_stdin());
        let mut sources = Vec::new();
        for planned in &entries {
            let read = reader.read().unwrap().unwrap();
            assert!(read == *planned);
            if let Planned::Entry(entry, origin) = &read {
                sources.push(reader.head().source(&entry.path, origin));
            }
        }
        assert!(reader.read().unwrap().is_none());
        let expected: [Option<PathBuf>; 3] =
            [None, Some("/srv/shop/客户.csv".into()), Some("/elsewhere/caf\u{e9}".into())];
        assert_eq!(sources, expected);

        let mut reader = PlanReader::open(&path).unwrap();
        reader.skip(3).unwrap();
        assert!(reader.read().unwrap().unwrap() == entries[3]);
        assert!(PlanReader::open(&path).unwrap().skip(5).is_err());
    }

    #[test]
    fn a_plan_cut_short_is_an_error_and_not_an_end() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("plan");
        let mut writer = PlanWriter::create(&path, &PlanHead::new(None, &[])).unwrap();
        writer.add(&file(b"a", Origin::InTree)).unwrap();
        writer.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let read = PlanReader::open(&path).and_then(|mut reader| {
                reader.read()?;
                reader.read()
            });
            assert!(read.is_err(), "{length} bytes");
        }
    }
}
