//! From the seller's files to sealed blocks, one small step at a time, with the real writer, packer, cutter and seal.

use std::collections::VecDeque;
use std::sync::Arc;

use handover_shared::archive::block::{self, Ending};
use handover_shared::archive::catalogue::{Listed, Places, Tail};
use handover_shared::archive::frame::{Level, Packer};
use handover_shared::archive::inventory::InventoryBuilder;
use handover_shared::archive::item::{Entry, EntryKind, Exception, Mtime, Reason};
use handover_shared::archive::path::EntryPath;
use handover_shared::archive::stream::{Cut, Cutter};
use handover_shared::archive::writer::{RawFrame, Writer, WriterState};
use handover_shared::codec;
use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, Digest, TransferId};
use handover_shared::keys::Entropy;
use handover_shared::keys::schedule::ContentKey;
use handover_shared::limits::{PIECE_BYTES, READ_ATTEMPTS_MAX};
use handover_shared::proof::{self, Identity, Kind, SealText};

use super::faults::Mutant;
use super::journal::{Mark, Point, Resumption};
use super::rng::Rng;
use super::source::{Planned, Signature, Source};

/// The size of every block in the simulated world.
pub const SIZE: BlockSize = BlockSize::Small;

/// A sealed block, and what must be durable before it leaves [S14.2].
#[derive(Debug)]
pub struct Made {
    pub index: BlockIndex,
    pub sealed: Arc<[u8]>,
    pub records: Vec<u8>,
    pub mark: Mark,
    pub seal: Option<Sealed>,
}

/// The statement at the end, and what it is about.
#[derive(Clone, Debug)]
pub struct Sealed {
    pub text: String,
    pub signature: String,
    pub listed: Vec<Listed>,
}

/// What does not change during a run.
pub struct Terms {
    pub transfer: TransferId,
    pub offer: Digest,
    pub key: ContentKey,
    pub identity: Identity,
    pub level: Level,
    /// A frame and a block are ended early, so many times in a hundred.
    pub flush_percent: u64,
    pub mutant: Option<Mutant>,
}

pub struct Packing {
    terms: Terms,
    plan: Vec<Planned>,
    writer: Option<Writer>,
    packer: Packer,
    cutter: Cutter,
    places: Places,
    list: Vec<Listed>,
    records_bytes: u64,
    unsaved: Vec<u8>,
    /// Of frames that have not ended in a block yet.
    waiting: VecDeque<Point>,
    signature: Option<Signature>,
    /// What has been read of the next piece.
    piece: Vec<u8>,
    stream_blocks: Option<u64>,
    made: VecDeque<Made>,
    total: Option<BlockCount>,
}

impl Packing {
    /// Goes on behind a point of the journal.
    pub fn start(terms: Terms, plan: Vec<Planned>, from: Resumption) -> Self {
        let state = from.point.as_ref().map_or_else(WriterState::default, |point| point.state.clone());
        let places = from.point.as_ref().map_or_else(Places::new, |point| point.places.clone());
        let stream_blocks = from.point_blocks.filter(|_| state.is_complete()).map(|blocks| blocks.0);
        let manifest_key = terms.key.manifest_key(&terms.transfer);
        Self {
            writer: Some(Writer::resume(manifest_key.expose(), state)),
            packer: Packer::new(terms.level).expect("a compressor"),
            cutter: Cutter::start(SIZE, from.durable.end()),
            places,
            records_bytes: from.point.as_ref().map_or(0, |point| point.records_bytes),
            signature: from.point.and_then(|point| point.signature),
            list: from.list,
            unsaved: Vec::new(),
            waiting: VecDeque::new(),
            piece: Vec::new(),
            stream_blocks,
            made: VecDeque::new(),
            total: None,
            plan,
            terms,
        }
    }

    /// The next block, if one is ready.
    pub fn next(&mut self) -> Option<Made> {
        self.made.pop_front()
    }

    /// How many blocks there are, once all of them are made and taken.
    pub fn total_if_taken(&self) -> Option<BlockCount> {
        self.total.filter(|_| self.made.is_empty())
    }

    /// Whether nothing more comes.
    pub fn is_over(&self) -> bool {
        self.total_if_taken().is_some()
    }

