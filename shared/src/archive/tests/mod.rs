//! A seller and a buyer in memory, driven as the pipelines of the client drive the archive, and the tests that need both.

mod any;
mod bytes;
mod journey;
mod order;
mod refusals;
mod speed;

use std::collections::{BTreeMap, VecDeque};

use super::block::{Ending, OpenedBlock, SALT_BYTES, padding_payload, seal_block, tail_payload};
use super::catalogue::{Listed, Location, Places, Tail};
use super::fault::ArchiveFault;
use super::frame::{Level, Packer, Unpacker};
use super::item::{Entry, EntryKind, Exception, Mtime, Reason};
use super::manifest::{Counts, Record};
use super::path::{EntryPath, Target};
use super::reader::{Event, Reader, ReaderState, Whole};
use super::stream::{Cutter, FrameReader, Position, Taken};
use super::writer::{RawFrame, Writer, WriterState};
use crate::codec;
use crate::ids::{BlockIndex, BlockSize, Root, TransferId};
use crate::limits::PIECE_BYTES;

pub const MANIFEST_KEY: [u8; 32] = [7; 32];
pub const BLOCK_KEY: [u8; 32] = [8; 32];
pub const TRANSFER: TransferId = TransferId([9; 16]);

/// What is at a path, as the seller finds it and the buyer should have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    Folder,
    Link(Vec<u8>),
    File(Vec<u8>),
    Exception(Reason),
}

/// A line of the plan.
#[derive(Clone)]
pub struct Planned {
    pub path: Vec<u8>,
    pub thing: Thing,
    /// Whether a file's size is told when it begins.
    pub size: SizeIs,
    /// How often the file ends void before it ends whole, or before it is an exception.
    pub voids: u32,
}

impl std::fmt::Debug for Planned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let thing = match &self.thing {
            Thing::File(bytes) => format!("file of {} bytes, {:?}", bytes.len(), self.size),
            other => format!("{other:?}"),
        };
        write!(f, "{}: {thing}, {} voids", self.path.escape_ascii(), self.voids)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeIs {
    Known,
    Unknown,
}

impl Planned {
    pub fn new(path: &str, thing: Thing) -> Self {
        Self { path: path.as_bytes().to_vec(), thing, size: SizeIs::Known, voids: 0 }
    }

    fn entry_path(&self) -> EntryPath {
        EntryPath::parse(&self.path).unwrap()
    }

    fn entry(&self) -> Entry {
        let path = self.entry_path();
        let (kind, size, target) = match &self.thing {
            Thing::Folder => (EntryKind::Folder, Some(0), None),
            Thing::Link(target) => (EntryKind::Link, Some(0), Some(Target::parse(target, &path).unwrap())),
            Thing::File(bytes) => {
                let size = (self.size == SizeIs::Known).then_some(bytes.len() as u64);
                (EntryKind::File, size, None)
            }
            Thing::Exception(_) => (EntryKind::File, None, None),
        };
        Entry { path, kind, mode: 0o644, mtime: Mtime { seconds: -5, nanos: 999_999_999 }, size, target }
    }
}

pub fn file(path: &str, bytes: impl Into<Vec<u8>>) -> Planned {
    Planned::new(path, Thing::File(bytes.into()))
}

pub fn folder(path: &str) -> Planned {
    Planned::new(path, Thing::Folder)
}

pub fn link(path: &str, target: &str) -> Planned {
    Planned::new(path, Thing::Link(target.as_bytes().to_vec()))
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(bytes).collect()
}

/// Rows as customer tables have them.
pub fn table(seed: u64, bytes: usize) -> Vec<u8> {
    let row = |i: u64| format!("{},张伟,{:08},2026-11-{:02},Guangzhou\n", i, i * 7919 % 100_000_007, i % 28 + 1);
    (seed..).flat_map(|i| row(i).into_bytes()).take(bytes).collect()
}

/// What a journal keeps of a frame.
#[derive(Clone)]
struct Mark {
    state: Vec<u8>,
    places: Vec<u8>,
    listed: usize,
    ends_in: BlockIndex,
}

/// A seller with its disk: the plan, the journal, the list; and the blocks that the relay has made durable.
pub struct Seller {
    pub plan: Vec<Planned>,
    pub size: BlockSize,
    pub level: Level,
    /// A frame is ended early after every so many calls.
    pub flush_every: usize,
    pub payloads: Vec<Vec<u8>>,
    pub list: Vec<Listed>,
    pub raw_frames: Vec<(Location, Vec<u8>)>,
    marks: Vec<Mark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// So many blocks have been cut.
    Blocks(usize),
    End,
}

