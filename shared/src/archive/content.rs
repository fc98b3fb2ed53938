//! The content hash: BLAKE3 of a file, computed piece by piece, and continued from a few chaining values.
//!
//! # Source
//! SPEC [S6.6]; BLAKE3 paper section 2.1 and the `hazmat` module of the `blake3` crate.

use blake3::hazmat::{self, ChainingValue, HasherExt, Mode};
use minicbor::bytes::ByteArray;

use super::fault::{ArchiveFault, decode_error};
use crate::ids::ContentHash;
use crate::limits::PIECE_BYTES;

/// Half a piece. A file that ends with its first piece still has a tree of two subtrees then, so that the piece need not
/// be kept for the case that it was the last.
const SUBTREE_BYTES: usize = PIECE_BYTES / 2;

/// Hashes a file given in pieces.
///
/// # Shape
/// Every piece but the last has [`PIECE_BYTES`]. Between pieces the state is the number of bytes and at most 45
/// chaining values of 32 bytes; it travels as CBOR `[bytes, [value…]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PieceHasher {
    bytes: u64,
    /// Finished subtrees of falling size. The last one has not been merged with its left neighbour yet, because the last
    /// merge of all is the root's. A file of one subtree has its finished hash here.
    subtrees: Vec<ChainingValue>,
}

impl PieceHasher {
    /// Begins a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// [`ArchiveFault::DataLength`] if it is empty, longer than a piece, or follows a short one.
    pub fn piece(&mut self, piece: &[u8]) -> Result<(), ArchiveFault> {
        // [S6.3]
        let total = self.bytes.checked_add(piece.len() as u64);
        let (Some(total), true, 1..=PIECE_BYTES) = (total, self.is_open(), piece.len()) else {
            return Err(ArchiveFault::DataLength);
        };
        if total <= SUBTREE_BYTES as u64 {
            self.subtrees.push(blake3::hash(piece).into());
        } else {
            // [S6.6]
            let mut offset = self.bytes;
            for part in piece.chunks(SUBTREE_BYTES) {
                self.merge(offset / SUBTREE_BYTES as u64);
                let mut hasher = blake3::Hasher::new();
                hasher.set_input_offset(offset).update(part);
                self.subtrees.push(hasher.finalize_non_root());
                offset += part.len() as u64;
            }
        }
        self.bytes = total;
        Ok(())
    }

    /// The hash of everything taken so far.
    pub fn finish(&self) -> ContentHash {
        let mut rest = self.subtrees.iter().rev();
        let Some(&last) = rest.next() else {
            return ContentHash(blake3::hash(b"").into());
        };
        let mut right = last;
        let mut rest = rest.peekable();
        while let Some(left) = rest.next() {
            right = match rest.peek() {
                Some(_) => hazmat::merge_subtrees_non_root(left, &right, Mode::Hash),
                None => hazmat::merge_subtrees_root(left, &right, Mode::Hash).into(),
            };
        }
        ContentHash(right)
    }

    /// How many bytes have been taken.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether another piece may follow.
    pub fn is_open(&self) -> bool {
        self.bytes.is_multiple_of(PIECE_BYTES as u64)
    }

    /// Merges what is complete once it is certain that more follows; as many subtrees stay as `count` has bits.
    fn merge(&mut self, count: u64) {
        while self.subtrees.len() > count.count_ones() as usize {
            let (Some(right), Some(left)) = (self.subtrees.pop(), self.subtrees.pop()) else { return };
            self.subtrees.push(hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
    }
}

/// How many subtrees are kept of so many bytes.
fn subtrees_of(bytes: u64) -> usize {
    match bytes.div_ceil(SUBTREE_BYTES as u64) {
        0 => 0,
        count => (count - 1).count_ones() as usize + 1,
    }
}

impl<C> minicbor::Encode<C> for PieceHasher {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.u64(self.bytes)?.array(self.subtrees.len() as u64)?;
        for value in &self.subtrees {
            e.bytes(value)?;
        }
        e.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for PieceHasher {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.array()? != Some(2) {
            return Err(decode_error(ArchiveFault::State));
        }
        let bytes = d.u64()?;
        let count = subtrees_of(bytes);
        if d.array()? != Some(count as u64) {
            return Err(decode_error(ArchiveFault::State));
        }
        let subtrees = (0..count).map(|_| Ok(ByteArray::decode(d, ctx)?.into())).collect::<Result<_, _>>()?;
        Ok(Self { bytes, subtrees })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test] // [S6.6]
    fn equals_the_hash_of_the_whole_file_and_continues_at_every_piece() {
        let piece = PIECE_BYTES;
        let sizes = [
            0,
            1,
            1023,
            1024,
            1025,
            piece / 2 - 1,
            piece / 2,
            piece / 2 + 1,
            piece - 1,
            piece,
            piece + 1,
            piece * 3 / 2,
            2 * piece,
            2 * piece + 1,
            3 * piece,
            4 * piece,
            5 * piece + 7,
            7 * piece,
            8 * piece + 1,
        ];
        let data: Vec<u8> = (0..9 * piece as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();

        for size in sizes {
            let mut hasher = PieceHasher::new();
            for part in data[..size].chunks(piece) {
                hasher.piece(part).unwrap();
                let kept = codec::encode(&hasher);
                assert!(kept.len() < 2000, "{size}");
                hasher = codec::decode(&kept).unwrap();
            }
            assert_eq!(hasher.bytes(), size as u64);
            assert_eq!(hasher.finish().0, *blake3::hash(&data[..size]).as_bytes(), "{size} bytes");
        }
    }

    #[test] // [S6.6]
    fn a_known_hash() {
        let mut hasher = PieceHasher::new();
        assert_eq!(hasher.finish().to_hex(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        hasher.piece(b"abc").unwrap();
        assert_eq!(hasher.finish().to_hex(), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    }

    #[test] // [S6.3]
    fn refuses_pieces_of_the_wrong_length() {
        let mut hasher = PieceHasher::new();
        assert_eq!(hasher.piece(b""), Err(ArchiveFault::DataLength));
        assert_eq!(hasher.piece(&vec![0; PIECE_BYTES + 1]), Err(ArchiveFault::DataLength));
        hasher.piece(&vec![0; PIECE_BYTES]).unwrap();
        hasher.piece(b"x").unwrap();
        assert_eq!(hasher.piece(b"y"), Err(ArchiveFault::DataLength));
    }

    #[test]
    fn a_state_is_two_fields_with_as_many_values_as_the_bytes_have() {
        let mut hasher = PieceHasher::new();
        assert_eq!(codec::encode(&hasher), [0x82, 0, 0x80]);
        hasher.piece(b"abc").unwrap();
        let kept = codec::encode(&hasher);
        assert_eq!(kept[..5], [0x82, 3, 0x81, 0x58, 32]);
        let mut damaged = kept;
        damaged[1] = 0;
        assert!(codec::decode::<PieceHasher>(&damaged).is_err());
    }
}
