//! Reading: goes through the plan, reads every file between two looks at it, and makes raw frames of it all.
//!
//! # Source
//! SPEC [S6.3] [S6.4] [S9.3] [S14.4] [S14.5].

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use handover_shared::archive::ArchiveFault;
use handover_shared::archive::item::{Entry, EntryKind, Exception, Reason};
use handover_shared::archive::path::EntryPath;
use handover_shared::archive::writer::{RawFrame, Writer};
use handover_shared::keys::Secret;
use handover_shared::limits::{PIECE_BYTES, READ_ATTEMPTS_MAX};

use super::frames::{Fed, Feed};
use super::journal::{Point, RecordsReader};
use super::pipeline::{Shared, Stopped};
use super::plan::{Origin, PlanReader, Planned};
use super::source::{Rest, Signature, SourceFile};
use super::stdin::{Piece, Stdin};
use crate::error::Error;
use crate::event::{Event, ExceptionReason, Observer};
use crate::private::Private;

/// Files up to this size are read whole before anything of them is written, so that a change leaves no trace.
const SMALL_BYTES: u64 = 256 * 1024;
/// The pause before a file that changed is read again; twice as long before the next time.
const AGAIN_PAUSE: Duration = Duration::from_millis(100);

/// The step, before it starts.
pub(super) struct Reading {
    pub feed: Feed,
    pub given_back: Receiver<Vec<u8>>,
    pub manifest_key: Secret<32>,
    /// The list of records.
    pub records: PathBuf,
    pub stdin: Option<Box<dyn Read + Send>>,
    pub observer: Arc<dyn Observer>,
    pub shared: Arc<Shared>,
}

/// The step at work.
pub(super) struct Reader {
    step: Reading,
    writer: Writer,
    /// Of the file that is open in the writer.
    signature: Option<Signature>,
    small: Vec<u8>,
}

/// How one attempt to read a file ended.
enum Attempt {
    Whole,
    Changed,
    Failed(Reason),
}

impl Reading {
    pub(super) fn run(self, plan: &Path, from: Option<Point>) -> Result<(), Stopped> {
        let mut plan = PlanReader::open(plan)?;
        let key = *self.manifest_key.expose();
        let writer = match &from {
            Some(point) => Writer::resume(&key, point.state.clone()),
            None => Writer::new(&key),
        };
        let mut reader = Reader { step: self, writer, signature: None, small: Vec::new() };
        if !reader.writer.state().is_listing() {
            reader.entries(&mut plan, from.and_then(|point| point.signature))?;
        }
        reader.catalogue()
    }
}

impl Reader {
    fn entries(&mut self, plan: &mut PlanReader, signature: Option<Signature>) -> Result<(), Stopped> {
        plan.skip(self.writer.state().finished())?;
        let mut continued = signature;
        while let Some(planned) = plan.read()? {
            self.check_wanted()?;
            match planned {
                Planned::Exception(exception) => self.exception(exception.path, exception.reason)?,
                Planned::Entry(entry, Origin::Stdin) => self.stdin(entry)?,
                Planned::Entry(entry, origin) if entry.kind == EntryKind::File => {
                    let source = plan.head().source(&entry.path, &origin);
                    let source = source.ok_or_else(|| Error::Internal("an entry has no source".into()))?;
                    self.file(&entry.path, &source, continued.take())?;
                }
                Planned::Entry(entry, _) => self.put(|writer| writer.begin(entry))?,
            }
        }
        self.step.shared.set_current(None);
        Ok(())
    }

