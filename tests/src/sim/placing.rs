//! From sealed blocks to files in their places, one small step at a time, with the real block, frame and item readers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use handover_shared::archive::ArchiveFault;
use handover_shared::archive::block::OpenedBlock;
use handover_shared::archive::catalogue::Tail;
use handover_shared::archive::frame::Unpacker;
use handover_shared::archive::item::Entry;
use handover_shared::archive::manifest::Record;
use handover_shared::archive::reader::{Event, Reader, ReaderState};
use handover_shared::archive::stream::{FrameReader, Position, Taken};
use handover_shared::codec;
use handover_shared::ids::{BlockIndex, TransferId};
use handover_shared::keys::schedule::ContentKey;

use super::disk::SimDisk;
use super::faults::Mutant;
use super::model::Placed;
use super::packing::SIZE;

/// From where a run goes on [S15.3].
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub enum Checkpoint {
    #[n(0)]
    Stream(#[n(0)] Position, #[n(1)] Box<ReaderState>),
    /// The archive came whole; this is its tail.
    #[n(1)]
    Whole(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
}

/// One thing to be done on the disk.
enum Op {
    Begin(Entry),
    Data(Vec<u8>),
    Sync,
    End(Record),
    Name(Record),
    Void,
    Folder(Record),
    Link(Record),
    Listed,
    Frame(Box<Checkpoint>),
    Tail(Vec<u8>),
}

/// What a step came to.
pub enum Outcome {
    Nothing,
    /// Everything up to here is written, though not synced.
    Frame(Box<Checkpoint>),
    /// The archive is whole.
    Whole(Vec<u8>),
}

enum Part {
    None,
    Open(String),
    /// An earlier run finished it after its last checkpoint, or gave it up.
    Elsewhere,
}

pub struct Placing {
    transfer: TransferId,
    key: ContentKey,
    frames: FrameReader,
    reader: Reader,
    unpacker: Unpacker,
    next: BlockIndex,
    ops: VecDeque<Op>,
    part: Part,
    ordinal: u64,
    mutant: Option<Mutant>,
}

impl Placing {
    /// Goes on behind a checkpoint.
    pub fn start(transfer: TransferId, key: ContentKey, from: Option<Checkpoint>, disk: &mut SimDisk) -> Self {
        let manifest_key = key.manifest_key(&transfer);
        let (frames, reader) = match from {
            Some(Checkpoint::Stream(position, state)) => {
                (FrameReader::resume(position), Reader::resume(manifest_key.expose(), *state))
            }
            _ => (FrameReader::new(), Reader::new(manifest_key.expose())),
        };
        let mut placing = Self {
            transfer,
            key,
            next: frames.position().block(),
            frames,
            reader,
            unpacker: Unpacker::new().expect("a decompressor"),
            ops: VecDeque::new(),
            part: Part::None,
            ordinal: 0,
            mutant: None,
        };
        placing.ordinal = placing.reader.state().counts().records();
        if let Some(open) = placing.reader.state().open() {
            let name = placing.part_name();
            let has_all = disk.read(&name).is_some_and(|bytes| bytes.len() as u64 >= open.bytes());
            placing.part = if has_all {
                disk.truncate(&name, open.bytes() as usize);
                Part::Open(name)
            } else {
                Part::Elsewhere
            };
        }
        placing
    }

    /// Makes it break a rule.
    pub fn breaks(&mut self, mutant: Option<Mutant>) {
        self.mutant = mutant;
    }

    pub fn is_busy(&self) -> bool {
        !self.ops.is_empty()
    }

    /// Opens a block and finds what is to be done about it.
    pub fn open(&mut self, index: BlockIndex, sealed: &Arc<[u8]>) -> Result<(), ArchiveFault> {
        if index != self.next {
            return Ok(());
        }
        let block_key = self.key.block_key(&self.transfer);
        let opened = OpenedBlock::open(block_key.expose(), &self.transfer, index, SIZE, sealed.to_vec())?;
        let mut frames = Vec::new();
        let taken = self.frames.push(index, &opened.payload(), &mut frames)?;
        self.next = index.next();
        for found in frames {
            let raw = self.unpacker.unpack(found.frame)?;
            for event in self.reader.frame(found.location, &raw) {
                self.ops.extend(op_of(event?));
            }
            let checkpoint = Checkpoint::Stream(found.after, Box::new(self.reader.state().clone()));
            self.ops.push_back(Op::Frame(Box::new(checkpoint)));
        }
        if let Taken::Tail(tail) = taken {
            let stream_blocks = self.frames.stream_blocks().ok_or(ArchiveFault::BlockOrder)?;
            self.reader.finish(&Tail::parse(tail)?, stream_blocks)?; // [S9.5]
            self.ops.push_back(Op::Tail(tail.to_vec()));
        }
        Ok(())
    }

    /// Does one thing on the disk.
    pub fn step(&mut self, disk: &mut SimDisk) -> Result<Outcome, String> {
        let Some(op) = self.ops.pop_front() else { return Ok(Outcome::Nothing) };
        match op {
            Op::Begin(entry) => {
                let is_early = self.mutant == Some(Mutant::NameBeforeVerified);
                let name = if is_early { file_name(entry.path.as_bytes()) } else { self.part_name() };
                disk.write(&name, &[]);
                self.part = Part::Open(name);
            }
            Op::Data(bytes) => {
                if let Part::Open(name) = &self.part {
                    disk.append(name, &bytes);
                }
            }
            Op::End(record) => {
                self.ops.push_front(Op::Name(record));
                if self.mutant != Some(Mutant::NameBeforeSync) {
                    self.ops.push_front(Op::Sync);
                }
            }
            Op::Sync => {
                if let Part::Open(name) = &self.part {
                    disk.sync(name);
                }
            }
            Op::Name(record) => {
                self.name(disk, &record)?;
                self.ordinal += 1;
            }
            Op::Void => {
                if let Part::Open(name) = std::mem::replace(&mut self.part, Part::None) {
                    disk.remove(&name);
                }
            }
            Op::Folder(record) => self.make(disk, &folder_name(record.path.as_bytes()), &[])?,
            Op::Link(record) => {
                let target = record.target.as_ref().map_or(&[][..], |target| target.as_bytes());
                self.make(disk, &link_name(record.path.as_bytes()), target)?;
            }
            Op::Listed => self.ordinal += 1,
            Op::Frame(checkpoint) => return Ok(Outcome::Frame(checkpoint)),
            Op::Tail(tail) => return Ok(Outcome::Whole(tail)),
        }
        Ok(Outcome::Nothing)
    }

    /// Gives a verified file its name, unless an earlier run has done so. [S15.2] [S15.6]
    fn name(&mut self, disk: &mut SimDisk, record: &Record) -> Result<(), String> {
        let path = record.path.as_bytes();
        let name = file_name(path);
        let part = std::mem::replace(&mut self.part, Part::None);
        let is_same = |bytes: &[u8]| record.hash.is_some_and(|hash| hash.0 == *blake3::hash(bytes).as_bytes());
        match (disk.read(&name), part) {
            (Some(_), Part::Open(part)) if part == name => {}
            (Some(bytes), part) if is_same(bytes) => {
                if let Part::Open(part) = part {
                    disk.remove(&part);
                }
            }
            (None, Part::Open(part)) => disk.rename(&part, &name),
            (Some(_), _) => return Err(format!("[S15.2] another {} has its name", String::from_utf8_lossy(path))),
            (None, _) => return Err(format!("[S15.3] {} is lost", String::from_utf8_lossy(path))),
        }
        Ok(())
    }

    fn make(&mut self, disk: &mut SimDisk, name: &str, bytes: &[u8]) -> Result<(), String> {
        match disk.read(name) {
            None => disk.make_whole(name, bytes),
            Some(found) if found == bytes => {}
            Some(_) => return Err(format!("something else is {name}")),
        }
        self.ordinal += 1;
        Ok(())
    }

    fn part_name(&self) -> String {
        format!(".handover/part-{}", self.ordinal)
    }
}

fn op_of(event: Event<'_>) -> Option<Op> {
    Some(match event {
        Event::FileBegin(entry) => Op::Begin(entry),
        Event::Data { bytes, .. } => Op::Data(bytes.to_vec()),
        Event::FileEnd(record) => Op::End(record),
        Event::FileVoid(_) => Op::Void,
        Event::Folder(record) => Op::Folder(record),
        Event::Link(record) => Op::Link(record),
        Event::Exception(_) => Op::Listed,
        Event::Page(_) => return None,
    })
}

const FILES: &str = "out/file/";
const FOLDERS: &str = "out/folder/";
const LINKS: &str = "out/link/";

fn file_name(path: &[u8]) -> String {
    format!("{FILES}{}", String::from_utf8_lossy(path))
}

fn folder_name(path: &[u8]) -> String {
    format!("{FOLDERS}{}", String::from_utf8_lossy(path))
}

fn link_name(path: &[u8]) -> String {
    format!("{LINKS}{}", String::from_utf8_lossy(path))
}

/// Whether only what survives everything is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Now,
    Surely,
}

/// Everything with its final name.
pub fn placed(disk: &SimDisk, look: Look) -> BTreeMap<Vec<u8>, Placed> {
    let read = |name: &str| match look {
        Look::Now => disk.read(name),
        Look::Surely => disk.surely(name),
    };
    let mut placed = BTreeMap::new();
    for (prefix, kind) in [(FILES, 0), (FOLDERS, 1), (LINKS, 2)] {
        for name in disk.names(prefix) {
            let Some(bytes) = read(&name) else { continue };
            let thing = match kind {
                0 => Placed::File(bytes.to_vec()),
                1 => Placed::Folder,
                _ => Placed::Link(bytes.to_vec()),
            };
            placed.insert(name.as_bytes()[prefix.len()..].to_vec(), thing);
        }
    }
    placed
}

/// Reads a checkpoint.
pub fn checkpoint_of(bytes: &[u8]) -> Checkpoint {
    codec::decode(bytes).expect("what was written")
}
