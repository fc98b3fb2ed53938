//! Frames: runs of whole items, each compressed on its own, and back.
//!
//! # Shape
//! | offset | size | meaning |
//! |---|---|---|
//! | 0 | 1 | codec: 0 stored, 1 zstd |
//! | 1 | 3 | zero |
//! | 4 | 4 | raw length, 1 to [`limits::FRAME_RAW_BYTES_MAX`] |
//! | 8 | 4 | stored length |
//! | 12 | … | stored bytes |
//!
//! # Source
//! SPEC [S7.1] to [S7.3].

use zstd::bulk::{Compressor, Decompressor};

use super::fault::ArchiveFault;
use crate::limits;

pub use super::stream::{FrameReader, LocatedFrame, Position};

/// What stands before a frame's stored bytes.
pub const FRAME_HEAD_BYTES: usize = 12;

/// How a frame's bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    Stored,
    /// As one zstd frame.
    Zstd,
}

/// A frame's lengths and codec, which fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    codec: Codec,
    raw_bytes: u32,
    stored_bytes: u32,
}

impl FrameHead {
    /// Reads a head.
    ///
    /// # Errors
    /// [`ArchiveFault::FrameHead`].
    pub fn parse(bytes: &[u8; FRAME_HEAD_BYTES]) -> Result<Self, ArchiveFault> {
        // [S7.1]
        let &[codec, z1, z2, z3, r1, r2, r3, r4, s1, s2, s3, s4] = bytes;
        let raw_bytes = u32::from_be_bytes([r1, r2, r3, r4]);
        let stored_bytes = u32::from_be_bytes([s1, s2, s3, s4]);
        let (codec, lengths_fit) = match codec {
            0 => (Codec::Stored, stored_bytes == raw_bytes),
            1 => (Codec::Zstd, 0 < stored_bytes && stored_bytes < raw_bytes),
            _ => return Err(ArchiveFault::FrameHead),
        };
        let raw_fits = (1..=limits::FRAME_RAW_BYTES_MAX).contains(&(raw_bytes as usize));
        if [z1, z2, z3] != [0; 3] || !lengths_fit || !raw_fits {
            return Err(ArchiveFault::FrameHead);
        }
        Ok(Self { codec, raw_bytes, stored_bytes })
    }

    /// Writes it.
    pub fn to_bytes(self) -> [u8; FRAME_HEAD_BYTES] {
        let mut bytes = [0; FRAME_HEAD_BYTES];
        bytes[0] = match self.codec {
            Codec::Stored => 0,
            Codec::Zstd => 1,
        };
        bytes[4..8].copy_from_slice(&self.raw_bytes.to_be_bytes());
        bytes[8..].copy_from_slice(&self.stored_bytes.to_be_bytes());
        bytes
    }

    /// How the bytes are stored.
    pub fn codec(self) -> Codec {
        self.codec
    }

    /// Bytes once unpacked.
    pub fn raw_bytes(self) -> usize {
        self.raw_bytes as usize
    }

    /// Bytes behind the head.
    pub fn stored_bytes(self) -> usize {
        self.stored_bytes as usize
    }
}

/// A frame as it travels, its head apart from its stored bytes so that stored frames are not copied to be given one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    head: FrameHead,
    body: Vec<u8>,
}

impl Packed {
    /// Puts a head and as many bytes as it says together.
    pub(super) fn new(head: FrameHead, body: Vec<u8>) -> Result<Self, ArchiveFault> {
        if body.len() != head.stored_bytes() {
            return Err(ArchiveFault::FrameHead);
        }
        Ok(Self { head, body })
    }

    /// Its head.
    pub fn head(&self) -> FrameHead {
        self.head
    }

    /// Its stored bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Head and stored bytes together.
    pub fn wire_bytes(&self) -> usize {
        FRAME_HEAD_BYTES + self.body.len()
    }

