//! The list of everything that came, in order, with what became of it. It is appended to while placing and read again
//! at the end; a run that continues cuts it back to its checkpoint.
//!
//! # Shape
//! Lines of `u32 length ‖ 8 bytes of BLAKE3 ‖ CBOR [record, fate, name or null, marks]`.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use handover_shared::archive::manifest::Record;
use handover_shared::codec;
use handover_shared::limits::PATH_BYTES_MAX;
use minicbor::{Decode, Encode};

use crate::error::Error;
use crate::home::checked::{self, LineHead};
use crate::home::private_options;
use crate::verify::manifest::{self, Preserved};

/// A path and a target at their longest, and everything else.
const LINE_BYTES_MAX: usize = 4 * PATH_BYTES_MAX;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(super) enum Fate {
    /// It was made.
    #[n(0)]
    Made,
    /// The same was there already; for a folder, a folder.
    #[n(1)]
    Existing,
    /// Something else is in its place: it waits in `held/`.
    #[n(2)]
    Held,
    /// It was left out because the buyer keeps what is in its place, or in the place of a folder above it.
    #[n(3)]
    Kept,
    /// An exception of the seller: there is nothing to place.
    #[n(4)]
    Listed,
}

/// What could not be kept of an entry, and whether its name changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) struct Marks {
    /// The name cannot be here.
    #[n(0)]
    pub mapped: bool,
    /// The name was taken and the buyer chose to have both.
    #[n(1)]
    pub renamed: bool,
    /// The permission bits could not be set.
    #[n(2)]
    pub no_mode: bool,
    /// The time could not be set.
    #[n(3)]
    pub no_time: bool,
}

impl Marks {
    /// Whether it is an exception that is listed.
    pub fn is_exception(self) -> bool {
        self.mapped || self.no_mode || self.no_time
    }
}

/// One entry and what became of it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
pub(super) struct Line {
    /// The entry.
    #[n(0)]
    pub record: Record,
    /// What became of it.
    #[n(1)]
    pub fate: Fate,
    /// The name it has instead of its own.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub name: Option<Vec<u8>>,
    /// What is special.
    #[n(3)]
    pub marks: Marks,
}

impl Line {
    /// The last component it really has.
    pub fn actual_name(&self) -> &[u8] {
        self.name.as_deref().unwrap_or_else(|| self.record.path.name())
    }

    /// What is kept of it, once its fate is settled.
    pub fn kept(&self) -> manifest::Line {
        let preserved = |is_lost: bool| if is_lost { Preserved::No } else { Preserved::Yes };
        manifest::Line {
            record: self.record.clone(),
            fate: match self.fate {
                Fate::Made => manifest::Fate::Made,
                Fate::Existing => manifest::Fate::Existing,
                Fate::Held | Fate::Kept => manifest::Fate::LeftOut,
                Fate::Listed => manifest::Fate::Listed,
            },
            name: self.name.clone(),
            mode: preserved(self.marks.no_mode),
            time: preserved(self.marks.no_time),
        }
    }
}

/// Appends lines.
pub(super) struct ListWriter {
    file: BufWriter<File>,
    path: PathBuf,
    bytes: u64,
}

impl ListWriter {
    /// Opens the list and cuts it back to so many bytes.
    pub fn open(path: &Path, bytes: u64) -> Result<Self, Error> {
        let opening = || -> io::Result<File> {
            let mut file = private_options().read(true).write(true).create(true).truncate(false).open(path)?;
            if file.metadata()?.len() < bytes {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the list is shorter than its checkpoint"));
            }
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
            Ok(file)
        };
        let file = opening().map_err(|source| Error::disk("opening the list", path, source))?;
        Ok(Self { file: BufWriter::with_capacity(64 * 1024, file), path: path.into(), bytes })
    }

    /// Appends a line.
    pub fn push(&mut self, line: &Line) -> Result<(), Error> {
        let line = checked::line(&codec::encode(line));
        self.bytes += line.len() as u64;
        self.file.write_all(&line).map_err(|source| Error::disk("writing the list", &self.path, source))
    }

    /// Hands everything to the system, and says how long the list is.
    pub fn flush(&mut self) -> Result<u64, Error> {
        self.file.flush().map_err(|source| Error::disk("writing the list", &self.path, source))?;
        Ok(self.bytes)
    }

    /// A second handle of the file, to sync it elsewhere.
    pub fn duplicate(&self) -> Result<File, Error> {
        self.file.get_ref().try_clone().map_err(|source| Error::disk("opening the list", &self.path, source))
    }
}

/// Reads lines.
pub(super) struct ListReader {
    file: io::Take<BufReader<File>>,
    path: PathBuf,
    line: Vec<u8>,
}

impl ListReader {
    /// Opens the first so many bytes of a list.
    pub fn open(path: &Path, bytes: u64) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::disk("opening the list", path, source))?;
        Ok(Self { file: BufReader::with_capacity(64 * 1024, file).take(bytes), path: path.into(), line: Vec::new() })
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        if self.file.limit() == 0 {
            return Ok(None);
        }
        let head = LineHead::read(&mut self.file)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the list is damaged");
        if head.length > LINE_BYTES_MAX {
            return Err(damaged());
        }
        self.line.resize(head.length, 0);
        self.file.read_exact(&mut self.line)?;
        if !head.fits(&self.line) {
            return Err(damaged());
        }
        codec::decode(&self.line).map(Some).map_err(|_fault| damaged())
    }
}

impl Iterator for ListReader {
    type Item = Result<Line, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().map_err(|source| Error::disk("reading the list", &self.path, source)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use handover_shared::archive::item::{Exception, Reason};
    use handover_shared::archive::path::EntryPath;

    use super::*;

    fn line(name: &str) -> Line {
        let path = EntryPath::parse(name.as_bytes()).unwrap();
        let record = Record::of_exception(Exception { path, reason: Reason::Vanished });
        Line { record, fate: Fate::Listed, name: None, marks: Marks::default() }
    }

    #[test] // [S15.3]
    fn a_list_is_cut_back_to_its_checkpoint() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("list");
        let mut list = ListWriter::open(&path, 0).unwrap();
        let renamed = Line { name: Some(b"b (1)".to_vec()), fate: Fate::Made, ..line("b") };
        list.push(&line("a")).unwrap();
        list.push(&renamed).unwrap();
        let checkpoint = list.flush().unwrap();
        list.push(&line("c")).unwrap();
        list.flush().unwrap();
        drop(list);

        let mut list = ListWriter::open(&path, checkpoint).unwrap();
        list.push(&line("d")).unwrap();
        let bytes = list.flush().unwrap();
        let lines: Vec<Line> = ListReader::open(&path, bytes).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(lines, [line("a"), renamed.clone(), line("d")]);
        assert_eq!(lines[1].actual_name(), b"b (1)");
        assert!(ListWriter::open(&path, bytes + 1).is_err());
    }

    #[test]
    fn damage_is_an_error() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("list");
        std::fs::write(&path, [0xff; 8]).unwrap();
        assert!(ListReader::open(&path, 8).unwrap().next().unwrap().is_err());
        std::fs::write(&path, [0, 0, 0, 9, 1]).unwrap();
        assert!(ListReader::open(&path, 5).unwrap().next().unwrap().is_err());
    }
}
