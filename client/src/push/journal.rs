//! The journal: what a run must find again after a crash to go on behind the last block that is durable at the relay.
//!
//! | file | what |
//! |---|---|
//! | `records` | one line for every finished entry, in order: what the catalogue is made of |
//! | `marks` | for every block that was made, the last frame that ends in it and the state behind that frame |
//!
//! # Shape
//! Lines of `u32 length ‖ 8 bytes of BLAKE3 ‖ CBOR`, of [`Listed`] in `records` and of [`Mark`] in `marks`. What a
//! crash left unfinished at the end of `marks` does not count. Marks below the last acknowledged block are of no use but for the
//! last of them, and are left behind whenever the file has grown too long.
//!
//! # Source
//! SPEC [S14.2] [S14.4] [S14.6].

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use handover_shared::archive::catalogue::{Listed, Places};
use handover_shared::archive::writer::WriterState;
use handover_shared::codec;
use handover_shared::ids::BlockCount;

use super::source::Signature;
use crate::error::Error;
use crate::home::checked::{self, LINE_HEAD_BYTES, LineHead};
use crate::home::{private_options, read_private, write_private};

/// When this long, the marks are written anew without those that are of no more use.
const MARKS_BYTES_ROTATE: u64 = 4 * 1024 * 1024;
/// More than this the marks of all blocks under way can never be.
const MARKS_BYTES_MAX: u64 = 512 * 1024 * 1024;
const LINE_BYTES_MAX: usize = 256 * 1024;

/// A place between two frames from which a run can go on.
#[derive(Clone, Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Point {
    /// Of the writer, behind the frame.
    #[n(0)]
    pub state: WriterState,
    /// Of the frames, behind the frame.
    #[n(1)]
    pub places: Places,
    /// Bytes of `records` up to there.
    #[n(2)]
    pub records_bytes: u64,
    /// Of the file that is open there, when it was opened.
    #[n(3)]
    pub signature: Option<Signature>,
}

impl Point {
    /// Content bytes read up to here.
    pub fn bytes(&self) -> u64 {
        self.state.counts().bytes.saturating_add(self.state.open().map_or(0, |open| open.bytes()))
    }
}

/// One line of `marks`: it is true of every relay that has at least so many blocks.
#[derive(Clone, Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Mark {
    /// Blocks that were made.
    #[n(0)]
    pub blocks: BlockCount,
    /// Behind the last frame that ends within them, if one ends in the last of them.
    #[n(1)]
    pub point: Option<Box<Point>>,
    /// How many blocks there are altogether, once the last is made.
    #[n(2)]
    pub total: Option<BlockCount>,
}

/// What a run goes on from.
#[derive(Clone, Debug, PartialEq)]
pub struct Resumption {
    /// Blocks at the relay.
    pub durable: BlockCount,
    /// The last frame within them, and the blocks up to the end of it; `None` at the very beginning.
    pub point: Option<(BlockCount, Point)>,
    /// Whether these are all blocks there will ever be.
    pub rest: Rest,
}

/// What is still to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// More blocks.
    Blocks,
    /// Nothing.
    Nothing,
}

/// The journal of one transfer.
pub struct Journal {
    marks_path: PathBuf,
    records_path: PathBuf,
    marks: VecDeque<Mark>,
}

