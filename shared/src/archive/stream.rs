//! The packed stream: frames cut into the payloads of equal blocks, and joined again.
//!
//! # Source
//! SPEC [S8.3] [S8.4] [S8.5].

use super::block::{Ending, PAYLOAD_HEAD_BYTES, Payload, PayloadKind, Start, payload_head};
use super::catalogue::Location;
use super::fault::ArchiveFault;
use super::frame::{FRAME_HEAD_BYTES, FrameHead, Packed};
use crate::ids::{BlockIndex, BlockSize};
use crate::limits;

/// One payload of the stream, ready to be sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Which block it is.
    pub block: BlockIndex,
    /// Exactly [`BlockSize::payload_bytes`].
    pub payload: Vec<u8>,
    /// How many frames, of those that had not ended yet, end within it.
    pub frames_ended: u64,
}

/// Cuts frames into payloads.
///
/// # Shape
/// Every byte of a frame is copied once, into the payload.
#[derive(Debug)]
pub struct Cutter {
    size: BlockSize,
    next: BlockIndex,
    start: Start,
    /// Head and used bytes so far; empty between blocks.
    payload: Vec<u8>,
    frames_ended: u64,
    spare: Vec<Vec<u8>>,
}

/// Buffers kept for use again.
const SPARE_MAX: usize = 4;

impl Cutter {
    /// Begins a section: the first payload is block `at` and fresh.
    pub fn start(size: BlockSize, at: BlockIndex) -> Self {
        // [S8.4] [S8.6] What is durable stays; a new run goes on behind it.
        Self { size, next: at, start: Start::Fresh, payload: Vec::new(), frames_ended: 0, spare: Vec::new() }
    }

    /// Takes the next frame; appends the payloads that it fills, and says where the frame begins.
    ///
    /// # Errors
    /// [`ArchiveFault::BlockLimit`] when the transfer would get too many blocks; the cutter is of no use then.
    pub fn frame(&mut self, frame: &Packed, cuts: &mut Vec<Cut>) -> Result<Location, ArchiveFault> {
        let offset = self.payload.len().saturating_sub(PAYLOAD_HEAD_BYTES) as u32;
        let location = Location { block: self.next, offset };
        let head = frame.head().to_bytes();
        self.append(&head, cuts)?;
        let (last, body) = frame.body().split_last().ok_or(ArchiveFault::FrameHead)?;
        self.append(body, cuts)?;
        // With the last byte, so that a frame which just fills a block counts as ended in it.
        self.frames_ended += 1;
        self.append(std::slice::from_ref(last), cuts)?;
        Ok(location)
    }

    /// The payload under way, shorter than it could be; nothing if there is none.
    ///
    /// # Errors
    /// As [`Cutter::frame`].
    pub fn flush(&mut self) -> Result<Option<Cut>, ArchiveFault> {
        if self.payload.is_empty() { Ok(None) } else { self.cut().map(Some) }
    }

    /// The block that the next byte goes into.
    pub fn next_block(&self) -> BlockIndex {
        self.next
    }

    /// Takes back a payload's buffer.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(buffer);
        }
    }

    fn append(&mut self, mut bytes: &[u8], cuts: &mut Vec<Cut>) -> Result<(), ArchiveFault> {
        let capacity = self.size.payload_bytes();
        while !bytes.is_empty() {
            if self.payload.is_empty() {
                self.payload = self.spare.pop().unwrap_or_default();
                self.payload.clear();
                self.payload.reserve_exact(capacity);
                self.payload.resize(PAYLOAD_HEAD_BYTES, 0);
            }
            let (now, later) = bytes.split_at(bytes.len().min(capacity - self.payload.len()));
            self.payload.extend_from_slice(now);
            bytes = later;
            if self.payload.len() == capacity {
                cuts.push(self.cut()?);
            }
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<Cut, ArchiveFault> {
        // [S8.5] The tail and its padding must fit as well.
        if Ending::of(self.next.0.saturating_add(1)).is_none() {
            return Err(ArchiveFault::BlockLimit);
        }
        let mut payload = std::mem::take(&mut self.payload);
        let used = payload.len() - PAYLOAD_HEAD_BYTES;
        payload[..PAYLOAD_HEAD_BYTES].copy_from_slice(&payload_head(PayloadKind::Stream(self.start), used));
        payload.resize(self.size.payload_bytes(), 0);
        let cut = Cut { block: self.next, payload, frames_ended: std::mem::take(&mut self.frames_ended) };
        self.next = self.next.next();
        self.start = Start::Continued;
        Ok(cut)
    }
}

/// From where a stream is read on: a place between two frames.
///
/// # Shape
/// CBOR `[block, offset, stream blocks or absent]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Position {
    #[n(0)]
    block: BlockIndex,
    /// Used bytes of that block that are done with.
    #[n(1)]
    offset: u32,
    /// How many blocks the stream has, once that is known.
    #[n(2)]
    stream_blocks: Option<u64>,
}

