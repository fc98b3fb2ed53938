//! The writer: entries and their bytes in, raw frames out, each with the state from which to go on after it.
//!
//! # Source
//! SPEC [S6.1] to [S6.8], [S9.3], [S14.4].

use zeroize::Zeroizing;

use super::catalogue::{Listed, PageBuilder};
use super::fault::ArchiveFault;
use super::item::{self, Entry, EntryEnd, Exception, ITEM_HEAD_BYTES};
use super::manifest::{Counts, Record, RootBuilder, leaf};
use super::sequence::{OpenFile, Sequence, Voided};
use crate::codec;
use crate::ids::Root;
use crate::limits::FRAME_RAW_BYTES_MAX;

/// Where an entry began: known before its frame has a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Began {
    /// Frames before its frame, over all runs.
    #[n(0)]
    pub frame: u64,
    /// Bytes of the raw frame before its item.
    #[n(1)]
    pub item: u32,
}

/// An entry that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// What is kept of it.
    pub record: Record,
    /// Where it began.
    pub began: Began,
}

/// A raw frame and what there is to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// Whole items, to be packed.
    pub bytes: Vec<u8>,
    /// What goes with it to where it is cut, and then into the journal.
    pub notes: FrameNotes,
}

/// What goes with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameNotes {
    /// Frames before it, over all runs.
    pub ordinal: u64,
    /// The entries that ended in it, in order.
    pub finished: Vec<Finished>,
    /// The state behind its last item.
    pub after: WriterState,
}

/// A place between two frames, from which a new writer goes on as if it had never stopped.
///
/// # Shape
/// CBOR, a few KiB at most, whatever the archive's size.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct WriterState {
    #[n(0)]
    sequence: Sequence,
    #[n(1)]
    frames: u64,
    #[n(2)]
    began: Option<Began>,
    #[n(3)]
    listing: Option<Listing>,
}

/// How much of the catalogue is in frames.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
struct Listing {
    #[n(0)]
    pages: u64,
    #[n(1)]
    listed: RootBuilder,
}

impl WriterState {
    /// How many entries of the plan are finished, as an entry or as an exception.
    pub fn finished(&self) -> u64 {
        self.sequence.counts().records()
    }

    /// How much there is of what so far.
    pub fn counts(&self) -> Counts {
        self.sequence.counts()
    }

    /// The file under way: the next entry of the plan, to be continued at its byte [`OpenFile::bytes`].
    pub fn open(&self) -> Option<&OpenFile> {
        self.sequence.open()
    }

    /// The file that ended void: the next entry of the plan, to begin once more or to be listed as an exception.
    pub fn voided(&self) -> Option<&Voided> {
        self.sequence.voided()
    }

    /// Where the file under way began.
    pub fn began(&self) -> Option<Began> {
        self.began
    }

    /// How many frames there are so far, over all runs.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Whether the catalogue has begun.
    pub fn is_listing(&self) -> bool {
        self.listing.is_some()
    }

    /// How many records are in the catalogue; listing goes on with the record of this number.
    pub fn listed(&self) -> u64 {
        self.listing.as_ref().map_or(0, |listing| listing.listed.leaves())
    }

    /// Whether nothing is missing but padding and tail.
    pub fn is_complete(&self) -> bool {
        self.listing.as_ref().is_some_and(|listing| listing.pages > 0) && self.listed() == self.finished()
    }
}

/// Packs items into raw frames.
///
/// # Shape
/// Every call gives a frame when what it adds no longer fits into the one under way; the frame ends before it. Data
/// read straight into [`Writer::room`] is not copied at all, and hashed where it lies.
pub struct Writer {
    manifest_key: Zeroizing<[u8; 32]>,
    state: WriterState,
    /// Empty, or [`FRAME_RAW_BYTES_MAX`] bytes of which `used` are items.
    buffer: Vec<u8>,
    used: usize,
    /// Bytes of the room given out behind the used ones and the head of a Data item; 0 if none is.
    room: usize,
    finished: Vec<Finished>,
    page: PageBuilder,
    spare: Vec<Vec<u8>>,
}

/// Buffers kept for use again.
const SPARE_MAX: usize = 4;

impl Writer {
    /// Begins an archive.
    pub fn new(manifest_key: &[u8; 32]) -> Self {
        Self::resume(manifest_key, WriterState::default())
    }

    /// Goes on behind a frame.
    pub fn resume(manifest_key: &[u8; 32], state: WriterState) -> Self {
        Self {
            manifest_key: Zeroizing::new(*manifest_key),
            state,
            buffer: Vec::new(),
            used: 0,
            room: 0,
            finished: Vec::new(),
            page: PageBuilder::default(),
            spare: Vec::new(),
        }
    }