impl Journal {
    /// Reads what an earlier run left, if there was one.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn open(marks_path: PathBuf, records_path: PathBuf) -> Result<Self, Error> {
        let bytes = read_private(&marks_path, MARKS_BYTES_MAX)?.unwrap_or_default();
        let marks = Marks { rest: &bytes }.collect();
        Ok(Self { marks_path, records_path, marks })
    }

    /// Blocks that were ever made, as far as is known: the relay can have no more. [S14.6]
    pub fn made(&self) -> BlockCount {
        self.marks.back().map_or(BlockCount(0), |mark| mark.blocks)
    }

    /// Blocks the relay is known to have had: marks below were left behind because of that.
    pub fn acknowledged(&self) -> BlockCount {
        match self.marks.front() {
            // The first mark of all is that of block 0.
            Some(first) if first.blocks.0 > 1 => first.blocks,
            _ => BlockCount(0),
        }
    }

    /// How many blocks there are altogether, if the last was made.
    pub fn total(&self) -> Option<BlockCount> {
        self.marks.back().and_then(|mark| mark.total)
    }

    /// Where to go on when so many blocks are durable. What was made behind them is forgotten. [S14.4]
    ///
    /// # Errors
    /// [`Error::JournalBehind`] if more is durable than was made; [`Error::State`] if the journal begins behind that;
    /// [`Error::Disk`].
    pub fn resume(mut self, durable: BlockCount) -> Result<(Resumption, JournalWriter), Error> {
        if durable > self.made() {
            return Err(Error::JournalBehind { relay: durable.0, journal: self.made().0 });
        }
        if durable < self.acknowledged() {
            return Err(Error::RelayMisbehaved("has lost blocks that it had acknowledged"));
        }
        let rest = match self.total() {
            Some(total) if total == durable => Rest::Nothing,
            _ => Rest::Blocks,
        };
        self.marks.retain(|mark| mark.blocks <= durable);
        let at = self.marks.iter().rposition(|mark| mark.point.is_some());
        if let Some(at) = at {
            self.marks.drain(..at);
        }
        let point = match self.marks.front() {
            Some(Mark { blocks, point: Some(point), .. }) => Some((*blocks, (**point).clone())),
            _ => None,
        };
        let records_bytes = point.as_ref().map_or(0, |(_, point)| point.records_bytes);
        let records = self.truncated_records(records_bytes)?;
        let writer = JournalWriter::begin(self.marks_path, self.records_path, self.marks, records)?;
        Ok((Resumption { durable, point, rest }, writer))
    }

    fn truncated_records(&self, bytes: u64) -> Result<File, Error> {
        let opened = || -> io::Result<File> {
            let mut file =
                private_options().read(true).write(true).create(true).truncate(false).open(&self.records_path)?;
            if file.metadata()?.len() < bytes {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the list of records is cut short"));
            }
            file.set_len(bytes)?;
            file.seek(SeekFrom::End(0))?;
            file.sync_all()?;
            Ok(file)
        };
        opened().map_err(|source| Error::disk("opening the list of records", &self.records_path, source))
    }
}

/// Adds to the journal. Records go first, then marks; a block may leave when both are synced. [S14.2]
pub struct JournalWriter {
    records: RecordsWriter,
    marks: MarksWriter,
}

/// Adds finished entries.
pub struct RecordsWriter {
    out: BufWriter<File>,
    path: PathBuf,
    bytes: u64,
}

/// Adds marks, and makes both files durable.
pub struct MarksWriter {
    file: File,
    path: PathBuf,
    bytes: u64,
    records: File,
    records_path: PathBuf,
    records_synced: u64,
    /// Everything since the last acknowledged block, as it is in the file.
    live: VecDeque<Mark>,
}

impl JournalWriter {
    fn begin(marks: PathBuf, records: PathBuf, live: VecDeque<Mark>, file: File) -> Result<Self, Error> {
        let bytes = file.metadata().map_err(|source| Error::disk("reading", &records, source))?.len();
        let synced = file.try_clone().map_err(|source| Error::disk("opening", &records, source))?;
        let marks = MarksWriter::create(marks, live, synced, records.clone(), bytes)?;
        let out = BufWriter::with_capacity(256 * 1024, file);
        Ok(Self { records: RecordsWriter { out, path: records, bytes }, marks })
    }

    /// Both halves, for the threads that use them.
    pub fn split(self) -> (RecordsWriter, MarksWriter) {
        (self.records, self.marks)
    }
}