    /// Reads a file until it does not change meanwhile, or gives it up.
    fn file(&mut self, path: &EntryPath, source: &Path, continued: Option<Signature>) -> Result<(), Stopped> {
        let name = String::from_utf8_lossy(path.as_bytes()).into_owned();
        self.step.shared.set_current(Some(Private::new(name)));
        let state = self.writer.state();
        let voids = state.open().map(|open| open.voids()).or(state.voided().map(|voided| voided.voids())).unwrap_or(0);
        for attempt in voids + 1..=READ_ATTEMPTS_MAX {
            let is_open = self.writer.state().open().is_some();
            let outcome = match SourceFile::open(source) {
                Err(reason) => Attempt::Failed(reason),
                Ok(file) if file.rest() == Rest::Changing => Attempt::Changed,
                Ok(file) if is_open => self.go_on(file, continued)?,
                Ok(file) if file.signature().size() <= SMALL_BYTES => self.read_small(file, path)?,
                Ok(file) => self.read_large(file, path)?,
            };
            match outcome {
                Attempt::Whole => return Ok(()),
                Attempt::Changed => {
                    self.void()?;
                    if attempt < READ_ATTEMPTS_MAX {
                        let path = Private::new(path.as_bytes().to_vec());
                        self.step.observer.event(Event::ReadAgain { path, attempt: attempt + 1 });
                        self.pause(AGAIN_PAUSE * attempt)?;
                    }
                }
                Attempt::Failed(reason) => {
                    self.void()?;
                    return self.exception(path.clone(), reason);
                }
            }
        }
        self.exception(path.clone(), Reason::KeptChanging) // [S14.5]
    }

    fn read_small(&mut self, mut file: SourceFile, path: &EntryPath) -> Result<Attempt, Stopped> {
        let size = file.signature().size() as usize;
        let mut small = std::mem::take(&mut self.small);
        small.resize(SMALL_BYTES as usize, 0);
        let read = file.fill(&mut small[..size]).and_then(|filled| Ok(filled == size && file.is_unchanged()?));
        let outcome = match read {
            Err(error) => Attempt::Failed(super::scan::reason_of(&error)),
            Ok(false) => Attempt::Changed,
            Ok(true) => {
                self.begin(&file, path)?;
                if size > 0 {
                    self.put(|writer| writer.data(&small[..size]))?;
                }
                self.end()?;
                Attempt::Whole
            }
        };
        self.small = small;
        Ok(outcome)
    }

    fn read_large(&mut self, file: SourceFile, path: &EntryPath) -> Result<Attempt, Stopped> {
        self.begin(&file, path)?;
        self.read_rest(file)
    }

    /// Goes on with a file of which an earlier run read a part, if it is still the same. [S14.4]
    fn go_on(&mut self, mut file: SourceFile, continued: Option<Signature>) -> Result<Attempt, Stopped> {
        if continued != Some(file.signature()) {
            return Ok(Attempt::Changed);
        }
        self.signature = continued;
        let done = self.writer.state().open().map_or(0, |open| open.bytes());
        match file.seek(done) {
            Ok(()) => self.read_rest(file),
            Err(error) => Ok(Attempt::Failed(super::scan::reason_of(&error))),
        }
    }

    /// Reads from where the writer is to the end, straight into frames. [S6.3]
    fn read_rest(&mut self, mut file: SourceFile) -> Result<Attempt, Stopped> {
        let size = file.signature().size();
        let mut done = self.writer.state().open().map_or(0, |open| open.bytes());
        while done < size {
            self.check_wanted()?;
            let piece = (size - done).min(PIECE_BYTES as u64) as usize;
            self.put(|writer| writer.make_room(piece))?;
            match file.fill(self.writer.room()) {
                Ok(filled) if filled == piece => self.writer.commit(piece).map_err(fault)?,
                Ok(_short) => return Ok(Attempt::Changed),
                Err(error) => return Ok(Attempt::Failed(super::scan::reason_of(&error))),
            }
            done += piece as u64;
        }
        match file.is_unchanged() {
            Ok(true) => {
                self.end()?;
                Ok(Attempt::Whole)
            }
            Ok(false) => Ok(Attempt::Changed),
            Err(error) => Ok(Attempt::Failed(super::scan::reason_of(&error))),
        }
    }

