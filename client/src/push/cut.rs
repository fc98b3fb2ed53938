//! Cutting frames into blocks and sealing them; entries get their places here; padding and tail at the end.
//!
//! # Source
//! SPEC \[S8\] [S9.3] [S9.4] [S14.4].

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};

use bytes::Bytes;
use handover_shared::archive::ArchiveFault;
use handover_shared::archive::block::{self, Ending};
use handover_shared::archive::catalogue::{Places, Tail};
use handover_shared::archive::frame::Packed;
use handover_shared::archive::inventory::{InventoryBuilder, InventorySalt};
use handover_shared::archive::manifest::Counts;
use handover_shared::archive::stream::{Cut as CutBlock, Cutter};
use handover_shared::archive::writer::FrameNotes;
use handover_shared::ids::{BlockCount, BlockIndex, BlockSize, Root, TransferId};
use handover_shared::keys::{Entropy, OsEntropy, Secret};

use super::frames::Fed;
use super::journal::{Mark, Point, RecordsReader, RecordsWriter, Resumption};
use super::keep::{Item, Keeper, Sealed};
use super::pipeline::{PATIENCE, Shared, Stopped};
use super::source::Signature;
use super::statements::Sealer;
use crate::error::Error;

/// The step, before it starts.
pub(super) struct Cut {
    pub packed: Receiver<Fed>,
    pub keep: Keeper,
    /// Buffers go back to the reading step.
    pub give_back: Sender<Vec<u8>>,
    pub records: RecordsWriter,
    pub sealer: Sealer,
    pub transfer: TransferId,
    pub size: BlockSize,
    pub block_key: Secret<32>,
    pub inventory_salt: InventorySalt,
    pub shared: Arc<Shared>,
}

/// The step at work.
struct Cutting {
    step: Cut,
    cutter: Cutter,
    places: Places,
    /// Behind the last frame that was given to the cutter.
    last: Option<Box<Point>>,
    /// Frames given to the cutter that no block has been cut behind yet.
    uncut_frames: u64,
    /// Blocks of the stream, if the whole of it was made by an earlier run.
    stream_blocks: Option<u64>,
}

impl Cut {
    pub(super) fn run(self, from: &Resumption) -> Result<(), Stopped> {
        let stream_blocks =
            from.point.as_ref().filter(|(_, point)| point.state.is_complete()).map(|(blocks, _)| blocks.0);
        let places = from.point.as_ref().map_or_else(Places::new, |(_, point)| point.places.clone());
        let mut cutting = Cutting {
            cutter: Cutter::start(self.size, from.durable.end()),
            places,
            last: None,
            uncut_frames: 0,
            stream_blocks,
            step: self,
        };
        loop {
            match cutting.step.packed.recv_timeout(PATIENCE) {
                Ok(Fed::Frame { packed, notes, signature }) => {
                    let packed = packed.recv().or(Err(Stopped::Unwanted))?.map_err(internal)?;
                    cutting.frame(packed, *notes, signature)?;
                }
                Ok(Fed::Flush) => cutting.flush()?,
                Ok(Fed::EntriesOver(answer)) => {
                    cutting.step.records.flush()?;
                    answer.send(cutting.step.records.bytes()).or(Err(Stopped::Unwanted))?;
                }
                Ok(Fed::Over { counts, root }) => return cutting.finish(counts, root),
                Err(RecvTimeoutError::Timeout) if cutting.step.shared.is_halted() => return Err(Stopped::Unwanted),
                Err(RecvTimeoutError::Timeout) => {}
                // Whoever fed this step has failed and says so itself.
                Err(RecvTimeoutError::Disconnected) => return Err(Stopped::Unwanted),
            }
        }
    }
}