impl RecordsWriter {
    /// Adds a finished entry.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn add(&mut self, listed: &Listed) -> Result<(), Error> {
        let line = checked::line(&codec::encode(listed));
        let written = self.out.write_all(&line);
        written.map_err(|source| Error::disk("writing the list of records", &self.path, source))?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Bytes added so far, over all runs.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.out.flush().map_err(|source| Error::disk("writing the list of records", &self.path, source))
    }

    /// Where the list is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl MarksWriter {
    fn create(
        path: PathBuf,
        live: VecDeque<Mark>,
        records: File,
        records_path: PathBuf,
        records_synced: u64,
    ) -> Result<Self, Error> {
        let (file, bytes) = rewrite(&path, &live)?;
        Ok(Self { file, path, bytes, records, records_path, records_synced, live })
    }

    /// Adds marks and makes them durable, with all records they speak of. One sync, or two if there are new records.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn add(&mut self, marks: Vec<Mark>, acknowledged: BlockCount) -> Result<(), Error> {
        let newest = marks.iter().rev().find_map(|mark| mark.point.as_ref()).map(|point| point.records_bytes);
        if let Some(newest) = newest.filter(|newest| *newest > self.records_synced) {
            let synced = self.records.sync_data();
            synced.map_err(|source| Error::disk("writing the list of records", &self.records_path, source))?;
            self.records_synced = newest;
        }
        let lines: Vec<u8> = marks.iter().flat_map(line).collect();
        self.live.extend(marks);
        self.forget(acknowledged);
        if self.bytes > MARKS_BYTES_ROTATE {
            (self.file, self.bytes) = rewrite(&self.path, &self.live)?;
            return Ok(());
        }
        let written = self.file.write_all(&lines).and_then(|()| self.file.sync_data());
        written.map_err(|source| Error::disk("writing the journal", &self.path, source))?;
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// Drops the marks that no resumption can need: those before the last with a point below what is durable.
    fn forget(&mut self, acknowledged: BlockCount) {
        let last = self.live.iter().rposition(|mark| mark.blocks <= acknowledged && mark.point.is_some()).unwrap_or(0);
        self.live.drain(..last);
    }
}

/// Replaces the file by one with these marks alone, open for adding.
fn rewrite(path: &Path, marks: &VecDeque<Mark>) -> Result<(File, u64), Error> {
    let bytes: Vec<u8> = marks.iter().flat_map(line).collect();
    write_private(path, &bytes)?;
    let file = private_options().append(true).open(path);
    let file = file.map_err(|source| Error::disk("opening the journal", path, source))?;
    Ok((file, bytes.len() as u64))
}

fn line(mark: &Mark) -> Vec<u8> {
    checked::line(&codec::encode(mark))
}

/// Reads marks until the end, or until something that was not written to its end.
struct Marks<'a> {
    rest: &'a [u8],
}

impl Iterator for Marks<'_> {
    type Item = Mark;

    fn next(&mut self) -> Option<Mark> {
        let (head, rest) = self.rest.split_first_chunk::<LINE_HEAD_BYTES>()?;
        let head = LineHead::parse(*head);
        let (body, rest) = rest.split_at_checked(head.length)?;
        if !head.fits(body) {
            return None;
        }
        self.rest = rest;
        codec::decode(body).ok()
    }
}

/// Reads the list of finished entries again, for the catalogue.
pub struct RecordsReader {
    file: BufReader<File>,
    path: PathBuf,
    left: u64,
}

