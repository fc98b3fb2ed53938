//! The catalogue: all records once more, with the place where each entry begins; and the tail that closes the archive.
//!
//! # Source
//! SPEC [S9.3] [S9.4].

use super::fault::{ArchiveFault, decode_error};
use super::manifest::{Counts, Node, Record, RecordWire};
use super::writer::FrameNotes;
use crate::codec;
use crate::ids::{BlockIndex, Root};
use crate::limits;

/// Where a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Location {
    /// In which block.
    #[n(0)]
    pub block: BlockIndex,
    /// Used bytes of that block before it.
    #[n(1)]
    pub offset: u32,
}

/// Where an entry begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Place {
    /// Where its frame begins.
    #[n(0)]
    pub frame: Location,
    /// Bytes of the raw frame before its item.
    #[n(1)]
    pub item: u32,
}

/// A record and where its entry begins: a line of the catalogue, and of the list a seller keeps.
///
/// # Shape
/// CBOR `[record, block, frame offset, item offset]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The record.
    pub record: Record,
    /// Where its entry begins; an exception is its own.
    pub place: Place,
}

#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
struct ListedWire<'b> {
    #[b(0)]
    record: RecordWire<'b>,
    #[n(1)]
    block: BlockIndex,
    #[n(2)]
    frame: u32,
    #[n(3)]
    item: u32,
}

impl Listed {
    fn wire(&self) -> ListedWire<'_> {
        let Place { frame, item } = self.place;
        ListedWire { record: self.record.wire(), block: frame.block, frame: frame.offset, item }
    }

    fn of_wire(wire: &ListedWire<'_>) -> Result<Self, ArchiveFault> {
        let frame = Location { block: wire.block, offset: wire.frame };
        Ok(Self { record: Record::of_wire(&wire.record)?, place: Place { frame, item: wire.item } })
    }
}

impl<C> minicbor::Encode<C> for Listed {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        self.wire().encode(e, ctx)
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Listed {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::of_wire(&ListedWire::decode(d, ctx)?).map_err(decode_error)
    }
}

/// A part of the catalogue.
///
/// # Shape
/// CBOR `[first, [listed…]]`, at most [`limits::PAGE_BYTES_MAX`] bytes; the first and only page of an archive without
/// records is empty, and no other is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many records come before it.
    pub first: u64,
    /// The records, in order.
    pub listed: Vec<Listed>,
}

#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
struct PageWire<'b> {
    #[n(0)]
    first: u64,
    #[b(1)]
    listed: Vec<ListedWire<'b>>,
}

impl Page {
    pub(super) fn decode(body: &[u8]) -> Result<Self, ArchiveFault> {
        let wire: PageWire<'_> = codec::decode(body).or(Err(ArchiveFault::ItemEncoding))?; // [S2.2]
        let listed = wire.listed.iter().map(Listed::of_wire).collect::<Result<_, _>>()?;
        Ok(Self { first: wire.first, listed })
    }
}

impl<C> minicbor::Encode<C> for Page {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.u64(self.first)?.encode_with(&self.listed, ctx)?.ok()
    }
}

/// Collects the lines of one page.
#[derive(Debug, Default)]
pub(super) struct PageBuilder {
    lines: Vec<u8>,
    leaves: Vec<Node>,
}

/// The heads of a page's two arrays and its number, at their longest.
const PAGE_HEAD_BYTES_MAX: usize = 1 + 9 + 9;

impl PageBuilder {
    /// Whether a line of this length still fits.
    pub fn has_room(&self, line: &[u8]) -> bool {
        PAGE_HEAD_BYTES_MAX + self.lines.len() + line.len() <= limits::PAGE_BYTES_MAX
    }

    /// Takes a line and the leaf of its record.
    pub fn push(&mut self, line: &[u8], leaf: Node) {
        self.lines.extend_from_slice(line);
        self.leaves.push(leaf);
    }

    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// The body of the page, and the leaves of its records; begins the next page.
    pub fn finish(&mut self, first: u64) -> (Vec<u8>, Vec<Node>) {
        let leaves = std::mem::take(&mut self.leaves);
        let lines = std::mem::take(&mut self.lines);
        let mut body = codec::encode(&PageHead { first, count: leaves.len() as u64 });
        body.extend_from_slice(&lines);
        (body, leaves)
    }
}

/// A page up to its first line.
struct PageHead {
    first: u64,
    count: u64,
}

impl<C> minicbor::Encode<C> for PageHead {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.u64(self.first)?.array(self.count)?.ok()
    }
}

/// A running hash over records and their places, by which a reader checks a catalogue of any length.
///
/// It never travels: seller and buyer need not agree on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain([u8; 32]);

impl Chain {
    pub fn new() -> Self {
        Self([0; 32])
    }

    pub fn add(&mut self, leaf: &Node, place: Place) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0).update(leaf.as_bytes());
        hasher.update(&place.frame.block.0.to_be_bytes()).update(&place.frame.offset.to_be_bytes());
        hasher.update(&place.item.to_be_bytes());
        self.0 = hasher.finalize().into();
    }
}

impl<C> minicbor::Encode<C> for Chain {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Chain {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        minicbor::bytes::ByteArray::decode(d, ctx).map(|bytes| Self(bytes.into()))
    }
}