    /// Does one thing.
    pub fn step(&mut self, source: &Source, rng: &mut Rng, now: u64) {
        let Some(writer) = &mut self.writer else { return };
        if rng.percent(self.terms.flush_percent) {
            let frame = writer.flush();
            self.take(frame, rng);
            let cut = self.cutter.flush().expect("few blocks");
            self.keep(cut.into_iter().collect(), rng);
            return;
        }
        if writer.state().is_listing() {
            return self.list(rng, now);
        }
        let frame = self.entry(source, rng);
        self.take(frame, rng);
    }

    /// One call of the writer, or one read of the file under way.
    fn entry(&mut self, source: &Source, rng: &mut Rng) -> Option<RawFrame> {
        let writer = self.writer.as_mut()?;
        let next = usize::try_from(writer.state().finished()).expect("few entries");
        if writer.state().open().is_some() {
            return self.read(source, rng);
        }
        let voids = writer.state().voided().map_or(0, |voided| voided.voids());
        let frame = match self.plan.get(next) {
            None => writer.close_entries(),
            Some(Planned::Exception(path, reason)) => {
                writer.exception(Exception { path: path.clone(), reason: *reason })
            }
            Some(Planned::Entry(entry)) if entry.kind != EntryKind::File => writer.begin(entry.clone()),
            Some(Planned::Entry(entry)) if voids >= READ_ATTEMPTS_MAX => {
                writer.exception(Exception { path: entry.path.clone(), reason: Reason::KeptChanging })
            }
            Some(Planned::Entry(entry)) => match source.file(&entry.path) {
                None => writer.exception(Exception { path: entry.path.clone(), reason: Reason::Vanished }),
                Some(file) => {
                    self.signature = Some(file.signature);
                    self.piece.clear();
                    writer.begin(file_entry(entry, file.signature))
                }
            },
        };
        frame.expect("the plan keeps the rules")
    }

    /// Reads a little, and closes the file when all of it is read. [S14.5]
    fn read(&mut self, source: &Source, rng: &mut Rng) -> Option<RawFrame> {
        let writer = self.writer.as_mut()?;
        let open = writer.state().open()?;
        let (path, size, done): (EntryPath, _, _) =
            (open.entry().path.clone(), open.entry().size.unwrap_or(0), open.bytes());
        let file = source.file(&path);
        let is_same = file.map(|file| file.signature) == self.signature;
        let skips_the_look = self.terms.mutant == Some(Mutant::NoSecondLook);
        let Some(file) = file else {
            self.signature = None;
            return writer.void().expect("a file is open");
        };
        // A run that goes on with a file looks first whether it is the same.
        if self.signature.is_none() || (done == size && !is_same && !skips_the_look) {
            self.signature = None;
            return writer.void().expect("a file is open");
        }
        if done == size {
            self.signature = None;
            return match writer.end() {
                Ok(frame) => frame,
                Err(fault) => panic!("a file that did not change does not end: {fault}"),
            };
        }
        let wanted = (size - done).min(PIECE_BYTES as u64);
        let at = (done + self.piece.len() as u64) as usize;
        let missing = wanted as usize - self.piece.len();
        let some = rng.pick(&[missing, missing.div_ceil(2), missing.min(30_000)]);
        let Some(read) = file.bytes.get(at..at + some) else {
            // It is shorter than it was.
            self.signature = None;
            return writer.void().expect("a file is open");
        };
        self.piece.extend_from_slice(read);
        if self.piece.len() < wanted as usize {
            return None;
        }
        let piece = std::mem::take(&mut self.piece);
        writer.data(&piece).expect("within the size")
    }

