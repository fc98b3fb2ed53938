//! The reader: items in, what is to be placed out, every rule enforced.
//!
//! # Source
//! SPEC [S6.1] to [S6.8], [S9.1] to [S9.5].

use zeroize::Zeroizing;

use super::catalogue::{Chain, Location, Page, Place, Tail};
use super::fault::ArchiveFault;
use super::item::{self, Entry, EntryEnd, ItemRef, Items};
use super::manifest::{Counts, Node, Record, RecordKind, leaf};
use super::path::EntryPath;
use super::sequence::{OpenFile, Sequence};
use crate::ids::Root;

/// What is to be done with an item that keeps the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A file begins.
    FileBegin(Entry),
    /// Bytes of the file under way.
    Data {
        /// Bytes of the file before them.
        offset: u64,
        /// 1 byte to a piece.
        bytes: &'a [u8],
    },
    /// The file under way is whole and has the hash that its record says.
    FileEnd(Record),
    /// What has come of the file under way does not count; it comes again, or as an exception.
    FileVoid(EntryPath),
    /// A folder.
    Folder(Record),
    /// A link.
    Link(Record),
    /// Something that is listed and not in the archive.
    Exception(Record),
    /// A part of the catalogue; right only if [`Reader::finish`] says so in the end.
    Page(Page),
}

/// A place between two frames, from which a new reader goes on as if it had never stopped.
///
/// # Shape
/// CBOR, a few KiB at most, whatever the archive's size. It belongs together with the
/// [`Position`](super::stream::Position) behind the same frame.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct ReaderState {
    #[n(0)]
    sequence: Sequence,
    /// Over the records that came, and where they began.
    #[n(1)]
    came: Chain,
    #[n(2)]
    began: Option<Place>,
    #[n(3)]
    listing: Option<Listing>,
}

/// The catalogue so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
struct Listing {
    #[n(0)]
    location: Location,
    #[n(1)]
    listed: u64,
    #[n(2)]
    chain: Chain,
}

impl ReaderState {
    /// How much has come of what.
    pub fn counts(&self) -> Counts {
        self.sequence.counts()
    }

    /// The file under way.
    pub fn open(&self) -> Option<&OpenFile> {
        self.sequence.open()
    }

    #[cfg(test)]
    pub(super) fn sequence_root(&self, manifest_key: &[u8; 32]) -> Root {
        self.sequence.root_hash(manifest_key)
    }
}

/// The archive came whole: its numbers, its root and its catalogue are those of what was read.
///
/// Only [`Reader::finish`] makes it. Who sealed the archive is checked elsewhere, against the same root.
#[derive(Debug, PartialEq, Eq)]
pub struct Whole {
    root: Root,
    counts: Counts,
    stream_blocks: u64,
}

impl Whole {
    /// The root computed from what was read.
    pub fn root(&self) -> Root {
        self.root
    }

    /// How much there is of what.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Blocks of the stream.
    pub fn stream_blocks(&self) -> u64 {
        self.stream_blocks
    }
}

/// Enforces the rules of items, manifest and catalogue.
///
/// # Security
/// The first fault stays: whatever is called later gives it again, so that no root comes of an archive that broke a
/// rule.
pub struct Reader {
    manifest_key: Zeroizing<[u8; 32]>,
    state: ReaderState,
    fault: Option<ArchiveFault>,
}

impl Reader {
    /// Begins an archive.
    pub fn new(manifest_key: &[u8; 32]) -> Self {
        let state = ReaderState { sequence: Sequence::default(), came: Chain::new(), began: None, listing: None };
        Self::resume(manifest_key, state)
    }

    /// Goes on behind a frame.
    pub fn resume(manifest_key: &[u8; 32], state: ReaderState) -> Self {
        Self { manifest_key: Zeroizing::new(*manifest_key), state, fault: None }
    }

    /// The state behind the last item; a checkpoint only when a frame has been read to its end.
    pub fn state(&self) -> &ReaderState {
        &self.state
    }

    /// Reads a raw frame that began at this place; the events must be taken to the end.
    pub fn frame<'r, 'a>(&'r mut self, location: Location, raw: &'a [u8]) -> Events<'r, 'a> {
        Events { reader: self, location, items: item::items(raw) }
    }

