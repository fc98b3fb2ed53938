//! Deterministic CBOR: one value, one encoding.
//!
//! # Source
//! SPEC [S2.1] [S2.2].

use crate::fault::Fault;

/// Encodes a value; the same value always gives the same bytes.
pub fn encode<T: minicbor::Encode<()>>(value: &T) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "a Vec takes every byte, and no encoder of this crate makes an error of its own"
    )]
    minicbor::to_vec(value).expect("encoding into memory cannot fail")
}

/// Decodes exactly one value from exactly these bytes.
///
/// # Errors
/// [`Fault::BadMessage`] for anything that is not the one encoding of a value: unknown fields, leftover bytes, longer
/// integers than needed, indefinite lengths. The cause is not kept: it can quote a peer, and every cause leads to the
/// same act.
pub fn decode<'b, T: minicbor::Decode<'b, ()> + minicbor::Encode<()>>(bytes: &'b [u8]) -> Result<T, Fault> {
    let value = minicbor::decode::<T>(bytes).or(Err(Fault::BadMessage))?;
    if encode(&value) != bytes {
        return Err(Fault::BadMessage);
    }
    Ok(value)
}

/// Byte strings inside derived structures: `#[cbor(with = "crate::codec::byte_vec")]`.
pub use minicbor::bytes as byte_vec;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
    #[cbor(array)]
    struct Sample {
        #[n(0)]
        number: u64,
        #[n(1)]
        text: Option<String>,
        #[n(2)]
        last: Option<u8>,
    }

    #[test] // [S2.1]
    fn absent_fields_are_null_inside_and_left_out_at_the_end() {
        let bytes = encode(&Sample { number: 24, text: None, last: Some(1) });
        assert_eq!(bytes, [0x83, 0x18, 24, 0xf6, 1]);
        let bytes = encode(&Sample { number: 1, text: None, last: None });
        assert_eq!(bytes, [0x81, 1]);
    }

    #[test] // [S2.2]
    fn every_other_encoding_is_refused() {
        let good = [0x83, 0x18, 24, 0xf6, 1];
        assert!(decode::<Sample>(&good).is_ok());
        let bad: [&[u8]; 7] = [
            &[0x83, 0x18, 24, 0xf6, 1, 0],    // a byte left over
            &[0x84, 0x18, 24, 0xf6, 1, 2],    // a field too many
            &[0x83, 0x19, 0, 24, 0xf6, 1],    // an integer longer than needed
            &[0x9f, 0x18, 24, 0xf6, 1, 0xff], // indefinite length
            &[0x83, 0x18, 24, 0xf6],          // cut short
            &[0x83, 0x18, 24, 0xf6, 0xf6],    // an absent field written at the end
            &[0xc0, 0x83, 0x18, 24, 0xf6, 1], // a tag
        ];
        for bytes in bad {
            assert_eq!(decode::<Sample>(bytes), Err(Fault::BadMessage), "{bytes:02x?}");
        }
    }
}
