//! Items: the smallest units of the archive's stream, written and read.
//!
//! # Shape
//! | offset | size | meaning |
//! |---|---|---|
//! | 0 | 1 | tag |
//! | 1 | 4 | length of the body, big-endian |
//! | 5 | … | body: bytes of a file for Data, deterministic CBOR for the others |
//!
//! # Source
//! SPEC [S6.1] to [S6.5].

use minicbor::bytes::ByteSlice;

use super::catalogue::Page;
use super::fault::{ArchiveFault, decode_error};
use super::path::{EntryPath, Target, slice};
use crate::codec;
use crate::ids::ContentHash;
use crate::limits;

/// Tag and length.
pub const ITEM_HEAD_BYTES: usize = 5;

const TAG_ENTRY: u8 = 1;
const TAG_DATA: u8 = 2;
const TAG_END: u8 = 3;
const TAG_EXCEPTION: u8 = 4;
const TAG_PAGE: u8 = 5;

const NANOS_PER_SECOND: u32 = 1_000_000_000;
const SIZE_UNKNOWN: u64 = u64::MAX;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A file; Data and EntryEnd follow.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
}

impl EntryKind {
    fn number(self) -> u8 {
        match self {
            Self::File => 0,
            Self::Folder => 1,
            Self::Link => 2,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        [Self::File, Self::Folder, Self::Link].into_iter().find(|kind| kind.number() == number)
    }
}

/// A time of last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mtime {
    /// Seconds since 1970-01-01T00:00Z, before it below zero.
    pub seconds: i64,
    /// Nanoseconds after that second, below 1 000 000 000.
    pub nanos: u32,
}

/// The beginning of a file, or a whole folder or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub path: EntryPath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, at most 0o777.
    pub mode: u32,
    /// When it was last changed.
    pub mtime: Mtime,
    /// Bytes when the file was opened; `None` where that is not known; 0 for folders and links.
    pub size: Option<u64>,
    /// Of a link, and only of a link.
    pub target: Option<Target>,
}

impl Entry {
    /// Whether the fields fit together.
    ///
    /// # Errors
    /// [`ArchiveFault::EntryField`], and [`ArchiveFault::PathLimit`] for a path that can only be listed.
    pub fn check(&self) -> Result<(), ArchiveFault> {
        // [S6.2]
        if !self.path.is_within_limits() {
            return Err(ArchiveFault::PathLimit);
        }
        let fits = self.mode <= 0o777
            && self.mtime.nanos < NANOS_PER_SECOND
            && self.target.is_some() == (self.kind == EntryKind::Link)
            && match self.kind {
                EntryKind::File => self.size != Some(SIZE_UNKNOWN),
                EntryKind::Folder | EntryKind::Link => self.size == Some(0),
            };
        if fits { Ok(()) } else { Err(ArchiveFault::EntryField) }
    }

    fn wire(&self) -> EntryWire<'_> {
        EntryWire {
            path: slice(self.path.as_bytes()),
            kind: self.kind.number(),
            mode: self.mode,
            seconds: self.mtime.seconds,
            nanos: self.mtime.nanos,
            size: self.size.unwrap_or(SIZE_UNKNOWN),
            target: self.target.as_ref().map(|target| slice(target.as_bytes())),
        }
    }

    fn of_wire(wire: &EntryWire<'_>) -> Result<Self, ArchiveFault> {
        let path = EntryPath::parse(wire.path)?;
        let target = wire.target.map(|target| Target::parse(target, &path)).transpose()?;
        let kind = EntryKind::of_number(wire.kind).ok_or(ArchiveFault::EntryField)?;
        let mtime = Mtime { seconds: wire.seconds, nanos: wire.nanos };
        let size = (wire.size != SIZE_UNKNOWN).then_some(wire.size);
        let entry = Self { path, kind, mode: wire.mode, mtime, size, target };
        entry.check()?;
        Ok(entry)
    }
}

#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
struct EntryWire<'b> {
    #[b(0)]
    path: &'b ByteSlice,
    #[n(1)]
    kind: u8,
    #[n(2)]
    mode: u32,
    #[n(3)]
    seconds: i64,
    #[n(4)]
    nanos: u32,
    #[n(5)]
    size: u64,
    #[b(6)]
    target: Option<&'b ByteSlice>,
}

