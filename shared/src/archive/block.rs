//! Blocks: equal payloads, each sealed for its place in its transfer, and opened again.
//!
//! # Shape
//! A payload:
//!
//! | offset | size | meaning |
//! |---|---|---|
//! | 0 | 1 | kind: 0 stream, 1 padding, 2 tail |
//! | 1 | 1 | flags: 1 fresh, with stream only |
//! | 2 | 2 | zero |
//! | 4 | 4 | used |
//! | 8 | used | used bytes |
//! | 8 + used | … | zeros up to [`BlockSize::payload_bytes`] |
//!
//! # Source
//! SPEC [S8.1] to [S8.5].

use super::catalogue::Tail;
use super::fault::ArchiveFault;
use crate::ids::{BlockCount, BlockIndex, BlockSize, TransferId};
use crate::keys::{labels, seal};
use crate::limits;

pub use super::stream::{Cut, Cutter};

/// What stands before the used bytes.
pub const PAYLOAD_HEAD_BYTES: usize = 8;

/// Bytes of the salt of a sealed block.
pub const SALT_BYTES: usize = 24;

const FLAG_FRESH: u8 = 1;

/// How a stream block begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the first byte of a frame; an unfinished frame before it does not count.
    Fresh,
    /// Where the block before it ended.
    Continued,
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadKind {
    /// A part of the stream.
    Stream(Start),
    /// Nothing.
    Padding,
    /// The tail record.
    Tail,
}

/// The plain content of a block, checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    kind: PayloadKind,
    used: &'a [u8],
}

impl std::fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({:?}, {} used)", self.kind, self.used.len())
    }
}

impl<'a> Payload<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`ArchiveFault::BlockPayload`].
    pub fn parse(bytes: &'a [u8], size: BlockSize) -> Result<Self, ArchiveFault> {
        // [S8.3]
        let Some((&[kind, flags, 0, 0, a, b, c, d], rest)) = bytes.split_first_chunk() else {
            return Err(ArchiveFault::BlockPayload);
        };
        let used_bytes = u32::from_be_bytes([a, b, c, d]) as usize;
        let kind = match (kind, flags) {
            (0, FLAG_FRESH) => PayloadKind::Stream(Start::Fresh),
            (0, 0) => PayloadKind::Stream(Start::Continued),
            (1, 0) => PayloadKind::Padding,
            (2, 0) => PayloadKind::Tail,
            _ => return Err(ArchiveFault::BlockPayload),
        };
        if bytes.len() != size.payload_bytes() || (used_bytes == 0) != (kind == PayloadKind::Padding) {
            return Err(ArchiveFault::BlockPayload);
        }
        let (used, zeros) = rest.split_at_checked(used_bytes).ok_or(ArchiveFault::BlockPayload)?;
        if !is_zero(zeros) {
            return Err(ArchiveFault::BlockPayload);
        }
        Ok(Self { kind, used })
    }

    /// What it holds.
    pub fn kind(&self) -> PayloadKind {
        self.kind
    }

    /// The used bytes; for padding none, else at least one.
    pub fn used(&self) -> &'a [u8] {
        self.used
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<64>();
    words.iter().all(|word| *word == [0; 64]) && rest.iter().all(|&byte| byte == 0)
}

/// The head of a payload with so many used bytes.
pub(super) fn payload_head(kind: PayloadKind, used: usize) -> [u8; PAYLOAD_HEAD_BYTES] {
    let (kind, flags) = match kind {
        PayloadKind::Stream(Start::Fresh) => (0, FLAG_FRESH),
        PayloadKind::Stream(Start::Continued) => (0, 0),
        PayloadKind::Padding => (1, 0),
        PayloadKind::Tail => (2, 0),
    };
    let [a, b, c, d] = (used as u32).to_be_bytes();
    [kind, flags, 0, 0, a, b, c, d]
}

/// What follows the stream: padding, and the tail as the last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    stream_blocks: u64,
    blocks: u64,
}

impl Ending {
    /// Behind so many stream blocks; `None` if that is none, or more than a transfer may have.
    pub fn of(stream_blocks: u64) -> Option<Self> {
        // [S8.5]
        let blocks = padme(stream_blocks.checked_add(1)?)?;
        (stream_blocks > 0 && blocks <= limits::BLOCKS_MAX).then_some(Self { stream_blocks, blocks })
    }

    /// All blocks of the transfer.
    pub fn blocks(&self) -> BlockCount {
        BlockCount(self.blocks)
    }

    /// Where padding begins; the tail itself where there is none.
    pub fn padding(&self) -> BlockIndex {
        BlockIndex(self.stream_blocks)
    }

    /// Where the tail stands.
    pub fn tail(&self) -> BlockIndex {
        BlockIndex(self.blocks - 1)
    }
}

/// The payload of a padding block.
pub fn padding_payload(size: BlockSize) -> Vec<u8> {
    let mut payload = payload_head(PayloadKind::Padding, 0).to_vec();
    payload.resize(size.payload_bytes(), 0);
    payload
}