    /// The buffer, for use again.
    pub fn into_buffer(self) -> Vec<u8> {
        self.body
    }
}

/// How hard to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Option<i32>);

impl Level {
    /// Not at all.
    pub const STORED: Self = Self(None);
    /// The sound default for tables and text.
    pub const DEFAULT: Self = Self(Some(1));

    /// A level of zstd: -7 fastest, 19 smallest.
    pub fn zstd(level: i32) -> Option<Self> {
        (-7..=19).contains(&level).then_some(Self(Some(level)))
    }
}

/// Packs frames; one for each thread, because it keeps the compressor's memory.
pub struct Packer {
    level: Level,
    compressor: Compressor<'static>,
    spare: Vec<u8>,
}

impl Packer {
    /// Sets a compressor up.
    ///
    /// # Errors
    /// [`ArchiveFault::Compressor`].
    pub fn new(level: Level) -> Result<Self, ArchiveFault> {
        let compressor = compressor(level)?;
        Ok(Self { level, compressor, spare: Vec::new() })
    }

    /// Changes the level for the frames to come.
    ///
    /// # Errors
    /// [`ArchiveFault::Compressor`].
    pub fn set_level(&mut self, level: Level) -> Result<(), ArchiveFault> {
        if level != self.level {
            self.compressor = compressor(level)?;
            self.level = level;
        }
        Ok(())
    }

    /// Packs whole items: compressed if that makes them shorter, else as they are.
    ///
    /// # Shape
    /// `raw` has 1 to [`limits::FRAME_RAW_BYTES_MAX`] bytes. Stored, its buffer becomes the frame's; compressed, it is
    /// kept as the room for the next frame.
    ///
    /// # Errors
    /// [`ArchiveFault::FrameHead`] if `raw` has another length.
    pub fn pack(&mut self, raw: Vec<u8>) -> Result<Packed, ArchiveFault> {
        // [S7.1]
        if !(1..=limits::FRAME_RAW_BYTES_MAX).contains(&raw.len()) {
            return Err(ArchiveFault::FrameHead);
        }
        let raw_bytes = raw.len() as u32;
        if self.level != Level::STORED && !looks_random(&raw) {
            self.spare.clear();
            self.spare.reserve(zstd::zstd_safe::compress_bound(raw.len()));
            // A compressor that fails has made nothing shorter, and stored is always right.
            let shorter = self.compressor.compress_to_buffer(&raw, &mut self.spare).is_ok_and(|n| n < raw.len());
            if shorter {
                let head = FrameHead { codec: Codec::Zstd, raw_bytes, stored_bytes: self.spare.len() as u32 };
                let body = std::mem::replace(&mut self.spare, raw);
                return Ok(Packed { head, body });
            }
        }
        Ok(Packed { head: FrameHead { codec: Codec::Stored, raw_bytes, stored_bytes: raw_bytes }, body: raw })
    }
}

fn compressor(level: Level) -> Result<Compressor<'static>, ArchiveFault> {
    Compressor::new(level.0.unwrap_or(0)).or(Err(ArchiveFault::Compressor))
}

const PROBE_SAMPLES: usize = 16;
const PROBE_SAMPLE_BYTES: usize = 1024;
/// Uniform bytes give 7.989 bits in a sample of this size, photographs about 7.96.
const PROBE_RANDOM_BITS: f64 = 7.95;

/// Whether a sample of large data has so even a spread of bytes that compressing it is a waste.
fn looks_random(raw: &[u8]) -> bool {
    if raw.len() < 4 * PROBE_SAMPLES * PROBE_SAMPLE_BYTES {
        return false;
    }
    let mut counts = [0_u32; 256];
    for window in raw.chunks_exact(raw.len() / PROBE_SAMPLES).take(PROBE_SAMPLES) {
        for &byte in &window[..PROBE_SAMPLE_BYTES] {
            counts[usize::from(byte)] += 1;
        }
    }
    let total = f64::from((PROBE_SAMPLES * PROBE_SAMPLE_BYTES) as u32);
    let sum: f64 = counts.iter().filter(|&&n| n > 0).map(|&n| f64::from(n) * f64::from(n).log2()).sum();
    total.log2() - sum / total > PROBE_RANDOM_BITS
}