impl<C> minicbor::Encode<C> for Entry {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        self.wire().encode(e, ctx)
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Entry {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::of_wire(&EntryWire::decode(d, ctx)?).map_err(decode_error)
    }
}

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryEnd {
    /// Everything has been read, and nothing changed meanwhile.
    Whole {
        /// Bytes.
        size: u64,
        /// Of these bytes.
        hash: ContentHash,
    },
    /// It changed while it was read; nothing of it counts.
    Void,
}

impl<C> minicbor::Encode<C> for EntryEnd {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Whole { size, hash } => e.array(3)?.u8(0)?.u64(*size)?.bytes(&hash.0)?.ok(),
            Self::Void => e.array(1)?.u8(1)?.ok(),
        }
    }
}

impl<'b, C> minicbor::Decode<'b, C> for EntryEnd {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        match (d.array()?, d.u8()?) {
            (Some(3), 0) => Ok(Self::Whole { size: d.u64()?, hash: d.decode_with(ctx)? }),
            (Some(1), 1) => Ok(Self::Void),
            _ => Err(decode_error(ArchiveFault::ItemEncoding)),
        }
    }
}

/// Why something is listed and not in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It may not be read.
    NotReadable,
    /// It was there when the plan was made, and then not.
    Vanished,
    /// It changed at every attempt.
    KeptChanging,
    /// It is a device, socket or fifo.
    NotAFile,
    /// It is a link that leaves the root.
    LinkLeaves,
    /// Reading failed.
    ReadError,
    /// Its name is too long or it lies too deep.
    NameLimit,
}

impl Reason {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 7] = [
        Self::NotReadable,
        Self::Vanished,
        Self::KeptChanging,
        Self::NotAFile,
        Self::LinkLeaves,
        Self::ReadError,
        Self::NameLimit,
    ];

    /// The number that travels.
    pub fn number(self) -> u8 {
        match self {
            Self::NotReadable => 0,
            Self::Vanished => 1,
            Self::KeptChanging => 2,
            Self::NotAFile => 3,
            Self::LinkLeaves => 4,
            Self::ReadError => 5,
            Self::NameLimit => 6,
        }
    }

    /// The reason of a number.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }
}

/// Something that is listed and not in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Its path; its last component may exceed the limits if that is the reason.
    pub path: EntryPath,
    /// Why.
    pub reason: Reason,
}

impl Exception {
    pub(super) fn parse(path: &[u8], reason: u8) -> Result<Self, ArchiveFault> {
        // [S6.5]
        let reason = Reason::of_number(reason).ok_or(ArchiveFault::EntryField)?;
        let path = match reason {
            Reason::NameLimit => EntryPath::parse_listed(path)?,
            _ => EntryPath::parse(path)?,
        };
        Ok(Self { path, reason })
    }

    /// Whether path and reason fit together.
    ///
    /// # Errors
    /// [`ArchiveFault::PathLimit`] for a path above the limits without that being the reason.
    pub fn check(&self) -> Result<(), ArchiveFault> {
        if self.reason == Reason::NameLimit || self.path.is_within_limits() {
            return Ok(());
        }
        Err(ArchiveFault::PathLimit)
    }
}

#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
struct ExceptionWire<'b> {
    #[b(0)]
    path: &'b ByteSlice,
    #[n(1)]
    reason: u8,
}

/// One item, its data still in the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemRef<'a> {
    /// A file begins, or a folder or link is.
    Entry(Entry),
    /// Bytes of the current file, 1 to a piece.
    Data(&'a [u8]),
    /// The current file ends.
    End(EntryEnd),
    /// Something is listed.
    Exception(Exception),
    /// A part of the catalogue.
    Page(Page),
}

/// An item and where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// Bytes of the raw frame before it.
    pub offset: u32,
    /// The item.
    pub item: ItemRef<'a>,
}

/// Appends an Entry.
pub fn write_entry(entry: &Entry, out: &mut Vec<u8>) {
    write_body(TAG_ENTRY, &codec::encode(entry), out);
}

/// Appends an EntryEnd.
pub fn write_end(end: &EntryEnd, out: &mut Vec<u8>) {
    write_body(TAG_END, &codec::encode(end), out);
}

/// Appends an Exception.
pub fn write_exception(exception: &Exception, out: &mut Vec<u8>) {
    let wire = ExceptionWire { path: slice(exception.path.as_bytes()), reason: exception.reason.number() };
    write_body(TAG_EXCEPTION, &codec::encode(&wire), out);
}