    /// The state behind the last item, which need not be in a frame yet.
    pub fn state(&self) -> &WriterState {
        &self.state
    }

    /// Adds a folder or link, or begins a file.
    ///
    /// # Errors
    /// [`ArchiveFault`] as a reader of it would say; nothing is added then.
    pub fn begin(&mut self, entry: Entry) -> Result<Option<RawFrame>, ArchiveFault> {
        self.check_not_listing()?;
        let mut bytes = Vec::new();
        item::write_entry(&entry, &mut bytes);
        let before = self.state_if_full(bytes.len());
        let done = self.state.sequence.begin(&self.manifest_key, entry)?;
        let frame = before.map(|before| self.emit(before));
        let began = self.here();
        match done {
            Some((record, _)) => self.finished.push(Finished { record, began }),
            None => self.state.began = Some(began),
        }
        self.put(&bytes);
        Ok(frame)
    }

    /// Adds a piece of the file under way, copying it.
    ///
    /// # Errors
    /// As [`Writer::begin`].
    pub fn data(&mut self, piece: &[u8]) -> Result<Option<RawFrame>, ArchiveFault> {
        self.state.sequence.check_piece(piece.len())?;
        let frame = self.make_room(piece.len())?;
        self.room().copy_from_slice(piece);
        self.commit(piece.len())?;
        Ok(frame)
    }

    /// Makes room for a piece of at most so many bytes in the frame under way; [`Writer::room`] is it then.
    ///
    /// # Errors
    /// [`ArchiveFault::DataLength`] unless it is 1 to a piece, [`ArchiveFault::ItemPlace`] if no file is under way.
    pub fn make_room(&mut self, bytes: usize) -> Result<Option<RawFrame>, ArchiveFault> {
        if self.state.sequence.open().is_none() {
            return Err(ArchiveFault::ItemPlace);
        }
        if bytes == 0 || bytes > crate::limits::PIECE_BYTES {
            return Err(ArchiveFault::DataLength);
        }
        let frame = self.state_if_full(ITEM_HEAD_BYTES + bytes).map(|before| self.emit(before));
        self.ready_buffer();
        self.room = bytes;
        Ok(frame)
    }

    /// The room made; empty if none was. What it held before is not defined.
    pub fn room(&mut self) -> &mut [u8] {
        if self.room == 0 {
            return &mut [];
        }
        let start = self.used + ITEM_HEAD_BYTES;
        &mut self.buffer[start..start + self.room]
    }

    /// Adds the first `bytes` of the room as a piece of the file under way.
    ///
    /// # Errors
    /// As [`Writer::begin`]; [`ArchiveFault::DataLength`] for more than the room. The room is gone in any case.
    pub fn commit(&mut self, bytes: usize) -> Result<(), ArchiveFault> {
        let room = std::mem::take(&mut self.room);
        if bytes > room {
            return Err(ArchiveFault::DataLength);
        }
        let start = self.used + ITEM_HEAD_BYTES;
        self.state.sequence.check_piece(bytes)?;
        self.state.sequence.piece(&self.buffer[start..start + bytes])?;
        self.buffer[self.used..start].copy_from_slice(&item::data_head(bytes));
        self.used = start + bytes;
        Ok(())
    }

    /// Ends the file under way as whole.
    ///
    /// # Errors
    /// [`ArchiveFault::EndSize`] if it has not the size announced: it has changed, and [`Writer::void`] is in order.
    pub fn end(&mut self) -> Result<Option<RawFrame>, ArchiveFault> {
        let end = self.state.sequence.whole()?;
        self.put_end(end)
    }

    /// Ends the file under way as void; the same path must follow.
    ///
    /// # Errors
    /// [`ArchiveFault::ItemPlace`] if none is.
    pub fn void(&mut self) -> Result<Option<RawFrame>, ArchiveFault> {
        if self.state.sequence.open().is_none() {
            return Err(ArchiveFault::ItemPlace);
        }
        self.put_end(EntryEnd::Void)
    }

    fn put_end(&mut self, end: EntryEnd) -> Result<Option<RawFrame>, ArchiveFault> {
        let mut bytes = Vec::new();
        item::write_end(&end, &mut bytes);
        let before = self.state_if_full(bytes.len());
        let done = self.state.sequence.end(&self.manifest_key, end)?;
        let began = self.state.began.take();
        let frame = before.map(|before| self.emit(before));
        if let Some((record, _)) = done {
            self.finished.push(Finished { record, began: began.ok_or(ArchiveFault::State)? });
        }
        self.put(&bytes);
        Ok(frame)
    }