impl Cutting {
    fn frame(&mut self, packed: Packed, notes: FrameNotes, signature: Option<Signature>) -> Result<(), Stopped> {
        let mut cuts = Vec::new();
        let location = self.cutter.frame(&packed, &mut cuts).map_err(too_large)?;
        // Nobody reading any more is no reason to stop: the reader has ended before this step.
        drop(self.step.give_back.send(packed.into_buffer()));
        let state = notes.after.clone();
        for listed in self.places.frame(notes, location).map_err(internal)? {
            self.step.records.add(&listed)?;
        }
        let point =
            Box::new(Point { state, places: self.places.clone(), records_bytes: self.step.records.bytes(), signature });
        let before = self.last.replace(point);
        let mut ended_before = self.uncut_frames;
        self.uncut_frames += 1;
        for cut in cuts {
            // The last frame that ends in this block: this one, or the one before it. [S14.4]
            let point = match cut.frames_ended {
                0 => None,
                ended if ended > ended_before => self.last.clone(),
                _ => before.clone(),
            };
            ended_before = ended_before.saturating_sub(cut.frames_ended);
            self.uncut_frames = self.uncut_frames.saturating_sub(cut.frames_ended);
            self.seal_cut(cut, point)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        let Some(cut) = self.cutter.flush().map_err(too_large)? else { return Ok(()) };
        let point = if cut.frames_ended > 0 { self.last.clone() } else { None };
        self.uncut_frames = 0;
        self.seal_cut(cut, point)
    }

    fn seal_cut(&mut self, cut: CutBlock, point: Option<Box<Point>>) -> Result<(), Stopped> {
        self.step.records.flush()?;
        self.seal(cut.block, &cut.payload, point, None)?;
        self.cutter.recycle(cut.payload);
        Ok(())
    }

    fn seal(
        &self,
        index: BlockIndex,
        payload: &[u8],
        point: Option<Box<Point>>,
        total: Option<BlockCount>,
    ) -> Result<(), Stopped> {
        let mut salt = [0; block::SALT_BYTES];
        OsEntropy.fill(&mut salt);
        let mut sealed = Vec::with_capacity(self.step.size.sealed_bytes());
        block::seal_block(self.step.block_key.expose(), &self.step.transfer, index, salt, payload, &mut sealed);
        let mark = Mark { blocks: BlockCount(index.next().0), point, total };
        let item = Item::Block(Sealed { index, bytes: Bytes::from(sealed), mark });
        self.step.keep.send(item).or(Err(Stopped::Unwanted))
    }

    /// Padding and tail. [S8.5] [S9.4]
    fn finish(mut self, counts: Counts, root: Root) -> Result<(), Stopped> {
        self.flush()?;
        let next = self.cutter.next_block();
        let stream_blocks = self.stream_blocks.unwrap_or(next.0);
        let ending = Ending::of(stream_blocks).ok_or(ArchiveFault::BlockLimit).map_err(too_large)?;
        let total = ending.blocks();
        let catalogue = self.places.catalogue().ok_or(ArchiveFault::State).map_err(internal)?;
        let inventory = self.inventory()?;
        let (seal_text, seal_signature) = self.step.sealer.seal(counts, root, stream_blocks, &inventory)?;
        let tail = Tail { stream_blocks, counts, root, catalogue, seal_text, seal_signature };
        let padding = block::padding_payload(self.step.size);
        for index in (next.0..ending.tail().0).map(BlockIndex) {
            self.seal(index, &padding, None, None)?;
        }
        let payload = block::tail_payload(self.step.size, &tail).map_err(internal)?;
        self.seal(ending.tail(), &payload, None, Some(total))?;
        self.step.keep.send(Item::Last { total, counts }).or(Err(Stopped::Unwanted))
    }

    /// What the seal names of everything that was recorded, by this run and those before it. [S9.6]
    fn inventory(&mut self) -> Result<String, Stopped> {
        self.step.records.flush()?;
        let mut records = RecordsReader::open(self.step.records.path(), self.step.records.bytes(), 0)?;
        let mut inventory = InventoryBuilder::new(self.step.transfer, self.step.inventory_salt);
        while let Some(listed) = records.read()? {
            inventory.add(&listed.record);
        }
        Ok(inventory.finish())
    }
}

fn internal(fault: ArchiveFault) -> Stopped {
    Stopped::Failed(Error::Internal(fault.to_string()))
}

fn too_large(fault: ArchiveFault) -> Stopped {
    match fault {
        ArchiveFault::BlockLimit => Stopped::Failed(Error::Refused {
            fault: handover_shared::fault::Fault::TooLarge,
            number: Some(handover_shared::limits::BLOCKS_MAX),
            time: None,
        }),
        other => internal(other),
    }
}