/// Appends a Page.
pub fn write_page(page: &Page, out: &mut Vec<u8>) {
    write_body(TAG_PAGE, &codec::encode(page), out);
}

/// Appends Data.
pub fn write_data(data: &[u8], out: &mut Vec<u8>) {
    write_body(TAG_DATA, data, out);
}

/// The head of Data of this length.
pub(super) fn data_head(bytes: usize) -> [u8; ITEM_HEAD_BYTES] {
    head(TAG_DATA, bytes)
}

/// The head of a Page of this length.
pub(super) fn page_head(bytes: usize) -> [u8; ITEM_HEAD_BYTES] {
    head(TAG_PAGE, bytes)
}

fn write_body(tag: u8, body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&head(tag, body.len()));
    out.extend_from_slice(body);
}

fn head(tag: u8, bytes: usize) -> [u8; ITEM_HEAD_BYTES] {
    // [S6.1] Every body is far below 4 GiB: see the limits.
    let [a, b, c, d] = (bytes as u32).to_be_bytes();
    [tag, a, b, c, d]
}

/// Reads the items of a raw frame, in order.
///
/// # Errors
/// It gives one fault and then ends.
pub fn items(raw: &[u8]) -> Items<'_> {
    Items { raw, offset: 0 }
}

/// Reads the items of a raw frame; made by [`items`].
#[derive(Clone, Debug)]
pub struct Items<'a> {
    raw: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Found<'a>, ArchiveFault>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.raw.get(self.offset..).filter(|rest| !rest.is_empty())?;
        match read_item(rest) {
            Ok((item, bytes)) => {
                // A raw frame is far below 4 GiB.
                let offset = self.offset as u32;
                self.offset += bytes;
                Some(Ok(Found { offset, item }))
            }
            Err(fault) => {
                self.offset = self.raw.len();
                Some(Err(fault))
            }
        }
    }
}

/// The first item of these bytes, and how many it takes.
fn read_item(bytes: &[u8]) -> Result<(ItemRef<'_>, usize), ArchiveFault> {
    let (&[tag, a, b, c, d], rest) = bytes.split_first_chunk().ok_or(ArchiveFault::ItemLength)?;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    let length_max = match tag {
        TAG_ENTRY => ENTRY_BYTES_MAX,
        TAG_DATA => limits::PIECE_BYTES,
        TAG_END => END_BYTES_MAX,
        TAG_EXCEPTION => EXCEPTION_BYTES_MAX,
        TAG_PAGE => limits::PAGE_BYTES_MAX,
        _ => return Err(ArchiveFault::ItemTag), // [S6.1]
    };
    let body = rest.get(..length).filter(|_| length <= length_max).ok_or(ArchiveFault::ItemLength)?; // [S3.1]
    let item = match tag {
        TAG_ENTRY => ItemRef::Entry(Entry::of_wire(&decode(body)?)?),
        TAG_DATA if body.is_empty() => return Err(ArchiveFault::DataLength), // [S6.3]
        TAG_DATA => ItemRef::Data(body),
        TAG_END => ItemRef::End(decode(body)?),
        TAG_EXCEPTION => {
            let wire: ExceptionWire<'_> = decode(body)?;
            ItemRef::Exception(Exception::parse(wire.path, wire.reason)?)
        }
        _ => ItemRef::Page(Page::decode(body)?),
    };
    Ok((item, ITEM_HEAD_BYTES + length))
}

/// Heads of CBOR strings and numbers around path and target.
const FIELDS_BYTES_MAX: usize = 64;
const ENTRY_BYTES_MAX: usize = limits::PATH_BYTES_MAX + limits::TARGET_BYTES_MAX + FIELDS_BYTES_MAX;
const END_BYTES_MAX: usize = FIELDS_BYTES_MAX;
const EXCEPTION_BYTES_MAX: usize = limits::PATH_BYTES_MAX + limits::LISTED_COMPONENT_BYTES_MAX + FIELDS_BYTES_MAX;

fn decode<'b, T: minicbor::Decode<'b, ()> + minicbor::Encode<()>>(body: &'b [u8]) -> Result<T, ArchiveFault> {
    codec::decode(body).or(Err(ArchiveFault::ItemEncoding)) // [S2.2]
}
