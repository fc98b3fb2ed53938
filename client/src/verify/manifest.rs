//! What is kept of everything that came, so that it can be checked after `.handover` is gone: the records in the
//! archive's order, each with the name it has here.
//!
//! | file of the transfer | what | who |
//! |---|---|---|
//! | `manifest` | the records and what became of them | buyer |
//! | `manifest.key` | the key under which the root is computed, behind a check | both |
//!
//! The seller's records are those of its journal.
//!
//! # Shape
//! Lines of `u32 length ‖ 8 bytes of BLAKE3 ‖ CBOR`. The first line is the head, the last two are an empty page and the
//! foot; between them are pages of at most [`PAGE_BYTES`] and one entry. In a page a path is the number of bytes that it has
//! in common with the one before it, and the rest.
//!
//! # Source
//! SPEC [S18.1].

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use handover_shared::archive::item::{Mtime, Reason};
use handover_shared::archive::manifest::{Record, RecordKind};
use handover_shared::archive::path::{EntryPath, Target};
use handover_shared::codec;
use handover_shared::ids::ContentHash;
use handover_shared::keys::Secret;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::home::checked::{self, LineHead};
use crate::home::transfers::Folder;
use crate::home::{private_options, read_private, sync_folder, write_private};

const FILE: &str = "manifest";
const KEY_FILE: &str = "manifest.key";
const VERSION: u32 = 1;
/// A page is closed when it is at least this long.
const PAGE_BYTES: usize = 32 * 1024;
/// The longest page: full but for one byte, and then one more entry with path, target and name at their longest.
const PAGE_BYTES_MAX: usize = PAGE_BYTES + 16 * 1024;

/// What became of an entry when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Fate {
    /// It was made here.
    #[n(0)]
    Made,
    /// The same was there before.
    #[n(1)]
    Existing,
    /// It was left out, because the buyer keeps what is in its place.
    #[n(2)]
    LeftOut,
    /// The seller listed it and did not send it.
    #[n(3)]
    Listed,
}

/// Whether something of an entry could be kept here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Preserved {
    /// It is as it was with the seller.
    #[n(0)]
    Yes,
    /// This file system, or this user, could not.
    #[n(1)]
    No,
}

/// An entry and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The entry.
    pub record: Record,
    /// What became of it.
    pub fate: Fate,
    /// The last component it has here, if it is not its own.
    pub name: Option<Vec<u8>>,
    /// Its permission bits.
    pub mode: Preserved,
    /// Its time.
    pub time: Preserved,
}

impl Line {
    /// The last component it has here.
    pub fn actual_name(&self) -> &[u8] {
        self.name.as_deref().unwrap_or_else(|| self.record.path.name())
    }
}

/// What is said once of all. It is as long whatever it says, because it is written once more at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct Head {
    #[n(0)]
    version: u32,
    /// Whether folders got their permission bits.
    #[n(1)]
    folder_modes: Preserved,
}

/// How many entries there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct Foot {
    #[n(0)]
    lines: u64,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct LineWire {
    /// Bytes that the path has in common with the one before.
    #[n(0)]
    common: u32,
    #[n(1)]
    rest: ByteVec,
    #[n(2)]
    kind: u8,
    #[n(3)]
    mode: u32,
    #[n(4)]
    seconds: i64,
    #[n(5)]
    nanos: u32,
    #[n(6)]
    size: u64,
    #[n(7)]
    hash: Option<ContentHash>,
    #[n(8)]
    target: Option<ByteVec>,
    #[n(9)]
    reason: Option<u8>,
    #[n(10)]
    fate: Fate,
    #[n(11)]
    name: Option<ByteVec>,
    #[n(12)]
    mode_kept: Preserved,
    #[n(13)]
    time_kept: Preserved,
}

fn kind_number(kind: RecordKind) -> u8 {
    match kind {
        RecordKind::File => 0,
        RecordKind::Folder => 1,
        RecordKind::Link => 2,
        RecordKind::Exception => 3,
    }
}