/// The payload of the tail block.
///
/// # Errors
/// As [`Tail::to_bytes`].
pub fn tail_payload(size: BlockSize, tail: &Tail) -> Result<Vec<u8>, ArchiveFault> {
    let record = tail.to_bytes()?;
    let mut payload = Vec::with_capacity(size.payload_bytes());
    payload.extend_from_slice(&payload_head(PayloadKind::Tail, record.len()));
    payload.extend_from_slice(&record);
    payload.resize(size.payload_bytes(), 0);
    Ok(payload)
}

/// Rounds a number of blocks up so that it says little: to as many leading bits as the number of its bits has. `None`
/// beyond what can be counted.
pub fn padme(blocks: u64) -> Option<u64> {
    if blocks < 2 {
        return Some(blocks);
    }
    let exponent = blocks.ilog2();
    let kept = exponent.ilog2() + 1;
    blocks.checked_next_multiple_of(1 << exponent.saturating_sub(kept))
}

/// Seals a payload for its place; appends [`BlockSize::sealed_bytes`].
///
/// # Security
/// `key` is the transfer's block key. `salt` is fresh and random for every call, also when the same block is sealed
/// again.
pub fn seal_block(
    key: &[u8; 32],
    transfer: &TransferId,
    block: BlockIndex,
    salt: [u8; SALT_BYTES],
    payload: &[u8],
    out: &mut Vec<u8>,
) {
    seal::seal_into(key, &context(transfer, block), salt, payload, out); // [S8.2]
}

/// Opens a block in its own buffer, and reads its payload.
///
/// # Errors
/// [`ArchiveFault::BlockSealed`] if it is not this block of this transfer, unaltered; [`ArchiveFault::BlockPayload`].
pub fn open_block<'a>(
    key: &[u8; 32],
    transfer: &TransferId,
    block: BlockIndex,
    size: BlockSize,
    sealed: &'a mut [u8],
) -> Result<Payload<'a>, ArchiveFault> {
    if sealed.len() != size.sealed_bytes() {
        return Err(ArchiveFault::BlockSealed);
    }
    // [S8.2] Length, commitment and tag are one to whoever reads: the block is not the seller's.
    let plain = seal::open_in_place(key, &context(transfer, block), sealed).or(Err(ArchiveFault::BlockSealed))?;
    Payload::parse(plain, size)
}

fn context(transfer: &TransferId, block: BlockIndex) -> Vec<u8> {
    labels::context(labels::BLOCK_CONTEXT, &[&transfer.0, &block.0.to_be_bytes()])
}

/// A block that was opened in the buffer it came in; it can be handed to another thread.
pub struct OpenedBlock {
    block: BlockIndex,
    kind: PayloadKind,
    used_bytes: usize,
    buffer: Vec<u8>,
}

impl OpenedBlock {
    /// Opens a sealed block.
    ///
    /// # Errors
    /// As [`open_block`].
    pub fn open(
        key: &[u8; 32],
        transfer: &TransferId,
        block: BlockIndex,
        size: BlockSize,
        mut sealed: Vec<u8>,
    ) -> Result<Self, ArchiveFault> {
        let payload = open_block(key, transfer, block, size, &mut sealed)?;
        let (kind, used_bytes) = (payload.kind, payload.used.len());
        Ok(Self { block, kind, used_bytes, buffer: sealed })
    }

    /// Which block it is.
    pub fn block(&self) -> BlockIndex {
        self.block
    }

    /// Its content.
    pub fn payload(&self) -> Payload<'_> {
        // Opening puts the plain bytes at the front of the buffer.
        Payload { kind: self.kind, used: &self.buffer[PAYLOAD_HEAD_BYTES..PAYLOAD_HEAD_BYTES + self.used_bytes] }
    }

    /// The buffer, for use again; its content is not wiped.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S8.5]
    fn padme_keeps_as_many_leading_bits_as_its_length_has() {
        let cases = [
            (0, 0),
            (1, 1),
            (2, 2),
            (3, 3),
            (8, 8),
            (9, 10),
            (10, 10),
            (11, 12),
            (15, 16),
            (17, 18),
            (100, 104),
            (1000, 1024),
            (1025, 1088),
            (0xffff_ffff, 1 << 32),
        ];
        for (blocks, padded) in cases {
            assert_eq!(padme(blocks), Some(padded), "{blocks}");
        }
        assert_eq!(padme(u64::MAX), None);
        for blocks in 1..100_000 {
            let padded = padme(blocks).unwrap();
            assert!(padded >= blocks && (padded - blocks) as f64 / blocks as f64 <= 0.12, "{blocks}");
            assert_eq!(padme(padded), Some(padded));
        }
    }

    #[test] // [S8.5]
    fn an_ending_is_padding_and_tail() {
        let ending = |stream| Ending::of(stream).map(|it| (it.padding().0, it.tail().0, it.blocks().0));
        assert_eq!(ending(1), Some((1, 1, 2)));
        assert_eq!(ending(8), Some((8, 9, 10)));
        assert_eq!(ending(1000), Some((1000, 1023, 1024)));
        assert_eq!(ending(0), None);
        assert_eq!(ending(limits::BLOCKS_MAX - 1).map(|it| it.1), Some(limits::BLOCKS_MAX - 1));
        assert_eq!(ending(limits::BLOCKS_MAX), None);
        assert_eq!(ending(u64::MAX), None);
    }
}