impl Position {
    /// The beginning.
    pub const START: Self = Self { block: BlockIndex(0), offset: 0, stream_blocks: None };

    /// The beginning of a frame, wherever that is; for reading a part of an archive.
    pub fn at(location: Location) -> Self {
        Self { block: location.block, offset: location.offset, stream_blocks: None }
    }

    /// The block to be fetched first.
    pub fn block(&self) -> BlockIndex {
        self.block
    }
}

/// A frame, where it began, and from where to read on after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedFrame {
    /// Where it began.
    pub location: Location,
    /// The frame.
    pub frame: Packed,
    /// Behind it.
    pub after: Position,
}

/// What a block turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken<'a> {
    /// A part of the stream.
    Stream,
    /// Padding.
    Padding,
    /// The tail record; no block follows.
    Tail(&'a [u8]),
}

/// Joins the used bytes of blocks to frames.
///
/// # Shape
/// Blocks come in order. Every byte of a frame is copied once, into the frame; one unfinished frame is kept.
#[derive(Debug)]
pub struct FrameReader {
    next: BlockIndex,
    /// Used bytes of the next block that were done with before.
    skip: u32,
    stream_blocks: Option<u64>,
    ended: End,
    partial: Option<Partial>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Ahead,
    Reached,
}

#[derive(Debug)]
struct Partial {
    location: Location,
    head: Vec<u8>,
    body: Option<(FrameHead, Vec<u8>)>,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::resume(Position::START)
    }
}

impl FrameReader {
    /// Begins with block 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on from a place that a frame's `after` or [`FrameReader::position`] named.
    pub fn resume(position: Position) -> Self {
        let Position { block, offset, stream_blocks } = position;
        Self { next: block, skip: offset, stream_blocks, ended: End::Ahead, partial: None }
    }

    /// From where to read on if everything that has come out is done with.
    pub fn position(&self) -> Position {
        let Location { block, offset } = match &self.partial {
            Some(partial) => partial.location,
            None => Location { block: self.next, offset: self.skip },
        };
        Position { block, offset, stream_blocks: self.stream_blocks }
    }

    /// How many blocks the stream has, once a block behind it has come.
    pub fn stream_blocks(&self) -> Option<u64> {
        self.stream_blocks
    }

    /// Takes the next block; appends the frames that end in it.
    ///
    /// # Errors
    /// [`ArchiveFault::BlockOrder`], [`ArchiveFault::BlockLimit`], [`ArchiveFault::StreamEnd`],
    /// [`ArchiveFault::FrameHead`]; the reader is of no use then.
    pub fn push<'a>(
        &mut self,
        block: BlockIndex,
        payload: &Payload<'a>,
        frames: &mut Vec<LocatedFrame>,
    ) -> Result<Taken<'a>, ArchiveFault> {
        // [S8.5]
        if block != self.next || self.ended == End::Reached {
            return Err(ArchiveFault::BlockOrder);
        }
        if block.0 >= limits::BLOCKS_MAX {
            return Err(ArchiveFault::BlockLimit);
        }
        let taken = match payload.kind() {
            PayloadKind::Stream(start) => {
                self.take_stream(block, start, payload.used(), frames)?;
                Taken::Stream
            }
            PayloadKind::Padding => {
                if block >= self.end_stream(block)?.tail() {
                    return Err(ArchiveFault::BlockOrder);
                }
                Taken::Padding
            }
            PayloadKind::Tail => {
                if block != self.end_stream(block)?.tail() {
                    return Err(ArchiveFault::BlockOrder);
                }
                self.ended = End::Reached;
                Taken::Tail(payload.used())
            }
        };
        self.next = block.next();
        self.skip = 0;
        Ok(taken)
    }

    /// What follows the stream, which ends before this block at the latest.
    fn end_stream(&mut self, block: BlockIndex) -> Result<Ending, ArchiveFault> {
        if self.partial.is_some() || self.skip > 0 {
            return Err(ArchiveFault::StreamEnd);
        }
        let stream_blocks = *self.stream_blocks.get_or_insert(block.0);
        if stream_blocks == 0 {
            return Err(ArchiveFault::BlockOrder);
        }
        Ending::of(stream_blocks).ok_or(ArchiveFault::BlockLimit)
    }

    fn take_stream(
        &mut self,
        block: BlockIndex,
        start: Start,
        used: &[u8],
        frames: &mut Vec<LocatedFrame>,
    ) -> Result<(), ArchiveFault> {
        // [S8.4]
        if self.stream_blocks.is_some() || (block.0 == 0 && start != Start::Fresh) {
            return Err(ArchiveFault::BlockOrder);
        }
        if start == Start::Fresh {
            self.partial = None;
        }
        let mut at = self.skip as usize;
        let mut rest = used.get(at..).ok_or(ArchiveFault::BlockOrder)?;
        while !rest.is_empty() {
            let location = Location { block, offset: at as u32 };
            let partial = self.partial.get_or_insert_with(|| Partial::new(location));
            let taken = partial.take(rest)?;
            at += taken;
            rest = &rest[taken..];
            if let Some((location, frame)) =
                self.partial.take_if(|partial| partial.is_whole()).and_then(Partial::finish)
            {
                let after = match rest {
                    [] => Position { block: block.next(), offset: 0, stream_blocks: None },
                    _ => Position { block, offset: at as u32, stream_blocks: None },
                };
                frames.push(LocatedFrame { location, frame: frame?, after });
            }
        }
        Ok(())
    }
}