    /// Lists something that is not in the archive.
    ///
    /// # Errors
    /// As [`Writer::begin`].
    pub fn exception(&mut self, exception: Exception) -> Result<Option<RawFrame>, ArchiveFault> {
        self.check_not_listing()?;
        let mut bytes = Vec::new();
        item::write_exception(&exception, &mut bytes);
        let before = self.state_if_full(bytes.len());
        let (record, _) = self.state.sequence.exception(&self.manifest_key, exception)?;
        let frame = before.map(|before| self.emit(before));
        let began = self.here();
        self.finished.push(Finished { record, began });
        self.put(&bytes);
        Ok(frame)
    }

    /// Ends the frame under way although more would fit.
    pub fn flush(&mut self) -> Option<RawFrame> {
        self.room = 0;
        (self.used > 0).then(|| self.emit(self.state.clone()))
    }

    /// Ends the entries and begins the catalogue: the list can be made once this frame has its place.
    ///
    /// # Errors
    /// [`ArchiveFault::Unfinished`] if a file is under way or void.
    pub fn close_entries(&mut self) -> Result<Option<RawFrame>, ArchiveFault> {
        if !self.state.sequence.is_settled() {
            return Err(ArchiveFault::Unfinished);
        }
        let frame = self.flush();
        self.state.listing.get_or_insert_default();
        Ok(frame)
    }

    /// The root over the entries so far.
    pub fn root(&self) -> Root {
        self.state.sequence.root_hash(&self.manifest_key)
    }

    /// Adds the next line to the catalogue, beginning with that of number [`WriterState::listed`].
    ///
    /// # Errors
    /// [`ArchiveFault::PagePlace`] before [`Writer::close_entries`].
    pub fn list(&mut self, line: &Listed) -> Result<Option<RawFrame>, ArchiveFault> {
        if !self.state.is_listing() {
            return Err(ArchiveFault::PagePlace);
        }
        let bytes = codec::encode(line);
        let frame = if self.page.has_room(&bytes) { None } else { self.put_page() };
        self.page.push(&bytes, leaf(&self.manifest_key, &line.record));
        Ok(frame)
    }

    /// Ends the catalogue; gives at most two frames, the last ones.
    ///
    /// # Errors
    /// [`ArchiveFault::Catalogue`] if the lines were not those of the entries, each once and in order.
    pub fn finish(mut self) -> Result<Vec<RawFrame>, ArchiveFault> {
        let Some(listing) = &self.state.listing else { return Err(ArchiveFault::PagePlace) };
        // [S9.3] An archive without records has one empty page.
        let mut frames = Vec::new();
        if !self.page.is_empty() || listing.pages == 0 {
            frames.extend(self.put_page());
        }
        let is_same = self.state.listing.as_ref().is_some_and(|it| it.listed == *self.state.sequence.root());
        if !is_same {
            return Err(ArchiveFault::Catalogue);
        }
        frames.extend(self.flush());
        Ok(frames)
    }

    /// Takes back a frame's buffer.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(buffer);
        }
    }

    fn put_page(&mut self) -> Option<RawFrame> {
        let first = self.state.listed();
        let (body, leaves) = self.page.finish(first);
        let before = self.state_if_full(ITEM_HEAD_BYTES + body.len());
        if let Some(listing) = &mut self.state.listing {
            listing.pages += 1;
            leaves.into_iter().for_each(|leaf| listing.listed.push(&self.manifest_key, leaf));
        }
        let frame = before.map(|before| self.emit(before));
        self.put(&item::page_head(body.len()));
        self.put(&body);
        frame
    }

    fn check_not_listing(&self) -> Result<(), ArchiveFault> {
        if self.state.is_listing() { Err(ArchiveFault::PagePlace) } else { Ok(()) }
    }

    /// Where the next item begins.
    fn here(&self) -> Began {
        Began { frame: self.state.frames, item: self.used as u32 }
    }

    /// The state as it is, if so many bytes more do not fit into the frame under way.
    fn state_if_full(&self, bytes: usize) -> Option<WriterState> {
        // [S7.2]
        (self.used + bytes > FRAME_RAW_BYTES_MAX).then(|| self.state.clone())
    }

    /// Ends the frame under way, behind which `after` is the state.
    fn emit(&mut self, mut after: WriterState) -> RawFrame {
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.truncate(std::mem::take(&mut self.used));
        let ordinal = self.state.frames;
        self.state.frames += 1;
        after.frames = self.state.frames;
        RawFrame { bytes, notes: FrameNotes { ordinal, finished: std::mem::take(&mut self.finished), after } }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.room = 0;
        self.ready_buffer();
        self.buffer[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }

    fn ready_buffer(&mut self) {
        if !self.buffer.is_empty() {
            return;
        }
        match self.spare.pop() {
            Some(spare) => {
                self.buffer = spare;
                self.buffer.resize(FRAME_RAW_BYTES_MAX, 0);
            }
            None => self.buffer = vec![0; FRAME_RAW_BYTES_MAX],
        }
    }
}