impl Seller {
    pub fn new(plan: Vec<Planned>) -> Self {
        Self {
            plan,
            size: BlockSize::Small,
            level: Level::STORED,
            flush_every: usize::MAX,
            payloads: Vec::new(),
            list: Vec::new(),
            raw_frames: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// The machine dies; the relay has so many blocks.
    pub fn crash(&mut self, durable: usize) {
        self.payloads.truncate(durable);
        self.marks.retain(|mark| mark.ends_in.0 < durable as u64);
        self.list.truncate(self.marks.last().map_or(0, |mark| mark.listed));
        self.raw_frames.truncate(self.marks.len());
    }

    /// Goes on from the last mark; gives root and counts once everything is sealed.
    pub fn run(&mut self, until: Until) -> Option<(Root, Counts)> {
        let (state, places) = match self.marks.last() {
            Some(mark) => (codec::decode(&mark.state).unwrap(), codec::decode(&mark.places).unwrap()),
            None => (WriterState::default(), Places::new()),
        };
        let mut run = Run {
            writer: Writer::resume(&MANIFEST_KEY, state),
            packer: Packer::new(self.level).unwrap(),
            cutter: Cutter::start(self.size, BlockIndex(self.payloads.len() as u64)),
            places,
            waiting: VecDeque::new(),
        };
        let mut calls = 0;
        while !run.writer.state().is_listing() {
            let frame = self.step(&mut run.writer);
            self.take(&mut run, frame);
            calls += 1;
            if calls % self.flush_every == 0 {
                let frame = run.writer.flush();
                self.take(&mut run, frame);
                // A slow producer: what there is goes out as a short block, and the section goes on.
                let cut = run.cutter.flush().unwrap();
                self.keep(&mut run, cut.into_iter().collect());
            }
            if matches!(until, Until::Blocks(blocks) if self.payloads.len() >= blocks) {
                return None;
            }
        }
        let (root, counts) = (run.writer.root(), run.writer.state().counts());
        assert_eq!(self.list.len() as u64, run.writer.state().finished());
        for number in run.writer.state().listed() as usize..self.list.len() {
            let frame = run.writer.list(&self.list[number]).unwrap();
            self.take(&mut run, frame);
        }
        let writer = std::mem::replace(&mut run.writer, Writer::new(&MANIFEST_KEY));
        for frame in writer.finish().unwrap() {
            self.take(&mut run, Some(frame));
        }
        if let Some(cut) = run.cutter.flush().unwrap() {
            self.keep(&mut run, vec![cut]);
        }
        assert!(run.waiting.is_empty());
        if matches!(until, Until::Blocks(_)) {
            return None;
        }
        self.end(root, counts, run.places.catalogue().unwrap());
        Some((root, counts))
    }

    fn step(&self, writer: &mut Writer) -> Option<RawFrame> {
        let state = writer.state();
        let next = usize::try_from(state.finished()).unwrap();
        if let Some(open) = state.open() {
            let planned = &self.plan[next];
            let bytes = match &planned.thing {
                Thing::File(bytes) => bytes.as_slice(),
                _ => b"this will change",
            };
            let rest = &bytes[open.bytes() as usize..];
            if open.voids() < planned.voids && open.bytes() >= bytes.len() as u64 / 2 {
                return writer.void().unwrap();
            }
            if rest.is_empty() {
                return writer.end().unwrap();
            }
            return writer.data(&rest[..rest.len().min(PIECE_BYTES)]).unwrap();
        }
        let voids = state.voided().map_or(0, |voided| voided.voids());
        let Some(planned) = self.plan.get(next) else { return writer.close_entries().unwrap() };
        match planned.thing {
            Thing::Exception(reason) if voids >= planned.voids => {
                writer.exception(Exception { path: planned.entry_path(), reason }).unwrap()
            }
            _ => writer.begin(planned.entry()).unwrap(),
        }
    }

    fn take(&mut self, run: &mut Run, frame: Option<RawFrame>) {
        let Some(RawFrame { bytes, notes }) = frame else { return };
        assert!(codec::encode(&notes.after).len() < 16 * 1024, "a state is small");
        let mut cuts = Vec::new();
        let packed = run.packer.pack(bytes.clone()).unwrap();
        let location = run.cutter.frame(&packed, &mut cuts).unwrap();
        self.raw_frames.push((location, bytes));
        let state = codec::encode(&notes.after);
        self.list.extend(run.places.frame(notes, location).unwrap());
        let places = codec::encode(&run.places);
        run.waiting.push_back(Mark { state, places, listed: self.list.len(), ends_in: location.block });
        self.keep(run, cuts);
    }

    fn keep(&mut self, run: &mut Run, cuts: Vec<super::stream::Cut>) {
        for cut in cuts {
            assert_eq!(cut.block.0, self.payloads.len() as u64);
            for _ in 0..cut.frames_ended {
                let mark = run.waiting.pop_front().unwrap();
                self.marks.push(Mark { ends_in: cut.block, ..mark });
            }
            self.payloads.push(cut.payload);
        }
    }

    fn end(&mut self, root: Root, counts: Counts, catalogue: Location) {
        let ending = Ending::of(self.payloads.len() as u64).unwrap();
        let tail = Tail {
            stream_blocks: self.payloads.len() as u64,
            counts,
            root,
            catalogue,
            seal_text: "seal".to_owned(),
            seal_signature: "signature".to_owned(),
        };
        for _ in ending.padding().0..ending.tail().0 {
            self.payloads.push(padding_payload(self.size));
        }
        self.payloads.push(tail_payload(self.size, &tail).unwrap());
        assert_eq!(self.payloads.len() as u64, ending.blocks().0);
    }

    pub fn sealed(&self) -> Vec<Vec<u8>> {
        let seal = |(index, payload): (usize, &Vec<u8>)| {
            let mut out = Vec::new();
            let salt = [index as u8; SALT_BYTES];
            seal_block(&BLOCK_KEY, &TRANSFER, BlockIndex(index as u64), salt, payload, &mut out);
            out
        };
        self.payloads.iter().enumerate().map(seal).collect()
    }
}

struct Run {
    writer: Writer,
    packer: Packer,
    cutter: Cutter,
    places: Places,
    /// Frames that have not ended in a block yet.
    waiting: VecDeque<Mark>,
}

/// A buyer with its disk.
#[derive(Default)]
pub struct Buyer {
    pub placed: BTreeMap<Vec<u8>, Thing>,
    pub records: Vec<Record>,
    pub listed: Vec<Listed>,
    current: Vec<u8>,
    checkpoint: Option<(Vec<u8>, Vec<u8>)>,
}

impl Buyer {
    /// Takes blocks until one is missing; gives the proof once the tail has come.
    pub fn run(&mut self, sealed: &[Vec<u8>], size: BlockSize) -> Result<Option<Whole>, ArchiveFault> {
        let open = |block: BlockIndex| {
            let sealed = sealed.get(block.0 as usize)?.clone();
            Some(OpenedBlock::open(&BLOCK_KEY, &TRANSFER, block, size, sealed))
        };
        let (mut frames, mut reader) = match &self.checkpoint {
            None => (FrameReader::new(), Reader::new(&MANIFEST_KEY)),
            Some((position, state)) => {
                let position: Position = codec::decode(position).unwrap();
                let state: ReaderState = codec::decode(state).unwrap();
                assert_eq!(state.open().map_or(0, |open| open.bytes()), self.current.len() as u64);
                (FrameReader::resume(position), Reader::resume(&MANIFEST_KEY, state))
            }
        };
        let mut unpacker = Unpacker::new().unwrap();
        let mut block = frames.position().block();
        let mut found = Vec::new();
        while let Some(opened) = open(block) {
            let opened = opened?;
            let payload = opened.payload();
            let taken = frames.push(block, &payload, &mut found)?;
            for frame in found.drain(..) {
                let raw = unpacker.unpack(frame.frame)?;
                for event in reader.frame(frame.location, &raw) {
                    self.place(event?);
                }
                self.checkpoint = Some((codec::encode(&frame.after), codec::encode(reader.state())));
                unpacker.recycle(raw);
            }
            if let Taken::Tail(tail) = taken {
                let stream_blocks = frames.stream_blocks().unwrap();
                return reader.finish(&Tail::parse(tail)?, stream_blocks).map(Some);
            }
            assert_eq!(taken == Taken::Padding, frames.stream_blocks().is_some());
            block = block.next();
            self.checkpoint = Some((codec::encode(&frames.position()), codec::encode(reader.state())));
        }
        Ok(None)
    }

    fn place(&mut self, event: Event<'_>) {
        match event {
            Event::FileBegin(_) => assert_eq!(self.current.len(), 0),
            Event::Data { offset, bytes } => {
                assert_eq!(offset, self.current.len() as u64);
                self.current.extend_from_slice(bytes);
            }
            Event::FileVoid(_) => self.current.clear(),
            Event::FileEnd(record) => {
                let bytes = std::mem::take(&mut self.current);
                assert_eq!(record.hash.unwrap().0, *blake3::hash(&bytes).as_bytes());
                self.keep(record, Thing::File(bytes));
            }
            Event::Folder(record) => self.keep(record, Thing::Folder),
            Event::Link(record) => {
                let target = record.target.as_ref().unwrap().as_bytes().to_vec();
                self.keep(record, Thing::Link(target));
            }
            Event::Exception(record) => {
                let thing = Thing::Exception(record.reason.unwrap());
                self.keep(record, thing);
            }
            Event::Page(page) => self.listed.extend(page.listed),
        }
    }

    fn keep(&mut self, record: Record, thing: Thing) {
        let before = self.placed.insert(record.path.as_bytes().to_vec(), thing);
        assert_eq!(before, None, "nothing is placed twice");
        self.records.push(record);
    }
}