impl Partial {
    fn new(location: Location) -> Self {
        Self { location, head: Vec::with_capacity(FRAME_HEAD_BYTES), body: None }
    }

    /// Takes what belongs to this frame; says how much that was.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, ArchiveFault> {
        let for_head = bytes.len().min(FRAME_HEAD_BYTES - self.head.len());
        let (head, rest) = bytes.split_at(for_head);
        self.head.extend_from_slice(head);
        let Some(whole_head) = self.head.first_chunk() else { return Ok(for_head) };
        if self.body.is_none() {
            let head = FrameHead::parse(whole_head)?;
            self.body = Some((head, Vec::with_capacity(head.stored_bytes())));
        }
        let Some((head, body)) = &mut self.body else { return Ok(for_head) };
        let for_body = rest.len().min(head.stored_bytes() - body.len());
        body.extend_from_slice(&rest[..for_body]);
        Ok(for_head + for_body)
    }

    fn is_whole(&self) -> bool {
        self.body.as_ref().is_some_and(|(head, body)| body.len() == head.stored_bytes())
    }

    fn finish(self) -> Option<(Location, Result<Packed, ArchiveFault>)> {
        let location = self.location;
        self.body.map(|(head, body)| (location, Packed::new(head, body)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Level, Packer};
    use super::super::tests::noise;
    use super::*;

    #[test] // [S8.3] [S8.4]
    fn frames_end_in_the_block_that_holds_their_last_byte() {
        let capacity = BlockSize::Small.payload_bytes() - PAYLOAD_HEAD_BYTES;
        let frame =
            |wire_bytes| Packer::new(Level::STORED).unwrap().pack(noise(1, wire_bytes - FRAME_HEAD_BYTES)).unwrap();
        let mut cutter = Cutter::start(BlockSize::Small, BlockIndex(5));
        let mut cuts = Vec::new();
        let mut add = |wire_bytes| {
            let Location { block, offset } = cutter.frame(&frame(wire_bytes), &mut cuts).unwrap();
            let ended: Vec<_> = cuts.drain(..).map(|cut| (cut.block.0, cut.frames_ended, cut.payload[1])).collect();
            (block.0, offset as usize, ended)
        };
        assert_eq!(add(100), (5, 0, vec![]));
        assert_eq!(add(capacity - 100), (5, 100, vec![(5, 2, 1)]), "it just fills the block");
        assert_eq!(add(capacity + 1), (6, 0, vec![(6, 0, 0)]));
        assert_eq!(add(capacity - 2), (7, 1, vec![]));
        assert_eq!(add(20), (7, capacity - 1, vec![(7, 2, 0)]), "its head is cut");
        let last = cutter.flush().unwrap().unwrap();
        assert_eq!((last.block.0, last.frames_ended, &last.payload[..8]), (8, 1, &[0, 0, 0, 0, 0, 0, 0, 19][..]));
        assert_eq!(last.payload.len(), BlockSize::Small.payload_bytes());
        assert_eq!(cutter.flush().unwrap(), None);
        cutter.recycle(last.payload);
        assert_eq!(cutter.frame(&frame(50), &mut cuts).unwrap(), Location { block: BlockIndex(9), offset: 0 });
        let clean = cutter.flush().unwrap().unwrap();
        assert!(clean.payload[PAYLOAD_HEAD_BYTES + 50..].iter().all(|&byte| byte == 0), "a used buffer is clean");
    }
}