fn to_wire(line: &Line, before: &[u8]) -> LineWire {
    let record = &line.record;
    let path = record.path.as_bytes();
    let common = path.iter().zip(before).take_while(|(one, other)| one == other).count();
    LineWire {
        common: common as u32,
        rest: path[common..].to_vec().into(),
        kind: kind_number(record.kind),
        mode: record.mode,
        seconds: record.mtime.seconds,
        nanos: record.mtime.nanos,
        size: record.size,
        hash: record.hash,
        target: record.target.as_ref().map(|target| target.as_bytes().to_vec().into()),
        reason: record.reason.map(Reason::number),
        fate: line.fate,
        name: line.name.clone().map(ByteVec::from),
        mode_kept: line.mode,
        time_kept: line.time,
    }
}

fn of_wire(wire: LineWire, before: &[u8]) -> Option<Line> {
    let mut path = before.get(..wire.common as usize)?.to_vec();
    path.extend_from_slice(&wire.rest);
    let kind = [RecordKind::File, RecordKind::Folder, RecordKind::Link, RecordKind::Exception]
        .into_iter()
        .find(|kind| kind_number(*kind) == wire.kind)?;
    let path = if kind == RecordKind::Exception { EntryPath::parse_listed(&path) } else { EntryPath::parse(&path) };
    let path = path.ok()?;
    let target = match wire.target {
        None => None,
        Some(target) => Some(Target::parse(&target, &path).ok()?),
    };
    let reason = match wire.reason {
        None => None,
        Some(number) => Some(Reason::of_number(number)?),
    };
    let record = Record {
        path,
        kind,
        mode: wire.mode,
        mtime: Mtime { seconds: wire.seconds, nanos: wire.nanos },
        size: wire.size,
        hash: wire.hash,
        target,
        reason,
    };
    Some(Line { record, fate: wire.fate, name: wire.name.map(Vec::from), mode: wire.mode_kept, time: wire.time_kept })
}

/// Writes what is kept. It has its name only when it is whole.
pub(crate) struct ManifestWriter {
    out: BufWriter<File>,
    path: PathBuf,
    beside: PathBuf,
    page: Vec<LineWire>,
    page_bytes: usize,
    before: Vec<u8>,
    lines: u64,
}

impl ManifestWriter {
    /// Begins.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn create(folder: &Folder) -> Result<Self, Error> {
        let (path, beside) = (file(folder), folder.file("manifest.new"));
        let opened = private_options().write(true).create(true).truncate(true).open(&beside);
        let out = BufWriter::with_capacity(256 * 1024, opened.map_err(|source| writing(&beside, source))?);
        let mut writer = Self { out, path, beside, page: Vec::new(), page_bytes: 0, before: Vec::new(), lines: 0 };
        writer.put(&head(Preserved::No))?;
        Ok(writer)
    }

    /// Adds the next entry.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn add(&mut self, line: &Line) -> Result<(), Error> {
        let wire = to_wire(line, &self.before);
        self.page_bytes += codec::encode(&wire).len();
        self.page.push(wire);
        self.before = line.record.path.as_bytes().to_vec();
        self.lines += 1;
        if self.page_bytes >= PAGE_BYTES { self.close_page() } else { Ok(()) }
    }

    /// Ends it and makes it durable.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn finish(mut self, folder_modes: Preserved) -> Result<(), Error> {
        if !self.page.is_empty() {
            self.close_page()?;
        }
        self.close_page()?;
        self.put(&codec::encode(&Foot { lines: self.lines }))?;
        let Self { out, path, beside, .. } = self;
        let written = out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|mut file| {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&checked::line(&head(folder_modes)))?;
            file.sync_all()
        });
        let named = written.and_then(|()| std::fs::rename(&beside, &path));
        let kept = named.and_then(|()| sync_folder(path.parent().unwrap_or(Path::new("."))));
        kept.map_err(|source| writing(&path, source))
    }

    fn close_page(&mut self) -> Result<(), Error> {
        let page = codec::encode(&std::mem::take(&mut self.page));
        self.page_bytes = 0;
        self.before.clear();
        self.put(&page)
    }

    fn put(&mut self, body: &[u8]) -> Result<(), Error> {
        self.out.write_all(&checked::line(body)).map_err(|source| writing(&self.path, source))
    }
}