    /// Standard input is one file of unknown length. What is whole leaves when nothing more comes for a while.
    fn stdin(&mut self, entry: Entry) -> Result<(), Stopped> {
        let source = self.step.stdin.take().ok_or(Error::StdinNotResumable)?;
        if self.writer.state().open().is_some() {
            return Err(Error::StdinNotResumable.into());
        }
        self.put(|writer| writer.begin(entry))?;
        let mut stdin = Stdin::begin(source)?;
        loop {
            self.check_wanted()?;
            match stdin.piece()? {
                Piece::Whole(piece) => {
                    self.put(|writer| writer.data(&piece))?;
                    if piece.len() < PIECE_BYTES {
                        break;
                    }
                }
                Piece::End => break,
                Piece::Idle => {
                    if let Some(frame) = self.writer.flush() {
                        self.feed(frame)?;
                    }
                    self.step.feed.put(Fed::Flush)?;
                }
                Piece::NotYet => {}
            }
        }
        self.end()
    }

    /// All records once more, with the places that the cutting step has given them. [S9.3]
    fn catalogue(&mut self) -> Result<(), Stopped> {
        self.put(Writer::close_entries)?;
        let (answer, answered) = sync_channel(1);
        self.step.feed.put(Fed::EntriesOver(answer))?;
        let bytes = answered.recv().or(Err(Stopped::Unwanted))?;
        let mut records = RecordsReader::open(&self.step.records, bytes, self.writer.state().listed())?;
        while let Some(listed) = records.read()? {
            self.check_wanted()?;
            self.put(|writer| writer.list(&listed))?;
        }
        let (counts, root) = (self.writer.state().counts(), self.writer.root());
        let key = *self.step.manifest_key.expose();
        let writer = std::mem::replace(&mut self.writer, Writer::new(&key));
        for frame in writer.finish().map_err(fault)? {
            self.step.feed.frame(frame, None)?;
        }
        self.step.feed.put(Fed::Over { counts, root })
    }

    fn begin(&mut self, file: &SourceFile, path: &EntryPath) -> Result<(), Stopped> {
        let size = Some(file.signature().size());
        let entry = Entry {
            path: path.clone(),
            kind: EntryKind::File,
            mode: file.mode(),
            mtime: file.mtime(),
            size,
            target: None,
        };
        self.put(|writer| writer.begin(entry))?;
        self.signature = Some(file.signature());
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stopped> {
        self.put(Writer::end)?;
        self.signature = None;
        Ok(())
    }

    /// Takes back what was written of a file, if anything was. [S6.4]
    fn void(&mut self) -> Result<(), Stopped> {
        if self.writer.state().open().is_some() {
            self.put(Writer::void)?;
        }
        self.signature = None;
        Ok(())
    }

    fn exception(&mut self, path: EntryPath, reason: Reason) -> Result<(), Stopped> {
        let shown = Private::new(path.as_bytes().to_vec());
        self.step.observer.event(Event::Exception { path: shown, reason: exception_reason(reason) });
        self.put(|writer| writer.exception(Exception { path, reason }))
    }

    /// Does one thing with the writer, and hands on the frame that it completes.
    fn put(&mut self, act: impl FnOnce(&mut Writer) -> Result<Option<RawFrame>, ArchiveFault>) -> Result<(), Stopped> {
        match act(&mut self.writer).map_err(fault)? {
            Some(frame) => self.feed(frame),
            None => Ok(()),
        }
    }

    fn feed(&mut self, frame: RawFrame) -> Result<(), Stopped> {
        while let Ok(buffer) = self.step.given_back.try_recv() {
            self.writer.recycle(buffer);
        }
        let signature = frame.notes.after.open().and(self.signature);
        self.step.feed.frame(frame, signature)
    }

    fn pause(&self, pause: Duration) -> Result<(), Stopped> {
        std::thread::sleep(pause);
        self.check_wanted()
    }

    fn check_wanted(&self) -> Result<(), Stopped> {
        if self.step.shared.is_halted() { Err(Stopped::Unwanted) } else { Ok(()) }
    }
}

fn fault(fault: ArchiveFault) -> Stopped {
    Stopped::Failed(Error::Internal(fault.to_string()))
}

/// The same reason, as an event has it.
pub fn exception_reason(reason: Reason) -> ExceptionReason {
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
