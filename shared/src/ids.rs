//! The small values everything is named by: fixed numbers of bytes, each its own type.

use std::fmt;

/// Declares public fixed-size byte values that print as hex and travel as CBOR byte strings.
macro_rules! public_bytes {
    ($($(#[$doc:meta])* $name:ident, $len:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Its length in bytes.
            pub const LEN: usize = $len;

            /// Takes exactly this many bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Lower-case hex.
            pub fn to_hex(&self) -> String {
                hex(&self.0)
            }

            /// Reads lower-case hex of exactly this length.
            pub fn from_hex(text: &str) -> Option<Self> {
                unhex(text).and_then(|bytes| Self::from_slice(&bytes))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                Self::from_slice(d.bytes()?)
                    .ok_or_else(|| minicbor::decode::Error::message(concat!(stringify!($name), " has the wrong length")))
            }
        }
    )*};
}

public_bytes! {
    /// Names a transfer, for ever and in public.
    TransferId, 16;
    /// How the relay finds a transfer for somebody who has the code.
    Locator, 16;
    /// An Ed25519 public key that authenticates one end of a connection.
    LinkKey, 32;
    /// The public half of the key derived from the code.
    ClaimKey, 32;
    /// BLAKE3 of a file's bytes.
    ContentHash, 32;
    /// The hash over the manifest.
    Root, 32;
    /// What the offer says of the content key.
    Commit, 32;
    /// Binds a buyer's link key and hybrid key.
    Bundle, 32;
    /// SHA-256 of some bytes.
    Digest, 32;
}

/// Milliseconds since 1970-01-01T00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Millis(#[n(0)] pub u64);

impl Millis {
    /// Later by so many milliseconds, at most the end of time.
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since an earlier time, 0 if it is later.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The place of a block in its transfer, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct BlockIndex(#[n(0)] pub u64);

impl BlockIndex {
    /// The block after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A number of blocks counted from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct BlockCount(#[n(0)] pub u64);

impl BlockCount {
    /// The index just behind so many blocks.
    pub fn end(self) -> BlockIndex {
        BlockIndex(self.0)
    }

    /// Whether the block is among them.
    pub fn contains(self, index: BlockIndex) -> bool {
        index.0 < self.0
    }
}

/// The sealed size of every block of one transfer; one of the two sizes there are.
///
/// # Source
/// SPEC [S8.1].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockSize {
    /// 64 KiB, for transfers below 8 MiB.
    Small,
    /// 1 MiB.
    Large,
}

impl BlockSize {
    /// Chooses by the scanned total; `None` when it is not known.
    pub fn for_total(total_bytes: Option<u64>) -> Self {
        match total_bytes {
            Some(total) if total < crate::limits::SMALL_TRANSFER_BYTES => Self::Small,
            _ => Self::Large,
        }
    }

    /// Recognises a sealed size.
    pub fn of_bytes(bytes: u32) -> Option<Self> {
        match bytes {
            crate::limits::BLOCK_BYTES_SMALL => Some(Self::Small),
            crate::limits::BLOCK_BYTES_LARGE => Some(Self::Large),
            _ => None,
        }
    }

    /// Sealed bytes of one block.
    pub fn sealed_bytes(self) -> usize {
        match self {
            Self::Small => crate::limits::BLOCK_BYTES_SMALL as usize,
            Self::Large => crate::limits::BLOCK_BYTES_LARGE as usize,
        }
    }

    /// Plain bytes of one block: salt, commitment and one tag per started 16 KiB chunk less.
    pub fn payload_bytes(self) -> usize {
        match self {
            Self::Small => 65_416,
            Self::Large => 1_047_496,
        }
    }
}

impl<C> minicbor::Encode<C> for BlockSize {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u64(self.sealed_bytes() as u64)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for BlockSize {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::of_bytes(d.u32()?).ok_or_else(|| minicbor::decode::Error::message("not a block size"))
    }
}

/// Lower-case hex of some bytes.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The bytes of lower-case hex.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_both_ways_and_refuses_the_rest() {
        assert_eq!(hex(&[0, 0x9f, 0xff]), "009fff");
        assert_eq!(unhex("009fff"), Some(vec![0, 0x9f, 0xff]));
        for bad in ["0", "0G", "FF", "zz"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }

    #[test] // [S8.1]
    fn block_sizes_are_payload_and_overhead() {
        for size in [BlockSize::Small, BlockSize::Large] {
            let chunks = size.payload_bytes() / 16_384 + 1;
            assert_eq!(24 + 32 + size.payload_bytes() + chunks * 16, size.sealed_bytes());
        }
        assert_eq!(BlockSize::for_total(Some(8 * 1024 * 1024 - 1)), BlockSize::Small);
        assert_eq!(BlockSize::for_total(Some(8 * 1024 * 1024)), BlockSize::Large);
        assert_eq!(BlockSize::for_total(None), BlockSize::Large);
    }
}