/// Joins what a writer finished with where its frames were put: the seller's way from records to the list.
///
/// # Shape
/// It keeps the location of one frame, the one in which the file under way began, and of the catalogue. It travels as
/// CBOR and is kept together with the [`WriterState`](super::writer::WriterState) of the same frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Places {
    #[n(0)]
    open: Option<OpenFrame>,
    #[n(1)]
    catalogue: Option<Location>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
struct OpenFrame {
    #[n(0)]
    ordinal: u64,
    #[n(1)]
    location: Location,
}

impl Places {
    /// Begins before the first frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next frame, as soon as the cutter has said where it begins, and gives the lines of the entries that
    /// ended in it, in order.
    ///
    /// # Errors
    /// [`ArchiveFault::State`] if the frames are not given each once and in order.
    pub fn frame(&mut self, notes: FrameNotes, location: Location) -> Result<Vec<Listed>, ArchiveFault> {
        let this = OpenFrame { ordinal: notes.ordinal, location };
        let open = self.open;
        let find = |ordinal| [Some(this), open].into_iter().flatten().find(|frame| frame.ordinal == ordinal);
        let list = |finished: super::writer::Finished| {
            let frame = find(finished.began.frame).ok_or(ArchiveFault::State)?;
            Ok(Listed { record: finished.record, place: Place { frame: frame.location, item: finished.began.item } })
        };
        let listed = notes.finished.into_iter().map(list).collect::<Result<_, _>>()?;
        self.open = match notes.after.began() {
            None => None,
            Some(began) => Some(find(began.frame).ok_or(ArchiveFault::State)?),
        };
        if notes.after.is_listing() {
            self.catalogue.get_or_insert(location);
        }
        Ok(listed)
    }

    /// Where the catalogue begins, once its first frame has been taken.
    pub fn catalogue(&self) -> Option<Location> {
        self.catalogue
    }
}

/// What the last block says of the whole archive; not yet checked against anything.
///
/// # Shape
/// CBOR `[stream blocks, entries, files, folders, links, exceptions, bytes, root, catalogue block, catalogue offset,
/// seal text, seal signature]`, at most [`limits::TAIL_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Blocks of the stream.
    pub stream_blocks: u64,
    /// How much there is of what.
    pub counts: Counts,
    /// Over the manifest.
    pub root: Root,
    /// Where the catalogue's first frame begins.
    pub catalogue: Location,
    /// The seal statement.
    pub seal_text: String,
    /// The seller's signature of it.
    pub seal_signature: String,
}

#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
struct TailWire<'b> {
    #[n(0)]
    stream_blocks: u64,
    #[n(1)]
    entries: u64,
    #[n(2)]
    files: u64,
    #[n(3)]
    folders: u64,
    #[n(4)]
    links: u64,
    #[n(5)]
    exceptions: u64,
    #[n(6)]
    bytes: u64,
    #[n(7)]
    root: Root,
    #[n(8)]
    block: BlockIndex,
    #[n(9)]
    offset: u32,
    #[b(10)]
    seal_text: &'b str,
    #[b(11)]
    seal_signature: &'b str,
}

impl Tail {
    /// The tail record.
    ///
    /// # Errors
    /// [`ArchiveFault::TailEncoding`] if seal or signature exceed their limits.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArchiveFault> {
        let Counts { files, folders, links, exceptions, bytes } = self.counts;
        let wire = TailWire {
            stream_blocks: self.stream_blocks,
            entries: self.counts.entries(),
            files,
            folders,
            links,
            exceptions,
            bytes,
            root: self.root,
            block: self.catalogue.block,
            offset: self.catalogue.offset,
            seal_text: &self.seal_text,
            seal_signature: &self.seal_signature,
        };
        wire.check()?;
        Ok(codec::encode(&wire))
    }

    /// Reads a tail record.
    ///
    /// # Errors
    /// [`ArchiveFault::TailEncoding`], and [`ArchiveFault::TailNumbers`] if its entries are not the sum of its parts.
    pub fn parse(bytes: &[u8]) -> Result<Self, ArchiveFault> {
        // [S9.4]
        if bytes.len() > limits::TAIL_BYTES_MAX {
            return Err(ArchiveFault::TailEncoding);
        }
        let wire: TailWire<'_> = codec::decode(bytes).or(Err(ArchiveFault::TailEncoding))?;
        wire.check()?;
        let TailWire { files, folders, links, exceptions, bytes, .. } = wire;
        let counts = Counts { files, folders, links, exceptions, bytes };
        if counts.entries() != wire.entries {
            return Err(ArchiveFault::TailNumbers);
        }
        Ok(Self {
            stream_blocks: wire.stream_blocks,
            counts,
            root: wire.root,
            catalogue: Location { block: wire.block, offset: wire.offset },
            seal_text: wire.seal_text.to_owned(),
            seal_signature: wire.seal_signature.to_owned(),
        })
    }
}

impl TailWire<'_> {
    fn check(&self) -> Result<(), ArchiveFault> {
        // [S3.1]
        let fits = self.seal_text.len() <= limits::STATEMENT_BYTES_MAX
            && self.seal_signature.len() <= limits::SIGNATURE_BYTES_MAX;
        if fits { Ok(()) } else { Err(ArchiveFault::TailEncoding) }
    }
}