fn head(folder_modes: Preserved) -> Vec<u8> {
    codec::encode(&Head { version: VERSION, folder_modes })
}

fn writing(path: &Path, source: io::Error) -> Error {
    Error::disk("writing the manifest", path, source)
}

/// Where it is.
pub(crate) fn file(folder: &Folder) -> PathBuf {
    folder.file(FILE)
}

/// Reads what is kept, in memory that does not grow with it.
pub(crate) struct ManifestReader {
    file: BufReader<File>,
    path: PathBuf,
    page: std::vec::IntoIter<LineWire>,
    before: Vec<u8>,
    lines: u64,
    folder_modes: Preserved,
    is_at_end: bool,
}

impl ManifestReader {
    /// Opens it; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`] if it is damaged.
    pub fn open(folder: &Folder) -> Result<Option<Self>, Error> {
        let path = file(folder);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|source| Error::disk("reading the manifest", &path, source))?,
        };
        let file = BufReader::with_capacity(256 * 1024, file);
        let (page, before) = (Vec::new().into_iter(), Vec::new());
        let folder_modes = Preserved::No;
        let mut reader = Self { file, path, page, before, lines: 0, folder_modes, is_at_end: false };
        let head: Head = reader.body()?;
        reader.folder_modes = head.folder_modes;
        if head.version == VERSION { Ok(Some(reader)) } else { Err(reader.damaged()) }
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// As [`ManifestReader::open`].
    pub fn read(&mut self) -> Result<Option<Line>, Error> {
        if self.is_at_end {
            return Ok(None);
        }
        let wire = match self.page.next() {
            Some(wire) => wire,
            None => {
                let page: Vec<LineWire> = self.body()?;
                self.before.clear();
                self.page = page.into_iter();
                match self.page.next() {
                    Some(wire) => wire,
                    None => return self.end(),
                }
            }
        };
        let line = of_wire(wire, &self.before).ok_or_else(|| self.damaged())?;
        self.before = line.record.path.as_bytes().to_vec();
        self.lines += 1;
        Ok(Some(line))
    }

    /// Whether folders got their permission bits.
    pub fn folder_modes(&self) -> Preserved {
        self.folder_modes
    }

    fn end(&mut self) -> Result<Option<Line>, Error> {
        let foot: Foot = self.body()?;
        let mut more = [0];
        let rest = self.file.read(&mut more).map_err(|source| self.trouble(source))?;
        if foot.lines != self.lines || rest != 0 {
            return Err(self.damaged());
        }
        self.is_at_end = true;
        Ok(None)
    }

    fn body<T: for<'b> Decode<'b, ()> + Encode<()>>(&mut self) -> Result<T, Error> {
        let head = LineHead::read(&mut self.file).map_err(|source| self.trouble(source))?;
        if head.length > PAGE_BYTES_MAX {
            return Err(self.damaged());
        }
        let mut body = vec![0; head.length];
        self.file.read_exact(&mut body).map_err(|source| self.trouble(source))?;
        if !head.fits(&body) {
            return Err(self.damaged());
        }
        codec::decode(&body).map_err(|_fault| self.damaged())
    }

    fn trouble(&self, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(),
            _ => Error::disk("reading the manifest", &self.path, source),
        }
    }

    fn damaged(&self) -> Error {
        Error::State { what: "the kept manifest is damaged", path: self.path.clone(), source: None }
    }
}

/// Keeps the key under which the root is computed.
///
/// # Errors
/// [`Error::Disk`].
pub(crate) fn keep_key(folder: &Folder, key: &Secret<32>) -> Result<(), Error> {
    write_private(&folder.file(KEY_FILE), &Zeroizing::new(checked::file(key.expose())))
}