/// Unpacks frames; one for each thread, because it keeps the decompressor's memory.
pub struct Unpacker {
    decompressor: Decompressor<'static>,
    spare: Vec<u8>,
}

impl Unpacker {
    /// Sets a decompressor up.
    ///
    /// # Errors
    /// [`ArchiveFault::Compressor`].
    pub fn new() -> Result<Self, ArchiveFault> {
        let decompressor = Decompressor::new().or(Err(ArchiveFault::Compressor))?;
        Ok(Self { decompressor, spare: Vec::new() })
    }

    /// The raw bytes of a frame. A stored frame gives its own buffer away; nothing is copied.
    ///
    /// # Errors
    /// [`ArchiveFault::FrameContent`] unless exactly the raw length comes out.
    ///
    /// # Security
    /// The decompressor has exactly the raw length as room, which the head has bounded.
    pub fn unpack(&mut self, frame: Packed) -> Result<Vec<u8>, ArchiveFault> {
        // [S7.3]
        let Packed { head, body } = frame;
        if head.codec == Codec::Stored {
            return Ok(body);
        }
        let mut raw = std::mem::take(&mut self.spare);
        raw.resize(head.raw_bytes(), 0);
        match self.decompressor.decompress_to_buffer(&body, raw.as_mut_slice()) {
            Ok(bytes) if bytes == head.raw_bytes() => Ok(raw),
            _ => Err(ArchiveFault::FrameContent),
        }
    }

    /// Takes back a buffer for the next frame.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() > self.spare.capacity() {
            self.spare = buffer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{noise, table};
    use super::*;

    #[test] // [S7.1] [S7.3]
    fn packing_keeps_what_is_packed_and_never_grows() {
        let mut packer = Packer::new(Level::DEFAULT).unwrap();
        let mut unpacker = Unpacker::new().unwrap();
        let cases = [
            (vec![1], Codec::Stored),
            (noise(1, 100), Codec::Stored),
            (noise(2, limits::FRAME_RAW_BYTES_MAX), Codec::Stored),
            (table(3, limits::FRAME_RAW_BYTES_MAX), Codec::Zstd),
            (table(4, 500), Codec::Zstd),
            (vec![0; 64], Codec::Zstd),
        ];
        for (raw, codec) in cases {
            let packed = packer.pack(raw.clone()).unwrap();
            assert_eq!(packed.head().codec(), codec, "{} bytes", raw.len());
            assert!(packed.body().len() <= raw.len());
            let again = unpacker.unpack(packed).unwrap();
            assert!(again == raw);
            unpacker.recycle(again);
        }
    }

    #[test]
    fn a_level_can_change_between_frames() {
        let mut packer = Packer::new(Level::STORED).unwrap();
        assert_eq!(packer.pack(table(1, 5000)).unwrap().head().codec(), Codec::Stored);
        packer.set_level(Level::zstd(19).unwrap()).unwrap();
        let small = packer.pack(table(1, 5000)).unwrap();
        packer.set_level(Level::zstd(-7).unwrap()).unwrap();
        let fast = packer.pack(table(1, 5000)).unwrap();
        assert!(small.body().len() < fast.body().len());
        assert_eq!((Level::zstd(20), Level::zstd(-8)), (None, None));
    }

    #[test]
    fn only_even_bytes_look_random() {
        assert!(looks_random(&noise(1, 1 << 20)));
        assert!(!looks_random(&table(1, 1 << 20)));
        assert!(!looks_random(&noise(1, 1000)), "small data is tried");
        let half = [noise(1, 1 << 19), table(1, 1 << 19)].concat();
        assert!(!looks_random(&half));
    }
}