    /// All records once more, then padding and tail. [S9.3] [S9.4]
    fn list(&mut self, rng: &mut Rng, now: u64) {
        let Some(writer) = &mut self.writer else { return };
        let listed = usize::try_from(writer.state().listed()).expect("few entries");
        let (root, counts) = (writer.root(), writer.state().counts());
        assert_eq!(self.list.len() as u64, writer.state().finished(), "the list has every record");
        for line in &self.list[listed..] {
            assert_eq!(writer.list(line).expect("the list is in order"), None, "few records");
        }
        let writer = self.writer.take();
        if self.stream_blocks.is_none() {
            let frames = writer.map(Writer::finish).expect("a writer").expect("the list is whole");
            frames.into_iter().for_each(|frame| self.take(Some(frame), rng));
            let cut = self.cutter.flush().expect("few blocks");
            self.keep(cut.into_iter().collect(), rng);
        }
        let next = self.cutter.next_block();
        let stream_blocks = self.stream_blocks.unwrap_or(next.0);
        let ending = Ending::of(stream_blocks).expect("few blocks");
        let transfer = self.terms.transfer;
        let mut inventory = InventoryBuilder::new(transfer, self.terms.key.inventory_salt(&transfer));
        self.list.iter().for_each(|listed| inventory.add(&listed.record));
        let text = SealText {
            transfer: self.terms.transfer,
            offer: self.terms.offer,
            root,
            inventory: proof::text_id(&inventory.finish()),
            entries: counts.entries(),
            files: counts.files,
            folders: counts.folders,
            links: counts.links,
            exceptions: counts.exceptions,
            bytes: counts.bytes,
            stream_blocks,
            sealed: handover_shared::ids::Millis(now).into(),
        }
        .to_text();
        let signature = proof::sign(Kind::Seal, &text, &self.terms.identity).expect("a signature");
        let seal = Sealed { text, signature, listed: self.list.clone() };
        let catalogue = self.places.catalogue().expect("the catalogue has a place");
        let tail = Tail {
            stream_blocks,
            counts,
            root,
            catalogue,
            seal_text: seal.text.clone(),
            seal_signature: seal.signature.clone(),
        };
        for index in (next.0..ending.tail().0).map(BlockIndex) {
            self.seal(index, &block::padding_payload(SIZE), None, None, None, rng);
        }
        let payload = block::tail_payload(SIZE, &tail).expect("a small tail");
        let total = ending.blocks();
        self.seal(ending.tail(), &payload, None, Some(total), Some(seal), rng);
        self.total = Some(total);
    }

    fn take(&mut self, frame: Option<RawFrame>, rng: &mut Rng) {
        let Some(RawFrame { bytes, notes }) = frame else { return };
        let mut cuts = Vec::new();
        let packed = self.packer.pack(bytes).expect("a frame");
        let location = self.cutter.frame(&packed, &mut cuts).expect("few blocks");
        let state = notes.after.clone();
        for listed in self.places.frame(notes, location).expect("frames in order") {
            let line = codec::encode(&listed);
            self.unsaved.extend((line.len() as u32).to_be_bytes());
            self.unsaved.extend(&line);
            self.records_bytes += 4 + line.len() as u64;
            self.list.push(listed);
        }
        let signature = state.open().and(self.signature);
        self.waiting.push_back(Point {
            state,
            places: self.places.clone(),
            records_bytes: self.records_bytes,
            signature,
        });
        self.keep(cuts, rng);
    }

    fn keep(&mut self, cuts: Vec<Cut>, rng: &mut Rng) {
        for cut in cuts {
            let mut point = None;
            for _ in 0..cut.frames_ended {
                point = self.waiting.pop_front();
            }
            self.seal(cut.block, &cut.payload, point, None, None, rng);
        }
    }

    fn seal(
        &mut self,
        index: BlockIndex,
        payload: &[u8],
        point: Option<Point>,
        total: Option<BlockCount>,
        seal: Option<Sealed>,
        rng: &mut Rng,
    ) {
        let mut sealed = Vec::with_capacity(SIZE.sealed_bytes());
        let key = self.terms.key.block_key(&self.terms.transfer);
        let salt = (rng as &mut dyn Entropy).array();
        block::seal_block(key.expose(), &self.terms.transfer, index, salt, payload, &mut sealed);
        let mark = Mark { blocks: BlockCount(index.next().0), point: point.map(Box::new), total };
        let records = std::mem::take(&mut self.unsaved);
        self.made.push_back(Made { index, sealed: sealed.into(), records, mark, seal });
    }
}

fn file_entry(planned: &Entry, signature: Signature) -> Entry {
    let mtime = Mtime { seconds: (signature.mtime / 1000) as i64, nanos: 7 };
    Entry { size: Some(signature.size), mtime, ..planned.clone() }
}