impl RecordsReader {
    /// Opens the list, of which so many bytes count, and leaves out so many entries.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::State`].
    pub fn open(path: &Path, bytes: u64, skip: u64) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::disk("reading the list of records", path, source))?;
        let mut reader = Self { file: BufReader::with_capacity(256 * 1024, file), path: path.into(), left: bytes };
        for _ in 0..skip {
            let head = reader.head()?.ok_or_else(|| reader.damaged())?;
            let skipped = reader.file.seek_relative(head.length as i64);
            skipped.map_err(|source| Error::disk("reading the list of records", path, source))?;
        }
        Ok(reader)
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// As [`RecordsReader::open`].
    pub fn read(&mut self) -> Result<Option<Listed>, Error> {
        let Some(head) = self.head()? else { return Ok(None) };
        let mut line = vec![0u8; head.length];
        self.fill(&mut line)?;
        if !head.fits(&line) {
            return Err(self.damaged());
        }
        codec::decode(&line).map(Some).map_err(|_fault| self.damaged())
    }

    fn head(&mut self) -> Result<Option<LineHead>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut head = [0u8; LINE_HEAD_BYTES];
        self.fill(&mut head)?;
        let head = LineHead::parse(head);
        let taken = (LINE_HEAD_BYTES + head.length) as u64;
        self.left = self.left.checked_sub(taken).ok_or_else(|| self.damaged())?;
        if head.length > LINE_BYTES_MAX { Err(self.damaged()) } else { Ok(Some(head)) }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        let read = self.file.read_exact(buffer);
        read.map_err(|source| Error::disk("reading the list of records", &self.path, source))
    }

    fn damaged(&self) -> Error {
        Error::State { what: "the list of records is damaged", path: self.path.clone(), source: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(records_bytes: u64) -> Option<Box<Point>> {
        let point = Point { state: WriterState::default(), places: Places::new(), records_bytes, signature: None };
        Some(Box::new(point))
    }

    fn mark(blocks: u64, point: Option<Box<Point>>, total: Option<u64>) -> Mark {
        Mark { blocks: BlockCount(blocks), point, total: total.map(BlockCount) }
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn marks(&self) -> PathBuf {
            self.0.path().join("marks")
        }

        fn journal(&self) -> Journal {
            Journal::open(self.marks(), self.0.path().join("records")).unwrap()
        }

        fn written(marks: Vec<Mark>) -> Self {
            let folder = Self::new();
            std::fs::write(folder.0.path().join("records"), vec![0; 1000]).unwrap();
            let (_, writer) = folder.journal().resume(BlockCount(0)).unwrap();
            std::fs::write(folder.0.path().join("records"), vec![0; 1000]).unwrap();
            writer.split().1.add(marks, BlockCount(0)).unwrap();
            folder
        }
    }

    #[test] // [S14.4]
    fn goes_on_behind_the_last_frame_within_what_is_durable() {
        let marks =
            || vec![mark(1, point(100), None), mark(2, None, None), mark(3, point(300), None), mark(4, None, Some(4))];
        for (durable, expected, rest) in [
            (0, None, Rest::Blocks),
            (1, Some((1, 100)), Rest::Blocks),
            (2, Some((1, 100)), Rest::Blocks),
            (3, Some((3, 300)), Rest::Blocks),
            (4, Some((3, 300)), Rest::Nothing),
        ] {
            let folder = Folder::written(marks());
            let journal = folder.journal();
            assert_eq!(journal.made(), BlockCount(4));
            let (resumption, _) = journal.resume(BlockCount(durable)).unwrap();
            let found = resumption.point.map(|(blocks, point)| (blocks.0, point.records_bytes));
            assert_eq!((found, resumption.rest), (expected, rest), "{durable}");
            let records = std::fs::metadata(folder.0.path().join("records")).unwrap().len();
            assert_eq!(records, expected.map_or(0, |(_, bytes)| bytes));
            assert!(folder.journal().made() <= BlockCount(durable), "what was behind is forgotten");
        }
    }

    #[test] // [S14.6]
    fn a_relay_with_more_than_was_made_is_told_apart() {
        let folder = Folder::written(vec![mark(1, point(0), None), mark(2, None, None)]);
        let error = folder.journal().resume(BlockCount(3)).err().unwrap();
        assert!(matches!(error, Error::JournalBehind { relay: 3, journal: 2 }), "{error:?}");
    }

    #[test] // [S14.2]
    fn what_a_crash_cut_off_does_not_count() {
        let folder = Folder::written(vec![mark(1, point(0), None), mark(2, point(10), None)]);
        let whole = std::fs::read(folder.marks()).unwrap();
        let first = line(&mark(1, point(0), None)).len();
        for length in 0..whole.len() {
            std::fs::write(folder.marks(), &whole[..length]).unwrap();
            assert_eq!(folder.journal().made().0, u64::from(length >= first), "{length} bytes");
        }
        let mut damaged = whole.clone();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        std::fs::write(folder.marks(), &damaged).unwrap();
        assert_eq!(folder.journal().made(), BlockCount(1));
    }

    #[test]
    fn stays_short_and_remembers_what_was_acknowledged() {
        let folder = Folder::written(Vec::new());
        let (_, writer) = folder.journal().resume(BlockCount(0)).unwrap();
        let mut marks = writer.split().1;
        for block in 1..=50 {
            if block == 30 {
                marks.bytes = MARKS_BYTES_ROTATE + 1;
            }
            marks.add(vec![mark(block, point(0), None)], BlockCount(block.saturating_sub(3))).unwrap();
        }
        assert!(marks.live.len() <= 5, "{}", marks.live.len());
        let journal = folder.journal();
        assert_eq!(journal.made(), BlockCount(50));
        assert!(journal.acknowledged().0 > 0);
        let acknowledged = journal.acknowledged();
        let lost = folder.journal().resume(BlockCount(acknowledged.0 - 1));
        assert!(matches!(lost, Err(Error::RelayMisbehaved(_))));
        assert!(folder.journal().resume(acknowledged).is_ok());
    }
}