/// The kept key; `None` if there is none.
///
/// # Errors
/// [`Error::Disk`], [`Error::State`] if it is damaged.
pub(crate) fn read_key(folder: &Folder) -> Result<Option<Zeroizing<[u8; 32]>>, Error> {
    let path = folder.file(KEY_FILE);
    let Some(bytes) = read_private(&path, 64)?.map(Zeroizing::new) else { return Ok(None) };
    match checked::body(&bytes).map(<[u8; 32]>::try_from) {
        Some(Ok(key)) => Ok(Some(Zeroizing::new(key))),
        _ => Err(Error::State { what: "the kept manifest is damaged", path, source: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::Home;

    fn line(path: &str) -> Line {
        let record = Record {
            path: EntryPath::parse(path.as_bytes()).unwrap(),
            kind: RecordKind::File,
            mode: 0o640,
            mtime: Mtime { seconds: -3, nanos: 9 },
            size: 7,
            hash: Some(ContentHash([4; 32])),
            target: None,
            reason: None,
        };
        Line { record, fate: Fate::Made, name: None, mode: Preserved::Yes, time: Preserved::Yes }
    }

    fn kept(lines: &[Line]) -> (tempfile::TempDir, Folder) {
        let scratch = tempfile::tempdir().unwrap();
        let held = Home::open(Some(scratch.path())).unwrap().new_transfer().unwrap();
        let mut writer = ManifestWriter::create(&held).unwrap();
        lines.iter().for_each(|line| writer.add(line).unwrap());
        writer.finish(Preserved::Yes).unwrap();
        let folder = (*held).clone();
        (scratch, folder)
    }

    fn read(folder: &Folder) -> Result<(Vec<Line>, Preserved), Error> {
        let mut reader = ManifestReader::open(folder)?.unwrap();
        let mut lines = Vec::new();
        while let Some(line) = reader.read()? {
            lines.push(line);
        }
        Ok((lines, reader.folder_modes()))
    }

    #[test] // [S18.1]
    fn what_is_written_is_read_over_many_pages() {
        let target = |path: &EntryPath| Some(Target::parse(b"x", path).unwrap());
        let mut lines: Vec<Line> = (0..3000).map(|number| line(&format!("shop/orders/{number:05}"))).collect();
        let plain = line("shop/z-link");
        let record = Record {
            kind: RecordKind::Link,
            target: target(&plain.record.path),
            hash: None,
            size: 0,
            ..plain.record.clone()
        };
        lines.push(Line { record, name: Some(b"z (1)".to_vec()), fate: Fate::Existing, ..plain });
        let (_scratch, folder) = kept(&lines);
        assert_eq!(read(&folder).unwrap(), (lines, Preserved::Yes));
        let bytes = std::fs::metadata(file(&folder)).unwrap().len();
        assert!(bytes < 3001 * 70, "{bytes} bytes are not compact");
        let (_scratch, folder) = kept(&[]);
        assert_eq!(read(&folder).unwrap().0, []);
    }

    #[test] // [S18.1]
    fn damage_is_an_error_wherever_it_is() {
        let (_scratch, folder) = kept(&[line("a"), line("ab")]);
        let whole = std::fs::read(file(&folder)).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut altered = whole.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(file(&folder), &altered).unwrap();
            assert!(matches!(read(&folder), Err(Error::State { .. })), "bit {bit}");
        }
        for length in 0..whole.len() {
            std::fs::write(file(&folder), &whole[..length]).unwrap();
            assert!(matches!(read(&folder), Err(Error::State { .. })), "{length} bytes");
        }
        std::fs::write(file(&folder), [&whole[..], &[0]].concat()).unwrap();
        assert!(matches!(read(&folder), Err(Error::State { .. })));
    }

    #[test] // [S18.1]
    fn the_key_is_kept_behind_a_check() {
        let (_scratch, folder) = kept(&[]);
        assert!(read_key(&folder).unwrap().is_none());
        keep_key(&folder, &Secret::new(Zeroizing::new([7; 32]))).unwrap();
        assert_eq!(*read_key(&folder).unwrap().unwrap(), [7; 32]);
        std::fs::write(folder.file(KEY_FILE), [0; 40]).unwrap();
        assert!(read_key(&folder).is_err());
    }
}