    /// Takes the next item.
    ///
    /// # Errors
    /// The rule that it breaks; for ever after.
    pub fn item<'a>(&mut self, place: Place, item: ItemRef<'a>) -> Result<Event<'a>, ArchiveFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let event = self.judge(place, item);
        self.fault = event.as_ref().err().copied();
        event
    }

    fn judge<'a>(&mut self, place: Place, item: ItemRef<'a>) -> Result<Event<'a>, ArchiveFault> {
        let key = &self.manifest_key;
        let sequence = &mut self.state.sequence;
        if let ItemRef::Page(page) = item {
            return self.page(place, page);
        }
        if self.state.listing.is_some() {
            return Err(ArchiveFault::PagePlace); // [S9.4]
        }
        match item {
            ItemRef::Entry(entry) => {
                if let Some(done) = sequence.begin(key, entry)? {
                    return Ok(self.finished(done, place));
                }
                self.state.began = Some(place);
                let open = sequence.open().ok_or(ArchiveFault::State)?;
                Ok(Event::FileBegin(open.entry().clone()))
            }
            ItemRef::Data(bytes) => Ok(Event::Data { offset: sequence.piece(bytes)?, bytes }),
            ItemRef::End(end) => {
                let done = sequence.end(key, end)?;
                let began = self.state.began.take().ok_or(ArchiveFault::State)?;
                match (done, end) {
                    (Some(done), EntryEnd::Whole { .. }) => Ok(self.finished(done, began)),
                    _ => {
                        let voided = self.state.sequence.voided().ok_or(ArchiveFault::State)?;
                        Ok(Event::FileVoid(voided.path().clone()))
                    }
                }
            }
            ItemRef::Exception(exception) => {
                let done = sequence.exception(key, exception)?;
                Ok(self.finished(done, place))
            }
            ItemRef::Page(_) => Err(ArchiveFault::PagePlace),
        }
    }

    fn finished<'a>(&mut self, (record, leaf): (Record, Node), began: Place) -> Event<'a> {
        self.state.came.add(&leaf, began);
        match record.kind {
            RecordKind::File => Event::FileEnd(record),
            RecordKind::Folder => Event::Folder(record),
            RecordKind::Link => Event::Link(record),
            RecordKind::Exception => Event::Exception(record),
        }
    }

    fn page<'a>(&mut self, place: Place, page: Page) -> Result<Event<'a>, ArchiveFault> {
        // [S9.3]
        let records = self.state.counts().records();
        let mut listing = match self.state.listing {
            Some(listing) => listing,
            None if !self.state.sequence.is_settled() => return Err(ArchiveFault::Unfinished),
            None if place.item != 0 => return Err(ArchiveFault::PagePlace),
            None => Listing { location: place.frame, listed: 0, chain: Chain::new() },
        };
        let may_be_empty = records == 0 && self.state.listing.is_none();
        if page.first != listing.listed || page.listed.is_empty() != may_be_empty {
            return Err(ArchiveFault::PageOrder);
        }
        for line in &page.listed {
            listing.chain.add(&leaf(&self.manifest_key, &line.record), line.place);
            listing.listed += 1;
        }
        if listing.listed > records {
            return Err(ArchiveFault::Catalogue);
        }
        self.state.listing = Some(listing);
        Ok(Event::Page(page))
    }

    /// Compares the tail with everything that was read.
    ///
    /// # Errors
    /// [`ArchiveFault::Unfinished`], [`ArchiveFault::Catalogue`], [`ArchiveFault::TailNumbers`],
    /// [`ArchiveFault::TailRoot`], or the fault that was found before.
    pub fn finish(&self, tail: &Tail, stream_blocks: u64) -> Result<Whole, ArchiveFault> {
        // [S9.5]
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let counts = self.state.counts();
        let Some(listing) = self.state.listing.filter(|listing| listing.listed == counts.records()) else {
            return Err(ArchiveFault::Unfinished);
        };
        if listing.chain != self.state.came {
            return Err(ArchiveFault::Catalogue);
        }
        // [S9.4]
        if tail.counts != counts || tail.stream_blocks != stream_blocks || tail.catalogue != listing.location {
            return Err(ArchiveFault::TailNumbers);
        }
        let root = self.state.sequence.root_hash(&self.manifest_key);
        if tail.root != root {
            return Err(ArchiveFault::TailRoot);
        }
        Ok(Whole { root, counts, stream_blocks })
    }
}

/// The events of one frame; made by [`Reader::frame`].
pub struct Events<'r, 'a> {
    reader: &'r mut Reader,
    location: Location,
    items: Items<'a>,
}

impl<'a> Iterator for Events<'_, 'a> {
    type Item = Result<Event<'a>, ArchiveFault>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = match self.items.next()? {
            Ok(found) => found,
            Err(fault) => {
                self.reader.fault.get_or_insert(fault);
                return Some(Err(fault));
            }
        };
        let event = self.reader.item(Place { frame: self.location, item: found.offset }, found.item);
        if event.is_err() {
            self.items = item::items(&[]);
        }
        Some(event)
    }
}
